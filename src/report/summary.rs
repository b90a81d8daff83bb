//! What the reports for people have in common: a run boiled down to a screenful, in memory that does not grow with the
//! targets.
//!
//! Kept are counters a list, the first [`ROWS_MAX`] listed targets in the order they come, the first [`FINDINGS_MAX`]
//! findings, and for each list the first [`FIRST_MAX`] listed targets with their removal pages. The text in it is already safe
//! to show (see `escape`); a format adds its own escaping on top.

use crate::dnsxl::fill_target;
use crate::dnsxl::{Catalogue, Cause, ListIndex, Observation, Role, Tier, Use};
use crate::targets::Kind;
use crate::verdict::Verdict;

use super::escape::visible;
use super::found::{AllFound, Noted};
use super::record::RunRecord;
use super::sink::Judged;

/// Listed targets that are shown: a screenful.
pub(super) const ROWS_MAX: usize = 40;

/// Findings that are shown: what fits beside a screenful of targets.
pub(super) const FINDINGS_MAX: usize = 20;

/// Targets of a list that are kept with their removal pages.
const FIRST_MAX: usize = 12;

/// Entries that are shown of one target on its row; the rest is a number.
pub(super) const ENTRIES_MAX: usize = 12;

/// A run, boiled down.
#[derive(Debug, Default)]
pub(super) struct Summary {
    /// Targets.
    pub(super) targets: u64,
    /// Targets of the run that were not reached: nothing is known of them.
    pub(super) unreached: u64,
    /// By verdict, in the order of [`Verdict::ALL`].
    pub(super) verdicts: [u64; 4],
    /// By kind, in the order of [`Kind::ALL`].
    pub(super) kinds: [u64; Kind::ALL.len()],
    /// Pairs planned and answered.
    pub(super) planned: u64,
    pub(super) answered: u64,
    /// The first listed targets.
    pub(super) rows: Vec<Row>,
    /// The entries of the first target, in full: shown when it is the only one.
    pub(super) entries: Vec<Entry>,
    /// Findings above `info`, by kind.
    pub(super) found: AllFound,
    /// By list.
    pub(super) lists: Vec<PerList>,
}

/// A listed target.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) target: String,
    pub(super) tier: Tier,
    pub(super) rating: f64,
    pub(super) confidence: f64,
    /// Ids of the lists with block-role entries, hardest first.
    pub(super) lists: Vec<String>,
}

/// One entry in full.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) list: String,
    pub(super) role: Role,
    pub(super) tier: Tier,
    pub(super) codes: String,
    pub(super) meanings: String,
    pub(super) reason: String,
}

impl PerList {
    /// The causes of its unknown pairs, with their numbers.
    fn causes(&self) -> Vec<(Cause, u64)> {
        let all = Cause::ALL.iter().map(|cause| (*cause, self.unknown[*cause as usize]));
        all.filter(|(_, number)| *number > 0).collect()
    }
}

/// A list with unknown pairs.
struct UnknownList {
    id: String,
    causes: Vec<(Cause, u64)>,
}

/// A row for many lists that are unknown for the same one cause, and one for each of the others.
fn gathered(mut lists: Vec<UnknownList>) -> Vec<(String, String, String)> {
    let mut rows = Vec::new();
    for cause in Cause::ALL {
        let is_alike = |list: &UnknownList| matches!(list.causes[..], [(only, _)] if only == *cause);
        let alike: Vec<&UnknownList> = lists.iter().filter(|list| is_alike(list)).collect();
        if alike.len() > ALIKE_MAX {
            let named: Vec<&str> = alike.iter().map(|list| list.id.as_str()).take(ALIKE_NAMED).collect();
            let which = format!("{} and {} more lists", named.join(", "), alike.len() - named.len());
            let numbers = || alike.iter().map(|list| list.causes[0].1);
            let targets = match (numbers().min(), numbers().max()) {
                (Some(least), Some(most)) if least < most => format!("{least} to {most}"),
                (least, _) => format!("{} each", least.unwrap_or(0)),
            };
            rows.push((which, targets, format!("{cause} {}", numbers().sum::<u64>())));
            lists.retain(|list| !is_alike(list));
        }
    }
    rows.extend(lists.into_iter().map(|list| {
        let all: u64 = list.causes.iter().map(|(_, number)| number).sum();
        let causes = list.causes.iter().map(|(cause, number)| format!("{cause} {number}"));
        (list.id, all.to_string(), causes.collect::<Vec<_>>().join(", "))
    }));
    rows
}

