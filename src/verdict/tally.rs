//! The tally of a run: fed dossier by dossier, it says how much was learnt, how hard the hardest listing is, and with
//! what status the program ends.
//!
//! Holds a few counters a list, whatever the number of targets. Where a dossier that was counted is revised,
//! [`Tally::revise`] counts it in its stead.
//!
//! * **Coverage**: of the planned pairs (target, list) on lists that were healthy at the start, the share that was
//!   answered. Pairs of targets that were not reached are planned too. Nothing planned at all, though there was a target to
//!   ask about, is a coverage of 0.
//! * **Usable**: a tier-A block list that was planned is usable if it was healthy at the start and its own coverage
//!   reaches the same minimum. A hundred small lists must not outvote the one that refused.

use crate::dnsxl::{Catalogue, ListIndex, Observation, Role, Tier};
use crate::dossier::Dossier;

/// The exit status of a scan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ExitStatus {
    /// No listing at or above the tier that fails, and enough was learnt.
    Clean,
    /// At least one such listing.
    Listed,
    /// No such listing, but too little was learnt to say so.
    Incomplete,
}

impl ExitStatus {
    /// The number for the operating system.
    pub fn code(self) -> u8 {
        match self {
            ExitStatus::Clean => 0,
            ExitStatus::Listed => 1,
            ExitStatus::Incomplete => 3,
        }
    }
}

/// The status of a check in the words of the Nagios plugin interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NagiosStatus {
    /// Nothing found, and enough was learnt.
    Ok,
    /// A listing of tier C only, or too little learnt.
    Warning,
    /// A listing of tier A or B.
    Critical,
    /// Less than half was answered, and nothing hard was found.
    Unknown,
}

impl NagiosStatus {
    /// The number for the operating system.
    pub fn code(self) -> u8 {
        match self {
            NagiosStatus::Ok => 0,
            NagiosStatus::Warning => 1,
            NagiosStatus::Critical => 2,
            NagiosStatus::Unknown => 3,
        }
    }

    /// The word that opens the plugin's line.
    pub fn as_str(self) -> &'static str {
        match self {
            NagiosStatus::Ok => "OK",
            NagiosStatus::Warning => "WARNING",
            NagiosStatus::Critical => "CRITICAL",
            NagiosStatus::Unknown => "UNKNOWN",
        }
    }
}

/// The counters of one list.
#[derive(Debug, Clone, Copy, Default)]
struct Pairs {
    planned: u64,
    answered: u64,
}

/// What a run found so far.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    pairs: Vec<Pairs>,
    /// Targets with a block-role listing whose hardest tier is A, B, C, W.
    hit: [u64; 4],
    targets: u64,
    special: u64,
    unreached: u64,
}

/// A finished tally.
#[derive(Debug, Clone, PartialEq)]
pub struct Tallied {
    /// Targets, special-use ones included; those that were not reached are not.
    pub targets: u64,
    /// Targets that were not reached: the run was stopped or killed before, or a part of it is missing.
    pub unreached: u64,
    /// Targets whose hardest block-role listing is of tier A, B, C; W last, where a catalogue says such a thing.
    pub hit: [u64; 4],
    /// Pairs planned, on all lists.
    pub planned: u64,
    /// Pairs answered, on all lists.
    pub answered: u64,
    /// Of the planned pairs on lists healthy at the start, the share answered.
    pub coverage: f64,
    /// Of each planned tier-A block list, in the order of the catalogue, the share answered; 0 if it was unhealthy at
    /// the start.
    pub hard: Vec<(ListIndex, f64)>,
    /// The same of each other planned block list.
    pub soft: Vec<(ListIndex, f64)>,
}

impl Tally {
    /// An empty tally.
    pub fn new() -> Tally {
        Tally::default()
    }

    /// Counts a target's dossier.
    pub fn add(&mut self, dossier: &Dossier) {
        self.count(dossier, |counter| *counter += 1);
    }

    /// Counts a dossier in the stead of an earlier revision of it that was counted.
    pub fn revise(&mut self, before: &Dossier, after: &Dossier) {
        self.count(before, |counter| *counter -= 1);
        self.add(after);
    }

