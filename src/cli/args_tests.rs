//! What is typed is held, what is wrong is told in our words, and what people copy can be typed.

use clap::error::ErrorKind;
use reputon::targets::{ReadOptions, TargetSet};

use super::*;

fn parse(line: &str) -> Result<Cli, clap::Error> {
    Cli::try_parse_from(line.split_whitespace())
}

#[test]
fn the_table_is_sound() {
    command().debug_assert();
}

#[test]
fn what_is_typed_is_held() {
    let cli = parse(
        "reputon scan 192.0.2.0/24 - --lists all,!slow --resolver ::1 --rate 0 --timeout 0.5 --fail-on a \
         --key spamhaus=abc= -o x.html -o out/ -f none --max-time 10m -vv",
    );
    let cli = cli.expect("a good line");
    assert_eq!(cli.talk.verbose, 2);
    let Command::Scan(scan) = cli.command else {
        panic!("not a scan");
    };
    assert_eq!(scan.targets.targets, ["192.0.2.0/24", "-"]);
    assert_eq!(scan.lists.lists, ["all", "!slow"]);
    assert_eq!(scan.lists.keys.key[0].key.reveal(), "abc=");
    assert_eq!(scan.pace.rate, 0);
    assert_eq!(scan.output.output.len(), 2);
}

#[test]
fn a_key_is_never_shown() {
    let cli = parse("reputon scan --key spamhaus=hunter2").expect("a good line");
    assert!(!format!("{cli:?}").contains("hunter2"));
    for line in [
        "reputon scan --key hunter2",
        "reputon scan --key SPAM=hunter2",
        "reputon scan --key=hunter2=",
    ] {
        let error = parse(line).expect_err("no operator");
        assert!(!error.to_string().contains("hunter2"), "{error}");
        assert_eq!(error.exit_code(), 2);
    }
}

#[test]
fn usage_errors_exit_with_2() {
    for (line, kind) in [
        ("reputon scan --lab --direct", ErrorKind::ArgumentConflict),
        ("reputon scan --lab --resolver 127.0.0.1", ErrorKind::ArgumentConflict),
        ("reputon scan --only-catalogue", ErrorKind::MissingRequiredArgument),
        ("reputon scan --ip6-unit 48", ErrorKind::InvalidValue),
        ("reputon scan --fail-on W", ErrorKind::InvalidValue),
        ("reputon scan -q -v", ErrorKind::ArgumentConflict),
        ("reputon spf --ip 192.0.2.7", ErrorKind::MissingRequiredArgument),
        ("reputon mx 192.0.2.7", ErrorKind::ValueValidation),
        ("reputon lists --format json show x", ErrorKind::ArgumentConflict),
    ] {
        let error = parse(line).expect_err(line);
        assert_eq!((error.kind(), error.exit_code()), (kind, 2), "{line}");
    }
}

/// Every option and argument of this command and those below it, with the words that lead to it.
fn every(command: &clap::Command, way: &[String], found: &mut Vec<(Vec<String>, clap::Arg)>) {
    for arg in command
        .get_arguments()
        .filter(|arg| arg.get_action().takes_values() && !arg.is_hide_set())
    {
        found.push((way.to_vec(), arg.clone()));
    }
    for below in command.get_subcommands() {
        every(below, &[way, &[below.get_name().to_owned()]].concat(), found);
    }
}

