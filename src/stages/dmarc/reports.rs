//! Whether those who are to receive a domain's DMARC reports have agreed to (RFC 9990, verifying external destinations).
//!
//! A report address under another organisation needs a TXT record `v=DMARC1` at
//! `<policy domain>._report._dmarc.<its domain>`; without it, receivers of mail send no report there.

use super::record::{Record, Version, version};
use crate::exchange::Resolver;
use crate::stages::ask::{Known, texts, together};
use crate::stages::domain::registrable;
use crate::stages::escape::quote;
use crate::stages::finding::Finding;
use crate::wire::Name;

/// External destinations that are asked for; two are usual.
pub(super) const DESTINATIONS_MAX: usize = 6;

/// Asks for the consent of destinations outside the policy's own domain.
pub(super) async fn destinations(resolver: &dyn Resolver, domain: &Name, record: &Record) -> Vec<Finding> {
    let mut hosts: Vec<Name> = Vec::new();
    for uri in record.rua.iter().chain(&record.ruf) {
        if let Some(host) = mail_host(uri)
            && external(&host, domain)
            && !hosts.contains(&host)
            && hosts.len() < DESTINATIONS_MAX
        {
            hosts.push(host);
        }
    }
    together(hosts.iter().map(|host| consent(resolver, domain, host)))
        .await
        .into_iter()
        .flatten()
        .collect()
}

fn mail_host(uri: &str) -> Option<Name> {
    let (scheme, rest) = uri.split_once(':')?;
    let (_, host) = rest.split('?').next()?.rsplit_once('@')?;
    scheme
        .eq_ignore_ascii_case("mailto")
        .then(|| host.parse().ok())
        .flatten()
}

/// Whether a host is of another organisation, by the public suffix list.
fn external(host: &Name, domain: &Name) -> bool {
    !host.is_under(domain) && !domain.is_under(host) && registrable(host) != registrable(domain)
}

async fn consent(resolver: &dyn Resolver, domain: &Name, host: &Name) -> Option<Finding> {
    let mut name = domain.clone();
    name.push(b"_report")
        .and_then(|()| name.push(b"_dmarc"))
        .and_then(|()| name.append(host))
        .ok()?;
    let (found, seen) = match texts(resolver, name.clone()).await {
        Known::Some(found) => {
            let agreed = found.texts.iter().any(|text| version(text) == Version::Yes);
            (
                agreed || found.malformed > 0 || found.cut,
                found.texts.first().map(|text| quote(text)),
            )
        }
        Known::Nothing { .. } => (false, None),
        Known::Unknown(_) => (true, None),
    };
    if found {
        return None;
    }
    let seen = seen.map_or(String::new(), |text| format!("; there is \"{text}\""));
    let text =
        format!("{host} has not agreed to receive the DMARC reports of {domain}: no v=DMARC1 record at {name}{seen}");
    let mend =
        format!("have a TXT record \"v=DMARC1\" published at {name}, or send the reports to an address of your own");
    Some(Finding::warning(super::policy::STAGE, "dmarc_reports_not_authorised", text).mend(mend))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stages::testing::{World, codes, name};
    use crate::wire::Rtype;

    async fn run(world: &World, rua: &str) -> Vec<Finding> {
        let record = Record::parse(format!("v=DMARC1; p=none; rua={rua}").as_bytes());
        destinations(world, &name("example.org"), &record).await
    }

    #[tokio::test]
    async fn strangers_must_agree_and_relatives_need_not() {
        let world = World::new();
        assert!(
            run(&world, "mailto:a@example.org, mailto:b@reports.example.org")
                .await
                .is_empty()
        );
        assert!(world.asked().is_empty());
        assert_eq!(
            codes(&run(&world, "mailto:a@example.net,mailto:b@example.net").await),
            ["dmarc_reports_not_authorised"]
        );
        let agreed = World::new().txt("example.org._report._dmarc.example.net", "v=DMARC1;");
        assert!(run(&agreed, "mailto:a@example.net").await.is_empty());
        let silent = World::new().silent("example.org._report._dmarc.example.net", Rtype::TXT);
        assert!(
            run(&silent, "mailto:a@example.net").await.is_empty(),
            "not known is no accusation"
        );
    }

    #[tokio::test]
    async fn a_crowd_of_destinations_is_asked_only_so_far() {
        let rua: Vec<String> = (0..12).map(|index| format!("mailto:a@d{index}.example")).collect();
        let world = World::new();
        assert_eq!(run(&world, &rua.join(",")).await.len(), DESTINATIONS_MAX);
        assert!(run(&world, "https://example.net/x").await.is_empty());
    }
}
