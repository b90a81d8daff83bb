//! A doctor's letter for one mail server: what mailbox providers look at, each with ✓, ✗ or ?, and the next three things to
//! do.
//!
//! ```text
//! judged dossiers (addresses, names) + whether the domain authorises the addresses ─▶ Letter ─▶ text, JSON
//! ```
//!
//! A stage with a warning or an error is ✗ with its words, one that could not be learnt is ?, otherwise one line says what
//! is in order. Lists are ✗ for entries of the block role, ? for those that did not answer. The next things are the mends of
//! ✗ lines, what keeps most mail away first.

use std::collections::BTreeSet;
use std::io::{self, Write};

use serde::Serialize;
use serde_json::Value;

use crate::dnsxl::removal;
use crate::dnsxl::{Observation, Role, Tier};
use crate::stages::{Finding, Severity};

use super::escape::visible;
use super::sink::Judged;

/// Things to do next that are named.
const NEXT_MAX: usize = 3;

/// Lists that are named in one line.
const NAMED_MAX: usize = 5;

/// What a line says of its matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Mark {
    /// It is in order.
    Good,
    /// It is not.
    Bad,
    /// It is not known.
    Unknown,
    /// It is worth a word, and no harm.
    Note,
}

impl Mark {
    /// The sign for people.
    pub fn sign(self) -> &'static str {
        match self {
            Mark::Good => "✓",
            Mark::Bad => "✗",
            Mark::Unknown => "?",
            Mark::Note => "·",
        }
    }
}

/// One line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Line {
    /// The matter, such as `Blocklists`.
    pub topic: &'static str,
    /// What is said of it.
    pub mark: Mark,
    /// In words, safe to show.
    pub text: String,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mend: Option<String>,
    /// The mend as it stands alone, with what it is about.
    #[serde(skip)]
    alone: Option<String>,
    /// How soon that should be done: lower is sooner.
    #[serde(skip)]
    urgency: u8,
}

/// The letter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Letter {
    /// What was asked about.
    pub subject: String,
    /// What it is about in full, in words.
    pub about: String,
    /// All lines, by topic.
    pub lines: Vec<Line>,
    /// What to do next, three things at most.
    pub next: Vec<String>,
}

/// The topics in the order of the letter.
const TOPICS: [&str; 10] = [
    "Blocklists",
    "Reverse name",
    "Greeting",
    "Incoming mail",
    "SPF",
    "DKIM",
    "DMARC",
    "TLS policies and logo",
    "Network",
    "Run",
];

/// The topic of a stage, and how urgent its errors are.
fn topic_of(stage: &str) -> (&'static str, u8) {
    match stage {
        "lists" => ("Blocklists", 5),
        "rdns" => ("Reverse name", 1),
        "smtp" => ("Greeting", 3),
        "mx" => ("Incoming mail", 4),
        "spf" => ("SPF", 2),
        "dkim" => ("DKIM", 4),
        "dmarc" => ("DMARC", 4),
        "mta-sts" | "tls-rpt" | "bimi" => ("TLS policies and logo", 7),
        "asn" | "abuse" => ("Network", 6),
        _ => ("Run", 9),
    }
}

impl Letter {
    /// An empty letter.
    pub fn new(subject: &str, about: &str) -> Letter {
        Letter {
            subject: visible(subject).into_owned(),
            about: visible(about).into_owned(),
            lines: Vec::new(),
            next: Vec::new(),
        }
    }

    /// Adds what is known of an address or a name. Findings through one of `told` are left to that one's own dossier.
    pub fn add(&mut self, judged: &Judged<'_>, told: &[String]) {
        if let Some(space) = judged.dossier.special_use {
            let text = format!(
                "{} is {} space: nobody outside can be asked about it",
                judged.dossier.target,
                space.replace('_', " ")
            );
            let mend = "name the address or the domain that others see".to_owned();
            self.line("Run", Mark::Note, text, Some(mend), 9);
            return;
        }
        self.lists(judged);
        for (stage, record) in &judged.dossier.stages {
            let related = judged.dossier.target.address().is_some() && matches!(*stage, "mx" | "spf" | "dmarc");
            if !related {
                self.stage(stage, record, judged);
            }
        }
        for finding in &judged.dossier.findings {
            let is_own = match &finding.via {
                Some(via) => matches!(finding.stage.as_str(), "lists" | "smtp") && !told.contains(via),
                None => true,
            };
            if is_own {
                self.finding(finding);
            }
        }
    }

