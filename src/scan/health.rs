//! Examinations and controls of lanes: which questions go out when, and what their answers do to the lane.
//!
//! ```text
//! first look, by any way ─┬─ it works ─▶ asked
//!                         ├─ silent by every way ─▶ given up
//!                         └─ anything else ─▶ second look, by each ─┬─ some work: the others are left ─▶ asked
//!                                             server by itself      └─ none works ─▶ given up, as first seen
//! ```
//!
//! So one wrong reply, or one bad server of several, condemns no list. A list that works is looked at once; one that does not
//! gets six probes more for each of its servers at most.

use rand::RngExt;

use crate::clock::{Instant, Span};
use crate::dnsxl::Control as Verdict;
use crate::dnsxl::{
    Cause, Evidence, Fault, Health, Probe, ProbeReply, ProbeRole, Reader, State, canary, code_entries, judge,
    judge_control, more_canaries, probes, resolver_verdict,
};
use crate::dossier::{Epoch, SecondChance, Voice};
use crate::exchange::{Ask, End, Outcome, Unsent, Upstream};
use crate::plan::habits::{CONTROL_ANSWERS, CONTROL_SPAN};
use crate::wire::{Answer, Name, Rtype, decode};

use super::lane::{Control, Lane, Presence, Question, SUSPENSIONS_MAX, Standing};
use super::network::Network;
use super::ticket::{LaneIndex, Purpose};
use super::worker::Worker;

/// Failures in a row that call for a control at once.
const FAILURES_TO_CONTROL: u32 = 16;

/// Listings in a row that call for a control at once: ranges can be listed whole, so this is no proof.
const LISTINGS_TO_CONTROL: u32 = 64;

/// Questions more for a test entry's name that is said to be gone: of several servers one may deny every odd type.
const RECALLS: usize = 3;

/// How long a suspended list rests before it is examined again; doubled each time.
const SUSPENSION: Span = Span::from_secs(2);

/// How long a second look waits for servers that say nothing, where another works: as long as for any first reply (RFC 6298 §2.1).
/// Silence for certain would take some ten seconds, and nothing is believed of who stays silent.
const LOOK_SPAN: Span = Span::from_secs(1);

/// Exchanges that an examination or a control takes at most: none begins without room for them, because a probe that
/// cannot be asked looks like a list that does not answer.
const PROBES_MAX: usize = 24;

/// Servers that a second look asks one by one, at most: six probes for each are [`PROBES_MAX`].
const LOOKED_AT_MAX: usize = 4;

