//! Going slower than the window can: for servers that limit the rate of their replies.
//!
//! A name server with response rate limiting drops part of what exceeds its limit and answers the rest cut short and empty
//! (TC set, no records). On a short path one query in flight is already thousands a second, so the window cannot follow;
//! this finds the rate at which replies do come, and paces the path to it.
//!
//! An empty reply is a sign at once: the path rests until the server has forgotten the burst, and goes on well below what
//! was answered. An answer can also be too long for UDP; where TCP then brings a long one, the pace is lifted, and empty
//! replies of that path say nothing from then on, unless they deny. What was on its way when the limit was
//! found says nothing more. Windows stay small until a server has shown that it bears a thousand replies, so that little
//! is on its way then.

use crate::clock::{Instant, Span};

use super::bucket::Bucket;

/// How long replies and losses are counted before they are judged: servers count by the second.
const ROUND: Span = Span::from_millis(1_100);

/// Rounds without trouble before a faster pace is tried: what a server has limited, it will limit again.
const CLEAN_ROUNDS: u32 = 5;

/// The same where the limit was guessed from a burst, to begin with below it.
const CLEAN_ROUNDS_GUESS: u32 = 2;

/// The same where the limit is known; after twice as many it is taken to be gone, and the pace goes up fast.
const CLEAN_ROUNDS_LONG: u32 = 30;

/// How long a path rests after an empty reply. NSD halves its count every second and stays shut for the whole one that
/// follows a burst; twice as long each time nothing was answered in between.
const REST: Span = Span::from_secs(2);
const REST_MAX: Span = Span::from_secs(8);

/// Of what was answered in the second before the first empty reply, the share that is tried next: buckets that were full
/// let through twice their rate.
const SHARE_OF_BURST: f64 = 0.47;

/// Above every share, so that the first bad round counts.
const SHARE_UNKNOWN: f64 = 10.0;

/// Bad tries that are needed for a judgement, so that a few stray losses make nothing slow.
const BAD_MIN: u32 = 4;

/// Tries that it takes to tell whether loss is the path's own, or gone. A round at a slow pace has fewer: at five a second, a path
/// that loses one in five seldom loses four of a round, and often none.
const TRIES_TO_TELL: u32 = 64;

/// The pace for the rest of a round in which a server was found to limit, in packets a second.
const RATE_WHILE_JUDGING: f64 = 50.0;

/// The slowest pace, in packets a second: RFC 6298 time-outs take over below.
const RATE_MIN: f64 = 5.0;

/// The pace of a path that had to be slowed.
#[derive(Debug)]
pub(super) struct Slow {
    rate: Option<f64>,
    bucket: Option<Bucket>,
    round_began: Instant,
    good: u32,
    bad: u32,
    slips: u32,
    /// Good and bad tries of all rounds since it could be told last.
    good_rounds: u32,
    bad_rounds: u32,
    clean_rounds: u32,
    /// The rate of full replies when the server limited last.
    limit: f64,
    /// The share of bad tries for which it was slowed last, until a clean round.
    share_slowed: f64,
    /// Full replies of the round before.
    good_before: u32,
    /// Whether a full reply has ever come.
    heard: bool,
    /// Nothing passes before.
    rests_until: Instant,
    rest: Span,
    /// When it was slowed last: what was sent before belongs to the same trouble.
    slowed_at: Instant,
    /// The fastest pace that had a clean round.
    steady: f64,
    /// Clean rounds before a faster pace is tried.
    patience: u32,
    /// The pace before an empty reply that may have been a long answer.
    before: Option<Option<f64>>,
    /// Empty replies were seen to stand for long answers.
    long_answers: bool,
    /// The limit showed by replies that were cut short.
    cuts: bool,
}

