//! What is known of one target on one list: the words of the whole program.
//!
//! Unknown never means clean. Everything that is not a defined listing code inside 127/8, and not a plain "there is no
//! such name", is [`Observation::Unknown`] with its cause.

use std::net::Ipv4Addr;
use std::sync::Arc;

use super::list::{Role, Tier};

/// What is known of (target, list).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Observation {
    /// The list has an entry for the target.
    Listed(Box<Listing>),
    /// The list has none (NXDOMAIN, NODATA, or an answer that the list defines as "not listed").
    NotListed,
    /// It could not be learnt.
    Unknown(Cause),
    /// It was not to be asked.
    NotAsked(Reason),
}

/// An entry of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// The return codes and what they mean. Shared, because nearly all entries of a list have one of few.
    pub codes: Arc<ReturnCodes>,
    /// The role of this listing: the list's own, or that of its hardest code where a zone mixes roles
    /// (block before info before allow).
    pub role: Role,
    /// The tier of this listing: the list's own, or that of its hardest code.
    pub tier: Tier,
    /// The TXT record's text, as it came (hostile: escape it).
    pub reason: Option<String>,
    /// Seconds that the entry may be kept.
    pub ttl: u32,
    /// The run was stopped while the reason was still being asked for: it is asked again when the run goes on.
    pub reason_cut: bool,
    /// There may be more to it than the codes say: the answer was cut short, or had codes that the list does not define, or
    /// the answer for the other of two names is not known. It is a listing all the same, but what it is not cannot be told.
    pub partial: bool,
}

/// The return codes of an entry (RFC 5782 §2.3).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ReturnCodes {
    /// The A records that are listing codes, sorted.
    pub answers: Vec<Ipv4Addr>,
    /// What they mean, by the catalogue, one a code, in the order of the codes.
    pub meanings: Vec<String>,
}

impl ReturnCodes {
    /// Codes and their meanings, as a listing has them.
    pub fn shared(answers: Vec<Ipv4Addr>, meanings: Vec<String>) -> Arc<ReturnCodes> {
        Arc::new(ReturnCodes { answers, meanings })
    }

    /// Each code with its meaning.
    fn told(&self) -> impl Iterator<Item = (Ipv4Addr, String)> + '_ {
        self.answers.iter().copied().zip(self.meanings.iter().cloned())
    }
}

/// Why something is unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// No acceptable answer came in time.
    Timeout,
    /// The server failed.
    Servfail,
    /// The server or the operator refuses us: REFUSED, or the list's own refusal code.
    Refused,
    /// An answer outside 127/8, or a code that the list does not define.
    InvalidAnswer,
    /// The list failed its health check, before or during the run.
    ListUnhealthy,
    /// The resolver lies or does not answer.
    ResolverBroken,
    /// The operator's daily budget was used up.
    OverBudget,
    /// The run was stopped before it was learnt.
    Cancelled,
}

/// Why something was not asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The list does not take this kind of target.
    Unsupported,
    /// The list needs a key that was not given.
    NoKey,
    /// The list is retired.
    Retired,
    /// The user left it out.
    Excluded,
    /// The target is special-use space (RFC 6890, RFC 6761).
    SpecialUse,
}

/// How an observation was learnt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum How {
    /// By asking.
    Asked,
    /// From a composite zone's answer.
    Folded,
    /// From a parent's NXDOMAIN (RFC 8020).
    Pruned,
    /// From another address of the same IPv6 /64.
    Shared,
    /// From zone data on disk.
    Local,
}

