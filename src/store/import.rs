//! Another database's runs into this one: the shards of a run, each made on its own machine, become one run.
//!
//! Runs belong together if everything about their plans is the same but the word `shard`. Share I of N has every N-th tile
//! from the I-th on, so that each finds its number in the whole, and the merged run is in input order. What a run here has
//! already is not taken again. As long as shares are missing the merged run says in its plan which it has, and is not whole.

use std::path::Path;

use rusqlite::{TransactionBehavior, params};

use super::blob::{Blob, Encoder};
use super::database::Store;
use super::error::StoreError;
use super::lock::RunLock;
use super::runs::{NewRun, RunId, StoredRun, targets_of};

/// The word of the plan that tells shards of a run apart.
pub(super) const SHARD: &str = "shard";

/// The word of a merged run's plan that says which shares it has, `1,3/4`, until it has all.
pub(super) const SHARDS: &str = "shards";

/// Tiles copied in one transaction.
const BATCH_TILES: usize = 64;

/// What became of one run of the other database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imported {
    /// Its number there.
    pub from: RunId,
    /// Where it is here.
    pub into: RunId,
    /// Whether that run was here before.
    pub merged: bool,
    /// Tiles taken.
    pub tiles: u64,
    /// Tiles that were here already.
    pub known: u64,
    /// Shares of the run that are not here yet, as `3 of 4`.
    pub missing: Vec<String>,
}

impl Store {
    /// Takes the runs of another database in, oldest first.
    ///
    /// # Errors
    /// If one of the files cannot be read or written, or a run here is at work.
    pub fn import(&mut self, file: &Path) -> Result<Vec<Imported>, StoreError> {
        let other = Store::open_to_read(file)?;
        let mut imported = Vec::new();
        for run in other.runs()? {
            imported.push(self.import_run(&other, &run)?);
        }
        Ok(imported)
    }

    fn import_run(&mut self, other: &Store, run: &StoredRun) -> Result<Imported, StoreError> {
        let mut plan = run.plan.clone();
        let shard = plan.remove(SHARD);
        let (first, of) = match &shard {
            Some(shard) => share(shard).ok_or_else(|| StoreError::damaged(other.path(), format!("shard {shard}")))?,
            None => (0, 1),
        };
        let catalogue = other.catalogue_of(run.id)?;
        let lists: Vec<_> = catalogue.indexed().map(|(index, _)| index).collect();
        let found = self.merged_run(&plan, run)?;
        let merged = found.is_some();
        let mut here: Vec<u64> = Vec::new();
        let (into, _lock) = match found {
            Some(found) => {
                here = match found.plan.get(SHARDS) {
                    Some(word) => shares(word).map_or_else(Vec::new, |(here, _)| here),
                    None => (1..=of.unsigned_abs()).collect(),
                };
                let lock = RunLock::take(&self.path, found.id)?;
                let busy = || StoreError::damaged(&self.path, format!("run {} is at work: try again later", found.id));
                (found.id, lock.ok_or_else(busy)?)
            }
            None => {
                if of > 1 {
                    plan.insert(SHARDS.to_owned(), format!("/{of}"));
                }
                let (begun, lock) = self.begin(&NewRun {
                    started: run.started,
                    label: run.label.clone(),
                    target_count: 0,
                    plan,
                    seed: run.seed,
                    facts: super::facts::compose(&catalogue, lists.iter().copied(), other.retired_of(run.id)?),
                })?;
                (begun.id, lock)
            }
        };
        let doubts = other.doubts(run.id, &lists)?;
        self.write_doubts(into, &doubts, &lists)?;
        let mut encoder = Encoder::new(lists.len());
        let (mut tiles, mut known) = (0, 0);
        let mut waiting: Vec<Blob> = Vec::new();
        let mut behind = -1;
        while let Some(tile) = other.next_tile(run.id, behind)? {
            behind = tile.number;
            let number = tile.number.saturating_mul(of).saturating_add(first);
            if self.has_tile(into, number)? {
                known += 1;
                continue;
            }
            let dossiers = other.dossiers_of(run.id, &tile, (&lists, &doubts))?;
            dossiers.iter().for_each(|dossier| encoder.add(dossier));
            let number = u32::try_from(number);
            waiting.push(encoder.close(number.map_err(|_| StoreError::damaged(other.path(), "a tile's number"))?));
            tiles += 1;
            if waiting.len() == BATCH_TILES {
                self.write_tiles(into, &waiting, &[])?;
                waiting.clear();
            }
        }
        let examined = self.examinations(into)?;
        let standings = other.examinations(run.id)?.into_iter().map(|(place, there)| {
            let joined = examined.get(&place).map(|here| here.then(&there));
            (place, joined.unwrap_or(there))
        });
        let standings: Vec<_> = standings.collect();
        self.write_tiles(into, &waiting, &standings)?;
        if !merged && let Some(audit) = other.audit_of(run.id)? {
            self.conclude(into, &audit)?;
        }
        let number = first.unsigned_abs() + 1;
        let is_new = !here.contains(&number);
        if is_new {
            here.push(number);
            here.sort_unstable();
        }
        let missing: Vec<u64> = (1..=of.unsigned_abs()).filter(|share| !here.contains(share)).collect();
        if tiles > 0 || known == 0 || is_new {
            let targets = if is_new { run.target_count } else { 0 };
            self.join_ends(other, run, into, (targets, !merged))?;
        }
        if is_new && shard.is_some() {
            let here = here.iter().map(u64::to_string).collect::<Vec<_>>().join(",");
            self.note_shares(into, (!missing.is_empty()).then(|| format!("{here}/{of}")))?;
        }
        Ok(Imported {
            from: run.id,
            into,
            merged,
            tiles,
            known,
            missing: missing.iter().map(|share| format!("{share} of {of}")).collect(),
        })
    }

