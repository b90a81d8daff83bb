//! What a scan remembers: which database, which run in it, and what becomes of the scan when it fails.
//!
//! A database that cannot be used is said, and the scan goes on without it; the status at the end is that of an I/O error.
//! Only `--resume` and `--diff`, which are nothing without it, end the program at once.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, bail};
use jiff::Timestamp;
use reputon::dnsxl::ListIndex;
use reputon::dossier::{Difference, Journal, NoJournal};
use reputon::plan::{Ledger, Plan, RunLedger};
use reputon::report::{ListRecord, RunRecord, to_json, visible};
use reputon::scan::{Memory, ScanOptions};
use reputon::stages::Stage;
use reputon::store::{
    NewRun, PlanFacts, Reached, RunId, RunJournal, RunLock, Store, StoreError, StoreLedger, StoredRun, compare,
    write_facts,
};
use reputon::targets::{Cover, TargetSet};
use reputon::verdict::Audited;

use super::args::ScanArgs;
use super::options::{DbOptions, LabOptions};
use super::past::Memories;
use super::records::stand;
use crate::cli::talk::talk;

/// The file below the XDG state directory.
const FILE: &str = "reputon/runs.db";

/// The word that stands for no database.
const NONE: &str = "none";

/// Letters of the targets as typed that are kept to show.
const LABEL_MAX: usize = 80;

/// The database that was named, or else the user's own; none if none is wanted.
///
/// # Errors
/// If none was named, and there is no home for it.
pub(crate) fn database(options: &DbOptions) -> anyhow::Result<Option<PathBuf>> {
    match &options.db {
        Some(path) if path.as_os_str() == NONE => Ok(None),
        Some(path) => Ok(Some(path.clone())),
        None => {
            let home = default_file();
            home.map(Some)
                .context("no place for the run database: set HOME or XDG_STATE_HOME, or name a file with --db")
        }
    }
}

/// The database for a command that is nothing without it.
pub(crate) fn needed(options: &DbOptions) -> anyhow::Result<PathBuf> {
    database(options)?.context("this needs the run database: leave --db none out, or name a file")
}

/// The user's own database, by the XDG base directory specification.
fn default_file() -> Option<PathBuf> {
    let folder = |name: &str| std::env::var_os(name).map(PathBuf::from);
    let state = folder("XDG_STATE_HOME").filter(|state| state.is_absolute());
    let home = || {
        folder("HOME")
            .filter(|home| home.is_absolute())
            .map(|home| home.join(".local/state"))
    };
    Some(state.or_else(home)?.join(FILE))
}

/// The ledger of operators' daily limits for a command that keeps no run: the database's, which all runs share. Where there
/// is none, limits hold within the command.
pub(crate) fn ledger(db: &DbOptions, lab: &LabOptions, quiet: bool) -> Box<dyn Ledger> {
    let path = match database(db) {
        Ok(Some(path)) if db.db.is_some() || !is_rehearsal(lab) => path,
        _ => return Box::new(RunLedger::default()),
    };
    let warn = move |error: &StoreError| {
        if !quiet {
            let error = error.to_string();
            talk!(
                "reputon: {}; daily limits hold within this command alone",
                visible(&error)
            );
        }
    };
    match Store::open(&path) {
        Ok(store) => Box::new(StoreLedger::new(store, warn)),
        Err(error) => {
            warn(&error);
            Box::new(RunLedger::default())
        }
    }
}

/// The journal of a run that is not kept: what is pruned may have to be taken back, and must be recalled for that.
pub(crate) fn scratch(plan: &Plan<'_>, options: &ScanOptions, quiet: bool) -> Box<dyn Journal + Send> {
    if !options.prune {
        return Box::new(NoJournal);
    }
    let told = move |error: &StoreError| {
        let error = anyhow::anyhow!("{error}; what is pruned cannot be taken back in this run");
        say(&error, quiet);
    };
    match RunJournal::scratch(columns(plan), told) {
        Ok(journal) => Box::new(journal),
        Err(error) => {
            told(&error);
            Box::new(NoJournal)
        }
    }
}

/// The lists of a plan's columns.
fn columns(plan: &Plan<'_>) -> Vec<ListIndex> {
    plan.columns.iter().map(|column| column.list).collect()
}

/// What a scan does with its database.
pub(crate) enum Kept {
    /// It keeps a run, or nothing.
    Run(Box<Keeping>),
    /// The run is there and whole: only its outputs are wanted.
    Whole(Box<(Store, StoredRun)>),
}

