//! The table of docs/reliability.md is held to the tests: every requirement has some that are there, and every test that
//! carries a requirement's number is listed. Also requirements that no other file tests.
//!
//! `REPUTON_BLESS=1` writes the list of numbered tests anew.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use reputon::lab::{CATALOGUE, Lab, LabOptions};
use reputon::wire::{Flags, Name, QueryTail, Rtype};
use serde_json::Value;

/// How many requirements there are.
const REQUIREMENTS: usize = 24;

/// The list of numbered tests begins here.
const HEADING: &str = "## Tests by the number of their requirement\n";

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn rust_files(folder: &Path, found: &mut BTreeSet<PathBuf>) {
    for entry in fs::read_dir(folder).expect("the project can be read") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.insert(path);
        }
    }
}

/// The names of the tests of each file: functions right behind `#[test]`, or in a block of `proptest!`.
fn tests() -> BTreeMap<String, Vec<String>> {
    let mut files = BTreeSet::new();
    ["src", "tests"]
        .iter()
        .for_each(|folder| rust_files(&root().join(folder), &mut files));
    let mut tests = BTreeMap::new();
    for file in files {
        let text = fs::read_to_string(&file).expect("source is UTF-8");
        let (mut marked, mut names) = (false, Vec::new());
        for line in text.lines().map(str::trim) {
            let function = line.strip_prefix("async fn ").or_else(|| line.strip_prefix("fn "));
            match function.and_then(|rest| rest.split_once('(')) {
                Some((name, _)) if marked => {
                    names.push(name.to_owned());
                    marked = false;
                }
                _ if line.starts_with("#[test]") || line.starts_with("#[tokio::test") => marked = true,
                _ => {}
            }
        }
        let path = file.strip_prefix(root()).expect("below the project");
        tests.insert(path.to_str().expect("UTF-8").to_owned(), names);
    }
    tests
}

/// The requirements that a name carries: `r15_r16_nothing_acts` has 15 and 16.
fn numbers(name: &str) -> Vec<usize> {
    let number = |word: &str| word.strip_prefix('r').filter(|digits| digits.len() == 2)?.parse().ok();
    name.split('_').map_while(number).collect()
}

/// The list as it should be: each requirement with its numbered tests.
fn numbered(tests: &BTreeMap<String, Vec<String>>) -> String {
    let mut by_number: BTreeMap<usize, Vec<String>> = BTreeMap::new();
    for (file, names) in tests {
        for name in names {
            for number in numbers(name) {
                by_number.entry(number).or_default().push(format!("`{file}::{name}`"));
            }
        }
    }
    let lines = by_number
        .iter()
        .map(|(number, tests)| format!("\n{number}. {}\n", tests.join(", ")));
    lines.collect()
}

#[test]
fn the_table_names_tests_for_every_requirement() {
    let tests = tests();
    let path = root().join("docs/reliability.md");
    let text = fs::read_to_string(&path).expect("docs/reliability.md is there");
    let (table, list) = text.split_once(HEADING).expect("the heading of the list");
    let rows: Vec<Vec<&str>> = table
        .lines()
        .filter(|line| line.starts_with("| ") && !line.starts_with("| #"))
        .map(|line| line.trim_matches('|').split(" | ").map(str::trim).collect())
        .collect();
    assert_eq!(rows.len(), REQUIREMENTS);
    for (at, row) in rows.iter().enumerate() {
        assert_eq!(row[0], (at + 1).to_string());
        let named: Vec<&str> = row[3].split(", ").map(|test| test.trim_matches('`')).collect();
        assert!(!named.is_empty());
        for test in named {
            let (file, name) = test
                .split_once("::")
                .unwrap_or_else(|| panic!("row {}: {test}", at + 1));
            let known = tests
                .get(file)
                .is_some_and(|names| names.iter().any(|known| known == name));
            assert!(known, "row {}: there is no test {test}", at + 1);
        }
    }
    let wanted = numbered(&tests);
    if std::env::var_os("REPUTON_BLESS").is_some() {
        fs::write(&path, format!("{table}{HEADING}{wanted}")).expect("written");
    } else {
        assert!(
            list == wanted,
            "the list of numbered tests is stale: REPUTON_BLESS=1 cargo test --test reliability"
        );
    }
    for names in tests.values() {
        for name in names {
            assert!(
                numbers(name).iter().all(|number| (1..=REQUIREMENTS).contains(number)),
                "{name}"
            );
        }
    }
}

#[test]
fn numbers_are_read_from_names() {
    assert_eq!(numbers("r15_r16_nothing_acts"), [15, 16]);
    assert_eq!(numbers("r2_x"), [0; 0]);
    assert_eq!(numbers("nothing_r15"), [0; 0]);
}

fn query(edns: bool) -> Vec<u8> {
    let name: Name = "2.0.0.127.bl.example".parse().expect("a name");
    let flags = Flags { recursion: true, edns };
    name.query(7, QueryTail { rtype: Rtype::A, flags })
}

