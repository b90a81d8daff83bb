//! `reputon report`: a run that is kept, reported again from the database as the scan did, with the same status.

use std::io;

use anyhow::Context;
use jiff::Timestamp;
use reputon::dnsxl::{Catalogue, ListIndex, Observation};
use reputon::dossier::Dossier;
use reputon::report::{ListRecord, Outputs, RunEnd, RunHead, RunRecord};
use reputon::scan::{Order, Receiver, Stop};
use reputon::store::{Store, StoreError, StoredRun};
use reputon::verdict::{Judge, Tally, Weights};

use crate::cli::args::ReportArgs;
use crate::cli::commands::scan::{format, paths, report_options};
use crate::cli::keeping::{needed, run_named};
use crate::cli::options::{ExitOptions, OutputOptions};
use crate::cli::reports::{Output, Reports};

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
    write(&store, &run, &args.output, &args.exit)
}

/// Why a run cannot be read, or its report not be written.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Report(#[from] io::Error),
}

/// Writes the outputs of a run that is kept.
pub(crate) fn write(store: &Store, run: &StoredRun, output: &OutputOptions, exit: &ExitOptions) -> anyhow::Result<u8> {
    let catalogue = store.catalogue_of(run.id)?;
    let mut outputs = Outputs::open(&paths(output), &report_options(output))?;
    let stop = Stop::new();
    let mut reports = Reports {
        catalogue: &catalogue,
        judge: Judge::new(&catalogue, Weights::default()),
        tally: Tally::new(),
        live: None,
        ordered: Vec::new(),
        broken_pipe: false,
        files: !output.output.is_empty(),
        audit: None,
        first: None,
        stop: &stop,
    };
    if let (Some(format), _) = format(output) {
        let stdout = Box::new(io::BufWriter::new(io::stdout()));
        let sink = format.sink(stdout, None, &report_options(output))?;
        reports.ordered.push(Output::Stdout(sink));
    }
    if reports.files {
        reports.ordered.push(Output::Files(&mut outputs));
    }
    let head = RunHead {
        catalogue: &catalogue,
        started: run.started,
    };
    reports.each(|sink| sink.begin(&head))?;
    let mut counted: Vec<ListRecord> = catalogue
        .indexed()
        .map(|(index, _)| ListRecord::new(&catalogue, index))
        .collect();
    store.dossiers(run.id, |dossier| -> Result<(), Failure> {
        count(&mut counted, &dossier);
        reports.take(&dossier, Order::AsClosed)?;
        Ok(reports.take(&dossier, Order::Input)?)
    })?;
    let stored = store.lists_of(run.id)?;
    let known = !stored.is_empty();
    let usable = |list: ListIndex| match stored.get(usize::from(list.0)) {
        Some(stored) => stored.usable,
        None => counted[usize::from(list.0)].listed + counted[usize::from(list.0)].not_listed > 0,
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
    let record = match run.record.as_deref().map(serde_json::from_str::<RunRecord>) {
        Some(record) => record.context("the record of the run is damaged")?,
        None => counted_record(run, &counted),
    };
    let tallied = reports.tally.finish(&catalogue, usable);
    let end = RunEnd {
        catalogue: &catalogue,
        run: &record,
        lists: &lists,
        audit: None,
        changes: record.diff.as_ref(),
    };
    reports.each(|sink| sink.finish(&end))?;
    if reports.broken_pipe && !reports.files {
        return Ok(0);
    }
    Ok(tallied
        .exit_status(exit.fail_on.tier(), exit.min_coverage.0 / 100.0)
        .code())
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
