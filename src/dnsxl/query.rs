//! The query names of a list (RFC 5782 §2.1, §2.4, §3), prepared once, then made without allocating.
//!
//! A name is a prefix (a key, for the few that want it first), the target (an address reversed by octet or by nibble, a
//! domain as it is), and the zone behind. An address of a list with an `ip6_unit` is asked as it is: who shares answers
//! among addresses of one unit is the plan's matter. A domain without a registrable part (a public suffix) is asked in full.
//!
//! A target whose name would be longer than 255 octets cannot have an entry in the zone: [`Reason::Unsupported`].

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::targets::{Domain, Kind, Target};
use crate::wire::{Name, NameError};

use super::key::{KEY_MARK, Key};
use super::list::{List, NameForm, Status};
use super::observation::Reason;

/// Where the target stands in a `query` form.
const TARGET_MARK: &str = "{target}";

/// The questions of one list, prepared.
#[derive(Debug, Clone)]
pub struct Questions {
    /// Labels before the target.
    prefix: Name,
    /// Labels behind the target, a key among them perhaps.
    suffix: Name,
    /// The part of the suffix behind the last key label.
    apex: Name,
    key: Option<Key>,
    kinds: Vec<Kind>,
    name_form: NameForm,
}

/// What a probe asks a list for. Unlike a [`Target`] it can be an IPv4-mapped IPv6 address, which the IPv6 test entries
/// are (RFC 5782 §5).
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(
    clippy::large_enum_variant,
    reason = "a handful exist for each list; a box would buy nothing"
)]
pub enum Subject {
    /// An IPv4 address.
    Ip4(Ipv4Addr),
    /// An IPv6 address, asked by nibbles whatever it is.
    Ip6(Ipv6Addr),
    /// A name, asked as it is, whatever the list's name form.
    Name(Name),
}

/// The one or two names that a target is asked by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names {
    first: Name,
    /// Few have one: apart, so that the others are moved at half the cost.
    second: Option<Box<Name>>,
}

impl Names {
    /// The names, in the order to ask them.
    pub fn iter(&self) -> impl Iterator<Item = &Name> {
        std::iter::once(&self.first).chain(self.second.as_deref())
    }

    /// How many there are: 1 or 2.
    pub fn count(&self) -> usize {
        1 + usize::from(self.second.is_some())
    }
}

impl Questions {
    /// Prepares the questions of a list; a key that the list has no place for is left alone.
    ///
    /// # Errors
    /// The reason why the list cannot be asked: it is retired, needs a key that is not there, or its zone is no name
    /// (which no list of a catalogue has: `Unsupported`).
    pub fn prepare(list: &List, key: Option<&Key>) -> Result<Questions, Reason> {
        if list.status == Status::Retired {
            return Err(Reason::Retired);
        }
        let key = key.filter(|_| list.needs_key());
        if list.needs_key() && key.is_none() {
            return Err(Reason::NoKey);
        }
        let (before, behind) = match &list.query {
            Some(query) => query.split_once(TARGET_MARK).ok_or(Reason::Unsupported)?,
            None => ("", list.zone.as_str()),
        };
        let fill = |text: &str| fill(text, key).map_err(|_| Reason::Unsupported);
        let after_key = behind.rsplit_once(KEY_MARK).map_or(behind, |(_, after)| after);
        Ok(Questions {
            prefix: fill(before)?,
            suffix: fill(behind)?,
            apex: fill(after_key)?,
            key: key.cloned(),
            kinds: list.kinds.clone(),
            name_form: list.name_form,
        })
    }

    /// The questions of a list as they are asked of its data at hand: relative to the zone, without a key, and of retired
    /// lists too.
    pub fn relative(list: &List) -> Questions {
        Questions {
            prefix: Name::root(),
            suffix: Name::root(),
            apex: Name::root(),
            key: None,
            kinds: list.kinds.clone(),
            name_form: list.name_form,
        }
    }

    /// The names to ask for a target: two where the list wants a domain in both forms and they differ.
    ///
    /// # Errors
    /// `Unsupported`, if the list does not take the target's kind, or no name for it fits into 255 octets.
    pub fn names(&self, target: &Target) -> Result<Names, Reason> {
        let mut names = Names {
            first: Name::root(),
            second: None,
        };
        names.second = self.write_names(target, &mut names.first)?;
        Ok(names)
    }

