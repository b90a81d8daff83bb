//! Operators' daily budgets in the database, shared by all runs and processes that use it.
//!
//! A lease is a row: how many queries, and when they were taken. It counts for 24 hours and [`LEASE_SPAN`], the longest
//! time that passes between reserving a query and sending it; so no window of 24 hours ever has more than the budget. A
//! process that is killed leaves its lease as it is. Times are the machine's date: a clock that is set back makes leases
//! count longer, never shorter; one that was ahead and is set right makes them count until that time comes.

use std::collections::BTreeMap;

use jiff::Timestamp;
use rusqlite::{TransactionBehavior, params};

use crate::plan::{LEASE_SPAN, Ledger};

use super::database::Store;
use super::error::StoreError;
use super::journal::Ear;

/// A day, in seconds.
const DAY_SECS: i64 = 86_400;

/// The ledger in the database. If that fails it goes on with what it knew last, by itself.
pub struct StoreLedger {
    store: Store,
    now: fn() -> Timestamp,
    /// Our own leases by operator: rows, and what of each is left to give back. The newest is last.
    leases: BTreeMap<String, Vec<(i64, u64)>>,
    /// What is reserved of each operator by everybody, when it was last seen.
    reserved: BTreeMap<String, u64>,
    failed: bool,
    ear: Ear,
}

impl StoreLedger {
    /// A ledger; `ear` is told when the database fails.
    pub fn new(store: Store, ear: impl FnMut(&StoreError) + Send + 'static) -> StoreLedger {
        StoreLedger {
            store,
            now: Timestamp::now,
            leases: BTreeMap::new(),
            reserved: BTreeMap::new(),
            failed: false,
            ear: Box::new(ear),
        }
    }

    /// The same, by another date: for tests.
    #[cfg(test)]
    pub(super) fn at(mut self, now: fn() -> Timestamp) -> StoreLedger {
        self.now = now;
        self
    }

    fn try_reserve(&mut self, operator: &str, limit: u64, wanted: u64) -> Result<u64, StoreError> {
        let now = (self.now)().as_second();
        let since = now - DAY_SECS - (LEASE_SPAN.as_millis() / 1_000).cast_signed();
        let failed = || StoreError::sqlite(&self.store.path, "a budget cannot be reserved");
        let transaction = self
            .store
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate);
        let transaction = transaction.map_err(failed())?;
        let delete = "DELETE FROM leases WHERE operator = ?1 AND taken < ?2";
        transaction
            .prepare_cached(delete)
            .map_err(failed())?
            .execute(params![operator, since])
            .map_err(failed())?;
        let sum = "SELECT coalesce(sum(queries), 0) FROM leases WHERE operator = ?1";
        let reserved: i64 = transaction
            .prepare_cached(sum)
            .map_err(failed())?
            .query_row([operator], |row| row.get(0))
            .map_err(failed())?;
        let reserved = reserved.unsigned_abs();
        let granted = limit.saturating_sub(reserved).min(wanted);
        if granted > 0 {
            let insert = "INSERT INTO leases (operator, taken, queries) VALUES (?1, ?2, ?3)";
            let queries = i64::try_from(granted).unwrap_or(i64::MAX);
            transaction
                .prepare_cached(insert)
                .map_err(failed())?
                .execute(params![operator, now, queries])
                .map_err(failed())?;
        }
        let row = transaction.last_insert_rowid();
        transaction.commit().map_err(failed())?;
        if granted > 0 {
            self.leases.entry(operator.to_owned()).or_default().push((row, granted));
        }
        self.reserved.insert(operator.to_owned(), reserved + granted);
        Ok(granted)
    }

    fn try_settle(&mut self, operator: &str, kept: u64, unused: u64) -> Result<(), StoreError> {
        let now = (self.now)().as_second();
        let failed = || StoreError::sqlite(&self.store.path, "a budget cannot be given back");
        let transaction = self
            .store
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate);
        let transaction = transaction.map_err(failed())?;
        let leases = self.leases.entry(operator.to_owned()).or_default();
        let mut rest = kept + unused;
        let mut taken = 0;
        while rest > 0 {
            let Some((row, queries)) = leases.pop() else { break };
            let part = queries.min(rest);
            rest -= part;
            taken += part;
            let change = match part == queries {
                true => transaction.execute("DELETE FROM leases WHERE id = ?1", [row]),
                false => {
                    leases.push((row, queries - part));
                    let left = i64::try_from(queries - part).unwrap_or(i64::MAX);
                    transaction.execute("UPDATE leases SET queries = ?2 WHERE id = ?1", params![row, left])
                }
            };
            change.map_err(failed())?;
        }
        let kept = kept.min(taken);
        if kept > 0 {
            let insert = "INSERT INTO leases (operator, taken, queries) VALUES (?1, ?2, ?3)";
            let queries = i64::try_from(kept).unwrap_or(i64::MAX);
            transaction
                .execute(insert, params![operator, now, queries])
                .map_err(failed())?;
            leases.push((transaction.last_insert_rowid(), kept));
        }
        transaction.commit().map_err(failed())
    }

    fn fail(&mut self, error: &StoreError) {
        if !std::mem::replace(&mut self.failed, true) {
            (self.ear)(error);
        }
    }
}

impl Ledger for StoreLedger {
    fn reserve(&mut self, operator: &str, limit: u64, wanted: u64) -> u64 {
        if !self.failed {
            match self.try_reserve(operator, limit, wanted) {
                Ok(granted) => return granted,
                Err(error) => self.fail(&error),
            }
        }
        let reserved = self.reserved.entry(operator.to_owned()).or_insert(0);
        let granted = limit.saturating_sub(*reserved).min(wanted);
        *reserved += granted;
        granted
    }

    fn settle(&mut self, operator: &str, kept: u64, unused: u64) {
        if !self.failed
            && let Err(error) = self.try_settle(operator, kept, unused)
        {
            self.fail(&error); // what is not given back only makes the rest of the day smaller
        }
    }
}

impl Store {
    /// What every operator was asked in the last 24 hours, as far as that was reserved here, by its id.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn asked_lately(&self, now: Timestamp) -> Result<BTreeMap<String, u64>, StoreError> {
        let failed = || StoreError::sqlite(&self.path, "the budgets cannot be read");
        let since = now.as_second() - DAY_SECS - (LEASE_SPAN.as_millis() / 1_000).cast_signed();
        let sum = "SELECT operator, sum(queries) FROM leases WHERE taken >= ?1 GROUP BY operator";
        let mut statement = self.connection.prepare(sum).map_err(failed())?;
        let rows = statement
            .query_map([since], |row| {
                Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?.unsigned_abs()))
            })
            .map_err(failed())?;
        rows.collect::<Result<_, _>>().map_err(failed())
    }
}
