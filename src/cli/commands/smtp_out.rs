//! `reputon smtp-out`: can this machine reach port 25 outside? The first question about every new mail server: many
//! hosting providers close it until they are asked.
//!
//! Connects to each host until one greets, hears its greeting, says EHLO and QUIT; no mail is sent. Exit status: 0 port 25 can be
//! reached, 1 it cannot, 2 errors of our own, 3 no host could be tried because no address was found.

use std::io::Write;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZero;
use std::str::FromStr;
use std::time::Duration;

use reputon::exchange::{Lookup, Resolver};
use reputon::report::{to_json, visible};
use reputon::scan::Work;
use reputon::stages::smtp::{Limits, Options, Smtp, State, smtp};
use reputon::wire::{Name, Rdata, Rtype};
use serde_json::json;

use super::stage::{inquire, warn};
use crate::cli::args::SmtpOutArgs;
use crate::cli::options::TextChoice;
use crate::cli::stdout::stdout;

/// The port of mail between servers (RFC 5321 §2.3.5).
const PORT: u16 = 25;

/// Addresses of one host that are tried.
const ADDRESSES_MAX: usize = 2;

/// Hosts that take mail for very many, and so greet everybody. Asked only if no other is named.
pub(crate) const HOSTS: [&str; 3] = [
    "gmail-smtp-in.l.google.com",
    "mx1.mail.icloud.com",
    "mx-aol.mail.gm0.yahoodns.net",
];

/// `HOST[:PORT]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MailHost {
    host: Host,
    port: u16,
}

#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "a command line has few")]
enum Host {
    Address(IpAddr),
    Name(Name),
}

impl FromStr for MailHost {
    type Err = String;

    fn from_str(text: &str) -> Result<MailHost, String> {
        let wrong = "HOST or HOST:PORT, such as mx.example.org, mx.example.org:25, 192.0.2.25:25, [2001:db8::25]:25";
        let bracketed = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        if let Ok(address) = bracketed.unwrap_or(text).parse::<IpAddr>() {
            return Ok(MailHost {
                host: Host::Address(address),
                port: PORT,
            });
        }
        if let Ok(address) = text.parse::<SocketAddr>()
            && address.port() != 0
        {
            return Ok(MailHost {
                host: Host::Address(address.ip()),
                port: address.port(),
            });
        }
        let (name, port) = match text.split_once(':') {
            Some((name, port)) => (name, port.parse::<NonZero<u16>>().map_err(|_| wrong)?.get()),
            None => (text, PORT),
        };
        let name: Name = name.parse().map_err(|error| format!("{wrong}: {error}"))?;
        Ok(MailHost {
            host: Host::Name(name),
            port,
        })
    }
}

impl std::fmt::Display for MailHost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.host {
            Host::Address(IpAddr::V6(address)) => write!(f, "[{address}]:{}", self.port),
            Host::Address(address) => write!(f, "{address}:{}", self.port),
            Host::Name(name) => write!(f, "{name}:{}", self.port),
        }
    }
}

/// A host that was tried.
struct Tried {
    host: String,
    address: Option<IpAddr>,
    smtp: Option<Smtp>,
}

/// Tries the hosts.
pub(crate) fn run(args: &SmtpOutArgs, quiet: bool) -> anyhow::Result<u8> {
    let hosts = match args.hosts.is_empty() {
        true => HOSTS.iter().map(|host| host.parse().expect("good hosts")).collect(),
        false => args.hosts.clone(),
    };
    let wait = args.wait;
    let work = move |resolver: Box<dyn Resolver>, hosts: Vec<MailHost>| -> Work<Vec<Tried>> {
        Box::pin(async move { attempt(&*resolver, &hosts, wait).await })
    };
    let inquired = inquire(&args.stage, true, vec![hosts], work)?;
    warn(&inquired, quiet);
    let tried = inquired.results.into_iter().flatten().flatten().collect::<Vec<_>>();
    let reached = tried.iter().any(|tried| tried.smtp.as_ref().is_some_and(is_reached));
    let unknown = tried.iter().all(|tried| tried.smtp.is_none());
    let verdict = match (reached, unknown) {
        (true, _) => "open",
        (false, true) => "unknown",
        (false, false) => "blocked",
    };
    let mut out = stdout();
    match args.stage.format.format.unwrap_or(TextChoice::Table) {
        TextChoice::Json => {
            let tried = tried.iter().map(|tried| {
                json!({
                    "host": tried.host,
                    "address": tried.address,
                    "smtp": tried.smtp,
                })
            });
            let record = json!({ "port_25": verdict, "tried": tried.collect::<Vec<_>>() });
            writeln!(out, "{}", to_json(&record))?;
        }
        TextChoice::Table => {
            for tried in &tried {
                let how = match (&tried.smtp, tried.address) {
                    (Some(smtp), Some(address)) => format!("{address}: {}", words(smtp)),
                    _ => "no address was found".to_owned(),
                };
                writeln!(out, "{}  {}", visible(&tried.host), visible(&how))?;
            }
            writeln!(
                out,
                "{}",
                match verdict {
                    "open" => "✓ this machine reaches mail servers outside",
                    "blocked" =>
                        "✗ this machine does not reach mail servers outside\n  → ask the provider of the machine to open outgoing \
                              TCP port 25, or send through a relay on port 587",
                    _ => "? no host could be tried: their names lead to no address\n  → name a host by its address",
                }
            )?;
        }
    }
    Ok(match verdict {
        "open" => 0,
        "blocked" => 1,
        _ => 3,
    })
}