    /// Counts targets of which no dossier came: `planned` has for each list how many pairs were to be learnt of all targets,
    /// those that were reached too.
    pub fn miss(&mut self, targets: u64, planned: impl IntoIterator<Item = (ListIndex, u64)>) {
        self.unreached = targets;
        for (list, planned) in planned {
            let pairs = self.pairs(list);
            pairs.planned = pairs.planned.max(planned);
        }
    }

    /// Pairs of a list that were planned so far.
    pub fn planned(&self, list: ListIndex) -> u64 {
        self.pairs.get(usize::from(list.0)).map_or(0, |pairs| pairs.planned)
    }

    /// Targets that were counted so far.
    pub fn targets(&self) -> u64 {
        self.targets
    }

    /// Does something to every counter that a dossier counts in.
    fn count(&mut self, dossier: &Dossier, mut act: impl FnMut(&mut u64)) {
        act(&mut self.targets);
        if dossier.special_use.is_some() {
            act(&mut self.special);
        }
        let mut hardest: Option<Tier> = None;
        for observed in &dossier.observations {
            let pairs = self.pairs(observed.list);
            match &observed.observation {
                Observation::Listed(_) | Observation::NotListed => {
                    act(&mut pairs.planned);
                    act(&mut pairs.answered);
                }
                Observation::Unknown(_) => act(&mut pairs.planned),
                Observation::NotAsked(_) => {}
            }
            if let Observation::Listed(listing) = &observed.observation
                && listing.role == Role::Block
            {
                hardest = Some(hardest.map_or(listing.tier, |other| other.min(listing.tier)));
            }
        }
        if let Some(hardest) = hardest {
            act(&mut self.hit[hardest as usize]);
        }
    }

    /// Closes the tally. `healthy` says which lists were healthy at the start of the run.
    pub fn finish(&self, catalogue: &Catalogue, healthy: impl Fn(ListIndex) -> bool) -> Tallied {
        let mut all = Pairs::default();
        let mut usable = Pairs::default();
        let (mut hard, mut soft) = (Vec::new(), Vec::new());
        for (at, pairs) in self.pairs.iter().enumerate().filter(|(_, pairs)| pairs.planned > 0) {
            let index = ListIndex(at as u16); // `pairs` grows by list indexes alone
            let (list, healthy) = (catalogue.list(index), healthy(index));
            all.planned += pairs.planned;
            all.answered += pairs.answered;
            if healthy {
                usable.planned += pairs.planned;
                usable.answered += pairs.answered;
            }
            let share = if healthy { pairs.share() } else { 0.0 };
            match (list.role, list.tier) {
                (Role::Block, Tier::A) => hard.push((index, share)),
                (Role::Block, _) => soft.push((index, share)),
                _ => {}
            }
        }
        let nothing_to_ask = self.targets == self.special && self.unreached == 0;
        Tallied {
            targets: self.targets,
            unreached: self.unreached,
            hit: self.hit,
            planned: all.planned,
            answered: all.answered,
            coverage: if nothing_to_ask { 1.0 } else { usable.share() },
            hard,
            soft,
        }
    }

    fn pairs(&mut self, list: ListIndex) -> &mut Pairs {
        let at = usize::from(list.0);
        if self.pairs.len() <= at {
            self.pairs.resize(at + 1, Pairs::default());
        }
        &mut self.pairs[at]
    }
}

impl Pairs {
    fn share(self) -> f64 {
        if self.planned == 0 {
            0.0
        } else {
            self.answered as f64 / self.planned as f64
        }
    }
}

impl Tallied {
    /// Whether enough was learnt: `min` is a share from 0 to 1.
    pub fn covered(&self, min: f64) -> bool {
        self.coverage >= min && self.hard.iter().all(|&(_, share)| share >= min)
    }

    /// The exit status: a listing of tier `fail_on` or harder first, then coverage (`min_coverage`, a share from 0 to 1).
    pub fn exit_status(&self, fail_on: Tier, min_coverage: f64) -> ExitStatus {
        if self.hit[..=fail_on as usize].iter().any(|&hit| hit > 0) {
            ExitStatus::Listed
        } else if self.covered(min_coverage) {
            ExitStatus::Clean
        } else {
            ExitStatus::Incomplete
        }
    }

