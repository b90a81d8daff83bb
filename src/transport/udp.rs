//! UDP sockets as source ports: never blocking, drained in batches. Most are opened once; spare ones come and go while somebody
//! forges replies.
//!
//! Towards a server on our own machine or network, queries travel in trains (UDP GSO), and what comes back in trains is
//! taken so (UDP GRO). Whether the kernel and the device can do that shows when it is tried: the first refusal ends it.
//!
//! A socket is connected where it serves one server only: the kernel then drops what comes from elsewhere. An ICMP error
//! on such a socket is counted and otherwise ignored: it can be forged, and it must not fail the queries of others.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use nix::poll::{PollFd, PollFlags};
use nix::sys::resource::{Resource, getrlimit};
use nix::sys::socket::{setsockopt, sockopt};
use nix::sys::time::TimeSpec;
use socket2::{Domain, Protocol, Socket, Type};

use crate::clock::Span;
use crate::datagram::{BATCH, Port, Received, Transmit};

use super::batch::{Incoming, Outgoing, Run, dropped};
use super::train::Order;

/// Room for replies in the kernel, in octets: some 5,000 small ones, so that a busy moment loses none. The kernel may
/// give less (`net.core.rmem_max`).
const RECEIVE_BUFFER: usize = 4 << 20;

/// Descriptors that a spare port leaves to others: connections, files, the threads' own.
const DESCRIPTORS_LEFT: u64 = 24;

/// Single datagrams in one call from which on the kernel is asked whether it had room for all: even a small buffer that was
/// full held more of them (425,984 octets, at 768 to some 16,000 each). Of trains one may be a third of it.
const FULL: usize = 8;

/// Batches taken from one socket before the next one has its turn.
const BATCHES_PER_TURN: usize = 4;

/// What happened to packets below the engine's sight.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct UdpCounters {
    /// Packets that could not be sent; the engine counts them as lost in time.
    pub unsent: u64,
    /// Packets that the kernel had no room for: they were given back.
    pub refused: u64,
    /// Datagrams that came and were dropped, because our own buffer was full.
    pub overflowed: u64,
    /// Errors that sockets had pending, such as "port unreachable".
    pub errors: u64,
    /// Packets that were handed over together with others, as trains.
    pub in_trains: u64,
}

/// Messages without a train among them after which none is expected.
const TRAINLESS: u32 = 1_024;

/// What is known about trains that come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Arrivals {
    /// None has come yet, but so many single datagrams.
    Watched(u32),
    /// Some have: room for them is kept.
    Trains,
    /// They are not taken any more: room for them costs the processor's caches more than they would save.
    Single,
}

/// A socket.
#[derive(Debug)]
struct Door {
    socket: Socket,
    /// Who it is connected to, if it is.
    peer: Option<SocketAddr>,
    /// Datagrams that the kernel has dropped here so far, in 32 bits.
    dropped: u32,
    /// Of these: not told yet.
    overflowed: u32,
}

/// Calls that may be refused for want of room before the packets are given back, and the wait before each.
const REFUSALS_MAX: u32 = 3;
const REFUSED_WAIT: Span = Span::from_millis(1);

/// The sockets.
#[derive(Debug)]
pub struct Udp {
    /// By port; those that were closed leave a place for others.
    sockets: Vec<Option<Door>>,
    outgoing: Outgoing,
    incoming: Incoming,
    order: Order,
    /// Trains have not been refused yet.
    trains: bool,
    /// A socket is for a server that is near.
    near: bool,
    /// Whether servers answer in trains.
    arrivals: Arrivals,
    /// Packets that the kernel had no room for, by port and ID, until they are asked for.
    refused: Vec<(Port, u16)>,
    counters: UdpCounters,
}

impl Arrivals {
    /// After a message of so many datagrams.
    fn after(self, datagrams: usize) -> Arrivals {
        match self {
            Arrivals::Watched(_) if datagrams > 1 => Arrivals::Trains,
            Arrivals::Watched(single) => Arrivals::Watched(TRAINLESS.min(single + 1)),
            known => known,
        }
    }
}

