//! The `rdns` stage: all names of an address, whether one leads back to it (iprev, RFC 8601 §3), what they are like.
//!
//! PTR of the address, then A and AAAA of each name at once. A name that does not lead back is a mismatch only if its
//! addresses are known; otherwise the result is a temporary error. Bounds: [`NAMES_MAX`] names are followed, the rest
//! are counted; addresses by [`super::super::ask`].

use std::net::IpAddr;

use serde::Serialize;

use super::generic::{Class, Verdict, classify};
use crate::exchange::Resolver;
use crate::stages::ask::{Known, addresses, known, together};
use crate::stages::domain::{plain, registrable};
use crate::stages::finding::Finding;
use crate::wire::{Name, Rdata, Rtype};

/// PTR names of one address that are followed: the bound that RFC 7208 §4.6.4 sets for the same work.
pub const NAMES_MAX: usize = 10;

/// The stage's name in records and findings.
pub const STAGE: &str = "rdns";

/// What the reverse zone says of an address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Rdns {
    /// Whether a name of the address leads back to it.
    pub iprev: Iprev,
    /// The names, at most [`NAMES_MAX`], in the order they came.
    pub names: Vec<PtrName>,
    /// How many names there are in all.
    pub count: usize,
    /// The registrable domain of the name that stands for the address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub domain: Option<String>,
    /// Why it is not known, if so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unknown: Option<String>,
}

/// The result words of RFC 8601 §2.7.3.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Iprev {
    /// A name of the address has the address.
    Pass,
    /// It has names, and none has the address.
    Fail,
    /// It could not be learnt now.
    Temperror,
    /// There is no name.
    Permerror,
}

/// One name of an address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PtrName {
    /// The name in presentation form.
    pub name: String,
    /// Whether the name has the address; none if that is not known.
    pub confirmed: Option<bool>,
    /// The addresses that the name has.
    pub addresses: Vec<IpAddr>,
    /// What kind of name it is and by which rule.
    #[serde(flatten)]
    pub verdict: Verdict,
    #[serde(skip)]
    wire: Name,
}

impl Rdns {
    /// The name that stands for the address: the first that leads back, else the first.
    pub fn name(&self) -> Option<&Name> {
        let first = self
            .names
            .iter()
            .find(|name| name.confirmed == Some(true))
            .or(self.names.first());
        first.map(|name| &name.wire)
    }

    /// All names that were followed.
    pub fn all_names(&self) -> impl Iterator<Item = &Name> {
        self.names.iter().map(|name| &name.wire)
    }

    /// The registrable domain of that name.
    pub fn related_domain(&self) -> Option<Name> {
        self.name().and_then(registrable)
    }
}

/// Asks for the names of an address and follows them.
pub async fn rdns(resolver: &dyn Resolver, address: IpAddr) -> (Rdns, Vec<Finding>) {
    let answer = match known(resolver.lookup(Name::reverse(address), Rtype::PTR).await) {
        Known::Some(answer) => answer,
        Known::Nothing { .. } => return nothing(address),
        Known::Unknown(why) => return unknown(address, why),
    };
    let mut targets: Vec<Name> = Vec::new();
    for record in &answer.records {
        // A resolver may hand out as many as fit into 64 KiB; each is compared with at most NAMES_MAX kept ones.
        if let Rdata::Ptr(target) = &record.data
            && !targets.iter().take(NAMES_MAX).any(|kept| kept == target)
        {
            targets.push(target.clone());
        }
    }
    let count = targets.len();
    targets.truncate(NAMES_MAX);
    let names = together(targets.into_iter().map(|target| follow(resolver, target, address))).await;
    let mut rdns = Rdns {
        iprev: iprev(&names, answer.malformed),
        names,
        count,
        domain: None,
        unknown: None,
    };
    rdns.domain = rdns.related_domain().map(|domain| domain.to_string());
    let findings = findings(&rdns, address, answer.malformed);
    (rdns, findings)
}

async fn follow(resolver: &dyn Resolver, target: Name, address: IpAddr) -> PtrName {
    let found = addresses(resolver, &target).await;
    let confirmed = if found.list.contains(&address) {
        Some(true)
    } else if found.unknown.is_some() || found.malformed > 0 || found.cut {
        None
    } else {
        Some(false)
    };
    PtrName {
        name: target.to_string(),
        confirmed,
        addresses: found.list,
        verdict: classify(&target, Some(address)),
        wire: target,
    }
}

fn iprev(names: &[PtrName], malformed: u16) -> Iprev {
    if names.iter().any(|name| name.confirmed == Some(true)) {
        Iprev::Pass
    } else if malformed > 0 || names.iter().any(|name| name.confirmed.is_none()) {
        Iprev::Temperror
    } else if names.is_empty() {
        Iprev::Permerror
    } else {
        Iprev::Fail
    }
}

