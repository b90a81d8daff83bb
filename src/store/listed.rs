//! Which tiles of a run have listings of a target: what a history starts from.
//!
//! Every scan pays for this index and few questions need it, so it says little: for each *block* of neighbours (a /24, a
//! /64, one name) the tiles in which one of them is listed. The rest is read from the tile. It is in the order of runs: a
//! run writes to pages of its own, however many there were before, and is removed in one piece.
//!
//! A block is a number: that of a /24, the first half of an IPv6 address, FNV-1a of a name. Two blocks may share one: what
//! a tile says counts. A file of before this index was there gets it from its tiles ([`fill`]).

use std::collections::HashMap;
use std::sync::Arc;

use rusqlite::{Connection, params};

use crate::dnsxl::Catalogue;
use crate::dossier::{Dossier, Doubts};
use crate::targets::Target;

use super::blob::read_blocks;
use super::database::Store;
use super::error::StoreError;
use super::runs::RunId;

/// The version of the file that came with this index.
pub(super) const SINCE: i64 = 5;

/// Puts a row into the index.
pub(super) const INSERT: &str = "INSERT OR IGNORE INTO listed (run, block, number) VALUES (?1, ?2, ?3)";

/// The block of a target.
pub(super) fn block_of(target: &Target) -> i64 {
    const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
    const FNV_PRIME: u64 = 0x0100_0000_01b3;
    match target {
        Target::Ip4(address) => i64::from(address.to_bits() >> 8),
        Target::Ip6(address) => (address.to_bits() >> 64) as i64, // the same 64 bits
        Target::Domain(domain) => {
            let octets = domain.as_str().bytes();
            octets.fold(FNV_OFFSET, |hash, octet| {
                (hash ^ u64::from(octet)).wrapping_mul(FNV_PRIME)
            }) as i64 // the same 64 bits
        }
    }
}

/// Makes the index of a file that has none. Tiles that make no sense are left to who reads them.
pub(super) fn fill(connection: &Connection) -> rusqlite::Result<()> {
    // A listing has details.
    let query = "SELECT run, number, targets, states FROM tiles WHERE details IS NOT NULL ORDER BY run, number";
    let mut tiles = connection.prepare(query)?;
    let mut insert = connection.prepare(INSERT)?;
    let mut rows = tiles.query([])?;
    while let Some(row) = rows.next()? {
        let (run, number): (i64, i64) = (row.get(0)?, row.get(1)?);
        let (targets, states): (Vec<u8>, Vec<u8>) = (row.get(2)?, row.get(3)?);
        for block in read_blocks(&targets, &states).unwrap_or_default() {
            insert.execute(params![run, block, number])?;
        }
    }
    Ok(())
}

/// Reads the tiles that have listings of a block. Keeps what was known of the lists, which most runs share.
#[derive(Debug, Default)]
pub(super) struct Finder {
    catalogues: HashMap<i64, Arc<Catalogue>>,
}

impl Finder {
    /// Hands out the dossiers of a run's tiles that have listings in a block, those of other blocks among them.
    pub(super) fn look(
        &mut self,
        store: &Store,
        run: RunId,
        block: i64,
        mut take: impl FnMut(&Catalogue, Dossier),
    ) -> Result<(), StoreError> {
        let failed = || StoreError::sqlite(&store.path, "the history of a target cannot be read");
        let query = "SELECT number FROM listed WHERE run = ?1 AND block = ?2 ORDER BY number";
        let mut statement = store.connection.prepare_cached(query).map_err(failed())?;
        let numbers = statement
            .query_map([run.0, block], |row| row.get(0))
            .map_err(failed())?;
        let numbers: Vec<i64> = numbers.collect::<Result<_, _>>().map_err(failed())?;
        // No listing is in doubt: it was not pruned.
        for number in numbers {
            let Some(tile) = store.tile(run, number)? else {
                continue; // removed just now
            };
            let catalogue = self.catalogue(store, run)?;
            let lists: Vec<_> = catalogue.indexed().map(|(index, _)| index).collect();
            for dossier in store.dossiers_of(run, &tile, (&lists, &Doubts::default()))? {
                take(&catalogue, dossier);
            }
        }
        Ok(())
    }

    fn catalogue(&mut self, store: &Store, run: RunId) -> Result<Arc<Catalogue>, StoreError> {
        let query = "SELECT facts FROM runs WHERE id = ?1";
        let facts = store.connection.query_row(query, [run.0], |row| row.get(0));
        let facts = facts.map_err(StoreError::sqlite(&store.path, "the lists of a run cannot be read"))?;
        if let Some(catalogue) = self.catalogues.get(&facts) {
            return Ok(catalogue.clone());
        }
        let catalogue = Arc::new(store.catalogue_of(run)?);
        self.catalogues.insert(facts, catalogue.clone());
        Ok(catalogue)
    }
}
