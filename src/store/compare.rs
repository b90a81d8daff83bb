//! What changed between two runs over the same targets.
//!
//! Both runs are read side by side, a tile at a time: the same targets are cut into the same tiles. What the later run knows
//! and the earlier one did not (its resolver was down, the list was silent, it was stopped) is looked up in the runs before
//! that, newest first: else a listing would be told as new after every bad night, and one that went in it never. A tile that
//! only the later run has is left out.

use std::collections::HashMap;

use crate::dnsxl::{Catalogue, List, ListIndex, Observation, Status};
use crate::dossier::{Change, ChangeKind, Difference, Dossier, Doubts, ListChange, ListFate};
use crate::targets::Target;

use super::database::Store;
use super::error::StoreError;
use super::history::rfc3339;
use super::read::Octets;
use super::runs::StoredRun;

/// What changed from an earlier run to a later one over the same targets. `past` are runs before the earlier one, newest
/// first, that tell what it did not know.
///
/// # Errors
/// If they cannot be read.
pub fn compare(
    store: &Store,
    before: &StoredRun,
    after: &StoredRun,
    past: &[StoredRun],
) -> Result<Difference, StoreError> {
    let (old, new) = (Opened::open(store, before)?, Opened::open(store, after)?);
    let pairing = Pairing::new(&old.catalogue, &new.catalogue);
    let mut past = Past::new(past, &new.catalogue);
    let mut difference = Difference {
        since: before.id.0,
        since_started: rfc3339(before.started),
        ..Difference::default()
    };
    let is_same = pairing.is_same && old.doubts == new.doubts;
    let mut left = store.next_tile(before.id, -1)?;
    let mut right = store.next_tile(after.id, -1)?;
    while let Some(tile) = right {
        while let Some(earlier) = left.as_ref().filter(|earlier| earlier.number < tile.number) {
            left = store.next_tile(before.id, earlier.number)?;
        }
        let earlier = left.as_ref().filter(|earlier| earlier.number == tile.number);
        let is_unchanged = earlier.is_some_and(|earlier| {
            earlier.targets == tile.targets && earlier.states == tile.states && earlier.details == tile.details
        });
        if !(is_same && is_unchanged) {
            let later = new.dossiers(store, &tile)?;
            let earlier = earlier.map(|earlier| old.dossiers(store, earlier)).transpose()?;
            let mut known: HashMap<Target, Known> = HashMap::new();
            for dossier in earlier.into_iter().flatten() {
                known.insert(dossier.target.clone(), pairing.known(dossier));
            }
            past.fill_in(store, tile.number, &later, &mut known)?;
            for dossier in &later {
                if let Some(known) = known.get(&dossier.target) {
                    pairing.compare(known, dossier, &mut difference);
                }
            }
        }
        right = store.next_tile(after.id, tile.number)?;
    }
    let (old_health, new_health) = (health(store, before)?, health(store, after)?);
    let retired = store.retired_of(after.id)?;
    pairing.lists((&old_health, &new_health), &retired, &mut difference);
    Ok(difference)
}

/// A run, ready to be read.
struct Opened {
    run: StoredRun,
    catalogue: Catalogue,
    lists: Vec<ListIndex>,
    doubts: Doubts,
}

impl Opened {
    fn open(store: &Store, run: &StoredRun) -> Result<Opened, StoreError> {
        let catalogue = store.catalogue_of(run.id)?;
        let lists: Vec<ListIndex> = catalogue.indexed().map(|(index, _)| index).collect();
        Ok(Opened {
            run: run.clone(),
            doubts: store.doubts(run.id, &lists)?,
            catalogue,
            lists,
        })
    }

    fn dossiers(&self, store: &Store, tile: &Octets) -> Result<Vec<Dossier>, StoreError> {
        store.dossiers_of(self.run.id, tile, (&self.lists, &self.doubts))
    }
}

/// What was known of a target before.
#[derive(Default)]
struct Known {
    /// By the later run's lists; none where the list was not part of the run.
    by_list: Vec<Option<Observation>>,
    /// The earlier run's own observations, for lists that the later one has not.
    own: Vec<Observation>,
}

/// Whether a list's word is known.
fn is_known(observation: &Observation) -> bool {
    matches!(observation, Observation::Listed(_) | Observation::NotListed)
}

