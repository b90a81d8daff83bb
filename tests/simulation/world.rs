//! The run: asks go in, datagrams go through the event queue, outcomes are held against the truth.
//!
//! Checked in every run, whatever the servers do: each ask ends once; nothing is sent for an ask that has ended; no outcome
//! says what only a forger said; no more packets for an ask than its tries and the known extras; no rate is exceeded; the
//! engine never says "now" when it has nothing to do, and never sleeps while something is open.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use reputon::clock::{Clock, Instant, SimClock, Span};
use reputon::datagram::{Batch, Port, Received, TcpFailure, TcpKey};
use reputon::engine::{Engine, EngineOptions, Pace, PortWish, RouteOptions, UpstreamOptions};
use reputon::exchange::{Ask, End, Outcome, Route, Ticket, Unsent, Upstream};
use reputon::wire::{Name, Rcode, Rdata, Rtype, decode};

use super::message::{LISTED, bare_formerr, forge, is_listed, number_of};
use super::server::Server;
use super::tally::{Flight, Limit};

/// Steps of the driver in one second of virtual time: more is a busy loop.
const STEPS_PER_SECOND_MAX: u64 = 400_000;

/// Somebody off the path who floods the client with forged replies.
#[derive(Debug, Clone)]
pub(crate) struct Spoofer {
    pub(crate) per_millisecond: u32,
    /// It knows port and ID of a query in flight, and errs in one thing only: the question, or the address.
    pub(crate) knows_ids: bool,
    /// A tenth of a second after its beginning it hits a port and an ID each millisecond with a bare FORMERR.
    pub(crate) bare_formerr: bool,
    /// When it begins and ends.
    pub(crate) from: Instant,
    pub(crate) until: Instant,
}

impl Spoofer {
    /// A hundred thousand forged replies a second, by somebody who knows the ports in use.
    pub(crate) const FLOOD: Spoofer = Spoofer {
        per_millisecond: 100,
        knows_ids: false,
        bare_formerr: false,
        from: Instant::ZERO,
        until: Instant::FAR,
    };
}

/// How a run is set up.
#[derive(Debug, Clone)]
pub(crate) struct Setup {
    /// The share of packets that the client's own machine has no room for.
    pub(crate) refused: f64,
    pub(crate) servers: Vec<Server>,
    /// For each route: its servers by index, and its pace by index.
    pub(crate) routes: Vec<(Vec<usize>, Option<usize>)>,
    pub(crate) paces: Vec<f64>,
    pub(crate) options: EngineOptions,
    pub(crate) window_max: u32,
    /// The servers are resolvers.
    pub(crate) recursive: bool,
    pub(crate) upstream_qps: Option<f64>,
    /// Asks of each route.
    pub(crate) asks: u64,
    /// Packets for one ask beyond its tries: asked again without EDNS, without case.
    pub(crate) extras: u32,
    /// The run must be over by then.
    pub(crate) within: Span,
    pub(crate) spoofer: Option<Spoofer>,
    pub(crate) ports: u16,
    /// Ports beyond these that the client's machine has descriptors for.
    pub(crate) spare_ports: usize,
    /// Octets at the end of a name in which the case may change; none: those of the zone.
    pub(crate) zone_octets: Option<usize>,
}

impl Setup {
    /// One route for each set of servers, by index.
    pub(crate) fn new(servers: Vec<Server>, routes: &[&[usize]]) -> Setup {
        Setup {
            refused: 0.0,
            servers,
            routes: routes.iter().map(|route| (route.to_vec(), None)).collect(),
            paces: Vec::new(),
            options: EngineOptions {
                slots: 2_000,
                timeout: Span::from_secs(3),
                retries: 3,
                rate_qps: None,
            },
            window_max: 128,
            recursive: false,
            upstream_qps: None,
            asks: 200,
            extras: 0,
            within: Span::from_secs(120),
            spoofer: None,
            ports: 4,
            spare_ports: 1_000,
            zone_octets: None,
        }
    }

    /// One route, one server.
    pub(crate) fn one(server: Server) -> Setup {
        Setup::new(vec![server], &[&[0]])
    }
}

#[derive(Debug)]
enum Event {
    Datagram {
        port: Port,
        from: SocketAddr,
        octets: Vec<u8>,
        server: Option<usize>,
    },
    Tcp {
        key: TcpKey,
        result: Result<Vec<u8>, TcpFailure>,
    },
    Forge,
}

