//! Tag lists, the `a=1; b=2` of DKIM keys, DMARC policies and their kin (RFC 6376 §3.2).
//!
//! Reading never fails: what is not a tag becomes a [`Fault`] with its position, and the tags around it are kept. What
//! a fault means (for DKIM and DMARC, receivers may ignore the whole record) is for the caller to say.

use super::escape::escape;

/// Tags of one list that are read; DKIM keys and DMARC policies define a dozen each.
pub const TAGS_MAX: usize = 64;

/// Characters of an offending piece that a fault shows.
const FAULT_CHARS_MAX: usize = 60;

/// A tag list as it was read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TagList {
    /// The tags in order.
    pub tags: Vec<Tag>,
    /// What could not be read, in order.
    pub faults: Vec<Fault>,
}

/// One tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tag {
    /// The name; case counts.
    pub name: String,
    /// The value without the white space around it, as it came.
    pub value: Vec<u8>,
    /// Where the tag begins, in octets from the start of the text.
    pub at: usize,
}

/// A piece that is not a good tag.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Fault {
    /// Where it begins, in octets from the start of the text.
    pub at: usize,
    /// What is wrong with it, with the piece itself escaped.
    pub text: String,
}

impl TagList {
    /// Reads a tag list.
    pub fn parse(text: &[u8]) -> TagList {
        let mut list = TagList::default();
        let mut at = 0;
        for piece in text.split(|&octet| octet == b';') {
            let last = at + piece.len() == text.len();
            list.read_piece(piece, at, last);
            at += piece.len() + 1;
            if list.tags.len() >= TAGS_MAX {
                list.fault(at, &format!("more than {TAGS_MAX} tags; the rest is not read"));
                break;
            }
        }
        list
    }

    /// The value of the first tag of this name.
    pub fn value(&self, name: &str) -> Option<&[u8]> {
        self.tag(name).map(|tag| tag.value.as_slice())
    }

    /// The first tag of this name.
    pub fn tag(&self, name: &str) -> Option<&Tag> {
        self.tags.iter().find(|tag| tag.name == name)
    }

    fn read_piece(&mut self, piece: &[u8], at: usize, last: bool) {
        let lead = piece.iter().take_while(|octet| is_space(octet)).count();
        let (piece, at) = (trim(piece), at + lead);
        if piece.is_empty() {
            if !last {
                self.fault(at, "nothing between two semicolons");
            }
            return;
        }
        let Some(equals) = piece.iter().position(|&octet| octet == b'=') else {
            return self.fault_piece(at, "no equals sign in", piece);
        };
        let (name, value) = (trim(&piece[..equals]), trim(&piece[equals + 1..]));
        let Some(name) = tag_name(name) else {
            return self.fault_piece(at, "not a tag name:", name);
        };
        if let Some(bad) = value.iter().position(|octet| !is_value(octet)) {
            self.fault_piece(at, "an octet that no tag value has, in", &value[..=bad]);
        }
        if self.tag(&name).is_some() {
            self.fault(at, &format!("the tag {name}= a second time"));
            return;
        }
        self.tags.push(Tag {
            name,
            value: value.to_vec(),
            at,
        });
    }

    fn fault_piece(&mut self, at: usize, what: &str, piece: &[u8]) {
        self.fault(at, &format!("{what} \"{}\"", escape(piece, FAULT_CHARS_MAX)));
    }

    fn fault(&mut self, at: usize, text: &str) {
        if self.faults.len() < TAGS_MAX {
            self.faults.push(Fault {
                at,
                text: text.to_owned(),
            });
        }
    }
}

impl Tag {
    /// The value as text; octets that are not ASCII are escaped.
    pub fn text(&self) -> String {
        super::escape::quote(&self.value)
    }

    /// Whether the value is this word, ASCII case ignored.
    pub fn is(&self, word: &str) -> bool {
        self.value.eq_ignore_ascii_case(word.as_bytes())
    }
}

