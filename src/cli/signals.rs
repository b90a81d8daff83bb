//! SIGINT, SIGTERM and SIGHUP ask the run to stop; a second one ends the process. A SIGHUP that whoever started the program
//! has it ignore (nohup) stays ignored.

use std::io;
use std::sync::Arc;
use std::thread;

use anyhow::{Context, bail};
use nix::sys::resource::{Resource, getrlimit};
use nix::sys::signal::{SigSet, Signal};
use reputon::scan::{Stop, StopReason};
use tokio::signal::unix::{SignalKind, signal};

/// The exit status of a run that a signal has stopped: by custom 128 and the signal's number.
pub(crate) const fn status(reason: StopReason) -> Option<u8> {
    match reason {
        StopReason::HangUp => Some(128 + Signal::SIGHUP as u8),
        StopReason::Interrupt => Some(128 + Signal::SIGINT as u8),
        StopReason::Terminate => Some(128 + Signal::SIGTERM as u8),
        StopReason::MaxTime => None,
    }
}

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
    let inside = runtime.enter();
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let mut hang_up = match is_hang_up_ignored() {
        true => None,
        false => Some(signal(SignalKind::hangup())?),
    };
    drop(inside);
    let request = stop.clone();
    thread::Builder::new().name("reputon-signals".into()).spawn(move || {
        runtime.block_on(async move {
            loop {
                let reason = tokio::select! {
                    _ = interrupt.recv() => StopReason::Interrupt,
                    _ = terminate.recv() => StopReason::Terminate,
                    _ = heard(&mut hang_up) => StopReason::HangUp,
                };
                if request.requested().is_some() {
                    std::process::exit(status(reason).map_or(0, i32::from));
                }
                request.request(reason);
            }
        });
    })?;
    Ok(stop)
}

/// Waits for a signal, or for ever where it is not watched.
async fn heard(signal: &mut Option<tokio::signal::unix::Signal>) {
    match signal {
        Some(signal) => drop(signal.recv().await),
        None => std::future::pending().await,
    }
}

/// Whether the program was started to outlive its terminal. Where the system does not say, it was not.
fn is_hang_up_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    ignores(&status, Signal::SIGHUP)
}

/// Whether a process ignores a signal, by what the system says of it (proc(5): a mask of signals, the first is bit 0).
fn ignores(status: &str, signal: Signal) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask >> (signal as u32 - 1) & 1 == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_ignored_is_read_from_the_mask() {
        let status = "Name:\treputon\nSigIgn:\t0000000000001001\nSigCgt:\t0000000000000002\n";
        assert!(ignores(status, Signal::SIGHUP));
        assert!(ignores(status, Signal::SIGPIPE));
        assert!(!ignores(status, Signal::SIGINT));
        assert!(!ignores("", Signal::SIGHUP));
    }
}