/// Anything that greets, even to send us away, shows that the way is open.
fn is_reached(smtp: &Smtp) -> bool {
    matches!(smtp.state, State::Open | State::Broken | State::Busy | State::Rejecting)
}

fn words(smtp: &Smtp) -> String {
    let state = match smtp.state {
        State::Open => "greets",
        State::Broken => "greets, and does not go on",
        State::Busy => "is busy",
        State::Rejecting => "sends us away",
        State::Refused => "refuses the connection",
        State::Silent => "does not answer",
        State::NotSmtp => "something answers that is no mail server: perhaps a proxy on the way",
        State::Unreachable => "cannot be reached",
    };
    match &smtp.banner {
        Some(banner) => format!("{state}: {banner}"),
        None => state.to_owned(),
    }
}

/// Tries one host after another until one is reached.
async fn attempt(resolver: &dyn Resolver, hosts: &[MailHost], wait: Duration) -> Vec<Tried> {
    let mut all = Vec::new();
    for host in hosts {
        let addresses = match &host.host {
            Host::Address(address) => vec![*address],
            Host::Name(name) => addresses(resolver, name).await,
        };
        let options = Options {
            port: host.port,
            limits: Limits {
                reply: wait,
                total: wait * 2,
            },
            ..Options::default()
        };
        if addresses.is_empty() {
            all.push(Tried {
                host: host.to_string(),
                address: None,
                smtp: None,
            });
        }
        for address in addresses.into_iter().take(ADDRESSES_MAX) {
            let (found, _) = smtp(resolver, address, None, &options).await;
            let reached = is_reached(&found);
            all.push(Tried {
                host: host.to_string(),
                address: Some(address),
                smtp: Some(found),
            });
            if reached {
                return all;
            }
        }
    }
    all
}

/// IPv4 addresses: those that receivers know senders by, and that every machine can reach.
async fn addresses(resolver: &dyn Resolver, name: &Name) -> Vec<IpAddr> {
    match resolver.lookup(name.clone(), Rtype::A).await {
        Lookup::Found(answer) => answer
            .records
            .iter()
            .filter_map(|record| match record.data {
                Rdata::A(address) => Some(IpAddr::V4(address)),
                _ => None,
            })
            .collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_names_or_addresses_with_or_without_a_port() {
        for (text, shown) in [
            ("mx.example.org", "mx.example.org:25"),
            ("mx.example.org:2525", "mx.example.org:2525"),
            ("127.0.0.1:2525", "127.0.0.1:2525"),
            ("192.0.2.1", "192.0.2.1:25"),
            ("2001:db8::1", "[2001:db8::1]:25"),
            ("[2001:db8::1]", "[2001:db8::1]:25"),
            ("[::1]:2525", "[::1]:2525"),
        ] {
            let host: MailHost = text.parse().expect(text);
            assert_eq!(host.to_string(), shown);
        }
        for text in [
            "",
            "mx.example.org:smtp",
            "a..b",
            "mx.example.org:70000",
            "mx.example.org:0",
            "192.0.2.1:0",
            "192.0.2.1:25:3",
            "[::1",
        ] {
            assert!(text.parse::<MailHost>().is_err(), "{text}");
        }
        assert!(HOSTS.iter().all(|host| host.parse::<MailHost>().is_ok()));
    }
}
