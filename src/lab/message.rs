//! Queries read and replies written by hand (RFC 1035 §4.1), into buffers that are used again.

use crate::wire::{Name, Rcode, Rdata, Rtype};

/// Octets of a header (RFC 1035 §4.1.1).
const HEADER_OCTETS: usize = 12;

/// Largest UDP reply without EDNS (RFC 1035 §4.2.1).
const UDP_OCTETS_MAX: usize = 512;

/// Largest UDP reply with EDNS: the flag day figure, no fragments on any common path.
pub(super) const EDNS_OCTETS_MAX: usize = 1_232;

/// Largest reply over TCP: the length is two octets (RFC 1035 §4.2.2).
const TCP_OCTETS_MAX: usize = 65_535;

/// Most labels a name can have: 255 octets, two a label.
const LABELS_MAX: usize = 127;

/// The OPT record of every reply to a query that has one (RFC 6891 §6.1.2).
const OPT: [u8; 11] = [
    0,
    0,
    41,
    (EDNS_OCTETS_MAX >> 8) as u8,
    (EDNS_OCTETS_MAX & 0xff) as u8,
    0,
    0,
    0,
    0,
    0,
    0,
];

/// How a query came, which bounds its reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Transport {
    Udp,
    Tcp,
}

/// A query that was read. Made once, filled again and again.
#[derive(Debug)]
pub(super) struct Question {
    /// The name in lower case, in wire form with the root's octet.
    name: [u8; 255],
    name_len: usize,
    /// Where each label begins.
    starts: [u8; LABELS_MAX],
    labels: usize,
    /// Where the question section ends in the message.
    end: usize,
    pub(super) rtype: Rtype,
    /// The reply size offered by EDNS.
    edns: Option<u16>,
}

/// Why a message is not answered from the world.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unreadable {
    /// No reply at all: not a query, or no header.
    Ignore,
    /// A reply of the header alone.
    Header(Rcode),
}

impl Question {
    /// An empty one.
    pub(super) fn new() -> Question {
        Question {
            name: [0; 255],
            name_len: 1,
            starts: [0; LABELS_MAX],
            labels: 0,
            end: HEADER_OCTETS,
            rtype: Rtype(0),
            edns: None,
        }
    }

    /// Reads a message.
    ///
    /// # Errors
    /// If it is not one query of class IN.
    pub(super) fn read(&mut self, message: &[u8]) -> Result<(), Unreadable> {
        let header = message.get(..HEADER_OCTETS).ok_or(Unreadable::Ignore)?;
        if header[2] & 0x80 != 0 {
            return Err(Unreadable::Ignore);
        }
        if header[2] & 0x78 != 0 {
            return Err(Unreadable::Header(Rcode::NOTIMP));
        }
        if header[4..6] != [0, 1] {
            return Err(Unreadable::Header(Rcode::FORMERR));
        }
        let rest = self.read_name(message).ok_or(Unreadable::Header(Rcode::FORMERR))?;
        let &[t1, t2, c1, c2, ref tail @ ..] = rest else {
            return Err(Unreadable::Header(Rcode::FORMERR));
        };
        if [c1, c2] != [0, 1] {
            return Err(Unreadable::Header(Rcode::REFUSED));
        }
        self.rtype = Rtype(u16::from_be_bytes([t1, t2]));
        self.end = message.len() - tail.len();
        self.edns = match (&header[6..12], tail) {
            // The first additional record, if nothing stands before it.
            ([0, 0, 0, 0, _, additional], [0, 0, 41, s1, s2, ..]) if *additional > 0 => {
                Some(u16::from_be_bytes([*s1, *s2]))
            }
            _ => None,
        };
        Ok(())
    }

    /// Reads the name behind the header, and gives what follows it.
    fn read_name<'m>(&mut self, message: &'m [u8]) -> Option<&'m [u8]> {
        let mut at = HEADER_OCTETS;
        self.labels = 0;
        loop {
            let len = usize::from(*message.get(at)?);
            let used = at - HEADER_OCTETS;
            if len > 63 || used + len + 1 > self.name.len() {
                return None;
            }
            if len == 0 {
                self.name_len = used + 1;
                self.name[used] = 0;
                return Some(&message[at + 1..]);
            }
            let label = message.get(at..at + 1 + len)?;
            self.starts[self.labels] = used as u8; // below 255
            self.labels += 1;
            self.name[used..used + 1 + len].copy_from_slice(label);
            self.name[used..used + 1 + len].make_ascii_lowercase(); // the length octet is below 64: no letter
            at += 1 + len;
        }
    }

    /// How many labels the name has.
    pub(super) fn labels(&self) -> usize {
        self.labels
    }

    /// The name without its first `skip` labels, in wire form without the root's octet.
    pub(super) fn suffix(&self, skip: usize) -> &[u8] {
        &self.name[self.start(skip)..self.name_len - 1]
    }

    /// The first `count` labels in wire form.
    pub(super) fn prefix(&self, count: usize) -> &[u8] {
        &self.name[..self.start(count)]
    }

    /// Where label number `index` begins; behind the last one for the number of labels.
    fn start(&self, index: usize) -> usize {
        match index < self.labels {
            true => usize::from(self.starts[index]),
            false => self.name_len - 1,
        }
    }
}

