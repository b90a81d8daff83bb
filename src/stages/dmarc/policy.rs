//! The `dmarc` stage: which policy applies to mail from a domain, and what is wrong with it (RFC 9989).
//!
//! The tree walk finds the records; the policy comes from the domain's own record, else from its organisational
//! domain's, else from its public suffix domain's (§4.10.1).

use serde::Serialize;

use super::record::{Alignment, Complaint, ComplaintKind, Policy, Record, Usable};
use super::reports::{DESTINATIONS_MAX, destinations};
use super::walk::{QUERIES_MAX, Step, Walk, record_name, walk};
use crate::exchange::Resolver;
use crate::stages::ask::{Known, known};
use crate::stages::escape::quote;
use crate::stages::finding::{Finding, Severity};
use crate::wire::{Name, Rtype};

/// The stage's name in records and findings.
pub const STAGE: &str = "dmarc";

/// Questions about one domain at most: the walk, whether the domain exists, and the consent of those who get reports.
pub const QUESTIONS_MAX: usize = QUERIES_MAX + 1 + DESTINATIONS_MAX;

/// What applies to mail from a domain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Dmarc {
    /// The domain.
    pub domain: String,
    /// The organisational domain by the tree walk; none if not known.
    pub organizational_domain: Option<String>,
    /// Where the policy comes from.
    pub source: Source,
    /// The name that the record is at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub found_at: Option<String>,
    /// The record, escaped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub record: Option<String>,
    /// The policy that applies to the domain; none if receivers apply none at all.
    pub policy: Option<Policy>,
    /// The parts of the record.
    #[serde(flatten)]
    pub parts: Option<Parts>,
    /// Names asked on the walk.
    pub queries: usize,
    /// Why it is not known, if so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unknown: Option<String>,
}

/// Whose record it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// The domain's own.
    Own,
    /// The organisational domain's.
    Organizational,
    /// The public suffix domain's.
    PublicSuffix,
    /// Nobody's: there is none.
    None,
    /// It is not known.
    Unknown,
}

/// The parts of a record that reports show.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Parts {
    p: Option<Policy>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sp: Option<Policy>,
    #[serde(skip_serializing_if = "Option::is_none")]
    np: Option<Policy>,
    adkim: Alignment,
    aspf: Alignment,
    testing: bool,
    rua: Vec<String>,
    ruf: Vec<String>,
    usable: Usable,
}

impl Parts {
    fn of(record: &Record) -> Parts {
        Parts {
            p: record.p,
            sp: record.sp,
            np: record.np,
            adkim: record.adkim,
            aspf: record.aspf,
            testing: record.testing,
            rua: record.rua.clone(),
            ruf: record.ruf.clone(),
            usable: record.usable,
        }
    }
}

/// Asks which policy applies to mail from `domain`.
pub async fn dmarc(resolver: &dyn Resolver, domain: &Name) -> (Dmarc, Vec<Finding>) {
    let walk = walk(resolver, domain).await;
    let organizational = walk.organizational_domain();
    let mut findings: Vec<Finding> = walk.steps.iter().flat_map(about_step).collect();
    let mut dmarc = Dmarc {
        domain: domain.to_string(),
        organizational_domain: organizational.as_ref().map(Name::to_string),
        source: Source::None,
        found_at: None,
        record: None,
        policy: None,
        parts: None,
        queries: walk.steps.len(),
        unknown: None,
    };
    match governing(&walk, organizational.as_ref()) {
        Some((source, step)) => {
            let found = apply(&mut dmarc, resolver, domain, source, step).await;
            findings.extend(found);
        }
        None => findings.push(no_record(&mut dmarc, &walk, domain)),
    }
    (dmarc, findings)
}

/// The step whose record governs the domain.
fn governing<'a>(walk: &'a Walk, organizational: Option<&Name>) -> Option<(Source, &'a Step)> {
    let with_record = |step: &&Step| step.record.is_some();
    let own = walk.steps.first().filter(with_record).map(|step| (Source::Own, step));
    own.or_else(|| {
        let step = walk.at(organizational?).filter(with_record)?;
        Some((Source::Organizational, step))
    })
    .or_else(|| {
        organizational?;
        Some((Source::PublicSuffix, walk.public_suffix()?))
    })
}

