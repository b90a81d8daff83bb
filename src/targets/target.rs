//! One thing whose reputation is asked for: an address or a domain name, normalised.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::wire::Name;

/// An address or a domain.
///
/// An IPv4-mapped IPv6 address is never here: it is the IPv4 address (RFC 4291 §2.5.5.2). A domain is in lower case, in
/// A-labels (RFC 5890), without a final dot.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Target {
    /// An IPv4 address.
    Ip4(Ipv4Addr),
    /// An IPv6 address.
    Ip6(Ipv6Addr),
    /// A domain name.
    Domain(Domain),
}

impl From<IpAddr> for Target {
    /// An IPv4 address that is written as an IPv6 one (RFC 4291 §2.5.5.2) is an IPv4 address.
    fn from(address: IpAddr) -> Target {
        match address.to_canonical() {
            IpAddr::V4(address) => Target::Ip4(address),
            IpAddr::V6(address) => Target::Ip6(address),
        }
    }
}

/// A domain name as a target: normalised text that is known to be a good [`Name`].
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Domain(Box<str>);

impl Domain {
    /// Takes normalised text. Only `targets` makes domains, after it has checked them.
    ///
    /// # Errors
    /// If the text is not a domain name.
    pub fn new(text: &str) -> Result<Domain, crate::wire::NameError> {
        text.parse::<Name>()?;
        Ok(Domain(text.into()))
    }

    /// The text, without a final dot.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The wire form.
    pub fn to_name(&self) -> Name {
        self.0.parse().expect("checked when the domain was made")
    }
}

/// The kinds of targets, as lists name them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// IPv4 addresses.
    Ip4,
    /// IPv6 addresses.
    Ip6,
    /// Domain names.
    Domain,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Kind; 3] = [Kind::Ip4, Kind::Ip6, Kind::Domain];

    /// The word of the records.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Ip4 => "ip4",
            Kind::Ip6 => "ip6",
            Kind::Domain => "domain",
        }
    }
}

impl Target {
    /// What kind of target it is.
    pub fn kind(&self) -> Kind {
        match self {
            Target::Ip4(_) => Kind::Ip4,
            Target::Ip6(_) => Kind::Ip6,
            Target::Domain(_) => Kind::Domain,
        }
    }

    /// The address, if it is one.
    pub fn address(&self) -> Option<IpAddr> {
        match *self {
            Target::Ip4(address) => Some(address.into()),
            Target::Ip6(address) => Some(address.into()),
            Target::Domain(_) => None,
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::Ip4(address) => address.fmt(f),
            Target::Ip6(address) => address.fmt(f),
            Target::Domain(domain) => f.write_str(domain.as_str()),
        }
    }
}
