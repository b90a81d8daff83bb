//! From the command line to the command that does the work, and from errors to the exit status.

use std::io::{self, Write};

use anyhow::bail;
use clap::Parser;

use super::args::{Cli, Command};
use super::{commands, pages};

/// The exit status of usage, configuration and I/O errors.
const FAILED: u8 = 2;

/// Parses the command line and does what it says; the exit status, if it is not clap that ends the process.
pub(crate) fn run() -> u8 {
    let cli = Cli::parse();
    match dispatch(&cli) {
        Ok(status) => status,
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
        Command::SmtpOut(args) => commands::smtp_out::run(args, quiet),
        Command::Completions(args) => page(pages::completions(args.shell)?),
        Command::Man => page(pages::man()?),
        _ => bail!("this command is not built yet"),
    }
}

fn page(page: Vec<u8>) -> anyhow::Result<u8> {
    io::stdout().lock().write_all(&page)?;
    Ok(0)
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let io = error.chain().find_map(|cause| cause.downcast_ref::<io::Error>());
    io.is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}
