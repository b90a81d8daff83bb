//! From files to a catalogue: the user's files over the built-in ones, and the checks that need all of them.
//!
//! A user's list takes the place of the built-in one with its id, or else of the one with its zone (with a warning, and in
//! the `covers` of others too). A user's operator takes the place of the built-in one with its id, but keeps the built-in
//! terms if it states none: a file that only adds a list must not lift an operator's limits. A user's list whose zone is
//! known to be dead, with medium confidence or more, becomes retired; one below a dead zone is warned of (operators have
//! been known to close a zone and keep another below it).

use std::collections::HashMap;

use crate::wire::Name;

use super::catalogue::{Catalogue, hash};
use super::codes::is_refusal_space;
use super::file::{Content, OperatorEntry, parse};
use super::key::KEY_MARK;
use super::list::{Confidence, Grave, List, Operator, OperatorIndex, Retired, Status};
use super::mistake::{CatalogueErrors, Mistake, Place, Warning};
use super::near::did_you_mean;

/// Most lists of a catalogue: an index is a `u16`, and ten times the lists there are in the world are enough.
const LISTS_MAX: usize = 10_000;

/// Zones that the texts of the built-in files are searched for: with more of them, reading all files is no slower.
const SOUGHT_MAX: usize = 16;

/// Reads and merges. Of the built-in files only the graves and the retired zones count, unless the lists are wanted; and of
/// those only what can concern the user's zones, as reading all files takes longer than a small scan.
pub(super) fn merge(
    built_in: &[(&str, &str)],
    with_lists: bool,
    user: &[(&str, &str)],
) -> Result<(Catalogue, Vec<Warning>), CatalogueErrors> {
    let mut merge = Merge::default();
    let user_files: Vec<_> = user.iter().map(|(name, text)| parse(name, text)).collect();
    if with_lists {
        merge.add_layer(built_in.iter().map(|(name, text)| parse(name, text)), false);
    } else {
        let suffixes = suffixes(user_files.iter().flatten());
        let all = suffixes.len() > SOUGHT_MAX;
        let related = built_in
            .iter()
            .filter(|(_, text)| all || suffixes.iter().any(|suffix| text.contains(suffix)));
        merge.add_layer(related.map(|(name, text)| parse(name, text)), false);
        merge.keep_the_dead();
    }
    merge.add_layer(user_files, true);
    merge.override_built_in();
    merge.bury();
    merge.check();
    if !merge.mistakes.is_empty() {
        merge.mistakes.sort_by(|a, b| a.place.cmp(&b.place));
        return Err(CatalogueErrors(merge.mistakes));
    }
    let wanted = built_in.iter().filter(|_| with_lists).chain(user);
    let catalogue = Catalogue {
        lists: merge.lists.into_iter().map(|entry| entry.list).collect(),
        operators: merge.operators.into_iter().map(|entry| entry.operator).collect(),
        graves: merge.graves,
        hash: hash(wanted.map(|(_, text)| *text)),
    };
    Ok((catalogue, merge.warnings))
}

/// The last two labels of the zones: a grave that is one of these zones or above it ends with them too, as no grave has fewer.
fn suffixes<'a>(files: impl Iterator<Item = &'a Content>) -> Vec<String> {
    let zones = files.flat_map(|content| &content.lists).map(|(list, _)| &list.zone);
    let mut suffixes: Vec<String> = zones
        .map(|zone| {
            let labels: Vec<&str> = zone.rsplitn(3, '.').take(2).collect();
            labels
                .into_iter()
                .rev()
                .collect::<Vec<_>>()
                .join(".")
                .to_ascii_lowercase()
        })
        .collect();
    suffixes.sort_unstable();
    suffixes.dedup();
    suffixes
}

#[derive(Default)]
struct Merge {
    lists: Vec<ListEntry>,
    operators: Vec<OperatorPlace>,
    graves: Vec<Grave>,
    mistakes: Vec<Mistake>,
    warnings: Vec<Warning>,
}

struct ListEntry {
    list: List,
    place: Place,
    user: bool,
}

struct OperatorPlace {
    operator: Operator,
    place: Place,
}

impl Merge {
    fn add_layer(&mut self, files: impl IntoIterator<Item = Result<Content, Vec<Mistake>>>, user: bool) {
        for file in files {
            match file {
                Ok(content) => self.add(content, user),
                Err(mistakes) => self.mistakes.extend(mistakes),
            }
        }
    }

    fn add(&mut self, content: Content, user: bool) {
        self.graves.extend(content.graves);
        let Some((entry, place)) = content.operator else {
            return;
        };
        let apart = entry.apart.then(|| entry.operator.clone());
        if let Some(unknown) = apart {
            self.add_apart(&unknown, content.lists, user);
            return;
        }
        let operator = self.add_operator(entry, place, user);
        for (mut list, place) in content.lists {
            list.operator = operator;
            self.lists.push(ListEntry { list, place, user });
        }
    }

