//! Which lists of a catalogue a run uses: the selectors of `--lists`.
//!
//! | selector | lists |
//! |---|---|
//! | `default` | the default ones |
//! | `all` | all that are not retired |
//! | an id, or a zone as the catalogue writes it | that list, even if retired (it is then reported as not asked) |
//! | an operator's id, `operator:ID` | the operator's |
//! | `tag:NAME`, `kind:ip4`, `role:allow`, `tier:A`, `status:unverified` | those with that word |
//! | `!SELECTOR` | takes them out again, wherever it stands |
//!
//! Several are joined by commas and add up; with only `!` ones, they are taken from the default lists. An empty word selects
//! nothing and is an error: what a script left blank must not ask the default lists. A composite and its parts are both kept:
//! to fold them is the plan's matter.

use std::collections::BTreeSet;

use crate::targets::Kind;

use super::catalogue::Catalogue;
use super::list::{Confidence, List, ListIndex, Status};
use super::near::did_you_mean;

/// Why lists cannot be selected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SelectError {
    /// A word that is no selector.
    #[error("{selector:?} selects no list: {mend}")]
    Unknown {
        /// The word.
        selector: String,
        /// What may have been meant.
        mend: String,
    },
    /// All selectors are good, but nothing is left.
    #[error("the selection is empty: none of {lists} lists of the catalogue is left; `all` selects every one")]
    Empty {
        /// How many lists there are.
        lists: usize,
    },
}

impl Catalogue {
    /// The lists that selectors name, in the order of the catalogue, none twice; the default ones where there are no selectors.
    ///
    /// # Errors
    /// If a selector is not known (with the nearest that is) or empty, or no list is left.
    pub fn select(&self, selectors: &[String]) -> Result<Vec<ListIndex>, SelectError> {
        let words = selectors.iter().flat_map(|selector| selector.split(','));
        let words: Vec<&str> = words.map(str::trim).collect();
        let mut selected = BTreeSet::new();
        if words.iter().all(|word| word.starts_with('!')) {
            selected.extend(self.named("default")?);
        }
        for word in words.iter().filter(|word| !word.starts_with('!')) {
            selected.extend(self.named(word)?);
        }
        for word in words.iter().filter_map(|word| word.strip_prefix('!')) {
            for index in self.named(word.trim())? {
                selected.remove(&index);
            }
        }
        match selected.is_empty() {
            true => Err(SelectError::Empty {
                lists: self.lists.len(),
            }),
            false => Ok(selected.into_iter().collect()),
        }
    }

    /// The lists that one selector names; an error if it could name none, whatever the lists.
    fn named(&self, word: &str) -> Result<Vec<ListIndex>, SelectError> {
        let alive = |list: &List| list.status != Status::Retired;
        let lists = |keep: &dyn Fn(&List) -> bool| -> Vec<ListIndex> {
            let kept = self.indexed().filter(|(_, list)| keep(list));
            kept.map(|(index, _)| index).collect()
        };
        // Lists whose operators nobody knows have the id in their file as a tag.
        let of_operator = |id: &str| {
            let is_one = self.operators.iter().any(|operator| operator.id == id);
            let tagged = |list: &List| !is_one && list.tags.iter().any(|tag| tag == id);
            lists(&|list| alive(list) && (self.operator(list.operator).id == id || tagged(list)))
        };
        let found = match (word, word.split_once(':')) {
            ("default", _) => return Ok(lists(&|list| alive(list) && list.default)),
            ("all", _) => return Ok(lists(&alive)),
            (_, Some(("operator", id))) => of_operator(id),
            (_, Some(("tag", tag))) => lists(&|list| alive(list) && list.tags.iter().any(|own| own == tag)),
            (_, Some(("kind", kind))) => {
                lists(&|list| alive(list) && list.kinds.iter().any(|own| own.as_str() == kind))
            }
            (_, Some(("role", role))) => lists(&|list| alive(list) && list.role.as_str() == role),
            (_, Some(("tier", tier))) => lists(&|list| alive(list) && list.tier.as_str().eq_ignore_ascii_case(tier)),
            (_, Some(("status", status))) => lists(&|list| status_word(list.status) == status),
            (id, _) => {
                let zone = id.trim_end_matches('.').to_ascii_lowercase();
                let own = lists(&|list| list.id == id || list.zone == zone);
                if own.is_empty() { of_operator(id) } else { own }
            }
        };
        match found.is_empty() && !self.is_known(word) {
            true => Err(self.unknown(word)),
            false => Ok(found),
        }
    }

    /// Whether a selector is a good one, though it names no list of this catalogue.
    fn is_known(&self, word: &str) -> bool {
        let operator = |id: &str| self.operators.iter().any(|operator| operator.id == id);
        match word.split_once(':') {
            Some(("kind", kind)) => Kind::ALL.iter().any(|known| known.as_str() == kind),
            Some(("role", role)) => ["block", "info", "allow"].contains(&role),
            Some(("tier", tier)) => ["A", "B", "C", "W"].contains(&tier.to_ascii_uppercase().as_str()),
            Some(("status", status)) => ["live", "unverified", "retired"].contains(&status),
            Some(("operator", id)) => operator(id),
            Some(_) => false,
            None => operator(word),
        }
    }

    fn unknown(&self, word: &str) -> SelectError {
        let zone = word.trim_end_matches('.');
        if let Some(grave) = self.graves.iter().find(|grave| grave.zone.eq_ignore_ascii_case(zone)) {
            let since = grave.retired.since.as_ref().map(|since| format!(" since {since}"));
            let how = match grave.retired.confidence {
                Confidence::Low => "may be dead",
                Confidence::Medium | Confidence::High => "is dead",
            };
            return SelectError::Unknown {
                selector: word.to_owned(),
                mend: format!(
                    "it {how}{}; leave it out; `reputon lists show {}` tells more",
                    since.unwrap_or_default(),
                    grave.zone
                ),
            };
        }
        const WORDS: [&str; 5] = ["default", "all", "kind:ip4", "kind:ip6", "kind:domain"];
        let ids = self.lists.iter().map(|list| list.id.as_str());
        let operators = self.operators.iter().map(|operator| operator.id.as_str());
        let tags = self
            .lists
            .iter()
            .flat_map(|list| &list.tags)
            .map(|tag| format!("tag:{tag}"));
        let tags: BTreeSet<String> = tags.collect();
        let all = WORDS
            .into_iter()
            .chain(ids)
            .chain(operators)
            .chain(tags.iter().map(String::as_str));
        let otherwise = "write default, all, an id, an operator, tag:NAME, kind:ip4, tier:A, or !SELECTOR; `reputon lists ls` shows them";
        SelectError::Unknown {
            selector: word.to_owned(),
            mend: did_you_mean(word, all, otherwise),
        }
    }
}

fn status_word(status: Status) -> &'static str {
    match status {
        Status::Live => "live",
        Status::Unverified => "unverified",
        Status::Retired => "retired",
    }
}
