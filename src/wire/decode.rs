//! Replies that carry records, decoded in full: CNAME chain, records of the asked type, and the authority's SOA.
//!
//! Framing is walked record by record, and each record is read through hickory-proto on its own, so that a bad one is
//! counted and left out while the good ones beside it stay. Only the chain that starts at the asked name counts:
//! records of other names are ignored (they may be poison). Work is bounded by the message's length and [`RECORDS_MAX`].

use hickory_proto::rr::{DNSClass, Name as CodecName, RData as CodecData, Record as CodecRecord};
use hickory_proto::serialize::binary::{BinDecodable, BinDecoder};

use super::name::{Name, NameError};
use super::record::{Answer, Rdata, Record, Rtype, SERVERS_MAX, Soa};

/// Records read from one message at most; a 64 KiB message of the smallest records would have some 5,000.
const RECORDS_MAX: usize = 1_024;

/// CNAMEs followed within one message.
const CHAIN_MAX: usize = 16;

/// Why a message has no answer to give.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The header or question is cut short.
    #[error("message cut short before its records")]
    Cut,
    /// The CNAMEs within the message go round, or on for too long.
    #[error("CNAME loop")]
    CnameLoop,
}

/// Decodes a reply to the question (`name`, `rtype`) that has been matched before.
///
/// # Errors
/// If there is nothing that could be read as records, or the CNAMEs loop. A bad record is no error: see
/// [`Answer::malformed`].
pub fn decode(message: &[u8], name: &Name, rtype: Rtype) -> Result<Answer, DecodeError> {
    let sections = read_sections(message, rtype)?;
    let mut answer = Answer {
        malformed: sections.malformed,
        soa: sections.soa.map(Box::new),
        servers: sections.servers.map(Box::new),
        ..Answer::default()
    };
    let mut owner = name.clone();
    loop {
        let alias = sections.answers.iter().find_map(|record| match &record.data {
            Rdata::Cname(alias) if record.name == owner => Some(alias.clone()),
            _ => None,
        });
        // Who asks for the alias itself does not want it followed.
        let Some(alias) = alias.filter(|_| rtype != Rtype::CNAME) else {
            break;
        };
        if answer.aliases.len() == CHAIN_MAX || alias == *name || answer.aliases.contains(&alias) {
            return Err(DecodeError::CnameLoop);
        }
        answer.aliases.push(alias.clone());
        owner = alias;
    }
    answer.records = sections
        .answers
        .into_iter()
        .filter(|record| record.name == owner && (record.data.rtype() == rtype || rtype == Rtype::ANY))
        .collect();
    Ok(answer)
}

struct Sections {
    answers: Vec<Record>,
    soa: Option<(Name, u32, Soa)>,
    servers: Option<(Name, Vec<Name>)>,
    malformed: u16,
}

fn read_sections(message: &[u8], rtype: Rtype) -> Result<Sections, DecodeError> {
    let header = message.get(..12).ok_or(DecodeError::Cut)?;
    let count = |at: usize| usize::from(u16::from_be_bytes([header[at], header[at + 1]]));
    let (questions, answers, authority) = (count(4), count(6), count(8));
    let mut at = 12;
    for _ in 0..questions.min(RECORDS_MAX) {
        at = skip_name(message, at).ok_or(DecodeError::Cut)? + 4;
    }
    let mut sections = Sections {
        answers: Vec::new(),
        soa: None,
        servers: None,
        malformed: 0,
    };
    for index in 0..(answers + authority).min(RECORDS_MAX) {
        let Some(end) = skip_record(message, at) else {
            // What is said to follow is not there: nothing behind it can be framed either.
            sections.malformed = sections.malformed.saturating_add(1);
            break;
        };
        // What the authority adds to an answer is of no use: it says why there is none, or who else to ask.
        if index == answers && sections.answers.iter().any(|record| record.data.rtype() == rtype) {
            break;
        }
        match read_record(&message[..end], at) {
            Some(record) if index < answers => sections.answers.push(record),
            Some(Record {
                name,
                ttl,
                data: Rdata::Soa(soa),
            }) => sections.soa = sections.soa.or(Some((name, ttl, soa))),
            Some(Record {
                name,
                data: Rdata::Ns(server),
                ..
            }) => {
                let (owner, servers) = sections.servers.get_or_insert_with(|| (name.clone(), Vec::new()));
                if *owner == name && servers.len() < SERVERS_MAX {
                    servers.push(server);
                }
            }
            Some(_) => (),
            None => sections.malformed = sections.malformed.saturating_add(1),
        }
        at = end;
    }
    Ok(sections)
}

