//! Pruning that is found to be false late, through the real binary: what had been handed out as clean is asked again and
//! revised, wherever it had got to, whatever happens in between.
//!
//! The server denies all parents. Below those of 198.18.0.0 to 198.18.15.0 it lists one address each, but not before it has
//! been asked about 198.19.16.0 or a later one: when that is opened, the first 16 tiles have been handed out, because 256 are
//! open at most. From there on it lists every address, so that the first one that is asked is the contradiction.

mod liar;

use std::collections::HashMap;
use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use assert_cmd::cargo::CommandCargoExt;
use liar::Liar;
use rusqlite::{Connection, OpenFlags};
use serde_json::Value;
use tempfile::TempDir;

const TARGETS: [&str; 2] = ["198.18.0.0/16", "198.19.0.0/19"];

const ALL: u64 = (256 + 32) * 256;

/// Addresses that are listed: one in each of the early blocks, and all of the late ones.
const EARLY: u64 = 16;
const LATE: u64 = 16 * 256;

/// Longer than any run takes.
const PATIENCE: Duration = Duration::from_secs(120);

const HEAD: &str = "[operator]\nid = \"own\"\nname = \"Own\"\n[operator.terms]\nuse = \"free\"\n\n";
const LIST: &str = "[[list]]\nid = \"own\"\nzone = \"bl.prune.test\"\nkinds = [\"ip4\"]\nrole = \"block\"\ntier = \"B\"\n\
    txt = false\n";

/// A composite of the list, and a part whose code is the one that is ever answered.
const COMPOSITE: &str = "covers = [\"part\"]\n[list.codes]\n\"127.0.0.2\" = { means = \"bad\", sublist = \"part\" }\n\n\
    [[list]]\nid = \"part\"\nzone = \"part.prune.test\"\nkinds = [\"ip4\"]\nrole = \"block\"\ntier = \"B\"\ntxt = false\n";

/// The server, and with `mutes` one that does not answer any more once it has contradicted itself.
fn liar(mutes: bool) -> Liar {
    let (mut late, mut mutes) = (false, mutes);
    Liar::start(move |octets, mute| {
        let block = &octets[octets.len() - 3..];
        let (low, high) = match *block {
            [third, second, _] => (third, second),
            _ => return false, // a shorter parent
        };
        let is_late = high == 19 && low >= 16;
        late |= is_late;
        if is_late && octets.len() == 4 && mutes {
            mutes = false;
            mute.store(true, Ordering::Relaxed);
        }
        is_late || late && high == 18 && u64::from(low) < EARLY && octets[0] == 77
    })
}

struct World {
    liar: Liar,
    folder: TempDir,
}

impl World {
    fn new(liar: Liar, lists: &str) -> World {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("own.toml"), [HEAD, LIST, lists].concat()).expect("written");
        World { liar, folder }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A scan with these database and options.
    fn scan(&self, db: &str, more: &[&str]) -> Command {
        self.scan_of((&TARGETS, "none"), db, more)
    }