/// A run before the earlier one; once it has been needed, ready to be read, with its places of the later run's lists.
struct PastRun<'a> {
    run: &'a StoredRun,
    opened: Option<(Opened, Vec<Option<usize>>)>,
}

/// The runs before the earlier one, opened when they are first needed.
struct Past<'a> {
    new: &'a Catalogue,
    runs: Vec<PastRun<'a>>,
}

impl<'a> Past<'a> {
    fn new(runs: &'a [StoredRun], new: &'a Catalogue) -> Past<'a> {
        Past {
            new,
            runs: runs.iter().map(|run| PastRun { run, opened: None }).collect(),
        }
    }

    /// Fills in what is known of the targets of a tile by the later run, and was not by the earlier one.
    fn fill_in(
        &mut self,
        store: &Store,
        number: i64,
        later: &[Dossier],
        known: &mut HashMap<Target, Known>,
    ) -> Result<(), StoreError> {
        // Columns that are wanted, by target.
        let mut wanted: HashMap<&Target, Vec<usize>> = HashMap::new();
        for dossier in later {
            let before = known.get(&dossier.target);
            let known_before = |column: usize| {
                let before = before.and_then(|known| known.by_list.get(column)?.as_ref());
                before.is_some_and(is_known)
            };
            let now = dossier.observations.iter().enumerate();
            let columns = now.filter(|(column, now)| is_known(&now.observation) && !known_before(*column));
            let columns: Vec<usize> = columns.map(|(column, _)| column).collect();
            if !columns.is_empty() {
                wanted.insert(&dossier.target, columns);
            }
        }
        for PastRun { run, opened } in &mut self.runs {
            if wanted.is_empty() {
                break;
            }
            let (opened, places) = match opened {
                Some(opened) => opened,
                None => {
                    let of_run = Opened::open(store, run)?;
                    let places = places(&of_run.catalogue, self.new);
                    opened.insert((of_run, places))
                }
            };
            // A list that is new in the later run was part of none of them: then nothing is read.
            let has_list = wanted.values().flatten().any(|column| places[*column].is_some());
            let Some(tile) = has_list.then(|| store.tile(run.id, number)).transpose()?.flatten() else {
                continue;
            };
            for dossier in opened.dossiers(store, &tile)? {
                let Some(columns) = wanted.get_mut(&dossier.target) else {
                    continue;
                };
                let target = known.entry(dossier.target.clone()).or_default();
                target.by_list.resize(places.len(), None);
                columns.retain(|&column| {
                    let Some(place) = places[column] else { return true };
                    let told = &dossier.observations[place].observation;
                    if target.by_list[column].is_none() || is_known(told) {
                        target.by_list[column] = Some(told.clone());
                    }
                    !is_known(told)
                });
            }
            wanted.retain(|_, columns| !columns.is_empty());
        }
        Ok(())
    }
}

/// For each list of one catalogue, its place in the other.
fn places(old: &Catalogue, new: &Catalogue) -> Vec<Option<usize>> {
    // Who is asked makes a list, not what it is called: another zone's "not listed" clears nobody of what the old one said.
    let asked = |list: &List| (list.zone.to_ascii_lowercase(), list.query.clone());
    let old = old.lists().iter().enumerate();
    let by_zone: HashMap<_, usize> = old.map(|(place, list)| (asked(list), place)).collect();
    let new = new.lists().iter();
    new.map(|list| by_zone.get(&asked(list)).copied()).collect()
}

/// Whether each list of a run was usable; empty if that is not known.
fn health(store: &Store, run: &StoredRun) -> Result<Vec<bool>, StoreError> {
    let lists = store.lists_of(run.id)?;
    Ok(lists.iter().map(|list| list.usable).collect())
}

/// Which list of one run is which of the other.
struct Pairing<'a> {
    old: &'a Catalogue,
    new: &'a Catalogue,
    /// For each list of the later run, its place in the earlier one.
    places: Vec<Option<usize>>,
    /// Lists of the earlier run that the later one has not.
    gone: Vec<usize>,
    is_same: bool,
}

