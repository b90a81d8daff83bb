//! What is done about a server while somebody forges its replies (RFC 5452 §9.3).
//!
//! ```text
//! datagram that fits nothing ─▶ Alarm of the server that it claims to come from: over the line?
//!        ─▶ Guard ─┬─ TCP was seen to work ─▶ one question tries it ─▶ all go over TCP ─┐ failures
//!                  └─ else ─▶ fresh source ports, others after each ROTATION ◀──────────┘
//!        ─▶ nothing over the line for QUIET ─▶ as before
//! ```
//!
//! An [`Alarm`] is a level: each stray datagram raises it, and each packet that was sent lowers it (its reply may come late,
//! or twice), and so does time. It is looked at where something does not fit and nowhere else: a reply that fits costs
//! nothing for it.
//!
//! The guard must not be a lever for those who forge. TCP is asked by one question at first, while the others go on over UDP;
//! then as many are under way as have been answered, up to [`TCP_GUARDED_MAX`]; after some failures in a row all go over UDP
//! again, by fresh ports, and TCP is tried by a single one only after [`TCP_AGAIN`]. A question that TCP fails goes over UDP
//! as if it had not been asked: it keeps its tries, and goes over TCP no more. Every pace holds for TCP too.
//!
//! Fresh ports are connected to the one server. The engine asks for them ([`Engine::poll_port`]) and says when one is done
//! with: when it is not used any more, and no reply can come to it. There are [`PORTS_MAX`] of them at most, and fewer where
//! whoever opens them has no descriptors to spare; who gets none keeps the ports it has. All that is in force anyway (IDs, case,
//! the match of question and peer) stays so; names with few letters are asked twice over UDP.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;

use crate::clock::{Instant, Span};
use crate::datagram::Port;
use crate::exchange::Upstream;

use super::core::Engine;
use super::path::PathIndex;
use super::slots::{SlotIndex, State};
use super::tcp::{TCP_FAILURES_MAX, TCP_PER_UPSTREAM_MAX};
use super::upstream::{Server, TcpSeen};

/// Datagrams above all that is explained, from which on somebody is taken to be forging replies.
const FLOOD: i32 = 100;

/// Packets at most whose late or second replies are still expected.
const EXPECTED_MAX: i32 = 1_024;

/// The level sinks by one in this time: ten strays a second are no flood.
const SINKS: Span = Span::from_millis(100);

/// How long nothing may be over the line before all is as it was.
const QUIET: Span = Span::from_secs(10);

/// How long fresh ports are used at most: less than it takes to find out a port by its side effects.
const ROTATION: Span = Span::from_secs(10);

/// Fresh ports of one server at a time.
const PORTS_PER_SERVER: usize = 16;

/// Fresh ports at most, those included that still wait for late replies.
pub(super) const PORTS_MAX: usize = 64;

/// Questions of one guarded server under way over TCP at most. They share [`TCP_PER_UPSTREAM_MAX`] connections.
const TCP_GUARDED_MAX: u32 = 64;

/// After how long TCP is tried again where it has failed.
const TCP_AGAIN: Span = Span::from_secs(60);

/// Letters of a name that are enough to guess: with the ID they are 28 bits.
pub(super) const LETTERS_ENOUGH: usize = 12;

/// What the driver is to do about source ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PortWish {
    /// Open one more, connected to `to`, and say so with [`Engine::port_opened`].
    Open {
        /// For whom.
        upstream: Upstream,
        /// Its address.
        to: SocketAddr,
    },
    /// Close this one; its number may be used again.
    Close(Port),
}

/// Whether too much comes in a server's name that fits nothing.
#[derive(Debug, Default)]
pub(super) struct Alarm {
    /// Strays above what is explained; below zero: packets whose replies may still come late or twice.
    level: i32,
    /// Packets that had been sent when it was looked at last.
    sent: u64,
    /// Until when the level has sunk.
    sunk: Instant,
}

