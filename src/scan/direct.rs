//! Direct mode: each list's own name servers are found through the resolvers, and asked in their place.
//!
//! ```text
//! apex ─▶ NS? (none: the parent's, and so on up) ─▶ A, AAAA of each server ─▶ route ─▶ the list is examined
//!                                                                                │ referral below the cut
//!                                                                                ▼
//!                                             A, AAAA of the servers it names ─▶ branch of the route ─▶ asked again there
//! ```
//!
//! A *cut* is a name below which the same servers are asked. The first cut of a list is at or above its apex; more are
//! found where a server refers us to others (RFC 1034 §4.3.2), each strictly deeper than the one that was asked, so that
//! referrals cannot go round. Who is asked directly must speak for the zone (AA): a reply that does not is taken for a
//! failure, never for "not listed".
//!
//! Whoever answers for a zone says which addresses its servers have: those in private, loopback and other special space
//! are left out, so that nobody can turn us against our own network. Such a server can be named with a route.
//!
//! Bounds: [`SERVERS_PER_CUT_MAX`] servers a cut and [`ADDRESSES_PER_CUT_MAX`] addresses in a run, [`CUTS_PER_LIST_MAX`] cuts a list, [`CLIMB_MAX`] steps up; what waits for a
//! cut is what the engine had in flight.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};

use crate::clock::{Instant, Span};
use crate::dnsxl::{Cause, Evidence, Fault, State};
use crate::engine::{Pace, RouteOptions};
use crate::exchange::{Ask, End, Outcome, Reply, Route, Ticket, Unsent, Upstream};
use crate::targets::{Target, special_use};
use crate::wire::{Name, Rcode, Rdata, Rtype, decode};

use super::lane::Standing;
use super::network::Network;
use super::resolvers::{Doors, Server, ServerKind};
use super::ticket::{LaneIndex, Purpose};
use super::worker::Worker;

/// Where name servers listen.
const PORT: u16 = 53;

/// Servers of a cut that are asked at most: a route has no more ways.
const SERVERS_PER_CUT_MAX: usize = 8;

/// Addresses that a cut's servers have in a run at most: whoever names others each minute makes nothing grow for ever.
const ADDRESSES_PER_CUT_MAX: usize = 64;

/// Cuts of a list at most: its own, and what is delegated below.
const CUTS_PER_LIST_MAX: usize = 16;

/// Labels that are taken off an apex to find the zone it is in, at most.
const CLIMB_MAX: usize = 6;

/// How long servers are kept at most, and at least, whatever their TTL; those of a list that fails, no longer than that
/// ([`doubt_servers`](Worker::doubt_servers)).
const KEEP_MAX: u32 = 86_400;
const KEEP_MIN: u32 = 60;

/// How far a cut has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum CutState {
    /// Its servers are being looked for.
    Seeking,
    /// They are asked.
    Open,
    /// There are none.
    Gone,
}

/// A name below which the same servers are asked.
#[derive(Debug)]
struct Cut {
    column: usize,
    /// The name of the cut: of the apex while it is looked for.
    zone: Name,
    route: Route,
    state: CutState,
    servers: Vec<Name>,
    /// By the number of the question: the addresses of the servers, IPv4 and IPv6 in turn.
    found: Vec<(u8, IpAddr)>,
    /// Addresses that are not asked.
    refused: Vec<IpAddr>,
    /// Questions that are out.
    out: u8,
    /// One about addresses was not answered: there may be more servers than were found.
    partial: bool,
    /// Addresses that were new with it.
    met: usize,
    climbed: usize,
    /// What was wrong first.
    fault: Option<(State, String)>,
    /// The lowest TTL of what was found, and when that runs out.
    ttl: u32,
    expires: Instant,
    /// When they are looked up again.
    until: Instant,
    /// Asks that were referred here, to be asked again.
    waiting: Vec<(Ticket, Name, Rtype, bool)>,
}

