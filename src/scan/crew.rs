//! Several workers on one plan: threads that share nothing but the row of tiles, and the desk where what they found is handed
//! in, one tile after the other.
//!
//! ```text
//!            ┌─ worker 0: window ⇄ lanes ⇄ engine ⇄ sockets ─┐
//!  claims ──▶├─ worker 1: window ⇄ lanes ⇄ engine ⇄ sockets ─┼─▶ desk: journal, receiver, progress
//!   (tiles)  └─ …                                            ┘
//! ```
//!
//! A worker is what it is when it is alone: it examines each list before it asks it about a target, controls it, and believes
//! what its own controls confirm. So several of them cost a list a few probes each, and nothing that one knows has to be
//! believed by another. Who finds a list broken that works for the first worker leaves the tiles to others: it would be done
//! with them soonest, and know nothing.
//!
//! But what holds for all questions together (a rate, a day's budget, pruning and its undoing, what stages have looked up) is
//! kept by one who sees all of them: there, and where the servers are others', one worker asks alone.
//!
//! The first worker runs on the caller's thread. A worker that has had its hands full for a while calls the next one, as
//! long as there are cores and tiles; one that rests has room, and calls nobody.
//!
//! Bounds: [`TILES_MAX`](super::TILES_MAX) tiles are open over all workers. Fails: what ends one worker ends them all, and is told by the
//! first that it happened to.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::num::NonZero;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::thread::Scope;

use crate::clock::{Instant, Span};
use crate::dnsxl::ListIndex;
use crate::dossier::{Dossier, Doubts, Journal, Standing};
use crate::plan::RunLedger;
use crate::plan::ways::longest_match;
use crate::transport::is_near;

use super::account::Part;
use super::claims::Claims;
use super::network::Network;
use super::run::{
    Memory, Order, Progress, Receiver, RunReport, Scan, ScanError, ScanOptions, Snapshot, Stop, Wanted, Workers,
};

/// Tiles that nobody has taken, below which nobody is called any more: to begin takes longer than they do.
const TILES_FOR_ONE_MORE: u32 = 16;

/// When somebody else was at the desk: how long until it is looked whether there is something to write down.
const DESK_SPAN: Span = Span::from_millis(5);

/// What all workers of a run have in common.
struct Crew<'c> {
    scan: Scan<'c>,
    wanted: &'c Wanted,
    entropy: [u8; 32],
    started: Instant,
    stop: &'c Stop,
    claims: Arc<Claims>,
    journal: Mutex<SharedJournal<'c>>,
    receiver: Mutex<&'c mut (dyn Receiver + Send)>,
    progress: Mutex<SharedProgress<'c>>,
    /// Workers that there may be, and are.
    most: u8,
    called: AtomicU8,
    ends: Mutex<Vec<io::Result<Part>>>,
}

/// The run's journal, with how the lists stand for each worker.
struct SharedJournal<'c> {
    journal: &'c mut (dyn Journal + Send),
    standings: HashMap<ListIndex, HashMap<u8, Standing>>,
}

/// Who watches, with the last that each worker had to show.
struct SharedProgress<'c> {
    progress: &'c mut (dyn Progress + Send),
    shown: HashMap<u8, Snapshot>,
}

