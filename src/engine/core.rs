//! The engine's state, its front door (`submit`), its clockwork (`handle_timeout`) and the one place where exchanges end.
//!
//! Sending is in `send`, taking replies in `receive`, asking again in `retry`.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use rand::rngs::StdRng;

use crate::clock::{Instant, Span};
use crate::datagram::Port;
use crate::exchange::{Ask, End, Outcome, Reply, Route, Unsent, Upstream};

use super::bucket::Bucket;
use super::counters::{Counters, RouteCounters};
use super::guard::Guards;
use super::ids::Ids;
use super::path::{PATHS_PER_ROUTE_MAX, Pace, Path, PathIndex, RouteOptions};
use super::rtt::Rtt;
use super::slots::{SlotIndex, Slots, State};
use super::upstream::{Server, UpstreamOptions};
use super::wheel::Wheel;
use super::window::Window;

/// Asks that wait in one path's queue at most: as many as its window holds, between these. Enough for a batch; more would
/// only grow old there, and take the slots that slower paths need.
const QUEUE_MIN: usize = 16;
const QUEUE_MAX: usize = 128;

/// Where less than this share of the slots is free, queues are short: one in so many.
const SCARCE: usize = 4;

/// Slots kept back for probes, so that a full table never keeps a list from being tested.
const SLOTS_FOR_PROBES: usize = 64;

/// The shortest time-out towards an authority, and towards a resolver, whose cache misses are worth a wait.
pub(super) const TIMEOUT_MIN_AUTHORITY: Span = Span::from_millis(200);
const TIMEOUT_MIN_RESOLVER: Span = Span::from_millis(800);

/// The bounds of an engine.
#[derive(Debug, Clone)]
pub struct EngineOptions {
    /// Exchanges held at a time, waiting or in flight (some 350 octets each); at most 65,534.
    pub slots: usize,
    /// How long one try may take; time-outs adapt below it.
    pub timeout: Span,
    /// How many more tries after the first.
    pub retries: u8,
    /// Packets a second over all upstreams; none: no limit.
    pub rate_qps: Option<f64>,
}

/// There is no room for an ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Full;

/// When a path may send, when it sent last, and which it is: the order in which paths that were held come up again.
pub(super) type Later = (Instant, Instant, PathIndex);

/// Many exchanges in flight. See the [module](super) for the contract.
#[derive(Debug)]
pub struct Engine {
    pub(super) options: EngineOptions,
    pub(super) rng: StdRng,
    pub(super) slots: Slots,
    pub(super) wheel: Wheel,
    pub(super) ids: Ids,
    pub(super) servers: Vec<Server>,
    pub(super) paths: Vec<Path>,
    routes: Vec<RouteState>,
    pub(super) paces: Vec<Bucket>,
    pub(super) global: Option<Bucket>,
    /// Paths that may send, in turn.
    pub(super) ready: VecDeque<PathIndex>,
    /// Paths that may send later.
    pub(super) later: BinaryHeap<Reverse<Later>>,
    pub(super) tcp_waiting: VecDeque<SlotIndex>,
    pub(super) tcp_in_flight: usize,
    /// Connections that these take.
    pub(super) tcp_connections: usize,
    /// When a pace lets the next query over TCP pass; none: something else will wake it.
    pub(super) tcp_due: Option<Instant>,
    pub(super) guards: Guards,
    outcomes: VecDeque<Outcome>,
    pub(super) counters: Counters,
}

#[derive(Debug)]
pub(super) struct RouteState {
    pub(super) paths: Vec<PathIndex>,
    /// Those that gave up their place: what is known of them is kept, and the table grows no more than there are servers.
    left: Vec<PathIndex>,
    pub(super) zone_octets: usize,
    pub(super) pace: Option<Pace>,
    /// Names of many zones go this way; see `general`.
    pub(super) general: bool,
    /// Itself, or the route that its packets count for.
    pub(super) counted_as: Route,
    pub(super) counters: RouteCounters,
}

