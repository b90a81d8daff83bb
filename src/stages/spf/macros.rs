//! Macro strings (RFC 7208 §7): parsed once, expanded with the values of one check.
//!
//! Parsing is by position in the whole text, so that an error can say where. Expansion is pure: the one value that
//! costs lookups (`%{p}`) is found before by whoever evaluates, and only if [`MacroString::uses_p`] says so.

use std::borrow::Cow;
use std::net::IpAddr;

/// Longest domain name in text (RFC 7208 §7.3: longer ones lose labels on the left).
const DOMAIN_TEXT_MAX: usize = 253;

/// Octets kept while a domain is expanded: far over [`DOMAIN_TEXT_MAX`], so that only what would be cut off anyway is lost.
const DOMAIN_TAIL_MAX: usize = 2_048;

/// Longest explanation in octets; RFC 5321 §4.5.3.1.5 has 512 for a reply line, several lines may hold it.
const EXPLANATION_OCTETS_MAX: usize = 4_096;

/// A text with macros in it: a domain or an explanation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MacroString {
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Literal(String),
    /// `%%`, `%_`, `%-`: macros by the grammar, so a domain may end in one.
    Escape(&'static str),
    Macro(Macro),
}

/// `%{letter digits r delimiters}`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Macro {
    /// In lower case.
    letter: u8,
    /// The letter was upper case: the value is to be URL-escaped.
    escaped: bool,
    /// How many right-hand parts are kept; 0: all.
    keep: usize,
    reversed: bool,
    /// Empty: a dot.
    delimiters: String,
}

/// Where the string stands: it decides which octets and letters are good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// A `domain-spec`: must end in a top label or a macro.
    Domain,
    /// The value of an unknown modifier.
    Value,
    /// An explanation: spaces are good, and the letters c, r, t.
    Explanation,
}

/// What is wrong with a macro string, and at which octet of it.
pub(super) type Fault = (&'static str, usize);

/// What the letters stand for in one check (RFC 7208 §7.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MacroValues<'a> {
    /// `s`: the sender, local part and domain.
    pub sender: &'a str,
    /// `l`: the sender's local part.
    pub local: &'a str,
    /// `o`: the sender's domain.
    pub origin: &'a str,
    /// `d`: the domain of the record being evaluated.
    pub domain: &'a str,
    /// `i`, `v`, `c`: the client's address.
    pub ip: IpAddr,
    /// `p`: the client's validated name, or `unknown`.
    pub validated: &'a str,
    /// `h`: what the client said in HELO.
    pub helo: &'a str,
    /// `r`: the host that checks.
    pub receiver: &'a str,
    /// `t`: the time, in seconds since 1970.
    pub timestamp: u64,
}

impl MacroString {
    /// Parses `text`; a fault's position counts from its beginning.
    pub(super) fn parse(text: &[u8], place: Place) -> Result<MacroString, Fault> {
        let mut parts = Vec::new();
        let mut literal = String::new();
        let mut at = 0;
        while let Some(&octet) = text.get(at) {
            if octet != b'%' {
                let space = octet == b' ' && place == Place::Explanation;
                if !space && !(0x21..=0x7e).contains(&octet) {
                    return Err(("an octet that is not visible ASCII", at));
                }
                literal.push(char::from(octet));
                at += 1;
                continue;
            }
            if !literal.is_empty() {
                parts.push(Part::Literal(std::mem::take(&mut literal)));
            }
            let (part, len) = parse_escape(&text[at..], place).map_err(|(reason, offset)| (reason, at + offset))?;
            parts.push(part);
            at += len;
        }
        if place == Place::Domain {
            check_end(&parts, &literal).map_err(|reason| (reason, text.len() - literal.len()))?;
        }
        if !literal.is_empty() {
            parts.push(Part::Literal(literal));
        }
        Ok(MacroString { parts })
    }

    /// Whether it needs the client's validated name, which costs lookups (RFC 7208 §7.3 discourages it).
    pub fn uses_p(&self) -> bool {
        self.parts
            .iter()
            .any(|part| matches!(part, Part::Macro(expand) if expand.letter == b'p'))
    }

