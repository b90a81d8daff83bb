//! SIGINT and SIGTERM ask the run to stop; a second one ends the process.

use std::io;
use std::sync::Arc;
use std::thread;

use anyhow::{Context, bail};
use nix::sys::resource::{Resource, getrlimit};
use nix::sys::signal::{SigSet, Signal};
use reputon::scan::{Stop, StopReason};
use tokio::signal::unix::{SignalKind, signal};

/// Exit statuses by custom: 128 and the signal's number.
pub(crate) const INTERRUPTED: u8 = 130;
pub(crate) const TERMINATED: u8 = 143;

/// Fewest descriptors with which a scan gets through, the embedded world's own included.
const DESCRIPTORS_MIN: u64 = 32;

/// Has a write beyond the limit of file sizes (`ulimit -f`) fail as one to a full disk does, instead of ending the process
/// with half-written files. Threads that are started later have it from this one.
pub(crate) fn outlive_file_limit() {
    let mut signals = SigSet::empty();
    signals.add(Signal::SIGXFSZ);
    let _ = signals.thread_block(); // it cannot fail; if it did, the limit would end the process as before
}

/// Turns signals into requests to stop, on a thread of its own.
///
/// # Errors
/// If the system has no room for the thread, or for the descriptors that are opened later.
pub(crate) fn watch() -> anyhow::Result<Arc<Stop>> {
    if getrlimit(Resource::RLIMIT_NOFILE).is_ok_and(|(soft, _)| soft < DESCRIPTORS_MIN) {
        bail!("too few open files are allowed: at least {DESCRIPTORS_MIN} are needed (ulimit -n)");
    }
    start().context(
        "no thread can be started: the limit of address space or of processes is too low (ulimit -v, ulimit -u)",
    )
}

fn start() -> io::Result<Arc<Stop>> {
    let stop = Arc::new(Stop::new());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let (mut interrupt, mut terminate) = {
        let _inside = runtime.enter();
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?)
    };
    let request = stop.clone();
    thread::Builder::new().name("reputon-signals".into()).spawn(move || {
        runtime.block_on(async move {
            loop {
                let (reason, status) = tokio::select! {
                    _ = interrupt.recv() => (StopReason::Interrupt, INTERRUPTED),
                    _ = terminate.recv() => (StopReason::Terminate, TERMINATED),
                };
                if request.requested().is_some() {
                    std::process::exit(status.into());
                }
                request.request(reason);
            }
        });
    })?;
    Ok(stop)
}
