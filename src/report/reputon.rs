//! Reputons: `application/reputon+json` (RFC 7071 §6) with the `email-id` vocabulary (RFC 7073).
//!
//! One reputon for each target of which anything is known: assertion `spam`, rating and confidence as judged,
//! `sample-size` the number of lists that answered, `sources` the number of distinct operators among them. `identity` is
//! given for addresses; a domain name alone does not say as which identity it was used. A target with nothing known has
//! no reputon: a rating of 0 would assert something.

use std::io::{self, Write};

use crate::dnsxl::{Observation, OperatorIndex};
use crate::targets::Target;

use super::record::{rounded, to_json};
use super::sink::{Judged, RunEnd, RunHead, Sink};

/// Who asserts it.
const RATER: &str = "reputon";

/// One reputon (RFC 7071 §6.2).
#[derive(Debug, serde::Serialize)]
struct Reputon<'a> {
    rater: &'static str,
    assertion: &'static str,
    rated: &'a str,
    rating: f64,
    confidence: f64,
    #[serde(rename = "sample-size")]
    sample_size: usize,
    /// Seconds since 1970: when the run started, so that the same answers make the same reputon.
    generated: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    identity: Option<&'static str>,
    sources: usize,
}

/// A reputon for each target.
#[derive(Debug)]
pub struct ReputonSink<W: Write> {
    out: W,
    generated: i64,
    any: bool,
}

impl<W: Write> ReputonSink<W> {
    /// A sink that writes to `out`.
    pub fn new(out: W) -> ReputonSink<W> {
        ReputonSink {
            out,
            generated: 0,
            any: false,
        }
    }
}

impl<W: Write> Sink for ReputonSink<W> {
    fn begin(&mut self, head: &RunHead) -> io::Result<()> {
        self.generated = head.started.as_second();
        self.out.write_all(b"{\"application\":\"email-id\",\"reputons\":[")
    }

    fn target(&mut self, judged: &Judged<'_>) -> io::Result<()> {
        let (lists, operators) = answered(judged);
        if lists == 0 {
            return Ok(());
        }
        let reputon = Reputon {
            rater: RATER,
            assertion: "spam",
            rated: &judged.dossier.target.to_string(),
            rating: rounded(judged.judgement.rating),
            confidence: rounded(judged.judgement.confidence),
            sample_size: lists,
            generated: self.generated,
            identity: match judged.dossier.target {
                Target::Ip4(_) => Some("ipv4"),
                Target::Ip6(_) => Some("ipv6"),
                Target::Domain(_) => None,
            },
            sources: operators,
        };
        let separator = if std::mem::replace(&mut self.any, true) {
            ",\n"
        } else {
            "\n"
        };
        write!(self.out, "{separator}{}", to_json(&reputon))
    }

    fn finish(&mut self, _: &RunEnd<'_>) -> io::Result<()> {
        self.out.write_all(b"\n]}\n")?;
        self.out.flush()
    }
}

/// Lists that answered, and distinct operators among them.
fn answered(judged: &Judged<'_>) -> (usize, usize) {
    let known = judged.dossier.observations.iter();
    let known =
        known.filter(|observed| matches!(observed.observation, Observation::Listed(_) | Observation::NotListed));
    let mut operators: Vec<OperatorIndex> = known
        .map(|observed| judged.catalogue.list(observed.list).operator)
        .collect();
    let lists = operators.len();
    operators.sort_unstable();
    operators.dedup();
    (lists, operators.len())
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::super::sample::{dossiers, feed};
    use super::*;

    /// RFC 7071 §6 and RFC 7073, member by member.
    #[test]
    fn every_member_is_what_the_rfcs_define() {
        let mut out = Vec::new();
        feed(&mut ReputonSink::new(&mut out), &dossiers()).expect("to memory");
        let document: Value = serde_json::from_slice(&out).expect("JSON");
        let top: Vec<&String> = document.as_object().expect("an object").keys().collect();
        assert_eq!(top, ["application", "reputons"]);
        assert_eq!(document["application"], "email-id");
        let share = |value: &Value| value.as_f64().is_some_and(|share| (0.0..=1.0).contains(&share));
        for reputon in document["reputons"].as_array().expect("an array") {
            for required in ["rater", "assertion", "rated", "rating"] {
                assert!(reputon.get(required).is_some(), "{required}: {reputon}");
            }
            for (member, value) in reputon.as_object().expect("an object") {
                let good = match member.as_str() {
                    "rater" | "rated" => value.is_string(),
                    "assertion" => ["abusive", "fraud", "invalid-recipients", "malware", "spam"]
                        .contains(&value.as_str().unwrap_or("")),
                    "rating" | "confidence" | "normal-rating" => share(value),
                    "sample-size" | "generated" | "expires" | "sources" => value.is_u64(),
                    "identity" => ["ipv4", "ipv6"].contains(&value.as_str().unwrap_or("")),
                    _ => false,
                };
                assert!(good, "{member}: {value}");
            }
        }
    }
}
