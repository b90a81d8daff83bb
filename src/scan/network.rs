//! The network as the worker sees it: a clock, sockets, and a way to wait. The real one is made of `transport`; a
//! simulated one runs a whole scan in virtual time.

use std::io;
use std::net::SocketAddr;

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeVal;

use crate::clock::{Clock, Instant, RealClock, Span};
use crate::datagram::{Batch, Port, Received, TcpFailure, TcpKey, TcpQuery};
use crate::transport::{Tcp, Udp};

/// Longest wait without a look around: for a stop request, and for progress.
const WAIT_MAX: Span = Span::from_millis(100);

/// Time and packets.
pub trait Network: Send {
    /// The time now.
    fn now(&self) -> Instant;

    /// Opens the next source port, for one server if `connect`, else for all of the family of `like`.
    ///
    /// # Errors
    /// If no socket is to be had.
    fn open_port(&mut self, like: SocketAddr, connect: bool) -> io::Result<Port>;

    /// Opens one more source port to a server, if there are descriptors to spare. It may have the number of one that was closed.
    ///
    /// # Errors
    /// If there are none, or no socket is to be had.
    fn open_spare_port(&mut self, to: SocketAddr) -> io::Result<Port> {
        self.open_port(to, true)
    }

    /// Closes a port that nobody uses any more.
    fn close_port(&mut self, _port: Port) {}

    /// Sends a batch. What cannot be sent is lost, but for what [`poll_refused`](Network::poll_refused) tells.
    fn send(&mut self, batch: &Batch);

    /// The next packet, by port and ID, that our own machine had no room for: it has not been sent.
    fn poll_refused(&mut self) -> Option<(Port, u16)> {
        None
    }

    /// The next port where so many datagrams were dropped because we did not take them in time.
    fn poll_overflowed(&mut self) -> Option<(Port, u32)> {
        None
    }

    /// Hands over the datagrams that have come.
    fn receive(&mut self, deliver: &mut dyn FnMut(Received<'_>)) -> usize;

    /// Hands over a query to be asked over TCP; its result comes from [`poll_tcp`](Network::poll_tcp).
    ///
    /// # Errors
    /// With the key, if it cannot be taken.
    fn ask_tcp(&mut self, query: TcpQuery) -> Result<(), TcpKey>;

    /// The next result from TCP.
    fn poll_tcp(&mut self) -> Option<(TcpKey, Result<Vec<u8>, TcpFailure>)>;

    /// Waits until something comes, or the moment, or a short while at most.
    fn wait(&mut self, until: Instant);

    /// Whether replies come so soon that it saves work to let more come before they are taken.
    fn gathers(&self) -> bool {
        false
    }

    /// Does nothing for so long, that more replies come.
    fn pause(&mut self, _span: Span) {}

    /// The CPU time that the calling thread has used so far, if that is known.
    fn worked(&self) -> Option<Span> {
        None
    }

    /// One more with the same clock and sockets of its own, for one more worker; none if there can be but one.
    fn another(&self) -> Option<Self>
    where
        Self: Sized,
    {
        None
    }
}

/// The machine's own network.
#[derive(Debug)]
pub struct RealNetwork {
    clock: RealClock,
    udp: Udp,
    tcp: Option<Tcp>,
    tcp_timeout: Span,
}

impl RealNetwork {
    /// No socket is open yet. An exchange over TCP may take `tcp_timeout`.
    pub fn new(tcp_timeout: Span) -> RealNetwork {
        RealNetwork {
            clock: RealClock::new(),
            udp: Udp::new(),
            tcp: None,
            tcp_timeout,
        }
    }
}

impl Network for RealNetwork {
    fn now(&self) -> Instant {
        self.clock.now()
    }

    fn open_port(&mut self, like: SocketAddr, connect: bool) -> io::Result<Port> {
        self.udp.open(like, connect)
    }

    fn open_spare_port(&mut self, to: SocketAddr) -> io::Result<Port> {
        self.udp.open_spare(to)
    }

    fn close_port(&mut self, port: Port) {
        self.udp.close(port);
    }

    fn send(&mut self, batch: &Batch) {
        self.udp.send(batch.as_slice());
    }

    fn poll_refused(&mut self) -> Option<(Port, u16)> {
        self.udp.poll_refused()
    }

    fn poll_overflowed(&mut self) -> Option<(Port, u32)> {
        self.udp.poll_overflowed()
    }

    fn receive(&mut self, deliver: &mut dyn FnMut(Received<'_>)) -> usize {
        self.udp.receive(deliver)
    }

    fn ask_tcp(&mut self, query: TcpQuery) -> Result<(), TcpKey> {
        if self.tcp.is_none() {
            // The thread starts with the first reply that is cut short: most runs see none.
            self.tcp = Tcp::start(self.tcp_timeout).ok();
        }
        match &self.tcp {
            Some(tcp) => tcp.ask(query),
            None => Err(query.key),
        }
    }

    fn poll_tcp(&mut self) -> Option<(TcpKey, Result<Vec<u8>, TcpFailure>)> {
        self.tcp.as_ref()?.poll()
    }

    fn wait(&mut self, until: Instant) {
        let timeout = until.since(self.now()).min(WAIT_MAX);
        match &self.tcp {
            Some(tcp) => self.udp.wait(&[tcp.bell()], timeout),
            None => self.udp.wait(&[], timeout),
        }
    }

    fn gathers(&self) -> bool {
        self.udp.gathers()
    }

    fn pause(&mut self, span: Span) {
        std::thread::sleep(span.into());
    }

    fn worked(&self) -> Option<Span> {
        let usage = getrusage(UsageWho::RUSAGE_THREAD).ok()?;
        let span = |time: TimeVal| Span::from_secs_f64(time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6);
        Some(span(usage.user_time()) + span(usage.system_time()))
    }

    fn another(&self) -> Option<RealNetwork> {
        Some(RealNetwork {
            clock: self.clock,
            udp: Udp::new(),
            tcp: None,
            tcp_timeout: self.tcp_timeout,
        })
    }
}
