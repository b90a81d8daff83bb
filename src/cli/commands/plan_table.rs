//! A plan for people: who is asked what, what that takes, what sets the time, and what would shorten it.
//!
//! What takes longest stands first. Lists that take no such targets are one line, not one each.

use std::io::{self, Write};
use std::time::Duration;

use comfy_table::{CellAlignment, Table, presets};
use jiff::Timestamp;
use reputon::dnsxl::{Catalogue, ListIndex, OperatorIndex, Reason};
use reputon::plan::{Bound, Estimate, LearntBy, Load, Paces, STRETCH, Trip};
use reputon::report::visible;
use reputon::targets::Kind;

use super::plan::how;

/// Below this, a run takes about a second: nobody can say more beforehand.
const ABOUT_A_SECOND: f64 = 1.5;

/// What makes a run longer by this factor is told.
const MATTERS: f64 = 1.2;

/// Operators whose day's limit is reached that are told one by one.
const REACHED_SHOWN: usize = 5;

/// Lists that did not work that are told one by one.
const FAULTS_SHOWN: usize = 10;

/// What is told.
pub(super) struct Told<'a> {
    pub(super) catalogue: &'a Catalogue,
    pub(super) targets: u64,
    /// The selectors of lists, as typed.
    pub(super) lists: &'a [String],
    pub(super) max_time: Option<Duration>,
    pub(super) estimate: &'a Estimate,
    pub(super) paces: &'a Paces,
    pub(super) faults: &'a [LastFault],
}

/// A list that did not work when it was asked last, by the way that it is to be asked.
pub(super) struct LastFault {
    pub(super) list: ListIndex,
    pub(super) fault: String,
    pub(super) at: Timestamp,
}

/// Writes all of it.
pub(super) fn write(out: &mut impl Write, told: &Told<'_>) -> io::Result<()> {
    lists(out, told)?;
    operators(out, told)?;
    counts(out, told)?;
    time(out, told)?;
    faults(out, told)?;
    budgets(out, told)
}

fn lists(out: &mut impl Write, told: &Told<'_>) -> io::Result<()> {
    let mut table = plain(["list", "kind", "how", "targets", "queries", "away"]);
    let unsupported = LearntBy::NotAsked(Reason::Unsupported);
    for row in told.estimate.rows.iter().filter(|row| row.way != unsupported) {
        let how = match row.way {
            LearntBy::Folded(composite) => format!("folded into {}", told.catalogue.list(composite).id),
            LearntBy::NotAsked(reason) => format!("not asked: {reason}"),
            LearntBy::Asked if row.shared > 0 => format!("asked, {} shared", row.shared),
            _ => how(row).to_owned(),
        };
        table.add_row([
            visible(&told.catalogue.list(row.list).id).into_owned(),
            row.kind.as_str().to_owned(),
            how,
            row.pairs.to_string(),
            row.queries.to_string(),
            row.trip.map_or_else(String::new, away),
        ]);
    }
    align(&mut table, 3);
    writeln!(out, "{table}")?;
    for kind in Kind::ALL {
        let rows = told.estimate.rows.iter();
        let others = rows.filter(|row| row.kind == kind && row.way == unsupported).count();
        if others > 0 {
            writeln!(out, " {others} more take no {}", kind.as_str())?;
        }
    }
    writeln!(out)
}

/// How far away a list is: as measured, or as is assumed.
fn away(trip: Trip) -> String {
    let millis = trip.takes.as_secs_f64() * 1_000.0;
    let digits = usize::from(millis < 10.0);
    match trip.is_measured {
        true => format!("{millis:.digits$} ms"),
        false => format!("{millis:.digits$} ms?"),
    }
}

/// Which lists did not work when they were asked last. They are examined again, whatever was.
fn faults(out: &mut impl Write, told: &Told<'_>) -> io::Result<()> {
    let more = told.faults.len().saturating_sub(FAULTS_SHOWN);
    let shown = told.faults.iter().take(FAULTS_SHOWN).map(|one| {
        let id = visible(&told.catalogue.list(one.list).id).into_owned();
        format!("{id} ({}, {})", visible(&one.fault), one.at)
    });
    let shown: Vec<String> = shown.collect();
    if shown.is_empty() {
        return Ok(());
    }
    let more = if more > 0 {
        format!(" and {more} more")
    } else {
        String::new()
    };
    writeln!(out, "did not work when last asked: {}{more}", shown.join(", "))
}

fn operators(out: &mut impl Write, told: &Told<'_>) -> io::Result<()> {
    let mut table = plain([
        "operator", "probes", "controls", "pairs", "texts", "queries", "a second", "takes", "a day", "used", "days",
    ]);
    let mut loads: Vec<&Load> = told.estimate.loads.iter().collect();
    let seconds = |load: &Load| load.seconds().unwrap_or(0.0);
    loads.sort_by(|a, b| seconds(b).total_cmp(&seconds(a)));
    for load in loads {
        let or_dash = |value: Option<String>| value.unwrap_or_else(|| "-".into());
        table.add_row([
            told.name(load.operator),
            load.probes.to_string(),
            load.controls.to_string(),
            load.pairs.to_string(),
            load.texts.to_string(),
            load.queries().to_string(),
            or_dash(load.rate_qps.map(|rate| rate.to_string())),
            or_dash(load.seconds().map(duration)),
            or_dash(load.per_day.map(|limit| limit.to_string())),
            or_dash(load.per_day.map(|_| load.spent.to_string())),
            load.days().to_string(),
        ]);
    }
    align(&mut table, 1);
    writeln!(out, "{table}\n")
}

