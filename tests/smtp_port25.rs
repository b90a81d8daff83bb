//! Port 25 end to end, through the real binary in a network namespace of the test's own: a real postfix, peers that are
//! slow, endless or hostile, and domains that name them as exchangers. Connections are counted where they arrive.

mod harmless;
mod peers;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use assert_cmd::cargo::CommandCargoExt;
use harmless::{is_safe, safe};
use peers::Peer;
use peers::postfix::Postfix;
use serde_json::Value;

const HEAD: &str = "$TTL 300\n@ SOA ns.shop.test. host.shop.test. 1 600 300 86400 60\n@ NS ns.shop.test.\n";

/// Where mail is taken: postfix, and peers that are no such thing.
const POSTFIX: &str = "203.0.113.25";
const SLOW: &str = "203.0.113.26";
const HOSTILE: &str = "203.0.113.27";
const ENDLESS: &str = "203.0.113.28";
const SHARED: &str = "203.0.113.29";

/// Text that would act on a screen, in a spreadsheet, in a page, in a metric.
const BANNER: &[u8] = b"220 =HYPERLINK(\"http://x.test\") \x1b]0;owned\x07\x1b[2J </script><script>alert(1)</script> \xff\xe2\x80\xae | `x`\r\n";
const HELLO: &[u8] = b"250-@SUM(A1) \x1b[31m\r\n250-+cmd|'/C calc'!A0\r\n250-=1+2\x00\x08\r\n250 STARTTLS\"}\r\n";

/// A peer at port 25 that does something with each connection.
struct Mouth {
    connections: Arc<AtomicUsize>,
    most_at_once: Arc<AtomicUsize>,
}

