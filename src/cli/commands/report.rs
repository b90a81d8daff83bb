//! `reputon report`: a run that is kept, reported again from the database as the scan did, with the same status.

use std::io::{self, Write};

use anyhow::Context;
use jiff::Timestamp;
use reputon::dnsxl::{Catalogue, ListIndex, Observation};
use reputon::dossier::{Dossier, is_taken_back};
use reputon::report::{ListRecord, Outputs, RunEnd, RunHead, RunRecord, nagios_line, to_json};
use reputon::scan::{Order, Receiver, Stop};
use reputon::store::{Store, StoreError, StoredRun};
use reputon::targets::Cover;
use reputon::verdict::{Advice, Audit, Audited, ExitStatus, Judge, NagiosStatus, Tally, Weights};

use crate::cli::args::{AuditArgs, ReportArgs};
use crate::cli::commands::audit::conclude;
use crate::cli::commands::scan::{format, paths, report_options};
use crate::cli::ground::Ground;
use crate::cli::keeping::{needed, run_named};
use crate::cli::options::{ExitOptions, OutputOptions};
use crate::cli::past::Memories;
use crate::cli::records::stand;
use crate::cli::reports::{Output, Reports};
use crate::cli::signals;
use crate::cli::stdout::stdout;

/// Reports a run.
pub(crate) fn run(args: &ReportArgs) -> anyhow::Result<u8> {
    let path = needed(&args.db)?;
    let store = Store::open_to_read(&path)?;
    let run = match args.run {
        Some(id) => run_named(&store, id)?,
        None => {
            let none = || format!("there is no run in {}", path.display());
            store.last_run()?.with_context(none)?
        }
    };
    let wanted = Wanted {
        output: &args.output,
        exit: &args.exit,
        nagios: false,
        audit: WantedAudit::Kept,
    };
    write(&store, &run, &wanted)
}

/// Why a run cannot be read, or its report not be written.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Report(#[from] io::Error),
}

/// What is wanted of a run that is kept.
pub(crate) struct Wanted<'a> {
    pub(crate) output: &'a OutputOptions,
    pub(crate) exit: &'a ExitOptions,
    /// The line of a Nagios plugin, in place of standard output's report.
    pub(crate) nagios: bool,
    pub(crate) audit: WantedAudit<'a>,
}

/// Which audit is told.
#[derive(Clone, Copy)]
pub(crate) enum WantedAudit<'a> {
    /// None.
    None,
    /// That which the run was, if it was one.
    Kept,
    /// That which the run was, or else the one that is made of it now.
    Concluded(&'a AuditArgs, &'a Ground),
}

/// Writes the outputs of a run that is kept.
pub(crate) fn write(store: &Store, run: &StoredRun, wanted: &Wanted<'_>) -> anyhow::Result<u8> {
    let (output, exit) = (wanted.output, wanted.exit);
    let catalogue = store.catalogue_of(run.id)?;
    let audited = kept_audit(store, run, wanted.audit)?;
    let concludes = match wanted.audit {
        WantedAudit::Concluded(args, ground) if audited.is_none() => Some((args, ground)),
        _ => None,
    };
    let mut outputs = Outputs::open(&paths(output), &report_options(output))?;
    let stop = Stop::new();
    let head = RunHead { started: run.started };
    let mut reports = Reports {
        catalogue: &catalogue,
        head,
        judge: Judge::new(&catalogue, Weights::default()),
        tally: Tally::new(),
        live: None,
        ordered: Vec::new(),
        broken_pipe: false,
        files: !output.output.is_empty(),
        audit: concludes.map(|_| Audit::default()),
        past: match concludes {
            Some((_, ground)) => Some(Memories::of(store.again()?, run, &Cover::of(&ground.targets))),
            None => None,
        },
        first: None,
        stop: &stop,
    };
    if let (Some(format), false) = (format(output).0, wanted.nagios) {
        let stdout = Box::new(io::BufWriter::new(stdout()));
        let sink = format.sink(stdout, None, &report_options(output))?;
        reports.ordered.push(Output::Stdout(sink));
    }
    if reports.files {
        reports.ordered.push(Output::Files(&mut outputs));
    }
    reports.each(|sink| sink.begin(&head))?;
    let mut counted: Vec<ListRecord> = catalogue
        .indexed()
        .map(|(index, _)| ListRecord::new(&catalogue, index))
        .collect();
    let mut unproved = 0;
    store.dossiers(run.id, |dossier| -> Result<(), Failure> {
        count(&mut counted, &dossier);
        unproved += dossier.observations.iter().filter(|one| is_taken_back(one)).count() as u64;
        reports.take(&dossier, Order::AsClosed)?;
        Ok(reports.take(&dossier, Order::Input)?)
    })?;
    let stored = store.lists_of(run.id)?;
    let known = !stored.is_empty();
    let examined = store.examinations(run.id)?;
    for (place, standing) in &examined {
        if let Some(record) = counted.get_mut(*place) {
            stand(record, standing.clone());
        }
    }
    let usable = |list: ListIndex| {
        let place = usize::from(list.0);
        match (stored.get(place), examined.get(&place)) {
            (Some(stored), _) => stored.usable,
            (None, Some(examined)) => examined.passed,
            (None, None) => counted[place].listed + counted[place].not_listed > 0,
        }
    };
    let lists = match known {
        true => {
            let records = stored.iter().zip(catalogue.indexed());
            records
                .map(|(stored, (index, _))| list_record(&catalogue, index, &stored.record))
                .collect()
        }
        false => counted.clone(),
    };
    let mut record = match run.record.as_deref().map(serde_json::from_str::<RunRecord>) {
        Some(record) => record.context("the record of the run is damaged")?,
        None => counted_record(run, &counted),
    };
    // A part of the run that was killed has no record, and may have found a denial to be false.
    record.unproved = record.unproved.max(unproved);
    miss(&mut reports.tally, run, (&lists, &mut record));
    let tallied = reports.tally.finish(&catalogue, usable);
    let audited = match (concludes, reports.audit.take()) {
        (Some((args, ground)), Some(counted)) => {
            let stop = signals::watch()?;
            let counted = (counted, reports.past.take());
            let audited = conclude((args, ground), counted, (&catalogue, &tallied), &stop)?;
            if stop.requested().is_none() {
                store.again()?.conclude(run.id, &to_json(&audited))?;
            }
            Some(audited)
        }
        _ => audited,
    };
    let end = RunEnd {
        catalogue: &catalogue,
        run: &record,
        lists: &lists,
        audit: audited.as_ref(),
        changes: record.diff.as_ref(),
    };
    reports.each(|sink| sink.finish(&end))?;
    if reports.broken_pipe && !reports.files {
        return Ok(0);
    }
    let min_coverage = exit.min_coverage.0 / 100.0;
    if wanted.nagios {
        writeln!(stdout(), "{}", nagios_line(&tallied, min_coverage))?;
        return Ok(match tallied.nagios_status(min_coverage) {
            NagiosStatus::Ok if record.unproved > 0 => NagiosStatus::Warning.code(),
            status => status.code(),
        });
    }
    let no_verdict = audited.is_some_and(|audited| audited.recommendation == Advice::NoVerdict);
    Ok(match tallied.exit_status(exit.fail_on.tier(), min_coverage) {
        ExitStatus::Clean if no_verdict || record.unproved > 0 => ExitStatus::Incomplete.code(),
        status => status.code(),
    })
}

