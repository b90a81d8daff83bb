//! `reputon bench`: how many questions a second this machine asks, of the embedded responder or of a server that is named, and
//! what that costs it.
//!
//! A server on this machine is asked as fast as it answers. Any other gets few questions at a modest rate unless more is
//! asked for, and it is said what is sent to whom: a bench is a flood, and somebody's. The questions are for names below a
//! zone that does not exist (`.test`, RFC 6761), so that nobody's list is asked.

use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr};

use anyhow::Context;
use nix::sys::resource::{UsageWho, getrusage};
use reputon::clock::Span;
use reputon::dnsxl::{Catalogue, ListIndex};
use reputon::lab::{Lab, LabOptions, rehearse};
use reputon::plan::{Keys, Plan};
use reputon::report::{to_json, visible};
use reputon::scan::{RealNetwork, RunReport, Scan, ScanOptions, Workers};
use reputon::targets::{ReadOptions, TargetSet};
use serde_json::json;

use crate::cli::args::BenchArgs;
use crate::cli::options::TextChoice;
use crate::cli::progress::Quiet;
use crate::cli::records::tell_if_alone;
use crate::cli::server::Server;
use crate::cli::signals;
use crate::cli::stdout::stdout;
use crate::cli::talk::talk;

/// Questions to a server on this machine: the whole benchmarking block, 198.18.0.0/15 (RFC 2544).
pub(crate) const QUERIES_MAX: u32 = 1 << 17;

/// Questions to any other, and how many of them a second, unless more is asked for.
const QUERIES_POLITE: u32 = 500;
const RATE_POLITE: u32 = 50;

/// Queries in flight to a server on this machine.
const WINDOW: u32 = 1_000;

/// Runs the bench; the exit status is 0 unless nothing was answered, then 3.
pub(crate) fn run(args: &BenchArgs, quiet: bool) -> anyhow::Result<u8> {
    let catalogue = catalogue(&args.zone.to_string()).context("--zone")?;
    let lists = [ListIndex(0)];
    let near = args.server.as_ref().is_none_or(Server::is_loopback);
    let queries = args.queries.unwrap_or(if near { QUERIES_MAX } else { QUERIES_POLITE });
    let rate = args.rate.unwrap_or(if near { 0 } else { RATE_POLITE });
    let targets = targets(queries)?;
    let plan = Plan::new(&catalogue, &targets, &lists, &Keys::new());
    let lab = match args.server {
        Some(_) => None,
        None => Some(embedded(&plan)?),
    };
    let server = match (&args.server, &lab) {
        (Some(server), _) => server.find()?,
        (None, lab) => lab.as_ref().expect("started for want of a server").addr(),
    };
    if !near && !quiet {
        talk!(
            "reputon: asking {server} {queries} names below {} at {rate} a second: only where whoever runs it agrees",
            visible(&args.zone.to_string())
        );
    }
    let options = ScanOptions {
        resolvers: vec![server],
        rate_qps: (rate > 0).then_some(f64::from(rate)),
        window_max: args.window.map(u32::from).or(near.then_some(WINDOW)),
        timeout: args.ask.timeout.into(),
        retries: args.ask.retries,
        workers: Workers::Exactly(args.workers),
        trains: !args.no_gso,
        // It is the server that is looked at, and no list.
        skip_health: true,
        ..ScanOptions::default()
    };
    let scan = Scan {
        plan: &plan,
        options: &options,
    };
    let stop = signals::watch()?;
    let mut network = RealNetwork::new(Span::from(args.ask.timeout).times(2));
    if !quiet {
        tell_if_alone(&scan, args.workers);
    }
    // The embedded responder has threads of its own, and so have workers.
    let who = match (&lab, args.workers.get()) {
        (Some(_), 1) => Some(UsageWho::RUSAGE_THREAD),
        (Some(_), _) => None,
        (None, _) => Some(UsageWho::RUSAGE_SELF),
    };
    let before = who.map(cpu).transpose()?;
    let report = scan.run(&mut network, rand::random(), (&mut (), &mut Quiet), &stop)?;
    let after = who.map(cpu).transpose()?;
    let cpu = after.zip(before).map(|(after, before)| after - before);
    write(args, (server, lab.is_some()), &report, cpu)?;
    Ok(if report.answered == 0 { 3 } else { 0 })
}

