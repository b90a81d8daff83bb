//! A domain name in wire form (RFC 1035 §3.1), held inline so that the packet path allocates nothing.
//!
//! A [`Name`] that exists is a good one: labels of 1 to 63 octets, at most 255 octets in all with the root. Octets are
//! kept as they came (PTR data may hold anything); comparison and hashing ignore ASCII case (RFC 4343). `Display`
//! writes presentation form without the final dot, octets beyond printable ASCII as `\DDD` (RFC 1035 §5.1), so that a
//! name from the network is safe to show.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// Longest name in octets, length octets and root included (RFC 1035 §2.3.4).
pub const NAME_OCTETS_MAX: usize = 255;

/// Longest label in octets (RFC 1035 §2.3.4).
const LABEL_OCTETS_MAX: usize = 63;

/// A domain name, fully qualified.
pub struct Name {
    /// Octets used, the root's zero octet included: never 0.
    len: u8,
    octets: [u8; NAME_OCTETS_MAX],
}

/// Why something is not a domain name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing between two dots.
    #[error("empty label")]
    EmptyLabel,
    /// A label over 63 octets.
    #[error("label longer than 63 octets")]
    LabelTooLong,
    /// Over 255 octets in all.
    #[error("name longer than 255 octets")]
    NameTooLong,
    /// A backslash not followed by a character or three digits up to 255.
    #[error("bad escape")]
    BadEscape,
    /// No name at all.
    #[error("empty name")]
    Empty,
}

impl Clone for Name {
    fn clone(&self) -> Name {
        Name {
            len: self.len,
            octets: self.octets,
        }
    }

    /// Copies the octets in use only: a tenth of all, for most names.
    fn clone_from(&mut self, source: &Name) {
        let name = source.as_wire();
        self.octets[..name.len()].copy_from_slice(name);
        self.len = source.len;
    }
}

impl Name {
    /// The root: a name without labels.
    pub const fn root() -> Name {
        Name {
            len: 1,
            octets: [0; NAME_OCTETS_MAX],
        }
    }

    /// Adds a label behind those there are.
    ///
    /// # Errors
    /// If the label is empty or longer than 63 octets, or the name would be longer than 255.
    pub fn push(&mut self, label: &[u8]) -> Result<(), NameError> {
        if label.is_empty() {
            return Err(NameError::EmptyLabel);
        }
        if label.len() > LABEL_OCTETS_MAX {
            return Err(NameError::LabelTooLong);
        }
        let at = usize::from(self.len) - 1;
        let end = at + 1 + label.len();
        if end + 1 > NAME_OCTETS_MAX {
            return Err(NameError::NameTooLong);
        }
        self.octets[at] = label.len() as u8; // at most 63
        self.octets[at + 1..end].copy_from_slice(label);
        self.octets[end] = 0;
        self.len = (end + 1) as u8; // at most 255
        Ok(())
    }

    /// Adds all labels of `suffix` behind those there are.
    ///
    /// # Errors
    /// If the name would be longer than 255 octets.
    pub fn append(&mut self, suffix: &Name) -> Result<(), NameError> {
        let at = usize::from(self.len) - 1;
        let end = at + usize::from(suffix.len);
        if end > NAME_OCTETS_MAX {
            return Err(NameError::NameTooLong);
        }
        self.octets[at..end].copy_from_slice(suffix.as_wire());
        self.len = end as u8; // at most 255
        Ok(())
    }

    /// The name with the labels of `suffix` behind its own.
    ///
    /// # Errors
    /// If that would be longer than 255 octets.
    pub fn under(&self, suffix: &Name) -> Result<Name, NameError> {
        let mut name = self.clone();
        name.append(suffix)?;
        Ok(name)
    }

    /// The four decimal labels of an IPv4 address, last octet first (RFC 5782 §2.1): a prefix to a zone.
    pub fn reversed_v4(address: Ipv4Addr) -> Name {
        let mut name = Name::root();
        name.set_reversed_v4(address);
        name
    }