    /// Adds a finding.
    pub fn finding(&mut self, finding: &Finding) {
        let (topic, urgency) = topic_of(&finding.stage);
        let unknown = finding.code.ends_with("_unknown")
            || ["rdns_unconfirmed", "smtp_silent", "smtp_unreachable", "spf_dns_error"]
                .contains(&finding.code.as_str());
        let (mark, later) = match finding.severity {
            _ if unknown => (Mark::Unknown, 10),
            Severity::Error => (Mark::Bad, 0),
            Severity::Warning => (Mark::Bad, 5),
            Severity::Info => (Mark::Note, 20),
        };
        let urgency = match finding.code.as_str() {
            "mx_no_domain" => 0, // all else of the domain can wait until there is one
            _ => urgency + later,
        };
        self.line(topic, mark, finding.text.clone(), finding.mend.clone(), urgency);
    }

    /// Adds a line about something that is in order.
    pub fn good(&mut self, stage: &str, text: String) {
        self.line(topic_of(stage).0, Mark::Good, text, None, 99);
    }

    fn line(&mut self, topic: &'static str, mark: Mark, text: String, mend: Option<String>, urgency: u8) {
        let alone = mend.as_ref().map(|mend| format!("{text}: {mend}"));
        self.push(Line {
            topic,
            mark,
            text,
            mend,
            alone,
            urgency,
        });
    }

    fn push(&mut self, line: Line) {
        let safe = |text: Option<String>| text.map(|text| visible(&text).into_owned());
        let line = Line {
            text: visible(&line.text).into_owned(),
            mend: safe(line.mend),
            alone: safe(line.alone),
            ..line
        };
        // Two addresses of one host say some things twice.
        if !self.lines.contains(&line) {
            self.lines.push(line);
        }
    }

    fn lists(&mut self, judged: &Judged<'_>) {
        let target = &judged.dossier.target;
        let (mut clear, mut unknown) = (0, Vec::new());
        for observed in &judged.dossier.observations {
            let list = judged.catalogue.list(observed.list);
            match &observed.observation {
                Observation::NotListed => clear += usize::from(list.role == Role::Block),
                Observation::Unknown(cause) => unknown.push(format!("{} ({cause})", list.id)),
                Observation::NotAsked(_) => {}
                Observation::Listed(listing) => {
                    let operator = judged.catalogue.operator(list.operator);
                    let (meaning, reason) = (
                        listing.codes.meanings.join("; "),
                        listing.reason.as_deref().unwrap_or_default(),
                    );
                    // Many reasons begin with the meaning: once is enough.
                    let what = match reason.contains(&meaning) {
                        true => vec![reason],
                        false => vec![meaning.as_str(), reason],
                    };
                    let what: Vec<&str> = what.into_iter().filter(|text| !text.is_empty()).collect();
                    let on = format!("{target} is on {} of {}", list.id, operator.name);
                    let why = match what.is_empty() {
                        true => String::new(),
                        false => format!(": {}", what.join(" / ")),
                    };
                    match listing.role {
                        Role::Block => {
                            let mend = removal(list, operator, target);
                            let (words, urgency) = match listing.tier {
                                Tier::A => ("large receivers reject by it", 0),
                                Tier::B => ("it counts in scores", 5),
                                Tier::C | Tier::W => ("policy or informational", 15),
                            };
                            self.line(
                                "Blocklists",
                                Mark::Bad,
                                format!("{on} ({words}){why}"),
                                Some(mend),
                                urgency,
                            );
                        }
                        Role::Allow => self.good("lists", format!("{on}, an allow list{why}")),
                        Role::Info => self.line("Blocklists", Mark::Note, format!("{on}{why}"), None, 30),
                    }
                }
            }
        }
        if clear > 0 {
            let lists = if clear == 1 {
                "block list has"
            } else {
                "block lists have"
            };
            self.good("lists", format!("{clear} {lists} no entry for {target}"));
        }
        if !unknown.is_empty() {
            let more = unknown.len().saturating_sub(NAMED_MAX);
            let mut text = format!(
                "of {target} it is not known on {}",
                unknown[..unknown.len() - more].join(", ")
            );
            if more > 0 {
                text += &format!(" and {more} more");
            }
            self.line("Blocklists", Mark::Unknown, text, None, 30);
        }
    }

    /// What is in order at a stage, if nothing of it is wrong.
    fn stage(&mut self, stage: &str, record: &Value, judged: &Judged<'_>) {
        let wrong =
            |finding: &&Finding| finding.stage == stage && finding.via.is_none() && finding.severity > Severity::Info;
        if judged.dossier.findings.iter().any(|finding| wrong(&finding)) {
            return;
        }
        let target = judged.dossier.target.to_string();
        if let Some(text) = in_order(stage, record, &target) {
            self.good(stage, text);
        }
    }

