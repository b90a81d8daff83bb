//! Names looked up over the engine, for the stages: the [`Resolver`] of a scan and of the stage commands.
//!
//! ```text
//! lookup ─▶ kept? ─▶ at once                           (TTL; negative TTL by the SOA, RFC 2308)
//!          under way? ─▶ wait with the others           (single-flight by name and type)
//!          else ─▶ queue ─▶ engine ─▶ outcome ─▶ next alias, or the end ─▶ kept, all who wait are woken
//! ```
//!
//! The engine matches replies (RFC 5452), retries and paces; a question of the stages passes the same pace as one to a list.
//! Bounds: [`IN_FLIGHT_MAX`] questions are at the engine, what is kept weighs [`WEIGHT_MAX`] at most in each of two
//! generations, questions that wait are bounded by those who ask. Every lookup ends: by a reply, by the engine's time-outs, or by a
//! stop, after which all end as silent.
//!
//! Zones without servers are common, and must not pass for a dead resolver: while questions are out and nothing comes
//! back, the root's name servers are asked for now and then ([`SIGN_SPAN`]). Any reply to that shows that the resolver
//! lives; only if that is silent too do lookups end without being asked.

use std::borrow::Borrow;
use std::cell::{Cell, RefCell};
use std::collections::{HashSet, VecDeque};
use std::future::{Future, ready};
use std::hash::{Hash, Hasher};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use crate::clock::{Instant, Span};
use crate::engine::Engine;
use crate::exchange::{Ask, CNAME_HOPS_MAX, End, Lookup, LookupFuture, Outcome, Reply, Resolver, Route};
use crate::wire::{Answer, Name, Rcode, Rdata, Rtype, decode};

use super::ticket::Purpose;

/// Questions of the stages at the engine: more would only wait there.
const IN_FLIGHT_MAX: usize = 2_048;

/// Octets that the answers of one generation may weigh, about: some 5,000 plain ones. Two generations are kept.
const WEIGHT_MAX: usize = 4 << 20;

/// Longest time that an answer is kept: a run is to see what there is now.
const TTL_MAX: u32 = 3_600;

/// Longest time that "there is nothing" is kept (RFC 2308 §5 allows hours).
const NEGATIVE_TTL_MAX: u32 = 900;

/// How long a failure is kept, so that a dead zone is not asked for every address of a network (RFC 2308 §7: at most five
/// minutes).
const FAILURE_TTL: u32 = 30;

/// How long nothing may come back before a sign of life is asked for, and how long a dead resolver rests.
const SIGN_SPAN: Span = Span::from_secs(1);
const DEATH_SPAN: Span = Span::from_secs(10);

/// The number of the question for a sign of life.
const SIGN: u32 = u32::MAX;

/// Where names are asked: by the longest zone that has a route of its own, else by the common one.
#[derive(Debug, Default)]
pub(super) struct Ways {
    pub(super) common: Option<Route>,
    pub(super) zones: Vec<(Name, Route)>,
}

impl Ways {
    fn of(&self, name: &Name) -> Option<Route> {
        let fitting = self.zones.iter().filter(|(zone, _)| name.is_under(zone));
        let own = fitting.max_by_key(|(zone, _)| zone.label_count());
        own.map(|(_, route)| *route).or(self.common)
    }
}

/// Name in lower case in wire form, and type.
fn key(name: &Name, rtype: Rtype, key: &mut Vec<u8>) {
    key.clear();
    key.extend(name.as_wire().iter().map(u8::to_ascii_lowercase)); // length octets are below 64: never letters
    key.extend(rtype.0.to_be_bytes());
}

/// What is or will be known of a name and type; shared by those who wait for it.
#[derive(Debug, Default)]
struct Known {
    key: Box<[u8]>,
    /// Until there is one, the question is under way.
    end: RefCell<Option<(Lookup, Instant)>>,
    waiting: RefCell<Vec<Waker>>,
}

impl Known {
    fn is_under_way(&self) -> bool {
        self.end.borrow().is_none()
    }
}

/// Found by its key.
#[derive(Debug, Clone)]
struct Kept(Rc<Known>);

impl Borrow<[u8]> for Kept {
    fn borrow(&self) -> &[u8] {
        &self.0.key
    }
}

impl Hash for Kept {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.key.hash(state);
    }
}

impl PartialEq for Kept {
    fn eq(&self, other: &Kept) -> bool {
        self.0.key == other.0.key
    }
}

impl Eq for Kept {}

