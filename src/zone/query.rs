//! What is asked of a dataset: a name relative to the zone, and the address that it spells backwards, if any.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{Ipv4Net, Ipv6Net};

use crate::wire::Name;

use super::dnset::parents;

/// Labels of an IPv6 address in reverse (RFC 5782 §2.4).
const NIBBLES: usize = 32;

/// What an entry is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryKind {
    /// IPv4 addresses.
    Ip4,
    /// IPv6 addresses.
    Ip6,
    /// Names.
    Name,
}

/// What an entry by this name is about: one that spells an address backwards, or a part of one, is for such.
pub(super) fn spelt_kind(name: &[u8]) -> EntryKind {
    let labels = || std::iter::once(name).chain(parents(name)).filter_map(label_of);
    let is_octet = |label: &[u8]| std::str::from_utf8(label).is_ok_and(|label| label.parse::<u8>().is_ok());
    let is_nibble = |label: &[u8]| matches!(label, [digit] if digit.is_ascii_hexdigit());
    match labels().count() {
        1..=4 if labels().all(is_octet) => EntryKind::Ip4,
        5..=NIBBLES if labels().all(is_nibble) => EntryKind::Ip6,
        _ => EntryKind::Name,
    }
}

/// Whether a name may be that of an address, or stand above such names: false only if it is neither.
pub(super) fn may_spell_address(name: &[u8]) -> bool {
    let mut labels = std::iter::once(name).chain(parents(name)).filter_map(label_of);
    labels.all(|label| match label {
        [digit] => digit.is_ascii_hexdigit(),
        _ => label.len() <= 3 && label.iter().all(u8::is_ascii_digit),
    })
}

/// The first label of a name in wire form.
fn label_of(name: &[u8]) -> Option<&[u8]> {
    let (&len, rest) = name.split_first()?;
    rest.get(..usize::from(len))
}

/// A name relative to the zone's own, in lower case.
#[derive(Debug, Clone, Copy)]
pub struct ZoneQuery<'a> {
    /// Labels in wire form without the root's octet.
    labels: &'a [u8],
}

impl<'a> ZoneQuery<'a> {
    /// Takes labels in wire form (RFC 1035 §3.1) without the root's zero octet: no octets are the zone's own name.
    /// They must be good and in lower case.
    pub fn from_labels(labels: &'a [u8]) -> ZoneQuery<'a> {
        debug_assert!(!labels.iter().any(u8::is_ascii_uppercase));
        ZoneQuery { labels }
    }

    /// Takes a name as relative to the zone; it must be in lower case.
    pub fn from_name(name: &'a Name) -> ZoneQuery<'a> {
        let wire = name.as_wire();
        ZoneQuery::from_labels(&wire[..wire.len() - 1])
    }

    /// The labels in wire form, without the root's octet.
    pub fn labels(&self) -> &'a [u8] {
        self.labels
    }

    /// The address that the name spells backwards, if it does.
    pub fn address(&self) -> Option<IpAddr> {
        let Addresses { ip4, ip6 } = self.addresses(false);
        ip4.map(IpAddr::V4).or(ip6.map(IpAddr::V6))
    }

    /// The addresses that the name stands for in a zone with or without data for IPv4.
    pub(super) fn addresses(&self, zone_has_ip4: bool) -> Addresses {
        if let Some((address, 32)) = self.spelt_ip4() {
            return Addresses::of(address.into(), zone_has_ip4);
        }
        match self.spelt_ip6() {
            Some((address, 128)) => Addresses::of(address.into(), zone_has_ip4),
            _ => Addresses { ip4: None, ip6: None },
        }
    }

    /// The network whose addresses have names below this one or here, if the labels are the start of an address.
    pub(super) fn net4(&self) -> Option<Ipv4Net> {
        let (address, bits) = self.spelt_ip4()?;
        Ipv4Net::new(address, bits).ok()
    }

    /// The same for IPv6.
    pub(super) fn net6(&self) -> Option<Ipv6Net> {
        let (address, bits) = self.spelt_ip6()?;
        Ipv6Net::new(address, bits).ok()
    }

    /// Up to four decimal labels, last octet first: the address they begin, and 8 bits a label.
    fn spelt_ip4(&self) -> Option<(Ipv4Addr, u8)> {
        let (mut octets, mut count, mut rest) = ([0u8; 4], 0, self.labels);
        while let Some((&len, tail)) = rest.split_first() {
            let (label, next) = tail.split_at_checked(usize::from(len))?;
            if count == octets.len() {
                return None;
            }
            octets.rotate_right(1);
            octets[0] = octet(label)?;
            count += 1;
            rest = next;
        }
        Some((octets.into(), count as u8 * 8)) // at most 4 labels
    }

    /// Up to 32 nibbles, last first: the address they begin, and 4 bits a label.
    fn spelt_ip6(&self) -> Option<(Ipv6Addr, u8)> {
        if self.labels.len() > 2 * NIBBLES {
            return None;
        }
        let mut bits = 0u128;
        for (index, pair) in self.labels.chunks(2).enumerate() {
            let &[1, digit] = pair else { return None };
            let nibble = char::from(digit).to_digit(16)?;
            bits |= u128::from(nibble) << (4 * index);
        }
        let count = self.labels.len() / 2;
        let bits = bits.checked_shl(4 * (NIBBLES - count) as u32).unwrap_or(0); // at most 128
        Some((bits.into(), count as u8 * 4)) // at most 32 labels
    }
}

/// The addresses that a name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Addresses {
    pub(super) ip4: Option<Ipv4Addr>,
    pub(super) ip6: Option<Ipv6Addr>,
}