    /// Orders the lines and finds the next things to do. To be called when all is added.
    pub fn close(&mut self) {
        let place = |line: &Line| TOPICS.iter().position(|topic| *topic == line.topic);
        // Stable: within a topic what is wrong first, then as it came.
        let weight = |mark: Mark| match mark {
            Mark::Bad => 0,
            Mark::Unknown => 1,
            Mark::Good => 2,
            Mark::Note => 3,
        };
        self.lines.sort_by_key(|line| (place(line), weight(line.mark)));
        let mut mends: Vec<(u8, &String, &String)> = self
            .lines
            .iter()
            .filter(|line| line.mark == Mark::Bad)
            .filter_map(|line| Some((line.urgency, line.mend.as_ref()?, line.alone.as_ref()?)))
            .collect();
        mends.sort_by_key(|(urgency, ..)| *urgency);
        // What two addresses have in common is mended once: three different things are named.
        let mut seen = BTreeSet::new();
        let next = mends.into_iter().filter(|(_, mend, _)| seen.insert(*mend));
        self.next = next.take(NEXT_MAX).map(|(_, _, alone)| alone.clone()).collect();
    }

    /// How many lines have a mark.
    pub fn count(&self, mark: Mark) -> usize {
        self.lines.iter().filter(|line| line.mark == mark).count()
    }

    /// Writes the letter for people.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write(&self, out: &mut impl Write, colour: bool) -> io::Result<()> {
        let paint = |mark: Mark| {
            let colour = match mark {
                _ if !colour => return anstyle::Style::new(),
                Mark::Good => anstyle::AnsiColor::Green,
                Mark::Bad => anstyle::AnsiColor::Red,
                Mark::Unknown => anstyle::AnsiColor::Yellow,
                Mark::Note => return anstyle::Style::new().dimmed(),
            };
            colour.on_default()
        };
        let bold = if colour {
            anstyle::Style::new().bold()
        } else {
            anstyle::Style::new()
        };
        writeln!(out, "{bold}{}{bold:#}", self.about)?;
        let mut topic = "";
        for line in &self.lines {
            if line.topic != topic {
                topic = line.topic;
                writeln!(out, "\n{bold}{topic}{bold:#}")?;
            }
            let style = paint(line.mark);
            writeln!(out, " {style}{}{style:#} {}", line.mark.sign(), line.text)?;
            if let Some(mend) = line.mend.as_ref().filter(|_| line.mark != Mark::Good) {
                writeln!(out, "     → {mend}")?;
            }
        }
        writeln!(out, "\n{bold}Next{bold:#}")?;
        for (index, mend) in self.next.iter().enumerate() {
            writeln!(out, " {}. {mend}", index + 1)?;
        }
        match (self.next.is_empty(), self.count(Mark::Unknown)) {
            (false, _) => Ok(()),
            (true, 0) if self.count(Mark::Good) + self.count(Mark::Bad) == 0 => {
                writeln!(out, " Nothing was looked at, and nothing is known.")
            }
            (true, 0) => writeln!(out, " Nothing: all that was looked at is in order."),
            (true, _) => writeln!(
                out,
                " Nothing is known to be wrong; what is not known (?) may be, so try again later."
            ),
        }
    }
}

