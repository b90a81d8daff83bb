//! `reputon check HOST|IP|DOMAIN`: one mail server, like a doctor's letter. First the subject is surveyed (its addresses, its
//! name, the domain whose mail it sends), then all of that is scanned, and the dossiers make one letter.
//!
//! A name with MX records is a domain: its exchangers' addresses are looked at. One without is a host: its own addresses,
//! and the domain that it belongs to; one without addresses is a domain that may send and cannot receive. An address is looked at with the domain of its PTR name. Exit status as scan.

use std::io::{self, IsTerminal, Write};
use std::net::IpAddr;

use anyhow::bail;
use reputon::clock::Span;
use reputon::dossier::{Dossier, NoJournal};
use reputon::exchange::Resolver;
use reputon::plan::Plan;
use reputon::report::{Judged, Letter, Mark, TargetRecord, to_json, visible};
use reputon::scan::{Memory, Order, Progress, RealNetwork, Receiver, Scan, ScanOptions, Work};
use reputon::stages::spf::{Authorisation, Verdict};
use reputon::stages::{self, Finding, Severity, Stage, Stages, mx, rdns, registrable, spf};
use reputon::targets::{Domain, ReadOptions, Target, TargetSet};
use reputon::verdict::{Judge, Tally, Weights};
use reputon::wire::Name;
use serde_json::{Value, json};

use super::stage::{Inquirer, warn};
use crate::cli::args::CheckArgs;
use crate::cli::dispatch::FAILED;
use crate::cli::ground::{Lists, start_lab};
use crate::cli::keeping::ledger;
use crate::cli::options::TextChoice;
use crate::cli::progress::{Bars, Quiet};
use crate::cli::records::{is_usable, talk};
use crate::cli::stdout::stdout;
use crate::cli::values::not_one;
use crate::cli::{build, signals, terminal, zone_data};

/// Addresses of one mail server that are looked at: more are a pool, and a pool is scanned.
const ADDRESSES_MAX: usize = 4;

/// What the subject is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Address,
    Host,
    Domain,
}

/// What was found about the subject before anything is scanned.
struct Survey {
    kind: Kind,
    addresses: Vec<IpAddr>,
    more: usize,
    host: Option<Name>,
    domain: Option<Name>,
    authorised: Vec<(Authorisation, Vec<Finding>)>,
    findings: Vec<Finding>,
}

