//! What is fuzzed: one function for each reader of hostile text. It must not panic, and what it takes must hold.
//!
//! Shared by cargo-fuzz (`fuzz_targets/`, which needs a nightly compiler) and by `tests/fuzz.rs`, which drives the same functions
//! over the seeds and mutations of them with the stable one.

use std::cell::Cell;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use rand::SeedableRng;
use rand::rngs::StdRng;

use reputon::clock::{Instant, Span};
use reputon::datagram::{Batch, Received};
use reputon::dnsxl::{Catalogue, import};
use reputon::engine::{Engine, EngineOptions, RouteOptions, UpstreamOptions};
use reputon::exchange::{Ask, Lookup, LookupFuture, Resolver, Ticket};
use reputon::report::{csv_cell, visible, visible_octets};
use reputon::stages::spf::{SpfInput, SpfRecord, check_host, lint};
use reputon::stages::{dkim, dmarc, rdns};
use reputon::targets::{ReadOptions, TargetSet};
use reputon::wire::{Answer, Name, Rdata, Record, Rtype, decode, match_reply};
use reputon::zone::{AddressEntry, Dataset, DatasetKind, Zone};

/// A check.
pub(crate) type Check = fn(&[u8]);

/// All checks by name; `seeds/NAME` holds what each starts from.
pub(crate) const CHECKS: &[(&str, Check)] = &[
    ("reply", reply),
    ("engine", engine),
    ("catalogue", catalogue),
    ("import", imported),
    ("targets", targets),
    ("rbldnsd", rbldnsd),
    ("ptr", ptr),
    ("spf", spf),
    ("dkim", dkim_key),
    ("dmarc", dmarc_record),
    ("escape", escape),
];

const ASKED: &str = "2.0.0.127.bl.example.test";

/// A message as a reply to each kind of question.
pub(crate) fn reply(data: &[u8]) {
    let name: Name = ASKED.parse().expect("a name");
    for rtype in [Rtype::A, Rtype::TXT, Rtype::PTR, Rtype::MX, Rtype::ANY] {
        if let Ok(header) = match_reply(data, name.as_wire(), rtype, false) {
            assert!(data.len() >= 12 && header.rcode.0 < 16);
        }
        if let Ok(answer) = decode(data, &name, rtype) {
            let owner = answer.aliases.last().unwrap_or(&name);
            assert!(
                answer.records.iter().all(|record| record.name == *owner),
                "another name's record"
            );
            assert!(
                answer.records.len() * 11 <= data.len(),
                "more records than there is room for"
            );
            let texts: usize = answer.texts().map(|text| text.len()).sum();
            assert!(texts <= data.len(), "more text than was there");
        }
    }
}

/// A message that hits the very port and ID of a query in flight. The exchange ends once, whatever comes.
pub(crate) fn engine(data: &[u8]) {
    let options = EngineOptions {
        slots: 128,
        timeout: Span::from_secs(1),
        retries: 0,
        rate_qps: None,
    };
    let mut engine = Engine::new(options, StdRng::seed_from_u64(7));
    let port = engine.add_port();
    let address = SocketAddr::from(([192, 0, 2, 1], 53));
    let upstream = engine.add_upstream(UpstreamOptions {
        address,
        ports: vec![port],
        recursive: false,
        window_max: 8,
        path_window_max: 8,
        rate_qps: None,
        careful: true,
        trains: false,
    });
    let route = engine.add_route(RouteOptions {
        upstreams: vec![upstream],
        zone_octets: 17,
        pace: None,
    });
    let ask = Ask {
        ticket: Ticket(1),
        name: &ASKED.parse().expect("a name"),
        rtype: Rtype::A,
        route,
        probe: false,
    };
    engine.submit(Instant::ZERO, ask).expect("there is room");
    let mut batch = Batch::new();
    let mut now = Instant::ZERO;
    let (mut sent, mut ended) = (0, 0);
    for _ in 0..64 {
        batch.clear();
        engine.poll_transmit(now, &mut batch);
        let mut moved = !batch.is_empty();
        for cell in batch.as_slice() {
            sent += 1;
            let mut message = data.to_vec();
            for (at, octet) in cell.octets().iter().take(2).enumerate() {
                if let Some(place) = message.get_mut(at) {
                    *place = *octet;
                }
            }
            let from = cell.to;
            engine.receive(
                now,
                Received {
                    port,
                    from,
                    octets: &message,
                },
            );
        }
        while let Some(query) = engine.poll_tcp(now) {
            moved = true;
            let mut message = data.to_vec();
            message
                .iter_mut()
                .zip(&query.message)
                .take(2)
                .for_each(|(octet, id)| *octet = *id);
            engine.receive_tcp(now, query.key, Ok(&message));
        }
        while engine.poll_outcome().is_some() {
            ended += 1;
        }
        if engine.open() == 0 {
            break;
        }
        if moved {
            continue; // drained only when nothing moves any more
        }
        now = engine
            .poll_timeout()
            .expect("what is open has a time-out")
            .max(now + Span::from_millis(1));
        engine.handle_timeout(now);
    }
    while engine.poll_outcome().is_some() {
        ended += 1;
    }
    assert_eq!(ended, 1, "an ask ends as exactly one outcome");
    assert!(sent <= 8, "{sent} packets for one question");
}

