//! A set of intervals of addresses, to find what of a new interval was there before.
//!
//! Used while the input is read, and dropped with it. Intervals that touch are merged, so a prefix costs one entry and
//! a list of neighbours too; there are never more entries than runs in the set that is built.

use std::collections::BTreeMap;

/// A number that addresses are kept as: 32 bits for IPv4, 64 for the /64s of IPv6, 128 for its addresses.
pub(super) trait Ordinal: Copy + Ord {
    /// As the widest of them.
    fn wide(self) -> u128;
    /// From the widest of them; the value must fit.
    fn narrow(wide: u128) -> Self;
}

macro_rules! ordinal {
    ($($type:ty),+) => {$(
        impl Ordinal for $type {
            fn wide(self) -> u128 {
                self.into()
            }

            #[allow(clippy::unnecessary_fallible_conversions, clippy::useless_conversion)] // one of the three is u128
            fn narrow(wide: u128) -> $type {
                wide.try_into().expect("it was widened from this type")
            }
        }
    )+};
}

ordinal!(u32, u64, u128);

/// Intervals that neither overlap nor touch: first number to last.
#[derive(Debug)]
pub(super) struct IntervalSet<T> {
    lasts: BTreeMap<T, T>,
}

impl<T: Ordinal> IntervalSet<T> {
    pub(super) fn new() -> IntervalSet<T> {
        IntervalSet { lasts: BTreeMap::new() }
    }

    /// Adds `first..=last`, and tells `fresh` each part of it that was not there before, in order.
    ///
    /// # Errors
    /// What `fresh` returns; the set is unusable then.
    pub(super) fn claim<E>(
        &mut self,
        first: T,
        last: T,
        mut fresh: impl FnMut(T, T) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut merged = (first, last);
        let mut untold = Some(first.wide()); // none when the highest number of all is told
        while let Some((old_first, old_last)) = self.take_touching(first, last) {
            if let Some(start) = untold.filter(|&start| start < old_first.wide()) {
                let end = old_first.wide() - 1;
                fresh(T::narrow(start), T::narrow(end.min(last.wide())))?;
            }
            let behind = old_last.wide().checked_add(1);
            untold = untold.and_then(|start| behind.map(|behind| behind.max(start)));
            merged = (merged.0.min(old_first), merged.1.max(old_last));
        }
        if let Some(start) = untold.filter(|&start| start <= last.wide()) {
            fresh(T::narrow(start), last)?;
        }
        self.lasts.insert(merged.0, merged.1);
        Ok(())
    }

    /// Takes out the lowest interval that overlaps `first..=last` or touches it.
    fn take_touching(&mut self, first: T, last: T) -> Option<(T, T)> {
        let before = self.lasts.range(..first).next_back();
        let before = before.filter(|(_, old_last)| old_last.wide().saturating_add(1) >= first.wide());
        let behind = || self.lasts.range(first..).next();
        let touching =
            before.or_else(|| behind().filter(|(old_first, _)| old_first.wide().saturating_sub(1) <= last.wide()));
        let (&old_first, &old_last) = touching?;
        self.lasts.remove(&old_first);
        Some((old_first, old_last))
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    fn claim<T: Ordinal>(set: &mut IntervalSet<T>, first: T, last: T) -> Vec<(T, T)> {
        let mut parts = Vec::new();
        let done: Result<(), Infallible> = set.claim(first, last, |first, last| {
            parts.push((first, last));
            Ok(())
        });
        done.expect("nothing can fail");
        parts
    }

    #[test]
    fn only_what_is_new_is_told() {
        let mut set = IntervalSet::new();
        assert_eq!(claim(&mut set, 10u32, 20), [(10, 20)]);
        assert_eq!(claim(&mut set, 30, 40), [(30, 40)]);
        assert_eq!(claim(&mut set, 5, 50), [(5, 9), (21, 29), (41, 50)]);
        assert_eq!(set.lasts.len(), 1);
        assert_eq!(claim(&mut set, 5, 50), []);
        assert_eq!(claim(&mut set, 51, 52), [(51, 52)]);
        assert_eq!(claim(&mut set, 0, 4), [(0, 4)]);
        assert_eq!(set.lasts.len(), 1, "touching intervals are merged");
    }

    #[test]
    fn the_ends_of_the_space_are_numbers_like_others() {
        let mut set = IntervalSet::new();
        assert_eq!(claim(&mut set, u128::MAX, u128::MAX), [(u128::MAX, u128::MAX)]);
        assert_eq!(
            claim(&mut set, u128::MAX - 1, u128::MAX),
            [(u128::MAX - 1, u128::MAX - 1)]
        );
        assert_eq!(claim(&mut set, u128::MAX, u128::MAX), []);
        assert_eq!(claim(&mut set, 0, 0), [(0, 0)]);
        assert_eq!(claim(&mut set, 0, 1), [(1, 1)]);
        assert_eq!(claim(&mut set, 0, u128::MAX), [(2, u128::MAX - 2)]);
    }
}