/// The octet behind a name, whose compression pointer, if any, is not followed.
fn skip_name(message: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match *message.get(at)? {
            0 => return Some(at + 1),
            len @ 1..=63 => at += 1 + usize::from(len),
            0xc0.. => return Some(at + 2),
            _ => return None, // 0x40 and 0x80: extended labels, never assigned (RFC 6891 §5)
        }
    }
}

/// The octet behind a record, if all of it is there.
fn skip_record(message: &[u8], at: usize) -> Option<usize> {
    let fixed = skip_name(message, at)?;
    let length = message.get(fixed + 8..fixed + 10)?;
    let end = fixed + 10 + usize::from(u16::from_be_bytes([length[0], length[1]]));
    (end <= message.len()).then_some(end)
}

fn read_record(message: &[u8], at: usize) -> Option<Record> {
    let mut decoder = BinDecoder::new(message).clone(u16::try_from(at).ok()?);
    let record = CodecRecord::<CodecData>::read(&mut decoder).ok()?;
    let rtype = Rtype(u16::from(record.record_type()));
    if record.dns_class != DNSClass::IN && rtype != Rtype::OPT {
        return None;
    }
    let data = match record.data {
        CodecData::A(a) => Rdata::A(a.0),
        CodecData::AAAA(aaaa) => Rdata::Aaaa(aaaa.0),
        CodecData::CNAME(alias) => Rdata::Cname(convert(&alias.0).ok()?),
        CodecData::NS(server) => Rdata::Ns(convert(&server.0).ok()?),
        CodecData::PTR(pointer) => Rdata::Ptr(convert(&pointer.0).ok()?),
        CodecData::MX(mx) => Rdata::Mx {
            preference: mx.preference,
            exchange: convert(&mx.exchange).ok()?,
        },
        CodecData::TXT(txt) => Rdata::Txt(txt.txt_data.into_vec()),
        CodecData::SOA(soa) => Rdata::Soa(Soa {
            primary: convert(&soa.mname).ok()?,
            serial: soa.serial,
            minimum: soa.minimum,
        }),
        _ => Rdata::Other(rtype),
    };
    Some(Record {
        name: convert(&record.name).ok()?,
        ttl: if record.ttl > i32::MAX as u32 { 0 } else { record.ttl }, // RFC 2181 §8
        data,
    })
}

