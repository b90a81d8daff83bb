//! Runs that are kept, through the binary and real rbldnsd servers whose data changes from one run to the next: every kind
//! of difference, what an audit remembers, old runs removed, shards made one run, budgets over runs, processes and kills.

mod peers;

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use peers::{Peer, free_addr};
use rusqlite::{Connection, OpenFlags};
use serde_json::Value;
use tempfile::TempDir;

/// Longer than anything takes here.
const PATIENCE: Duration = Duration::from_secs(60);

/// Three lists of one operator. `RETIRED` is a line more of the third.
const CATALOGUE: &str = r#"
[operator]
id = "peer"
name = "Peer"
[operator.terms]
use = "free"
TERMS

[[list]]
id = "one"
zone = "one.peer.test"
kinds = ["ip4"]
role = "block"
tier = "A"
[list.codes]
"127.0.0.2" = { means = "spam" }
"127.0.0.4" = { means = "exploited" }

[[list]]
id = "two"
zone = "two.peer.test"
kinds = ["ip4"]
role = "block"
tier = "B"
[list.codes]
"127.0.0.2" = { means = "spam" }

[[list]]
id = "three"
zone = "three.peer.test"
kinds = ["ip4"]
role = "block"
tier = "B"
RETIRED
[list.codes]
"127.0.0.2" = { means = "spam" }
"#;

/// A folder with a database, a catalogue, and the servers of the day.
struct World {
    folder: TempDir,
    terms: &'static str,
}

impl World {
    fn new() -> World {
        let folder = tempfile::tempdir().expect("a place for temporary files");
        let world = World { folder, terms: "" };
        world.catalogue("");
        world
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn catalogue(&self, retired: &str) {
        let text = CATALOGUE.replace("RETIRED", retired).replace("TERMS", self.terms);
        fs::write(self.path("peer.toml"), text).expect("a file");
    }

    /// What is typed for a scan or an audit through these servers. Nothing else is asked.
    fn unkept(&self, verb: &str, servers: &[(&str, SocketAddr)]) -> Command {
        let mut command = reputon();
        command.args([
            verb,
            "--only-catalogue",
            "--rate",
            "0",
            "--stages",
            "none",
            "--catalogue",
        ]);
        command.arg(self.path("peer.toml"));
        for (zone, server) in servers {
            command.arg("--route").arg(format!("{zone}.peer.test={server}"));
        }
        // Nobody needs a resolver, since every list has its own way. A server that refuses what is not its own passes for one.
        command.args(["--resolver", &servers[0].1.to_string()]);
        command
    }

    /// The same, kept in the world's database.
    fn command(&self, verb: &str, servers: &[(&str, SocketAddr)]) -> Command {
        let mut command = self.unkept(verb, servers);
        command.arg("--db").arg(self.path("runs.db"));
        command
    }
}

fn reputon() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_reputon"));
    command.args(["--config", "none"]).env_remove("REPUTON_DB");
    command
}

/// rbldnsd with the entries `last octet:code` of 198.51.100.0/24 on lists.
fn serve(lists: &[(&str, &[(u8, u8)])]) -> Option<Peer> {
    let zones: Vec<(String, String)> = lists
        .iter()
        .map(|(list, entries)| {
            let mut text = format!("$SOA 300 ns.peer.test host.peer.test 1 600 300 86400 300\n$NS 300 ns.peer.test\n:127.0.0.2:{list} $\n127.0.0.2\n");
            for (last, code) in *entries {
                text += &format!("198.51.100.{last} :127.0.0.{code}:{list} $\n");
            }
            (format!("{list}.peer.test"), text)
        })
        .collect();
    let zones: Vec<(&str, &str, &[u8])> = zones
        .iter()
        .map(|(zone, text)| (zone.as_str(), "ip4set", text.as_bytes()))
        .collect();
    Peer::rbldnsd(&zones)
}

fn run(mut command: Command, status: i32) -> Output {
    let output = command.output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(status), "{command:?}: {said}");
    output
}

fn json(command: Command, status: i32) -> Value {
    let output = run(command, status);
    serde_json::from_slice(&output.stdout).expect("JSON")
}

