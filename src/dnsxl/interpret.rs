//! From a reply to an observation. The order of the rules is the order of trust:
//!
//! 1. a refusal code in any record, REFUSED or NOTAUTH → `refused`
//! 2. an A record outside 127/8, or an alias that leads out of the list's zone → `invalid_answer` (RFC 6471 §3.3: parked)
//! 3. a defined listing code → `listed`, whatever stands beside it (all A records are read, RFC 5782 §2.3)
//! 4. TC without a listing → `timeout`: servers that limit rates answer so, and it never means "not listed"
//! 5. codes that the table defines as no listing → `not_listed`; codes that it does not define → `invalid_answer`
//! 6. NXDOMAIN or NODATA → `not_listed`; an answer section of which nothing can be read → `invalid_answer`
//! 7. SERVFAIL and every other response code → `servfail`: the server did not answer the question

use std::net::Ipv4Addr;

use crate::exchange::Reply;
use crate::wire::{Answer, Name, Rcode};

use super::codes::{Code, Meaning, is_code, is_refusal_space};
use super::list::{List, Operator, Role, Tier};
use super::observation::{Cause, Listing, Observation};

/// Longest reason that is kept, in octets of text: TXT records that say more are advertisements, and a dossier holds one
/// for each listing.
pub const REASON_OCTETS_MAX: usize = 1024;

/// What a listing on a list without a code table means.
const PLAIN_MEANING: &str = "listed";

/// A reply as far as it bears on a list.
#[derive(Debug, Clone, Copy)]
pub struct Heard<'a> {
    /// The response code.
    pub rcode: Rcode,
    /// The TC bit of the last word on it (after TCP, if that was tried).
    pub truncated: bool,
    /// Records in the answer section, as the header says.
    pub answers: u16,
    /// The decoded message; none if there was none to decode, or it could not be.
    pub answer: Option<&'a Answer>,
}

impl<'a> Heard<'a> {
    /// What a reply says, with its decoded message.
    pub fn of(reply: &Reply, answer: Option<&'a Answer>) -> Heard<'a> {
        Heard {
            rcode: reply.rcode,
            truncated: reply.truncated,
            answers: reply.answers,
            answer,
        }
    }
}

/// Whose rules a reply is read by.
#[derive(Debug, Clone, Copy)]
pub struct Reader<'a> {
    /// The list that was asked.
    pub list: &'a List,
    /// Who runs it.
    pub operator: &'a Operator,
    /// The list's zone behind any key ([`Questions::apex`](super::Questions::apex)).
    pub apex: &'a Name,
}

/// A reply, sorted: what both interpretation and health go by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Sight {
    /// REFUSED, NOTAUTH, or this refusal code.
    Refused(Option<Ipv4Addr>),
    /// An address outside 127/8.
    Foreign(Ipv4Addr),
    /// An alias that leads out of the zone.
    Away(Box<Name>),
    /// Answers inside 127/8, sorted, none twice, never empty. The second says whether the reply was cut short.
    Codes(Vec<Ipv4Addr>, bool),
    /// Cut short, with nothing in it.
    Cut,
    /// An answer section of which nothing can be read.
    Garbled,
    /// There is no such name.
    NxDomain,
    /// The name has no A record.
    NoData,
    /// The server failed, or answered with another response code.
    Failed(Rcode),
}

impl<'a> Reader<'a> {
    /// What a reply to an A question says of the target.
    pub fn interpret(&self, heard: Heard<'_>) -> Observation {
        let (codes, cut) = match self.sight(heard) {
            Sight::Refused(_) => return Observation::Unknown(Cause::Refused),
            Sight::Foreign(_) | Sight::Away(_) | Sight::Garbled => return Observation::Unknown(Cause::InvalidAnswer),
            Sight::Cut => return Observation::Unknown(Cause::Timeout),
            Sight::Failed(_) => return Observation::Unknown(Cause::Servfail),
            Sight::NxDomain | Sight::NoData => return Observation::NotListed,
            Sight::Codes(codes, cut) => (codes, cut),
        };
        let read = self.read(&codes);
        if !read.codes.is_empty() {
            let ttl = heard.answer.and_then(Answer::ttl_min).unwrap_or(0);
            return Observation::Listed(Box::new(read.listing(ttl)));
        }
        match (cut, read.undefined) {
            (true, _) => Observation::Unknown(Cause::Timeout),
            (false, true) => Observation::Unknown(Cause::InvalidAnswer),
            (false, false) => Observation::NotListed,
        }
    }

    /// Whether an answer is a refusal, by the list's or its operator's patterns or by custom.
    pub fn is_refusal(&self, address: Ipv4Addr) -> bool {
        let mut patterns = self.list.refusal.iter().chain(&self.operator.refusal);
        is_refusal_space(address) || patterns.any(|pattern| pattern.matches(address))
    }