/// The cuts of a run, and the servers that are asked.
#[derive(Debug)]
pub(super) struct Direct {
    /// The way to the resolvers.
    resolvers: Route,
    doors: Doors,
    cuts: Vec<Cut>,
    upstreams: HashMap<SocketAddr, Upstream>,
    /// Whether this machine has a way to IPv6 servers; none: not tried yet.
    reaches_v6: Option<bool>,
}

impl Direct {
    /// No cuts yet; `resolvers` is the way to look them up.
    pub(super) fn new(resolvers: Route, window_max: Option<u32>) -> Direct {
        Direct {
            resolvers,
            // Lists have more servers than a process has descriptors: they share sockets.
            doors: Doors::new(usize::MAX, window_max, false),
            cuts: Vec::new(),
            upstreams: HashMap::new(),
            reaches_v6: None,
        }
    }

    /// The way to a name of a list: its deepest cut that is open.
    fn route_of(&self, column: usize, name: &Name) -> Option<Route> {
        let cuts = self.cuts.iter();
        let fitting =
            cuts.filter(|cut| cut.column == column && cut.state == CutState::Open && name.is_under(&cut.zone));
        fitting.max_by_key(|cut| cut.zone.label_count()).map(|cut| cut.route)
    }

    /// A list fails: if that is because the servers that it refers to cannot be asked, that is said.
    pub(super) fn explain(&self, column: usize, fault: Fault) -> Fault {
        let mut gone = self
            .cuts
            .iter()
            .filter(|cut| cut.column == column && cut.state == CutState::Gone);
        match gone.find_map(|cut| cut.fault.clone()) {
            Some((state, why)) if fault.state == State::Servfail => Fault { state, why },
            _ => fault,
        }
    }

    /// When servers are to be looked up again. Those that are being looked up come first: at a low rate that takes longer than
    /// they are kept.
    pub(super) fn next(&self) -> Option<Instant> {
        let open = self
            .cuts
            .iter()
            .filter(|cut| cut.state == CutState::Open && cut.out == 0);
        open.map(|cut| cut.until).min()
    }
}

/// The number of a cut's question: 0 for its NS records, then two for each server.
fn question(server: usize, rtype: Rtype) -> u8 {
    (1 + 2 * server + usize::from(rtype == Rtype::AAAA)) as u8 // 13 servers at most
}

