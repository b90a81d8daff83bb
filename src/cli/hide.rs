//! Secrets typed on the command line, out of sight: everybody on a machine can read every process's arguments (`ps`).
//!
//! ```text
//! reputon scan --key spamhaus=abc … ──exec──▶ reputon scan --key {hidden} …   and the value in the environment,
//!                                             which is read by the same user and root alone (proc(5))
//! ```
//!
//! The program puts itself in its own place, same process, before it does anything else; what it was given then comes from
//! the environment back into its arguments. If that fails (the file was replaced meanwhile), the run goes on as typed. The
//! value could be seen for the moment before, and the shell may keep it: the environment or the configuration file are
//! better places. Children get no variable of ours (see `notify`).

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::process::CommandExt;
use std::process::Command;

/// Options whose values are secrets.
pub(crate) const SECRET_OPTIONS: [&str; 2] = ["--key", "--notify"];

/// What stands in the place of a value. No operator has this name, and no address looks like it.
const MARK: &str = "{hidden}";

/// Holds the values, one a line, in the order of their marks.
const VARIABLE: &str = "REPUTON_TYPED_SECRETS";

/// The arguments as typed. May start the program anew, in its own place.
pub(crate) fn arguments() -> Vec<OsString> {
    let typed: Vec<OsString> = std::env::args_os().collect();
    if let Some(values) = std::env::var_os(VARIABLE) {
        return restored(typed, &values);
    }
    let (shown, values) = hidden(&typed);
    // A value of two lines is no key and no address: the usual way says so.
    let is_line = |value: &OsString| !value.as_bytes().contains(&b'\n');
    if let ([name, shown @ ..], false, true) = (shown.as_slice(), values.is_empty(), values.iter().all(is_line))
        && let Ok(program) = std::env::current_exe()
    {
        let _failed = Command::new(program)
            .arg0(name)
            .args(shown)
            .env(VARIABLE, values.join(OsStr::new("\n")))
            .exec();
    }
    typed
}

/// The arguments with their secrets replaced by marks, and the secrets.
fn hidden(typed: &[OsString]) -> (Vec<OsString>, Vec<OsString>) {
    let (mut shown, mut values) = (Vec::new(), Vec::new());
    let mut arguments = typed.iter();
    while let Some(argument) = arguments.next() {
        if argument == "--" {
            shown.push(argument.clone());
            break;
        }
        match split(argument) {
            Some((option, Some(value))) => {
                shown.push(format!("{option}={MARK}").into());
                values.push(value);
            }
            Some((_, None)) => {
                shown.push(argument.clone());
                if let Some(value) = arguments.next() {
                    shown.push(MARK.into());
                    values.push(value.clone());
                }
            }
            None => shown.push(argument.clone()),
        }
    }
    shown.extend(arguments.cloned());
    (shown, values)
}

/// The arguments with their secrets in the place of the marks.
fn restored(shown: Vec<OsString>, values: &OsStr) -> Vec<OsString> {
    let mut values = values
        .as_bytes()
        .split(|octet| *octet == b'\n')
        .map(|value| OsString::from_vec(value.to_vec()));
    let mut typed: Vec<OsString> = Vec::with_capacity(shown.len());
    let mut shown = shown.into_iter();
    for argument in shown.by_ref() {
        if argument == "--" {
            typed.push(argument);
            break;
        }
        let wanted = typed
            .last()
            .is_some_and(|last| SECRET_OPTIONS.iter().any(|option| last == option));
        let value = match split(&argument) {
            Some((option, Some(value))) if value == MARK => values.next().map(|value| {
                let mut whole = OsString::from(format!("{option}="));
                whole.push(value);
                whole
            }),
            _ if wanted && argument == MARK => values.next(),
            _ => None,
        };
        typed.push(value.unwrap_or(argument));
    }
    typed.extend(shown);
    typed
}

/// An option whose value is a secret, and the value if it is in the same argument.
fn split(argument: &OsStr) -> Option<(&'static str, Option<OsString>)> {
    SECRET_OPTIONS.into_iter().find_map(|option| {
        let rest = argument.as_bytes().strip_prefix(option.as_bytes())?;
        match rest.split_first() {
            None => Some((option, None)),
            Some((b'=', value)) => Some((option, Some(OsString::from_vec(value.to_vec())))),
            Some(_) => None,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(words: &str) -> Vec<OsString> {
        words.split(' ').map(OsString::from).collect()
    }

    #[test]
    fn what_is_hidden_comes_back_as_it_was_typed() {
        for (typed, seen) in [
            ("reputon scan 192.0.2.1", "reputon scan 192.0.2.1"),
            ("reputon scan --key a=b x", "reputon scan --key {hidden} x"),
            (
                "reputon scan --key=a=b --key c=d",
                "reputon scan --key={hidden} --key {hidden}",
            ),
            ("reputon scan --keys a --key", "reputon scan --keys a --key"),
            (
                "reputon scan --notify --key --key x",
                "reputon scan --notify {hidden} --key {hidden}",
            ),
            (
                "reputon scan --key= -- --key x=y",
                "reputon scan --key={hidden} -- --key x=y",
            ),
        ] {
            let (shown, values) = hidden(&line(typed));
            assert_eq!(shown, line(seen));
            assert_eq!(restored(shown, &values.join(OsStr::new("\n"))), line(typed));
        }
    }

    #[test]
    fn marks_without_values_stay() {
        assert_eq!(
            restored(line("r --key {hidden} {hidden}"), OsStr::new("v")),
            line("r --key v {hidden}")
        );
        assert_eq!(
            restored(line("r --key={hidden} --key={hidden}"), OsStr::new("v")),
            line("r --key=v --key={hidden}")
        );
    }
}
