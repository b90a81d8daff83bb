//! The `mx` stage: who takes mail for a domain (RFC 5321 §5.1), and whether those hosts are there.
//!
//! MX of the domain, then A and AAAA of each exchanger at once. No MX record means the domain's own addresses
//! (implicit MX); a single `0 .` means that it takes no mail (null MX, RFC 7505). Bounds: [`EXCHANGERS_MAX`].

use std::net::IpAddr;

use serde::Serialize;

use super::ask::{Addresses, Known, addresses, known, together};
use super::finding::Finding;
use crate::exchange::Resolver;
use crate::targets::{Target, special_use};
use crate::wire::{Answer, Name, Rdata, Rtype};

/// Exchangers that are followed; the largest providers have half a dozen.
pub const EXCHANGERS_MAX: usize = 16;

/// The stage's name in records and findings.
pub const STAGE: &str = "mx";

/// Who takes a domain's mail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Mx {
    /// The domain.
    pub domain: String,
    /// In what way it takes mail.
    pub way: Way,
    /// The exchangers by preference, at most [`EXCHANGERS_MAX`]; the domain itself for an implicit MX.
    pub exchangers: Vec<Exchanger>,
    /// How many there are in all.
    pub count: usize,
    /// Whether the address that was asked about is one of theirs; none if there was no address or it is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub includes_target: Option<bool>,
    /// Why it is not known, if so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unknown: Option<String>,
}

/// How a domain takes mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Way {
    /// Through the exchangers of its MX records.
    Explicit,
    /// At its own addresses, for want of MX records.
    Implicit,
    /// Not at all, and it says so (RFC 7505).
    Null,
    /// Not at all: neither MX records nor addresses.
    None,
    /// It is not known.
    Unknown,
}

/// One exchanger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Exchanger {
    /// Lower is asked first.
    pub preference: u16,
    /// The host.
    pub host: String,
    /// Its addresses.
    pub addresses: Vec<IpAddr>,
    /// Where its alias ends, if it is one, against RFC 2181 §10.3.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alias: Option<String>,
    /// Why its addresses are not all known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unknown: Option<String>,
}

/// Asks who takes mail for `domain`; `target` is the address asked about, if any.
pub async fn mx(resolver: &dyn Resolver, domain: &Name, target: Option<IpAddr>) -> (Mx, Vec<Finding>) {
    match known(resolver.lookup(domain.clone(), Rtype::MX).await) {
        Known::Some(answer) => explicit(resolver, domain, target, &answer).await,
        Known::Nothing { nxdomain: false } => implicit(resolver, domain, target).await,
        Known::Nothing { nxdomain: true } => {
            let finding = Finding::error(STAGE, "mx_no_domain", format!("the domain {domain} does not exist"))
                .mend("register it, or use a name that exists");
            (Mx::new(domain, Way::None), vec![finding])
        }
        Known::Unknown(why) => {
            let text = format!("who takes mail for {domain} is not known: {why}");
            let mut mx = Mx::new(domain, Way::Unknown);
            mx.unknown = Some(why);
            (
                mx,
                vec![Finding::warning(STAGE, "mx_unknown", text).mend("try again later")],
            )
        }
    }
}

impl Mx {
    fn new(domain: &Name, way: Way) -> Mx {
        Mx {
            domain: domain.to_string(),
            way,
            exchangers: Vec::new(),
            count: 0,
            includes_target: None,
            unknown: None,
        }
    }

    /// Addresses of all exchangers, in order of preference.
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> + '_ {
        self.exchangers
            .iter()
            .flat_map(|exchanger| exchanger.addresses.iter().copied())
    }

    fn compare(&mut self, target: Option<IpAddr>) {
        let Some(target) = target else { return };
        let incomplete =
            self.count > self.exchangers.len() || self.exchangers.iter().any(|host| host.unknown.is_some());
        let found = self.addresses().any(|address| address == target);
        self.includes_target = (found || !incomplete).then_some(found);
    }
}

