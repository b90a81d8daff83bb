//! IPv4 entries as they answer: disjoint intervals in order, each with the values of its addresses.
//!
//! ```text
//! entries (first, bits, line, value) ──sort──▶ networks, outer before inner ──sweep──▶ intervals ──▶ found by their firsts
//! ```
//!
//! Networks nest and never cross, so a stack of those that are open tells at each border which one answers from there on.
//! 12 octets an interval, side by side, so that what is compared and what is answered come with one look into memory. An
//! index of up to 3 MiB by the upper bits says where the intervals of a part of the space begin, and by a bit for each 64th
//! of that part (a /24 where intervals are many) whether any of it is listed: most of a list's questions end there, with
//! one look. The others compare a few intervals without a branch that depends on them: a wrong guess of the processor's
//! costs as much as the rest.

use super::value::{EXCLUDED, Slot, ValueId};

/// Upper bits of an address by which intervals are found at most: with 2^18 parts of 12 octets, a /24 has a bit.
const INDEX_BITS_MAX: u32 = 18;

/// Intervals that are compared side by side.
const ABREAST: usize = 8;

/// Networks that are nested at most: one of each length.
const NESTED_MAX: usize = 33;

/// One network with one value, as a line says it. The order is that of the sweep: outer before inner, then by lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Entry {
    /// The first address.
    pub(super) first: u32,
    /// The prefix length.
    pub(super) bits: u8,
    /// The line that says so.
    pub(super) line: u32,
    /// What it answers with.
    pub(super) id: ValueId,
}

impl Entry {
    fn last(self) -> u32 {
        self.first | u32::MAX.checked_shr(u32::from(self.bits)).unwrap_or(0)
    }
}

/// What the addresses of an interval answer with: a value, the usual case, or with [`NODE`] set the values of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Held(u32);

const NODE: u32 = 1 << 31;

/// The same, taken apart.
enum Answer {
    One(ValueId),
    Node(usize),
}

impl Held {
    fn one(id: ValueId) -> Held {
        Held(id.number())
    }

    fn node(place: usize) -> Held {
        let place = u32::try_from(place).ok().filter(|&place| place < NODE);
        Held(NODE | place.expect("fewer nodes than entries, which are fewer than 2³¹ in any memory"))
    }

    fn answer(self) -> Answer {
        match self.0 & NODE {
            0 => Answer::One(ValueId::of_number(self.0)),
            _ => Answer::Node((self.0 & !NODE) as usize),
        }
    }
}

/// Addresses that answer alike.
#[derive(Debug, Clone, Copy)]
struct Interval {
    first: u32,
    last: u32,
    held: Held,
}

/// A part of the space, by the upper bits of its addresses.
#[derive(Debug, Clone, Copy, Default)]
struct Part {
    /// A bit for each 64th of it that has listed addresses.
    touched: [u32; 2],
    /// How many intervals begin below it.
    below: u32,
}

/// Values of a network, and of those around it that answer together with it.
#[derive(Debug)]
struct Node {
    own: Slot,
    around: Option<Held>,
}

/// A network of the sweep that has begun and not ended.
struct Open {
    last: u32,
    class: u8,
    /// None: its addresses are taken out.
    held: Option<Held>,
}

/// The intervals.
#[derive(Debug)]
pub(super) struct Intervals {
    intervals: Vec<Interval>,
    nodes: Vec<Node>,
    /// The parts of the space, and one behind them.
    parts: Box<[Part]>,
    /// How many lower bits of an address do not tell its part: at least 14.
    shift: u32,
    /// How many networks there were.
    networks: usize,
}

