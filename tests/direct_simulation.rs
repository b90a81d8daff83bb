//! Direct mode in virtual time: what a zone's name servers may cost when they change all the time, and that a server which moves
//! is followed however often those that cannot be asked have been looked up before.
//!
//! One resolver tells who serves the zone. All servers that it has ever named answer.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use reputon::clock::{Instant, Span};
use reputon::datagram::{Batch, Port, Received, TcpFailure, TcpKey, TcpQuery};
use reputon::dnsxl::{Catalogue, ListIndex};
use reputon::plan::{Keys, Plan};
use reputon::scan::{Network, Progress, RunReport, Scan, ScanOptions, Snapshot, Stop};
use reputon::targets::{ReadOptions, TargetSet};

const CATALOGUE: &str = "[operator]\nid = \"own\"\nname = \"Own\"\n[operator.terms]\nuse = \"free\"\n[[list]]\nid = \"own\"\n\
                         zone = \"own.test\"\nkinds = [\"ip4\"]\nrole = \"block\"\ntier = \"B\"\ntxt = false\n";

/// Half an hour at ten questions a second.
const HALF_AN_HOUR: &str = "198.18.0.0/18";

/// The servers' addresses are looked up again as soon as a scan does.
const TTL: u8 = 60;

/// Waits in a row for a moment that has passed, at most: more would keep a processor busy with nothing.
const SPUN_MAX: u32 = 100;

/// Types of records (RFC 1035 §3.2.2, RFC 3596).
const A: u16 = 1;
const NS: u16 = 2;
const AAAA: u16 = 28;

/// How the zone's name servers change.
#[derive(Debug, Clone, Copy, PartialEq)]
enum World {
    /// Each lookup brings four new addresses.
    EverNew,
    /// One has an IPv4 address, and another one after a quarter of an hour; seven have IPv6 addresses, to which there is no
    /// way.
    Moves,
}

/// When the server moves.
const MOVES: Span = Span::from_secs(900);

/// A reply: when it comes, its number, the port, from where, and the octets.
type Coming = (Instant, u64, u16, SocketAddr, Vec<u8>);

struct Net {
    world: World,
    now: Instant,
    ports: u16,
    order: u64,
    lookups: u8,
    /// Waits in a row for a moment that had passed.
    spun: u32,
    coming: BinaryHeap<Reverse<Coming>>,
    /// Servers of the zone that were asked something.
    asked: BTreeSet<IpAddr>,
}

fn resolver() -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 53], 53))
}

impl Net {
    fn new(world: World) -> Net {
        Net {
            world,
            now: Instant::ZERO,
            ports: 0,
            order: 0,
            lookups: 0,
            spun: 0,
            coming: BinaryHeap::new(),
            asked: BTreeSet::new(),
        }
    }

    fn has_moved(&self) -> bool {
        self.now >= Instant::ZERO + MOVES
    }

    /// What a name server's address records hold now.
    fn address(&self, server: u8, rtype: u16) -> Option<IpAddr> {
        match (self.world, rtype) {
            (World::EverNew, A) => Some(Ipv4Addr::new(203, 0, self.lookups, server).into()),
            (World::Moves, A) if server == 0 => Some(Ipv4Addr::new(203, 0, 113, u8::from(self.has_moved())).into()),
            (World::Moves, AAAA) if server > 0 => {
                Some(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, server.into()).into())
            }
            _ => None,
        }
    }

    /// What comes back of a query.
    fn answer(&mut self, to: SocketAddr, query: &[u8]) -> Vec<u8> {
        let mut labels = Vec::new();
        let mut at = 12;
        while query[at] != 0 {
            let label = &query[at + 1..at + 1 + usize::from(query[at])];
            labels.push(String::from_utf8_lossy(label).to_ascii_lowercase());
            at += 1 + label.len();
        }
        let rtype = u16::from_be_bytes([query[at + 1], query[at + 2]]);
        let mut reply = query[..at + 5].to_vec();
        reply[2] |= 0x80;
        (reply[7], reply[11]) = (0, 0);
        if to != resolver() {
            self.asked.insert(to.ip());
            let is_listed = labels == ["2", "0", "0", "127", "own", "test"];
            reply[2] |= 0x04; // it speaks for the zone
            match is_listed {
                true if rtype == A => add(&mut reply, A, &[127, 0, 0, 2]),
                true => (),
                false => reply[3] = 3,
            }
            return reply;
        }
        let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
        match (&labels[..], rtype) {
            (["own", "test"], NS) => {
                self.lookups += 1;
                let servers = match self.world {
                    World::EverNew => 4,
                    World::Moves => 8,
                };
                for server in 0..servers {
                    // nsN.own.test, its end by a pointer to the question.
                    add(&mut reply, NS, &[3, b'n', b's', b'0' + server, 0xc0, 12]);
                }
            }
            ([name, "own", "test"], A | AAAA) => match self.address(name.as_bytes()[2] - b'0', rtype) {
                Some(IpAddr::V4(address)) => add(&mut reply, A, &address.octets()),
                Some(IpAddr::V6(address)) => add(&mut reply, AAAA, &address.octets()),
                None => (),
            },
            _ => reply[3] = 3,
        }
        reply
    }
}

/// The lookup that named an address of [`World::EverNew`].
fn lookup_of(address: &IpAddr) -> Option<u8> {
    match address {
        IpAddr::V4(address) => Some(address.octets()[2]),
        IpAddr::V6(_) => None,
    }
}