impl Scan<'_> {
    /// Why there can be but one worker, whatever [`Workers`] says; none if there may be more.
    pub fn why_one_worker(&self) -> Option<String> {
        self.why_alone(&self.wanted())
    }

    fn why_alone(&self, wanted: &Wanted) -> Option<String> {
        let options = self.options;
        let together = [
            (options.rate_qps.is_some(), "the rate is one for all (--rate 0: none)"),
            (options.direct, "the lists' own servers are asked"),
            (options.prune, "what is pruned is known to one"),
            (
                options.window_max == Some(1),
                "one query in flight is one thread's (--window)",
            ),
            (
                !options.stages.is_empty(),
                "what stages look up is known to one (--stages none)",
            ),
        ];
        if let Some((_, why)) = together.iter().find(|(holds, _)| *holds) {
            return Some((*why).to_owned());
        }
        let mut columns = self.plan.columns.iter().enumerate();
        let limited = columns.find_map(|(column, list)| {
            let facts = self.plan.catalogue.list(list.list);
            let terms = &self.plan.catalogue.operator(facts.operator).terms;
            let is_limited = terms.max_qps.is_some() || terms.max_queries_per_day.is_some();
            (is_limited && self.is_asked(column, &wanted.kinds)).then_some(&facts.id)
        });
        if let Some(list) = limited.filter(|_| !options.ignore_budgets) {
            return Some(format!(
                "the operator of {list} sets a limit (--ignore-budgets, where it agrees)"
            ));
        }
        let servers = self.servers(wanted);
        let far = servers.into_iter().find(|address| !is_near(address.ip()));
        far.map(|far| format!("{far} is not on this machine or its network"))
    }

    /// The servers that lists are asked through, outside direct mode.
    fn servers(&self, wanted: &Wanted) -> Vec<SocketAddr> {
        let columns = self.plan.columns.iter().enumerate();
        let asked = columns.filter(|(column, _)| self.is_asked(*column, &wanted.kinds));
        let zones = asked.filter_map(|(_, list)| list.questions.as_ref().ok());
        let servers = zones.flat_map(
            |questions| match longest_match(&self.options.routes, questions.zone()) {
                own if own.is_empty() => self.options.resolvers.clone(),
                own => own,
            },
        );
        servers.collect()
    }

    /// How many workers there may be.
    pub(super) fn workers_max(&self, wanted: &Wanted, journal: &dyn Journal) -> u8 {
        if self.options.workers == Workers::Exactly(NonZero::<u8>::MIN)
            || self.why_alone(wanted).is_some()
            || journal.doubts() != Doubts::default()
        {
            return 1;
        }
        match self.options.workers {
            Workers::Exactly(workers) => {
                let window = self.options.window_max.unwrap_or(u32::MAX);
                workers.get().min(u8::try_from(window).unwrap_or(u8::MAX)).max(1)
            }
            Workers::Within(cores) => {
                let servers = self.servers(wanted);
                let others = servers.iter().any(|address| !address.ip().is_loopback());
                // Where nobody is asked, it is the desk that takes the time; and a part of a window is little for the first,
                // who may remain alone.
                match others || servers.is_empty() || self.options.window_max.is_some() {
                    true => 1,
                    false => u8::try_from(cores.get() - 1).unwrap_or(u8::MAX).max(1),
                }
            }
        }
    }

    /// Runs with `most` workers at most.
    pub(super) fn run_together<N: Network>(
        &self,
        network: &mut N,
        entropy: [u8; 32],
        (receiver, progress, stop): (&mut (dyn Receiver + Send), &mut (dyn Progress + Send), &Stop),
        (wanted, memory): (&Wanted, Memory<'_>),
        most: u8,
    ) -> Result<RunReport, ScanError> {
        // A window for each server that the user has set is shared: each worker has its part of it.
        let part = |window: u32| window / u32::from(most); // `most` is not more
        let options = ScanOptions {
            window_max: self.options.window_max.map(part),
            ..self.options.clone()
        };
        let crew = Crew {
            scan: Scan {
                plan: self.plan,
                options: &options,
            },
            wanted,
            entropy,
            started: network.now(),
            stop,
            claims: Claims::of(self.plan),
            journal: Mutex::new(SharedJournal {
                journal: memory.journal,
                standings: HashMap::new(),
            }),
            receiver: Mutex::new(receiver),
            progress: Mutex::new(SharedProgress {
                progress,
                shown: HashMap::new(),
            }),
            most,
            called: AtomicU8::new(1),
            ends: Mutex::default(),
        };
        let mut desk = Desk::new(&crew, 0);
        let memory = Memory {
            journal: &mut desk.journal,
            ledger: memory.ledger,
        };
        let mut worker = crew.scan.worker(network, entropy, memory, Arc::clone(&crew.claims));
        worker.in_company = true;
        crew.scan.begin(&mut worker, wanted)?;
        let (receiver, progress) = (&mut desk.receiver, &mut desk.progress);
        let ran = std::thread::scope(|threads| {
            let _guard = FailIfPanicking(&crew.claims);
            if let Workers::Exactly(_) = options.workers {
                (1..most).for_each(|_| crew.call(threads, worker.network));
            }
            let call = &mut |network: &N| {
                if let Workers::Within(_) = options.workers {
                    crew.call(threads, network);
                }
            };
            let ran = worker.run(receiver, progress, stop, call);
            if ran.is_err() {
                crew.claims.fail();
            }
            ran
        });
        // All others have ended.
        ran?;
        let mut parts = std::mem::take(&mut *lock(&crew.ends))
            .into_iter()
            .collect::<io::Result<Vec<Part>>>()?;
        worker.finish(receiver, progress)?;
        parts.push(worker.part());
        let elapsed = worker.elapsed();
        Ok(self.report(parts, elapsed))
    }
}

