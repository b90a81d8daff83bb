//! The lab shows each failure that it says it shows, over real sockets.

mod peers;

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use hickory_proto::rr::RecordType;
use peers::{Reply, ask, ask_tcp, try_ask};
use reputon::clock::Span;
use reputon::lab::{CATALOGUE, CATALOGUE_BAD, Conduct, ExtraZone, Face, Lab, LabOptions, ServedList};
use reputon::targets::Kind;
use reputon::wire::Name;
use reputon::zone::{Dataset, DatasetKind, Zone};

const NXDOMAIN: u16 = 3;

fn lab() -> Lab {
    Lab::start(LabOptions::default()).expect("loopback can be listened on")
}

fn name(text: &str) -> Name {
    text.parse().expect("a good name")
}

/// The addresses of an A reply.
fn codes(addr: SocketAddr, name: &str) -> Vec<String> {
    addresses(&ask(addr, name, RecordType::A))
}

fn addresses(reply: &Reply) -> Vec<String> {
    reply
        .answers
        .iter()
        .filter_map(|answer| answer.split_once(" A ").map(|(_, address)| address.to_owned()))
        .collect()
}

fn silent(addr: SocketAddr, name: &str) -> bool {
    try_ask(addr, name, RecordType::A, Duration::from_millis(200)).is_none()
}

#[test]
fn healthy_lists_pass_the_test_of_rfc_5782() {
    let lab = lab();
    let table: toml::Table = CATALOGUE.parse().expect("good TOML");
    let lists = table["list"].as_array().expect("lists");
    assert!(lists.len() >= 12);
    for list in lists {
        let zone = list["zone"].as_str().expect("a zone");
        for kind in list["kinds"].as_array().expect("kinds") {
            let (listed, unlisted) = match kind.as_str() {
                Some("ip4") => ("2.0.0.127".to_owned(), "1.0.0.127".to_owned()),
                Some("ip6") => {
                    let mapped = |last| Name::reversed_v6(Ipv4Addr::new(127, 0, 0, last).to_ipv6_mapped()).to_string();
                    (mapped(2), mapped(1))
                }
                _ => ("TEST".to_owned(), "INVALID".to_owned()),
            };
            let found = codes(lab.addr(), &format!("{listed}.{zone}"));
            assert!(
                !found.is_empty() && found.iter().all(|code| code.starts_with("127.")),
                "{zone}: {found:?}"
            );
            for nothing in [unlisted.as_str(), "9.9.9.9", "canary-x1.canary-x2.invalid"] {
                let reply = ask(lab.addr(), &format!("{nothing}.{zone}"), RecordType::A);
                assert_eq!((reply.rcode, reply.answers.len()), (NXDOMAIN, 0), "{nothing} on {zone}");
                assert!(reply.authoritative && reply.soa_owner.is_some());
            }
        }
    }
}

#[test]
fn lists_answer_with_codes_and_reasons() {
    let lab = lab();
    assert_eq!(
        codes(lab.addr(), "12.113.0.203.zen.lab.test"),
        ["127.0.0.2", "127.0.0.4"]
    );
    assert_eq!(
        codes(lab.addr(), "201.113.0.203.zen.lab.test"),
        ["127.0.0.2", "127.0.0.9"]
    );
    assert_eq!(codes(lab.addr(), "12.113.0.203.xbl.zen.lab.test"), ["127.0.0.4"]);
    assert_eq!(codes(lab.addr(), "www.phish.test.multi.lab.test"), ["127.0.0.12"]);
    let hostile = ask(lab.addr(), "15.113.0.203.reasons.lab.test", RecordType::TXT);
    assert!(hostile.answers[0].contains("\\x1b[31m"), "{hostile:?}");
    let reply = ask(lab.addr(), "9.9.9.9.zen.lab.test", RecordType::A);
    assert_eq!(reply.soa_owner.as_deref(), Some("zen.lab.test."));
}

#[test]
fn names_outside_the_world_do_not_exist() {
    let lab = lab();
    let reply = ask(lab.addr(), "www.example.org", RecordType::A);
    assert_eq!((reply.rcode, reply.soa_owner.as_deref()), (NXDOMAIN, Some(".")));
}

