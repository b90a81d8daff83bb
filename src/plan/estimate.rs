//! What a plan costs whom, before anything is sent: queries by list and operator, days of budget, and the time it takes.
//!
//! What cannot be known beforehand is assumed, and on the careful side: the share of listings (each has its text asked for),
//! round trips, no retries, nothing pruned (what that may save is said apart). A run that is bound by rates takes the time
//! that is said here.

use std::collections::{BTreeMap, HashSet};

use rand::Rng;

use crate::dnsxl::{ListIndex, NameForm, OperatorIndex, Reason, positive, probes};
use crate::targets::{Kind, Target, special_use};

use super::pruning::{FULL_ONE_IN, QUESTIONS, SAMPLE, WORTH};

use super::plan::{Plan, Treatment};

/// Targets that are looked at one by one, for what is special use and what shares a question. Of more, all are counted as
/// if each was asked.
const SURVEYED_MAX: u64 = 1 << 24;

/// The share of pairs that are taken to be listed: a block with a bad name has more, most have less.
const LISTED_SHARE: f64 = 0.02;

/// Answers between two controls, seconds between them, and queries of one.
const CONTROL_ANSWERS: u64 = 2_048;
const CONTROL_SECONDS: f64 = 30.0;
const CONTROL_QUERIES: u64 = 2;

/// Seconds for the resolver's check, the examination before and the last control behind, at common round trips.
const AROUND_SECONDS: f64 = 0.5;

/// Queries a second that one resolver or server bears where nobody sets a rate: a window of 512 at 50 ms.
const UNPACED_QPS: f64 = 10_240.0;

/// Servers of a list that prove themselves before pruning, as is assumed.
const SERVERS: u64 = 2;

/// What bounds the pace.
#[derive(Debug, Clone, Copy)]
pub struct Paces {
    /// Queries a second over all lists; none: no limit.
    pub rate_qps: Option<f64>,
    /// Whether operators' rates and daily limits are left aside.
    pub ignore_budgets: bool,
    /// Whether lists are believed without a health check.
    pub skip_health: bool,
    /// Questions of the stages that are expected: they draw on the rate over all lists.
    pub lookups: u64,
}

/// How one list learns of one kind of target, and what that takes.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// The list.
    pub list: ListIndex,
    /// The kind of target.
    pub kind: Kind,
    /// How.
    pub way: Way,
    /// Targets that it learns of so.
    pub pairs: u64,
    /// Of these: learnt from another address of their unit.
    pub shared: u64,
    /// Queries for them, texts not counted.
    pub queries: u64,
}

/// How a list learns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
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
    /// Queries that examine its lists.
    pub probes: u64,
    /// Queries that confirm what they said.
    pub controls: u64,
    /// Queries about targets.
    pub pairs: u64,
    /// Expected questions for the text of a listing.
    pub texts: u64,
    /// Queries a second at most, if there is a limit that holds.
    pub rate_qps: Option<f64>,
    /// Queries a day at most, if there is a limit that holds.
    pub per_day: Option<u64>,
    /// What of today's limit has been used up by earlier runs.
    pub spent: u64,
}

/// What decides how long a run takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bound {
    /// This operator's rate.
    Operator(OperatorIndex),
    /// The rate over all lists.
    Rate,
    /// How fast servers answer: nobody sets a rate.
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
    /// Seconds of a run that no daily limit cuts short.
    pub seconds: f64,
    /// What decides that.
    pub bound: Bound,
    /// Days that it takes, for the operator whose daily limit is reached first; 1 if none is.
    pub days: u64,
    /// Queries that would be asked without folding, sharing and data at hand.
    pub unsaved: u64,
    /// What pruning may save at most: no parent has anything below it, and every server proves itself.
    pub prunable: u64,
}

impl Load {
    /// All its queries.
    pub fn queries(&self) -> u64 {
        self.probes + self.controls + self.pairs + self.texts
    }