/// The memory of a scan.
pub(crate) struct Keeping {
    open: Option<Open>,
    /// The journal of a run that is not kept.
    scratch: Box<dyn Journal + Send>,
    run_ledger: RunLedger,
    /// Something could not be written down.
    failed: Arc<AtomicBool>,
    resumed: bool,
}

/// A run that is being kept.
struct Open {
    store: Store,
    run: StoredRun,
    /// Held as long as the run is worked on.
    _lock: RunLock,
    journal: RunJournal,
    ledger: StoreLedger,
    diff: bool,
    /// Somebody is to be told what changed.
    tells: bool,
    /// The tiles that the plan has.
    tiles: u64,
}

impl Keeping {
    /// Finds out what is to be kept where.
    ///
    /// # Errors
    /// If `--resume` or `--diff` cannot be done; everything else is said and left.
    pub(crate) fn open(
        (args, targets): (&ScanArgs, &str),
        plan: &Plan<'_>,
        options: &ScanOptions,
        quiet: bool,
    ) -> anyhow::Result<Kept> {
        let wanted = args.keep.resume || args.keep.diff.is_some();
        let nothing = || Keeping::new(scratch(plan, options, quiet));
        let rehearsal = is_rehearsal(&args.lab);
        let named = args.keep.db.db.is_some();
        if rehearsal && !named {
            if wanted {
                bail!("a rehearsal is not kept unless you name a file: --resume and --diff need --db FILE with --lab");
            }
            return Ok(Kept::Run(Box::new(nothing())));
        }
        let path = match database(&args.keep.db) {
            Ok(None) if args.notify.is_wanted() => {
                bail!("--notify and --mail-to tell what changed since the last run: leave --db none out")
            }
            Ok(Some(path)) => path,
            Ok(None) if wanted => bail!("--resume and --diff need the run database: leave --db none out"),
            Ok(None) => return Ok(Kept::Run(Box::new(nothing()))),
            Err(error) if wanted => return Err(error),
            Err(error) => {
                say(&error, quiet);
                return Ok(Kept::Run(Box::new(nothing())));
            }
        };
        let keeping = Keeping::new(Box::new(NoJournal));
        let facts = plan_facts((args, targets), plan, options);
        match keeping.try_open(&path, (args, &facts), (plan, options)) {
            Ok(kept) => Ok(kept),
            Err(error) if wanted => Err(error),
            Err(error) => {
                let keeping = nothing();
                // Nobody asked for the user's own database: where there is no place for it, that is no failure.
                let homeless = !named && matches!(error.downcast_ref(), Some(StoreError::Io(..)));
                keeping.failed.store(!homeless, Ordering::Relaxed);
                say(&error, homeless && quiet);
                say(&anyhow::anyhow!("this run is not kept"), homeless && quiet);
                Ok(Kept::Run(Box::new(keeping)))
            }
        }
    }

    /// Nothing is kept, beyond what this journal remembers.
    fn new(scratch: Box<dyn Journal + Send>) -> Keeping {
        Keeping {
            open: None,
            scratch,
            run_ledger: RunLedger::default(),
            failed: Arc::default(),
            resumed: false,
        }
    }

