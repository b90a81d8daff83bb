//! Several threads that ask (`--workers`), through the binary and on real sockets: what they hand out is what one hands out,
//! whatever ends them; and where there can be but one, that is said.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use reputon::clock::Span;
use reputon::datagram::{Batch, Port, Received, TcpFailure, TcpKey, TcpQuery};
use reputon::dnsxl::Catalogue;
use reputon::dossier::Dossier;
use reputon::lab::{CATALOGUE, Lab, LabOptions};
use reputon::plan::{Keys, Plan};
use reputon::scan::{
    Network, Order, Progress, RealNetwork, Receiver, RunReport, Scan, ScanOptions, Snapshot, Stop, Workers,
};
use reputon::targets::{ReadOptions, TargetSet};
use serde_json::Value;
use tempfile::TempDir;

/// Longer than anything takes here.
const PATIENCE: Duration = Duration::from_secs(120);

/// 16,640 addresses, of which the last 256 have listings, on all lists of the world: 65 tiles.
const BLOCKS: [&str; 2] = ["198.18.0.0/18", "203.0.113.0/24"];

fn scan(folder: &Path, name: &str, more: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_reputon"));
    command.args(["--config", "none", "scan", "--lab", "--stages", "none", "-f", "none"]);
    command.args(BLOCKS).args(more);
    command.arg("--db").arg(folder.join(format!("{name}.db")));
    for kind in ["csv", "targets.csv", "json"] {
        command.arg("-o").arg(folder.join(format!("{name}.{kind}")));
    }
    command.stdout(Stdio::null()).stderr(Stdio::piped());
    command
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// What a scan wrote: tables, and the lists' and the run's own records without what differs from run to run.
fn written(folder: &Path, name: &str) -> [String; 3] {
    let read = |kind: &str| fs::read_to_string(folder.join(format!("{name}.{kind}"))).expect("it was written");
    let mut document: Value = serde_json::from_str(&read("json")).expect("JSON");
    for name in [
        "started",
        "finished",
        "seed",
        "asked",
        "retried",
        "queries",
        "resolvers",
        "elapsed",
        "id",
    ] {
        document["run"].as_object_mut().expect("the run").remove(name);
    }
    for list in document["lists"].as_array_mut().expect("lists") {
        for name in ["asked", "packets", "rtt_ms", "fault", "why"] {
            list.as_object_mut().expect("a list").remove(name);
        }
    }
    [read("csv"), read("targets.csv"), document.to_string()]
}

#[test]
fn several_write_what_one_writes() {
    let folder = TempDir::new().expect("a folder");
    for (name, workers) in [("one", "1"), ("three", "3"), ("eight", "8")] {
        let output = scan(folder.path(), name, &["--workers", workers])
            .output()
            .expect("it runs");
        assert_eq!(output.status.code(), Some(1), "{}", said(&output));
        assert!(!said(&output).contains("one thread asks"), "{}", said(&output));
    }
    let one = written(folder.path(), "one");
    assert!(one[0].lines().count() > 50, "something is listed");
    for name in ["three", "eight"] {
        assert_eq!(one, written(folder.path(), name), "{name}");
    }
}

/// Killed at any moment, by whom ever goes on.
#[test]
fn a_run_of_several_that_is_killed_goes_on_to_the_same_report() {
    let folder = TempDir::new().expect("a folder");
    let whole = scan(folder.path(), "whole", &[]).output().expect("it runs");
    assert_eq!(whole.status.code(), Some(1), "{}", said(&whole));
    let slowly = ["--workers", "4", "--window", "4"];
    let mut cut = 0;
    for (name, wait, next) in [("soon", 150, "4"), ("later", 500, "4"), ("alone", 400, "1")] {
        let mut killed = scan(folder.path(), name, &slowly).spawn().expect("it starts");
        thread::sleep(Duration::from_millis(wait));
        killed.kill().expect("it is ours");
        cut += u32::from(killed.wait().expect("it ended").code().is_none());
        let resume = ["--resume", "--workers", next];
        let output = scan(folder.path(), name, &resume).output().expect("it runs");
        assert_eq!(output.status.code(), Some(1), "{}", said(&output));
        assert_eq!(written(folder.path(), "whole"), written(folder.path(), name), "{name}");
    }
    assert!(cut > 0, "none was killed before its end");
}

#[test]
fn several_that_are_interrupted_tell_what_they_know_and_go_on() {
    let folder = TempDir::new().expect("a folder");
    let whole = scan(folder.path(), "whole", &[]).output().expect("it runs");
    assert_eq!(whole.status.code(), Some(1), "{}", said(&whole));
    let cut = ["--workers", "4", "--window", "4", "--max-time", "1s"];
    let output = scan(folder.path(), "cut", &cut).output().expect("it runs");
    assert_eq!(output.status.code(), Some(3), "{}", said(&output));
    let [.., document] = written(folder.path(), "cut");
    let document: Value = serde_json::from_str(&document).expect("JSON");
    let complete = document["run"]["complete"].as_f64().expect("a share");
    assert!(complete > 0.0 && complete < 1.0, "{complete}");
    let output = scan(folder.path(), "cut", &["--resume", "--workers", "4"])
        .output()
        .expect("it runs");
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert_eq!(written(folder.path(), "whole"), written(folder.path(), "cut"));
}

#[test]
fn a_report_that_cannot_be_written_ends_them_all() {
    let folder = TempDir::new().expect("a folder");
    let mut command = scan(folder.path(), "full", &["--workers", "4", "-f", "jsonl"]);
    command.stdout(fs::File::options().write(true).open("/dev/full").expect("it is there"));
    let mut child = command.spawn().expect("it starts");
    let begun = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().expect("it is ours") {
            break status;
        }
        assert!(begun.elapsed() < PATIENCE, "the others wait for ever");
        thread::sleep(Duration::from_millis(20));
    };
    assert_eq!(status.code(), Some(2));
}

