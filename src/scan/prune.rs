//! Pruning by RFC 8020: where nothing exists below `c.b.a.ZONE`, nothing is listed in a.b.c.0/24, and one question settles
//! 256 addresses.
//!
//! That holds only where a server denies what has nothing below it and never what has: many serve lists that deny the
//! parents of their entries. So it is believed of a server, for a list, only as long as
//!
//! 1. it is asked directly and speaks for the zone (AA), never a resolver;
//! 2. it lists the list's test entry, and each of the three parents of that entry exists without records (three
//!    confirmations);
//! 3. no address is found listed below a parent that it denied. To find that out, some addresses below each denied parent
//!    are asked all the same, and all of them below the first one and one in [`FULL_ONE_IN`].
//!
//! One contradiction ends the pruning of that list, whichever of its servers was believed, and what pruning had settled is
//! asked: see `undo`. A listed parent is a hint at most: everything below is asked.
//!
//! What is pruned is provisional like any answer, until a later control of the list is good.

use std::collections::{HashMap, HashSet};
use std::net::Ipv4Addr;

use rand::RngExt;

use crate::clock::Instant;
use crate::dnsxl::{How, Observation, Subject, positive};
use crate::exchange::{Ask, End, Outcome, Reply, Upstream};
use crate::plan::habits::TILES_MAX;
use crate::plan::pruning::{FULL_ONE_IN, QUESTIONS, SAMPLE, WORTH};
use crate::targets::{Kind, Target};
use crate::wire::{Name, Rcode, Rtype};

use super::lane::Standing;
use super::network::Network;
use super::ticket::{LaneIndex, Purpose};
use super::worker::Worker;

/// Tiles whose parents are asked about in one turn: fewer than the slots that are kept back.
const TILES_PER_TURN: usize = 16;

/// What is known of one server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trust {
    /// Its proof is out: so many answers fitted, so many are still to come.
    Proving { fitted: u8, out: u8 },
    /// Its denials of parents are believed.
    Proved,
    /// They are not.
    Refuted,
}

/// What a lane knows for its pruning.
#[derive(Debug, Default)]
pub(super) struct Pruning {
    servers: HashMap<Upstream, Trust>,
    /// Parents of open tiles' addresses that were denied, by tile and /24.
    denied: HashSet<(u32, Ipv4Addr)>,
    /// A denied parent has been asked about in full.
    begun: bool,
    /// Pairs of tiles that were handed out which pruning had settled.
    closed: u64,
    /// It has ended because a denial proved false.
    ended: bool,
}

impl Pruning {
    /// Whether it may still turn out that somebody can be believed, and nobody can yet.
    fn is_proving(&self) -> bool {
        let proving = |trust: &Trust| matches!(trust, Trust::Proving { .. });
        self.servers.values().any(proving) && !self.is_on()
    }

    fn is_on(&self) -> bool {
        self.servers.values().any(|trust| *trust == Trust::Proved)
    }

    /// Nobody is believed any more. Returns how many pairs that were handed out are in doubt.
    pub(super) fn end(&mut self) -> u64 {
        self.servers.values_mut().for_each(|trust| *trust = Trust::Refuted);
        self.denied.clear();
        self.ended = true;
        self.closed
    }

    /// Tiles come once more: what they were denied before is of no use.
    pub(super) fn forget_denials(&mut self) {
        self.denied.clear();
    }

    /// How many pairs that were handed out are in doubt.
    pub(super) fn unproved(&self) -> u64 {
        match self.ended {
            true => self.closed,
            false => 0,
        }
    }
}

