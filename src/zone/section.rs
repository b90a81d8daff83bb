//! One set of entries with what belongs to it: values, TTL, templates. A dataset is one section, or many in subzones.

use std::net::Ipv4Addr;

use crate::wire::{Rdata, Rtype};

use super::dataset::DatasetKind;
use super::dnset::Dnset;
use super::entry::{EntryValue, Subject};
use super::error::{Notes, ZoneFileError};
use super::generic::Generic;
use super::ip4::{Ip4Form, Ip4Set};
use super::ip6::{Ip6Trie, Ip6Tset};
use super::prefixes::Prefixes;
use super::query::{Addresses, EntryKind, ZoneQuery, spelt_kind};
use super::value::{BUILT_IN, Templates, ValueId, Values};

/// TTL where no file says otherwise, in seconds: rbldnsd's 35 minutes.
pub(super) const TTL_DEFAULT: u32 = 35 * 60;

/// Records of one reply at most, as rbldnsd has it.
const RECORDS_MAX: usize = 255;

/// TTL and templates, which sections of a combined dataset take over from the common part.
#[derive(Debug, Clone)]
pub(super) struct Scope {
    pub(super) ttl: u32,
    pub(super) templates: Templates,
}

impl Scope {
    /// The scope at the start of a file.
    pub(super) fn new() -> Scope {
        Scope {
            ttl: TTL_DEFAULT,
            templates: Templates::default(),
        }
    }
}

/// The entries, by kind.
#[derive(Debug)]
enum Entries {
    Ip4(Ip4Set),
    Ip6Tset(Ip6Tset),
    Ip6Trie(Box<Ip6Trie>),
    Dnset(Dnset),
    Generic(Generic),
    Prefixes(Box<Prefixes>),
}

/// One set of entries.
#[derive(Debug)]
pub(super) struct Section {
    entries: Entries,
    values: Values,
    /// Whether a default value was read; `ip4tset` and `ip6tset` take the first one for all their entries.
    default_is_set: bool,
    pub(super) scope: Scope,
}

/// What was found for a question so far.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// The name exists.
    pub(super) exists: bool,
    /// Its records of the asked type, each with its TTL in seconds. Allocated with the first one.
    pub(super) records: Vec<(u32, Rdata)>,
}

impl Found {
    /// Adds a record once. Records of one type have one TTL, the lowest (RFC 2181 §5.2).
    pub(super) fn add(&mut self, ttl: u32, data: Rdata) {
        let rtype = data.rtype();
        let of_type = |records: &[(u32, Rdata)]| records.iter().find(|(_, other)| other.rtype() == rtype).map(|r| r.0);
        let common = of_type(&self.records).map_or(ttl, |old| old.min(ttl));
        for (ttl, other) in &mut self.records {
            if other.rtype() == rtype {
                *ttl = common;
            }
        }
        let present = self.records.iter().any(|(_, other)| *other == data);
        if !present && self.records.len() < RECORDS_MAX {
            self.records.push((common, data));
        }
    }

    /// Adds the records of the asked type that a value is.
    pub(super) fn add_value(&mut self, value: &EntryValue<'_>, asked: Rtype) {
        self.exists = true;
        if answers(Rtype::A, asked) {
            self.add(value.ttl(), Rdata::A(value.code()));
        }
        if answers(Rtype::TXT, asked) {
            let text = value.text();
            if !text.is_empty() {
                self.add(value.ttl(), Rdata::Txt(vec![text.into()]));
            }
        }
    }
}

/// Whether records of type `held` answer a question for type `asked`.
fn answers(held: Rtype, asked: Rtype) -> bool {
    asked == held || asked == Rtype::ANY
}

