//! `reputon plan`: what a scan would ask of whom, and how long it would take. Sends nothing.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal, Write};

use comfy_table::{CellAlignment, Table, presets};
use jiff::Timestamp;
use reputon::dnsxl::Catalogue;
use reputon::plan::{Bound, Estimate, Load, Paces, Row, Way};
use reputon::report::{to_json, visible};
use reputon::stages::{Stage, Stages};
use reputon::store::Store;
use reputon::targets::{Kind, TargetSet};
use serde_json::{Value, json};

use crate::cli::args::PlanArgs;
use crate::cli::build;
use crate::cli::ground::Ground;
use crate::cli::keeping::database;
use crate::cli::options::TextChoice;

/// Shows the plan.
pub(crate) fn run(args: &PlanArgs, quiet: bool) -> anyhow::Result<u8> {
    let ground = Ground::read(&args.targets, (&args.lists, &args.savings), &args.lab, quiet)?;
    let lab = args.lab.lab || !args.lab.lab_catalogue.is_empty();
    let paces = Paces {
        // As for a scan: the lab is on this machine, and nobody's guest.
        rate_qps: (args.pace.rate > 0 && !lab).then_some(f64::from(args.pace.rate)),
        ignore_budgets: args.pace.ignore_budgets || lab,
        skip_health: args.pace.skip_health,
        lookups: lookups(build::stages(&args.stages), &ground.targets),
    };
    let plan = ground.plan();
    let mut estimate = plan.estimate(paces, &mut rand::rng());
    if !paces.ignore_budgets {
        let spent = spent(args);
        estimate.remember(|operator| spent.get(&ground.catalogue.operator(operator).id).copied().unwrap_or(0));
    }
    if !args.pace.prune {
        estimate.prunable = 0;
    }
    let default = match io::stdout().is_terminal() {
        true => TextChoice::Table,
        false => TextChoice::Json,
    };
    let mut out = io::stdout().lock();
    match args.format.format.unwrap_or(default) {
        TextChoice::Json => writeln!(
            out,
            "{}",
            to_json(&json(&ground.catalogue, plan.targets.len(), &estimate, paces))
        )?,
        TextChoice::Table => table(&mut out, (&ground.catalogue, plan.targets.len()), &estimate, paces)?,
    }
    Ok(0)
}

/// What operators have been asked today, by the run database; nothing where there is none yet. One that cannot be read is said.
fn spent(args: &PlanArgs) -> BTreeMap<String, u64> {
    let found = database(&args.db).map(|path| path.filter(|path| path.exists()));
    let path = match found {
        Ok(Some(path)) => path,
        _ => return BTreeMap::new(),
    };
    let read = Store::open_to_read(&path).and_then(|store| store.asked_lately(Timestamp::now()));
    read.unwrap_or_else(|error| {
        eprintln!(
            "reputon: {}; budgets are taken to be whole",
            visible(&error.to_string())
        );
        BTreeMap::new()
    })
}

/// What the stages are expected to ask: an address for its name and that for the address, a domain a few questions a stage.
/// What is asked once for a network is not counted.
fn lookups(stages: Stages, targets: &TargetSet) -> u64 {
    let addresses = targets.count(Kind::Ip4) + targets.count(Kind::Ip6);
    let rdns = if stages.has(Stage::Rdns) { 2 * addresses } else { 0 };
    let of_domains = [
        (Stage::Mx, 3),
        (Stage::Spf, 5),
        (Stage::Dkim, 36), // usual selectors
        (Stage::Dmarc, 2),
        (Stage::MtaSts, 1),
        (Stage::TlsRpt, 1),
        (Stage::Bimi, 1),
    ];
    let chosen = of_domains.iter().filter(|(stage, _)| stages.has(*stage));
    rdns + targets.count(Kind::Domain) * chosen.map(|(_, questions)| questions).sum::<u64>()
}

fn json(catalogue: &Catalogue, targets: u64, estimate: &Estimate, paces: Paces) -> Value {
    let lists: Vec<Value> = estimate.rows.iter().map(|row| json_row(catalogue, row)).collect();
    let operators: Vec<Value> = estimate.loads.iter().map(|load| json_load(catalogue, load)).collect();
    let (by, operator) = match estimate.bound {
        Bound::Operator(operator) => ("operator", Some(&catalogue.operator(operator).id)),
        Bound::Rate => ("rate", None),
        Bound::Servers => ("servers", None),
        Bound::Nothing => ("nothing", None),
    };
    json!({
        "targets": targets,
        "special_use": estimate.special_use,
        "queries": estimate.queries(),
        "queries_least": estimate.queries() - estimate.prunable,
        "lookups": paces.lookups,
        "pairs_without_saving": estimate.unsaved,
        "rate": paces.rate_qps,
        "seconds": (estimate.seconds * 10.0).round() / 10.0,
        "bound": { "by": by, "operator": operator },
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
        "from": match row.way { Way::Folded(composite) => Some(&catalogue.list(composite).id), _ => None },
        "reason": match row.way { Way::NotAsked(reason) => Some(reason.as_str()), _ => None },
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
        "queries": load.queries(),
        "qps": load.rate_qps,
        "seconds": load.seconds().map(|seconds| (seconds * 10.0).round() / 10.0),
        "per_day": load.per_day,
        "spent": load.spent,
        "days": load.days(),
    })
}