/// All faults in one phrase with their positions; none if there are none.
pub fn faults_in_words(faults: &[Fault]) -> Option<String> {
    /// Faults shown; one is enough to find the mistake, three to see a pattern.
    const SHOWN: usize = 3;
    let mut words: Vec<String> = faults
        .iter()
        .take(SHOWN)
        .map(|fault| format!("at octet {}: {}", fault.at, fault.text))
        .collect();
    if faults.len() > SHOWN {
        words.push(format!("{} more", faults.len() - SHOWN));
    }
    (!words.is_empty()).then(|| words.join("; "))
}

/// `ALPHA *(ALPHA / DIGIT / "_")`.
fn tag_name(name: &[u8]) -> Option<String> {
    let good = name.first().is_some_and(u8::is_ascii_alphabetic)
        && name.iter().all(|octet| octet.is_ascii_alphanumeric() || *octet == b'_');
    (good && name.len() <= FAULT_CHARS_MAX).then(|| String::from_utf8_lossy(name).into_owned())
}

/// Printable ASCII without the semicolon, and folding white space.
fn is_value(octet: &u8) -> bool {
    is_space(octet) || matches!(octet, 0x21..=0x7e)
}

fn is_space(octet: &u8) -> bool {
    matches!(octet, b' ' | b'\t' | b'\r' | b'\n')
}

/// The octets without folding white space around them.
pub(super) fn trim(mut octets: &[u8]) -> &[u8] {
    while let Some((first, rest)) = octets.split_first() {
        if !is_space(first) {
            break;
        }
        octets = rest;
    }
    while let Some((last, rest)) = octets.split_last() {
        if !is_space(last) {
            break;
        }
        octets = rest;
    }
    octets
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags(text: &str) -> Vec<(String, String)> {
        TagList::parse(text.as_bytes())
            .tags
            .iter()
            .map(|tag| (tag.name.clone(), tag.text()))
            .collect()
    }

    #[test]
    fn tags_are_read_with_white_space_and_a_final_semicolon() {
        let expected = [("v", "DKIM1"), ("p", "ab cd="), ("n", "")].map(|(name, value)| (name.into(), value.into()));
        assert_eq!(tags(" v = DKIM1;\tp=ab cd= ; n=;  "), expected);
        assert!(TagList::parse(b"v=DKIM1; p=;").faults.is_empty());
        assert!(TagList::parse(b"").tags.is_empty());
    }

    #[test]
    fn what_is_not_a_tag_is_a_fault_with_its_place() {
        let list = TagList::parse(b"v=X; nonsense; 1a=b;; p=\x1bq; v=Y");
        let places: Vec<usize> = list.faults.iter().map(|fault| fault.at).collect();
        assert_eq!(places, [5, 15, 20, 22, 28]);
        assert_eq!(list.value("v"), Some(b"X".as_slice()));
        assert_eq!(list.value("p"), Some(b"\x1bq".as_slice()));
        let words = faults_in_words(&list.faults).expect("there are faults");
        assert!(words.contains("nonsense") && words.contains("2 more"), "{words}");
        assert!(!words.contains('\x1b'));
    }

    #[test]
    fn a_flood_of_tags_ends() {
        let text = (0..1000).map(|index| format!("t{index}=x;")).collect::<String>();
        let list = TagList::parse(text.as_bytes());
        assert_eq!(list.tags.len(), TAGS_MAX);
        assert_eq!(list.faults.len(), 1);
        assert!(TagList::parse(&b";".repeat(10_000)).faults.len() <= TAGS_MAX);
    }

    proptest::proptest! {
        #[test]
        fn any_octets_can_be_read(text: Vec<u8>) {
            let list = TagList::parse(&text);
            proptest::prop_assert!(list.tags.iter().all(|tag| tag.at < text.len()));
            proptest::prop_assert!(list.faults.iter().all(|fault| fault.at <= text.len()));
        }
    }
}
