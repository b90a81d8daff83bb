//! Query IDs of the source ports: for each port an unpredictable permutation of all 65,536 IDs, and which exchange holds which.
//!
//! RFC 5452 §9.2 wants IDs that cannot be guessed; walking a keyed permutation gives every ID once before any comes again,
//! so that an ID is not used again while a late reply to it may still be on its way. The permutation is a Feistel network
//! over two octets with round keys from the caller's CSPRNG, keyed anew for each walk.
//!
//! Who holds an ID is looked up twice a query, at random places: a table of what is in flight stays in the processor's cache,
//! one of all IDs of all ports (2 MiB for 16) does not, and cost 6 % of a whole scan's CPU.

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use rand::{Rng, RngExt};

use crate::datagram::Port;

use super::slots::SlotIndex;

/// Feistel rounds: four make a strong permutation of a random round function (Luby and Rackoff); six cost nothing more.
const ROUNDS: usize = 6;

/// IDs of a port.
const IDS: u32 = 1 << 16;

/// The ports and their IDs. Memory: some bytes a port, and some for each ID that is held.
#[derive(Debug, Default)]
pub(super) struct Ids {
    ports: Vec<Walk>,
    holders: HashTable<Held>,
}

/// An ID that is held.
#[derive(Debug)]
struct Held {
    port: Port,
    id: u16,
    slot: SlotIndex,
}

impl Held {
    fn is(&self, port: Port, id: u16) -> bool {
        (self.port, self.id) == (port, id)
    }
}

/// Places of the table. IDs are our own random numbers: nobody can choose such that collide.
fn hash(port: Port, id: u16) -> u64 {
    let mixed = (u64::from(port.0) << 16 | u64::from(id)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed ^ (mixed >> 32)
}

impl Ids {
    /// A port more.
    pub(super) fn add_port(&mut self, rng: &mut impl Rng) -> Port {
        let port = Port(u16::try_from(self.ports.len()).expect("ports are far fewer than 65,536"));
        self.open_port(port, rng);
        port
    }

    /// A port with this number: a new one, or one that was closed and has another source port now.
    pub(super) fn open_port(&mut self, port: Port, rng: &mut impl Rng) {
        let walk = Walk {
            keys: rng.random(),
            step: 0,
            held: 0,
        };
        let place = usize::from(port.0);
        match self.ports.get_mut(place) {
            Some(closed) => {
                debug_assert_eq!(closed.held, 0, "what is closed holds nothing");
                *closed = walk;
            }
            None => {
                assert_eq!(place, self.ports.len(), "ports are numbered one by one");
                self.ports.push(walk);
            }
        }
    }

    /// Whether no ID of a port is held.
    pub(super) fn is_free(&self, port: Port) -> bool {
        self.ports[usize::from(port.0)].held == 0
    }

    /// Gives the next ID of a port to a slot; none if all are held.
    pub(super) fn take(&mut self, port: Port, slot: SlotIndex, rng: &mut impl Rng) -> Option<u16> {
        let walk = &mut self.ports[usize::from(port.0)];
        if walk.held == IDS {
            return None;
        }
        loop {
            let id = walk.next(rng);
            let place = self.holders.entry(
                hash(port, id),
                |held| held.is(port, id),
                |held| hash(held.port, held.id),
            );
            if let Entry::Vacant(place) = place {
                place.insert(Held { port, id, slot });
                walk.held += 1;
                return Some(id);
            }
        }
    }

    /// Who holds an ID.
    pub(super) fn holder(&self, port: Port, id: u16) -> Option<SlotIndex> {
        let held = self.holders.find(hash(port, id), |held| held.is(port, id));
        held.map(|held| held.slot)
    }

    /// Gives an ID back.
    pub(super) fn release(&mut self, port: Port, id: u16) {
        if let Ok(held) = self.holders.find_entry(hash(port, id), |held| held.is(port, id)) {
            held.remove();
            self.ports[usize::from(port.0)].held -= 1;
        }
    }
}

/// Where a port is in its permutation.
#[derive(Debug)]
struct Walk {
    keys: [u64; ROUNDS],
    step: u32,
    /// IDs that are held.
    held: u32,
}

impl Walk {
    fn next(&mut self, rng: &mut impl Rng) -> u16 {
        if self.step == IDS {
            self.keys = rng.random();
            self.step = 0;
        }
        self.step += 1;
        self.permute((self.step - 1) as u16) // below 65,536, by the lines above
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
    fn r04_every_id_comes_once_before_any_comes_again() {
        let mut rng = StdRng::seed_from_u64(1);
        let mut ids = Ids::default();
        let (port, other) = (ids.add_port(&mut rng), ids.add_port(&mut rng));
        let mut seen = vec![false; 1 << 16];
        for _ in 0..1 << 16 {
            let id = ids.take(port, SlotIndex(3), &mut rng).expect("one is free");
            assert!(!std::mem::replace(&mut seen[usize::from(id)], true));
        }
        assert_eq!(ids.take(port, SlotIndex(3), &mut rng), None);
        assert!(
            ids.take(other, SlotIndex(5), &mut rng).is_some(),
            "ports have IDs of their own"
        );
        ids.release(port, 77);
        ids.release(port, 77);
        assert_eq!(ids.holder(port, 77), None);
        assert_eq!(ids.take(port, SlotIndex(4), &mut rng), Some(77));
        assert_eq!(ids.holder(port, 77), Some(SlotIndex(4)));
    }

    #[test]
    fn r04_walks_with_other_keys_are_other_walks() {
        let walk = |seed| {
            let mut rng = StdRng::seed_from_u64(seed);
            let mut ids = Ids::default();
            let port = ids.add_port(&mut rng);
            (0..64)
                .map(|_| ids.take(port, SlotIndex(0), &mut rng).expect("one is free"))
                .collect::<Vec<_>>()
        };
        assert_ne!(walk(1), walk(2));
        // Not a straight line either: steps between neighbours vary.
        let ids = walk(1);
        let steps: std::collections::HashSet<_> = ids.windows(2).map(|pair| pair[1].wrapping_sub(pair[0])).collect();
        assert!(steps.len() > 32);
    }
}
