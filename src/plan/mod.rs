//! What is to be asked of whom: lazy targets × lists, and why a thing is not asked.
//!
//! ```text
//! catalogue, targets, lists, keys ─▶ Plan (columns) ─▶ treatment of each (list, kind): ask · fold · local · not asked
//!                                      ▲ composites       ▲ zone data on disk
//! ```
//!
//! A [`Plan`] that exists can be carried out: keys are filled in, names prepared, zone data loaded. It holds nothing that
//! grows with the targets.

mod composites;
mod course;
mod estimate;
pub(crate) mod habits;
mod ledger;
mod local;
#[expect(clippy::module_inception, reason = "the file is named for the one thing it holds")]
mod plan;
pub(crate) mod pruning;
mod survey;
mod timing;
pub(crate) mod ways;

pub use estimate::{Bound, Estimate, LearntBy, Load, Paces, Related, Row, STRETCH};
pub use ledger::{LEASE_SPAN, Ledger, RunLedger, chunk_of};
pub use local::LocalList;
pub use plan::{Column, Keys, Plan, Treatment};
pub use ways::{Trip, Ways};
