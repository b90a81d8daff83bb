//! Bad networks, through the real binary: datagrams lost, late, out of order, doubled, too long to come through, a server
//! that goes away. What is found must be what a faultless network gives; what is not known is unknown, with its cause.

mod peers;
mod relay;

use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use hickory_proto::rr::RecordType;
use peers::Peer;
use relay::{Faults, Relay, Seen};
use reputon::lab::{Lab, LabOptions};
use serde_json::Value;

/// 268 targets.
const TARGETS: [&str; 4] = [
    "203.0.113.0/24",
    "2001:db8::/125",
    "example-shop.test",
    "clean.example.test",
];

fn lab_at(bind: &str) -> Lab {
    let bind = bind.parse().expect("an address");
    Lab::start(LabOptions {
        bind,
        ..LabOptions::default()
    })
    .expect("loopback can be listened on")
}

fn command(resolvers: &[SocketAddr], more: &[&str]) -> (Command, tempfile::TempDir) {
    let (mut command, folder) = relay::scan::command(resolvers, &TARGETS);
    command.args(more);
    (command, folder)
}

/// Scans the lab's world through these resolvers: the report, and what was said.
fn scan(resolvers: &[SocketAddr], more: &[&str]) -> (Value, String) {
    let (mut command, _folder) = command(resolvers, more);
    relay::scan::report(&command.output().expect("it runs"))
}

/// What a network without faults gives.
fn faultless() -> &'static Value {
    static FAULTLESS: OnceLock<Value> = OnceLock::new();
    FAULTLESS.get_or_init(|| {
        let lab = lab_at("127.0.0.1:0");
        let (report, said) = scan(&[lab.addr()], &[]);
        assert_eq!(unknowns(&report), 0, "{said}");
        report["targets"].clone()
    })
}

fn unknowns(report: &Value) -> u64 {
    let lists = report["lists"].as_array().expect("lists").iter();
    lists.map(|list| list["unknown"].as_u64().expect("a count")).sum()
}

/// The scan over such a way, which must give what a faultless network gives.
fn same_over(faults: Faults, more: &[&str]) -> (Relay, String) {
    let lab = lab_at("127.0.0.1:0");
    let relay = Relay::before(lab.addr(), faults, 20_260_801);
    let (report, said) = scan(&[relay.addr()], more);
    assert_eq!(unknowns(&report), 0, "{said}\n{:#}", report["lists"]);
    assert_eq!(&report["targets"], faultless(), "{said}");
    (relay, said)
}

#[test]
fn r09_five_in_a_hundred_lost_leave_nothing_unknown() {
    let faults = Faults {
        loss_permille: 50,
        ..Faults::NONE
    };
    let (relay, said) = same_over(faults, &["--timeout", "0.3", "--retries", "6"]);
    assert!(Seen::of(&relay.seen().lost) > 100, "{:?}", relay.seen());
    assert!(!said.contains("forging"), "{said}");
}

#[test]
fn r09_the_usual_tries_do_for_five_in_a_hundred_lost() {
    let faults = Faults {
        loss_permille: 50,
        delay: Duration::from_millis(10),
        ..Faults::NONE
    };
    same_over(faults, &["--timeout", "0.4"]);
}

#[test]
fn r02_late_and_overtaking_replies_go_to_their_own_questions() {
    let faults = Faults {
        delay: Duration::from_millis(200),
        jitter: Duration::from_millis(120),
        ..Faults::NONE
    };
    let (relay, said) = same_over(faults, &[]);
    assert!(Seen::of(&relay.seen().overtaken) > 500, "{:?}", relay.seen());
    assert!(!said.contains("forging"), "{said}");
}

/// A try ends before its reply comes: the reply of an earlier try must neither be taken for another's nor raise an alarm.
#[test]
fn r02_replies_that_come_after_their_try_has_ended_do_no_harm() {
    let faults = Faults {
        delay: Duration::from_millis(60),
        jitter: Duration::from_millis(120),
        ..Faults::NONE
    };
    let (_relay, said) = same_over(faults, &["--timeout", "0.3", "--retries", "8"]);
    assert!(!said.contains("forging"), "{said}");
}

