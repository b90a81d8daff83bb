//! Runs that are killed: by `kill -9` at seeded random moments, again and again until they are through. Whatever happened, what `--resume` reports in the end is what an uninterrupted run reports, octet by octet.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use rusqlite::{Connection, OpenFlags};
use serde_json::Value;

/// Kills of runs without stages, and of runs with them.
const KILLS: [usize; 2] = [36, 16];

/// How long a run may live before it is killed, in percent of what a whole one takes.
const LIFE_PERCENT: std::ops::Range<u32> = 2..105;

/// Longer than any run takes.
const PATIENCE: Duration = Duration::from_secs(120);

/// A folder of the test's own, gone with it.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("reputon-crashes-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).expect("a temporary folder");
        Folder(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A scan of the world on loopback. Few questions in flight at a time to a server: slow enough to be cut off anywhere.
struct World {
    folder: Folder,
    stages: &'static str,
}

impl World {
    /// Addresses and domains by turns: some thousands of each, so that controls confirm them, and tiles close, on the way.
    fn new(name: &str, targets: u32, stages: &'static str) -> World {
        let folder = Folder::new(name);
        let lines = (0..targets).map(|number| match number % 2 {
            0 => format!("203.0.{}.{}\n", 113 + number / 512, number / 2 % 256), // 73,216 targets have room
            _ if number % 7 == 0 => format!("host{number}.example-shop.test\n"),
            _ => format!("name{number}.test\n"),
        });
        fs::write(folder.0.join("targets"), lines.collect::<String>()).expect("a file");
        World { folder, stages }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.0.join(name)
    }

    fn scan(&self, db: &str, more: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_reputon"));
        command.args([
            "scan",
            "--lab",
            "-q",
            "-f",
            "none",
            "--window",
            "64",
            "--stages",
            self.stages,
        ]);
        command.arg(format!("@{}", self.file("targets").display()));
        command.arg("--db").arg(self.file(db)).args(more);
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        command
    }

    fn reported(&self, db: &str, more: &[&str]) -> Report {
        let names = ["x.jsonl", "x.csv", "x.json"].map(|name| self.file(&format!("{db}.{name}")));
        let mut command = self.scan(db, more);
        for name in &names {
            command.arg("-o").arg(name);
        }
        let output = command.output().expect("it runs");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "something is listed: {said}");
        let read = |path: &Path| fs::read_to_string(path).expect("it was written");
        let json: Value = serde_json::from_str(&read(&names[2])).expect("JSON");
        Report {
            lines: read(&names[0]),
            table: read(&names[1]),
            asked: json["run"]["asked"].as_u64().expect("a number"),
            rest: without_counters(json),
        }
    }

    /// Tiles that are written, if the database can be read already.
    fn written(&self, db: &str) -> u64 {
        let found =
            Connection::open_with_flags(self.file(db), OpenFlags::SQLITE_OPEN_READ_WRITE).and_then(|database| {
                database.busy_timeout(Duration::from_secs(10))?;
                database.query_row("SELECT count(*) FROM tiles", [], |row| row.get::<_, i64>(0))
            });
        found.unwrap_or(0).unsigned_abs()
    }
}

/// The outputs of a scan.
struct Report {
    lines: String,
    table: String,
    rest: Value,
    asked: u64,
}

/// A report without what another run of the same has otherwise: dates, the port of the world, and how often it asked.
fn without_counters(mut report: Value) -> Value {
    let run = report["run"].as_object_mut().expect("the run's own record");
    for name in [
        "started",
        "finished",
        "seed",
        "asked",
        "retried",
        "queries",
        "resolvers",
    ] {
        run.remove(name);
    }
    for list in report["lists"].as_array_mut().expect("lists") {
        let list = list.as_object_mut().expect("a record");
        list.retain(|name, _| !["asked", "rtt_ms", "retried", "rate", "qps"].contains(&name.as_str()));
    }
    report
}

fn assert_same(report: &Report, whole: &Report) {
    for (line, of_whole) in report.lines.lines().zip(whole.lines.lines()) {
        assert_eq!(line, of_whole);
    }
    assert!(report.lines == whole.lines, "no row is lost or doubled");
    assert!(report.table == whole.table, "no listing is lost or doubled");
    assert_eq!(report.rest, whole.rest);
}

/// How it ended; it must, before patience does.
fn wait(child: &mut Child) -> std::process::ExitStatus {
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait().expect("it is our child") {
            return status;
        }
        assert!(start.elapsed() < PATIENCE, "it does not end");
        thread::sleep(Duration::from_millis(5));
    }
}

