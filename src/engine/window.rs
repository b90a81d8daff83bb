//! How many queries may be in flight to one server: additive increase, multiplicative decrease, with a tolerance for the
//! loss that every network has.
//!
//! A stock rbldnsd drops what exceeds some 140 queries waiting in its receive buffer, so a server that is not known gets
//! at most [`WINDOW_MAX`], and fewer where all that is in flight waits in such a buffer: [`WINDOW_QUEUED`]. Decrease is by
//! measured share of loss, not by a single loss: a path that loses one packet in a hundred whatever the rate would otherwise be
//! held at a dozen queries for ever (the 1.22 ÷ √loss of TCP).
//!
//! An authority may limit its replies a second without having shown it yet, and what is in flight when it does is lost:
//! until it has given [`REPLIES_TO_PROVE`] of them, some 200 a second are begun with and only some 400 are let grow.

use crate::clock::{Instant, Span};

/// In flight at first.
pub(super) const WINDOW_START: u32 = 12;

/// In flight at most to a server that is not known to bear more.
pub const WINDOW_MAX: u32 = 128;

/// The same where replies come so much later than the soonest that the queries wait for the server: more in flight would only wait
/// longer. rbldnsd asks for 64 KiB, which Linux makes 128: room for 157 queries at 832 octets each, but what is taken out
/// counts until a quarter of the buffer is together, so that 118 may wait while it answers.
const WINDOW_QUEUED: u32 = 96;

/// In flight to a server that may limit its replies, until it has given so many.
const WINDOW_UNPROVEN: u32 = 8;
pub(super) const REPLIES_TO_PROVE: u32 = 1_000;

/// Its replies a second meanwhile, where the way is long and the window makes the rate: twice the usual limit, which is
/// what full buckets let through.
const RATE_UNPROVEN: f64 = 400.0;

/// Where the first reply shows how far the server is, as many may be in flight from then on as make the usual limit: a window
/// of eight doubled a round trip at a time is slowest where the rate is lowest. Half of what an rbldnsd's buffer holds at most,
/// for it may come at once.
const RATE_START: f64 = 200.0;
const WINDOW_START_FAR: u32 = 57;

/// Tries whose fate is looked at together, at least.
const ROUND_MIN: u32 = 32;

/// Loss that is certainly above this share counts as congestion: one in twenty.
const LOSS_SHARE: u32 = 20;

/// How far above it a round must be to be certain, in standard deviations, where replies come as soon as ever: by chance alone
/// a network that loses one packet in fifty loses two of 32 every few rounds.
const CERTAINTY: f32 = 2.0;

/// Replies that take longer than the soonest by more than one part in so many have waited in a queue.
const QUEUED: u64 = 3;

/// A window.
#[derive(Debug, Clone)]
pub(super) struct Window {
    size: f32,
    threshold: f32,
    max: f32,
    /// It is never made smaller than this.
    floor: f32,
    in_flight: u32,
    /// Replies that it takes yet to let it grow freely.
    unproven: u32,
    answered: u32,
    lost: u32,
    /// The round trip, smoothed: the shortest that it was, and the latest.
    shortest: Span,
    latest: Span,
    /// When it was last made smaller: packets sent before that belong to the same congestion.
    decreased: Option<Instant>,
}

impl Window {
    pub(super) fn new(max: u32) -> Window {
        let max = max.max(1);
        Window {
            size: WINDOW_START.min(max) as f32,
            threshold: max as f32,
            max: max as f32,
            floor: 1.0,
            in_flight: 0,
            unproven: 0,
            answered: 0,
            lost: 0,
            shortest: Span::from_secs(3_600),
            latest: Span::ZERO,
            decreased: None,
        }
    }

    /// One to a server that may limit its replies.
    pub(super) fn careful(max: u32) -> Window {
        let window = Window::new(max);
        Window {
            size: window.size.min(WINDOW_UNPROVEN as f32),
            unproven: REPLIES_TO_PROVE,
            ..window
        }
    }

