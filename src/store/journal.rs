//! The journal of one run in the database: closed tiles, gathered for a second at most and then written in one short
//! transaction, so that a kill loses no more than that and nobody else waits. How a list's examination went is written with
//! the tiles that rest on it; what is in doubt, at once.
//!
//! A run without a database may have a journal all the same, a *scratch* one: a file without a name, gone with the process,
//! of which SQLite holds a few megabytes in memory. What was pruned can be taken back only if it can be recalled.
//!
//! Bounds: [`BATCH_TILES`] tiles or [`BATCH_OCTETS`] wait. What fails how: the first write that fails is told to the
//! caller's ear, and nothing more is written; what was written stays as it is.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::{TransactionBehavior, params};

use crate::clock::{Instant, Span};
use crate::dnsxl::ListIndex;
use crate::dossier::{Dossier, Doubts, Journal, Standing};

use super::blob::{Blob, Encoder};
use super::database::Store;
use super::error::StoreError;
use super::listed;
use super::runs::RunId;

/// Tiles that wait to be written, at most.
const BATCH_TILES: usize = 64;

/// Octets that wait to be written, at most: tiles full of listings are large.
const BATCH_OCTETS: usize = 4 << 20;

/// How long a closed tile waits to be written, at most.
const BATCH_SPAN: Span = Span::from_secs(1);

/// Who is told of the failure that ends a journal or a ledger.
pub(super) type Ear = Box<dyn FnMut(&StoreError) + Send>;

/// The journal of a run.
pub struct RunJournal {
    store: Store,
    run: RunId,
    lists: Vec<ListIndex>,
    encoder: Encoder,
    waiting: Vec<Blob>,
    waiting_octets: usize,
    /// What earlier parts of the run found of the lists, by place.
    earlier: BTreeMap<usize, Standing>,
    /// What this part did.
    found: BTreeMap<usize, Standing>,
    /// Whose standing is to be written.
    restless: BTreeSet<usize>,
    oldest: Instant,
    /// The last tile that was ever closed.
    last: Option<u32>,
    /// What earlier parts of the run found to be in doubt.
    doubts: Doubts,
    failed: bool,
    ear: Ear,
}

impl RunJournal {
    /// Opens the journal of a run whose columns are `lists`. `ear` is told when it fails.
    ///
    /// # Errors
    /// If the database cannot be read or written to.
    pub fn open(
        store: Store,
        run: RunId,
        lists: Vec<ListIndex>,
        ear: impl FnMut(&StoreError) + Send + 'static,
    ) -> Result<RunJournal, StoreError> {
        let query = "SELECT max(number) FROM tiles WHERE run = ?1";
        let last: Option<i64> = store
            .connection
            .query_row(query, [run.0], |row| row.get(0))
            .map_err(StoreError::sqlite(&store.path, "the run cannot be read"))?;
        Ok(RunJournal {
            encoder: Encoder::new(lists.len()),
            earlier: store.examinations(run)?,
            doubts: store.doubts(run, &lists)?,
            found: BTreeMap::new(),
            restless: BTreeSet::new(),
            store,
            run,
            lists,
            waiting: Vec::new(),
            waiting_octets: 0,
            oldest: Instant::ZERO,
            last: last.and_then(|last| u32::try_from(last).ok()),
            failed: false,
            ear: Box::new(ear),
        })
    }

    /// The journal of a run that is kept nowhere. `ear` is told when it fails.
    ///
    /// # Errors
    /// If there is no room for temporary files.
    pub fn scratch(
        lists: Vec<ListIndex>,
        ear: impl FnMut(&StoreError) + Send + 'static,
    ) -> Result<RunJournal, StoreError> {
        RunJournal::open(Store::scratch()?, RunId(0), lists, ear)
    }

    /// Writes what waits; whether everything that was ever closed is written.
    pub fn finish(&mut self) -> bool {
        self.write();
        !self.failed
    }

    /// How a list stands over all parts of the run, by its place; none if it was never examined.
    pub fn standing(&self, place: usize) -> Option<Standing> {
        match (self.earlier.get(&place), self.found.get(&place)) {
            (Some(earlier), Some(found)) => Some(earlier.then(found)),
            (one, other) => one.or(other).cloned(),
        }
    }

    /// How many tiles of the run are written, and how many pairs of them are open.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn written(&self) -> Result<(u64, u64), StoreError> {
        self.store.written(self.run)
    }

    fn write(&mut self) {
        if self.failed || self.waiting.is_empty() && self.restless.is_empty() {
            return;
        }
        let restless = std::mem::take(&mut self.restless).into_iter();
        let standings: Vec<(usize, Standing)> = restless
            .filter_map(|place| Some((place, self.standing(place)?)))
            .collect();
        let written = self.store.write_tiles(self.run, &self.waiting, &standings);
        if let Err(error) = written {
            self.fail(&error);
        }
        self.waiting.clear();
        self.waiting_octets = 0;
    }

    fn fail(&mut self, error: &StoreError) {
        self.failed = true;
        (self.ear)(error);
    }

    fn read(&self, tile: u32) -> Result<Option<Vec<Dossier>>, StoreError> {
        let octets = self.store.tile(self.run, i64::from(tile))?;
        // What is in doubt is the scan's business: it says what it asked again.
        let lists = (&self.lists[..], &Doubts::default());
        let dossiers = octets.map(|octets| self.store.dossiers_of(self.run, &octets, lists));
        dossiers.transpose()
    }
}