fn nothing(address: IpAddr) -> (Rdns, Vec<Finding>) {
    let rdns = Rdns {
        iprev: Iprev::Permerror,
        names: Vec::new(),
        count: 0,
        domain: None,
        unknown: None,
    };
    let finding = Finding::error(STAGE, "rdns_missing", format!("{address} has no PTR record")).mend(
        "ask whoever the address was leased from to set a PTR record to the name that the mail server greets with",
    );
    (rdns, vec![finding])
}

fn unknown(address: IpAddr, why: String) -> (Rdns, Vec<Finding>) {
    let finding = Finding::warning(
        STAGE,
        "rdns_unknown",
        format!("whether {address} has a PTR record is not known: {why}"),
    )
    .mend("try again later; if it stays so, the reverse zone's name servers need attention");
    let rdns = Rdns {
        iprev: Iprev::Temperror,
        names: Vec::new(),
        count: 0,
        domain: None,
        unknown: Some(why),
    };
    (rdns, vec![finding])
}

fn findings(rdns: &Rdns, address: IpAddr, malformed: u16) -> Vec<Finding> {
    let mut findings = Vec::new();
    if malformed > 0 {
        findings.push(
            Finding::warning(
                STAGE,
                "rdns_malformed",
                format!("{malformed} PTR records of {address} could not be read"),
            )
            .mend("have the reverse zone's PTR records written anew"),
        );
    }
    findings.extend(not_confirmed(rdns, address));
    if rdns.count > NAMES_MAX {
        findings.push(
            Finding::warning(
                STAGE,
                "rdns_too_many",
                format!(
                    "{address} has {} PTR names; receivers look at {NAMES_MAX} at most",
                    rdns.count
                ),
            )
            .mend("leave one PTR record"),
        );
    } else if rdns.count > 1 {
        findings.push(
            Finding::info(
                STAGE,
                "rdns_several",
                format!("{address} has {} PTR names; receivers pick any one", rdns.count),
            )
            .mend("leave one PTR record, the name that the mail server greets with"),
        );
    }
    findings.extend(rdns.names.iter().filter_map(|name| about_name(name, address)));
    findings
}

fn not_confirmed(rdns: &Rdns, address: IpAddr) -> Option<Finding> {
    let names = || {
        rdns.names
            .iter()
            .map(|name| name.name.as_str())
            .collect::<Vec<_>>()
            .join(", ")
    };
    match rdns.iprev {
        Iprev::Fail => Some(
            Finding::error(
                STAGE,
                "rdns_not_confirmed",
                match rdns.names.len() {
                    1 => format!("{} does not lead back to {address}", names()),
                    _ => format!("none of {} leads back to {address}", names()),
                },
            )
            .mend(format!(
                "give the name an address record with {address}, or set the PTR record to a name that has one"
            )),
        ),
        Iprev::Temperror if !rdns.names.is_empty() => Some(Finding::warning(
            STAGE,
            "rdns_unconfirmed",
            format!("whether {} leads back to {address} is not known now", names()),
        )),
        Iprev::Pass => {
            let stale = rdns.names.iter().find(|name| name.confirmed == Some(false))?;
            let text = format!("one name of {address}, {}, does not lead back to it", stale.name);
            Some(Finding::warning(STAGE, "rdns_stale_name", text).mend("remove that PTR record"))
        }
        _ => None,
    }
}

