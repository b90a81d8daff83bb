//! Lines that begin with `$` (or `#$`, `;$`, `:$`): what is said of the zone and of the file, not of entries.

use crate::wire::Name;

use super::generic::absolute;
use super::text::{after_word, is_blank, parse_name, parse_time, parse_ttl, parse_u32, skip_blanks, split_word};

/// Name servers that are taken of one line, as rbldnsd does.
const NAME_SERVERS_MAX: usize = 32;

/// The start of the zone (`$SOA`; RFC 1035 §3.3.13). Times are in seconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ZoneSoa {
    /// The record's own TTL.
    pub ttl: u32,
    /// The primary server.
    pub primary: Name,
    /// Whom to write to, as a name.
    pub contact: Name,
    /// The version; 0 in the file stands for the time of its last change.
    pub serial: u32,
    /// How often secondaries look.
    pub refresh: u32,
    /// How soon they look again.
    pub retry: u32,
    /// When they give up.
    pub expire: u32,
    /// How long "there is no such thing" may be kept (RFC 2308 §4).
    pub minimum: u32,
}

/// The zone's servers (`$NS`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameServers {
    /// The records' TTL in seconds.
    pub ttl: u32,
    /// Their names.
    pub names: Vec<Name>,
}

/// When data was made and when it ends, in seconds since 1970; 0: not said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Stamp {
    pub(super) made: u64,
    pub(super) expires: u64,
}

/// A special line.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Special<'a> {
    Soa(Box<ZoneSoa>),
    Ns(NameServers),
    Ttl(u32),
    /// The largest range; 0: any.
    RangeMax(u32),
    Stamp(Stamp),
    /// A substitution variable: its character and its text.
    Variable(u8, &'a [u8]),
    /// A section of a combined dataset: what follows the word.
    Dataset(&'a [u8]),
}

/// The text of a special line behind its dollar sign, if the line is one.
pub(super) fn special_text(line: &[u8]) -> Option<&[u8]> {
    match line {
        [b'$', text @ ..] | [b'#' | b';' | b':', b'$', text @ ..] => Some(text),
        _ => None,
    }
}

/// Reads a special line's text. `ttl` stands for a TTL of 0 in `$SOA` and `$NS`, `ttl_default` in `$TTL`.
pub(super) fn parse_special(text: &[u8], ttl: u32, ttl_default: u32) -> Option<Special<'_>> {
    if let Some(rest) = after_word(text, "soa") {
        return parse_soa(rest, ttl).map(|soa| Special::Soa(Box::new(soa)));
    }
    if let Some(rest) = after_word(text, "ns").or_else(|| after_word(text, "nameserver")) {
        return parse_ns(rest, ttl).map(Special::Ns);
    }
    if let Some(rest) = after_word(text, "ttl") {
        return match parse_ttl(rest, ttl_default)? {
            (ttl, b"") => Some(Special::Ttl(ttl)),
            _ => None,
        };
    }
    if let Some(rest) = after_word(text, "maxrange4") {
        return parse_range_max(rest).map(Special::RangeMax);
    }
    if let [which @ (b'0'..=b'9' | b'='), blank, rest @ ..] = text
        && is_blank(*blank)
    {
        let rest = skip_blanks(rest);
        return (!rest.is_empty()).then_some(Special::Variable(*which, rest));
    }
    if let Some(rest) = after_word(text, "dataset") {
        return Some(Special::Dataset(rest));
    }
    after_word(text, "timestamp").and_then(parse_stamp).map(Special::Stamp)
}

fn parse_soa(text: &[u8], default_ttl: u32) -> Option<ZoneSoa> {
    let (ttl, rest) = parse_ttl(text, default_ttl)?;
    let (primary, rest) = parse_name(rest)?;
    let (contact, rest) = parse_name(rest)?;
    let (serial, rest) = parse_u32(rest)?;
    let (refresh, rest) = parse_time(rest)?;
    let (retry, rest) = parse_time(rest)?;
    let (expire, rest) = parse_time(rest)?;
    let (minimum, rest) = parse_time(rest)?;
    rest.is_empty().then(|| ZoneSoa {
        ttl,
        primary: absolute(&primary),
        contact: absolute(&contact),
        serial,
        refresh,
        retry,
        expire,
        minimum,
    })
}

/// Names that begin with `-` are commented out.
fn parse_ns(text: &[u8], default_ttl: u32) -> Option<NameServers> {
    let (ttl, mut rest) = parse_ttl(text, default_ttl)?;
    let mut names = Vec::new();
    loop {
        if rest.first() == Some(&b'-') {
            rest = split_word(rest).1;
        } else {
            let (name, tail) = parse_name(rest)?;
            if names.len() < NAME_SERVERS_MAX {
                names.push(absolute(&name));
            }
            rest = tail;
        }
        if rest.is_empty() {
            return Some(NameServers { ttl, names });
        }
    }
}

/// A number of addresses, or `/` and a prefix length.
fn parse_range_max(text: &[u8]) -> Option<u32> {
    let (digits, is_prefix) = match text.strip_prefix(b"/") {
        Some(digits) => (digits, true),
        None => (text, false),
    };
    let (number, rest) = parse_u32(digits)?;
    match (rest.is_empty(), is_prefix, number) {
        (false, ..) | (_, _, 0) | (_, true, 33..) => None,
        (_, true, bits) => Some(1 << (32 - bits)),
        (_, false, count) => Some(count),
    }
}

