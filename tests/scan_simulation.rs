//! The whole scan in virtual time, seed by seed: whatever servers and the network do, no false listing, no false clean, no
//! limit exceeded, every planned pair observed once, and an end. `tests/scanworld` holds each packet and each dossier to that.
//!
//! CI runs some hundred seeds; `scripts/soak` runs thousands, and a /16.

mod scanworld;

use std::num::NonZero;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};

use scanworld::{Bad, Report, Setup, run};

/// Runs seeds on all cores; the first that fails is told.
fn each_seed(seeds: std::ops::Range<u64>, check: impl Fn(u64) + Sync) {
    let next = AtomicU64::new(seeds.start);
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
    std::thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end {
                        return;
                    }
                    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| check(seed))) {
                        eprintln!("seed {seed} fails");
                        next.store(seeds.end, Ordering::Relaxed);
                        std::panic::resume_unwind(panic);
                    }
                }
            });
        }
    });
}

fn first_seed() -> u64 {
    let seed = std::env::var("REPUTON_SEED").ok();
    seed.map_or(0, |seed| seed.parse().expect("REPUTON_SEED is a number"))
}

#[expect(clippy::print_stdout, reason = "figures for whoever looks")]
fn tell(name: &str, report: &Report) {
    let (elapsed, bound) = (report.elapsed.as_secs_f64(), report.bound.as_secs_f64());
    println!(
        "{name}: {elapsed:.2} s of virtual time, {:.2} × the lower bound of {bound:.2} s; {} packets, {} listed, {} not listed, \
         {} unknown, {} in flight at most",
        elapsed / bound,
        report.sent,
        report.listed,
        report.not_listed,
        report.unknown,
        report.in_flight_most
    );
}

/// Nothing but loss: every pair is learnt.
#[test]
fn a_calm_world_is_learnt_whole() {
    each_seed(first_seed()..first_seed() + 4, |seed| {
        let report = run(&Setup::calm(40, &["203.0.113.0/25"]), seed);
        assert_eq!(report.unknown_for_nothing, [], "seed {seed}");
        tell(&format!("seed {seed}"), &report);
    });
}

#[test]
fn a_realistic_world() {
    each_seed(first_seed()..first_seed() + 4, |seed| {
        let report = run(&Setup::realistic(40, &["203.0.113.0/24"]), seed);
        assert_eq!(report.unknown_for_nothing, [], "seed {seed}");
        tell(&format!("seed {seed}"), &report);
    });
}

#[test]
fn zones_that_turn_bad() {
    for into in Bad::ALL {
        each_seed(first_seed()..first_seed() + 4, |seed| {
            let setup = Setup {
                turning: 0.5,
                into: Some(into),
                ..Setup::calm(20, &["203.0.113.0/24"])
            };
            tell(&format!("{into:?}, seed {seed}"), &run(&setup, seed));
        });
    }
}

/// One server of each list turns bad, the others do not: what it said is not believed, and the others tell the truth.
#[test]
fn one_server_of_a_zone_turns_bad() {
    for into in Bad::ALL {
        each_seed(first_seed()..first_seed() + 4, |seed| {
            let setup = Setup {
                turning: 0.5,
                zones_turn: false,
                into: Some(into),
                ..Setup::calm(20, &["203.0.113.0/24"])
            };
            tell(&format!("{into:?}, seed {seed}"), &run(&setup, seed));
        });
    }
}

#[test]
fn a_resolver_turns_bad_midway() {
    for into in Bad::ALL {
        each_seed(first_seed()..first_seed() + 4, |seed| {
            let setup = Setup {
                through_resolvers: 20,
                resolver_turns: Some(into),
                ..Setup::calm(20, &["203.0.113.0/24"])
            };
            tell(&format!("{into:?}, seed {seed}"), &run(&setup, seed));
        });
    }
}
