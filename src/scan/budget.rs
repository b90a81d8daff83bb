//! Operators' daily budgets in a run: reserved from the ledger in chunks before anything is sent, and given back at the end.
//!
//! What counts is packets on the operator's routes: probes, controls, TXT questions and retries too. What is in flight is
//! counted as often as it may have to be sent.

use crate::clock::{Instant, Span};
use crate::dnsxl::Cause;
use crate::plan::habits::{BUDGET_FOR_CONTROLS, NAMES_MAX, PROBE_TRIES_MORE};
use crate::plan::{LEASE_SPAN, chunk_of};

use super::lane::Standing;
use super::network::Network;
use super::ticket::LaneIndex;
use super::worker::Worker;

/// How often a ledger that has no more to give is asked again: what is old enough runs out of the 24 hours.
const BUDGET_AGAIN: Span = Span::from_secs(60);

/// What one operator may be asked, and what of that is reserved for this run.
#[derive(Debug)]
pub(super) struct Budget {
    /// In 24 hours, by all runs together.
    pub(super) limit: u64,
    /// Reserved since this run began, what was given back not counted.
    pub(super) granted: u64,
    /// When what is left of it must be renewed.
    pub(super) until: Instant,
    /// The ledger had not enough: it is asked again then.
    pub(super) again: Instant,
    pub(super) lanes: Vec<LaneIndex>,
}

impl<N: Network> Worker<'_, N> {
    /// Reserves what a budget needs to begin with. An operator that cannot even be examined today is not asked.
    pub(super) fn open_budgets(&mut self) {
        let now = self.network.now();
        for (operator, budget) in &mut self.budgets {
            let lanes = budget.lanes.iter().map(|lane| &self.lanes[usize::from(lane.0)]);
            let controlled = lanes.filter(|lane| lane.standing != Standing::Spare).count();
            let least = BUDGET_FOR_CONTROLS * controlled as u64;
            let id = &self.plan.catalogue.operator(*operator).id;
            budget.granted = self.ledger.reserve(id, budget.limit, least + chunk_of(budget.limit));
            budget.until = now + LEASE_SPAN;
            if budget.granted < least {
                for lane in &budget.lanes {
                    self.lanes[usize::from(lane.0)].standing = Standing::GivenUp(Cause::OverBudget);
                }
            }
        }
    }

    /// Gives back what is left of all budgets.
    pub(super) fn close_budgets(&mut self) {
        for (operator, budget) in &self.budgets {
            let (packets, _) = self.spent(budget);
            let id = &self.plan.catalogue.operator(*operator).id;
            self.ledger.settle(id, 0, budget.granted.saturating_sub(packets));
        }
    }

    /// What was sent under a budget, and what may still have to be: what is in flight may be lost every time, and lists must
    /// be controlled to the end.
    fn spent(&self, budget: &Budget) -> (u64, u64) {
        let tries = 1 + u64::from(self.options.retries);
        let mut unsent = 0;
        let (mut packets, mut last) = (0, None);
        for lane in budget.lanes.iter().map(|lane| &self.lanes[usize::from(lane.0)]) {
            if lane.standing != Standing::Spare {
                unsent += BUDGET_FOR_CONTROLS;
            }
            unsent += tries * u64::from(lane.in_flight);
            // Lanes of one list stand together, and share its route.
            if last.replace(lane.route) != Some(lane.route) {
                packets += self.engine.route_counters(lane.route).packets;
            }
        }
        (packets, unsent)
    }

    /// How many more queries the operator's budget allows for targets. It counts packets.
    pub(super) fn allowance(&mut self, now: Instant, index: LaneIndex) -> u64 {
        let operator = self.plan.catalogue.list(self.lanes[usize::from(index.0)].list).operator;
        let Some(budget) = self.budgets.get(&operator) else {
            return u64::MAX;
        };
        let (packets, unsent) = self.spent(budget);
        let budget = self.budgets.get_mut(&operator).expect("just found");
        let id = &self.plan.catalogue.operator(operator).id;
        if now >= budget.until {
            let kept = unsent.min(budget.granted.saturating_sub(packets));
            let unused = budget.granted.saturating_sub(packets + kept);
            self.ledger.settle(id, kept, unused);
            budget.granted -= unused;
            budget.until = now + LEASE_SPAN;
        }
        // What one more target takes at most: less is of no use to anybody.
        let least = (1 + u64::from(self.options.retries)) * NAMES_MAX as u64;
        let short = (packets + unsent + least).saturating_sub(budget.granted);
        if short > 0 && now >= budget.again {
            let granted = self.ledger.reserve(id, budget.limit, short + chunk_of(budget.limit));
            budget.granted += granted;
            if granted < short {
                budget.again = now + BUDGET_AGAIN;
            }
        }
        budget.granted.saturating_sub(packets + unsent)
    }

    /// Whether the operator's budget bears so many probes more, each of them lost as often as may be. Probes and controls
    /// have a reserve, but a list that fails again and again would use up any.
    pub(super) fn bears(&mut self, index: LaneIndex, probes: usize) -> bool {
        let operator = self.plan.catalogue.list(self.lanes[usize::from(index.0)].list).operator;
        let Some(budget) = self.budgets.get(&operator) else {
            return true;
        };
        let (packets, unsent) = self.spent(budget);
        let lanes = budget.lanes.iter().map(|lane| &self.lanes[usize::from(lane.0)]);
        let waiting: u64 = lanes.map(|lane| u64::from(lane.probes_out)).sum();
        let tries = 1 + u64::from(self.options.retries) + PROBE_TRIES_MORE;
        let kept = BUDGET_FOR_CONTROLS * budget.lanes.len() as u64;
        let needed = packets + unsent.saturating_sub(kept) + tries * (waiting + probes as u64);
        let budget = self.budgets.get_mut(&operator).expect("just found");
        let short = needed.saturating_sub(budget.granted);
        if short > 0 {
            let id = &self.plan.catalogue.operator(operator).id;
            budget.granted += self.ledger.reserve(id, budget.limit, short);
        }
        needed <= budget.granted
    }

    /// Whether the operator's lists have anything in flight.
    pub(super) fn is_asking(&self, index: LaneIndex) -> bool {
        let operator = self.plan.catalogue.list(self.lanes[usize::from(index.0)].list).operator;
        let lanes = self
            .budgets
            .get(&operator)
            .map_or(&[] as &[LaneIndex], |budget| &budget.lanes);
        let mut lanes = lanes.iter().map(|lane| &self.lanes[usize::from(lane.0)]);
        lanes.any(|lane| lane.in_flight > 0 || lane.probes_out > 0)
    }

    /// The budget is used up: what is pending is for another day. What was learnt is still to be confirmed.
    pub(super) fn exhaust(&mut self, index: LaneIndex) {
        self.abandon(index, Cause::OverBudget);
        // Tiles that open later are filled by the next call.
        self.lanes[usize::from(index.0)].cursor = (self.window.end(), 0);
    }
}
