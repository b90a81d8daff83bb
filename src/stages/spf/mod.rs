//! Who may send mail for a domain: the Sender Policy Framework (RFC 7208), evaluated and judged.
//!
//! ```text
//! input (ip, HELO, MAIL FROM) → identity → fetch (TXT, one record) → parse → eval ⇄ Resolver → SpfResult
//!                                                                      lint ⇄ walk ⇄ Resolver → SpfReport
//! ```
//!
//! [`check_host`] is the receiver's view: what becomes of one mail. [`lint()`] is the publisher's view: what is wrong with
//! the policy, whoever sends. Both read records through the same strict parser ([`SpfRecord::parse`]); a syntax error has its
//! place and the offending text. Every text that came from the network is escaped before it is shown.
//!
//! Bounds: 10 terms that cause lookups, 2 void lookups, 10 MX hosts and 10 PTR names a term (RFC 7208 §4.6.4), the length
//! of records and expansions, the queries of one check. Time is bounded by whoever drives the future: §4.6.4 wants at least
//! 20 seconds and "temperror" beyond.

mod eval;
mod fetch;
mod input;
mod limits;
mod lint;
mod macros;
mod outcome;
mod parse;
mod ranges;
mod record;
mod stage;
mod walk;

pub use eval::check_host;
pub use input::{Identity, SpfInput};
pub use limits::QUERIES_MAX;
pub use lint::{LintFinding, SpfReport, lint};
pub use macros::{MacroString, MacroValues};
pub use outcome::{Problem, SpfResult, Verdict};
pub use record::{Directive, DualPrefix, Mechanism, Modifier, Qualifier, SpfRecord, SyntaxError};
pub use stage::{Authorisation, Policy, STAGE, authorisation, policy};