/// Lists unknown for the same one cause that are told one by one.
const ALIKE_MAX: usize = 8;

/// Lists that are named for many alike.
const ALIKE_NAMED: usize = 3;

/// The counters of a list.
#[derive(Debug, Default, Clone)]
pub(super) struct PerList {
    /// Unknown pairs, in the order of [`Cause::ALL`].
    pub(super) unknown: [u64; Cause::ALL.len()],
    /// Targets with a block-role entry.
    pub(super) blocked: u64,
    /// The hardest tier of those entries.
    pub(super) tier: Option<Tier>,
    /// The first of them, with the removal page for each.
    pub(super) first: Vec<(String, Option<String>)>,
}

/// What to do about the entries of one list.
#[derive(Debug)]
pub(super) struct Todo {
    pub(super) list: String,
    pub(super) operator: String,
    pub(super) tier: Tier,
    pub(super) targets: u64,
    /// The removal page, for the first target.
    pub(super) remove: Option<String>,
    /// The first targets, each with its removal page.
    pub(super) first: Vec<(String, Option<String>)>,
    /// How removal works.
    pub(super) how: Option<String>,
    /// On what terms the operator lets lists be asked.
    pub(super) terms: &'static str,
}

impl Summary {
    /// Takes a dossier in.
    pub(super) fn add(&mut self, judged: &Judged<'_>) {
        let (dossier, judgement) = (judged.dossier, judged.judgement);
        self.targets += 1;
        self.verdicts[judgement.verdict as usize] += 1;
        self.kinds[dossier.target.kind() as usize] += 1;
        if self.targets == 1 {
            self.entries = entries(judged);
        }
        if judgement.verdict == Verdict::Listed && self.rows.len() < ROWS_MAX {
            self.rows.extend(row(judged));
        }
        for observed in &dossier.observations {
            self.count(judged, observed.list, &observed.observation);
        }
        self.found.add(&dossier.target.to_string(), &dossier.findings);
    }

    /// Takes the run itself in, when all dossiers are: what was not reached was planned, and is not known.
    pub(super) fn end(&mut self, run: &RunRecord) {
        self.unreached = run.targets.saturating_sub(self.targets);
        if self.unreached > 0 {
            self.planned = self.planned.max(run.planned);
        }
    }

    /// The targets that were not reached, in a sentence; none if all were.
    pub(super) fn left(&self) -> Option<String> {
        let left = several(self.unreached, "target");
        (self.unreached > 0).then(|| format!("Not reached: {left}. Nothing is known of them."))
    }

    /// What to show of the findings, and how many kinds are left out: each by itself where they are few of a kind, else one
    /// for all.
    pub(super) fn shown_findings(&mut self) -> (Vec<Noted>, u64) {
        let kinds = self.found.sorted();
        let mut shown = Vec::new();
        for (at, found) in kinds.iter().enumerate() {
            if shown.len() + found.singly.len().max(1) > FINDINGS_MAX {
                return (shown, (kinds.len() - at) as u64);
            }
            if found.singly.is_empty() {
                shown.push(Noted {
                    target: found.whom(),
                    severity: found.severity,
                    text: found.text.clone(),
                    mend: found.mend.clone(),
                });
            } else {
                shown.extend_from_slice(&found.singly);
            }
        }
        (shown, 0)
    }

    fn count(&mut self, judged: &Judged<'_>, index: ListIndex, observation: &Observation) {
        let at = usize::from(index.0);
        if self.lists.len() <= at {
            self.lists.resize(at + 1, PerList::default());
        }
        let list = &mut self.lists[at];
        self.planned += u64::from(!matches!(observation, Observation::NotAsked(_)));
        match observation {
            Observation::Listed(listing) => {
                self.answered += 1;
                if listing.role == Role::Block {
                    list.blocked += 1;
                    list.tier = Some(list.tier.map_or(listing.tier, |tier| tier.min(listing.tier)));
                    if list.first.len() < FIRST_MAX {
                        let target = &judged.dossier.target;
                        let page = judged.catalogue.list(index).remove.as_deref();
                        let page = page.map(|page| visible(&fill_target(page, target)).into_owned());
                        list.first.push((visible(&target.to_string()).into_owned(), page));
                    }
                }
            }
            Observation::NotListed => self.answered += 1,
            Observation::Unknown(cause) => list.unknown[*cause as usize] += 1,
            Observation::NotAsked(_) => {}
        }
    }

    /// Targets with this verdict.
    pub(super) fn with(&self, verdict: Verdict) -> u64 {
        self.verdicts[verdict as usize]
    }