impl<'c> Crew<'c> {
    /// Calls one more worker, if there may be more, enough is left to do, and the system has a thread and sockets.
    fn call<'scope, N: Network + 'scope>(&'scope self, threads: &'scope Scope<'scope, '_>, network: &N) {
        let number = self.called.load(Ordering::Relaxed);
        if number >= self.most || self.claims.left() < TILES_FOR_ONE_MORE {
            return;
        }
        let Some(mut own) = network.another() else { return };
        let taken = self
            .called
            .compare_exchange(number, number + 1, Ordering::Relaxed, Ordering::Relaxed);
        if taken.is_err() {
            return; // another was called at this moment
        }
        let work = move || {
            let _guard = FailIfPanicking(&self.claims);
            let end = self.work(threads, number, &mut own);
            if end.is_err() {
                self.claims.fail();
            }
            lock(&self.ends).extend(end.transpose());
        };
        // Without a thread those that there are do it all.
        let _ = std::thread::Builder::new()
            .name(format!("worker {number}"))
            .spawn_scoped(threads, work);
    }

    /// What a worker that was called does. One that has no sockets does nothing: the others do it all.
    fn work<'scope, N: Network + 'scope>(
        &'scope self,
        threads: &'scope Scope<'scope, '_>,
        number: u8,
        network: &mut N,
    ) -> io::Result<Option<Part>> {
        let mut desk = Desk::new(self, number);
        let memory = Memory {
            journal: &mut desk.journal,
            ledger: &mut RunLedger::default(), // nothing has a limit
        };
        let mut entropy = self.entropy;
        entropy[0] ^= number; // another key is another stream
        let claims = Arc::clone(&self.claims);
        let mut worker = self.scan.worker(network, entropy, memory, claims);
        (worker.started, worker.in_company, worker.helps) = (self.started, true, true);
        if self.scan.begin(&mut worker, self.wanted).is_err() {
            return Ok(None);
        }
        let call = &mut |network: &N| {
            if let Workers::Within(_) = self.scan.options.workers {
                self.call(threads, network);
            }
        };
        worker.run(&mut desk.receiver, &mut desk.progress, self.stop, call)?;
        worker.show_last(&mut desk.progress);
        Ok(Some(worker.part()))
    }
}

/// Ends the other workers where one panics: they would wait for its tiles.
struct FailIfPanicking<'c>(&'c Claims);

impl Drop for FailIfPanicking<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.fail();
        }
    }
}

/// What a worker has of journal, receiver and progress.
struct Desk<'d, 'c> {
    journal: DeskJournal<'d, 'c>,
    receiver: DeskReceiver<'d, 'c>,
    progress: DeskProgress<'d, 'c>,
}

impl<'d, 'c> Desk<'d, 'c> {
    fn new(crew: &'d Crew<'c>, number: u8) -> Desk<'d, 'c> {
        Desk {
            journal: DeskJournal {
                keeps: lock(&crew.journal).journal.remembers(),
                shared: &crew.journal,
                number,
                tile: Vec::new(),
            },
            receiver: DeskReceiver {
                wants_input_order: lock(&crew.receiver).wants_input_order(),
                shared: &crew.receiver,
            },
            progress: DeskProgress {
                shared: &crew.progress,
                number,
            },
        }
    }
}

