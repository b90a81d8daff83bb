//! The engine against a simulated network: seeded, in virtual time, without sockets.
//!
//! What must hold in every run is asserted by `simulation::world`; the tests here add what each kind of server should
//! come to. A failure names its seed.

mod simulation;

use std::cell::Cell;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use reputon::clock::{Instant, Span};
use reputon::wire::Rcode;
use simulation::{Edns, Ended, RateLimit, Server, Setup, Spoofer, Tcp, Trouble, World};

const MS: fn(u64) -> Span = Span::from_millis;

fn after(span: Span) -> Instant {
    Instant::ZERO + span
}

fn answered(count: u64) -> Ended {
    Ended {
        answered: count,
        ..Ended::default()
    }
}

/// Runs so many seeds, more where `REPUTON_SEEDS` says so, or the one that `REPUTON_SEED` names.
fn each_seed(count: u64, run: impl Fn(u64)) {
    let number = |name| {
        let text = std::env::var(name).ok()?;
        Some(text.parse::<u64>().expect("REPUTON_SEED and REPUTON_SEEDS are numbers"))
    };
    let (alone, more) = (number("REPUTON_SEED"), number("REPUTON_SEEDS"));
    let mut failed = Vec::new();
    for seed in alone.map_or(0..more.unwrap_or(count), |alone| alone..alone + 1) {
        // The seed is told behind what its panic says.
        if let Err(panic) = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| run(seed))) {
            eprintln!("seed {seed} fails");
            failed.push(seed);
            if more.is_none() {
                std::panic::resume_unwind(panic);
            }
        }
    }
    assert!(failed.is_empty(), "these seeds fail: {failed:?}");
}

#[test]
fn a_good_server_is_asked_once_for_each_name() {
    each_seed(20, |seed| {
        let world = World::run(Setup::one(Server::good(1)), seed);
        assert_eq!(world.ended, answered(200));
        assert_eq!(world.packets, [200], "NXDOMAIN is an answer and is not asked again");
        assert_eq!(world.engine.counters().retried, 0);
    });
}

/// Loss, copies, disorder, strangers, and octets behind the message: slower, never wrong, and nothing is given up.
#[test]
fn a_bad_network_costs_time_and_no_answers() {
    each_seed(60, |seed| {
        let mut rng = StdRng::seed_from_u64(seed);
        let server = Server {
            rtt: MS(rng.random_range(1..150)),
            jitter: MS(rng.random_range(0..80)),
            loss: rng.random_range(0.0..0.06),
            twice: rng.random_range(0.0..0.3),
            wrong_id: rng.random_range(0.0..0.3),
            wrong_address: rng.random_range(0.0..0.3),
            garbage: rng.random_bool(0.5),
            ..Server::good(1)
        };
        let world = World::run(Setup::one(server), seed);
        assert!(world.ended.answered >= 197, "{:?}", world.ended);
        assert_eq!(world.ended.dead + world.ended.failed + world.ended.truncated, 0);
    });
}

/// Half of everything is lost. One run in a hundred or so takes that for a server that is gone: ten tries and three probes in a row
/// are lost by chance, and what is left to ask has to wait for somebody who probes it.
#[test]
fn a_very_bad_network_does_not_stop_the_run() {
    let (seeds, given_up) = (Cell::new(0), Cell::new(0));
    each_seed(20, |seed| {
        let server = Server {
            loss: 0.3,
            jitter: MS(300),
            ..Server::good(1)
        };
        let mut setup = Setup::one(server);
        setup.within = Span::from_secs(400);
        let world = World::run(setup, seed);
        seeds.set(seeds.get() + 1);
        if world.engine.is_dead(world.routes[0]) {
            given_up.set(given_up.get() + 1);
        } else {
            assert!(world.ended.answered >= 100, "{:?}", world.ended);
        }
    });
    assert!(
        given_up.get() <= 1 + seeds.get() / 50,
        "{} of {} are given up",
        given_up.get(),
        seeds.get()
    );
}