fn with(mut command: Command, more: &[&str]) -> Command {
    command.args(more);
    command
}

/// A command on the world's database.
fn on(world: &World, line: &[&str]) -> Command {
    let mut command = reputon();
    command.args(line).arg("--db").arg(world.path("runs.db"));
    command
}

fn pairs(changes: &Value, kind: &str) -> Vec<String> {
    let changes = changes[kind].as_array().unwrap_or_else(|| panic!("{kind}: {changes}"));
    let pair = |change: &Value| {
        let text = |name: &str| change[name].as_str().expect("text").to_owned();
        format!("{} {} {}", text("target"), text("list"), text("after"))
    };
    changes.iter().map(pair).collect()
}

/// One address newly listed, one cleared, one with another code, two on a list that answers no more, one on a list that was
/// retired: each is told as what it is, the same by `scan --diff last` and by `diff`, and unknown is never cleared.
#[test]
fn every_kind_of_difference_is_told_as_what_it_is() {
    let world = World::new();
    let Some(before) = serve(&[
        ("one", &[(1, 2), (2, 2), (3, 2)]),
        ("two", &[(5, 2), (6, 2)]),
        ("three", &[(7, 2)]),
    ]) else {
        return;
    };
    let all = ["one", "two", "three"].map(|list| (list, before.addr()));
    let first = json(
        with(
            world.command("scan", &all),
            &["198.51.100.0/28", "--lists", "all", "-f", "json", "-q"],
        ),
        1,
    );
    assert_eq!(first.get("changes"), None);
    drop(before);

    let Some(after) = serve(&[("one", &[(2, 4), (3, 2), (4, 2)])]) else {
        return;
    };
    world.catalogue("status = \"retired\"\nretired = \"2026-11-01\"");
    let dead = free_addr();
    let servers = [("one", after.addr()), ("two", dead), ("three", after.addr())];
    let impatient = ["--timeout", "0.2", "--retries", "0", "-f", "json"];
    let mut scan = with(
        world.command("scan", &servers),
        &["198.51.100.0/28", "--lists", "all", "--diff", "last"],
    );
    scan.args(impatient);
    let second = json(scan, 1);
    let changes = &second["changes"];
    assert_eq!(second["run"].get("diff"), None, "it is told once");
    let expect = |changes: &Value| {
        assert_eq!(pairs(changes, "newly_listed"), ["198.51.100.4 one listed"]);
        assert_eq!(pairs(changes, "cleared"), ["198.51.100.1 one not_listed"]);
        assert_eq!(pairs(changes, "code_changed"), ["198.51.100.2 one listed"]);
        assert_eq!(
            changes["code_changed"][0]["codes_before"],
            serde_json::json!(["127.0.0.2"])
        );
        assert_eq!(changes["code_changed"][0]["codes"], serde_json::json!(["127.0.0.4"]));
        assert_eq!(
            pairs(changes, "became_unknown"),
            [
                "198.51.100.5 two timeout",
                "198.51.100.6 two timeout",
                "198.51.100.7 three not_asked"
            ]
        );
        let fates = changes["lists"].to_string();
        let expected = r#"[{"list":"two","what":"unhealthy"},{"list":"three","what":"retired"}]"#;
        assert_eq!(fates, expected);
        assert_eq!(changes["counts"]["cleared"], 1);
    };
    expect(changes);
    expect(&json(on(&world, &["diff", "--format", "json"]), 1));
    // Reported again, it is the same document.
    let again = json(on(&world, &["report", "2", "-f", "json"]), 1);
    assert_eq!(again, second);
    let table = run(on(&world, &["diff", "1", "2", "--format", "table"]), 1);
    let table = String::from_utf8(table.stdout).expect("text");
    assert!(
        table.contains("Became unknown\n  ? 198.51.100.5  two block B  127.0.0.2 (now: timeout)"),
        "{table}"
    );
    // Backwards, what is cleared was newly listed.
    let back = json(on(&world, &["diff", "2", "1", "--format", "json"]), 1);
    assert_eq!(
        pairs(&back, "newly_listed"),
        [
            "198.51.100.1 one listed",
            "198.51.100.5 two listed",
            "198.51.100.6 two listed",
            "198.51.100.7 three listed"
        ]
    );
    // Listed still, cleared, and not known: a list that is silent, and one that is no more.
    for (last, list, last_run, current) in [
        (3, "one", 2, Some(true)),
        (1, "one", 1, Some(false)),
        (5, "two", 1, None),
        (7, "three", 1, None),
    ] {
        let target = format!("198.51.100.{last}");
        let history = json(on(&world, &["history", &target]), 0);
        let seen = &history["listings"][0];
        assert_eq!(
            (&seen["list"], &seen["last_run"]),
            (&list.into(), &last_run.into()),
            "{seen}"
        );
        assert_eq!(seen["current"], Value::from(current), "{seen}");
        let table = run(on(&world, &["history", &target, "--format", "table"]), 0);
        let table = String::from_utf8(table.stdout).expect("text");
        assert_eq!(table.contains("still"), current == Some(true), "{table}");
        assert_eq!(table.contains("unknown since"), current.is_none(), "{table}");
    }
    let unseen = run(on(&world, &["history", "198.51.100.9"]), 0);
    let said = String::from_utf8(unseen.stderr).expect("text");
    assert!(
        said.contains("in run 2, which does not know it of 1 of its lists"),
        "{said}"
    );
}

