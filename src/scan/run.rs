//! The door of a scan: what it is told, what it tells, and the way from a plan to a report.

use std::io;
use std::net::SocketAddr;
use std::num::NonZero;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::clock::{Instant, Span};
use crate::dnsxl::{Fault, How, ListIndex};
use crate::dossier::{Dossier, Journal, NoJournal};
use crate::engine::{Counters, Engine, EngineOptions, RouteOptions};
use crate::exchange::Upstream;
use crate::plan::ways::longest_match;
use crate::plan::{Ledger, Plan, RunLedger, Treatment};
use crate::stages::{StageOptions, Stages};
use crate::targets::{Kind, special_use};
use crate::wire::Name;

use super::budget::Budget;
use super::claims::Claims;
use super::closing::Counted;
use super::explain::{Explainer, open_ways};
use super::lane::{Lane, Standing};
use super::network::Network;
use super::related::Related;
use super::resolvers::{Check, Checks, Doors, Server, ServerKind};
use super::ticket::LaneIndex;
use super::undo::Undo;
use super::window::Window;
use super::worker::Worker;

/// Exchanges held at a time by one worker: enough for the windows of 300 lists with two servers each. A slot takes memory (some
/// 350 octets) when it is first used.
const SLOTS: usize = 65_534;

/// How to scan.
#[derive(Debug, Clone)]
pub struct ScanOptions {
    /// The resolvers to ask through. May be empty if every list has a route of its own.
    pub resolvers: Vec<SocketAddr>,
    /// Servers for single zones: names at or below the zone are asked there.
    pub routes: Vec<(Name, SocketAddr)>,
    /// Whether each list's own name servers are asked, found through the resolvers; those with a route are asked there.
    pub direct: bool,
    /// Whether addresses are taken for not listed where nothing exists below their parent (RFC 8020), with lists that are
    /// asked directly or by a route, as long as their servers prove that this holds.
    pub prune: bool,
    /// Packets a second over all lists; none: no limit.
    pub rate_qps: Option<f64>,
    /// Queries in flight to one server at most; none: what suits its kind.
    pub window_max: Option<u32>,
    /// How long one try may take.
    pub timeout: Span,
    /// How many more tries after the first.
    pub retries: u8,
    /// How many threads ask.
    pub workers: Workers,
    /// Whether queries to servers on our own machine or network may travel in trains (UDP GSO).
    pub trains: bool,
    /// Whether operators' rates and daily limits are left aside.
    pub ignore_budgets: bool,
    /// Whether lists are believed without a health check.
    pub skip_health: bool,
    /// Orders the plan; nothing else.
    pub seed: u64,
    /// When to stop, counted from the start.
    pub max_time: Option<Span>,
    /// What is looked at beside the lists.
    pub stages: Stages,
    /// How.
    pub stage_options: StageOptions,
}

impl Default for ScanOptions {
    /// No server, no limit but the operators', three seconds a try and three tries more.
    fn default() -> ScanOptions {
        ScanOptions {
            resolvers: Vec::new(),
            routes: Vec::new(),
            direct: false,
            prune: false,
            rate_qps: None,
            window_max: None,
            timeout: Span::from_secs(3),
            retries: 3,
            workers: Workers::Exactly(NonZero::<u8>::MIN),
            trains: true,
            ignore_budgets: false,
            skip_health: false,
            seed: 0,
            max_time: None,
            stages: Stages::NONE,
            stage_options: StageOptions::default(),
        }
    }
}

/// How many threads ask, each with an engine of its own. Where others' servers are asked, or something holds for all questions
/// together (rates, budgets, pruning, stages), it is [one](Scan::why_one_worker) whatever this says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Workers {
    /// As many as have their hands full, where all servers are on this machine and no window is given: one less than so many
    /// cores, for the servers.
    Within(NonZero<usize>),
    /// So many from the start, where all servers are on this machine or its network: not more than may be in flight, nor where
    /// there are too few targets for another.
    Exactly(NonZero<u8>),
}

/// Why a run was stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopReason {
    /// SIGINT.
    Interrupt,
    /// SIGTERM.
    Terminate,
    /// SIGHUP: the terminal has gone away.
    HangUp,
    /// The time it was given is over.
    MaxTime,
}

/// A request to stop, which a signal handler may make.
#[derive(Debug, Default)]
pub struct Stop(AtomicU8);

