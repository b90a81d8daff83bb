//! IPv4 entries as they answer: disjoint intervals in order, each with the values of its addresses.
//!
//! ```text
//! entries (first, bits, line, value) ──sort──▶ networks, outer before inner ──sweep──▶ intervals ──▶ found by their firsts
//! ```
//!
//! Networks nest and never cross, so a stack of those that are open tells at each border which one answers from there on.
//! 16 octets an interval, and an index by the upper bits of where each begins, of up to 1 MiB. Where intervals are many, a
//! bit for each /24 (2 MiB) says whether any of it is listed: most of a list's questions end there, with one look into
//! memory. The others cost one into the index, and one at a few intervals side by side, without a branch that depends
//! on them: a wrong guess of the processor's costs as much as the rest.

use super::value::{EXCLUDED, Slot, ValueId};

/// Upper bits of an address by which intervals are found at most: 2^18 counts of 4 octets stay in a core's cache.
const INDEX_BITS_MAX: u32 = 18;

/// Intervals from which on a bit for each /24 is kept.
const TOUCHED_FROM: usize = 1 << 14;

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

/// What the addresses of an interval answer with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Held {
    /// The usual case.
    One(ValueId),
    /// The values of a node.
    Node(u32),
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
    firsts: Vec<u32>,
    lasts: Vec<u32>,
    held: Vec<Held>,
    nodes: Vec<Node>,
    /// How many upper bits the index tells apart.
    index_bits: u32,
    /// How many intervals begin below each value of the upper bits, and all.
    below: Box<[u32]>,
    /// A bit for each /24 that has listed addresses; empty where intervals are few.
    touched: Box<[u64]>,
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
        let (word, bit) = (address >> 14, address >> 8 & 63);
        if self.touched.get(word as usize).is_some_and(|word| word >> bit & 1 == 0) {
            return None;
        }
        let upper = (u64::from(address) >> (32 - self.index_bits)) as usize;
        let start = self.below[upper] as usize;
        // What begins behind this part of the index begins behind the address: the end need not be known.
        let mut behind = start;
        loop {
            let Some(abreast) = self.firsts[behind..].first_chunk::<ABREAST>() else {
                behind += self.firsts[behind..].partition_point(|&first| first <= address);
                break;
            };
            let before: usize = abreast.iter().map(|&first| usize::from(first <= address)).sum();
            behind += before;
            if before < ABREAST {
                break;
            }
            if behind >= start + 4 * ABREAST {
                let end = self.below[upper + 1] as usize;
                behind += self.firsts[behind..end].partition_point(|&first| first <= address);
                break;
            }
        }
        let place = behind.checked_sub(1)?;
        (address <= self.lasts[place]).then_some(place)
    }

    /// Whether an address is listed.
    pub(super) fn has(&self, address: u32) -> bool {
        self.place(address).is_some()
    }

    /// The first value of an address, if it is listed.
    pub(super) fn first(&self, address: u32) -> Option<ValueId> {
        match self.held[self.place(address)?] {
            Held::One(id) => Some(id),
            node => {
                let mut first = None;
                self.each(node, |id| {
                    first.get_or_insert(id);
                });
                first
            }
        }
    }

    /// Gives the values of an address to `each`, those of outer networks first; says whether it is listed.
    pub(super) fn find(&self, address: u32, each: impl FnMut(ValueId)) -> bool {
        let place = self.place(address);
        if let Some(place) = place {
            self.each(self.held[place], each);
        }
        place.is_some()
    }

    fn each(&self, held: Held, mut each: impl FnMut(ValueId)) {
        let (mut inward, mut depth) = ([held; NESTED_MAX], 0);
        let mut next = Some(held);
        while let Some(held) = next {
            inward[depth] = held;
            depth += 1;
            next = match held {
                Held::One(_) => None,
                Held::Node(node) => self.nodes[node as usize].around,
            };
        }
        for held in inward[..depth].iter().rev() {
            match held {
                Held::One(id) => each(*id),
                Held::Node(node) => self.nodes[*node as usize].own.ids().iter().for_each(|&id| each(id)),
            }
        }
    }

    /// Whether any of these addresses is listed.
    pub(super) fn touches(&self, first: u32, last: u32) -> bool {
        let place = self.lasts.partition_point(|&end| end < first);
        self.firsts.get(place).is_some_and(|&start| start <= last)
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
    firsts: Vec<u32>,
    lasts: Vec<u32>,
    held: Vec<Held>,
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
            (None, Slot::One(id)) => Some(Held::One(id)),
            (around, own) => {
                let node = Held::Node(self.nodes.len() as u32); // fewer than lines, which are counted in 32 bits
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
        match (self.lasts.last_mut(), self.held.last()) {
            (Some(before), Some(same)) if *same == held && before.checked_add(1) == Some(first) => *before = last,
            _ => {
                self.firsts.push(first);
                self.lasts.push(last);
                self.held.push(held);
            }
        }
    }

    fn finish(mut self) -> Intervals {
        self.close_before(None);
        let index_bits = self.firsts.len().max(1).ilog2().min(INDEX_BITS_MAX);
        let mut below = vec![0; (1 << index_bits) + 1];
        for &first in &self.firsts {
            below[(u64::from(first) >> (32 - index_bits)) as usize + 1] += 1;
        }
        for upper in 1..below.len() {
            below[upper] += below[upper - 1];
        }
        let many = self.firsts.len() >= TOUCHED_FROM;
        let mut touched = vec![0; if many { 1 << 18 } else { 0 }];
        if many {
            for (&first, &last) in self.firsts.iter().zip(&self.lasts) {
                touch(&mut touched, first >> 8, last >> 8);
            }
        }
        Intervals {
            touched: touched.into(),
            firsts: self.firsts,
            lasts: self.lasts,
            held: self.held,
            nodes: self.nodes,
            index_bits,
            below: below.into(),
            networks: self.networks,
        }
    }
}

