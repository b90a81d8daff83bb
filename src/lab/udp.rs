//! The UDP side of a face: a blocking thread that takes and sends datagrams in batches.
//!
//! On Linux 64 datagrams move with one call (recvmmsg, sendmmsg); elsewhere one by one.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::lab::Face;
use super::late::Late;
use super::message::{EDNS_OCTETS_MAX, Transport};
use super::respond::{Fate, Scratch};
use super::world::World;

/// Datagrams a call moves at most; larger batches measured no faster.
const BATCH: usize = 64;

/// Octets of a query that are taken; the largest that makes sense has 255 for the name and some for EDNS options.
const QUERY_OCTETS_MAX: usize = 768;

/// What a face's UDP thread works with.
pub(super) struct UdpFace {
    pub(super) face: Face,
    pub(super) socket: Arc<UdpSocket>,
    pub(super) world: Arc<World>,
    pub(super) late: Late,
    pub(super) stop: Arc<AtomicBool>,
}

impl UdpFace {
    /// Answers until told to stop.
    pub(super) fn run(self) {
        let mut link = Link::new(Arc::clone(&self.socket));
        let mut scratch = Scratch::new();
        let mut queries = vec![0u8; BATCH * QUERY_OCTETS_MAX];
        let mut replies: Vec<Vec<u8>> = (0..BATCH).map(|_| Vec::with_capacity(EDNS_OCTETS_MAX)).collect();
        while !self.stop.load(Ordering::Relaxed) {
            // A timeout lets the flag be seen; other errors (a port unreachable) are of one datagram, not of the socket.
            let Ok(count) = link.receive(&mut queries) else {
                continue;
            };
            let mut ready = 0;
            for index in 0..count {
                let at = index * QUERY_OCTETS_MAX;
                let message = &queries[at..at + link.len(index)];
                let reply = &mut replies[ready];
                match self
                    .world
                    .respond((self.face, Transport::Udp), message, &mut scratch, reply)
                {
                    Fate::Nothing => continue,
                    Fate::Reply => {
                        self.send_extras(&link, index, &scratch, reply);
                        link.address_reply(ready, index);
                        ready += 1;
                    }
                    Fate::Late(after) => {
                        if let Some(to) = link.peer(index) {
                            self.late.send(after, &self.socket, to, reply);
                        }
                    }
                }
            }
            link.send(&replies[..ready]);
        }
    }

    /// Sends what a scrambled zone sends beside its answer.
    fn send_extras(&self, link: &Link, index: usize, scratch: &Scratch, reply: &[u8]) {
        if scratch.decoys.is_empty() && scratch.echo.is_none() {
            return;
        }
        let Some(to) = link.peer(index) else { return };
        for decoy in &scratch.decoys {
            let _ = self.socket.send_to(decoy, to); // lost is lost
        }
        if let Some(after) = scratch.echo {
            self.late.send(after, &self.socket, to, reply);
        }
    }
}

#[cfg(target_os = "linux")]
use batched::Link;
#[cfg(not(target_os = "linux"))]
use single::Link;

#[cfg(target_os = "linux")]
mod batched {
    use std::io::{IoSlice, IoSliceMut};
    use std::os::fd::AsRawFd;

    use nix::sys::socket::{ControlMessage, MsgFlags, MultiHeaders, SockaddrStorage, recvmmsg, sendmmsg};

    use super::{Arc, BATCH, QUERY_OCTETS_MAX, SocketAddr, UdpSocket, io};

    /// A socket with the headers of its batches.
    pub(super) struct Link {
        socket: Arc<UdpSocket>,
        lens: [usize; BATCH],
        from: [Option<SockaddrStorage>; BATCH],
        to: [Option<SockaddrStorage>; BATCH],
        receiving: MultiHeaders<SockaddrStorage>,
        sending: MultiHeaders<SockaddrStorage>,
    }

