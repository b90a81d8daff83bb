//! Replies of every sort, and what they may and may not say of a target.

use proptest::prelude::*;

use super::super::testing::{addresses, code, coded, list, name, nothing_from, operator};
use super::*;
use crate::wire::{Rdata, Record};

fn heard(answer: &Answer) -> Heard<'_> {
    Heard {
        rcode: Rcode::NOERROR,
        truncated: false,
        answers: (answer.records.len() + answer.aliases.len()) as u16,
        answer: Some(answer),
    }
}

fn bare(rcode: Rcode) -> Heard<'static> {
    Heard {
        rcode,
        truncated: false,
        answers: 0,
        answer: None,
    }
}

fn interpret(list: &List, heard: Heard<'_>) -> Observation {
    let (operator, apex) = (operator(&["127.0.0.1"]), name("bl.example"));
    let reader = Reader {
        list,
        operator: &operator,
        apex: &apex,
    };
    reader.interpret(heard)
}

fn listing(list: &List, answer: &Answer) -> Listing {
    match interpret(list, heard(answer)) {
        Observation::Listed(listing) => *listing,
        other => panic!("listed, not {other:?}"),
    }
}

#[test]
fn response_codes_are_told_apart() {
    let list = list("bl.example");
    for (rcode, expected) in [
        (Rcode::NXDOMAIN, Observation::NotListed),
        (Rcode::NOERROR, Observation::NotListed),
        (Rcode::SERVFAIL, Observation::Unknown(Cause::Servfail)),
        (Rcode::FORMERR, Observation::Unknown(Cause::Servfail)),
        (Rcode(6), Observation::Unknown(Cause::Servfail)),
        (Rcode::REFUSED, Observation::Unknown(Cause::Refused)),
        (Rcode::NOTAUTH, Observation::Unknown(Cause::Refused)),
    ] {
        assert_eq!(interpret(&list, bare(rcode)), expected, "{rcode}");
    }
}

#[test]
fn every_a_record_is_read_and_the_hardest_code_weighs() {
    let mut list = coded(
        "bl.example",
        &[
            ("127.0.0.2", "spam"),
            ("127.0.0.10-11", "dynamic"),
            ("127.0.0.9", "worse"),
        ],
    );
    list.codes.entries[1].tier = Some(Tier::C);
    list.codes.entries[2].tier = Some(Tier::A);
    let listed = listing(&list, &addresses(&[[127, 0, 0, 10], [127, 0, 0, 2], [127, 0, 0, 10]]));
    assert_eq!(
        listed.codes.answers,
        [Ipv4Addr::new(127, 0, 0, 2), Ipv4Addr::new(127, 0, 0, 10)]
    );
    assert_eq!(listed.codes.meanings, ["spam", "dynamic"]);
    assert_eq!((listed.role, listed.tier, listed.ttl), (Role::Block, Tier::B, 300));
    assert_eq!(
        listing(&list, &addresses(&[[127, 0, 0, 9], [127, 0, 0, 10]])).tier,
        Tier::A
    );
    assert_eq!(listing(&list, &addresses(&[[127, 0, 0, 11]])).tier, Tier::C);
}

#[test]
fn a_zone_may_mix_roles() {
    let mut list = coded("bl.example", &[("127.0.0.2", "bad"), ("127.0.0.5", "good")]);
    list.codes.entries[1].role = Some(Role::Allow);
    let good = listing(&list, &addresses(&[[127, 0, 0, 5]]));
    assert_eq!((good.role, good.tier), (Role::Allow, Tier::W));
    let both = listing(&list, &addresses(&[[127, 0, 0, 5], [127, 0, 0, 2]]));
    assert_eq!((both.role, both.tier), (Role::Block, Tier::B));
}