    /// Days that its daily limit makes of it, today with what is left of it.
    pub fn days(&self) -> u64 {
        self.per_day.map_or(1, |limit| {
            let today = limit.saturating_sub(self.spent);
            1 + self.queries().saturating_sub(today).div_ceil(limit.max(1))
        })
    }

    /// Seconds that its rate makes of it.
    pub fn seconds(&self) -> Option<f64> {
        self.rate_qps.map(|rate| self.queries() as f64 / rate)
    }
}

impl Estimate {
    /// All queries.
    pub fn queries(&self) -> u64 {
        self.loads.iter().map(Load::queries).sum()
    }

    /// Takes into account what operators have been asked today already.
    pub fn remember(&mut self, spent: impl Fn(OperatorIndex) -> u64) {
        for load in &mut self.loads {
            load.spent = spent(load.operator);
        }
        self.days = self.loads.iter().map(Load::days).max().unwrap_or(1);
    }
}

/// Targets, counted as questions see them.
#[derive(Debug, Default)]
struct Survey {
    special: [u64; Kind::ALL.len()],
    /// IPv4 addresses in blocks whose parents are worth a question, and those blocks.
    in_blocks: u64,
    blocks: u64,
    /// Addresses that are asked for their unit, by its prefix length: the first, where the tile before ended in another.
    firsts: BTreeMap<u8, u64>,
    /// Domains that have two names for lists that want both.
    two_names: u64,
}

impl Survey {
    fn of(plan: &Plan<'_>) -> Survey {
        let mut survey = Survey::default();
        let units: HashSet<u8> = (0..plan.columns.len())
            .filter_map(|column| plan.unit(column, Kind::Ip6))
            .collect();
        let both = plan.columns.iter().find_map(|column| {
            let wants = plan.catalogue.list(column.list).name_form == NameForm::Both;
            column.questions.as_ref().ok().filter(|_| wants)
        });
        if plan.targets.len() > SURVEYED_MAX {
            survey.firsts = units
                .iter()
                .map(|&unit| (unit, plan.targets.count(Kind::Ip6)))
                .collect();
            return survey;
        }
        let mut last: BTreeMap<u8, u128> = BTreeMap::new();
        for chunk in plan.targets.chunks() {
            let mut seen: HashSet<(u8, u128)> = last.iter().map(|(&unit, &prefix)| (unit, prefix)).collect();
            let mut blocks: BTreeMap<u32, u64> = BTreeMap::new();
            for target in chunk.iter() {
                if special_use(&target).is_some() {
                    survey.special[target.kind() as usize] += 1;
                    continue;
                }
                match (&target, both) {
                    (Target::Ip4(address), _) => *blocks.entry(address.to_bits() >> 8).or_insert(0) += 1,
                    (Target::Ip6(address), _) => {
                        for &unit in &units {
                            let prefix = address.to_bits().checked_shr(128 - u32::from(unit)).unwrap_or(0);
                            *survey.firsts.entry(unit).or_insert(0) += u64::from(seen.insert((unit, prefix)));
                            last.insert(unit, prefix);
                        }
                    }
                    (Target::Domain(_), Some(questions)) => {
                        let names = questions.names(&target);
                        survey.two_names += u64::from(names.is_ok_and(|names| names.count() == 2));
                    }
                    _ => {}
                }
            }
            for count in blocks.into_values().filter(|&count| count >= WORTH as u64) {
                survey.in_blocks += count;
                survey.blocks += 1;
            }
        }
        survey
    }

    /// Queries about IPv4 addresses that one list need not be asked, at best.
    fn prunable(&self) -> u64 {
        if self.blocks == 0 {
            return 0;
        }
        let whole = self.in_blocks / self.blocks;
        let full = whole * (1 + self.blocks / u64::from(FULL_ONE_IN));
        let sampled = self.blocks * (1 + SAMPLE as u64);
        self.in_blocks
            .saturating_sub(full + sampled + SERVERS * QUESTIONS as u64)
    }
}

