//! What is wrong with the input, where, and how to mend it.
//!
//! Text from the input may be hostile: it is shown cut short and escaped.

use std::fmt;

use crate::wire::NameError;

use super::input::{BAD_LINES_MAX, LINE_READ_MAX};
use super::parse::IP6_TARGETS_MAX;
use super::set::RUNS_MAX;

/// How many bad lines are shown; the others are counted. A screenful.
pub const ERRORS_SHOWN_MAX: usize = 20;

/// How many characters of a bad line are shown.
const SHOWN_CHARS_MAX: usize = 60;

/// Why something is not a target.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Why {
    /// Nothing there.
    #[error("empty")]
    Empty,
    /// What is before the slash is no address.
    #[error("not a prefix: there is no address before the slash")]
    PrefixBase,
    /// What is behind the slash is no length.
    #[error("a prefix length here is a number from 0 to {0}")]
    PrefixLength(u8),
    /// The address is not the first of its prefix.
    #[error("the address is not the first of the prefix")]
    HostBits,
    /// Too many IPv6 addresses.
    #[error(
        "more than {IP6_TARGETS_MAX} IPv6 addresses; give a prefix of /112 or longer, or --ip6-unit 64 to ask for one \
         address of each /64"
    )]
    Ip6Many,
    /// Too many IPv6 prefixes.
    #[error("more than {IP6_TARGETS_MAX} IPv6 /64s; give prefixes of /48 or longer")]
    Ip6UnitsMany,
    /// The end of a range is no address.
    #[error("not a range: there is no address behind the dash")]
    RangeEnd,
    /// From IPv4 to IPv6, or into or out of IPv4-mapped space.
    #[error("the ends of a range must both be IPv4 or both IPv6")]
    RangeMixed,
    /// The end is before the start.
    #[error("the range ends before it starts")]
    RangeReversed,
    /// An IPv6 address with a zone identifier (RFC 4007 §11).
    #[error("an address with an interface has no reputation")]
    Interface,
    /// Numbers and dots, but no address.
    #[error("not an IPv4 address: that is four numbers from 0 to 255, without leading zeros")]
    NotIp4,
    /// Colons, but no address.
    #[error("not an IPv6 address, and a name has no colon")]
    NotIp6,
    /// A character that no name has.
    #[error("a name has no {0:?}")]
    Character(char),
    /// Blanks inside.
    #[error("a target has no blank inside; write one a line")]
    Blank,
    /// Not good by IDNA (RFC 5891, UTS #46).
    #[error("not an internationalised domain name")]
    Idna,
    /// Labels or length.
    #[error("not a domain name: {0}")]
    Name(#[from] NameError),
    /// A name of one label.
    #[error("a domain has two labels or more; for a file write @FILE")]
    OneLabel,
    /// One target was wanted.
    #[error("more than one target")]
    Several,
    /// Not UTF-8.
    #[error("not UTF-8")]
    NotUtf8,
    /// UTF-16 by its byte order mark.
    #[error("UTF-16; save it as UTF-8")]
    Utf16,
    /// A line beyond the bound.
    #[error("a line too long to be a target")]
    LineLong,
    /// An input without line ends.
    #[error("no line end in {} MiB: this is no list of targets; reading stops here", LINE_READ_MAX >> 20)]
    LineEndless,
    /// An input of bad lines.
    #[error("{BAD_LINES_MAX} bad lines: this is no list of targets; reading stops here")]
    BadLines,
    /// A file that names other input.
    #[error("a file cannot name another input; give it as an argument")]
    Nested,
    /// Standard input named twice.
    #[error("standard input can be read once only")]
    StdinTwice,
    /// `@` without a name.
    #[error("no file name behind @")]
    NoFile,
    /// Reading failed.
    #[error("{0}")]
    Io(String),
    /// More than the set holds.
    #[error(
        "more than {RUNS_MAX} separate targets, which is what one run holds: write neighbours as prefixes or ranges, or \
         split the input and scan the parts one by one (`runs import` merges what they find)"
    )]
    Full,
}

/// Why something is not a target, and what may have been meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseError {
    /// Why.
    pub why: Why,
    /// What may have been meant: a good target, or a file to read.
    pub mend: Option<String>,
}

