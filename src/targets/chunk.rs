//! A slice of a target set: at most 256 targets, in input order, of whatever kinds. It is what a tile is made of.

use super::set::{Lanes, Position};
use super::special::{share_use, special_use};
use super::target::{Kind, Target};

/// Most targets in a chunk: a /24.
pub const CHUNK_TARGETS_MAX: usize = 256;

/// At most [`CHUNK_TARGETS_MAX`] targets, in input order. It holds none of them, only where they are.
#[derive(Debug, Clone, Copy)]
pub struct Chunk<'a> {
    lanes: &'a Lanes,
    start: Position,
    len: u16,
    /// Targets from the start to the end of its run: for most chunks more than it has.
    left_of_run: u64,
}

impl<'a> Chunk<'a> {
    pub(super) fn new(lanes: &'a Lanes, start: Position, len: u16) -> Chunk<'a> {
        Chunk {
            lanes,
            start,
            len,
            left_of_run: lanes.left_of_run(start),
        }
    }

    /// How many targets: 1 to [`CHUNK_TARGETS_MAX`].
    pub fn len(&self) -> usize {
        self.len.into()
    }

    /// Never: a chunk has a target.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The target at a place in the chunk, from 0; none behind the last. Walks the chunk's runs: a block has one,
    /// scattered addresses have as many as targets.
    #[inline]
    pub fn get(&self, index: usize) -> Option<Target> {
        if index >= self.len() {
            return None;
        }
        let (mut at, mut left) = (self.start, self.left_of_run);
        let mut ahead = index as u64;
        while ahead >= left {
            ahead -= left;
            at = self.lanes.next_run(at);
            left = self.lanes.left_of_run(at);
        }
        at.offset += ahead;
        Some(self.lanes.target(at))
    }

    /// Whether a target is of this kind.
    pub fn has(&self, kind: Kind) -> bool {
        self.counts()[kind as usize] > 0
    }

    /// How many targets of each kind are of no special use. Addresses of a run that share a /24 are looked at together:
    /// whoever stops the scan of a large range waits for the count of what was not reached.
    pub fn ordinary(&self) -> [u64; Kind::ALL.len()] {
        let mut counts = [0; Kind::ALL.len()];
        let (mut at, mut left) = (self.start, u64::from(self.len));
        loop {
            let here = self.lanes.left_of_run(at).min(left);
            let nth = |ahead| {
                let offset = at.offset + ahead;
                self.lanes.target(Position { offset, ..at })
            };
            let is_ordinary = |ahead: &u64| special_use(&nth(*ahead)).is_none();
            counts[self.lanes.lane(at).kind() as usize] += match share_use(&nth(0), &nth(here - 1)) {
                true => here * u64::from(is_ordinary(&0)),
                false => (0..here).filter(is_ordinary).count() as u64,
            };
            left -= here;
            if left == 0 {
                return counts;
            }
            at = self.lanes.next_run(at);
        }
    }

    /// How many targets there are of each kind.
    pub fn counts(&self) -> [u64; Kind::ALL.len()] {
        let mut counts = [0; Kind::ALL.len()];
        let (mut at, mut left) = (self.start, u64::from(self.len));
        loop {
            let here = self.lanes.left_of_run(at).min(left);
            counts[self.lanes.lane(at).kind() as usize] += here;
            left -= here;
            if left == 0 {
                return counts;
            }
            at = self.lanes.next_run(at);
        }
    }

    /// The targets, in input order.
    pub fn iter(&self) -> ChunkTargets<'a> {
        ChunkTargets {
            lanes: self.lanes,
            at: self.start,
            left: self.len,
            left_of_run: self.left_of_run,
        }
    }
}

impl<'a> IntoIterator for &Chunk<'a> {
    type Item = Target;
    type IntoIter = ChunkTargets<'a>;

    fn into_iter(self) -> ChunkTargets<'a> {
        self.iter()
    }
}

/// The targets of a chunk.
#[derive(Debug, Clone)]
pub struct ChunkTargets<'a> {
    lanes: &'a Lanes,
    at: Position,
    left: u16,
    left_of_run: u64,
}

impl Iterator for ChunkTargets<'_> {
    type Item = Target;

    fn next(&mut self) -> Option<Target> {
        self.left = self.left.checked_sub(1)?;
        if self.left_of_run == 0 {
            self.at = self.lanes.next_run(self.at);
            self.left_of_run = self.lanes.left_of_run(self.at);
        }
        let target = self.lanes.target(self.at);
        self.at.offset += 1;
        self.left_of_run -= 1;
        Some(target)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left.into(), Some(self.left.into()))
    }
}

impl ExactSizeIterator for ChunkTargets<'_> {}
