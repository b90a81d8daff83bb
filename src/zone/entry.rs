//! What an entry answers with, before it becomes records: nearly every entry has one value, and who wants to know its code
//! and its text needs no more of it.

use std::io::Write;
use std::net::{Ipv4Addr, Ipv6Addr};

use crate::wire::{Rdata, Rtype};

use super::ip6::show_address;
use super::section::Found;
use super::text::show_labels;
use super::value::{Templates, Value};

/// What a zone has for an address.
#[derive(Debug)]
pub enum AddressEntry<'a> {
    /// Nothing: it is not listed.
    None,
    /// One value.
    One(EntryValue<'a>),
    /// More than that, as records, each with its TTL in seconds: those of one type have one TTL.
    Records(Vec<(u32, Rdata)>),
}

impl<'a> AddressEntry<'a> {
    /// Takes one more value.
    #[inline]
    pub(super) fn add(&mut self, value: EntryValue<'a>) {
        match self {
            AddressEntry::None => *self = AddressEntry::One(value),
            _ => self.add_to_others(value),
        }
    }

    #[cold]
    fn add_to_others(&mut self, value: EntryValue<'a>) {
        let mut found = Found::default();
        match std::mem::replace(self, AddressEntry::None) {
            AddressEntry::None => {}
            AddressEntry::One(first) => found.add_value(&first, Rtype::ANY),
            AddressEntry::Records(records) => found.records = records,
        }
        found.add_value(&value, Rtype::ANY);
        *self = AddressEntry::Records(found.records);
    }
}

/// One value of an entry.
#[derive(Debug, Clone, Copy)]
pub struct EntryValue<'a> {
    pub(super) ttl: u32,
    pub(super) value: Value<'a>,
    pub(super) templates: &'a Templates,
    pub(super) subject: Subject<'a>,
}

impl EntryValue<'_> {
    /// The return code.
    pub fn code(&self) -> Ipv4Addr {
        self.value.address
    }

    /// How long it may be kept, in seconds.
    pub fn ttl(&self) -> u32 {
        self.ttl
    }

    /// The text, for the address or name in question: octets as the file has them, none if there is no text.
    pub fn text(&self) -> Vec<u8> {
        self.templates.expand(self.value.template, self.subject)
    }
}

/// The address or name that an entry was found for, as texts show it.
#[derive(Debug, Clone, Copy)]
pub(super) enum Subject<'a> {
    Ip4(Ipv4Addr),
    Ip6(Ipv6Addr),
    /// Labels in wire form, without the root's octet.
    Name(&'a [u8]),
}

impl Subject<'_> {
    /// How many octets it takes as a rule.
    pub(super) fn len(&self) -> usize {
        match self {
            Subject::Ip4(_) => 15,
            Subject::Ip6(_) => 39,
            Subject::Name(labels) => labels.len(),
        }
    }

    /// Writes it behind a text.
    pub(super) fn write(&self, text: &mut Vec<u8>) {
        match self {
            Subject::Ip4(address) => write_ip4(*address, text),
            Subject::Ip6(address) => {
                let written = write!(text, "{}", show_address(*address));
                written.expect("a vector takes everything");
            }
            Subject::Name(labels) => text.extend_from_slice(&show_labels(labels)),
        }
    }
}

/// Without the formatting machinery, which takes as long as all the rest of a listing.
fn write_ip4(address: Ipv4Addr, text: &mut Vec<u8>) {
    let (mut digits, mut len) = ([0u8; 16], 0);
    let mut push = |octet| {
        digits[len] = octet;
        len += 1;
    };
    for octet in address.octets() {
        if octet >= 100 {
            push(b'0' + octet / 100);
        }
        if octet >= 10 {
            push(b'0' + octet / 10 % 10);
        }
        push(b'0' + octet % 10);
        push(b'.');
    }
    text.extend_from_slice(&digits[..len - 1]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_written_as_everybody_writes_them() {
        let mut bits = 0u32;
        for octet in 0..=255u8 {
            bits = bits.rotate_left(8).wrapping_add(u32::from(octet));
            let address = Ipv4Addr::from(bits ^ u32::from(octet) << 24);
            let mut text = b"is ".to_vec();
            Subject::Ip4(address).write(&mut text);
            assert_eq!(text, format!("is {address}").into_bytes());
        }
    }
}
