//! Round-trip times and the retransmission time-out of a path (RFC 6298), without its one-second floor.

use crate::clock::Span;

/// A time-out is longer than the round trip by one part in so many at least (the granularity of RFC 6298 §2.3). Replies come
/// by the dozen, so that the variation is that of the last moment, and would call what is only late lost.
const MARGIN: u64 = 4;

/// Replies that show how long they take on a path, cache misses included, and the shortest time-out from then on. What is lost
/// holds its place in the window until then: with one packet in fifty lost and 80 ms away, a floor of 800 ms costs a fifth of
/// a resolver's window.
const TIMED_TO_TRUST: u32 = 16;
const FLOOR_TRUSTED: Span = Span::from_millis(400);

/// What is known of the round-trip time of a path.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rtt {
    smoothed: Option<Span>,
    variation: Span,
    floor: Span,
    ceiling: Span,
    /// Replies timed, until they are enough to trust.
    timed: u32,
}

/// Time-out before any reply has been timed (RFC 6298 §2.1).
const INITIAL: Span = Span::from_secs(1);

impl Rtt {
    /// Time-outs between `floor` and `ceiling`.
    pub(super) fn new(floor: Span, ceiling: Span) -> Rtt {
        Rtt {
            smoothed: None,
            variation: Span::ZERO,
            floor: floor.min(ceiling),
            ceiling,
            timed: 0,
        }
    }

    /// Time-outs may be as short as this from now on: it has turned out who is there.
    pub(super) fn lower_floor(&mut self, floor: Span) {
        self.floor = self.floor.min(floor);
    }

    /// Takes the time from a packet to its reply. Karn's rule is not needed: every try has an ID of its own, so that a
    /// reply always tells which packet it answers.
    pub(super) fn sample(&mut self, rtt: Span) {
        if self.timed < TIMED_TO_TRUST {
            self.timed += 1;
            if self.timed == TIMED_TO_TRUST {
                self.lower_floor(FLOOR_TRUSTED);
            }
        }
        match self.smoothed {
            None => {
                self.smoothed = Some(rtt);
                self.variation = rtt.part(2);
            }
            Some(smoothed) => {
                let deviation = (smoothed - rtt) + (rtt - smoothed); // one of the two is zero
                self.variation = self.variation.times(3).part(4) + deviation.part(4);
                self.smoothed = Some(smoothed.times(7).part(8) + rtt.part(8));
            }
        }
    }

    /// The smoothed time, or the initial guess.
    pub(super) fn estimate(&self) -> Span {
        self.smoothed.unwrap_or(Span::from_millis(100))
    }

    /// Whether no reply has been timed yet.
    pub(super) fn is_unknown(&self) -> bool {
        self.smoothed.is_none()
    }

    /// The longest time-out: for a path of which it is not known whether it is slow or gone.
    pub(super) fn longest(&self) -> Span {
        self.ceiling
    }

    /// The time-out of a trial whose question can be asked elsewhere.
    pub(super) fn trial(&self) -> Span {
        self.timeout(1).max(INITIAL).min(self.ceiling)
    }

    /// How long to wait for a reply to try number `tries` (from 1): doubled for each try before.
    pub(super) fn timeout(&self, tries: u8) -> Span {
        let base = match self.smoothed {
            None => INITIAL,
            Some(smoothed) => smoothed + self.variation.times(4).max(smoothed.part(MARGIN)),
        };
        let doubled = base
            .max(self.floor)
            .times(1 << u64::from(tries.saturating_sub(1).min(10)));
        doubled.min(self.ceiling)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: fn(u64) -> Span = Span::from_millis;

    #[test]
    fn time_outs_follow_the_path_within_their_bounds() {
        let mut rtt = Rtt::new(MS(50), MS(3_000));
        assert_eq!(rtt.timeout(1), MS(1_000));
        assert_eq!(rtt.timeout(2), MS(2_000));
        assert_eq!(rtt.timeout(9), MS(3_000));
        rtt.sample(MS(100));
        assert_eq!(rtt.timeout(1), MS(300));
        for _ in 0..200 {
            rtt.sample(MS(100));
        }
        assert_eq!(rtt.timeout(1), MS(125), "late by a quarter is not lost");
        for _ in 0..200 {
            rtt.sample(Span::from_micros(80));
        }
        assert_eq!(rtt.timeout(1), MS(50));
        assert_eq!(Rtt::new(MS(50), MS(20)).timeout(1), MS(20));
    }

    #[test]
    fn a_resolver_is_trusted_when_a_few_replies_were_timed() {
        let mut rtt = Rtt::new(MS(800), MS(3_000));
        let mut timeouts = Vec::new();
        for _ in 0..20 {
            rtt.sample(MS(80));
            timeouts.push(rtt.timeout(1));
        }
        assert_eq!(timeouts[14..17], [MS(800), MS(400), MS(400)]);
    }
}
