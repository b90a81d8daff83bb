//! Makes a [`TargetSet`]: cuts out what was named before, joins neighbours to runs, and cuts all into chunks.
//!
//! Chunks are cut from the input as it stands, across kinds: a file in which they alternate line by line makes chunks that
//! are as full as those of one in which they do not.
//!
//! What tells doubles (interval sets and a hash table of names) is dropped when the set is done.

use std::hash::{BuildHasher, RandomState};

use hashbrown::HashTable;

use super::chunk::CHUNK_TARGETS_MAX;
use super::interval::{IntervalSet, Ordinal};
use super::parse::Form;
use super::set::{Group, Lane, Lanes, Names, Position, RUNS_MAX, Run, Section, TargetSet};
use super::target::Kind;

/// The set has no room for more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Full;

/// A set that is being read.
pub(super) struct Builder {
    lanes: Lanes,
    seen_ip4: IntervalSet<u32>,
    seen_ip6: IntervalSet<u128>,
    seen_ip6_prefixes: IntervalSet<u64>,
    seen_names: HashTable<u32>,
    /// Keyed at random: names come from files that others write.
    hasher: RandomState,
    counts: [u64; Kind::ALL.len()],
    duplicates: u64,
}

impl Builder {
    pub(super) fn new() -> Builder {
        Builder {
            lanes: Lanes::default(),
            seen_ip4: IntervalSet::new(),
            seen_ip6: IntervalSet::new(),
            seen_ip6_prefixes: IntervalSet::new(),
            seen_names: HashTable::new(),
            hasher: RandomState::new(),
            counts: [0; Kind::ALL.len()],
            duplicates: 0,
        }
    }

    /// Adds what of a form is new.
    pub(super) fn add(&mut self, form: &Form) -> Result<(), Full> {
        let (lane, named) = match form {
            Form::Ip4(first, last) => (Lane::Ip4, u64::from(last - first) + 1),
            Form::Ip6(first, last) => (Lane::Ip6, (last - first) as u64 + 1), // IP6_TARGETS_MAX at most
            Form::Ip6Prefixes(first, last) => (Lane::Ip6Prefixes, last - first + 1),
            Form::Domain(_) => (Lane::Domain, 1),
        };
        let runs_before = self.lanes.runs(lane);
        let joins = self.lanes.sections.last().is_some_and(|last| last.lane == lane);
        let room = RUNS_MAX - self.run_count();
        let added = match form {
            Form::Ip4(first, last) => claim(&mut self.seen_ip4, &mut self.lanes.ip4, (*first, *last), joins, room),
            Form::Ip6(first, last) => claim(&mut self.seen_ip6, &mut self.lanes.ip6, (*first, *last), joins, room),
            Form::Ip6Prefixes(first, last) => {
                let (seen, runs) = (&mut self.seen_ip6_prefixes, &mut self.lanes.ip6_prefixes);
                claim(seen, runs, (*first, *last), joins, room)
            }
            Form::Domain(name) => self.add_name(name, room),
        }?;
        let runs_new = (self.lanes.runs(lane) - runs_before) as u32; // RUNS_MAX at most
        match self.lanes.sections.last_mut() {
            Some(section) if joins => section.runs += runs_new,
            _ if runs_new > 0 => self.lanes.sections.push(Section {
                lane,
                first: runs_before as u32, // RUNS_MAX at most
                runs: runs_new,
            }),
            _ => {}
        }
        self.counts[lane.kind() as usize] += added;
        self.duplicates += named - added;
        Ok(())
    }

    fn run_count(&self) -> usize {
        Lane::ALL.into_iter().map(|lane| self.lanes.runs(lane)).sum()
    }

    fn add_name(&mut self, name: &str, room: usize) -> Result<u64, Full> {
        let Builder {
            lanes,
            seen_names,
            hasher,
            ..
        } = self;
        let hash = hasher.hash_one(name);
        if seen_names
            .find(hash, |&index| lanes.names.name(index) == name)
            .is_some()
        {
            return Ok(0);
        }
        if room == 0 {
            return Err(Full);
        }
        let index = lanes.names.len() as u32; // RUNS_MAX at most
        lanes.names.push(name);
        seen_names.insert_unique(hash, index, |&index| hasher.hash_one(lanes.names.name(index)));
        Ok(1)
    }

