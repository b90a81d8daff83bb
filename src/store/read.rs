//! The dossiers of a run out of the database, a tile at a time, in input order.

use std::collections::BTreeMap;

use rusqlite::OptionalExtension;

use crate::dnsxl::{Catalogue, ListIndex};
use crate::dossier::{Dossier, Doubt, Doubts, Standing};

use super::blob::read_dossiers;
use super::database::Store;
use super::error::StoreError;
use super::facts::{lists_of, retired_of};
use super::runs::RunId;

/// How a list of a run did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredList {
    /// It was healthy when the run began to ask it, or was not to be checked.
    pub usable: bool,
    /// Its record, as JSON.
    pub record: String,
}

/// A tile out of the database: its number, and its octets.
pub(super) struct Octets {
    pub(super) number: i64,
    pub(super) targets: Vec<u8>,
    pub(super) states: Vec<u8>,
    pub(super) details: Option<Vec<u8>>,
}

impl Store {
    /// What was known of a run's lists when it ran, in the order of its columns.
    ///
    /// # Errors
    /// If it cannot be read, or makes no sense.
    pub fn catalogue_of(&self, run: RunId) -> Result<Catalogue, StoreError> {
        let text = self.facts_of(run)?;
        lists_of(&text).ok_or_else(|| StoreError::damaged(&self.path, format!("the lists of run {run}")))
    }

    /// The lists that were known to be retired when a run was made, whether it had them or not.
    pub(super) fn retired_of(&self, run: RunId) -> Result<Vec<String>, StoreError> {
        Ok(retired_of(&self.facts_of(run)?))
    }

    fn facts_of(&self, run: RunId) -> Result<String, StoreError> {
        let query = "SELECT lists FROM facts WHERE id = (SELECT facts FROM runs WHERE id = ?1)";
        let found = self.connection.query_row(query, [run.0], |row| row.get(0));
        found.map_err(StoreError::sqlite(&self.path, "the lists of a run cannot be read"))
    }

    /// How each list of a run did, in the order of its columns; empty if no part of the run ended in order.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn lists_of(&self, run: RunId) -> Result<Vec<StoredList>, StoreError> {
        let failed = || StoreError::sqlite(&self.path, "the lists of a run cannot be read");
        let query = "SELECT usable, record FROM run_lists WHERE run = ?1 ORDER BY place";
        let mut statement = self.connection.prepare(query).map_err(failed())?;
        let lists = statement.query_map([run.0], |row| {
            Ok(StoredList {
                usable: row.get(0)?,
                record: row.get(1)?,
            })
        });
        lists.map_err(failed())?.collect::<Result<_, _>>().map_err(failed())
    }

    /// How each list's examination went, by its place; those that were not examined are not there.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn examinations(&self, run: RunId) -> Result<BTreeMap<usize, Standing>, StoreError> {
        let failed = || StoreError::sqlite(&self.path, "the lists of a run cannot be read");
        let query = "SELECT place, passed, fault FROM examinations WHERE run = ?1";
        let mut statement = self.connection.prepare(query).map_err(failed())?;
        let all = statement.query_map([run.0], |row| {
            let place: i64 = row.get(0)?;
            let standing = Standing {
                passed: row.get(1)?,
                fault: row.get(2)?,
            };
            Ok((usize::try_from(place).unwrap_or(usize::MAX), standing))
        });
        all.map_err(failed())?.collect::<Result<_, _>>().map_err(failed())
    }

    /// What of a run is in doubt, whose lists are `lists`.
    pub(super) fn doubts(&self, run: RunId, lists: &[ListIndex]) -> Result<Doubts, StoreError> {
        let failed = || StoreError::sqlite(&self.path, "what is in doubt of a run cannot be read");
        let query = "SELECT place, source FROM doubts WHERE run = ?1";
        let mut statement = self.connection.prepare(query).map_err(failed())?;
        let mut rows = statement.query([run.0]).map_err(failed())?;
        let mut doubts = Doubts::default();
        while let Some(row) = rows.next().map_err(failed())? {
            let list = |column: usize| {
                let place = row.get::<_, i64>(column).map_err(failed())?;
                let list = usize::try_from(place).ok().and_then(|place| lists.get(place));
                list.copied()
                    .ok_or_else(|| StoreError::damaged(&self.path, format!("a doubt about list {place} of run {run}")))
            };
            let (list, source) = (list(0)?, list(1)?);
            doubts.add(Doubt { list, source });
        }
        Ok(doubts)
    }

    /// Hands out the dossiers of a run in input order. Their lists are places in [`catalogue_of`](Store::catalogue_of). What
    /// is in doubt of them is taken back.
    ///
    /// # Errors
    /// If they cannot be read, or `take` fails.
    pub fn dossiers<E: From<StoreError>>(
        &self,
        run: RunId,
        mut take: impl FnMut(Dossier) -> Result<(), E>,
    ) -> Result<(), E> {
        let lists: Vec<ListIndex> = self.catalogue_of(run)?.indexed().map(|(index, _)| index).collect();
        let doubts = self.doubts(run, &lists)?;
        let mut behind = -1;
        while let Some(tile) = self.next_tile(run, behind)? {
            behind = tile.number;
            for dossier in self.dossiers_of(run, &tile, (&lists, &doubts))? {
                take(dossier)?;
            }
        }
        Ok(())
    }

    /// The first tile of a run behind a number.
    pub(super) fn next_tile(&self, run: RunId, behind: i64) -> Result<Option<Octets>, StoreError> {
        let failed = || StoreError::sqlite(&self.path, "a tile cannot be read");
        let query = "SELECT number, targets, states, details FROM tiles WHERE run = ?1 AND number > ?2 \
                     ORDER BY number LIMIT 1";
        let mut statement = self.connection.prepare_cached(query).map_err(failed())?;
        let tile = statement.query_row([run.0, behind], |row| {
            Ok(Octets {
                number: row.get(0)?,
                targets: row.get(1)?,
                states: row.get(2)?,
                details: row.get(3)?,
            })
        });
        tile.optional().map_err(failed())
    }

    /// A tile of a run.
    pub(super) fn tile(&self, run: RunId, number: i64) -> Result<Option<Octets>, StoreError> {
        Ok(self
            .next_tile(run, number.saturating_sub(1))?
            .filter(|tile| tile.number == number))
    }

    pub(super) fn dossiers_of(
        &self,
        run: RunId,
        tile: &Octets,
        (lists, doubts): (&[ListIndex], &Doubts),
    ) -> Result<Vec<Dossier>, StoreError> {
        let parts = (&tile.targets[..], &tile.states[..], tile.details.as_deref());
        let read = read_dossiers(parts, lists).map_err(|what| {
            let what = format!("tile {} of run {run}: {what}", tile.number);
            StoreError::damaged(&self.path, what)
        });
        let mut dossiers = read?;
        for dossier in &mut dossiers {
            doubts.take_back(dossier);
        }
        Ok(dossiers)
    }
}
