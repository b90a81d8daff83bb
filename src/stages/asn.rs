//! The `asn` stage: which network announces an address, by Team Cymru's service over DNS.
//!
//! `2.0.192.origin.asn.cymru.com TXT` answers `64496 | 192.0.2.0/24 | US | arin | 2009-01-01`: origin AS numbers
//! (several, with spaces, where several announce the same prefix), prefix, country, registry, day of allocation; one
//! record for each prefix. `AS64496.asn.cymru.com TXT` answers `64496 | US | arin | 2009-01-01 | NAME, US`. One question
//! serves a /24 or a /48, so neighbours share the resolver's answer. Bounds: [`PREFIXES_MAX`], [`NAMES_MAX`].

use std::net::IpAddr;

use ipnet::IpNet;
use serde::Serialize;

use super::ask::{Known, texts, together};
use super::escape::{escape, quote};
use super::finding::Finding;
use crate::exchange::Resolver;
use crate::wire::Name;

/// The stage's name in records and findings.
pub const STAGE: &str = "asn";

/// Prefixes of one address that are kept: more specific ones inside a /24 are rare.
pub const PREFIXES_MAX: usize = 8;

/// AS numbers whose names are asked for.
pub const NAMES_MAX: usize = 4;

/// Characters of an AS name that are kept.
const NAME_CHARS_MAX: usize = 100;

/// Who announces an address.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Asn {
    /// The most specific prefix's first origin.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub asn: Option<u32>,
    /// Its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The prefixes that cover the address, the most specific first.
    pub prefixes: Vec<Prefix>,
    /// The names of the origins, in the order of the prefixes.
    pub names: Vec<AsName>,
    /// Why it is not known, if so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unknown: Option<String>,
}

/// One announced prefix.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Prefix {
    /// The prefix.
    #[serde(serialize_with = "as_text")]
    pub prefix: IpNet,
    /// Who announces it, as AS numbers.
    pub origins: Vec<u32>,
    /// The country of the registration, two letters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub country: Option<String>,
    /// The registry: arin, ripencc, apnic, lacnic, afrinic.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub registry: Option<String>,
    /// The day of the allocation, `YYYY-MM-DD`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allocated: Option<String>,
}

fn as_text<S: serde::Serializer>(prefix: &IpNet, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(prefix)
}

/// The name of an AS.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AsName {
    /// Its number.
    pub asn: u32,
    /// Its name, escaped.
    pub name: String,
}

/// Asks who announces an address.
pub async fn asn(resolver: &dyn Resolver, address: IpAddr) -> (Asn, Vec<Finding>) {
    let found = match texts(resolver, origin_name(address)).await {
        Known::Some(found) => found,
        Known::Nothing { .. } => {
            let text = format!("no announced network covers {address}");
            let finding = Finding::warning(STAGE, "asn_unannounced", text)
                .mend("have the network announced; nothing sent from it arrives");
            return (Asn::default(), vec![finding]);
        }
        Known::Unknown(why) => return unknown(address, why),
    };
    let mut findings = Vec::new();
    let mut prefixes = Vec::new();
    for text in &found.texts {
        match read_prefix(text) {
            Ok(prefix) if prefix.prefix.contains(&address) => prefixes.push(prefix),
            Ok(_) => {} // another part of the same /24
            Err(reason) => {
                let text = format!(
                    "an origin record of {address} is malformed ({reason}): \"{}\"",
                    quote(text)
                );
                findings.push(Finding::info(STAGE, "asn_malformed", text));
            }
        }
    }
    if prefixes.is_empty() {
        let (asn, more) = unknown(address, "no origin record covers it or could be read".to_owned());
        findings.extend(more);
        return (asn, findings);
    }
    // Order is by content, so that the same answers give the same record whatever order they came in.
    prefixes.sort_by_cached_key(|prefix| (u8::MAX - prefix.prefix.prefix_len(), prefix.origins.clone()));
    merge(&mut prefixes);
    prefixes.truncate(PREFIXES_MAX);
    findings.extend(several_origins(address, &prefixes[0]));
    let names = names(resolver, &prefixes).await;
    let asn = prefixes[0].origins.first().copied();
    let record = Asn {
        asn,
        name: names
            .iter()
            .find(|name| Some(name.asn) == asn)
            .map(|name| name.name.clone()),
        prefixes,
        names,
        unknown: None,
    };
    (record, findings)
}

