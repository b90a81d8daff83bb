//! The kinds of names against labelled ones, which are not part of this repository: `REPUTON_RDNS_LABELS` names a CSV file
//! with the columns `hostname`, `ip` and `label` (`generic-dynamic`, `generic-static`, `generic-cloud`, `mail`, `server`).
//! Without it nothing is measured. Names of one organisation are either looked at while rules are written or held out,
//! by the octets of the registrable domain: both halves are told, so that rules learnt by heart show.

use std::collections::BTreeMap;

use reputon::stages::rdns::{Class, classify};
use reputon::stages::registrable;
use reputon::wire::Name;

#[derive(Debug, Default)]
struct Count {
    all: usize,
    suspect: usize,
    dynamic: usize,
}

#[test]
fn labelled_names_are_told_apart() {
    let Some(path) = std::env::var_os("REPUTON_RDNS_LABELS") else {
        eprintln!("REPUTON_RDNS_LABELS names no file: nothing is measured");
        return;
    };
    let mut reader = csv::Reader::from_path(path).expect("a file with labels");
    let mut counts: BTreeMap<(String, &str), Count> = BTreeMap::new();
    for row in reader.deserialize::<BTreeMap<String, String>>() {
        let row = row.expect("a row");
        let (host, label) = (&row["hostname"], &row["label"]);
        let Ok(name) = host.parse::<Name>() else {
            eprintln!("{host} is no name"); // masked ones have lost labels
            continue;
        };
        let verdict = classify(&name, row["ip"].parse().ok());
        let domain = registrable(&name).map_or_else(|| host.clone(), |domain| domain.to_string());
        let held_out = domain.bytes().map(u32::from).sum::<u32>() % 2 == 1;
        let is_suspect = verdict.class.suspect();
        for half in ["all", if held_out { "held out" } else { "seen" }] {
            let count = counts.entry((label.clone(), half)).or_default();
            count.all += 1;
            count.suspect += usize::from(is_suspect);
            count.dynamic += usize::from(verdict.class == Class::Dynamic);
        }
        let wrong = match label.as_str() {
            "generic-dynamic" => !is_suspect,
            "mail" | "server" => is_suspect,
            _ => false,
        };
        if wrong && std::env::var_os("REPUTON_RDNS_WRONG").is_some() {
            eprintln!(
                "{label}: {host} {} is {:?} ({})",
                row["ip"], verdict.class, verdict.rule
            );
        }
    }
    for ((label, half), count) in &counts {
        eprintln!(
            "{label:>16} {half:>8}: {:>4} names, {:>4} generic or dynamic, {:>4} dynamic",
            count.all, count.suspect, count.dynamic
        );
    }
    for half in ["all", "seen", "held out"] {
        let of = |label: &str| &counts[&(label.to_owned(), half)];
        let (found, lines) = (of("generic-dynamic").suspect, of("generic-dynamic").all);
        assert!(found * 10 >= lines * 9, "{half}: recall {found} of {lines}");
        assert_eq!(of("mail").suspect, 0, "{half}: a mail server is taken for a line");
    }
}
