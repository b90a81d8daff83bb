//! Direct mode through the real binary: each list's own name servers, found through unbound. The servers have addresses of
//! documentation blocks (RFC 5737) on port 53, in a network namespace that has nothing but loopback: each test runs itself
//! again in there.

mod peers;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use assert_cmd::cargo::CommandCargoExt;
use peers::Peer;
use serde_json::Value;

/// Addresses of documentation blocks, for the servers.
const ADDRESSES: [&str; 3] = ["198.51.100.53/32", "198.51.100.54/32", "203.0.113.53/32"];

fn at(address: &str) -> SocketAddr {
    format!("{address}:53").parse().expect("an address")
}

fn list(id: &str, zone: &str) -> String {
    format!(
        "\n[[list]]\nid = \"{id}\"\nzone = \"{zone}\"\nkinds = [\"ip4\"]\nrole = \"block\"\ntier = \"B\"\ntxt = false\n"
    )
}

fn catalogue(lists: &[(&str, &str)]) -> String {
    let lists: String = lists.iter().map(|(id, zone)| list(id, zone)).collect();
    format!("[operator]\nid = \"own\"\nname = \"Own\"\n[operator.terms]\nuse = \"free\"\n{lists}")
}

/// A scan of 198.51.100.0/24 in direct mode; its catalogue is in `folder`.
fn command(folder: &Path, resolver: SocketAddr, lists: &[(&str, &str)], more: &[&str]) -> Command {
    let file = folder.join("own.toml");
    std::fs::write(&file, catalogue(lists)).expect("written");
    let mut command = Command::cargo_bin("reputon").expect("the binary is built");
    command
        .args([
            "scan",
            "198.51.100.0/24",
            "-f",
            "json",
            "--lists",
            "all",
            "--only-catalogue",
            "--direct",
        ])
        .args([
            "--db",
            "none",
            "--stages",
            "none",
            "--resolver",
            &resolver.to_string(),
            "--catalogue",
        ])
        .arg(&file)
        .args(more);
    command
}

/// Scans; the targets that are listed, by list; the report; what was said.
fn scan(resolver: SocketAddr, lists: &[(&str, &str)]) -> (BTreeMap<String, Vec<String>>, Value, String) {
    let folder = tempfile::tempdir().expect("a folder");
    let mut command = command(folder.path(), resolver, lists, &["--rate", "0", "--timeout", "1"]);
    told(&command.output().expect("it runs"))
}

/// What a scan has told.
fn told(output: &Output) -> (BTreeMap<String, Vec<String>>, Value, String) {
    let report: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)));
    let mut listed: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for target in report["targets"].as_array().expect("targets") {
        for listing in target["listings"].as_array().expect("listings") {
            let list = listing["list"].as_str().expect("text").to_owned();
            listed
                .entry(list)
                .or_default()
                .push(target["target"].as_str().expect("text").to_owned());
        }
    }
    (listed, report, String::from_utf8_lossy(&output.stderr).into_owned())
}

fn record<'a>(report: &'a Value, id: &str) -> &'a Value {
    let lists = report["lists"].as_array().expect("lists");
    lists
        .iter()
        .find(|list| list["id"] == id)
        .expect("the list is in the report")
}

fn rbldnsd_zone() -> &'static [u8] {
    b"$SOA 300 ns.own.test host.own.test 1 600 300 86400 300\n$NS 300 ns1.own.test\n:127.0.0.2:listed\n127.0.0.2\n198.51.100.7\n198.51.100.200\n"
}

/// `own.test`: two servers for the list, one of which is gone; a part of `nsd.own.test` is delegated to the rbldnsd; lists
/// whose servers nobody can ask.
fn parent_zone() -> &'static str {
    "$ORIGIN own.test.\n$TTL 300\n@ SOA ns host 1 600 300 86400 300\n@ NS ns\nns A 203.0.113.53\nns1 A 198.51.100.53\nns2 A 198.51.100.54\n\
     bl NS ns1\nbl NS ns2\nprivate NS home\nhome A 127.0.0.1\nhome A 10.0.0.53\nnowhere NS missing\n\
     2.0.0.127.plain A 127.0.0.2\n9.100.51.198.plain A 127.0.0.2\n"
}

fn nsd_zone() -> &'static str {
    "$ORIGIN nsd.test.\n$TTL 300\n@ SOA ns host 1 600 300 86400 300\n@ NS ns\nns A 203.0.113.53\n2.0.0.127 A 127.0.0.2\n\
     5.100.51.198 A 127.0.0.2\n200.100.51.198 A 127.0.0.2\n"
}

/// Delegates all of 198.51.100.0/24 below the list's own zone.
fn split_zone() -> &'static str {
    "$ORIGIN split.test.\n$TTL 300\n@ SOA ns host 1 600 300 86400 300\n@ NS ns\nns A 203.0.113.53\n2.0.0.127 A 127.0.0.2\n\
     100.51.198 NS part.own.test.\n"
}

fn stub(zone: &str, server: &str) -> String {
    format!("stub-zone:\n  name: \"{zone}\"\n  stub-addr: {server}@53\n")
}