async fn explicit(
    resolver: &dyn Resolver,
    domain: &Name,
    target: Option<IpAddr>,
    answer: &Answer,
) -> (Mx, Vec<Finding>) {
    let mut findings = Vec::new();
    if answer.malformed > 0 {
        let text = format!("{} MX records of {domain} could not be read", answer.malformed);
        findings.push(Finding::error(STAGE, "mx_malformed", text).mend("have the zone's MX records written anew"));
    }
    let mut hosts = exchangers(answer);
    let mut mx = Mx::new(domain, Way::Explicit);
    mx.count = hosts.len();
    let root = hosts.iter().filter(|(_, host)| host.is_root()).count();
    if hosts.len() == 1 && root == 1 && answer.malformed == 0 {
        mx.way = Way::Null;
        findings.push(null_mx(domain));
        return (mx, findings);
    }
    if root > 0 {
        let text = format!("{domain} says with a null MX that it takes no mail, and has other MX records beside it");
        let mend = "remove the record \"0 .\", or all others (RFC 7505)";
        findings.push(Finding::error(STAGE, "mx_null_among_others", text).mend(mend));
        hosts.retain(|(_, host)| !host.is_root());
    }
    if hosts.is_empty() {
        mx.way = Way::Unknown;
        mx.unknown = Some("no MX record could be read".to_owned());
        let text = format!("who takes mail for {domain} is not known: no MX record could be read");
        findings.push(Finding::warning(STAGE, "mx_unknown", text).mend("have the zone's MX records written anew"));
        return (mx, findings);
    }
    if hosts.len() > EXCHANGERS_MAX {
        let text = format!(
            "{domain} has {} exchangers; {EXCHANGERS_MAX} are looked at",
            hosts.len()
        );
        findings.push(Finding::warning(STAGE, "mx_too_many", text).mend("keep the few that take mail"));
    }
    hosts.truncate(EXCHANGERS_MAX);
    let found = together(hosts.iter().map(|(_, host)| addresses(resolver, host))).await;
    for ((preference, host), found) in hosts.iter().zip(found) {
        findings.extend(about_host(domain, host, &found));
        mx.exchangers.push(Exchanger::new(*preference, host, found));
    }
    if mx
        .exchangers
        .iter()
        .all(|host| host.addresses.is_empty() && host.unknown.is_none())
    {
        let text = format!("none of the exchangers of {domain} has an address: it cannot receive mail");
        let mend = "point its MX records at hosts that exist";
        findings.push(Finding::error(STAGE, "mx_all_dangling", text).mend(mend));
    }
    mx.compare(target);
    (mx, findings)
}

impl Exchanger {
    fn new(preference: u16, host: &Name, found: Addresses) -> Exchanger {
        Exchanger {
            preference,
            host: host.to_string(),
            addresses: found.list,
            alias: found.alias.map(|alias| alias.to_string()),
            unknown: found
                .unknown
                .or_else(|| (found.malformed > 0).then(|| "an address record could not be read".to_owned()))
                .or_else(|| {
                    found
                        .cut
                        .then(|| "there are more addresses than are looked at".to_owned())
                }),
        }
    }
}

/// The exchangers by preference, each (preference, host) once; the names break ties, so that the order is stable.
fn exchangers(answer: &Answer) -> Vec<(u16, Name)> {
    let mut hosts: Vec<(u16, Name)> = answer
        .records
        .iter()
        .filter_map(|record| match &record.data {
            Rdata::Mx { preference, exchange } => Some((*preference, exchange.clone())),
            _ => None,
        })
        .collect();
    hosts.sort_by_cached_key(|(preference, host)| (*preference, host.to_lowercase().to_string()));
    hosts.dedup();
    hosts
}

fn null_mx(domain: &Name) -> Finding {
    Finding::info(
        STAGE,
        "mx_null",
        format!("{domain} says that it takes no mail (null MX, RFC 7505)"),
    )
    .mend("if mail is sent from this domain, replies and bounces cannot come back: give it an exchanger")
}