#[test]
fn a_packet_that_our_own_machine_has_no_room_for_is_no_packet_lost() {
    each_seed(5, |seed| {
        let mut setup = Setup::one(Server::good(1));
        setup.refused = 0.3;
        let world = World::run(setup, seed);
        assert_eq!(world.ended, answered(200));
        let counters = world.engine.counters();
        assert!(counters.refused > 30, "{counters:?}");
        assert_eq!((counters.sent, counters.retried, counters.lost), (200, 0, 0));
    });
}

#[test]
fn cut_replies_are_fetched_over_tcp_where_there_is_tcp() {
    for (tcp, expected) in [
        (Tcp::Answers, answered(200)),
        (Tcp::Refuses, truncated_only()),
        (Tcp::Hangs, truncated_only()),
        (Tcp::Lies, truncated_only()),
    ] {
        each_seed(5, |seed| {
            let server = Server {
                truncates: true,
                tcp,
                ..Server::good(1)
            };
            let world = World::run(Setup::one(server), seed);
            assert_eq!(world.ended, expected, "{tcp:?}");
            let tcp_queries = world.engine.counters().tcp;
            assert!(
                tcp == Tcp::Answers || tcp_queries <= 8,
                "{tcp:?}: {tcp_queries} queries over TCP for nothing"
            );
        });
    }
}

/// What one list's servers hold up behind a resolver, so that it brings nothing over TCP, does not shut TCP to the other lists.
#[test]
fn a_zone_that_brings_nothing_over_tcp_does_not_cost_the_others_theirs() {
    each_seed(10, |seed| {
        let server = Server {
            truncates: true,
            tcp_hangs_below: 406, // the first six probes
            ..Server::good(1)
        };
        let mut setup = Setup::new(vec![server], &[&[0], &[0]]);
        setup.recursive = true;
        let mut world = World::new(setup, seed);
        world.stop_feeding();
        for _ in 0..6 {
            world.probe(0);
        }
        world.finish();
        assert_eq!(world.ended.truncated, 6, "{:?}", world.ended);
        let tcp = world.engine.counters().tcp;
        assert!(tcp <= 8, "{tcp} queries over TCP for nothing");
        world.probe(1);
        world.finish();
        assert_eq!(world.ended.answered, 1, "{:?}", world.ended);
    });
}

fn truncated_only() -> Ended {
    Ended {
        truncated: 200,
        ..Ended::default()
    }
}

/// NSD's response rate limiting: 200 a second in full, the rest dropped or cut short. One burst finds the limit, and the
/// engine stays below it: hardly a packet is sent for nothing. Where TCP works, what the limit holds back goes over that
/// meanwhile, so far as it is answered there, and 2,000 a second at most.
#[test]
fn a_server_that_limits_its_rate_is_slowed_for() {
    // On a long way the window makes the rate, and more is on its way when the limit is found.
    let limits = |short, long| [(1_024, short), (4_000, long)];
    for (tcp, rtt, percent, limits) in [
        (Tcp::Answers, Span::from_micros(100), 1, limits(2, 6)),
        (Tcp::Answers, MS(2), 1, limits(2, 6)),
        (Tcp::Refuses, MS(2), 1, limits(8, 26)),
        (Tcp::Answers, MS(40), 2, limits(8, 26)),
    ] {
        for (asks, seconds) in limits {
            each_seed(4, |seed| {
                let server = Server {
                    rtt,
                    jitter: rtt.part(10),
                    limit: Some(RateLimit::new(200)),
                    tcp,
                    ..Server::good(1)
                };
                let mut setup = Setup::one(server);
                setup.asks = asks;
                let world = World::run(setup, seed);
                assert_eq!(world.ended, answered(asks), "{tcp:?} {rtt:?}");
                let counters = world.engine.counters();
                let over_tcp = if tcp == Tcp::Answers { counters.tcp } else { 0 };
                let again = counters.sent + over_tcp - asks;
                let took = world.now().since(Instant::ZERO);
                // The server may drop all of the eight that are on their way when its limit is reached (one run in 256): that is
                // silence, and half as many go out before it is known for a limit.
                assert!(
                    again <= (asks * percent / 100).max(8 + 4),
                    "{tcp:?} {rtt:?}: {again} of {asks} sent again"
                );
                let most = took.as_secs_f64() * 2_000.0 + 40.0;
                assert!(
                    counters.tcp as f64 <= most,
                    "{tcp:?} {rtt:?}: {} over TCP",
                    counters.tcp
                );
                assert!(took < Span::from_secs(seconds), "{tcp:?} {rtt:?}: {took:?}");
            });
        }
    }
}

