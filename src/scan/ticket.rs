//! What an exchange was for, packed into the mark that the engine gives back.

use crate::exchange::Ticket;

/// A lane by its place in the worker's table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct LaneIndex(pub(super) u16);

/// What an exchange was for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// The A records of a pair. `name` is 0 or 1: which of the names that the target is asked by.
    Pair {
        lane: LaneIndex,
        tile: u32,
        offset: u8,
        name: u8,
    },
    /// The TXT record of a listing.
    Text {
        lane: LaneIndex,
        tile: u32,
        offset: u8,
        name: u8,
    },
    /// A probe of a lane's health check, by its number.
    Probe { lane: LaneIndex, round: u32, number: u8 },
    /// A check of a resolver, by its number.
    Check { server: u16, number: u8 },
    /// A question of the stages, by its number.
    Lookup { number: u32 },
    /// A question about the servers of a zone, in direct mode.
    Server { cut: u16, number: u8 },
    /// A question by which a server shows whether it may be pruned.
    Proof { lane: LaneIndex, number: u8 },
    /// A related name on a list, by its number.
    Related { lane: LaneIndex, number: u32 },
    /// The parent of the addresses of a tile from an offset on.
    Parent { lane: LaneIndex, tile: u32, offset: u8 },
}

impl Purpose {
    pub(super) fn ticket(self) -> Ticket {
        let pack = |kind: u64, lane: u16, middle: u32, low: u8, name: u8| {
            Ticket(kind << 60 | u64::from(name) << 56 | u64::from(lane) << 40 | u64::from(middle) << 8 | u64::from(low))
        };
        match self {
            Purpose::Pair {
                lane,
                tile,
                offset,
                name,
            } => pack(0, lane.0, tile, offset, name),
            Purpose::Text {
                lane,
                tile,
                offset,
                name,
            } => pack(1, lane.0, tile, offset, name),
            Purpose::Probe { lane, round, number } => pack(2, lane.0, round, number, 0),
            Purpose::Check { server, number } => pack(3, server, 0, number, 0),
            Purpose::Lookup { number } => pack(4, 0, number, 0, 0),
            Purpose::Server { cut, number } => pack(5, cut, 0, number, 0),
            Purpose::Proof { lane, number } => pack(6, lane.0, 0, number, 0),
            Purpose::Parent { lane, tile, offset } => pack(7, lane.0, tile, offset, 0),
            Purpose::Related { lane, number } => pack(8, lane.0, number, 0, 0),
        }
    }

    /// The lane that it was asked for, if there is one.
    pub(super) fn lane(self) -> Option<LaneIndex> {
        match self {
            Purpose::Pair { lane, .. }
            | Purpose::Text { lane, .. }
            | Purpose::Probe { lane, .. }
            | Purpose::Proof { lane, .. }
            | Purpose::Related { lane, .. }
            | Purpose::Parent { lane, .. } => Some(lane),
            Purpose::Check { .. } | Purpose::Lookup { .. } | Purpose::Server { .. } => None,
        }
    }

    pub(super) fn of(ticket: Ticket) -> Purpose {
        // `as` cuts out the fields that `ticket` packed.
        let lane = LaneIndex((ticket.0 >> 40) as u16);
        let (middle, low) = ((ticket.0 >> 8) as u32, ticket.0 as u8);
        let name = (ticket.0 >> 56) as u8 & 0x0f;
        match ticket.0 >> 60 {
            0 => Purpose::Pair {
                lane,
                tile: middle,
                offset: low,
                name,
            },
            1 => Purpose::Text {
                lane,
                tile: middle,
                offset: low,
                name,
            },
            2 => Purpose::Probe {
                lane,
                round: middle,
                number: low,
            },
            3 => Purpose::Check {
                server: lane.0,
                number: low,
            },
            4 => Purpose::Lookup { number: middle },
            5 => Purpose::Server {
                cut: lane.0,
                number: low,
            },
            6 => Purpose::Proof { lane, number: low },
            8 => Purpose::Related { lane, number: middle },
            _ => Purpose::Parent {
                lane,
                tile: middle,
                offset: low,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_comes_out() {
        let lane = LaneIndex(0xfffe);
        for purpose in [
            Purpose::Pair {
                lane,
                tile: u32::MAX,
                offset: 255,
                name: 1,
            },
            Purpose::Text {
                lane,
                tile: 7,
                offset: 0,
                name: 0,
            },
            Purpose::Probe {
                lane,
                round: 3,
                number: 9,
            },
            Purpose::Check { server: 5, number: 1 },
            Purpose::Lookup { number: u32::MAX },
            Purpose::Server { cut: 9, number: 26 },
            Purpose::Proof { lane, number: 3 },
            Purpose::Related { lane, number: u32::MAX },
            Purpose::Parent {
                lane,
                tile: u32::MAX,
                offset: 255,
            },
        ] {
            assert_eq!(Purpose::of(purpose.ticket()), purpose);
        }
    }
}