    /// Keeps it from being made smaller than `floor`, because loss has another cause there.
    pub(super) fn keep_above(&mut self, floor: u32) {
        self.floor = (floor.max(1) as f32).min(self.max);
        self.size = self.size.max(self.floor);
    }

    pub(super) fn has_room(&self) -> bool {
        (self.in_flight as f32) < self.size
    }

    pub(super) fn in_flight(&self) -> u32 {
        self.in_flight
    }

    pub(super) fn size(&self) -> u32 {
        self.size as u32
    }

    pub(super) fn sent(&mut self) {
        self.in_flight += 1;
    }

    /// A packet is no longer waited for, and says nothing about the path (cancelled, or moved to TCP).
    pub(super) fn released(&mut self) {
        debug_assert!(self.in_flight > 0);
        self.in_flight = self.in_flight.saturating_sub(1);
    }

    /// An answer came, as they do after `rtt`.
    pub(super) fn answered(&mut self, rtt: Span) {
        // A window that is not used says nothing about what the server would bear.
        let used = self.in_flight as f32 * 2.0 >= self.size;
        self.released();
        self.answered += 1;
        if self.unproven == REPLIES_TO_PROVE {
            let start = (RATE_START * rtt.as_secs_f64()) as f32;
            self.size = self.size.max(start.min(WINDOW_START_FAR as f32).min(self.max));
        }
        // Each of them proves something, also those of a batch that has left the window half empty.
        self.unproven = self.unproven.saturating_sub(1);
        (self.shortest, self.latest) = (self.shortest.min(rtt), rtt);
        if used {
            let step = if self.size < self.threshold {
                1.0
            } else {
                1.0 / self.size
            };
            self.size = (self.size + step).min(self.most(rtt).max(self.size));
        }
        self.end_round();
    }

    /// How large it may grow now.
    fn most(&self, rtt: Span) -> f32 {
        if self.unproven == 0 {
            // Who asks for more than the usual knows what the server bears.
            let bounded = self.max <= WINDOW_MAX as f32 && self.is_queued();
            return if bounded {
                self.max.min(WINDOW_QUEUED as f32)
            } else {
                self.max
            };
        }
        let most = (RATE_UNPROVEN * rtt.as_secs_f64()) as f32;
        most.max(WINDOW_UNPROVEN as f32).max(self.floor).min(self.max)
    }

    /// A packet that was sent at `sent` was given up as lost. A full buffer loses many packets at once: those that were
    /// on their way when the window was made smaller do not make it smaller again.
    pub(super) fn lost(&mut self, now: Instant, sent: Instant) {
        self.released();
        if self.decreased.is_some_and(|decreased| sent <= decreased) {
            return;
        }
        self.lost += 1;
        if self.end_round() {
            self.decreased = Some(now);
        }
    }

    /// Replies were dropped on our side, because more came than were taken: less at a time, once a round trip. Those that
    /// are missed later on are of the same congestion.
    pub(super) fn overflowed(&mut self, now: Instant, rtt: Span) {
        let judged = self.decreased.is_some_and(|decreased| now.since(decreased) <= rtt);
        if self.in_flight > 0 && !judged {
            self.decrease();
            self.decreased = Some(now);
        }
    }

    /// Starts again from the beginning, as after a silence: that was no congestion.
    pub(super) fn restart(&mut self) {
        self.threshold = (self.max / 2.0).max(2.0);
        self.size = (WINDOW_START as f32).min(self.max).max(self.floor);
        (self.answered, self.lost) = (0, 0);
    }

