//! A run database that cannot be used: the message names file and mend, the result is on standard output all the same, the
//! status is that of an I/O error, and the file is left as it is. What is nothing without the database ends at once. And what
//! several processes do to one database at once.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::{Duration, Instant};

use assert_cmd::Command;
use rusqlite::{Connection, OpenFlags};
use serde_json::Value;

fn folder(name: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("reputon-faults-{name}-{}", std::process::id()));
    fs::create_dir_all(&path).expect("a temporary folder");
    path
}

/// Status, targets on standard output, and what was said.
fn scan(db: &PathBuf, more: &[&str]) -> (Option<i32>, usize, String) {
    let mut command = Command::cargo_bin("reputon").expect("the binary is built");
    command.args([
        "scan",
        "--lab",
        "-q",
        "--stages",
        "none",
        "203.0.113.0/28",
        "-f",
        "json",
    ]);
    let output = command.arg("--db").arg(db).args(more).output().expect("it runs");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    let targets = report["targets"].as_array().map_or(0, Vec::len);
    (
        output.status.code(),
        targets,
        String::from_utf8_lossy(&output.stderr).into_owned(),
    )
}

#[test]
fn what_is_no_usable_database_is_said_and_left_alone() {
    let folder = folder("files");
    let good = folder.join("good.db");
    assert_eq!(scan(&good, &[]).0, Some(1));
    let octets = fs::read(&good).expect("it is there");
    let newer = folder.join("newer.db");
    fs::copy(&good, &newer).expect("a copy");
    let database = Connection::open(&newer).expect("a database");
    database.pragma_update(None, "user_version", 99).expect("it is set");
    database.close().expect("closed");
    let file = |name: &str, octets: &[u8]| {
        let path = folder.join(name);
        fs::write(&path, octets).expect("a file");
        path
    };
    let bad = [
        (newer, "version 99", "use a newer reputon"),
        (
            file("cut.db", &octets[..octets.len() / 3]),
            "malformed",
            "put a copy back",
        ),
        (
            file("noise.db", &[0xa5; 20_000]),
            "not a database",
            "name another file with --db",
        ),
    ];
    for (path, what, mend) in bad {
        let before = fs::read(&path).expect("it is there");
        let (status, targets, said) = scan(&path, &[]);
        assert_eq!((status, targets), (Some(2), 16), "{said}");
        for part in [path.to_str().expect("plain"), what, mend, "this run is not kept"] {
            assert!(said.contains(part), "{part}: {said}");
        }
        assert_eq!(said.matches(what).count(), 1, "it is told once: {said}");
        assert!(fs::read(&path).expect("it is there") == before, "it is left as it is");
        let (status, targets, said) = scan(&path, &["--resume"]);
        assert_eq!((status, targets), (Some(2), 0), "{said}");
        assert!(said.contains(mend), "{said}");
    }
    let _ = fs::remove_dir_all(folder);
}

/// The binary, as the shell is to run it.
const BINARY: &str = env!("CARGO_BIN_EXE_reputon");

/// Longer than anything takes here.
const PATIENCE: Duration = Duration::from_secs(60);