#[test]
fn no_wrong_value_is_answered_in_the_words_of_a_library() {
    let (table, mut found) = (command(), Vec::new());
    every(&table, &["reputon".to_owned()], &mut found);
    let mut refused = 0;
    for (way, arg) in found {
        for wrong in [
            "",
            "1e12",
            "-1",
            "99999999999",
            "18446744073709551616",
            "NaN",
            "10s",
            "1.5",
            "a..b",
            "\u{1}",
        ] {
            let typed = match arg.get_long() {
                Some(long) => vec![format!("--{long}={wrong}")],
                None => vec!["--".to_owned(), wrong.to_owned()],
            };
            let Err(error) = table.clone().try_get_matches_from([way.clone(), typed].concat()) else {
                continue;
            };
            let text = error.to_string();
            let is_value = matches!(error.kind(), ErrorKind::ValueValidation | ErrorKind::InvalidValue);
            if !is_value {
                continue; // another argument is missing, which is told first
            }
            refused += 1;
            let name = arg.get_long().unwrap_or_else(|| arg.get_id().as_str());
            assert!(
                text.to_lowercase().contains(&name.to_lowercase()) || arg.is_positional(),
                "{text}"
            );
            let shows = ["such as", "possible values", "did you mean", "a value is required"];
            assert!(
                shows.iter().any(|shows| text.contains(shows)),
                "{way:?} {name}: no example: {text}"
            );
            for foreign in [
                "invalid digit",
                "cannot parse",
                "too large to fit",
                "is not in ",
                "invalid float",
                "syntax",
            ] {
                assert!(!text.contains(foreign), "{way:?} {name}: {text}");
            }
        }
    }
    assert!(refused > 300, "{refused}");
}

#[test]
fn a_negative_number_is_a_wrong_value_and_no_option() {
    for (line, kind, wanted) in [
        ("reputon scan --rate -1", ErrorKind::ValueValidation, "--rate"),
        ("reputon plan --window -5", ErrorKind::ValueValidation, "--window"),
        ("reputon bench --queries -1", ErrorKind::ValueValidation, "--queries"),
        ("reputon scan -1", ErrorKind::UnknownArgument, "-1"),
    ] {
        let error = command().try_get_matches_from(line.split(' ')).expect_err(line);
        assert_eq!(error.kind(), kind, "{line}");
        assert!(error.to_string().contains(wanted), "{line}: {error}");
    }
}

/// Lines of commands that people copy: of the README, and of all help.
fn examples() -> Vec<String> {
    fn help(command: &clap::Command, found: &mut String) {
        for text in [command.get_after_help(), command.get_after_long_help()]
            .into_iter()
            .flatten()
        {
            *found += &format!("{text}\n");
        }
        command.get_subcommands().for_each(|below| help(below, found));
    }
    let mut text = include_str!("../../README.md").to_owned();
    help(&command(), &mut text);
    let lines = text.lines().map(str::trim).filter(|line| line.starts_with("reputon "));
    // What stands behind is a comment, told by blanks or a sign; what is quoted has no blank inside.
    let bare = lines.map(|line| line.split(['#', '>', '|', ';']).next().unwrap_or(line));
    let bare = bare.map(|line| line.split("   ").next().unwrap_or(line).replace('\'', ""));
    bare.collect()
}

#[test]
fn the_examples_can_be_typed() {
    let examples = examples();
    assert!(examples.len() > 40, "{examples:?}");
    for line in examples {
        let parsed = command().try_get_matches_from(line.split_whitespace());
        assert!(parsed.is_ok(), "{line}: {}", parsed.expect_err("not good"));
        let words = line
            .split_whitespace()
            .skip(2)
            .filter(|word| !word.contains(['=', ':', '@']));
        let prefixes = words.filter(|word| word.starts_with(|char: char| char.is_ascii_digit()) && word.contains('/'));
        for prefix in prefixes {
            let read = TargetSet::read(&[prefix.to_owned()], &mut std::io::empty(), ReadOptions::default());
            assert!(read.is_ok(), "{line}: {}", read.expect_err("not good"));
        }
    }
}

#[test]
fn lists_alone_is_ls() {
    let cli = parse("reputon lists --format json").expect("a good line");
    assert!(matches!(cli.command, Command::Lists(ListsArgs { command: None, ls }) if ls.format.format.is_some()));
    assert!(parse("reputon lists ls --format json").is_ok());
}