/// Whose a record of a reply is.
#[derive(Debug, Clone, Copy)]
pub(super) enum Owner<'a> {
    /// The name in question without its first labels.
    Suffix(usize),
    /// Another name.
    Name(&'a Name),
}

/// A reply that is being written.
pub(super) struct Writer<'a> {
    out: &'a mut Vec<u8>,
    question: &'a Question,
    limit: usize,
}

impl<'a> Writer<'a> {
    /// Begins a reply to `message`, which `question` was read from: header and question as they came, AA and RA set.
    pub(super) fn begin(
        out: &'a mut Vec<u8>,
        message: &[u8],
        question: &'a Question,
        transport: Transport,
        rcode: Rcode,
    ) -> Writer<'a> {
        out.clear();
        out.extend_from_slice(&message[..question.end]);
        put_flags(out, message[2], rcode);
        out[6..HEADER_OCTETS].fill(0);
        let limit = match (transport, question.edns) {
            (Transport::Tcp, _) => TCP_OCTETS_MAX,
            (Transport::Udp, None) => UDP_OCTETS_MAX,
            (Transport::Udp, Some(size)) => usize::from(size).clamp(UDP_OCTETS_MAX, EDNS_OCTETS_MAX),
        };
        Writer { out, question, limit }
    }

    /// Adds a record to the answer section. `soa` is the rest of an SOA record, from its type on.
    pub(super) fn answer(&mut self, owner: Owner<'_>, ttl: u32, data: &Rdata, soa: &[u8]) {
        self.owner(owner);
        match data {
            Rdata::Soa(_) => self.out.extend_from_slice(soa),
            _ => put_record(self.out, ttl, data),
        }
        self.count(7);
    }

    /// Adds an SOA record to the authority section.
    pub(super) fn authority(&mut self, owner: Owner<'_>, soa: &[u8]) {
        self.owner(owner);
        self.out.extend_from_slice(soa);
        self.count(9);
    }

    /// Ends the reply: cuts it if it is too long (RFC 2181 §9), and answers EDNS with EDNS (RFC 6891 §7).
    pub(super) fn end(self) {
        let opt: &[u8] = if self.question.edns.is_some() { &OPT } else { &[] };
        if self.out.len() + opt.len() > self.limit {
            self.out.truncate(self.question.end);
            self.out[6..HEADER_OCTETS].fill(0);
            self.out[2] |= 0x02;
        }
        self.out.extend_from_slice(opt);
        self.out[11] = u8::from(!opt.is_empty());
    }

    fn owner(&mut self, owner: Owner<'_>) {
        match owner {
            Owner::Name(name) => self.out.extend_from_slice(name.as_wire()),
            Owner::Suffix(skip) if skip >= self.question.labels => self.out.push(0),
            Owner::Suffix(skip) => {
                let at = (HEADER_OCTETS + self.question.start(skip)) as u16; // at most 12 + 254
                self.out.extend_from_slice(&(0xc000 | at).to_be_bytes());
            }
        }
    }

    /// Adds one to the count of a section, whose low octet is at `at`.
    fn count(&mut self, at: usize) {
        let count = u16::from_be_bytes([self.out[at - 1], self.out[at]]).saturating_add(1);
        self.out[at - 1..=at].copy_from_slice(&count.to_be_bytes());
    }
}

/// Writes a reply of the header alone.
pub(super) fn header_only(out: &mut Vec<u8>, message: &[u8], rcode: Rcode) {
    out.clear();
    out.extend_from_slice(&message[..HEADER_OCTETS]);
    put_flags(out, message[2] & 0x79, rcode);
    out[4..].fill(0);
}

/// QR, AA and RA on; opcode and RD as they came.
fn put_flags(out: &mut [u8], asked: u8, rcode: Rcode) {
    out[2] = 0x84 | (asked & 0x79);
    out[3] = 0x80 | (rcode.0 & 0x0f);
}

/// Type, class, TTL and data of a record.
fn put_record(out: &mut Vec<u8>, ttl: u32, data: &Rdata) {
    put_head(out, data.rtype(), ttl);
    let at = out.len();
    out.extend_from_slice(&[0, 0]);
    match data {
        Rdata::A(address) => out.extend_from_slice(&address.octets()),
        Rdata::Aaaa(address) => out.extend_from_slice(&address.octets()),
        Rdata::Cname(name) | Rdata::Ns(name) | Rdata::Ptr(name) => out.extend_from_slice(name.as_wire()),
        Rdata::Mx { preference, exchange } => {
            out.extend_from_slice(&preference.to_be_bytes());
            out.extend_from_slice(exchange.as_wire());
        }
        Rdata::Txt(strings) => {
            for string in strings {
                out.push(string.len() as u8); // the reader of the file cut it to 255
                out.extend_from_slice(string);
            }
        }
        Rdata::Soa(_) | Rdata::Other(_) => {}
    }
    put_len(out, at);
}