/// What is known of one ask.
#[derive(Debug, Default, Clone)]
struct Asked {
    packets: u32,
    tcp: u32,
    ended: bool,
}

/// How the asks of a run ended.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ended {
    pub(crate) answered: u64,
    /// With a response code that is no answer.
    pub(crate) failed: u64,
    pub(crate) truncated: u64,
    pub(crate) silent: u64,
    pub(crate) dead: u64,
    pub(crate) cancelled: u64,
}

/// A run under way.
pub(crate) struct World {
    pub(crate) setup: Setup,
    pub(crate) engine: Engine,
    pub(crate) servers: Vec<Server>,
    pub(crate) routes: Vec<Route>,
    pub(crate) ended: Ended,
    pub(crate) flights: Vec<Flight>,
    /// UDP packets to each server.
    pub(crate) packets: Vec<u64>,
    /// UDP packets of each route while the others still had asks to be sent.
    pub(crate) route_packets: Vec<u64>,
    /// Outcomes with their moments, for what a test wants to know beyond the counts.
    pub(crate) outcomes: Vec<(Instant, Outcome)>,
    clock: SimClock,
    events: BTreeMap<(Instant, u64), Event>,
    sequence: u64,
    rng: StdRng,
    asked: Vec<Asked>,
    submitted: Vec<u64>,
    limits: [Vec<Limit>; 3],
    in_use: Vec<(Port, usize, Vec<u8>)>,
    /// Source ports by their number: whether they are open.
    open_ports: Vec<bool>,
    /// Ports open at a time at most, and all that were ever opened.
    pub(crate) ports_most: usize,
    /// Forged replies that reached an open port.
    pub(crate) forged: u64,
    batch: Batch,
    feeding: bool,
}

impl World {
    pub(crate) fn new(setup: Setup, seed: u64) -> World {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut engine = Engine::new(setup.options.clone(), StdRng::seed_from_u64(rng.random()));
        let ports: Vec<Port> = (0..setup.ports).map(|_| engine.add_port()).collect();
        let upstreams: Vec<Upstream> = setup
            .servers
            .iter()
            .map(|server| {
                engine.add_upstream(UpstreamOptions {
                    address: server.address,
                    ports: ports.clone(),
                    recursive: setup.recursive,
                    window_max: setup.window_max,
                    path_window_max: setup.window_max,
                    rate_qps: setup.upstream_qps,
                    careful: true,
                    trains: false,
                })
            })
            .collect();
        let paces: Vec<Pace> = setup.paces.iter().map(|&rate| engine.add_pace(rate)).collect();
        let routes: Vec<Route> = setup
            .routes
            .iter()
            .map(|(servers, pace)| {
                engine.add_route(RouteOptions {
                    upstreams: servers.iter().map(|&server| upstreams[server]).collect(),
                    zone_octets: setup.zone_octets.unwrap_or(ZONE.len() + 2),
                    pace: pace.map(|pace| paces[pace]),
                })
            })
            .collect();
        let of = |rates: Vec<f64>| rates.into_iter().map(Limit::new).collect::<Vec<_>>();
        let limits = [
            of(setup.options.rate_qps.into_iter().collect()),
            of(setup
                .upstream_qps
                .map_or(Vec::new(), |rate| vec![rate; setup.servers.len()])),
            of(setup.paces.clone()),
        ];
        let mut world = World {
            engine,
            servers: setup.servers.clone(),
            ended: Ended::default(),
            flights: setup.servers.iter().map(|_| Flight::default()).collect(),
            packets: vec![0; setup.servers.len()],
            route_packets: vec![0; routes.len()],
            outcomes: Vec::new(),
            clock: SimClock::new(),
            events: BTreeMap::new(),
            sequence: 0,
            rng,
            asked: vec![Asked::default(); routes.len() * usize::try_from(setup.asks).expect("few")],
            submitted: vec![0; routes.len()],
            limits,
            in_use: Vec::new(),
            open_ports: vec![true; usize::from(setup.ports)],
            ports_most: 0,
            forged: 0,
            batch: Batch::new(),
            feeding: true,
            routes,
            setup,
        };
        if let Some(spoofer) = &world.setup.spoofer {
            world.at(spoofer.from + Span::from_millis(1), Event::Forge);
        }
        world
    }

    /// Runs until every ask has ended, and returns how they did.
    pub(crate) fn run(setup: Setup, seed: u64) -> World {
        let mut world = World::new(setup, seed);
        world.finish();
        world
    }

