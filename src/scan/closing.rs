//! Tiles that are complete: their dossiers are made, counted, kept in the journal and handed out; and the way back, from what
//! the journal kept to a tile.

use std::io;
use std::ops::AddAssign;

use crate::clock::Instant;
use crate::dnsxl::{How, Observation};
use crate::dossier::{Dossier, Journal, Observed, Tile, is_taken_back, is_unasked};
use crate::plan::{Plan, Treatment};
use crate::stages::Explained;
use crate::targets::{Chunk, Kind, Target, special_use};

use super::lane::{Lane, Standing};
use super::network::Network;
use super::run::{Order, Receiver};
use super::window::OpenTile;
use super::worker::Worker;

/// What was observed of one list.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Counted {
    pub(super) listed: u64,
    pub(super) not_listed: u64,
    pub(super) unknown: u64,
    pub(super) not_asked: u64,
    /// Of those that are unknown: taken back, and not asked since.
    pub(super) taken_back: u64,
    /// Of those that are known: how they were learnt, in the order of [`How::ALL`].
    pub(super) learnt: [u64; How::ALL.len()],
}

impl AddAssign for Counted {
    fn add_assign(&mut self, other: Counted) {
        self.listed += other.listed;
        self.not_listed += other.not_listed;
        self.unknown += other.unknown;
        self.not_asked += other.not_asked;
        self.taken_back += other.taken_back;
        for (here, there) in self.learnt.iter_mut().zip(other.learnt) {
            *here += there;
        }
    }
}

impl<N: Network> Worker<'_, N> {
    /// Hands out complete tiles: as they close, and in input order. What the journal had whole does not wait for anything.
    /// A tile that had been handed out before is revised.
    pub(super) fn hand_out(&mut self, now: Instant, receiver: &mut dyn Receiver) -> io::Result<()> {
        let unjudged = |lane: &Lane| !lane.related && !matches!(lane.standing, Standing::GivenUp(_) | Standing::Spare);
        let waits = !self.judged && !self.options.skip_health && self.lanes.iter().any(unjudged);
        let plan = self.plan;
        let ordered = receiver.wants_input_order() && !self.undo.again;
        let mut spare = Vec::new();
        for number in self.window.first()..self.window.end() {
            let open = self.window.get(number).expect("between first and end");
            if open.done || !open.tile.is_complete() || waits && !open.kept || !self.explainer.is_explained(number) {
                continue;
            }
            if !self.related.is_settled(number) {
                continue;
            }
            self.related
                .conclude(number, (plan.catalogue, &self.lanes), &mut self.explainer);
            open.done = true;
            let (kept, chunk) = (open.kept, open.chunk);
            self.count_pruned(number);
            for (offset, target) in chunk.iter().enumerate() {
                let open = self.window.get(number).expect("it is there");
                let explained = self.explainer.explained(open, offset, !ordered);
                let dossier = dossier(plan, open, (offset, target), explained, spare);
                if !kept {
                    self.journal.add(&dossier);
                }
                match self.undo.again {
                    false => {
                        self.tally(&dossier);
                        receiver.take(&dossier, Order::AsClosed)?;
                    }
                    true => {
                        let pairs: Vec<_> = open.taken_back_of(offset).collect();
                        if !pairs.is_empty() {
                            self.revise(&dossier, pairs.into_iter(), receiver)?;
                        }
                    }
                }
                spare = dossier.observations;
            }
            if !kept {
                self.journal.close(now, number);
            }
        }
        while let Some(closed) = self.window.pop_done(ordered) {
            if ordered {
                for (offset, target) in closed.chunk.iter().enumerate() {
                    let explained = self.explainer.explained(&closed, offset, true);
                    let dossier = dossier(plan, &closed, (offset, target), explained, spare);
                    receiver.take(&dossier, Order::Input)?;
                    spare = dossier.observations;
                }
            }
            self.window.let_go(closed.number);
            self.explainer.forget(closed.number);
        }
        Ok(())
    }

    /// Tiles that were not opened before the run was stopped: what an earlier part of the run learnt of them is handed out,
    /// the others are counted as not reached.
    pub(super) fn hand_out_unopened(&mut self, receiver: &mut dyn Receiver) -> io::Result<()> {
        let now = self.network.now();
        for number in self.window.leave_rest().. {
            let Some(chunk) = self.plan.targets.chunk(u64::from(number)) else {
                break;
            };
            let Some(mut dossiers) = recall(self.journal, self.plan, number) else {
                self.unreached += chunk.len() as u64;
                count_unopened(&mut self.counts, self.plan, &chunk);
                continue;
            };
            if self.undo.take_back(&mut dossiers).is_some() {
                self.keep(now, number, &dossiers);
            }
            for dossier in &dossiers {
                self.tally(dossier);
                receiver.take(dossier, Order::AsClosed)?;
                if receiver.wants_input_order() {
                    receiver.take(dossier, Order::Input)?;
                }
            }
        }
        Ok(())
    }

    /// Has the journal keep a tile as it is now.
    pub(super) fn keep(&mut self, now: Instant, number: u32, dossiers: &[Dossier]) {
        dossiers.iter().for_each(|dossier| self.journal.add(dossier));
        self.journal.close(now, number);
    }

    /// Counts a dossier that is handed out.
    pub(super) fn tally(&mut self, dossier: &Dossier) {
        self.done_targets += 1;
        self.listed_targets += u64::from(count(&mut self.counts, dossier, |counter| *counter += 1));
    }

    /// Takes a dossier out of the counts.
    pub(super) fn untally(&mut self, dossier: &Dossier) {
        self.done_targets -= 1;
        self.listed_targets -= u64::from(count(&mut self.counts, dossier, |counter| *counter -= 1));
    }
}

