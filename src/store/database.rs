//! The file: opened, told from other files, brought to today's version.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior};

use super::error::StoreError;
use super::listed;
use super::schema::{APPLICATION_ID, STEPS, VERSION};

/// How long somebody else's transaction is waited for, in seconds. They take milliseconds.
pub const BUSY_SECS: u64 = 20;

/// Memory that a connection may hold pages in: a run of many listings writes some megabytes a transaction.
const CACHE_KIB: u32 = 16 << 10;

/// Pages of the write-ahead log before they are put in their places: a page that changes often is put there once.
const LOG_PAGES: u32 = 4_000;

/// The run database.
#[derive(Debug)]
pub struct Store {
    pub(super) connection: Connection,
    pub(super) path: PathBuf,
}

impl Store {
    /// Opens a file to write to; makes it, and its folder, if they are not there.
    ///
    /// # Errors
    /// If it cannot be made or written to, or is no run database of this or an older version.
    pub fn open(path: &Path) -> Result<Store, StoreError> {
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            fs::create_dir_all(folder).map_err(|error| StoreError::Io(folder.to_owned(), error))?;
        }
        check_kind(path)?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut store = Store::connect(path, flags)?;
        let failed = || StoreError::sqlite(path, "cannot be opened");
        if store.connection.is_readonly("main").map_err(failed())? {
            return Err(StoreError::ReadOnly(path.to_owned()));
        }
        store.check()?;
        store.migrate()?;
        let pragmas = format!(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA foreign_keys = ON; \
             PRAGMA cache_size = -{CACHE_KIB}; PRAGMA wal_autocheckpoint = {LOG_PAGES};"
        );
        store.connection.execute_batch(&pragmas).map_err(failed())?;
        Ok(store)
    }

    /// A database of the process' own, in a temporary file without a name. Tiles in it need no run.
    pub(super) fn scratch() -> Result<Store, StoreError> {
        let (path, failed) = (
            Path::new(""),
            "a temporary file cannot be made: make room, or name another folder as TMPDIR",
        );
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut store = Store::connect(path, flags)?;
        store.path = PathBuf::from("the journal of this run");
        store.migrate()?;
        let pragmas = format!(
            "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA foreign_keys = OFF; \
             PRAGMA cache_size = -{CACHE_KIB};"
        );
        let made = store.connection.execute_batch(&pragmas);
        made.map_err(StoreError::sqlite(&store.path, failed))?;
        Ok(store)
    }

    /// Opens a file that is there, to read from it. It may be read-only.
    ///
    /// # Errors
    /// If it is not there, cannot be read, or is no run database of this version.
    pub fn open_to_read(path: &Path) -> Result<Store, StoreError> {
        if !path.exists() {
            return Err(StoreError::Missing(path.to_owned()));
        }
        check_kind(path)?;
        // Somebody else's file: SQLite would leave files of ours beside it, which its owner could not write to.
        let foreign = File::options().write(true).open(path).is_err();
        let mut store = match foreign {
            true if !has_log(path) => Store::connect_unchanging(path)?,
            true => Store::connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)?,
            false => Store::connect(
                path,
                OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
            )?,
        };
        let version = match store.check() {
            // Which of them it is depends on what of the folder and the files beside it we may write.
            Err(StoreError::Sqlite { error, .. })
                if matches!(
                    error.sqlite_error_code(),
                    Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly | ErrorCode::PermissionDenied)
                ) =>
            {
                store = Store::connect_unchanging(path)?;
                store.check()?
            }
            version => version?,
        };
        if version < VERSION {
            let failed = StoreError::sqlite(path, "cannot be read");
            if store.connection.is_readonly("main").map_err(failed)? {
                return Err(StoreError::ReadOnly(path.to_owned()));
            }
            store.migrate()?;
        }
        Ok(store)
    }

    fn connect(path: &Path, flags: OpenFlags) -> Result<Store, StoreError> {
        let failed = || StoreError::sqlite(path, "cannot be opened");
        let connection = Connection::open_with_flags(path, flags).map_err(failed())?;
        connection
            .busy_timeout(Duration::from_secs(BUSY_SECS))
            .map_err(failed())?;
        // The file may be a stranger's (`runs import`): nothing that its schema names is run with more rights than a query.
        let pragmas = "PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON;";
        connection.execute_batch(pragmas).map_err(failed())?;
        connection.set_prepared_statement_cache_capacity(64);
        Ok(Store {
            connection,
            path: path.to_owned(),
        })
    }

    /// A file in a place where nothing can be written: SQLite cannot make its files beside it, nor can anybody else. What
    /// is in a write-ahead log could not be read like this; then there is an error.
    fn connect_unchanging(path: &Path) -> Result<Store, StoreError> {
        if has_log(path) {
            return Err(StoreError::Log(path.to_owned()));
        }
        let mut uri = String::from("file:");
        for octet in path.as_os_str().as_encoded_bytes() {
            match octet {
                b'/' | b'.' | b'-' | b'_' | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => uri.push(char::from(*octet)),
                octet => uri.push_str(&format!("%{octet:02x}")),
            }
        }
        uri.push_str("?immutable=1");
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
        let mut store = Store::connect(Path::new(&uri), flags)?;
        store.path = path.to_owned();
        Ok(store)
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Another connection to the same file.
    ///
    /// # Errors
    /// As [`open`](Store::open).
    pub fn again(&self) -> Result<Store, StoreError> {
        Store::open(&self.path)
    }

    /// Tells our files from others, and a whole one from a stump. The version; 0 if it is empty.
    fn check(&self) -> Result<i64, StoreError> {
        let path = &self.path;
        let number = |pragma: &str| {
            let query = self.connection.query_row(pragma, [], |row| row.get::<_, i64>(0));
            query.map_err(StoreError::sqlite(path, "cannot be read"))
        };
        let version = number("PRAGMA user_version")?;
        let ours = number("PRAGMA application_id")? == APPLICATION_ID;
        let empty = number("SELECT count(*) FROM sqlite_schema")? == 0;
        if !ours && (!empty || version != 0) {
            return Err(StoreError::NotOurs(path.clone()));
        }
        // We make neither; in a stranger's file they would run as we read and write.
        let code = number("SELECT count(*) FROM sqlite_schema WHERE type IN ('view', 'trigger')")?;
        if code > 0 {
            return Err(StoreError::damaged(
                path,
                "it has views or triggers, and ours have none",
            ));
        }
        if version > VERSION {
            return Err(StoreError::Newer {
                path: path.clone(),
                found: version,
                known: VERSION,
            });
        }
        // Pages that are only in the write-ahead log are no loss.
        let pages = number("PRAGMA page_count")?.unsigned_abs() * number("PRAGMA page_size")?.unsigned_abs();
        let size = |path: &Path| fs::metadata(path).map_or(0, |metadata| metadata.len());
        let (log, file) = (size(&beside(path, "-wal")), size(path));
        if log == 0 && file < pages && version > 0 {
            let what = format!("it has {file} of {pages} octets");
            return Err(StoreError::damaged(path, what));
        }
        Ok(version)
    }

    /// Brings the file to today's version. Two processes may try at once: the second finds it done.
    fn migrate(&mut self) -> Result<(), StoreError> {
        let failed = || StoreError::sqlite(&self.path, "cannot be made or brought up to date");
        let version = |connection: &Connection| connection.query_row("PRAGMA user_version", [], |row| row.get(0));
        let mut found: i64 = version(&self.connection).map_err(failed())?;
        if found == VERSION {
            return Ok(());
        }
        if found == 0 {
            // Before the first table: so that room of runs that are removed can be given back.
            let pragma = "PRAGMA auto_vacuum = INCREMENTAL";
            self.connection.execute_batch(pragma).map_err(failed())?;
        }
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate);
        let transaction = transaction.map_err(failed())?;
        found = version(&transaction).map_err(failed())?;
        for step in STEPS.iter().skip(usize::try_from(found).unwrap_or(usize::MAX)) {
            transaction.execute_batch(step).map_err(failed())?;
        }
        if found < listed::SINCE {
            listed::fill(&transaction).map_err(failed())?;
        }
        let marks = format!("PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {VERSION};");
        transaction.execute_batch(&marks).map_err(failed())?;
        transaction.commit().map_err(failed())
    }
}

/// Says what is no file before SQLite calls it an error of the disk; a pipe it would wait for.
fn check_kind(path: &Path) -> Result<(), StoreError> {
    let Ok(metadata) = fs::metadata(path) else {
        return Ok(()); // it is not there, or opening it will say why
    };
    match metadata.file_type() {
        kind if kind.is_file() => Ok(()),
        kind if kind.is_dir() => Err(StoreError::NotAFile(path.to_owned(), "a folder")),
        _ => Err(StoreError::NotAFile(path.to_owned(), "a device, pipe or socket")),
    }
}

/// Whether a part of the file is in its write-ahead log.
fn has_log(path: &Path) -> bool {
    fs::metadata(beside(path, "-wal")).is_ok_and(|log| log.len() > 0)
}

/// The name of a file that stands beside another.
pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}