impl Intervals {
    /// The intervals of entries that come in their order. Networks of one class (by prefix length) that lie in each other
    /// answer together, an inner class answers in place of an outer one. `refused` is told the line of a value for which a
    /// network has no room, whose values are held by `add`.
    pub(super) fn sweep(
        entries: &[Entry],
        class: impl Fn(u8) -> u8,
        add: impl Fn(&mut Slot, ValueId) -> bool,
        mut refused: impl FnMut(u32),
    ) -> Intervals {
        debug_assert!(entries.is_sorted());
        let mut sweep = Sweep::default();
        for network in entries.chunk_by(|one, other| (one.first, one.bits) == (other.first, other.bits)) {
            let mut slot = Slot::One(network[0].id);
            for entry in &network[1..] {
                if !add(&mut slot, entry.id) {
                    refused(entry.line);
                }
            }
            sweep.open(network[0], class(network[0].bits), slot);
        }
        sweep.finish()
    }

    fn place(&self, address: u32) -> Option<usize> {
        let upper = (u64::from(address) >> self.shift) as usize; // all 32 bits may be lower ones
        let part = &self.parts[upper];
        let bit = address >> (self.shift - 6) & 63;
        if part.touched[(bit >> 5) as usize] >> (bit & 31) & 1 == 0 {
            return None;
        }
        let start = part.below as usize;
        // What begins behind this part of the space begins behind the address: the end need not be known.
        let mut behind = start;
        loop {
            let Some(abreast) = self.intervals[behind..].first_chunk::<ABREAST>() else {
                behind += self.intervals[behind..].partition_point(|interval| interval.first <= address);
                break;
            };
            let before: usize = abreast.iter().map(|one| usize::from(one.first <= address)).sum();
            behind += before;
            if before < ABREAST {
                break;
            }
            if behind >= start + 4 * ABREAST {
                let end = self.parts[upper + 1].below as usize;
                behind += self.intervals[behind..end].partition_point(|interval| interval.first <= address);
                break;
            }
        }
        let place = behind.checked_sub(1)?;
        (address <= self.intervals[place].last).then_some(place)
    }

    /// The first value of an address, if it is listed.
    pub(super) fn first(&self, address: u32) -> Option<ValueId> {
        let held = self.intervals[self.place(address)?].held;
        match held.answer() {
            Answer::One(id) => Some(id),
            Answer::Node(_) => {
                let mut first = None;
                self.each(held, |id| {
                    first.get_or_insert(id);
                });
                first
            }
        }
    }

    /// Gives the values of an address to `each`, those of outer networks first: none if it is not listed.
    #[inline]
    pub(super) fn find(&self, address: u32, mut each: impl FnMut(ValueId)) {
        let Some(place) = self.place(address) else { return };
        let held = self.intervals[place].held;
        match held.answer() {
            Answer::One(id) => each(id),
            Answer::Node(_) => self.each(held, each),
        }
    }

    fn each(&self, held: Held, mut each: impl FnMut(ValueId)) {
        let (mut inward, mut depth) = ([held; NESTED_MAX], 0);
        let mut next = Some(held);
        while let Some(held) = next {
            inward[depth] = held;
            depth += 1;
            next = match held.answer() {
                Answer::One(_) => None,
                Answer::Node(node) => self.nodes[node].around,
            };
        }
        for held in inward[..depth].iter().rev() {
            match held.answer() {
                Answer::One(id) => each(id),
                Answer::Node(node) => self.nodes[node].own.ids().iter().for_each(|&id| each(id)),
            }
        }
    }

    /// Whether any of these addresses is listed.
    pub(super) fn touches(&self, first: u32, last: u32) -> bool {
        let place = self.intervals.partition_point(|interval| interval.last < first);
        self.intervals.get(place).is_some_and(|interval| interval.first <= last)
    }

    /// How many networks there were, exclusions too.
    pub(super) fn networks(&self) -> usize {
        self.networks
    }
}

impl Default for Intervals {
    fn default() -> Intervals {
        Sweep::default().finish()
    }
}

/// The intervals in the making.
#[derive(Default)]
struct Sweep {
    intervals: Vec<Interval>,
    nodes: Vec<Node>,
    networks: usize,
    stack: Vec<Open>,
    /// The first address of which it is not known yet what it answers; none behind the last address.
    at: Option<u32>,
}

