//! One catalogue file: TOML in, an operator with its lists (or the graveyard) out, every mistake with its line.
//!
//! ```toml
//! [operator]               # id; name, home, checked = 2026-11-23, apart
//! [operator.terms]         # use, max_queries_per_day, max_qps, public_resolvers, refusal = ["127.255.255.254"]
//! [[list]]                 # id, zone, kinds; query, role, tier, default, tags, covers, about, remove, remove_how, lookup, refusal, txt,
//!                          # ip6_unit, name_form, test = { listed, unlisted, code }, status, retired, retired_how, confidence, sources
//! [list.codes]             # "127.0.0.2" = { means, sublist, role, tier }; role = "none": an answer, but no listing
//! [[grave]]                # in a file without an operator: zone, since, how, confidence, sources
//! ```
//!
//! Left out, `role` is `block` and `tier` is the role's: B for block, C for info, W for allow. What several files must agree
//! on (ids, zones, covered lists) is the catalogue's to check.

use std::net::{IpAddr, Ipv4Addr};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::targets::Kind;
use crate::wire::Name;

use super::codes::{Code, CodePattern, CodeTable, is_code, is_refusal_space};
use super::fields::{id, patterns, query, url, value, values, zone};
use super::list::{
    Confidence, Grave, List, NameForm, Operator, OperatorIndex, Retired, Role, Status, Terms, TestEntries, Tier, Use,
};
use super::mistake::{Mistake, Place};
use super::section::{At, Section, Source};

/// Largest file in octets; the largest built-in one has a few thousand.
pub(super) const FILE_OCTETS_MAX: usize = 4 << 20;

/// Complaints of a text that is no TOML, at most: it is another kind of file, and the first say so.
const TOML_ERRORS_MAX: usize = 5;

const KINDS: [(&str, Kind); 3] = [("ip4", Kind::Ip4), ("ip6", Kind::Ip6), ("domain", Kind::Domain)];
const ROLES: [(&str, Role); 3] = [("block", Role::Block), ("allow", Role::Allow), ("info", Role::Info)];
const CODE_ROLES: [(&str, Option<Role>); 4] = [
    ("block", Some(Role::Block)),
    ("allow", Some(Role::Allow)),
    ("info", Some(Role::Info)),
    ("none", None),
];
const TIERS: [(&str, Tier); 4] = [("A", Tier::A), ("B", Tier::B), ("C", Tier::C), ("W", Tier::W)];
const USES: [(&str, Use); 6] = [
    ("free", Use::Free),
    ("free-noncommercial", Use::FreeNoncommercial),
    ("registration", Use::Registration),
    ("key", Use::Key),
    ("paid", Use::Paid),
    ("unknown", Use::Unknown),
];
const FORMS: [(&str, NameForm); 3] = [
    ("full", NameForm::Full),
    ("registrable", NameForm::Registrable),
    ("both", NameForm::Both),
];
const STATUSES: [(&str, Status); 3] = [
    ("live", Status::Live),
    ("unverified", Status::Unverified),
    ("retired", Status::Retired),
];
const CONFIDENCES: [(&str, Confidence); 3] = [
    ("high", Confidence::High),
    ("medium", Confidence::Medium),
    ("low", Confidence::Low),
];

/// What a file holds. Lists have operator 0 until the catalogue gives them their own.
#[derive(Debug, Default)]
pub(super) struct Content {
    pub(super) operator: Option<(OperatorEntry, Place)>,
    pub(super) lists: Vec<(List, Place)>,
    pub(super) graves: Vec<Grave>,
}

/// An operator, and whether the file says something of its terms.
#[derive(Debug)]
pub(super) struct OperatorEntry {
    pub(super) operator: Operator,
    pub(super) has_terms: bool,
    /// Nobody knows who runs the lists: each counts as another operator's, on these terms.
    pub(super) apart: bool,
}

/// Reads one file.
///
/// # Errors
/// All that is wrong in it. A text that is no TOML is complained of as such and not read further.
pub(super) fn parse(name: &str, text: &str) -> Result<Content, Vec<Mistake>> {
    let source = Source::new(name, text);
    if text.len() > FILE_OCTETS_MAX {
        source.complain(0, String::new(), "larger than 4 MiB", "split it");
        return Err(source.mistakes.into_inner());
    }
    let (table, errors) = DeTable::parse_recoverable(text);
    for error in errors.into_iter().take(TOML_ERRORS_MAX) {
        let offset = error.span().map_or(0, |span| span.start);
        source.complain(offset, "TOML".to_owned(), error.message().replace('\n', "; "), "");
    }
    let mut content = Content::default();
    if source.mistakes.borrow().is_empty() {
        content = file(&Section::new(&source, table.get_ref(), "", 0));
    }
    let mistakes = source.mistakes.take();
    if mistakes.is_empty() {
        Ok(content)
    } else {
        Err(mistakes)
    }
}

