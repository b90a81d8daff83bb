//! A network in virtual time: an event queue, servers with habits, and a client that drives the engine by its contract.
//!
//! Everything comes from one seed, so that a run that fails can be run again. No socket, no thread, no clock.

#![allow(dead_code, unused_imports, reason = "tests use different parts of one world")]

mod message;
mod server;
mod tally;
mod world;

pub(crate) use server::{Edns, RateLimit, Server, Tcp, Trouble};
pub(crate) use world::{Ended, Setup, Spoofer, World};
