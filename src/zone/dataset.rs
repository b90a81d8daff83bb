//! A dataset: what one file holds.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::time::UNIX_EPOCH;

use crate::wire::{Name, Rdata, Rtype};

use super::build::build;
use super::dnset::parents;
use super::entry::EntryValue;
use super::error::{Warnings, ZoneFileError};
use super::query::{Addresses, EntryKind, ZoneQuery, may_spell_address};
use super::section::{Found, Section};
use super::special::{NameServers, Stamp, ZoneSoa};

/// The formats.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DatasetKind {
    /// IPv4 ranges with values.
    Ip4Set,
    /// IPv4 addresses, one value for all.
    Ip4Tset,
    /// IPv4 prefixes with values.
    Ip4Trie,
    /// IPv6 /64s, one value for all.
    Ip6Tset,
    /// IPv6 prefixes with values.
    Ip6Trie,
    /// Domain names with values.
    Dnset,
    /// A, TXT and MX records.
    Generic,
    /// Several datasets in subzones.
    Combined,
    /// A plain list of prefixes of both families: not a format of rbldnsd.
    Prefixes,
}

impl DatasetKind {
    /// The kind by its name on rbldnsd's command line, or `cidr` for a plain list.
    pub fn by_name(name: &str) -> Option<DatasetKind> {
        match name {
            "cidr" => Some(DatasetKind::Prefixes),
            _ => DatasetKind::by_rbldnsd_name(name),
        }
    }

    /// The kind by its name on rbldnsd's command line.
    pub(super) fn by_rbldnsd_name(name: &str) -> Option<DatasetKind> {
        Some(match name {
            "ip4set" => DatasetKind::Ip4Set,
            "ip4tset" => DatasetKind::Ip4Tset,
            "ip4trie" => DatasetKind::Ip4Trie,
            "ip6tset" => DatasetKind::Ip6Tset,
            "ip6trie" => DatasetKind::Ip6Trie,
            "dnset" => DatasetKind::Dnset,
            "generic" => DatasetKind::Generic,
            "combined" => DatasetKind::Combined,
            _ => return None,
        })
    }

    /// The name on rbldnsd's command line, or `cidr`.
    pub fn as_str(self) -> &'static str {
        match self {
            DatasetKind::Ip4Set => "ip4set",
            DatasetKind::Ip4Tset => "ip4tset",
            DatasetKind::Ip4Trie => "ip4trie",
            DatasetKind::Ip6Tset => "ip6tset",
            DatasetKind::Ip6Trie => "ip6trie",
            DatasetKind::Dnset => "dnset",
            DatasetKind::Generic => "generic",
            DatasetKind::Combined => "combined",
            DatasetKind::Prefixes => "cidr",
        }
    }
}

/// What one file holds, ready to be asked.
#[derive(Debug)]
pub struct Dataset {
    kind: DatasetKind,
    /// One, or those of a combined dataset in the order of the file.
    sections: Vec<Section>,
    /// Only of a combined dataset: by labels in wire form, lower case, without the root's octet.
    subzones: HashMap<Box<[u8]>, Subzone>,
    soa: Option<ZoneSoa>,
    ns: Option<NameServers>,
    stamp: Stamp,
    warnings: Warnings,
}

/// The sections that answer for a subzone.
#[derive(Debug, Default)]
pub(super) struct Subzone {
    pub(super) sections: Vec<usize>,
    pub(super) has_ip4: bool,
}

/// What a dataset has for a name: A, TXT and MX records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The records, each with its TTL in seconds. There may be none: the name exists all the same.
    pub records: Vec<(u32, Rdata)>,
}

