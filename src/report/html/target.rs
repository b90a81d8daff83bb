//! One target of the HTML page: its entries with their reasons, what is unknown, what the stages recorded and found. A
//! collapsed part that says the most important in one line.

use askama::Template;
use serde_json::Value;

use crate::dnsxl::{Observation, Tier};
use crate::dossier::{Dossier, Severity};
use crate::verdict::Verdict;

use crate::report::escape::{is_plain_link, visible};
use crate::report::found;
use crate::report::record::TargetRecord;
use crate::report::sink::Judged;

/// Lists that are named as unknown; of more, only the number.
const UNKNOWNS_SHOWN: usize = 24;

/// Names of an address, keys of a domain and the like that are shown.
const VALUES_SHOWN: usize = 4;

/// A target, ready for the page.
#[derive(Template)]
#[template(path = "target.html")]
pub(super) struct TargetPart {
    target: String,
    pub(super) class: &'static str,
    sign: &'static str,
    rating: String,
    confidence: String,
    known: u32,
    planned: u32,
    lists: usize,
    /// The lists with entries, in a line.
    ids: String,
    /// Its first name.
    name: String,
    entries: Vec<Entry>,
    unknowns: String,
    facts: Vec<(&'static str, String)>,
    findings: Vec<(&'static str, String)>,
}

/// One entry.
struct Entry {
    list: String,
    operator: String,
    /// Said where it is not the usual one.
    role: Option<&'static str>,
    class: &'static str,
    tier: &'static str,
    codes: String,
    meanings: String,
    reason: String,
    page: Option<String>,
}

/// Text that is safe to show.
pub(super) fn shown(text: &str) -> String {
    visible(text).into_owned()
}

/// The class of a tier.
pub(super) fn class(tier: Tier) -> &'static str {
    match tier {
        Tier::A => "a",
        Tier::B => "b",
        Tier::C => "c",
        Tier::W => "w",
    }
}

impl TargetPart {
    /// Makes the part of a target.
    pub(super) fn of(judged: &Judged<'_>) -> TargetPart {
        let (dossier, judgement) = (judged.dossier, judged.judgement);
        let (class, sign) = match (judgement.hardest(), judgement.verdict) {
            (Some(tier), _) => (class(tier), tier.as_str()),
            (None, Verdict::Clean) => ("o", "✓"),
            (None, Verdict::SpecialUse) => ("s", "–"),
            (None, _) => ("u", "?"),
        };
        let entries = entries(judged);
        let counts = dossier.counts();
        let known = counts.listed + counts.not_listed;
        // In the line: the block lists, or what else there is where no block list has an entry.
        let blocks = entries.iter().filter(|entry| entry.role.is_none());
        let ids: Vec<&str> = match judgement.hardest() {
            Some(_) => blocks.map(|entry| entry.list.as_str()).collect(),
            None => entries.iter().map(|entry| entry.list.as_str()).collect(),
        };
        TargetPart {
            target: shown(&dossier.target.to_string()),
            class,
            sign,
            rating: format!("{:.2}", judgement.rating),
            confidence: format!("{:.2}", judgement.confidence),
            known,
            planned: known + counts.unknown,
            lists: ids.len(),
            ids: ids.join(", "),
            name: shown(name(dossier)),
            unknowns: unknowns(judged),
            facts: facts(dossier),
            findings: findings(dossier),
            entries,
        }
    }
}

fn entries(judged: &Judged<'_>) -> Vec<Entry> {
    let record = TargetRecord(*judged);
    let mut entries: Vec<(u8, Entry)> = record
        .listings()
        .map(|listing| {
            let codes: Vec<String> = listing.codes.iter().map(ToString::to_string).collect();
            let class = match listing.tier {
                "A" => "a",
                "B" => "b",
                "C" => "c",
                _ => "w",
            };
            let order = if listing.role == "block" {
                class.as_bytes()[0]
            } else {
                b'z'
            };
            let entry = Entry {
                list: shown(listing.list),
                operator: shown(listing.operator),
                role: (listing.role != "block").then_some(match listing.role {
                    "allow" => "allow list",
                    _ => "for information",
                }),
                class,
                tier: listing.tier,
                codes: codes.join(" "),
                meanings: shown(&listing.meanings.join("; ")),
                reason: shown(listing.reason.unwrap_or_default()),
                page: listing
                    .remove
                    .filter(|page| is_plain_link(page))
                    .map(|page| page.into_owned()),
            };
            (order, entry)
        })
        .collect();
    entries.sort_by_key(|(order, _)| *order); // stable: within a tier in the order of the lists
    entries.into_iter().map(|(_, entry)| entry).collect()
}

fn unknowns(judged: &Judged<'_>) -> String {
    let unknown = |observed: &&crate::dossier::Observed| matches!(observed.observation, Observation::Unknown(_));
    let all = judged.dossier.observations.iter().filter(unknown).count();
    let record = TargetRecord(*judged);
    let named: Vec<String> = record
        .unknowns()
        .take(UNKNOWNS_SHOWN)
        .map(|unknown| format!("{} ({})", shown(unknown.list), unknown.cause))
        .collect();
    match all.saturating_sub(named.len()) {
        0 => named.join(", "),
        more => format!("{} and {more} more", named.join(", ")),
    }
}

fn findings(dossier: &Dossier) -> Vec<(&'static str, String)> {
    let findings = dossier
        .findings
        .iter()
        .filter(|finding| finding.severity > Severity::Info);
    findings
        .map(|finding| (found::word(finding.severity), shown(&finding.text)))
        .collect()
}

/// What a stage recorded last.
fn record<'a>(dossier: &'a Dossier, stage: &str) -> Option<&'a Value> {
    let found = dossier.stages.iter().rev().find(|(name, _)| *name == stage);
    found.map(|(_, record)| record)
}

