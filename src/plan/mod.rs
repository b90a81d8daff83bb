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
mod estimate;
mod ledger;
mod local;
#[expect(clippy::module_inception, reason = "the file is named for the one thing it holds")]
mod plan;
pub(crate) mod pruning;

pub use estimate::{Bound, Estimate, Load, Paces, Row, Way};
pub use ledger::{LEASE_SPAN, Ledger, RunLedger, chunk_of};
pub use local::LocalList;
pub use plan::{Column, Keys, Plan, Treatment};