async fn apply(dmarc: &mut Dmarc, resolver: &dyn Resolver, domain: &Name, source: Source, step: &Step) -> Vec<Finding> {
    let Some(found) = &step.record else { return Vec::new() };
    let (text, record) = found.as_ref();
    dmarc.source = source;
    dmarc.found_at = Some(at(&step.domain));
    dmarc.record = Some(quote(text));
    dmarc.parts = Some(Parts::of(record));
    dmarc.policy = match source {
        Source::Own => record.own(),
        _ => record.inherited(exists(resolver, domain, record).await),
    };
    let mut findings: Vec<Finding> = record
        .complaints
        .iter()
        .map(|complaint| about(complaint, step, text))
        .collect();
    findings.extend(about_policy(dmarc, step, record));
    findings.extend(destinations(resolver, &step.domain, record).await);
    findings
}

/// Whether a domain exists (RFC 8020), where the record makes a difference of it; assumed if not known.
async fn exists(resolver: &dyn Resolver, domain: &Name, record: &Record) -> bool {
    record.np.is_none()
        || !matches!(
            known(resolver.lookup(domain.clone(), Rtype::A).await),
            Known::Nothing { nxdomain: true }
        )
}

fn at(domain: &Name) -> String {
    record_name(domain).map_or_else(|_| domain.to_string(), |name| name.to_string())
}

/// What is odd about a name of the walk, whether its record counts or not.
fn about_step(step: &Step) -> Vec<Finding> {
    let name = at(&step.domain);
    let mut findings = Vec::new();
    if step.malformed {
        let text = format!("the TXT records at {name} could not all be read");
        findings.push(Finding::warning(STAGE, "dmarc_unreadable", text).mend("have them written anew"));
    }
    if step.records > 1 {
        let text = format!(
            "{name} has {} DMARC records; receivers then use none of them",
            step.records
        );
        findings.push(Finding::error(STAGE, "dmarc_several", text).mend("leave one"));
    }
    if let Some(almost) = step.almost.first() {
        let text = format!(
            "the text at {name} is meant as a DMARC record and is none: \"{}\"",
            quote(almost)
        );
        let mend = "let it begin with \"v=DMARC1;\", in this case and without anything before it";
        findings.push(Finding::error(STAGE, "dmarc_malformed", text).mend(mend));
    }
    findings
}

fn no_record(dmarc: &mut Dmarc, walk: &Walk, domain: &Name) -> Finding {
    let failed = walk.unknown().and_then(|step| Some((step, step.unknown.clone()?)));
    let unreadable = walk.steps.iter().find(|step| step.malformed);
    if let Some((step, why)) = failed.or_else(|| Some((unreadable?, "TXT records could not be read".to_owned()))) {
        let text = format!(
            "the DMARC policy of {domain} is not known: {why} ({})",
            at(&step.domain)
        );
        dmarc.source = Source::Unknown;
        dmarc.unknown = Some(why);
        return Finding::warning(STAGE, "dmarc_unknown", text).mend("try again later");
    }
    let text = format!("no DMARC policy applies to {domain}");
    let mend = format!(
        "publish a TXT record at {}: \"v=DMARC1; p=none; rua=mailto:…\", and a stricter policy later",
        at(domain)
    );
    Finding::warning(STAGE, "dmarc_missing", text).mend(mend)
}

