//! Hostile policies: random octets, broken good records, and a name system that answers everything.
//!
//! Nothing may panic, run away, or let a control character through to a report.

#[path = "spf/ready.rs"]
mod ready;

use std::cell::Cell;

use proptest::prelude::*;
use reputon::exchange::{Lookup, LookupFuture, Resolver};
use reputon::stages::spf::{SpfInput, SpfRecord, check_host, lint};
use reputon::wire::{Answer, Name, Rdata, Record, Rtype};

use ready::ready;

/// A name system in which every name has everything.
struct Everything {
    text: Vec<u8>,
    /// How many MX and PTR records, and addresses.
    width: usize,
    asked: Cell<usize>,
}

impl Resolver for Everything {
    fn lookup(&self, name: Name, rtype: Rtype) -> LookupFuture<'_> {
        self.asked.set(self.asked.get() + 1);
        let child = |index: usize| format!("n{index}.test").parse::<Name>().expect("a good name");
        let data: Vec<Rdata> = (0..self.width)
            .filter_map(|index| match rtype {
                Rtype::TXT if index == 0 => Some(Rdata::Txt(vec![self.text.as_slice().into()])),
                Rtype::A => Some(Rdata::A([203, 0, 113, index as u8].into())),
                Rtype::AAAA => Some(Rdata::Aaaa(std::net::Ipv6Addr::LOCALHOST)),
                Rtype::PTR => Some(Rdata::Ptr(child(index))),
                Rtype::MX => Some(Rdata::Mx {
                    preference: 0,
                    exchange: child(index),
                }),
                _ => None,
            })
            .collect();
        let record = |data| Record {
            name: name.clone(),
            ttl: 0,
            data,
        };
        let records: Vec<Record> = data.into_iter().map(record).collect();
        let lookup = match records.is_empty() {
            true => Lookup::NoData,
            false => Lookup::Found(
                Answer {
                    records,
                    ..Answer::default()
                }
                .into(),
            ),
        };
        Box::pin(std::future::ready(lookup))
    }
}

/// Queries that no check may exceed: the sum of the RFC's limits.
const QUERIES_MAX: usize = 134;

/// Queries that no lint may exceed: that sum, the one for the obsolete type included.
const LINT_QUERIES_MAX: usize = 134;

/// Everything that is made of a text, under the eyes of a client who has it in for us.
fn torture(text: Vec<u8>, width: usize, ip: &str, mail_from: &str) -> Result<(), TestCaseError> {
    if let Err(error) = SpfRecord::parse(&text) {
        prop_assert!(error.position <= text.len(), "{error}");
    }
    let resolver = Everything {
        text,
        width,
        asked: Cell::new(0),
    };
    let ip = ip.parse().expect("a good address");
    let result = ready(check_host(
        &resolver,
        &SpfInput::new(ip, "\u{1b}[31m%{d}.test", mail_from),
    ));
    prop_assert!(resolver.asked.get() <= QUERIES_MAX, "{} queries", resolver.asked.get());
    prop_assert!(result.lookups <= 10 && result.void_lookups <= 3);
    prop_assert_eq!(result.problem.is_some(), result.result.as_str().ends_with("error"));
    prop_assert!(
        is_clean(&serde_json::to_value(&result).expect("plain data")),
        "{:?}",
        result
    );
    resolver.asked.set(0);
    let report = ready(lint(&resolver, "a.test"));
    prop_assert!(
        resolver.asked.get() <= LINT_QUERIES_MAX,
        "{} queries",
        resolver.asked.get()
    );
    prop_assert!(
        is_clean(&serde_json::to_value(&report).expect("plain data")),
        "{:?}",
        report
    );
    Ok(())
}

/// Whether no text in it has a control character.
fn is_clean(value: &serde_json::Value) -> bool {
    match value {
        serde_json::Value::String(text) => !text.chars().any(char::is_control),
        serde_json::Value::Array(values) => values.iter().all(is_clean),
        serde_json::Value::Object(fields) => fields.values().all(is_clean),
        _ => true,
    }
}

const RECORDS: &[&str] = &[
    "v=spf1 a mx/24//64 ptr:%{d2} include:%{l1r-}.%{o} exists:%{ir}.%{v}.%{d} ip4:192.0.2.0/24 -all exp=%{p}.test",
    "v=spf1 mx mx mx mx mx mx mx mx mx mx -all",
    "v=spf1 include:b.test include:%{p}.test redirect=%{d}",
    "v=spf1 include:a.%{d} include:b.%{d} ?all",
    "v=spf1 exists:%{S}.%{h}.%{d100r.-+,/_=} ip6:2001:db8::/32 x=%{l}%%%_%- ~all",
    "v=spf1 redirect=%{d} exp=%{d}",
    "v=spf1 a:%{p} a:%{p} a:%{p} a:%{p} ptr ptr ptr ptr ptr ptr -all",
];

fn client() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "192.0.2.1",
        "203.0.113.0",
        "::1",
        "2001:db8::1",
        "::ffff:192.0.2.1",
    ])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn random_octets_are_survived(tail: Vec<u8>, spf: bool, ip in client(), from: String) {
        let mut text = if spf { b"v=spf1 ".to_vec() } else { Vec::new() };
        text.extend(tail);
        torture(text, 3, ip, &from)?;
    }

    #[test]
    fn good_records_with_wounds_are_survived(
        record in prop::sample::select(RECORDS.to_vec()),
        wounds in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..4u8), 0..6),
        width in 0..13usize,
        ip in client(),
    ) {
        let mut text = record.as_bytes().to_vec();
        for (index, octet, kind) in wounds {
            let at = index.index(text.len().max(1));
            match kind {
                0 if at < text.len() => text[at] = octet,
                1 => text.insert(at.min(text.len()), octet),
                2 if at < text.len() => drop(text.remove(at)),
                _ => text.extend_from_within(at.min(text.len())..),
            }
        }
        torture(text, width, ip, "a-b+c@d.e.test")?;
    }
}

#[test]
fn every_good_record_is_really_good() {
    for record in RECORDS {
        assert!(SpfRecord::parse(record.as_bytes()).is_ok(), "{record}");
    }
}

#[test]
fn r10_the_widest_policy_stays_within_the_bounds() {
    for record in RECORDS {
        torture(record.as_bytes().to_vec(), 10, "192.0.2.1", "x@a.test").expect("bounded");
        torture(record.as_bytes().to_vec(), 60, "192.0.2.1", "x@a.test").expect("bounded");
    }
}

#[test]
fn megabytes_are_survived() {
    torture(vec![b'%'; 1 << 20], 2, "192.0.2.1", &"@".repeat(1 << 20)).expect("bounded");
    let mut long = b"v=spf1".to_vec();
    long.extend(b" exists:%{s}%{s}%{s}.%{d}".repeat(600));
    torture(long, 2, "2001:db8::1", &"\u{e9}".repeat(1 << 16)).expect("bounded");
    let mut wide = b"v=spf1 -all".to_vec();
    wide.extend(b" ip4:10.0.0.0/8".repeat(1_000));
    torture(wide, 2, "192.0.2.1", "x@a.test").expect("bounded");
}