    fn try_open(
        mut self,
        path: &Path,
        (args, facts): (&ScanArgs, &PlanFacts),
        (plan, options): (&Plan<'_>, &ScanOptions),
    ) -> anyhow::Result<Kept> {
        let mut store = Store::open(path)?;
        let found = match args.keep.resume {
            true => find(&store, facts)?,
            false => None,
        };
        self.resumed = found.is_some();
        let (run, lock) = match found {
            Some(run) => {
                let lock = RunLock::take(path, run.id)?;
                let busy = || {
                    format!(
                        "{}: run {} is being worked on by another process: wait until it ends, or leave --resume out to start a \
                         new run",
                        path.display(),
                        run.id
                    )
                };
                let lock = lock.with_context(busy)?;
                // It may have ended while we waited to look.
                let run = store.run(run.id)?.with_context(|| format!("run {} is gone", run.id))?;
                if run.whole {
                    return Ok(Kept::Whole(Box::new((store, run))));
                }
                store.reopen(run.id)?;
                (run, lock)
            }
            None => store.begin(&NewRun {
                started: Timestamp::now(),
                label: label(&args.targets.targets),
                target_count: plan.targets.len(),
                plan: facts.clone(),
                seed: options.seed,
                facts: write_facts(plan.catalogue, plan.columns.iter().map(|column| column.list)),
            })?,
        };
        let ear = |failed: &Arc<AtomicBool>| {
            let failed = Arc::clone(failed);
            move |error: &StoreError| {
                if !failed.swap(true, Ordering::Relaxed) {
                    talk!("reputon: {}; the scan goes on without it", visible(&error.to_string()));
                }
            }
        };
        let journal = RunJournal::open(store.again()?, run.id, columns(plan), ear(&self.failed))?;
        let ledger = StoreLedger::new(store.again()?, ear(&self.failed));
        self.open = Some(Open {
            store,
            run,
            _lock: lock,
            journal,
            ledger,
            diff: args.keep.diff.is_some() || args.notify.is_wanted(),
            tells: args.notify.is_wanted(),
            tiles: plan.targets.chunk_count(),
        });
        Ok(Kept::Run(Box::new(self)))
    }

    /// The seed that the run began with, if it goes on.
    pub(crate) fn seed(&self) -> Option<u64> {
        let open = self.open.as_ref().filter(|_| self.resumed);
        open.map(|open| open.run.seed)
    }

    /// What the scan is given.
    pub(crate) fn memory(&mut self) -> Memory<'_> {
        match &mut self.open {
            Some(open) => Memory {
                journal: &mut open.journal as &mut (dyn Journal + Send),
                ledger: &mut open.ledger as &mut dyn Ledger,
            },
            None => Memory {
                journal: &mut *self.scratch,
                ledger: &mut self.run_ledger,
            },
        }
    }

    /// What earlier runs saw of a block that this run audits; none if the run is not kept.
    pub(crate) fn memories(&self, block: &TargetSet) -> Option<Memories> {
        let open = self.open.as_ref()?;
        match open.store.again() {
            Ok(store) => Some(Memories::of(store, &open.run, &Cover::of(block))),
            Err(error) => {
                say(&error.into(), false);
                None
            }
        }
    }

    /// Ends this part of the run: the records, and which lists were usable, become those of all its parts, and are written
    /// down. Returns false if something of the run could not be kept, and what changed since the last run.
    pub(crate) fn close(
        &mut self,
        record: &mut RunRecord,
        (lists, usable): (&mut [ListRecord], &mut [bool]),
        quiet: bool,
    ) -> (bool, Option<Difference>) {
        let Some(open) = &mut self.open else {
            return (!self.failed.load(Ordering::Relaxed), None);
        };
        if open.journal.finish() {
            let ended = end(open, self.resumed, (record, lists, usable), quiet);
            if let Err(error) = ended
                && !self.failed.swap(true, Ordering::Relaxed)
            {
                say(&error.into(), false);
            }
        }
        (!self.failed.load(Ordering::Relaxed), record.diff.clone())
    }

    /// Remembers how far away the lists were and whether they worked, for `plan`.
    pub(crate) fn remember(&mut self, reached: &[Reached], now: Timestamp) {
        if let Some(open) = self.open.as_mut().filter(|_| !self.failed.load(Ordering::Relaxed))
            && let Err(error) = open.store.remember(reached, now)
        {
            self.failed.store(true, Ordering::Relaxed);
            say(&error.into(), false);
        }
    }

    /// What changed could not be told: the next run tells it too.
    pub(crate) fn leave_untold(&mut self) {
        if let Some(open) = &mut self.open
            && let Err(error) = open.store.leave_untold(open.run.id)
        {
            say(&error.into(), false);
        }
    }

    /// Keeps the conclusion of the audit that the run was. Returns false if something of the run could not be kept.
    pub(crate) fn conclude(&mut self, audited: &Audited) -> bool {
        if let Some(open) = self.open.as_mut().filter(|_| !self.failed.load(Ordering::Relaxed))
            && let Err(error) = open.store.conclude(open.run.id, &to_json(audited))
        {
            self.failed.store(true, Ordering::Relaxed);
            say(&error.into(), false);
        }
        !self.failed.load(Ordering::Relaxed)
    }
}

