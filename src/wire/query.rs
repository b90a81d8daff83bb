//! Queries, written into a prepared buffer: header, one question, and an OPT record where EDNS is on.
//!
//! Nothing is allocated and nothing is parsed; what changes from query to query is the ID, the name, and the case of the
//! letters in the zone's labels.

use crate::datagram::QUERY_OCTETS_MAX;

use super::name::Name;
use super::record::Rtype;

/// The UDP payload size offered by EDNS, in octets: the flag day 2020 figure, which no common path fragments.
pub const EDNS_PAYLOAD: u16 = 1_232;

const HEADER_OCTETS: usize = 12;
const CLASS_IN: u16 = 1;
const FLAG_RD: u16 = 0x0100;

/// What a query asks beyond its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueryTail {
    /// For which type of record.
    pub rtype: Rtype,
    /// What the header and the additional section say.
    pub flags: Flags,
}

/// How a query is to be treated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flags {
    /// RD: the server is to resolve for us. On towards resolvers, off towards authorities.
    pub recursion: bool,
    /// An OPT record goes along (RFC 6891 §6.1).
    pub edns: bool,
}

/// Writes a query and returns its length in octets. Its name stands at octet 12.
pub fn compose(buffer: &mut [u8; QUERY_OCTETS_MAX], id: u16, name: &[u8], tail: QueryTail) -> usize {
    let flags = if tail.flags.recursion { FLAG_RD } else { 0 };
    buffer[0..2].copy_from_slice(&id.to_be_bytes());
    buffer[2..4].copy_from_slice(&flags.to_be_bytes());
    buffer[4..12].copy_from_slice(&[0, 1, 0, 0, 0, 0, 0, u8::from(tail.flags.edns)]);
    let question = HEADER_OCTETS + name.len();
    buffer[HEADER_OCTETS..question].copy_from_slice(name);
    buffer[question..question + 2].copy_from_slice(&tail.rtype.0.to_be_bytes());
    buffer[question + 2..question + 4].copy_from_slice(&CLASS_IN.to_be_bytes());
    let end = question + 4;
    if !tail.flags.edns {
        return end;
    }
    let [payload_high, payload_low] = EDNS_PAYLOAD.to_be_bytes();
    // The root, type OPT, payload size, extended rcode and version 0, no flags, no options.
    buffer[end..end + 11].copy_from_slice(&[0, 0, 41, payload_high, payload_low, 0, 0, 0, 0, 0, 0]);
    end + 11
}

/// Flips the case of letters among the last `zone_octets` octets of a name in wire form, by the bits of `random`
/// (0x20: an off-path forger has to guess them too). Digits carry no case, so only the zone's letters count.
///
/// Eight octets are looked at together, from the end: each has a bit of its own in the place that makes the case, and rotating by
/// one brings eight others there. So 64 octets have 64 bits; those before them get others, made of the same.
pub fn flip_case(name: &mut [u8], zone_octets: usize, random: u64) {
    let start = name.len().saturating_sub(zone_octets);
    let (mut bits, mut end, mut eights) = (random, name.len(), 0u8);
    while let Some(octets) = name[..end].last_chunk_mut::<8>()
        && end > start
    {
        let rest = (end - start).min(8); // the first of the eight may stand before the zone
        *octets = flipped(*octets, bits & (u64::MAX << (64 - 8 * rest)));
        end -= 8;
        eights = (eights + 1) % 8;
        bits = match eights {
            0 => bits.wrapping_mul(0x9e37_79b9_7f4a_7c15),
            _ => bits.rotate_right(1),
        };
    }
    // The first octets of a name.
    for (octet, bits) in name[start.min(end)..end].iter_mut().zip(bits.to_le_bytes()) {
        if octet.is_ascii_alphabetic() {
            *octet ^= bits & 0x20;
        }
    }
}

