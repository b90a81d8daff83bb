//! HTML: one self-contained page that asks nobody for anything, light or dark, printable.
//!
//! A strict content policy lets only the page's own style and script run, by their hashes; the templates escape every
//! value, and `escape::visible` has taken controls and bidi marks out before. Links go to removal pages of the catalogue
//! and to places within the page, never to anything out of an answer.
//!
//! The page opens with what is known last, so the listed targets wait in a spool; at most [`TARGETS_MAX`] are shown.

use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};

use askama::Template;
use sha2::{Digest, Sha256};

use crate::dnsxl::Tier;
use crate::dossier::Severity;
use crate::verdict::Verdict;

use super::escape::{is_plain_link, visible};
use super::heat::{HeatMaps, Map};
use super::record::{Health, ListRecord, TargetRecord, rfc3339};
use super::sink::{Judged, RunEnd, RunHead, Sink};
use super::summary::{Summary, Todo, several};

/// Listed targets shown in full: about a MB of page.
const TARGETS_MAX: u64 = 1_000;

const STYLE: &str = include_str!("../../templates/report.css");
const SCRIPT: &str = include_str!("../../templates/report.js");

/// What the page says before its targets.
#[derive(Template)]
#[template(path = "head.html")]
struct Head {
    targets: String,
    percent: String,
    answered: u64,
    planned: u64,
    list_count: String,
    unusable: Vec<String>,
    verdicts: Vec<(&'static str, u64)>,
    started: String,
    finished: String,
    version: String,
    catalogue: String,
    resolvers: String,
    todo: Vec<(String, Vec<Item>)>,
    maps: Vec<Map>,
    maps_left: usize,
    lists: Vec<ListRow>,
    queries: Vec<(String, u64)>,
    listed: u64,
    targets_shown: u64,
    targets_left: u64,
}

/// One thing to do.
struct Item {
    class: &'static str,
    tier: &'static str,
    list: String,
    targets: String,
    how: Option<String>,
    page: Option<String>,
    terms: &'static str,
}

/// One row of the table of lists.
struct ListRow {
    id: String,
    operator: String,
    role: &'static str,
    tier: &'static str,
    health: String,
    asked: u64,
    listed: u64,
    not_listed: u64,
    unknown: u64,
    causes: String,
}

/// One listed target.
#[derive(Template)]
#[template(path = "target.html")]
struct TargetPart {
    target: String,
    class: &'static str,
    tier: &'static str,
    rating: String,
    confidence: String,
    unknown: u32,
    entries: Vec<Entry>,
    findings: Vec<(&'static str, String, String)>,
}

/// One entry of a listed target.
struct Entry {
    list: String,
    role: &'static str,
    tier: &'static str,
    codes: String,
    meanings: String,
    reason: String,
    page: Option<String>,
}

/// A page.
#[derive(Debug)]
pub struct HtmlSink<W: Write, S: Read + Write + Seek> {
    out: W,
    spool: BufWriter<S>,
    summary: Summary,
    maps: HeatMaps,
    shown: u64,
}

impl<W: Write, S: Read + Write + Seek> HtmlSink<W, S> {
    /// A sink that writes to `out`. `spool` is an empty place for the targets until the end: a temporary file.
    pub fn new(out: W, spool: S) -> HtmlSink<W, S> {
        HtmlSink {
            out,
            spool: BufWriter::new(spool),
            summary: Summary::default(),
            maps: HeatMaps::default(),
            shown: 0,
        }
    }

    fn head(&self, end: &RunEnd<'_>) -> Head {
        let (run, summary) = (end.run, &self.summary);
        let (maps, maps_left) = self.maps.draw();
        let listed = summary.with(Verdict::Listed);
        let percent = if summary.planned == 0 {
            0.0
        } else {
            100.0 * summary.answered as f64 / summary.planned as f64
        };
        Head {
            targets: several(summary.targets, "target"),
            percent: format!("{percent:.1}"),
            answered: summary.answered,
            planned: summary.planned,
            list_count: several(end.lists.len() as u64, "list"),
            unusable: end
                .lists
                .iter()
                .filter(|list| list.health == Health::Unhealthy)
                .map(|list| shown(&list.id))
                .collect(),
            verdicts: Verdict::ALL
                .iter()
                .map(|verdict| (word(*verdict), summary.with(*verdict)))
                .collect(),
            started: rfc3339(run.started),
            finished: rfc3339(run.finished),
            version: shown(&run.version),
            catalogue: shown(&run.catalogue),
            resolvers: shown(&run.resolvers.join(", ")),
            todo: by_operator(summary.todo(end.catalogue)),
            maps,
            maps_left,
            lists: self.lists(end),
            queries: run
                .queries
                .iter()
                .map(|(operator, number)| (shown(operator), *number))
                .collect(),
            listed,
            targets_shown: self.shown,
            targets_left: listed.saturating_sub(self.shown),
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
                tier: list.tier,
                health: match &list.cause {
                    Some(cause) => format!("{}: {}", list.health.as_str(), visible(cause)),
                    None => list.health.as_str().to_owned(),
                },
                asked: list.asked,
                listed: list.listed,
                not_listed: list.not_listed,
                unknown: list.unknown,
                causes: causes.map(|(_, _, causes)| causes.clone()).unwrap_or_default(),
                id,
            }
        };
        end.lists.iter().map(row).collect()
    }
}

impl<W: Write, S: Read + Write + Seek> Sink for HtmlSink<W, S> {
    fn begin(&mut self, _: &RunHead<'_>) -> io::Result<()> {
        Ok(())
    }

