//! A resolver over a map, for the stages' tests: what was not put in does not exist.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::net::IpAddr;

use crate::exchange::{CNAME_HOPS_MAX, Lookup, LookupFuture, Resolver};
use crate::wire::{Answer, Name, Rcode, Rdata, Record, Rtype};

/// A name from text that is known to be good.
pub(in crate::stages) fn name(text: &str) -> Name {
    text.parse().expect("a good name")
}

/// An address from text that is known to be good.
pub(in crate::stages) fn ip(text: &str) -> IpAddr {
    text.parse().expect("a good address")
}

/// The codes of findings, in order.
pub(in crate::stages) fn codes(findings: &[super::Finding]) -> Vec<&str> {
    findings.iter().map(|finding| finding.code.as_str()).collect()
}

/// A small world of names.
#[derive(Debug, Default)]
pub(in crate::stages) struct World {
    records: HashMap<(Name, Rtype), Answer>,
    ends: HashMap<(Name, Rtype), Lookup>,
    names: HashSet<Name>,
    asked: RefCell<Vec<(Name, Rtype)>>,
}

impl World {
    pub(in crate::stages) fn new() -> World {
        World::default()
    }

    pub(in crate::stages) fn record(mut self, owner: &str, data: Rdata) -> World {
        let owner = name(owner);
        self.names.insert(owner.clone());
        let answer = self.records.entry((owner.clone(), data.rtype())).or_default();
        answer.records.push(Record {
            name: owner,
            ttl: 300,
            data,
        });
        self
    }

    pub(in crate::stages) fn a(self, owner: &str, address: &str) -> World {
        match ip(address) {
            IpAddr::V4(v4) => self.record(owner, Rdata::A(v4)),
            IpAddr::V6(v6) => self.record(owner, Rdata::Aaaa(v6)),
        }
    }

    pub(in crate::stages) fn txt(self, owner: &str, text: &str) -> World {
        self.txt_octets(owner, text.as_bytes())
    }

    pub(in crate::stages) fn txt_octets(self, owner: &str, text: &[u8]) -> World {
        self.record(owner, Rdata::Txt(text.chunks(255).map(Box::from).collect()))
    }

    pub(in crate::stages) fn mx(self, owner: &str, preference: u16, exchange: &str) -> World {
        self.record(
            owner,
            Rdata::Mx {
                preference,
                exchange: name(exchange),
            },
        )
    }

    pub(in crate::stages) fn ptr(self, address: &str, host: &str) -> World {
        self.record(&Name::reverse(ip(address)).to_string(), Rdata::Ptr(name(host)))
    }

    pub(in crate::stages) fn cname(self, owner: &str, host: &str) -> World {
        self.record(owner, Rdata::Cname(name(host)))
    }

    /// One record more at this name that could not be read.
    pub(in crate::stages) fn malformed(mut self, owner: &str, rtype: Rtype) -> World {
        self.names.insert(name(owner));
        self.records.entry((name(owner), rtype)).or_default().malformed += 1;
        self
    }

    pub(in crate::stages) fn exists(mut self, owner: &str) -> World {
        self.names.insert(name(owner));
        self
    }

    pub(in crate::stages) fn fail(mut self, owner: &str, rtype: Rtype) -> World {
        self.ends.insert((name(owner), rtype), Lookup::Failed(Rcode::SERVFAIL));
        self
    }

    pub(in crate::stages) fn silent(mut self, owner: &str, rtype: Rtype) -> World {
        self.ends.insert((name(owner), rtype), Lookup::Silent);
        self
    }

    /// What was asked so far, in order.
    pub(in crate::stages) fn asked(&self) -> Vec<String> {
        self.asked
            .borrow()
            .iter()
            .map(|(name, rtype)| format!("{name} {rtype}"))
            .collect()
    }

