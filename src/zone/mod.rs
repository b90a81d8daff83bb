//! List data on disk, evaluated here instead of asked for: rbldnsd dataset files and plain lists of prefixes.
//!
//! ```text
//! file ──lines──▶ Builder ──▶ Section (one set: addresses, names or records, with its TTL and templates)
//!                   └────────▶ Dataset (one section, or many in subzones: `combined`) ──▶ Zone ──▶ ZoneAnswer
//! ```
//!
//! The answers equal those of rbldnsd 0.998 and later, its quirks included; `tests/differential_zone.rs` holds the two
//! side by side. A line that makes no sense is a [`Warning`] (the first [`WARNINGS_MAX`] are kept) and costs nothing
//! else; what rbldnsd refuses to load at all is a [`ZoneFileError`] with file and line. Text of the files is octets,
//! not UTF-8, and hostile like everything from outside.
//!
//! Not here: who asks, over what. Nothing reads a clock: [`Dataset::expires`] is for the caller to look at. Access
//! lists (`acl`) are no data and are not read.

mod build;
mod dataset;
mod dnset;
mod entry;
mod error;
mod generic;
mod guess;
mod intervals;
mod ip4;
mod ip6;
mod prefixes;
mod query;
mod section;
mod special;
mod stretch;
mod text;
mod value;
#[expect(clippy::module_inception, reason = "the zone is the zone")]
mod zone;

pub use dataset::{Dataset, DatasetKind, Entry};
pub use entry::{AddressEntry, EntryValue};
pub use error::{Complaint, WARNINGS_MAX, Warning, Warnings, ZoneFileError};
pub use query::{EntryKind, ZoneQuery};
pub use special::{NameServers, ZoneSoa};
pub use zone::{Zone, ZoneAnswer};