    /// Judges the round; whether the window became smaller. The share is of a whole round, so that two stray losses at
    /// its beginning are not taken for half of everything. Where replies come later than they did, a queue is full, and the
    /// loss is its; where they do not, it may be chance.
    fn end_round(&mut self) -> bool {
        let total = self.answered + self.lost;
        let round = ROUND_MIN.max(self.size as u32);
        let borne = total.max(round) as f32 / LOSS_SHARE as f32;
        let chance = if self.is_queued() {
            0.0
        } else {
            CERTAINTY * borne.sqrt()
        };
        if self.lost >= 2 && self.lost as f32 > borne + chance {
            self.decrease();
            return true;
        }
        if total >= round {
            (self.answered, self.lost) = (0, 0);
        }
        false
    }

    /// Whether replies come later than the soonest did: queries wait somewhere.
    fn is_queued(&self) -> bool {
        self.latest > self.shortest + self.shortest.part(QUEUED)
    }

    fn decrease(&mut self) {
        self.size = (self.size / 2.0).max(self.floor);
        self.threshold = self.size.max(2.0);
        (self.answered, self.lost) = (0, 0);
    }
}

/// How long a path takes to bring so many replies where nothing is lost and nothing but its window holds it back: the
/// window itself, driven a round trip at a time. `careful` as in [`UpstreamOptions`](super::UpstreamOptions).
pub fn forecast(replies: u64, rtt: Span, window_max: u32, careful: bool) -> Span {
    let mut window = match careful {
        true => Window::careful(window_max),
        false => Window::new(window_max),
    };
    let (mut left, mut took) = (replies, Span::ZERO);
    while left > 0 {
        if window.unproven == 0 && window.size >= window.max {
            let trips = left as f64 / f64::from(window.max);
            return took + Span::from_secs_f64(rtt.as_secs_f64() * trips);
        }
        while window.has_room() {
            window.sent();
        }
        let flight = u64::from(window.in_flight()).min(left);
        for _ in 0..flight {
            window.answered(rtt);
            if window.has_room() {
                window.sent(); // the next goes out with each reply
            }
        }
        left -= flight;
        took = took + rtt;
    }
    took
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forecast_is_a_window_that_grows_and_then_stays() {
        let seconds =
            |replies, millis, careful| forecast(replies, Span::from_millis(millis), 128, careful).as_secs_f64();
        assert_eq!(seconds(0, 100, false), 0.0);
        assert_eq!(seconds(1, 100, false), 0.1);
        // 12, 24, 48, 96 and 128 from then on.
        let grown = seconds(100_000, 100, false) - 100_000.0 / 1_280.0;
        assert!((0.1..0.4).contains(&grown), "{grown}");
        // Some 400 a second until a thousand have come.
        let proven = seconds(100_000, 100, true) - (100_000.0 - 1_000.0) / 1_280.0;
        assert!((2.0..4.0).contains(&proven), "{proven}");
        assert!(forecast(u64::from(u32::MAX), Span::from_millis(1), 128, true) > Span::from_secs(33_000));
    }

    /// Runs rounds in which the server answers what fits its buffer and drops the rest; returns sizes over time.
    fn run(max: u32, buffer: u32, rounds: usize, random_loss_every: u32) -> (u32, f64) {
        let mut window = Window::new(max);
        let (mut sent, mut lost) = (0u32, 0u32);
        for round in 0..rounds as u64 {
            let (sent_at, now) = (Instant::from_nanos(2 * round), Instant::from_nanos(2 * round + 1));
            let mut flight = 0;
            while window.has_room() {
                window.sent();
                flight += 1;
            }
            for packet in 0..flight {
                sent += 1;
                if packet >= buffer || (random_loss_every > 0 && sent % random_loss_every == 0) {
                    lost += 1;
                    window.lost(now, sent_at);
                } else {
                    window.answered(Span::ZERO);
                }
            }
        }
        (window.size(), f64::from(lost) / f64::from(sent))
    }

    #[test]
    fn grows_to_its_cap_on_a_good_path() {
        assert_eq!(run(128, 140, 50, 0), (128, 0.0));
    }

    /// A server that takes 5 µs a query and answers one after the other: all that is in flight waits for it.
    #[test]
    fn what_waits_in_a_queue_stays_below_the_buffer_of_an_rbldnsd() {
        let grown = |max, far: u64| {
            let mut window = Window::careful(max);
            for _ in 0..10_000 {
                while window.has_room() {
                    window.sent();
                }
                window.answered(Span::from_micros(far + 5 * u64::from(window.in_flight())));
            }
            window.size()
        };
        assert_eq!(grown(128, 20), 96);
        assert_eq!(grown(128, 20_000), 128, "on the way, not in the queue");
        assert_eq!(grown(64, 20), 64);
        assert!(grown(1_000, 20) > 500, "the user knows more of the server");
    }

    /// Replies of a far server come together, and the window is filled again behind the last of them.
    #[test]
    fn replies_that_come_together_prove_as_much_as_others() {
        let (mut window, mut replies) = (Window::careful(128), 0);
        while window.size() < 100 {
            while window.has_room() {
                window.sent();
            }
            for _ in 0..window.in_flight() {
                window.answered(Span::from_millis(40));
                replies += 1;
            }
        }
        assert!((1_000..1_500).contains(&replies), "{replies}");
    }

    /// What is known of it then is how far it is: as many as make 200 a second go out at once, and half a buffer at most.
    #[test]
    fn a_far_server_is_begun_with_at_the_usual_limit() {
        let begun = |max, millis| {
            let mut window = Window::careful(max);
            while window.has_room() {
                window.sent();
            }
            window.answered(Span::from_millis(millis));
            window.size()
        };
        assert_eq!(
            [20, 100, 200, 280, 900].map(|millis| begun(128, millis)),
            [8, 21, 41, 57, 58]
        );
        assert_eq!(begun(16, 280), 16, "the user knows that it bears less");
    }

    #[test]
    fn finds_the_buffer_of_a_small_server() {
        let (size, loss) = run(128, 40, 2_000, 0);
        assert!((20..=60).contains(&size), "{size}");
        assert!(loss < 0.05, "{loss}");
    }

    #[test]
    fn one_loss_in_a_hundred_does_not_hold_it_down() {
        let (size, _) = run(128, 140, 500, 100);
        assert!(size > 100, "{size}");
    }

    /// Whatever round trips and windows are: two in a hundred of what is lost anywhere, at random, is no congestion.
    #[test]
    fn two_losses_in_a_hundred_at_random_do_not_either() {
        for seed in 0..20u64 {
            let mut window = Window::careful(128);
            let mut state = seed * 2 + 1;
            let (mut smallest, mut now) = (f32::INFINITY, 0);
            for packet in 0..20_000u32 {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                while window.has_room() {
                    window.sent();
                }
                now += 1;
                match (state >> 33) % 50 {
                    0 => window.lost(Instant::from_nanos(now), Instant::from_nanos(now - 1)),
                    _ => window.answered(Span::from_millis(300)),
                }
                if packet > 2_000 {
                    smallest = smallest.min(window.size);
                }
            }
            assert!(smallest >= 60.0, "seed {seed}: {smallest}");
        }
    }

    #[test]
    fn one_loss_in_five_does() {
        let (size, _) = run(128, 140, 500, 5);
        assert!(size < 20, "{size}");
    }

    #[test]
    fn one_burst_of_losses_halves_it_once() {
        let mut window = Window::new(128);
        (0..60).for_each(|_| window.sent());
        let size = window.size();
        (0..60).for_each(|_| window.lost(Instant::from_nanos(9), Instant::from_nanos(1)));
        assert_eq!(window.size(), size / 2);
        assert_eq!(window.in_flight(), 0);
    }

    #[test]
    fn never_below_one() {
        let mut window = Window::new(128);
        for step in 0..200 {
            window.sent();
            window.lost(Instant::from_nanos(2 * step + 1), Instant::from_nanos(2 * step));
        }
        assert_eq!(window.size(), 1);
        assert!(window.has_room());
    }
}
