//! The same files read by `zone`, served by the lab and served by the real rbldnsd give the same answers.
//!
//! Files and questions are made from seeds out of a small space, so that entries overlap, exclude each other and are
//! broken in every way that the generator knows. A failure names seed, question and file.

mod peers;

use std::collections::BTreeSet;

use hickory_proto::rr::RecordType;
use peers::{Peer, ask};
use reputon::lab::{Conduct, ExtraZone, Lab, LabOptions};
use reputon::wire::{Name, Rdata, Rtype};
use reputon::zone::{Dataset, DatasetKind, Zone, ZoneAnswer};

/// Files of each kind.
const FILES: u64 = 6;

/// Questions to each file, each for three types.
const QUESTIONS: usize = 150;

const KINDS: [DatasetKind; 8] = [
    DatasetKind::Ip4Set,
    DatasetKind::Ip4Tset,
    DatasetKind::Ip4Trie,
    DatasetKind::Ip6Tset,
    DatasetKind::Ip6Trie,
    DatasetKind::Dnset,
    DatasetKind::Generic,
    DatasetKind::Combined,
];

/// A generator of numbers (xorshift64*), the same on every machine.
struct Seeded(u64);

impl Seeded {
    fn new(seed: u64) -> Seeded {
        Seeded(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % bound
    }

    fn of<'a>(&mut self, choices: &[&'a str]) -> &'a str {
        choices[self.below(choices.len() as u64) as usize]
    }

    /// An octet out of few, so that things meet.
    fn octet(&mut self) -> u64 {
        [0, 1, 2, 3, 7, 8, 127, 128, 255, 9][self.below(10) as usize]
    }

    fn ip4(&mut self) -> String {
        let first = self.of(&["10", "127", "127", "192"]);
        format!("{first}.{}.{}.{}", self.below(2), self.octet(), self.octet())
    }

    fn ip6(&mut self) -> String {
        let head = self.of(&["2001:db8", "2001:db9", "2002:7f00"]);
        format!("{head}:{:x}:{:x}::{:x}", self.below(2), self.below(3), self.below(3))
    }

    fn name(&mut self) -> String {
        let labels: Vec<&str> = (0..=self.below(3))
            .map(|_| self.of(&["a", "b", "B", "mail", "x-y", "t_1"]))
            .collect();
        format!("{}.{}", labels.join("."), self.of(&["test", "example", "org"]))
    }
}

/// What follows an entry.
fn value(seeded: &mut Seeded) -> String {
    match seeded.below(14) {
        0 => " :3".to_owned(),
        1 => ":4:".to_owned(),
        2 => " :127.0.1.5:see $ and $$".to_owned(),
        3 => " text alone for $ # no comment".to_owned(),
        4 => " =own $1 $= $".to_owned(),
        5 => "\t:127.7 : blanks ".to_owned(),
        6 => " # a comment".to_owned(),
        7 => "; a comment".to_owned(),
        8 => " :nonsense:x".to_owned(),
        9 => format!(" :{}: $2$1$9", seeded.below(300)),
        10 => format!(" {}", "long $1 ".repeat(seeded.below(60) as usize)),
        _ => String::new(),
    }
}

fn ip4_entry(seeded: &mut Seeded) -> String {
    let full = seeded.ip4();
    let parts: Vec<&str> = full.split('.').collect();
    match seeded.below(16) {
        0 => parts[..3].join("."),
        1 => parts[..2].join("."),
        2 => format!("{}/8", parts[0]),
        3 => parts[0].to_owned(),
        4 => format!("{}-{}", full, seeded.octet()),
        5 => format!("{}-{}", parts[..3].join("."), seeded.octet()),
        6 => format!("{full}-{}", seeded.ip4()),
        7 => format!("{}.0/{}", parts[..3].join("."), 17 + seeded.below(10)),
        8 => format!("{full}/{}", 24 + seeded.below(10)),
        9 => format!("{}.{}.0.0/{}", parts[0], parts[1], 9 + seeded.below(8)),
        10 => format!("0{full}"),
        11 => format!("{}-{}", parts[..2].join("."), parts[..2].join(".")),
        12 => format!("{}-{full}", parts[..2].join(".")),
        _ => full,
    }
}

fn ip6_entry(seeded: &mut Seeded) -> String {
    let full = seeded.ip6();
    let half = full.split("::").next().unwrap_or_default().to_owned();
    match seeded.below(10) {
        0 | 1 => half,
        2 => format!("{half}/{}", 48 + seeded.below(20)),
        3 => format!("{full}/{}", 120 + seeded.below(12)),
        4 => "2001:db8/31".to_owned(),
        5 => format!("{half}::/{}", 60 + seeded.below(5)),
        6 => "::ffff:7f00:2".to_owned(),
        7 => format!("{half}:"),
        _ => full,
    }
}