impl Engine {
    /// An engine without ports, upstreams and routes. `rng` must be seeded from the operating system, but in tests.
    pub fn new(options: EngineOptions, rng: StdRng) -> Engine {
        let slots = Slots::new(options.slots);
        Engine {
            wheel: Wheel::new(slots.free_count()),
            outcomes: VecDeque::with_capacity(slots.free_count()),
            slots,
            rng,
            ids: Ids::default(),
            servers: Vec::new(),
            paths: Vec::new(),
            routes: Vec::new(),
            paces: Vec::new(),
            global: options.rate_qps.map(Bucket::paced),
            ready: VecDeque::new(),
            later: BinaryHeap::new(),
            tcp_waiting: VecDeque::new(),
            tcp_in_flight: 0,
            tcp_connections: 0,
            guards: Guards::default(),
            tcp_due: None,
            counters: Counters::default(),
            options,
        }
    }

    /// Makes one more source port known; the caller binds it a socket.
    pub fn add_port(&mut self) -> Port {
        self.ids.add_port(&mut self.rng)
    }

    /// Makes one more source port known by the number that whoever has opened it gave it: the next one, or that of one that was
    /// [closed](super::PortWish::Close).
    pub fn open_port(&mut self, port: Port) {
        self.ids.open_port(port, &mut self.rng);
    }

    /// Makes a server known.
    pub fn add_upstream(&mut self, options: UpstreamOptions) -> Upstream {
        self.servers.push(Server::new(options));
        let upstream = Upstream(index16(self.servers.len() - 1));
        self.note_address(upstream);
        upstream
    }

    /// Makes a pace: packets a second over all routes that share it.
    pub fn add_pace(&mut self, rate_qps: f64) -> Pace {
        self.paces.push(Bucket::paced(rate_qps));
        Pace(index16(self.paces.len() - 1))
    }

    /// Makes a route: a zone and the servers to ask about it (the first eight count). One without servers takes no asks
    /// until it is given some.
    pub fn add_route(&mut self, options: RouteOptions) -> Route {
        let route = Route(index16(self.routes.len()));
        self.routes.push(RouteState {
            paths: Vec::new(),
            left: Vec::new(),
            zone_octets: options.zone_octets,
            pace: options.pace,
            general: false,
            counted_as: route,
            counters: RouteCounters::default(),
        });
        self.add_servers(route, &options.upstreams);
        route
    }

    /// Makes a route for a part of another one's zone, with servers of its own. Its packets count as the other's.
    pub fn add_branch(&mut self, trunk: Route, options: RouteOptions) -> Route {
        let route = self.add_route(options);
        self.route(route).counted_as = trunk;
        route
    }

    /// Gives a route more servers, as far as there is room for them: eight in all.
    pub fn add_servers(&mut self, route: Route, upstreams: &[Upstream]) {
        for &upstream in upstreams {
            let known = &self.routes[usize::from(route.0)].paths;
            let is_known = |path: &PathIndex| self.paths[usize::from(path.0)].upstream == upstream;
            if known.len() == PATHS_PER_ROUTE_MAX || known.iter().any(is_known) {
                continue;
            }
            let taken = known.iter().map(|path| self.paths[usize::from(path.0)].bit);
            let taken = taken.fold(0u8, |taken, bit| taken | bit);
            let bit = 1 << taken.trailing_ones(); // fewer than eight are taken
            let mut left = self.routes[usize::from(route.0)].left.iter();
            if let Some(place) = left.position(|path| self.paths[usize::from(path.0)].upstream == upstream) {
                let index = self.route(route).left.swap_remove(place);
                let path = &mut self.paths[usize::from(index.0)];
                (path.bit, path.retired) = (bit, false);
                self.route(route).paths.push(index);
                continue;
            }
            let server = &self.servers[usize::from(upstream.0)];
            let floor = if server.recursive {
                TIMEOUT_MIN_RESOLVER
            } else {
                TIMEOUT_MIN_AUTHORITY
            };
            let rtt = Rtt::new(floor, self.options.timeout);
            let window = match server.careful {
                true => Window::careful(server.path_window_max),
                false => Window::new(server.path_window_max),
            };
            let path = PathIndex(index16(self.paths.len()));
            self.paths.push(Path::new(upstream, route, bit, rtt, window));
            self.route(route).paths.push(path);
        }
    }

