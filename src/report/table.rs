//! The terminal's table: coverage first, then the listed targets, then "N more", what is unknown by list, and what to do
//! next. Written at the end, from a `summary`.
//!
//! Colour and width are told, never guessed: whoever makes the sink knows whether there is a terminal.

use std::io::{self, Write};

use comfy_table::{Attribute, Cell, Color, ContentArrangement, Table, presets};

use crate::dnsxl::{Catalogue, Tier};
use crate::dossier::Severity;
use crate::verdict::Verdict;

use super::audit;
use super::changes;
use super::escape::visible;
use super::part::Part;
use super::record::{Health, rfc3339};
use super::sink::{Judged, RunEnd, RunHead, Sink};
use super::summary::{ENTRIES_MAX, ROWS_MAX, Summary, several};

/// The narrowest table that can be read: narrower terminals wrap.
const WIDTH_MIN: u16 = 40;

/// Narrower than this, a row is written below itself.
const WIDTH_TABLE: u16 = 56;

/// A table for people.
#[derive(Debug)]
pub struct TableSink<W: Write> {
    out: W,
    width: u16,
    colour: bool,
    summary: Summary,
}

impl<W: Write> TableSink<W> {
    /// A sink that writes a table at most `width` columns wide to `out`, in colour if told.
    pub fn new(out: W, width: u16, colour: bool) -> TableSink<W> {
        TableSink {
            out,
            width: width.max(WIDTH_MIN),
            colour,
            summary: Summary::default(),
        }
    }

    fn heading(&mut self, text: &str) -> io::Result<()> {
        let bold = anstyle::Style::new().bold();
        if self.colour {
            writeln!(self.out, "\n{bold}{text}{bold:#}")
        } else {
            writeln!(self.out, "\n{text}")
        }
    }

    fn table(&mut self, header: &[&str], rows: Vec<Vec<Cell>>) -> io::Result<()> {
        if self.width < WIDTH_TABLE {
            return self.stacked(header, &rows);
        }
        let mut table = Table::new();
        table.load_style(presets::NOTHING);
        table.set_content_arrangement(ContentArrangement::Dynamic);
        table.set_width(self.width);
        if self.colour {
            table.enforce_styling();
        } else {
            table.force_no_tty();
        }
        table.set_header(header.iter().map(|title| self.dim(title)));
        table.add_rows(rows);
        for line in table.lines() {
            writeln!(self.out, "{}", line.trim_end())?;
        }
        Ok(())
    }

    /// Each row as some lines, its first cell unbroken: columns of a few letters break addresses in two.
    fn stacked(&mut self, header: &[&str], rows: &[Vec<Cell>]) -> io::Result<()> {
        let width = usize::from(self.width);
        for row in rows {
            for (at, (head, cell)) in header.iter().zip(row).enumerate() {
                let text = cell.content();
                let mut line = match at {
                    0 => String::new(),
                    _ if text.is_empty() => continue,
                    _ => format!("  {}:", head.to_lowercase()),
                };
                for word in text.split_whitespace() {
                    if line.chars().count() + 1 + word.chars().count() > width && !line.trim().is_empty() {
                        writeln!(self.out, "{line}")?;
                        line = "   ".to_owned();
                    }
                    line = format!("{line} {word}");
                }
                writeln!(self.out, "{line}")?;
            }
        }
        Ok(())
    }

    fn dim(&self, text: &str) -> Cell {
        Cell::new(text).add_attribute(Attribute::Dim)
    }

