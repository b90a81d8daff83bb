//! What an entry answers with: an address and a text template, and how the template is filled in.

use std::hash::{BuildHasher, RandomState};
use std::net::Ipv4Addr;

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use super::entry::Subject;
use super::error::Notes;
use super::ip4::parse_abbreviated;
use super::text::skip_blanks;

/// Longest template; longer ones are cut with a warning. A character string holds no more (RFC 1035 §3.3.14).
const TEMPLATE_OCTETS_MAX: usize = 255;

/// Longest text that is answered: rbldnsd stops one octet short of what a character string holds.
const TEXT_OCTETS_MAX: usize = 254;

/// Values of one entry at most: rbldnsd puts no more than 255 records into a reply.
const VALUES_PER_ENTRY_MAX: usize = 255;

/// An address and a text template.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Value<'a> {
    /// The A record.
    pub(super) address: Ipv4Addr,
    /// The template of the TXT record; empty: none.
    pub(super) template: &'a [u8],
}

/// A value by its place among the [`Values`] of a section.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ValueId(u32);

impl ValueId {
    /// The id as a number below 2³¹: of one that is not [`EXCLUDED`].
    pub(super) fn number(self) -> u32 {
        self.0
    }

    /// The id of a number that an id gave.
    pub(super) fn of_number(number: u32) -> ValueId {
        ValueId(number)
    }

    /// The id that stands at its own place in `ids`; an exclusion stays one.
    pub(super) fn through(self, ids: &[ValueId]) -> ValueId {
        if self == EXCLUDED { self } else { ids[self.0 as usize] }
    }
}

/// The value of entries that take something out (`!`).
pub(super) const EXCLUDED: ValueId = ValueId(u32::MAX);

/// The value where a file gives none: 127.0.0.2 without text.
pub(super) const BUILT_IN: ValueId = ValueId(0);

/// Values at most: ids leave a bit free. A file of so many different ones would be over 32 GiB.
const VALUES_MAX: usize = 1 << 31;

/// The values of a section, each kept once: 16 octets and its template. All templates stand in one text, because a list
/// of a million reasons would otherwise be a million allocations, made and copied one by one.
#[derive(Debug)]
pub(super) struct Values {
    list: Vec<Kept>,
    templates: Vec<u8>,
    /// The hash of each value, and its place by that, until nothing follows.
    hashes: Vec<u32>,
    places: HashTable<u32>,
    /// Keyed at random: values come from files that others write.
    hasher: RandomState,
    /// The value of entries that give none of their own.
    pub(super) default: ValueId,
}

/// A value, its template by where that stands.
#[derive(Debug, Clone, Copy)]
struct Kept {
    address: Ipv4Addr,
    len: u32,
    start: usize,
}

impl Values {
    /// The built-in value alone, as the default.
    pub(super) fn new() -> Values {
        Values::hashed_by(RandomState::new())
    }

    /// The built-in value and this set's default, as that: for lines of the same section that somebody else reads.
    pub(super) fn beside(&self) -> Values {
        let mut values = Values::hashed_by(self.hasher.clone());
        values.default = values.intern(self.get(self.default));
        values
    }

    fn hashed_by(hasher: RandomState) -> Values {
        let mut values = Values {
            list: Vec::new(),
            templates: Vec::new(),
            hashes: Vec::new(),
            places: HashTable::new(),
            hasher,
            default: BUILT_IN,
        };
        values.intern(Value {
            address: Ipv4Addr::new(127, 0, 0, 2),
            template: b"",
        });
        values
    }