    /// Adds lists of which nobody knows who runs them: each has an operator of its own, by its own id. They are still
    /// selected by the id in their file.
    fn add_apart(&mut self, unknown: &Operator, lists: Vec<(List, Place)>, user: bool) {
        for (mut list, place) in lists {
            let entry = OperatorEntry {
                operator: Operator {
                    id: list.id.clone(),
                    name: format!("{} ({})", unknown.name, list.zone),
                    ..unknown.clone()
                },
                has_terms: true,
                apart: false,
            };
            list.operator = self.add_operator(entry, place.clone(), user);
            list.tags.push(unknown.id.clone());
            self.lists.push(ListEntry { list, place, user });
        }
    }

    fn add_operator(&mut self, entry: OperatorEntry, place: Place, user: bool) -> OperatorIndex {
        let OperatorEntry {
            mut operator,
            has_terms,
            apart: _,
        } = entry;
        let index = |at| OperatorIndex(u16::try_from(at).unwrap_or(u16::MAX)); // LISTS_MAX is checked before use
        let Some(at) = self.operators.iter().position(|other| other.operator.id == operator.id) else {
            let at = self.operators.len();
            self.operators.push(OperatorPlace { operator, place });
            return index(at);
        };
        let old = &mut self.operators[at];
        if !user {
            let what = format!("{:?} is also in {}", operator.id, old.place);
            self.complain(place, "operator.id", what, "one file holds all lists of an operator");
            return index(at);
        }
        if !has_terms {
            operator.terms = old.operator.terms.clone();
        }
        if operator.refusal.is_empty() {
            operator.refusal = old.operator.refusal.clone();
        }
        *old = OperatorPlace { operator, place };
        index(at)
    }

    /// Forgets the built-in lists, all but what is known of dead ones.
    fn keep_the_dead(&mut self) {
        let dead = self.lists.drain(..).filter_map(|entry| grave(&entry));
        self.graves.extend(dead);
        self.operators.clear();
        self.mistakes.clear();
    }

    /// Takes out the built-in lists in whose place the user has put others.
    fn override_built_in(&mut self) {
        let dead: Vec<Grave> = self
            .lists
            .iter()
            .filter(|entry| !entry.user)
            .filter_map(grave)
            .collect();
        self.graves.extend(dead);
        let mut renamed: HashMap<String, String> = HashMap::new();
        let (user, built_in): (Vec<_>, Vec<_>) = self.lists.drain(..).partition(|entry| entry.user);
        for entry in built_in {
            let same_id = user.iter().any(|other| other.list.id == entry.list.id);
            let same_zone = user.iter().find(|other| same_question(&other.list, &entry.list));
            if let Some(other) = same_zone.filter(|_| !same_id) {
                let text = format!(
                    "{} takes the place of {}, which has the same zone",
                    other.list.id, entry.list.id
                );
                self.warnings.push(Warning {
                    place: other.place.clone(),
                    text,
                });
                renamed.insert(entry.list.id.clone(), other.list.id.clone());
            }
            if !same_id && same_zone.is_none() {
                self.lists.push(entry);
            }
        }
        self.lists.extend(user);
        for entry in &mut self.lists {
            for id in &mut entry.list.covers {
                if let Some(new) = renamed.get(id) {
                    id.clone_from(new);
                }
            }
        }
    }

    /// Retires the user's lists whose zones are known to be dead.
    fn bury(&mut self) {
        for entry in self.lists.iter_mut().filter(|entry| entry.user) {
            let list = &mut entry.list;
            if list.status == Status::Retired {
                continue;
            }
            let zone = behind_key(&list.zone);
            let same = self.graves.iter().find(|grave| behind_key(&grave.zone) == zone);
            let Some(grave) = same.or_else(|| self.graves.iter().find(|grave| is_below(zone, &grave.zone))) else {
                continue;
            };
            let since = grave
                .retired
                .since
                .as_ref()
                .map_or(String::new(), |since| format!(" since {since}"));
            let how = grave
                .retired
                .how
                .as_ref()
                .map_or(String::new(), |how| format!(": {how}"));
            let sure = same.is_some() && grave.retired.confidence != Confidence::Low;
            let text = match sure {
                true => format!("{}: {} is retired{since} and is never asked{how}", list.id, grave.zone),
                false => format!("{}: {} may be dead{since}{how}", list.id, grave.zone),
            };
            self.warnings.push(Warning {
                place: entry.place.clone(),
                text,
            });
            if sure {
                list.status = Status::Retired;
                list.default = false;
                list.retired = Some(grave.retired.clone());
            }
        }
    }

    fn check(&mut self) {
        self.check_unique();
        self.check_covers();
        self.check_refusals();
        self.check_alive();
        if self.lists.len() > LISTS_MAX {
            let place = self.lists[LISTS_MAX].place.clone();
            self.complain(
                place,
                "list",
                format!("more than {LISTS_MAX} lists"),
                "load fewer files",
            );
        }
    }

