//! The scan: where mechanism and meaning meet. A worker asks healthy lists what the plan wants, and hands out dossiers as tiles close.
//!
//! ```text
//! plan ─▶ window (open tiles) ─▶ lanes (list × kind: health, cursor, controls) ─▶ engine ⇄ network
//!   └──────── observations ◀── interpretation ◀── outcomes ◀──────────────────────────┘
//! tile complete ─▶ explained by the stages (futures over lookups ⇄ engine) ─▶ dossiers ─▶ Receiver
//! ```
//! Bounds: [`TILES_MAX`] open tiles, the engine's slots. A stop confirms what it can within [`worker::GRACE`].

mod account;
mod budget;
mod claims;
mod closing;
mod crew;
mod direct;
mod driver;
mod examine;
mod explain;
mod fill;
mod gather;
mod health;
mod inquiry;
mod lane;
mod load;
mod lookups;
mod network;
mod prune;
mod pump;
mod related;
mod resolvers;
mod run;
mod spread;
mod tasks;
mod ticket;
mod undo;
mod units;
mod window;
mod worker;

pub use crate::plan::habits::TILES_MAX;
pub use examine::{Entry, ExamineReport, ExamineStep, Examined, Finding};
pub use inquiry::{Inquired, Inquiry};
pub use network::{Network, RealNetwork};
pub use resolvers::{Server, ServerKind};
pub use run::{
    ListReport, Memory, Order, Progress, Receiver, RunReport, Scan, ScanError, ScanOptions, Slowest, Snapshot, Stop,
    StopReason, Trouble, Workers,
};
pub use tasks::Work;
pub use worker::GRACE;
