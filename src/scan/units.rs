//! What the answer about an IPv6 unit tells the addresses of that unit in the tiles that follow. (Those of the same tile
//! wait for it: see `spread`.)
//!
//! A lane remembers one unit, since addresses come in the order of the input: a prefix that is shorter than the tile and
//! longer than the unit fills many tiles with it. While a unit's question is out, its lane asks nothing further about it
//! in other tiles, but waits. What is learnt so is exactly as good as a fresh answer: provisional in the epoch in which it
//! is learnt, confirmed or taken back by the same controls. After a doubt nothing is remembered; an unknown never is.

use crate::dnsxl::{How, Observation};

use super::lane::Lane;
use super::network::Network;
use super::ticket::LaneIndex;
use super::window::unit_of;
use super::worker::Worker;

/// The unit that a lane asked about last.
#[derive(Debug)]
pub(super) struct LastUnit {
    unit: u128,
    /// The tile that asks about it.
    tile: u32,
    /// What is known of it, if its answer is in.
    answer: Option<Observation>,
}

/// What is to be done about the next pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// It is to be asked.
    Ask,
    /// The answer is on its way.
    Wait,
    /// It is known by now.
    Learnt,
}

impl<N: Network> Worker<'_, N> {
    /// Looks whether a pair of a lane can be told by the unit that was asked about last.
    pub(super) fn look_at_unit(&mut self, index: LaneIndex, number: u32, offset: usize) -> Step {
        let lane = &mut self.lanes[usize::from(index.0)];
        let Some(bits) = self.plan.unit(lane.column, lane.kind) else {
            return Step::Ask;
        };
        let open = self.window.get(number).expect("lanes go over tiles that are held");
        if !open.tile.is_pending(lane.column, offset) {
            return Step::Ask; // nobody will
        }
        let unit = unit_of(&open.target(offset), bits);
        match &lane.last_unit {
            Some(LastUnit {
                unit: same,
                answer: Some(answer),
                ..
            }) if *same == unit => {
                let epoch = (!self.options.skip_health).then_some(lane.epoch);
                let known = (answer.clone(), How::Shared);
                open.tile.learn(lane.column, offset, known, epoch);
                lane.provisional += u32::from(epoch.is_some());
                self.stirred = true;
                self.spread(index, number, offset);
                Step::Learnt
            }
            // Whatever the answer is, there comes a moment at which nothing is out any more.
            Some(last) if last.unit == unit && last.tile != number && lane.in_flight > 0 => Step::Wait,
            _ => {
                lane.last_unit = Some(LastUnit {
                    unit,
                    tile: number,
                    answer: None,
                });
                Step::Ask
            }
        }
    }

    /// A pair of a lane has been settled: what it says of its unit is remembered, if that is the last one.
    pub(super) fn remember_unit(&mut self, index: LaneIndex, number: u32, offset: usize) {
        let lane = &mut self.lanes[usize::from(index.0)];
        let Some(bits) = self.plan.unit(lane.column, lane.kind) else {
            return;
        };
        let open = self.window.get(number).expect("a tile with pairs in flight is held");
        let unit = unit_of(&open.target(offset), bits);
        let Some(last) = lane.last_unit.as_mut().filter(|last| last.unit == unit) else {
            return;
        };
        match open.tile.observation(lane.column, offset).0 {
            known @ (Observation::Listed(_) | Observation::NotListed) => last.answer = Some(known),
            Observation::Unknown(_) | Observation::NotAsked(_) => lane.forget_unit(),
        }
    }
}

impl Lane {
    /// Nothing is known of the last unit.
    pub(super) fn forget_unit(&mut self) {
        self.last_unit = None;
    }
}