impl Default for Slow {
    fn default() -> Slow {
        Slow {
            rate: None,
            bucket: None,
            round_began: Instant::ZERO,
            good: 0,
            bad: 0,
            slips: 0,
            good_rounds: 0,
            bad_rounds: 0,
            clean_rounds: 0,
            limit: 0.0,
            share_slowed: SHARE_UNKNOWN,
            good_before: 0,
            heard: false,
            rests_until: Instant::ZERO,
            rest: REST,
            slowed_at: Instant::ZERO,
            steady: 0.0,
            patience: CLEAN_ROUNDS,
            before: None,
            long_answers: false,
            cuts: false,
        }
    }
}

impl Slow {
    /// When the next packet may pass.
    pub(super) fn ready_at(&self) -> Instant {
        let paced = self.bucket.as_ref().map_or(Instant::ZERO, Bucket::ready_at);
        paced.max(self.rests_until)
    }

    pub(super) fn take(&mut self, now: Instant) {
        if let Some(bucket) = &mut self.bucket {
            bucket.take(now);
        }
    }

    /// A full reply came.
    pub(super) fn good(&mut self, now: Instant) {
        self.good += 1;
        self.heard = true;
        self.judge(now, false);
    }

    /// A reply to what was sent at `sent` came cut short and empty; `denied` if it says NXDOMAIN, which is never long.
    pub(super) fn slipped(&mut self, now: Instant, sent: Instant, denied: bool) {
        if sent <= self.slowed_at || (self.long_answers && !denied) {
            return;
        }
        if self.heard {
            self.limit_found(now, denied);
            return;
        }
        self.bad += 1;
        self.slips += 1;
        self.judge(now, true);
    }

    /// A try of `sent` was lost; `crowded` if the window is not to blame because it is small already.
    pub(super) fn lost(&mut self, now: Instant, sent: Instant, crowded: bool) {
        if sent <= self.slowed_at {
            return;
        }
        self.bad += 1;
        self.judge(now, crowded);
    }

    /// An empty reply turned out to stand for an answer that is too long for UDP. Whether the pace was lifted.
    pub(super) fn was_long(&mut self) -> bool {
        (self.long_answers, self.cuts) = (true, false);
        let Some(before) = self.before.take() else {
            return false;
        };
        self.rests_until = Instant::ZERO;
        match before {
            Some(rate) => self.set(rate),
            None => (self.rate, self.bucket) = (None, None),
        }
        true
    }

    /// The first reply beyond a limit.
    fn limit_found(&mut self, now: Instant, certain: bool) {
        let elapsed = now.since(self.round_began).as_secs_f64();
        let before = f64::from(self.good_before) * (1.0 - elapsed / ROUND.as_secs_f64()).max(0.0);
        let answered = f64::from(self.good) + before;
        if !certain && answered == 0.0 && self.rate.is_some() {
            // Not one in full, even after a rest: who cuts every reply short does so at any rate.
            self.before.get_or_insert(None);
            self.was_long();
            return;
        }
        self.before = (!certain).then_some(self.rate);
        let rate = match self.rate {
            None => {
                self.patience = CLEAN_ROUNDS_GUESS;
                answered * SHARE_OF_BURST
            }
            Some(rate) => {
                self.patience = CLEAN_ROUNDS_LONG;
                match self.steady < rate && self.steady > 0.0 {
                    true => self.steady,
                    false => rate * 0.9,
                }
            }
        };
        let rate = rate.max(RATE_MIN);
        self.set(rate);
        (self.limit, self.steady) = (rate, self.steady.min(rate));
        self.rest = match answered > 0.0 {
            true => REST,
            false => self.rest.times(2).min(REST_MAX),
        };
        self.cuts = true;
        (self.slowed_at, self.rests_until) = (now, now + self.rest);
        self.begin_round(self.rests_until);
        (self.good_before, self.clean_rounds) = (0, 0);
    }

    fn begin_round(&mut self, at: Instant) {
        self.round_began = at;
        self.good_before = self.good;
        (self.good, self.bad, self.slips) = (0, 0, 0);
    }

