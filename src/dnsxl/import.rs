//! Other programs' lists as a catalogue file, to be read over by a person.
//!
//! | recognised by | what it is | what is kept |
//! |---|---|---|
//! | a section `rbls {` | rspamd's `rbl.conf` | zones, kinds, allow lists, return codes and bits |
//! | lines `server=ZONE` | check_rbl's ini | zones |
//! | lines `ZONE:TYPE:FILE` | rbldnsd's arguments | zones, kinds |
//! | else | a zone a line, also as postscreen writes them (`ZONE=127.0.0.[2..11]*3`) | zones |
//!
//! All lists become `unverified` and none is a default one: who wrote the old file cannot vouch for today. Zones that are
//! dead are told when the file is loaded.

use std::collections::HashSet;
use std::fmt::Write;

use crate::wire::Name;

use super::codes::CodePattern;
use super::mistake::{Mistake, Place, Warning};
use super::ucl::{Block, Value, parse};

/// Largest text that is imported, in octets.
const IMPORT_OCTETS_MAX: usize = 4 << 20;

/// Longest id; the zone's first part is kept.
const ID_OCTETS_MAX: usize = 60;

/// A catalogue file made of another program's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imported {
    /// The catalogue file.
    pub toml: String,
    /// How many lists it holds.
    pub lists: usize,
    /// What was left out, and where it stood.
    pub skipped: Vec<Warning>,
}

/// One list found.
#[derive(Debug, Default)]
struct Found {
    zone: String,
    kinds: Vec<&'static str>,
    allow: bool,
    codes: Vec<(CodePattern, String)>,
}

/// Makes a catalogue file of a text; `name` is its file's, for the operator and for warnings.
///
/// # Errors
/// If there is not one list in it.
pub fn import(name: &str, text: &str) -> Result<Imported, Mistake> {
    let failed = |what: &str, mend: &str| Mistake {
        place: whole(name),
        key: String::new(),
        what: what.to_owned(),
        mend: mend.to_owned(),
    };
    if text.len() > IMPORT_OCTETS_MAX {
        return Err(failed("larger than 4 MiB", "is it a list of zones?"));
    }
    let mut skipped = Vec::new();
    let mut found = match is_rspamd(text) {
        true => rspamd(name, text, &mut skipped).map_err(|what| failed(what, "is it rspamd's rbl.conf?"))?,
        false => lines(name, text, &mut skipped),
    };
    let mut zones = HashSet::new();
    found.retain(|found| zones.insert(found.zone.clone()));
    if found.is_empty() {
        let mend = "write a zone a line, or name an rbl.conf, a check_rbl.ini, or rbldnsd's ZONE:TYPE:FILE";
        return Err(failed("holds no list", mend));
    }
    Ok(Imported {
        toml: compose(name, &found),
        lists: found.len(),
        skipped,
    })
}

fn whole(name: &str) -> Place {
    Place {
        file: name.to_owned(),
        line: 0,
    }
}

fn is_rspamd(text: &str) -> bool {
    let mut starts = text.lines().map(|line| line.split('#').next().unwrap_or("").trim());
    starts.any(|line| {
        line.starts_with("rbls")
            && line
                .trim_start_matches("rbls")
                .trim_start_matches([' ', '='])
                .starts_with('{')
    })
}

/// One list a line, in any of the line formats.
fn lines(name: &str, text: &str, skipped: &mut Vec<Warning>) -> Vec<Found> {
    let mut found = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let line = line.split(['#', ';']).next().unwrap_or("").trim().trim_end_matches(',');
        if line.is_empty() || line.starts_with('[') {
            continue;
        }
        match one_line(line) {
            Some(list) => found.push(list),
            None => skipped.push(Warning {
                place: Place {
                    file: name.to_owned(),
                    line: at + 1,
                },
                text: format!("{:?} is no zone", line.chars().take(80).collect::<String>()),
            }),
        }
    }
    found
}

fn one_line(line: &str) -> Option<Found> {
    let line = match line.split_once('=') {
        Some((key, zone)) if key.trim() == "server" => zone.trim(),
        _ => line,
    };
    let line = line.split_whitespace().next()?.trim_matches(['"', '\'']);
    let mut fields = line.splitn(3, ':');
    let zone = fields.next()?.split(['=', '*']).next()?;
    let kinds = match fields.next() {
        None | Some("ip4set" | "ip4tset" | "ip4trie" | "combined") => vec!["ip4"],
        Some("ip6set" | "ip6tset" | "ip6trie") => vec!["ip6"],
        Some("dnset" | "generic") => vec!["domain"],
        Some(_) => return None,
    };
    Some(Found {
        zone: zone_of(zone)?,
        kinds,
        ..Found::default()
    })
}