/// Answers that are too long for UDP are no rate limiting: nothing waits for them.
#[test]
fn long_answers_are_fetched_over_tcp_and_slow_nothing() {
    each_seed(4, |seed| {
        let server = Server {
            long_answers: true,
            ..Server::good(1)
        };
        let mut setup = Setup::one(server);
        setup.asks = 4_000;
        let world = World::run(setup, seed);
        assert_eq!(world.ended, answered(4_000));
        let took = world.now().since(Instant::ZERO);
        assert!(took < Span::from_secs(20), "{took:?}");
    });
}

#[test]
fn a_slow_server_is_waited_for() {
    for rtt in [400, 1_200, 1_800, 2_600] {
        each_seed(5, |seed| {
            let server = Server {
                rtt: MS(rtt),
                ..Server::good(1)
            };
            let world = World::run(Setup::one(server), seed);
            assert_eq!(world.ended, answered(200), "{rtt} ms");
            assert!(world.packets[0] <= 240, "{rtt} ms: {} packets", world.packets[0]);
        });
    }
}

/// Dead, or so slow that every reply comes after its time-out.
#[test]
fn a_dead_server_costs_a_few_packets() {
    for rtt in [20, 5_000] {
        each_seed(10, |seed| {
            let mut setup = Setup::one(match rtt {
                20 => Server::silent(1),
                _ => Server {
                    rtt: MS(rtt),
                    ..Server::good(1)
                },
            });
            setup.asks = 5_000;
            setup.within = Span::from_secs(30);
            let world = World::run(setup, seed);
            assert_eq!(world.ended.answered, 0);
            assert!(world.ended.dead > 4_900, "{:?}", world.ended);
            assert!(world.packets[0] <= 30, "{} packets", world.packets[0]);
        });
    }
}

#[test]
fn a_server_that_is_gone_for_a_moment_is_not_given_up() {
    each_seed(20, |seed| {
        let gone = 300 + 200 * (seed % 20); // up to 4.1 seconds
        let server = Server {
            silent: Some((after(MS(100)), after(MS(100 + gone)))),
            ..Server::good(1)
        };
        let mut setup = Setup::one(server);
        setup.asks = 2_000;
        let world = World::run(setup, seed);
        assert_eq!(world.ended.dead, 0, "{:?}", world.ended);
        assert!(world.ended.answered >= 1_990, "{gone}: {:?}", world.ended);
        let took = world.now().since(after(MS(100 + gone)));
        assert!(took < Span::from_secs(8), "{gone} ms away, and {took:?} more to finish");
    });
}

#[test]
fn a_probe_reaches_a_dead_server_and_revives_the_path() {
    each_seed(10, |seed| {
        let server = Server {
            silent: Some((Instant::ZERO, after(Span::from_secs(60)))),
            ..Server::good(1)
        };
        let mut setup = Setup::one(server);
        setup.asks = 100;
        let mut world = World::new(setup, seed);
        world.finish();
        assert!(world.engine.is_dead(world.routes[0]));
        world.probe(0);
        world.finish();
        assert!(world.engine.is_dead(world.routes[0]), "nobody answered the probe");
        while world.now() < after(Span::from_secs(61)) {
            world.probe(0);
            world.finish();
        }
        let packets = world.packets[0];
        world.probe(0);
        world.finish();
        assert_eq!(world.packets[0], packets + 1, "one probe, one packet, one reply");
        assert!(!world.engine.is_dead(world.routes[0]));
        assert_eq!(world.ended.answered, 2);
    });
}

