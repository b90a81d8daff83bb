//! The worker: one thread, one engine, one loop. It takes outcomes, turns them into observations, asks what is pending
//! (`fill`), and hands out what is complete (`closing`).

use std::collections::BTreeMap;
use std::io;

use rand::rngs::StdRng;

use crate::clock::{Instant, Span};
use crate::datagram::Batch;
use crate::dnsxl::{Cause, Fault, Heard, Listing, Observation, OperatorIndex, reason};
use crate::dossier::{self, Journal};
use crate::engine::Engine;
use crate::exchange::{Ask, End, Outcome, Unsent};
use crate::plan::{Ledger, Plan};
use crate::targets::Kind;
use crate::wire::{Rcode, Rtype, decode};

use super::budget::Budget;
use super::closing::Counted;
use super::direct::{Direct, Paces};
use super::explain::Explainer;
use super::gather::Gather;
use super::lane::{Lane, Standing, Textless};
use super::load::Load;
use super::network::Network;
use super::pump;
use super::related::Related;
use super::resolvers::Checks;
use super::run::{Progress, Receiver, ScanOptions, Slowest, Snapshot, Stop, StopReason, Trouble};
use super::ticket::{LaneIndex, Purpose};
use super::undo::Undo;
use super::window::{OpenTile, Window};

/// How long a stopped run may take to confirm what it has heard.
pub const GRACE: Span = Span::from_millis(1_500);

/// Time between two reports of progress.
const PROGRESS_SPAN: Span = Span::from_millis(100);

/// How long a worker that is held up waits before it looks whether the others have made room: as long as a few tiles take.
const COMPANY_SPAN: Span = Span::from_micros(500);

/// Drives one engine through a plan.
pub(super) struct Worker<'a, N: Network> {
    pub(super) plan: &'a Plan<'a>,
    pub(super) options: &'a ScanOptions,
    pub(super) network: &'a mut N,
    pub(super) engine: Engine,
    pub(super) rng: StdRng,
    pub(super) window: Window<'a>,
    pub(super) explainer: Explainer,
    pub(super) related: Related,
    pub(super) lanes: Vec<Lane>,
    /// The lanes of each column by kind.
    pub(super) lanes_of: Vec<[Option<LaneIndex>; Kind::ALL.len()]>,
    pub(super) undo: Undo,
    pub(super) checks: Checks,
    /// The lists' own servers, in direct mode.
    pub(super) direct: Option<Direct>,
    pub(super) paces_of_columns: Paces,
    pub(super) budgets: BTreeMap<OperatorIndex, Budget>,
    pub(super) journal: &'a mut dyn Journal,
    pub(super) ledger: &'a mut dyn Ledger,
    /// When the journal has something to write down.
    pub(super) journal_due: Option<Instant>,
    pub(super) counts: Vec<Counted>,
    pub(super) resolver_fault: Option<String>,
    /// Every lane has been examined, so that it is known what the resolvers do. No tile closes before.
    pub(super) judged: bool,
    /// How a list stands may have changed: the journal is told before the next tile closes.
    pub(super) standings_changed: bool,
    /// Something became pending behind the back of a lane: it is looked at again before anybody waits.
    pub(super) stirred: bool,
    pub(super) stopping: Option<(StopReason, Instant)>,
    pub(super) started: Instant,
    pub(super) done_targets: u64,
    pub(super) listed_targets: u64,
    pub(super) unreached: u64,
    pub(super) next_progress: Instant,
    /// An examination asks for the test entries of single codes too.
    pub(super) every_code: bool,
    /// There may be other workers.
    pub(super) in_company: bool,
    /// It was called by others. The first worker was not.
    pub(super) helps: bool,
}

