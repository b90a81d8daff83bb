//! `reputon rdns|mx|spf|dkim|dmarc|asn`: one stage alone, a JSON object or a few lines for each subject, in the order of
//! the command line.
//!
//! Exit status: 0 if all is known, 3 if something is not, 2 for errors of our own. `spf` gives 0 whenever it has one of the
//! seven results of RFC 7208 §2.6: "temperror" is one of them.

use std::io::{self, IsTerminal, Write};
use std::net::SocketAddr;

use anyhow::bail;
use jiff::Timestamp;
use reputon::clock::Span;
use reputon::exchange::Resolver;
use reputon::lab::{Lab, LabOptions};
use reputon::report::{to_json, visible};
use reputon::scan::{Inquired, Inquiry, RealNetwork, Stop, Work};
use reputon::stages::spf::{SpfInput, check_host};
use reputon::stages::{Finding, Severity, abuse, asn, dkim, dmarc, mx, rdns};
use reputon::wire::Name;
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::cli::args::{AddressArgs, DkimArgs, DomainArgs, SpfArgs, StageArgs};
use crate::cli::options::TextChoice;
use crate::cli::stdout::stdout;
use crate::cli::talk::talk;
use crate::cli::{build, signals};

/// Packets a second, as a scan's default: a command line is short, and its lookups are few.
const RATE_QPS: f64 = 2_000.0;

/// The exit status where something is not known.
const UNKNOWN: u8 = 3;

/// What a stage says of one subject.
struct Said {
    record: Value,
    findings: Vec<Finding>,
    unknown: bool,
}

/// The names of addresses.
pub(crate) fn rdns(args: &AddressArgs, quiet: bool) -> anyhow::Result<u8> {
    let work = |resolver: Box<dyn Resolver>, address| -> Work<Said> {
        Box::pin(async move { said(rdns::rdns(&*resolver, address).await) })
    };
    let names = args.addresses.iter().map(ToString::to_string).collect();
    tell(&args.stage, quiet, names, args.addresses.clone(), work)
}

/// Where mail goes.
pub(crate) fn mx(args: &DomainArgs, quiet: bool) -> anyhow::Result<u8> {
    let work = |resolver: Box<dyn Resolver>, domain| -> Work<Said> {
        Box::pin(async move { said(mx::mx(&*resolver, &domain, None).await) })
    };
    tell(&args.stage, quiet, names_of(args), subjects_of(args), work)
}

/// What a domain asks receivers to do.
pub(crate) fn dmarc(args: &DomainArgs, quiet: bool) -> anyhow::Result<u8> {
    let work = |resolver: Box<dyn Resolver>, domain| -> Work<Said> {
        Box::pin(async move { said(dmarc::dmarc(&*resolver, &domain).await) })
    };
    tell(&args.stage, quiet, names_of(args), subjects_of(args), work)
}

/// A domain's keys.
pub(crate) fn dkim(args: &DkimArgs, quiet: bool) -> anyhow::Result<u8> {
    let given = args.dkim_selector.clone();
    let work = move |resolver: Box<dyn Resolver>, domain| -> Work<Said> {
        let given = given.clone();
        Box::pin(async move {
            let (selectors, findings) = dkim::dkim(&*resolver, &domain, &given, given.is_empty()).await;
            said((json!({ "selectors": selectors }), findings))
        })
    };
    let names = args.domains.iter().map(|domain| domain.0.as_str().to_owned()).collect();
    let subjects = args.domains.iter().map(|domain| domain.0.to_name()).collect();
    tell(&args.stage, quiet, names, subjects, work)
}

/// Who announces addresses, and who takes complaints about them.
pub(crate) fn asn(args: &AddressArgs, quiet: bool) -> anyhow::Result<u8> {
    let work = |resolver: Box<dyn Resolver>, address| -> Work<Said> {
        Box::pin(async move {
            let ((origin, mut findings), (contact, more)) =
                tokio::join!(asn::asn(&*resolver, address), abuse::abuse(&*resolver, address));
            findings.extend(more);
            let mut record = serde_json::to_value(origin).expect("records are plain JSON");
            record["abuse"] = serde_json::to_value(contact).expect("records are plain JSON");
            said((record, findings))
        })
    };
    let names = args.addresses.iter().map(ToString::to_string).collect();
    tell(&args.stage, quiet, names, args.addresses.clone(), work)
}

