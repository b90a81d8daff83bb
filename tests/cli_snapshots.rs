//! What a person reads: the catalogue shown, the reports of a scan of the lab, and the errors of bad input, as snapshots.
//! What changes from run to run is replaced by words in angle brackets.

use std::io::BufRead;
use std::path::Path;
use std::process::Stdio;

use assert_cmd::Command;

/// Runs the binary in a folder: exit status, standard output and standard error as one text.
fn told(folder: &Path, arguments: &[&str]) -> String {
    let mut command = Command::cargo_bin("reputon").expect("the binary is built");
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("REPUTON_") {
            command.env_remove(name);
        }
    }
    command
        .env("XDG_CONFIG_HOME", folder)
        .env("XDG_STATE_HOME", folder)
        .env("COLUMNS", "100")
        .current_dir(folder);
    command.timeout(std::time::Duration::from_secs(120));
    let output = command.args(arguments).output().expect("it runs");
    let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
    format!(
        "exit {}\n-- out\n{}-- err\n{}",
        output.status.code().unwrap_or(-1),
        text(&output.stdout),
        text(&output.stderr)
    )
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder")
}

#[test]
fn the_catalogue_shown() {
    let folder = folder();
    insta::assert_snapshot!(told(
        folder.path(),
        &["lists", "ls", "-q", "-f", "csv", "--lists", "spamcop,tag:tor"]
    ));
    insta::assert_snapshot!(told(
        folder.path(),
        &["lists", "ls", "-q", "-f", "table", "--lists", "barracuda"]
    ));
    insta::assert_snapshot!(told(folder.path(), &["lists", "show", "-f", "table", "httpbl"]));
    insta::assert_snapshot!(told(folder.path(), &["lists", "show", "-f", "json", "dnsbl.sorbs.net"]));
}

#[test]
fn listings_of_the_lab_as_csv() {
    let arguments = [
        "scan",
        "--lab",
        "--lists",
        "lab",
        "203.0.113.12-203.0.113.15",
        "--stages",
        "none",
        "-f",
        "csv",
        "-q",
    ];
    insta::assert_snapshot!(told(folder().path(), &arguments));
}

#[test]
fn errors_of_a_catalogue_name_file_line_key_and_mend() {
    let folder = folder();
    let text = r#"[operator]
id = "own"
max_qps = 5

[[list]]
id = "own-a"
zone = "a.own.test"
kinds = ["ip4"]
teir = "B"

[[list]]
id = "own-b"
zone = "b.own.test"
kinds = "ip4"
default = "yes"
[list.codes]
"10.0.0.2" = { means = "outside" }
"127.0.0.9-2" = { means = "backwards" }
"127.0.0.3" = 3
"#;
    std::fs::write(folder.path().join("bad.toml"), text).expect("a file");
    let twice = "[operator]\nid = \"own\"\n[[list]]\nid = \"a\"\nzone = \"a.own.test\"\nkinds = [\"ip4\"]\n\
        [[list]]\nid = \"b\"\nzone = \"A.own.test.\"\nkinds = [\"ip4\"]\n";
    std::fs::write(folder.path().join("twice.toml"), twice).expect("a file");
    for file in ["bad.toml", "twice.toml"] {
        insta::assert_snapshot!(told(folder.path(), &["scan", "203.0.113.1", "--catalogue", file]));
    }
}

#[test]
fn bad_targets_are_told_with_their_lines_before_a_packet_leaves() {
    let folder = folder();
    let name = |number: usize| match number {
        17 => "exa mple.test\n".to_owned(),
        4_000 => "-bad..test\n".to_owned(),
        9_999 => format!("{}.test\n", "x".repeat(70)),
        number => format!("d{number}.example-shop.test\n"),
    };
    let lines: String = (0..10_000).map(name).collect();
    std::fs::write(folder.path().join("names.txt"), lines).expect("a file");
    insta::assert_snapshot!(told(folder.path(), &["scan", "--lab", "@names.txt"]));
    insta::assert_snapshot!(told(
        folder.path(),
        &[
            "scan",
            "--lab",
            "10.0.0.0/33",
            "300.1.1.1",
            "2001:db8::/64",
            "nosuch_file"
        ]
    ));
}

