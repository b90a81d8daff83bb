//! `reputon plan`: what a scan would ask of whom, and how long it would take. Sends nothing.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal, Write};

use jiff::Timestamp;
use reputon::dnsxl::{Catalogue, ListIndex, OperatorIndex};
use reputon::plan::{Bound, Estimate, LearntBy, Load, Paces, Plan, Row, Ways};
use reputon::report::{to_json, visible};
use reputon::store::{Reached, Store};
use serde_json::{Value, json};

use crate::cli::args::PlanArgs;
use crate::cli::build;
use crate::cli::commands::plan_table::{LastFault, Told, write};
use crate::cli::ground::{Ground, check_pruning};
use crate::cli::keeping::database;
use crate::cli::options::TextChoice;
use crate::cli::stdout::stdout;
use crate::cli::talk::talk;

/// Why more names may be asked about than were given.
const RELATED_WHY: &str = "the stages find the domains of addresses' names and the addresses that take domains' mail, and lists \
     are asked about these too: how many there are depends on answers";

/// Shows the plan.
pub(crate) fn run(args: &PlanArgs, quiet: bool) -> anyhow::Result<u8> {
    let ground = Ground::read(&args.targets, (&args.lists, &args.savings), &args.lab, quiet)?;
    let lab = args.lab.lab || !args.lab.lab_catalogue.is_empty();
    check_pruning((&args.pace, &args.path), lab)?;
    let plan = ground.plan();
    let past = Past::read(args, &ground.catalogue);
    let mut ways = ways(args, lab)?;
    past.measure(&plan, &mut ways);
    let paces = Paces {
        // As for a scan: the lab is on this machine, and nobody's guest.
        rate_qps: (args.pace.rate > 0 && !lab).then_some(f64::from(args.pace.rate)),
        ignore_budgets: args.pace.ignore_budgets || lab,
        skip_health: args.pace.skip_health,
        prune: args.pace.prune,
        retries: args.ask.retries,
        spent: past.spent,
        ways,
        stages: build::stages(&args.stages),
        stage_options: build::stage_options(&args.stages),
    };
    let faults = faults(&past.reached, &plan, &paces.ways);
    let estimate = plan.estimate(&paces, &mut rand::rng());
    let default = match io::stdout().is_terminal() {
        true => TextChoice::Table,
        false => TextChoice::Json,
    };
    let mut out = stdout();
    let targets = plan.targets.len();
    match args.format.format.unwrap_or(default) {
        TextChoice::Json => {
            let json = json(&ground.catalogue, targets, (&estimate, &paces), &faults);
            writeln!(out, "{}", to_json(&json))?;
        }
        TextChoice::Table => {
            let told = Told {
                catalogue: &ground.catalogue,
                targets,
                lists: &args.lists.lists,
                max_time: args.pace.max_time,
                estimate: &estimate,
                paces: &paces,
                faults: &faults,
            };
            write(&mut out, &told)?;
        }
    }
    Ok(0)
}

/// Where the questions of a scan would go. A plan can be made where there is no resolver yet: it is taken to be one.
fn ways(args: &PlanArgs, lab: bool) -> anyhow::Result<Ways> {
    let resolvers = match lab {
        true => vec![([127, 0, 0, 1], 53).into()],
        false if args.path.resolver.is_empty() => build::resolvers(&args.path).unwrap_or_default(),
        false => build::resolvers(&args.path)?,
    };
    Ok(Ways {
        resolvers,
        routes: build::routes(&args.path, lab)?,
        direct: args.path.direct && !lab,
        lab,
        window_max: args.pace.window.map(u32::from),
        measured: BTreeMap::new(),
    })
}

/// What the run database has of earlier runs; nothing where there is none yet. One that cannot be read is said.
struct Past {
    /// What operators have been asked today.
    spent: BTreeMap<OperatorIndex, u64>,
    reached: Vec<Reached>,
}

impl Past {
    fn read(args: &PlanArgs, catalogue: &Catalogue) -> Past {
        let found = database(&args.db).map(|path| path.filter(|path| path.exists()));
        let now = Timestamp::now();
        let read = match found {
            Ok(Some(path)) => {
                Store::open_to_read(&path).and_then(|store| Ok((store.asked_lately(now)?, store.reached(now)?)))
            }
            _ => Ok(Default::default()),
        };
        let (by_id, reached) = read.unwrap_or_else(|error| {
            talk!(
                "reputon: {}; budgets are taken to be whole, and nothing is known of earlier runs",
                visible(&error.to_string())
            );
            Default::default()
        });
        let operators = catalogue.indexed().map(|(_, list)| list.operator);
        let spent = operators.filter_map(|operator| Some((operator, *by_id.get(&catalogue.operator(operator).id)?)));
        Past {
            spent: spent.collect(),
            reached,
        }
    }

    /// Puts in the round trips that were measured by the same ways.
    fn measure(&self, plan: &Plan<'_>, ways: &mut Ways) {
        let measured = remembered(&self.reached, plan, ways).filter_map(|(list, reached)| Some((list, reached.rtt?)));
        ways.measured = measured.collect();
    }
}