impl<N: Network> Worker<'_, N> {
    /// Begins to look for the servers of a lane's list, if that has not begun. Its route has none yet.
    pub(super) fn seek(&mut self, now: Instant, index: LaneIndex) {
        let lane = &self.lanes[usize::from(index.0)];
        let (column, route) = (lane.column, lane.route);
        if direct_mut(&mut self.direct).cuts.iter().any(|cut| cut.route == route) {
            return;
        }
        let questions = self.plan.columns[column].asked();
        let apex = questions.apex().clone();
        let direct = self.direct.as_mut().expect("direct mode");
        direct.cuts.push(Cut::new(column, apex, route));
        let cut = direct.cuts.len() - 1;
        self.ask_servers(now, cut);
    }

    /// The way to a name: the lane's, or that of the cut it is in.
    pub(super) fn way_to(&self, index: LaneIndex, name: &Name) -> Route {
        let lane = &self.lanes[usize::from(index.0)];
        let cut = self.direct.as_ref().filter(|_| lane.direct);
        cut.and_then(|direct| direct.route_of(lane.column, name))
            .unwrap_or(lane.route)
    }

    /// Looks up again what has run out.
    pub(super) fn renew_servers(&mut self, now: Instant) {
        let Some(direct) = &mut self.direct else { return };
        if self.stopping.is_some() || direct.next().is_none_or(|next| next > now) {
            return;
        }
        let due = |cut: &Cut| cut.state == CutState::Open && cut.until <= now && cut.out == 0;
        let due: Vec<usize> = (0..direct.cuts.len()).filter(|&cut| due(&direct.cuts[cut])).collect();
        for cut in due {
            // Until the answers are here, and for a while if there are none, the servers stay as they are.
            direct_mut(&mut self.direct).cuts[cut].until = now + Span::from_secs(u64::from(KEEP_MIN));
            self.ask_servers(now, cut);
        }
    }

    /// A list has failed in mid-run: its servers may have moved. They are looked up again as soon as their records have run out,
    /// which no more often happens than a list may fail.
    pub(super) fn doubt_servers(&mut self, index: LaneIndex) {
        let column = self.lanes[usize::from(index.0)].column;
        let Some(direct) = &mut self.direct else { return };
        let held = |cut: &&mut Cut| cut.column == column && cut.out == 0;
        for cut in direct.cuts.iter_mut().filter(held) {
            cut.until = cut.until.min(cut.expires);
        }
    }

    fn ask_servers(&mut self, now: Instant, cut: usize) {
        let zone = direct_mut(&mut self.direct).cuts[cut].zone.clone();
        self.ask_resolvers(now, cut, 0, (zone, Rtype::NS));
    }

    fn ask_addresses(&mut self, now: Instant, cut: usize) {
        let servers = direct_mut(&mut self.direct).cuts[cut].servers.clone();
        for (server, name) in servers.iter().enumerate() {
            for rtype in [Rtype::A, Rtype::AAAA] {
                self.ask_resolvers(now, cut, question(server, rtype), (name.clone(), rtype));
            }
        }
    }

    fn ask_resolvers(&mut self, now: Instant, cut: usize, number: u8, (name, rtype): (Name, Rtype)) {
        let direct = direct_mut(&mut self.direct);
        let purpose = Purpose::Server {
            cut: cut as u16, // the engine's routes are counted in 16 bits too
            number,
        };
        let ask = Ask {
            ticket: purpose.ticket(),
            name: &name,
            rtype,
            route: direct.resolvers,
            probe: true,
        };
        direct.cuts[cut].out += 1;
        let (ticket, route) = (ask.ticket, ask.route);
        if self.engine.submit(now, ask).is_err() {
            self.take(now, &failed(ticket, route));
        }
    }

    /// Takes what a resolver says about a cut's servers.
    pub(super) fn take_server(&mut self, now: Instant, cut: usize, number: u8, outcome: &Outcome) {
        let direct = direct_mut(&mut self.direct);
        direct.cuts[cut].out -= 1;
        if matches!(outcome.end, End::Unsent(Unsent::Cancelled)) {
            return;
        }
        if number == 0 {
            self.take_names(now, cut, outcome);
            return;
        }
        let held = &mut direct.cuts[cut];
        let server = usize::from(number - 1) / 2;
        let rtype = if number % 2 == 1 { Rtype::A } else { Rtype::AAAA };
        let answered = |reply: &Reply| matches!(reply.rcode, Rcode::NOERROR | Rcode::NXDOMAIN);
        held.partial |= !matches!(&outcome.end, End::Reply(reply) if answered(reply));
        if let Some(answer) = answer_of(outcome, &held.servers[server], rtype) {
            held.ttl = held.ttl.min(answer.ttl_min().unwrap_or(u32::MAX));
            for record in &answer.records {
                let address = match record.data {
                    Rdata::A(address) => address.into(),
                    Rdata::Aaaa(address) => address.into(),
                    _ => continue,
                };
                if is_special(address) {
                    held.refused.push(address);
                } else {
                    held.found.push((number, address));
                }
            }
        }
        if held.out == 0 {
            self.open_cut(now, cut);
        }
    }

    /// Takes the names of a cut's servers.
    fn take_names(&mut self, now: Instant, cut: usize, outcome: &Outcome) {
        let held = &mut direct_mut(&mut self.direct).cuts[cut];
        let answer = answer_of(outcome, &held.zone, Rtype::NS);
        let records = answer.iter().flat_map(|answer| &answer.records);
        let names = records.filter_map(|record| match &record.data {
            Rdata::Ns(server) => Some(server.clone()),
            _ => None,
        });
        let names: Vec<Name> = names.take(SERVERS_PER_CUT_MAX).collect();
        if !names.is_empty() {
            (held.found, held.refused, held.partial) = Default::default();
            held.ttl = answer.and_then(|answer| answer.ttl_min()).unwrap_or(KEEP_MAX);
            held.servers = names;
            self.ask_addresses(now, cut);
            return;
        }
        let fault = match &outcome.end {
            End::Reply(reply) if matches!(reply.rcode, Rcode::NOERROR | Rcode::NXDOMAIN) => {
                let why = "no name servers were found, neither for its zone nor above";
                (State::ZoneGone, why.to_owned())
            }
            End::Reply(reply) => {
                let why = format!("its name servers cannot be found: the resolver answers {}", reply.rcode);
                (State::Servfail, why)
            }
            _ => (State::Unreachable, "no resolver answers who serves it".to_owned()),
        };
        held.fault.get_or_insert(fault);
        // No cut here: the name is in its parent's zone (some servers deny names that have only others below them). Or it is
        // one, and its servers do not speak to the resolver: then the parent's refer us to them.
        let parent = held.zone.parent().filter(|parent| parent.label_count() > 1);
        match parent {
            Some(parent) if held.state == CutState::Seeking && held.climbed < CLIMB_MAX => {
                (held.zone, held.climbed) = (parent, held.climbed + 1);
                self.ask_servers(now, cut);
            }
            _ => {
                let (state, why) = held.fault.clone().expect("just put there");
                self.lose_cut(now, cut, state, &why);
            }
        }
    }

    /// All addresses are here: the cut's servers are asked from now on.
    fn open_cut(&mut self, now: Instant, cut: usize) {
        let addresses = spread(&direct_mut(&mut self.direct).cuts[cut].found);
        let mut upstreams = Vec::new();
        for address in addresses {
            if upstreams.len() == SERVERS_PER_CUT_MAX {
                break;
            }
            let address = SocketAddr::new(address, PORT);
            let direct = direct_mut(&mut self.direct);
            let is_new = !direct.upstreams.contains_key(&address);
            if is_new && direct.cuts[cut].met == ADDRESSES_PER_CUT_MAX {
                continue;
            }
            // Where there is no way to an address, nothing grows by it.
            let Some(upstream) = self.upstream_at(address) else {
                continue;
            };
            direct_mut(&mut self.direct).cuts[cut].met += usize::from(is_new);
            upstreams.push(upstream);
        }
        let held = &mut direct_mut(&mut self.direct).cuts[cut];
        if upstreams.is_empty() {
            let mut names: Vec<String> = held.servers.iter().map(Name::to_string).collect();
            names.truncate(3);
            let why = match held.refused.first() {
                Some(address) => format!(
                    "its name servers have addresses that are not asked, such as {address}; name one with --route ZONE=ADDR:PORT"
                ),
                None => format!(
                    "its name servers have no address that can be asked ({})",
                    names.join(", ")
                ),
            };
            self.lose_cut(now, cut, State::Unreachable, &why);
            return;
        }
        held.expires = now + Span::from_secs(u64::from(held.ttl.min(KEEP_MAX)));
        held.until = now + Span::from_secs(u64::from(held.ttl.clamp(KEEP_MIN, KEEP_MAX)));
        let (route, column, first) = (held.route, held.column, held.state == CutState::Seeking);
        held.state = CutState::Open;
        let waiting = std::mem::take(&mut held.waiting);
        // Servers that are gone from the records are left; where not all could be looked up, nobody is.
        match held.partial {
            true => self.engine.add_servers(route, &upstreams),
            false => self.engine.set_servers(now, route, &upstreams),
        }
        for (ticket, name, rtype, probe) in waiting {
            self.ask_there(now, route, (ticket, name, rtype, probe));
        }
        if first && self.options.skip_health {
            for lane in self.lanes.iter_mut().filter(|lane| lane.column == column) {
                if lane.standing == Standing::New {
                    lane.standing = Standing::Good;
                }
            }
        }
    }

    /// A server by its address; none if there is no way to it.
    fn upstream_at(&mut self, address: SocketAddr) -> Option<Upstream> {
        let direct = direct_mut(&mut self.direct);
        if let Some(upstream) = direct.upstreams.get(&address) {
            return Some(*upstream);
        }
        if address.is_ipv6() {
            let (engine, network) = (&mut self.engine, &mut *self.network);
            // A connected socket shows whether there is a route, without a packet; it stays unused.
            let reaches = *direct.reaches_v6.get_or_insert_with(|| {
                let opened = network.open_port(address, true);
                opened.inspect(|port| engine.open_port(*port)).is_ok()
            });
            if !reaches {
                return None;
            }
        }
        let server = Server {
            address,
            kind: ServerKind::Authority,
        };
        let upstream = direct.doors.open(&mut self.engine, self.network, server).ok()?;
        direct.upstreams.insert(address, upstream);
        Some(upstream)
    }

    /// A cut has no servers. If it is the list's own, the list cannot be asked.
    fn lose_cut(&mut self, now: Instant, cut: usize, state: State, why: &str) {
        let held = &mut direct_mut(&mut self.direct).cuts[cut];
        if held.state == CutState::Open {
            return; // it could not be looked up again: the servers that are known go on, and it is tried again
        }
        held.state = CutState::Gone;
        let (column, route) = (held.column, held.route);
        let why = why.to_owned();
        let fault = Fault {
            state,
            why: why.clone(),
        };
        held.fault = Some((state, why));
        for (ticket, ..) in std::mem::take(&mut held.waiting) {
            self.take(now, &failed(ticket, route));
        }
        for index in (0..self.lanes.len() as u16).map(LaneIndex) {
            let lane = &mut self.lanes[usize::from(index.0)];
            if lane.column != column || lane.standing != Standing::New || lane.route != route {
                continue;
            }
            let cause = match fault.cause() {
                Cause::ResolverBroken => Cause::ListUnhealthy,
                cause => cause,
            };
            lane.fault = Some(fault.clone());
            let (kind, lane) = (lane.kind, &self.lanes[usize::from(index.0)]);
            let evidence = Evidence::of(&self.reader(lane), kind, &[]);
            self.lanes[usize::from(index.0)].evidence = Some(evidence);
            self.give_up(index, cause);
        }
        self.judge_resolvers();
    }

    /// Looks at a reply of a server that is asked directly: whether it speaks for the zone, and if it does not, whether it
    /// refers us to somebody who does. What is left to be taken; none if it is asked again elsewhere.
    pub(super) fn follow(&mut self, now: Instant, outcome: Outcome) -> Option<Outcome> {
        let End::Reply(reply) = &outcome.end else {
            return Some(outcome);
        };
        if reply.authoritative || reply.truncated || !matches!(reply.rcode, Rcode::NOERROR | Rcode::NXDOMAIN) {
            return Some(outcome);
        }
        let Some(lane) = Purpose::of(outcome.ticket).lane() else {
            return Some(outcome);
        };
        if !self.lanes[usize::from(lane.0)].direct {
            return Some(outcome);
        }
        if reply.rcode == Rcode::NOERROR && reply.answers == 0 && self.refer(now, lane, &outcome) {
            return None;
        }
        Some(Outcome {
            end: failed(outcome.ticket, outcome.route).end,
            ..outcome
        })
    }

    /// Follows a referral, if the reply is one that leads deeper; whether it did.
    fn refer(&mut self, now: Instant, lane: LaneIndex, outcome: &Outcome) -> bool {
        let End::Reply(Reply {
            message: Some(message), ..
        }) = &outcome.end
        else {
            return false;
        };
        let Some((name, rtype)) = asked(message) else {
            return false;
        };
        let Some(referral) = decode(message, &name, rtype).ok().and_then(|answer| answer.servers) else {
            return false;
        };
        let (zone, servers) = *referral;
        let column = self.lanes[usize::from(lane.0)].column;
        let trunk = self.lanes[usize::from(lane.0)].route;
        let direct = direct_mut(&mut self.direct);
        let from = direct.cuts.iter().find(|cut| cut.route == outcome.route);
        let deeper = from.is_some_and(|cut| zone.is_under(&cut.zone) && zone.label_count() > cut.zone.label_count());
        if !deeper || !name.is_under(&zone) {
            return false; // sideways or upwards: it does not serve this zone
        }
        let probe = matches!(Purpose::of(outcome.ticket), Purpose::Probe { .. });
        let again = (outcome.ticket, name, rtype, probe);
        let full = direct.cuts.iter().filter(|cut| cut.column == column).count() >= CUTS_PER_LIST_MAX;
        let known = direct
            .cuts
            .iter_mut()
            .find(|cut| cut.column == column && cut.zone == zone);
        match known {
            Some(cut) if cut.state == CutState::Seeking => cut.waiting.push(again),
            Some(cut) if cut.state == CutState::Open => {
                let route = cut.route;
                self.ask_there(now, route, again);
            }
            Some(_) => return false,
            None if full => return false,
            None => {
                let questions = self.plan.columns[column].asked();
                let route = self.engine.add_branch(
                    trunk,
                    RouteOptions {
                        upstreams: Vec::new(),
                        zone_octets: questions.zone_octets(),
                        pace: self.paces_of_columns[column],
                    },
                );
                let mut cut = Cut::new(column, zone, route);
                cut.servers = servers;
                cut.waiting.push(again);
                let direct = direct_mut(&mut self.direct);
                direct.cuts.push(cut);
                let cut = direct.cuts.len() - 1;
                self.ask_addresses(now, cut);
            }
        }
        true
    }

    /// Asks again what was referred to a route.
    fn ask_there(&mut self, now: Instant, route: Route, (ticket, name, rtype, probe): (Ticket, Name, Rtype, bool)) {
        let ask = Ask {
            ticket,
            name: &name,
            rtype,
            route,
            probe,
        };
        if self.engine.submit(now, ask).is_err() {
            self.take(now, &failed(ticket, route));
        }
    }

    /// Everything that waits for a cut is cancelled.
    pub(super) fn cancel_waiting(&mut self, now: Instant) {
        let Some(direct) = &mut self.direct else { return };
        let waiting: Vec<Ticket> = direct
            .cuts
            .iter_mut()
            .flat_map(|cut| cut.waiting.drain(..))
            .map(|(ticket, ..)| ticket)
            .collect();
        let route = direct.resolvers;
        for ticket in waiting {
            let outcome = Outcome {
                end: End::Unsent(Unsent::Cancelled),
                ..failed(ticket, route)
            };
            self.take(now, &outcome);
        }
    }
}

