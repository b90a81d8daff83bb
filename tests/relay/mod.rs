//! A bad network on loopback: a relay before a server that loses, delays, reorders, doubles and swallows datagrams. TCP
//! passes it unharmed.
//!
//! ```text
//! client ── front socket ── fate ── heap of due datagrams ── a back socket for each client ── server
//! ```
//! What becomes of a datagram is drawn with a seed. Threads end when the relay is dropped.

#![allow(dead_code, unreachable_pub, reason = "each test file uses a part of this")]

pub mod scan;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// How often a waiting thread looks whether it is to stop.
const LOOK: Duration = Duration::from_millis(50);

/// What is wrong with the way; each direction has it.
#[derive(Debug, Clone, Copy)]
pub struct Faults {
    /// How many of a thousand datagrams are lost.
    pub loss_permille: u32,
    /// How many of a thousand come twice.
    pub twice_permille: u32,
    /// How long each takes, one way.
    pub delay: Duration,
    /// How much longer it may take: more than the distance between two datagrams, so that they overtake each other.
    pub jitter: Duration,
    /// Longer replies vanish, as those do that travel in fragments where fragments are dropped.
    pub reply_octets_max: usize,
    /// From this query on the server is gone …
    pub gone_from: u64,
    /// … for so long.
    pub gone_for: Duration,
}

impl Faults {
    /// A way without faults.
    pub const NONE: Faults = Faults {
        loss_permille: 0,
        twice_permille: 0,
        delay: Duration::ZERO,
        jitter: Duration::ZERO,
        reply_octets_max: usize::MAX,
        gone_from: u64::MAX,
        gone_for: Duration::ZERO,
    };
}

/// What the relay has seen.
#[derive(Debug, Default)]
pub struct Seen {
    /// Queries that came.
    pub queries: AtomicU64,
    /// Datagrams lost, either way.
    pub lost: AtomicU64,
    /// Datagrams passed on twice.
    pub doubled: AtomicU64,
    /// Replies that were too long to come through.
    pub vanished: AtomicU64,
    /// Datagrams that left after one that had come later.
    pub overtaken: AtomicU64,
    /// Queries swallowed while the server was gone.
    pub unheard: AtomicU64,
    /// TCP connections passed on.
    pub tcp: AtomicU64,
    /// The client's source ports.
    pub clients: Mutex<Vec<SocketAddr>>,
}

impl Seen {
    /// A counter's value.
    pub fn of(counter: &AtomicU64) -> u64 {
        counter.load(Ordering::Relaxed)
    }
}

/// A datagram and when it is due; the number keeps the order of those that are due at once.
type Due = Reverse<(Instant, u64, Way, Vec<u8>)>;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Way {
    ToServer(SocketAddr),
    ToClient(SocketAddr),
}

/// The running relay.
pub struct Relay {
    addr: SocketAddr,
    front: Arc<UdpSocket>,
    seen: Arc<Seen>,
    stop: Arc<AtomicBool>,
    threads: Vec<thread::JoinHandle<()>>,
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join(); // a panic in it was printed
        }
    }
}

impl Relay {
    /// Listens on a free port of the server's own address.
    pub fn before(server: SocketAddr, faults: Faults, seed: u64) -> Relay {
        Relay::at(server, server, faults, seed)
    }

    /// Listens on a free port of this address, whatever port it has.
    pub fn at(place: SocketAddr, server: SocketAddr, faults: Faults, seed: u64) -> Relay {
        let (front, listener) = front(place);
        let seen = Arc::new(Seen::default());
        let stop = Arc::new(AtomicBool::new(false));
        let addr = front.local_addr().expect("bound");
        let front = Arc::new(front);
        let (out, due) = channel();
        let link = Link {
            server,
            faults,
            front: Arc::clone(&front),
            seen: Arc::clone(&seen),
            stop: Arc::clone(&stop),
            backs: Arc::default(),
        };
        let (taker, sender, tcp) = (link.clone(), link.clone(), link);
        let threads = vec![
            thread::spawn(move || taker.take(StdRng::seed_from_u64(seed), &out)),
            thread::spawn(move || sender.send(&due)),
            thread::spawn(move || tcp.pass_tcp(&listener)),
        ];
        Relay {
            addr,
            front,
            seen,
            stop,
            threads,
        }
    }

    /// Where it is asked.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// What it has seen so far.
    pub fn seen(&self) -> &Seen {
        &self.seen
    }

    /// A socket that sends from the very address and port that clients ask.
    pub fn front(&self) -> Arc<UdpSocket> {
        Arc::clone(&self.front)
    }
}

/// A port that is free for UDP and TCP.
fn front(mut place: SocketAddr) -> (UdpSocket, TcpListener) {
    place.set_port(0);
    let found = (0..100).find_map(|_| {
        let udp = UdpSocket::bind(place).ok()?;
        let tcp = TcpListener::bind(udp.local_addr().ok()?).ok()?;
        Some((udp, tcp))
    });
    let (udp, tcp) = found.expect("a free port among a hundred");
    udp.set_read_timeout(Some(LOOK)).expect("a good timeout");
    tcp.set_nonblocking(true).expect("a socket of our own");
    let _ = socket2::SockRef::from(&udp).set_recv_buffer_size(4 << 20);
    (udp, tcp)
}

