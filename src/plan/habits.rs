//! How a run asks, in numbers: what the scan does and the estimate counts. Pruning has its own.

use crate::clock::Span;

/// Answers of a list between two controls, at most: a control is one query, or up to three.
pub(crate) const CONTROL_ANSWERS: u32 = 2_048;

/// Time between two controls of a list that answers, at most.
pub(crate) const CONTROL_SPAN: Span = Span::from_secs(30);

/// Queries of a day's budget that are kept back for a list's probes and controls.
pub(crate) const BUDGET_FOR_CONTROLS: u64 = 20;

/// Times more than it is tried anyway that a probe may be asked where the server fails or cuts its answers short: once
/// more, and once over TCP. A budget bears a probe only if it bears all that.
pub(crate) const PROBE_TRIES_MORE: u64 = 2;

/// Names that a target is asked by at most.
pub(crate) const NAMES_MAX: usize = 2;

/// Names asked of each resolver before it is used, to see whether it lies.
pub(crate) const CHECK_NAMES: usize = 2;

/// Queries in flight to a resolver at most, if the user does not say: its cache and its own upstreams take them apart.
pub(crate) const RESOLVER_WINDOW_MAX: u32 = 512;

/// Tiles that are held at a time: with 150 lists, some 10 MB.
pub const TILES_MAX: usize = 256;

/// Targets that are explained at the same time; each has a few questions out.
pub(crate) const EXPLAINING_MAX: usize = 512;

/// Related names that are asked about in one run.
pub(crate) const RELATED_PER_RUN_MAX: usize = 1_000;
