//! A tile: up to 256 targets × the lists of the run, one octet of state a pair, the rare details beside it.
//!
//! A pair is *pending*, then *in flight*, then *settled* as an observation. What was learnt by asking is *provisional*
//! until a later good control of its list confirms it; if the control fails, it is pending again (or unknown, when the list
//! is given up). Provisional pairs carry one of two *epochs*, so that a control confirms only what came before it was sent.
//! A tile closes when no pair is unsettled and none provisional.
//!
//! Memory: 256 octets a list, some 5 octets more a list for counts, and an entry for each listing.

use std::collections::HashMap;

use crate::dnsxl::{Cause, Listing, Observation, Reason};

/// Which of the two epochs of a list an answer belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Epoch {
    /// One.
    Even,
    /// The other.
    Odd,
}

impl Epoch {
    /// The other one.
    pub fn next(self) -> Epoch {
        match self {
            Epoch::Even => Epoch::Odd,
            Epoch::Odd => Epoch::Even,
        }
    }

    fn bit(self) -> u8 {
        match self {
            Epoch::Even => 0x40,
            Epoch::Odd => 0x80,
        }
    }
}

const PENDING: u8 = 0;
const IN_FLIGHT: u8 = 1;
const NOT_LISTED: u8 = 2;
const LISTED: u8 = 3;
const UNKNOWN: u8 = 8;
const NOT_ASKED: u8 = 24;
const CODE_MASK: u8 = 0x3f;
const PROVISIONAL_MASK: u8 = 0xc0;

/// States of the pairs of some targets with all lists of the run (its *columns*).
#[derive(Debug)]
pub struct Tile {
    len: usize,
    states: Box<[u8]>,
    /// Provisional pairs of each column, both epochs together: 256 at most.
    provisional: Box<[u16]>,
    listings: HashMap<(u16, u8), Box<Listing>>,
    unsettled: u32,
    provisional_total: u32,
}

impl Tile {
    /// A tile of `len` targets (256 at most) and `columns` lists, all pairs pending.
    pub fn new(columns: usize, len: usize) -> Tile {
        assert!(len <= 256, "a tile has 256 targets at most");
        Tile {
            len,
            states: vec![PENDING; columns * len].into_boxed_slice(),
            provisional: vec![0; columns].into_boxed_slice(),
            listings: HashMap::new(),
            unsettled: (columns * len) as u32, // 65,535 lists × 256 fit
            provisional_total: 0,
        }
    }

    /// How many targets it has.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it has no targets.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether every pair is settled, perhaps provisionally.
    pub fn is_settled(&self) -> bool {
        self.unsettled == 0
    }

    /// Whether every pair is settled and confirmed: it can close.
    pub fn is_complete(&self) -> bool {
        self.unsettled == 0 && self.provisional_total == 0
    }

    /// Whether the column has provisional pairs.
    pub fn is_provisional(&self, column: usize) -> bool {
        self.provisional[column] > 0
    }

    /// How many provisional pairs the column has.
    pub fn provisional_of(&self, column: usize) -> u16 {
        self.provisional[column]
    }

    /// Settles a pending pair as not to be asked.
    pub fn exclude(&mut self, column: usize, offset: usize, reason: Reason) {
        self.settle_code(column, offset, NOT_ASKED + index_of(Reason::ALL, &reason), None);
    }

    /// Takes a pending pair to ask about it; false if it is not pending.
    pub fn take(&mut self, column: usize, offset: usize) -> bool {
        let state = &mut self.states[column * self.len + offset];
        if *state != PENDING {
            return false;
        }
        *state = IN_FLIGHT;
        true
    }

    /// Gives a pair in flight back: it is pending again.
    pub fn put_back(&mut self, column: usize, offset: usize) {
        let state = &mut self.states[column * self.len + offset];
        assert_eq!(*state, IN_FLIGHT, "only pairs in flight come back");
        *state = PENDING;
    }

    /// Settles a pair in flight. With an epoch it is provisional.
    pub fn settle(&mut self, column: usize, offset: usize, observation: Observation, epoch: Option<Epoch>) {
        debug_assert_eq!(self.states[column * self.len + offset], IN_FLIGHT);
        let code = match observation {
            Observation::NotListed => NOT_LISTED,
            Observation::Listed(listing) => {
                self.listings.insert((column as u16, offset as u8), listing); // both bounded by `new`
                LISTED
            }
            Observation::Unknown(cause) => UNKNOWN + index_of(Cause::ALL, &cause),
            Observation::NotAsked(reason) => NOT_ASKED + index_of(Reason::ALL, &reason),
        };
        self.settle_code(column, offset, code, epoch);
    }

    fn settle_code(&mut self, column: usize, offset: usize, code: u8, epoch: Option<Epoch>) {
        let state = &mut self.states[column * self.len + offset];
        assert!(
            *state == PENDING || *state == IN_FLIGHT,
            "a pair is settled once, not twice"
        );
        *state = code;
        self.unsettled -= 1;
        if let Some(epoch) = epoch {
            *state |= epoch.bit();
            self.provisional[column] += 1;
            self.provisional_total += 1;
        }
    }