/// Does something to the counters of a dossier's observations, list by list; whether it has a listing.
fn count(counts: &mut [Counted], dossier: &Dossier, act: impl Fn(&mut u64)) -> bool {
    let mut listed = false;
    for (observed, counts) in dossier.observations.iter().zip(counts.iter_mut()) {
        act(match observed.observation {
            Observation::Listed(_) => {
                listed = true;
                &mut counts.listed
            }
            Observation::NotListed => &mut counts.not_listed,
            Observation::Unknown(_) => &mut counts.unknown,
            Observation::NotAsked(_) => &mut counts.not_asked,
        });
        if matches!(observed.observation, Observation::Listed(_) | Observation::NotListed) {
            act(&mut counts.learnt[observed.how as usize]);
        }
        if is_taken_back(observed) {
            act(&mut counts.taken_back);
        }
    }
    listed
}

/// What the journal has of a tile. Of other targets than the tile's, nothing is believed.
pub(super) fn recall(journal: &mut dyn Journal, plan: &Plan<'_>, number: u32) -> Option<Vec<Dossier>> {
    let dossiers = journal.recall(number)?;
    let chunk = plan.targets.chunk(u64::from(number))?;
    let same = dossiers
        .iter()
        .map(|dossier| &dossier.target)
        .eq(chunk.iter().collect::<Vec<_>>().iter());
    same.then_some(dossiers)
}

/// Settles what is known of a tile's pairs, except those that `asks` says are to be asked.
pub(super) fn restore(tile: &mut Tile, recalled: &[Dossier], asks: impl Fn(usize, usize, &Observation) -> bool) {
    for (offset, dossier) in recalled.iter().enumerate() {
        for (column, observed) in dossier.observations.iter().enumerate() {
            if !asks(offset, column, &observed.observation) {
                // What is settled already stays: it is not to be asked.
                tile.learn(column, offset, (observed.observation.clone(), observed.how), None);
            }
        }
    }
}

/// Makes the dossier of a target of a complete tile, in the room that an earlier one's observations had.
fn dossier(
    plan: &Plan<'_>,
    open: &OpenTile<'_>,
    (offset, target): (usize, Target),
    (stages, findings): Explained,
    mut observations: Vec<Observed>,
) -> Dossier {
    observations.clear();
    observations.extend(plan.columns.iter().enumerate().map(|(column, list)| {
        let (observation, how) = open.tile.observation(column, offset);
        Observed {
            list: list.list,
            observation,
            how,
        }
    }));
    // What could not be asked again stays taken back.
    for (column, how) in open.taken_back_of(offset) {
        if is_unasked(&observations[column].observation) {
            observations[column].how = how;
        }
    }
    Dossier {
        special_use: special_use(&target),
        observations,
        target,
        stages,
        findings,
        revision: open.revisions.get(offset).copied().unwrap_or(1),
    }
}

/// Pairs of a tile that was never opened: all that would have been asked is unknown.
fn count_unopened(counts: &mut [Counted], plan: &Plan<'_>, chunk: &Chunk<'_>) {
    for (kind, (all, ordinary)) in Kind::ALL
        .into_iter()
        .zip(chunk.counts().into_iter().zip(chunk.ordinary()))
    {
        for (column, counts) in counts.iter_mut().enumerate() {
            let unknown = match plan.treatment(column, kind) {
                Treatment::Ask | Treatment::Fold(_) | Treatment::Local => ordinary,
                _ => 0,
            };
            counts.unknown += unknown;
            counts.not_asked += all - unknown;
        }
    }
}