    /// Makes the name [that](Name::reversed_v4) of an address: where names are many, they are written in their place.
    pub fn set_reversed_v4(&mut self, address: Ipv4Addr) {
        let mut at = 0;
        for octet in address.octets().into_iter().rev() {
            let label = DECIMAL[usize::from(octet)];
            self.octets[at..at + 4].copy_from_slice(&label); // what is behind the label is overwritten, with zero at last
            at += 1 + usize::from(label[0]);
        }
        self.octets[at] = 0;
        self.len = (at + 1) as u8; // at most 17
    }

    /// The 32 nibble labels of an IPv6 address, last nibble first (RFC 5782 §2.4): a prefix to a zone.
    pub fn reversed_v6(address: Ipv6Addr) -> Name {
        let mut name = Name::root();
        let mut at = 0;
        for octet in address.octets().into_iter().rev() {
            for nibble in [octet & 0xf, octet >> 4] {
                name.octets[at] = 1;
                name.octets[at + 1] = b"0123456789abcdef"[usize::from(nibble)];
                at += 2;
            }
        }
        name.octets[at] = 0;
        name.len = 65;
        name
    }

    /// The `in-addr.arpa` or `ip6.arpa` name of an address (RFC 1035 §3.5, RFC 3596 §2.5).
    pub fn reverse(address: std::net::IpAddr) -> Name {
        let (mut name, arpa): (Name, [&[u8]; 2]) = match address {
            std::net::IpAddr::V4(v4) => (Name::reversed_v4(v4), [b"in-addr", b"arpa"]),
            std::net::IpAddr::V6(v6) => (Name::reversed_v6(v6), [b"ip6", b"arpa"]),
        };
        for label in arpa {
            name.push(label).expect("78 octets at most");
        }
        name
    }

    /// Takes octets in wire form without compression, the root's zero octet included.
    ///
    /// # Errors
    /// If they are not exactly one good name.
    pub fn from_wire(octets: &[u8]) -> Result<Name, NameError> {
        let mut name = Name::root();
        let mut rest = octets;
        loop {
            let (&len, tail) = rest.split_first().ok_or(NameError::Empty)?;
            if len == 0 {
                return if tail.is_empty() {
                    Ok(name)
                } else {
                    Err(NameError::EmptyLabel)
                };
            }
            let label = tail.get(..usize::from(len)).ok_or(NameError::LabelTooLong)?;
            name.push(label)?;
            rest = &tail[usize::from(len)..];
        }
    }

    /// The octets in wire form, the root's zero octet included.
    pub fn as_wire(&self) -> &[u8] {
        &self.octets[..usize::from(self.len)]
    }

    /// Lets `edit` change the case of letters in the wire form. Nothing else may change.
    pub(crate) fn edit_case(&mut self, edit: impl FnOnce(&mut [u8])) {
        edit(&mut self.octets[..usize::from(self.len)]);
    }

    /// Whether this is the root.
    pub fn is_root(&self) -> bool {
        self.len == 1
    }

    /// The labels, leftmost first, without the root.
    pub fn labels(&self) -> Labels<'_> {
        Labels { rest: self.as_wire() }
    }

    /// How many labels there are, the root not counted.
    pub fn label_count(&self) -> usize {
        self.labels().count()
    }

    /// The name without its leftmost label; none for the root.
    pub fn parent(&self) -> Option<Name> {
        let first = self.labels().next()?;
        let rest = &self.as_wire()[first.len() + 1..];
        let mut parent = Name::root();
        parent.octets[..rest.len()].copy_from_slice(rest);
        parent.len = rest.len() as u8; // shorter than this name
        Some(parent)
    }

    /// Whether this name is `ancestor` or below it.
    pub fn is_under(&self, ancestor: &Name) -> bool {
        let extra = match self.label_count().checked_sub(ancestor.label_count()) {
            Some(extra) => extra,
            None => return false,
        };
        let skip: usize = self.labels().take(extra).map(|label| label.len() + 1).sum();
        self.as_wire()[skip..].eq_ignore_ascii_case(ancestor.as_wire())
    }

    /// The name with ASCII letters in lower case.
    pub fn to_lowercase(&self) -> Name {
        let mut lower = self.clone();
        lower.octets[..usize::from(self.len)].make_ascii_lowercase(); // length octets are below 64: never letters
        lower
    }
}

