//! The bare packet loop: what the kernel charges for a query and its reply when nothing else is done. The floor that whole
//! scans are measured against, and a responder that is no bottleneck.
//!
//! ```text
//! floor                         a short measurement against a responder of its own (what `cargo bench` runs)
//! floor serve ADDR:PORT [PCT]   answer every query: NXDOMAIN, or 127.0.0.2 for the test entry and for PCT per cent (0, 10)
//! floor loop ADDR:PORT COUNT    ask COUNT times, 64 a call, 2,000 in flight; prints queries, seconds and CPU
//! ```
//!
//! The responder reads no more of a query than a few octets, answers in batches of 64, and sends no trains (UDP GSO), so
//! that programs with and without them are measured alike. The loop composes nothing: it writes an ID into a prepared
//! query, and looks at nothing in the reply.

#![allow(
    unsafe_code,
    reason = "the floor is the system calls themselves, without a wrapper that builds headers anew"
)]

use std::io::{self, Write};
use std::mem;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

const BATCH: usize = 64;
const CELL: usize = 512;
const WINDOW: usize = 2_000;

/// Silence after which what is out counts as lost.
const SILENCE: Duration = Duration::from_millis(200);

/// Octets of the test entry's query behind the header: 2.0.0.127.
const TEST_ENTRY: &[u8] = b"\x012\x010\x010\x03127";

/// Headers, vectors, addresses and cells of one batch. Made once; nothing moves, so that the pointers stay good.
struct Batch {
    headers: Vec<libc::mmsghdr>,
    _vectors: Vec<libc::iovec>,
    _addresses: Vec<libc::sockaddr_storage>,
    cells: Vec<[u8; CELL]>,
}

impl Batch {
    fn new(addressed: bool) -> Batch {
        let mut cells = vec![[0u8; CELL]; BATCH];
        // SAFETY: plain C structures for which zero octets are a valid value.
        let (header, address) = unsafe { (mem::zeroed::<libc::mmsghdr>(), mem::zeroed::<libc::sockaddr_storage>()) };
        let mut addresses = vec![address; BATCH];
        let mut headers = vec![header; BATCH];
        let mut vectors: Vec<libc::iovec> = cells
            .iter_mut()
            .map(|cell| libc::iovec {
                iov_base: cell.as_mut_ptr().cast(),
                iov_len: CELL,
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
            _vectors: vectors,
            _addresses: addresses,
            cells,
        }
    }

    fn set_len(&mut self, index: usize, len: usize) {
        self._vectors[index].iov_len = len;
    }

    fn receive(&mut self, socket: &UdpSocket, flags: libc::c_int) -> usize {
        for index in 0..BATCH {
            self.set_len(index, CELL);
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
    let mut batch = Batch::new(true);
    loop {
        let count = batch.receive(socket, libc::MSG_WAITFORONE);
        for index in 0..count {
            let mut len = batch.headers[index].msg_len as usize;
            let cell = &mut batch.cells[index];
            let listed = cell[12..].starts_with(TEST_ENTRY) || (listed_percent > 0 && ends_in_seven(cell));
            (cell[2], cell[3]) = (cell[2] | 0x84, if listed { 0 } else { 3 });
            if listed {
                len = list(cell, len);
            }
            batch.set_len(index, len);
        }
        batch.send(socket, count);
        for header in &mut batch.headers {
            header.msg_hdr.msg_namelen = mem::size_of::<libc::sockaddr_storage>() as libc::socklen_t;
        }
    }
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
    let (mut outgoing, mut incoming) = (Batch::new(false), Batch::new(false));
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
