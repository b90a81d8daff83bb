//! The grammar of RFC 7208 §12: a record's octets into an [`SpfRecord`], or the place of the first fault.
//!
//! Strict to the letter where the grammar is plain. Where it is not, with the openspf suite: `exp` and `redirect` are never
//! unknown modifiers, prefix lengths have no leading zeros, and a domain may hold `/` and `:` before its last label.

use std::ops::Range;
use std::str::FromStr;

use crate::stages::escape::quote;

use super::macros::{Fault, MacroString, Place};
use super::record::{Directive, DualPrefix, Mechanism, Modifier, Qualifier, SpfRecord, SyntaxError};

/// Longest record in octets: thirty times what RFC 7208 §3.4 advises, and no honest record comes near.
const RECORD_OCTETS_MAX: usize = 16_384;

/// What a record begins with (RFC 7208 §4.5), in any case.
const VERSION: &[u8] = b"v=spf1";

/// Whether a text is meant as a record: the version, then a space or nothing (RFC 7208 §4.5).
pub(super) fn is_spf(octets: &[u8]) -> bool {
    match octets.split_at_checked(VERSION.len()) {
        Some((version, rest)) => version.eq_ignore_ascii_case(VERSION) && matches!(rest.first(), None | Some(b' ')),
        None => false,
    }
}

impl SpfRecord {
    /// Parses a whole record.
    ///
    /// # Errors
    /// At the first fault of the grammar, with its place: the result is "permerror" whatever stands before it (RFC 7208 §4.6).
    pub fn parse(octets: &[u8]) -> Result<SpfRecord, SyntaxError> {
        let whole = 0..octets.len();
        if !is_spf(octets) {
            return Err(fault(octets, &whole, ("no version \"v=spf1\"", 0)));
        }
        if octets.len() > RECORD_OCTETS_MAX {
            return Err(fault(
                octets,
                &whole,
                ("a record that is far too long", RECORD_OCTETS_MAX),
            ));
        }
        let mut record = SpfRecord {
            text: String::new(),
            directives: Vec::new(),
            redirect: None,
            exp: None,
            unknown: Vec::new(),
        };
        for span in spans(octets, VERSION.len()) {
            let term = &octets[span.clone()];
            parse_term(term, &span, &mut record).map_err(|found| fault(octets, &span, found))?;
        }
        // Every term has passed, and terms are visible ASCII.
        record.text = octets.iter().map(|&octet| char::from(octet)).collect();
        Ok(record)
    }
}

/// An error about the term at `span`, with a position that counts from the record's beginning.
fn fault(octets: &[u8], span: &Range<usize>, (reason, offset): Fault) -> SyntaxError {
    SyntaxError {
        reason,
        position: span.start + offset,
        term: quote(&octets[span.clone()]),
    }
}

/// The runs of octets between spaces. Nothing but a space separates terms.
fn spans(octets: &[u8], start: usize) -> Vec<Range<usize>> {
    let mut spans = Vec::new();
    let mut at = start;
    for word in octets[start..].split(|&octet| octet == b' ') {
        if !word.is_empty() {
            spans.push(at..at + word.len());
        }
        at += word.len() + 1;
    }
    spans
}

/// One term into its place in the record.
fn parse_term(term: &[u8], span: &Range<usize>, record: &mut SpfRecord) -> Result<(), Fault> {
    if let Some(bad) = term.iter().position(|octet| !(0x21..=0x7e).contains(octet)) {
        return Err(("an octet that is not visible ASCII", bad));
    }
    let Some(name) = modifier_name(term) else {
        let (qualifier, skip) = parse_qualifier(term);
        let mechanism = parse_mechanism(&term[skip..]).map_err(|(reason, offset)| (reason, skip + offset))?;
        record.directives.push(Directive {
            qualifier,
            mechanism,
            span: span.clone(),
        });
        return Ok(());
    };
    let slot = match name.to_ascii_lowercase().as_slice() {
        b"redirect" => &mut record.redirect,
        b"exp" => &mut record.exp,
        _ => {
            record.unknown.push(span.clone());
            return parse_macros(term, name.len() + 1, Place::Value).map(drop);
        }
    };
    if slot.is_some() {
        return Err(("a modifier for the second time", 0));
    }
    *slot = Some(Modifier {
        domain: parse_macros(term, name.len() + 1, Place::Domain)?,
        span: span.clone(),
    });
    Ok(())
}

