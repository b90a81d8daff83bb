//! Pruning that is found to be false, in virtual time, seed by seed: parts of a run are cut off at any dossier, stopped at any
//! moment, and run out of their operator's budget; and each time, what was said last of a target is true or unknown, once a
//! contradiction has been seen, and counted as what it is. A failure names its seed.
//!
//! The world: most /24s are empty. Some have entries and a parent that exists, some have one entry and a parent that is denied
//! all the same. In the last ones everything is listed below parents that are denied: nobody gets past them without noticing.

use std::cell::Cell;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use reputon::clock::{Instant, Span};
use reputon::datagram::{Batch, Port, Received, TcpFailure, TcpKey, TcpQuery};
use reputon::dnsxl::{Catalogue, How, ListIndex, Observation};
use reputon::dossier::{Dossier, Doubts, Journal, NoJournal, Observed, Standing, is_taken_back};
use reputon::plan::{Keys, Plan, RunLedger};
use reputon::scan::{
    Memory, Network, Order, Progress, Receiver, RunReport, Scan, ScanError, ScanOptions, Snapshot, Stop, TILES_MAX,
};
use reputon::targets::{ReadOptions, Target, TargetSet};

/// More tiles than are open at a time, so that the first ones are handed out before the last ones are opened.
const TARGETS: [&str; 2] = ["198.18.0.0/16", "198.19.0.0/21"];
const BLOCKS: u64 = 256 + 8;
const ALL: u64 = BLOCKS * 256;

/// Blocks at the end in which everything is listed.
const SURE: u64 = 2;

/// Parts in which a run must have come to its end.
const PARTS_MAX: usize = 60;

/// The number of an address' /24, from the first target on.
fn block_of(address: Ipv4Addr) -> u64 {
    u64::from((u32::from(address) - u32::from(Ipv4Addr::new(198, 18, 0, 0))) >> 8)
}

/// How a /24 of the world is.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Block {
    Empty,
    Honest,
    /// The entry, and the parent is denied.
    Lies(u8),
    /// All are entries, and the parent is denied.
    Sure,
}

fn block(seed: u64, number: u64) -> Block {
    let mut rng = StdRng::seed_from_u64(seed << 20 ^ number);
    match rng.random_range(0..100) {
        _ if number >= BLOCKS => Block::Empty,
        _ if number >= BLOCKS - SURE => Block::Sure,
        0..2 => Block::Honest,
        2..7 => Block::Lies(rng.random()),
        _ => Block::Empty,
    }
}

fn is_listed(seed: u64, address: Ipv4Addr) -> bool {
    let last = address.octets()[3];
    match block(seed, block_of(address)) {
        Block::Empty => false,
        Block::Honest => last % 64 == 7,
        Block::Lies(entry) => last == entry,
        Block::Sure => true,
    }
}

/// A reply: when it comes, its number, the port and the octets.
type Coming = (Instant, u64, u16, Vec<u8>);

/// The server: 2 to 3 ms away, one packet in a hundred is lost.
struct Net {
    seed: u64,
    now: Instant,
    ports: u16,
    order: u64,
    coming: BinaryHeap<Reverse<Coming>>,
    sent: u64,
    rng: StdRng,
    /// Tiles recalled since packets were taken last.
    recalled: Arc<AtomicUsize>,
}

fn server() -> SocketAddr {
    SocketAddr::from(([203, 0, 113, 53], 53))
}

impl Net {
    fn new(seed: u64, part: usize) -> Net {
        Net {
            seed,
            now: Instant::ZERO,
            ports: 0,
            order: 0,
            coming: BinaryHeap::new(),
            sent: 0,
            rng: StdRng::seed_from_u64(seed << 8 ^ part as u64 ^ 0x6e65_7400_0000),
            recalled: Arc::default(),
        }
    }

