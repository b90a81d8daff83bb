//! What a plan costs whom, before anything is sent: queries by list and operator, days of budget, and the time it takes.
//!
//! ```text
//! rows (list × kind) ─▶ loads (operators: probes, controls, pairs, texts) ─▶ today's share of them ─▶ course ─▶ time
//! ```
//!
//! What is asked about targets, to examine lists and to control them is counted; in a world in which nothing is listed or
//! fails, a run asks just that. What cannot be known beforehand is assumed, or told as a bound:
//!
//! * listings, each of which has its text asked for: a share of them is assumed, all of them are the most;
//! * what stages look up and the related names that they find depend on answers: a usual number and a bound;
//! * round trips, where no earlier run has measured them: see [`ways`](super::ways). They matter where no rate is reached;
//! * loss, lists that fail, and pruning: none (what pruning saves at best is said apart).

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use rand::Rng;

use crate::dnsxl::{ListIndex, NameForm, OperatorIndex, Reason, positive, probes};
use crate::stages::{Expected, RELATED_MAX, StageOptions, Stages, expected, related_kinds};
use crate::targets::Kind;

use super::habits::{
    BUDGET_FOR_CONTROLS, CHECK_NAMES, CONTROL_ANSWERS, CONTROL_SPAN, NAMES_MAX, PROBE_TRIES_MORE, RELATED_PER_RUN_MAX,
    TILES_MAX,
};
use super::plan::{Column, Plan, Treatment};
use super::survey::Survey;
use super::timing::{Stream, Timing, Work};
use super::ways::{Trip, Way, Ways};

/// The share of pairs that are taken to be listed: a block with a bad name has more, most have less.
const LISTED_SHARE: f64 = 0.02;

/// Operators that are told of as those without which the run would be shorter.
const WITHOUT_MAX: usize = 3;

/// Round trips may be so many times those that are assumed: 200 ms is across an ocean, or a busy resolver.
pub const STRETCH: u64 = 4;

/// What is less than this share of the time is no saving.
const SAVING: f64 = 0.05;

/// What bounds the pace, and what is asked beside the lists.
#[derive(Debug, Clone, Default)]
pub struct Paces {
    /// Queries a second over all lists; none: no limit.
    pub rate_qps: Option<f64>,
    /// Whether operators' rates and daily limits are left aside.
    pub ignore_budgets: bool,
    /// Whether lists are believed without a health check.
    pub skip_health: bool,
    /// Whether parents are asked about first, where that is possible.
    pub prune: bool,
    /// How many more tries a query has after the first: budgets bear them all.
    pub retries: u8,
    /// Where questions go.
    pub ways: Ways,
    /// What operators have been asked today already.
    pub spent: BTreeMap<OperatorIndex, u64>,
    /// What is looked at beside the lists, and how.
    pub stages: Stages,
    /// How.
    pub stage_options: StageOptions,
}

/// How one list learns of one kind of target, and what that takes.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// The list.
    pub list: ListIndex,
    /// The kind of target.
    pub kind: Kind,
    /// How.
    pub way: LearntBy,
    /// Targets that it learns of so.
    pub pairs: u64,
    /// Of these: learnt from another address of their unit.
    pub shared: u64,
    /// Queries for them, texts not counted.
    pub queries: u64,
    /// The round trip that is counted with, if it is asked.
    pub trip: Option<Trip>,
}

/// How a list learns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LearntBy {
    /// By asking.
    Asked,
    /// From the answers of this list.
    Folded(ListIndex),
    /// From data at hand.
    Local,
    /// It does not.
    NotAsked(Reason),
}

/// What one operator is asked.
#[derive(Debug, Clone, PartialEq)]
pub struct Load {
    /// Whom.
    pub operator: OperatorIndex,
    /// Lists, counted once for each kind of target: each is examined and controlled.
    pub lanes: u64,
    /// Queries that examine its lists.
    pub probes: u64,
    /// Queries that confirm what they said.
    pub controls: u64,
    /// Of these: of the last controls, which are sent even if the day's limit is reached.
    pub closing: u64,
    /// Queries about targets.
    pub pairs: u64,
    /// Expected questions for the text of a listing.
    pub texts: u64,
    /// Questions for texts if everything was listed.
    pub texts_most: u64,
    /// Queries a second at most, if there is a limit that holds.
    pub rate_qps: Option<f64>,
    /// Queries a day at most, if there is a limit that holds.
    pub per_day: Option<u64>,
    /// What of today's limit has been used up by earlier runs.
    pub spent: u64,
    /// Queries of this run, today: all, or as many as the day's limit lets pass.
    pub today: u64,
}

