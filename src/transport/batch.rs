//! Many datagrams a system call: `sendmmsg` and `recvmmsg` over buffers that are allocated once (Linux); one a call elsewhere.
//!
//! Trains (UDP GSO) go out as one message, with the size of its datagrams in a control message; trains that come in (UDP GRO)
//! come as one message with that size beside it, and are cut apart here.
//!
//! Written against libc because the safe wrappers at hand either build new headers for every call or do not reset the
//! address length between receives. All unsafe code of the project is here.

#![allow(unsafe_code)]

use std::io;
use std::mem;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsRawFd, BorrowedFd};

use crate::datagram::{BATCH, QUERY_OCTETS_MAX, REPLY_OCTETS_MAX, Transmit};

use super::train::train_len;

/// Largest message that comes in where trains do: as much as UDP can carry. The octets behind it keep the cells from
/// falling on the same lines of the processor's cache; pages that nothing comes to are never touched.
const TRAIN_CELL_OCTETS: usize = 65_536 + 64;

/// Room for one control message: 24 octets; aligned as its header wants.
#[derive(Clone, Copy)]
#[repr(C, align(8))]
struct Control([u8; CONTROL_OCTETS]);

const CONTROL_OCTETS: usize = 24;

/// Datagrams of one socket that are to be sent.
pub(super) struct Run<'a> {
    /// The cells.
    pub(super) cells: &'a [Transmit],
    /// The places of those to be sent, in order.
    pub(super) order: &'a [u8],
    /// The socket is connected: no addresses.
    pub(super) connected: bool,
    /// Trains may be laid.
    pub(super) trains: bool,
}

/// Header structures for sending, and room for the trains of a run: a train that lies in one piece is one vector, and costs
/// less than the kernel's way through as many vectors as it has datagrams.
pub(super) struct Outgoing {
    headers: Box<[libc::mmsghdr]>,
    vectors: Box<[libc::iovec]>,
    addresses: Box<[libc::sockaddr_storage]>,
    controls: Box<[Control]>,
    octets: Box<[u8]>,
    /// Datagrams of each message.
    trains: [u8; BATCH],
    /// Errors that come in place of the next calls.
    #[cfg(test)]
    pub(super) refusals: std::collections::VecDeque<i32>,
}

/// Header structures for receiving, and room for [`BATCH`] messages. The headers point to the other parts from the start:
/// a call costs what it brings, not what it could have brought.
pub(super) struct Incoming {
    headers: Box<[libc::mmsghdr]>,
    vectors: Box<[libc::iovec]>,
    addresses: Box<[libc::sockaddr_storage]>,
    controls: Box<[Control]>,
    octets: Box<[u8]>,
    /// Octets of one cell.
    cell: usize,
    /// Headers that the last call has written to: they are to be armed anew.
    used: usize,
    /// The headers are armed for a socket that is connected: no addresses.
    connected: bool,
}

// SAFETY: the raw pointers in `headers` and `vectors` are set anew before every system call, from the owned boxes or
// from the caller's borrow, and are not read outside that call: no other thread's data is ever reached through them.
unsafe impl Send for Outgoing {}

// SAFETY: the raw pointers in `headers` and `vectors` point into the owned boxes, which stay where they are when the owner
// moves; they are followed only by the kernel during a call with an exclusive borrow of the owner, and by `train_of`
// during a shared one.
unsafe impl Send for Incoming {}

impl std::fmt::Debug for Outgoing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Outgoing")
    }
}

impl std::fmt::Debug for Incoming {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Incoming")
    }
}

type Headers = (
    Box<[libc::mmsghdr]>,
    Box<[libc::iovec]>,
    Box<[libc::sockaddr_storage]>,
    Box<[Control]>,
);

fn headers() -> Headers {
    // SAFETY: all three are plain C structures for which all-zero octets are a valid value (null pointers, length 0).
    let (header, vector, address) = unsafe { (mem::zeroed(), mem::zeroed(), mem::zeroed()) };
    (
        vec![header; BATCH].into_boxed_slice(),
        vec![vector; BATCH].into_boxed_slice(),
        vec![address; BATCH].into_boxed_slice(),
        vec![Control([0; CONTROL_OCTETS]); BATCH].into_boxed_slice(),
    )
}

