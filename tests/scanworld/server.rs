//! A server of the world: the way to it, and what it does with a query.

use rand::RngExt;
use rand::rngs::StdRng;

use reputon::clock::{Instant, Span};
use reputon::wire::Rcode;

use super::truth::{LISTED, Question, World, add_address, is_test_entry, reply, truth};

/// What a server that has turned bad does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bad {
    /// Every name is said not to exist: an emptied zone.
    Empty,
    /// An emptied zone, of which the resolver in between has the test entry's records in its cache.
    EmptyButCached,
    /// Every name is listed: a wildcard.
    ListsAll,
    /// Every name has an address outside 127/8: a parked domain, or a resolver that sells NXDOMAIN.
    Parked,
    /// The operator's refusal code.
    RefusalCode,
    Servfail,
    Refuses,
    Silent,
    /// Entries are answered without their records: a resolver that takes 127/8 out.
    Strips,
}

impl Bad {
    /// All but the one that takes a cache.
    pub(crate) const ALL: [Bad; 8] = [
        Bad::Empty,
        Bad::ListsAll,
        Bad::Parked,
        Bad::RefusalCode,
        Bad::Servfail,
        Bad::Refuses,
        Bad::Silent,
        Bad::Strips,
    ];
}

/// How much longer than usual a way takes at most, as a share of it.
const LATE: f64 = 0.2;

/// How a server behaves.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Habit {
    Good,
    Dead,
    Refusing,
    /// So many replies a second; the rest is dropped, or every other one of the rest is cut short.
    Limited {
        rate_qps: u32,
        slips: bool,
    },
    /// Good until then.
    Turns {
        at: Instant,
        into: Bad,
    },
    /// Good but for one answer, counted from one.
    Stumbles {
        at: u64,
        into: Bad,
    },
    /// One answer in so many is wrong.
    Errs {
        one_in: u64,
        into: Bad,
    },
}

/// A server.
#[derive(Debug, Clone)]
pub(crate) struct Server {
    pub(crate) habit: Habit,
    /// Whether it answers for its own zones, or resolves for us.
    pub(crate) authority: bool,
    pub(crate) rtt: Span,
    /// Share of packets lost, each way.
    pub(crate) loss: f64,
    pub(crate) reached: u64,
    second: u64,
    served: u32,
}

impl Server {
    pub(crate) fn new(habit: Habit, authority: bool, rtt: Span, loss: f64) -> Server {
        Server {
            habit,
            authority,
            rtt,
            loss,
            reached: 0,
            second: 0,
            served: 0,
        }
    }

    /// Whether it tells the truth to whoever asks, from the first to the last moment.
    pub(crate) fn is_good(&self) -> bool {
        !matches!(self.habit, Habit::Dead | Habit::Refusing | Habit::Turns { .. })
    }

    /// Queries a second that it can answer us with so many in flight.
    pub(crate) fn capacity_qps(&self, window: f64) -> f64 {
        let by_rtt = window / (self.rtt.as_secs_f64() * (1.0 + LATE / 2.0));
        match self.habit {
            Habit::Limited { rate_qps, .. } => by_rtt.min(f64::from(rate_qps)),
            _ => by_rtt,
        }
    }

    /// What comes back of a query that is sent now, and when.
    pub(crate) fn take(
        &mut self,
        world: World,
        now: Instant,
        query: &[u8],
        rng: &mut StdRng,
    ) -> Option<(Instant, Vec<u8>)> {
        if rng.random_bool(self.loss) {
            return None;
        }
        let arrives = now + self.half_way(rng);
        self.reached += 1;
        let message = self.answer(world, arrives, query, rng)?;
        (!rng.random_bool(self.loss)).then(|| (arrives + self.half_way(rng), message))
    }

    /// What comes back over TCP.
    pub(crate) fn take_tcp(&self, world: World, now: Instant, query: &[u8]) -> Option<Vec<u8>> {
        let question = Question::of(query);
        match self.habit {
            Habit::Dead => None,
            Habit::Refusing => Some(reply(query, &question, Rcode::REFUSED, self.authority)),
            Habit::Turns { at, into } if at <= now => bad(world, into, query, &question, self.authority),
            _ => Some(truth(world, query, &question, self.authority)),
        }
    }

    fn half_way(&self, rng: &mut StdRng) -> Span {
        let half = self.rtt.part(2);
        half + Span::from_secs_f64(half.as_secs_f64() * rng.random_range(0.0..=LATE))
    }

    fn answer(&mut self, world: World, now: Instant, query: &[u8], rng: &mut StdRng) -> Option<Vec<u8>> {
        let question = Question::of(query);
        match self.habit {
            Habit::Dead => return None,
            Habit::Refusing => return Some(reply(query, &question, Rcode::REFUSED, self.authority)),
            Habit::Turns { at, into } if at <= now => return bad(world, into, query, &question, self.authority),
            Habit::Stumbles { at, into } if at == self.reached => {
                return bad(world, into, query, &question, self.authority);
            }
            Habit::Errs { one_in, into } if rng.random_range(0..one_in) == 0 => {
                return bad(world, into, query, &question, self.authority);
            }
            Habit::Limited { rate_qps, slips } => {
                let second = now.as_nanos() / 1_000_000_000;
                if self.second != second {
                    (self.second, self.served) = (second, 0);
                }
                self.served += 1;
                if self.served > rate_qps {
                    return (slips && rng.random_bool(0.5)).then(|| {
                        let mut message = reply(query, &question, Rcode::NOERROR, self.authority);
                        message[2] |= 0x02;
                        message
                    });
                }
            }
            Habit::Good | Habit::Turns { .. } | Habit::Stumbles { .. } | Habit::Errs { .. } => (),
        }
        Some(truth(world, query, &question, self.authority))
    }
}

fn bad(world: World, bad: Bad, query: &[u8], question: &Question<'_>, authority: bool) -> Option<Vec<u8>> {
    let everywhere = |address| {
        let mut message = reply(query, question, Rcode::NOERROR, authority);
        if !question.text {
            add_address(&mut message, 60, address);
        }
        Some(message)
    };
    match bad {
        Bad::EmptyButCached if is_test_entry(question.subject) && !question.odd => {
            Some(truth(world, query, question, authority))
        }
        Bad::Empty | Bad::EmptyButCached => Some(reply(query, question, Rcode::NXDOMAIN, authority)),
        Bad::ListsAll => everywhere(LISTED),
        Bad::Parked => everywhere([198, 51, 100, 117]),
        Bad::RefusalCode => everywhere([127, 255, 255, 254]),
        Bad::Servfail => Some(reply(query, question, Rcode::SERVFAIL, authority)),
        Bad::Refuses => Some(reply(query, question, Rcode::REFUSED, authority)),
        Bad::Silent => None,
        Bad::Strips => {
            let message = truth(world, query, question, authority);
            let stripped = message[7] > 0 && !question.text;
            Some(match stripped {
                true => reply(query, question, Rcode::NOERROR, authority),
                false => message,
            })
        }
    }
}
