//! Lists that the lab makes up: any catalogue can be rehearsed against it.

use std::hash::Hasher;
use std::net::{IpAddr, Ipv4Addr};

use crate::targets::Kind;
use crate::wire::{Name, Rdata, Rtype};
use crate::zone::{Zone, ZoneQuery};

use super::conduct::Conduct;

/// One in so many documentation addresses and test names is listed.
const LISTED_ONE_IN: u64 = 100;

/// TTL of made-up entries, in seconds.
const TTL: u32 = 300;

/// A list to be served in good health: its test entries are listed as they should be, about 1 % of the documentation
/// and benchmarking addresses and of the names under `.test` and `.example` too, and nothing else, so that canaries
/// and real targets are never listed.
#[derive(Debug, Clone)]
pub struct ServedList {
    /// Its zone.
    pub zone: Name,
    /// Labels before the target in its names, for the few lists that want their key there; else the root.
    pub prefix: Name,
    /// The kinds of targets it takes.
    pub kinds: Vec<Kind>,
    /// Relative names (addresses already reversed, the prefix left out) that must be listed, each with its code.
    pub listed: Vec<(Name, Ipv4Addr)>,
    /// Relative names that must not be.
    pub unlisted: Vec<Name>,
    /// The codes of other entries; empty: 127.0.0.2.
    pub codes: Vec<Ipv4Addr>,
}

impl ServedList {
    /// A list with the test entries of RFC 5782 §5, its first code the one of the test entries.
    pub fn standard(zone: Name, kinds: &[Kind], codes: &[Ipv4Addr]) -> ServedList {
        let code = codes.first().copied().unwrap_or(Ipv4Addr::new(127, 0, 0, 2));
        let name = |text: &str| text.parse::<Name>().expect("a good name");
        let (mut listed, mut unlisted) = (Vec::new(), Vec::new());
        for kind in kinds {
            let (yes, no) = match kind {
                Kind::Ip4 => (name("2.0.0.127"), name("1.0.0.127")),
                Kind::Ip6 => {
                    let mapped = |last| Name::reversed_v6(Ipv4Addr::new(127, 0, 0, last).to_ipv6_mapped());
                    (mapped(2), mapped(1))
                }
                Kind::Domain => (name("test"), name("invalid")),
            };
            listed.push((yes, code));
            unlisted.push(no);
        }
        ServedList {
            zone,
            prefix: Name::root(),
            kinds: kinds.to_vec(),
            listed,
            unlisted,
            codes: codes.to_vec(),
        }
    }
}

/// A zone to be served beside the lab's own.
#[derive(Debug)]
pub struct ExtraZone {
    /// Its data.
    pub zone: Zone,
    /// How it behaves.
    pub conduct: Conduct,
}

/// The content of a made-up list.
#[derive(Debug)]
pub(super) struct Synthetic {
    list: ServedList,
    seed: u64,
}

impl Synthetic {
    /// The content of a list; `seed` decides who is on it.
    pub(super) fn new(list: ServedList, seed: u64) -> Synthetic {
        Synthetic { list, seed }
    }

    /// The records of a relative name, if it is listed.
    pub(super) fn look_up(&self, relative: &[u8], rtype: Rtype) -> Option<Vec<(u32, Rdata)>> {
        if relative.is_empty() {
            return Some(Vec::new());
        }
        let prefix = labels(&self.list.prefix);
        let (before, target) = relative.split_at_checked(prefix.len())?;
        if !before.eq_ignore_ascii_case(prefix) {
            return None;
        }
        let code = self.code(target)?;
        Some(match rtype {
            Rtype::A => vec![(TTL, Rdata::A(code))],
            Rtype::TXT => vec![(TTL, Rdata::Txt(vec![b"listed for rehearsal".as_slice().into()]))],
            _ => Vec::new(),
        })
    }

    fn code(&self, relative: &[u8]) -> Option<Ipv4Addr> {
        let is = |name: &Name| labels(name).eq_ignore_ascii_case(relative);
        if let Some((_, code)) = self.list.listed.iter().find(|(name, _)| is(name)) {
            return Some(*code);
        }
        let kind = documentation_kind(relative)?;
        if !self.list.kinds.contains(&kind) || self.list.unlisted.iter().any(is) {
            return None;
        }
        let draw = self.draw(relative);
        if !draw.is_multiple_of(LISTED_ONE_IN) {
            return None;
        }
        let codes = &self.list.codes;
        let index = (draw / LISTED_ONE_IN) as usize % codes.len().max(1);
        Some(codes.get(index).copied().unwrap_or(Ipv4Addr::new(127, 0, 0, 2)))
    }

    /// A number for a name on this list, the same in every run.
    fn draw(&self, relative: &[u8]) -> u64 {
        #[expect(deprecated, reason = "its algorithm is fixed, which the default hasher's is not")]
        let mut hasher = std::hash::SipHasher::new_with_keys(self.seed, 0);
        hasher.write(self.list.zone.as_wire());
        hasher.write(relative);
        hasher.finish()
    }
}

/// A name's labels in wire form, without the root's.
fn labels(name: &Name) -> &[u8] {
    let wire = name.as_wire();
    &wire[..wire.len() - 1]
}

/// The kind of a name that stands for a documentation address or a test name.
fn documentation_kind(relative: &[u8]) -> Option<Kind> {
    match ZoneQuery::from_labels(relative).address() {
        Some(IpAddr::V4(address)) => {
            let [a, b, ..] = address.octets();
            (address.is_documentation() || (a == 198 && b & 0xfe == 18)).then_some(Kind::Ip4)
        }
        Some(IpAddr::V6(address)) => {
            let [a, b, ..] = address.segments();
            (a == 0x2001 && b == 0xdb8).then_some(Kind::Ip6)
        }
        None => {
            let ends = |tail: &[u8]| relative.len() > tail.len() && relative.ends_with(tail);
            (ends(b"\x04test") || ends(b"\x07example")).then_some(Kind::Domain)
        }
    }
}
