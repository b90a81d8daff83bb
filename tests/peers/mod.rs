//! Real name servers beside the code under test: rbldnsd, unbound and nsd on a free loopback port, each in a directory
//! of its own, ended by process id when the guard is dropped (also by a panic). And a small blocking client.
//!
//! A server that is not installed is no peer: `None` (see `installed`).

#![allow(dead_code, unreachable_pub, reason = "each test file uses a part of this")]

#[path = "../installed/mod.rs"]
mod installed;
pub mod postfix;

use std::fmt::Write as _;
use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use hickory_proto::op::{Edns, Message, Query};
use hickory_proto::rr::{Name, RData, RecordType};
use installed::program;
use tempfile::TempDir;

/// How long a server may take until it answers.
const START_MAX: Duration = Duration::from_secs(10);

/// How long a server may take for an answer.
const ANSWER_MAX: Duration = Duration::from_secs(2);

/// Says that a test runs in its namespace.
const INSIDE: &str = "REPUTON_TEST_NAMESPACE";

/// Runs the calling test again in a network namespace of its own, which has these addresses on its loopback; whether this
/// is that run.
pub fn inside(test: &str, addresses: &[&str]) -> bool {
    if std::env::var_os(INSIDE).is_some() {
        ip("link set lo up");
        for address in addresses {
            ip(&format!("addr add {address} dev lo"));
        }
        return true;
    }
    // Nobody becomes root in there who is not: servers would try to give up what they do not have.
    let unshare = |command: &mut Command| {
        command.arg("--net");
        let is_root = std::fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0);
        if !is_root {
            command.args(["--map-current-user", "--keep-caps"]);
        }
    };
    let mut probe = Command::new("unshare");
    unshare(&mut probe);
    if !probe.arg("true").status().is_ok_and(|status| status.success()) {
        assert!(
            std::env::var_os("REPUTON_NEED_PEERS").is_none(),
            "there are no network namespaces to be had"
        );
        eprintln!("there are no network namespaces to be had: nothing is tested");
        return false;
    }
    let mut command = Command::new("unshare");
    unshare(&mut command);
    command.arg(std::env::current_exe().expect("our own program"));
    let done = command
        .args(["--exact", test, "--nocapture"])
        .env(INSIDE, "1")
        .status()
        .expect("unshare is there");
    assert!(done.success(), "{test} failed in its namespace");
    false
}

/// Runs `ip` with these arguments: inside a namespace only.
pub fn ip(arguments: &str) {
    assert!(
        std::env::var_os(INSIDE).is_some(),
        "the machine's own network is left alone"
    );
    let done = Command::new("ip").args(arguments.split(' ')).status();
    assert!(done.expect("ip is installed").success(), "ip {arguments}");
}

/// A running server; dropping it ends the process.
pub struct Peer {
    child: Child,
    addr: SocketAddr,
    dir: TempDir,
}

