//! How lists were when a run asked them last: how far away, and whether they worked. For `plan`, which says so beforehand and counts
//! with the round trips; no run believes any of it.
//!
//! Bounds: [`REACHED_MAX`] rows, the newest, and none that is older than [`REACHED_DAYS`].

use jiff::Timestamp;
use rusqlite::{TransactionBehavior, params};

use crate::clock::Span;

use super::database::Store;
use super::error::StoreError;

/// Lists, each by each way that it was asked, that are remembered at most: all of the catalogue by a dozen ways.
const REACHED_MAX: i64 = 4_096;

/// How long: networks and servers change.
const REACHED_DAYS: i64 = 30;

/// A day, in seconds.
const DAY_SECS: i64 = 86_400;

/// How a list was when it was asked last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reached {
    /// Its id.
    pub list: String,
    /// Through which servers, in words ([`Ways::name`](crate::plan::Ways::name)).
    pub way: String,
    /// When, in seconds since 1970.
    pub at: i64,
    /// How long replies took; none if it is not known.
    pub rtt: Option<Span>,
    /// What was wrong with it.
    pub fault: Option<String>,
}

impl Store {
    /// Remembers how lists were reached. Where nothing was measured this time, what was before stays.
    ///
    /// # Errors
    /// If it cannot be written down.
    pub fn remember(&mut self, all: &[Reached], now: Timestamp) -> Result<(), StoreError> {
        let failed = || StoreError::sqlite(&self.path, "how lists were reached cannot be written down");
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate);
        let transaction = transaction.map_err(failed())?;
        {
            let insert = "INSERT INTO reached (list, way, at, micros, fault) VALUES (?1, ?2, ?3, ?4, ?5) \
                          ON CONFLICT (list, way) DO UPDATE SET at = excluded.at, fault = excluded.fault, \
                          micros = coalesce(excluded.micros, micros)";
            let mut insert = transaction.prepare(insert).map_err(failed())?;
            for one in all {
                let micros = one.rtt.map(|rtt| (rtt.as_nanos() / 1_000).cast_signed());
                let values = params![one.list, one.way, one.at, micros, one.fault];
                insert.execute(values).map_err(failed())?;
            }
        }
        let old = "DELETE FROM reached WHERE at < ?1";
        transaction.execute(old, [oldest(now)]).map_err(failed())?;
        let many = "DELETE FROM reached WHERE (list, way) IN \
                    (SELECT list, way FROM reached ORDER BY at DESC LIMIT -1 OFFSET ?1)";
        transaction.execute(many, [REACHED_MAX]).map_err(failed())?;
        transaction.commit().map_err(failed())
    }

    /// What is remembered of how lists were reached.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn reached(&self, now: Timestamp) -> Result<Vec<Reached>, StoreError> {
        let failed = || StoreError::sqlite(&self.path, "how lists were reached cannot be read");
        let query = "SELECT list, way, at, micros, fault FROM reached WHERE at >= ?1 ORDER BY list, way";
        let mut statement = self.connection.prepare(query).map_err(failed())?;
        let rows = statement.query_map([oldest(now)], |row| {
            let micros: Option<i64> = row.get(3)?;
            Ok(Reached {
                list: row.get(0)?,
                way: row.get(1)?,
                at: row.get(2)?,
                rtt: micros.map(|micros| Span::from_micros(micros.unsigned_abs())),
                fault: row.get(4)?,
            })
        });
        rows.map_err(failed())?.collect::<Result<_, _>>().map_err(failed())
    }
}

fn oldest(now: Timestamp) -> i64 {
    now.as_second() - REACHED_DAYS * DAY_SECS
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reached(list: &str, at: i64, millis: Option<u64>, fault: Option<&str>) -> Reached {
        Reached {
            list: list.to_owned(),
            way: "direct".to_owned(),
            at,
            rtt: millis.map(Span::from_millis),
            fault: fault.map(str::to_owned),
        }
    }

    #[test]
    fn the_last_is_remembered_for_a_month_and_no_more_than_there_is_room_for() {
        let mut store = Store::scratch().expect("a database");
        let day = |day: i64| Timestamp::from_second(day * DAY_SECS).expect("a date");
        let first = reached("a", DAY_SECS, Some(40), None);
        store.remember(std::slice::from_ref(&first), day(1)).expect("written");
        assert_eq!(store.reached(day(2)).expect("read"), [first]);
        // Dead since: what was measured while it lived is kept.
        store
            .remember(&[reached("a", 2 * DAY_SECS, None, Some("dead"))], day(2))
            .expect("written");
        assert_eq!(
            store.reached(day(3)).expect("read"),
            [reached("a", 2 * DAY_SECS, Some(40), Some("dead"))]
        );
        assert_eq!(store.reached(day(33)).expect("read"), []);
        let many: Vec<Reached> = (0..REACHED_MAX + 10)
            .map(|number| reached(&number.to_string(), 40 * DAY_SECS + number, None, None))
            .collect();
        store.remember(&many, day(40)).expect("written");
        let kept = store.reached(day(40)).expect("read");
        assert_eq!(kept.len() as i64, REACHED_MAX);
        assert!(kept.iter().all(|one| one.at >= 40 * DAY_SECS + 10), "the newest");
    }
}
