//! Sending: paths take turns, and each sends while its breaker, windows and paces let it.

use std::cmp::Reverse;

use rand::{Rng, RngExt};

use crate::clock::Instant;
use crate::datagram::{Batch, TRAIN_MAX, TcpQuery, Transmit};
use crate::wire::{Flags, QueryTail, Rtype, compose, flip_case};

use super::bucket::Bucket;
use super::core::Engine;
use super::guard::Goes;
use super::path::{Case, PathIndex};
use super::slots::{SlotIndex, State};
use super::tcp::{Spill, TCP_MAX, TCP_PER_UPSTREAM_MAX, TCP_QUERIES_MAX, key};

/// Packets that a path sends in one turn: enough to lay runs, few enough that no server gets a long burst.
const TURN: usize = 16;

/// Probes of one path in flight at most, whatever its window: a list that has fallen silent is examined at once, and not
/// one time-out after the other.
const PROBES_AT_ONCE: u32 = 8;

/// Why a path does not send now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Held {
    /// It has nothing to send, or something else will wake it: a reply, a time-out, room at its upstream.
    Asleep,
    /// Until then.
    Until(Instant),
    /// The global pace holds everybody.
    Global,
    /// Its head went over to TCP: the next one may be sent.
    Diverted,
}

impl Engine {
    /// Fills the batch with what may be sent now.
    pub fn poll_transmit(&mut self, now: Instant, batch: &mut Batch) {
        // One port a batch and upstream: replies then come in runs too, and one system call moves many.
        let turn = self.rng.random::<u32>() as usize;
        'paths: while let Some(&index) = self.ready.front() {
            for sent in 0..TURN {
                if batch.is_full() {
                    return;
                }
                match self.may_send(now, index) {
                    Ok(slot) => {
                        let cell = batch.next_cell().expect("the batch is not full");
                        self.send(now, slot, turn, cell);
                    }
                    Err(Held::Global) => {
                        if sent > 0 {
                            self.ready.rotate_left(1); // the next token is the next path's
                        }
                        return;
                    }
                    Err(Held::Diverted) => (),
                    Err(held) => {
                        self.ready.pop_front();
                        let path = &mut self.paths[usize::from(index.0)];
                        path.ready = false;
                        let upstream = path.upstream;
                        if let Held::Until(at) = held {
                            path.scheduled = Some(at);
                            self.later.push(Reverse((at, path.last_sent, index)));
                        }
                        self.pass_room_on(upstream);
                        self.pass_tcp_room_on(upstream);
                        continue 'paths;
                    }
                }
            }
            self.ready.rotate_left(1);
        }
    }

    /// Takes the next slot of a path out of its queue, and a token out of every pace, if all allow it.
    fn may_send(&mut self, now: Instant, index: PathIndex) -> Result<SlotIndex, Held> {
        let path = &self.paths[usize::from(index.0)];
        let head = path.head().ok_or(Held::Asleep)?;
        let probe = self.slots[head].probe;
        if !probe {
            match path.breaker.passes_at(now) {
                None => return Err(Held::Asleep),
                Some(at) if at > now => return Err(Held::Until(at)),
                Some(_) => (),
            }
        }
        let mut goes = self.way_of(now, index, head);
        let mut at = self.paced_at(index);
        let (limited, mut spills) = (path.slow.ready_at(), false);
        if goes == Goes::Udp && limited > now {
            match self.spill(now, index, head) {
                Spill::Never => (),
                Spill::Now => (goes, spills) = (Goes::Tcp, true),
                Spill::Later(turn) => return Err(Held::Until(turn.min(limited))),
            }
        }
        if goes == Goes::Udp {
            let room = path.window.has_room() || probe && path.window.in_flight() < PROBES_AT_ONCE;
            if !room {
                return Err(Held::Asleep);
            }
            at = at.max(limited);
            let server = &mut self.servers[usize::from(path.upstream.0)];
            if server.in_flight >= server.window_max {
                let path = &mut self.paths[usize::from(index.0)];
                if !path.waiting {
                    path.waiting = true;
                    server.waiting.push_back(index);
                }
                return Err(Held::Asleep);
            }
        }
        if goes == Goes::Later {
            self.wait_for_tcp(index);
            return Err(Held::Asleep);
        }
        if at > now {
            return Err(Held::Until(at));
        }
        if self.global.as_ref().is_some_and(|bucket| bucket.ready_at() > now) {
            return Err(Held::Global);
        }
        if goes == Goes::Tcp {
            if spills {
                self.spilt(now, index);
            }
            self.divert(index);
            return Err(Held::Diverted);
        }
        self.take_tokens(now, index);
        let path = &mut self.paths[usize::from(index.0)];
        path.slow.take(now);
        let trial = !path.breaker.is_closed() && path.breaker.passes_at(now) == Some(now);
        if trial {
            path.breaker.passed();
        }
        path.window.sent();
        path.last_sent = now;
        self.slots[head].trial = trial;
        let popped = path.pop(&mut self.slots);
        debug_assert_eq!(popped, Some(head));
        Ok(head)
    }

    /// When the paces of a path's server and of its route let a packet pass.
    fn paced_at(&self, index: PathIndex) -> Instant {
        let path = &self.paths[usize::from(index.0)];
        let server = self.servers[usize::from(path.upstream.0)].bucket.as_ref();
        let pace = self.route_of(path.route).pace;
        let pace = pace.map(|pace| &self.paces[usize::from(pace.0)]);
        let buckets = server.into_iter().chain(pace);
        buckets.map(Bucket::ready_at).max().unwrap_or(Instant::ZERO)
    }

    /// Takes a token out of every bucket that a packet of this path passes.
    fn take_tokens(&mut self, now: Instant, index: PathIndex) {
        let path = &self.paths[usize::from(index.0)];
        let (route, upstream) = (path.route, usize::from(path.upstream.0));
        if let Some(bucket) = &mut self.servers[upstream].bucket {
            bucket.take(now);
        }
        if let Some(pace) = self.route(route).pace {
            self.paces[usize::from(pace.0)].take(now);
        }
        if let Some(bucket) = &mut self.global {
            bucket.take(now);
        }
    }

    /// Writes the query of a slot and arms its time-out.
    fn send(&mut self, now: Instant, index: SlotIndex, turn: usize, cell: &mut Transmit) {
        let slot = &mut self.slots[index];
        let path = &mut self.paths[usize::from(slot.path.0)];
        let server = &mut self.servers[usize::from(path.upstream.0)];
        let ports = server.ports_in_use();
        let port = ports[turn % ports.len()];
        let id = self
            .ids
            .take(port, index, &mut self.rng)
            .expect("there are fewer slots than IDs of one port");
        server.in_flight += 1;
        server.sent += 1;
        // A server that drops queries with EDNS instead of answering FORMERR shows by silence: the later tries go plain,
        // and so does what is to find out whether a silent path is back.
        let hushed = slot.tries >= 2 || !path.breaker.is_closed();
        // One that has answered with EDNS and is silent about this question may send more than the way bears: the last try
        // asks for 512 octets, which every way bears, and what is longer is cut short and fetched over TCP (RFC 6891 §6.2.5).
        let last = slot.tries > 0 && slot.tries >= self.options.retries;
        slot.edns = server.edns && if server.edns_answered { !last } else { !hushed };
        slot.demand_case = path.case != Case::Lost;
        let heard = slot.tries > 0 && path.breaker.heard_since(slot.sent);
        slot.state = State::InFlight;
        slot.id = id;
        slot.port = port;
        slot.sent = now;
        let again = slot.tries > 0;
        slot.tries = slot.tries.saturating_add(1);
        // Time-outs grow with the tries that the same server has let pass.
        let is_first = slot.tried & path.bit == 0;
        slot.tried |= path.bit;
        let patience = match slot.tries_each() {
            _ if is_first => 1,
            // It has answered others since: the way is as it was, and the one before this was lost by chance.
            each if heard => each - 1,
            each => each,
        };
        let tail = QueryTail {
            rtype: slot.rtype,
            flags: Flags {
                recursion: server.recursive,
                edns: slot.edns,
            },
        };
        if path.case != Case::Lost {
            let route = slot.route;
            let zone_octets = self.route_of(route).zone_octets;
            let random = self.rng.next_u64();
            let slot = &mut self.slots[index];
            slot.name.edit_case(|octets| flip_case(octets, zone_octets, random));
        }
        let slot = &self.slots[index];
        let path = &self.paths[usize::from(slot.path.0)];
        let server = &self.servers[usize::from(path.upstream.0)];
        cell.port = port;
        cell.to = server.address;
        cell.train = match server.trains {
            // A quarter of what the server bears at once: a train comes as one burst.
            true => (path.window.size().min(server.window_max) / 4).clamp(1, u32::from(TRAIN_MAX)) as u8,
            false => 1,
        };
        cell.fill(|buffer| compose(buffer, id, slot.name.as_wire(), tail));
        let timeout = match path.breaker.is_closed() {
            true => path.rtt.timeout(patience),
            false if !slot.pinned && self.has_other_way(slot.path) => path.rtt.trial(),
            false => path.rtt.longest(),
        };
        let route = slot.route;
        self.wait_until(now, index, now + timeout);
        self.counters.sent += 1;
        self.counters.retried += u64::from(again);
        self.count_packet(route, again);
    }

    /// The next query to be asked over TCP, if there is one and TCP has room. Such queries keep every pace too; whoever asks
    /// for them before it [sends](Engine::poll_transmit) lets them go first, for they are of exchanges that have begun.
    pub fn poll_tcp(&mut self, now: Instant) -> Option<TcpQuery> {
        let index = self.next_for_tcp(now)?;
        let path = self.slots[index].path;
        self.take_tokens(now, path);
        let upstream = self.paths[usize::from(path.0)].upstream;
        let server = &mut self.servers[usize::from(upstream.0)];
        self.tcp_connections += usize::from(server.tcp_in_flight < TCP_PER_UPSTREAM_MAX);
        server.tcp_in_flight += 1;
        self.tcp_in_flight += 1;
        self.counters.tcp += 1;
        let (to, recursion, guarded) = (server.address, server.recursive, server.guard.is_some());
        let id = self.rng.random();
        let slot = &mut self.slots[index];
        self.counters.diverted += u64::from(slot.diverted && guarded);
        slot.state = State::Tcp;
        slot.edns = false;
        slot.id = id;
        slot.sent = now;
        slot.tries = slot.tries.saturating_add(1);
        let rtype: Rtype = slot.rtype;
        let query = TcpQuery {
            key: key(index, slot.generation),
            to,
            message: slot.name.query(
                id,
                QueryTail {
                    rtype,
                    flags: Flags { recursion, edns: false },
                },
            ),
        };
        let route = slot.route;
        self.count_packet(route, false);
        Some(query)
    }

    /// Takes the next slot out of the line for TCP whose server has room there, and whose paces let it pass (how a server
    /// limits its replies over UDP is none of them). Those whose server has turned out not to answer over TCP go on without.
    fn next_for_tcp(&mut self, now: Instant) -> Option<SlotIndex> {
        self.tcp_due = None;
        if self.tcp_in_flight >= TCP_QUERIES_MAX || self.tcp_waiting.is_empty() {
            return None;
        }
        let global = self.global.as_ref().map_or(Instant::ZERO, Bucket::ready_at);
        loop {
            let mut due: Option<Instant> = None;
            let place = self.tcp_waiting.iter().position(|&index| {
                let path = self.slots[index].path;
                let server = &self.servers[usize::from(self.paths[usize::from(path.0)].upstream.0)];
                if self.paths[usize::from(path.0)].tcp_fails(server) {
                    return true;
                }
                let most = server
                    .guard
                    .as_ref()
                    .map_or(TCP_PER_UPSTREAM_MAX, |guard| guard.tcp_room());
                let takes_one = server.tcp_in_flight < TCP_PER_UPSTREAM_MAX;
                if server.tcp_in_flight >= most || takes_one && self.tcp_connections >= TCP_MAX {
                    return false; // a result wakes it
                }
                let at = self.paced_at(path).max(global);
                if at > now {
                    due = Some(due.map_or(at, |due| due.min(at)));
                }
                at <= now
            });
            let Some(place) = place else {
                self.tcp_due = due;
                return None;
            };
            let index = self.tcp_waiting.remove(place)?;
            let path = &self.paths[usize::from(self.slots[index].path.0)];
            if !path.tcp_fails(&self.servers[usize::from(path.upstream.0)]) {
                return Some(index);
            }
            self.leave_line(index);
            self.tcp_failed(now, index);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;
    use crate::clock::Span;
    use crate::engine::path::RouteOptions;
    use crate::engine::upstream::UpstreamOptions;
    use crate::exchange::{Ask, Ticket, Upstream};

    /// The trains that the first cells of a fresh path may form.
    fn trains(window_max: u32, trains: bool) -> Vec<u8> {
        let mut engine = sample::engine(Span::from_secs(3));
        let upstream = upstream(&mut engine, 1, window_max, trains);
        let route = engine.add_route(RouteOptions {
            upstreams: vec![upstream],
            zone_octets: 6,
            pace: None,
        });
        for ticket in 0..12 {
            let ask = Ask {
                ticket: Ticket(ticket),
                name: &"2.0.0.127.test".parse().expect("a name"),
                rtype: Rtype::A,
                route,
                probe: false,
            };
            engine.submit(Instant::ZERO, ask).expect("room");
        }
        let mut batch = Batch::new();
        engine.poll_transmit(Instant::ZERO, &mut batch);
        batch.as_slice().iter().map(|cell| cell.train).collect()
    }

    #[test]
    fn a_train_is_a_quarter_of_the_window_at_most() {
        assert_eq!(trains(512, true), [3; 12], "the window starts at 12");
        assert_eq!(trains(8, true), [2; 8]);
        assert_eq!(trains(2, true), [1; 2]);
        assert_eq!(trains(512, false), [1; 12]);
    }

    fn upstream(engine: &mut Engine, last: u8, window_max: u32, trains: bool) -> Upstream {
        let ports = vec![engine.add_port()];
        engine.add_upstream(UpstreamOptions {
            address: ([127, 0, 0, last], 53).into(),
            ports,
            recursive: true,
            window_max,
            path_window_max: 128,
            rate_qps: None,
            careful: false,
            trains,
        })
    }

    #[test]
    fn servers_that_are_no_more_a_routes_are_asked_no_more() {
        let mut engine = sample::engine(Span::from_secs(3));
        let servers: Vec<Upstream> = (1..=9).map(|last| upstream(&mut engine, last, 128, false)).collect();
        let route = engine.add_route(RouteOptions {
            upstreams: servers[..2].to_vec(),
            zone_octets: 6,
            pace: None,
        });
        let asked = |engine: &mut Engine| -> Vec<u8> {
            for _ in 0..16 {
                let ask = Ask {
                    ticket: Ticket(0),
                    name: &"2.0.0.127.test".parse().expect("a name"),
                    rtype: Rtype::A,
                    route,
                    probe: false,
                };
                engine.submit(Instant::ZERO, ask).expect("room");
            }
            let mut last = Vec::new();
            let mut batch = Batch::new();
            engine.poll_transmit(Instant::ZERO, &mut batch);
            for cell in batch.as_slice() {
                let std::net::IpAddr::V4(address) = cell.to.ip() else {
                    continue;
                };
                last.push(address.octets()[3]);
            }
            last.sort_unstable();
            last.dedup();
            last
        };
        assert_eq!(asked(&mut engine), [1, 2]);
        engine.set_servers(Instant::ZERO, route, &servers[1..3]);
        let found = asked(&mut engine);
        assert!(!found.contains(&1) && found.contains(&3), "{found:?}");
        // The first two have something under way, so that they keep their places: there are eight.
        engine.set_servers(Instant::ZERO, route, &servers[2..]);
        assert_eq!(engine.upstreams(route).count(), 8);
        assert!(asked(&mut engine).iter().all(|last| *last > 2));
        engine.cancel_all(Instant::ZERO);
        engine.set_servers(Instant::ZERO, route, &servers[2..]);
        assert!(
            engine.upstreams(route).any(|one| one == servers[8]),
            "one has made room"
        );
        engine.set_servers(Instant::ZERO, route, &servers[..1]);
        assert_eq!(asked(&mut engine), [1], "it is back");
        // Whoever names other servers each time makes nothing grow, and what was found out about one of them is not forgotten.
        engine.cancel_all(Instant::ZERO);
        engine.set_servers(Instant::ZERO, route, &servers[..2]);
        assert!(engine.shun(Instant::ZERO, route, servers[0]));
        for round in 0..100 {
            let first = round % 2;
            engine.set_servers(Instant::ZERO, route, &servers[first..first + 8]);
        }
        assert_eq!(engine.paths.len(), servers.len());
        engine.set_servers(Instant::ZERO, route, &servers[..2]);
        assert_eq!(asked(&mut engine), [2], "the other is shunned");
    }
}
