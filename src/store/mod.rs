//! The run database: what runs learnt, so that an interrupted one goes on, a finished one is reported again, two are
//! compared, and operators' daily budgets hold across all of them.
//!
//! ```text
//! scan ─▶ RunJournal (Journal: closed tiles) ─┐
//!      ─▶ StoreLedger (Ledger: leases) ───────┼─▶ one SQLite file, WAL, short transactions
//! cli  ─▶ Store (runs, reports, differences) ─┘
//! ```
//!
//! One blob of states and one of details a tile, and where to look for listings of a target: `schema` has the tables,
//! `blob` the octets, `listed` the blocks. Several
//! processes share a file: every write is a transaction of milliseconds, and who finds it locked waits for
//! [`BUSY_SECS`]. A run that is being worked on is held by a lock of its own (`lock`), which dies with its process.
//!
//! What fails how: a file that cannot be opened, is no database, of a newer version or damaged is an error that names it
//! and the mend. Journal and ledger that fail in mid-run tell it once and go on without the file.

mod blob;
mod compare;
mod database;
mod error;
mod facts;
mod history;
mod import;
mod journal;
mod ledger;
mod listed;
mod lock;
mod reached;
mod read;
mod recollection;
mod runs;
mod schema;
#[cfg(test)]
mod tests;

pub use compare::compare;
pub use database::{BUSY_SECS, Store};
pub use error::StoreError;
pub use facts::{lists_of, write_facts};
pub use history::{LastWord, Sighting};
pub use import::Imported;
pub use journal::RunJournal;
pub use ledger::StoreLedger;
pub use lock::RunLock;
pub use reached::Reached;
pub use read::StoredList;
pub use recollection::Recollection;
pub use runs::{NewRun, PlanFacts, RunId, StoredRun, targets_of};
