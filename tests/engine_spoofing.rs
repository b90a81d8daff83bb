//! What the engine does while somebody forges a server's replies, 100,000 a second at the ports in use: seeded, counted, in
//! virtual time. The simulated world fails if a forged reply is ever believed, and if a packet leaves by a port that was closed.

mod simulation;

use std::net::SocketAddr;

use reputon::clock::{Instant, Span};
use reputon::exchange::Upstream;
use simulation::{Ended, Server, Setup, Spoofer, Tcp, World};

const SEEDS: u64 = 2;
const ASKS: u64 = 4_800;

fn second(number: u64) -> Instant {
    Instant::ZERO + Span::from_secs(number)
}

/// 24 seconds at 200 questions a second; replies are forged from the second second on, until the sixth.
fn attacked(server: Server) -> Setup {
    let mut setup = Setup::one(server);
    setup.asks = ASKS;
    setup.upstream_qps = Some(200.0);
    setup.extras = 4;
    setup.spoofer = Some(Spoofer {
        from: second(2),
        until: second(6),
        ..Spoofer::FLOOD
    });
    setup
}

fn all_answered() -> Ended {
    Ended {
        answered: ASKS,
        ..Ended::default()
    }
}

/// Runs a world to its end, in which the attack is over and forgotten.
fn run(setup: &Setup, seed: u64) -> World {
    let world = World::run(setup.clone(), seed);
    assert_eq!(world.ended, all_answered(), "seed {seed}");
    assert!(world.forged > 100_000, "seed {seed}: {} forged", world.forged);
    assert!(!world.engine.is_guarded(Upstream(0)), "seed {seed}: it is over");
    assert_eq!(world.ports_open(), usize::from(setup.ports), "seed {seed}");
    assert_eq!(world.engine.counters().alarms, 1, "seed {seed}");
    world
}

#[test]
fn r02_r04_where_tcp_was_seen_to_work_questions_go_over_tcp() {
    for seed in 0..SEEDS {
        let server = Server {
            long_answers: true, // some are fetched over TCP anyway
            ..Server::good(1)
        };
        let world = run(&attacked(server), seed);
        let counters = world.engine.counters();
        // From the second second to the sixteenth: the flood, and the quiet after it.
        assert!((2_600..2_900).contains(&counters.diverted), "{seed}: {counters:?}");
        assert_eq!(counters.ports, 0, "{seed}");
        assert!(
            world.packets[0] + counters.diverted <= ASKS + 20,
            "seed {seed}: nothing is asked twice: {counters:?}"
        );
        let took = world.now().since(Instant::ZERO);
        assert!(took < Span::from_secs(30), "seed {seed}: {took:?}");
    }
}

#[test]
fn r02_r04_where_it_was_not_fresh_ports_are_opened_and_changed() {
    for tcp in [Tcp::Answers, Tcp::Refuses] {
        for seed in 0..SEEDS {
            let server = Server { tcp, ..Server::good(1) };
            let setup = attacked(server);
            let world = run(&setup, seed);
            let counters = world.engine.counters();
            assert_eq!((counters.diverted, counters.tcp), (0, 0), "{seed}");
            // Sixteen at the alarm and sixteen others ten seconds later, before the quiet is over.
            assert_eq!(counters.ports, 32, "{seed}");
            assert_eq!(world.ports_most, 4 + 32 - 16 + 16, "{seed}");
            assert!(world.packets[0] <= ASKS + counters.retried + 8, "{seed}: {counters:?}");
        }
    }
}

/// A flood is no lever: where TCP is shut when the questions have gone there, it costs some seconds and no answer.
#[test]
fn r02_r04_tcp_that_is_shut_in_the_attack_costs_time_only() {
    for seed in 0..SEEDS {
        let server = Server {
            address: SocketAddr::from(([127, 0, 0, 1], 53)),
            tcp_until: Some(second(4)),
            ..Server::good(1)
        };
        let world = run(&attacked(server), seed);
        let counters = world.engine.counters();
        assert!((200..600).contains(&counters.diverted), "{seed}: {counters:?}");
        assert!((16..=32).contains(&counters.ports), "{seed}: {counters:?}");
        let took = world.now().since(Instant::ZERO);
        assert!(took < Span::from_secs(32), "seed {seed}: {took:?}");
    }
}