#[test]
fn undefined_codes_are_no_listing_unless_a_defined_one_stands_beside() {
    let list = coded("bl.example", &[("127.0.0.2", "spam")]);
    let alone = addresses(&[[127, 0, 0, 77]]);
    assert_eq!(
        interpret(&list, heard(&alone)),
        Observation::Unknown(Cause::InvalidAnswer)
    );
    let beside = listing(&list, &addresses(&[[127, 0, 0, 77], [127, 0, 0, 2]]));
    assert_eq!(beside.codes.answers, [Ipv4Addr::new(127, 0, 0, 2)]);
}

#[test]
fn a_code_defined_as_no_listing_is_not_listed() {
    let mut list = coded("bl.example", &[("127.0.0.2", "spam")]);
    let mut none = code("127.0.0.3", "no opinion");
    none.listing = false;
    list.codes.entries.push(none);
    assert_eq!(
        interpret(&list, heard(&addresses(&[[127, 0, 0, 3]]))),
        Observation::NotListed
    );
    assert_eq!(
        listing(&list, &addresses(&[[127, 0, 0, 3], [127, 0, 0, 2]]))
            .codes
            .meanings,
        ["spam"]
    );
}

#[test]
fn refusals_and_foreign_addresses_win_over_listings() {
    let mut list = coded("bl.example", &[("127.0.0.2", "spam"), ("127.0.*.*", "anything")]);
    list.refusal = vec!["127.0.10.*".parse().expect("a pattern")];
    for refusal in [[127, 0, 0, 1], [127, 0, 10, 3], [127, 255, 255, 254]] {
        let answer = addresses(&[[127, 0, 0, 2], refusal]);
        assert_eq!(
            interpret(&list, heard(&answer)),
            Observation::Unknown(Cause::Refused),
            "{refusal:?}"
        );
    }
    let parked = addresses(&[[127, 0, 0, 2], [91, 195, 240, 117]]);
    assert_eq!(
        interpret(&list, heard(&parked)),
        Observation::Unknown(Cause::InvalidAnswer)
    );
}

#[test]
fn aliases_may_stay_in_the_zone_only() {
    let list = list("bl.example");
    let mut answer = addresses(&[[127, 0, 0, 2]]);
    answer.aliases = vec![name("other.BL.example")];
    assert!(matches!(interpret(&list, heard(&answer)), Observation::Listed(_)));
    answer.aliases.push(name("parking.test"));
    assert_eq!(
        interpret(&list, heard(&answer)),
        Observation::Unknown(Cause::InvalidAnswer)
    );
    // A chain that nobody followed to its end is not "not listed"; one that ends in NODATA is.
    answer.records.clear();
    answer.aliases.pop();
    assert_eq!(
        interpret(&list, heard(&answer)),
        Observation::Unknown(Cause::InvalidAnswer)
    );
    answer.soa = nothing_from("bl.example").soa;
    assert_eq!(interpret(&list, heard(&answer)), Observation::NotListed);
}

#[test]
fn a_reply_cut_short_never_means_not_listed() {
    let list = coded("bl.example", &[("127.0.0.2", "spam")]);
    for rcode in [Rcode::NOERROR, Rcode::NXDOMAIN] {
        let cut = Heard {
            truncated: true,
            ..bare(rcode)
        };
        assert_eq!(interpret(&list, cut), Observation::Unknown(Cause::Timeout));
    }
    let answer = addresses(&[[127, 0, 0, 2]]);
    let cut = Heard {
        truncated: true,
        ..heard(&answer)
    };
    assert!(matches!(interpret(&list, cut), Observation::Listed(_)));
}

#[test]
fn an_answer_section_that_cannot_be_read_is_invalid() {
    let list = list("bl.example");
    let undecodable = Heard {
        answers: 1,
        ..bare(Rcode::NOERROR)
    };
    assert_eq!(
        interpret(&list, undecodable),
        Observation::Unknown(Cause::InvalidAnswer)
    );
    let answer = addresses(&[[127, 0, 0, 2]]);
    let contradiction = Heard {
        rcode: Rcode::NXDOMAIN,
        ..heard(&answer)
    };
    assert_eq!(
        interpret(&list, contradiction),
        Observation::Unknown(Cause::InvalidAnswer)
    );
}

