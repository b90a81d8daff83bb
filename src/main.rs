//! The binary: exit status only.

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::run().into()
}
