//! An address looked up by its number and one looked up by its name are one entry, whatever stands in the files: the second
//! way is the long one, through records and the rules of replies.

use proptest::prelude::*;

use super::*;
use crate::dnsxl::{Catalogue, Heard, Listing, reason};
use crate::targets::Domain;
use crate::wire::{Answer, Rcode, Record};
use crate::zone::{DatasetKind, ZoneAnswer};

/// One list with codes, some of which are no listing or a refusal, and one without.
const CATALOGUE: &str = r#"
[operator]
id = "bench"
name = "Bench"
[operator.terms]
use = "free"
refusal = ["127.0.0.7"]
[[list]]
id = "coded"
zone = "coded.test"
kinds = ["ip4", "ip6", "domain"]
role = "block"
tier = "B"
name_form = "both"
[list.codes]
"127.0.0.2" = { means = "spam" }
"127.0.1.2" = { means = "worse", tier = "A" }
"127.0.0.3" = { means = "good", role = "allow" }
"127.0.0.4" = { means = "nothing", role = "none" }
"&64" = { means = "a bit" }
"&32" = { means = "another" }
[[list]]
id = "plain"
zone = "plain.test"
kinds = ["ip4", "ip6", "domain"]
role = "info"
tier = "C"
"#;

fn catalogue() -> Catalogue {
    Catalogue::parse(&[("test.toml", CATALOGUE)]).expect("a good catalogue")
}

fn local(catalogue: &Catalogue, which: usize, files: &[(DatasetKind, Vec<u8>)]) -> Option<LocalList> {
    let list = &catalogue.lists()[which];
    let datasets = files
        .iter()
        .filter_map(|(kind, text)| Dataset::parse(*kind, "test", text).ok());
    let local = LocalList::new((list, catalogue.operator(list.operator)), datasets.collect());
    Some(local).filter(|local| Kind::ALL.iter().any(|kind| local.tells(*kind)))
}

/// What a server with the same data would be heard to say.
fn by_name(local: &LocalList, target: &Target) -> Observation {
    let names = local
        .questions
        .names(target)
        .expect("all kinds are taken, and no name is long");
    let known = names.iter().map(|name| {
        let (rcode, records) = match local.zone.answer(name, Rtype::ANY) {
            ZoneAnswer::Records(records) => (Rcode::NOERROR, records),
            ZoneAnswer::NoData => (Rcode::NOERROR, Vec::new()),
            ZoneAnswer::NxDomain | ZoneAnswer::Refused => (Rcode::NXDOMAIN, Vec::new()),
        };
        let of_type = |rtype: Rtype| {
            let records = records.iter().filter(move |record| record.data.rtype() == rtype);
            Answer {
                records: records.cloned().collect::<Vec<Record>>(),
                ..Answer::default()
            }
        };
        let codes = of_type(Rtype::A);
        let heard = Heard {
            rcode,
            truncated: false,
            answers: codes.records.len() as u16, // 255 at most
            answer: Some(&codes),
        };
        match local.reader().interpret(heard) {
            Observation::Listed(listing) => Observation::Listed(Box::new(Listing {
                reason: reason(&of_type(Rtype::TXT)),
                ..*listing
            })),
            known => known,
        }
    });
    known.reduce(Observation::either).expect("one name or two")
}

/// Addresses of few, so that entries and questions meet, and names.
fn targets() -> Vec<Target> {
    let ip4 = (0..48u32).map(|host| Target::Ip4((0x0a00_0000 | host).into()));
    let others = ["10.0.1.0", "10.9.9.9", "0.0.0.0", "255.255.255.255", "192.0.2.1"];
    let ip6 = [
        "2001:db8::",
        "2001:db8::1",
        "2001:db8:0:1::5",
        "2001:db9::1",
        "2002:a00:1::",
        "2002:a00:9::7",
        "2002:c000:201::1",
        "2001:db8:ffff::2",
    ];
    let names = ["mail.example.org", "example.org", "a.b.example.org", "other.test"];
    let addresses = others
        .iter()
        .chain(&ip6)
        .map(|text| match text.parse().expect("an address") {
            IpAddr::V4(address) => Target::Ip4(address),
            IpAddr::V6(address) => Target::Ip6(address),
        });
    let names = names.map(|text| Target::Domain(Domain::new(text).expect("a domain")));
    ip4.chain(addresses).chain(names).collect()
}