    /// Lists with unknown pairs: id, targets, and each cause with its number. Where many are unknown for the same one cause
    /// (a resolver that does not answer), they are one row.
    pub(super) fn unknowns(&self, catalogue: &Catalogue) -> Vec<(String, String, String)> {
        let lists = self.lists.iter().zip(catalogue.lists());
        let lists = lists.map(|(counted, list)| UnknownList {
            id: visible(&list.id).into_owned(),
            causes: counted.causes(),
        });
        gathered(lists.filter(|list| !list.causes.is_empty()).collect())
    }

    /// What to do about each list with block-role entries, the hardest first.
    pub(super) fn todo(&self, catalogue: &Catalogue) -> Vec<Todo> {
        let lists = self.lists.iter().zip(catalogue.lists());
        let todo = lists.filter_map(|(counted, list)| {
            let operator = catalogue.operator(list.operator);
            Some(Todo {
                list: visible(&list.id).into_owned(),
                operator: visible(&operator.name).into_owned(),
                tier: counted.tier?,
                targets: counted.blocked,
                remove: counted.first.first().and_then(|(_, page)| page.clone()),
                first: counted.first.clone(),
                how: list.remove_how.as_deref().map(|how| visible(how).into_owned()),
                terms: terms(operator.terms.usage),
            })
        });
        let mut todo: Vec<Todo> = todo.collect();
        todo.sort_by_key(|todo| todo.tier); // stable: within a tier in the order of the catalogue
        todo
    }
}

/// A number of things, in words.
pub(super) fn several(number: u64, thing: &str) -> String {
    let plural = if thing.ends_with('s') { "es" } else { "s" };
    format!("{number} {thing}{}", if number == 1 { "" } else { plural })
}

fn terms(usage: Use) -> &'static str {
    match usage {
        Use::Free => "free",
        Use::FreeNoncommercial => "free for non-commercial use",
        Use::Registration => "free after registration",
        Use::Key => "with a key",
        Use::Paid => "paid",
        Use::Unknown => "terms unknown",
    }
}

fn row(judged: &Judged<'_>) -> Option<Row> {
    let blocks = judged
        .judgement
        .grounds
        .iter()
        .filter(|ground| ground.role == Role::Block);
    Some(Row {
        target: visible(&judged.dossier.target.to_string()).into_owned(),
        tier: judged.judgement.hardest()?,
        rating: judged.judgement.rating,
        confidence: judged.judgement.confidence,
        lists: blocks
            .map(|ground| visible(&judged.catalogue.list(ground.list).id).into_owned())
            .collect(),
    })
}

fn entries(judged: &Judged<'_>) -> Vec<Entry> {
    let entries = judged.dossier.observations.iter().filter_map(|observed| {
        let Observation::Listed(listing) = &observed.observation else {
            return None;
        };
        let codes: Vec<String> = listing.codes.answers.iter().map(ToString::to_string).collect();
        Some(Entry {
            list: visible(&judged.catalogue.list(observed.list).id).into_owned(),
            role: listing.role,
            tier: listing.tier,
            codes: codes.join(" "),
            meanings: visible(&listing.codes.meanings.join("; ")).into_owned(),
            reason: visible(listing.reason.as_deref().unwrap_or_default()).into_owned(),
        })
    });
    let mut entries: Vec<Entry> = entries.collect();
    entries.sort_by_key(|entry| (entry.role, entry.tier));
    entries
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_lists_that_are_unknown_for_one_cause_are_one_row() {
        let list = |at: u64, causes: &[(Cause, u64)]| UnknownList {
            id: format!("list-{at}"),
            causes: causes.to_vec(),
        };
        let alike = |count: u64| (1..=count).map(|at| list(at, &[(Cause::ResolverBroken, at)]));
        let both = list(99, &[(Cause::Timeout, 2), (Cause::ResolverBroken, 3)]);
        let few = gathered(alike(ALIKE_MAX as u64).collect());
        assert_eq!(few.len(), ALIKE_MAX);
        let many = gathered(std::iter::once(both).chain(alike(ALIKE_MAX as u64 + 1)).collect());
        let row = |which: &str, targets: &str, causes: &str| (which.to_owned(), targets.to_owned(), causes.to_owned());
        let expected = [
            row(
                "list-1, list-2, list-3 and 6 more lists",
                "1 to 9",
                "resolver_broken 45",
            ),
            row("list-99", "5", "timeout 2, resolver_broken 3"),
        ];
        assert_eq!(many, expected);
    }
}