#[test]
fn where_there_can_be_but_one_it_is_said() {
    let folder = TempDir::new().expect("a folder");
    let why = |more: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_reputon"));
        command.args([
            "--config",
            "none",
            "scan",
            "192.0.2.1",
            "-f",
            "none",
            "--db",
            "none",
            "--workers",
            "4",
        ]);
        command.current_dir(folder.path()).args(more);
        said(&command.output().expect("it runs"))
    };
    let lab = |more: &[&str]| why(&[&["--lab"], more].concat());
    assert!(lab(&[]).contains("one thread asks and not 4: what stages look up is known to one"));
    assert!(!lab(&["--stages", "none"]).contains("one thread asks"));
    assert!(!lab(&["-q"]).contains("one thread asks"));
    let nobody = [
        "--resolver",
        "127.0.0.1:9",
        "--timeout",
        "0.1",
        "--retries",
        "0",
        "--stages",
        "none",
    ];
    let from = |more: &[&str]| why(&[&nobody, more].concat());
    assert!(from(&[]).contains("the rate is one for all (--rate 0: none)"));
    assert!(lab(&["--stages", "none", "--window", "1"]).contains("one query in flight is one thread's"));
    assert!(from(&["--rate", "0", "--lists", "spamhaus-zen"]).contains("the operator of spamhaus-zen sets a limit"));
    assert!(!from(&["--rate", "0", "--lists", "spamhaus-zen", "--ignore-budgets"]).contains("one thread asks"));
}

