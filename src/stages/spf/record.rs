//! A sender policy as a value (RFC 7208 §4.6, §5, §6): directives in order, the two modifiers that mean something, and
//! where each stood in the text.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::ops::Range;

use super::macros::MacroString;

/// A well-formed record of version `spf1`. One that exists has passed the whole grammar of RFC 7208 §12.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpfRecord {
    /// The text as published: ASCII without controls.
    pub text: String,
    /// The directives in the order in which they are tried.
    pub directives: Vec<Directive>,
    /// `redirect=` (§6.1).
    pub redirect: Option<Modifier>,
    /// `exp=` (§6.2).
    pub exp: Option<Modifier>,
    /// Modifiers that mean nothing (§6): where they stand.
    pub unknown: Vec<Range<usize>>,
}

/// A mechanism and what it means if it matches (RFC 7208 §4.6.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directive {
    /// The result of a match.
    pub qualifier: Qualifier,
    /// What is tried.
    pub mechanism: Mechanism,
    /// The octets of the record's text.
    pub span: Range<usize>,
}

/// A modifier that takes a domain (RFC 7208 §6).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Modifier {
    /// The domain, before expansion.
    pub domain: MacroString,
    /// The octets of the record's text.
    pub span: Range<usize>,
}

/// The result of a match (RFC 7208 §4.6.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Qualifier {
    /// `+` or nothing.
    Pass,
    /// `-`.
    Fail,
    /// `~`.
    Softfail,
    /// `?`.
    Neutral,
}

/// What a directive tries (RFC 7208 §5). A domain that is not given is the current one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mechanism {
    /// Always matches (§5.1).
    All,
    /// Matches if the check of another domain passes (§5.2).
    Include(MacroString),
    /// The domain's addresses (§5.3).
    A(Option<MacroString>, DualPrefix),
    /// The addresses of the domain's mail exchangers (§5.4).
    Mx(Option<MacroString>, DualPrefix),
    /// The client's validated names (§5.5); not to be published any more.
    Ptr(Option<MacroString>),
    /// An IPv4 network: address and prefix length (§5.6).
    Ip4(Ipv4Addr, u8),
    /// An IPv6 network: address and prefix length (§5.6).
    Ip6(Ipv6Addr, u8),
    /// Whether a name has any IPv4 address (§5.7).
    Exists(MacroString),
}

/// Prefix lengths for both families (RFC 7208 §5.3): at most 32 and 128.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DualPrefix {
    /// For an IPv4 client.
    pub ip4: u8,
    /// For an IPv6 client.
    pub ip6: u8,
}

/// Why a text is not a well-formed record: "permerror" (RFC 7208 §4.6).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct SyntaxError {
    /// What is wrong.
    pub reason: &'static str,
    /// The octet of the record at which it is wrong, from 0.
    pub position: usize,
    /// The term that is wrong, escaped, perhaps cut.
    pub term: String,
}

impl fmt::Display for SyntaxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in \"{}\" at position {}", self.reason, self.term, self.position)
    }
}

impl DualPrefix {
    /// Single addresses.
    pub const FULL: DualPrefix = DualPrefix { ip4: 32, ip6: 128 };
}

impl SpfRecord {
    /// The published text of a directive or modifier.
    pub fn text_of(&self, span: &Range<usize>) -> &str {
        self.text.get(span.clone()).unwrap_or_default()
    }

    /// Where the first `all` is among the directives.
    pub fn all(&self) -> Option<usize> {
        self.directives
            .iter()
            .position(|directive| directive.mechanism == Mechanism::All)
    }
}

impl Mechanism {
    /// Whether it counts towards the ten terms that cause lookups (RFC 7208 §4.6.4).
    pub fn causes_lookup(&self) -> bool {
        !matches!(self, Mechanism::All | Mechanism::Ip4(..) | Mechanism::Ip6(..))
    }

    /// The domain it names, if it names one.
    pub fn domain(&self) -> Option<&MacroString> {
        match self {
            Mechanism::Include(domain) | Mechanism::Exists(domain) => Some(domain),
            Mechanism::A(domain, _) | Mechanism::Mx(domain, _) | Mechanism::Ptr(domain) => domain.as_ref(),
            Mechanism::All | Mechanism::Ip4(..) | Mechanism::Ip6(..) => None,
        }
    }
}
