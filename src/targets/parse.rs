//! One form of a target: an address, a prefix, a range, a domain (RFC 4632 §3.1, RFC 4291 §2.2 and §2.3).
//!
//! Strict where a slip would ask about the wrong thing: a prefix with host bits set, an octet with a leading zero (is it
//! octal?), a range that runs backwards are errors that name what was probably meant. IPv4-mapped IPv6 space is IPv4.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use super::domain;
use super::error::{ParseError, Why};
use super::mend::mend;
use super::target::{Domain, Target};

/// Most IPv6 targets in one form: a /112 of addresses, or with [`Ip6Unit::Prefix64`] a /48 of /64s. More is never
/// meant to be asked one by one: a /64 has more addresses than all lists answer in a lifetime.
pub const IP6_TARGETS_MAX: u64 = 1 << 16;

/// What an IPv6 prefix or range is cut into.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Ip6Unit {
    /// Addresses.
    #[default]
    Address,
    /// Prefixes of 64 bits, each asked by its first address: lists that list /64s say the same of all of it. A prefix or
    /// range inside one /64 becomes its own first address. A single address stays itself.
    Prefix64,
}

/// What one form says, first and last included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Form {
    Ip4(u32, u32),
    Ip6(u128, u128),
    /// The upper 64 bits of /64s.
    Ip6Prefixes(u64, u64),
    /// Normalised.
    Domain(String),
}

/// Reads one form; an error says what may have been meant.
pub(super) fn parse(text: &str, unit: Ip6Unit) -> Result<Form, ParseError> {
    form(text, unit).map_err(|why| ParseError {
        mend: mend(text, &why, unit),
        why,
    })
}

/// Reads one form.
pub(super) fn form(text: &str, unit: Ip6Unit) -> Result<Form, Why> {
    if text.is_empty() {
        return Err(Why::Empty);
    }
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(single(address, unit));
    }
    if let Some((base, length)) = text.split_once('/') {
        return prefix(base, length, unit);
    }
    if let Some((first, last)) = text.split_once('-')
        && let Ok(first) = first.trim_end().parse()
    {
        let last = last.trim_start().parse().map_err(|_| Why::RangeEnd)?;
        return range(first, last, unit);
    }
    if text.contains(':') {
        let interface = text.split_once('%');
        let interface = interface.is_some_and(|(address, _)| address.parse::<Ipv6Addr>().is_ok());
        return Err(if interface { Why::Interface } else { Why::NotIp6 });
    }
    domain::normalise(text).map(Form::Domain)
}

fn single(address: IpAddr, unit: Ip6Unit) -> Form {
    match address.to_canonical() {
        IpAddr::V4(address) => Form::Ip4(address.to_bits(), address.to_bits()),
        IpAddr::V6(address) => single_ip6(address.to_bits(), unit),
    }
}

/// With /64s, the first address of one is that /64, so that each target has one form only.
fn single_ip6(bits: u128, unit: Ip6Unit) -> Form {
    let upper = (bits >> 64) as u64; // 64 bits are left
    match unit {
        Ip6Unit::Prefix64 if bits as u64 == 0 => Form::Ip6Prefixes(upper, upper),
        _ => Form::Ip6(bits, bits),
    }
}

fn prefix(base: &str, length: &str, unit: Ip6Unit) -> Result<Form, Why> {
    let base: IpAddr = base.parse().map_err(|_| Why::PrefixBase)?;
    let (bits, width) = match base {
        IpAddr::V4(base) => (u128::from(base.to_bits()), 32u8),
        IpAddr::V6(base) => (base.to_bits(), 128),
    };
    let digits = !length.is_empty() && length.len() <= 3 && length.bytes().all(|octet| octet.is_ascii_digit());
    let length = length.parse::<u8>().ok().filter(|&length| digits && length <= width);
    let length = length.ok_or(Why::PrefixLength(width))?;
    let host = host_mask(width - length);
    if bits & host != 0 {
        return Err(Why::HostBits);
    }
    match base {
        IpAddr::V4(_) => range_ip4(bits as u32, (bits | host) as u32), // the width is 32
        IpAddr::V6(_) => range_ip6(bits, bits | host, unit),
    }
}