    /// The status of a Nagios check. What was found comes before what is missing.
    pub fn nagios_status(&self, min_coverage: f64) -> NagiosStatus {
        let [a, b, c, other] = self.hit;
        if a + b > 0 {
            NagiosStatus::Critical
        } else if self.coverage < 0.5 || 2 * self.answered < self.planned {
            // Most lists may have failed before anything was asked of them.
            NagiosStatus::Unknown
        } else if c + other > 0 || !self.covered(min_coverage) {
            NagiosStatus::Warning
        } else {
            NagiosStatus::Ok
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;
    use crate::dnsxl::{Cause, Reason};

    fn tallied(dossiers: &[Dossier]) -> Tallied {
        let mut tally = Tally::new();
        for dossier in dossiers {
            tally.add(dossier);
        }
        tally.finish(&sample::catalogue(), |_| true)
    }

    #[test]
    fn all_answered_and_none_listed_is_zero() {
        let run = tallied(&[sample::dossier("192.0.2.1", &[])]);
        assert_eq!(run.exit_status(Tier::B, 0.9).code(), 0);
        assert_eq!(run.nagios_status(0.9).code(), 0);
        assert_eq!((run.targets, run.planned, run.answered), (1, 6, 6));
    }

    #[test]
    fn a_listing_fails_from_its_tier_on() {
        let run = tallied(&[
            sample::dossier("192.0.2.1", &[]),
            sample::dossier("192.0.2.2", &[("gamma", sample::listed(Role::Block, Tier::C))]),
        ]);
        assert_eq!(run.exit_status(Tier::A, 0.9).code(), 0);
        assert_eq!(run.exit_status(Tier::B, 0.9).code(), 0);
        assert_eq!(run.exit_status(Tier::C, 0.9).code(), 1);
        assert_eq!(run.nagios_status(0.9), NagiosStatus::Warning);
        let run = tallied(&[sample::dossier(
            "192.0.2.2",
            &[("beta", sample::listed(Role::Block, Tier::B))],
        )]);
        assert_eq!(run.exit_status(Tier::A, 0.9).code(), 0);
        assert_eq!(run.exit_status(Tier::B, 0.9).code(), 1);
        assert_eq!(run.nagios_status(0.9), NagiosStatus::Critical);
    }

    #[test]
    fn allow_and_info_entries_do_not_fail() {
        let run = tallied(&[sample::dossier(
            "192.0.2.2",
            &[
                ("delta-white", sample::listed(Role::Allow, Tier::W)),
                ("epsilon-geo", sample::listed(Role::Info, Tier::A)),
            ],
        )]);
        assert_eq!(run.exit_status(Tier::W, 0.9).code(), 0);
    }

    #[test]
    fn a_listing_comes_before_missing_coverage() {
        let mut dossier = sample::dossier("192.0.2.2", &[]);
        for observed in &mut dossier.observations {
            observed.observation = Observation::Unknown(Cause::Timeout);
        }
        let run = tallied(&[dossier.clone()]);
        assert_eq!(run.exit_status(Tier::B, 0.9).code(), 3);
        assert_eq!(run.nagios_status(0.9).code(), 3);
        dossier.observations[0].observation = sample::listed(Role::Block, Tier::A);
        let run = tallied(&[dossier]);
        assert_eq!(run.exit_status(Tier::B, 0.9).code(), 1);
        assert_eq!(run.nagios_status(0.9).code(), 2);
    }

    #[test]
    fn one_unusable_hard_list_is_incomplete_however_good_the_rest() {
        let dossier = sample::dossier(
            "192.0.2.1",
            &[("alpha-all", Observation::Unknown(Cause::ListUnhealthy))],
        );
        let mut tally = Tally::new();
        tally.add(&dossier);
        let run = tally.finish(&sample::catalogue(), |list| list != sample::index("alpha-all"));
        assert!(
            (run.coverage - 1.0).abs() < 1e-9,
            "the unhealthy list is left out of the share"
        );
        assert_eq!(run.exit_status(Tier::B, 0.9).code(), 3);
        assert_eq!(run.nagios_status(0.9), NagiosStatus::Warning);
    }

    #[test]
    fn unhealthy_small_lists_do_not_spoil_a_run() {
        let dossier = sample::dossier("192.0.2.1", &[("gamma", Observation::Unknown(Cause::ListUnhealthy))]);
        let mut tally = Tally::new();
        tally.add(&dossier);
        let run = tally.finish(&sample::catalogue(), |list| list != sample::index("gamma"));
        assert_eq!(run.exit_status(Tier::B, 0.9).code(), 0);
    }

    #[test]
    fn a_check_of_which_most_lists_failed_from_the_start_is_not_ok() {
        let failed = ["beta", "gamma", "delta-white", "epsilon-geo"];
        let all: Vec<_> = failed.map(|id| (id, Observation::Unknown(Cause::ListUnhealthy))).into();
        for (failed, status) in [(3, NagiosStatus::Ok), (4, NagiosStatus::Unknown)] {
            let mut tally = Tally::new();
            tally.add(&sample::dossier("192.0.2.1", &all[..failed]));
            let unhealthy: Vec<_> = all[..failed].iter().map(|(id, _)| sample::index(id)).collect();
            let run = tally.finish(&sample::catalogue(), |list| !unhealthy.contains(&list));
            assert!((run.coverage - 1.0).abs() < 1e-9);
            assert_eq!(run.nagios_status(0.9), status, "{failed} of 6 lists failed");
        }
    }

    #[test]
    fn no_list_healthy_is_incomplete_and_so_is_no_list_at_all() {
        let mut tally = Tally::new();
        let mut dossier = sample::dossier("192.0.2.1", &[("gamma", Observation::Unknown(Cause::ListUnhealthy))]);
        tally.add(&dossier);
        assert_eq!(
            tally
                .finish(&sample::catalogue(), |_| false)
                .exit_status(Tier::B, 0.9)
                .code(),
            3
        );
        for observed in &mut dossier.observations {
            observed.observation = Observation::NotAsked(Reason::Unsupported);
        }
        assert_eq!(tallied(&[dossier.clone()]).exit_status(Tier::B, 0.9).code(), 3);
        dossier.special_use = Some("private");
        assert_eq!(
            tallied(&[dossier]).exit_status(Tier::B, 0.9).code(),
            0,
            "there was nothing to ask"
        );
    }

    #[test]
    fn targets_that_were_not_reached_are_planned_and_not_answered() {
        let mut tally = Tally::new();
        tally.add(&sample::dossier("192.0.2.1", &[]));
        let planned: Vec<_> = sample::catalogue()
            .indexed()
            .map(|(list, _)| (list, 10 * tally.planned(list)))
            .collect();
        tally.miss(9, planned);
        let run = tally.finish(&sample::catalogue(), |_| true);
        assert_eq!((run.targets, run.unreached, run.planned, run.answered), (1, 9, 60, 6));
        assert_eq!(run.exit_status(Tier::B, 0.9).code(), 3);
        assert_eq!(run.nagios_status(0.9), NagiosStatus::Unknown);
        // Special-use targets were all that was reached: the others may be any.
        let mut tally = Tally::new();
        let mut special = sample::dossier("10.0.0.1", &[]);
        special.special_use = Some("private");
        special.observations.clear();
        tally.add(&special);
        tally.miss(1, []);
        let run = tally.finish(&sample::catalogue(), |_| true);
        assert_eq!(run.exit_status(Tier::B, 0.9).code(), 3);
    }

    #[test]
    fn a_revision_counts_in_the_stead_of_what_it_revises() {
        let listed = |list, tier| (list, sample::listed(Role::Block, tier));
        let unknown = || Observation::Unknown(Cause::Cancelled);
        let states = [
            sample::dossier("192.0.2.1", &[]),
            sample::dossier("192.0.2.1", &[("beta", unknown())]),
            sample::dossier("192.0.2.1", &[listed("gamma", Tier::C)]),
            sample::dossier("192.0.2.1", &[listed("gamma", Tier::C), listed("beta", Tier::B)]),
        ];
        for before in &states {
            for after in &states {
                let mut tally = Tally::new();
                tally.add(&sample::dossier("192.0.2.9", &[listed("beta", Tier::B)]));
                tally.add(before);
                tally.revise(before, after);
                let mut fresh = Tally::new();
                fresh.add(&sample::dossier("192.0.2.9", &[listed("beta", Tier::B)]));
                fresh.add(after);
                let finished = |tally: &Tally| tally.finish(&sample::catalogue(), |_| true);
                assert_eq!(finished(&tally), finished(&fresh));
            }
        }
    }
}