/// Takes a tile's dossiers together, so that those of two tiles do not mix.
struct DeskJournal<'d, 'c> {
    shared: &'d Mutex<SharedJournal<'c>>,
    number: u8,
    /// Whether it keeps anything.
    keeps: bool,
    tile: Vec<Dossier>,
}

impl Journal for DeskJournal<'_, '_> {
    fn recall(&mut self, tile: u32) -> Option<Vec<Dossier>> {
        lock(self.shared).journal.recall(tile)
    }

    fn examined(&mut self, list: ListIndex, standing: &Standing) {
        let shared = &mut *lock(self.shared);
        let standings = shared.standings.entry(list).or_default();
        standings.insert(self.number, standing.clone());
        let whole = Standing {
            passed: standings.values().all(|standing| standing.passed),
            fault: standings.values().find_map(|standing| standing.fault.clone()),
        };
        shared.journal.examined(list, &whole);
    }

    fn add(&mut self, dossier: &Dossier) {
        if self.keeps {
            self.tile.push(dossier.clone());
        }
    }

    fn close(&mut self, now: Instant, tile: u32) {
        let shared = &mut *lock(self.shared);
        self.tile.drain(..).for_each(|dossier| shared.journal.add(&dossier));
        shared.journal.close(now, tile);
    }

    fn turn(&mut self, now: Instant) -> Option<Instant> {
        match self.shared.try_lock() {
            Ok(mut shared) => shared.journal.turn(now),
            Err(TryLockError::Poisoned(shared)) => shared.into_inner().journal.turn(now),
            Err(TryLockError::WouldBlock) => Some(now + DESK_SPAN),
        }
    }

    fn doubt(&mut self, doubts: &Doubts) {
        lock(self.shared).journal.doubt(doubts);
    }

    fn doubts(&self) -> Doubts {
        lock(self.shared).journal.doubts()
    }

    fn remembers(&self) -> bool {
        lock(self.shared).journal.remembers()
    }
}

struct DeskReceiver<'d, 'c> {
    shared: &'d Mutex<&'c mut (dyn Receiver + Send)>,
    wants_input_order: bool,
}

impl Receiver for DeskReceiver<'_, '_> {
    fn take(&mut self, dossier: &Dossier, order: Order) -> io::Result<()> {
        lock(self.shared).take(dossier, order)
    }

    fn revise(&mut self, before: &Dossier, after: &Dossier) -> io::Result<()> {
        lock(self.shared).revise(before, after)
    }

    fn start_over(&mut self) -> io::Result<()> {
        lock(self.shared).start_over()
    }

    fn wants_input_order(&self) -> bool {
        self.wants_input_order
    }
}

struct DeskProgress<'d, 'c> {
    shared: &'d Mutex<SharedProgress<'c>>,
    number: u8,
}

impl Progress for DeskProgress<'_, '_> {
    fn show(&mut self, snapshot: &Snapshot) {
        let shared = &mut *lock(self.shared);
        shared.shown.insert(self.number, snapshot.clone());
        let Some(first) = shared.shown.get(&0) else { return };
        let others = shared.shown.iter().filter(|(number, _)| **number != 0);
        let joined = others.fold(first.clone(), |joined, (_, other)| joined.join(other));
        shared.progress.show(&Snapshot {
            // When the first worker tells its last, all others have ended.
            last: snapshot.last && self.number == 0,
            ..joined
        });
    }
}

impl Snapshot {
    /// What both have done. They go over one row together: how much of it is passed, and how long the rest takes, is what the
    /// first says, who was there from the start.
    fn join(mut self, other: &Snapshot) -> Snapshot {
        self.elapsed = self.elapsed.max(other.elapsed);
        self.targets_done += other.targets_done;
        self.targets_listed += other.targets_listed;
        self.pairs_unknown += other.pairs_unknown;
        self.asked += other.asked;
        self.in_flight += other.in_flight;
        self.sent += other.sent;
        for trouble in &other.troubles {
            if self.troubles.iter().all(|known| known.list != trouble.list) {
                self.troubles.push(trouble.clone());
            }
        }
        self
    }
}

/// What a worker that has panicked left is whole enough: all others end.
fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
