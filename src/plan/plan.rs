//! The plan of a run: its targets, its lists as columns, and how each column treats each kind of target.

use std::collections::BTreeMap;

use crate::dnsxl::{Catalogue, Key, ListIndex, Questions, Reason};
use crate::targets::{Kind, TargetSet};

/// The users' keys by operator id.
pub type Keys = BTreeMap<String, Key>;

/// The tag of zones that answer TXT questions alone: they tell facts, and there is no listing to be learnt from them.
const TXT_ONLY: &str = "txt-only";

/// How a list treats a kind of target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Treatment {
    /// It is asked.
    Ask,
    /// It is not, and why.
    NotAsked(Reason),
}

/// One list of the run.
#[derive(Debug)]
pub struct Column {
    /// Which.
    pub list: ListIndex,
    /// Its questions, or why it has none.
    pub questions: Result<Questions, Reason>,
}

/// What is to be asked of whom.
#[derive(Debug)]
pub struct Plan<'a> {
    /// The lists' facts.
    pub catalogue: &'a Catalogue,
    /// The targets, in input order.
    pub targets: &'a TargetSet,
    /// The lists of the run, in the order of the catalogue.
    pub columns: Vec<Column>,
}

impl<'a> Plan<'a> {
    /// Plans to ask all of `lists` about all of `targets`.
    pub fn new(catalogue: &'a Catalogue, targets: &'a TargetSet, lists: &[ListIndex], keys: &Keys) -> Plan<'a> {
        let columns = lists.iter().map(|&list| {
            let key = keys.get(&catalogue.operator_of(list).id);
            let facts = catalogue.list(list);
            let questions = match facts.tags.iter().any(|tag| tag == TXT_ONLY) {
                true => Err(Reason::Unsupported),
                false => Questions::prepare(facts, key),
            };
            Column { list, questions }
        });
        Plan {
            catalogue,
            targets,
            columns: columns.collect(),
        }
    }

    /// How a column treats a kind of target.
    pub fn treatment(&self, column: usize, kind: Kind) -> Treatment {
        let Column { list, questions } = &self.columns[column];
        match questions {
            _ if !self.catalogue.list(*list).takes(kind) => Treatment::NotAsked(Reason::Unsupported),
            Ok(_) => Treatment::Ask,
            Err(reason) => Treatment::NotAsked(*reason),
        }
    }

    /// The kinds that occur among the targets.
    pub fn kinds(&self) -> impl Iterator<Item = Kind> + '_ {
        Kind::ALL.into_iter().filter(|&kind| self.targets.count(kind) > 0)
    }

    /// Pairs that are to be asked about, special-use targets counted too.
    pub fn pairs(&self) -> u64 {
        self.kinds()
            .map(|kind| {
                let asked = |column: &usize| self.treatment(*column, kind) == Treatment::Ask;
                self.targets.count(kind) * (0..self.columns.len()).filter(asked).count() as u64
            })
            .sum()
    }
}
