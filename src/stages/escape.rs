//! Makes text from the network safe to put in a sentence, on a terminal or on a page.
//!
//! What a server says may hold terminal controls, bidirectional overrides that turn a sentence round, invisible
//! characters, invalid UTF-8, or a megabyte of it. Here all of that becomes plain visible text of bounded length:
//! C0 controls, DEL and octets that are not UTF-8 as `\xNN`; C1 controls, bidirectional and invisible characters as
//! `\u{NNNN}`; a backslash as `\\`, so that no escape can be forged. Quoting for HTML, CSV or JSON is the writers' own.

use std::fmt::Write;

/// Characters of a network text that a sentence carries: enough for any sane record, short enough for a screen.
pub const QUOTE_CHARS_MAX: usize = 256;

/// Octets as safe text of at most [`QUOTE_CHARS_MAX`] characters and an ellipsis.
pub fn quote(octets: &[u8]) -> String {
    escape(octets, QUOTE_CHARS_MAX)
}

/// Octets as safe text. After `chars_max` characters of output an ellipsis says that there was more; an escape is
/// never cut in two.
pub fn escape(octets: &[u8], chars_max: usize) -> String {
    let mut out = Bounded::new(chars_max);
    for chunk in octets.utf8_chunks() {
        for character in chunk.valid().chars() {
            if !out.add(&escaped(character)) {
                return out.finish();
            }
        }
        for octet in chunk.invalid() {
            if !out.add(&format!("\\x{octet:02x}")) {
                return out.finish();
            }
        }
    }
    out.finish()
}

/// One character as it may be shown.
fn escaped(character: char) -> String {
    let mut text = String::new();
    let code = u32::from(character);
    let done = match character {
        '\\' => text.write_str("\\\\"),
        '\0'..='\u{1f}' | '\u{7f}' => write!(text, "\\x{code:02x}"),
        _ if deceives(character) => write!(text, "\\u{{{code:04x}}}"),
        _ => text.write_char(character),
    };
    done.expect("writing to a string does not fail");
    text
}

/// Whether a character beyond ASCII changes how the text around it looks without being seen itself.
fn deceives(character: char) -> bool {
    matches!(character,
        '\u{80}'..='\u{9f}'         // C1 controls
        | '\u{ad}'                  // soft hyphen
        | '\u{61c}'                 // Arabic letter mark
        | '\u{180e}'                // Mongolian vowel separator
        | '\u{200b}'..='\u{200f}'   // zero width, left-to-right and right-to-left marks
        | '\u{2028}'..='\u{202e}'   // line and paragraph separators, embeddings and overrides
        | '\u{2060}'..='\u{206f}'   // word joiner, invisible operators, isolates
        | '\u{feff}'                // byte order mark
        | '\u{fff0}'..='\u{fffb}'   // interlinear annotation
        | '\u{fe00}'..='\u{fe0f}'   // variation selectors
        | '\u{e0000}'..='\u{e0fff}' // tags and more variation selectors
    )
}

/// A string that stops growing.
struct Bounded {
    text: String,
    left: usize,
    cut: bool,
}

impl Bounded {
    fn new(chars_max: usize) -> Bounded {
        Bounded {
            text: String::new(),
            left: chars_max,
            cut: false,
        }
    }

    /// Adds a piece whole, or marks the text as cut.
    fn add(&mut self, piece: &str) -> bool {
        let chars = piece.chars().count();
        if chars > self.left {
            self.cut = true;
            return false;
        }
        self.left -= chars;
        self.text.push_str(piece);
        true
    }

    fn finish(mut self) -> String {
        if self.cut {
            self.text.push('…');
        }
        self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_deceive_is_made_visible() {
        assert_eq!(quote(b"\x1b[31mred\x07\x7f"), "\\x1b[31mred\\x07\\x7f");
        assert_eq!(
            quote("a\u{202e}b\u{2066}c\u{9b}d\u{200b}".as_bytes()),
            "a\\u{202e}b\\u{2066}c\\u{009b}d\\u{200b}"
        );
        assert_eq!(quote(b"ok \xff\xfe \xc3"), "ok \\xff\\xfe \\xc3");
        assert_eq!(quote(b"\\x1b"), "\\\\x1b");
        assert_eq!(quote("grüße, 世界".as_bytes()), "grüße, 世界");
        assert_eq!(quote(b"two\r\nlines"), "two\\x0d\\x0alines");
    }

    #[test]
    fn the_text_is_bounded_and_no_escape_is_cut() {
        assert_eq!(escape(b"abcdef", 6), "abcdef");
        assert_eq!(escape(b"abcdef", 5), "abcde…");
        assert_eq!(escape(b"abc\x1b", 5), "abc…");
        assert_eq!(quote(&vec![b'x'; 1 << 20]).chars().count(), QUOTE_CHARS_MAX + 1);
    }

    proptest::proptest! {
        #[test]
        fn any_octets_become_bounded_text_without_controls(octets: Vec<u8>, max in 0usize..300) {
            let text = escape(&octets, max);
            proptest::prop_assert!(text.chars().count() <= max + 1);
            proptest::prop_assert!(!text.chars().any(|c| c.is_control() || deceives(c)));
        }
    }
}
