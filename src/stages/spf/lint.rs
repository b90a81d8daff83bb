//! What is wrong with a published policy, in words that its publisher can act on (RFC 7208 §10, and what mailbox providers
//! make of it).
//!
//! Facts come from [`walk`](super::walk); here they are judged. Findings about the domain's own record come with the
//! octet that they are about; those about an included record name the domain, since others must mend it.

use crate::exchange::{Lookup, Resolver};
use crate::stages::escape::{escape, quote};
use crate::stages::finding::{Finding, Severity};
use crate::wire::Rtype;

use super::eval::{MX_HOSTS_MAX, SHOWN_CHARS_MAX};
use super::input::policy_name;
use super::limits::{LOOKUPS_MAX, VOIDS_MAX};
use super::ranges::SPACE;
use super::record::{Mechanism, Qualifier, SpfRecord, SyntaxError};
use super::stage::STAGE;
use super::walk::{Facts, Visit, Visited, walk};

/// IPv4 addresses from which a policy counts as wide: a /10, a thousandth of the space, more than the largest mail
/// providers publish. Half the space is an error.
const WIDE_MIN: u64 = 1 << 22;

/// IPv6 prefixes shorter than this are wide: a /32 is what a whole provider gets.
const WIDE_IP6_PREFIX: u8 = 32;

/// Octets of a record that fit a plain DNS answer with its name (RFC 7208 §3.4).
const RECORD_OCTETS_ADVISED: usize = 450;

/// Findings of one report: a hostile record could make thousands.
const FINDINGS_MAX: usize = 40;

/// The obsolete record type SPF (RFC 7208 §3.1).
const TYPE_SPF: Rtype = Rtype(99);

/// What the lint says of a domain.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct SpfReport {
    /// The domain, escaped.
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
    /// What is wrong, in the order of the walk.
    pub findings: Vec<LintFinding>,
}

/// A finding with its place.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct LintFinding {
    /// What was found.
    #[serde(flatten)]
    pub finding: Finding,
    /// The octet of the domain's own record, from 0, if it is about one.
    pub position: Option<usize>,
}

/// Judges the policy of `domain`. Never fails: what goes wrong is a finding.
pub async fn lint(resolver: &dyn Resolver, domain: &str) -> SpfReport {
    let facts = walk(resolver, domain).await;
    let mut lint = Lint {
        findings: Vec::new(),
        own: domain,
    };
    for visit in &facts.visits {
        lint.visit(visit);
    }
    lint.limits(&facts);
    let addresses = facts.ip4.count();
    lint.width(addresses);
    if let Some(name) = policy_name(domain)
        && let Lookup::Found(answer) = resolver.lookup(name, TYPE_SPF).await
        && !answer.records.is_empty()
    {
        lint.add(
            Severity::Info,
            "spf_obsolete_type",
            "there is a record of the obsolete type SPF (99)",
            "remove it: only TXT records are read",
        );
    }
    lint.findings.truncate(FINDINGS_MAX);
    SpfReport {
        domain: quote(domain.as_bytes()),
        record: facts.visits.first().and_then(shown_record),
        lookups: facts.lookups,
        void_lookups: u32::try_from(facts.voids.len()).unwrap_or(u32::MAX),
        ip4_addresses: addresses,
        ip4_share: addresses as f64 / SPACE as f64,
        complete: facts.complete,
        findings: lint.findings,
    }
}

fn shown_record(visit: &Visit) -> Option<String> {
    match &visit.found {
        Visited::Record(record) => Some(escape(record.text.as_bytes(), SHOWN_CHARS_MAX)),
        Visited::Bad(octets, _) => Some(escape(octets, SHOWN_CHARS_MAX)),
        _ => None,
    }
}

struct Lint<'a> {
    findings: Vec<LintFinding>,
    /// The domain that is judged.
    own: &'a str,
}

