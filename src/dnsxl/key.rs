//! An operator's key: a secret that is a label of query names, and must not be seen anywhere else.
//!
//! It has no `Display` and its `Debug` shows nothing; names that hold it are shown nowhere, and texts that may
//! quote them through [`Key::redact_text`].

use std::fmt;

/// What stands where the key was: the same words as in the catalogue.
pub const KEY_MARK: &str = "{key}";

/// Longest key in octets: a key is one label (RFC 1035 §2.3.4).
const KEY_OCTETS_MAX: usize = 63;

/// An operator's key: one label of letters, digits, dashes and underscores.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Key(Box<str>);

/// A text that cannot be a key. Does not say what the text was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a key: 1 to 63 letters, digits, dashes or underscores")]
pub struct KeyError;

impl Key {
    /// Takes a key; blanks around it are cut off.
    ///
    /// # Errors
    /// If it could not be one label of a query name.
    pub fn new(text: &str) -> Result<Key, KeyError> {
        let text = text.trim();
        let plain = text
            .bytes()
            .all(|octet| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_'));
        if text.is_empty() || text.len() > KEY_OCTETS_MAX || !plain {
            return Err(KeyError);
        }
        Ok(Key(text.into()))
    }

    /// The secret itself, for query names alone.
    pub(super) fn expose(&self) -> &str {
        &self.0
    }

    /// A text, such as a TXT record that quotes the question, with the key shown as `{key}`, whatever its case.
    pub fn redact_text(&self, text: &str) -> String {
        let (lower, key) = (text.to_ascii_lowercase(), self.0.to_ascii_lowercase());
        let mut shown = String::with_capacity(text.len());
        let mut at = 0;
        // Lower case by ASCII keeps every octet in its place, and the key is ASCII: the cuts are between characters.
        while let Some(found) = lower[at..].find(&key) {
            shown.push_str(&text[at..at + found]);
            shown.push_str(KEY_MARK);
            at += found + key.len();
        }
        shown.push_str(&text[at..]);
        shown
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key({key})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_not_be_a_label_is_no_key() {
        assert!(Key::new(" abc-DEF_1 ").is_ok());
        for bad in ["", "a.b", "a b", "é", "{key}", &"x".repeat(64)] {
            assert_eq!(Key::new(bad), Err(KeyError), "{bad:?}");
        }
    }

    #[test]
    fn a_key_is_never_shown() {
        let key = Key::new("s3cretKEY").expect("a key");
        assert!(!format!("{key:?}").contains("s3cret"));
        assert_eq!(key.redact_text("öS3CRETkey/s3cretKEY!"), "ö{key}/{key}!");
        assert_eq!(key.redact_text("nothing here"), "nothing here");
    }
}
