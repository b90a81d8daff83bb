//! Targets, counted as questions see them: what is special use, what shares an answer, what has two names, what pruning
//! could save.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use crate::dnsxl::NameForm;
use crate::targets::{Kind, Target, special_use};

use super::plan::Plan;
use super::pruning::{FULL_ONE_IN, QUESTIONS, SAMPLE, WORTH};

/// Targets that are looked at one by one. Of more, all are counted as if each was asked.
const SURVEYED_MAX: u64 = 1 << 24;

/// What was counted.
#[derive(Debug, Default)]
pub(super) struct Survey {
    /// Special-use targets, by kind: nobody is asked about them.
    pub(super) special: [u64; Kind::ALL.len()],
    /// IPv4 addresses in blocks whose parents are worth a question, and those blocks.
    in_blocks: u64,
    blocks: u64,
    /// Addresses that are asked for their unit, by its prefix length.
    pub(super) firsts: BTreeMap<u8, u64>,
    /// Domains that have two names for lists that want both.
    pub(super) two_names: u64,
}

impl Survey {
    pub(super) fn of(plan: &Plan<'_>) -> Survey {
        let mut survey = Survey::default();
        let units: BTreeSet<u8> = (0..plan.columns.len())
            .filter_map(|column| plan.unit(column, Kind::Ip6))
            .collect();
        if plan.targets.len() > SURVEYED_MAX {
            let all = plan.targets.count(Kind::Ip6);
            survey.firsts = units.iter().map(|&unit| (unit, all)).collect();
            return survey;
        }
        let both = plan.columns.iter().find_map(|column| {
            let wants = plan.catalogue.list(column.list).name_form == NameForm::Both;
            column.questions.as_ref().ok().filter(|_| wants)
        });
        let mut shares: Vec<Sharing> = units.into_iter().map(Sharing::new).collect();
        for chunk in plan.targets.chunks() {
            let mut blocks: BTreeMap<u32, u64> = BTreeMap::new();
            for target in chunk.iter() {
                if special_use(&target).is_some() {
                    survey.special[target.kind() as usize] += 1;
                    continue;
                }
                match (&target, both) {
                    (Target::Ip4(address), _) => *blocks.entry(address.to_bits() >> 8).or_insert(0) += 1,
                    (Target::Ip6(address), _) => shares.iter_mut().for_each(|one| one.add(address.to_bits())),
                    (Target::Domain(_), Some(questions)) => {
                        let names = questions.names(&target);
                        survey.two_names += u64::from(names.is_ok_and(|names| names.count() == 2));
                    }
                    _ => {}
                }
            }
            shares.iter_mut().for_each(Sharing::end_tile);
            for count in blocks.into_values().filter(|&count| count >= WORTH as u64) {
                survey.in_blocks += count;
                survey.blocks += 1;
            }
        }
        survey.firsts = shares.into_iter().map(|one| (one.bits, one.asked)).collect();
        survey
    }

    /// Queries about IPv4 addresses that one list of so many servers need not be asked, at best: no parent has anything
    /// below it, and every server proves itself.
    pub(super) fn prunable(&self, servers: u64) -> u64 {
        if self.blocks == 0 {
            return 0;
        }
        let whole = self.in_blocks / self.blocks;
        let full = whole * (1 + self.blocks / u64::from(FULL_ONE_IN));
        let sampled = self.blocks * (1 + SAMPLE as u64);
        self.in_blocks
            .saturating_sub(full + sampled + servers * QUESTIONS as u64)
    }
}

/// Units of one size, tile by tile: each is asked about once in a tile.
///
/// A list goes on with a unit from tile to tile where both tiles hold nothing else. Where they hold more, it depends on the
/// place in the tile at which the list begins whether the unit comes next again: that is counted as one question more.
#[derive(Debug)]
struct Sharing {
    bits: u8,
    asked: u64,
    tile: HashSet<u128>,
    /// What the tile before had, if that was one unit.
    last: Option<u128>,
}

impl Sharing {
    fn new(bits: u8) -> Sharing {
        Sharing {
            bits,
            asked: 0,
            tile: HashSet::new(),
            last: None,
        }
    }

    fn add(&mut self, address: u128) {
        let unit = address.checked_shr(128 - u32::from(self.bits)).unwrap_or(0);
        self.tile.insert(unit);
    }

    fn end_tile(&mut self) {
        if self.tile.is_empty() {
            return; // of other kinds: what is known of the last unit stays
        }
        let only = self.tile.iter().next().copied().filter(|_| self.tile.len() == 1);
        let goes_on = only.is_some() && only == self.last;
        self.asked += self.tile.len() as u64 - u64::from(goes_on);
        self.last = only;
        self.tile.clear();
    }
}
