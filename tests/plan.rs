//! What `reputon plan` says beforehand is what a scan then does: queries by operator, folding, sharing, shares of the
//! targets. How long it takes is for a person to look at; a test that watches the clock fails by chance.

use assert_cmd::Command;
use serde_json::Value;

fn json(args: &[&str]) -> Value {
    let mut command = Command::cargo_bin("reputon").expect("the binary is built");
    command.timeout(std::time::Duration::from_secs(120));
    let output = command.args(args).output().expect("it runs");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
        panic!("{error}: {}", String::from_utf8_lossy(&output.stderr));
    })
}

const WHAT: [&str; 6] = [
    "--lab",
    "--lists",
    "operator:lab",
    "203.0.113.0/24",
    "2001:db8:bad::/120",
    "10.0.0.0/28",
];

#[test]
fn a_scan_asks_what_its_plan_said() {
    for more in [&[][..], &["--no-fold"]] {
        let plan = json(&[&["plan", "-f", "json"][..], &WHAT, more].concat());
        let scan = json(&[&["scan", "-q", "-f", "json"][..], &WHAT, more].concat());
        assert_eq!(plan["special_use"], 16);
        let lists = plan["lists"].as_array().expect("lists");
        let of_kind = |how: &str| -> u64 {
            let rows = lists.iter().filter(|row| row["how"] == how);
            rows.map(|row| row["targets"].as_u64().expect("a number")).sum()
        };
        assert_eq!(scan["run"]["folded"], of_kind("folded"));
        for list in scan["lists"].as_array().expect("lists") {
            let rows = lists.iter().filter(|row| row["id"] == list["id"]);
            let planned: u64 = rows.map(|row| row["queries"].as_u64().expect("a number")).sum();
            // Texts, the examination and the controls come on top.
            let listed = list["listed"].as_u64().expect("a number");
            let asked = list["asked"].as_u64().expect("a number");
            assert!((planned..=planned + listed + 24).contains(&asked), "{planned}: {list}");
        }
    }
}

/// Listings and what stages find are not known beforehand: within a fifth.
#[test]
fn a_scan_with_stages_asks_about_what_its_plan_said() {
    let addresses = &["203.0.112.0/22", "198.51.100.0/24"][..];
    let names = &["mail.example.org", "example.net", "a.example", "b.example"][..];
    for targets in [addresses, names, &[addresses, names].concat()] {
        let what = [&["--lab", "--lists", "operator:lab"], targets].concat();
        let plan = json(&[&["plan", "-f", "json"][..], &what].concat());
        let scan = json(&[&["scan", "-q", "--db", "none", "-f", "json"][..], &what].concat());
        let number = |value: &Value| value.as_f64().expect("a number");
        let planned = number(&plan["queries"]) + number(&plan["lookups"]);
        let asked = number(&scan["run"]["asked"]);
        assert!(
            (0.8..1.2).contains(&(planned / asked)),
            "{planned} planned, {asked} asked"
        );
    }
}

#[test]
fn rates_and_budgets_are_those_of_the_catalogue() {
    let plan = json(&["plan", "-f", "json", "--lists", "default", "198.51.100.0/22"]);
    let operators = plan["operators"].as_array().expect("operators");
    assert!(operators.len() > 5);
    for operator in operators {
        let number = |key: &str| operator[key].as_f64().expect("a number");
        let all = number("probes") + number("controls") + number("pairs") + number("texts");
        assert_eq!(all, number("queries"), "{operator}");
        if let Some(limit) = operator["per_day"].as_f64() {
            assert_eq!(number("days"), (all / limit).ceil(), "{operator}");
        }
    }
    let slowest = operators.iter().filter_map(|operator| operator["seconds"].as_f64());
    let slowest = slowest.fold(0.0, f64::max);
    assert!(plan["seconds"].as_f64().expect("a number") >= slowest);
    assert_eq!(plan["bound"]["by"], "operator");
}

#[test]
fn shards_are_shares_of_the_whole() {
    let of = |shard: &str| {
        let args = [
            "scan",
            "-q",
            "-f",
            "json",
            "--lab",
            "--lists",
            "lab-zen",
            "203.0.112.0/22",
            "a.example",
            "--shard",
        ];
        let report = json(&[&args[..], &[shard]].concat());
        let targets = report["targets"].as_array().expect("targets").iter();
        targets
            .map(|target| target["target"].as_str().expect("text").to_owned())
            .collect::<Vec<_>>()
    };
    let mut all = [of("1/3"), of("2/3"), of("3/3")].concat();
    assert_eq!(all.len(), 1025);
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), 1025, "each in one share");
    assert_eq!(of("1/1").len(), 1025);
}
