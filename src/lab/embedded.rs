//! The embedded world: its lists, good and bad, its records, and the catalogue that describes the lists.

use std::net::Ipv4Addr;

use crate::wire::{Name, Rcode, Rdata};
use crate::zone::{Dataset, DatasetKind, Zone};

use super::conduct::{Conduct, Phase};
use super::content::Content;
use super::records::parse_zones;
use super::world::Served;

/// The catalogue file of the healthy lists (operator `lab`).
pub const CATALOGUE: &str = include_str!("world/lab.toml");

/// The catalogue file of the failing lists (operator `lab-bad`): each id says which failure it shows.
pub const CATALOGUE_BAD: &str = include_str!("world/lab-bad.toml");

/// Queries that a list answers well before it changes for the worse: more than preflight needs, fewer than a /24 makes.
const CHANGES_AFTER: u64 = 100;

/// Queries after which a lapsed list is back.
const RECOVERS_AFTER: u64 = 160;

/// Queries for which stale answers are about.
const STALE_FOR: u64 = 40;

/// TTL of what a parking host answers, in seconds.
const PARKING_TTL: u32 = 300;

/// A file of a list.
type File = (DatasetKind, &'static [u8]);

const BAD: File = (DatasetKind::Ip4Set, include_bytes!("world/bad.rbl"));
const EMPTY: File = (DatasetKind::Ip4Set, include_bytes!("world/empty.rbl"));

/// The lists that behave: zone, file, conduct.
const HEALTHY: [(&str, File, Conduct); 11] = [
    (
        "zen",
        (DatasetKind::Combined, include_bytes!("world/zen.rbl")),
        Conduct::Honest,
    ),
    (
        "multi",
        (DatasetKind::Dnset, include_bytes!("world/multi.rbl")),
        Conduct::Honest,
    ),
    (
        "reasons",
        (DatasetKind::Ip4Set, include_bytes!("world/reasons.rbl")),
        Conduct::Honest,
    ),
    (
        "brute",
        (DatasetKind::Ip4Tset, include_bytes!("world/brute.rbl")),
        Conduct::Honest,
    ),
    (
        "policy",
        (DatasetKind::Ip4Set, include_bytes!("world/policy.rbl")),
        Conduct::Honest,
    ),
    (
        "wl",
        (DatasetKind::Ip4Set, include_bytes!("world/wl.rbl")),
        Conduct::Honest,
    ),
    (
        "info",
        (DatasetKind::Ip4Trie, include_bytes!("world/info.rbl")),
        Conduct::HonestWithParents,
    ),
    (
        "dbl",
        (DatasetKind::Dnset, include_bytes!("world/dbl.rbl")),
        Conduct::Honest,
    ),
    (
        "v6",
        (DatasetKind::Ip6Tset, include_bytes!("world/v6.rbl")),
        Conduct::Honest,
    ),
    (
        "parents",
        (DatasetKind::Ip4Set, include_bytes!("world/parents.rbl")),
        Conduct::HonestWithParents,
    ),
    (
        "mixed",
        (DatasetKind::Ip4Set, include_bytes!("world/mixed.rbl")),
        Conduct::Honest,
    ),
];

/// All zones of the embedded world.
pub(super) fn embedded_zones() -> Vec<Served> {
    let records = parse_zones(include_str!("world/records.zone")).expect("the embedded records are good");
    let records = records
        .into_iter()
        .map(|(origin, zone)| Served::steady(origin, Content::Records(zone), Conduct::Honest));
    let healthy = HEALTHY.into_iter().map(|(name, file, conduct)| {
        let origin = lab_name(name);
        Served::steady(origin.clone(), list(origin, file), conduct)
    });
    let bad = failures().into_iter().map(|(name, file, phases)| {
        let origin = lab_name(name);
        Served::new(origin.clone(), list(origin, file), phases)
    });
    records.chain(healthy).chain(bad).collect()
}

/// The failing lists.
fn failures() -> Vec<(&'static str, File, Vec<Phase>)> {
    let steady = |conduct| vec![Phase { from: 0, conduct }];
    let then = |conduct| {
        vec![
            honest(0),
            Phase {
                from: CHANGES_AFTER,
                conduct,
            },
        ]
    };
    let file = |kind, text: &'static [u8]| (kind, text);
    let point = file(DatasetKind::Ip4Tset, include_bytes!("world/point.rbl"));
    let names = file(DatasetKind::Dnset, include_bytes!("world/names.rbl"));
    let loopback = file(DatasetKind::Ip4Set, include_bytes!("world/loopback.rbl"));
    let other_point = file(DatasetKind::Ip4Set, include_bytes!("world/other-point.rbl"));
    let other_value = file(DatasetKind::Ip4Set, include_bytes!("world/other-value.rbl"));
    let many = Conduct::Wildcard((117..120).map(|last| a(PARKING_TTL, [198, 51, 100, last])).collect());
    let alias = Conduct::Wildcard(vec![(PARKING_TTL, Rdata::Cname(lab_name("parking")))]);
    let sale: Box<[u8]> = b"this domain is for sale"[..].into();
    let text = Conduct::Wildcard(vec![(PARKING_TTL, Rdata::Txt(vec![sale]))]);
    vec![
        ("f01-wildcard", BAD, steady(everywhere(60, [127, 0, 0, 2]))),
        ("f02-parked", BAD, steady(parked(PARKING_TTL))),
        ("f03-parked-many", BAD, steady(many)),
        ("f03-parked-alias", BAD, steady(alias)),
        ("f03-parked-text", BAD, steady(text)),
        ("f04-empty", EMPTY, steady(Conduct::Honest)),
        ("f05-test-entry-only", point, steady(Conduct::Honest)),
        ("f06-silent", BAD, steady(Conduct::Silent)),
        ("f07-gone", BAD, steady(Conduct::Gone)),
        ("f08-servfail", BAD, steady(Conduct::Fails(Rcode::SERVFAIL))),
        ("f08-refused", BAD, steady(Conduct::Fails(Rcode::REFUSED))),
        ("f09-refusal-code", BAD, steady(everywhere(60, [127, 255, 255, 254]))),
        ("f09-refusal-code-1", BAD, steady(everywhere(60, [127, 0, 0, 1]))),
        ("f10-goes-silent", BAD, then(Conduct::Silent)),
        ("f10-goes-refusing", BAD, then(everywhere(60, [127, 255, 255, 254]))),
        ("f13-shallow", names, steady(Conduct::Shallow)),
        ("f14-allow-code", loopback, steady(Conduct::Honest)),
        ("f14-other-test-entry", other_point, steady(Conduct::Honest)),
        ("f14-other-test-code", other_value, steady(Conduct::Honest)),
        ("f15-lapses", BAD, lapse(CHANGES_AFTER, RECOVERS_AFTER, PARKING_TTL)),
        ("f16-strict-labels", BAD, steady(Conduct::LdhOnly)),
        ("f17-stale", BAD, lapse(0, STALE_FOR, 86_400)),
        ("f18-scrambled", BAD, steady(Conduct::Scrambled)),
    ]
}

/// Well, then parked, then well again.
fn lapse(from: u64, to: u64, ttl: u32) -> Vec<Phase> {
    let lapsed = Phase {
        from,
        conduct: parked(ttl),
    };
    let start = (from > 0).then(|| honest(0));
    start.into_iter().chain([lapsed, honest(to)]).collect()
}

fn honest(from: u64) -> Phase {
    Phase {
        from,
        conduct: Conduct::Honest,
    }
}

fn parked(ttl: u32) -> Conduct {
    everywhere(ttl, [198, 51, 100, 117])
}

fn everywhere(ttl: u32, octets: [u8; 4]) -> Conduct {
    Conduct::Wildcard(vec![a(ttl, octets)])
}

fn a(ttl: u32, octets: [u8; 4]) -> (u32, Rdata) {
    (ttl, Rdata::A(Ipv4Addr::from(octets)))
}

fn lab_name(label: &str) -> Name {
    format!("{label}.lab.test").parse().expect("a good name")
}

fn list(origin: Name, (kind, text): File) -> Content {
    let file = origin.to_string();
    let dataset = Dataset::parse(kind, &file, text).expect("the embedded lists are good");
    Content::List(Zone::new(origin, vec![dataset]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    fn zones_of(catalogue: &str) -> HashSet<String> {
        let table: toml::Table = catalogue.parse().expect("good TOML");
        let lists = table["list"].as_array().expect("lists");
        lists
            .iter()
            .map(|list| list["zone"].as_str().expect("a zone").to_owned())
            .collect()
    }

    #[test]
    fn embedded_lists_have_no_broken_line() {
        for zone in embedded_zones() {
            let Content::List(list) = &zone.content else { continue };
            for dataset in list.datasets() {
                assert!(dataset.warnings().is_empty(), "{}", dataset.warnings().kept[0]);
                assert!(dataset.soa().is_some(), "{} has an SOA", zone.origin);
            }
        }
    }

    #[test]
    fn the_catalogues_name_the_lists_that_are_served() {
        let served = |bad: bool| -> HashSet<String> {
            embedded_zones()
                .iter()
                .filter(|zone| zone.content.is_list())
                .map(|zone| zone.origin.to_string())
                .filter(|origin| origin.starts_with('f') == bad)
                .collect()
        };
        assert_eq!(zones_of(CATALOGUE_BAD), served(true));
        let subzones = |zone: &String| !zone.ends_with(".zen.lab.test");
        assert_eq!(
            zones_of(CATALOGUE).into_iter().filter(subzones).collect::<HashSet<_>>(),
            served(false)
        );
    }
}
