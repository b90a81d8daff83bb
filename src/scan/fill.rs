//! Which pair is asked next, and what its answer settles: the way between a lane and the tiles.
//!
//! A lane walks over the open tiles in input order, each lane from another place of each tile. Pairs that come back behind
//! it (a second chance, a pair that waited in vain) stand in its queue, and go first.

use crate::clock::Instant;
use crate::dnsxl::{Cause, Observation};
use crate::dossier::{Epoch, is_open};
use crate::exchange::Ask;
use crate::plan::habits::NAMES_MAX;
use crate::wire::{Name, Rtype};

use super::closing::{recall, restore};
use super::explain::is_told;
use super::lane::{Lane, Standing};
use super::network::Network;
use super::ticket::{LaneIndex, Purpose};
use super::undo::with_unasked;
use super::units::Step;
use super::window::Half;
use super::worker::Worker;

impl<N: Network> Worker<'_, N> {
    /// Settles a pair by how its lane stands now, and with it the pairs that waited for its answer.
    pub(super) fn settle(&mut self, index: LaneIndex, number: u32, offset: u8, observation: Observation) {
        let epoch = self.lanes[usize::from(index.0)].epoch;
        self.settle_in(Some(epoch), index, (number, offset), observation);
    }

    /// The same for what was heard in an epoch, or has been confirmed since.
    pub(super) fn settle_in(
        &mut self,
        epoch: Option<Epoch>,
        index: LaneIndex,
        (number, offset): (u32, u8),
        observation: Observation,
    ) {
        let lane = &mut self.lanes[usize::from(index.0)];
        let tile = &mut self
            .window
            .get(number)
            .expect("a tile with pairs in flight is held")
            .tile;
        let offset = usize::from(offset);
        let listed = matches!(observation, Observation::Listed(_));
        let (observation, epoch) = match lane.standing {
            Standing::GivenUp(cause) => (Observation::Unknown(cause), None),
            Standing::Good if observation == Observation::Unknown(Cause::Cancelled) => (observation, None),
            Standing::Good if self.options.skip_health => (observation, None),
            Standing::Good => {
                lane.answers += u32::from(epoch.is_some());
                lane.provisional += u32::from(epoch.is_some());
                (observation, epoch)
            }
            // It came while the list is not trusted.
            _ => {
                lane.forget_unit();
                return tile.put_back(lane.column, offset);
            }
        };
        tile.settle(lane.column, offset, observation, epoch);
        self.remember_unit(index, number, offset);
        self.spread(index, number, offset);
        if listed && self.options.prune {
            self.hold_against_parent(index, number, offset as u8); // as it was
        }
    }

    /// Asks what is pending, as far as the engine has room and the operators' budgets last.
    pub(super) fn fill(&mut self, now: Instant) {
        if self.stopping.is_some() {
            return;
        }
        let tries = 1 + u64::from(self.options.retries);
        for index in (0..self.lanes.len() as u16).map(LaneIndex) {
            let lane = &self.lanes[usize::from(index.0)];
            if lane.standing != Standing::Good || lane.related {
                continue;
            }
            if self.options.prune {
                self.prove(now, index);
                if self.is_proving(index) {
                    continue;
                }
            }
            let lane = &self.lanes[usize::from(index.0)];
            let mut room = self.engine.room(lane.route);
            let mut allowance = self.allowance(now, index);
            while room >= NAMES_MAX {
                let Some(place) = self.next_pair(now, index) else { break };
                if allowance < tries * NAMES_MAX as u64 {
                    self.put_back(index, place.0, place.1);
                    // What is in flight may turn out to have cost less than it could have.
                    if !self.is_asking(index) {
                        self.exhaust(index);
                    }
                    break;
                }
                let asked = self.ask_pair(now, index, place);
                room -= asked;
                allowance = allowance.saturating_sub(tries * asked as u64);
            }
        }
        // Without a single list that is asked, tiles still have to be opened and reported.
        self.ask_related(now);
        let asks = |lane: &Lane| !lane.related && !matches!(lane.standing, Standing::GivenUp(_) | Standing::Spare);
        if !self.lanes.iter().any(asks) {
            while self.open_next() {}
        }
    }

    /// Opens the next tile: what an earlier part of the run learnt of it is settled, what is in doubt of it is not. When
    /// tiles go through the window once more, only what is in doubt is asked, and tiles without it are passed over.
    fn open_next(&mut self) -> bool {
        if self.is_worse_off() {
            self.window.hold_up();
            return false;
        }
        let Some(number) = self.window.take_next(self.plan) else {
            return false;
        };
        let mut recalled = recall(self.journal, self.plan, number).unwrap_or_default();
        let again = self.undo.again;
        let mut taken = self.undo.take_back(&mut recalled);
        if again && taken.is_none() {
            self.window.pass_over(self.plan);
            self.stirred = true; // nobody waits for it
            return true;
        }
        let columns = recalled.first().map_or(0, |dossier| dossier.observations.len());
        let mut is_taken = vec![false; recalled.len() * columns];
        for (offset, column, _) in taken.iter().flatten() {
            is_taken[offset * columns + column] = true;
        }
        let asks = |offset: usize, column: usize, observation: &Observation| match again {
            true => is_taken[offset * columns + column],
            false => is_open(observation),
        };
        let lanes = &self.lanes;
        let open = self.window.open(self.plan, |tile| {
            restore(tile, &recalled, asks);
            for lane in lanes {
                if let Standing::GivenUp(cause) = lane.standing {
                    tile.give_up((lane.column, lane.kind), cause);
                }
            }
        });
        let open = open.expect("what was taken is in the plan");
        if !again {
            taken = Some(with_unasked(&recalled, taken.unwrap_or_default()));
        }
        let observations = recalled.iter().flat_map(|dossier| &dossier.observations);
        open.kept = !again && !recalled.is_empty() && observations.clone().all(|one| !is_open(&one.observation));
        open.revisions = recalled.iter().map(|dossier| dossier.revision).collect();
        open.taken_back = taken.unwrap_or_default();
        let told = recalled.into_iter().map(|dossier| (dossier.stages, dossier.findings));
        open.recalled = told.collect();
        open.kept &= !self.explainer.is_wanted() || open.recalled.iter().all(is_told);
        self.spread_known(number);
        true
    }

    /// Whether the first worker still asks a list that this one has given up: it does not spoil what the first can learn.
    fn is_worse_off(&self) -> bool {
        let given_up = |lane: &Lane| matches!(lane.standing, Standing::GivenUp(_));
        let mut lanes = (0..).map(LaneIndex).zip(&self.lanes);
        self.helps && lanes.any(|(index, lane)| given_up(lane) && !self.window.is_given_up(index))
    }

    /// The next pending pair of a lane, taken: tile and offset.
    fn next_pair(&mut self, now: Instant, index: LaneIndex) -> Option<(u32, u8)> {
        if let Some(pair) = self.next_again(index) {
            return Some(pair);
        }
        loop {
            if self.options.prune && self.ask_parents(now, index) {
                return self.next_again(index); // more in the next turn
            }
            let lane = &mut self.lanes[usize::from(index.0)];
            let (number, step) = lane.cursor.max((self.window.first(), 0));
            if number >= self.window.end() {
                lane.cursor = (number, 0);
                lane.idle = true;
                if !self.open_next() {
                    return None;
                }
                continue;
            }
            lane.idle = false;
            let tile = self.window.get(number).expect("between first and end");
            let len = tile.chunk.len();
            if tile.done || !tile.has(lane.kind) || step >= len {
                lane.cursor = (number + 1, 0);
                continue;
            }
            lane.cursor = (number, step + 1);
            let offset = place(index, step, (self.options.seed, len));
            if tile.tile.kind(offset) != lane.kind {
                continue;
            }
            match self.look_at_unit(index, number, offset) {
                Step::Ask => (),
                Step::Learnt => continue,
                Step::Wait => {
                    self.lanes[usize::from(index.0)].cursor = (number, step);
                    return None;
                }
            }
            let column = self.lanes[usize::from(index.0)].column;
            let tile = self.window.get(number).expect("between first and end");
            if tile.tile.take(column, offset) {
                return Some((number, offset as u8)); // a tile has 256 targets at most
            }
        }
    }

    /// The next pair of a lane's queue that is still pending, taken.
    fn next_again(&mut self, index: LaneIndex) -> Option<(u32, u8)> {
        let lane = &mut self.lanes[usize::from(index.0)];
        while let Some((number, offset)) = lane.again.pop_front() {
            let tile = self.window.get(number).filter(|tile| !tile.done);
            if tile.is_some_and(|tile| tile.tile.take(lane.column, usize::from(offset))) {
                return Some((number, offset));
            }
        }
        None
    }

    /// Asks about a pair; returns how many queries that took.
    fn ask_pair(&mut self, now: Instant, index: LaneIndex, (number, offset): (u32, u8)) -> usize {
        let lane = &self.lanes[usize::from(index.0)];
        let tile = self.window.get(number).expect("just taken from");
        let target = tile.target(usize::from(offset));
        let questions = self.plan.columns[lane.column].asked();
        let mut first = Name::root();
        let second = match questions.write_names(&target, &mut first) {
            Ok(second) => second,
            Err(reason) => {
                let offset = usize::from(offset);
                tile.tile
                    .settle(lane.column, offset, Observation::NotAsked(reason), None);
                self.spread(index, number, offset);
                return 0;
            }
        };
        if second.is_some() {
            let half = Half { left: 2, best: None };
            tile.halves.insert((lane.column, usize::from(offset)), half);
        }
        let mut count = 0;
        for (name, asked) in std::iter::once(&first).chain(second.as_deref()).enumerate() {
            let purpose = Purpose::Pair {
                lane: index,
                tile: number,
                offset,
                name: name as u8, // 0 or 1
            };
            let ask = Ask {
                ticket: purpose.ticket(),
                route: self.way_to(index, asked),
                name: asked,
                rtype: Rtype::A,
                probe: false,
            };
            let lane = &mut self.lanes[usize::from(index.0)];
            lane.in_flight += 1;
            lane.asked += 1;
            self.engine.submit(now, ask).expect("there was room for it");
            count += 1;
        }
        count
    }
}

