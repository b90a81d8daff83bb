//! Moves packets between an engine and a network: in, out, and over TCP. Whoever drives an engine here uses it.

use crate::clock::Instant;
use crate::datagram::{Batch, TcpFailure};
use crate::engine::Engine;

use super::network::Network;

/// Takes what has come, and what time-outs bring; the outcomes wait at the engine. Returns the packets.
pub(super) fn receive(engine: &mut Engine, network: &mut impl Network, now: Instant) -> usize {
    let received = network.receive(&mut |datagram| engine.receive(now, datagram));
    while let Some((port, dropped)) = network.poll_overflowed() {
        engine.overflowed(now, port, dropped);
    }
    while let Some((key, result)) = network.poll_tcp() {
        let result = result.as_deref().map_err(|failure| *failure);
        engine.receive_tcp(now, key, result);
    }
    engine.handle_timeout(now);
    received
}

/// Sends what may be sent; returns how much that was.
pub(super) fn transmit(engine: &mut Engine, network: &mut impl Network, now: Instant, batch: &mut Batch) -> usize {
    let mut sent = 0;
    // First what has been cut short: its exchanges are open already, and UDP alone could use up every pace.
    while let Some(query) = engine.poll_tcp(now) {
        sent += 1;
        if let Err(key) = network.ask_tcp(query) {
            engine.receive_tcp(now, key, Err(TcpFailure::Broken));
        }
    }
    loop {
        batch.clear();
        engine.poll_transmit(now, batch);
        if batch.is_empty() {
            break;
        }
        sent += batch.as_slice().len();
        network.send(batch);
        let mut refused = false;
        while let Some((port, id)) = network.poll_refused() {
            engine.refused(port, id);
            refused = true;
        }
        // Where there is no room now there may be in the next turn.
        if refused || !batch.is_full() {
            break;
        }
    }
    sent
}
