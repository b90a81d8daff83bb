//! Other programs' lists as a catalogue file, to be read over by a person.
//!
//! | recognised by | what it is | what is kept |
//! |---|---|---|
//! | a section `rbls {` | rspamd's `rbl.conf` | zones, kinds, allow lists, return codes and bits; what is named BLOCKED is a refusal |
//! | lines `server=ZONE` | check_rbl's ini | zones |
//! | lines `ZONE:TYPE:FILE` | rbldnsd's arguments | zones, kinds |
//! | else | a zone a line, also as postscreen writes them (`ZONE=127.0.0.[2..11]*3`) | zones, answers; a weight below zero is an allow list |
//!
//! A zone that stands there several times is one list with the codes of all. Rules that ask for hashes are left out: no list
//! of a catalogue takes them.
//!
//! All lists become `unverified` and none is a default one: who wrote the old file cannot vouch for today. Zones that are
//! dead are told when the file is loaded.
//!
//! Zones that the built-in catalogue has are left out: a list of the file would take the place of the built-in one, and make an
//! allow list, or grades that every sender has, a block list.

use std::collections::{HashMap, HashSet};
use std::fmt::Write;
use std::sync::OnceLock;

use crate::wire::Name;

use super::catalogue::Catalogue;
use super::codes::{CodePattern, is_refusal_space};
use super::list::Status;
use super::mistake::{Mistake, Place, Warning};
use super::ucl::{Block, Entry, Value, parse};

/// Largest text that is imported, in octets.
pub const IMPORT_OCTETS_MAX: usize = 4 << 20;

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
    refusal: Vec<CodePattern>,
}

impl Found {
    fn add_code(&mut self, pattern: CodePattern, means: &str) {
        if self.codes.iter().all(|(other, _)| *other != pattern) {
            self.codes.push((pattern, means.to_owned()));
        }
    }

