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
    // Nobody is learnt from who waits: only those that nothing covers are asked for others. A catalogue refuses two lists that
    // cover each other; a longer ring of them is asked list by list.
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

#[cfg(test)]
mod tests {
    use super::super::plan::{Keys, Plan};
    use super::*;
    use crate::dnsxl::ListIndex;
    use crate::targets::{ReadOptions, TargetSet};

    /// What each list is asked in place of, by id, for one kind of target: `id<composite` where it folds, `id` where it is
    /// asked, `id!` where it is not. Each list is `id` and more lines of its catalogue entry.
    fn folded(lists: &[(&str, &str)], kind: Kind) -> String {
        let mut text = "[operator]\nid = \"one\"\nname = \"One\"\n".to_owned();
        for (id, more) in lists {
            text += &format!(
                "[[list]]\nid = \"{id}\"\nzone = \"{id}.example\"\nkinds = [\"ip4\", \"ip6\", \"domain\"]\nrole = \"block\"\ntier = \"A\"\n{more}\n"
            );
        }
        let catalogue = Catalogue::parse(&[("test.toml", &text)]).expect("a good catalogue");
        let targets = TargetSet::read(&[], &mut std::io::empty(), ReadOptions::default()).expect("no targets");
        let all: Vec<ListIndex> = catalogue.indexed().map(|(index, _)| index).collect();
        let plan = Plan::new(&catalogue, &targets, &all, &Keys::new());
        let words = (0..all.len()).map(|column| {
            let id = |column: usize| &catalogue.list(all[column]).id;
            match plan.treatment(column, kind) {
                Treatment::Fold(into) => format!("{}<{}", id(column), id(into)),
                Treatment::Ask | Treatment::Local => id(column).clone(),
                Treatment::NotAsked(_) => format!("{}!", id(column)),
            }
        });
        words.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_part_is_learnt_from_its_composite() {
        assert_eq!(
            folded(&[("all", "covers = [\"part\"]"), ("part", "")], Kind::Ip4),
            "all part<all"
        );
        assert_eq!(folded(&[("all", ""), ("part", "")], Kind::Ip4), "all part");
    }

    #[test]
    fn a_composite_that_cannot_be_asked_tells_nothing() {
        let all = "covers = [\"part\"]\nquery = \"{key}.{target}.all.example\"";
        assert_eq!(folded(&[("all", all), ("part", "")], Kind::Ip4), "all! part");
    }

    #[test]
    fn other_questions_than_the_composites_are_asked() {
        let other_form = [
            ("all", "covers = [\"part\"]\nname_form = \"registrable\""),
            ("part", "name_form = \"full\""),
        ];
        assert_eq!(folded(&other_form, Kind::Domain), "all part");
        assert_eq!(folded(&other_form, Kind::Ip4), "all part<all");
        let larger_unit = [("all", "covers = [\"part\"]\nip6_unit = 64"), ("part", "")];
        assert_eq!(folded(&larger_unit, Kind::Ip6), "all part");
        let smaller_unit = [("all", "covers = [\"part\"]"), ("part", "ip6_unit = 64")];
        assert_eq!(folded(&smaller_unit, Kind::Ip6), "all part<all");
    }

    /// Of a chain the top is asked, and who is below a part of it; of a ring, all.
    #[test]
    fn nobody_waits_for_who_waits() {
        let chain = [
            ("all", "covers = [\"half\"]"),
            ("half", "covers = [\"part\"]"),
            ("part", ""),
        ];
        assert_eq!(folded(&chain, Kind::Ip4), "all half<all part");
        let ring = [
            ("one", "covers = [\"two\"]"),
            ("two", "covers = [\"three\"]"),
            ("three", "covers = [\"one\"]"),
        ];
        assert_eq!(folded(&ring, Kind::Ip4), "one two three");
    }

    #[test]
    fn who_tells_the_part_apart_is_learnt_from_first() {
        let told = "covers = [\"part\"]\n[list.codes]\n\"127.0.0.2\" = { means = \"listed\", sublist = \"part\" }";
        let lists = [("vague", "covers = [\"part\"]"), ("told", told), ("part", "")];
        assert_eq!(folded(&lists, Kind::Ip4), "vague told part<told");
    }
}