/// A question under way.
#[derive(Debug)]
struct Question {
    /// What is asked now: the name, or an alias of it.
    name: Name,
    rtype: Rtype,
    aliases: Vec<Name>,
    known: Rc<Known>,
}

#[derive(Debug, Default)]
struct State {
    /// What is known, and what is under way.
    young: HashSet<Kept>,
    old: HashSet<Kept>,
    weight: usize,
    /// Where keys are composed.
    key: Vec<u8>,
    questions: Vec<Option<Question>>,
    free: Vec<u32>,
    queue: VecDeque<u32>,
    in_flight: usize,
    stopped: bool,
    asked: u64,
    sign: Sign,
}

/// Whether the resolver lives.
#[derive(Debug, Default)]
struct Sign {
    /// When something came last, or the first question went out after a rest.
    heard: Instant,
    out: bool,
    /// When it did not answer the question for a sign of life.
    died: Option<Instant>,
}

/// The lookups of a run. See the [module](self).
#[derive(Debug, Default)]
pub(super) struct Lookups {
    state: RefCell<State>,
    now: Cell<Instant>,
}

impl Lookups {
    /// Tells the time.
    pub(super) fn set_now(&self, now: Instant) {
        self.now.set(now);
    }

    /// The time that was told last.
    pub(super) fn now(&self) -> Instant {
        self.now.get()
    }

    /// Questions asked so far, those for signs of life included.
    pub(super) fn asked(&self) -> u64 {
        self.state.borrow().asked
    }

    /// Whether nothing is waited for.
    #[cfg(test)]
    pub(super) fn is_idle(&self) -> bool {
        let state = self.state.borrow();
        let mut all = state.young.iter().chain(&state.old);
        all.all(|kept| !kept.0.is_under_way())
    }

    /// Hands waiting questions to the engine, as far as it has room. Returns how many were handed over or ended.
    pub(super) fn submit(&self, engine: &mut Engine, ways: &Ways) -> usize {
        let now = self.now.get();
        let state = &mut *self.state.borrow_mut();
        let mut moved = 0;
        while let Some(&number) = state.queue.front() {
            let question = state.questions[number as usize]
                .as_ref()
                .expect("queued questions are held");
            let Some(route) = ways.of(&question.name).filter(|_| !state.stopped) else {
                state.queue.pop_front();
                state.end(number, Lookup::Silent, now);
                moved += 1;
                continue;
            };
            if engine.is_dead(route) {
                match state.sign.died {
                    Some(died) if now.since(died) < DEATH_SPAN => {
                        state.queue.pop_front();
                        state.end(number, Lookup::Silent, now);
                        moved += 1;
                        continue;
                    }
                    _ => state.ask_for_sign(engine, route, now),
                }
                break;
            }
            if state.in_flight == IN_FLIGHT_MAX || engine.room(route) == 0 {
                break;
            }
            let ask = Ask {
                ticket: Purpose::Lookup { number }.ticket(),
                name: &question.name,
                rtype: question.rtype,
                route,
                probe: false,
            };
            if engine.submit(now, ask).is_err() {
                break;
            }
            state.queue.pop_front();
            if state.in_flight == 0 {
                state.sign.heard = now;
            }
            state.in_flight += 1;
            state.asked += 1;
            moved += 1;
        }
        if let Some(route) = ways.common
            && state.in_flight > 0
            && now.since(state.sign.heard) >= SIGN_SPAN
        {
            state.ask_for_sign(engine, route, now);
        }
        moved
    }

    /// When [`submit`](Lookups::submit) has something to do next, if nothing comes before.
    pub(super) fn next_due(&self) -> Option<Instant> {
        let state = self.state.borrow();
        let due = state.sign.heard + SIGN_SPAN;
        (state.in_flight > 0 && !state.sign.out && !state.stopped).then_some(due)
    }

    /// Takes the outcome of a question.
    pub(super) fn take(&self, number: u32, outcome: &Outcome) {
        let now = self.now.get();
        let state = &mut *self.state.borrow_mut();
        let replied = matches!(outcome.end, End::Reply(_));
        if replied {
            state.sign.heard = now;
            state.sign.died = None;
        }
        if number == SIGN {
            state.sign.out = false;
            state.sign.heard = now;
            if !replied {
                state.sign.died = Some(now);
            }
            return;
        }
        state.in_flight -= 1;
        match &outcome.end {
            End::Reply(reply) => state.take_reply(number, reply, now),
            End::Silent | End::Unsent(_) => state.end(number, Lookup::Silent, now),
        }
    }