/// A server that was dead for two minutes is used again while its sibling answers, and the visits cost no answer.
#[test]
fn a_dead_server_beside_a_living_one_is_tried_again() {
    each_seed(5, |seed| {
        let dead = Server {
            silent: Some((Instant::ZERO, after(Span::from_secs(120)))),
            ..Server::good(1)
        };
        let mut setup = Setup::new(vec![dead, Server::good(2)], &[&[0, 1]]);
        setup.upstream_qps = Some(10.0);
        setup.asks = 3_000;
        setup.within = Span::from_secs(400);
        let world = World::run(setup, seed);
        assert_eq!(world.ended, answered(3_000));
        assert!(world.servers[0].reached > 100, "{} packets", world.servers[0].reached);
    });
}

/// Of two servers one is dead: the other has answered for long when the first second is over, and is asked in its place; far away
/// no later than what is late there, for a round trip more would be a third of a second.
#[test]
fn probes_of_a_dead_server_go_to_one_that_answers_before_a_second_is_over() {
    for (rtt, most) in [(Server::good(2).rtt, MS(600)), (MS(280), MS(800))] {
        each_seed(20, |seed| {
            let other = Server { rtt, ..Server::good(2) };
            let setup = Setup::new(vec![Server::silent(1), other], &[&[0, 1]]);
            let mut world = World::new(setup, seed);
            world.stop_feeding();
            let began = world.now();
            for _ in 0..6 {
                world.probe(0);
            }
            world.finish();
            assert_eq!(world.ended, answered(6));
            assert!(world.packets[0] > 0, "it was asked too");
            let took = world.now().since(began);
            assert!(took < most, "{rtt:?}: {took:?}");
        });
    }
}

/// What is only far is waited for: where nobody has answered yet, looking at it does not make it lost.
#[test]
fn a_far_server_is_asked_once_for_each_probe() {
    each_seed(20, |seed| {
        let far = |index| Server {
            rtt: MS(900),
            ..Server::good(index)
        };
        let setup = Setup::new(vec![far(1), far(2)], &[&[0, 1]]);
        let mut world = World::new(setup, seed);
        world.stop_feeding();
        for _ in 0..6 {
            world.probe(0);
        }
        world.finish();
        assert_eq!(world.ended, answered(6));
        assert_eq!(world.packets.iter().sum::<u64>(), 6);
    });
}

/// A probe that comes while the breaker holds the path does not wait behind the others.
#[test]
fn a_probe_passes_a_path_that_is_held() {
    let mut setup = Setup::one(Server::silent(1));
    setup.asks = 100;
    let mut world = World::new(setup, 1);
    world.go_on(after(MS(2_100))); // held, with asks in line
    world.stop_feeding();
    let packets = world.packets[0];
    world.probe(0);
    let now = world.now();
    world.go_on(now + MS(1));
    assert_eq!(world.packets[0], packets + 1);
    world.finish();
}

/// A stock rbldnsd: 140 queries wait in its socket's buffer, the rest is dropped.
#[test]
fn r19_a_small_receive_buffer_is_not_overrun() {
    for (buffer, overflow_share) in [(140, 0.0), (60, 0.03), (20, 0.04)] {
        each_seed(5, |seed| {
            let server = Server {
                rtt: MS(5),
                jitter: Span::from_micros(200),
                buffer: Some((buffer, Span::from_micros(400))),
                ..Server::good(1)
            };
            let mut setup = Setup::one(server);
            setup.asks = 20_000;
            setup.within = Span::from_secs(60);
            let world = World::run(setup, seed);
            assert!(world.ended.answered >= 19_990, "{buffer}: {:?}", world.ended);
            let server = &world.servers[0];
            let share = server.overflowed as f64 / server.reached as f64;
            assert!(share <= overflow_share, "{buffer}: {share}");
            // 2,500 a second is what it can do.
            let took = world.now().since(Instant::ZERO);
            assert!(took < Span::from_secs(16), "{buffer}: {took:?}");
        });
    }
}

#[test]
fn servers_without_edns_are_asked_without() {
    for edns in [Edns::Formerr, Edns::BareFormerr, Edns::Dropped] {
        each_seed(10, |seed| {
            let server = Server {
                edns,
                ..Server::good(1)
            };
            let mut setup = Setup::one(server);
            setup.asks = 1_000;
            setup.extras = 1;
            let world = World::run(setup, seed);
            assert!(world.ended.answered >= 995, "{edns:?}: {:?}", world.ended);
            assert!(world.packets[0] <= 1_060, "{edns:?}: {} packets", world.packets[0]);
        });
    }
}

