//! What changed between two runs over the same targets.
//!
//! Both runs are read side by side, a tile at a time: the same targets are cut into the same tiles. A tile that one of
//! them has not (it was interrupted) is left out, and so is nothing but what is known of both.

use std::collections::HashMap;

use crate::dnsxl::{Catalogue, ListIndex, Observation, Status};
use crate::dossier::{Change, ChangeKind, Difference, Dossier, ListChange, ListFate};

use super::database::Store;
use super::error::StoreError;
use super::history::rfc3339;
use super::runs::StoredRun;

/// What changed from an earlier run to a later one over the same targets.
///
/// # Errors
/// If they cannot be read.
pub fn compare(store: &Store, before: &StoredRun, after: &StoredRun) -> Result<Difference, StoreError> {
    let (old, new) = (store.catalogue_of(before.id)?, store.catalogue_of(after.id)?);
    let pairing = Pairing::new(&old, &new);
    let mut difference = Difference {
        since: before.id.0,
        since_started: rfc3339(before.started),
        ..Difference::default()
    };
    let places = |catalogue: &Catalogue| -> Vec<ListIndex> { catalogue.indexed().map(|(index, _)| index).collect() };
    let (old_lists, new_lists) = (places(&old), places(&new));
    let (old_doubts, new_doubts) = (
        store.doubts(before.id, &old_lists)?,
        store.doubts(after.id, &new_lists)?,
    );
    let is_same = pairing.is_same && old_doubts == new_doubts;
    let (mut left, mut right) = (store.next_tile(before.id, -1)?, store.next_tile(after.id, -1)?);
    while let (Some(a), Some(b)) = (&left, &right) {
        if a.number == b.number {
            let same = a.targets == b.targets && a.states == b.states && a.details == b.details && is_same;
            if !same {
                let earlier = store.dossiers_of(before.id, a, (&old_lists, &old_doubts))?;
                let later = store.dossiers_of(after.id, b, (&new_lists, &new_doubts))?;
                let earlier: HashMap<_, _> = earlier.iter().map(|dossier| (&dossier.target, dossier)).collect();
                for dossier in &later {
                    if let Some(earlier) = earlier.get(&dossier.target) {
                        pairing.compare(earlier, dossier, &mut difference);
                    }
                }
            }
        }
        let (behind_a, behind_b) = (a.number, b.number);
        if behind_a <= behind_b {
            left = store.next_tile(before.id, behind_a)?;
        }
        if behind_b <= behind_a {
            right = store.next_tile(after.id, behind_b)?;
        }
    }
    let (old_health, new_health) = (health(store, before)?, health(store, after)?);
    let retired = store.retired_of(after.id)?;
    pairing.lists((&old_health, &new_health), &retired, &mut difference);
    Ok(difference)
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
        let place = |id: &str| old.lists().iter().position(|list| list.id == id);
        let places: Vec<Option<usize>> = new.lists().iter().map(|list| place(&list.id)).collect();
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

    /// Takes in what changed of one target.
    fn compare(&self, before: &Dossier, after: &Dossier, difference: &mut Difference) {
        for (column, observed) in after.observations.iter().enumerate() {
            let earlier = self.places[column].map(|place| &before.observations[place].observation);
            let now = &observed.observation;
            let kind = match (earlier, now) {
                (Some(Observation::Listed(old)), Observation::Listed(new)) if old.codes == new.codes => continue,
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
            let earlier = &before.observations[place].observation;
            if matches!(earlier, Observation::Listed(_)) {
                let list = ListIndex(place as u16);
                let change = change(self.old, list, after, Some(earlier), None);
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
        codes_before: old.map(|listing| listing.codes).unwrap_or_default(),
        codes: new.map(|listing| listing.codes).unwrap_or_default(),
    }
}
