//! A comparison with pyspf on made-up mails: thousands of small worlds, each asked of both.
//!
//! `scripts/pyspf-check` asks pyspf (which `scripts/fetch-spf-suite` fetches) once for all cases: as it is, and mended where
//! it reads RFC 7208 otherwise, each mend with the section that it rests on. Every answer must be that of pyspf with all
//! the mends; how often it is also that of pyspf as it is, and which mend makes the difference otherwise, is counted.

mod spf;

#[path = "spf/fetched.rs"]
mod fetched;

use std::collections::BTreeMap;
use std::io::Write;
use std::process::{Command, Stdio};

use reputon::stages::spf::{SpfInput, check_host};
use serde::{Deserialize, Serialize};

use fetched::suite_path;
use spf::{Records, Zone, ZoneResolver, ready};

/// Cases: enough for every mend to matter, and few enough for some seconds of python.
const CASES: u64 = 6_000;

/// The stream of cases; another one with `REPUTON_SPF_SEED`.
const SEED: u64 = 7_208;

#[derive(Debug, Serialize)]
struct Case {
    zone: Zone,
    ip: String,
    helo: String,
    mailfrom: String,
}

/// What pyspf says.
#[derive(Debug, Deserialize)]
struct Theirs {
    plain: Answered,
    /// Its answers as the mends add up; empty if they change nothing.
    mended: Vec<(String, Answered)>,
}

#[derive(Debug, PartialEq, Eq, Deserialize)]
struct Answered {
    result: String,
    explanation: Option<String>,
}

#[test]
fn every_answer_is_that_of_pyspf_mended() {
    let seed = std::env::var("REPUTON_SPF_SEED")
        .ok()
        .and_then(|text| text.parse().ok());
    let mut random = Random(seed.unwrap_or(SEED));
    let cases: Vec<Case> = (0..CASES).map(|_| make_case(&mut random)).collect();
    let answers = ask_pyspf(&cases);
    assert_eq!(answers.len(), cases.len());
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    let mut agreed = 0;
    let mut unexplained = Vec::new();
    for (case, theirs) in cases.iter().zip(&answers) {
        let ours = ask_ourselves(case);
        let last = theirs.mended.last().map_or(&theirs.plain, |(_, answered)| answered);
        let kind = if ours != *last {
            unexplained.push(format!("{}\n  ours {ours:?}\n  theirs {theirs:?}", show(case)));
            "differ without a reason".to_owned()
        } else if ours == theirs.plain {
            agreed += 1;
            format!("agreed on {}", ours.result)
        } else {
            let mended = theirs.mended.iter().find(|(_, answered)| *answered == ours);
            format!("differ: {}", mended.map_or("", |(reason, _)| reason))
        };
        *counts.entry(kind).or_default() += 1;
    }
    let table: Vec<String> = counts
        .iter()
        .map(|(kind, count)| format!("{count:>6} {kind}"))
        .collect();
    let table = table.join("\n");
    std::io::stderr()
        .write_all(format!("{table}\n").as_bytes())
        .expect("standard error is open");
    let shown = unexplained.iter().take(3).cloned().collect::<Vec<_>>().join("\n");
    assert!(
        unexplained.is_empty(),
        "{} without a reason\n{shown}",
        unexplained.len()
    );
    assert!(agreed > CASES * 4 / 5, "too few agreements to mean anything");
}

fn ask_ourselves(case: &Case) -> Answered {
    let resolver = ZoneResolver::new(&case.zone);
    let ip = case.ip.parse().expect("a good address");
    let result = ready(check_host(&resolver, &SpfInput::new(ip, &case.helo, &case.mailfrom)));
    Answered {
        result: result.result.to_string(),
        explanation: result.explanation,
    }
}

fn ask_pyspf(cases: &[Case]) -> Vec<Theirs> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/pyspf-check");
    let mut child = Command::new("python3")
        .arg(script)
        .arg(suite_path().with_file_name("spf.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python3 runs");
    // The script reads everything before it writes anything, so this cannot lock up.
    let mut input = child.stdin.take().expect("piped");
    serde_json::to_writer(&mut input, cases).expect("the script reads its input");
    drop(input);
    let output = child.wait_with_output().expect("the script ends");
    assert!(output.status.success(), "scripts/pyspf-check failed");
    serde_json::from_slice(&output.stdout).expect("the script's answers")
}

