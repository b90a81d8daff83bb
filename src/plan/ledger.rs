//! The ledger of operators' daily budgets: queries are reserved in it, a chunk at a time, before they are sent.
//!
//! A budget is what an operator lets one source ask in any 24 hours. What is reserved counts from the moment of the
//! reservation, so that a lease must not be used for long: after [`LEASE_SPAN`] what is left of it is renewed or given
//! back. A crash gives nothing back, and so can only make the rest of the day smaller.

use std::collections::BTreeMap;

use crate::clock::Span;

/// How long a lease may be used. A ledger counts it that much longer than 24 hours.
pub const LEASE_SPAN: Span = Span::from_secs(600);

/// Smallest chunk that is worth a transaction.
const CHUNK_MIN: u64 = 500;

/// How many chunks a budget is leased in, if that makes them larger.
const CHUNKS: u64 = 100;

/// The chunk in which a budget is leased: a crash loses one.
pub fn chunk_of(limit: u64) -> u64 {
    CHUNK_MIN.max(limit / CHUNKS)
}

/// Who knows what operators have been asked in the last 24 hours, by all runs of this source.
pub trait Ledger {
    /// Reserves up to `wanted` queries of an operator that allows `limit` in 24 hours; the number reserved.
    fn reserve(&mut self, operator: &str, limit: u64, wanted: u64) -> u64;

    /// Settles what is left of the leases for an operator: `kept` queries may still be sent and count from now on, `unused`
    /// ones are given back.
    fn settle(&mut self, operator: &str, kept: u64, unused: u64);
}

/// A ledger that remembers one run: budgets hold within it, and are not replenished however long it takes.
#[derive(Debug, Clone, Default)]
pub struct RunLedger {
    reserved: BTreeMap<String, u64>,
}

impl Ledger for RunLedger {
    fn reserve(&mut self, operator: &str, limit: u64, wanted: u64) -> u64 {
        let reserved = self.reserved.entry(operator.to_owned()).or_insert(0);
        let granted = limit.saturating_sub(*reserved).min(wanted);
        *reserved += granted;
        granted
    }

    fn settle(&mut self, operator: &str, _: u64, unused: u64) {
        if let Some(reserved) = self.reserved.get_mut(operator) {
            *reserved = reserved.saturating_sub(unused);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_is_never_reserved_twice_and_what_is_unused_comes_back() {
        let mut ledger = RunLedger::default();
        assert_eq!(ledger.reserve("alpha", 1_000, 600), 600);
        assert_eq!(ledger.reserve("alpha", 1_000, 600), 400);
        assert_eq!(ledger.reserve("alpha", 1_000, 1), 0);
        assert_eq!(ledger.reserve("beta", 10, 600), 10);
        ledger.settle("alpha", 5, 100);
        assert_eq!(ledger.reserve("alpha", 1_000, 600), 100);
    }

    #[test]
    fn chunks_follow_the_budget() {
        assert_eq!(chunk_of(50_000), 500);
        assert_eq!(chunk_of(300_000), 3_000);
    }
}