    fn answer(&self, query: &[u8]) -> Vec<u8> {
        let (mut at, mut numbers) = (12, Vec::new());
        while query[at] != 0 {
            let label = &query[at + 1..at + 1 + usize::from(query[at])];
            numbers.extend(
                std::str::from_utf8(label)
                    .ok()
                    .and_then(|label| label.parse::<u8>().ok()),
            );
            at += 1 + label.len();
        }
        numbers.reverse();
        let (listed, exists) = match *numbers {
            [127, 0, 0, 2] => (true, true),
            [127] | [127, 0] | [127, 0, 0] => (false, true),
            [198, second @ 18..20, third, last] => {
                let listed = is_listed(self.seed, Ipv4Addr::new(198, second, third, last));
                (listed, listed)
            }
            [198, second @ 18..20, third] => {
                let number = block_of(Ipv4Addr::new(198, second, third, 0));
                (false, block(self.seed, number) == Block::Honest)
            }
            _ => (false, false),
        };
        let mut reply = query[..at + 5].to_vec();
        (reply[2], reply[3]) = (reply[2] | 0x84, if exists { 0 } else { 3 });
        (reply[7], reply[11]) = (u8::from(listed), 0);
        if listed {
            reply.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 127, 0, 0, 2]);
        }
        reply
    }
}

impl Network for Net {
    fn now(&self) -> Instant {
        self.now
    }

    fn open_port(&mut self, _: SocketAddr, _: bool) -> io::Result<Port> {
        self.ports += 1;
        Ok(Port(self.ports - 1))
    }

    fn send(&mut self, batch: &Batch) {
        for cell in batch.as_slice() {
            self.sent += 1;
            if self.rng.random_bool(0.01) {
                continue;
            }
            let at = self.now + Span::from_micros(self.rng.random_range(2_000..3_000));
            self.order += 1;
            let reply = self.answer(cell.octets());
            self.coming.push(Reverse((at, self.order, cell.port.0, reply)));
        }
    }

    fn receive(&mut self, deliver: &mut dyn FnMut(Received<'_>)) -> usize {
        self.recalled.store(0, Ordering::Relaxed);
        let mut count = 0;
        while self.coming.peek().is_some_and(|Reverse((at, ..))| *at <= self.now) {
            let Some(Reverse((_, _, port, octets))) = self.coming.pop() else {
                break;
            };
            deliver(Received {
                port: Port(port),
                from: server(),
                octets: &octets,
            });
            count += 1;
        }
        count
    }

    fn ask_tcp(&mut self, query: TcpQuery) -> Result<(), TcpKey> {
        Err(query.key) // nothing is cut short
    }

    fn poll_tcp(&mut self) -> Option<(TcpKey, Result<Vec<u8>, TcpFailure>)> {
        None
    }

    fn wait(&mut self, until: Instant) {
        let next = self.coming.peek().map_or(Instant::FAR, |Reverse((at, ..))| *at);
        let next = next.min(until).min(self.now + Span::from_millis(100));
        self.now = next.max(self.now + Span::from_micros(1));
        assert!(
            self.now < Instant::ZERO + Span::from_secs(3_600),
            "the run does not end"
        );
    }
}

/// A journal in memory. What it was given it has, whatever becomes of the run.
#[derive(Default)]
struct Kept {
    tiles: BTreeMap<u32, Vec<Dossier>>,
    adding: Vec<Dossier>,
    doubts: Doubts,
    /// Tiles recalled since packets were taken last, and the most of them.
    recalled: Arc<AtomicUsize>,
    most_recalled: usize,
}

impl Journal for Kept {
    fn recall(&mut self, tile: u32) -> Option<Vec<Dossier>> {
        let count = self.recalled.fetch_add(1, Ordering::Relaxed) + 1;
        self.most_recalled = self.most_recalled.max(count);
        self.tiles.get(&tile).cloned()
    }

    fn examined(&mut self, _: ListIndex, _: &Standing) {}

    fn add(&mut self, dossier: &Dossier) {
        self.adding.push(dossier.clone());
    }

    fn close(&mut self, _: Instant, tile: u32) {
        self.tiles.insert(tile, std::mem::take(&mut self.adding));
    }

    fn turn(&mut self, _: Instant) -> Option<Instant> {
        None
    }

    fn doubt(&mut self, doubts: &Doubts) {
        self.doubts = doubts.clone();
    }

    fn doubts(&self) -> Doubts {
        self.doubts.clone()
    }

    fn remembers(&self) -> bool {
        true
    }
}

/// The last words on each target, and how often they were revised.
struct Judge {
    seed: u64,
    last: HashMap<Target, Dossier>,
    in_order: Vec<Dossier>,
    revised: u64,
    /// Words after which the run is cut off.
    left: Cell<u64>,
}

impl Judge {
    fn spend(&self) -> io::Result<()> {
        match self.left.get().checked_sub(1) {
            Some(left) => self.left.set(left),
            None => return Err(io::Error::other("cut off")),
        }
        Ok(())
    }