impl Section {
    /// An empty section. `combined` has no section of its own.
    pub(super) fn new(kind: DatasetKind, scope: Scope) -> Option<Section> {
        let entries = match kind {
            DatasetKind::Ip4Set => Entries::Ip4(Ip4Set::new(Ip4Form::Ranges)),
            DatasetKind::Ip4Tset => Entries::Ip4(Ip4Set::new(Ip4Form::Trivial)),
            DatasetKind::Ip4Trie => Entries::Ip4(Ip4Set::new(Ip4Form::Prefixes)),
            DatasetKind::Ip6Tset => Entries::Ip6Tset(Ip6Tset::default()),
            DatasetKind::Ip6Trie => Entries::Ip6Trie(Box::default()),
            DatasetKind::Dnset => Entries::Dnset(Dnset::default()),
            DatasetKind::Generic => Entries::Generic(Generic::default()),
            DatasetKind::Prefixes => Entries::Prefixes(Box::default()),
            DatasetKind::Combined => return None,
        };
        Some(Section {
            entries,
            values: Values::new(),
            default_is_set: false,
            scope,
        })
    }

    /// Whether IPv4 addresses are looked up here.
    pub(super) fn has_ip4(&self) -> bool {
        matches!(self.entries, Entries::Ip4(_) | Entries::Prefixes(_))
    }

    /// Whether there is an entry that could be one for a target of this kind: without any, nothing is known of such.
    pub(super) fn tells(&self, kind: EntryKind) -> bool {
        match &self.entries {
            Entries::Ip4(_) => kind == EntryKind::Ip4 && self.len() > 0,
            Entries::Ip6Tset(_) | Entries::Ip6Trie(_) => kind == EntryKind::Ip6 && self.len() > 0,
            Entries::Dnset(set) => set.names().any(|name| spelt_kind(name) == kind),
            Entries::Generic(set) => set.names().any(|name| spelt_kind(name) == kind),
            Entries::Prefixes(set) => set.has(kind),
        }
    }

    /// Takes a line that is neither empty, nor a comment, nor a special.
    ///
    /// # Errors
    /// If rbldnsd would refuse the whole file for it.
    pub(super) fn line(&mut self, line: &[u8], notes: &mut Notes<'_>) -> Result<(), ZoneFileError> {
        if self.is_default(line) {
            self.take_default(line, notes);
            return Ok(());
        }
        match &mut self.entries {
            Entries::Ip4(set) => set.line(line, &mut self.values, notes),
            Entries::Ip6Tset(set) => set.line(line, notes),
            Entries::Ip6Trie(set) => set.line(line, &mut self.values, notes),
            Entries::Dnset(set) => set.line(line, &mut self.values, notes),
            Entries::Generic(set) => return set.line(line, self.scope.ttl, notes),
            Entries::Prefixes(set) => set.line(line, &mut self.values, notes),
        }
        Ok(())
    }

    /// Takes a text of lines of which none is a special or a default value, if this can be done faster than line by line;
    /// says whether it did.
    pub(super) fn stretch(&mut self, text: &[u8], notes: &mut Notes<'_>) -> bool {
        match &mut self.entries {
            Entries::Ip4(set) => {
                set.stretch(text, &mut self.values, notes);
                true
            }
            _ => false,
        }
    }

    /// No line follows.
    pub(super) fn finish(&mut self, notes: &mut Notes<'_>) {
        if let Entries::Ip4(set) = &mut self.entries {
            set.finish(notes);
        }
        self.values.finish();
    }

    /// The first return code of an IPv4 address, where that needs no name; else nothing is known.
    pub(super) fn first_code(&self, address: Ipv4Addr) -> Option<Option<Ipv4Addr>> {
        match &self.entries {
            Entries::Ip4(set) => {
                let id = set.first(address, &self.values);
                Some(id.map(|id| self.values.get(id).address))
            }
            _ => None,
        }
    }

    /// Whether a line is a default value. `::1` is an address, not a value without A.
    fn is_default(&self, line: &[u8]) -> bool {
        match self.entries {
            Entries::Generic(_) | Entries::Prefixes(_) => false,
            Entries::Ip6Trie(_) => line.starts_with(b":") && !line.starts_with(b"::"),
            _ => line.starts_with(b":"),
        }
    }

    fn take_default(&mut self, line: &[u8], notes: &mut Notes<'_>) {
        let first_only = match &self.entries {
            Entries::Ip6Tset(_) => true,
            Entries::Ip4(set) => set.is_trivial(),
            _ => false,
        };
        if first_only && self.default_is_set {
            return;
        }
        // What a default leaves out comes from the built-in value, not from the default before it.
        if let Some(id) = self.values.parse(line, BUILT_IN, notes) {
            self.values.default = id;
            self.default_is_set = true;
        }
    }

