//! CSV (RFC 4180, with LF line ends): listings, targets, lists.
//!
//! * [`ListingsCsv`]: a row for each listed or unknown pair; every pair if all rows are wanted.
//! * [`TargetsCsv`]: one wide row for each target. `lists` are the ids of the block lists that have an entry, `allowed`
//!   those of allow lists, `unknown_lists` the lists of which it is not known. Of the stages: `ptr` the names, `iprev` the
//!   result (RFC 8601 §2.7.3), `asn`, `spf`, `dmarc` the results; empty where a stage did not run. `findings` are codes.
//! * [`ListsCsv`]: one row for each list, at the end.
//!
//! Several values in a cell are separated by a blank (ids, codes, names hold none) or, for meanings, by `"; "`. No cell
//! starts a formula or holds a line break (see `escape`).

use std::io::{self, Write};

use ::csv::Writer;
use serde_json::Value;

use crate::dnsxl::{Observation, Role};
use crate::dossier::Dossier;

use super::escape::csv_cell;
use super::pair::Pair;
use super::record::rounded;
use super::sink::{Judged, RunEnd, RunHead, Sink};

const LISTINGS_HEADER: [&str; 14] = [
    "target",
    "list",
    "zone",
    "operator",
    "role",
    "tier",
    "observation",
    "cause",
    "how",
    "codes",
    "meanings",
    "reason",
    "ttl",
    "remove",
];

const TARGETS_HEADER: [&str; 22] = [
    "target",
    "kind",
    "verdict",
    "rating",
    "confidence",
    "listed",
    "not_listed",
    "unknown",
    "not_asked",
    "tier",
    "operators",
    "lists",
    "codes",
    "allowed",
    "unknown_lists",
    "special_use",
    "ptr",
    "iprev",
    "asn",
    "spf",
    "dmarc",
    "findings",
];

const LISTS_HEADER: [&str; 12] = [
    "id",
    "zone",
    "operator",
    "health",
    "cause",
    "asked",
    "listed",
    "not_listed",
    "unknown",
    "not_asked",
    "role",
    "tier",
];

/// Writes one row of cells, each made safe.
fn row<W: Write, const N: usize>(out: &mut Writer<W>, cells: [&str; N]) -> io::Result<()> {
    for cell in cells {
        out.write_field(csv_cell(cell).as_bytes()).map_err(plain)?;
    }
    out.write_record(None::<&[u8]>).map_err(plain)
}

/// The writer's own error: the crate's conversion would hide its kind, and a broken pipe is told by its kind.
fn plain(error: ::csv::Error) -> io::Error {
    match error.into_kind() {
        ::csv::ErrorKind::Io(error) => error,
        other => io::Error::other(format!("{other:?}")),
    }
}

fn joined<T: ToString>(values: impl IntoIterator<Item = T>, separator: &str) -> String {
    let values: Vec<String> = values.into_iter().map(|value| value.to_string()).collect();
    values.join(separator)
}

/// Listed and unknown pairs, or all of them.
#[derive(Debug)]
pub struct ListingsCsv<W: Write> {
    out: Writer<W>,
    all_rows: bool,
}

impl<W: Write> ListingsCsv<W> {
    /// A sink that writes to `out`; with `all_rows`, also what is not listed and what was not asked.
    pub fn new(out: W, all_rows: bool) -> ListingsCsv<W> {
        ListingsCsv {
            out: Writer::from_writer(out),
            all_rows,
        }
    }

    fn pair(&mut self, pair: &Pair<'_>) -> io::Result<()> {
        row(
            &mut self.out,
            [
                &pair.target,
                pair.list,
                pair.zone,
                pair.operator,
                pair.role,
                pair.tier,
                pair.observation,
                pair.cause.unwrap_or_default(),
                pair.how.unwrap_or_default(),
                pair.codes.as_deref().unwrap_or_default(),
                pair.meanings.as_deref().unwrap_or_default(),
                pair.reason.unwrap_or_default(),
                &pair.ttl.map(|ttl| ttl.to_string()).unwrap_or_default(),
                pair.remove.as_deref().unwrap_or_default(),
            ],
        )
    }
}

impl<W: Write> Sink for ListingsCsv<W> {
    fn begin(&mut self, _: &RunHead) -> io::Result<()> {
        row(&mut self.out, LISTINGS_HEADER)
    }

    fn target(&mut self, judged: &Judged<'_>) -> io::Result<()> {
        for observed in &judged.dossier.observations {
            if let Some(pair) = Pair::of(judged, observed, self.all_rows) {
                self.pair(&pair)?;
            }
        }
        Ok(())
    }

    fn finish(&mut self, _: &RunEnd<'_>) -> io::Result<()> {
        self.out.flush()
    }
}

/// One row for each target.
#[derive(Debug)]
pub struct TargetsCsv<W: Write> {
    out: Writer<W>,
}

impl<W: Write> TargetsCsv<W> {
    /// A sink that writes to `out`.
    pub fn new(out: W) -> TargetsCsv<W> {
        TargetsCsv {
            out: Writer::from_writer(out),
        }
    }
}

