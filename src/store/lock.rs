//! The lock of a run: an advisory lock on a file beside the database, which the kernel drops when its process ends,
//! however it ends. Other runs in the same database are not touched by it.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use super::database::beside;
use super::error::StoreError;
use super::runs::RunId;

/// A run that is ours to work on, until this is dropped.
#[derive(Debug)]
pub struct RunLock {
    path: PathBuf,
    /// Held open: closing it drops the lock.
    _file: File,
}

impl RunLock {
    /// Takes the lock of a run in a database; none if another process works on it.
    ///
    /// # Errors
    /// If the file of the lock cannot be made.
    pub fn take(database: &Path, run: RunId) -> Result<Option<RunLock>, StoreError> {
        let path = beside(database, &format!("-run-{run}.lock"));
        match try_take(&path) {
            Ok(file) => Ok(file.map(|file| RunLock { path, _file: file })),
            Err(error) => Err(StoreError::Io(path, error)),
        }
    }

    /// Whether another process works on a run.
    pub fn is_held(database: &Path, run: RunId) -> bool {
        let path = beside(database, &format!("-run-{run}.lock"));
        let file = File::open(path);
        file.is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
    }
}

fn try_take(path: &Path) -> io::Result<Option<File>> {
    loop {
        let file = File::options().create(true).truncate(false).write(true).open(path)?;
        match file.try_lock() {
            Ok(()) => (),
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(error),
        }
        // The one who had it before may have removed the file meanwhile: then this lock is on nothing.
        if is_same(&file, path) {
            return Ok(Some(file));
        }
    }
}

#[cfg(unix)]
fn is_same(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    match (file.metadata(), fs::metadata(path)) {
        (Ok(held), Ok(named)) => (held.dev(), held.ino()) == (named.dev(), named.ino()),
        _ => false,
    }
}

#[cfg(not(unix))]
fn is_same(_: &File, _: &Path) -> bool {
    true
}

impl Drop for RunLock {
    fn drop(&mut self) {
        // While it is held: nobody else can have it.
        drop(fs::remove_file(&self.path));
    }
}
