//! From the command line to the command that does the work, and from errors to the exit status.

use std::io::{self, Write};

use anyhow::bail;
use clap::Parser;
use reputon::report::visible;
use reputon::verdict::NagiosStatus;

use super::args::{Cli, Command};
use super::{commands, pages};

/// The exit status of usage, configuration and I/O errors.
const FAILED: u8 = 2;

/// Parses the command line and does what it says; the exit status, if it is not clap that ends the process.
pub(crate) fn run() -> u8 {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) if error.use_stderr() && std::env::args_os().any(|argument| argument == "--nagios") => {
            return nagios_unknown(error.to_string().lines().next().unwrap_or_default());
        }
        Err(error) => error.exit(),
    };
    match dispatch(&cli) {
        Ok(status) => status,
        Err(error) if is_nagios(&cli) => nagios_unknown(&format!("{error:#}")),
        Err(error) if is_broken_pipe(&error) => 0,
        Err(error) => {
            eprintln!("reputon: {error:#}");
            FAILED
        }
    }
}

fn dispatch(cli: &Cli) -> anyhow::Result<u8> {
    let quiet = cli.talk.quiet;
    match &cli.command {
        Command::Scan(args) => commands::scan::run(args, quiet),
        Command::Audit(args) => commands::audit::run(args, quiet),
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
        Command::Completions(args) => page(pages::completions(args.shell)?),
        Command::Man => page(pages::man()?),
        _ => bail!("this command is not built yet"),
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
    let _ = writeln!(io::stdout(), "REPUTON UNKNOWN - {why}"); // nobody reads it: nothing more can be done
    NagiosStatus::Unknown.code()
}

fn page(page: Vec<u8>) -> anyhow::Result<u8> {
    io::stdout().lock().write_all(&page)?;
    Ok(0)
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let io = error.chain().find_map(|cause| cause.downcast_ref::<io::Error>());
    io.is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}