impl Addresses {
    /// What the name of an address stands for in a zone with or without data for IPv4.
    #[inline]
    pub(super) fn of(address: IpAddr, zone_has_ip4: bool) -> Addresses {
        let address = match address {
            IpAddr::V4(address) => {
                return Addresses {
                    ip4: Some(address),
                    ip6: None,
                };
            }
            IpAddr::V6(address) => address,
        };
        let ip6 = Some(address);
        if !zone_has_ip4 {
            return Addresses { ip4: None, ip6 };
        }
        // Data for IPv4 answers for IPv6 addresses that hold one: 6to4 (RFC 3056 §2), mapped (RFC 4291 §2.5.5.2).
        match (address.to_ipv4_mapped(), address.segments()) {
            (Some(mapped), _) => Addresses {
                ip4: Some(mapped),
                ip6: None,
            },
            (None, [0x2002, high, low, ..]) => Addresses {
                ip4: Some(Ipv4Addr::from(u32::from(high) << 16 | u32::from(low))),
                ip6,
            },
            _ => Addresses { ip4: None, ip6 },
        }
    }
}

/// An octet in one to three digits; leading zeros are let pass.
fn octet(label: &[u8]) -> Option<u8> {
    if label.is_empty() || label.len() > 3 || !label.iter().all(u8::is_ascii_digit) {
        return None;
    }
    label
        .iter()
        .try_fold(0u8, |value, digit| value.checked_mul(10)?.checked_add(digit - b'0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(text: &str, zone_has_ip4: bool) -> Addresses {
        let name: Name = text.parse().expect("a good name");
        ZoneQuery::from_name(&name).addresses(zone_has_ip4)
    }

    #[test]
    fn addresses_are_spelt_backwards() {
        assert_eq!(ask("2.0.0.127", true).ip4, Some(Ipv4Addr::new(127, 0, 0, 2)));
        assert_eq!(ask("02.0.0.127", true).ip4, Some(Ipv4Addr::new(127, 0, 0, 2)));
        for text in ["2.0.0", "2.0.0.256", "2.0.0.127.1", "a.0.0.127", "0002.0.0.127"] {
            assert_eq!(ask(text, true).ip4, None, "{text}");
        }
        let v6: Ipv6Addr = "2001:db8::1".parse().expect("an address");
        let spelt = Name::reversed_v6(v6).to_string();
        assert_eq!(ask(&spelt, false).ip6, Some(v6));
        assert_eq!(ask(&spelt[2..], false).ip6, None);
    }

    #[test]
    fn data_for_ip4_answers_for_addresses_that_hold_one() {
        let held = |text: &str, has_ip4| {
            let v6: Ipv6Addr = text.parse().expect("an address");
            ask(&Name::reversed_v6(v6).to_string(), has_ip4)
        };
        let test_entry = Some(Ipv4Addr::new(127, 0, 0, 2));
        assert_eq!(
            held("::ffff:7f00:2", true),
            Addresses {
                ip4: test_entry,
                ip6: None
            }
        );
        assert_eq!(held("::ffff:7f00:2", false).ip4, None);
        assert_eq!(held("2002:7f00:2::1", true).ip4, test_entry);
        assert!(held("2002:7f00:2::1", true).ip6.is_some());
    }

    #[test]
    fn a_part_of_an_address_is_a_network() {
        let net = |text: &str| {
            let name: Name = text.parse().expect("a good name");
            ZoneQuery::from_name(&name).net4().map(|net| net.to_string())
        };
        assert_eq!(net("0.127").as_deref(), Some("127.0.0.0/16"));
        assert_eq!(net("2.0.0.127").as_deref(), Some("127.0.0.2/32"));
        assert_eq!(net("www"), None);
    }
}
