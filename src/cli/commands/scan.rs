//! `reputon scan`: targets and lists in, reports and an exit status out. `audit` is a scan too, and comes through here.

use std::collections::HashMap;
use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;

use jiff::Timestamp;
use reputon::clock::Span;
use reputon::dnsxl::ListIndex;
use reputon::dossier::Difference;
use reputon::report::{Format, HeldSink, ListRecord, Options, Outputs, RunEnd, RunHead, nagios_line, visible};
use reputon::scan::{Progress, RealNetwork, Receiver, Scan, StopReason};
use reputon::verdict::{Advice, Audit, ExitStatus, Judge, NagiosStatus, Tally, Weights};

use crate::cli::args::{AuditArgs, ScanArgs};
use crate::cli::commands::report::{Wanted, WantedAudit};
use crate::cli::dispatch::FAILED;
use crate::cli::ground::{Ground, scan_options, start_lab};
use crate::cli::keeping::{Keeping, Kept};
use crate::cli::notify::{News, notify};
use crate::cli::options::{OutputOptions, ScanFormat};
use crate::cli::progress::{Bars, Quiet};
use crate::cli::records::{is_usable, list_record, planned, reached, run_record, talk, tell_if_alone, unproved};
use crate::cli::reports::{Output, Reports};
use crate::cli::stdout::stdout;
use crate::cli::talk::talk;
use crate::cli::values::OutputKind;
use crate::cli::{signals, terminal};

/// Scans.
pub(crate) fn run(args: &ScanArgs, quiet: bool) -> anyhow::Result<u8> {
    scan(args, None, quiet)
}

