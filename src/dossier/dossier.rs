//! The dossier of a target: its observations, what the stages found, in one value that is judged, written and dropped.

use crate::dnsxl::{How, ListIndex, Observation};
use crate::stages::Finding;
use crate::targets::Target;

/// Everything known of one target.
#[derive(Debug, Clone, PartialEq)]
pub struct Dossier {
    /// Whose it is.
    pub target: Target,
    /// Why it is special-use space and was never asked about, if so (`private`, `loopback`, …).
    pub special_use: Option<&'static str>,
    /// One observation for each list of the run, in the order of the run's lists.
    pub observations: Vec<Observed>,
    /// What the stages recorded.
    pub stages: StageRecords,
    /// What the stages concluded.
    pub findings: Vec<Finding>,
    /// 1; more if a closed dossier had to be revised.
    pub revision: u32,
}

/// What is known of the target on one list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observed {
    /// The list.
    pub list: ListIndex,
    /// What is known.
    pub observation: Observation,
    /// How it was learnt.
    pub how: How,
}

/// The stages' records, each as the JSON that reports show under the stage's name (`rdns`, `mx`, `spf`, `dkim`, `dmarc`,
/// `asn`, `abuse`, `smtp`). Kept in the order in which the stages ran.
pub type StageRecords = Vec<(&'static str, serde_json::Value)>;

/// Observations counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
pub struct Counts {
    /// Lists of any role that have an entry.
    pub listed: u32,
    /// Lists that have none.
    pub not_listed: u32,
    /// Lists of which it is not known.
    pub unknown: u32,
    /// Lists that were not to be asked.
    pub not_asked: u32,
}

impl Dossier {
    /// Counts the observations.
    pub fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for observed in &self.observations {
            *match observed.observation {
                Observation::Listed(_) => &mut counts.listed,
                Observation::NotListed => &mut counts.not_listed,
                Observation::Unknown(_) => &mut counts.unknown,
                Observation::NotAsked(_) => &mut counts.not_asked,
            } += 1;
        }
        counts
    }
}