/// A resolver on our own machine may be asked whether it has TCP, once.
#[test]
fn r02_r04_tcp_of_a_loopback_resolver_is_tried_once() {
    for (tcp, least, most) in [(Tcp::Answers, 2_600, 2_900), (Tcp::Refuses, 1, 1), (Tcp::Hangs, 1, 1)] {
        for seed in 0..SEEDS {
            let server = Server {
                address: SocketAddr::from(([127, 0, 0, 1], 53)),
                tcp,
                ..Server::good(1)
            };
            let world = run(&attacked(server), seed);
            let counters = world.engine.counters();
            assert!(
                (least..=most).contains(&counters.diverted),
                "{tcp:?}, {seed}: {counters:?}"
            );
            assert_eq!(counters.ports > 0, tcp != Tcp::Answers, "{tcp:?}, {seed}");
        }
    }
}

#[test]
fn r04_r19_without_descriptors_to_spare_the_ports_stay() {
    for spare_ports in [0, 3] {
        for seed in 0..SEEDS {
            let mut setup = attacked(Server {
                tcp: Tcp::Refuses,
                ..Server::good(1)
            });
            setup.spare_ports = spare_ports;
            let world = run(&setup, seed);
            assert!(world.ports_most <= 4 + spare_ports, "{seed}");
            assert_eq!(world.engine.counters().ports > 0, spare_ports > 0, "{seed}");
        }
    }
}

/// Ten servers whose replies are all being forged share what ports there are.
#[test]
fn r04_r19_fresh_ports_have_a_bound_however_many_servers_are_attacked() {
    for seed in 0..SEEDS {
        let servers: Vec<Server> = (1..=10).map(Server::good).collect();
        let routes: Vec<Vec<usize>> = (0..10).map(|server| vec![server]).collect();
        let routes: Vec<&[usize]> = routes.iter().map(Vec::as_slice).collect();
        let mut setup = Setup::new(servers, &routes);
        setup.asks = 1_000;
        setup.upstream_qps = Some(100.0);
        setup.spoofer = Some(Spoofer {
            until: second(4),
            ..Spoofer::FLOOD
        });
        let world = World::run(setup, seed);
        assert_eq!(world.ended.answered, 10_000, "seed {seed}: {:?}", world.ended);
        let counters = world.engine.counters();
        assert_eq!(counters.alarms, 10, "seed {seed}");
        assert!(
            counters.ports >= 20 && world.ports_most <= 4 + 64,
            "{seed}: {counters:?}"
        );
    }
}

/// FORMERR with nothing but a header has no question to guess: such ones take EDNS from nobody while replies are forged.
#[test]
fn r02_bare_errors_are_not_believed_while_replies_are_forged() {
    for seed in 0..SEEDS {
        let mut setup = attacked(Server {
            tcp: Tcp::Refuses,
            ..Server::good(1)
        });
        setup.spoofer = setup.spoofer.map(|spoofer| Spoofer {
            bare_formerr: true,
            ..spoofer
        });
        let world = run(&setup, seed);
        assert_eq!(world.servers[0].plain, 0, "seed {seed}");
        assert_eq!(world.packets[0], ASKS, "seed {seed}: nothing is asked twice");
    }
}

/// Copies of half of all packets, and losses: a bad network, and nobody who forges.
#[test]
fn a_bad_network_is_no_alarm() {
    for seed in 0..SEEDS {
        let mut setup = Setup::one(Server {
            loss: 0.03,
            twice: 0.4,
            jitter: Span::from_millis(60),
            ..Server::good(1)
        });
        setup.asks = 4_000;
        let world = World::run(setup, seed);
        assert_eq!(world.engine.counters().alarms, 0, "seed {seed}");
    }
}
