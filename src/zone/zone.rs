//! A zone: a name, the datasets that answer below it, and its own records.

use std::net::IpAddr;

use crate::wire::{Name, Rdata, Record, Rtype, Soa};

use super::dataset::Dataset;
use super::entry::AddressEntry;
use super::query::ZoneQuery;
use super::section::Found;
use super::special::{NameServers, ZoneSoa};

/// Datasets under one name. `$SOA` and `$NS` come from the first dataset that has them.
#[derive(Debug)]
pub struct Zone {
    origin: Name,
    datasets: Vec<Dataset>,
    has_ip4: bool,
    is_by_number: bool,
}

/// What a zone answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ZoneAnswer {
    /// There is no such name: not listed.
    NxDomain,
    /// The name is there, without records of this type.
    NoData,
    /// The records; those of one type have one TTL.
    Records(Vec<Record>),
    /// The name is not in the zone, or is its own and it was not told the SOA or NS that it was asked for.
    Refused,
}

impl Zone {
    /// A zone of these datasets, in this order.
    pub fn new(origin: Name, datasets: Vec<Dataset>) -> Zone {
        Zone {
            origin: origin.to_lowercase(),
            has_ip4: datasets.iter().any(Dataset::has_ip4),
            is_by_number: datasets.iter().all(Dataset::is_by_number),
            datasets,
        }
    }

    /// The zone's name, in lower case.
    pub fn origin(&self) -> &Name {
        &self.origin
    }

    /// The datasets.
    pub fn datasets(&self) -> &[Dataset] {
        &self.datasets
    }

    /// The start of the zone.
    pub fn soa(&self) -> Option<&ZoneSoa> {
        self.datasets.iter().find_map(Dataset::soa)
    }

    /// The zone's servers.
    pub fn name_servers(&self) -> Option<&NameServers> {
        self.datasets.iter().find_map(Dataset::name_servers)
    }

    /// What there is for an address: what its name has, without making and reading that where no entry is a name like it.
    ///
    /// Allocates nothing for entries of one value.
    #[inline]
    pub fn entry(&self, address: IpAddr) -> AddressEntry<'_> {
        if !self.is_by_number {
            return self.entry_by_name(address);
        }
        let mut entry = AddressEntry::None;
        for dataset in &self.datasets {
            dataset.values(address, self.has_ip4, |value| entry.add(value));
        }
        entry
    }

    #[cold]
    fn entry_by_name(&self, address: IpAddr) -> AddressEntry<'_> {
        let name = match address {
            IpAddr::V4(address) => Name::reversed_v4(address),
            IpAddr::V6(address) => Name::reversed_v6(address),
        };
        match self.look_up(&ZoneQuery::from_name(&name), Rtype::ANY) {
            Some((true, records)) => AddressEntry::Records(records),
            _ => AddressEntry::None,
        }
    }

    /// What there is of type `rtype` at `name`.
    pub fn answer(&self, name: &Name, rtype: Rtype) -> ZoneAnswer {
        if !name.is_under(&self.origin) {
            return ZoneAnswer::Refused;
        }
        let lower = name.to_lowercase();
        let wire = lower.as_wire();
        let query = ZoneQuery::from_labels(&wire[..wire.len() - self.origin.as_wire().len()]);
        match self.look_up(&query, rtype) {
            None => ZoneAnswer::Refused,
            Some((false, _)) => ZoneAnswer::NxDomain,
            Some((true, records)) if records.is_empty() => ZoneAnswer::NoData,
            Some((true, records)) => ZoneAnswer::Records(
                records
                    .into_iter()
                    .map(|(ttl, data)| Record {
                        name: name.clone(),
                        ttl,
                        data,
                    })
                    .collect(),
            ),
        }
    }

    /// The same for a relative name: whether it exists, and its records with their TTLs. None: refused.
    ///
    /// Allocates nothing if there are no records.
    pub fn look_up(&self, query: &ZoneQuery<'_>, rtype: Rtype) -> Option<(bool, Vec<(u32, Rdata)>)> {
        let mut found = Found::default();
        if query.labels().is_empty() {
            found.exists = true;
            self.own_records(rtype, &mut found)?;
        }
        for dataset in &self.datasets {
            dataset.find(query, self.has_ip4, rtype, &mut found);
        }
        Some((found.exists, found.records))
    }

    /// The SOA and NS records, as far as they are asked for; none if they are and there are none.
    fn own_records(&self, rtype: Rtype, found: &mut Found) -> Option<()> {
        if matches!(rtype, Rtype::SOA | Rtype::ANY) {
            let soa = self.soa()?;
            found.add(
                soa.ttl,
                Rdata::Soa(Soa {
                    primary: soa.primary.clone(),
                    serial: soa.serial,
                    minimum: soa.minimum,
                }),
            );
        }
        if matches!(rtype, Rtype::NS | Rtype::ANY) {
            let servers = self.name_servers()?;
            for name in &servers.names {
                found.add(servers.ttl, Rdata::Ns(name.clone()));
            }
        }
        Some(())
    }

    /// Whether there is an entry below a relative name, so that it exists though it has no records (RFC 8020 §2).
    ///
    /// rbldnsd says NXDOMAIN there all the same, and so does [`Zone::answer`].
    pub fn has_below(&self, query: &ZoneQuery<'_>) -> bool {
        self.datasets.iter().any(|dataset| dataset.has_below(query))
    }
}

