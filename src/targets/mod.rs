//! What is to be looked at: addresses, prefixes, ranges, domains, from arguments, files and standard input; parsed,
//! normalised, deduplicated, and handed out in chunks of at most 256 without holding what a prefix contains.
//!
//! The way of a line: `input` (arguments, files, standard input, line by line) → `parse` (one form, or what is wrong
//! with it and the mend) → `build` (what an earlier form named is cut out, `interval`; neighbours become one run) →
//! [`TargetSet`] (runs, names, and an index of chunks) → [`Chunk`] (a slice of at most 256 targets, whatever their kinds).
//!
//! All input is read and judged before anything else happens: a set that exists is a good one. Bounds: [`LINE_OCTETS_MAX`],
//! [`LINE_READ_MAX`], [`BAD_LINES_MAX`], [`RUNS_MAX`], [`ERRORS_SHOWN_MAX`], [`CHUNK_TARGETS_MAX`].

mod build;
mod chunk;
mod cover;
mod domain;
mod error;
mod fingerprint;
mod input;
mod interval;
mod mend;
mod parse;
mod set;
mod special;
mod target;

pub use chunk::{CHUNK_TARGETS_MAX, Chunk, ChunkTargets};
pub use cover::Cover;
pub use error::{ERRORS_SHOWN_MAX, ParseError, Place, TargetError, TargetErrors, Why};
pub use input::{BAD_LINES_MAX, LINE_OCTETS_MAX, LINE_READ_MAX, ReadOptions};
pub use parse::{IP6_TARGETS_MAX, Ip6Unit};
pub use set::{RUNS_MAX, TargetSet};
pub use special::special_use;
pub use target::{Domain, Kind, Target};
