//! Writing reports of a /16: 65,536 addresses on the built-in default lists, of which 5,000 are listed, each with names and
//! an origin. What must hold: the page is under 8 MB and written in under 3 s.
//!
//! Sketch: a page has the listed targets in full and the others as cells of a map, so that its size follows the listings;
//! the writer sees every dossier once, and is to be no slower than a scan at full speed hands them out (a /16 on one list
//! takes a quarter of a second).

use std::io::{self, Write};
use std::net::Ipv4Addr;

use divan::Bencher;
use divan::counter::ItemsCount;
use reputon::dnsxl::{Catalogue, How, ListIndex, Listing, Observation, ReturnCodes, Role, Tier};
use reputon::dossier::{Dossier, Observed};
use reputon::report::{Format, HtmlSink, Judged, ListRecord, Options, RunEnd, RunHead, RunRecord, Sink};
use reputon::targets::{Kind, Target};
use reputon::verdict::{Judge, Weights};
use serde_json::json;

/// Addresses of a /16.
const ADDRESSES: u32 = 1 << 16;

/// Every thirteenth address is listed: 5,041.
const LISTED_EACH: u32 = 13;

fn main() {
    let block = Block::new();
    let mut page = Vec::new();
    block.write(HtmlSink::new(
        &mut page,
        tempfile::tempfile().expect("a temporary file"),
    ));
    eprintln!("the page has {} octets", page.len());
    divan::main();
}

/// What is reported.
struct Block {
    catalogue: Catalogue,
    dossiers: Vec<Dossier>,
}

impl Block {
    fn new() -> Block {
        let (catalogue, _) = Catalogue::load(true, &[]).expect("the built-in catalogue is good");
        let selected = catalogue.select(&["default".to_owned()]).expect("there is a default");
        let takes = |list: &ListIndex| catalogue.list(*list).kinds.contains(&Kind::Ip4);
        let lists: Vec<ListIndex> = selected.into_iter().filter(takes).collect();
        let dossiers = (0..ADDRESSES).map(|at| dossier(&catalogue, &lists, at)).collect();
        Block { catalogue, dossiers }
    }

    fn write(&self, mut sink: impl Sink) {
        let judge = Judge::new(&self.catalogue, Weights::default());
        let head = RunHead {
            started: jiff::Timestamp::UNIX_EPOCH,
        };
        sink.begin(&head).expect("written");
        for dossier in &self.dossiers {
            let judged = Judged {
                catalogue: &self.catalogue,
                dossier,
                judgement: &judge.judge(dossier),
            };
            sink.target(&judged).expect("written");
        }
        let first = &self.dossiers[0];
        let lists = first.observations.iter();
        let lists: Vec<ListRecord> = lists.map(|one| ListRecord::new(&self.catalogue, one.list)).collect();
        let run = RunRecord {
            targets: u64::from(ADDRESSES),
            planned: u64::from(ADDRESSES),
            answered: u64::from(ADDRESSES),
            complete: 1.0,
            ..RunRecord::default()
        };
        let end = RunEnd {
            catalogue: &self.catalogue,
            run: &run,
            lists: &lists,
            audit: None,
            changes: None,
        };
        sink.finish(&end).expect("written");
    }
}

/// An address with names and an origin, on one to three lists if it is a listed one.
fn dossier(catalogue: &Catalogue, lists: &[ListIndex], at: u32) -> Dossier {
    let address = Ipv4Addr::from(0xc612_0000 + at);
    let on = |place: usize| {
        let spread = (at / LISTED_EACH) as usize;
        at.is_multiple_of(LISTED_EACH) && (0..=spread % 3).any(|more| (spread + 7 * more) % lists.len() == place)
    };
    let observed = lists.iter().enumerate().map(|(place, &list)| Observed {
        list,
        observation: match on(place) {
            true => listing(catalogue, list, address),
            false => Observation::NotListed,
        },
        how: How::Asked,
    });
    let [_, _, c, d] = address.octets();
    let name = format!("host-{d}-{c}.pool.example-hosting.test");
    Dossier {
        target: Target::Ip4(address),
        special_use: None,
        observations: observed.collect(),
        stages: vec![
            (
                "rdns",
                json!({"iprev": "pass", "domain": "example-hosting.test",
                       "names": [{"name": name, "class": "generic", "confirmed": true}]}),
            ),
            (
                "asn",
                json!({"asn": 64500, "name": "EXAMPLE-HOSTING", "prefixes": [{"prefix": "198.18.0.0/16"}]}),
            ),
        ],
        findings: Vec::new(),
        revision: 1,
    }
}

fn listing(catalogue: &Catalogue, list: ListIndex, address: Ipv4Addr) -> Observation {
    let facts = catalogue.list(list);
    Observation::Listed(Box::new(Listing {
        codes: ReturnCodes::shared(vec![[127, 0, 0, 2].into()], vec!["sends spam, or did lately".into()]),
        role: if facts.tier == Tier::W { Role::Allow } else { facts.role },
        tier: facts.tier,
        reason: Some(format!(
            "Listed since 2026-11-01, see https://{}/lookup?ip={address}",
            facts.zone
        )),
        ttl: 2_100,
        reason_cut: false,
        partial: false,
    }))
}

/// The page.
#[divan::bench(max_time = 3)]
fn html(bencher: Bencher<'_, '_>) {
    let block = Block::new();
    let spool = || tempfile::tempfile().expect("a temporary file");
    bencher
        .counter(ItemsCount::new(ADDRESSES))
        .with_inputs(spool)
        .bench_values(|spool| block.write(HtmlSink::new(Nowhere, spool)));
}

/// Every other form of a file.
#[divan::bench(max_time = 3, args = [Format::ListingsCsv, Format::TargetsCsv, Format::Jsonl, Format::Json, Format::Markdown])]
fn file(bencher: Bencher<'_, '_>, format: &Format) {
    let block = Block::new();
    let options = Options::default();
    bencher.counter(ItemsCount::new(ADDRESSES)).bench(|| {
        let sink = format
            .sink(Box::new(Nowhere), None, &options)
            .expect("a temporary file");
        block.write(Boxed(sink));
    });
}

/// A sink behind a box.
struct Boxed(Box<dyn Sink>);

impl Sink for Boxed {
    fn begin(&mut self, head: &RunHead) -> io::Result<()> {
        self.0.begin(head)
    }

    fn target(&mut self, judged: &Judged<'_>) -> io::Result<()> {
        self.0.target(judged)
    }

    fn finish(&mut self, end: &RunEnd<'_>) -> io::Result<()> {
        self.0.finish(end)
    }
}

/// A file that costs nothing.
struct Nowhere;

impl Write for Nowhere {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        Ok(divan::black_box(octets).len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