    fn find(&self, asked: Name, rtype: Rtype) -> Lookup {
        let mut owner = asked;
        let mut aliases = Vec::new();
        for _ in 0..CNAME_HOPS_MAX {
            let key = (owner, rtype);
            if let Some(end) = self.ends.get(&key) {
                return end.clone();
            }
            if let Some(answer) = self.records.get(&key) {
                let mut answer = answer.clone();
                answer.aliases = aliases;
                return Lookup::Found(answer.into());
            }
            let Some(alias) = self.records.get(&(key.0.clone(), Rtype::CNAME)) else {
                let exists = self.names.iter().any(|name| name.is_under(&key.0));
                return if exists { Lookup::NoData } else { Lookup::NxDomain };
            };
            let Some(Rdata::Cname(next)) = alias.records.first().map(|record| record.data.clone()) else {
                return Lookup::NoData;
            };
            aliases.push(next.clone());
            owner = next;
        }
        Lookup::Failed(Rcode::SERVFAIL)
    }
}

/// A resolver that answers every question with whatever comes next: records of any content and type, failures,
/// silence.
#[derive(Debug)]
pub(in crate::stages) struct Chaos {
    /// What texts and names are made of.
    octets: Vec<Vec<u8>>,
    next: std::cell::Cell<usize>,
    /// Questions after which it fell silent, so that a stage that asks for ever is found out.
    pub(in crate::stages) asked: std::cell::Cell<usize>,
}

impl Chaos {
    pub(in crate::stages) fn new(octets: Vec<Vec<u8>>, start: usize) -> Chaos {
        Chaos {
            octets,
            next: std::cell::Cell::new(start),
            asked: std::cell::Cell::new(0),
        }
    }

    fn turn(&self) -> usize {
        let turn = self.next.get();
        self.next.set(turn.wrapping_mul(31).wrapping_add(7));
        turn >> 3
    }

    fn octets(&self) -> Vec<u8> {
        let turn = self.turn();
        self.octets
            .get(turn % self.octets.len().max(1))
            .cloned()
            .unwrap_or_default()
    }

    fn name(&self) -> Name {
        let mut name = Name::root();
        for label in self.octets().chunks(40).take(3).filter(|label| !label.is_empty()) {
            name.push(label).expect("three short labels");
        }
        name
    }

    fn data(&self, rtype: Rtype) -> Rdata {
        let bits = self.turn() as u32; // any 32 of them
        match rtype {
            Rtype::A => Rdata::A(bits.into()),
            Rtype::AAAA => Rdata::Aaaa((u128::from(bits) << 96).into()),
            Rtype::PTR => Rdata::Ptr(self.name()),
            Rtype::MX => Rdata::Mx {
                preference: bits as u16,
                exchange: self.name(),
            },
            _ => Rdata::Txt(vec![self.octets().into()]),
        }
    }
}

impl Resolver for Chaos {
    fn lookup(&self, name: Name, rtype: Rtype) -> LookupFuture<'_> {
        self.asked.set(self.asked.get() + 1);
        let lookup = match self.turn() % 8 {
            0 => Lookup::NoData,
            1 => Lookup::NxDomain,
            2 => Lookup::Failed(Rcode(self.turn() as u8)),
            3 => Lookup::Silent,
            kind => {
                // Now and then records of a type that nobody asked for.
                let rtype = if kind == 4 {
                    Rtype(self.turn() as u16 % 20)
                } else {
                    rtype
                };
                let records = (0..self.turn() % 30).map(|_| Record {
                    name: name.clone(),
                    ttl: 0,
                    data: self.data(rtype),
                });
                Lookup::Found(
                    Answer {
                        records: records.collect(),
                        aliases: if kind == 5 { vec![self.name()] } else { Vec::new() },
                        soa: None,
                        servers: None,
                        malformed: u16::from(kind == 6),
                    }
                    .into(),
                )
            }
        };
        Box::pin(std::future::ready(lookup))
    }
}

impl Resolver for World {
    fn lookup(&self, name: Name, rtype: Rtype) -> LookupFuture<'_> {
        self.asked.borrow_mut().push((name.clone(), rtype));
        Box::pin(std::future::ready(self.find(name, rtype)))
    }
}
