//! The examination of lists alone, without targets: the same resolver check and probes as before a scan, and then no scan.
//!
//! Beside what health is judged by, the test entry of every exact code is asked for (RFC 5782 §5: a list of several values
//! should have one for each). Which of them there are is worth knowing and no fault: most operators keep only the first.

use std::net::Ipv4Addr;

use crate::clock::Span;
use crate::datagram::Batch;
use crate::dnsxl::{Cause, Fault, Heard, ListIndex, Observation, ProbeRole, Reader, Reason, positive};
use crate::dossier::NoJournal;
use crate::engine::Counters;
use crate::plan::{Ledger, Treatment};
use crate::targets::Kind;

use super::claims::Claims;
use super::lane::{Lane, Question, Standing};
use super::network::Network;
use super::run::{Memory, Scan, ScanError, Stop, StopReason, Wanted};
use super::worker::Worker;

/// How one list stands for one kind of target.
#[derive(Debug, Clone, PartialEq)]
pub struct Examined {
    /// Which list.
    pub list: ListIndex,
    /// Asked for which kind of target.
    pub kind: Kind,
    /// What came of it.
    pub finding: Finding,
    /// The quickest of its replies.
    pub rtt: Option<Span>,
    /// The test entries of its exact codes, in the order of the catalogue; empty if it was not asked.
    pub entries: Vec<(Ipv4Addr, Entry)>,
    /// Queries asked, retries not counted.
    pub asked: u64,
}

/// What an examination found.
#[derive(Debug, Clone, PartialEq)]
pub enum Finding {
    /// The list works.
    Healthy,
    /// It does not; what observations of it would be, and why. Without a fault it is the resolver's, or nobody was asked.
    Unusable(Cause, Option<Fault>),
    /// It was not asked.
    NotAsked(Reason),
}

/// What became of the test entry of one code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entry {
    /// It answers its code.
    Present,
    /// It answers something else.
    Other,
    /// There is none.
    Absent,
    /// Nobody answered, or not to the question.
    Unknown,
}

/// How an examination went.
#[derive(Debug, Clone, PartialEq)]
pub struct ExamineReport {
    /// For each list of the plan, one for each kind that it takes.
    pub lists: Vec<Examined>,
    /// What is wrong with the resolvers, and the mend.
    pub resolver_faults: Vec<String>,
    /// Why it was stopped, if it was.
    pub stopped: Option<StopReason>,
    /// How long it took.
    pub elapsed: Span,
    /// What the engine did.
    pub counters: Counters,
}

/// How far an examination has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExamineStep<'a> {
    /// Examinations in all: lists by kinds.
    pub all: usize,
    /// Of these: over.
    pub done: usize,
    /// Over, and the list does not work.
    pub failed: usize,
    /// Lists that are still waited for.
    pub waiting: &'a [ListIndex],
}

impl Scan<'_> {
    /// Examines the lists of the plan for every kind of target that they take, whatever the plan's targets. `progress`
    /// is told some ten times a second; budgets are reserved from the ledger. `entropy` as for [`run`](Scan::run).
    ///
    /// # Errors
    /// For our own failures: sockets. What the network does is in the report.
    pub fn examine<N: Network>(
        &self,
        network: &mut N,
        entropy: [u8; 32],
        progress: &mut dyn FnMut(ExamineStep<'_>),
        (stop, ledger): (&Stop, &mut dyn Ledger),
    ) -> Result<ExamineReport, ScanError> {
        let memory = Memory {
            journal: &mut NoJournal,
            ledger,
        };
        let mut worker = self.worker(network, entropy, memory, Claims::of(self.plan));
        worker.every_code = true;
        let wanted = Wanted {
            asks: true,
            kinds: Kind::ALL.to_vec(),
        };
        self.begin(&mut worker, &wanted)?;
        worker.wake_all();
        let mut batch = Batch::new();
        loop {
            let now = worker.network.now();
            let received = worker.turn(now, &mut batch);
            worker.look_at_checks(now);
            worker.control_lanes(now);
            if worker.checks.are_over() && worker.lanes.iter().all(is_over) {
                break;
            }
            let sent = worker.transmit(now, &mut batch);
            if worker.is_time_to_show(now) {
                tell(&worker, progress);
            }
            worker.look_for_stop(now, stop);
            if received == 0 && sent == 0 {
                worker.wait();
            }
        }
        worker.engine.cancel_all(worker.network.now());
        worker.close_budgets();
        let resolver_faults = worker.resolver_faults();
        Ok(ExamineReport {
            lists: self.examined(&worker),
            resolver_faults,
            stopped: worker.stopping.map(|(reason, _)| reason),
            elapsed: worker.network.now().since(worker.started),
            counters: worker.engine.counters(),
        })
    }

    fn examined<N: Network>(&self, worker: &Worker<'_, N>) -> Vec<Examined> {
        let mut all = Vec::new();
        for (column, list) in self.plan.columns.iter().enumerate() {
            for &kind in &self.plan.catalogue.list(list.list).kinds {
                let lane = worker
                    .lanes
                    .iter()
                    .find(|lane| lane.column == column && lane.kind == kind);
                all.push(match (self.plan.treatment(column, kind), lane) {
                    (_, Some(lane)) => of_lane(worker, lane),
                    (Treatment::NotAsked(reason), None) => not_asked(list.list, kind, reason),
                    (Treatment::Local, None) => not_asked(list.list, kind, Reason::Excluded),
                    (Treatment::Ask | Treatment::Fold(_), None) => {
                        unreachable!("every list that is to be asked has its lanes")
                    }
                });
            }
        }
        all
    }
}

