//! Record types, response codes, and records as values that own what they hold.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use super::name::Name;

/// A record type by its number (RFC 1035 §3.2.2). Unknown ones are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Rtype(pub u16);

impl Rtype {
    /// An IPv4 address.
    pub const A: Rtype = Rtype(1);
    /// A name server.
    pub const NS: Rtype = Rtype(2);
    /// An alias.
    pub const CNAME: Rtype = Rtype(5);
    /// The start of a zone.
    pub const SOA: Rtype = Rtype(6);
    /// A name for an address.
    pub const PTR: Rtype = Rtype(12);
    /// A mail exchanger.
    pub const MX: Rtype = Rtype(15);
    /// Text.
    pub const TXT: Rtype = Rtype(16);
    /// An IPv6 address (RFC 3596).
    pub const AAAA: Rtype = Rtype(28);
    /// The EDNS pseudo-record (RFC 6891).
    pub const OPT: Rtype = Rtype(41);
    /// A question for whatever there is.
    pub const ANY: Rtype = Rtype(255);
}

impl fmt::Display for Rtype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match *self {
            Rtype::A => "A",
            Rtype::NS => "NS",
            Rtype::CNAME => "CNAME",
            Rtype::SOA => "SOA",
            Rtype::PTR => "PTR",
            Rtype::MX => "MX",
            Rtype::TXT => "TXT",
            Rtype::AAAA => "AAAA",
            Rtype::OPT => "OPT",
            Rtype::ANY => "ANY",
            Rtype(other) => return write!(f, "TYPE{other}"), // RFC 3597 §5
        })
    }
}

/// A response code by its number, the four bits of the header (RFC 1035 §4.1.1, RFC 6895 §2.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Rcode(pub u8);

impl Rcode {
    /// No error.
    pub const NOERROR: Rcode = Rcode(0);
    /// The server did not understand the query.
    pub const FORMERR: Rcode = Rcode(1);
    /// The server failed.
    pub const SERVFAIL: Rcode = Rcode(2);
    /// The name does not exist.
    pub const NXDOMAIN: Rcode = Rcode(3);
    /// The server does not do this.
    pub const NOTIMP: Rcode = Rcode(4);
    /// The server does not want to.
    pub const REFUSED: Rcode = Rcode(5);
    /// The server does not serve this zone.
    pub const NOTAUTH: Rcode = Rcode(9);
}

impl fmt::Display for Rcode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match *self {
            Rcode::NOERROR => "NOERROR",
            Rcode::FORMERR => "FORMERR",
            Rcode::SERVFAIL => "SERVFAIL",
            Rcode::NXDOMAIN => "NXDOMAIN",
            Rcode::NOTIMP => "NOTIMP",
            Rcode::REFUSED => "REFUSED",
            Rcode::NOTAUTH => "NOTAUTH",
            Rcode(other) => return write!(f, "RCODE{other}"),
        })
    }
}

/// One resource record of class IN.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Whose it is.
    pub name: Name,
    /// How long it may be kept, in seconds. A value with the top bit set has been read as 0 (RFC 2181 §8).
    pub ttl: u32,
    /// What it says.
    pub data: Rdata,
}

/// What a record says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rdata {
    /// An IPv4 address.
    A(Ipv4Addr),
    /// An IPv6 address.
    Aaaa(Ipv6Addr),
    /// An alias for this name.
    Cname(Name),
    /// A name server's name.
    Ns(Name),
    /// The name of an address.
    Ptr(Name),
    /// A mail exchanger.
    Mx {
        /// Lower is asked first.
        preference: u16,
        /// The host; the root for a null MX (RFC 7505).
        exchange: Name,
    },
    /// Character strings, each at most 255 octets, of any content.
    Txt(Vec<Box<[u8]>>),
    /// The start of a zone.
    Soa(Soa),
    /// Anything else; its content is not kept.
    Other(Rtype),
}

impl Rdata {
    /// The record's type.
    pub fn rtype(&self) -> Rtype {
        match self {
            Rdata::A(_) => Rtype::A,
            Rdata::Aaaa(_) => Rtype::AAAA,
            Rdata::Cname(_) => Rtype::CNAME,
            Rdata::Ns(_) => Rtype::NS,
            Rdata::Ptr(_) => Rtype::PTR,
            Rdata::Mx { .. } => Rtype::MX,
            Rdata::Txt(_) => Rtype::TXT,
            Rdata::Soa(_) => Rtype::SOA,
            Rdata::Other(rtype) => *rtype,
        }
    }
}

/// The start of a zone of authority (RFC 1035 §3.3.13), as far as it is of use here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Soa {
    /// The primary server.
    pub primary: Name,
    /// The zone's version.
    pub serial: u32,
    /// How long "there is no such thing" may be kept, in seconds (RFC 2308 §5).
    pub minimum: u32,
}

/// Name servers kept of one authority section: 13 is what fitted a message in the days of 512 octets.
pub(super) const SERVERS_MAX: usize = 13;

/// A decoded reply to one question.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Answer {
    /// The records of the asked type at the end of the CNAME chain, in the order they came.
    pub records: Vec<Record>,
    /// The names of the CNAME chain within the message, the asked name not included: the last one owns the records,
    /// or is the one to ask next if there are none.
    pub aliases: Vec<Name>,
    /// The SOA of the authority section with its owner and TTL: which zone said that there is nothing (RFC 2308 §2).
    pub soa: Option<Box<(Name, u32, Soa)>>,
    /// The name servers in the authority section, with their owner: where there is neither an answer nor AA, a referral to
    /// the zone of that name (RFC 1034 §4.3.2). The first 13 of the first owner.
    pub servers: Option<Box<(Name, Vec<Name>)>>,
    /// Records that could not be read and were left out.
    pub malformed: u16,
}

impl Answer {
    /// The IPv4 addresses among the records.
    pub fn addresses_v4(&self) -> impl Iterator<Item = Ipv4Addr> + '_ {
        self.records.iter().filter_map(|record| match record.data {
            Rdata::A(address) => Some(address),
            _ => None,
        })
    }

    /// The texts among the records, each one's strings joined without a space (RFC 7208 §3.3).
    pub fn texts(&self) -> impl Iterator<Item = Vec<u8>> + '_ {
        self.records.iter().filter_map(|record| match &record.data {
            Rdata::Txt(strings) => Some(strings.concat()),
            _ => None,
        })
    }

    /// The lowest TTL of the records, in seconds.
    pub fn ttl_min(&self) -> Option<u32> {
        self.records.iter().map(|record| record.ttl).min()
    }
}