/// A zone's name, if it can be one of a catalogue.
fn zone_of(text: &str) -> Option<String> {
    let zone = text.trim_end_matches('.').to_ascii_lowercase();
    let plain = |octet: u8| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_' | b'.');
    let name: Name = zone.parse().ok()?;
    (zone.bytes().all(plain) && name.label_count() >= 2 && zone.parse::<std::net::Ipv4Addr>().is_err()).then_some(zone)
}

/// The sections of `rbls`.
fn rspamd(name: &str, text: &str, skipped: &mut Vec<Warning>) -> Result<Vec<Found>, &'static str> {
    let top = parse(text)?;
    let rbls = top
        .block("rbl")
        .unwrap_or(&top)
        .block("rbls")
        .ok_or("has no section `rbls`")?;
    let mut found = Vec::new();
    for (key, value) in &rbls.0 {
        let Value::Block(rule) = value else { continue };
        match rule.text("rbl").and_then(zone_of) {
            Some(zone) => found.push(rule_of(zone, rule)),
            None => skipped.push(Warning {
                place: whole(name),
                text: format!("{key:?} has no plain zone"),
            }),
        }
    }
    Ok(found)
}

fn rule_of(zone: String, rule: &Block) -> Found {
    let yes = |key: &str, standard: bool| {
        rule.text(key)
            .map_or(standard, |text| matches!(text, "true" | "yes" | "on"))
    };
    let checks = rule.texts("checks");
    let has = |words: &[&str]| checks.iter().any(|check| words.contains(&check.as_str()));
    let addresses = checks.is_empty() || has(&["from", "received"]);
    let names = has(&["urls", "content_urls", "emails", "replyto", "dkim", "helo", "rdns"])
        || yes("dkim", false)
        || yes("urls", false);
    let mut kinds = Vec::new();
    if addresses && !(checks.is_empty() && names) {
        kinds.extend(yes("ipv4", true).then_some("ip4"));
        kinds.extend(yes("ipv6", false).then_some("ip6"));
    }
    if names || kinds.is_empty() {
        kinds.push("domain");
    }
    Found {
        zone,
        kinds,
        allow: yes("is_whitelist", false),
        codes: codes_of(rule),
    }
}

/// Return codes and bits; those written as Lua patterns are left out, for they say what they match, not what there is.
fn codes_of(rule: &Block) -> Vec<(CodePattern, String)> {
    let mut codes: Vec<(CodePattern, String)> = Vec::new();
    for (key, mask) in [("returncodes", ""), ("returnbits", "&")] {
        let Some(block) = rule.block(key) else { continue };
        for (symbol, _) in &block.0 {
            for text in block.texts(symbol) {
                let plain = text.replace('%', "");
                let pattern = format!("{mask}{plain}").parse();
                if let Ok(pattern) = pattern
                    && codes.iter().all(|(other, _)| *other != pattern)
                {
                    codes.push((pattern, symbol.clone()));
                }
            }
        }
    }
    codes
}

fn compose(name: &str, found: &[Found]) -> String {
    let quoted = |text: &str| toml::Value::from(text).to_string();
    let mut toml = format!(
        "# Made from {}. Read it over: nobody has tested these lists.\n[operator]\nid = \"imported\"\nname = {}\n",
        quoted(name),
        quoted(&format!("imported from {name}"))
    );
    let mut ids = HashSet::new();
    for list in found {
        let kinds: Vec<String> = list.kinds.iter().map(|kind| quoted(kind)).collect();
        let role = if list.allow {
            "role = \"allow\"\ntier = \"W\""
        } else {
            "role = \"block\"\ntier = \"B\""
        };
        write!(
            toml,
            "\n[[list]]\nid = {}\nzone = {}\nkinds = [{}]\n{role}\ndefault = false\nstatus = \"unverified\"\n",
            quoted(&fresh_id(&list.zone, &mut ids)),
            quoted(&list.zone),
            kinds.join(", ")
        )
        .expect("writing to memory");
        if !list.codes.is_empty() {
            toml.push_str("[list.codes]\n");
        }
        for (pattern, means) in &list.codes {
            writeln!(toml, "\"{pattern}\" = {{ means = {} }}", quoted(means)).expect("writing to memory");
        }
    }
    toml
}

