//! The undo of pruning: what rests on a denial that proved false is taken back, wherever it has got to by then, and asked.
//!
//! ```text
//! contradiction ─▶ the journal writes down at once that the list's pruning is in doubt; the list is not pruned any more
//!    ├▶ open tiles: what was pruned is pending again
//!    └▶ tiles that were handed out: once all are, the window begins again at the first one
//!         recall ─▶ nothing of it is in doubt ─▶ passed over
//!                └▶ what is in doubt is pending, all else settled ─▶ asked, controlled, complete as any tile is
//!                      ─▶ the journal keeps it in the stead of what it had
//!                      ─▶ Receiver::revise(before, after): `revision` is one more
//!    at the end ─▶ whoever wants input order is told to start over, and gets all tiles as they are now
//! ```
//!
//! A run that is cut off anywhere in this goes on with it: its next part reads the doubts first, and takes back what it
//! recalls. A run that is stopped takes back what it has no time to ask: these pairs end unknown, as `cancelled`, and so do
//! those beyond an operator's budget; they are counted as *unproved*, which is no clean run, until a next part asks them.
//! Without a journal nothing can be taken back that was handed out; then that is what is unproved, and remains not listed.
//!
//! Memory: the doubts, a row or a few for each list in doubt. Which tiles and pairs it is about is read from the journal, one
//! tile at a time.

use std::io;

use crate::dnsxl::{How, Observation};
use crate::dossier::{Dossier, Doubt, Doubts, Voice, is_taken_back};

use super::claims::Claims;
use super::closing::recall;
use super::network::Network;
use super::prune::Pruning;
use super::run::{Order, Receiver};
use super::ticket::LaneIndex;
use super::window::Window;
use super::worker::Worker;

/// What is to be undone, and how far that is.
#[derive(Debug, Default)]
pub(super) struct Undo {
    /// What is in doubt.
    pub(super) doubts: Doubts,
    /// Something that was handed out is in doubt and has not been taken back.
    pub(super) due: bool,
    /// All tiles have been handed out, and go through the window once more.
    pub(super) again: bool,
    /// A dossier was handed out again.
    revised: bool,
}

impl Undo {
    /// Nothing has been found to be false but what earlier parts of the run found.
    pub(super) fn new(doubts: Doubts) -> Undo {
        Undo {
            doubts,
            ..Undo::default()
        }
    }

    /// Takes back what is in doubt of a tile: its pairs (offset, column), with how they had been learnt. None if nothing is.
    pub(super) fn take_back(&self, dossiers: &mut [Dossier]) -> Option<Vec<(usize, usize, How)>> {
        if self.doubts.is_empty() {
            return None;
        }
        let mut taken = Vec::new();
        for (offset, dossier) in dossiers.iter_mut().enumerate() {
            let columns = self.doubts.take_back(dossier).into_iter();
            taken.extend(columns.map(|column| (offset, column, dossier.observations[column].how)));
        }
        (!taken.is_empty()).then_some(taken)
    }
}

