//! The database by itself: opened, shared, damaged, and what it keeps.

use std::cell::Cell;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use jiff::{SignedDuration, Timestamp};

use super::*;
use crate::clock::Instant;
use crate::dnsxl::{
    Catalogue, Cause, How, List, ListIndex, Listing, NameForm, Observation, Operator, OperatorIndex, ReturnCodes, Role,
    Status, Terms, TestEntries, Tier, Use,
};
use crate::dossier::{Dossier, Doubt, Doubts, Journal, ListFate, Observed};
use crate::plan::Ledger;
use crate::targets::{Domain, Kind, Target};

fn catalogue(ids: &[&str]) -> Catalogue {
    let list = |id: &&str| List {
        id: (*id).to_owned(),
        zone: format!("{id}.example"),
        query: None,
        operator: OperatorIndex(0),
        kinds: vec![Kind::Ip4],
        role: Role::Block,
        tier: Tier::B,
        default: true,
        tags: Vec::new(),
        covers: Vec::new(),
        about: None,
        remove: None,
        remove_how: None,
        lookup: None,
        codes: Default::default(),
        refusal: Vec::new(),
        txt: true,
        ip6_unit: None,
        name_form: NameForm::Full,
        test: TestEntries::default(),
        status: Status::Live,
        retired: None,
        sources: Vec::new(),
    };
    let operator = Operator {
        id: "alpha".into(),
        name: "Alpha".into(),
        home: None,
        checked: None,
        terms: Terms {
            usage: Use::Free,
            max_queries_per_day: None,
            max_qps: None,
            public_resolvers: None,
        },
        refusal: Vec::new(),
    };
    Catalogue::from_parts(ids.iter().map(list).collect(), vec![operator])
}

fn lists(catalogue: &Catalogue) -> Vec<ListIndex> {
    catalogue.indexed().map(|(index, _)| index).collect()
}

fn new_run(catalogue: &Catalogue, targets: &str) -> NewRun {
    NewRun {
        started: Timestamp::UNIX_EPOCH,
        label: "192.0.2.0/30".into(),
        target_count: 4,
        plan: [("targets".to_owned(), targets.to_owned())].into(),
        seed: u64::MAX,
        facts: write_facts(catalogue, lists(catalogue).into_iter()),
    }
}

fn listed(code: u8) -> Observation {
    Observation::Listed(Box::new(Listing {
        codes: ReturnCodes::shared(vec![[127, 0, 0, code].into()], vec!["spam".into()]),
        role: Role::Block,
        tier: Tier::B,
        reason: None,
        ttl: 60,
        reason_cut: false,
        partial: false,
    }))
}

/// A dossier of 192.0.2.x.
fn dossier(last: u8, observations: &[Observation]) -> Dossier {
    let observed = observations.iter().enumerate().map(|(column, observation)| Observed {
        list: ListIndex(column as u16),
        observation: observation.clone(),
        how: How::Asked,
    });
    Dossier {
        target: Target::Ip4([192, 0, 2, last].into()),
        special_use: None,
        observations: observed.collect(),
        stages: Vec::new(),
        findings: Vec::new(),
        revision: 1,
    }
}

fn no_fault(error: &StoreError) {
    panic!("{error}");
}

/// A run of these dossiers, a tile each.
fn keep(store: &mut Store, catalogue: &Catalogue, dossiers: &[Dossier]) -> StoredRun {
    let (run, _lock) = store.begin(&new_run(catalogue, "t")).expect("begun");
    let again = store.again().expect("opened");
    let mut journal = RunJournal::open(again, run.id, lists(catalogue), no_fault).expect("opened");
    for (number, dossier) in dossiers.iter().enumerate() {
        journal.add(dossier);
        journal.close(Instant::ZERO, number as u32);
    }
    assert!(journal.finish());
    run
}

fn read(store: &Store, run: RunId) -> Vec<Dossier> {
    let mut dossiers = Vec::new();
    let read: Result<(), StoreError> = store.dossiers(run, |dossier| {
        dossiers.push(dossier);
        Ok(())
    });
    read.expect("sound");
    dossiers
}