/// In lower case: servers point from names in records into the question, whose case was chosen at random.
fn convert(name: &CodecName) -> Result<Name, NameError> {
    let mut converted = Name::root();
    for label in name.iter() {
        converted.push(label)?;
    }
    Ok(converted.to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::super::{Flags, QueryTail};
    use super::*;
    use std::net::Ipv4Addr;

    fn name(text: &str) -> Name {
        text.parse().expect("a name")
    }

    /// A reply to `a.test A` with records written by hand: (section 0 or 1, octets).
    fn reply(records: &[(u8, &[u8])]) -> Vec<u8> {
        let tail = QueryTail {
            rtype: Rtype::A,
            flags: Flags {
                recursion: false,
                edns: false,
            },
        };
        let mut message = name("a.test").query(1, tail);
        message[2] |= 0x80;
        for (section, octets) in records {
            message[7 + 2 * usize::from(*section)] += 1;
            message.extend_from_slice(octets);
        }
        message
    }

    fn record(owner: &[u8], rtype: u8, data: &[u8]) -> Vec<u8> {
        let mut record = owner.to_vec();
        record.extend_from_slice(&[0, rtype, 0, 1, 0, 0, 0, 60, 0, data.len() as u8]);
        record.extend_from_slice(data);
        record
    }

    const OWNER: &[u8] = b"\xc0\x0c";

    #[test]
    fn a_bad_record_does_not_cost_the_good_ones() {
        let good = record(OWNER, 1, &[127, 0, 0, 2]);
        let short = record(OWNER, 1, &[127, 0, 0]);
        let later = record(OWNER, 1, &[127, 0, 0, 4]);
        let message = reply(&[(0, &good), (0, &short), (0, &later)]);
        let answer = decode(&message, &name("a.test"), Rtype::A).expect("readable");
        let addresses: Vec<_> = answer.addresses_v4().collect();
        assert_eq!(addresses, [Ipv4Addr::new(127, 0, 0, 2), Ipv4Addr::new(127, 0, 0, 4)]);
        assert_eq!(answer.malformed, 1);
        assert_eq!(answer.ttl_min(), Some(60));
    }

    #[test]
    fn records_of_other_names_are_not_believed() {
        let other = record(b"\x01b\x04test\x00", 1, &[127, 0, 0, 2]);
        let answer = decode(&reply(&[(0, &other)]), &name("a.test"), Rtype::A).expect("readable");
        assert!(answer.records.is_empty());
    }

    #[test]
    fn the_chain_within_the_message_is_followed_in_any_order() {
        let target = record(b"\x01b\x04test\x00", 1, &[127, 0, 0, 2]);
        let alias = record(OWNER, 5, b"\x01b\x04test\x00");
        let answer = decode(&reply(&[(0, &target), (0, &alias)]), &name("a.test"), Rtype::A).expect("readable");
        assert_eq!(answer.aliases, [name("b.test")]);
        assert_eq!(answer.records.len(), 1);
    }

    #[test]
    fn cname_loops_end() {
        let there = record(OWNER, 5, b"\x01b\x04test\x00");
        let back = record(b"\x01b\x04test\x00", 5, OWNER);
        let message = reply(&[(0, &there), (0, &back)]);
        assert_eq!(decode(&message, &name("a.test"), Rtype::A), Err(DecodeError::CnameLoop));
        let own = record(OWNER, 5, OWNER);
        assert_eq!(
            decode(&reply(&[(0, &own)]), &name("a.test"), Rtype::A),
            Err(DecodeError::CnameLoop)
        );
    }

    #[test]
    fn the_zone_that_says_no_is_told() {
        let mut data = b"\x02ns\x04test\x00\x01h\x04test\x00".to_vec();
        data.extend_from_slice(&[0, 0, 0, 7, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 30]);
        let soa = record(b"\x04test\x00", 6, &data);
        let answer = decode(&reply(&[(1, &soa)]), &name("a.test"), Rtype::A).expect("readable");
        let (owner, ttl, soa) = *answer.soa.expect("an SOA");
        assert_eq!((owner, ttl, soa.serial, soa.minimum), (name("test"), 60, 7, 30));
    }

    #[test]
    fn counts_beyond_the_message_and_pointers_that_loop_end() {
        let mut message = reply(&[]);
        message[6] = 0xff;
        let answer = decode(&message, &name("a.test"), Rtype::A).expect("readable");
        assert_eq!((answer.records.len(), answer.malformed), (0, 1));

        let itself = u8::try_from(reply(&[]).len()).expect("short");
        let looping = record(&[0xc0, itself], 1, &[127, 0, 0, 2]);
        let answer = decode(&reply(&[(0, &looping)]), &name("a.test"), Rtype::A).expect("readable");
        assert_eq!((answer.records.len(), answer.malformed), (0, 1));
        assert_eq!(decode(&[0; 11], &name("a.test"), Rtype::A), Err(DecodeError::Cut));
    }

    proptest::proptest! {
        #[test]
        fn octets_of_any_kind_never_panic(octets in proptest::collection::vec(proptest::num::u8::ANY, 0..600)) {
            let _ = decode(&octets, &name("a.test"), Rtype::A);
        }

        #[test]
        fn a_good_reply_with_octets_changed_never_panics(
            changes in proptest::collection::vec((0usize..200, proptest::num::u8::ANY), 1..8),
        ) {
            let target = record(b"\x01b\x04test\x00", 1, &[127, 0, 0, 2]);
            let alias = record(OWNER, 5, b"\x01b\x04test\x00");
            let text = record(OWNER, 16, b"\x03abc\x00");
            let mut message = reply(&[(0, &target), (0, &alias), (0, &text), (1, &text)]);
            for (at, octet) in changes {
                let at = at % message.len();
                message[at] = octet;
            }
            let _ = decode(&message, &name("a.test"), Rtype::A);
        }
    }
}
