//! What becomes of an exchange whose try came to nothing: asked again, elsewhere if there is an elsewhere, or ended.

use crate::clock::{Instant, Span};
use crate::datagram::Port;
use crate::exchange::{End, Route, Unsent};

use super::breaker::Tripped;
use super::core::Engine;
use super::path::PathIndex;
use super::slots::{SlotIndex, State};

/// How long an exchange rests after SERVFAIL before it is asked once more of the same server.
const REST: Span = Span::from_millis(700);

/// A window of this size or below is not what overfills a server: loss then has another cause.
const WINDOW_SMALL: u32 = 3;

impl Engine {
    /// A try was not answered in time.
    pub(super) fn lose(&mut self, now: Instant, index: SlotIndex) {
        self.counters.lost += 1;
        self.take_from_flight(index);
        let slot = &self.slots[index];
        let (path_index, trial, sent) = (slot.path, slot.trial, slot.sent);
        let path = &mut self.paths[usize::from(path_index.0)];
        path.window.lost(now, sent);
        let crowded = path.window.size() <= WINDOW_SMALL;
        // In a silence nobody can tell one rate from another.
        if path.breaker.heard_since(sent) {
            path.slow.lost(now, sent, crowded);
        }
        let closed = path.breaker.is_closed();
        // A probe says nothing about an open breaker unless it was the one that was let through.
        let tripped = if closed || trial {
            path.breaker.silent(now, sent)
        } else {
            Tripped::No
        };
        self.retry_silent(now, index);
        if tripped != Tripped::No {
            self.flush(now, path_index);
        }
        self.wake(path_index);
    }

    /// Takes back a packet that our own machine had no room for. It was never sent, which says nothing about its path: it is
    /// the next in line again.
    pub fn refused(&mut self, port: Port, id: u16) {
        let Some(index) = self.ids.holder(port, id) else {
            return;
        };
        self.counters.refused += 1;
        self.counters.sent -= 1;
        self.take_from_flight(index);
        let slot = &mut self.slots[index];
        slot.tries -= 1; // of this packet
        let (path_index, route, again) = (slot.path, slot.route, slot.tries > 0);
        self.counters.retried -= u64::from(again);
        self.uncount_packet(route, again);
        let trial = std::mem::take(&mut self.slots[index].trial);
        let path = &mut self.paths[usize::from(path_index.0)];
        path.window.released();
        if trial {
            path.breaker.forgotten();
        }
        self.enqueue(index, path_index, true);
    }

    /// Our own buffer of a port was full, and so many datagrams were dropped: who answers there is asked for less at a time.
    pub fn overflowed(&mut self, now: Instant, port: Port, dropped: u32) {
        self.counters.overflowed += u64::from(dropped);
        for path in &mut self.paths {
            if self.servers[usize::from(path.upstream.0)].is_reached_by(port) {
                path.window.overflowed(now, path.rtt.estimate());
            }
        }
    }

    /// Asks again, elsewhere if there is an elsewhere, or ends the exchange.
    fn retry_silent(&mut self, now: Instant, index: SlotIndex) {
        if self.slots[index].tries > self.options.retries {
            self.end(now, index, End::Silent);
        } else {
            self.ask_again(now, index);
        }
    }

    /// Puts an exchange in line again, on the best path there is, or ends it if all are dead.
    pub(super) fn ask_again(&mut self, now: Instant, index: SlotIndex) {
        let slot = &self.slots[index];
        let path = match slot.pinned {
            true => slot.path,
            false => self.path_again(now, slot.route, slot.tried),
        };
        if self.paths[usize::from(path.0)].breaker.is_dead() && !slot.probe {
            self.end_given_up(now, index);
        } else {
            self.enqueue(index, path, true);
        }
    }

    /// The path for what was lost: one that was not tried, but for one that was asked and has not answered anybody yet while
    /// another has.
    fn path_again(&self, now: Instant, route: Route, tried: u8) -> PathIndex {
        let best = self.best_path(now, route, tried);
        let path = &self.paths[usize::from(best.0)];
        if path.rtt.is_unknown() && path.window.in_flight() > 0 {
            let any = self.best_path(now, route, 0);
            let other = &self.paths[usize::from(any.0)];
            if !other.is_unheard() && other.breaker.is_closed() && !other.is_left() {
                return any;
            }
        }
        best
    }