impl Mouth {
    fn at(address: &str, act: impl Fn(&mut TcpStream) + Clone + Send + 'static) -> Mouth {
        let listener = TcpListener::bind((address, 25)).expect("port 25 of our own namespace");
        let mouth = Mouth {
            connections: Arc::default(),
            most_at_once: Arc::default(),
        };
        let (connections, most, open) = (
            Arc::clone(&mouth.connections),
            Arc::clone(&mouth.most_at_once),
            Arc::new(AtomicUsize::new(0)),
        );
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                connections.fetch_add(1, Ordering::SeqCst);
                most.fetch_max(open.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                let (act, open) = (act.clone(), Arc::clone(&open));
                std::thread::spawn(move || {
                    act(&mut stream);
                    open.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        mouth
    }

    /// Connections since the last call, and how many there were at once.
    fn count(&self) -> (usize, usize) {
        (
            self.connections.swap(0, Ordering::SeqCst),
            self.most_at_once.swap(0, Ordering::SeqCst),
        )
    }
}

/// Says the lines, each after something was heard.
fn says(lines: &'static [&'static [u8]]) -> impl Fn(&mut TcpStream) + Clone + Send + 'static {
    move |stream| {
        for line in lines {
            if stream.write_all(line).is_err() || stream.read(&mut [0; 512]).unwrap_or(0) == 0 {
                return;
            }
        }
    }
}

struct Peers {
    nsd: Peer,
    postfix: Postfix,
    slow: Mouth,
    hostile: Mouth,
    endless: Mouth,
    shared: Mouth,
}

fn peers() -> Option<Peers> {
    let mut zones = vec![
        (
            "shop.test".to_owned(),
            format!("{HEAD}@ MX 10 mail\nmail A {POSTFIX}\n@ TXT \"v=spf1 mx -all\"\n"),
        ),
        (
            "slow.test".to_owned(),
            format!("{HEAD}@ MX 10 in\nin A {SLOW}\nalso MX 10 in\n"),
        ),
        (
            "evil.test".to_owned(),
            format!("{HEAD}@ MX 10 in\n@ MX 20 endless\nin A {HOSTILE}\nendless A {ENDLESS}\n"),
        ),
        (
            "inner.test".to_owned(),
            format!("{HEAD}@ MX 10 in\nin A 127.0.0.1\nin A 10.0.0.25\n"),
        ),
        (
            "closed.test".to_owned(),
            format!("{HEAD}@ MX 10 in\nin A 203.0.113.30\n"),
        ),
        (
            "113.0.203.in-addr.arpa".to_owned(),
            format!("{HEAD}25 PTR mail.shop.test.\n27 PTR in.evil.test.\n"),
        ),
    ];
    let mut many = HEAD.to_owned();
    for number in 0..40 {
        // Some through a name of their own, all at one host.
        many += &format!("d{number} MX 10 mx{}\n", number % 4);
    }
    for number in 0..4 {
        many += &format!("mx{number} A {SHARED}\n");
    }
    zones.push(("many.test".to_owned(), many));
    let zones: Vec<(&str, &str)> = zones
        .iter()
        .map(|(zone, text)| (zone.as_str(), text.as_str()))
        .collect();
    let nsd = Peer::nsd(&zones, "  rrl-ratelimit: 0\n")?;
    let postfix = Postfix::at(
        SocketAddr::new(POSTFIX.parse().expect("an address"), 25),
        "mail.shop.test",
    )?;
    Some(Peers {
        nsd,
        postfix,
        // An octet now and then, for ever: a reply has one deadline however it drips.
        slow: Mouth::at(SLOW, |stream| {
            while stream.write_all(b"2").is_ok() {
                std::thread::sleep(Duration::from_millis(100));
            }
        }),
        hostile: Mouth::at(HOSTILE, says(&[BANNER, HELLO, b"221 \x1b[31m\r\n"])),
        endless: Mouth::at(ENDLESS, |stream| {
            // One line of a megabyte: nobody reads it to its end.
            let _ = stream.write_all(&[b"220 ", [b'='; 1_000_000].as_slice(), b"\r\n"].concat());
        }),
        shared: Mouth::at(
            SHARED,
            says(&[
                b"220 mx0.many.test ready\r\n",
                b"250-mx0.many.test\r\n250 STARTTLS\r\n",
                b"221 bye\r\n",
            ]),
        ),
    })
}

fn addresses() -> Vec<String> {
    [POSTFIX, SLOW, HOSTILE, ENDLESS, SHARED]
        .iter()
        .map(|address| format!("{address}/32"))
        .collect()
}

fn is_inside(test: &str) -> bool {
    let addresses = addresses();
    peers::inside(test, &addresses.iter().map(String::as_str).collect::<Vec<_>>())
}

fn run(folder: &Path, resolver: SocketAddr, args: &[&str]) -> Output {
    let mut command = Command::new(assert_cmd::cargo::cargo_bin("reputon"));
    command
        .current_dir(folder)
        .stdin(Stdio::null())
        .env("REPUTON_CONFIG", "none");
    command.args(args).args(["--resolver", &resolver.to_string()]);
    command.output().expect("it runs")
}

/// A scan with what the stages need, without lists.
fn scan_without_lists(folder: &Path, resolver: SocketAddr, more: &[&str]) -> Output {
    std::fs::write(folder.join("lab.toml"), reputon::lab::CATALOGUE).expect("written");
    let args = [
        "scan",
        "--only-catalogue",
        "--catalogue",
        "lab.toml",
        "--lists",
        "lab-dbl",
        "--skip-health",
        "--timeout",
        "0.3",
        "--retries",
        "1",
        "--db",
        "none",
        "-q",
    ];
    run(folder, resolver, &[&args, more].concat())
}

/// The same with the stage smtp.
fn scan(folder: &Path, resolver: SocketAddr, more: &[&str]) -> Output {
    scan_without_lists(folder, resolver, &[&["--smtp"], more].concat())
}

fn targets(output: &Output) -> Vec<Value> {
    let report: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)));
    report["targets"].as_array().expect("targets").clone()
}

fn of<'a>(targets: &'a [Value], name: &str) -> &'a Value {
    let mut found = targets.iter().filter(|target| target["target"] == name);
    found.next().unwrap_or_else(|| panic!("{name} is not told of"))
}

fn codes(target: &Value) -> Vec<&str> {
    let findings = target["findings"].as_array().expect("findings").iter();
    let smtp = findings.filter(|finding| finding["stage"] == "smtp");
    smtp.map(|finding| finding["code"].as_str().expect("a word")).collect()
}

