//! What a mail server's or a domain's own records say: reverse names, exchangers, keys, policies, origin, contact.
//!
//! Each stage asks through a [`Resolver`](crate::exchange::Resolver) and returns a record for the reports and
//! [`Finding`]s for people. A record that cannot be read is a finding, never an absence. No stage opens a socket but
//! `smtp`.

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
pub mod rdns;
mod run;
pub mod smtp;
pub mod spf;
pub mod taglist;
#[cfg(test)]
mod testing;

pub use domain::{registrable, registrable_registry};
pub use finding::{Finding, Severity};
pub use run::{Explained, Stage, StageOptions, Stages, UnknownStage, explain};
