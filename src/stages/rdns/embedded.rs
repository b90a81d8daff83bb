//! Whether a host name carries its own address: in decimal, in hexadecimal, forwards, backwards, in part.
//!
//! A provider that names a million addresses by rule leaves the address in the name. Where the address is known, it is
//! looked for exactly; a name can also look as if it carried some address (a stale one, or the asker has none).

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Numbers of one name that are looked at; a name of 255 octets has at most 127.
const RUNS_MAX: usize = 128;

/// How much of an address a name carries, and in what form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Embedded {
    pub(super) share: Share,
    /// In words, for the rule's name.
    pub(super) form: &'static str,
}

/// How much of the address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Share {
    /// The last octet.
    Last,
    /// The last two octets, or a number that could be a customer's.
    Two,
    /// Three octets, or half of an IPv6 address.
    Most,
    /// All of it.
    Whole,
}

/// The address in a name without its domain, in lower case.
pub(super) fn embedded(host: &str, address: IpAddr) -> Option<Embedded> {
    match address {
        IpAddr::V4(v4) => match in_decimal(host, v4) {
            Some(found) if found.share == Share::Whole => Some(found),
            found => found.max_by_share(in_hex(host, v4)),
        },
        IpAddr::V6(v6) => in_nibbles(host, v6),
    }
}

trait MaxByShare {
    fn max_by_share(self, other: Self) -> Self;
}

impl MaxByShare for Option<Embedded> {
    fn max_by_share(self, other: Option<Embedded>) -> Option<Embedded> {
        if other.map(|found| found.share) > self.map(|found| found.share) {
            other
        } else {
            self
        }
    }
}

/// Stretches of digits.
fn runs(host: &str) -> Vec<&str> {
    host.split(|character: char| !character.is_ascii_digit())
        .filter(|run| !run.is_empty())
        .take(RUNS_MAX)
        .collect()
}

/// A run as an octet; leading zeros are allowed, as in `012`.
fn octet(run: &str) -> Option<u8> {
    (run.len() <= 3).then(|| run.parse().ok()).flatten()
}

fn in_decimal(host: &str, address: Ipv4Addr) -> Option<Embedded> {
    let runs = runs(host);
    let octets = address.octets();
    let found = |share, form| Some(Embedded { share, form });
    let values: Vec<Option<u8>> = runs.iter().map(|run| octet(run)).collect();
    if values.windows(4).any(|window| same_octets(window, &octets)) {
        return found(Share::Whole, "the address in decimal");
    }
    let glued = Glued::of(octets);
    if runs
        .iter()
        .any(|run| glued.whole.iter().any(|whole| run.contains(whole.as_str())))
    {
        return found(Share::Whole, "the address in decimal, without separators");
    }
    let [a, b, c, d] = octets;
    let three = [[a, b, c], [b, c, d], [d, c, b], [c, b, a]];
    if values
        .windows(3)
        .any(|window| three.iter().any(|part| in_order(window, part)))
    {
        return found(Share::Most, "three octets of the address");
    }
    if runs
        .iter()
        .any(|run| glued.most.iter().any(|part| run.contains(part.as_str())))
    {
        return found(Share::Most, "three octets of the address, without separators");
    }
    if values
        .windows(2)
        .any(|window| in_order(window, &[c, d]) || in_order(window, &[d, c]))
    {
        return found(Share::Two, "the last two octets of the address");
    }
    if runs
        .iter()
        .any(|run| glued.two.iter().any(|part| run.ends_with(part.as_str())))
    {
        return found(Share::Two, "the last two octets of the address, without separators");
    }
    if values.contains(&Some(d)) {
        return found(Share::Last, "the last octet of the address");
    }
    None
}

/// Whether the window holds these octets in any order: `154.red-110-127-38` is 110.127.38.154.
fn same_octets(window: &[Option<u8>], octets: &[u8; 4]) -> bool {
    let &[Some(a), Some(b), Some(c), Some(d)] = window else {
        return false;
    };
    let (mut have, mut want) = ([a, b, c, d], *octets);
    have.sort_unstable();
    want.sort_unstable();
    have == want
}