/// Eight octets with the case of letters flipped where `bits` has the bit that makes the case.
fn flipped(octets: [u8; 8], bits: u64) -> [u8; 8] {
    const EACH: u64 = 0x0101_0101_0101_0101;
    let octets = u64::from_le_bytes(octets);
    // In each octet: bit 7 of `from_a` if it is 'a' or more, and of `past_z` if it is more than 'z'; no sum carries over.
    let lower = (octets | (EACH * 0x20)) & (EACH * 0x7f);
    let (from_a, past_z) = (lower + EACH * (0x80 - 0x61), lower + EACH * (0x80 - 0x7b));
    let letters = from_a & !past_z & !octets & (EACH * 0x80);
    (octets ^ ((letters >> 2) & bits)).to_le_bytes()
}

/// Writes the query of `name`: [`compose`] for callers that hold a [`Name`].
impl Name {
    /// The octets of a whole query for this name, for callers off the packet path.
    pub fn query(&self, id: u16, tail: QueryTail) -> Vec<u8> {
        let mut buffer = [0; QUERY_OCTETS_MAX];
        let len = compose(&mut buffer, id, self.as_wire(), tail);
        buffer[..len].to_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hickory_proto::op::{Message, MessageType, OpCode};

    const TAIL: QueryTail = QueryTail {
        rtype: Rtype::A,
        flags: Flags {
            recursion: true,
            edns: true,
        },
    };

    #[test]
    fn an_independent_codec_reads_what_was_written() {
        let name: Name = "2.0.0.127.bl.example.test".parse().expect("a name");
        let message = Message::from_vec(&name.query(0xbeef, TAIL)).expect("a good message");
        assert_eq!(message.metadata.id, 0xbeef);
        assert_eq!(message.metadata.message_type, MessageType::Query);
        assert_eq!(message.metadata.op_code, OpCode::Query);
        assert!(message.metadata.recursion_desired);
        assert_eq!(message.queries.len(), 1);
        assert_eq!(message.queries[0].name().to_ascii(), "2.0.0.127.bl.example.test.");
        assert_eq!(message.edns.expect("EDNS").max_payload(), EDNS_PAYLOAD);
    }

    #[test]
    fn the_longest_name_fits() {
        let text = format!("{}.{}", vec!["x".repeat(63); 3].join("."), "y".repeat(61));
        let name: Name = text.parse().expect("255 octets");
        assert_eq!(name.query(1, TAIL).len(), QUERY_OCTETS_MAX);
    }

    #[test]
    fn case_is_flipped_in_the_zone_only() {
        let name: Name = "key.bl.example.test".parse().expect("a name");
        let mut octets = name.as_wire().to_vec();
        let zone: Name = "bl.example.test".parse().expect("a name");
        flip_case(&mut octets, zone.as_wire().len(), u64::MAX);
        assert_eq!(octets, b"\x03key\x02BL\x07EXAMPLE\x04TEST\x00");
        flip_case(&mut octets, zone.as_wire().len(), u64::MAX);
        assert_eq!(octets, name.as_wire());
    }

    #[test]
    fn letters_are_flipped_and_nothing_else() {
        let all: Vec<u8> = (0..=255).collect();
        for block in all.chunks(64).chain(all.chunks(37)) {
            let mut octets = block.to_vec();
            flip_case(&mut octets, usize::MAX, u64::MAX);
            for (octet, flipped) in block.iter().zip(octets) {
                assert_eq!(octet ^ flipped, u8::from(octet.is_ascii_alphabetic()) << 5, "{octet}");
            }
        }
    }

    #[test]
    fn each_of_64_letters_has_a_bit_of_its_own() {
        let mut seen = std::collections::BTreeSet::new();
        for bit in 0..64 {
            let mut octets = [b'a'; 64];
            flip_case(&mut octets, usize::MAX, 1 << bit);
            let flipped: Vec<usize> = (0..64).filter(|at| octets[*at] == b'A').collect();
            assert_eq!(flipped.len(), 1);
            seen.extend(flipped);
        }
        assert_eq!(seen.len(), 64);
    }
}
