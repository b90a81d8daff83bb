//! Small scanners over octets: blanks, words, numbers, times, names. They read what rbldnsd reads, no more and no less.

/// Longest name in octets without the root's zero octet (RFC 1035 §2.3.4).
const NAME_OCTETS_MAX: usize = 254;

/// Longest label in octets (RFC 1035 §2.3.4).
const LABEL_OCTETS_MAX: usize = 63;

/// Whether this is a blank: space and tab only, a carriage return is not.
pub(super) fn is_blank(octet: u8) -> bool {
    octet == b' ' || octet == b'\t'
}

/// Whether a comment begins here.
pub(super) fn is_comment(octet: u8) -> bool {
    octet == b'#' || octet == b';'
}

/// The text without its leading blanks.
pub(super) fn skip_blanks(text: &[u8]) -> &[u8] {
    let blanks = text.iter().take_while(|&&octet| is_blank(octet)).count();
    &text[blanks..]
}

/// The text without blanks at either end.
pub(super) fn trim(text: &[u8]) -> &[u8] {
    let text = skip_blanks(text);
    let blanks = text.iter().rev().take_while(|&&octet| is_blank(octet)).count();
    &text[..text.len() - blanks]
}

/// The first word and what follows it, without the blanks between.
pub(super) fn split_word(text: &[u8]) -> (&[u8], &[u8]) {
    let len = text.iter().take_while(|&&octet| !is_blank(octet)).count();
    (&text[..len], skip_blanks(&text[len..]))
}

/// What follows `word` (in lower case) at the start of the text, if a blank does.
pub(super) fn after_word<'a>(text: &'a [u8], word: &str) -> Option<&'a [u8]> {
    let head = text.get(..word.len())?;
    let rest = &text[word.len()..];
    (head.eq_ignore_ascii_case(word.as_bytes()) && rest.first().copied().is_some_and(is_blank))
        .then(|| skip_blanks(rest))
}

/// The decimal number at the start, and the rest at once behind it.
fn leading_u32(text: &[u8]) -> Option<(u32, &[u8])> {
    let len = text.iter().take_while(|octet| octet.is_ascii_digit()).count();
    let digits = std::str::from_utf8(&text[..len]).ok()?;
    Some((digits.parse().ok()?, &text[len..]))
}

/// The rest of a line behind a field: nothing, or blanks and more.
fn field_end(rest: &[u8]) -> Option<&[u8]> {
    match rest.first() {
        None => Some(rest),
        Some(&octet) if is_blank(octet) => Some(skip_blanks(rest)),
        Some(_) => None,
    }
}

/// A number as a field of its own.
pub(super) fn parse_u32(text: &[u8]) -> Option<(u32, &[u8])> {
    let (number, rest) = leading_u32(text)?;
    Some((number, field_end(rest)?))
}

/// A length of time in seconds, with an optional unit `s`, `m`, `h`, `d` or `w`, as a field of its own.
pub(super) fn parse_time(text: &[u8]) -> Option<(u32, &[u8])> {
    let (number, rest) = leading_u32(text)?;
    let unit: u32 = match rest.first().map(u8::to_ascii_lowercase) {
        Some(b'w') => 7 * 86_400,
        Some(b'd') => 86_400,
        Some(b'h') => 3_600,
        Some(b'm') => 60,
        Some(b's') => 1,
        _ => return Some((number, field_end(rest)?)),
    };
    Some((number.checked_mul(unit)?, field_end(&rest[1..])?))
}

/// A TTL as a field of its own; 0 stands for `default`.
pub(super) fn parse_ttl(text: &[u8], default: u32) -> Option<(u32, &[u8])> {
    let (ttl, rest) = parse_time(text)?;
    Some((if ttl == 0 { default } else { ttl }, rest))
}

/// The name in the first word, in wire form without the root's octet, and what follows it.
///
/// Empty labels are passed over, so `a..b.` is `a.b` and `.` is no octets at all. None if there is no word or no name.
pub(super) fn parse_name(text: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let (word, rest) = split_word(text);
    if word.is_empty() {
        return None;
    }
    Some((name_labels(word)?, rest))
}

/// The labels of a word in wire form, without the root's octet.
pub(super) fn name_labels(word: &[u8]) -> Option<Vec<u8>> {
    let mut labels = Vec::with_capacity(word.len() + 1);
    let mut label = Vec::new();
    let mut octets = word.iter().copied().peekable();
    while let Some(octet) = octets.next() {
        let octet = match octet {
            b'.' => {
                push_label(&mut labels, &mut label)?;
                continue;
            }
            b'\\' => match octets.next() {
                None => break,
                Some(digit) if digit.is_ascii_digit() => {
                    let mut value = u16::from(digit - b'0');
                    for _ in 0..2 {
                        let Some(digit) = octets.next_if(u8::is_ascii_digit) else {
                            break;
                        };
                        value = value * 10 + u16::from(digit - b'0');
                    }
                    u8::try_from(value).ok()?
                }
                Some(other) => other,
            },
            other => other,
        };
        label.push(octet);
    }
    push_label(&mut labels, &mut label)?;
    Some(labels)
}

/// Ends a label, if it has any octets.
fn push_label(labels: &mut Vec<u8>, label: &mut Vec<u8>) -> Option<()> {
    if label.is_empty() {
        return Some(());
    }
    if label.len() > LABEL_OCTETS_MAX || labels.len() + label.len() + 1 > NAME_OCTETS_MAX {
        return None;
    }
    labels.push(label.len() as u8); // at most 63
    labels.append(label);
    Some(())
}

/// The presentation form of labels as rbldnsd puts it into texts: `.` for no labels at all.
pub(super) fn show_labels(labels: &[u8]) -> Vec<u8> {
    let mut shown = Vec::with_capacity(labels.len());
    let mut rest = labels;
    while let Some((&len, tail)) = rest.split_first() {
        let (label, next) = tail.split_at(usize::from(len));
        if !shown.is_empty() {
            shown.push(b'.');
        }
        for &octet in label {
            match octet {
                b'"' | b'.' | b';' | b'\\' | b'@' | b'$' => shown.extend([b'\\', octet]),
                0x21..=0x7e => shown.push(octet),
                _ => shown.extend(format!("\\{octet:03}").into_bytes()),
            }
        }
        rest = next;
    }
    if shown.is_empty() {
        shown.push(b'.');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_units_and_bounds() {
        assert_eq!(parse_time(b"90"), Some((90, &b""[..])));
        assert_eq!(parse_time(b"2h x"), Some((7_200, &b"x"[..])));
        assert_eq!(parse_time(b"1W"), Some((604_800, &b""[..])));
        assert_eq!(parse_time(b"1h30m"), None);
        assert_eq!(parse_time(b"4294967295w"), None);
        assert_eq!(parse_time(b"x"), None);
        assert_eq!(parse_ttl(b"0", 35), Some((35, &b""[..])));
    }

    #[test]
    fn names_pass_over_empty_labels_and_read_escapes() {
        assert_eq!(name_labels(b"a..b."), Some(b"\x01a\x01b".to_vec()));
        assert_eq!(name_labels(b"."), Some(vec![]));
        assert_eq!(name_labels(b"a\\.b\\0321"), Some(b"\x05a.b 1".to_vec()));
        assert_eq!(name_labels(b"\\256"), None);
        assert_eq!(name_labels(&[b'x'; 64]), None);
        assert_eq!(name_labels(vec!["x".repeat(63); 4].join(".").as_bytes()), None);
        assert_eq!(show_labels(b"\x05a.b 1\x01c"), b"a\\.b\\0321.c");
    }
}
