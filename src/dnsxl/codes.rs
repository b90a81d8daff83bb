//! Return codes: what the A records of an entry mean (RFC 5782 §2.1, §2.3; RFC 6471 §3.3).
//!
//! The grammar of a pattern, every octet decimal:
//!
//! | written | matches |
//! |---|---|
//! | `127.0.0.2` | that answer alone |
//! | `127.0.0.10-11`, `127.0.0.10-127.0.1.3` | the answers from the first to the last, both included |
//! | `127.0.*.2` | any octet where the star stands (never the first octet) |
//! | `&4`, `&0.0.0.4` | an answer in 127/8 with all these bits set: of the last octet, or of any but the first |
//!
//! Which entries speak for an answer: an exact one alone; else the narrowest range; else every mask that fits (each set
//! bit adds its meaning); else the pattern with the fewest stars. A table without entries takes RFC 5782 §6 at its word,
//! tempered by RFC 6471 §3.3: any answer in 127/8 is a listing, save 127.0.0.0 and 127.0.0.1 (never an entry by custom)
//! and [`is_refusal_space`].

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

use super::list::{Role, Tier};

/// A pattern of answers inside 127/8: exact, range, any octet, or bit mask. The module says how it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CodePattern(Shape);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    /// From the first to the last, both included; exact where they are equal.
    Range(Ipv4Addr, Ipv4Addr),
    /// `None` is any octet.
    Octets([Option<u8>; 4]),
    /// All these bits are set; the first octet is 0, not all are.
    Mask([u8; 4]),
}

/// Why a text is not a [`CodePattern`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CodeError {
    /// Not four decimal octets, stars, or the other forms.
    #[error("not a code: write 127.0.0.2, 127.0.0.10-11, 127.0.*.2, &4 or &0.0.0.4")]
    Syntax,
    /// Outside 127.0.0.0/8, where no code is (RFC 5782 §2.3).
    #[error("outside 127.0.0.0/8, where all codes are")]
    Outside,
    /// A range whose end comes before its start.
    #[error("the range ends before it starts")]
    Backwards,
    /// A mask without bits, or with bits of the first octet, which is always 127.
    #[error("a mask needs at least one bit, and none in the first octet")]
    Mask,
}

/// Whether an address is inside 127/8, where all codes are.
pub fn is_code(address: Ipv4Addr) -> bool {
    address.octets()[0] == 127
}

/// Whether an address is in 127.255.255.0/24, where operators by custom put refusals and errors. Never a listing, on
/// any list.
pub fn is_refusal_space(address: Ipv4Addr) -> bool {
    matches!(address.octets(), [127, 255, 255, _])
}

impl CodePattern {
    /// Whether an answer fits.
    pub fn matches(&self, address: Ipv4Addr) -> bool {
        if !is_code(address) {
            return false;
        }
        let octets = address.octets();
        match self.0 {
            Shape::Range(first, last) => first <= address && address <= last,
            Shape::Octets(wanted) => (0..4).all(|at| wanted[at].is_none_or(|octet| octet == octets[at])),
            Shape::Mask(bits) => (0..4).all(|at| octets[at] & bits[at] == bits[at]),
        }
    }

    /// The one answer that fits, if it is an exact pattern.
    pub fn exact(&self) -> Option<Ipv4Addr> {
        match self.0 {
            Shape::Range(first, last) if first == last => Some(first),
            _ => None,
        }
    }

    /// One answer that fits, for rehearsals.
    pub fn example(&self) -> Option<Ipv4Addr> {
        let answer = match self.0 {
            Shape::Range(first, _) => first,
            Shape::Octets(wanted) => {
                let [_, b, c, d] = wanted;
                Ipv4Addr::new(127, b.unwrap_or(0), c.unwrap_or(0), d.unwrap_or(2))
            }
            Shape::Mask([_, b, c, d]) => Ipv4Addr::new(127, b, c, d),
        };
        self.matches(answer).then_some(answer)
    }

    /// How closely the pattern names an answer; lower is closer. Masks share one class, so that all of them speak.
    fn looseness(&self) -> (u8, u32) {
        match self.0 {
            Shape::Range(first, last) if first == last => (0, 0),
            Shape::Range(first, last) => (1, u32::from(last) - u32::from(first)),
            Shape::Mask(_) => (2, 0),
            Shape::Octets(wanted) => (3, wanted.iter().filter(|octet| octet.is_none()).count() as u32), // at most 3
        }
    }
}

impl FromStr for CodePattern {
    type Err = CodeError;

    fn from_str(text: &str) -> Result<CodePattern, CodeError> {
        let shape = match (text.strip_prefix('&'), text.split_once('-')) {
            (Some(bits), _) => mask(bits)?,
            (None, Some((first, last))) => range(first, last)?,
            (None, None) => octets(text)?,
        };
        Ok(CodePattern(shape))
    }
}