impl Alarm {
    /// One more stray, when `sent` packets have gone to the server. Whether that is over the line.
    fn ring(&mut self, now: Instant, sent: u64) -> bool {
        let explained = (sent - self.sent).min(2 * EXPECTED_MAX as u64) as i32; // positive constants
        self.sent = sent;
        let steps = now.since(self.sunk).as_nanos() / SINKS.as_nanos();
        self.sunk += SINKS.times(steps);
        let sunk = steps.min(2 * FLOOD as u64) as i32; // positive constants
        self.level = self.level.min((self.level - sunk).max(0));
        self.level = (self.level - explained).max(-EXPECTED_MAX) + 1;
        self.level = self.level.min(2 * FLOOD);
        self.level >= FLOOD
    }
}

/// By which way a guarded server is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// Over UDP, by fresh ports; TCP may be tried then.
    Udp { again: Instant },
    /// Over UDP, but for one question that tries TCP.
    Trial,
    /// Over TCP: so many at a time, after so many failures in a row.
    Tcp { room: u32, failures: u32 },
}

/// The state of a server whose replies are being forged.
#[derive(Debug)]
pub(super) struct Guard {
    /// When it is over, if nothing is over the line until then.
    until: Instant,
    way: Way,
    /// The fresh ports; while there are none, the server's own are used.
    ports: Vec<Port>,
    /// Those that take their place when all that were asked for are there, and how many are not.
    coming: Vec<Port>,
    missing: usize,
    /// When other ports are wanted.
    rotates: Instant,
    /// Paths that would send over TCP if it had room.
    waiting: VecDeque<PathIndex>,
}

impl Guard {
    /// Ports that its server is asked by.
    pub(super) fn ports(&self) -> &[Port] {
        &self.ports
    }

    /// Questions that may be under way over TCP at a time.
    pub(super) fn tcp_room(&self) -> u32 {
        match self.way {
            Way::Tcp { room, .. } => room.max(TCP_PER_UPSTREAM_MAX),
            _ => TCP_PER_UPSTREAM_MAX,
        }
    }

    fn has_room(&self, in_line: u32) -> bool {
        matches!(self.way, Way::Tcp { room, .. } if in_line < room)
    }
}

/// All guards of an engine.
#[derive(Debug, Default)]
pub(super) struct Guards {
    by_address: HashMap<SocketAddr, Upstream>,
    /// Servers that are guarded now.
    active: Vec<Upstream>,
    wishes: VecDeque<PortWish>,
    /// Fresh ports that are open, and those of them that wait for late replies until then.
    open: usize,
    retired: VecDeque<(Instant, Port)>,
    /// When there is something to do by time.
    pub(super) due: Option<Instant>,
}

/// By which way a question goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Goes {
    Udp,
    Tcp,
    /// Over TCP, when that has room.
    Later,
}

impl Engine {
    /// Remembers by which address a server is known. Those with the same one form a chain.
    pub(super) fn note_address(&mut self, upstream: Upstream) {
        let server = &mut self.servers[usize::from(upstream.0)];
        server.twin = self.guards.by_address.insert(server.address, upstream);
    }

    /// A datagram fits nothing that was asked, and says it comes from `from`.
    pub(super) fn stray(&mut self, now: Instant, from: SocketAddr, port: Port) {
        let mut next = self.guards.by_address.get(&from).copied();
        while let Some(upstream) = next {
            let server = &self.servers[usize::from(upstream.0)];
            if server.is_reached_by(port) {
                self.odd(now, upstream);
                return;
            }
            next = server.twin;
        }
    }

    /// A datagram in a server's name is none of its replies.
    pub(super) fn odd(&mut self, now: Instant, upstream: Upstream) {
        let server = &mut self.servers[usize::from(upstream.0)];
        if !server.alarm.ring(now, server.sent) {
            return;
        }
        match &mut server.guard {
            Some(guard) => guard.until = now + QUIET,
            None => self.raise(now, upstream),
        }
    }

