//! The tables, and how an older file becomes one of today.
//!
//! * `facts`: what was known of the lists of a run when it ran, as JSON: reports of old runs do not need the catalogue of
//!   today. Runs with the same lists share a row.
//! * `runs`: one a run. `targets` is a fingerprint of the targets in their order, `plan` everything that a run must have in
//!   common with one that goes on with it. `record` is the run's own record, once a part of it ended in order; `whole` says
//!   that nothing is left to ask. `audit` is the conclusion of an audit, as JSON: neighbours and earlier runs are in no tile.
//!   `untold` says that its news did not get through: the next run tells them too.
//! * `run_lists`: how each list of a run did, in the order of its columns.
//! * `examinations`: how each list's examination went; written with the tiles, so that a run that is killed has it.
//! * `tiles`: closed tiles; `open` counts the pairs that are to be asked again. `blob` has the octets.
//! * `doubts`: what rests on a denial that proved false ([`Doubts`](crate::dossier::Doubts)), as places of lists: pairs of
//!   `place` that go back to pruning on `source` are read as not asked, until their tile is written again.
//! * `listed`: in which tiles of a run targets of a block are listed: for histories. `listed.rs` says what a block is.
//! * `reached`: how lists were when a run asked them last, by the way that it asked them: how long their replies took, in
//!   microseconds, and what was wrong with them. `at` is in seconds since 1970. It belongs to no run.
//! * `leases`: queries reserved of operators' daily budgets, in seconds since 1970.
//!
//! `application_id` tells our files from others, `user_version` is [`VERSION`]. A new version adds a step to [`STEPS`];
//! steps are never changed.

/// The version that this program reads and writes.
pub(super) const VERSION: i64 = STEPS.len() as i64;

/// "RPTN": says that a SQLite file is ours.
pub(super) const APPLICATION_ID: i64 = 0x5250_544e;

/// What leads from each version to the next.
pub(super) const STEPS: [&str; 6] = [
    "
CREATE TABLE facts (
    id INTEGER PRIMARY KEY,
    hash TEXT NOT NULL UNIQUE,
    lists TEXT NOT NULL
) STRICT;

CREATE TABLE runs (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    started TEXT NOT NULL,
    ended TEXT,
    whole INTEGER NOT NULL DEFAULT 0,
    label TEXT NOT NULL,
    targets TEXT NOT NULL,
    target_count INTEGER NOT NULL,
    plan TEXT NOT NULL,
    seed INTEGER NOT NULL,
    facts INTEGER NOT NULL REFERENCES facts (id),
    record TEXT
) STRICT;
CREATE INDEX runs_by_targets ON runs (targets);

CREATE TABLE run_lists (
    run INTEGER NOT NULL REFERENCES runs (id),
    place INTEGER NOT NULL,
    usable INTEGER NOT NULL,
    record TEXT NOT NULL,
    PRIMARY KEY (run, place)
) STRICT, WITHOUT ROWID;

CREATE TABLE tiles (
    run INTEGER NOT NULL REFERENCES runs (id),
    number INTEGER NOT NULL,
    open INTEGER NOT NULL,
    targets BLOB NOT NULL,
    states BLOB NOT NULL,
    details BLOB,
    PRIMARY KEY (run, number)
) STRICT;

CREATE TABLE names (
    id INTEGER PRIMARY KEY,
    list TEXT NOT NULL UNIQUE
) STRICT;

CREATE TABLE listings (
    target TEXT NOT NULL,
    list INTEGER NOT NULL REFERENCES names (id),
    run INTEGER NOT NULL REFERENCES runs (id),
    role TEXT NOT NULL,
    tier TEXT NOT NULL,
    codes TEXT NOT NULL,
    PRIMARY KEY (target, list, run)
) STRICT, WITHOUT ROWID;

CREATE TABLE leases (
    id INTEGER PRIMARY KEY,
    operator TEXT NOT NULL,
    taken INTEGER NOT NULL,
    queries INTEGER NOT NULL
) STRICT;
CREATE INDEX leases_by_operator ON leases (operator, taken);
",
    "
ALTER TABLE runs ADD COLUMN audit TEXT;
CREATE TABLE examinations (
    run INTEGER NOT NULL REFERENCES runs (id),
    place INTEGER NOT NULL,
    passed INTEGER NOT NULL,
    fault TEXT,
    PRIMARY KEY (run, place)
) STRICT, WITHOUT ROWID;
",
    "
ALTER TABLE runs ADD COLUMN untold INTEGER NOT NULL DEFAULT 0;
",
    "
CREATE TABLE doubts (
    run INTEGER NOT NULL REFERENCES runs (id),
    place INTEGER NOT NULL,
    source INTEGER NOT NULL,
    PRIMARY KEY (run, place, source)
) STRICT, WITHOUT ROWID;
",
    // Filled from the tiles by `listed`.
    "
CREATE TABLE listed (
    run INTEGER NOT NULL REFERENCES runs (id),
    block INTEGER NOT NULL,
    number INTEGER NOT NULL,
    PRIMARY KEY (run, block, number)
) STRICT, WITHOUT ROWID;
DROP TABLE listings;
DROP TABLE names;
",
    "
CREATE TABLE reached (
    list TEXT NOT NULL,
    way TEXT NOT NULL,
    at INTEGER NOT NULL,
    micros INTEGER,
    fault TEXT,
    PRIMARY KEY (list, way)
) STRICT, WITHOUT ROWID;
",
];
