//! A run that did not reach all of its targets is no clean one: stopped by its time, killed, or with a share missing; by the
//! status, by the Nagios line, and in what people read.

use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use rusqlite::{Connection, OpenFlags};
use serde_json::Value;
use tempfile::TempDir;

/// Longer than anything takes here.
const PATIENCE: Duration = Duration::from_secs(60);

/// Many times more targets than a second has room for at the pace of [`scan`]; nobody lists one of them.
const BLOCK: &str = "198.16.0.0/12";

fn reputon() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_reputon"));
    command.args(["--config", "none"]);
    command
}

/// A scan of one good list of the world on loopback, one question after the other.
fn scan(db: &Path, more: &[&str]) -> Command {
    let mut command = reputon();
    command.args(["scan", "--lab", "--lists", "lab-brute", "--stages", "none"]);
    command.args(["--window", "1", "--db"]).arg(db).args(more);
    command
}

fn ended(mut command: Command) -> (Output, Option<i32>) {
    let output = command.output().expect("it runs");
    let status = output.status.code();
    (output, status)
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// `report` of what is in a database: with a minimum of coverage that all of what was reached passes by far.
fn report(db: &Path, format: &str) -> (Output, Option<i32>) {
    let mut command = reputon();
    command
        .args(["report", "--min-coverage", "10", "-f", format, "--db"])
        .arg(db);
    ended(command)
}

fn assert_partial(db: &Path) {
    let (table, status) = report(db, "table");
    assert_eq!(status, Some(3), "{}", text(&table));
    assert!(text(&table).contains("Not reached: "), "{}", text(&table));
    let (markdown, _) = report(db, "md");
    assert!(text(&markdown).contains("- Not reached: "), "{}", text(&markdown));
    let (document, _) = report(db, "json");
    let document: Value = serde_json::from_str(&text(&document)).expect("JSON");
    assert_eq!(document["run"]["targets"], 1 << 20);
    let complete = document["run"]["complete"].as_f64().expect("a share");
    assert!(complete < 0.1, "{}", document["run"]);
}

#[test]
fn a_run_that_its_time_ended_is_not_covered_by_what_it_reached() {
    let folder = TempDir::new().expect("a folder");
    let db = folder.path().join("runs.db");
    let cut = ["--max-time", "1s", "--min-coverage", "10", BLOCK];
    let (table, status) = ended(scan(&db, &[&cut[..], &["-f", "table"]].concat()));
    assert_eq!(status, Some(3), "{}", text(&table));
    assert!(text(&table).contains("Not reached: "), "{}", text(&table));
    assert_partial(&db);
    let (line, status) = ended(scan(
        &folder.path().join("other.db"),
        &[&cut[..], &["--nagios"]].concat(),
    ));
    assert_eq!(status, Some(3), "{}", text(&line));
    assert!(text(&line).starts_with("REPUTON UNKNOWN"), "{}", text(&line));
    assert!(text(&line).contains("targets not reached"), "{}", text(&line));
}

/// A process that does not outlive the test.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Tiles in a database, if it can be read already.
fn tiles(db: &Path) -> i64 {
    let database = Connection::open_with_flags(db, OpenFlags::SQLITE_OPEN_READ_WRITE);
    let counted = database.and_then(|database| {
        database.busy_timeout(PATIENCE)?;
        database.query_row("SELECT count(*) FROM tiles", [], |row| row.get(0))
    });
    counted.unwrap_or(0)
}

#[test]
fn a_run_that_was_killed_is_not_covered_by_what_it_reached() {
    let folder = TempDir::new().expect("a folder");
    let db = folder.path().join("runs.db");
    let mut command = scan(&db, &["-f", "none", BLOCK]);
    let running = Killed(command.stderr(Stdio::null()).spawn().expect("it runs"));
    let begun = Instant::now();
    while tiles(&db) < 2 {
        assert!(begun.elapsed() < PATIENCE, "it closes tiles");
        std::thread::sleep(Duration::from_millis(20));
    }
    drop(running);
    assert_partial(&db);
}

#[test]
fn a_merged_run_without_one_of_its_shares_is_not_covered() {
    let folder = TempDir::new().expect("a folder");
    let path = |name: &str| folder.path().join(name);
    for shard in ["1", "2"] {
        let share = format!("{shard}/2");
        let whole = scan(&path(shard), &["--shard", &share, "-f", "none", "198.18.0.0/22"]);
        assert_eq!(ended(whole).1, Some(0));
    }
    let merged = path("merged.db");
    let import = |shard: &str| {
        let mut command = reputon();
        command.args(["runs", "import", "--db"]).arg(&merged).arg(path(shard));
        ended(command).0
    };
    let status = || {
        let mut command = reputon();
        command.args(["report", "-f", "table", "--db"]).arg(&merged);
        let (output, status) = ended(command);
        (status, text(&output))
    };
    let said = String::from_utf8_lossy(&import("1").stderr).into_owned();
    assert!(said.contains("has no share 2 of 2 yet"), "{said}");
    let mut runs = reputon();
    runs.args(["runs", "--format", "json", "--db"]).arg(&merged);
    let runs: Value = serde_json::from_str(&text(&ended(runs).0)).expect("JSON");
    assert_eq!(
        (&runs[0]["state"], &runs[0]["complete"]),
        (&"open".into(), &0.5.into()),
        "{runs}"
    );
    let (half, table) = status();
    assert_eq!(half, Some(3), "{table}");
    assert!(table.contains("Coverage: 50.0 %"), "{table}");
    assert!(table.contains("Not reached: 512 targets"), "{table}");
    import("2");
    let (whole, table) = status();
    assert_eq!(whole, Some(0), "{table}");
    assert!(!table.contains("Not reached"), "{table}");
}