    /// Adds what this section has for a question.
    pub(super) fn answer(&self, query: &ZoneQuery<'_>, addresses: Addresses, asked: Rtype, found: &mut Found) {
        match &self.entries {
            Entries::Generic(set) => {
                if let Some(records) = set.find(query.labels()) {
                    found.exists = true;
                    let wanted = records.iter().filter(|(_, data)| answers(data.rtype(), asked));
                    wanted.for_each(|(ttl, data)| found.add(*ttl, data.clone()));
                }
            }
            Entries::Dnset(set) => {
                set.find(query.labels(), |entry, id| {
                    found.add_value(&self.value(id, Subject::Name(entry)), asked);
                });
            }
            Entries::Ip4(_) | Entries::Ip6Tset(_) | Entries::Ip6Trie(_) | Entries::Prefixes(_) => {
                self.values(addresses, |value| found.add_value(&value, asked));
            }
        }
    }

    /// Whether what there is for an address is known by its number alone, and [`Section::values`] are all.
    pub(super) fn is_by_number(&self) -> bool {
        match &self.entries {
            Entries::Dnset(set) => !set.spells_addresses(),
            Entries::Generic(set) => !set.spells_addresses(),
            Entries::Ip4(_) | Entries::Ip6Tset(_) | Entries::Ip6Trie(_) | Entries::Prefixes(_) => true,
        }
    }

    /// Gives the values of the entries for an address to `each`.
    #[inline]
    pub(super) fn values<'a>(&'a self, addresses: Addresses, mut each: impl FnMut(EntryValue<'a>)) {
        let Addresses { ip4, ip6 } = addresses;
        if let Some(address) = ip4 {
            let mut each = |id| each(self.value(id, Subject::Ip4(address)));
            match &self.entries {
                Entries::Ip4(set) => set.find(address, &self.values, each),
                Entries::Prefixes(set) => set.find4(address).into_iter().for_each(&mut each),
                _ => {}
            }
        }
        if let Some(address) = ip6 {
            let id = match &self.entries {
                Entries::Ip6Tset(set) => set.contains(address).then_some(self.values.default),
                Entries::Ip6Trie(set) => set.find(address),
                Entries::Prefixes(set) => set.find6(address),
                _ => None,
            };
            id.into_iter()
                .for_each(|id| each(self.value(id, Subject::Ip6(address))));
        }
    }

    #[inline]
    fn value<'a>(&'a self, id: ValueId, subject: Subject<'a>) -> EntryValue<'a> {
        EntryValue {
            ttl: self.scope.ttl,
            value: self.values.get(id),
            templates: &self.scope.templates,
            subject,
        }
    }

    /// Whether there is an entry below a name: then the name exists as an empty non-terminal (RFC 8020 §2).
    pub(super) fn has_below(&self, query: &ZoneQuery<'_>) -> bool {
        match &self.entries {
            Entries::Ip4(set) => query.net4().is_some_and(|net| set.touches(net)),
            Entries::Ip6Tset(_) => false, // nobody asks for parts of IPv6 addresses
            Entries::Ip6Trie(set) => query.net6().is_some_and(|net| set.touches(net)),
            Entries::Dnset(set) => set.has_below(query.labels()),
            Entries::Generic(set) => set.has_below(query.labels()),
            Entries::Prefixes(set) => {
                query.net4().is_some_and(|net| set.touches4(net)) || query.net6().is_some_and(|net| set.touches6(net))
            }
        }
    }

    /// How many entries there are (a range counts as the prefixes that make it).
    pub(super) fn len(&self) -> usize {
        match &self.entries {
            Entries::Ip4(set) => set.len(),
            Entries::Ip6Tset(set) => set.len(),
            Entries::Ip6Trie(set) => set.len(),
            Entries::Dnset(set) => set.len(),
            Entries::Generic(set) => set.len(),
            Entries::Prefixes(set) => set.len(),
        }
    }
}
