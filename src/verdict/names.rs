//! What the names (PTR) of a range say as a whole: how many addresses have one, whether they lead back, what they are
//! like, and whose they are. Read from the records of the `rdns` stage.
//!
//! Memory: a counter a registrable domain, at most [`DOMAINS_MAX`]; addresses under further domains are counted as others.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::dossier::Dossier;

/// Registrable domains that are told apart: far more than a range that one party runs has.
pub(crate) const DOMAINS_MAX: usize = 4_096;

/// Named addresses that a range must have before most of them mean anything.
const NAMED_MIN: u64 = 4;

/// Counters over the addresses of a range.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Names {
    /// Addresses whose names were looked for.
    pub addresses: u64,
    /// With a name.
    pub named: u64,
    /// Without one.
    pub unnamed: u64,
    /// Of which it could not be learnt.
    pub unknown: u64,
    /// With a name that has the address (FCrDNS; iprev `pass`, RFC 8601 §3).
    pub confirmed: u64,
    /// With names of which none has the address.
    pub mismatched: u64,
    /// By the class of the first name.
    pub mail: u64,
    /// A numbered name for a fixed address.
    pub r#static: u64,
    /// A numbered name of an access line.
    pub dynamic: u64,
    /// A numbered name; of what, does not show.
    pub generic: u64,
    /// A name given by hand.
    pub given: u64,
    /// Addresses by registrable domain, and how many of them do not lead back.
    #[serde(skip)]
    domains: BTreeMap<String, Domain>,
    #[serde(skip)]
    others: u64,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Domain {
    addresses: u64,
    stale: u64,
}

/// A registrable domain of a range.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct NamedDomain {
    /// The domain.
    pub domain: String,
    /// Addresses with a name under it.
    pub addresses: u64,
    /// Of these: none of the names leads back.
    pub stale: u64,
    /// It is not the domain that most of the range is under, and its names lead nowhere: an earlier tenant's.
    pub earlier: bool,
}

impl Names {
    /// Takes an address in, if the `rdns` stage looked at it.
    pub fn add(&mut self, dossier: &Dossier) {
        let Some((_, record)) = dossier.stages.iter().rev().find(|(stage, _)| *stage == "rdns") else {
            return;
        };
        self.addresses += 1;
        let iprev = record.get("iprev").and_then(Value::as_str).unwrap_or_default();
        let first = record
            .get("names")
            .and_then(Value::as_array)
            .and_then(|names| names.first());
        let Some(first) = first else {
            *match iprev {
                "permerror" => &mut self.unnamed,
                _ => &mut self.unknown,
            } += 1;
            return;
        };
        self.named += 1;
        match iprev {
            "pass" => self.confirmed += 1,
            "fail" => self.mismatched += 1,
            _ => {}
        }
        *match first.get("class").and_then(Value::as_str).unwrap_or_default() {
            "mail" => &mut self.mail,
            "static" => &mut self.r#static,
            "dynamic" => &mut self.dynamic,
            "generic" => &mut self.generic,
            _ => &mut self.given,
        } += 1;
        if let Some(domain) = record.get("domain").and_then(Value::as_str) {
            self.add_domain(domain, iprev == "fail");
        }
    }

    fn add_domain(&mut self, domain: &str, stale: bool) {
        if !self.domains.contains_key(domain) {
            if self.domains.len() >= DOMAINS_MAX {
                self.others += 1;
                return;
            }
            self.domains.insert(domain.to_owned(), Domain::default());
        }
        let counted = self.domains.get_mut(domain).expect("put there just now");
        counted.addresses += 1;
        counted.stale += u64::from(stale);
    }

    /// The domain that over half of the named addresses are under, if enough have a name.
    pub fn majority(&self) -> Option<&str> {
        let under = self.domains.values().map(|domain| domain.addresses).sum::<u64>() + self.others;
        let (name, most) = self.domains.iter().max_by_key(|(_, domain)| domain.addresses)?;
        (under >= NAMED_MIN && most.addresses * 2 > under).then_some(name.as_str())
    }

    /// Addresses whose name is under another domain than most, and does not lead back: an earlier tenant's. Without a
    /// majority nobody is called an earlier tenant.
    pub fn left_behind(&self) -> u64 {
        let Some(majority) = self.majority() else { return 0 };
        let others = self.domains.iter().filter(|(name, _)| *name != majority);
        others.map(|(_, domain)| domain.stale).sum()
    }

    /// The `most` domains with the most addresses, the largest first.
    pub fn domains(&self, most: usize) -> Vec<NamedDomain> {
        let majority = self.majority();
        let mut domains: Vec<NamedDomain> = self
            .domains
            .iter()
            .map(|(name, domain)| NamedDomain {
                domain: name.clone(),
                addresses: domain.addresses,
                stale: domain.stale,
                earlier: domain.stale > 0 && majority.is_some_and(|majority| majority != name),
            })
            .collect();
        domains.sort_by_key(|domain| std::cmp::Reverse(domain.addresses)); // stable: then by name
        domains.truncate(most);
        domains
    }

    /// How many domains there are, those that are not told apart left out.
    pub fn domain_count(&self) -> usize {
        self.domains.len()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::sample;
    use super::*;

    fn named(names: &mut Names, address: &str, record: Value) {
        let mut dossier = sample::dossier(address, &[]);
        dossier.stages = vec![("rdns", record)];
        names.add(&dossier);
    }

    fn record(iprev: &str, class: &str, domain: &str) -> Value {
        json!({"iprev": iprev, "names": [{"name": format!("x.{domain}"), "class": class}], "domain": domain})
    }

    #[test]
    fn what_is_unknown_is_neither_named_nor_unnamed() {
        let mut names = Names::default();
        named(&mut names, "192.0.2.1", json!({"iprev": "permerror", "names": []}));
        named(
            &mut names,
            "192.0.2.2",
            json!({"iprev": "temperror", "names": [], "unknown": "timeout"}),
        );
        named(&mut names, "192.0.2.3", record("pass", "mail", "new.example"));
        names.add(&sample::dossier("192.0.2.4", &[]));
        assert_eq!(
            (names.addresses, names.named, names.unnamed, names.unknown),
            (3, 1, 1, 1)
        );
        assert_eq!((names.confirmed, names.mail), (1, 1));
    }

    #[test]
    fn an_earlier_tenant_is_another_domain_that_leads_nowhere() {
        let mut names = Names::default();
        for at in 1..=5 {
            named(
                &mut names,
                &format!("192.0.2.{at}"),
                record("pass", "static", "new.example"),
            );
        }
        named(&mut names, "192.0.2.6", record("pass", "mail", "customer.example"));
        named(&mut names, "192.0.2.7", record("fail", "generic", "old.example"));
        assert_eq!(names.majority(), Some("new.example"));
        assert_eq!(names.left_behind(), 1);
        let domains = names.domains(2);
        assert_eq!((domains[0].domain.as_str(), domains[0].addresses), ("new.example", 5));
        assert_eq!(domains.len(), 2);
        assert!(
            names
                .domains(9)
                .iter()
                .any(|domain| domain.domain == "old.example" && domain.earlier)
        );
    }

    #[test]
    fn without_a_majority_nobody_is_accused() {
        let mut names = Names::default();
        for at in 1..=4 {
            let domain = if at % 2 == 0 { "a.example" } else { "b.example" };
            named(&mut names, &format!("192.0.2.{at}"), record("fail", "generic", domain));
        }
        assert_eq!((names.majority(), names.left_behind()), (None, 0));
    }
}