fn write(
    args: &BenchArgs,
    (server, embedded): (SocketAddr, bool),
    report: &RunReport,
    cpu: Option<f64>,
) -> io::Result<()> {
    let sent = report.counters.sent.max(1);
    let seconds = report.elapsed.as_secs_f64().max(1e-9);
    let per_second = report.answered as f64 / seconds;
    let nanoseconds = cpu.map(|cpu| cpu * 1e9 / sent as f64);
    let mut out = stdout();
    if args.format.is_json() {
        let record = json!({
            "server": server.to_string(),
            "embedded": embedded,
            "queries": report.planned,
            "answered": report.answered,
            "sent": report.counters.sent,
            "sent_again": report.counters.retried,
            "workers": report.workers,
            "seconds": seconds,
            "queries_per_second": per_second,
            "cpu_seconds": cpu,
            "cpu_ns_per_query": nanoseconds,
            "stopped": report.stopped.is_some(),
        });
        return writeln!(out, "{}", to_json(&record));
    }
    let what = if embedded {
        " (embedded, on this machine's other cores)"
    } else {
        ""
    };
    writeln!(out, "server              {server}{what}")?;
    writeln!(out, "answered            {} of {}", report.answered, report.planned)?;
    writeln!(
        out,
        "sent                {} ({} again)",
        report.counters.sent, report.counters.retried
    )?;
    writeln!(out, "time                {seconds:.2} s")?;
    writeln!(out, "queries per second  {per_second:.0}")?;
    match nanoseconds {
        Some(nanoseconds) => writeln!(out, "CPU per query       {nanoseconds:.0} ns of this side"),
        None => Ok(()), // the embedded responder's cannot be told apart
    }
}

/// A catalogue of one list that does not exist.
fn catalogue(zone: &str) -> anyhow::Result<Catalogue> {
    let text = format!(
        "[operator]\nid = \"bench\"\nname = \"Bench\"\n[operator.terms]\nuse = \"free\"\n[[list]]\nid = \"bench\"\nzone = {zone:?}\n\
         kinds = [\"ip4\"]\nrole = \"block\"\ntier = \"B\"\ntxt = false\n"
    );
    Ok(Catalogue::parse(&[("bench", &text)])?)
}

/// So many addresses of the benchmarking block.
fn targets(count: u32) -> anyhow::Result<TargetSet> {
    let first = Ipv4Addr::new(198, 18, 0, 0);
    let last = Ipv4Addr::from_bits(first.to_bits() + count.clamp(1, QUERIES_MAX) - 1);
    let range = [format!("{first}-{last}")];
    Ok(TargetSet::read(&range, &mut io::empty(), ReadOptions::default())?)
}

fn embedded(plan: &Plan<'_>) -> anyhow::Result<Lab> {
    let questions = plan.columns[0].questions.as_ref();
    let list = plan.catalogue.list(plan.columns[0].list);
    let served = rehearse(list, questions.expect("a list without key or end"));
    Lab::start(LabOptions {
        lists: vec![served],
        ..Default::default()
    })
    .context("the embedded responder cannot start")
}

/// CPU time so far, user and system, in seconds.
fn cpu(who: UsageWho) -> anyhow::Result<f64> {
    let usage = getrusage(who).context("CPU time")?;
    let seconds = |time: nix::sys::time::TimeVal| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6;
    Ok(seconds(usage.user_time()) + seconds(usage.system_time()))
}

impl crate::cli::options::TextFormat {
    fn is_json(&self) -> bool {
        use std::io::IsTerminal;
        match self.format {
            Some(choice) => choice == TextChoice::Json,
            None => !io::stdout().is_terminal(),
        }
    }
}