/// What decides how long a run takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bound {
    /// This operator's rate.
    Operator(OperatorIndex),
    /// The rate over all lists.
    Rate,
    /// How fast servers answer: no rate is reached.
    Servers,
    /// Nothing is asked.
    Nothing,
}

/// What a plan costs.
#[derive(Debug, Clone, PartialEq)]
pub struct Estimate {
    /// A row for each list and kind of target.
    pub rows: Vec<Row>,
    /// What each operator is asked, in the order of the catalogue.
    pub loads: Vec<Load>,
    /// Targets in special-use space: nobody is asked about them.
    pub special_use: u64,
    /// Questions of the stages.
    pub lookups: Expected,
    /// Related names that may be found, at most, and the queries that lists are asked about them then.
    pub related: Related,
    /// Questions that show whether the resolvers lie.
    pub checks: u64,
    /// Seconds of a run today.
    pub seconds: f64,
    /// The same with pruning at its best; none without pruning.
    pub seconds_least: Option<f64>,
    /// The same if round trips are [`STRETCH`] times what is assumed of them.
    pub seconds_far: f64,
    /// What decides that.
    pub bound: Bound,
    /// The operators that bind the run, one after the other, and the seconds that it takes without them so far.
    pub without: Vec<(OperatorIndex, f64)>,
    /// Days that it takes, for the operator whose daily limit is reached first; 1 if none is.
    pub days: u64,
    /// Queries that would be asked without folding, sharing and data at hand.
    pub unsaved: u64,
    /// What pruning may save at most: no parent has anything below it, and every server proves itself.
    pub prunable: u64,
    /// Lists that are asked and of which an earlier run measured the round trip, and all that are asked.
    pub measured: (usize, usize),
}

/// What related names may add. They depend on answers, so that only their bounds are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Related {
    /// Names.
    pub names_most: u64,
    /// Lists that each is asked of at most.
    pub lists: u64,
    /// Queries, with the examination of lists that nothing else is asked of, and a control for each listing.
    pub queries_most: u64,
}

impl Load {
    /// All its queries.
    pub fn queries(&self) -> u64 {
        self.probes + self.controls + self.pairs + self.texts
    }

    /// Days that its daily limit makes of it, today with what is left of it.
    pub fn days(&self) -> u64 {
        let limit = self.per_day.unwrap_or(u64::MAX);
        1 + (self.queries() - self.today).div_ceil(limit.max(1))
    }

    /// Seconds that its rate makes of today's queries.
    pub fn seconds(&self) -> Option<f64> {
        self.rate_qps.map(|rate| self.today as f64 / rate)
    }

    /// How many of the queries are asked today. A run keeps back what its controls may take, and stops asking when one more
    /// target might exceed the rest, if every try of it was lost.
    fn today(&self, retries: u8) -> u64 {
        let Some(limit) = self.per_day else {
            return self.queries();
        };
        let tries = 1 + u64::from(retries);
        let left = limit.saturating_sub(self.spent);
        let kept = BUDGET_FOR_CONTROLS * self.lanes;
        if left < kept || left < (tries + PROBE_TRIES_MORE) * self.probes {
            return 0; // it cannot even be examined
        }
        let before_closing = left.saturating_sub(kept + tries * NAMES_MAX as u64 - 1);
        let (asked, closing) = (self.queries() - self.closing, self.closing);
        asked.min(before_closing.max(self.probes)) + closing
    }
}

impl Estimate {
    /// All queries, texts as expected; on later days what goes beyond today's budgets.
    pub fn queries(&self) -> u64 {
        self.loads.iter().map(Load::queries).sum()
    }

    /// As many as there are if nothing is listed, and pruning is at its best.
    pub fn queries_least(&self) -> u64 {
        let texts: u64 = self.loads.iter().map(|load| load.texts).sum();
        self.queries() - texts - self.prunable
    }

