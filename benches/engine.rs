//! Exchanges through the engine in virtual time: what the engine itself costs, without the kernel.
//!
//! A loop on a bare pair of sockets costs some 3,000 ns a query, nearly all of it in the kernel; the engine should stay a
//! small part of that.

use divan::counter::ItemsCount;
use rand::SeedableRng;
use rand::rngs::StdRng;

use reputon::clock::{Instant, Span};
use reputon::datagram::{Batch, Port, Received};
use reputon::engine::{Engine, EngineOptions, RouteOptions, UpstreamOptions};
use reputon::exchange::{Ask, Route, Ticket};
use reputon::wire::{Name, Rcode, Rtype};

fn main() {
    divan::main();
}

const EXCHANGES: usize = 10_000;

struct Bench {
    engine: Engine,
    routes: Vec<Route>,
    names: Vec<Name>,
    batch: Batch,
    now: Instant,
    replies: Vec<(Port, [u8; 128], usize)>,
}

impl Bench {
    fn new(routes: usize) -> Bench {
        let options = EngineOptions {
            slots: 8_192,
            timeout: Span::from_secs(3),
            retries: 3,
            rate_qps: None,
        };
        let mut engine = Engine::new(options, StdRng::seed_from_u64(1));
        let ports: Vec<Port> = (0..4).map(|_| engine.add_port()).collect();
        let upstream = engine.add_upstream(UpstreamOptions {
            address: ([192, 0, 2, 1], 53).into(),
            ports,
            recursive: false,
            window_max: 2_000,
            path_window_max: 2_000,
            rate_qps: None,
            careful: false,
            trains: true,
        });
        let routes = (0..routes).map(|_| {
            engine.add_route(RouteOptions {
                upstreams: vec![upstream],
                zone_octets: 17,
                pace: None,
            })
        });
        let routes = routes.collect();
        let names = (0..256).map(|number| format!("{number}.2.0.192.bl.example.test").parse().expect("a name"));
        Bench {
            routes,
            names: names.collect(),
            batch: Batch::new(),
            now: Instant::from_nanos(1),
            replies: Vec::with_capacity(64),
            engine,
        }
    }

    /// Carries out so many exchanges; every query is answered NXDOMAIN at the next step.
    fn exchange(&mut self, count: usize) {
        let (mut submitted, mut ended) = (0, 0);
        while ended < count {
            for &route in &self.routes {
                for _ in 0..self.engine.room(route).min(count - submitted).min(64) {
                    let ask = Ask {
                        ticket: Ticket(submitted as u64),
                        name: &self.names[submitted % self.names.len()],
                        rtype: Rtype::A,
                        route,
                        probe: false,
                    };
                    self.engine.submit(self.now, ask).expect("there is room");
                    submitted += 1;
                }
            }
            self.answer();
            while self.engine.poll_outcome().is_some() {
                ended += 1;
            }
        }
    }

    fn answer(&mut self) {
        self.batch.clear();
        self.engine.poll_transmit(self.now, &mut self.batch);
        self.now += Span::from_micros(100);
        self.replies.clear();
        for cell in self.batch.as_slice() {
            let mut octets = [0; 128];
            let len = cell.octets().len();
            octets[..len].copy_from_slice(cell.octets());
            (octets[2], octets[3]) = (0x84, Rcode::NXDOMAIN.0);
            self.replies.push((cell.port, octets, len));
        }
        for (port, octets, len) in &self.replies {
            let (port, from, octets) = (*port, ([192, 0, 2, 1], 53).into(), &octets[..*len]);
            self.engine.receive(self.now, Received { port, from, octets });
        }
        self.engine.handle_timeout(self.now);
    }
}

/// Exchanges a second, by the number of routes (lists) that share the server.
#[divan::bench(args = [1, 16, 150])]
fn exchanges(bencher: divan::Bencher<'_, '_>, routes: usize) {
    let mut bench = Bench::new(routes);
    bench.exchange(EXCHANGES);
    bencher
        .counter(ItemsCount::new(EXCHANGES))
        .bench_local(|| bench.exchange(EXCHANGES));
}

/// Forged replies that fit nothing: what a flood costs.
#[divan::bench]
fn forged_replies(bencher: divan::Bencher<'_, '_>) {
    let mut bench = Bench::new(1);
    let mut id = 0u16;
    let mut octets = [0u8; 64];
    bencher.counter(ItemsCount::new(1usize)).bench_local(|| {
        id = id.wrapping_add(1);
        octets[..2].copy_from_slice(&id.to_be_bytes());
        let (port, from) = (Port(0), ([192, 0, 2, 1], 53).into());
        bench.engine.receive(
            bench.now,
            Received {
                port,
                from,
                octets: &octets,
            },
        );
    });
}
