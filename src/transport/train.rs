//! The order in which a run of datagrams leaves a socket, and which of them travel as one train (UDP GSO).
//!
//! A train is datagrams of equal size for one server that the kernel takes as one and cuts apart as late as it can: the way
//! through the stack is paid once. Datagrams of a run are ordered by size, so that trains form even where the askers
//! take turns; those that may not travel with others keep their order and go first.

use crate::datagram::{BATCH, Transmit};

/// The places of a run's cells, in the order of sending.
#[derive(Debug)]
pub(super) struct Order {
    places: [u8; BATCH],
    next: usize,
    len: usize,
}

impl Order {
    pub(super) const EMPTY: Order = Order {
        places: [0; BATCH],
        next: 0,
        len: 0,
    };

    /// Orders the cells ([`BATCH`] at most): for trains, or as they are.
    pub(super) fn lay(&mut self, cells: &[Transmit], trains: bool) {
        assert!(cells.len() <= BATCH, "a run is a part of a batch");
        (self.next, self.len) = (0, cells.len());
        let mut keys = [0u32; BATCH];
        for (place, cell) in cells.iter().enumerate() {
            let size = match trains && cell.train > 1 {
                true => cell.octets().len() as u32, // below 2^16
                false => 0,
            };
            keys[place] = size << 8 | place as u32; // below BATCH
        }
        if trains {
            keys[..cells.len()].sort_unstable();
        }
        for (place, key) in self.places.iter_mut().zip(keys) {
            *place = key as u8; // the place is in the low octet
        }
    }

    /// The places that are still to be sent.
    pub(super) fn rest(&self) -> &[u8] {
        &self.places[self.next..self.len]
    }

    /// So many more were sent, or given up.
    pub(super) fn advance(&mut self, count: usize) {
        self.next = self.len.min(self.next + count);
    }
}

/// How many cells at the head of `order` form a train: at least 1.
pub(super) fn train_len(cells: &[Transmit], order: &[u8], trains: bool) -> usize {
    let first = &cells[usize::from(order[0])];
    let max = match trains {
        true => usize::from(first.train.max(1)),
        false => 1,
    };
    let fits = |place: &&u8| {
        let cell = &cells[usize::from(**place)];
        cell.train > 1 && cell.octets().len() == first.octets().len() && cell.to == first.to
    };
    1 + order[1..].iter().take(max - 1).take_while(fits).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(train: u8, octets: usize) -> Transmit {
        let mut cell = Transmit::empty();
        cell.train = train;
        cell.fill(|_| octets);
        cell
    }

    fn trains(cells: &[Transmit], on: bool) -> Vec<Vec<u8>> {
        let mut order = Order::EMPTY;
        order.lay(cells, on);
        let mut trains = Vec::new();
        while !order.rest().is_empty() {
            let count = train_len(cells, order.rest(), on);
            trains.push(order.rest()[..count].to_vec());
            order.advance(count);
        }
        trains
    }

    #[test]
    fn equal_sizes_travel_together_up_to_their_bound() {
        let cells: Vec<Transmit> = [40, 41, 40, 41, 40, 40].map(|octets| cell(3, octets)).into();
        assert_eq!(trains(&cells, true), [vec![0, 2, 4], vec![5], vec![1, 3]]);
        assert_eq!(trains(&cells, false).concat(), [0, 1, 2, 3, 4, 5]);
        assert_eq!(trains(&cells, false).len(), 6);
    }

    #[test]
    fn who_may_not_travel_with_others_goes_alone() {
        let cells = [cell(4, 40), cell(1, 40), cell(4, 40), cell(1, 41)];
        assert_eq!(trains(&cells, true), [vec![1], vec![3], vec![0, 2]]);
    }
}