#[test]
fn what_is_kept_is_recalled_and_read_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("deep/er/runs.db");
    let mut store = Store::open(&path).expect("made, with its folders");
    let catalogue = catalogue(&["one", "two"]);
    let all = [
        dossier(1, &[listed(2), Observation::NotListed]),
        dossier(2, &[Observation::Unknown(Cause::OverBudget), listed(3)]),
    ];
    let run = keep(&mut store, &catalogue, &all);
    assert_eq!(read(&store, run.id), all);
    assert_eq!(store.catalogue_of(run.id).expect("sound"), catalogue);
    assert_eq!(store.run(run.id).expect("read").expect("there").seed, u64::MAX);
    let again = store.again().expect("opened");
    let mut journal = RunJournal::open(again, run.id, lists(&catalogue), no_fault).expect("opened");
    assert_eq!(journal.written().expect("read"), (2, 1));
    assert_eq!(journal.recall(1).expect("there"), all[1..]);
    assert_eq!(journal.recall(2), None);
    let mended = dossier(2, &[Observation::NotListed, listed(3)]);
    journal.add(&mended);
    journal.close(Instant::ZERO, 1);
    let due = journal.turn(Instant::ZERO).expect("it waits");
    assert_eq!(journal.turn(due), None);
    assert_eq!(journal.written().expect("read"), (2, 0), "replaced, not doubled");
    assert_eq!(read(&store, run.id), [all[0].clone(), mended]);
}

/// A run whose first target was pruned on the first list, and the second was asked; the second list was told by the first.
#[test]
fn what_is_in_doubt_is_read_as_not_asked_until_it_is_written_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut store = Store::open(&folder.path().join("runs.db")).expect("made");
    let catalogue = catalogue(&["one", "two", "three"]);
    let clean = || [const { Observation::NotListed }; 3];
    let mut all = [dossier(1, &clean()), dossier(2, &clean())];
    all[0].observations[0].how = How::Pruned;
    all[0].observations[1].how = How::Folded;
    all[1].observations[1].how = How::Folded;
    let run = keep(&mut store, &catalogue, &all);
    let open = |store: &Store| {
        let again = store.again().expect("opened");
        RunJournal::open(again, run.id, lists(&catalogue), no_fault).expect("opened")
    };
    let mut doubts = Doubts::default();
    for list in [ListIndex(0), ListIndex(1)] {
        let source = ListIndex(0);
        doubts.add(Doubt { list, source });
    }
    let mut journal = open(&store);
    assert!(journal.doubts().is_empty());
    journal.doubt(&doubts);
    journal.doubt(&doubts); // twice is no more
    assert_eq!(open(&store).doubts(), doubts, "without any more writing");
    assert_eq!(journal.recall(0).expect("there"), all[..1], "as it was kept");
    let mut taken_back = all.clone();
    assert_eq!(doubts.take_back(&mut taken_back[0]), [0, 1]);
    assert_eq!(read(&store, run.id), taken_back);
    let mut other = Store::open(&folder.path().join("other.db")).expect("made");
    let imported = other.import(store.path()).expect("imported");
    assert_eq!(read(&other, imported[0].into), taken_back);
    let mut asked = dossier(1, &[listed(2), listed(2), Observation::NotListed]);
    asked.revision = 2;
    asked.observations[1].how = How::Folded;
    journal.add(&asked);
    journal.close(Instant::ZERO, 0);
    assert_eq!(
        journal.recall(0).expect("there"),
        [asked.clone()],
        "written when it is wanted"
    );
    assert!(journal.remembers() && journal.finish());
    assert_eq!(read(&store, run.id), [asked, all[1].clone()]);
    assert_eq!(store.prune(0).expect("removed").len(), 1);
    assert!(
        store
            .doubts(run.id, &[ListIndex(0), ListIndex(1)])
            .expect("read")
            .is_empty()
    );
}

