//! Zones of plain records, and the simple text they are written in.
//!
//! ```text
//! $ORIGIN example.test                    a new zone
//! $TTL 3600
//! @ MX 10 mail.example.test               owner (relative to the zone), type, data (names absolute)
//! mail A 203.0.113.25
//! @ TXT "v=spf1 -all" "second string"     strings over 255 octets are split
//! *.pool A 203.0.113.9                    a wildcard (RFC 4592)
//! $GENERATE 128-199 $ PTR pool-$.example.test
//! ```
//!
//! `;` at the start of a line begins a comment. SOA and NS are made up. The text is part of the program, so it is
//! trusted to be good: what is wrong with it is found by the tests, and says so in words.

use std::collections::{HashMap, HashSet};

use crate::wire::{Name, Rdata, Rtype, Soa};
use crate::zone::ZoneSoa;

use super::content::Looked;

/// Octets of a character string (RFC 1035 §3.3.14).
const STRING_OCTETS_MAX: usize = 255;

/// Addresses of one `$GENERATE` at most: an octet's worth.
const GENERATED_MAX: u32 = 256;

/// TTL where the text says nothing, in seconds.
const TTL_DEFAULT: u32 = 3_600;

/// A zone of records.
#[derive(Debug, Default)]
pub(super) struct RecordZone {
    /// By relative name, lower case, in wire form without the root's octet.
    records: HashMap<Box<[u8]>, Vec<(u32, Rdata)>>,
    /// Names above others, that exist without records (RFC 4592 §2.2.2).
    parents: HashSet<Box<[u8]>>,
}

impl RecordZone {
    /// A zone with SOA and NS at its name.
    fn with_apex(soa: &ZoneSoa) -> RecordZone {
        let mut zone = RecordZone::default();
        let start = Soa {
            primary: soa.primary.clone(),
            serial: soa.serial,
            minimum: soa.minimum,
        };
        zone.add(&Name::root(), soa.ttl, Rdata::Soa(start));
        zone.add(&Name::root(), soa.ttl, Rdata::Ns(soa.primary.clone()));
        zone
    }

    fn add(&mut self, owner: &Name, ttl: u32, data: Rdata) {
        let mut above = owner.parent();
        while let Some(name) = above {
            self.parents.insert(key(&name));
            above = name.parent();
        }
        self.records.entry(key(owner)).or_default().push((ttl, data));
    }

    /// Looks up a relative name in lower case, wildcards included.
    pub(super) fn look_up(&self, relative: &[u8], rtype: Rtype) -> Looked {
        if let Some(records) = self.records.get(relative) {
            return select(records, rtype);
        }
        if self.parents.contains(relative) {
            return Looked::Records(Vec::new());
        }
        // The closest name above that exists; only its wildcard counts (RFC 4592 §3.3.1).
        let mut above = relative;
        while let Some(&len) = above.first() {
            above = &above[usize::from(len) + 1..];
            if self.records.contains_key(above) || self.parents.contains(above) {
                let wildcard = [b"\x01*", above].concat();
                return match self.records.get(wildcard.as_slice()) {
                    Some(records) => select(records, rtype),
                    None => Looked::NxDomain,
                };
            }
        }
        Looked::NxDomain
    }
}

/// The records of a type, or the alias that stands in their place (RFC 1034 §3.6.2).
fn select(records: &[(u32, Rdata)], rtype: Rtype) -> Looked {
    for (ttl, data) in records {
        if let Rdata::Cname(target) = data
            && rtype != Rtype::CNAME
            && rtype != Rtype::ANY
        {
            return Looked::Alias(*ttl, Box::new(target.clone()));
        }
    }
    let wanted = |(_, data): &&(u32, Rdata)| rtype == Rtype::ANY || data.rtype() == rtype;
    Looked::Records(records.iter().filter(wanted).cloned().collect())
}

fn key(name: &Name) -> Box<[u8]> {
    let lower = name.to_lowercase();
    let wire = lower.as_wire();
    wire[..wire.len() - 1].into()
}

/// The SOA of zones whose text gives none.
pub(super) fn made_up_soa() -> ZoneSoa {
    let name = |text: &str| text.parse().expect("a good name");
    ZoneSoa {
        ttl: TTL_DEFAULT,
        primary: name("ns.lab.test"),
        contact: name("hostmaster.lab.test"),
        serial: 1,
        refresh: 3_600,
        retry: 600,
        expire: 604_800,
        minimum: 300,
    }
}

/// Reads a text of zones.
///
/// # Errors
/// The line that is wrong, and why.
pub(super) fn parse_zones(text: &str) -> Result<Vec<(Name, RecordZone)>, String> {
    let mut zones: Vec<(Name, RecordZone)> = Vec::new();
    let mut ttl = TTL_DEFAULT;
    for (index, line) in text.lines().enumerate() {
        parse_line(line.trim(), &mut zones, &mut ttl).map_err(|why| format!("line {}: {line}: {why}", index + 1))?;
    }
    Ok(zones)
}

