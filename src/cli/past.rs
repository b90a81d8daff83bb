//! What earlier runs saw of an audited block, read from the run database as the block's addresses come by.
//!
//! A database that cannot be read any more is said once; then the audit has no history, rather than half of it.

use crate::cli::talk::talk;
use reputon::dnsxl::Catalogue;
use reputon::dossier::Dossier;
use reputon::report::visible;
use reputon::store::{Recollection, Store, StoreError, StoredRun};
use reputon::targets::Cover;
use reputon::verdict::{History, Past};

/// Counts what became of what earlier runs saw.
pub(crate) struct Memories {
    /// None: there were no earlier runs, or they cannot be read.
    past: Option<(Recollection, Past)>,
}

impl Memories {
    /// Looks for the runs before this one that looked at addresses of the block.
    pub(crate) fn of(store: Store, run: &StoredRun, block: &Cover) -> Memories {
        let past = match Recollection::of(store, run, |target| block.contains(target)) {
            Ok(recollection) => Past::new(&recollection.moments()).map(|past| (recollection, past)),
            Err(error) => {
                say(&error);
                None
            }
        };
        Memories { past }
    }

    /// Forgets what came by.
    pub(crate) fn start_over(&mut self) {
        if let Some((recollection, past)) = &mut self.past
            && let Some(fresh) = Past::new(&recollection.moments())
        {
            *past = fresh;
        }
    }

    /// Takes an address in.
    pub(crate) fn add(&mut self, catalogue: &Catalogue, dossier: &Dossier) {
        let Some((recollection, past)) = &mut self.past else {
            return;
        };
        match recollection.earlier(&dossier.target) {
            Ok(earlier) => past.add(catalogue, dossier, earlier),
            Err(error) => {
                say(&error);
                self.past = None;
            }
        }
    }

    /// What was counted; none if there were no earlier runs, or they could not be read.
    pub(crate) fn finish(self) -> Option<History> {
        self.past.map(|(_, past)| past.finish())
    }
}

fn say(error: &StoreError) {
    talk!("reputon: {}; the audit has no history", visible(&error.to_string()));
}
