//! What a mail server's or a domain's own records say: reverse names, exchangers, keys, policies, origin, contact.
//!
//! ```text
//! target → explain (which stages apply) → stage ⇄ Resolver → record (JSON under the stage's name) + findings (words)
//! ```
//!
//! Each stage is an async function over a [`Resolver`](crate::exchange::Resolver) and never fails: something, nothing
//! and not known are three different results, and a record that cannot be read is a finding with the offending text
//! escaped, never an absence. Every stage bounds its questions and what it keeps of the answers; time is bounded by
//! whoever drives the futures. No stage opens a socket but `smtp`, which needs a tokio runtime with I/O and time.

pub mod abuse;
mod ask;
pub mod asn;
pub mod dkim;
pub mod dmarc;
mod domain;
pub mod escape;
mod finding;
pub mod mx;
pub mod policies;
mod questions;
pub mod rdns;
mod related;
mod run;
pub mod smtp;
pub mod spf;
pub mod taglist;
#[cfg(test)]
mod testing;

pub use domain::registrable;
pub use finding::{Finding, Severity};
pub use questions::{Expected, expected};
pub use related::{RELATED_MAX, related, related_kinds};
pub use run::{Explained, Stage, StageOptions, Stages, UnknownStage, explain};