#[test]
fn r02_doubled_datagrams_are_counted_once() {
    let faults = Faults {
        twice_permille: 300,
        jitter: Duration::from_millis(5),
        ..Faults::NONE
    };
    let (relay, said) = same_over(faults, &[]);
    assert!(Seen::of(&relay.seen().doubled) > 500, "{:?}", relay.seen());
    assert!(!said.contains("forging"), "{said}");
}

#[test]
fn r09_everything_at_once() {
    let faults = Faults {
        loss_permille: 50,
        twice_permille: 50,
        delay: Duration::from_millis(20),
        jitter: Duration::from_millis(20),
        ..Faults::NONE
    };
    same_over(faults, &["--timeout", "0.3", "--retries", "6"]);
}

#[test]
fn r05_a_server_that_goes_away_and_comes_back_costs_time_only() {
    let faults = Faults {
        gone_from: 800,
        gone_for: Duration::from_millis(1_200),
        ..Faults::NONE
    };
    let (relay, _) = same_over(faults, &["--timeout", "0.5", "--retries", "6"]);
    assert!(Seen::of(&relay.seen().unheard) > 0, "{:?}", relay.seen());
}

#[test]
fn r11_a_server_that_stays_away_leaves_the_rest_unknown_and_nothing_clean() {
    let lab = lab_at("127.0.0.1:0");
    let faults = Faults {
        gone_from: 800,
        gone_for: Duration::from_secs(3_600),
        ..Faults::NONE
    };
    let relay = Relay::before(lab.addr(), faults, 7);
    let (report, said) = scan(
        &[relay.addr()],
        &["--timeout", "0.2", "--retries", "1", "--max-time", "5s"],
    );
    let expected = faultless();
    assert!(unknowns(&report) > 0, "{said}");
    let (targets, expected) = (report["targets"].as_array(), expected.as_array());
    let (targets, expected) = (targets.expect("targets"), expected.expect("targets"));
    assert_eq!(targets.len(), expected.len());
    for (target, whole) in targets.iter().zip(expected) {
        assert_eq!(target["target"], whole["target"]);
        let unknown = target["unknown"].as_u64().expect("a count");
        let causes = target["unknowns"].as_array().expect("unknowns");
        assert_eq!(unknown > 0, !causes.is_empty(), "{target}");
        assert!(causes.iter().all(|one| one["cause"].is_string()), "{target}");
        if target["verdict"] == "clean" {
            assert_eq!((unknown, &whole["verdict"]), (0, &target["verdict"]), "{target}");
        }
        for listing in target["listings"].as_array().expect("listings") {
            let there = whole["listings"].as_array().expect("listings").iter();
            assert!(there.clone().any(|one| one["list"] == listing["list"]), "{target}");
        }
    }
}

