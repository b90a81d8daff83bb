//! Taking replies: match, believe or drop, and decide whether the exchange is over (RFC 5452 §9.1, RFC 7766 §5).

use crate::clock::Instant;
use crate::datagram::{Received, TcpFailure, TcpKey};
use crate::exchange::{End, Reply};
use crate::wire::{Header, Mismatch, Rcode, id_of, match_reply};

use super::core::{Engine, TIMEOUT_MIN_AUTHORITY};
use super::guard::LETTERS_ENOUGH;
use super::slots::{SlotIndex, State};
use super::slow::Slow;
use super::tcp::{TCP_FAILURES_MAX, TCP_PER_UPSTREAM_MAX, TCP_SLIPPED_MAX, slot_of};
use super::upstream::TcpSeen;

/// What every server sends over UDP (RFC 1035 §2.3.4).
const UDP_ALWAYS: usize = 512;

/// Replies that are heard to a question while replies are being forged, until two in a row agree.
const DOUBTS_MAX: u8 = 4;

impl Engine {
    /// Takes a datagram. What fits no exchange is counted and dropped, and ends no wait.
    pub fn receive(&mut self, now: Instant, datagram: Received<'_>) {
        let Some(id) = id_of(datagram.octets) else {
            self.counters.malformed += 1;
            return;
        };
        let Some(index) = self.ids.holder(datagram.port, id) else {
            self.counters.unmatched += 1;
            self.stray(now, datagram.from, datagram.port);
            return;
        };
        let slot = &self.slots[index];
        debug_assert_eq!(slot.state, State::InFlight, "only packets in flight hold IDs");
        let upstream = self.paths[usize::from(slot.path.0)].upstream;
        if self.servers[usize::from(upstream.0)].address != datagram.from {
            self.counters.wrong_peer += 1;
            self.stray(now, datagram.from, datagram.port);
            return;
        }
        match match_reply(datagram.octets, slot.name.as_wire(), slot.rtype, slot.demand_case) {
            Ok(header) => self.accept(now, index, header, datagram.octets),
            Err(Mismatch::Case) => self.case_missed(now, index),
            // It has no question to guess: where replies are being forged, the later tries go without EDNS anyway.
            Err(Mismatch::BareFormerr) if slot.edns && !self.is_guarded(upstream) => self.edns_lost(now, index),
            Err(Mismatch::BareFormerr | Mismatch::Malformed) => self.counters.malformed += 1,
            Err(Mismatch::NotAReply | Mismatch::Question) => {
                self.counters.wrong_question += 1;
                self.odd(now, upstream);
            }
        }
    }

    /// Everything fits but the letters' case. It is not believed, and says nothing about the path either: the question
    /// is asked anew at once, because a server that does not keep case has nothing else to say.
    fn case_missed(&mut self, now: Instant, index: SlotIndex) {
        self.counters.wrong_case += 1;
        self.take_from_flight(index);
        let slot = &mut self.slots[index];
        slot.case_misses = slot.case_misses.saturating_add(1);
        let (path, misses, trial) = (slot.path, slot.case_misses, slot.trial);
        let path = &mut self.paths[usize::from(path.0)];
        path.case.missed(misses);
        path.window.released();
        if trial {
            path.breaker.forgotten();
        }
        self.repeat(now, index);
    }

    /// Whether a reply must be had twice before it is believed: forged ones are coming, and there was little or no case to
    /// guess.
    fn wants_another(&mut self, index: SlotIndex, header: &Header) -> bool {
        let slot = &self.slots[index];
        let path = &self.paths[usize::from(slot.path.0)];
        if self.servers[usize::from(path.upstream.0)].guard.is_none() {
            return false;
        }
        let zone_octets = self.route_of(slot.route).zone_octets;
        if slot.demand_case && letters(slot.name.as_wire(), zone_octets) >= LETTERS_ENOUGH {
            return false;
        }
        let slot = &mut self.slots[index];
        let said = (header.rcode, header.answers);
        slot.doubts += 1;
        slot.said.replace(said) != Some(said) && slot.doubts < DOUBTS_MAX
    }