impl<W: Write> Sink for TargetsCsv<W> {
    fn begin(&mut self, _: &RunHead) -> io::Result<()> {
        row(&mut self.out, TARGETS_HEADER)
    }

    fn target(&mut self, judged: &Judged<'_>) -> io::Result<()> {
        let (dossier, judgement) = (judged.dossier, judged.judgement);
        let counts = dossier.counts();
        let entries = Entries::of(judged);
        row(
            &mut self.out,
            [
                &dossier.target.to_string(),
                dossier.target.kind().as_str(),
                judgement.verdict.as_str(),
                &rounded(judgement.rating).to_string(),
                &rounded(judgement.confidence).to_string(),
                &counts.listed.to_string(),
                &counts.not_listed.to_string(),
                &counts.unknown.to_string(),
                &counts.not_asked.to_string(),
                judgement.hardest().map_or("", |tier| tier.as_str()),
                &entries.operators.len().to_string(),
                &entries.lists.join(" "),
                &joined(&entries.codes, " "),
                &entries.allowed.join(" "),
                &entries.unknown.join(" "),
                dossier.special_use.unwrap_or_default(),
                &stage_text(dossier, "rdns", &["ptr", "names"]),
                &stage_text(dossier, "rdns", &["iprev"]),
                &stage_text(dossier, "asn", &["asn"]),
                &stage_text(dossier, "spf", &["result"]),
                &stage_text(dossier, "dmarc", &["policy"]),
                &joined(dossier.findings.iter().map(|finding| &finding.code), " "),
            ],
        )
    }

    fn finish(&mut self, _: &RunEnd<'_>) -> io::Result<()> {
        self.out.flush()
    }
}

/// The entries of a target, gathered for its row.
#[derive(Default)]
struct Entries<'a> {
    operators: Vec<crate::dnsxl::OperatorIndex>,
    lists: Vec<&'a str>,
    codes: Vec<std::net::Ipv4Addr>,
    allowed: Vec<&'a str>,
    unknown: Vec<&'a str>,
}

impl<'a> Entries<'a> {
    fn of(judged: &Judged<'a>) -> Entries<'a> {
        let mut entries = Entries::default();
        for observed in &judged.dossier.observations {
            let list = judged.catalogue.list(observed.list);
            match &observed.observation {
                Observation::Listed(listing) if listing.role == Role::Block => {
                    entries.lists.push(&list.id);
                    entries.codes.extend(&listing.codes.answers);
                    entries.operators.push(list.operator);
                }
                Observation::Listed(listing) if listing.role == Role::Allow => entries.allowed.push(&list.id),
                Observation::Unknown(_) => entries.unknown.push(&list.id),
                _ => {}
            }
        }
        entries.codes.sort_unstable();
        entries.codes.dedup();
        entries.operators.sort_unstable();
        entries.operators.dedup();
        entries
    }
}

/// The first of `keys` that a stage recorded, as plain text; an array's members are joined by blanks.
pub(super) fn stage_text(dossier: &Dossier, stage: &str, keys: &[&str]) -> String {
    let Some((_, record)) = dossier.stages.iter().rev().find(|(name, _)| *name == stage) else {
        return String::new();
    };
    let found = keys.iter().find_map(|key| record.get(key)).unwrap_or(&Value::Null);
    let plain = |value: &Value| match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        // A name or a network with what is known of it: its name alone.
        Value::Object(fields) if fields.get("name").is_some_and(Value::is_string) => {
            fields["name"].as_str().unwrap_or_default().to_owned()
        }
        other => super::record::to_json(other),
    };
    match found {
        Value::Array(values) => joined(values.iter().map(plain), " "),
        other => plain(other),
    }
}

/// One row for each list.
#[derive(Debug)]
pub struct ListsCsv<W: Write> {
    out: Writer<W>,
}

impl<W: Write> ListsCsv<W> {
    /// A sink that writes to `out`.
    pub fn new(out: W) -> ListsCsv<W> {
        ListsCsv {
            out: Writer::from_writer(out),
        }
    }
}

impl<W: Write> Sink for ListsCsv<W> {
    fn begin(&mut self, _: &RunHead) -> io::Result<()> {
        row(&mut self.out, LISTS_HEADER)
    }

    fn target(&mut self, _: &Judged<'_>) -> io::Result<()> {
        Ok(())
    }

    fn finish(&mut self, end: &RunEnd<'_>) -> io::Result<()> {
        for list in end.lists {
            let numbers = [list.asked, list.listed, list.not_listed, list.unknown, list.not_asked];
            let [asked, listed, not_listed, unknown, not_asked] = numbers.map(|number| number.to_string());
            let cause = list.cause.as_deref().unwrap_or_default();
            row(
                &mut self.out,
                [
                    &list.id,
                    &list.zone,
                    &list.operator,
                    list.health.as_str(),
                    cause,
                    &asked,
                    &listed,
                    &not_listed,
                    &unknown,
                    &not_asked,
                    list.role,
                    list.tier,
                ],
            )?;
        }
        self.out.flush()
    }
}
