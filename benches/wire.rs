//! Messages: composing a query, matching an NXDOMAIN, decoding a listing.

use std::hint::black_box;

use reputon::datagram::QUERY_OCTETS_MAX;
use reputon::wire::{Flags, Name, QueryTail, Rtype, compose, decode, flip_case, match_reply};

fn main() {
    divan::main();
}

const TAIL: QueryTail = QueryTail {
    rtype: Rtype::A,
    flags: Flags {
        recursion: true,
        edns: true,
    },
};

fn name() -> Name {
    "77.2.0.192.bl.example.test".parse().expect("a name")
}

/// The query with the bits of a reply, and `rcode`.
fn reply(rcode: u8) -> Vec<u8> {
    let flags = Flags {
        recursion: true,
        edns: false,
    };
    let mut message = name().query(7, QueryTail { rtype: Rtype::A, flags });
    (message[2], message[3]) = (0x84, rcode);
    message
}

#[divan::bench]
fn compose_query(bencher: divan::Bencher<'_, '_>) {
    let name = name();
    let mut buffer = [0; QUERY_OCTETS_MAX];
    bencher.bench_local(|| compose(black_box(&mut buffer), black_box(7), name.as_wire(), TAIL));
}

#[divan::bench]
fn flip_letters(bencher: divan::Bencher<'_, '_>) {
    let mut octets = name().as_wire().to_vec();
    bencher.bench_local(|| flip_case(black_box(&mut octets), 17, black_box(0x5555)));
}

#[divan::bench]
fn match_nxdomain(bencher: divan::Bencher<'_, '_>) {
    let (name, message) = (name(), reply(3));
    bencher.bench_local(|| match_reply(black_box(&message), name.as_wire(), Rtype::A, true));
}

#[divan::bench]
fn decode_listing(bencher: divan::Bencher<'_, '_>) {
    let (name, mut message) = (name(), reply(0));
    message[7] = 1;
    message.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 127, 0, 0, 2]);
    bencher.bench_local(|| decode(black_box(&message), &name, Rtype::A));
}

#[divan::bench]
fn parse_name() -> Result<Name, reputon::wire::NameError> {
    black_box("77.2.0.192.bl.example.test").parse()
}
