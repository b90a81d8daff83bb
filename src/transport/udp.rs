//! UDP sockets as source ports: opened once, never blocking, drained in batches.
//!
//! A socket is connected where it serves one server only: the kernel then drops what comes from elsewhere. An ICMP error
//! on such a socket is counted and otherwise ignored: it can be forged, and it must not fail the queries of others.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd};

use nix::poll::{PollFd, PollFlags};
use nix::sys::time::TimeSpec;
use socket2::{Domain, Protocol, Socket, Type};

use crate::clock::Span;
use crate::datagram::{BATCH, Port, Received, Transmit};

use super::batch::Buffers;

/// Room for replies in the kernel, in octets: some 5,000 small ones, so that a busy moment loses none. The kernel may
/// give less (`net.core.rmem_max`).
const RECEIVE_BUFFER: usize = 4 << 20;

/// Batches taken from one socket before the next one has its turn.
const BATCHES_PER_TURN: usize = 4;

/// What happened to packets below the engine's sight.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct UdpCounters {
    /// Packets that the kernel did not take; the engine counts them as lost in time.
    pub unsent: u64,
    /// Errors that sockets had pending, such as "port unreachable".
    pub errors: u64,
}

/// The sockets.
#[derive(Debug)]
pub struct Udp {
    sockets: Vec<(Socket, bool)>,
    buffers: Buffers,
    counters: UdpCounters,
}

impl Udp {
    /// No sockets yet.
    #[expect(clippy::new_without_default, reason = "it allocates its buffers")]
    pub fn new() -> Udp {
        Udp {
            sockets: Vec::new(),
            buffers: Buffers::new(),
            counters: UdpCounters::default(),
        }
    }

    /// Opens the socket of the next port, on a source port that the kernel picks at random. It is for one server if
    /// `connect` is given, else for all of the family of `like`.
    ///
    /// # Errors
    /// If there is no socket to be had: no descriptors, no such family, no route to the server.
    pub fn open(&mut self, like: SocketAddr, connect: bool) -> io::Result<Port> {
        let socket = Socket::new(Domain::for_address(like), Type::DGRAM, Some(Protocol::UDP))?;
        socket.set_nonblocking(true)?;
        // Less than asked for is no failure.
        let _ = socket.set_recv_buffer_size(RECEIVE_BUFFER);
        let any: SocketAddr = match like {
            SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
            SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
        };
        socket.bind(&any.into())?;
        if connect {
            socket.connect(&like.into())?;
        }
        let port = Port(u16::try_from(self.sockets.len()).map_err(io::Error::other)?);
        self.sockets.push((socket, connect));
        Ok(port)
    }

    /// Sends the cells, in runs of the same port.
    pub fn send(&mut self, cells: &[Transmit]) {
        for run in cells.chunk_by(|one, next| one.port == next.port) {
            let mut rest = run;
            let mut attempts = 0;
            while let Some(first) = rest.first() {
                let (socket, connected) = &self.sockets[usize::from(first.port.0)];
                match self.buffers.send(socket.as_fd(), rest, *connected) {
                    Ok(sent) => rest = &rest[sent.min(rest.len())..],
                    Err(error) => {
                        // The error may be an earlier packet's: then the next attempt goes through. A full queue gets a
                        // moment. After that the packet is lost, and its successors have their own chance.
                        attempts += 1;
                        self.counters.errors += 1;
                        if matches!(error.raw_os_error(), Some(libc::EAGAIN | libc::ENOBUFS)) {
                            wait(
                                &mut [PollFd::new(socket.as_fd(), PollFlags::POLLOUT)],
                                Span::from_millis(1),
                            );
                        }
                        if attempts % 3 == 0 {
                            rest = &rest[1..];
                            self.counters.unsent += 1;
                        }
                    }
                }
            }
        }
    }

