//! Domain names with values (`dnset`): plain entries, and wildcards (`*.example.com`; `.example.com` is both).
//!
//! A plain entry for the name answers, else the longest wildcard above it. An exclusion ends the search, so it cuts a
//! hole into a wildcard.

use std::collections::HashMap;

use super::error::Notes;
use super::query::may_spell_address;
use super::text::{is_comment, parse_name, skip_blanks};
use super::value::{EXCLUDED, Slot, ValueId, Values};

/// Names in wire form without the root's octet, in lower case.
type Names = HashMap<Box<[u8]>, Slot>;

/// A set of domain names.
#[derive(Debug, Default)]
pub(super) struct Dnset {
    plain: Names,
    wild: Names,
    spells_addresses: bool,
}

impl Dnset {
    /// Takes a line that is not a default value.
    pub(super) fn line(&mut self, line: &[u8], values: &mut Values, notes: &mut Notes<'_>) {
        let (text, excluded) = match line.strip_prefix(b"!") {
            Some(rest) => (skip_blanks(rest), true),
            None => (line, false),
        };
        let (text, plain, wild) = match (text.strip_prefix(b"."), text.strip_prefix(b"*.")) {
            (Some(rest), _) => (rest, true, true),
            (_, Some(rest)) => (rest, false, true),
            _ => (text, true, false),
        };
        let Some((mut name, rest)) = parse_name(text).filter(|(name, _)| !name.is_empty()) else {
            return notes.warn(line, "not a domain name");
        };
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
        name.make_ascii_lowercase(); // length octets are below 64: never letters
        self.spells_addresses |= may_spell_address(&name);
        let fits = (!plain || add(&mut self.plain, &name, id)) & (!wild || add(&mut self.wild, &name, id));
        if !fits {
            notes.warn(line, "too many values for one entry");
        }
    }

    /// Gives the values of a name, with the entry's own name, to `each`: none if it is not listed.
    ///
    /// `name` is in lower case, relative to the zone, in wire form without the root's octet.
    pub(super) fn find<'a>(&'a self, name: &'a [u8], mut each: impl FnMut(&'a [u8], ValueId)) {
        if name.is_empty() {
            return;
        }
        let entry = self.plain.get_key_value(name).or_else(|| {
            parents(name)
                .take_while(|parent| !parent.is_empty())
                .find_map(|parent| self.wild.get_key_value(parent))
        });
        if let Some((entry, slot)) = entry
            && !slot.ids().contains(&EXCLUDED)
        {
            slot.ids().iter().for_each(|&id| each(entry, id));
        }
    }

    /// Whether there is an entry that is no exclusion below a name. Looks at all entries: not for the packet path.
    pub(super) fn has_below(&self, name: &[u8]) -> bool {
        self.plain
            .iter()
            .chain(&self.wild)
            .any(|(entry, slot)| !slot.ids().contains(&EXCLUDED) && parents(entry).any(|parent| parent == name))
    }

    /// Whether there may be an entry for an address, which is a name, too: false only if there is none.
    pub(super) fn spells_addresses(&self) -> bool {
        self.spells_addresses
    }

    /// The names of all entries.
    pub(super) fn names(&self) -> impl Iterator<Item = &[u8]> {
        self.plain.keys().chain(self.wild.keys()).map(AsRef::as_ref)
    }

    /// How many entries there are.
    pub(super) fn len(&self) -> usize {
        self.plain.len() + self.wild.len()
    }
}

/// The names above a name, nearest first, down to the zone's own (no octets).
pub(super) fn parents(name: &[u8]) -> impl Iterator<Item = &[u8]> {
    let parent = |name: &&'_ [u8]| -> Option<usize> { name.first().map(|&len| usize::from(len) + 1) };
    std::iter::successors(Some(name), move |name| parent(name).map(|skip| &name[skip..])).skip(1)
}

/// Adds a value to a name; false if there was no room.
fn add(names: &mut Names, name: &[u8], id: ValueId) -> bool {
    match names.get_mut(name) {
        Some(slot) => slot.add(id),
        None => {
            names.insert(name.into(), Slot::One(id));
            true
        }
    }
}
