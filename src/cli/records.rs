//! From what a scan tells of itself to the records that reports show, and to the talk on standard error.

use std::io::{self, Write};
use std::num::NonZero;

use jiff::Timestamp;
use reputon::dnsxl::{Catalogue, ListIndex};
use reputon::dossier::Standing;
use reputon::plan::{Plan, Ways};
use reputon::report::{Health, ListRecord, RunRecord, visible};
use reputon::scan::{ListReport, RunReport, Scan, ScanOptions};
use reputon::store::Reached;

use super::talk::talk;

/// Mismatched replies in a run that are worth a warning: some come late on every network.
const MISMATCHES_MAX: u64 = 100;

/// Whether a list was healthy when the run began to ask it.
pub(crate) fn is_usable(report: &RunReport, list: ListIndex, unchecked: bool) -> bool {
    let found = report.lists.iter().find(|one| one.list == list);
    found.is_some_and(|one| one.healthy_at_start.unwrap_or(unchecked || one.vouched.is_some()))
}

/// Pairs that were handed out on a denial that proved false later, and were not asked since.
pub(crate) fn unproved(report: &RunReport) -> u64 {
    report.lists.iter().map(|list| list.unproved).sum()
}

/// The pairs of each list that were to be learnt, of targets that were not reached too.
pub(crate) fn planned(report: &RunReport) -> impl Iterator<Item = (ListIndex, u64)> + '_ {
    let lists = report.lists.iter();
    lists.map(|list| (list.list, list.listed + list.not_listed + list.unknown))
}

/// The record of a list of the run.
pub(crate) fn list_record(catalogue: &Catalogue, report: &ListReport) -> ListRecord {
    let health = match (report.healthy_at_start, &report.fault) {
        (Some(_), Some(_)) | (Some(false), None) => Health::Unhealthy,
        (Some(true), None) => Health::Healthy,
        (None, _) => Health::Unchecked,
    };
    ListRecord {
        health,
        cause: match (&report.fault, report.vouched) {
            (Some(fault), _) => Some(fault.state.as_str().to_owned()),
            (None, vouched) => vouched.map(|how| how.as_str().to_owned()),
        },
        asked: report.asked,
        listed: report.listed,
        not_listed: report.not_listed,
        unknown: report.unknown,
        not_asked: report.not_asked,
        ..ListRecord::new(catalogue, report.list)
    }
}

/// How the lists that were asked were reached, to be remembered.
pub(crate) fn reached(
    (plan, options): (&Plan<'_>, &ScanOptions),
    lab: bool,
    finished: Timestamp,
    report: &RunReport,
) -> Vec<Reached> {
    let ways = Ways {
        resolvers: options.resolvers.clone(),
        routes: options.routes.clone(),
        direct: options.direct,
        lab,
        ..Ways::default()
    };
    let lists = report
        .lists
        .iter()
        .zip(&plan.columns)
        .filter(|(list, _)| list.asked > 0);
    let reached = lists.filter_map(|(list, column)| {
        let record = list_record(plan.catalogue, list);
        Some(Reached {
            way: ways.name(column.questions.as_ref().ok()?.zone())?,
            at: finished.as_second(),
            rtt: list.rtt,
            fault: (record.health == Health::Unhealthy).then(|| record.cause.unwrap_or_else(|| "unhealthy".into())),
            list: record.id,
        })
    });
    reached.collect()
}

/// Puts into a list's record how it stands over all parts of the run.
pub(crate) fn stand(record: &mut ListRecord, standing: Standing) {
    record.health = match (standing.passed, &standing.fault) {
        (true, None) => Health::Healthy,
        _ => Health::Unhealthy,
    };
    record.cause = standing.fault;
}

/// The record of the run itself.
pub(crate) fn run_record(
    catalogue: &Catalogue,
    (plan, options): (&Plan<'_>, &ScanOptions),
    (started, finished): (Timestamp, Timestamp),
    report: &RunReport,
) -> RunRecord {
    let mut queries = std::collections::BTreeMap::new();
    for list in report.lists.iter().filter(|list| list.packets > 0) {
        *queries.entry(catalogue.operator_of(list.list).id.clone()).or_insert(0) += list.packets;
    }
    let servers = options
        .resolvers
        .iter()
        .chain(options.routes.iter().map(|(_, address)| address));
    RunRecord {
        started,
        finished,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        catalogue: catalogue.hash().to_owned(),
        resolvers: servers.map(ToString::to_string).collect(),
        targets: plan.targets.len(),
        planned: report.planned,
        asked: report.asked,
        answered: report.answered,
        retried: report.counters.retried,
        folded: report.folded,
        pruned: report.pruned,
        unproved: unproved(report),
        complete: match report.planned {
            0 => 0.0,
            planned => report.answered as f64 / planned as f64,
        },
        queries,
        diff: None,
    }
}

/// Says on standard error if not as many threads will ask as were wanted, and why.
pub(crate) fn tell_if_alone(scan: &Scan<'_>, workers: NonZero<u8>) {
    if let (2.., Some(why)) = (workers.get(), scan.why_one_worker()) {
        talk!("reputon: one thread asks and not {workers}: {why}");
    }
}

/// Says on standard error what went wrong, and how to mend it.
pub(crate) fn talk(catalogue: &Catalogue, report: &RunReport) {
    let mut err = io::stderr().lock();
    // Talk that cannot be heard is no failure.
    let mut say = |text: String| drop(writeln!(err, "reputon: {text}"));
    for fault in &report.resolver_faults {
        say(visible(fault).into_owned());
    }
    for list in &report.lists {
        if let Some(fault) = &list.fault {
            say(format!("{}: {}", catalogue.list(list.list).id, visible(&fault.why)));
        }
    }
    for list in report.lists.iter().filter(|list| list.unproved > 0) {
        say(format!(
            "{}: {} addresses were taken to be not listed because a server denied their parents; it has denied one with a \
             listing below, and they could not be asked again: --resume goes on with them, or scan them without --prune",
            catalogue.list(list.list).id,
            list.unproved,
        ));
    }
    let counters = report.counters;
    let mismatches = counters.mismatched();
    if mismatches > MISMATCHES_MAX {
        say(format!(
            "{mismatches} replies did not fit what was asked and were dropped: somebody may be forging answers"
        ));
    }
    if counters.diverted + counters.ports > 0 {
        say(format!(
            "meanwhile {} queries went over TCP, and {} more source ports were opened",
            counters.diverted, counters.ports
        ));
    }
    if counters.overflowed > 0 {
        say(format!(
            "{} replies came faster than they were taken and were dropped by this machine: their queries were sent again, \
             with fewer in flight; a larger net.core.rmem_max has room for more",
            counters.overflowed
        ));
    }
    if report.unreached > 0 {
        say(format!("stopped before {} targets were reached", report.unreached));
    }
    say(format!(
        "{} of {} answers known, {} queries ({} sent again) in {:.1} s",
        report.answered,
        report.planned,
        counters.sent,
        counters.retried,
        report.elapsed.as_secs_f64(),
    ));
}
