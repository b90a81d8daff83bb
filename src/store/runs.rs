//! Runs as rows: begun, found again, ended, removed.

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;
use rusqlite::{OptionalExtension, Row, TransactionBehavior, params};
use sha2::{Digest, Sha256};

use super::database::Store;
use super::error::StoreError;
use super::import::{SHARD, SHARDS, shares};
use super::lock::RunLock;

/// The number of a run in its database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RunId(pub i64);

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Everything that a run must have in common with one that goes on with it, as words: `targets`, `lists`, `catalogue`, ….
/// No secrets.
pub type PlanFacts = BTreeMap<String, String>;

/// A run that begins.
#[derive(Debug, Clone)]
pub struct NewRun {
    /// When.
    pub started: Timestamp,
    /// The targets in a few words, to show.
    pub label: String,
    /// How many targets.
    pub target_count: u64,
    /// What it is; `targets` is what runs over the same targets have in common.
    pub plan: PlanFacts,
    /// What orders its questions.
    pub seed: u64,
    /// Its lists, by [`write_facts`](super::write_facts).
    pub facts: String,
}

/// A run that is in the database.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredRun {
    /// Its number.
    pub id: RunId,
    /// When its first part began.
    pub started: Timestamp,
    /// When its last part ended in order; none if that was killed or is at work.
    pub ended: Option<Timestamp>,
    /// Nothing is left to ask.
    pub whole: bool,
    /// The targets in a few words.
    pub label: String,
    /// How many there are.
    pub target_count: u64,
    /// What it is.
    pub plan: PlanFacts,
    /// What orders its questions.
    pub seed: u64,
    /// The run's own record as JSON, once a part of it ended in order.
    pub record: Option<String>,
    /// Somebody was to be told what changed, and could not be.
    pub untold: bool,
}

/// What runs over the same targets have in common: the words of the plan for the targets, and for the share of them.
pub fn targets_of(plan: &PlanFacts) -> String {
    let word = |name: &str| plan.get(name).map_or("", String::as_str);
    let share = format!("{}{}", word(SHARD), word(SHARDS));
    format!("{} {share}", word("targets")).trim_end().to_owned()
}

impl StoredRun {
    /// How many targets it has in all, those of shares that are missing in a merged run too, as far as the others tell: all
    /// shares have equally many.
    pub fn all_targets(&self) -> u64 {
        match self.plan.get(SHARDS).and_then(|word| shares(word)) {
            Some((here, of)) => self.target_count.saturating_mul(of) / here.len().max(1) as u64,
            None => self.target_count,
        }
    }

    /// What another plan has otherwise: the words that differ, with before and after.
    pub fn changes(&self, plan: &PlanFacts) -> Vec<(String, String, String)> {
        let mut words: Vec<&String> = self.plan.keys().chain(plan.keys()).collect();
        words.sort();
        words.dedup();
        let text = |facts: &PlanFacts, word: &String| facts.get(word).cloned().unwrap_or_default();
        let pairs = words
            .into_iter()
            .map(|word| (word.clone(), text(&self.plan, word), text(plan, word)));
        pairs.filter(|(_, before, after)| before != after).collect()
    }
}

const COLUMNS: &str = "id, started, ended, whole, label, target_count, plan, seed, record, untold";

fn run_of(row: &Row<'_>) -> rusqlite::Result<StoredRun> {
    let bad = |column: usize, error: Box<dyn std::error::Error + Send + Sync>| {
        rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, error)
    };
    let time = |column: usize, text: String| text.parse::<Timestamp>().map_err(|error| bad(column, error.into()));
    let ended: Option<String> = row.get(2)?;
    let plan: String = row.get(6)?;
    let plan: PlanFacts = serde_json::from_str(&plan).map_err(|error| bad(6, error.into()))?;
    Ok(StoredRun {
        id: RunId(row.get(0)?),
        started: time(1, row.get(1)?)?,
        ended: ended.map(|text| time(2, text)).transpose()?,
        // Shares that are not here are left to ask.
        whole: row.get::<_, bool>(3)? && !plan.contains_key(SHARDS),
        label: row.get(4)?,
        target_count: row.get::<_, i64>(5)?.unsigned_abs(),
        plan,
        seed: row.get::<_, i64>(7)? as u64, // stored as the same 64 bits
        record: row.get(8)?,
        untold: row.get(9)?,
    })
}

