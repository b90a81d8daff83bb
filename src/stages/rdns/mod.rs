//! The names of an address: PTR records, whether they lead back, and what kind of names they are.

mod embedded;
mod generic;
mod reverse;
mod words;

pub use generic::{Class, Verdict, classify};
pub use reverse::{Iprev, NAMES_MAX, PtrName, Rdns, STAGE, rdns};
