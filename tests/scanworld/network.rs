//! The network of the world: an event queue in virtual time, held to every limit at each packet.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet};
use std::io;
use std::net::SocketAddr;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use reputon::clock::{Instant, Span};
use reputon::datagram::{Batch, Port, Received, TcpFailure, TcpKey, TcpQuery};
use reputon::scan::Network;
use reputon::wire::Rcode;

use super::server::Server;
use super::tally::Limit;
use super::truth::{FORGED, Question, World, add_address, is_listed, reply};

/// How late the driver wakes, at most: what has come by then is taken together, as from a socket's buffer.
const SLACK: Span = Span::from_micros(500);

/// Longest wait without a look around, as in the real network.
const WAIT_MAX: Span = Span::from_millis(100);

/// Times that the driver may come back at one moment with nothing to do: more is a busy loop.
const SPINS_MAX: u32 = 1_000;

/// Questions that an attacker is taken to guess right: the latest.
const GUESSES: usize = 64;

/// The end of a subject in the space of benchmarks (198.18.0.0/16), which no canary is in: a target.
const BENCHMARKED: &[u8] = b"\x0218\x03198";

struct Coming {
    at: Instant,
    order: u64,
    port: Port,
    from: SocketAddr,
    octets: Vec<u8>,
}

impl PartialEq for Coming {
    fn eq(&self, other: &Coming) -> bool {
        self.order == other.order
    }
}

impl Eq for Coming {}

impl PartialOrd for Coming {
    fn partial_cmp(&self, other: &Coming) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Coming {
    fn cmp(&self, other: &Coming) -> std::cmp::Ordering {
        (self.at, self.order).cmp(&(other.at, other.order))
    }
}

/// What one list's packets are held to.
#[derive(Debug, Clone)]
pub(crate) struct Account {
    /// By operator: packets so far, what a day allows, and the rate.
    pub(crate) packets: u64,
    pub(crate) budget: Option<u64>,
    pub(crate) limit: Option<Limit>,
}

/// When packets about a list left.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Marks {
    pub(crate) packets: u64,
    pub(crate) first: Instant,
    /// Of the packet after which a server's window is free to grow.
    pub(crate) thousandth: Instant,
    pub(crate) last: Instant,
    /// Of those about targets: the first, the last that was asked for the first time, and the last.
    pub(crate) begun: Instant,
    pub(crate) asked: Instant,
    pub(crate) again: Instant,
}

impl Marks {
    fn note(&mut self, now: Instant) {
        self.packets += 1;
        self.last = now;
        match self.packets {
            1 => self.first = now,
            1_000 => self.thousandth = now,
            _ => (),
        }
    }

    /// It is about a target: its address, or its text; `first` if nobody has asked for that before.
    fn note_target(&mut self, now: Instant, first: bool) {
        if self.begun == Instant::ZERO {
            self.begun = now;
        }
        if first {
            self.asked = now;
        }
        self.again = now;
    }
}

/// The network.
pub(crate) struct SimNetwork {
    pub(crate) servers: Vec<Server>,
    pub(crate) accounts: Vec<Account>,
    /// The operator of each list.
    pub(crate) operator_of: Vec<usize>,
    pub(crate) global: Option<Limit>,
    /// Forged replies a second.
    pub(crate) forged_qps: u64,
    pub(crate) forged: u64,
    /// UDP packets that left.
    pub(crate) sent: u64,
    /// Queries for names outside all lists (checks of resolvers).
    pub(crate) outside: u64,
    /// The run must be over by then.
    pub(crate) within: Instant,
    /// When packets about each list left: some moments of them.
    pub(crate) marks: Vec<Marks>,
    /// What has been asked for, where that is told apart from what is asked again: list, subject.
    pub(crate) told_apart: Option<HashSet<(usize, Vec<u8>)>>,
    world: World,
    at: HashMap<SocketAddr, usize>,
    ports: Vec<Option<SocketAddr>>,
    now: Instant,
    spins: u32,
    order: u64,
    coming: BinaryHeap<Reverse<Coming>>,
    tcp: BinaryHeap<Reverse<(Instant, u64)>>,
    tcp_results: HashMap<u64, Result<Vec<u8>, TcpFailure>>,
    guesses: Vec<(SocketAddr, Vec<u8>)>,
    forged_until: Instant,
    rng: StdRng,
}