    fn target(&mut self, judged: &Judged<'_>) -> io::Result<()> {
        self.summary.add(judged);
        let part = if self.shown < TARGETS_MAX { part(judged) } else { None };
        self.maps.add(&judged.dossier.target, judged.judgement, part.is_some());
        if let Some(part) = part {
            self.shown += 1;
            part.write_into(&mut self.spool)?;
            self.spool.write_all(b"\n")?;
        }
        Ok(())
    }

    fn finish(&mut self, end: &RunEnd<'_>) -> io::Result<()> {
        let head = self.head(end);
        let (style, script) = (hash(STYLE), hash(SCRIPT));
        write!(
            self.out,
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'sha256-{style}'; \
             script-src 'sha256-{script}'; base-uri 'none'; form-action 'none'\">\n\
             <meta name=\"referrer\" content=\"no-referrer\">\n<meta name=\"robots\" content=\"noindex\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>Reputation report</title>\n\
             <style>{STYLE}</style>\n</head>\n<body>\n"
        )?;
        head.write_into(&mut self.out)?;
        self.out.write_all(b"\n")?;
        self.spool.flush()?;
        let spool = self.spool.get_mut();
        spool.seek(SeekFrom::Start(0))?;
        io::copy(spool, &mut self.out)?;
        write!(self.out, "</section>\n<script>{SCRIPT}</script>\n</body>\n</html>\n")?;
        self.out.flush()
    }
}

fn shown(text: &str) -> String {
    visible(text).into_owned()
}

fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::SpecialUse => "special use",
        other => other.as_str(),
    }
}

fn class(tier: Tier) -> &'static str {
    match tier {
        Tier::A => "a",
        Tier::B => "b",
        Tier::C | Tier::W => "c",
    }
}

/// What to do, gathered by operator: those with the hardest entry first, as they come.
fn by_operator(todo: Vec<Todo>) -> Vec<(String, Vec<Item>)> {
    let mut gathered: Vec<(String, Vec<Item>)> = Vec::new();
    for todo in todo {
        let item = Item {
            class: class(todo.tier),
            tier: todo.tier.as_str(),
            list: todo.list,
            targets: several(todo.targets, "target"),
            how: todo.how,
            page: todo.remove.filter(|page| is_plain_link(page)),
            terms: todo.terms,
        };
        match gathered.iter_mut().find(|(operator, _)| *operator == todo.operator) {
            Some((_, items)) => items.push(item),
            None => gathered.push((todo.operator, vec![item])),
        }
    }
    gathered
}

/// A listed target, ready for its template.
fn part(judged: &Judged<'_>) -> Option<TargetPart> {
    let (dossier, judgement) = (judged.dossier, judged.judgement);
    let tier = judgement.hardest()?;
    let entries = TargetRecord(*judged).listings().map(|listing| {
        let codes: Vec<String> = listing.codes.iter().map(ToString::to_string).collect();
        Entry {
            list: shown(listing.list),
            role: listing.role,
            tier: listing.tier,
            codes: codes.join(" "),
            meanings: shown(&listing.meanings.join("; ")),
            reason: shown(listing.reason.unwrap_or_default()),
            page: listing
                .remove
                .filter(|page| is_plain_link(page))
                .map(|page| page.into_owned()),
        }
    });
    let findings = dossier.findings.iter().map(|finding| {
        let severity = match finding.severity {
            Severity::Info => "info",
            Severity::Warning => "warning",
            Severity::Error => "error",
        };
        (
            severity,
            shown(&finding.text),
            shown(finding.mend.as_deref().unwrap_or_default()),
        )
    });
    Some(TargetPart {
        target: shown(&dossier.target.to_string()),
        class: class(tier),
        tier: tier.as_str(),
        rating: format!("{:.2}", judgement.rating),
        confidence: format!("{:.2}", judgement.confidence),
        unknown: dossier.counts().unknown,
        entries: entries.collect(),
        findings: findings.collect(),
    })
}

/// The hash that a content policy knows a style or script by: SHA-256 in base64 (CSP Level 3 §2.3.1).
fn hash(text: &str) -> String {
    base64(&Sha256::digest(text.as_bytes()))
}

/// Base64 (RFC 4648 §4).
fn base64(octets: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in octets.chunks(3) {
        let group = chunk.iter().fold(0_u32, |group, octet| group << 8 | u32::from(*octet)) << (8 * (3 - chunk.len()));
        for at in 0..4 {
            let letter = LETTERS[(group >> (18 - 6 * at) & 63) as usize]; // six bits
            text.push(if at <= chunk.len() { letter.into() } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_that_of_the_rfc() {
        let vectors = [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("foobar", "Zm9vYmFy"),
        ];
        for (plain, coded) in vectors {
            assert_eq!(base64(plain.as_bytes()), coded); // RFC 4648 §10
        }
    }

    #[test]
    fn style_and_script_cannot_end_their_own_element() {
        assert!(!STYLE.contains("</") && !SCRIPT.contains("</"));
    }
}