    /// Goes on until every ask has ended.
    pub(crate) fn finish(&mut self) {
        let end = self.now() + self.setup.within;
        self.go_on(end);
        let counters = self.engine.counters();
        assert_eq!(self.engine.open(), 0, "asks are open at the end of time: {counters:?}");
        assert_eq!(counters.submitted, counters.ended);
        let unasked = self.submitted.iter().any(|&submitted| submitted < self.setup.asks);
        assert!(!self.feeding || !unasked, "not everything was asked in time");
        assert!(self.asked.iter().filter(|asked| asked.ended).count() as u64 == counters.ended);
        for (server, flight) in self.flights.iter().enumerate() {
            let (most, window_max) = (flight.most, self.setup.window_max as usize);
            assert!(most <= window_max, "{most} in flight to server {server}");
        }
    }

    pub(crate) fn now(&self) -> Instant {
        self.clock.now()
    }

    /// What was in flight is no longer waited for.
    pub(crate) fn forget_flights(&mut self) {
        self.flights.iter_mut().for_each(Flight::forget_all);
    }

    /// Asks nothing more.
    pub(crate) fn stop_feeding(&mut self) {
        self.feeding = false;
    }

    /// Asks for one more number, as a probe, outside the count of [`Setup::asks`].
    pub(crate) fn probe(&mut self, route: usize) {
        let number = self.asked.len() as u64;
        self.asked.push(Asked::default());
        self.submit(route, number, true);
    }

    fn submit(&mut self, route: usize, number: u64, probe: bool) {
        let ask = Ask {
            ticket: Ticket(number),
            name: &format!("{number}.{ZONE}").parse::<Name>().expect("a name"),
            rtype: Rtype::A,
            route: self.routes[route],
            probe,
        };
        let now = self.now();
        self.engine.submit(now, ask).expect("there was room");
    }

    /// Runs until every ask has ended, or until `end`.
    pub(crate) fn go_on(&mut self, end: Instant) {
        let (mut second, mut steps) = (0, 0u64);
        loop {
            let now = self.now();
            self.engine.handle_timeout(now);
            self.feed();
            let next = self.engine.poll_timeout();
            assert!(next.is_none_or(|next| next > now), "busy at {now:?}: {next:?}");
            if self.engine.open() == 0 && self.is_fed() {
                return;
            }
            let event = self.events.first_key_value().map(|(&(at, _), _)| at);
            let next = [next, event].into_iter().flatten().min();
            let Some(mut next) = next else {
                panic!("{} asks sleep for ever at {now:?}", self.engine.open());
            };
            if next > end {
                self.clock.advance_to(end);
                return;
            }
            if self.rng.random_bool(0.2) {
                next += Span::from_micros(self.rng.random_range(0..800)); // drivers come late
            }
            self.clock.advance_to(next);
            self.deliver();
            if next.as_nanos() / 1_000_000_000 != second {
                (second, steps) = (next.as_nanos() / 1_000_000_000, 0);
            }
            steps += 1;
            assert!(steps < STEPS_PER_SECOND_MAX, "busy at {now:?}");
        }
    }

    fn is_fed(&self) -> bool {
        !self.feeding || self.submitted.iter().all(|&submitted| submitted == self.setup.asks)
    }

    /// Submits what there is room for, and drains the engine, until nothing moves.
    fn feed(&mut self) {
        loop {
            let mut moved = false;
            for route in 0..self.routes.len() {
                let left = self.setup.asks - self.submitted[route];
                let room = self.engine.room(self.routes[route]) as u64;
                for _ in 0..left.min(room).min(if self.feeding { 64 } else { 0 }) {
                    let number = route as u64 * self.setup.asks + self.submitted[route];
                    self.submitted[route] += 1;
                    self.submit(route, number, false);
                    moved = true;
                }
            }
            moved |= self.drain();
            if !moved {
                return;
            }
        }
    }

