//! The binary against the embedded world: every way in which real lists have failed is told for what it is, and never
//! becomes a listing or a clean bill. Also exit statuses, bad input, and where text goes.

use assert_cmd::Command;
use predicates::prelude::*;
use serde_json::Value;

fn reputon() -> Command {
    let mut command = Command::cargo_bin("reputon").expect("the binary is built");
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("REPUTON_KEY_") {
            command.env_remove(name);
        }
    }
    command.timeout(std::time::Duration::from_secs(240));
    command
}

fn json(command: &mut Command) -> Value {
    let output = command.output().expect("it runs");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
        panic!("{error}: {}", String::from_utf8_lossy(&output.stderr));
    })
}

/// What each failing list must be found to be: id, health, cause.
const FAILURES: [(&str, &str, &str); 18] = [
    ("f01-wildcard", "unhealthy", "lists_world"),
    ("f02-parked", "unhealthy", "parked"),
    ("f03-parked-many", "unhealthy", "parked"),
    ("f03-parked-alias", "unhealthy", "parked"),
    ("f04-empty", "unhealthy", "no_test_point"),
    ("f06-silent", "unhealthy", "unreachable"),
    ("f07-gone", "unhealthy", "zone_gone"),
    ("f08-servfail", "unhealthy", "servfail"),
    ("f08-refused", "unhealthy", "refused"),
    ("f09-refusal-code", "unhealthy", "refused"),
    ("f09-refusal-code-1", "unhealthy", "refused"),
    ("f10-goes-silent", "unhealthy", "unreachable"),
    ("f10-goes-refusing", "unhealthy", "refused"),
    ("f14-allow-code", "healthy", ""),
    ("f14-other-test-entry", "healthy", ""),
    ("f14-other-test-code", "healthy", ""),
    ("f16-strict-labels", "healthy", ""),
    ("f18-scrambled", "healthy", ""),
];

#[test]
fn f01_to_f18_are_told_for_what_they_are() {
    let report = json(reputon().args([
        "scan",
        "--lab",
        "--lists",
        "lab-bad",
        "203.0.113.0/24",
        "-f",
        "json",
        "--timeout",
        "0.3",
        "--retries",
        "1",
    ]));
    let lists = report["lists"].as_array().expect("lists");
    for (id, health, cause) in FAILURES {
        let list = lists
            .iter()
            .find(|list| list["id"] == id)
            .unwrap_or_else(|| panic!("{id} is there"));
        assert_eq!(list["health"], health, "{list}");
        assert_eq!(list["cause"].as_str().unwrap_or(""), cause, "{list}");
        if health == "unhealthy" {
            assert_eq!(list["listed"], 0, "a broken list lists nobody: {list}");
            assert_eq!(list["not_listed"], 0, "a broken list clears nobody: {list}");
            assert_eq!(list["unknown"], 256, "{list}");
        } else {
            assert_eq!(list["unknown"], 0, "{list}");
        }
    }
    // It lapses after a hundred queries and is back after 160: what it said meanwhile is nobody's listing.
    let lapsed = lists
        .iter()
        .find(|list| list["id"] == "f15-lapses")
        .expect("it is there");
    assert!(lapsed["listed"].as_u64().expect("a count") <= 2, "{lapsed}");
    assert_eq!(lapsed["unknown"], 0, "it is asked again when it is back: {lapsed}");
    for target in report["targets"].as_array().expect("targets") {
        for listing in target["listings"].as_array().expect("listings") {
            for code in listing["codes"].as_array().expect("codes") {
                let code = code.as_str().expect("text");
                assert!(code.starts_with("127.0.0."), "{listing}");
            }
        }
    }
}

#[test]
fn f13_a_list_that_knows_one_label_only_is_found_out() {
    let report = json(reputon().args([
        "scan",
        "--lab",
        "--lists",
        "f13-shallow",
        "example-shop.test",
        "clean.example.test",
        "-f",
        "json",
    ]));
    assert_eq!(report["lists"][0]["not_listed"], 0, "{}", report["lists"][0]);
    assert_eq!(report["lists"][0]["unknown"], 2);
}

#[test]
fn the_same_question_twice_gives_the_same_targets() {
    let targets = || {
        let report = json(reputon().args(["scan", "--lab", "203.0.113.0/25", "example-shop.test", "-f", "json"]));
        report["targets"].clone()
    };
    let first = targets();
    assert_eq!(first.as_array().expect("targets").len(), 129);
    assert_eq!(first, targets());
}

