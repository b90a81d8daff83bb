//! What passed when, held against limits: packets a second, and packets in flight.

use std::collections::VecDeque;

use reputon::clock::{Instant, Span};

/// A rate that must hold over every span of time T: at most rate × T + burst. Kept as a level that runs dry.
#[derive(Debug, Clone)]
pub(crate) struct Limit {
    rate_qps: f64,
    burst: f64,
    level: f64,
    last: Instant,
}

impl Limit {
    /// A limit with a burst of one packet and 20 ms worth of them.
    pub(crate) fn new(rate_qps: f64) -> Limit {
        Limit {
            rate_qps,
            burst: 1.0 + rate_qps / 50.0,
            level: 0.0,
            last: Instant::ZERO,
        }
    }

    pub(crate) fn pass(&mut self, now: Instant) {
        let run_dry = now.since(self.last).as_secs_f64() * self.rate_qps;
        self.level = (self.level - run_dry).max(0.0) + 1.0;
        self.last = now;
        assert!(
            self.level <= self.burst + 1e-3,
            "more than {} packets a second at {now:?}: {} above the line",
            self.rate_qps,
            self.level - self.burst
        );
    }
}

/// The shortest time-out towards an authority, less a tick of the timers: what was sent since then and not answered is
/// certainly in flight.
const CERTAIN: Span = Span::from_millis(190);

/// Packets that are certainly in flight to one server.
#[derive(Debug, Default)]
pub(crate) struct Flight {
    sent: VecDeque<Instant>,
    came: VecDeque<Instant>,
    pub(crate) most: usize,
}

impl Flight {
    pub(crate) fn send(&mut self, now: Instant) {
        self.sent.push_back(now);
        self.forget(now);
        self.most = self.most.max(self.sent.len().saturating_sub(self.came.len()));
    }

    pub(crate) fn come(&mut self, now: Instant) {
        self.came.push_back(now);
        self.forget(now);
    }

    pub(crate) fn forget_all(&mut self) {
        self.sent.clear();
        self.came.clear();
    }

    fn forget(&mut self, now: Instant) {
        for times in [&mut self.sent, &mut self.came] {
            while times.front().is_some_and(|&at| now.since(at) > CERTAIN) {
                times.pop_front();
            }
        }
    }
}
