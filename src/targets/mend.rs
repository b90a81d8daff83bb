//! What may have been meant by something that is not a target.
//!
//! A guess is offered only if it is a good target itself (or a path to read), so it is also safe to show.

use std::net::IpAddr;

use super::error::Why;
use super::parse::{Ip6Unit, form, host_mask};

/// The first guess that is a target.
pub(super) fn mend(text: &str, why: &Why, unit: Ip6Unit) -> Option<String> {
    let guesses: [fn(&str) -> Option<String>; 9] = [
        network, netmask, swapped, range_end, wildcard, padded, zeros, bare, dots,
    ];
    let good = |guess: &String| guess != text && form(guess, unit).is_ok();
    match guesses.iter().filter_map(|guess| guess(text)).find(good) {
        None if *why == Why::PrefixBase => path(text),
        guess => guess,
    }
}

/// `192.0.2.7/24`: its network.
fn network(text: &str) -> Option<String> {
    let (base, length) = text.split_once('/')?;
    let base: IpAddr = base.parse().ok()?;
    let length: u8 = length.parse().ok()?;
    let network = match base {
        IpAddr::V4(base) => IpAddr::V4((base.to_bits() & !(host_mask(32u8.checked_sub(length)?) as u32)).into()),
        IpAddr::V6(base) => IpAddr::V6((base.to_bits() & !host_mask(128u8.checked_sub(length)?)).into()),
    };
    Some(format!("{network}/{length}"))
}

/// `192.0.2.0/255.255.255.0`: its length.
fn netmask(text: &str) -> Option<String> {
    let (base, mask) = text.split_once('/')?;
    let mask = mask.parse::<std::net::Ipv4Addr>().ok()?.to_bits();
    let length = mask.leading_ones();
    (length + mask.trailing_zeros() == 32).then(|| network(&format!("{base}/{length}")))?
}

/// `192.0.2.99-192.0.2.10`: the other way round.
fn swapped(text: &str) -> Option<String> {
    let (first, last) = text.split_once('-')?;
    let (first, last) = (first.trim(), last.trim());
    // Names have dashes too: the two halves of one are no range.
    let ends = [first, last].map(|end| end.parse::<IpAddr>());
    ends.iter().all(Result::is_ok).then(|| format!("{last}-{first}"))
}

/// `192.0.2.10-99`: the end in full.
fn range_end(text: &str) -> Option<String> {
    let (first, last) = text.split_once('-')?;
    let dot = first.rfind('.')?;
    Some(format!("{}-{}.{}", first.trim(), &first[..dot], last.trim()))
}

/// `192.0.2.*`: a prefix.
fn wildcard(text: &str) -> Option<String> {
    let stem = text.trim_end_matches(".*");
    let stars = (text.len() - stem.len()) / 2;
    (1..=3)
        .contains(&stars)
        .then(|| format!("{stem}{}/{}", ".0".repeat(stars), 32 - 8 * stars))
}

/// `1.2.3` or `1.2.3/24`: with the octets that were left out.
fn padded(text: &str) -> Option<String> {
    let (base, length) = text.split_once('/').unwrap_or((text, ""));
    let missing = 4usize.checked_sub(base.split('.').count())?;
    let length = match length {
        "" => (32 - 8 * missing).to_string(),
        length => length.to_owned(),
    };
    (1..=2)
        .contains(&missing)
        .then(|| format!("{base}{}/{length}", ".0".repeat(missing)))
}

/// `192.000.002.001`: without leading zeros.
fn zeros(text: &str) -> Option<String> {
    let octets: Option<Vec<String>> = text
        .split('.')
        .map(|octet| Some(octet.parse::<u8>().ok()?.to_string()))
        .collect();
    Some(octets?.join("."))
}

