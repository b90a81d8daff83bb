//! Input whose kinds alternate line by line, as in the files of mail operators: a host's address, its name, its IPv6
//! address. Through the binary: what is found is what is found of the same targets kind by kind, and files keep the order
//! of the input; whole, in shards that are joined, and from a database. That tiles are full shows in the database.

use std::fs;
use std::path::Path;

use assert_cmd::Command;
use rusqlite::{Connection, OpenFlags};
use serde_json::Value;

/// Hosts in the input, three lines each.
const HOSTS: u32 = 1_000;

/// The lines of a host. A few of them are listed in the lab, and a few are special-use.
fn host(number: u32) -> [String; 3] {
    let address = match number % 9 {
        0 => format!("10.0.{}.{}", number / 200, number % 200),
        1 => format!("203.0.113.{}", number % 256),
        _ => format!("198.51.{}.{}", 100 + number / 200, number % 200),
    };
    let name = match number {
        7 => "spam-source.example.test".to_owned(),
        _ => format!("mail{number}.example-shop{}.test", number % 10),
    };
    // Two to a /64, with an address of another kind and a name between them.
    let ip6 = format!("2001:db8:{:x}::{:x}", 1 + number / 2, 25 + number % 2);
    [address, name, ip6]
}

fn scan(folder: &Path, arguments: &[&str]) {
    let mut command = Command::cargo_bin("reputon").expect("the binary is built");
    command
        .env("XDG_CONFIG_HOME", folder)
        .current_dir(folder)
        .timeout(std::time::Duration::from_secs(240));
    let output = command.args(arguments).output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr);
    let status = output.status.code();
    assert!(matches!(status, Some(0 | 1)), "{arguments:?}: {status:?}: {said}");
}

fn lines(folder: &Path, name: &str) -> Vec<String> {
    let text = fs::read_to_string(folder.join(name)).expect("it was written");
    text.lines().map(str::to_owned).collect()
}

fn targets(records: &[String]) -> Vec<String> {
    let target = |line: &String| {
        let record: Value = serde_json::from_str(line).expect("a record");
        record["target"].as_str().expect("a target").to_owned()
    };
    records.iter().map(target).collect()
}

/// Asserts that lines are the same, and tells the first that is not alone.
#[track_caller]
fn same(found: &[String], expected: &[String], what: &str) {
    let differs = found.iter().zip(expected).find(|(one, other)| one != other);
    assert!(
        differs.is_none() && found.len() == expected.len(),
        "{what}: {differs:?}"
    );
}

fn tiles(database: &Path) -> u32 {
    let connection = Connection::open_with_flags(database, OpenFlags::SQLITE_OPEN_READ_ONLY).expect("a database");
    let count = connection.query_row("SELECT count(*) FROM tiles", [], |row| row.get(0));
    count.expect("tiles")
}

#[test]
fn what_alternates_is_found_as_what_does_not_and_in_order() {
    let folder = tempfile::tempdir().expect("a place for temporary files");
    let folder = folder.path();
    let hosts: Vec<[String; 3]> = (0..HOSTS).map(host).collect();
    let mut seen = std::collections::HashSet::new();
    let mixed: Vec<String> = hosts
        .concat()
        .into_iter()
        .filter(|line| seen.insert(line.clone()))
        .collect();
    let apart: Vec<String> = (0..3)
        .flat_map(|kind| hosts.iter().map(move |host| host[kind].clone()))
        .collect();
    fs::write(folder.join("mixed.txt"), hosts.concat().join("\n")).expect("a file");
    fs::write(folder.join("apart.txt"), apart.join("\n")).expect("a file");
    let of_lab = [
        "scan", "--lab", "--lists", "lab", "--stages", "none", "--rate", "0", "-q", "-f", "none",
    ];

    for name in ["mixed", "apart"] {
        let (input, output, database) = (format!("@{name}.txt"), format!("{name}.jsonl"), format!("{name}.db"));
        scan(
            folder,
            &[&of_lab[..], &["--db", &database, "-o", &output, &input]].concat(),
        );
    }
    let records = lines(folder, "mixed.jsonl");
    same(&targets(&records), &mixed, "each once, in the order of the input");
    let sorted = |mut lines: Vec<String>| {
        lines.sort_unstable();
        lines
    };
    same(
        &sorted(records.clone()),
        &sorted(lines(folder, "apart.jsonl")),
        "as if apart",
    );
    for word in [
        "\"verdict\":\"listed\"",
        "\"verdict\":\"clean\"",
        "\"verdict\":\"special_use\"",
    ] {
        assert!(
            records.iter().any(|record| record.contains(word)),
            "{word} is among them"
        );
    }
    assert_eq!(tiles(&folder.join("mixed.db")), mixed.len().div_ceil(256) as u32);

    // From the database, and with nothing left to ask.
    for (name, verb) in [("again", &["report", "--db", "mixed.db"][..]), ("resumed", &of_lab[..])] {
        let output = format!("{name}.jsonl");
        let resume = ["--db", "mixed.db", "--resume", "@mixed.txt"];
        let rest = if name == "resumed" {
            &resume[..]
        } else {
            &["-f", "none"]
        };
        scan(folder, &[verb, rest, &["-o", &output]].concat());
        same(&lines(folder, &output), &records, name);
    }

    // Shards are of whole tiles, and joined they are the run.
    for number in ["1/3", "2/3", "3/3"] {
        let (database, output) = (format!("{}.db", &number[..1]), format!("{}.jsonl", &number[..1]));
        let shard = ["--shard", number, "--db", &database, "-o", &output, "@mixed.txt"];
        scan(folder, &[&of_lab[..], &shard].concat());
        let shard: Vec<&[String]> = mixed
            .chunks(256)
            .skip(number[..1].parse::<usize>().expect("one digit") - 1)
            .step_by(3)
            .collect();
        same(&targets(&lines(folder, &output)), &shard.concat(), number);
    }
    let joined: Vec<String> = ["1", "2", "3"]
        .iter()
        .flat_map(|name| lines(folder, &format!("{name}.jsonl")))
        .collect();
    same(&sorted(joined), &sorted(records), "joined");
}
