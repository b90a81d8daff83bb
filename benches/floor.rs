//! The bare packet loop: what the kernel charges for a query and its reply when nothing else is done. The floor that whole
//! scans are measured against, and three responders.
//!
//! ```text
//! floor                         a short measurement against a responder of its own (what `cargo bench` runs)
//! floor serve ADDR:PORT [PCT]   answer every query: NXDOMAIN, or 127.0.0.2 for the test entry and for PCT per cent (0, 10)
//! floor serve ADDR:PORT quickly the same (0), more cheaply
//! floor serve ADDR:PORT at DEV  the same (0), all but the test entry in the place of the device's driver (see driver.rs; root)
//! floor loop ADDR:PORT COUNT    ask COUNT times, 64 a call, 2,000 in flight; prints queries, seconds and CPU
//! ```
//!
//! A responder reads no more of a query than a few octets, answers in batches of 64, and sends no trains (UDP GSO), so
//! that programs with and without them are measured alike. The first pays the kernel as much for a query as the loop does, and so
//! limits a client that pays less; the quick one takes trains in one piece (`UDP_GRO`), and answers through a socket for each
//! client; the third makes a reply before the kernel makes a packet. The loop composes nothing: it writes an ID into a prepared
//! query, and looks at nothing in the reply.

#![allow(
    unsafe_code,
    reason = "the floor is the system calls themselves, without a wrapper that builds headers anew"
)]

#[path = "floor/driver.rs"]
mod driver;

use std::io::{self, Write};
use std::mem;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

const BATCH: usize = 64;
const CELL: usize = 512;
/// A train of 64 queries of 128 octets has room; a longer one would be cut.
const CELL_TRAIN: usize = 8_192;
/// Clients that have a socket of their own at a time: more than one run of any program has.
const CLIENTS_MAX: usize = 8;
const WINDOW: usize = 2_000;

/// Silence after which what is out counts as lost.
const SILENCE: Duration = Duration::from_millis(200);

/// Octets of the test entry's query behind the header: 2.0.0.127.
const TEST_ENTRY: &[u8] = b"\x012\x010\x010\x03127";

/// Headers, vectors, addresses and cells of one batch. Made once; nothing moves, so that the pointers stay good.
struct Batch<const SIZE: usize> {
    headers: Vec<libc::mmsghdr>,
    vectors: Vec<libc::iovec>,
    addresses: Vec<libc::sockaddr_storage>,
    /// What the kernel says of a train: the length of its queries.
    controls: Vec<[u64; 8]>,
    cells: Vec<[u8; SIZE]>,
}

impl<const SIZE: usize> Batch<SIZE> {
    fn new(addressed: bool) -> Batch<SIZE> {
        let mut cells = vec![[0u8; SIZE]; BATCH];
        // SAFETY: plain C structures for which zero octets are a valid value.
        let (header, address) = unsafe { (mem::zeroed::<libc::mmsghdr>(), mem::zeroed::<libc::sockaddr_storage>()) };
        let mut addresses = vec![address; BATCH];
        let mut headers = vec![header; BATCH];
        let mut vectors: Vec<libc::iovec> = cells
            .iter_mut()
            .map(|cell| libc::iovec {
                iov_base: cell.as_mut_ptr().cast(),
                iov_len: SIZE,
            })
            .collect();
        for ((header, vector), address) in headers.iter_mut().zip(&mut vectors).zip(&mut addresses) {
            header.msg_hdr.msg_iov = vector;
            header.msg_hdr.msg_iovlen = 1;
            if addressed {
                header.msg_hdr.msg_name = (&raw mut *address).cast();
                header.msg_hdr.msg_namelen = mem::size_of::<libc::sockaddr_storage>() as libc::socklen_t;
            }
        }
        Batch {
            headers,
            vectors,
            addresses,
            controls: vec![[0; 8]; BATCH],
            cells,
        }
    }