#[test]
fn a_scratch_journal_recalls_what_it_was_given_and_leaves_nothing_behind() {
    let catalogue = catalogue(&["one"]);
    let mut journal = RunJournal::scratch(lists(&catalogue), no_fault).expect("there is room");
    assert_eq!(journal.recall(0), None);
    for number in (0..300).rev() {
        journal.add(&dossier(number as u8, &[listed(2)]));
        journal.close(Instant::ZERO, number);
    }
    journal.doubt(&Doubts::default());
    for number in 0..300 {
        assert_eq!(
            journal.recall(number).expect("there"),
            [dossier(number as u8, &[listed(2)])]
        );
    }
    assert!(journal.recall(300).is_none() && journal.finish() && journal.remembers());
    assert!(!fs::exists("the journal of this run").expect("looked"));
}

#[test]
fn r20_a_run_is_held_by_one_and_its_lock_dies_with_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("runs.db");
    let mut store = Store::open(&path).expect("made");
    let (run, lock) = store.begin(&new_run(&catalogue(&["one"]), "t")).expect("begun");
    assert!(RunLock::is_held(&path, run.id));
    assert!(RunLock::take(&path, run.id).expect("tried").is_none());
    assert!(
        RunLock::take(&path, RunId(99)).expect("tried").is_some(),
        "another run is free"
    );
    drop(lock);
    assert!(!RunLock::is_held(&path, run.id));
    let lock = RunLock::take(&path, run.id).expect("tried");
    assert!(lock.is_some());
    drop(lock);
    let files = fs::read_dir(folder.path()).expect("readable");
    let left = files.filter(|file| {
        let name = file.as_ref().expect("readable").file_name();
        name.to_string_lossy().ends_with(".lock")
    });
    assert_eq!(left.count(), 0);
}

#[test]
fn files_that_are_not_ours_or_damaged_are_told_apart() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name);
    let message = |name: &str| Store::open(&path(name)).expect_err(name).to_string();
    fs::write(
        path("garbage.db"),
        "no database at all, but long enough to be read as one: ".repeat(40),
    )
    .expect("written");
    assert!(
        message("garbage.db").contains("no database"),
        "{}",
        message("garbage.db")
    );
    fs::write(path("empty.db"), "").expect("written");
    Store::open(&path("empty.db")).expect("an empty file is a new one");
    let foreign = rusqlite::Connection::open(path("foreign.db")).expect("made");
    foreign.execute_batch("CREATE TABLE x (y)").expect("made");
    drop(foreign);
    assert!(message("foreign.db").contains("not a run database"));
    drop(Store::open(&path("newer.db")).expect("made"));
    let newer = rusqlite::Connection::open(path("newer.db")).expect("opened");
    newer.execute_batch("PRAGMA user_version = 4711").expect("set");
    drop(newer);
    let text = message("newer.db");
    assert!(
        text.contains("4711") && text.contains("newer.db") && text.contains("newer reputon"),
        "{text}"
    );
    drop(Store::open(&path("cut.db")).expect("made"));
    let whole = fs::read(path("cut.db")).expect("there");
    fs::write(path("cut.db"), &whole[..whole.len() / 2]).expect("written");
    assert!(message("cut.db").contains("damaged"), "{}", message("cut.db"));
    fs::create_dir(path("folder.db")).expect("made");
    let folder_read = Store::open_to_read(&path("folder.db"))
        .expect_err("a folder")
        .to_string();
    for text in [message("folder.db"), folder_read] {
        assert!(
            text.contains("folder.db: a folder, and runs are kept in a file"),
            "{text}"
        );
    }
    let device = Store::open(std::path::Path::new("/dev/null"))
        .expect_err("a device")
        .to_string();
    assert!(
        device.starts_with("/dev/null: a device, pipe or socket, and runs are kept in a file"),
        "{device}"
    );
    assert!(matches!(
        Store::open_to_read(&path("none.db")),
        Err(StoreError::Missing(_))
    ));
}

