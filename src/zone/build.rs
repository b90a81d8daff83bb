//! From lines to a dataset: comments, specials, sections.

use std::collections::HashMap;

use super::dataset::{Dataset, DatasetKind, Subzone};
use super::error::{Notes, ZoneFileError};
use super::section::{Scope, Section, TTL_DEFAULT};
use super::special::{NameServers, Special, Stamp, ZoneSoa, parse_special, special_text};
use super::stretch::{STRETCH_OCTETS_MIN, breaks, lines, split_line};
use super::text::{is_blank, is_comment, name_labels, split_word, trim};

/// Longest line in octets, as rbldnsd's reader has it; longer ones are cut with a warning.
const LINE_OCTETS_MAX: usize = 32_768;

/// Sections of one combined dataset at most: real ones have a few dozen, and each costs a table.
const SECTIONS_MAX: usize = 4_096;

/// A dataset in the making.
pub(super) struct Builder<'a> {
    kind: DatasetKind,
    notes: Notes<'a>,
    soa: Option<ZoneSoa>,
    ns: Option<NameServers>,
    stamp: Stamp,
    /// The common part of a combined dataset.
    common: Scope,
    sections: Vec<Section>,
    /// The section that lines go to, if there is one yet.
    current: Option<usize>,
    subzones: HashMap<Box<[u8]>, Subzone>,
}

