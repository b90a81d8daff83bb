//! A path that has fallen silent is held and probed, so that a dead server costs a few packets and not one time-out for
//! every target.
//!
//! Closed → (silence for [`SILENT_TRIES_TO_OPEN`] tries in a row, none of them sent before the last reply came: replies
//! come sooner than time-outs, so that the losses of a burst always stand together at its end) → open: one query is let through at growing intervals →
//! any reply closes it; [`PROBES_TO_DEATH`] silent ones make it dead. Asks for a dead path end at once; probes still go
//! out, and a reply revives it. Where a route has another way, one ask a minute tries the dead one, and goes by the other if
//! it is silent still.

use crate::clock::{Instant, Span};

/// Tries in a row without any reply that open the breaker.
pub(super) const SILENT_TRIES_TO_OPEN: u32 = 10;

/// Silent probes after which the path counts as dead: after 1, 2 and 4 seconds, so that a restart of the server or a
/// short hole in the network is waited out.
const PROBES_TO_DEATH: u32 = 3;

const FIRST_HOLD: Span = Span::from_secs(1);

/// How long a dead path is left alone: one query a minute is little, and a server that was restarted is used again.
const REVISIT: Span = Span::from_secs(60);

/// The state of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Breaker {
    /// It works, as far as is known.
    Closed {
        /// Tries in a row without a reply.
        silent: u32,
        /// When the last reply came.
        heard: Instant,
    },
    /// It is held; one query may pass at `until`.
    Open {
        /// When the next probe may pass.
        until: Instant,
        /// Probes that stayed silent.
        probes: u32,
        /// Whether one is on its way.
        probing: bool,
    },
    /// It is given up.
    Dead {
        /// When one query may find out all the same, where a route has another way that works.
        again: Instant,
    },
}

/// What a silent try has done to a breaker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tripped {
    /// Nothing.
    No,
    /// It opened, or stays open.
    Open,
    /// It has just died: what waits for the path should not wait any longer.
    Died,
}

impl Breaker {
    pub(super) const NEW: Breaker = Breaker::Closed {
        silent: 0,
        heard: Instant::ZERO,
    };

    /// Whether a query may pass: at once, at a moment, or not until something changes.
    pub(super) fn passes_at(&self, now: Instant) -> Option<Instant> {
        match *self {
            Breaker::Closed { .. } => Some(now),
            Breaker::Open { probing: true, .. } | Breaker::Dead { .. } => None,
            Breaker::Open { until, .. } => Some(until.max(now)),
        }
    }

    /// Tries in a row without a reply, while that has not opened it.
    pub(super) fn silences(&self) -> u32 {
        match *self {
            Breaker::Closed { silent, .. } => silent,
            Breaker::Open { .. } | Breaker::Dead { .. } => 0,
        }
    }

    /// Whether it is held, but not given up.
    pub(super) fn is_open(&self) -> bool {
        matches!(self, Breaker::Open { .. })
    }

    /// A query passed.
    pub(super) fn passed(&mut self) {
        if let Breaker::Open { probing, .. } = self {
            *probing = true;
        }
    }

    /// A reply came. Whether the path was held before.
    pub(super) fn replied(&mut self, now: Instant) -> bool {
        let held = !matches!(self, Breaker::Closed { .. });
        *self = Breaker::Closed { silent: 0, heard: now };
        held
    }

    /// Whether a reply has come since then.
    pub(super) fn heard_since(&self, sent: Instant) -> bool {
        matches!(self, Breaker::Closed { heard, .. } if sent < *heard)
    }

