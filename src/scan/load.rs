//! Whether a worker has its hands full: it has had a core nearly all the time. One that waits for servers has not; nor has one
//! that waits for a core, and another worker would wait for it too.

use crate::clock::{Instant, Span};

/// How long a worker is watched. Long against an examination on the same machine, which is nothing but waiting; short against
/// any scan that is worth a second worker.
const LOAD_SPAN: Span = Span::from_millis(100);

/// A worker that rests less than one part in so many has its hands full.
const REST_PART: u64 = 10;

/// The load of one worker.
#[derive(Debug)]
pub(super) struct Load {
    since: Instant,
    /// CPU time by then, where that is known.
    worked: Option<Span>,
}

impl Load {
    /// It begins now; it has used so much CPU time before.
    pub(super) fn new(now: Instant, worked: Option<Span>) -> Load {
        Load { since: now, worked }
    }

    /// Whether it had its hands full in all of the span that ends now; false while none ends.
    pub(super) fn is_full(&mut self, now: Instant, worked: impl FnOnce() -> Option<Span>) -> bool {
        let watched = now.since(self.since);
        if watched < LOAD_SPAN {
            return false;
        }
        let before = std::mem::replace(&mut self.worked, worked());
        self.since = now;
        let spent = self.worked.zip(before).map(|(after, before)| after - before);
        spent.is_some_and(|spent| (watched - spent).times(REST_PART) < watched)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_works_all_the_time_has_the_hands_full() {
        let at = |millis| Instant::ZERO + Span::from_millis(millis);
        let worked = |millis| move || Some(Span::from_millis(millis));
        let mut load = Load::new(at(0), Some(Span::from_millis(1_000)));
        assert!(!load.is_full(at(99), worked(1_099)), "it is too early to say");
        assert!(load.is_full(at(100), worked(1_100)), "it never rested");
        assert!(load.is_full(at(200), worked(1_191)));
        assert!(!load.is_full(at(300), worked(1_281)), "a tenth of rest is room");
        assert!(!load.is_full(at(400), worked(1_281)));
        assert!(load.is_full(at(600), worked(1_481)), "rests do not count twice");
        assert!(!load.is_full(at(700), || None), "nobody knows");
        assert!(!load.is_full(at(800), worked(1_681)), "nobody knows since when");
        assert!(load.is_full(at(900), worked(1_781)));
    }
}