fn about(complaint: &Complaint, step: &Step, record: &[u8]) -> Finding {
    let (severity, code, mend) = match complaint.kind {
        ComplaintKind::Malformed => (
            Severity::Warning,
            "dmarc_bad_syntax",
            "write the record as tags with semicolons between them",
        ),
        ComplaintKind::BadPolicy => (
            Severity::Error,
            "dmarc_bad_policy",
            "set it to none, quarantine or reject",
        ),
        ComplaintKind::NoPolicy => (
            Severity::Warning,
            "dmarc_no_policy",
            "say p=none, p=quarantine or p=reject",
        ),
        ComplaintKind::BadValue => (
            Severity::Warning,
            "dmarc_bad_value",
            "correct the value or leave the tag out",
        ),
        ComplaintKind::BadUri => (
            Severity::Warning,
            "dmarc_bad_uri",
            "write report addresses as mailto:name@domain",
        ),
        ComplaintKind::Removed => (
            Severity::Info,
            "dmarc_removed_tag",
            "leave the tag out; t=y says that a policy is on trial",
        ),
        ComplaintKind::UnknownTag => (Severity::Info, "dmarc_unknown_tag", "leave the tag out"),
    };
    let text = format!(
        "{}: {}; the record is \"{}\"",
        at(&step.domain),
        complaint.text,
        quote(record)
    );
    Finding::new(STAGE, severity, code, text).mend(mend)
}