    /// Hands over the datagrams that have come; returns how many. Bounded, so that sending has its turn too.
    pub fn receive(&mut self, mut deliver: impl FnMut(Received<'_>)) -> usize {
        let mut total = 0;
        for (index, (socket, _)) in self.sockets.iter().enumerate() {
            let port = Port(index as u16); // `open` bounds it
            for _ in 0..BATCHES_PER_TURN {
                let count = match self.buffers.receive(socket.as_fd()) {
                    Ok(count) => count,
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                    Err(_) => {
                        self.counters.errors += 1;
                        continue;
                    }
                };
                for datagram in 0..count {
                    if let Some((from, octets)) = self.buffers.datagram(datagram) {
                        deliver(Received { port, from, octets });
                    }
                }
                total += count;
                if count < BATCH {
                    break;
                }
            }
        }
        total
    }

    /// Waits until a datagram comes, one of `others` can be read, or the time is over.
    pub fn wait(&self, others: &[BorrowedFd<'_>], timeout: Span) {
        let sockets = self.sockets.iter().map(|(socket, _)| socket.as_fd());
        let mut polled: Vec<PollFd<'_>> = sockets
            .chain(others.iter().copied())
            .map(|fd| PollFd::new(fd, PollFlags::POLLIN))
            .collect();
        wait(&mut polled, timeout);
    }

    /// What happened below the engine's sight.
    pub fn counters(&self) -> UdpCounters {
        self.counters
    }
}

fn wait(polled: &mut [PollFd<'_>], timeout: Span) {
    let timeout = TimeSpec::from_duration(timeout.into());
    // An interrupted wait is a short wait: the caller looks at everything again.
    let _ = nix::poll::ppoll(polled, Some(timeout), None);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket;

    #[test]
    fn a_batch_goes_out_and_comes_back_over_both_kinds_of_sockets() {
        for (connect, address) in [(true, "127.0.0.1:0"), (false, "127.0.0.1:0"), (false, "[::1]:0")] {
            let echo = UdpSocket::bind(address).expect("loopback");
            let peer = echo.local_addr().expect("bound");
            let mut udp = Udp::new();
            let port = udp.open(peer, connect).expect("a socket");
            let mut cells = vec![Transmit::empty(); 100];
            for (index, cell) in cells.iter_mut().enumerate() {
                cell.port = port;
                cell.to = peer;
                cell.fill(|buffer| {
                    buffer[0] = index as u8;
                    1 + index
                });
            }
            udp.send(&cells);
            let mut buffer = [0; 512];
            for index in 0..100 {
                let (len, from) = echo.recv_from(&mut buffer).expect("a datagram");
                assert_eq!((len, buffer[0]), (1 + index, index as u8));
                echo.send_to(&buffer[..len], from).expect("sent");
            }
            let mut seen = 0;
            while seen < 100 {
                udp.wait(&[], Span::from_secs(5));
                let count = udp.receive(|datagram| {
                    assert_eq!(datagram.from, peer);
                    assert_eq!(datagram.octets.len(), 1 + usize::from(datagram.octets[0]));
                });
                assert!(count > 0, "a reply was lost on loopback");
                seen += count;
            }
            assert_eq!(udp.counters(), UdpCounters::default());
        }
    }

    #[test]
    fn a_port_without_a_listener_is_silence_and_not_an_error() {
        let gone = UdpSocket::bind("127.0.0.1:0")
            .expect("loopback")
            .local_addr()
            .expect("bound");
        let mut udp = Udp::new();
        let port = udp.open(gone, true).expect("a socket");
        let mut cell = Transmit::empty();
        cell.port = port;
        cell.to = gone;
        cell.fill(|_| 1);
        for _ in 0..5 {
            udp.send(std::slice::from_ref(&cell));
            udp.wait(&[], Span::from_millis(20));
            assert_eq!(udp.receive(|_| panic!("nobody answers")), 0);
        }
        assert!(udp.counters().errors > 0);
    }
}