/// An authority that would send 4096 octets in fragments, on a way that drops them.
#[test]
fn r14_replies_too_long_for_the_way_are_had_over_tcp() {
    let mut zone =
        "$ORIGIN zen.lab.test.\n$TTL 60\n@ SOA ns.lab.test. host.lab.test. 1 600 300 86400 300\n@ NS ns.lab.test.\n\
                    2.0.0.127 A 127.0.0.2\n2.0.0.127 TXT \"test\"\n"
            .to_owned();
    zone += &format!("2.0.0.0.0.0.f.7.f.f.f.f{} A 127.0.0.2\n", ".0".repeat(20)); // ::ffff:127.0.0.2
    for last in 0..40 {
        zone += &format!("{last}.113.0.203 A 127.0.0.2\n");
        for number in 0..12 {
            zone += &format!("{last}.113.0.203 TXT \"reason {number:03} {}\"\n", "x".repeat(200));
        }
    }
    let sizes = "  ipv4-edns-size: 4096\n  rrl-ratelimit: 0\n";
    let Some(nsd) = Peer::nsd(&[("zen.lab.test", &zone)], sizes) else {
        return;
    };
    let lab = lab_at("127.0.0.1:0");
    let faults = Faults {
        reply_octets_max: 1_232,
        ..Faults::NONE
    };
    let relay = Relay::before(nsd.addr(), faults, 3);
    let route = format!("zen.lab.test={}", relay.addr());
    let (report, said) = scan(&[lab.addr()], &["--lists", "lab-zen", "--route", &route]);
    assert_eq!(unknowns(&report), 0, "{said}");
    assert_eq!(report["lists"][0]["listed"], 40, "{said}");
    assert_eq!(Seen::of(&relay.seen().vanished), 0, "the size asked for fits the way");
    assert!(Seen::of(&relay.seen().tcp) > 0);
    let listing = &report["targets"][0]["listings"][0];
    assert!(
        listing["reason"].as_str().is_some_and(|text| text.contains("reason")),
        "{listing}"
    );
}

/// Answers that fit the size asked for, on a way that bears less and drops fragments: 50 addresses, and a text of 900 octets.
/// The last try asks without EDNS, so that they come cut short, and over TCP.
#[test]
fn r14_replies_that_the_way_swallows_are_had_over_tcp_too() {
    let mut zone =
        "$ORIGIN zen.lab.test.\n$TTL 60\n@ SOA ns.lab.test. host.lab.test. 1 600 300 86400 300\n@ NS ns.lab.test.\n\
                    2.0.0.127 A 127.0.0.2\n2.0.0.127 TXT \"test\"\n"
            .to_owned();
    zone += &format!("2.0.0.0.0.0.f.7.f.f.f.f{} A 127.0.0.2\n", ".0".repeat(20)); // ::ffff:127.0.0.2
    for last in 0..8 {
        for code in 2..52 {
            zone += &format!("{last}.113.0.203 A 127.0.0.{code}\n");
        }
        for number in 0..4 {
            zone += &format!("{last}.113.0.203 TXT \"reason {number:03} {}\"\n", "x".repeat(200));
        }
    }
    let Some(nsd) = Peer::nsd(&[("zen.lab.test", &zone)], "  rrl-ratelimit: 0\n") else {
        return;
    };
    let lab = lab_at("127.0.0.1:0");
    let faults = Faults {
        reply_octets_max: 700,
        ..Faults::NONE
    };
    let relay = Relay::before(nsd.addr(), faults, 3);
    let route = format!("zen.lab.test={}", relay.addr());
    let (report, said) = scan(&[lab.addr()], &["--lists", "lab-zen", "--route", &route]);
    assert_eq!(unknowns(&report), 0, "{said}");
    assert_eq!(report["lists"][0]["listed"], 8, "{said}");
    assert!(Seen::of(&relay.seen().vanished) >= 16, "the way swallows each of them");
    assert!(Seen::of(&relay.seen().tcp) > 0);
    let listing = &report["targets"][0]["listings"][0];
    assert!(
        listing["reason"].as_str().is_some_and(|text| text.contains("reason")),
        "{listing}"
    );
}