impl Cut {
    fn new(column: usize, zone: Name, route: Route) -> Cut {
        Cut {
            column,
            zone,
            route,
            state: CutState::Seeking,
            servers: Vec::new(),
            found: Vec::new(),
            refused: Vec::new(),
            out: 0,
            partial: false,
            met: 0,
            climbed: 0,
            fault: None,
            ttl: KEEP_MAX,
            expires: Instant::FAR,
            until: Instant::FAR,
            waiting: Vec::new(),
        }
    }
}

fn direct_mut(direct: &mut Option<Direct>) -> &mut Direct {
    direct.as_mut().expect("cuts are there in direct mode only")
}

/// What a question comes to that nobody could be asked.
fn failed(ticket: Ticket, route: Route) -> Outcome {
    Outcome {
        ticket,
        route,
        upstream: Upstream(0),
        rtt: Span::ZERO,
        tries: 0,
        end: End::Reply(Reply {
            rcode: Rcode::SERVFAIL,
            authoritative: false,
            truncated: false,
            answers: 0,
            message: None,
        }),
    }
}

fn answer_of(outcome: &Outcome, name: &Name, rtype: Rtype) -> Option<crate::wire::Answer> {
    match &outcome.end {
        End::Reply(reply) => decode(reply.message.as_deref()?, name, rtype).ok(),
        _ => None,
    }
}

