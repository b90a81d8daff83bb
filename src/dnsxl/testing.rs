//! Lists, operators and answers for this folder's tests. Not compiled into anything else.

use std::net::Ipv4Addr;

use crate::targets::Kind;
use crate::wire::{Answer, Name, Rdata, Record, Soa};

use super::codes::{Code, CodeTable};
use super::list::{List, NameForm, Operator, OperatorIndex, Role, Status, Terms, TestEntries, Tier, Use};

/// A block list of tier B for IPv4 with an empty code table.
pub(super) fn list(zone: &str) -> List {
    List {
        id: "a-list".into(),
        zone: zone.into(),
        query: None,
        operator: OperatorIndex(0),
        kinds: vec![Kind::Ip4],
        role: Role::Block,
        tier: Tier::B,
        default: false,
        tags: Vec::new(),
        covers: Vec::new(),
        about: None,
        remove: None,
        remove_how: None,
        lookup: None,
        codes: CodeTable::default(),
        refusal: Vec::new(),
        txt: true,
        ip6_unit: None,
        name_form: NameForm::Full,
        test: TestEntries::default(),
        status: Status::Live,
        retired: None,
        sources: Vec::new(),
    }
}

/// A list with codes `(pattern, meaning)`.
pub(super) fn coded(zone: &str, codes: &[(&str, &str)]) -> List {
    let mut list = list(zone);
    list.codes.entries = codes.iter().map(|(pattern, means)| code(pattern, means)).collect();
    list
}

/// A code of the list's own role and tier.
pub(super) fn code(pattern: &str, means: &str) -> Code {
    Code {
        pattern: pattern.parse().expect("a good pattern"),
        means: means.into(),
        sublist: None,
        role: None,
        tier: None,
        listing: true,
    }
}

/// An operator with these refusal patterns.
pub(super) fn operator(refusal: &[&str]) -> Operator {
    Operator {
        id: "someone".into(),
        name: "Someone".into(),
        home: None,
        checked: None,
        terms: Terms {
            usage: Use::Free,
            max_queries_per_day: None,
            max_qps: None,
            public_resolvers: None,
        },
        refusal: refusal
            .iter()
            .map(|text| text.parse().expect("a good pattern"))
            .collect(),
    }
}

/// A name.
pub(super) fn name(text: &str) -> Name {
    text.parse().expect("a good name")
}

/// An answer with these addresses.
pub(super) fn addresses(addresses: &[[u8; 4]]) -> Answer {
    let record = |(at, octets): (usize, &[u8; 4])| Record {
        name: name("2.0.0.127.bl.example"),
        ttl: 300 + at as u32,
        data: Rdata::A(Ipv4Addr::from(*octets)),
    };
    Answer {
        records: addresses.iter().enumerate().map(record).collect(),
        ..Answer::default()
    }
}

/// An answer without records from the zone `owner`.
pub(super) fn nothing_from(owner: &str) -> Answer {
    let soa = Soa {
        primary: name("ns.example"),
        serial: 1,
        minimum: 60,
    };
    Answer {
        soa: Some(Box::new((name(owner), 60, soa))),
        ..Answer::default()
    }
}
