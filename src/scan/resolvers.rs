//! The servers of a run: their ports and upstreams in the engine, and the check that a resolver does not lie.

use std::io;
use std::net::{IpAddr, SocketAddr};

use rand::{Rng, RngExt};

use crate::clock::{Instant, Span};
use crate::datagram::Port;
use crate::dnsxl::Cause;
use crate::engine::{Engine, RouteOptions, UpstreamOptions, WINDOW_MAX};
use crate::exchange::{Ask, End, Outcome, Upstream};
use crate::plan::habits::{CHECK_NAMES, RESOLVER_WINDOW_MAX};
use crate::transport::is_near;
use crate::wire::{Name, Rtype};

use super::direct::Direct;
use super::health::decoded;
use super::lane::Standing;
use super::network::Network;
use super::ticket::{LaneIndex, Purpose};
use super::worker::Worker;

/// Source ports towards one server that has sockets of its own (RFC 5452 §9.2: several at once).
const PORTS_PER_SERVER: usize = 4;

/// Servers that get sockets of their own. Beyond, all share some: descriptors are few.
const OWN_SOCKETS_MAX: usize = 8;

/// Source ports of each family that servers share.
const PORTS_SHARED: usize = 16;

/// How long a resolver may take longer with its check than the fastest one.
const CHECK_GRACE: Span = Span::from_secs(2);

/// What a server is to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServerKind {
    /// It resolves for us: RD is set, and it is checked for lies.
    Resolver,
    /// It was named by the user for a zone.
    Route,
    /// It is a zone's own name server, found by its records.
    Authority,
}

/// A server to be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Server {
    /// Where it is.
    pub address: SocketAddr,
    /// What it is to us.
    pub kind: ServerKind,
}

/// Makes servers known to the engine.
#[derive(Debug)]
pub(super) struct Doors {
    window_max: Option<u32>,
    own_sockets: bool,
    /// Queries may travel in trains.
    trains: bool,
    shared: [Vec<Port>; 2],
}

impl Doors {
    pub(super) fn new(servers: usize, window_max: Option<u32>, trains: bool) -> Doors {
        Doors {
            window_max,
            trains,
            own_sockets: servers <= OWN_SOCKETS_MAX,
            shared: [Vec::new(), Vec::new()],
        }
    }

    pub(super) fn open(
        &mut self,
        engine: &mut Engine,
        network: &mut impl Network,
        server: Server,
    ) -> io::Result<Upstream> {
        let ports = if self.own_sockets {
            open_ports(engine, network, server.address, true, PORTS_PER_SERVER)?
        } else {
            let shared = &mut self.shared[usize::from(server.address.is_ipv6())];
            if shared.is_empty() {
                *shared = open_ports(engine, network, server.address, false, PORTS_SHARED)?;
            }
            shared.clone()
        };
        let default = match server.kind {
            ServerKind::Resolver => RESOLVER_WINDOW_MAX,
            ServerKind::Route | ServerKind::Authority => WINDOW_MAX,
        };
        Ok(engine.add_upstream(UpstreamOptions {
            address: server.address,
            ports,
            // An authority ignores RD; what a user names for a zone may be either.
            recursive: server.kind != ServerKind::Authority,
            window_max: self.window_max.unwrap_or(default),
            path_window_max: self.window_max.unwrap_or(WINDOW_MAX),
            rate_qps: None,
            careful: server.kind != ServerKind::Resolver,
            trains: self.own_sockets && self.trains && is_near(server.address.ip()),
        }))
    }
}

fn open_ports(
    engine: &mut Engine,
    network: &mut impl Network,
    like: SocketAddr,
    connect: bool,
    count: usize,
) -> io::Result<Vec<Port>> {
    let mut ports = Vec::with_capacity(count);
    for _ in 0..count {
        let port = network.open_port(like, connect)?;
        engine.open_port(port);
        ports.push(port);
    }
    Ok(ports)
}

/// What a check has shown of a resolver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Checked {
    /// Names that cannot exist do not exist, or it would not say.
    Sound,
    /// It answers them with this address.
    Rewrites(IpAddr),
    /// It says nothing at all.
    Silent,
}

/// A resolver under check: names that cannot exist are asked of it (a refusal proves nothing).
#[derive(Debug)]
pub(super) struct Check {
    pub(super) server: Server,
    pub(super) upstream: Upstream,
    names: Vec<Name>,
    replies: usize,
    silences: usize,
    rewritten: Option<IpAddr>,
    /// Nothing is asked: it is taken to be sound.
    trusted: bool,
}

impl Check {
    /// Asks nothing of a resolver that is to be believed.
    pub(super) fn trusted(server: Server, upstream: Upstream) -> Check {
        Check {
            server,
            upstream,
            names: Vec::new(),
            replies: 0,
            silences: 0,
            rewritten: None,
            trusted: true,
        }
    }

