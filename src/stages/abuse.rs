//! The `abuse` stage: who takes complaints about an address, by Abusix's contact database over DNS.
//!
//! `<reversed address>.abuse-contacts.abusix.zone TXT` answers addresses with commas between them. The first address of
//! the /24 or /48 is asked for, so that neighbours share the resolver's answer: contacts belong to allocations, not to
//! hosts. Bound: [`CONTACTS_MAX`].

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::Serialize;

use super::ask::{Known, texts};
use super::escape::quote;
use super::finding::Finding;
use super::taglist::trim;
use crate::exchange::Resolver;
use crate::wire::Name;

/// The stage's name in records and findings.
pub const STAGE: &str = "abuse";

/// Contacts that are kept; one or two are usual.
pub const CONTACTS_MAX: usize = 8;

/// Longest mail address (RFC 5321 §4.5.3.1.3, without the brackets).
const ADDRESS_OCTETS_MAX: usize = 254;

/// Who takes complaints.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Abuse {
    /// Mail addresses.
    pub contacts: Vec<String>,
    /// Why they are not known, if so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unknown: Option<String>,
}

/// Asks who takes complaints about an address.
pub async fn abuse(resolver: &dyn Resolver, address: IpAddr) -> (Abuse, Vec<Finding>) {
    let found = match texts(resolver, contact_name(address)).await {
        Known::Some(found) => found,
        Known::Nothing { .. } => {
            let text = format!("no abuse contact is registered for {address}");
            let mend = "have the registry's record of the network name an abuse mailbox";
            return (
                Abuse::default(),
                vec![Finding::info(STAGE, "abuse_missing", text).mend(mend)],
            );
        }
        Known::Unknown(why) => {
            let text = format!("the abuse contact of {address} is not known: {why}");
            let abuse = Abuse {
                contacts: Vec::new(),
                unknown: Some(why),
            };
            return (abuse, vec![Finding::info(STAGE, "abuse_unknown", text)]);
        }
    };
    let mut abuse = Abuse::default();
    let mut findings = Vec::new();
    for piece in found
        .texts
        .iter()
        .flat_map(|text| text.split(|&octet| octet == b','))
        .map(trim)
    {
        match mail_address(piece) {
            Some(contact) if abuse.contacts.contains(&contact) => {}
            Some(contact) if abuse.contacts.len() < CONTACTS_MAX => abuse.contacts.push(contact),
            Some(_) => break,
            None if piece.is_empty() || !findings.is_empty() => {}
            None => {
                let text = format!(
                    "an abuse contact of {address} is not a mail address: \"{}\"",
                    quote(piece)
                );
                findings.push(Finding::info(STAGE, "abuse_malformed", text));
            }
        }
    }
    if abuse.contacts.is_empty() {
        abuse.unknown = Some("no contact could be read".to_owned());
    }
    abuse.contacts.sort_unstable();
    (abuse, findings)
}

/// The name that serves the address's /24 or /48.
pub fn contact_name(address: IpAddr) -> Name {
    let mut name = match address {
        IpAddr::V4(v4) => Name::reversed_v4(Ipv4Addr::from_bits(v4.to_bits() & (!0 << 8))),
        IpAddr::V6(v6) => Name::reversed_v6(Ipv6Addr::from_bits(v6.to_bits() & (!0 << 80))),
    };
    for label in ["abuse-contacts", "abusix", "zone"] {
        name.push(label.as_bytes()).expect("92 octets at most");
    }
    name
}

/// A plain mail address: no quoting, no controls, a domain with two labels.
fn mail_address(text: &[u8]) -> Option<String> {
    let text = str::from_utf8(text).ok()?;
    let (local, domain) = text.rsplit_once('@')?;
    let name: Name = domain.parse().ok()?;
    let fine = |octet: u8| octet.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~.".contains(&octet);
    let good = text.len() <= ADDRESS_OCTETS_MAX
        && !local.is_empty()
        && local.bytes().all(fine)
        && name.label_count() >= 2
        && super::domain::plain(&name).is_some();
    good.then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stages::testing::{World, codes, ip};
    use crate::wire::Rtype;

    const NAME: &str = "0.2.0.192.abuse-contacts.abusix.zone";

    async fn run(world: &World) -> (Abuse, Vec<Finding>) {
        abuse(world, ip("192.0.2.7")).await
    }

    #[test]
    fn one_name_serves_a_whole_24_or_48() {
        assert_eq!(contact_name(ip("192.0.2.7")).to_string(), NAME);
        assert_eq!(
            contact_name(ip("2001:db8:1:2::3")),
            contact_name(ip("2001:db8:1:ffff::1"))
        );
        assert_ne!(contact_name(ip("2001:db8:1::")), contact_name(ip("2001:db8:2::")));
    }

    #[tokio::test]
    async fn contacts_are_read_and_ordered() {
        let world = World::new().txt(NAME, "noc@example.net, abuse@example.net,abuse@example.net");
        let (found, findings) = run(&world).await;
        assert_eq!(found.contacts, ["abuse@example.net", "noc@example.net"]);
        assert!(findings.is_empty());
    }

    #[tokio::test]
    async fn what_is_no_address_is_told_once() {
        let world = World::new().txt(NAME, "<script>, \u{1b}]0;x@y, abuse@example.net, a@b");
        let (found, findings) = run(&world).await;
        assert_eq!((found.contacts.len(), codes(&findings)), (1, vec!["abuse_malformed"]));
        let flood: Vec<String> = (0..100).map(|index| format!("a{index}@example.net")).collect();
        assert_eq!(
            run(&World::new().txt(NAME, &flood.join(","))).await.0.contacts.len(),
            CONTACTS_MAX
        );
    }

    #[tokio::test]
    async fn absence_and_failure_stay_apart() {
        let (found, findings) = run(&World::new()).await;
        assert_eq!((found.unknown, codes(&findings)), (None, vec!["abuse_missing"]));
        let (found, findings) = run(&World::new().silent(NAME, Rtype::TXT)).await;
        assert!(found.unknown.is_some());
        assert_eq!(codes(&findings), ["abuse_unknown"]);
        assert!(run(&World::new().malformed(NAME, Rtype::TXT)).await.0.unknown.is_some());
    }

    proptest::proptest! {
        #[test]
        fn any_octets_can_be_looked_at(text: Vec<u8>) {
            if let Some(address) = mail_address(&text) {
                proptest::prop_assert!(address.bytes().all(|octet| octet.is_ascii_graphic()));
            }
        }
    }
}
