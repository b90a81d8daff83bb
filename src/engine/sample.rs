//! A small engine, and servers for it, for the tests of this floor.

use rand::SeedableRng;
use rand::rngs::StdRng;

use crate::clock::Span;
use crate::datagram::Port;
use crate::exchange::Upstream;

use super::core::{Engine, EngineOptions};
use super::upstream::UpstreamOptions;

/// An engine with few slots; a try may take so long.
pub(super) fn engine(timeout: Span) -> Engine {
    let options = EngineOptions {
        slots: 256,
        timeout,
        retries: 3,
        rate_qps: None,
    };
    Engine::new(options, StdRng::seed_from_u64(1))
}

/// A server of a zone, 192.0.2.`last`, asked from one port.
pub(super) fn authority(engine: &mut Engine, last: u8, port: Port) -> Upstream {
    engine.add_upstream(UpstreamOptions {
        address: ([192, 0, 2, last], 53).into(),
        ports: vec![port],
        recursive: false,
        window_max: 128,
        path_window_max: 128,
        rate_qps: None,
        careful: true,
        trains: false,
    })
}