#[test]
fn what_changed_is_told_and_unknown_is_never_cleared() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut store = Store::open(&folder.path().join("runs.db")).expect("made");
    let not = || Observation::NotListed;
    let unknown = || Observation::Unknown(Cause::Timeout);
    let before = [
        dossier(1, &[listed(2), listed(2), listed(2)]),
        dossier(2, &[listed(2), not(), listed(2)]),
        dossier(3, &[not(), unknown(), not()]),
        dossier(4, &[listed(2), listed(2), listed(2)]),
    ];
    let after = [
        dossier(1, &[not(), listed(2), not()]),
        dossier(2, &[unknown(), listed(9), not()]),
        dossier(3, &[unknown(), listed(2), not()]),
    ];
    let first = keep(&mut store, &catalogue(&["one", "two", "gone"]), &before);
    let second = keep(&mut store, &catalogue(&["one", "two", "new"]), &after);
    let difference = compare(&store, &first, &second, &[]).expect("sound");
    let pairs = |changes: &[crate::dossier::Change]| -> Vec<String> {
        let pair = |change: &crate::dossier::Change| format!("{} {} {}", change.target, change.list, change.after);
        changes.iter().map(pair).collect()
    };
    assert_eq!(
        pairs(&difference.newly_listed),
        ["192.0.2.2 two listed", "192.0.2.3 two listed"]
    );
    assert_eq!(pairs(&difference.cleared), ["192.0.2.1 one not_listed"]);
    assert_eq!(
        pairs(&difference.became_unknown),
        [
            "192.0.2.1 gone not_asked",
            "192.0.2.2 one timeout",
            "192.0.2.2 gone not_asked"
        ]
    );
    assert_eq!(difference.counts.lost_sight, 1);
    let fates: Vec<_> = difference
        .lists
        .iter()
        .map(|list| (list.list.as_str(), list.what))
        .collect();
    assert_eq!(fates, [("new", ListFate::Added), ("gone", ListFate::Removed)]);
    assert!(difference.is_worse(Tier::B) && !difference.is_worse(Tier::A));
    assert!(compare(&store, &first, &first, &[]).expect("sound").is_empty());
}

/// A list is whom it asks: under a new name it is the same, and under the old name another zone clears nobody.
#[test]
fn a_list_that_was_renamed_is_the_same_and_one_of_another_zone_is_not() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut store = Store::open(&folder.path().join("runs.db")).expect("made");
    let not = || Observation::NotListed;
    let old = catalogue(&["renamed", "moved"]);
    let mut lists = old.lists().to_vec();
    lists[0].id = "new-name".into();
    lists[1].zone = "elsewhere.example".into();
    let new = Catalogue::from_parts(lists, vec![old.operator(OperatorIndex(0)).clone()]);
    let before = [dossier(1, &[listed(2), listed(2)]), dossier(2, &[listed(2), not()])];
    let after = [dossier(1, &[listed(2), not()]), dossier(2, &[not(), not()])];
    let first = keep(&mut store, &old, &before);
    let second = keep(&mut store, &new, &after);
    let difference = compare(&store, &first, &second, &[]).expect("sound");
    let pairs = |changes: &[crate::dossier::Change]| -> Vec<String> {
        let pair = |change: &crate::dossier::Change| format!("{} {} {}", change.target, change.list, change.after);
        changes.iter().map(pair).collect()
    };
    assert_eq!(pairs(&difference.newly_listed), [""; 0]);
    assert_eq!(pairs(&difference.cleared), ["192.0.2.2 new-name not_listed"]);
    assert_eq!(pairs(&difference.became_unknown), ["192.0.2.1 moved not_asked"]);
}