#[test]
fn the_lists_own_servers_are_found_and_asked() {
    if !peers::inside("the_lists_own_servers_are_found_and_asked", &ADDRESSES) {
        return;
    }
    let parent = format!("{}part A 198.51.100.53\n", parent_zone());
    let zones = [
        ("own.test", parent.as_str()),
        ("nsd.test", nsd_zone()),
        ("split.test", split_zone()),
    ];
    let rbldnsd = [
        ("bl.own.test", "ip4set", rbldnsd_zone()),
        (
            "100.51.198.split.test",
            "generic",
            b"$SOA 300 ns.own.test host.own.test 1 600 300 86400 300\n33 A 127.0.0.2\n".as_slice(),
        ),
    ];
    let (Some(_rbldnsd), Some(_nsd)) = (
        Peer::rbldnsd_at(at("198.51.100.53"), &rbldnsd),
        // Rate limiting is another test's matter.
        Peer::nsd_at(at("203.0.113.53"), &zones, "  rrl-ratelimit: 0\n"),
    ) else {
        return;
    };
    let more = format!(
        "  local-zone: \"test.\" nodefault\n  private-address: 192.0.2.0/32\n{}{}{}",
        stub("own.test", "203.0.113.53"),
        stub("nsd.test", "203.0.113.53"),
        stub("split.test", "203.0.113.53")
    );
    let Some(unbound) = Peer::unbound(&more) else { return };
    let lists = [
        ("rbl", "bl.own.test"),
        ("nsd", "nsd.test"),
        ("split", "split.test"),
        ("plain", "plain.own.test"),
        ("private", "private.own.test"),
        ("nowhere", "nowhere.own.test"),
        ("gone", "gone.nsd.test"),
    ];
    let (listed, report, said) = scan(unbound.addr(), &lists);
    let own = |last: &[u32]| -> Vec<String> { last.iter().map(|last| format!("198.51.100.{last}")).collect() };
    let expected = BTreeMap::from([
        ("rbl".to_owned(), own(&[7, 200])),
        ("nsd".to_owned(), own(&[5, 200])),
        ("split".to_owned(), own(&[33])),
        ("plain".to_owned(), own(&[9])),
    ]);
    assert_eq!(listed, expected, "{:#}", report["lists"]);
    for id in ["rbl", "nsd", "split", "plain"] {
        let record = record(&report, id);
        assert_eq!(
            (record["health"].as_str(), record["unknown"].as_u64()),
            (Some("healthy"), Some(0)),
            "{record}"
        );
    }
    for (id, why) in [
        ("private", "--route ZONE=ADDR:PORT"),
        ("nowhere", "no address"),
        ("gone", "does not exist: nsd.test says so"),
    ] {
        let record = record(&report, id);
        assert_eq!(
            (record["health"].as_str(), record["unknown"].as_u64()),
            (Some("unhealthy"), Some(256)),
            "{record}"
        );
        let line = said.lines().find(|line| line.contains(&format!("{id}: ")));
        assert!(line.is_some_and(|line| line.contains(why)), "{id}: {said}");
    }
}

/// The list's server gets another address in mid-run, and the old one stops: records with a TTL of two seconds are looked up again as
/// soon as the list fails, and what was not answered is asked at the new address. Half a minute: the scan is made slow.
#[test]
fn a_list_whose_server_moves_in_mid_run_is_followed() {
    if !peers::inside("a_list_whose_server_moves_in_mid_run_is_followed", &ADDRESSES) {
        return;
    }
    let parent = |address: &str| {
        format!(
            "$ORIGIN own.test.\n$TTL 2\n@ SOA ns host 1 600 300 86400 2\n@ NS ns\nns A 203.0.113.53\nbl NS ns1\nns1 A {address}\n"
        )
    };
    let parent_at = |address: &str| {
        let (at, zone) = (at("203.0.113.53"), parent(address));
        Peer::nsd_at(at, &[("own.test", &zone)], "  rrl-ratelimit: 0\n")
    };
    let zone =
        b"$SOA 2 ns.own.test host.own.test 1 600 300 86400 2\n$NS 2 ns1.own.test\n:127.0.0.2:listed\n127.0.0.2\n\
        198.51.100.3\n198.51.100.77\n198.51.100.130\n198.51.100.251\n";
    let list_at = |address: &str| Peer::rbldnsd_at(at(address), &[("bl.own.test", "ip4set", zone)]);
    let (Some(old_list), Some(old_parent)) = (list_at("198.51.100.53"), parent_at("198.51.100.53")) else {
        return;
    };
    let more = format!(
        "  local-zone: \"test.\" nodefault\n{}",
        stub("own.test", "203.0.113.53")
    );
    let Some(unbound) = Peer::unbound(&more) else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let slow = ["--rate", "20", "--timeout", "0.5", "--retries", "1"];
    let child = command(folder.path(), unbound.addr(), &[("rbl", "bl.own.test")], &slow)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = child.expect("it starts");
    // A quarter of it, and longer than the records hold.
    std::thread::sleep(Duration::from_secs(4));
    let new_list = list_at("198.51.100.54");
    drop(old_parent);
    let new_parent = parent_at("198.51.100.54");
    assert!(new_list.is_some() && new_parent.is_some());
    drop(old_list);
    assert!(
        child.try_wait().expect("our own child").is_none(),
        "it is still at work"
    );
    let (listed, report, said) = told(&child.wait_with_output().expect("it ends"));
    let own = [3, 77, 130, 251].map(|last| format!("198.51.100.{last}"));
    assert_eq!(listed, BTreeMap::from([("rbl".to_owned(), own.to_vec())]), "{said}");
    let record = record(&report, "rbl");
    assert_eq!(
        (&record["listed"], &record["not_listed"], &record["unknown"]),
        (&4.into(), &252.into(), &0.into()),
        "{record}: {said}"
    );
}