    fn set_len(&mut self, index: usize, len: usize) {
        self.vectors[index].iov_len = len;
    }

    fn receive(&mut self, socket: &UdpSocket, flags: libc::c_int) -> usize {
        for index in 0..BATCH {
            self.set_len(index, SIZE);
        }
        let fd = socket.as_raw_fd();
        // SAFETY: all headers point to vectors, addresses and cells of `self`, which live and do not move.
        let count = unsafe { libc::recvmmsg(fd, self.headers.as_mut_ptr(), BATCH as u32, flags, std::ptr::null_mut()) };
        usize::try_from(count).unwrap_or(0)
    }

    fn send(&mut self, socket: &UdpSocket, count: usize) {
        let mut from = 0;
        while from < count {
            let rest = (count - from) as u32;
            // SAFETY: as above; the kernel reads `rest` headers from the one at `from`.
            let sent = unsafe { libc::sendmmsg(socket.as_raw_fd(), self.headers[from..].as_mut_ptr(), rest, 0) };
            from += usize::try_from(sent).unwrap_or(1).max(1); // one that cannot be sent is left out
        }
    }
}

fn main() -> io::Result<()> {
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|argument| argument != "--bench")
        .collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let address = |text: &str| text.parse::<SocketAddr>().map_err(io::Error::other);
    match words[..] {
        ["serve", to] => serve(&UdpSocket::bind(address(to)?)?, 0),
        ["serve", to, "10"] => serve(&UdpSocket::bind(address(to)?)?, 10),
        ["serve", to, "quickly"] => serve_quickly(address(to)?),
        ["serve", to, "at", device] => {
            let _attached = driver::answer_at(device, address(to)?)?;
            serve(&UdpSocket::bind(address(to)?)?, 0)
        }
        ["loop", to, count] => ask(address(to)?, count.parse().map_err(io::Error::other)?),
        _ => {
            let socket = UdpSocket::bind("127.0.0.1:0")?;
            let to = socket.local_addr()?;
            std::thread::spawn(move || serve(&socket, 0));
            ask(to, 1_000_000)
        }
    }
}

fn large_buffers(socket: &UdpSocket) {
    let socket = socket2::SockRef::from(socket);
    let _ = socket.set_recv_buffer_size(4 << 20);
    let _ = socket.set_send_buffer_size(4 << 20);
}

/// Answers for ever.
fn serve(socket: &UdpSocket, listed_percent: u32) -> io::Result<()> {
    large_buffers(socket);
    let mut batch = Batch::<CELL>::new(true);
    loop {
        let count = batch.receive(socket, libc::MSG_WAITFORONE);
        for index in 0..count {
            let len = batch.headers[index].msg_len as usize;
            let len = answer(&mut batch.cells[index], len, listed_percent);
            batch.set_len(index, len);
        }
        batch.send(socket, count);
        for header in &mut batch.headers {
            header.msg_hdr.msg_namelen = mem::size_of::<libc::sockaddr_storage>() as libc::socklen_t;
        }
    }
}

/// Answers for ever, at less cost: queries that travelled in a train are taken in one piece, and a client is answered, one
/// datagram for each reply, through a socket connected to it, for which the kernel need not look up a route each time.
fn serve_quickly(own: SocketAddr) -> io::Result<()> {
    let mut sockets = vec![(socket_for_trains(own)?, None)];
    let (mut trains, mut replies) = (Batch::<CELL_TRAIN>::new(true), Batch::<CELL>::new(true));
    loop {
        let poll = |(socket, _): &(UdpSocket, Option<SocketAddr>)| libc::pollfd {
            fd: socket.as_raw_fd(),
            events: libc::POLLIN,
            revents: 0,
        };
        let mut polled: Vec<libc::pollfd> = sockets.iter().map(poll).collect();
        // SAFETY: the kernel reads and writes as many structures as there are.
        unsafe { libc::poll(polled.as_mut_ptr(), polled.len() as libc::nfds_t, -1) };
        let mut client = None;
        for ((socket, peer), poll) in sockets.iter().zip(&polled) {
            if poll.revents != 0 {
                let last = respond(socket, peer.is_some(), &mut trains, &mut replies);
                client = client.or(last.filter(|_| peer.is_none()));
            }
        }
        if let Some(client) = client {
            let socket = socket_for_trains(own)?;
            socket.connect(client)?;
            sockets.truncate(CLIENTS_MAX); // the one that was heard of longest ago is left to the first socket
            sockets.insert(1, (socket, Some(client)));
        }
    }
}