impl<'a, N: Network> Worker<'a, N> {
    /// Runs until every target that it took is handed out, or the run is stopped. `overloaded` is called when it has had its
    /// hands full for a while.
    pub(super) fn run(
        &mut self,
        receiver: &mut dyn Receiver,
        progress: &mut dyn Progress,
        stop: &Stop,
        overloaded: &mut dyn FnMut(&N),
    ) -> io::Result<()> {
        let (mut batch, mut gather) = (Batch::new(), Gather::new());
        let mut load = Load::new(self.network.now(), self.network.worked());
        while !self.window.have_failed() {
            let now = self.network.now();
            let received = self.turn(now, &mut batch);
            self.look_at_checks(now);
            self.renew_servers(now);
            self.control_lanes(now);
            self.fill(now);
            if self.checks.are_over() {
                self.explainer.advance(now, &mut self.engine, &mut self.window);
            }
            self.note_related();
            self.tell_standings();
            let first = self.window.first();
            self.hand_out(now, receiver)?;
            let has_moved = self.window.first() > first;
            self.journal_due = self.journal.turn(now);
            // What is wrong with the resolvers is the first worker's to tell: nobody waits for another's checks.
            let checked = self.checks.are_over() || self.helps;
            if self.window.is_finished() && checked && !self.begin_again() {
                break;
            }
            let sent = self.transmit(now, &mut batch);
            self.show(now, progress, false);
            self.look_for_stop(now, stop);
            // Who has nothing to do waits.
            let stirred = std::mem::take(&mut self.stirred) || self.is_related_due();
            if self.explainer.is_busy() || stirred {
                continue;
            }
            let idle = received + sent == 0 && !has_moved; // where the window has moved there may be more to ask
            if idle {
                self.wait();
            }
            if self.network.gathers() {
                let in_trains = self.engine.in_trains();
                let times = (now, self.network.now());
                let pause = gather.pause((received, sent), in_trains, times);
                if let Some(pause) = pause {
                    self.network.pause(pause);
                }
            }
            if load.is_full(now, || self.network.worked()) {
                overloaded(self.network);
            }
        }
        self.engine.cancel_all(self.network.now());
        Ok(())
    }

    /// Hands out what is left when nobody asks any more: what was not reached, and what has to be handed out again.
    pub(super) fn finish(&mut self, receiver: &mut dyn Receiver, progress: &mut dyn Progress) -> io::Result<()> {
        if !self.undo.again {
            self.hand_out_unopened(receiver)?;
        }
        self.take_back_rest(receiver)?;
        self.start_over(receiver)?;
        self.show_last(progress);
        Ok(())
    }

    /// Shows how far it has come in the end.
    pub(super) fn show_last(&mut self, progress: &mut dyn Progress) {
        self.show(self.network.now(), progress, true);
    }

    /// Since the run began.
    pub(super) fn elapsed(&self) -> Span {
        self.network.now().since(self.started)
    }

    /// Takes what has come: packets, TCP, time-outs, and the outcomes of all that. Returns the packets.
    pub(super) fn turn(&mut self, now: Instant, batch: &mut Batch) -> usize {
        let received = pump::receive(&mut self.engine, self.network, now);
        while let Some(outcome) = self.engine.poll_outcome() {
            self.take_outcome(now, outcome);
        }
        batch.clear();
        received
    }

    /// Sends what may be sent; returns how much that was.
    pub(super) fn transmit(&mut self, now: Instant, batch: &mut Batch) -> usize {
        pump::transmit(&mut self.engine, self.network, now, batch)
    }

    /// Waits for packets, or for the next thing that is due by time.
    pub(super) fn wait(&mut self) {
        let deadline = self.stopping.map(|(_, deadline)| deadline);
        let held_up = self.window.was_held_up() && self.in_company;
        let moments = [
            self.engine.poll_timeout(),
            self.next_examination(),
            self.journal_due,
            self.checks.next(),
            self.explainer.next_due(),
            self.direct.as_ref().and_then(Direct::next),
            deadline,
            held_up.then(|| self.network.now() + COMPANY_SPAN),
        ];
        let until = moments.into_iter().flatten().min().unwrap_or(Instant::FAR);
        self.network.wait(until);
    }

    fn take_outcome(&mut self, now: Instant, outcome: Outcome) {
        let outcome = match self.direct {
            Some(_) => self.follow(now, outcome),
            None => Some(outcome),
        };
        if let Some(outcome) = outcome {
            self.take(now, &outcome);
        }
    }

    pub(super) fn take(&mut self, now: Instant, outcome: &Outcome) {
        match Purpose::of(outcome.ticket) {
            Purpose::Pair {
                lane,
                tile,
                offset,
                name,
            } => self.take_pair(now, lane, (tile, offset, name), outcome),
            Purpose::Text {
                lane,
                tile,
                offset,
                name,
            } => self.take_text(lane, (tile, offset, name), outcome),
            Purpose::Probe { lane, round, number } => self.take_probe(now, lane, round, number, outcome),
            Purpose::Check { server, number } => self.checks.all[usize::from(server)].take(number, outcome),
            Purpose::Lookup { number } => self.explainer.take(now, number, outcome),
            Purpose::Server { cut, number } => self.take_server(now, usize::from(cut), number, outcome),
            Purpose::Proof { lane, number } => self.take_proof(lane, number, outcome),
            Purpose::Parent { lane, tile, offset } => self.take_parent(lane, (tile, offset), outcome),
            Purpose::Related { lane, number } => self.take_related(lane, number, outcome),
        }
    }

