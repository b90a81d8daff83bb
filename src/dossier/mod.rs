//! Everything known of one target: the dossier, made when its tile closes; the journal that keeps it; and what differs
//! between two runs.

mod difference;
#[expect(clippy::module_inception, reason = "the file is named for the one thing it holds")]
mod dossier;
mod doubts;
mod earlier;
mod journal;
mod tile;

pub use crate::stages::{Finding, Severity};
pub use difference::{CHANGES_MAX, Change, ChangeCounts, ChangeKind, Difference, ListChange, ListFate};
pub use dossier::{Counts, Dossier, Observed, StageRecords};
pub use doubts::{Doubt, Doubts, is_taken_back};
pub use earlier::Earlier;
pub use journal::{Journal, NoJournal, STAGES_CANCELLED, Standing, is_explained, is_open, is_unasked};
pub use tile::{Epoch, SecondChance, Tile, Voice};
