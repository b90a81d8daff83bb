//! How much pruning (RFC 8020) asks all the same: what the scan does and the estimate counts.

/// Open pairs of a /24 that are worth a question about their parent; fewer are asked one by one.
pub(crate) const WORTH: usize = 16;

/// Addresses below each denied parent that are asked all the same.
pub(crate) const SAMPLE: usize = 2;

/// One in so many denied parents is asked about in full, and the first.
pub(crate) const FULL_ONE_IN: u32 = 100;

/// Questions of a proof: the test entry, and its parents of three, two and one octets.
pub(crate) const QUESTIONS: usize = 4;