impl Stop {
    /// No request yet.
    pub const fn new() -> Stop {
        Stop(AtomicU8::new(0))
    }

    /// Asks the run to stop. Safe to call from a signal handler.
    pub fn request(&self, reason: StopReason) {
        let code = match reason {
            StopReason::Interrupt => 1,
            StopReason::Terminate => 2,
            StopReason::MaxTime => 3,
            StopReason::HangUp => 4,
        };
        self.0.store(code, Ordering::Relaxed);
    }

    /// What was asked for, if anything.
    pub fn requested(&self) -> Option<StopReason> {
        match self.0.load(Ordering::Relaxed) {
            1 => Some(StopReason::Interrupt),
            2 => Some(StopReason::Terminate),
            3 => Some(StopReason::MaxTime),
            4 => Some(StopReason::HangUp),
            _ => None,
        }
    }
}

/// In which order a dossier comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// As its tile closed: soonest.
    AsClosed,
    /// In the order of the input.
    Input,
}

/// Who takes the dossiers. Each comes once in each order; what was learnt by pruning on a denial that proves false later is
/// revised.
pub trait Receiver {
    /// Takes a dossier.
    ///
    /// # Errors
    /// What ends the run: a report that cannot be written.
    fn take(&mut self, dossier: &Dossier, order: Order) -> io::Result<()>;

    /// Takes a dossier in the stead of an earlier one of the same target, which came [as its tile closed](Order::AsClosed).
    /// Only observations differ.
    ///
    /// # Errors
    /// As [`take`](Receiver::take).
    fn revise(&mut self, before: &Dossier, after: &Dossier) -> io::Result<()>;

    /// Forgets all that came [in input order](Order::Input): it will come once more, in its last revision.
    ///
    /// # Errors
    /// As [`take`](Receiver::take).
    fn start_over(&mut self) -> io::Result<()>;

    /// Whether dossiers are wanted in input order too.
    fn wants_input_order(&self) -> bool;
}

/// Nobody: what is found is counted alone.
impl Receiver for () {
    fn take(&mut self, _: &Dossier, _: Order) -> io::Result<()> {
        Ok(())
    }

    fn revise(&mut self, _: &Dossier, _: &Dossier) -> io::Result<()> {
        Ok(())
    }

    fn start_over(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn wants_input_order(&self) -> bool {
        false
    }
}

/// A list that does not work at the moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// Which.
    pub list: ListIndex,
    /// What is wrong, safe to show.
    pub why: String,
}

/// Who will be done last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Slowest {
    /// A list.
    List(ListIndex),
    /// The stages, which look at the targets' own records.
    Stages,
}

/// How far a run has come.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    /// Since the start.
    pub elapsed: Span,
    /// Targets in all.
    pub targets: u64,
    /// Targets of which everything is known that will be.
    pub targets_done: u64,
    /// Of these: with a listing.
    pub targets_listed: u64,
    /// Share of the work that is done, from 0 to 1: of the pairs, and of the targets for each stage. Lists that are given up
    /// have passed all of theirs.
    pub passed: f64,
    /// How long the slowest list, or the stages, will take for the rest, at their pace so far. None where it cannot be said,
    /// because a list is being examined or something has not begun.
    pub left: Option<Span>,
    /// The slowest, or what it cannot be said because of.
    pub slowest: Option<Slowest>,
    /// Pairs that ended unknown.
    pub pairs_unknown: u64,
    /// Queries asked.
    pub asked: u64,
    /// Exchanges open.
    pub in_flight: u64,
    /// Packets sent.
    pub sent: u64,
    /// Lists that do not work.
    pub troubles: Vec<Trouble>,
    /// No other will follow.
    pub last: bool,
}

/// Who watches a run.
pub trait Progress {
    /// Shows how far it has come; some ten times a second.
    fn show(&mut self, snapshot: &Snapshot);
}

