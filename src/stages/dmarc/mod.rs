//! DMARC of a domain (RFC 9989): the record, the organisational domain by the tree walk, the policy that applies.

mod policy;
mod record;
mod reports;
mod walk;

pub use policy::{Dmarc, QUESTIONS_MAX, STAGE, Source, dmarc};
pub use record::{Alignment, Policy, Psd, Record, Usable};
pub use walk::{QUERIES_MAX, Step, Walk, walk};