fn socket_for_trains(own: SocketAddr) -> io::Result<UdpSocket> {
    let socket = socket2::Socket::new(socket2::Domain::for_address(own), socket2::Type::DGRAM, None)?;
    socket.set_reuse_port(true)?;
    socket.bind(&own.into())?;
    let on: libc::c_int = 1;
    // SAFETY: the kernel reads one integer of the size that is given.
    let done = unsafe {
        let size = mem::size_of_val(&on) as libc::socklen_t;
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_UDP,
            libc::UDP_GRO,
            (&raw const on).cast(),
            size,
        )
    };
    if done != 0 {
        return Err(io::Error::last_os_error());
    }
    let socket = UdpSocket::from(socket);
    large_buffers(&socket);
    Ok(socket)
}

/// Answers what a socket has, and returns whom it answered last.
fn respond(
    socket: &UdpSocket,
    is_connected: bool,
    trains: &mut Batch<CELL_TRAIN>,
    replies: &mut Batch<CELL>,
) -> Option<SocketAddr> {
    let address_size = mem::size_of::<libc::sockaddr_storage>() as libc::socklen_t;
    for (header, control) in trains.headers.iter_mut().zip(&mut trains.controls) {
        header.msg_hdr.msg_namelen = address_size;
        header.msg_hdr.msg_control = control.as_mut_ptr().cast();
        header.msg_hdr.msg_controllen = mem::size_of_val(control);
    }
    let count = trains.receive(socket, libc::MSG_DONTWAIT);
    let mut filled = 0;
    for index in 0..count {
        let header = &trains.headers[index];
        let len = header.msg_len as usize;
        for query in trains.cells[index][..len].chunks(segment(&header.msg_hdr).unwrap_or(CELL)) {
            replies.cells[filled][..query.len()].copy_from_slice(query);
            replies.addresses[filled] = trains.addresses[index];
            replies.headers[filled].msg_hdr.msg_namelen = if is_connected { 0 } else { header.msg_hdr.msg_namelen };
            let len = answer(&mut replies.cells[filled], query.len(), 0);
            replies.set_len(filled, len);
            filled += 1;
            if filled == BATCH {
                replies.send(socket, mem::take(&mut filled));
            }
        }
    }
    replies.send(socket, filled);
    let last = trains.addresses[count.checked_sub(1)?];
    // SAFETY: the kernel has filled the address, of a family that `socket2` knows.
    unsafe {
        socket2::SockAddr::new(
            mem::transmute::<libc::sockaddr_storage, socket2::SockAddrStorage>(last),
            address_size,
        )
    }
    .as_socket()
}

/// The length of each query but the last of a train; none for a query that came alone.
fn segment(header: &libc::msghdr) -> Option<usize> {
    // SAFETY: the header and its control octets were filled by the kernel, and the macros stay within `msg_controllen`.
    unsafe {
        let mut at = libc::CMSG_FIRSTHDR(header);
        while let Some(control) = at.as_ref() {
            if (control.cmsg_level, control.cmsg_type) == (libc::SOL_UDP, libc::UDP_GRO) {
                let size = libc::CMSG_DATA(at).cast::<libc::c_int>().read_unaligned();
                return usize::try_from(size).ok().filter(|size| (1..=CELL).contains(size));
            }
            at = libc::CMSG_NXTHDR(header, at);
        }
    }
    None
}

