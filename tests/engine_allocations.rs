//! Nothing is allocated on the way of a query that is answered NXDOMAIN: submit, send, reply, outcome. And what a query in
//! flight holds, all tables of the engine included, is bounded.
//!
//! The allocator of this test program counts. It counts for one thread only, because the test harness has others.

#![allow(
    unsafe_code,
    reason = "a global allocator is an unsafe trait; it only counts and hands on to the system's"
)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::collections::VecDeque;

use rand::SeedableRng;
use rand::rngs::StdRng;

use reputon::clock::{Instant, Span};
use reputon::datagram::{Batch, Port, Received};
use reputon::engine::{Engine, EngineOptions, RouteOptions, UpstreamOptions};
use reputon::exchange::{Ask, End, Route, Ticket};
use reputon::wire::{Name, Rcode, Rtype};

struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
    /// Octets that are held.
    static HELD: Cell<i64> = const { Cell::new(0) };
}

/// Not counted where the thread is ending and its counters are gone.
fn count(allocations: u64, octets: i64) {
    let _ = ALLOCATIONS.try_with(|count| count.set(count.get() + allocations));
    let _ = HELD.try_with(|held| held.set(held.get() + octets));
}

// SAFETY: every call is handed on to the system's allocator as it came; the counter is a plain cell of the thread,
// initialised at compile time, so that counting allocates nothing itself.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(1, layout.size() as i64);
        // SAFETY: the caller keeps the contract of `alloc`, which is the same one.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(0, -(layout.size() as i64));
        // SAFETY: as above: the pointer came from `System`, by `alloc` or `realloc` of this type.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(1, size as i64 - layout.size() as i64);
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Asks `rounds` times a batch of names on each route; replies come after a millisecond, one in 50 is lost. Returns how
/// many asks ended.
fn run(
    engine: &mut Engine,
    routes: &[Route],
    now: &mut Instant,
    batch: &mut Batch,
    names: &[Name],
    rounds: u32,
) -> u64 {
    let mut ended = 0;
    let mut sent = 0u32;
    let mut replies = [(0u16, [0u8; 128], 0usize); 64];
    for _ in 0..rounds {
        for (&route, name) in routes.iter().cycle().zip(names) {
            if engine.room(route) > 0 {
                let ask = Ask {
                    ticket: Ticket(0),
                    name,
                    rtype: Rtype::A,
                    route,
                    probe: false,
                };
                engine.submit(*now, ask).expect("there is room");
            }
        }
        loop {
            batch.clear();
            engine.poll_transmit(*now, batch);
            *now += Span::from_millis(1);
            let mut count = 0;
            for cell in batch.as_slice() {
                sent += 1;
                if !sent.is_multiple_of(50) {
                    let octets = cell.octets();
                    let (port, reply, len) = &mut replies[count];
                    reply[..octets.len()].copy_from_slice(octets);
                    (reply[2], reply[3]) = (0x84, Rcode::NXDOMAIN.0);
                    (*port, *len) = (cell.port.0, octets.len());
                    count += 1;
                }
            }
            for (port, octets, len) in &replies[..count] {
                engine.receive(
                    *now,
                    Received {
                        port: reputon::datagram::Port(*port),
                        from: ([192, 0, 2, 1], 53).into(),
                        octets: &octets[..*len],
                    },
                );
            }
            engine.handle_timeout(*now);
            while let Some(outcome) = engine.poll_outcome() {
                assert!(matches!(outcome.end, End::Reply(_)));
                ended += 1;
            }
            if batch.is_empty() {
                break;
            }
        }
    }
    ended
}