    /// Opens and closes source ports.
    fn change_ports(&mut self) {
        let now = self.now();
        while let Some(wish) = self.engine.poll_port() {
            match wish {
                PortWish::Open { upstream, to } => {
                    assert!(self.servers.iter().any(|server| server.address == to));
                    let open = self.open_ports.iter().filter(|open| **open).count();
                    let place = self.open_ports.iter().position(|open| !open);
                    let place = place.unwrap_or(self.open_ports.len());
                    let port = Port(u16::try_from(place).expect("few"));
                    let is_spare = open < usize::from(self.setup.ports) + self.setup.spare_ports;
                    if is_spare {
                        self.open_ports.resize(self.open_ports.len().max(place + 1), false);
                        self.open_ports[place] = true;
                        self.ports_most = self.ports_most.max(open + 1);
                    }
                    self.engine.port_opened(now, upstream, is_spare.then_some(port));
                }
                PortWish::Close(port) => {
                    assert!(port.0 >= self.setup.ports, "the first ports stay");
                    let open = std::mem::take(&mut self.open_ports[usize::from(port.0)]);
                    assert!(open, "{port:?} is closed twice");
                }
            }
        }
    }

    /// Ports that are open now.
    pub(crate) fn ports_open(&self) -> usize {
        self.open_ports.iter().filter(|open| **open).count()
    }

    fn drain(&mut self) -> bool {
        let now = self.now();
        let mut moved = false;
        self.change_ports();
        // Before UDP, which alone could use up every pace; and after it, for what was diverted.
        moved |= self.ask_tcp(now);
        loop {
            let mut batch = std::mem::replace(&mut self.batch, Batch::new());
            batch.clear();
            self.engine.poll_transmit(now, &mut batch);
            for cell in batch.as_slice() {
                if self.setup.refused > 0.0 && self.rng.random_bool(self.setup.refused) {
                    self.engine.refused(cell.port, cell.id());
                    continue;
                }
                self.carry(now, cell.port, cell.to, cell.octets());
            }
            let empty = batch.is_empty();
            self.batch = batch;
            if empty {
                break;
            }
            moved = true;
        }
        moved |= self.ask_tcp(now);
        while let Some(outcome) = self.engine.poll_outcome() {
            self.end(now, outcome);
            moved = true;
        }
        moved
    }

    fn ask_tcp(&mut self, now: Instant) -> bool {
        let mut moved = false;
        while let Some(query) = self.engine.poll_tcp(now) {
            let number = number_of(&query.message);
            let asked = &mut self.asked[usize::try_from(number).expect("small")];
            assert!(!asked.ended, "TCP for {number}, which has ended");
            asked.tcp += 1;
            assert!(asked.tcp <= 4, "{number} is asked over TCP again and again");
            let server = self.server_at(query.to);
            let (after, result) = self.servers[server].take_tcp(now, &query.message);
            let key = query.key;
            self.at(now + after, Event::Tcp { key, result });
            moved = true;
        }
        moved
    }

    fn server_at(&self, address: SocketAddr) -> usize {
        let mut servers = self.servers.iter();
        servers
            .position(|server| server.address == address)
            .expect("a known server")
    }

    /// A packet leaves the client.
    fn carry(&mut self, now: Instant, port: Port, to: SocketAddr, octets: &[u8]) {
        let number = number_of(octets);
        let asked = &mut self.asked[usize::try_from(number).expect("small")];
        assert!(!asked.ended, "a packet for {number}, which has ended");
        asked.packets += 1;
        let most = u32::from(self.setup.options.retries) + 1 + self.setup.extras;
        assert!(asked.packets <= most, "{} packets for {number}", asked.packets);
        assert!(
            self.open_ports[usize::from(port.0)],
            "a packet by {port:?}, which is closed"
        );
        let server = self.server_at(to);
        let route = usize::try_from(number / self.setup.asks).expect("small");
        let [global, upstream, pace] = &mut self.limits;
        global.iter_mut().for_each(|limit| limit.pass(now));
        if let Some(limit) = upstream.get_mut(server) {
            limit.pass(now);
        }
        if let Some(pace_index) = self.setup.routes.get(route).and_then(|(_, pace)| *pace) {
            pace[pace_index].pass(now);
        }
        self.flights[server].send(now);
        self.packets[server] += 1;
        let others_wait = self.submitted.iter().all(|&submitted| submitted < self.setup.asks);
        if let Some(count) = self.route_packets.get_mut(route).filter(|_| others_wait) {
            *count += 1;
        }
        if self.setup.spoofer.is_some() {
            if self.in_use.len() > 256 {
                self.in_use.remove(0);
            }
            self.in_use.push((port, server, octets.to_vec()));
        }
        for (at, from, octets) in self.servers[server].take(now, octets, &mut self.rng) {
            let server = Some(server);
            self.at(
                at,
                Event::Datagram {
                    port,
                    from,
                    octets,
                    server,
                },
            );
        }
    }