/// Three runs over a block, and an audit of a larger one: who was on a list is cleared only if every list that had the
/// address says so. The conclusion is kept: `--resume` of the whole run, and `report`, give it octet by octet.
#[test]
fn an_audit_tells_what_earlier_runs_saw_and_is_reported_again() {
    let world = World::new();
    let Some(before) = serve(&[("one", &[(1, 2), (2, 2), (3, 2)]), ("two", &[(1, 2), (2, 2), (9, 2)])]) else {
        return;
    };
    let lists = ["--lists", "one,two", "-q"];
    let both = [("one", before.addr()), ("two", before.addr())];
    run(
        with(
            with(world.command("scan", &both), &lists),
            &["198.51.100.0/28", "-f", "none"],
        ),
        1,
    );
    run(
        with(
            with(world.command("scan", &both), &lists),
            &["198.51.100.2", "-f", "none"],
        ),
        1,
    );
    // Of other addresses: it is no run of the block.
    run(
        with(
            with(world.command("scan", &both), &lists),
            &["198.51.101.0/30", "-f", "none"],
        ),
        0,
    );
    drop(before);

    // .1 is on none any more, .2 is denied by one list and unknown of the other, .3 is still on, .9 is not known.
    let Some(after) = serve(&[("one", &[(3, 2)]), ("two", &[])]) else {
        return;
    };
    let audit = |two: SocketAddr, name: &str, more: &[&str]| {
        let servers = [("one", after.addr()), ("two", two)];
        let mut audit = with(with(world.command("audit", &servers), &lists), &["198.51.100.0/25"]);
        audit.args([
            "--timeout",
            "0.2",
            "--retries",
            "0",
            "--min-coverage",
            "0",
            "-f",
            "table",
        ]);
        for form in FORMS {
            audit.arg("-o").arg(world.path(&format!("{name}.{form}")));
        }
        with(audit, more)
    };
    let first = run(audit(after.addr(), "a", &[]), 1);
    let read = |name: &str| fs::read_to_string(world.path(name)).expect("written");
    let report: Value = serde_json::from_str(&read("a.json")).expect("JSON");
    let history = &report["audit"]["history"];
    let counts = |history: &Value| ["runs", "listed", "still", "cleared", "unknown"].map(|name| history[name].as_u64());
    assert_eq!(counts(history), [2, 4, 1, 3, 0].map(Some), "{history}");
    let table = String::from_utf8(first.stdout).expect("text");
    let words = table.split_whitespace().collect::<Vec<_>>().join(" "); // its cells are wrapped
    for (form, text) in [("table", &words), ("md", &read("a.md")), ("html", &read("a.html"))] {
        assert!(
            text.contains("now 1 listed still, 3 cleared, 0 not known"),
            "{form}: {text}"
        );
        assert!(text.contains("What earlier runs saw"), "{form}: {text}");
    }

    // The same with a list that does not answer: what it had is not known.
    let uninterrupted = run(audit(free_addr(), "b", &[]), 1).stdout;
    let silent: Value = serde_json::from_str(&read("b.json")).expect("JSON");
    let history = &silent["audit"]["history"];
    assert_eq!(counts(history), [3, 4, 1, 0, 3].map(Some), "{history}");
    let rows = history["lists"].as_array().expect("lists").iter();
    let rows: Vec<String> = rows
        .map(|row| {
            ["list", "addresses", "still", "cleared", "unknown"]
                .map(|name| row[name].to_string())
                .join(" ")
        })
        .collect();
    assert_eq!(rows, [r#""one" 3 1 2 0"#, r#""two" 3 0 0 3"#]);

    // Resumed as a whole run, and reported: the same, and nobody is asked.
    let resumed = run(audit(free_addr(), "c", &["--resume"]), 1).stdout;
    let mut report = on(&world, &["report", "-f", "table"]);
    for form in FORMS {
        report.arg("-o").arg(world.path(&format!("d.{form}")));
    }
    report.args(["--min-coverage", "0"]);
    let reported = run(report, 1).stdout;
    assert!(resumed == uninterrupted && reported == uninterrupted, "the table");
    for form in FORMS {
        for other in ["c", "d"] {
            assert!(
                read(&format!("{other}.{form}")) == read(&format!("b.{form}")),
                "{other}.{form}"
            );
        }
    }
    // Whoever scans the block has no audit in the report, as without the database.
    let plain = json(
        with(
            with(world.command("scan", &both_at(free_addr())), &lists),
            &["198.51.100.0/25", "--resume", "-f", "json"],
        ),
        1,
    );
    assert_eq!(plain.get("audit"), None);
}

/// The forms that tell an audit, beside the terminal.
const FORMS: [&str; 3] = ["json", "md", "html"];

fn both_at(server: SocketAddr) -> [(&'static str, SocketAddr); 2] {
    [("one", server), ("two", server)]
}

/// Runs whose places were pruned are gone with their listings, the newest stay, and what operators were asked is not forgotten.
#[test]
fn pruning_keeps_the_newest_and_the_budgets() {
    let mut world = World::new();
    world.terms = "max_queries_per_day = 10000";
    world.catalogue("");
    let Some(server) = serve(&[("one", &[(1, 2)]), ("two", &[])]) else {
        return;
    };
    for _ in 0..4 {
        let scan = with(
            world.command("scan", &both_at(server.addr())),
            &["--lists", "one,two", "-q", "-f", "none"],
        );
        run(with(scan, &["198.51.100.0/30"]), 1);
    }
    let asked = world.leased();
    assert!(asked >= 4 * 8, "{asked}");
    let output = run(on(&world, &["runs", "prune", "--keep", "2"]), 0);
    assert!(String::from_utf8_lossy(&output.stderr).contains("2 runs removed, 2 kept"));
    let left = json(on(&world, &["runs", "--format", "json"]), 0);
    let numbers: Vec<u64> = left
        .as_array()
        .expect("runs")
        .iter()
        .filter_map(|run| run["run"].as_u64())
        .collect();
    assert_eq!(numbers, [3, 4]);
    let history = json(on(&world, &["history", "198.51.100.1"]), 0);
    assert_eq!(
        (&history["listings"][0]["first_run"], &history["listings"][0]["runs"]),
        (&3.into(), &2.into())
    );
    assert_eq!(world.leased(), asked);
    run(on(&world, &["report", "1"]), 2);
    run(on(&world, &["runs", "prune", "--keep", "0"]), 0);
    assert_eq!(
        json(on(&world, &["runs", "--format", "json"]), 0),
        serde_json::json!([])
    );
    assert_eq!(world.leased(), asked);
}

/// A plan in three shares, each on its own machine with its own database, is one run when they are merged: its reports are
/// those of the run that was never cut, but for when, whom and how often was asked.
#[test]
fn merged_shards_are_the_run_that_was_never_cut() {
    let world = World::new();
    let entries: Vec<(u8, u8)> = (0..=255).filter(|last| last % 7 == 3).map(|last| (last, 2)).collect();
    let Some(server) = serve(&[("one", &entries), ("two", &[(17, 2), (200, 2)])]) else {
        return;
    };
    let targets = ["198.51.96.0/21", "--lists", "one,two", "-q", "-f", "none"];
    let scan = |db: &str, more: &[&str]| {
        let mut scan = with(world.unkept("scan", &both_at(server.addr())), &targets);
        scan.arg("--db").arg(world.path(db)).args(more);
        scan
    };
    run(scan("whole.db", &[]), 1);
    for shard in ["1", "2", "3"] {
        let status = scan(&format!("shard{shard}.db"), &["--shard", &format!("{shard}/3")]).status();
        assert!(status.expect("it runs").code().is_some_and(|code| code < 2));
    }
    let mut import = on(&world, &["runs", "import"]);
    // In any order, and one of them twice.
    for shard in ["3", "1", "2", "3"] {
        import.arg(world.path(&format!("shard{shard}.db")));
    }
    run(import, 0);
    assert_eq!(
        json(on(&world, &["runs", "--format", "json"]), 0)
            .as_array()
            .map(Vec::len),
        Some(1)
    );
    let report = |db: &str, name: &str| {
        let mut report = reputon();
        report.args(["report", "-f", "none", "--db"]).arg(world.path(db));
        for form in ["jsonl", "csv", "targets.csv", "json", "reputon.json"] {
            report.arg("-o").arg(world.path(&format!("{name}.{form}")));
        }
        run(report, 1);
    };
    report("whole.db", "whole");
    report("runs.db", "merged");
    let read = |name: &str| fs::read_to_string(world.path(name)).expect("written");
    for form in ["jsonl", "csv", "targets.csv"] {
        assert!(
            read(&format!("whole.{form}")) == read(&format!("merged.{form}")),
            "{form}"
        );
    }
    let document = |name: &str| -> Value {
        let mut document: Value = serde_json::from_str(&read(&format!("{name}.json"))).expect("JSON");
        let run = document["run"].as_object_mut().expect("a run");
        for counter in ["started", "finished", "asked", "retried", "queries"] {
            run.remove(counter);
        }
        for list in document["lists"].as_array_mut().expect("lists") {
            list.as_object_mut().expect("a list").remove("asked");
        }
        document
    };
    let (whole, merged) = (document("whole"), document("merged"));
    assert_eq!(merged["run"], whole["run"]);
    assert_eq!(merged["lists"], whole["lists"]);
    assert!(merged == whole, "targets");
    // And it is whole: who resumes it asks nobody.
    let mut resume = with(world.command("scan", &both_at(free_addr())), &targets);
    run(
        with(
            {
                resume.arg("--resume");
                resume
            },
            &[],
        ),
        1,
    );
}

impl World {
    /// What is reserved of the operator's budget, by all that ran.
    fn leased(&self) -> i64 {
        let file =
            Connection::open_with_flags(self.path("runs.db"), OpenFlags::SQLITE_OPEN_READ_WRITE).expect("a database");
        file.busy_timeout(PATIENCE).expect("set");
        file.query_row("SELECT coalesce(sum(queries), 0) FROM leases", [], |row| row.get(0))
            .expect("a number")
    }
}

/// The operator's limit of a day: `scan`, `check` and `lists check` take from one budget, in any number of processes at
/// once, and whoever is killed leaves what it had taken. The server counts what really came.
#[test]
fn a_daily_limit_holds_over_runs_processes_and_kills() {
    let limit = 900;
    let mut world = World::new();
    world.terms = "max_queries_per_day = 900";
    world.catalogue("");
    let Some(server) = serve(&[("one", &[(1, 2)]), ("two", &[])]) else {
        return;
    };
    let counter = Counter::before(server.addr());
    let servers = both_at(counter.addr);
    let scan = |targets: &str, more: &[&str]| {
        let scan = world.command("scan", &servers);
        let mut scan = with(
            with(scan, &["--lists", "one", "-q", "-f", "json", "--retries", "0"]),
            &[targets],
        );
        scan.args(more).stdout(Stdio::piped()).stderr(Stdio::null());
        scan
    };
    // Killed in the midst of its first lease.
    let mut killed = scan("198.51.96.0/23", &["--window", "1"]).spawn().expect("it starts");
    let start = Instant::now();
    while counter.seen() < 40 {
        assert!(start.elapsed() < PATIENCE, "nothing is asked");
        thread::sleep(Duration::from_millis(2));
    }
    killed.kill().expect("our child");
    killed.wait().expect("our child");
    assert!(world.leased() > 40, "what it had taken stays taken");
    // Three at once, each of which alone would use up the rest.
    let children: Vec<Child> = (0..3)
        .map(|number| {
            scan(&format!("198.51.{}.0/22", 96 + 4 * number), &[])
                .spawn()
                .expect("it starts")
        })
        .collect();
    let outputs: Vec<Output> = children
        .into_iter()
        .map(|child| child.wait_with_output().expect("our child"))
        .collect();
    let (mut known, mut over) = (0, 0);
    for output in &outputs {
        let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        for target in report["targets"].as_array().expect("targets") {
            known += target["not_listed"].as_u64().expect("a count");
            over += u64::from(target["unknowns"][0]["cause"] == "over_budget");
        }
    }
    assert!(known > 100 && over > 1_000, "{known} known, {over} over budget");
    assert!(counter.seen() <= limit, "{} of {limit}", counter.seen());
    assert!(world.leased().unsigned_abs() <= limit);
    // Nothing is left for anybody: neither for an examination nor for a letter.
    let seen = counter.seen();
    let mut check = reputon();
    check.args([
        "lists",
        "check",
        "one",
        "--only-catalogue",
        "--format",
        "json",
        "--route",
    ]);
    check.arg(format!("one.peer.test={}", counter.addr));
    check
        .args(["--resolver", &counter.addr.to_string(), "--catalogue"])
        .arg(world.path("peer.toml"));
    let check = json(
        with(check, &["--db", world.path("runs.db").to_str().expect("plain")]),
        3,
    );
    assert!(counter.seen() <= limit, "{} of {limit}, {seen} before", counter.seen());
    assert_ne!(
        check[0]["health"], "unhealthy",
        "nothing is learnt of the list: {check}"
    );
    // Tomorrow there is more: what was left open is gone on with.
    let file = Connection::open(world.path("runs.db")).expect("a database");
    file.busy_timeout(PATIENCE).expect("set");
    file.execute("UPDATE leases SET taken = taken - 90000", [])
        .expect("set back");
    let before = counter.seen();
    let resumed = scan("198.51.104.0/22", &["--resume"]).output().expect("it runs");
    let resumed: Value = serde_json::from_slice(&resumed.stdout).expect("JSON");
    let more = counter.seen() - before;
    assert!(more > 100 && more <= limit, "{more}");
    assert_eq!(resumed["targets"].as_array().map(Vec::len), Some(1_024));
}

/// Counts the questions for a zone on their way to a server.
struct Counter {
    addr: SocketAddr,
    seen: std::sync::Arc<std::sync::atomic::AtomicU64>,
}

impl Counter {
    fn before(server: SocketAddr) -> Counter {
        use std::sync::atomic::Ordering;
        let front = std::net::UdpSocket::bind("127.0.0.1:0").expect("a loopback port");
        let addr = front.local_addr().expect("bound");
        let seen = std::sync::Arc::new(std::sync::atomic::AtomicU64::new(0));
        let counted = seen.clone();
        thread::spawn(move || {
            let back = std::net::UdpSocket::bind("127.0.0.1:0").expect("a loopback port");
            back.set_read_timeout(Some(Duration::from_millis(200))).expect("set");
            let mut octets = [0; 4096];
            while let Ok((len, from)) = front.recv_from(&mut octets) {
                // Only of the operator's zones: the resolver is examined by names that are nobody's.
                if octets[..len].windows(4).any(|word| word.eq_ignore_ascii_case(b"peer")) {
                    counted.fetch_add(1, Ordering::Relaxed);
                }
                back.send_to(&octets[..len], server).expect("loopback");
                if let Ok((len, _)) = back.recv_from(&mut octets) {
                    let _ = front.send_to(&octets[..len], from);
                }
            }
        });
        Counter { addr, seen }
    }

    fn seen(&self) -> u64 {
        self.seen.load(std::sync::atomic::Ordering::Relaxed)
    }
}
