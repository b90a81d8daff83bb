//! IPv6 entries: how they are written, and the sets that hold them (`ip6tset`, `ip6trie`).

use std::collections::HashSet;
use std::net::Ipv6Addr;

use ipnet::Ipv6Net;
use prefix_trie::PrefixMap;

use super::error::Notes;
use super::ip4::ends_entry;
use super::text::{is_comment, skip_blanks};
use super::value::{EXCLUDED, ValueId, Values};

/// Words in an address.
const WORDS: usize = 8;

/// Prefixes with values; the longest answers, the first entry for a prefix holds (`ip6trie`).
#[derive(Debug, Default)]
pub(super) struct Ip6Trie {
    entries: PrefixMap<Ipv6Net, ValueId>,
}

impl Ip6Trie {
    /// Takes a line that is not a default value.
    pub(super) fn line(&mut self, line: &[u8], values: &mut Values, notes: &mut Notes<'_>) {
        let (text, excluded) = match line.strip_prefix(b"!") {
            Some(rest) => (skip_blanks(rest), true),
            None => (line, false),
        };
        let (address, bits, rest) = match parse_cidr(text) {
            Some((address, bits, rest)) if ends_entry(rest) => (address, bits, skip_blanks(rest)),
            _ => return notes.warn(line, "not an IPv6 address or prefix"),
        };
        let net = Ipv6Net::new_assert(address, bits);
        if net.trunc() != net {
            return notes.warn(line, "the address has bits beyond the prefix");
        }
        let id = if excluded {
            EXCLUDED
        } else if rest.first().is_none_or(|&octet| is_comment(octet)) {
            values.default
        } else {
            match values.parse(rest, values.default, notes) {
                Some(id) => id,
                None => return,
            }
        };
        if self.entries.contains_key(&net) {
            return notes.warn(line, "the prefix has an entry already");
        }
        self.entries.insert(net, id);
    }

    /// The value of an address, if it is listed.
    pub(super) fn find(&self, address: Ipv6Addr) -> Option<ValueId> {
        let (_, &id) = self.entries.get_lpm(&Ipv6Net::new_assert(address, 128))?;
        (id != EXCLUDED).then_some(id)
    }

    /// Whether an entry that is no exclusion covers a part of `net`.
    pub(super) fn touches(&self, net: Ipv6Net) -> bool {
        self.entries.get_lpm(&net).is_some_and(|(_, &id)| id != EXCLUDED)
            || self.entries.children(&net).any(|(_, &id)| id != EXCLUDED)
    }

    /// How many prefixes there are.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }
}

/// /64s with one value for all, and single addresses taken out (`ip6tset`).
#[derive(Debug, Default)]
pub(super) struct Ip6Tset {
    halves: HashSet<u64>,
    excluded: HashSet<u128>,
}

impl Ip6Tset {
    /// Takes a line that is not a default value.
    pub(super) fn line(&mut self, line: &[u8], notes: &mut Notes<'_>) {
        let (text, excluded) = match line.strip_prefix(b"!") {
            Some(rest) => (skip_blanks(rest), true),
            None => (line, false),
        };
        match parse_prefix(text) {
            Some((address, 128, rest)) if excluded && ends_entry(rest) => {
                self.excluded.insert(address.to_bits());
            }
            Some((address, 64, rest)) if !excluded && ends_entry(rest) => {
                self.halves.insert(half(address));
            }
            _ => notes.warn(line, "neither four words (a /64) nor `!` with a whole address"),
        }
    }

    /// Whether an address is listed.
    pub(super) fn contains(&self, address: Ipv6Addr) -> bool {
        self.halves.contains(&half(address)) && !self.excluded.contains(&address.to_bits())
    }

    /// How many /64s there are.
    pub(super) fn len(&self) -> usize {
        self.halves.len()
    }
}

/// The first half of an address.
fn half(address: Ipv6Addr) -> u64 {
    (address.to_bits() >> 64) as u64 // what is left is 64 bits
}

