//! A timer wheel: deadlines of slots, kept in a ring of ticks, linked through the slots themselves.
//!
//! Arming and disarming cost a few stores each and allocate nothing. A deadline fires at the end of its tick, so up to one
//! tick late and never early. Deadlines beyond the ring's horizon wait in its last place and are looked at again.

use crate::clock::Instant;

use super::slots::SlotIndex;

/// Length of a tick: 2^22 ns, about 4.2 ms. Time-outs are 50 ms at least, so that this is noise.
const TICK_SHIFT: u32 = 22;

/// Ticks in the ring: a horizon of 4.3 s, beyond the default time-out.
const TICKS: usize = 1_024;

const NONE: u16 = u16::MAX;

/// A slot's place in the wheel.
#[derive(Debug, Clone, Copy)]
pub(super) struct Link {
    deadline: Instant,
    place: u16,
    previous: u16,
    next: u16,
}

impl Link {
    pub(super) const IDLE: Link = Link {
        deadline: Instant::ZERO,
        place: NONE,
        previous: NONE,
        next: NONE,
    };
}

/// The ring. Links live beside it, one for each slot up to the last that was ever armed.
#[derive(Debug)]
pub(super) struct Wheel {
    links: Vec<Link>,
    heads: Box<[u16; TICKS]>,
    /// One bit for each place that has links.
    occupied: [u64; TICKS / 64],
    /// The first tick that has not been fired.
    tick: u64,
    armed: usize,
}

impl Wheel {
    pub(super) fn new(slots: usize) -> Wheel {
        Wheel {
            links: Vec::with_capacity(slots),
            heads: Box::new([NONE; TICKS]),
            occupied: [0; TICKS / 64],
            tick: 0,
            armed: 0,
        }
    }

    /// Sets the deadline of a slot, in place of any earlier one.
    pub(super) fn arm(&mut self, slot: SlotIndex, deadline: Instant) {
        self.disarm(slot);
        if usize::from(slot.0) >= self.links.len() {
            self.links.resize(usize::from(slot.0) + 1, Link::IDLE);
        }
        let tick = (deadline.as_nanos() >> TICK_SHIFT).clamp(self.tick, self.tick + TICKS as u64 - 1);
        let place = (tick % TICKS as u64) as u16; // below 1,024
        let next = self.heads[usize::from(place)];
        self.links[usize::from(slot.0)] = Link {
            deadline,
            place,
            previous: NONE,
            next,
        };
        if next != NONE {
            self.links[usize::from(next)].previous = slot.0;
        }
        self.heads[usize::from(place)] = slot.0;
        self.occupied[usize::from(place) / 64] |= 1 << (place % 64);
        self.armed += 1;
    }

    /// Takes the deadline of a slot away, if it has one.
    pub(super) fn disarm(&mut self, slot: SlotIndex) {
        let Some(link) = self.links.get_mut(usize::from(slot.0)) else {
            return;
        };
        let link = std::mem::replace(link, Link::IDLE);
        if link.place == NONE {
            return;
        }
        match link.previous {
            NONE => self.heads[usize::from(link.place)] = link.next,
            previous => self.links[usize::from(previous)].next = link.next,
        }
        if link.next != NONE {
            self.links[usize::from(link.next)].previous = link.previous;
        }
        if self.heads[usize::from(link.place)] == NONE {
            self.occupied[usize::from(link.place) / 64] &= !(1 << (link.place % 64));
        }
        self.armed -= 1;
    }

    /// Takes one slot whose deadline has passed; none when there is no more.
    pub(super) fn expire(&mut self, now: Instant) -> Option<SlotIndex> {
        let current = now.as_nanos() >> TICK_SHIFT;
        while self.tick < current {
            if self.armed == 0 {
                self.tick = current;
                return None;
            }
            let place = (self.tick % TICKS as u64) as usize;
            match self.heads[place] {
                NONE => self.tick += 1,
                head => {
                    let slot = SlotIndex(head);
                    let deadline = self.links[usize::from(head)].deadline;
                    if deadline.as_nanos() >> TICK_SHIFT <= self.tick {
                        self.disarm(slot);
                        return Some(slot);
                    }
                    // Beyond the horizon when it was armed: the tick is over, so that it lands in a later place.
                    let fired = self.tick;
                    self.tick = fired + 1;
                    self.rearm_place(place);
                }
            }
        }
        None
    }