/// Joins the origins of neighbours with the same prefix: two records for it are two networks that announce it.
fn merge(prefixes: &mut Vec<Prefix>) {
    prefixes.dedup_by(|next, kept| {
        let same = next.prefix == kept.prefix;
        if same {
            let new = next
                .origins
                .iter()
                .filter(|origin| !kept.origins.contains(origin))
                .copied();
            let new: Vec<u32> = new.collect();
            kept.origins.extend(new);
        }
        same
    });
}

fn unknown(address: IpAddr, why: String) -> (Asn, Vec<Finding>) {
    let finding = Finding::info(
        STAGE,
        "asn_unknown",
        format!("who announces {address} is not known: {why}"),
    );
    let asn = Asn {
        unknown: Some(why),
        ..Asn::default()
    };
    (asn, vec![finding])
}

fn several_origins(address: IpAddr, prefix: &Prefix) -> Option<Finding> {
    if prefix.origins.len() < 2 {
        return None;
    }
    let origins: Vec<String> = prefix.origins.iter().map(|origin| format!("AS{origin}")).collect();
    let text = format!(
        "{} with {address} is announced by several networks: {}",
        prefix.prefix,
        origins.join(", ")
    );
    let mend = "make sure that all of them may announce it; otherwise it has been taken over";
    Some(Finding::warning(STAGE, "asn_several_origins", text).mend(mend))
}

/// The name that serves the address's /24 or /48.
pub fn origin_name(address: IpAddr) -> Name {
    let (reversed, labels, zone) = match address {
        IpAddr::V4(v4) => (Name::reversed_v4(v4), 3, "origin.asn.cymru.com"),
        IpAddr::V6(v6) => (Name::reversed_v6(v6), 12, "origin6.asn.cymru.com"),
    };
    let skip = reversed.label_count() - labels;
    let mut name = Name::root();
    for label in reversed.labels().skip(skip).chain(zone.split('.').map(str::as_bytes)) {
        name.push(label).expect("46 octets at most");
    }
    name
}

fn fields(text: &[u8]) -> Vec<&[u8]> {
    text.split(|&octet| octet == b'|').map(super::taglist::trim).collect()
}

fn read_prefix(text: &[u8]) -> Result<Prefix, &'static str> {
    let fields = fields(text);
    let field = |index: usize| fields.get(index).copied().filter(|field| !field.is_empty());
    let origins: Option<Vec<u32>> = field(0)
        .and_then(|origins| str::from_utf8(origins).ok())
        .map(|origins| {
            origins
                .split_ascii_whitespace()
                .map(|origin| origin.parse().ok())
                .collect()
        })
        .ok_or("no AS number")?;
    let prefix = field(1)
        .and_then(|prefix| str::from_utf8(prefix).ok())
        .ok_or("no prefix")?;
    let word = |index: usize| field(index).map(|word| escape(word, WORD_CHARS_MAX));
    Ok(Prefix {
        prefix: prefix.parse::<IpNet>().map_err(|_| "not a prefix")?.trunc(),
        origins: origins.ok_or("not an AS number")?,
        country: word(2),
        registry: word(3),
        allocated: word(4),
    })
}

/// Characters of country, registry and date that are kept.
const WORD_CHARS_MAX: usize = 16;

async fn names(resolver: &dyn Resolver, prefixes: &[Prefix]) -> Vec<AsName> {
    let mut origins: Vec<u32> = Vec::new();
    for origin in prefixes.iter().flat_map(|prefix| &prefix.origins) {
        if !origins.contains(origin) && origins.len() < NAMES_MAX {
            origins.push(*origin);
        }
    }
    let found = together(origins.iter().map(|origin| as_name(resolver, *origin))).await;
    origins
        .iter()
        .zip(found)
        .filter_map(|(&asn, name)| Some(AsName { asn, name: name? }))
        .collect()
}