    /// The server does not know EDNS (RFC 6891 §7): ask again without.
    fn edns_lost(&mut self, now: Instant, index: SlotIndex) {
        let upstream = self.paths[usize::from(self.slots[index].path.0)].upstream;
        self.servers[usize::from(upstream.0)].edns = false;
        self.answered(now, index, true);
        self.repeat(now, index);
    }

    /// Asks the same server once more, at once; another one if this path has been closed meanwhile, for a reply that is not
    /// believed does not open it.
    fn repeat(&mut self, now: Instant, index: SlotIndex) {
        let path = self.slots[index].path;
        self.slots[index].tries = self.slots[index].tries.saturating_sub(1); // not a try lost
        if self.paths[usize::from(path.0)].breaker.is_closed() {
            self.enqueue(index, path, true);
        } else {
            self.ask_again(now, index);
        }
    }

    /// What any reply says about its path; the packet is no longer in flight.
    fn answered(&mut self, now: Instant, index: SlotIndex, full: bool) {
        let slot = &self.slots[index];
        let (path_index, edns, again) = (slot.path, slot.edns, slot.tries > 1);
        let path = &mut self.paths[usize::from(path_index.0)];
        path.rtt.sample(now.since(slot.sent));
        path.window.answered(path.rtt.estimate());
        let revived = path.breaker.replied(now);
        if revived {
            path.window.restart();
            path.slow = Slow::default();
        }
        if full {
            path.slow.good(now);
        }
        let server = &mut self.servers[usize::from(path.upstream.0)];
        server.edns_answered |= edns;
        if !edns && !server.edns_answered && (again || revived) {
            server.edns = false; // silent with EDNS, and now a reply without
        }
        self.take_from_flight(index);
        if revived {
            self.rouse(path_index);
        }
    }

    fn accept(&mut self, now: Instant, index: SlotIndex, header: Header, message: &[u8]) {
        let path_index = self.slots[index].path;
        let slipped = header.truncated && header.answers == 0;
        let sent = self.slots[index].sent;
        // A server in trouble may answer that in full at any rate.
        let full = !slipped && matches!(header.rcode, Rcode::NOERROR | Rcode::NXDOMAIN);
        self.answered(now, index, full);
        let path = &mut self.paths[usize::from(path_index.0)];
        if header.case_kept {
            path.case.kept();
        }
        if header.authoritative {
            path.rtt.lower_floor(TIMEOUT_MIN_AUTHORITY); // it has no cache to fill before it answers
        }
        if slipped {
            path.slow.slipped(now, sent, header.rcode == Rcode::NXDOMAIN);
        }
        if header.truncated {
            self.counters.truncated += 1;
            self.go_tcp(now, index, header, slipped);
            return;
        }
        if self.wants_another(index, &header) {
            self.repeat(now, index);
            return;
        }
        self.settle(now, index, header, message);
    }

    /// Decides by the response code whether this is the end.
    fn settle(&mut self, now: Instant, index: SlotIndex, header: Header, message: &[u8]) {
        let slot = &self.slots[index];
        let upstream = self.paths[usize::from(slot.path.0)].upstream;
        let speaks = header.authoritative || self.servers[usize::from(upstream.0)].recursive;
        match header.rcode {
            Rcode::NOERROR | Rcode::NXDOMAIN if speaks => (),
            Rcode::FORMERR if slot.edns => {
                self.servers[usize::from(upstream.0)].edns = false;
                self.repeat(now, index);
                return;
            }
            Rcode::SERVFAIL => {
                let again = !slot.repeated && slot.tries <= self.options.retries;
                if self.retry_elsewhere(now, index) {
                    return;
                }
                if again {
                    self.slots[index].repeated = true;
                    self.rest(now, index);
                    return;
                }
            }
            // A server that does not speak for the zone, or not for this part of it, is no better than one that fails.
            _ => {
                if self.retry_elsewhere(now, index) {
                    return;
                }
            }
        }
        let (route, probe) = (self.slots[index].route, self.slots[index].probe);
        let keep = header.answers > 0 || probe || !speaks || self.route(route).general;
        let reply = Reply {
            rcode: header.rcode,
            authoritative: header.authoritative,
            truncated: false,
            answers: header.answers,
            message: keep.then(|| message.into()),
        };
        self.end_replied(now, index, reply);
    }

