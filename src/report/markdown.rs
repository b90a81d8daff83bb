//! Markdown (CommonMark with GitHub's tables): the same screenful as the terminal's table, for tickets and mails.
//!
//! Text from the network can neither make markup nor links: whatever could is written as a character reference, and
//! names stand in code spans. Links are made of the catalogue's removal pages only.

use std::borrow::Cow;
use std::io::{self, Write};

use crate::verdict::Verdict;

use super::audit;
use super::changes;
use super::escape::{is_plain_link, visible};
use super::part::Part;
use super::record::{Health, rfc3339};
use super::sink::{Judged, RunEnd, RunHead, Sink};
use super::summary::{Summary, several};

/// A report in Markdown.
#[derive(Debug)]
pub struct MarkdownSink<W: Write> {
    out: W,
    summary: Summary,
}

impl<W: Write> MarkdownSink<W> {
    /// A sink that writes to `out`.
    pub fn new(out: W) -> MarkdownSink<W> {
        MarkdownSink {
            out,
            summary: Summary::default(),
        }
    }

    fn coverage(&mut self, end: &RunEnd<'_>) -> io::Result<()> {
        let run = end.run;
        self.summary.end(run);
        let (planned, answered) = (self.summary.planned, self.summary.answered);
        let percent = if planned == 0 {
            0.0
        } else {
            100.0 * answered as f64 / planned as f64
        };
        writeln!(
            self.out,
            "# Reputation of {}\n",
            several(self.summary.targets, "target")
        )?;
        writeln!(
            self.out,
            "- Coverage: {percent:.1} % ({answered} of {planned} pairs on {})",
            several(end.lists.len() as u64, "list")
        )?;
        for verdict in Verdict::ALL {
            writeln!(
                self.out,
                "- {}: {}",
                verdict.as_str().replace('_', " "),
                self.summary.with(verdict)
            )?;
        }
        if let Some(left) = self.summary.left() {
            writeln!(self.out, "- {left}")?;
        }
        for list in end.lists.iter().filter(|list| list.health == Health::Unhealthy) {
            let cause = text(list.cause.as_deref().unwrap_or("unhealthy")).into_owned();
            writeln!(self.out, "- not usable: {} ({cause})", code(&list.id))?;
        }
        let (started, finished) = (rfc3339(run.started), rfc3339(run.finished));
        writeln!(
            self.out,
            "- Run: {started} to {finished}, reputon {}, catalogue {}",
            text(&run.version),
            code(&run.catalogue)
        )
    }

    fn audit(&mut self, end: &RunEnd<'_>) -> io::Result<()> {
        let Some(audit) = end.audit else { return Ok(()) };
        writeln!(self.out, "# {}\n", text(&audit::headline(audit)))?;
        for reason in &audit.reasons {
            writeln!(self.out, "- {}", text(reason))?;
        }
        self.parts("##", audit::parts(audit))?;
        writeln!(self.out)
    }

    fn changes(&mut self, end: &RunEnd<'_>) -> io::Result<()> {
        let Some(changes) = end.changes else { return Ok(()) };
        writeln!(self.out, "\n## Changes\n\n{}", text(&changes::headline(changes)))?;
        self.parts("###", changes::parts(changes))
    }

    fn parts(&mut self, level: &str, parts: Vec<Part>) -> io::Result<()> {
        for part in parts {
            let heads: Vec<&str> = part.columns.iter().map(|(head, _)| *head).collect();
            let rule = part
                .columns
                .iter()
                .map(|(_, number)| if *number { "--:" } else { "---" });
            let rule: Vec<&str> = rule.collect();
            let (heads, rule) = (heads.join(" | "), rule.join("|"));
            writeln!(self.out, "\n{level} {}\n\n| {heads} |\n|{rule}|", text(&part.title))?;
            for row in &part.rows {
                let cells: Vec<Cow<'_, str>> = row.iter().map(|cell| text(cell)).collect();
                writeln!(self.out, "| {} |", cells.join(" | "))?;
            }
            if let Some(note) = part.note {
                writeln!(self.out, "\n{}", text(&note))?;
            }
        }
        Ok(())
    }

    fn listed(&mut self) -> io::Result<()> {
        if self.summary.rows.is_empty() {
            return Ok(());
        }
        writeln!(
            self.out,
            "\n## Listed\n\n| Target | Tier | Rating | Confidence | Lists |\n|---|---|--:|--:|---|"
        )?;
        for row in &self.summary.rows {
            let lists: Vec<String> = row.lists.iter().map(|id| code(id)).collect();
            let (target, tier, lists) = (code(&row.target), row.tier.as_str(), lists.join(" "));
            writeln!(
                self.out,
                "| {target} | {tier} | {:.2} | {:.2} | {lists} |",
                row.rating, row.confidence
            )?;
        }
        let more = self
            .summary
            .with(Verdict::Listed)
            .saturating_sub(self.summary.rows.len() as u64);
        if more > 0 {
            writeln!(self.out, "\nand {more} more")?;
        }
        Ok(())
    }

