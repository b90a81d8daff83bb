//! What is wrong with a file: errors that end its loading and warnings that do not, each with file and line.

use std::fmt;

/// Warnings kept of one dataset; the rest is counted. A broken file of a million lines says all it has to say in a few.
pub const WARNINGS_MAX: usize = 32;

/// Octets of the offending text that are shown.
const EXCERPT_OCTETS_MAX: usize = 60;

/// A line of a file and what is wrong with it. Shown as `file:line: what: why`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Complaint {
    /// The file's name.
    pub file: String,
    /// The line, counted from 1.
    pub line: usize,
    /// The text in question, cut short and with everything but printable ASCII escaped.
    pub what: String,
    /// What is wrong with it.
    pub why: &'static str,
}

/// A line that was left out, or taken in part.
pub type Warning = Complaint;

impl Complaint {
    /// A complaint about `what`, a piece of the line.
    pub(super) fn new(file: &str, line: usize, what: &[u8], why: &'static str) -> Complaint {
        let cut = &what[..what.len().min(EXCERPT_OCTETS_MAX)];
        Complaint {
            file: file.to_owned(),
            line,
            what: cut.escape_ascii().to_string(),
            why,
        }
    }
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}: {}", self.file, self.line, self.what, self.why)
    }
}

/// Why a file gave no dataset.
#[derive(Debug, thiserror::Error)]
pub enum ZoneFileError {
    /// It could not be read.
    #[error("{file}: cannot be read: {source}")]
    Unreadable {
        /// The file's name.
        file: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// It has a line for which rbldnsd refuses the whole file.
    #[error("{0}")]
    Refused(Complaint),
}

/// The warnings of a dataset: the first [`WARNINGS_MAX`], and how many more there were.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Warnings {
    /// The first ones, in the order of the lines.
    pub kept: Vec<Warning>,
    /// How many more there were.
    pub more: u64,
}

impl Warnings {
    /// Whether there was none.
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    /// How many there were in all.
    pub fn count(&self) -> u64 {
        self.kept.len() as u64 + self.more
    }
}

/// Where the reader is, and what it had to say so far.
#[derive(Debug)]
pub(super) struct Notes<'a> {
    /// The file's name.
    pub(super) file: &'a str,
    /// The line, counted from 1.
    pub(super) line: usize,
    /// What was said.
    pub(super) warnings: Warnings,
    /// The largest range of IPv4 addresses that is taken (`$MAXRANGE4`); 0: any.
    pub(super) ip4_range_max: u32,
}

impl<'a> Notes<'a> {
    /// Notes on a file that is about to be read.
    pub(super) fn new(file: &'a str) -> Notes<'a> {
        Notes {
            file,
            line: 0,
            warnings: Warnings::default(),
            ip4_range_max: 0,
        }
    }

    /// Remembers that something is wrong with the line.
    pub(super) fn warn(&mut self, what: &[u8], why: &'static str) {
        if self.warnings.kept.len() < WARNINGS_MAX {
            self.warnings.kept.push(Complaint::new(self.file, self.line, what, why));
        } else {
            self.warnings.more += 1;
        }
    }

    /// The error for a line that spoils the whole file.
    pub(super) fn refuse(&self, what: &[u8], why: &'static str) -> ZoneFileError {
        ZoneFileError::Refused(Complaint::new(self.file, self.line, what, why))
    }
}