fn end(
    open: &mut Open,
    resumed: bool,
    (record, lists, usable): (&mut RunRecord, &mut [ListRecord], &mut [bool]),
    quiet: bool,
) -> Result<(), StoreError> {
    if resumed {
        add_earlier(open, record, lists)?;
        for (place, (list, usable)) in lists.iter_mut().zip(usable.iter_mut()).enumerate() {
            if let Some(standing) = open.journal.standing(place) {
                *usable = standing.passed;
                stand(list, standing);
            }
        }
    }
    let (tiles, pairs) = open.journal.written()?;
    let whole = tiles == open.tiles && pairs == 0;
    if pairs > 0 && !quiet {
        talk!("reputon: {pairs} questions are left open; --resume goes on with them");
    }
    let stored = usable.iter().zip(lists.iter());
    let stored: Vec<(bool, String)> = stored.map(|(usable, list)| (*usable, to_json(list))).collect();
    let when = (record.finished, whole);
    open.store.end(open.run.id, when, &to_json(record), &stored)?;
    if open.diff {
        // Behind the end: what became of the lists is in the database then.
        record.diff = difference(&open.store, &open.run, open.tells)?;
        match &record.diff {
            Some(_) => open.store.end(open.run.id, when, &to_json(record), &stored)?,
            None if !quiet => talk!("reputon: there is no earlier run of these targets to compare with"),
            None => (),
        }
    }
    Ok(())
}

/// Adds what the earlier parts of the run asked, as far as they ended in order.
fn add_earlier(open: &Open, record: &mut RunRecord, lists: &mut [ListRecord]) -> Result<(), StoreError> {
    record.started = open.run.started;
    let earlier = open.run.record.as_deref();
    if let Some(earlier) = earlier.and_then(|text| serde_json::from_str::<RunRecord>(text).ok()) {
        record.asked += earlier.asked;
        record.retried += earlier.retried;
        for (operator, queries) in earlier.queries {
            *record.queries.entry(operator).or_insert(0) += queries;
        }
    }
    for (list, earlier) in lists.iter_mut().zip(open.store.lists_of(open.run.id)?) {
        let earlier = serde_json::from_str::<serde_json::Value>(&earlier.record).ok();
        list.asked += earlier.and_then(|record| record["asked"].as_u64()).unwrap_or(0);
    }
    Ok(())
}

/// What changed since the last run of the same targets that ended in order; for who is to be told of it, since the last
/// whose own news got through. What that run did not know is compared with what was known before.
fn difference(store: &Store, run: &StoredRun, tells: bool) -> Result<Option<Difference>, StoreError> {
    let serves = |found: &StoredRun| !tells || !found.untold;
    let Some(before) = last_before(store, run, serves)? else {
        return Ok(None);
    };
    let past = past(store, &before, serves)?;
    compare(store, &before, run, &past).map(Some)
}

/// Runs over the same targets that ended in order before another, newest first: they tell what that one did not know.
pub(crate) fn past(
    store: &Store,
    run: &StoredRun,
    serves: impl Fn(&StoredRun) -> bool,
) -> Result<Vec<StoredRun>, StoreError> {
    let mut found: Vec<StoredRun> = Vec::new();
    while found.len() < PAST_MAX
        && let Some(before) = last_before(store, found.last().unwrap_or(run), &serves)?
    {
        found.push(before);
    }
    Ok(found)
}

/// How many runs back is looked for what the last one did not know: a month of nights.
const PAST_MAX: usize = 31;

/// The last run before another over the same targets that ended in order.
pub(crate) fn before(store: &Store, run: &StoredRun) -> Result<Option<StoredRun>, StoreError> {
    last_before(store, run, |_| true)
}

fn last_before(
    store: &Store,
    run: &StoredRun,
    serves: impl Fn(&StoredRun) -> bool,
) -> Result<Option<StoredRun>, StoreError> {
    let mut id = run.id;
    while let Some(found) = store.last_run_of(&run.plan, Some(id))? {
        if found.ended.is_some() && serves(&found) {
            return Ok(Some(found));
        }
        id = found.id;
    }
    Ok(None)
}

/// The run to go on with: the last one over these targets. None if there is none, and nothing else was interrupted.
///
/// # Errors
/// If the run that there is has another plan: it says what changed.
fn find(store: &Store, facts: &PlanFacts) -> anyhow::Result<Option<StoredRun>> {
    let found = match store.last_run_of(facts, None)? {
        Some(run) => run,
        None => match store.last_run()?.filter(|run| !run.whole) {
            Some(run) if !RunLock::is_held(store.path(), run.id) => run,
            _ => return Ok(None),
        },
    };
    let changes = found.changes(facts);
    if changes.is_empty() {
        return Ok(Some(found));
    }
    let changes: Vec<String> = changes.iter().map(|change| told(&found, change)).collect();
    bail!(
        "run {} ({}) cannot be gone on with, because the plan is another: {}; leave --resume out to start a new run",
        found.id,
        visible(&found.label),
        changes.join("; ")
    )
}