fn about_name(name: &PtrName, address: IpAddr) -> Option<Finding> {
    if name.wire.label_count() < 2 {
        return Some(
            Finding::warning(
                STAGE,
                "rdns_not_a_host",
                format!("the PTR name \"{}\" is not a full host name", name.name),
            )
            .mend("set the PTR record to a fully qualified name"),
        );
    }
    if plain(&name.wire).is_none() {
        let text = format!("the PTR name \"{}\" has octets that no host name has", name.name);
        let mend = "set the PTR record to a host name: letters, digits and hyphens (RFC 1123 §2.1)";
        return Some(Finding::warning(STAGE, "rdns_not_a_host", text).mend(mend));
    }
    let (code, kind) = match name.verdict.class {
        Class::Dynamic => ("rdns_dynamic", "looks like that of a line with changing addresses"),
        Class::Generic => ("rdns_generic", "was made by rule from the address"),
        Class::Mail | Class::Static | Class::Named => return None,
    };
    let text = format!("the name {} of {address} {kind} ({})", name.name, name.verdict.rule);
    Some(
        Finding::warning(STAGE, code, text)
            .mend("if it sends mail, have the PTR record set to the mail server's own name"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stages::testing::{World, codes, ip};

    async fn run(world: &World) -> (Rdns, Vec<Finding>) {
        rdns(world, ip("192.0.2.7")).await
    }

    #[tokio::test]
    async fn r18_a_name_that_leads_back_passes_by_either_family() {
        let world = World::new()
            .ptr("192.0.2.7", "mail.example.org")
            .a("mail.example.org", "192.0.2.7");
        let (found, findings) = run(&world).await;
        assert_eq!(
            (found.iprev, found.domain.as_deref()),
            (Iprev::Pass, Some("example.org"))
        );
        assert!(findings.is_empty(), "{findings:?}");
        let world = World::new()
            .ptr("2001:db8::7", "mx.example.org")
            .a("mx.example.org", "2001:db8::7");
        assert_eq!(rdns(&world, ip("2001:db8::7")).await.0.iprev, Iprev::Pass);
        // One family failing does not matter if the other leads back.
        let world = World::new()
            .ptr("192.0.2.7", "mail.example.org")
            .a("mail.example.org", "192.0.2.7")
            .fail("mail.example.org", Rtype::AAAA);
        assert_eq!(run(&world).await.0.iprev, Iprev::Pass);
    }

    #[tokio::test]
    async fn r18_mismatch_failure_and_absence_stay_apart() {
        let world = World::new()
            .ptr("192.0.2.7", "mail.example.org")
            .a("mail.example.org", "192.0.2.8");
        let (found, findings) = run(&world).await;
        assert_eq!(
            (found.iprev, codes(&findings)),
            (Iprev::Fail, vec!["rdns_not_confirmed"])
        );
        let world = World::new()
            .ptr("192.0.2.7", "mail.example.org")
            .silent("mail.example.org", Rtype::A);
        let (found, findings) = run(&world).await;
        assert_eq!(
            (found.iprev, codes(&findings)),
            (Iprev::Temperror, vec!["rdns_unconfirmed"])
        );
        let (found, findings) = run(&World::new()).await;
        assert_eq!(
            (found.iprev, codes(&findings)),
            (Iprev::Permerror, vec!["rdns_missing"])
        );
        let world = World::new().fail("7.2.0.192.in-addr.arpa", Rtype::PTR);
        let (found, findings) = run(&world).await;
        assert_eq!(
            (found.iprev, codes(&findings)),
            (Iprev::Temperror, vec!["rdns_unknown"])
        );
        let world = World::new().malformed("7.2.0.192.in-addr.arpa", Rtype::PTR);
        let (found, findings) = run(&world).await;
        assert_eq!(
            (found.iprev, codes(&findings)),
            (Iprev::Temperror, vec!["rdns_malformed"])
        );
    }

    #[tokio::test]
    async fn r18_a_flood_of_names_is_followed_only_so_far() {
        let mut world = World::new();
        for index in 0..200 {
            world = world.ptr("192.0.2.7", &format!("h{index}.example.org"));
        }
        let (found, findings) = run(&world).await;
        assert_eq!((found.count, found.names.len()), (200, NAMES_MAX));
        assert!(codes(&findings).contains(&"rdns_too_many"));
        assert_eq!(world.asked().len(), 1 + 2 * NAMES_MAX);
    }

    #[tokio::test]
    async fn the_confirmed_name_stands_for_the_address() {
        let world = World::new()
            .ptr("192.0.2.7", "old.example.com")
            .ptr("192.0.2.7", "mail.example.org")
            .ptr("192.0.2.7", "MAIL.example.org")
            .a("mail.example.org", "192.0.2.7");
        let (found, findings) = run(&world).await;
        assert_eq!((found.count, found.domain.as_deref()), (2, Some("example.org")));
        assert_eq!(codes(&findings), ["rdns_stale_name", "rdns_several"]);
    }

    #[tokio::test]
    async fn odd_names_are_reported_safely() {
        let world = World::new()
            .ptr("192.0.2.7", "localhost")
            .ptr("192.0.2.7", "dyn-192-0-2-7.example.net");
        let (_, findings) = run(&world).await;
        assert!(codes(&findings).contains(&"rdns_not_a_host") && codes(&findings).contains(&"rdns_dynamic"));
        let world = World::new().ptr("192.0.2.7", "\\027[31m\\255.example.net");
        let (found, findings) = run(&world).await;
        assert_eq!(found.names[0].name, "\\027[31m\\255.example.net");
        assert_eq!(codes(&findings), ["rdns_not_confirmed", "rdns_not_a_host"]);
        assert!(findings.iter().all(|finding| !finding.text.contains('\x1b')));
    }
}
