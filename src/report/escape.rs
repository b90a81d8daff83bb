//! Escaping: text from the network made safe for terminals, CSV and JSON. The only place that knows how.
//!
//! TXT records, PTR names, SMTP banners, a user catalogue's meanings and file names are written by strangers.
//!
//! * **Terminal** ([`visible`]): nothing that moves the cursor, changes colours, reorders or hides text gets through. C0
//!   and DEL become `\xNN`, other characters `\u{…}`; octets that are not UTF-8 become `\xNN` ([`visible_octets`]).
//! * **CSV** ([`csv_cell`]): the same, so that no cell holds a line break, and a cell that a spreadsheet would take for a
//!   formula gets a leading `'` (CWE-1236). Quoting (RFC 4180) is the writer's.
//! * **JSON** ([`SafeJson`]): lossless. The same characters are written as `\uXXXX`, which any parser reads back. That
//!   includes U+2028 and U+2029, which end a line in JavaScript source.
//!
//! Only JSON is lossless: in the other forms a backslash of the original looks like one of an escape.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io;

/// Whether a character could act on a screen instead of being shown on it, or would not be seen at all.
pub(super) fn is_unsafe(letter: char) -> bool {
    matches!(letter,
        '\u{0}'..='\u{1f}' | '\u{7f}'..='\u{9f}' // C0, DEL, C1
        | '\u{ad}' | '\u{34f}' | '\u{180b}'..='\u{180f}' // soft hyphen, joiner, Mongolian selectors
        | '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' // bidi (UAX #9)
        | '\u{200b}'..='\u{200d}' | '\u{2060}'..='\u{2065}' | '\u{206a}'..='\u{206f}' | '\u{feff}' // no width
        | '\u{2028}' | '\u{2029}' // line and paragraph separator
        | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{3164}' | '\u{ffa0}' // blank letters
        | '\u{fe00}'..='\u{fe0f}' | '\u{fff0}'..='\u{fffb}' | '\u{1d173}'..='\u{1d17a}' // selectors, annotation, music
        | '\u{e0000}'..='\u{e0fff}') // tags and further selectors
}

/// The text with everything unsafe to show written as an escape.
pub fn visible(text: &str) -> Cow<'_, str> {
    if is_printable_ascii(text) || !text.contains(is_unsafe) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for letter in text.chars() {
        push_visible(&mut shown, letter);
    }
    Cow::Owned(shown)
}

/// What nearly all text is; far quicker to see than to look at each character.
fn is_printable_ascii(text: &str) -> bool {
    text.bytes().all(|octet| matches!(octet, b' '..=b'~'))
}

/// The same for octets that should be UTF-8 and may not be.
pub fn visible_octets(octets: &[u8]) -> String {
    let mut shown = String::with_capacity(octets.len());
    for chunk in octets.utf8_chunks() {
        for letter in chunk.valid().chars() {
            push_visible(&mut shown, letter);
        }
        for octet in chunk.invalid() {
            push_octet(&mut shown, *octet);
        }
    }
    shown
}

fn push_visible(shown: &mut String, letter: char) {
    if !is_unsafe(letter) {
        shown.push(letter);
    } else if letter.is_ascii() {
        push_octet(shown, letter as u8); // checked: ASCII
    } else {
        write!(shown, "\\u{{{:x}}}", u32::from(letter)).expect("writing to a string");
    }
}

fn push_octet(shown: &mut String, octet: u8) {
    write!(shown, "\\x{octet:02x}").expect("writing to a string");
}

/// Text as a CSV cell, before quoting: visible, and never a formula.
pub fn csv_cell(text: &str) -> Cow<'_, str> {
    // Spreadsheets trim blanks, and lists of settings exist with which they trim quotes. TAB, CR and LF at the start are
    // formula starters too; they are already `\x09`, `\x0d`, `\x0a` when they get here.
    let shown = visible(text);
    let start = shown.trim_start_matches(|letter: char| letter.is_whitespace() || matches!(letter, '"' | '\''));
    if start.starts_with(['=', '+', '-', '@', '＝', '＋', '－', '＠']) {
        return Cow::Owned(format!("'{shown}"));
    }
    shown
}

/// Whether a page's address may be made a link: a plain web address, nothing in it that ends a quote or a tag.
pub(super) fn is_plain_link(page: &str) -> bool {
    let web = page.starts_with("https://") || page.starts_with("http://");
    let ends = |octet: u8| {
        matches!(
            octet,
            b'<' | b'>' | b'"' | b'\'' | b'`' | b'\\' | b'{' | b'}' | b'|' | b'^'
        )
    };
    web && page.bytes().all(|octet| octet.is_ascii_graphic() && !ends(octet))
}

/// How JSON is written: compact, with everything unsafe to show as `\uXXXX`.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct SafeJson;