#[cfg(test)]
mod tests {
    use super::super::dataset::DatasetKind;
    use super::*;

    fn zone(kind: DatasetKind, text: &str) -> Zone {
        let dataset = Dataset::parse(kind, "test", text.as_bytes()).expect("a good file");
        Zone::new("bl.example".parse().expect("a name"), vec![dataset])
    }

    /// Codes and texts as one line; the rcode if there are none.
    fn ask(zone: &Zone, name: &str) -> String {
        let name: Name = format!("{name}.bl.example").parse().expect("a name");
        let mut shown: Vec<String> = match zone.answer(&name, Rtype::ANY) {
            ZoneAnswer::Records(records) => records
                .iter()
                .map(|record| match &record.data {
                    Rdata::A(address) => address.to_string(),
                    Rdata::Txt(strings) => String::from_utf8_lossy(&strings.concat()).into_owned(),
                    other => other.rtype().to_string(),
                })
                .collect(),
            other => vec![format!("{other:?}")],
        };
        shown.sort();
        shown.join(" | ")
    }

    #[test]
    fn the_smallest_class_of_an_ip4set_answers_with_all_its_values() {
        let zone = zone(
            DatasetKind::Ip4Set,
            "10/8 :8:\n10.1.0.0/17 :17:\n10.1.2 :24:\n10.1.2.0/30 :30:\n10.1.2.1 :32:\n10.1.2.1 :33:\n!10.1.2.2\n",
        );
        assert_eq!(ask(&zone, "1.9.9.10"), "127.0.0.8");
        assert_eq!(ask(&zone, "1.9.1.10"), "127.0.0.17");
        // 10.1.2 and 10.1.0.0/17 are both /24s to an ip4set.
        assert_eq!(ask(&zone, "9.2.1.10"), "127.0.0.17 | 127.0.0.24");
        assert_eq!(ask(&zone, "1.2.1.10"), "127.0.0.30 | 127.0.0.32 | 127.0.0.33");
        assert_eq!(ask(&zone, "2.2.1.10"), "NxDomain");
        assert_eq!(ask(&zone, "1.2.1.11"), "NxDomain");
    }

    #[test]
    fn the_longest_prefix_of_an_ip4trie_answers_alone() {
        let zone = zone(
            DatasetKind::Ip4Trie,
            "10/8 :8:\n10.1.0.0/17 :17:\n10.1.2 :24:\n10.1.2 :25:\n!10.1.2.4/30\n10.1.2.5 one\n",
        );
        assert_eq!(ask(&zone, "9.2.1.10"), "127.0.0.24");
        assert_eq!(ask(&zone, "4.2.1.10"), "NxDomain");
        assert_eq!(ask(&zone, "5.2.1.10"), "127.0.0.2 | one");
        assert_eq!(zone.datasets()[0].warnings().count(), 1, "the second value of 10.1.2");
    }

