//! What every stage asks in the same way: the texts of a name, its addresses, several things at once.
//!
//! A lookup has three ends that must not be mixed up: there is something, there is nothing, it is not known. Lists are
//! cut at named bounds, and that they were cut is kept, for a stage to say so.

use std::future::{Future, poll_fn};
use std::net::IpAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;

use crate::exchange::{Lookup, Resolver};
use crate::wire::{Answer, Name, Rdata, Rtype};

/// TXT records of one name that are read: more at one name is a mistake or an attack (RFC 7208 §3.4 asks for few).
pub(super) const TEXTS_MAX: usize = 64;

/// Octets of one TXT record that are read: far beyond any key or policy, far below what hurts.
pub(super) const TEXT_OCTETS_MAX: usize = 8_192;

/// Addresses of one name and family that are kept; no mail host needs as many.
pub(super) const ADDRESSES_MAX: usize = 16;

/// What came of a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Known<T> {
    /// There is something.
    Some(T),
    /// There is nothing: the name exists without such records, or does not exist.
    Nothing {
        /// The name does not exist at all.
        nxdomain: bool,
    },
    /// It is not known, for this reason.
    Unknown(String),
}

/// A lookup's end, sorted.
pub(super) fn known(lookup: Lookup) -> Known<Rc<Answer>> {
    match lookup {
        // A resolver should say NoData for an answer without anything in it; were it not to, it means the same.
        Lookup::Found(answer) if answer.records.is_empty() && answer.malformed == 0 => {
            Known::Nothing { nxdomain: false }
        }
        Lookup::Found(answer) => Known::Some(answer),
        Lookup::NoData => Known::Nothing { nxdomain: false },
        Lookup::NxDomain => Known::Nothing { nxdomain: true },
        Lookup::Failed(rcode) => Known::Unknown(format!("the name server answered {rcode}")),
        Lookup::Silent => Known::Unknown("no answer came".to_owned()),
    }
}

/// The texts of a name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Texts {
    /// Each record's strings joined, in the order they came.
    pub(super) texts: Vec<Vec<u8>>,
    /// Records that could not be read at all.
    pub(super) malformed: u16,
    /// There were more, or longer ones, than are read.
    pub(super) cut: bool,
}

/// Asks for the texts of a name.
pub(super) async fn texts(resolver: &dyn Resolver, name: Name) -> Known<Texts> {
    match known(resolver.lookup(name, Rtype::TXT).await) {
        Known::Some(answer) => Known::Some(Texts::of(&answer)),
        Known::Nothing { nxdomain } => Known::Nothing { nxdomain },
        Known::Unknown(why) => Known::Unknown(why),
    }
}

impl Texts {
    fn of(answer: &Answer) -> Texts {
        let mut all = answer.texts();
        let mut texts: Vec<Vec<u8>> = all.by_ref().take(TEXTS_MAX).collect();
        let mut cut = all.next().is_some();
        for text in &mut texts {
            cut |= text.len() > TEXT_OCTETS_MAX;
            text.truncate(TEXT_OCTETS_MAX);
        }
        Texts {
            texts,
            malformed: answer.malformed,
            cut,
        }
    }
}

/// The addresses of a name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Addresses {
    /// A and AAAA, in the order they came, IPv4 first.
    pub(super) list: Vec<IpAddr>,
    /// The name is an alias; this is where the chain ends.
    pub(super) alias: Option<Name>,
    /// Why not all of them are known.
    pub(super) unknown: Option<String>,
    /// The name does not exist.
    pub(super) nxdomain: bool,
    /// There were more than [`ADDRESSES_MAX`] of a family.
    pub(super) cut: bool,
    /// Records that could not be read.
    pub(super) malformed: u16,
}

impl Addresses {
    /// Whether it is certain that the name has no address.
    pub(super) fn none_for_sure(&self) -> bool {
        self.list.is_empty() && self.unknown.is_none() && self.malformed == 0
    }

