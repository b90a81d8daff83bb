//! Zones as the SPF tests' JSON has them, and a resolver over one.
//!
//! The format is described in `scripts/fetch-spf-suite`. Nothing waits here, so a future is ready when first polled.

mod ready;

use std::collections::HashMap;

use reputon::exchange::{CNAME_HOPS_MAX, Lookup, LookupFuture, Resolver};
use reputon::wire::{Answer, Name, Rcode, Rdata, Record, Rtype};
use serde::{Deserialize, Serialize};

pub(crate) use ready::ready;

/// Names and their records.
pub(crate) type Zone = HashMap<String, Records>;

/// The records of one name.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE", default)]
pub(crate) struct Records {
    pub(crate) a: Vec<String>,
    pub(crate) aaaa: Vec<String>,
    pub(crate) mx: Vec<(u16, String)>,
    pub(crate) ptr: Vec<String>,
    pub(crate) cname: Vec<String>,
    /// Each character is one octet.
    pub(crate) txt: Vec<Vec<String>>,
    /// Of the obsolete type 99, each character one octet.
    pub(crate) spf: Vec<Vec<String>>,
    /// Questions for what is not here get no answer.
    pub(crate) timeout: bool,
}

/// What a zone says of a name.
pub(crate) enum Said {
    /// Its records, or its alias; there may be none.
    Records(Vec<Rdata>),
    /// There is no such name.
    Missing,
    /// Nothing.
    Silence,
}

/// A resolver over a zone.
pub(crate) struct ZoneResolver {
    names: HashMap<Name, Records>,
}

impl ZoneResolver {
    pub(crate) fn new(zone: &Zone) -> ZoneResolver {
        let names = zone.iter().map(|(name, records)| (to_name(name), records.clone()));
        ZoneResolver { names: names.collect() }
    }

    /// What the zone says of a name itself: its alias stands for what it does not have.
    pub(crate) fn said(&self, name: &Name, rtype: Rtype) -> Said {
        let Some(records) = self.names.get(name) else {
            return Said::Missing;
        };
        let data = records.of(rtype);
        match records.cname.first() {
            _ if !data.is_empty() => Said::Records(data),
            Some(target) => Said::Records(vec![Rdata::Cname(to_name(target))]),
            None if records.timeout => Said::Silence,
            None => Said::Records(Vec::new()),
        }
    }

    fn find(&self, asked: Name, rtype: Rtype) -> Lookup {
        let mut owner = asked;
        for _ in 0..=CNAME_HOPS_MAX {
            let data = match self.said(&owner, rtype) {
                Said::Missing => return Lookup::NxDomain,
                Said::Silence => return Lookup::Silent,
                Said::Records(data) => data,
            };
            match data.first() {
                None => return Lookup::NoData,
                Some(Rdata::Cname(target)) if rtype != Rtype::CNAME => owner = target.clone(),
                Some(_) => {
                    let record = |data| Record {
                        name: owner.clone(),
                        ttl: 60,
                        data,
                    };
                    return Lookup::Found(
                        Answer {
                            records: data.into_iter().map(record).collect(),
                            ..Answer::default()
                        }
                        .into(),
                    );
                }
            }
        }
        Lookup::Failed(Rcode::SERVFAIL)
    }
}

impl Resolver for ZoneResolver {
    fn lookup(&self, name: Name, rtype: Rtype) -> LookupFuture<'_> {
        Box::pin(std::future::ready(self.find(name, rtype)))
    }
}

impl Records {
    fn of(&self, rtype: Rtype) -> Vec<Rdata> {
        let address = |text: &String| text.parse().expect("a good address");
        match rtype {
            Rtype::A => self
                .a
                .iter()
                .map(|text| Rdata::A(text.parse().expect("IPv4")))
                .collect(),
            Rtype::AAAA => self.aaaa.iter().map(address).map(Rdata::Aaaa).collect(),
            Rtype::PTR => self.ptr.iter().map(|text| Rdata::Ptr(to_name(text))).collect(),
            Rtype::TXT => self.txt.iter().map(|strings| to_text(strings)).collect(),
            Rtype::MX => self.mx.iter().map(to_exchanger).collect(),
            Rtype(99) => vec![Rdata::Other(rtype); self.spf.len()],
            _ => Vec::new(),
        }
    }
}

fn to_exchanger((preference, host): &(u16, String)) -> Rdata {
    Rdata::Mx {
        preference: *preference,
        exchange: to_name(host),
    }
}

fn to_text(strings: &[String]) -> Rdata {
    let octets = |string: &String| -> Box<[u8]> {
        let octet = |character| u8::try_from(u32::from(character)).expect("a character is an octet");
        string.chars().map(octet).collect()
    };
    Rdata::Txt(strings.iter().map(octets).collect())
}

fn to_name(text: &str) -> Name {
    match text {
        "" => Name::root(),
        _ => text.parse().expect("a good name"),
    }
}