    #[test]
    fn trivial_sets_have_one_value() {
        let ip4 = zone(
            DatasetKind::Ip4Tset,
            "10.0.0.1\n:3:See $\n10.0.0.2 :9:other\n:4:later\n10.0.0\n",
        );
        assert_eq!(ask(&ip4, "1.0.0.10"), "127.0.0.3 | See 10.0.0.1");
        assert_eq!(ask(&ip4, "2.0.0.10"), "127.0.0.3 | See 10.0.0.2");
        assert_eq!(ask(&ip4, "3.0.0.10"), "NxDomain");
        let ip6 = zone(DatasetKind::Ip6Tset, "2001:db8:1:2\n!2001:db8:1:2::5\n2001:db8::1\n");
        let spelt = |text: &str| Name::reversed_v6(text.parse().expect("an address")).to_string();
        assert_eq!(ask(&ip6, &spelt("2001:db8:1:2::4")), "127.0.0.2");
        assert_eq!(ask(&ip6, &spelt("2001:db8:1:2::5")), "NxDomain");
        assert_eq!(ask(&ip6, &spelt("2001:db8::1")), "NxDomain");
    }

    #[test]
    fn wildcards_of_a_dnset_cover_what_is_below() {
        let zone = zone(
            DatasetKind::Dnset,
            ":2:$ is listed\nplain.test\n*.wild.test\n.both.test\n!not.both.test\n!.hole.wild.test :5:\n",
        );
        assert_eq!(ask(&zone, "PLAIN.test"), "127.0.0.2 | plain.test is listed");
        assert_eq!(ask(&zone, "a.plain.test"), "NxDomain");
        assert_eq!(ask(&zone, "wild.test"), "NxDomain");
        assert_eq!(ask(&zone, "a.b.wild.test"), "127.0.0.2 | wild.test is listed");
        assert_eq!(ask(&zone, "both.test"), "127.0.0.2 | both.test is listed");
        assert_eq!(ask(&zone, "not.both.test"), "NxDomain");
        assert_eq!(ask(&zone, "a.not.both.test"), "127.0.0.2 | both.test is listed");
        assert_eq!(ask(&zone, "a.hole.wild.test"), "NxDomain");
    }

    #[test]
    fn sections_of_a_combined_dataset_answer_in_their_subzones() {
        let zone = zone(
            DatasetKind::Combined,
            "$TTL 60\n$1 base\n$DATASET ip4set:a one @ # both\n:2:$1 $\n10.0.0.1\n\
             $DATASET dnset two\n$TTL 90\n:3:\nx.test\n$DATASET generic one two @\nwww A 192.0.2.1\n",
        );
        assert_eq!(ask(&zone, "1.0.0.10"), "127.0.0.2 | base 10.0.0.1");
        assert_eq!(ask(&zone, "1.0.0.10.one"), "127.0.0.2 | base 10.0.0.1");
        assert_eq!(ask(&zone, "1.0.0.10.two"), "NxDomain");
        assert_eq!(ask(&zone, "x.test.two"), "127.0.0.3");
        assert_eq!(ask(&zone, "www.two"), "192.0.2.1");
        assert_eq!(ask(&zone, "two"), "NoData");
        assert_eq!(ask(&zone, "three"), "NxDomain");
        let name = "x.test.two.bl.example".parse().expect("a name");
        let ZoneAnswer::Records(records) = zone.answer(&name, Rtype::A) else {
            panic!("x.test is listed");
        };
        assert_eq!(records[0].ttl, 90);
    }

    #[test]
    fn a_plain_list_says_its_reasons() {
        let zone = zone(
            DatasetKind::Prefixes,
            "; a comment\r\n192.0.2.0/24 ; SBL1 costs $5\r\n2001:db8::/32 # v6\n198.51.100.7\n10.0.0.1/8\n",
        );
        assert_eq!(ask(&zone, "9.2.0.192"), "127.0.0.2 | SBL1 costs $5");
        assert_eq!(ask(&zone, "7.100.51.198"), "127.0.0.2");
        assert_eq!(ask(&zone, "1.0.0.10"), "NxDomain");
        let spelt = Name::reversed_v6("2001:db8::9".parse().expect("an address"));
        assert_eq!(ask(&zone, &spelt.to_string()), "127.0.0.2 | v6");
    }

    #[test]
    fn the_apex_has_its_own_records() {
        let with = zone(
            DatasetKind::Ip4Set,
            "$SOA 0 ns.example admin.example 5 1h 1h 1w 10m\n$NS 1h ns.example\n$TTL 99\n",
        );
        let apex: Name = "bl.example".parse().expect("a name");
        assert!(matches!(with.answer(&apex, Rtype::SOA), ZoneAnswer::Records(records) if records[0].ttl == 2_100));
        assert_eq!(with.answer(&apex, Rtype::A), ZoneAnswer::NoData);
        let without = zone(DatasetKind::Ip4Set, "10.0.0.1\n");
        assert_eq!(without.answer(&apex, Rtype::SOA), ZoneAnswer::Refused);
        assert_eq!(without.answer(&apex, Rtype::A), ZoneAnswer::NoData);
        assert_eq!(without.answer(&Name::root(), Rtype::A), ZoneAnswer::Refused);
    }