    fn raise(&mut self, now: Instant, upstream: Upstream) {
        self.counters.alarms += 1;
        let server = &mut self.servers[usize::from(upstream.0)];
        // Where nothing but our own machine is between, TCP is as near as UDP: whether it is there may be asked.
        let may_try = match server.tcp {
            TcpSeen::Works => true,
            TcpSeen::Untried => server.address.ip().is_loopback(),
            TcpSeen::Fails => false,
        };
        let (again, rotates) = match may_try {
            true => (now, Instant::FAR),
            false => (Instant::FAR, now),
        };
        server.guard = Some(Box::new(Guard {
            until: now + QUIET,
            way: Way::Udp { again },
            ports: Vec::new(),
            coming: Vec::new(),
            missing: 0,
            rotates,
            waiting: VecDeque::new(),
        }));
        self.guards.active.push(upstream);
        self.guards.due = Some(now);
    }

    /// Whether somebody is taken to be forging this server's replies now.
    pub fn is_guarded(&self, upstream: Upstream) -> bool {
        self.servers[usize::from(upstream.0)].guard.is_some()
    }

    /// Does what is due for guards.
    pub(super) fn turn_guards(&mut self, now: Instant) {
        if self.guards.due.is_none_or(|due| due > now) {
            return;
        }
        for upstream in self.guards.active.clone() {
            let Some(guard) = &self.servers[usize::from(upstream.0)].guard else {
                continue;
            };
            if guard.until <= now {
                self.calm(now, upstream);
            } else if guard.rotates <= now {
                self.rotate(now, upstream);
            }
        }
        self.close_ports(now);
        let guards = self.guards.active.iter().filter_map(|upstream| {
            let guard = self.servers[usize::from(upstream.0)].guard.as_ref()?;
            Some(guard.until.min(guard.rotates))
        });
        let closing = self.guards.retired.front().map(|(at, _)| *at);
        self.guards.due = guards.chain(closing).min();
    }

    /// All is as it was.
    fn calm(&mut self, now: Instant, upstream: Upstream) {
        self.guards.active.retain(|active| *active != upstream);
        let Some(guard) = self.servers[usize::from(upstream.0)].guard.take() else {
            return;
        };
        self.retire(now, guard.ports.into_iter().chain(guard.coming));
        for path in guard.waiting {
            self.wake(path);
        }
    }

    /// Asks for fresh ports, as many as there is room for.
    fn rotate(&mut self, now: Instant, upstream: Upstream) {
        let room = PORTS_MAX - self.guards.open;
        // Half of them wait for late replies while the other half is used.
        let share = (PORTS_MAX / 2 / self.guards.active.len()).clamp(1, PORTS_PER_SERVER);
        let server = &mut self.servers[usize::from(upstream.0)];
        let Some(guard) = &mut server.guard else { return };
        guard.rotates = now + ROTATION;
        if guard.missing > 0 {
            return; // whoever opens them is slow
        }
        guard.missing = room.min(share);
        let to = server.address;
        self.guards.open += guard.missing;
        for _ in 0..guard.missing {
            self.guards.wishes.push_back(PortWish::Open { upstream, to });
        }
    }

    /// What is to be done about source ports next.
    pub fn poll_port(&mut self) -> Option<PortWish> {
        self.guards.wishes.pop_front()
    }

    /// A wish for a port was carried out: this one is open, new to the engine or closed before. None: there is none to be had.
    pub fn port_opened(&mut self, now: Instant, upstream: Upstream, port: Option<Port>) {
        match port {
            Some(port) => {
                self.ids.open_port(port, &mut self.rng);
                self.counters.ports += 1;
            }
            None => self.guards.open -= 1,
        }
        let Some(guard) = &mut self.servers[usize::from(upstream.0)].guard else {
            self.retire(now, port);
            return;
        };
        guard.coming.extend(port);
        guard.missing = guard.missing.saturating_sub(1);
        if guard.missing == 0 && !guard.coming.is_empty() {
            let fresh = std::mem::take(&mut guard.coming);
            let old = std::mem::replace(&mut guard.ports, fresh);
            self.retire(now, old);
        }
    }

