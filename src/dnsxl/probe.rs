//! What a list is asked to show that it works: test entries (RFC 5782 §5) and canaries.
//!
//! A positive probe must be listed, a negative one must not, and a canary is something that nobody can have listed on
//! purpose: a random public address, or a random name. Names have two labels and keep to letters, digits and hyphens with
//! a letter at both ends: one label hides a resolver that minimises names, and others are not answered everywhere.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use rand::Rng;

use crate::exchange::{End, Reply};
use crate::targets::Kind;
use crate::wire::{Answer, Name, Rcode, Rtype};

use super::interpret::Heard;
use super::list::List;
use super::query::Subject;

/// Canaries of a preflight.
pub(super) const CANARIES: usize = 2;

/// Canaries more for an address list that has listed all of the first: large lists know a third of the address space, and
/// a third to the eighth power is seldom enough.
pub(super) const CANARIES_MORE: usize = 6;

/// Test entries of single codes that are asked of a list, at most: probes are numbered by an octet, and the lists with the
/// most codes have some thirty.
const CODE_ENTRIES_MAX: usize = 100;

/// Letters and digits in a canary's first label: 26 × 36¹⁴ × 26 names.
const CANARY_LABEL_OCTETS: usize = 16;

/// Draws for a public address before a fixed one is taken; a draw fails with a chance of one in seven.
const DRAWS_MAX: usize = 64;

/// The part that a probe plays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ProbeRole {
    /// The test entry: must be listed.
    Positive,
    /// Must not be listed.
    Negative,
    /// Random: must not be listed, and is in no cache.
    Canary,
    /// The TXT record of the test entry: it shows whether an A record was taken out on the way.
    Text,
    /// The one-label test entry of a name list whose own test entry has more labels: it shows whether names are minimised.
    Short,
    /// The test entry's name, asked for a type that nobody has: it shows whether the name is there now, though its address
    /// may be in a cache.
    Presence,
    /// The test entry of one code, which should answer that code: it says what a list keeps, never whether it works.
    Code(Ipv4Addr),
}

/// One question of a health check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// Which part it plays.
    pub role: ProbeRole,
    /// What is asked for; [`Questions::probe`](super::Questions::probe) makes the name.
    pub subject: Subject,
    /// For which type.
    pub rtype: Rtype,
}

/// What came of a probe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProbeReply {
    /// A reply.
    Reply {
        /// The response code.
        rcode: Rcode,
        /// The TC bit.
        truncated: bool,
        /// Records in the answer section, as the header says.
        answers: u16,
        /// The decoded message, authority section too.
        answer: Option<Box<Answer>>,
    },
    /// No acceptable reply, or it was not sent.
    Silent,
}

impl ProbeReply {
    /// What came of an exchange, with the decoded message of its reply.
    pub fn of(end: &End, answer: Option<Answer>) -> ProbeReply {
        match end {
            End::Reply(Reply {
                rcode,
                truncated,
                answers,
                ..
            }) => ProbeReply::Reply {
                rcode: *rcode,
                truncated: *truncated,
                answers: *answers,
                answer: answer.map(Box::new),
            },
            End::Silent | End::Unsent(_) => ProbeReply::Silent,
        }
    }

    /// The reply as far as it bears on a list; none for silence.
    pub fn heard(&self) -> Option<Heard<'_>> {
        match self {
            ProbeReply::Silent => None,
            ProbeReply::Reply {
                rcode,
                truncated,
                answers,
                answer,
            } => Some(Heard {
                rcode: *rcode,
                truncated: *truncated,
                answers: *answers,
                answer: answer.as_deref(),
            }),
        }
    }
}

/// The probes of a preflight for one kind of target, the list's own test entries in place of RFC 5782's.
pub fn probes(list: &List, kind: Kind, rng: &mut dyn Rng) -> Vec<Probe> {
    let mut probes = Vec::with_capacity(3 + CANARIES);
    if let Some(subject) = positive(list, kind) {
        if list.txt {
            probes.push(probe(ProbeRole::Text, subject.clone(), Rtype::TXT));
        }
        let longer = matches!(&subject, Subject::Name(name) if name.label_count() > 1);
        if longer {
            probes.push(probe(ProbeRole::Short, Subject::Name(one_label(b"TEST")), Rtype::A));
        }
        probes.insert(0, probe(ProbeRole::Positive, subject, Rtype::A));
    }
    if let Some(subject) = negative(list, kind) {
        probes.push(probe(ProbeRole::Negative, subject, Rtype::A));
    }
    probes.extend((0..CANARIES).map(|_| canary(kind, rng)));
    probes
}