    fn judge(&mut self, now: Instant, may_slow: bool) {
        // A round in which the path fell idle is no longer than two.
        let elapsed = now.since(self.round_began).min(ROUND.times(2));
        if elapsed < ROUND {
            // At thousands a second the rest of the round would be a flood: hold it down until the round can be judged.
            if self.rate.is_none() && self.good > 0 && self.slips >= BAD_MIN && self.slips * 10 > self.good + self.bad {
                self.set(RATE_WHILE_JUDGING);
            }
            return;
        }
        self.good_rounds += self.good;
        self.bad_rounds += self.bad;
        let (share, share_of_rounds) = (share(self.bad, self.good), share(self.bad_rounds, self.good_rounds));
        let told = self.good_rounds + self.bad_rounds >= TRIES_TO_TELL;
        let bad = self.bad >= BAD_MIN && share > 0.1;
        let bad_rounds = told && share_of_rounds > 0.1;
        let bad_share = if told { share_of_rounds } else { share };
        if (bad || bad_rounds) && self.slowing_helps(may_slow, bad_share) {
            // Ninety per cent of what came through: a little below the server's limit.
            let measured = f64::from(self.good) / elapsed.as_secs_f64();
            self.limit = measured;
            self.set((measured * 0.9).max(RATE_MIN));
            (self.clean_rounds, self.patience, self.before) = (0, CLEAN_ROUNDS, None);
            self.share_slowed = if self.slips > 0 { 1.0 } else { bad_share };
            (self.good_rounds, self.bad_rounds) = (0, 0);
        } else if bad || bad_rounds {
            // Going slower did not help: the loss is the path's own, and the pace is lifted.
            (self.rate, self.bucket, self.clean_rounds) = (None, None, 0);
        } else if let Some(rate) = self.rate
            && f64::from(self.good + self.bad) * 2.0 >= rate * elapsed.as_secs_f64()
        {
            // A pace that was not used says nothing about what the server would bear.
            self.clean_rounds += 1;
            let clean = share < 0.02;
            if clean {
                self.steady = self.steady.max(rate);
            }
            if rate < self.limit * 0.75 || self.clean_rounds > 2 * CLEAN_ROUNDS_LONG {
                self.set(rate * 1.25);
            } else if clean && self.clean_rounds > self.patience {
                self.set(rate * 1.03);
            }
        }
        if told {
            if share_of_rounds < 0.02 {
                self.share_slowed = SHARE_UNKNOWN;
            }
            (self.good_rounds, self.bad_rounds) = (0, 0);
        }
        self.begin_round(now);
    }

    /// Whether the trouble of this round may come from the rate: only where some got through, for silence is the breaker's
    /// business, and who cuts every reply short does so at any rate. Empty truncated replies say so; loss says so as long
    /// as going slower has made it less.
    fn slowing_helps(&self, may_slow: bool, bad_share: f64) -> bool {
        self.good > 0 && (self.slips > 0 || (may_slow && bad_share < self.share_slowed * 0.7))
    }

    fn set(&mut self, rate: f64) {
        self.rate = Some(rate);
        match &mut self.bucket {
            Some(bucket) => bucket.set_rate(rate),
            None => self.bucket = Some(Bucket::paced(rate)),
        }
    }

    /// Whether the server limits its replies by cutting them short, which is how it asks us to come over TCP.
    pub(super) fn cuts_short(&self) -> bool {
        self.cuts && self.rate.is_some()
    }

    /// The pace in packets a second, if there is one.
    pub(super) fn rate(&self) -> Option<f64> {
        self.rate
    }
}

