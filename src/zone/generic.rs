//! Records as they are (`generic`): `name [ttl] [IN] A|TXT|MX data`, names relative to the zone, data absolute.

use std::collections::HashMap;
use std::net::Ipv4Addr;

use crate::wire::{Name, Rdata};

use super::error::{Notes, ZoneFileError};
use super::ip4::parse_abbreviated;
use super::query::may_spell_address;
use super::text::{is_blank, parse_name, parse_ttl, parse_u32, skip_blanks};

/// Longest text (RFC 1035 §3.3.14); longer ones are cut with a warning.
const TEXT_OCTETS_MAX: usize = 255;

/// Records by name: wire form without the root's octet, in lower case; no octets are the zone's own name.
#[derive(Debug, Default)]
pub(super) struct Generic {
    records: HashMap<Box<[u8]>, Vec<(u32, Rdata)>>,
    spells_addresses: bool,
}

/// Why a line gives no record.
enum Failure {
    /// It is left out.
    Line(&'static str),
    /// rbldnsd would refuse the whole file.
    File(&'static str),
}

impl Generic {
    /// Takes a line; `ttl` is for records that give none.
    ///
    /// # Errors
    /// If the TTL or the mail exchanger is no good: rbldnsd does not load such a file.
    pub(super) fn line(&mut self, line: &[u8], ttl: u32, notes: &mut Notes<'_>) -> Result<(), ZoneFileError> {
        match parse_record(line, ttl, notes) {
            Ok((name, ttl, data)) => {
                self.spells_addresses |= may_spell_address(&name);
                self.records.entry(name).or_default().push((ttl, data));
                Ok(())
            }
            Err(Failure::Line(why)) => {
                notes.warn(line, why);
                Ok(())
            }
            Err(Failure::File(why)) => Err(notes.refuse(line, why)),
        }
    }

    /// The records of a name, if it exists.
    pub(super) fn find(&self, name: &[u8]) -> Option<&[(u32, Rdata)]> {
        self.records.get(name).map(Vec::as_slice)
    }

    /// Whether there are records below a name.
    pub(super) fn has_below(&self, name: &[u8]) -> bool {
        self.records
            .keys()
            .any(|key| super::dnset::parents(key).any(|parent| parent == name))
    }

    /// Whether there may be records for an address, which is a name, too: false only if there are none.
    pub(super) fn spells_addresses(&self) -> bool {
        self.spells_addresses
    }

    /// The names of all records but the zone's own.
    pub(super) fn names(&self) -> impl Iterator<Item = &[u8]> {
        self.records.keys().map(AsRef::as_ref).filter(|name| !name.is_empty())
    }

    /// How many names there are.
    pub(super) fn len(&self) -> usize {
        self.records.len()
    }
}

fn parse_record(line: &[u8], default_ttl: u32, notes: &mut Notes<'_>) -> Result<(Box<[u8]>, u32, Rdata), Failure> {
    let (name, rest) = match line {
        [b'@', blank, ..] if is_blank(*blank) => (Vec::new(), skip_blanks(&line[1..])),
        _ => parse_name(line)
            .filter(|(name, _)| !name.is_empty())
            .ok_or(Failure::Line("no name of a record"))?,
    };
    let (ttl, rest) = match rest.first() {
        Some(octet) if octet.is_ascii_digit() => parse_ttl(rest, default_ttl).ok_or(Failure::File("not a TTL"))?,
        _ => (default_ttl, rest),
    };
    let rest = match rest {
        [b'i' | b'I', b'n' | b'N', blank, ..] if is_blank(*blank) => skip_blanks(&rest[2..]),
        _ => rest,
    };
    let len = rest.iter().take_while(|&&octet| !is_blank(octet)).count();
    let (rtype, data) = (rest[..len].to_ascii_lowercase(), skip_blanks(&rest[len..]));
    if len == rest.len() {
        return Err(Failure::Line("no type of a record, or no data"));
    }
    let data = match rtype.as_slice() {
        b"a" => parse_abbreviated(data)
            .map(|(address, ..)| Rdata::A(Ipv4Addr::from(address)))
            .ok_or(Failure::Line("not an IPv4 address"))?,
        b"txt" => parse_text(data, notes),
        b"mx" => parse_exchanger(data)?,
        _ => return Err(Failure::Line("not a type that is known here (A, TXT, MX)")),
    };
    let name = name.to_ascii_lowercase();
    Ok((name.into(), ttl, data))
}

fn parse_text(data: &[u8], notes: &mut Notes<'_>) -> Rdata {
    let text = match data {
        [b'"', text @ .., b'"'] => text,
        _ => data,
    };
    if text.len() > TEXT_OCTETS_MAX {
        notes.warn(text, "text cut to 255 octets");
    }
    let text = &text[..text.len().min(TEXT_OCTETS_MAX)];
    Rdata::Txt(vec![text.into()])
}

fn parse_exchanger(data: &[u8]) -> Result<Rdata, Failure> {
    let (preference, rest) = parse_u32(data).ok_or(Failure::Line("no preference of a mail exchanger"))?;
    let preference = u16::try_from(preference).map_err(|_| Failure::Line("the preference is over 65535"))?;
    match parse_name(rest) {
        Some((labels, b"")) => Ok(Rdata::Mx {
            preference,
            exchange: absolute(&labels),
        }),
        _ => Err(Failure::File("not the name of a mail exchanger")),
    }
}

/// The name of labels that `text` has read.
pub(super) fn absolute(labels: &[u8]) -> Name {
    Name::from_wire(&[labels, &[0]].concat()).expect("read as labels of 1 to 63 octets, 254 in all at most")
}
