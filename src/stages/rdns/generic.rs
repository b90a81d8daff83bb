//! Whether the name of an address was given by rule to a line or a customer, or by hand to a server.
//!
//! Mail filters distrust senders whose name is generic: the machines of dial-up pools and home lines do not send mail
//! themselves. What speaks for a mail server or a fixed address comes first, so that a numbered sender
//! (`mail-yw1-f180`, `a9-183.smtp-out`) is no false alarm. The rule that decided is part of the verdict.

use std::net::IpAddr;

use super::embedded::{Embedded, Share, embedded, looks_numbered};
use super::words::{Hint, SENDERS, hint, words};
use crate::stages::domain::{plain, registry_domain};
use crate::wire::Name;

/// What kind of name it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Class {
    /// A mail server's.
    Mail,
    /// Made by rule for a fixed address.
    Static,
    /// Made by rule for an address or a line that changes hands.
    Dynamic,
    /// Made by rule; whether the address is fixed does not show.
    Generic,
    /// Given by hand, as far as can be seen.
    Named,
}

impl Class {
    /// Whether mail filters may take the host for a home line.
    pub fn suspect(self) -> bool {
        matches!(self, Class::Dynamic | Class::Generic)
    }
}

/// A class and why.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Verdict {
    /// What kind of name it is.
    pub class: Class,
    /// Whether it is generic or dynamic, so that mail filters may take the host for a home line.
    pub suspect: bool,
    /// The rule that fired, in words: `word "adsl" with a number`.
    pub rule: String,
}

/// Judges the name of an address; without the address, its traces in the name are only guessed at.
pub fn classify(name: &Name, address: Option<IpAddr>) -> Verdict {
    let verdict = |class: Class, rule: &str| Verdict {
        class,
        suspect: class.suspect(),
        rule: rule.to_owned(),
    };
    let Some(host) = plain(name) else {
        return verdict(Class::Named, "octets that no host name has");
    };
    let domain = registry_domain(&host);
    let part = match domain {
        Some(domain) => host[..host.len() - domain.len()].trim_end_matches('.'),
        None => host.as_str(),
    };
    if part.is_empty() {
        return match Clues::of(&host, address).trace {
            Some(trace) if trace.share == Share::Whole => verdict(Class::Generic, trace.form),
            _ => verdict(Class::Named, "a domain itself"),
        };
    }
    let clues = Clues::of(part, address);
    let (class, rule) = clues.against(domain).or_else(|| clues.for_it()).unwrap_or((
        Class::Named,
        "no trace of the address and no word of an access line".to_owned(),
    ));
    Verdict {
        class,
        suspect: class.suspect(),
        rule,
    }
}

/// What the part of a name before its domain tells.
struct Clues<'a> {
    part: &'a str,
    trace: Option<Embedded>,
    hints: Vec<(&'a str, Hint)>,
    digits: usize,
}

/// Digits that two numbers beside a customer's word must have: `node1-2` is a server of a small farm, `node22-192` a line.
const CUSTOMER_DIGITS_MIN: usize = 4;

type Ruling = Option<(Class, String)>;

impl<'a> Clues<'a> {
    fn of(part: &'a str, address: Option<IpAddr>) -> Clues<'a> {
        let exact = address.and_then(|address| embedded(part, address));
        let whole = exact.is_some_and(|exact| exact.share == Share::Whole);
        let guessed = (!whole).then(|| looks_numbered(part)).flatten();
        let trace = match (exact, guessed) {
            (Some(exact), Some(guessed)) if guessed.share > exact.share => Some(guessed),
            (exact, guessed) => exact.or(guessed),
        };
        Clues {
            part,
            trace,
            hints: words(part).filter_map(|word| Some((word, hint(word)?))).collect(),
            digits: part.bytes().filter(u8::is_ascii_digit).count(),
        }
    }

    fn word(&self, wanted: Hint) -> Option<&'a str> {
        self.hints
            .iter()
            .find(|(_, hint)| *hint == wanted)
            .map(|(word, _)| *word)
    }

    fn share(&self) -> Option<Share> {
        self.trace.map(|trace| trace.share)
    }

    /// What speaks for a server or a fixed address.
    fn against(&self, domain: Option<&str>) -> Ruling {
        if let Some(word) = self.word(Hint::Mail) {
            return Some((Class::Mail, format!("word \"{word}\"")));
        }
        let line = self.word(Hint::Dynamic).or(self.word(Hint::Access));
        if let (Some(word), None) = (self.word(Hint::MailPerhaps), line) {
            return Some((Class::Mail, format!("word \"{word}\"")));
        }
        if let Some(domain) = domain.filter(|domain| SENDERS.contains(domain)) {
            return Some((Class::Mail, format!("a sender's domain, {domain}")));
        }
        if let Some(word) = self.word(Hint::Static).filter(|_| self.digits > 0) {
            return Some((Class::Static, format!("word \"{word}\"")));
        }
        self.service()
    }

    /// `www62`, `ns1`: a service's name with at most a short number, whatever comes after it.
    fn service(&self) -> Ruling {
        let first = self.part.split('.').next().unwrap_or_default();
        let word = first.trim_end_matches(|character: char| character.is_ascii_digit());
        let service = hint(word) == Some(Hint::Service) && first.len() - word.len() <= 3;
        let plain = self.share().is_none_or(|share| share <= Share::Last);
        (service && plain).then(|| (Class::Named, format!("service \"{word}\"")))
    }

