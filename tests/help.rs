//! Help, manual page and completions: one table, and what people read of it is held by snapshot where it is settled; of
//! every command that is offered, that its help can be read and its manual has it.
//!
//! After a wanted change: `INSTA_UPDATE=always cargo test --test help`, and look at what differs.

use std::collections::BTreeSet;

use assert_cmd::Command;

/// Commands whose help is held word by word.
const SETTLED: [&[&str]; 7] = [
    &[],
    &["scan"],
    &["audit"],
    &["config"],
    &["config", "show"],
    &["completions"],
    &["man"],
];

/// Columns that help may take.
const WIDTH_MAX: usize = 100;

fn reputon(args: &[&str]) -> String {
    let mut command = Command::cargo_bin("reputon").expect("the binary is built");
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("REPUTON_") {
            command.env_remove(name);
        }
    }
    command
        .env("COLUMNS", WIDTH_MAX.to_string())
        .args(["--config", "none"])
        .args(args);
    let output = command.output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.is_empty(), "{args:?}: {said}");
    String::from_utf8(output.stdout).expect("help is UTF-8")
}

/// The commands below these words, as the short help offers them.
fn offered(words: &[&str]) -> Vec<String> {
    let help = reputon(&[words, &["-h"]].concat());
    let Some((_, commands)) = help.split_once("\nCommands:\n") else {
        return Vec::new();
    };
    let lines = commands.lines().take_while(|line| !line.is_empty());
    let names = lines.filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    let names = names.filter_map(|line| line.split_whitespace().next());
    names.filter(|name| *name != "help").map(str::to_owned).collect()
}

/// All commands, those below others too.
fn all() -> Vec<Vec<String>> {
    let mut all = Vec::new();
    for name in offered(&[]) {
        let below = offered(&[&name]);
        all.push(vec![name.clone()]);
        all.extend(below.into_iter().map(|one| vec![name.clone(), one]));
    }
    all
}

#[test]
fn settled_help_is_as_it_was() {
    for words in SETTLED {
        let help = reputon(&[words, &["--help"]].concat());
        let name = if words.is_empty() {
            "top".to_owned()
        } else {
            words.join("_")
        };
        insta::assert_snapshot!(name, help);
    }
}

#[test]
fn every_command_can_be_read_about() {
    let commands = all();
    assert!(commands.len() > 15, "{commands:?}");
    let manual = reputon(&["man"]).replace('\\', "");
    for words in &commands {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let (short, long) = (
            reputon(&[&words[..], &["-h"]].concat()),
            reputon(&[&words[..], &["--help"]].concat()),
        );
        for help in [&short, &long] {
            let first = help.lines().next().unwrap_or_default();
            assert!(
                !first.is_empty() && !first.starts_with("Usage"),
                "{words:?} says what it does"
            );
            assert!(
                help.contains(&format!("Usage: reputon {}", words.join(" "))),
                "{words:?}: {help}"
            );
            assert!(!help.contains("[env:"), "{words:?}: the environment is explained once");
            for line in help.lines() {
                assert!(line.chars().count() <= WIDTH_MAX + 20, "{words:?}: {line}");
                assert!(line == line.trim_end() || line.trim().is_empty(), "{words:?}: {line:?}");
            }
        }
        let section = format!(".SH \"REPUTON {}\"", words.join(" ").to_uppercase());
        assert!(manual.contains(&section), "{section} in the manual");
    }
}

/// Completions know every command and every long option that the help has.
#[test]
fn completions_know_what_the_help_knows() {
    let bash = reputon(&["completions", "bash"]);
    let mut options = BTreeSet::new();
    for words in all() {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        assert!(bash.contains(words[words.len() - 1]), "{words:?}");
        let help = reputon(&[&words[..], &["-h"]].concat());
        let tokens = help.split(|letter: char| letter.is_whitespace() || ",[]=".contains(letter));
        let known =
            |token: &&str| token.starts_with("--") && token.len() > 2 && help.contains(&format!("      {token}"));
        options.extend(tokens.filter(known).map(str::to_owned));
    }
    assert!(options.len() > 30, "{options:?}");
    for option in options {
        assert!(bash.contains(&option), "{option}");
    }
}

/// Help that could not be written is an error, as all other output is.
#[test]
fn help_that_finds_no_room_is_an_error() {
    for arguments in [&["--help"][..], &["scan", "-h"], &["--version"]] {
        let full = std::fs::File::options()
            .write(true)
            .open("/dev/full")
            .expect("a device");
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_reputon"))
            .args(arguments)
            .stdout(full)
            .output()
            .expect("it runs");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(
            said.starts_with("reputon: standard output cannot be written to: "),
            "{said}"
        );
    }
}