/// After a night in which nothing could be learnt, what changed is told since the night before it: neither is everything new,
/// nor is what went in that night forgotten.
#[test]
fn a_night_of_nothing_makes_nothing_new_and_hides_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut store = Store::open(&folder.path().join("runs.db")).expect("made");
    let not = || Observation::NotListed;
    let unknown = || Observation::Unknown(Cause::ResolverBroken);
    let both = catalogue(&["one", "two"]);
    let known = [
        dossier(1, &[listed(2), listed(2)]),
        dossier(2, &[listed(2), not()]),
        dossier(3, &[not(), unknown()]),
    ];
    let nights = [
        known.to_vec(),
        (1..=3).map(|last| dossier(last, &[unknown(), unknown()])).collect(),
        // Stopped before it had looked at anything, and with one list only.
        Vec::new(),
    ];
    let mut runs: Vec<StoredRun> = nights.iter().map(|night| keep(&mut store, &both, night)).collect();
    runs.push(keep(
        &mut store,
        &catalogue(&["two"]),
        &[
            dossier(1, &[unknown()]),
            dossier(2, &[unknown()]),
            dossier(3, &[unknown()]),
        ],
    ));
    let now = [
        dossier(1, &[listed(2), not()]),
        dossier(2, &[listed(4), listed(2)]),
        dossier(3, &[listed(2), listed(2)]),
    ];
    let last = keep(&mut store, &both, &now);
    let told = |changes: &[crate::dossier::Change]| -> Vec<String> {
        let pair = |change: &crate::dossier::Change| format!("{} {} {}", change.target, change.list, change.before);
        changes.iter().map(pair).collect()
    };
    runs.reverse();
    for since in 0..runs.len() - 1 {
        let difference = compare(&store, &runs[since], &last, &runs[since + 1..]).expect("sound");
        assert_eq!(
            told(&difference.newly_listed),
            [
                "192.0.2.2 two not_listed",
                "192.0.2.3 one not_listed",
                "192.0.2.3 two resolver_broken"
            ],
            "since {since}"
        );
        assert_eq!(told(&difference.cleared), ["192.0.2.1 two listed"], "since {since}");
        assert_eq!(
            told(&difference.code_changed),
            ["192.0.2.2 one listed"],
            "since {since}"
        );
        assert_eq!(difference.counts.became_unknown, 0, "since {since}");
    }
}

#[test]
fn a_history_has_first_and_last_and_old_runs_can_be_removed() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut store = Store::open(&folder.path().join("runs.db")).expect("made");
    let catalogue = catalogue(&["one", "two"]);
    for code in [2, 2, 9] {
        keep(
            &mut store,
            &catalogue,
            &[dossier(7, &[listed(code), Observation::NotListed])],
        );
    }
    let target = Target::Ip4([192, 0, 2, 7].into());
    let history = store.history(&target).expect("read");
    assert_eq!(history.len(), 1);
    let seen = &history[0];
    assert_eq!((seen.first_run, seen.last_run, seen.runs), (RunId(1), RunId(3), 3));
    assert_eq!(seen.codes, ["127.0.0.9"]);
    let last = store.last_word(&target).expect("read").expect("it was looked at");
    assert_eq!(last.run, RunId(3));
    assert_eq!(
        ["one", "two", "three"].map(|list| last.is_listed(list)),
        [Some(true), Some(false), None]
    );
    let held = RunLock::take(store.path(), RunId(1)).expect("tried");
    let removed = store.prune(1).expect("removed");
    assert_eq!(removed.iter().map(|run| run.id).collect::<Vec<_>>(), [RunId(2)]);
    drop(held);
    assert_eq!(store.prune(1).expect("removed").len(), 1);
    assert_eq!(store.history(&target).expect("read")[0].runs, 1);
    assert_eq!(store.runs().expect("read").len(), 1);
}