#[test]
fn records_beside_the_lists_are_found() {
    let lab = lab();
    let found = |name: &str, rtype| {
        let reply = ask(lab.addr(), name, rtype);
        assert_eq!(reply.rcode, 0, "{name} {rtype}");
        reply.answers
    };
    assert_eq!(found("example-shop.test", RecordType::MX).len(), 2);
    assert_eq!(
        found("25.113.0.203.in-addr.arpa", RecordType::PTR),
        ["3600 PTR mail.example-shop.test."]
    );
    let spelt = Name::reverse("2001:db8:0:25::25".parse().expect("an address")).to_string();
    assert_eq!(found(&spelt, RecordType::PTR), ["3600 PTR mail.example-shop.test."]);
    assert_eq!(found("mail.example-shop.test", RecordType::A), ["3600 A 203.0.113.25"]);
    // An alias comes with what it stands for.
    assert_eq!(found("www.example-shop.test", RecordType::A).len(), 2);
    assert!(found("s2026._domainkey.example-shop.test", RecordType::TXT)[0].contains("v=DKIM1"));
    for name in ["_dmarc", "_mta-sts", "_smtp._tls"] {
        assert_eq!(found(&format!("{name}.example-shop.test"), RecordType::TXT).len(), 1);
    }
    assert!(found("113.0.203.origin.asn.cymru.com", RecordType::TXT)[0].contains("64500 | 203.0.113.0/24"));
    assert!(found("7.113.0.203.origin.asn.cymru.com", RecordType::TXT)[0].contains("64500"));
    assert!(found("as64500.asn.cymru.com", RecordType::TXT)[0].contains("Example Hosting"));
    assert!(found("7.113.0.203.abuse-contacts.abusix.zone", RecordType::TXT)[0].contains("abuse@"));
    assert_eq!(
        ask(lab.addr(), "loop-a.lab.test", RecordType::A).rcode,
        2,
        "aliases in a circle"
    );
    assert_eq!(
        ask(lab.addr(), "3.113.0.203.in-addr.arpa", RecordType::PTR).rcode,
        NXDOMAIN
    );
}

#[test]
fn replies_that_are_too_long_come_over_tcp() {
    let lab = lab();
    let cut = ask(lab.addr(), "long.lab.test", RecordType::TXT);
    assert!(cut.truncated && cut.answers.is_empty());
    let whole = ask_tcp(lab.addr(), "long.lab.test", RecordType::TXT);
    assert!(!whole.truncated && whole.answers[0].len() > 1_900);
}

#[test]
fn one_tcp_connection_takes_several_queries() {
    let lab = lab();
    let mut stream = TcpStream::connect(lab.addr()).expect("it takes TCP");
    stream
        .set_read_timeout(Some(Duration::from_secs(2)))
        .expect("a good timeout");
    let query = raw_query(7, "2.0.0.127.brute.lab.test");
    let framed = [&(query.len() as u16).to_be_bytes()[..], &query].concat();
    stream
        .write_all(&[framed.clone(), framed].concat())
        .expect("an open connection");
    for _ in 0..2 {
        let mut len = [0; 2];
        stream.read_exact(&mut len).expect("a length");
        let mut message = vec![0; usize::from(u16::from_be_bytes(len))];
        stream.read_exact(&mut message).expect("a message");
        assert_eq!(message[..2], [0, 7]);
    }
}

