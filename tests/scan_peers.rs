//! The binary against real servers: rbldnsd asked directly and through unbound, nsd with its rate limiting, and what the
//! same files say when they are read here. All must give the same observations.

mod peers;

use std::collections::BTreeMap;
use std::process::Stdio;
use std::time::{Duration, Instant};

use assert_cmd::Command;
use peers::Peer;
use rusqlite::{Connection, OpenFlags};
use serde_json::Value;

const ZONE: &str = "bl.peer.test";

/// The catalogue of the one list that the servers serve.
const CATALOGUE: &str = r#"
[operator]
id = "peer"
name = "Peer"
[operator.terms]
use = "free"

[[list]]
id = "peer-bl"
zone = "bl.peer.test"
kinds = ["ip4"]
role = "block"
tier = "B"
[list.codes]
"127.0.0.2" = { means = "spam" }
"127.0.0.4-7" = { means = "exploited" }
"#;

/// Which addresses of 198.51.100.0/22 are listed, and how.
fn is_listed(last: u32) -> Option<u8> {
    match last % 37 {
        3 => Some(2),
        11 => Some(4 + (last % 4) as u8),
        _ => None,
    }
}

fn rbldnsd_file() -> String {
    let mut text = "$SOA 300 ns.peer.test host.peer.test 1 600 300 86400 300\n$NS 300 ns.peer.test\n:127.0.0.2:listed $\n127.0.0.2\n"
        .to_owned();
    for last in 0..1_024u32 {
        if let Some(code) = is_listed(last) {
            text += &format!("198.51.{}.{} :127.0.0.{code}:entry $\n", 100 + last / 256, last % 256);
        }
    }
    text
}

fn nsd_file() -> String {
    let mut text =
        "$ORIGIN bl.peer.test.\n$TTL 300\n@ SOA ns.peer.test. host.peer.test. 1 600 300 86400 300\n@ NS ns.peer.test.\n".to_owned();
    text += "2.0.0.127 A 127.0.0.2\n2.0.0.127 TXT \"listed 127.0.0.2\"\n";
    for last in 0..1_024u32 {
        if let Some(code) = is_listed(last) {
            let name = format!("{}.{}.51.198", last % 256, 100 + last / 256);
            text += &format!("{name} A 127.0.0.{code}\n{name} TXT \"entry\"\n");
        }
    }
    text
}

/// Scans 198.51.100.0/22 through a server; what is known of each target.
fn scan(resolver: &str, more: &[&str]) -> (BTreeMap<String, Vec<String>>, Value) {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("peer.toml");
    std::fs::write(&file, CATALOGUE).expect("written");
    let output = Command::cargo_bin("reputon")
        .expect("the binary is built")
        .args([
            "scan",
            "198.51.100.0/22",
            "-f",
            "json",
            "--lists",
            "peer-bl",
            "--only-catalogue",
            "--rate",
            "0",
            "--stages",
            "none",
        ])
        .args(["--resolver", resolver, "--catalogue"])
        .arg(&file)
        .args(more)
        .timeout(std::time::Duration::from_secs(120))
        .output()
        .expect("it runs");
    let report: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)));
    let mut known = BTreeMap::new();
    for target in report["targets"].as_array().expect("targets") {
        if target["unknown"] != 0 {
            continue; // what is not known is in no answer: the callers say how much of that they bear
        }
        let listings = target["listings"].as_array().expect("listings").iter();
        let codes = listings.flat_map(|listing| listing["codes"].as_array().expect("codes").clone());
        let codes: Vec<String> = codes.map(|code| code.as_str().expect("text").to_owned()).collect();
        known.insert(target["target"].as_str().expect("text").to_owned(), codes);
    }
    (known, report["run"].clone())
}

fn expected() -> BTreeMap<String, Vec<String>> {
    (0..1_024u32)
        .map(|last| {
            let codes = is_listed(last).map(|code| format!("127.0.0.{code}"));
            (
                format!("198.51.{}.{}", 100 + last / 256, last % 256),
                codes.into_iter().collect(),
            )
        })
        .collect()
}

#[test]
fn a_stock_rbldnsd_asked_directly() {
    let Some(server) = Peer::rbldnsd(&[(ZONE, "ip4set", rbldnsd_file().as_bytes())]) else {
        return;
    };
    let (known, run) = scan(&server.addr().to_string(), &[]);
    assert_eq!(known, expected());
    let (asked, retried) = (
        run["asked"].as_u64().expect("a count"),
        run["retried"].as_u64().expect("a count"),
    );
    assert!(retried * 50 <= asked, "its buffer is not overrun: {run}");
}

