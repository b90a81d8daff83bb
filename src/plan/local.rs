//! A list whose data is on disk: it is evaluated here, and never asked. Of kinds of target that the data has no entry for it
//! knows nothing: there the list is treated as if there was none.
//!
//! The codes of the data go through the same rules as those of a reply, so that a file says what the same file says through
//! a server. Names are relative to the zone, and no key is needed.
//!
//! A scan asks for millions of addresses. They are looked up as the numbers that they are, and what a code means is found
//! out once: of each entry only its text is made anew.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::OnceLock;

use crate::dnsxl::{List, Observation, Operator, Questions, Reader, Reason, reason_of};
use crate::targets::{Kind, Target};
use crate::wire::{Name, Rdata, Rtype};
use crate::zone::{AddressEntry, Dataset, EntryKind, EntryValue, Zone, ZoneQuery};

/// A list with its data.
#[derive(Debug)]
pub struct LocalList {
    zone: Zone,
    list: List,
    operator: Operator,
    questions: Questions,
    /// By kind: whether the data tells anything of such targets.
    tells: [bool; Kind::ALL.len()],
    readings: Box<[OnceLock<Reading>]>,
}

/// A code, and what an entry says that has it alone, without text.
type Reading = (Ipv4Addr, Observation);

/// Codes whose reading is kept: of each last octet the first that comes, which is nearly always the only one.
const READINGS: usize = 256;

impl LocalList {
    /// Evaluates `list` from these datasets, all of which answer for its zone.
    pub fn new((list, operator): (&List, &Operator), datasets: Vec<Dataset>) -> LocalList {
        LocalList {
            tells: Kind::ALL
                .map(|kind| list.takes(kind) && datasets.iter().any(|dataset| dataset.tells(entries_of(kind)))),
            zone: Zone::new(Name::root(), datasets),
            list: list.clone(),
            operator: operator.clone(),
            questions: Questions::relative(list),
            readings: std::iter::repeat_with(OnceLock::new).take(READINGS).collect(),
        }
    }

    /// Whether the data tells anything of targets of a kind: a file of IPv4 addresses says of no other that it is not listed.
    pub fn tells(&self, kind: Kind) -> bool {
        self.tells[kind as usize]
    }

    /// What is known of a target of a kind that the data [tells](LocalList::tells) of.
    pub fn observe(&self, target: &Target) -> Observation {
        let address = match target {
            Target::Ip4(address) => IpAddr::V4(*address),
            Target::Ip6(address) => IpAddr::V6(*address),
            Target::Domain(_) => return self.observe_names(target),
        };
        match self.zone.entry(address) {
            AddressEntry::None => Observation::NotListed,
            AddressEntry::One(value) => self.observe_value(&value),
            AddressEntry::Records(records) => self.interpret(&records),
        }
    }

    /// By the one or two names that the list wants to be asked for.
    #[inline(never)] // most targets are addresses
    fn observe_names(&self, target: &Target) -> Observation {
        let names = match self.questions.names(target) {
            Ok(names) => names,
            Err(reason) => return Observation::NotAsked(reason),
        };
        let known = names.iter().map(|name| self.observe_name(name));
        known
            .reduce(Observation::either)
            .unwrap_or(Observation::NotAsked(Reason::Unsupported))
    }

    fn observe_name(&self, name: &Name) -> Observation {
        // Codes and texts in one look: finding the entry is what takes time.
        let name = name.to_lowercase();
        match self.zone.look_up(&ZoneQuery::from_name(&name), Rtype::ANY) {
            Some((true, records)) => self.interpret(&records),
            _ => Observation::NotListed,
        }
    }

    /// What an entry of one value says.
    #[inline(never)] // most addresses have none
    fn observe_value(&self, value: &EntryValue<'_>) -> Observation {
        let code = value.code();
        let read = || (code, self.reader().interpret_entry(vec![code], 0));
        let [.., last] = code.octets();
        let mut known = match self.readings[usize::from(last)].get_or_init(read) {
            (kept, reading) if *kept == code => reading.clone(),
            _ => read().1,
        };
        if let Observation::Listed(listing) = &mut known {
            listing.ttl = value.ttl();
            listing.reason = reason_of([value.text()]);
        }
        known
    }

    /// What an entry of these records says.
    fn interpret(&self, records: &[(u32, Rdata)]) -> Observation {
        let addresses = records.iter().filter_map(|(ttl, data)| match data {
            Rdata::A(address) => Some((*address, *ttl)),
            _ => None,
        });
        let (codes, ttls): (Vec<Ipv4Addr>, Vec<u32>) = addresses.unzip();
        let ttl = ttls.into_iter().min().unwrap_or(0);
        let mut known = self.reader().interpret_entry(codes, ttl);
        if let Observation::Listed(listing) = &mut known {
            listing.reason = reason_of(records.iter().filter_map(|(_, data)| match data {
                Rdata::Txt(strings) => Some(strings.concat()),
                _ => None,
            }));
        }
        known
    }

    fn reader(&self) -> Reader<'_> {
        Reader {
            list: &self.list,
            operator: &self.operator,
            apex: self.questions.apex(),
        }
    }
}

/// The entries that targets of a kind may have.
fn entries_of(kind: Kind) -> EntryKind {
    match kind {
        Kind::Ip4 => EntryKind::Ip4,
        Kind::Ip6 => EntryKind::Ip6,
        Kind::Domain => EntryKind::Name,
    }
}

#[cfg(test)]
#[path = "local_tests.rs"]
mod tests;
