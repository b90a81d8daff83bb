//! The binary: exit status only.

#![warn(clippy::print_stderr)] // talk!, which ends no run where nobody hears it

mod cli;

use std::process::ExitCode;

use mimalloc::MiMalloc;

/// Reports and stage records make many small allocations; this one serves them faster than the system's.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    cli::run().into()
}
