//! The records of a run as values: the target record, the run record, the list record, with the fields that the JSON
//! forms show, in their order.
//!
//! A [`TargetRecord`] borrows from the dossier and lives for one write. Fields may be added; none is renamed or removed.
//! Numbers between 0 and 1 have four decimals; times are RFC 3339 in UTC.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use serde::Deserialize;
use serde::ser::{Serialize, SerializeMap, Serializer};

use crate::dnsxl::fill_target;
use crate::dnsxl::{Catalogue, Observation};
use crate::dossier::{Difference, Dossier, Observed};

use super::escape::SafeJson;
use super::sink::Judged;

/// A whole target, as one JSON object.
#[derive(Debug, Clone, Copy)]
pub struct TargetRecord<'a>(pub Judged<'a>);

/// One listing of a target record.
#[derive(Debug, serde::Serialize)]
pub struct ListingRecord<'a> {
    /// The list's id.
    pub list: &'a str,
    /// Its zone, with `{key}` as it stands in the catalogue: keys are never reported.
    pub zone: &'a str,
    /// The operator's name.
    pub operator: &'a str,
    /// `block`, `allow` or `info`.
    pub role: &'static str,
    /// `A`, `B`, `C` or `W`.
    pub tier: &'static str,
    /// The codes, in text.
    pub codes: &'a [Ipv4Addr],
    /// What they mean.
    pub meanings: &'a [String],
    /// The TXT record.
    pub reason: Option<&'a str>,
    /// Seconds.
    pub ttl: u32,
    /// How it was learnt.
    pub how: &'static str,
    /// The removal page, the target filled in.
    pub remove: Option<Cow<'a, str>>,
    /// How removal works.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remove_how: Option<&'a str>,
}

/// One unknown of a target record.
#[derive(Debug, serde::Serialize)]
pub struct UnknownRecord<'a> {
    /// The list's id.
    pub list: &'a str,
    /// Why.
    pub cause: &'static str,
}

/// The run's own record: the `run` object.
#[derive(Debug, Clone, PartialEq, Default, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct RunRecord {
    /// When it started.
    #[serde(serialize_with = "time", deserialize_with = "moment")]
    pub started: jiff::Timestamp,
    /// When it ended.
    #[serde(serialize_with = "time", deserialize_with = "moment")]
    pub finished: jiff::Timestamp,
    /// This program's version.
    pub version: String,
    /// The hash of the catalogue's content, hexadecimal.
    pub catalogue: String,
    /// The resolvers or servers asked, without keys.
    pub resolvers: Vec<String>,
    /// Targets, special-use ones included.
    pub targets: u64,
    /// Pairs (target, list) that were to be learnt.
    pub planned: u64,
    /// Queries asked, retries not counted.
    pub asked: u64,
    /// Planned pairs that were learnt.
    pub answered: u64,
    /// Packets sent again.
    pub retried: u64,
    /// Pairs learnt from a composite zone.
    pub folded: u64,
    /// Pairs learnt from a parent's NXDOMAIN.
    pub pruned: u64,
    /// Pairs learnt so that were handed out before a denial proved false, and have not been asked since: unknown.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub unproved: u64,
    /// Answered over planned, from 0 to 1.
    #[serde(serialize_with = "share")]
    pub complete: f64,
    /// Queries, retries included, by operator id.
    pub queries: BTreeMap<String, u64>,
    /// What changed since an earlier run, if that was asked for: for the run database; the document has it as `changes`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub diff: Option<Difference>,
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// How a list's checks ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Health {
    /// It passed.
    Healthy,
    /// It failed; the cause says how.
    Unhealthy,
    /// It was not checked: the user said so, it was not asked, or its data is on disk.
    Unchecked,
}

impl Health {
    /// The word of the records.
    pub fn as_str(self) -> &'static str {
        match self {
            Health::Healthy => "healthy",
            Health::Unhealthy => "unhealthy",
            Health::Unchecked => "unchecked",
        }
    }
}

/// What a run learnt about and from a list.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct ListRecord {
    /// The list's id.
    pub id: String,
    /// Its zone, `{key}` never filled in.
    pub zone: String,
    /// The operator's name.
    pub operator: String,
    /// `block`, `allow` or `info`.
    pub role: &'static str,
    /// `A`, `B`, `C` or `W`.
    pub tier: &'static str,
    /// How its checks ended.
    pub health: Health,
    /// Why it is unhealthy or unchecked, in a word.
    pub cause: Option<String>,
    /// Queries asked of it.
    pub asked: u64,
    /// Targets listed.
    pub listed: u64,
    /// Targets not listed.
    pub not_listed: u64,
    /// Targets of which it is unknown.
    pub unknown: u64,
    /// Targets not to be asked of it.
    pub not_asked: u64,
}

