//! reputon: a high-throughput batch DNSBL scanning engine, and the map of its house.
//!
//! # The way of a target
//!
//! ```text
//! targets → plan → query → engine ⇄ transport → outcome → observation → tile → dossier → verdict → report
//!                    ↑                                   stages ⇄ lookups ↗       ↘ store (resume, budgets, history)
//! ```
//!
//! [`targets`] reads what was typed into a compact set of chunks. [`plan`] lays targets × lists and decides what need not be
//! asked: parts of a composite zone, other addresses of an IPv6 unit, lists whose [`zone`] data is on disk. [`scan`] examines
//! each list, then asks what is pending through one sans-IO [`engine`] over [`transport`]'s sockets, and turns outcomes into
//! observations by the rules of [`dnsxl`]. The [`stages`] ask for names, policies and origins through the same engine.
//! Observations live in a [`dossier::Tile`] until every one is settled and confirmed by a later control; then its targets become
//! dossiers, which the [`store`] keeps, [`verdict`] judges and [`report`] writes. What was pruned on a denial that proves false is
//! recalled from the store after the last tile, asked, and handed out again as a revision.
//!
//! Three ideas carry the rest:
//!
//! 1. Mechanism and meaning meet only in [`scan`]. The engine knows no list, no socket and no clock; [`dnsxl`] and [`stages`]
//!    know no engine. Both sides speak [`exchange`].
//! 2. What the network does is data. Every planned pair ends as exactly one [`dnsxl::Observation`], and what is not known is
//!    `Unknown` with its cause, never clean and never listed.
//! 3. The tile (256 targets, of whatever kinds, × the lists) is the unit of memory and order: a bounded number is open, whatever the range.
//!
//! # Decided, and what it costs
//!
//! * Every run examines every list by its test entries, whatever a run has found an hour ago, and no target is asked about before
//!   that has passed. A list that is dead or refuses gets some probes and nothing else, and as all lists are examined at once, they
//!   tell a broken resolver from a broken list. It costs a round trip and six probes a list.
//! * What a list said is believed when a later control of it was good: one more round trip at the end.
//! * One thread asks until it has its hands full, and others only where all servers are on this machine (or, if so many are asked
//!   for, its network) and nothing holds for all questions together: no rate, budget, pruning or stage ([`scan::Workers`]). A thread
//!   pays for a query some two fifths of what a responder on the same machine pays that does nothing but receive and reply
//!   (`benches/README.md`), so that by count it takes more than two cores of a server before a scan waits for it. Workers share no
//!   knowledge: each examines and controls the lists itself. Several machines share a range by `--shard`.
//!
//! # The floors
//!
//! A floor imports from those above it in this list only.
//!
//! | floor | rooms |
//! |---|---|
//! | 1 | [`wire`], [`clock`], [`datagram`] |
//! | 2 | [`exchange`], [`targets`], [`zone`], [`transport`] |
//! | 3 | [`engine`], [`dnsxl`], [`stages`] |
//! | 4 | [`dossier`], [`plan`] |
//! | 5 | [`scan`], [`verdict`], [`store`] |
//! | 6 | [`report`], [`lab`] |
//! | 7 | this file |
//! | 8 | the binary's `cli` |
//!
//! # Doors
//!
//! [`scan::Scan`] runs a plan; what it remembers beyond itself it is given as [`dossier::Journal`] and [`plan::Ledger`], which the
//! [`store`] is, so that neither knows the other. [`engine::Engine`] with [`wire`] is for those who bring their own loop. [`dnsxl::Catalogue`],
//! [`verdict::Judge`] and [`report::Sink`] are values and traits for those who bring their own data.

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