/// Ones in the low bits.
pub(super) fn host_mask(bits: u8) -> u128 {
    1u128.checked_shl(bits.into()).unwrap_or(0).wrapping_sub(1)
}

fn range(first: IpAddr, last: IpAddr, unit: Ip6Unit) -> Result<Form, Why> {
    match (first, last) {
        (IpAddr::V4(first), IpAddr::V4(last)) => range_ip4(first.to_bits(), last.to_bits()),
        (IpAddr::V6(first), IpAddr::V6(last)) => range_ip6(first.to_bits(), last.to_bits(), unit),
        _ => Err(Why::RangeMixed),
    }
}

fn range_ip4(first: u32, last: u32) -> Result<Form, Why> {
    if last < first {
        return Err(Why::RangeReversed);
    }
    Ok(Form::Ip4(first, last))
}

fn range_ip6(first: u128, last: u128, unit: Ip6Unit) -> Result<Form, Why> {
    if last < first {
        return Err(Why::RangeReversed);
    }
    match (mapped(first), mapped(last)) {
        (Some(first), Some(last)) => return range_ip4(first, last),
        (None, None) => {}
        _ => return Err(Why::RangeMixed),
    }
    if first == last {
        return Ok(single_ip6(first, unit));
    }
    match unit {
        Ip6Unit::Address if last - first < u128::from(IP6_TARGETS_MAX) => Ok(Form::Ip6(first, last)),
        Ip6Unit::Address => Err(Why::Ip6Many),
        Ip6Unit::Prefix64 => {
            let (upper, upper_last) = ((first >> 64) as u64, (last >> 64) as u64); // 64 bits are left
            match upper_last - upper {
                0 => Ok(single_ip6(first, unit)),
                more if more < IP6_TARGETS_MAX => Ok(Form::Ip6Prefixes(upper, upper_last)),
                _ => Err(Why::Ip6UnitsMany),
            }
        }
    }
}

/// The IPv4 address in an IPv4-mapped one (RFC 4291 §2.5.5.2).
fn mapped(bits: u128) -> Option<u32> {
    Ipv6Addr::from_bits(bits).to_ipv4_mapped().map(Ipv4Addr::to_bits)
}

impl FromStr for Target {
    type Err = ParseError;