/// As much as a message can hold, over TCP (RFC 1035 §4.2.2): it is read, and of the reason is kept what is shown.
#[test]
fn r07_a_reply_of_64_kib_over_tcp_is_read_within_its_bounds() {
    let mut zone =
        "$ORIGIN zen.lab.test.\n$TTL 60\n@ SOA ns.lab.test. host.lab.test. 1 600 300 86400 300\n@ NS ns.lab.test.\n\
                    2.0.0.127 A 127.0.0.2\n2.0.0.127 TXT \"test\"\n7.113.0.203 A 127.0.0.2\n"
            .to_owned();
    zone += &format!("2.0.0.0.0.0.f.7.f.f.f.f{} A 127.0.0.2\n", ".0".repeat(20)); // ::ffff:127.0.0.2
    for number in 0..257 {
        zone += &format!("7.113.0.203 TXT \"{number:03} {}\"\n", "x".repeat(236)); // 253 octets each: 65,021
    }
    let Some(nsd) = Peer::nsd(&[("zen.lab.test", &zone)], "  rrl-ratelimit: 0\n") else {
        return;
    };
    let whole = peers::ask_tcp(nsd.addr(), "7.113.0.203.zen.lab.test", RecordType::TXT);
    assert_eq!(whole.answers.len(), 257);
    let lab = lab_at("127.0.0.1:0");
    let route = format!("zen.lab.test={}", nsd.addr());
    let (report, said) = scan(&[lab.addr()], &["--lists", "lab-zen", "--route", &route]);
    assert_eq!(
        (unknowns(&report), &report["lists"][0]["listed"]),
        (0, &1.into()),
        "{said}"
    );
    let targets = report["targets"].as_array().expect("targets").iter();
    let listings: Vec<&Value> = targets
        .flat_map(|target| target["listings"].as_array().expect("listings"))
        .collect();
    assert_eq!(listings.len(), 1, "{said}");
    let reason = listings[0]["reason"].as_str().expect("a reason");
    assert!(
        reason.contains("xxxxxxxx") && reason.len() < 4_096,
        "{} octets",
        reason.len()
    );
}

/// A zone of rbldnsd's, and what is listed of 203.0.113.0/24.
fn rbldnsd_zone() -> (String, Vec<String>) {
    let listed: Vec<String> = (0..256).step_by(17).map(|last| format!("203.0.113.{last}")).collect();
    let text = format!(
        "$SOA 300 ns.lab.test host.lab.test 1 600 300 86400 300\n$NS 300 ns.lab.test\n:127.0.0.2:listed $\n127.0.0.2\n{}\n",
        listed.join("\n")
    );
    (text, listed)
}

/// rbldnsd, asked by itself and through unbound, behind ways that lose, reorder and double, and that are gone for a while.
#[test]
fn r09_rbldnsd_and_unbound_behind_bad_ways_are_learnt_whole() {
    let (zone, expected) = rbldnsd_zone();
    let Some(rbldnsd) = Peer::rbldnsd(&[("zen.lab.test", "ip4set", zone.as_bytes())]) else {
        return;
    };
    let faults = Faults {
        loss_permille: 50,
        twice_permille: 20,
        delay: Duration::from_millis(10),
        jitter: Duration::from_millis(30),
        gone_from: 150,
        gone_for: Duration::from_millis(1_200),
        ..Faults::NONE
    };
    let authority = Relay::before(rbldnsd.addr(), faults, 20_261_124);
    let Some(unbound) = Peer::unbound(&peers::forward_all_to(authority.addr())) else {
        return;
    };
    let resolver = Relay::before(
        unbound.addr(),
        Faults {
            gone_from: u64::MAX,
            ..faults
        },
        11,
    );
    for way in [authority.addr(), resolver.addr()] {
        let route = format!("zen.lab.test={way}");
        let lab = lab_at("127.0.0.1:0");
        let (mut command, _folder) = command(&[lab.addr()], &["--lists", "lab-zen", "--route", &route]);
        let output = command
            .args(["--timeout", "1", "--retries", "6"])
            .output()
            .expect("it runs");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let report: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {said}"));
        let targets = report["targets"].as_array().expect("targets").iter();
        let listed: Vec<&str> = targets
            .filter(|target| target["listed"] == 1)
            .map(|target| target["target"].as_str().expect("text"))
            .collect();
        assert_eq!(listed, expected, "{way}: {said}");
        let unknown: Vec<&Value> = report["targets"]
            .as_array()
            .expect("targets")
            .iter()
            .filter(|target| target["kind"] == "ip4" && target["unknown"] != 0)
            .collect();
        assert!(unknown.is_empty(), "{way}: {said}\n{unknown:?}");
    }
    for relay in [&authority, &resolver] {
        let seen = relay.seen();
        assert!(Seen::of(&seen.lost) > 10 && Seen::of(&seen.overtaken) > 10, "{seen:?}");
    }
    assert!(Seen::of(&authority.seen().unheard) > 0);
}