    /// Last words in which something is said not to be listed that is.
    fn false_clean(&self) -> usize {
        let listed = |target: &Target| match target {
            Target::Ip4(address) => is_listed(self.seed, *address),
            _ => unreachable!("addresses alone"),
        };
        let clean = |dossier: &Dossier| {
            dossier
                .observations
                .iter()
                .any(|one| one.observation == Observation::NotListed)
        };
        self.last
            .values()
            .filter(|word| listed(&word.target) && clean(word))
            .count()
    }

    fn count(&self, list: usize, which: impl Fn(&Observation) -> bool) -> u64 {
        self.last
            .values()
            .filter(|word| which(&word.observations[list].observation))
            .count() as u64
    }

    /// The report counts what was said last; input order and the journal have it.
    fn holds(&self, report: &RunReport, journal: &Kept) {
        for (at, list) in report.lists.iter().enumerate() {
            assert_eq!(
                list.listed,
                self.count(at, |seen| matches!(seen, Observation::Listed(_)))
            );
            assert_eq!(list.not_listed, self.count(at, |seen| *seen == Observation::NotListed));
            let unknown = self.count(at, |seen| matches!(seen, Observation::Unknown(_)));
            assert_eq!(list.unknown, unknown + report.unreached);
            let words = self.last.values();
            let taken_back = words.filter(|word| is_taken_back(&word.observations[at])).count() as u64;
            assert_eq!(list.unproved, taken_back);
        }
        let pruned = self.last.values().flat_map(|word| &word.observations);
        let pruned = pruned.filter(|one| one.how == How::Pruned && one.observation == Observation::NotListed);
        assert_eq!(report.pruned, pruned.count() as u64);
        if !journal.doubts.is_empty() {
            assert_eq!(
                (report.pruned, self.false_clean()),
                (0, 0),
                "nothing rests on what is in doubt"
            );
        }
        for dossier in self.last.values() {
            let Target::Ip4(address) = dossier.target else { continue };
            let listed = |one: &Observation| matches!(one, Observation::Listed(_));
            let said = dossier.observations.iter().any(|one| listed(&one.observation));
            assert!(!said || is_listed(self.seed, address), "false listing of {address}");
        }
        assert!(self.in_order.iter().is_sorted_by_key(|dossier| match dossier.target {
            Target::Ip4(address) => u32::from(address),
            _ => unreachable!("addresses alone"),
        }));
        let kept: Vec<&Dossier> = journal.tiles.values().flatten().collect();
        assert_eq!(kept.len(), self.last.len());
        assert!(kept.into_iter().all(|dossier| self.last[&dossier.target] == *dossier));
        assert_eq!(self.in_order.len(), self.last.len());
        assert!(
            self.in_order
                .iter()
                .all(|dossier| self.last[&dossier.target] == *dossier)
        );
    }
}

impl Receiver for Judge {
    fn take(&mut self, dossier: &Dossier, order: Order) -> io::Result<()> {
        self.spend()?;
        match order {
            Order::AsClosed => {
                let before = self.last.insert(dossier.target.clone(), dossier.clone());
                assert!(before.is_none(), "{dossier:?} is said twice");
            }
            Order::Input => self.in_order.push(dossier.clone()),
        }
        Ok(())
    }

    fn revise(&mut self, before: &Dossier, after: &Dossier) -> io::Result<()> {
        self.spend()?;
        let last = self.last.insert(after.target.clone(), after.clone());
        assert_eq!(last.as_ref(), Some(before));
        assert_eq!(after.revision, before.revision + 1);
        self.revised += 1;
        Ok(())
    }

    fn start_over(&mut self) -> io::Result<()> {
        self.in_order.clear();
        Ok(())
    }

