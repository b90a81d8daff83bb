//! One target through all runs: which lists had it, since when, and until when.

use jiff::Timestamp;

use crate::dnsxl::{Role, Tier};
use crate::dossier::Earlier;
use crate::targets::Target;

use super::database::Store;
use super::error::StoreError;
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
        let failed = || StoreError::sqlite(&self.path, "the history of a target cannot be read");
        let query = "SELECT names.list, role, tier, codes, run, started FROM listings \
                     JOIN names ON names.id = listings.list JOIN runs ON runs.id = run \
                     WHERE target = ?1 ORDER BY names.list, started, run";
        let mut statement = self.connection.prepare(query).map_err(failed())?;
        let mut rows = statement.query([target.to_string()]).map_err(failed())?;
        let mut sightings: Vec<Sighting> = Vec::new();
        while let Some(row) = rows.next().map_err(failed())? {
            let text = |column: usize| row.get::<_, String>(column).map_err(failed());
            let started: Timestamp = text(5)?
                .parse()
                .map_err(|error| StoreError::damaged(&self.path, format!("the date of a run: {error}")))?;
            let run = RunId(row.get(4).map_err(failed())?);
            let list = text(0)?;
            let seen = Sighting {
                role: text(1)?,
                tier: text(2)?,
                codes: text(3)?.split(' ').map(str::to_owned).collect(),
                first_run: run,
                first_seen: started,
                last_run: run,
                last_seen: started,
                runs: 1,
                list,
            };
            match sightings.last_mut().filter(|last| last.list == seen.list) {
                Some(last) => {
                    *last = Sighting {
                        first_run: last.first_run,
                        first_seen: last.first_seen,
                        runs: last.runs + 1,
                        ..seen
                    }
                }
                None => sightings.push(seen),
            }
        }
        sightings.sort_by(|a, b| b.last_seen.cmp(&a.last_seen).then_with(|| a.list.cmp(&b.list)));
        Ok(sightings)
    }

    /// What the runs that began before another one saw of a target, a row a list.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn earlier(&self, target: &Target, before: &StoredRun) -> Result<Vec<Earlier>, StoreError> {
        let failed = || StoreError::sqlite(&self.path, "the history of a target cannot be read");
        let query = "SELECT names.list, role, tier, started FROM listings \
                     JOIN names ON names.id = listings.list JOIN runs ON runs.id = run \
                     WHERE target = ?1 AND run <> ?2 ORDER BY names.list, started, run";
        let mut statement = self.connection.prepare_cached(query).map_err(failed())?;
        let mut rows = statement
            .query(rusqlite::params![target.to_string(), before.id.0])
            .map_err(failed())?;
        let mut all: Vec<Earlier> = Vec::new();
        while let Some(row) = rows.next().map_err(failed())? {
            let text = |column: usize| row.get::<_, String>(column).map_err(failed());
            let (list, role, tier) = (text(0)?, text(1)?, text(2)?);
            let damaged = |what: String| StoreError::damaged(&self.path, what);
            let started: Timestamp = text(3)?
                .parse()
                .map_err(|error| damaged(format!("the date of a run: {error}")))?;
            if started >= before.started {
                continue;
            }
            let seen = Earlier {
                role: [Role::Block, Role::Info, Role::Allow]
                    .into_iter()
                    .find(|one| one.as_str() == role)
                    .ok_or_else(|| damaged(format!("a listing with the role {role}")))?,
                tier: [Tier::A, Tier::B, Tier::C, Tier::W]
                    .into_iter()
                    .find(|one| one.as_str() == tier)
                    .ok_or_else(|| damaged(format!("a listing of tier {tier}")))?,
                first_seen: started,
                last_seen: started,
                list,
            };
            match all.last_mut().filter(|last| last.list == seen.list) {
                Some(last) => {
                    (last.role, last.tier) = (seen.role, last.tier.min(seen.tier));
                    last.last_seen = last.last_seen.max(started);
                }
                None => all.push(seen),
            }
        }
        Ok(all)
    }

    /// When the runs began that looked, before another one began, at a target that `covers` knows. Reads the targets of all of
    /// them.
    ///
    /// # Errors
    /// If they cannot be read.
    pub fn runs_over(
        &self,
        before: &StoredRun,
        covers: impl Fn(&Target) -> bool,
    ) -> Result<Vec<Timestamp>, StoreError> {
        let mut moments = Vec::new();
        let earlier = |run: &StoredRun| run.id != before.id && run.started < before.started;
        for run in self.runs()?.into_iter().filter(earlier) {
            if self.looked_at(run.id, &covers)? {
                moments.push(run.started);
            }
        }
        Ok(moments)
    }

    /// The runs that had a target among theirs: the newest `most`, by the tiles that they closed. Reads all their targets.
    ///
    /// # Errors
    /// If they cannot be read.
    pub fn runs_with(&self, target: &Target, most: usize) -> Result<Vec<RunId>, StoreError> {
        let mut found = Vec::new();
        for run in self.runs()?.iter().rev() {
            if self.looked_at(run.id, |one| one == target)? {
                found.push(run.id);
            }
            if found.len() == most {
                break;
            }
        }
        Ok(found)
    }

    /// Whether a run closed a tile with such a target.
    fn looked_at(&self, run: RunId, covers: impl Fn(&Target) -> bool) -> Result<bool, StoreError> {
        let failed = || StoreError::sqlite(&self.path, "the runs cannot be read");
        let query = "SELECT targets FROM tiles WHERE run = ?1";
        let mut statement = self.connection.prepare_cached(query).map_err(failed())?;
        let mut rows = statement.query([run.0]).map_err(failed())?;
        while let Some(row) = rows.next().map_err(failed())? {
            let octets: Vec<u8> = row.get(0).map_err(failed())?;
            let targets = super::blob::read_targets(&octets);
            let targets = targets.map_err(|what| StoreError::damaged(&self.path, what))?;
            if targets.iter().any(&covers) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
