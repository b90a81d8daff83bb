//! Query IDs of one port: an unpredictable permutation of all 65,536 IDs, and which exchange holds which.
//!
//! RFC 5452 §9.2 wants IDs that cannot be guessed; walking a keyed permutation gives every ID once before any comes again,
//! so that an ID is not used again while a late reply to it may still be on its way. The permutation is a Feistel network
//! over two octets with round keys from the caller's CSPRNG, keyed anew for each walk.

use rand::{Rng, RngExt};

use super::slots::SlotIndex;

/// Feistel rounds: four make a strong permutation of a random round function (Luby and Rackoff); six cost nothing more.
const ROUNDS: usize = 6;

const FREE: u16 = u16::MAX;

/// The IDs of one port.
#[derive(Debug)]
pub(super) struct Ids {
    keys: [u64; ROUNDS],
    step: u32,
    /// For each ID the slot that holds it, or [`FREE`].
    holders: Box<[u16]>,
    held: usize,
}

impl Ids {
    pub(super) fn new(rng: &mut impl Rng) -> Ids {
        Ids {
            keys: rng.random(),
            step: 0,
            holders: vec![FREE; 1 << 16].into_boxed_slice(),
            held: 0,
        }
    }

    /// Gives the next ID to a slot; none if all are held.
    pub(super) fn take(&mut self, slot: SlotIndex, rng: &mut impl Rng) -> Option<u16> {
        if self.held == self.holders.len() {
            return None;
        }
        loop {
            if self.step == 1 << 16 {
                self.keys = rng.random();
                self.step = 0;
            }
            let id = self.permute(self.step as u16); // below 65,536, by the line above
            self.step += 1;
            let holder = &mut self.holders[usize::from(id)];
            if *holder == FREE {
                *holder = slot.0;
                self.held += 1;
                return Some(id);
            }
        }
    }

    /// Who holds an ID.
    pub(super) fn holder(&self, id: u16) -> Option<SlotIndex> {
        let holder = self.holders[usize::from(id)];
        (holder != FREE).then_some(SlotIndex(holder))
    }

    /// Gives an ID back.
    pub(super) fn release(&mut self, id: u16) {
        let holder = &mut self.holders[usize::from(id)];
        if *holder != FREE {
            *holder = FREE;
            self.held -= 1;
        }
    }

    fn permute(&self, step: u16) -> u16 {
        let [mut left, mut right] = step.to_be_bytes();
        for key in self.keys {
            // Any keyed mixing will do as a round function; this is one multiplication (after splitmix64).
            let mixed = (u64::from(right) ^ key).wrapping_mul(0x9e37_79b9_7f4a_7c15 ^ key.rotate_left(23));
            let mixed = (mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            (left, right) = (right, left ^ (mixed >> 56) as u8);
        }
        u16::from_be_bytes([left, right])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    #[test]
    fn every_id_comes_once_before_any_comes_again() {
        let mut rng = StdRng::seed_from_u64(1);
        let mut ids = Ids::new(&mut rng);
        let mut seen = vec![false; 1 << 16];
        for _ in 0..1 << 16 {
            let id = ids.take(SlotIndex(3), &mut rng).expect("one is free");
            assert!(!std::mem::replace(&mut seen[usize::from(id)], true));
        }
        assert_eq!(ids.take(SlotIndex(3), &mut rng), None);
        ids.release(77);
        assert_eq!(ids.holder(77), None);
        assert_eq!(ids.take(SlotIndex(4), &mut rng), Some(77));
        assert_eq!(ids.holder(77), Some(SlotIndex(4)));
    }

    #[test]
    fn walks_with_other_keys_are_other_walks() {
        let walk = |seed| {
            let mut rng = StdRng::seed_from_u64(seed);
            let mut ids = Ids::new(&mut rng);
            (0..64)
                .map(|_| ids.take(SlotIndex(0), &mut rng).expect("one is free"))
                .collect::<Vec<_>>()
        };
        assert_ne!(walk(1), walk(2));
        // Not a straight line either: steps between neighbours vary.
        let ids = walk(1);
        let steps: std::collections::HashSet<_> = ids.windows(2).map(|pair| pair[1].wrapping_sub(pair[0])).collect();
        assert!(steps.len() > 32);
    }
}
