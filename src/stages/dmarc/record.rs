//! One DMARC policy record (RFC 9989 §4.7, §4.8), read as receivers must: unknown tags and bad values are ignored, and
//! kept here as complaints.
//!
//! A text is a record only if it begins with `v=DMARC1` in this very case. One that nearly does is [`Version::Almost`]:
//! receivers see nothing, and a person must be told.

use serde::Serialize;

use crate::stages::escape::quote;
use crate::stages::taglist::{TagList, faults_in_words, trim};

/// Reporting addresses that are read; two or three are usual.
const URIS_MAX: usize = 16;

/// What is asked of receivers for mail that fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Policy {
    /// Nothing.
    None,
    /// To take it for suspicious.
    Quarantine,
    /// To refuse it.
    Reject,
}

impl Policy {
    fn read(value: &[u8]) -> Option<Policy> {
        match value.to_ascii_lowercase().as_slice() {
            b"none" => Some(Policy::None),
            b"quarantine" => Some(Policy::Quarantine),
            b"reject" => Some(Policy::Reject),
            _ => None,
        }
    }

    /// One step milder, as `t=y` asks (RFC 9989 §4.7).
    pub fn milder(self) -> Policy {
        match self {
            Policy::Reject => Policy::Quarantine,
            Policy::Quarantine | Policy::None => Policy::None,
        }
    }

    /// The word of the record.
    pub fn as_str(self) -> &'static str {
        match self {
            Policy::None => "none",
            Policy::Quarantine => "quarantine",
            Policy::Reject => "reject",
        }
    }
}

/// How alike the domains must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Alignment {
    /// Of one organisational domain.
    #[default]
    Relaxed,
    /// The same.
    Strict,
}

/// What the domain says of itself in the tree (`psd=`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Psd {
    /// A public suffix domain.
    Yes,
    /// An organisational domain.
    No,
    /// Nothing.
    #[default]
    Unsaid,
}

/// Whether receivers can apply the record (RFC 9989 §4.10.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Usable {
    /// As it stands.
    Yes,
    /// As `p=none`: a policy is invalid, but reports are asked for.
    AsNone,
    /// Not at all: a policy is invalid.
    No,
}

/// A policy record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// For the domain; none if there is no valid `p=`.
    pub p: Option<Policy>,
    /// For its subdomains.
    pub sp: Option<Policy>,
    /// For subdomains that do not exist.
    pub np: Option<Policy>,
    /// Of DKIM's domain.
    pub adkim: Alignment,
    /// Of SPF's domain.
    pub aspf: Alignment,
    /// Its place in the tree.
    pub psd: Psd,
    /// `t=y`: one step milder than it says.
    pub testing: bool,
    /// Where aggregate reports go, as written.
    pub rua: Vec<String>,
    /// Where failure reports go.
    pub ruf: Vec<String>,
    /// Whether receivers can apply it.
    pub usable: Usable,
    /// What is wrong with it.
    pub complaints: Vec<Complaint>,
}

/// Something wrong with a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Complaint {
    pub(super) kind: ComplaintKind,
    pub(super) text: String,
}

/// Kinds of complaints: each is one code of findings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ComplaintKind {
    /// The tag list itself.
    Malformed,
    /// `p=`, `sp=` or `np=` is not a policy.
    BadPolicy,
    /// `p=` is not there.
    NoPolicy,
    /// Another tag's value is not one of its values.
    BadValue,
    /// Not a URI.
    BadUri,
    /// A tag that RFC 9989 removed.
    Removed,
    /// A tag that nobody knows.
    UnknownTag,
}

/// Whether a text is a DMARC record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Version {
    Yes,
    /// Meant as one, and none for receivers.
    Almost,
    No,
}