fn how(row: &Row) -> &'static str {
    match row.way {
        Way::Asked if row.shared > 0 => "shared",
        Way::Asked => "asked",
        Way::Folded(_) => "folded",
        Way::Local => "local",
        Way::NotAsked(_) => "not_asked",
    }
}

fn table(
    out: &mut impl Write,
    (catalogue, targets): (&Catalogue, u64),
    estimate: &Estimate,
    paces: Paces,
) -> io::Result<()> {
    let mut lists = plain(["list", "kind", "how", "targets", "queries"]);
    for row in &estimate.rows {
        let how = match row.way {
            Way::Folded(composite) => format!("folded into {}", catalogue.list(composite).id),
            Way::NotAsked(reason) => format!("not asked: {reason}"),
            Way::Asked if row.shared > 0 => format!("asked, {} shared", row.shared),
            _ => how(row).to_owned(),
        };
        lists.add_row([
            visible(&catalogue.list(row.list).id).into_owned(),
            row.kind.as_str().to_owned(),
            how,
            row.pairs.to_string(),
            row.queries.to_string(),
        ]);
    }
    align(&mut lists, 3);
    writeln!(out, "{lists}\n")?;
    let mut operators = plain([
        "operator", "probes", "controls", "pairs", "texts", "queries", "a second", "takes", "a day", "days",
    ]);
    for load in &estimate.loads {
        let or_dash = |value: Option<String>| value.unwrap_or_else(|| "-".into());
        operators.add_row([
            visible(&catalogue.operator(load.operator).name).into_owned(),
            load.probes.to_string(),
            load.controls.to_string(),
            load.pairs.to_string(),
            load.texts.to_string(),
            load.queries().to_string(),
            or_dash(load.rate_qps.map(|rate| rate.to_string())),
            or_dash(load.seconds().map(duration)),
            or_dash(load.per_day.map(|limit| limit.to_string())),
            load.days().to_string(),
        ]);
    }
    align(&mut operators, 1);
    writeln!(out, "{operators}\n")?;
    let queries = estimate.queries();
    writeln!(
        out,
        "{targets} targets, {} of them special use; {queries} queries, where asking everything would take {} about targets \
         alone; some {} questions of the stages",
        estimate.special_use, estimate.unsaved, paces.lookups,
    )?;
    if estimate.prunable > 0 {
        writeln!(
            out,
            "pruning: {} queries at best, {queries} at worst",
            queries - estimate.prunable
        )?;
    }
    let rate = paces
        .rate_qps
        .map_or("no limit".to_owned(), |rate| format!("{rate} a second"));
    let why = match estimate.bound {
        Bound::Operator(operator) => format!("bound by the rate of {}", visible(&catalogue.operator(operator).name)),
        Bound::Rate => "bound by --rate".to_owned(),
        Bound::Servers => "bound by how fast servers answer: a guess".to_owned(),
        Bound::Nothing => "nothing is asked".to_owned(),
    };
    writeln!(
        out,
        "some {} ({why}; over all lists {rate})",
        duration(estimate.seconds)
    )?;
    for load in estimate.loads.iter().filter(|load| load.days() > 1) {
        writeln!(
            out,
            "{}: {} queries at {} a day, of which {} are used up today, are {} days: what is over the budget stays unknown until then",
            visible(&catalogue.operator(load.operator).name),
            load.queries(),
            load.per_day.unwrap_or_default(),
            load.spent,
            load.days(),
        )?;
    }
    Ok(())
}

fn plain<const N: usize>(header: [&str; N]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(header);
    table
}

/// Numbers stand at the right from this column on.
fn align(table: &mut Table, from: usize) {
    for column in table.column_iter_mut().skip(from) {
        column.set_cell_alignment(CellAlignment::Right);
    }
}

/// Seconds as people say them.
fn duration(seconds: f64) -> String {
    let whole = seconds.round() as u64;
    match whole {
        0..=9 => format!("{seconds:.1} s"),
        10..=119 => format!("{whole} s"),
        120..=7_199 => format!("{} min {} s", whole / 60, whole % 60),
        7_200..=172_799 => format!("{} h {} min", whole / 3_600, whole % 3_600 / 60),
        _ => format!("{} d {} h", whole / 86_400, whole % 86_400 / 3_600),
    }
}