fn in_order(window: &[Option<u8>], octets: &[u8]) -> bool {
    window.iter().zip(octets).all(|(have, want)| *have == Some(*want))
}

/// Parts of an address written without separators, zero-padded or not, forwards and backwards.
struct Glued {
    whole: Vec<Digits>,
    most: Vec<Digits>,
    two: Vec<Digits>,
}

impl Glued {
    /// Digits that unpadded octets must have together to be more than chance: all four, and two.
    const WHOLE_DIGITS_MIN: usize = 7;
    const TWO_DIGITS_MIN: usize = 5;

    fn of(octets: [u8; 4]) -> Glued {
        let [a, b, c, d] = octets;
        let mut whole = vec![padded(&octets), padded(&[d, c, b, a])];
        whole.extend(
            [plain(&octets), plain(&[d, c, b, a])]
                .into_iter()
                .filter(|text| text.as_str().len() >= Self::WHOLE_DIGITS_MIN),
        );
        // The address as one number; below this it would be a small number that anything may hold.
        let number = u32::from_be_bytes(octets);
        whole.extend((number >= 100_000_000).then(|| Digits::of(format_args!("{number}"))));
        let most = vec![padded(&[b, c, d]), padded(&[a, b, c]), padded(&[d, c, b])];
        let mut two = vec![padded(&[c, d]), padded(&[d, c])];
        two.extend(
            [plain(&[c, d]), plain(&[d, c])]
                .into_iter()
                .filter(|text| text.as_str().len() >= Self::TWO_DIGITS_MIN),
        );
        Glued { whole, most, two }
    }
}

fn padded(octets: &[u8]) -> Digits {
    octets.iter().fold(Digits::default(), |digits, octet| {
        digits.and(format_args!("{octet:03}"))
    })
}

fn plain(octets: &[u8]) -> Digits {
    octets
        .iter()
        .fold(Digits::default(), |digits, octet| digits.and(format_args!("{octet}")))
}

fn hex(octets: &[u8]) -> Digits {
    octets.iter().fold(Digits::default(), |digits, octet| {
        digits.and(format_args!("{octet:02x}"))
    })
}

/// A short text beside no heap: every address of a network comes by here. Four octets have twelve digits at most.
#[derive(Debug, Clone, Copy, Default)]
struct Digits {
    len: u8,
    octets: [u8; 12],
}

impl Digits {
    fn of(text: fmt::Arguments<'_>) -> Digits {
        Digits::default().and(text)
    }

    fn and(mut self, text: fmt::Arguments<'_>) -> Digits {
        fmt::Write::write_fmt(&mut self, text).expect("twelve digits at most");
        self
    }

    fn as_str(&self) -> &str {
        std::str::from_utf8(&self.octets[..usize::from(self.len)]).expect("digits are ASCII")
    }
}

impl fmt::Write for Digits {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let at = usize::from(self.len);
        let place = self.octets.get_mut(at..at + text.len()).ok_or(fmt::Error)?;
        place.copy_from_slice(text.as_bytes());
        self.len += text.len() as u8; // there was room
        Ok(())
    }
}

fn in_hex(host: &str, address: Ipv4Addr) -> Option<Embedded> {
    let [a, b, c, d] = address.octets();
    let found = |share, form| Some(Embedded { share, form });
    let dense = host.replace(['-', '_'], ""); // dots stay: no number goes from one label to the next
    let holds = |part: Digits| dense.contains(part.as_str());
    if holds(hex(&[a, b, c, d])) || holds(hex(&[d, c, b, a])) {
        return found(Share::Whole, "the address in hexadecimal");
    }
    // Six digits can be chance only once in sixteen million; they must not all be decimal, or a plain number fits.
    let lettered = |text: Digits| text.as_str().bytes().any(|digit| digit.is_ascii_alphabetic());
    let three = [hex(&[b, c, d]), hex(&[a, b, c])];
    if three.iter().any(|part| lettered(*part) && holds(*part)) {
        return found(Share::Most, "three octets of the address in hexadecimal");
    }
    let last = hex(&[c, d]);
    if lettered(last)
        && host
            .split(|character: char| !character.is_ascii_alphanumeric())
            .any(|token| token == last.as_str())
    {
        return found(Share::Two, "the last two octets of the address in hexadecimal");
    }
    None
}

