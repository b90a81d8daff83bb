//! A path: one upstream as a way to one route's zone. Everything that is learnt about that way lives here.

use crate::clock::{Instant, Span};
use crate::exchange::{Route, Upstream};

use super::breaker::Breaker;
use super::rtt::Rtt;
use super::slots::{Queue, SlotIndex, Slots};
use super::slow::Slow;
use super::window::Window;

/// A path, by its place in the engine's table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct PathIndex(pub(super) u16);

/// Paths of one route at most: `Slot::tried` has a bit for each.
pub(super) const PATHS_PER_ROUTE_MAX: usize = 8;

/// A pace of the engine, by index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace(pub(super) u16);

/// How a route is to be asked.
#[derive(Debug, Clone)]
pub struct RouteOptions {
    /// The servers; at most eight are used.
    pub upstreams: Vec<Upstream>,
    /// How many octets at the end of a name belong to the zone: the letters in them may change case (0x20).
    pub zone_octets: usize,
    /// The pace that its packets share with other routes.
    pub pace: Option<Pace>,
}

/// What is known about letter case on a path (0x20, after draft-vixie-dnsext-dns0x20).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Case {
    /// Sent mixed, not yet demanded back; so many came back as sent.
    Learning(u8),
    /// The server keeps case: a reply that does not is not believed.
    Kept,
    /// It does not: names go out as they are.
    Lost,
}

/// Echoes that must keep case before it is demanded.
const ECHOES_TO_TRUST: u8 = 3;

impl Case {
    pub(super) fn echo(&mut self, kept: bool) {
        *self = match (*self, kept) {
            (Case::Learning(echoes), true) if echoes + 1 >= ECHOES_TO_TRUST => Case::Kept,
            (Case::Learning(echoes), true) => Case::Learning(echoes + 1),
            (Case::Kept, true) => Case::Kept,
            _ => Case::Lost,
        }
    }
}

/// A way to a zone.
#[derive(Debug)]
pub(super) struct Path {
    pub(super) upstream: Upstream,
    pub(super) route: Route,
    /// Its bit in [`Slot::tried`](super::slots::Slot::tried).
    pub(super) bit: u8,
    pub(super) queue: Queue,
    /// Probes that wait: a line of their own, because they pass where the breaker holds the others.
    pub(super) probes: Queue,
    pub(super) rtt: Rtt,
    pub(super) window: Window,
    pub(super) breaker: Breaker,
    pub(super) slow: Slow,
    pub(super) case: Case,
    /// What came this way was found to be false: nothing goes this way while there is another.
    pub(super) shunned: bool,
    /// It stands in the line of paths that may send.
    pub(super) ready: bool,
    /// It stands in the heap of paths that may send later, with this moment; entries with another one are stale.
    pub(super) scheduled: Option<Instant>,
    /// When it sent last: of paths that wait for the same pace, the one served longest ago comes first.
    pub(super) last_sent: Instant,
    /// It waits for its upstream's total window.
    pub(super) waiting: bool,
}

impl Path {
    pub(super) fn new(upstream: Upstream, route: Route, bit: u8, rtt: Rtt, window: Window) -> Path {
        Path {
            upstream,
            route,
            bit,
            queue: Queue::default(),
            probes: Queue::default(),
            rtt,
            window,
            breaker: Breaker::NEW,
            slow: Slow::default(),
            case: Case::Learning(0),
            shunned: false,
            ready: false,
            scheduled: None,
            last_sent: Instant::ZERO,
            waiting: false,
        }
    }

    /// The slot that is next to be sent.
    pub(super) fn head(&self) -> Option<SlotIndex> {
        self.probes.head().or(self.queue.head())
    }

    /// Takes the slot that is next to be sent.
    pub(super) fn pop(&mut self, slots: &mut Slots) -> Option<SlotIndex> {
        self.probes.pop_front(slots).or_else(|| self.queue.pop_front(slots))
    }

    /// Whether a fresh ask should go this way although the breaker is open, to find out whether the path is back: where
    /// a route has other ways, nobody would come by otherwise.
    pub(super) fn wants_trial(&self, now: Instant) -> bool {
        !self.shunned && !self.breaker.is_closed() && self.queue.len() == 0 && self.breaker.passes_at(now) == Some(now)
    }

    /// How long one more ask would wait here, about: for choosing among paths.
    pub(super) fn cost(&self, now: Instant) -> Span {
        let ahead = (self.queue.len() + self.probes.len()) as u64 + u64::from(self.window.in_flight()) + 1;
        let base = self
            .rtt
            .estimate()
            .times(ahead)
            .part(u64::from(self.window.size().max(1)));
        match self.breaker.passes_at(now) {
            Some(at) if self.breaker.is_closed() => base + at.since(now),
            _ => base + Span::from_secs(3_600),
        }
    }
}
