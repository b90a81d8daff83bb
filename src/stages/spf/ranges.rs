//! How much of the IPv4 space a policy authorises: a union of ranges, so that what is named twice counts once.

use std::net::Ipv4Addr;

/// Addresses of the whole IPv4 space.
pub(super) const SPACE: u64 = 1 << 32;

/// A set of IPv4 addresses.
#[derive(Debug, Clone, Default)]
pub(super) struct Ranges {
    /// First and last address of each range, in any order, perhaps overlapping.
    ranges: Vec<(u32, u32)>,
}

impl Ranges {
    /// Adds the addresses that have the first `prefix` bits of `network`.
    pub(super) fn add(&mut self, network: Ipv4Addr, prefix: u8) {
        let host = u32::MAX.checked_shr(u32::from(prefix)).unwrap_or(0);
        let network = u32::from(network);
        self.ranges.push((network & !host, network | host));
    }

    /// How many different addresses there are.
    pub(super) fn count(&self) -> u64 {
        let mut ranges = self.ranges.clone();
        ranges.sort_unstable();
        let mut count = 0u64;
        let mut next = 0u64; // the first address not counted yet
        for (first, last) in ranges {
            let from = u64::from(first).max(next);
            let to = u64::from(last) + 1;
            if to > from {
                count += to - from;
                next = to;
            }
        }
        count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(networks: &[(&str, u8)]) -> u64 {
        let mut ranges = Ranges::default();
        for (network, prefix) in networks {
            ranges.add(network.parse().expect("an address"), *prefix);
        }
        ranges.count()
    }

    #[test]
    fn overlapping_ranges_count_once() {
        assert_eq!(count(&[]), 0);
        assert_eq!(count(&[("192.0.2.1", 32), ("192.0.2.1", 32)]), 1);
        assert_eq!(count(&[("192.0.2.129", 24), ("192.0.2.0", 25), ("192.0.3.0", 32)]), 257);
        assert_eq!(count(&[("255.255.255.255", 0), ("10.0.0.0", 8)]), SPACE);
        assert_eq!(count(&[("0.0.0.0", 1), ("128.0.0.0", 1)]), SPACE);
    }
}