macro_rules! words {
    ($type:ident { $($variant:ident => $word:literal),+ $(,)? }) => {
        impl $type {
            /// All of them.
            pub const ALL: &[$type] = &[$($type::$variant),+];

            /// The word of the records.
            pub fn as_str(self) -> &'static str {
                match self {
                    $($type::$variant => $word),+
                }
            }
        }

        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

words!(Cause {
    Timeout => "timeout",
    Servfail => "servfail",
    Refused => "refused",
    InvalidAnswer => "invalid_answer",
    ListUnhealthy => "list_unhealthy",
    ResolverBroken => "resolver_broken",
    OverBudget => "over_budget",
    Cancelled => "cancelled",
});

words!(Reason {
    Unsupported => "unsupported",
    NoKey => "no_key",
    Retired => "retired",
    Excluded => "excluded",
    SpecialUse => "special_use",
});

words!(How {
    Asked => "asked",
    Folded => "folded",
    Pruned => "pruned",
    Shared => "shared",
    Local => "local",
});

impl Observation {
    /// The word of the records: `listed`, `not_listed`, `unknown`, `not_asked`.
    pub fn as_str(&self) -> &'static str {
        match self {
            Observation::Listed(_) => "listed",
            Observation::NotListed => "not_listed",
            Observation::Unknown(_) => "unknown",
            Observation::NotAsked(_) => "not_asked",
        }
    }
}

impl Observation {
    /// What two questions about one pair say together (a domain asked in full and by its registrable part): an entry for
    /// either is a listing, and only two plain "no" are "not listed".
    pub fn either(self, other: Observation) -> Observation {
        match (self, other) {
            (Observation::Listed(a), Observation::Listed(b)) => Observation::Listed(Box::new(a.join(*b))),
            (Observation::Listed(listing), other) | (other, Observation::Listed(listing)) => {
                let partial = listing.partial || matches!(other, Observation::Unknown(_));
                Observation::Listed(Box::new(Listing { partial, ..*listing }))
            }
            (Observation::Unknown(cause), _) | (_, Observation::Unknown(cause)) => Observation::Unknown(cause),
            (Observation::NotListed, _) | (_, Observation::NotListed) => Observation::NotListed,
            (Observation::NotAsked(reason), Observation::NotAsked(_)) => Observation::NotAsked(reason),
        }
    }
}

impl Listing {
    /// Both entries as one: all codes with their meanings, the harder role and tier, the first reason, the lower TTL.
    fn join(self, other: Listing) -> Listing {
        let mut codes: Vec<(Ipv4Addr, String)> = self.codes.told().chain(other.codes.told()).collect();
        codes.sort_by_key(|(code, _)| *code);
        codes.dedup_by_key(|(code, _)| *code);
        let (role, tier) = (self.role, self.tier).min((other.role, other.tier));
        let (answers, meanings) = codes.into_iter().unzip();
        Listing {
            codes: ReturnCodes::shared(answers, meanings),
            role,
            tier,
            reason: self.reason.or(other.reason),
            ttl: self.ttl.min(other.ttl),
            reason_cut: self.reason_cut || other.reason_cut,
            partial: self.partial || other.partial,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(code: u8, tier: Tier, ttl: u32) -> Observation {
        Observation::Listed(Box::new(Listing {
            codes: ReturnCodes::shared(vec![Ipv4Addr::new(127, 0, 0, code)], vec![format!("code {code}")]),
            role: Role::Block,
            tier,
            reason: None,
            ttl,
            reason_cut: false,
            partial: false,
        }))
    }

    #[test]
    fn an_entry_for_either_name_is_a_listing_and_unknown_never_becomes_clean() {
        let unknown = Observation::Unknown(Cause::Timeout);
        assert_eq!(Observation::NotListed.either(unknown.clone()), unknown);
        assert_eq!(unknown.clone().either(Observation::NotListed), unknown);
        let Observation::Listed(half) = unknown.either(listed(2, Tier::B, 60)) else {
            panic!("listed")
        };
        assert!(half.partial, "the other name may have another code");
        assert_eq!(
            listed(2, Tier::B, 60).either(Observation::NotListed),
            listed(2, Tier::B, 60)
        );
        assert_eq!(
            Observation::NotListed.either(Observation::NotListed),
            Observation::NotListed
        );
        let Observation::Listed(both) = listed(9, Tier::B, 60).either(listed(2, Tier::A, 90)) else {
            panic!("listed")
        };
        assert_eq!(both.codes.meanings, ["code 2", "code 9"]);
        assert_eq!((both.tier, both.ttl), (Tier::A, 60));
    }
}
