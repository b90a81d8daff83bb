//! The plan of a run: its targets, its lists as columns, and how each column treats each kind of target.

use std::collections::BTreeMap;

use crate::dnsxl::{Catalogue, Key, ListIndex, Questions, Reason, positive};
use crate::targets::{Kind, TargetSet};

use super::composites::composites;
use super::habits::CONTROL_ANSWERS;
use super::local::LocalList;

/// The users' keys by operator id.
pub type Keys = BTreeMap<String, Key>;

/// The tag of zones that answer TXT questions alone: they tell facts, and there is no listing to be learnt from them.
const TXT_ONLY: &str = "txt-only";

/// How a list treats a kind of target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Treatment {
    /// It is asked.
    Ask,
    /// It is learnt from what this column's list says, and asked only where that cannot tell.
    Fold(usize),
    /// It is evaluated from data at hand.
    Local,
    /// It is not, and why.
    NotAsked(Reason),
}

/// One list of the run.
#[derive(Debug)]
pub struct Column<'a> {
    /// Which.
    pub list: ListIndex,
    /// Its questions, or why it has none.
    pub questions: Result<Questions, Reason>,
    /// Its data, if that is at hand.
    pub local: Option<&'a LocalList>,
    /// By kind.
    treatments: [Treatment; Kind::ALL.len()],
    /// The columns that are learnt from this one, by kind.
    parts: [Vec<usize>; Kind::ALL.len()],
    /// The prefix length of what it lists of IPv6, if that is not single addresses.
    unit: Option<u8>,
}

impl Column<'_> {
    /// The questions of a list that is asked.
    ///
    /// # Panics
    /// If it has none: such a list has no lane, and nobody asks it.
    pub fn asked(&self) -> &Questions {
        self.questions.as_ref().expect("a list that is asked has questions")
    }
}

/// What is to be asked of whom.
#[derive(Debug)]
pub struct Plan<'a> {
    /// The lists' facts.
    pub catalogue: &'a Catalogue,
    /// The targets, in input order.
    pub targets: &'a TargetSet,
    /// The lists of the run, in the order of the catalogue.
    pub columns: Vec<Column<'a>>,
    folds: bool,
}

impl<'a> Plan<'a> {
    /// Plans to learn of all of `lists` about all of `targets`, composites asked in place of their parts.
    pub fn new(catalogue: &'a Catalogue, targets: &'a TargetSet, lists: &[ListIndex], keys: &Keys) -> Plan<'a> {
        let columns = lists.iter().map(|&list| {
            let key = keys.get(&catalogue.operator_of(list).id);
            let facts = catalogue.list(list);
            let questions = match facts.tags.iter().any(|tag| tag == TXT_ONLY) {
                true => Err(Reason::Unsupported),
                false => Questions::prepare(facts, key),
            };
            Column {
                list,
                questions,
                local: None,
                treatments: [Treatment::NotAsked(Reason::Unsupported); Kind::ALL.len()],
                parts: Default::default(),
                unit: facts.ip6_unit.filter(|&unit| unit < 128),
            }
        });
        let mut plan = Plan {
            catalogue,
            targets,
            columns: columns.collect(),
            folds: true,
        };
        plan.treat();
        plan
    }

    /// The same plan, with every list asked itself.
    pub fn without_folding(mut self) -> Plan<'a> {
        self.folds = false;
        self.treat();
        self
    }

    /// The same plan, with these lists evaluated from data at hand. Lists that are not of the run are left alone.
    pub fn with_local(mut self, local: &'a BTreeMap<ListIndex, LocalList>) -> Plan<'a> {
        for column in &mut self.columns {
            column.local = local.get(&column.list);
        }
        self.treat();
        self
    }

    /// Decides the treatment of each column and kind.
    fn treat(&mut self) {
        for kind in Kind::ALL {
            let alone: Vec<Treatment> = self.columns.iter().map(|column| self.alone(column, kind)).collect();
            let into = match self.folds {
                true => composites(self.catalogue, &self.columns, kind, &alone),
                false => vec![None; alone.len()],
            };
            for column in &mut self.columns {
                column.parts[kind as usize].clear();
            }
            for (part, into) in into.iter().enumerate() {
                self.columns[part].treatments[kind as usize] = into.map_or(alone[part], Treatment::Fold);
                if let Some(composite) = *into {
                    self.columns[composite].parts[kind as usize].push(part);
                }
            }
        }
    }

    /// How a list treats a kind of target if it learns nothing from others.
    fn alone(&self, column: &Column<'_>, kind: Kind) -> Treatment {
        match (&column.local, &column.questions) {
            _ if !self.catalogue.list(column.list).takes(kind) => Treatment::NotAsked(Reason::Unsupported),
            (Some(local), _) if local.tells(kind) => Treatment::Local,
            (_, Ok(_)) => Treatment::Ask,
            (_, Err(reason)) => Treatment::NotAsked(*reason),
        }
    }

    /// How a column treats a kind of target.
    pub fn treatment(&self, column: usize, kind: Kind) -> Treatment {
        self.columns[column].treatments[kind as usize]
    }

    /// The columns that are learnt from what this column's list says of a kind of target.
    pub fn parts(&self, column: usize, kind: Kind) -> &[usize] {
        &self.columns[column].parts[kind as usize]
    }

    /// The prefix length of the addresses that share one answer of the column's list; none if each has its own.
    pub fn unit(&self, column: usize, kind: Kind) -> Option<u8> {
        self.columns[column].unit.filter(|_| kind == Kind::Ip6)
    }

    /// The kinds that occur among the targets.
    pub fn kinds(&self) -> impl Iterator<Item = Kind> + '_ {
        Kind::ALL.into_iter().filter(|&kind| self.targets.count(kind) > 0)
    }

    /// Whether controls ask for the presence of a list's test entry: where a cache may stand in between (the list's own
    /// servers have none), and there will be controls before the last.
    pub(crate) fn asks_presence(&self, column: usize, kind: Kind, own_servers: bool) -> bool {
        let controlled = self.targets.count(kind) > u64::from(CONTROL_ANSWERS);
        controlled && !own_servers && positive(self.catalogue.list(self.columns[column].list), kind).is_some()
    }
}