/// More canaries for a list whose health is doubtful.
pub fn more_canaries(kind: Kind, rng: &mut dyn Rng) -> Vec<Probe> {
    (0..CANARIES_MORE).map(|_| canary(kind, rng)).collect()
}

/// The positive test entry of a list for a kind of target; none if it has none.
pub fn positive(list: &List, kind: Kind) -> Option<Subject> {
    let standard = (Ipv4Addr::new(127, 0, 0, 2), b"TEST".as_slice());
    test_entry(list, kind, list.test.listed.as_deref(), standard)
}

/// The negative test entry of a list for a kind of target; none if it has none.
pub fn negative(list: &List, kind: Kind) -> Option<Subject> {
    let standard = (Ipv4Addr::LOCALHOST, b"INVALID".as_slice());
    test_entry(list, kind, list.test.unlisted.as_deref(), standard)
}

/// The test entries of a list's codes for a kind of address: of each exact code, the address that is written like it (RFC
/// 5782 §5: a list of several values should have an entry for each). The list's own two test entries are left out, as
/// probes ask them, and for names there are none.
pub fn code_entries(list: &List, kind: Kind) -> Vec<Probe> {
    let own = [positive(list, kind), negative(list, kind)];
    let codes = list.codes.entries.iter().filter(|code| code.listing);
    let entries = codes.filter_map(|code| {
        let code = code.pattern.exact()?;
        let subject = code_subject(code, kind)?;
        (!own.contains(&Some(subject.clone()))).then(|| probe(ProbeRole::Code(code), subject, Rtype::A))
    });
    entries.take(CODE_ENTRIES_MAX).collect()
}

/// The address that is written like a code; none for names.
pub(super) fn code_subject(code: Ipv4Addr, kind: Kind) -> Option<Subject> {
    match kind {
        Kind::Ip4 => Some(Subject::Ip4(code)),
        Kind::Ip6 => Some(Subject::Ip6(code.to_ipv6_mapped())),
        Kind::Domain => None,
    }
}

/// The question whether the positive test entry's name is still there; none if the list has no such entry.
///
/// A server that knows the name answers NODATA (RFC 2308 §2.2), and one whose zone has been emptied NXDOMAIN. No cache has
/// the answer the first time that a type is asked for: `number` counts through the data types that nobody has been given (67
/// to 98 and 110 to 127 of RFC 6895 §3.1). A stock rbldnsd answers NOTIMP to those for private use, which are larger.
pub fn presence(list: &List, kind: Kind, number: u8) -> Option<Probe> {
    let mut unassigned = (67..=98).chain(110..=127).cycle();
    let rtype = unassigned.nth(usize::from(number)).map(Rtype)?;
    positive(list, kind).map(|subject| probe(ProbeRole::Presence, subject, rtype))
}

/// A fresh canary.
pub fn canary(kind: Kind, rng: &mut dyn Rng) -> Probe {
    let subject = match kind {
        Kind::Ip4 => Subject::Ip4(public_v4(rng)),
        Kind::Ip6 => Subject::Ip6(public_v6(rng)),
        Kind::Domain => Subject::Name(random_name(rng)),
    };
    probe(ProbeRole::Canary, subject, Rtype::A)
}

fn probe(role: ProbeRole, subject: Subject, rtype: Rtype) -> Probe {
    Probe { role, subject, rtype }
}

