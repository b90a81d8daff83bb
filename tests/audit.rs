//! `reputon audit` against the embedded world: the recommendation and its reasons, neighbours counted apart, the same in
//! every form.

use assert_cmd::Command;
use predicates::prelude::*;
use serde_json::Value;

fn audit(args: &[&str]) -> Command {
    let mut command = Command::cargo_bin("reputon").expect("the binary is built");
    command.args(["audit", "--lab", "-q"]).args(args);
    command.timeout(std::time::Duration::from_secs(120));
    command
}

fn json(args: &[&str]) -> Value {
    let output = audit(args).args(["-f", "json"]).output().expect("it runs");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
        panic!("{error}: {}", String::from_utf8_lossy(&output.stderr));
    })
}

#[test]
fn a_bad_block_is_rejected_with_reasons_and_a_clean_one_is_fair() {
    let bad = json(&["203.0.113.0/24"]);
    let audit = &bad["audit"];
    assert_eq!(audit["recommendation"], "reject", "{audit}");
    let reasons = audit["reasons"].to_string();
    assert!(reasons.contains("hijacked") && reasons.contains("tier-A"), "{reasons}");
    assert_eq!(audit["density"]["addresses"], 256);
    assert_eq!(audit["per_24"][0]["block"], "203.0.113.0/24");
    assert_eq!(audit["longest_run"]["first"], "203.0.113.100");
    assert!(audit["drop"].as_u64().expect("a number") > 0);

    let clean = json(&["192.0.2.0/25"]);
    assert_eq!(clean["audit"]["recommendation"], "fair", "{}", clean["audit"]);
    assert_eq!(clean["audit"]["density"]["listed"], 0);
}

#[test]
fn neighbours_are_asked_and_counted_apart() {
    // The bad block is the neighbour of this one.
    let found = json(&["203.0.114.0/26", "--neighbours"]);
    let audit = &found["audit"];
    assert_eq!(audit["density"]["addresses"], 64);
    assert_eq!(audit["density"]["listed"], 0, "{audit}");
    assert_eq!(found["targets"].as_array().expect("targets").len(), 64);
    let neighbours = audit["neighbours"].as_array().expect("neighbours");
    let of = |block: &str| neighbours.iter().find(|one| one["block"] == block).expect("asked");
    assert!(of("203.0.113.0/24")["tier_a"].as_u64().expect("a number") > 0);
    assert_eq!(of("203.0.114.0/24")["addresses"], 192, "the rest of its own /24");
    assert_eq!(
        audit["recommendation"], "fair",
        "neighbours are no reason by themselves"
    );
}

#[test]
fn too_little_known_is_no_verdict() {
    let found = json(&[
        "203.0.113.0/28",
        "--lists",
        "f08-refused",
        "--timeout",
        "0.3",
        "--retries",
        "0",
    ]);
    let audit = &found["audit"];
    assert_eq!(audit["recommendation"], "no_verdict", "{audit}");
    assert!(audit["reasons"].to_string().contains("90 % are needed"), "{audit}");
}

/// Nothing could be asked: no advice, and a status that says so.
#[test]
fn a_block_of_special_use_is_no_verdict_and_no_success() {
    let output = audit(&["10.0.0.0/30", "-f", "table"]).output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.starts_with("10.0.0.0/30: no verdict"), "{said}");
    assert_eq!(output.status.code(), Some(3), "{said}");
}

/// A softer list that does not work forbids no recommendation, and is named beside it.
#[test]
fn a_list_that_could_not_be_used_is_named_to_who_decides() {
    let lists = [
        "198.51.100.0/28",
        "--lists",
        "lab-brute,f08-refused",
        "--timeout",
        "0.3",
        "--retries",
        "0",
    ];
    let reasons = json(&lists)["audit"]["reasons"].to_string();
    assert!(
        reasons.contains("1 list could not be used") && reasons.contains("f08-refused"),
        "{reasons}"
    );
}

#[test]
fn every_form_opens_with_the_recommendation() {
    let folder = tempfile::tempdir().expect("a place for temporary files");
    let (html, markdown) = (folder.path().join("a.html"), folder.path().join("a.md"));
    audit(&["203.0.113.0/24", "-f", "table", "-o"])
        .arg(&markdown)
        .arg("-o")
        .arg(&html)
        .assert()
        .code(1)
        .stdout(predicate::str::starts_with("203.0.113.0/24: reject"))
        .stdout(predicate::str::contains("Hijacked space (DROP)"));
    let markdown = std::fs::read_to_string(markdown).expect("written");
    assert!(markdown.starts_with("# 203.0.113.0/24: reject"), "{markdown}");
    let html = std::fs::read_to_string(html).expect("written");
    assert!(html.contains("203.0.113.0/24: reject: do not buy it"));
}

/// Names, origins and contacts come with it, hostile ones too; names of an earlier tenant are a reason for caution.
#[test]
fn it_tells_whose_names_the_block_carries_and_who_announces_it() {
    let found = json(&["198.51.100.0/24"]);
    let audit = &found["audit"];
    assert_eq!(audit["recommendation"], "caution", "{audit}");
    assert!(audit["reasons"].to_string().contains("earlier tenant"), "{audit}");
    assert_eq!(audit["earlier_tenant"], 40);
    assert_eq!(
        (&audit["names"]["named"], &audit["names"]["unnamed"]),
        (&168.into(), &88.into())
    );
    assert_eq!(audit["names"]["dynamic"], 128);
    let domains = audit["domains"].as_array().expect("domains");
    assert!(
        domains
            .iter()
            .any(|one| one["domain"] == "earlier-tenant.test" && one["earlier"] == true)
    );
    let origins: Vec<u64> = audit["origins"]
        .as_array()
        .expect("origins")
        .iter()
        .filter_map(|one| one["asn"].as_u64())
        .collect();
    assert_eq!(origins, [64500, 64501]);
    assert_eq!(audit["abuse_contacts"][0], "abuse@earlier-tenant.test");
    audit_table_is_harmless(&["198.51.100.0/24", "-f", "table"]);
}

fn audit_table_is_harmless(args: &[&str]) {
    let output = audit(args).output().expect("it runs");
    assert!(!output.stdout.contains(&0x1b), "no escape gets to the terminal");
    assert!(String::from_utf8_lossy(&output.stdout).contains("\\x1b[31m"));
}

#[test]
fn domains_are_no_block() {
    audit(&["example.org"])
        .assert()
        .code(2)
        .stderr(predicate::str::contains("audit takes address blocks"));
}
