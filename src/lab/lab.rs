//! The running lab: its faces, threads and counters.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::clock::Span;
use crate::wire::Name;

use super::conduct::Conduct;
use super::content::Content;
use super::embedded::embedded_zones;
use super::late::Late;
use super::served::{ExtraZone, ServedList, Synthetic};
use super::tcp::TcpFace;
use super::udp::UdpFace;
use super::world::{Served, World};

/// Receive buffer asked for: at 300,000 queries a second it holds what comes in while the thread is off the processor.
const RECEIVE_BUFFER_OCTETS: usize = 4 << 20;

/// How often a waiting thread looks whether it is to stop.
const STOP_CHECK: Duration = Duration::from_millis(100);

/// How often a port that is free for UDP and TCP is looked for.
const BIND_TRIES: usize = 20;

/// As whom the lab is asked: itself, or a resolver before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Face {
    /// The world as it is: authority and honest resolver in one.
    Authority,
    /// Turns NXDOMAIN into an address of its own.
    Rewriting,
    /// Takes answers inside 127/8 out (rebinding protection).
    Stripping,
    /// Minimises names strictly: addresses on lists, and names of two or more labels, do not exist.
    Minimising,
    /// Refuses everybody.
    Refusing,
    /// Never answers.
    Dead,
}

impl Face {
    /// All faces.
    pub const ALL: [Face; 6] = [
        Face::Authority,
        Face::Rewriting,
        Face::Stripping,
        Face::Minimising,
        Face::Refusing,
        Face::Dead,
    ];

    /// A word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Face::Authority => "authority",
            Face::Rewriting => "rewriting",
            Face::Stripping => "stripping",
            Face::Minimising => "minimising",
            Face::Refusing => "refusing",
            Face::Dead => "dead",
        }
    }
}

/// What to serve, and where.
#[derive(Debug)]
pub struct LabOptions {
    /// Where [`Face::Authority`] listens; port 0 takes a free one, as the other faces always do.
    pub bind: SocketAddr,
    /// Whether the embedded world is served.
    pub embedded: bool,
    /// Made-up lists beside it.
    pub lists: Vec<ServedList>,
    /// Zones beside it; they replace zones of the same name.
    pub zones: Vec<ExtraZone>,
    /// Zones with a slow or lossy way to them: how long each reply takes, and how many of a thousand queries are lost.
    pub impaired: Vec<(Name, Span, u32)>,
    /// Decides who is on made-up lists, and what is lost.
    pub seed: u64,
}

impl Default for LabOptions {
    /// The embedded world on a free port.
    fn default() -> LabOptions {
        LabOptions {
            bind: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            embedded: true,
            lists: Vec::new(),
            zones: Vec::new(),
            impaired: Vec::new(),
            seed: 1,
        }
    }
}

/// A running lab. Dropping it ends its threads.
#[derive(Debug)]
pub struct Lab {
    world: Arc<World>,
    addrs: Vec<(Face, SocketAddr)>,
    sockets: Vec<Arc<UdpSocket>>,
    threads: Vec<JoinHandle<()>>,
    stop: Arc<AtomicBool>,
}

impl Lab {
    /// Starts serving.
    ///
    /// # Errors
    /// If the address is not on loopback (a server that lies must not be reached by others) or cannot be listened on, a
    /// thread cannot be started, or an impaired zone is not there.
    pub fn start(options: LabOptions) -> io::Result<Lab> {
        let bind = options.bind;
        if !bind.ip().is_loopback() {
            let why = format!("{bind}: the lab serves on loopback addresses only");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
        }
        let (late, late_thread) = Late::start()?;
        let mut lab = Lab {
            world: Arc::new(build_world(options)?),
            addrs: Vec::new(),
            sockets: Vec::new(),
            threads: vec![late_thread],
            stop: Arc::new(AtomicBool::new(false)),
        };
        let opened = Face::ALL.into_iter().try_for_each(|face| {
            let port = if face == Face::Authority { bind.port() } else { 0 };
            lab.open(face, SocketAddr::new(bind.ip(), port), &late)
        });
        drop(late); // its thread ends with the last sender, and is waited for when the lab is dropped
        opened.map(|()| lab)
    }

    /// Where [`Face::Authority`] answers, over UDP and TCP.
    pub fn addr(&self) -> SocketAddr {
        self.face(Face::Authority)
    }

