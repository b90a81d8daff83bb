//! The journal of a run: closed tiles are kept in it, so that a run that was cut off goes on where it was.
//!
//! ```text
//! examination ─▶ examined(list)   (before the first tile with its answers closes)
//! tile opens  ─▶ recall(tile) ─▶ what is known of it is settled, only the rest is asked
//! tile closes ─▶ add(dossier) × its targets ─▶ close(tile)
//! every turn  ─▶ turn(now): what was closed is written down in short transactions
//! a denial that proves false ─▶ doubt(doubts), before anything else ─▶ recall(tile), add and close once more
//! ```
//!
//! A journal never fails towards the scan: one that cannot write any more says so at its own door, and the scan goes on
//! without it. Pairs that ended as [`Cause::OverBudget`] or [`Cause::Cancelled`] are *open*: another day knows more.

use crate::clock::Instant;
use crate::dnsxl::{Cause, ListIndex, Observation};
use crate::stages::Finding;

use super::dossier::Dossier;
use super::doubts::Doubts;

/// The code of the finding that says that a target's stages were cut off when the run was stopped.
pub const STAGES_CANCELLED: &str = "stages_cancelled";

/// Keeps closed tiles.
pub trait Journal {
    /// The dossiers of a tile that was closed, by an earlier part of this run or by this one, in the tile's order; none if it
    /// is to be asked whole. Open pairs among them are to be asked again.
    fn recall(&mut self, tile: u32) -> Option<Vec<Dossier>>;

    /// How a list's examination went, and what became of it since; the last word counts.
    fn examined(&mut self, list: ListIndex, standing: &Standing);

    /// Takes the next dossier of the tile that closes.
    fn add(&mut self, dossier: &Dossier);

    /// The tile whose dossiers were just added is closed.
    fn close(&mut self, now: Instant, tile: u32);

    /// Writes down what is due; says when there is more to do, if there is.
    fn turn(&mut self, now: Instant) -> Option<Instant>;

    /// Writes down at once what is in doubt by now: whatever becomes of this part of the run, a later one knows.
    fn doubt(&mut self, doubts: &Doubts);

    /// What earlier parts of the run wrote down as in doubt.
    fn doubts(&self) -> Doubts;

    /// Whether all tiles that were closed can be recalled.
    fn remembers(&self) -> bool;
}

/// How a list of a run stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// It passed its examination before it was used.
    pub passed: bool,
    /// What is wrong with it, since then or since later: the word of the records.
    pub fault: Option<String>,
}

impl Standing {
    /// The standing over two parts of a run. What failed at the start of a part stays, because pairs that closed then are
    /// unknown for that; else the later part's word counts.
    pub fn then(&self, later: &Standing) -> Standing {
        let fault = match self.passed {
            true => later.fault.clone(),
            false => later.fault.clone().or_else(|| self.fault.clone()),
        };
        Standing {
            passed: self.passed && later.passed,
            fault,
        }
    }
}

/// Keeps nothing: for runs without a database.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoJournal;

impl Journal for NoJournal {
    fn recall(&mut self, _: u32) -> Option<Vec<Dossier>> {
        None
    }

    fn examined(&mut self, _: ListIndex, _: &Standing) {}

    fn add(&mut self, _: &Dossier) {}

    fn close(&mut self, _: Instant, _: u32) {}

    fn turn(&mut self, _: Instant) -> Option<Instant> {
        None
    }

    fn doubt(&mut self, _: &Doubts) {}

    fn doubts(&self) -> Doubts {
        Doubts::default()
    }

    fn remembers(&self) -> bool {
        false
    }
}

/// Whether a pair that ended like this is to be asked again when the run goes on.
pub fn is_open(observation: &Observation) -> bool {
    match observation {
        Observation::Listed(listing) => listing.reason_cut,
        other => is_unasked(other),
    }
}

/// Whether a pair is unknown because it could not be asked in this part of the run.
pub fn is_unasked(observation: &Observation) -> bool {
    matches!(observation, Observation::Unknown(Cause::OverBudget | Cause::Cancelled))
}

/// Whether the stages of a target were not cut off: else they are run again when the run goes on.
pub fn is_explained(findings: &[Finding]) -> bool {
    findings.iter().all(|finding| finding.code != STAGES_CANCELLED)
}
