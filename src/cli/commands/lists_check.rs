//! `reputon lists check`: whether lists work from here, now.

use std::io::{self, IsTerminal, Write};

use anyhow::Context;
use comfy_table::{ContentArrangement, Table, presets};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use reputon::clock::Span;
use reputon::dnsxl::{Catalogue, Cause, Reason};
use reputon::plan::Plan;
use reputon::report::{csv_cell, to_json, visible};
use reputon::scan::{Entry, ExamineReport, ExamineStep, Examined, Finding, RealNetwork, Scan, ScanOptions};
use reputon::targets::{ReadOptions, TargetSet};
use serde_json::{Value, json};

use crate::cli::args::ListsCheckArgs;
use crate::cli::ground::start_lab;
use crate::cli::keeping::ledger;
use crate::cli::options::ListsChoice;
use crate::cli::stdout::stdout;
use crate::cli::talk::talk;
use crate::cli::{build, signals};

/// The exit status where a list does not work, or none could be asked.
const INCOMPLETE: u8 = 3;

/// Lists still waited for that the progress line names.
const WAITING_SHOWN: usize = 3;

/// Examines the selected lists and says which work.
pub(crate) fn run(args: &ListsCheckArgs, quiet: bool) -> anyhow::Result<u8> {
    let catalogue = match args.lab.lab {
        true => build::lab_catalogue()?,
        false => build::catalogue(&args.catalogue, quiet)?,
    };
    let rehearsed = !args.lab.lab_catalogue.is_empty();
    let selectors = if rehearsed {
        &args.lab.lab_catalogue
    } else {
        &args.lists
    };
    let selected = catalogue.select(selectors)?;
    let mut keys = build::keys(&args.keys, &catalogue)?;
    if rehearsed {
        build::add_rehearsal_keys(&mut keys, &catalogue);
    }
    let nobody = TargetSet::read(&[], &mut io::empty(), ReadOptions::default())?;
    let plan = Plan::new(&catalogue, &nobody, &selected, &keys);
    let lab = start_lab(&args.lab, &plan)?;
    let options = ScanOptions {
        resolvers: match &lab {
            Some(lab) => vec![lab.addr()],
            None => build::resolvers(&args.path)?,
        },
        routes: build::routes(&args.path, lab.is_some())?,
        direct: args.path.direct && lab.is_none(),
        // The lab is on this machine, and nobody's guest.
        rate_qps: (args.rate > 0 && lab.is_none()).then_some(f64::from(args.rate)),
        timeout: args.ask.timeout.into(),
        retries: args.ask.retries,
        ignore_budgets: lab.is_some(),
        ..ScanOptions::default()
    };
    let scan = Scan {
        plan: &plan,
        options: &options,
    };
    let stop = signals::watch()?;
    let bar = bar(quiet);
    let mut network = RealNetwork::new(Span::from(args.ask.timeout).times(2));
    let mut ledger = ledger(&args.db, &args.lab, quiet);
    let report = scan.examine(
        &mut network,
        rand::random(),
        &mut |step| show(&bar, &catalogue, step),
        (&stop, &mut *ledger),
    );
    bar.finish_and_clear();
    let report = report?;
    write(args, &catalogue, &report).context("standard output")?;
    if !quiet {
        talk(&report);
    }
    Ok(report
        .stopped
        .and_then(signals::status)
        .unwrap_or_else(|| status(&report)))
}

fn status(report: &ExamineReport) -> u8 {
    let asked = report.lists.iter().filter(|list| is_asked(list));
    let all_work = asked.clone().all(|list| list.finding == Finding::Healthy);
    match all_work && asked.count() > 0 {
        true => 0,
        false => INCOMPLETE,
    }
}

fn is_asked(list: &Examined) -> bool {
    !matches!(list.finding, Finding::NotAsked(_))
}

fn bar(quiet: bool) -> ProgressBar {
    if quiet || !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{bar:20} {pos}/{len} examined, {wide_msg}").expect("a fixed template");
    ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr()).with_style(style)
}

fn show(bar: &ProgressBar, catalogue: &Catalogue, step: ExamineStep<'_>) {
    bar.set_length(step.all as u64);
    bar.set_position(step.done as u64);
    let shown = step.waiting.iter().take(WAITING_SHOWN);
    let named: Vec<&str> = shown.map(|&list| catalogue.list(list).id.as_str()).collect();
    let more = match step.waiting.len().saturating_sub(WAITING_SHOWN) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    bar.set_message(format!(
        "{} do not work; waiting for {}{more}",
        step.failed,
        named.join(", ")
    ));
}

/// The fields of a line, in order.
const COLUMNS: [&str; 11] = [
    "id", "zone", "operator", "kind", "role", "tier", "health", "cause", "rtt_ms", "codes", "why",
];

/// Those of the table: a terminal is narrow.
const TABLE_COLUMNS: [&str; 7] = ["id", "kind", "health", "cause", "rtt_ms", "codes", "why"];

