//! A run database that cannot be used: the message names file and mend, the result is on standard output all the same, the
//! status is that of an I/O error, and the file is left as it is. What is nothing without the database ends at once.

use std::fs;
use std::path::PathBuf;

use assert_cmd::Command;
use rusqlite::Connection;
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