/// Looks at the beginning of a text (RFC 9989 §4.8, `dmarc-version`).
pub(super) fn version(text: &[u8]) -> Version {
    let first = text.split(|&octet| octet == b';').next().unwrap_or_default();
    let mut sides = first.splitn(2, |&octet| octet == b'=');
    let (name, value) = (sides.next().unwrap_or_default(), sides.next().unwrap_or_default());
    let leading = text.first().is_some_and(u8::is_ascii_whitespace);
    if !leading && trim(name) == b"v" && trim(value) == b"DMARC1" {
        return Version::Yes;
    }
    let word = text
        .windows(5)
        .take(ALMOST_OCTETS)
        .any(|window| window.eq_ignore_ascii_case(b"dmarc"));
    if word { Version::Almost } else { Version::No }
}

/// How far into a text the word DMARC makes it a failed record rather than prose.
const ALMOST_OCTETS: usize = 16;

impl Record {
    /// Reads a text that begins as a record must.
    pub fn parse(text: &[u8]) -> Record {
        let list = TagList::parse(text);
        let mut complaints = Vec::new();
        if let Some(faults) = faults_in_words(&list.faults) {
            complain(&mut complaints, ComplaintKind::Malformed, faults);
        }
        let mut reader = Reader {
            list: &list,
            complaints,
        };
        let (p, sp, np) = (reader.policy("p"), reader.policy("sp"), reader.policy("np"));
        let mut record = Record {
            p,
            sp,
            np,
            adkim: reader.alignment("adkim"),
            aspf: reader.alignment("aspf"),
            psd: reader.psd(),
            testing: reader.testing(),
            rua: reader.uris("rua"),
            ruf: reader.uris("ruf"),
            usable: Usable::Yes,
            complaints: Vec::new(),
        };
        reader.other_tags();
        record.complaints = reader.complaints;
        let bad = record
            .complaints
            .iter()
            .any(|complaint| complaint.kind == ComplaintKind::BadPolicy);
        record.usable = match (bad, record.rua.is_empty()) {
            (false, _) => Usable::Yes,
            (true, false) => Usable::AsNone,
            (true, true) => Usable::No,
        };
        record
    }

    /// The policy for the domain itself: `p=`, or none for want of it (RFC 9989 §4.7).
    pub fn own(&self) -> Option<Policy> {
        match self.usable {
            Usable::Yes => Some(self.lowered(self.p.unwrap_or(Policy::None))),
            Usable::AsNone => Some(Policy::None),
            Usable::No => None,
        }
    }

    /// The policy for a domain below it that has no record of its own: `np=` if it does not exist, `sp=`, `p=`.
    pub fn inherited(&self, exists: bool) -> Option<Policy> {
        match self.usable {
            Usable::Yes => {
                let np = self.np.filter(|_| !exists);
                Some(self.lowered(np.or(self.sp).or(self.p).unwrap_or(Policy::None)))
            }
            Usable::AsNone => Some(Policy::None),
            Usable::No => None,
        }
    }

    fn lowered(&self, policy: Policy) -> Policy {
        if self.testing { policy.milder() } else { policy }
    }
}

fn complain(complaints: &mut Vec<Complaint>, kind: ComplaintKind, text: String) {
    complaints.push(Complaint { kind, text });
}

struct Reader<'a> {
    list: &'a TagList,
    complaints: Vec<Complaint>,
}