async fn as_name(resolver: &dyn Resolver, origin: u32) -> Option<String> {
    let name: Name = format!("AS{origin}.asn.cymru.com").parse().expect("a short name");
    let Known::Some(found) = texts(resolver, name).await else {
        return None;
    };
    let name = fields(found.texts.first()?).get(4).copied()?;
    (!name.is_empty()).then(|| escape(name, NAME_CHARS_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stages::testing::{World, codes, ip};
    use crate::wire::Rtype;

    const ORIGIN: &str = "2.0.192.origin.asn.cymru.com";

    async fn run(world: &World) -> (Asn, Vec<Finding>) {
        asn(world, ip("192.0.2.7")).await
    }

    #[test]
    fn one_name_serves_a_whole_24_or_48() {
        assert_eq!(origin_name(ip("192.0.2.7")).to_string(), ORIGIN);
        assert_eq!(
            origin_name(ip("2001:db8:1:2::3")).to_string(),
            "1.0.0.0.8.b.d.0.1.0.0.2.origin6.asn.cymru.com"
        );
        assert_eq!(origin_name(ip("2001:db8:1:2::3")), origin_name(ip("2001:db8:1:ffff::")));
    }

    #[tokio::test]
    async fn origin_prefix_registry_and_name_are_read() {
        let world = World::new()
            .txt(ORIGIN, "64496 | 192.0.2.0/24 | US | arin | 2009-01-01")
            .txt(
                "AS64496.asn.cymru.com",
                "64496 | US | arin | 2008-01-01 | EXAMPLE, Ltd | x, US",
            );
        let (found, findings) = run(&world).await;
        assert_eq!((found.asn, found.name.as_deref()), (Some(64496), Some("EXAMPLE, Ltd")));
        assert_eq!(found.prefixes[0].registry.as_deref(), Some("arin"));
        assert_eq!(found.prefixes[0].allocated.as_deref(), Some("2009-01-01"));
        assert!(findings.is_empty(), "{findings:?}");
    }

    #[tokio::test]
    async fn several_prefixes_and_origins_are_ordered_and_told() {
        let world = World::new()
            .txt(ORIGIN, "64496 | 192.0.0.0/16 | US | arin | ")
            .txt(ORIGIN, "64498 64497 | 192.0.2.0/25 | US | arin | 2009-01-01")
            .txt(ORIGIN, "64499 | 192.0.2.128/25 | US | arin | 2009-01-01");
        let (found, findings) = run(&world).await;
        let lengths: Vec<u8> = found.prefixes.iter().map(|prefix| prefix.prefix.prefix_len()).collect();
        assert_eq!((lengths, found.asn), (vec![25, 16], Some(64498)));
        assert_eq!(found.prefixes[1].allocated, None);
        assert_eq!(codes(&findings), ["asn_several_origins"]);
    }

    #[tokio::test]
    async fn two_records_for_one_prefix_are_two_origins() {
        let world = World::new()
            .txt(ORIGIN, "64497 | 192.0.2.0/24 | US | arin | 2009-01-01")
            .txt(ORIGIN, "64496 | 192.0.2.0/24 | US | arin | 2009-01-01")
            .txt(ORIGIN, "64496 | 192.0.2.0/24 | US | arin | 2009-01-01");
        let (found, findings) = run(&world).await;
        assert_eq!(
            (found.prefixes.len(), &found.prefixes[0].origins),
            (1, &vec![64496, 64497])
        );
        assert_eq!(codes(&findings), ["asn_several_origins"]);
    }

    #[tokio::test]
    async fn unannounced_unknown_and_malformed_stay_apart() {
        assert_eq!(codes(&run(&World::new()).await.1), ["asn_unannounced"]);
        assert_eq!(
            codes(&run(&World::new().fail(ORIGIN, Rtype::TXT)).await.1),
            ["asn_unknown"]
        );
        for text in [
            "",
            "x | 192.0.2.0/24",
            "64496",
            "64496 | not",
            "4294967296 | 192.0.2.0/24",
            "\u{1b}[2J | | |",
        ] {
            let (found, findings) = run(&World::new().txt(ORIGIN, text)).await;
            assert_eq!(codes(&findings), ["asn_malformed", "asn_unknown"], "{text}");
            assert!(found.unknown.is_some() && !findings[0].text.contains('\u{1b}'));
        }
    }

    proptest::proptest! {
        #[test]
        fn any_octets_can_be_read(text: Vec<u8>) {
            let _ = read_prefix(&text);
        }
    }
}