    /// What speaks for a rule-made name.
    fn for_it(&self) -> Ruling {
        if let Some(word) = self.word(Hint::Dynamic) {
            return Some((Class::Dynamic, format!("word \"{word}\"")));
        }
        if let Some(word) = self.word(Hint::Access).filter(|_| self.digits >= 2) {
            return Some((Class::Dynamic, format!("word \"{word}\" with a number")));
        }
        let Some(trace) = self.trace.filter(|trace| trace.share > Share::Last) else {
            return self.numbered();
        };
        Some(match self.word(Hint::Customer) {
            Some(word) => (Class::Generic, format!("word \"{word}\" and {}", trace.form)),
            None => (Class::Generic, trace.form.to_owned()),
        })
    }

    /// Numbers that need a word, or the absence of every other word, to mean something.
    fn numbered(&self) -> Ruling {
        let numbers = self
            .part
            .split(|character: char| !character.is_ascii_digit())
            .filter(|run| !run.is_empty())
            .count();
        match (self.word(Hint::Customer), self.trace) {
            (Some(word), Some(trace)) => Some((Class::Generic, format!("word \"{word}\" and {}", trace.form))),
            (Some(word), None) if numbers >= 2 && self.digits >= CUSTOMER_DIGITS_MIN => {
                Some((Class::Generic, format!("word \"{word}\" with two numbers")))
            }
            (None, _) if numbers >= 2 && !self.part.bytes().any(|octet| octet.is_ascii_alphabetic()) => {
                Some((Class::Generic, "nothing but numbers".to_owned()))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stages::testing::{ip, name};

    fn class(host: &str, address: &str) -> Class {
        classify(&name(host), Some(ip(address))).class
    }

    #[test]
    fn mail_servers_are_never_taken_for_lines() {
        for (host, address) in [
            ("mail.example.org", "192.0.2.7"),
            ("mx0a-00192002.example.org", "192.0.2.7"),
            ("out-7.mta2.example.org", "192.0.2.7"),
            ("a2-7.smtp-out.example.org", "192.0.2.7"),
            ("192-0-2-7.mail-mail.example.org", "192.0.2.7"),
            ("mail.dsl.example.org", "192.0.2.7"),
            ("relay-192-0-2-7.example.org", "192.0.2.7"),
            ("o2-7.sendgrid.net", "192.0.2.7"),
        ] {
            assert_eq!(class(host, address), Class::Mail, "{host}");
        }
    }

    #[test]
    fn lines_are_known_by_word_and_by_number() {
        for (host, address) in [
            ("dyn-192-0-2-7.example.net", "192.0.2.7"),
            ("adsl-2-7.example.net", "192.0.2.7"),
            ("pool-xxx.example.net", "192.0.2.7"),
            ("mx-ll-192.0.2-7.dynamic.example.net", "192.0.2.7"),
            ("cable17-3.example.co.uk", "192.0.2.7"),
        ] {
            assert_eq!(class(host, address), Class::Dynamic, "{host}");
        }
        for (host, address) in [
            ("192-0-2-7.example.net", "192.0.2.7"),
            ("c0000207.example.net", "192.0.2.7"),
            ("host7.example.net", "192.0.2.7"),
            ("ec2-192-0-2-7.us-west-2.compute.amazonaws.com", "192.0.2.7"),
            ("10-20-30-40.example.net", "192.0.2.7"),
        ] {
            assert_eq!(class(host, address), Class::Generic, "{host}");
        }
    }

    #[test]
    fn fixed_addresses_and_servers_are_told_apart() {
        assert_eq!(class("static-192-0-2-7.dsl.example.net", "192.0.2.7"), Class::Static);
        assert_eq!(class("www7.example.net", "192.0.2.7"), Class::Named);
        assert_eq!(class("ns1.cable.example.net", "192.0.2.7"), Class::Named);
        assert_eq!(class("hermes.example.net", "192.0.2.7"), Class::Named);
        assert_eq!(class("example.net", "192.0.2.7"), Class::Named);
        assert_eq!(class("adsl.example.net", "192.0.2.7"), Class::Named);
        assert_eq!(class("a\\000b-192-0-2-7.example.net", "192.0.2.7"), Class::Named);
    }

    #[test]
    fn the_verdict_says_which_rule_decided() {
        let verdict = classify(&name("adsl-2-7.example.net"), Some(ip("192.0.2.7")));
        assert_eq!(verdict.rule, "word \"adsl\" with a number");
        let verdict = classify(&name("192-0-2-7.example.net"), None);
        assert!(verdict.rule.contains("decimal"), "{}", verdict.rule);
    }

    proptest::proptest! {
        #[test]
        fn any_name_can_be_judged(labels in proptest::collection::vec(proptest::collection::vec(0u8.., 1..20), 0..8), v4: u32) {
            let mut name = Name::root();
            for label in &labels {
                name.push(label).expect("short labels");
            }
            let _ = classify(&name, Some(std::net::Ipv4Addr::from(v4).into()));
            let _ = classify(&name, None);
        }
    }
}