#[test]
fn rbldnsd_behind_unbound() {
    let Some(server) = Peer::rbldnsd(&[(ZONE, "ip4set", rbldnsd_file().as_bytes())]) else {
        return;
    };
    let stub = format!(
        "server:\n  do-not-query-localhost: no\n  local-zone: \"test.\" nodefault\nstub-zone:\n  name: \"{ZONE}\"\n  stub-addr: {}@{}\n",
        server.addr().ip(),
        server.addr().port()
    );
    let Some(resolver) = Peer::unbound(&stub) else { return };
    let (known, _) = scan(&resolver.addr().to_string(), &["--skip-health"]);
    assert_eq!(known, expected());
}

#[test]
fn nsd_with_its_rate_limiting_is_never_misread() {
    let Some(server) = Peer::nsd(&[(ZONE, &nsd_file())], "") else {
        return;
    };
    let (known, _) = scan(&server.addr().to_string(), &["--retries", "6"]);
    // Above some 200 replies a second it drops half and cuts half short: that may cost answers, never truth.
    let expected = expected();
    assert!(
        known.len() * 100 >= expected.len() * 98,
        "{} of {} are known",
        known.len(),
        expected.len()
    );
    assert!(known.iter().all(|(target, codes)| expected[target] == *codes));
}

/// The zone is emptied in mid-run, its name stays, and unbound has the test entry in its cache: whatever was learnt since is
/// not known, and nobody who was listed becomes clean.
#[test]
fn a_zone_emptied_behind_the_cache_of_unbound_clears_nobody() {
    let listed = |address: u32| address.is_multiple_of(2);
    let mut text = String::from(":127.0.0.2:entry\n127.0.0.2\n");
    for address in (0..8_192u32).filter(|&address| listed(address)) {
        text += &format!("198.18.{}.{}\n", address / 256, address % 256);
    }
    let Some(server) = Peer::rbldnsd(&[(ZONE, "ip4set", text.as_bytes())]) else {
        return;
    };
    // Of what there is outside the zone, nobody in the world is asked.
    let stub = format!(
        "  local-zone: \".\" static\n  local-zone: \"{ZONE}.\" transparent\nstub-zone:\n  name: \"{ZONE}\"\n  \
         stub-addr: {}@{}\n",
        server.addr().ip(),
        server.addr().port()
    );
    let Some(resolver) = Peer::unbound(&stub) else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let (file, db) = (folder.path().join("peer.toml"), folder.path().join("runs.db"));
    std::fs::write(&file, CATALOGUE.replace("tier = \"B\"", "tier = \"B\"\ntxt = false")).expect("written");
    let resolver = resolver.addr().to_string();
    let mut scan = std::process::Command::new(env!("CARGO_BIN_EXE_reputon"));
    scan.args([
        "scan",
        "198.18.0.0/19",
        "-q",
        "-f",
        "json",
        "--only-catalogue",
        "--stages",
        "none",
    ]);
    scan.args([
        "--lists",
        "peer-bl",
        "--rate",
        "1500",
        "--resolver",
        &resolver,
        "--catalogue",
    ]);
    scan.arg(&file).arg("--db").arg(&db);
    let scan = scan.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let scan = scan.expect("it starts");
    // The first answers are confirmed and written down.
    let begun = Instant::now();
    let closed = |database: Connection| {
        database.busy_timeout(Duration::from_secs(10))?;
        database.query_row("SELECT count(*) FROM tiles", [], |row| row.get::<_, u32>(0))
    };
    let written = || Connection::open_with_flags(&db, OpenFlags::SQLITE_OPEN_READ_WRITE).and_then(closed);
    while written().unwrap_or(0) == 0 {
        assert!(begun.elapsed() < Duration::from_secs(60), "nothing is ever written");
        std::thread::sleep(Duration::from_millis(5));
    }
    server.serve_instead(b"");
    let output = scan.wait_with_output().expect("it ends");
    let said = String::from_utf8_lossy(&output.stderr);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {said}"));
    let targets = report["targets"].as_array().expect("targets").iter();
    let count = |what: &str| targets.clone().filter(|target| target[what] == 1).count();
    assert!(count("listed") > 0 && count("unknown") > 1_000, "{}", report["lists"]);
    let false_clean = targets.clone().filter(|target| {
        let address: std::net::Ipv4Addr = target["target"]
            .as_str()
            .and_then(|text| text.parse().ok())
            .expect("an address");
        target["not_listed"] == 1 && listed(address.to_bits())
    });
    assert_eq!(false_clean.count(), 0, "{}", report["lists"]);
    assert_eq!(report["lists"][0]["cause"], "no_test_point", "{}", report["lists"]);
}