fn shell(script: &str) -> Output {
    let mut command = std::process::Command::new("sh");
    command
        .args(["-c", script])
        .env("REPUTON_CONFIG", "none")
        .stdin(Stdio::null());
    command.output().expect("there is a shell")
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn table(db: &Path, column: &str) -> Vec<i64> {
    let file = Connection::open(db).expect("a database");
    file.busy_timeout(PATIENCE).expect("set");
    let mut rows = file.prepare(column).expect("a table");
    let numbers = rows.query_map([], |row| row.get(0)).expect("rows");
    numbers.collect::<Result<_, _>>().expect("numbers")
}

/// A disk that fills up in mid-run, and one that is full from the start: the whole result is on standard output, the status
/// is that of an I/O error, an older report is left whole and no temporary file stays. With room again, the run goes on.
#[test]
fn a_full_disk_costs_neither_result_nor_old_files() {
    let folder = folder("full");
    let disk = folder.join("disk");
    fs::create_dir_all(&disk).expect("a folder");
    let script = format!(
        "mount -t tmpfs -o size=600k none '{disk}' || exit 99
        cd '{disk}'
        scan() {{ '{BINARY}' scan --lab -q --stages none 203.0.112.0/21 --db runs.db \"$@\"; }}
        echo old > old.csv
        dd if=/dev/zero of=filler bs=1k count=450 2>/dev/null
        scan -f csv > '{out}/first.csv' 2> '{out}/first.err'; echo \"first $?\"
        dd if=/dev/zero of=filler2 bs=1k 2>/dev/null
        scan -f none --db none -o old.csv 2> '{out}/old.err'; echo \"old $?\"
        cat old.csv; echo \"left: $(ls -A | grep part | wc -l)\"
        rm -f filler filler2
        scan -f csv --resume > '{out}/resumed.csv' 2> '{out}/resumed.err'; echo \"resumed $?\"
        '{BINARY}' runs --db runs.db --format json",
        disk = disk.display(),
        out = folder.display(),
    );
    let script = script
        .replace("--db runs.db \"$@\"", "\"$@\"")
        .replace("scan -f csv", "scan --db runs.db -f csv");
    // A mount of our own, which nobody else sees; root in a namespace of our own where we are not root.
    let mut command = std::process::Command::new("unshare");
    command
        .args(["-r", "-m", "sh", "-c", &script])
        .env("REPUTON_CONFIG", "none");
    let output = match command.output() {
        Ok(output) if output.status.code() != Some(99) && !said(&output).contains("unshare") => output,
        other => {
            let why = other.map_or_else(|error| error.to_string(), |output| said(&output));
            eprintln!("skipped: no mount of our own is to be had here: {why}");
            return;
        }
    };
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    let read = |name: &str| fs::read_to_string(folder.join(name)).expect("written");
    assert!(told.contains("first 2\n"), "{told} {}", read("first.err"));
    let error = read("first.err");
    assert!(
        error.contains("runs.db") && error.contains("full; make room on its disk"),
        "{error}"
    );
    assert!(error.contains("the scan goes on without it"), "{error}");
    assert!(told.contains("old 2\nold\nleft: 0\n"), "{told} {}", read("old.err"));
    assert!(
        read("old.err").contains("old.csv: No space left"),
        "{}",
        read("old.err")
    );
    assert!(told.contains("resumed 1\n"), "{told} {}", read("resumed.err"));
    assert!(told.contains(r#""state":"whole""#), "{told}");
    assert!(read("first.csv").lines().count() > 400);
    assert!(read("first.csv") == read("resumed.csv"), "the same whole result");
    let _ = fs::remove_dir_all(folder);
}

/// The limit of file sizes sends a signal that ends a process: here it is a full disk.
#[test]
fn the_limit_of_file_sizes_is_a_full_disk() {
    let folder = folder("fsize");
    let (db, csv) = (folder.join("runs.db"), folder.join("old.csv"));
    fs::write(&csv, "old").expect("a file");
    let whole = shell(&format!(
        "'{BINARY}' scan --lab -q --stages none 203.0.112.0/22 --db none -f csv"
    ));
    let scan = format!("ulimit -f 140; exec '{BINARY}' scan --lab -q --stages none 203.0.112.0/22");
    let output = shell(&format!("{scan} -f csv --db '{}'", db.display()));
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    assert!(output.stdout == whole.stdout, "the result is whole");
    let error = said(&output);
    assert!(error.contains("runs.db") && error.contains("ulimit -f"), "{error}");
    let output = shell(&format!("{scan} -f none --all-rows -o '{}' --db none", csv.display()));
    assert_eq!(output.status.code(), Some(2));
    assert!(said(&output).contains("old.csv: File too large"), "{}", said(&output));
    assert_eq!(fs::read_to_string(&csv).expect("there"), "old");
    let names: Vec<_> = fs::read_dir(&folder)
        .expect("a folder")
        .flatten()
        .map(|entry| entry.file_name())
        .collect();
    assert!(
        names.iter().all(|name| !name.to_string_lossy().contains("part")),
        "{names:?}"
    );
    let _ = fs::remove_dir_all(folder);
}

/// Runs a line as somebody who owns nothing here; none (and says so) if nobody else can be had.
fn as_nobody(binary: &Path, line: &str) -> Option<Output> {
    // Root may write everywhere.
    if fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0) {
        let script = format!(
            "exec setpriv --reuid 65534 --regid 65534 --clear-groups '{}' {line}",
            binary.display()
        );
        let output = shell(&script);
        if said(&output).contains("setpriv") {
            eprintln!("skipped: {}", said(&output));
            return None;
        }
        return Some(output);
    }
    Some(shell(&format!("exec '{}' {line}", binary.display())))
}

/// Somebody else's database, or one in a folder where nothing can be written: it is read, nothing is left beside it, and a
/// scan that was to be kept in it says so and has its result all the same. What is still in the log beside it is not
/// overlooked: that is an error that says what to do.
#[test]
fn a_read_only_database_is_read_and_left_alone() {
    let folder = folder("readonly");
    let binary = folder.join("reputon");
    fs::copy(BINARY, &binary).expect("a copy that everybody may run");
    let everybody = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("ours");
    everybody(&folder, 0o755);
    let places = [("open", 0o777), ("closed", 0o555)];
    for (name, mode) in places {
        let place = folder.join(name);
        fs::create_dir_all(&place).expect("a folder");
        let db = place.join("runs.db");
        assert_eq!(scan(&db, &[]).0, Some(1));
        everybody(&db, 0o444);
        everybody(&place, mode);
        let line = |verb: &str| format!("{verb} --db '{}'", db.display());
        let Some(runs) = as_nobody(&binary, &line("runs --format json")) else {
            return;
        };
        assert!(
            String::from_utf8_lossy(&runs.stdout).contains(r#""state":"whole""#),
            "{name}: {}",
            said(&runs)
        );
        let report = as_nobody(&binary, &line("report -f csv")).expect("as before");
        assert_eq!(report.status.code(), Some(1), "{name}: {}", said(&report));
        assert!(report.stdout.len() > 400);
        let again = as_nobody(&binary, &line("scan --lab -q --stages none 203.0.113.0/28 -f csv")).expect("as before");
        assert_eq!(again.status.code(), Some(2), "{name}: {}", said(&again));
        assert!(again.stdout == report.stdout, "{name}: the result is there");
        for resumed in ["--resume", "--diff last"] {
            let line = line(&format!("scan --lab -q --stages none 203.0.113.0/28 -f csv {resumed}"));
            let output = as_nobody(&binary, &line).expect("as before");
            assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{name}");
            assert!(said(&output).contains("read-only"), "{name}: {}", said(&output));
        }
        let beside: Vec<_> = fs::read_dir(&place)
            .expect("a folder")
            .flatten()
            .map(|entry| entry.file_name())
            .collect();
        assert_eq!(beside, ["runs.db"], "{name}: nothing is left beside it");
        everybody(&place, 0o755);
    }
    // A log that was not taken in, as a kill leaves it.
    let db = folder.join("open/runs.db");
    everybody(&db, 0o644);
    let writer = Connection::open(&db).expect("a database");
    writer
        .execute_batch("PRAGMA wal_autocheckpoint = 0; UPDATE runs SET label = 'new'")
        .expect("written");
    for (copy, log) in [("kept", true), ("lost", false)] {
        let place = folder.join(copy);
        fs::create_dir_all(&place).expect("a folder");
        let copied = place.join("runs.db");
        fs::copy(&db, &copied).expect("a copy");
        fs::copy(folder.join("open/runs.db-wal"), place.join("runs.db-wal")).expect("a log");
        if log {
            fs::copy(folder.join("open/runs.db-shm"), place.join("runs.db-shm")).expect("its index");
        }
        everybody(&copied, 0o444);
        everybody(&place, 0o555);
        let runs = as_nobody(&binary, &format!("runs --format json --db '{}'", copied.display())).expect("as before");
        let told = String::from_utf8_lossy(&runs.stdout).into_owned() + &said(&runs);
        assert!(
            told.contains(r#""label":"new""#) || told.contains("newest part is in the file beside it"),
            "{told}"
        );
        everybody(&place, 0o755);
    }
    let _ = fs::remove_dir_all(folder);
}

/// Two processes go on with one run: the second says so, with the file's name, and the first is not disturbed. Another plan
/// is not gone on with. Scans that start at the same time share the database.
#[test]
fn processes_share_a_database_but_not_a_run() {
    let folder = folder("shared");
    let db = folder.join("runs.db");
    let slow = |more: &[&str]| {
        let mut command = std::process::Command::new(BINARY);
        command.args([
            "--config",
            "none",
            "scan",
            "--lab",
            "-q",
            "--stages",
            "none",
            "203.0.112.0/21",
            "-f",
            "none",
        ]);
        command.arg("--db").arg(&db).args(more).stderr(Stdio::piped());
        command
    };
    let begun = || {
        let file = Connection::open_with_flags(&db, OpenFlags::SQLITE_OPEN_READ_WRITE).ok()?;
        file.query_row("SELECT count(*) FROM runs", [], |row| row.get::<_, i64>(0))
            .ok()
    };
    let wait_for_run = || {
        let start = Instant::now();
        while begun() != Some(1) {
            assert!(start.elapsed() < PATIENCE, "no run begins");
            std::thread::sleep(Duration::from_millis(5));
        }
    };
    let mut first = slow(&["--window", "1"]).spawn().expect("it starts");
    wait_for_run();
    let second = slow(&["--resume"]).output().expect("it runs");
    assert_eq!(second.status.code(), Some(2), "{}", said(&second));
    let told = said(&second);
    assert!(
        told.contains(db.to_str().expect("plain")) && told.contains("run 1 is being worked on"),
        "{told}"
    );
    first.kill().expect("our child");
    first.wait().expect("our child");

    // Another plan: it says what is another.
    for (more, what) in [
        (&["--resume", "--lists", "lab-zen"][..], "the lists changed"),
        (&["--resume", "--no-fold"], "folding changed"),
        (&["--resume", "--skip-health"], "health checks changed"),
    ] {
        let output = slow(more).output().expect("it runs");
        assert_eq!(output.status.code(), Some(2), "{}", said(&output));
        assert!(
            said(&output).contains(what) && said(&output).contains("run 1"),
            "{}",
            said(&output)
        );
    }
    let (status, targets, told) = scan(&db, &["--resume"]);
    assert_eq!((status, targets), (Some(2), 0));
    assert!(told.contains("the targets changed (it has 2048)"), "{told}");
    assert_eq!(slow(&["--resume"]).status().expect("it runs").code(), Some(1));

    // Four at once, of which each is a run of its own, whole.
    let children: Vec<_> = (0..4).map(|_| slow(&[]).spawn().expect("it starts")).collect();
    for child in children {
        let output = child.wait_with_output().expect("our child");
        assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    }
    assert_eq!(table(&db, "SELECT whole FROM runs ORDER BY id"), [1; 5]);
    assert_eq!(table(&db, "SELECT count(*) FROM tiles GROUP BY run"), [8; 5]);
    let listings = table(&db, "SELECT sum(length(details)) FROM tiles GROUP BY run");
    assert!(
        listings.iter().all(|octets| *octets == listings[0] && *octets > 1_000),
        "{listings:?}"
    );
    assert_eq!(
        table(&db, "SELECT count(*) FROM listed GROUP BY run"),
        [1; 5],
        "one /24 has listings"
    );
    assert!(fs::metadata(&db).expect("there").size() > 0);
    let _ = fs::remove_dir_all(folder);
}

/// A file of an older version is brought to today's when it is written to or read by its owner, and keeps its runs and its
/// histories. Up to version 4 each listing was a row of a table of its own; since then histories are read from the tiles.
#[test]
fn an_older_version_is_brought_up_to_date() {
    let folder = folder("older");
    let db = folder.join("runs.db");
    assert_eq!(scan(&db, &[]).0, Some(1));
    let history = |db: &Path| {
        let mut command = Command::cargo_bin("reputon").expect("the binary is built");
        let output = command.args(["history", "203.0.113.10", "--db"]).arg(db).output();
        String::from_utf8(output.expect("it runs").stdout).expect("JSON")
    };
    let before = history(&db);
    assert!(before.contains("\"runs\":1") && before.contains("lab-"), "{before}");
    let fourth = "DROP TABLE reached;
        DROP TABLE listed;
        CREATE TABLE names (id INTEGER PRIMARY KEY, list TEXT NOT NULL UNIQUE) STRICT;
        CREATE TABLE listings (
            target TEXT NOT NULL, list INTEGER NOT NULL REFERENCES names (id), run INTEGER NOT NULL REFERENCES runs (id),
            role TEXT NOT NULL, tier TEXT NOT NULL, codes TEXT NOT NULL, PRIMARY KEY (target, list, run)
        ) STRICT, WITHOUT ROWID;
        INSERT INTO names VALUES (1, 'lab-zen');
        INSERT INTO listings VALUES ('203.0.113.10', 1, 1, 'block', 'A', '127.0.0.2');
        PRAGMA user_version = 4;";
    let first = "DROP TABLE doubts; DROP TABLE examinations; ALTER TABLE runs DROP COLUMN audit; ALTER TABLE runs DROP COLUMN untold;
        PRAGMA user_version = 1;";
    for (version, back) in [(4, fourth.to_owned()), (1, format!("{fourth}{first}"))] {
        let older = folder.join(format!("{version}.db"));
        fs::copy(&db, &older).expect("a copy");
        let file = Connection::open(&older).expect("a database");
        file.execute_batch(&back).expect("as that version was");
        // A tile that nobody can read does not keep the others back.
        let tile = "INSERT INTO tiles SELECT run, 99, 0, x'00', states, details FROM tiles WHERE number = 0";
        file.execute_batch(tile).expect("a damaged tile");
        file.close().expect("closed");
        assert_eq!(history(&older), before, "version {version}, read");
        let file = Connection::open(&older).expect("a database");
        file.execute_batch("DELETE FROM tiles WHERE number = 99")
            .expect("mended");
        file.close().expect("closed");
        let (status, targets, told) = scan(&older, &["--diff", "last"]);
        assert_eq!((status, targets), (Some(1), 16), "{told}");
        assert_eq!(table(&older, "PRAGMA user_version"), [6]);
        assert_eq!(table(&older, "SELECT whole FROM runs"), [1, 1]);
        assert!(history(&older).contains("\"runs\":2"), "version {version}, written to");
    }
    let _ = fs::remove_dir_all(folder);
}