/// It is the servers of the lists that count: whom a route leads to, and not the resolver that is there for others.
#[test]
fn the_servers_are_those_that_lists_are_asked_through() {
    let catalogue = Catalogue::parse(&[("lab.toml", CATALOGUE)]).expect("the lab's own");
    let lists = catalogue.select(&["lab-brute".to_owned()]).expect("it is there");
    let targets = TargetSet::read(&["198.18.0.0/24".to_owned()], &mut io::empty(), ReadOptions::default());
    let targets = targets.expect("good targets");
    let plan = Plan::new(&catalogue, &targets, &lists, &Keys::new());
    let zone = catalogue.list(lists[0]).zone.clone();
    let why = |zone: &str, server: &str| {
        let options = ScanOptions {
            resolvers: vec!["192.0.2.53:53".parse().expect("an address")],
            routes: vec![(zone.parse().expect("a name"), server.parse().expect("an address"))],
            ignore_budgets: true,
            ..ScanOptions::default()
        };
        let scan = Scan {
            plan: &plan,
            options: &options,
        };
        scan.why_one_worker()
    };
    let far = Some("192.0.2.53:53 is not on this machine or its network".to_owned());
    assert_eq!(why(&zone, "127.0.0.1:5300"), None);
    assert_eq!(why(&zone, "10.0.0.1:53"), None);
    assert_eq!(why("other.test", "127.0.0.1:5300"), far);
    assert_eq!(why(&zone, "192.0.2.53:53"), far);
}

/// Fails at the hundredth dossier, in one way or the other.
struct Clumsy {
    taken: u32,
    panics: bool,
}

impl Receiver for Clumsy {
    fn take(&mut self, _: &Dossier, order: Order) -> io::Result<()> {
        self.taken += u32::from(order == Order::AsClosed);
        match self.taken {
            5_000.. if self.panics => panic!("clumsy"),
            5_000.. => Err(io::Error::other("clumsy")),
            _ => Ok(()),
        }
    }

    fn revise(&mut self, _: &Dossier, _: &Dossier) -> io::Result<()> {
        Ok(())
    }

    fn start_over(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn wants_input_order(&self) -> bool {
        true
    }
}

struct Last(Vec<Snapshot>);

impl Progress for Last {
    fn show(&mut self, snapshot: &Snapshot) {
        self.0.push(snapshot.clone());
    }
}

/// Runs four workers over the blocks, with this receiver.
fn together(receiver: &mut (dyn Receiver + Send), watch: &mut Last) -> Result<u32, String> {
    let workers = Workers::Exactly(4.try_into().expect("not 0"));
    let mut network = RealNetwork::new(Span::from_secs(6));
    scanned(&mut network, &BLOCKS, (workers, None), (receiver, watch)).map(|report| report.workers)
}

/// Scans blocks.
fn scanned<N: Network>(
    network: &mut N,
    blocks: &[&str],
    (workers, window_max): (Workers, Option<u32>),
    watchers: (&mut (dyn Receiver + Send), &mut (dyn Progress + Send)),
) -> Result<RunReport, String> {
    let catalogue = Catalogue::parse(&[("lab.toml", CATALOGUE)]).expect("the lab's own");
    let lists = catalogue.select(&["lab-brute".to_owned()]).expect("it is there");
    let typed: Vec<String> = blocks.iter().map(|&block| block.to_owned()).collect();
    let targets = TargetSet::read(&typed, &mut io::empty(), ReadOptions::default()).expect("good targets");
    let lab = Lab::start(LabOptions::default()).expect("loopback");
    let plan = Plan::new(&catalogue, &targets, &lists, &Keys::new());
    let options = ScanOptions {
        resolvers: vec![lab.addr()],
        ignore_budgets: true,
        workers,
        window_max,
        ..ScanOptions::default()
    };
    let scan = Scan {
        plan: &plan,
        options: &options,
    };
    let report = scan.run(network, [1; 32], watchers, &Stop::new());
    report.map_err(|error| error.to_string())
}

#[test]
fn what_ends_one_ends_all() {
    let mut watch = Last(Vec::new());
    let (mut fails, mut panics) = (
        Clumsy {
            taken: 0,
            panics: false,
        },
        Clumsy { taken: 0, panics: true },
    );
    assert_eq!(together(&mut fails, &mut watch), Err("clumsy".to_owned()));
    assert!(fails.taken < 5_000 + 4 * 256, "nobody goes on: {}", fails.taken);
    let ended = catch_unwind(AssertUnwindSafe(|| together(&mut panics, &mut watch)));
    assert!(ended.is_err(), "the panic is not swallowed");
}

/// Whom the server refuses everything.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Refused {
    Nobody,
    Others,
    Everybody,
    /// The others get no reply at all.
    Silently,
}

