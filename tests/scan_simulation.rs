//! The whole scan in virtual time, seed by seed: whatever servers and the network do, no false listing, no false clean, no
//! limit exceeded, every planned pair observed once, and an end. `tests/scanworld` holds each packet and each dossier to that.
//!
//! CI runs some hundred seeds; `scripts/soak` runs thousands, and a /16. A run that fails names its seed: run it alone with
//! `REPUTON_SEED=N cargo test --test scan_simulation NAME`.

mod scanworld;

use std::num::NonZero;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use scanworld::{Bad, Report, Setup, run};

/// So many seeds in CI, more where `REPUTON_SEEDS` says so, one where `REPUTON_SEED` names it.
fn seeds(count: u64) -> Range<u64> {
    let number = |name| {
        let text = std::env::var(name).ok()?;
        Some(text.parse::<u64>().expect("REPUTON_SEED and REPUTON_SEEDS are numbers"))
    };
    match (number("REPUTON_SEED"), number("REPUTON_SEEDS")) {
        (Some(seed), _) => seed..seed + 1,
        (None, Some(more)) => 0..more,
        (None, None) => 0..count,
    }
}

/// Runs seeds on all cores, up to the first that fails; all of them in a soak, which is to show what there is.
fn each_seed(seeds: Range<u64>, check: impl Fn(u64) + Sync) {
    let soaks = std::env::var_os("REPUTON_SEEDS").is_some();
    let next = AtomicU64::new(seeds.start);
    let failed = Mutex::new(Vec::new());
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
                        if !soaks {
                            next.store(seeds.end, Ordering::Relaxed);
                            std::panic::resume_unwind(panic);
                        }
                        failed.lock().expect("nobody panics with it").push(seed);
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().expect("nobody panicked with it");
    assert!(failed.is_empty(), "these seeds fail: {failed:?}");
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

/// Nothing but the loss of one packet in a hundred: every pair is learnt.
#[test]
fn a_calm_world_is_learnt_whole() {
    each_seed(seeds(50), |seed| {
        let report = run(&Setup::calm(40, &["203.0.113.0/25"]), seed);
        assert_eq!(report.unknown, 0, "seed {seed}: {:?}", report.unknown_for_nothing);
        tell(&format!("seed {seed}"), &report);
    });
}

/// 20 to 300 ms, 1 % loss, 5 % dead, 3 % refusing, some limiting their rate, some turning bad; operators with rates and with
/// budgets. Lists with good servers, and no budget, are learnt whole.
#[test]
fn r09_a_realistic_world_keeps_every_limit() {
    each_seed(seeds(150), |seed| {
        let report = run(&Setup::realistic(40, &["203.0.113.0/25"]), seed);
        assert_eq!(report.unknown_for_nothing, [], "seed {seed}");
        tell(&format!("seed {seed}"), &report);
    });
}

/// Several threads ask, each in a time of its own: every pair is observed once, in order, and nothing that one of them holds
/// for true is false, whatever zones turn into while they ask.
#[test]
fn several_workers_learn_what_one_does() {
    each_seed(seeds(24), |seed| {
        let setup = Setup {
            workers: 2 + (seed % 3) as u8,
            turning: if seed % 2 == 0 { 0.0 } else { 0.3 },
            ..Setup::calm(4, &["198.18.0.0/19"])
        };
        let report = run(&setup, seed);
        assert_eq!(report.run.workers, u32::from(setup.workers), "seed {seed}");
        if setup.turning == 0.0 {
            assert_eq!(report.unknown, 0, "seed {seed}: {:?}", report.unknown_for_nothing);
        }
        tell(&format!("seed {seed}"), &report);
    });
}

/// At full size: 300 lists on 600 servers of their own, and 30 through two resolvers, one of which turns bad midway.
fn at_full_size(targets: &[&str], seed: u64) -> Setup {
    Setup {
        through_resolvers: 30,
        resolver_turns: Some(Bad::ALL[seed as usize % Bad::ALL.len()]),
        ..Setup::realistic(330, targets)
    }
}

#[test]
fn r09_three_hundred_lists_on_six_hundred_servers() {
    each_seed(seeds(8), |seed| {
        let report = run(&at_full_size(&["203.0.113.0/26"], seed), seed);
        assert_eq!(report.unknown_for_nothing, [], "seed {seed}");
        tell(&format!("seed {seed}"), &report);
    });
}

/// Addresses of both families and names in one run.
#[test]
fn every_kind_of_target_at_once() {
    each_seed(seeds(24), |seed| {
        let mut setup = Setup::realistic(20, &["203.0.113.0/27", "2001:db8::/122"]);
        setup
            .targets
            .extend((0..40).map(|number| format!("host{number}.example.test")));
        tell(&format!("seed {seed}"), &run(&setup, seed));
    });
}

/// An address, its name, its IPv6 address, host by host, on lists that take all three and are examined for each of them:
/// what becomes of one kind, where zones turn bad in the middle, is not told of the others in the same tile.
#[test]
fn kinds_that_alternate_line_by_line_are_learnt_apart() {
    let hosts = |number: u32| {
        let (address, name) = (format!("203.0.113.{number}"), format!("host{number}.example.test"));
        [address, name, format!("2001:db8::{number:x}")]
    };
    let targets: Vec<String> = (0..100).flat_map(hosts).collect();
    each_seed(seeds(4), |seed| {
        let mut setup = Setup::calm(15, &[]);
        setup.targets.clone_from(&targets);
        let report = run(&setup, seed);
        assert_eq!(report.unknown, 0, "seed {seed}: {:?}", report.unknown_for_nothing);
        tell(&format!("seed {seed}"), &report);
    });
    for into in Bad::ALL {
        each_seed(seeds(4), |seed| {
            let mut setup = Setup {
                turning: 0.5,
                into: Some(into),
                ..Setup::calm(15, &[])
            };
            setup.targets.clone_from(&targets);
            tell(&format!("{into:?}, seed {seed}"), &run(&setup, seed));
        });
    }
}

/// Half of the zones turn bad in the middle of the run, in each of the ways in which zones do: what they said is told no more
/// than is true.
#[test]
fn r11_zones_that_turn_bad_list_nobody_and_clear_nobody() {
    for into in Bad::ALL {
        each_seed(seeds(24), |seed| {
            let setup = Setup {
                turning: 0.5,
                into: Some(into),
                ..Setup::calm(20, &["203.0.113.0/25"])
            };
            tell(&format!("{into:?}, seed {seed}"), &run(&setup, seed));
        });
    }
}

/// One server of a zone turns bad, the other does not: the bad one is found out by the controls, and left; the other one
/// answers for all.
#[test]
fn r12_one_server_of_a_zone_that_turns_bad_is_left() {
    for into in Bad::ALL {
        each_seed(seeds(24), |seed| {
            let setup = Setup {
                turning: 0.5,
                zones_turn: false,
                into: Some(into),
                ..Setup::calm(20, &["203.0.113.0/25"])
            };
            tell(&format!("{into:?}, seed {seed}"), &run(&setup, seed));
        });
    }
}

/// One server of each second zone is bad before the first packet: the list is not given up, because the other one answers.
#[test]
fn r12_one_server_of_a_zone_that_was_bad_from_the_start_is_left() {
    for into in Bad::ALL {
        each_seed(seeds(12), |seed| {
            let setup = Setup {
                turning: 0.5,
                zones_turn: false,
                from_start: true,
                into: Some(into),
                loss: 0.0,
                ..Setup::calm(20, &["203.0.113.0/25"])
            };
            let report = run(&setup, seed);
            tell(&format!("{into:?}, seed {seed}"), &report);
            assert_eq!(report.unknown, 0, "the other server knows all");
        });
    }
}

/// One answer of each list's only server is wrong while it is examined: no list is given up for one answer.
#[test]
fn r11_one_wrong_answer_to_a_probe_condemns_no_list() {
    for into in Bad::ALL {
        each_seed(seeds(12), |seed| {
            let setup = Setup {
                servers_per_list: 1,
                through_resolvers: 0,
                stumbling: Some(into),
                loss: 0.0,
                ..Setup::calm(20, &["203.0.113.0/25"])
            };
            let report = run(&setup, seed);
            tell(&format!("{into:?}, seed {seed}"), &report);
            assert_eq!(report.unknown, 0, "each list works");
        });
    }
}

/// The same of a list whose other server is dead: the one that works is enough, and silence is not waited for to the end. Nor is
/// it where a quarter of all addresses are listed, so that canaries often are by chance and more of them must be asked.
#[test]
fn a_second_look_does_not_wait_for_a_dead_server() {
    for listed_one_in in [29, 4] {
        each_seed(seeds(12), |seed| {
            let setup = Setup {
                through_resolvers: 0,
                stumbling: Some(Bad::RefusalCode),
                dead: 0.4,
                loss: 0.0,
                told_apart: true,
                listed_one_in,
                ..Setup::calm(20, &["198.18.0.0/28"])
            };
            let report = run(&setup, seed);
            tell(&format!("one in {listed_one_in}, seed {seed}"), &report);
            let alive = report.marks.iter().filter(|told| told.trips.is_some());
            let last = alive
                .map(|told| told.marks.again.since(reputon::clock::Instant::ZERO))
                .max();
            assert!(
                last.is_some_and(|last| last < reputon::clock::Span::from_secs(6)),
                "one in {listed_one_in}, seed {seed}: {last:?}"
            );
        });
    }
}

/// One answer in two hundred is wrong, and the run is long: a list's controls fail now and then, what it said since the one
/// before is taken back each time, and it is not given up. (By chance one list in some thousands is.)
#[test]
fn r11_one_wrong_answer_in_two_hundred_does_not_end_a_list() {
    for into in [Bad::Parked, Bad::Refuses, Bad::RefusalCode] {
        each_seed(seeds(2), |seed| {
            let setup = Setup {
                servers_per_list: 1,
                through_resolvers: 0,
                erring: Some((200, into)),
                rate_qps: Some(6.0),
                ..Setup::calm(6, &["198.18.0.0/19"])
            };
            let report = run(&setup, seed);
            tell(&format!("{into:?}, seed {seed}"), &report);
            let left = report.run.lists.iter().filter(|list| list.unknown > 8_192 / 20).count();
            assert!(left <= 1, "seed {seed}: {left} lists were given up");
        });
    }
}

/// One of two resolvers turns bad in the middle of the run.
#[test]
fn r12_a_resolver_that_turns_bad_midway_is_left() {
    for into in Bad::ALL {
        each_seed(seeds(24), |seed| {
            let setup = Setup {
                through_resolvers: 20,
                resolver_turns: Some(into),
                ..Setup::calm(20, &["203.0.113.0/25"])
            };
            tell(&format!("{into:?}, seed {seed}"), &run(&setup, seed));
        });
    }
}

/// The zones are emptied in the middle of the run, and the resolver has their test entries in its cache: what was learnt
/// since is not confirmed, because the name of the test entry, asked for another type, does not exist any more.
#[test]
fn r12_a_cached_test_entry_does_not_vouch_for_an_emptied_zone() {
    for resolvers in [1, 2] {
        each_seed(seeds(12), |seed| {
            let setup = Setup {
                through_resolvers: 4,
                resolvers,
                resolver_turns: Some(Bad::EmptyButCached),
                loss: 0.0, // each list has been examined by then: before that, a cache may vouch for it
                ..Setup::calm(4, &["203.0.112.0/20"])
            };
            let report = run(&setup, seed);
            tell(&format!("{resolvers} resolvers, seed {seed}"), &report);
            let unknown = report.unknown > 0;
            assert_eq!(unknown, resolvers == 1, "the other resolver knows all");
        });
    }
}

/// Somebody who sees nothing sends 100,000 forged replies a second at the ports in use, from the servers' own addresses,
/// about the questions that are out. None gets in, and none makes anything unknown.
#[test]
fn r02_a_hundred_thousand_forged_replies_a_second_change_nothing() {
    let (forged, runs) = (AtomicU64::new(0), AtomicU64::new(0));
    each_seed(seeds(12), |seed| {
        let setup = Setup {
            forged_qps: 100_000,
            ..Setup::calm(12, &["203.0.113.0/26"])
        };
        let report = run(&setup, seed);
        assert_eq!(report.unknown, 0, "seed {seed}");
        let counters = report.run.counters;
        let dropped = counters.unmatched + counters.wrong_peer + counters.wrong_question + counters.malformed;
        assert!(
            dropped > report.forged / 20,
            "forged replies reach the engine: {counters:?}"
        );
        forged.fetch_add(report.forged, Ordering::Relaxed);
        runs.fetch_add(1, Ordering::Relaxed);
        tell(&format!("{} forged, seed {seed}", report.forged), &report);
    });
    let (forged, runs) = (forged.into_inner(), runs.into_inner());
    assert!(forged > runs * 50_000, "{forged} forged in {runs} runs");
}

/// Every server cuts short what exceeds its limit, so that much is asked over TCP, and every third operator has a rate: what
/// goes over TCP keeps that too. (The network holds each packet to it.) The total is more than all limits together, 60 packets a
/// second against 2 of each of 22 servers: some limit is met in any second that has its 60.
#[test]
fn queries_over_tcp_keep_the_pace_of_operators_and_the_total() {
    each_seed(seeds(6), |seed| {
        let setup = Setup {
            limiting: 1.0,
            limit_qps: Some(2),
            operator_qps: Some(8.0),
            rate_qps: Some(60.0),
            ..Setup::calm(12, &["203.0.113.0/26"])
        };
        let report = run(&setup, seed);
        assert!(report.run.counters.tcp > 0, "seed {seed}: {:?}", report.run.counters);
        tell(&format!("{} over TCP, seed {seed}", report.run.counters.tcp), &report);
    });
}

/// No more than what examinations, the growth of windows, lost packets and the last controls take is added to the least time
/// that windows and rates allow: one server in twenty is dead, one packet in a hundred is lost each way.
#[test]
fn a_scan_ends_soon_after_the_lower_bound() {
    each_seed(seeds(3), |seed| {
        let paced = run(&Setup::measured(40, &["203.0.113.0/24"], Some(50.0)), seed);
        tell(&format!("paced, seed {seed}"), &paced);
        let windows = run(&Setup::measured(20, &["198.18.0.0/20"], None), seed);
        tell(&format!("windows, seed {seed}"), &windows);
        // Silence for certain takes some seconds, where both servers of a list are dead.
        let slack = reputon::clock::Span::from_secs(10);
        assert!(paced.elapsed < paced.bound.times(115).part(100) + slack, "seed {seed}");
        assert!(
            windows.elapsed < windows.bound.times(130).part(100) + slack,
            "seed {seed}"
        );
    });
}

/// Lists that have servers of their own are not kept waiting by the resolvers' check.
#[test]
fn lists_with_servers_of_their_own_begin_at_once() {
    each_seed(seeds(8), |seed| {
        let report = run(&Setup::calm(20, &["203.0.113.0/27"]), seed);
        let firsts = report.marks.iter().map(|told| (told.marks.packets, told.marks.first));
        let begun: Vec<_> = firsts
            .map(|(packets, first)| packets > 0 && first.since(reputon::clock::Instant::ZERO).as_nanos() == 0)
            .collect();
        // The first two are asked through resolvers, which are 20 ms away at least.
        assert_eq!(begun[..2], [false; 2], "seed {seed}");
        assert_eq!(begun[2..], [true; 18], "seed {seed}");
    });
}

/// An examination, a question, and then the reason of a listing and the last control side by side: three round trips, of which
/// none takes longer than a fifth more, and not four.
#[test]
fn the_last_control_does_not_wait_for_the_reasons_of_listings() {
    let told = AtomicU64::new(0);
    each_seed(seeds(24), |seed| {
        let setup = Setup {
            servers_per_list: 1,
            through_resolvers: 0,
            loss: 0.0,
            ..Setup::calm(1, &["203.0.113.0/29"])
        };
        let report = run(&setup, seed);
        assert_eq!(report.unknown, 0, "seed {seed}");
        if report.listed == 0 {
            return;
        }
        told.fetch_add(1, Ordering::Relaxed);
        let (trip, _) = report.marks[0].trips.expect("its server is good");
        let most = trip.times(38).part(10);
        assert!(report.elapsed < most, "seed {seed}: {:?} of {most:?}", report.elapsed);
    });
    let told = told.into_inner();
    assert!(
        told > 0 || std::env::var_os("REPUTON_SEED").is_some(),
        "{told} with listings"
    );
}

/// A /16 on 330 lists: 21.6 million pairs. Run by `scripts/soak`.
#[test]
#[ignore = "takes minutes: scripts/soak runs it"]
fn a_slash_16_on_three_hundred_lists() {
    let seed = seeds(1).start;
    let setup = Setup {
        operator_qps: None,
        ..at_full_size(&["198.18.0.0/16"], seed)
    };
    let report = run(&setup, seed);
    assert_eq!(report.unknown_for_nothing, []);
    tell("a /16", &report);
}

/// What `plan` says beforehand, the round trips being known: the run takes as long, within a fifth, whatever sets its time, and
/// asks as much. Some of the time goes where nobody can know beforehand, which is bounded: a round trip varies by a fifth.
#[test]
fn a_run_takes_as_long_as_its_plan_says() {
    let settings: [(&str, Setup); 5] = [
        (
            "operators' rates",
            Setup {
                operator_qps: Some(40.0),
                ..Setup::calm(12, &["203.0.112.0/23"])
            },
        ),
        (
            "the rate over all",
            Setup {
                rate_qps: Some(300.0),
                ..Setup::calm(12, &["203.0.112.0/23"])
            },
        ),
        (
            "both",
            Setup {
                rate_qps: Some(200.0),
                operator_qps: Some(80.0),
                ..Setup::calm(9, &["203.0.112.0/23"])
            },
        ),
        ("servers", Setup::calm(6, &["198.18.0.0/19"])),
        (
            "resolvers",
            Setup {
                through_resolvers: 6,
                resolvers: 1,
                ..Setup::calm(6, &["198.18.0.0/19"])
            },
        ),
    ];
    for (name, setup) in settings {
        let setup = Setup {
            // Of two servers the nearer one gets more: how much more is not told by their round trips alone.
            servers_per_list: 1,
            loss: 0.0,
            ..setup
        };
        each_seed(seeds(3), |seed| {
            let report = run(&setup, seed);
            let elapsed = report.elapsed.as_secs_f64();
            let (queries, seconds) = report.planned;
            let ratio = seconds / elapsed;
            tell(
                &format!("{name}, seed {seed}: planned {seconds:.2} s, {ratio:.2} of what it took"),
                &report,
            );
            assert!(
                (0.8..1.2).contains(&ratio),
                "{name}, seed {seed}: {seconds} s planned, {elapsed} s"
            );
            let share = queries as f64 / (report.run.asked - report.listed) as f64;
            assert!(
                (0.98..1.02).contains(&share),
                "{name}, seed {seed}: {queries} planned, {} asked",
                report.run.asked
            );
        });
    }
}
