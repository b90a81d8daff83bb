//! Programs of this machine that tests start. One that is not installed is none, with a line on standard error; set
//! `REPUTON_NEED_PEERS=1` (as CI does) to make that a failure.

use std::path::PathBuf;

/// The program on PATH or where Debian puts servers.
pub fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path)
        .chain([PathBuf::from("/usr/sbin"), PathBuf::from("/usr/local/sbin")])
        .map(|folder| folder.join(name))
        .find(|file| file.is_file());
    if found.is_none() {
        assert!(
            std::env::var_os("REPUTON_NEED_PEERS").is_none(),
            "{name} is not installed"
        );
        eprintln!("{name} is not installed: what needs it is not tested");
    }
    found
}