fn name_entry(seeded: &mut Seeded) -> String {
    let name = seeded.name();
    match seeded.below(8) {
        0 | 1 => format!("*.{name}"),
        2 | 3 => format!(".{name}"),
        4 => format!("{name}."),
        5 => name.replacen('.', "..", 1),
        6 => name.replacen('a', "\\097", 1),
        _ => name,
    }
}

fn generic_line(seeded: &mut Seeded) -> String {
    let name = match seeded.below(4) {
        0 => "@".to_owned(),
        1 => "www".to_owned(),
        _ => seeded.name(),
    };
    let ttl = seeded.of(&["", "", "60 ", "1h ", "0 ", "IN ", "5 in "]);
    let data = match seeded.below(7) {
        0 => format!("A {}", seeded.ip4()),
        1 => "a 127.9 rest".to_owned(),
        2 => "TXT \"quoted text $ \\\" x\"".to_owned(),
        3 => "txt  bare text ; no comment".to_owned(),
        4 => format!("MX {} Mail.{}", seeded.below(3), seeded.name()),
        5 => "CNAME other.test".to_owned(),
        _ => "A nonsense".to_owned(),
    };
    format!("{name} {ttl}{data}")
}

/// A line of a section of this kind.
fn line(kind: DatasetKind, seeded: &mut Seeded) -> String {
    match seeded.below(24) {
        0 => return seeded.of(&["", "# comment", "; comment", "  \t", "#"]).to_owned(),
        1 => {
            return seeded
                .of(&["$TTL 5m", "$TTL x", "$NONSENSE 1", "#$TTL 90", ";$4 four", ":$5 five"])
                .to_owned();
        }
        2 => {
            return seeded
                .of(&["$1 first $", "$1 second", "$2 2", "$MAXRANGE4 /12", "$2"])
                .to_owned();
        }
        3 if kind != DatasetKind::Generic => {
            return seeded
                .of(&[":2:default $", ":127.0.0.9:", ":6", ":0:", "::x", ": 5 : x"])
                .to_owned();
        }
        4 if seeded.below(4) == 0 => return "$= <$=> ($)".to_owned(),
        5 => return seeded.of(&["nonsense !", "!", "...", "%", "1.2.3.4.5.6"]).to_owned(),
        _ => {}
    }
    let exclusion = seeded.of(&["", "", "", "", "!", "! "]);
    match kind {
        DatasetKind::Ip4Set | DatasetKind::Ip4Trie => format!("{exclusion}{}{}", ip4_entry(seeded), value(seeded)),
        DatasetKind::Ip4Tset => format!("{}{}", ip4_entry(seeded), value(seeded)),
        DatasetKind::Ip6Tset | DatasetKind::Ip6Trie => {
            format!("{exclusion}{}{}", ip6_entry(seeded), value(seeded))
        }
        DatasetKind::Dnset => format!("{exclusion}{}{}", name_entry(seeded), value(seeded)),
        _ => generic_line(seeded),
    }
}

/// A whole file.
fn file(kind: DatasetKind, seed: u64) -> String {
    let mut seeded = Seeded::new(seed);
    let mut lines = Vec::new();
    if seed.is_multiple_of(2) {
        lines.push("$SOA 1h ns.test admin.test 7 1h 1h 1w 10m".to_owned());
        lines.push("$NS 1d ns1.test -ns2.test ns3.test".to_owned());
    }
    if kind == DatasetKind::Combined {
        lines.push("$TTL 11m".to_owned());
        lines.push("$3 common".to_owned());
        for _ in 0..6 {
            let inner = KINDS[seeded.below(7) as usize];
            let subzones = seeded.of(&["one", "two @", "one two", "@", "deep.one # @", "one.two two", ""]);
            lines.push(format!("$DATASET {}:name {subzones}", inner.as_str()));
            lines.extend((0..12).map(|_| line(inner, &mut seeded)));
        }
    } else {
        lines.extend((0..60).map(|_| line(kind, &mut seeded)));
    }
    let mut text = lines.join("\n");
    if seed.is_multiple_of(3) {
        text.push('\n');
    }
    text
}

fn reversed(address: &str) -> String {
    Name::reversed_v6(address.parse().expect("an IPv6 address")).to_string()
}