/// The question of a message that was matched before: it stands behind the header.
fn asked(message: &[u8]) -> Option<(Name, Rtype)> {
    let behind = message.get(12..)?;
    let mut end = 0;
    while *behind.get(end)? != 0 {
        end += 1 + usize::from(behind[end]);
    }
    let rtype = behind.get(end + 1..end + 3)?;
    let name = Name::from_wire(&behind[..=end]).ok()?;
    Some((name, Rtype(u16::from_be_bytes([rtype[0], rtype[1]]))))
}

/// Whether an address is in space that no list's server can have.
fn is_special(address: IpAddr) -> bool {
    let target = match address {
        IpAddr::V4(address) => Target::Ip4(address),
        IpAddr::V6(address) => match address.to_ipv4_mapped() {
            Some(_) => return true,
            None => Target::Ip6(address),
        },
    };
    special_use(&target).is_some()
}

/// The addresses in the order of asking: one of each server first, IPv4 before IPv6; none twice.
fn spread(found: &[(u8, IpAddr)]) -> Vec<IpAddr> {
    let mut ranked: Vec<(usize, u8, IpAddr)> = Vec::new();
    for (place, (number, address)) in found.iter().enumerate() {
        let server = (number - 1) / 2;
        let before = found[..place]
            .iter()
            .filter(|(other, _)| (other - 1) / 2 == server)
            .count();
        ranked.push((before, *number, *address));
    }
    ranked.sort_by_key(|(before, number, address)| (address.is_ipv6(), *before, *number));
    let mut addresses: Vec<IpAddr> = Vec::new();
    for (.., address) in ranked {
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    addresses
}

/// The pace of each column's list.
pub(super) type Paces = Vec<Option<Pace>>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_nobody_outside_can_have_are_left_out() {
        for special in [
            "127.0.0.1",
            "10.0.0.53",
            "192.168.1.1",
            "100.64.0.1",
            "169.254.1.1",
            "0.0.0.0",
            "::1",
            "fe80::1",
            "fd00::53",
            "::ffff:127.0.0.1",
            "::ffff:8.8.8.8",
        ] {
            assert!(is_special(special.parse().expect("an address")), "{special}");
        }
        for public in ["192.0.2.53", "8.8.8.8", "2001:db8::53"] {
            assert!(!is_special(public.parse().expect("an address")), "{public}");
        }
    }

    #[test]
    fn one_address_of_each_server_comes_first() {
        let address = |text: &str| -> IpAddr { text.parse().expect("an address") };
        let found = [
            (1, address("192.0.2.1")),
            (1, address("192.0.2.2")),
            (2, address("2001:db8::1")),
            (3, address("192.0.2.3")),
            (5, address("192.0.2.1")),
        ];
        let expected = ["192.0.2.1", "192.0.2.3", "192.0.2.2", "2001:db8::1"];
        assert_eq!(spread(&found), expected.map(address));
    }

    #[test]
    fn the_question_is_read_from_its_message() {
        let name: Name = "2.0.0.127.bl.example.test".parse().expect("a name");
        let flags = crate::wire::Flags {
            recursion: false,
            edns: true,
        };
        let message = name.query(7, crate::wire::QueryTail { rtype: Rtype::A, flags });
        assert_eq!(asked(&message), Some((name, Rtype::A)));
        assert_eq!(asked(&message[..20]), None);
    }
}