/// The address of a server by its number, in the network of whoever asks if it is `near`.
pub(crate) fn address_of(server: usize, near: bool) -> SocketAddr {
    let [high, low] = (server as u16).to_be_bytes(); // some hundreds
    let [first, second] = if near { [10, 0] } else { [198, 51] };
    SocketAddr::from(([first, second, high + 100, low], 53))
}

impl SimNetwork {
    pub(crate) fn new(
        world: World,
        (servers, near): (Vec<Server>, bool),
        accounts: Vec<Account>,
        operator_of: Vec<usize>,
    ) -> SimNetwork {
        let numbers = 0..servers.len();
        SimNetwork {
            at: numbers.map(|server| (address_of(server, near), server)).collect(),
            servers,
            accounts,
            global: None,
            forged_qps: 0,
            forged: 0,
            sent: 0,
            outside: 0,
            within: Instant::FAR,
            marks: vec![Marks::default(); operator_of.len()],
            told_apart: None,
            operator_of,
            world,
            ports: Vec::new(),
            now: Instant::ZERO,
            spins: 0,
            order: 0,
            coming: BinaryHeap::new(),
            tcp: BinaryHeap::new(),
            tcp_results: HashMap::new(),
            guesses: Vec::new(),
            forged_until: Instant::ZERO,
            rng: StdRng::seed_from_u64(world.seed ^ 0x6e65_7477_6f72_6b00),
        }
    }

    /// Holds a packet to every limit. The operator sees the packets over TCP too.
    fn count(&mut self, question: &Question<'_>) {
        if let Some(limit) = &mut self.global {
            limit.pass(self.now);
        }
        let Some(list) = question.list else {
            self.outside += 1;
            return;
        };
        self.marks[list].note(self.now);
        if let Some(known) = &mut self.told_apart
            && question.subject.ends_with(BENCHMARKED)
        {
            let first = !question.text && known.insert((list, question.subject.to_ascii_lowercase()));
            self.marks[list].note_target(self.now, first);
        }
        let account = &mut self.accounts[self.operator_of[list]];
        account.packets += 1;
        if let Some(budget) = account.budget {
            assert!(
                account.packets <= budget,
                "operator of l{list}: over the day's {budget}"
            );
        }
        if let Some(limit) = &mut account.limit {
            limit.pass(self.now);
        }
    }

    fn forge(&mut self, deliver: &mut dyn FnMut(Received<'_>)) {
        if self.forged_qps == 0 || self.guesses.is_empty() {
            self.forged_until = self.now;
            return;
        }
        let elapsed = self.now.since(self.forged_until).as_nanos();
        let count = elapsed * self.forged_qps / 1_000_000_000;
        if count == 0 {
            return;
        }
        self.forged_until = self.now;
        for _ in 0..count {
            let (server, query) = &self.guesses[self.rng.random_range(0..self.guesses.len())];
            let question = Question::of(query);
            let lie = question
                .list
                .is_some_and(|list| is_listed(self.world, list, question.subject));
            let mut message = reply(
                query,
                &question,
                if lie { Rcode::NXDOMAIN } else { Rcode::NOERROR },
                true,
            );
            if !lie {
                add_address(&mut message, 60, FORGED);
            }
            // It sees nothing: the ID, the port and the case of letters are guesses.
            message[..2].copy_from_slice(&self.rng.random::<[u8; 2]>());
            let case = self.rng.random();
            reputon::wire::flip_case(&mut message[12..question.end - 4], usize::MAX, case);
            let port = Port(self.rng.random_range(0..self.ports.len() as u16));
            self.forged += 1;
            if self.ports[usize::from(port.0)].is_none_or(|peer| peer == *server) {
                deliver(Received {
                    port,
                    from: *server,
                    octets: &message,
                });
            }
        }
    }
}

impl Network for SimNetwork {
    fn now(&self) -> Instant {
        self.now
    }