fn in_nibbles(host: &str, address: Ipv6Addr) -> Option<Embedded> {
    let found = |share, form| Some(Embedded { share, form });
    let nibbles: String = address.octets().iter().map(|octet| format!("{octet:02x}")).collect();
    let reversed: String = nibbles.chars().rev().collect();
    let dense = host.replace(['-', '_', '.'], "");
    if dense.contains(&nibbles) || dense.contains(&reversed) {
        return found(Share::Whole, "the address in hexadecimal");
    }
    let groups = |from: usize, to: usize| {
        let segments = &address.segments()[from..to];
        segments
            .iter()
            .map(|segment| format!("{segment:x}"))
            .collect::<Vec<_>>()
            .join("-")
    };
    // Zeros at the end of an address that is mostly zeros say nothing.
    let telling = |part: &str| part.bytes().filter(|octet| !matches!(octet, b'0' | b'-')).count() >= 4;
    let compressed = address.to_string().replace("::", "--").replace(':', "-");
    if host.contains(&groups(0, 8)) || (telling(&compressed) && host.contains(compressed.trim_end_matches('-'))) {
        return found(Share::Whole, "the address in groups");
    }
    let halves = [&nibbles[..16], &nibbles[16..], &reversed[..16], &reversed[16..]];
    if halves.iter().any(|half| telling(half) && dense.contains(half)) {
        return found(Share::Most, "half of the address in hexadecimal");
    }
    if [groups(0, 4), groups(4, 8)]
        .iter()
        .any(|half| telling(half) && host.contains(half))
    {
        return found(Share::Most, "half of the address in groups");
    }
    None
}

/// What looks like some address, or a machine's serial number, whoever's it is.
pub(super) fn looks_numbered(host: &str) -> Option<Embedded> {
    let found = |share, form| Some(Embedded { share, form });
    if quad(host) {
        return found(Share::Whole, "an address in decimal, though not this one");
    }
    let tokens = || host.split(|character: char| !character.is_ascii_alphanumeric());
    if tokens().any(hex_address) {
        return found(Share::Two, "a number in hexadecimal as long as an address");
    }
    if runs(host).iter().any(|run| run.len() >= SERIAL_DIGITS_MIN) {
        return found(Share::Two, "a long number");
    }
    if runs(host)
        .windows(3)
        .any(|window| window.iter().all(|run| octet(run).is_some()))
        && triple(host)
    {
        return found(Share::Two, "three numbers like octets of an address");
    }
    None
}

/// Digits of a number that nobody gives to a server by hand; a date has eight, and is as rare in host names.
const SERIAL_DIGITS_MIN: usize = 8;

/// Four numbers up to 255 in a row, with one separator between them.
fn quad(host: &str) -> bool {
    neighbours(host, 4)
}

/// Three of them.
fn triple(host: &str) -> bool {
    neighbours(host, 3)
}

fn neighbours(host: &str, count: usize) -> bool {
    let mut row = 0;
    let pieces = host.split(['-', '.', '_']);
    for piece in pieces {
        // The first may have a word before it (`ip10-0-0-1`), the last one after it.
        let number = piece.trim_start_matches(|character: char| character.is_ascii_alphabetic());
        let bare = number.len() == piece.len();
        let fits = octet(number.trim_end_matches(|character: char| character.is_ascii_alphabetic())).is_some();
        row = match (fits, bare) {
            (true, true) => row + 1,
            (true, false) => 1,
            (false, _) => 0,
        };
        if row >= count {
            return true;
        }
    }
    false
}

