//! HTML: one self-contained page that asks nobody for anything, light or dark, printable.
//!
//! A strict content policy lets only the page's own style and script run, by their hashes; the templates escape every
//! value, and `escape::visible` has taken controls and bidi marks out before. Links go to removal pages of the catalogue
//! and to places within the page, never to anything out of an answer.
//!
//! ```text
//! head (verdict, coverage, audit, changes, maps, removal) · targets, listed ones first · tail (findings, names, lists, run)
//! ```
//!
//! The page opens with what is known last, so the listed targets wait in a spool. Bounds: [`LISTED_OCTETS_MAX`] of listed
//! targets, [`OTHERS_MAX`] others, which are shown only if they all fit; the maps' are in `heat`.

use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};

use askama::Template;
use base64ct::{Base64, Encoding};
use sha2::{Digest, Sha256};

use crate::dnsxl::Tier;
use crate::verdict::{Advice, Names, Verdict};

use super::audit;
use super::changes;
use super::escape::{is_plain_link, visible};
use super::found::{self, AllFound};
use super::part::Part;
use super::record::{Health, ListRecord, rfc3339};
use super::sink::{Judged, RunEnd, RunHead, Sink};
use super::summary::{Summary, Todo, several};
use heat::{HeatMaps, Map};
use target::{TargetPart, class, shown};

mod heat;
mod target;

/// Listed targets are shown up to this size: some 6,000 with two listings each. A page of 8 MB still opens at once.
const LISTED_OCTETS_MAX: u64 = 5_500_000;

/// Targets that are not listed are shown if there are no more: a /24 and some.
const OTHERS_MAX: u64 = 300;

/// And no more octets.
const OTHERS_OCTETS_MAX: usize = 1_000_000;

/// /24s that are named in the line below the title.
const BLOCKS_NAMED: usize = 4;

/// Up to this many, the maps of /24s are there to see when the page opens.
const MAPS_OPEN: usize = 16;

/// Domains of names that are shown.
const DOMAINS_SHOWN: usize = 50;

const STYLE: &str = include_str!("../../templates/report.css");
const SCRIPT: &str = include_str!("../../templates/report.js");

