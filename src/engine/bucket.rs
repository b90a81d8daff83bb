//! A token bucket in the form of the generic cell rate algorithm: one moment is all its state.
//!
//! Over any span of time T it lets pass at most `rate × T + burst` packets; a paced one has the burst of 1 packet and
//! [`LATENESS`] worth of them.

use crate::clock::{Instant, Span};

/// How late a loop may come to a paced packet without losing pace: more than a busy machine takes to wake a process. It lets
/// fast paces go in batches, too, while slow ones stay even.
const LATENESS: Span = Span::from_millis(20);

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

    /// A bucket for a rate that is kept by who wakes a little late each time.
    pub fn paced(rate: f64) -> Bucket {
        Bucket {
            tolerance: LATENESS,
            ..Bucket::new(rate, 1)
        }
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
    fn a_pace_is_kept_by_who_is_a_little_late_each_time() {
        for rate in [5.0, 20.0, 50.0, 700.0] {
            let mut bucket = Bucket::paced(rate);
            let start = Instant::from_nanos(7_000_000_000);
            let (mut now, mut count) = (start, 0.0);
            while now.since(start) < Span::from_secs(10) {
                now = now.max(bucket.ready_at()) + Span::from_millis(15);
                while bucket.ready_at() <= now {
                    bucket.take(now);
                    count += 1.0;
                    assert!(
                        count <= now.since(start).as_secs_f64() * rate + 1.0 + rate / 50.0 + 1e-6,
                        "{rate}"
                    );
                }
            }
            assert!(count >= 10.0 * rate - 1.0, "{count} packets at {rate} a second");
        }
    }

    #[test]
    fn a_rate_of_a_few_a_day_works() {
        let mut bucket = Bucket::new(1.0 / 3_600.0, 1);
        let start = Instant::from_nanos(1);
        assert_eq!(passed(&mut bucket, start + Span::from_secs(7_201), start), 3);
    }
}