/// An address or a name in a URL, a mailbox, brackets, quotes, with a port, an interface, a wildcard.
fn bare(text: &str) -> Option<String> {
    if text
        .split_once('/')
        .is_some_and(|(base, _)| base.parse::<IpAddr>().is_ok())
    {
        return None; // a prefix was meant: one address of it is no mend
    }
    let (_, rest) = text.split_once("://").unwrap_or(("", text));
    let authority = rest.split(['/', '?']).next().unwrap_or(rest);
    let (_, host) = authority.rsplit_once('@').unwrap_or(("", authority));
    let host = host.trim_matches(['<', '>', '"', '\'', ',', ';', '(', ')']);
    let host = match host.strip_prefix('[') {
        Some(inner) => inner.split_once(']')?.0.trim_start_matches("IPv6:"), // RFC 5321 §4.1.3
        None => port_off(host),
    };
    let (host, _) = host.split_once('%').unwrap_or((host, ""));
    Some(host.trim_start_matches("*.").to_owned())
}

/// Without `:25`, unless the colons are those of an IPv6 address.
fn port_off(host: &str) -> &str {
    match host.split_once(':') {
        Some((name, port)) if port.bytes().all(|octet| octet.is_ascii_digit()) => name,
        _ => host,
    }
}

/// `.example.org`, `a..example`: without empty labels.
fn dots(text: &str) -> Option<String> {
    let labels: Vec<&str> = text.split('.').filter(|label| !label.is_empty()).collect();
    Some(labels.join("."))
}

/// `./hosts.txt`: a file to read.
fn path(text: &str) -> Option<String> {
    let starts = ["/", "./", "../", "~/"];
    let shown = text.chars().count() < 200 && !text.chars().any(|char| char.is_control());
    (shown && starts.iter().any(|start| text.starts_with(start))).then(|| format!("@{text}"))
}

#[cfg(test)]
mod tests {
    use super::super::parse::parse;
    use super::*;

    fn guess(text: &str) -> Option<String> {
        parse(text, Ip6Unit::Address).expect_err("not a target").mend
    }

    #[test]
    fn a_slip_is_answered_with_what_was_meant() {
        for (text, meant) in [
            ("192.0.2.7/24", "192.0.2.0/24"),
            ("2001:db8::1/120", "2001:db8::/120"),
            ("192.0.2.0/255.255.255.0", "192.0.2.0/24"),
            ("192.0.2.99-192.0.2.10", "192.0.2.10-192.0.2.99"),
            ("192.0.2.10-99", "192.0.2.10-192.0.2.99"),
            ("192.0.2.*", "192.0.2.0/24"),
            ("1.2.3", "1.2.3.0/24"),
            ("1.2.3/24", "1.2.3.0/24"),
            ("192.000.002.001", "192.0.2.1"),
            ("http://example.org/page?x=1", "example.org"),
            ("https://user:pass@example.org:8080/", "example.org"),
            ("http://[2001:db8::1]:80/", "2001:db8::1"),
            ("[IPv6:2001:db8::1]", "2001:db8::1"),
            ("[192.0.2.1]", "192.0.2.1"),
            ("192.0.2.1:25", "192.0.2.1"),
            ("user@example.org", "example.org"),
            ("<user@example.org>", "example.org"),
            ("fe80::1%eth0", "fe80::1"),
            ("*.example.org", "example.org"),
            (".example.org", "example.org"),
            ("a..example", "a.example"),
            ("example.org,", "example.org"),
            ("./hosts.txt", "@./hosts.txt"),
            ("/etc/hosts", "@/etc/hosts"),
        ] {
            assert_eq!(guess(text).as_deref(), Some(meant), "{text}");
        }
    }

    #[test]
    fn no_guess_is_better_than_a_bad_one() {
        for text in [
            "300.1.2.3",
            "mailhost",
            "a b",
            "http://",
            "2001:db8::/32",
            "/\x1b[2J",
            "192.0.2.0/33",
            "x/255.0.255.0",
            "xn--a.test",
            "xn--.test",
        ] {
            assert_eq!(guess(text), None, "{text:?}");
        }
    }
}