/// What the page says before its targets.
#[derive(Template)]
#[template(path = "head.html")]
struct Head {
    headline: String,
    subtitle: String,
    advice: Option<Advised>,
    audit_parts: Vec<Table>,
    changes: Option<Changed>,
    finished: String,
    percent: String,
    answered: u64,
    planned: u64,
    /// What was not reached, in a sentence; empty if all was.
    left: String,
    verdicts: Vec<(&'static str, u64, &'static str)>,
    tiers: Vec<(&'static str, &'static str, u64, &'static str)>,
    list_counts: Vec<(&'static str, usize)>,
    unusable: Vec<(String, String)>,
    unusable_count: String,
    sections: Vec<(&'static str, &'static str)>,
    overviews: Vec<Map>,
    blocks: Vec<Map>,
    blocks_left: u64,
    blocks_open: bool,
    size: &'static str,
    todo: Vec<(String, Vec<Item>)>,
    chips: Vec<(&'static str, &'static str)>,
    targets_shown: u64,
    targets_left: u64,
    left_why: &'static str,
}

/// The recommendation of an audit.
struct Advised {
    class: &'static str,
    headline: String,
    reasons: Vec<String>,
}

/// One table of an audit, or of changes; the flag of a cell says that it is a number.
struct Table {
    title: String,
    sortable: bool,
    columns: Vec<(&'static str, bool)>,
    rows: Vec<Vec<(String, bool)>>,
    note: Option<String>,
}

/// What changed since an earlier run.
struct Changed {
    headline: String,
    parts: Vec<Table>,
}

/// One thing to do.
struct Item {
    class: &'static str,
    tier: &'static str,
    list: String,
    targets: String,
    how: Option<String>,
    /// The first targets with the page for each.
    named: Vec<(String, Option<String>)>,
    more: u64,
    no_page: bool,
}

/// What the page says behind its targets.
#[derive(Template)]
#[template(path = "tail.html")]
struct Tail {
    found: Vec<FoundRow>,
    names: Vec<(String, String)>,
    domains: Vec<(String, u64, u64, &'static str)>,
    lists: Vec<ListRow>,
    run: Vec<(&'static str, String)>,
    queries: Vec<(String, u64)>,
}

/// One row of the table of findings.
struct FoundRow {
    severity: &'static str,
    stage: String,
    text: String,
    mend: String,
    targets: u64,
    which: String,
}

/// One row of the table of lists.
struct ListRow {
    id: String,
    operator: String,
    role: &'static str,
    class: String,
    tier: &'static str,
    health: String,
    asked: u64,
    listed: u64,
    not_listed: u64,
    unknown: u64,
    causes: String,
}

/// A page.
#[derive(Debug)]
pub struct HtmlSink<W: Write, S: Read + Write + Seek> {
    out: W,
    /// The parts of listed targets.
    spool: BufWriter<S>,
    spooled: u64,
    listed_shown: u64,
    /// The parts of the others, while they are few.
    others: Vec<u8>,
    others_kept: u64,
    others_seen: u64,
    summary: Summary,
    tiers: [u64; 4],
    maps: HeatMaps,
    found: AllFound,
    names: Names,
}

impl<W: Write, S: Read + Write + Seek> HtmlSink<W, S> {
    /// A sink that writes to `out`. `spool` is an empty place for the targets until the end: a temporary file.
    pub fn new(out: W, spool: S) -> HtmlSink<W, S> {
        HtmlSink {
            out,
            spool: BufWriter::new(spool),
            spooled: 0,
            listed_shown: 0,
            others: Vec::new(),
            others_kept: 0,
            others_seen: 0,
            summary: Summary::default(),
            tiers: [0; 4],
            maps: HeatMaps::default(),
            found: AllFound::default(),
            names: Names::default(),
        }
    }

    fn show_target(&mut self, judged: &Judged<'_>) -> io::Result<()> {
        if judged.judgement.verdict == Verdict::Listed {
            if self.spooled < LISTED_OCTETS_MAX {
                let part = TargetPart::of(judged).render().map_err(io::Error::other)?;
                self.spool.write_all(part.as_bytes())?;
                self.spooled += part.len() as u64;
                self.listed_shown += 1;
            }
            return Ok(());
        }
        self.others_seen += 1;
        if self.others_seen <= OTHERS_MAX && self.others.len() < OTHERS_OCTETS_MAX {
            TargetPart::of(judged).write_into(&mut self.others)?;
            self.others_kept += 1;
        } else {
            self.others = Vec::new(); // they do not all fit: none is shown
        }
        Ok(())
    }

    fn shows_others(&self) -> bool {
        self.others_kept == self.others_seen
    }

    fn head(&mut self, end: &RunEnd<'_>) -> Head {
        self.summary.end(end.run);
        let (run, summary) = (end.run, &self.summary);
        let drawn = self.maps.draw();
        let percent = if summary.planned == 0 {
            0.0
        } else {
            100.0 * summary.answered as f64 / summary.planned as f64
        };
        let unusable: Vec<(String, String)> = end
            .lists
            .iter()
            .filter(|list| list.health == Health::Unhealthy)
            .map(|list| {
                (
                    shown(&list.id),
                    shown(list.cause.as_deref().unwrap_or_default()).replace('_', " "),
                )
            })
            .collect();
        let others = if self.shows_others() { self.others_seen } else { 0 };
        let targets_shown = self.listed_shown + others;
        let todo = by_operator(summary.todo(end.catalogue));
        let mut head = Head {
            headline: self.headline(percent),
            subtitle: self.subtitle(&drawn.overviews),
            advice: end.audit.map(|audit| Advised {
                class: advice_class(audit.recommendation),
                headline: shown(&audit::headline(audit)),
                reasons: audit.reasons.iter().map(|reason| shown(reason)).collect(),
            }),
            audit_parts: end.audit.map(|audit| tables(audit::parts(audit))).unwrap_or_default(),
            changes: end.changes.map(|changes| Changed {
                headline: shown(&changes::headline(changes)),
                parts: tables(changes::parts(changes)),
            }),
            finished: rfc3339(run.finished),
            percent: format!("{percent:.1}"),
            answered: summary.answered,
            planned: summary.planned,
            left: summary.left().unwrap_or_default(),
            verdicts: Verdict::ALL
                .iter()
                .map(|verdict| (word(*verdict), summary.with(*verdict), dot(*verdict)))
                .collect(),
            tiers: vec![
                ("A", "hard", self.tiers[Tier::A as usize], "a"),
                ("B", "minor", self.tiers[Tier::B as usize], "b"),
                (
                    "C",
                    "policy",
                    self.tiers[Tier::C as usize] + self.tiers[Tier::W as usize],
                    "c",
                ),
            ],
            list_counts: list_counts(end.lists),
            unusable_count: match unusable.len() {
                1 => "1 list is".into(),
                number => format!("{number} lists are"),
            },
            unusable,
            sections: Vec::new(),
            blocks_open: drawn.blocks.len() <= MAPS_OPEN,
            size: match drawn.blocks.len() {
                0..=4 => "large",
                5..=MAPS_OPEN => "medium",
                _ => "small",
            },
            overviews: drawn.overviews,
            blocks: drawn.blocks,
            blocks_left: drawn.left,
            todo,
            chips: self.chips(),
            targets_shown,
            targets_left: summary.targets - targets_shown,
            left_why: match self.listed_shown == summary.with(Verdict::Listed) {
                true => "that are not listed are left out",
                false => "more are left out, so that the page opens quickly",
            },
        };
        head.sections = self.sections(&head);
        head
    }

    /// The verdict on the whole run in one sentence.
    fn headline(&self, percent: f64) -> String {
        let (targets, listed) = (self.summary.targets, self.summary.with(Verdict::Listed));
        let unknown = self.summary.with(Verdict::Unknown);
        match (targets, listed) {
            (1, 1) => "The target is listed".into(),
            (_, 1) => format!("1 of {targets} targets is listed"),
            (_, 2..) => format!("{listed} of {targets} targets are listed"),
            _ if self.summary.planned == 0 => "There was nothing to ask about".into(),
            _ if unknown == targets => format!("Too little is known: {percent:.0} % was answered"),
            _ if self.summary.unreached > 0 => {
                let all = targets + self.summary.unreached;
                format!("No listing is known, but only {targets} of {all} targets were reached")
            }
            (1, _) => "The target is not listed".into(),
            _ if unknown > 0 => format!("No listing is known, but {unknown} of {targets} targets are unknown"),
            _ => format!("None of {targets} targets is listed"),
        }
    }

    /// What was looked at.
    fn subtitle(&self, overviews: &[Map]) -> String {
        let blocks = self.maps.block_count();
        let mut parts: Vec<String> = match blocks <= BLOCKS_NAMED {
            true => self.maps.names(BLOCKS_NAMED),
            false => overviews.iter().map(|map| map.block.clone()).collect(),
        };
        if blocks > BLOCKS_NAMED {
            parts.push(format!("{blocks} blocks of /24"));
        }
        let [_, ip6, domains] = self.summary.kinds;
        if ip6 > 0 {
            parts.push(several(ip6, "IPv6 address"));
        }
        if domains > 0 {
            parts.push(several(domains, "domain"));
        }
        parts.join(" · ")
    }

    fn chips(&self) -> Vec<(&'static str, &'static str)> {
        let mut chips = vec![("a", "A"), ("b", "B"), ("c", "C")];
        chips.retain(|(_, tier)| {
            let at = ["A", "B", "C"].iter().position(|one| one == tier).unwrap_or_default();
            self.tiers[at] > 0 || (at == 2 && self.tiers[3] > 0)
        });
        if self.shows_others() {
            let others = [
                (Verdict::Clean, "o", "clean"),
                (Verdict::Unknown, "u", "unknown"),
                (Verdict::SpecialUse, "s", "special use"),
            ];
            let there = others
                .into_iter()
                .filter(|(verdict, ..)| self.summary.with(*verdict) > 0);
            chips.extend(there.map(|(_, class, word)| (class, word)));
        }
        chips
    }

    fn sections(&mut self, head: &Head) -> Vec<(&'static str, &'static str)> {
        let found = !self.found.sorted().is_empty();
        let named = self.names.addresses > 0;
        let sections = [
            (!head.audit_parts.is_empty(), "audit", "Audit"),
            (head.changes.is_some(), "changes", "Changes"),
            (!head.blocks.is_empty(), "maps", "Heat maps"),
            (!head.todo.is_empty(), "todo", "Removal"),
            (true, "targets", "Targets"),
            (found, "findings", "Findings"),
            (named, "names", "Names"),
            (true, "lists", "Lists"),
            (true, "run", "The run"),
        ];
        let there = sections.into_iter().filter(|(there, ..)| *there);
        there.map(|(_, anchor, title)| (anchor, title)).collect()
    }

    fn tail(&mut self, end: &RunEnd<'_>) -> Tail {
        let lists = self.lists(end);
        let run = end.run;
        let named = self.names.addresses > 0;
        let name_rows = if named {
            audit::name_facts(&self.names)
        } else {
            Vec::new()
        };
        Tail {
            found: self.found.sorted().iter().map(found_row).collect(),
            names: name_rows
                .into_iter()
                .filter_map(|row| <[String; 2]>::try_from(row).ok())
                .map(|[what, value]| (what, value))
                .collect(),
            domains: self
                .names
                .domains(DOMAINS_SHOWN)
                .into_iter()
                .map(|one| {
                    let whose = if one.earlier { "earlier tenant" } else { "" };
                    (shown(&one.domain), one.addresses, one.stale, whose)
                })
                .collect(),
            lists,
            run: vec![
                ("Started", rfc3339(run.started)),
                ("Ended", rfc3339(run.finished)),
                ("Asked through", shown(&run.resolvers.join(", "))),
                ("Queries", format!("{}, {} sent again", run.asked, run.retried)),
                (
                    "Learnt from others' answers",
                    format!("{} folded, {} pruned", run.folded, run.pruned),
                ),
                ("reputon", shown(&run.version)),
                ("Catalogue", shown(run.catalogue.get(..16).unwrap_or(&run.catalogue))),
            ],
            queries: run
                .queries
                .iter()
                .map(|(operator, number)| (shown(operator), *number))
                .collect(),
        }
    }

    fn lists(&self, end: &RunEnd<'_>) -> Vec<ListRow> {
        let unknowns = self.summary.unknowns(end.catalogue);
        let row = |list: &ListRecord| {
            let id = shown(&list.id);
            let causes = unknowns.iter().find(|(other, ..)| *other == id);
            ListRow {
                operator: shown(&list.operator),
                role: list.role,
                class: list.tier.to_lowercase(),
                tier: list.tier,
                health: match &list.cause {
                    Some(cause) => format!("{}: {}", list.health.as_str(), visible(cause)).replace('_', " "),
                    None => list.health.as_str().to_owned(),
                },
                asked: list.asked,
                listed: list.listed,
                not_listed: list.not_listed,
                unknown: list.unknown,
                causes: causes
                    .map(|(_, _, causes)| causes.replace('_', " "))
                    .unwrap_or_default(),
                id,
            }
        };
        end.lists.iter().map(row).collect()
    }
}

impl<W: Write, S: Read + Write + Seek> Sink for HtmlSink<W, S> {
    fn begin(&mut self, _: &RunHead) -> io::Result<()> {
        Ok(())
    }

    fn target(&mut self, judged: &Judged<'_>) -> io::Result<()> {
        self.summary.add(judged);
        self.maps.add(&judged.dossier.target, judged.judgement);
        self.names.add(judged.dossier);
        self.found
            .add(&judged.dossier.target.to_string(), &judged.dossier.findings);
        if let Some(tier) = judged.judgement.hardest() {
            self.tiers[tier as usize] += 1;
        }
        self.show_target(judged)
    }

    fn finish(&mut self, end: &RunEnd<'_>) -> io::Result<()> {
        let head = self.head(end);
        let (style, script) = (hash(STYLE), hash(SCRIPT));
        write!(
            self.out,
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'sha256-{style}'; \
             script-src 'sha256-{script}'; base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'\">\n\
             <meta name=\"referrer\" content=\"no-referrer\">\n<meta name=\"robots\" content=\"noindex\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>Reputation: "
        )?;
        let title = askama::filters::escape(&head.headline, askama::filters::Html).map_err(io::Error::other)?;
        write!(self.out, "{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n")?;
        head.write_into(&mut self.out)?;
        self.spool.flush()?;
        let spool = self.spool.get_mut();
        spool.seek(SeekFrom::Start(0))?;
        io::copy(spool, &mut self.out)?;
        self.out.write_all(&self.others)?;
        self.tail(end).write_into(&mut self.out)?;
        write!(
            self.out,
            "\n<footer>Made by reputon. This page asks nobody for anything.</footer>\n<script>{SCRIPT}</script>\n</body>\n\
             </html>\n"
        )?;
        self.out.flush()
    }
}

fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::SpecialUse => "special use",
        other => other.as_str(),
    }
}

fn dot(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Clean => "o",
        Verdict::Listed => "listed",
        Verdict::Unknown => "u",
        Verdict::SpecialUse => "s",
    }
}

fn advice_class(advice: Advice) -> &'static str {
    match advice {
        Advice::Reject => "reject",
        Advice::Caution => "caution",
        Advice::Fair => "fair",
        Advice::NoVerdict => "none",
    }
}

fn tables(parts: Vec<Part>) -> Vec<Table> {
    let tables = parts.into_iter().map(|part| Table {
        title: shown(&part.title),
        sortable: part.columns.len() > 2,
        rows: part
            .rows
            .iter()
            .map(|row| {
                let cells = row.iter().zip(&part.columns);
                cells.map(|(cell, (_, number))| (shown(cell), *number)).collect()
            })
            .collect(),
        columns: part.columns,
        note: part.note.as_deref().map(shown),
    });
    tables.collect()
}

/// How many lists there are, and what became of them: each list counts once.
fn list_counts(lists: &[ListRecord]) -> Vec<(&'static str, usize)> {
    let with = |test: &dyn Fn(&ListRecord) -> bool| lists.iter().filter(|list| test(list)).count();
    let refused = |list: &ListRecord| list.cause.as_deref() == Some("refused");
    let unhealthy = |list: &ListRecord| list.health == Health::Unhealthy;
    let unchecked = |list: &ListRecord| list.health == Health::Unchecked;
    let untold = |list: &ListRecord| list.asked == 0 && list.listed + list.not_listed + list.unknown == 0;
    let counts = [
        ("in the run", lists.len()),
        ("healthy", with(&|list| list.health == Health::Healthy)),
        ("refused us", with(&|list| unhealthy(list) && refused(list))),
        ("unhealthy", with(&|list| unhealthy(list) && !refused(list))),
        ("not checked", with(&|list| unchecked(list) && !untold(list))),
        ("not asked", with(&|list| unchecked(list) && untold(list))),
    ];
    counts.into_iter().collect()
}

fn found_row(one: &found::Found) -> FoundRow {
    let more = one.targets - one.examples.len() as u64;
    let which = one.examples.join(", ");
    FoundRow {
        severity: found::word(one.severity),
        stage: one.stage.clone(),
        text: one.text.clone(),
        mend: one.mend.clone(),
        targets: one.targets,
        which: if more > 0 {
            format!("{which} and {more} more")
        } else {
            which
        },
    }
}

/// What to do, gathered by operator: those with the hardest entry first, as they come.
fn by_operator(todo: Vec<Todo>) -> Vec<(String, Vec<Item>)> {
    let mut gathered: Vec<(String, Vec<Item>)> = Vec::new();
    for todo in todo {
        let named: Vec<(String, Option<String>)> = todo
            .first
            .into_iter()
            .map(|(target, page)| (target, page.filter(|page| is_plain_link(page))))
            .collect();
        let item = Item {
            class: class(todo.tier),
            tier: todo.tier.as_str(),
            list: todo.list,
            targets: several(todo.targets, "target"),
            how: todo.how,
            more: todo.targets - named.len() as u64,
            no_page: named.iter().all(|(_, page)| page.is_none()),
            named,
        };
        match gathered.iter_mut().find(|(operator, _)| *operator == todo.operator) {
            Some((_, items)) => items.push(item),
            None => gathered.push((todo.operator, vec![item])),
        }
    }
    gathered
}

/// The hash that a content policy knows a style or script by: SHA-256 in base64 (CSP Level 3 §2.3.1).
fn hash(text: &str) -> String {
    Base64::encode_string(&Sha256::digest(text.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn style_and_script_cannot_end_their_own_element() {
        assert!(!STYLE.contains("</") && !SCRIPT.contains("</"));
    }

    #[test]
    fn style_and_script_ask_for_nothing() {
        for text in [STYLE, SCRIPT] {
            assert!(!text.contains("@import") && !text.contains("fetch(") && !text.contains("XMLHttp"));
            let mut places = text.split("url(").skip(1);
            assert!(places.all(|place| place.starts_with('#')), "only into the page itself");
        }
    }
}
