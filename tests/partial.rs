//! Answers that say a part of the truth: an entry with codes that the list does not define, and a domain that is listed by
//! both of its names; and data on disk that is about one kind of target. What they do not say is not concluded from them.
//! Through the real binary, beside rbldnsd.

mod peers;

use std::process::Command;

use peers::Peer;
use serde_json::Value;
use tempfile::TempDir;

fn scan(catalogue: &str, zones: &[(&str, &str, &[u8])], targets: &[&str]) -> Option<Value> {
    let peer = Peer::rbldnsd(zones)?;
    let folder = TempDir::new().expect("a folder");
    let file = folder.path().join("lists.toml");
    std::fs::write(&file, catalogue).expect("written");
    let mut command = Command::new(env!("CARGO_BIN_EXE_reputon"));
    command.args([
        "--config", "none", "scan", "-q", "-f", "json", "--db", "none", "--stages", "none",
    ]);
    command
        .args(["--only-catalogue", "--lists", "all", "--catalogue"])
        .arg(&file);
    for (zone, ..) in zones {
        command.arg("--route").arg(format!("{zone}={}", peer.addr()));
    }
    let output = command.args(targets).output().expect("it runs");
    let report = serde_json::from_slice(&output.stdout);
    Some(report.unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr))))
}

/// The lists that have a target, with codes and how that was learnt; and its verdict.
fn listed(report: &Value, target: &str) -> (Vec<String>, String) {
    let targets = report["targets"].as_array().expect("targets");
    let found = targets.iter().find(|one| one["target"] == target).expect("it is there");
    let listings = found["listings"].as_array().expect("listings").iter();
    let told = listings.map(|one| format!("{} {} {}", one["list"], one["codes"], one["how"]).replace('"', ""));
    (told.collect(), found["verdict"].as_str().expect("a word").to_owned())
}

/// The composite has begun to answer with a code that nobody knows, beside others: it may be the part's.
#[test]
fn a_code_that_nobody_knows_clears_no_part() {
    let catalogue = r#"
[operator]
id = "peer"
name = "Peer"
[[list]]
id = "all"
zone = "all.peer.test"
kinds = ["ip4"]
role = "block"
tier = "A"
covers = ["spam", "dynamic"]
[list.codes]
"127.0.0.2" = { means = "spam", sublist = "spam" }
"127.0.0.10" = { means = "dynamic", sublist = "dynamic" }
[[list]]
id = "spam"
zone = "spam.peer.test"
kinds = ["ip4"]
role = "block"
tier = "A"
[[list]]
id = "dynamic"
zone = "dynamic.peer.test"
kinds = ["ip4"]
role = "block"
tier = "C"
"#;
    let zones: [(&str, &str, &[u8]); 3] = [
        (
            "all.peer.test",
            "ip4set",
            b"127.0.0.2 :2:\n192.0.2.1 :2:\n192.0.2.1 :77:\n192.0.2.2 :2:\n",
        ),
        (
            "spam.peer.test",
            "ip4set",
            b"127.0.0.2 :2:\n192.0.2.1 :2:\n192.0.2.2 :2:\n",
        ),
        ("dynamic.peer.test", "ip4set", b"127.0.0.2 :2:\n192.0.2.1 :10:\n"),
    ];
    let Some(report) = scan(catalogue, &zones, &["192.0.2.1", "192.0.2.2", "192.0.2.3"]) else {
        return;
    };
    let (told, _) = listed(&report, "192.0.2.1");
    assert_eq!(
        told,
        [
            "all [127.0.0.2] asked",
            "spam [127.0.0.2] folded",
            "dynamic [127.0.0.10] asked"
        ]
    );
    let (told, _) = listed(&report, "192.0.2.2");
    assert_eq!(told, ["all [127.0.0.2] asked", "spam [127.0.0.2] folded"]);
    assert_eq!(listed(&report, "192.0.2.3").1, "clean");
}