    /// The set.
    pub(super) fn finish(self) -> TargetSet {
        let Builder {
            mut lanes,
            counts,
            duplicates,
            ..
        } = self;
        lanes.ip4.shrink_to_fit();
        lanes.ip6.shrink_to_fit();
        lanes.ip6_prefixes.shrink_to_fit();
        Names::shrink(&mut lanes.names);
        lanes.sections.shrink_to_fit();
        let mut index = Index::default();
        for (number, section) in (0..).zip(&lanes.sections) {
            for run in section.first..section.first + section.runs {
                index.add_run(&lanes, (number, section.lane), run);
            }
        }
        index.close();
        index.groups.shrink_to_fit();
        TargetSet {
            lanes,
            groups: index.groups,
            chunk_count: index.chunks,
            counts,
            duplicates,
        }
    }
}

/// Adds what of `ends` was not seen to the runs, and says how many numbers that is. With `joins`, it may lengthen the last
/// run there is.
fn claim<T: Ordinal>(
    seen: &mut IntervalSet<T>,
    runs: &mut Vec<Run<T>>,
    ends: (T, T),
    joins: bool,
    room: usize,
) -> Result<u64, Full> {
    let bound = runs.len() + room;
    let mut added = 0;
    seen.claim(ends.0, ends.1, |first, last| {
        added += (last.wide() - first.wide()) as u64 + 1; // a form has 2^32 at most
        let full = runs.len() >= bound;
        match runs.last_mut() {
            Some(run) if joins && run.last.wide().checked_add(1) == Some(first.wide()) => run.last = last,
            _ if full => return Err(Full),
            _ => runs.push(Run { first, last }),
        }
        Ok(())
    })?;
    Ok(added)
}

/// The index of chunks, as it grows.
#[derive(Default)]
struct Index {
    groups: Vec<Group>,
    chunks: u64,
    /// The chunk that is being filled.
    open: Option<(Position, usize)>,
}

impl Index {
    /// Cuts a run at block boundaries: whole blocks are chunks of their own, what is left before and behind them shares
    /// chunks with its neighbours in the input.
    fn add_run(&mut self, lanes: &Lanes, (section, lane): (u32, Lane), run: u32) {
        let block = CHUNK_TARGETS_MAX as u64;
        let position = |offset| Position { offset, run, section };
        let len = lanes.run_len(lane, run);
        let to_boundary = (block - u64::from(lanes.run_phase(lane, run))) % block;
        let head = len.min(to_boundary);
        let blocks = (len - head) / block;
        let tail = (len - head) % block;
        self.add_piece(position(0), head as usize); // less than a block
        if blocks > 0 {
            self.close();
            self.push(position(head), CHUNK_TARGETS_MAX, blocks);
        }
        self.add_piece(position(len - tail), tail as usize); // less than a block
    }

    /// A piece stays whole: if it does not fit, a new chunk begins.
    fn add_piece(&mut self, position: Position, len: usize) {
        if len == 0 {
            return;
        }
        if self.open.is_some_and(|(_, open)| open + len > CHUNK_TARGETS_MAX) {
            self.close();
        }
        let (_, open) = self.open.get_or_insert((position, 0));
        *open += len;
    }

    fn close(&mut self) {
        if let Some((position, len)) = self.open.take() {
            self.push(position, len, 1);
        }
    }