#[test]
fn a_query_on_its_way_allocates_nothing() {
    let options = EngineOptions {
        slots: 4_096,
        timeout: Span::from_secs(3),
        retries: 3,
        rate_qps: Some(200_000.0),
    };
    let mut engine = Engine::new(options, StdRng::seed_from_u64(1));
    let ports = vec![engine.add_port(), engine.add_port()];
    let upstream = engine.add_upstream(UpstreamOptions {
        address: ([192, 0, 2, 1], 53).into(),
        ports,
        recursive: false,
        window_max: 100,
        path_window_max: 100,
        rate_qps: Some(100_000.0),
        careful: false,
        trains: true,
    });
    let pace = engine.add_pace(50_000.0);
    let routes: Vec<Route> = (0..20)
        .map(|_| {
            engine.add_route(RouteOptions {
                upstreams: vec![upstream],
                zone_octets: 17,
                pace: Some(pace),
            })
        })
        .collect();
    let names: Vec<Name> = (0..200)
        .map(|number| format!("{number}.2.0.192.bl.example.test").parse().expect("a name"))
        .collect();
    let (mut now, mut batch) = (Instant::from_nanos(1), Batch::new());
    // The lines of paths grow to their sizes first.
    run(&mut engine, &routes, &mut now, &mut batch, &names, 50);
    let before = ALLOCATIONS.get();
    let ended = run(&mut engine, &routes, &mut now, &mut batch, &names, 500);
    let allocations = ALLOCATIONS.get() - before;
    assert!(ended > 50_000, "{ended} asks");
    assert!(engine.counters().retried > 500, "lost packets are on the way too");
    assert_eq!(allocations, 0, "over {ended} asks");
}

/// Octets that an engine holds for each query, with so many in flight.
fn octets_a_query(in_flight: usize) -> f64 {
    let mut batch = Batch::new();
    let mut unanswered: VecDeque<(Port, Vec<u8>)> = VecDeque::new();
    let now = Instant::from_nanos(1);
    let name: Name = "77.2.0.192.bl.example.test".parse().expect("a name");
    let others = HELD.get();
    let options = EngineOptions {
        slots: in_flight + 64, // the engine keeps some back for probes
        timeout: Span::from_secs(3),
        retries: 3,
        rate_qps: None,
    };
    let mut engine = Engine::new(options, StdRng::seed_from_u64(1));
    let ports = (0..4).map(|_| engine.add_port()).collect();
    let upstream = engine.add_upstream(UpstreamOptions {
        address: ([192, 0, 2, 1], 53).into(),
        ports,
        recursive: false,
        window_max: in_flight as u32,
        path_window_max: in_flight as u32,
        rate_qps: None,
        careful: false,
        trains: true,
    });
    let route = engine.add_route(RouteOptions {
        upstreams: vec![upstream],
        zone_octets: 17,
        pace: None,
    });
    let mut octets_of_replies = 0;
    loop {
        for _ in 0..engine.room(route) {
            let ask = Ask {
                ticket: Ticket(0),
                name: &name,
                rtype: Rtype::A,
                route,
                probe: false,
            };
            engine.submit(now, ask).expect("there is room");
        }
        batch.clear();
        engine.poll_transmit(now, &mut batch);
        let before = HELD.get();
        unanswered.extend(batch.as_slice().iter().map(|cell| (cell.port, cell.octets().to_vec())));
        if unanswered.len() == in_flight {
            octets_of_replies += HELD.get() - before;
            break;
        }
        if batch.is_empty() {
            // The window grows with what is answered.
            for (port, mut octets) in unanswered.drain(..unanswered.len() / 2 + 1) {
                (octets[2], octets[3]) = (0x84, Rcode::NXDOMAIN.0);
                let (from, octets) = (([192, 0, 2, 1], 53).into(), octets.as_slice());
                engine.receive(now, Received { port, from, octets });
            }
            while engine.poll_outcome().is_some() {}
        }
        octets_of_replies += HELD.get() - before;
    }
    (HELD.get() - others - octets_of_replies) as f64 / in_flight as f64
}

#[test]
fn a_query_in_flight_holds_512_octets_at_most() {
    let figures = [1_000, 5_000, 20_000, 60_000].map(|in_flight| (in_flight, octets_a_query(in_flight)));
    eprintln!("octets a query, by queries in flight: {figures:.1?}");
    for (in_flight, octets) in figures {
        assert!(octets > 300.0, "{octets} with {in_flight}: it was not counted");
        assert!(octets <= 512.0, "{octets} with {in_flight}");
    }
}