/// A name is vouched for, and the domain that it is in is listed: one does not hide the other.
#[test]
fn a_domain_is_listed_for_all_that_its_two_names_are() {
    let catalogue = r#"
[operator]
id = "peer"
name = "Peer"
[[list]]
id = "names"
zone = "names.peer.test"
kinds = ["domain"]
role = "block"
tier = "A"
name_form = "both"
[list.codes]
"127.0.0.2" = { means = "spam" }
"127.0.0.9" = { means = "good", role = "allow" }
"#;
    let zones: [(&str, &str, &[u8]); 1] = [(
        "names.peer.test",
        "dnset",
        b"TEST :2:\nmail.bad.example :9:\nbad.example :2:\nwww.good.example :9:\n",
    )];
    let targets = ["mail.bad.example", "www.good.example"];
    let Some(report) = scan(catalogue, &zones, &targets) else {
        return;
    };
    let (told, verdict) = listed(&report, "mail.bad.example");
    assert_eq!(
        (told, verdict.as_str()),
        (vec!["names [127.0.0.2,127.0.0.9] asked".to_owned()], "listed")
    );
    let (told, verdict) = listed(&report, "www.good.example");
    assert_eq!(
        (told, verdict.as_str()),
        (vec!["names [127.0.0.9] asked".to_owned()], "clean")
    );
}

/// A file of IPv4 addresses has no IPv6 address and no domain, whatever the list has: nobody of these is cleared by it.
#[test]
fn data_on_disk_clears_nobody_of_whom_it_knows_nothing() {
    let folder = TempDir::new().expect("a folder");
    let path = |name: &str| folder.path().join(name).display().to_string();
    let catalogue = r#"
[operator]
id = "peer"
name = "Peer"
[[list]]
id = "all"
zone = "all.peer.test"
kinds = ["ip4", "ip6", "domain"]
role = "block"
tier = "A"
"#;
    std::fs::write(path("lists.toml"), catalogue).expect("written");
    std::fs::write(path("v4"), "127.0.0.2\n192.0.2.1\n").expect("written");
    std::fs::write(path("v6"), "2001:db8::/32\n").expect("written");
    std::fs::write(path("names.dnset"), "bad.example\n").expect("written");
    std::fs::write(path("reversed.dnset"), "*.2.0.192\n").expect("written");
    let scan = |files: &[&str], targets: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_reputon"));
        command.args([
            "--config", "none", "scan", "-q", "-f", "json", "--db", "none", "--stages", "none",
        ]);
        command.args([
            "--only-catalogue",
            "--lists",
            "all",
            "--timeout",
            "0.2",
            "--retries",
            "0",
        ]);
        command.arg("--catalogue").arg(path("lists.toml"));
        command.args(["--route", &format!("all.peer.test={}", peers::free_addr())]); // nobody is there
        for file in files {
            command.arg(format!("--zone-data=all={}", path(file)));
        }
        command.args(targets).output().expect("it runs")
    };
    let verdicts = |files: &[&str]| {
        let targets = [
            "192.0.2.1",
            "198.51.100.1",
            "2001:db8::1",
            "2400::1",
            "bad.example",
            "good.example",
        ];
        let output = scan(files, &targets);
        let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        targets.map(|target| listed(&report, target).1)
    };
    for (files, expected) in [
        (&["v4"][..], "listed clean unknown unknown unknown unknown"),
        (&["v6"], "unknown unknown listed clean unknown unknown"),
        (&["names.dnset"], "unknown unknown unknown unknown listed clean"),
        (&["reversed.dnset"], "listed clean unknown unknown unknown unknown"),
        (&["v4", "v6", "names.dnset"], "listed clean listed clean listed clean"),
    ] {
        assert_eq!(verdicts(files).join(" "), expected, "{files:?}");
    }
    // A file that has nothing for the list at all is the wrong one.
    let names = catalogue.replace(r#""ip4", "ip6", "domain""#, r#""domain""#);
    std::fs::write(path("lists.toml"), names).expect("written");
    let output = scan(&["v4"], &["bad.example"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(
        said.contains("no entry of the kinds that the list takes (domain)"),
        "{said}"
    );
}