impl<N: Network> Worker<'_, N> {
    /// A denial of a server of this lane's list has proved false: its pruning ends, and what it has settled is taken back.
    pub(super) fn doubt(&mut self, index: LaneIndex) {
        let lane = &mut self.lanes[usize::from(index.0)];
        let (list, column, kind) = (lane.list, lane.column, lane.kind);
        let closed = lane.prune.as_mut().map_or(0, |pruning| pruning.end());
        self.undo.due |= closed > 0;
        let parts = self.plan.parts(column, kind);
        let told = parts.iter().map(|&part| self.plan.columns[part].list);
        for list_in_doubt in std::iter::once(list).chain(told) {
            self.undo.doubts.add(Doubt {
                list: list_in_doubt,
                source: list,
            });
        }
        self.journal.doubt(&self.undo.doubts);
        lane.provisional = 0;
        for (_, open) in self.window.open_of(kind) {
            let revoked = open.tile.revoke_pruned((column, kind));
            for &part in parts {
                open.tile.revoke_folded((part, kind), &revoked);
            }
            // What an earlier part of the run has handed out is revised by this.
            open.kept &= revoked.is_empty();
            for &offset in &revoked {
                if let Some(revision) = open.revisions.get_mut(offset) {
                    *revision += 1;
                }
            }
            lane.provisional += u32::from(open.tile.provisional_of((column, kind), Voice::Own));
        }
        lane.cursor = (self.window.first(), 0);
        lane.idle = false;
    }

    /// Lets all tiles through the window once more, if some are in doubt that were handed out, and can be recalled.
    pub(super) fn begin_again(&mut self) -> bool {
        if !self.undo.due || self.stopping.is_some() || !self.journal.remembers() {
            return false;
        }
        (self.undo.due, self.undo.again) = (false, true);
        self.window = Window::new(Claims::of(self.plan));
        self.explainer.begin_again();
        for lane in &mut self.lanes {
            lane.cursor = (0, 0);
            lane.idle = false;
            lane.again.clear();
            lane.forget_unit();
            if let Some(pruning) = &mut lane.prune {
                pruning.forget_denials();
            }
        }
        true
    }

    /// Hands out a dossier in the stead of an earlier revision, in which these pairs (column, how it was learnt) were not
    /// listed.
    pub(super) fn revise(
        &mut self,
        after: &Dossier,
        pairs: impl Iterator<Item = (usize, How)>,
        receiver: &mut dyn Receiver,
    ) -> io::Result<()> {
        let mut before = after.clone();
        before.revision -= 1;
        for (column, how) in pairs {
            let observed = &mut before.observations[column];
            (observed.observation, observed.how) = (Observation::NotListed, how);
        }
        self.untally(&before);
        self.tally(after);
        self.undo.revised = true;
        receiver.revise(&before, after)
    }

    /// The run was stopped: what is in doubt of tiles that were handed out, and are not in the window once more, is taken
    /// back, and they are handed out like that.
    pub(super) fn take_back_rest(&mut self, receiver: &mut dyn Receiver) -> io::Result<()> {
        let first = match (self.undo.due, self.undo.again) {
            (true, _) => 0,
            (false, true) => self.window.end(),
            (false, false) => return Ok(()),
        };
        if !self.journal.remembers() {
            return Ok(());
        }
        let now = self.network.now();
        for number in first..self.window.count() {
            let Some(mut dossiers) = recall(self.journal, self.plan, number) else {
                continue; // it was not reached
            };
            let Some(taken) = self.undo.take_back(&mut dossiers) else {
                continue;
            };
            self.keep(now, number, &dossiers);
            for pairs in taken.chunk_by(|(offset, ..), (other, ..)| offset == other) {
                let dossier = &dossiers[pairs[0].0];
                self.revise(dossier, pairs.iter().map(|(_, column, how)| (*column, *how)), receiver)?;
            }
        }
        self.undo.due = false;
        Ok(())
    }

    /// If dossiers were handed out again: whoever wants input order gets all of them in their last revision.
    pub(super) fn start_over(&mut self, receiver: &mut dyn Receiver) -> io::Result<()> {
        if !self.undo.revised || !receiver.wants_input_order() || !self.journal.remembers() {
            return Ok(());
        }
        receiver.start_over()?;
        let mut told = 0;
        for number in 0..self.window.count() {
            for dossier in recall(self.journal, self.plan, number).iter().flatten() {
                receiver.take(dossier, Order::Input)?;
                told += 1;
            }
        }
        match told == self.done_targets {
            true => Ok(()),
            false => Err(io::Error::other(
                "what was handed out cannot be recalled any more; --resume goes on with the run",
            )),
        }
    }

    /// Pairs of a column that were handed out as not listed because of a denial that proved false, and were not asked since.
    pub(super) fn unproved(&self, column: usize) -> u64 {
        let lanes = self.lanes.iter().filter(|lane| lane.column == column);
        let prunings = lanes.filter_map(|lane| lane.prune.as_ref());
        // What cannot be recalled stands as it was handed out.
        let standing = match self.undo.due || !self.journal.remembers() {
            true => prunings.map(Pruning::unproved).sum(),
            false => 0,
        };
        standing + self.counts[column].taken_back
    }
}

/// The pairs of a tile that were `taken` back just now, and those that an earlier part of the run took back and could not
/// ask; by offset.
pub(super) fn with_unasked(recalled: &[Dossier], mut taken: Vec<(usize, usize, How)>) -> Vec<(usize, usize, How)> {
    for (offset, dossier) in recalled.iter().enumerate() {
        let observations = dossier.observations.iter().enumerate();
        let unasked = observations.filter(|(_, observed)| is_taken_back(observed));
        taken.extend(unasked.map(|(column, observed)| (offset, column, observed.how)));
    }
    let place = |pair: &(usize, usize, How)| (pair.0, pair.1);
    taken.sort_unstable_by_key(place);
    taken.dedup_by_key(|pair| place(pair));
    taken
}