impl Outgoing {
    pub(super) fn new() -> Outgoing {
        let (headers, vectors, addresses, controls) = headers();
        Outgoing {
            headers,
            vectors,
            addresses,
            controls,
            octets: vec![0; BATCH * QUERY_OCTETS_MAX].into_boxed_slice(),
            trains: [0; BATCH],
            #[cfg(test)]
            refusals: Default::default(),
        }
    }

    /// Sends as many of a run's datagrams as the kernel takes; returns how many.
    ///
    /// # Errors
    /// If the first one, or the first train, could not be sent.
    pub(super) fn send(&mut self, socket: BorrowedFd<'_>, run: &Run<'_>) -> io::Result<usize> {
        #[cfg(test)]
        if let Some(error) = self.refusals.pop_front() {
            return Err(io::Error::from_raw_os_error(error));
        }
        let order = &run.order[..run.order.len().min(BATCH)];
        let (mut messages, mut placed, mut room) = (0, 0, &mut self.octets[..]);
        while placed < order.len() {
            let train = train_len(run.cells, &order[placed..], run.trains);
            let first = &run.cells[usize::from(order[placed])];
            let mut octets = first.octets();
            if train > 1 {
                let size = octets.len();
                let (taken, rest) = room.split_at_mut(train * size);
                for (place, octets) in order[placed..placed + train]
                    .iter()
                    .zip(taken.chunks_exact_mut(size.max(1)))
                {
                    octets.copy_from_slice(run.cells[usize::from(*place)].octets());
                }
                (octets, room) = (taken, rest);
            }
            self.vectors[messages] = libc::iovec {
                iov_base: octets.as_ptr().cast_mut().cast(),
                iov_len: octets.len(),
            };
            self.trains[messages] = train as u8; // BATCH at most
            let header = &mut self.headers[messages].msg_hdr;
            header.msg_iov = &raw mut self.vectors[messages];
            header.msg_iovlen = 1;
            header.msg_control = std::ptr::null_mut();
            header.msg_controllen = 0;
            if run.connected {
                header.msg_name = std::ptr::null_mut();
                header.msg_namelen = 0;
            } else {
                header.msg_namelen = write_address(&mut self.addresses[messages], first.to);
                header.msg_name = (&raw mut self.addresses[messages]).cast();
            }
            if train > 1 {
                write_train(header, &mut self.controls[messages], first.octets().len());
            }
            messages += 1;
            placed += train;
        }
        // SAFETY: the first `messages` headers were just filled with pointers to `self.vectors`, `self.addresses`,
        // `self.controls` and (through the vectors) to `self.octets` and the run's cells, all of which live and stay in
        // place until the call returns; each header has one vector of its own; the kernel does not write through them (but
        // for `msg_len`, which is ours).
        let sent = unsafe {
            libc::sendmmsg(
                socket.as_raw_fd(),
                self.headers.as_mut_ptr(),
                messages as libc::c_uint,
                libc::MSG_DONTWAIT,
            )
        };
        let sent = usize::try_from(sent).map_err(|_| io::Error::last_os_error())?;
        let sent = &self.trains[..sent.min(messages)];
        Ok(sent.iter().copied().map(usize::from).sum())
    }
}

impl Incoming {
    pub(super) fn new() -> Incoming {
        let (headers, vectors, addresses, controls) = headers();
        let mut incoming = Incoming {
            headers,
            vectors,
            addresses,
            controls,
            octets: Box::default(),
            cell: 0,
            used: 0,
            connected: false,
        };
        incoming.resize(REPLY_OCTETS_MAX);
        incoming
    }

    /// Makes room for trains that come in: 4 MiB of addresses, of which little is ever touched.
    pub(super) fn widen(&mut self) {
        self.resize(TRAIN_CELL_OCTETS);
    }

    /// Makes room for single datagrams again: on fewer pages and lines of the processor's caches.
    pub(super) fn narrow(&mut self) {
        self.resize(REPLY_OCTETS_MAX);
    }

    fn resize(&mut self, cell: usize) {
        if self.cell == cell {
            return;
        }
        self.cell = cell;
        self.octets = vec![0; BATCH * cell].into_boxed_slice();
        for (vector, octets) in self.vectors.iter_mut().zip(self.octets.chunks_exact_mut(cell)) {
            *vector = libc::iovec {
                iov_base: octets.as_mut_ptr().cast(),
                iov_len: cell,
            };
        }
        self.arm(BATCH);
    }