/// An id of the zone's letters, with a number behind it if another zone has the same.
fn fresh_id(zone: &str, ids: &mut HashSet<String>) -> String {
    let id: String = zone
        .chars()
        .map(|char| if char.is_ascii_alphanumeric() { char } else { '-' })
        .collect();
    let id = &id.trim_matches('-')[..id.trim_matches('-').len().min(ID_OCTETS_MAX)];
    let numbered = (2..).map(|number| format!("{}-{number}", &id[..id.len().min(ID_OCTETS_MAX - 6)]));
    let mut candidates = std::iter::once(id.to_owned()).chain(numbered);
    let id = candidates.find(|id| !ids.contains(id)).expect("numbers do not end");
    ids.insert(id.clone());
    id
}

#[cfg(test)]
mod tests {
    use super::super::catalogue::Catalogue;
    use super::super::list::{Role, Status};
    use super::*;
    use crate::targets::Kind;

    /// Imports and reads the result as a catalogue, which must be a good one.
    fn imported(text: &str) -> (Catalogue, Imported) {
        let imported = import("old \"list\".conf", text).expect("lists");
        let catalogue = Catalogue::parse(&[("imported.toml", &imported.toml)]);
        let catalogue = catalogue.unwrap_or_else(|errors| panic!("{errors}\n{}", imported.toml));
        assert_eq!(catalogue.lists().len(), imported.lists);
        (catalogue, imported)
    }

    fn zones(catalogue: &Catalogue) -> Vec<&str> {
        catalogue.lists().iter().map(|list| list.zone.as_str()).collect()
    }

    #[test]
    fn a_zone_a_line() {
        let (catalogue, imported) = imported(
            "# old\nBL.example.org.\nzen.example=127.0.0.[2..11]*3\n\nbl.example.org\nnot a zone!\n10.0.0.1\n",
        );
        assert_eq!(zones(&catalogue)[..2], ["bl.example.org", "zen.example"]);
        assert!(
            catalogue
                .lists()
                .iter()
                .all(|list| list.status == Status::Unverified && !list.default)
        );
        let lines: Vec<usize> = imported.skipped.iter().map(|warning| warning.place.line).collect();
        assert_eq!(lines, [6, 7]);
    }

    #[test]
    fn check_rbl_and_rbldnsd() {
        let (catalogue, _) = imported("[rbl]\nserver=a.example.org\nserver = b.example.org\n");
        assert_eq!(zones(&catalogue), ["a.example.org", "b.example.org"]);
        let (catalogue, _) =
            imported("bl.example.org:ip4set:bl.txt\nsix.example.org:ip6trie:six\nuri.example.org:dnset:a,b\n");
        let kinds: Vec<&[Kind]> = catalogue.lists().iter().map(|list| list.kinds.as_slice()).collect();
        assert_eq!(kinds, [[Kind::Ip4], [Kind::Ip6], [Kind::Domain]]);
    }

    #[test]
    fn rspamd_rules_keep_codes_bits_and_roles() {
        let text = r#"
            rbl {
              rbls {
                spamhaus { symbol = "RBL_SPAMHAUS"; rbl = "zen.spamhaus.example"; ipv6 = true; checks = ['from', 'received'];
                  returncodes { SBL = "127.0.0.2"; PBL = ["127.0.0.10", "127.0.0.11", "127.0.0.2"]; LUA = "127%.0%.[0-9]"; } }
                surbl { rbl = "multi.surbl.example"; checks = ["urls"]; returnbits = { PH = 8; MW = 16; } }
                dnswl { rbl = "list.dnswl.example"; is_whitelist = true; }
                off { enabled = false; }
              }
            }"#;
        let (catalogue, imported) = imported(text);
        let [zen, surbl, dnswl] = catalogue.lists() else {
            panic!("three lists")
        };
        assert_eq!(zen.kinds, [Kind::Ip4, Kind::Ip6]);
        let codes: Vec<String> = zen.codes.entries.iter().map(|code| code.pattern.to_string()).collect();
        assert_eq!(codes, ["127.0.0.2", "127.0.0.10", "127.0.0.11"]);
        assert_eq!(surbl.kinds, [Kind::Domain]);
        assert_eq!(surbl.codes.entries[1].pattern.to_string(), "&16");
        assert_eq!(
            (dnswl.role, dnswl.kinds.as_slice()),
            (Role::Allow, [Kind::Ip4].as_slice())
        );
        assert_eq!(imported.skipped.len(), 1);
    }

    #[test]
    fn ids_stay_apart_and_a_text_without_lists_is_told() {
        let long = "x".repeat(60);
        let (catalogue, _) = imported(&format!(
            "a-b.example\na.b.example\n{long}.a.example\n{long}.b.example\n"
        ));
        assert_eq!(catalogue.lists().len(), 4);
        for text in ["", "# nothing", "rbls {\n}\n", "!!!"] {
            assert!(import("x", text).is_err(), "{text:?}");
        }
    }
}