#[test]
fn a_selection_that_is_none_and_a_resolver_that_is_not_there() {
    let folder = folder();
    insta::assert_snapshot!(told(folder.path(), &["scan", "203.0.113.1", "--lists", "spamhaus-zne"]));
    let arguments = [
        "lists",
        "check",
        "spamcop-bl",
        "--resolver",
        "127.0.0.1:9",
        "--timeout",
        "0.2",
        "--retries",
        "0",
        "-f",
        "csv",
    ];
    let told = told(folder.path(), &arguments);
    let (steady, _) = told.split_once("reputon: 0 of 1").expect("a last line with times");
    insta::assert_snapshot!(steady);
}

/// What changes from run to run taken out: times, counts of packets that depend on them, ports.
fn steady(told: &str, resolver: Option<&str>) -> String {
    let line = |line: &str| match line {
        line if line.starts_with("Run: ") => "Run: <times and packets>".to_owned(),
        line if line.starts_with("reputon: ") && line.contains(" queries (") => {
            let (known, _) = line.split_once(", ").expect("known, then packets");
            format!("{known}, <packets and time>")
        }
        line => match resolver {
            Some(address) => line.replace(address, "<resolver>"),
            None => line.to_owned(),
        },
    };
    told.lines().map(|each| line(each) + "\n").collect()
}

#[test]
fn a_scan_of_the_lab_as_table() {
    let arguments = [
        "scan",
        "--lab",
        "203.0.113.10-203.0.113.12",
        "10.0.0.1",
        "mail.example-shop.test",
        "-f",
        "table",
        "--db",
        "none",
    ];
    insta::assert_snapshot!(steady(&told(folder().path(), &arguments), None));
}

#[test]
fn a_scan_of_the_lab_as_json() {
    let folder = folder();
    let arguments = [
        "scan",
        "--lab",
        "--lists",
        "lab-zen,lab-wl",
        "203.0.113.25",
        "-q",
        "-f",
        "json",
        "--db",
        "none",
    ];
    let told = told(folder.path(), &arguments);
    let (_, rest) = told.split_once("-- out\n").expect("standard output");
    let (out, _) = rest.split_once("-- err\n").expect("standard error");
    let mut report: serde_json::Value = serde_json::from_str(out).expect("JSON");
    for (of, field) in [
        ("run", "started"),
        ("run", "finished"),
        ("run", "version"),
        ("run", "catalogue"),
        ("run", "resolvers"),
    ] {
        assert!(!report[of][field].is_null(), "{of}.{field}");
        report[of][field] = format!("<{field}>").into();
    }
    // How many packets it took depends on what was lost.
    for field in ["asked", "retried", "queries"] {
        report["run"][field] = "<packets>".into();
    }
    for list in report["lists"].as_array_mut().expect("lists") {
        list["asked"] = "<packets>".into();
    }
    insta::assert_snapshot!(serde_json::to_string_pretty(&report).expect("JSON"));
}

#[test]
fn resolvers_that_cannot_be_used_are_named_with_the_mend() {
    let folder = folder();
    std::fs::write(folder.path().join("lab.toml"), reputon::lab::CATALOGUE).expect("written");
    let mut lab = std::process::Command::new(assert_cmd::cargo::cargo_bin("reputon"))
        .args(["lab", "-q"])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("it starts");
    let lines = std::io::BufReader::new(lab.stdout.take().expect("piped")).lines();
    let faces: Vec<String> = lines.take(6).map(|line| line.expect("text")).collect();
    let scan = |resolver: &str, timeout: &str| {
        let arguments = [
            "scan",
            "203.0.113.10",
            "--stages",
            "none",
            "--only-catalogue",
            "--catalogue",
            "lab.toml",
            "--timeout",
            timeout,
            "-f",
            "table",
            "--db",
            "none",
            "--resolver",
            resolver,
        ];
        steady(&told(folder.path(), &arguments), Some(resolver))
    };
    let found = ["rewriting", "stripping"].map(|wanted| {
        let face = faces.iter().find_map(|line| line.strip_prefix(wanted));
        scan(face.expect("it is there").trim(), "3")
    });
    lab.kill().expect("it was running");
    lab.wait().expect("it ends");
    insta::assert_snapshot!("a_resolver_that_rewrites", found[0]);
    insta::assert_snapshot!("a_resolver_that_strips", found[1]);
    insta::assert_snapshot!("a_resolver_that_is_not_there", scan("127.0.0.1:9", "0.2"));
}