/// Neither signatures are asked for (DO, CD, AD are off) nor is there code that reads them.
#[test]
fn r13_no_signature_is_ever_checked_here() {
    let query = query(true);
    assert_eq!(query[3] & 0x30, 0, "AD and CD");
    assert_eq!(query[query.len() - 4] & 0x80, 0, "DO");
    let manifest: toml::Table = fs::read_to_string(root().join("Cargo.toml"))
        .expect("there")
        .parse()
        .expect("TOML");
    let codec = &manifest["dependencies"]["hickory-proto"];
    assert_eq!(codec["default-features"].as_bool(), Some(false));
    assert!(!codec["features"].to_string().contains("dnssec"));
    let mut files = BTreeSet::new();
    rust_files(&root().join("src"), &mut files);
    for file in files {
        let text = fs::read_to_string(&file).expect("source is UTF-8").to_lowercase();
        assert!(
            !text.contains("rrsig") && !text.contains("dnskey") && !text.contains("nsec3"),
            "{}",
            file.display()
        );
    }
}

#[test]
fn r14_queries_say_1232_octets() {
    let query = query(true);
    let opt = &query[query.len() - 11..];
    assert_eq!(
        opt,
        [0, 0, 41, 0x04, 0xd0, 0, 0, 0, 0, 0, 0],
        "the root, OPT, 1232, nothing else"
    );
}

#[test]
fn r24_releases_check_for_overflow() {
    let manifest: toml::Table = fs::read_to_string(root().join("Cargo.toml"))
        .expect("there")
        .parse()
        .expect("TOML");
    assert_eq!(manifest["profile"]["release"]["overflow-checks"].as_bool(), Some(true));
    assert_eq!(manifest["lints"]["rust"]["unsafe_code"].as_str(), Some("deny"));
}

fn program() -> Command {
    let mut command = Command::new(assert_cmd::cargo::cargo_bin("reputon"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("REPUTON_") {
            command.env_remove(name);
        }
    }
    command.env("REPUTON_CONFIG", "none").stdin(Stdio::null());
    command
}

#[test]
fn r21_the_same_world_gives_the_same_octets() {
    let results = || {
        let folder = tempfile::tempdir().expect("a place for temporary files");
        let output = program()
            .current_dir(folder.path())
            .args([
                "scan",
                "--lab",
                "203.0.113.0/25",
                "example-shop.test",
                "2001:db8::25",
                "-q",
                "-f",
                "none",
                "-o",
                "out/",
            ])
            .output()
            .expect("it runs");
        assert_eq!(
            output.status.code(),
            Some(1),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let read = |name: &str| fs::read_to_string(folder.path().join("out").join(name)).expect("written");
        let report: Value = serde_json::from_str(&read("report.json")).expect("JSON");
        (
            read("report.csv"),
            read("report.targets.csv"),
            report["targets"].to_string(),
        )
    };
    let first = results();
    assert!(first.0.lines().count() > 20);
    assert!(first == results(), "two runs differ");
}

/// Which sockets a process has, by the other end: those of /proc/PID/net that are among its descriptors.
fn peers(process: u32) -> Vec<String> {
    let descriptors = fs::read_dir(format!("/proc/{process}/fd"))
        .into_iter()
        .flatten()
        .flatten();
    let sockets: BTreeSet<String> = descriptors
        .filter_map(|entry| fs::read_link(entry.path()).ok())
        .filter_map(|link| Some(link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned()))
        .collect();
    let tables = ["udp", "udp6", "tcp", "tcp6"].map(|table| fs::read_to_string(format!("/proc/{process}/net/{table}")));
    let lines = tables.iter().flatten().flat_map(|table| table.lines().skip(1));
    lines
        .map(|line| line.split_whitespace().collect::<Vec<_>>())
        .filter(|fields| fields.len() > 9 && sockets.contains(fields[9]))
        .map(|fields| fields[2].to_owned())
        .collect()
}

#[test]
fn r23_only_the_resolver_that_was_named_is_asked() {
    let lab = Lab::start(LabOptions::default()).expect("loopback can be listened on");
    let resolver = lab.addr();
    let folder = tempfile::tempdir().expect("a place for temporary files");
    fs::write(folder.path().join("lab.toml"), CATALOGUE).expect("written");
    let address = resolver.to_string();
    let mut scan = program()
        .current_dir(folder.path())
        .args([
            "scan",
            "203.0.113.0/24",
            "example-shop.test",
            "--only-catalogue",
            "--catalogue",
            "lab.toml",
        ])
        .args([
            "--resolver",
            &address,
            "--db",
            "none",
            "--rate",
            "1500",
            "-o",
            "x.json",
            "-f",
            "none",
        ])
        .stderr(Stdio::null())
        .spawn()
        .expect("it starts");
    let mut seen: HashMap<String, u32> = HashMap::new();
    while scan.try_wait().expect("it can be waited for").is_none() {
        peers(scan.id())
            .into_iter()
            .for_each(|peer| *seen.entry(peer).or_default() += 1);
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    // As the kernel writes it: the address in the machine's order, the port in hexadecimal.
    let wanted = format!("0100007F:{:04X}", resolver.port());
    assert!(seen.contains_key(&wanted), "{seen:?}");
    seen.retain(|peer, _| *peer != wanted && *peer != "00000000:0000");
    assert!(seen.is_empty(), "others were spoken to: {seen:?}");
}
