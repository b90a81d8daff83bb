//! Which lists are asked in place of others: a composite that `covers` a part is asked, and the part learns from its answer
//! (RFC 5782 §2.3).
//!
//! A part folds into a composite that is not itself a part of another one in the run: codes are read once, from the zone
//! that was asked. Both must be asked by the same names, and one answer must hold for the same addresses.

use crate::dnsxl::{Catalogue, List};
use crate::targets::Kind;

use super::plan::{Column, Treatment};

/// The composite that each column's list learns from for targets of a kind, if any. `treatments` is what becomes of each
/// column without folding.
pub(super) fn composites(
    catalogue: &Catalogue,
    columns: &[Column<'_>],
    kind: Kind,
    treatments: &[Treatment],
) -> Vec<Option<usize>> {
    let list = |column: usize| catalogue.list(columns[column].list);
    // Who could be learnt from: better ones first, then in the order of the catalogue.
    let covering = |part: usize| -> Vec<usize> {
        let all = (0..columns.len()).filter(|&other| other != part && is_known(treatments[other]));
        let mut covering: Vec<usize> = all.filter(|&other| covers(list(other), list(part), kind)).collect();
        covering.sort_by_key(|&other| {
            (
                !tells_apart(list(other), list(part)),
                usize::MAX - list(other).covers.len(),
            )
        });
        covering
    };
    let candidates: Vec<Vec<usize>> = (0..columns.len())
        .map(|part| match treatments[part] {
            Treatment::Ask => covering(part),
            // What is at hand needs nobody; what cannot be asked could not be told where its composite cannot.
            Treatment::Fold(_) | Treatment::Local | Treatment::NotAsked(_) => Vec::new(),
        })
        .collect();
    // Lists that cover each other would wait for each other: only those that nothing covers are asked for others.
    let is_top = |column: usize| candidates[column].is_empty();
    let into = candidates
        .iter()
        .map(|covering| covering.iter().copied().find(|&other| is_top(other)));
    into.collect()
}

fn is_known(treatment: Treatment) -> bool {
    matches!(treatment, Treatment::Ask | Treatment::Local)
}

/// Whether what is known on one list holds for another, for targets of this kind.
fn covers(composite: &List, part: &List, kind: Kind) -> bool {
    let same_questions = match kind {
        Kind::Ip4 => true,
        // A composite's answer for an address speaks for the units of a part that lists larger ones.
        Kind::Ip6 => composite.ip6_unit.is_none_or(|unit| unit == 128) || composite.ip6_unit == part.ip6_unit,
        Kind::Domain => composite.name_form == part.name_form,
    };
    same_questions && composite.takes(kind) && part.takes(kind) && composite.covers.contains(&part.id)
}

/// Whether a code of the composite stands for the part.
pub(super) fn tells_apart(composite: &List, part: &List) -> bool {
    let codes = composite.codes.entries.iter();
    codes
        .filter(|code| code.listing)
        .any(|code| code.sublist.as_ref() == Some(&part.id))
}