/// The macro string from `start` to the term's end.
fn parse_macros(term: &[u8], start: usize, place: Place) -> Result<MacroString, Fault> {
    MacroString::parse(&term[start..], place).map_err(|(reason, offset)| (reason, start + offset))
}

/// `name = ALPHA *( ALPHA / DIGIT / "-" / "_" / "." )` before an equals sign.
fn modifier_name(term: &[u8]) -> Option<&[u8]> {
    let name = &term[..term.iter().position(|&octet| octet == b'=')?];
    let good = name
        .iter()
        .all(|octet| octet.is_ascii_alphanumeric() || b"-_.".contains(octet));
    (good && name.first().is_some_and(u8::is_ascii_alphabetic)).then_some(name)
}

/// The qualifier and its length.
fn parse_qualifier(term: &[u8]) -> (Qualifier, usize) {
    match term.first() {
        Some(b'+') => (Qualifier::Pass, 1),
        Some(b'-') => (Qualifier::Fail, 1),
        Some(b'~') => (Qualifier::Softfail, 1),
        Some(b'?') => (Qualifier::Neutral, 1),
        _ => (Qualifier::Pass, 0),
    }
}

/// A mechanism without its qualifier.
fn parse_mechanism(term: &[u8]) -> Result<Mechanism, Fault> {
    let end = term
        .iter()
        .position(|octet| b":/".contains(octet))
        .unwrap_or(term.len());
    let domain = |from: usize| parse_domain(term, from, term.len());
    match term[..end].to_ascii_lowercase().as_slice() {
        b"all" if end == term.len() => Ok(Mechanism::All),
        b"all" => Err(("something behind \"all\"", end)),
        b"include" => Ok(Mechanism::Include(domain(end)?)),
        b"exists" => Ok(Mechanism::Exists(domain(end)?)),
        b"ptr" if end == term.len() => Ok(Mechanism::Ptr(None)),
        b"ptr" => Ok(Mechanism::Ptr(Some(domain(end)?))),
        b"a" => parse_dual(term, end).map(|(domain, prefix)| Mechanism::A(domain, prefix)),
        b"mx" => parse_dual(term, end).map(|(domain, prefix)| Mechanism::Mx(domain, prefix)),
        b"ip4" => parse_network(term, end, 32).map(|(address, prefix)| Mechanism::Ip4(address, prefix)),
        b"ip6" => parse_network(term, end, 128).map(|(address, prefix)| Mechanism::Ip6(address, prefix)),
        _ => Err(("an unknown mechanism", 0)),
    }
}

/// `":" domain-spec` from `from` to `end`.
fn parse_domain(term: &[u8], from: usize, end: usize) -> Result<MacroString, Fault> {
    if term.get(from) != Some(&b':') {
        return Err(("no domain", from));
    }
    parse_macros(&term[..end], from + 1, Place::Domain)
}

/// `[ ":" domain-spec ] [ dual-cidr-length ]` from `from`.
fn parse_dual(term: &[u8], from: usize) -> Result<(Option<MacroString>, DualPrefix), Fault> {
    let mut prefix = DualPrefix::FULL;
    let mut end = term.len();
    if let Some((start, digits)) = trailing_prefix(&term[..end], from, b"//") {
        prefix.ip6 = parse_prefix(digits, 128).ok_or(("a bad IPv6 prefix length", start))?;
        end = start;
    }
    if let Some((start, digits)) = trailing_prefix(&term[..end], from, b"/") {
        prefix.ip4 = parse_prefix(digits, 32).ok_or(("a bad IPv4 prefix length", start))?;
        end = start;
    }
    match end > from {
        true => parse_domain(term, from, end).map(|domain| (Some(domain), prefix)),
        false => Ok((None, prefix)),
    }
}

/// Digits at the end behind `mark`: where the mark begins, and the digits. The domain before them cannot end in either.
fn trailing_prefix<'a>(term: &'a [u8], from: usize, mark: &[u8]) -> Option<(usize, &'a [u8])> {
    let digits = term.iter().rev().take_while(|octet| octet.is_ascii_digit()).count();
    let start = term.len() - digits;
    let at = start.checked_sub(mark.len()).filter(|&at| at >= from)?;
    (digits > 0 && term[at..].starts_with(mark)).then_some((at, &term[start..]))
}

/// A prefix length of at most `max`, without leading zeros.
fn parse_prefix(digits: &[u8], max: u8) -> Option<u8> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) || (digits.len() > 1 && digits[0] == b'0') {
        return None;
    }
    let number: u8 = std::str::from_utf8(digits).ok()?.parse().ok()?;
    (number <= max).then_some(number)
}

