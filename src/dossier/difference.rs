//! What changed between two runs over the same targets.
//!
//! A listing that is not seen any more is *cleared* only if the list says so. Where the later run could not learn it, the
//! listing *became unknown*, which is not good news and never counted as such.
//!
//! Bounds: [`CHANGES_MAX`] changes of each kind are held; the counts are of all.

use std::fmt;

use crate::dnsxl::{Role, Tier};

/// Changes of one kind that are held; more are only counted. A page of a hundred thousand lines helps nobody.
pub const CHANGES_MAX: usize = 10_000;

/// What changed since an earlier run.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct Difference {
    /// The number of the earlier run.
    pub since: i64,
    /// When it started, RFC 3339.
    pub since_started: String,
    /// How many changes of each kind there are.
    pub counts: ChangeCounts,
    /// Listed now, and not (or not known to be) before.
    pub newly_listed: Vec<Change>,
    /// Listed before, and now the list says that it is not.
    pub cleared: Vec<Change>,
    /// Listed in both, by other codes.
    pub code_changed: Vec<Change>,
    /// Listed before, and now it is not known.
    pub became_unknown: Vec<Change>,
    /// Lists that came, went, or changed their health.
    pub lists: Vec<ListChange>,
}

/// How many changes of each kind there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct ChangeCounts {
    /// Listed now, and not before.
    pub newly_listed: u64,
    /// Of these: on block lists by tier A, B, C.
    pub newly_blocked: [u64; 3],
    /// Cleared.
    pub cleared: u64,
    /// By other codes.
    pub code_changed: u64,
    /// Listed before, now unknown.
    pub became_unknown: u64,
    /// Not listed before, now unknown.
    pub lost_sight: u64,
}

/// One pair (target, list) that changed.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Change {
    /// The target.
    pub target: String,
    /// The list's id.
    pub list: String,
    /// The operator's name.
    pub operator: String,
    /// The role of the listing.
    pub role: Role,
    /// The tier of the listing.
    pub tier: Tier,
    /// What was known before: `listed`, `not_listed`, `unknown`, `not_asked`, or the cause of an unknown.
    pub before: String,
    /// What is known now, in the same words.
    pub after: String,
    /// The codes before.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub codes_before: Vec<std::net::Ipv4Addr>,
    /// The codes now.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub codes: Vec<std::net::Ipv4Addr>,
}

/// A list that changed.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct ListChange {
    /// The list's id.
    pub list: String,
    /// What became of it.
    pub what: ListFate,
}

/// What became of a list between two runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ListFate {
    /// It is asked now, and was not part of the earlier run.
    Added,
    /// It is not part of this run any more.
    Removed,
    /// It is retired.
    Retired,
    /// It was healthy and is not any more.
    Unhealthy,
    /// It was not healthy and is now.
    HealthyAgain,
}

impl ListFate {
    /// The word of the records.
    pub fn as_str(self) -> &'static str {
        match self {
            ListFate::Added => "added",
            ListFate::Removed => "removed",
            ListFate::Retired => "retired",
            ListFate::Unhealthy => "unhealthy",
            ListFate::HealthyAgain => "healthy_again",
        }
    }
}

/// The kinds of changes of a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ChangeKind {
    /// Listed now, and not before.
    NewlyListed,
    /// Cleared.
    Cleared,
    /// By other codes.
    CodeChanged,
    /// Listed before, now unknown.
    BecameUnknown,
}

impl Difference {
    /// Takes a change in, as long as there is room; it is counted in any case.
    pub fn add(&mut self, kind: ChangeKind, change: Change) {
        let counts = &mut self.counts;
        let (count, held) = match kind {
            ChangeKind::NewlyListed => (&mut counts.newly_listed, &mut self.newly_listed),
            ChangeKind::Cleared => (&mut counts.cleared, &mut self.cleared),
            ChangeKind::CodeChanged => (&mut counts.code_changed, &mut self.code_changed),
            ChangeKind::BecameUnknown => (&mut counts.became_unknown, &mut self.became_unknown),
        };
        *count += 1;
        if kind == ChangeKind::NewlyListed
            && change.role == Role::Block
            && let Some(blocked) = counts.newly_blocked.get_mut(change.tier as usize)
        {
            *blocked += 1;
        }
        if held.len() < CHANGES_MAX {
            held.push(change);
        }
    }

    /// Whether anything changed.
    pub fn is_empty(&self) -> bool {
        self.counts == ChangeCounts::default() && self.lists.is_empty()
    }

    /// Whether a target is newly listed on a block list of this tier or a harder one.
    pub fn is_worse(&self, tier: Tier) -> bool {
        let blocked = self.counts.newly_blocked.iter().take(tier as usize + 1);
        blocked.sum::<u64>() > 0
    }
}

impl fmt::Display for ChangeCounts {
    /// One line: `2 newly listed, 1 cleared, 0 by another code, 3 became unknown`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} newly listed, {} cleared, {} by another code, {} became unknown",
            self.newly_listed, self.cleared, self.code_changed, self.became_unknown
        )
    }
}

impl fmt::Display for Difference {
    /// One line, for logs and checks.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return write!(f, "nothing changed since run {}", self.since);
        }
        write!(f, "since run {}: {}", self.since, self.counts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(role: Role, tier: Tier) -> Change {
        Change {
            target: "192.0.2.7".into(),
            list: "alpha".into(),
            operator: "Alpha".into(),
            role,
            tier,
            before: "not_listed".into(),
            after: "listed".into(),
            codes_before: Vec::new(),
            codes: vec![[127, 0, 0, 2].into()],
        }
    }

    #[test]
    fn all_are_counted_and_a_bounded_number_is_held() {
        let mut difference = Difference::default();
        for _ in 0..=CHANGES_MAX {
            difference.add(ChangeKind::NewlyListed, change(Role::Block, Tier::B));
        }
        assert_eq!(difference.newly_listed.len(), CHANGES_MAX);
        assert_eq!(difference.counts.newly_listed, CHANGES_MAX as u64 + 1);
    }

    #[test]
    fn only_block_lists_make_it_worse_and_only_from_their_tier_on() {
        let mut difference = Difference::default();
        assert!(difference.is_empty());
        difference.add(ChangeKind::NewlyListed, change(Role::Allow, Tier::A));
        difference.add(ChangeKind::BecameUnknown, change(Role::Block, Tier::A));
        assert!(!difference.is_worse(Tier::C) && !difference.is_empty());
        difference.add(ChangeKind::NewlyListed, change(Role::Block, Tier::B));
        assert!(difference.is_worse(Tier::B) && difference.is_worse(Tier::C) && !difference.is_worse(Tier::A));
        assert_eq!(
            difference.to_string(),
            "since run 0: 2 newly listed, 0 cleared, 0 by another code, 1 became unknown"
        );
    }

    #[test]
    fn it_comes_back_from_json_as_it_was() {
        let mut difference = Difference::default();
        difference.add(ChangeKind::CodeChanged, change(Role::Info, Tier::C));
        difference.lists.push(ListChange {
            list: "beta".into(),
            what: ListFate::Unhealthy,
        });
        let text = serde_json::to_string(&difference).expect("plain");
        assert_eq!(serde_json::from_str::<Difference>(&text).expect("the same"), difference);
    }
}