#[test]
fn letter_case_is_not_demanded_of_servers_that_do_not_keep_it() {
    for millis in [0, 200, 500] {
        each_seed(10, |seed| {
            let server = Server {
                lowers_from: Some(after(MS(millis))),
                ..Server::good(1)
            };
            let mut setup = Setup::one(server);
            setup.asks = 3_000;
            setup.extras = 5; // one reply without case may be a forger's
            let world = World::run(setup, seed);
            assert_eq!(world.ended, answered(3_000));
            assert!(
                world.packets[0] <= 3_128,
                "one window's worth is asked again: {}",
                world.packets[0]
            );
        });
    }
}

#[test]
fn servfail_is_asked_again_once_and_refused_is_not() {
    for (rcode, first, answers, packets) in [
        (Rcode::SERVFAIL, 1, 200, 400),
        (Rcode::SERVFAIL, 9, 0, 400),
        (Rcode::REFUSED, 9, 0, 200),
        (Rcode::NOTIMP, 9, 0, 200),
    ] {
        each_seed(5, |seed| {
            let trouble = Some(Trouble { rcode, first });
            let server = Server {
                trouble,
                ..Server::good(1)
            };
            let world = World::run(Setup::one(server), seed);
            assert_eq!((world.ended.answered, world.ended.failed), (answers, 200 - answers));
            assert_eq!(world.packets, [packets], "{rcode} {first}");
        });
    }
}

#[test]
fn what_one_server_refuses_another_is_asked() {
    for rcode in [Rcode::SERVFAIL, Rcode::REFUSED] {
        each_seed(5, |seed| {
            let trouble = Some(Trouble { rcode, first: 9 });
            let lame = Server {
                trouble,
                ..Server::good(1)
            };
            let world = World::run(Setup::new(vec![lame, Server::good(2)], &[&[0, 1]]), seed);
            assert_eq!(world.ended, answered(200));
            assert!(world.packets[1] == 200, "{:?}", world.packets);
        });
    }
}

#[test]
fn a_dead_server_among_two_costs_little() {
    each_seed(20, |seed| {
        let servers = vec![Server::silent(1), Server::good(2)];
        let mut setup = Setup::new(servers, &[&[0, 1]]);
        setup.asks = 3_000;
        let world = World::run(setup, seed);
        assert_eq!(world.ended, answered(3_000));
        assert!(world.packets[0] <= 30, "{:?}", world.packets);
        assert!(world.now() < after(Span::from_secs(5)), "{:?}", world.now());
    });
}

#[test]
fn a_server_that_comes_back_is_used_again() {
    each_seed(10, |seed| {
        let back = Server {
            silent: Some((Instant::ZERO, after(MS(2_500)))),
            ..Server::good(1)
        };
        let mut setup = Setup::new(vec![back, Server::good(2)], &[&[0, 1]]);
        setup.upstream_qps = Some(300.0);
        setup.asks = 4_000;
        let world = World::run(setup, seed);
        assert_eq!(world.ended, answered(4_000));
        assert!(world.packets[0] > 400, "{:?}", world.packets);
    });
}

/// Loss makes retries, and they count: the limits are checked by the world at every packet.
#[test]
fn no_pace_is_ever_exceeded() {
    each_seed(12, |seed| {
        let server = |index| Server {
            loss: 0.05,
            ..Server::good(index)
        };
        let servers = vec![server(1), server(2)];
        let mut setup = Setup::new(servers, &[&[0, 1], &[0], &[1], &[1, 0]]);
        setup.paces = vec![150.0, 400.0];
        for (index, (_, pace)) in setup.routes.iter_mut().enumerate() {
            *pace = [Some(0), Some(1), Some(0), None][index];
        }
        setup.upstream_qps = Some(700.0);
        setup.options.rate_qps = Some(if seed % 2 == 0 { 1_000.0 } else { 300.0 });
        setup.asks = 300;
        let world = World::run(setup, seed);
        assert!(world.ended.answered >= 1_190, "{:?}", world.ended);
    });
}