/// A case as a person reads it.
fn show(case: &Case) -> String {
    let mut names: Vec<&String> = case.zone.keys().collect();
    names.sort();
    let lines: Vec<String> = names
        .iter()
        .map(|name| format!("  {name} {:?}", case.zone[*name]))
        .collect();
    format!(
        "{} helo={} from={}\n{}",
        case.ip,
        case.helo,
        case.mailfrom,
        lines.join("\n")
    )
}

/// SplitMix64: small, seeded, the same on every machine.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound as u64).expect("below a usize")
    }

    /// True `percent` times in a hundred.
    fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }
}

const CLIENTS: &[&str] = &[
    "192.0.2.1",
    "192.0.2.77",
    "198.51.100.9",
    "2001:db8::1",
    "2001:db8:0:1::9",
];
const DOMAINS: &[&str] = &["a.test", "b.test", "sub.a.test", "c.test", "d.example.test"];
const HOSTS: &[&str] = &["h1.a.test", "h2.a.test", "h3.b.test", "mail.c.test"];
const ALIASES: &[&str] = &["www.a.test", "www.b.test"];
const GONE: &[&str] = &["gone.test", "x.gone.test"];
const ADDRESSES: &[&str] = &["192.0.2.1", "192.0.2.78", "198.51.100.9", "203.0.113.5"];
const ADDRESSES6: &[&str] = &["2001:db8::1", "2001:db8:0:1::8", "2001:db8:ffff::1"];

fn make_case(random: &mut Random) -> Case {
    let mut zone = Zone::new();
    for &host in HOSTS {
        zone.insert(host.to_owned(), make_host(random));
    }
    for &domain in DOMAINS {
        let mut records = make_host(random);
        if !random.chance(8) {
            records.txt.push(vec![make_record(random)]);
        }
        if random.chance(3) {
            records.txt.push(vec!["v=spf1 ?all".to_owned()]);
        }
        if random.chance(10) {
            records.txt.push(vec!["some other text".to_owned()]);
        }
        for preference in 0..random.below(4) {
            let host = if random.chance(10) {
                random.pick(GONE)
            } else {
                random.pick(HOSTS)
            };
            let preference = u16::try_from(preference).expect("small");
            records.mx.push((preference, host.to_owned()));
        }
        zone.insert(domain.to_owned(), records);
    }
    let mut explanation = Records::default();
    explanation.txt.push(vec![random.pick(EXPLANATIONS).to_owned()]);
    zone.insert("why.test".to_owned(), explanation);
    zone.insert("ok.192.0.2.1.test".to_owned(), make_host(random));
    zone.insert("1.2.0.192.in-addr.list.test".to_owned(), make_host(random));
    for &alias in ALIASES {
        let mut records = Records::default();
        let targets = if random.chance(70) { HOSTS } else { GONE };
        records.cname.push(random.pick(targets).to_owned());
        zone.insert(alias.to_owned(), records);
    }
    let ip = random.pick(CLIENTS);
    if random.chance(70) {
        let mut names = Records::default();
        for _ in 0..=random.below(2) {
            names.ptr.push(random.pick(HOSTS).to_owned());
        }
        zone.insert(reverse(ip), names);
    }
    let domain = random.pick(DOMAINS);
    let mailfrom = match random.below(8) {
        0 => String::new(),
        1 => format!("first-second+tag@{domain}"),
        _ => format!("user@{domain}"),
    };
    Case {
        zone,
        ip: ip.to_owned(),
        helo: random
            .pick(&["h1.a.test", "mail.c.test", "a.test", "m-x.a.test", "localhost"])
            .to_owned(),
        mailfrom,
    }
}

fn reverse(ip: &str) -> String {
    reputon::wire::Name::reverse(ip.parse().expect("a good address")).to_string()
}

fn make_host(random: &mut Random) -> Records {
    let mut records = Records::default();
    for _ in 0..random.below(3) {
        records.a.push(random.pick(ADDRESSES).to_owned());
    }
    for _ in 0..random.below(3) {
        records.aaaa.push(random.pick(ADDRESSES6).to_owned());
    }
    records.timeout = random.chance(3);
    records
}

const EXPLANATIONS: &[&str] = &[
    "go away",
    "%{i} is not one of %{d}",
    "see http://why.test/?s=%{S}&h=%{h}",
    "%{l} of %{o} via %{c} at %{r}",
    "bad %{x}",
    "100%",
    "a%_b%%c%-d",
    "%{ir}.%{v} %{p}",
    "%{o1r+} %{d2-} %{L-} %{HR-.}",
    "%{s1-+} %{c9.} %{lr-}",
    "%{i2r.}",
];

