//! Hostile SPF policies at a real name server: the questions that arrive there are counted, and are never more than the
//! limits of RFC 7208 §4.6.4 allow, whether `spf` checks a sender, `scan` looks into the policy, or `check` does both.

mod peers;
mod relay;

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::process::{Command, Stdio};

use peers::Peer;
use relay::{Faults, Relay, Seen};
use serde_json::Value;

const HEAD: &str = "$TTL 300\n@ SOA ns.bomb.test. host.bomb.test. 1 600 300 86400 60\n@ NS ns.bomb.test.\n";

/// Ten terms with ten hosts each and their own query, eleven records, eleven for the client's names, one explanation.
const ALLOWED: u64 = 134;

/// The policies: name, record, what a check of 192.0.2.1 comes to, and the most questions that it may take. One is the
/// policy's own.
const BOMBS: &[(&str, &str, &str, u64)] = &[
    ("loop", "v=spf1 include:loop.bomb.test -all", "permerror", 11),
    ("ring0", "v=spf1 include:ring1.bomb.test -all", "permerror", 11),
    ("ring1", "v=spf1 redirect=ring0.bomb.test", "permerror", 11),
    (
        "tree",
        "v=spf1 include:tree.bomb.test include:tree.bomb.test a mx ptr -all",
        "permerror",
        11,
    ),
    ("hundred", "v=spf1 mx:hundredmx.bomb.test -all", "permerror", 12),
    (
        "tenten",
        "v=spf1 mx:t0.bomb.test mx:t1.bomb.test mx:t2.bomb.test mx:t3.bomb.test mx:t4.bomb.test mx:t5.bomb.test \
      mx:t6.bomb.test mx:t7.bomb.test mx:t8.bomb.test mx:t9.bomb.test mx:t0.bomb.test -all",
        "permerror",
        111,
    ),
    ("ptr", "v=spf1 ptr ptr:a.test ptr:b.test ptr:c.test -all", "fail", 12),
    (
        "void",
        "v=spf1 a:v0.bomb.test a:v1.bomb.test a:v2.bomb.test a:v3.bomb.test a:v4.bomb.test -all",
        "permerror",
        4,
    ),
    (
        "voidmx",
        "v=spf1 mx:v0.bomb.test mx:v1.bomb.test mx:v2.bomb.test mx:v3.bomb.test -all",
        "permerror",
        4,
    ),
    (
        "macro",
        "v=spf1 exists:%{i}.%{l}.%{s}.%{d2}.%{h}.%{v}.%{p}.m.bomb.test exists:%{p}.%{p}.m.bomb.test -all exp=why.bomb.test",
        "fail",
        20,
    ),
    (
        "wide",
        "v=spf1 a:w.bomb.test a:w.bomb.test a:w.bomb.test a:w.bomb.test a:w.bomb.test a:w.bomb.test a:w.bomb.test \
      a:w.bomb.test a:w.bomb.test a:w.bomb.test a:w.bomb.test -all",
        "permerror",
        3, // the long answer comes over TCP
    ),
];

fn zone() -> String {
    let mut zone = HEAD.to_owned();
    for (name, record, ..) in BOMBS {
        let strings: Vec<String> = record
            .as_bytes()
            .chunks(200)
            .map(|part| format!("\"{}\"", String::from_utf8_lossy(part)))
            .collect();
        writeln!(zone, "{name} TXT {}", strings.join(" ")).expect("memory");
    }
    for number in 0..100 {
        writeln!(zone, "hundredmx MX 10 h{number}\nh{number} A 198.51.100.{number}").expect("memory");
    }
    for ten in 0..10 {
        for number in 0..10 {
            writeln!(
                zone,
                "t{ten} MX 10 t{ten}h{number}\nt{ten}h{number} A 198.51.100.{number}"
            )
            .expect("memory");
        }
    }
    for number in 0..255 {
        writeln!(zone, "w A 198.51.100.{number}").expect("memory");
    }
    zone + "why TXT \"%{i} may not: %{p} %{s} https://why.test/%{S}\"\n"
}

/// 192.0.2.1 has fifty names, each of which leads back to it.
fn reverse() -> (String, String) {
    let (mut reverse, mut names) = (HEAD.to_owned(), HEAD.to_owned());
    for number in 0..50 {
        writeln!(reverse, "1 PTR n{number}.names.test.").expect("memory");
        writeln!(names, "n{number} A 192.0.2.1").expect("memory");
    }
    (reverse, names)
}

