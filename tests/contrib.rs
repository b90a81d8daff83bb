//! What is shipped beside the program works as it stands: the systemd units pass systemd's own check, the lines for cron do
//! what their comments say, and the completions load in their shells. A program that is not installed is named, and its test
//! left out.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

const BINARY: &str = env!("CARGO_BIN_EXE_reputon");

fn shipped(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("contrib").join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A program on PATH; none, with a line on standard error, if it is not installed.
fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|path| path.is_file());
    if found.is_none() {
        eprintln!("skipped: {name} is not installed");
    }
    found
}

fn script(path: &Path, text: &str) {
    fs::write(path, text).expect("a folder of our own");
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("a file of our own");
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[test]
fn the_units_pass_systemds_check() {
    let Some(analyze) = program("systemd-analyze") else {
        return;
    };
    let folder = tempfile::tempdir().expect("a place for temporary files");
    // The check looks for the program where the unit has it.
    let service = shipped("reputon-scan.service").replace("/usr/bin/reputon", BINARY);
    fs::write(folder.path().join("reputon-scan.service"), service).expect("written");
    fs::write(folder.path().join("reputon-scan.timer"), shipped("reputon-scan.timer")).expect("written");
    let units = ["reputon-scan.service", "reputon-scan.timer"].map(|name| folder.path().join(name));
    let mut command = Command::new(analyze);
    command
        .args(["verify", "--man=no", "--recursive-errors=no"])
        .args(&units);
    let output = command.output().expect("it runs");
    assert!(output.status.success(), "{}", said(&output));
    assert_eq!(said(&output), "", "nothing to complain of");
}

/// The command of a unit, with the file that the unit is handed, is a good one; and so is the plugin's.
#[test]
fn the_commands_of_unit_and_plugin_are_good_ones() {
    let folder = tempfile::tempdir().expect("a place for temporary files");
    let file = folder.path().join("reputon.toml");
    fs::write(&file, shipped("reputon.toml")).expect("written");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("a file of our own");
    fs::write(folder.path().join("targets"), "203.0.113.10\n# a comment\n").expect("written");
    let place = folder.path().to_str().expect("plain");
    let service = shipped("reputon-scan.service");
    let line = service
        .lines()
        .find_map(|line| line.strip_prefix("ExecStart=/usr/bin/reputon "));
    let line = line
        .expect("the service starts something")
        .replace("${CREDENTIALS_DIRECTORY}", place)
        .replace("/etc/reputon", place)
        .replace("/var/lib/reputon", place);
    let output = run(&line, folder.path());
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert_eq!(said(&output), "");
    for report in ["report.html", "report.csv", "report.prom", "report.json"] {
        assert!(folder.path().join("reports").join(report).is_file(), "{report}");
    }
    assert!(
        service.contains("SuccessExitStatus=1 3"),
        "a listing is no failure of the unit"
    );

    let nagios = shipped("nagios-commands.cfg");
    let line = nagios
        .lines()
        .find_map(|line| line.trim().strip_prefix("command_line "));
    let line = line
        .expect("a command")
        .trim()
        .replace("/usr/bin/reputon ", "")
        .replace("$HOSTADDRESS$", "203.0.113.10");
    let output = run(&line, folder.path());
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    assert!(
        said(&output).starts_with("REPUTON CRITICAL - 1 of 1 "),
        "{}",
        said(&output)
    );
}

/// A line of arguments as a rehearsal.
fn run(line: &str, home: &Path) -> Output {
    let mut command = Command::new(BINARY);
    command
        .args(line.split_whitespace())
        .args(["--lab", "--stages", "none"]);
    command
        .env("HOME", home)
        .env("XDG_STATE_HOME", home)
        .stdin(Stdio::null());
    command.output().expect("it runs")
}

/// Each line of the cron file: when, who, what. What it does is done twice in a rehearsal: the first time there is news (a
/// letter, or a file), the second time there is silence.
#[test]
fn the_lines_for_cron_do_what_they_say() {
    let folder = tempfile::tempdir().expect("a place for temporary files");
    let place = folder.path().to_str().expect("plain").to_owned();
    fs::write(folder.path().join("targets"), "203.0.113.10\n").expect("written");
    script(
        &folder.path().join("reputon"),
        &format!("#!/bin/sh\nexec '{BINARY}' \"$@\" --lab --stages none --config none --db '{place}/runs.db'\n"),
    );
    script(
        &folder.path().join("sendmail"),
        &format!("#!/bin/sh\ncat >> '{place}/letters'\n"),
    );
    let text = shipped("reputon.cron");
    let lines: Vec<&str> = text
        .lines()
        .filter(|line| !line.trim().is_empty() && !line.starts_with('#'))
        .collect();
    let (settings, jobs): (Vec<&str>, Vec<&str>) = lines.into_iter().partition(|line| {
        line.split_once('=')
            .is_some_and(|(name, _)| name.bytes().all(|octet| octet.is_ascii_uppercase()))
    });
    assert!(
        settings
            .iter()
            .any(|line| line.starts_with("PATH=") && line.contains("/usr/sbin")),
        "sendmail is found"
    );
    assert_eq!(jobs.len(), 2);
    for job in jobs {
        let fields: Vec<&str> = job.splitn(7, ' ').filter(|field| !field.is_empty()).collect();
        let most = [59, 23, 31, 12, 7];
        for (field, most) in fields.iter().zip(most) {
            let (range, step) = field.split_once('/').unwrap_or((field, "1"));
            assert!(
                range == "*" || range.parse::<u32>().is_ok_and(|number| number <= most),
                "{job}"
            );
            assert!(step.parse::<u32>().is_ok_and(|step| step > 0 && step <= most), "{job}");
        }
        let (user, command) = fields[5..]
            .join(" ")
            .trim()
            .split_once(char::is_whitespace)
            .map_or_else(
                || panic!("no user and command: {job}"),
                |(user, command)| (user.to_owned(), command.trim().to_owned()),
            );
        assert_eq!(user, "reputon", "{job}");
        assert!(!command.contains('%'), "cron makes a line's end of it: {job}");
        let command = command
            .replace("/etc/reputon", &place)
            .replace("/var/lib/prometheus/node-exporter", &place);
        for round in ["first", "second"] {
            let mut shell = Command::new("/bin/sh");
            shell.args(["-c", &command]).stdin(Stdio::null());
            shell.env("PATH", format!("{place}:/usr/bin:/bin")).env("HOME", &place);
            let output = shell.output().expect("there is a shell");
            assert_eq!(
                (output.status.code(), said(&output)),
                (Some(0), String::new()),
                "{round}: {job}"
            );
        }
    }
    let letters = fs::read_to_string(folder.path().join("letters")).expect("a letter");
    assert_eq!(
        letters.matches("Subject: ").count(),
        1,
        "the second run has no news: {letters}"
    );
    assert!(letters.contains("To: postmaster@localhost"));
    assert!(
        fs::read_to_string(folder.path().join("reputon.prom"))
            .expect("written")
            .contains("reputon_targets")
    );
    // An error is not swallowed: cron mails what is on standard error, and the line fails.
    fs::write(folder.path().join("targets"), "not an address|x\n").expect("written");
    let job = text
        .lines()
        .find(|line| line.contains("--mail-to"))
        .expect("there is one");
    let command = job[job.find("reputon scan").expect("a command")..].replace("/etc/reputon", &place);
    let mut shell = Command::new("/bin/sh");
    shell
        .args(["-c", &command])
        .env("PATH", format!("{place}:/usr/bin:/bin"))
        .env("HOME", &place);
    let output = shell.output().expect("there is a shell");
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output).contains("targets:1"), "{}", said(&output));
}

