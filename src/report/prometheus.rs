//! The Prometheus text format, for node_exporter's textfile collector.
//!
//! Every sample is a gauge of the last run, without a time of its own (the collector refuses those). Lists are few and
//! each has its samples; targets are many, so only listed ones have a sample, at most [`TARGETS_MAX`].

use std::fmt::Write as _;
use std::io::{self, Write};

use crate::dnsxl::Tier;
use crate::verdict::Verdict;

use super::escape::visible;
use super::record::{Health, ListRecord, rounded};
use super::sink::{Judged, RunEnd, RunHead, Sink};
use super::summary::Summary;

/// Series of targets: more would burden the server that scrapes them.
const TARGETS_MAX: usize = 1_000;

/// Gauges of a run.
#[derive(Debug)]
pub struct PrometheusSink<W: Write> {
    out: W,
    summary: Summary,
    listed: Vec<(String, Tier, f64)>,
}

impl<W: Write> PrometheusSink<W> {
    /// A sink that writes to `out`.
    pub fn new(out: W) -> PrometheusSink<W> {
        PrometheusSink {
            out,
            summary: Summary::default(),
            listed: Vec::new(),
        }
    }

    /// One metric with its help, its type and its samples.
    fn gauge<'v>(
        &mut self,
        name: &str,
        help: &str,
        samples: impl IntoIterator<Item = (Vec<(&'static str, &'v str)>, f64)>,
    ) -> io::Result<()> {
        let mut text = format!("# HELP reputon_{name} {help}\n# TYPE reputon_{name} gauge\n");
        for (labels, value) in samples {
            let labels: Vec<String> = labels
                .into_iter()
                .map(|(label, value)| format!("{label}=\"{}\"", quoted(value)))
                .collect();
            let labels = if labels.is_empty() {
                String::new()
            } else {
                format!("{{{}}}", labels.join(","))
            };
            writeln!(text, "reputon_{name}{labels} {value}").expect("writing to a string");
        }
        self.out.write_all(text.as_bytes())
    }

    fn lists(&mut self, lists: &[ListRecord]) -> io::Result<()> {
        let of = |value: fn(&ListRecord) -> u64| lists.iter().map(move |list| named(list, value(list)));
        self.gauge(
            "list_listed",
            "Targets that the list has an entry for.",
            of(|list| list.listed),
        )?;
        self.gauge(
            "list_unknown",
            "Targets of which the list's answer is not known.",
            of(|list| list.unknown),
        )?;
        self.gauge("list_asked", "Queries asked of the list.", of(|list| list.asked))?;
        let checked = lists.iter().filter(|list| list.health != Health::Unchecked);
        let healthy = checked.map(|list| named(list, u64::from(list.health == Health::Healthy)));
        self.gauge("list_healthy", "1 if the list passed its checks, 0 if not.", healthy)
    }
}