/// The list's own entry where it is of this kind, else the standard's; none where the list says that there is none.
fn test_entry(list: &List, kind: Kind, own: Option<&str>, standard: (Ipv4Addr, &[u8])) -> Option<Subject> {
    let own = match own {
        Some("") => return None,
        own => own,
    };
    let address: Option<IpAddr> = own.and_then(|own| own.parse().ok());
    Some(match (kind, address) {
        (Kind::Ip4, Some(IpAddr::V4(own))) => Subject::Ip4(own),
        (Kind::Ip4, _) => Subject::Ip4(standard.0),
        (Kind::Ip6, Some(IpAddr::V6(own))) => Subject::Ip6(own),
        (Kind::Ip6, Some(IpAddr::V4(own))) => Subject::Ip6(own.to_ipv6_mapped()),
        (Kind::Ip6, None) => Subject::Ip6(standard.0.to_ipv6_mapped()),
        // What reads as an address is a name only on a list that takes no addresses.
        (Kind::Domain, Some(_)) if list.takes(Kind::Ip4) || list.takes(Kind::Ip6) => {
            Subject::Name(one_label(standard.1))
        }
        (Kind::Domain, _) => match own.and_then(|own| own.parse().ok()) {
            Some(name) => Subject::Name(name),
            None => Subject::Name(one_label(standard.1)),
        },
    })
}

fn one_label(label: &[u8]) -> Name {
    let mut name = Name::root();
    name.push(label).expect("TEST and INVALID are labels");
    name
}

/// A random public unicast address (RFC 6890).
fn public_v4(rng: &mut dyn Rng) -> Ipv4Addr {
    let mut draws = (0..DRAWS_MAX).map(|_| Ipv4Addr::from(rng.next_u32()));
    // A generator that never draws a public address is broken; a.root-servers.net is public.
    draws
        .find(|address| is_public_v4(*address))
        .unwrap_or(Ipv4Addr::new(198, 41, 0, 4))
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    !matches!(
        address.octets(),
        [0 | 10 | 127 | 224.., ..]
            | [100, 64..=127, ..]
            | [169, 254, ..]
            | [172, 16..=31, ..]
            | [192, 0, 0 | 2, _]
            | [192, 88, 99, _]
            | [192, 168, ..]
            | [198, 18 | 19, ..]
            | [198, 51, 100, _]
            | [203, 0, 113, _]
    )
}

/// A random address of a block that a registry hands out of 2000::/3 (2400::/12, 2600::/12, 2800::/12, 2a00::/12).
fn public_v6(rng: &mut dyn Rng) -> Ipv6Addr {
    const BLOCKS: [u8; 4] = [0x24, 0x26, 0x28, 0x2a];
    let mut octets = [0u8; 16];
    rng.fill_bytes(&mut octets);
    octets[0] = BLOCKS[usize::from(octets[0] % 4)];
    octets[1] &= 0x0f;
    octets.into()
}

