//! Pruning through the real binary, against real servers: what is learnt is the same, with fewer questions; and where a
//! server's denials prove nothing, none is believed.

mod liar;
mod peers;

use std::net::SocketAddr;
use std::process::Command;

use assert_cmd::cargo::CommandCargoExt;
use liar::Liar;
use peers::Peer;
use serde_json::Value;

const ZONE: &str = "bl.prune.test";

const CATALOGUE: &str = "[operator]\nid = \"own\"\nname = \"Own\"\n[operator.terms]\nuse = \"free\"\n\n[[list]]\nid = \"own\"\n\
    zone = \"bl.prune.test\"\nkinds = [\"ip4\"]\nrole = \"block\"\ntier = \"B\"\ntxt = false\n";

/// Listed: three addresses in two of the 64 /24s.
const LISTED: [&str; 3] = ["198.18.5.7", "198.18.5.200", "198.18.40.1"];

/// Scans 198.18.0.0/18 with a server for the zone: who is listed, and the run's record.
fn scan(server: SocketAddr, more: &[&str]) -> (Vec<String>, Value) {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("own.toml");
    std::fs::write(&file, CATALOGUE).expect("written");
    let output = Command::cargo_bin("reputon")
        .expect("the binary is built")
        .args([
            "scan",
            "198.18.0.0/18",
            "-f",
            "json",
            "--lists",
            "own",
            "--only-catalogue",
        ])
        .args(["--stages", "none", "--rate", "0", "--resolver", &server.to_string()])
        .args(["--route", &format!("{ZONE}={server}"), "--catalogue"])
        .arg(&file)
        .args(more)
        .env("XDG_STATE_HOME", folder.path())
        .output()
        .expect("it runs");
    let report: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)));
    let targets = report["targets"].as_array().expect("targets").iter();
    assert!(
        targets.clone().all(|target| target["unknown"] == 0),
        "everything is known"
    );
    let listed = targets.filter(|target| target["listed"] == 1);
    let listed = listed.map(|target| target["target"].as_str().expect("text").to_owned());
    (listed.collect(), report["run"].clone())
}

fn count(run: &Value, field: &str) -> u64 {
    run[field].as_u64().unwrap_or_else(|| panic!("no {field} in {run}"))
}

fn nsd_zone() -> String {
    let mut text =
        format!("$ORIGIN {ZONE}.\n$TTL 300\n@ SOA ns host 1 600 300 86400 300\n@ NS ns\n2.0.0.127 A 127.0.0.2\n");
    for address in LISTED {
        let mut octets: Vec<&str> = address.split('.').collect();
        octets.reverse();
        text += &format!("{} A 127.0.0.2\n", octets.join("."));
    }
    text
}

fn nsd() -> Option<Peer> {
    Peer::nsd(&[(ZONE, &nsd_zone())], "  rrl-ratelimit: 0\n")
}

/// A stock rbldnsd, which answers NXDOMAIN for the parents of its entries.
fn rbldnsd() -> Option<Peer> {
    let zone = format!(
        "$SOA 300 ns.own.test host.own.test 1 600 300 86400 300\n:127.0.0.2:listed\n127.0.0.2\n{}\n",
        LISTED.join("\n")
    );
    Peer::rbldnsd(&[(ZONE, "ip4set", zone.as_bytes())])
}

#[test]
fn nsd_is_asked_a_few_questions_for_the_same_verdicts() {
    let Some(server) = nsd() else { return };
    let (all, full) = scan(server.addr(), &[]);
    let (pruned, run) = scan(server.addr(), &["--prune"]);
    assert_eq!(
        (all.as_slice(), pruned.as_slice()),
        (LISTED.map(String::from).as_slice(), LISTED.map(String::from).as_slice())
    );
    assert!(count(&full, "asked") > 16_384 && count(&full, "pruned") == 0, "{full}");
    // 64 parents, three /24s in full (two with listings, the first that was denied), two addresses in each other one.
    assert!(count(&run, "asked") < 2_000, "{run}");
    assert!(count(&run, "pruned") > 14_000, "{run}");
}

#[test]
fn a_stock_rbldnsd_is_never_pruned() {
    let Some(server) = rbldnsd() else { return };
    let (listed, run) = scan(server.addr(), &["--prune"]);
    assert_eq!(listed, LISTED);
    assert_eq!(count(&run, "pruned"), 0);
    assert!(count(&run, "asked") > 16_384, "{run}");
}

/// Of two servers of a zone one proves that it tells empty parents apart, and the other that it does not: the denials of
/// the other settle nothing.
#[test]
fn a_denial_is_believed_of_those_servers_alone_that_proved_it() {
    let (Some(proves), Some(denies)) = (nsd(), rbldnsd()) else {
        return;
    };
    let other = format!("{ZONE}={}", denies.addr());
    let (listed, run) = scan(proves.addr(), &["--prune", "--route", &other]);
    assert_eq!(listed, LISTED);
    assert!(count(&run, "pruned") > 0, "{run}");
}

#[test]
fn one_contradiction_ends_pruning_and_takes_back_what_it_had_settled() {
    let liar = Liar::start(|octets, _| octets[0] == 77);
    let (listed, run) = scan(liar.address, &["--prune"]);
    let expected: Vec<String> = (0..64).map(|block| format!("198.18.{block}.77")).collect();
    assert_eq!(listed, expected);
    assert_eq!(count(&run, "pruned"), 0, "{run}");
}

/// Nothing can be pruned through a resolver, and who asks for it is told so.
#[test]
fn pruning_through_a_resolver_is_an_error() {
    let output = Command::cargo_bin("reputon")
        .expect("the binary is built")
        .args(["scan", "198.18.0.0/24", "--prune", "--resolver", "127.0.0.1:9"])
        .output()
        .expect("it runs");
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{told}");
    assert!(told.contains("--direct") && told.contains("--route"), "{told}");
}
