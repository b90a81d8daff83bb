//! How long a reply is waited for on a path that has not been heard yet, or has fallen silent.
//!
//! ```text
//! heard, and not silent since ─▶ RFC 6298, and nothing here
//! else ─▶ looked at every tenth of a second ─┬─ timed meanwhile ─▶ RFC 6298 from the moment it was sent
//!                                            └─ another authority of the route answers, and has time ─▶ asked there
//! ```
//!
//! The initial second of RFC 6298 is for who knows nothing. Five probes that go out at once soon know more: those that were
//! answered tell how far the server is, and who waits for the others waits no longer than that. Where one of two servers is
//! dead, the other has said so before the second is over.

use crate::clock::{Instant, Span};

use super::core::Engine;
use super::slots::SlotIndex;

/// Time between two looks.
const LOOK: Span = Span::from_millis(100);

/// Another server is not asked sooner than this: the longest way around the world and back, and some.
const ELSEWHERE_MIN: Span = Span::from_millis(400);

/// Nor sooner than after its round trip and one part in so many more, which is what is late on any way: a server that is left
/// for being late is farther than both.
const ELSEWHERE_MARGIN: u64 = 4;

impl Engine {
    /// Arms the timer of a packet in flight that counts as lost at a moment: for the next look, if more may be known then.
    pub(super) fn wait_until(&mut self, now: Instant, index: SlotIndex, expires: Instant) {
        self.slots[index].expires = expires;
        let slot = &self.slots[index];
        let path = &self.paths[usize::from(slot.path.0)];
        // Probes come first on a path, so that questions find one that was heard, but where there are several.
        let may_learn = path.is_unheard() && !slot.trial && (slot.probe || self.route_of(slot.route).paths.len() > 1);
        let at = match may_learn {
            true => expires.min(now + LOOK),
            false => expires,
        };
        self.wheel.arm(index, at);
    }

    /// The timer of a packet in flight has run out: it is lost, or was only to be looked at.
    pub(super) fn look(&mut self, now: Instant, index: SlotIndex) {
        let slot = &self.slots[index];
        if slot.expires <= now {
            self.lose(now, index);
            return;
        }
        let path = &self.paths[usize::from(slot.path.0)];
        let mut expires = slot.expires;
        if !path.rtt.is_unknown() && path.breaker.is_closed() {
            expires = expires.min(slot.sent + path.rtt.timeout(slot.tries_each()));
        }
        if let Some(patience) = self.elsewhere(index) {
            expires = expires.min(slot.sent + patience);
        }
        match expires <= now {
            true => self.lose(now, index),
            false => self.wait_until(now, index, expires),
        }
    }

    /// How long to wait before another authority of the route is asked that answers, was not asked yet, and has nothing
    /// better to do; a probe is always the better thing to do. None if there is no such one, or this path was heard meanwhile.
    fn elsewhere(&self, index: SlotIndex) -> Option<Span> {
        let slot = &self.slots[index];
        let path = &self.paths[usize::from(slot.path.0)];
        let route = self.route_of(slot.route);
        let authority = self.servers[usize::from(path.upstream.0)].careful;
        if !path.is_unheard() || !authority || slot.pinned || route.general || slot.tries > self.options.retries {
            return None;
        }
        let paths = route.paths.iter().map(|path| &self.paths[usize::from(path.0)]);
        let others = paths.filter(|other| {
            let works = other.breaker.is_closed() && !other.is_unheard() && !other.is_left();
            let has_time = slot.probe || other.queue.len() == 0 && other.window.has_room();
            works && has_time && other.bit & slot.tried == 0
        });
        let soonest = others.map(|other| other.rtt.estimate()).min()?;
        let soonest = match path.rtt.is_unknown() {
            true => soonest,
            false => soonest.max(path.rtt.estimate()),
        };
        Some((soonest + soonest.part(ELSEWHERE_MARGIN)).max(ELSEWHERE_MIN))
    }
}