    /// Where a face answers, over UDP and TCP.
    pub fn face(&self, face: Face) -> SocketAddr {
        let found = self.addrs.iter().find(|(other, _)| *other == face);
        found.expect("every face was opened at the start").1
    }

    /// Queries taken so far, by all faces.
    pub fn queries(&self) -> u64 {
        self.world.queries.load(Ordering::Relaxed)
    }

    /// Queries for names in a zone so far, by all faces but the refusing and the dead one; none if there is no such zone.
    pub fn zone_queries(&self, zone: &Name) -> Option<u64> {
        self.world.zone(zone).map(Served::queries)
    }

    /// The zones that were asked for, with their queries, by name.
    pub fn counters(&self) -> Vec<(String, u64)> {
        let mut counters: Vec<(String, u64)> = self
            .world
            .zones()
            .filter(|zone| zone.queries() > 0)
            .map(|zone| (zone.origin.to_string(), zone.queries()))
            .collect();
        counters.sort();
        counters
    }

    fn open(&mut self, face: Face, addr: SocketAddr, late: &Late) -> io::Result<()> {
        let (udp, tcp) = bind(addr)?;
        self.addrs.push((face, udp.local_addr()?));
        let socket = Arc::new(udp);
        self.sockets.push(Arc::clone(&socket));
        let udp_face = UdpFace {
            face,
            socket,
            world: Arc::clone(&self.world),
            late: late.clone(),
            stop: Arc::clone(&self.stop),
        };
        let tcp_face = TcpFace {
            face,
            world: Arc::clone(&self.world),
            stop: Arc::clone(&self.stop),
            open: Arc::new(AtomicUsize::new(0)),
        };
        self.spawn(format!("lab-udp-{}", face.as_str()), move || udp_face.run())?;
        self.spawn(format!("lab-tcp-{}", face.as_str()), move || tcp_face.run(&tcp))
    }

    fn spawn(&mut self, name: String, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
        self.threads.push(std::thread::Builder::new().name(name).spawn(work)?);
        Ok(())
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for (socket, (_, addr)) in self.sockets.iter().zip(&self.addrs) {
            let _ = socket.send_to(&[], addr); // wakes the thread; if not, its timeout does
        }
        for thread in self.threads.drain(..).rev() {
            let _ = thread.join(); // a panic in it was printed
        }
    }
}

fn build_world(options: LabOptions) -> io::Result<World> {
    let seed = options.seed;
    let mut zones = if options.embedded { embedded_zones() } else { Vec::new() };
    zones.extend(options.lists.into_iter().map(|list| {
        let origin = list.zone.clone();
        Served::steady(
            origin,
            Content::Synthetic(Synthetic::new(list, seed).into()),
            Conduct::Honest,
        )
    }));
    zones.extend(options.zones.into_iter().map(|extra| {
        let origin = extra.zone.origin().clone();
        Served::steady(origin, Content::List(extra.zone), extra.conduct)
    }));
    let mut world = World::new(zones, seed);
    for (origin, delay, loss_permille) in options.impaired {
        let zone = world.zone_mut(&origin)?;
        zone.delay = delay.into();
        zone.loss_permille = loss_permille;
    }
    Ok(world)
}

/// The same port for UDP and TCP.
fn bind(addr: SocketAddr) -> io::Result<(UdpSocket, TcpListener)> {
    let mut tries = 0;
    loop {
        tries += 1;
        let udp = UdpSocket::bind(addr)?;
        match TcpListener::bind(udp.local_addr()?) {
            Err(error) if addr.port() != 0 || tries >= BIND_TRIES => return Err(error),
            Err(_) => continue,
            Ok(tcp) => {
                tcp.set_nonblocking(true)?;
                udp.set_read_timeout(Some(STOP_CHECK))?;
                widen(&udp);
                return Ok((udp, tcp));
            }
        }
    }
}

/// Asks for a larger receive buffer, past the system's bound if that is allowed; what is given is enough to work.
fn widen(udp: &UdpSocket) {
    #[cfg(target_os = "linux")]
    {
        use nix::sys::socket::{setsockopt, sockopt::RcvBufForce};
        if setsockopt(udp, RcvBufForce, &RECEIVE_BUFFER_OCTETS).is_ok() {
            return;
        }
    }
    let _ = socket2::SockRef::from(udp).set_recv_buffer_size(RECEIVE_BUFFER_OCTETS);
}
