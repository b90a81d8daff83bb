//! An audit in words and rows, the same for the terminal, Markdown and HTML. Text in it is as it came: whoever writes it
//! escapes it for the form.

use crate::verdict::{Advice, Audited, BlockDensity, Density, History, Names};

use super::part::Part;
use super::summary::several;

/// /24s in the table of a report; the JSON form has all.
const BLOCKS_SHOWN: usize = 256;

/// Lists in the table of what earlier runs saw; the JSON form has all.
const LISTS_SHOWN: usize = 64;

/// The recommendation in one line.
pub(super) fn headline(audit: &Audited) -> String {
    let blocks = match audit.blocks.as_slice() {
        [] => "The block".to_owned(),
        blocks if blocks.len() <= 4 => blocks.join(", "),
        blocks => format!("{} and {} more", blocks[..3].join(", "), blocks.len() - 3),
    };
    let advice = match audit.recommendation {
        Advice::Reject => "reject: do not buy it",
        Advice::Caution => "caution: have it cleaned up first, or pay less",
        Advice::Fair => "fair: nothing speaks against it",
        Advice::NoVerdict => "no verdict: too little is known",
    };
    format!("{blocks}: {advice}")
}

/// The tables behind it.
pub(super) fn parts(audit: &Audited) -> Vec<Part> {
    let mut parts = vec![facts(audit)];
    parts.extend(blocks(audit));
    parts.extend(domains(audit));
    parts.extend(neighbours(audit));
    parts.extend(past(audit));
    parts
}

fn facts(audit: &Audited) -> Part {
    let all = audit.density;
    let mut rows: Vec<Vec<String>> = Vec::new();
    let mut fact = |what: &str, value: String| rows.push(vec![what.to_owned(), value]);
    fact(
        "Addresses",
        match audit.special_use {
            0 => all.addresses.to_string(),
            special => format!(
                "{} and {special} of special-use space, which were not asked about",
                all.addresses
            ),
        },
    );
    fact(
        "Coverage of lists that worked",
        format!("{:.1} %", 100.0 * audit.coverage),
    );
    fact("Listed", part(all.listed, all.addresses));
    fact("On tier A (hard)", part(all.tier_a, all.addresses));
    fact("On tier B (minor)", part(all.tier_b, all.addresses));
    fact("On tier C (policy)", part(all.tier_c, all.addresses));
    fact("Hijacked space (DROP)", part(audit.drop, all.addresses));
    if all.allowed > 0 {
        fact("On allow lists", part(all.allowed, all.addresses));
    }
    if all.unknown > 0 {
        fact("Not listed, but some list unknown", part(all.unknown, all.addresses));
    }
    fact(
        "Longest run on tier A or B",
        audit.longest_run.map_or_else(
            || "none".to_owned(),
            |run| match run.addresses {
                1 => format!("1 ({})", run.first),
                number => format!("{number} ({} to {})", run.first, run.last),
            },
        ),
    );
    for origin in &audit.origins {
        let name = origin.name.as_deref().unwrap_or("name unknown");
        let prefix = origin.prefix.as_deref().unwrap_or("prefix unknown");
        let addresses = several(origin.addresses, "address");
        fact("Origin", format!("AS{} {name}, {prefix}: {addresses}", origin.asn));
    }
    if audit.unannounced > 0 {
        fact("Announced by nobody", part(audit.unannounced, all.addresses));
    }
    if !audit.abuse_contacts.is_empty() {
        fact("Abuse contacts", audit.abuse_contacts.join(", "));
    }
    if let Some(names) = &audit.names {
        rows.extend(name_facts(names));
        rows.push(vec![
            "Name of an earlier tenant".into(),
            part(audit.earlier_tenant, all.addresses),
        ]);
    }
    if let Some(history) = &audit.history {
        rows.push(vec!["Earlier runs".into(), earlier_runs(history)]);
    }
    Part {
        title: "What was found".into(),
        columns: vec![("What", false), ("Found", false)],
        rows,
        note: None,
    }
}

fn earlier_runs(history: &History) -> String {
    let when = match history.runs {
        1 => minute(&history.since),
        _ => format!("{} to {}", minute(&history.since), minute(&history.last)),
    };
    let runs = format!("{}, {when}", several(history.runs, "run"));
    let listed = several(history.listed, "address");
    match history.listed {
        0 => format!("{runs}: none was on tier A or B"),
        _ => format!(
            "{runs}: {listed} on tier A or B; now {} listed still, {} cleared, {} not known",
            history.still, history.cleared, history.unknown
        ),
    }
}

/// An RFC 3339 time to the minute.
fn minute(time: &str) -> String {
    time.get(..16).unwrap_or(time).replace('T', " ")
}

