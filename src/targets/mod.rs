//! What is to be looked at: addresses, prefixes, ranges, domains, from arguments, files and standard input; parsed,
//! normalised, deduplicated, and handed out in chunks of at most 256 without holding what a prefix contains.

mod target;

pub use target::{Domain, Kind, Target};
