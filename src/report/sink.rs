//! What a sink is, and what it is fed.

use std::io;

use crate::dnsxl::Catalogue;
use crate::dossier::{Difference, Dossier};
use crate::verdict::{Audited, Judgement};

use super::record::{ListRecord, RunRecord};

/// What is known when a run starts.
#[derive(Debug, Clone, Copy)]
pub struct RunHead {
    /// When it started.
    pub started: jiff::Timestamp,
}

/// A closed dossier and what is thought of it.
#[derive(Debug, Clone, Copy)]
pub struct Judged<'a> {
    /// The catalogue that the dossier's list indexes belong to.
    pub catalogue: &'a Catalogue,
    /// What is known.
    pub dossier: &'a Dossier,
    /// What is thought of it.
    pub judgement: &'a Judgement,
}

/// What is known when a run ends.
#[derive(Debug, Clone, Copy)]
pub struct RunEnd<'a> {
    /// The catalogue of the run.
    pub catalogue: &'a Catalogue,
    /// The run's own record.
    pub run: &'a RunRecord,
    /// One record for each list of the run, in the order of the catalogue.
    pub lists: &'a [ListRecord],
    /// What to think of the block, if the run is an audit.
    pub audit: Option<&'a Audited>,
    /// What changed since an earlier run, if there is one to compare with.
    pub changes: Option<&'a Difference>,
}

/// Where a run's results go: `begin` once, `target` for each dossier, `finish` once.
///
/// Every method fails only with the writer's own error. A broken pipe is such an error; what it means is the caller's.
pub trait Sink {
    /// Takes note of the start.
    ///
    /// # Errors
    /// If the writer fails.
    fn begin(&mut self, head: &RunHead) -> io::Result<()>;

    /// Takes a closed dossier.
    ///
    /// # Errors
    /// If the writer fails.
    fn target(&mut self, judged: &Judged<'_>) -> io::Result<()>;

    /// Writes what is left, and flushes.
    ///
    /// # Errors
    /// If the writer fails.
    fn finish(&mut self, end: &RunEnd<'_>) -> io::Result<()>;
}
