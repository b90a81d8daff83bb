//! A domain as typed, brought to the one form that lists are asked with: lower case, A-labels, no final dot.
//!
//! RFC 5890 with the mapping of UTS #46; letters, digits and hyphens as RFC 1123 §2.1 has them, and underscores, which
//! host names may not have but mail names do (`_dmarc`). Hyphens may stand anywhere: what spammers register is not held
//! to the rules of host names.

use crate::wire::{Name, NameError};

use super::error::Why;

/// Names of one label that may be asked about: the test entries of RFC 5782 §5, and special-use names (RFC 6761), which
/// are reported as such. Any other single label is a slip: a file name without `@`, a host without its domain.
const SINGLE_LABELS: [&str; 6] = ["test", "invalid", "localhost", "example", "local", "onion"];

/// Normalises a domain.
pub(super) fn normalise(text: &str) -> Result<String, Why> {
    if text.chars().any(char::is_whitespace) {
        return Err(Why::Blank);
    }
    let name = to_ascii(text)?; // first: an ideographic full stop becomes a dot
    let name = name.strip_suffix('.').unwrap_or(&name);
    if let Some(wrong) = name.chars().find(|&char| !allowed(char)) {
        return Err(Why::Character(wrong));
    }
    if name.is_empty() {
        return Err(Why::Name(NameError::Empty));
    }
    let last = name.rsplit('.').next().unwrap_or(name);
    if last.is_empty() {
        return Err(Why::Name(NameError::EmptyLabel));
    }
    if last.bytes().all(|octet| octet.is_ascii_digit()) {
        return Err(Why::NotIp4); // no top level domain is a number (RFC 1123 §2.1)
    }
    name.parse::<Name>()?;
    if !name.contains('.') && !SINGLE_LABELS.contains(&name) {
        return Err(Why::OneLabel);
    }
    Ok(name.to_owned())
}

fn allowed(char: char) -> bool {
    char.is_ascii_alphanumeric() || matches!(char, '-' | '_' | '.')
}

/// To A-labels. Plain text goes around IDNA, for speed, and because its errors say less than ours.
fn to_ascii(text: &str) -> Result<String, Why> {
    let lower = text.to_ascii_lowercase();
    let plain = lower.is_ascii() && !lower.split('.').any(|label| label.starts_with("xn--"));
    if plain {
        return Ok(lower);
    }
    if let Some(wrong) = text.chars().find(|&char| char.is_ascii() && !allowed(char)) {
        return Err(Why::Character(wrong));
    }
    idna::domain_to_ascii(text).map_err(|_| Why::Idna)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_brought_to_one_form() {
        for (text, expected) in [
            ("Mail.Example.ORG", "mail.example.org"),
            ("mail.example.org.", "mail.example.org"),
            ("_dmarc.example.org", "_dmarc.example.org"),
            ("Bücher.example", "xn--bcher-kva.example"),
            ("XN--BCHER-KVA.example", "xn--bcher-kva.example"),
            ("bu\u{308}cher.example", "xn--bcher-kva.example"),
            ("例え。テスト。", "xn--r8jz45g.xn--zckzah"),
            ("_spf.bücher.example", "_spf.xn--bcher-kva.example"),
            ("r3---sn-x.example", "r3---sn-x.example"),
            ("2.0.0.127.in-addr.arpa", "2.0.0.127.in-addr.arpa"),
            ("TEST", "test"),
            ("localhost", "localhost"),
        ] {
            assert_eq!(normalise(text).as_deref(), Ok(expected), "{text}");
        }
        let longest_label = format!("{}.example", "x".repeat(63));
        assert_eq!(normalise(&longest_label).as_deref(), Ok(longest_label.as_str()));
    }

    #[test]
    fn what_is_no_name_is_refused() {
        for (text, why) in [
            ("a b.example", Why::Blank),
            ("a\tb.example", Why::Blank),
            ("user@example.org", Why::Character('@')),
            ("user@bücher.example", Why::Character('@')),
            ("a\\.b.example", Why::Character('\\')),
            ("a\0.example", Why::Character('\0')),
            ("*.example.org", Why::Character('*')),
            ("a..example", Why::Name(NameError::EmptyLabel)),
            (".example.org", Why::Name(NameError::EmptyLabel)),
            ("example.org..", Why::Name(NameError::EmptyLabel)),
            (".", Why::Name(NameError::Empty)),
            ("mailhost", Why::OneLabel),
            ("com", Why::OneLabel),
            ("1.2.3.4.5", Why::NotIp4),
            ("example.123", Why::NotIp4),
            ("１９２.0.2.300", Why::NotIp4),
            ("xn--\u{80}.example", Why::Idna),
            ("xn--a.example", Why::Idna),
            ("a\u{202e}b.example", Why::Idna),
        ] {
            assert_eq!(normalise(text), Err(why), "{text:?}");
        }
        let long = format!("{}.example", "x".repeat(64));
        assert_eq!(normalise(&long), Err(Why::Name(NameError::LabelTooLong)));
        let long = vec!["x".repeat(50); 5].join(".");
        assert_eq!(normalise(&long), Err(Why::Name(NameError::NameTooLong)));
    }
}