/// What was learnt about a list, and from it.
#[derive(Debug, Clone, PartialEq)]
pub struct ListReport {
    /// Which.
    pub list: ListIndex,
    /// Whether it passed its examination before it was used; none if it was not examined.
    pub healthy_at_start: Option<bool>,
    /// Where it was not examined because nothing had to be asked of it: how all was learnt.
    pub vouched: Option<How>,
    /// What was wrong with it, at the start or later.
    pub fault: Option<Fault>,
    /// Queries asked, probes included, retries not.
    pub asked: u64,
    /// Packets sent, retries included.
    pub packets: u64,
    /// How long its replies about targets took in the mean; none if there were none.
    pub rtt: Option<Span>,
    /// Targets listed.
    pub listed: u64,
    /// Targets not listed.
    pub not_listed: u64,
    /// Targets of which it is unknown.
    pub unknown: u64,
    /// Targets not to be asked.
    pub not_asked: u64,
    /// Settled by pruning and handed out before a denial proved false, and not asked since. They are unknown; where there is
    /// no journal to recall them from, they are not listed.
    pub unproved: u64,
}

/// How a run went.
#[derive(Debug, Clone, PartialEq)]
pub struct RunReport {
    /// One for each list of the plan, in its order.
    pub lists: Vec<ListReport>,
    /// Pairs (target, list) that were to be learnt.
    pub planned: u64,
    /// Of these: learnt.
    pub answered: u64,
    /// Of these: learnt from a composite zone's answer.
    pub folded: u64,
    /// Learnt from a parent's NXDOMAIN.
    pub pruned: u64,
    /// Learnt from another address of the same unit.
    pub shared: u64,
    /// Learnt from zone data on disk.
    pub local: u64,
    /// Queries asked, those of the stages included.
    pub asked: u64,
    /// Of these: of the stages.
    pub lookups: u64,
    /// Targets that were not reached before the run was stopped.
    pub unreached: u64,
    /// What is wrong with the resolvers, and the mend.
    pub resolver_faults: Vec<String>,
    /// Why it was stopped, if it was.
    pub stopped: Option<StopReason>,
    /// How long it took.
    pub elapsed: Span,
    /// Threads that asked.
    pub workers: u32,
    /// What their engines did.
    pub counters: Counters,
}

/// What a run remembers beyond itself.
pub struct Memory<'m> {
    /// Its closed tiles.
    pub journal: &'m mut (dyn Journal + Send),
    /// What operators have been asked today.
    pub ledger: &'m mut dyn Ledger,
}

/// Why a scan cannot be carried out.
#[derive(Debug, thiserror::Error)]
pub enum ScanError {
    /// No socket for a server.
    #[error("cannot open a socket towards {0}: {1}")]
    Socket(SocketAddr, #[source] io::Error),
    /// A list has no server to be asked through.
    #[error("there is no resolver to ask {0} through; name one with --resolver")]
    NoResolver(String),
    /// A report could not be written.
    #[error("{0}")]
    Report(#[from] io::Error),
}

/// Whom a run asks, and what about.
pub(super) struct Wanted {
    /// Anything is asked at all. Else nobody is waited for.
    pub(super) asks: bool,
    /// The kinds of targets that lists are asked about.
    pub(super) kinds: Vec<Kind>,
}

/// A scan that is ready to run.
#[derive(Debug)]
pub struct Scan<'a> {
    /// What to ask of whom.
    pub plan: &'a Plan<'a>,
    /// How.
    pub options: &'a ScanOptions,
}

impl Scan<'_> {
    /// Runs the scan to its end, or until it is stopped. `entropy` seeds the CSPRNG for IDs, ports and canaries; give
    /// 32 octets from the operating system.
    ///
    /// # Errors
    /// For our own failures: sockets and reports. What the network does is in the report.
    pub fn run<N: Network>(
        &self,
        network: &mut N,
        entropy: [u8; 32],
        watchers: (&mut (dyn Receiver + Send), &mut (dyn Progress + Send)),
        stop: &Stop,
    ) -> Result<RunReport, ScanError> {
        let memory = Memory {
            journal: &mut NoJournal,
            ledger: &mut RunLedger::default(),
        };
        self.run_with(network, entropy, watchers, stop, memory)
    }

    /// As [`run`](Scan::run), with a memory: tiles that the journal knows are not asked again, tiles that close are kept in
    /// it, and budgets are reserved from the ledger.
    ///
    /// # Errors
    /// For our own failures: sockets and reports. What the network does is in the report.
    pub fn run_with<N: Network>(
        &self,
        network: &mut N,
        entropy: [u8; 32],
        (receiver, progress): (&mut (dyn Receiver + Send), &mut (dyn Progress + Send)),
        stop: &Stop,
        memory: Memory<'_>,
    ) -> Result<RunReport, ScanError> {
        let wanted = self.wanted();
        match self.workers_max(&wanted, memory.journal) {
            1 => self.run_alone(network, entropy, (receiver, progress, stop), (&wanted, memory)),
            most => self.run_together(network, entropy, (receiver, progress, stop), (&wanted, memory), most),
        }
    }