/// The lab asks over IPv6 as over IPv4, in a namespace: not every machine has `::1`.
#[test]
fn r02_an_upstream_over_ipv6_with_faults() {
    if !peers::inside("r02_an_upstream_over_ipv6_with_faults", &[]) {
        return;
    }
    let lab = lab_at("[::1]:0");
    let faults = Faults {
        loss_permille: 50,
        twice_permille: 50,
        delay: Duration::from_millis(10),
        jitter: Duration::from_millis(20),
        ..Faults::NONE
    };
    let relay = Relay::before(lab.addr(), faults, 6);
    let (report, said) = scan(&[relay.addr()], &["--timeout", "0.5", "--retries", "6"]);
    assert_eq!(unknowns(&report), 0, "{said}");
    assert_eq!(&report["targets"], faultless(), "{said}");
    assert!(Seen::of(&relay.seen().lost) > 0);
}

/// A resolver of link-local space is on one network (RFC 4007): its interface stands behind the address, by name or number.
#[test]
fn a_resolver_of_link_local_space_is_asked_through_its_interface() {
    let name = "a_resolver_of_link_local_space_is_asked_through_its_interface";
    if !peers::inside(name, &["fe80::53/64"]) {
        return;
    }
    let lab = lab_at("127.0.0.1:0");
    let place = "[fe80::53%1]:0".parse().expect("an address");
    let relay = Relay::at(place, lab.addr(), Faults::NONE, 7);
    let port = relay.addr().port();
    for interface in ["lo", "1"] {
        let (report, said) = scan(&[], &["--resolver", &format!("[fe80::53%{interface}]:{port}")]);
        assert_eq!(unknowns(&report), 0, "{said}");
        assert_eq!(&report["targets"], faultless(), "{said}");
    }
    let (mut command, _folder) = command(&[], &["--resolver", "fe80::53%eth9"]);
    let output = command.output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(
        said.contains("--resolver: no interface \"eth9\" on this machine; it has lo"),
        "{said}"
    );
}

/// The machine's own link goes down under the scan and comes back: sending fails, and nothing else does.
#[test]
fn r05_a_link_that_goes_down_and_comes_back_costs_time_only() {
    if !peers::inside("r05_a_link_that_goes_down_and_comes_back_costs_time_only", &[]) {
        return;
    }
    let expected = faultless();
    let lab = lab_at("127.0.0.1:0");
    let faults = Faults {
        delay: Duration::from_millis(50),
        ..Faults::NONE
    };
    let relay = Relay::before(lab.addr(), faults, 9);
    let (mut command, _folder) = command(
        &[relay.addr()],
        &["--timeout", "0.5", "--retries", "6", "--window", "50"],
    );
    let scan = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it runs");
    while Seen::of(&relay.seen().queries) < 800 {
        std::thread::sleep(Duration::from_millis(5));
    }
    peers::ip("link set lo down");
    std::thread::sleep(Duration::from_millis(1_000));
    peers::ip("link set lo up");
    let output = scan.wait_with_output().expect("it ends");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {said}"));
    assert_eq!(unknowns(&report), 0, "{said}");
    assert_eq!(&report["targets"], expected, "{said}");
}

/// A closed port answers with ICMP "port unreachable", on a socket that others' queries do not share.
#[test]
fn r05_a_closed_port_among_the_resolvers_fails_no_query() {
    let closed = peers::free_addr();
    let lab = lab_at("127.0.0.1:0");
    for resolvers in [[closed, lab.addr()], [lab.addr(), closed]] {
        let (report, said) = scan(&resolvers, &["--timeout", "0.3"]);
        assert_eq!(unknowns(&report), 0, "{said}");
        assert_eq!(&report["targets"], faultless(), "{said}");
    }
}