    /// Makes these the servers of a route that has some: those that are none of them are left to what is under way there, and
    /// what waits for them goes elsewhere. What is known of the others is kept.
    pub fn set_servers(&mut self, now: Instant, route: Route, upstreams: &[Upstream]) {
        let known = self.route_of(route).paths.clone();
        for &index in &known {
            let path = &mut self.paths[usize::from(index.0)];
            path.retired = !upstreams.contains(&path.upstream);
        }
        let missing = upstreams.iter().filter(|upstream| {
            let mut known = known.iter().map(|path| &self.paths[usize::from(path.0)]);
            known.all(|path| path.upstream != **upstream)
        });
        // Only where there is no room for a new one does one that was left give up its place.
        let mut needed = (known.len() + missing.count()).saturating_sub(PATHS_PER_ROUTE_MAX);
        for &index in &known {
            let path = &self.paths[usize::from(index.0)];
            if needed > 0 && path.retired && path.is_idle() {
                needed -= 1;
                self.route(route).paths.retain(|kept| *kept != index);
                self.route(route).left.push(index);
            }
        }
        self.add_servers(route, upstreams);
        for index in known {
            if self.paths[usize::from(index.0)].retired {
                self.flush(now, index);
            }
        }
    }

    /// How many more asks the route takes now. Whoever has more to ask comes back when outcomes have.
    pub fn room(&self, route: Route) -> usize {
        let paths = &self.routes[usize::from(route.0)].paths;
        if paths.is_empty() {
            return 0;
        }
        let paths = paths.iter().map(|path| &self.paths[usize::from(path.0)]);
        let free = self.slots.free_count();
        let most = match free < self.options.slots / SCARCE {
            true => QUEUE_MIN,
            false => QUEUE_MAX,
        };
        // A path that is held takes nothing; where all are, one short queue's worth waits.
        let (queues, queued) = paths.fold((0, 0), |(queues, queued), path| {
            let takes = path.breaker.is_closed() && !path.is_left();
            let queue = (path.window.size() as usize).clamp(QUEUE_MIN, most);
            (queues + if takes { queue } else { 0 }, queued + path.queue.len())
        });
        let queues = queues.max(QUEUE_MIN).saturating_sub(queued);
        queues.min(free.saturating_sub(SLOTS_FOR_PROBES))
    }

    /// Takes an ask, of a route that has servers. It ends as exactly one outcome.
    ///
    /// # Errors
    /// If no slot is free; [`room`](Engine::room) says so beforehand (probes may use more than it says).
    pub fn submit(&mut self, now: Instant, ask: Ask<'_>) -> Result<(), Full> {
        let path = self.path_for(now, &ask);
        if self.paths[usize::from(path.0)].breaker.is_dead() && !ask.probe {
            self.counters.submitted += 1;
            self.counters.ended += 1;
            self.outcomes.push_back(Outcome {
                ticket: ask.ticket,
                route: ask.route,
                upstream: self.paths[usize::from(path.0)].upstream,
                rtt: Span::ZERO,
                tries: 0,
                end: End::Unsent(Unsent::Dead),
            });
            return Ok(());
        }
        let Some(slot) = self.slots.open(&ask, path) else {
            return Err(Full);
        };
        self.counters.submitted += 1;
        self.enqueue(slot, path, ask.probe);
        Ok(())
    }