/// Whether a sender policy lets an address send.
pub(crate) fn spf(args: &SpfArgs, quiet: bool) -> anyhow::Result<u8> {
    let mut input = SpfInput::new(
        args.ip,
        args.helo.as_deref().unwrap_or_default(),
        args.mail_from.as_deref().unwrap_or_default(),
    );
    input.timestamp = u64::try_from(Timestamp::now().as_second()).unwrap_or(0);
    let work = |resolver: Box<dyn Resolver>, input: SpfInput| -> Work<Said> {
        Box::pin(async move {
            let result = check_host(&*resolver, &input).await;
            Said {
                unknown: false,
                ..said((result, Vec::new()))
            }
        })
    };
    tell(&args.stage, quiet, vec![args.ip.to_string()], vec![input], work)
}

fn names_of(args: &DomainArgs) -> Vec<String> {
    args.domains.iter().map(|domain| domain.0.as_str().to_owned()).collect()
}

fn subjects_of(args: &DomainArgs) -> Vec<reputon::wire::Name> {
    args.domains.iter().map(|domain| domain.0.to_name()).collect()
}

fn said((record, findings): (impl Serialize, Vec<Finding>)) -> Said {
    let record = serde_json::to_value(record).expect("records are plain JSON");
    Said {
        unknown: is_unknown(&record) || findings.iter().any(|finding| finding.code.ends_with("_unknown")),
        record,
        findings,
    }
}

/// Whether a record, or one in it, says that it is not known.
fn is_unknown(record: &Value) -> bool {
    match record {
        Value::Object(fields) => fields.iter().any(|(name, value)| match name.as_str() {
            "unknown" => !value.is_null(),
            _ => value == "unknown" || is_unknown(value),
        }),
        Value::Array(values) => values.iter().any(is_unknown),
        _ => false,
    }
}

/// Asks about all subjects and tells what came of it.
fn tell<S>(
    args: &StageArgs,
    quiet: bool,
    names: Vec<String>,
    subjects: Vec<S>,
    work: impl Fn(Box<dyn Resolver>, S) -> Work<Said>,
) -> anyhow::Result<u8> {
    let inquired = inquire(args, false, subjects, work)?;
    let default = match io::stdout().is_terminal() {
        true => TextChoice::Table,
        false => TextChoice::Json,
    };
    let format = args.format.format.unwrap_or(default);
    let mut out = stdout();
    let mut status = 0;
    for (name, said) in names.iter().zip(&inquired.results) {
        let Some(said) = said else { continue };
        match format {
            TextChoice::Json => writeln!(out, "{}", to_json(&object(name, said)))?,
            TextChoice::Table => write_lines(&mut out, name, said)?,
        }
        if said.unknown {
            status = UNKNOWN;
        }
    }
    out.flush()?;
    warn(&inquired, quiet);
    let status = if inquired.faults.is_empty() { status } else { UNKNOWN };
    Ok(inquired.stopped.and_then(signals::status).unwrap_or(status))
}

/// Says what is wrong with the resolvers.
pub(crate) fn warn<T>(inquired: &Inquired<T>, quiet: bool) {
    if !quiet {
        for fault in &inquired.faults {
            talk!("reputon: {}", visible(fault));
        }
    }
}

/// Drives the work over the resolvers that were named, or over the embedded world.
pub(crate) fn inquire<S, T>(
    args: &StageArgs,
    sockets: bool,
    subjects: Vec<S>,
    work: impl Fn(Box<dyn Resolver>, S) -> Work<T>,
) -> anyhow::Result<Inquired<T>> {
    if args.path.direct {
        bail!("--direct asks lists without a resolver; this command asks no list: leave it out");
    }
    let lab = args.lab.then(|| Lab::start(LabOptions::default())).transpose()?;
    let stop = signals::watch()?;
    let inquirer = Inquirer {
        resolvers: match &lab {
            Some(lab) => vec![lab.addr()],
            None => build::resolvers(&args.path)?,
        },
        routes: build::routes(&args.path, lab.is_some())?,
        rate_qps: lab.is_none().then_some(RATE_QPS),
        timeout: args.ask.timeout.into(),
        retries: args.ask.retries,
        stop: &stop,
    };
    inquirer.run(sockets, subjects, work)
}

