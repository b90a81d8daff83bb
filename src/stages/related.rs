//! Names related to a target, which the lists of a run are asked about too: the domain of an address's name, and the
//! addresses that take a domain's mail.

use std::net::IpAddr;

use serde_json::Value;

use super::mx;
use super::rdns;
use super::run::{Explained, Stage, StageOptions, Stages};
use crate::targets::{Domain, Kind, Target, special_use};

/// Related names of one target at most.
pub const RELATED_MAX: usize = 3;

/// Kinds of names that targets of these kinds may be found to be related to.
pub fn related_kinds(which: Stages, options: &StageOptions, kinds: &[Kind]) -> Vec<Kind> {
    let looked_at = |stages: &[Stage]| options.related && stages.iter().any(|stage| which.has(*stage));
    let mut related = Vec::new();
    if kinds.iter().any(|kind| *kind != Kind::Domain) && looked_at(&[Stage::Rdns, Stage::Mx]) {
        related.push(Kind::Domain);
    }
    if kinds.contains(&Kind::Domain) && looked_at(&[Stage::Mx]) {
        related.extend([Kind::Ip4, Kind::Ip6]);
    }
    related
}

/// The names that the records of `target` relate it to, at most [`RELATED_MAX`], each once. Never special-use space.
pub fn related(target: &Target, (records, _): &Explained) -> Vec<Target> {
    let record = |stage: &str| records.iter().find(|(of, _)| *of == stage).map(|(_, record)| record);
    let mut found: Vec<Target> = Vec::new();
    match target {
        // Without the names themselves: the domain whose exchangers were looked at is the same.
        Target::Ip4(_) | Target::Ip6(_) => {
            let domain = record(rdns::STAGE).or_else(|| record(mx::STAGE));
            let domain = domain.and_then(|record| Domain::new(record.get("domain")?.as_str()?).ok());
            found.extend(domain.map(Target::Domain));
        }
        Target::Domain(_) => {
            let hosts = record(mx::STAGE).and_then(|record| record.get("exchangers")?.as_array());
            let addresses = hosts.into_iter().flatten();
            let addresses = addresses.filter_map(|host| host.get("addresses")?.as_array()).flatten();
            for address in addresses
                .filter_map(Value::as_str)
                .filter_map(|text| text.parse::<IpAddr>().ok())
            {
                let address = Target::from(address);
                if !found.contains(&address) {
                    found.push(address);
                }
            }
        }
    }
    found.retain(|target| special_use(target).is_none());
    found.truncate(RELATED_MAX);
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(target: &str, records: Vec<(&'static str, Value)>) -> Vec<String> {
        let target = match target.parse::<IpAddr>() {
            Ok(IpAddr::V4(address)) => Target::Ip4(address),
            Ok(IpAddr::V6(address)) => Target::Ip6(address),
            Err(_) => Target::Domain(Domain::new(target).expect("a domain")),
        };
        let found = related(&target, &(records, Vec::new()));
        found.iter().map(Target::to_string).collect()
    }

    #[test]
    fn an_address_has_the_domain_of_its_name() {
        let record = |domain: &str| serde_json::json!({"domain": domain});
        assert_eq!(
            words("192.0.2.7", vec![("rdns", record("example.org"))]),
            ["example.org"]
        );
        assert_eq!(words("192.0.2.7", vec![("mx", record("example.org"))]), ["example.org"]);
        assert!(words("192.0.2.7", vec![("rdns", record("x.invalid"))]).is_empty());
        assert!(words("192.0.2.7", vec![("rdns", serde_json::json!({}))]).is_empty());
    }

    #[test]
    fn a_domain_has_its_exchangers_addresses_but_a_few_only() {
        let hosts = serde_json::json!({"exchangers": [
            {"addresses": ["192.0.2.1", "192.0.2.1", "10.0.0.1"]},
            {"addresses": ["::ffff:192.0.2.2", "2001:db8::1", "192.0.2.9"]},
        ]});
        assert_eq!(
            words("example.org", vec![("mx", hosts)]),
            ["192.0.2.1", "192.0.2.2", "2001:db8::1"]
        );
        assert!(words("example.org", vec![]).is_empty());
    }
}
