//! From the command line to the command that does the work, and from errors to the exit status.

use std::io::{self, Write};

use anyhow::anyhow;
use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{ArgMatches, FromArgMatches};
use reputon::report::visible;
use reputon::stages::Stage;
use reputon::verdict::NagiosStatus;

use super::args::{Cli, Command, ConfigCommand, command};
use super::config::Config;
use super::keeping::is_rehearsal;
use super::{build, commands, hide, not_utf8, pages, room, signals};
use crate::cli::stdout::stdout;
use crate::cli::talk::talk;

/// The exit status of usage, configuration and I/O errors.
pub(crate) const FAILED: u8 = 2;

/// Parses the command line and does what it says; the exit status, if it is not clap that ends the process.
pub(crate) fn run() -> u8 {
    signals::outlive_file_limit();
    let arguments = hide::arguments();
    let nagios = arguments.iter().any(|argument| argument == "--nagios");
    if let Err(error) = room::make() {
        return failed(&error, nagios);
    }
    let table = command();
    let config = match Config::load(&arguments, &table) {
        Ok(config) => config,
        Err(error) => return failed(&error, nagios),
    };
    let parsed = config
        .apply(table)
        .try_get_matches_from(&arguments)
        .and_then(|matches| {
            let mut cli = Cli::from_arg_matches(&matches)?;
            keep_rehearsal_inside(&mut cli, &matches);
            Ok(cli)
        })
        .map_err(|error| match error.kind() {
            ErrorKind::InvalidUtf8 => not_utf8::told(&arguments, &command()).unwrap_or(error),
            _ => error,
        });
    let cli = match parsed {
        Ok(cli) => cli,
        Err(error) if error.use_stderr() && nagios => {
            return nagios_unknown(error.to_string().lines().next().unwrap_or_default());
        }
        Err(error) => return usage(&error),
    };
    if !cli.talk.quiet {
        config.warn();
        warn_of_keys(&cli, &config);
    }
    match dispatch(&cli, &config) {
        Ok(status) => status,
        Err(error) => failed(&error, is_nagios(&cli)),
    }
}

/// Nothing of a rehearsal leaves the machine. No banners are read: the lab's world has no mail servers, but its addresses may be
/// somebody's. And nobody is told whom the environment or the configuration file names, who waits for news of what is real;
/// whoever is typed is told, so that this can be rehearsed too.
fn keep_rehearsal_inside(cli: &mut Cli, matches: &ArgMatches) {
    let (lab, stages, notify) = match &mut cli.command {
        Command::Scan(args) => (&args.lab, &mut args.stages, Some(&mut args.notify)),
        Command::Audit(args) => {
            let args = &mut args.scan;
            (&args.lab, &mut args.stages, Some(&mut args.notify))
        }
        Command::Plan(args) => (&args.lab, &mut args.stages, None),
        Command::Check(args) => {
            args.smtp &= !is_rehearsal(&args.lab);
            return;
        }
        _ => return,
    };
    let Some((_, matches)) = matches.subcommand().filter(|_| is_rehearsal(lab)) else {
        return;
    };
    stages.smtp = false;
    stages.stages.0 = stages.stages.0.without(Stage::Smtp);
    let typed = |id: &str| matches.value_source(id) == Some(ValueSource::CommandLine);
    if let Some(notify) = notify {
        notify.notify.retain(|_| typed("notify"));
        notify.mail_to.retain(|_| typed("mail_to"));
    }
}

/// Says which keys of the file are nobody's: a slip in an operator's name would leave its lists without their key. A
/// catalogue that cannot be read is the command's own trouble.
fn warn_of_keys(cli: &Cli, config: &Config) {
    if let Some(options) = cli.command.catalogue().filter(|_| !config.keys.is_empty())
        && let Ok(catalogue) = build::every_operator(options)
    {
        let operators = catalogue.operators().iter().map(|operator| operator.id.as_str());
        config.warn_of_keys(&operators.collect::<Vec<_>>());
    }
}

