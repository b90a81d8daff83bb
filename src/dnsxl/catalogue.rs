//! The lists and operators of a run, from the built-in files and the user's own.

use super::list::{List, ListIndex, Operator, OperatorIndex};

/// A catalogue that exists is a good one: ids and zones are unique, every code is inside 127/8, every list has its operator.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Catalogue {
    lists: Vec<List>,
    operators: Vec<Operator>,
}

impl Catalogue {
    /// A catalogue of these lists and operators, taken as they are: for tests and for callers that made sure themselves
    /// that every list's operator is there.
    pub fn from_parts(lists: Vec<List>, operators: Vec<Operator>) -> Catalogue {
        Catalogue { lists, operators }
    }

    /// The lists, in the order of their indexes.
    pub fn lists(&self) -> &[List] {
        &self.lists
    }

    /// The list at an index of this catalogue.
    pub fn list(&self, index: ListIndex) -> &List {
        &self.lists[usize::from(index.0)]
    }

    /// The operator at an index of this catalogue.
    pub fn operator(&self, index: OperatorIndex) -> &Operator {
        &self.operators[usize::from(index.0)]
    }

    /// Who runs a list.
    pub fn operator_of(&self, index: ListIndex) -> &Operator {
        self.operator(self.list(index).operator)
    }
}