/// Checks.
pub(crate) fn run(args: &CheckArgs, quiet: bool) -> anyhow::Result<u8> {
    let subject: Target = match args.subject.parse() {
        Ok(subject) => subject,
        Err(error) => bail!(
            "\"{}\": {} (check takes one host, address or domain)",
            visible(&args.subject),
            not_one(&error)
        ),
    };
    let lists = Lists::read(&args.lists, &args.lab, quiet)?;
    let local = zone_data::load(&args.known.zone_data, (&lists.catalogue, &lists.selected), quiet)?;
    let none = TargetSet::read(&[], &mut io::empty(), ReadOptions::default())?;
    let lab = start_lab(&args.lab, &lists.plan(&none))?;
    let resolvers = match &lab {
        Some(lab) => vec![lab.addr()],
        None => build::resolvers(&args.path)?,
    };
    let stop = signals::watch()?;
    let inquirer = Inquirer {
        resolvers: resolvers.clone(),
        routes: build::routes(&args.path, lab.is_some())?,
        rate_qps: (args.pace.rate > 0 && lab.is_none()).then_some(f64::from(args.pace.rate)),
        timeout: args.ask.timeout.into(),
        retries: args.ask.retries,
        stop: &stop,
    };
    let work = |resolver: Box<dyn Resolver>, subject: Target| -> Work<Survey> {
        Box::pin(async move { survey(&*resolver, &subject).await })
    };
    let inquired = inquirer.run(false, vec![subject.clone()], work)?;
    warn(&inquired, quiet);
    let Some(survey) = inquired.results.into_iter().flatten().next() else {
        return Ok(inquired.stopped.and_then(signals::status).unwrap_or(FAILED));
    };

    let typed = targets(&subject, &survey);
    let targets = TargetSet::read(&typed, &mut io::empty(), ReadOptions::default())?;
    let plan = lists.plan(&targets).with_local(&local);
    let plan = if args.known.no_fold {
        plan.without_folding()
    } else {
        plan
    };
    let options = scan_options(args, &inquirer, lab.is_some());
    let mut collected = Collected {
        tally: Tally::new(),
        dossiers: Vec::new(),
    };
    let mut bars = Bars::new(&lists.catalogue);
    let progress: &mut (dyn Progress + Send) = match io::stderr().is_terminal() && !quiet {
        true => &mut bars,
        false => &mut Quiet,
    };
    let scan = Scan {
        plan: &plan,
        options: &options,
    };
    let mut network = RealNetwork::new(Span::from(args.ask.timeout).times(2));
    let mut ledger = ledger(&args.db, &args.lab, quiet);
    let memory = Memory {
        journal: &mut NoJournal,
        ledger: &mut *ledger,
    };
    let report = scan.run_with(&mut network, rand::random(), (&mut collected, progress), &stop, memory)?;

    write(args, (&subject, &survey), &plan, &collected.dossiers)?;
    if !quiet {
        talk(&lists.catalogue, &report);
    }
    let tallied = collected
        .tally
        .finish(&lists.catalogue, |list| is_usable(&report, list, args.pace.skip_health));
    let coverage = args.exit.min_coverage.0 / 100.0;
    let status = tallied.exit_status(args.exit.fail_on.tier(), coverage).code();
    Ok(report.stopped.and_then(signals::status).unwrap_or(status))
}

/// What is scanned: the addresses, the domain, and the host's own name.
fn targets(subject: &Target, survey: &Survey) -> Vec<String> {
    let mut typed: Vec<String> = survey.addresses.iter().map(ToString::to_string).collect();
    typed.extend(survey.domain.as_ref().map(ToString::to_string));
    if let Target::Domain(name) = subject
        && !typed.iter().any(|one| one == name.as_str())
    {
        typed.push(name.as_str().to_owned());
    }
    // Names that are no targets (underscores, single labels) cannot be on lists.
    typed.retain(|one| one.parse::<Target>().is_ok());
    typed
}

fn scan_options(args: &CheckArgs, inquirer: &Inquirer<'_>, lab: bool) -> ScanOptions {
    let stages = Stages::default();
    ScanOptions {
        resolvers: inquirer.resolvers.clone(),
        routes: inquirer.routes.clone(),
        direct: args.path.direct && !lab,
        rate_qps: inquirer.rate_qps,
        window_max: args.pace.window.map(u32::from),
        timeout: inquirer.timeout,
        retries: inquirer.retries,
        ignore_budgets: args.pace.ignore_budgets || lab,
        skip_health: args.pace.skip_health,
        seed: args.pace.seed.unwrap_or_else(rand::random),
        max_time: args.pace.max_time.map(Span::from),
        stages: if args.smtp { stages.with(Stage::Smtp) } else { stages },
        stage_options: stages::StageOptions {
            dkim_selectors: args.dkim_selector.clone(),
            ..stages::StageOptions::default()
        },
        ..ScanOptions::default()
    }
}

/// Finds out what belongs to the subject.
async fn survey(resolver: &dyn Resolver, subject: &Target) -> Survey {
    let mut survey = match (subject.address(), subject) {
        (Some(address), _) => {
            let (found, _) = rdns::rdns(resolver, address).await;
            Survey::new(
                Kind::Address,
                vec![address],
                found.name().cloned(),
                found.related_domain(),
            )
        }
        (None, Target::Domain(domain)) => survey_name(resolver, domain).await,
        (None, _) => Survey::new(Kind::Address, Vec::new(), None, None),
    };
    if let Some(domain) = survey.domain.clone() {
        let helo = survey.host.clone().unwrap_or_else(|| domain.clone());
        for &address in &survey.addresses {
            survey
                .authorised
                .push(spf::authorisation(resolver, &domain, address, &helo).await);
        }
    }
    survey
}

