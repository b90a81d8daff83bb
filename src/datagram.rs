//! Fixed cells for datagrams: a batch of them goes out, a batch comes in, and nothing is allocated between.
//!
//! The few messages that go over TCP are values here too. This is the small language that `engine` and `transport` share, below both. A cell names a [`Port`]
//! (one of our sockets, so one source port), the peer, and the octets.

use std::net::SocketAddr;

/// Largest query this program composes: header 12, name 255, type and class 4, OPT 11 (RFC 1035 §4.1, RFC 6891 §6.1.2).
pub const QUERY_OCTETS_MAX: usize = 12 + 255 + 4 + 11;

/// Largest datagram taken in. Queries offer 1,232 octets (the DNS flag day figure: no fragments on any
/// common path); what a server sends beyond that is cut here and treated as truncated.
pub const REPLY_OCTETS_MAX: usize = 1_472;

/// Datagrams a system call moves at most: larger batches measured no faster.
pub const BATCH: usize = 64;

/// Datagrams of one train at most (UDP GSO): a quarter of the usual window. A batch leaves as one burst either way, and a
/// stock rbldnsd loses no more of it than in trains of 16.
pub const TRAIN_MAX: u8 = 32;

/// One of our UDP sockets, by index: a source port to the world.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Port(pub u16);

/// A datagram to be sent.
#[derive(Debug, Clone)]
pub struct Transmit {
    /// The socket it leaves by.
    pub port: Port,
    /// Where it goes.
    pub to: SocketAddr,
    /// Datagrams of equal size that it may travel with as one train, itself included; 1: none. The transport lays the
    /// trains, where it can.
    pub train: u8,
    len: u16,
    octets: [u8; QUERY_OCTETS_MAX],
}

impl Transmit {
    /// An empty cell.
    pub const fn empty() -> Transmit {
        Transmit {
            port: Port(0),
            to: SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED), 0),
            train: 1,
            len: 0,
            octets: [0; QUERY_OCTETS_MAX],
        }
    }

    /// The datagram's octets.
    pub fn octets(&self) -> &[u8] {
        &self.octets[..usize::from(self.len)]
    }

    /// The message's ID: of a cell that holds one.
    pub fn id(&self) -> u16 {
        u16::from_be_bytes([self.octets[0], self.octets[1]])
    }

    /// Lets `write` fill the cell; it returns how many octets it wrote.
    pub fn fill(&mut self, write: impl FnOnce(&mut [u8; QUERY_OCTETS_MAX]) -> usize) {
        let len = write(&mut self.octets);
        debug_assert!(len <= QUERY_OCTETS_MAX);
        self.len = len as u16; // at most QUERY_OCTETS_MAX, by the writer's slice
    }
}

/// A bounded batch of datagrams to send, its cells allocated once.
#[derive(Debug)]
pub struct Batch {
    cells: Vec<Transmit>,
    used: usize,
}

impl Batch {
    /// A batch of [`BATCH`] cells.
    #[expect(clippy::new_without_default, reason = "it allocates; let that be visible")]
    pub fn new() -> Batch {
        Batch {
            cells: vec![Transmit::empty(); BATCH],
            used: 0,
        }
    }

    /// The next free cell, or none when the batch is full.
    pub fn next_cell(&mut self) -> Option<&mut Transmit> {
        let cell = self.cells.get_mut(self.used)?;
        self.used += 1;
        Some(cell)
    }

    /// The cells in use, in order.
    pub fn as_slice(&self) -> &[Transmit] {
        &self.cells[..self.used]
    }

    /// Whether every cell is in use.
    pub fn is_full(&self) -> bool {
        self.used == self.cells.len()
    }

    /// Whether no cell is in use.
    pub fn is_empty(&self) -> bool {
        self.used == 0
    }

    /// Frees all cells.
    pub fn clear(&mut self) {
        self.used = 0;
    }
}

/// Names an exchange over TCP to whoever gave it out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TcpKey(pub u64);

/// A query to be asked over TCP (RFC 7766), because its reply does not fit a datagram.
#[derive(Debug, Clone)]
pub struct TcpQuery {
    /// To be given back with the result.
    pub key: TcpKey,
    /// Whom to ask.
    pub to: SocketAddr,
    /// The message, without its two length octets.
    pub message: Vec<u8>,
}

/// Why TCP brought no message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TcpFailure {
    /// No connection.
    Connect,
    /// It ended, or said too little, or too late.
    Broken,
}

/// A datagram that came in, borrowed from the transport's buffers.
#[derive(Debug, Clone, Copy)]
pub struct Received<'a> {
    /// The socket it came in by.
    pub port: Port,
    /// Who sent it, as the kernel says.
    pub from: SocketAddr,
    /// Its octets, at most [`REPLY_OCTETS_MAX`].
    pub octets: &'a [u8],
}
