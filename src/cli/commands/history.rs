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
    let last = store.last_word(&target)?;
    // Whether it is listed still: null where the last run does not know.
    let now = |list: &str| last.as_ref().and_then(|last| last.is_listed(list));
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
                value["current"] = Value::from(now(&sighting.list));
                seen.push(value);
            }
            let last = last.as_ref().map(|last| last.run.0);
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
                let until = match now(&sighting.list) {
                    Some(true) => "still".to_owned(),
                    Some(false) => day(sighting.last_seen),
                    None => format!("{}, unknown since", day(sighting.last_seen)),
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
        match (&last, sightings.is_empty()) {
            (None, _) => talk!("reputon: no run that is kept looked at {target}"),
            (Some(last), true) => {
                let unknown = match last.dossier.counts().unknown {
                    0 => String::new(),
                    lists => format!(", which does not know it of {lists} of its lists"),
                };
                talk!(
                    "reputon: no run saw {target} on a list; last looked at in run {}{unknown}",
                    last.run
                );
            }
            (Some(_), false) => (),
        }
    }
    Ok(0)
}