/// A sentence about a record that is in order; none if the record says nothing good.
fn in_order(stage: &str, record: &Value, target: &str) -> Option<String> {
    let text = |value: &Value| value.as_str().map(ToOwned::to_owned);
    match stage {
        "rdns" => {
            let names = record["names"].as_array()?;
            let name = names.iter().find(|name| name["confirmed"] == true)?;
            Some(format!("{target} is {}, which leads back to it", text(&name["name"])?))
        }
        "mx" => match record["way"].as_str()? {
            "explicit" => {
                let hosts = record["exchangers"].as_array()?.iter();
                let hosts: Vec<String> = hosts.filter_map(|host| text(&host["host"])).collect();
                Some(format!("mail for {target} goes to {}", hosts.join(", ")))
            }
            "implicit" => Some(format!(
                "mail for {target} goes to its own address, for want of MX records"
            )),
            "null" => Some(format!("{target} takes no mail, and says so (null MX)")),
            _ => None,
        },
        "spf" => {
            let published = text(&record["record"])?;
            let (addresses, lookups) = (record["ip4_addresses"].as_u64()?, record["lookups"].as_u64()?);
            Some(format!(
                "{target} publishes \"{published}\": {addresses} IPv4 addresses, {lookups} of 10 lookups"
            ))
        }
        "dkim" => {
            let keys = record.as_array()?.iter().filter(|key| key["key"]["state"] == "valid");
            let keys: Vec<String> = keys.filter_map(|key| text(&key["selector"])).collect();
            (!keys.is_empty()).then(|| format!("{target} has keys at the selectors {}", keys.join(", ")))
        }
        "dmarc" => {
            let policy = text(&record["policy"])?;
            Some(format!(
                "{target} asks receivers to {policy} what fails",
                policy = match policy.as_str() {
                    "none" => "let through",
                    other => other,
                }
            ))
        }
        "mta-sts" | "tls-rpt" | "bimi" => {
            (record["found"] == "valid").then(|| format!("{target} has a good {stage} record"))
        }
        "asn" => {
            let prefix = text(&record["prefixes"][0]["prefix"])?;
            let name = text(&record["name"]).map_or(String::new(), |name| format!(" ({name})"));
            Some(format!(
                "{target} is in {prefix}, announced by AS{}{name}",
                record["asn"].as_u64()?
            ))
        }
        "abuse" => {
            let contacts: Vec<String> = record["contacts"].as_array()?.iter().filter_map(text).collect();
            (!contacts.is_empty()).then(|| format!("complaints about {target} go to {}", contacts.join(", ")))
        }
        // A domain's: each exchanger's address on its own.
        "smtp" if record["hosts"].is_array() => {
            let hosts = record["hosts"]
                .as_array()?
                .iter()
                .filter(|host| host["state"] == "open");
            let hosts: Vec<String> = hosts
                .filter_map(|host| Some(format!("{} ({})", text(&host["host"])?, text(&host["address"])?)))
                .collect();
            (!hosts.is_empty()).then(|| format!("where {target} takes mail, {} greet", hosts.join(", ")))
        }
        "smtp" => {
            let name = text(&record["name"])?;
            let tls = if record["starttls"] == true {
                ", and offers STARTTLS"
            } else {
                ""
            };
            (record["state"] == "open").then(|| format!("{target} greets as {name}{tls}"))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(stage: &str, text: &str, mend: &str) -> Finding {
        Finding::error(stage, "code", text).mend(mend)
    }

    #[test]
    fn what_keeps_most_mail_away_comes_first_and_three_things_are_named() {
        let mut letter = Letter::new("mail.example.test", "mail.example.test");
        letter.finding(&Finding::warning("dmarc", "dmarc_none", "p=none").mend("tighten it"));
        letter.finding(&error("dkim", "no key", "publish a key"));
        letter.finding(&error("spf", "+all", "end it with -all"));
        letter.finding(&error("rdns", "no PTR", "set a PTR record"));
        letter.finding(&error("rdns", "no PTR", "set a PTR record"));
        letter.good("asn", "announced".to_owned());
        letter.close();
        assert_eq!(
            letter.next,
            [
                "no PTR: set a PTR record",
                "+all: end it with -all",
                "no key: publish a key"
            ]
        );
        assert_eq!((letter.count(Mark::Bad), letter.count(Mark::Good)), (4, 1));
        assert_eq!(letter.lines.first().map(|line| line.topic), Some("Reverse name"));
    }

    #[test]
    fn before_all_else_a_domain_has_to_exist() {
        let mut letter = Letter::new("absent.test", "absent.test");
        letter.finding(&error("spf", "no SPF record", "publish one"));
        letter.finding(&Finding::error("mx", "mx_no_domain", "absent.test does not exist").mend("register it"));
        letter.close();
        assert_eq!(letter.next[0], "absent.test does not exist: register it");
    }

    #[test]
    fn unknown_is_neither_good_nor_bad() {
        let mut letter = Letter::new("x", "x");
        letter.finding(&Finding::warning("mx", "mx_unknown", "no answer came"));
        letter.close();
        assert_eq!((letter.count(Mark::Unknown), letter.next.len()), (1, 0));
        let mut text = Vec::new();
        letter.write(&mut text, false).expect("memory");
        let text = String::from_utf8(text).expect("UTF-8");
        assert!(
            text.contains(" ? no answer came") && text.contains("try again later"),
            "{text}"
        );
    }

    #[test]
    fn where_nothing_was_looked_at_nothing_is_in_order() {
        let mut letter = Letter::new("10.1.2.3", "10.1.2.3");
        let mend = Some("name another".to_owned());
        letter.line("Run", Mark::Note, "10.1.2.3 is private space".to_owned(), mend, 9);
        letter.close();
        let mut text = Vec::new();
        letter.write(&mut text, false).expect("memory");
        let text = String::from_utf8(text).expect("UTF-8");
        assert!(
            !text.contains("in order") && text.contains("Nothing was looked at"),
            "{text}"
        );
        assert!(text.contains("→ name another"), "{text}");
    }

    #[test]
    fn hostile_text_is_made_visible() {
        let mut letter = Letter::new("x", "x");
        letter.finding(&error("spf", "a\u{1b}[31mb\nc", "m\u{202e}"));
        letter.close();
        let mut text = Vec::new();
        letter.write(&mut text, false).expect("memory");
        assert!(!text.contains(&0x1b));
        assert!(!String::from_utf8(text).expect("UTF-8").contains('\u{202e}'));
    }
}
