//! IPv4 entries: how they are written, and the sets that hold them (`ip4set`, `ip4tset`, `ip4trie`).
//!
//! `ip4set` keeps entries in four classes by size (single addresses up to /25, /24 to /17, /16 to /9, /8 and larger):
//! the class of the smallest entry that covers an address answers, with all its values together, and one exclusion in
//! it takes the address out. `ip4trie` answers with the longest prefix alone, the first entry for a prefix holds.

use ipnet::{Ipv4Net, Ipv4Subnets};
use std::net::Ipv4Addr;

use rayon::prelude::*;

use super::error::Notes;
use super::intervals::{Entry, Intervals};
use super::stretch::pieces;
use super::text::{is_blank, is_comment, skip_blanks};
use super::value::{BUILT_IN, EXCLUDED, Slot, ValueId, Values};

/// How a set is written and answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ip4Form {
    /// Ranges with values (`ip4set`).
    Ranges,
    /// Single addresses, one value for all (`ip4tset`).
    Trivial,
    /// Prefixes with values (`ip4trie`).
    Prefixes,
}

/// A set of IPv4 entries: lines go in, then it is finished, then it is asked.
#[derive(Debug)]
pub(super) struct Ip4Set {
    form: Ip4Form,
    /// What was read, until it is finished.
    entries: Vec<Entry>,
    intervals: Intervals,
}

impl Ip4Set {
    /// An empty set.
    pub(super) fn new(form: Ip4Form) -> Ip4Set {
        Ip4Set {
            form,
            entries: Vec::new(),
            intervals: Intervals::default(),
        }
    }

    /// Whether one value stands for all entries.
    pub(super) fn is_trivial(&self) -> bool {
        self.form == Ip4Form::Trivial
    }

    /// Takes a line that is not a default value.
    pub(super) fn line(&mut self, line: &[u8], values: &mut Values, notes: &mut Notes<'_>) {
        match self.form {
            Ip4Form::Trivial => self.trivial_line(line, notes),
            Ip4Form::Ranges | Ip4Form::Prefixes => self.valued_line(line, values, notes),
        }
    }

    fn trivial_line(&mut self, line: &[u8], notes: &mut Notes<'_>) {
        match parse_prefix(line) {
            Some((address, 32, rest)) if ends_entry(rest) => {
                self.push(address, 32, BUILT_IN, notes);
            }
            _ => notes.warn(line, "not an IPv4 address"),
        }
    }