/// Words with colons between, with or without `::`; how many bits were given (128 with `::`).
///
/// After `::` a lone colon at the end is let pass, as rbldnsd does.
fn parse_prefix(text: &[u8]) -> Option<(Ipv6Addr, u8, &[u8])> {
    let mut words = [0u16; WORDS];
    let (mut count, mut gap, mut complete) = (0, None, false);
    let mut rest = text;
    if let Some(tail) = text.strip_prefix(b"::") {
        (gap, rest) = (Some(0), tail);
    }
    while let Some((word, tail)) = parse_word(rest) {
        words[count] = word;
        count += 1;
        rest = tail;
        if count == WORDS || rest.first() != Some(&b':') {
            complete = true;
            break;
        }
        rest = &rest[1..];
        if gap.is_none() && rest.first() == Some(&b':') {
            (gap, rest) = (Some(count), &rest[1..]);
        }
    }
    let bits = match gap {
        Some(_) if count == WORDS => return None,
        Some(at) => {
            words[at..].rotate_right(WORDS - count);
            128
        }
        None if !complete => return None,
        None => count as u8 * 16, // at most 8 words
    };
    Some((Ipv6Addr::from(words), bits, rest))
}

/// One word in hexadecimal; leading zeros are let pass.
fn parse_word(text: &[u8]) -> Option<(u16, &[u8])> {
    let len = text.iter().take_while(|octet| octet.is_ascii_hexdigit()).count();
    if len == 0 {
        return None;
    }
    let word = text[..len].iter().try_fold(0u16, |word, &digit| {
        let digit = char::from(digit).to_digit(16)? as u16; // below 16
        word.checked_mul(16)?.checked_add(digit)
    })?;
    Some((word, &text[len..]))
}

/// A prefix: words alone (16 bits each), or with a length. One bare word is none.
pub(super) fn parse_cidr(text: &[u8]) -> Option<(Ipv6Addr, u8, &[u8])> {
    let (address, words_bits, rest) = parse_prefix(text)?;
    let Some(tail) = rest.strip_prefix(b"/") else {
        return (words_bits != 16).then_some((address, words_bits, rest));
    };
    let len = tail.iter().take_while(|octet| octet.is_ascii_digit()).count();
    let bits = std::str::from_utf8(&tail[..len]).ok()?.parse::<u8>().ok()?;
    (bits <= 128).then_some((address, bits, &tail[len..]))
}

/// A whole address or a prefix, if the text is one and nothing else, and its address has no bits beyond the prefix.
pub(super) fn parse_net(text: &[u8]) -> Option<Ipv6Net> {
    let (address, bits, rest) = parse_cidr(text)?;
    let net = Ipv6Net::new(address, bits).ok()?;
    (rest.is_empty() && net.trunc() == net).then_some(net)
}

/// The text of an address as rbldnsd writes it: RFC 5952 without the mixed form.
pub(super) fn show_address(address: Ipv6Addr) -> String {
    match address.segments() {
        [0, 0, 0, 0, 0, 0xffff, high, low] => format!("::ffff:{high:x}:{low:x}"),
        _ => address.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefix(text: &str) -> Option<String> {
        let (address, bits, rest) = parse_cidr(text.as_bytes())?;
        rest.is_empty().then(|| format!("{address}/{bits}"))
    }

    #[test]
    fn prefixes_are_written_short_and_long() {
        assert_eq!(prefix("2001:21ab:c000/36").as_deref(), Some("2001:21ab:c000::/36"));
        assert_eq!(
            prefix("2001:21ab:def7:4242").as_deref(),
            Some("2001:21ab:def7:4242::/64")
        );
        assert_eq!(prefix("2605:6001:42::/52").as_deref(), Some("2605:6001:42::/52"));
        assert_eq!(prefix("::1").as_deref(), Some("::1/128"));
        assert_eq!(prefix("::").as_deref(), Some("::/128"));
        assert_eq!(prefix("1::8").as_deref(), Some("1::8/128"));
        assert_eq!(prefix("0/0").as_deref(), Some("::/0"));
    }

    #[test]
    fn what_is_no_prefix_is_refused() {
        for text in [
            "",
            "2001",
            "2001:db8:",
            "1:2:3:4:5:6:7:8:9",
            "::1:2:3:4:5:6:7:8",
            "1:2/129",
            "1:12345",
            "g::",
        ] {
            assert_eq!(prefix(text), None, "{text}");
        }
    }

    #[test]
    fn a_mapped_address_is_shown_in_hexadecimal() {
        let shown = |text: &str| show_address(text.parse().expect("an address"));
        assert_eq!(shown("::ffff:127.0.0.2"), "::ffff:7f00:2");
        assert_eq!(shown("2001:db8:0:0:1:0:0:1"), "2001:db8::1:0:0:1");
    }
}
