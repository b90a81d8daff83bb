//! Which IPv4 addresses the entries of a set cover at all: most are covered by none, and that is told without the trie.
//!
//! Disjoint ranges in order, with an index by the upper 16 bits of where each begins: 8 octets a range, 256 KiB the index.

/// Ranges of addresses, for one question only.
#[derive(Debug)]
pub(super) struct Cover {
    firsts: Vec<u32>,
    lasts: Vec<u32>,
    /// How many ranges begin below each value of the upper 16 bits, and all.
    below: Box<[u32]>,
}

impl Cover {
    /// The cover of these ranges, both ends included, which come in the order of their first addresses.
    pub(super) fn new(ranges: impl Iterator<Item = (u32, u32)>) -> Cover {
        let (mut firsts, mut lasts): (Vec<u32>, Vec<u32>) = Default::default();
        for (first, last) in ranges {
            debug_assert!(
                firsts.last().is_none_or(|before| *before <= first),
                "ranges come in order"
            );
            match lasts.last_mut() {
                Some(before) if first <= *before => *before = last.max(*before),
                _ => {
                    firsts.push(first);
                    lasts.push(last);
                }
            }
        }
        let below =
            (0..=1 << 16).map(|upper: u64| firsts.partition_point(|&first| u64::from(first) < upper << 16) as u32);
        Cover {
            below: below.collect(),
            firsts,
            lasts,
        }
    }

    /// Whether a range holds the address.
    pub(super) fn has(&self, address: u32) -> bool {
        let upper = (address >> 16) as usize;
        let (start, end) = (self.below[upper] as usize, self.below[upper + 1] as usize);
        let behind = start + self.firsts[start..end].partition_point(|&first| first <= address);
        behind > 0 && address <= self.lasts[behind - 1]
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn prefix() -> impl Strategy<Value = (u32, u32)> {
        // Crowded, and around the borders of the index.
        let address = prop_oneof![
            0u32..64,
            0xffe0u32..0x1_0020,
            0xffff_ffc0u32..=0xffff_ffff,
            any::<u32>()
        ];
        (address, 0u32..=32).prop_map(|(address, bits)| {
            let hosts = u32::MAX.checked_shr(bits).unwrap_or(0);
            (address & !hosts, address | hosts)
        })
    }

    proptest! {
        #[test]
        fn an_address_is_covered_if_a_range_holds_it(
            mut ranges in proptest::collection::vec(prefix(), 0..20),
            addresses in proptest::collection::vec(prefix(), 0..20),
        ) {
            ranges.sort_unstable();
            let cover = Cover::new(ranges.iter().copied());
            for address in addresses.iter().chain(&ranges).flat_map(|&(first, last)| [first, last]) {
                for address in [address, address.wrapping_sub(1), address.wrapping_add(1)] {
                    let held = ranges.iter().any(|&(first, last)| (first..=last).contains(&address));
                    prop_assert_eq!(cover.has(address), held, "{}", address);
                }
            }
        }
    }
}