/// Scans, for an audit if one is given.
pub(crate) fn scan(args: &ScanArgs, audit: Option<&AuditArgs>, quiet: bool) -> anyhow::Result<u8> {
    let ground = Ground::read(&args.targets, (&args.lists, &args.savings), &args.lab, quiet)?;
    if audit.is_some() {
        super::audit::check(&ground.targets)?;
    }
    let catalogue = &ground.catalogue;
    let plan = ground.plan();
    let lab = start_lab(&args.lab, &plan)?;
    let mut options = scan_options(args, lab.as_ref())?;
    let mut keeping = match Keeping::open((args, &ground.fingerprint), &plan, &options, quiet)? {
        Kept::Run(keeping) => keeping,
        Kept::Whole(kept) => {
            let wanted = Wanted {
                output: &args.output,
                exit: &args.exit,
                nagios: args.notify.nagios,
                audit: audit.map_or(WantedAudit::None, |audit| WantedAudit::Concluded(audit, &ground)),
            };
            return super::report::write(&kept.0, &kept.1, &wanted);
        }
    };
    options.seed = keeping.seed().unwrap_or(options.seed);
    let written = Options {
        revisable: options.prune,
        ..report_options(&args.output)
    };
    let mut outputs = Outputs::open(&paths(&args.output), &written)?;
    let stop = signals::watch()?;

    let started = Timestamp::now();
    let head = RunHead { started };
    let mut reports = Reports {
        catalogue,
        head,
        judge: Judge::new(catalogue, Weights::default()),
        tally: Tally::new(),
        live: None,
        ordered: Vec::new(),
        broken_pipe: false,
        files: !args.output.output.is_empty(),
        audit: audit.map(|_| Audit::default()),
        past: audit.and_then(|_| keeping.memories(&ground.targets)),
        first: args.notify.is_wanted().then(Difference::default),
        stop: &stop,
    };
    let (format, live) = match args.notify.nagios {
        true => (None, false),
        false => format(&args.output),
    };
    let out = Box::new(io::BufWriter::new(stdout()));
    if let Some(format) = format {
        match live {
            true => reports.live = Some(format.sink(out, None, &written)?),
            false if written.revisable => {
                let sink = HeldSink::new(out, format, &written)?;
                reports.ordered.push(Output::Held(sink));
            }
            false => reports.ordered.push(Output::Stdout(format.sink(out, None, &written)?)),
        }
    }
    if reports.files {
        reports.ordered.push(Output::Files(&mut outputs));
    }
    reports.each(|sink| sink.begin(&head))?;
    let mut bars = Bars::new(catalogue);
    let progress: &mut (dyn Progress + Send) = match io::stderr().is_terminal() && !quiet {
        true => &mut bars,
        false => &mut Quiet,
    };
    let scan = Scan {
        plan: &plan,
        options: &options,
    };
    if let Some(workers) = args.pace.workers.filter(|_| !quiet) {
        tell_if_alone(&scan, workers);
    }
    let mut network = RealNetwork::new(Span::from(args.ask.timeout).times(2));
    let watchers = (&mut reports as &mut (dyn Receiver + Send), progress);
    let report = scan.run_with(&mut network, rand::random(), watchers, &stop, keeping.memory())?;

    let mut lists: Vec<ListRecord> = report.lists.iter().map(|list| list_record(catalogue, list)).collect();
    let mut run = run_record(catalogue, (&plan, &options), (started, Timestamp::now()), &report);
    let places = report.lists.iter().map(|list| list.list);
    let mut usable: Vec<bool> = places
        .clone()
        .map(|list| is_usable(&report, list, args.pace.skip_health))
        .collect();
    keeping.remember(
        &reached((&plan, &options), lab.is_some(), run.finished, &report),
        run.finished,
    );
    let (mut kept, changes) = keeping.close(&mut run, (&mut lists, &mut usable), quiet);
    let usable: HashMap<ListIndex, bool> = places.zip(usable).collect();
    let usable = |list| usable.get(&list).copied().unwrap_or(false);
    reports.tally.miss(report.unreached, planned(&report));
    let tallied = reports.tally.finish(catalogue, usable);
    let audited = match (audit, reports.audit.take()) {
        (Some(args), Some(counted)) => {
            let counted = (counted, reports.past.take());
            let audited = super::audit::conclude((args, &ground), counted, (catalogue, &tallied), &stop)?;
            kept &= keeping.conclude(&audited);
            Some(audited)
        }
        _ => None,
    };
    let end = RunEnd {
        catalogue,
        run: &run,
        lists: &lists,
        audit: audited.as_ref(),
        changes: changes.as_ref(),
    };
    reports.each(|sink| sink.finish(&end))?;
    if !quiet {
        talk(catalogue, &report);
    }
    let told = match (end.changes, &reports.first) {
        _ if report.stopped.is_some() => Ok(()), // half a run has no news: what it did not reach has not changed
        (None, None) => Ok(()),
        (changes, first) => {
            let changes = changes.or(first.as_ref()).expect("one of them is there");
            let news = News {
                run: &run,
                tallied: &tallied,
                changes,
                first: end.changes.is_none(),
            };
            notify(&args.notify, &news)
        }
    };
    if told.is_err() {
        keeping.leave_untold();
    }
    let min_coverage = args.exit.min_coverage.0 / 100.0;
    if args.notify.nagios {
        writeln!(stdout(), "{}", nagios_line(&tallied, min_coverage))?;
    }
    let told = match told {
        Err(error) if args.notify.nagios => {
            talk!("reputon: {}", visible(&format!("{error:#}")));
            Ok(())
        }
        told => told,
    };
    // Where nobody reads standard output any more, that was the interruption and no signal.
    let reason = report
        .stopped
        .filter(|reason| *reason != StopReason::Interrupt || !reports.broken_pipe);
    if let Some(status) = reason.and_then(signals::status) {
        return Ok(status);
    }
    if reports.broken_pipe && !reports.files {
        return Ok(0);
    }
    if args.notify.nagios {
        return Ok(match tallied.nagios_status(min_coverage) {
            NagiosStatus::Ok if unproved(&report) > 0 => NagiosStatus::Warning.code(),
            status => status.code(),
        });
    }
    if !kept {
        return Ok(FAILED);
    }
    told?;
    let no_verdict = audited.is_some_and(|audited| audited.recommendation == Advice::NoVerdict);
    Ok(match tallied.exit_status(args.exit.fail_on.tier(), min_coverage) {
        ExitStatus::Clean if no_verdict || unproved(&report) > 0 => ExitStatus::Incomplete.code(),
        status => status.code(),
    })
}

pub(crate) fn paths(options: &OutputOptions) -> Vec<PathBuf> {
    let paths = options.output.iter().map(|output| match output.kind {
        // A final slash says that a folder is meant, whether it is there or not.
        OutputKind::Folder => output.path.join(""),
        _ => output.path.clone(),
    });
    paths.collect()
}

pub(crate) fn report_options(output: &OutputOptions) -> Options {
    Options {
        all_rows: output.all_rows,
        width: terminal::width(),
        revisable: false,
        colour: terminal::colour(),
    }
}

/// What goes to standard output, and whether as it comes.
pub(crate) fn format(options: &OutputOptions) -> (Option<Format>, bool) {
    let default = match io::stdout().is_terminal() {
        true => ScanFormat::Table,
        false => ScanFormat::Jsonl,
    };
    match options.format.unwrap_or(default) {
        ScanFormat::Table => (Some(Format::Table), false),
        ScanFormat::Jsonl => (Some(Format::Jsonl), true),
        ScanFormat::Json => (Some(Format::Json), false),
        ScanFormat::Csv => (Some(Format::ListingsCsv), false),
        ScanFormat::Md => (Some(Format::Markdown), false),
        ScanFormat::None => (None, false),
    }
}