    /// What waits for a path that is held goes elsewhere if there is an elsewhere; if the path has died, what cannot go
    /// elsewhere ends. Probes stay: they may pass.
    pub(super) fn flush(&mut self, now: Instant, index: PathIndex) {
        let waiting = self.paths[usize::from(index.0)].queue.len();
        for _ in 0..waiting {
            let path = &mut self.paths[usize::from(index.0)];
            let dead = path.breaker.is_dead();
            let leaves = dead || path.is_left();
            let Some(slot) = path.queue.pop_front(&mut self.slots) else {
                return;
            };
            let other = self.best_path(now, self.slots[slot].route, self.slots[slot].tried);
            let breaker = &self.paths[usize::from(other.0)].breaker;
            if other != index && (breaker.is_closed() || (leaves && breaker.is_open())) {
                self.enqueue(slot, other, false);
            } else if dead {
                self.end_given_up(now, slot);
            } else {
                self.enqueue(slot, index, false); // its turn comes round again: the order stays
            }
        }
    }

    /// Ends an exchange for which there is no path left.
    fn end_given_up(&mut self, now: Instant, index: SlotIndex) {
        let end = if self.slots[index].tries > 0 {
            End::Silent
        } else {
            End::Unsent(Unsent::Dead)
        };
        self.end(now, index, end);
    }

    /// Asks again of another server of the route that has not been tried; false if there is none.
    pub(super) fn retry_elsewhere(&mut self, now: Instant, index: SlotIndex) -> bool {
        let slot = &self.slots[index];
        let path = self.best_path(now, slot.route, slot.tried);
        let other = &self.paths[usize::from(path.0)];
        if slot.pinned
            || other.is_left()
            || other.bit & slot.tried != 0
            || !other.breaker.is_closed()
            || slot.tries > self.options.retries
        {
            return false;
        }
        self.enqueue(index, path, true);
        true
    }

    /// The rest is over: on the same path, because another's turn would have come before, unless it has died meanwhile.
    pub(super) fn wake_from_rest(&mut self, now: Instant, index: SlotIndex) {
        let path = self.slots[index].path;
        if self.paths[usize::from(path.0)].breaker.is_closed() {
            self.enqueue(index, path, true);
        } else {
            self.ask_again(now, index);
        }
    }

    /// Asks once more of the same server after a rest.
    pub(super) fn rest(&mut self, now: Instant, index: SlotIndex) {
        self.slots[index].state = State::Resting;
        self.wheel.arm(index, now + REST);
    }
}

#[cfg(test)]
mod tests {

    use super::super::sample;
    use super::*;
    use crate::datagram::{Batch, Received};
    use crate::engine::path::RouteOptions;
    use crate::exchange::{Ask, Ticket};
    use crate::wire::{Name, Rcode, Rtype};

    /// Authorities of one zone, 50 ms away.
    struct World {
        engine: Engine,
        route: Route,
        now: Instant,
        /// Server, name and time of each packet.
        sent: Vec<(u8, Name, Instant)>,
        coming: Vec<(Instant, Port, std::net::SocketAddr, Vec<u8>)>,
    }

    impl World {
        fn new(servers: u8) -> World {
            let mut engine = sample::engine(Span::from_secs(3));
            let upstreams = (0..servers).map(|last| {
                let port = engine.add_port();
                sample::authority(&mut engine, last, port)
            });
            let upstreams = upstreams.collect();
            let route = engine.add_route(RouteOptions {
                upstreams,
                zone_octets: 0,
                pace: None,
            });
            World {
                engine,
                route,
                now: Instant::ZERO,
                sent: Vec::new(),
                coming: Vec::new(),
            }
        }

        fn ask(&mut self, name: &str) {
            let ask = Ask {
                ticket: Ticket(0),
                name: &name.parse().expect("a name"),
                rtype: Rtype::A,
                route: self.route,
                probe: false,
            };
            self.engine.submit(self.now, ask).expect("room");
        }