    /// A control was good: what the column learnt in this epoch is confirmed.
    pub fn confirm(&mut self, column: usize, epoch: Epoch) {
        if self.provisional[column] == 0 {
            return;
        }
        let mut confirmed = 0;
        for state in &mut self.states[column * self.len..(column + 1) * self.len] {
            if *state & epoch.bit() != 0 {
                *state &= CODE_MASK;
                confirmed += 1;
            }
        }
        self.provisional[column] -= confirmed;
        self.provisional_total -= u32::from(confirmed);
    }

    /// A control failed: what is provisional in the column is pending again.
    pub fn revoke(&mut self, column: usize) {
        if self.provisional[column] == 0 {
            return;
        }
        for offset in 0..self.len {
            let state = &mut self.states[column * self.len + offset];
            if *state & PROVISIONAL_MASK != 0 {
                *state = PENDING;
                self.unsettled += 1;
                self.listings.remove(&(column as u16, offset as u8)); // bounded by `new`
            }
        }
        self.provisional_total -= u32::from(self.provisional[column]);
        self.provisional[column] = 0;
    }

    /// The column is given up: all that is pending is unknown. What is in flight is still to be settled.
    pub fn give_up(&mut self, column: usize, cause: Cause) {
        let code = UNKNOWN + index_of(Cause::ALL, &cause);
        for state in &mut self.states[column * self.len..(column + 1) * self.len] {
            if *state == PENDING {
                *state = code;
                self.unsettled -= 1;
            }
        }
    }

    /// What is known of a pair.
    ///
    /// # Panics
    /// If it is not settled.
    pub fn observation(&self, column: usize, offset: usize) -> Observation {
        match self.states[column * self.len + offset] & CODE_MASK {
            NOT_LISTED => Observation::NotListed,
            LISTED => {
                let listing = &self.listings[&(column as u16, offset as u8)]; // bounded by `new`
                Observation::Listed(listing.clone())
            }
            code @ UNKNOWN..NOT_ASKED => Observation::Unknown(Cause::ALL[usize::from(code - UNKNOWN)]),
            code @ NOT_ASKED.. => Observation::NotAsked(Reason::ALL[usize::from(code - NOT_ASKED)]),
            _ => panic!("a tile is read when it is settled"),
        }
    }

    /// Listings so far, provisional ones too.
    pub fn listed(&self) -> usize {
        self.listings.len()
    }
}

/// The place of a word among all of its kind. There are fewer than 16 of each.
fn index_of<T: PartialEq>(all: &[T], word: &T) -> u8 {
    let place = all.iter().position(|other| other == word);
    place.expect("`ALL` has all of them") as u8
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dnsxl::{Role, Tier};

    fn listing() -> Observation {
        Observation::Listed(Box::new(Listing {
            codes: vec![[127, 0, 0, 2].into()],
            meanings: vec!["spam".into()],
            role: Role::Block,
            tier: Tier::A,
            reason: None,
            ttl: 60,
        }))
    }

    #[test]
    fn every_observation_comes_back_as_it_was_settled() {
        let causes = Cause::ALL.iter().map(|cause| Observation::Unknown(*cause));
        let reasons = Reason::ALL.iter().map(|reason| Observation::NotAsked(*reason));
        let all: Vec<_> = [Observation::NotListed, listing()]
            .into_iter()
            .chain(causes)
            .chain(reasons)
            .collect();
        let mut tile = Tile::new(2, all.len());
        for (offset, observation) in all.iter().enumerate() {
            for column in 0..2 {
                assert!(tile.take(column, offset));
                assert!(!tile.take(column, offset), "taken once");
                tile.settle(column, offset, observation.clone(), Some(Epoch::Odd));
            }
        }
        assert!(tile.is_settled() && !tile.is_complete());
        tile.confirm(0, Epoch::Even);
        assert!(tile.is_provisional(0));
        tile.confirm(0, Epoch::Odd);
        tile.confirm(1, Epoch::Odd);
        assert!(tile.is_complete());
        for (offset, observation) in all.iter().enumerate() {
            assert_eq!(tile.observation(0, offset), *observation);
            assert_eq!(tile.observation(1, offset), *observation);
        }
    }

    #[test]
    fn a_failed_control_takes_back_what_is_provisional_and_no_more() {
        let mut tile = Tile::new(1, 3);
        for (offset, epoch) in [(0, Epoch::Even), (1, Epoch::Odd)] {
            assert!(tile.take(0, offset));
            tile.settle(0, offset, listing(), Some(epoch));
        }
        assert!(tile.take(0, 2));
        tile.confirm(0, Epoch::Even);
        tile.revoke(0);
        assert_eq!(tile.observation(0, 0), listing(), "confirmed before");
        assert_eq!(tile.listed(), 1);
        assert!(!tile.is_settled());
        tile.give_up(0, Cause::ListUnhealthy);
        assert!(!tile.is_settled(), "one is in flight");
        tile.put_back(0, 2);
        tile.give_up(0, Cause::ListUnhealthy);
        assert!(tile.is_complete());
        assert_eq!(tile.observation(0, 1), Observation::Unknown(Cause::ListUnhealthy));
        assert_eq!(tile.observation(0, 2), Observation::Unknown(Cause::ListUnhealthy));
    }

    #[test]
    #[should_panic(expected = "settled once")]
    fn a_pair_cannot_be_settled_twice() {
        let mut tile = Tile::new(1, 1);
        tile.exclude(0, 0, Reason::Excluded);
        tile.exclude(0, 0, Reason::Excluded);
    }
}
