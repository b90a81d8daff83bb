//! Names related to a target on the lists of the run: told with `via`, asked once in the run, counted for nothing.

use assert_cmd::Command;
use serde_json::Value;

/// Scans the embedded world; the report and the exit status.
fn scan(args: &[&str]) -> (Value, Option<i32>) {
    let output = Command::cargo_bin("reputon")
        .expect("the binary is built")
        .args(["scan", "--lab", "-f", "json", "-q"])
        .args(args)
        .timeout(std::time::Duration::from_secs(60))
        .output()
        .expect("it runs");
    let report = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)));
    (report, output.status.code())
}

/// `via`, and the list that the text names, of the findings about related names.
fn related(target: &Value) -> Vec<(String, String)> {
    let findings = target["findings"].as_array().expect("findings").iter();
    findings
        .filter(|finding| finding["code"] == "related_listed")
        .map(|finding| {
            let text = finding["text"].as_str().expect("text");
            assert!(!finding["mend"].as_str().expect("a mend").is_empty());
            assert_eq!(finding["stage"], "lists");
            let list = text.split(" is listed by ").nth(1).expect("a list");
            let list = list.split(' ').next().expect("a word").to_owned();
            (finding["via"].as_str().expect("via").to_owned(), list)
        })
        .collect()
}

fn asked(report: &Value, id: &str) -> u64 {
    let lists = report["lists"].as_array().expect("lists");
    let list = lists.iter().find(|list| list["id"] == id).expect("the list");
    list["asked"].as_u64().expect("a number")
}

/// What must not depend on related names.
fn counted(report: &Value) -> Vec<String> {
    let targets = report["targets"].as_array().expect("targets").iter();
    let fields = [
        "target",
        "verdict",
        "rating",
        "confidence",
        "listed",
        "not_listed",
        "unknown",
    ];
    let mut all: Vec<String> = targets
        .map(|target| fields.map(|field| target[field].to_string()).join(" "))
        .collect();
    all.push(report["run"]["planned"].to_string());
    all.push(report["run"]["answered"].to_string());
    all
}

#[test]
fn the_domain_of_a_name_goes_to_the_domain_lists_once() {
    let (one, _) = scan(&["203.0.113.10", "--stages", "rdns"]);
    let bulk = [("example-bulk.test".to_owned(), "lab-multi".to_owned())];
    assert_eq!(related(&one["targets"][0]), bulk);
    let (ten, _) = scan(&["203.0.113.10-203.0.113.19", "203.0.113.66", "--stages", "rdns"]);
    for target in ten["targets"].as_array().expect("targets") {
        assert_eq!(related(target), bulk);
    }
    assert_eq!(
        asked(&one, "lab-multi"),
        asked(&ten, "lab-multi"),
        "once for all of them"
    );
    // A list that takes full names is asked for the domain, not for the host below it.
    assert!(asked(&one, "lab-dbl") > 0);
    let (clean, _) = scan(&["192.0.2.25", "--stages", "rdns"]);
    assert!(related(&clean["targets"][0]).is_empty());
}

#[test]
fn the_addresses_of_exchangers_go_to_the_address_lists() {
    let (report, _) = scan(&["example-shop.test", "--stages", "mx"]);
    assert_eq!(
        related(&report["targets"][0]),
        [("203.0.113.25".to_owned(), "lab-brute".to_owned())]
    );
    assert_eq!(report["targets"][0]["verdict"], "clean");
    let (report, _) = scan(&["example-clean.test", "--stages", "mx"]);
    assert!(related(&report["targets"][0]).is_empty());
}

#[test]
fn they_count_for_nothing_and_are_not_asked_without_stages() {
    for targets in [
        &["203.0.113.10", "203.0.113.66", "192.0.2.25"][..],
        &["example-shop.test", "example-clean.test"],
        &["203.0.113.25", "example-shop.test"],
    ] {
        let (with, with_status) = scan(&[targets, &["--stages", "rdns,mx"]].concat());
        let (without, without_status) = scan(&[targets, &["--stages", "none"]].concat());
        assert_eq!(counted(&with), counted(&without));
        assert_eq!(with_status, without_status);
        for target in without["targets"].as_array().expect("targets") {
            assert!(related(target).is_empty());
        }
    }
    let (without, _) = scan(&["203.0.113.10", "--stages", "none"]);
    assert_eq!(asked(&without, "lab-multi"), 0);
    // Lists that are asked about nothing else change neither coverage nor the exit status.
    let (alone, _) = scan(&["203.0.113.10", "--lists", "lab-dbl,lab-multi", "--stages", "rdns"]);
    assert_eq!(related(&alone["targets"][0]).len(), 1);
    assert_eq!(alone["targets"][0]["listed"], 0);
    assert_eq!(alone["run"]["planned"], 0);
}

#[test]
fn lists_that_fail_their_examination_say_nothing() {
    let lists = ["--lists", "default,lab-bad", "--timeout", "0.2", "--retries", "0"];
    let (report, status) = scan(&[&["example-shop.test", "--stages", "mx"], &lists[..]].concat());
    assert_eq!(
        related(&report["targets"][0]),
        [("203.0.113.25".to_owned(), "lab-brute".to_owned())],
        "neither the list that lists everything, nor those that are parked or refuse"
    );
    assert!(asked(&report, "f01-wildcard") > 0, "it was examined");
    let (_, plain) = scan(&[&["example-shop.test", "--stages", "none"], &lists[..]].concat());
    assert_eq!(status, plain, "they cost neither coverage nor anything else");
    // Unexamined, they are believed, as the user wants it.
    let wild = [
        "example-clean.test",
        "--stages",
        "mx",
        "--lists",
        "f01-wildcard",
        "--skip-health",
    ];
    assert_eq!(related(&scan(&wild).0["targets"][0]).len(), 1);
}

/// A list whose data is on disk says the same of a related name as one that is asked, and no question is sent.
#[test]
fn data_at_hand_is_looked_into_for_related_names() {
    let data = tempfile::NamedTempFile::with_suffix(".dnset").expect("a file");
    std::fs::write(data.path(), ":127.0.0.4:by our own data\nexample-shop.test\n").expect("written");
    let scan_with = |targets: &[&str], list: &str, file: &std::path::Path| {
        let local = format!("{list}={}", file.display());
        scan(
            &[
                targets,
                &["--stages", "rdns,mx", "--lists", list, "--zone-data", &local],
            ]
            .concat(),
        )
    };
    let (report, _) = scan_with(&["203.0.113.25", "192.0.2.25"], "lab-multi", data.path());
    let listed = [("example-shop.test".to_owned(), "lab-multi".to_owned())];
    assert_eq!(related(&report["targets"][0]), listed);
    assert!(related(&report["targets"][1]).is_empty());
    let counted = (asked(&report, "lab-multi"), &report["targets"][0]["listed"]);
    assert_eq!(counted, (0, &0.into()), "nothing is asked, and nothing counts");

    // So are the addresses that take a domain's mail.
    let data = tempfile::NamedTempFile::with_suffix(".ip4set").expect("a file");
    std::fs::write(data.path(), ":127.0.0.2:by our own data\n203.0.113.25\n").expect("written");
    let (report, _) = scan_with(&["example-shop.test"], "lab-brute", data.path());
    assert_eq!(
        related(&report["targets"][0]),
        [("203.0.113.25".to_owned(), "lab-brute".to_owned())]
    );
}
