//! A tile: up to 256 targets × the lists of the run, one octet of state a pair, the rare details beside it.
//!
//! A pair is *pending*, then *in flight*, then *settled* as an observation, with how it was learnt. A pair that waits for
//! another's answer (its composite's, or that of another address of its unit) is not pending but *waiting*: nobody asks it
//! until it is released. What was learnt is *provisional* until a later good control of the list that said it confirms it;
//! if the control fails, it is pending or waiting again (or unknown, when the list is given up). Provisional pairs carry one
//! of two *epochs*, so that a control confirms only what came before it was sent. A tile closes when no pair is unsettled
//! and none provisional.
//!
//! The octet: two bits for the epoch, six for the state. Folded pairs are told from the others by their state, so that they
//! stand and fall with the composite's controls, and the rest of their column with its own.
//!
//! The targets are in input order, of whatever kinds. What a column says of addresses and what it says of names are two
//! things, each with its own controls: what is done to a column is done to its pairs of one kind.
//!
//! Memory: 256 octets a list, some 12 octets more a list for counts, an entry for each listing, and one for each pair that
//! is asked a second time.

use std::collections::{HashMap, HashSet};

use crate::dnsxl::{Cause, How, Listing, Observation, Reason};
use crate::targets::Kind;

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

/// Whose controls confirm a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Voice {
    /// The list's own.
    Own,
    /// Its composite's: the pair was folded.
    Composite,
}

impl Voice {
    fn of(how: How) -> Voice {
        match how {
            How::Folded => Voice::Composite,
            How::Asked | How::Pruned | How::Shared | How::Local => Voice::Own,
        }
    }
}

/// What becomes of an unknown when its list has passed a control.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecondChance {
    /// It is asked once more: the list works, so that it may know.
    Give,
    /// It stays unknown.
    Refuse,
}

const PENDING: u8 = 0;
const IN_FLIGHT: u8 = 1;
/// Waits for the composite's answer.
const AWAITS_COMPOSITE: u8 = 2;
/// Waits for the answer of another address of its unit.
const AWAITS_UNIT: u8 = 3;
const NOT_LISTED: u8 = 4;
const LISTED: u8 = NOT_LISTED + HOWS;
const UNKNOWN: u8 = LISTED + HOWS;
const NOT_ASKED: u8 = UNKNOWN + HOWS * Cause::ALL.len() as u8;
const HOWS: u8 = How::ALL.len() as u8;
const _: () = assert!(
    NOT_ASKED as usize + Reason::ALL.len() <= CODE_MASK as usize + 1,
    "six bits hold every state"
);
const CODE_MASK: u8 = 0x3f;
const PROVISIONAL_MASK: u8 = 0xc0;

/// A settled state, taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Settled {
    NotListed(How),
    Listed(How),
    Unknown(Cause, How),
    NotAsked(Reason),
}

impl Settled {
    /// None if the state is not a settled one.
    fn of(state: u8) -> Option<Settled> {
        let how = |place: u8| How::ALL[usize::from(place % HOWS)];
        Some(match state & CODE_MASK {
            code @ NOT_LISTED..LISTED => Settled::NotListed(how(code - NOT_LISTED)),
            code @ LISTED..UNKNOWN => Settled::Listed(how(code - LISTED)),
            code @ UNKNOWN..NOT_ASKED => {
                let place = code - UNKNOWN;
                Settled::Unknown(Cause::ALL[usize::from(place / HOWS)], how(place))
            }
            code @ NOT_ASKED.. => Settled::NotAsked(Reason::ALL[usize::from(code - NOT_ASKED)]),
            PENDING | IN_FLIGHT | AWAITS_COMPOSITE.. => return None,
        })
    }

    fn code(self) -> u8 {
        match self {
            Settled::NotListed(how) => NOT_LISTED + how as u8, // the variants stand in the order of `ALL`
            Settled::Listed(how) => LISTED + how as u8,
            Settled::Unknown(cause, how) => UNKNOWN + index_of(Cause::ALL, &cause) * HOWS + how as u8,
            Settled::NotAsked(reason) => NOT_ASKED + index_of(Reason::ALL, &reason),
        }
    }

    fn how(self) -> How {
        match self {
            Settled::NotListed(how) | Settled::Listed(how) | Settled::Unknown(_, how) => how,
            Settled::NotAsked(_) => How::Asked,
        }
    }
}

