//! Time as a value: [`Instant`] and [`Span`] in nanoseconds, and the two clocks that make them.
//!
//! Everything below `scan` takes the time as an argument; only `scan` and `transport` own a [`Clock`].
//! The real one is monotonic (a stepping wall clock changes no deadline); the simulated one moves when told.

use std::cell::Cell;
use std::fmt;
use std::ops::{Add, AddAssign, Sub};

/// A moment, in nanoseconds since the clock was made. Only differences mean anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Instant(u64);

/// A length of time in nanoseconds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Span(u64);

impl Instant {
    /// The moment the clock was made.
    pub const ZERO: Instant = Instant(0);
    /// Later than every deadline.
    pub const FAR: Instant = Instant(u64::MAX);

    /// The moment `nanos` nanoseconds after the clock was made.
    pub const fn from_nanos(nanos: u64) -> Instant {
        Instant(nanos)
    }

    /// Nanoseconds since the clock was made.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// The time from `earlier` to now; zero if `earlier` is in the future.
    pub const fn since(self, earlier: Instant) -> Span {
        Span(self.0.saturating_sub(earlier.0))
    }
}

impl Span {
    /// No time at all.
    pub const ZERO: Span = Span(0);

    /// A span of whole nanoseconds.
    pub const fn from_nanos(nanos: u64) -> Span {
        Span(nanos)
    }

    /// A span of whole microseconds.
    pub const fn from_micros(micros: u64) -> Span {
        Span(micros.saturating_mul(1_000))
    }

    /// A span of whole milliseconds.
    pub const fn from_millis(millis: u64) -> Span {
        Span(millis.saturating_mul(1_000_000))
    }

    /// A span of whole seconds.
    pub const fn from_secs(secs: u64) -> Span {
        Span(secs.saturating_mul(1_000_000_000))
    }

    /// A span of seconds and fractions; negative and non-finite values are zero.
    pub fn from_secs_f64(secs: f64) -> Span {
        // `as` saturates, and takes NaN to zero.
        Span((secs.max(0.0) * 1e9) as u64)
    }

    /// Whole nanoseconds.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// Whole milliseconds, rounded down.
    pub const fn as_millis(self) -> u64 {
        self.0 / 1_000_000
    }

    /// Seconds and fractions.
    pub fn as_secs_f64(self) -> f64 {
        self.0 as f64 / 1e9
    }

    /// The span `factor` times over, saturating.
    pub const fn times(self, factor: u64) -> Span {
        Span(self.0.saturating_mul(factor))
    }

    /// The `divisor`-th part; `divisor` must not be zero.
    pub const fn part(self, divisor: u64) -> Span {
        Span(self.0 / divisor)
    }
}

impl From<Span> for std::time::Duration {
    fn from(span: Span) -> Self {
        std::time::Duration::from_nanos(span.0)
    }
}

impl From<std::time::Duration> for Span {
    fn from(duration: std::time::Duration) -> Self {
        Span(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX))
    }
}

impl Add<Span> for Instant {
    type Output = Instant;
    fn add(self, span: Span) -> Instant {
        Instant(self.0.saturating_add(span.0))
    }
}

impl AddAssign<Span> for Instant {
    fn add_assign(&mut self, span: Span) {
        *self = *self + span;
    }
}

impl Add for Span {
    type Output = Span;
    fn add(self, other: Span) -> Span {
        Span(self.0.saturating_add(other.0))
    }
}

impl Sub for Span {
    type Output = Span;
    fn sub(self, other: Span) -> Span {
        Span(self.0.saturating_sub(other.0))
    }
}

impl fmt::Debug for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        std::time::Duration::from_nanos(self.0).fmt(f)
    }
}

/// Where the time comes from.
pub trait Clock {
    /// The time now; never earlier than the last answer.
    fn now(&self) -> Instant;
}

/// The machine's monotonic clock.
#[derive(Debug, Clone, Copy)]
pub struct RealClock {
    start: std::time::Instant,
}

impl RealClock {
    /// A clock that starts now.
    #[expect(
        clippy::new_without_default,
        reason = "a clock that starts by default would surprise"
    )]
    pub fn new() -> RealClock {
        RealClock {
            start: std::time::Instant::now(),
        }
    }
}

impl Clock for RealClock {
    fn now(&self) -> Instant {
        Instant::ZERO + Span::from(self.start.elapsed())
    }
}

/// A clock that stands still until it is moved: the time of simulations.
#[derive(Debug, Default)]
pub struct SimClock {
    now: Cell<Instant>,
}

impl SimClock {
    /// A clock that stands at [`Instant::ZERO`].
    pub fn new() -> SimClock {
        SimClock::default()
    }

    /// Moves to `moment`, or stays if that has passed.
    pub fn advance_to(&self, moment: Instant) {
        self.now.set(self.now.get().max(moment));
    }
}

impl Clock for SimClock {
    fn now(&self) -> Instant {
        self.now.get()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_saturate_and_never_go_negative() {
        assert_eq!(Instant::ZERO.since(Instant::FAR), Span::ZERO);
        assert_eq!(Instant::FAR + Span::from_secs(1), Instant::FAR);
        assert_eq!(Span::from_secs_f64(f64::NAN), Span::ZERO);
        assert_eq!(Span::from_secs_f64(-1.0), Span::ZERO);
        assert_eq!(Span::from_secs_f64(0.25), Span::from_millis(250));
    }

    #[test]
    fn a_simulated_clock_does_not_run_backwards() {
        let clock = SimClock::new();
        clock.advance_to(Instant::from_nanos(5));
        clock.advance_to(Instant::from_nanos(3));
        assert_eq!(clock.now(), Instant::from_nanos(5));
    }
}