impl<N: Network> Worker<'_, N> {
    /// Asks each server of a lane to prove itself, if pruning is wanted and possible there.
    pub(super) fn prove(&mut self, now: Instant, index: LaneIndex) {
        let lane = &self.lanes[usize::from(index.0)];
        if !self.options.prune || lane.kind != Kind::Ip4 || !lane.routed || lane.prune.is_some() {
            return;
        }
        let route = lane.route;
        let proven_false = self.undo.doubts.concern(lane.list);
        let Some(names) = self.proof_names(index).filter(|_| !proven_false) else {
            self.lanes[usize::from(index.0)].prune = Some(Pruning::default()); // nobody can prove anything
            return;
        };
        let upstreams: Vec<Upstream> = self.engine.upstreams(route).collect();
        let mut pruning = Pruning::default();
        for &upstream in &upstreams {
            let proving = Trust::Proving {
                fitted: 0,
                out: QUESTIONS as u8,
            };
            pruning.servers.insert(upstream, proving);
        }
        self.lanes[usize::from(index.0)].prune = Some(pruning);
        for &upstream in &upstreams {
            for (number, name) in names.iter().enumerate() {
                let purpose = Purpose::Proof {
                    lane: index,
                    number: number as u8, // below QUESTIONS
                };
                let ask = Ask {
                    ticket: purpose.ticket(),
                    name,
                    rtype: Rtype::A,
                    route,
                    probe: true,
                };
                let lane = &mut self.lanes[usize::from(index.0)];
                lane.asked += 1;
                lane.in_flight += 1;
                if self.engine.submit_via(now, ask, upstream).is_err() {
                    self.lanes[usize::from(index.0)].in_flight -= 1;
                    self.answer_proof(index, upstream, false);
                }
            }
        }
    }

    /// The names of a proof: the test entry, and its three parents.
    fn proof_names(&self, index: LaneIndex) -> Option<Vec<Name>> {
        let lane = &self.lanes[usize::from(index.0)];
        let questions = self.plan.columns[lane.column].questions.as_ref().ok()?;
        let Some(Subject::Ip4(entry)) = positive(self.plan.catalogue.list(lane.list), Kind::Ip4) else {
            return None;
        };
        (1..=4).rev().map(|octets| questions.parent_v4(entry, octets)).collect()
    }

    /// Takes an answer of a proof.
    pub(super) fn take_proof(&mut self, index: LaneIndex, number: u8, outcome: &Outcome) {
        self.lanes[usize::from(index.0)].in_flight -= 1;
        let fits = match &outcome.end {
            End::Reply(reply) => speaks(reply) && reply.rcode == Rcode::NOERROR && (reply.answers > 0) == (number == 0),
            _ => false,
        };
        self.answer_proof(index, outcome.upstream, fits);
    }

    fn answer_proof(&mut self, index: LaneIndex, upstream: Upstream, fits: bool) {
        let pruning = self.lanes[usize::from(index.0)].prune.as_mut();
        let Some(trust) = pruning.and_then(|pruning| pruning.servers.get_mut(&upstream)) else {
            return;
        };
        if let Trust::Proving { fitted, out } = trust {
            (*fitted, *out) = (*fitted + u8::from(fits), *out - 1);
            if *out == 0 {
                *trust = match usize::from(*fitted) {
                    QUESTIONS => Trust::Proved,
                    _ => Trust::Refuted,
                };
            }
        }
    }

    /// Whether a lane's servers are still proving themselves: nothing is asked before.
    pub(super) fn is_proving(&self, index: LaneIndex) -> bool {
        let lane = &self.lanes[usize::from(index.0)];
        lane.prune.as_ref().is_some_and(Pruning::is_proving)
    }

    /// Where pruning is on and the lane stands at the beginning of a tile: asks about the parents of its addresses, and lets
    /// the lane go on behind it. What is not worth a question goes into the lane's queue. Whether that was done for as many
    /// tiles as a turn allows.
    pub(super) fn ask_parents(&mut self, now: Instant, index: LaneIndex) -> bool {
        for _ in 0..TILES_PER_TURN {
            let lane = &mut self.lanes[usize::from(index.0)];
            if !lane.prune.as_ref().is_some_and(Pruning::is_on) {
                return false;
            }
            let (number, step) = lane.cursor.max((self.window.first(), 0));
            if number >= self.window.end() || step > 0 {
                return false;
            }
            let column = lane.column;
            let tile = self.window.get(number).expect("between first and end");
            if tile.done || !tile.has(Kind::Ip4) {
                return false;
            }
            let mut blocks: Vec<(Ipv4Addr, Vec<u8>)> = Vec::new();
            for (offset, target) in tile.chunk.iter().enumerate() {
                let Target::Ip4(address) = target else { continue };
                if !tile.tile.is_open(column, offset) {
                    continue;
                }
                let block = block_of(address);
                let offset = offset as u8; // a tile has 256 targets at most
                match blocks.last_mut() {
                    Some((last, offsets)) if *last == block => offsets.push(offset),
                    _ => blocks.push((block, vec![offset])),
                }
            }
            let worth = blocks.iter().filter(|(_, offsets)| offsets.len() >= WORTH).count() as u64;
            let tries = 1 + u64::from(self.options.retries);
            if self.allowance(now, index) < tries * (worth + 2) {
                return false; // it is asked address by address, as far as the budget goes
            }
            for (block, offsets) in blocks {
                let asked = offsets.len() >= WORTH && self.ask_parent(now, index, (number, offsets[0]), block);
                if !asked {
                    let lane = &mut self.lanes[usize::from(index.0)];
                    lane.again.extend(offsets.into_iter().map(|offset| (number, offset)));
                }
            }
            let lane = &mut self.lanes[usize::from(index.0)];
            lane.cursor = (number + 1, 0);
            lane.idle = false;
        }
        true
    }

    fn ask_parent(&mut self, now: Instant, index: LaneIndex, (tile, offset): (u32, u8), block: Ipv4Addr) -> bool {
        let lane = &self.lanes[usize::from(index.0)];
        let questions = self.plan.columns[lane.column].asked();
        let Some(name) = questions.parent_v4(block, 3) else {
            return false;
        };
        let purpose = Purpose::Parent {
            lane: index,
            tile,
            offset,
        };
        let ask = Ask {
            ticket: purpose.ticket(),
            route: self.way_to(index, &name),
            name: &name,
            rtype: Rtype::A,
            probe: false,
        };
        let asked = self.engine.submit(now, ask).is_ok();
        let lane = &mut self.lanes[usize::from(index.0)];
        lane.asked += u64::from(asked);
        lane.in_flight += u32::from(asked);
        asked
    }

    /// Takes the answer about the parent of a tile's addresses, from the one at `offset` on.
    pub(super) fn take_parent(&mut self, index: LaneIndex, (number, offset): (u32, u8), outcome: &Outcome) {
        let lane = &mut self.lanes[usize::from(index.0)];
        lane.in_flight -= 1;
        // A list that is not trusted at the moment begins anew with these tiles when it is.
        if lane.standing != Standing::Good || self.stopping.is_some() {
            return;
        }
        let column = lane.column;
        let Some(tile) = self.window.get(number).filter(|tile| !tile.done) else {
            return;
        };
        let Target::Ip4(first) = tile.target(usize::from(offset)) else {
            return;
        };
        let block = block_of(first);
        let below = tile.chunk.iter().enumerate().filter(|(_, target)| match target {
            Target::Ip4(address) => block_of(*address) == block,
            _ => false,
        });
        let mut open: Vec<usize> = below
            .map(|(offset, _)| offset)
            .filter(|offset| tile.tile.is_open(column, *offset))
            .collect();
        let pruning = lane
            .prune
            .as_mut()
            .expect("parents are asked about where pruning is on");
        let denied = matches!(&outcome.end, End::Reply(reply) if speaks(reply) && reply.rcode == Rcode::NXDOMAIN);
        let believed = denied && pruning.servers.get(&outcome.upstream) == Some(&Trust::Proved);
        if believed {
            pruning.denied.insert((number, block));
            let full = !std::mem::replace(&mut pruning.begun, true) || self.rng.random_range(0..FULL_ONE_IN) == 0;
            if !full {
                let sample = SAMPLE.min(open.len());
                for place in 0..sample {
                    let other = self.rng.random_range(place..open.len());
                    open.swap(place, other);
                }
                let pruned = open.split_off(sample);
                let epoch = (!self.options.skip_health).then_some(lane.epoch);
                lane.answers += 1;
                for offset in pruned {
                    let tile = self.window.get(number).expect("just seen");
                    let learnt = (Observation::NotListed, How::Pruned);
                    if tile.tile.learn(column, offset, learnt, epoch) {
                        let lane = &mut self.lanes[usize::from(index.0)];
                        lane.provisional += u32::from(epoch.is_some());
                        self.spread(index, number, offset);
                    }
                }
            }
        }
        let lane = &mut self.lanes[usize::from(index.0)];
        lane.again.extend(open.into_iter().map(|offset| (number, offset as u8))); // a tile has 256 targets at most
        lane.idle = false;
        // What closed tiles were denied is of no more use.
        let first = self.window.first();
        let pruning = self.lanes[usize::from(index.0)].prune.as_mut().expect("as above");
        if pruning.denied.len() > 4 * TILES_MAX {
            pruning.denied.retain(|(tile, _)| *tile >= first);
        }
    }

    /// A tile is handed out: counts what pruning has settled in it.
    pub(super) fn count_pruned(&mut self, number: u32) {
        let Some(open) = self.window.get(number).filter(|_| !self.undo.again) else {
            return;
        };
        for lane in self.lanes.iter_mut().filter(|lane| open.has(lane.kind)) {
            if let Some(pruning) = &mut lane.prune {
                let pairs = open
                    .tile
                    .offsets(lane.kind)
                    .map(|offset| open.tile.observation(lane.column, offset));
                pruning.closed += pairs.filter(|(_, how)| *how == How::Pruned).count() as u64;
            }
        }
    }

    /// An address is listed. If its parent was denied, that was false, and so may be whatever else was denied.
    pub(super) fn hold_against_parent(&mut self, index: LaneIndex, number: u32, offset: u8) {
        let lane = &self.lanes[usize::from(index.0)];
        let Some(pruning) = &lane.prune else { return };
        let Some(tile) = self.window.get(number) else { return };
        let Target::Ip4(address) = tile.target(usize::from(offset)) else {
            return;
        };
        if pruning.denied.contains(&(number, block_of(address))) {
            self.doubt(index);
        }
    }
}

/// The /24 of an address.
fn block_of(address: Ipv4Addr) -> Ipv4Addr {
    let [a, b, c, _] = address.octets();
    Ipv4Addr::new(a, b, c, 0)
}

/// Whether a reply is a whole one of a server that speaks for the zone.
fn speaks(reply: &Reply) -> bool {
    reply.authoritative && !reply.truncated
}
