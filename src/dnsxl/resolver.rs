//! Telling a lying resolver from broken lists: when lists of several operators fail in the same way at once, it is what
//! they have in common.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use crate::targets::Kind;

use super::health::has_text;
use super::interpret::{Reader, Sight};
use super::list::OperatorIndex;
use super::probe::{ProbeReply, ProbeRole, positive};
use super::query::Subject;

/// Operators that must agree before the resolver is blamed: two lists parked at the same place are seen, two operators'
/// at the same hour, and no third one well, are not.
const WITNESSES_MIN: usize = 2;

/// Lists of one operator that count for as much.
const LISTS_MIN: usize = 3;

/// What one list's preflight shows of the resolver in between.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence {
    operator: OperatorIndex,
    /// What names that cannot exist answered.
    nonsense: Nonsense,
    /// What became of the positive test entry.
    entry: Entry,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Nonsense {
    Foreign(Ipv4Addr),
    Clean,
    Other,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Entry {
    /// Listed, by a name of two labels or more.
    Listed,
    /// Listed, by one label: no witness against minimising.
    ListedShort,
    /// No A record; the second says whether there is a TXT record.
    NoData(bool),
    /// A name of two labels or more that does not exist.
    NxDomain,
    Silent,
    /// Refused, failed, foreign, or none there: no witness.
    Other,
}

/// What a resolver does to the answers of lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResolverVerdict {
    /// A test entry came through, and names that do not exist do not exist.
    Fine,
    /// Nothing can be said: too few lists of too few operators answered.
    Unproven,
    /// It answers names that do not exist with this address.
    RewritesNxdomain(Ipv4Addr),
    /// It takes answers in 127/8 out (protection against rebinding).
    StripsLoopback,
    /// It says of names that have labels above them that they do not exist (RFC 9156 against servers that answer wrongly
    /// for empty non-terminals).
    Minimises,
    /// It does not answer.
    Silent,
}

impl ResolverVerdict {
    /// Whether lists cannot be asked through it.
    pub fn is_broken(self) -> bool {
        !matches!(self, ResolverVerdict::Fine | ResolverVerdict::Unproven)
    }

    /// What is wrong and what mends it, in a sentence.
    pub fn advice(self) -> Option<String> {
        Some(match self {
            ResolverVerdict::Fine | ResolverVerdict::Unproven => return None,
            ResolverVerdict::RewritesNxdomain(address) => {
                format!("the resolver answers {address} for names that do not exist; use your own, or --direct")
            }
            ResolverVerdict::StripsLoopback => "the resolver takes answers in 127.0.0.0/8 out (rebinding protection); \
                exempt the lists' zones, use your own resolver, or --direct"
                .to_owned(),
            ResolverVerdict::Minimises => "the resolver minimises names strictly and loses every entry; \
                turn strict QNAME minimisation off, or use --direct"
                .to_owned(),
            ResolverVerdict::Silent => "the resolver does not answer".to_owned(),
        })
    }
}

impl Evidence {
    /// What the replies to a list's probes of one kind show.
    pub fn of(reader: &Reader<'_>, kind: Kind, replies: &[(ProbeRole, ProbeReply)]) -> Evidence {
        let sights = |wanted: ProbeRole| {
            let replies = replies.iter().filter(move |(role, _)| *role == wanted);
            replies.map(|(_, reply)| reader.sight_of(reply))
        };
        let nonsense = sights(ProbeRole::Canary).map(|sight| match sight {
            Some(Sight::Foreign(address)) => Nonsense::Foreign(address),
            Some(Sight::NxDomain | Sight::NoData) => Nonsense::Clean,
            _ => Nonsense::Other,
        });
        let short = matches!(positive(reader.list, kind), Some(Subject::Name(name)) if name.label_count() < 2);
        let text = replies
            .iter()
            .any(|(role, reply)| *role == ProbeRole::Text && has_text(reply));
        let entry = match sights(ProbeRole::Positive).next() {
            Some(Some(Sight::Codes(..))) if short => Entry::ListedShort,
            Some(Some(Sight::Codes(..))) => Entry::Listed,
            Some(Some(Sight::NoData)) => Entry::NoData(text),
            Some(Some(Sight::NxDomain)) if !short => Entry::NxDomain,
            Some(None) => Entry::Silent,
            _ => Entry::Other,
        };
        Evidence {
            operator: reader.list.operator,
            nonsense: nonsense
                .reduce(|a, b| if a == b { a } else { Nonsense::Other })
                .unwrap_or(Nonsense::Other),
            entry,
        }
    }
}

/// What the preflights of all lists through one resolver show of it.
pub fn resolver_verdict(evidence: &[Evidence]) -> ResolverVerdict {
    if let Some(address) = rewritten(evidence) {
        return ResolverVerdict::RewritesNxdomain(address);
    }
    let some = |entry: fn(Entry) -> bool| evidence.iter().any(|one| entry(one.entry));
    let operators = |entry: fn(Entry) -> bool| operators(evidence.iter().filter(|one| entry(one.entry)));
    if some(|entry| entry == Entry::Listed) {
        return ResolverVerdict::Fine;
    }
    let short = some(|entry| entry == Entry::ListedShort);
    let nodata = operators(|entry| matches!(entry, Entry::NoData(_)));
    let nxdomain = operators(|entry| entry == Entry::NxDomain);
    let silent = operators(|entry| entry == Entry::Silent);
    // Where all lists are one operator's, several of them speak for two operators.
    let several = |entry: fn(Entry) -> bool| evidence.iter().filter(|one| entry(one.entry)).count() >= LISTS_MIN;
    let nodata_seen = nodata >= WITNESSES_MIN || several(|entry| matches!(entry, Entry::NoData(_)));
    let nxdomain_seen = nxdomain >= WITNESSES_MIN || several(|entry| entry == Entry::NxDomain);
    if !short && nodata_seen && nxdomain == 0 {
        // Empty zones answer NODATA too: a TXT record that came through proves the A record's loss, else one more witness.
        let proven = some(|entry| entry == Entry::NoData(true)) || nodata > WITNESSES_MIN;
        return match proven {
            true => ResolverVerdict::StripsLoopback,
            false => ResolverVerdict::Unproven,
        };
    }
    if nxdomain > WITNESSES_MIN || (short && nxdomain_seen) {
        return ResolverVerdict::Minimises;
    }
    if silent >= WITNESSES_MIN && evidence.iter().all(|one| one.entry == Entry::Silent) {
        return ResolverVerdict::Silent;
    }
    match short {
        true => ResolverVerdict::Fine,
        false => ResolverVerdict::Unproven,
    }
}

/// The address that every name that cannot exist answers, if several operators' lists show the same and none is clean.
fn rewritten(evidence: &[Evidence]) -> Option<Ipv4Addr> {
    if evidence.iter().any(|one| one.nonsense == Nonsense::Clean) {
        return None;
    }
    let address = evidence.iter().find_map(|one| match one.nonsense {
        Nonsense::Foreign(address) => Some(address),
        _ => None,
    })?;
    let same = evidence.iter().filter(|one| one.nonsense == Nonsense::Foreign(address));
    let others = evidence
        .iter()
        .any(|one| matches!(one.nonsense, Nonsense::Foreign(other) if other != address));
    (operators(same) >= WITNESSES_MIN && !others).then_some(address)
}

fn operators<'a>(evidence: impl Iterator<Item = &'a Evidence>) -> usize {
    evidence.map(|one| one.operator).collect::<BTreeSet<_>>().len()
}