impl Reader<'_> {
    fn complain(&mut self, kind: ComplaintKind, text: String) {
        complain(&mut self.complaints, kind, text);
    }

    fn policy(&mut self, name: &str) -> Option<Policy> {
        let Some(tag) = self.list.tag(name) else {
            if name == "p" {
                self.complain(
                    ComplaintKind::NoPolicy,
                    "there is no p= tag, which means p=none".to_owned(),
                );
            }
            return None;
        };
        let policy = Policy::read(&tag.value);
        if policy.is_none() {
            let text = format!(
                "{name}= at octet {} is \"{}\": not none, quarantine or reject",
                tag.at,
                tag.text()
            );
            self.complain(ComplaintKind::BadPolicy, text);
        }
        policy
    }

    /// One of the values, ASCII case ignored; else the default, with a complaint if there was something else.
    fn choice<T: Copy + Default>(&mut self, name: &str, values: &[(&str, T)]) -> T {
        let Some(tag) = self.list.tag(name) else {
            return T::default();
        };
        if let Some((_, value)) = values.iter().find(|(word, _)| tag.is(word)) {
            return *value;
        }
        let words: Vec<&str> = values.iter().map(|(word, _)| *word).collect();
        let text = format!(
            "{name}= at octet {} is \"{}\": not {}",
            tag.at,
            tag.text(),
            words.join(" or ")
        );
        self.complain(ComplaintKind::BadValue, text);
        T::default()
    }

    fn alignment(&mut self, name: &str) -> Alignment {
        self.choice(name, &[("r", Alignment::Relaxed), ("s", Alignment::Strict)])
    }

    fn psd(&mut self) -> Psd {
        self.choice("psd", &[("y", Psd::Yes), ("n", Psd::No), ("u", Psd::Unsaid)])
    }

    fn testing(&mut self) -> bool {
        self.choice("t", &[("y", true), ("n", false)])
    }

    /// The good URIs of a comma-separated list (RFC 3986 §3.1 as far as the scheme), without the obsolete size.
    fn uris(&mut self, name: &str) -> Vec<String> {
        let Some(tag) = self.list.tag(name) else {
            return Vec::new();
        };
        let mut uris = Vec::new();
        for uri in tag.value.split(|&octet| octet == b',').take(URIS_MAX).map(trim) {
            if is_uri(uri) {
                uris.push(quote(uri.split(|&octet| octet == b'!').next().unwrap_or_default()));
            } else {
                let text = format!("{name}= at octet {} has \"{}\", which is not a URI", tag.at, quote(uri));
                self.complain(ComplaintKind::BadUri, text);
            }
        }
        uris
    }

    fn other_tags(&mut self) {
        for tag in &self.list.tags {
            match tag.name.as_str() {
                "v" | "p" | "sp" | "np" | "adkim" | "aspf" | "psd" | "t" | "rua" | "ruf" => {}
                "fo" => self.failure_options(&tag.value, tag.at),
                "pct" | "rf" | "ri" => {
                    let text = format!("{}={} is no longer part of DMARC and is ignored", tag.name, tag.text());
                    self.complain(ComplaintKind::Removed, text);
                }
                other => {
                    let text = format!("{other}= at octet {} is not a DMARC tag and is ignored", tag.at);
                    self.complain(ComplaintKind::UnknownTag, text);
                }
            }
        }
    }

    fn failure_options(&mut self, value: &[u8], at: usize) {
        let known = |option: &[u8]| matches!(trim(option), b"0" | b"1" | b"d" | b"s" | b"D" | b"S");
        if !value.split(|&octet| octet == b':').all(known) {
            let text = format!("fo= at octet {at} is \"{}\": not 0, 1, d or s", quote(value));
            self.complain(ComplaintKind::BadValue, text);
        }
    }
}