impl From<Why> for ParseError {
    fn from(why: Why) -> ParseError {
        ParseError { why, mend: None }
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.why.fmt(f)?;
        match &self.mend {
            Some(mend) => write!(f, "; did you mean {mend}?"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for ParseError {}

/// Where something stood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// The argument with this number, from 1.
    Argument(usize),
    /// The line with this number, from 1, of a file, or of `<stdin>`.
    Line(String, u64),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Argument(number) => write!(f, "argument {number}"),
            Place::Line(source, line) => write!(f, "{}:{line}", Shown(source)),
        }
    }
}

/// One thing wrong with the input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetError {
    /// Where.
    pub place: Place,
    /// The text that stood there.
    pub text: String,
    /// What is wrong with it.
    pub error: ParseError,
}

impl fmt::Display for TargetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.place)?;
        if !self.text.is_empty() {
            write!(f, "{}: ", Shown(&self.text))?;
        }
        self.error.fmt(f)
    }
}

/// All that is wrong with the input: the first [`ERRORS_SHOWN_MAX`], and how many more. Shown one a line.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TargetErrors {
    shown: Vec<TargetError>,
    more: u64,
    /// Why nothing more was read.
    left: Option<TargetError>,
}

impl TargetErrors {
    /// The first of them, in input order.
    pub fn shown(&self) -> &[TargetError] {
        &self.shown
    }

    /// The last of them, after which nothing was read, if there is one.
    pub fn last(&self) -> Option<&TargetError> {
        self.left.as_ref()
    }

    /// How many there are beside those shown.
    pub fn more(&self) -> u64 {
        self.more
    }

    pub(super) fn is_empty(&self) -> bool {
        self.shown.is_empty() && self.left.is_none()
    }

    pub(super) fn count(&self) -> u64 {
        self.shown.len() as u64 + self.more
    }

    /// Keeps the error for which nothing more is read.
    pub(super) fn left(&mut self, error: TargetError) {
        self.left = Some(error);
    }

    /// Keeps an error, or counts it; `make` is called only for those that are kept.
    pub(super) fn add(&mut self, make: impl FnOnce() -> TargetError) {
        if self.shown.len() < ERRORS_SHOWN_MAX {
            self.shown.push(make());
        } else {
            self.more += 1;
        }
    }
}

impl fmt::Display for TargetErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut lines: Vec<String> = self.shown.iter().map(TargetError::to_string).collect();
        if self.more > 0 {
            lines.push(format!("and {} more", self.more));
        }
        lines.extend(self.left.as_ref().map(TargetError::to_string));
        f.write_str(&lines.join("\n"))
    }
}

impl std::error::Error for TargetErrors {}

/// Text cut short, with controls and what is not printable escaped.
struct Shown<'a>(&'a str);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut chars = self.0.chars();
        for char in chars.by_ref().take(SHOWN_CHARS_MAX) {
            match char {
                '"' | '\'' | '\\' => write!(f, "{char}")?,
                other => write!(f, "{}", other.escape_debug())?,
            }
        }
        if chars.next().is_some() {
            f.write_str("…")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_text_is_cut_and_escaped() {
        let error = TargetError {
            place: Place::Line("a\x1b[2J".into(), 3),
            text: format!("\u{202e}{}", "x".repeat(500)),
            error: Why::NotUtf8.into(),
        };
        let shown = error.to_string();
        assert!(shown.starts_with("a\\u{1b}[2J:3: \\u{202e}xxx"), "{shown}");
        assert!(shown.ends_with("x…: not UTF-8"), "{shown}");
        assert!(shown.len() < 200);
    }

    #[test]
    fn errors_beyond_a_screenful_are_counted() {
        let mut errors = TargetErrors::default();
        for line in 1..=25 {
            errors.add(|| TargetError {
                place: Place::Line("f".into(), line),
                text: "?".into(),
                error: Why::Blank.into(),
            });
        }
        let text = errors.to_string();
        assert_eq!(text.lines().count(), ERRORS_SHOWN_MAX + 1);
        assert!(text.ends_with("\nand 5 more"));
    }
}