    /// The value at an id that this set gave out, and that is not [`EXCLUDED`].
    pub(super) fn get(&self, id: ValueId) -> Value<'_> {
        value(&self.list[id.0 as usize], &self.templates)
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.list.len()
    }

    /// Makes room for so many more.
    pub(super) fn reserve(&mut self, more: usize) {
        self.list.reserve(more);
        self.hashes.reserve(more);
        let hashes = &self.hashes;
        self.places.reserve(more, |&place| spread(hashes[place as usize]));
    }

    /// Takes over the values of a set that was made [beside](Values::beside) this one; their ids here, each at the place
    /// that its id there says.
    pub(super) fn append(&mut self, other: &Values) -> Vec<ValueId> {
        let values = other.list.iter().map(|kept| value(kept, &other.templates));
        let hashed = values.zip(&other.hashes);
        hashed.map(|(value, &hash)| self.intern_hashed(value, hash)).collect()
    }

    /// The id of a value, old or new.
    pub(super) fn intern(&mut self, value: Value<'_>) -> ValueId {
        let hash = self.hasher.hash_one(value) as u32; // any half of it will do
        self.intern_hashed(value, hash)
    }

    fn intern_hashed(&mut self, new: Value<'_>, hash: u32) -> ValueId {
        let Values {
            list,
            templates,
            hashes,
            places,
            ..
        } = self;
        let same = |&place: &u32| value(&list[place as usize], templates) == new;
        let hash_of = |&place: &u32| spread(hashes[place as usize]);
        match places.entry(spread(hash), same, hash_of) {
            Entry::Occupied(old) => ValueId(*old.get()),
            Entry::Vacant(room) => {
                assert!(list.len() < VALUES_MAX, "fewer than 2³¹ values");
                let place = list.len() as u32;
                room.insert(place);
                hashes.push(hash);
                list.push(Kept {
                    address: new.address,
                    len: u32::try_from(new.template.len()).expect("templates are cut"),
                    start: templates.len(),
                });
                templates.extend_from_slice(new.template);
                ValueId(place)
            }
        }
    }

    /// Nothing follows: what finds old values is not needed any more.
    pub(super) fn finish(&mut self) {
        (self.hashes, self.places) = (Vec::new(), HashTable::new());
        self.list.shrink_to_fit();
        self.templates.shrink_to_fit();
    }

    /// Reads a value; what it leaves out comes from `base`. None, and a warning, if it is no value.
    ///
    /// `:A:TXT`, `:A:` (no text), `:A` (the text of `base`), or `TXT`; A may be the last octet alone.
    pub(super) fn parse(&mut self, text: &[u8], base: ValueId, notes: &mut Notes<'_>) -> Option<ValueId> {
        let (address, template) = match text.strip_prefix(b":") {
            None => (self.get(base).address, text),
            Some(rest) => {
                let Some((address, rest)) = value_address(rest) else {
                    notes.warn(text, "no address where `:A:TXT` has one");
                    return None;
                };
                match skip_blanks(rest).split_first() {
                    None => return Some(self.intern_like(address, base)),
                    Some((b':', template)) => (address, skip_blanks(template)),
                    Some(_) => {
                        notes.warn(text, "neither `:A` nor `:A:TXT`");
                        return None;
                    }
                }
            }
        };
        let template = if template.len() > TEMPLATE_OCTETS_MAX {
            notes.warn(template, "text cut to 255 octets");
            &template[..TEMPLATE_OCTETS_MAX]
        } else {
            template
        };
        Some(self.intern(Value { address, template }))
    }

    /// A value with the template of another one.
    fn intern_like(&mut self, address: Ipv4Addr, base: ValueId) -> ValueId {
        let template = self.get(base).template.to_vec();
        self.intern(Value {
            address,
            template: &template,
        })
    }
}

fn value<'a>(kept: &Kept, templates: &'a [u8]) -> Value<'a> {
    Value {
        address: kept.address,
        template: &templates[kept.start..kept.start + kept.len as usize],
    }
}

