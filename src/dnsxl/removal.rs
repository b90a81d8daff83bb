//! What to do about a listing, in one sentence or two: how entries of the list end, and where to ask.
//!
//! The catalogue's words come first: they say who may ask, what it costs, and whether waiting is enough. Paying is never
//! advised: where an operator asks for money, its words say that waiting is free.

use crate::targets::Target;

use super::list::{List, Operator};

/// How an entry of `list` about `target` comes to its end.
pub fn removal(list: &List, operator: &Operator, target: &Target) -> String {
    let page = list.remove.as_deref().map(|page| fill_target(page, target));
    let how = list.remove_how.as_deref().map(str::trim).filter(|how| !how.is_empty());
    let page = page.filter(|page| how.is_none_or(|how| !how.contains(page.as_str())));
    match (how, page) {
        (Some(how), Some(page)) => format!("{how} {page}"),
        (Some(how), None) => how.to_owned(),
        (None, Some(page)) => format!("Once the cause is gone, ask at {page}"),
        (None, None) => match &operator.home {
            Some(home) => format!("Once the cause is gone, ask {}: {home}", operator.name),
            None => format!("Once the cause is gone, ask {}", operator.name),
        },
    }
}

/// Fills `{target}` in a page's address. Whatever is not plain in a URL is percent-encoded (RFC 3986 §2.1), so that a
/// target can end neither the query nor the attribute it stands in.
pub fn fill_target(page: &str, target: &Target) -> String {
    if !page.contains("{target}") {
        return page.to_owned();
    }
    let mut filled = String::new();
    for octet in target.to_string().bytes() {
        match octet {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b':' => filled.push(octet.into()),
            _ => filled.push_str(&format!("%{octet:02X}")),
        }
    }
    page.replace("{target}", &filled)
}

#[cfg(test)]
mod tests {
    use super::super::testing;
    use super::*;
    use std::net::Ipv4Addr;

    #[test]
    fn the_catalogues_words_come_first_and_then_the_page() {
        let (list, operator) = (testing::list("bl.example"), testing::operator(&[]));
        let target = Target::Ip4(Ipv4Addr::new(192, 0, 2, 7));
        let with = |remove: Option<&str>, how: Option<&str>| {
            let list = List {
                remove: remove.map(str::to_owned),
                remove_how: how.map(str::to_owned),
                ..list.clone()
            };
            removal(&list, &operator, &target)
        };
        let page = "https://example.test/?q={target}";
        assert_eq!(
            with(Some(page), Some("The owner may ask. Free.")),
            "The owner may ask. Free. https://example.test/?q=192.0.2.7"
        );
        assert_eq!(with(None, Some("Ends by itself.")), "Ends by itself.");
        assert!(with(Some(page), None).ends_with("ask at https://example.test/?q=192.0.2.7"));
        assert!(with(None, None).contains(&operator.name));
    }

    #[test]
    fn targets_are_encoded_in_pages() {
        let target = Target::Ip6("2001:db8::1".parse().expect("an address"));
        assert_eq!(
            fill_target("https://x.example/{target}", &target),
            "https://x.example/2001:db8::1"
        );
        assert_eq!(fill_target("https://x.example/", &target), "https://x.example/");
        let odd = Target::Domain(crate::targets::Domain::new("a\"b&c.example").expect("labels may hold any octet"));
        assert_eq!(fill_target("{target}", &odd), "a%22b%26c.example");
    }
}