impl Entry {
    /// The return codes.
    pub fn addresses(&self) -> impl Iterator<Item = Ipv4Addr> + '_ {
        self.records.iter().filter_map(|(_, data)| match data {
            Rdata::A(address) => Some(*address),
            _ => None,
        })
    }

    /// The reasons.
    pub fn texts(&self) -> impl Iterator<Item = Vec<u8>> + '_ {
        self.records.iter().filter_map(|(_, data)| match data {
            Rdata::Txt(strings) => Some(strings.concat()),
            _ => None,
        })
    }

    /// The lowest TTL, in seconds.
    pub fn ttl(&self) -> Option<u32> {
        self.records.iter().map(|&(ttl, _)| ttl).min()
    }
}

impl Dataset {
    /// Reads a file. A `$SOA` serial of 0 becomes the time of the file's last change.
    ///
    /// # Errors
    /// If the file cannot be read, or rbldnsd would not load it. Lines that it would leave out are [`Dataset::warnings`].
    pub fn load(kind: DatasetKind, path: &Path) -> Result<Dataset, ZoneFileError> {
        let file = path.display().to_string();
        let read = || -> std::io::Result<_> { Ok((std::fs::read(path)?, std::fs::metadata(path)?.modified()?)) };
        let (text, changed) = read().map_err(|source| ZoneFileError::Unreadable {
            file: file.clone(),
            source,
        })?;
        let mut dataset = Dataset::parse(kind, &file, &text)?;
        if let Some(soa) = &mut dataset.soa
            && soa.serial == 0
        {
            let since = changed.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
            soa.serial = since as u32; // serials wrap (RFC 1982)
        }
        Ok(dataset)
    }

    /// Reads text; `file` is its name in messages.
    ///
    /// # Errors
    /// If rbldnsd would not load it.
    pub fn parse(kind: DatasetKind, file: &str, text: &[u8]) -> Result<Dataset, ZoneFileError> {
        build(kind, file, text)
    }

    pub(super) fn from_parts(
        kind: DatasetKind,
        sections: Vec<Section>,
        subzones: HashMap<Box<[u8]>, Subzone>,
        (soa, ns, stamp): (Option<ZoneSoa>, Option<NameServers>, Stamp),
        warnings: Warnings,
    ) -> Dataset {
        Dataset {
            kind,
            sections,
            subzones,
            soa,
            ns,
            stamp,
            warnings,
        }
    }

    /// The format that was read.
    pub fn kind(&self) -> DatasetKind {
        self.kind
    }

    /// What was left out of the file.
    pub fn warnings(&self) -> &Warnings {
        &self.warnings
    }

    /// The start of the zone, if the file gives one.
    pub fn soa(&self) -> Option<&ZoneSoa> {
        self.soa.as_ref()
    }

    /// The zone's servers, if the file names them.
    pub fn name_servers(&self) -> Option<&NameServers> {
        self.ns.as_ref()
    }

    /// When the data was made, in seconds since 1970, if the file says so. rbldnsd refuses data from the future.
    pub fn made(&self) -> Option<u64> {
        Some(self.stamp.made).filter(|&moment| moment != 0)
    }

    /// When the data ends, in seconds since 1970, if the file says so. rbldnsd serves nothing after that.
    pub fn expires(&self) -> Option<u64> {
        Some(self.stamp.expires).filter(|&moment| moment != 0)
    }

    /// How many entries there are; a range counts as the prefixes that make it.
    pub fn entries(&self) -> usize {
        self.sections.iter().map(Section::len).sum()
    }

    /// Whether there is an entry that could be one for what is of this kind (those of a combined dataset's subzones do not
    /// count): else the data knows nothing of such, and that it has none clears nobody.
    pub fn tells(&self, kind: EntryKind) -> bool {
        if self.kind != DatasetKind::Combined {
            return self.sections[0].tells(kind);
        }
        self.apex_sections().any(|section| section.tells(kind))
    }

    /// The sections of a combined dataset that answer outside its subzones.
    fn apex_sections(&self) -> impl Iterator<Item = &Section> {
        let apex = self.subzones.get(&b""[..]);
        let sections = apex.into_iter().flat_map(|subzone| &subzone.sections);
        sections.map(|&index| &self.sections[index])
    }

