//! Matching a reply against what was asked (RFC 5452 §9.1), without allocating and without decoding records.
//!
//! The socket, the peer's address and the ID have been compared before; here the header and the question are. What does
//! not fit is a [`Mismatch`]: it is counted and dropped, and the wait goes on.

use super::record::{Rcode, Rtype};

const HEADER_OCTETS: usize = 12;
const CLASS_IN: [u8; 2] = [0, 1];

/// The header of a reply that fits its question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// The response code.
    pub rcode: Rcode,
    /// AA: the server speaks for the zone.
    pub authoritative: bool,
    /// TC: the reply is cut short.
    pub truncated: bool,
    /// Records in the answer section.
    pub answers: u16,
    /// Whether the question came back in the very case in which it was sent.
    pub case_kept: bool,
}

/// Why a datagram is no reply to the question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mismatch {
    /// Shorter than a header, or the question is cut or not there.
    Malformed,
    /// A query, or an opcode other than QUERY.
    NotAReply,
    /// Another question.
    Question,
    /// The question, but not in the case in which it was sent, where that was demanded.
    Case,
    /// A FORMERR without the question: all that a server without EDNS may be able to say (RFC 6891 §7).
    BareFormerr,
}

/// The ID of a message, if it is long enough to have one.
pub(crate) fn id_of(message: &[u8]) -> Option<u16> {
    Some(u16::from_be_bytes([*message.first()?, *message.get(1)?]))
}

/// Compares a message with the question that was sent: `name` in wire form as it was sent, and its type.
///
/// # Errors
/// With what does not fit.
pub fn match_reply(message: &[u8], name: &[u8], rtype: Rtype, demand_case: bool) -> Result<Header, Mismatch> {
    let header = message.get(..HEADER_OCTETS).ok_or(Mismatch::Malformed)?;
    let (high, low) = (header[2], header[3]);
    if high & 0x80 == 0 || high & 0x78 != 0 {
        return Err(Mismatch::NotAReply);
    }
    let rcode = Rcode(low & 0x0f);
    let questions = u16::from_be_bytes([header[4], header[5]]);
    if questions != 1 {
        let bare = questions == 0 && rcode == Rcode::FORMERR;
        return Err(if bare {
            Mismatch::BareFormerr
        } else {
            Mismatch::Malformed
        });
    }
    let end = HEADER_OCTETS + name.len();
    let asked = message.get(HEADER_OCTETS..end).ok_or(Mismatch::Malformed)?;
    let tail = message.get(end..end + 4).ok_or(Mismatch::Malformed)?;
    if tail[..2] != rtype.0.to_be_bytes() || tail[2..] != CLASS_IN {
        return Err(Mismatch::Question);
    }
    let case_kept = asked == name;
    if !case_kept {
        // Length octets are below 64, so that ignoring ASCII case cannot confuse them with letters.
        if !asked.eq_ignore_ascii_case(name) {
            return Err(Mismatch::Question);
        }
        if demand_case {
            return Err(Mismatch::Case);
        }
    }
    Ok(Header {
        rcode,
        authoritative: high & 0x04 != 0,
        truncated: high & 0x02 != 0,
        answers: u16::from_be_bytes([header[6], header[7]]),
        case_kept,
    })
}

#[cfg(test)]
mod tests {
    use super::super::{Flags, Name, QueryTail};
    use super::*;

    const NAME: &[u8] = b"\x01a\x04test\x00";

    fn reply(edit: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
        let flags = Flags {
            recursion: true,
            edns: false,
        };
        let name = Name::from_wire(NAME).expect("a name");
        let mut message = name.query(7, QueryTail { rtype: Rtype::A, flags });
        message[2] |= 0x84;
        message[3] = 3;
        edit(&mut message);
        message
    }

    fn check(message: &[u8]) -> Result<Header, Mismatch> {
        match_reply(message, NAME, Rtype::A, true)
    }

    #[test]
    fn a_fitting_reply_is_read() {
        let header = check(&reply(|_| ())).expect("it fits");
        assert_eq!(header.rcode, Rcode::NXDOMAIN);
        assert!(header.authoritative && header.case_kept && !header.truncated);
    }

    #[test]
    fn what_does_not_fit_is_told_apart() {
        assert_eq!(check(&[]), Err(Mismatch::Malformed));
        assert_eq!(check(&reply(|m| m.truncate(11))), Err(Mismatch::Malformed));
        assert_eq!(check(&reply(|m| m.truncate(20))), Err(Mismatch::Malformed));
        assert_eq!(check(&reply(|m| m[2] &= 0x7f)), Err(Mismatch::NotAReply));
        assert_eq!(check(&reply(|m| m[2] |= 0x28)), Err(Mismatch::NotAReply));
        assert_eq!(check(&reply(|m| m[5] = 0)), Err(Mismatch::Malformed));
        assert_eq!(check(&reply(|m| m[5] = 2)), Err(Mismatch::Malformed));
        assert_eq!(check(&reply(|m| m[13] = b'b')), Err(Mismatch::Question));
        assert_eq!(check(&reply(|m| m[13] = b'A')), Err(Mismatch::Case));
        let type_at = 12 + NAME.len();
        assert_eq!(check(&reply(|m| m[type_at + 1] = 16)), Err(Mismatch::Question));
        assert_eq!(check(&reply(|m| m[type_at + 3] = 3)), Err(Mismatch::Question));
        assert_eq!(check(&reply(|m| (m[3], m[5]) = (1, 0))), Err(Mismatch::BareFormerr));
    }

    #[test]
    fn another_case_passes_where_it_is_not_demanded() {
        let message = reply(|m| m[13] = b'A');
        let header = match_reply(&message, NAME, Rtype::A, false).expect("it fits");
        assert!(!header.case_kept);
    }
}
