//! A path: one upstream as a way to one route's zone. Everything that is learnt about that way lives here.

use crate::clock::{Instant, Span};
use crate::exchange::{Route, Upstream};

use super::breaker::Breaker;
use super::rtt::Rtt;
use super::slots::{Queue, SlotIndex, Slots};
use super::slow::Slow;
use super::tcp::TCP_FAILURES_MAX;
use super::upstream::{Server, TcpSeen};
use super::window::Window;

/// A path, by its place in the engine's table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct PathIndex(pub(super) u16);

/// Paths of one route at most: `Slot::tried` has a bit for each.
pub(super) const PATHS_PER_ROUTE_MAX: usize = 8;

/// Silent tries in a row after which a path is asked last.
const SILENCES_TO_SUSPECT: u32 = 3;

/// A pace of the engine, by index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace(pub(super) u16);

/// How a route is to be asked.
#[derive(Debug, Clone)]
pub struct RouteOptions {
    /// The servers; at most eight are used.
    pub upstreams: Vec<Upstream>,
    /// How many octets at the end of a name belong to the zone: the letters in them may change case (0x20). More than a name
    /// has: all of it.
    pub zone_octets: usize,
    /// The pace that its packets share with other routes.
    pub pace: Option<Pace>,
}

/// What is known about letter case on a path (0x20, after draft-vixie-dnsext-dns0x20).
///
/// Case is demanded back from the first packet on: a forger's best chance is the first question. One reply without it may
/// be his, so that it is never believed and the question is asked anew, by another ID, port and case; only a server that
/// goes on without it is taken for one that does not keep case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Case {
    /// A reply must bring it back as it was sent.
    Demanded {
        /// One has.
        proven: bool,
        /// Replies in a row that did not.
        misses: u8,
    },
    /// The server does not keep it: names go out as they are.
    Lost,
}

/// Replies in a row without the case, where none has ever come with it, that show a server which does not keep it. A
/// forger at 100,000 a second fits all but the case once in some hundred questions at best.
const MISSES_UNPROVEN: u8 = 3;

/// The same where it was kept: servers are seldom changed in mid-run.
const MISSES_PROVEN: u8 = 16;

/// Replies without the case to one exchange: servers behind one address may differ.
const MISSES_OF_ONE: u8 = 5;

impl Case {
    pub(super) const NEW: Case = Case::Demanded {
        proven: false,
        misses: 0,
    };

    /// A reply came with the case as it was sent.
    pub(super) fn kept(&mut self) {
        if *self != Case::Lost {
            *self = Case::Demanded {
                proven: true,
                misses: 0,
            };
        }
    }

    /// A reply fitted in all but the case; the exchange that it came to has seen `of_one` of them.
    pub(super) fn missed(&mut self, of_one: u8) {
        let Case::Demanded { proven, misses } = self else {
            return;
        };
        *misses += 1;
        let most = if *proven { MISSES_PROVEN } else { MISSES_UNPROVEN };
        if *misses >= most || of_one >= MISSES_OF_ONE {
            *self = Case::Lost;
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
    /// The server is none of the route's any more: nothing goes this way but what asks how this way does.
    pub(super) retired: bool,
    /// It stands in the line of paths that may send.
    pub(super) ready: bool,
    /// It stands in the heap of paths that may send later, with this moment; entries with another one are stale.
    pub(super) scheduled: Option<Instant>,
    /// When it sent last: of paths that wait for the same pace, the one served longest ago comes first.
    pub(super) last_sent: Instant,
    /// It waits for its upstream's total window.
    pub(super) waiting: bool,
    /// Failures over TCP.
    pub(super) tcp_failures: u32,
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
            case: Case::NEW,
            shunned: false,
            retired: false,
            ready: false,
            scheduled: None,
            last_sent: Instant::ZERO,
            waiting: false,
            tcp_failures: 0,
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

    /// Whether nothing is to be had over TCP, as far as is known. A resolver that brings nothing may wait for the servers of this
    /// zone: that says nothing about other zones.
    pub(super) fn tcp_fails(&self, server: &Server) -> bool {
        let silent = server.tcp == TcpSeen::Untried && self.tcp_failures >= TCP_FAILURES_MAX;
        silent || server.tcp == TcpSeen::Fails
    }

    /// Whether nothing should go this way while there is another.
    pub(super) fn is_left(&self) -> bool {
        self.shunned || self.retired
    }

    /// Whether nothing is under way here, or waits.
    pub(super) fn is_idle(&self) -> bool {
        self.queue.len() == 0 && self.probes.len() == 0 && self.window.in_flight() == 0
    }

    /// Whether it has been silent so often, or from the first, that others are asked first: it may be gone.
    pub(super) fn is_suspect(&self) -> bool {
        let silences = self.breaker.silences();
        silences >= SILENCES_TO_SUSPECT || silences > 0 && self.rtt.is_unknown()
    }

    /// Whether nothing was ever heard here, or nothing since it fell silent.
    pub(super) fn is_unheard(&self) -> bool {
        self.rtt.is_unknown() || self.breaker.silences() > 0
    }

    /// Whether a fresh ask should go this way although others are cheaper, to find out whether the path is back: where a
    /// route has other ways, nobody would come by otherwise. One at a time.
    pub(super) fn wants_trial(&self, now: Instant) -> bool {
        let passes = match self.breaker.is_closed() {
            true => self.is_idle() && self.breaker.silences() > 0,
            false => self.queue.len() == 0 && self.breaker.passes_at(now) == Some(now),
        };
        passes && !self.is_left()
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
            // As likely as not, it is lost there as the last ones were.
            Some(_) if self.breaker.is_closed() => base + self.rtt.timeout(1).times(u64::from(self.breaker.silences())),
            _ => base + Span::from_secs(3_600),
        }
    }
}