impl serde_json::ser::Formatter for SafeJson {
    fn write_string_fragment<W: io::Write + ?Sized>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        // serde_json has escaped quotes, backslashes and C0 itself: they never come in a fragment.
        if is_printable_ascii(fragment) {
            return writer.write_all(fragment.as_bytes());
        }
        let mut rest = fragment;
        while let Some(at) = rest.find(is_unsafe) {
            writer.write_all(&rest.as_bytes()[..at])?;
            let letter = rest[at..].chars().next().expect("found just there");
            for unit in letter.encode_utf16(&mut [0; 2]) {
                write!(writer, "\\u{unit:04x}")?;
            }
            rest = &rest[at + letter.len_utf8()..];
        }
        writer.write_all(rest.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn terminal_controls_are_shown_not_obeyed() {
        assert_eq!(visible("plain: ünïcödé 漢字"), "plain: ünïcödé 漢字");
        assert_eq!(visible("\u{1b}[31mred\u{7}\u{7f}"), "\\x1b[31mred\\x07\\x7f");
        assert_eq!(visible("\u{9b}2J"), "\\u{9b}2J");
        assert_eq!(
            visible("a\u{202e}b\u{2066}c\u{200b}d"),
            "a\\u{202e}b\\u{2066}c\\u{200b}d"
        );
        assert_eq!(visible("two\r\nrows"), "two\\x0d\\x0arows");
        assert_eq!(visible("\u{e0041}\u{feff}"), "\\u{e0041}\\u{feff}");
    }

    #[test]
    fn octets_that_are_not_text_are_shown_in_hexadecimal() {
        assert_eq!(visible_octets(b"ok \xff\xc3\xa9\xc3"), "ok \\xff\u{e9}\\xc3");
        assert_eq!(visible_octets(b"\x1b\xed\xa0\x80"), "\\x1b\\xed\\xa0\\x80"); // a lone surrogate
    }

    #[test]
    fn cells_never_start_a_formula() {
        for starter in ["=1+1", "+1", "-1", "@SUM(A1)", "＝1", "＋1", "－1", "＠x"] {
            for lead in ["", " ", "  ", "\u{a0}", "\u{3000}", "\"", "'", "\" '"] {
                let cell = format!("{lead}{starter}");
                assert_eq!(csv_cell(&cell), format!("'{cell}"));
            }
        }
        assert_eq!(csv_cell("\t=1"), "\\x09=1");
        assert_eq!(csv_cell("\r\n=1"), "\\x0d\\x0a=1");
        assert_eq!(csv_cell("a=b"), "a=b");
        assert_eq!(csv_cell("192.0.2.1"), "192.0.2.1");
    }

    #[test]
    fn only_plain_web_addresses_become_links() {
        assert!(is_plain_link("https://alpha.example/remove?q=192.0.2.7&x=1"));
        for bad in [
            "javascript:alert(1)",
            "https://a b",
            "https://a\"b",
            "https://a<b>",
            "//x",
            "",
            "https://\u{202e}",
        ] {
            assert!(!is_plain_link(bad), "{bad}");
        }
    }

    fn safe_json(text: &str) -> String {
        super::super::record::to_json(&text)
    }

    #[test]
    fn json_escapes_what_would_act_and_loses_nothing() {
        assert_eq!(
            safe_json("a\u{2028}b\u{7f}c\u{e0041}\"\\\n"),
            r#""a\u2028b\u007fc\udb40\udc41\"\\\n""#
        );
    }

    proptest! {
        #[test]
        fn nothing_unsafe_is_left_in_what_is_shown(octets: Vec<u8>) {
            prop_assert!(!visible_octets(&octets).contains(is_unsafe));
        }

        #[test]
        fn shown_text_is_stable(text: String) {
            let shown = visible(&text).into_owned();
            prop_assert_eq!(visible(&shown), shown.as_str());
        }

        #[test]
        fn a_cell_survives_csv_as_one_line_and_is_no_formula(cells in prop::collection::vec("\\PC{0,3}[ \"',;\r\n\t=+@-]{0,4}.{0,5}", 1..5)) {
            let mut writer = csv::Writer::from_writer(Vec::new());
            let safe: Vec<String> = cells.iter().map(|cell| csv_cell(cell).into_owned()).collect();
            writer.write_record(&safe).expect("to memory");
            let written = String::from_utf8(writer.into_inner().expect("to memory")).expect("text in, text out");
            prop_assert_eq!(written.lines().count(), 1);
            for cell in &safe {
                prop_assert!(!cell.trim_start().starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠']));
            }
            let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(written.as_bytes());
            let record = reader.records().next().expect("one").expect("good");
            prop_assert_eq!(record.iter().collect::<Vec<_>>(), safe);
        }

        #[test]
        fn json_is_lossless_and_shows_nothing_unsafe(text: String) {
            let written = safe_json(&text);
            prop_assert!(!written.contains(is_unsafe));
            let read: String = serde_json::from_str(&written).expect("valid");
            prop_assert_eq!(read, text);
        }
    }
}
