//! How many queries may be in flight to one server: additive increase, multiplicative decrease, with a tolerance for the
//! loss that every network has.
//!
//! A stock rbldnsd drops what exceeds some 140 queries waiting in its receive buffer, so a server that is not known gets
//! at most [`WINDOW_MAX`]. Decrease is by measured share of loss, not by a single loss: a path that loses one packet in a
//! hundred whatever the rate would otherwise be held at a dozen queries for ever (the 1.22 ÷ √loss of TCP).

/// In flight at first.
pub(super) const WINDOW_START: u32 = 12;

/// In flight at most to a server that is not known to bear more.
pub const WINDOW_MAX: u32 = 128;

/// Tries whose fate is looked at together, at least.
const ROUND_MIN: u32 = 32;

/// Loss above this share of a round counts as congestion: one in twenty.
const LOSS_SHARE: u32 = 20;

/// A window.
#[derive(Debug, Clone)]
pub(super) struct Window {
    size: f32,
    threshold: f32,
    max: f32,
    in_flight: u32,
    answered: u32,
    lost: u32,
}

impl Window {
    pub(super) fn new(max: u32) -> Window {
        let max = max.max(1);
        Window {
            size: WINDOW_START.min(max) as f32,
            threshold: max as f32,
            max: max as f32,
            in_flight: 0,
            answered: 0,
            lost: 0,
        }
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

    /// An answer came.
    pub(super) fn answered(&mut self) {
        // A window that is not used says nothing about what the server would bear.
        let used = self.in_flight as f32 * 2.0 >= self.size;
        self.released();
        self.answered += 1;
        if used {
            let step = if self.size < self.threshold {
                1.0
            } else {
                1.0 / self.size
            };
            self.size = (self.size + step).min(self.max);
        }
        self.end_round();
    }

    /// A packet was given up as lost.
    pub(super) fn lost(&mut self) {
        self.released();
        self.lost += 1;
        self.end_round();
    }

    /// Starts again from the beginning, as after a silence.
    pub(super) fn restart(&mut self) {
        self.threshold = (self.size / 2.0).max(2.0);
        self.size = (WINDOW_START as f32).min(self.max);
        (self.answered, self.lost) = (0, 0);
    }

    fn end_round(&mut self) {
        let total = self.answered + self.lost;
        if self.lost >= 2 && self.lost * LOSS_SHARE > total.max(ROUND_MIN) {
            self.decrease();
        } else if total >= ROUND_MIN.max(self.size as u32) {
            (self.answered, self.lost) = (0, 0);
        }
    }

    fn decrease(&mut self) {
        self.size = (self.size / 2.0).max(1.0);
        self.threshold = self.size.max(2.0);
        (self.answered, self.lost) = (0, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs rounds in which the server answers what fits its buffer and drops the rest; returns sizes over time.
    fn run(max: u32, buffer: u32, rounds: usize, random_loss_every: u32) -> (u32, f64) {
        let mut window = Window::new(max);
        let (mut sent, mut lost) = (0u32, 0u32);
        for _ in 0..rounds {
            let mut flight = 0;
            while window.has_room() {
                window.sent();
                flight += 1;
            }
            for packet in 0..flight {
                sent += 1;
                if packet >= buffer || (random_loss_every > 0 && sent % random_loss_every == 0) {
                    lost += 1;
                    window.lost();
                } else {
                    window.answered();
                }
            }
        }
        (window.size(), f64::from(lost) / f64::from(sent))
    }

    #[test]
    fn grows_to_its_cap_on_a_good_path() {
        assert_eq!(run(128, 140, 50, 0), (128, 0.0));
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

    #[test]
    fn one_loss_in_five_does() {
        let (size, _) = run(128, 140, 500, 5);
        assert!(size < 20, "{size}");
    }

    #[test]
    fn never_below_one() {
        let mut window = Window::new(128);
        for _ in 0..200 {
            window.sent();
            window.lost();
        }
        assert_eq!(window.size(), 1);
        assert!(window.has_room());
    }
}
