//! The engine: many DNS exchanges in flight, without a socket, a thread or a clock of its own (sans-IO).
//!
//! ```text
//! submit(Ask) → path queue → [pace, window, breaker] → poll_transmit → … network … → receive → poll_outcome
//!                    ↑                                                   handle_timeout ↵   (retry, other upstream)
//!                    └──────────────────────── poll_tcp / receive_tcp (TC) ─────────────┘
//! ```
//!
//! One contract: after `submit`, `receive`, `receive_tcp` or `handle_timeout`, drain `poll_transmit`, `poll_tcp` and
//! `poll_outcome`, then wait until `poll_timeout` at most. Time and randomness are arguments. Every ask ends as exactly one outcome.
//! Memory is bounded by [`EngineOptions::slots`]: an exchange is a slot, some 350 octets, made when it is first used and kept; nothing
//! is allocated on the way of a query that is answered NXDOMAIN.
//!
//! A *path* is (upstream, route): it owns its queue, round-trip times, window, breaker and what was learnt about letter case, so
//! that a silent list behind a resolver never trips the resolver. An *upstream* owns its ports, a total window, and whether it takes
//! EDNS and TCP. A *pace* is a token bucket over all packets of the routes that share it (an operator's).
//!
//! What fails how: no reply → retried, with time-outs that double where nothing has come since, then `End::Silent`; a path silent
//! for ten tries in a row is held and probed, its asks go by other paths if there are any, and after a few probes they end at once as
//! `Unsent(Dead)`; a reply that does not fit is counted and dropped; many are an alarm, and their server is asked otherwise (`guard`).

mod breaker;
mod bucket;
mod core;
mod counters;
mod general;
mod guard;
mod ids;
mod path;
mod receive;
mod retry;
mod rtt;
#[cfg(test)]
mod sample;
mod send;
mod slots;
mod slow;
mod tcp;
mod upstream;
mod wait;
mod wheel;
mod window;

pub use bucket::Bucket;
pub use core::{Engine, EngineOptions, Full};
pub use counters::{Counters, RouteCounters};
pub use guard::PortWish;
pub use path::{Pace, RouteOptions};
pub use upstream::UpstreamOptions;
pub use window::{WINDOW_MAX, forecast};
