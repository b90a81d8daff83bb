//! What `reputon plan` says beforehand is what a scan then does: queries by operator, folding, sharing, shares of the
//! targets. How long it takes is for a person to look at; a test that watches the clock fails by chance.

mod relay;

use std::time::Duration;

use assert_cmd::Command;
use relay::{Faults, Relay};
use reputon::dnsxl::{Catalogue, Questions};
use reputon::lab::{Lab, LabOptions, rehearse};
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

/// A list of a test's own, as a catalogue file has it. It has no texts, so that it does not matter what is listed.
fn own_list(id: &str, more: &str) -> String {
    let codes = if more.contains("list.codes") {
        ""
    } else {
        "[list.codes]\n\"127.0.0.2\" = { means = \"listed\" }\n"
    };
    format!(
        "[[list]]\nid = \"{id}\"\nzone = \"{id}.plan.test\"\nrole = \"block\"\ntier = \"A\"\ntxt = false\n{more}\n{codes}"
    )
}

fn operator(id: &str, terms: &str) -> String {
    format!("[operator]\nid = \"{id}\"\nname = \"{id}\"\n[operator.terms]\nuse = \"free\"\n{terms}\n")
}

/// Lists of four operators on a server that knows their test entries and nothing else.
struct World {
    folder: tempfile::TempDir,
    lab: Lab,
}

impl World {
    fn new() -> World {
        let folder = tempfile::tempdir().expect("a folder");
        let ip4 = "kinds = [\"ip4\"]";
        let codes = "covers = [\"part\"]\n[list.codes]\n\"127.0.0.2\" = { means = \"listed\", sublist = \"part\" }\n";
        let files = [
            (
                "plain",
                operator("plain", "") + &own_list("one", ip4) + &own_list("two", "kinds = [\"ip4\", \"ip6\"]"),
            ),
            (
                "composite",
                operator("composite", "") + &own_list("whole", &format!("{ip4}\n{codes}")) + &own_list("part", ip4),
            ),
            (
                "limited",
                operator("limited", "max_queries_per_day = 700") + &own_list("limited", ip4),
            ),
            (
                "others",
                operator("others", "")
                    + &own_list("units", "kinds = [\"ip6\"]\nip6_unit = 64")
                    + &own_list("names", "kinds = [\"domain\"]\nname_form = \"both\""),
            ),
        ];
        for (name, text) in files {
            std::fs::write(folder.path().join(format!("{name}.toml")), text).expect("it is written");
        }
        let (catalogue, _) = Catalogue::load(false, &[folder.path().to_owned()]).expect("good files");
        let served = catalogue.indexed().map(|(_, list)| {
            let questions = Questions::prepare(list, None).expect("it has no key");
            rehearse(list, &questions)
        });
        let options = LabOptions {
            lists: served.collect(),
            ..LabOptions::default()
        };
        let lab = Lab::start(options).expect("it starts");
        World { folder, lab }
    }

    fn call(&self, command: &str, more: &[&str]) -> Value {
        let (folder, lab) = (
            self.folder.path().to_str().expect("a path"),
            self.lab.addr().to_string(),
        );
        let common = [
            command,
            "-q",
            "-f",
            "json",
            "--only-catalogue",
            "--catalogue",
            folder,
            "--lists",
            "all",
            "--stages",
            "none",
        ];
        let server = if more.contains(&"--route") {
            &[][..]
        } else {
            &["--resolver", &lab][..]
        };
        json(&[&common[..], server, more].concat())
    }
}