    fn add(&mut self, lookup: Lookup) {
        match known(lookup) {
            Known::Some(answer) => {
                let mut found = answer.records.iter().filter_map(|record| match record.data {
                    Rdata::A(address) => Some(IpAddr::V4(address)),
                    Rdata::Aaaa(address) => Some(IpAddr::V6(address)),
                    _ => None,
                });
                self.list.extend(found.by_ref().take(ADDRESSES_MAX));
                self.cut |= found.next().is_some();
                self.malformed = self.malformed.saturating_add(answer.malformed);
                self.alias = self.alias.take().or_else(|| answer.aliases.last().cloned());
            }
            Known::Nothing { nxdomain } => self.nxdomain |= nxdomain,
            Known::Unknown(why) => self.unknown = Some(why),
        }
    }
}

/// Asks for the addresses of a name, both families at once.
pub(super) async fn addresses(resolver: &dyn Resolver, name: &Name) -> Addresses {
    let (v4, v6) = tokio::join!(
        resolver.lookup(name.clone(), Rtype::A),
        resolver.lookup(name.clone(), Rtype::AAAA)
    );
    let mut addresses = Addresses::default();
    addresses.add(v4);
    addresses.add(v6);
    addresses
}

/// Waits for all of them at once; the results in the order of the futures. For a few dozen at most: each waking polls
/// all that are not done.
pub(super) async fn together<F: Future>(futures: impl IntoIterator<Item = F>) -> Vec<F::Output> {
    let mut waiting: Vec<Pin<Box<F>>> = futures.into_iter().map(Box::pin).collect();
    let mut done: Vec<Option<F::Output>> = waiting.iter().map(|_| None).collect();
    poll_fn(move |context| {
        let mut pending = false;
        for (future, slot) in waiting.iter_mut().zip(&mut done) {
            if slot.is_none() {
                match future.as_mut().poll(context) {
                    Poll::Ready(output) => *slot = Some(output),
                    Poll::Pending => pending = true,
                }
            }
        }
        if pending {
            return Poll::Pending;
        }
        Poll::Ready(done.iter_mut().filter_map(Option::take).collect())
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stages::testing::{World, name};

    #[tokio::test]
    async fn something_nothing_and_unknown_stay_apart() {
        let world = World::new()
            .txt("a.test", "one")
            .txt("a.test", "two")
            .fail("b.test", Rtype::TXT)
            .silent("c.test", Rtype::TXT)
            .a("d.test", "192.0.2.1");
        let Known::Some(found) = texts(&world, name("a.test")).await else {
            panic!("there are texts")
        };
        assert_eq!(found.texts, [b"one".to_vec(), b"two".to_vec()]);
        assert!(matches!(texts(&world, name("b.test")).await, Known::Unknown(why) if why.contains("SERVFAIL")));
        assert!(matches!(texts(&world, name("c.test")).await, Known::Unknown(_)));
        assert_eq!(texts(&world, name("d.test")).await, Known::Nothing { nxdomain: false });
        assert_eq!(texts(&world, name("e.test")).await, Known::Nothing { nxdomain: true });
    }

    #[tokio::test]
    async fn what_is_too_much_is_cut_and_said() {
        let mut world = World::new();
        for index in 0..=TEXTS_MAX {
            world = world.txt("many.test", &format!("{index}"));
        }
        for index in 0..=ADDRESSES_MAX {
            world = world.a("many.test", &format!("192.0.2.{index}"));
        }
        let Known::Some(found) = texts(&world, name("many.test")).await else {
            panic!("there are texts")
        };
        assert_eq!((found.texts.len(), found.cut), (TEXTS_MAX, true));
        let addresses = addresses(&world, &name("many.test")).await;
        assert_eq!((addresses.list.len(), addresses.cut), (ADDRESSES_MAX, true));
    }

    #[tokio::test]
    async fn one_family_unknown_is_not_none() {
        let world = World::new().fail("half.test", Rtype::AAAA).exists("half.test");
        let found = addresses(&world, &name("half.test")).await;
        assert!(found.list.is_empty() && !found.none_for_sure());
    }

    #[tokio::test]
    async fn all_are_waited_for_in_order() {
        let results = together((0..5u64).map(|index| async move {
            tokio::time::sleep(std::time::Duration::from_millis(5 - index)).await;
            index
        }))
        .await;
        assert_eq!(results, [0, 1, 2, 3, 4]);
        assert!(together(Vec::<std::future::Ready<u8>>::new()).await.is_empty());
    }
}
