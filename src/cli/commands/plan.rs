//! `reputon plan`: what a scan would ask of whom, and how long it would take. Sends nothing.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal, Write};

use jiff::Timestamp;
use reputon::dnsxl::{Catalogue, OperatorIndex};
use reputon::plan::{Bound, Estimate, LearntBy, Load, Paces, Row, Ways};
use reputon::report::{to_json, visible};
use reputon::store::Store;
use serde_json::{Value, json};

use crate::cli::args::PlanArgs;
use crate::cli::build;
use crate::cli::commands::plan_table::{Told, write};
use crate::cli::ground::{Ground, check_pruning};
use crate::cli::keeping::database;
use crate::cli::options::TextChoice;
use crate::cli::stdout::stdout;

/// Why more names may be asked about than were given.
const RELATED_WHY: &str = "the stages find the domains of addresses' names and the addresses that take domains' mail, and lists \
     are asked about these too: how many there are depends on answers";

/// Shows the plan.
pub(crate) fn run(args: &PlanArgs, quiet: bool) -> anyhow::Result<u8> {
    let ground = Ground::read(&args.targets, (&args.lists, &args.savings), &args.lab, quiet)?;
    let lab = args.lab.lab || !args.lab.lab_catalogue.is_empty();
    check_pruning((&args.pace, &args.path), lab)?;
    let paces = Paces {
        // As for a scan: the lab is on this machine, and nobody's guest.
        rate_qps: (args.pace.rate > 0 && !lab).then_some(f64::from(args.pace.rate)),
        ignore_budgets: args.pace.ignore_budgets || lab,
        skip_health: args.pace.skip_health,
        prune: args.pace.prune,
        retries: args.ask.retries,
        ways: ways(args, lab),
        spent: spent(args, &ground.catalogue),
        stages: build::stages(&args.stages),
        stage_options: build::stage_options(&args.stages),
    };
    let plan = ground.plan();
    let estimate = plan.estimate(&paces, &mut rand::rng());
    let default = match io::stdout().is_terminal() {
        true => TextChoice::Table,
        false => TextChoice::Json,
    };
    let mut out = stdout();
    let targets = plan.targets.len();
    match args.format.format.unwrap_or(default) {
        TextChoice::Json => {
            let json = json(&ground.catalogue, targets, &estimate, &paces);
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
            };
            write(&mut out, &told)?;
        }
    }
    Ok(0)
}

/// Where the questions of a scan would go. A plan can be made where there is no resolver yet: it is taken to be one.
fn ways(args: &PlanArgs, lab: bool) -> Ways {
    let resolvers = match lab {
        true => vec![([127, 0, 0, 1], 53).into()],
        false => build::resolvers(&args.path).unwrap_or_default(),
    };
    Ways {
        resolvers,
        routes: build::routes(&args.path, lab),
        direct: args.path.direct && !lab,
        lab,
        window_max: args.pace.window.map(u32::from),
        measured: BTreeMap::new(),
    }
}

/// What operators have been asked today, by the run database; nothing where there is none yet. One that cannot be read is said.
fn spent(args: &PlanArgs, catalogue: &Catalogue) -> BTreeMap<OperatorIndex, u64> {
    let found = database(&args.db).map(|path| path.filter(|path| path.exists()));
    let path = match found {
        Ok(Some(path)) => path,
        _ => return BTreeMap::new(),
    };
    let read = Store::open_to_read(&path).and_then(|store| store.asked_lately(Timestamp::now()));
    let by_id = read.unwrap_or_else(|error| {
        eprintln!(
            "reputon: {}; budgets are taken to be whole",
            visible(&error.to_string())
        );
        BTreeMap::new()
    });
    let lists = catalogue.indexed().map(|(_, list)| list.operator);
    let spent = lists.filter_map(|operator| Some((operator, *by_id.get(&catalogue.operator(operator).id)?)));
    spent.collect()
}

fn json(catalogue: &Catalogue, targets: u64, estimate: &Estimate, paces: &Paces) -> Value {
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