fn parse_line(line: &str, zones: &mut Vec<(Name, RecordZone)>, ttl: &mut u32) -> Result<(), String> {
    if line.is_empty() || line.starts_with(';') {
        return Ok(());
    }
    let (word, rest) = split(line);
    match word {
        "$ORIGIN" => {
            let origin: Name = rest.parse().map_err(|error| format!("{error}"))?;
            zones.push((origin.to_lowercase(), RecordZone::with_apex(&made_up_soa())));
            Ok(())
        }
        "$TTL" => {
            *ttl = rest.parse().map_err(|error| format!("{error}"))?;
            Ok(())
        }
        _ => {
            let (_, zone) = zones.last_mut().ok_or("a record before the first $ORIGIN")?;
            if word != "$GENERATE" {
                return parse_record(line, zone, *ttl);
            }
            let (range, template) = split(rest);
            let (first, last) = range.split_once('-').ok_or("no range")?;
            let bound = |text: &str| text.parse::<u32>().map_err(|error| error.to_string());
            let (first, last) = (bound(first)?, bound(last)?);
            if last.saturating_sub(first) >= GENERATED_MAX {
                return Err("too large a range".to_owned());
            }
            (first..=last).try_for_each(|number| parse_record(&template.replace('$', &number.to_string()), zone, *ttl))
        }
    }
}

fn parse_record(line: &str, zone: &mut RecordZone, ttl: u32) -> Result<(), String> {
    let (owner, rest) = split(line);
    let (rtype, data) = split(rest);
    let owner = if owner == "@" { Name::root() } else { name(owner)? };
    let data = match rtype {
        "A" => Rdata::A(data.parse().map_err(|error| format!("{error}"))?),
        "AAAA" => Rdata::Aaaa(data.parse().map_err(|error| format!("{error}"))?),
        "CNAME" => Rdata::Cname(name(data)?),
        "NS" => Rdata::Ns(name(data)?),
        "PTR" => Rdata::Ptr(name(data)?),
        "MX" => {
            let (preference, exchange) = split(data);
            Rdata::Mx {
                preference: preference.parse().map_err(|error| format!("{error}"))?,
                exchange: name(exchange)?,
            }
        }
        "TXT" => Rdata::Txt(strings(data)?),
        _ => return Err(format!("no type that is known: {rtype}")),
    };
    zone.add(&owner, ttl, data);
    Ok(())
}

/// Quoted strings; `\"` and `\\` stand for themselves, `\e` for an escape character, `\DDD` for any octet (RFC 1035 §5.1).
fn strings(text: &str) -> Result<Vec<Box<[u8]>>, String> {
    let mut strings = Vec::new();
    let mut octets = text.bytes();
    while let Some(octet) = octets.next() {
        match octet {
            b' ' => continue,
            b'"' => {}
            _ => return Err("a string without quotes".to_owned()),
        }
        let mut string = Vec::new();
        loop {
            match octets.next().ok_or("a string without an end")? {
                b'"' => break,
                b'\\' => match octets.next() {
                    Some(b'e') => string.push(0x1b),
                    Some(first @ b'0'..=b'9') => {
                        let digits = [Some(first), octets.next(), octets.next()];
                        let digits: Vec<u8> = digits.into_iter().flatten().collect();
                        let number = String::from_utf8(digits).ok().and_then(|digits| digits.parse().ok());
                        string.push(number.ok_or("no octet after \\")?);
                    }
                    Some(other) => string.push(other),
                    None => return Err("a string without an end".to_owned()),
                },
                other => string.push(other),
            }
        }
        if string.is_empty() {
            strings.push(Box::default());
        }
        strings.extend(string.chunks(STRING_OCTETS_MAX).map(Box::from));
    }
    Ok(strings)
}

fn name(text: &str) -> Result<Name, String> {
    text.parse().map_err(|error| format!("{text}: {error}"))
}

/// The first word and the rest.
fn split(text: &str) -> (&str, &str) {
    let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
    (word, rest.trim_start())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
        $ORIGIN Example.test\n\
        @ MX 10 mail.example.test\n\
        www CNAME mail.example.test\n\
        a.b A 192.0.2.1\n\
        *.w TXT \"wild \\\"card\\\"\" \"\"\n\
        $GENERATE 1-3 $ PTR host-$.example.test\n";

    fn looked(relative: &str, rtype: Rtype) -> String {
        let zones = parse_zones(TEXT).expect("a good text");
        let name: Name = if relative.is_empty() {
            Name::root()
        } else {
            relative.parse().expect("a name")
        };
        match zones[0].1.look_up(&key(&name), rtype) {
            Looked::NxDomain => "nxdomain".to_owned(),
            Looked::Records(records) => format!("{} records", records.len()),
            Looked::Alias(_, target) => format!("alias of {target}"),
            Looked::Refused => "refused".to_owned(),
        }
    }

    #[test]
    fn names_types_aliases_and_wildcards_are_found() {
        assert_eq!(looked("", Rtype::MX), "1 records");
        assert_eq!(looked("", Rtype::SOA), "1 records");
        assert_eq!(looked("", Rtype::A), "0 records");
        assert_eq!(looked("www", Rtype::A), "alias of mail.example.test");
        assert_eq!(looked("www", Rtype::CNAME), "1 records");
        assert_eq!(looked("b", Rtype::A), "0 records");
        assert_eq!(looked("x.b", Rtype::A), "nxdomain");
        assert_eq!(looked("x.y.w", Rtype::TXT), "1 records");
        assert_eq!(looked("2", Rtype::PTR), "1 records");
        assert_eq!(looked("4", Rtype::PTR), "nxdomain");
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line() {
        for (text, line) in [
            ("a A 192.0.2.1", "line 1"),
            ("$ORIGIN x.test\na A nonsense", "line 2"),
            ("$ORIGIN x.test\na TXT \"open", "line 2"),
            ("$ORIGIN x.test\na TXT \"\\256\"", "line 2"),
            ("$ORIGIN x.test\n$GENERATE 1-999 $ A 192.0.2.1", "line 2"),
        ] {
            let why = parse_zones(text).expect_err("a bad text");
            assert!(why.starts_with(line), "{why}");
        }
    }
}