    /// The reply was cut short: the whole one is to be had over TCP. Of empty ones, which are (perhaps) a sign of rate
    /// limiting, TCP brings a few, and the others are asked again at the slower pace.
    fn go_tcp(&mut self, now: Instant, index: SlotIndex, header: Header, slipped: bool) {
        let slot = &mut self.slots[index];
        let path = &self.paths[usize::from(slot.path.0)];
        let tcp_fails = path.tcp_fails(&self.servers[usize::from(path.upstream.0)]);
        let few = !tcp_fails && self.tcp_waiting.len() < TCP_SLIPPED_MAX;
        if slipped && !few && path.slow.rate().is_some() && slot.tries <= self.options.retries {
            let path = slot.path;
            self.enqueue(index, path, true);
            return;
        }
        slot.truncated = Some((header.rcode, header.authoritative, header.answers));
        if tcp_fails {
            self.tcp_failed(now, index);
        } else {
            slot.state = State::TcpWaiting;
            let upstream = path.upstream;
            self.tcp_waiting.push_back(index);
            self.servers[usize::from(upstream.0)].tcp_line += 1;
        }
    }

    /// There is nothing to be had over TCP. An empty reply may have been for the rate only: then UDP is asked again after
    /// a rest. Else all that is known is that the reply was cut short.
    pub(super) fn tcp_failed(&mut self, now: Instant, index: SlotIndex) {
        let slot = &self.slots[index];
        if slot.diverted {
            self.back_to_udp(now, index);
            return;
        }
        let slipped = matches!(slot.truncated, Some((_, _, 0)));
        if slipped && slot.tries <= self.options.retries {
            self.rest(now, index);
        } else {
            self.end_truncated(now, index);
        }
    }

    /// An exchange is no longer under way over TCP.
    pub(super) fn leave_tcp(&mut self, index: SlotIndex) {
        debug_assert!(self.tcp_in_flight > 0);
        self.tcp_in_flight = self.tcp_in_flight.saturating_sub(1);
        let upstream = self.path_of(index).upstream;
        let server = &mut self.servers[usize::from(upstream.0)];
        server.tcp_in_flight = server.tcp_in_flight.saturating_sub(1);
        if server.tcp_in_flight < TCP_PER_UPSTREAM_MAX {
            self.tcp_connections = self.tcp_connections.saturating_sub(1);
        }
        self.leave_line(index);
    }

    /// An exchange is no longer in line for TCP.
    pub(super) fn leave_line(&mut self, index: SlotIndex) {
        let upstream = self.path_of(index).upstream;
        let server = &mut self.servers[usize::from(upstream.0)];
        server.tcp_line = server.tcp_line.saturating_sub(1);
        self.pass_tcp_room_on(upstream);
    }

    /// Takes what TCP has brought.
    pub fn receive_tcp(&mut self, now: Instant, key: TcpKey, result: Result<&[u8], TcpFailure>) {
        let (index, generation) = slot_of(key);
        let slot = &self.slots[index];
        if slot.generation != generation || slot.state != State::Tcp {
            return; // cancelled meanwhile
        }
        let upstream = self.paths[usize::from(slot.path.0)].upstream;
        let matched = result.ok().and_then(|message| {
            let fits = id_of(message) == Some(slot.id);
            let header = match_reply(message, slot.name.as_wire(), slot.rtype, false).ok()?;
            (fits && !header.truncated).then_some((header, message))
        });
        let server = &mut self.servers[usize::from(upstream.0)];
        match matched {
            Some((header, message)) => {
                let is_news = server.tcp != TcpSeen::Works;
                (server.tcp, server.tcp_failures) = (TcpSeen::Works, 0);
                let (path, diverted) = (slot.path, slot.diverted);
                if is_news {
                    self.rouse(path); // what a limit holds back need not wait for it
                }
                self.note_tcp(now, upstream, true);
                if diverted {
                    self.leave_tcp(index);
                    self.slots[index].diverted = false;
                    self.slots[index].state = State::TcpWaiting; // not under way any more
                    self.settle(now, index, header, message);
                    return;
                }
                let long = message.len() > UDP_ALWAYS;
                if long && self.paths[usize::from(path.0)].slow.was_long() {
                    self.rouse(path);
                }
                let reply = Reply {
                    rcode: header.rcode,
                    authoritative: header.authoritative,
                    truncated: false,
                    answers: header.answers,
                    message: Some(message.into()),
                };
                self.end_replied(now, index, reply);
            }
            None => {
                server.tcp_failures += 1;
                let many = !server.recursive && server.tcp_failures >= TCP_FAILURES_MAX;
                if server.tcp == TcpSeen::Untried && (result == Err(TcpFailure::Connect) || many) {
                    server.tcp = TcpSeen::Fails;
                }
                let general = self.route_of(slot.route).general;
                let path = &mut self.paths[usize::from(slot.path.0)];
                path.tcp_failures += u32::from(!general);
                self.leave_tcp(index);
                let slot = &mut self.slots[index];
                slot.state = State::TcpWaiting; // not under way any more
                if slot.diverted {
                    slot.tries = slot.tries.saturating_sub(1); // not a try lost
                }
                self.tcp_failed(now, index);
                self.note_tcp(now, upstream, false);
            }
        }
    }