/// The audit that a run was, if it is wanted and was kept with all that is wanted of it.
fn kept_audit(store: &Store, run: &StoredRun, wanted: WantedAudit<'_>) -> anyhow::Result<Option<Audited>> {
    let neighbours = match wanted {
        WantedAudit::None => return Ok(None),
        WantedAudit::Kept => false,
        WantedAudit::Concluded(args, _) => args.neighbours,
    };
    let kept = store.audit_of(run.id)?;
    let audited: Option<Audited> = kept
        .map(|text| serde_json::from_str(&text).context("the audit of the run is damaged"))
        .transpose()?;
    Ok(audited.filter(|audited| !neighbours || !audited.neighbours.is_empty()))
}

/// Counts a dossier's observations by list.
fn count(counted: &mut [ListRecord], dossier: &Dossier) {
    for observed in &dossier.observations {
        let list = &mut counted[usize::from(observed.list.0)];
        *match observed.observation {
            Observation::Listed(_) => &mut list.listed,
            Observation::NotListed => &mut list.not_listed,
            Observation::Unknown(_) => &mut list.unknown,
            Observation::NotAsked(_) => &mut list.not_asked,
        } += 1;
    }
}

/// A list's record out of the database; what is not in it is as for a list of which nothing is known.
fn list_record(catalogue: &Catalogue, index: ListIndex, stored: &str) -> ListRecord {
    let stored: serde_json::Value = serde_json::from_str(stored).unwrap_or_default();
    let number = |name: &str| stored[name].as_u64().unwrap_or(0);
    let fresh = ListRecord::new(catalogue, index);
    ListRecord {
        health: serde_json::from_value(stored["health"].clone()).unwrap_or(fresh.health),
        cause: stored["cause"].as_str().map(str::to_owned),
        asked: number("asked"),
        listed: number("listed"),
        not_listed: number("not_listed"),
        unknown: number("unknown"),
        not_asked: number("not_asked"),
        ..fresh
    }
}

/// Counts the targets of a run that were not reached, because it was stopped or killed, or a share of it is missing.
fn miss(tally: &mut Tally, run: &StoredRun, (lists, record): (&[ListRecord], &mut RunRecord)) {
    let targets = run.all_targets();
    let unreached = targets.saturating_sub(tally.targets());
    if unreached == 0 {
        return;
    }
    let planned: Vec<(ListIndex, u64)> = (0..)
        .map(ListIndex)
        .zip(lists)
        .map(|(index, list)| {
            let pairs = list.listed + list.not_listed + list.unknown;
            let seen = tally.planned(index);
            let planned = match pairs + list.not_asked == targets {
                true => pairs, // as the run itself has counted
                // Of what kinds they are is not known: a list that was asked about any was to be asked about all.
                false if seen > 0 || tally.targets() == 0 => seen + unreached,
                false => seen,
            };
            (index, planned)
        })
        .collect();
    record.targets = targets;
    record.planned = planned.iter().map(|(_, planned)| planned).sum();
    record.complete = match record.planned {
        0 => 0.0,
        planned => record.answered as f64 / planned as f64,
    };
    tally.miss(unreached, planned);
}

/// The record of a run that never ended in order: what can be counted.
fn counted_record(run: &StoredRun, lists: &[ListRecord]) -> RunRecord {
    let answered: u64 = lists.iter().map(|list| list.listed + list.not_listed).sum();
    let planned = answered + lists.iter().map(|list| list.unknown).sum::<u64>();
    let targets = lists
        .first()
        .map_or(0, |list| list.listed + list.not_listed + list.unknown + list.not_asked);
    RunRecord {
        started: run.started,
        finished: run.ended.unwrap_or(Timestamp::UNIX_EPOCH.max(run.started)),
        catalogue: run.plan.get("catalogue").cloned().unwrap_or_default(),
        targets,
        planned,
        answered,
        complete: if planned == 0 {
            0.0
        } else {
            answered as f64 / planned as f64
        },
        ..RunRecord::default()
    }
}
