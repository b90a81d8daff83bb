//! Everything known of one target: the dossier, made when its tile closes.

mod dossier;

pub use crate::stages::{Finding, Severity};
pub use dossier::{Counts, Dossier, Observed, StageRecords};
