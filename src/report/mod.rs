//! What a run found, written down: sinks over `io::Write`, one a format.
//!
//! `(dossier, judgement) ─▶ Outputs ─▶ JsonlSink, JsonSink, ListingsCsv, …`: a file each; `TableSink`: a terminal.
//!
//! A [`Sink`] is fed [`Sink::begin`], [`Sink::target`] for each closed dossier, and [`Sink::finish`]. It knows no clock, and
//! its memory does not grow with the targets. A dossier that is revised comes once more as a JSON line; other forms, and
//! files, are then written anew (`held`). `escape` keeps hostile text harmless.

mod audit;
mod changes;
mod csv;
mod escape;
mod found;
mod held;
mod html;
mod json;
mod letter;
mod markdown;
mod nagios;
mod output;
mod pair;
mod parquet;
mod part;
mod prometheus;
mod record;
mod reputon;
#[cfg(test)]
mod sample;
mod sink;
mod summary;
mod table;
#[cfg(test)]
mod tests;

pub use csv::{ListingsCsv, ListsCsv, TargetsCsv};
pub use escape::{csv_cell, visible, visible_octets};
pub use held::HeldSink;
pub use html::HtmlSink;
pub use json::{JsonSink, JsonlSink};
pub use letter::{Letter, Line, Mark};
pub use markdown::MarkdownSink;
pub use nagios::nagios_line;
pub use output::{Format, Options, OutputError, Outputs};
#[cfg(feature = "parquet")]
pub use parquet::ParquetSink;
pub use prometheus::PrometheusSink;
pub use record::{Health, ListRecord, ListingRecord, RunRecord, TargetRecord, UnknownRecord, to_json};
pub use reputon::ReputonSink;
pub use sink::{Judged, RunEnd, RunHead, Sink};
pub use table::TableSink;