/// A relative name that may well be listed.
fn question(kind: DatasetKind, seeded: &mut Seeded) -> String {
    let choice = match kind {
        DatasetKind::Ip4Set | DatasetKind::Ip4Tset | DatasetKind::Ip4Trie => 0,
        DatasetKind::Ip6Tset | DatasetKind::Ip6Trie => 1,
        DatasetKind::Dnset | DatasetKind::Generic => 2,
        _ => seeded.below(3),
    };
    let name = match (choice, seeded.below(12)) {
        (_, 0) => seeded
            .of(&[
                "",
                "www",
                "nothing.here",
                "0.127",
                "1.2.3.4.5",
                "300.0.0.127",
                "02.0.0.127",
            ])
            .to_owned(),
        (0, 1) => reversed(&format!("::ffff:{}", seeded.ip4())),
        (1, 1) => reversed(&format!("::ffff:7f00:{:x}", seeded.below(4))),
        (0, _) => seeded.ip4().split('.').rev().collect::<Vec<_>>().join("."),
        (1, _) => reversed(&seeded.ip6()),
        _ => seeded.name(),
    };
    let subzone = match kind {
        DatasetKind::Combined => seeded.of(&["", "one", "two", "deep.one", "one.two", "three"]),
        _ => "",
    };
    let parts = [name.as_str(), subzone].into_iter().filter(|part| !part.is_empty());
    parts.collect::<Vec<_>>().join(".")
}

fn under(relative: &str, zone: &str) -> String {
    if relative.is_empty() {
        return zone.to_owned();
    }
    format!("{relative}.{zone}")
}

/// The answer of `zone` in the form of a peer's reply.
fn local(zone: &Zone, name: &str, rtype: RecordType) -> (u16, BTreeSet<String>) {
    let name: Name = name.parse().expect("a good name");
    match zone.answer(&name, Rtype(rtype.into())) {
        ZoneAnswer::NxDomain => (3, BTreeSet::new()),
        ZoneAnswer::NoData => (0, BTreeSet::new()),
        ZoneAnswer::Refused => (5, BTreeSet::new()),
        ZoneAnswer::Records(records) => (
            0,
            records
                .iter()
                .map(|record| match &record.data {
                    Rdata::A(address) => format!("{} A {address}", record.ttl),
                    Rdata::Txt(strings) => {
                        let shown: Vec<String> = strings.iter().map(|s| s.escape_ascii().to_string()).collect();
                        format!("{} TXT {}", record.ttl, shown.join("\" \""))
                    }
                    Rdata::Mx { preference, exchange } => format!("{} MX {preference} {exchange}.", record.ttl),
                    other => format!("{} {}", record.ttl, other.rtype()),
                })
                .collect(),
        ),
    }
}

#[test]
fn the_same_files_give_the_same_answers() {
    let mut files = Vec::new();
    for kind in KINDS {
        for seed in 1..=FILES {
            files.push((format!("z{seed}.{}.test", kind.as_str()), kind, seed, file(kind, seed)));
        }
    }
    let specs: Vec<(&str, &str, &[u8])> = files
        .iter()
        .map(|(zone, kind, _, text)| (zone.as_str(), kind.as_str(), text.as_bytes()))
        .collect();
    let Some(peer) = Peer::rbldnsd(&specs) else { return };
    let parse = |origin: &str, kind: DatasetKind, text: &str| {
        let dataset = Dataset::parse(kind, origin, text.as_bytes()).expect("rbldnsd loads it");
        Zone::new(origin.parse().expect("a name"), vec![dataset])
    };
    let served = |(origin, kind, _, text): &(String, DatasetKind, u64, String)| ExtraZone {
        zone: parse(origin, *kind, text),
        conduct: Conduct::Honest,
    };
    let options = LabOptions {
        embedded: false,
        zones: files.iter().map(served).collect(),
        ..LabOptions::default()
    };
    let lab = Lab::start(options).expect("loopback can be listened on");
    let mut listed = 0;
    for (origin, kind, seed, text) in &files {
        let zone = parse(origin, *kind, text);
        let mut seeded = Seeded::new(seed + 1_000);
        for _ in 0..QUESTIONS {
            let name = under(&question(*kind, &mut seeded), origin);
            for rtype in [RecordType::A, RecordType::TXT, RecordType::MX] {
                let theirs = ask(peer.addr(), &name, rtype);
                let labs = ask(lab.addr(), &name, rtype);
                assert_eq!(
                    (labs.rcode, &labs.answers),
                    (theirs.rcode, &theirs.answers),
                    "{name} {rtype} (left: the lab's), seed {seed}, file:\n{text}"
                );
                let ours = local(&zone, &name, rtype);
                listed += usize::from(!ours.1.is_empty());
                let theirs = (theirs.rcode, theirs.answers.into_iter().collect::<BTreeSet<_>>());
                assert_eq!(ours, theirs, "{name} {rtype} (left: ours), seed {seed}, file:\n{text}");
            }
        }
    }
    assert!(listed > 1_000, "the questions find something: {listed}");
}

