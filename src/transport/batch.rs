//! Many datagrams a system call: `sendmmsg` and `recvmmsg` over buffers that are allocated once (Linux); one a call elsewhere.
//!
//! Written against libc because the safe wrappers at hand either build new headers for every call or do not reset the
//! address length between receives. All unsafe code of the project is here.

#![allow(unsafe_code)]

use std::io;
use std::mem;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsRawFd, BorrowedFd};

use crate::datagram::{BATCH, REPLY_OCTETS_MAX, Transmit};

/// Header structures for sending and receiving, and room for [`BATCH`] datagrams that come in.
pub(super) struct Buffers {
    headers: Box<[libc::mmsghdr]>,
    vectors: Box<[libc::iovec]>,
    addresses: Box<[libc::sockaddr_storage]>,
    octets: Box<[[u8; REPLY_OCTETS_MAX]]>,
}

// SAFETY: the raw pointers in `headers` and `vectors` are set anew before every system call, from the owned boxes or
// from the caller's borrow, and are not read outside that call: no other thread's data is ever reached through them.
unsafe impl Send for Buffers {}

impl std::fmt::Debug for Buffers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Buffers")
    }
}

impl Buffers {
    pub(super) fn new() -> Buffers {
        // SAFETY: all three are plain C structures for which all-zero octets are a valid value (null pointers, length 0).
        let (header, vector, address) = unsafe { (mem::zeroed(), mem::zeroed(), mem::zeroed()) };
        Buffers {
            headers: vec![header; BATCH].into_boxed_slice(),
            vectors: vec![vector; BATCH].into_boxed_slice(),
            addresses: vec![address; BATCH].into_boxed_slice(),
            octets: vec![[0; REPLY_OCTETS_MAX]; BATCH].into_boxed_slice(),
        }
    }

    /// Sends as many of the first [`BATCH`] datagrams as the kernel takes; `connected` sockets get no address.
    ///
    /// # Errors
    /// If the first one could not be sent.
    pub(super) fn send(&mut self, socket: BorrowedFd<'_>, cells: &[Transmit], connected: bool) -> io::Result<usize> {
        let count = cells.len().min(BATCH);
        for (index, cell) in cells[..count].iter().enumerate() {
            let octets = cell.octets();
            self.vectors[index] = libc::iovec {
                iov_base: octets.as_ptr().cast_mut().cast(),
                iov_len: octets.len(),
            };
            let header = &mut self.headers[index].msg_hdr;
            header.msg_iov = &raw mut self.vectors[index];
            header.msg_iovlen = 1;
            header.msg_control = std::ptr::null_mut();
            header.msg_controllen = 0;
            if connected {
                header.msg_name = std::ptr::null_mut();
                header.msg_namelen = 0;
            } else {
                header.msg_namelen = write_address(&mut self.addresses[index], cell.to);
                header.msg_name = (&raw mut self.addresses[index]).cast();
            }
        }
        // SAFETY: the first `count` headers were just filled with pointers to `self.vectors`, `self.addresses` and to
        // `cells`, all of which live and stay in place until the call returns; the kernel does not write through them
        // (but for `msg_len`, which is ours).
        let sent = unsafe {
            libc::sendmmsg(
                socket.as_raw_fd(),
                self.headers.as_mut_ptr(),
                count as libc::c_uint,
                libc::MSG_DONTWAIT,
            )
        };
        usize::try_from(sent).map_err(|_| io::Error::last_os_error())
    }

    /// Takes up to [`BATCH`] datagrams that are there, without waiting; returns how many.
    ///
    /// # Errors
    /// `WouldBlock` if there is none, or an error that the socket had pending.
    pub(super) fn receive(&mut self, socket: BorrowedFd<'_>) -> io::Result<usize> {
        for index in 0..BATCH {
            self.vectors[index] = libc::iovec {
                iov_base: self.octets[index].as_mut_ptr().cast(),
                iov_len: REPLY_OCTETS_MAX,
            };
            let header = &mut self.headers[index].msg_hdr;
            header.msg_iov = &raw mut self.vectors[index];
            header.msg_iovlen = 1;
            header.msg_control = std::ptr::null_mut();
            header.msg_controllen = 0;
            header.msg_name = (&raw mut self.addresses[index]).cast();
            header.msg_namelen = mem::size_of::<libc::sockaddr_storage>() as libc::socklen_t;
        }
        // SAFETY: all `BATCH` headers point to buffers and addresses that `self` owns, with their true lengths; the
        // exclusive borrow of `self` keeps everybody else away until the call returns.
        let received = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                self.headers.as_mut_ptr(),
                BATCH as libc::c_uint,
                libc::MSG_DONTWAIT,
                std::ptr::null_mut(),
            )
        };
        usize::try_from(received).map_err(|_| io::Error::last_os_error())
    }

    /// A datagram of the last [`receive`](Buffers::receive), with its sender; none if the sender is not an IP address.
    pub(super) fn datagram(&self, index: usize) -> Option<(SocketAddr, &[u8])> {
        let from = read_address(&self.addresses[index])?;
        let len = (self.headers[index].msg_len as usize).min(REPLY_OCTETS_MAX);
        Some((from, &self.octets[index][..len]))
    }
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