    /// Ports are not used any more. They close when no reply to what was sent by them can come, not even late.
    fn retire(&mut self, now: Instant, ports: impl IntoIterator<Item = Port>) {
        let at = now + self.options.timeout.times(2);
        self.guards.retired.extend(ports.into_iter().map(|port| (at, port)));
        let due = self.guards.due.map_or(at, |due| due.min(at));
        self.guards.due = Some(due);
    }

    fn close_ports(&mut self, now: Instant) {
        while let Some(&(at, port)) = self.guards.retired.front() {
            if at > now {
                return;
            }
            self.guards.retired.pop_front();
            if self.ids.is_free(port) {
                self.guards.open -= 1;
                self.guards.wishes.push_back(PortWish::Close(port));
            } else {
                self.retire(now, [port]);
            }
        }
    }

    /// By which way the next question of a path goes.
    pub(super) fn way_of(&self, now: Instant, index: PathIndex, head: SlotIndex) -> Goes {
        let path = &self.paths[usize::from(index.0)];
        let server = &self.servers[usize::from(path.upstream.0)];
        let Some(guard) = &server.guard else {
            return Goes::Udp;
        };
        if self.slots[head].plain || !path.breaker.is_closed() || path.tcp_fails(server) {
            return Goes::Udp;
        }
        match guard.way {
            Way::Udp { again } if again <= now => Goes::Tcp,
            Way::Tcp { .. } if guard.has_room(server.tcp_line) => Goes::Tcp,
            Way::Tcp { .. } => Goes::Later,
            _ => Goes::Udp,
        }
    }

    /// Puts the next question of a path in the line for TCP.
    pub(super) fn divert(&mut self, index: PathIndex) {
        let path = &mut self.paths[usize::from(index.0)];
        let Some(slot) = path.pop(&mut self.slots) else { return };
        let server = &mut self.servers[usize::from(path.upstream.0)];
        let held = &mut self.slots[slot];
        held.tried |= path.bit;
        held.truncated = None;
        held.diverted = true;
        held.state = State::TcpWaiting;
        server.tcp_line += 1;
        self.tcp_waiting.push_back(slot);
        if let Some(guard) = &mut server.guard
            && matches!(guard.way, Way::Udp { .. })
        {
            guard.way = Way::Trial;
        }
    }

    /// A path waits for room over TCP.
    pub(super) fn wait_for_tcp(&mut self, index: PathIndex) {
        let upstream = self.paths[usize::from(index.0)].upstream;
        if let Some(guard) = &mut self.servers[usize::from(upstream.0)].guard
            && !guard.waiting.contains(&index)
        {
            guard.waiting.push_back(index);
        }
    }

    /// Wakes the path that has waited longest for room over TCP, if there is room; who does not take it passes it on.
    pub(super) fn pass_tcp_room_on(&mut self, upstream: Upstream) {
        loop {
            let server = &mut self.servers[usize::from(upstream.0)];
            let Some(guard) = &mut server.guard else { return };
            if !guard.has_room(server.tcp_line) {
                return;
            }
            let Some(waiting) = guard.waiting.pop_front() else {
                return;
            };
            if self.wake(waiting) {
                return;
            }
        }
    }