fn text<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
    value.get(key).and_then(Value::as_str)
}

/// The first name of an address.
fn name(dossier: &Dossier) -> &str {
    let names = record(dossier, "rdns").and_then(|rdns| rdns.get("names"));
    names.and_then(|names| text(names.get(0)?, "name")).unwrap_or_default()
}

/// Makes a line of a record.
type Maker = fn(&Value) -> Option<String>;

/// What the stages recorded, in a line each.
fn facts(dossier: &Dossier) -> Vec<(&'static str, String)> {
    let makers: [(&str, &'static str, Maker); 7] = [
        ("rdns", "Name", rdns),
        ("asn", "Network", asn),
        ("abuse", "Abuse contact", abuse),
        ("mx", "Mail goes to", mx),
        ("spf", "SPF", spf),
        ("dkim", "DKIM", dkim),
        ("dmarc", "DMARC", dmarc),
    ];
    let facts = makers.into_iter().filter_map(|(stage, what, maker)| {
        let record = record(dossier, stage)?;
        let fact = match record.get("unknown").and_then(Value::as_str) {
            Some(why) => Some(format!("unknown: {why}")),
            None => maker(record),
        };
        Some((what, shown(&fact?)))
    });
    facts.collect()
}

/// Some of an array's members, each as text.
fn joined(values: Option<&Value>, each: impl Fn(&Value) -> Option<String>) -> Option<String> {
    let values = values?.as_array()?;
    let some: Vec<String> = values.iter().take(VALUES_SHOWN).filter_map(each).collect();
    let more = match values.len().saturating_sub(VALUES_SHOWN) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    (!some.is_empty()).then(|| some.join(", ") + &more)
}

fn rdns(record: &Value) -> Option<String> {
    let names = joined(record.get("names"), |name| {
        let class = text(name, "class").unwrap_or("unclassified");
        let leads = match name.get("confirmed").and_then(Value::as_bool) {
            Some(true) => "leads back",
            Some(false) => "leads elsewhere",
            None => "unknown where it leads",
        };
        Some(format!("{} ({class}, {leads})", text(name, "name")?))
    });
    Some(names.unwrap_or_else(|| "none".into()))
}

fn asn(record: &Value) -> Option<String> {
    let Some(number) = record.get("asn").and_then(Value::as_u64) else {
        return Some("announced by nobody".into());
    };
    let prefix = record
        .get("prefixes")
        .and_then(|prefixes| text(prefixes.get(0)?, "prefix"));
    let parts = [text(record, "name"), prefix];
    let parts: Vec<&str> = parts.into_iter().flatten().collect();
    Some(format!("AS{number} {}", parts.join(", ")))
}

fn abuse(record: &Value) -> Option<String> {
    joined(record.get("contacts"), |contact| contact.as_str().map(str::to_owned))
}

fn mx(record: &Value) -> Option<String> {
    joined(record.get("exchangers"), |one| {
        let preference = one.get("preference").and_then(Value::as_u64)?;
        Some(format!("{} ({preference})", text(one, "host")?))
    })
}

fn spf(record: &Value) -> Option<String> {
    let said = [text(record, "result"), text(record, "record")];
    let said: Vec<&str> = said.into_iter().flatten().collect();
    Some(if said.is_empty() {
        "no record".into()
    } else {
        said.join(": ")
    })
}

fn dkim(record: &Value) -> Option<String> {
    joined(Some(record), |selector| {
        let found = text(selector, "found")?;
        Some(format!("{} ({found})", text(selector, "selector")?))
    })
}

fn dmarc(record: &Value) -> Option<String> {
    Some(text(record, "record").unwrap_or("no record").to_owned())
}
