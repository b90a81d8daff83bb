//! The small language between mechanism and meaning: an [`Ask`] goes down, an [`Outcome`] comes back; a [`Resolver`] is
//! the same thing for code that waits.
//!
//! `engine` moves exchanges and knows no list; `dnsxl` and `stages` know what answers mean and know no engine. Both
//! know this file. What the network does is data: a timeout is an [`Outcome`], not an `Err`.

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;

use crate::clock::Span;
use crate::wire::{Answer, Name, Rcode, Rtype};

/// The asker's own mark on an exchange, given back with the outcome. The engine does not read it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Ticket(pub u64);

/// A way to send questions: a set of upstreams, a zone, a pace. Made by the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Route(pub u16);

/// One server address, by index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Upstream(pub u16);

/// A question that is to be asked.
#[derive(Debug, Clone, Copy)]
pub struct Ask<'n> {
    /// Given back with the outcome.
    pub ticket: Ticket,
    /// What is asked.
    pub name: &'n Name,
    /// For which type of record.
    pub rtype: Rtype,
    /// By which way.
    pub route: Route,
    /// A probe: goes out even where the path's breaker is open, and its reply is kept whole even without answer records.
    pub probe: bool,
}

/// How one [`Ask`] ended. There is exactly one for each.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The asker's mark.
    pub ticket: Ticket,
    /// By which way it was asked.
    pub route: Route,
    /// Who answered, or was asked last.
    pub upstream: Upstream,
    /// From the last sending to the reply; the time waited if silent.
    pub rtt: Span,
    /// Packets sent for it, the first one included.
    pub tries: u8,
    /// What came of it.
    pub end: End,
}

/// What came of an exchange.
#[derive(Debug, Clone)]
pub enum End {
    /// An acceptable reply came.
    Reply(Reply),
    /// Nothing acceptable came in all the tries.
    Silent,
    /// It was not sent, or given up before its tries were used up.
    Unsent(Unsent),
}

/// Why an exchange was not carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unsent {
    /// Every path of the route has been silent for so long that it counts as dead.
    Dead,
    /// The run was stopped.
    Cancelled,
}

/// An acceptable reply: right peer, port, ID, question.
#[derive(Debug, Clone)]
pub struct Reply {
    /// The response code.
    pub rcode: Rcode,
    /// The AA bit: the server speaks for the zone.
    pub authoritative: bool,
    /// The TC bit: the reply is cut short (it came so over TCP too, or TCP failed).
    pub truncated: bool,
    /// Records in the answer section, as the header says.
    pub answers: u16,
    /// The whole message, when it has answer records, the ask was a probe, or an authority did not speak for the zone.
    pub message: Option<Box<[u8]>>,
}

/// What a lookup found, for code that waits for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lookup {
    /// The name has records of this type (CNAMEs followed; the records that match are in [`Answer::records`]).
    /// Shared with whoever asked for the same.
    Found(Rc<Answer>),
    /// The name exists, without records of this type (NODATA).
    NoData,
    /// The name does not exist (RFC 8020).
    NxDomain,
    /// It is not known: another response code.
    Failed(Rcode),
    /// It is not known: no acceptable answer came, or it was not asked.
    Silent,
}

/// The future of one lookup. Polled on one thread by whoever drives the stages, so it need not be `Send`.
pub type LookupFuture<'a> = Pin<Box<dyn Future<Output = Lookup> + 'a>>;

/// Whoever can look names up: `scan` over the engine (single-flight, TTL cache, CNAMEs followed), tests over a map.
pub trait Resolver {
    /// Looks up the records of `rtype` at `name`, following CNAMEs (at most [`CNAME_HOPS_MAX`]).
    fn lookup(&self, name: Name, rtype: Rtype) -> LookupFuture<'_>;
}

/// CNAMEs followed from one name; RFC 1034 gives no bound, resolvers use 8 to 16. A longer chain or a loop is
/// [`Lookup::Failed`] with SERVFAIL.
pub const CNAME_HOPS_MAX: usize = 12;
