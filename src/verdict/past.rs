//! What earlier runs saw of an audited block: which lists had its addresses, since when, and what became of that.
//!
//! An address that was on a tier A or B list is *still* listed if one of those, or any such list, has it now; *cleared* only
//! if every list that had it was asked and says "not listed"; and else it is not *known*: a list that does not answer, was
//! left out or is no more clears nobody.
//!
//! Memory: a row a list.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::dnsxl::{Catalogue, Observation, Role, Tier};
use crate::dossier::{Dossier, Earlier};

/// What earlier runs saw of the block.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct History {
    /// Earlier runs that looked at addresses of the block.
    pub runs: u64,
    /// When the first of them began.
    pub since: String,
    /// When the last of them began.
    pub last: String,
    /// Addresses that were on a list of tier A or B then.
    pub listed: u64,
    /// Of these: listed now, by one that had the address or by another of these tiers.
    pub still: u64,
    /// Of these: every list that had the address says now that it has not.
    pub cleared: u64,
    /// Of these: neither is known.
    pub unknown: u64,
    /// The same by list, the hardest first.
    pub lists: Vec<PastList>,
}

/// What became of the addresses that a list had.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PastList {
    /// The list's id.
    pub list: String,
    /// The hardest tier that it had one in.
    pub tier: Tier,
    /// Addresses that it had.
    pub addresses: u64,
    /// When the first run that saw one of them began.
    pub first_seen: String,
    /// When the last run that saw one of them began.
    pub last_seen: String,
    /// Of these: it has them now.
    pub still: u64,
    /// Of these: it says now that it has not.
    pub cleared: u64,
    /// Of these: it does not say, or was not asked.
    pub unknown: u64,
}

/// Counts what became of the addresses of a block.
#[derive(Debug)]
pub struct Past {
    runs: u64,
    since: Timestamp,
    last: Timestamp,
    fates: [u64; 3],
    lists: BTreeMap<String, Had>,
}

/// What a list had.
#[derive(Debug)]
struct Had {
    tier: Tier,
    first_seen: Timestamp,
    last_seen: Timestamp,
    fates: [u64; 3],
}

/// What became of a listing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Still,
    Cleared,
    Unknown,
}

impl Past {
    /// Nothing counted yet. `runs` are the moments when the runs that looked at the block began; none if there were none.
    pub fn new(runs: &[Timestamp]) -> Option<Past> {
        Some(Past {
            runs: runs.len() as u64,
            since: *runs.iter().min()?,
            last: *runs.iter().max()?,
            fates: [0; 3],
            lists: BTreeMap::new(),
        })
    }

    /// Takes an address in: what is known of it now, and what earlier runs saw.
    pub fn add(&mut self, catalogue: &Catalogue, dossier: &Dossier, earlier: &[Earlier]) {
        let hits = |tier: Tier, role: Role| role == Role::Block && tier <= Tier::B;
        let mut fates = Vec::new();
        for listing in earlier.iter().filter(|listing| hits(listing.tier, listing.role)) {
            let mut now = dossier.observations.iter();
            let now = now.find(|observed| catalogue.list(observed.list).id == listing.list);
            let fate = match now.map(|observed| &observed.observation) {
                Some(Observation::Listed(_)) => Fate::Still,
                Some(Observation::NotListed) => Fate::Cleared,
                _ => Fate::Unknown,
            };
            fates.push(fate);
            self.add_to_list(listing, fate);
        }
        if fates.is_empty() {
            return;
        }
        let listed_now = dossier.observations.iter().any(|observed| match &observed.observation {
            Observation::Listed(listing) => hits(listing.tier, listing.role),
            _ => false,
        });
        let fate = if listed_now || fates.contains(&Fate::Still) {
            Fate::Still
        } else if fates.contains(&Fate::Unknown) {
            Fate::Unknown
        } else {
            Fate::Cleared
        };
        self.fates[fate as usize] += 1;
    }

    fn add_to_list(&mut self, listing: &Earlier, fate: Fate) {
        let had = self.lists.entry(listing.list.clone()).or_insert(Had {
            tier: listing.tier,
            first_seen: listing.first_seen,
            last_seen: listing.last_seen,
            fates: [0; 3],
        });
        had.tier = had.tier.min(listing.tier);
        had.first_seen = had.first_seen.min(listing.first_seen);
        had.last_seen = had.last_seen.max(listing.last_seen);
        had.fates[fate as usize] += 1;
    }

