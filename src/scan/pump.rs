//! Moves packets between an engine and a network: in, out, and over TCP. Whoever drives an engine here uses it.

use crate::clock::Instant;
use crate::datagram::{Batch, TcpFailure};
use crate::engine::{Engine, PortWish};

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
    change_ports(engine, network, now);
    let mut sent = 0;
    loop {
        // First what has been cut short: its exchanges are open already, and UDP alone could use up every pace.
        sent += ask_tcp(engine, network, now);
        batch.clear();
        engine.poll_transmit(now, batch);
        sent += batch.as_slice().len();
        let mut refused = false;
        if !batch.is_empty() {
            network.send(batch);
            while let Some((port, id)) = network.poll_refused() {
                engine.refused(port, id);
                refused = true;
            }
        }
        if batch.is_full() && !refused {
            continue;
        }
        // Of servers whose replies are being forged, what might have been sent has gone into the line for TCP.
        let diverted = ask_tcp(engine, network, now);
        sent += diverted;
        // Where there is no room now there may be in the next turn.
        if diverted == 0 || refused {
            return sent;
        }
    }
}

/// Hands over what is to be asked over TCP; returns how much that was.
fn ask_tcp(engine: &mut Engine, network: &mut impl Network, now: Instant) -> usize {
    let mut asked = 0;
    while let Some(query) = engine.poll_tcp(now) {
        asked += 1;
        if let Err(key) = network.ask_tcp(query) {
            engine.receive_tcp(now, key, Err(TcpFailure::Broken));
        }
    }
    asked
}

/// Opens and closes source ports as the engine wishes.
fn change_ports(engine: &mut Engine, network: &mut impl Network, now: Instant) {
    while let Some(wish) = engine.poll_port() {
        match wish {
            PortWish::Open { upstream, to } => {
                let port = network.open_spare_port(to).ok();
                engine.port_opened(now, upstream, port);
            }
            PortWish::Close(port) => network.close_port(port),
        }
    }
}