    /// Takes in what another mention of the zone says.
    fn merge(&mut self, other: Found) {
        for kind in other.kinds {
            if !self.kinds.contains(&kind) {
                self.kinds.push(kind);
            }
        }
        for (pattern, means) in other.codes {
            self.add_code(pattern, &means);
        }
        for pattern in other.refusal {
            if !self.refusal.contains(&pattern) {
                self.refusal.push(pattern);
            }
        }
    }
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
    let mentions = match is_rspamd(text) {
        true => rspamd(name, text, &mut skipped).map_err(|what| failed(what, "is it rspamd's rbl.conf?"))?,
        false => lines(name, text, &mut skipped),
    };
    let mut found: Vec<Found> = Vec::new();
    let mut places: HashMap<String, usize> = HashMap::new();
    for mention in mentions {
        match places.get(&mention.zone) {
            Some(&place) => found[place].merge(mention),
            None => {
                places.insert(mention.zone.clone(), found.len());
                found.push(mention);
            }
        }
    }
    let known = leave_known(name, &mut found, &mut skipped);
    if found.is_empty() && !known.is_empty() {
        let mend = format!("select them with --lists {}", known.join(","));
        return Err(failed("holds no list that is not built in", &mend));
    }
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

/// Leaves out the lists that are built in, with a word for each; returns their ids.
fn leave_known(name: &str, found: &mut Vec<Found>, skipped: &mut Vec<Warning>) -> Vec<String> {
    let mut known = Vec::new();
    found.retain(|list| {
        let Some((_, id)) = built_in()
            .iter()
            .find(|(zone, _)| zone.eq_ignore_ascii_case(&list.zone))
        else {
            return true;
        };
        skipped.push(Warning {
            place: whole(name),
            text: format!("{} is built in, with its codes and terms: --lists {id}", list.zone),
        });
        known.push(id.clone());
        false
    });
    known
}

/// The zones and ids of the built-in lists that are not known to be dead, read once.
fn built_in() -> &'static [(String, String)] {
    static ZONES: OnceLock<Vec<(String, String)>> = OnceLock::new();
    ZONES.get_or_init(|| {
        let read = Catalogue::load(true, &[]);
        let (catalogue, _) = read.unwrap_or_else(|errors| unreachable!("the built-in catalogue is good: {errors}"));
        let alive = catalogue.lists().iter().filter(|list| list.status != Status::Retired);
        alive.map(|list| (list.zone.clone(), list.id.clone())).collect()
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
        let line = without_comment(line).trim().trim_end_matches(',');
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

/// A line up to its comment: `#` anywhere, `;` at the start or behind a blank (postscreen's filters have it inside).
fn without_comment(line: &str) -> &str {
    let line = line.split('#').next().unwrap_or("");
    let blanks = [" ;", "\t;"].iter().filter_map(|mark| line.find(mark)).min();
    match line.trim_start().starts_with(';') {
        true => "",
        false => &line[..blanks.unwrap_or(line.len())],
    }
}

fn one_line(line: &str) -> Option<Found> {
    let line = match line.split_once('=') {
        Some((key, zone)) if key.trim() == "server" => zone.trim(),
        _ => line,
    };
    let line = line.split_whitespace().next()?.trim_matches(['"', '\'']);
    let mut fields = line.splitn(3, ':');
    let (entry, weight) = match fields.next()?.split_once('*') {
        Some((entry, weight)) => (entry, weight),
        None => (line.split(':').next()?, ""),
    };
    let (zone, answers) = entry.split_once('=').unwrap_or((entry, ""));
    let kinds = match fields.next() {
        None | Some("ip4set" | "ip4tset" | "ip4trie" | "combined") => vec!["ip4"],
        Some("ip6set" | "ip6tset" | "ip6trie") => vec!["ip6"],
        Some("dnset" | "generic") => vec!["domain"],
        Some(_) => return None,
    };
    let allow = weight.starts_with('-');
    let mut found = Found {
        zone: zone_of(zone)?,
        kinds,
        allow,
        ..Found::default()
    };
    for pattern in answers_of(answers) {
        found.add_code(pattern, if allow { "known good" } else { "listed" });
    }
    Some(found)
}

/// The answers of a postscreen filter, `127.0.0.[2..11]` or `127.0.[0..255].[2;3]`: the last octet's values and ranges, a
/// star for what is written of the others. None where it cannot be said so.
fn answers_of(filter: &str) -> Vec<CodePattern> {
    let Some((before, last)) = split_octet(filter) else {
        return Vec::new();
    };
    let mut octets = Vec::new();
    let mut rest = before;
    while let Some((before, octet)) = split_octet(rest) {
        octets.push(octet);
        rest = before;
    }
    octets.push(rest);
    octets.reverse();
    let starred: Vec<&str> = octets
        .into_iter()
        .map(|octet| if octet.starts_with('[') { "*" } else { octet })
        .collect();
    let has_star = starred.contains(&"*");
    let mut patterns = Vec::new();
    for part in last.trim_matches(['[', ']']).split(';') {
        let Some((first, end)) = part.split_once("..").or(Some((part, part))) else {
            continue;
        };
        let (Ok(first), Ok(end)) = (first.parse::<u8>(), end.parse::<u8>()) else {
            return Vec::new();
        };
        let start = starred.join(".");
        let texts: Vec<String> = match (has_star, first == end) {
            (_, true) => vec![format!("{start}.{first}")],
            (false, false) => vec![format!("{start}.{first}-{end}")],
            // A range and a star are not written together.
            (true, false) => (first..=end).map(|octet| format!("{start}.{octet}")).collect(),
        };
        for text in texts {
            match text.parse() {
                Ok(pattern) => patterns.push(pattern),
                Err(_) => return Vec::new(),
            }
        }
    }
    patterns
}

/// Splits the last octet off, which may be `[2..11]` with dots of its own.
fn split_octet(filter: &str) -> Option<(&str, &str)> {
    let mut depth = 0;
    let dot = filter.bytes().rposition(|octet| {
        match octet {
            b']' => depth += 1,
            b'[' => depth -= 1,
            _ => {}
        }
        depth == 0 && octet == b'.'
    })?;
    Some((&filter[..dot], &filter[dot + 1..]))
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
    for Entry { key, line, value } in &rbls.0 {
        let Value::Block(rule) = value else { continue };
        let mut skip = |why: &str| {
            skipped.push(Warning {
                place: Place {
                    file: name.to_owned(),
                    line: *line,
                },
                text: format!("{:?} {why}", key.chars().take(80).collect::<String>()),
            });
        };
        match rule.text("rbl").and_then(zone_of) {
            None => skip("has no plain zone"),
            Some(_) if rule.get("hash").is_some() => skip("is asked with hashes"),
            Some(_) if rule.text("enabled") == Some("false") => skip("is switched off"),
            Some(zone) => found.push(rule_of(zone, rule)),
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
    let mut found = Found {
        zone,
        kinds,
        allow: yes("is_whitelist", false),
        ..Found::default()
    };
    add_codes(&mut found, rule);
    found
}

/// Return codes and bits. Those written as Lua patterns are left out, for they say what they match, not what there is.
/// What a symbol calls blocked is the operator's refusal and no entry.
fn add_codes(found: &mut Found, rule: &Block) {
    for (key, mask) in [("returncodes", ""), ("returnbits", "&")] {
        let Some(block) = rule.block(key) else { continue };
        for Entry { key: symbol, .. } in &block.0 {
            for text in block.texts(symbol) {
                let Ok(pattern) = format!("{mask}{}", text.replace('%', "")).parse::<CodePattern>() else {
                    continue;
                };
                let refused = symbol.to_ascii_uppercase().contains("BLOCKED");
                if refused || pattern.exact().is_some_and(is_refusal_space) {
                    if !found.refusal.contains(&pattern) {
                        found.refusal.push(pattern);
                    }
                } else {
                    found.add_code(pattern, symbol);
                }
            }
        }
    }
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
        if !list.refusal.is_empty() {
            let refusal: Vec<String> = list
                .refusal
                .iter()
                .map(|pattern| quoted(&pattern.to_string()))
                .collect();
            writeln!(toml, "refusal = [{}]", refusal.join(", ")).expect("writing to memory");
        }
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
    use super::super::list::Role;
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
    fn refusals_hashes_and_what_is_switched_off_become_no_listings() {
        let text = "rbls {\n surbl { rbl = \"multi.surbl.example\"; checks = ['urls'];\n  returnbits = { BLOCKED_SURBL = 1; PH = 8; } }\n\
            zen { rbl = \"zen.example.org\"; returncodes { OPEN = \"127.255.255.254\"; SBL = \"127.0.0.2\"; } }\n\
            ebl { rbl = \"ebl.example.org\"; hash = \"sha1\"; }\n off { rbl = \"off.example.org\"; enabled = false; }\n\
            key { rbl = \"${KEY}.zen.example\"; } }";
        let (catalogue, imported) = imported(text);
        let [surbl, zen] = catalogue.lists() else {
            panic!("two lists")
        };
        let refusals = |list: &super::super::list::List| {
            let texts = list.refusal.iter().map(ToString::to_string);
            (texts.collect::<Vec<_>>(), list.codes.entries.len())
        };
        assert_eq!(refusals(surbl), (vec!["&1".to_owned()], 1));
        assert_eq!(refusals(zen), (vec!["127.255.255.254".to_owned()], 1));
        let told: Vec<String> = imported.skipped.iter().map(ToString::to_string).collect();
        assert_eq!(told.len(), 3, "{told:?}");
        assert!(told[0].contains(":5: \"ebl\" is asked with hashes"), "{told:?}");
        assert!(told[1].contains(":6: \"off\" is switched off"), "{told:?}");
        assert!(told[2].contains(":7: \"key\" has no plain zone"), "{told:?}");
    }

    #[test]
    fn postscreen_filters_are_codes_and_weights_below_zero_allow_lists() {
        let (catalogue, imported) = imported(
            "zen.example.org=127.0.0.[10;11]*8\nzen.example.org=127.0.0.[4..7]*6\nzen.example.org=127.0.0.3*4\n\
             wl.example.org=127.0.[0..255].[1..2]*-3\nplain.example.org*2\nodd.example.org=127.0.0.[x]*2\n",
        );
        assert_eq!(imported.skipped, []);
        let codes = |at: usize| -> Vec<String> {
            let entries = catalogue.lists()[at].codes.entries.iter();
            entries.map(|code| code.pattern.to_string()).collect()
        };
        assert_eq!(zones(&catalogue)[0], "zen.example.org");
        assert_eq!(codes(0), ["127.0.0.10", "127.0.0.11", "127.0.0.4-7", "127.0.0.3"]);
        assert_eq!(codes(1), ["127.0.*.1", "127.0.*.2"]);
        assert_eq!(
            (catalogue.lists()[1].role, catalogue.lists()[0].role),
            (Role::Allow, Role::Block)
        );
        assert_eq!((codes(2).len(), codes(3).len()), (0, 0));
    }

    /// check_rbl's own file has allow lists among its block lists, and knows no codes.
    #[test]
    fn what_is_built_in_is_not_replaced_by_what_an_old_file_knows_of_it() {
        let text = "server=list.dnswl.org\nserver=ZEN.spamhaus.org\nserver=bl.example.org\n";
        let (catalogue, imported) = imported(text);
        assert_eq!(zones(&catalogue), ["bl.example.org"]);
        let told: Vec<String> = imported.skipped.iter().map(ToString::to_string).collect();
        assert_eq!(told.len(), 2, "{told:?}");
        assert!(told[0].contains("list.dnswl.org is built in, with its codes and terms: --lists dnswl"));
        let grades = "rbls { m { rbl = \"rep.mailspike.net\"; returncodes { GOOD = \"127.0.0.18\"; } } }";
        let error = import("x", grades).expect_err("nothing is left").to_string();
        assert!(error.contains("--lists mailspike-rep"), "{error}");
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