/// `":" network [ "/" length ]` from `from`.
fn parse_network<T: FromStr>(term: &[u8], from: usize, max: u8) -> Result<(T, u8), Fault> {
    if term.get(from) != Some(&b':') {
        return Err(("no network", from));
    }
    let network = &term[from + 1..];
    let slash = network.iter().position(|&octet| octet == b'/');
    let address = &network[..slash.unwrap_or(network.len())];
    let address = std::str::from_utf8(address).ok().and_then(|text| text.parse().ok());
    let address = address.ok_or(("a bad address", from + 1))?;
    let prefix = match slash {
        Some(slash) => parse_prefix(&network[slash + 1..], max).ok_or(("a bad prefix length", from + 1 + slash))?,
        None => max,
    };
    Ok((address, prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn position(text: &str) -> usize {
        SpfRecord::parse(text.as_bytes()).expect_err(text).position
    }

    #[test]
    fn a_record_becomes_directives_and_modifiers() {
        let text = "V=spf1 a/24//64  ?mx:mail.example.org ip6:2001:db8::/32 EXP=e.%{d} moo.cow=x/y:z ~All ";
        let record = SpfRecord::parse(text.as_bytes()).expect("good");
        let prefix = DualPrefix { ip4: 24, ip6: 64 };
        assert_eq!(record.directives.len(), 4);
        assert_eq!(record.directives[0].mechanism, Mechanism::A(None, prefix));
        assert_eq!(record.directives[1].qualifier, Qualifier::Neutral);
        assert_eq!(record.text_of(&record.directives[1].span), "?mx:mail.example.org");
        let network = "2001:db8::".parse().expect("an address");
        assert_eq!(record.directives[2].mechanism, Mechanism::Ip6(network, 32));
        assert_eq!(record.all(), Some(3));
        assert!(record.exp.is_some() && record.redirect.is_none());
    }

    #[test]
    fn the_version_ends_in_a_space_or_the_end() {
        assert!(is_spf(b"v=SPF1") && is_spf(b"v=spf1 "));
        for text in ["v=spf10", "v=spf1\tall", "v=spf", "", "v=spf1-all"] {
            assert!(!is_spf(text.as_bytes()), "{text}");
        }
    }

    #[test]
    fn faults_are_found_where_they_are() {
        for (text, at) in [
            ("v=spf1 ip4:192.0.2.1 moo -all", 21),
            ("v=spf1 -all:x", 11),
            ("v=spf1 a:foo.test/33", 17),
            ("v=spf1 a/24/24", 8),
            ("v=spf1 a:", 9),
            ("v=spf1 include -all", 14),
            ("v=spf1 ip4:192.0.2 -all", 11),
            ("v=spf1 ip4:192.0.2.1/032", 20),
            ("v=spf1 ip4:192.0.2.1//32", 20),
            ("v=spf1 ip6:2001:db8::/129", 21),
            ("v=spf1 a:%{d}.%{x}.test", 16),
            ("v=spf1 redirect=a.test redirect=a.test", 23),
            ("v=spf1 redirect=-all", 16),
            ("v=spf1 a:foo.test\u{7}x", 17),
            ("v=spf1 1up=foo", 7),
            ("v=spf1 foo=%abc", 11),
            ("v=spf1 + -all", 8),
        ] {
            assert_eq!(position(text), at, "{text}");
        }
    }

    #[test]
    fn a_shown_term_is_escaped() {
        let error = SpfRecord::parse(b"v=spf1 \x1b[31m\xff -all").expect_err("bad");
        assert_eq!((error.position, error.term.as_str()), (7, "\\x1b[31m\\xff"));
    }

    #[test]
    fn a_huge_record_is_refused() {
        let huge = format!("v=spf1{} -all", " a".repeat(RECORD_OCTETS_MAX));
        assert_eq!(position(&huge), RECORD_OCTETS_MAX);
    }

    #[test]
    fn domains_may_hold_slashes_and_colons() {
        let record = SpfRecord::parse(b"v=spf1 a:foo:bar/baz.example.com/24").expect("good");
        let Mechanism::A(Some(domain), prefix) = &record.directives[0].mechanism else {
            panic!("not an a mechanism");
        };
        assert_eq!(domain.fixed("d.test").as_deref(), Some("foo:bar/baz.example.com"));
        assert_eq!(prefix.ip4, 24);
    }
}
