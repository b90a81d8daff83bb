//! What came of a check, as `reputon spf --format json` shows it (RFC 7208 §2.6).

use std::fmt;

use super::input::Identity;
use super::record::Qualifier;

/// The seven results (RFC 7208 §2.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// There is no policy, or no domain that could have one.
    None,
    /// The policy says nothing of this client.
    Neutral,
    /// The client is authorised.
    Pass,
    /// The client is not authorised.
    Fail,
    /// The client is probably not authorised.
    Softfail,
    /// The name system did not answer: try again.
    Temperror,
    /// The policy cannot be evaluated: its publisher must mend it.
    Permerror,
}

/// The answer of [`check_host`](super::check_host()).
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct SpfResult {
    /// The result.
    pub result: Verdict,
    /// The directive that decided, as published: of the domain's own record, or of the one it redirects to.
    pub mechanism: Option<String>,
    /// For a fail: what the publisher has to say about it (§6.2), escaped. Hostile text all the same.
    pub explanation: Option<String>,
    /// Terms evaluated that cause lookups: 10 at most (§4.6.4).
    pub lookups: u8,
    /// Lookups of theirs that found nothing: 2 are allowed (§4.6.4).
    pub void_lookups: u8,
    /// Which identity was checked.
    pub identity: Identity,
    /// The domain whose policy was asked for, escaped.
    pub domain: String,
    /// Its record, escaped, if there is exactly one.
    pub record: Option<String>,
    /// For temperror and permerror: why.
    pub problem: Option<Problem>,
}

/// Why a policy could not be evaluated.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Problem {
    /// What is wrong, with the offending text, escaped.
    pub text: String,
    /// Whose record it is in.
    pub domain: String,
    /// The octet of that record, from 0, where it has a place.
    pub position: Option<usize>,
}

impl Verdict {
    /// The word of the records.
    pub fn as_str(self) -> &'static str {
        match self {
            Verdict::None => "none",
            Verdict::Neutral => "neutral",
            Verdict::Pass => "pass",
            Verdict::Fail => "fail",
            Verdict::Softfail => "softfail",
            Verdict::Temperror => "temperror",
            Verdict::Permerror => "permerror",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl From<Qualifier> for Verdict {
    fn from(qualifier: Qualifier) -> Verdict {
        match qualifier {
            Qualifier::Pass => Verdict::Pass,
            Qualifier::Fail => Verdict::Fail,
            Qualifier::Softfail => Verdict::Softfail,
            Qualifier::Neutral => Verdict::Neutral,
        }
    }
}
