//! What is to be asked of whom: lazy targets × lists, and why a thing is not asked.
//!
//! A [`Plan`] that exists can be carried out: keys are filled in, names prepared. It holds nothing that grows with the
//! targets.

mod ledger;
#[expect(clippy::module_inception, reason = "the file is named for the one thing it holds")]
mod plan;

pub use ledger::{LEASE_SPAN, Ledger, RunLedger, chunk_of};
pub use plan::{Column, Keys, Plan, Treatment};