    fn open_port(&mut self, like: SocketAddr, connect: bool) -> io::Result<Port> {
        self.ports.push(connect.then_some(like));
        Ok(Port(self.ports.len() as u16 - 1))
    }

    fn send(&mut self, batch: &Batch) {
        self.spins = 0;
        for cell in batch.as_slice() {
            self.sent += 1;
            let question = Question::of(cell.octets());
            self.count(&question);
            let server = self.at[&cell.to];
            if self.forged_qps > 0 {
                if self.guesses.len() >= GUESSES {
                    self.guesses.remove(0);
                }
                self.guesses.push((cell.to, cell.octets().to_ascii_lowercase()));
            }
            let reply = self.servers[server].take(self.world, self.now, cell.octets(), &mut self.rng);
            if let Some((at, octets)) = reply {
                self.order += 1;
                self.coming.push(Reverse(Coming {
                    at,
                    order: self.order,
                    port: cell.port,
                    from: cell.to,
                    octets,
                }));
            }
        }
    }

    fn receive(&mut self, deliver: &mut dyn FnMut(Received<'_>)) -> usize {
        self.forge(deliver);
        let mut count = 0;
        while self.coming.peek().is_some_and(|Reverse(next)| next.at <= self.now) {
            let Some(Reverse(next)) = self.coming.pop() else { break };
            deliver(Received {
                port: next.port,
                from: next.from,
                octets: &next.octets,
            });
            count += 1;
        }
        if count > 0 {
            self.spins = 0;
        }
        count
    }

    fn ask_tcp(&mut self, query: TcpQuery) -> Result<(), TcpKey> {
        let question = Question::of(&query.message);
        self.spins = 0;
        self.count(&question);
        let server = &self.servers[self.at[&query.to]];
        let result = server.take_tcp(self.world, self.now, &query.message);
        let after = match result {
            Some(_) => server.rtt.times(2),
            None => Span::from_secs(3),
        };
        self.tcp.push(Reverse((self.now + after, query.key.0)));
        self.tcp_results.insert(query.key.0, result.ok_or(TcpFailure::Broken));
        Ok(())
    }

    fn poll_tcp(&mut self) -> Option<(TcpKey, Result<Vec<u8>, TcpFailure>)> {
        let Reverse((at, key)) = *self.tcp.peek()?;
        if at > self.now {
            return None;
        }
        self.tcp.pop();
        self.spins = 0;
        Some((TcpKey(key), self.tcp_results.remove(&key)?))
    }

    fn wait(&mut self, until: Instant) {
        let events = [
            self.coming.peek().map(|Reverse(next)| next.at),
            self.tcp.peek().map(|Reverse((at, _))| *at),
        ];
        let late = Span::from_nanos(self.rng.random_range(0..=SLACK.as_nanos()));
        let event = events.into_iter().flatten().min().map_or(Instant::FAR, |at| at + late);
        let next = event.min(until).min(self.now + WAIT_MAX);
        if next <= self.now {
            self.spins += 1;
            assert!(self.spins < SPINS_MAX, "busy at {:?}: waits until {until:?}", self.now);
            self.now += Span::from_micros(1);
        } else {
            self.now = next;
        }
        assert!(self.now < self.within, "the run does not end: {:?}", self.now);
    }

    /// The same servers, in a time that goes on from here by itself.
    fn another(&self) -> Option<SimNetwork> {
        let servers = (self.servers.clone(), true); // of others there is but one worker
        let mut another = SimNetwork::new(self.world, servers, self.accounts.clone(), self.operator_of.clone());
        another.now = self.now;
        another.rng = StdRng::seed_from_u64(self.world.seed ^ self.sent ^ 0x616e_6f74_6865_7200);
        Some(another)
    }
}