    /// Ends all lookups, now and later, as silent. What is at the engine ends when the engine gives it back.
    pub(super) fn stop(&self) {
        let now = self.now.get();
        let state = &mut *self.state.borrow_mut();
        state.stopped = true;
        while let Some(number) = state.queue.pop_front() {
            state.end(number, Lookup::Silent, now);
        }
    }

    /// What is known or being asked; the question is put in line if it is neither.
    fn known(&self, name: Name, rtype: Rtype) -> Rc<Known> {
        let now = self.now.get();
        let state = &mut *self.state.borrow_mut();
        key(&name, rtype, &mut state.key);
        if let Some(known) = state.kept(now) {
            return known;
        }
        let known = Rc::new(Known {
            key: state.key.as_slice().into(),
            ..Known::default()
        });
        if state.stopped {
            known.end.replace(Some((Lookup::Silent, now)));
            return known;
        }
        let question = Question {
            name,
            rtype,
            aliases: Vec::new(),
            known: Rc::clone(&known),
        };
        let number = state.free.pop().unwrap_or_else(|| {
            state.questions.push(None);
            (state.questions.len() - 1) as u32 // bounded by those who ask: some ten thousand
        });
        state.questions[number as usize] = Some(question);
        state.queue.push_back(number);
        state.young.replace(Kept(Rc::clone(&known)));
        known
    }
}

impl Resolver for Lookups {
    fn lookup(&self, name: Name, rtype: Rtype) -> LookupFuture<'_> {
        let known = self.known(name, rtype);
        let end = known.end.borrow().as_ref().map(|(lookup, _)| lookup.clone());
        match end {
            Some(lookup) => Box::pin(ready(lookup)),
            None => Box::pin(Wait(known)),
        }
    }
}

/// Waits for an end.
struct Wait(Rc<Known>);

impl Future for Wait {
    type Output = Lookup;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Lookup> {
        if let Some((lookup, _)) = &*self.0.end.borrow() {
            return Poll::Ready(lookup.clone());
        }
        let mut waiting = self.0.waiting.borrow_mut();
        // One task that waits for a name in several places wakes once.
        if !waiting.iter().any(|waker| waker.will_wake(context.waker())) {
            waiting.push(context.waker().clone());
        }
        Poll::Pending
    }
}

impl State {
    fn take_reply(&mut self, number: u32, reply: &Reply, now: Instant) {
        let question = self.questions[number as usize]
            .as_mut()
            .expect("questions at the engine are held");
        let read = match (reply.rcode, &reply.message) {
            // It was cut short, and nothing came over TCP either.
            _ if reply.truncated => Err(Lookup::Silent),
            (Rcode::NOERROR | Rcode::NXDOMAIN, Some(message)) => {
                // A message that cannot be read, or whose aliases loop, is no answer.
                decode(message, &question.name, question.rtype).map_err(|_| Lookup::Failed(Rcode::SERVFAIL))
            }
            (Rcode::NOERROR | Rcode::NXDOMAIN, None) => Ok(Answer::default()),
            (rcode, _) => Err(Lookup::Failed(rcode)),
        };
        let answer = match read {
            Ok(answer) => answer,
            Err(end) => return self.end(number, end, now),
        };
        question.aliases.extend(answer.aliases.iter().cloned());
        if question.aliases.len() > CNAME_HOPS_MAX {
            return self.end(number, Lookup::Failed(Rcode::SERVFAIL), now);
        }
        if let Some(alias) = further(&answer, reply.rcode) {
            question.name = alias.clone();
            self.queue.push_back(number);
            return;
        }
        let (end, ttl) = concluded(answer, reply.rcode, std::mem::take(&mut question.aliases));
        self.end_for(number, end, ttl, now);
    }

    /// Ends a question with a failure.
    fn end(&mut self, number: u32, lookup: Lookup, now: Instant) {
        let ttl = if self.stopped { 0 } else { FAILURE_TTL };
        self.end_for(number, lookup, ttl, now);
    }

    /// Ends a question: it is kept for `ttl` seconds, and all who wait are woken.
    fn end_for(&mut self, number: u32, lookup: Lookup, ttl: u32, now: Instant) {
        let question = self.questions[number as usize].take().expect("a question ends once");
        self.free.push(number);
        let known = question.known;
        let weight = weight(&known.key, &lookup);
        let until = now + Span::from_secs(u64::from(ttl));
        known.end.replace(Some((lookup, until)));
        for waker in known.waiting.take() {
            waker.wake();
        }
        match ttl > 0 && weight <= WEIGHT_MAX {
            true => self.weigh(weight),
            false => self.forget(&known),
        }
    }