fn write(args: &ListsCheckArgs, catalogue: &Catalogue, report: &ExamineReport) -> anyhow::Result<()> {
    let default = match io::stdout().is_terminal() {
        true => ListsChoice::Table,
        false => ListsChoice::Json,
    };
    let rows = report.lists.iter().map(|list| row(catalogue, list));
    let mut out = stdout();
    match args.format.format.unwrap_or(default) {
        ListsChoice::Json => writeln!(out, "{}", to_json(&Value::Array(rows.collect())))?,
        ListsChoice::Csv => {
            let mut csv = csv::Writer::from_writer(out);
            csv.write_record(COLUMNS)?;
            for row in rows {
                csv.write_record(COLUMNS.map(|column| csv_cell(&cell(&row[column])).into_owned()))?;
            }
            csv.flush()?;
        }
        ListsChoice::Table => {
            let mut table = Table::new();
            table.load_style(presets::NOTHING);
            table.set_content_arrangement(ContentArrangement::Dynamic);
            table.set_header(TABLE_COLUMNS);
            for row in rows {
                table.add_row(TABLE_COLUMNS.map(|column| cell(&row[column])));
            }
            writeln!(out, "{table}")?;
        }
    }
    Ok(())
}

/// A list for one kind of target. `codes` tells what became of the test entries of its single codes.
fn row(catalogue: &Catalogue, examined: &Examined) -> Value {
    let list = catalogue.list(examined.list);
    let operator = catalogue.operator_of(examined.list);
    let (health, cause, why) = match &examined.finding {
        Finding::Healthy => ("healthy", None, None),
        // Nothing is learnt of the list itself.
        Finding::Unusable(cause @ (Cause::ResolverBroken | Cause::Cancelled | Cause::OverBudget), _) => {
            ("unchecked", Some(cause.as_str()), None)
        }
        Finding::Unusable(cause, fault) => (
            "unhealthy",
            Some(fault.as_ref().map_or(cause.as_str(), |fault| fault.state.as_str())),
            fault.as_ref().map(|fault| visible(&fault.why).into_owned()),
        ),
        Finding::NotAsked(reason) => ("not_asked", Some(reason.as_str()), mend(*reason, &operator.id)),
    };
    let codes: serde_json::Map<String, Value> = examined
        .entries
        .iter()
        .map(|(code, entry)| (code.to_string(), word(*entry).into()))
        .collect();
    json!({
        "id": list.id,
        "zone": list.zone,
        "operator": operator.name,
        "kind": examined.kind.as_str(),
        "role": list.role.as_str(),
        "tier": list.tier.as_str(),
        "health": health,
        "cause": cause,
        "why": why,
        "rtt_ms": examined.rtt.map(|rtt| (rtt.as_secs_f64() * 1e5).round() / 100.0),
        "asked": examined.asked,
        "codes": codes,
    })
}

/// What would let a list be asked.
fn mend(reason: Reason, operator: &str) -> Option<String> {
    match reason {
        Reason::NoKey => Some(format!("needs a key: --key {operator}=KEY")),
        Reason::Unsupported => Some("has TXT records alone, and no listings".to_owned()),
        _ => None,
    }
}

fn word(entry: Entry) -> &'static str {
    match entry {
        Entry::Present => "present",
        Entry::Other => "other",
        Entry::Absent => "absent",
        Entry::Unknown => "unknown",
    }
}

/// A value in a cell; of the codes, how many there are, and those that are not.
fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => visible(text).into_owned(),
        Value::Object(codes) if codes.is_empty() => String::new(),
        Value::Object(codes) => {
            let present = codes.values().filter(|word| *word == "present").count();
            let others = codes.iter().filter(|(_, word)| *word != "present");
            let others: Vec<String> = others
                .map(|(code, word)| format!("{code} {}", word.as_str().unwrap_or("")))
                .collect();
            match others.is_empty() {
                true => format!("{present} of {}", codes.len()),
                false => format!("{present} of {}; {}", codes.len(), others.join(", ")),
            }
        }
        other => other.to_string(),
    }
}

/// What is worth a sentence, on standard error.
fn talk(report: &ExamineReport) {
    for fault in &report.resolver_faults {
        talk!("reputon: {}", visible(fault));
    }
    let count = |keep: &dyn Fn(&Examined) -> bool| report.lists.iter().filter(|list| keep(list)).count();
    let asked = count(&is_asked);
    let healthy = count(&|list| list.finding == Finding::Healthy);
    let left = count(&|list| !is_asked(list));
    let mut text = format!("{healthy} of {asked} examinations passed");
    if left > 0 {
        text += &format!(", {left} not asked");
    }
    talk!(
        "reputon: {text}; {} queries ({} sent again) in {:.1} s",
        report.counters.sent,
        report.counters.retried,
        report.elapsed.as_secs_f64()
    );
}
