//! How the lists of a run are reached, as far as that is known before anything is sent: through which servers, how far away
//! these are, how much may be in flight to them.
//!
//! The round trip is what nobody knows: an earlier run may have measured it by the same way, else it is assumed. Nothing but the
//! time of a run is estimated by it.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use crate::clock::Span;
use crate::dnsxl::ListIndex;
use crate::engine::WINDOW_MAX;
use crate::transport::is_near;
use crate::wire::Name;

use super::habits::RESOLVER_WINDOW_MAX;

/// The round trip to a server that is not known: a resolver that has to ask a list's server somewhere in the world, or that
/// server itself.
pub(super) const FAR: Span = Span::from_millis(50);

/// The round trip to a server on our own machine or network that answers by itself.
pub(super) const NEAR: Span = Span::from_micros(200);

/// Servers that a list has in direct mode, as is assumed.
const SERVERS: u64 = 2;

/// Where a run's questions go.
#[derive(Debug, Clone, Default)]
pub struct Ways {
    /// The resolvers.
    pub resolvers: Vec<SocketAddr>,
    /// Servers for single zones.
    pub routes: Vec<(Name, SocketAddr)>,
    /// Whether lists without a route are asked by their own name servers.
    pub direct: bool,
    /// Whether the resolver is the lab on this machine, which knows everything itself.
    pub lab: bool,
    /// Queries in flight to one server at most, if the user has set it.
    pub window_max: Option<u32>,
    /// Round trips of lists that earlier runs have measured.
    pub measured: BTreeMap<ListIndex, Span>,
}

/// How one list is reached.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Way {
    /// Its servers, if they are known.
    pub(super) servers: Vec<SocketAddr>,
    /// How many there are.
    pub(super) count: u64,
    pub(super) rtt: Span,
    /// Queries in flight to each server for this list, and for all lists.
    pub(super) window: u32,
    pub(super) window_all: u32,
    /// Its window grows carefully.
    pub(super) careful: bool,
    /// It is asked without a resolver.
    pub(super) own: bool,
    /// An earlier run measured the round trip.
    pub(super) is_measured: bool,
}

/// A round trip that is counted with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trip {
    /// How long it takes.
    pub takes: Span,
    /// An earlier run measured it; else it is assumed.
    pub is_measured: bool,
}

impl Ways {
    /// In words, through which servers the names of a zone are asked: what was measured by one way says nothing of another. None for
    /// the lab, which is another at each start.
    pub fn name(&self, zone: &Name) -> Option<String> {
        if self.lab {
            return None;
        }
        let of = |word: &str, mut servers: Vec<SocketAddr>| {
            servers.sort_unstable();
            servers
                .iter()
                .fold(word.to_owned(), |words, server| format!("{words} {server}"))
        };
        let routed = longest_match(&self.routes, zone);
        Some(match (routed.is_empty(), self.direct) {
            (false, _) => of("route", routed),
            (true, true) => "direct".to_owned(),
            (true, false) => of("resolvers", self.resolvers.clone()),
        })
    }

    /// The way to a list that is asked in a zone.
    pub(super) fn of(&self, list: ListIndex, zone: &Name) -> Way {
        let routed = longest_match(&self.routes, zone);
        let measured = self.measured.get(&list).copied();
        let window = self.window_max.unwrap_or(WINDOW_MAX);
        if !routed.is_empty() {
            let near = routed.iter().all(|server| is_near(server.ip()));
            return Way {
                count: routed.len() as u64,
                servers: routed,
                rtt: measured.unwrap_or(if near { NEAR } else { FAR }),
                window,
                window_all: window,
                careful: true,
                own: true,
                is_measured: measured.is_some(),
            };
        }
        if self.direct {
            return Way {
                servers: Vec::new(),
                count: SERVERS,
                rtt: measured.unwrap_or(FAR),
                window,
                window_all: window,
                careful: true,
                own: true,
                is_measured: measured.is_some(),
            };
        }
        Way {
            rtt: measured.unwrap_or(self.trip()),
            is_measured: measured.is_some(),
            ..self.resolving()
        }
    }

    /// The way of what is looked up by resolvers.
    pub(super) fn resolving(&self) -> Way {
        Way {
            servers: self.resolvers.clone(),
            count: self.resolvers.len().max(1) as u64,
            rtt: self.trip(),
            window: self.window_max.unwrap_or(WINDOW_MAX),
            window_all: self.window_max.unwrap_or(RESOLVER_WINDOW_MAX),
            careful: false,
            own: false,
            is_measured: false,
        }
    }

    fn trip(&self) -> Span {
        if self.lab { NEAR } else { FAR }
    }
}

/// What goes with the longest zone that the name is in.
pub(crate) fn longest_match<T: Copy>(routes: &[(Name, T)], name: &Name) -> Vec<T> {
    let fitting = routes.iter().filter(|(zone, _)| name.is_under(zone));
    let longest = fitting.clone().map(|(zone, _)| zone.label_count()).max();
    fitting
        .filter(|(zone, _)| Some(zone.label_count()) == longest)
        .map(|(_, with)| *with)
        .collect()
}