fn make_record(random: &mut Random) -> String {
    if random.chance(1) {
        let terms = " -a:h1.a.test".repeat(8 + random.below(4));
        return format!("v=spf1 redirect={}{terms} ?all", random.pick(DOMAINS));
    }
    let mut record = random.pick(&["v=spf1", "v=spf1", "v=spf1", "V=SPF1"]).to_owned();
    // Now and then enough terms to come near the limits.
    let terms = if random.chance(6) {
        7 + random.below(6)
    } else {
        random.below(6)
    };
    for _ in 0..terms {
        record.push_str(random.pick(&[" ", " ", " ", "  "]));
        record.push_str(&make_term(random));
    }
    if random.chance(60) {
        record.push_str(random.pick(&[" -all", " ~all", " ?all", " +all", " all", " -ALL"]));
    }
    if random.chance(15) {
        wound(random, &mut record);
    }
    record
}

/// One character somewhere behind the version put in, taken out or changed.
fn wound(random: &mut Random, record: &mut String) {
    let mut octets: Vec<u8> = record.bytes().collect();
    if octets.len() <= 7 {
        return;
    }
    let at = 7 + random.below(octets.len() - 7);
    let octet = random.pick(b"%%{}}{::/=.-+~?a1r,_@0Xd!\t\x7f");
    match random.below(3) {
        0 => octets[at] = octet,
        1 => octets.insert(at, octet),
        _ => drop(octets.remove(at)),
    }
    *record = octets.into_iter().map(char::from).collect();
}

fn make_term(random: &mut Random) -> String {
    if random.chance(4) {
        return random.pick(BAD_TERMS).to_owned();
    }
    let sign = random.pick(&["", "", "", "+", "-", "~", "?"]);
    let term = match random.below(12) {
        0 | 1 => format!(
            "ip4:{}{}",
            random.pick(ADDRESSES),
            random.pick(&["", "", "/24", "/32", "/25", "/0"])
        ),
        2 => format!(
            "ip6:{}{}",
            random.pick(ADDRESSES6),
            random.pick(&["", "/64", "/128", "/33"])
        ),
        3 | 4 => format!("a{}{}", make_domain(random, true), random.pick(PREFIXES)),
        5 => format!("mx{}{}", make_domain(random, true), random.pick(PREFIXES)),
        6 if random.chance(70) => format!("include:{}", random.pick(DOMAINS)),
        6 => format!("include{}", make_domain(random, false)),
        7 => format!("a:{}", random.pick(HOSTS)),
        8 => format!("exists{}", make_domain(random, false)),
        9 => format!("ptr{}", make_domain(random, true)),
        10 if random.chance(70) => return format!("redirect={}", random.pick(DOMAINS)),
        10 => return format!("redirect={}", &make_domain(random, false)[1..]),
        _ => {
            return random
                .pick(&["exp=why.test", "exp=why.test", "exp=gone.test", "x-y=%{d}/z"])
                .to_owned();
        }
    };
    format!("{sign}{term}")
}

const PREFIXES: &[&str] = &["", "", "", "/24", "//64", "/24//64", "/0", "//0"];

/// A colon and a domain, or nothing.
fn make_domain(random: &mut Random, optional: bool) -> String {
    if optional && random.chance(30) {
        return String::new();
    }
    let domain = match random.below(10) {
        0..=2 => random.pick(DOMAINS),
        3..=5 => random.pick(HOSTS),
        6 => random.pick(ALIASES),
        7 if random.chance(50) => random.pick(GONE),
        _ => random.pick(MACROS),
    };
    format!(":{domain}")
}

const MACROS: &[&str] = &[
    "%{d}",
    "%{o}",
    "%{h}",
    "%{d2}",
    "%{d1r}.test",
    "sub.%{d2}",
    "ok.%{i}.test",
    "%{ir}.%{v}.list.test",
    "%{l1-}.a.test",
    "%{p}",
    "%{p2}",
    "%{d-}",
    "%{s-}.a.test",
    "%{hr.-}.test",
    "%{ir.}.%{v}.list.test",
    "x.%{i1}.%{d200r/+}",
    "h1.%{d}.",
];

const BAD_TERMS: &[&str] = &[
    "moo",
    "a:",
    "a:%{x}.test",
    "ip4:1.2.3",
    "ip4:192.0.2.1/33",
    "ip6:2001:db8::/129",
    "include",
    "exp=",
    "redirect:a.test",
    "a:museum",
    "a:192.0.2.1",
    "-all:x",
    "mx/24/64",
    "foo=%",
    "ptr/24",
];
