//! The truth about every name, and the messages that tell it or hide it.
//!
//! A name is SUBJECT.lNUMBER.sim.test. Whether a list knows a subject is a hash of both; the test entries of RFC 5782 §5 are as
//! they should be. One subject in so many is listed, of addresses and of names below `test`: a name somewhere else is
//! one that nobody has, and has not been seen.

use reputon::wire::Rcode;

/// What all that is true comes from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct World {
    pub(crate) seed: u64,
    /// One subject in so many is listed.
    pub(crate) listed_one_in: u64,
}

/// The code by which true servers list.
pub(crate) const LISTED: [u8; 4] = [127, 0, 0, 2];

/// The code that only forged replies hold; no list defines it, but no list needs to.
pub(crate) const FORGED: [u8; 4] = [127, 0, 0, 66];

const HEADER: usize = 12;

/// A question taken apart.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Question<'a> {
    /// Labels before the zone, in wire form without a root octet, in the case in which they came.
    pub(crate) subject: &'a [u8],
    /// The list; none for names outside.
    pub(crate) list: Option<usize>,
    pub(crate) text: bool,
    /// For a type of which no name has records.
    pub(crate) odd: bool,
    /// The octet behind the question.
    pub(crate) end: usize,
}

impl<'a> Question<'a> {
    pub(crate) fn of(query: &'a [u8]) -> Question<'a> {
        let mut at = HEADER;
        let (mut list, mut subject_end) = (None, HEADER);
        while query[at] != 0 {
            let label = &query[at + 1..at + 1 + usize::from(query[at])];
            let rest = &query[at + 1 + label.len()..];
            if list.is_none() && rest.len() > 9 && rest[..10].eq_ignore_ascii_case(b"\x03sim\x04test\0") {
                list = std::str::from_utf8(&label[1..])
                    .ok()
                    .and_then(|number| number.parse().ok());
                subject_end = at;
            }
            at += 1 + label.len();
        }
        Question {
            subject: &query[HEADER..subject_end],
            list,
            text: query[at + 1..at + 3] == [0, 16],
            odd: (67..128).contains(&query[at + 2]),
            end: at + 5,
        }
    }
}

/// Whether a list knows a subject.
pub(crate) fn is_listed(world: World, list: usize, subject: &[u8]) -> bool {
    let is = |test: &[u8]| subject.eq_ignore_ascii_case(test);
    if is_test_entry(subject) {
        return true;
    }
    if is(b"\x011\x010\x010\x03127") || is(b"\x07INVALID") || (subject.len() == 64 && is_mapped(subject, b'1')) {
        return false;
    }
    if [&b"\x03com"[..], b"\x03net", b"\x03org"]
        .iter()
        .any(|domain| subject.to_ascii_lowercase().ends_with(domain))
    {
        return false;
    }
    // FNV-1a, with the last word mixed: quick, and even enough for a world.
    let mut hash = 0xcbf2_9ce4_8422_2325 ^ world.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ (list as u64) << 17;
    for octet in subject {
        hash = (hash ^ u64::from(octet.to_ascii_lowercase())).wrapping_mul(0x0100_0000_01b3);
    }
    (hash ^ (hash >> 31)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 33 & 0x3fff_ffff < (1 << 30) / world.listed_one_in
}

/// Whether a subject is the positive test entry.
pub(crate) fn is_test_entry(subject: &[u8]) -> bool {
    let is = |test: &[u8]| subject.eq_ignore_ascii_case(test);
    is(b"\x012\x010\x010\x03127") || is(b"\x04TEST") || (subject.len() == 64 && is_mapped(subject, b'2'))
}

/// Whether a nibble name is ::ffff:127.0.0.LAST.
fn is_mapped(subject: &[u8], last: u8) -> bool {
    let nibbles = subject.chunks(2).map(|label| label[1].to_ascii_lowercase());
    let wanted = [last, b'0', b'0', b'0', b'0', b'0', b'f', b'7', b'f', b'f', b'f', b'f'];
    nibbles
        .zip(wanted.into_iter().chain(std::iter::repeat(b'0')))
        .all(|(nibble, wanted)| nibble == wanted)
}

/// A reply without records.
pub(crate) fn reply(query: &[u8], question: &Question<'_>, rcode: Rcode, authority: bool) -> Vec<u8> {
    let mut message = Vec::with_capacity(question.end + 32);
    message.extend_from_slice(&query[..question.end]);
    message[2] |= 0x80 | u8::from(authority) << 2;
    message[3] = rcode.0 | u8::from(!authority) << 7;
    message[6..12].fill(0);
    message
}

/// Adds an address for the name of the question.
pub(crate) fn add_address(message: &mut Vec<u8>, ttl: u32, address: [u8; 4]) {
    message[7] += 1;
    message.extend([0xc0, 12, 0, 1, 0, 1]);
    message.extend(ttl.to_be_bytes());
    message.extend([0, 4]);
    message.extend(address);
}

fn add_text(message: &mut Vec<u8>, ttl: u32, text: &str) {
    message[7] += 1;
    message.extend([0xc0, 12, 0, 16, 0, 1]);
    message.extend(ttl.to_be_bytes());
    message.extend((text.len() as u16 + 1).to_be_bytes());
    message.push(text.len() as u8); // a short sentence
    message.extend(text.as_bytes());
}

/// The true answer.
pub(crate) fn truth(world: World, query: &[u8], question: &Question<'_>, authority: bool) -> Vec<u8> {
    let listed = question
        .list
        .is_some_and(|list| is_listed(world, list, question.subject));
    if !listed {
        let apex = question.list.is_some() && question.subject.is_empty();
        let rcode = if apex { Rcode::NOERROR } else { Rcode::NXDOMAIN };
        return reply(query, question, rcode, authority);
    }
    let mut message = reply(query, question, Rcode::NOERROR, authority);
    match question.text {
        _ if question.odd => (),
        true => add_text(&mut message, 60, "seen in a simulation"),
        false => add_address(&mut message, 60, LISTED),
    }
    message
}
