//! What rests on a denial that proved false.
//!
//! Where a server denied a name and lists another below it, RFC 8020 does not hold there: every pair of that list that was
//! settled by pruning is in doubt, and so is what parts of the list learnt from such pairs. Which lists that are is all that
//! is remembered; the pairs are told by how they were learnt, wherever their dossiers are.
//!
//! A pair in doubt is *taken back*: unknown, because it was not asked ([`is_unasked`]). It keeps how it was
//! learnt, which tells it from others that were not asked ([`is_taken_back`]), until it is.

use crate::dnsxl::{Cause, How, ListIndex, Observation};

use super::dossier::{Dossier, Observed};
use super::journal::is_unasked;

/// What `list` learnt of targets that were pruned on `source`: the same list, or the composite that told it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Doubt {
    /// Whose pairs.
    pub list: ListIndex,
    /// Whose pruning.
    pub source: ListIndex,
}

/// All that is in doubt in a run: a few rows, whatever its size.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Doubts(Vec<Doubt>);

impl Doubts {
    /// Takes a doubt in.
    pub fn add(&mut self, doubt: Doubt) {
        if !self.0.contains(&doubt) {
            self.0.push(doubt);
        }
    }

    /// Whether nothing is in doubt.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Doubt> {
        self.0.iter()
    }

    /// Whether a list's own pruning is in doubt.
    pub fn concern(&self, list: ListIndex) -> bool {
        self.0.contains(&Doubt { list, source: list })
    }

    /// Takes back what is in doubt of a dossier, which becomes another revision by that. Returns the places of those
    /// observations; each was [`Observation::NotListed`].
    pub fn take_back(&self, dossier: &mut Dossier) -> Vec<usize> {
        let observations = &dossier.observations;
        let place = |list: ListIndex| observations.iter().position(|observed| observed.list == list);
        let in_doubt = |doubt: &Doubt| {
            let (at, source) = (place(doubt.list)?, place(doubt.source)?);
            let how = match at == source {
                true => How::Pruned,
                false => How::Folded,
            };
            let rests = observations[at].how == how && observations[source].how == How::Pruned;
            (rests && observations[at].observation == Observation::NotListed).then_some(at)
        };
        let places: Vec<usize> = self.0.iter().filter_map(in_doubt).collect();
        for &at in &places {
            dossier.observations[at].observation = Observation::Unknown(Cause::Cancelled);
        }
        dossier.revision += u32::from(!places.is_empty());
        places
    }
}

/// Whether a pair was pruned on a denial that proved false, and has not been asked since.
pub fn is_taken_back(observed: &Observed) -> bool {
    observed.how == How::Pruned && is_unasked(&observed.observation)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::targets::Target;

    const COMPOSITE: ListIndex = ListIndex(7);
    const PART: ListIndex = ListIndex(3);
    const OTHER: ListIndex = ListIndex(5);

    fn dossier(how: [How; 3]) -> Dossier {
        let lists = [PART, OTHER, COMPOSITE].into_iter().zip(how);
        let observed = lists.map(|(list, how)| Observed {
            list,
            observation: Observation::NotListed,
            how,
        });
        Dossier {
            target: Target::Ip4([192, 0, 2, 1].into()),
            special_use: None,
            observations: observed.collect(),
            stages: Vec::new(),
            findings: Vec::new(),
            revision: 1,
        }
    }

    #[test]
    fn what_was_pruned_is_taken_back_and_what_parts_learnt_from_it() {
        let mut doubts = Doubts::default();
        for list in [COMPOSITE, PART, COMPOSITE] {
            let source = COMPOSITE;
            doubts.add(Doubt { list, source });
        }
        assert_eq!(doubts.iter().count(), 2);
        assert!(doubts.concern(COMPOSITE) && !doubts.concern(PART) && !doubts.concern(OTHER));
        let mut pruned = dossier([How::Folded, How::Pruned, How::Pruned]);
        assert_eq!(doubts.take_back(&mut pruned), [2, 0]);
        assert_eq!(pruned.revision, 2);
        let taken: Vec<bool> = pruned.observations.iter().map(is_taken_back).collect();
        assert_eq!(taken, [false, false, true], "a part was told, not pruned");
        assert!(is_unasked(&pruned.observations[0].observation));
        assert_eq!(
            pruned.observations[1].observation,
            Observation::NotListed,
            "by another list"
        );
        assert!(doubts.take_back(&mut pruned).is_empty(), "once");
        assert_eq!(pruned.revision, 2);
        // What was asked stands, and so does what its parts learnt from it, or were asked or denied themselves.
        for how in [
            [How::Folded, How::Asked, How::Asked],
            [How::Asked, How::Asked, How::Asked],
            [How::Pruned, How::Pruned, How::Asked],
        ] {
            let mut stands = dossier(how);
            assert!(doubts.take_back(&mut stands).is_empty());
            assert_eq!(stands, dossier(how));
        }
    }
}