#[test]
fn reasons_keep_every_octet_and_are_bounded() {
    let text = |strings: &[&[u8]]| Record {
        name: name("2.0.0.127.bl.example"),
        ttl: 60,
        data: Rdata::Txt(strings.iter().map(|string| (*string).into()).collect()),
    };
    let answer = |records| Answer {
        records,
        ..Answer::default()
    };
    assert_eq!(
        reason(&answer(vec![text(&[b"see ", b"\xffx \\x41"]), text(&[b"two"])])).as_deref(),
        Some("see \\xffx \\x5cx41\ntwo")
    );
    assert_eq!(reason(&answer(vec![text(&[b""])])), None);
    assert_eq!(reason(&answer(vec![])), None);
    let long = "é".repeat(REASON_OCTETS_MAX);
    let cut = reason(&answer(vec![text(&[long.as_bytes()])])).expect("a reason");
    assert!(cut.ends_with('…') && cut.len() <= REASON_OCTETS_MAX + '…'.len_utf8());
}

proptest! {
    /// Whatever stands in a reply and in the table: no address outside 127/8 and no refusal code is ever a listing.
    #[test]
    fn nothing_foreign_and_no_refusal_is_ever_listed(
        octets in prop::collection::vec(prop::array::uniform4(any::<u8>()), 1..4),
        local in any::<bool>(),
        patterns in prop::collection::vec(prop::sample::select(vec!["127.*.*.*", "&1", "&128", "127.0.0.2", "127.0.0.1-127.255.255.255"]), 0..3),
        refusal in prop::sample::select(vec!["127.0.0.1", "&1", "127.0.10.*", "127.128.0.0-127.255.255.255"]),
    ) {
        let octets: Vec<[u8; 4]> = octets.into_iter().map(|[a, b, c, d]| [if local { 127 } else { a }, b, c, d]).collect();
        let codes: Vec<(&str, &str)> = patterns.iter().map(|pattern| (*pattern, "x")).collect();
        let (list, operator, apex) = (coded("bl.example", &codes), operator(&[refusal]), name("bl.example"));
        let reader = Reader { list: &list, operator: &operator, apex: &apex };
        let answer = addresses(&octets);
        if let Observation::Listed(listing) = reader.interpret(heard(&answer)) {
            let refused = operator.refusal[0];
            for record in octets {
                let address = Ipv4Addr::from(record);
                prop_assert!(record[0] == 127 && !refused.matches(address) && record[..3] != [127, 255, 255]);
            }
            prop_assert!(!listing.codes.answers.is_empty());
            prop_assert_eq!(listing.codes.answers.len(), listing.codes.meanings.len());
        }
    }
}

/// A record that cannot be read may have been any code: what is beside it stands, and clears nobody.
#[test]
fn what_cannot_be_read_is_not_taken_for_nothing() {
    let mut list = coded("bl.example", &[("127.0.0.2", "spam"), ("127.0.0.9", "no listing")]);
    list.codes.entries[1].listing = false;
    let damaged = |octets: [u8; 4]| Answer {
        malformed: 1,
        ..addresses(&[octets])
    };
    assert!(listing(&list, &damaged([127, 0, 0, 2])).partial);
    assert!(!listing(&list, &addresses(&[[127, 0, 0, 2]])).partial);
    let (whole, part) = (addresses(&[[127, 0, 0, 9]]), damaged([127, 0, 0, 9]));
    assert_eq!(interpret(&list, heard(&whole)), Observation::NotListed);
    assert_eq!(
        interpret(&list, heard(&part)),
        Observation::Unknown(Cause::InvalidAnswer)
    );
    // An alias within the zone that ends without an address, and one of which the address cannot be read.
    let mut alias = nothing_from("bl.example");
    alias.aliases.push(name("x.bl.example"));
    assert_eq!(interpret(&list, heard(&alias)), Observation::NotListed);
    alias.malformed = 1;
    assert_eq!(
        interpret(&list, heard(&alias)),
        Observation::Unknown(Cause::InvalidAnswer)
    );
}