fn file(top: &Section<'_>) -> Content {
    let operator = top.section("operator").map(|section| {
        let place = top.source().place(section.start());
        (operator(&section), place)
    });
    let lists: Vec<_> = top
        .sections("list")
        .iter()
        .map(|section| (list(section), top.source().place(section.start())))
        .collect();
    let graves: Vec<_> = top.sections("grave").iter().map(grave).collect();
    if operator.is_none() && (!lists.is_empty() || graves.is_empty()) {
        top.missing("operator", "say who runs the lists: [operator] with an id");
    }
    top.finish();
    Content {
        operator,
        lists,
        graves,
    }
}

fn operator(section: &Section<'_>) -> OperatorEntry {
    let id = id(section, "id = \"example\"");
    let terms = section.section("terms");
    let (read, refusal) = terms.as_ref().map(operator_terms).unwrap_or((NO_TERMS, Vec::new()));
    let operator = Operator {
        name: section.text("name").map_or_else(|| id.clone(), |name| name.value),
        id,
        home: url(section, "home"),
        checked: section.date("checked").map(|date| date.value),
        terms: read,
        refusal,
    };
    let apart = section.flag("apart").is_some_and(|apart| apart.value);
    section.finish();
    OperatorEntry {
        operator,
        has_terms: terms.is_some(),
        apart,
    }
}

const NO_TERMS: Terms = Terms {
    usage: Use::Unknown,
    max_queries_per_day: None,
    max_qps: None,
    public_resolvers: None,
};

fn operator_terms(section: &Section<'_>) -> (Terms, Vec<CodePattern>) {
    let terms = Terms {
        usage: section.choice("use", &USES).unwrap_or(Use::Unknown),
        max_queries_per_day: section
            .count("max_queries_per_day", i64::MAX as u64)
            .map(|count| count.value),
        max_qps: section.rate("max_qps").map(|rate| rate.value),
        public_resolvers: section.text("public_resolvers").map(|text| text.value),
    };
    let refusal = patterns(section, "refusal");
    section.finish();
    (terms, refusal)
}

fn list(section: &Section<'_>) -> List {
    let id = id(section, "id = \"example-bl\"");
    let zone = zone(section);
    let query = query(section);
    let kinds = kinds(section);
    let (role, tier) = role_and_tier(section);
    let (status, retired) = status(section);
    let refusal = patterns(section, "refusal");
    let list = List {
        id,
        zone,
        query,
        operator: OperatorIndex(0),
        kinds,
        role,
        tier,
        default: default(section, status),
        tags: values(section.texts("tags")),
        covers: values(section.texts("covers")),
        about: value(section.text("about")),
        remove: url(section, "remove"),
        remove_how: value(section.text("remove_how")),
        lookup: url(section, "lookup"),
        codes: codes(section, &refusal),
        refusal,
        txt: section.flag("txt").is_none_or(|txt| txt.value),
        ip6_unit: section.count("ip6_unit", 128).map(|unit| unit.value as u8), // at most 128
        name_form: section.choice("name_form", &FORMS).unwrap_or_default(),
        test: test_entries(section),
        status,
        retired,
        sources: values(section.texts("sources")),
    };
    section.finish();
    list
}

fn kinds(section: &Section<'_>) -> Vec<Kind> {
    let mut kinds = section.choices("kinds", &KINDS);
    kinds.sort_unstable();
    kinds.dedup();
    if kinds.is_empty() && !section.is_complained_of("kinds") {
        section.missing("kinds", "say what it takes: kinds = [\"ip4\"], of ip4, ip6, domain");
    }
    kinds
}

fn role_and_tier(section: &Section<'_>) -> (Role, Tier) {
    let role = section.choice("role", &ROLES).unwrap_or(Role::Block);
    let standard = match role {
        Role::Block => Tier::B,
        Role::Info => Tier::C,
        Role::Allow => Tier::W,
    };
    let tier = section.choice("tier", &TIERS).unwrap_or(standard);
    check_tier(section, role, tier);
    (role, tier)
}

fn check_tier(section: &Section<'_>, role: Role, tier: Tier) {
    if (role == Role::Allow) != (tier == Tier::W) {
        let what = format!("{} does not go with role {}", tier.as_str(), role.as_str());
        section.complain(
            section.start(),
            "tier",
            what,
            "W is for allow lists, and for them alone",
        );
    }
}

