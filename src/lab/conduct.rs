//! How a zone behaves: well, or in one of the ways in which lists have failed their users.

use crate::wire::{Rcode, Rdata};

/// How a zone answers.
#[derive(Debug, Clone, PartialEq)]
pub enum Conduct {
    /// As its data says.
    Honest,
    /// As its data says, but the names above its entries exist (RFC 8020 §2), as on NSD, Knot, BIND and PowerDNS;
    /// rbldnsd says NXDOMAIN there.
    HonestWithParents,
    /// Every name below it has these records: a list that lists the world, or a domain that was parked.
    Wildcard(Vec<(u32, Rdata)>),
    /// It never answers.
    Silent,
    /// Its delegation is gone: NXDOMAIN, in the name of the zone above.
    Gone,
    /// It fails with this code.
    Fails(Rcode),
    /// Names with two or more labels below it do not exist: what strict QNAME minimisation makes of rbldnsd.
    Shallow,
    /// Labels beyond letters, digits and inner hyphens are SERVFAIL.
    LdhOnly,
    /// Before the answer come replies with a wrong ID and a wrong question; after it, late, comes the answer again.
    Scrambled,
}

/// A conduct and from which query on it holds.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Phase {
    pub(super) from: u64,
    pub(super) conduct: Conduct,
}

/// The conduct at query number `count`, counted from 0. Phases are in order, and the first is from 0.
pub(super) fn conduct_at(phases: &[Phase], count: u64) -> &Conduct {
    let past = phases.partition_point(|phase| phase.from <= count);
    &phases[past.saturating_sub(1)].conduct
}

/// Whether a label is letters, digits and inner hyphens (RFC 952).
pub(super) fn is_ldh(label: &[u8]) -> bool {
    let inner = |octet: &u8| octet.is_ascii_alphanumeric() || *octet == b'-';
    label.iter().all(inner) && label.first() != Some(&b'-') && label.last() != Some(&b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phases_change_at_their_query() {
        let phase = |from, conduct| Phase { from, conduct };
        let phases = [
            phase(0, Conduct::Honest),
            phase(3, Conduct::Silent),
            phase(5, Conduct::Gone),
        ];
        let at = |count| conduct_at(&phases, count).clone();
        assert_eq!([at(0), at(2)], [Conduct::Honest, Conduct::Honest]);
        assert_eq!([at(3), at(4)], [Conduct::Silent, Conduct::Silent]);
        assert_eq!([at(5), at(u64::MAX)], [Conduct::Gone, Conduct::Gone]);
    }

    #[test]
    fn labels_are_letters_digits_and_inner_hyphens() {
        assert!(is_ldh(b"a-1"));
        for label in [&b"-a"[..], b"a-", b"_a", b"a b"] {
            assert!(!is_ldh(label));
        }
    }
}
