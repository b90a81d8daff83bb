//! Special-use space: targets that no list can know, so none is asked about them (RFC 6890, RFC 6761).
//!
//! Documentation and benchmarking blocks and the names under `test` and `example` are ordinary targets here: they are
//! what rehearsals and tests are made of, and lists answer for them like for any other.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::target::Target;

/// Names that have no place in the public tree: `localhost`, `invalid` (RFC 6761), `local` (RFC 6762), `onion`
/// (RFC 7686), `home.arpa` (RFC 8375).
const NAMES: [&str; 5] = ["localhost", "invalid", "local", "onion", "home.arpa"];

/// Which special-use space a target is in, in a word; none for what lists may know.
pub fn special_use(target: &Target) -> Option<&'static str> {
    match target {
        Target::Ip4(address) => special_ip4(*address),
        Target::Ip6(address) => special_ip6(*address),
        Target::Domain(domain) => special_name(domain.as_str()),
    }
}

/// Whether all from the first to the last target of a row are in the same space, as their addresses show at once: all
/// blocks of IPv4 are made of whole /24s.
pub(super) fn share_use(first: &Target, last: &Target) -> bool {
    match (first, last) {
        (Target::Ip4(first), Target::Ip4(last)) => first.octets()[..3] == last.octets()[..3],
        _ => false,
    }
}

/// The blocks of RFC 6890 §2.2.2 and its registry that are not global.
fn special_ip4(address: Ipv4Addr) -> Option<&'static str> {
    match address.octets() {
        [0, ..] => Some("this_network"),
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] => Some("private"),
        [100, 64..=127, ..] => Some("cgn"), // RFC 6598
        [127, ..] => Some("loopback"),
        [169, 254, ..] => Some("link_local"),
        [192, 0, 0, _] => Some("reserved"),
        [224..=239, ..] => Some("multicast"),
        [240..=255, ..] => Some("reserved"),
        _ => None,
    }
}

/// The blocks of RFC 6890 §2.2.3, and all that is not global unicast space (RFC 4291 §2.4: 2000::/3 is what IANA
/// allocates from). 64:ff9b::/96 reaches the IPv4 internet (RFC 6052), so it is not special.
fn special_ip6(address: Ipv6Addr) -> Option<&'static str> {
    match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0] => Some("unspecified"),
        [0, 0, 0, 0, 0, 0, 0, 1] => Some("loopback"),
        [0x64, 0xff9b, 0, 0, 0, 0, _, _] => None,
        [0xfc00..=0xfdff, ..] => Some("private"),    // RFC 4193
        [0xfe80..=0xfebf, ..] => Some("link_local"), // RFC 4291 §2.5.6
        [0xff00..=0xffff, ..] => Some("multicast"),
        [0x2000..=0x3fff, ..] => None,
        _ => Some("reserved"),
    }
}

fn special_name(name: &str) -> Option<&'static str> {
    NAMES.into_iter().find(|special| match name.strip_suffix(special) {
        Some(rest) => rest.is_empty() || rest.ends_with('.'),
        None => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn word(text: &str) -> Option<&'static str> {
        special_use(&text.parse().expect("a good target"))
    }

    #[test]
    fn blocks_begin_and_end_where_the_registry_says() {
        for (last_before, first, last, first_behind, block) in [
            ("9.255.255.255", "10.0.0.0", "10.255.255.255", "11.0.0.0", "private"),
            (
                "172.15.255.255",
                "172.16.0.0",
                "172.31.255.255",
                "172.32.0.0",
                "private",
            ),
            (
                "192.167.255.255",
                "192.168.0.0",
                "192.168.255.255",
                "192.169.0.0",
                "private",
            ),
            ("100.63.255.255", "100.64.0.0", "100.127.255.255", "100.128.0.0", "cgn"),
            (
                "126.255.255.255",
                "127.0.0.0",
                "127.255.255.255",
                "128.0.0.0",
                "loopback",
            ),
            (
                "169.253.255.255",
                "169.254.0.0",
                "169.254.255.255",
                "169.255.0.0",
                "link_local",
            ),
            ("191.255.255.255", "192.0.0.0", "192.0.0.255", "192.0.1.0", "reserved"),
        ] {
            assert_eq!(word(last_before), None, "{last_before}");
            assert_eq!(word(first), Some(block), "{first}");
            assert_eq!(word(last), Some(block), "{last}");
            assert_eq!(word(first_behind), None, "{first_behind}");
        }
        assert_eq!(word("223.255.255.255"), None);
        assert_eq!(word("224.0.0.0"), Some("multicast"));
        assert_eq!(word("239.255.255.255"), Some("multicast"));
        assert_eq!(word("240.0.0.0"), Some("reserved"));
        assert_eq!(word("255.255.255.255"), Some("reserved"));
        assert_eq!(word("0.1.2.3"), Some("this_network"));
    }

    #[test]
    fn ip6_outside_global_unicast_is_special() {
        for (text, block) in [
            ("::", "unspecified"),
            ("::1", "loopback"),
            ("::2", "reserved"),
            ("64:ff9b:1::1", "reserved"),
            ("100::1", "reserved"),
            ("fd12::1", "private"),
            ("fe80::1", "link_local"),
            ("fec0::1", "reserved"),
            ("ff02::1", "multicast"),
            ("4000::1", "reserved"),
        ] {
            assert_eq!(word(text), Some(block), "{text}");
        }
        for text in ["2001:db8::1", "3fff::1", "2002:a00::1", "64:ff9b::c000:201", "2a00::1"] {
            assert_eq!(word(text), None, "{text}");
        }
    }

    #[test]
    fn documentation_and_benchmarking_are_ordinary() {
        for text in [
            "192.0.2.1",
            "198.51.100.1",
            "203.0.113.1",
            "198.18.0.1",
            "a.test",
            "b.example",
            "example.org",
        ] {
            assert_eq!(word(text), None, "{text}");
        }
    }

    #[test]
    fn names_are_special_by_whole_labels() {
        assert_eq!(word("localhost"), Some("localhost"));
        assert_eq!(word("x.LOCALHOST."), Some("localhost"));
        assert_eq!(word("printer.local"), Some("local"));
        assert_eq!(word("nas.home.arpa"), Some("home.arpa"));
        assert_eq!(word("abc.onion"), Some("onion"));
        assert_eq!(word("notlocal.example"), None);
        assert_eq!(word("a.notonion"), None);
        assert_eq!(word("2.0.0.127.in-addr.arpa"), None);
    }
}