    /// A question over TCP was answered, or failed.
    pub(super) fn note_tcp(&mut self, now: Instant, upstream: Upstream, answered: bool) {
        let server = &mut self.servers[usize::from(upstream.0)];
        let Some(guard) = &mut server.guard else { return };
        guard.way = match (guard.way, answered) {
            (Way::Tcp { room, .. }, true) => Way::Tcp {
                room: (room + 1).min(TCP_GUARDED_MAX),
                failures: 0,
            },
            (Way::Tcp { room, failures }, false) if failures + 1 < TCP_FAILURES_MAX => Way::Tcp {
                room: (room / 2).max(1),
                failures: failures + 1,
            },
            (_, true) => {
                guard.rotates = Instant::FAR;
                Way::Tcp {
                    room: TCP_PER_UPSTREAM_MAX,
                    failures: 0,
                }
            }
            (Way::Udp { .. }, false) => guard.way, // one that was cut short
            (_, false) => {
                if guard.rotates == Instant::FAR {
                    guard.rotates = now;
                }
                let seen = server.tcp == TcpSeen::Works;
                Way::Udp {
                    again: if seen { now + TCP_AGAIN } else { Instant::FAR },
                }
            }
        };
        if matches!(guard.way, Way::Udp { .. }) {
            self.guards.due = Some(now);
            for path in std::mem::take(&mut guard.waiting) {
                self.wake(path);
            }
            self.recall(now, upstream);
        } else {
            self.pass_tcp_room_on(upstream);
        }
    }

    /// What is in line for TCP because of the guard goes over UDP after all.
    fn recall(&mut self, now: Instant, upstream: Upstream) {
        let is_recalled = |slot: &SlotIndex| {
            self.slots[*slot].diverted && self.paths[usize::from(self.slots[*slot].path.0)].upstream == upstream
        };
        let recalled: Vec<SlotIndex> = self.tcp_waiting.iter().copied().filter(is_recalled).collect();
        self.tcp_waiting.retain(|slot| !recalled.contains(slot));
        for slot in recalled {
            self.leave_line(slot);
            self.back_to_udp(now, slot);
        }
    }

    /// A question that went over TCP because of the guard goes over UDP, and stays there.
    pub(super) fn back_to_udp(&mut self, now: Instant, index: SlotIndex) {
        let slot = &mut self.slots[index];
        (slot.diverted, slot.plain) = (false, true);
        let path = slot.path;
        if self.paths[usize::from(path.0)].breaker.is_closed() {
            self.enqueue(index, path, true);
        } else {
            self.ask_again(now, index);
        }
    }

    /// Nothing is under way any more.
    pub(super) fn forget_diverted(&mut self, now: Instant) {
        for server in &mut self.servers {
            server.tcp_line = 0;
            if let Some(guard) = &mut server.guard {
                guard.waiting.clear();
                if guard.way == Way::Trial {
                    guard.way = Way::Udp { again: now };
                }
            }
        }
    }
}

impl Server {
    /// Whether replies of this server come to a port.
    pub(super) fn is_reached_by(&self, port: Port) -> bool {
        let fresh = self.guard.as_ref().map_or(&[][..], |guard| guard.ports());
        self.ports.contains(&port) || fresh.contains(&port)
    }

    /// The ports that it is asked by.
    pub(super) fn ports_in_use(&self) -> &[Port] {
        match &self.guard {
            Some(guard) if !guard.ports.is_empty() => &guard.ports,
            _ => &self.ports,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rings(alarm: &mut Alarm, now: Instant, sent: u64, strays: u32) -> u32 {
        (0..strays).map(|_| u32::from(alarm.ring(now, sent))).sum()
    }

    #[test]
    fn late_and_second_replies_are_no_alarm_and_a_flood_is() {
        let second = |number: u64| Instant::ZERO + Span::from_secs(number);
        let mut alarm = Alarm::default();
        // A thousand packets, each answered twice; then three hundred late ones, thirty a second.
        for number in 1..=10 {
            assert_eq!(rings(&mut alarm, second(number), 1_000 * number, 1_000), 0);
        }
        for number in 11..=20 {
            assert_eq!(rings(&mut alarm, second(number), 10_000 + 20 * number, 30), 0);
        }
        let flood = rings(&mut alarm, second(30), 10_400, 2_000);
        assert!(flood > 800, "{flood}");
        assert_eq!(rings(&mut alarm, second(60), 10_400, 1), 0, "it has sunk");
    }
}