    fn valued_line(&mut self, line: &[u8], values: &mut Values, notes: &mut Notes<'_>) {
        let (text, excluded) = match line.strip_prefix(b"!") {
            Some(rest) => (skip_blanks(rest), true),
            None => (line, false),
        };
        let parsed = match self.form {
            // Everything is listed as a range of two ends here, and as /0 in an `ip4trie`.
            Ip4Form::Ranges => parse_range(text).filter(|(range, _)| range.bits > 0),
            _ => parse_cidr(text),
        };
        let (range, rest) = match parsed {
            Some((range, rest)) if ends_entry(rest) => (range, skip_blanks(rest)),
            _ => return notes.warn(line, "not an IPv4 address, prefix or range"),
        };
        if range.first & !mask(range.bits) != 0 {
            return notes.warn(line, "the address has bits beyond the prefix");
        }
        if notes.ip4_range_max != 0 && range.last - range.first >= notes.ip4_range_max {
            return notes.warn(line, "larger than $MAXRANGE4");
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
        self.insert(&range, id, notes);
    }

    fn insert(&mut self, range: &Range, id: ValueId, notes: &Notes<'_>) {
        if range.first == range.last {
            return self.push(range.first, 32, id, notes);
        }
        // A range is at most 62 prefixes; a whole octet's block is never cut, so the classes come out right.
        for net in Ipv4Subnets::new(range.first.into(), range.last.into(), 0) {
            self.push(net.network().to_bits(), net.prefix_len(), id, notes);
        }
    }

    fn push(&mut self, first: u32, bits: u8, id: ValueId, notes: &Notes<'_>) {
        let line = u32::try_from(notes.line).unwrap_or(u32::MAX); // orders entries: behind 2^32 lines by their values
        self.entries.push(Entry { first, bits, line, id });
    }

    /// Takes lines that are no specials and no default values, in pieces side by side.
    pub(super) fn stretch(&mut self, text: &[u8], values: &mut Values, notes: &mut Notes<'_>) {
        let (form, there) = (self.form, &*values);
        let read = |text| {
            let (mut piece, mut values, mut notes) = (Ip4Set::new(form), there.beside(), notes.beside());
            super::build::each_line(text, &mut notes, |line, notes| piece.line(line, &mut values, notes));
            (piece.entries, values, notes)
        };
        let pieces: Vec<_> = pieces(text).into_par_iter().map(read).collect();
        values.reserve(pieces.iter().map(|(_, piece_values, _)| piece_values.len()).sum());
        self.entries
            .reserve(pieces.iter().map(|(entries, ..)| entries.len()).sum());
        for (entries, piece_values, piece_notes) in pieces {
            let ids = values.append(&piece_values);
            let line = u32::try_from(notes.line).unwrap_or(u32::MAX);
            self.entries.extend(entries.into_iter().map(|entry| Entry {
                line: line.saturating_add(entry.line),
                id: entry.id.through(&ids),
                ..entry
            }));
            notes.append(piece_notes);
        }
    }

    /// No line follows.
    pub(super) fn finish(&mut self, notes: &mut Notes<'_>) {
        let mut entries = std::mem::take(&mut self.entries);
        entries.par_sort_unstable();
        let (class, add, why): (Class, Add, _) = match self.form {
            Ip4Form::Ranges => (class_of, Slot::add, "too many values for one entry"),
            Ip4Form::Prefixes => (|bits| bits, |_, _| false, "the prefix has an entry already"),
            Ip4Form::Trivial => (|bits| bits, Slot::add, ""),
        };
        self.intervals = Intervals::sweep(&entries, class, add, |line| notes.warn_late(line, why));
    }

    /// The first value of an address, if it is listed.
    pub(super) fn first(&self, address: Ipv4Addr, values: &Values) -> Option<ValueId> {
        let id = self.intervals.first(address.to_bits())?;
        Some(if self.is_trivial() { values.default } else { id })
    }

    /// Gives the values of an address to `each`: none if it is not listed.
    #[inline]
    pub(super) fn find(&self, address: Ipv4Addr, values: &Values, mut each: impl FnMut(ValueId)) {
        let trivial = self.is_trivial();
        self.intervals
            .find(address.to_bits(), |id| each(if trivial { values.default } else { id }));
    }

    /// Whether an address of `net` is listed.
    pub(super) fn touches(&self, net: Ipv4Net) -> bool {
        self.intervals
            .touches(net.network().to_bits(), net.broadcast().to_bits())
    }

    /// How many prefixes there are.
    pub(super) fn len(&self) -> usize {
        self.intervals.networks()
    }
}

/// How a network's prefix length tells its class.
type Class = fn(u8) -> u8;

/// How a network takes one more value; false if it does not.
type Add = fn(&mut Slot, ValueId) -> bool;

/// The class of a prefix length in an `ip4set`: 0 for /8 and larger, 3 for /25 and smaller.
fn class_of(prefix_len: u8) -> u8 {
    prefix_len.saturating_sub(1) / 8
}

/// Whether an entry may end here: at the line's end, a blank, a comment, or its value.
pub(super) fn ends_entry(rest: &[u8]) -> bool {
    rest.first()
        .is_none_or(|&octet| is_blank(octet) || is_comment(octet) || octet == b':')
}

/// The leading `bits` ones.
fn mask(bits: u8) -> u32 {
    u32::MAX.checked_shl(32 - u32::from(bits)).unwrap_or(0)
}

/// A range of addresses as it was written.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Range {
    first: u32,
    last: u32,
    /// The prefix length given; 32 if it was given by its ends.
    bits: u8,
}

/// One to four octets with dots between: the address with zeros behind, and 8 bits an octet.
fn parse_prefix(text: &[u8]) -> Option<(u32, u8, &[u8])> {
    let (mut address, mut bits, mut rest) = (0u32, 0u8, text);
    loop {
        let len = rest.iter().take_while(|octet| octet.is_ascii_digit()).count();
        let octet = decimal_octet(&rest[..len])?;
        bits += 8;
        address |= u32::from(octet) << (32 - bits);
        rest = &rest[len..];
        match rest.split_first() {
            Some((b'.', tail)) if bits < 32 => rest = tail,
            _ => return Some((address, bits, rest)),
        }
    }
}

/// An octet in decimal; leading zeros are let pass.
fn decimal_octet(digits: &[u8]) -> Option<u8> {
    if digits.is_empty() {
        return None;
    }
    digits
        .iter()
        .try_fold(0u8, |value, digit| value.checked_mul(10)?.checked_add(digit - b'0'))
}