/// Neighbours share a block, and a list's text may come twice: what one target has is not another's, and a run that is the
/// later one or began later is no history.
#[test]
fn what_earlier_runs_saw_is_recalled_target_by_target() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut store = Store::open(&folder.path().join("runs.db")).expect("made");
    let not = || Observation::NotListed;
    let name = |name: &str| Dossier {
        target: Target::Domain(Domain::new(name).expect("a name")),
        ..dossier(0, &[not(), listed(2)])
    };
    let six = |last: u16| Dossier {
        target: Target::Ip6([0x2001, 0xdb8, 0, 0, 0, 0, 0, last].into()),
        ..dossier(0, &[listed(u8::try_from(last).expect("small")), not()])
    };
    let mut hour = 0;
    let mut at = |lists: &[&str], dossiers: &[Dossier]| {
        hour += 1;
        let run = keep(&mut store, &catalogue(lists), dossiers);
        let update = "UPDATE runs SET started = ?2 WHERE id = ?1";
        let started = Timestamp::UNIX_EPOCH + SignedDuration::from_hours(hour);
        let values = rusqlite::params![run.id.0, started.to_string()];
        store.connection.execute(update, values).expect("dated");
        store.run(run.id).expect("read").expect("there")
    };
    let all = [
        dossier(7, &[listed(2), not()]),
        dossier(8, &[not(), not()]),
        name("a.test"),
        six(2),
        six(3),
    ];
    let first = at(&["one", "two"], &all);
    let second = at(&["two", "one"], &[dossier(7, &[listed(4), listed(3)])]);
    let third = at(&["one", "two"], &[dossier(8, &[listed(2), listed(2)])]);
    at(&["one", "two"], &[dossier(7, &[listed(2), listed(2)])]);
    let again = store.again().expect("opened");
    let mut recollection = Recollection::of(again, &third, |_| true).expect("read");
    assert_eq!(recollection.moments(), [first.started, second.started]);
    let mut of = |dossier: &Dossier| -> Vec<(String, bool, bool)> {
        let seen = recollection.earlier(&dossier.target).expect("read").iter();
        let dates =
            |seen: &crate::dossier::Earlier| (seen.first_seen == first.started, seen.last_seen == second.started);
        seen.map(|seen| (seen.list.clone(), dates(seen).0, dates(seen).1))
            .collect()
    };
    let (one, two) = ("one".to_owned(), "two".to_owned());
    assert_eq!(of(&all[0]), [(one.clone(), true, true), (two.clone(), false, true)]);
    assert_eq!(of(&all[1]), []);
    assert_eq!(of(&all[2]), [(two, true, false)]);
    assert_eq!(of(&all[4]), [(one, true, false)]);
    assert_eq!(of(&name("b.test")), []);
    let codes = |dossier: &Dossier| store.history(&dossier.target).expect("read")[0].codes.clone();
    assert_eq!(
        (codes(&all[3]), codes(&all[4])),
        (vec!["127.0.0.2".into()], vec!["127.0.0.3".into()])
    );
}

thread_local! {
    static MINUTES: Cell<i64> = const { Cell::new(0) };
}

fn date() -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_mins(MINUTES.get())
}

#[test]
fn budgets_are_shared_roll_over_24_hours_and_survive_a_kill() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("runs.db");
    let ledger = || StoreLedger::new(Store::open(&path).expect("opened"), no_fault).at(date);
    let (mut one, mut two) = (ledger(), ledger());
    assert_eq!(one.reserve("alpha", 1_000, 600), 600);
    assert_eq!(two.reserve("alpha", 1_000, 600), 400);
    assert_eq!(two.reserve("beta", 1_000, 600), 600);
    one.settle("alpha", 0, 250);
    drop(one); // as a kill would: 350 stay taken
    assert_eq!(two.reserve("alpha", 1_000, 600), 250);
    MINUTES.set(12 * 60);
    two.settle("alpha", 100, 50);
    assert_eq!(two.reserve("alpha", 1_000, 600), 50);
    MINUTES.set(24 * 60 + 9);
    assert_eq!(
        ledger().reserve("alpha", 1_000, 5_000),
        0,
        "a lease may be used ten minutes later"
    );
    MINUTES.set(24 * 60 + 11);
    assert_eq!(
        ledger().reserve("alpha", 1_000, 5_000),
        850,
        "what was kept at 12 counts until 36"
    );
    MINUTES.set(37 * 60);
    assert_eq!(ledger().reserve("alpha", 1_000, 5_000), 150);
}

#[test]
fn a_ledger_without_its_file_keeps_to_what_it_knew() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("runs.db");
    let told = Arc::new(AtomicU32::new(0));
    let ear = Arc::clone(&told);
    let store = Store::open(&path).expect("made");
    let mut ledger = StoreLedger::new(store, move |_| {
        ear.fetch_add(1, Ordering::Relaxed);
    })
    .at(date);
    assert_eq!(ledger.reserve("alpha", 1_000, 600), 600);
    let other = rusqlite::Connection::open(&path).expect("opened");
    other.execute_batch("DROP TABLE leases").expect("dropped");
    assert_eq!(ledger.reserve("alpha", 1_000, 600), 400);
    assert_eq!(ledger.reserve("alpha", 1_000, 600), 0);
    assert_eq!(told.load(Ordering::Relaxed), 1, "told once");
}

