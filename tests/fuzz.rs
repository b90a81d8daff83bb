//! Every reader of hostile text over its seeds and mutations of them, seeded: what cargo-fuzz does for hours with coverage, the
//! stable compiler does here for seconds. `REPUTON_FUZZ=N` runs N mutations of each.

#[path = "../fuzz/checks.rs"]
mod checks;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use checks::CHECKS;

/// Mutations of a target in CI.
const MUTATIONS: u64 = 1_500;

/// Octets of a mutated input at most.
const OCTETS_MAX: usize = 4_096;

fn seeds(name: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(name);
    let entries = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("readable").path()).collect();
    paths.sort();
    paths
        .into_iter()
        .map(|path| std::fs::read(path).expect("a seed"))
        .collect()
}

/// Changes an input in the ways that break parsers.
fn mutate(seeds: &[Vec<u8>], rng: &mut StdRng) -> Vec<u8> {
    const TELLING: [u8; 16] = [
        0, 1, 0x0a, 0x0c, b'"', b'/', b':', b';', b'=', b'%', b'-', 63, 64, 0x7f, 0xc0, 0xff,
    ];
    let mut input = seeds[rng.random_range(0..seeds.len())].clone();
    for _ in 0..rng.random_range(1..8) {
        let at = rng.random_range(0..=input.len());
        match rng.random_range(0..9) {
            0 => input.truncate(at),
            1 => input.insert(at, rng.random()),
            2 if at < input.len() => input[at] = rng.random(),
            3 if at < input.len() => input[at] ^= 1 << rng.random_range(0..8),
            4 if at < input.len() => input[at] = TELLING[rng.random_range(0..TELLING.len())],
            5 if at < input.len() => _ = input.remove(at),
            6 => {
                // A piece again, elsewhere.
                let end = (at + rng.random_range(0..64)).min(input.len());
                let piece = input[at..end].to_vec();
                let to = rng.random_range(0..=input.len());
                input.splice(to..to, piece);
            }
            7 => {
                // A piece of another seed.
                let other = &seeds[rng.random_range(0..seeds.len())];
                let from = rng.random_range(0..=other.len());
                let end = (from + rng.random_range(0..256)).min(other.len());
                input.splice(at..at, other[from..end].iter().copied());
            }
            _ => {
                let digits: Vec<u8> = rng.random::<u64>().to_string().into();
                input.splice(at..at, digits);
            }
        }
        input.truncate(OCTETS_MAX);
    }
    input
}

/// RFC 9267 names what goes wrong in such readers: nothing may panic, whatever comes.
#[test]
fn r01_no_reader_panics_on_what_it_is_given() {
    let count = std::env::var("REPUTON_FUZZ").map_or(MUTATIONS, |count| count.parse().expect("a number"));
    std::thread::scope(|scope| {
        for (name, check) in CHECKS {
            scope.spawn(move || {
                let seeds = seeds(name);
                seeds.iter().for_each(|seed| check(seed));
                // A catalogue is read with all of the built-in files beside it, which takes milliseconds.
                let part = if matches!(*name, "catalogue" | "import") { 50 } else { 1 };
                for number in 0..count / part {
                    let mut rng = StdRng::seed_from_u64(number);
                    let input = mutate(&seeds, &mut rng);
                    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| check(&input))) {
                        eprintln!("{name}, mutation {number}: {}", input.escape_ascii());
                        std::panic::resume_unwind(panic);
                    }
                }
            });
        }
    });
}

#[test]
fn every_check_has_its_seeds_and_its_fuzz_target() {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
    for (name, _) in CHECKS {
        assert!(!seeds(name).is_empty());
        assert!(
            fuzz.join(format!("fuzz_targets/{name}.rs")).is_file(),
            "{name} has no fuzz target"
        );
    }
}
