//! A file in stretches that can be read in pieces side by side: between lines that change what the lines behind them mean
//! (specials, default values). What is read so equals what is read line by line.

use rayon::prelude::*;

use super::text::is_blank;

/// Octets of a piece: some ten thousand lines, so that handing it to a thread costs nothing beside it.
const PIECE_OCTETS: usize = 1 << 18;

/// Stretches shorter than this are read line by line.
pub(super) const STRETCH_OCTETS_MIN: usize = 1 << 17;

/// Where the lines begin that may be specials or default values, in order. Some may turn out to be neither.
pub(super) fn breaks(text: &[u8]) -> Vec<usize> {
    let pieces = text.par_chunks(PIECE_OCTETS).enumerate();
    let found = pieces.flat_map_iter(|(piece, octets)| {
        let marks = octets
            .iter()
            .enumerate()
            .filter(|(_, octet)| matches!(octet, b':' | b'$'));
        marks.filter_map(move |(at, _)| line_start(text, piece * PIECE_OCTETS + at))
    });
    let mut breaks: Vec<usize> = found.collect();
    breaks.dedup();
    breaks
}

/// The start of the line, if only blanks and one other mark stand before `at` in it.
fn line_start(text: &[u8], at: usize) -> Option<usize> {
    let before = match text[..at] {
        [.., b'#' | b';' | b':'] => &text[..at - 1],
        _ => &text[..at],
    };
    let blanks = before.iter().rev().take_while(|&&octet| is_blank(octet)).count();
    let start = before.len() - blanks;
    (start == 0 || text[start - 1] == b'\n').then_some(start)
}

/// The text in pieces of whole lines.
pub(super) fn pieces(mut text: &[u8]) -> Vec<&[u8]> {
    let mut pieces = Vec::with_capacity(text.len() / PIECE_OCTETS + 1);
    while text.len() > PIECE_OCTETS {
        let (line, _) = split_line(&text[PIECE_OCTETS..]);
        let (piece, rest) = text.split_at((PIECE_OCTETS + line.len() + 1).min(text.len()));
        pieces.push(piece);
        text = rest;
    }
    if !text.is_empty() {
        pieces.push(text);
    }
    pieces
}

/// The first line without its end, and what is behind that.
pub(super) fn split_line(text: &[u8]) -> (&[u8], &[u8]) {
    let len = text.iter().position(|&octet| octet == b'\n').unwrap_or(text.len());
    (&text[..len], text.get(len + 1..).unwrap_or_default())
}

/// The lines of a text that ends with the end of a line, or with its last line.
pub(super) fn lines(mut text: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        if text.is_empty() {
            return None;
        }
        let (line, rest) = split_line(text);
        text = rest;
        Some(line)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_break_is_a_line_with_a_mark_at_its_start() {
        let text = b":2:x\n1.2.3.4 :5: $\n \t:3\n#$TTL 5\n# $\n;; $1\n::1\n$X";
        let starts: Vec<&[u8]> = breaks(text).into_iter().map(|at| split_line(&text[at..]).0).collect();
        assert_eq!(starts, [&b":2:x"[..], b" \t:3", b"#$TTL 5", b"::1", b"$X"]);
    }

    #[test]
    fn pieces_are_whole_lines_and_together_the_text() {
        let line = [&[b'x'; 99][..], b"\n"].concat();
        let mut text = line.repeat(2 * PIECE_OCTETS / 100 + 50);
        text.resize(text.len() + 2 * PIECE_OCTETS, b'y');
        let cut = pieces(&text);
        assert_eq!(cut.concat(), text);
        assert_eq!(cut.len(), 3);
        assert!(cut[..2].iter().all(|piece| piece.ends_with(b"\n")));
        assert_eq!(lines(&text).count(), 2 * PIECE_OCTETS / 100 + 51);
    }

    proptest::proptest! {
        #[test]
        fn every_line_with_a_mark_at_its_start_is_a_break(text in "([:$#; \n\t1.]){0,40}") {
            let breaks = breaks(text.as_bytes());
            let mut at = 0;
            for line in text.split('\n') {
                let trimmed = super::super::text::trim(line.as_bytes());
                if super::super::special::special_text(trimmed).is_some() || trimmed.starts_with(b":") {
                    proptest::prop_assert!(breaks.contains(&at), "{:?} of {:?}", line, text);
                }
                at += line.len() + 1;
            }
        }
    }
}