/// Whether a lane's first examination is over, and what the resolvers do is known.
fn is_over(lane: &Lane) -> bool {
    matches!(lane.standing, Standing::Good | Standing::GivenUp(_))
}

fn tell<N: Network>(worker: &Worker<'_, N>, progress: &mut dyn FnMut(ExamineStep<'_>)) {
    // A list that failed is over too: whether it is the list or the resolver is found when all are.
    let over = |lane: &Lane| is_over(lane) || matches!(lane.standing, Standing::Failing(_));
    let mut waiting: Vec<ListIndex> = worker
        .lanes
        .iter()
        .filter(|lane| !over(lane))
        .map(|lane| lane.list)
        .collect();
    let done = worker.lanes.len() - waiting.len();
    waiting.dedup();
    progress(ExamineStep {
        all: worker.lanes.len(),
        done,
        failed: worker
            .lanes
            .iter()
            .filter(|lane| over(lane) && lane.standing != Standing::Good)
            .count(),
        waiting: &waiting,
    });
}

fn not_asked(list: ListIndex, kind: Kind, reason: Reason) -> Examined {
    Examined {
        list,
        kind,
        finding: Finding::NotAsked(reason),
        rtt: None,
        entries: Vec::new(),
        asked: 0,
    }
}

fn of_lane<N: Network>(worker: &Worker<'_, N>, lane: &Lane) -> Examined {
    let reader = worker.reader(lane);
    let entries = lane.questions.iter().filter_map(|question| match question.role {
        ProbeRole::Code(code) => Some((code, entry(&reader, question, code))),
        // The list's own test entry is that of its code too, where it is written like one.
        ProbeRole::Positive => {
            let code = like_a_code(&reader, lane.kind)?;
            Some((code, entry(&reader, question, code)))
        }
        _ => None,
    });
    let finding = match &lane.standing {
        Standing::GivenUp(cause) => Finding::Unusable(*cause, lane.fault.clone()),
        _ => Finding::Healthy,
    };
    Examined {
        list: lane.list,
        kind: lane.kind,
        finding,
        rtt: lane.questions.iter().filter_map(|question| question.rtt).min(),
        entries: entries.collect(),
        asked: lane.asked,
    }
}

/// The exact code that the list's positive test entry is written like.
fn like_a_code(reader: &Reader<'_>, kind: Kind) -> Option<Ipv4Addr> {
    use crate::dnsxl::Subject;
    let address = match positive(reader.list, kind)? {
        Subject::Ip4(address) => address,
        Subject::Ip6(address) => address.to_ipv4_mapped()?,
        Subject::Name(_) => return None,
    };
    let codes = reader.list.codes.entries.iter().filter(|code| code.listing);
    codes
        .filter_map(|code| code.pattern.exact())
        .find(|code| *code == address)
}

fn entry(reader: &Reader<'_>, question: &Question, code: Ipv4Addr) -> Entry {
    let heard = question.reply.as_ref().and_then(|reply| reply.heard());
    let Some(heard): Option<Heard<'_>> = heard else {
        return Entry::Unknown;
    };
    match reader.interpret(heard) {
        Observation::Listed(listing) if listing.codes.answers.contains(&code) => Entry::Present,
        Observation::Listed(_) | Observation::Unknown(Cause::InvalidAnswer) => Entry::Other,
        Observation::NotListed => Entry::Absent,
        _ => Entry::Unknown,
    }
}
