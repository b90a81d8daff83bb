//! How long a run takes: its queries as flows under the operators' rates, the rate over all, what servers bear and what this
//! machine does, and the round trips that nothing overlaps with.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use crate::clock::Span;
use crate::dnsxl::OperatorIndex;
use crate::engine::forecast;

use super::course::{Flow, run};
use super::estimate::{Bound, Load, Paces};
use super::habits::EXPLAINING_MAX;
use super::ways::{FAR, Way};

/// Seconds for the program to begin and to write what it found.
const AROUND_SECONDS: f64 = 0.1;

/// Queries a second that one core carries out and writes down, with the servers on the other.
const MACHINE_QPS: f64 = 100_000.0;

/// Round trips of a list that nothing overlaps with: its examination, the last answers, the last control.
const TRIPS: u64 = 3;

/// Round trips in which direct mode finds a list's servers: their names, their addresses, one step up.
const TRIPS_TO_SEEK: u64 = 3;

/// What one list is asked about all kinds of targets.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) operator: OperatorIndex,
    pub(super) queries: u64,
    /// Of these: what pruning saves at best.
    pub(super) prunable: u64,
    pub(super) way: Way,
}

/// What a run has to do, as far as time is concerned.
#[derive(Debug, Clone, Copy)]
pub(super) struct Work<'a> {
    pub(super) streams: &'a [Stream],
    /// In the order of operators.
    pub(super) loads: &'a [Load],
    pub(super) paces: &'a Paces,
    /// Questions of the stages.
    pub(super) lookups: u64,
    /// Pruning is at its best.
    pub(super) pruned: bool,
    /// Round trips are so many times what is known or assumed of them.
    pub(super) stretch: u64,
}

/// How long it takes.
#[derive(Debug, PartialEq)]
pub(super) struct Timing {
    pub(super) seconds: f64,
    pub(super) bound: Bound,
    /// When each stream ends; nothing for those that were left out.
    pub(super) ends: Vec<f64>,
}

/// The limits of a run: this machine, the rate over all, operators, servers.
struct Limits {
    qps: Vec<f64>,
    bounds: Vec<Bound>,
    servers: Vec<(SocketAddr, usize)>,
}

const MACHINE: usize = 0;
const RATE: usize = 1;

impl<'a> Work<'a> {
    /// All of it, as it is assumed to be.
    pub(super) fn of(streams: &'a [Stream], loads: &'a [Load], paces: &'a Paces, lookups: u64) -> Work<'a> {
        Work {
            streams,
            loads,
            paces,
            lookups,
            pruned: false,
            stretch: 1,
        }
    }

    /// The time without these operators' lists.
    pub(super) fn timing(&self, left_out: &BTreeSet<OperatorIndex>) -> Timing {
        let mut limits = Limits {
            qps: vec![MACHINE_QPS, self.paces.rate_qps.unwrap_or(f64::INFINITY)],
            bounds: vec![Bound::Servers, Bound::Rate],
            servers: Vec::new(),
        };
        let operators: Vec<Option<usize>> = self.loads.iter().map(|load| limits.operator(load)).collect();
        let stretched = |way: &Way| Way {
            rtt: way.rtt.times(self.stretch),
            ..way.clone()
        };
        let resolving = stretched(&self.paces.ways.resolving());
        let ways: Vec<Way> = self.streams.iter().map(|stream| stretched(&stream.way)).collect();
        let mut flows = Vec::new();
        for (stream, way) in self.streams.iter().zip(&ways) {
            let place = self.loads.binary_search_by_key(&stream.operator, |load| load.operator);
            let place = place.expect("each stream's operator has a load");
            let load = &self.loads[place];
            // What a day's limit leaves of the operator's queries is taken to be left of each list's.
            let today = load.today as f64 / load.queries().max(1) as f64;
            let queries = match left_out.contains(&stream.operator) {
                true => 0,
                false => stream.queries - if self.pruned { stream.prunable } else { 0 },
            };
            flows.push(limits.flow(queries as f64 * today, way, operators[place]));
        }
        let mut lookups = limits.flow(self.lookups as f64, &resolving, None);
        lookups.most_qps = lookups
            .most_qps
            .min(EXPLAINING_MAX as f64 / resolving.rtt.as_secs_f64());
        flows.push(lookups);
        let ended = run(&flows, &limits.qps);
        let alone = |way: &Way| way.rtt.as_secs_f64() * if self.paces.skip_health { 1.0 } else { TRIPS as f64 };
        let ways = ways.iter().chain([&resolving]);
        let mut last = (0.0, Bound::Nothing);
        let mut ends = Vec::new();
        for ((ended, flow), way) in ended.iter().zip(&flows).zip(ways) {
            let end = match flow.queries > 0.0 {
                true => ended.seconds + alone(way),
                false => 0.0,
            };
            if end > last.0 {
                last = (end, ended.held_by.map_or(Bound::Servers, |limit| limits.bounds[limit]));
            }
            ends.push(end);
        }
        ends.pop(); // the stages'
        let around = match last.1 {
            Bound::Nothing => 0.0,
            _ => AROUND_SECONDS + self.before(&resolving),
        };
        Timing {
            seconds: last.0 + around,
            bound: last.1,
            ends,
        }
    }

    /// Seconds before lists are asked: the check of the resolvers, the search for servers.
    fn before(&self, resolving: &Way) -> f64 {
        let checks = u64::from(!self.paces.skip_health && !self.paces.ways.resolvers.is_empty());
        let seeks = if self.paces.ways.direct { TRIPS_TO_SEEK } else { 0 };
        resolving.rtt.times(checks).as_secs_f64() + FAR.times(seeks * self.stretch).as_secs_f64()
    }
}

impl Limits {
    fn operator(&mut self, load: &Load) -> Option<usize> {
        let rate = load.rate_qps?;
        self.qps.push(rate);
        self.bounds.push(Bound::Operator(load.operator));
        Some(self.qps.len() - 1)
    }

    /// The limit of one server, all lists together.
    fn server(&mut self, address: SocketAddr, way: &Way) -> usize {
        let found = self.servers.iter().find(|(known, _)| *known == address);
        if let Some((_, limit)) = found {
            return *limit;
        }
        self.qps.push(f64::from(way.window_all) / seconds(way.rtt));
        self.bounds.push(Bound::Servers);
        self.servers.push((address, self.qps.len() - 1));
        self.qps.len() - 1
    }

    fn flow(&mut self, queries: f64, way: &Way, operator: Option<usize>) -> Flow {
        let part = 1.0 / way.count as f64;
        let mut limits = vec![(MACHINE, 1.0), (RATE, 1.0)];
        limits.extend(operator.map(|limit| (limit, 1.0)));
        for &server in &way.servers {
            limits.push((self.server(server, way), part));
        }
        // Its servers share the queries, each by a window of its own.
        let each = (queries * part).ceil().max(1.0);
        let takes = forecast(each as u64, way.rtt.max(SHORTEST), way.window, way.careful);
        Flow {
            queries,
            weight: way.count as f64,
            most_qps: each * way.count as f64 / seconds(takes),
            limits,
        }
    }
}

/// Round trips are no shorter: less would be a rate without end.
const SHORTEST: Span = Span::from_micros(10);

fn seconds(span: Span) -> f64 {
    span.max(SHORTEST).as_secs_f64()
}