/// Where in a tile of `len` targets a lane stands at a step. Each list begins at another place, so that no target's names
/// come in a burst everywhere: the order over all is diagonal, and the seed's alone.
fn place(index: LaneIndex, step: usize, (seed, len): (u64, usize)) -> usize {
    (step + usize::from(index.0) * 37 + seed as usize % 256) % len
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_is_diagonal_and_the_seeds_alone() {
        for (seed, len) in [(0, 256), (7, 256), (u64::MAX, 256), (3, 100), (5, 1)] {
            let order = |lane: u16| -> Vec<usize> {
                let steps = 0..len;
                steps.map(|step| place(LaneIndex(lane), step, (seed, len))).collect()
            };
            for lane in 0..150 {
                let mut places = order(lane);
                assert_eq!(places, order(lane), "the same each time");
                places.sort_unstable();
                assert!(places.into_iter().eq(0..len), "each target once");
            }
            // At any step, the lists are at different targets, as far as there are enough.
            for step in [0, len / 2, len - 1] {
                let lanes = 0..len.min(256) as u16;
                let at: std::collections::HashSet<usize> =
                    lanes.map(|lane| place(LaneIndex(lane), step, (seed, len))).collect();
                assert_eq!(at.len(), len.min(256), "seed {seed}, {len} targets");
            }
        }
        let starts = |seed| place(LaneIndex(0), 0, (seed, 256));
        assert_ne!(starts(1), starts(2), "another seed is another order");
    }
}
