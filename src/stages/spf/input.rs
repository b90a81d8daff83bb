//! What a check is about: the client, and the identity it uses (RFC 7208 §2.3, §2.4, §4.1, §4.3).

use std::net::IpAddr;

use crate::wire::Name;

/// Longest sender or HELO taken, in octets: a path is at most 256 (RFC 5321 §4.5.3.1.3). The rest is cut off.
const IDENTITY_OCTETS_MAX: usize = 1_024;

/// The question to [`check_host`](super::check_host()).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpfInput {
    /// The SMTP client. An IPv4-mapped IPv6 address is taken as IPv4 (RFC 7208 §5).
    pub ip: IpAddr,
    /// What the client said in HELO or EHLO.
    pub helo: String,
    /// What it said in MAIL FROM; empty (or `<>`) for the null sender: then HELO is checked.
    pub mail_from: String,
    /// The name of the host that checks, for `%{r}`; none: `unknown`.
    pub receiver: Option<String>,
    /// The time in seconds since 1970, for `%{t}`.
    pub timestamp: u64,
}

/// Which identity was checked (RFC 7208 §2.3, §2.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Identity {
    /// The name in HELO, because the sender is null.
    Helo,
    /// The sender's domain.
    MailFrom,
}

/// The sender taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sender {
    pub(super) identity: Identity,
    /// Local part and domain with an at sign.
    pub(super) whole: String,
    /// `postmaster` if there is none (§4.3).
    pub(super) local: String,
    /// In A-labels where it could be brought into them.
    pub(super) domain: String,
}

impl SpfInput {
    /// An input without receiver and time.
    pub fn new(ip: IpAddr, helo: &str, mail_from: &str) -> SpfInput {
        SpfInput {
            ip,
            helo: helo.to_owned(),
            mail_from: mail_from.to_owned(),
            receiver: None,
            timestamp: 0,
        }
    }

    /// The HELO name as far as it is used.
    pub(super) fn helo(&self) -> &str {
        cut(&self.helo)
    }

    /// The identity to check.
    pub(super) fn sender(&self) -> Sender {
        let path = cut(&self.mail_from);
        let path = path.strip_prefix('<').unwrap_or(path);
        let path = path.strip_suffix('>').unwrap_or(path);
        let (identity, local, domain) = match path.rsplit_once('@') {
            Some((local, domain)) => (Identity::MailFrom, local, domain),
            None if path.is_empty() => (Identity::Helo, "", self.helo()),
            None => (Identity::MailFrom, "", path),
        };
        let local = match local {
            "" => "postmaster",
            given => given,
        };
        let domain = a_labels(domain.strip_suffix('.').unwrap_or(domain));
        Sender {
            identity,
            whole: format!("{local}@{domain}"),
            local: local.to_owned(),
            domain,
        }
    }
}

/// The beginning of a text.
fn cut(text: &str) -> &str {
    let mut end = text.len().min(IDENTITY_OCTETS_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// An internationalised domain as A-labels (RFC 7208 §4.3); others, and those that cannot be converted, as they are.
fn a_labels(domain: &str) -> String {
    if domain.is_ascii() {
        return domain.to_owned();
    }
    idna::domain_to_ascii(domain).unwrap_or_else(|_| domain.to_owned())
}

/// A domain that may have a policy (RFC 7208 §4.3): a good name of two labels or more, no domain literal.
pub(super) fn policy_name(domain: &str) -> Option<Name> {
    let name = name_of(domain)?;
    (name.label_count() >= 2 && !domain.starts_with('[') && domain.is_ascii()).then_some(name)
}

/// Text as a name. Backslashes are octets here: text that comes out of macros has no presentation form.
pub(super) fn name_of(domain: &str) -> Option<Name> {
    let mut name = Name::root();
    for label in domain.strip_suffix('.').unwrap_or(domain).split('.') {
        name.push(label.as_bytes()).ok()?;
    }
    Some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sender(mail_from: &str) -> (Identity, String) {
        let input = SpfInput::new(IpAddr::from([192, 0, 2, 1]), "mail.example.net", mail_from);
        let sender = input.sender();
        (sender.identity, sender.whole)
    }

    #[test]
    fn the_null_sender_is_the_postmaster_of_the_helo_name() {
        let postmaster = (Identity::Helo, "postmaster@mail.example.net".to_owned());
        assert_eq!(sender(""), postmaster);
        assert_eq!(sender("<>"), postmaster);
    }

    #[test]
    fn senders_are_taken_apart() {
        for (mail_from, whole) in [
            ("@example.net", "postmaster@example.net"),
            ("example.net", "postmaster@example.net"),
            ("<a@b.test>", "a@b.test"),
            ("\"a@b\"@c.test.", "\"a@b\"@c.test"),
            ("x@b\u{fc}cher.test", "x@xn--bcher-kva.test"),
        ] {
            assert_eq!(sender(mail_from), (Identity::MailFrom, whole.to_owned()));
        }
    }

    #[test]
    fn what_has_no_policy() {
        for domain in ["", "localhost", "a..test", "[192.0.2.1]", ".a.test", "a.\u{e9}"] {
            assert_eq!(policy_name(domain), None, "{domain}");
        }
        assert_eq!(policy_name(&format!("{}.test", "x".repeat(64))), None);
        assert!(policy_name("a.test.").is_some());
    }

    #[test]
    fn a_huge_sender_is_cut_between_characters() {
        let huge = "\u{20ac}".repeat(IDENTITY_OCTETS_MAX);
        assert!(sender(&huge).1.len() < 2 * IDENTITY_OCTETS_MAX);
    }
}