/// A name of two labels below a real top-level domain, of letters and digits, a letter at both ends of the first.
fn random_name(rng: &mut dyn Rng) -> Name {
    const LETTERS: &[u8] = b"abcdefghijklmnopqrstuvwxyz0123456789";
    const TLDS: [&[u8]; 3] = [b"com", b"net", b"org"];
    let mut label = [0u8; CANARY_LABEL_OCTETS];
    for (at, octet) in label.iter_mut().enumerate() {
        let choices = if at == 0 || at == CANARY_LABEL_OCTETS - 1 {
            26
        } else {
            36
        };
        *octet = LETTERS[(rng.next_u32() % choices) as usize];
    }
    let mut name = Name::root();
    for label in [label.as_slice(), TLDS[(rng.next_u32() % 3) as usize]] {
        name.push(label).expect("two short labels");
    }
    name
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::super::testing::{list, name};
    use super::*;

    fn subjects(list: &List, kind: Kind, role: ProbeRole) -> Vec<Subject> {
        let probes = probes(list, kind, &mut StdRng::seed_from_u64(7));
        let of_role = probes.into_iter().filter(|probe| probe.role == role);
        of_role.map(|probe| probe.subject).collect()
    }

    #[test]
    fn the_standard_entries_of_each_kind() {
        let mut list = list("bl.example");
        list.kinds = Kind::ALL.to_vec();
        let v6 = |text: &str| Subject::Ip6(text.parse().expect("an address"));
        for (kind, positive, negative) in [
            (
                Kind::Ip4,
                Subject::Ip4([127, 0, 0, 2].into()),
                Subject::Ip4([127, 0, 0, 1].into()),
            ),
            (Kind::Ip6, v6("::ffff:7f00:2"), v6("::ffff:7f00:1")),
            (
                Kind::Domain,
                Subject::Name(name("TEST")),
                Subject::Name(name("INVALID")),
            ),
        ] {
            assert_eq!(
                subjects(&list, kind, ProbeRole::Positive),
                std::slice::from_ref(&positive)
            );
            assert_eq!(subjects(&list, kind, ProbeRole::Text), [positive]);
            assert_eq!(subjects(&list, kind, ProbeRole::Negative), [negative]);
            assert_eq!(subjects(&list, kind, ProbeRole::Canary).len(), CANARIES);
            assert!(subjects(&list, kind, ProbeRole::Short).is_empty());
        }
    }

    #[test]
    fn a_list_may_have_entries_of_its_own_or_none() {
        let mut list = list("bl.example");
        list.kinds = vec![Kind::Ip4, Kind::Ip6, Kind::Domain];
        list.test.listed = Some("127.0.0.99".into());
        list.test.unlisted = Some(String::new());
        assert_eq!(
            subjects(&list, Kind::Ip4, ProbeRole::Positive),
            [Subject::Ip4([127, 0, 0, 99].into())]
        );
        let mapped = "::ffff:127.0.0.99".parse().expect("an address");
        assert_eq!(subjects(&list, Kind::Ip6, ProbeRole::Positive), [Subject::Ip6(mapped)]);
        assert_eq!(
            subjects(&list, Kind::Domain, ProbeRole::Positive),
            [Subject::Name(name("TEST"))]
        );
        assert!(subjects(&list, Kind::Ip4, ProbeRole::Negative).is_empty());
        list.kinds = vec![Kind::Domain];
        list.test.listed = Some("2.0.0.127".into());
        assert_eq!(
            subjects(&list, Kind::Domain, ProbeRole::Positive),
            [Subject::Name(name("2.0.0.127"))]
        );
        assert_eq!(
            subjects(&list, Kind::Domain, ProbeRole::Short),
            [Subject::Name(name("TEST"))]
        );
    }

    #[test]
    fn every_exact_code_has_a_test_entry_but_the_lists_own_two() {
        let mut list = super::super::testing::coded(
            "bl.example",
            &[
                ("127.0.0.1", "a real code here"),
                ("127.0.0.2", "spam"),
                ("127.0.0.4", "worms"),
                ("127.0.0.10-11", "ranges"),
                ("&64", "a bit"),
            ],
        );
        list.kinds = Kind::ALL.to_vec();
        let of = |kind| {
            let entries = code_entries(&list, kind).into_iter();
            entries.map(|probe| (probe.role, probe.subject)).collect::<Vec<_>>()
        };
        let code = Ipv4Addr::new(127, 0, 0, 4);
        assert_eq!(of(Kind::Ip4), [(ProbeRole::Code(code), Subject::Ip4(code))]);
        assert_eq!(
            of(Kind::Ip6),
            [(ProbeRole::Code(code), Subject::Ip6(code.to_ipv6_mapped()))]
        );
        assert_eq!(of(Kind::Domain), []);
    }

    #[test]
    fn address_canaries_are_public_unicast() {
        let mut rng = StdRng::seed_from_u64(1);
        let mut seen = std::collections::HashSet::new();
        for _ in 0..2000 {
            let address = public_v4(&mut rng);
            assert!(is_public_v4(address) && !address.is_private() && !address.is_loopback());
            assert!(!address.is_multicast() && !address.is_documentation() && !address.is_link_local());
            seen.insert(address);
            let [first, ..] = public_v6(&mut rng).octets();
            assert_eq!(first & 0xe0, 0x20);
        }
        assert!(seen.len() > 1990, "canaries repeat");
    }

    #[test]
    fn f16_name_canaries_are_two_labels_of_letters_digits_hyphens() {
        let mut rng = StdRng::seed_from_u64(2);
        for _ in 0..2000 {
            let canary = random_name(&mut rng);
            assert_eq!(canary.label_count(), 2);
            for label in canary.labels() {
                assert!(
                    label
                        .iter()
                        .all(|octet| octet.is_ascii_lowercase() || octet.is_ascii_digit())
                );
                assert!(label[0].is_ascii_lowercase() && label[label.len() - 1].is_ascii_lowercase());
            }
        }
    }
}
