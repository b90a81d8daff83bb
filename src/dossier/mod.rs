//! Everything known of one target: the dossier, made when its tile closes.

#[expect(clippy::module_inception, reason = "the file is named for the one thing it holds")]
mod dossier;
mod tile;

pub use crate::stages::{Finding, Severity};
pub use dossier::{Counts, Dossier, Observed, StageRecords};
pub use tile::{Epoch, SecondChance, Tile, Voice};