/// Sets the bits from `first` to `last`.
fn touch(words: &mut [u64], first: u32, last: u32) {
    let (start, end) = ((first / 64) as usize, (last / 64) as usize);
    let (head, tail) = (u64::MAX << (first % 64), u64::MAX >> (63 - last % 64));
    if start == end {
        words[start] |= head & tail;
        return;
    }
    words[start] |= head;
    words[start + 1..end].fill(u64::MAX);
    words[end] |= tail;
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
            let id = if id == 4 { EXCLUDED } else { ValueId::nth(id) };
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
            prop_assert!(intervals.firsts.iter().zip(&intervals.lasts).is_sorted_by(|one, next| one.1 < next.0));
            for address in entries.iter().chain(&others).flat_map(|entry| [entry.first, entry.last()]) {
                for address in [address, address.wrapping_sub(1), address.wrapping_add(1)] {
                    let expected = expected(&entries, address, class);
                    let mut found = Vec::new();
                    let listed = intervals.find(address, |id| found.push(id));
                    prop_assert_eq!(intervals.first(address), found.first().copied());
                    found.sort_unstable();
                    found.dedup();
                    prop_assert_eq!(&found, &expected, "{}", address);
                    prop_assert_eq!(listed, !expected.is_empty());
                    prop_assert_eq!(intervals.has(address), listed);
                    prop_assert_eq!(intervals.touches(address, address), listed);
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
        assert_eq!((intervals.networks(), intervals.firsts.len()), (300_000, 300_000));
        assert_eq!(intervals.index_bits, INDEX_BITS_MAX);
        for entry in entries {
            assert!(intervals.has(entry.first) && !intervals.has(entry.first + 1));
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
        assert!(!intervals.touched.is_empty());
        let borders = intervals.firsts.iter().chain(&intervals.lasts);
        let borders = borders.flat_map(|&at| [at.wrapping_sub(1), at, at.wrapping_add(1)]);
        for address in borders.chain((0..50_000).map(|_| random() << 1)).collect::<Vec<u32>>() {
            let place = intervals.lasts.partition_point(|&last| last < address);
            let listed = intervals.firsts.get(place).is_some_and(|&first| first <= address);
            assert_eq!(intervals.has(address), listed, "{address:x}");
        }
    }
}
