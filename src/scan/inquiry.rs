//! Stages alone: futures over a [`Resolver`], driven by an engine without a plan. For commands that ask for one thing.
//!
//! The resolvers' check for lies runs beside: who answers names that cannot exist with addresses is not to be believed.
//! Bound: [`UNDER_WAY_MAX`] futures at a time; each has the patience of a scan's target.

use std::net::SocketAddr;
use std::rc::Rc;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::runtime::Handle;

use crate::clock::Span;
use crate::datagram::Batch;
use crate::engine::{Engine, EngineOptions};
use crate::exchange::Resolver;
use crate::wire::Name;

use super::driver::Driver;
use super::explain::{PATIENCE, Patient, open_ways};
use super::lookups::Lookups;
use super::network::Network;
use super::pump;
use super::resolvers::{Check, Checked, Doors, Server, ServerKind};
use super::run::{ScanError, Stop, StopReason};
use super::tasks::{Tasks, Work};
use super::ticket::Purpose;

/// Exchanges held at a time.
const SLOTS: usize = 4_096;

/// Futures under way at a time.
const UNDER_WAY_MAX: usize = 64;

/// How to ask.
#[derive(Debug, Clone)]
pub struct Inquiry {
    /// The resolvers to ask through.
    pub resolvers: Vec<SocketAddr>,
    /// Servers for single zones: names at or below the zone are asked there.
    pub routes: Vec<(Name, SocketAddr)>,
    /// Packets a second; none: no limit.
    pub rate_qps: Option<f64>,
    /// How long one try may take.
    pub timeout: Span,
    /// How many more tries after the first.
    pub retries: u8,
    /// Whether the work opens sockets of its own (SMTP).
    pub sockets: bool,
}

/// How an inquiry went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inquired<T> {
    /// The results, in the order of the work; none where it was stopped before.
    pub results: Vec<Option<T>>,
    /// What is wrong with the resolvers, and the mend.
    pub faults: Vec<String>,
    /// Why it was stopped, if it was.
    pub stopped: Option<StopReason>,
    /// Questions asked, retries not counted.
    pub asked: u64,
}

impl Inquiry {
    /// Does the work of each subject: `work` makes a future over a resolver. `entropy` seeds the CSPRNG for IDs and ports;
    /// give 32 octets from the operating system.
    ///
    /// # Errors
    /// For our own failures: sockets and threads. What the network does is in the results.
    pub fn run<N: Network, S, T>(
        &self,
        network: &mut N,
        entropy: [u8; 32],
        (subjects, work): (Vec<S>, impl Fn(Box<dyn Resolver>, S) -> Work<T>),
        stop: &Stop,
    ) -> Result<Inquired<T>, ScanError> {
        let mut rng = StdRng::from_seed(entropy);
        let mut engine = Engine::new(
            EngineOptions {
                slots: SLOTS,
                timeout: self.timeout,
                retries: self.retries,
                rate_qps: self.rate_qps,
            },
            StdRng::from_seed(rng.random()),
        );
        let driver = self.sockets.then(Driver::start).transpose()?;
        let mut doors = Doors::new(self.resolvers.len() + self.routes.len(), None, false);
        let mut open = |engine: &mut Engine, network: &mut N, address: SocketAddr, kind: ServerKind| {
            let server = Server { address, kind };
            let upstream = doors.open(engine, network, server);
            upstream
                .map(|upstream| (server, upstream))
                .map_err(|error| ScanError::Socket(address, error))
        };
        let mut resolvers = Vec::new();
        for &address in &self.resolvers {
            resolvers.push(open(&mut engine, network, address, ServerKind::Resolver)?);
        }
        let mut routed = Vec::new();
        for (zone, address) in &self.routes {
            let (_, upstream) = open(&mut engine, network, *address, ServerKind::Route)?;
            routed.push((zone.clone(), upstream));
        }
        let mut checks: Vec<Check> = Vec::new();
        let now = network.now();
        for (number, &(server, upstream)) in resolvers.iter().enumerate() {
            let number = number as u16; // resolvers are named one by one on the command line
            checks.push(Check::start(&mut engine, now, (number, server, upstream), &mut rng));
        }
        let upstreams: Vec<_> = resolvers.iter().map(|(_, upstream)| *upstream).collect();
        let ways = open_ways(&mut engine, &upstreams, &routed);

        let lookups: Rc<Lookups> = Rc::default();
        let mut results: Vec<Option<T>> = subjects.iter().map(|_| None).collect();
        let mut subjects = subjects.into_iter().enumerate();
        let mut tasks: Tasks<usize, T> = Tasks::new(UNDER_WAY_MAX);
        let mut batch = Batch::new();
        let mut stopped = None;
        let sockets = driver.as_ref().map(Driver::handle);
        let _guard = sockets.as_ref().map(Handle::enter);
        loop {
            let now = network.now();
            lookups.set_now(now);
            let received = pump::receive(&mut engine, network, now);
            while let Some(outcome) = engine.poll_outcome() {
                match Purpose::of(outcome.ticket) {
                    Purpose::Lookup { number } => lookups.take(number, &outcome),
                    Purpose::Check { server, number } => checks[usize::from(server)].take(number, &outcome),
                    _ => unreachable!("there is no plan to ask for"),
                }
            }
            while tasks.has_room()
                && let Some((index, subject)) = subjects.next()
            {
                let patient = Patient {
                    lookups: Rc::clone(&lookups),
                    until: now + PATIENCE,
                };
                tasks.start(index, work(Box::new(patient), subject));
            }
            let polled = tasks.poll(|index, result| results[index] = Some(result));
            let submitted = lookups.submit(&mut engine, &ways);
            stopped = stopped.or(stop.requested());
            if stopped.is_some() || (tasks.len() == 0 && subjects.len() == 0) {
                tasks.clear();
                break;
            }
            let sent = pump::transmit(&mut engine, network, now, &mut batch);
            if received + polled + submitted + sent == 0 && !tasks.is_rung() {
                let moments = [engine.poll_timeout(), lookups.next_due()];
                network.wait(
                    moments
                        .into_iter()
                        .flatten()
                        .min()
                        .unwrap_or(crate::clock::Instant::FAR),
                );
            }
        }
        Ok(Inquired {
            results,
            faults: checks.iter().filter_map(fault).collect(),
            stopped,
            asked: lookups.asked(),
        })
    }
}

/// What a check that has ended says against its resolver. One that has not ended says nothing: the answers came.
fn fault(check: &Check) -> Option<String> {
    let address = check.server.address;
    match check.verdict()? {
        Checked::Rewrites(to) => Some(format!(
            "resolver {address} is not to be believed: it answers names that do not exist with {to}; \
             name a resolver that does not with --resolver"
        )),
        Checked::Silent => Some(format!(
            "resolver {address} does not answer; check the address, or name another with --resolver"
        )),
        Checked::Sound => None,
    }
}
