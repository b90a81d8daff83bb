//! What earlier runs saw of an audited block, read from the run database as the block's addresses come by.
//!
//! A database that cannot be read any more is said once; then the audit has no history, rather than half of it.

use jiff::Timestamp;
use reputon::dnsxl::Catalogue;
use reputon::dossier::Dossier;
use reputon::report::visible;
use reputon::store::{Store, StoreError, StoredRun};
use reputon::targets::Cover;
use reputon::verdict::{History, Past};

/// Counts what became of what earlier runs saw.
pub(crate) struct Memories {
    store: Store,
    /// The run that is audited.
    run: StoredRun,
    /// When the runs before it began.
    runs: Vec<Timestamp>,
    /// None: there were no earlier runs, or they cannot be read.
    past: Option<Past>,
}

impl Memories {
    /// Looks for the runs before this one that looked at addresses of the block.
    pub(crate) fn of(store: Store, run: &StoredRun, block: &Cover) -> Memories {
        let runs = store.runs_over(run, |target| block.contains(target));
        let runs = runs.unwrap_or_else(|error| {
            say(&error);
            Vec::new()
        });
        Memories {
            store,
            run: run.clone(),
            past: Past::new(&runs),
            runs,
        }
    }

    /// Forgets what came by.
    pub(crate) fn start_over(&mut self) {
        if self.past.is_some() {
            self.past = Past::new(&self.runs);
        }
    }

    /// Takes an address in.
    pub(crate) fn add(&mut self, catalogue: &Catalogue, dossier: &Dossier) {
        let Some(past) = &mut self.past else { return };
        match self.store.earlier(&dossier.target, &self.run) {
            Ok(earlier) => past.add(catalogue, dossier, &earlier),
            Err(error) => {
                say(&error);
                self.past = None;
            }
        }
    }

    /// What was counted; none if there were no earlier runs, or they could not be read.
    pub(crate) fn finish(self) -> Option<History> {
        self.past.map(Past::finish)
    }
}

fn say(error: &StoreError) {
    eprintln!("reputon: {}; the audit has no history", visible(&error.to_string()));
}
