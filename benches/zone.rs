//! Zone data of a million IPv4 entries: loading it, up to the first verdict; verdicts (is it listed, and with which code); and
//! the observations that a scan makes of them, with the meaning and the reason of each listing.

use std::hint::black_box;
use std::net::Ipv4Addr;

use divan::counter::ItemsCount;
use reputon::dnsxl::{Catalogue, Observation};
use reputon::plan::LocalList;
use reputon::targets::Target;
use reputon::zone::{Dataset, DatasetKind};

/// The program's own.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    divan::main();
}

const ENTRIES: usize = 1_000_000;

/// Addresses asked for at a time.
const ASKED: usize = 1 << 16;

/// Numbers that look drawn (a full-period multiplier and a mix of the upper bits).
fn numbers() -> impl Iterator<Item = u32> {
    let mut state = 1u64;
    std::iter::repeat_with(move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 32) as u32
    })
}

/// A file like those of large lists: addresses in no order, one in ten with a code and text of its own, some networks, some
/// exclusions.
fn file(own_texts: bool) -> String {
    let mut text = ":127.0.0.2:listed, see https://bl.example/?$\n".to_owned();
    for (number, address) in numbers().take(ENTRIES).enumerate() {
        let address = Ipv4Addr::from(address);
        let [a, b, c, _] = address.octets();
        text.push_str(&match number % 100 {
            0 => format!("{a}.{b}.{c}.0/24\n"),
            1 => format!("!{address}\n"),
            2..12 => format!("{address} :{}:case $\n", 3 + number % 7),
            _ if own_texts => format!("{address} :4:case {number}\n"),
            _ => format!("{address}\n"),
        });
    }
    text
}

#[divan::bench(args = [false, true], sample_count = 10, sample_size = 1)]
fn load_a_million(bencher: divan::Bencher<'_, '_>, own_texts: bool) {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("zone");
    std::fs::write(&path, file(own_texts)).expect("written");
    bencher.counter(ItemsCount::new(ENTRIES)).bench_local(|| {
        let dataset = Dataset::load(DatasetKind::Ip4Set, &path).expect("a good file");
        black_box(dataset.first_code(Ipv4Addr::new(192, 0, 2, 1)));
        dataset
    });
}

/// Addresses one after the other, as a scan asks, or all over the space; one in a hundred, in ten, or half of them listed.
fn asked(which: &str) -> Vec<Ipv4Addr> {
    let in_order = 0x4d00_0000..0x4d00_0000 + ASKED as u32;
    let entries = numbers().step_by(7);
    let others = numbers().skip(ENTRIES);
    match which {
        "in order" => in_order.map(Ipv4Addr::from).collect(),
        "scattered" => others.take(ASKED).map(Ipv4Addr::from).collect(),
        "one in ten listed" => {
            let mut entries = entries;
            let places = others.take(ASKED).enumerate();
            let each = |(place, other)| match place % 10 {
                0 => entries.next().expect("there is no end of them").into(),
                _ => Ipv4Addr::from(other),
            };
            places.map(each).collect()
        }
        _ => {
            let pairs = entries.take(ASKED / 2).zip(others);
            pairs.flat_map(|(one, other)| [one.into(), other.into()]).collect()
        }
    }
}

#[divan::bench(args = ["in order", "scattered", "one in ten listed", "half listed"])]
fn verdicts(bencher: divan::Bencher<'_, '_>, which: &str) {
    let dataset = Dataset::parse(DatasetKind::Ip4Set, "bench", file(false).as_bytes()).expect("a good file");
    let asked = asked(which);
    bencher.counter(ItemsCount::new(ASKED)).bench_local(|| {
        let listed = asked
            .iter()
            .filter_map(|&address| black_box(&dataset).first_code(address));
        listed.fold(0u32, |sum, code| sum.wrapping_add(code.to_bits()))
    });
}

const CATALOGUE: &str = r#"
[operator]
id = "bench"
name = "Bench"
[operator.terms]
use = "free"
[[list]]
id = "bench"
zone = "bl.bench.test"
kinds = ["ip4"]
role = "block"
tier = "B"
"#;

fn local_list() -> LocalList {
    let dataset = Dataset::parse(DatasetKind::Ip4Set, "bench", file(false).as_bytes()).expect("a good file");
    let catalogue = Catalogue::parse(&[("bench.toml", CATALOGUE)]).expect("a good catalogue");
    let (list, operator) = (&catalogue.lists()[0], &catalogue.operators()[0]);
    LocalList::new((list, operator), vec![dataset])
}

fn observe(local: &LocalList, asked: &[Target]) -> usize {
    let all = asked.iter().map(|target| black_box(local).observe(target));
    all.filter(|known| matches!(known, Observation::Listed(_))).count()
}

#[divan::bench(args = ["in order", "scattered", "one in ten listed", "half listed"])]
fn observations(bencher: divan::Bencher<'_, '_>, which: &str) {
    let local = local_list();
    let asked: Vec<Target> = asked(which).into_iter().map(Target::Ip4).collect();
    bencher
        .counter(ItemsCount::new(ASKED))
        .bench_local(|| observe(&local, &asked));
}

/// Of several threads, each makes as many: what a code means they share.
#[divan::bench(threads = [1, 2])]
fn observations_of_threads(bencher: divan::Bencher<'_, '_>) {
    let local = local_list();
    let asked: Vec<Target> = asked("one in ten listed").into_iter().map(Target::Ip4).collect();
    bencher
        .counter(ItemsCount::new(ASKED))
        .bench(|| observe(&local, &asked));
}
