//! `reputon diff`: what changed between two runs over the same targets.

use std::io::{self, IsTerminal, Write};

use anyhow::{Context, bail};
use reputon::dossier::{Change, Difference};
use reputon::report::{to_json, visible};
use reputon::store::{Store, StoredRun, compare, targets_of};
use serde_json::Value;

use crate::cli::args::DiffArgs;
use crate::cli::keeping::{before, needed, past, run_named};
use crate::cli::options::TextChoice;
use crate::cli::stdout::stdout;

/// The exit status if a target is newly listed on a block list of the tier that fails, or a harder one.
const WORSE: u8 = 1;

/// Compares two runs.
pub(crate) fn run(args: &DiffArgs) -> anyhow::Result<u8> {
    let store = Store::open_to_read(&needed(&args.db)?)?;
    let (earlier, later, past) = chosen(&store, args)?;
    if targets_of(&earlier.plan) != targets_of(&later.plan) {
        bail!(
            "runs {} and {} are of other targets and cannot be compared; `reputon runs` shows them",
            earlier.id,
            later.id
        );
    }
    let difference = compare(&store, &earlier, &later, &past)?;
    let default = match io::stdout().is_terminal() {
        true => TextChoice::Table,
        false => TextChoice::Json,
    };
    let mut out = io::BufWriter::new(stdout());
    match args.format.format.unwrap_or(default) {
        TextChoice::Json => {
            let mut value = serde_json::to_value(&difference).context("a difference is plain JSON")?;
            value["run"] = Value::from(later.id.0);
            writeln!(out, "{}", to_json(&value))?;
        }
        TextChoice::Table => table(&mut out, &difference, &later)?,
    }
    out.flush()?;
    Ok(match difference.is_worse(args.fail_on.tier()) {
        true => WORSE,
        false => 0,
    })
}

/// The runs that were named: two; one and the one before it; or the last one and the one before it. What the one before did
/// not know is looked for in those before that; of two that were named, those two alone count.
fn chosen(store: &Store, args: &DiffArgs) -> anyhow::Result<(StoredRun, StoredRun, Vec<StoredRun>)> {
    let later = match args.runs[..] {
        [first, second] => return Ok((run_named(store, first)?, run_named(store, second)?, Vec::new())),
        [only] => run_named(store, only)?,
        _ => {
            let ended = store.runs()?.into_iter().rev().find(|run| run.ended.is_some());
            ended.context("there is no run that has ended")?
        }
    };
    let none = || format!("there is no run before run {} over the same targets", later.id);
    let earlier = before(store, &later)?.with_context(none)?;
    let past = past(store, &earlier, |_| true)?;
    Ok((earlier, later, past))
}

fn table(out: &mut impl Write, difference: &Difference, later: &StoredRun) -> io::Result<()> {
    writeln!(
        out,
        "Run {} since run {} of {}: {}",
        later.id, difference.since, difference.since_started, difference.counts
    )?;
    let parts = [
        (
            "Newly listed",
            '+',
            &difference.newly_listed,
            difference.counts.newly_listed,
        ),
        ("Cleared", '-', &difference.cleared, difference.counts.cleared),
        (
            "Another code",
            '~',
            &difference.code_changed,
            difference.counts.code_changed,
        ),
        (
            "Became unknown",
            '?',
            &difference.became_unknown,
            difference.counts.became_unknown,
        ),
    ];
    for (title, sign, changes, count) in parts {
        if changes.is_empty() {
            continue;
        }
        writeln!(out, "\n{title}")?;
        for change in changes {
            line(out, sign, change)?;
        }
        if count > changes.len() as u64 {
            writeln!(out, "  and {} more", count - changes.len() as u64)?;
        }
    }
    if !difference.lists.is_empty() {
        writeln!(out, "\nLists")?;
        for list in &difference.lists {
            writeln!(out, "  {} {}", list.list, list.what.as_str().replace('_', " "))?;
        }
    }
    if difference.counts.lost_sight > 0 {
        writeln!(
            out,
            "\n{} that were not listed are unknown now",
            difference.counts.lost_sight
        )?;
    }
    Ok(())
}

fn line(out: &mut impl Write, sign: char, change: &Change) -> io::Result<()> {
    let codes = |codes: &[std::net::Ipv4Addr]| codes.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
    let (old, new) = (codes(&change.codes_before), codes(&change.codes));
    let what = match sign {
        '+' if change.before != "not_listed" => format!("{new} (before: {})", change.before),
        '+' => new,
        '~' => format!("{old} → {new}"),
        '?' => format!("{old} (now: {})", change.after),
        _ => old,
    };
    writeln!(
        out,
        "  {sign} {}  {} {} {}  {what}",
        visible(&change.target),
        change.list,
        change.role.as_str(),
        change.tier.as_str()
    )
}
