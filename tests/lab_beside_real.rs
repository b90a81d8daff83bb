//! The lab beside real servers: unbound resolves through it, and nsd answers the parents of entries as the lab does.

mod peers;

use hickory_proto::rr::RecordType;
use peers::{Peer, ask};
use reputon::lab::{Lab, LabOptions};

fn lab() -> Lab {
    Lab::start(LabOptions::default()).expect("loopback can be listened on")
}

/// Lists, reasons, records and "no such name" pass a real resolver unchanged, TTLs aside.
#[test]
fn unbound_resolves_through_the_lab() {
    let lab = lab();
    let Some(peer) = Peer::unbound(&peers::forward_all_to(lab.addr())) else {
        return;
    };
    for (name, rtype) in [
        ("2.0.0.127.zen.lab.test", RecordType::A),
        ("9.9.9.9.zen.lab.test", RecordType::A),
        ("15.113.0.203.reasons.lab.test", RecordType::TXT),
        ("test.dbl.lab.test", RecordType::A),
        ("25.113.0.203.in-addr.arpa", RecordType::PTR),
        ("example-shop.test", RecordType::MX),
        ("www.example-shop.test", RecordType::A),
        ("long.lab.test", RecordType::TXT),
        ("mail.example-shop.test", RecordType::MX),
        ("2.0.0.127.f08-servfail.lab.test", RecordType::A),
    ] {
        let (direct, resolved) = (ask(lab.addr(), name, rtype), ask(peer.addr(), name, rtype));
        assert_eq!(resolved.rcode, direct.rcode, "{name} {rtype}");
        // What is too long for a datagram comes cut from both: the resolver has fetched it over TCP.
        let data = |reply: &peers::Reply| -> Vec<String> {
            let without_ttl = |answer: &String| {
                answer
                    .split_once(' ')
                    .map_or(String::new(), |(_, rest)| rest.to_owned())
            };
            reply.answers.iter().map(without_ttl).collect()
        };
        if !direct.truncated {
            assert_eq!(data(&resolved), data(&direct), "{name} {rtype}");
        }
        assert_eq!(resolved.soa_owner, direct.soa_owner, "{name} {rtype}");
    }
    assert!(lab.queries() > 10);
}

/// The names above an entry exist, those beside do not (RFC 8020).
#[test]
fn nsd_answers_the_parents_of_entries_as_the_lab_does() {
    let zone = "$TTL 60\n@ SOA ns.lab.test. hostmaster.lab.test. 1 3600 600 604800 300\n@ NS ns.lab.test.\n\
                2.0.0.127 A 127.0.0.2\n12.113.0.203 A 127.0.0.2\n66.113.0.203 A 127.0.0.2\n\
                100.113.0.203 A 127.0.0.2\n";
    let Some(peer) = Peer::nsd(&[("parents.lab.test", zone)], "  rrl-ratelimit: 0") else {
        return;
    };
    let lab = lab();
    for relative in [
        "2.0.0.127",
        "0.0.127",
        "0.127",
        "127",
        "113.0.203",
        "203",
        "1.0.127",
        "114.0.203",
        "8.8.8.8",
        "8",
    ] {
        let name = format!("{relative}.parents.lab.test");
        let (theirs, ours) = (
            ask(peer.addr(), &name, RecordType::A),
            ask(lab.addr(), &name, RecordType::A),
        );
        assert_eq!(ours.rcode, theirs.rcode, "{name}");
        assert_eq!(ours.answers.len(), theirs.answers.len(), "{name}");
        assert_eq!(ours.soa_owner, theirs.soa_owner, "{name}");
    }
}