    /// What an outcome says of a pair.
    fn observe(&mut self, index: LaneIndex, (tile, offset, name): (u32, u8, u8), outcome: &Outcome) -> Observation {
        let reply = match &outcome.end {
            End::Reply(reply) => reply,
            End::Silent | End::Unsent(Unsent::Dead) => return Observation::Unknown(Cause::Timeout),
            End::Unsent(Unsent::Cancelled) => return Observation::Unknown(Cause::Cancelled),
        };
        if reply.answers == 0 && !reply.truncated && matches!(reply.rcode, Rcode::NXDOMAIN | Rcode::NOERROR) {
            return Observation::NotListed; // by far the most, without decoding
        }
        let lane = &self.lanes[usize::from(index.0)];
        let target = self
            .window
            .get(tile)
            .expect("a tile with pairs in flight is held")
            .target(usize::from(offset));
        let questions = self.plan.columns[lane.column].asked();
        let names = questions.names(&target).expect("it was asked by this name");
        let asked = names.iter().nth(usize::from(name)).expect("it was asked by this name");
        let answer = reply
            .message
            .as_deref()
            .and_then(|message| decode(message, asked, Rtype::A).ok());
        self.reader(lane).interpret(Heard::of(reply, answer.as_ref()))
    }

    fn take_pair(&mut self, now: Instant, index: LaneIndex, place: (u32, u8, u8), outcome: &Outcome) {
        let mut observation = self.observe(index, place, outcome);
        let (number, offset, name) = place;
        let lane = &mut self.lanes[usize::from(index.0)];
        lane.in_flight -= 1;
        let replied = matches!(outcome.end, End::Reply(_));
        if replied {
            lane.timed = (lane.timed.0 + 1, lane.timed.1 + outcome.rtt);
        }
        let believed = !replied || lane.hear(outcome.upstream);
        if !believed {
            observation = Observation::Unknown(Cause::ListUnhealthy);
        }
        match &observation {
            Observation::Unknown(_) => (lane.failures, lane.listings) = (lane.failures + 1, 0),
            Observation::Listed(_) => (lane.failures, lane.listings) = (0, lane.listings + 1),
            _ => (lane.failures, lane.listings) = (0, 0),
        }
        let column = lane.column;
        let tile = self.window.get(number).expect("a tile with pairs in flight is held");
        let Some((observation, name)) = halve(tile, (column, usize::from(offset)), observation, name) else {
            return; // the other name's answer is still out
        };
        let lane = &self.lanes[usize::from(index.0)];
        if !believed && self.stopping.is_none() && !matches!(lane.standing, Standing::GivenUp(_)) {
            self.put_back(index, number, offset); // to be asked of another
            return;
        }
        match observation {
            Observation::Listed(listing) if self.wants_text(index) && self.bears(index, 1) => {
                self.ask_text(now, index, (number, offset, name), listing);
            }
            observation => self.settle(index, number, offset, observation),
        }
    }

    /// A pair in flight is pending again: its answer is not believed, or it could not be asked.
    pub(super) fn put_back(&mut self, index: LaneIndex, number: u32, offset: u8) {
        let lane = &mut self.lanes[usize::from(index.0)];
        let tile = self.window.get(number).expect("a tile with pairs in flight is held");
        tile.tile.put_back(lane.column, usize::from(offset));
        lane.again.push_back((number, offset));
        lane.idle = false;
    }

    fn wants_text(&self, index: LaneIndex) -> bool {
        let lane = &self.lanes[usize::from(index.0)];
        lane.standing == Standing::Good && self.stopping.is_none() && self.plan.catalogue.list(lane.list).txt
    }

