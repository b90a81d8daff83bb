//! What earlier runs saw of a target: the word between the store, which remembers it, and the audit, which counts it.

use jiff::Timestamp;

use crate::dnsxl::{Role, Tier};

/// A target on a list, as runs before the present one saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Earlier {
    /// The list's id.
    pub list: String,
    /// The role of the last listing.
    pub role: Role,
    /// The hardest tier of the listings.
    pub tier: Tier,
    /// When the first run that saw it began.
    pub first_seen: Timestamp,
    /// When the last run that saw it began.
    pub last_seen: Timestamp,
}