    /// Makes the first headers ready for a call.
    fn arm(&mut self, count: usize) {
        for index in 0..count {
            let header = &mut self.headers[index].msg_hdr;
            header.msg_iov = &raw mut self.vectors[index];
            header.msg_iovlen = 1;
            (header.msg_control, header.msg_controllen) = match self.cell {
                TRAIN_CELL_OCTETS => ((&raw mut self.controls[index]).cast(), mem::size_of::<Control>() as _),
                _ => (std::ptr::null_mut(), 0),
            };
            (header.msg_name, header.msg_namelen) = match self.connected {
                true => (std::ptr::null_mut(), 0),
                false => (
                    (&raw mut self.addresses[index]).cast(),
                    mem::size_of::<libc::sockaddr_storage>() as libc::socklen_t,
                ),
            };
        }
    }

    /// Takes up to [`BATCH`] messages that are there, without waiting; returns how many. From a socket that is connected
    /// come no addresses: the kernel lets its peer's datagrams in only.
    ///
    /// # Errors
    /// `WouldBlock` if there is none, or an error that the socket had pending.
    pub(super) fn receive(&mut self, socket: BorrowedFd<'_>, connected: bool) -> io::Result<usize> {
        let stale = if self.connected == connected { self.used } else { BATCH };
        self.connected = connected;
        self.arm(stale);
        self.used = 0;
        // SAFETY: all `BATCH` headers point to buffers, addresses and controls that `self` owns (set by `resize` and `arm`,
        // and anew whenever those are made anew), with their true lengths; the exclusive borrow of `self` keeps everybody
        // else away until the call returns.
        let received = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                self.headers.as_mut_ptr(),
                BATCH as libc::c_uint,
                libc::MSG_DONTWAIT,
                std::ptr::null_mut(),
            )
        };
        let received = usize::try_from(received).map_err(|_| {
            self.used = BATCH; // what a failed call has written to is not known
            io::Error::last_os_error()
        })?;
        self.used = BATCH.min(received + 1); // the one that ended the call may have been touched
        Ok(received)
    }

    /// The datagrams of a message of the last [`receive`](Incoming::receive), with their sender (of a socket that is
    /// connected: its `peer`); none if the sender is not an IP address. What is longer than [`REPLY_OCTETS_MAX`] is cut.
    pub(super) fn datagrams(
        &self,
        index: usize,
        peer: Option<SocketAddr>,
    ) -> Option<(SocketAddr, impl ExactSizeIterator<Item = &[u8]>)> {
        let from = peer.or_else(|| read_address(&self.addresses[index]))?;
        let header = &self.headers[index];
        let len = (header.msg_len as usize).min(self.cell);
        let size = train_of(&header.msg_hdr).unwrap_or(len).max(1);
        let octets = &self.octets[index * self.cell..index * self.cell + len];
        let count = len.div_ceil(size).max(1); // an empty datagram is one too
        let datagrams = (0..count).map(move |at| &octets[at * size..len.min((at + 1) * size)]);
        Some((
            from,
            datagrams.map(|datagram| &datagram[..datagram.len().min(REPLY_OCTETS_MAX)]),
        ))
    }
}

/// Says in a message's control data that its octets are datagrams of `size` octets.
fn write_train(header: &mut libc::msghdr, control: &mut Control, size: usize) {
    let size = size as u16; // a query has 282 octets at most
    header.msg_control = (&raw mut *control).cast();
    // SAFETY: the control data points to the aligned octets of `control`, which is what a header and a `u16` take
    // (24) and more; so `CMSG_FIRSTHDR` gives a pointer into it, and the data behind that header is inside it too.
    unsafe {
        header.msg_controllen = libc::CMSG_SPACE(mem::size_of::<u16>() as libc::c_uint) as _;
        let message = libc::CMSG_FIRSTHDR(header);
        (*message).cmsg_level = libc::SOL_UDP;
        (*message).cmsg_type = libc::UDP_SEGMENT;
        (*message).cmsg_len = libc::CMSG_LEN(mem::size_of::<u16>() as libc::c_uint) as _;
        libc::CMSG_DATA(message).cast::<u16>().write_unaligned(size);
    }
}