    /// What there is for a name, or nothing: then it is not listed.
    pub fn answer(&self, query: &ZoneQuery<'_>) -> Option<Entry> {
        let mut found = Found::default();
        self.find(query, self.has_ip4(), Rtype::ANY, &mut found);
        found.exists.then_some(Entry { records: found.records })
    }

    /// The first return code of an IPv4 address; nothing if it is not listed. Allocates nothing in sets of IPv4 entries.
    pub fn first_code(&self, address: Ipv4Addr) -> Option<Ipv4Addr> {
        if self.kind != DatasetKind::Combined
            && let Some(known) = self.sections[0].first_code(address)
        {
            return known;
        }
        let name = Name::reversed_v4(address);
        let entry = self.answer(&ZoneQuery::from_name(&name))?;
        entry.addresses().next()
    }

    /// Whether what there is for an address is known by its number alone, and [`Dataset::values`] are all.
    pub(super) fn is_by_number(&self) -> bool {
        if self.kind != DatasetKind::Combined {
            return self.sections[0].is_by_number();
        }
        // In a subzone with a number for its name, names of addresses stand for others.
        let mut named = self.subzones.keys().filter(|name| !name.is_empty());
        !named.any(|name| may_spell_address(name)) && self.apex_sections().all(Section::is_by_number)
    }

    /// Gives the values of the entries for an address to `each`.
    #[inline]
    pub(super) fn values<'a>(&'a self, address: IpAddr, zone_has_ip4: bool, mut each: impl FnMut(EntryValue<'a>)) {
        if self.kind != DatasetKind::Combined {
            return self.sections[0].values(Addresses::of(address, zone_has_ip4), each);
        }
        let has_ip4 = self.subzones.get(&b""[..]).is_some_and(|subzone| subzone.has_ip4);
        let addresses = Addresses::of(address, has_ip4);
        self.apex_sections()
            .for_each(|section| section.values(addresses, &mut each));
    }

    /// Whether IPv4 addresses are looked up here (those of a combined dataset's subzones do not count).
    pub(super) fn has_ip4(&self) -> bool {
        self.kind != DatasetKind::Combined && self.sections.iter().any(Section::has_ip4)
    }

    /// Adds what there is for a question.
    pub(super) fn find(&self, query: &ZoneQuery<'_>, zone_has_ip4: bool, asked: Rtype, found: &mut Found) {
        if self.kind != DatasetKind::Combined {
            let addresses = query.addresses(zone_has_ip4);
            return self.sections[0].answer(query, addresses, asked, found);
        }
        let Some((subzone, below)) = self.subzone_of(query) else {
            return;
        };
        let addresses = below.addresses(subzone.has_ip4);
        for &index in &subzone.sections {
            self.sections[index].answer(&below, addresses, asked, found);
        }
        found.exists |= below.labels().is_empty();
    }

    /// The deepest subzone that a name is in, and the name relative to it.
    fn subzone_of<'q>(&self, query: &ZoneQuery<'q>) -> Option<(&Subzone, ZoneQuery<'q>)> {
        let labels = query.labels();
        std::iter::once(labels).chain(parents(labels)).find_map(|suffix| {
            let subzone = self.subzones.get(suffix)?;
            let below = &labels[..labels.len() - suffix.len()];
            Some((subzone, ZoneQuery::from_labels(below)))
        })
    }

    /// Whether there is an entry below a name (RFC 8020 §2). rbldnsd never says so.
    pub(super) fn has_below(&self, query: &ZoneQuery<'_>) -> bool {
        if self.kind != DatasetKind::Combined {
            return self.sections[0].has_below(query);
        }
        let above_subzone = |name: &[u8]| parents(name).any(|parent| parent == query.labels());
        self.subzones.keys().any(|name| above_subzone(name))
            || self.subzone_of(query).is_some_and(|(subzone, below)| {
                subzone
                    .sections
                    .iter()
                    .any(|&index| self.sections[index].has_below(&below))
            })
    }
}