impl Plan<'_> {
    /// What the plan costs at these paces. `rng` draws the names of probes, which are only counted.
    pub fn estimate(&self, paces: Paces, rng: &mut dyn Rng) -> Estimate {
        let survey = Survey::of(self);
        let mut rows = Vec::new();
        let mut loads: BTreeMap<OperatorIndex, Load> = BTreeMap::new();
        let (mut unsaved, mut prunable) = (0, 0);
        for column in 0..self.columns.len() {
            for kind in self.kinds() {
                let row = self.row(column, kind, &survey);
                let facts = self.catalogue.list(row.list);
                let twice = u64::from(kind == Kind::Domain && facts.name_form == NameForm::Both);
                if !matches!(row.way, Way::NotAsked(_)) {
                    unsaved += row.pairs + twice * survey.two_names;
                }
                if row.way == Way::Asked && kind == Kind::Ip4 && positive(facts, kind).is_some() {
                    prunable += survey.prunable();
                }
                if row.way == Way::Asked && row.queries > 0 {
                    let terms = &self.catalogue.operator(facts.operator).terms;
                    let load = loads.entry(facts.operator).or_insert(Load {
                        operator: facts.operator,
                        probes: 0,
                        controls: 0,
                        pairs: 0,
                        texts: 0,
                        rate_qps: terms.max_qps.filter(|_| !paces.ignore_budgets),
                        per_day: terms.max_queries_per_day.filter(|_| !paces.ignore_budgets),
                        spent: 0,
                    });
                    load.pairs += row.queries;
                    if facts.txt {
                        load.texts += (row.queries as f64 * LISTED_SHARE).ceil() as u64;
                    }
                    if !paces.skip_health {
                        load.probes += probes(facts, kind, rng).len() as u64;
                        load.controls += CONTROL_QUERIES * (1 + row.queries / CONTROL_ANSWERS);
                    }
                }
                rows.push(row);
            }
        }
        let mut loads: Vec<Load> = loads.into_values().collect();
        let (mut seconds, bound) = bound(&loads, paces);
        if !paces.skip_health {
            // Lists that are asked slowly are controlled by time.
            for load in &mut loads {
                let lanes = rows.iter().filter(|row| {
                    row.way == Way::Asked && row.queries > 0 && self.catalogue.list(row.list).operator == load.operator
                });
                let by_time = lanes.count() as u64 * CONTROL_QUERIES * (seconds / CONTROL_SECONDS) as u64;
                load.controls = load.controls.max(by_time);
            }
            seconds = self::bound(&loads, paces).0;
        }
        let asks = !loads.is_empty() || paces.lookups > 0;
        Estimate {
            special_use: survey.special.iter().sum(),
            seconds: seconds + if asks { AROUND_SECONDS } else { 0.0 },
            bound,
            days: loads.iter().map(Load::days).max().unwrap_or(1),
            rows,
            loads,
            unsaved,
            prunable,
        }
    }

    fn row(&self, column: usize, kind: Kind, survey: &Survey) -> Row {
        let list = self.columns[column].list;
        let targets = self.targets.count(kind) - survey.special[kind as usize];
        let twice = kind == Kind::Domain && self.catalogue.list(list).name_form == NameForm::Both;
        let (way, shared, queries) = match self.treatment(column, kind) {
            Treatment::NotAsked(reason) => (Way::NotAsked(reason), 0, 0),
            Treatment::Local => (Way::Local, 0, 0),
            Treatment::Fold(composite) => (Way::Folded(self.columns[composite].list), 0, 0),
            Treatment::Ask => {
                let firsts = self.unit(column, kind).and_then(|unit| survey.firsts.get(&unit));
                let shared = firsts.map_or(0, |firsts| targets - firsts);
                let names = if twice { survey.two_names } else { 0 };
                (Way::Asked, shared, targets - shared + names)
            }
        };
        Row {
            list,
            kind,
            way,
            pairs: targets,
            shared,
            queries,
        }
    }
}