impl<'a> Pairing<'a> {
    fn new(old: &'a Catalogue, new: &'a Catalogue) -> Pairing<'a> {
        let places = places(old, new);
        let gone = (0..old.lists().len()).filter(|place| !places.contains(&Some(*place)));
        Pairing {
            old,
            new,
            gone: gone.collect(),
            is_same: places.iter().enumerate().all(|(at, place)| *place == Some(at))
                && places.len() == old.lists().len(),
            places,
        }
    }

    /// What the earlier run knew of a target.
    fn known(&self, before: Dossier) -> Known {
        let own: Vec<Observation> = before.observations.into_iter().map(|seen| seen.observation).collect();
        let by_list = self.places.iter().map(|place| place.map(|place| own[place].clone()));
        Known {
            by_list: by_list.collect(),
            own,
        }
    }

    /// Takes in what changed of one target.
    fn compare(&self, before: &Known, after: &Dossier, difference: &mut Difference) {
        for (column, observed) in after.observations.iter().enumerate() {
            let earlier = before.by_list.get(column).and_then(Option::as_ref);
            let now = &observed.observation;
            let kind = match (earlier, now) {
                (Some(Observation::Listed(old)), Observation::Listed(new))
                    if old.codes.answers == new.codes.answers =>
                {
                    continue;
                }
                (Some(Observation::Listed(_)), Observation::Listed(_)) => ChangeKind::CodeChanged,
                (_, Observation::Listed(_)) => ChangeKind::NewlyListed,
                (Some(Observation::Listed(_)), Observation::NotListed) => ChangeKind::Cleared,
                (Some(Observation::Listed(_)), _) => ChangeKind::BecameUnknown,
                (Some(Observation::NotListed), Observation::Unknown(_)) => {
                    difference.counts.lost_sight += 1;
                    continue;
                }
                _ => continue,
            };
            let list = ListIndex(column as u16); // columns are list indexes of the run's own catalogue
            difference.add(kind, change(self.new, list, after, earlier, Some(now)));
        }
        for &place in &self.gone {
            let earlier = before.own.get(place);
            if matches!(earlier, Some(Observation::Listed(_))) {
                let list = ListIndex(place as u16);
                let change = change(self.old, list, after, earlier, None);
                difference.add(ChangeKind::BecameUnknown, change);
            }
        }
    }

    /// Takes in what became of the lists.
    fn lists(&self, (old_health, new_health): (&[bool], &[bool]), retired: &[String], difference: &mut Difference) {
        for (column, list) in self.new.lists().iter().enumerate() {
            let earlier = self.places[column];
            let was_retired = earlier.is_some_and(|place| self.old.lists()[place].status == Status::Retired);
            let healthy = |health: &[bool], place: usize| health.get(place).copied();
            let health = earlier
                .and_then(|place| healthy(old_health, place))
                .zip(healthy(new_health, column));
            let what = match (earlier, health) {
                (None, _) => ListFate::Added,
                _ if list.status == Status::Retired && !was_retired => ListFate::Retired,
                (_, Some((true, false))) => ListFate::Unhealthy,
                (_, Some((false, true))) => ListFate::HealthyAgain,
                _ => continue,
            };
            difference.lists.push(ListChange {
                list: list.id.clone(),
                what,
            });
        }
        for &place in &self.gone {
            let list = self.old.lists()[place].id.clone();
            // A list that is no more is not selected any more, either.
            let what = match retired.contains(&list) {
                true => ListFate::Retired,
                false => ListFate::Removed,
            };
            difference.lists.push(ListChange { list, what });
        }
    }
}

fn change(
    catalogue: &Catalogue,
    list: ListIndex,
    dossier: &Dossier,
    before: Option<&Observation>,
    after: Option<&Observation>,
) -> Change {
    let listing = |observation: Option<&Observation>| match observation {
        Some(Observation::Listed(listing)) => Some(listing.clone()),
        _ => None,
    };
    let word = |observation: Option<&Observation>| match observation {
        Some(Observation::Unknown(cause)) => cause.as_str(),
        Some(other) => other.as_str(),
        None => "not_asked",
    };
    let (old, new) = (listing(before), listing(after));
    let facts = catalogue.list(list);
    let shown = new.as_ref().or(old.as_ref());
    Change {
        target: dossier.target.to_string(),
        list: facts.id.clone(),
        operator: catalogue.operator_of(list).name.clone(),
        role: shown.map_or(facts.role, |listing| listing.role),
        tier: shown.map_or(facts.tier, |listing| listing.tier),
        before: word(before).to_owned(),
        after: word(after).to_owned(),
        codes_before: old.map(|listing| listing.codes.answers.clone()).unwrap_or_default(),
        codes: new.map(|listing| listing.codes.answers.clone()).unwrap_or_default(),
    }
}
