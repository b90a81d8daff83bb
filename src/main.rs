//! The binary: exit status only.

mod cli;

use std::process::ExitCode;

use mimalloc::MiMalloc;

/// Reports and stage records make many small allocations; this one serves them faster than the system's.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    cli::run().into()
}
