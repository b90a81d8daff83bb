//! What can go wrong with the run database, in words that name the file and the mend.

use std::io;
use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;

/// Why the run database cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// SQLite says so.
    #[error("{}: {}: {}; {}", .path.display(), .doing, .error, mend(.error))]
    Sqlite {
        /// The file.
        path: PathBuf,
        /// What was tried.
        doing: &'static str,
        /// What SQLite says. It is told in the message: no source of it, so that nobody tells it twice.
        error: rusqlite::Error,
    },
    /// It was written by a newer program.
    #[error(
        "{}: the run database has version {found}, this program knows {known}; use a newer reputon, or name another file with --db",
        .path.display()
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: i64,
        /// Ours.
        known: i64,
    },
    /// It is a database, and not ours.
    #[error("{}: not a run database of reputon; name another file with --db", .0.display())]
    NotOurs(PathBuf),
    /// A folder, a pipe, a device.
    #[error("{}: {}, and runs are kept in a file; name another with --db, or none", .0.display(), .1)]
    NotAFile(PathBuf, &'static str),
    /// It cannot be written to.
    #[error("{}: the run database is read-only; give it back its write permission, name another file with --db, or none", .0.display())]
    ReadOnly(PathBuf),
    /// It can be read only together with a log that we cannot take in.
    #[error(
        "{}: the run database cannot be read yet: its newest part is in the file beside it, and taking that in needs leave to \
         write; run `reputon runs` once as its owner, or copy both files",
        .0.display()
    )]
    Log(PathBuf),
    /// It is not there.
    #[error(
        "{}: there is no run database; runs are kept in it by scan (with --lab only where --db is given), or name another file \
         with --db",
        .0.display()
    )]
    Missing(PathBuf),
    /// What is in it makes no sense.
    #[error("{}: the run database is damaged: {what}; put a copy back, or move it away to start a new one", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// The file or its folder cannot be reached.
    #[error("{}: {}; check the folder and its permissions, name another file with --db, or none", .0.display(), .1)]
    Io(PathBuf, io::Error),
}

impl StoreError {
    /// An error of SQLite while doing something.
    pub(super) fn sqlite(path: &Path, doing: &'static str) -> impl FnOnce(rusqlite::Error) -> StoreError {
        move |error| StoreError::Sqlite {
            path: path.to_owned(),
            doing,
            error,
        }
    }

    pub(super) fn damaged(path: &Path, what: impl Into<String>) -> StoreError {
        StoreError::Damaged {
            path: path.to_owned(),
            what: what.into(),
        }
    }
}

/// What to do about an error of SQLite.
fn mend(error: &rusqlite::Error) -> &'static str {
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => "make room on its disk, or name a file elsewhere with --db",
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => {
            "give file and folder back their write permission, name another file with --db, or none"
        }
        Some(ErrorCode::CannotOpen) => "check the folder and its permissions, name another file with --db, or none",
        Some(ErrorCode::NotADatabase) => "it is no database: name another file with --db, or move it away",
        Some(ErrorCode::DatabaseCorrupt) => "it is damaged: put a copy back, or move it away to start a new one",
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            "another process holds it: try again when it is done"
        }
        Some(ErrorCode::SystemIoFailure) => {
            "check the disk and the limit of file sizes (ulimit -f), or name a file elsewhere with --db"
        }
        Some(ErrorCode::TooBig) => "it has reached a limit of SQLite: remove old runs with `reputon runs prune`",
        _ => "if it persists, move it away to start a new one",
    }
}
