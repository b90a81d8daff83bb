//! `reputon scan`: targets and lists in, reports and an exit status out.

use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;

use anyhow::{Context, bail};
use jiff::Timestamp;
use reputon::clock::Span;
use reputon::dnsxl::{Catalogue, ListIndex, Questions};
use reputon::dossier::Dossier;
use reputon::lab::{Lab, LabOptions};
use reputon::plan::Plan;
use reputon::report::{
    Format, Health, Judged, ListRecord, Options, Outputs, RunEnd, RunHead, RunRecord, Sink, visible,
};
use reputon::scan::{
    ListReport, Order, Progress, RealNetwork, Receiver, RunReport, Scan, ScanOptions, Stop, StopReason,
};
use reputon::targets::{Ip6Unit, ReadOptions, TargetSet};
use reputon::verdict::{Judge, Tally, Weights};

use crate::cli::args::ScanArgs;
use crate::cli::options::{FailOn, LabOptions as LabArgs, OutputOptions, ScanFormat, TargetOptions};
use crate::cli::progress::{Bars, Quiet};
use crate::cli::values::OutputKind;
use crate::cli::{build, signals};

/// Columns of a table where the terminal does not say.
const WIDTH_DEFAULT: u16 = 100;

/// Mismatched replies in a run that are worth a warning: some come late on every network.
const MISMATCHES_MAX: u64 = 100;

/// Scans.
pub(crate) fn run(args: &ScanArgs, quiet: bool) -> anyhow::Result<u8> {
    let targets = targets(&args.targets)?;
    if !args.stages.stages.0.is_empty() && !quiet {
        eprintln!("reputon: stages are not part of a scan in this version: the lists alone are asked");
    }
    let catalogue = match args.lab.lab {
        true => build::lab_catalogue()?,
        false => build::catalogue(&args.lists.catalogue, quiet)?,
    };
    let rehearsed = !args.lab.lab_catalogue.is_empty();
    let selectors = if rehearsed {
        &args.lab.lab_catalogue
    } else {
        &args.lists.lists
    };
    let selected = catalogue.select(selectors)?;
    let mut keys = build::keys(&args.lists.keys, &catalogue)?;
    if rehearsed {
        // Nothing leaves the machine, so that any key does.
        for operator in catalogue.operators() {
            let key = reputon::dnsxl::Key::new("rehearsal").expect("a plain word");
            keys.entry(operator.id.clone()).or_insert(key);
        }
    }
    let plan = Plan::new(&catalogue, &targets, &selected, &keys);
    let lab = lab(&args.lab, &plan)?;
    let options = scan_options(args, lab.as_ref())?;
    let mut outputs = Outputs::open(&paths(&args.output), &report_options(args))?;
    let stop = signals::watch()?;

    let started = Timestamp::now();
    let head = RunHead {
        catalogue: &catalogue,
        started,
    };
    let mut reports = Reports {
        catalogue: &catalogue,
        judge: Judge::new(&catalogue, Weights::default()),
        tally: Tally::new(),
        live: None,
        ordered: Vec::new(),
        broken_pipe: false,
        files: !args.output.output.is_empty(),
        stop: &stop,
    };
    let (format, live) = format(&args.output);
    let stdout = Box::new(io::BufWriter::new(io::stdout()));
    if let Some(format) = format {
        let sink = format.sink(stdout, None, &report_options(args))?;
        match live {
            true => reports.live = Some(sink),
            false => reports.ordered.push(Output::Stdout(sink)),
        }
    }
    if reports.files {
        reports.ordered.push(Output::Files(&mut outputs));
    }
    reports.each(|sink| sink.begin(&head))?;
    let mut bars = Bars::new(&catalogue);
    let progress: &mut dyn Progress = match io::stderr().is_terminal() && !quiet {
        true => &mut bars,
        false => &mut Quiet,
    };
    let scan = Scan {
        plan: &plan,
        options: &options,
    };
    let mut network = RealNetwork::new(Span::from(args.ask.timeout).times(2));
    let report = scan.run(&mut network, rand::random(), (&mut reports, progress), &stop)?;

    let lists: Vec<ListRecord> = report.lists.iter().map(|list| list_record(&catalogue, list)).collect();
    let run = run_record(&catalogue, (&plan, &options), (started, Timestamp::now()), &report);
    let end = RunEnd {
        catalogue: &catalogue,
        run: &run,
        lists: &lists,
    };
    reports.each(|sink| sink.finish(&end))?;
    let tallied = reports
        .tally
        .finish(&catalogue, |list| is_usable(&report, list, args.pace.skip_health));
    if !quiet {
        talk(&catalogue, &report);
    }
    Ok(match report.stopped {
        Some(StopReason::Interrupt) if !reports.broken_pipe => signals::INTERRUPTED,
        Some(StopReason::Terminate) => signals::TERMINATED,
        _ if reports.broken_pipe && !reports.files => 0,
        _ => {
            let fail_on = match args.exit.fail_on {
                FailOn::A => reputon::dnsxl::Tier::A,
                FailOn::B => reputon::dnsxl::Tier::B,
                FailOn::C => reputon::dnsxl::Tier::C,
            };
            tallied.exit_status(fail_on, args.exit.min_coverage.0 / 100.0).code()
        }
    })
}