    /// Sends the questions of the check. `number` marks their tickets.
    pub(super) fn start(
        engine: &mut Engine,
        now: Instant,
        (number, server, upstream): (u16, Server, Upstream),
        rng: &mut impl Rng,
    ) -> Check {
        let route = engine.add_route(RouteOptions {
            upstreams: vec![upstream],
            zone_octets: usize::MAX,
            pace: None,
        });
        let names: Vec<Name> = (0..CHECK_NAMES).map(|index| nonsense(index, rng)).collect();
        let mut check = Check {
            server,
            upstream,
            names,
            replies: 0,
            silences: 0,
            rewritten: None,
            trusted: false,
        };
        for (index, name) in check.names.iter().enumerate() {
            let purpose = Purpose::Check {
                server: number,
                number: index as u8, // below CHECK_NAMES
            };
            let ask = Ask {
                ticket: purpose.ticket(),
                name,
                rtype: Rtype::A,
                route,
                probe: true,
            };
            if engine.submit(now, ask).is_err() {
                check.silences += 1;
            }
        }
        check
    }

    pub(super) fn take(&mut self, number: u8, outcome: &Outcome) {
        match &outcome.end {
            End::Reply(_) => self.replies += 1,
            End::Silent | End::Unsent(_) => self.silences += 1,
        }
        let name = &self.names[usize::from(number)];
        if let Some(answer) = decoded(&outcome.end, name, Rtype::A)
            && let Some(address) = answer.addresses_v4().next()
        {
            self.rewritten = Some(address.into());
        }
    }

    /// What it has shown; none while questions are out.
    pub(super) fn verdict(&self) -> Option<Checked> {
        if self.replies + self.silences < self.names.len() {
            return None;
        }
        Some(match self.rewritten {
            Some(address) => Checked::Rewrites(address),
            None if self.replies == 0 && !self.trusted => Checked::Silent,
            None => Checked::Sound,
        })
    }
}

/// The checks of a run's resolvers.
#[derive(Debug, Default)]
pub(super) struct Checks {
    pub(super) all: Vec<Check>,
    /// When the first resolver turned out to be sound.
    sound_since: Option<Instant>,
    /// It is known which can be used.
    over: bool,
    /// What is wrong with the others, and the mend.
    faults: Vec<String>,
}

impl Checks {
    pub(super) fn are_over(&self) -> bool {
        self.over
    }

    /// When nobody is waited for any more, if that is known.
    pub(super) fn next(&self) -> Option<Instant> {
        self.sound_since.map(|since| since + CHECK_GRACE).filter(|_| !self.over)
    }
}

impl<N: Network> Worker<'_, N> {
    /// Goes on with the checks: when they are over, the lists without servers of their own are given the resolvers that can
    /// be used, or given up. One that answers is enough to go on with, once the others have had their time.
    pub(super) fn look_at_checks(&mut self, now: Instant) {
        if self.checks.over {
            return;
        }
        let verdicts = self.checks.all.iter().map(Check::verdict);
        if verdicts.clone().any(|verdict| verdict == Some(Checked::Sound)) {
            self.checks.sound_since.get_or_insert(now);
        }
        let waits = verdicts.clone().any(|verdict| verdict.is_none()) && self.stopping.is_none();
        if waits && self.checks.next().is_none_or(|next| now < next) {
            return;
        }
        self.checks.over = true;
        let mut sound = Vec::new();
        for check in &self.checks.all {
            let address = check.server.address;
            let fault = match check.verdict() {
                Some(Checked::Rewrites(to)) => format!(
                    "resolver {address} is not used: it answers names that do not exist with {to}; \
                     name a resolver that does not with --resolver"
                ),
                None | Some(Checked::Silent) => format!(
                    "resolver {address} is not used: it does not answer; check the address, or name another with --resolver"
                ),
                Some(Checked::Sound) => {
                    sound.push(check.upstream);
                    continue;
                }
            };
            self.checks.faults.push(fault);
        }
        self.go_through(&sound);
    }

    /// Gives these resolvers to who waits for them.
    fn go_through(&mut self, resolvers: &[Upstream]) {
        self.explainer.resolve_through(&mut self.engine, resolvers);
        if self.options.direct && !resolvers.is_empty() {
            let way = self.engine.add_route(RouteOptions {
                upstreams: resolvers.to_vec(),
                zone_octets: usize::MAX,
                pace: None,
            });
            self.direct = Some(Direct::new(way, self.options.window_max));
        }
        for index in (0..self.lanes.len() as u16).map(LaneIndex) {
            let lane = &self.lanes[usize::from(index.0)];
            let waits = (lane.direct || !lane.routed) && !matches!(lane.standing, Standing::GivenUp(_));
            if waits && resolvers.is_empty() {
                self.give_up(index, Cause::ResolverBroken);
            } else if waits && !lane.direct {
                self.engine.add_servers(lane.route, resolvers);
            }
        }
        if resolvers.is_empty() {
            self.judge_resolvers(); // nobody else is waited for
        }
    }

    /// What is wrong with the resolvers, and the mend.
    pub(super) fn resolver_faults(&mut self) -> Vec<String> {
        let mut faults = std::mem::take(&mut self.checks.faults);
        faults.extend(self.resolver_fault.take());
        faults
    }
}

/// A name that cannot exist: 20 random letters below a real top-level domain, with and without `www`, because some
/// rewrite only what looks like a web site.
fn nonsense(index: usize, rng: &mut impl Rng) -> Name {
    let label: Vec<u8> = (0..20).map(|_| rng.random_range(b'a'..=b'z')).collect();
    let mut name = Name::root();
    let (first, last): (Option<&[u8]>, &[u8]) = match index % 2 {
        0 => (None, b"com"),
        _ => (Some(b"www"), b"org"),
    };
    for label in first.into_iter().chain([label.as_slice(), last]) {
        name.push(label).expect("three short labels");
    }
    name
}