impl Udp {
    /// No sockets yet.
    #[expect(clippy::new_without_default, reason = "it allocates its buffers")]
    pub fn new() -> Udp {
        Udp {
            sockets: Vec::new(),
            outgoing: Outgoing::new(),
            incoming: Incoming::new(),
            order: Order::EMPTY,
            trains: true,
            near: false,
            arrivals: Arrivals::Watched(0),
            refused: Vec::new(),
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
            self.near |= is_near(like.ip());
            // Trains come from our own machine only, or from a device that gathers them. A kernel that cannot is no loss.
            if is_near(like.ip())
                && self.arrivals != Arrivals::Single
                && setsockopt(&socket, sockopt::UdpGroSegment, &true).is_ok()
            {
                self.incoming.widen();
            }
        }
        let free = self.sockets.iter().position(Option::is_none);
        let place = free.unwrap_or(self.sockets.len());
        let port = Port(u16::try_from(place).map_err(io::Error::other)?);
        let door = Door {
            socket,
            peer: connect.then_some(like),
            dropped: 0,
            overflowed: 0,
        };
        match free {
            Some(place) => self.sockets[place] = Some(door),
            None => self.sockets.push(Some(door)),
        }
        Ok(port)
    }

    /// Opens one more socket for a server if enough descriptors are left for others.
    ///
    /// # Errors
    /// If they are not, or as [`open`](Udp::open).
    pub fn open_spare(&mut self, to: SocketAddr) -> io::Result<Port> {
        let port = self.open(to, true)?;
        let descriptor = self.door(port).map_or(0, |door| door.socket.as_raw_fd());
        // Descriptors are given out from below: this one tells how many there are.
        let limit = getrlimit(Resource::RLIMIT_NOFILE).map_or(0, |(soft, _)| soft);
        if descriptor as u64 + DESCRIPTORS_LEFT >= limit {
            self.close(port);
            return Err(io::Error::from_raw_os_error(libc::EMFILE));
        }
        Ok(port)
    }

    /// Closes a port. What comes to it from now on is not seen.
    pub fn close(&mut self, port: Port) {
        if let Some(door) = self.sockets.get_mut(usize::from(port.0)) {
            *door = None;
        }
    }

    fn door(&self, port: Port) -> Option<&Door> {
        self.sockets.get(usize::from(port.0))?.as_ref()
    }

    /// Sends the cells, in runs of the same port; the order within a run is the transport's own.
    pub fn send(&mut self, cells: &[Transmit]) {
        for run in cells.chunk_by(|one, next| one.port == next.port) {
            for cells in run.chunks(BATCH) {
                self.send_run(cells);
            }
        }
    }

    fn send_run(&mut self, cells: &[Transmit]) {
        let Some(Some(Door { socket, peer, .. })) = self.sockets.get(usize::from(cells[0].port.0)) else {
            self.counters.unsent += cells.len() as u64; // nobody sends by a port that was closed
            return;
        };
        let mut trains = self.trains && peer.is_some() && cells.iter().any(|cell| cell.train > 1);
        self.order.lay(cells, trains);
        let (mut attempts, mut refusals) = (0, 0);
        while !self.order.rest().is_empty() {
            let run = Run {
                cells,
                order: self.order.rest(),
                connected: peer.is_some(),
                trains,
            };
            let error = match self.outgoing.send(socket.as_fd(), &run) {
                Ok(sent) => {
                    self.counters.in_trains += if trains { sent as u64 } else { 0 };
                    self.order.advance(sent);
                    refusals = 0;
                    continue;
                }
                Err(error) => error,
            };
            self.counters.errors += 1;
            match error.raw_os_error() {
                // A full queue gets a moment. What it has no room for then was never sent: it goes back.
                Some(libc::EAGAIN | libc::ENOBUFS | libc::ENOMEM) => {
                    refusals += 1;
                    if refusals > REFUSALS_MAX {
                        let rest = self.order.rest().iter().map(|place| &cells[usize::from(*place)]);
                        self.refused.extend(rest.map(|cell| (cell.port, cell.id())));
                        self.counters.refused += self.order.rest().len() as u64;
                        return;
                    }
                    // A queue of the device is not what a socket can be polled for.
                    match error.raw_os_error() {
                        Some(libc::EAGAIN) => {
                            wait(&mut [PollFd::new(socket.as_fd(), PollFlags::POLLOUT)], REFUSED_WAIT);
                        }
                        _ => std::thread::sleep(REFUSED_WAIT.into()),
                    }
                    continue;
                }
                // EIO: the device cannot; EINVAL, EMSGSIZE, EOPNOTSUPP: the kernel or the route cannot.
                Some(libc::EIO | libc::EINVAL | libc::EMSGSIZE | libc::EOPNOTSUPP) if trains => {
                    (trains, self.trains) = (false, false);
                }
                _ => (),
            }
            // The error may be an earlier packet's: then the next attempt goes through. After that the packet is lost, and
            // its successors have their own chance.
            attempts += 1;
            if attempts % 3 == 0 {
                self.order.advance(1);
                self.counters.unsent += 1;
            }
        }
    }

