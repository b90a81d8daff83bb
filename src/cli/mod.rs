//! The command line: what was typed (`args`, `options`, `values`), what teaches it (`help`, `pages`), what is done.
//!
//! clap stays here: nothing of the library sees a flag. Standard output is data, standard error is talk.

mod args;
mod help;
mod options;
mod pages;
mod values;

use std::io::{self, Write};

use clap::Parser;

use args::{Cli, Command};

/// Parses the command line and does what it says; the exit status, if it is not clap that ends the process.
pub(crate) fn run() -> u8 {
    let page = match Cli::parse().command {
        Command::Completions(args) => pages::completions(args.shell),
        Command::Man => pages::man(),
        _ => Err(io::Error::new(
            io::ErrorKind::Unsupported,
            "this command is not built yet",
        )),
    };
    match page.and_then(|page| io::stdout().lock().write_all(&page)) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            eprintln!("reputon: {error}");
            2
        }
        _ => 0,
    }
}