#[test]
fn exit_status_tells_listed_clean_and_unknown_apart() {
    let status = |args: &[&str]| {
        let mut command = reputon();
        command.args([
            "scan",
            "--lab",
            "-f",
            "none",
            "-q",
            "--timeout",
            "0.2",
            "--retries",
            "0",
        ]);
        command.args(args).output().expect("it runs").status.code()
    };
    assert_eq!(status(&["203.0.113.10"]), Some(1));
    assert_eq!(status(&["192.0.2.200"]), Some(0));
    assert_eq!(status(&["--lists", "f06-silent", "192.0.2.200"]), Some(3));
    assert_eq!(
        status(&[
            "--lists",
            "f05-test-entry-only,f08-servfail",
            "--fail-on",
            "A",
            "192.0.2.200"
        ]),
        Some(0)
    );
    assert_eq!(status(&["10.0.0.1"]), Some(0), "special use is never asked");
    assert_eq!(status(&["300.1.2.3"]), Some(2));
    assert_eq!(status(&["--lists", "nonsense", "192.0.2.1"]), Some(2));
}

#[test]
fn bad_targets_are_all_named_before_anything_is_asked() {
    let mut input = String::new();
    for number in 0..10_000 {
        input += &match number % 4_000 {
            7 => format!("not a name {number}\n"),
            9 => "http://example.test/\n".to_owned(),
            _ => format!("host{number}.example.test\n"),
        };
    }
    reputon()
        .args(["scan", "--lab", "-"])
        .write_stdin(input)
        .assert()
        .code(2)
        .stdout("")
        .stderr(predicate::str::contains("<stdin>:8:").and(predicate::str::contains("<stdin>:8010:")))
        .stderr(predicate::str::contains("example.test"));
}

#[test]
fn an_unwritable_output_is_found_before_the_scan() {
    reputon()
        .args(["scan", "--lab", "203.0.113.0/24", "-o", "/nonexistent/folder/x.csv"])
        .assert()
        .code(2)
        .stdout("")
        .stderr(predicate::str::contains("/nonexistent/folder/x.csv"));
}

#[test]
fn a_bad_catalogue_names_file_line_key_and_mend() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("mine.toml");
    let text = "[operator]\nid = \"mine\"\nname = \"Mine\"\n\n[[list]]\nid = \"mine\"\nzone = \"bl.mine.test\"\n\
                kinds = [\"ip4\"]\nrole = \"block\"\ntier = \"B\"\ncolour = \"red\"\n[list.codes]\n\"128.0.0.2\" = { means = \"x\" }\n";
    std::fs::write(&file, text).expect("written");
    reputon()
        .args([
            "scan",
            "--resolver",
            "127.0.0.1:1",
            "192.0.2.1",
            "--only-catalogue",
            "--catalogue",
        ])
        .arg(&file)
        .assert()
        .code(2)
        .stderr(predicate::str::contains("mine.toml:11:").and(predicate::str::contains("colour")))
        .stderr(predicate::str::contains("mine.toml:13:").and(predicate::str::contains("128.0.0.2")));
}

#[test]
fn a_dead_resolver_is_said_to_be_dead_and_nobody_is_clean() {
    let silent = std::net::UdpSocket::bind("127.0.0.1:0").expect("loopback");
    let address = silent.local_addr().expect("bound").to_string();
    let output = reputon()
        .args([
            "scan",
            "--resolver",
            &address,
            "192.0.2.1",
            "--timeout",
            "0.1",
            "--retries",
            "1",
            "-f",
            "jsonl",
        ])
        .output()
        .expect("it runs");
    assert_eq!(output.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&output.stderr).contains("does not answer"));
    let target: Value = serde_json::from_slice(&output.stdout).expect("one line");
    assert_eq!(target["verdict"], "unknown");
    assert_eq!(target["unknowns"][0]["cause"], "resolver_broken");
}

#[test]
fn hostile_text_stays_text() {
    let output = reputon()
        .args(["scan", "--lab", "203.0.113.0/24", "-f", "csv"])
        .output()
        .expect("it runs");
    assert!(!output.stdout.contains(&0x1b), "no escape sequence passes");
    let mut reader = csv::Reader::from_reader(output.stdout.as_slice());
    let mut rows = 0;
    for row in reader.records() {
        let row = row.expect("well-formed");
        assert_eq!(row.len(), 14);
        assert!(row.iter().all(|cell| !cell.starts_with(['=', '+', '@'])), "{row:?}");
        rows += 1;
    }
    assert!(rows > 20);
}

#[test]
fn the_default_catalogue_can_be_rehearsed_offline() {
    let report = json(reputon().args([
        "scan",
        "--lab-catalogue",
        "default",
        "192.0.2.0/26",
        "2001:db8::1",
        "shop.example.test",
        "-f",
        "json",
    ]));
    for list in report["lists"].as_array().expect("lists") {
        assert_eq!(list["unknown"], 0, "{list}");
        assert_ne!(list["health"], "unhealthy", "{list}");
    }
}

#[test]
fn keys_never_show() {
    let output = reputon()
        .args([
            "scan",
            "--lab-catalogue",
            "operator:spamhaus",
            "192.0.2.1",
            "-f",
            "json",
            "-v",
        ])
        .env("REPUTON_KEY_SPAMHAUS", "sesame4711")
        .output()
        .expect("it runs");
    for text in [&output.stdout, &output.stderr] {
        assert!(!String::from_utf8_lossy(text).contains("sesame4711"));
    }
    assert!(String::from_utf8_lossy(&output.stdout).contains("{key}"));
}