impl Sweep {
    fn open(&mut self, network: Entry, class: u8, own: Slot) {
        self.networks += 1;
        self.close_before(Some(network.first));
        if let (Some(outer), Some(at)) = (self.stack.last(), self.at)
            && at < network.first
        {
            let held = outer.held;
            self.push(at, network.first - 1, held);
        }
        self.at = Some(network.first);
        let around = self.stack.last().filter(|outer| outer.class == class);
        let held = match (around.map(|outer| outer.held), own) {
            (Some(None), _) => None,
            (_, own) if own.ids().contains(&EXCLUDED) => None,
            (None, Slot::One(id)) => Some(Held::one(id)),
            (around, own) => {
                let node = Held::node(self.nodes.len());
                let around = around.flatten();
                self.nodes.push(Node { own, around });
                Some(node)
            }
        };
        self.stack.push(Open {
            last: network.last(),
            class,
            held,
        });
    }

    /// Ends the networks that lie before an address, or all.
    fn close_before(&mut self, first: Option<u32>) {
        while let Some(open) = self.stack.pop_if(|open| first.is_none_or(|first| open.last < first)) {
            if let Some(at) = self.at.filter(|&at| at <= open.last) {
                self.push(at, open.last, open.held);
                self.at = open.last.checked_add(1);
            }
        }
    }

    fn push(&mut self, first: u32, last: u32, held: Option<Held>) {
        let Some(held) = held else { return };
        match self.intervals.last_mut() {
            Some(before) if before.held == held && before.last.checked_add(1) == Some(first) => before.last = last,
            _ => self.intervals.push(Interval { first, last, held }),
        }
    }

    fn finish(mut self) -> Intervals {
        self.close_before(None);
        let index_bits = self.intervals.len().max(1).ilog2().min(INDEX_BITS_MAX);
        let shift = 32 - index_bits;
        let mut parts = vec![Part::default(); (1 << index_bits) + 1];
        for interval in &self.intervals {
            parts[(u64::from(interval.first) >> shift) as usize + 1].below += 1;
            touch(&mut parts, interval.first >> (shift - 6), interval.last >> (shift - 6));
        }
        for upper in 1..parts.len() {
            parts[upper].below += parts[upper - 1].below;
        }
        self.intervals.shrink_to_fit();
        Intervals {
            intervals: self.intervals,
            nodes: self.nodes,
            parts: parts.into(),
            shift,
            networks: self.networks,
        }
    }
}

