//! The commands, a file each: parts from `build`, work by the library, an exit status.

pub(super) mod audit;
pub(super) mod bench;
pub(super) mod check;
pub(super) mod config;
pub(super) mod diff;
pub(super) mod history;
pub(super) mod lab;
pub(super) mod lists;
pub(super) mod lists_check;
pub(super) mod plan;
mod plan_table;
pub(super) mod report;
pub(super) mod runs;
pub(super) mod scan;
pub(super) mod smtp_out;
pub(super) mod stage;
