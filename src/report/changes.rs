//! What changed since an earlier run, in words and rows, the same for the terminal, Markdown and HTML.

use crate::dossier::{Change, Difference};

use super::part::Part;

/// Changes of a kind that are shown; the JSON form has more.
const CHANGES_SHOWN: usize = 200;

/// The line above the tables.
pub(super) fn headline(difference: &Difference) -> String {
    let since = format!("Since {} (run {})", difference.since_started, difference.since);
    match difference.is_empty() {
        true => format!("{since}: nothing changed"),
        false => format!("{since}: {}", difference.counts),
    }
}

/// The tables; what did not happen has none.
pub(super) fn parts(difference: &Difference) -> Vec<Part> {
    let counts = difference.counts;
    let kinds = [
        ("Newly listed", counts.newly_listed, &difference.newly_listed, None),
        ("Cleared", counts.cleared, &difference.cleared, None),
        (
            "Listed by another code",
            counts.code_changed,
            &difference.code_changed,
            None,
        ),
        (
            "Became unknown",
            counts.became_unknown,
            &difference.became_unknown,
            Some("They were listed, and may still be: unknown is not cleared."),
        ),
    ];
    let mut parts: Vec<Part> = kinds
        .into_iter()
        .filter(|(_, count, ..)| *count > 0)
        .map(|(title, count, changes, note)| pairs(title, count, changes, note))
        .collect();
    if !difference.lists.is_empty() {
        let row =
            |change: &crate::dossier::ListChange| vec![change.list.clone(), change.what.as_str().replace('_', " ")];
        parts.push(Part {
            title: "Lists".into(),
            columns: vec![("List", false), ("What became of it", false)],
            rows: difference.lists.iter().map(row).collect(),
            note: None,
        });
    }
    parts
}

fn pairs(title: &str, count: u64, changes: &[Change], note: Option<&str>) -> Part {
    let rows: Vec<Vec<String>> = changes.iter().take(CHANGES_SHOWN).map(row).collect();
    let left = count - rows.len() as u64;
    let mut notes: Vec<String> = note.map(str::to_owned).into_iter().collect();
    if left > 0 {
        notes.push(format!("{left} more are not shown."));
    }
    Part {
        title: title.to_owned(),
        columns: vec![
            ("Target", false),
            ("List", false),
            ("Operator", false),
            ("Tier", false),
            ("Before", false),
            ("Now", false),
        ],
        rows,
        note: (!notes.is_empty()).then(|| notes.join(" ")),
    }
}

fn row(change: &Change) -> Vec<String> {
    let state = |word: &str, codes: &[std::net::Ipv4Addr]| {
        let codes: Vec<String> = codes.iter().map(ToString::to_string).collect();
        format!("{} {}", word.replace('_', " "), codes.join(" "))
            .trim_end()
            .to_owned()
    };
    vec![
        change.target.clone(),
        change.list.clone(),
        change.operator.clone(),
        format!("{} ({})", change.tier.as_str(), change.role.as_str()),
        state(&change.before, &change.codes_before),
        state(&change.after, &change.codes),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dnsxl::{Role, Tier};
    use crate::dossier::{ChangeKind, ListChange, ListFate};

    #[test]
    fn what_became_unknown_is_told_apart_from_what_was_cleared() {
        let mut difference = Difference {
            since: 3,
            since_started: "2026-11-20T00:00:00Z".into(),
            ..Difference::default()
        };
        assert_eq!(
            headline(&difference),
            "Since 2026-11-20T00:00:00Z (run 3): nothing changed"
        );
        assert!(parts(&difference).is_empty());
        let change = Change {
            target: "192.0.2.7".into(),
            list: "alpha".into(),
            operator: "Alpha".into(),
            role: Role::Block,
            tier: Tier::A,
            before: "listed".into(),
            after: "timeout".into(),
            codes_before: vec![[127, 0, 0, 2].into()],
            codes: Vec::new(),
        };
        difference.add(ChangeKind::BecameUnknown, change.clone());
        for _ in 0..CHANGES_SHOWN + 5 {
            difference.add(ChangeKind::Cleared, change.clone());
        }
        difference.lists.push(ListChange {
            list: "beta".into(),
            what: ListFate::HealthyAgain,
        });
        let parts = parts(&difference);
        let titles: Vec<&str> = parts.iter().map(|part| part.title.as_str()).collect();
        assert_eq!(titles, ["Cleared", "Became unknown", "Lists"]);
        assert_eq!(parts[0].note.as_deref(), Some("5 more are not shown."));
        assert_eq!(
            parts[1].rows[0],
            [
                "192.0.2.7",
                "alpha",
                "Alpha",
                "A (block)",
                "listed 127.0.0.2",
                "timeout"
            ]
        );
        assert!(
            parts[1]
                .note
                .as_deref()
                .expect("a note")
                .contains("unknown is not cleared")
        );
        assert_eq!(parts[2].rows[0], ["beta", "healthy again"]);
    }
}