    /// What was counted.
    pub fn finish(self) -> History {
        let lists = self.lists.into_iter().map(|(list, had)| PastList {
            list,
            tier: had.tier,
            addresses: had.fates.iter().sum(),
            first_seen: rfc3339(had.first_seen),
            last_seen: rfc3339(had.last_seen),
            still: had.fates[Fate::Still as usize],
            cleared: had.fates[Fate::Cleared as usize],
            unknown: had.fates[Fate::Unknown as usize],
        });
        let mut lists: Vec<PastList> = lists.collect();
        lists.sort_by_key(|list| (list.tier, std::cmp::Reverse(list.addresses))); // stable: then by id
        History {
            runs: self.runs,
            since: rfc3339(self.since),
            last: rfc3339(self.last),
            listed: self.fates.iter().sum(),
            still: self.fates[Fate::Still as usize],
            cleared: self.fates[Fate::Cleared as usize],
            unknown: self.fates[Fate::Unknown as usize],
            lists,
        }
    }
}

fn rfc3339(moment: Timestamp) -> String {
    moment.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;
    use crate::dnsxl::Cause;

    fn earlier(list: &str, tier: Tier, seen: [i64; 2]) -> Earlier {
        let moment = |seconds| Timestamp::from_second(seconds).expect("a date");
        Earlier {
            list: list.into(),
            role: if tier == Tier::W { Role::Allow } else { Role::Block },
            tier,
            first_seen: moment(seen[0]),
            last_seen: moment(seen[1]),
        }
    }

    #[test]
    fn cleared_is_who_is_denied_by_all_that_had_it() {
        let catalogue = sample::catalogue();
        let observed = |seen: &[(&str, Observation)]| sample::dossier("192.0.2.1", seen);
        let mut past =
            Past::new(&[10, 20].map(|second| Timestamp::from_second(second).expect("a date"))).expect("runs");
        let both = [
            earlier("alpha-all", Tier::A, [10, 10]),
            earlier("beta", Tier::B, [10, 20]),
        ];
        let a = || sample::listed(Role::Block, Tier::A);
        // Both deny it; one has it still; one is silent; one is not among the lists any more; one has it as policy now.
        past.add(&catalogue, &observed(&[]), &both);
        past.add(&catalogue, &observed(&[("alpha-all", a())]), &both);
        past.add(
            &catalogue,
            &observed(&[("beta", Observation::Unknown(Cause::Timeout))]),
            &both,
        );
        past.add(&catalogue, &observed(&[]), &[earlier("gone", Tier::A, [20, 20])]);
        past.add(
            &catalogue,
            &observed(&[("beta", sample::listed(Role::Block, Tier::C))]),
            &both,
        );
        // What was on policy and allow lists is no stain; nor is what was on none.
        past.add(
            &catalogue,
            &observed(&[]),
            &[earlier("beta", Tier::C, [10, 10]), earlier("white", Tier::W, [10, 10])],
        );
        past.add(&catalogue, &observed(&[("alpha-all", a())]), &[]);
        let history = past.finish();
        assert_eq!(
            (history.listed, history.still, history.cleared, history.unknown),
            (5, 2, 1, 2)
        );
        assert_eq!(history.runs, 2);
        assert_eq!(
            (&*history.since, &*history.last),
            ("1970-01-01T00:00:10Z", "1970-01-01T00:00:20Z")
        );
        let rows: Vec<_> = history
            .lists
            .iter()
            .map(|list| {
                (
                    list.list.as_str(),
                    [list.addresses, list.still, list.cleared, list.unknown],
                )
            })
            .collect();
        assert_eq!(
            rows,
            [
                ("alpha-all", [4, 1, 3, 0]),
                ("gone", [1, 0, 0, 1]),
                ("beta", [4, 1, 2, 1])
            ]
        );
        assert_eq!(history.lists[2].last_seen, "1970-01-01T00:00:20Z");
        assert!(Past::new(&[]).is_none());
    }
}