/// Two datasets in one zone, of both families: mapped addresses go to the IPv4 data alone.
#[test]
fn datasets_of_one_zone_answer_together() {
    let ip4: &[u8] = b"127.0.0.2 :4:four $\n10.0.0.1 :4:\n";
    let ip6: &[u8] = b"::/0 :6:six $\n";
    let names: &[u8] = b"1.0.0.10 :7:name $\n";
    let specs = [
        ("z.test", "ip4set", ip4),
        ("z.test", "ip6trie", ip6),
        ("z.test", "dnset", names),
    ];
    let Some(peer) = Peer::rbldnsd(&specs) else { return };
    let parse = |(_, kind, text): &(&str, &str, &[u8])| {
        let kind = DatasetKind::by_name(kind).expect("a kind");
        Dataset::parse(kind, "file", text).expect("rbldnsd loads it")
    };
    let zone = Zone::new("z.test".parse().expect("a name"), specs.iter().map(parse).collect());
    for relative in [
        "1.0.0.10".to_owned(),
        "2.0.0.127".to_owned(),
        reversed("::ffff:127.0.0.2"),
        reversed("::ffff:127.0.0.3"),
        reversed("2002:7f00:2::"),
        reversed("2001:db8::1"),
    ] {
        let name = under(&relative, "z.test");
        for rtype in [RecordType::A, RecordType::TXT] {
            let theirs = ask(peer.addr(), &name, rtype);
            let theirs = (theirs.rcode, theirs.answers.into_iter().collect::<BTreeSet<_>>());
            assert_eq!(local(&zone, &name, rtype), theirs, "{name} {rtype} (left: ours)");
        }
    }
}

/// The largest prefixes there are.
#[test]
fn everything_can_be_listed() {
    let kinds = ["ip4set", "ip4trie", "ip6trie"];
    let texts: [&[u8]; 3] = [
        b"0/0 :9:\n0.0.0.0-255.255.255.255\n!10/8\n10.1/16",
        b"0.0.0.0/0 :3\n!10/8\n10.1/16\n",
        b"::/0\n!8000::/1\n9000::/4\n",
    ];
    let zones: Vec<String> = kinds.iter().map(|kind| format!("{kind}.test")).collect();
    let specs: Vec<(&str, &str, &[u8])> = (0..3)
        .map(|index| (zones[index].as_str(), kinds[index], texts[index]))
        .collect();
    let Some(peer) = Peer::rbldnsd(&specs) else { return };
    let v4 = ["0.0.0.0", "255.255.255.255", "1.1.1.10", "1.1.2.10", "128.0.0.1"].map(str::to_owned);
    let v6 = ["::", "7fff::1", "8000::", "9000::1", "ffff::"].map(reversed);
    for (origin, kind, text) in &specs {
        let known = DatasetKind::by_name(kind).expect("a kind");
        let dataset = Dataset::parse(known, "file", text).expect("rbldnsd loads it");
        let zone = Zone::new(origin.parse().expect("a name"), vec![dataset]);
        for relative in v4.iter().chain(&v6) {
            let name = under(relative, origin);
            let theirs = ask(peer.addr(), &name, RecordType::A);
            let theirs = (theirs.rcode, theirs.answers.into_iter().collect::<BTreeSet<_>>());
            assert_eq!(local(&zone, &name, RecordType::A), theirs, "{name} (left: ours)");
        }
    }
}

#[test]
fn the_same_files_are_refused() {
    for (kind, text) in [
        ("combined", "10.0.0.1\n"),
        ("combined", "$DATASET combined x\n"),
        ("combined", "$DATASET nonsense x\n"),
        ("combined", "$DATASET ip4set x\nnonsense\n$DATASET\n10.0.0.1\n"),
        ("combined", "$TTL 5\n$DATASET ip4set x # y\n10.0.0.1\n"),
        ("generic", "www 3x A 192.0.2.1\n"),
        ("generic", "www MX 10\n"),
        ("generic", "www MX 10 a b\n"),
        ("generic", "www MX 70000 a\n"),
        ("generic", "www CNAME a\n"),
        ("ip4set", "$SOA nonsense\nnonsense\n"),
    ] {
        let Some(theirs) = Peer::rbldnsd_loads(kind, text.as_bytes()) else {
            return;
        };
        let known = DatasetKind::by_name(kind).expect("a kind");
        let ours = Dataset::parse(known, "file", text.as_bytes()).is_ok();
        assert_eq!(ours, theirs, "{kind}: {text}");
    }
}