/// How names are looked up.
pub(crate) struct Inquirer<'a> {
    pub(crate) resolvers: Vec<SocketAddr>,
    pub(crate) routes: Vec<(Name, SocketAddr)>,
    pub(crate) rate_qps: Option<f64>,
    pub(crate) timeout: Span,
    pub(crate) retries: u8,
    pub(crate) stop: &'a Stop,
}

impl Inquirer<'_> {
    /// Does the work of each subject.
    pub(crate) fn run<S, T>(
        &self,
        sockets: bool,
        subjects: Vec<S>,
        work: impl Fn(Box<dyn Resolver>, S) -> Work<T>,
    ) -> anyhow::Result<Inquired<T>> {
        let inquiry = Inquiry {
            resolvers: self.resolvers.clone(),
            routes: self.routes.clone(),
            rate_qps: self.rate_qps,
            timeout: self.timeout,
            retries: self.retries,
            sockets,
        };
        let mut network = RealNetwork::new(self.timeout.times(2));
        Ok(inquiry.run(&mut network, rand::random(), (subjects, work), self.stop)?)
    }
}

/// The subject, what was found, and the findings, in one object.
fn object(name: &str, said: &Said) -> Value {
    let mut fields = Map::new();
    fields.insert("target".to_owned(), json!(name));
    match &said.record {
        Value::Object(record) => fields.extend(record.clone()),
        other => _ = fields.insert("record".to_owned(), other.clone()),
    }
    fields.insert("findings".to_owned(), json!(said.findings));
    Value::Object(fields)
}

/// The same for people.
fn write_lines(out: &mut impl Write, name: &str, said: &Said) -> io::Result<()> {
    writeln!(out, "{}", visible(name))?;
    for (field, value) in said.record.as_object().into_iter().flatten() {
        write_field(out, field, value)?;
    }
    for finding in &said.findings {
        let mark = match finding.severity {
            Severity::Info => "·",
            Severity::Warning => "!",
            Severity::Error => "✗",
        };
        writeln!(out, "  {mark} {}", visible(&finding.text))?;
        if let Some(mend) = &finding.mend {
            writeln!(out, "    → {}", visible(mend))?;
        }
    }
    Ok(())
}

fn write_field(out: &mut impl Write, name: &str, value: &Value) -> io::Result<()> {
    let name = name.replace('_', " ");
    match value {
        Value::Null => Ok(()),
        Value::Array(values) if values.iter().any(Value::is_object) => {
            values.iter().enumerate().try_for_each(|(index, value)| match index {
                0 => writeln!(out, "  {name:<16} {}", one_line(value)),
                _ => writeln!(out, "  {:<16} {}", "", one_line(value)),
            })
        }
        Value::Array(values) if values.is_empty() => Ok(()),
        value => writeln!(out, "  {name:<16} {}", one_line(value)),
    }
}

/// A value in one line: what has a name comes with it.
fn one_line(value: &Value) -> String {
    match value {
        Value::String(text) => visible(text).into_owned(),
        Value::Array(values) => values.iter().map(one_line).collect::<Vec<_>>().join(" "),
        Value::Object(fields) => {
            let named = ["name", "host", "selector", "prefix"];
            let parts = fields.iter().filter(|(_, value)| match value {
                Value::Array(values) => !values.is_empty(),
                value => !value.is_null(),
            });
            let (first, rest): (Vec<_>, Vec<_>) = parts.partition(|(name, _)| named.contains(&name.as_str()));
            let parts = first
                .into_iter()
                .chain(rest)
                .map(|(name, value)| match (name.as_str(), value) {
                    (name, value) if named.contains(&name) => one_line(value),
                    (name, Value::Object(_)) => format!("{} ({})", name.replace('_', " "), one_line(value)),
                    (name, value) => format!("{} {}", name.replace('_', " "), one_line(value)),
                });
            parts.collect::<Vec<_>>().join(", ")
        }
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        other => other.to_string(),
    }
}