fn about_host(domain: &Name, host: &Name, found: &Addresses) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Some(literal) = address_literal(host) {
        let text = format!("the MX record of {domain} names the address {literal} instead of a host");
        let mend = "give the address a host name and put that into the MX record (RFC 5321 §5.1)";
        findings.push(Finding::error(STAGE, "mx_address_literal", text).mend(mend));
        return findings;
    }
    if let Some(alias) = &found.alias {
        let text = format!("the exchanger {host} of {domain} is an alias of {alias}");
        let mend = "name the alias's end in the MX record: an MX must not point to a CNAME (RFC 2181 §10.3)";
        findings.push(Finding::warning(STAGE, "mx_alias", text).mend(mend));
    }
    if let Some(why) = &found.unknown {
        let text = format!("the addresses of the exchanger {host} of {domain} are not all known: {why}");
        findings.push(Finding::warning(STAGE, "mx_host_unknown", text).mend("try again later"));
    } else if found.malformed > 0 {
        let text = format!(
            "{} address records of the exchanger {host} could not be read",
            found.malformed
        );
        findings.push(Finding::warning(STAGE, "mx_host_malformed", text).mend("have them written anew"));
    }
    let inside = |address: &IpAddr| special_use(&Target::from(address.to_canonical()));
    if let Some((address, space)) = found.list.iter().find_map(|address| Some((address, inside(address)?))) {
        let text = format!(
            "the exchanger {host} of {domain} has the address {address}: {space} space, where no mail from outside comes to"
        );
        let mend = "give the exchanger its public address in DNS, and nothing else";
        let finding = match found.list.iter().all(|address| inside(address).is_some()) {
            true => Finding::error(STAGE, "mx_special_use", text),
            false => Finding::warning(STAGE, "mx_special_use", text),
        };
        findings.push(finding.mend(mend));
    }
    if found.none_for_sure() {
        let what = if found.nxdomain {
            "does not exist"
        } else {
            "has no address"
        };
        let text = format!("the exchanger {host} of {domain} {what}");
        let mend = "remove the MX record or give the host an address; a free domain there could be taken by others";
        findings.push(Finding::error(STAGE, "mx_dangling", text).mend(mend));
    }
    findings
}

/// A host name that is an address, in brackets or not: `192.0.2.1`, `[192.0.2.1]`.
fn address_literal(host: &Name) -> Option<IpAddr> {
    let text = host.to_string();
    let bare = text.trim_start_matches('[').trim_end_matches(']');
    bare.strip_prefix("IPv6:").unwrap_or(bare).parse().ok()
}

