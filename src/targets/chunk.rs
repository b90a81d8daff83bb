//! A slice of a target set: at most 256 targets of one kind. It is what a tile is made of.

use super::set::{Lanes, Position};
use super::target::{Kind, Target};

/// Most targets in a chunk: a /24.
pub const CHUNK_TARGETS_MAX: usize = 256;

/// At most [`CHUNK_TARGETS_MAX`] targets of one kind, in input order. It holds none of them, only where they are.
#[derive(Debug, Clone, Copy)]
pub struct Chunk<'a> {
    lanes: &'a Lanes,
    start: Position,
    len: u16,
}

impl<'a> Chunk<'a> {
    pub(super) fn new(lanes: &'a Lanes, start: Position, len: u16) -> Chunk<'a> {
        Chunk { lanes, start, len }
    }

    /// The kind of all its targets.
    pub fn kind(&self) -> Kind {
        self.start.lane.kind()
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
    pub fn get(&self, index: usize) -> Option<Target> {
        if index >= self.len() {
            return None;
        }
        let mut at = self.start;
        let mut ahead = index as u64;
        loop {
            let left = self.lanes.run_len(at.lane, at.run) - at.offset;
            if ahead < left {
                at.offset += ahead;
                return Some(self.lanes.target(at));
            }
            ahead -= left;
            at = next_run(at);
        }
    }

    /// The targets, in input order.
    pub fn iter(&self) -> ChunkTargets<'a> {
        ChunkTargets {
            lanes: self.lanes,
            at: self.start,
            left: self.len,
        }
    }
}

fn next_run(at: Position) -> Position {
    Position {
        offset: 0,
        run: at.run + 1,
        lane: at.lane,
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
}

impl Iterator for ChunkTargets<'_> {
    type Item = Target;

    fn next(&mut self) -> Option<Target> {
        self.left = self.left.checked_sub(1)?;
        if self.at.offset == self.lanes.run_len(self.at.lane, self.at.run) {
            self.at = next_run(self.at);
        }
        let target = self.lanes.target(self.at);
        self.at.offset += 1;
        Some(target)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left.into(), Some(self.left.into()))
    }
}

impl ExactSizeIterator for ChunkTargets<'_> {}