/// Routes that share a pace, the total window of a server, or the global rate, share it evenly.
#[test]
fn nobody_starves() {
    let shared_pace = |setup: &mut Setup| {
        setup.paces = vec![100.0];
        setup.routes.iter_mut().for_each(|(_, pace)| *pace = Some(0));
    };
    let shared_window = |setup: &mut Setup| setup.window_max = 3;
    let shared_rate = |setup: &mut Setup| setup.options.rate_qps = Some(120.0);
    let shared_upstream = |setup: &mut Setup| setup.upstream_qps = Some(100.0);
    let shares: [&dyn Fn(&mut Setup); 4] = [&shared_pace, &shared_window, &shared_rate, &shared_upstream];
    for (kind, share) in shares.into_iter().enumerate() {
        let mut setup = Setup::new(vec![Server::good(1)], &[&[0], &[0], &[0], &[0]]);
        setup.asks = 400;
        share(&mut setup);
        let world = World::run(setup, kind as u64);
        assert_eq!(world.ended, answered(1_600));
        let (least, most) = (world.route_packets.iter().min(), world.route_packets.iter().max());
        let (least, most) = (least.expect("four"), most.expect("four"));
        assert!(least * 3 >= most * 2, "{kind}: {:?}", world.route_packets);
    }
}

/// More paths than the server's total window has places, some of them on a server that is dead, with loss.
#[test]
fn many_paths_share_a_small_window() {
    each_seed(20, |seed| {
        let mut rng = StdRng::seed_from_u64(seed);
        let lossy = Server {
            loss: 0.1,
            ..Server::good(1)
        };
        let servers = vec![lossy, Server::silent(2), Server::good(3)];
        let routes: Vec<Vec<usize>> = (0..24)
            .map(|_| [vec![0], vec![1], vec![1, 2], vec![2, 0], vec![0, 1]][rng.random_range(0..5)].clone())
            .collect();
        let routes: Vec<&[usize]> = routes.iter().map(Vec::as_slice).collect();
        let mut setup = Setup::new(servers, &routes);
        setup.window_max = rng.random_range(1..6);
        setup.options.slots = 500;
        setup.asks = 40;
        setup.within = Span::from_secs(600);
        World::run(setup, seed);
    });
}

/// 100,000 forged replies a second against the ports in use.
#[test]
fn forged_replies_are_counted_and_never_believed() {
    for knows_ids in [false, true] {
        each_seed(2, |seed| {
            let mut setup = Setup::one(Server {
                loss: 0.02,
                ..Server::good(1)
            });
            setup.asks = 1_000;
            setup.spoofer = Some(Spoofer {
                knows_ids,
                ..Spoofer::FLOOD
            });
            setup.extras = 1;
            let world = World::run(setup, seed);
            assert!(world.ended.answered >= 998, "{:?}", world.ended);
            let counters = world.engine.counters();
            let counted = counters.unmatched + counters.wrong_peer + counters.wrong_question + counters.malformed;
            assert!(counted > 10_000, "{counters:?}");
            assert!(!knows_ids || counters.wrong_peer > 100 && counters.wrong_question > 100);
        });
    }
}

/// The same against a server that does not keep case: there is none to guess, and so what is said counts when it is said
/// twice.
#[test]
fn r02_forged_replies_are_not_believed_where_case_is_not_kept_either() {
    each_seed(40, |seed| {
        let mut setup = Setup::one(Server {
            lowers_from: Some(Instant::ZERO),
            ..Server::good(1)
        });
        setup.asks = 1_000;
        setup.ports = 1;
        setup.extras = 8;
        setup.spoofer = Some(Spoofer::FLOOD);
        let world = World::run(setup, seed);
        assert_eq!(world.ended, answered(1_000));
        let counters = world.engine.counters();
        assert!(counters.mismatched() > 10_000, "{counters:?}");
    });
}