async fn survey_name(resolver: &dyn Resolver, domain: &Domain) -> Survey {
    let name = domain.to_name();
    let (found, findings) = mx::mx(resolver, &name, None).await;
    let addresses: Vec<IpAddr> = found.addresses().collect();
    match found.way {
        // A name with neither exchangers nor addresses may still send mail: it is a domain, with policies of its own.
        mx::Way::Explicit | mx::Way::Null | mx::Way::None => Survey::new(Kind::Domain, addresses, None, Some(name)),
        mx::Way::Implicit => {
            let parent = registrable(&name).unwrap_or_else(|| name.clone());
            Survey::new(Kind::Host, addresses, Some(name), Some(parent))
        }
        mx::Way::Unknown => Survey {
            findings: findings
                .into_iter()
                .filter(|finding| finding.severity > Severity::Info)
                .collect(),
            ..Survey::new(Kind::Host, addresses, Some(name.clone()), registrable(&name))
        },
    }
}

impl Survey {
    fn new(kind: Kind, mut addresses: Vec<IpAddr>, host: Option<Name>, domain: Option<Name>) -> Survey {
        let mut seen = Vec::new();
        addresses.retain(|address| {
            let fresh = !seen.contains(address);
            seen.push(*address);
            fresh
        });
        let more = addresses.len().saturating_sub(ADDRESSES_MAX);
        addresses.truncate(ADDRESSES_MAX);
        Survey {
            kind,
            addresses,
            more,
            host,
            domain,
            authorised: Vec::new(),
            findings: Vec::new(),
        }
    }

    /// What the letter is about, in words.
    fn about(&self, subject: &Target) -> String {
        let mut parts = vec![subject.to_string()];
        if self.kind == Kind::Address
            && let Some(host) = &self.host
        {
            parts.push(format!("its name {host}"));
        }
        let addresses: Vec<String> = self.addresses.iter().map(ToString::to_string).collect();
        if self.kind != Kind::Address && !addresses.is_empty() {
            let whose = if self.kind == Kind::Domain {
                "its mail servers'"
            } else {
                "its"
            };
            let more = match self.more {
                0 => String::new(),
                more => format!(" (and {more} more)"),
            };
            parts.push(format!("{whose} addresses {}{more}", addresses.join(", ")));
        }
        if let Some(domain) = self.domain.as_ref().filter(|_| self.kind != Kind::Domain) {
            parts.push(format!("mail as {domain}"));
        }
        parts.join("; ")
    }
}

fn write(
    args: &CheckArgs,
    (subject, survey): (&Target, &Survey),
    plan: &Plan<'_>,
    dossiers: &[Dossier],
) -> anyhow::Result<()> {
    let catalogue = plan.catalogue;
    let judge = Judge::new(catalogue, Weights::default());
    let domain = survey.domain.as_ref().map(ToString::to_string);
    let mut letter = Letter::new(&subject.to_string(), &survey.about(subject));
    let told: Vec<String> = dossiers.iter().map(|dossier| dossier.target.to_string()).collect();
    let mut records: Vec<Value> = Vec::new();
    for finding in &survey.findings {
        letter.finding(finding);
    }
    for dossier in dossiers {
        let judgement = judge.judge(dossier);
        let judged = Judged {
            catalogue,
            dossier,
            judgement: &judgement,
        };
        records.push(serde_json::to_value(TargetRecord(judged))?);
        let is_host = matches!(&dossier.target, Target::Domain(name) if domain.as_deref() != Some(name.as_str()));
        match is_host {
            false => letter.add(&judged, &told),
            true => {
                // The host's own name: lists know it. Policies are the domain's.
                let bare = Dossier {
                    stages: Vec::new(),
                    findings: Vec::new(),
                    ..dossier.clone()
                };
                let judged = Judged {
                    dossier: &bare,
                    ..judged
                };
                letter.add(&judged, &told);
            }
        }
    }
    authorisations(&mut letter, survey);
    name_agrees(&mut letter, survey, dossiers);
    letter.close();
    let default = match io::stdout().is_terminal() {
        true => TextChoice::Table,
        false => TextChoice::Json,
    };
    let mut out = stdout();
    match args.format.format.unwrap_or(default) {
        TextChoice::Table => {
            letter.write(&mut out, terminal::colour())?;
        }
        TextChoice::Json => {
            let mut record = serde_json::to_value(&letter)?;
            record["type"] = json!("check");
            record["addresses"] = json!(survey.addresses);
            record["host"] = json!(survey.host.as_ref().map(ToString::to_string));
            record["domain"] = json!(domain);
            record["good"] = json!(letter.count(Mark::Good));
            record["bad"] = json!(letter.count(Mark::Bad));
            record["unknown"] = json!(letter.count(Mark::Unknown));
            record["targets"] = json!(records);
            writeln!(out, "{}", to_json(&record))?;
        }
    }
    out.flush()?;
    Ok(())
}