/// The size of the datagrams that a message which came in is a train of, if it is one.
fn train_of(header: &libc::msghdr) -> Option<usize> {
    // SAFETY: after a receive, the header's control data is `msg_controllen` octets, written by the kernel, of one of our
    // own controls (zero if there is none: then the first header is null); both calls return a header inside it or null,
    // and nothing writes there while `header` is borrowed.
    let first = unsafe { libc::CMSG_FIRSTHDR(header).as_ref() };
    let mut messages = std::iter::successors(first, |message| {
        // SAFETY: as above.
        unsafe { libc::CMSG_NXTHDR(header, *message).as_ref() }
    });
    let message = messages.find(|message| (message.cmsg_level, message.cmsg_type) == (libc::SOL_UDP, libc::UDP_GRO))?;
    // SAFETY: the data of a message of this type is an `int`.
    let size = unsafe { libc::CMSG_DATA(message).cast::<libc::c_int>().read_unaligned() };
    usize::try_from(size).ok().filter(|size| *size > 0)
}

/// How many datagrams for a socket the kernel has dropped so far, mostly for want of room, in 32 bits; none if it does not say.
/// (It can also say so beside each message, which costs more than to ask now and then.)
pub(super) fn dropped(socket: BorrowedFd<'_>) -> Option<u32> {
    let mut info = [0u32; libc::SK_MEMINFO_DROPS as usize + 1];
    let mut len = mem::size_of_val(&info) as libc::socklen_t;
    // SAFETY: the kernel writes no more than `len` octets to `info`, which lives until the call returns, and the number of
    // those that it wrote to `len`.
    let failed = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_MEMINFO,
            (&raw mut info).cast(),
            &raw mut len,
        )
    };
    let told = failed == 0 && len as usize == mem::size_of_val(&info);
    told.then_some(info[libc::SK_MEMINFO_DROPS as usize])
}

/// Writes an address and returns its length.
fn write_address(storage: &mut libc::sockaddr_storage, address: SocketAddr) -> libc::socklen_t {
    match address {
        SocketAddr::V4(v4) => {
            let raw = libc::sockaddr_in {
                sin_family: libc::AF_INET as libc::sa_family_t,
                sin_port: v4.port().to_be(),
                sin_addr: libc::in_addr {
                    s_addr: u32::from_ne_bytes(v4.ip().octets()),
                },
                sin_zero: [0; 8],
            };
            // SAFETY: `sockaddr_storage` is at least as large as, and aligned for, every socket address.
            unsafe { (&raw mut *storage).cast::<libc::sockaddr_in>().write(raw) };
            mem::size_of::<libc::sockaddr_in>() as libc::socklen_t
        }
        SocketAddr::V6(v6) => {
            let raw = libc::sockaddr_in6 {
                sin6_family: libc::AF_INET6 as libc::sa_family_t,
                sin6_port: v6.port().to_be(),
                sin6_flowinfo: v6.flowinfo(),
                sin6_addr: libc::in6_addr {
                    s6_addr: v6.ip().octets(),
                },
                sin6_scope_id: v6.scope_id(),
            };
            // SAFETY: as above.
            unsafe { (&raw mut *storage).cast::<libc::sockaddr_in6>().write(raw) };
            mem::size_of::<libc::sockaddr_in6>() as libc::socklen_t
        }
    }
}

fn read_address(storage: &libc::sockaddr_storage) -> Option<SocketAddr> {
    match libc::c_int::from(storage.ss_family) {
        libc::AF_INET => {
            // SAFETY: the family says that the kernel wrote a `sockaddr_in` here; size and alignment as above.
            let raw = unsafe { (&raw const *storage).cast::<libc::sockaddr_in>().read() };
            let ip = Ipv4Addr::from(raw.sin_addr.s_addr.to_ne_bytes());
            Some(SocketAddrV4::new(ip, u16::from_be(raw.sin_port)).into())
        }
        libc::AF_INET6 => {
            // SAFETY: as above, for a `sockaddr_in6`.
            let raw = unsafe { (&raw const *storage).cast::<libc::sockaddr_in6>().read() };
            let ip = Ipv6Addr::from(raw.sin6_addr.s6_addr);
            Some(SocketAddrV6::new(ip, u16::from_be(raw.sin6_port), raw.sin6_flowinfo, raw.sin6_scope_id).into())
        }
        _ => None,
    }
}