impl Lint<'_> {
    fn add(&mut self, severity: Severity, code: &str, text: impl Into<String>, mend: impl Into<String>) {
        let finding = Finding::new(STAGE, severity, code, text).mend(mend);
        self.findings.push(LintFinding {
            finding,
            position: None,
        });
    }

    /// Gives the last finding its place in the domain's own record.
    fn at(&mut self, domain: &str, position: usize) {
        if domain == self.own
            && let Some(last) = self.findings.last_mut()
        {
            last.position = Some(position);
        }
    }

    fn visit(&mut self, visit: &Visit) {
        let domain = quote(visit.domain.as_bytes());
        match &visit.found {
            Visited::Record(record) if visit.from.is_none() => self.own_record(record, &domain),
            Visited::Record(record) => self.other_record(record, &domain, visit),
            Visited::Bad(_, error) => self.syntax(error, visit),
            Visited::Several(count) => {
                let text = format!("{domain} has {count} SPF records: receivers take none of them");
                self.add(Severity::Error, "spf_multiple", text, "merge them into one TXT record");
            }
            Visited::Failed(why) => {
                let text = format!("the policy of {domain} could not be looked up: {why}");
                let mend = "check the name servers of that domain; receivers answer \"temperror\" and may defer mail";
                self.add(Severity::Warning, "spf_dns_error", text, mend);
            }
            Visited::Missing => self.missing(&domain, visit),
            Visited::Loop => {
                let text = format!("the policy of {domain} leads to itself");
                let mend = "remove the include or redirect that closes the circle";
                self.add(Severity::Error, "spf_loop", text, mend);
            }
        }
        if let (Some((from, position)), false) = (&visit.from, matches!(visit.found, Visited::Record(_))) {
            self.at(from, *position);
        }
    }

    fn missing(&mut self, domain: &str, visit: &Visit) {
        if visit.from.is_none() {
            let mend = "publish a TXT record such as \"v=spf1 mx -all\" that names your mail servers, or \"v=spf1 -all\" \
                        if the domain sends no mail";
            self.add(
                Severity::Error,
                "spf_missing",
                format!("{domain} has no SPF record"),
                mend,
            );
            return;
        }
        let text = format!("{domain} is included or redirected to, but has no SPF record: the result is \"permerror\"");
        let mend = "remove the term, or correct its domain";
        self.add(Severity::Error, "spf_include_missing", text, mend);
    }

    fn syntax(&mut self, error: &SyntaxError, visit: &Visit) {
        let domain = quote(visit.domain.as_bytes());
        let text = format!("the record of {domain} is malformed: {error}");
        let mend = match visit.from {
            None => mend_syntax(error),
            Some(_) => format!("tell the owner of {domain}, or remove the term that leads there"),
        };
        self.add(Severity::Error, "spf_syntax", text, mend);
        if visit.from.is_none() {
            self.at(self.own, error.position);
        }
    }

    /// What only the publisher of the domain's own record can mend.
    fn own_record(&mut self, record: &SpfRecord, domain: &str) {
        self.all(record);
        self.unreachable(record);
        self.terms(record, domain);
        self.unknown(record);
        if record.text.len() > RECORD_OCTETS_ADVISED {
            let text = format!(
                "the record has {} octets: its answer may not fit a plain DNS packet",
                record.text.len()
            );
            let mend = format!("keep it under {RECORD_OCTETS_ADVISED} octets; move networks into an included record");
            self.add(Severity::Info, "spf_long", text, mend);
        }
    }

    /// What matters of an included record.
    fn other_record(&mut self, record: &SpfRecord, domain: &str, visit: &Visit) {
        let all = record.all().map(|all| record.directives[all].qualifier);
        if all == Some(Qualifier::Pass) && visit.authorises {
            let text = format!("{domain} is included and passes everybody (\"+all\"), so your policy does too");
            let mend = format!("remove the include of {domain}");
            self.add(Severity::Error, "spf_plus_all", text, mend);
            if let Some((from, position)) = &visit.from {
                self.at(from, *position);
            }
        }
        self.ptr(record, domain);
    }

    fn all(&mut self, record: &SpfRecord) {
        let Some(all) = record.all().map(|all| &record.directives[all]) else {
            if record.redirect.is_none() {
                let text = "the record has no \"all\": senders that it does not name are neutral";
                self.add(
                    Severity::Warning,
                    "spf_no_all",
                    text,
                    "end it with \"~all\" or \"-all\"",
                );
            }
            return;
        };
        match all.qualifier {
            Qualifier::Pass => self.add(
                Severity::Error,
                "spf_plus_all",
                "\"+all\" lets everybody send mail for the domain",
                "name your mail servers and end the record with \"-all\" or \"~all\"",
            ),
            Qualifier::Neutral => self.add(
                Severity::Warning,
                "spf_neutral_all",
                "\"?all\" says nothing of senders that the record does not name",
                "end the record with \"~all\" or \"-all\"",
            ),
            Qualifier::Fail | Qualifier::Softfail => return,
        }
        self.at(self.own, all.span.start);
    }

    fn unreachable(&mut self, record: &SpfRecord) {
        let Some(all) = record.all() else { return };
        if let Some(dead) = record.directives.get(all + 1) {
            let count = record.directives.len() - all - 1;
            let text = format!(
                "{count} term(s) stand after \"all\" and are never reached, the first is \"{}\"",
                quote(record.text_of(&dead.span).as_bytes())
            );
            self.add(
                Severity::Warning,
                "spf_unreachable_terms",
                text,
                "put \"all\" last, or remove them",
            );
            self.at(self.own, dead.span.start);
        }
        if let Some(redirect) = &record.redirect {
            let text = "\"redirect\" is ignored where there is an \"all\"";
            self.add(
                Severity::Warning,
                "spf_unreachable_terms",
                text,
                "remove one of the two",
            );
            self.at(self.own, redirect.span.start);
        }
    }

    fn terms(&mut self, record: &SpfRecord, domain: &str) {
        self.ptr(record, domain);
        for (index, directive) in record.directives.iter().enumerate() {
            let before = &record.directives[..index];
            if before.iter().any(|earlier| earlier.mechanism == directive.mechanism) {
                let shown = quote(record.text_of(&directive.span).as_bytes());
                let text = format!("\"{shown}\" repeats an earlier term");
                self.add(Severity::Info, "spf_repeated_term", text, "remove it");
                self.at(self.own, directive.span.start);
            }
            if let (Mechanism::Ip6(_, prefix), Qualifier::Pass) = (&directive.mechanism, directive.qualifier)
                && *prefix < WIDE_IP6_PREFIX
            {
                let text = format!("an IPv6 /{prefix} is authorised: more than a whole provider's space");
                let mend = "name the networks that do send mail";
                self.add(Severity::Warning, "spf_wide", text, mend);
                self.at(self.own, directive.span.start);
            }
        }
    }

    /// A mechanism with an equals sign is a modifier that means nothing, and nobody complains.
    fn unknown(&mut self, record: &SpfRecord) {
        for span in &record.unknown {
            let term = record.text_of(span);
            let name = term.split('=').next().unwrap_or_default().to_ascii_lowercase();
            let mend = match name.as_str() {
                "v" => "keep one \"v=spf1\", at the beginning".to_owned(),
                "all" => "write \"-all\" or \"~all\"".to_owned(),
                "a" | "mx" | "ip4" | "ip6" | "include" | "exists" | "ptr" => {
                    format!("write \"{name}:\" with a colon in place of the equals sign")
                }
                _ => continue, // some extension's (§6)
            };
            let text = format!(
                "\"{}\" is a modifier that means nothing, and is ignored",
                quote(term.as_bytes())
            );
            self.add(Severity::Error, "spf_ignored_term", text, mend);
            self.at(self.own, span.start);
        }
    }

    /// `ptr` and `%{p}` (RFC 7208 §5.5, §7.3: not to be used).
    fn ptr(&mut self, record: &SpfRecord, domain: &str) {
        let uses_ptr = |mechanism: &Mechanism| {
            matches!(mechanism, Mechanism::Ptr(_)) || mechanism.domain().is_some_and(|domain| domain.uses_p())
        };
        if let Some(found) = record
            .directives
            .iter()
            .find(|directive| uses_ptr(&directive.mechanism))
        {
            let shown = quote(record.text_of(&found.span).as_bytes());
            let text =
                format!("\"{shown}\" of {domain} depends on reverse names: slow, unreliable, and not to be published");
            let mend = "name the servers by \"a\", \"mx\", \"ip4\" or \"ip6\" instead";
            self.add(Severity::Warning, "spf_ptr", text, mend);
            let (domain, position) = (domain.to_owned(), found.span.start);
            self.at(&domain, position);
        }
    }

    fn limits(&mut self, facts: &Facts) {
        if facts.lookups > u32::from(LOOKUPS_MAX) {
            let least = if facts.complete { "" } else { "at least " };
            let text = format!(
                "the policy needs {least}{} lookups, {LOOKUPS_MAX} are allowed: the result is \"permerror\" for senders \
                 that an early term does not match",
                facts.lookups
            );
            let mend =
                "remove includes of services that no longer send for you, and name networks by \"ip4\" and \"ip6\"";
            self.add(Severity::Error, "spf_too_many_lookups", text, mend);
        }
        if let Some(first) = facts.voids.first() {
            let severity = match facts.voids.len() > usize::from(VOIDS_MAX) {
                true => Severity::Error,
                false => Severity::Warning,
            };
            let text = format!(
                "{} lookup(s) find nothing, {VOIDS_MAX} are allowed; the first is of {}",
                facts.voids.len(),
                first.name
            );
            let mend = "remove the terms whose names no longer exist";
            self.add(severity, "spf_void_lookups", text, mend);
            self.at(&first.domain, first.position);
        }
        for (domain, position, hosts) in &facts.crowded {
            let text = format!("an \"mx\" has {hosts} hosts, {MX_HOSTS_MAX} are allowed: the result is \"permerror\"");
            let mend = "name the networks of the mail servers by \"ip4\" and \"ip6\" instead";
            self.add(Severity::Error, "spf_too_many_mx", text, mend);
            self.at(domain, *position);
        }
    }

    fn width(&mut self, addresses: u64) {
        let everybody = self.findings.iter().any(|found| found.finding.code == "spf_plus_all");
        if addresses < WIDE_MIN || everybody {
            return;
        }
        let severity = match addresses >= SPACE / 2 {
            true => Severity::Error,
            false => Severity::Warning,
        };
        let share = addresses as f64 / SPACE as f64 * 100.0;
        let text = format!("the policy authorises {addresses} IPv4 addresses, {share:.2} % of all there are");
        let mend = "name only the networks that send mail for you; look for prefix lengths that are too short";
        self.add(severity, "spf_wide", text, mend);
    }
}

/// What to do about a malformed term, with the usual slips by name.
fn mend_syntax(error: &SyntaxError) -> String {
    let bare = error.term.trim_start_matches(['+', '-', '~', '?']).to_ascii_lowercase();
    let name = bare.split([':', '/', '=']).next().unwrap_or_default();
    let hint = match name {
        "ip" | "ipv4" | "ip4v" => "write \"ip4:\"",
        "ipv6" => "write \"ip6:\"",
        "prt" => "write \"ptr\", or better leave it out",
        "redirect" if bare.contains(':') => "write \"redirect=\" with an equals sign",
        "a" | "mx" if error.reason.starts_with("an address") => "write \"ip4:\" or \"ip6:\" for an address",
        _ if bare.ends_with([',', ';']) => "separate terms with spaces alone",
        _ if name.parse::<std::net::IpAddr>().is_ok() => "write \"ip4:\" or \"ip6:\" before an address",
        _ => "correct or remove the term",
    };
    format!("{hint}; until then receivers answer \"permerror\" and the record protects nothing")
}