    /// Takes a probe that goes by one upstream of its route and by no other, whatever becomes of it: it asks how that way
    /// does.
    ///
    /// # Errors
    /// If no slot is free.
    pub fn submit_via(&mut self, now: Instant, ask: Ask<'_>, via: Upstream) -> Result<(), Full> {
        debug_assert!(ask.probe, "what is no probe may go by any way");
        let paths = &self.routes[usize::from(ask.route.0)].paths;
        let path = paths
            .iter()
            .find(|path| self.paths[usize::from(path.0)].upstream == via);
        let Some(&path) = path else {
            return self.submit(now, ask);
        };
        let Some(slot) = self.slots.open(&ask, path) else {
            return Err(Full);
        };
        self.slots[slot].pinned = true;
        self.counters.submitted += 1;
        self.enqueue(slot, path, true);
        Ok(())
    }

    /// How many exchanges there is room for, probes included.
    pub fn free(&self) -> usize {
        self.slots.free_count()
    }

    /// Asks nothing more of an upstream about a route's zone while there is another: what it said was false. What waits
    /// for it goes elsewhere. Whether there is another that is not shunned.
    pub fn shun(&mut self, now: Instant, route: Route, upstream: Upstream) -> bool {
        let paths = self.routes[usize::from(route.0)].paths.clone();
        let is_other = |path: &&PathIndex| self.paths[usize::from(path.0)].upstream != upstream;
        let others = paths.iter().filter(is_other);
        if others.clone().all(|path| self.paths[usize::from(path.0)].is_left()) {
            return false;
        }
        for index in paths {
            let path = &mut self.paths[usize::from(index.0)];
            if path.upstream == upstream {
                path.shunned = true;
                self.flush(now, index);
            }
        }
        true
    }