/// What is remembered of the lists of a plan by the ways that it has to them.
fn remembered<'r>(
    reached: &'r [Reached],
    plan: &'r Plan<'_>,
    ways: &'r Ways,
) -> impl Iterator<Item = (ListIndex, &'r Reached)> {
    plan.columns.iter().filter_map(move |column| {
        let id = &plan.catalogue.list(column.list).id;
        let way = ways.name(column.questions.as_ref().ok()?.zone())?;
        let found = reached.iter().find(|one| one.list == *id && one.way == way);
        Some((column.list, found?))
    })
}

/// The lists that did not work when they were asked last: which, what was wrong, and when.
fn faults(reached: &[Reached], plan: &Plan<'_>, ways: &Ways) -> Vec<LastFault> {
    let faults = remembered(reached, plan, ways).filter_map(|(list, one)| {
        Some(LastFault {
            list,
            fault: one.fault.clone()?,
            at: Timestamp::from_second(one.at).ok()?,
        })
    });
    faults.collect()
}

fn json(catalogue: &Catalogue, targets: u64, (estimate, paces): (&Estimate, &Paces), faults: &[LastFault]) -> Value {
    let lists: Vec<Value> = estimate.rows.iter().map(|row| json_row(catalogue, row)).collect();
    let operators: Vec<Value> = estimate.loads.iter().map(|load| json_load(catalogue, load)).collect();
    let (by, operator) = match estimate.bound {
        Bound::Operator(operator) => ("operator", Some(&catalogue.operator(operator).id)),
        Bound::Rate => ("rate", None),
        Bound::Servers => ("servers", None),
        Bound::Nothing => ("nothing", None),
    };
    let without = estimate.without.iter();
    let without = without.map(|(operator, seconds)| {
        let id = &catalogue.operator(*operator).id;
        json!({ "operator": id, "seconds": tenths(*seconds) })
    });
    let related = estimate.related;
    json!({
        "targets": targets,
        "special_use": estimate.special_use,
        "queries": estimate.queries(),
        "queries_least": estimate.queries_least(),
        "queries_most": estimate.queries_most(),
        "queries_today": estimate.today(),
        "checks": estimate.checks,
        "lookups": estimate.lookups.usual,
        "lookups_most": estimate.lookups.most,
        "related": {
            "names_most": related.names_most,
            "lists": related.lists,
            "queries_most": related.queries_most,
            "why": RELATED_WHY,
        },
        "pairs_without_saving": estimate.unsaved,
        "rate": paces.rate_qps,
        "seconds": tenths(estimate.seconds),
        "seconds_least": estimate.seconds_least.map(tenths),
        "seconds_far": tenths(estimate.seconds_far),
        "bound": { "by": by, "operator": operator },
        "without": without.collect::<Vec<Value>>(),
        "days": estimate.days,
        "operators": operators,
        "lists": lists,
        "last_faults": faults.iter().map(|one| json!({
            "id": catalogue.list(one.list).id,
            "fault": one.fault,
            "at": one.at.to_string(),
        })).collect::<Vec<Value>>(),
    })
}

fn json_row(catalogue: &Catalogue, row: &Row) -> Value {
    let list = catalogue.list(row.list);
    json!({
        "id": list.id,
        "operator": catalogue.operator(list.operator).id,
        "kind": row.kind.as_str(),
        "how": how(row),
        "from": match row.way { LearntBy::Folded(composite) => Some(&catalogue.list(composite).id), _ => None },
        "reason": match row.way { LearntBy::NotAsked(reason) => Some(reason.as_str()), _ => None },
        "targets": row.pairs,
        "shared": row.shared,
        "queries": row.queries,
        "rtt_ms": row.trip.map(|trip| tenths(trip.takes.as_secs_f64() * 1_000.0)),
        "rtt_measured": row.trip.map(|trip| trip.is_measured),
    })
}

fn json_load(catalogue: &Catalogue, load: &Load) -> Value {
    let operator = catalogue.operator(load.operator);
    json!({
        "id": operator.id,
        "name": operator.name,
        "probes": load.probes,
        "controls": load.controls,
        "pairs": load.pairs,
        "texts": load.texts,
        "texts_most": load.texts_most,
        "queries": load.queries(),
        "today": load.today,
        "qps": load.rate_qps,
        "seconds": load.seconds().map(tenths),
        "per_day": load.per_day,
        "spent": load.spent,
        "days": load.days(),
    })
}

/// How a list learns, in a word.
pub(super) fn how(row: &Row) -> &'static str {
    match row.way {
        LearntBy::Asked if row.shared > 0 => "shared",
        LearntBy::Asked => "asked",
        LearntBy::Folded(_) => "folded",
        LearntBy::Local => "local",
        LearntBy::NotAsked(_) => "not_asked",
    }
}

fn tenths(seconds: f64) -> f64 {
    (seconds * 10.0).round() / 10.0
}
