//! What one pair's answer tells others, so that they need not be asked: a composite's its parts (RFC 5782 §2.3), an IPv6
//! address' the others of its unit in the tile.
//!
//! What is learnt so is exactly as good as the answer it comes from: provisional in the same epoch, confirmed and taken
//! back by the controls of the list that was asked. A part is asked itself
//!
//! * where the composite has an entry and no code that stands for the part,
//! * where the composite's answer stays unknown, when it has failed its examination or is given up: the part may work. Only
//!   a stop, and a budget that both draw on, end the part as they end the composite.
//!
//! Until then the part's lane is spare: not examined, not asked.

use crate::dnsxl::{Cause, How, Observation, fold};
use crate::targets::Kind;

use super::lane::Standing;
use super::network::Network;
use super::ticket::LaneIndex;
use super::window::unit_of;
use super::worker::Worker;

impl<N: Network> Worker<'_, N> {
    /// A pair of a lane has been settled: those that waited for it learn what it says.
    pub(super) fn spread(&mut self, index: LaneIndex, number: u32, offset: usize) {
        let lane = &self.lanes[usize::from(index.0)];
        let (column, kind) = (lane.column, lane.kind);
        self.share(index, number, offset);
        if !self.plan.parts(column, kind).is_empty() {
            self.fold_pair((column, kind), number, offset);
        }
    }

    /// Gives a pair's answer to the other addresses of its unit.
    fn share(&mut self, index: LaneIndex, number: u32, offset: usize) {
        let lane = &mut self.lanes[usize::from(index.0)];
        let (column, kind) = (lane.column, lane.kind);
        let Some(bits) = self.plan.unit(column, kind) else {
            return;
        };
        let open = self.window.get(number).expect("a tile with pairs in flight is held");
        let unit = unit_of(&open.target(offset), bits);
        let epoch = open.tile.epoch(column, offset);
        if !(0..open.tile.len()).any(|other| open.tile.awaits_unit(column, other)) {
            return;
        }
        let mut learnt = Vec::new();
        for (other, target) in open.chunk.iter().enumerate() {
            if open.tile.awaits_unit(column, other) && unit_of(&target, bits) == unit {
                let (observation, _) = open.tile.observation(column, offset);
                open.tile.learn(column, other, (observation, How::Shared), epoch);
                lane.provisional += u32::from(epoch.is_some());
                learnt.push(other);
            }
        }
        for other in learnt {
            self.fold_pair((column, kind), number, other);
        }
    }

    /// Gives a composite's answer for a target to its parts; without one that is of use, they are asked themselves.
    fn fold_pair(&mut self, (column, kind): (usize, Kind), number: u32, offset: usize) {
        let plan = self.plan;
        let composite = plan.catalogue.list(plan.columns[column].list);
        for &part_column in plan.parts(column, kind) {
            let tile = &mut self.window.get(number).expect("its pairs are being settled").tile;
            if !tile.awaits_composite(part_column, offset) {
                continue;
            }
            let epoch = tile.epoch(column, offset);
            let part = plan.catalogue.list(plan.columns[part_column].list);
            let (seen, _) = tile.observation(column, offset);
            let learnt = match seen {
                // A second chance may be to come.
                Observation::Unknown(_) if epoch.is_some() => continue,
                Observation::Unknown(Cause::Cancelled) => Some(seen),
                Observation::Unknown(Cause::OverBudget) if composite.operator == part.operator => Some(seen),
                Observation::Unknown(_) => None,
                Observation::Listed(_) | Observation::NotListed | Observation::NotAsked(_) => {
                    fold(composite, part, &seen)
                }
            };
            match learnt {
                Some(observation) => {
                    tile.learn(part_column, offset, (observation, How::Folded), epoch);
                }
                None => self.release((part_column, kind), number, offset),
            }
        }
    }

    /// A part has to be asked itself.
    fn release(&mut self, (column, kind): (usize, Kind), number: u32, offset: usize) {
        self.stirred = true;
        let index = self.lanes_of[column][kind as usize].expect("what is folded can be asked too");
        self.wake(index);
        let lane = &mut self.lanes[usize::from(index.0)];
        let tile = &mut self.window.get(number).expect("its pairs are being settled").tile;
        match lane.standing {
            Standing::GivenUp(cause) => {
                tile.learn(column, offset, (Observation::Unknown(cause), How::Asked), None);
            }
            _ => {
                tile.release(column, offset);
                lane.again.push_back((number, offset as u8)); // a tile has 256 targets at most
            }
        }
    }

    /// A spare lane is needed after all.
    pub(super) fn wake(&mut self, index: LaneIndex) {
        let lane = &mut self.lanes[usize::from(index.0)];
        if lane.standing == Standing::Spare {
            self.stirred = true;
            lane.standing = match self.options.skip_health {
                true => Standing::Good,
                false => Standing::New,
            };
        }
    }

    /// All lanes are needed.
    pub(super) fn wake_all(&mut self) {
        for index in (0..self.lanes.len() as u16).map(LaneIndex) {
            self.wake(index);
        }
    }

    /// What is known for good in a tile, from the start or by now, and has not been told to parts that wait for it: they
    /// learn it.
    pub(super) fn spread_known(&mut self, number: u32) {
        for kind in self.plan.kinds() {
            for column in 0..self.plan.columns.len() {
                self.spread_column((column, kind), number);
            }
        }
    }

    fn spread_column(&mut self, (column, kind): (usize, Kind), number: u32) {
        if self.plan.parts(column, kind).is_empty() {
            return;
        }
        let Some(open) = self.window.get(number) else { return };
        let tile = &open.tile;
        let known = tile.offsets(kind).filter(|&offset| tile.knows(column, offset));
        let known: Vec<usize> = known.collect();
        for offset in known {
            self.fold_pair((column, kind), number, offset);
        }
    }

    /// The same, in all open tiles, of one lane.
    pub(super) fn spread_lane(&mut self, index: LaneIndex) {
        let lane = &self.lanes[usize::from(index.0)];
        let (column, kind) = (lane.column, lane.kind);
        if self.plan.parts(column, kind).is_empty() {
            return;
        }
        let numbers: Vec<u32> = self.window.open_of(kind).map(|(number, _)| number).collect();
        for number in numbers {
            self.spread_column((column, kind), number);
        }
    }

    /// What a lane's pairs in open tiles are still to be asked about is unknown.
    pub(super) fn abandon(&mut self, index: LaneIndex, cause: Cause) {
        let lane = &self.lanes[usize::from(index.0)];
        let (column, kind) = (lane.column, lane.kind);
        for (_, tile) in self.window.open_of(kind) {
            tile.tile.give_up((column, kind), cause);
        }
        self.spread_lane(index);
    }

    /// A lane is given up for good: its parts will have to be asked themselves.
    pub(super) fn wake_parts(&mut self, index: LaneIndex) {
        let plan = self.plan;
        let lane = &self.lanes[usize::from(index.0)];
        let kind = lane.kind;
        if lane.related {
            return; // related names are asked of whole lists alone
        }
        for &part in plan.parts(lane.column, kind) {
            let part = self.lanes_of[part][kind as usize].expect("what is folded can be asked too");
            self.wake(part);
        }
    }
}