/// Eight hexadecimal digits that are not a word, perhaps after `0x` or one letter.
fn hex_address(token: &str) -> bool {
    let digits = token.strip_prefix("0x").unwrap_or(token);
    let digits = if digits.len() == 9 {
        digits.get(1..).unwrap_or("")
    } else {
        digits
    };
    digits.len() == 8
        && digits.bytes().all(|digit| digit.is_ascii_hexdigit())
        && digits.bytes().filter(u8::is_ascii_digit).count() >= 2
}

#[cfg(test)]
mod tests {
    use super::*;

    fn share(host: &str, address: &str) -> Option<Share> {
        embedded(host, address.parse().expect("an address")).map(|found| found.share)
    }

    #[test]
    fn a_whole_address_is_found_in_all_its_forms() {
        for host in [
            "198-51-100-7",
            "host198.51.100.7",
            "7.100.51.198",
            "7.red-198-51-100",
            "198051100007",
            "ip007100051198x",
            "c6336407.x",
            "0xc6336407",
            "x-c6-33-64-07",
            "3325256711",
            "pre3-198-51-100-7",
        ] {
            assert_eq!(share(host, "198.51.100.7"), Some(Share::Whole), "{host}");
        }
    }

    #[test]
    fn parts_are_found_and_graded() {
        assert_eq!(share("a-51-100-7", "198.51.100.7"), Some(Share::Most));
        assert_eq!(share("x051100007", "198.51.100.7"), Some(Share::Most));
        assert_eq!(share("hst-100-7", "198.51.100.7"), Some(Share::Two));
        assert_eq!(share("a100007", "198.51.100.7"), Some(Share::Two));
        assert_eq!(share("node-c-8b22", "192.0.139.34"), Some(Share::Two));
        assert_eq!(share("www7", "198.51.100.7"), Some(Share::Last));
        assert_eq!(share("www8", "198.51.100.7"), None);
    }

    #[test]
    fn an_ipv6_address_is_found_as_nibbles_and_as_groups() {
        let address = "2001:db8:12:34:56:78:9abc:def0";
        assert_eq!(
            share("20010db800120034005600789abcdef0.dyn", address),
            Some(Share::Whole)
        );
        assert_eq!(
            share(
                "0.f.e.d.c.b.a.9.8.7.0.0.6.5.0.0.4.3.0.0.2.1.0.0.8.b.d.0.1.0.0.2",
                address
            ),
            Some(Share::Whole)
        );
        assert_eq!(share("2001-db8-12-34-56-78-9abc-def0", address), Some(Share::Whole));
        assert_eq!(share("x-56-78-9abc-def0", address), Some(Share::Most));
        assert_eq!(share("mail", "2001:db8::1"), None);
        assert_eq!(share("mx1", "2001:db8::1"), None);
    }

    #[test]
    fn numbers_without_a_known_address_are_seen_too() {
        assert!(looks_numbered("ip10-20-30-40").is_some_and(|found| found.share == Share::Whole));
        assert!(looks_numbered("catv-92f15ca1").is_some());
        assert!(looks_numbered("c368400772").is_some());
        assert!(looks_numbered("mail-ww0-f53").is_none());
        assert!(looks_numbered("www571").is_none());
        assert!(looks_numbered("300-400-500-600").is_none());
    }

    proptest::proptest! {
        #[test]
        fn any_text_can_be_searched(host in ".{0,255}", v4: u32, v6: u128) {
            let _ = embedded(&host, Ipv4Addr::from(v4).into());
            let _ = embedded(&host, Ipv6Addr::from(v6).into());
            let _ = looks_numbered(&host);
        }

        #[test]
        fn every_address_is_found_in_its_dashed_name(v4: u32) {
            let address = Ipv4Addr::from(v4);
            let host = format!("ip-{}", address.to_string().replace('.', "-"));
            let found = embedded(&host, address.into());
            proptest::prop_assert_eq!(found.map(|found| found.share), Some(Share::Whole));
        }
    }
}