    fn scan_of(&self, (targets, stages): (&[&str], &str), db: &str, more: &[&str]) -> Command {
        let mut command = Command::cargo_bin("reputon").expect("the binary is built");
        command
            .arg("scan")
            .args(targets)
            .args(["--prune", "--lists", "all", "--only-catalogue", "--catalogue"]);
        command
            .arg(self.file("own.toml"))
            .args(["--stages", stages, "--rate", "0", "--seed", "7"]);
        let address = self.liar.address;
        command.args(["--resolver", &address.to_string(), "--timeout", "0.5"]);
        for zone in ["bl", "part"] {
            command.args(["--route", &format!("{zone}.prune.test={address}")]);
        }
        let db = if db == "none" { PathBuf::from(db) } else { self.file(db) };
        command.arg("--db").arg(db).args(more);
        command
            .current_dir(self.folder.path())
            .env("XDG_STATE_HOME", self.folder.path());
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// A whole scan with all outputs: how it ended, standard output, and what it said.
    fn scanned(&self, db: &str, format: &str, more: &[&str]) -> (Option<i32>, String, String) {
        let output = self.scan(db, &[&["-f", format], &OUTPUTS[..], more].concat()).output();
        let output = output.expect("it runs");
        let told = told(&output);
        (
            output.status.code(),
            String::from_utf8(output.stdout).expect("UTF-8"),
            told,
        )
    }

    fn reputon(&self, arguments: &[&str]) -> Output {
        let mut command = Command::cargo_bin("reputon").expect("the binary is built");
        command.args(arguments).current_dir(self.folder.path());
        command.output().expect("it runs")
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.file(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// A number out of the database, 0 as long as it is not there.
    fn number(&self, db: &str, query: &str) -> i64 {
        let open = Connection::open_with_flags(self.file(db), OpenFlags::SQLITE_OPEN_READ_WRITE);
        let found = open.and_then(|database| {
            database.busy_timeout(Duration::from_secs(10))?;
            database.query_row(query, [], |row| row.get(0))
        });
        found.unwrap_or(0)
    }

    fn wait_until(&self, db: &str, query: &str, least: i64) {
        let start = Instant::now();
        while self.number(db, query) < least {
            assert!(start.elapsed() < PATIENCE, "{query} stays below {least}");
            thread::sleep(Duration::from_millis(5));
        }
    }
}

fn kill(mut child: Child) {
    child.kill().expect("it is our child");
    child.wait().expect("it is our child");
}

fn told(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn count(record: &Value, name: &str) -> u64 {
    record[name].as_u64().unwrap_or_else(|| panic!("no {name} in {record}"))
}

/// What a line of JSON says of a target. Most are read no further: there are many of them.
struct Line<'a>(&'a str);

impl<'a> Line<'a> {
    fn target(&self) -> &'a str {
        let (_, rest) = self.0.split_once("\"target\":\"").expect("a target's line");
        rest.split('"').next().expect("a target")
    }

    fn octets(&self) -> [u8; 4] {
        self.target()
            .parse::<std::net::Ipv4Addr>()
            .expect("an address")
            .octets()
    }

    /// Whether it is one of those that are listed when they are asked again, but may have been asked before that.
    fn is_early(&self) -> bool {
        let [_, high, low, last] = self.octets();
        high == 18 && u64::from(low) < EARLY && last == 77
    }

    fn is_late(&self) -> bool {
        let [_, high, low, _] = self.octets();
        high == 19 && low >= 16
    }

    fn is(&self, verdict: &str, listed: u64) -> bool {
        self.0.contains(&format!("\"verdict\":\"{verdict}\"")) && self.0.contains(&format!("\"listed\":{listed},"))
    }

    fn is_revised(&self) -> bool {
        let revised = self.0.ends_with(",\"revision\":2}");
        assert_eq!(revised, self.0.contains("\"revision\""), "{}", self.0);
        revised
    }
}

/// The last word on each target.
fn last_words(jsonl: &str) -> HashMap<&str, Line<'_>> {
    jsonl.lines().map(|line| (Line(line).target(), Line(line))).collect()
}

/// Holds what came as tiles closed to what it must be: nothing turns but early addresses, and those at its second word.
fn holds(jsonl: &str) {
    let mut last: HashMap<&str, &str> = HashMap::new();
    let mut turned = 0;
    for line in jsonl.lines().map(Line) {
        let before = last.insert(line.target(), line.0);
        assert_eq!(line.is_revised(), before.is_some(), "{}", line.0);
        let Some(before) = before else { continue };
        assert!(Line(before).is("clean", 0), "{before}");
        match line.is_early() {
            true => assert!(line.is("listed", 1), "{}", line.0),
            false => assert!(line.is("clean", 0), "{}", line.0),
        }
        turned += u64::from(line.is_early());
    }
    assert!(turned >= EARLY / 2, "{turned} turned out to be listed");
}

/// All that tells of the run tells the same, its last words in the order of the input; the run's own record. Each listing is
/// one on as many `lists`.
fn holds_together(world: &World, db: &str, last: &HashMap<&str, Line<'_>>, lists: u64) -> Value {
    let in_order = world.read("run.jsonl");
    assert_eq!((in_order.lines().count() as u64, last.len() as u64), (ALL, ALL));
    assert!(in_order.lines().is_sorted_by_key(|line| Line(line).octets()));
    assert!(in_order.lines().all(|line| last[Line(line).target()].0 == line));
    let listed: Vec<Line<'_>> = in_order
        .lines()
        .map(Line)
        .filter(|line| line.is("listed", lists))
        .collect();
    assert_eq!(listed.iter().filter(|line| line.is_late()).count() as u64, LATE);
    let early: Vec<&Line<'_>> = listed.iter().filter(|line| line.is_early()).collect();
    // Of each block two addresses were asked at once, and of a few blocks all.
    assert!(early.len() as u64 >= EARLY / 2, "{} are listed", early.len());
    assert_eq!(listed.len(), early.len() + LATE as usize);
    let csv = world.read("run.csv");
    let rows = csv
        .lines()
        .filter(|row| row.contains(",own,") && row.contains(",listed,"));
    assert!(
        rows.map(|row| row.split(',').next().expect("a target"))
            .eq(listed.iter().map(Line::target))
    );
    let document = world.read("run.json");
    let (head, targets) = document.split_once("\"targets\":[\n").expect("a document");
    let targets = targets.strip_suffix("\n]}\n").expect("a document").lines();
    assert!(targets.map(|line| line.trim_end_matches(',')).eq(in_order.lines()));
    assert!(world.read("run.html").contains(early[0].target()));
    let json: Value = serde_json::from_str(&format!("{head}\"targets\":[]}}")).expect("JSON");
    for list in json["lists"].as_array().expect("lists") {
        assert_eq!(count(list, "listed"), listed.len() as u64);
        assert_eq!(
            count(list, "listed") + count(list, "not_listed") + count(list, "unknown"),
            ALL
        );
    }
    if db != "none" {
        let output = world.reputon(&[
            "report",
            "--db",
            db,
            "-f",
            "none",
            "-o",
            "again.jsonl",
            "-o",
            "again.csv",
        ]);
        assert_eq!(output.status.code(), Some(1), "{}", told(&output));
        assert!(world.read("again.jsonl") == in_order && world.read("again.csv") == csv);
        let output = world.reputon(&["history", "--db", db, early[0].target()]);
        assert!(
            String::from_utf8_lossy(&output.stdout).contains("own"),
            "{}",
            told(&output)
        );
        let rows = listed.len() as u64 * lists;
        let kept = "SELECT sum(json_array_length(CAST(details AS TEXT), '$.listings')) FROM tiles";
        assert_eq!(world.number(db, kept).unsigned_abs(), rows);
    }
    json["run"].clone()
}

const OUTPUTS: [&str; 8] = ["-o", "run.jsonl", "-o", "run.csv", "-o", "run.json", "-o", "run.html"];

/// Tiles that hold a dossier that was revised.
const REVISED: &str = "SELECT count(*) FROM tiles WHERE instr(CAST(details AS TEXT), 'revised') > 0";

/// Nothing is left of pruning, and nothing is open.
fn is_proved(run: &Value, lists: u64) {
    assert_eq!((count(run, "pruned"), &run["unproved"]), (0, &Value::Null), "{run}");
    assert_eq!(
        (count(run, "planned"), count(run, "answered")),
        (ALL * lists, ALL * lists)
    );
}

#[test]
fn what_had_closed_is_asked_again_and_revised() {
    let world = World::new(liar(false), "");
    let (status, jsonl, told) = world.scanned("runs.db", "jsonl", &[]);
    assert_eq!(status, Some(1), "{told}");
    assert!(!told.contains("--prune") && !told.contains("--resume"), "{told}");
    holds(&jsonl);
    is_proved(&holds_together(&world, "runs.db", &last_words(&jsonl), 1), 1);
    assert_eq!(world.number("runs.db", "SELECT whole FROM runs"), 1);
}

#[test]
fn a_run_that_is_not_kept_is_revised_too() {
    let world = World::new(liar(false), "");
    let (status, jsonl, told) = world.scanned("none", "jsonl", &[]);
    assert_eq!(status, Some(1), "{told}");
    holds(&jsonl);
    is_proved(&holds_together(&world, "none", &last_words(&jsonl), 1), 1);
}

/// What a composite had told of what was pruned goes with it. Standard output is of a form that cannot be revised.
#[test]
fn what_parts_learnt_from_it_is_revised_too() {
    let world = World::new(liar(false), COMPOSITE);
    let (status, csv, told) = world.scanned("runs.db", "csv", &[]);
    assert_eq!(status, Some(1), "{told}");
    assert!(csv == world.read("run.csv"));
    let jsonl = world.read("run.jsonl");
    let run = holds_together(&world, "runs.db", &last_words(&jsonl), 2);
    is_proved(&run, 2);
    assert_eq!(count(&run, "folded"), ALL);
}

/// Killed when it had just found the contradiction, and killed again while it asks again: the parts that go on know.
#[test]
fn a_run_that_is_killed_in_between_goes_on_with_it() {
    let world = World::new(liar(true), "");
    let child = world.scan("runs.db", &["-f", "none"]).spawn().expect("it starts");
    world.wait_until("runs.db", "SELECT count(*) FROM doubts", 1);
    kill(child);
    assert!(world.number("runs.db", "SELECT count(*) FROM tiles").unsigned_abs() >= EARLY);
    // What is in doubt is not passed off as clean meanwhile.
    let output = world.reputon(&["report", "--db", "runs.db", "-f", "json", "--min-coverage", "0"]);
    assert_eq!(output.status.code(), Some(3), "{}", told(&output));
    let json: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert!(count(&json["run"], "unproved") > 10_000, "{}", json["run"]);
    assert_eq!(count(&json["run"], "unproved"), count(&json["lists"][0], "unknown"));
    world.liar.mute.store(false, Ordering::Relaxed);
    let child = world
        .scan("runs.db", &["-f", "none", "--resume"])
        .spawn()
        .expect("it starts");
    world.wait_until("runs.db", REVISED, 64);
    kill(child);
    let (status, jsonl, told) = world.scanned("runs.db", "jsonl", &["--resume"]);
    assert_eq!(status, Some(1), "{told}");
    // This part hands out each target once, in its last revision.
    assert_eq!(jsonl.lines().count() as u64, ALL);
    let revised = jsonl.lines().map(Line).filter(Line::is_revised);
    assert!(revised.clone().count() > 10_000);
    assert!(revised.filter(Line::is_early).all(|line| line.is("listed", 1)));
    is_proved(&holds_together(&world, "runs.db", &last_words(&jsonl), 1), 1);
}

/// Killed when all tiles had been handed out, and the first had been asked again.
#[test]
fn a_run_that_is_killed_while_it_asks_again_goes_on_with_it() {
    let world = World::new(liar(false), "");
    let child = world.scan("runs.db", &["-f", "none"]).spawn().expect("it starts");
    world.wait_until("runs.db", REVISED, 1);
    kill(child);
    assert_eq!(
        world.number("runs.db", "SELECT count(*) FROM tiles").unsigned_abs(),
        ALL / 256
    );
    let (status, jsonl, told) = world.scanned("runs.db", "jsonl", &["--resume"]);
    assert_eq!(status, Some(1), "{told}");
    is_proved(&holds_together(&world, "runs.db", &last_words(&jsonl), 1), 1);
}

/// Told to stop while it asks again: what it has no time for is unknown, here and in all reports, until a next part asks it.
#[test]
fn a_run_that_is_stopped_in_between_takes_back_what_it_cannot_ask() {
    let world = World::new(liar(false), "");
    let mut command = world.scan("runs.db", &[&["-f", "jsonl"], &OUTPUTS[..]].concat());
    let stdout = fs::File::create(world.file("stdout")).expect("a file");
    let child = command.stdout(stdout).spawn().expect("it starts");
    world.wait_until("runs.db", REVISED, 1);
    let sent = Command::new("kill").args(["-TERM", &child.id().to_string()]).status();
    assert!(sent.expect("kill is there").success());
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(143), "{}", told(&output));
    assert!(told(&output).contains("--resume goes on"), "{}", told(&output));
    let jsonl = world.read("stdout");
    let last = last_words(&jsonl);
    let in_order = world.read("run.jsonl");
    assert!(in_order.lines().map(Line).all(|line| last[line.target()].0 == line.0));
    let unknown = last.values().filter(|line| line.0.contains("\"unknown\":1,"));
    let cancelled = |line: &&Line<'_>| line.is_revised() && line.0.contains("\"cause\":\"cancelled\"");
    let unknown = (unknown.clone().count() as u64, unknown.filter(cancelled).count() as u64);
    let json: Value = serde_json::from_str(&world.read("run.json")).expect("JSON");
    let run = &json["run"];
    assert_eq!(unknown, (count(run, "unproved"), count(run, "unproved")), "{run}");
    assert!(unknown.0 > 1_000 && unknown.0 == ALL - count(run, "answered"), "{run}");
    assert_eq!((count(run, "planned"), last.len() as u64), (ALL, ALL));
    assert_eq!(
        world.number("runs.db", "SELECT sum(open) FROM tiles").unsigned_abs(),
        unknown.0
    );
    let (status, jsonl, told) = world.scanned("runs.db", "jsonl", &["--resume"]);
    assert_eq!(status, Some(1), "{told}");
    is_proved(&holds_together(&world, "runs.db", &last_words(&jsonl), 1), 1);
}

