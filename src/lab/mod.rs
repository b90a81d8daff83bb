//! An embedded world on loopback: name servers that answer for lists, domains and addresses of an invented hosting
//! provider, well or in every way in which real lists have failed. `reputon lab` serves it, `scan --lab` asks it.
//!
//! ```text
//! UDP batch / TCP ──▶ Question ──▶ World: zone by longest suffix ──▶ Conduct (honest, parked, silent, …) ──▶ content
//!        ▲                                                                                                    │
//!        └──────────────────── reply in a reused buffer ◀── Face (honest or lying resolver) ◀─────────────────┘
//! ```
//!
//! It is authority and resolver in one: AA and RA are set, recursion is neither needed nor done, and what it does not
//! know is NXDOMAIN from the root. Other [`Face`]s are further ports over the same world that lie as resolvers lie.
//! "Not listed" is composed by hand into reused buffers, so that a bench measures the asker. Only names under `.test`
//! and documentation prefixes are in it, beside the zones that AS and abuse lookups ask.
//!
//! Threads: two a face and one for late replies, ended by dropping the [`Lab`]. Malformed queries get no reply, or
//! FORMERR where there is a header to answer to (RFC 1035 §4.1.1).

mod conduct;
mod content;
mod embedded;
#[expect(clippy::module_inception, reason = "the lab is the lab")]
mod lab;
mod late;
mod message;
mod records;
mod rehearsal;
mod respond;
mod served;
mod tcp;
mod udp;
mod world;

pub use conduct::Conduct;
pub use embedded::{CATALOGUE, CATALOGUE_BAD};
pub use lab::{Face, Lab, LabOptions};
pub use rehearsal::rehearse;
pub use served::{ExtraZone, ServedList};