impl Journal for RunJournal {
    fn recall(&mut self, tile: u32) -> Option<Vec<Dossier>> {
        if self.last.is_none_or(|last| tile > last) || self.failed {
            return None;
        }
        if self.waiting.iter().any(|blob| blob.number == tile) {
            self.write();
        }
        match self.read(tile) {
            Ok(dossiers) => dossiers,
            Err(error) => {
                self.fail(&error); // it is asked again
                None
            }
        }
    }

    fn examined(&mut self, list: ListIndex, standing: &Standing) {
        let Some(place) = self.lists.iter().position(|one| *one == list) else {
            return;
        };
        if self.found.get(&place) != Some(standing) {
            self.found.insert(place, standing.clone());
            self.restless.insert(place);
        }
    }

    fn add(&mut self, dossier: &Dossier) {
        if !self.failed {
            self.encoder.add(dossier);
        }
    }

    fn close(&mut self, now: Instant, tile: u32) {
        if self.failed {
            return;
        }
        if self.waiting.is_empty() {
            self.oldest = now;
        }
        let blob = self.encoder.close(tile);
        self.last = self.last.max(Some(tile));
        self.waiting_octets += blob.octets();
        self.waiting.push(blob);
        if self.waiting.len() >= BATCH_TILES || self.waiting_octets >= BATCH_OCTETS {
            self.write();
        }
    }

    fn turn(&mut self, now: Instant) -> Option<Instant> {
        if self.waiting.is_empty() {
            return None;
        }
        let due = self.oldest + BATCH_SPAN;
        if now >= due {
            self.write();
            return None;
        }
        Some(due)
    }

    fn doubt(&mut self, doubts: &Doubts) {
        if !self.failed
            && let Err(error) = self.store.write_doubts(self.run, doubts, &self.lists)
        {
            self.fail(&error);
        }
    }

    fn doubts(&self) -> Doubts {
        self.doubts.clone()
    }

    fn remembers(&self) -> bool {
        !self.failed
    }
}

impl Store {
    /// Writes tiles of a run, and how lists stand, in one transaction. A tile that is there already was partly open, and is
    /// replaced.
    pub(super) fn write_tiles(
        &mut self,
        run: RunId,
        tiles: &[Blob],
        standings: &[(usize, Standing)],
    ) -> Result<(), StoreError> {
        let failed = || StoreError::sqlite(&self.path, "the run cannot be written down");
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate);
        let transaction = transaction.map_err(failed())?;
        {
            let insert = "INSERT OR REPLACE INTO tiles (run, number, open, targets, states, details) \
                          VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
            let mut tile = transaction.prepare_cached(insert).map_err(failed())?;
            let mut listed = transaction.prepare_cached(listed::INSERT).map_err(failed())?;
            for (place, standing) in standings {
                let insert = "INSERT OR REPLACE INTO examinations (run, place, passed, fault) VALUES (?1, ?2, ?3, ?4)";
                let place = i64::try_from(*place).unwrap_or(i64::MAX);
                let mut insert = transaction.prepare_cached(insert).map_err(failed())?;
                insert
                    .execute(params![run.0, place, standing.passed, standing.fault])
                    .map_err(failed())?;
            }
            for blob in tiles {
                let values = params![run.0, blob.number, blob.open, blob.targets, blob.states, blob.details];
                tile.execute(values).map_err(failed())?;
            }
            let blocks = tiles
                .iter()
                .flat_map(|blob| blob.blocks.iter().map(|block| (*block, blob.number)));
            let mut rows: Vec<(i64, u32)> = blocks.collect();
            rows.sort_unstable(); // in the index's own order each of its pages is touched once
            for (block, number) in rows {
                listed.execute(params![run.0, block, number]).map_err(failed())?;
            }
        }
        transaction.commit().map_err(failed())
    }

    /// Writes down what is in doubt of a run, whose lists are `lists`.
    pub(super) fn write_doubts(&mut self, run: RunId, doubts: &Doubts, lists: &[ListIndex]) -> Result<(), StoreError> {
        let failed = || StoreError::sqlite(&self.path, "what is in doubt of the run cannot be written down");
        let place = |list: ListIndex| {
            let place = lists.iter().position(|one| *one == list);
            place.map(|place| place as i64) // fewer than 65,536 lists
        };
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate);
        let transaction = transaction.map_err(failed())?;
        for doubt in doubts.iter() {
            let insert = "INSERT OR IGNORE INTO doubts (run, place, source) VALUES (?1, ?2, ?3)";
            let values = params![run.0, place(doubt.list), place(doubt.source)];
            transaction.execute(insert, values).map_err(failed())?;
        }
        transaction.commit().map_err(failed())
    }

    /// How many tiles of a run are written, and how many pairs of them are open.
    pub(super) fn written(&self, run: RunId) -> Result<(u64, u64), StoreError> {
        let query = "SELECT count(*), coalesce(sum(open), 0) FROM tiles WHERE run = ?1";
        let found = self
            .connection
            .query_row(query, [run.0], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?)));
        let (tiles, open) = found.map_err(StoreError::sqlite(&self.path, "the run cannot be read"))?;
        Ok((tiles.unsigned_abs(), open.unsigned_abs()))
    }
}