impl<N: Network> Worker<'_, N> {
    /// What a lane's replies are read by.
    pub(super) fn reader(&self, lane: &Lane) -> Reader<'_> {
        let questions = self.plan.columns[lane.column].asked();
        Reader {
            list: self.plan.catalogue.list(lane.list),
            operator: self.plan.catalogue.operator_of(lane.list),
            apex: questions.apex(),
        }
    }

    /// Sends the probes of a lane's examination.
    pub(super) fn examine(&mut self, now: Instant, index: LaneIndex) {
        let plan = self.plan;
        let lane = &mut self.lanes[usize::from(index.0)];
        if lane.first_look.is_some() {
            self.look_again(now, index);
            return;
        }
        let list = plan.catalogue.list(lane.list);
        let mut probes = probes(list, lane.kind, &mut self.rng);
        if lane.presence == Presence::Unknown && plan.asks_presence(lane.column, lane.kind, lane.has_own_servers()) {
            lane.presence_asked = self.rng.random();
            probes.extend(lane.ask_presence(list));
        }
        if self.every_code {
            probes.extend(code_entries(list, lane.kind));
        }
        lane.standing = Standing::Examined;
        lane.control = None;
        lane.questions.clear();
        lane.round += 1;
        self.ask_probes(now, index, None, probes);
    }

    /// Sends the probes of a second look: all of them to each server by itself, so that a list is not judged by one reply,
    /// nor by one server of several.
    fn look_again(&mut self, now: Instant, index: LaneIndex) {
        let lane = &self.lanes[usize::from(index.0)];
        let servers: Vec<Upstream> = self.engine.upstreams(lane.route).take(LOOKED_AT_MAX).collect();
        let ways: Vec<Option<Upstream>> = match servers.len() {
            0 | 1 => vec![None],
            _ => servers.into_iter().map(Some).collect(),
        };
        if !self.bears(index, ways.len() * PROBES_MAX / LOOKED_AT_MAX) {
            self.fail_examination(index); // as it was seen first
            return;
        }
        let lane = &mut self.lanes[usize::from(index.0)];
        lane.standing = Standing::Examined;
        lane.looks_until = Some(now + LOOK_SPAN);
        lane.questions.clear();
        lane.round += 1;
        let (list, kind) = (self.plan.catalogue.list(lane.list), lane.kind);
        for (number, via) in ways.into_iter().enumerate() {
            let mut probes = probes(list, kind, &mut self.rng);
            if self.every_code && number == 0 {
                probes.extend(code_entries(list, kind));
            }
            self.ask_probes(now, index, via, probes);
        }
    }

    /// Adds questions to a lane's round and sends them, by one way or by any.
    fn ask_probes(&mut self, now: Instant, index: LaneIndex, via: Option<Upstream>, probes: Vec<Probe>) {
        let given_up = matches!(self.lanes[usize::from(index.0)].standing, Standing::GivenUp(_));
        if given_up || !self.bears(index, probes.len()) {
            if !given_up {
                self.give_up(index, Cause::OverBudget);
            }
            return;
        }
        for probe in probes {
            let lane = &mut self.lanes[usize::from(index.0)];
            let questions = self.plan.columns[lane.column].asked();
            let name = questions.probe(&probe.subject);
            let Ok(name) = name else { continue }; // too long for the zone: it cannot be asked
            let number = lane.questions.len() as u8; // PROBES_MAX at most, six canaries more, and the codes' own
            let purpose = Purpose::Probe {
                lane: index,
                round: lane.round,
                number,
            };
            lane.questions.push(Question {
                role: probe.role,
                name: name.clone(),
                rtype: probe.rtype,
                via,
                reply: None,
                rtt: None,
            });
            lane.asked += 1;
            let route = self.way_to(index, &name);
            let ask = Ask {
                ticket: purpose.ticket(),
                name: &name,
                rtype: probe.rtype,
                route,
                probe: true,
            };
            let taken = match via {
                Some(via) => self.engine.submit_via(now, ask, via),
                None => self.engine.submit(now, ask),
            };
            self.lanes[usize::from(index.0)].probes_out += u32::from(taken.is_ok());
            if taken.is_err() {
                // The table is full beyond the room kept for probes: as good as silence.
                self.lanes[usize::from(index.0)].questions[usize::from(number)].reply = Some(ProbeReply::Silent);
            }
        }
    }

    /// Takes the outcome of a probe.
    pub(super) fn take_probe(&mut self, now: Instant, index: LaneIndex, round: u32, number: u8, outcome: &Outcome) {
        let lane = &mut self.lanes[usize::from(index.0)];
        lane.probes_out -= 1;
        if lane.round != round {
            return; // of an examination that is over
        }
        if matches!(outcome.end, End::Unsent(Unsent::Cancelled)) {
            // A control that was out is followed by a last one; an examination is not.
            lane.round += 1;
            if lane.control.take().is_none() {
                self.give_up(index, Cause::Cancelled);
            }
            return;
        }
        let question = &mut lane.questions[usize::from(number)];
        let answer = decoded(&outcome.end, &question.name, question.rtype);
        question.reply = Some(ProbeReply::of(&outcome.end, answer));
        question.rtt = matches!(outcome.end, End::Reply(_)).then_some(outcome.rtt);
        let (via, silent) = (question.via, question.reply == Some(ProbeReply::Silent));
        let odd = question.role == ProbeRole::Presence;
        if odd {
            self.learn_presence(index, usize::from(number));
        }
        let lane = &mut self.lanes[usize::from(index.0)];
        if silent && !odd && lane.evidence.is_some() {
            lane.give_up_on(via); // the first silence of a list that had worked says enough
        }
        if !lane.all_answered() {
            return;
        }
        match lane.control {
            Some(control) => self.judge_control(now, index, control),
            None if lane.standing == Standing::Examined => self.judge_examination(now, index),
            None => (), // what an odd type brings may come when the examination is over
        }
    }

    /// Notes whether the list tells a name without records from none.
    fn learn_presence(&mut self, index: LaneIndex, number: usize) {
        let lane = &self.lanes[usize::from(index.0)];
        let reply = lane.questions[number].reply.as_ref();
        let there = reply.is_some_and(|reply| self.reader(lane).shows_presence(reply));
        let lane = &mut self.lanes[usize::from(index.0)];
        if lane.presence == Presence::Unknown {
            lane.presence = if there { Presence::Shown } else { Presence::Untold };
        }
    }

    fn judge_examination(&mut self, now: Instant, index: LaneIndex) {
        let lane = &self.lanes[usize::from(index.0)];
        if lane.first_look.is_some() {
            self.judge_second_look(now, index);
            return;
        }
        let replies = lane.replies();
        let reader = self.reader(lane);
        let mut health = judge(&reader, lane.kind, &replies);
        if let (Health::Unhealthy(fault), Some(direct)) = (&mut health, &self.direct) {
            *fault = direct.explain(lane.column, fault.clone());
        }
        let evidence = Evidence::of(&reader, lane.kind, &replies);
        match health {
            Health::Doubtful => {
                let more = more_canaries(lane.kind, &mut self.rng);
                self.ask_probes(now, index, None, more);
            }
            Health::Healthy => self.pass_examination(now, index, evidence),
            Health::Unhealthy(fault) if lane.evidence.is_some() => self.suspend(now, index, fault),
            Health::Unhealthy(fault) => {
                // The engine has tried a list that is silent by every way.
                let is_silent = replies.iter().all(|(_, reply)| *reply == ProbeReply::Silent);
                let is_settled = is_silent || fault.state == State::Retired;
                let lane = &mut self.lanes[usize::from(index.0)];
                lane.first_look = Some((fault, evidence));
                match is_settled {
                    true => self.fail_examination(index),
                    false => lane.standing = Standing::New,
                }
            }
        }
    }

    /// A second look has taken long: it is over if one server works, and the others have said all that they were asked or nothing
    /// at all. One whose canaries are all listed, which may be chance, is asked for more of them, as if nobody were waited for.
    fn end_look(&mut self, now: Instant, index: LaneIndex) {
        let lane = &mut self.lanes[usize::from(index.0)];
        lane.looks_until = None;
        let lane = &self.lanes[usize::from(index.0)];
        let open = |via: &Option<Upstream>| lane.questions_by(*via).any(|question| question.reply.is_none());
        let (open, whole): (Vec<_>, Vec<_>) = lane.ways().into_iter().partition(open);
        if open.iter().any(|via| !lane.replies_by(*via).is_empty()) {
            return;
        }
        let reader = self.reader(lane);
        let judged = |via: &Option<Upstream>| judge(&reader, lane.kind, &lane.replies_by(*via));
        if whole.iter().map(judged).any(|health| health == Health::Healthy) {
            let lane = &mut self.lanes[usize::from(index.0)];
            open.into_iter().for_each(|via| lane.give_up_on(via));
            self.judge_examination(now, index);
            return;
        }
        let doubtful = whole
            .into_iter()
            .filter(|via| judged(via) == Health::Doubtful)
            .collect();
        self.ask_more(now, index, doubtful);
    }

    /// More canaries for the ways of a second look whose canaries are all listed.
    fn ask_more(&mut self, now: Instant, index: LaneIndex, doubtful: Vec<Option<Upstream>>) {
        let kind = self.lanes[usize::from(index.0)].kind;
        for via in doubtful {
            let more = more_canaries(kind, &mut self.rng);
            self.ask_probes(now, index, via, more);
        }
    }

    /// What each server has said in a second look: those that work answer for the list, and of the others those that said
    /// something are left.
    fn judge_second_look(&mut self, now: Instant, index: LaneIndex) {
        let lane = &self.lanes[usize::from(index.0)];
        let reader = self.reader(lane);
        let ways = lane.ways();
        let (mut works, mut doubtful, mut false_ones) = (None, Vec::new(), Vec::new());
        for via in ways {
            let replies = lane.replies_by(via);
            match judge(&reader, lane.kind, &replies) {
                Health::Healthy => works = Some(Evidence::of(&reader, lane.kind, &replies)),
                Health::Doubtful => doubtful.push(via),
                // Silence is the engine's to deal with.
                Health::Unhealthy(fault) if fault.state == State::Unreachable => (),
                Health::Unhealthy(_) => false_ones.extend(via),
            }
        }
        if !doubtful.is_empty() {
            self.ask_more(now, index, doubtful);
            return;
        }
        match works {
            Some(evidence) => {
                self.leave(now, index, false_ones);
                self.pass_examination(now, index, evidence);
            }
            None => self.fail_examination(index),
        }
    }

    /// A list works.
    fn pass_examination(&mut self, now: Instant, index: LaneIndex, evidence: Evidence) {
        let lane = &mut self.lanes[usize::from(index.0)];
        lane.healthy_at_start |= lane.evidence.is_none();
        lane.evidence.get_or_insert(evidence);
        (lane.fault, lane.first_look) = (None, None);
        lane.standing = Standing::Good;
        lane.last_good = now;
        (lane.answers, lane.failures, lane.listings) = (0, 0, 0);
        self.standings_changed = true;
        self.judge_resolvers();
    }

    /// A list does not work, as its first look has shown and its second has not refuted.
    fn fail_examination(&mut self, index: LaneIndex) {
        let lane = &mut self.lanes[usize::from(index.0)];
        let (fault, evidence) = lane.first_look.take().expect("what fails has been looked at");
        lane.evidence = Some(evidence);
        lane.fault = Some(fault.clone());
        lane.standing = Standing::Failing(fault);
        self.standings_changed = true;
        self.judge_resolvers();
    }

    /// When every lane has been examined: are the lists broken, or is it what they are asked through?
    pub(super) fn judge_resolvers(&mut self) {
        let unexamined = |lane: &Lane| !lane.related && (lane.standing == Standing::New || lane.evidence.is_none());
        if self
            .lanes
            .iter()
            .any(|lane| unexamined(lane) && !matches!(lane.standing, Standing::GivenUp(_) | Standing::Spare))
        {
            return;
        }
        let evidence: Vec<_> = self
            .lanes
            .iter()
            .filter(|lane| !lane.routed && !lane.related)
            .filter_map(|lane| lane.evidence.clone())
            .collect();
        let verdict = resolver_verdict(&evidence);
        // A name list that was proved by one label only is no witness for what the others lost: it goes with them.
        let broken = verdict.is_broken() && !self.judged;
        if broken {
            self.resolver_fault = verdict.advice();
        }
        self.judged = true;
        for index in (0..self.lanes.len() as u16).map(LaneIndex) {
            let lane = &self.lanes[usize::from(index.0)];
            let fault = match &lane.standing {
                Standing::Failing(fault) => fault,
                // Spare ones go with what they would be asked through.
                Standing::Good | Standing::Spare | Standing::New if broken && !lane.routed => {
                    self.lanes[usize::from(index.0)].healthy_at_start = false;
                    self.give_up(index, Cause::ResolverBroken);
                    continue;
                }
                Standing::Good => {
                    if let Some(control) = self.lanes[usize::from(index.0)].held.take() {
                        self.confirm(index, control);
                    }
                    continue;
                }
                _ => continue,
            };
            let cause = match (broken && !lane.routed, fault.cause()) {
                (true, _) => Cause::ResolverBroken,
                // It looks as if a resolver took answers out, but other lists' answers come through: it is this list.
                (false, Cause::ResolverBroken) => Cause::ListUnhealthy,
                (false, cause) => cause,
            };
            self.give_up(index, cause);
        }
    }

    /// Sends controls where they are due.
    pub(super) fn control_lanes(&mut self, now: Instant) {
        let waiting = self.window.oldest_is_settled();
        let known = self.knows_resolvers();
        let oldest = self.window.first();
        let related_waits = waiting && self.explainer.is_explained(oldest);
        for index in (0..self.lanes.len() as u16).map(LaneIndex) {
            let lane = &self.lanes[usize::from(index.0)];
            if self.engine.free() < PROBES_MAX {
                return;
            }
            match lane.standing {
                // In direct mode a list's servers may still be looked for.
                Standing::New if self.engine.has_servers(lane.route) => self.examine(now, index),
                Standing::New if lane.direct && self.direct.is_some() => self.seek(now, index),
                Standing::Suspended(until) if until <= now => self.examine(now, index),
                Standing::Examined
                    if lane.first_look.is_some() && lane.looks_until.is_none_or(|until| until <= now) =>
                {
                    self.end_look(now, index);
                }
                Standing::Good if self.related.is_due(index, lane) && related_waits && known => {
                    self.control(now, index)
                }
                Standing::Good if lane.control.is_none() && lane.provisional > 0 => {
                    let due = lane.answers >= CONTROL_ANSWERS
                        || lane.failures >= FAILURES_TO_CONTROL
                        || lane.listings >= LISTINGS_TO_CONTROL
                        || now.since(lane.last_good) >= CONTROL_SPAN;
                    let mine = (lane.column, lane.kind);
                    let held_up = waiting && (lane.idle || self.stopping.is_some());
                    // It has asked all that it had to: nobody else is waited for with its last control, nor the reasons of
                    // what it lists.
                    let through = lane.knows_all() && self.window.all_opened() && !self.is_fed(lane);
                    let holds_up = held_up
                        && self
                            .window
                            .get(oldest)
                            .is_some_and(|tile| tile.tile.provisional_of(mine, Voice::Own) > 0);
                    if due || (known || lane.held.is_none()) && (holds_up || through) {
                        self.control(now, index);
                    }
                }
                _ => (),
            }
        }
    }

    /// Whether a composite that the list is a part of may still have pairs for it: what it lists and cannot tell apart.
    fn is_fed(&self, lane: &Lane) -> bool {
        let feeds = |other: &&Lane| {
            let parts = self.plan.parts(other.column, other.kind);
            other.kind == lane.kind && parts.contains(&lane.column)
        };
        let given_up = |other: &Lane| matches!(other.standing, Standing::GivenUp(_));
        let mut feeding = self.lanes.iter().filter(feeds);
        feeding.any(|other| !given_up(other) && !other.is_through())
    }

    /// Sends the control of a lane.
    fn control(&mut self, now: Instant, index: LaneIndex) {
        let lane = &mut self.lanes[usize::from(index.0)];
        lane.control = Some(Control {
            // Nothing is asked any more after a stop: the last control speaks for all.
            closes: self.stopping.is_none().then_some(lane.epoch),
            listed: 0,
            recalled: false,
        });
        lane.held = None;
        lane.epoch = lane.epoch.next();
        lane.controls += 1;
        lane.questions.clear();
        lane.round += 1;
        (lane.answers, lane.failures, lane.listings) = (0, 0, 0);
        self.related.cover(index);
        let (plan, list, kind) = (self.plan, lane.list, lane.kind);
        // Where nobody was heard from, silence is what is to be confirmed, by any way.
        let ways: Vec<Option<Upstream>> = match lane.heard.is_empty() {
            true => vec![None],
            false => lane.heard.iter().copied().map(Some).collect(),
        };
        for via in ways {
            // The test entry may come from a cache, and proves nothing then; that it is missing proves that all may be.
            let all = probes(plan.catalogue.list(list), kind, &mut self.rng).into_iter();
            let mut questions: Vec<Probe> = all.filter(|probe| probe.role == ProbeRole::Positive).collect();
            questions.push(canary(kind, &mut self.rng));
            let lane = &mut self.lanes[usize::from(index.0)];
            if lane.presence != Presence::Untold && plan.asks_presence(lane.column, kind, lane.has_own_servers()) {
                questions.extend(lane.ask_presence(plan.catalogue.list(list)));
            }
            self.ask_probes(now, index, via, questions);
        }
    }

    fn judge_control(&mut self, now: Instant, index: LaneIndex, control: Control) {
        let lane = &self.lanes[usize::from(index.0)];
        let reader = self.reader(lane);
        let mut again = Vec::new();
        let mut gone = Vec::new();
        let mut failed = Vec::new();
        for question in &lane.questions {
            let Some(reply) = &question.reply else { continue }; // it is not waited for
            match judge_control(&reader, lane.kind, (question.role, reply), control.listed) {
                Verdict::Good => (),
                Verdict::Again => again.push(question.via),
                Verdict::Failed(fault) if question.role != ProbeRole::Presence => failed.push((question.via, fault)),
                // A list that has never shown that it tells such names apart says nothing by this.
                Verdict::Failed(fault) if lane.presence == Presence::Shown => gone.push((question.via, fault)),
                Verdict::Failed(_) => (),
            }
        }
        let kind = lane.kind;
        let mut recall = Vec::new();
        if control.recalled {
            let asked = lane
                .questions
                .iter()
                .filter(|question| question.role == ProbeRole::Presence);
            let mut replies = asked.filter_map(|question| question.reply.as_ref());
            match replies.any(|reply| reader.shows_presence(reply)) {
                // Its servers do not agree about such names: they show nothing.
                true => self.lanes[usize::from(index.0)].presence = Presence::Untold,
                false => failed.extend(gone),
            }
        } else {
            recall.extend(gone.into_iter().map(|(via, _)| via));
        }
        if !failed.is_empty() {
            self.fail_control(now, index, failed);
            return;
        }
        if !again.is_empty() || !recall.is_empty() {
            let list = self.plan.catalogue.list(self.lanes[usize::from(index.0)].list);
            let lane = &mut self.lanes[usize::from(index.0)];
            lane.questions.clear();
            lane.round += 1;
            lane.control = Some(Control {
                listed: control.listed + usize::from(!again.is_empty()),
                recalled: control.recalled || !recall.is_empty(),
                ..control
            });
            for via in again {
                let another = canary(kind, &mut self.rng);
                self.ask_probes(now, index, via, vec![another]);
            }
            for via in recall {
                let lane = &mut self.lanes[usize::from(index.0)];
                let more = (0..RECALLS).filter_map(|_| lane.ask_presence(list)).collect();
                self.ask_probes(now, index, via, more);
            }
            return;
        }
        let lane = &mut self.lanes[usize::from(index.0)];
        lane.control = None;
        lane.last_good = now;
        lane.forgive();
        // A control goes the way of the answers: it cannot vouch for them while it is not known what the resolvers do.
        if self.knows_resolvers() {
            self.confirm(index, control);
        } else {
            self.hold(index, control);
        }
    }

    /// A control was good, and confirms once it is known what the resolvers do. What ended unknown need not wait for that.
    fn hold(&mut self, index: LaneIndex, control: Control) {
        let lane = &mut self.lanes[usize::from(index.0)];
        lane.held = Some(control);
        let (column, kind) = (lane.column, lane.kind);
        for (number, tile) in self.window.open_of(kind) {
            let epochs = [Epoch::Even, Epoch::Odd].into_iter();
            for epoch in epochs.filter(|epoch| control.closes.is_none_or(|closes| closes == *epoch)) {
                let own = ((column, kind), Voice::Own);
                tile.tile.give_second_chances(own, epoch, |offset| {
                    lane.again.push_back((number, offset));
                });
            }
        }
        self.spread_lane(index);
    }

    /// Whether every lane has been examined, so that it is known what the resolvers do to answers.
    pub(super) fn knows_resolvers(&self) -> bool {
        self.judged || self.options.skip_health
    }

    /// A control was good: what the lane learnt in the epochs that it closes is confirmed. What ended unknown meanwhile is
    /// asked once more: a list that works may know.
    fn confirm(&mut self, index: LaneIndex, control: Control) {
        let Worker {
            lanes,
            window,
            plan,
            related,
            ..
        } = self;
        let lane = &mut lanes[usize::from(index.0)];
        lane.controlled = lane.controls;
        let chance = match self.stopping {
            None => SecondChance::Give,
            Some(_) => SecondChance::Refuse,
        };
        related.confirm(index);
        lane.provisional = 0;
        let (column, kind) = (lane.column, lane.kind);
        for (number, tile) in window.open_of(kind) {
            for epoch in [Epoch::Even, Epoch::Odd] {
                if control.closes.is_none_or(|closes| closes == epoch) {
                    tile.tile
                        .confirm(((column, kind), Voice::Own), epoch, chance, |offset| {
                            lane.again.push_back((number, offset));
                        });
                    for &part in plan.parts(column, kind) {
                        let folded = ((part, kind), Voice::Composite);
                        tile.tile.confirm(folded, epoch, SecondChance::Refuse, |_| ());
                    }
                }
            }
            lane.provisional += u32::from(tile.tile.provisional_of((column, kind), Voice::Own));
        }
        self.spread_lane(index);
    }

    /// What a lane said since its last good control is taken back, and what its parts learnt from it.
    fn revoke(&mut self, index: LaneIndex) {
        let plan = self.plan;
        self.related.revoke(index);
        let lane = &mut self.lanes[usize::from(index.0)];
        (lane.provisional, lane.held) = (0, None);
        let (column, kind) = (lane.column, lane.kind);
        for (_, tile) in self.window.open_of(kind) {
            tile.tile.revoke((column, kind), Voice::Own);
            for &part in plan.parts(column, kind) {
                tile.tile.revoke((part, kind), Voice::Composite);
            }
        }
    }

    /// Leaves servers while there are others; whether all of these could be left.
    fn leave(&mut self, now: Instant, index: LaneIndex, ways: Vec<Upstream>) -> bool {
        let lane = &mut self.lanes[usize::from(index.0)];
        for via in ways {
            if lane.shunned.contains(&via) {
                continue;
            }
            if !self.engine.shun(now, lane.route, via) {
                return false;
            }
            lane.shunned.push(via);
            lane.heard.retain(|heard| *heard != via);
        }
        true
    }

    /// A control has failed. Where some ways failed and others did not, it is those servers that are bad and not the list:
    /// they are left, and the list is examined by the others.
    fn fail_control(&mut self, now: Instant, index: LaneIndex, failed: Vec<(Option<Upstream>, Fault)>) {
        let fault = failed[0].1.clone();
        let ways: Vec<Upstream> = failed.into_iter().filter_map(|(via, _)| via).collect();
        let left_all = self.stopping.is_none() && self.leave(now, index, ways);
        let lane = &mut self.lanes[usize::from(index.0)];
        let left_all = left_all && !lane.shunned.is_empty();
        let suspensions = lane.suspensions;
        self.suspend(now, index, fault);
        if left_all {
            self.lanes[usize::from(index.0)].suspensions = suspensions;
            self.examine(now, index);
        }
    }

    /// A list has failed in mid-run: what it said since the last good control is taken back.
    fn suspend(&mut self, now: Instant, index: LaneIndex, fault: Fault) {
        let lane = &mut self.lanes[usize::from(index.0)];
        let cause = match fault.cause() {
            // What was heard before a silence is not known to be true; that is the list's trouble, not a time-out's.
            Cause::Timeout | Cause::Servfail => Cause::ListUnhealthy,
            cause => cause,
        };
        lane.fault = Some(fault);
        self.standings_changed = true;
        let lane = &mut self.lanes[usize::from(index.0)];
        lane.control = None;
        lane.round += 1; // probes that are still out are of no interest
        lane.cursor = (self.window.first(), 0);
        lane.idle = false;
        lane.doubts += 1;
        lane.forget_unit();
        let (column, kind) = (lane.column, lane.kind);
        self.revoke(index);
        for (_, open) in self.window.open_of(kind) {
            let tile = &open.tile;
            let mine = |of: usize, offset: usize| of == column && tile.kind(offset) == kind;
            for (_, half) in open.halves.iter_mut().filter(|((of, offset), _)| mine(*of, *offset)) {
                half.doubt();
            }
        }
        let lane = &mut self.lanes[usize::from(index.0)];
        if lane.suspensions == SUSPENSIONS_MAX || self.stopping.is_some() {
            let cause = if self.stopping.is_some() {
                Cause::Cancelled
            } else {
                cause
            };
            self.give_up(index, cause);
        } else {
            lane.standing = Standing::Suspended(now + SUSPENSION.times(1 << lane.suspensions));
            lane.suspensions += 1;
            self.doubt_servers(index);
        }
    }

    /// A lane is given up: what is pending, now and later, is unknown, and its parts have to be asked themselves.
    pub(super) fn give_up(&mut self, index: LaneIndex, cause: Cause) {
        let lane = &mut self.lanes[usize::from(index.0)];
        lane.standing = Standing::GivenUp(cause);
        lane.control = None;
        lane.round += 1;
        if !self.helps {
            self.window.give_up(index);
        }
        self.standings_changed = true;
        self.revoke(index);
        if self.stopping.is_none() {
            self.wake_parts(index);
        }
        self.abandon(index, cause);
    }

    /// When the next suspended lane is to be examined, or the next control is due by time.
    pub(super) fn next_examination(&self) -> Option<Instant> {
        let moments = self.lanes.iter().filter_map(|lane| match lane.standing {
            Standing::Suspended(until) => Some(until),
            Standing::Examined => lane.looks_until,
            Standing::Good if lane.provisional > 0 && lane.control.is_none() => Some(lane.last_good + CONTROL_SPAN),
            _ => None,
        });
        moments.min()
    }
}

/// The answer in a reply's message, if there is one that can be read.
pub(super) fn decoded(end: &End, name: &Name, rtype: Rtype) -> Option<Answer> {
    match end {
        End::Reply(reply) => decode(reply.message.as_deref()?, name, rtype).ok(),
        _ => None,
    }
}
