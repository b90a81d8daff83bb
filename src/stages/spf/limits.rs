//! The limits of one check (RFC 7208 §4.6.4), and the ways in which they and everything else end it.

use crate::stages::escape::quote;
use crate::wire::Name;

use super::outcome::{Problem, Verdict};

/// Terms that cause lookups (RFC 7208 §4.6.4).
pub(super) const LOOKUPS_MAX: u8 = 10;

/// Lookups that may find nothing (RFC 7208 §4.6.4).
pub(super) const VOIDS_MAX: u8 = 2;

/// Queries of one check: ten terms with ten hosts each and their own query, eleven records, eleven for the client's names
/// (looked up once), one explanation are 134. The bounds above keep to it; this one holds should they fail.
pub const QUERIES_MAX: usize = 134;

/// What one check has used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Used {
    /// Terms evaluated that cause lookups.
    pub(super) lookups: u8,
    /// Lookups of theirs that found nothing.
    pub(super) voids: u8,
    /// Questions asked.
    pub(super) queries: u16,
}

impl Used {
    /// Counts a term that causes lookups, before it is evaluated.
    pub(super) fn count_lookup(&mut self, at: &At<'_>, position: usize) -> Result<(), Stop> {
        if self.lookups == LOOKUPS_MAX {
            let text = format!("more than {LOOKUPS_MAX} terms that cause lookups");
            return Err(at.permerror(text, position));
        }
        self.lookups += 1;
        Ok(())
    }

    /// Counts a lookup of `name` that found nothing.
    pub(super) fn count_void(&mut self, at: &At<'_>, position: usize, name: &Name) -> Result<(), Stop> {
        self.voids += 1;
        if self.voids > VOIDS_MAX {
            let text = format!("more than {VOIDS_MAX} lookups that find nothing, the last one of {name}");
            return Err(at.permerror(text, position));
        }
        Ok(())
    }

    /// Counts a question, before it is asked.
    pub(super) fn count_query(&mut self, domain: &str) -> Result<(), Stop> {
        if usize::from(self.queries) >= QUERIES_MAX {
            let text = format!("more than {QUERIES_MAX} queries");
            return Err(Stop::new(Verdict::Permerror, text, domain, None));
        }
        self.queries += 1;
        Ok(())
    }
}

/// The end of the whole check, however deep it is in includes.
#[derive(Debug)]
pub(super) struct Stop {
    pub(super) verdict: Verdict,
    pub(super) problem: Problem,
}

impl Stop {
    pub(super) fn new(verdict: Verdict, text: String, domain: &str, position: Option<usize>) -> Stop {
        Stop {
            verdict,
            problem: Problem {
                text,
                domain: quote(domain.as_bytes()),
                position,
            },
        }
    }
}

/// Whose record is being evaluated.
#[derive(Debug)]
pub(super) struct At<'r> {
    pub(super) domain: &'r str,
}

impl At<'_> {
    /// "permerror" because of the term at `position`.
    pub(super) fn permerror(&self, text: impl Into<String>, position: usize) -> Stop {
        Stop::new(Verdict::Permerror, text.into(), self.domain, Some(position))
    }

    /// "temperror" because a lookup of the term at `position` failed.
    pub(super) fn temperror(&self, why: String, position: usize) -> Stop {
        Stop::new(Verdict::Temperror, why, self.domain, Some(position))
    }
}