/// What stages have found of a target stands in its revision, too. Behind the early blocks are 256 of special use, of which
/// nothing is asked: they keep the late one from being opened before the early ones are handed out.
#[test]
fn what_stages_found_stays_through_a_revision() {
    let world = World::new(liar(false), "");
    let targets = ["198.18.0.0/21", "10.0.0.0/16", "198.19.16.0/24"];
    let output = ["-f", "jsonl", "-o", "run.jsonl"];
    let output = world.scan_of((&targets, "rdns"), "runs.db", &output).output();
    let output = output.expect("it runs");
    assert_eq!(output.status.code(), Some(1), "{}", told(&output));
    let jsonl = String::from_utf8(output.stdout).expect("UTF-8");
    let found = |line: &Line<'_>| {
        let record: Value = serde_json::from_str(line.0).expect("JSON");
        (record["rdns"].clone(), record["findings"].clone())
    };
    let mut first = HashMap::new();
    let mut revised = 0;
    for line in jsonl.lines().map(Line).filter(|line| line.octets()[0] == 198) {
        let told = found(&line);
        assert!(
            told.0.is_object() && told.1.to_string().contains("\"rdns"),
            "{}",
            line.0
        );
        match line.is_revised() {
            false => drop(first.insert(line.target(), told)),
            true => {
                assert_eq!(first[line.target()], told);
                revised += 1;
            }
        }
    }
    assert!(revised > 1_000, "{revised} were revised");
    let last = last_words(&jsonl);
    let in_order = world.read("run.jsonl");
    assert_eq!(in_order.lines().count(), last.len());
    assert!(in_order.lines().map(Line).all(|line| last[line.target()].0 == line.0));
}
