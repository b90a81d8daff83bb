//! One server address: its source ports, its total window, and what it can do.

use std::collections::VecDeque;
use std::net::SocketAddr;

use crate::clock::Instant;
use crate::datagram::Port;
use crate::exchange::Upstream;

use super::bucket::Bucket;
use super::guard::{Alarm, Guard};
use super::path::PathIndex;

/// How a server is to be spoken to.
#[derive(Debug, Clone)]
pub struct UpstreamOptions {
    /// Its address.
    pub address: SocketAddr,
    /// The source ports to use, one at random for each batch (RFC 5452 §9.2). At least one.
    pub ports: Vec<Port>,
    /// It resolves for us (RD is set), and its round-trip times include other servers'.
    pub recursive: bool,
    /// Queries in flight at most, all paths together.
    pub window_max: u32,
    /// Queries in flight at most on one path. Behind a resolver it is the authority's buffer that bounds them.
    pub path_window_max: u32,
    /// Packets a second at most; none: no limit but the window.
    pub rate_qps: Option<f64>,
    /// It may limit the rate of its replies, as authorities do: windows to it grow carefully at first.
    pub careful: bool,
    /// Queries may travel in trains (UDP GSO): only where nothing but our own machine or network is between.
    pub trains: bool,
}

/// Whether a server answers over TCP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TcpSeen {
    Untried,
    Works,
    Fails,
}

/// One server.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) address: SocketAddr,
    pub(super) ports: Vec<Port>,
    pub(super) recursive: bool,
    pub(super) in_flight: u32,
    pub(super) window_max: u32,
    pub(super) path_window_max: u32,
    pub(super) bucket: Option<Bucket>,
    pub(super) careful: bool,
    pub(super) trains: bool,
    /// Queries go out with EDNS.
    pub(super) edns: bool,
    /// A reply to a query with EDNS has come.
    pub(super) edns_answered: bool,
    pub(super) tcp: TcpSeen,
    /// Failures over TCP while nothing has ever come that way.
    pub(super) tcp_failures: u32,
    /// When the next question that its limit holds back may go over TCP.
    pub(super) spills_at: Instant,
    pub(super) tcp_in_flight: u32,
    /// In line for TCP, or under way there.
    pub(super) tcp_line: u32,
    /// Packets sent over UDP.
    pub(super) sent: u64,
    pub(super) alarm: Alarm,
    /// Its replies are being forged.
    pub(super) guard: Option<Box<Guard>>,
    /// Another one that is known by the same address.
    pub(super) twin: Option<Upstream>,
    /// Paths that would send if the total window had room.
    pub(super) waiting: VecDeque<PathIndex>,
}

impl Server {
    pub(super) fn new(options: UpstreamOptions) -> Server {
        assert!(!options.ports.is_empty(), "an upstream needs a source port");
        Server {
            address: options.address,
            ports: options.ports,
            recursive: options.recursive,
            in_flight: 0,
            window_max: options.window_max.max(1),
            path_window_max: options.path_window_max.max(1),
            bucket: options.rate_qps.map(Bucket::paced),
            careful: options.careful,
            trains: options.trains,
            edns: true,
            edns_answered: false,
            tcp: TcpSeen::Untried,
            tcp_failures: 0,
            spills_at: Instant::ZERO,
            tcp_in_flight: 0,
            tcp_line: 0,
            sent: 0,
            alarm: Alarm::default(),
            guard: None,
            twin: None,
            waiting: VecDeque::new(),
        }
    }
}
