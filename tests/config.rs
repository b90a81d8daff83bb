//! The configuration file through the binary: what goes before what, errors with their place, and secrets that stay secret.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use assert_cmd::Command;
use predicates::prelude::*;
use serde_json::Value;
use tempfile::TempDir;

/// A home with this configuration file in its usual place.
fn home(text: &str) -> (TempDir, PathBuf) {
    let home = tempfile::tempdir().expect("a place for temporary files");
    let folder = home.path().join(".config/reputon");
    std::fs::create_dir_all(&folder).expect("a folder of our own");
    let file = folder.join("reputon.toml");
    std::fs::write(&file, text).expect("a folder of our own");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).expect("a file of our own");
    (home, file)
}

fn reputon(home: &TempDir) -> Command {
    let mut command = Command::cargo_bin("reputon").expect("the binary is built");
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("REPUTON_") {
            command.env_remove(name);
        }
    }
    command.env("HOME", home.path()).env_remove("XDG_CONFIG_HOME");
    command.timeout(std::time::Duration::from_secs(120));
    command
}

/// The value of an option and its source, as `config show` has them.
fn shown(command: &mut Command, option: &str) -> (String, String) {
    let output = command
        .args(["config", "show", "--format", "json"])
        .output()
        .expect("it runs");
    let found: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let options = found["options"].as_array().expect("options");
    let one = options
        .iter()
        .find(|one| one["option"] == option)
        .expect("every option is there");
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    (text(&one["values"][0]), text(&one["source"]))
}

#[test]
fn typed_goes_before_environment_before_file_before_default() {
    let (home, file) = home("format = 'csv'\nmin-coverage = 50\n[audit]\nformat = 'md'\n");
    let place = format!("{}:2", file.display());
    assert_eq!(shown(&mut reputon(&home), "min-coverage"), ("50".into(), place));
    let (value, source) = shown(reputon(&home).env("REPUTON_MIN_COVERAGE", "60"), "min-coverage");
    assert_eq!(
        (value.as_str(), source.as_str()),
        ("60", "environment REPUTON_MIN_COVERAGE")
    );
    assert_eq!(
        shown(reputon(&home).args(["--config", "none"]), "min-coverage"),
        ("90".into(), "default".into())
    );

    let scan = ["scan", "--lab", "--stages", "none", "-q", "192.0.2.200"];
    let csv = predicate::str::starts_with("target,list,zone");
    reputon(&home).args(scan).assert().code(0).stdout(csv);
    let jsonl = predicate::str::starts_with("{\"type\":\"target\"");
    reputon(&home)
        .args(scan)
        .env("REPUTON_FORMAT", "jsonl")
        .assert()
        .code(0)
        .stdout(jsonl.clone());
    reputon(&home)
        .args(scan)
        .args(["-f", "jsonl"])
        .assert()
        .code(0)
        .stdout(jsonl);
    let audit = ["audit", "--lab", "--stages", "none", "-q", "192.0.2.200"];
    reputon(&home)
        .args(audit)
        .assert()
        .code(0)
        .stdout(predicate::str::starts_with("# 192.0.2.200"));
}

#[test]
fn what_is_wrong_is_told_with_its_place() {
    let (home, file) = home("\nrat = 5\n");
    let place = format!("{}:2: no option \"rat\": did you mean \"rate\"?", file.display());
    reputon(&home)
        .args(["scan", "--lab", "192.0.2.200"])
        .assert()
        .code(2)
        .stdout("")
        .stderr(predicate::str::contains(place));
    reputon(&home)
        .args(["scan", "--lab", "192.0.2.200", "--config", "/no-such-file.toml"])
        .assert()
        .code(2)
        .stderr(predicate::str::contains("/no-such-file.toml: cannot be read"));
}

#[test]
fn octets_that_are_no_text_are_told_by_their_line() {
    let (home, file) = home("");
    std::fs::write(&file, b"rate = 5\n\nlists = \"caf\xe9\"\n").expect("a file of our own");
    let place = format!("{}:3: not UTF-8; save it as UTF-8", file.display());
    reputon(&home)
        .args(["config", "show"])
        .assert()
        .code(2)
        .stderr(predicate::str::contains(place));
}

