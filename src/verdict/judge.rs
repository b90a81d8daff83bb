//! The judgement of one target: verdict, rating (RFC 7071 §4.1), confidence, and the grounds for them.
//!
//! Not here: what a code means (`dnsxl` settled the role and tier of each listing) and the exit status (`tally`).
//!
//! * **Rating**: `1 − Π(1 − weight)` over the distinct operators with a block-role listing, each with the weight of its
//!   hardest tier; each distinct operator with an allow-role listing multiplies it by [`Weights::allow`]. A composite zone
//!   and its parts belong to one operator and so count once.
//! * **Confidence**: the weight of the block lists that answered over the weight of the block lists that were planned for
//!   this target. Planned is what is `listed`, `not_listed` or `unknown`; what was not to be asked (unsupported, excluded,
//!   no key, retired, special use) is not planned. A part whose composite was planned too does not count again. With
//!   nothing planned, confidence is 0.
//! * **Verdict**: `special_use` for such targets; `listed` if any listing has the block role (the listing's role, not the
//!   list's); `clean` if confidence is at least [`CLEAN_CONFIDENCE_MIN`] *and* no planned tier-A block list is unknown;
//!   else `unknown`. The second condition is the guard against the classic false clean: one refused tier-A list among a
//!   hundred small ones hardly moves the confidence, yet large receivers reject by that one list.

use crate::dnsxl::{Catalogue, ListIndex, Observation, Role, Tier, fill_target};
use crate::dossier::Dossier;

/// The least confidence with which a target is called clean: the default coverage that a run must reach, for one target.
pub const CLEAN_CONFIDENCE_MIN: f64 = 0.9;

/// What each tier weighs, from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Weights {
    /// Tier A.
    pub a: f64,
    /// Tier B.
    pub b: f64,
    /// Tier C.
    pub c: f64,
    /// By how much each operator's allow-list entry multiplies the rating.
    pub allow: f64,
}

impl Default for Weights {
    fn default() -> Weights {
        Weights {
            a: 0.6,
            b: 0.25,
            c: 0.05,
            allow: 0.8,
        }
    }
}

impl Weights {
    /// What a block-role listing of this tier weighs. Tier W is for allow lists and weighs nothing.
    pub fn of(&self, tier: Tier) -> f64 {
        match tier {
            Tier::A => self.a,
            Tier::B => self.b,
            Tier::C => self.c,
            Tier::W => 0.0,
        }
    }

    /// Whether every weight is a number from 0 to 1.
    pub fn is_valid(&self) -> bool {
        [self.a, self.b, self.c, self.allow]
            .iter()
            .all(|weight| (0.0..=1.0).contains(weight))
    }
}

/// What is thought of a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// No block list has an entry, and enough of them answered.
    Clean,
    /// At least one listing has the block role.
    Listed,
    /// No block list is known to have an entry, but too little is known to call it clean.
    Unknown,
    /// Special-use space (RFC 6890, RFC 6761): lists were not asked.
    SpecialUse,
}

impl Verdict {
    /// All verdicts.
    pub const ALL: [Verdict; 4] = [Verdict::Clean, Verdict::Listed, Verdict::Unknown, Verdict::SpecialUse];

    /// The word of the records.
    pub fn as_str(self) -> &'static str {
        match self {
            Verdict::Clean => "clean",
            Verdict::Listed => "listed",
            Verdict::Unknown => "unknown",
            Verdict::SpecialUse => "special_use",
        }
    }
}

/// The judgement of one target.
#[derive(Debug, Clone, PartialEq)]
pub struct Judgement {
    /// In one word.
    pub verdict: Verdict,
    /// How bad, from 0 (nothing against it) to 1.
    pub rating: f64,
    /// How much of what was to be learnt is known, from 0 to 1.
    pub confidence: f64,
    /// The listings it rests on: block role before allow role, harder tiers first, then in the order of the lists.
    pub grounds: Vec<Ground>,
}

impl Judgement {
    /// The hardest tier of the block-role listings.
    pub fn hardest(&self) -> Option<Tier> {
        let first = self.grounds.first()?;
        (first.role == Role::Block).then_some(first.tier)
    }
}

/// One listing that a judgement rests on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ground {
    /// The list.
    pub list: ListIndex,
    /// The listing's role: block or allow.
    pub role: Role,
    /// The listing's tier.
    pub tier: Tier,
    /// Whether it is the entry by which its operator counts in the rating; others of the same operator add nothing.
    pub counts: bool,
    /// The page to ask for removal, the target filled in.
    pub remove: Option<String>,
}