    /// Reads one address or domain, and normalises it.
    fn from_str(text: &str) -> Result<Target, ParseError> {
        match parse(text, Ip6Unit::Address)? {
            Form::Ip4(first, last) if first == last => Ok(Target::Ip4(Ipv4Addr::from_bits(first))),
            Form::Ip6(first, last) if first == last => Ok(Target::Ip6(Ipv6Addr::from_bits(first))),
            Form::Domain(name) => Ok(Target::Domain(Domain::new(&name).map_err(Why::Name)?)),
            _ => Err(Why::Several.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip4(first: [u8; 4], last: [u8; 4]) -> Form {
        Form::Ip4(u32::from_be_bytes(first), u32::from_be_bytes(last))
    }

    fn ip6(first: &str, last: &str) -> Form {
        let bits = |text: &str| text.parse::<Ipv6Addr>().expect("an address").to_bits();
        Form::Ip6(bits(first), bits(last))
    }

    fn plain(text: &str) -> Result<Form, Why> {
        form(text, Ip6Unit::Address)
    }

    #[test]
    fn every_form_is_read() {
        for (text, expected) in [
            ("192.0.2.7", ip4([192, 0, 2, 7], [192, 0, 2, 7])),
            ("192.0.2.0/24", ip4([192, 0, 2, 0], [192, 0, 2, 255])),
            ("192.0.2.7/32", ip4([192, 0, 2, 7], [192, 0, 2, 7])),
            ("0.0.0.0/0", ip4([0; 4], [255; 4])),
            ("192.0.2.10-192.0.2.99", ip4([192, 0, 2, 10], [192, 0, 2, 99])),
            ("192.0.2.10 - 192.0.2.99", ip4([192, 0, 2, 10], [192, 0, 2, 99])),
            ("192.0.2.10-192.0.2.10", ip4([192, 0, 2, 10], [192, 0, 2, 10])),
            ("2001:DB8:0::1", ip6("2001:db8::1", "2001:db8::1")),
            ("2001:db8::/120", ip6("2001:db8::", "2001:db8::ff")),
            ("2001:db8::/112", ip6("2001:db8::", "2001:db8::ffff")),
            ("2001:db8::5-2001:db8::1:4", ip6("2001:db8::5", "2001:db8::1:4")),
            ("::ffff:192.0.2.7", ip4([192, 0, 2, 7], [192, 0, 2, 7])),
            ("::ffff:192.0.2.0/120", ip4([192, 0, 2, 0], [192, 0, 2, 255])),
            ("::ffff:c000:200-::ffff:c000:2ff", ip4([192, 0, 2, 0], [192, 0, 2, 255])),
            ("Mail.Example.ORG.", Form::Domain("mail.example.org".into())),
        ] {
            assert_eq!(plain(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn slips_are_not_guessed_at() {
        for (text, why) in [
            ("192.0.2.7/24", Why::HostBits),
            ("2001:db8::1/120", Why::HostBits),
            ("192.0.2.0/33", Why::PrefixLength(32)),
            ("192.0.2.0/", Why::PrefixLength(32)),
            ("192.0.2.0/+24", Why::PrefixLength(32)),
            ("192.0.2.0/255.255.255.0", Why::PrefixLength(32)),
            ("2001:db8::/129", Why::PrefixLength(128)),
            ("1.2.3/24", Why::PrefixBase),
            ("192.0.2.99-192.0.2.10", Why::RangeReversed),
            ("192.0.2.10-99", Why::RangeEnd),
            ("192.0.2.10-", Why::RangeEnd),
            ("192.0.2.10-2001:db8::1", Why::RangeMixed),
            ("::fffe:ffff:fffe-::ffff:0.0.0.5", Why::RangeMixed),
            ("2001:db8::/111", Why::Ip6Many),
            ("2001:db8::-2001:db8::1:0", Why::Ip6Many),
            ("::/0", Why::Ip6Many),
            ("fe80::1%eth0", Why::Interface),
            ("2001:db8::g", Why::NotIp6),
            ("1.2.3", Why::NotIp4),
            ("300.1.2.3", Why::NotIp4),
            ("192.000.002.001", Why::NotIp4),
            ("", Why::Empty),
        ] {
            assert_eq!(plain(text), Err(why), "{text}");
        }
    }

    #[test]
    fn sixty_fours_are_counted_by_their_upper_half() {
        let unit = |text| form(text, Ip6Unit::Prefix64);
        let upper = 0x2001_0db8_0000_0000;
        assert_eq!(unit("2001:db8::/48"), Ok(Form::Ip6Prefixes(upper, upper + 0xffff)));
        assert_eq!(unit("2001:db8::/64"), Ok(Form::Ip6Prefixes(upper, upper)));
        assert_eq!(unit("2001:db8::"), Ok(Form::Ip6Prefixes(upper, upper)));
        assert_eq!(unit("2001:db8::1"), Ok(ip6("2001:db8::1", "2001:db8::1")));
        assert_eq!(unit("2001:db8::100/120"), Ok(ip6("2001:db8::100", "2001:db8::100")));
        assert_eq!(unit("2001:db8::/47"), Err(Why::Ip6UnitsMany));
        assert_eq!(unit("::/0"), Err(Why::Ip6UnitsMany));
    }

    #[test]
    fn one_target_is_one_target() {
        assert!("192.0.2.7/32".parse::<Target>().is_ok());
        let several = "192.0.2.0/31".parse::<Target>().expect_err("two addresses");
        assert_eq!(several.why, Why::Several);
    }
}
