//! A whole scan in virtual time: some hundred lists on twice as many servers with the habits of real ones, a network that
//! loses and delays, and a judge that holds every dossier against the truth.
//!
//! ```text
//! Setup + seed ─▶ Plot (catalogue, routes, servers) ─▶ Scan::run over SimNetwork ─▶ Judge (every dossier) ─▶ Report
//! ```
//!
//! Everything comes from one seed: a run that fails can be run again. No socket, no thread, no clock. Shared by the tests,
//! the soak and the benches, each of which uses a part.

#![allow(
    dead_code,
    unused_imports,
    reason = "tests and benches use different parts of one world"
)]

mod judge;
mod network;
mod plot;
mod server;
#[path = "../simulation/tally.rs"]
mod tally;
mod truth;

pub(crate) use plot::{Report, Setup, run};
pub(crate) use server::Bad;
