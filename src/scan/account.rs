//! The account of a run: what each worker has to tell at its end, and the report that is made of it.

use crate::clock::Span;
use crate::dnsxl::{Fault, How};
use crate::engine::Counters;

use super::closing::Counted;
use super::lane::Standing;
use super::network::Network;
use super::run::{ListReport, RunReport, Scan, StopReason};
use super::worker::Worker;

/// What one worker tells.
#[derive(Debug)]
pub(super) struct Part {
    /// By column.
    lists: Vec<ListPart>,
    lookups: u64,
    unreached: u64,
    resolver_faults: Vec<String>,
    stopped: Option<StopReason>,
    counters: Counters,
}

/// What one worker tells of a list.
#[derive(Debug)]
struct ListPart {
    counted: Counted,
    healthy_at_start: Option<bool>,
    fault: Option<Fault>,
    /// Another list's answers told all that was needed.
    spared: bool,
    asked: u64,
    packets: u64,
    /// Replies about targets, and how long they took in all.
    timed: (u64, Span),
    unproved: u64,
}

impl<N: Network> Worker<'_, N> {
    /// What it has to tell; at the end.
    pub(super) fn part(&mut self) -> Part {
        let counters = self.engine.counters();
        debug_assert_eq!(counters.submitted, counters.ended, "every ask ends as one outcome");
        Part {
            resolver_faults: self.resolver_faults(),
            lists: (0..self.plan.columns.len())
                .map(|column| self.list_part(column))
                .collect(),
            lookups: self.explainer.asked(),
            unreached: self.unreached,
            stopped: self.stopping.map(|(reason, _)| reason),
            counters,
        }
    }

    fn list_part(&self, column: usize) -> ListPart {
        let all = self.lanes.iter().filter(|lane| lane.column == column);
        let asked: u64 = all.clone().map(|lane| lane.asked).sum();
        let (healthy_at_start, fault) = self.standing_of(column);
        let is_used = asked > 0 || healthy_at_start.is_some() || self.options.skip_health;
        let route = all.clone().next().map(|lane| lane.route).filter(|_| is_used);
        let mut own = all.clone().filter(|lane| !lane.related);
        ListPart {
            counted: self.counts[column],
            healthy_at_start,
            fault,
            spared: own.any(|lane| lane.standing == Standing::Spare),
            asked,
            packets: route.map_or(0, |route| self.engine.route_counters(route).packets),
            timed: all.fold((0, Span::ZERO), |(replies, took), lane| {
                (replies + lane.timed.0, took + lane.timed.1)
            }),
            unproved: self.unproved(column),
        }
    }
}

impl Part {
    /// Both together: a list is healthy if it was so for everybody, and what went wrong for one is told.
    fn join(mut self, other: Part) -> Part {
        for (list, other) in self.lists.iter_mut().zip(other.lists) {
            list.join(other);
        }
        for fault in other.resolver_faults {
            if !self.resolver_faults.contains(&fault) {
                self.resolver_faults.push(fault);
            }
        }
        self.lookups += other.lookups;
        self.unreached += other.unreached;
        self.stopped = self.stopped.or(other.stopped);
        self.counters += other.counters;
        self
    }
}

impl ListPart {
    fn join(&mut self, other: ListPart) {
        self.counted += other.counted;
        self.healthy_at_start = match (self.healthy_at_start, other.healthy_at_start) {
            (Some(here), Some(there)) => Some(here && there),
            (here, there) => here.or(there),
        };
        self.fault = self.fault.take().or(other.fault);
        self.spared &= other.spared;
        self.asked += other.asked;
        self.packets += other.packets;
        self.timed = (self.timed.0 + other.timed.0, self.timed.1 + other.timed.1);
        self.unproved += other.unproved;
    }
}

impl Scan<'_> {
    /// The report of all workers' parts, of which there is one at least.
    pub(super) fn report(&self, parts: Vec<Part>, elapsed: Span) -> RunReport {
        let workers = parts.len() as u32; // 255 at most
        let whole = parts.into_iter().reduce(Part::join).expect("somebody has worked");
        let learnt = |how: How| -> u64 { whole.lists.iter().map(|list| list.counted.learnt[how as usize]).sum() };
        let (folded, pruned) = (learnt(How::Folded), learnt(How::Pruned));
        let (shared, local) = (learnt(How::Shared), learnt(How::Local));
        let columns = self.plan.columns.iter().zip(whole.lists);
        let lists: Vec<ListReport> = columns
            .map(|(facts, list)| ListReport {
                list: facts.list,
                healthy_at_start: list.healthy_at_start,
                vouched: match (&facts.local, list.healthy_at_start) {
                    (Some(_), _) => Some(How::Local),
                    (None, None) => list.spared.then_some(How::Folded),
                    (None, Some(_)) => None,
                },
                fault: list.fault,
                packets: list.packets,
                asked: list.asked,
                rtt: (list.timed.0 > 0).then(|| list.timed.1.part(list.timed.0)),
                listed: list.counted.listed,
                not_listed: list.counted.not_listed,
                unknown: list.counted.unknown,
                not_asked: list.counted.not_asked,
                unproved: list.unproved,
            })
            .collect();
        let targets = self.plan.targets.len();
        for list in &lists {
            let observed = list.listed + list.not_listed + list.unknown + list.not_asked;
            assert_eq!(
                observed, targets,
                "every pair of a list ends as exactly one observation"
            );
        }
        let planned = lists.iter().map(|list| list.listed + list.not_listed + list.unknown);
        RunReport {
            planned: planned.sum(),
            answered: lists.iter().map(|list| list.listed + list.not_listed).sum(),
            folded,
            pruned,
            shared,
            local,
            asked: lists.iter().map(|list| list.asked).sum::<u64>() + whole.lookups,
            lookups: whole.lookups,
            lists,
            unreached: whole.unreached,
            resolver_faults: whole.resolver_faults,
            stopped: whole.stopped,
            elapsed,
            workers,
            counters: whole.counters,
        }
    }
}