fn default(section: &Section<'_>, status: Status) -> bool {
    let default = section.flag("default");
    if let Some(At { value: true, offset }) = default
        && status != Status::Live
    {
        let what = "true on a list that is not known to be alive";
        section.complain(
            offset,
            "default",
            what,
            "write default = false, or find evidence and take the status out",
        );
    }
    default.is_some_and(|default| default.value)
}

fn status(section: &Section<'_>) -> (Status, Option<Retired>) {
    let said = section.choice("status", &STATUSES);
    let since = section.date("retired");
    let how = section.text("retired_how");
    let confidence = section.choice("confidence", &CONFIDENCES);
    let over = since.is_some() || how.is_some() || said == Some(Status::Retired);
    if over && said.is_some_and(|said| said != Status::Retired) {
        section.complain(
            section.start(),
            "status",
            "contradicts retired",
            "take one of the two out",
        );
    }
    match over {
        false => (said.unwrap_or_default(), None),
        true => {
            let retired = Retired {
                since: value(since),
                how: value(how),
                confidence: confidence.unwrap_or(Confidence::High),
            };
            (Status::Retired, Some(retired))
        }
    }
}

fn codes(list: &Section<'_>, refusal: &[CodePattern]) -> CodeTable {
    let mut entries: Vec<Code> = Vec::new();
    let Some(section) = list.section("codes") else {
        return CodeTable::default();
    };
    for (key, value) in section.entries() {
        let pattern: CodePattern = match key.value.parse() {
            Ok(pattern) => pattern,
            Err(error) => {
                section.complain(key.offset, &key.value, error.to_string(), "");
                continue;
            }
        };
        if entries.iter().any(|code| code.pattern == pattern) {
            section.complain(key.offset, &key.value, "stands here twice", "take one out");
        }
        let refused = |code: Ipv4Addr| is_refusal_space(code) || refusal.iter().any(|pattern| pattern.matches(code));
        let code = code(&section, &key, pattern, value);
        if code.listing && pattern.exact().is_some_and(refused) {
            section.complain(
                key.offset,
                &key.value,
                "is a refusal and never a listing",
                "take it out here or in refusal",
            );
        }
        entries.push(code);
    }
    CodeTable { entries }
}

fn code<'s>(table: &Section<'s>, key: &At<String>, pattern: CodePattern, entry: &'s Spanned<DeValue<'s>>) -> Code {
    let plain = |means: &str| Code {
        pattern,
        means: means.to_owned(),
        sublist: None,
        role: None,
        tier: None,
        listing: true,
    };
    if let Some(means) = entry.get_ref().as_str() {
        return plain(means);
    }
    let Some(inner) = entry.get_ref().as_table() else {
        table.complain(key.offset, &key.value, "is not a meaning", "write { means = \"…\" }");
        return plain("");
    };
    let section = Section::new(table.source(), inner, &table.path_of(&key.value), key.offset);
    let role = section.choice("role", &CODE_ROLES);
    let code = Code {
        means: section
            .required("means", "say what it means: { means = \"…\" }")
            .map_or_else(String::new, |text| text.value),
        sublist: value(section.text("sublist")),
        role: role.flatten(),
        tier: section.choice("tier", &TIERS),
        listing: role != Some(None),
        pattern,
    };
    if let (Some(role), Some(tier)) = (code.role, code.tier) {
        check_tier(&section, role, tier);
    }
    section.finish();
    code
}

fn test_entries(list: &Section<'_>) -> TestEntries {
    let Some(section) = list.section("test") else {
        return TestEntries::default();
    };
    let entry = |key| {
        let text = section.text(key)?;
        let good = text.value.is_empty() || text.value.parse::<IpAddr>().is_ok() || text.value.parse::<Name>().is_ok();
        if !good {
            section.complain(
                text.offset,
                key,
                "is neither an address nor a name",
                "write \"\" if there is none",
            );
        }
        Some(text.value)
    };
    let code = section.text("code").and_then(|text| {
        let code = text.value.parse::<Ipv4Addr>().ok().filter(|code| is_code(*code));
        if code.is_none() {
            section.complain(
                text.offset,
                "code",
                "is not an address in 127.0.0.0/8",
                "write code = \"127.0.0.99\"",
            );
        }
        code
    });
    let test = TestEntries {
        listed: entry("listed"),
        unlisted: entry("unlisted"),
        code,
    };
    section.finish();
    test
}

fn grave(section: &Section<'_>) -> Grave {
    let confidence = section.choice("confidence", &CONFIDENCES);
    let grave = Grave {
        zone: zone(section),
        retired: Retired {
            since: value(section.date("since")),
            how: value(section.required("how", "say what became of it")),
            // Nobody is kept from asking a zone on a rumour.
            confidence: confidence.unwrap_or(Confidence::Low),
        },
        sources: values(section.texts("sources")),
    };
    section.finish();
    grave
}