#[test]
fn what_is_cancelled_ends_and_leaves_nothing_behind() {
    each_seed(20, |seed| {
        let mut setup = Setup::one(Server {
            loss: 0.1,
            truncates: seed % 2 == 0,
            trouble: Some(Trouble {
                rcode: Rcode::SERVFAIL,
                first: 1,
            }),
            ..Server::good(1)
        });
        setup.asks = 4_000;
        let mut world = World::new(setup, seed);
        for round in 1..8 {
            world.go_on(after(MS(90 * round + seed)));
            let now = world.now();
            world.engine.cancel_all(now);
            assert_eq!(world.engine.open(), 0);
            world.forget_flights();
        }
        assert!(world.ended.cancelled > 0);
        let before = world.ended;
        world.finish();
        assert!(world.ended.answered > before.answered, "the windows are still of use");
        // Two of four tries must come through: one in fifty has bad luck.
        assert!(world.ended.silent * 30 <= world.ended.answered, "{:?}", world.ended);
        assert_eq!(world.ended.dead, 0);
    });
}

/// Everything at once, drawn by lot: whatever happens, what must always hold, holds.
#[test]
fn whatever_the_servers_do_every_ask_ends_once() {
    each_seed(200, |seed| {
        let mut rng = StdRng::seed_from_u64(seed ^ 0x5eed);
        let servers: Vec<Server> = (1..=rng.random_range(1..5))
            .map(|index| any_server(index, &mut rng))
            .collect();
        let routes: Vec<Vec<usize>> = (0..rng.random_range(1..5))
            .map(|_| {
                let mut route: Vec<usize> = (0..servers.len()).filter(|_| rng.random_bool(0.6)).collect();
                if route.is_empty() {
                    route.push(0);
                }
                route
            })
            .collect();
        let routes: Vec<&[usize]> = routes.iter().map(Vec::as_slice).collect();
        let mut setup = Setup::new(servers, &routes);
        setup.asks = rng.random_range(1..120);
        setup.extras = 2 + 4 + 8; // EDNS at each of four servers; case five times, and once at each of the others
        setup.window_max = rng.random_range(1..200);
        setup.options.retries = rng.random_range(0..5);
        setup.options.timeout = MS(rng.random_range(200..6_000));
        setup.options.slots = rng.random_range(70..500);
        setup.options.rate_qps = rng.random_bool(0.3).then(|| rng.random_range(20.0..2_000.0));
        setup.upstream_qps = rng.random_bool(0.3).then(|| rng.random_range(20.0..2_000.0));
        setup.within = Span::from_secs(900);
        World::run(setup, seed);
    });
}

fn any_server(index: u8, rng: &mut StdRng) -> Server {
    let rcodes = [Rcode::SERVFAIL, Rcode::REFUSED, Rcode::FORMERR, Rcode::NOTIMP];
    let share = |rng: &mut StdRng| {
        if rng.random_bool(0.5) {
            0.0
        } else {
            rng.random_range(0.0..0.3)
        }
    };
    Server {
        rtt: MS(rng.random_range(0..1_500)),
        jitter: MS(rng.random_range(0..200)),
        loss: share(rng),
        twice: share(rng),
        wrong_id: share(rng),
        wrong_address: share(rng),
        edns: [Edns::Fine, Edns::Fine, Edns::Formerr, Edns::BareFormerr, Edns::Dropped][rng.random_range(0..5)],
        tcp: [Tcp::Answers, Tcp::Refuses, Tcp::Hangs, Tcp::Lies][rng.random_range(0..4)],
        truncates: rng.random_bool(0.15),
        limit: rng.random_bool(0.2).then(|| RateLimit::new(rng.random_range(1..100))),
        buffer: rng
            .random_bool(0.2)
            .then(|| (rng.random_range(1..150), MS(rng.random_range(0..20)))),
        silent: rng.random_bool(0.3).then(|| {
            let from = rng.random_range(0..3_000);
            (after(MS(from)), after(MS(from + rng.random_range(0..20_000))))
        }),
        lowers_from: rng.random_bool(0.2).then(|| after(MS(rng.random_range(0..2_000)))),
        trouble: rng.random_bool(0.2).then(|| Trouble {
            rcode: rcodes[rng.random_range(0..4)],
            first: rng.random_range(0..4),
        }),
        garbage: rng.random_bool(0.3),
        ..Server::good(index)
    }
}