#[derive(Clone)]
struct Link {
    server: SocketAddr,
    faults: Faults,
    front: Arc<UdpSocket>,
    seen: Arc<Seen>,
    stop: Arc<AtomicBool>,
    backs: Arc<Mutex<HashMap<SocketAddr, Arc<UdpSocket>>>>,
}

impl Link {
    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Takes queries, and starts a thread for the replies of each client.
    fn take(&self, mut rng: StdRng, out: &Sender<(Instant, Way, Vec<u8>)>) {
        let mut buffer = [0; 4_096];
        let mut gone_since = None;
        let mut pumps = Vec::new();
        while !self.stopped() {
            let Ok((len, client)) = self.front.recv_from(&mut buffer) else {
                continue;
            };
            let count = self.seen.queries.fetch_add(1, Ordering::Relaxed);
            if count >= self.faults.gone_from {
                let since: &Instant = gone_since.get_or_insert_with(Instant::now);
                if since.elapsed() < self.faults.gone_for {
                    self.seen.unheard.fetch_add(1, Ordering::Relaxed);
                    continue;
                }
            }
            let mut backs = self.backs.lock().expect("no panic elsewhere");
            backs.entry(client).or_insert_with(|| {
                self.seen.clients.lock().expect("no panic elsewhere").push(client);
                let back = Arc::new(UdpSocket::bind((self.server.ip(), 0)).expect("a socket"));
                back.connect(self.server).expect("a server of our own");
                back.set_read_timeout(Some(LOOK)).expect("a good timeout");
                let (link, out, taken) = (self.clone(), out.clone(), Arc::clone(&back));
                let rng = StdRng::seed_from_u64(rng.random());
                pumps.push(thread::spawn(move || link.pump(&taken, client, rng, &out)));
                back
            });
            drop(backs);
            self.pass(&mut rng, Way::ToServer(client), &buffer[..len], out);
        }
        pumps.into_iter().for_each(|pump| drop(pump.join()));
    }

    /// Takes the server's replies to one client.
    fn pump(&self, back: &UdpSocket, client: SocketAddr, mut rng: StdRng, out: &Sender<(Instant, Way, Vec<u8>)>) {
        let mut buffer = [0; 65_535];
        while !self.stopped() {
            let Ok(len) = back.recv(&mut buffer) else { continue };
            if len > self.faults.reply_octets_max {
                self.seen.vanished.fetch_add(1, Ordering::Relaxed);
                continue;
            }
            self.pass(&mut rng, Way::ToClient(client), &buffer[..len], out);
        }
    }

    /// Draws what becomes of a datagram.
    fn pass(&self, rng: &mut StdRng, way: Way, octets: &[u8], out: &Sender<(Instant, Way, Vec<u8>)>) {
        if rng.random_range(0..1_000) < self.faults.loss_permille {
            self.seen.lost.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let twice = rng.random_range(0..1_000) < self.faults.twice_permille;
        self.seen.doubled.fetch_add(u64::from(twice), Ordering::Relaxed);
        for _ in 0..1 + u8::from(twice) {
            let due = Instant::now() + self.faults.delay + self.faults.jitter.mul_f64(rng.random());
            let _ = out.send((due, way, octets.to_vec())); // who has ended wants no more
        }
    }

    /// Sends what is due.
    fn send(&self, due: &Receiver<(Instant, Way, Vec<u8>)>) {
        let mut heap: BinaryHeap<Due> = BinaryHeap::new();
        let (mut count, mut last) = (0, 0);
        while !self.stopped() {
            let wait = heap
                .peek()
                .map_or(LOOK, |Reverse((at, ..))| at.saturating_duration_since(Instant::now()));
            match due.recv_timeout(wait.min(LOOK)) {
                Ok((at, way, octets)) => {
                    count += 1;
                    heap.push(Reverse((at, count, way, octets)));
                }
                Err(RecvTimeoutError::Timeout) => (),
                Err(RecvTimeoutError::Disconnected) => return,
            }
            while heap.peek().is_some_and(|Reverse((at, ..))| *at <= Instant::now()) {
                let Some(Reverse((_, number, way, octets))) = heap.pop() else {
                    break;
                };
                self.seen
                    .overtaken
                    .fetch_add(u64::from(number < last), Ordering::Relaxed);
                last = number;
                // A datagram that cannot be sent is lost, as on any network.
                match way {
                    Way::ToClient(client) => drop(self.front.send_to(&octets, client)),
                    Way::ToServer(client) => {
                        let backs = self.backs.lock().expect("no panic elsewhere");
                        drop(backs.get(&client).map(|back| back.send(&octets)));
                    }
                }
            }
        }
    }

    fn pass_tcp(&self, listener: &TcpListener) {
        while !self.stopped() {
            let Ok((client, _)) = listener.accept() else {
                thread::sleep(Duration::from_millis(5));
                continue;
            };
            self.seen.tcp.fetch_add(1, Ordering::Relaxed);
            if let Ok(server) = TcpStream::connect(self.server) {
                let _ = join(&client, &server);
            }
        }
    }
}

/// Copies both ways; the threads end with the connections.
fn join(client: &TcpStream, server: &TcpStream) -> io::Result<()> {
    client.set_nonblocking(false)?;
    for (from, to) in [(client, server), (server, client)] {
        let (mut from, mut to) = (from.try_clone()?, to.try_clone()?);
        thread::spawn(move || {
            let _ = io::copy(&mut from, &mut to);
            let _ = to.shutdown(std::net::Shutdown::Both);
        });
    }
    Ok(())
}