/// Whether the domain lets the addresses send. The exchangers of a domain may well not be those who send for it.
fn authorisations(letter: &mut Letter, survey: &Survey) {
    for (found, findings) in &survey.authorised {
        if found.check.result == Verdict::Pass {
            let by = found.check.mechanism.as_deref().unwrap_or("the record");
            letter.good(
                "spf",
                format!("{} lets {} send (\"{by}\")", found.check.domain, found.ip),
            );
        }
        for finding in findings {
            let mut finding = finding.clone();
            if survey.kind == Kind::Domain && finding.severity > Severity::Info {
                finding.severity = Severity::Info;
            } else if survey.kind == Kind::Host && finding.code == "spf_not_authorised" {
                finding.severity = finding.severity.max(Severity::Warning);
            }
            // That there is no record at all is said once, about the domain.
            if finding.code != "spf_missing" {
                letter.finding(&finding);
            }
        }
    }
}

/// Whether the host's own name is among the names of its addresses: what a server calls itself should be both.
fn name_agrees(letter: &mut Letter, survey: &Survey, dossiers: &[Dossier]) {
    let Some(host) = survey.host.as_ref().filter(|_| survey.kind == Kind::Host) else {
        return;
    };
    for dossier in dossiers.iter().filter(|dossier| dossier.target.address().is_some()) {
        let Some((_, record)) = dossier.stages.iter().find(|(stage, _)| *stage == rdns::STAGE) else {
            continue;
        };
        let names: Vec<&str> = record["names"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|name| name["name"].as_str())
            .collect();
        if names.is_empty() || names.iter().any(|name| name.eq_ignore_ascii_case(&host.to_string())) {
            continue;
        }
        let text = format!("the PTR name of {} is {}, not {host}", dossier.target, names.join(", "));
        let mend = format!(
            "if this server calls itself {host}, set the PTR record of {} to it",
            dossier.target
        );
        letter.finding(&Finding::warning(rdns::STAGE, "rdns_other_name", text).mend(mend));
    }
}

/// Keeps the few dossiers there are.
struct Collected {
    tally: Tally,
    dossiers: Vec<Dossier>,
}

impl Receiver for Collected {
    fn take(&mut self, dossier: &Dossier, order: Order) -> io::Result<()> {
        match order {
            Order::AsClosed => self.tally.add(dossier),
            Order::Input => self.dossiers.push(dossier.clone()),
        }
        Ok(())
    }

    fn revise(&mut self, before: &Dossier, after: &Dossier) -> io::Result<()> {
        self.tally.revise(before, after);
        Ok(())
    }

    fn start_over(&mut self) -> io::Result<()> {
        self.dossiers.clear();
        Ok(())
    }

    fn wants_input_order(&self) -> bool {
        true
    }
}