/// Judges dossiers by one catalogue and one set of weights.
#[derive(Debug)]
pub struct Judge<'a> {
    catalogue: &'a Catalogue,
    weights: Weights,
    /// For each list, the lists that cover it.
    covered_by: Vec<Vec<ListIndex>>,
}

impl<'a> Judge<'a> {
    /// A judge for dossiers whose lists are indexes of `catalogue`.
    pub fn new(catalogue: &'a Catalogue, weights: Weights) -> Judge<'a> {
        let lists = catalogue.lists();
        let covered_by = lists
            .iter()
            .map(|part| {
                let covering = lists.iter().enumerate();
                let covering = covering.filter(|(_, list)| list.id != part.id && list.covers.contains(&part.id));
                covering.map(|(at, _)| ListIndex(at as u16)).collect() // a catalogue has at most 65,536 lists
            })
            .collect();
        Judge {
            catalogue,
            weights,
            covered_by,
        }
    }

    /// Judges a dossier.
    pub fn judge(&self, dossier: &Dossier) -> Judgement {
        let grounds = self.grounds(dossier);
        let weighed = self.weigh(dossier);
        let blocked = grounds.iter().any(|ground| ground.role == Role::Block);
        let verdict = if blocked {
            Verdict::Listed
        } else if dossier.special_use.is_some() {
            Verdict::SpecialUse
        } else if weighed.confidence() >= CLEAN_CONFIDENCE_MIN && !weighed.hard_unknown {
            Verdict::Clean
        } else {
            Verdict::Unknown
        };
        Judgement {
            verdict,
            rating: self.rating(&grounds),
            confidence: weighed.confidence(),
            grounds,
        }
    }

    /// The block-role and allow-role listings, sorted, with each operator's hardest one marked.
    fn grounds(&self, dossier: &Dossier) -> Vec<Ground> {
        let mut grounds: Vec<Ground> = dossier
            .observations
            .iter()
            .filter_map(|observed| {
                let Observation::Listed(listing) = &observed.observation else {
                    return None;
                };
                let remove = self.catalogue.list(observed.list).remove.as_deref();
                (listing.role != Role::Info).then(|| Ground {
                    list: observed.list,
                    role: listing.role,
                    tier: listing.tier,
                    counts: false,
                    remove: remove.map(|page| fill_target(page, &dossier.target)),
                })
            })
            .collect();
        grounds.sort_by_key(|ground| (ground.role, ground.tier, ground.list));
        let mut seen = Vec::new(); // one entry an operator and role: a few
        for ground in &mut grounds {
            let who = (self.catalogue.list(ground.list).operator, ground.role);
            if !seen.contains(&who) {
                seen.push(who);
                ground.counts = true;
            }
        }
        grounds
    }

    fn rating(&self, grounds: &[Ground]) -> f64 {
        let (mut good, mut softened) = (1.0, 1.0);
        for ground in grounds.iter().filter(|ground| ground.counts) {
            match ground.role {
                Role::Block => good *= 1.0 - self.weights.of(ground.tier),
                Role::Allow => softened *= self.weights.allow,
                Role::Info => {}
            }
        }
        (1.0 - good) * softened
    }

    /// Weighs the planned block lists of a dossier.
    fn weigh(&self, dossier: &Dossier) -> Weighed {
        let planned = |list: ListIndex| {
            let found = dossier.observations.iter().find(|observed| observed.list == list);
            found.is_some_and(|observed| !matches!(observed.observation, Observation::NotAsked(_)))
        };
        let mut weighed = Weighed::default();
        for observed in &dossier.observations {
            let list = self.catalogue.list(observed.list);
            // What covers a list stands for it only if it weighs as much.
            let weighs_as_much = |whole: ListIndex| {
                let whole = self.catalogue.list(whole);
                whole.role == Role::Block && whole.tier <= list.tier
            };
            let mut covering = self.covered(observed.list).iter();
            if list.role != Role::Block || covering.any(|&whole| weighs_as_much(whole) && planned(whole)) {
                continue;
            }
            let weight = self.weights.of(list.tier);
            match observed.observation {
                // What has no block-role code as far as is known may have one.
                Observation::Listed(ref listing) if listing.partial && listing.role != Role::Block => {
                    weighed.planned += weight;
                    weighed.hard_unknown |= list.tier == Tier::A;
                }
                Observation::Listed(_) | Observation::NotListed => {
                    weighed.planned += weight;
                    weighed.answered += weight;
                }
                Observation::Unknown(_) => {
                    weighed.planned += weight;
                    weighed.hard_unknown |= list.tier == Tier::A;
                }
                Observation::NotAsked(_) => {}
            }
        }
        weighed
    }

    fn covered(&self, list: ListIndex) -> &[ListIndex] {
        self.covered_by.get(usize::from(list.0)).map_or(&[], Vec::as_slice)
    }
}

/// What was planned and what was answered, by weight.
#[derive(Debug, Default)]
struct Weighed {
    planned: f64,
    answered: f64,
    hard_unknown: bool,
}

impl Weighed {
    fn confidence(&self) -> f64 {
        if self.planned > 0.0 {
            self.answered / self.planned
        } else {
            0.0
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;
    use crate::dnsxl::{Cause, Reason};

    fn judged(dossier: &Dossier) -> Judgement {
        Judge::new(&sample::catalogue(), Weights::default()).judge(dossier)
    }

    fn near(left: f64, right: f64) -> bool {
        (left - right).abs() < 1e-9
    }

    #[test]
    fn nothing_listed_and_all_answered_is_clean() {
        let judgement = judged(&sample::dossier("192.0.2.1", &[]));
        assert_eq!(judgement.verdict, Verdict::Clean);
        assert!(near(judgement.rating, 0.0) && near(judgement.confidence, 1.0));
        assert_eq!(judgement.grounds, []);
        assert_eq!(judgement.hardest(), None);
    }

    /// Of a list of facts that covers a block list, and of a soft one that covers a hard one.
    #[test]
    fn a_part_that_is_unknown_is_not_hidden_by_a_composite_that_weighs_less() {
        for (role, tier) in [(Role::Info, Tier::A), (Role::Block, Tier::C)] {
            let sample = sample::catalogue();
            let mut lists = sample.lists().to_vec();
            (lists[0].role, lists[0].tier) = (role, tier);
            let operators = lists.iter().map(|list| sample.operator(list.operator).clone());
            let operators = operators.collect::<Vec<_>>()[1..].to_vec();
            let catalogue = Catalogue::from_parts(lists, operators);
            let dossier = sample::dossier("192.0.2.1", &[("alpha-part", Observation::Unknown(Cause::Timeout))]);
            let judgement = Judge::new(&catalogue, Weights::default()).judge(&dossier);
            assert_eq!(judgement.verdict, Verdict::Unknown, "{role:?} {tier:?}");
        }
    }

    #[test]
    fn what_may_have_a_block_code_that_was_not_read_is_not_clean() {
        let mut entry = sample::listed(Role::Allow, Tier::W);
        assert_eq!(
            judged(&sample::dossier("192.0.2.1", &[("alpha-all", entry.clone())])).verdict,
            Verdict::Clean
        );
        if let Observation::Listed(listing) = &mut entry {
            listing.partial = true;
        }
        assert_eq!(
            judged(&sample::dossier("192.0.2.1", &[("alpha-all", entry)])).verdict,
            Verdict::Unknown
        );
    }

    #[test]
    fn distinct_operators_add_up_and_one_operators_lists_count_once() {
        // Alpha's composite (A), its part (A) and Beta's list (B): 1 − 0.4 × 0.75.
        let dossier = sample::dossier(
            "192.0.2.7",
            &[
                ("alpha-all", sample::listed(Role::Block, Tier::A)),
                ("alpha-part", sample::listed(Role::Block, Tier::A)),
                ("beta", sample::listed(Role::Block, Tier::B)),
            ],
        );
        let judgement = judged(&dossier);
        assert_eq!(judgement.verdict, Verdict::Listed);
        assert!(near(judgement.rating, 0.7), "{}", judgement.rating);
        let counts: Vec<bool> = judgement.grounds.iter().map(|ground| ground.counts).collect();
        assert_eq!(counts, [true, false, true]);
        assert_eq!(judgement.hardest(), Some(Tier::A));
        assert_eq!(
            judgement.grounds[0].remove.as_deref(),
            Some("https://alpha.example/remove?q=192.0.2.7&x=1")
        );
    }

    #[test]
    fn the_hardest_listing_of_an_operator_counts_whatever_the_order() {
        let dossier = sample::dossier(
            "192.0.2.7",
            &[
                ("alpha-all", sample::listed(Role::Block, Tier::C)),
                ("alpha-part", sample::listed(Role::Block, Tier::A)),
            ],
        );
        let judgement = judged(&dossier);
        assert!(near(judgement.rating, 0.6), "{}", judgement.rating);
        assert_eq!(judgement.grounds[0].list, sample::index("alpha-part"));
    }

    #[test]
    fn allow_entries_soften_the_rating_but_not_the_verdict() {
        let dossier = sample::dossier(
            "192.0.2.7",
            &[
                ("beta", sample::listed(Role::Block, Tier::B)),
                ("delta-white", sample::listed(Role::Allow, Tier::W)),
            ],
        );
        let judgement = judged(&dossier);
        assert_eq!(judgement.verdict, Verdict::Listed);
        assert!(near(judgement.rating, 0.25 * 0.8), "{}", judgement.rating);
    }

    #[test]
    fn allow_and_info_entries_alone_do_not_make_listed() {
        let dossier = sample::dossier(
            "192.0.2.7",
            &[
                ("delta-white", sample::listed(Role::Allow, Tier::W)),
                ("epsilon-geo", sample::listed(Role::Info, Tier::C)),
            ],
        );
        let judgement = judged(&dossier);
        assert_eq!(judgement.verdict, Verdict::Clean);
        assert!(near(judgement.rating, 0.0));
        assert_eq!(judgement.grounds.len(), 1, "info entries are no grounds");
    }

    #[test]
    fn the_role_of_the_listing_decides_not_that_of_the_list() {
        let dossier = sample::dossier("192.0.2.7", &[("delta-white", sample::listed(Role::Block, Tier::B))]);
        assert_eq!(judged(&dossier).verdict, Verdict::Listed);
        let dossier = sample::dossier("192.0.2.7", &[("beta", sample::listed(Role::Allow, Tier::W))]);
        assert_eq!(judged(&dossier).verdict, Verdict::Clean);
    }

    #[test]
    fn an_unknown_hard_list_is_never_clean() {
        let dossier = sample::dossier("192.0.2.7", &[("alpha-all", Observation::Unknown(Cause::Refused))]);
        let judgement = judged(&dossier);
        assert_eq!(judgement.verdict, Verdict::Unknown);
        assert!(judgement.confidence < 1.0);
        // The part does not stand in for the composite that covers it.
        assert!(near(judgement.confidence, 0.3 / 0.9), "{}", judgement.confidence);
    }

    /// One refused tier-A list among many small ones hardly moves the confidence: here the small ones weigh as a hundred do.
    #[test]
    fn an_unknown_hard_list_is_not_clean_however_high_the_confidence() {
        let weights = Weights {
            a: 0.01,
            b: 0.9,
            ..Weights::default()
        };
        let catalogue = sample::catalogue();
        let judge = Judge::new(&catalogue, weights);
        let refused = sample::dossier("192.0.2.7", &[("alpha-all", Observation::Unknown(Cause::Refused))]);
        let judgement = judge.judge(&refused);
        assert!(judgement.confidence >= CLEAN_CONFIDENCE_MIN, "{}", judgement.confidence);
        assert_eq!(judgement.verdict, Verdict::Unknown);
    }

    #[test]
    fn a_small_unknown_lowers_confidence_and_leaves_it_clean() {
        let dossier = sample::dossier("192.0.2.7", &[("gamma", Observation::Unknown(Cause::Timeout))]);
        let judgement = judged(&dossier);
        assert_eq!(judgement.verdict, Verdict::Clean);
        assert!(near(judgement.confidence, 0.85 / 0.9), "{}", judgement.confidence);
    }

    #[test]
    fn too_little_answered_is_unknown_even_without_hard_lists() {
        let dossier = sample::dossier("192.0.2.7", &[("beta", Observation::Unknown(Cause::Timeout))]);
        assert_eq!(judged(&dossier).verdict, Verdict::Unknown);
    }

    #[test]
    fn nothing_planned_is_unknown_not_clean() {
        let mut dossier = sample::dossier("example.org", &[]);
        for observed in &mut dossier.observations {
            observed.observation = Observation::NotAsked(Reason::Unsupported);
        }
        let judgement = judged(&dossier);
        assert_eq!(judgement.verdict, Verdict::Unknown);
        assert!(near(judgement.confidence, 0.0));
        dossier.special_use = Some("private");
        assert_eq!(judged(&dossier).verdict, Verdict::SpecialUse);
    }

    #[test]
    fn a_part_not_covered_by_anything_planned_counts_itself() {
        let dossier = sample::dossier(
            "192.0.2.7",
            &[
                ("alpha-all", Observation::NotAsked(Reason::Excluded)),
                ("alpha-part", Observation::Unknown(Cause::Timeout)),
            ],
        );
        let judgement = judged(&dossier);
        assert_eq!(judgement.verdict, Verdict::Unknown);
        assert!(near(judgement.confidence, 0.3 / 0.9));
    }

    #[test]
    fn weights_outside_their_range_are_seen() {
        assert!(Weights::default().is_valid());
        assert!(
            !Weights {
                a: 1.5,
                ..Weights::default()
            }
            .is_valid()
        );
        assert!(
            !Weights {
                b: f64::NAN,
                ..Weights::default()
            }
            .is_valid()
        );
    }
}