fn share(bad: u32, good: u32) -> f64 {
    f64::from(bad) / f64::from((bad + good).max(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::rngs::StdRng;
    use rand::{RngExt, SeedableRng};

    /// Asks a server that answers so many a second in full and slips the rest: how many it answered and slipped.
    fn asks(slow: &mut Slow, now: &mut Instant, seconds: u64, limit_qps: u32) -> (u32, u32) {
        let (mut second, mut served) = (*now, 0);
        let (mut good, mut bad) = (0, 0);
        let end = *now + Span::from_secs(seconds);
        while *now < end {
            *now = (*now + Span::from_micros(100)).max(slow.ready_at());
            slow.take(*now);
            if now.since(second) >= Span::from_secs(1) {
                (second, served) = (*now, 0);
            }
            served += 1;
            if served <= limit_qps {
                good += 1;
                slow.good(*now);
            } else {
                bad += 1;
                slow.slipped(*now, *now, true);
            }
        }
        (good, bad)
    }

    #[test]
    fn finds_the_limit_of_a_server_and_stays_below_it() {
        let (mut slow, mut now) = (Slow::default(), Instant::from_nanos(1));
        let (good, bad) = asks(&mut slow, &mut now, 60, 200);
        let rate = slow.rate().expect("it was slowed");
        assert!((100.0..230.0).contains(&rate), "{rate}");
        assert!(good > 60 * 120, "{good}");
        assert!(f64::from(bad) < 0.005 * f64::from(good), "{bad} of {good}");
    }

    /// A limit that is gone for ten minutes, and there again: the pace has not gone up meanwhile beyond all use.
    #[test]
    fn a_limit_that_was_lifted_is_found_again() {
        let (mut slow, mut now) = (Slow::default(), Instant::from_nanos(1));
        asks(&mut slow, &mut now, 10, 200);
        let (good, _) = asks(&mut slow, &mut now, 600, u32::MAX);
        assert!(good > 500 * 9_000, "it was taken to be gone: {good}");
        asks(&mut slow, &mut now, 120, 200);
        let rate = slow.rate().expect("it was slowed");
        assert!(rate < 230.0, "{rate}");
    }

    #[test]
    fn an_answer_that_was_too_long_for_udp_slows_nothing() {
        let mut slow = Slow::default();
        let mut now = Instant::from_nanos(1);
        for _ in 0..100 {
            now += Span::from_millis(1);
            slow.good(now);
        }
        slow.slipped(now, now, false);
        assert!(slow.ready_at() > now, "held until more is known");
        assert!(slow.was_long());
        assert!(slow.ready_at() <= now && slow.rate().is_none());
        now += Span::from_millis(1);
        slow.slipped(now, now, false);
        assert!(slow.ready_at() <= now, "the next one is no sign at all");
        slow.slipped(now, now, true);
        assert!(slow.ready_at() > now, "but a denial is never long");
    }

    #[test]
    fn a_path_without_trouble_is_never_paced() {
        let mut slow = Slow::default();
        for millis in 0..10_000u64 {
            slow.good(Instant::ZERO + Span::from_millis(millis));
            if millis % 100 == 0 {
                let now = Instant::ZERO + Span::from_millis(millis);
                slow.lost(now, now, true);
            }
        }
        assert_eq!(slow.rate(), None);
    }

    /// The pace that holds a path after five minutes, if one does: one that loses a share of everything, at any rate, and that lost nearly all for a
    /// moment.
    fn after_a_bad_spell(loss: f64, seed: u64) -> Option<f64> {
        let mut rng = StdRng::seed_from_u64(seed);
        let gap = Span::from_micros(rng.random_range(1_000..100_000));
        let (mut slow, mut now) = (Slow::default(), Instant::from_nanos(1));
        let from = now + Span::from_secs(2);
        let spell = from..from + Span::from_millis(rng.random_range(500..3_000));
        let end = now + Span::from_secs(300);
        while now < end {
            now = (now + gap).max(slow.ready_at());
            slow.take(now);
            match rng.random_bool(if spell.contains(&now) { 0.9 } else { loss }) {
                true => slow.lost(now, now, true),
                false => slow.good(now),
            }
        }
        slow.rate().filter(|rate| *rate < 0.9 / gap.as_secs_f64())
    }

    #[test]
    fn loss_that_is_the_paths_own_holds_no_pace_down() {
        for loss in [0.0, 0.12, 0.15, 0.19, 0.25, 0.4] {
            let paced: Vec<f64> = (0..100).filter_map(|seed| after_a_bad_spell(loss, seed)).collect();
            assert!(
                paced.len() <= 3,
                "with {loss} lost these paths of 100 are held: {paced:?}"
            );
        }
    }
}