    fn check_unique(&mut self) {
        let mut ids: HashMap<&str, &Place> = HashMap::new();
        let mut zones: HashMap<(&str, Option<&str>), &Place> = HashMap::new();
        let mut found = Vec::new();
        for ListEntry { list, place, .. } in &self.lists {
            if let Some(first) = ids.insert(&list.id, place) {
                found.push((
                    place.clone(),
                    "list.id",
                    format!("{:?} is also in {first}", list.id),
                    "give it another id",
                ));
            }
            if let Some(first) = zones.insert((&list.zone, list.query.as_deref()), place) {
                found.push((
                    place.clone(),
                    "list.zone",
                    format!("{:?} is also in {first}", list.zone),
                    "keep one of the two",
                ));
            }
        }
        for (place, key, what, mend) in found {
            self.complain(place, key, what, mend);
        }
    }

    fn check_covers(&mut self) {
        let covers: HashMap<&str, &[String]> = self
            .lists
            .iter()
            .map(|entry| (entry.list.id.as_str(), entry.list.covers.as_slice()))
            .collect();
        let mut found = Vec::new();
        for ListEntry { list, place, .. } in &self.lists {
            for id in &list.covers {
                let back = covers.get(id.as_str()).is_some_and(|theirs| theirs.contains(&list.id));
                if !covers.contains_key(id.as_str()) {
                    let mend = did_you_mean(
                        id,
                        self.lists.iter().map(|entry| entry.list.id.as_str()),
                        "name the id of a list",
                    );
                    found.push((place.clone(), format!("{id:?} is no list"), mend));
                } else if back {
                    let mend = "take one of the two out".to_owned();
                    found.push((
                        place.clone(),
                        format!("{:?} and {id:?} cover each other", list.id),
                        mend,
                    ));
                }
            }
        }
        for (place, what, mend) in found {
            self.complain(place, "list.covers", what, &mend);
        }
    }

    /// An exact listing code that the operator's refusals contain could never be read.
    fn check_refusals(&mut self) {
        let mut found = Vec::new();
        for ListEntry { list, place, .. } in &self.lists {
            let Some(entry) = self.operators.get(usize::from(list.operator.0)) else {
                continue;
            };
            let refusal = &entry.operator.refusal;
            for code in list.codes.entries.iter().filter(|code| code.listing) {
                let refused = |exact| !is_refusal_space(exact) && refusal.iter().any(|pattern| pattern.matches(exact));
                if code.pattern.exact().is_some_and(refused) {
                    found.push((
                        place.clone(),
                        format!("{} is a refusal of {}", code.pattern, entry.operator.id),
                    ));
                }
            }
        }
        for (place, what) in found {
            self.complain(
                place,
                "list.codes",
                what,
                "move the refusal to the lists it is for, or take the code out",
            );
        }
    }

    /// A list cannot be in the graveyard and alive; the user's have been buried by now.
    fn check_alive(&mut self) {
        let mut found = Vec::new();
        let sure = self
            .graves
            .iter()
            .filter(|grave| grave.retired.confidence != Confidence::Low);
        let dead: HashMap<&str, &Grave> = sure.map(|grave| (behind_key(&grave.zone), grave)).collect();
        for ListEntry { list, place, .. } in self.lists.iter().filter(|entry| entry.list.status != Status::Retired) {
            if let Some(grave) = dead.get(behind_key(&list.zone)) {
                found.push((place.clone(), format!("{} is also a grave", grave.zone)));
            }
        }
        for (place, what) in found {
            self.complain(place, "list.zone", what, "retire the list, or take the grave out");
        }
    }

    fn complain(&mut self, place: Place, key: &str, what: String, mend: &str) {
        self.mistakes.push(Mistake {
            place,
            key: key.to_owned(),
            what,
            mend: mend.to_owned(),
        });
    }
}

/// What a retired list leaves behind.
fn grave(entry: &ListEntry) -> Option<Grave> {
    let retired = match (&entry.list.retired, entry.list.status) {
        (Some(retired), _) => retired.clone(),
        (None, Status::Retired) => Retired {
            since: None,
            how: None,
            confidence: Confidence::High,
        },
        _ => return None,
    };
    Some(Grave {
        zone: entry.list.zone.clone(),
        retired,
        sources: entry.list.sources.clone(),
    })
}

fn same_question(a: &List, b: &List) -> bool {
    a.zone == b.zone && a.query == b.query
}

/// A zone without its key labels and what stands before them.
fn behind_key(zone: &str) -> &str {
    let behind = zone.rsplit_once(KEY_MARK).map_or(zone, |(_, behind)| behind);
    behind.trim_matches('.')
}

fn is_below(zone: &str, dead: &str) -> bool {
    match (zone.parse::<Name>(), behind_key(dead).parse()) {
        (Ok(zone), Ok(dead)) => zone.is_under(&dead),
        _ => false,
    }
}