    fn at(&mut self, at: Instant, event: Event) {
        self.sequence += 1;
        self.events.insert((at, self.sequence), event);
    }

    /// Everything that has arrived by now.
    fn deliver(&mut self) {
        let now = self.now();
        while let Some(entry) = self.events.first_entry() {
            if entry.key().0 > now {
                return;
            }
            match entry.remove() {
                Event::Datagram {
                    port,
                    from,
                    octets,
                    server,
                } => {
                    if let Some(server) = server {
                        self.flights[server].come(now);
                    }
                    let octets = &octets[..];
                    if self.open_ports[usize::from(port.0)] {
                        self.engine.receive(now, Received { port, from, octets });
                    }
                }
                Event::Tcp { key, result } => {
                    let result = result.as_ref().map(Vec::as_slice).map_err(|&failure| failure);
                    self.engine.receive_tcp(now, key, result);
                }
                Event::Forge => self.forge(now),
            }
        }
    }

    /// One millisecond of forged replies.
    fn forge(&mut self, now: Instant) {
        let Some(spoofer) = self.setup.spoofer.clone() else {
            return;
        };
        if now > spoofer.until {
            return;
        }
        if spoofer.bare_formerr
            && now > spoofer.from + Span::from_millis(100)
            && let Some((port, server, query)) = self.in_use.last().cloned()
        {
            let (from, octets) = (self.servers[server].address, &bare_formerr(&query)[..]);
            if self.open_ports[usize::from(port.0)] {
                self.engine.receive(now, Received { port, from, octets });
            }
        }
        for _ in 0..spoofer.per_millisecond {
            if self.in_use.is_empty() {
                break;
            }
            let choice = self.rng.random_range(0..self.in_use.len());
            let (port, server, query) = self.in_use[choice].clone();
            let mut octets = forge(&query);
            let mut from = self.servers[server].address;
            if spoofer.knows_ids {
                if self.rng.random_bool(0.5) {
                    from.set_port(self.rng.random_range(1_024..60_000));
                } else {
                    octets[14] ^= 1; // another number: a lie about another name
                }
            } else {
                octets[..2].copy_from_slice(&self.rng.random::<[u8; 2]>());
                if self.rng.random_bool(0.3) {
                    octets.truncate(self.rng.random_range(0..octets.len()));
                }
                // The case of letters has to be guessed too.
                let len = octets.len();
                let random = self.rng.random();
                if let Some(name) = octets.get_mut(12..len.saturating_sub(4)) {
                    reputon::wire::flip_case(name, usize::MAX, random);
                }
            }
            let octets = &octets[..];
            if self.open_ports[usize::from(port.0)] {
                self.forged += 1;
                self.engine.receive(now, Received { port, from, octets });
            }
        }
        self.at(now + Span::from_millis(1), Event::Forge);
    }

    /// An ask has ended: once, and not with a lie.
    fn end(&mut self, now: Instant, outcome: Outcome) {
        let number = outcome.ticket.0;
        let asked = &mut self.asked[usize::try_from(number).expect("small")];
        assert!(!std::mem::replace(&mut asked.ended, true), "{number} ended twice");
        let count = match &outcome.end {
            End::Silent => &mut self.ended.silent,
            End::Unsent(Unsent::Dead) => &mut self.ended.dead,
            End::Unsent(Unsent::Cancelled) => &mut self.ended.cancelled,
            End::Reply(reply) if reply.truncated => &mut self.ended.truncated,
            End::Reply(reply) if reply.rcode == Rcode::NXDOMAIN => {
                assert!(!is_listed(number), "{number} is listed and was said not to be");
                &mut self.ended.answered
            }
            End::Reply(reply) if reply.rcode == Rcode::NOERROR => {
                assert!(is_listed(number), "{number} is not listed and was said to be");
                let message = reply.message.as_ref().expect("kept, for it has an answer");
                let name: Name = format!("{number}.{ZONE}").parse().expect("a name");
                let answer = decode(message, &name, Rtype::A).expect("it can be read");
                assert_eq!(answer.records[0].data, Rdata::A(LISTED.into()));
                &mut self.ended.answered
            }
            End::Reply(_) => &mut self.ended.failed,
        };
        *count += 1;
        self.outcomes.push((now, outcome));
    }
}

const ZONE: &str = "bl.example.test";
