//! What a person reads: the catalogue shown, the reports of a scan of the lab, and the errors of bad input, as snapshots.
//! What changes from run to run is replaced by words in angle brackets.

use std::path::Path;

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
