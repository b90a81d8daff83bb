//! reputon: a high-throughput batch DNSBL scanning engine.

pub mod clock;
pub mod datagram;
pub mod dnsxl;
pub mod dossier;
pub mod engine;
pub mod exchange;
pub mod lab;
pub mod plan;
pub mod report;
pub mod scan;
pub mod stages;
pub mod store;
pub mod targets;
pub mod transport;
pub mod verdict;
pub mod wire;
pub mod zone;