fn value() -> impl Strategy<Value = Vec<u8>> {
    let code = prop::sample::select(vec![
        "",
        "",
        "",
        ":2",
        ":2:",
        ":127.0.1.2:",
        ":3:",
        ":4:",
        ":7:",
        ":99:",
        ":96:",
        ":10:",
        ":127.255.255.254:",
        ":1.2.3.4:",
        ":0:",
    ]);
    let text = prop::sample::select(vec![
        &b""[..],
        b"",
        b"listed $",
        b"=own $ $= $1",
        b"$1$$2$2",
        b"\\x41 \xff\xfe $",
        b"caf\xc3\xa9 \x1b[2J",
        b"one",
        b"# comment",
    ]);
    (code, text).prop_map(|(code, text)| [code.as_bytes(), b" ", text].concat().trim_ascii_start().to_vec())
}

fn line() -> impl Strategy<Value = Vec<u8>> {
    let entry = prop_oneof![
        4 => (0u32..48).prop_map(|host| format!("10.0.0.{host}")),
        1 => (0u32..40, 1u32..12).prop_map(|(first, more)| format!("10.0.0.{first}-{}", first + more)),
        1 => (24u32..=32, 0u32..4).prop_map(|(bits, host)| format!("10.0.0.{}/{bits}", host * 16)),
        3 => prop::sample::select(vec![
            "10.0.0", "10/8", "0/0", "0.0.0.0-255.255.255.255", "10.0.0.0/25",
            "2001:db8:0:0", "2001:db8::/32", "2001:db8::1", "2002:a00:1:0", "2002::/16", "::/0",
            "1.0.0.10", "2.0.0.10", "*.0.0.10", ".10", "*.10.in-addr.arpa", "*.8.b.d.0.1.0.0.2", ".2", "*.f",
            "example.org", ".example.org", "*.org", "mail.example.org", "02.0.0.10",
        ]).prop_map(str::to_owned),
    ];
    let entry = (prop::sample::select(vec!["", "", "", "!"]), entry, value())
        .prop_map(|(sign, entry, value)| [sign.as_bytes(), entry.as_bytes(), b" ", &value].concat());
    let record = (
        prop::sample::select(vec!["1.0.0.10", "2.0.0.10", "@", "example.org", "9.0.0.10", "www"]),
        prop::sample::select(vec![
            "A 127.0.0.2",
            "90 A 127.0.0.3",
            "A 10.0.0.1",
            "TXT \"a text\"",
            "IN TXT \\x41 bare",
            "MX 5 mail.test",
            "5 TXT two",
        ]),
    )
        .prop_map(|(name, data)| format!("{name} {data}").into_bytes());
    let other = prop::sample::select(vec![
        "$TTL 60",
        "$1 first $",
        "$2 second",
        "$= <$=> ($)",
        ":3:default $",
        ":127.0.1.2:",
        "$MAXRANGE4 /24",
        "$DATASET ip4set @",
        "$DATASET ip4trie @ one",
        "$DATASET dnset @",
        "$DATASET dnset one",
        "$DATASET ip6trie @",
        "$DATASET generic @",
        "$DATASET ip4tset 10",
        "$DATASET ip4set 0.10 @",
        "$DATASET ip6tset 2",
    ])
    .prop_map(|line: &str| line.as_bytes().to_vec());
    prop_oneof![8 => entry, 2 => record, 2 => other]
}

