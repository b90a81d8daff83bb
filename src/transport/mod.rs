//! Sockets: UDP in batches, and TCP for replies that do not fit a datagram.
//!
//! The only place that opens sockets for queries, and (in `batch`) the only unsafe code. It knows datagrams and messages,
//! no exchanges: `scan` carries them between here and the engine. Errors of single packets are counted, not returned: a
//! packet that could not be sent is a packet lost, and the engine's time-outs deal with it.

mod batch;
mod tcp;
mod train;
mod udp;

pub use tcp::Tcp;
pub use udp::{Udp, UdpCounters, is_near};