/// Adds a record of the name that was asked for.
fn add(reply: &mut Vec<u8>, rtype: u16, rdata: &[u8]) {
    reply[7] += 1;
    reply.extend([0xc0, 12]);
    reply.extend(rtype.to_be_bytes());
    reply.extend([0, 1, 0, 0, 0, TTL, 0, rdata.len() as u8]);
    reply.extend(rdata);
}

impl Network for Net {
    fn now(&self) -> Instant {
        self.now
    }

    fn open_port(&mut self, like: SocketAddr, _: bool) -> io::Result<Port> {
        if like.is_ipv6() {
            return Err(io::ErrorKind::NetworkUnreachable.into());
        }
        self.ports += 1;
        Ok(Port(self.ports - 1))
    }

    fn send(&mut self, batch: &Batch) {
        for cell in batch.as_slice() {
            let reply = self.answer(cell.to, cell.octets());
            self.order += 1;
            let at = self.now + Span::from_millis(20);
            self.coming.push(Reverse((at, self.order, cell.port.0, cell.to, reply)));
        }
    }

    fn receive(&mut self, deliver: &mut dyn FnMut(Received<'_>)) -> usize {
        let mut count = 0;
        while self.coming.peek().is_some_and(|Reverse((at, ..))| *at <= self.now) {
            let Some(Reverse((_, _, port, from, octets))) = self.coming.pop() else {
                break;
            };
            let (port, octets) = (Port(port), &octets[..]);
            deliver(Received { port, from, octets });
            count += 1;
        }
        count
    }

    fn ask_tcp(&mut self, query: TcpQuery) -> Result<(), TcpKey> {
        Err(query.key) // nothing is cut short
    }

    fn poll_tcp(&mut self) -> Option<(TcpKey, Result<Vec<u8>, TcpFailure>)> {
        None
    }

    fn wait(&mut self, until: Instant) {
        let next = self.coming.peek().map_or(Instant::FAR, |Reverse((at, ..))| *at);
        let next = next.min(until).min(self.now + Span::from_millis(100));
        self.spun = if until <= self.now { self.spun + 1 } else { 0 };
        assert!(self.spun < SPUN_MAX, "{until:?} is waited for at {:?}", self.now);
        self.now = next.max(self.now + Span::from_micros(1));
        assert!(
            self.now < Instant::ZERO + Span::from_secs(7_200),
            "the run does not end"
        );
    }
}

struct Unwatched;

impl Progress for Unwatched {
    fn show(&mut self, _: &Snapshot) {}
}

fn scan(net: &mut Net, targets: &str, rate_qps: f64) -> RunReport {
    let catalogue = Catalogue::parse(&[("own.toml", CATALOGUE)]).expect("a good catalogue");
    let targets = [targets.to_owned()];
    let targets = TargetSet::read(&targets, &mut io::empty(), ReadOptions::default()).expect("good targets");
    let plan = Plan::new(&catalogue, &targets, &[ListIndex(0)], &Keys::new());
    let options = ScanOptions {
        resolvers: vec![resolver()],
        direct: true,
        rate_qps: Some(rate_qps),
        ..ScanOptions::default()
    };
    let scan = Scan {
        plan: &plan,
        options: &options,
    };
    let (mut nobody, mut unwatched) = ((), Unwatched);
    scan.run(net, [7; 32], (&mut nobody, &mut unwatched), &Stop::new())
        .expect("nothing of our own fails")
}

/// Whoever names other servers each minute makes no table of ours grow for ever: a cut has 64 addresses in a run, those of the
/// first sixteen lookups here. The servers that are known by then go on.
#[test]
fn a_zone_that_names_other_servers_each_minute_is_asked_at_its_first_sixty_four() {
    let mut net = Net::new(World::EverNew);
    let report = scan(&mut net, HALF_AN_HOUR, 10.0);
    assert!(net.lookups > 20, "{} lookups of four addresses", net.lookups);
    assert_eq!(report.lists[0].not_listed, 16_384);
    let by_lookup: BTreeSet<u8> = net.asked.iter().filter_map(lookup_of).collect();
    assert_eq!(by_lookup, (1..=16).collect(), "{:?}", net.asked);
}

/// Addresses to which there is no way are none of those 64, however often they are looked up: a server that moves later is
/// followed.
#[test]
fn a_server_that_moves_late_is_followed_past_others_to_which_there_is_no_way() {
    let mut net = Net::new(World::Moves);
    let report = scan(&mut net, HALF_AN_HOUR, 10.0);
    assert!(net.lookups > 12, "{} lookups", net.lookups);
    assert_eq!(report.lists[0].not_listed, 16_384, "{:?}", report.lists[0]);
    assert_eq!(net.asked.len(), 2, "{:?}", net.asked);
}

/// At one question in four seconds, a lookup of eight servers takes longer than they are kept: it is waited for, and not for the
/// moment at which it would begin again.
#[test]
fn servers_that_are_being_looked_up_are_not_due_again() {
    let mut net = Net::new(World::Moves);
    let report = scan(&mut net, "198.18.0.0/25", 0.25);
    assert!(net.lookups > 1, "{} lookups", net.lookups);
    assert_eq!(report.lists[0].not_listed, 128);
}