fn mask(text: &str) -> Result<Shape, CodeError> {
    let bits = match decimal(text) {
        Some(last) => [0, 0, 0, last],
        None => text.parse::<Ipv4Addr>().map_err(|_| CodeError::Syntax)?.octets(),
    };
    if bits[0] != 0 || bits == [0; 4] {
        return Err(CodeError::Mask);
    }
    Ok(Shape::Mask(bits))
}

fn range(first: &str, last: &str) -> Result<Shape, CodeError> {
    let first: Ipv4Addr = first.parse().map_err(|_| CodeError::Syntax)?;
    let last = match decimal(last) {
        Some(octet) => {
            let [a, b, c, _] = first.octets();
            Ipv4Addr::new(a, b, c, octet)
        }
        None => last.parse().map_err(|_| CodeError::Syntax)?,
    };
    if !is_code(first) || !is_code(last) {
        return Err(CodeError::Outside);
    }
    if last < first {
        return Err(CodeError::Backwards);
    }
    Ok(Shape::Range(first, last))
}

fn octets(text: &str) -> Result<Shape, CodeError> {
    let mut wanted = [None; 4];
    let mut parts = text.split('.');
    for octet in &mut wanted {
        *octet = match parts.next().ok_or(CodeError::Syntax)? {
            "*" => None,
            digits => Some(decimal(digits).ok_or(CodeError::Syntax)?),
        };
    }
    if parts.next().is_some() {
        return Err(CodeError::Syntax);
    }
    if wanted[0] != Some(127) {
        return Err(CodeError::Outside);
    }
    Ok(match wanted {
        [Some(a), Some(b), Some(c), Some(d)] => {
            let address = Ipv4Addr::new(a, b, c, d);
            Shape::Range(address, address)
        }
        wanted => Shape::Octets(wanted),
    })
}

/// A decimal octet without sign or leading zero.
fn decimal(text: &str) -> Option<u8> {
    let plain = text.bytes().all(|octet| octet.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    plain.then(|| text.parse().ok()).flatten()
}

impl fmt::Display for CodePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Shape::Range(first, last) if first == last => first.fmt(f),
            Shape::Range(first, last) if first.octets()[..3] == last.octets()[..3] => {
                write!(f, "{first}-{}", last.octets()[3])
            }
            Shape::Range(first, last) => write!(f, "{first}-{last}"),
            Shape::Octets(wanted) => {
                for (at, octet) in wanted.iter().enumerate() {
                    let dot = if at == 0 { "" } else { "." };
                    match octet {
                        Some(octet) => write!(f, "{dot}{octet}")?,
                        None => write!(f, "{dot}*")?,
                    }
                }
                Ok(())
            }
            Shape::Mask([0, 0, 0, last]) => write!(f, "&{last}"),
            Shape::Mask(bits) => write!(f, "&{}", Ipv4Addr::from(bits)),
        }
    }
}

/// What the codes of a list mean.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CodeTable {
    /// The entries, as the file gives them.
    pub entries: Vec<Code>,
}

/// One entry of a code table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Code {
    /// Which answers.
    pub pattern: CodePattern,
    /// What they mean.
    pub means: String,
    /// The id of the sublist that they stand for.
    pub sublist: Option<String>,
    /// The role, where it differs from the list's.
    pub role: Option<Role>,
    /// The tier, where it differs from the list's.
    pub tier: Option<Tier>,
    /// Whether the answer is a listing at all; false where the file says `role = "none"`: a defined way to say that the
    /// target is not listed.
    pub listing: bool,
}

/// What a [`CodeTable`] says of one answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Meaning<'a> {
    /// These entries speak for it; never empty, more than one only for masks.
    Defined(Vec<&'a Code>),
    /// The table is empty and the answer is a listing by RFC 5782 §6.
    Plain,
    /// The table does not know it.
    Undefined,
}

