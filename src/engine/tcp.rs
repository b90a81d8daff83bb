//! What goes over TCP: an exchange whose UDP reply was cut short (RFC 7766 §5), one whose server's replies are being forged
//! (`guard`), and one that its server's limit holds back, where that server cuts replies short and TCP was seen to work.
//! The engine says what to ask; whoever drives it carries it out and brings back the message.
//!
//! A server limits the replies to one address because that address may be forged, and cuts some of them short so that a client
//! that is really there asks over TCP, where nothing is limited. So while UDP rests or keeps to the limit, a few questions at a
//! time go over connections that are kept: one in each [`SPILL_SPAN`] and [`TCP_PER_UPSTREAM_MAX`] at a time at most. After some
//! failures in a row there are none, until TCP has worked again. Every pace and budget holds for them.

use crate::clock::{Instant, Span};
use crate::datagram::TcpKey;

use super::core::Engine;
use super::path::PathIndex;
use super::slots::SlotIndex;
use super::upstream::TcpSeen;

/// Connections at a time, all upstreams together, and exchanges over them: a guarded upstream has more of these than of those.
pub(super) const TCP_MAX: usize = 64;
pub(super) const TCP_QUERIES_MAX: usize = 240;

/// Connections to one upstream, and exchanges too unless it is guarded: a server that limits its replies is not to be flooded
/// over TCP instead.
pub(super) const TCP_PER_UPSTREAM_MAX: u32 = 4;

/// Exchanges in line for TCP after empty replies at most: what a limit has cut short is mostly to be asked again, later.
pub(super) const TCP_SLIPPED_MAX: usize = 16;

/// Failures of any kind after which a server that never answered over TCP is not asked that way any more. A firewall
/// that drops the packets shows as time-outs only, and each of them holds one of the few places for seconds.
pub(super) const TCP_FAILURES_MAX: u32 = 3;

/// From one question that a limit holds back to the next one, over TCP. Only near servers see 2,000 a second: one 40 ms away, which
/// is asked [`TCP_PER_UPSTREAM_MAX`] at a time, sees some 50.
const SPILL_SPAN: Span = Span::from_micros(500);

/// Whether a question that a server's limit holds back may go over TCP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Spill {
    /// It may not: it waits for the limit.
    Never,
    Now,
    /// Not before; the limit may let it pass over UDP earlier.
    Later(Instant),
}

impl Engine {
    /// What the next question of a path may do while the limit of its server holds it back.
    pub(super) fn spill(&self, now: Instant, index: PathIndex, head: SlotIndex) -> Spill {
        let path = &self.paths[usize::from(index.0)];
        let server = &self.servers[usize::from(path.upstream.0)];
        let works = server.tcp == TcpSeen::Works && server.tcp_failures < TCP_FAILURES_MAX;
        if !works || !path.slow.cuts_short() || self.slots[head].plain || !path.breaker.is_closed() {
            return Spill::Never;
        }
        if server.tcp_line >= TCP_PER_UPSTREAM_MAX {
            return Spill::Later(now + SPILL_SPAN.times(u64::from(TCP_PER_UPSTREAM_MAX)));
        }
        match server.spills_at > now {
            true => Spill::Later(server.spills_at),
            false => Spill::Now,
        }
    }

    /// A question that a limit holds back goes over TCP.
    pub(super) fn spilt(&mut self, now: Instant, index: PathIndex) {
        let upstream = self.paths[usize::from(index.0)].upstream;
        self.servers[usize::from(upstream.0)].spills_at = now + SPILL_SPAN;
    }
}

/// The name of a slot's exchange over TCP.
pub(super) fn key(slot: SlotIndex, generation: u32) -> TcpKey {
    TcpKey(u64::from(generation) << 16 | u64::from(slot.0))
}

/// The slot that a key names, and which exchange in it.
pub(super) fn slot_of(key: TcpKey) -> (SlotIndex, u32) {
    (SlotIndex(key.0 as u16), (key.0 >> 16) as u32)
}
