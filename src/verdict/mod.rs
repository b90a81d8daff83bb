//! From observations to a judgement: verdict, rating, confidence and reasons of one target, and the tally of a run with
//! its exit status.
//!
//! ```text
//! dossier ─▶ Judge ─▶ Judgement                       (what to think of one target)
//! dossier ─▶ Tally ─▶ Tallied ─▶ ExitStatus           (what to think of the run)
//! dossier ─▶ Audit ─▶ Audited                         (what to think of a block before buying it)
//! ```
//!
//! Pure functions of values: nothing here asks, writes or knows the time. Unknown never counts as clean: a target is
//! clean only when enough was learnt of it, and a run succeeds only when enough was learnt of all targets.

mod audit;
mod judge;
mod names;
mod past;
#[cfg(test)]
pub(crate) mod sample;
mod tally;

pub use audit::{Advice, Audit, Audited, BlockDensity, Density, Neighbour, Neighbours, Origin, Run};
pub use judge::{CLEAN_CONFIDENCE_MIN, Ground, Judge, Judgement, Verdict, Weights};
pub use names::{NamedDomain, Names};
pub use past::{History, Past, PastList};
pub use tally::{ExitStatus, NagiosStatus, Tallied, Tally};