    /// Does what is due: time-outs, paces that allow a packet again.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some(&Reverse((at, _, index))) = self.later.peek() {
            if at > now {
                break;
            }
            self.later.pop();
            if self.paths[usize::from(index.0)].scheduled == Some(at) {
                self.rouse(index);
            }
        }
        while let Some(slot) = self.wheel.expire(now) {
            match self.slots[slot].state {
                State::InFlight => self.look(now, slot),
                State::Resting => self.wake_from_rest(now, slot),
                // TCP has its own time-outs, kept by whoever drives it; the other states have no timer.
                state => debug_assert!(false, "a timer of a slot that is {state:?}"),
            }
        }
        self.turn_guards(now);
    }

    /// When [`handle_timeout`](Engine::handle_timeout) and [`poll_transmit`](Engine::poll_transmit) have something to
    /// do next, if no reply comes before.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let wheel = self.wheel.next();
        let later = self.later.peek().map(|Reverse((at, ..))| *at);
        let global = match &self.global {
            Some(bucket) if !self.ready.is_empty() => Some(bucket.ready_at()),
            _ => None,
        };
        [wheel, later, global, self.tcp_due, self.guards.due]
            .into_iter()
            .flatten()
            .min()
    }

    /// The next outcome, if there is one.
    pub fn poll_outcome(&mut self) -> Option<Outcome> {
        self.outcomes.pop_front()
    }

    /// Ends everything that is open as `Unsent(Cancelled)`.
    pub fn cancel_all(&mut self, now: Instant) {
        for slot in self.slots.used() {
            if self.slots[slot].state == State::InFlight {
                self.take_from_flight(slot);
                self.path_of(slot).window.released();
            }
            self.end(now, slot, End::Unsent(Unsent::Cancelled));
        }
        for path in &mut self.paths {
            (path.queue, path.probes) = Default::default();
            path.breaker.forgotten();
            (path.ready, path.scheduled, path.waiting) = (false, None, false);
        }
        for server in &mut self.servers {
            server.waiting.clear();
        }
        self.ready.clear();
        self.later.clear();
        self.tcp_waiting.clear();
        self.tcp_due = None;
        self.forget_diverted(now);
    }

    /// Exchanges that are open: waiting or in flight.
    pub fn open(&self) -> usize {
        self.slots.used_count()
    }

    /// Queries in flight to servers that trains go to.
    pub fn in_trains(&self) -> u32 {
        let servers = self.servers.iter().filter(|server| server.trains);
        servers.map(|server| server.in_flight).sum()
    }

    /// What was done so far.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// What was done so far on one route.
    pub fn route_counters(&self, route: Route) -> RouteCounters {
        self.routes[usize::from(route.0)].counters
    }

    /// The servers of a route.
    pub fn upstreams(&self, route: Route) -> impl Iterator<Item = Upstream> + '_ {
        let paths = self.routes[usize::from(route.0)].paths.iter();
        paths.map(|path| self.paths[usize::from(path.0)].upstream)
    }

    /// Whether the route has servers, so that it takes asks.
    pub fn has_servers(&self, route: Route) -> bool {
        !self.routes[usize::from(route.0)].paths.is_empty()
    }

    /// Counts a packet on a route, or on the one that it is a branch of.
    pub(super) fn count_packet(&mut self, route: Route, again: bool) {
        let trunk = self.route(route).counted_as;
        let counters = &mut self.route(trunk).counters;
        counters.packets += 1;
        counters.retried += u64::from(again);
    }

    /// Takes such a count back: the packet was not sent.
    pub(super) fn uncount_packet(&mut self, route: Route, again: bool) {
        let trunk = self.route(route).counted_as;
        let counters = &mut self.route(trunk).counters;
        counters.packets -= 1;
        counters.retried -= u64::from(again);
    }

    /// Whether every way to the route's zone has been given up.
    pub fn is_dead(&self, route: Route) -> bool {
        let mut paths = self.routes[usize::from(route.0)].paths.iter();
        paths.all(|path| self.paths[usize::from(path.0)].breaker.is_dead())
    }

    /// The cheapest path of a route among those not in `tried`; any if all were.
    pub(super) fn best_path(&self, now: Instant, route: Route, tried: u8) -> PathIndex {
        let paths = &self.routes[usize::from(route.0)].paths;
        let cost = |path: &&PathIndex| {
            let path = &self.paths[usize::from(path.0)];
            let (dead, held) = (path.breaker.is_dead(), !path.breaker.is_closed());
            let suspect = path.is_suspect();
            (
                path.is_left(),
                dead,
                held,
                suspect,
                path.bit & tried != 0,
                path.cost(now),
            )
        };
        *paths.iter().min_by_key(cost).expect("a route has a path")
    }

    /// Whether a route has a way beside this one that works, as far as is known.
    pub(super) fn has_other_way(&self, index: PathIndex) -> bool {
        let path = &self.paths[usize::from(index.0)];
        let paths = self.route_of(path.route).paths.iter();
        let mut others = paths.filter(|other| **other != index);
        others.any(|other| {
            let other = &self.paths[usize::from(other.0)];
            other.breaker.is_closed() && !other.is_left() && !other.is_suspect()
        })
    }

    /// The path for a fresh ask: the best one, unless another wants to be tried again.
    fn path_for(&mut self, now: Instant, ask: &Ask<'_>) -> PathIndex {
        if let [only] = self.routes[usize::from(ask.route.0)].paths[..] {
            return only;
        }
        let best = self.best_path(now, ask.route, 0);
        let mut paths = self.routes[usize::from(ask.route.0)].paths.iter().copied();
        if ask.probe {
            return best;
        }
        // Where nothing waits, a trial has nothing to win, and costs who is asked by it a time-out.
        let best_path = &self.paths[usize::from(best.0)];
        if best_path.breaker.is_closed() && best_path.queue.len() == 0 {
            return best;
        }
        if let Some(path) = paths
            .clone()
            .find(|path| self.paths[usize::from(path.0)].wants_trial(now))
        {
            return path;
        }
        // Only where another way is sure to take the ask if this one does not.
        let dead = paths.find(|path| {
            let path = &self.paths[usize::from(path.0)];
            path.breaker.is_worth_a_visit(now) && !path.is_left()
        });
        match dead {
            Some(dead) if self.options.retries > 0 && self.paths[usize::from(best.0)].breaker.is_closed() => {
                self.paths[usize::from(dead.0)].breaker.visit(now);
                dead
            }
            _ => best,
        }
    }

    pub(super) fn path_of(&mut self, slot: SlotIndex) -> &mut Path {
        &mut self.paths[usize::from(self.slots[slot].path.0)]
    }

    pub(super) fn route_of(&self, route: Route) -> &RouteState {
        &self.routes[usize::from(route.0)]
    }

    pub(super) fn route(&mut self, route: Route) -> &mut RouteState {
        &mut self.routes[usize::from(route.0)]
    }

    /// Puts a slot into a path's queue, in front if it is asked again. Probes have a line of their own.
    pub(super) fn enqueue(&mut self, slot: SlotIndex, index: PathIndex, front: bool) {
        self.slots[slot].state = State::Queued;
        self.slots[slot].path = index;
        let path = &mut self.paths[usize::from(index.0)];
        if self.slots[slot].probe {
            path.probes.push_back(&mut self.slots, slot);
            self.rouse(index); // the breaker may hold the others, but not this one
            return;
        }
        if front {
            path.queue.push_front(&mut self.slots, slot);
        } else {
            path.queue.push_back(&mut self.slots, slot);
        }
        self.wake(index);
    }

    /// Lets a path stand in line for sending, if it has something to send and is not held until later. Whether it stands
    /// there.
    pub(super) fn wake(&mut self, index: PathIndex) -> bool {
        let path = &mut self.paths[usize::from(index.0)];
        if !path.ready && path.scheduled.is_none() && path.head().is_some() {
            path.ready = true;
            self.ready.push_back(index);
        }
        path.ready
    }

    /// Wakes a path even if it is held until later: what held it may not hold any more.
    pub(super) fn rouse(&mut self, index: PathIndex) {
        self.paths[usize::from(index.0)].scheduled = None;
        self.wake(index);
    }

    /// Wakes the path that has waited longest for room at an upstream, if there is room. Whoever was woken and does not
    /// take it calls this again, so that room is never left while somebody waits for it.
    pub(super) fn pass_room_on(&mut self, upstream: Upstream) {
        loop {
            let server = &mut self.servers[usize::from(upstream.0)];
            if server.in_flight >= server.window_max {
                return;
            }
            let Some(waiting) = server.waiting.pop_front() else {
                return;
            };
            self.paths[usize::from(waiting.0)].waiting = false;
            if self.wake(waiting) {
                return;
            }
        }
    }

    /// A packet is no longer in flight: its ID, timer and places in the windows are free again. What that says about
    /// the path is the caller's to tell.
    pub(super) fn take_from_flight(&mut self, index: SlotIndex) {
        self.wheel.disarm(index);
        let slot = &self.slots[index];
        self.ids.release(slot.port, slot.id);
        let path = slot.path;
        let upstream = self.paths[usize::from(path.0)].upstream;
        let server = &mut self.servers[usize::from(upstream.0)];
        debug_assert!(server.in_flight > 0);
        server.in_flight = server.in_flight.saturating_sub(1);
        self.pass_room_on(upstream);
        self.wake(path);
    }

    /// Ends an exchange that is not in flight.
    pub(super) fn end(&mut self, now: Instant, index: SlotIndex, end: End) {
        self.wheel.disarm(index);
        let slot = &self.slots[index];
        if slot.state == State::Tcp {
            self.leave_tcp(index); // a result that comes later is not for this generation
        }
        let slot = &self.slots[index];
        let rtt = if slot.tries == 0 {
            Span::ZERO
        } else {
            now.since(slot.sent)
        };
        self.outcomes.push_back(Outcome {
            ticket: slot.ticket,
            route: slot.route,
            upstream: self.paths[usize::from(slot.path.0)].upstream,
            rtt,
            tries: slot.tries,
            end,
        });
        self.counters.ended += 1;
        self.slots.close(index);
    }

    /// Ends an exchange with a reply.
    pub(super) fn end_replied(&mut self, now: Instant, index: SlotIndex, reply: Reply) {
        self.counters.replies += 1;
        self.end(now, index, End::Reply(reply));
    }
}

fn index16(index: usize) -> u16 {
    u16::try_from(index).expect("tables of ports, upstreams, routes and paths have far fewer than 65,536 entries")
}
