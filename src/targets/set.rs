//! The targets of a run, compact: runs of addresses, names in one arena, and an index of chunks.
//!
//! A target is found through (section, run, offset). A section is a stretch of the input whose runs are in one lane, that
//! is, in one table of runs; a domain is a run of length one. A chunk is a slice of that sequence, over as many sections
//! as it takes: a file whose lines are an address and a name in turn has chunks of 128 of each. The index has one entry
//! for each stretch of whole blocks (a /8 has one) and one for each other chunk, so memory follows the text of the input,
//! not what it covers: 8 octets for a run of IPv4 addresses, 32 for one of IPv6, 4 and its text for a domain, 12 for a
//! section, and 40 for each index entry.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::chunk::Chunk;
use super::interval::Ordinal;
use super::target::{Domain, Kind, Target};

/// Most runs and domains in a set. At 50 octets each, with what it takes to tell doubles while reading, a gigabyte.
pub const RUNS_MAX: usize = 10_000_000;

/// Which table a run is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lane {
    Ip4,
    Ip6,
    Ip6Prefixes,
    Domain,
}

impl Lane {
    pub(super) const ALL: [Lane; 4] = [Lane::Ip4, Lane::Ip6, Lane::Ip6Prefixes, Lane::Domain];

    pub(super) fn kind(self) -> Kind {
        match self {
            Lane::Ip4 => Kind::Ip4,
            Lane::Ip6 | Lane::Ip6Prefixes => Kind::Ip6,
            Lane::Domain => Kind::Domain,
        }
    }
}

/// Consecutive numbers, both ends included.
#[derive(Debug, Clone, Copy)]
pub(super) struct Run<T> {
    pub(super) first: T,
    pub(super) last: T,
}

impl<T: Ordinal> Run<T> {
    fn len(self) -> u64 {
        (self.last.wide() - self.first.wide()) as u64 + 1 // a form has 2^32 at most, a set RUNS_MAX of them
    }
}

/// A stretch of the input whose runs follow each other in one lane.
#[derive(Debug, Clone, Copy)]
pub(super) struct Section {
    pub(super) lane: Lane,
    /// The first of its runs in the lane.
    pub(super) first: u32,
    pub(super) runs: u32,
}

/// A place in the sequence of targets.
#[derive(Debug, Clone, Copy)]
pub(super) struct Position {
    pub(super) offset: u64,
    pub(super) run: u32,
    pub(super) section: u32,
}

/// Chunks that follow each other: one, or whole blocks of one run.
#[derive(Debug, Clone, Copy)]
pub(super) struct Group {
    pub(super) first_chunk: u64,
    pub(super) position: Position,
    /// Targets in each of the chunks.
    pub(super) len: u16,
    /// Targets from the start of one to the start of the next: more than `len` in a share of a set.
    pub(super) stride: u64,
}

/// Names one behind the other in one text.
#[derive(Debug, Default)]
pub(super) struct Names {
    text: String,
    /// Where each ends; 32 bits do: [`RUNS_MAX`] names of 253 octets are 2.5 GB.
    ends: Vec<u32>,
}

impl Names {
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(super) fn name(&self, index: u32) -> &str {
        let index = index as usize;
        let start = index.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.text[start as usize..self.ends[index] as usize]
    }

    pub(super) fn push(&mut self, name: &str) {
        self.text.push_str(name);
        self.ends
            .push(u32::try_from(self.text.len()).expect("RUNS_MAX names are less than 4 GiB"));
    }

    #[cfg(test)]
    pub(super) fn octets(&self) -> usize {
        self.text.capacity() + size_of::<u32>() * self.ends.capacity()
    }

    pub(super) fn shrink(&mut self) {
        self.text.shrink_to_fit();
        self.ends.shrink_to_fit();
    }
}

/// The tables of runs, and the order in which the input goes from one to the other.
#[derive(Debug, Default)]
pub(super) struct Lanes {
    pub(super) sections: Vec<Section>,
    pub(super) ip4: Vec<Run<u32>>,
    pub(super) ip6: Vec<Run<u128>>,
    pub(super) ip6_prefixes: Vec<Run<u64>>,
    pub(super) names: Names,
}

impl Lanes {
    /// How many runs a lane has.
    pub(super) fn runs(&self, lane: Lane) -> usize {
        match lane {
            Lane::Ip4 => self.ip4.len(),
            Lane::Ip6 => self.ip6.len(),
            Lane::Ip6Prefixes => self.ip6_prefixes.len(),
            Lane::Domain => self.names.len(),
        }
    }

    /// How many targets a run has.
    pub(super) fn run_len(&self, lane: Lane, run: u32) -> u64 {
        let run = run as usize;
        match lane {
            Lane::Ip4 => self.ip4[run].len(),
            Lane::Ip6 => self.ip6[run].len(),
            Lane::Ip6Prefixes => self.ip6_prefixes[run].len(),
            Lane::Domain => 1,
        }
    }

