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
                return Lookup::Found(answer);
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

impl Resolver for World {
    fn lookup(&self, name: Name, rtype: Rtype) -> LookupFuture<'_> {
        self.asked.borrow_mut().push((name.clone(), rtype));
        Box::pin(std::future::ready(self.find(name, rtype)))
    }
}