/// By operator, and in all: no texts are asked for and nothing is lost, so that what is asked is what was planned, to the query.
/// Test entries, the ends of units, daily limits and the number of servers are all in it.
#[test]
fn a_clean_world_is_asked_exactly_what_was_planned() {
    let world = World::new();
    let names: Vec<String> = (0..40)
        .map(|number| format!("host{number}.site{}.test", number % 30))
        .collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let settings: [&[&str]; 8] = [
        &["198.48.0.0/24", "--lists", "!limited"],
        &["198.48.0.0/24", "--no-fold"],
        &["198.48.0.0/24", "--skip-health"],
        &["2001:db8:bad::/112", "--lists", "!two"],
        &["--ip6-unit", "64", "2001:db8:1::/55"],
        &["198.48.0.7"],
        &["198.48.0.0/22", "--retries", "1", "--rate", "0"],
        &names,
    ];
    for more in settings {
        let db = world.folder.path().join("runs.db");
        let _ = std::fs::remove_file(&db);
        let more = [more, &["--db", db.to_str().expect("a path")]].concat();
        let plan = world.call("plan", &more);
        let scan = world.call("scan", &more);
        let tiles = plan["targets"].as_u64().expect("a number").div_ceil(256);
        let operators = plan["operators"].as_array().expect("operators");
        assert!(!operators.is_empty());
        for operator in operators {
            let number = |key: &str| operator[key].as_u64().expect("a number");
            let all = number("probes") + number("controls") + number("pairs");
            let id = &operator["id"];
            if all <= number("today") {
                let lists = scan["lists"].as_array().expect("lists").iter();
                let asked = lists
                    .filter(|list| &list["operator"] == id)
                    .map(|list| list["asked"].as_u64());
                let asked = asked.sum::<Option<u64>>().expect("numbers");
                // Where there are many tiles, a list may be controlled for the first of them while the last are under way.
                let again = if tiles > 1 { number("controls") } else { 0 };
                assert!(
                    (all..=all + again).contains(&asked),
                    "{more:?}: {asked}, {operator}, {}",
                    scan["lists"]
                );
                continue;
            }
            // A limit counts packets: where a busy machine has one sent again, it is the last target that finds no room.
            let packets = scan["run"]["queries"][id.as_str().expect("text")]
                .as_u64()
                .expect("a number");
            let planned = number("today");
            assert!(
                (planned - 3..=planned).contains(&packets),
                "{more:?}: {packets}, {operator}"
            );
        }
        if tiles == 1 {
            assert_eq!(plan["queries_least"], scan["run"]["asked"], "{more:?}");
        }
        assert!(plan["queries_most"].as_u64() >= plan["queries"].as_u64());
    }
}

/// What an earlier run has used of a daily limit is known to the plan of the next, and that run asks what is left.
#[test]
fn what_was_asked_today_is_off_the_budget() {
    let world = World::new();
    let db = world.folder.path().join("runs.db");
    let more = ["--db", db.to_str().expect("a path"), "198.48.0.0/23", "--rate", "0"];
    let limited = |plan: &Value, key: &str| {
        let operators = plan["operators"].as_array().expect("operators");
        let limited = operators.iter().find(|operator| operator["id"] == "limited");
        limited.expect("it is in the plan")[key].as_u64().expect("a number")
    };
    let before = world.call("plan", &more);
    assert_eq!((limited(&before, "spent"), before["days"].as_u64()), (0, Some(1)));
    let asked = world.call("scan", &more)["run"]["queries"]["limited"]
        .as_u64()
        .expect("a number");
    let after = world.call("plan", &more);
    assert_eq!(limited(&after, "spent"), asked);
    assert_eq!(limited(&after, "days"), 2);
    let again = world.call("scan", &more)["run"]["queries"]["limited"]
        .as_u64()
        .expect("a number");
    assert!(
        (limited(&after, "today") - 3..=limited(&after, "today")).contains(&again),
        "{again}"
    );
    assert_eq!(
        limited(
            &world.call("plan", &[&more[..], &["--db", "none"]].concat()[2..]),
            "spent"
        ),
        0
    );
}