/// The seconds that rates make of the loads, and whose rate decides.
fn bound(loads: &[Load], paces: Paces) -> (f64, Bound) {
    let all = loads.iter().map(Load::queries).sum::<u64>() + paces.lookups;
    let together = match paces.rate_qps {
        Some(rate) => (all as f64 / rate, Bound::Rate),
        None => (all as f64 / UNPACED_QPS, Bound::Servers),
    };
    let operators = loads
        .iter()
        .filter_map(|load| Some((load.seconds()?, Bound::Operator(load.operator))));
    if all == 0 {
        return (0.0, Bound::Nothing);
    }
    operators.fold(together, |slowest, one| if one.0 > slowest.0 { one } else { slowest })
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::super::plan::Keys;
    use super::*;
    use crate::dnsxl::Catalogue;
    use crate::targets::{ReadOptions, TargetSet};

    const FILE: &str = "[operator]\nid = \"op\"\nname = \"Op\"\n[operator.terms]\nuse = \"free\"\nmax_qps = 10\nmax_queries_per_day = 200\n\
        [[list]]\nid = \"whole\"\nzone = \"all.example\"\nkinds = [\"ip4\", \"ip6\"]\nrole = \"block\"\ntier = \"A\"\ntxt = false\ncovers = [\"part\"]\n\
        ip6_unit = 64\n[list.codes]\n\"127.0.0.2\" = { means = \"x\", sublist = \"part\" }\n\
        [[list]]\nid = \"part\"\nzone = \"part.example\"\nkinds = [\"ip4\", \"ip6\"]\nrole = \"block\"\ntier = \"A\"\ntxt = false\nip6_unit = 64\n\
        [list.codes]\n\"127.0.0.2\" = { means = \"x\" }\n\
        [[list]]\nid = \"names\"\nzone = \"names.example\"\nkinds = [\"domain\"]\nrole = \"block\"\ntier = \"A\"\ntxt = false\nname_form = \"both\"\n\
        [list.codes]\n\"127.0.0.2\" = { means = \"x\" }\n";

    fn estimate(targets: &[&str], folds: bool) -> Estimate {
        let catalogue = Catalogue::parse(&[("test.toml", FILE)]).expect("a good file");
        let typed: Vec<String> = targets.iter().map(|&target| target.to_owned()).collect();
        let targets = TargetSet::read(&typed, &mut std::io::empty(), ReadOptions::default()).expect("good targets");
        let lists = catalogue.select(&["all".to_owned()]).expect("there are lists");
        let plan = Plan::new(&catalogue, &targets, &lists, &Keys::new());
        let plan = if folds { plan } else { plan.without_folding() };
        let paces = Paces {
            rate_qps: Some(1_000.0),
            ignore_budgets: false,
            skip_health: true,
            lookups: 0,
        };
        plan.estimate(paces, &mut StdRng::seed_from_u64(1))
    }

    #[test]
    fn what_is_folded_shared_or_special_is_not_asked() {
        let found = estimate(&["192.0.2.0/25", "10.0.0.0/24", "2001:db8::/120"], true);
        assert_eq!(found.special_use, 256);
        assert_eq!(found.queries(), 128 + 1);
        assert_eq!(found.unsaved, 2 * (128 + 256));
        let ways: Vec<Way> = found.rows.iter().map(|row| row.way).collect();
        let part = Way::Folded(ListIndex(0));
        let none = Way::NotAsked(Reason::Unsupported);
        assert_eq!(ways, [Way::Asked, Way::Asked, part, part, none, none]);
        assert_eq!(estimate(&["192.0.2.0/25"], false).queries(), 256);
    }

    #[test]
    fn the_slowest_rate_and_the_smallest_budget_decide() {
        let found = estimate(&["192.0.2.0/24", "198.51.100.0/24"], true);
        assert_eq!(found.bound, Bound::Operator(OperatorIndex(0)));
        assert!(
            (51.0..52.0).contains(&found.seconds),
            "512 queries, 10 a second: {}",
            found.seconds
        );
        assert_eq!(found.days, 3);
        let names = estimate(&["mail.example.org", "example.net"], true);
        assert_eq!(names.queries(), 3, "one of them has two names");
    }
}