fn counts(out: &mut impl Write, told: &Told<'_>) -> io::Result<()> {
    let Told { estimate, targets, .. } = told;
    let special = match estimate.special_use {
        0 => String::new(),
        special => format!(", {special} of them special use, of which nobody is asked"),
    };
    writeln!(out, "{targets} targets{special}")?;
    writeln!(
        out,
        "{} queries to lists: {} if nothing is listed{}, {} if everything is (a text for each listing); lost packets and lists \
         that fail come on top",
        estimate.queries(),
        estimate.queries_least(),
        if estimate.prunable > 0 {
            " and pruning is at its best"
        } else {
            ""
        },
        estimate.queries_most(),
    )?;
    let about_targets: u64 = estimate.loads.iter().map(|load| load.pairs).sum();
    if estimate.unsaved > about_targets {
        let saved = estimate.unsaved - about_targets;
        writeln!(
            out,
            "{saved} more would be asked without folding, shared units and data at hand"
        )?;
    }
    if estimate.lookups.most > 0 {
        writeln!(
            out,
            "some {} questions of the stages, {} at most: policies and names lead to others",
            estimate.lookups.usual, estimate.lookups.most
        )?;
    }
    let related = estimate.related;
    if related.queries_most > 0 {
        writeln!(
            out,
            "up to {} related names that the stages find (an address's domain, where a domain's mail is taken) are asked of up \
             to {} lists each: {} queries more at most, by how many there are and are listed",
            related.names_most, related.lists, related.queries_most
        )?;
    }
    if estimate.checks > 0 {
        writeln!(out, "{} questions show whether the resolvers lie", estimate.checks)?;
    }
    Ok(())
}

fn time(out: &mut impl Write, told: &Told<'_>) -> io::Result<()> {
    let Told { estimate, paces, .. } = told;
    let rate = paces
        .rate_qps
        .map_or("no limit".to_owned(), |rate| format!("{rate} a second"));
    let today = match estimate.days {
        0 | 1 => "",
        _ => " today",
    };
    let why = match estimate.bound {
        Bound::Operator(operator) => format!("set by the rate of {}", told.name(operator)),
        Bound::Rate => "set by --rate".to_owned(),
        Bound::Servers => "set by how fast servers answer".to_owned(),
        Bound::Nothing => return writeln!(out, "\nno time: nothing is asked"),
    };
    writeln!(out, "\n{}{today}, {why}; over all lists {rate}", some(estimate.seconds))?;
    if let Some(seconds) = estimate.seconds_least {
        writeln!(out, "{} where pruning is at its best", some(seconds))?;
    }
    let mut left_out = String::new();
    for (number, (operator, seconds)) in estimate.without.iter().enumerate() {
        left_out += &format!(",!operator:{}", told.catalogue.operator(*operator).id);
        let too = if number == 0 { "" } else { " too" };
        let rest = match estimate.loads.len() > number + 1 || estimate.lookups.usual > 0 {
            true => some(*seconds),
            false => continue,
        };
        writeln!(
            out,
            "  {rest} without {}{too}: --lists '{}{left_out}'",
            told.name(*operator),
            visible(&told.lists.join(","))
        )?;
    }
    let (measured, asked) = estimate.measured;
    let assumed = match paces.ways.lab {
        true => "no delay: the lab is on this machine".to_owned(),
        false if measured == asked => "round trips are those of earlier runs".to_owned(),
        false => {
            let of = if measured > 0 {
                format!(" for {} of {asked} lists", asked - measured)
            } else {
                String::new()
            };
            let far = match estimate.seconds_far > estimate.seconds * MATTERS {
                true => format!(
                    "it takes {} where they are {STRETCH} times that",
                    some(estimate.seconds_far)
                ),
                false => format!("{STRETCH} times that would hardly matter: rates are reached"),
            };
            format!("round trips of 50 ms{of} (0.2 ms to a --route on this network); {far}")
        }
    };
    writeln!(
        out,
        "assumed: {assumed}; nothing lost, every list answers (one that does not takes some 10 s to find out)"
    )?;
    if let Some(max) = told.max_time.filter(|max| max.as_secs_f64() < estimate.seconds) {
        writeln!(
            out,
            "--max-time ends it after {}: what is not known by then stays unknown",
            duration(max.as_secs_f64())
        )?;
    }
    Ok(())
}

fn budgets(out: &mut impl Write, told: &Told<'_>) -> io::Result<()> {
    let mut reached: Vec<&Load> = told
        .estimate
        .loads
        .iter()
        .filter(|load| load.today < load.queries())
        .collect();
    if reached.is_empty() {
        return Ok(());
    }
    reached.sort_by_key(|load| std::cmp::Reverse(load.days()));
    writeln!(
        out,
        "\ndaily limits of {} are reached: what goes beyond stays open, and scan --resume asks it on the next days",
        match reached.len() {
            1 => "one operator".to_owned(),
            more => format!("{more} operators"),
        }
    )?;
    for load in reached.iter().take(REACHED_SHOWN) {
        let used = match load.spent {
            0 => String::new(),
            spent => format!(", {spent} of it used up"),
        };
        writeln!(
            out,
            "  {}: {} of {} queries today ({} a day{used}), {} days in all",
            told.name(load.operator),
            load.today,
            load.queries(),
            load.per_day.unwrap_or_default(),
            load.days(),
        )?;
    }
    if reached.len() > REACHED_SHOWN {
        writeln!(
            out,
            "  … and {} more: see \"days\" above",
            reached.len() - REACHED_SHOWN
        )?;
    }
    Ok(())
}

impl Told<'_> {
    fn name(&self, operator: OperatorIndex) -> String {
        visible(&self.catalogue.operator(operator).name).into_owned()
    }
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

/// A time that is expected.
fn some(seconds: f64) -> String {
    match seconds < ABOUT_A_SECOND {
        true => "about a second".to_owned(),
        false => format!("some {}", duration(seconds)),
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