impl Drop for Peer {
    fn drop(&mut self) {
        // By the id of the process that was started, and nobody else's.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Peer {
    /// Where it answers, over UDP (unbound and nsd: and TCP).
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Its directory.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// rbldnsd with zones `(name, dataset type, file's text)`, in this order.
    pub fn rbldnsd(zones: &[(&str, &str, &[u8])]) -> Option<Peer> {
        Peer::rbldnsd_at(free_addr(), zones)
    }

    /// The same on an address of the caller's.
    pub fn rbldnsd_at(addr: SocketAddr, zones: &[(&str, &str, &[u8])]) -> Option<Peer> {
        let program = program("rbldnsd")?;
        let dir = directory();
        let mut command = Command::new(program);
        command.args([
            "-n",
            "-4",
            "-a",
            "-c",
            "0",
            "-b",
            &format!("{}/{}", addr.ip(), addr.port()),
        ]);
        command.arg("-w").arg(dir.path());
        for (index, (zone, kind, text)) in zones.iter().enumerate() {
            let file = format!("file{index}");
            fs::write(dir.path().join(&file), text).expect("a file in a directory of our own");
            command.arg(format!("{zone}:{kind}:{file}"));
        }
        let (zone, ..) = zones.first().expect("a zone to serve");
        Some(Peer::start(command, dir, addr, zone))
    }

    /// Has rbldnsd serve another text in its first zone.
    pub fn serve_instead(&self, text: &[u8]) {
        let (file, fresh) = (self.dir().join("file0"), self.dir().join("fresh"));
        fs::write(&fresh, text).expect("a file in a directory of our own");
        fs::rename(&fresh, &file).expect("in the same directory");
        let hung_up = Command::new("kill")
            .args(["-HUP", &self.child.id().to_string()])
            .status();
        assert!(hung_up.expect("kill is there").success());
    }

    /// Whether rbldnsd loads this file at all.
    pub fn rbldnsd_loads(kind: &str, text: &[u8]) -> Option<bool> {
        let dir = directory();
        fs::write(dir.path().join("file"), text).expect("a file in a directory of our own");
        let mut command = Command::new(program("rbldnsd")?);
        command
            .arg("-d")
            .arg("-w")
            .arg(dir.path())
            .arg(format!("zone.test:{kind}:file"));
        let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
        Some(status.expect("rbldnsd runs").success())
    }

    /// unbound, with more lines of configuration (`server:` options first, other clauses behind).
    pub fn unbound(more: &str) -> Option<Peer> {
        let program = program("unbound")?;
        let (dir, addr) = (directory(), free_addr());
        let path = dir.path().display();
        let config = format!(
            "server:\n  interface: {}\n  port: {}\n  do-daemonize: no\n  chroot: \"\"\n  username: \"\"\n  \
             directory: \"{path}\"\n  pidfile: \"\"\n  use-syslog: no\n  logfile: \"\"\n  num-threads: 1\n  \
             access-control: 127.0.0.0/8 allow\n  do-not-query-localhost: no\n  module-config: \"iterator\"\n  \
             do-ip6: no\n{more}\nremote-control:\n  control-enable: no\n",
            addr.ip(),
            addr.port()
        );
        let file = dir.path().join("unbound.conf");
        fs::write(&file, config).expect("a file in a directory of our own");
        let mut command = Command::new(program);
        command.arg("-d").arg("-c").arg(file);
        Some(Peer::start(command, dir, addr, "localhost"))
    }

    /// nsd with zones `(name, master file's text)` and more `server:` options.
    pub fn nsd(zones: &[(&str, &str)], more: &str) -> Option<Peer> {
        Peer::nsd_at(free_addr(), zones, more)
    }

    /// The same on an address of the caller's.
    pub fn nsd_at(addr: SocketAddr, zones: &[(&str, &str)], more: &str) -> Option<Peer> {
        let program = program("nsd")?;
        let dir = directory();
        let path = dir.path().display();
        let mut config = format!(
            "server:\n  ip-address: {}@{}\n  username: \"\"\n  chroot: \"\"\n  zonesdir: \"{path}\"\n  database: \"\"\n  \
             pidfile: \"{path}/nsd.pid\"\n  xfrdfile: \"{path}/xfrd\"\n  xfrdir: \"{path}\"\n  \
             zonelistfile: \"{path}/zones\"\n  logfile: \"{path}/log\"\n  server-count: 1\n{more}\n\
             remote-control:\n  control-enable: no\n",
            addr.ip(),
            addr.port()
        );
        for (index, (zone, text)) in zones.iter().enumerate() {
            fs::write(dir.path().join(format!("file{index}")), text).expect("a file in a directory of our own");
            let _ = writeln!(config, "zone:\n  name: \"{zone}\"\n  zonefile: \"file{index}\"");
        }
        let file = dir.path().join("nsd.conf");
        fs::write(&file, config).expect("a file in a directory of our own");
        let mut command = Command::new(program);
        command.arg("-d").arg("-c").arg(file);
        let (zone, _) = zones.first().expect("a zone to serve");
        Some(Peer::start(command, dir, addr, zone))
    }

    /// Starts the program and waits until it answers for `zone`.
    fn start(mut command: Command, dir: TempDir, addr: SocketAddr, zone: &str) -> Peer {
        let log = fs::File::create(dir.path().join("stderr")).expect("a file in a directory of our own");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let child = command.spawn().expect("a program that was found can be started");
        let mut peer = Peer { child, addr, dir };
        let start = Instant::now();
        while try_ask(addr, zone, RecordType::A, Duration::from_millis(100)).is_none() {
            let ended = peer.child.try_wait().expect("our own child");
            if ended.is_some() || start.elapsed() > START_MAX {
                let said = fs::read_to_string(peer.dir.path().join("stderr")).unwrap_or_default();
                panic!("{command:?} does not answer ({ended:?}): {said}");
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        peer
    }
}

/// Lines for [`Peer::unbound`] that send every question to one server, the names too that unbound keeps to itself
/// (RFC 6303, RFC 6761).
pub fn forward_all_to(addr: SocketAddr) -> String {
    let kept = [
        "test.",
        "invalid.",
        "113.0.203.in-addr.arpa.",
        "100.51.198.in-addr.arpa.",
        "2.0.192.in-addr.arpa.",
        "8.b.d.0.1.0.0.2.ip6.arpa.",
    ];
    let mut lines: String = kept
        .iter()
        .map(|zone| format!("  local-zone: \"{zone}\" nodefault\n"))
        .collect();
    let _ = writeln!(
        lines,
        "forward-zone:\n  name: \".\"\n  forward-addr: {}@{}",
        addr.ip(),
        addr.port()
    );
    lines
}

/// A reply as far as tests compare it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The response code's number.
    pub rcode: u16,
    /// The AA bit.
    pub authoritative: bool,
    /// The TC bit.
    pub truncated: bool,
    /// The answer section, each record as `TTL TYPE data`, sorted.
    pub answers: Vec<String>,
    /// The owner of the SOA in the authority section.
    pub soa_owner: Option<String>,
}

/// Asks over UDP with EDNS; panics if no answer comes.
pub fn ask(addr: SocketAddr, name: &str, rtype: RecordType) -> Reply {
    try_ask(addr, name, rtype, ANSWER_MAX).unwrap_or_else(|| panic!("{addr} is silent on {name} {rtype}"))
}

/// Asks over UDP with EDNS; none if no answer comes in time.
pub fn try_ask(addr: SocketAddr, name: &str, rtype: RecordType, wait: Duration) -> Option<Reply> {
    let (id, query) = query(name, rtype);
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a loopback socket");
    socket.connect(addr).expect("a loopback address");
    socket.set_read_timeout(Some(wait)).expect("a good timeout");
    socket.send(&query).ok()?;
    let mut buffer = [0; 65_535];
    let until = Instant::now() + wait;
    while Instant::now() < until {
        let len = socket.recv(&mut buffer).ok()?;
        if let Some(reply) = read(&buffer[..len], id, name) {
            return Some(reply);
        }
    }
    None
}

/// Asks over TCP; panics if no answer comes.
pub fn ask_tcp(addr: SocketAddr, name: &str, rtype: RecordType) -> Reply {
    let (id, query) = query(name, rtype);
    let mut stream = TcpStream::connect(addr).expect("a server that takes TCP");
    stream.set_read_timeout(Some(ANSWER_MAX)).expect("a good timeout");
    let len = u16::try_from(query.len()).expect("a query is short");
    stream
        .write_all(&[&len.to_be_bytes()[..], &query].concat())
        .expect("an open connection");
    let mut len = [0; 2];
    stream.read_exact(&mut len).expect("a length");
    let mut message = vec![0; usize::from(u16::from_be_bytes(len))];
    stream.read_exact(&mut message).expect("a whole message");
    read(&message, id, name).expect("an answer to what was asked")
}

fn query(name: &str, rtype: RecordType) -> (u16, Vec<u8>) {
    let mut message = Message::query();
    message.metadata.recursion_desired = true;
    let name = Name::from_ascii(format!("{}.", name.trim_end_matches('.'))).expect("a good name");
    message.add_query(Query::query(name, rtype));
    let mut edns = Edns::new();
    edns.set_max_payload(2_048);
    message.set_edns(edns);
    (
        message.metadata.id,
        message.to_vec().expect("a message that can be written"),
    )
}

fn read(octets: &[u8], id: u16, name: &str) -> Option<Reply> {
    let message = Message::from_vec(octets).ok()?;
    let asked = message.queries.first()?.name().to_ascii();
    if message.metadata.id != id || asked.trim_end_matches('.') != name.trim_end_matches('.') {
        return None;
    }
    let mut answers: Vec<String> = message
        .answers
        .iter()
        .map(|record| format!("{} {} {}", record.ttl, record.record_type(), shown(&record.data)))
        .collect();
    answers.sort();
    let soa = message
        .authorities
        .iter()
        .find(|record| record.record_type() == RecordType::SOA);
    Some(Reply {
        rcode: message.metadata.response_code.into(),
        authoritative: message.metadata.authoritative,
        truncated: message.metadata.truncation,
        answers,
        soa_owner: soa.map(|record| record.name.to_ascii()),
    })
}

/// Record data with every octet told apart.
fn shown(data: &RData) -> String {
    match data {
        RData::TXT(txt) => {
            let strings: Vec<String> = txt
                .txt_data
                .iter()
                .map(|text| text.escape_ascii().to_string())
                .collect();
            strings.join("\" \"")
        }
        other => other.to_string(),
    }
}

/// A loopback port that is free for UDP and TCP. Another process may take it before it is used; then the start fails.
pub fn free_addr() -> SocketAddr {
    (0..100)
        .find_map(|_| {
            let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).ok()?;
            let addr = socket.local_addr().ok()?;
            TcpListener::bind(addr).ok().map(|_| addr)
        })
        .expect("a free port among a hundred")
}

/// A directory that servers can read after they have given up their rights.
fn directory() -> TempDir {
    let dir = tempfile::tempdir().expect("a temporary directory");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).expect("a directory of our own");
    }
    dir
}