    /// Sorts a reply.
    pub(super) fn sight(&self, heard: Heard<'_>) -> Sight {
        match heard.rcode {
            Rcode::NOERROR | Rcode::NXDOMAIN => {}
            Rcode::REFUSED | Rcode::NOTAUTH => return Sight::Refused(None),
            other => return Sight::Failed(other),
        }
        let mut codes: Vec<Ipv4Addr> = heard
            .answer
            .map_or_else(Vec::new, |answer| answer.addresses_v4().collect());
        codes.sort_unstable();
        codes.dedup();
        if let Some(&code) = codes.iter().find(|&&code| self.is_refusal(code)) {
            return Sight::Refused(Some(code));
        }
        if let Some(&address) = codes.iter().find(|&&code| !is_code(code)) {
            return Sight::Foreign(address);
        }
        let mut aliases = heard.answer.map_or(&[][..], |answer| &answer.aliases).iter();
        if let Some(alias) = aliases.find(|alias| !alias.is_under(self.apex)) {
            return Sight::Away(Box::new(alias.clone()));
        }
        match codes.is_empty() {
            true => without_addresses(heard),
            // A name that does not exist has no addresses: who says both cannot be believed.
            false if heard.rcode == Rcode::NXDOMAIN => Sight::Garbled,
            false => Sight::Codes(codes, heard.truncated),
        }
    }

    /// Puts the codes through the table.
    fn read(&self, codes: &[Ipv4Addr]) -> Read {
        let mut read = Read {
            codes: Vec::new(),
            meanings: Vec::new(),
            hardest: (Role::Allow, Tier::W),
            undefined: false,
        };
        for &code in codes {
            let (meaning, weight) = match self.list.codes.interpret(code) {
                Meaning::Undefined => {
                    read.undefined = true;
                    continue;
                }
                Meaning::Plain => (PLAIN_MEANING.to_owned(), (self.list.role, self.list.tier)),
                Meaning::Defined(entries) => match self.weigh(&entries) {
                    Some(weighed) => weighed,
                    None => continue,
                },
            };
            read.hardest = match read.codes.is_empty() {
                true => weight,
                false => read.hardest.min(weight),
            };
            read.codes.push(code);
            read.meanings.push(meaning);
        }
        read
    }

    /// The joined meaning and the hardest role and tier of the entries that are listings; none if none is.
    fn weigh(&self, entries: &[&Code]) -> Option<(String, (Role, Tier))> {
        let listings = || entries.iter().filter(|code| code.listing);
        let hardest = listings().map(|code| self.weight(code)).min()?;
        let meanings: Vec<&str> = listings().map(|code| code.means.as_str()).collect();
        Some((meanings.join("; "), hardest))
    }

    /// The role and tier of one code. A code with a role of its own and no tier does not take the list's tier, which was
    /// given for another role.
    fn weight(&self, code: &Code) -> (Role, Tier) {
        let role = code.role.unwrap_or(self.list.role);
        let tier = match (code.tier, role) {
            (Some(tier), _) => tier,
            (None, role) if role == self.list.role => self.list.tier,
            (None, Role::Block) => Tier::B,
            (None, Role::Info) => Tier::C,
            (None, Role::Allow) => Tier::W,
        };
        (role, tier)
    }
}

/// A positive or negative reply without A records.
fn without_addresses(heard: Heard<'_>) -> Sight {
    let aliased = heard.answer.is_some_and(|answer| !answer.aliases.is_empty());
    let ended = heard.answer.is_some_and(|answer| answer.soa.is_some());
    if heard.truncated {
        Sight::Cut
    } else if heard.rcode == Rcode::NXDOMAIN {
        Sight::NxDomain
    } else if heard.answers == 0 || (aliased && ended) {
        Sight::NoData
    } else {
        // Records that are not for this name, cannot be read, or an alias that nobody followed to its end.
        Sight::Garbled
    }
}

/// The codes of one reply, read.
struct Read {
    codes: Vec<Ipv4Addr>,
    meanings: Vec<String>,
    hardest: (Role, Tier),
    undefined: bool,
}

impl Read {
    fn listing(self, ttl: u32) -> Listing {
        Listing {
            codes: self.codes,
            meanings: self.meanings,
            role: self.hardest.0,
            tier: self.hardest.1,
            reason: None,
            ttl,
        }
    }
}

/// The reason in the TXT records of an entry (RFC 5782 §2.1), several joined with a line break; none if they are empty.
///
/// Valid UTF-8 stays as it is; other octets become `\xNN`, as does a backslash before an `x`, so that nothing is lost.
/// Controls stay in: whoever shows it escapes them. Cut at [`REASON_OCTETS_MAX`], then with `…` at its end.
pub fn reason(answer: &Answer) -> Option<String> {
    let mut text = String::new();
    for octets in answer.texts().filter(|octets| !octets.is_empty()) {
        if !text.is_empty() {
            text.push('\n');
        }
        for chunk in octets.utf8_chunks() {
            text.push_str(&chunk.valid().replace("\\x", "\\x5cx"));
            for octet in chunk.invalid() {
                text.push_str(&format!("\\x{octet:02x}"));
            }
        }
    }
    if text.len() > REASON_OCTETS_MAX {
        text.truncate(text.floor_char_boundary(REASON_OCTETS_MAX));
        text.push('…');
    }
    Some(text).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
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
            listed.codes,
            [Ipv4Addr::new(127, 0, 0, 2), Ipv4Addr::new(127, 0, 0, 10)]
        );
        assert_eq!(listed.meanings, ["spam", "dynamic"]);
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
        assert_eq!(beside.codes, [Ipv4Addr::new(127, 0, 0, 2)]);
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
            listing(&list, &addresses(&[[127, 0, 0, 3], [127, 0, 0, 2]])).meanings,
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
                prop_assert!(!listing.codes.is_empty());
                prop_assert_eq!(listing.codes.len(), listing.meanings.len());
            }
        }
    }
}
