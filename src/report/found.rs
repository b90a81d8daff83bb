//! Findings gathered by what they say: one row a code, however many targets it concerns. Memory: [`KINDS_MAX`] rows of
//! [`EXAMPLES_MAX`] targets.

use crate::dossier::{Finding, Severity};

use super::escape::visible;

/// Kinds of findings: the stages know fewer.
const KINDS_MAX: usize = 256;

/// Targets that are named for each.
const EXAMPLES_MAX: usize = 8;

/// Findings of a kind that can be told one by one; more of them are told as one.
pub(super) const SINGLY_MAX: usize = 3;

/// Findings of one kind. Text in it is safe to show.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) stage: String,
    pub(super) code: String,
    pub(super) severity: Severity,
    /// What the first one says.
    pub(super) text: String,
    pub(super) mend: String,
    /// Targets that it concerns.
    pub(super) targets: u64,
    /// The first of them.
    pub(super) examples: Vec<String>,
    /// The findings one by one: all of them, where they are no more than [`SINGLY_MAX`]; else none.
    pub(super) singly: Vec<Noted>,
    /// Findings: a target can have several.
    all: u64,
}

/// A finding and whose it is. Text in it is safe to show.
#[derive(Debug, Clone)]
pub(super) struct Noted {
    pub(super) target: String,
    pub(super) severity: Severity,
    pub(super) text: String,
    pub(super) mend: String,
}

impl Found {
    /// Whom it concerns: the first target, and how many more.
    pub(super) fn whom(&self) -> String {
        let first = self.examples.first().map_or("", String::as_str);
        match self.targets {
            0 | 1 => first.to_owned(),
            all => format!("{first} and {} more", all - 1),
        }
    }
}

/// All findings above `info`, by kind.
#[derive(Debug, Default)]
pub(super) struct AllFound(Vec<Found>);

impl AllFound {
    /// Takes the findings of a target in.
    pub(super) fn add(&mut self, target: &str, findings: &[Finding]) {
        for (at, finding) in findings.iter().enumerate() {
            let said = |other: &Finding| other.stage == finding.stage && other.code == finding.code;
            if finding.severity > Severity::Info {
                self.one(target, finding, !findings[..at].iter().any(said));
            }
        }
    }

    fn one(&mut self, target: &str, finding: &Finding, first_of_target: bool) {
        let known = |found: &Found| found.stage == finding.stage && found.code == finding.code;
        let at = match self.0.iter().position(known) {
            Some(at) => at,
            None if self.0.len() >= KINDS_MAX => return,
            None => {
                self.0.push(Found {
                    stage: visible(&finding.stage).into_owned(),
                    code: visible(&finding.code).into_owned(),
                    severity: finding.severity,
                    text: visible(&finding.text).into_owned(),
                    mend: visible(finding.mend.as_deref().unwrap_or_default()).into_owned(),
                    targets: 0,
                    examples: Vec::new(),
                    singly: Vec::new(),
                    all: 0,
                });
                self.0.len() - 1
            }
        };
        let found = &mut self.0[at];
        found.all += 1;
        if found.all > SINGLY_MAX as u64 {
            found.singly = Vec::new();
        } else {
            found.singly.push(Noted {
                target: visible(target).into_owned(),
                severity: finding.severity,
                text: visible(&finding.text).into_owned(),
                mend: visible(finding.mend.as_deref().unwrap_or_default()).into_owned(),
            });
        }
        if !first_of_target {
            return;
        }
        found.targets += 1;
        if found.examples.len() < EXAMPLES_MAX {
            found.examples.push(visible(target).into_owned());
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The kinds: errors first, then by how many targets they concern.
    pub(super) fn sorted(&mut self) -> &[Found] {
        self.0
            .sort_by_key(|found| (std::cmp::Reverse(found.severity), std::cmp::Reverse(found.targets)));
        &self.0
    }
}

/// The word of a severity.
pub(super) fn word(severity: Severity) -> &'static str {
    match severity {
        Severity::Info => "info",
        Severity::Warning => "warning",
        Severity::Error => "error",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_finding_of_many_targets_is_one_row() {
        let mut all = AllFound::default();
        for at in 0..300 {
            let findings = [
                Finding::warning("rdns", "rdns_generic", format!("{at} is generic")),
                Finding::warning("rdns", "rdns_generic", "said twice"),
                Finding::info("asn", "asn_malformed", "not shown"),
            ];
            all.add(&format!("192.0.2.{at}"), &findings);
        }
        all.add(
            "192.0.2.9",
            &[Finding::error("spf", "spf_plus_all", "anybody\u{1b}[2J").mend("end it with -all")],
        );
        let sorted = all.sorted();
        assert_eq!(sorted.len(), 2);
        assert_eq!(
            (sorted[0].code.as_str(), sorted[0].text.as_str()),
            ("spf_plus_all", "anybody\\x1b[2J")
        );
        assert_eq!((sorted[1].targets, sorted[1].examples.len()), (300, EXAMPLES_MAX));
        assert_eq!(sorted[1].text, "0 is generic");
        assert_eq!(
            (sorted[0].singly.len(), sorted[1].singly.len()),
            (1, 0),
            "few are told one by one"
        );
    }
}