    /// The low bits of a run's first number: where in a block of targets it starts. Domains have no blocks.
    pub(super) fn run_phase(&self, lane: Lane, run: u32) -> u8 {
        let run = run as usize;
        match lane {
            Lane::Ip4 => self.ip4[run].first as u8,
            Lane::Ip6 => self.ip6[run].first as u8,
            Lane::Ip6Prefixes => self.ip6_prefixes[run].first as u8,
            Lane::Domain => 0,
        }
    }

    pub(super) fn lane(&self, at: Position) -> Lane {
        self.sections[at.section as usize].lane
    }

    /// How many targets there are from a place to the end of its run.
    pub(super) fn left_of_run(&self, at: Position) -> u64 {
        self.run_len(self.lane(at), at.run) - at.offset
    }

    /// The start of the run behind a place; there must be one.
    pub(super) fn next_run(&self, at: Position) -> Position {
        let section = self.sections[at.section as usize];
        if at.run + 1 < section.first + section.runs {
            let (run, section) = (at.run + 1, at.section);
            return Position {
                offset: 0,
                run,
                section,
            };
        }
        let section = at.section + 1;
        let run = self.sections[section as usize].first;
        Position {
            offset: 0,
            run,
            section,
        }
    }

    pub(super) fn target(&self, at: Position) -> Target {
        let run = at.run as usize;
        match self.lane(at) {
            Lane::Ip4 => Target::Ip4(Ipv4Addr::from_bits(self.ip4[run].first + at.offset as u32)), // within the run
            Lane::Ip6 => Target::Ip6(Ipv6Addr::from_bits(self.ip6[run].first + u128::from(at.offset))),
            Lane::Ip6Prefixes => {
                let upper = self.ip6_prefixes[run].first + at.offset;
                Target::Ip6(Ipv6Addr::from_bits(u128::from(upper) << 64))
            }
            Lane::Domain => {
                Target::Domain(Domain::new(self.names.name(at.run)).expect("checked when the name was read"))
            }
        }
    }
}

/// The targets of a run: each once, in the order in which the input first named them.
#[derive(Debug)]
pub struct TargetSet {
    pub(super) lanes: Lanes,
    pub(super) groups: Vec<Group>,
    pub(super) chunk_count: u64,
    pub(super) counts: [u64; Kind::ALL.len()],
    pub(super) duplicates: u64,
}

impl TargetSet {
    /// How many targets there are.
    pub fn len(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Whether there are none, as when the input has comments only.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many targets of a kind there are.
    pub fn count(&self, kind: Kind) -> u64 {
        self.counts[kind as usize]
    }

    /// How many targets the input named that it had named before.
    pub fn duplicates(&self) -> u64 {
        self.duplicates
    }

    /// How many chunks there are.
    pub fn chunk_count(&self) -> u64 {
        self.chunk_count
    }

    /// The chunk with this number, from 0; none behind the last. The same input has the same chunks on every machine.
    pub fn chunk(&self, number: u64) -> Option<Chunk<'_>> {
        if number >= self.chunk_count {
            return None;
        }
        let behind = self.groups.partition_point(|group| group.first_chunk <= number);
        let group = self.groups[behind - 1]; // the first group starts at chunk 0
        let mut start = group.position;
        start.offset += (number - group.first_chunk) * group.stride;
        Some(Chunk::new(&self.lanes, start, group.len))
    }

    /// The `number`-th of `of` equal shares, counted from 1: every chunk is in exactly one of them.
    ///
    /// # Panics
    /// If there is no such share.
    pub fn shard(self, number: u32, of: u32) -> TargetSet {
        assert!((1..=of).contains(&number), "shares are counted from 1");
        let (first, of) = (u64::from(number - 1), u64::from(of));
        let ends = self.groups.iter().skip(1).map(|group| group.first_chunk);
        let ends = ends.chain([self.chunk_count]);
        let mut shard = TargetSet {
            groups: Vec::new(),
            chunk_count: 0,
            counts: [0; Kind::ALL.len()],
            lanes: Lanes::default(),
            duplicates: self.duplicates,
        };
        for (group, end) in self.groups.iter().zip(ends) {
            let skipped = (first + of - group.first_chunk % of) % of;
            let chunks = (end - group.first_chunk).saturating_sub(skipped).div_ceil(of);
            if chunks == 0 {
                continue;
            }
            let mut position = group.position;
            position.offset += skipped * group.stride;
            shard.groups.push(Group {
                first_chunk: shard.chunk_count,
                position,
                len: group.len,
                stride: group.stride * of,
            });
            shard.chunk_count += chunks;
            // Where a group has many chunks, they are blocks of one run.
            let in_one = Chunk::new(&self.lanes, position, group.len).counts();
            for (sum, count) in shard.counts.iter_mut().zip(in_one) {
                *sum += chunks * count;
            }
        }
        shard.lanes = self.lanes;
        shard
    }

    /// All chunks, in input order.
    pub fn chunks(&self) -> impl Iterator<Item = Chunk<'_>> {
        self.chunks_from(0)
    }

    /// The chunks from this number on, for a run that is resumed.
    pub fn chunks_from(&self, number: u64) -> impl Iterator<Item = Chunk<'_>> {
        (number..self.chunk_count).map_while(|number| self.chunk(number))
    }
}