    /// The text, if it is the same in every check of the domain `d`: no macro but `%{d}` and the escapes.
    pub fn fixed(&self, domain: &str) -> Option<String> {
        let mut text = String::new();
        for part in &self.parts {
            match part {
                Part::Literal(literal) => text.push_str(literal),
                Part::Escape(escape) => text.push_str(escape),
                Part::Macro(expand) if expand.letter == b'd' => text.push_str(&expand.transform(domain)),
                Part::Macro(_) => return None,
            }
        }
        Some(fit_domain(text))
    }

    /// The domain name that it stands for, as text without a final dot, at most 253 characters.
    pub fn expand_domain(&self, values: &MacroValues<'_>) -> String {
        let mut text = String::new();
        for part in &self.parts {
            part.expand_into(&mut text, values);
            if text.len() > 2 * DOMAIN_TAIL_MAX {
                // What is cut here is left of 253 characters that follow it.
                let mut cut = text.len() - DOMAIN_TAIL_MAX;
                while !text.is_char_boundary(cut) {
                    cut += 1;
                }
                text.drain(..cut);
            }
        }
        fit_domain(text)
    }

    /// The explanation that it stands for, cut where it gets too long.
    pub fn expand_explanation(&self, values: &MacroValues<'_>) -> String {
        let mut text = String::new();
        for part in &self.parts {
            part.expand_into(&mut text, values);
            if text.len() > EXPLANATION_OCTETS_MAX {
                let mut cut = EXPLANATION_OCTETS_MAX;
                while !text.is_char_boundary(cut) {
                    cut -= 1;
                }
                text.truncate(cut);
                break;
            }
        }
        text
    }
}

/// Reads what begins with a percent sign; gives the part and its length.
fn parse_escape(text: &[u8], place: Place) -> Result<(Part, usize), Fault> {
    match text.get(1) {
        Some(b'%') => Ok((Part::Escape("%"), 2)),
        Some(b'_') => Ok((Part::Escape(" "), 2)),
        Some(b'-') => Ok((Part::Escape("%20"), 2)),
        Some(b'{') => parse_macro(text, place),
        _ => Err(("a percent sign that begins no macro", 0)),
    }
}

/// Reads `%{…}`.
fn parse_macro(text: &[u8], place: Place) -> Result<(Part, usize), Fault> {
    const LETTERS: &[u8] = b"slodiphv";
    const EXPLANATION_LETTERS: &[u8] = b"crt";
    let letter = *text.get(2).ok_or(("a macro without an end", 0))?;
    let lower = letter.to_ascii_lowercase();
    if EXPLANATION_LETTERS.contains(&lower) && place != Place::Explanation {
        return Err(("a macro letter that only explanations may use", 2));
    }
    if !LETTERS.contains(&lower) && !EXPLANATION_LETTERS.contains(&lower) {
        return Err(("an unknown macro letter", 2));
    }
    let digits = text[3..].iter().take_while(|octet| octet.is_ascii_digit()).count();
    // Too many parts are all parts, so a number that saturates is as good as the number.
    let keep = text[3..3 + digits].iter().fold(0usize, |keep, digit| {
        keep.saturating_mul(10).saturating_add(usize::from(digit - b'0'))
    });
    if digits > 0 && keep == 0 {
        return Err(("a macro that keeps no parts", 3));
    }
    let mut at = 3 + digits;
    let reversed = text.get(at).is_some_and(|octet| octet.eq_ignore_ascii_case(&b'r'));
    at += usize::from(reversed);
    let delimiters: String = text[at..]
        .iter()
        .take_while(|octet| b".-+,/_=".contains(octet))
        .map(|&octet| char::from(octet))
        .collect();
    at += delimiters.len();
    match text.get(at) {
        Some(b'}') => {}
        Some(_) => return Err(("an octet that does not belong in a macro", at)),
        None => return Err(("a macro without an end", 0)),
    }
    let expand = Macro {
        letter: lower,
        escaped: letter.is_ascii_uppercase(),
        keep,
        reversed,
        delimiters,
    };
    Ok((Part::Macro(expand), at + 1))
}