    fn wants_input_order(&self) -> bool {
        true
    }
}

struct Unwatched;

impl Progress for Unwatched {
    fn show(&mut self, _: &Snapshot) {}
}

/// How a part of a run may end before its time.
#[derive(Debug, Clone, Copy, Default)]
struct Cut {
    /// After so many words.
    words: Option<u64>,
    /// At this moment.
    stop: Option<Span>,
}

fn catalogue(composite: bool, budget: Option<u64>) -> Catalogue {
    let budget = budget.map_or(String::new(), |budget| format!("max_queries_per_day = {budget}\n"));
    let list = |id: &str, more: &str| {
        format!(
            "[[list]]\nid = \"{id}\"\nzone = \"{id}.sim.test\"\nkinds = [\"ip4\"]\nrole = \"block\"\ntier = \"B\"\ntxt = false\n\
             {more}"
        )
    };
    let codes = "covers = [\"part\"]\n[list.codes]\n\"127.0.0.2\" = { means = \"seen\", sublist = \"part\" }\n";
    let mut text = format!(
        "[operator]\nid = \"o\"\nname = \"O\"\nchecked = 2026-11-23\n[operator.terms]\nuse = \"free\"\n{budget}{}",
        list("whole", if composite { codes } else { "" })
    );
    if composite {
        text += &list("part", "");
    }
    Catalogue::parse(&[("o.toml", &text)]).expect("a good catalogue")
}

/// One part of a run, of the whole if nothing cuts it off.
fn part(
    (seed, number): (u64, usize),
    catalogue: &Catalogue,
    cut: Cut,
    journal: &mut (dyn Journal + Send),
) -> (Judge, Result<RunReport, ScanError>) {
    let typed = TARGETS.map(str::to_owned);
    let targets = TargetSet::read(&typed, &mut io::empty(), ReadOptions::default()).expect("good targets");
    let lists: Vec<ListIndex> = catalogue.indexed().map(|(index, _)| index).collect();
    let plan = Plan::new(catalogue, &targets, &lists, &Keys::new());
    let routes = ["whole", "part"].map(|id| (format!("{id}.sim.test").parse().expect("a name"), server()));
    let options = ScanOptions {
        routes: routes.into(),
        prune: true,
        max_time: cut.stop,
        seed,
        ..ScanOptions::default()
    };
    let mut judge = Judge {
        seed,
        last: HashMap::new(),
        in_order: Vec::new(),
        revised: 0,
        left: Cell::new(cut.words.unwrap_or(u64::MAX)),
    };
    let mut entropy = [0; 32];
    StdRng::seed_from_u64(seed << 8 ^ number as u64).fill(&mut entropy);
    let scan = Scan {
        plan: &plan,
        options: &options,
    };
    let memory = Memory {
        journal,
        ledger: &mut RunLedger::default(), // another part is another day
    };
    let mut network = Net::new(seed, number);
    let watchers = (
        &mut judge as &mut (dyn Receiver + Send),
        &mut Unwatched as &mut (dyn Progress + Send),
    );
    let report = scan.run_with(&mut network, entropy, watchers, &Stop::new(), memory);
    (judge, report)
}

fn each_seed(count: u64, check: impl Fn(u64)) {
    let alone = std::env::var("REPUTON_SEED").ok();
    let alone = alone.map(|text| text.parse().expect("REPUTON_SEED is a number"));
    for seed in alone.map_or(0..count, |seed| seed..seed + 1) {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| check(seed))) {
            eprintln!("seed {seed} fails");
            std::panic::resume_unwind(panic);
        }
    }
}

/// Of a thousand tiles that an earlier part has learnt by asking, none is in doubt: they are passed over a window at a time, with
/// packets taken in between.
#[test]
fn tiles_without_doubt_are_passed_over_by_and_by() {
    let typed = ["198.18.0.0/15".to_owned(), "198.20.0.0/15".to_owned()];
    let targets = TargetSet::read(&typed, &mut io::empty(), ReadOptions::default()).expect("good targets");
    let catalogue = catalogue(false, None);
    let lists: Vec<ListIndex> = catalogue.indexed().map(|(index, _)| index).collect();
    let plan = Plan::new(&catalogue, &targets, &lists, &Keys::new());
    let options = ScanOptions {
        routes: vec![("whole.sim.test".parse().expect("a name"), server())],
        prune: true,
        ..ScanOptions::default()
    };
    let mut network = Net::new(0, 0);
    let mut journal = Kept {
        recalled: Arc::clone(&network.recalled),
        ..Kept::default()
    };
    for (number, chunk) in (0..).zip(targets.chunks()).skip(BLOCKS as usize) {
        let dossiers = chunk.iter().map(|target| Dossier {
            target,
            special_use: None,
            observations: vec![Observed {
                list: lists[0],
                observation: Observation::NotListed,
                how: How::Asked,
            }],
            stages: Default::default(),
            findings: Vec::new(),
            revision: 1,
        });
        journal.tiles.insert(number, dossiers.collect());
    }
    let memory = Memory {
        journal: &mut journal,
        ledger: &mut RunLedger::default(),
    };
    let scan = Scan {
        plan: &plan,
        options: &options,
    };
    let watchers = (
        &mut () as &mut (dyn Receiver + Send),
        &mut Unwatched as &mut (dyn Progress + Send),
    );
    let report = scan.run_with(&mut network, [0; 32], watchers, &Stop::new(), memory);
    let report = report.expect("nothing of our own fails");
    assert_eq!((report.pruned, report.answered), (0, targets.len()));
    assert!(!journal.doubts.is_empty(), "there was something to undo");
    assert!(journal.most_recalled <= TILES_MAX, "{}", journal.most_recalled);
}

