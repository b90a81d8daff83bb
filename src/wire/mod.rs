//! DNS messages as octets: names, queries written into prepared buffers, replies matched without allocating, and
//! answers with records decoded in full.
//!
//! The hot path (compose a query, match an NXDOMAIN) is by hand: a general codec costs a microsecond a message, the
//! kernel about three. Replies that carry records are decoded through hickory-proto, record by record, so that one bad
//! record does not cost the good ones beside it. Nothing here knows sockets, time, or lists.

mod decode;
mod name;
mod query;
mod record;
mod reply;

pub use decode::{DecodeError, decode};
pub use name::{Labels, NAME_OCTETS_MAX, Name, NameError};
pub use query::{EDNS_PAYLOAD, Flags, QueryTail, compose, flip_case};
pub use record::{Answer, Rcode, Rdata, Record, Rtype, Soa};
pub(crate) use reply::id_of;
pub use reply::{Header, Mismatch, match_reply};