    /// Asks for the reason of a listing. The pair stays in flight meanwhile.
    fn ask_text(&mut self, now: Instant, index: LaneIndex, place: (u32, u8, u8), listing: Box<Listing>) {
        let (number, offset, name) = place;
        let lane = &self.lanes[usize::from(index.0)];
        let target = self.window.get(number).expect("held").target(usize::from(offset));
        let questions = self.plan.columns[lane.column].asked();
        let names = questions.names(&target).expect("it was asked by this name");
        let asked = names.iter().nth(usize::from(name)).expect("it was asked by this name");
        let asked = asked.clone();
        let route = self.way_to(index, &asked);
        let lane = &mut self.lanes[usize::from(index.0)];
        let purpose = Purpose::Text {
            lane: index,
            tile: number,
            offset,
            name,
        };
        let ask = Ask {
            ticket: purpose.ticket(),
            name: &asked,
            rtype: Rtype::TXT,
            route,
            probe: false,
        };
        if self.engine.submit(now, ask).is_ok() {
            lane.in_flight += 1;
            lane.asked += 1;
            let textless = Textless {
                listing,
                doubts: lane.doubts,
                controls: lane.controls,
            };
            lane.texts.insert((number, offset), textless);
        } else {
            self.settle(index, number, offset, Observation::Listed(listing));
        }
    }

    fn take_text(&mut self, index: LaneIndex, (number, offset, name): (u32, u8, u8), outcome: &Outcome) {
        let lane = &mut self.lanes[usize::from(index.0)];
        lane.in_flight -= 1;
        let Textless {
            mut listing,
            doubts,
            controls,
        } = lane
            .texts
            .remove(&(number, offset))
            .expect("it was put there when the text was asked for");
        let (column, epoch) = (lane.column, lane.epoch_since(controls));
        if doubts != lane.doubts {
            match lane.standing {
                Standing::Good if self.stopping.is_none() => self.put_back(index, number, offset),
                _ => self.settle(index, number, offset, Observation::Unknown(Cause::Cancelled)),
            }
            return;
        }
        if let End::Reply(reply) = &outcome.end
            && let Some(message) = reply.message.as_deref()
        {
            let target = self.window.get(number).expect("held").target(usize::from(offset));
            let questions = self.plan.columns[column].asked();
            let names = questions.names(&target).expect("it was asked by this name");
            let asked = names.iter().nth(usize::from(name)).expect("it was asked by this name");
            let answer = decode(message, asked, Rtype::TXT).ok();
            listing.reason = answer
                .and_then(|answer| reason(&answer))
                .map(|text| questions.redact_text(text));
        }
        listing.reason_cut = matches!(outcome.end, End::Unsent(Unsent::Cancelled));
        self.settle_in(epoch, index, (number, offset), Observation::Listed(listing));
    }

    /// Whether a list passed its examination before it was used, none if it was not examined; and what is wrong with it.
    pub(super) fn standing_of(&self, column: usize) -> (Option<bool>, Option<Fault>) {
        if self.helps && !self.window.has_begun() {
            return (None, None); // nothing came of what it saw
        }
        let lanes = self.lanes.iter().filter(|lane| lane.column == column && !lane.related);
        let mut examined = lanes.clone().filter(|lane| lane.evidence.is_some()).peekable();
        let passed = examined
            .peek()
            .is_some()
            .then(|| examined.all(|lane| lane.healthy_at_start));
        (passed, lanes.clone().find_map(|lane| lane.fault.clone()))
    }

    /// Tells the journal how the lists stand, if that may have changed.
    fn tell_standings(&mut self) {
        if self.helps && !self.window.has_begun() || !std::mem::take(&mut self.standings_changed) {
            return;
        }
        for (column, list) in self.plan.columns.iter().enumerate() {
            if let (Some(passed), fault) = self.standing_of(column) {
                let fault = fault.map(|fault| fault.state.as_str().to_owned());
                self.journal.examined(list.list, &dossier::Standing { passed, fault });
            }
        }
    }

    pub(super) fn look_for_stop(&mut self, now: Instant, stop: &Stop) {
        match self.stopping {
            None => {
                let over = self.options.max_time.is_some_and(|max| now.since(self.started) >= max);
                let reason = stop.requested().or(over.then_some(StopReason::MaxTime));
                if let Some(reason) = reason {
                    self.stopping = Some((reason, now + GRACE));
                    self.stop(now);
                }
            }
            Some((_, deadline)) if now >= deadline => {
                for index in (0..self.lanes.len() as u16).map(LaneIndex) {
                    self.give_up(index, Cause::Cancelled);
                }
            }
            Some(_) => (),
        }
    }

