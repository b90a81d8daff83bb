//! Futures that the worker polls itself: a slab of them, and a bell that says which ones are to be polled.
//!
//! A waker rings the bell with its place in the slab; it may do so from another thread (SMTP has one). A place that is
//! used again may be rung for its predecessor: its future is then polled once for nothing.
//! Bound: as many futures as the slab was made for.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

/// A future on the worker's own thread.
pub type Work<T> = Pin<Box<dyn Future<Output = T>>>;

/// Places that were rung for, in the order of ringing; each once.
#[derive(Debug, Default)]
struct Bell(Mutex<VecDeque<u32>>);

impl Bell {
    fn rung(&self) -> MutexGuard<'_, VecDeque<u32>> {
        // Nothing is left half done under this lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug)]
struct Ringer {
    place: u32,
    rung: AtomicBool,
    bell: Arc<Bell>,
}

impl Wake for Ringer {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.rung.swap(true, Ordering::AcqRel) {
            self.bell.rung().push_back(self.place);
        }
    }
}

struct Place<K, T> {
    ringer: Arc<Ringer>,
    waker: Waker,
    work: Option<(K, Work<T>)>,
}

/// A slab of futures, each with the key that its result is for.
pub(super) struct Tasks<K, T> {
    places: Vec<Place<K, T>>,
    free: Vec<u32>,
    max: usize,
    bell: Arc<Bell>,
}

impl<K, T> Tasks<K, T> {
    /// Room for `max` futures.
    pub(super) fn new(max: usize) -> Tasks<K, T> {
        Tasks {
            places: Vec::new(),
            free: Vec::new(),
            max,
            bell: Arc::default(),
        }
    }

    /// How many are under way.
    pub(super) fn len(&self) -> usize {
        self.places.len() - self.free.len()
    }

    /// Whether one more may be started.
    pub(super) fn has_room(&self) -> bool {
        self.len() < self.max
    }

    /// Takes a future; it is polled with the next [`poll`](Tasks::poll). There must be room.
    pub(super) fn start(&mut self, key: K, work: Work<T>) {
        debug_assert!(self.has_room());
        let place = self.free.pop().unwrap_or_else(|| {
            let place = self.places.len() as u32; // `max` is far below
            let ringer = Arc::new(Ringer {
                place,
                rung: AtomicBool::new(false),
                bell: Arc::clone(&self.bell),
            });
            self.places.push(Place {
                waker: Waker::from(Arc::clone(&ringer)),
                ringer,
                work: None,
            });
            place
        });
        let place = &mut self.places[place as usize];
        place.work = Some((key, work));
        place.waker.wake_by_ref();
    }

    /// Whether one is to be polled.
    pub(super) fn is_rung(&self) -> bool {
        !self.bell.rung().is_empty()
    }

    /// Polls those that were rung for before the call; `done` takes what is finished. Returns how many were polled.
    pub(super) fn poll(&mut self, mut done: impl FnMut(K, T)) -> usize {
        let rung = std::mem::take(&mut *self.bell.rung());
        let count = rung.len();
        for index in rung {
            let place = &mut self.places[index as usize];
            place.ringer.rung.store(false, Ordering::Release);
            let Some((_, work)) = &mut place.work else { continue };
            if let Poll::Ready(result) = work.as_mut().poll(&mut Context::from_waker(&place.waker))
                && let Some((key, _)) = place.work.take()
            {
                self.free.push(index);
                done(key, result);
            }
        }
        count
    }

    /// Drops all that is under way; gives the keys.
    pub(super) fn clear(&mut self) -> Vec<K> {
        let mut keys = Vec::new();
        for (index, place) in self.places.iter_mut().enumerate() {
            if let Some((key, _)) = place.work.take() {
                keys.push(key);
                self.free.push(index as u32);
            }
        }
        keys
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_rung_for_is_polled_and_its_place_used_again() {
        let mut tasks: Tasks<u32, u32> = Tasks::new(2);
        let (send, receive) = tokio::sync::oneshot::channel();
        tasks.start(1, Box::pin(async { receive.await.expect("it is sent") }));
        tasks.start(2, Box::pin(std::future::ready(7)));
        assert!(!tasks.has_room());
        let mut results = Vec::new();
        assert_eq!(tasks.poll(|key, result| results.push((key, result))), 2);
        assert_eq!(results, [(2, 7)]);
        assert_eq!(tasks.poll(|_, _| ()), 0, "nothing was rung for");
        // From another thread, as SMTP does.
        std::thread::spawn(move || send.send(9).expect("it is waited for"))
            .join()
            .expect("it ends");
        assert!(tasks.is_rung());
        tasks.poll(|key, result| results.push((key, result)));
        assert_eq!(results, [(2, 7), (1, 9)]);
        tasks.start(3, Box::pin(std::future::pending()));
        assert_eq!((tasks.len(), tasks.clear()), (1, vec![3]));
        assert!(tasks.has_room());
    }
}