/// `domain-end = ( "." toplabel [ "." ] ) / macro-expand`: `tail` is the literal after the last macro.
fn check_end(parts: &[Part], tail: &str) -> Result<(), &'static str> {
    if tail.is_empty() {
        return match parts.is_empty() {
            true => Err("no domain"),
            false => Ok(()), // ends in a macro
        };
    }
    let tail = tail.strip_suffix('.').unwrap_or(tail);
    let Some((_, top)) = tail.rsplit_once('.') else {
        return Err("a domain without a dot before its last label");
    };
    let letters_and_digits = top.bytes().all(|octet| octet.is_ascii_alphanumeric() || octet == b'-');
    let dashed_inside = !top.starts_with('-') && !top.ends_with('-');
    if top.is_empty() || !letters_and_digits || !dashed_inside {
        return Err("a domain whose last label is not a top label");
    }
    if top.bytes().all(|octet| octet.is_ascii_digit()) {
        return Err("an address or a number where a domain belongs");
    }
    Ok(())
}

impl Part {
    fn expand_into(&self, text: &mut String, values: &MacroValues<'_>) {
        match self {
            Part::Literal(literal) => text.push_str(literal),
            Part::Escape(escape) => text.push_str(escape),
            Part::Macro(expand) => expand.expand_into(text, values),
        }
    }
}

impl Macro {
    fn expand_into(&self, text: &mut String, values: &MacroValues<'_>) {
        let value: Cow<'_, str> = match self.letter {
            b's' => values.sender.into(),
            b'l' => values.local.into(),
            b'o' => values.origin.into(),
            b'd' => values.domain.into(),
            b'i' => dotted(values.ip).into(),
            b'p' => values.validated.into(),
            b'v' if values.ip.is_ipv4() => "in-addr".into(),
            b'v' => "ip6".into(),
            b'h' => values.helo.into(),
            b'c' => values.ip.to_string().into(),
            b'r' => values.receiver.into(),
            _ => values.timestamp.to_string().into(), // t: the parser lets no other letter through
        };
        let value = self.transform(&value);
        match self.escaped {
            true => url_escape(text, &value),
            false => text.push_str(&value),
        }
    }

    /// Splits at delimiters, reverses, keeps right-hand parts, joins with dots (RFC 7208 §7.3).
    fn transform(&self, value: &str) -> String {
        let delimiters = match self.delimiters.as_str() {
            "" => ".",
            given => given,
        };
        let mut parts: Vec<&str> = value.split(|character| delimiters.contains(character)).collect();
        if self.reversed {
            parts.reverse();
        }
        let skip = match self.keep {
            0 => 0,
            keep => parts.len().saturating_sub(keep),
        };
        parts[skip..].join(".")
    }
}

/// `i`: an IPv4 address as it is, an IPv6 address as 32 nibbles with dots, in upper case as the openspf suite has them.
fn dotted(ip: IpAddr) -> String {
    let IpAddr::V6(address) = ip else {
        return ip.to_string();
    };
    let mut text = String::with_capacity(63);
    for octet in address.octets() {
        for nibble in [octet >> 4, octet & 0xf] {
            if !text.is_empty() {
                text.push('.');
            }
            text.push(char::from(b"0123456789ABCDEF"[usize::from(nibble)]));
        }
    }
    text
}

/// Everything outside RFC 3986's unreserved set as `%XX`.
fn url_escape(text: &mut String, value: &str) {
    for octet in value.bytes() {
        match octet {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => text.push(char::from(octet)),
            _ => text.push_str(&format!("%{octet:02X}")),
        }
    }
}