/// A query without EDNS, by hand.
fn raw_query(id: u16, name: &str) -> Vec<u8> {
    let mut query = id.to_be_bytes().to_vec();
    query.extend([1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    query.extend(self::name(name).as_wire());
    query.extend([0, 1, 0, 1]);
    query
}

fn exchange(addr: SocketAddr, query: &[u8]) -> Option<Vec<u8>> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a loopback socket");
    socket
        .set_read_timeout(Some(Duration::from_millis(200)))
        .expect("a good timeout");
    socket.send_to(query, addr).expect("loopback takes it");
    let mut buffer = [0; 2_048];
    let len = socket.recv(&mut buffer).ok()?;
    Some(buffer[..len].to_vec())
}

#[test]
fn the_question_comes_back_as_it_was_written() {
    let lab = lab();
    let query = raw_query(0x1234, "9.9.9.9.bRuTe.LaB.tEsT");
    let reply = exchange(lab.addr(), &query).expect("an answer");
    assert_eq!(reply[..2], query[..2]);
    assert_eq!(reply[2..4], [0x85, 0x83], "QR, AA, RD, RA, NXDOMAIN");
    assert_eq!(reply[12..query.len()], query[12..], "letter by letter");
    assert_eq!(reply[10..12], [0, 0], "no EDNS where none was asked for");
}

#[test]
fn what_is_no_query_is_not_answered_from_the_world() {
    let lab = lab();
    let good = raw_query(1, "9.9.9.9.brute.lab.test");
    let spoilt = |at: usize, octet: u8| {
        let mut query = good.clone();
        query[at] = octet;
        exchange(lab.addr(), &query)
    };
    let rcode = |reply: Option<Vec<u8>>| reply.map(|reply| reply[3] & 0x0f);
    assert_eq!(rcode(exchange(lab.addr(), &good[..11])), None);
    assert_eq!(rcode(spoilt(2, 0x80)), None, "a response");
    assert_eq!(rcode(spoilt(2, 0x10)), Some(4), "another opcode");
    assert_eq!(rcode(spoilt(5, 2)), Some(1), "two questions");
    assert_eq!(rcode(spoilt(12, 0xc0)), Some(1), "a compressed name");
    assert_eq!(rcode(spoilt(12, 63)), Some(1), "a label beyond the end");
    assert_eq!(rcode(spoilt(good.len() - 1, 3)), Some(5), "another class");
    assert_eq!(rcode(exchange(lab.addr(), &good[..20])), Some(1), "cut short");
    assert_eq!(lab.queries(), 0);
}

#[test]
fn each_failing_list_fails_in_its_way() {
    let lab = lab();
    let at = |name: &str| codes(lab.addr(), name);
    let rcode = |name: &str| ask(lab.addr(), name, RecordType::A).rcode;
    assert_eq!(at("1.0.0.127.f01-wildcard.lab.test"), ["127.0.0.2"]);
    assert_eq!(at("9.9.9.9.f02-parked.lab.test"), ["198.51.100.117"]);
    assert_eq!(at("9.9.9.9.f03-parked-many.lab.test").len(), 3);
    let alias = ask(lab.addr(), "9.9.9.9.f03-parked-alias.lab.test", RecordType::A);
    assert_eq!(
        (alias.answers.len(), addresses(&alias)),
        (2, vec!["198.51.100.117".to_owned()])
    );
    assert_eq!(rcode("9.9.9.9.f03-parked-text.lab.test"), 0);
    assert!(at("9.9.9.9.f03-parked-text.lab.test").is_empty());
    assert_eq!(
        ask(lab.addr(), "9.9.9.9.f03-parked-text.lab.test", RecordType::TXT)
            .answers
            .len(),
        1
    );
    assert_eq!(rcode("2.0.0.127.f04-empty.lab.test"), NXDOMAIN);
    assert_eq!(at("2.0.0.127.f05-test-entry-only.lab.test"), ["127.0.0.2"]);
    assert!(silent(lab.addr(), "2.0.0.127.f06-silent.lab.test"));
    let gone = ask(lab.addr(), "2.0.0.127.f07-gone.lab.test", RecordType::A);
    assert_eq!((gone.rcode, gone.soa_owner.as_deref()), (NXDOMAIN, Some("lab.test.")));
    assert_eq!(rcode("2.0.0.127.f08-servfail.lab.test"), 2);
    assert_eq!(rcode("2.0.0.127.f08-refused.lab.test"), 5);
    assert_eq!(at("9.9.9.9.f09-refusal-code.lab.test"), ["127.255.255.254"]);
    assert_eq!(at("9.9.9.9.f09-refusal-code-1.lab.test"), ["127.0.0.1"]);
    assert_eq!(at("test.f13-shallow.lab.test"), ["127.0.0.2"]);
    assert_eq!(rcode("a.spamvertised.test.f13-shallow.lab.test"), NXDOMAIN);
    assert_eq!(at("1.0.0.127.f14-allow-code.lab.test"), ["127.0.0.1"]);
    assert_eq!(rcode("2.0.0.127.f14-other-test-entry.lab.test"), NXDOMAIN);
    assert_eq!(at("2.0.0.127.f14-other-test-code.lab.test"), ["127.0.0.99"]);
    assert_eq!(rcode("_x.f16-strict-labels.lab.test"), 2);
    assert_eq!(rcode("x-1.f16-strict-labels.lab.test"), NXDOMAIN);
}

#[test]
fn lists_fail_in_the_middle_and_come_back() {
    let lab = lab();
    let mut seen = Vec::new();
    for _ in 0..170 {
        let found = codes(lab.addr(), "2.0.0.127.f15-lapses.lab.test");
        if seen.last() != Some(&found) {
            seen.push(found);
        }
    }
    assert_eq!(seen, [["127.0.0.2"], ["198.51.100.117"], ["127.0.0.2"]]);
    assert_eq!(lab.zone_queries(&name("f15-lapses.lab.test")), Some(170));
    let stale = ask(lab.addr(), "9.9.9.9.f17-stale.lab.test", RecordType::A);
    assert_eq!(stale.answers, ["86400 A 198.51.100.117"]);
    for _ in 0..100 {
        assert_eq!(
            codes(lab.addr(), "66.113.0.203.f10-goes-silent.lab.test"),
            ["127.0.0.2"]
        );
        assert_eq!(
            codes(lab.addr(), "66.113.0.203.f10-goes-refusing.lab.test"),
            ["127.0.0.2"]
        );
    }
    assert!(silent(lab.addr(), "66.113.0.203.f10-goes-silent.lab.test"));
    assert_eq!(
        codes(lab.addr(), "66.113.0.203.f10-goes-refusing.lab.test"),
        ["127.255.255.254"]
    );
}

/// Two lies, then the truth, then the truth again: only the third has ID and question right.
#[test]
fn r03_wrong_replies_come_before_the_right_one() {
    let lab = lab();
    let query = raw_query(0x0100, "9.9.9.9.f18-scrambled.lab.test");
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a loopback socket");
    socket
        .set_read_timeout(Some(Duration::from_secs(1)))
        .expect("a good timeout");
    socket.send_to(&query, lab.addr()).expect("loopback takes it");
    let replies: Vec<Vec<u8>> = (0..4)
        .map(|_| {
            let mut buffer = [0; 512];
            let len = socket.recv(&mut buffer).expect("four replies");
            buffer[..len].to_vec()
        })
        .collect();
    let fits = |reply: &[u8]| reply[..2] == query[..2] && reply[12..query.len()] == query[12..];
    let fitting: Vec<bool> = replies.iter().map(|reply| fits(reply)).collect();
    assert_eq!(fitting, [false, false, true, true]);
    assert_eq!(replies[2], replies[3]);
    assert_eq!(replies[2][3] & 0x0f, 3);
}

#[test]
fn resolvers_lie_each_in_its_way() {
    let lab = lab();
    let (listed, unlisted) = ("2.0.0.127.brute.lab.test", "9.9.9.9.brute.lab.test");
    assert_eq!(codes(lab.face(Face::Rewriting), listed), ["127.0.0.2"]);
    assert_eq!(codes(lab.face(Face::Rewriting), unlisted), ["198.18.0.1"]);
    let stripped = ask(lab.face(Face::Stripping), listed, RecordType::A);
    assert_eq!((stripped.rcode, stripped.answers.len()), (0, 0));
    assert_eq!(
        codes(lab.face(Face::Stripping), "mail.example-shop.test"),
        ["203.0.113.25"]
    );
    let minimised = |name: &str| ask(lab.face(Face::Minimising), name, RecordType::A).rcode;
    assert_eq!(
        [minimised(listed), minimised("spamvertised.test.dbl.lab.test")],
        [NXDOMAIN, NXDOMAIN]
    );
    assert_eq!(
        [minimised("test.dbl.lab.test"), minimised("mail.example-shop.test")],
        [0, 0]
    );
    assert_eq!(ask(lab.face(Face::Refusing), listed, RecordType::A).rcode, 5);
    assert!(silent(lab.face(Face::Dead), listed));
}

#[test]
fn servers_differ_on_the_parents_of_entries() {
    let lab = lab();
    let rcode = |name: &str| ask(lab.addr(), name, RecordType::A).rcode;
    assert_eq!(
        rcode("0.0.127.parents.lab.test"),
        0,
        "as NSD, BIND, Knot and PowerDNS do"
    );
    assert_eq!(rcode("113.0.203.parents.lab.test"), 0);
    assert_eq!(rcode("114.0.203.parents.lab.test"), NXDOMAIN);
    assert_eq!(rcode("0.0.127.brute.lab.test"), NXDOMAIN, "as rbldnsd does");
}

#[test]
fn any_catalogue_can_be_served() {
    let code = Ipv4Addr::new(127, 0, 0, 4);
    let zone = name("bl.operator.example");
    let list = ServedList::standard(zone.clone(), &Kind::ALL, &[code]);
    let lab = Lab::start(LabOptions {
        embedded: false,
        lists: vec![list],
        ..LabOptions::default()
    })
    .expect("loopback can be listened on");
    let listed = |name: &str| !codes(lab.addr(), &format!("{name}.bl.operator.example")).is_empty();
    assert_eq!(codes(lab.addr(), "2.0.0.127.bl.operator.example"), ["127.0.0.4"]);
    assert!(listed("TEST") && !listed("INVALID") && !listed("1.0.0.127"));
    assert!(!listed("8.8.8.8"), "addresses of others are not listed");
    let spread = (0..1_500u32)
        .filter(|n| listed(&format!("{}.{}.18.198", n % 256, n / 256)))
        .count();
    assert!((5..40).contains(&spread), "about one in a hundred: {spread} of 1500");
    assert_eq!(lab.zone_queries(&zone), Some(lab.queries()));
    assert_eq!(lab.counters().len(), 1);
}

#[test]
fn slow_and_lossy_ways_are_slow_and_lossy() {
    let zone = |origin: &str| {
        let dataset = Dataset::parse(DatasetKind::Ip4Tset, "test", b"127.0.0.2\n").expect("a good list");
        ExtraZone {
            zone: Zone::new(name(origin), vec![dataset]),
            conduct: Conduct::Honest,
        }
    };
    let lab = Lab::start(LabOptions {
        zones: vec![zone("slow.test"), zone("lossy.test")],
        impaired: vec![
            (name("slow.test"), Span::from_millis(80), 0),
            (name("lossy.test"), Span::ZERO, 500),
        ],
        ..LabOptions::default()
    })
    .expect("loopback can be listened on");
    let start = Instant::now();
    assert_eq!(codes(lab.addr(), "2.0.0.127.slow.test"), ["127.0.0.2"]);
    assert!(start.elapsed() >= Duration::from_millis(80));
    let wait = Duration::from_millis(50);
    let answered = (0..40).filter(|_| try_ask(lab.addr(), "2.0.0.127.lossy.test", RecordType::A, wait).is_some());
    let answered = answered.count();
    assert!((5..35).contains(&answered), "about half: {answered} of 40");
}

#[test]
fn a_lab_that_is_dropped_frees_its_port() {
    let lab = lab();
    let addr = lab.addr();
    let start = Instant::now();
    drop(lab);
    assert!(start.elapsed() < Duration::from_secs(2), "threads end at once");
    assert!(UdpSocket::bind(addr).is_ok());
    assert!(!CATALOGUE_BAD.is_empty());
}

#[test]
fn an_impaired_zone_must_be_there() {
    let options = LabOptions {
        impaired: vec![(name("nowhere.test"), Span::ZERO, 0)],
        ..LabOptions::default()
    };
    assert!(Lab::start(options).is_err());
}

#[test]
fn nobody_else_can_reach_it() {
    let options = LabOptions {
        bind: SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
        ..LabOptions::default()
    };
    let error = Lab::start(options).expect_err("refused");
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
}

#[test]
fn it_serves_over_ipv6_too() {
    let options = LabOptions {
        bind: SocketAddr::from((std::net::Ipv6Addr::LOCALHOST, 0)),
        ..LabOptions::default()
    };
    // A machine without IPv6 has nothing to show here.
    let Ok(lab) = Lab::start(options) else { return };
    let socket = UdpSocket::bind((std::net::Ipv6Addr::LOCALHOST, 0)).expect("a loopback socket");
    socket
        .set_read_timeout(Some(Duration::from_secs(2)))
        .expect("a good timeout");
    let query = raw_query(9, "2.0.0.127.brute.lab.test");
    for _ in 0..3 {
        socket.send_to(&query, lab.addr()).expect("loopback takes it");
        let mut buffer = [0; 512];
        let len = socket.recv(&mut buffer).expect("an answer");
        assert_eq!((buffer[7], &buffer[len - 4..len]), (1, &[127, 0, 0, 2][..]));
    }
}