/// Each shell loads its completions without a word, and offers what the program has.
#[test]
fn completions_load_in_their_shells() {
    let folder = tempfile::tempdir().expect("a place for temporary files");
    let place = folder.path().to_str().expect("plain");
    let checks = [
        (
            "bash",
            format!(
                "set -u; . {place}/reputon.bash; complete -p reputon >/dev/null; \
                 COMP_WORDS=(reputon scan --no); COMP_CWORD=2; _reputon reputon --no scan; printf '%s\\n' \"${{COMPREPLY[@]}}\""
            ),
        ),
        (
            "zsh",
            format!(
                "autoload -Uz compinit; fpath=({place} $fpath); compinit -u -d {place}/dump; [[ $_comps[reputon] = _reputon ]] || exit 9; \
                 autoload +X -Uz _reputon || exit 8; whence -f _reputon"
            ),
        ),
        (
            "fish",
            format!("source {place}/reputon.fish; complete -C 'reputon scan --no'"),
        ),
    ];
    for (shell, check) in checks {
        let Some(program) = program(shell) else { continue };
        let output = Command::new(BINARY)
            .args(["completions", shell])
            .output()
            .expect("it runs");
        assert!(output.status.success(), "{}", said(&output));
        let name = if shell == "zsh" {
            "_reputon".to_owned()
        } else {
            format!("reputon.{shell}")
        };
        fs::write(folder.path().join(name), &output.stdout).expect("written");
        let mut command = Command::new(program);
        command
            .env("HOME", place)
            .env("XDG_CONFIG_HOME", place)
            .env("XDG_DATA_HOME", place)
            .env("TERM", "dumb");
        if shell == "zsh" {
            command.arg("-f");
        }
        let output = command
            .args(["-c", &check])
            .stdin(Stdio::null())
            .output()
            .expect("it runs");
        assert!(output.status.success(), "{shell}: {}", said(&output));
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{shell} complains");
        let offered = String::from_utf8_lossy(&output.stdout);
        for option in ["--no-fold", "--notify"] {
            assert!(offered.contains(option), "{shell} does not offer {option}: {offered}");
        }
    }
}