/// Takes the final dot off, and labels from the left until 253 characters are left (RFC 7208 §7.3).
fn fit_domain(mut text: String) -> String {
    if text.ends_with('.') {
        text.pop();
    }
    let mut rest = text.as_str();
    while rest.len() > DOMAIN_TEXT_MAX {
        match rest.split_once('.') {
            Some((_, tail)) => rest = tail,
            None => break, // one label far too long: no domain name, whoever looks it up will see
        }
    }
    rest.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The values of the examples in RFC 7208 §7.4.
    fn values(ip: &str) -> MacroValues<'static> {
        MacroValues {
            sender: "strong-bad@email.example.com",
            local: "strong-bad",
            origin: "email.example.com",
            domain: "email.example.com",
            ip: ip.parse().expect("an address"),
            validated: "mx.example.org",
            helo: "mx.example.org",
            receiver: "receiver.test",
            timestamp: 1_234_567_890,
        }
    }

    fn domain(text: &str) -> MacroString {
        MacroString::parse(text.as_bytes(), Place::Domain).expect("a good domain")
    }

    #[test]
    fn the_examples_of_rfc_7208_section_7_4() {
        let v4 = values("192.0.2.3");
        for (text, expanded) in [
            ("%{s}", "strong-bad@email.example.com"),
            ("%{o}", "email.example.com"),
            ("%{d}", "email.example.com"),
            ("%{d4}", "email.example.com"),
            ("%{d3}", "email.example.com"),
            ("%{d2}", "example.com"),
            ("%{d1}", "com"),
            ("%{dr}", "com.example.email"),
            ("%{d2r}", "example.email"),
            ("%{l}", "strong-bad"),
            ("%{l-}", "strong.bad"),
            ("%{lr}", "strong-bad"),
            ("%{lr-}", "bad.strong"),
            ("%{l1r-}", "strong"),
            ("%{ir}.%{v}._spf.%{d2}", "3.2.0.192.in-addr._spf.example.com"),
            ("%{lr-}.lp._spf.%{d2}", "bad.strong.lp._spf.example.com"),
            (
                "%{lr-}.lp.%{ir}.%{v}._spf.%{d2}",
                "bad.strong.lp.3.2.0.192.in-addr._spf.example.com",
            ),
            (
                "%{ir}.%{v}.%{l1r-}.lp._spf.%{d2}",
                "3.2.0.192.in-addr.strong.lp._spf.example.com",
            ),
            (
                "%{d2}.trusted-domains.example.net",
                "example.com.trusted-domains.example.net",
            ),
        ] {
            assert_eq!(domain(text).expand_domain(&v4), expanded, "{text}");
        }
        let v6 = domain("%{ir}.%{v}._spf.%{d2}").expand_domain(&values("2001:db8::cb01"));
        assert_eq!(
            v6.to_ascii_lowercase(),
            "1.0.b.c.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6._spf.example.com"
        );
    }

    #[test]
    fn a_fault_says_where() {
        for (text, position) in [
            ("a.%{x}.test", 4),
            ("a.%{d0}.test", 5),
            ("a.%{d", 2),
            ("a.%d.test", 2),
            ("a.test%", 6),
            ("a.%{c}.test", 4),
            ("a.%{dz}.test", 5),
            ("%{d}com", 4),
            ("", 0),
            ("a.\u{e9}.test", 2),
            ("museum.", 0),
            ("a.-com", 0),
            ("192.0.2.1", 0),
        ] {
            let fault = MacroString::parse(text.as_bytes(), Place::Domain).expect_err(text);
            assert_eq!(fault.1, position, "{text}: {}", fault.0);
        }
    }

    #[test]
    fn explanations_have_letters_and_spaces_of_their_own() {
        let text = b"%{c} %{t} %{r} 100%%";
        let explanation = MacroString::parse(text, Place::Explanation).expect("good");
        assert_eq!(
            explanation.expand_explanation(&values("2001:db8::1")),
            "2001:db8::1 1234567890 receiver.test 100%"
        );
        assert!(MacroString::parse(b"a b", Place::Value).is_err());
        assert!(MacroString::parse(b"a\x07b", Place::Explanation).is_err());
    }

    #[test]
    fn long_domains_lose_labels_on_the_left() {
        let long = domain(&format!("{}%{{d}}", "%{o}.".repeat(2_000)));
        let expanded = long.expand_domain(&values("192.0.2.1"));
        assert!(expanded.len() <= DOMAIN_TEXT_MAX && expanded.len() > DOMAIN_TEXT_MAX - 18);
        assert!(expanded.starts_with("com.") || expanded.starts_with("example.") || expanded.starts_with("email."));
        assert!(expanded.ends_with(".email.example.com"));
    }

    #[test]
    fn long_explanations_are_cut() {
        let text = "%{s}".repeat(3_000);
        let long = MacroString::parse(text.as_bytes(), Place::Explanation).expect("good");
        let mut hostile = values("192.0.2.1");
        hostile.sender = "\u{e9}\u{e9}\u{e9}@x";
        assert!(long.expand_explanation(&hostile).len() <= EXPLANATION_OCTETS_MAX);
    }

    #[test]
    fn only_macros_of_the_domain_are_fixed() {
        assert_eq!(domain("_spf.%{d2}").fixed("a.b.test"), Some("_spf.b.test".to_owned()));
        assert_eq!(domain("%{i}._spf.test").fixed("a.test"), None);
    }
}