    fn push(&mut self, position: Position, len: usize, chunks: u64) {
        self.groups.push(Group {
            first_chunk: self.chunks,
            position,
            len: len as u16, // CHUNK_TARGETS_MAX at most
            stride: len as u64,
        });
        self.chunks += chunks;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::net::{Ipv4Addr, Ipv6Addr};

    use proptest::prelude::*;

    use super::super::parse::{Ip6Unit, form};
    use super::super::special::special_use;
    use super::super::target::Target;
    use super::*;

    fn build(texts: &[&str]) -> TargetSet {
        build_unit(texts, Ip6Unit::Address)
    }

    fn build_unit(texts: &[&str], unit: Ip6Unit) -> TargetSet {
        let mut builder = Builder::new();
        for text in texts {
            builder.add(&form(text, unit).expect("a good form")).expect("room");
        }
        builder.finish()
    }

    fn all(set: &TargetSet) -> Vec<String> {
        set.chunks()
            .flat_map(|chunk| chunk.iter())
            .map(|target| target.to_string())
            .collect()
    }

    fn lens(set: &TargetSet) -> Vec<usize> {
        set.chunks().map(|chunk| chunk.len()).collect()
    }

    #[test]
    fn a_16_is_256_blocks() {
        let set = build(&["198.18.0.0/16"]);
        assert_eq!((set.len(), set.chunk_count(), set.groups.len()), (65536, 256, 1));
        for (number, chunk) in set.chunks().enumerate() {
            assert_eq!(chunk.len(), 256);
            let first = Ipv4Addr::new(198, 18, number as u8, 0);
            assert_eq!(chunk.get(0), Some(Target::Ip4(first)));
            assert_eq!(chunk.get(255), Some(Target::Ip4(first | Ipv4Addr::new(0, 0, 0, 255))));
            assert_eq!(chunk.get(256), None);
        }
    }

    #[test]
    fn all_of_ip4_is_one_run() {
        let set = build(&["0.0.0.0/0", "192.0.2.1"]);
        assert_eq!((set.len(), set.duplicates()), (1 << 32, 1));
        assert_eq!(
            (set.lanes.ip4.len(), set.groups.len(), set.chunk_count()),
            (1, 1, 1 << 24)
        );
        let last = set.chunk((1 << 24) - 1).expect("the last chunk");
        assert_eq!(last.iter().last(), Some(Target::Ip4(Ipv4Addr::BROADCAST)));
        assert!(set.chunk(1 << 24).is_none());
        assert_eq!(set.chunks_from((1 << 24) - 2).count(), 2);
        assert_eq!(set.chunks_from(u64::MAX).count(), 0);
    }

    #[test]
    fn blocks_keep_their_boundaries_in_a_range() {
        let set = build(&["192.0.2.128-192.0.5.9"]);
        assert_eq!(lens(&set), [128, 256, 256, 10]);
        let firsts: Vec<_> = set
            .chunks()
            .map(|chunk| chunk.get(0).expect("not empty").to_string())
            .collect();
        assert_eq!(firsts, ["192.0.2.128", "192.0.3.0", "192.0.4.0", "192.0.5.0"]);
    }

    #[test]
    fn scattered_targets_fill_chunks() {
        let addresses: Vec<String> = (0..600)
            .map(|n| Ipv4Addr::from_bits(0xc633_0000 + 2 * n).to_string())
            .collect();
        let set = build(&addresses.iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!(lens(&set), [256, 256, 88]);
        assert_eq!(all(&set), addresses);
        let names: Vec<String> = (0..600).map(|n| format!("host{n}.example")).collect();
        let set = build(&names.iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!(lens(&set), [256, 256, 88]);
        assert_eq!(all(&set), names);
    }

    #[test]
    fn neighbours_become_one_run() {
        let set = build(&[
            "192.0.2.1",
            "192.0.2.2",
            "192.0.2.3-192.0.2.9",
            "2001:db8::1",
            "192.0.2.10",
            "192.0.2.11",
        ]);
        assert_eq!(set.lanes.ip4.len(), 2, "order is kept across another kind");
        assert_eq!(lens(&set), [12]);
    }

    #[test]
    fn order_is_that_of_the_first_mention() {
        let set = build(&[
            "192.0.2.5",
            "a.example",
            "192.0.2.4/30",
            "A.example.",
            "b.example",
            "192.0.2.5",
            "::ffff:192.0.2.6",
        ]);
        assert_eq!(
            all(&set),
            [
                "192.0.2.5",
                "a.example",
                "192.0.2.4",
                "192.0.2.6",
                "192.0.2.7",
                "b.example"
            ]
        );
        assert_eq!((set.len(), set.duplicates()), (6, 4));
        assert_eq!(
            (set.count(Kind::Ip4), set.count(Kind::Domain), set.count(Kind::Ip6)),
            (4, 2, 0)
        );
        assert_eq!(lens(&set), [6], "one chunk, whatever the kinds");
        assert_eq!(set.chunk(0).map(|chunk| chunk.counts()), Some([4, 0, 2]));
    }

    /// The file of a mail operator: host by host an address, its name, its IPv6 address.
    #[test]
    fn kinds_that_alternate_line_by_line_fill_chunks() {
        let lines: Vec<String> = (0..1000)
            .map(|n| match n % 3 {
                0 => Ipv4Addr::from_bits(0xc633_0000 + 2 * n).to_string(),
                1 => format!("host{n}.example"),
                _ => Ipv6Addr::from_bits(0x2001_0db8 << 96 | u128::from(2 * n)).to_string(),
            })
            .collect();
        let set = build(&lines.iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!(lens(&set), [256, 256, 256, 232]);
        assert_eq!(all(&set), lines);
        assert_eq!(set.counts, [334, 333, 333]);
    }

    #[test]
    fn what_prefixes_between_names_cover_costs_nothing() {
        let set = build(&["a.example", "10.0.0.0/8", "b.example", "11.0.0.0/8", "c.example", "::1"]);
        assert_eq!((set.len(), set.chunk_count()), ((2 << 24) + 4, 2 * 65536 + 3));
        assert_eq!((set.groups.len(), set.lanes.sections.len()), (5, 6));
        assert_eq!(set.chunk(65537).map(|chunk| chunk.counts()), Some([0, 0, 1]));
        let shard = set.shard(2, 3);
        assert_eq!((shard.groups.len(), shard.chunk_count()), (3, 43692));
        assert_eq!(shard.len(), shard.chunks().map(|chunk| chunk.len() as u64).sum::<u64>());
    }

    #[test]
    fn sixty_fours_are_asked_by_their_first_address() {
        let texts = [
            "2001:db8::/62",
            "2001:db8:0:1::",
            "2001:db8:0:1::7",
            "2001:db8:0:2::/64",
        ];
        let set = build_unit(&texts, Ip6Unit::Prefix64);
        let expected = [
            "2001:db8::",
            "2001:db8:0:1::",
            "2001:db8:0:2::",
            "2001:db8:0:3::",
            "2001:db8:0:1::7",
        ];
        assert_eq!(all(&set), expected);
        assert_eq!(set.duplicates(), 2);
        let set = build_unit(&["2001:db8::/48"], Ip6Unit::Prefix64);
        assert_eq!((set.chunk_count(), set.groups.len()), (256, 1));
    }

    #[test]
    fn shards_are_disjoint_and_together_the_whole() {
        let texts = [
            "198.18.0.0/20",
            "a.example",
            "192.0.2.7",
            "b.example",
            "203.0.113.0/24",
            "2001:db8::/118",
        ];
        for of in [1, 2, 3, 7, 40] {
            let mut seen = HashSet::new();
            let mut counts = [0; Kind::ALL.len()];
            for number in 1..=of {
                let shard = build(&texts).shard(number, of);
                let targets = all(&shard);
                assert_eq!(targets.len() as u64, shard.len());
                for (sum, kind) in counts.iter_mut().zip(Kind::ALL) {
                    *sum += shard.count(kind);
                }
                for target in targets {
                    assert!(seen.insert(target), "in one share only");
                }
            }
            let whole = build(&texts);
            assert_eq!(seen, all(&whole).into_iter().collect());
            assert_eq!(counts, whole.counts);
        }
    }

    #[test]
    fn names_are_held_compactly() {
        let mut builder = Builder::new();
        for n in 0..10_000 {
            builder
                .add(&Form::Domain(format!("mail{n}.customer.example.org")))
                .expect("room");
        }
        let set = builder.finish();
        let octets = set.lanes.names.octets() + size_of::<Group>() * set.groups.capacity();
        assert!(octets < 60 * 10_000, "60 MB for a million names: {octets}");
    }

    /// Cheap to name in many overlapping ways: 64 addresses around a block boundary, both families. In front of that of IPv4
    /// is special-use space.
    fn some_form() -> impl Strategy<Value = Form> {
        let base4 = 0xc000_00e0u32;
        let base6 = 0x2001_0db8u128 << 96;
        prop_oneof![
            (0u32..64, 0u32..24).prop_map(move |(at, more)| Form::Ip4(base4 + at, base4 + at + more)),
            (0u128..64, 0u128..24).prop_map(move |(at, more)| Form::Ip6(base6 + at, base6 + at + more)),
            (0u64..9).prop_map(|n| Form::Domain(format!("h{n}.example"))),
            (0u32..4).prop_map(move |at| Form::Ip4(base4 + at, base4 + 700 + at)),
        ]
    }

    fn expand(form: &Form) -> Vec<Target> {
        match form {
            Form::Ip4(first, last) => (*first..=*last)
                .map(|bits| Target::Ip4(Ipv4Addr::from_bits(bits)))
                .collect(),
            Form::Ip6(first, last) => (*first..=*last)
                .map(|bits| Target::Ip6(Ipv6Addr::from_bits(bits)))
                .collect(),
            Form::Domain(name) => vec![name.parse().expect("a good name")],
            Form::Ip6Prefixes(..) => unreachable!("not made here"),
        }
    }

    proptest! {
        /// Against a list and a hash set of everything written out.
        #[test]
        fn the_set_is_what_was_named_once_each_in_order(forms in proptest::collection::vec(some_form(), 0..40)) {
            let mut builder = Builder::new();
            let mut seen = HashSet::new();
            let mut expected = Vec::new();
            let mut named = 0;
            for form in &forms {
                builder.add(form).expect("room");
                for target in expand(form) {
                    named += 1;
                    if seen.insert(target.clone()) {
                        expected.push(target);
                    }
                }
            }
            let set = builder.finish();
            let chunks: Vec<Vec<Target>> = set.chunks().map(|chunk| chunk.iter().collect()).collect();
            prop_assert_eq!(chunks.concat(), expected.clone());
            prop_assert_eq!(set.len(), expected.len() as u64);
            prop_assert_eq!(set.duplicates(), named - set.len());
            prop_assert_eq!(set.chunk_count(), chunks.len() as u64);
            for (number, (chunk, targets)) in set.chunks().zip(&chunks).enumerate() {
                prop_assert!((1..=CHUNK_TARGETS_MAX).contains(&chunk.len()));
                let counts = Kind::ALL.map(|kind| targets.iter().filter(|target| target.kind() == kind).count() as u64);
                prop_assert_eq!(chunk.counts(), counts);
                let is_ordinary = |target: &&Target| special_use(target).is_none();
                let ordinary = Kind::ALL.map(|kind| {
                    let of_kind = targets.iter().filter(|target| target.kind() == kind);
                    of_kind.filter(is_ordinary).count() as u64
                });
                prop_assert_eq!(chunk.ordinary(), ordinary);
                let by_index: Vec<Target> = (0..chunk.len()).filter_map(|index| chunk.get(index)).collect();
                prop_assert_eq!(&by_index, targets);
                let again: Vec<Target> = set.chunks_from(number as u64).next().expect("a chunk").iter().collect();
                prop_assert_eq!(&again, targets);
            }
        }

        /// However the kinds are mixed: each target once, in order, in full chunks, and in exactly one share.
        #[test]
        fn any_interleaving_makes_full_chunks(
            picks in proptest::collection::vec((0..Kind::ALL.len(), 1u32..4), 0..1500),
            of in 1u32..5,
        ) {
            let mut at = 0;
            let mut form = |(kind, len): (usize, u32)| {
                let first = at;
                at += len + 1; // no neighbours, so that each is a run
                match Kind::ALL[kind] {
                    Kind::Ip4 => Form::Ip4(0xc633_0000 + first, 0xc633_0000 + first + len - 1),
                    Kind::Ip6 => {
                        let first = 0x2001_0db8u128 << 96 | u128::from(first);
                        Form::Ip6(first, first + u128::from(len) - 1)
                    }
                    Kind::Domain => Form::Domain(format!("h{first}.example")),
                }
            };
            let forms: Vec<Form> = picks.into_iter().map(&mut form).collect();
            let set = built(&forms);
            let lens = lens(&set);
            prop_assert!(lens.windows(2).all(|two| two[0] + two[1] > CHUNK_TARGETS_MAX), "{lens:?}");
            let chunks: Vec<Vec<Target>> = set.chunks().map(|chunk| chunk.iter().collect()).collect();
            prop_assert_eq!(chunks.concat(), forms.iter().flat_map(expand).collect::<Vec<_>>());
            let mut counts = [0; Kind::ALL.len()];
            for number in 1..=of {
                let shard = built(&forms).shard(number, of);
                let found: Vec<Vec<Target>> = shard.chunks().map(|chunk| chunk.iter().collect()).collect();
                prop_assert!(found.iter().eq(chunks.iter().skip(number as usize - 1).step_by(of as usize)));
                for (sum, count) in counts.iter_mut().zip(shard.counts) {
                    *sum += count;
                }
            }
            prop_assert_eq!(counts, set.counts);
        }
    }

    fn built(forms: &[Form]) -> TargetSet {
        let mut builder = Builder::new();
        for form in forms {
            builder.add(form).expect("room");
        }
        builder.finish()
    }
}