fn named(list: &ListRecord, value: u64) -> (Vec<(&'static str, &str)>, f64) {
    (list_labels(list), value as f64)
}

fn list_labels(list: &ListRecord) -> Vec<(&'static str, &str)> {
    vec![
        ("list", &list.id),
        ("operator", &list.operator),
        ("role", list.role),
        ("tier", list.tier),
    ]
}

impl<W: Write> Sink for PrometheusSink<W> {
    fn begin(&mut self, _: &RunHead) -> io::Result<()> {
        Ok(())
    }

    fn target(&mut self, judged: &Judged<'_>) -> io::Result<()> {
        self.summary.add(judged);
        if let Some(tier) = judged.judgement.hardest()
            && self.listed.len() < TARGETS_MAX
        {
            self.listed.push((
                judged.dossier.target.to_string(),
                tier,
                rounded(judged.judgement.rating),
            ));
        }
        Ok(())
    }

    fn finish(&mut self, end: &RunEnd<'_>) -> io::Result<()> {
        let run = end.run;
        let one = |value: f64| [(Vec::new(), value)];
        let verdicts =
            Verdict::ALL.map(|verdict| (vec![("verdict", verdict.as_str())], self.summary.with(verdict) as f64));
        self.gauge("targets", "Targets by verdict.", verdicts)?;
        self.summary.end(run);
        self.gauge(
            "targets_unreached",
            "Targets that the run did not reach: nothing is known of them.",
            one(self.summary.unreached as f64),
        )?;
        let listed = std::mem::take(&mut self.listed);
        let ratings = listed
            .iter()
            .map(|(target, tier, rating)| (vec![("target", target.as_str()), ("tier", tier.as_str())], *rating));
        self.gauge("target_rating", "Rating of listed targets, 0 to 1 (RFC 7071).", ratings)?;
        self.lists(end.lists)?;
        let queries = run
            .queries
            .iter()
            .map(|(operator, number)| (vec![("operator", operator.as_str())], *number as f64));
        self.gauge(
            "operator_queries",
            "Queries sent to the operator, retries included.",
            queries,
        )?;
        self.gauge(
            "pairs_planned",
            "Pairs of target and list that were to be learnt.",
            one(run.planned as f64),
        )?;
        self.gauge(
            "pairs_answered",
            "Pairs of target and list that were learnt.",
            one(run.answered as f64),
        )?;
        self.gauge(
            "complete_ratio",
            "Answered over planned pairs.",
            one(rounded(run.complete)),
        )?;
        let seconds = run.finished.duration_since(run.started).as_secs_f64();
        self.gauge("duration_seconds", "How long the run took.", one(seconds))?;
        self.gauge(
            "started_timestamp_seconds",
            "When the run started.",
            one(run.started.as_second() as f64),
        )?;
        self.gauge(
            "finished_timestamp_seconds",
            "When the run ended.",
            one(run.finished.as_second() as f64),
        )?;
        self.out.flush()
    }
}

/// A label's value: the format escapes backslash, quote and line feed (and `visible` has left no line feed).
fn quoted(value: &str) -> String {
    visible(value).replace('\\', "\\\\").replace('"', "\\\"")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::sample::{dossiers, feed};
    use super::*;

    /// The rules of the text format, and of its linter, line by line.
    #[test]
    fn every_metric_is_declared_once_and_every_sample_is_well_formed() {
        let mut out = Vec::new();
        feed(&mut PrometheusSink::new(&mut out), &dossiers()).expect("to memory");
        let text = String::from_utf8(out).expect("UTF-8");
        assert!(text.ends_with('\n') && !text.contains("\n\n"));
        let (mut helped, mut typed, mut series) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        for line in text.lines() {
            if let Some(help) = line.strip_prefix("# HELP ") {
                let (name, words) = help.split_once(' ').expect("a name and words");
                assert!(helped.insert(name.to_owned()) && !words.is_empty(), "{line}");
                let good = |octet: u8| octet.is_ascii_lowercase() || octet == b'_';
                assert!(name.starts_with("reputon_") && name.bytes().all(good), "{line}");
                // Suffixes that other types own, and units that the linter wants in full.
                for bad in ["_total", "_sum", "_count", "_bucket", "_info", "_ms", "_percent"] {
                    assert!(!name.ends_with(bad), "{line}");
                }
            } else if let Some(kind) = line.strip_prefix("# TYPE ") {
                let name = kind.strip_suffix(" gauge").expect("all are gauges");
                assert!(helped.contains(name) && typed.insert(name.to_owned()), "{line}");
            } else {
                let (sample, value) = line.rsplit_once(' ').expect("a value");
                assert!(value.parse::<f64>().is_ok_and(f64::is_finite), "{line}");
                let name = sample.split('{').next().expect("a name");
                assert!(typed.contains(name), "{line} comes after its type");
                assert!(
                    typed.last().is_some() && series.insert(sample.to_owned()),
                    "{line} is there once"
                );
                assert_eq!(sample.contains('{'), sample.ends_with("\"}"), "{line}");
            }
        }
        assert_eq!(helped, typed);
        for wanted in [
            "targets",
            "list_listed",
            "list_unknown",
            "list_healthy",
            "operator_queries",
            "duration_seconds",
        ] {
            assert!(typed.contains(&format!("reputon_{wanted}")), "{wanted}");
        }
    }
}