/// A user's catalogue file.
pub(crate) fn catalogue(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    if let Ok((catalogue, _)) = Catalogue::load_text("fuzz.toml", &text) {
        for (index, list) in catalogue.indexed() {
            assert!(!list.id.is_empty());
            assert!(!catalogue.operator_of(index).id.is_empty());
        }
    }
}

/// Another program's list of lists. What is made of it is a good catalogue.
pub(crate) fn imported(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    if let Ok(imported) = import("fuzz.conf", &text)
        && imported.lists > 0
        && let Err(mistakes) = Catalogue::load_text("imported.toml", &imported.toml)
    {
        panic!("{mistakes}\n{}", imported.toml);
    }
}

/// Lines of targets.
pub(crate) fn targets(data: &[u8]) {
    let arguments = ["-".to_owned()];
    let Ok(set) = TargetSet::read(&arguments, &mut &*data, ReadOptions::default()) else {
        return;
    };
    let mut before = 256;
    for chunk in set.chunks().take(64) {
        assert!((1..=256).contains(&chunk.len()));
        assert!(before + chunk.len() > 256, "two that would be one");
        let by_index: Vec<_> = (0..chunk.len()).filter_map(|index| chunk.get(index)).collect();
        assert!(chunk.iter().eq(by_index));
        before = chunk.len();
    }
}

/// A dataset file; the first octet chooses its kind.
pub(crate) fn rbldnsd(data: &[u8]) {
    const KINDS: [&str; 8] = [
        "ip4set", "ip4tset", "ip4trie", "ip6tset", "ip6trie", "dnset", "generic", "combined",
    ];
    let Some((&first, text)) = data.split_first() else {
        return;
    };
    let Some(kind) = DatasetKind::by_name(KINDS[usize::from(first) % KINDS.len()]) else {
        return;
    };
    let origin: Name = "bl.example.test".parse().expect("a name");
    if let Ok(dataset) = Dataset::parse(kind, "fuzz", text) {
        let zone = Zone::new(origin, vec![dataset]);
        for name in [ASKED, "bl.example.test", "test.bl.example.test", "a.b.bl.example.test"] {
            let name: Name = name.parse().expect("a name");
            for rtype in [Rtype::A, Rtype::TXT, Rtype::SOA, Rtype::NS] {
                let _ = zone.answer(&name, rtype);
            }
        }
        for address in [IpAddr::from([127, 0, 0, 2]), IpAddr::from([0x20; 16])] {
            if let AddressEntry::One(value) = zone.entry(address) {
                assert!(value.text().len() < 256, "a character string holds it");
            }
        }
    }
}