    /// A try that was sent at `sent` stayed silent.
    pub(super) fn silent(&mut self, now: Instant, sent: Instant) -> Tripped {
        match self {
            Breaker::Closed { heard, .. } if sent < *heard => Tripped::No,
            Breaker::Closed { silent, .. } => {
                *silent += 1;
                if *silent < SILENT_TRIES_TO_OPEN {
                    return Tripped::No;
                }
                *self = Breaker::Open {
                    until: now + FIRST_HOLD,
                    probes: 0,
                    probing: false,
                };
                Tripped::Open
            }
            // What was in flight when the breaker opened runs out silent too, and proves nothing more.
            Breaker::Open { probing: false, .. } => Tripped::Open,
            Breaker::Open { until, probes, probing } => {
                *probes += 1;
                if *probes >= PROBES_TO_DEATH {
                    *self = Breaker::Dead { again: now + REVISIT };
                    return Tripped::Died;
                }
                *until = now + FIRST_HOLD.times(1 << *probes);
                *probing = false;
                Tripped::Open
            }
            Breaker::Dead { .. } => Tripped::No,
        }
    }

    /// The query that was let through came to nothing that tells about the path (cancelled).
    pub(super) fn forgotten(&mut self) {
        if let Breaker::Open { probing, .. } = self {
            *probing = false;
        }
    }

    pub(super) fn is_closed(&self) -> bool {
        matches!(self, Breaker::Closed { .. })
    }

    pub(super) fn is_dead(&self) -> bool {
        matches!(self, Breaker::Dead { .. })
    }

    /// Whether a path that was given up is worth one query again.
    pub(super) fn is_worth_a_visit(&self, now: Instant) -> bool {
        matches!(self, Breaker::Dead { again } if *again <= now)
    }

    /// Lets one query through a path that was given up; if it stays silent too, the path is given up again.
    pub(super) fn visit(&mut self, now: Instant) {
        *self = Breaker::Open {
            until: now,
            probes: PROBES_TO_DEATH - 1,
            probing: false,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silent_path_is_held_probed_and_given_up() {
        let mut breaker = Breaker::NEW;
        let mut now = Instant::ZERO;
        for _ in 1..SILENT_TRIES_TO_OPEN {
            assert_eq!(breaker.silent(now, now), Tripped::No);
        }
        assert_eq!(breaker.silent(now, now), Tripped::Open);
        assert_eq!(breaker.silent(now, now), Tripped::Open, "an earlier packet runs out");
        for probe in 1..=PROBES_TO_DEATH {
            let at = breaker.passes_at(now).expect("a probe may pass some time");
            assert!(at > now);
            now = at;
            breaker.passed();
            assert_eq!(breaker.passes_at(now), None, "one probe at a time");
            now += Span::from_secs(3);
            let expected = if probe == PROBES_TO_DEATH {
                Tripped::Died
            } else {
                Tripped::Open
            };
            assert_eq!(breaker.silent(now, now), expected);
        }
        assert_eq!(breaker.passes_at(now), None);
        assert!(breaker.replied(now), "a probe's reply revives it");
        assert!(breaker.is_closed());
    }

    #[test]
    fn replies_between_silences_keep_it_closed() {
        let mut breaker = Breaker::NEW;
        for _ in 0..1_000 {
            for _ in 1..SILENT_TRIES_TO_OPEN {
                assert_eq!(breaker.silent(Instant::ZERO, Instant::ZERO), Tripped::No);
            }
            assert!(!breaker.replied(Instant::ZERO));
        }
    }

    #[test]
    fn losses_of_a_burst_that_was_answered_in_part_open_nothing() {
        let mut breaker = Breaker::NEW;
        let (sent, heard) = (Instant::from_nanos(5), Instant::from_nanos(6));
        assert!(!breaker.replied(heard));
        for _ in 0..100 {
            assert_eq!(breaker.silent(Instant::from_nanos(9), sent), Tripped::No);
        }
        for _ in 1..SILENT_TRIES_TO_OPEN {
            assert_eq!(breaker.silent(Instant::from_nanos(9), heard), Tripped::No);
        }
        assert_eq!(breaker.silent(Instant::from_nanos(9), heard), Tripped::Open);
    }
}