    /// The run here that a run there is a part of: the same plan, and no tile of both that differs would matter. Runs that
    /// are no shards belong together only if they began at the same moment: they are the same run.
    fn merged_run(&self, plan: &super::runs::PlanFacts, run: &StoredRun) -> Result<Option<StoredRun>, StoreError> {
        let is_shard = run.plan.contains_key(SHARD);
        let runs = self.runs()?;
        let is_same = |here: &StoredRun| {
            let mut mine = here.plan.clone();
            // Shares of other numbers are of other runs.
            let of = mine.remove(SHARDS).and_then(|word| Some(shares(&word)?.1));
            let theirs = run.plan.get(SHARD).and_then(|word| share(word));
            let fits = of.is_none_or(|of| theirs.is_some_and(|(_, number)| number.unsigned_abs() == of));
            mine == *plan && fits
        };
        Ok(runs
            .into_iter()
            .rev()
            .find(|here| is_same(here) && (is_shard || here.started == run.started)))
    }

    /// Writes down which shares a merged run has; none: all.
    fn note_shares(&mut self, run: RunId, word: Option<String>) -> Result<(), StoreError> {
        let failed = || StoreError::sqlite(&self.path, "the run cannot be written down");
        let gone = || StoreError::damaged(&self.path, "a run is gone");
        let mut plan = self.run(run)?.ok_or_else(gone)?.plan;
        plan.remove(SHARDS);
        plan.extend(word.map(|word| (SHARDS.to_owned(), word)));
        let text = serde_json::to_string(&plan).expect("words are plain JSON");
        let update = "UPDATE runs SET plan = ?2, targets = ?3 WHERE id = ?1";
        let done = self.connection.execute(update, params![run.0, text, targets_of(&plan)]);
        done.map(drop).map_err(failed())
    }

    fn has_tile(&self, run: RunId, number: i64) -> Result<bool, StoreError> {
        let failed = || StoreError::sqlite(&self.path, "a tile cannot be read");
        let query = "SELECT EXISTS (SELECT 1 FROM tiles WHERE run = ?1 AND number = ?2)";
        let mut statement = self.connection.prepare_cached(query).map_err(failed())?;
        statement.query_row([run.0, number], |row| row.get(0)).map_err(failed())
    }