/// A scheme, a colon and something after it, without white space.
fn is_uri(uri: &[u8]) -> bool {
    let Some(colon) = uri.iter().position(|&octet| octet == b':') else {
        return false;
    };
    let (scheme, rest) = uri.split_at(colon);
    let letter = scheme.first().is_some_and(u8::is_ascii_alphabetic);
    letter
        && scheme
            .iter()
            .all(|octet| octet.is_ascii_alphanumeric() || matches!(octet, b'+' | b'-' | b'.'))
        && rest.len() > 1
        && rest.iter().all(u8::is_ascii_graphic)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(text: &str) -> Vec<ComplaintKind> {
        Record::parse(text.as_bytes())
            .complaints
            .iter()
            .map(|complaint| complaint.kind)
            .collect()
    }

    #[test]
    fn only_a_text_that_begins_right_is_a_record() {
        for text in ["v=DMARC1", "v=DMARC1;", "v = DMARC1 ;p=none", "v=DMARC1; p=x"] {
            assert_eq!(version(text.as_bytes()), Version::Yes, "{text}");
        }
        for text in [
            " v=DMARC1; p=none",
            "v=dmarc1; p=none",
            "v=DMARC1 p=none",
            "v=DMARC2; p=none",
            "\"v=DMARC1; p=none\"",
            "DMARC1",
        ] {
            assert_eq!(version(text.as_bytes()), Version::Almost, "{text}");
        }
        for text in ["", "v=spf1 -all", "p=none", "a text about other things and DMARC"] {
            assert_eq!(version(text.as_bytes()), Version::No, "{text}");
        }
    }

    #[test]
    fn a_full_record_is_read() {
        let record = Record::parse(
            b"v=DMARC1; p=Reject; sp=quarantine; np=reject; adkim=s; aspf=r; psd=n; t=n; fo=1:d; rua=mailto:a@example.org!10m, https://example.org/r; ruf=mailto:b@example.org",
        );
        assert_eq!(
            (record.p, record.sp, record.np),
            (Some(Policy::Reject), Some(Policy::Quarantine), Some(Policy::Reject))
        );
        assert_eq!(
            (record.adkim, record.aspf, record.psd),
            (Alignment::Strict, Alignment::Relaxed, Psd::No)
        );
        assert_eq!(record.rua, ["mailto:a@example.org", "https://example.org/r"]);
        assert!(record.complaints.is_empty(), "{:?}", record.complaints);
    }

    #[test]
    fn policies_are_inherited_and_lowered() {
        let record = Record::parse(b"v=DMARC1; p=reject; sp=quarantine; np=none");
        assert_eq!(record.own(), Some(Policy::Reject));
        assert_eq!(record.inherited(true), Some(Policy::Quarantine));
        assert_eq!(record.inherited(false), Some(Policy::None));
        let record = Record::parse(b"v=DMARC1; p=reject; t=y");
        assert_eq!(
            (record.own(), record.inherited(false)),
            (Some(Policy::Quarantine), Some(Policy::Quarantine))
        );
    }

    #[test]
    fn a_missing_policy_is_none_and_a_bad_one_needs_reports() {
        let record = Record::parse(b"v=DMARC1; rua=mailto:a@example.org");
        assert_eq!((record.own(), record.usable), (Some(Policy::None), Usable::Yes));
        let record = Record::parse(b"v=DMARC1; p=monitor; rua=mailto:a@example.org");
        assert_eq!((record.own(), record.usable), (Some(Policy::None), Usable::AsNone));
        let record = Record::parse(b"v=DMARC1; p=reject; sp=all");
        assert_eq!(
            (record.own(), record.inherited(true), record.usable),
            (None, None, Usable::No)
        );
    }

    #[test]
    fn removed_unknown_and_bad_parts_are_complained_of_and_ignored() {
        assert_eq!(
            kinds("v=DMARC1; p=none; pct=50; ri=1; rf=afrf"),
            [ComplaintKind::Removed; 3]
        );
        assert_eq!(kinds("v=DMARC1; p=none; policy=x"), [ComplaintKind::UnknownTag]);
        assert_eq!(
            kinds("v=DMARC1; p=none; adkim=x; psd=q; t=1; fo=9"),
            [ComplaintKind::BadValue; 4]
        );
        assert_eq!(kinds("v=DMARC1; p=none; rua=a@example.org"), [ComplaintKind::BadUri]);
        assert_eq!(kinds("v=DMARC1; p=none; rua="), [ComplaintKind::BadUri]);
        assert_eq!(kinds("v=DMARC1; p=none;; sp=none"), [ComplaintKind::Malformed]);
        assert_eq!(kinds("v=DMARC1"), [ComplaintKind::NoPolicy]);
    }

    proptest::proptest! {
        #[test]
        fn any_octets_can_be_read(text: Vec<u8>) {
            let _ = version(&text);
            let record = Record::parse(&text);
            proptest::prop_assert!(record.rua.len() <= URIS_MAX);
        }
    }
}
