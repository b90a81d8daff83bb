//! How long replies of near servers are left to gather before they are taken.
//!
//! A reply that is taken alone is followed by a query alone: that costs a wake, a call each way, and a train of one. So the
//! turns of a worker are kept apart where queries travel in trains: by as long as it takes until a good number of replies has come,
//! which the turns themselves show. Where nothing travels in trains few replies wait a moment for others, and many do not.

use crate::clock::{Instant, Span};

/// From one turn to the next: less than a round trip to anywhere else, and long enough for a few replies; at most, a small
/// part of a round trip to whom a near resolver asks.
const SPAN_MIN: Span = Span::from_micros(50);
const SPAN_MAX: Span = Span::from_micros(400);

/// A pause below this is none: to fall asleep and to wake takes as long.
const SLEEP_MIN: Span = Span::from_micros(20);

/// Replies that are worth a turn where nothing travels in trains.
const ENOUGH: usize = 24;

/// Replies that a turn should bring: one in so many of what is in flight, so that the server has enough to do meanwhile, and
/// no more than one turn can put new queries in the place of.
const PART: u32 = 8;
const GOAL_MAX: u32 = 96;

/// Paces the turns of a worker.
#[derive(Debug)]
pub(super) struct Gather {
    span: Span,
}

impl Gather {
    pub(super) const fn new() -> Gather {
        Gather { span: SPAN_MIN }
    }

    /// The pause after a turn that took `received` replies and sent `sent` queries, while so many are in flight to servers that
    /// trains go to (`in_trains`); `taken` is when it took them. After a turn that did neither, something has come by now.
    pub(super) fn pause(
        &mut self,
        (received, sent): (usize, usize),
        in_trains: u32,
        (taken, now): (Instant, Instant),
    ) -> Option<Span> {
        if received + sent == 0 {
            return Some(self.span);
        }
        // Where more was sent than had come, windows grow. Replies that were followed by none may have stirred something.
        if sent == 0 || sent > received {
            return None;
        }
        if in_trains == 0 {
            return (received < ENOUGH).then_some(SPAN_MIN);
        }
        let goal = u64::from((in_trains / PART).clamp(1, GOAL_MAX));
        let fit = self.span.times(goal).part(received as u64);
        self.span = fit
            .clamp(self.span.part(2), self.span.times(2))
            .clamp(SPAN_MIN, SPAN_MAX);
        let rest = self.span - now.since(taken);
        (rest >= SLEEP_MIN).then_some(rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Turns against a server that answers `rate` queries a millisecond, each turn taking two microseconds a reply: the
    /// replies of the last one, and its pause.
    fn settled(rate: u64, in_flight: u32) -> (usize, Option<Span>) {
        let (mut gather, mut now, mut last) = (Gather::new(), Instant::ZERO, Instant::ZERO);
        let mut turn = (0, None);
        for _ in 0..50 {
            let received = (now.since(last).as_nanos() * rate / 1_000_000).clamp(1, u64::from(in_flight)) as usize;
            last = now;
            let done = now + Span::from_micros(2 * received as u64);
            turn = (received, gather.pause((received, received), in_flight, (now, done)));
            now = done + turn.1.unwrap_or(Span::ZERO);
        }
        turn
    }

    #[test]
    fn a_turn_brings_a_part_of_what_is_in_flight_and_no_more_than_can_be_sent_anew() {
        for (rate, in_flight, wanted) in [(300, 1_000, 96), (300, 256, 32), (20, 128, 8), (100, 160, 20)] {
            let (received, pause) = settled(rate, in_flight);
            assert!(
                received.abs_diff(wanted) <= 2,
                "{rate}, {in_flight}: {received} at a time"
            );
            assert!(pause.is_some_and(|pause| pause < SPAN_MAX));
        }
        assert_eq!(
            settled(1, 1_000).1,
            Some(Span::from_micros(398)),
            "a slow server is not waited for"
        );
        assert_eq!(
            settled(490, 64).1,
            None,
            "a fast one has as much to give when the turn is over"
        );
    }

    #[test]
    fn who_can_send_more_does_not_wait() {
        let mut gather = Gather::new();
        let mut pause =
            |received, sent, in_trains| gather.pause((received, sent), in_trains, (Instant::ZERO, Instant::ZERO));
        assert_eq!(pause(4, 8, 100), None, "the window grows");
        assert_eq!(pause(4, 0, 100), None, "it may have stirred something");
        assert_eq!(pause(0, 0, 100), Some(SPAN_MIN), "woken by the first");
        assert_eq!(pause(4, 4, 0), Some(SPAN_MIN), "without trains, few");
        assert_eq!(pause(64, 64, 0), None, "without trains, many");
    }
}