/// Sockets of somebody who says whether he is at work all the time, or never.
struct Told {
    real: RealNetwork,
    works: bool,
    refused: Refused,
    helps: bool,
}

impl Told {
    fn new(works: bool, refused: Refused) -> Told {
        Told {
            real: RealNetwork::new(Span::from_secs(6)),
            works,
            refused,
            helps: false,
        }
    }
}

impl Network for Told {
    fn now(&self) -> reputon::clock::Instant {
        self.real.now()
    }

    fn open_port(&mut self, like: SocketAddr, connect: bool) -> io::Result<Port> {
        self.real.open_port(like, connect)
    }

    fn send(&mut self, batch: &Batch) {
        self.real.send(batch);
    }

    fn receive(&mut self, deliver: &mut dyn FnMut(Received<'_>)) -> usize {
        let refused = self.refused == Refused::Everybody;
        if self.refused == Refused::Silently && self.helps {
            return self.real.receive(&mut |_| ());
        }
        self.real.receive(&mut |received| {
            let mut octets = received.octets.to_vec();
            if refused {
                octets[3] = octets[3] & 0xf0 | 5;
                octets[6..12].fill(0);
                octets.truncate(12 + octets[12..].iter().position(|octet| *octet == 0).unwrap_or(0) + 5);
            }
            deliver(Received {
                octets: &octets,
                ..received
            });
        })
    }

    fn ask_tcp(&mut self, query: TcpQuery) -> Result<(), TcpKey> {
        self.real.ask_tcp(query)
    }

    fn poll_tcp(&mut self) -> Option<(TcpKey, Result<Vec<u8>, TcpFailure>)> {
        self.real.poll_tcp()
    }

    fn wait(&mut self, until: reputon::clock::Instant) {
        self.real.wait(until);
    }

    fn worked(&self) -> Option<Span> {
        let since = if self.works {
            self.real.now()
        } else {
            reputon::clock::Instant::ZERO
        };
        Some(since.since(reputon::clock::Instant::ZERO))
    }

    fn another(&self) -> Option<Told> {
        Some(Told {
            real: self.real.another()?,
            works: self.works,
            refused: match self.refused {
                Refused::Others | Refused::Everybody => Refused::Everybody,
                same => same,
            },
            helps: true,
        })
    }
}

/// Who has its hands full calls another, as long as there are cores; who waits for the server, or for whom there is no core,
/// calls nobody. More than may be in flight are not called, and where the user has said how many that are, one asks.
#[test]
fn the_number_follows_load_cores_and_window() {
    let within = |cores: usize| Workers::Within(cores.try_into().expect("not 0"));
    // Some seconds of work, if it is not cut: many times what it takes to see that somebody is busy.
    let asked = |block: &str, workers, window, works| {
        let mut network = Told::new(works, Refused::Nobody);
        let watchers = (&mut () as &mut (dyn Receiver + Send), &mut Last(Vec::new()) as _);
        let report = scanned(&mut network, &[block], (workers, window), watchers);
        report.expect("nothing of our own fails").workers
    };
    assert_eq!(
        asked("198.18.0.0/16", within(4), None, true),
        3,
        "one core is the server's"
    );
    assert_eq!(asked("198.18.0.0/16", within(4), None, false), 1);
    assert_eq!(asked("198.18.0.0/16", within(2), None, true), 1);
    assert_eq!(asked("198.18.0.0/17", within(4), Some(100), true), 1);
    let four = Workers::Exactly(4.try_into().expect("not 0"));
    assert_eq!(asked("198.18.0.0/19", four, Some(3), true), 3);
}

/// Who finds a list broken that works for the first is fast, because it asks nothing: it leaves the tiles to the first, and as
/// nothing came of it, says nothing. What is broken for everybody is unknown as soon as ever.
#[test]
fn who_is_refused_leaves_the_tiles_to_who_is_not() {
    let four = Workers::Exactly(4.try_into().expect("not 0"));
    let report = |refused| {
        let mut network = Told::new(true, refused);
        let watchers = (&mut () as &mut (dyn Receiver + Send), &mut Last(Vec::new()) as _);
        scanned(&mut network, &BLOCKS, (four, None), watchers).expect("nothing of our own fails")
    };
    let some = report(Refused::Others);
    assert_eq!((some.workers, some.planned, some.answered), (4, 16_640, 16_640));
    assert_eq!(
        (some.lists[0].healthy_at_start, &some.lists[0].fault),
        (Some(true), &None)
    );
    let none = report(Refused::Everybody);
    assert_eq!((none.workers, none.planned, none.answered), (4, 16_640, 0));
    assert_eq!(none.lists[0].healthy_at_start, Some(false));
}

/// Who has not even found out about the resolver when all tiles are taken is not waited for.
#[test]
fn who_comes_too_late_is_not_waited_for() {
    let four = Workers::Exactly(4.try_into().expect("not 0"));
    let mut network = Told::new(true, Refused::Silently);
    let watchers = (&mut () as &mut (dyn Receiver + Send), &mut Last(Vec::new()) as _);
    let report = scanned(&mut network, &BLOCKS, (four, None), watchers).expect("nothing of our own fails");
    assert_eq!((report.workers, report.answered), (4, 16_640));
    assert!(report.resolver_faults.is_empty(), "{:?}", report.resolver_faults);
}

/// The CPU time of a thread is its own.
#[test]
fn who_sleeps_does_not_work() {
    let network = RealNetwork::new(Span::from_secs(6));
    let worked = || network.worked().expect("Linux knows").as_secs_f64();
    let before = worked();
    thread::sleep(Duration::from_millis(300));
    assert!(worked() - before < 0.1, "{}", worked() - before);
    let begun = worked();
    while worked() - begun < 0.05 {} // it ends, because this is work
}

#[test]
fn progress_is_that_of_all() {
    let mut watch = Last(Vec::new());
    assert_eq!(together(&mut (), &mut watch), Ok(4));
    let last = watch.0.last().expect("a last one");
    assert_eq!((last.targets, last.targets_done, last.in_flight), (16_640, 16_640, 0));
    assert!(last.targets_listed > 0 && last.asked >= 16_640 && last.sent >= last.asked);
    let lasts = watch.0.iter().filter(|snapshot| snapshot.last);
    assert_eq!(lasts.count(), 1, "the last is told once");
    let done = watch.0.iter().map(|snapshot| snapshot.targets_done);
    assert!(done.is_sorted(), "nobody's are forgotten");
}

/// One that is called in the midst does not set the others back.
#[test]
fn progress_does_not_go_back_where_another_is_called() {
    let mut watch = Last(Vec::new());
    let mut network = Told::new(true, Refused::Nobody);
    let workers = Workers::Within(4.try_into().expect("not 0"));
    let watchers = (&mut () as &mut (dyn Receiver + Send), &mut watch as _);
    let report = scanned(&mut network, &["198.18.0.0/16"], (workers, None), watchers);
    assert_eq!(report.expect("nothing of our own fails").workers, 3);
    let back = watch.0.windows(2).map(|two| two[0].passed - two[1].passed);
    assert!(back.fold(0.0, f64::max) < 0.001);
}