    /// As many as there are if everything is listed: what is lost, fails or is found to be related comes on top.
    pub fn queries_most(&self) -> u64 {
        let more = self.loads.iter().map(|load| load.texts_most - load.texts);
        self.queries() + more.sum::<u64>()
    }

    /// Queries of today.
    pub fn today(&self) -> u64 {
        self.loads.iter().map(|load| load.today).sum()
    }
}

/// One list for one kind of target, as far as controls are concerned.
struct Lane {
    /// Its list's stream, and its operator's load.
    stream: usize,
    operator: OperatorIndex,
    answers: u64,
    /// Queries of one control.
    control: u64,
}

/// What is counted while rows are made.
#[derive(Default)]
struct Counting {
    rows: Vec<Row>,
    loads: BTreeMap<OperatorIndex, Load>,
    streams: Vec<Stream>,
    lanes: Vec<Lane>,
    unsaved: u64,
}

impl Plan<'_> {
    /// What the plan costs at these paces. `rng` draws the names of probes, which are only counted.
    pub fn estimate(&self, paces: &Paces, rng: &mut dyn Rng) -> Estimate {
        let survey = Survey::of(self);
        let lookups = self.lookups(paces, &survey);
        let Counting {
            rows,
            loads,
            mut streams,
            lanes,
            unsaved,
        } = self.count(paces, &survey, rng);
        let mut loads: Vec<Load> = loads.into_values().collect();
        loads.iter_mut().for_each(|load| load.today = load.today(paces.retries));
        let all = BTreeSet::new();
        // Lists that are asked slowly are controlled by time; these controls take time themselves, but little.
        let first = Work::of(&streams, &loads, paces, lookups.usual).timing(&all);
        for lane in &lanes {
            let more = lane.control * self.controls_by_time(lane, &first);
            let load = loads.iter_mut().find(|load| load.operator == lane.operator);
            load.expect("each lane's operator has a load").controls += more;
            streams[lane.stream].queries += more;
        }
        loads.iter_mut().for_each(|load| load.today = load.today(paces.retries));
        let work = Work::of(&streams, &loads, paces, lookups.usual);
        let pruned = Work { pruned: true, ..work };
        let far = Work {
            stretch: STRETCH,
            ..work
        };
        let timing = work.timing(&all);
        let prunable: u64 = streams.iter().map(|stream| stream.prunable).sum();
        Estimate {
            special_use: survey.special.iter().sum(),
            related: self.related(paces, &survey, rng),
            checks: match paces.skip_health || timing.bound == Bound::Nothing {
                true => 0,
                false => (CHECK_NAMES * paces.ways.resolvers.len()) as u64,
            },
            seconds: timing.seconds,
            seconds_least: (prunable > 0).then(|| pruned.timing(&all).seconds),
            seconds_far: far.timing(&all).seconds,
            bound: timing.bound,
            without: without(&timing, |left_out| work.timing(left_out)),
            days: loads.iter().map(Load::days).max().unwrap_or(1),
            measured: (
                streams.iter().filter(|stream| stream.way.is_measured).count(),
                streams.len(),
            ),
            rows,
            loads,
            lookups,
            unsaved,
            prunable,
        }
    }

    fn count(&self, paces: &Paces, survey: &Survey, rng: &mut dyn Rng) -> Counting {
        let mut counting = Counting::default();
        for column in 0..self.columns.len() {
            let mut stream = None;
            for kind in self.kinds() {
                let mut row = self.row(column, kind, survey);
                let facts = self.catalogue.list(row.list);
                let twice = u64::from(kind == Kind::Domain && facts.name_form == NameForm::Both);
                if !matches!(row.way, LearntBy::NotAsked(_)) {
                    counting.unsaved += row.pairs + twice * survey.two_names;
                }
                if row.way == LearntBy::Asked && row.queries > 0 {
                    let stream = stream.get_or_insert_with(|| self.stream(column, paces));
                    row.trip = Some(Trip {
                        takes: stream.way.rtt,
                        is_measured: stream.way.is_measured,
                    });
                    let load = counting.loads.entry(facts.operator);
                    let load = load.or_insert_with(|| self.load(facts.operator, paces));
                    let before = load.queries();
                    load.lanes += 1;
                    load.pairs += row.queries;
                    if facts.txt {
                        load.texts += (row.queries as f64 * LISTED_SHARE).ceil() as u64;
                        load.texts_most += row.queries;
                    }
                    if !paces.skip_health {
                        let lane = Lane {
                            stream: counting.streams.len(),
                            operator: facts.operator,
                            answers: row.pairs - row.shared,
                            control: self.control(column, kind, (&stream.way, row.queries)),
                        };
                        let presence = self.asks_presence(column, kind, stream.way.own);
                        load.probes += probes(facts, kind, rng).len() as u64 + u64::from(presence);
                        load.controls += lane.control * lane.answers.div_ceil(u64::from(CONTROL_ANSWERS));
                        load.closing += lane.control;
                        counting.lanes.push(lane);
                    }
                    stream.queries += load.queries() - before;
                    if paces.prune && kind == Kind::Ip4 && self.is_prunable(column, &stream.way) {
                        stream.prunable += survey.prunable(stream.way.count);
                    }
                }
                counting.rows.push(row);
            }
            counting.streams.extend(stream);
        }
        counting
    }

    fn row(&self, column: usize, kind: Kind, survey: &Survey) -> Row {
        let list = self.columns[column].list;
        let targets = self.asked_about(kind, survey);
        let twice = kind == Kind::Domain && self.catalogue.list(list).name_form == NameForm::Both;
        let (way, shared, queries) = match self.treatment(column, kind) {
            Treatment::NotAsked(reason) => (LearntBy::NotAsked(reason), 0, 0),
            Treatment::Local => (LearntBy::Local, 0, 0),
            Treatment::Fold(composite) => (LearntBy::Folded(self.columns[composite].list), 0, 0),
            Treatment::Ask => {
                let firsts = self.unit(column, kind).and_then(|unit| survey.firsts.get(&unit));
                let shared = firsts.map_or(0, |firsts| targets - firsts);
                let names = if twice { survey.two_names } else { 0 };
                (LearntBy::Asked, shared, targets - shared + names)
            }
        };
        Row {
            list,
            kind,
            way,
            pairs: targets,
            shared,
            queries,
            trip: None,
        }
    }

    /// Targets of a kind outside special-use space.
    fn asked_about(&self, kind: Kind, survey: &Survey) -> u64 {
        self.targets.count(kind) - survey.special[kind as usize]
    }

    fn load(&self, operator: OperatorIndex, paces: &Paces) -> Load {
        let terms = &self.catalogue.operator(operator).terms;
        Load {
            operator,
            lanes: 0,
            probes: 0,
            controls: 0,
            closing: 0,
            pairs: 0,
            texts: 0,
            texts_most: 0,
            rate_qps: terms.max_qps.filter(|_| !paces.ignore_budgets),
            per_day: terms.max_queries_per_day.filter(|_| !paces.ignore_budgets),
            spent: paces.spent.get(&operator).copied().unwrap_or(0),
            today: 0,
        }
    }

    fn stream(&self, column: usize, paces: &Paces) -> Stream {
        let list = self.columns[column].list;
        Stream {
            operator: self.catalogue.list(list).operator,
            queries: 0,
            prunable: 0,
            way: self.way(column, &paces.ways),
        }
    }

    fn way(&self, column: usize, ways: &Ways) -> Way {
        let questions = self.columns[column].asked();
        ways.of(self.columns[column].list, questions.zone())
    }

    /// Queries of one control: the test entry, perhaps its presence, and a canary, by each way that has answered.
    fn control(&self, column: usize, kind: Kind, (way, queries): (&Way, u64)) -> u64 {
        let entry = positive(self.catalogue.list(self.columns[column].list), kind);
        let presence = self.asks_presence(column, kind, way.own);
        (1 + u64::from(entry.is_some()) + u64::from(presence)) * way.count.min(queries)
    }

    /// Controls that a lane has beyond those that its answers call for, because of the time it takes.
    fn controls_by_time(&self, lane: &Lane, timing: &Timing) -> u64 {
        // Where the window of open tiles is full, a list that is ahead waits, and goes on as others do.
        let waits = self.targets.chunk_count() > TILES_MAX as u64;
        let seconds = if waits {
            timing.seconds
        } else {
            timing.ends[lane.stream]
        };
        let by_time = 1 + (seconds / CONTROL_SPAN.as_secs_f64()) as u64;
        by_time.saturating_sub(lane.answers.div_ceil(u64::from(CONTROL_ANSWERS)))
    }

    /// Whether a list may be asked about the parents of IPv4 addresses.
    fn is_prunable(&self, column: usize, way: &Way) -> bool {
        let Column { list, questions, .. } = &self.columns[column];
        let names = questions.as_ref().ok();
        let parent = names.and_then(|questions| questions.parent_v4(Ipv4Addr::UNSPECIFIED, 3));
        way.own && parent.is_some() && positive(self.catalogue.list(*list), Kind::Ip4).is_some()
    }

    fn lookups(&self, paces: &Paces, survey: &Survey) -> Expected {
        let mut all = Expected::default();
        for kind in self.kinds() {
            let count = self.asked_about(kind, survey);
            let of_kind = expected(paces.stages, &paces.stage_options, kind, count);
            all.usual += of_kind.usual;
            all.most += of_kind.most;
        }
        all
    }

    /// What the names that targets may be related to add at most.
    fn related(&self, paces: &Paces, survey: &Survey, rng: &mut dyn Rng) -> Related {
        let kinds: Vec<Kind> = self
            .kinds()
            .filter(|&kind| self.asked_about(kind, survey) > 0)
            .collect();
        let mut related = Related::default();
        let mut each = [(0, 0); Kind::ALL.len()];
        let mut examined = 0;
        for kind in related_kinds(paces.stages, &paces.stage_options, &kinds) {
            // An address has one domain, a domain some addresses of either family.
            let names = match kind {
                Kind::Domain => self.asked_about(Kind::Ip4, survey) + self.asked_about(Kind::Ip6, survey),
                Kind::Ip4 | Kind::Ip6 => RELATED_MAX as u64 * self.asked_about(Kind::Domain, survey),
            };
            let asked = (0..self.columns.len()).filter(|&column| self.treatment(column, kind) == Treatment::Ask);
            let (mut lists, mut queries) = (0, 0);
            for column in asked {
                let facts = self.catalogue.list(self.columns[column].list);
                lists += 1;
                queries += 1;
                if !paces.skip_health {
                    queries += self.control(column, kind, (&self.way(column, &paces.ways), u64::MAX));
                    let more = if kinds.contains(&kind) {
                        0
                    } else {
                        probes(facts, kind, rng).len() as u64
                    };
                    examined += more;
                }
            }
            each[kind as usize] = (names, queries);
            related.lists = related.lists.max(lists);
        }
        // The names of a run are few: they are taken to be of those kinds that cost most.
        let [ip4, ip6, domain] = [Kind::Ip4, Kind::Ip6, Kind::Domain].map(|kind| each[kind as usize]);
        let mut sorts = [(ip4.0.max(ip6.0), ip4.1.max(ip6.1)), domain];
        sorts.sort_by_key(|(_, queries)| Reverse(*queries));
        let mut left = RELATED_PER_RUN_MAX as u64;
        for (names, queries) in sorts {
            let names = names.min(left);
            left -= names;
            related.names_most += names;
            related.queries_most += names * queries;
        }
        if related.queries_most > 0 {
            related.queries_most += examined;
        }
        related
    }
}

/// The operators whose rates bind the run, one after the other, and how long it takes without them.
fn without(all: &Timing, timing: impl Fn(&BTreeSet<OperatorIndex>) -> Timing) -> Vec<(OperatorIndex, f64)> {
    let mut left_out = BTreeSet::new();
    let mut found = Vec::new();
    let (mut bound, mut seconds) = (all.bound, all.seconds);
    while let Bound::Operator(operator) = bound
        && found.len() < WITHOUT_MAX
    {
        left_out.insert(operator);
        let rest = timing(&left_out);
        if rest.seconds > seconds * (1.0 - SAVING) {
            break;
        }
        found.push((operator, rest.seconds));
        (bound, seconds) = (rest.bound, rest.seconds);
    }
    found
}

#[cfg(test)]
#[path = "estimate_tests.rs"]
mod tests;