    pub(super) fn wanted(&self) -> Wanted {
        let kinds: Vec<Kind> = self.plan.kinds().filter(|&kind| self.asks_about(kind)).collect();
        let looks = !self.options.stages.is_empty() && !kinds.is_empty();
        let asks = looks || (0..self.plan.columns.len()).any(|column| self.is_asked(column, &kinds));
        Wanted { asks, kinds }
    }

    fn run_alone<N: Network>(
        &self,
        network: &mut N,
        entropy: [u8; 32],
        (receiver, progress, stop): (&mut dyn Receiver, &mut dyn Progress, &Stop),
        (wanted, memory): (&Wanted, Memory<'_>),
    ) -> Result<RunReport, ScanError> {
        let memory = Memory {
            journal: &mut *memory.journal,
            ledger: &mut *memory.ledger,
        };
        let mut worker = self.worker(network, entropy, memory, Claims::of(self.plan));
        self.begin(&mut worker, wanted)?;
        worker.open_budgets();
        let ran = worker.run(receiver, progress, stop, &mut |_| ());
        let ran = ran.and_then(|()| worker.finish(receiver, progress));
        worker.close_budgets();
        ran?;
        Ok(self.report(vec![worker.part()], worker.elapsed()))
    }

    /// Whether there is a target of the kind outside special-use space: else no list needs to be looked at for it.
    fn asks_about(&self, kind: Kind) -> bool {
        let chunks = self.plan.targets.chunks().filter(|chunk| chunk.has(kind));
        let mut targets = chunks.flat_map(|chunk| chunk.iter());
        targets.any(|target| target.kind() == kind && special_use(&target).is_none())
    }

    /// Whether a column's list is asked about targets of one of these kinds, at least where another's answer cannot tell.
    pub(super) fn is_asked(&self, column: usize, kinds: &[Kind]) -> bool {
        let mut treatments = kinds.iter().map(|&kind| self.plan.treatment(column, kind));
        treatments.any(|treatment| matches!(treatment, Treatment::Ask | Treatment::Fold(_)))
    }

    /// A worker that has asked nothing yet.
    pub(super) fn worker<'w, N: Network>(
        &'w self,
        network: &'w mut N,
        entropy: [u8; 32],
        memory: Memory<'w>,
        claims: Arc<Claims>,
    ) -> Worker<'w, N> {
        let mut rng = StdRng::from_seed(entropy);
        let engine = Engine::new(
            EngineOptions {
                slots: SLOTS,
                timeout: self.options.timeout,
                retries: self.options.retries,
                rate_qps: self.options.rate_qps,
            },
            StdRng::from_seed(rng.random()),
        );
        let started = network.now();
        Worker {
            plan: self.plan,
            options: self.options,
            network,
            engine,
            rng,
            window: Window::new(claims),
            explainer: Explainer::new(self.options.stages, &self.options.stage_options),
            related: Related::default(),
            lanes: Vec::new(),
            lanes_of: vec![Default::default(); self.plan.columns.len()],
            undo: Undo::new(memory.journal.doubts()),
            checks: Checks::default(),
            direct: None,
            paces_of_columns: vec![None; self.plan.columns.len()],
            budgets: Default::default(),
            journal: memory.journal,
            ledger: memory.ledger,
            journal_due: None,
            counts: vec![Counted::default(); self.plan.columns.len()],
            resolver_fault: None,
            judged: false,
            standings_changed: false,
            stirred: false,
            stopping: None,
            started,
            done_targets: 0,
            listed_targets: 0,
            unreached: 0,
            next_progress: started,
            every_code: false,
            in_company: false,
            helps: false,
        }
    }

    /// Opens the servers of the run, begins to check the resolvers among them, and makes the lanes. Those with servers of their
    /// own go on at once, the others when it is known which resolvers can be used.
    pub(super) fn begin<N: Network>(&self, worker: &mut Worker<'_, N>, wanted: &Wanted) -> Result<(), ScanError> {
        let servers = self.options.resolvers.len() + self.options.routes.len();
        let mut doors = Doors::new(servers, self.options.window_max, self.options.trains);
        let resolvers: &[SocketAddr] = if wanted.asks { &self.options.resolvers } else { &[] };
        let now = worker.network.now();
        for (number, &address) in resolvers.iter().enumerate() {
            let server = Server {
                address,
                kind: ServerKind::Resolver,
            };
            let upstream = doors.open(&mut worker.engine, worker.network, server);
            let upstream = upstream.map_err(|error| ScanError::Socket(address, error))?;
            let number = number as u16; // resolvers are named one by one on the command line
            let check = match self.options.skip_health {
                true => Check::trusted(server, upstream),
                false => Check::start(&mut worker.engine, now, (number, server, upstream), &mut worker.rng),
            };
            worker.checks.all.push(check);
        }
        self.make_lanes(worker, &mut doors, &wanted.kinds)?;
        worker.look_at_checks(now);
        Ok(())
    }

    /// Makes a lane for each list and each of these kinds of target that is to be asked.
    fn make_lanes<N: Network>(
        &self,
        worker: &mut Worker<'_, N>,
        doors: &mut Doors,
        kinds: &[Kind],
    ) -> Result<(), ScanError> {
        let mut routed = Vec::new();
        for (zone, address) in &self.options.routes {
            let server = Server {
                address: *address,
                kind: ServerKind::Route,
            };
            let upstream = doors.open(&mut worker.engine, worker.network, server);
            routed.push((
                zone.clone(),
                upstream.map_err(|error| ScanError::Socket(*address, error))?,
            ));
        }
        if worker.explainer.is_wanted() {
            let ways = open_ways(&mut worker.engine, &[], &routed);
            worker.explainer.open(ways)?;
        }
        let mut all_kinds = kinds.to_vec();
        let related = worker.explainer.related_kinds(kinds);
        all_kinds.extend(related.into_iter().filter(|kind| !kinds.contains(kind)));
        let mut paces = std::collections::BTreeMap::new();
        for (column, list) in self.plan.columns.iter().enumerate() {
            let Ok(questions) = &list.questions else { continue };
            if !self.is_asked(column, &all_kinds) {
                continue;
            }
            let facts = self.plan.catalogue.list(list.list);
            let operator = self.plan.catalogue.operator(facts.operator);
            let own: Vec<Upstream> = longest_match(&routed, questions.zone());
            let is_routed = !own.is_empty();
            if !is_routed && self.options.resolvers.is_empty() {
                return Err(ScanError::NoResolver(facts.id.clone()));
            }
            let limits = !self.options.ignore_budgets;
            let pace = operator.terms.max_qps.filter(|_| limits).map(|qps| {
                let pace = paces.entry(facts.operator);
                *pace.or_insert_with(|| worker.engine.add_pace(qps))
            });
            let direct = self.options.direct && !is_routed;
            worker.paces_of_columns[column] = pace;
            let route = worker.engine.add_route(RouteOptions {
                upstreams: own,
                zone_octets: questions.zone_octets(),
                pace,
            });
            for &kind in &all_kinds {
                if !self.is_asked(column, &[kind]) {
                    continue;
                }
                let treatment = self.plan.treatment(column, kind);
                let index = LaneIndex(worker.lanes.len() as u16); // three a list at most
                let mut lane = Lane::new(list.list, column, kind, route, is_routed || direct);
                lane.direct = direct;
                lane.related = !kinds.contains(&kind);
                if lane.related || matches!(treatment, Treatment::Fold(_)) {
                    lane.standing = Standing::Spare;
                } else if self.options.skip_health && !direct {
                    lane.standing = Standing::Good;
                }
                worker.lanes_of[column][kind as usize] = Some(index);
                worker.lanes.push(lane);
                if let Some(limit) = operator.terms.max_queries_per_day.filter(|_| limits) {
                    let budget = worker.budgets.entry(facts.operator).or_insert(Budget {
                        limit,
                        granted: 0,
                        until: Instant::ZERO,
                        again: Instant::ZERO,
                        lanes: Vec::new(),
                    });
                    budget.lanes.push(index);
                }
            }
        }
        Ok(())
    }
}
