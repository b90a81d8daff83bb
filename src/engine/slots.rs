//! The table of exchanges: allocated once, handed out by index, linked into the queues of paths through the slots.

use crate::clock::Instant;
use crate::datagram::Port;
use crate::exchange::{Ask, Route, Ticket};
use crate::wire::{Name, Rcode, Rtype};

use super::path::PathIndex;

/// A place in the table. At most 65,534, because the wheel and the ID tables use `u16` with the last value for "none".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct SlotIndex(pub(super) u16);

/// Largest number of slots.
pub(super) const SLOTS_MAX: usize = u16::MAX as usize - 1;

/// What an exchange is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// It is none.
    Free,
    /// It waits in its path's queue.
    Queued,
    /// A packet is on its way.
    InFlight,
    /// It rests before it is asked again (after SERVFAIL).
    Resting,
    /// It waits to be asked over TCP.
    TcpWaiting,
    /// It is asked over TCP.
    Tcp,
}

/// One exchange.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) state: State,
    pub(super) ticket: Ticket,
    pub(super) route: Route,
    pub(super) path: PathIndex,
    pub(super) rtype: Rtype,
    pub(super) probe: bool,
    /// Packets sent.
    pub(super) tries: u8,
    /// Positions of the route's paths that have been tried, one bit each.
    pub(super) tried: u8,
    /// Whether the query in flight has an OPT record.
    pub(super) edns: bool,
    /// Whether its reply must keep the letter case.
    pub(super) demand_case: bool,
    /// Replies that fitted in all but the case.
    pub(super) case_misses: u8,
    /// What the last reply said, and how many there were, while replies are being forged.
    pub(super) said: Option<(Rcode, u16)>,
    pub(super) doubts: u8,
    /// Whether it was asked again for a reason that counts once: SERVFAIL.
    pub(super) repeated: bool,
    /// It goes by its path alone: what it asks is how that path does.
    pub(super) pinned: bool,
    /// It goes over TCP because its server's replies are being forged; that has failed, so that it goes over UDP.
    pub(super) diverted: bool,
    pub(super) plain: bool,
    /// Whether the packet in flight was let through an open breaker.
    pub(super) trial: bool,
    pub(super) id: u16,
    pub(super) port: Port,
    pub(super) sent: Instant,
    /// When its packet in flight counts as lost.
    pub(super) expires: Instant,
    /// The reply that sent it to TCP.
    pub(super) truncated: Option<(Rcode, bool, u16)>,
    /// Tells this exchange from earlier ones in the same slot.
    pub(super) generation: u32,
    /// The next in the path's queue.
    pub(super) next: Option<SlotIndex>,
    /// The name as it was sent, letter case included.
    pub(super) name: Name,
}

impl Slot {
    /// Packets sent to each of the servers that were tried, this one included: they take turns.
    pub(super) fn tries_each(&self) -> u8 {
        self.tries.div_ceil(self.tried.count_ones().max(1) as u8)
    }

    fn empty() -> Slot {
        Slot {
            state: State::Free,
            ticket: Ticket(0),
            route: Route(0),
            path: PathIndex(0),
            rtype: Rtype::A,
            probe: false,
            tries: 0,
            tried: 0,
            edns: false,
            demand_case: false,
            case_misses: 0,
            said: None,
            doubts: 0,
            repeated: false,
            pinned: false,
            diverted: false,
            plain: false,
            trial: false,
            id: 0,
            port: Port(0),
            sent: Instant::ZERO,
            expires: Instant::ZERO,
            truncated: None,
            generation: 0,
            next: None,
            name: Name::root(),
        }
    }
}

/// The table.
#[derive(Debug)]
pub(super) struct Slots {
    /// Those that have ever been used: short runs never touch the memory of the others.
    slots: Vec<Slot>,
    free: Vec<SlotIndex>,
    /// How many there may be.
    count: usize,
}

impl Slots {
    pub(super) fn new(count: usize) -> Slots {
        let count = count.clamp(1, SLOTS_MAX);
        Slots {
            slots: Vec::with_capacity(count),
            free: Vec::with_capacity(count),
            count,
        }
    }

    pub(super) fn free_count(&self) -> usize {
        self.count - self.used_count()
    }

    pub(super) fn used_count(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Puts an ask into a free slot.
    pub(super) fn open(&mut self, ask: &Ask<'_>, path: PathIndex) -> Option<SlotIndex> {
        let index = match self.free.pop() {
            Some(index) => index,
            None if self.slots.len() < self.count => {
                self.slots.push(Slot::empty());
                SlotIndex((self.slots.len() - 1) as u16) // below SLOTS_MAX
            }
            None => return None,
        };
        let slot = &mut self.slots[usize::from(index.0)];
        debug_assert_eq!(slot.state, State::Free);
        let generation = slot.generation.wrapping_add(1);
        slot.name.clone_from(ask.name);
        slot.state = State::Queued;
        slot.ticket = ask.ticket;
        slot.route = ask.route;
        slot.path = path;
        slot.rtype = ask.rtype;
        slot.probe = ask.probe;
        slot.tries = 0;
        slot.tried = 0;
        slot.edns = false;
        slot.demand_case = false;
        slot.case_misses = 0;
        slot.said = None;
        slot.doubts = 0;
        slot.repeated = false;
        slot.pinned = false;
        slot.diverted = false;
        slot.plain = false;
        slot.trial = false;
        slot.truncated = None;
        slot.generation = generation;
        slot.next = None;
        Some(index)
    }

    pub(super) fn close(&mut self, index: SlotIndex) {
        let slot = &mut self.slots[usize::from(index.0)];
        debug_assert_ne!(slot.state, State::Free);
        slot.state = State::Free;
        self.free.push(index);
    }

    /// The slots in use.
    pub(super) fn used(&self) -> Vec<SlotIndex> {
        (0..self.slots.len() as u16)
            .map(SlotIndex)
            .filter(|&index| self[index].state != State::Free)
            .collect()
    }
}

impl std::ops::Index<SlotIndex> for Slots {
    type Output = Slot;
    fn index(&self, index: SlotIndex) -> &Slot {
        &self.slots[usize::from(index.0)]
    }
}

impl std::ops::IndexMut<SlotIndex> for Slots {
    fn index_mut(&mut self, index: SlotIndex) -> &mut Slot {
        &mut self.slots[usize::from(index.0)]
    }
}

/// A queue of slots, linked through them.
#[derive(Debug, Default)]
pub(super) struct Queue {
    head: Option<SlotIndex>,
    tail: Option<SlotIndex>,
    len: usize,
}

impl Queue {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn head(&self) -> Option<SlotIndex> {
        self.head
    }

    pub(super) fn push_back(&mut self, slots: &mut Slots, index: SlotIndex) {
        slots[index].next = None;
        match self.tail {
            Some(tail) => slots[tail].next = Some(index),
            None => self.head = Some(index),
        }
        self.tail = Some(index);
        self.len += 1;
    }

    pub(super) fn push_front(&mut self, slots: &mut Slots, index: SlotIndex) {
        slots[index].next = self.head;
        self.head = Some(index);
        self.tail = self.tail.or(Some(index));
        self.len += 1;
    }

    pub(super) fn pop_front(&mut self, slots: &mut Slots) -> Option<SlotIndex> {
        let index = self.head?;
        self.head = slots[index].next.take();
        if self.head.is_none() {
            self.tail = None;
        }
        self.len -= 1;
        Some(index)
    }
}
