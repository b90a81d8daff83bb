//! What becomes of an exchange whose try came to nothing: asked again, elsewhere if there is an elsewhere, or ended.

use crate::clock::{Instant, Span};
use crate::datagram::Port;
use crate::exchange::{End, Unsent};

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
            false => self.best_path(now, slot.route, slot.tried),
        };
        if self.paths[usize::from(path.0)].breaker.is_dead() && !slot.probe {
            self.end_given_up(now, index);
        } else {
            self.enqueue(index, path, true);
        }
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