fn put_head(out: &mut Vec<u8>, rtype: Rtype, ttl: u32) {
    out.extend_from_slice(&rtype.0.to_be_bytes());
    out.extend_from_slice(&[0, 1]);
    out.extend_from_slice(&ttl.to_be_bytes());
}

/// Writes the length of the data that follows the two octets at `at`.
fn put_len(out: &mut [u8], at: usize) {
    let len = (out.len() - at - 2) as u16; // a line of a file at most
    out[at..at + 2].copy_from_slice(&len.to_be_bytes());
}

/// An SOA record from its type on (RFC 1035 §3.3.13). In negative answers its TTL is the negative one (RFC 2308 §3).
pub(super) fn soa_record(soa: &crate::zone::ZoneSoa) -> Vec<u8> {
    let mut out = Vec::new();
    put_head(&mut out, Rtype::SOA, soa.ttl.min(soa.minimum));
    let at = out.len();
    out.extend_from_slice(&[0, 0]);
    out.extend_from_slice(soa.primary.as_wire());
    out.extend_from_slice(soa.contact.as_wire());
    for number in [soa.serial, soa.refresh, soa.retry, soa.expire, soa.minimum] {
        out.extend_from_slice(&number.to_be_bytes());
    }
    put_len(&mut out, at);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOA: &[u8] = b"soa";

    fn query(name: &str, edns: Option<u16>) -> Vec<u8> {
        let name: Name = name.parse().expect("a good name");
        let mut message = vec![0xab, 0xcd, 1, 0, 0, 1, 0, 0, 0, 0, 0, u8::from(edns.is_some())];
        message.extend(name.as_wire());
        message.extend([0, 16, 0, 1]);
        if let Some([high, low]) = edns.map(u16::to_be_bytes) {
            message.extend([0, 0, 41, high, low, 0, 0, 0, 0, 0, 0]);
        }
        message
    }

    /// The length of a reply with a text of `len` octets, and whether it was cut.
    fn reply(message: &[u8], transport: Transport, len: usize) -> (usize, bool) {
        let mut question = Question::new();
        question.read(message).expect("a good query");
        let mut out = Vec::new();
        let mut writer = Writer::begin(&mut out, message, &question, transport, Rcode::NOERROR);
        let strings = vec![b'x'; len].chunks(255).map(Box::from).collect();
        writer.answer(Owner::Suffix(0), 60, &Rdata::Txt(strings), &[]);
        writer.end();
        (out.len(), out[2] & 2 != 0)
    }

    #[test]
    fn replies_keep_to_the_size_that_was_offered() {
        let (plain, small, large) = (
            query("a.test", None),
            query("a.test", Some(100)),
            query("a.test", Some(9_000)),
        );
        assert!(!reply(&plain, Transport::Udp, 400).1);
        assert_eq!(reply(&plain, Transport::Udp, 500), (plain.len(), true));
        assert_eq!(reply(&small, Transport::Udp, 500), (small.len(), true));
        assert!(!reply(&large, Transport::Udp, 1_100).1);
        assert!(reply(&large, Transport::Udp, 1_230).1);
        assert!(!reply(&plain, Transport::Tcp, 60_000).1);
    }

    #[test]
    fn the_authority_points_into_the_question() {
        let message = query("9.bl.test", None);
        let mut question = Question::new();
        question.read(&message).expect("a good query");
        assert_eq!(question.prefix(1), b"\x019");
        assert_eq!(question.suffix(1), b"\x02bl\x04test");
        let mut out = Vec::new();
        let mut writer = Writer::begin(&mut out, &message, &question, Transport::Udp, Rcode::NXDOMAIN);
        writer.authority(Owner::Suffix(1), SOA);
        writer.authority(Owner::Suffix(3), SOA);
        writer.end();
        assert_eq!(out[message.len()..], *b"\xc0\x0esoa\0soa");
        assert_eq!(out[8..10], [0, 2]);
    }

    proptest::proptest! {
        /// Whatever comes in, reading it ends well, and what was read can be replied to.
        #[test]
        fn no_message_is_too_hostile(
            head in proptest::array::uniform12(0u8..3),
            body in proptest::collection::vec(proptest::num::u8::ANY, 0..300),
        ) {
            let message = [&head[..], &body].concat();
            let mut question = Question::new();
            match question.read(&message) {
                Ok(()) => {
                    let mut out = Vec::new();
                    let mut writer = Writer::begin(&mut out, &message, &question, Transport::Udp, Rcode::NXDOMAIN);
                    writer.authority(Owner::Suffix(question.labels()), SOA);
                    writer.end();
                    assert!(out.len() >= HEADER_OCTETS);
                }
                Err(Unreadable::Header(rcode)) => header_only(&mut Vec::new(), &message, rcode),
                Err(Unreadable::Ignore) => {}
            }
        }
    }
}
