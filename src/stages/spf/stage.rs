//! The `spf` stage: a domain's policy judged for its publisher, or asked about one client.

use std::net::IpAddr;

use serde::Serialize;

use super::eval::check_host;
use super::input::SpfInput;
use super::lint::{LintFinding, lint};
use super::outcome::{SpfResult, Verdict};
use crate::exchange::Resolver;
use crate::stages::finding::{Finding, Severity};
use crate::wire::Name;

/// The stage's name in records and findings.
pub const STAGE: &str = "spf";

/// What a domain publishes, for its publisher.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Policy {
    /// The domain.
    pub domain: String,
    /// Its record, escaped, if there is exactly one.
    pub record: Option<String>,
    /// Terms that cause lookups, included policies with them.
    pub lookups: u32,
    /// Lookups that find nothing, whoever sends.
    pub void_lookups: u32,
    /// Different IPv4 addresses that pass.
    pub ip4_addresses: u64,
    /// The same as a share of the IPv4 space, 0 to 1.
    pub ip4_share: f64,
    /// False if a bound ended the walk: then the numbers are lower bounds.
    pub complete: bool,
}

/// What a domain's policy says of a client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Authorisation {
    /// The client.
    pub ip: IpAddr,
    /// The answer.
    #[serde(flatten)]
    pub check: SpfResult,
}

/// Judges the policy of a domain. Findings about a place in the record name it.
pub async fn policy(resolver: &dyn Resolver, domain: &Name) -> (Policy, Vec<Finding>) {
    let report = lint(resolver, &domain.to_string()).await;
    let policy = Policy {
        domain: report.domain,
        record: report.record,
        lookups: report.lookups,
        void_lookups: report.void_lookups,
        ip4_addresses: report.ip4_addresses,
        ip4_share: report.ip4_share,
        complete: report.complete,
    };
    (policy, report.findings.into_iter().map(placed).collect())
}

fn placed(found: LintFinding) -> Finding {
    let mut finding = found.finding;
    if let Some(position) = found.position
        && !finding.text.contains("position")
    {
        finding.text = format!("{} (at position {position} of the record)", finding.text);
    }
    finding
}

/// Asks a domain's policy about a client that calls itself `helo` and sends in the domain's name.
pub async fn authorisation(
    resolver: &dyn Resolver,
    domain: &Name,
    ip: IpAddr,
    helo: &Name,
) -> (Authorisation, Vec<Finding>) {
    let input = SpfInput::new(ip, &helo.to_string(), &format!("postmaster@{domain}"));
    let check = check_host(resolver, &input).await;
    let findings = finding(&check, domain, ip).into_iter().collect();
    (Authorisation { ip, check }, findings)
}

fn finding(check: &SpfResult, domain: &Name, ip: IpAddr) -> Option<Finding> {
    let family = if ip.is_ipv4() { "ip4" } else { "ip6" };
    let add = format!("if mail as {domain} comes from {ip}, add {family}:{ip} to the SPF record of {domain}");
    let why = check.problem.as_ref().map_or("", |problem| problem.text.as_str());
    let mechanism = check.mechanism.as_deref().unwrap_or("the end of the record");
    Some(match check.result {
        Verdict::Pass => return None,
        Verdict::None => Finding::info(STAGE, "spf_missing", format!("{domain} has no SPF record")).mend(format!(
            "publish a TXT record such as \"v=spf1 {family}:{ip} -all\" if mail as {domain} comes from here"
        )),
        Verdict::Fail => Finding::warning(
            STAGE,
            "spf_not_authorised",
            format!("{domain} forbids {ip} to send in its name (\"fail\" by {mechanism})"),
        )
        .mend(add),
        Verdict::Softfail | Verdict::Neutral => Finding::info(
            STAGE,
            "spf_not_authorised",
            format!("{domain} does not authorise {ip} (\"{}\" by {mechanism})", check.result),
        )
        .mend(add),
        Verdict::Temperror => Finding::info(
            STAGE,
            "spf_unknown",
            format!("whether {domain} authorises {ip} is not known: {why}"),
        )
        .mend("try again later"),
        Verdict::Permerror => Finding::new(
            STAGE,
            Severity::Warning,
            "spf_permerror",
            format!("the SPF policy of {domain} cannot be evaluated: {why}"),
        )
        .mend(format!("correct the record of {domain}; `reputon spf` shows the place")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stages::testing::{World, codes, ip, name};
    use crate::wire::Rtype;

    async fn ask(world: &World) -> (Verdict, Vec<String>) {
        let domain = name("example.org");
        let (found, findings) = authorisation(world, &domain, ip("192.0.2.7"), &name("mail.example.org")).await;
        let codes = codes(&findings).iter().map(|&code| code.to_owned()).collect();
        (found.check.result, codes)
    }

    #[tokio::test]
    async fn a_client_is_authorised_or_a_finding_says_why_not() {
        let world = |text: &str| World::new().txt("example.org", text);
        assert_eq!(
            ask(&world("v=spf1 ip4:192.0.2.0/24 -all")).await,
            (Verdict::Pass, vec![])
        );
        let wanted = |code: &str| vec![code.to_owned()];
        assert_eq!(
            ask(&world("v=spf1 -all")).await,
            (Verdict::Fail, wanted("spf_not_authorised"))
        );
        assert_eq!(
            ask(&world("v=spf1 -al")).await,
            (Verdict::Permerror, wanted("spf_permerror"))
        );
        assert_eq!(ask(&World::new()).await, (Verdict::None, wanted("spf_missing")));
        let silent = World::new().silent("example.org", Rtype::TXT);
        assert_eq!(ask(&silent).await, (Verdict::Temperror, wanted("spf_unknown")));
    }

    #[tokio::test]
    async fn a_mistake_in_a_record_has_its_place() {
        let world = World::new().txt("example.org", "v=spf1 ip4:192.0.2.0/33 -all");
        let (policy, findings) = policy(&world, &name("example.org")).await;
        assert!(policy.record.is_some());
        assert!(
            findings.iter().any(|finding| finding.text.contains("position 20")),
            "{findings:?}"
        );
    }
}
