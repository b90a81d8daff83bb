//! A token bucket in the form of the generic cell rate algorithm: one moment is all its state.
//!
//! Over any span of time T it lets pass at most `rate × T + burst` packets.

use crate::clock::{Instant, Span};

/// A pace for packets.
#[derive(Debug, Clone)]
pub struct Bucket {
    interval: Span,
    /// How far ahead of time packets may be.
    tolerance: Span,
    /// When the next packet would be due if all came at the even pace.
    due: Instant,
}

impl Bucket {
    /// A bucket of `rate` packets a second (more than zero), which lets `burst` of them pass at once (at least 1).
    pub fn new(rate: f64, burst: u32) -> Bucket {
        let interval = Span::from_secs_f64(1.0 / rate.max(1e-6));
        Bucket {
            interval,
            tolerance: interval.times(u64::from(burst.max(1)) - 1),
            due: Instant::ZERO,
        }
    }

    /// A bucket for a rate, with the burst that suits it: 20 ms worth of packets, so that slow paces are even and fast
    /// ones can be batched.
    pub fn paced(rate: f64) -> Bucket {
        Bucket::new(rate, (rate / 50.0) as u32)
    }

    /// Sets another rate from now on.
    pub fn set_rate(&mut self, rate: f64) {
        let fresh = Bucket::paced(rate);
        self.interval = fresh.interval;
        self.tolerance = fresh.tolerance;
    }

    /// When a packet may pass: now or earlier if one may pass now.
    pub fn ready_at(&self) -> Instant {
        Instant::from_nanos(self.due.as_nanos().saturating_sub(self.tolerance.as_nanos()))
    }

    /// Lets a packet pass, whether it may or not.
    pub fn take(&mut self, now: Instant) {
        self.due = self.due.max(now) + self.interval;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passed(bucket: &mut Bucket, until: Instant, from: Instant) -> usize {
        let mut count = 0;
        let mut now = from;
        loop {
            now = now.max(bucket.ready_at());
            if now > until {
                return count;
            }
            bucket.take(now);
            count += 1;
        }
    }

    #[test]
    fn never_more_than_rate_and_burst_in_any_second() {
        let mut bucket = Bucket::new(100.0, 5);
        let start = Instant::from_nanos(7_000_000_000);
        assert_eq!(passed(&mut bucket, start, start), 5);
        let second = start + Span::from_secs(1);
        assert_eq!(passed(&mut bucket, second, start), 100);
        // After a long rest the burst is back, and no more than that.
        let later = second + Span::from_secs(3_600);
        assert_eq!(passed(&mut bucket, later, later), 5);
    }

    #[test]
    fn a_rate_of_a_few_a_day_works() {
        let mut bucket = Bucket::new(1.0 / 3_600.0, 1);
        let start = Instant::from_nanos(1);
        assert_eq!(passed(&mut bucket, start + Span::from_secs(7_201), start), 3);
    }
}
