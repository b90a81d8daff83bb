//! `reputon history`: one target through all runs that are kept.

use std::io::{self, IsTerminal, Write};

use anyhow::anyhow;
use comfy_table::{Table, presets};
use reputon::report::{to_json, visible};
use reputon::store::Store;
use reputon::targets::Target;
use serde_json::{Value, json};

use crate::cli::args::HistoryArgs;
use crate::cli::keeping::needed;
use crate::cli::options::TextChoice;
use crate::cli::stdout::stdout;
use crate::cli::talk::talk;

/// Shows the history of a target.
pub(crate) fn run(args: &HistoryArgs, quiet: bool) -> anyhow::Result<u8> {
    let target: Target = args
        .target
        .parse()
        .map_err(|error| anyhow!("{}: {error}", visible(&args.target)))?;
    let store = Store::open_to_read(&needed(&args.db)?)?;
    let sightings = store.history(&target)?;
    let last = store.runs_with(&target, 1)?;
    let last = last.first().copied();
    let default = match io::stdout().is_terminal() {
        true => TextChoice::Table,
        false => TextChoice::Json,
    };
    let mut out = stdout();
    match args.format.format.unwrap_or(default) {
        TextChoice::Json => {
            let mut seen = Vec::new();
            for sighting in &sightings {
                let mut value = serde_json::to_value(sighting)?;
                value["current"] = Value::from(Some(sighting.last_run) == last);
                seen.push(value);
            }
            let last = last.map(|run| run.0);
            writeln!(
                out,
                "{}",
                to_json(&json!({"target": target.to_string(), "last_run": last, "listings": seen}))
            )?;
        }
        TextChoice::Table => {
            let mut table = Table::new();
            table.load_style(presets::NOTHING);
            table.set_header(["list", "role", "tier", "first seen", "last seen", "runs", "codes"]);
            let day = |moment: jiff::Timestamp| moment.strftime("%Y-%m-%d %H:%M").to_string();
            for sighting in &sightings {
                let until = match Some(sighting.last_run) == last {
                    true => "still".to_owned(),
                    false => day(sighting.last_seen),
                };
                table.add_row([
                    sighting.list.clone(),
                    sighting.role.clone(),
                    sighting.tier.clone(),
                    day(sighting.first_seen),
                    until,
                    sighting.runs.to_string(),
                    sighting.codes.join(" "),
                ]);
            }
            if !sightings.is_empty() {
                writeln!(out, "{table}")?;
            }
        }
    }
    if !quiet {
        match (last, sightings.is_empty()) {
            (None, _) => talk!("reputon: no run that is kept looked at {target}"),
            (Some(run), true) => talk!("reputon: {target} was on no list; last looked at in run {run}"),
            (Some(_), false) => (),
        }
    }
    Ok(0)
}
