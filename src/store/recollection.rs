//! What runs before another one saw of its targets, for an audit: asked target by target, read block by block.
//!
//! Memory: the listings of one block.

use std::collections::HashMap;

use jiff::Timestamp;

use crate::dnsxl::{Catalogue, Observation};
use crate::dossier::{Dossier, Earlier};
use crate::targets::Target;

use super::database::Store;
use super::error::StoreError;
use super::listed::{Finder, block_of};
use super::runs::StoredRun;

/// What earlier runs saw.
#[derive(Debug)]
pub struct Recollection {
    store: Store,
    /// The runs, the oldest first.
    runs: Vec<StoredRun>,
    finder: Finder,
    /// The block that was read last, and its targets that were listed.
    block: Option<i64>,
    found: HashMap<Target, Vec<Earlier>>,
}

impl Recollection {
    /// Looks for the runs that began before another one and looked at a target that `covers` knows. Reads the targets of all
    /// of them.
    ///
    /// # Errors
    /// If they cannot be read.
    pub fn of(store: Store, before: &StoredRun, covers: impl Fn(&Target) -> bool) -> Result<Recollection, StoreError> {
        let mut runs = Vec::new();
        let earlier = |run: &StoredRun| run.id != before.id && run.started < before.started;
        for run in store.runs()?.into_iter().filter(earlier) {
            if store.looked_at(run.id, &covers)? {
                runs.push(run);
            }
        }
        runs.sort_by_key(|run| (run.started, run.id));
        Ok(Recollection {
            store,
            runs,
            finder: Finder::default(),
            block: None,
            found: HashMap::new(),
        })
    }

    /// When the runs began.
    pub fn moments(&self) -> Vec<Timestamp> {
        self.runs.iter().map(|run| run.started).collect()
    }

    /// What the runs saw of a target, a row a list. Quick if the target before was a neighbour.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn earlier(&mut self, target: &Target) -> Result<&[Earlier], StoreError> {
        let block = block_of(target);
        if self.block != Some(block) {
            self.block = None;
            self.found.clear();
            for run in &self.runs {
                self.finder.look(&self.store, run.id, block, |catalogue, dossier| {
                    if block_of(&dossier.target) == block {
                        add(&mut self.found, run.started, catalogue, &dossier);
                    }
                })?;
            }
            self.block = Some(block);
        }
        Ok(self.found.get(target).map_or(&[], Vec::as_slice))
    }
}

/// Takes in what a later run saw.
fn add(found: &mut HashMap<Target, Vec<Earlier>>, started: Timestamp, catalogue: &Catalogue, dossier: &Dossier) {
    for observed in &dossier.observations {
        let Observation::Listed(listing) = &observed.observation else {
            continue;
        };
        let list = &catalogue.list(observed.list).id;
        let all = found.entry(dossier.target.clone()).or_default();
        match all.iter_mut().find(|seen| seen.list == *list) {
            Some(seen) => {
                (seen.role, seen.tier) = (listing.role, listing.tier.min(seen.tier));
                seen.last_seen = started;
            }
            None => all.push(Earlier {
                list: list.clone(),
                role: listing.role,
                tier: listing.tier,
                first_seen: started,
                last_seen: started,
            }),
        }
    }
}
