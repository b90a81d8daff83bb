//! `reputon lists check` against the lab: the whole catalogue in good health, lists in every bad state, keys that are not
//! there, and resolvers that spoil the answers.

use std::collections::BTreeMap;

use assert_cmd::Command;
use reputon::lab::{Face, Lab, LabOptions};
use serde_json::Value;

fn reputon() -> Command {
    let mut command = Command::cargo_bin("reputon").expect("the binary is built");
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("REPUTON_KEY_") {
            command.env_remove(name);
        }
    }
    command.timeout(std::time::Duration::from_secs(120));
    command
}

/// Runs `lists check` with these arguments: its exit status, its rows, its talk.
fn check(arguments: &[&str]) -> (Option<i32>, Vec<Value>, String) {
    let output = reputon()
        .args(["lists", "check", "-f", "json"])
        .args(arguments)
        .output()
        .expect("it runs");
    let talk = String::from_utf8_lossy(&output.stderr).into_owned();
    let rows = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {talk}"));
    (output.status.code(), rows, talk)
}

fn text<'a>(row: &'a Value, key: &str) -> &'a str {
    row[key].as_str().unwrap_or("")
}

#[test]
fn every_list_of_the_catalogue_passes_in_the_lab_that_is_made_from_it() {
    for (selector, least) in [("default", 60), ("all", 400)] {
        let (status, rows, talk) = check(&["--lab-catalogue", selector]);
        assert_eq!(status, Some(0), "{selector}: {talk}");
        assert!(rows.len() >= least, "{selector}: {} examinations", rows.len());
        for row in &rows {
            match text(row, "health") {
                "healthy" => assert!(row["rtt_ms"].is_f64(), "{row}"),
                "not_asked" => assert_eq!(row["cause"], "unsupported", "{row}"),
                _ => panic!("{row}"),
            }
            for (code, word) in row["codes"].as_object().expect("codes") {
                // One list's test entry is documented to answer another code.
                let other = text(row, "id") == "blocklist-de" && code == "127.0.0.2";
                assert_eq!(word == "other", other, "{row}");
                assert!(other || word == "present", "{row}");
            }
        }
    }
}

#[test]
fn bad_lists_are_told_apart_and_the_exit_status_is_3() {
    let (status, rows, talk) = check(&["lab-bad", "--lab", "--timeout", "0.3", "--retries", "1"]);
    assert_eq!(status, Some(3));
    let causes: BTreeMap<&str, &str> = rows.iter().map(|row| (text(row, "id"), text(row, "cause"))).collect();
    for (id, cause) in [
        ("f01-wildcard", "lists_world"),
        ("f02-parked", "parked"),
        ("f04-empty", "no_test_point"),
        ("f06-silent", "unreachable"),
        ("f07-gone", "zone_gone"),
        ("f08-servfail", "servfail"),
        ("f08-refused", "refused"),
        ("f09-refusal-code", "refused"),
        ("f13-shallow", "minimised"),
        ("f14-other-test-code", ""),
        ("f18-scrambled", ""),
    ] {
        assert_eq!(causes[id], cause, "{id}");
    }
    assert!(talk.contains("examinations passed"), "{talk}");
    // One bad list among good ones is enough.
    assert_eq!(check(&["lab-zen,f04-empty", "--lab"]).0, Some(3));
    assert_eq!(check(&["lab-zen", "--lab"]).0, Some(0));
}

#[test]
fn the_entries_of_single_codes_are_told_and_no_fault() {
    let (status, rows, _) = check(&["lab-reasons", "--lab"]);
    assert_eq!((status, text(&rows[0], "health")), (Some(0), "healthy"));
    assert_eq!(rows[0]["codes"]["127.0.0.2"], "present", "{}", rows[0]);
    assert_eq!(rows[0]["codes"]["127.0.0.3"], "absent", "{}", rows[0]);
}

#[test]
fn a_list_without_its_key_is_not_asked_and_says_what_it_needs() {
    let lab = Lab::start(LabOptions::default()).expect("loopback");
    let resolver = lab.addr().to_string();
    let (status, rows, _) = check(&["abusix-combined", "--resolver", &resolver]);
    assert_eq!(
        (status, lab.zone_queries(&"abusix.zone".parse().expect("a name"))),
        (Some(3), None)
    );
    assert!(
        rows.iter().all(|row| row["cause"] == "no_key" && row["asked"] == 0),
        "{rows:?}"
    );
    assert!(text(&rows[0], "why").contains("--key abusix="), "{}", rows[0]);
}

#[test]
fn a_resolver_that_spoils_answers_is_blamed_and_not_the_lists() {
    let lab = Lab::start(LabOptions::default()).expect("loopback");
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("lab.toml");
    std::fs::write(&file, reputon::lab::CATALOGUE).expect("a file");
    let file = file.display().to_string();
    for face in [Face::Rewriting, Face::Dead] {
        let resolver = lab.face(face).to_string();
        let (status, rows, talk) = check(&[
            "--catalogue",
            &file,
            "--only-catalogue",
            "--resolver",
            &resolver,
            "--timeout",
            "0.2",
            "--retries",
            "0",
        ]);
        assert_eq!(status, Some(3), "{face:?}");
        assert!(talk.contains(&format!("resolver {resolver} is not used")), "{talk}");
        for row in &rows {
            assert_eq!(
                (text(row, "health"), text(row, "cause")),
                ("unchecked", "resolver_broken"),
                "{row}"
            );
        }
    }
}

#[test]
fn a_file_of_ones_own_can_be_served_and_checked() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("own.toml");
    let text = "[operator]\nid = \"own\"\n[[list]]\nid = \"own-bl\"\nzone = \"bl.own.test\"\nkinds = [\"ip4\", \"ip6\", \"domain\"]\n\
        [list.codes]\n\"127.0.0.2\" = { means = \"spam\" }\n\"127.0.0.9\" = { means = \"worms\" }\n";
    std::fs::write(&file, text).expect("a file");
    let file = file.display().to_string();
    let (status, rows, talk) = check(&["--catalogue", &file, "--lab-catalogue", "own"]);
    assert_eq!((status, rows.len()), (Some(0), 3), "{talk}");
    assert_eq!(rows[0]["codes"]["127.0.0.9"], "present", "{}", rows[0]);
    for (format, start) in [
        ("csv", "id,zone,operator,kind,role,tier,health,cause,"),
        ("table", " id "),
    ] {
        let output = reputon()
            .args([
                "lists",
                "check",
                "-q",
                "-f",
                format,
                "--catalogue",
                &file,
                "--lab-catalogue",
                "own",
            ])
            .output()
            .expect("it runs");
        let shown = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(shown.starts_with(start) && shown.contains("2 of 2"), "{shown}");
        assert!(output.stderr.is_empty());
    }
}