/// The name of an address.
pub(crate) fn ptr(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let names = [text.trim().parse::<Name>().ok(), Name::from_wire(data).ok()];
    for name in names.into_iter().flatten() {
        for address in [
            None,
            Some(IpAddr::from([203, 0, 113, 7])),
            Some(IpAddr::from([0x20; 16])),
        ] {
            let verdict = rdns::classify(&name, address);
            assert!(!verdict.rule.is_empty() && visible(&verdict.rule) == verdict.rule);
        }
    }
}

/// Policies: each line is the record of one name, and names are asked for round and round.
pub(crate) fn spf(data: &[u8]) {
    if let Ok(record) = SpfRecord::parse(data) {
        let _ = record.all();
    }
    let resolver = Lines {
        lines: data.split(|octet| *octet == b'\n').collect(),
        asked: Cell::new(0),
    };
    let input = SpfInput::new(IpAddr::from([203, 0, 113, 7]), "mail.example.test", "user@example.test");
    let result = ready(check_host(&resolver, &input));
    let said = format!("{result:?}");
    assert!(said.chars().all(|letter| !letter.is_control()));
    assert!(
        resolver.asked.get() <= 150,
        "{} queries for one mail",
        resolver.asked.get()
    );
    resolver.asked.set(0);
    let _ = ready(lint(&resolver, "example.test"));
    assert!(
        resolver.asked.get() <= 2_000,
        "{} queries for one lint",
        resolver.asked.get()
    );
}

struct Lines<'a> {
    lines: Vec<&'a [u8]>,
    asked: Cell<usize>,
}

impl Resolver for Lines<'_> {
    fn lookup(&self, name: Name, rtype: Rtype) -> LookupFuture<'_> {
        let asked = self.asked.get();
        self.asked.set(asked + 1);
        let line = self.lines[asked % self.lines.len()];
        let data = match rtype {
            Rtype::TXT => Some(Rdata::Txt(line.chunks(255).map(Into::into).collect())),
            Rtype::A => Some(Rdata::A(Ipv4Addr::from([203, 0, 113, line.len() as u8]))),
            Rtype::MX => Some(Rdata::Mx {
                preference: 1,
                exchange: name.clone(),
            }),
            Rtype::PTR => Some(Rdata::Ptr(name.clone())),
            _ => None,
        };
        let lookup = data.map_or(Lookup::NoData, |data| {
            Lookup::Found(
                Answer {
                    records: vec![Record { name, ttl: 1, data }],
                    ..Answer::default()
                }
                .into(),
            )
        });
        Box::pin(std::future::ready(lookup))
    }
}

/// The value of a future that waits for nothing.
fn ready<T>(future: impl Future<Output = T>) -> T {
    let mut future = std::pin::pin!(future);
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match future.as_mut().poll(&mut context) {
        std::task::Poll::Ready(value) => value,
        std::task::Poll::Pending => panic!("the resolver answers at once"),
    }
}

/// A DKIM key record.
pub(crate) fn dkim_key(data: &[u8]) {
    let _ = dkim::read_key(data);
}

/// A DMARC record.
pub(crate) fn dmarc_record(data: &[u8]) {
    let record = dmarc::Record::parse(data);
    let _ = (record.own(), record.inherited(true), record.inherited(false));
}

/// Text on its way to a screen or a spreadsheet.
pub(crate) fn escape(data: &[u8]) {
    let shown = visible_octets(data);
    let acts = |letter: char| {
        letter.is_control()
            || matches!(letter, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200b}'..='\u{200f}' | '\u{2028}' | '\u{2029}' | '\u{feff}')
    };
    assert!(!shown.contains(acts), "{shown:?}");
    assert_eq!(visible(&shown), shown, "escaping is once and for all");
    if let Ok(text) = std::str::from_utf8(data) {
        assert_eq!(visible(text), shown, "text and octets are escaped alike");
        let cell = csv_cell(text);
        assert!(!cell.contains(acts), "{cell:?}");
        assert!(
            !cell.starts_with(['=', '+', '-', '@', '＝', '＋', '－', '＠']),
            "a formula: {cell:?}"
        );
    }
}