impl CodeTable {
    /// What an answer means. Refusal codes are the caller's to tell apart first.
    pub fn interpret(&self, address: Ipv4Addr) -> Meaning<'_> {
        if !is_code(address) || is_refusal_space(address) {
            return Meaning::Undefined;
        }
        if self.entries.is_empty() {
            return match address.octets() {
                [127, 0, 0, 0 | 1] => Meaning::Undefined,
                _ => Meaning::Plain,
            };
        }
        let fits = || self.entries.iter().filter(|code| code.pattern.matches(address));
        let Some(closest) = fits().map(|code| code.pattern.looseness()).min() else {
            return Meaning::Undefined;
        };
        Meaning::Defined(fits().filter(|code| code.pattern.looseness() == closest).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> CodePattern {
        text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    fn table(patterns: &[&str]) -> CodeTable {
        let entries = patterns.iter().map(|text| Code {
            pattern: pattern(text),
            means: (*text).to_owned(),
            sublist: None,
            role: None,
            tier: None,
            listing: true,
        });
        CodeTable {
            entries: entries.collect(),
        }
    }

    /// The patterns that speak for an answer, in words.
    fn speak(table: &CodeTable, address: [u8; 4]) -> Vec<String> {
        match table.interpret(address.into()) {
            Meaning::Defined(codes) => codes.iter().map(|code| code.means.clone()).collect(),
            Meaning::Plain => vec!["plain".into()],
            Meaning::Undefined => Vec::new(),
        }
    }

    #[test]
    fn patterns_match_what_they_say() {
        type Case = (&'static str, &'static [[u8; 4]], &'static [[u8; 4]]);
        let cases: [Case; 7] = [
            ("127.0.0.2", &[[127, 0, 0, 2]], &[[127, 0, 0, 3], [126, 0, 0, 2]]),
            (
                "127.0.0.10-11",
                &[[127, 0, 0, 10], [127, 0, 0, 11]],
                &[[127, 0, 0, 9], [127, 0, 0, 12], [127, 0, 1, 10]],
            ),
            (
                "127.0.0.255-127.0.1.1",
                &[[127, 0, 0, 255], [127, 0, 1, 0]],
                &[[127, 0, 1, 2]],
            ),
            (
                "127.0.*.2",
                &[[127, 0, 0, 2], [127, 0, 255, 2]],
                &[[127, 1, 0, 2], [127, 0, 0, 3]],
            ),
            (
                "&4",
                &[[127, 0, 0, 4], [127, 0, 0, 7], [127, 9, 9, 255]],
                &[[127, 0, 0, 3], [126, 0, 0, 4]],
            ),
            ("&0.0.2.0", &[[127, 0, 3, 0]], &[[127, 0, 1, 2]]),
            ("&6", &[[127, 0, 0, 6]], &[[127, 0, 0, 2], [127, 0, 0, 4]]),
        ];
        for (text, hits, misses) in cases {
            for hit in hits {
                assert!(pattern(text).matches((*hit).into()), "{text} {hit:?}");
            }
            for miss in misses {
                assert!(!pattern(text).matches((*miss).into()), "{text} {miss:?}");
            }
        }
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        let syntax = [
            "",
            "127",
            "127.0.0",
            "127.0.0.2.3",
            "127.0.0.256",
            "127.0.0.02",
            "127.0.0.+2",
            "127.0.0.2-",
            "&",
            "&x",
        ];
        for text in syntax {
            assert_eq!(text.parse::<CodePattern>(), Err(CodeError::Syntax), "{text:?}");
        }
        for text in ["126.0.0.2", "*.0.0.2", "1.2.3.4-5", "127.0.0.2-128.0.0.1"] {
            assert_eq!(text.parse::<CodePattern>(), Err(CodeError::Outside), "{text}");
        }
        assert_eq!("127.0.0.9-8".parse::<CodePattern>(), Err(CodeError::Backwards));
        for text in ["&0", "&0.0.0.0", "&127.0.0.4"] {
            assert_eq!(text.parse::<CodePattern>(), Err(CodeError::Mask), "{text}");
        }
    }

    #[test]
    fn patterns_are_written_as_they_are_read() {
        for text in [
            "127.0.0.2",
            "127.0.0.10-11",
            "127.0.0.9-127.0.1.3",
            "127.0.*.2",
            "&4",
            "&0.1.0.4",
            "127.255.255.254",
        ] {
            assert_eq!(pattern(text).to_string(), text);
        }
        assert_eq!(pattern("127.0.0.10-127.0.0.11").to_string(), "127.0.0.10-11");
        assert_eq!(pattern("&0.0.0.4").to_string(), "&4");
    }

    #[test]
    fn the_closest_entry_speaks_and_every_bit_adds_its_meaning() {
        let mixed = table(&["127.0.0.*", "127.0.0.2-20", "127.0.0.5-7", "127.0.0.6"]);
        assert_eq!(speak(&mixed, [127, 0, 0, 6]), ["127.0.0.6"]);
        assert_eq!(speak(&mixed, [127, 0, 0, 7]), ["127.0.0.5-7"]);
        assert_eq!(speak(&mixed, [127, 0, 0, 9]), ["127.0.0.2-20"]);
        assert_eq!(speak(&mixed, [127, 0, 0, 99]), ["127.0.0.*"]);
        assert!(speak(&mixed, [127, 0, 1, 2]).is_empty());
        let bits = table(&["&2", "&4", "&8"]);
        assert_eq!(speak(&bits, [127, 0, 0, 14]), ["&2", "&4", "&8"]);
        assert_eq!(speak(&bits, [127, 0, 0, 5]), ["&4"]);
        assert!(speak(&bits, [127, 0, 0, 1]).is_empty());
    }

    #[test]
    fn an_empty_table_lists_by_rfc_5782_section_6_but_never_by_the_answers_kept_for_other_things() {
        let empty = CodeTable::default();
        assert_eq!(speak(&empty, [127, 0, 0, 2]), ["plain"]);
        assert_eq!(speak(&empty, [127, 3, 2, 1]), ["plain"]);
        for other in [
            [127, 0, 0, 1],
            [127, 0, 0, 0],
            [127, 255, 255, 254],
            [91, 195, 240, 117],
        ] {
            assert!(speak(&empty, other).is_empty(), "{other:?}");
        }
    }
}
