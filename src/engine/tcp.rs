//! What goes over TCP: an exchange whose UDP reply was cut short (RFC 7766 §5), or whose server's replies are being forged
//! (`guard`). The engine says what to ask; whoever drives it carries it out and brings back the message.

use crate::datagram::TcpKey;

use super::slots::SlotIndex;

/// Connections at a time, all upstreams together, and exchanges over them: a guarded upstream has more of these than of those.
pub(super) const TCP_MAX: usize = 64;
pub(super) const TCP_QUERIES_MAX: usize = 240;

/// Connections to one upstream, and exchanges too unless it is guarded. A rate-limiting server that cuts replies short would otherwise be flooded over TCP instead.
pub(super) const TCP_PER_UPSTREAM_MAX: u32 = 4;

/// Exchanges in line for TCP after empty replies at most: what a limit has cut short is mostly to be asked again, later.
pub(super) const TCP_SLIPPED_MAX: usize = 16;

/// Failures of any kind after which a server that never answered over TCP is not asked that way any more. A firewall
/// that drops the packets shows as time-outs only, and each of them holds one of the few places for seconds.
pub(super) const TCP_FAILURES_MAX: u32 = 3;

/// The name of a slot's exchange over TCP.
pub(super) fn key(slot: SlotIndex, generation: u32) -> TcpKey {
    TcpKey(u64::from(generation) << 16 | u64::from(slot.0))
}

/// The slot that a key names, and which exchange in it.
pub(super) fn slot_of(key: TcpKey) -> (SlotIndex, u32) {
    (SlotIndex(key.0 as u16), (key.0 >> 16) as u32)
}