    fn coverage(&mut self, end: &RunEnd<'_>) -> io::Result<()> {
        let run = end.run;
        self.summary.end(run);
        let Summary {
            targets,
            planned,
            answered,
            ..
        } = self.summary;
        let percent = if planned == 0 {
            0.0
        } else {
            100.0 * answered as f64 / planned as f64
        };
        writeln!(
            self.out,
            "Coverage: {percent:.1} % of what was planned is known ({answered} of {planned} pairs: {}, {}).",
            several(targets, "target"),
            several(end.lists.len() as u64, "list"),
        )?;
        let unhealthy: Vec<String> = end
            .lists
            .iter()
            .filter(|list| list.health == Health::Unhealthy)
            .map(named)
            .collect();
        if !unhealthy.is_empty() {
            writeln!(self.out, "Not usable: {}.", unhealthy.join(", "))?;
        }
        let verdicts = Verdict::ALL.map(|verdict| format!("{} {}", self.summary.with(verdict), word(verdict)));
        writeln!(self.out, "Targets: {}.", verdicts.join(", "))?;
        if let Some(left) = self.summary.left() {
            writeln!(self.out, "{left}")?;
        }
        writeln!(
            self.out,
            "Run: {} to {}, {} asked, {} sent again.",
            rfc3339(run.started),
            rfc3339(run.finished),
            run.asked,
            run.retried
        )
    }

    fn audit(&mut self, end: &RunEnd<'_>) -> io::Result<()> {
        let Some(audit) = end.audit else { return Ok(()) };
        writeln!(self.out, "{}", visible(&audit::headline(audit)))?;
        for reason in &audit.reasons {
            writeln!(self.out, " - {}", visible(reason))?;
        }
        self.parts(audit::parts(audit))?;
        writeln!(self.out)
    }

    fn changes(&mut self, end: &RunEnd<'_>) -> io::Result<()> {
        let Some(changes) = end.changes else { return Ok(()) };
        writeln!(self.out, "\n{}", visible(&changes::headline(changes)))?;
        let mut parts = changes::parts(changes);
        for part in &mut parts {
            let more = part.rows.len().saturating_sub(ROWS_MAX);
            part.rows.truncate(ROWS_MAX);
            if more > 0 {
                part.note = Some(format!("and {more} more"));
            }
        }
        self.parts(parts)
    }

    fn parts(&mut self, parts: Vec<Part>) -> io::Result<()> {
        for part in parts {
            self.heading(&part.title)?;
            let cells = |row: &Vec<String>| row.iter().map(|cell| Cell::new(visible(cell))).collect();
            let rows = part.rows.iter().map(cells).collect();
            let heads: Vec<String> = part.columns.iter().map(|(head, _)| head.to_uppercase()).collect();
            let heads: Vec<&str> = heads.iter().map(String::as_str).collect();
            self.table(&heads, rows)?;
            if let Some(note) = part.note {
                writeln!(self.out, " {}", visible(&note))?;
            }
        }
        Ok(())
    }

    fn listed(&mut self) -> io::Result<()> {
        let all = self.summary.with(Verdict::Listed);
        if self.summary.rows.is_empty() {
            return Ok(());
        }
        self.heading("Listed")?;
        let rows = self.summary.rows.iter().map(|row| {
            vec![
                Cell::new(&row.target),
                tier(row.tier),
                Cell::new(format!("{:.2}", row.rating)),
                Cell::new(format!("{:.2}", row.confidence)),
                Cell::new(shortened(&row.lists)),
            ]
        });
        let rows: Vec<Vec<Cell>> = rows.collect();
        let shown = rows.len() as u64;
        self.table(&["TARGET", "TIER", "RATING", "CONFIDENCE", "LISTS"], rows)?;
        if all > shown {
            writeln!(self.out, " and {} more", all - shown)?;
        }
        Ok(())
    }

    fn entries(&mut self) -> io::Result<()> {
        if self.summary.targets != 1 || self.summary.entries.is_empty() {
            return Ok(());
        }
        self.heading("Entries")?;
        let rows = self.summary.entries.iter().map(|entry| {
            let reason = [entry.meanings.as_str(), entry.reason.as_str()];
            let reason: Vec<&str> = reason.into_iter().filter(|text| !text.is_empty()).collect();
            vec![
                Cell::new(&entry.list),
                Cell::new(entry.role.as_str()),
                tier(entry.tier),
                Cell::new(&entry.codes),
                Cell::new(reason.join(" / ")),
            ]
        });
        let rows = rows.collect();
        self.table(&["LIST", "ROLE", "TIER", "CODES", "WHY"], rows)
    }