/// `made [expires]`, where `expires` may be `+` and a length of time.
fn parse_stamp(text: &[u8]) -> Option<Stamp> {
    let (made, rest) = parse_moment(text)?;
    let expires = match rest.split_first() {
        None => 0,
        Some((b'+', span)) => match parse_time(span)? {
            (span, b"") if made > 0 && span > 0 => made + u64::from(span),
            _ => return None,
        },
        Some(_) => match parse_moment(rest)? {
            (moment, b"") => moment,
            _ => return None,
        },
    };
    Some(Stamp { made, expires })
}

/// `yyyy:mm:dd[:hh[:mi[:ss]]]`, with colons, dashes or nothing between; `0`, `-` or `:` alone is no moment (0).
fn parse_moment(text: &[u8]) -> Option<(u64, &[u8])> {
    let (word, rest) = split_word(text);
    if matches!(word, b"0" | b"-" | b":") {
        return Some((0, rest));
    }
    let (year, word) = moment_part(word, 4, 1970..=2038)?;
    let (month, word) = moment_part(word, 2, 1..=12)?;
    let (day, word) = moment_part(word, 2, 1..=days_in(year, month))?;
    let mut clock = [0; 3];
    let mut left = word;
    for (part, max) in clock.iter_mut().zip([23, 59, 59]) {
        if !left.is_empty() {
            (*part, left) = moment_part(left, 2, 0..=max)?;
        }
    }
    let [hour, minute, second] = clock;
    let days: u32 = (1970..year)
        .map(|year| if is_leap(year) { 366 } else { 365 })
        .sum::<u32>()
        + (1..month).map(|month| days_in(year, month)).sum::<u32>()
        + (day - 1);
    let moment = u64::from(days) * 86_400 + u64::from(hour * 3_600 + minute * 60 + second);
    left.is_empty().then_some((moment, rest))
}

fn moment_part(text: &[u8], width: usize, bounds: std::ops::RangeInclusive<u32>) -> Option<(u32, &[u8])> {
    let len = text
        .iter()
        .take(width)
        .take_while(|octet| octet.is_ascii_digit())
        .count();
    let number = std::str::from_utf8(&text[..len]).ok()?.parse().ok()?;
    let rest = match &text[len..] {
        [b':' | b'-', rest @ ..] => rest,
        rest => rest,
    };
    bounds.contains(&number).then_some((number, rest))
}

fn is_leap(year: u32) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

fn days_in(year: u32, month: u32) -> u32 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Option<Special<'_>> {
        parse_special(special_text(line.as_bytes())?, 100, 200)
    }

    #[test]
    fn times_to_live_have_their_defaults() {
        assert_eq!(read("$TTL 1h"), Some(Special::Ttl(3_600)));
        assert_eq!(read("#$ttl 0"), Some(Special::Ttl(200)));
        assert_eq!(read("$TTL 1h x"), None);
        assert_eq!(read("$TTL"), None);
        assert_eq!(read(" $TTL 1"), None);
    }

    #[test]
    fn the_start_of_a_zone_is_whole_or_nothing() {
        let Some(Special::Soa(soa)) = read("$SOA 0 ns.example. admin.example 7 1h 30m 1w 5m") else {
            panic!("a good $SOA");
        };
        assert_eq!((soa.ttl, soa.serial, soa.expire, soa.minimum), (100, 7, 604_800, 300));
        assert_eq!(soa.contact.to_string(), "admin.example");
        assert_eq!(read("$SOA 0 ns.example admin.example 7 1h 30m 1w"), None);
        assert_eq!(read("$SOA 0 ns.example admin.example 7 1h 30m 1w 5m 5m"), None);
    }

    #[test]
    fn name_servers_may_be_commented_out() {
        let Some(Special::Ns(ns)) = read("$NS 1d a.example -b.example c.example") else {
            panic!("a good $NS");
        };
        let names: Vec<_> = ns.names.iter().map(ToString::to_string).collect();
        assert_eq!(names, ["a.example", "c.example"]);
        assert_eq!(ns.ttl, 86_400);
    }

    #[test]
    fn the_largest_range_is_a_number_or_a_prefix_length() {
        assert_eq!(read("$MAXRANGE4 256"), Some(Special::RangeMax(256)));
        assert_eq!(read("$MAXRANGE4 /24"), Some(Special::RangeMax(256)));
        assert_eq!(read("$MAXRANGE4 0"), None);
        assert_eq!(read("$MAXRANGE4 /33"), None);
    }

    #[test]
    fn moments_are_counted_from_1970() {
        let made = |text: &str| match read(text) {
            Some(Special::Stamp(stamp)) => Some(stamp.made),
            _ => None,
        };
        assert_eq!(made("$TIMESTAMP 1970:01:02"), Some(86_400));
        assert_eq!(made("$TIMESTAMP 20240301"), Some(1_709_251_200));
        assert_eq!(made("$TIMESTAMP 2024-03-01:01:02:03"), Some(1_709_251_200 + 3_723));
        assert_eq!(made("$TIMESTAMP 2023:02:29"), None);
        assert_eq!(made("$TIMESTAMP 2024:13:01"), None);
        assert_eq!(
            read("$TIMESTAMP 1970:01:02 +1h"),
            Some(Special::Stamp(Stamp {
                made: 86_400,
                expires: 90_000
            }))
        );
    }
}
