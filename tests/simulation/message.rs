//! The messages of the simulated servers: replies made out of the query's own octets, and the truth about every name.
//!
//! Names are `NUMBER.ZONE`. Every seventh number is listed, the others do not exist; that is the whole world.

use rand::RngExt;
use rand::rngs::StdRng;

use reputon::wire::Rcode;

const HEADER_OCTETS: usize = 12;

/// The address by which the true servers list a name.
pub(crate) const LISTED: [u8; 4] = [127, 0, 0, 2];

/// The address that only forged replies hold.
const FORGED: [u8; 4] = [127, 6, 6, 6];

/// Whether the name with this number is listed.
pub(crate) fn is_listed(number: u64) -> bool {
    number.is_multiple_of(7)
}

/// The number in the first label of a message's question.
pub(crate) fn number_of(message: &[u8]) -> u64 {
    let len = usize::from(message[HEADER_OCTETS]);
    let label = &message[HEADER_OCTETS + 1..HEADER_OCTETS + 1 + len];
    let text = std::str::from_utf8(label).expect("numbers are digits");
    text.parse().expect("the first label is a number")
}

/// Whether a query has an OPT record.
pub(crate) fn has_edns(query: &[u8]) -> bool {
    query[11] == 1
}

/// The octet behind the question.
fn question_end(message: &[u8]) -> usize {
    let mut at = HEADER_OCTETS;
    while message[at] != 0 {
        at += 1 + usize::from(message[at]);
    }
    at + 5
}

/// A reply without records: the query's header and question, with the bits of an authoritative reply.
pub(crate) fn reply(query: &[u8], rcode: Rcode) -> Vec<u8> {
    let mut message = query[..question_end(query)].to_vec();
    message[2] |= 0x84;
    message[3] = rcode.0;
    message[6..12].fill(0);
    message
}

/// The true answer to a query.
pub(crate) fn truth(query: &[u8]) -> Vec<u8> {
    if is_listed(number_of(query)) {
        with_address(reply(query, Rcode::NOERROR), LISTED)
    } else {
        reply(query, Rcode::NXDOMAIN)
    }
}

/// Adds an address record for the name of the question.
fn with_address(mut message: Vec<u8>, address: [u8; 4]) -> Vec<u8> {
    message[7] += 1;
    message.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4]);
    message.extend(address);
    message
}

/// FORMERR with nothing but a header.
pub(crate) fn bare_formerr(query: &[u8]) -> Vec<u8> {
    let mut message = query[..HEADER_OCTETS].to_vec();
    message[2] |= 0x80;
    message[3] = Rcode::FORMERR.0;
    message[4..12].fill(0);
    message
}

/// The reply cut short.
pub(crate) fn truncated(query: &[u8]) -> Vec<u8> {
    let mut message = reply(query, Rcode::NOERROR);
    message[2] |= 0x02;
    message
}

/// The true reply without its records, as rate limiting leaves it.
pub(crate) fn cut_short(query: &[u8]) -> Vec<u8> {
    let rcode = if is_listed(number_of(query)) {
        Rcode::NOERROR
    } else {
        Rcode::NXDOMAIN
    };
    let mut message = reply(query, rcode);
    message[2] |= 0x02;
    message
}

/// Octets without meaning behind the message, and sometimes a record count that promises more than there is.
pub(crate) fn add_garbage(message: &mut Vec<u8>, rng: &mut StdRng) {
    message[11] = rng.random_range(0..4);
    message.extend((0..rng.random_range(0..80)).map(|_| rng.random::<u8>()));
}

/// The question in lower case.
pub(crate) fn lower_case(message: &mut [u8]) {
    let end = question_end(message);
    message[HEADER_OCTETS..end - 4].make_ascii_lowercase();
}

/// A lie about a question: what is listed does not exist, and the other way round.
pub(crate) fn forge(query: &[u8]) -> Vec<u8> {
    if is_listed(number_of(query)) {
        reply(query, Rcode::NXDOMAIN)
    } else {
        with_address(reply(query, Rcode::NOERROR), FORGED)
    }
}