/// The label of each octet in decimal: its length, its digits, and zeros behind.
const DECIMAL: [[u8; 4]; 256] = {
    let mut labels = [[0; 4]; 256];
    let mut octet = 0;
    while octet < 256 {
        let digits = [
            b'0' + (octet / 100) as u8,
            b'0' + (octet / 10 % 10) as u8,
            b'0' + (octet % 10) as u8,
        ];
        labels[octet] = match octet {
            0..10 => [1, digits[2], 0, 0],
            10..100 => [2, digits[1], digits[2], 0],
            _ => [3, digits[0], digits[1], digits[2]],
        };
        octet += 1;
    }
    labels
};

/// The labels of a name, leftmost first.
#[derive(Debug, Clone)]
pub struct Labels<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Labels<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let (&len, tail) = self.rest.split_first()?;
        if len == 0 {
            return None;
        }
        let (label, rest) = tail.split_at(usize::from(len));
        self.rest = rest;
        Some(label)
    }
}

impl FromStr for Name {
    type Err = NameError;

    /// Reads presentation form (RFC 1035 §5.1); a final dot may stand or not. `.` is the root.
    fn from_str(text: &str) -> Result<Name, NameError> {
        if text == "." {
            return Ok(Name::root());
        }
        if text.is_empty() {
            return Err(NameError::Empty);
        }
        let mut name = Name::root();
        let mut label = [0u8; LABEL_OCTETS_MAX];
        let mut len = 0;
        let mut octets = text.bytes();
        while let Some(octet) = octets.next() {
            let octet = match octet {
                b'.' => {
                    name.push(&label[..len])?;
                    len = 0;
                    continue;
                }
                b'\\' => unescape(&mut octets)?,
                other => other,
            };
            *label.get_mut(len).ok_or(NameError::LabelTooLong)? = octet;
            len += 1;
        }
        if len > 0 {
            name.push(&label[..len])?;
        }
        Ok(name)
    }
}