    /// One more answer is kept. What was not asked for in a whole generation goes.
    fn weigh(&mut self, weight: usize) {
        self.weight += weight;
        if self.weight > WEIGHT_MAX {
            self.old = std::mem::take(&mut self.young);
            self.weight = 0;
            // Who asks for what is under way is to find it, however long it takes.
            let under_way = self.old.iter().filter(|kept| kept.0.is_under_way());
            self.young = under_way.cloned().collect();
        }
    }

    fn forget(&mut self, known: &Rc<Known>) {
        for generation in [&mut self.young, &mut self.old] {
            if generation
                .get(&known.key[..])
                .is_some_and(|kept| Rc::ptr_eq(&kept.0, known))
            {
                generation.remove(&known.key[..]);
            }
        }
    }

    /// What is under way or kept, and has not run out, of the composed key.
    fn kept(&mut self, now: Instant) -> Option<Rc<Known>> {
        let is_good = |kept: &Kept| match &*kept.0.end.borrow() {
            Some((_, until)) => now < *until,
            None => true,
        };
        if let Some(kept) = self.young.get(&self.key[..]) {
            return is_good(kept).then(|| Rc::clone(&kept.0));
        }
        if self.old.is_empty() {
            return None;
        }
        let kept = self.old.take(&self.key[..]).filter(is_good)?;
        let known = Rc::clone(&kept.0);
        self.young.insert(kept);
        let weight = known
            .end
            .borrow()
            .as_ref()
            .map_or(0, |(lookup, _)| weight(&known.key, lookup));
        self.weigh(weight);
        Some(known)
    }

    fn ask_for_sign(&mut self, engine: &mut Engine, route: Route, now: Instant) {
        if self.sign.out || self.stopped {
            return;
        }
        let ask = Ask {
            ticket: Purpose::Lookup { number: SIGN }.ticket(),
            name: &Name::root(),
            rtype: Rtype::NS,
            route,
            probe: true,
        };
        if engine.submit(now, ask).is_ok() {
            self.sign.out = true;
            self.asked += 1;
        }
    }
}

/// The alias that is to be asked for next, if the message ends with one that nobody has followed: an authority that does
/// not serve the alias's zone stops there. A resolver, or an SOA for the alias, says that it was followed to its end.
fn further(answer: &Answer, rcode: Rcode) -> Option<&Name> {
    let alias = answer.aliases.last()?;
    let followed = answer.soa.as_ref().is_some_and(|soa| alias.is_under(&soa.0));
    (answer.records.is_empty() && answer.malformed == 0 && rcode == Rcode::NOERROR && !followed).then_some(alias)
}

/// What an answer means, and for how many seconds it holds.
fn concluded(answer: Answer, rcode: Rcode, aliases: Vec<Name>) -> (Lookup, u32) {
    // Without an SOA nothing says how long (RFC 2308 §5).
    let negative = answer
        .soa
        .as_ref()
        .map_or(0, |soa| soa.1.min(soa.2.minimum).min(NEGATIVE_TTL_MAX));
    match rcode {
        // The code is about the end of the aliases (RFC 6604 §3).
        Rcode::NXDOMAIN if answer.records.is_empty() => (Lookup::NxDomain, negative),
        _ if answer.records.is_empty() && answer.malformed == 0 => (Lookup::NoData, negative),
        _ => {
            let ttl = match answer.malformed {
                0 => answer.ttl_min().unwrap_or(0).min(TTL_MAX),
                _ => FAILURE_TTL,
            };
            let answer = Answer {
                records: answer.records,
                aliases,
                malformed: answer.malformed,
                ..Answer::default() // who spoke for the zone is of no use to those who ask
            };
            (Lookup::Found(Rc::new(answer)), ttl)
        }
    }
}

/// Octets that a kept answer takes, about.
fn weight(key: &[u8], lookup: &Lookup) -> usize {
    let held = match lookup {
        Lookup::Found(answer) => {
            let texts = |data: &Rdata| match data {
                Rdata::Txt(strings) => strings.iter().map(|string| string.len() + 16).sum(),
                _ => 0,
            };
            let records = answer.records.iter();
            records
                .map(|record| size_of_val(record) + texts(&record.data))
                .sum::<usize>()
                + answer.aliases.len() * size_of::<Name>()
        }
        _ => 0,
    };
    size_of::<Known>() + size_of::<Answer>() + key.len() + 64 + held
}

#[cfg(test)]
#[path = "lookups_tests.rs"]
mod tests;