    fn entries(&mut self) -> io::Result<()> {
        if self.summary.targets != 1 || self.summary.entries.is_empty() {
            return Ok(());
        }
        writeln!(
            self.out,
            "\n## Entries\n\n| List | Role | Tier | Codes | Meaning | Reason |\n|---|---|---|---|---|---|"
        )?;
        for entry in &self.summary.entries {
            writeln!(
                self.out,
                "| {} | {} | {} | {} | {} | {} |",
                code(&entry.list),
                entry.role.as_str(),
                entry.tier.as_str(),
                code(&entry.codes),
                text(&entry.meanings),
                text(&entry.reason)
            )?;
        }
        Ok(())
    }

    fn findings(&mut self) -> io::Result<()> {
        if self.summary.found.is_empty() {
            return Ok(());
        }
        writeln!(self.out, "\n## Findings\n\n| Target | What | Mend |\n|---|---|---|")?;
        let (shown, more) = self.summary.shown_findings();
        for noted in &shown {
            writeln!(
                self.out,
                "| {} | {} | {} |",
                code(&noted.target),
                text(&noted.text),
                text(&noted.mend)
            )?;
        }
        if more > 0 {
            writeln!(self.out, "\nand {more} more kinds")?;
        }
        Ok(())
    }

    fn unknown_and_next(&mut self, end: &RunEnd<'_>) -> io::Result<()> {
        let unknowns = self.summary.unknowns(end.catalogue);
        if !unknowns.is_empty() {
            writeln!(
                self.out,
                "\n## Unknown, by list\n\n| List | Targets | Causes |\n|---|--:|---|"
            )?;
        }
        for (list, all, causes) in unknowns {
            writeln!(self.out, "| {} | {all} | {} |", code(&list), text(&causes))?;
        }
        let todo = self.summary.todo(end.catalogue);
        if !todo.is_empty() {
            writeln!(self.out, "\n## What to do next\n")?;
        }
        for todo in todo {
            let (operator, targets) = (text(&todo.operator).into_owned(), several(todo.targets, "target"));
            write!(
                self.out,
                "- {} ({operator}, tier {}): {targets}.",
                code(&todo.list),
                todo.tier.as_str()
            )?;
            if let Some(how) = &todo.how {
                write!(self.out, " {}", text(how))?;
            }
            match &todo.remove {
                Some(page) if is_plain_link(page) => write!(self.out, " <{page}>")?,
                Some(page) => write!(self.out, " {}", text(page))?,
                None => {}
            }
            writeln!(self.out, " Asking: {}.", todo.terms)?;
        }
        Ok(())
    }
}

impl<W: Write> Sink for MarkdownSink<W> {
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
        self.findings()?;
        self.unknown_and_next(end)?;
        self.out.flush()
    }
}

/// Text that cannot become markup. `@`, the point after `www`, and `:` where no space follows are among what is replaced, as
/// GitHub makes links of bare addresses; `_` inside a word is no markup and stays.
fn text(raw: &str) -> Cow<'_, str> {
    let shown = visible(raw);
    let marks = |letter: char| {
        matches!(
            letter,
            '\\' | '`' | '*' | '{' | '}' | '[' | ']' | '<' | '>' | '#' | '|' | '~' | '&' | '@' | '$'
        )
    };
    if !shown.contains(|letter| marks(letter) || matches!(letter, '_' | ':'))
        && !shown.to_ascii_lowercase().contains("www")
    {
        return shown;
    }
    let mut safe = String::with_capacity(shown.len() + 16);
    let (mut before, mut rest) = (None, shown.chars());
    while let Some(letter) = rest.next() {
        let after = rest.clone().next();
        let in_word = |side: Option<char>| side.is_some_and(|side| side.is_ascii_alphanumeric());
        let replaced = match letter {
            '_' => !(in_word(before) && in_word(after)),
            ':' => after.is_some_and(|after| after != ' '),
            '.' => ends_with_www(&safe),
            _ => marks(letter),
        };
        if replaced {
            safe.push_str(&format!("&#{};", u32::from(letter)));
        } else {
            safe.push(letter);
        }
        before = Some(letter);
    }
    Cow::Owned(safe)
}

fn ends_with_www(text: &str) -> bool {
    let octets = text.as_bytes();
    octets.len() >= 3 && octets[octets.len() - 3..].eq_ignore_ascii_case(b"www")
}

/// A code span for a table cell. Names, ids and codes hold no back quotes; those of strangers become plain ones.
fn code(raw: &str) -> String {
    let shown = visible(raw).replace('`', "'").replace('|', "\\|");
    if shown.is_empty() { shown } else { format!("`{shown}`") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_strangers_is_no_markup() {
        assert_eq!(text("plain words, (and) more-so."), "plain words, (and) more-so.");
        assert_eq!(
            text("[x](http://evil)|<b>"),
            "&#91;x&#93;(http&#58;//evil)&#124;&#60;b&#62;"
        );
        assert_eq!(
            text("192.0.2.0/24: lists_everything: _so_"),
            "192.0.2.0/24: lists_everything: &#95;so&#95;"
        );
        assert_eq!(text("www.evil.example a@b"), "www&#46;evil.example a&#64;b");
        assert_eq!(code("a`b|c"), "`a'b\\|c`");
    }
}