fn targets(options: &TargetOptions) -> anyhow::Result<TargetSet> {
    let stdin = io::stdin();
    let mut arguments = options.targets.clone();
    if arguments.is_empty() {
        if stdin.is_terminal() {
            bail!("no targets: name addresses, prefixes or domains, @FILE, or - for standard input");
        }
        arguments.push("-".into());
    }
    let read = ReadOptions {
        ip6_unit: match options.ip6_unit {
            Some(_) => Ip6Unit::Prefix64,
            None => Ip6Unit::Address,
        },
    };
    let targets = TargetSet::read(&arguments, &mut stdin.lock(), read)?;
    if targets.is_empty() {
        bail!("no targets: the input has none but blank lines and comments");
    }
    Ok(targets)
}

/// Starts the embedded world, if the run is a rehearsal.
fn lab(options: &LabArgs, plan: &Plan<'_>) -> anyhow::Result<Option<Lab>> {
    let lists = match (options.lab, options.lab_catalogue.is_empty()) {
        (false, true) => return Ok(None),
        (true, _) => Vec::new(),
        (false, false) => {
            let lists: Vec<ListIndex> = plan.columns.iter().map(|column| column.list).collect();
            let questions = |list: ListIndex| -> Option<Questions> {
                let column = plan.columns.iter().find(|column| column.list == list)?;
                column.questions.as_ref().ok().cloned()
            };
            super::lab::served(plan.catalogue, &lists, questions)
        }
    };
    let lab = Lab::start(LabOptions {
        lists,
        ..LabOptions::default()
    });
    Ok(Some(lab.context("the embedded world cannot start")?))
}

fn scan_options(args: &ScanArgs, lab: Option<&Lab>) -> anyhow::Result<ScanOptions> {
    Ok(ScanOptions {
        resolvers: match lab {
            Some(lab) => vec![lab.addr()],
            None => build::resolvers(&args.path)?,
        },
        routes: args
            .path
            .route
            .iter()
            .map(|route| (route.zone.clone(), route.server.0))
            .collect(),
        // The lab is on this machine, and nobody's guest.
        rate_qps: (args.pace.rate > 0 && lab.is_none()).then_some(f64::from(args.pace.rate)),
        window_max: args.pace.window.map(u32::from),
        timeout: args.ask.timeout.into(),
        retries: args.ask.retries,
        ignore_budgets: args.pace.ignore_budgets || lab.is_some(),
        skip_health: args.pace.skip_health,
        seed: args.pace.seed.unwrap_or_else(rand::random),
        max_time: args.pace.max_time.map(Span::from),
    })
}

fn paths(options: &OutputOptions) -> Vec<PathBuf> {
    let paths = options.output.iter().map(|output| match output.kind {
        // A final slash says that a folder is meant, whether it is there or not.
        OutputKind::Folder => output.path.join(""),
        _ => output.path.clone(),
    });
    paths.collect()
}

fn report_options(args: &ScanArgs) -> Options {
    let terminal = io::stdout().is_terminal();
    Options {
        all_rows: args.output.all_rows,
        width: std::env::var("COLUMNS")
            .ok()
            .and_then(|text| text.parse().ok())
            .unwrap_or(WIDTH_DEFAULT),
        colour: terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()),
    }
}