fn files() -> impl Strategy<Value = Vec<(DatasetKind, Vec<u8>)>> {
    let kind = prop::sample::select(vec![
        "ip4set", "ip4set", "ip4tset", "ip4trie", "ip6tset", "ip6trie", "dnset", "generic", "combined", "combined",
        "cidr",
    ]);
    let lines = prop::collection::vec(line(), 1..40);
    let file = (kind, lines).prop_map(|(kind, mut lines)| {
        if kind == "combined" {
            lines.insert(0, b"$DATASET ip4set @".to_vec());
        }
        (DatasetKind::by_name(kind).expect("a kind"), lines.join(&b'\n'))
    });
    prop::collection::vec(file, 1..4)
}

proptest! {
    #[test]
    fn what_is_found_by_number_is_what_is_found_by_name(files in files(), which in 0usize..2) {
        let catalogue = catalogue();
        if let Some(local) = local(&catalogue, which, &files) {
            // Twice: what was found out once is said again.
            for target in targets().iter().chain(&targets()) {
                prop_assert_eq!(local.observe(target), by_name(&local, target), "{}", target);
            }
        }
    }
}

fn one(which: usize, kind: DatasetKind, text: &str, target: &str) -> Observation {
    let catalogue = catalogue();
    let local = local(&catalogue, which, &[(kind, text.as_bytes().to_vec())]).expect("entries");
    local.observe(&Target::Ip4(target.parse().expect("an address")))
}

#[test]
fn entries_of_one_code_have_their_own_texts_and_share_what_it_means() {
    let catalogue = catalogue();
    let text = ":2:listed, see ?$\n$TTL 90\n10.0.0.1\n10.0.0.2 own \\x text\n10.0.0.3 :127.0.1.2:\n";
    let local = local(&catalogue, 0, &[(DatasetKind::Ip4Set, text.into())]).expect("entries");
    let listing = |last: u8| match local.observe(&Target::Ip4([10, 0, 0, last].into())) {
        Observation::Listed(listing) => *listing,
        other => panic!("listed, not {other:?}"),
    };
    let [first, second, third] = [1, 2, 3].map(listing);
    assert_eq!(first.reason.as_deref(), Some("listed, see ?10.0.0.1"));
    assert_eq!(second.reason.as_deref(), Some("own \\x5cx text"));
    assert!(std::sync::Arc::ptr_eq(&first.codes, &second.codes));
    assert_eq!((first.codes.meanings.join(" "), first.ttl), ("spam".to_owned(), 90));
    // Another code with the same last octet.
    assert_eq!(
        (third.codes.meanings.join(" "), third.reason),
        ("worse".to_owned(), None)
    );
}

#[test]
fn a_subzone_with_a_number_for_its_name_answers_for_the_addresses_below_it() {
    let text = "$DATASET ip4set @\n192.0.2.1 :2:apex\n$DATASET dnset 10\n1.0.0 :3:below\n";
    let reason = |target: &str| match one(1, DatasetKind::Combined, text, target) {
        Observation::Listed(listing) => listing.reason,
        _ => None,
    };
    assert_eq!(reason("192.0.2.1").as_deref(), Some("apex"));
    assert_eq!(reason("10.0.0.1").as_deref(), Some("below"));
}

#[test]
fn names_like_addresses_are_entries_for_addresses_and_others_cost_nothing() {
    let catalogue = catalogue();
    let files = |names: &str| {
        let numbers = (DatasetKind::Ip4Set, b"10.0.0.1 :2:number".to_vec());
        local(
            &catalogue,
            1,
            &[numbers, (DatasetKind::Dnset, names.as_bytes().to_vec())],
        )
        .expect("entries")
    };
    let local = files("example.org\n*.0.0.10 :3:name");
    let Observation::Listed(both) = local.observe(&Target::Ip4([10, 0, 0, 1].into())) else {
        panic!("listed")
    };
    assert_eq!(both.reason.as_deref(), Some("number\nname"));
    assert!(matches!(
        local.zone.entry([10, 0, 0, 1].into()),
        AddressEntry::Records(_)
    ));
    let local = files("example.org\n*.0.0.10.in-addr.arpa\nbad.example");
    assert!(matches!(local.zone.entry([10, 0, 0, 1].into()), AddressEntry::One(_)));
}
