//! Everything known of one target: the dossier, made when its tile closes.

mod dossier;

pub use dossier::{Counts, Dossier, Finding, Observed, Severity, StageRecords};
