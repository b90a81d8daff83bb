//! One target through all runs: which lists had it, since when, and until when.

use jiff::Timestamp;

use crate::dnsxl::{Catalogue, Listing, Observation};
use crate::dossier::Dossier;
use crate::targets::Target;

use super::database::Store;
use super::error::StoreError;
use super::listed::{Finder, block_of};
use super::runs::{RunId, StoredRun};

/// A target on a list, over all runs that are kept.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Sighting {
    /// The list's id.
    pub list: String,
    /// The role of the last listing.
    pub role: String,
    /// The tier of the last listing.
    pub tier: String,
    /// The codes of the last listing.
    pub codes: Vec<String>,
    /// The first run that saw it.
    #[serde(serialize_with = "number")]
    pub first_run: RunId,
    /// When that began.
    #[serde(serialize_with = "date")]
    pub first_seen: Timestamp,
    /// The last run that saw it.
    #[serde(serialize_with = "number")]
    pub last_run: RunId,
    /// When that began.
    #[serde(serialize_with = "date")]
    pub last_seen: Timestamp,
    /// In how many runs it was seen.
    pub runs: u64,
}

/// What the newest run knows of a target.
#[derive(Debug)]
pub struct LastWord {
    /// The run.
    pub run: RunId,
    /// What was known of its lists.
    pub catalogue: Catalogue,
    /// What it knows.
    pub dossier: Dossier,
}

fn number<S: serde::Serializer>(run: &RunId, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_i64(run.0)
}

fn date<S: serde::Serializer>(moment: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&rfc3339(*moment))
}

/// RFC 3339 in UTC, whole seconds, as all records have it.
pub(super) fn rfc3339(moment: Timestamp) -> String {
    moment.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

impl Store {
    /// The lists that had a target, those that have it still or had it last first.
    ///
    /// # Errors
    /// If they cannot be read.
    pub fn history(&self, target: &Target) -> Result<Vec<Sighting>, StoreError> {
        let mut runs = self.runs()?;
        runs.sort_by_key(|run| (run.started, run.id));
        let mut finder = Finder::default();
        let mut sightings: Vec<Sighting> = Vec::new();
        for run in &runs {
            finder.look(self, run.id, block_of(target), |catalogue, dossier| {
                if dossier.target != *target {
                    return; // a neighbour
                }
                for observed in &dossier.observations {
                    if let Observation::Listed(listing) = &observed.observation {
                        add(&mut sightings, run, &catalogue.list(observed.list).id, listing);
                    }
                }
            })?;
        }
        sightings.sort_by(|a, b| b.last_seen.cmp(&a.last_seen).then_with(|| a.list.cmp(&b.list)));
        Ok(sightings)
    }

    /// What the newest run that had a target among theirs knows of it, with that run's lists; none if no run had it. Reads all
    /// targets of newer runs.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn last_word(&self, target: &Target) -> Result<Option<LastWord>, StoreError> {
        for run in self.runs()?.iter().rev() {
            if let Some(number) = self.tile_with(run.id, |one| one == target)?
                && let Some(tile) = self.tile(run.id, number)?
            {
                let catalogue = self.catalogue_of(run.id)?;
                let lists: Vec<_> = catalogue.indexed().map(|(index, _)| index).collect();
                let doubts = self.doubts(run.id, &lists)?;
                let dossiers = self.dossiers_of(run.id, &tile, (&lists, &doubts))?;
                let dossier = dossiers.into_iter().find(|dossier| dossier.target == *target);
                return Ok(dossier.map(|dossier| LastWord {
                    run: run.id,
                    catalogue,
                    dossier,
                }));
            }
        }
        Ok(None)
    }

    /// Whether a run closed a tile with such a target.
    pub(super) fn looked_at(&self, run: RunId, covers: impl Fn(&Target) -> bool) -> Result<bool, StoreError> {
        Ok(self.tile_with(run, covers)?.is_some())
    }

    /// The number of the first tile of a run with such a target.
    fn tile_with(&self, run: RunId, covers: impl Fn(&Target) -> bool) -> Result<Option<i64>, StoreError> {
        let failed = || StoreError::sqlite(&self.path, "the runs cannot be read");
        let query = "SELECT number, targets FROM tiles WHERE run = ?1";
        let mut statement = self.connection.prepare_cached(query).map_err(failed())?;
        let mut rows = statement.query([run.0]).map_err(failed())?;
        while let Some(row) = rows.next().map_err(failed())? {
            let octets: Vec<u8> = row.get(1).map_err(failed())?;
            let targets = super::blob::read_targets(&octets);
            let targets = targets.map_err(|what| StoreError::damaged(&self.path, what))?;
            if targets.iter().any(&covers) {
                return row.get(0).map(Some).map_err(failed());
            }
        }
        Ok(None)
    }
}

impl LastWord {
    /// Whether a list has the target now; none if the run does not know, or had not that list.
    pub fn is_listed(&self, list: &str) -> Option<bool> {
        let mut observations = self.dossier.observations.iter();
        let observed = observations.find(|observed| self.catalogue.list(observed.list).id == list)?;
        match observed.observation {
            Observation::Listed(_) => Some(true),
            Observation::NotListed => Some(false),
            Observation::Unknown(_) | Observation::NotAsked(_) => None,
        }
    }
}

/// Takes in what a later run saw.
fn add(sightings: &mut Vec<Sighting>, run: &StoredRun, list: &str, listing: &Listing) {
    let before = sightings.iter().position(|seen| seen.list == list);
    let before = before.map(|place| sightings.swap_remove(place));
    let (first_run, first_seen, runs) = match before {
        Some(before) => (before.first_run, before.first_seen, before.runs),
        None => (run.id, run.started, 0),
    };
    sightings.push(Sighting {
        list: list.to_owned(),
        role: listing.role.as_str().to_owned(),
        tier: listing.tier.as_str().to_owned(),
        codes: listing.codes.answers.iter().map(ToString::to_string).collect(),
        first_run,
        first_seen,
        last_run: run.id,
        last_seen: run.started,
        runs: runs + 1,
    });
}