/// A change of the plan in words.
fn told(found: &StoredRun, (word, before, after): &(String, String, String)) -> String {
    let short = |text: &str| text.chars().take(12).collect::<String>();
    let shown = |text: &str| {
        if text.is_empty() {
            "none".to_owned()
        } else {
            text.to_owned()
        }
    };
    match word.as_str() {
        "targets" => format!("the targets changed (it has {})", found.target_count),
        "catalogue" => format!("the catalogue changed ({} before, {} now)", short(before), short(after)),
        "lists" => {
            let lists = |text: &str| -> Vec<String> { text.split_whitespace().map(str::to_owned).collect() };
            let (before, after) = (lists(before), lists(after));
            let changed = |of: &[String], from: &[String], sign: &str| -> String {
                let of: Vec<&String> = of.iter().filter(|list| !from.contains(list)).collect();
                let shown: Vec<String> = of.iter().take(5).map(|list| format!("{sign}{list}")).collect();
                let more = if of.len() > 5 {
                    format!(" and {} more", of.len() - 5)
                } else {
                    String::new()
                };
                shown.join(" ") + &more
            };
            let (gone, new) = (changed(&before, &after, "-"), changed(&after, &before, "+"));
            format!("the lists changed ({})", format!("{gone} {new}").trim())
        }
        word => format!("{word} changed ({} before, {} now)", shown(before), shown(after)),
    }
}

/// Everything that a run must have in common with one that goes on with it. Paths, pace and outputs are not in it.
fn plan_facts((args, targets): (&ScanArgs, &str), plan: &Plan<'_>, options: &ScanOptions) -> PlanFacts {
    let list = |index: ListIndex| plan.catalogue.list(index).id.as_str();
    let lists = plan.columns.iter().map(|column| match &column.questions {
        Ok(_) => list(column.list).to_owned(),
        Err(reason) => format!("{}:{reason}", list(column.list)),
    });
    let stages = Stage::ALL.iter().filter(|stage| options.stages.has(**stage));
    let mut selectors = options.stage_options.dkim_selectors.clone();
    selectors.sort();
    let shard = args.savings.shard.map(|shard| format!("{}/{}", shard.number, shard.of));
    let mut local: Vec<&str> = args
        .savings
        .known
        .zone_data
        .iter()
        .map(|data| data.list.as_str())
        .collect();
    local.sort_unstable();
    let facts = [
        ("targets", targets.to_owned()),
        ("shard", shard.unwrap_or_default()),
        (
            "folding",
            if args.savings.known.no_fold { "none" } else { "" }.to_owned(),
        ),
        ("pruning", if options.prune { "yes" } else { "" }.to_owned()),
        ("zone data", local.join(" ")),
        ("lists", lists.collect::<Vec<_>>().join(" ")),
        ("catalogue", plan.catalogue.hash().to_owned()),
        (
            "stages",
            stages.map(|stage| stage.as_str()).collect::<Vec<_>>().join(" "),
        ),
        ("DKIM selectors", selectors.join(" ")),
        (
            "health checks",
            if options.skip_health { "skipped" } else { "" }.to_owned(),
        ),
        ("rehearsal", if is_rehearsal(&args.lab) { "yes" } else { "" }.to_owned()),
    ];
    facts
        .into_iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(word, value)| (word.to_owned(), value))
        .collect()
}

pub(crate) fn is_rehearsal(lab: &LabOptions) -> bool {
    lab.lab || !lab.lab_catalogue.is_empty()
}

/// The targets as typed, short.
fn label(typed: &[String]) -> String {
    let all = if typed.is_empty() {
        "-".to_owned()
    } else {
        typed.join(" ")
    };
    match all.char_indices().nth(LABEL_MAX) {
        Some((end, _)) => format!("{}…", &all[..end]),
        None => all,
    }
}

fn say(error: &anyhow::Error, quiet: bool) {
    if !quiet {
        talk!("reputon: {}", visible(&format!("{error:#}")));
    }
}

/// A run by what was typed: its number.
///
/// # Errors
/// If there is no such run.
pub(crate) fn run_named(store: &Store, id: RunId) -> anyhow::Result<StoredRun> {
    let found = store.run(id)?;
    found.with_context(|| {
        format!(
            "there is no run {id} in {}; `reputon runs` shows them",
            store.path().display()
        )
    })
}