#[test]
fn a_place_that_cannot_be_written_is_told_before_the_first_query() {
    let arguments = [
        "scan",
        "--lab",
        "203.0.113.10",
        "--db",
        "none",
        "-o",
        "missing/report.csv",
    ];
    insta::assert_snapshot!(told(folder().path(), &arguments));
}

#[test]
fn places_that_are_full_or_absent_are_named() {
    let said = |format: &str, tmp: &str| {
        let folder = folder();
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_reputon"));
        command.args([
            "scan",
            "203.0.113.0/30",
            "--lab",
            "-q",
            "--stages",
            "none",
            "--db",
            "none",
            "-f",
            format,
        ]);
        let full = std::fs::File::options()
            .write(true)
            .open("/dev/full")
            .expect("a device");
        let (config, output) = (
            folder.path(),
            command.env("XDG_CONFIG_HOME", folder.path()).env("TMPDIR", tmp),
        );
        let output = output.current_dir(config).stdout(full).output().expect("it runs");
        assert_eq!(output.status.code(), Some(2));
        String::from_utf8(output.stderr).expect("UTF-8")
    };
    for format in ["csv", "jsonl", "table"] {
        let said = said(format, "/tmp");
        assert!(
            said.starts_with("reputon: standard output cannot be written to: "),
            "{said}"
        );
    }
    let said = said("json", "/nowhere");
    assert!(
        said.starts_with("reputon: a temporary file in /nowhere: ") && said.contains("TMPDIR"),
        "{said}"
    );
}

/// Standard error is a full disk, or a pipe that nobody reads: the run ends as it would, and its report is written.
#[test]
fn talk_that_nobody_hears_ends_no_run() {
    let folder = folder();
    let full = || {
        std::fs::File::options()
            .write(true)
            .open("/dev/full")
            .expect("a device")
    };
    let run = |deaf: Stdio, arguments: &[&str]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_reputon"));
        command.current_dir(folder.path()).env("XDG_CONFIG_HOME", folder.path());
        let status = command.args(arguments).stderr(deaf).status();
        status.expect("it runs").code()
    };
    for deaf in [full().into(), std::io::pipe().expect("a pipe").1.into()] {
        let arguments = "scan 203.0.113.8/29 --lab --db none -f none -o report.csv";
        let arguments: Vec<&str> = arguments.split(' ').collect();
        assert_eq!(run(deaf, &arguments), Some(1), "something is listed");
        let report = folder.path().join("report.csv");
        let text = std::fs::read_to_string(&report).expect("it was written");
        assert!(text.contains("203.0.113.10,lab-zen,"), "{text}");
        std::fs::remove_file(report).expect("it is there");
    }
    assert_eq!(run(full().into(), &["scan", "192.0.2.1", "--lists", "x"]), Some(2));
}

#[test]
fn after_a_rehearsal_it_is_said_why_there_are_no_runs() {
    let folder = folder();
    let scan = told(
        folder.path(),
        &["scan", "203.0.113.9", "--lab", "--stages", "none", "-q"],
    );
    assert!(scan.starts_with("exit 0"), "{scan}");
    let runs = told(folder.path(), &["runs"]);
    assert!(runs.contains("with --lab only where --db is given"), "{runs}");
}
