//! Where one organisation's names end: the registrable domain by the public suffix list.
//!
//! A convenience for comparing names; DMARC has its own way (the tree walk of RFC 9989 §4.10) and does not use this.

use crate::wire::Name;

/// The registrable domain of a name (`example.co.uk` for `a.b.example.co.uk`), in lower case; none for a public suffix
/// itself, the root, or a name with octets that no host name has.
pub fn registrable(name: &Name) -> Option<Name> {
    let text = plain(name)?;
    let domain = psl::domain_str(&text)?;
    domain.parse().ok()
}

/// The registrable domain of a [`plain`] name if only suffixes that are registries count: suffixes that companies put on the
/// list for their customers (`compute.amazonaws.com`) are the companies' own names here.
pub(super) fn registry_domain(text: &str) -> Option<&str> {
    // Each round cuts a label off: at most 127 rounds.
    let mut suffix = psl::suffix(text.as_bytes())?;
    while suffix.typ() == Some(psl::Type::Private) {
        let (_, parent) = std::str::from_utf8(suffix.as_bytes()).ok()?.split_once('.')?;
        let at = text.len() - parent.len();
        suffix = psl::suffix(&text.as_bytes()[at..])?;
    }
    let before = text.len().checked_sub(suffix.as_bytes().len() + 1)?;
    let at = text[..before].rfind('.').map_or(0, |dot| dot + 1);
    Some(&text[at..])
}

/// A name in lower case, if it has only octets that host names have (letters, digits, `-`, `_`).
pub(super) fn plain(name: &Name) -> Option<String> {
    let fine = |octet: &u8| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_');
    if name.is_root() || !name.labels().flatten().all(fine) {
        return None;
    }
    let mut text = String::with_capacity(name.as_wire().len());
    for label in name.labels() {
        if !text.is_empty() {
            text.push('.');
        }
        text.extend(label.iter().map(|octet| char::from(octet.to_ascii_lowercase())));
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stages::testing::name;

    #[test]
    fn the_suffix_list_says_where_a_domain_ends() {
        assert_eq!(registrable(&name("A.b.example.CO.uk")), Some(name("example.co.uk")));
        assert_eq!(registrable(&name("example.org")), Some(name("example.org")));
        assert_eq!(registrable(&name("co.uk")), None);
        assert_eq!(registrable(&Name::root()), None);
        assert_eq!(registrable(&name("a\\.b.example.org")), None);
    }

    #[test]
    fn a_companys_suffix_is_the_companys_name() {
        let host = "ec2-192-0-2-1.us-west-2.compute.amazonaws.com";
        assert_eq!(registry_domain(host), Some("amazonaws.com"));
        assert_eq!(registry_domain("a.b.example.co.uk"), Some("example.co.uk"));
        assert_eq!(registry_domain("com"), None);
    }
}