    impl Link {
        pub(super) fn new(socket: Arc<UdpSocket>) -> Link {
            Link {
                socket,
                lens: [0; BATCH],
                from: [None; BATCH],
                to: [None; BATCH],
                receiving: MultiHeaders::preallocate(BATCH, None),
                sending: MultiHeaders::preallocate(BATCH, None),
            }
        }

        /// Waits for a datagram, takes what there is, and says how many that are.
        pub(super) fn receive(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let mut cells = buffer.chunks_exact_mut(QUERY_OCTETS_MAX);
            let mut slices: [[IoSliceMut<'_>; 1]; BATCH] =
                std::array::from_fn(|_| [IoSliceMut::new(cells.next().expect("a cell for each of the batch"))]);
            let fd = self.socket.as_raw_fd();
            let flags = MsgFlags::MSG_WAITFORONE;
            let mut count = 0;
            for message in recvmmsg(fd, &mut self.receiving, slices.iter_mut(), flags, None)? {
                self.lens[count] = message.bytes;
                self.from[count] = message.address;
                count += 1;
            }
            Ok(count)
        }

        pub(super) fn len(&self, index: usize) -> usize {
            self.lens[index].min(QUERY_OCTETS_MAX)
        }

        pub(super) fn peer(&self, index: usize) -> Option<SocketAddr> {
            socket_addr(self.from[index].as_ref()?)
        }

        /// Reply number `reply` goes to whom query number `query` came from.
        pub(super) fn address_reply(&mut self, reply: usize, query: usize) {
            self.to[reply] = self.from[query];
        }

        pub(super) fn send(&mut self, replies: &[Vec<u8>]) {
            if replies.is_empty() {
                return;
            }
            let slices: [[IoSlice<'_>; 1]; BATCH] =
                std::array::from_fn(|index| [IoSlice::new(replies.get(index).map_or(&[], Vec::as_slice))]);
            let none: [ControlMessage<'_>; 0] = [];
            let to = &self.to[..replies.len()];
            let fd = self.socket.as_raw_fd();
            let sent = sendmmsg(
                fd,
                &mut self.sending,
                slices[..replies.len()].iter(),
                to,
                none,
                MsgFlags::empty(),
            );
            let sent = sent.map_or(0, Iterator::count);
            // Where the batch broke off, one by one: one bad address must not cost the others their replies.
            for (reply, to) in replies.iter().zip(to).skip(sent) {
                if let Some(to) = to.as_ref().and_then(socket_addr) {
                    let _ = self.socket.send_to(reply, to);
                }
            }
        }
    }

    fn socket_addr(address: &SockaddrStorage) -> Option<SocketAddr> {
        let v4 = address
            .as_sockaddr_in()
            .map(|v4| SocketAddr::from(std::net::SocketAddrV4::from(*v4)));
        v4.or_else(|| {
            address
                .as_sockaddr_in6()
                .map(|v6| SocketAddr::from(std::net::SocketAddrV6::from(*v6)))
        })
    }
}

#[cfg(not(target_os = "linux"))]
mod single {
    use super::{Arc, QUERY_OCTETS_MAX, SocketAddr, UdpSocket, io};

    /// A socket and who wrote last.
    pub(super) struct Link {
        socket: Arc<UdpSocket>,
        len: usize,
        from: Option<SocketAddr>,
    }

    impl Link {
        pub(super) fn new(socket: Arc<UdpSocket>) -> Link {
            Link {
                socket,
                len: 0,
                from: None,
            }
        }

        pub(super) fn receive(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let (len, from) = self.socket.recv_from(&mut buffer[..QUERY_OCTETS_MAX])?;
            (self.len, self.from) = (len, Some(from));
            Ok(1)
        }

        pub(super) fn len(&self, _index: usize) -> usize {
            self.len
        }

        pub(super) fn peer(&self, _index: usize) -> Option<SocketAddr> {
            self.from
        }

        pub(super) fn address_reply(&mut self, _reply: usize, _query: usize) {}

        pub(super) fn send(&mut self, replies: &[Vec<u8>]) {
            for reply in replies {
                if let Some(to) = self.from {
                    let _ = self.socket.send_to(reply, to);
                }
            }
        }
    }
}
