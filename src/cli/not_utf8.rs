//! Values that are no UTF-8, named: clap says only that one of the arguments is such.
//!
//! Names of files that are taken as they are (`--config`, `--catalogue`, `--db`) need not be UTF-8, so they are not named.

use std::any::TypeId;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::{Arg, Command};

use super::config::{settable, variable};
use super::hide::SECRET_OPTIONS;

/// An error that says which arguments, or which variables of the environment, are no UTF-8; none if all are.
pub(crate) fn told(arguments: &[OsString], table: &Command) -> Option<clap::Error> {
    let paths = paths(table);
    let mut wrong: Vec<String> = Vec::new();
    for (at, argument) in arguments.iter().enumerate().skip(1) {
        let is_text = argument.to_str().is_some();
        let (option, value) = match parts(argument) {
            Some(parts) => parts,
            // The value of the option before it, perhaps; else a value of its own.
            None => (
                arguments[at - 1].to_str().filter(|before| before.starts_with("--")),
                argument.as_os_str(),
            ),
        };
        match option {
            _ if is_text => {}
            Some(option) if paths.iter().any(|path| option.strip_prefix("--") == Some(path)) => {}
            Some(option) if SECRET_OPTIONS.contains(&option) => wrong.push(format!("the value of '{option}'")),
            Some(option) => wrong.push(format!("the value '{}' of '{option}'", value.to_string_lossy())),
            None => wrong.push(format!("argument {at}, '{}',", value.to_string_lossy())),
        }
    }
    if wrong.is_empty() {
        let options = settable(table);
        let texts = options
            .iter()
            .filter(|arg| !is_path(arg))
            .filter_map(|arg| arg.get_long());
        let names: Vec<String> = texts.map(variable).collect();
        wrong.extend(
            names
                .into_iter()
                .find(|name| std::env::var_os(name).is_some_and(|value| value.to_str().is_none())),
        );
    }
    let first = wrong.first()?;
    let text = format!("{first} is not UTF-8: write it anew, such as in ASCII\n");
    Some(clap::Error::raw(ErrorKind::InvalidUtf8, text).with_cmd(table))
}

/// `--option=value`.
fn parts(argument: &OsStr) -> Option<(Option<&str>, &OsStr)> {
    let octets = argument.as_bytes();
    let at = octets
        .iter()
        .position(|octet| *octet == b'=')
        .filter(|_| octets.starts_with(b"--"))?;
    Some((
        std::str::from_utf8(&octets[..at]).ok(),
        OsStr::from_bytes(&octets[at + 1..]),
    ))
}

fn is_path(arg: &Arg) -> bool {
    arg.get_value_parser().type_id() == TypeId::of::<PathBuf>()
}

/// The options whose values are names of files, of this command and those below it.
fn paths(table: &Command) -> Vec<&str> {
    let own = table
        .get_arguments()
        .filter(|arg| is_path(arg))
        .filter_map(Arg::get_long);
    own.chain(table.get_subcommands().flat_map(paths)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::args::command;

    fn told_of(arguments: &[&[u8]]) -> Option<String> {
        let arguments: Vec<OsString> = arguments.iter().map(|one| OsStr::from_bytes(one).to_owned()).collect();
        told(&arguments, &command()).map(|error| error.to_string())
    }

    #[test]
    fn the_option_and_its_value_are_named_and_no_secret() {
        for (arguments, start) in [
            (
                &[b"r".as_slice(), b"scan", b"--rate=5\xff"][..],
                "error: the value '5\u{fffd}' of '--rate' is not UTF-8",
            ),
            (
                &[b"r", b"scan", b"--rate", b"5\xff"],
                "error: the value '5\u{fffd}' of '--rate' is not UTF-8",
            ),
            (
                &[b"r", b"scan", b"192.0.2.1", b"\xff"],
                "error: argument 3, '\u{fffd}', is not UTF-8",
            ),
            (
                &[b"r", b"scan", b"--key=a=hunter2\xff"],
                "error: the value of '--key' is not UTF-8",
            ),
            (
                &[b"r", b"--config=\xff", b"scan", b"--db", b"\xff", b"\xfe"],
                "error: argument 5, '\u{fffd}', is not UTF-8",
            ),
        ] {
            let error = told_of(arguments).expect(start);
            assert!(error.starts_with(start) && !error.contains("hunter2"), "{error}");
        }
        assert_eq!(told_of(&[b"r", b"scan", b"--config=\xff"]), None);
    }
}