/// Makes a reply of a query: its length.
fn answer(cell: &mut [u8; CELL], len: usize, listed_percent: u32) -> usize {
    let listed = cell[12..].starts_with(TEST_ENTRY) || (listed_percent > 0 && ends_in_seven(cell));
    (cell[2], cell[3]) = (cell[2] | 0x84, if listed { 0 } else { 3 });
    if listed { list(cell, len) } else { len }
}

/// Whether the last digit of the address is a 7, which is so for one in ten.
fn ends_in_seven(cell: &[u8; CELL]) -> bool {
    let first = usize::from(cell[12]);
    (1..=3).contains(&first) && cell[12 + first] == b'7'
}

/// Makes the reply a listing: 127.0.0.2 in place of what was behind the question.
fn list(cell: &mut [u8; CELL], len: usize) -> usize {
    let mut at = 12;
    while at < len && cell[at] != 0 {
        at += 1 + usize::from(cell[at]);
    }
    let end = (at + 5).min(CELL - 16);
    (cell[7], cell[11]) = (1, 0);
    cell[end..end + 16].copy_from_slice(&[0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 127, 0, 0, 2]);
    end + 16
}

/// Asks `count` times and prints what that took.
fn ask(to: SocketAddr, count: usize) -> io::Result<()> {
    let socket = UdpSocket::bind(if to.is_ipv4() { "127.0.0.1:0" } else { "[::1]:0" })?;
    socket.connect(to)?;
    socket.set_read_timeout(Some(SILENCE))?;
    large_buffers(&socket);
    let (mut outgoing, mut incoming) = (Batch::<CELL>::new(false), Batch::<CELL>::new(false));
    let query = b"\0\0\x01\0\0\x01\0\0\0\0\0\x01\x0277\x0207\x02100\x03198\x02bl\x05bench\x04test\0\0\x01\0\x01\0\0\x29\x04\xd0\0\0\0\0\0\0";
    for index in 0..BATCH {
        outgoing.cells[index][..query.len()].copy_from_slice(query);
        outgoing.set_len(index, query.len());
    }
    let (started, cpu) = (Instant::now(), cpu());
    let (mut sent, mut answered, mut lost) = (0usize, 0usize, 0usize);
    while answered < count {
        let room = (WINDOW + answered + lost).saturating_sub(sent);
        let due = room.min(count + lost - sent).min(BATCH);
        // As a program would that has more to do: a whole batch, or what is left.
        if due == BATCH || (due > 0 && due == count + lost - sent) {
            for index in 0..due {
                outgoing.cells[index][..2].copy_from_slice(&((sent + index) as u16).to_be_bytes());
            }
            outgoing.send(&socket, due);
            sent += due;
            continue;
        }
        let received = incoming.receive(&socket, libc::MSG_WAITFORONE);
        answered += received;
        if received == 0 {
            lost = sent - answered; // they are asked again
        }
    }
    let (seconds, cpu) = (started.elapsed().as_secs_f64(), self::cpu() - cpu);
    writeln!(
        io::stdout(),
        "{answered} queries in {seconds:.3} s, {:.0} a second, {:.0} ns CPU a query, {lost} lost",
        answered as f64 / seconds,
        cpu.as_nanos() as f64 / answered as f64
    )
}

/// CPU time of this thread, kernel and user.
fn cpu() -> Duration {
    // SAFETY: a plain C structure for which zero octets are valid, filled by the call.
    let usage = unsafe {
        let mut usage = mem::zeroed::<libc::rusage>();
        libc::getrusage(libc::RUSAGE_THREAD, &raw mut usage);
        usage
    };
    let span = |time: libc::timeval| Duration::from_micros(time.tv_sec as u64 * 1_000_000 + time.tv_usec as u64);
    span(usage.ru_utime) + span(usage.ru_stime)
}