/// What follows a backslash: `\DDD` or a character that stands for itself.
fn unescape(octets: &mut std::str::Bytes<'_>) -> Result<u8, NameError> {
    let first = octets.next().ok_or(NameError::BadEscape)?;
    if !first.is_ascii_digit() {
        return Ok(first);
    }
    let mut value = u16::from(first - b'0');
    for _ in 0..2 {
        let digit = octets.next().filter(u8::is_ascii_digit).ok_or(NameError::BadEscape)?;
        value = value * 10 + u16::from(digit - b'0');
    }
    u8::try_from(value).map_err(|_| NameError::BadEscape)
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write;
        if self.is_root() {
            return f.write_char('.');
        }
        for (index, label) in self.labels().enumerate() {
            if index > 0 {
                f.write_char('.')?;
            }
            // Nearly all labels are plain, and are written at once.
            let plain = |octet: &u8| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_');
            if label.iter().all(plain) {
                f.write_str(std::str::from_utf8(label).map_err(|_| fmt::Error)?)?;
                continue;
            }
            for &octet in label {
                match octet {
                    b'.' | b'\\' | b'"' | b';' | b'(' | b')' | b'@' | b'$' => write!(f, "\\{}", char::from(octet))?,
                    0x21..=0x7e => f.write_char(char::from(octet))?,
                    _ => write!(f, "\\{octet:03}")?,
                }
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Name({self})")
    }
}

impl PartialEq for Name {
    fn eq(&self, other: &Name) -> bool {
        self.as_wire().eq_ignore_ascii_case(other.as_wire())
    }
}

impl Eq for Name {}

impl Hash for Name {
    fn hash<H: Hasher>(&self, state: &mut H) {
        for octet in self.as_wire() {
            state.write_u8(octet.to_ascii_lowercase());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        text.parse().expect("a good name")
    }

    #[test]
    fn addresses_are_reversed_by_octet_and_by_nibble() {
        assert_eq!(
            Name::reversed_v4(Ipv4Addr::new(192, 0, 2, 99)).to_string(),
            "99.2.0.192"
        );
        // The example of RFC 5782 §2.4.
        let v6: Ipv6Addr = "2001:db8:1:2:3:4:567:89ab".parse().expect("an address");
        assert_eq!(
            Name::reversed_v6(v6).to_string(),
            "b.a.9.8.7.6.5.0.4.0.0.0.3.0.0.0.2.0.0.0.1.0.0.0.8.b.d.0.1.0.0.2"
        );
        assert_eq!(
            Name::reverse("192.0.2.1".parse().expect("an address")).to_string(),
            "1.2.0.192.in-addr.arpa"
        );
    }

    #[test]
    fn every_octet_has_its_digits() {
        for octet in 0..=255u8 {
            let label = DECIMAL[usize::from(octet)];
            let digits = octet.to_string();
            assert_eq!(usize::from(label[0]), digits.len());
            assert_eq!(&label[1..1 + digits.len()], digits.as_bytes());
            assert!(label[1 + digits.len()..].iter().all(|octet| *octet == 0));
        }
    }

    #[test]
    fn names_survive_presentation_form() {
        for text in ["example.org", "a\\.b.example", "x\\000y.test", "\\255.test"] {
            assert_eq!(name(text).to_string(), text);
        }
        assert_eq!(name("example.org."), name("EXAMPLE.org"));
        assert_eq!(name(".").to_string(), ".");
        assert_eq!(name("a\u{1b}[31m.test").to_string(), "a\\027[31m.test");
    }

    #[test]
    fn what_is_not_a_name_is_refused() {
        assert_eq!("".parse::<Name>(), Err(NameError::Empty));
        assert_eq!("a..b".parse::<Name>(), Err(NameError::EmptyLabel));
        assert_eq!(".a".parse::<Name>(), Err(NameError::EmptyLabel));
        assert_eq!("a\\".parse::<Name>(), Err(NameError::BadEscape));
        assert_eq!("a\\256".parse::<Name>(), Err(NameError::BadEscape));
        assert_eq!("x".repeat(64).parse::<Name>(), Err(NameError::LabelTooLong));
        let long = vec!["x".repeat(63); 4].join(".");
        assert_eq!(long.parse::<Name>(), Err(NameError::NameTooLong));
        // 253 characters of presentation form are 255 octets: the longest name there is.
        let longest = format!("{}.{}", vec!["x".repeat(63); 3].join("."), "y".repeat(61));
        assert_eq!(name(&longest).as_wire().len(), NAME_OCTETS_MAX);
    }

    #[test]
    fn wire_form_is_checked() {
        assert_eq!(Name::from_wire(b"\x01a\x02bc\x00"), Ok(name("a.bc")));
        assert!(Name::from_wire(b"\x01a\x02b").is_err());
        assert!(Name::from_wire(b"\x01a\x00\x00").is_err());
        assert!(Name::from_wire(b"\xc0\x0c").is_err());
        assert!(Name::from_wire(b"").is_err());
    }

    #[test]
    fn ancestry_goes_by_labels_and_ignores_case() {
        assert!(name("a.b.example").is_under(&name("B.Example")));
        assert!(name("example").is_under(&name("example")));
        assert!(name("example").is_under(&Name::root()));
        assert!(!name("ab.example").is_under(&name("b.example")));
        assert!(!name("example").is_under(&name("a.example")));
        assert_eq!(name("a.b.c").parent(), Some(name("b.c")));
        assert_eq!(Name::root().parent(), None);
    }

    #[test]
    fn a_name_is_put_under_a_zone() {
        let prefix = Name::reversed_v4(Ipv4Addr::new(127, 0, 0, 2));
        let zone = name("bl.example.test");
        assert_eq!(
            prefix.under(&zone).expect("short").to_string(),
            "2.0.0.127.bl.example.test"
        );
        let long = name(&vec!["x".repeat(63); 3].join("."));
        assert_eq!(long.under(&long), Err(NameError::NameTooLong));
    }
}
