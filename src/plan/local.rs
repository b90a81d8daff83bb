//! A list whose data is on disk: it is evaluated here, and never asked. Of kinds of target that the data has no entry for it
//! knows nothing: there the list is treated as if there was none.
//!
//! The codes of the data go through the same rules as those of a reply, so that a file says what the same file says through
//! a server. Names are relative to the zone, and no key is needed.

use std::net::IpAddr;

use crate::dnsxl::{Heard, List, Listing, Observation, Operator, Questions, Reader, Reason, reason};
use crate::targets::{Kind, Target};
use crate::wire::{Answer, Name, Rcode, Record, Rtype};
use crate::zone::{Dataset, EntryKind, Zone, ZoneAnswer};

/// A list with its data.
#[derive(Debug)]
pub struct LocalList {
    zone: Zone,
    questions: Questions,
    /// By kind: whether the data tells anything of such targets.
    tells: [bool; Kind::ALL.len()],
}

impl LocalList {
    /// Evaluates `list` from these datasets, all of which answer for its zone.
    pub fn new(list: &List, datasets: Vec<Dataset>) -> LocalList {
        LocalList {
            tells: Kind::ALL
                .map(|kind| list.takes(kind) && datasets.iter().any(|dataset| dataset.tells(entries_of(kind)))),
            zone: Zone::new(Name::root(), datasets),
            questions: Questions::relative(list),
        }
    }

    /// Whether the data tells anything of targets of a kind: a file of IPv4 addresses says of no other that it is not listed.
    pub fn tells(&self, kind: Kind) -> bool {
        self.tells[kind as usize]
    }

    /// What is known of a target of a kind that the data [tells](LocalList::tells) of.
    pub fn observe(&self, (list, operator): (&List, &Operator), target: &Target) -> Observation {
        // Nearly all addresses have no entry, and a look at the numbers says so.
        let address = match target {
            Target::Ip4(address) => Some(IpAddr::V4(*address)),
            Target::Ip6(address) => Some(IpAddr::V6(*address)),
            Target::Domain(_) => None,
        };
        if address.is_some_and(|address| !self.zone.may_have(address)) {
            return Observation::NotListed;
        }
        let names = match self.questions.names(target) {
            Ok(names) => names,
            Err(reason) => return Observation::NotAsked(reason),
        };
        let apex = Name::root();
        let reader = Reader {
            list,
            operator,
            apex: &apex,
        };
        let known = names.iter().map(|name| self.observe_name(&reader, name));
        known
            .reduce(Observation::either)
            .unwrap_or(Observation::NotAsked(Reason::Unsupported))
    }

    fn observe_name(&self, reader: &Reader<'_>, name: &Name) -> Observation {
        // Codes and texts in one look: finding the entry is what takes time.
        let (rcode, mut records) = match self.zone.answer(name, Rtype::ANY) {
            ZoneAnswer::Records(records) => (Rcode::NOERROR, records),
            ZoneAnswer::NoData => (Rcode::NOERROR, Vec::new()),
            ZoneAnswer::NxDomain | ZoneAnswer::Refused => (Rcode::NXDOMAIN, Vec::new()),
        };
        let of_type = |rtype: Rtype| move |record: &mut Record| record.data.rtype() == rtype;
        let codes: Vec<Record> = records.extract_if(.., of_type(Rtype::A)).collect();
        let answer = Answer {
            records: codes,
            ..Answer::default()
        };
        let observation = reader.interpret(Heard {
            rcode,
            truncated: false,
            answers: answer.records.len() as u16, // 255 at most
            answer: Some(&answer),
        });
        match observation {
            Observation::Listed(listing) => {
                records.retain_mut(of_type(Rtype::TXT));
                let texts = Answer {
                    records,
                    ..Answer::default()
                };
                Observation::Listed(Box::new(Listing {
                    reason: reason(&texts),
                    ..*listing
                }))
            }
            known => known,
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