#[test]
fn addresses_and_exchangers_are_greeted_at_port_25() {
    if !is_inside("addresses_and_exchangers_are_greeted_at_port_25") {
        return;
    }
    let Some(peers) = peers() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let before = peers.postfix.connections();
    let output = scan(
        folder.path(),
        peers.nsd.addr(),
        &[
            "--stages",
            "rdns,mx",
            "-f",
            "json",
            "203.0.113.24/29",
            "shop.test",
            "slow.test",
            "also.slow.test",
            "evil.test",
            "inner.test",
            "closed.test",
        ],
    );
    let all = targets(&output);

    // postfix, by its address and as an exchanger: the name, STARTTLS, both ways of the name; one connection for both.
    let own = &of(&all, POSTFIX)["smtp"];
    assert_eq!(
        (&own["state"], &own["code"], &own["name"]),
        (&"open".into(), &220.into(), &"mail.shop.test".into())
    );
    assert_eq!(
        (&own["is_ptr"], &own["has_address"], &own["starttls"]),
        (&true.into(), &true.into(), &false.into())
    );
    let shop = of(&all, "shop.test");
    let host = &shop["smtp"]["hosts"][0];
    assert_eq!(
        (&host["host"], &host["address"], &host["state"]),
        (&"mail.shop.test".into(), &POSTFIX.into(), &"open".into())
    );
    assert_eq!((&host["is_ptr"], &host["has_address"]), (&true.into(), &true.into()));
    assert_eq!(codes(shop), ["smtp_no_starttls"]);
    assert_eq!(
        shop["findings"]
            .as_array()
            .expect("findings")
            .iter()
            .find(|one| one["stage"] == "smtp")
            .expect("one")["via"],
        POSTFIX
    );
    assert_eq!(peers.postfix.connections() - before, 1);

    // One that drips, asked for by three: one connection, given up in time, and unknown rather than anything else.
    for slow in [
        &of(&all, SLOW)["smtp"],
        &of(&all, "slow.test")["smtp"]["hosts"][0],
        &of(&all, "also.slow.test")["smtp"]["hosts"][0],
    ] {
        assert_eq!(
            (&slow["state"], &slow["ended_at"]),
            (&"silent".into(), &"greeting".into()),
            "{slow}"
        );
    }
    assert_eq!(peers.slow.count(), (1, 1));

    // The hostile ones, by address and as exchangers of one domain.
    let evil = of(&all, "evil.test");
    assert_eq!(evil["smtp"]["hosts"][0]["state"], "open");
    assert_eq!(evil["smtp"]["hosts"][1]["state"], "not_smtp", "{evil}");
    assert_eq!(codes(evil), ["smtp_no_name", "smtp_no_starttls", "smtp_not_smtp"]);
    assert_eq!(of(&all, ENDLESS)["smtp"]["state"], "not_smtp");
    assert_eq!((peers.hostile.count(), peers.endless.count()), ((1, 1), (1, 1)));

    // Addresses of special use are told of, and nobody connects to them; a host without a mail server is no error.
    let inner = of(&all, "inner.test");
    assert_eq!(inner["smtp"]["hosts"], serde_json::json!([]));
    assert!(inner["findings"].to_string().contains("mx_special_use"), "{inner}");
    assert!(
        ["refused", "unreachable"].contains(
            &of(&all, "closed.test")["smtp"]["hosts"][0]["state"]
                .as_str()
                .expect("a word")
        )
    );
}

#[test]
fn a_host_that_all_name_gets_one_connection() {
    if !is_inside("a_host_that_all_name_gets_one_connection") {
        return;
    }
    let Some(peers) = peers() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let domains: Vec<String> = (0..40).map(|number| format!("d{number}.many.test")).collect();
    let mut args = vec!["--stages", "none", "-f", "json", "203.0.113.28/30"];
    args.extend(domains.iter().map(String::as_str));
    let all = targets(&scan(folder.path(), peers.nsd.addr(), &args));
    assert_eq!(all.len(), 44);
    for domain in &domains {
        let host = &of(&all, domain)["smtp"]["hosts"][0];
        assert_eq!(
            (&host["address"], &host["state"]),
            (&SHARED.into(), &"open".into()),
            "{host}"
        );
    }
    assert_eq!(of(&all, SHARED)["smtp"]["state"], "open");
    assert_eq!(peers.shared.count(), (1, 1), "one connection for 41 targets");
}

