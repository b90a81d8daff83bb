//! `reputon runs`: the runs that are kept, old ones removed, those of another database taken in.

use std::io::{self, IsTerminal, Write};

use comfy_table::{Table, presets};
use reputon::report::{to_json, visible};
use reputon::store::{RunLock, Store, StoredRun};
use serde_json::{Value, json};

use crate::cli::args::{RunsArgs, RunsCommand, RunsImportArgs, RunsLsArgs, RunsPruneArgs};
use crate::cli::keeping::needed;
use crate::cli::options::TextChoice;
use crate::cli::stdout::stdout;
use crate::cli::talk::talk;

/// Does what was asked of the runs.
pub(crate) fn run(args: &RunsArgs, quiet: bool) -> anyhow::Result<u8> {
    match &args.command {
        None => ls(&args.ls),
        Some(RunsCommand::Ls(args)) => ls(args),
        Some(RunsCommand::Prune(args)) => prune(args, quiet),
        Some(RunsCommand::Import(args)) => import(args, quiet),
    }
}

/// The fields of a run in a line, in order.
const COLUMNS: [&str; 6] = ["run", "started", "state", "targets", "complete", "label"];

fn ls(args: &RunsLsArgs) -> anyhow::Result<u8> {
    let store = Store::open_to_read(&needed(&args.db)?)?;
    let runs = store.runs()?;
    let rows = runs.iter().map(|run| row(&store, run));
    let default = match io::stdout().is_terminal() {
        true => TextChoice::Table,
        false => TextChoice::Json,
    };
    let mut out = stdout();
    match args.format.format.unwrap_or(default) {
        TextChoice::Json => writeln!(out, "{}", to_json(&Value::Array(rows.collect())))?,
        TextChoice::Table => {
            let mut table = Table::new();
            table.load_style(presets::NOTHING);
            table.set_header(COLUMNS);
            for row in rows {
                table.add_row(COLUMNS.map(|column| text(&row[column])));
            }
            writeln!(out, "{table}")?;
        }
    }
    Ok(0)
}

/// A run as a record: its state is `whole`, `open` (it ended, and questions are left), `running`, or `interrupted`.
fn row(store: &Store, run: &StoredRun) -> Value {
    let state = match (run.whole, run.ended) {
        _ if RunLock::is_held(store.path(), run.id) => "running",
        (true, _) => "whole",
        (false, Some(_)) => "open",
        (false, None) => "interrupted",
    };
    let record: Value = run
        .record
        .as_deref()
        .and_then(|text| serde_json::from_str(text).ok())
        .unwrap_or_default();
    // Of shares that are missing nothing is known.
    let here = run.target_count as f64 / run.all_targets().max(1) as f64;
    let complete = record["complete"].as_f64();
    let complete = complete.map(|share| (share * here * 10_000.0).round() / 10_000.0); // as run records have it
    let moment = |moment: jiff::Timestamp| moment.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    json!({
        "run": run.id.0,
        "started": moment(run.started),
        "finished": run.ended.map(moment),
        "state": state,
        "targets": run.target_count,
        "complete": complete,
        "label": run.label,
        "catalogue": run.plan.get("catalogue"),
        "seed": run.seed,
    })
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => visible(text).into_owned(),
        Value::Number(number) if number.is_f64() => format!("{:.1} %", number.as_f64().unwrap_or(0.0) * 100.0),
        other => other.to_string(),
    }
}

fn prune(args: &RunsPruneArgs, quiet: bool) -> anyhow::Result<u8> {
    let mut store = Store::open(&needed(&args.db)?)?;
    let removed = store.prune(args.keep)?;
    if !quiet {
        talk!("reputon: {} runs removed, {} kept", removed.len(), store.runs()?.len());
    }
    Ok(0)
}

fn import(args: &RunsImportArgs, quiet: bool) -> anyhow::Result<u8> {
    let mut store = Store::open(&needed(&args.db)?)?;
    for file in &args.files {
        for run in store.import(file)? {
            if !quiet {
                let how = if run.merged { "merged into" } else { "is now" };
                talk!(
                    "reputon: {}: run {} {how} run {}: {} blocks of targets taken, {} known",
                    visible(&file.display().to_string()),
                    run.from,
                    run.into,
                    run.tiles,
                    run.known
                );
                if !run.missing.is_empty() {
                    talk!("reputon: run {} has no share {} yet", run.into, run.missing.join(", "));
                }
            }
        }
    }
    Ok(0)
}