    #[test]
    fn broken_lines_are_warnings_and_bounded() {
        let mut text = "10.0.0.1\nrubbish\n10.0.0.2 :x\n$NONSENSE\n\u{ff}\n".to_owned();
        text.push_str(&"nonsense again\n".repeat(100));
        let zone = zone(DatasetKind::Ip4Set, &text);
        let warnings = zone.datasets()[0].warnings();
        assert_eq!(warnings.kept.len(), super::super::error::WARNINGS_MAX);
        assert_eq!(warnings.count(), 104);
        assert_eq!(
            warnings.kept[0].to_string(),
            "test:2: rubbish: not an IPv4 address, prefix or range"
        );
        assert_eq!(ask(&zone, "1.0.0.10"), "127.0.0.2");
    }

    #[test]
    fn what_rbldnsd_does_not_load_is_an_error() {
        let refused = |kind, text: &str| {
            let error = Dataset::parse(kind, "f", text.as_bytes()).expect_err("refused");
            error.to_string()
        };
        assert!(refused(DatasetKind::Combined, "\n10.0.0.1\n").starts_with("f:2: 10.0.0.1: "));
        assert!(refused(DatasetKind::Combined, "$DATASET combined x\n").starts_with("f:1: "));
        assert!(refused(DatasetKind::Combined, "$DATASET nonsense x\n").starts_with("f:1: "));
        assert!(refused(DatasetKind::Generic, "@ MX 10\n").starts_with("f:1: "));
        assert!(refused(DatasetKind::Generic, "www 3x A 192.0.2.1\n").starts_with("f:1: "));
        let missing = Dataset::load(DatasetKind::Ip4Set, std::path::Path::new("/nonexistent/zone"));
        assert!(matches!(
            missing,
            Err(super::super::error::ZoneFileError::Unreadable { .. })
        ));
    }

    #[test]
    fn ranges_over_the_bound_are_left_out() {
        let zone = zone(
            DatasetKind::Ip4Set,
            "$MAXRANGE4 /24\n10/8\n10.0.0\n$MAXRANGE4 65536\n10.1/16\n!10.0.0.0/28\n",
        );
        assert_eq!(ask(&zone, "1.1.1.10"), "NxDomain");
        assert_eq!(ask(&zone, "16.0.0.10"), "127.0.0.2");
        assert_eq!(ask(&zone, "15.0.0.10"), "NxDomain");
    }

    proptest::proptest! {
        /// Whatever stands in a file, reading and asking it ends well.
        #[test]
        fn no_text_is_too_hostile(
            text in "([!:$#;=.*@/ 0-9a-f\\\\-]|\n|\\$[A-Z0-9=]{1,9} |127\\.|::|[^\\x01]){0,60}",
            name in "([a-f0-9]{1,3}\\.){0,34}[a-f0-9]",
        ) {
            for kind in ["ip4set", "ip4tset", "ip4trie", "ip6tset", "ip6trie", "dnset", "generic", "combined", "cidr"] {
                let kind = DatasetKind::by_name(kind).expect("a kind");
                for text in [text.clone(), format!("$DATASET ip6trie @\n{text}"), format!("w MX 1 {text}")] {
                    let Ok(dataset) = Dataset::parse(kind, "test", text.as_bytes()) else { continue };
                    let zone = Zone::new(Name::root(), vec![dataset]);
                    let name: Name = name.parse().expect("a good name");
                    zone.answer(&name, Rtype::ANY);
                    zone.has_below(&ZoneQuery::from_name(&name));
                }
            }
        }
    }

    #[test]
    fn names_above_entries_are_known() {
        let zone = zone(DatasetKind::Ip4Set, "127.0.0.2\n!10.0.0.1\n198.51.100\n");
        let below = |text: &str| {
            let name: Name = text.parse().expect("a name");
            zone.has_below(&ZoneQuery::from_name(&name))
        };
        assert!(below("0.0.127"));
        assert!(below("127"));
        assert!(below("198"));
        assert!(!below("0.0.10"));
        assert!(!below("1.0.127"));
        assert!(!below("www"));
    }
}
