//! Room in the address space, where that is limited (`ulimit -v`): allocators set space aside in large pieces, which counts
//! against the limit though it is never used, and leaves none for threads.
//!
//! The program puts itself in its own place, same process, with the variables by which the allocators (ours, and the C
//! library's, which SQLite uses) set nothing aside: they are read before anything of ours runs. Without a limit nothing
//! happens; below what a scan needs it is said so, because running out in the middle can only end the process.

use std::os::unix::process::CommandExt;
use std::process::Command;

use anyhow::bail;
use libc::RLIM_INFINITY;
use nix::sys::resource::{Resource, getrlimit};

/// Least address space with which a scan of some lists gets through, the program's own included: a debug build, the largest, maps
/// some 70 MiB before it does anything, and gets through with 136.
const SPACE_MIN: u64 = 160 << 20;

/// By which it is known that the program is in its own place already.
const VARIABLE: &str = "MIMALLOC_ARENA_RESERVE";

/// Whether the address space is limited: each thread more takes some of it.
pub(crate) fn is_limited() -> bool {
    getrlimit(Resource::RLIMIT_AS).is_ok_and(|(limit, _)| limit != RLIM_INFINITY)
}

/// Makes the most of a limited address space. May start the program anew, in its own place.
///
/// # Errors
/// If there is too little of it.
pub(crate) fn make() -> anyhow::Result<()> {
    let Ok((limit, _)) = getrlimit(Resource::RLIMIT_AS) else {
        return Ok(());
    };
    if limit == RLIM_INFINITY {
        return Ok(());
    }
    if limit < SPACE_MIN {
        bail!(
            "too little address space is allowed: at least {} KiB are needed, {} are allowed (ulimit -v)",
            SPACE_MIN >> 10,
            limit >> 10
        );
    }
    let mut arguments = std::env::args_os();
    if std::env::var_os(VARIABLE).is_none()
        && let (Some(name), Ok(program)) = (arguments.next(), std::env::current_exe())
    {
        let _failed = Command::new(program)
            .arg0(name)
            .args(arguments)
            .env(VARIABLE, "0")
            .env("MALLOC_ARENA_MAX", "1")
            .exec();
    }
    Ok(())
}