fn relayed() -> Option<(Peer, Relay)> {
    let (zone, (reverse, names)) = (zone(), reverse());
    let zones = [
        ("bomb.test", zone.as_str()),
        ("2.0.192.in-addr.arpa", &reverse),
        ("names.test", &names),
    ];
    let nsd = Peer::nsd(&zones, "  rrl-ratelimit: 0\n")?;
    let relay = Relay::before(nsd.addr(), Faults::NONE, 1);
    Some((nsd, relay))
}

fn run(resolver: SocketAddr, args: &[&str]) -> Value {
    let mut command = Command::new(assert_cmd::cargo::cargo_bin("reputon"));
    command
        .args(args)
        .args(["--resolver", &resolver.to_string(), "--config", "none", "-q"])
        .stdin(Stdio::null());
    let output = command.output().expect("it runs");
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{args:?}: {error}: {}", String::from_utf8_lossy(&output.stderr)))
}

/// What arrives at the server while a command runs, but for the resolver's own examination, which is measured by itself.
fn counted(relay: &Relay, args: &[&str]) -> (Value, u64) {
    let before = Seen::of(&relay.seen().queries) + Seen::of(&relay.seen().tcp);
    let found = run(relay.addr(), args);
    (
        found,
        Seen::of(&relay.seen().queries) + Seen::of(&relay.seen().tcp) - before,
    )
}

#[test]
fn r10_a_check_asks_no_more_than_the_rfc_allows() {
    let Some((_nsd, relay)) = relayed() else { return };
    // A policy that needs nothing: what is left is its own query and the examination of the resolver.
    let spf = |name: &str| {
        let from = format!("{}@{name}.bomb.test", "l".repeat(60));
        counted(
            &relay,
            &[
                "spf",
                "--ip",
                "192.0.2.1",
                "--helo",
                "helo.names.test",
                "--mail-from",
                &from,
                "--format",
                "json",
            ],
        )
    };
    let (none, beside) = spf("n-o-n-e");
    assert_eq!(none["result"], "none");
    let beside = beside - 1;
    for (name, record, result, most) in BOMBS {
        let (found, queries) = spf(name);
        assert_eq!(found["result"], *result, "{name}: {record}: {found}");
        // A long answer is asked for again over TCP, by the transport: at most once each.
        assert!(
            queries - beside <= *most && *most <= ALLOWED,
            "{name}: {} queries of {most}: {found}",
            queries - beside
        );
        assert!(found["lookups"].as_u64().expect("a number") <= 10, "{name}: {found}");
        assert!(queries > beside, "{name}: something was asked");
        eprintln!("{name}: {} queries, {result}", queries - beside);
    }
}

#[test]
fn r10_a_look_into_the_policy_asks_no_more_either() {
    let Some((_nsd, relay)) = relayed() else { return };
    let catalogue = tempfile::NamedTempFile::with_suffix(".toml").expect("a file");
    std::fs::write(catalogue.path(), reputon::lab::CATALOGUE).expect("written");
    let path = catalogue.path().to_str().expect("UTF-8");
    let scan = |targets: &[&str], stages: &str| {
        let args = [
            "scan",
            "--only-catalogue",
            "--catalogue",
            path,
            "--lists",
            "lab-zen",
            "--skip-health",
            "--db",
            "none",
            "-f",
            "json",
            "--stages",
            stages,
        ];
        counted(&relay, &[&args, targets].concat())
    };
    let (_, beside) = scan(&["n-o-n-e.bomb.test"], "none");
    for (name, record, ..) in BOMBS {
        let domain = format!("{name}.bomb.test");
        let (report, queries) = scan(&[&domain], "spf");
        let target = &report["targets"][0];
        assert!(target["spf"]["record"].is_string(), "{name}: {record}: {target}");
        assert!(
            queries - beside <= ALLOWED,
            "{name}: {} queries: {target}",
            queries - beside
        );
        eprintln!("{name}: {} queries", queries - beside);
    }
    // All of them at once ask what they share once, and not more than each alone.
    let all: Vec<String> = BOMBS.iter().map(|(name, ..)| format!("{name}.bomb.test")).collect();
    let (_, queries) = scan(&all.iter().map(String::as_str).collect::<Vec<_>>(), "spf");
    assert!(queries - beside <= ALLOWED * BOMBS.len() as u64 / 2, "{queries}");
}