#[test]
fn secrets_of_the_file_are_never_shown_and_others_that_can_read_them_are_told_of() {
    let (home, file) = home("notify = 'https://hooks.example.org/T0/s3cret'\n[keys]\nspamhaus = 's3cretkey'\n");
    for arguments in [
        &["config", "show"][..],
        &["config", "show", "-f", "json"],
        &["scan", "--help"],
        &["man"],
        &["completions", "bash"],
    ] {
        reputon(&home)
            .args(arguments)
            .assert()
            .code(0)
            .stdout(predicate::str::contains("s3cret").not())
            .stderr("");
    }
    reputon(&home)
        .args(["config", "show"])
        .assert()
        .stdout(predicate::str::contains("spamhaus = \"********\""));
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).expect("a file of our own");
    let warning = predicate::str::contains("others can read it: chmod 600");
    reputon(&home).args(["config", "show"]).assert().code(0).stderr(warning);
    reputon(&home)
        .args(["config", "show", "-q"])
        .assert()
        .code(0)
        .stderr("");
}

/// The example that is shipped is a good file.
#[test]
fn the_example_file_is_good() {
    let (home, _) = home("");
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/contrib/reputon.toml");
    let text = std::fs::read_to_string(example).expect("it is there");
    let all = text.replace("\n#", "\n").replace("…", "x");
    let full = home.path().join("full.toml");
    // With the options that are commented out, too; sentences stay comments.
    let lines: Vec<&str> = all.lines().filter(|line| !line.starts_with(' ')).collect();
    std::fs::write(&full, lines.join("\n")).expect("a folder of our own");
    for file in [example, full.to_str().expect("UTF-8")] {
        reputon(&home)
            .args(["config", "show", "-q", "--config", file])
            .assert()
            .code(0);
    }
    reputon(&home)
        .args(["config", "show", "-q", "--config"])
        .arg(&full)
        .assert()
        .stdout(predicate::str::contains("spamhaus = \"********\""));
}

/// A rehearsal stays on this machine whatever the file says: its resolvers, its routes, its direct mode are not used.
#[test]
fn a_rehearsal_leaves_the_files_servers_alone() {
    let outside = std::net::UdpSocket::bind("127.0.0.1:0").expect("a loopback port");
    let port = outside.local_addr().expect("bound").port();
    outside.set_nonblocking(true).expect("a socket of our own");
    let (home, _) = home(&format!(
        "resolver = '127.0.0.1:{port}'\nroute = 'zen.lab.test=127.0.0.1:{port}'\ndirect = true\nstages = 'none'\n"
    ));
    let scan = ["scan", "--lab", "-q", "203.0.113.10", "-f", "csv"];
    reputon(&home)
        .args(scan)
        .assert()
        .code(1)
        .stdout(predicate::str::contains("203.0.113.10,lab-zen,"));
    assert!(
        outside.recv(&mut [0; 512]).is_err(),
        "nothing was sent to what the file names"
    );
}

/// What a script leaves blank asks nobody: the default lists are asked where nothing is said of lists.
#[test]
fn lists_left_blank_are_an_error_wherever_they_are_written() {
    let mend = "selects no list: write default, all, an id";
    let (none, _) = home("");
    let (empty, _) = home("lists = ''\n");
    for (home, variable, typed) in [
        (&none, None, &["--lists", ""][..]),
        (&none, None, &["--lists", "spamhaus-zen,"]),
        (&none, Some(""), &[]),
        (&empty, None, &[]),
    ] {
        let mut command = reputon(home);
        if let Some(value) = variable {
            command.env("REPUTON_LISTS", value);
        }
        // Nothing listens on that port of ours, if the scan should begin after all.
        command.args([
            "scan",
            "--db",
            "none",
            "--resolver",
            "127.0.0.1:9",
            "--retries",
            "0",
            "192.0.2.7",
        ]);
        command
            .args(typed)
            .assert()
            .code(2)
            .stdout("")
            .stderr(predicate::str::contains(mend));
    }
}