/// Kills runs until they are through, and starts new ones, until there were `kills`.
fn kill_again_and_again(world: &World, (whole, takes): (&Report, Duration), tiles: u64, kills: usize) {
    let mut random = SmallRng::seed_from_u64(0x6b69_6c6c);
    let (mut killed, mut cut) = (0, 0);
    for number in 0.. {
        let db = format!("run-{number}.db");
        let mut before = 0;
        for part in 0.. {
            let resume: &[&str] = if part == 0 { &[] } else { &["--resume"] };
            let mut child = world.scan(&db, resume).spawn().expect("it starts");
            thread::sleep(takes * random.random_range(LIFE_PERCENT) / 100);
            let ended = child.try_wait().expect("it is our child");
            if ended.is_none() && killed < kills {
                child.kill().expect("it is our child");
                child.wait().expect("it is our child");
                killed += 1;
                let written = world.written(&db);
                assert!(written >= before, "what is written stays");
                cut += usize::from(written > before && written < tiles);
                // If all is written it may have ended, too: then nothing more is asked.
                before = if written < tiles { written } else { before };
                continue;
            }
            assert_eq!(wait(&mut child).code(), Some(1), "part {part} of run {number}");
            break;
        }
        // It is whole: nothing is asked any more.
        let report = world.reported(&db, &["--resume"]);
        assert_same(&report, whole);
        // Only what was not written has been asked, and the lists have been examined.
        let rest = whole.asked * (tiles - before) / tiles;
        assert!(
            report.asked <= rest + rest / 10 + 500,
            "{} asked, {rest} were left",
            report.asked
        );
        if killed == kills {
            break;
        }
    }
    assert!(cut > 0, "some runs were killed in the midst");
}

#[test]
fn r20_killed_at_any_moment_a_run_goes_on_and_reports_the_same() {
    thread::scope(|scope| {
        for (stages, kills) in ["none", "rdns,spf,dmarc"].into_iter().zip(KILLS) {
            scope.spawn(move || {
                let targets = if stages == "none" { 20_000 } else { 10_000 };
                let world = World::new(&format!("kill-{kills}"), targets, stages);
                let start = Instant::now();
                let whole = world.reported("whole.db", &[]);
                let takes = start.elapsed();
                let findings = whole.lines.contains("\"code\"");
                assert!(stages == "none" || findings, "stages find something");
                let tiles = world.written("whole.db");
                kill_again_and_again(&world, (&whole, takes), tiles, kills);
            });
        }
    });
}

/// Runs until something is written, gets a signal, and goes on: the same report as without, and little is asked twice.
fn told_to_stop(world: &World, signal: &str, code: i32) {
    let whole = world.reported("whole.db", &[]);
    let tiles = world.written("whole.db");
    let mut child = world.scan("run.db", &[]).spawn().expect("it starts");
    let start = Instant::now();
    while world.written("run.db") == 0 {
        assert!(start.elapsed() < PATIENCE, "nothing is ever written");
        thread::sleep(Duration::from_millis(5));
    }
    let sent = Command::new("kill").args([signal, &child.id().to_string()]).status();
    assert!(sent.expect("kill is there").success());
    assert_eq!(wait(&mut child).code(), Some(code));
    let written = world.written("run.db");
    assert!(written > 0 && written <= tiles);
    let report = world.reported("run.db", &["--resume"]);
    assert_same(&report, &whole);
    // What both parts asked, together: what was on its way when the signal came is asked again, and nothing else. What
    // stages have found is on its way until its tile closes.
    let open = match world.stages {
        "none" => 0,
        _ => whole.asked * (tiles - written) / tiles,
    };
    assert!(
        report.asked <= whole.asked + open + whole.asked / 10 + 500,
        "{} asked of {}",
        report.asked,
        whole.asked
    );
}

#[test]
fn r20_sigterm_under_load_ends_in_order_and_the_run_goes_on() {
    told_to_stop(&World::new("term", 20_000, "none"), "-TERM", 143);
}

/// A terminal that goes away asks for the same, unless the run was started to outlive it.
#[test]
fn r20_sighup_ends_in_order_and_where_it_is_ignored_does_nothing() {
    told_to_stop(&World::new("hup", 20_000, "none"), "-HUP", 129);

    let world = World::new("nohup", 20_000, "none");
    let scan = world.scan("run.db", &[]);
    let mut shell = Command::new("sh");
    shell
        .args(["-c", "trap '' HUP; exec \"$@\"", "sh"])
        .arg(scan.get_program())
        .args(scan.get_args());
    let mut child = shell.stderr(Stdio::null()).spawn().expect("it starts");
    while world.written("run.db") == 0 {
        thread::sleep(Duration::from_millis(5));
    }
    let sent = Command::new("kill").args(["-HUP", &child.id().to_string()]).status();
    assert!(sent.expect("kill is there").success());
    assert_eq!(wait(&mut child).code(), Some(1), "it went on to its end");
}

/// Targets whose stages were under way are explained by the part that goes on, as if nothing had been.
#[test]
fn r20_sigint_in_the_midst_of_stages_ends_in_order_and_the_run_goes_on() {
    let world = World::new("int", 12_000, "rdns,spf,dmarc");
    told_to_stop(&world, "-INT", 130);
    let findings = fs::read_to_string(world.file("run.db.x.jsonl")).expect("it was written");
    assert!(
        findings.contains("\"code\"") && !findings.contains("the run was stopped"),
        "all is explained"
    );
}