    /// The same, the first of them written in its place: a scan makes millions, and moving one costs as much as making it.
    ///
    /// # Errors
    /// As there.
    pub fn write_names(&self, target: &Target, first: &mut Name) -> Result<Option<Box<Name>>, Reason> {
        if !self.kinds.contains(&target.kind()) {
            return Err(Reason::Unsupported);
        }
        let written = match target {
            Target::Ip4(address) if self.prefix.is_root() => {
                first.set_reversed_v4(*address);
                first.append(&self.suffix)
            }
            Target::Ip4(address) => self.write(&Name::reversed_v4(*address), first),
            Target::Ip6(address) => self.write(&Name::reversed_v6(*address), first),
            Target::Domain(domain) => match self.name_form {
                NameForm::Full => self.write(&domain.to_name(), first),
                NameForm::Registrable => {
                    let name = registrable(domain).unwrap_or_else(|| domain.to_name());
                    self.write(&name, first)
                }
                NameForm::Both => return self.write_both(domain, first),
            },
        };
        match written {
            Ok(()) => Ok(None),
            Err(_) => Err(Reason::Unsupported),
        }
    }

    /// The full name, then the registrable one; a full name that is too long leaves the other.
    fn write_both(&self, domain: &Domain, first: &mut Name) -> Result<Option<Box<Name>>, Reason> {
        let full = domain.to_name();
        let short = registrable(domain).filter(|short| *short != full);
        let short = short.and_then(|short| self.wrap(&short).ok());
        match (self.write(&full, first), short) {
            (Ok(()), short) => Ok(short.map(Box::new)),
            (Err(_), Some(short)) => {
                first.clone_from(&short);
                Ok(None)
            }
            (Err(_), None) => Err(Reason::Unsupported),
        }
    }

    /// The name of a probe.
    ///
    /// # Errors
    /// If it would be longer than 255 octets.
    pub fn probe(&self, subject: &Subject) -> Result<Name, NameError> {
        match subject {
            Subject::Ip4(address) => self.wrap(&Name::reversed_v4(*address)),
            Subject::Ip6(address) => self.wrap(&Name::reversed_v6(*address)),
            Subject::Name(name) => self.wrap(name),
        }
    }

    /// The name of a parent of an address' name: of `192.0.2.0/24`, `2.0.192.ZONE` (RFC 8020 pruning). None where a key
    /// stands before the target, or the name is too long.
    pub fn parent_v4(&self, address: Ipv4Addr, octets: usize) -> Option<Name> {
        if !self.prefix.is_root() {
            return None;
        }
        let mut name = Name::reversed_v4(address);
        for _ in octets.min(4)..4 {
            name = name.parent()?;
        }
        self.wrap(&name).ok()
    }

    fn wrap(&self, target: &Name) -> Result<Name, NameError> {
        let mut name = Name::root();
        self.write(target, &mut name)?;
        Ok(name)
    }

    fn write(&self, target: &Name, name: &mut Name) -> Result<(), NameError> {
        name.clone_from(&self.prefix);
        name.append(target)?;
        name.append(&self.suffix)
    }

    /// The labels that stand before the target; the root where there are none, as almost everywhere.
    pub fn prefix(&self) -> &Name {
        &self.prefix
    }

    /// The zone as it is asked, key labels included: a secret if the list has a key. Show `List::zone` instead.
    pub fn zone(&self) -> &Name {
        &self.suffix
    }

    /// The zone behind the last key label: where the zone cut is looked for, and below which aliases may point.
    pub fn apex(&self) -> &Name {
        &self.apex
    }

    /// How many octets at the end of a name's wire form are the zone's, the root's included and a key's not: the only
    /// letters that may change their case (keys may be case-sensitive, other labels are digits or the target's own).
    pub fn zone_octets(&self) -> usize {
        self.apex.as_wire().len()
    }

    /// A text from the list as it may be shown: with `{key}` for the key.
    pub fn redact_text(&self, text: String) -> String {
        match &self.key {
            Some(key) => key.redact_text(&text),
            None => text,
        }
    }
}

/// A template's labels as a name, the key put in; dots at its ends come from the place of the target and go.
fn fill(text: &str, key: Option<&Key>) -> Result<Name, NameError> {
    let text = text.trim_matches('.');
    if text.is_empty() {
        return Ok(Name::root());
    }
    match key {
        Some(key) => text.replace(KEY_MARK, key.expose()).parse(),
        None => text.parse(),
    }
}