        /// Lets some hundredths of a second go by. Packets that `answers` says so of are answered.
        fn go_on(&mut self, steps: u32, answers: impl Fn(u8, &Name) -> bool) {
            for _ in 0..steps {
                self.engine.handle_timeout(self.now);
                let mut batch = Batch::new();
                self.engine.poll_transmit(self.now, &mut batch);
                for cell in batch.as_slice() {
                    let std::net::IpAddr::V4(address) = cell.to.ip() else {
                        continue;
                    };
                    let (server, mut message) = (address.octets()[3], cell.octets().to_vec());
                    let end = 12 + message[12..].iter().position(|octet| *octet == 0).expect("a root");
                    let labels = String::from_utf8(message[13..end].to_vec()).expect("a label of letters");
                    let name: Name = labels
                        .split(char::from(4))
                        .next()
                        .expect("one")
                        .parse()
                        .expect("a name");
                    self.sent.push((server, name.clone(), self.now));
                    if answers(server, &name) {
                        message[2] |= 0x84;
                        message[3] = Rcode::NXDOMAIN.0;
                        let at = self.now + Span::from_millis(50);
                        self.coming.push((at, cell.port, cell.to, message));
                    }
                }
                self.now += Span::from_millis(10);
                while self.coming.first().is_some_and(|next| next.0 <= self.now) {
                    let (_, port, from, octets) = self.coming.remove(0);
                    let octets = &octets;
                    self.engine.receive(self.now, Received { port, from, octets });
                }
            }
        }

        /// When, and of whom, a name was asked.
        fn asked(&self, name: &str) -> Vec<(u8, u64)> {
            let name: Name = name.parse().expect("a name");
            let of_it = self.sent.iter().filter(|(_, sent, _)| *sent == name);
            of_it
                .map(|(server, _, at)| (*server, at.as_nanos() / 1_000_000))
                .collect()
        }
    }

    /// Time-outs grow where nothing comes; what is lost by chance while others are answered is not waited for the longer.
    #[test]
    fn time_outs_double_only_where_nothing_has_come_since() {
        let lost: Name = "lost".parse().expect("a name");
        for others in [true, false] {
            let mut world = World::new(1);
            for number in 0..30 {
                world.ask(&format!("n{number}"));
            }
            world.go_on(100, |_, _| true);
            world.ask("lost");
            for number in 0..20 {
                if others {
                    world.ask(&format!("m{number}"));
                }
                world.go_on(10, |_, name| *name != lost);
            }
            let at: Vec<u64> = world.asked("lost").iter().map(|(_, at)| *at).collect();
            assert_eq!(at.len(), 4, "{at:?}");
            let gaps = [at[1] - at[0], at[2] - at[1], at[3] - at[2]].map(|gap| gap / 100);
            match others {
                true => assert_eq!(gaps, [2, 2, 4]),
                false => assert_eq!(gaps, [2, 4, 8]),
            }
        }
    }

    /// Of two servers, where neither says anything: a second for each, and two for each.
    #[test]
    fn time_outs_double_for_each_server_by_itself() {
        let mut world = World::new(2);
        world.ask("lost");
        world.go_on(700, |_, _| false);
        let asked = world.asked("lost");
        let at: Vec<u64> = asked.iter().map(|(_, at)| *at / 1_000).collect();
        assert_eq!(at, [0, 1, 2, 4], "{asked:?}");
        assert_eq!(world.engine.open(), 0, "it has ended");
    }

    /// What the server that lives has lost goes to it once more, and not to the other, of which nothing is known but that it
    /// was asked.
    #[test]
    fn what_is_lost_goes_to_a_server_that_has_answered() {
        let mut world = World::new(2);
        ["a", "b", "c", "d"].into_iter().for_each(|name| world.ask(name));
        let lost: Name = "b".parse().expect("a name");
        let (first, heard) = (std::cell::Cell::new(true), 1);
        world.go_on(40, |server, name| server == heard && (*name != lost || !first.take()));
        let asked = world.asked("b");
        assert_eq!(asked.first().map(|(server, _)| *server), Some(heard), "{asked:?}");
        assert_eq!(asked.get(1).map(|(server, _)| *server), Some(heard), "{asked:?}");
    }
}