/// What earlier runs saw, by list.
fn past(audit: &Audited) -> Option<Part> {
    let lists = &audit.history.as_ref()?.lists;
    let rows = lists.iter().take(LISTS_SHOWN).map(|list| {
        vec![
            list.list.clone(),
            list.tier.as_str().to_owned(),
            list.addresses.to_string(),
            minute(&list.first_seen),
            minute(&list.last_seen),
            list.still.to_string(),
            list.cleared.to_string(),
            list.unknown.to_string(),
        ]
    });
    let left = lists.len().saturating_sub(LISTS_SHOWN);
    let mut note =
        "Times are UTC. Cleared: the list was asked again and has them no more. Not known: it did not answer or \
                    was not asked, and may have them still."
            .to_owned();
    if left > 0 {
        note += &format!(" {} are not shown.", several(left as u64, "more list"));
    }
    (!lists.is_empty()).then(|| Part {
        title: "What earlier runs saw".into(),
        columns: vec![
            ("List", false),
            ("Tier", false),
            ("Addresses", true),
            ("First seen", false),
            ("Last seen", false),
            ("Still", true),
            ("Cleared", true),
            ("Not known", true),
        ],
        rows: rows.collect(),
        note: Some(note),
    })
}

/// What the names of a range say, as rows of what and how many.
pub(super) fn name_facts(names: &Names) -> Vec<Vec<String>> {
    let row = |what: &str, value: u64, whole: u64| vec![what.to_owned(), part(value, whole)];
    vec![
        row("With a name (PTR)", names.named, names.addresses),
        row("Without a name", names.unnamed, names.addresses),
        row("Whether there is a name is unknown", names.unknown, names.addresses),
        row("Name leads back (FCrDNS)", names.confirmed, names.named),
        row("Name leads elsewhere", names.mismatched, names.named),
        row("Name of a mail server", names.mail, names.named),
        row("Name given by hand", names.given, names.named),
        row("Numbered name, fixed address", names.r#static, names.named),
        row("Generic name", names.generic, names.named),
        row("Dynamic name (access lines)", names.dynamic, names.named),
    ]
}

fn blocks(audit: &Audited) -> Option<Part> {
    if audit.per_24.len() < 2 {
        return None; // its numbers are those of the whole
    }
    let listed: Vec<&BlockDensity> = audit.per_24.iter().filter(|block| block.density.listed > 0).collect();
    let shown: Vec<&BlockDensity> = match audit.per_24.len() <= BLOCKS_SHOWN {
        true => audit.per_24.iter().collect(),
        false => listed.into_iter().take(BLOCKS_SHOWN).collect(),
    };
    let left = audit.per_24.len() - shown.len();
    Some(Part {
        title: "By /24".into(),
        columns: density_columns(),
        rows: shown
            .iter()
            .map(|block| density_row(&block.block, &block.density))
            .collect(),
        note: (left > 0).then(|| format!("{} are not shown", several(left as u64, "more /24"))),
    })
}

fn neighbours(audit: &Audited) -> Option<Part> {
    let rows = audit.neighbours.iter().map(|one| density_row(&one.block, &one.density));
    let rows: Vec<Vec<String>> = rows.collect();
    (!rows.is_empty()).then(|| Part {
        title: "Neighbours".into(),
        columns: density_columns(),
        rows,
        note: Some("They are counted apart: nothing of them is in the numbers above.".into()),
    })
}

fn density_columns() -> Vec<(&'static str, bool)> {
    vec![
        ("Block", false),
        ("Addresses", true),
        ("Listed", true),
        ("Share %", true),
        ("A", true),
        ("B", true),
        ("C", true),
        ("Unknown", true),
    ]
}

fn density_row(block: &str, density: &Density) -> Vec<String> {
    vec![
        block.to_owned(),
        density.addresses.to_string(),
        density.listed.to_string(),
        format!("{:.1}", 100.0 * density.share_listed()),
        density.tier_a.to_string(),
        density.tier_b.to_string(),
        density.tier_c.to_string(),
        density.unknown.to_string(),
    ]
}

fn domains(audit: &Audited) -> Option<Part> {
    let names = audit.names.as_ref()?;
    let rows = audit.domains.iter().map(|domain| {
        let whose = if domain.earlier { "earlier tenant" } else { "" };
        let numbers = [domain.addresses, domain.stale].map(|number| number.to_string());
        let [addresses, stale] = numbers;
        vec![domain.domain.clone(), addresses, stale, whose.to_owned()]
    });
    let rows: Vec<Vec<String>> = rows.collect();
    let left = names.domain_count().saturating_sub(rows.len());
    (!rows.is_empty()).then(|| Part {
        title: "Whose names it carries".into(),
        columns: vec![
            ("Domain", false),
            ("Addresses", true),
            ("Lead elsewhere", true),
            ("Whose", false),
        ],
        rows,
        note: (left > 0).then(|| format!("{} are not shown", several(left as u64, "more domain"))),
    })
}

/// A number and its share.
fn part(number: u64, whole: u64) -> String {
    match whole {
        0 => number.to_string(),
        _ => format!("{number} ({:.1} %)", 100.0 * number as f64 / whole as f64),
    }
}