    /// Cancels what is open. What was heard is confirmed by a last control of each list, if that answers in time.
    fn stop(&mut self, now: Instant) {
        self.window.close();
        self.explainer.stop();
        self.related.stop();
        self.engine.cancel_all(now);
        while let Some(outcome) = self.engine.poll_outcome() {
            self.take(now, &outcome);
        }
        self.cancel_waiting(now);
        for index in (0..self.lanes.len() as u16).map(LaneIndex) {
            let lane = &mut self.lanes[usize::from(index.0)];
            if lane.standing != Standing::Good {
                if !matches!(lane.standing, Standing::GivenUp(_)) {
                    self.give_up(index, Cause::Cancelled);
                }
                continue;
            }
            // A control that was out is cancelled with the rest: its epoch is confirmed by the last one.
            self.abandon(index, Cause::Cancelled);
        }
        if !self.judged && !self.options.skip_health {
            self.judge_resolvers(); // by those that have been examined
        }
    }

    /// Whether progress is to be shown now; it is not again for a while.
    pub(super) fn is_time_to_show(&mut self, now: Instant) -> bool {
        let due = now >= self.next_progress;
        if due {
            self.next_progress = now + PROGRESS_SPAN;
        }
        due
    }

    /// How far lanes and stages have come, as a share, and how long the slowest will take: each at its own pace so far, which
    /// is its operator's, its servers' or ours. One that waits for others has come as far as they let it; one that has not
    /// begun will take nobody knows how long.
    fn passed(&self, now: Instant) -> (f64, Option<Span>, Option<Slowest>) {
        let elapsed = now.since(self.started).as_secs_f64();
        let targets = self.plan.targets.len().max(1) as f64;
        let (mut sum, mut weights, mut slowest) = (0.0, 0.0, None);
        let lanes = self.lanes.iter().filter(|lane| !lane.related).map(|lane| {
            // What stands before the cursor was handed to the engine, which may hold it back for a long time.
            let held = (f64::from(lane.in_flight) + lane.again.len() as f64) / targets;
            let asked = (self.window.share_before(lane.cursor) - held).max(0.0);
            let (share, good) = match lane.standing {
                Standing::GivenUp(_) => (1.0, true),
                Standing::Good => (asked, true),
                _ => (asked, false),
            };
            (Slowest::List(lane.list), (share, 1.0), good)
        });
        let stages = self.explainer.share(&self.window, targets);
        for (who, (share, weight), good) in lanes.chain(stages.map(|share| (Slowest::Stages, share, true))) {
            sum += share * weight;
            weights += weight;
            let seconds = match good && share > 0.0 {
                true => elapsed * (1.0 - share) / share,
                false => f64::INFINITY,
            };
            if slowest.is_none_or(|(most, _)| seconds > most) {
                slowest = Some((seconds, who));
            }
        }
        let left = slowest.filter(|(seconds, _)| seconds.is_finite());
        (
            if weights > 0.0 { sum / weights } else { 0.0 },
            left.map(|(seconds, _)| Span::from_millis((seconds * 1e3) as u64)),
            slowest.map(|(_, who)| who),
        )
    }

    fn show(&mut self, now: Instant, progress: &mut dyn Progress, last: bool) {
        if !self.is_time_to_show(now) && !last {
            return;
        }
        let counters = self.engine.counters();
        let (passed, left, slowest) = self.passed(now);
        let troubles = self.lanes.iter().filter_map(|lane| {
            let fault = lane.fault.as_ref()?;
            (lane.standing != Standing::Good).then(|| Trouble {
                list: lane.list,
                why: fault.why.clone(),
            })
        });
        progress.show(&Snapshot {
            elapsed: now.since(self.started),
            targets: self.plan.targets.len(),
            targets_done: self.done_targets,
            targets_listed: self.listed_targets,
            passed,
            left,
            slowest,
            pairs_unknown: self.counts.iter().map(|count| count.unknown).sum(),
            asked: self.lanes.iter().map(|lane| lane.asked).sum(),
            in_flight: self.engine.open() as u64,
            sent: counters.sent,
            troubles: troubles.collect(),
            last,
        });
    }
}

/// Joins the answers to the two names of a pair: an entry for either is a listing, and "not listed" needs both. None
/// while one is out; else what is known, and by which name.
fn halve(
    tile: &mut OpenTile<'_>,
    key: (usize, usize),
    observation: Observation,
    name: u8,
) -> Option<(Observation, u8)> {
    let Some(half) = tile.halves.get_mut(&key) else {
        return Some((observation, name));
    };
    half.left -= 1;
    half.best = Some(match half.best.take() {
        None => (observation, name),
        // The text is asked for by a name that is listed.
        Some((first, by)) => {
            let by = if matches!(first, Observation::Listed(_)) {
                by
            } else {
                name
            };
            (first.either(observation), by)
        }
    });
    if half.left > 0 {
        return None;
    }
    tile.halves.remove(&key)?.best
}