/// Help, or what is wrong with the command line, as clap words it; the exit status. Colours are clap's as long as nothing
/// that was typed could act as one.
fn usage(error: &clap::Error) -> u8 {
    let plain = error.render().to_string();
    let shown = harmless(&plain);
    if shown == plain {
        return match error.print() {
            Err(trouble) if !error.use_stderr() && trouble.kind() != io::ErrorKind::BrokenPipe => {
                failed(&anyhow!(trouble).context("standard output cannot be written to"), false)
            }
            _ => u8::try_from(error.exit_code()).unwrap_or(FAILED),
        };
    }
    talk!("{}", shown.trim_end());
    FAILED
}

/// Lines of talk. Names of files and words that were typed can be in them, and those are written by strangers, too.
fn harmless(text: &str) -> String {
    text.split('\n').map(visible).collect::<Vec<_>>().join("\n")
}

/// Says what went wrong; the exit status.
fn failed(error: &anyhow::Error, nagios: bool) -> u8 {
    match nagios {
        true => nagios_unknown(&told(error)),
        false if is_broken_pipe(error) => 0,
        false => {
            talk!("reputon: {}", harmless(&told(error)));
            FAILED
        }
    }
}

fn dispatch(cli: &Cli, config: &Config) -> anyhow::Result<u8> {
    let quiet = cli.talk.quiet;
    match &cli.command {
        Command::Scan(args) => commands::scan::run(args, quiet),
        Command::Audit(args) => commands::audit::run(args, quiet),
        Command::Bench(args) => commands::bench::run(args, quiet),
        Command::Plan(args) => commands::plan::run(args, quiet),
        Command::Lab(args) => commands::lab::run(args, quiet),
        Command::Lists(args) => commands::lists::run(args, quiet),
        Command::Rdns(args) => commands::stage::rdns(args, quiet),
        Command::Mx(args) => commands::stage::mx(args, quiet),
        Command::Spf(args) => commands::stage::spf(args, quiet),
        Command::Dkim(args) => commands::stage::dkim(args, quiet),
        Command::Dmarc(args) => commands::stage::dmarc(args, quiet),
        Command::Asn(args) => commands::stage::asn(args, quiet),
        Command::Check(args) => commands::check::run(args, quiet),
        Command::SmtpOut(args) => commands::smtp_out::run(args, quiet),
        Command::Config(args) => match &args.command {
            ConfigCommand::Show(args) => commands::config::show(args, config),
        },
        Command::Runs(args) => commands::runs::run(args, quiet),
        Command::Report(args) => commands::report::run(args),
        Command::Diff(args) => commands::diff::run(args),
        Command::History(args) => commands::history::run(args, quiet),
        Command::Completions(args) => page(pages::completions(args.shell)?),
        Command::Man => page(pages::man()?),
    }
}

fn is_nagios(cli: &Cli) -> bool {
    match &cli.command {
        Command::Scan(args) => args.notify.nagios,
        Command::Audit(args) => args.scan.notify.nagios,
        _ => false,
    }
}

/// What a Nagios plugin that cannot do its work says: exit status 2 would mean that something was found.
fn nagios_unknown(why: &str) -> u8 {
    let why = visible(why).replace('|', "/"); // what follows a bar is performance data
    let _ = writeln!(stdout(), "REPUTON UNKNOWN - {why}"); // nobody reads it: nothing more can be done
    NagiosStatus::Unknown.code()
}

/// An error and its causes, each that says something new.
fn told(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if !text.contains(&cause) {
            text += if text.is_empty() { "" } else { ": " };
            text += &cause;
        }
    }
    text
}

fn page(page: Vec<u8>) -> anyhow::Result<u8> {
    stdout().write_all(&page)?;
    Ok(0)
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let io = error.chain().find_map(|cause| cause.downcast_ref::<io::Error>());
    io.is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}