/// Reads a whole file.
///
/// # Errors
/// If rbldnsd would not load it.
pub(super) fn build(kind: DatasetKind, file: &str, text: &[u8]) -> Result<Dataset, ZoneFileError> {
    let mut builder = Builder::new(kind, file);
    builder.read(text)?;
    Ok(builder.finish(text))
}
impl<'a> Builder<'a> {
    fn new(kind: DatasetKind, file: &'a str) -> Builder<'a> {
        let sections: Vec<Section> = Section::new(kind, Scope::new()).into_iter().collect();
        Builder {
            kind,
            notes: Notes::new(file),
            soa: None,
            ns: None,
            stamp: Stamp::default(),
            common: Scope::new(),
            current: (!sections.is_empty()).then_some(0),
            sections,
            subzones: HashMap::new(),
        }
    }

    fn read(&mut self, text: &[u8]) -> Result<(), ZoneFileError> {
        let mut rest = text;
        for at in breaks(text) {
            let ahead = at - (text.len() - rest.len());
            self.stretch(&rest[..ahead])?;
            let (line, behind) = split_line(&rest[ahead..]);
            self.line(line)?;
            rest = behind;
        }
        self.stretch(rest)
    }

    fn finish(mut self, text: &[u8]) -> Dataset {
        let notes = &mut self.notes;
        self.sections.iter_mut().for_each(|section| section.finish(notes));
        Dataset::from_parts(
            self.kind,
            self.sections,
            self.subzones,
            (self.soa, self.ns, self.stamp),
            self.notes.finish(lines(text).map(prepared)),
        )
    }

    /// Takes whole lines that are no specials and no default values.
    fn stretch(&mut self, text: &[u8]) -> Result<(), ZoneFileError> {
        if text.len() >= STRETCH_OCTETS_MIN
            && let Some(index) = self.current
            && self.sections[index].stretch(text, &mut self.notes)
        {
            return Ok(());
        }
        lines(text).try_for_each(|line| self.line(line))
    }

    fn line(&mut self, line: &[u8]) -> Result<(), ZoneFileError> {
        self.notes.line += 1;
        let line = checked(line, &mut self.notes);
        if self.kind != DatasetKind::Prefixes
            && let Some(text) = special_text(line)
        {
            return self.special(line, text);
        }
        if line.first().is_none_or(|&octet| is_comment(octet)) {
            return Ok(());
        }
        match self.current {
            Some(index) => self.sections[index].line(line, &mut self.notes),
            None => Err(self.notes.refuse(line, "an entry before the first $DATASET")),
        }
    }

    /// The scope that `$TTL` and variables belong to.
    fn scope(&mut self) -> &mut Scope {
        match self.current {
            Some(index) => &mut self.sections[index].scope,
            None => &mut self.common,
        }
    }

    fn special(&mut self, line: &[u8], text: &[u8]) -> Result<(), ZoneFileError> {
        let ttl = match self.kind {
            DatasetKind::Combined => self.common.ttl,
            _ => self.scope().ttl,
        };
        match parse_special(text, ttl, TTL_DEFAULT) {
            None => self.notes.warn(line, "not a special entry that is known"),
            Some(Special::Soa(soa)) => {
                self.soa.get_or_insert(*soa);
            }
            Some(Special::Ns(ns)) => {
                self.ns.get_or_insert(ns);
            }
            Some(Special::Ttl(ttl)) => self.scope().ttl = ttl,
            Some(Special::RangeMax(max)) => self.set_range_max(max, line),
            Some(Special::Variable(which, text)) => self.scope().templates.set(which, text),
            Some(Special::Stamp(stamp)) => self.set_stamp(stamp),
            Some(Special::Dataset(rest)) => return self.open_section(line, rest),
        }
        Ok(())
    }

    /// The bound may get tighter, never wider.
    fn set_range_max(&mut self, max: u32, line: &[u8]) {
        let old = self.notes.ip4_range_max;
        if old != 0 && old < max {
            self.notes.warn(line, "$MAXRANGE4 cannot be raised");
        } else {
            self.notes.ip4_range_max = max;
        }
    }

    /// The latest making and the earliest end hold.
    fn set_stamp(&mut self, stamp: Stamp) {
        self.stamp.made = self.stamp.made.max(stamp.made);
        if stamp.expires != 0 && (self.stamp.expires == 0 || stamp.expires < self.stamp.expires) {
            self.stamp.expires = stamp.expires;
        }
    }

    /// `$DATASET type[:name] subzone…`: the lines that follow belong to a new section.
    fn open_section(&mut self, line: &[u8], rest: &[u8]) -> Result<(), ZoneFileError> {
        if self.kind != DatasetKind::Combined {
            self.notes.warn(line, "$DATASET is only for combined datasets");
            return Ok(());
        }
        self.current = None;
        let (what, mut names) = split_word(without_comment(rest));
        if what.is_empty() {
            self.notes.warn(line, "$DATASET without a type");
            return Ok(());
        }
        let kind = what.split(|&octet| octet == b':').next().unwrap_or_default();
        let kind = std::str::from_utf8(kind).ok().and_then(DatasetKind::by_rbldnsd_name);
        let section = kind
            .and_then(|kind| Section::new(kind, self.common.clone()))
            .ok_or_else(|| {
                self.notes
                    .refuse(line, "not a type of dataset that can stand in a combined one")
            })?;
        if self.sections.len() >= SECTIONS_MAX {
            return Err(self.notes.refuse(line, "too many sections"));
        }
        let (index, has_ip4) = (self.sections.len(), section.has_ip4());
        self.sections.push(section);
        self.current = Some(index);
        if names.is_empty() {
            self.notes
                .warn(line, "$DATASET without a subzone: its data is not used");
        }
        while !names.is_empty() {
            let (word, rest) = split_word(names);
            names = rest;
            let labels = if word == b"@" {
                Some(Vec::new())
            } else {
                name_labels(word)
            };
            match labels {
                Some(labels) => {
                    let subzone = self.subzones.entry(labels.to_ascii_lowercase().into()).or_default();
                    subzone.sections.push(index);
                    subzone.has_ip4 |= has_ip4;
                }
                None => self.notes.warn(word, "not the name of a subzone"),
            }
        }
        Ok(())
    }
}

/// Gives each entry of a text without specials to `take`.
pub(super) fn each_line<'a>(text: &[u8], notes: &mut Notes<'a>, mut take: impl FnMut(&[u8], &mut Notes<'a>)) {
    for line in lines(text) {
        notes.line += 1;
        let line = checked(line, notes);
        if !line.first().is_none_or(|&octet| is_comment(octet)) {
            take(line, notes);
        }
    }
}

fn checked<'t>(line: &'t [u8], notes: &mut Notes<'_>) -> &'t [u8] {
    if line.len() > LINE_OCTETS_MAX {
        notes.warn(line, "the line is too long and was cut");
    }
    prepared(line)
}

/// What of a line is read.
fn prepared(line: &[u8]) -> &[u8] {
    let line = trim(&line[..line.len().min(LINE_OCTETS_MAX)]);
    // rbldnsd's strings end at a zero octet.
    match line.contains(&0) {
        true => line.split(|&octet| octet == 0).next().unwrap_or_default(),
        false => line,
    }
}

/// The text up to a comment; one begins at the start or behind a blank only.
fn without_comment(text: &[u8]) -> &[u8] {
    let start = (0..text.len()).find(|&at| is_comment(text[at]) && (at == 0 || is_blank(text[at - 1])));
    trim(&text[..start.unwrap_or(text.len())])
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::super::query::ZoneQuery;
    use super::*;
    use crate::wire::Name;

    /// A long file of entries that meet, with values, exclusions, doubles, rubbish, and now and then a new default.
    fn file() -> String {
        let mut text = String::new();
        let mut state = 1u32;
        for line in 0..60_000u32 {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let address = Ipv4Addr::from(0x0a00_0000 | state >> 10);
            let [a, b, c, _] = address.octets();
            text.push_str(&match line % 23 {
                0 => format!("{a}.{b}.{c}\n"),
                1 => format!("!{address}\n"),
                2 => format!(" {address} :{}\n", 2 + line % 5),
                3 => format!("{address} case {}\n", line % 100),
                4 if line % 10 == 4 => format!("{a}.{b}.{}.0/20 # wide\n", c & 0xf0),
                5 => format!("{a}.{b}.{c}.3-{a}.{b}.{c}.77 :9:\n"),
                6 if line % 10 == 6 => "rubbish\n".to_owned(),
                7 if line > 30_000 && line % 9_000 == 7 => format!(":{}:now $\n", line % 200 + 2),
                8 if line == 50_008 => "$MAXRANGE4 /24\n".to_owned(),
                _ => format!("{address}\n"),
            });
        }
        text
    }

    #[test]
    fn what_is_read_in_pieces_equals_what_is_read_line_by_line() {
        let text = file();
        assert!(text.len() > 3 * STRETCH_OCTETS_MIN);
        for kind in [DatasetKind::Ip4Set, DatasetKind::Ip4Trie, DatasetKind::Ip4Tset] {
            let pieces = build(kind, "test", text.as_bytes()).expect("a good file");
            let mut builder = Builder::new(kind, "test");
            for line in lines(text.as_bytes()) {
                builder.line(line).expect("a good line");
            }
            let by_lines = builder.finish(text.as_bytes());
            assert_eq!(pieces.warnings(), by_lines.warnings());
            assert!(pieces.warnings().count() > 60, "there is something to compare");
            assert_eq!(pieces.entries(), by_lines.entries());
            let mut listed = 0;
            for bits in (0x0a00_0000..0x0a40_0000u32).step_by(113) {
                let name = Name::reversed_v4(bits.into());
                let query = ZoneQuery::from_name(&name);
                let answer = pieces.answer(&query);
                assert_eq!(answer, by_lines.answer(&query), "{kind:?} {name}");
                let first = answer.as_ref().and_then(|entry| entry.addresses().next());
                assert_eq!(pieces.first_code(bits.into()), first);
                listed += u32::from(answer.is_some());
            }
            assert!((300..37_000).contains(&listed), "{kind:?}: {listed}");
        }
    }
}