/// The old form of `inet_aton`: the last octet given is the last of the address (`127.1` is 127.0.0.1).
pub(super) fn parse_abbreviated(text: &[u8]) -> Option<(u32, u8, &[u8])> {
    let (prefix, bits, rest) = parse_prefix(text)?;
    let address = match bits {
        32 => prefix,
        _ => {
            let last = (prefix >> (32 - bits)) & 0xff;
            (prefix & mask(bits - 8)) | last
        }
    };
    Some((address, bits, rest))
}

/// A prefix: `192.0.2`, `192.0.2.0/24`, `192/8`. One bare number is none.
fn parse_cidr(text: &[u8]) -> Option<(Range, &[u8])> {
    let (first, octets_bits, rest) = parse_prefix(text)?;
    let (bits, rest) = match rest.strip_prefix(b"/") {
        None if octets_bits == 8 => return None,
        None => (octets_bits, rest),
        Some(tail) => {
            let len = tail.iter().take_while(|octet| octet.is_ascii_digit()).count();
            let bits = decimal_octet(&tail[..len]).filter(|&bits| bits <= 32)?;
            (bits, &tail[len..])
        }
    };
    let last = first | !mask(bits);
    Some((Range { first, last, bits }, rest))
}

/// A prefix, or two ends with a dash between: `192.0.2.1-5`, `127.16-31`, `192.0.2.1-192.0.2.9`.
pub(super) fn parse_range(text: &[u8]) -> Option<(Range, &[u8])> {
    let (first, bits, rest) = parse_prefix(text)?;
    let Some(tail) = rest.strip_prefix(b"-") else {
        return parse_cidr(text);
    };
    let (mut last, last_bits, rest) = parse_prefix(tail)?;
    if last_bits == 8 {
        // One octet alone stands in the place of the first end's last one.
        last = (last >> (bits - 8)) | (first & mask(bits - 8));
    } else if last_bits != bits {
        return None;
    }
    last |= !mask(bits);
    (first <= last).then_some((Range { first, last, bits: 32 }, rest))
}

/// A prefix or a range as prefixes, if the text is one and nothing else, and its address has no bits beyond the prefix.
pub(super) fn parse_nets(text: &[u8]) -> Option<Ipv4Subnets> {
    let (range, rest) = parse_range(text)?;
    (rest.is_empty() && range.first & !mask(range.bits) == 0)
        .then(|| Ipv4Subnets::new(range.first.into(), range.last.into(), 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(text: &str) -> Option<String> {
        let (range, rest) = parse_range(text.as_bytes())?;
        rest.is_empty()
            .then(|| format!("{}-{}", Ipv4Addr::from(range.first), Ipv4Addr::from(range.last)))
    }

    /// The examples of the manual.
    #[test]
    fn ranges_are_written_in_many_ways() {
        for text in ["127.0.0.0/24", "127.0.0", "127-127.0.0", "127.0.0.0-127.0.0.255"] {
            let expected = (text != "127-127.0.0").then(|| "127.0.0.0-127.0.0.255".to_owned());
            assert_eq!(range(text), expected, "{text}");
        }
        for text in [
            "127.16.0.0-127.31.255.255",
            "127.16.0-127.31.255",
            "127.16-127.31",
            "127.16-31",
            "127.16.0.0/12",
            "127.16.0/12",
            "127.16/12",
        ] {
            assert_eq!(range(text).as_deref(), Some("127.16.0.0-127.31.255.255"), "{text}");
        }
        assert_eq!(range("192.0.2.1-5").as_deref(), Some("192.0.2.1-192.0.2.5"));
        assert_eq!(range("127.16.0-31").as_deref(), Some("127.16.0.0-127.16.31.255"));
        assert_eq!(range("0/0").as_deref(), Some("0.0.0.0-255.255.255.255"));
    }

    #[test]
    fn what_is_no_range_is_refused() {
        for text in [
            "",
            "10",
            "10/33",
            "10/",
            "1.2.3.4.5",
            "256.1.1.1",
            "1.2.3.9-5",
            "1.2-1.2.3.4",
            "1..2",
            "x",
            "1.2.3.4-",
        ] {
            assert_eq!(range(text), None, "{text}");
        }
    }

    #[test]
    fn old_addresses_end_in_their_last_octet() {
        let read =
            |text: &str| parse_abbreviated(text.as_bytes()).map(|(address, ..)| Ipv4Addr::from(address).to_string());
        assert_eq!(read("5").as_deref(), Some("0.0.0.5"));
        assert_eq!(read("127.1").as_deref(), Some("127.0.0.1"));
        assert_eq!(read("127.1.3").as_deref(), Some("127.1.0.3"));
        assert_eq!(read("127.0.0.9").as_deref(), Some("127.0.0.9"));
    }
}