/// What goes to standard output, and whether as it comes.
fn format(options: &OutputOptions) -> (Option<Format>, bool) {
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

/// A sink that is fed in input order.
enum Output<'a> {
    Stdout(Box<dyn Sink>),
    Files(&'a mut Outputs),
}

/// All sinks, and the tally.
struct Reports<'a> {
    catalogue: &'a Catalogue,
    judge: Judge<'a>,
    tally: Tally,
    /// Standard output, if it takes dossiers as they come.
    live: Option<Box<dyn Sink>>,
    ordered: Vec<Output<'a>>,
    /// Nobody reads standard output any more.
    broken_pipe: bool,
    files: bool,
    stop: &'a Stop,
}

impl Reports<'_> {
    /// Does something to every sink. A broken pipe ends standard output, and the run if nothing else is written.
    fn each(&mut self, mut act: impl FnMut(&mut dyn Sink) -> io::Result<()>) -> io::Result<()> {
        if let Some(live) = &mut self.live {
            let result = act(live.as_mut());
            self.stdout_done(result)?;
        }
        self.each_ordered(act)
    }

    fn each_ordered(&mut self, mut act: impl FnMut(&mut dyn Sink) -> io::Result<()>) -> io::Result<()> {
        let mut results = Vec::new();
        for output in &mut self.ordered {
            match output {
                Output::Stdout(sink) => results.push(act(sink.as_mut())),
                Output::Files(files) => act(*files)?,
            }
        }
        results.into_iter().try_for_each(|result| self.stdout_done(result))
    }

    fn stdout_done(&mut self, result: io::Result<()>) -> io::Result<()> {
        match result {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                self.live = None;
                self.ordered.retain(|output| matches!(output, Output::Files(_)));
                self.broken_pipe = true;
                if !self.files {
                    self.stop.request(StopReason::Interrupt);
                }
                Ok(())
            }
            result => result,
        }
    }
}

impl Receiver for Reports<'_> {
    fn take(&mut self, dossier: &Dossier, order: Order) -> io::Result<()> {
        if order == Order::AsClosed {
            self.tally.add(dossier);
            if self.live.is_none() {
                return Ok(());
            }
        }
        let judgement = self.judge.judge(dossier);
        let judged = Judged {
            catalogue: self.catalogue,
            dossier,
            judgement: &judgement,
        };
        match (order, &mut self.live) {
            (Order::AsClosed, Some(live)) => {
                let result = live.target(&judged);
                self.stdout_done(result)
            }
            (Order::AsClosed, None) => Ok(()),
            (Order::Input, _) => self.each_ordered(|sink| sink.target(&judged)),
        }
    }

    fn wants_input_order(&self) -> bool {
        !self.ordered.is_empty()
    }
}

/// Whether a list was healthy when the run began to ask it.
fn is_usable(report: &RunReport, list: ListIndex, unchecked: bool) -> bool {
    let found = report.lists.iter().find(|one| one.list == list);
    found.is_some_and(|one| one.healthy_at_start.unwrap_or(unchecked))
}

fn list_record(catalogue: &Catalogue, report: &ListReport) -> ListRecord {
    let health = match (report.healthy_at_start, &report.fault) {
        (Some(_), Some(_)) | (Some(false), None) => Health::Unhealthy,
        (Some(true), None) => Health::Healthy,
        (None, _) => Health::Unchecked,
    };
    ListRecord {
        health,
        cause: report.fault.as_ref().map(|fault| fault.state.as_str().to_owned()),
        asked: report.asked,
        listed: report.listed,
        not_listed: report.not_listed,
        unknown: report.unknown,
        not_asked: report.not_asked,
        ..ListRecord::new(catalogue, report.list)
    }
}

fn run_record(
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
        folded: 0,
        pruned: 0,
        complete: match report.planned {
            0 => 0.0,
            planned => report.answered as f64 / planned as f64,
        },
        queries,
    }
}

/// Says on standard error what went wrong, and how to mend it.
fn talk(catalogue: &Catalogue, report: &RunReport) {
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
    let counters = report.counters;
    let mismatches = counters.wrong_peer + counters.wrong_question;
    if mismatches > MISMATCHES_MAX {
        say(format!(
            "{mismatches} replies did not fit what was asked and were dropped: somebody may be forging answers"
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
