//! The fields of a catalogue file that must be more than of the right type: ids, zones, query forms, pages, patterns.

use std::net::Ipv6Addr;

use crate::wire::Name;

use super::codes::CodePattern;
use super::key::KEY_MARK;
use super::section::{At, Section};

/// Longest id: it stands in tables and file names.
const ID_OCTETS_MAX: usize = 63;

pub(super) fn id(section: &Section<'_>, mend: &str) -> String {
    let Some(id) = section.required("id", mend) else {
        return String::new();
    };
    let plain = |octet: u8| octet.is_ascii_lowercase() || octet.is_ascii_digit() || octet == b'-';
    if !id.value.bytes().all(plain) || id.value.len() > ID_OCTETS_MAX || id.value.starts_with('-') {
        section.complain(
            id.offset,
            "id",
            format!("{:?} is no id", id.value),
            "use at most 63 lower case letters, digits and dashes",
        );
    }
    id.value
}

pub(super) fn zone(section: &Section<'_>) -> String {
    let Some(zone) = section.required("zone", "zone = \"bl.example.org\"") else {
        return String::new();
    };
    let value = zone.value.trim_end_matches('.').to_ascii_lowercase();
    if !is_template(&value) {
        section.complain(
            zone.offset,
            "zone",
            format!("{:?} is no domain name", zone.value),
            "write letters, digits, dashes, dots, 189 at most, so that a reversed IPv6 address fits before them; {key} is a label, of 63",
        );
    }
    value
}

pub(super) fn query(section: &Section<'_>) -> Option<String> {
    let query = section.text("query")?;
    let parts: Vec<&str> = query.value.split("{target}").collect();
    let good = matches!(parts[..], [before, behind]
        if (before.is_empty() || (before.ends_with('.') && is_template(before.trim_end_matches('.'))))
            && behind.starts_with('.') && is_template(behind.trim_matches('.')));
    if !good {
        section.complain(
            query.offset,
            "query",
            "is no form of a name",
            "write \"{key}.{target}.bl.example.org\", {target} once",
        );
    }
    Some(query.value)
}

/// Whether a text is a name of letters, digits, dashes and underscores, with `{key}` in place of labels, that leaves room
/// for the longest key and an IPv6 address.
fn is_template(text: &str) -> bool {
    let labels = text.split('.');
    let plain = |label: &str| {
        let octets = |octet: u8| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_');
        label == KEY_MARK || label.bytes().all(octets)
    };
    let filled = text.replace(KEY_MARK, &"k".repeat(63)).parse::<Name>();
    let room = |name: Name| Name::reversed_v6(Ipv6Addr::LOCALHOST).under(&name).is_ok();
    labels.into_iter().all(plain) && filled.is_ok_and(room)
}

/// The address of a page. Other schemes could run something in a report.
pub(super) fn url(section: &Section<'_>, key: &'static str) -> Option<String> {
    let url = section.text(key)?;
    let good = ["https://", "http://", "mailto:"]
        .iter()
        .any(|scheme| url.value.starts_with(scheme));
    if !good {
        section.complain(url.offset, key, "is no address of a page", "write https://…");
    }
    Some(url.value)
}

pub(super) fn patterns(section: &Section<'_>, key: &'static str) -> Vec<CodePattern> {
    let mut patterns = Vec::new();
    for text in section.texts(key) {
        match text.value.parse() {
            Ok(pattern) => patterns.push(pattern),
            Err(error) => section.complain(text.offset, key, format!("{:?}: {error}", text.value), ""),
        }
    }
    patterns
}

pub(super) fn value(at: Option<At<String>>) -> Option<String> {
    at.map(|at| at.value)
}

pub(super) fn values(texts: Vec<At<String>>) -> Vec<String> {
    texts.into_iter().map(|text| text.value).collect()
}
