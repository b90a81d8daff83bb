//! Which format a file has, where nobody says so: by the end of its name, else by what its lines look like.

use std::path::Path;

use super::dataset::DatasetKind;
use super::ip4::parse_range;
use super::ip6::parse_cidr;
use super::special::special_text;
use super::text::{after_word, is_comment, skip_blanks, split_word, trim};

/// Entries that are looked at: enough to see past a header of odd ones.
const ENTRIES_MAX: usize = 1_000;

/// Lines that are looked at for them: a file may begin with a long licence.
const LINES_MAX: usize = 100_000;

/// What the lines of a file look like.
#[derive(Debug, Default)]
struct Looks {
    ip4: usize,
    ip6: usize,
    /// IPv6 as exactly four words, which is all that an `ip6tset` takes.
    ip6_halves: usize,
    records: usize,
    names: usize,
    combined: bool,
}

impl DatasetKind {
    /// Guesses a file's format. A name that ends in a format's name (`zen.ip4trie`) decides.
    ///
    /// `ip4set` stands for all IPv4 formats: it reads the others' files, but answers with all values of entries of a
    /// size together, where `ip4trie` answers with the longest prefix alone. Files of both families are plain lists.
    pub fn guess(path: &Path, text: &[u8]) -> DatasetKind {
        let suffix = path.extension().and_then(|suffix| suffix.to_str());
        suffix
            .and_then(DatasetKind::by_name)
            .unwrap_or_else(|| looks_of(text).kind())
    }
}

impl Looks {
    fn kind(&self) -> DatasetKind {
        let most = self.ip4.max(self.ip6).max(self.records).max(self.names);
        match self {
            _ if self.combined => DatasetKind::Combined,
            _ if self.ip4 > 0 && self.ip6 > 0 => DatasetKind::Prefixes,
            _ if most == self.ip4 => DatasetKind::Ip4Set,
            _ if most == self.ip6 && self.ip6_halves == self.ip6 => DatasetKind::Ip6Tset,
            _ if most == self.ip6 => DatasetKind::Ip6Trie,
            _ if most == self.records => DatasetKind::Generic,
            _ => DatasetKind::Dnset,
        }
    }

    fn look_at(&mut self, line: &[u8]) {
        let excluded = line.first() == Some(&b'!');
        let entry = skip_blanks(line.strip_prefix(b"!").unwrap_or(line));
        if parse_range(entry).is_some() {
            self.ip4 += 1;
        } else if let Some((_, bits, rest)) = parse_cidr(entry) {
            self.ip6 += 1;
            let is_half = bits == 64 && !entry[..entry.len() - rest.len()].contains(&b'/');
            self.ip6_halves += usize::from(is_half || (excluded && bits == 128));
        } else if is_record(entry) {
            self.records += 1;
        } else {
            self.names += 1;
        }
    }
}

fn looks_of(text: &[u8]) -> Looks {
    let mut looks = Looks::default();
    let mut entries = 0;
    for line in text.split(|&octet| octet == b'\n').take(LINES_MAX) {
        let line = trim(line.strip_suffix(b"\r").unwrap_or(line));
        if let Some(special) = special_text(line) {
            looks.combined |= after_word(special, "dataset").is_some();
            continue;
        }
        let is_default = line.starts_with(b":") && !line.starts_with(b"::");
        if is_default || line.first().is_none_or(|&octet| is_comment(octet)) {
            continue;
        }
        looks.look_at(line);
        entries += 1;
        if entries == ENTRIES_MAX {
            break;
        }
    }
    looks
}

/// Whether one of the words behind the name is a type of record with data behind it.
fn is_record(line: &[u8]) -> bool {
    let mut rest = split_word(line).1;
    // At most a TTL and a class stand before the type.
    (0..3).any(|_| {
        let (word, tail) = split_word(rest);
        rest = tail;
        let is_type = [&b"A"[..], b"TXT", b"MX"]
            .iter()
            .any(|rtype| word.eq_ignore_ascii_case(rtype));
        is_type && !tail.is_empty()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guess(text: &str) -> DatasetKind {
        DatasetKind::guess(Path::new("list.txt"), text.as_bytes())
    }

    #[test]
    fn a_format_shows_in_its_lines() {
        assert_eq!(
            guess("# x\n$TTL 5\n:2:text\n10.0.0.1 :3:a mx\n10/8\n"),
            DatasetKind::Ip4Set
        );
        assert_eq!(guess("$DATASET ip4set x\n10.0.0.1\n"), DatasetKind::Combined);
        assert_eq!(guess("2001:db8:1:2\n!2001:db8:1:2::1\n"), DatasetKind::Ip6Tset);
        assert_eq!(guess("2001:db8::/32\n2001:db8:1:2\n"), DatasetKind::Ip6Trie);
        assert_eq!(
            guess("10.0.0.0/8 ; SBL1\r\n2001:db8::/32 ; SBL2\r\n"),
            DatasetKind::Prefixes
        );
        assert_eq!(guess(".example.com\nexample.org :2:text\n"), DatasetKind::Dnset);
        assert_eq!(guess("@ A 127.0.0.2\nwww 5m IN TXT \"text\"\n"), DatasetKind::Generic);
    }

    #[test]
    fn the_name_of_the_file_decides() {
        let kind = DatasetKind::guess(Path::new("/x/zen.ip4trie"), b"10.0.0.1\n");
        assert_eq!(kind, DatasetKind::Ip4Trie);
    }
}