    /// All that is known is that the reply was cut short: that is no answer, and the asker is told so.
    fn end_truncated(&mut self, now: Instant, index: SlotIndex) {
        let (rcode, authoritative, answers) = self.slots[index].truncated.unwrap_or((Rcode::SERVFAIL, false, 0));
        let reply = Reply {
            rcode,
            authoritative,
            truncated: true,
            answers,
            message: None,
        };
        self.end(now, index, End::Reply(reply));
    }
}

/// Letters at the end of a name whose case has to be guessed.
fn letters(name: &[u8], zone_octets: usize) -> usize {
    let zone = &name[name.len().saturating_sub(zone_octets)..];
    zone.iter().filter(|octet| octet.is_ascii_alphabetic()).count()
}

#[cfg(test)]
mod tests {

    use super::super::sample;
    use super::*;
    use crate::clock::Span;
    use crate::datagram::Batch;
    use crate::engine::breaker::Breaker;
    use crate::engine::path::RouteOptions;
    use crate::exchange::{Ask, Ticket};
    use crate::wire::Rtype;

    /// A server that was given up brings back a question of before in another letter case. It is asked of the other server: on
    /// the path that is dead it would wait for ever.
    #[test]
    fn a_reply_that_is_not_believed_leaves_no_question_with_a_dead_server() {
        let mut engine = sample::engine(Span::from_secs(30));
        let port = engine.add_port();
        let upstreams = [1, 2].map(|last| sample::authority(&mut engine, last, port));
        let route = engine.add_route(RouteOptions {
            upstreams: upstreams.to_vec(),
            zone_octets: 6,
            pace: None,
        });
        let now = Instant::ZERO + Span::from_secs(1);
        let ask = Ask {
            ticket: Ticket(7),
            name: &"2.0.0.127.test".parse().expect("a name"),
            rtype: Rtype::A,
            route,
            probe: false,
        };
        engine.submit(now, ask).expect("room");
        let mut batch = Batch::new();
        engine.poll_transmit(now, &mut batch);
        let cell = &batch.as_slice()[0];
        let (first, mut reply) = (cell.to, cell.octets().to_vec());
        reply[2] |= 0x80;
        for octet in reply[12..].iter_mut().filter(|octet| octet.is_ascii_alphabetic()) {
            *octet ^= 0x20;
        }
        let path = engine.paths.iter_mut().find(|path| path.bit == 1).expect("the first");
        path.breaker = Breaker::Dead { again: Instant::FAR };
        let octets = &reply[..];
        let datagram = Received {
            port,
            from: first,
            octets,
        };
        engine.receive(now, datagram);
        assert_eq!(engine.counters().wrong_case, 1);
        batch.clear();
        engine.poll_transmit(now, &mut batch);
        let to: Vec<_> = batch.as_slice().iter().map(|cell| cell.to).collect();
        assert_eq!(to, [([192, 0, 2, 2], 53).into()]);
        assert_ne!(to, [first]);
    }
}