async fn implicit(resolver: &dyn Resolver, domain: &Name, target: Option<IpAddr>) -> (Mx, Vec<Finding>) {
    let found = addresses(resolver, domain).await;
    if found.none_for_sure() {
        let text = format!("{domain} has neither MX records nor addresses: it cannot receive mail");
        let finding = Finding::warning(STAGE, "mx_none", text)
            .mend("give it MX records, or a null MX (\"0 .\") if it is to take no mail");
        return (Mx::new(domain, Way::None), vec![finding]);
    }
    let mut findings = Vec::new();
    let mut mx = Mx::new(domain, Way::Implicit);
    if found.list.is_empty() {
        let why = found
            .unknown
            .clone()
            .unwrap_or_else(|| "its address records could not be read".to_owned());
        let text = format!("{domain} has no MX record, and its addresses are not known: {why}");
        findings.push(Finding::warning(STAGE, "mx_unknown", text).mend("try again later"));
        mx.way = Way::Unknown;
        mx.unknown = Some(why);
    } else {
        let text = format!("{domain} has no MX record; mail goes to its own addresses");
        let mend = "say where mail goes by an MX record, or by a null MX (\"0 .\") that it goes nowhere";
        findings.push(Finding::info(STAGE, "mx_implicit", text).mend(mend));
        mx.count = 1;
        mx.exchangers.push(Exchanger::new(0, domain, found));
        mx.compare(target);
    }
    (mx, findings)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stages::testing::{World, codes, ip, name};

    async fn run(world: &World) -> (Mx, Vec<Finding>) {
        mx(world, &name("example.org"), Some(ip("192.0.2.7"))).await
    }

    #[tokio::test]
    async fn exchangers_are_followed_by_preference() {
        let world = World::new()
            .mx("example.org", 20, "b.example.net")
            .mx("example.org", 10, "a.example.net")
            .a("a.example.net", "192.0.2.7")
            .a("b.example.net", "2001:db8::7");
        let (found, findings) = run(&world).await;
        let hosts: Vec<&str> = found.exchangers.iter().map(|host| host.host.as_str()).collect();
        assert_eq!(
            (found.way, hosts),
            (Way::Explicit, vec!["a.example.net", "b.example.net"])
        );
        assert_eq!(found.includes_target, Some(true));
        assert!(findings.is_empty(), "{findings:?}");
    }

    #[tokio::test]
    async fn null_implicit_none_and_unknown_stay_apart() {
        let (found, findings) = run(&World::new().mx("example.org", 0, ".")).await;
        assert_eq!((found.way, codes(&findings)), (Way::Null, vec!["mx_null"]));
        let (found, findings) = run(&World::new().a("example.org", "192.0.2.7")).await;
        assert_eq!((found.way, codes(&findings)), (Way::Implicit, vec!["mx_implicit"]));
        assert_eq!(found.includes_target, Some(true));
        let (found, findings) = run(&World::new().exists("example.org")).await;
        assert_eq!((found.way, codes(&findings)), (Way::None, vec!["mx_none"]));
        let (found, findings) = run(&World::new()).await;
        assert_eq!((found.way, codes(&findings)), (Way::None, vec!["mx_no_domain"]));
        let (found, findings) = run(&World::new().fail("example.org", Rtype::MX)).await;
        assert_eq!((found.way, codes(&findings)), (Way::Unknown, vec!["mx_unknown"]));
        let (found, findings) = run(&World::new().exists("example.org").silent("example.org", Rtype::A)).await;
        assert_eq!((found.way, codes(&findings)), (Way::Unknown, vec!["mx_unknown"]));
    }

    #[tokio::test]
    async fn bad_exchangers_are_told() {
        let world = World::new()
            .mx("example.org", 0, ".")
            .mx("example.org", 1, "gone.example.net")
            .mx("example.org", 2, "192.0.2.7")
            .mx("example.org", 3, "alias.example.net")
            .cname("alias.example.net", "real.example.net")
            .a("real.example.net", "192.0.2.9")
            .mx("example.org", 4, "bad.example.net")
            .fail("bad.example.net", Rtype::A);
        let (found, findings) = run(&world).await;
        assert_eq!(
            codes(&findings),
            [
                "mx_null_among_others",
                "mx_dangling",
                "mx_address_literal",
                "mx_alias",
                "mx_host_unknown"
            ]
        );
        assert_eq!(found.includes_target, None, "one host's addresses are not known");
    }

    #[tokio::test]
    async fn unreadable_records_are_never_an_absence() {
        let (found, findings) = run(&World::new().malformed("example.org", Rtype::MX)).await;
        assert_eq!(
            (found.way, codes(&findings)),
            (Way::Unknown, vec!["mx_malformed", "mx_unknown"])
        );
        let world = World::new()
            .mx("example.org", 0, ".")
            .malformed("example.org", Rtype::MX);
        let (found, findings) = run(&world).await;
        assert_ne!(found.way, Way::Null);
        assert!(codes(&findings).contains(&"mx_malformed"));
    }

    #[tokio::test]
    async fn a_flood_of_exchangers_is_followed_only_so_far() {
        let mut world = World::new();
        for index in 0..100 {
            world = world.mx("example.org", index, &format!("m{index}.example.net"));
        }
        let (found, findings) = run(&world).await;
        assert_eq!((found.count, found.exchangers.len()), (100, EXCHANGERS_MAX));
        assert!(codes(&findings).contains(&"mx_too_many") && codes(&findings).contains(&"mx_all_dangling"));
        assert_eq!(world.asked().len(), 1 + 2 * EXCHANGERS_MAX);
    }
}