/// States of the pairs of some targets with all lists of the run (its *columns*).
#[derive(Debug)]
pub struct Tile {
    len: usize,
    /// The targets' kinds, and how many are of each.
    kinds: Box<[Kind]>,
    of_kind: [u16; Kind::ALL.len()],
    states: Box<[u8]>,
    /// Provisional pairs of each column by kind and [`Voice`], both epochs together: 256 at most.
    provisional: Box<[[[u16; 2]; Kind::ALL.len()]]>,
    listings: HashMap<(u16, u8), Box<Listing>>,
    /// Pairs that are asked, or have been, a second time.
    second: HashSet<(u16, u8)>,
    unsettled: u32,
    provisional_total: u32,
}

impl Tile {
    /// A tile of targets of these kinds (256 at most) and `columns` lists, all pairs pending.
    pub fn new(columns: usize, kinds: &[Kind]) -> Tile {
        let len = kinds.len();
        assert!(len <= 256, "a tile has 256 targets at most");
        Tile {
            len,
            kinds: kinds.into(),
            of_kind: Kind::ALL.map(|kind| kinds.iter().filter(|other| **other == kind).count() as u16),
            states: vec![PENDING; columns * len].into_boxed_slice(),
            provisional: vec![[[0; 2]; Kind::ALL.len()]; columns].into_boxed_slice(),
            listings: HashMap::new(),
            second: HashSet::new(),
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

    /// The kind of a target.
    pub fn kind(&self, offset: usize) -> Kind {
        self.kinds[offset]
    }

    /// Whether a target is of this kind.
    pub fn has(&self, kind: Kind) -> bool {
        self.of_kind[kind as usize] > 0
    }

    /// The targets of this kind.
    pub fn offsets(&self, kind: Kind) -> impl Iterator<Item = usize> + '_ {
        (0..self.len).filter(move |&offset| self.kinds[offset] == kind)
    }

    /// Whether every pair is settled, perhaps provisionally.
    pub fn is_settled(&self) -> bool {
        self.unsettled == 0
    }

    /// Whether every pair is settled and confirmed: it can close.
    pub fn is_complete(&self) -> bool {
        self.unsettled == 0 && self.provisional_total == 0
    }

    /// How many provisional pairs of the column and kind wait for the controls of this voice.
    pub fn provisional_of(&self, (column, kind): (usize, Kind), voice: Voice) -> u16 {
        self.provisional[column][kind as usize][voice as usize]
    }

    /// Whether a pair waits for a question, or for another pair's answer.
    pub fn is_open(&self, column: usize, offset: usize) -> bool {
        matches!(
            self.states[column * self.len + offset],
            PENDING | AWAITS_COMPOSITE | AWAITS_UNIT
        )
    }

    /// Whether a pair is to be asked, and is not yet.
    pub fn is_pending(&self, column: usize, offset: usize) -> bool {
        self.states[column * self.len + offset] == PENDING
    }

    /// Whether a pair is settled, perhaps provisionally.
    pub fn knows(&self, column: usize, offset: usize) -> bool {
        Settled::of(self.states[column * self.len + offset]).is_some()
    }

    /// The epoch that a pair is provisional in; none if it is confirmed, or not settled.
    pub fn epoch(&self, column: usize, offset: usize) -> Option<Epoch> {
        let state = self.states[column * self.len + offset];
        [Epoch::Even, Epoch::Odd]
            .into_iter()
            .find(|epoch| state & epoch.bit() != 0)
    }

    /// Settles a pending pair as not to be asked.
    pub fn exclude(&mut self, column: usize, offset: usize, reason: Reason) {
        self.settle_code(column, offset, Settled::NotAsked(reason), None);
    }

    /// A pending pair waits for the answer of its composite.
    pub fn await_composite(&mut self, column: usize, offset: usize) {
        self.wait(column, offset, AWAITS_COMPOSITE);
    }

    /// A pending pair waits for the answer of another address of its unit.
    pub fn await_unit(&mut self, column: usize, offset: usize) {
        self.wait(column, offset, AWAITS_UNIT);
    }

    fn wait(&mut self, column: usize, offset: usize, wait: u8) {
        let state = &mut self.states[column * self.len + offset];
        assert_eq!(*state, PENDING, "only pending pairs are made to wait");
        *state = wait;
    }

    /// Whether a pair waits for the answer of its composite.
    pub fn awaits_composite(&self, column: usize, offset: usize) -> bool {
        self.states[column * self.len + offset] == AWAITS_COMPOSITE
    }

    /// Whether a pair waits for the answer of another address of its unit.
    pub fn awaits_unit(&self, column: usize, offset: usize) -> bool {
        self.states[column * self.len + offset] == AWAITS_UNIT
    }

    /// A waiting pair need not wait: it is pending. False if it was not waiting.
    pub fn release(&mut self, column: usize, offset: usize) -> bool {
        let state = &mut self.states[column * self.len + offset];
        let waits = matches!(*state, AWAITS_COMPOSITE | AWAITS_UNIT);
        if waits {
            *state = PENDING;
        }
        waits
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

    /// Settles a pair in flight, by its own answer. With an epoch it is provisional.
    pub fn settle(&mut self, column: usize, offset: usize, observation: Observation, epoch: Option<Epoch>) {
        debug_assert_eq!(self.states[column * self.len + offset], IN_FLIGHT);
        self.put(column, offset, observation, How::Asked, epoch);
    }

    /// Settles a pair that is pending or waiting without asking it: `how` says by what. With an epoch it is provisional,
    /// by the controls of the list that said it. False, and nothing done, if the pair is in flight or settled.
    pub fn learn(
        &mut self,
        column: usize,
        offset: usize,
        (observation, how): (Observation, How),
        epoch: Option<Epoch>,
    ) -> bool {
        let open = self.is_open(column, offset);
        if open {
            self.put(column, offset, observation, how, epoch);
        }
        open
    }

    fn put(&mut self, column: usize, offset: usize, observation: Observation, how: How, epoch: Option<Epoch>) {
        let settled = match observation {
            Observation::NotListed => Settled::NotListed(how),
            Observation::Listed(listing) => {
                self.listings.insert((column as u16, offset as u8), listing); // both bounded by `new`
                Settled::Listed(how)
            }
            Observation::Unknown(cause) => Settled::Unknown(cause, how),
            Observation::NotAsked(reason) => Settled::NotAsked(reason),
        };
        self.settle_code(column, offset, settled, epoch);
    }

    fn settle_code(&mut self, column: usize, offset: usize, settled: Settled, epoch: Option<Epoch>) {
        let state = &mut self.states[column * self.len + offset];
        assert!(*state & CODE_MASK < NOT_LISTED, "a pair is settled once, not twice");
        *state = settled.code();
        self.unsettled -= 1;
        if let Some(epoch) = epoch {
            *state |= epoch.bit();
            self.provisional[column][self.kinds[offset] as usize][Voice::of(settled.how()) as usize] += 1;
            self.provisional_total += 1;
        }
    }

    /// A control was good: what the column learnt of this kind from this voice in this epoch is confirmed. Unknowns may
    /// get their second chance instead, once each; `again` is told the offsets that are pending for it.
    pub fn confirm(
        &mut self,
        ((column, kind), voice): ((usize, Kind), Voice),
        epoch: Epoch,
        chance: SecondChance,
        again: impl FnMut(u8),
    ) {
        if chance == SecondChance::Give {
            self.give_second_chances(((column, kind), voice), epoch, again);
        }
        if self.provisional_of((column, kind), voice) == 0 {
            return;
        }
        let mut confirmed = 0;
        for offset in 0..self.len {
            let state = &mut self.states[column * self.len + offset];
            if *state & epoch.bit() == 0 || self.kinds[offset] != kind {
                continue;
            }
            let settled = Settled::of(*state).expect("only settled pairs are provisional");
            if Voice::of(settled.how()) == voice {
                confirmed += 1;
                *state &= CODE_MASK;
            }
        }
        self.provisional[column][kind as usize][voice as usize] -= confirmed;
        self.provisional_total -= u32::from(confirmed);
    }

    /// A control was good, though it may not confirm yet: what the column said of this kind by this voice in this epoch and ended
    /// unknown gets its second chance, once each; `again` is told the offsets that are pending for it.
    pub fn give_second_chances(
        &mut self,
        ((column, kind), voice): ((usize, Kind), Voice),
        epoch: Epoch,
        mut again: impl FnMut(u8),
    ) {
        if self.provisional_of((column, kind), voice) == 0 {
            return;
        }
        for offset in 0..self.len {
            let place = (column as u16, offset as u8); // bounded by `new`
            let state = self.states[column * self.len + offset];
            let unknown = match Settled::of(state) {
                Some(settled @ Settled::Unknown(..)) if Voice::of(settled.how()) == voice => settled,
                _ => continue,
            };
            if state & epoch.bit() == 0 || self.kinds[offset] != kind || !self.second.insert(place) {
                continue;
            }
            self.provisional[column][kind as usize][voice as usize] -= 1;
            self.provisional_total -= 1;
            self.unsettled += 1;
            let state = &mut self.states[column * self.len + offset];
            *state = reopened(unknown);
            if *state == PENDING {
                again(place.1);
            }
        }
    }

    /// A control failed: what is provisional in the column of this kind by this voice is pending again, or waiting.
    pub fn revoke(&mut self, lane: (usize, Kind), voice: Voice) {
        if self.provisional_of(lane, voice) > 0 {
            self.reopen(lane, |_, state, settled| {
                state & PROVISIONAL_MASK != 0 && Voice::of(settled.how()) == voice
            });
        }
    }

    /// A parent's NXDOMAIN has been proved wrong: what the column learnt of this kind by pruning is pending again, confirmed or not.
    /// Returns their offsets.
    pub fn revoke_pruned(&mut self, lane: (usize, Kind)) -> Vec<usize> {
        self.reopen(lane, |_, _, settled| settled.how() == How::Pruned)
    }

    /// The same of a composite: what the column, a part of it, was told of these offsets waits for it again.
    pub fn revoke_folded(&mut self, lane: (usize, Kind), offsets: &[usize]) {
        self.reopen(lane, |offset, _, settled| {
            settled.how() == How::Folded && offsets.contains(&offset)
        });
    }

    fn reopen(&mut self, (column, kind): (usize, Kind), which: impl Fn(usize, u8, Settled) -> bool) -> Vec<usize> {
        let mut reopened_pairs = Vec::new();
        for offset in 0..self.len {
            if self.kinds[offset] != kind {
                continue;
            }
            let state = &mut self.states[column * self.len + offset];
            let Some(settled) = Settled::of(*state).filter(|settled| which(offset, *state, *settled)) else {
                continue;
            };
            if *state & PROVISIONAL_MASK != 0 {
                self.provisional[column][kind as usize][Voice::of(settled.how()) as usize] -= 1;
                self.provisional_total -= 1;
            }
            *state = reopened(settled);
            self.unsettled += 1;
            reopened_pairs.push(offset);
            self.listings.remove(&(column as u16, offset as u8)); // bounded by `new`
        }
        reopened_pairs
    }

    /// The column is given up for this kind: all that is pending is unknown, and so is what waits for another pair of the
    /// column. What is in flight is still to be settled; what waits for a composite may still be learnt from it.
    pub fn give_up(&mut self, (column, kind): (usize, Kind), cause: Cause) {
        let code = Settled::Unknown(cause, How::Asked).code();
        let states = &mut self.states[column * self.len..(column + 1) * self.len];
        for (state, of) in states.iter_mut().zip(&self.kinds) {
            if *of == kind && matches!(*state, PENDING | AWAITS_UNIT) {
                *state = code;
                self.unsettled -= 1;
            }
        }
    }

    /// What is known of a pair, and how it was learnt.
    ///
    /// # Panics
    /// If it is not settled.
    pub fn observation(&self, column: usize, offset: usize) -> (Observation, How) {
        let settled = Settled::of(self.states[column * self.len + offset]);
        match settled.expect("a pair is read when it is settled") {
            Settled::NotListed(how) => (Observation::NotListed, how),
            Settled::Listed(how) => {
                let listing = &self.listings[&(column as u16, offset as u8)]; // bounded by `new`
                (Observation::Listed(listing.clone()), how)
            }
            Settled::Unknown(cause, how) => (Observation::Unknown(cause), how),
            Settled::NotAsked(reason) => (Observation::NotAsked(reason), How::Asked),
        }
    }
}

/// What a settled pair is when it is taken back.
fn reopened(settled: Settled) -> u8 {
    match settled.how() {
        How::Folded => AWAITS_COMPOSITE,
        How::Shared => AWAITS_UNIT,
        How::Asked | How::Pruned | How::Local => PENDING,
    }
}

/// The place of a word among all of its kind.
fn index_of<T: PartialEq>(all: &[T], word: &T) -> u8 {
    let place = all.iter().position(|other| other == word);
    place.expect("`ALL` has all of them") as u8 // a dozen at most
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dnsxl::{ReturnCodes, Role, Tier};

    fn listing() -> Observation {
        Observation::Listed(Box::new(Listing {
            codes: ReturnCodes::shared(vec![[127, 0, 0, 2].into()], vec!["spam".into()]),
            role: Role::Block,
            tier: Tier::A,
            reason: None,
            ttl: 60,
            reason_cut: false,
            partial: false,
        }))
    }

    fn confirm(tile: &mut Tile, column: usize, voice: Voice, epoch: Epoch) {
        tile.confirm(((column, Kind::Ip4), voice), epoch, SecondChance::Refuse, |_| {
            unreachable!("refused")
        });
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
        let mut tile = Tile::new(2, &vec![Kind::Ip4; all.len()]);
        for (offset, observation) in all.iter().enumerate() {
            for column in 0..2 {
                assert!(tile.take(column, offset));
                assert!(!tile.take(column, offset), "taken once");
                tile.settle(column, offset, observation.clone(), Some(Epoch::Odd));
            }
        }
        assert!(tile.is_settled() && !tile.is_complete());
        confirm(&mut tile, 0, Voice::Own, Epoch::Even);
        assert_eq!(usize::from(tile.provisional_of((0, Kind::Ip4), Voice::Own)), all.len());
        confirm(&mut tile, 0, Voice::Own, Epoch::Odd);
        confirm(&mut tile, 1, Voice::Own, Epoch::Odd);
        assert!(tile.is_complete());
        for (offset, observation) in all.iter().enumerate() {
            assert_eq!(tile.observation(0, offset), (observation.clone(), How::Asked));
            assert_eq!(tile.observation(1, offset), (observation.clone(), How::Asked));
        }
    }

    #[test]
    fn how_a_pair_was_learnt_is_kept_with_every_observation() {
        let causes = Cause::ALL.iter().map(|cause| Observation::Unknown(*cause));
        let all: Vec<_> = [Observation::NotListed, listing()].into_iter().chain(causes).collect();
        for &how in How::ALL {
            let mut tile = Tile::new(1, &vec![Kind::Ip4; all.len()]);
            for (offset, observation) in all.iter().enumerate() {
                assert!(tile.learn(0, offset, (observation.clone(), how), Some(Epoch::Even)));
                assert!(!tile.learn(0, offset, (observation.clone(), how), None), "once");
            }
            confirm(&mut tile, 0, Voice::of(how), Epoch::Even);
            assert!(tile.is_complete());
            for (offset, observation) in all.iter().enumerate() {
                assert_eq!(tile.observation(0, offset), (observation.clone(), how));
            }
        }
    }

    #[test]
    fn a_failed_control_takes_back_what_is_provisional_and_no_more() {
        let mut tile = Tile::new(1, &[Kind::Ip4; 3]);
        for (offset, epoch) in [(0, Epoch::Even), (1, Epoch::Odd)] {
            assert!(tile.take(0, offset));
            tile.settle(0, offset, listing(), Some(epoch));
        }
        assert!(tile.take(0, 2));
        confirm(&mut tile, 0, Voice::Own, Epoch::Even);
        tile.revoke((0, Kind::Ip4), Voice::Own);
        assert_eq!(tile.observation(0, 0), (listing(), How::Asked), "confirmed before");
        assert_eq!(tile.listings.len(), 1);
        assert!(!tile.is_settled());
        tile.give_up((0, Kind::Ip4), Cause::ListUnhealthy);
        assert!(!tile.is_settled(), "one is in flight");
        tile.put_back(0, 2);
        tile.give_up((0, Kind::Ip4), Cause::ListUnhealthy);
        assert!(tile.is_complete());
        for offset in 1..3 {
            let unknown = Observation::Unknown(Cause::ListUnhealthy);
            assert_eq!(tile.observation(0, offset), (unknown, How::Asked));
        }
    }

    /// One column, one pair of each voice: the controls of one say nothing of the other.
    #[test]
    fn folded_pairs_stand_and_fall_with_the_composite() {
        let mut tile = Tile::new(1, &[Kind::Ip4; 3]);
        tile.await_composite(0, 0);
        tile.await_composite(0, 1);
        assert!(!tile.take(0, 0), "it waits");
        assert!(tile.learn(0, 0, (listing(), How::Folded), Some(Epoch::Even)));
        assert!(tile.release(0, 1) && !tile.release(0, 1));
        for offset in 1..3 {
            assert!(tile.take(0, offset));
            tile.settle(0, offset, Observation::NotListed, Some(Epoch::Even));
        }
        confirm(&mut tile, 0, Voice::Own, Epoch::Even);
        assert_eq!(tile.provisional_of((0, Kind::Ip4), Voice::Composite), 1);
        tile.revoke((0, Kind::Ip4), Voice::Own);
        assert!(tile.is_settled(), "all its own is confirmed");
        tile.revoke((0, Kind::Ip4), Voice::Composite);
        assert!(tile.awaits_composite(0, 0) && tile.listings.is_empty());
        tile.give_up((0, Kind::Ip4), Cause::Timeout);
        assert!(tile.awaits_composite(0, 0), "the composite may still tell");
    }

    #[test]
    fn an_unknown_gets_one_second_chance_and_takes_those_that_share_it_along() {
        let unknown = || Observation::Unknown(Cause::Timeout);
        let mut tile = Tile::new(1, &[Kind::Ip4; 3]);
        tile.await_unit(0, 1);
        for round in 0..2 {
            assert!(tile.take(0, 0));
            tile.settle(0, 0, unknown(), Some(Epoch::Even));
            assert!(tile.learn(0, 1, (unknown(), How::Shared), Some(Epoch::Even)));
            if round == 0 {
                assert!(tile.learn(0, 2, (Observation::NotListed, How::Pruned), Some(Epoch::Even)));
            }
            let mut again = Vec::new();
            tile.confirm(
                ((0, Kind::Ip4), Voice::Own),
                Epoch::Even,
                SecondChance::Give,
                |offset| again.push(offset),
            );
            assert_eq!(again.len(), 1 - round, "once");
            assert_eq!(tile.is_complete(), round == 1);
            assert_eq!(tile.awaits_unit(0, 1), round == 0);
        }
        assert_eq!(tile.observation(0, 1), (unknown(), How::Shared));
    }

    #[test]
    fn what_was_pruned_wrongly_is_pending_again() {
        let mut tile = Tile::new(1, &[Kind::Ip4; 3]);
        for (offset, epoch) in [(0, None), (1, Some(Epoch::Odd))] {
            assert!(tile.learn(0, offset, (Observation::NotListed, How::Pruned), epoch));
        }
        assert!(tile.take(0, 2));
        tile.settle(0, 2, Observation::NotListed, Some(Epoch::Odd));
        assert_eq!(tile.revoke_pruned((0, Kind::Ip4)), [0, 1]);
        assert_eq!(tile.provisional_of((0, Kind::Ip4), Voice::Own), 1);
        assert!(tile.take(0, 0) && tile.take(0, 1) && !tile.take(0, 2));
    }

    #[test]
    #[should_panic(expected = "settled once")]
    fn a_pair_cannot_be_settled_twice() {
        let mut tile = Tile::new(1, &[Kind::Ip4]);
        tile.exclude(0, 0, Reason::Excluded);
        tile.exclude(0, 0, Reason::Excluded);
    }

    /// A list that is asked of addresses and of names has two lanes over one column: neither touches the other's pairs.
    #[test]
    fn kinds_that_alternate_stand_and_fall_apart() {
        let kinds = [Kind::Ip4, Kind::Domain, Kind::Ip4, Kind::Domain];
        let (addresses, names) = ((0, Kind::Ip4), (0, Kind::Domain));
        let mut tile = Tile::new(1, &kinds);
        assert!(tile.has(Kind::Ip4) && tile.has(Kind::Domain) && !tile.has(Kind::Ip6));
        assert_eq!(tile.offsets(Kind::Domain).collect::<Vec<_>>(), [1, 3]);
        for offset in 0..3 {
            assert!(tile.take(0, offset));
            tile.settle(0, offset, listing(), Some(Epoch::Even));
        }
        tile.give_up(addresses, Cause::Timeout);
        assert!(tile.is_pending(0, 3), "that is a name");
        let of = |tile: &Tile, lane| tile.provisional_of(lane, Voice::Own);
        assert_eq!((of(&tile, addresses), of(&tile, names)), (2, 1));
        tile.confirm((names, Voice::Own), Epoch::Even, SecondChance::Refuse, |_| ());
        assert_eq!((of(&tile, addresses), of(&tile, names)), (2, 0));
        tile.revoke(addresses, Voice::Own);
        assert!(tile.is_pending(0, 0) && tile.knows(0, 1) && tile.is_pending(0, 2));
        tile.give_up(addresses, Cause::Timeout);
        tile.give_up(names, Cause::Refused);
        assert!(tile.is_complete());
        let seen = (0..4).map(|offset| tile.observation(0, offset).0);
        let unknown = Observation::Unknown;
        let expected = [
            unknown(Cause::Timeout),
            listing(),
            unknown(Cause::Timeout),
            unknown(Cause::Refused),
        ];
        assert_eq!(seen.collect::<Vec<_>>(), expected);
    }
}