/// Domain lists are proved by a test entry of one label, which a resolver that minimises names does not lose: alone they look
/// well behind it. Their targets fill a tile of their own, which must not close before the address lists, which are slower here, have told.
#[test]
fn r11_f13_nothing_closes_before_it_is_known_what_the_resolver_does() {
    use reputon::clock::Span;
    use reputon::lab::{Face, Lab, LabOptions};

    let slow = ["zen", "parents", "reasons"].map(|list| format!("{list}.lab.test").parse().expect("a name"));
    let lab = Lab::start(LabOptions {
        impaired: slow.map(|zone| (zone, Span::from_millis(700), 0)).into(),
        ..LabOptions::default()
    })
    .expect("loopback can be listened on");
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("lab.toml");
    std::fs::write(&file, reputon::lab::CATALOGUE).expect("written");
    let names = (0..255).map(|number| format!("name{number}.clean.example.test\n"));
    let targets: String = std::iter::once("example-shop.test\n".to_owned())
        .chain(names)
        .chain(["203.0.113.10\n".to_owned()])
        .collect();
    let report = json(
        reputon()
            .args(["scan", "-", "--only-catalogue", "--db", "none", "--stages", "none"])
            .args(["--lists", "lab-dbl,lab-zen,lab-parents,lab-reasons", "-f", "json"])
            .args(["--resolver", &lab.face(Face::Minimising).to_string()])
            .arg("--catalogue")
            .arg(&file)
            .write_stdin(targets),
    );
    let targets = report["targets"].as_array().expect("targets");
    assert_eq!(targets.len(), 257);
    for target in targets {
        assert_eq!(target["verdict"], "unknown", "{target}");
        assert_eq!(target["unknowns"][0]["cause"], "resolver_broken", "{target}");
    }
}

/// Stopped while a silent list is still examined: what the others said stands.
#[test]
fn a_stop_before_every_list_is_examined_loses_nothing_of_the_others() {
    let report = json(
        reputon()
            .args(["scan", "203.0.113.0/28", "--lab", "--lists", "lab-zen,f06-silent"])
            .args(["--stages", "none", "--max-time", "3s", "--timeout", "3", "-f", "json"]),
    );
    let zen = &report["lists"][0];
    assert_eq!((&zen["id"], &zen["unknown"]), (&"lab-zen".into(), &0.into()), "{zen}");
    assert_eq!(report["lists"][1]["unknown"], 16, "{}", report["lists"][1]);
}

#[test]
fn f11_f12_f13_a_lying_resolver_is_named_and_nobody_is_clean() {
    use std::io::BufRead;
    use std::process::Stdio;

    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("lab.toml");
    std::fs::write(&file, reputon::lab::CATALOGUE).expect("written");
    let mut lab = std::process::Command::new(assert_cmd::cargo::cargo_bin("reputon"))
        .args(["lab", "-q"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts");
    let lines = std::io::BufReader::new(lab.stdout.take().expect("piped"))
        .lines()
        .take(6);
    let faces: Vec<(String, String)> = lines
        .map(|line| {
            let line = line.expect("text");
            let (face, address) = line.split_once('\t').expect("face and address");
            (face.to_owned(), address.to_owned())
        })
        .collect();
    let results: Vec<(String, String, Vec<Value>)> = ["rewriting", "stripping", "minimising"]
        .map(|wanted| {
            let (_, address) = faces.iter().find(|(face, _)| face == wanted).expect("it is there");
            let output = reputon()
                .args([
                    "scan",
                    "203.0.113.10",
                    "example-shop.test",
                    "--only-catalogue",
                    "-f",
                    "jsonl",
                    "--resolver",
                    address,
                ])
                .arg("--catalogue")
                .arg(&file)
                .output()
                .expect("it runs");
            assert_eq!(output.status.code(), Some(3), "{wanted}");
            let lines = output
                .stdout
                .split(|octet| *octet == b'\n')
                .filter(|line| !line.is_empty());
            let targets = lines.map(|line| serde_json::from_slice(line).expect("JSON")).collect();
            (
                wanted.to_owned(),
                String::from_utf8_lossy(&output.stderr).into_owned(),
                targets,
            )
        })
        .into();
    lab.kill().expect("it was running");
    lab.wait().expect("it ends");
    for (face, talk, targets) in results {
        assert!(talk.contains("resolver"), "{face}: {talk}");
        assert_eq!(targets.len(), 2, "{face}");
        for target in targets {
            assert_eq!(target["verdict"], "unknown", "{face}: {target}");
            assert_eq!(target["unknowns"][0]["cause"], "resolver_broken", "{face}: {target}");
        }
    }
}