impl Store {
    /// All runs, the oldest first.
    ///
    /// # Errors
    /// If they cannot be read.
    pub fn runs(&self) -> Result<Vec<StoredRun>, StoreError> {
        let failed = || StoreError::sqlite(&self.path, "the runs cannot be read");
        let query = format!("SELECT {COLUMNS} FROM runs ORDER BY id");
        let mut statement = self.connection.prepare(&query).map_err(failed())?;
        let runs = statement.query_map([], run_of).map_err(failed())?;
        runs.collect::<Result<_, _>>().map_err(failed())
    }

    /// A run by its number.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn run(&self, id: RunId) -> Result<Option<StoredRun>, StoreError> {
        self.one("WHERE id = ?1", [id.0])
    }

    /// The newest run of all.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn last_run(&self) -> Result<Option<StoredRun>, StoreError> {
        self.one("ORDER BY id DESC LIMIT 1", [])
    }

    /// The newest run over the same targets as a plan ([`targets_of`]), older than `before` if that is given.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn last_run_of(&self, plan: &PlanFacts, before: Option<RunId>) -> Result<Option<StoredRun>, StoreError> {
        let before = before.map_or(i64::MAX, |id| id.0);
        let which = "WHERE targets = ?1 AND id < ?2 ORDER BY id DESC LIMIT 1";
        self.one(which, params![targets_of(plan), before])
    }

    fn one(&self, which: &str, values: impl rusqlite::Params) -> Result<Option<StoredRun>, StoreError> {
        let query = format!("SELECT {COLUMNS} FROM runs {which}");
        let found = self.connection.query_row(&query, values, run_of).optional();
        found.map_err(StoreError::sqlite(&self.path, "the runs cannot be read"))
    }

    /// Begins a run, and holds it.
    ///
    /// # Errors
    /// If it cannot be written down.
    pub fn begin(&mut self, run: &NewRun) -> Result<(StoredRun, RunLock), StoreError> {
        let path = self.path.clone();
        let failed = || StoreError::sqlite(&path, "the run cannot be written down");
        let plan = serde_json::to_string(&run.plan).expect("words are plain JSON");
        let targets = targets_of(&run.plan);
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate);
        let transaction = transaction.map_err(failed())?;
        let hash = Sha256::digest(&run.facts).into_iter();
        let hash: String = hash.map(|octet| format!("{octet:02x}")).collect();
        let insert = "INSERT OR IGNORE INTO facts (hash, lists) VALUES (?1, ?2)";
        transaction
            .execute(insert, params![hash, run.facts])
            .map_err(failed())?;
        let insert = "INSERT INTO runs (started, label, targets, target_count, plan, seed, facts) \
                      VALUES (?1, ?2, ?3, ?4, ?5, ?6, (SELECT id FROM facts WHERE hash = ?7))";
        let count = i64::try_from(run.target_count).unwrap_or(i64::MAX);
        let values = params![
            run.started.to_string(),
            run.label,
            targets,
            count,
            plan,
            run.seed as i64, // the same 64 bits
            hash
        ];
        transaction.execute(insert, values).map_err(failed())?;
        let id = RunId(transaction.last_insert_rowid());
        // Before anybody can see the run.
        let lock = RunLock::take(&path, id)?;
        let lock = lock.ok_or_else(|| StoreError::damaged(&path, format!("run {id} is new and already held")))?;
        transaction.commit().map_err(failed())?;
        let stored = self.run(id)?;
        Ok((stored.ok_or_else(|| StoreError::damaged(&path, "a run is gone"))?, lock))
    }

    /// A part of the run begins: until it ends in order, the run has no end.
    ///
    /// # Errors
    /// If it cannot be written down.
    pub fn reopen(&mut self, id: RunId) -> Result<(), StoreError> {
        let update = "UPDATE runs SET ended = NULL, whole = 0, audit = NULL WHERE id = ?1";
        let done = self.connection.execute(update, [id.0]);
        done.map(drop)
            .map_err(StoreError::sqlite(&self.path, "the run cannot be written down"))
    }

    /// Ends a part of a run in order: `record` is the run's own, `lists` each list's record and whether it was usable.
    ///
    /// # Errors
    /// If it cannot be written down.
    pub fn end(
        &mut self,
        id: RunId,
        (ended, whole): (Timestamp, bool),
        record: &str,
        lists: &[(bool, String)],
    ) -> Result<(), StoreError> {
        let path = self.path.clone();
        let failed = || StoreError::sqlite(&path, "the run cannot be written down");
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate);
        let transaction = transaction.map_err(failed())?;
        let update = "UPDATE runs SET ended = ?2, whole = ?3, record = ?4 WHERE id = ?1";
        let values = params![id.0, ended.to_string(), whole, record];
        transaction.execute(update, values).map_err(failed())?;
        {
            let insert = "INSERT OR REPLACE INTO run_lists (run, place, usable, record) VALUES (?1, ?2, ?3, ?4)";
            let mut insert = transaction.prepare(insert).map_err(failed())?;
            for (place, (usable, record)) in lists.iter().enumerate() {
                let place = i64::try_from(place).unwrap_or(i64::MAX);
                insert.execute(params![id.0, place, usable, record]).map_err(failed())?;
            }
        }
        transaction.commit().map_err(failed())
    }

    /// Remembers that somebody was to be told what changed since the run before, and could not be.
    ///
    /// # Errors
    /// If it cannot be written down.
    pub fn leave_untold(&mut self, id: RunId) -> Result<(), StoreError> {
        let update = "UPDATE runs SET untold = 1 WHERE id = ?1";
        let done = self.connection.execute(update, [id.0]);
        done.map(drop)
            .map_err(StoreError::sqlite(&self.path, "the run cannot be written down"))
    }

    /// Keeps the conclusion of the audit that a run was, as JSON.
    ///
    /// # Errors
    /// If it cannot be written down.
    pub fn conclude(&mut self, id: RunId, audit: &str) -> Result<(), StoreError> {
        let update = "UPDATE runs SET audit = ?2 WHERE id = ?1";
        let done = self.connection.execute(update, params![id.0, audit]);
        done.map(drop)
            .map_err(StoreError::sqlite(&self.path, "the audit cannot be written down"))
    }

    /// The conclusion of the audit that a run was; none if it was none, or ended before that.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn audit_of(&self, id: RunId) -> Result<Option<String>, StoreError> {
        let query = "SELECT audit FROM runs WHERE id = ?1";
        let found = self.connection.query_row(query, [id.0], |row| row.get(0)).optional();
        found
            .map(Option::flatten)
            .map_err(StoreError::sqlite(&self.path, "the audit cannot be read"))
    }

    /// Removes all runs but the newest `keep`; runs that somebody works on stay. Returns those removed. What operators were
    /// asked is not forgotten.
    ///
    /// # Errors
    /// If they cannot be removed.
    pub fn prune(&mut self, keep: usize) -> Result<Vec<StoredRun>, StoreError> {
        let mut runs = self.runs()?;
        runs.truncate(runs.len().saturating_sub(keep));
        let path = self.path.clone();
        let failed = || StoreError::sqlite(&path, "runs cannot be removed");
        let mut removed = Vec::new();
        for run in runs {
            let Some(_lock) = RunLock::take(&path, run.id)? else {
                continue;
            };
            self.remove(run.id)?;
            removed.push(run);
        }
        let unused = "DELETE FROM facts WHERE id NOT IN (SELECT facts FROM runs)";
        self.connection.execute(unused, []).map_err(failed())?;
        // Gives room back to the disk; each step of it is a row.
        let mut statement = self.connection.prepare("PRAGMA incremental_vacuum").map_err(failed())?;
        let mut rows = statement.query([]).map_err(failed())?;
        while rows.next().map_err(failed())?.is_some() {}
        Ok(removed)
    }

    fn remove(&mut self, id: RunId) -> Result<(), StoreError> {
        let failed = || StoreError::sqlite(&self.path, "a run cannot be removed");
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate);
        let transaction = transaction.map_err(failed())?;
        for table in ["listed", "tiles", "run_lists", "examinations", "doubts"] {
            let delete = format!("DELETE FROM {table} WHERE run = ?1");
            transaction.execute(&delete, [id.0]).map_err(failed())?;
        }
        transaction
            .execute("DELETE FROM runs WHERE id = ?1", [id.0])
            .map_err(failed())?;
        transaction.commit().map_err(failed())
    }
}
