//! Return codes: what the A records of an entry mean (RFC 5782 §2.1, §2.3; RFC 6471 §3.3).

use super::list::{Role, Tier};

/// A pattern of answers: exact, range, bit mask, or with any octet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CodePattern {}

/// What the codes of a list mean.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CodeTable {
    /// The entries, as the file gives them.
    pub entries: Vec<Code>,
}

/// One entry of a code table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Code {
    /// Which answers.
    pub pattern: CodePattern,
    /// What they mean.
    pub means: String,
    /// The id of the sublist that they stand for.
    pub sublist: Option<String>,
    /// The role, where it differs from the list's.
    pub role: Option<Role>,
    /// The tier, where it differs from the list's.
    pub tier: Option<Tier>,
}