    fn unknown(&mut self, catalogue: &Catalogue) -> io::Result<()> {
        let unknowns = self.summary.unknowns(catalogue);
        if unknowns.is_empty() {
            return Ok(());
        }
        self.heading("Unknown, by list")?;
        let rows = unknowns
            .into_iter()
            .map(|(list, all, causes)| vec![Cell::new(list), Cell::new(all), Cell::new(causes)]);
        self.table(&["LIST", "TARGETS", "CAUSES"], rows.collect())
    }

    fn findings(&mut self) -> io::Result<()> {
        if self.summary.found.is_empty() {
            return Ok(());
        }
        self.heading("Findings")?;
        let (shown, more) = self.summary.shown_findings();
        let rows = shown.iter().map(|noted| {
            let (word, colour) = match noted.severity {
                Severity::Error => ("error", Color::Red),
                Severity::Warning => ("warning", Color::Yellow),
                Severity::Info => ("info", Color::Reset),
            };
            vec![
                Cell::new(&noted.target),
                Cell::new(word).fg(colour),
                Cell::new(&noted.text),
                Cell::new(&noted.mend),
            ]
        });
        let rows: Vec<Vec<Cell>> = rows.collect();
        self.table(&["TARGET", "SEVERITY", "WHAT", "MEND"], rows)?;
        if more > 0 {
            writeln!(self.out, " and {more} more kinds")?;
        }
        Ok(())
    }

    fn next(&mut self, catalogue: &Catalogue) -> io::Result<()> {
        let todo = self.summary.todo(catalogue);
        if todo.is_empty() {
            return Ok(());
        }
        self.heading("What to do next")?;
        for todo in todo {
            let targets = several(todo.targets, "target");
            writeln!(
                self.out,
                " {} ({}, tier {}): {targets}",
                todo.list,
                todo.operator,
                todo.tier.as_str()
            )?;
            if let Some(how) = &todo.how {
                writeln!(self.out, "   {how}")?;
            }
            match (&todo.remove, &todo.how) {
                (Some(page), _) => writeln!(self.out, "   {page}")?, // a line of its own, unbroken: it can be clicked
                (None, None) => writeln!(self.out, "   no removal page is known")?,
                (None, Some(_)) => {}
            }
            writeln!(self.out, "   asking: {}", todo.terms)?;
        }
        Ok(())
    }
}

impl<W: Write> Sink for TableSink<W> {
    fn begin(&mut self, _: &RunHead) -> io::Result<()> {
        Ok(())
    }

    fn target(&mut self, judged: &Judged<'_>) -> io::Result<()> {
        self.summary.add(judged);
        Ok(())
    }

    fn finish(&mut self, end: &RunEnd<'_>) -> io::Result<()> {
        self.audit(end)?;
        self.coverage(end)?;
        self.changes(end)?;
        self.listed()?;
        self.entries()?;
        self.unknown(end.catalogue)?;
        self.findings()?;
        self.next(end.catalogue)?;
        self.out.flush()
    }
}

fn named(list: &super::record::ListRecord) -> String {
    let id = visible(&list.id);
    match &list.cause {
        Some(cause) => format!("{id} ({})", visible(cause)),
        None => id.into_owned(),
    }
}

fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::SpecialUse => "special use",
        other => other.as_str(),
    }
}

fn tier(tier: Tier) -> Cell {
    let cell = Cell::new(tier.as_str());
    match tier {
        Tier::A => cell.fg(Color::Red),
        Tier::B => cell.fg(Color::Yellow),
        Tier::C => cell.fg(Color::Cyan),
        Tier::W => cell.fg(Color::Green),
    }
}

fn shortened(ids: &[String]) -> String {
    let shown = ids[..ids.len().min(ENTRIES_MAX)].join(", ");
    match ids.len().saturating_sub(ENTRIES_MAX) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}
