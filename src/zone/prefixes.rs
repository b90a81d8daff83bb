//! Plain lists: one address, prefix or IPv4 range a line, of either family; what follows `;` or `#` is the reason.
//!
//! This is how DROP lists and firewall sets are handed out. No values, no exclusions, no specials; every entry answers
//! 127.0.0.2. The longest prefix answers.

use ipnet::{Ipv4Net, Ipv6Net};
use prefix_trie::PrefixMap;
use std::net::{Ipv4Addr, Ipv6Addr};

use super::error::Notes;
use super::ip4::parse_nets;
use super::ip6::parse_net;
use super::query::EntryKind;
use super::text::{is_comment, trim};
use super::value::{Value, ValueId, Values};

/// Octets of a reason that are kept (RFC 1035 §3.3.14).
const REASON_OCTETS_MAX: usize = 255;

/// Prefixes of both families.
#[derive(Debug, Default)]
pub(super) struct Prefixes {
    ip4: PrefixMap<Ipv4Net, ValueId>,
    ip6: PrefixMap<Ipv6Net, ValueId>,
}

impl Prefixes {
    /// Whether there is a prefix of a kind.
    pub(super) fn has(&self, kind: EntryKind) -> bool {
        match kind {
            EntryKind::Ip4 => !self.ip4.is_empty(),
            EntryKind::Ip6 => !self.ip6.is_empty(),
            EntryKind::Name => false,
        }
    }

    /// Takes a line.
    pub(super) fn line(&mut self, line: &[u8], values: &mut Values, notes: &mut Notes<'_>) {
        let line = trim(line.strip_suffix(b"\r").unwrap_or(line));
        let (entry, reason) = match line.iter().position(|&octet| is_comment(octet)) {
            Some(at) => (trim(&line[..at]), trim(&line[at + 1..])),
            None => (line, &b""[..]),
        };
        if entry.is_empty() {
            return;
        }
        let id = values.intern(Value {
            address: Ipv4Addr::new(127, 0, 0, 2),
            // A dollar sign in a reason is only that.
            template: &doubled(&reason[..reason.len().min(REASON_OCTETS_MAX)]),
        });
        if let Some(nets) = parse_nets(entry) {
            nets.for_each(|net| {
                self.ip4.insert(net, id);
            });
        } else if let Some(net) = parse_net(entry) {
            self.ip6.insert(net, id);
        } else {
            notes.warn(
                line,
                "not an address, prefix or range, or it has bits beyond the prefix",
            );
        }
    }

    /// The value of an IPv4 address, if it is listed.
    pub(super) fn find4(&self, address: Ipv4Addr) -> Option<ValueId> {
        self.ip4.get_lpm(&Ipv4Net::new_assert(address, 32)).map(|(_, &id)| id)
    }

    /// The value of an IPv6 address, if it is listed.
    pub(super) fn find6(&self, address: Ipv6Addr) -> Option<ValueId> {
        self.ip6.get_lpm(&Ipv6Net::new_assert(address, 128)).map(|(_, &id)| id)
    }

    /// Whether an entry covers a part of `net`.
    pub(super) fn touches4(&self, net: Ipv4Net) -> bool {
        self.ip4.get_lpm(&net).is_some() || self.ip4.children(&net).next().is_some()
    }

    /// Whether an entry covers a part of `net`.
    pub(super) fn touches6(&self, net: Ipv6Net) -> bool {
        self.ip6.get_lpm(&net).is_some() || self.ip6.children(&net).next().is_some()
    }

    /// How many prefixes there are.
    pub(super) fn len(&self) -> usize {
        self.ip4.len() + self.ip6.len()
    }
}

/// The text with its dollar signs doubled, as templates want them.
fn doubled(text: &[u8]) -> Vec<u8> {
    let mut template = Vec::with_capacity(text.len());
    if text.first() == Some(&b'=') {
        template.push(b'='); // a leading one would be taken off
    }
    for &octet in text {
        template.push(octet);
        if octet == b'$' {
            template.push(octet);
        }
    }
    template
}