/// What a run measured of the way to its lists is what the next plan counts with, as long as the way is the same; and it says
/// which lists did not work. No more is asserted of a round trip than that it was no shorter than the relay made it.
#[test]
fn a_plan_counts_with_the_round_trips_of_earlier_runs() {
    let world = World::new();
    let db = world.folder.path().join("runs.db");
    let db = ["--db", db.to_str().expect("a path"), "--rate", "0", "198.48.0.0/26"];
    let by = |server: std::net::SocketAddr| format!("plan.test={server}");
    let call =
        |command: &str, route: &str, more: &[&str]| world.call(command, &[&["--route", route][..], more, &db].concat());
    // What of lists that are asked is measured, and how far away each is counted with.
    let trips = |plan: &Value| -> Vec<(bool, f64)> {
        let lists = plan["lists"].as_array().expect("lists").iter();
        let asked = lists.filter(|list| list["how"] == "asked" && list["queries"].as_u64() > Some(0));
        let trips = asked.map(|list| (list["rtt_measured"].as_bool(), list["rtt_ms"].as_f64()));
        trips
            .map(|(is, takes)| (is.expect("told"), takes.expect("told")))
            .collect()
    };
    let away = Faults {
        delay: Duration::from_millis(20),
        ..Faults::NONE
    };
    let relay = Relay::before(world.lab.addr(), away, 1);
    let (far, near) = (by(relay.addr()), by(world.lab.addr()));
    let before = call("plan", &far, &[]);
    assert_eq!(trips(&before), [(false, 0.2); 4], "a server on this machine");
    call("scan", &far, &[]);
    let after = call("plan", &far, &[]);
    assert!(
        trips(&after).len() == 4 && trips(&after).iter().all(|(is, takes)| *is && *takes >= 40.0),
        "{:?}",
        trips(&after)
    );
    assert!(after["seconds"].as_f64() > before["seconds"].as_f64());
    assert_eq!(trips(&call("plan", &near, &[])), [(false, 0.2); 4], "another way");
    assert_eq!(after["last_faults"], serde_json::json!([]));
    let text = |route: &str| {
        let mut command = Command::cargo_bin("reputon").expect("the binary is built");
        command
            .args(["plan", "-f", "table", "--only-catalogue", "--catalogue"])
            .arg(world.folder.path());
        command
            .args(["--lists", "all", "--stages", "none", "--route", route])
            .args(db);
        String::from_utf8(command.output().expect("it runs").stdout).expect("text")
    };
    assert!(
        text(&far).contains("round trips are those of earlier runs"),
        "{}",
        text(&far)
    );
    assert!(text(&near).contains(" 0.2 ms?"), "{}", text(&near));

    let gone = Faults {
        gone_from: 0,
        gone_for: Duration::from_secs(3_600),
        ..Faults::NONE
    };
    let relay = Relay::before(world.lab.addr(), gone, 1);
    let dead = by(relay.addr());
    call("scan", &dead, &["--timeout", "0.2", "--retries", "0"]);
    let plan = call("plan", &dead, &[]);
    let faults = plan["last_faults"].as_array().expect("faults");
    let ids: Vec<&str> = faults.iter().map(|one| one["id"].as_str().expect("text")).collect();
    assert_eq!(
        ids,
        ["whole", "part", "limited", "one", "two"],
        "the part too, since the whole said nothing"
    );
    assert!(
        faults
            .iter()
            .all(|one| one["fault"] == "unreachable" && one["at"].is_string()),
        "{faults:?}"
    );
    assert_eq!(trips(&plan), [(false, 0.2); 4], "silence has no round trip");
    assert!(
        text(&dead).contains("did not work when last asked: whole (unreachable, "),
        "{}",
        text(&dead)
    );
}

/// Related names are told as a bound, with the reason.
#[test]
fn what_stages_may_find_is_told_as_a_bound() {
    let setting = "-q -f json --lab --lists operator:lab 203.0.113.0/24 example.net";
    let of = |command| json(&std::iter::once(command).chain(setting.split(' ')).collect::<Vec<_>>());
    let (plan, scan) = (of("plan"), of("scan"));
    let number = |value: &Value| value.as_u64().expect("a number");
    assert_eq!(plan["related"]["names_most"], 256 + 3);
    assert!(number(&plan["related"]["queries_most"]) > 256 && plan["related"]["why"].is_string());
    assert!(number(&plan["lookups_most"]) > number(&plan["lookups"]));
    let most = number(&plan["queries_most"]) + number(&plan["lookups_most"]) + number(&plan["related"]["queries_most"]);
    assert!((number(&plan["queries_least"])..=most).contains(&number(&scan["run"]["asked"])));
}