#[test]
fn shards_become_one_run() {
    let folder = tempfile::tempdir().expect("a folder");
    let catalogue = catalogue(&["one"]);
    let path = |name: &str| folder.path().join(name);
    for (shard, lasts) in [("1/2", [0u8, 2]), ("2/2", [1, 3])] {
        let mut store = Store::open(&path(&shard.replace('/', "of"))).expect("made");
        let mut run = new_run(&catalogue, "t");
        run.plan.insert("shard".into(), shard.into());
        let (run, _lock) = store.begin(&run).expect("begun");
        let again = store.again().expect("opened");
        let mut journal = RunJournal::open(again, run.id, lists(&catalogue), no_fault).expect("opened");
        for (number, last) in (0..).zip(lasts) {
            journal.add(&dossier(last, &[listed(2)]));
            journal.close(Instant::ZERO, number);
        }
        assert!(journal.finish());
        let end = (Timestamp::UNIX_EPOCH, true);
        let lists = [(true, r#"{"id":"one","listed":2,"health":"healthy"}"#.to_owned())];
        store
            .end(
                run.id,
                end,
                r#"{"planned":2,"answered":1,"queries":{"alpha":3}}"#,
                &lists,
            )
            .expect("ended");
    }
    let mut store = Store::open(&path("whole")).expect("made");
    let first = store.import(&path("1of2")).expect("imported");
    assert_eq!((first[0].merged, first[0].tiles), (false, 2));
    // Half a run is not whole, whatever its half is, and is told from the run over all targets.
    assert_eq!(first[0].missing, ["2 of 2"]);
    let half = store.run(first[0].into).expect("read").expect("it is there");
    assert_eq!((half.whole, half.target_count, half.all_targets()), (false, 4, 8));
    assert_ne!(
        super::runs::targets_of(&half.plan),
        super::runs::targets_of(&new_run(&catalogue, "t").plan)
    );
    let second = store.import(&path("2of2")).expect("imported");
    assert_eq!(
        (second[0].merged, second[0].tiles, second[0].into),
        (true, 2, first[0].into)
    );
    assert!(second[0].missing.is_empty());
    let both = store.run(first[0].into).expect("read").expect("it is there");
    assert_eq!((both.whole, both.target_count, both.all_targets()), (true, 8, 8));
    assert_eq!(both.plan, new_run(&catalogue, "t").plan);
    let again = store.import(&path("2of2")).expect("imported");
    assert_eq!(
        store
            .run(first[0].into)
            .expect("read")
            .expect("it is there")
            .target_count,
        8
    );
    assert_eq!((again[0].tiles, again[0].known), (0, 2), "nothing twice");
    let targets: Vec<String> = read(&store, first[0].into)
        .iter()
        .map(|one| one.target.to_string())
        .collect();
    assert_eq!(targets, ["192.0.2.0", "192.0.2.1", "192.0.2.2", "192.0.2.3"]);
    assert_eq!(store.runs().expect("read").len(), 1);
    // A share that was killed makes no whole of the others.
    let killed = path("killed");
    std::fs::copy(path("1of2"), &killed).expect("copied");
    let update = "UPDATE runs SET ended = NULL, whole = 0, record = NULL";
    let done = Store::open(&killed).expect("opened").connection.execute(update, []);
    assert_eq!(done.expect("written"), 1);
    let mut store = Store::open(&path("late")).expect("made");
    let into = store.import(&killed).expect("imported")[0].into;
    store.import(&path("2of2")).expect("imported");
    let merged = store.run(into).expect("read").expect("it is there");
    assert_eq!((merged.whole, merged.ended, merged.all_targets()), (false, None, 8));
}