    /// Moves all far deadlines of a place that has just passed to where they belong now; due ones stay first in line.
    fn rearm_place(&mut self, place: usize) {
        let mut head = self.heads[place];
        while head != NONE {
            let next = self.links[usize::from(head)].next;
            let deadline = self.links[usize::from(head)].deadline;
            self.arm(SlotIndex(head), deadline);
            head = next;
        }
    }

    /// When [`expire`](Wheel::expire) has something to do next.
    pub(super) fn next(&self) -> Option<Instant> {
        if self.armed == 0 {
            return None;
        }
        let start = (self.tick % TICKS as u64) as usize;
        let words = TICKS / 64;
        for step in 0..=words {
            let word = (start / 64 + step) % words;
            let mut bits = self.occupied[word];
            if step == 0 {
                bits &= u64::MAX << (start % 64);
            } else if step == words {
                bits &= !(u64::MAX << (start % 64));
            }
            if bits != 0 {
                let place = word * 64 + bits.trailing_zeros() as usize;
                let ahead = (place + TICKS - start) % TICKS;
                // A place is fired when its tick is over.
                return Some(Instant::from_nanos((self.tick + ahead as u64 + 1) << TICK_SHIFT));
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Span;

    const TICK: Span = Span::from_nanos(1 << TICK_SHIFT);
    const SLOT: SlotIndex = SlotIndex(0);

    fn at(millis: u64) -> Instant {
        Instant::ZERO + Span::from_millis(millis)
    }

    #[test]
    fn a_deadline_fires_once_never_early_and_at_most_two_ticks_late() {
        for millis in [0, 1, 50, 3_000, 4_290, 4_300, 60_000] {
            let mut wheel = Wheel::new(2);
            wheel.arm(SLOT, at(millis));
            let mut fired = None;
            let mut now = Instant::ZERO;
            for _ in 0..100_000 {
                if wheel.expire(now).is_some() {
                    fired = Some(now);
                    break;
                }
                now = wheel.next().expect("armed").max(now);
            }
            let fired = fired.expect("it fires");
            assert!(fired >= at(millis), "{millis}: early, {fired:?}");
            assert!(fired.since(at(millis)) <= TICK.times(2), "{millis}: late, {fired:?}");
            assert_eq!(wheel.expire(at(1_000_000)), None);
            assert_eq!(wheel.next(), None);
        }
    }

    #[test]
    fn links_are_taken_out_from_anywhere() {
        let mut wheel = Wheel::new(3);
        for slot in 0..3 {
            wheel.arm(SlotIndex(slot), at(100));
        }
        wheel.disarm(SlotIndex(1));
        wheel.arm(SlotIndex(2), at(5_000));
        wheel.disarm(SlotIndex(1));
        assert_eq!(wheel.expire(at(200)), Some(SlotIndex(0)));
        assert_eq!(wheel.expire(at(200)), None);
        assert_eq!(wheel.expire(at(5_100)), Some(SlotIndex(2)));
    }

    proptest::proptest! {
        /// Against a plain sorted list: the same slots, each after its deadline, whatever the steps of time.
        #[test]
        fn fires_what_a_sorted_list_would(
            deadlines in proptest::collection::vec(0u64..20_000, 1..60),
            steps in proptest::collection::vec(1u64..3_000, 1..60),
        ) {
            let mut wheel = Wheel::new(deadlines.len());
            for (slot, &millis) in deadlines.iter().enumerate() {
                wheel.arm(SlotIndex(slot as u16), at(millis));
            }
            let mut now = 0;
            let mut fired = vec![false; deadlines.len()];
            for step in steps {
                now += step;
                while let Some(slot) = wheel.expire(at(now)) {
                    let slot = usize::from(slot.0);
                    assert!(!std::mem::replace(&mut fired[slot], true));
                    assert!(deadlines[slot] <= now);
                }
                for (slot, &millis) in deadlines.iter().enumerate() {
                    assert!(fired[slot] || millis + 9 > now, "slot {slot} is late");
                }
            }
        }
    }
}