fn about_policy(dmarc: &Dmarc, step: &Step, record: &Record) -> Vec<Finding> {
    let (name, domain) = (at(&step.domain), &dmarc.domain);
    let mut findings = Vec::new();
    match dmarc.policy {
        None => {
            let text = format!("receivers apply no DMARC policy to {domain}: the one at {name} is invalid");
            findings.push(Finding::error(STAGE, "dmarc_unusable", text).mend("correct p=, sp= and np="));
        }
        Some(Policy::None) if !record.testing => {
            let text = format!("DMARC asks nothing of receivers for mail in the name of {domain} (policy none)");
            let mend = "once the reports show that all good mail passes, use p=quarantine, then p=reject";
            findings.push(Finding::info(STAGE, "dmarc_policy_none", text).mend(mend));
        }
        Some(_) => {}
    }
    if record.testing {
        let text = format!("the DMARC policy at {name} is on trial (t=y): receivers apply one step less");
        findings.push(Finding::info(STAGE, "dmarc_testing", text).mend("remove t=y when the reports are good"));
    }
    if let (Some(p), Some(sp)) = (record.p, record.sp)
        && sp < p
    {
        let text = format!(
            "subdomains are less protected (sp={}) than the domain itself (p={})",
            sp.as_str(),
            p.as_str()
        );
        findings.push(Finding::warning(STAGE, "dmarc_weak_subdomains", text).mend("raise sp= or leave it out"));
    }
    if record.rua.is_empty() {
        let text = format!("the DMARC record at {name} asks for no aggregate reports");
        findings.push(
            Finding::info(STAGE, "dmarc_no_reports", text).mend("add rua=mailto:… to learn who sends in this name"),
        );
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stages::testing::{World, codes, name};

    async fn run(world: &World, domain: &str) -> (Dmarc, Vec<Finding>) {
        dmarc(world, &name(domain)).await
    }

    #[tokio::test]
    async fn the_own_record_comes_first_then_the_organisations_then_the_suffixs() {
        let world = World::new()
            .txt(
                "_dmarc.example.com",
                "v=DMARC1; p=reject; sp=quarantine; np=reject; rua=mailto:a@example.com",
            )
            .txt("_dmarc.own.example.com", "v=DMARC1; p=none; rua=mailto:a@example.com")
            .a("sub.example.com", "192.0.2.1");
        let (found, _) = run(&world, "own.example.com").await;
        assert_eq!((found.source, found.policy), (Source::Own, Some(Policy::None)));
        assert_eq!(found.organizational_domain.as_deref(), Some("example.com"));
        let (found, findings) = run(&world, "sub.example.com").await;
        assert_eq!(
            (found.source, found.policy),
            (Source::Organizational, Some(Policy::Quarantine))
        );
        assert_eq!(codes(&findings), ["dmarc_weak_subdomains"]);
        let (found, _) = run(&world, "gone.example.com").await;
        assert_eq!(found.policy, Some(Policy::Reject), "np= for a name that does not exist");
        let world = World::new().txt("_dmarc.gov", "v=DMARC1; psd=y; p=reject; rua=mailto:a@x.gov");
        let (found, _) = run(&world, "example.gov").await;
        assert_eq!(
            (found.source, found.policy),
            (Source::PublicSuffix, Some(Policy::Reject))
        );
    }

    #[tokio::test]
    async fn absence_failure_and_mistakes_stay_apart() {
        let (found, findings) = run(&World::new(), "example.com").await;
        assert_eq!((found.source, codes(&findings)), (Source::None, vec!["dmarc_missing"]));
        let world = World::new().fail("_dmarc.example.com", Rtype::TXT);
        let (found, findings) = run(&world, "example.com").await;
        assert_eq!(
            (found.source, codes(&findings)),
            (Source::Unknown, vec!["dmarc_unknown"])
        );
        let world = World::new().txt("_dmarc.example.com", "v=dmarc1; p=reject\u{7}");
        let (found, findings) = run(&world, "example.com").await;
        assert_eq!(
            (found.source, codes(&findings)),
            (Source::None, vec!["dmarc_malformed", "dmarc_missing"])
        );
        assert!(findings[0].text.contains("\\x07"));
        let world = World::new()
            .txt("_dmarc.example.com", "v=DMARC1; p=none")
            .txt("_dmarc.example.com", "v=DMARC1; p=reject");
        let (found, findings) = run(&world, "example.com").await;
        assert_eq!(
            (found.policy, codes(&findings)),
            (None, vec!["dmarc_several", "dmarc_missing"])
        );
        let world = World::new().malformed("_dmarc.example.com", Rtype::TXT);
        let (found, findings) = run(&world, "example.com").await;
        assert_eq!(
            (found.source, codes(&findings)[0]),
            (Source::Unknown, "dmarc_unreadable")
        );
    }

    #[tokio::test]
    async fn a_failure_above_does_not_hide_the_own_record() {
        let world = World::new()
            .txt(
                "_dmarc.mail.example.com",
                "v=DMARC1; p=reject; rua=mailto:a@example.com",
            )
            .fail("_dmarc.example.com", Rtype::TXT);
        let (found, _) = run(&world, "mail.example.com").await;
        assert_eq!((found.source, found.policy), (Source::Own, Some(Policy::Reject)));
        assert_eq!(found.organizational_domain, None);
    }

    #[tokio::test]
    async fn faults_of_the_record_are_told_with_their_place() {
        for (record, expected) in [
            ("v=DMARC1; p=none", vec!["dmarc_policy_none", "dmarc_no_reports"]),
            (
                "v=DMARC1; p=reject; t=y; rua=mailto:a@example.com",
                vec!["dmarc_testing"],
            ),
            (
                "v=DMARC1; p=reject; pct=20; rua=mailto:a@example.com",
                vec!["dmarc_removed_tag"],
            ),
            (
                "v=DMARC1; p=rejected",
                vec!["dmarc_bad_policy", "dmarc_unusable", "dmarc_no_reports"],
            ),
            (
                "v=DMARC1; p=reject; rua=a@example.com",
                vec!["dmarc_bad_uri", "dmarc_no_reports"],
            ),
        ] {
            let (_, findings) = run(&World::new().txt("_dmarc.example.com", record), "example.com").await;
            assert_eq!(codes(&findings), expected, "{record}");
        }
        let (_, findings) = run(
            &World::new().txt("_dmarc.example.com", "v=DMARC1; p=rejected"),
            "example.com",
        )
        .await;
        assert!(findings[0].text.contains("octet 10"), "{}", findings[0].text);
    }

    #[tokio::test]
    async fn the_record_of_the_stage_is_flat_json() {
        let world = World::new().txt("_dmarc.example.com", "v=DMARC1; p=reject; rua=mailto:a@example.com");
        let json = serde_json::to_value(run(&world, "example.com").await.0).expect("plain values");
        assert_eq!(
            (json["policy"].as_str(), json["p"].as_str(), json["source"].as_str()),
            (Some("reject"), Some("reject"), Some("own"))
        );
    }
}
