//! What is wrong with a file: errors that end its loading and warnings that do not, each with file and line.

use std::fmt;

/// Warnings kept of one dataset; the rest is counted. A broken file of a million lines says all it has to say in a few.
pub const WARNINGS_MAX: usize = 32;

/// Late warnings that are held at a time.
const LATE_MAX: usize = 32 * WARNINGS_MAX;

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
    /// Lines of which it turned out at the end that something is wrong: some of the first, in no order.
    late: Vec<(u32, &'static str)>,
    /// How many of those there were.
    late_count: u64,
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
            late: Vec::new(),
            late_count: 0,
            ip4_range_max: 0,
        }
    }

    /// Notes on lines of the same file that somebody else reads, counted from 1.
    pub(super) fn beside(&self) -> Notes<'a> {
        Notes {
            ip4_range_max: self.ip4_range_max,
            ..Notes::new(self.file)
        }
    }

    /// Takes over notes on the lines that follow.
    pub(super) fn append(&mut self, following: Notes<'_>) {
        for mut complaint in following.warnings.kept {
            complaint.line += self.line;
            if self.warnings.kept.len() < WARNINGS_MAX {
                self.warnings.kept.push(complaint);
            } else {
                self.warnings.more += 1;
            }
        }
        self.warnings.more += following.warnings.more;
        self.line += following.line;
    }

    /// Remembers that something is wrong with a line that was read before.
    pub(super) fn warn_late(&mut self, line: u32, why: &'static str) {
        self.late_count += 1;
        self.late.push((line, why));
        if self.late.len() > LATE_MAX {
            self.late.sort_by_key(|late| late.0);
            self.late.truncate(WARNINGS_MAX);
        }
    }

    /// All warnings in the order of the lines; `lines` are those of the file.
    pub(super) fn finish<'t>(mut self, mut lines: impl Iterator<Item = &'t [u8]>) -> Warnings {
        self.late.sort_by_key(|late| late.0);
        self.late.truncate(WARNINGS_MAX);
        let count = self.warnings.count() + self.late_count;
        let (mut kept, mut passed, mut what) = (self.warnings.kept, 0, &b""[..]);
        for (line, why) in self.late {
            while passed < line {
                what = lines.next().unwrap_or_default();
                passed += 1;
            }
            kept.push(Complaint::new(self.file, line as usize, what, why));
        }
        kept.sort_by_key(|complaint| complaint.line);
        kept.truncate(WARNINGS_MAX);
        let more = count - kept.len() as u64;
        Warnings { kept, more }
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