/// The lab's world has no mail servers, and its addresses may be somebody's: no port 25 is knocked at in a rehearsal.
#[test]
fn a_rehearsal_reads_no_banners() {
    if !is_inside("a_rehearsal_reads_no_banners") {
        return;
    }
    let listener = TcpListener::bind((POSTFIX, 25)).expect("the lab's mail server's address is ours in here");
    listener.set_nonblocking(true).expect("a socket of our own");
    let scan = ["scan", "--lab", "--config", "none", "-f", "none", POSTFIX];
    for (command, more) in [
        (&scan[..], &["--smtp"][..]),
        (&scan, &["--stages", "rdns,smtp"]),
        (
            &["check", "--lab", "--config", "none", "mail.example-shop.test"],
            &["--smtp"],
        ),
    ] {
        let mut reputon = Command::cargo_bin("reputon").expect("the binary is built");
        let output = reputon.args(command).args(more).output().expect("it runs");
        assert_ne!(
            output.status.code(),
            Some(2),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    let knocked = listener.accept().map(|(_, from)| from);
    assert!(knocked.is_err(), "{knocked:?}");
}

#[test]
fn nobody_is_connected_to_without_being_asked_to() {
    if !is_inside("nobody_is_connected_to_without_being_asked_to") {
        return;
    }
    let Some(peers) = peers() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let args = ["--stages", "all", "-f", "json", SHARED, "d0.many.test", "evil.test"];
    let output = scan_without_lists(folder.path(), peers.nsd.addr(), &args);
    assert!(targets(&output).iter().all(|target| target["smtp"].is_null()));
    run(
        folder.path(),
        peers.nsd.addr(),
        &[
            "check",
            "evil.test",
            "--only-catalogue",
            "--catalogue",
            "lab.toml",
            "--lists",
            "lab-dbl",
        ],
    );
    assert_eq!(
        (peers.shared.count().0, peers.hostile.count().0, peers.endless.count().0),
        (0, 0, 0)
    );
}

#[test]
fn r15_r16_a_hostile_banner_acts_in_no_report() {
    if !is_inside("r15_r16_a_hostile_banner_acts_in_no_report") {
        return;
    }
    let Some(peers) = peers() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let mut files = vec![
        "all.csv",
        "all.targets.csv",
        "all.lists.csv",
        "all.json",
        "all.jsonl",
        "all.html",
        "all.reputon.json",
        "all.prom",
        "all.md",
    ];
    if cfg!(feature = "parquet") {
        files.push("all.parquet");
    }
    for format in ["table", "json", "jsonl", "csv", "md"] {
        let mut args = vec!["--stages", "rdns,mx", "-f", format, HOSTILE, ENDLESS, "evil.test"];
        if format == "table" {
            args.extend(files.iter().flat_map(|file| ["-o", file]));
            args.push("--all-rows");
        }
        let output = scan(folder.path(), peers.nsd.addr(), &args);
        is_safe(&format!("stdout.{format}"), &output.stdout);
        safe("standard error", &output.stderr);
        assert!(!output.stdout.is_empty(), "{format}");
    }
    let mut told = 0;
    for file in &files {
        let octets = std::fs::read(folder.path().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
        is_safe(file, &octets);
        assert!(octets.len() < 400_000, "{file}: a megabyte of a stranger's");
        told += usize::from(String::from_utf8_lossy(&octets).contains("HYPERLINK"));
    }
    assert!(told >= 4, "the banner is in {told} files: escaped, and not left out");

    for args in [
        ["check", "evil.test", "--smtp", "-f", "table"].as_slice(),
        &["check", "evil.test", "--smtp", "-f", "json"],
        &["smtp-out", HOSTILE, "--wait", "2", "-f", "table"],
        &["smtp-out", HOSTILE, "--wait", "2", "-f", "json"],
        &["smtp-out", ENDLESS, "--wait", "2", "-f", "table"],
    ] {
        let lists = [
            "--only-catalogue",
            "--catalogue",
            "lab.toml",
            "--lists",
            "lab-dbl",
            "--skip-health",
        ];
        let lists = if args[0] == "check" { &lists[..] } else { &[] };
        let output = run(folder.path(), peers.nsd.addr(), &[args, lists].concat());
        let text = safe(&args.join(" "), &output.stdout);
        assert!(text.contains("HYPERLINK") || args[1] == ENDLESS, "{args:?}: {text}");
        assert!(text.len() < 100_000);
        safe("standard error", &output.stderr);
    }
}

#[test]
fn a_letter_says_how_the_server_greets() {
    if !is_inside("a_letter_says_how_the_server_greets") {
        return;
    }
    let Some(peers) = peers() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("lab.toml"), reputon::lab::CATALOGUE).expect("written");
    let before = peers.postfix.connections();
    for subject in ["mail.shop.test", POSTFIX, "shop.test"] {
        let args = [
            "check",
            subject,
            "--smtp",
            "-f",
            "table",
            "--only-catalogue",
            "--catalogue",
            "lab.toml",
            "--lists",
            "lab-dbl",
            "--skip-health",
        ];
        let output = run(folder.path(), peers.nsd.addr(), &args);
        let letter = String::from_utf8(output.stdout).expect("UTF-8");
        assert!(
            letter.contains("✗ the server at 203.0.113.25 does not offer STARTTLS"),
            "{letter}"
        );
        assert_eq!(letter.matches("✗ the server at 203.0.113.25").count(), 1, "{letter}");
    }
    assert_eq!(peers.postfix.connections() - before, 3, "one connection a letter");
    let out = run(
        folder.path(),
        peers.nsd.addr(),
        &["smtp-out", "mail.shop.test", "-f", "json"],
    );
    let out: Value = serde_json::from_slice(&out.stdout).expect("an object");
    assert_eq!(
        (&out["port_25"], &out["tried"][0]["address"]),
        (&"open".into(), &POSTFIX.into()),
        "{out}"
    );
}