    /// The next packet that the kernel had no room for, by port and ID: it has not been sent.
    pub fn poll_refused(&mut self) -> Option<(Port, u16)> {
        self.refused.pop()
    }

    /// The next port whose buffer has overflowed, and how many datagrams were dropped there since this was asked last.
    pub fn poll_overflowed(&mut self) -> Option<(Port, u32)> {
        let mut doors = (self.sockets.iter_mut().enumerate()).filter_map(|(index, door)| Some((index, door.as_mut()?)));
        let (index, door) = doors.find(|(_, door)| door.overflowed > 0)?;
        Some((Port(index as u16), std::mem::take(&mut door.overflowed))) // `open` bounds it
    }

    /// Whether a server is so near that replies are worth gathering.
    pub fn gathers(&self) -> bool {
        self.near
    }

    /// Hands over the datagrams that have come; returns how many. Bounded, so that sending has its turn too.
    pub fn receive(&mut self, mut deliver: impl FnMut(Received<'_>)) -> usize {
        let mut total = 0;
        for (index, door) in self.sockets.iter_mut().enumerate() {
            let Some(door) = door else { continue };
            let port = Port(index as u16); // `open` bounds it
            let mut most = 0;
            for _ in 0..BATCHES_PER_TURN {
                let count = match self.incoming.receive(door.socket.as_fd(), door.peer.is_some()) {
                    Ok(count) => count,
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                    Err(_) => {
                        self.counters.errors += 1;
                        continue;
                    }
                };
                for message in 0..count {
                    let Some((from, datagrams)) = self.incoming.datagrams(message, door.peer) else {
                        continue;
                    };
                    self.arrivals = self.arrivals.after(datagrams.len());
                    for octets in datagrams {
                        deliver(Received { port, from, octets });
                        total += 1;
                    }
                }
                most = most.max(count);
                if count < BATCH {
                    break;
                }
            }
            // Who is not told of overflows learns of them by time-outs.
            let full = if self.arrivals == Arrivals::Trains { 1 } else { FULL };
            if most >= full
                && let Some(dropped) = dropped(door.socket.as_fd())
            {
                let more = dropped.wrapping_sub(std::mem::replace(&mut door.dropped, dropped));
                door.overflowed = door.overflowed.saturating_add(more);
                self.counters.overflowed += u64::from(more);
            }
        }
        if self.arrivals == Arrivals::Watched(TRAINLESS) {
            self.take_single();
        }
        total
    }

    fn take_single(&mut self) {
        self.arrivals = Arrivals::Single;
        for door in self.sockets.iter().flatten().filter(|door| door.peer.is_some()) {
            // A socket that never took trains is no worse for the refusal.
            let _ = setsockopt(&door.socket, sockopt::UdpGroSegment, &false);
        }
        self.incoming.narrow();
    }

    /// Waits until a datagram comes, one of `others` can be read, or the time is over.
    pub fn wait(&self, others: &[BorrowedFd<'_>], timeout: Span) {
        let sockets = self.sockets.iter().flatten().map(|door| door.socket.as_fd());
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

/// Whether nothing but our own machine or network is between us and an address: loopback, and private space (RFC 1918,
/// RFC 4193).
pub fn is_near(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_loopback() || address.is_private(),
        IpAddr::V6(address) => address.is_loopback() || address.is_unique_local(),
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
    fn a_train_comes_as_the_datagrams_it_is_made_of() {
        let echo = UdpSocket::bind("127.0.0.1:0").expect("loopback");
        let peer = echo.local_addr().expect("bound");
        let mut udp = Udp::new();
        let port = udp.open(peer, true).expect("a socket");
        let mut cells = vec![Transmit::empty(); BATCH];
        for (index, cell) in cells.iter_mut().enumerate() {
            (cell.port, cell.to, cell.train) = (port, peer, 16);
            cell.fill(|buffer| {
                buffer[0] = index as u8;
                40 + index % 3
            });
        }
        udp.send(&cells);
        let mut seen = [false; BATCH];
        let mut buffer = [0; 512];
        for _ in 0..BATCH {
            let (len, from) = echo.recv_from(&mut buffer).expect("a datagram");
            let index = usize::from(buffer[0]);
            assert_eq!(len, 40 + index % 3);
            assert!(!std::mem::replace(&mut seen[index], true), "each comes once");
            echo.send_to(&buffer[..len], from).expect("sent");
        }
        let trains = if udp.trains { BATCH as u64 } else { 0 }; // a kernel without them is none the worse
        assert_eq!(udp.counters().in_trains, trains);
        assert_eq!(udp.counters().unsent, 0);
        let mut back = 0;
        while back < BATCH {
            udp.wait(&[], Span::from_secs(5));
            back += udp.receive(|datagram| {
                assert_eq!(datagram.octets.len(), 40 + usize::from(datagram.octets[0]) % 3);
            });
        }
    }

    /// Who answers in trains is understood too, from the start and after many single datagrams: they are cut apart, here or
    /// by the kernel.
    #[test]
    fn trains_are_taken_apart() {
        for singles in [0, TRAINLESS as usize + 100] {
            let echo = UdpSocket::bind("127.0.0.1:0").expect("loopback");
            let mut there = Udp::new();
            let port = there.open(echo.local_addr().expect("bound"), true).expect("a socket");
            let address = |udp: &Udp| first(udp).local_addr().expect("bound");
            let here_at = address(&there).as_socket().expect("an IP address");
            assert!(!here_at.ip().is_unspecified());
            let mut here = Udp::new();
            let back = here.open(here_at, true).expect("a socket");
            let to = address(&here);
            first(&there).connect(&to).expect("loopback");
            let mut cells = vec![Transmit::empty(); 16];
            let mut exchange = |here: &mut Udp, train: u8| {
                for (index, cell) in cells.iter_mut().enumerate() {
                    (cell.port, cell.to, cell.train) = (port, to.as_socket().expect("an IP address"), train);
                    cell.fill(|buffer| {
                        buffer[..50].fill(index as u8);
                        50
                    });
                }
                there.send(&cells);
                let mut seen = Vec::new();
                while seen.len() < cells.len() {
                    here.wait(&[], Span::from_secs(5));
                    let before = seen.len();
                    here.receive(|datagram| {
                        assert_eq!(
                            (datagram.port, datagram.from, datagram.octets.len()),
                            (back, here_at, 50)
                        );
                        assert!(datagram.octets.iter().all(|octet| *octet == datagram.octets[0]));
                        seen.push(datagram.octets[0]);
                    });
                    assert!(seen.len() > before, "a datagram was lost on loopback");
                }
                assert_eq!(seen, (0..16).collect::<Vec<u8>>());
            };
            for _ in 0..singles.div_ceil(16) {
                exchange(&mut here, 1);
            }
            assert_eq!(here.arrivals == Arrivals::Single, singles > 0);
            exchange(&mut here, 16);
            assert_ne!(here.arrivals == Arrivals::Trains, singles > 0 || !there.trains);
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

    fn first(udp: &Udp) -> &Socket {
        &udp.door(Port(0)).expect("it is open").socket
    }

    fn to_refuse(errors: &[i32]) -> (Udp, UdpSocket, Vec<Transmit>) {
        let echo = UdpSocket::bind("127.0.0.1:0").expect("loopback");
        let peer = echo.local_addr().expect("bound");
        let mut udp = Udp::new();
        let port = udp.open(peer, true).expect("a socket");
        let mut cells = vec![Transmit::empty(); 10];
        for (index, cell) in cells.iter_mut().enumerate() {
            (cell.port, cell.to) = (port, peer);
            cell.fill(|buffer| {
                buffer[..2].copy_from_slice(&[0, index as u8]);
                2
            });
        }
        udp.outgoing.refusals.extend(errors);
        (udp, echo, cells)
    }

    #[test]
    fn a_short_want_of_room_is_waited_for_and_a_long_one_gives_the_packets_back() {
        let (mut udp, echo, cells) = to_refuse(&[libc::ENOBUFS, libc::EAGAIN, libc::ENOBUFS]);
        udp.send(&cells);
        let mut buffer = [0; 16];
        for index in 0..10 {
            assert_eq!(echo.recv(&mut buffer).expect("sent"), 2);
            assert_eq!(buffer[1], index);
        }
        assert_eq!((udp.counters().refused, udp.counters().unsent), (0, 0));
        assert_eq!(udp.poll_refused(), None);

        let (mut udp, echo, cells) = to_refuse(&[libc::ENOBUFS; 4]);
        udp.send(&cells);
        let mut back: Vec<u16> = std::iter::from_fn(|| udp.poll_refused()).map(|(_, id)| id).collect();
        back.sort_unstable();
        assert_eq!(back, (0..10).collect::<Vec<u16>>());
        assert_eq!((udp.counters().refused, udp.counters().unsent), (10, 0));
        echo.set_nonblocking(true).expect("a socket");
        assert!(echo.recv(&mut buffer).is_err(), "nothing was sent");
        udp.send(&cells);
        for _ in 0..10 {
            assert_eq!(echo.recv(&mut buffer).expect("sent"), 2);
        }
    }

    #[test]
    fn a_port_that_was_closed_leaves_its_place_to_the_next() {
        let echo = UdpSocket::bind("127.0.0.1:0").expect("loopback");
        let peer = echo.local_addr().expect("bound");
        let mut udp = Udp::new();
        let ports: Vec<Port> = (0..3).map(|_| udp.open_spare(peer).expect("a socket")).collect();
        let source = |udp: &Udp, port| udp.door(port).map(|door| door.socket.local_addr().expect("bound"));
        let before = source(&udp, ports[1]);
        udp.close(ports[1]);
        assert!(source(&udp, ports[1]).is_none());
        echo.send_to(&[1], before.and_then(|from| from.as_socket()).expect("an IP address"))
            .expect("sent");
        assert_eq!(udp.receive(|_| panic!("nobody listens there")), 0);
        assert_eq!(udp.open(peer, true).expect("a socket"), ports[1]);
        assert_eq!(udp.open(peer, true).expect("a socket"), Port(3));
        let mut cell = Transmit::empty();
        (cell.port, cell.to) = (ports[1], peer);
        cell.fill(|_| 1);
        udp.send(std::slice::from_ref(&cell));
        let (_, from) = echo.recv_from(&mut [0; 16]).expect("a datagram");
        assert_eq!(source(&udp, ports[1]).and_then(|at| at.as_socket()), Some(from));
    }

    #[test]
    fn a_buffer_that_overflows_is_told_of() {
        let echo = UdpSocket::bind("127.0.0.1:0").expect("loopback");
        let mut udp = Udp::new();
        let port = udp.open(echo.local_addr().expect("bound"), true).expect("a socket");
        let to = first(&udp)
            .local_addr()
            .expect("bound")
            .as_socket()
            .expect("an IP address");
        first(&udp).set_recv_buffer_size(4_096).expect("a smaller buffer");
        let mut taken = 0;
        for round in 0..2 {
            for _ in 0..200 {
                echo.send_to(&[0; 100], to).expect("sent");
            }
            assert_eq!(
                udp.poll_overflowed(),
                None,
                "it is told with what comes behind: round {round}"
            );
            taken += udp.receive(|_| ());
            echo.send_to(&[0; 100], to).expect("sent");
            udp.wait(&[], Span::from_secs(5));
            taken += udp.receive(|_| ());
            let (at, dropped) = udp.poll_overflowed().expect("an overflow");
            assert_eq!(at, port);
            assert!(dropped > 0 && dropped < 200);
            assert_eq!(udp.poll_overflowed(), None, "once");
        }
        assert_eq!(taken as u64 + udp.counters().overflowed, 402);
    }
}
