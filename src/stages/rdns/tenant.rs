//! Names that an earlier tenant of a range left behind: those under another domain than most of the range, which do not
//! lead back.
//!
//! A customer with a mail server of their own has a name under their own domain too, but theirs has the address.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::reverse::Rdns;

/// Named addresses that a range must have before most of them mean anything.
const NAMED_MIN: usize = 4;

/// What the names of a range say about its tenant.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize)]
pub struct Tenancy {
    /// Addresses with a name under a registrable domain.
    pub named: usize,
    /// The domain that over half of them are under.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub majority: Option<String>,
    /// Addresses whose name is under another domain and does not lead back, in order.
    pub left_behind: Vec<IpAddr>,
}

/// Compares the registrable domain of each address with that of the range's majority. Without a majority, or with
/// fewer than four names, nobody is called an earlier tenant.
pub fn tenancy<'a>(range: impl IntoIterator<Item = (IpAddr, &'a Rdns)>) -> Tenancy {
    let named: Vec<(IpAddr, &Rdns, &str)> = range
        .into_iter()
        .filter_map(|(address, rdns)| Some((address, rdns, rdns.domain.as_deref()?)))
        .collect();
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for (_, _, domain) in &named {
        *counts.entry(domain).or_default() += 1;
    }
    let most = counts.into_iter().max_by_key(|(_, count)| *count);
    let majority = most
        .filter(|(_, count)| named.len() >= NAMED_MIN && count * 2 > named.len())
        .map(|(domain, _)| domain);
    let left_behind = named
        .iter()
        .filter(|(_, rdns, domain)| majority.is_some_and(|majority| majority != *domain) && stale(rdns))
        .map(|(address, _, _)| *address)
        .collect();
    Tenancy {
        named: named.len(),
        majority: majority.map(str::to_owned),
        left_behind,
    }
}

/// Whether it is certain that no name leads back.
fn stale(rdns: &Rdns) -> bool {
    rdns.iprev == super::reverse::Iprev::Fail
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stages::rdns::reverse::rdns;
    use crate::stages::testing::{World, ip};

    /// Names for 192.0.2.1 and on: (name, whether it leads back).
    async fn range(names: &[(&str, bool)]) -> Tenancy {
        let mut found = Vec::new();
        for (index, (host, back)) in names.iter().enumerate() {
            let address = format!("192.0.2.{}", index + 1);
            let world = World::new().ptr(&address, host);
            let world = if *back {
                world.a(host, &address)
            } else {
                world.a(host, "198.51.100.1")
            };
            found.push((ip(&address), rdns(&world, ip(&address)).await.0));
        }
        tenancy(found.iter().map(|(address, rdns)| (*address, rdns)))
    }

    #[tokio::test]
    async fn stale_names_under_another_domain_were_left_behind() {
        let found = range(&[
            ("a.new.example", true),
            ("b.new.example", true),
            ("c.new.example", false),
            ("mail.customer.example", true),
            ("x.old.example", false),
        ])
        .await;
        assert_eq!(found.majority.as_deref(), Some("new.example"));
        assert_eq!(found.left_behind, [ip("192.0.2.5")]);
    }

    #[tokio::test]
    async fn without_a_majority_nobody_is_accused() {
        let half = [
            ("a.new.example", true),
            ("b.new.example", true),
            ("a.old.example", false),
            ("b.old.example", false),
        ];
        assert_eq!(range(&half).await.left_behind, Vec::<IpAddr>::new());
        assert_eq!(
            range(&[("a.new.example", true), ("x.old.example", false)])
                .await
                .majority,
            None
        );
        assert_eq!(range(&[]).await, Tenancy::default());
    }
}