/// Everything is known, and as it is.
fn is_true(judge: &Judge, report: &RunReport) {
    assert_eq!((report.stopped, report.unreached), (None, 0));
    let lists = report.lists.len() as u64;
    assert_eq!((report.planned, report.answered), (ALL * lists, ALL * lists));
    assert_eq!((judge.false_clean(), report.pruned), (0, 0));
    assert!(report.lists.iter().all(|list| list.unproved == 0));
}

#[test]
fn an_undisturbed_run_says_the_truth_in_the_end() {
    each_seed(3, |seed| {
        for composite in [false, true] {
            let mut journal = Kept::default();
            let catalogue = catalogue(composite, None);
            let (judge, report) = part((seed, 0), &catalogue, Cut::default(), &mut journal);
            let report = report.expect("nothing of our own fails");
            judge.holds(&report, &journal);
            is_true(&judge, &report);
        }
    });
}

/// Without a journal nothing is taken back; how much is wrong at most, is said.
#[test]
fn what_cannot_be_recalled_is_counted() {
    each_seed(4, |seed| {
        let (judge, report) = part((seed, 0), &catalogue(false, None), Cut::default(), &mut NoJournal);
        let report = report.expect("nothing of our own fails");
        let unproved = report.lists[0].unproved;
        assert_eq!((judge.revised, unproved), (0, report.pruned));
        assert!(judge.false_clean() as u64 <= unproved);
    });
}

/// Parts that are cut off as by `kill -9`, or told to stop, until one gets through.
#[test]
fn whatever_cuts_it_off_the_next_part_goes_on() {
    each_seed(4, |seed| {
        let mut rng = StdRng::seed_from_u64(seed ^ 0x6375_7400);
        let catalogue = catalogue(seed % 2 == 1, None);
        let mut journal = Kept::default();
        let mut done = false;
        for number in 0..PARTS_MAX {
            let cut = match rng.random_range(0..if number < 8 { 2 } else { 3 }) {
                0 => Cut {
                    words: Some(rng.random_range(0..ALL * 3)),
                    ..Cut::default()
                },
                1 => Cut {
                    // Before the first tile is opened, too.
                    stop: Some(Span::from_millis(rng.random_range(1..[15, 3_000][number % 2]))),
                    ..Cut::default()
                },
                _ => Cut::default(),
            };
            let (judge, report) = part((seed, number), &catalogue, cut, &mut journal);
            journal.adding.clear();
            let Ok(report) = report else { continue };
            judge.holds(&report, &journal);
            if report.stopped.is_none() {
                is_true(&judge, &report);
                done = true;
                break;
            }
        }
        assert!(done, "{PARTS_MAX} parts do not get through");
    });
}

/// The operator's day is over before what is in doubt has been asked: it is unproved, until days later it is not.
#[test]
fn beyond_the_budget_it_waits_for_another_day() {
    each_seed(2, |seed| {
        let catalogue = catalogue(false, Some(30_000));
        let mut journal = Kept::default();
        let mut days = 0;
        loop {
            let (judge, report) = part((seed, days), &catalogue, Cut::default(), &mut journal);
            let report = report.expect("nothing of our own fails");
            judge.holds(&report, &journal);
            days += 1;
            assert!(days < 10, "{days} days do not suffice");
            if report.lists[0].unknown == 0 {
                is_true(&judge, &report);
                break;
            }
            assert!(days > 1 || report.lists[0].unproved > 1_000, "{:?}", report.lists[0]);
        }
        assert!(days > 2, "a day's budget does not suffice");
    });
}