/// The registrable part of a domain by the public suffix list; none for a public suffix.
fn registrable(domain: &Domain) -> Option<Name> {
    // An escaped dot would be taken for a boundary: such a name has no registrable part that is of use.
    let text = Some(domain.as_str()).filter(|text| !text.contains('\\'))?;
    psl::domain_str(text)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::super::testing;
    use super::*;

    fn questions(zone: &str, query: Option<&str>, key: Option<&str>) -> Result<Questions, Reason> {
        let mut list = testing::list(zone);
        list.query = query.map(str::to_owned);
        list.kinds = Kind::ALL.to_vec();
        list.name_form = NameForm::Both;
        let key = key.map(|key| Key::new(key).expect("a key"));
        Questions::prepare(&list, key.as_ref())
    }

    fn domain(text: &str) -> Target {
        Target::Domain(Domain::new(text).expect("a domain"))
    }

    fn asked(questions: &Questions, target: &Target) -> Vec<String> {
        let names = questions.names(target).expect("names");
        assert_eq!(names.count(), names.iter().count());
        names.iter().map(Name::to_string).collect()
    }

    #[test]
    fn targets_become_names() {
        let plain = questions("bl.example", None, None).expect("askable");
        assert_eq!(
            asked(&plain, &Target::Ip4([192, 0, 2, 99].into())),
            ["99.2.0.192.bl.example"]
        );
        let v6 = "2001:db8:1:2:3:4:567:89ab".parse().expect("an address");
        assert_eq!(
            asked(&plain, &Target::Ip6(v6)),
            ["b.a.9.8.7.6.5.0.4.0.0.0.3.0.0.0.2.0.0.0.1.0.0.0.8.b.d.0.1.0.0.2.bl.example"]
        );
        assert_eq!(
            asked(&plain, &domain("mail.a.co.uk")),
            ["mail.a.co.uk.bl.example", "a.co.uk.bl.example"]
        );
        assert_eq!(asked(&plain, &domain("a.co.uk")), ["a.co.uk.bl.example"]);
        assert_eq!(asked(&plain, &domain("co.uk")), ["co.uk.bl.example"]);
    }

    #[test]
    fn keys_go_where_the_list_wants_them_and_are_not_shown() {
        let target = Target::Ip4([192, 0, 2, 1].into());
        let dqs = questions("{key}.zen.dq.example", None, Some("kEy1")).expect("askable");
        assert_eq!(asked(&dqs, &target), ["1.2.0.192.kEy1.zen.dq.example"]);
        let first = questions("bl.example", Some("{key}.{target}.bl.example"), Some("kEy1")).expect("askable");
        assert_eq!(asked(&first, &target), ["kEy1.1.2.0.192.bl.example"]);
        for (questions, apex) in [(&dqs, "zen.dq.example"), (&first, "bl.example")] {
            let names = questions.names(&target).expect("names");
            let name = names.iter().next().expect("one");
            let apex: Name = apex.parse().expect("a name");
            // The key is never among the octets that may change their case.
            assert!(name.as_wire().ends_with(apex.as_wire()));
            assert_eq!(questions.zone_octets(), apex.as_wire().len());
        }
        assert_eq!(
            dqs.redact_text("key1 is over its limit".into()),
            "{key} is over its limit"
        );
    }

    #[test]
    fn what_cannot_be_asked_says_why() {
        assert_eq!(questions("{key}.bl.example", None, None).err(), Some(Reason::NoKey));
        let mut retired = testing::list("bl.example");
        retired.status = Status::Retired;
        assert_eq!(Questions::prepare(&retired, None).err(), Some(Reason::Retired));
        let mut ip4 = testing::list("bl.example");
        ip4.kinds = vec![Kind::Ip4];
        let ip4 = Questions::prepare(&ip4, None).expect("askable");
        assert_eq!(ip4.names(&domain("a.example")), Err(Reason::Unsupported));
    }

    #[test]
    fn a_name_too_long_for_the_zone_is_not_asked_but_its_registrable_part_is() {
        let label = "x".repeat(58);
        let long = domain(&format!("{label}.{label}.{label}.{label}.example.com"));
        let questions = questions("bl.example", None, None).expect("askable");
        assert_eq!(asked(&questions, &long), ["example.com.bl.example"]);
        let mut full = testing::list("bl.example");
        full.kinds = vec![Kind::Domain];
        let full = Questions::prepare(&full, None).expect("askable");
        assert_eq!(full.names(&long), Err(Reason::Unsupported));
    }

    #[test]
    fn parents_are_asked_by_whole_octets() {
        let plain = questions("bl.example", None, None).expect("askable");
        let parent = plain.parent_v4(Ipv4Addr::new(127, 0, 0, 2), 3).expect("a name");
        assert_eq!(parent.to_string(), "0.0.127.bl.example");
        let first = questions("bl.example", Some("{key}.{target}.bl.example"), Some("k")).expect("askable");
        assert_eq!(first.parent_v4(Ipv4Addr::new(127, 0, 0, 2), 3), None);
    }
}