/// Sets the bits of the 64ths from `first` to `last`.
fn touch(parts: &mut [Part], first: u32, last: u32) {
    for half in first / 32..=last / 32 {
        let head = if half == first / 32 {
            u32::MAX << (first % 32)
        } else {
            u32::MAX
        };
        let tail = if half == last / 32 {
            u32::MAX >> (31 - last % 32)
        } else {
            u32::MAX
        };
        parts[(half / 2) as usize].touched[(half % 2) as usize] |= head & tail;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::value::BUILT_IN;
    use super::*;

    fn entry() -> impl Strategy<Value = Entry> {
        // Crowded, and around borders.
        let address = prop_oneof![
            0u32..64,
            0xffe0u32..0x1_0020,
            0xffff_ffc0u32..=0xffff_ffff,
            any::<u32>()
        ];
        (address, 0u8..=32, 0u32..5).prop_map(|(address, bits, id)| {
            let hosts = u32::MAX.checked_shr(bits.into()).unwrap_or(0);
            let id = if id == 4 { EXCLUDED } else { ValueId::of_number(id) };
            Entry {
                first: address & !hosts,
                bits,
                line: 0,
                id,
            }
        })
    }

    /// What the smallest class of the entries around an address says, looked up the long way.
    fn expected(entries: &[Entry], address: u32, class: impl Fn(u8) -> u8) -> Vec<ValueId> {
        let around: Vec<&Entry> = entries
            .iter()
            .filter(|entry| (entry.first..=entry.last()).contains(&address))
            .collect();
        let smallest = around.iter().map(|entry| class(entry.bits)).max();
        let mut ids: Vec<ValueId> = around
            .iter()
            .filter(|entry| Some(class(entry.bits)) == smallest)
            .map(|entry| entry.id)
            .collect();
        if ids.contains(&EXCLUDED) {
            ids.clear();
        }
        ids.sort_unstable();
        ids.dedup();
        ids
    }

    proptest! {
        #[test]
        fn an_address_answers_as_the_smallest_class_around_it(
            mut entries in proptest::collection::vec(entry(), 0..20),
            others in proptest::collection::vec(entry(), 0..20),
            by_octets in any::<bool>(),
        ) {
            let class = |bits: u8| if by_octets { bits.saturating_sub(1) / 8 } else { bits };
            for (line, entry) in entries.iter_mut().enumerate() {
                entry.line = line as u32;
            }
            entries.sort_unstable();
            let intervals = Intervals::sweep(&entries, class, Slot::add, |_| {});
            prop_assert!(intervals.intervals.is_sorted_by(|one, next| one.last < next.first));
            for address in entries.iter().chain(&others).flat_map(|entry| [entry.first, entry.last()]) {
                for address in [address, address.wrapping_sub(1), address.wrapping_add(1)] {
                    let expected = expected(&entries, address, class);
                    let mut found = Vec::new();
                    intervals.find(address, |id| found.push(id));
                    prop_assert_eq!(intervals.first(address), found.first().copied());
                    found.sort_unstable();
                    found.dedup();
                    prop_assert_eq!(&found, &expected, "{}", address);
                    prop_assert_eq!(intervals.touches(address, address), !expected.is_empty());
                }
            }
        }
    }

    #[test]
    fn many_intervals_are_found_by_their_index() {
        let entries: Vec<Entry> = (0..300_000u32)
            .map(|n| Entry {
                first: n * 14_000,
                bits: 32,
                line: n,
                id: BUILT_IN,
            })
            .collect();
        let intervals = Intervals::sweep(&entries, |bits| bits, Slot::add, |_| {});
        assert_eq!((intervals.networks(), intervals.intervals.len()), (300_000, 300_000));
        assert_eq!(32 - intervals.shift, INDEX_BITS_MAX);
        for entry in entries {
            assert_eq!(intervals.first(entry.first), Some(BUILT_IN));
            assert_eq!(intervals.first(entry.first + 1), None);
        }
    }

    /// Crowded and wide intervals among many: as a plain search finds them.
    #[test]
    fn many_intervals_of_all_sizes_are_found_as_by_a_plain_search() {
        let mut state = 1u64;
        let mut random = move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 33) as u32
        };
        let mut entries: Vec<Entry> = (0..60_000u32)
            .map(|line| {
                let crowded = line % 3 == 0;
                let address = if crowded {
                    0x0a00_0000 | random() & 0xf_ffff
                } else {
                    random() << 1
                };
                let bits = if line % 50 == 0 { 10 + (random() % 16) as u8 } else { 32 };
                Entry {
                    first: address & !u32::MAX.checked_shr(bits.into()).unwrap_or(0),
                    bits,
                    line,
                    id: BUILT_IN,
                }
            })
            .chain([0, u32::MAX].map(|first| Entry {
                first,
                bits: 32,
                line: 0,
                id: BUILT_IN,
            }))
            .collect();
        entries.sort_unstable();
        let intervals = Intervals::sweep(&entries, |bits| bits, Slot::add, |_| {});
        let borders = intervals.intervals.iter().flat_map(|one| [one.first, one.last]);
        let borders = borders.flat_map(|at| [at.wrapping_sub(1), at, at.wrapping_add(1)]);
        for address in borders.chain((0..50_000).map(|_| random() << 1)).collect::<Vec<u32>>() {
            let listed = intervals.touches(address, address);
            assert_eq!(intervals.first(address).is_some(), listed, "{address:x}");
        }
    }
}
