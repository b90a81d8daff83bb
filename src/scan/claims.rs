//! Whose tile it is. The workers of a run take tiles from one row: each the next that nobody has yet.
//!
//! ```text
//! 0 1 2 3 4 5 6 7 …      taken in this order, by whoever has room
//! └ closed ┘└ open ┘└ free
//! ```
//!
//! Bound: the tiles that are open, whoever has them, lie within [`TILES_MAX`] of each other, as those of a single worker do.

use std::collections::{BTreeSet, HashSet};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::plan::Plan;
use crate::plan::habits::TILES_MAX;

use super::ticket::LaneIndex;

/// The row of a run's tiles.
#[derive(Debug)]
pub(super) struct Claims {
    count: u32,
    /// The first that nobody has taken. Written with `open` locked.
    next: AtomicU32,
    /// Taken, and not given back.
    open: Mutex<BTreeSet<u32>>,
    /// What the first worker has given up. The others have the same lanes.
    given_up: Mutex<HashSet<LaneIndex>>,
    failed: AtomicBool,
}

impl Claims {
    /// The tiles of a plan. Nobody has any yet.
    pub(super) fn of(plan: &Plan<'_>) -> Arc<Claims> {
        // 2^32 tiles are 2^40 targets: more than the bounds of target sets allow.
        let count = u32::try_from(plan.targets.chunk_count()).unwrap_or(u32::MAX);
        Arc::new(Claims::new(count))
    }

    fn new(count: u32) -> Claims {
        Claims {
            count,
            next: AtomicU32::new(0),
            open: Mutex::default(),
            given_up: Mutex::default(),
            failed: AtomicBool::new(false),
        }
    }

    /// How many tiles there are in all.
    pub(super) fn count(&self) -> u32 {
        self.count
    }

    /// How many nobody has taken yet.
    pub(super) fn left(&self) -> u32 {
        self.count - self.next.load(Ordering::Relaxed)
    }

    /// Takes the next tile; none if there is none, or too many are open.
    pub(super) fn take(&self) -> Option<u32> {
        let mut open = self.open();
        let next = self.next.load(Ordering::Relaxed);
        let oldest = open.first().copied().unwrap_or(next);
        if next == self.count || (next - oldest) as usize >= TILES_MAX {
            return None;
        }
        open.insert(next);
        self.next.store(next + 1, Ordering::Relaxed);
        Some(next)
    }

    /// Takes all that nobody has: the run was stopped, and they will not be asked about. Returns the first.
    pub(super) fn take_rest(&self) -> u32 {
        let _open = self.open();
        self.next.swap(self.count, Ordering::Relaxed)
    }

    /// Whether nobody has an older tile that is open.
    pub(super) fn is_oldest(&self, number: u32) -> bool {
        self.open().first() == Some(&number)
    }

    /// Gives a tile back that is done with.
    pub(super) fn close(&self, number: u32) {
        self.open().remove(&number);
    }

    /// The first worker has given up a lane.
    pub(super) fn give_up(&self, index: LaneIndex) {
        self.given_up().insert(index);
    }

    /// Whether the first worker has given up a lane.
    pub(super) fn is_given_up(&self, index: LaneIndex) -> bool {
        self.given_up().contains(&index)
    }

    /// A worker could not go on: the others need not either.
    pub(super) fn fail(&self) {
        self.failed.store(true, Ordering::Relaxed);
    }

    /// Whether a worker could not go on.
    pub(super) fn have_failed(&self) -> bool {
        self.failed.load(Ordering::Relaxed)
    }

    fn open(&self) -> MutexGuard<'_, BTreeSet<u32>> {
        // Who panicked has left it whole: each change is one call.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn given_up(&self) -> MutexGuard<'_, HashSet<LaneIndex>> {
        self.given_up.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_tile_is_taken_once_and_the_open_ones_lie_together() {
        let claims = Claims::new(TILES_MAX as u32 + 3);
        let taken: Vec<u32> = std::iter::from_fn(|| claims.take()).collect();
        assert!(taken.iter().copied().eq(0..TILES_MAX as u32), "as many as may be open");
        claims.close(1);
        assert_eq!(claims.take(), None, "the oldest is still open");
        assert!(claims.is_oldest(0) && !claims.is_oldest(2));
        claims.close(0);
        assert!(claims.is_oldest(2));
        assert_eq!((claims.take(), claims.take()), (Some(256), Some(257)));
        assert_eq!((claims.take(), claims.left()), (None, 1));
        assert_eq!((claims.take_rest(), claims.left()), (258, 0));
        claims.close(2);
        assert_eq!(claims.take(), None);
    }

    #[test]
    fn many_threads_take_each_tile_once() {
        let claims = Claims::new(20_000);
        let mut all: Vec<u32> = std::thread::scope(|threads| {
            let take = || {
                let mut mine = Vec::new();
                while claims.left() > 0 {
                    if let Some(number) = claims.take() {
                        mine.push(number);
                        claims.close(number);
                    }
                }
                mine
            };
            let workers: Vec<_> = (0..4).map(|_| threads.spawn(take)).collect();
            workers
                .into_iter()
                .flat_map(|worker| worker.join().expect("no panic"))
                .collect()
        });
        all.sort_unstable();
        assert!(all.into_iter().eq(0..20_000));
    }
}