    /// The merged run begins with its first part and ends with its last; it is whole if all parts are.
    fn join_ends(
        &mut self,
        other: &Store,
        run: &StoredRun,
        into: RunId,
        (targets, first): (u64, bool),
    ) -> Result<(), StoreError> {
        let lists = other.lists_of(run.id)?;
        let here = self.run(into)?;
        let here = here.ok_or_else(|| StoreError::damaged(&self.path, "a run is gone"))?;
        let started = here.started.min(run.started);
        let ended = match (here.ended, run.ended) {
            (Some(here), Some(there)) => Some(here.max(there)),
            (None, there) if first => there,
            _ => None,
        };
        let records = merge_records(here.record.as_deref(), run.record.as_deref());
        let own = self.lists_of(into)?;
        let failed = || StoreError::sqlite(&self.path, "the run cannot be written down");
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate);
        let transaction = transaction.map_err(failed())?;
        let update = "UPDATE runs SET started = ?2, ended = ?3, whole = (?4 AND (?7 OR whole)), record = ?5, target_count = target_count + ?6 \
                      WHERE id = ?1";
        let values = params![
            into.0,
            started.to_string(),
            ended.map(|ended| ended.to_string()),
            run.whole,
            records,
            i64::try_from(targets).unwrap_or(i64::MAX),
            first
        ];
        transaction.execute(update, values).map_err(failed())?;
        let insert = "INSERT OR REPLACE INTO run_lists (run, place, usable, record) VALUES (?1, ?2, ?3, ?4)";
        for (place, list) in lists.iter().enumerate() {
            let before = own.get(place);
            let usable = list.usable && before.is_none_or(|before| before.usable);
            let record = merge_records(before.map(|before| before.record.as_str()), Some(&list.record));
            let place = i64::try_from(place).unwrap_or(i64::MAX);
            transaction
                .execute(insert, params![into.0, place, usable, record])
                .map_err(failed())?;
        }
        transaction.commit().map_err(failed())
    }
}

/// Which share of how many a word such as `2/3` names: counted from 0.
fn share(word: &str) -> Option<(i64, i64)> {
    let (number, of) = word.split_once('/')?;
    let (number, of) = (number.parse::<i64>().ok()?, of.parse::<i64>().ok()?);
    (1..=of).contains(&number).then_some((number - 1, of))
}

/// Which shares of how many a word such as `1,3/4` names: counted from 1.
pub(super) fn shares(word: &str) -> Option<(Vec<u64>, u64)> {
    let (here, of) = word.split_once('/')?;
    let here = here.split(',').filter(|share| !share.is_empty()).map(str::parse);
    Some((here.collect::<Result<_, _>>().ok()?, of.parse().ok()?))
}

/// Two records of parts as one: numbers are added, other values are the first part's, except that what is worse about a
/// list's health stays.
fn merge_records(first: Option<&str>, second: Option<&str>) -> Option<String> {
    let (Some(first), Some(second)) = (first, second) else {
        return first.or(second).map(str::to_owned);
    };
    let parse = |text: &str| serde_json::from_str::<serde_json::Value>(text).ok();
    let (Some(mut first), Some(second)) = (parse(first), parse(second)) else {
        return Some(first.to_owned());
    };
    join(&mut first, &second);
    Some(first.to_string())
}

fn join(first: &mut serde_json::Value, second: &serde_json::Value) {
    use serde_json::Value;
    let (Value::Object(fields), Value::Object(more)) = (first, second) else {
        return;
    };
    let worse = more.get("health").is_some_and(|health| health == "unhealthy");
    for (name, value) in more {
        let here = fields.entry(name.clone()).or_insert(Value::Null);
        match (name.as_str(), &*here, value) {
            ("started", Value::String(a), Value::String(b)) if a > b => *here = value.clone(),
            ("finished", Value::String(a), Value::String(b)) if a < b => *here = value.clone(),
            ("health" | "cause", _, _) if worse => *here = value.clone(),
            (_, Value::Object(_), Value::Object(_)) => join(here, value),
            (_, Value::Null, _) => *here = value.clone(),
            (_, Value::Number(a), Value::Number(b)) => {
                if let (Some(a), Some(b)) = (a.as_u64(), b.as_u64()) {
                    *here = Value::from(a.saturating_add(b));
                }
            }
            _ => (),
        }
    }
    let number = |name: &str, fields: &serde_json::Map<String, Value>| fields.get(name).and_then(Value::as_u64);
    if let (Some(planned), Some(answered)) = (number("planned", fields), number("answered", fields))
        && planned > 0
    {
        let complete = (answered as f64 / planned as f64 * 10_000.0).round() / 10_000.0; // as run records have it
        fields.insert("complete".into(), Value::from(complete));
    }
}