impl ListRecord {
    /// The record of a list of which nothing is known yet.
    pub fn new(catalogue: &Catalogue, index: crate::dnsxl::ListIndex) -> ListRecord {
        let list = catalogue.list(index);
        ListRecord {
            id: list.id.clone(),
            zone: list.zone.clone(),
            operator: catalogue.operator_of(index).name.clone(),
            role: list.role.as_str(),
            tier: list.tier.as_str(),
            health: Health::Unchecked,
            cause: None,
            asked: 0,
            listed: 0,
            not_listed: 0,
            unknown: 0,
            not_asked: 0,
        }
    }
}

impl<'a> TargetRecord<'a> {
    /// The listings of every role, in the order of the lists.
    pub fn listings(&self) -> impl Iterator<Item = ListingRecord<'a>> + use<'a> {
        let Judged { catalogue, dossier, .. } = self.0;
        let observations = dossier.observations.iter();
        observations.filter_map(move |observed| listing(catalogue, dossier, observed))
    }

    /// The unknowns, in the order of the lists.
    pub fn unknowns(&self) -> impl Iterator<Item = UnknownRecord<'a>> + use<'a> {
        let Judged { catalogue, dossier, .. } = self.0;
        dossier.observations.iter().filter_map(move |observed| {
            let Observation::Unknown(cause) = observed.observation else {
                return None;
            };
            Some(UnknownRecord {
                list: &catalogue.list(observed.list).id,
                cause: cause.as_str(),
            })
        })
    }
}

fn listing<'a>(catalogue: &'a Catalogue, dossier: &'a Dossier, observed: &'a Observed) -> Option<ListingRecord<'a>> {
    let Observation::Listed(listing) = &observed.observation else {
        return None;
    };
    let list = catalogue.list(observed.list);
    let page = list.remove.as_deref();
    Some(ListingRecord {
        list: &list.id,
        zone: &list.zone,
        operator: &catalogue.operator(list.operator).name,
        role: listing.role.as_str(),
        tier: listing.tier.as_str(),
        codes: &listing.codes.answers,
        meanings: &listing.codes.meanings,
        reason: listing.reason.as_deref(),
        ttl: listing.ttl,
        how: observed.how.as_str(),
        remove: page.map(|page| Cow::Owned(fill_target(page, &dossier.target))),
        remove_how: list.remove_how.as_deref(),
    })
}

impl Serialize for TargetRecord<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Judged { dossier, judgement, .. } = self.0;
        let counts = dossier.counts();
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("type", "target")?;
        map.serialize_entry("target", &dossier.target.to_string())?;
        map.serialize_entry("kind", dossier.target.kind().as_str())?;
        if let Some(space) = dossier.special_use {
            map.serialize_entry("special_use", space)?;
        }
        map.serialize_entry("verdict", judgement.verdict.as_str())?;
        map.serialize_entry("rating", &rounded(judgement.rating))?;
        map.serialize_entry("confidence", &rounded(judgement.confidence))?;
        map.serialize_entry("listed", &counts.listed)?;
        map.serialize_entry("not_listed", &counts.not_listed)?;
        map.serialize_entry("unknown", &counts.unknown)?;
        map.serialize_entry("not_asked", &counts.not_asked)?;
        map.serialize_entry("listings", &Seq(|| self.listings()))?;
        map.serialize_entry("unknowns", &Seq(|| self.unknowns()))?;
        for (at, (stage, record)) in dossier.stages.iter().enumerate() {
            // A stage that recorded twice would make a key twice: its last record stands.
            if !dossier.stages[at + 1..].iter().any(|(later, _)| later == stage) {
                map.serialize_entry(stage, record)?;
            }
        }
        map.serialize_entry("findings", &dossier.findings)?;
        if dossier.revision > 1 {
            map.serialize_entry("revision", &dossier.revision)?;
        }
        map.end()
    }
}

/// An iterator, made anew for each serialization.
struct Seq<F>(F);

impl<F, I> Serialize for Seq<F>
where
    F: Fn() -> I,
    I: Iterator<Item: Serialize>,
{
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq((self.0)())
    }
}

/// Four decimals: more would pretend a precision that the weights do not have.
pub(super) fn rounded(share: f64) -> f64 {
    (share * 10_000.0).round() / 10_000.0
}

fn share<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(rounded(*value))
}

/// RFC 3339, UTC, whole seconds.
pub(super) fn rfc3339(moment: jiff::Timestamp) -> String {
    moment.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

fn time<S: Serializer>(moment: &jiff::Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&rfc3339(*moment))
}

fn moment<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<jiff::Timestamp, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map_err(serde::de::Error::custom)
}

/// A value as one line of JSON in which nothing can act on a screen; lossless.
///
/// # Panics
/// If the value has map keys that are not strings; records have none.
pub fn to_json<T: Serialize + ?Sized>(value: &T) -> String {
    let mut octets = Vec::new();
    let mut serializer = serde_json::Serializer::with_formatter(&mut octets, SafeJson);
    value.serialize(&mut serializer).expect("records are plain JSON");
    String::from_utf8(octets).expect("JSON is UTF-8")
}