/// A hash with something to tell values apart by in its upper bits, too.
fn spread(hash: u32) -> u64 {
    u64::from(hash).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// The A of a value: `127.0.0.2`, or `2` for the last octet under 127.0.0. All zeros is none.
fn value_address(text: &[u8]) -> Option<(Ipv4Addr, &[u8])> {
    let (address, bits, rest) = parse_abbreviated(text)?;
    let address = if bits == 8 && address != 0 {
        address | 0x7f00_0000
    } else {
        address
    };
    (address != 0).then_some((Ipv4Addr::from(address), rest))
}

/// The values of one entry, or its exclusion.
#[derive(Debug)]
pub(super) enum Slot {
    /// The usual case.
    One(ValueId),
    /// Given several times with different values.
    Many(Vec<ValueId>),
}

impl Slot {
    /// Adds a value. An exclusion rules out all values, whichever came first. False if there was no room.
    pub(super) fn add(&mut self, id: ValueId) -> bool {
        let present = self.ids();
        if present.contains(&EXCLUDED) || present.contains(&id) {
            return true;
        }
        if id == EXCLUDED {
            *self = Slot::One(EXCLUDED);
            return true;
        }
        if present.len() >= VALUES_PER_ENTRY_MAX {
            return false;
        }
        match self {
            Slot::One(first) => *self = Slot::Many(vec![*first, id]),
            Slot::Many(ids) => ids.push(id),
        }
        true
    }

    /// The values, or [`EXCLUDED`] alone.
    pub(super) fn ids(&self) -> &[ValueId] {
        match self {
            Slot::One(id) => std::slice::from_ref(id),
            Slot::Many(ids) => ids,
        }
    }
}

/// The substitution variables of a section: `$0` to `$9`, and the base template `$=`.
#[derive(Debug, Clone, Default)]
pub(super) struct Templates {
    variables: [Option<Box<[u8]>>; 10],
    base: Option<Box<[u8]>>,
}

impl Templates {
    /// Sets a variable by its character, a digit or `=`. The first setting holds.
    pub(super) fn set(&mut self, which: u8, text: &[u8]) {
        let variable = match which {
            b'0'..=b'9' => &mut self.variables[usize::from(which - b'0')],
            _ => &mut self.base,
        };
        variable.get_or_insert_with(|| text.into());
    }

    /// Fills in a template for the address or name in question. Empty: there is no text.
    pub(super) fn expand(&self, template: &[u8], subject: Subject<'_>) -> Vec<u8> {
        // A base that is told of no text of its own says what is listed.
        let (mut rest, own) = match (template.strip_prefix(b"="), &self.base) {
            (Some(own), _) => (own, Some(own)),
            (None, Some(base)) if template.is_empty() => (&**base, None),
            (None, Some(base)) => (&**base, Some(template)),
            (None, None) => (template, Some(template)),
        };
        if rest.is_empty() {
            return Vec::new();
        }
        let mut text = Vec::with_capacity(rest.len() + subject.len());
        while text.len() < TEXT_OCTETS_MAX {
            let Some(at) = rest.iter().position(|&octet| octet == b'$') else {
                text.extend_from_slice(rest);
                break;
            };
            text.extend_from_slice(&rest[..at]);
            let mark = rest.get(at + 1).copied();
            let taken = match mark {
                Some(b'$') => {
                    text.push(b'$');
                    2
                }
                Some(digit @ b'0'..=b'9') => {
                    match &self.variables[usize::from(digit - b'0')] {
                        Some(variable) => text.extend_from_slice(variable),
                        None => text.extend_from_slice(&[b'$', digit]),
                    }
                    2
                }
                Some(b'=') => {
                    match own {
                        Some(own) => text.extend_from_slice(own),
                        None => subject.write(&mut text),
                    }
                    2
                }
                _ => {
                    subject.write(&mut text);
                    1
                }
            };
            rest = &rest[at + taken..];
        }
        text.truncate(TEXT_OCTETS_MAX);
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SUBJECT: Subject<'_> = Subject::Ip4(Ipv4Addr::new(192, 0, 2, 1));

    fn read(text: &str, base: &str) -> Option<(String, String)> {
        let mut notes = Notes::new("test");
        let mut values = Values::new();
        let base = values
            .parse(base.as_bytes(), BUILT_IN, &mut notes)
            .expect("a good base");
        let id = values.parse(text.as_bytes(), base, &mut notes)?;
        let value = values.get(id);
        Some((
            value.address.to_string(),
            String::from_utf8_lossy(value.template).into_owned(),
        ))
    }

    /// The table of the manual's section on resulting values.
    #[test]
    fn what_a_value_leaves_out_comes_from_the_default() {
        let base = ":127.0.0.2:IP address $ is listed";
        let is = |a: &str, txt: &str| Some((a.to_owned(), txt.to_owned()));
        assert_eq!(read(":5", base), is("127.0.0.5", "IP address $ is listed"));
        assert_eq!(read(":6:", base), is("127.0.0.6", ""));
        assert_eq!(read("IP $ is open", base), is("127.0.0.2", "IP $ is open"));
        assert_eq!(read(":127.0.1.3: why", base), is("127.0.1.3", "why"));
        assert_eq!(read(":127.3", base), is("127.0.0.3", "IP address $ is listed"));
    }

    #[test]
    fn what_is_no_value_is_refused() {
        for text in [":", "::text", ":0:", ":256:", ":x:", ":2 text", ":0.0.0.0:"] {
            assert_eq!(read(text, ":2:"), None, "{text}");
        }
    }

    #[test]
    fn templates_are_filled_in() {
        let mut templates = Templates::default();
        templates.set(b'1', b"See http://example.com");
        templates.set(b'1', b"a second setting does not hold");
        let expand = |templates: &Templates, text: &str| {
            String::from_utf8(templates.expand(text.as_bytes(), SUBJECT)).expect("ASCII")
        };
        assert_eq!(expand(&templates, "$1/$"), "See http://example.com/192.0.2.1");
        assert_eq!(expand(&templates, "costs $$$$, $2"), "costs $$, $2");
        assert_eq!(expand(&templates, ""), "");
        templates.set(b'=', b"[$=] ($)");
        assert_eq!(expand(&templates, "r123"), "[r123] (192.0.2.1)");
        assert_eq!(expand(&templates, ""), "[192.0.2.1] (192.0.2.1)");
        assert_eq!(expand(&templates, "=plain $"), "plain 192.0.2.1");
    }

    #[test]
    fn a_text_that_grows_is_cut() {
        let mut templates = Templates::default();
        templates.set(b'1', &[b'x'; 200]);
        assert_eq!(templates.expand(b"$1$1$1", SUBJECT).len(), TEXT_OCTETS_MAX);
    }

    #[test]
    fn an_exclusion_rules_out_all_values_of_its_entry() {
        let mut slot = Slot::One(ValueId(3));
        assert!(slot.add(ValueId(4)));
        assert_eq!(slot.ids(), [ValueId(3), ValueId(4)]);
        assert!(slot.add(EXCLUDED));
        assert!(slot.add(ValueId(5)));
        assert_eq!(slot.ids(), [EXCLUDED]);
    }
}
