//! What a world is made of, and a run through it: from [`Setup`] and a seed to a [`Report`].

use std::collections::HashSet;
use std::num::NonZero;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use reputon::clock::{Instant, Span};
use reputon::dnsxl::{Catalogue, ListIndex};
use reputon::plan::{Keys, Paces, Plan, Ways};
use reputon::scan::{RunReport, Scan, ScanOptions, Stop, Workers};
use reputon::targets::{Kind, ReadOptions, TargetSet};

use super::judge::{Judge, Watch};
use super::network::{Account, Marks, SimNetwork, address_of};
use super::server::{Bad, Habit, Server};
use super::tally::Limit;
use super::truth::World;

/// Queries in flight to an authority at most, as the engine has it.
const WINDOW: f64 = reputon::engine::WINDOW_MAX as f64;

/// How a world is set up. Shares are of one.
#[derive(Debug, Clone)]
pub(crate) struct Setup {
    pub(crate) lists: usize,
    pub(crate) servers_per_list: usize,
    /// Lists that are asked through resolvers; the others have routes of their own.
    pub(crate) through_resolvers: usize,
    pub(crate) resolvers: usize,
    /// What a resolver turns into when a third of the run is over; the others stay good.
    pub(crate) resolver_turns: Option<Bad>,
    pub(crate) targets: Vec<String>,
    /// One subject in so many is listed.
    pub(crate) listed_one_in: u64,
    pub(crate) loss: f64,
    pub(crate) dead: f64,
    pub(crate) refusing: f64,
    pub(crate) limiting: f64,
    /// So many replies a second is what limiting servers give, and they cut some of the rest short; none: each another limit.
    pub(crate) limit_qps: Option<u32>,
    pub(crate) turning: f64,
    /// What servers that turn become; none: each another.
    pub(crate) into: Option<Bad>,
    /// All servers of a list turn at once, as when a zone goes bad and not a machine.
    pub(crate) zones_turn: bool,
    /// Servers that turn are bad before the first packet.
    pub(crate) from_start: bool,
    /// One of the first five answers of each server is what a server that turned into this would give.
    pub(crate) stumbling: Option<Bad>,
    /// One answer in so many of each list's servers is what a server that turned into this would give.
    pub(crate) erring: Option<(u64, Bad)>,
    /// Packets a second in all.
    pub(crate) rate_qps: Option<f64>,
    /// Packets a second of every third operator.
    pub(crate) operator_qps: Option<f64>,
    /// Share of its queries that every fifth operator's day allows.
    pub(crate) budget_share: Option<f64>,
    /// Forged replies a second.
    pub(crate) forged_qps: u64,
    /// Threads that ask, in the network where all servers are; each in a time of its own.
    pub(crate) workers: u8,
    pub(crate) retries: u8,
    pub(crate) timeout: Span,
    /// Whether packets about targets are told apart from the others, and first ones from later ones.
    pub(crate) told_apart: bool,
}

impl Setup {
    /// A realistic world: 20 to 300 ms, 1 % loss, 5 % dead, 3 % refusing, some limiting, some turning bad.
    pub(crate) fn realistic(lists: usize, targets: &[&str]) -> Setup {
        Setup {
            lists,
            servers_per_list: 2,
            through_resolvers: lists / 10,
            resolvers: 2,
            resolver_turns: None,
            targets: targets.iter().map(|&target| target.to_owned()).collect(),
            listed_one_in: 29,
            loss: 0.01,
            dead: 0.05,
            refusing: 0.03,
            limiting: 0.03,
            limit_qps: None,
            turning: 0.03,
            into: None,
            zones_turn: true,
            from_start: false,
            stumbling: None,
            erring: None,
            rate_qps: None,
            operator_qps: Some(200.0),
            budget_share: Some(0.5),
            forged_qps: 0,
            workers: 1,
            retries: 3,
            timeout: Span::from_secs(3),
            told_apart: false,
        }
    }

    /// The world by which the engine's pace is measured: 20 to 300 ms, 1 % of packets lost, 5 % of servers dead.
    pub(crate) fn measured(lists: usize, targets: &[&str], operator_qps: Option<f64>) -> Setup {
        Setup {
            dead: 0.05,
            operator_qps,
            told_apart: true,
            ..Setup::calm(lists, targets)
        }
    }

    /// Nothing goes wrong but for the loss of packets; no limits.
    pub(crate) fn calm(lists: usize, targets: &[&str]) -> Setup {
        Setup {
            dead: 0.0,
            refusing: 0.0,
            limiting: 0.0,
            turning: 0.0,
            operator_qps: None,
            budget_share: None,
            ..Setup::realistic(lists, targets)
        }
    }
}

/// What a run came to.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) run: RunReport,
    /// Virtual time.
    pub(crate) elapsed: Span,
    /// What the plan said beforehand, the round trips being known: queries if nothing was listed, and seconds.
    pub(crate) planned: (u64, f64),
    /// The least time that rates and round trips allow to learn what was learnt.
    pub(crate) bound: Span,
    /// The same with what cannot be left out: the resolvers' check, an examination before and a control after, and the one
    /// try that a dead list must be given.
    pub(crate) bound_judged: Span,
    pub(crate) sent: u64,
    pub(crate) forged: u64,
    pub(crate) in_flight_most: u64,
    pub(crate) held_most: usize,
    pub(crate) listed: u64,
    pub(crate) not_listed: u64,
    pub(crate) unknown: u64,
    /// Lists that had a good server, and were given up all the same: all their pairs are unknown.
    pub(crate) given_up_for_nothing: usize,
    /// Lists that had a good server from first to last and no budget, with pairs unknown all the same, and how many.
    pub(crate) unknown_for_nothing: Vec<(usize, u64)>,
    /// By list.
    pub(crate) marks: Vec<Told>,
}

/// What a run shows of one list.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Told {
    /// When its packets left.
    pub(crate) marks: Marks,
    /// The time that it needs at least.
    pub(crate) bound: Span,
    /// The longest way to a good server, and the shortest; none: it has none.
    pub(crate) trips: Option<(Span, Span)>,
    /// Servers of it that are not good.
    pub(crate) lost: usize,
}

/// Runs a scan in the world of a seed and holds it to the truth.
pub(crate) fn run(setup: &Setup, seed: u64) -> Report {
    let targets = TargetSet::read(&setup.targets, &mut std::io::empty(), ReadOptions::default()).expect("good targets");
    let world = World {
        seed,
        listed_one_in: setup.listed_one_in,
    };
    let plot = Plot::new(setup, seed, &targets);
    let lists: Vec<ListIndex> = plot.catalogue.indexed().map(|(index, _)| index).collect();
    let plan = Plan::new(&plot.catalogue, &targets, &lists, &Keys::new());
    let options = ScanOptions {
        resolvers: (plot.authorities..plot.servers.len())
            .map(|server| address_of(server, setup.workers > 1))
            .collect(),
        routes: plot.routes.clone(),
        rate_qps: setup.rate_qps,
        timeout: setup.timeout,
        retries: setup.retries,
        workers: Workers::Exactly(NonZero::new(setup.workers).expect("one at least")),
        seed,
        ..ScanOptions::default()
    };
    let paces = Paces {
        rate_qps: setup.rate_qps,
        retries: setup.retries,
        ways: Ways {
            resolvers: options.resolvers.clone(),
            routes: options.routes.clone(),
            measured: lists.iter().map(|&list| (list, plot.trip(list.0.into()))).collect(),
            ..Ways::default()
        },
        stages: reputon::stages::Stages::NONE,
        ..Paces::default()
    };
    let planned = plan.estimate(&paces, &mut StdRng::seed_from_u64(seed));
    let mut network = SimNetwork::new(
        world,
        (plot.servers.clone(), setup.workers > 1),
        plot.accounts.clone(),
        plot.operator_of.clone(),
    );
    network.global = setup.rate_qps.map(Limit::new);
    network.forged_qps = setup.forged_qps;
    network.told_apart = setup.told_apart.then(HashSet::new);
    if setup.workers == 1 {
        network.within = Instant::ZERO + plot.bound.times(20) + Span::from_secs(600);
    }
    let mut judge = Judge::new(world, setup.lists, &targets);
    let mut watch = Watch::default();
    let mut entropy = [0; 32];
    StdRng::seed_from_u64(seed ^ 0x656e_7472_6f70_7900).fill(&mut entropy);
    let scan = Scan {
        plan: &plan,
        options: &options,
    };
    let run = scan
        .run(&mut network, entropy, (&mut judge, &mut watch), &Stop::new())
        .expect("nothing of our own fails");
    judge.finish();
    let observed = judge.listed + judge.not_listed + run.lists.iter().map(|list| list.unknown).sum::<u64>();
    assert_eq!(run.planned, observed, "planned is observed");
    assert_eq!(run.counters.submitted, run.counters.ended);
    let all = targets.len();
    let alive = |list: &usize| plot.ways(*list).iter().any(|server| server.habit == Habit::Good);
    let given_up = (0..setup.lists)
        .filter(alive)
        .filter(|&list| judge.unknown_of(list) == all);
    let given_up_for_nothing = given_up.count();
    let unknown_for_nothing = (0..setup.lists)
        .filter(|&list| plot.must_answer(list))
        .map(|list| (list, judge.unknown_of(list)))
        .filter(|(_, unknown)| *unknown > 0)
        .collect();
    Report {
        elapsed: run.elapsed,
        planned: (planned.queries_least(), planned.seconds),
        bound: plot.bound,
        bound_judged: plot.judged(setup),
        sent: network.sent,
        forged: network.forged,
        in_flight_most: watch.in_flight_most,
        held_most: judge.held_most,
        listed: judge.listed,
        not_listed: judge.not_listed,
        unknown: run.lists.iter().map(|list| list.unknown).sum(),
        given_up_for_nothing,
        unknown_for_nothing,
        marks: (0..setup.lists)
            .map(|list| plot.told(list, network.marks[list]))
            .collect(),
        run,
    }
}

/// A world before anything moves.
struct Plot {
    catalogue: Catalogue,
    routes: Vec<(reputon::wire::Name, std::net::SocketAddr)>,
    servers: Vec<Server>,
    /// The servers of each list, by index; none: it is asked through the resolvers.
    servers_of: Vec<Vec<usize>>,
    /// Servers below this are authorities, the others resolvers.
    authorities: usize,
    accounts: Vec<Account>,
    operator_of: Vec<usize>,
    bound: Span,
    /// Of each list alone.
    bounds: Vec<Span>,
}

impl Plot {
    fn new(setup: &Setup, seed: u64, targets: &TargetSet) -> Plot {
        let mut rng = StdRng::seed_from_u64(seed ^ 0x706c_6f74_0000_0000);
        let mut plot = Plot {
            catalogue: Catalogue::default(),
            routes: Vec::new(),
            servers: Vec::new(),
            servers_of: vec![Vec::new(); setup.lists],
            authorities: 0,
            accounts: Vec::new(),
            operator_of: (0..setup.lists).map(|list| list / 2).collect(),
            bound: Span::ZERO,
            bounds: vec![Span::ZERO; setup.lists],
        };
        for list in setup.through_resolvers..setup.lists {
            for _ in 0..setup.servers_per_list {
                let server = plot.servers.len();
                plot.servers
                    .push(Server::new(habit(setup, &mut rng), true, rtt(&mut rng), setup.loss));
                plot.servers_of[list].push(server);
                let zone = format!("l{list}.sim.test").parse().expect("a name");
                plot.routes.push((zone, address_of(server, setup.workers > 1)));
            }
        }
        plot.authorities = plot.servers.len();
        let resolvers = if setup.through_resolvers > 0 {
            setup.resolvers
        } else {
            0
        };
        for _ in 0..resolvers {
            plot.servers
                .push(Server::new(Habit::Good, false, rtt(&mut rng), setup.loss));
        }
        plot.make_accounts(setup, targets);
        plot.bound = plot.lower_bound(setup, targets);
        plot.turn(setup, &mut rng);
        plot
    }

    /// The catalogue, and what each operator allows.
    fn make_accounts(&mut self, setup: &Setup, targets: &TargetSet) {
        let mut files = Vec::new();
        let operators = self.operator_of.last().map_or(0, |last| last + 1);
        for operator in 0..operators {
            let qps = self.rate_of(setup, operator);
            let queries = 2.0 * asks(setup, Kind::Ip4, targets);
            let budget = setup
                .budget_share
                .filter(|_| operator % 5 == 4)
                .map(|share| (queries * share) as u64 + 100);
            let mut text =
                format!("[operator]\nid = \"o{operator}\"\nname = \"Operator {operator}\"\nchecked = 2026-11-23\n");
            text += "[operator.terms]\nuse = \"free\"\nrefusal = [\"127.255.255.254\"]\n";
            if let Some(qps) = qps {
                text += &format!("max_qps = {qps}\n");
            }
            if let Some(budget) = budget {
                text += &format!("max_queries_per_day = {budget}\n");
            }
            for list in (0..setup.lists).filter(|&list| self.operator_of[list] == operator) {
                text += &format!(
                    "[[list]]\nid = \"l{list}\"\nzone = \"l{list}.sim.test\"\nkinds = [\"ip4\", \"ip6\", \"domain\"]\n\
                     role = \"block\"\ntier = \"B\"\nname_form = \"full\"\n[list.codes]\n\"127.0.0.2\" = {{ means = \"seen\" }}\n"
                );
            }
            files.push((format!("o{operator}.toml"), text));
            self.accounts.push(Account {
                packets: 0,
                budget,
                limit: qps.map(Limit::new),
            });
        }
        let files: Vec<(&str, &str)> = files
            .iter()
            .map(|(name, text)| (name.as_str(), text.as_str()))
            .collect();
        self.catalogue = Catalogue::parse(&files).expect("a good catalogue");
    }

    /// Lets servers, whole zones, and a resolver turn bad while the run is under way.
    fn turn(&mut self, setup: &Setup, rng: &mut StdRng) {
        let whole = self.bound.as_nanos().max(2_000_000_000);
        for list in setup.through_resolvers..setup.lists {
            let all = setup.zones_turn;
            let turns = rng.random_bool(setup.turning);
            let into = setup.into.unwrap_or(Bad::ALL[rng.random_range(0..Bad::ALL.len())]);
            let mut at = Instant::from_nanos(rng.random_range(whole / 10..whole));
            if setup.from_start {
                at = Instant::ZERO;
            }
            if let Some(into) = setup.stumbling {
                for &server in &self.servers_of[list] {
                    if self.servers[server].habit == Habit::Dead {
                        continue;
                    }
                    let at = rng.random_range(1..=5);
                    self.servers[server].habit = Habit::Stumbles { at, into };
                }
            }
            if let Some((one_in, into)) = setup.erring {
                for &server in &self.servers_of[list] {
                    self.servers[server].habit = Habit::Errs { one_in, into };
                }
            }
            if turns {
                let count = if all { self.servers_of[list].len() } else { 1 };
                for &server in &self.servers_of[list][..count] {
                    self.servers[server].habit = Habit::Turns { at, into };
                }
            }
        }
        if let (Some(into), Some(resolver)) = (setup.resolver_turns, self.servers.get_mut(self.authorities)) {
            let at = Instant::from_nanos(whole / 3);
            resolver.habit = Habit::Turns { at, into };
        }
    }

    fn ways(&self, list: usize) -> Vec<&Server> {
        match self.servers_of[list].is_empty() {
            true => self.servers[self.authorities..].iter().collect(),
            false => self.servers_of[list]
                .iter()
                .map(|&server| &self.servers[server])
                .collect(),
        }
    }

    /// The round trip to a list, on average over its servers.
    fn trip(&self, list: usize) -> Span {
        let ways = self.ways(list);
        let sum = ways.iter().fold(Span::ZERO, |sum, server| sum + server.rtt);
        sum.part(ways.len() as u64)
    }

    fn told(&self, list: usize, marks: Marks) -> Told {
        let ways = self.ways(list);
        let trips = ways.iter().filter(|server| server.is_good()).map(|server| server.rtt);
        Told {
            marks,
            bound: self.bounds[list],
            trips: trips.clone().max().zip(trips.clone().min()),
            lost: ways.len() - trips.count(),
        }
    }

    /// Whether nothing excuses a pair of this list for being unknown.
    fn must_answer(&self, list: usize) -> bool {
        let budget = self.accounts[self.operator_of[list]].budget.is_some();
        !budget && self.ways(list).iter().all(|server| server.habit == Habit::Good)
    }

    /// No run can be shorter: the largest, over the ways, of queries ÷ allowed rate and of queries × round trip ÷ window, and
    /// one round trip. A list's queries are taken to be shared out among its good servers as well as can be; a window is the
    /// largest that the engine may have; what examinations, controls and lost packets take is not counted. Of what comes by way
    /// of resolvers, their total windows bound the sum.
    fn lower_bound(&mut self, setup: &Setup, targets: &TargetSet) -> Span {
        let asks: f64 = Kind::ALL.into_iter().map(|kind| asks(setup, kind, targets)).sum();
        let mut trips = vec![0.0f64; self.accounts.len()];
        let mut by_operator = vec![0.0f64; self.accounts.len()];
        let (mut all, mut resolved) = (0.0, 0.0);
        for list in 0..setup.lists {
            let good: Vec<_> = self.ways(list).into_iter().filter(|server| server.is_good()).collect();
            if good.is_empty() {
                continue;
            }
            let operator = self.operator_of[list];
            let account = &self.accounts[operator];
            let asks = account.budget.map_or(asks, |budget| asks.min(budget as f64 / 2.0));
            let capacity: f64 = good.iter().map(|server| server.capacity_qps(WINDOW)).sum();
            let trip = good.iter().map(|server| server.rtt).min().unwrap_or(Span::ZERO);
            trips[operator] = trips[operator].max(trip.as_secs_f64());
            by_operator[operator] += asks;
            all += asks;
            resolved += if self.servers_of[list].is_empty() { asks } else { 0.0 };
            self.bounds[list] = Span::from_secs_f64(asks / capacity + trip.as_secs_f64());
        }
        let mut longest = self.bounds.iter().map(|bound| bound.as_secs_f64()).fold(0.0, f64::max);
        for (operator, asks) in by_operator.iter().enumerate() {
            if let Some(qps) = self.rate_of(setup, operator) {
                longest = longest.max(asks / qps + trips[operator]);
            }
        }
        if let Some(rate) = setup.rate_qps {
            longest = longest.max(all / rate);
        }
        let resolvers = self.servers[self.authorities..].iter();
        let capacity: f64 = resolvers.map(|server| server.capacity_qps(4.0 * WINDOW)).sum();
        if capacity > 0.0 {
            longest = longest.max(resolved / capacity);
        }
        Span::from_secs_f64(longest)
    }

    /// What no run that examines lists, confirms what they said, and waits for silent ones can go below, one step after the
    /// other: the resolvers' check; of a list that works an examination, its questions and a control; of one whose servers
    /// are all silent one try.
    fn judged(&self, setup: &Setup) -> Span {
        let resolvers = self.servers[self.authorities..].iter();
        let check = resolvers.map(|server| server.rtt).max().unwrap_or(Span::ZERO);
        let lists = (0..setup.lists).map(|list| {
            let good = self.ways(list).into_iter().filter(|server| server.is_good());
            match good.map(|server| server.rtt).min() {
                Some(trip) => self.bounds[list] + trip.times(2),
                None => setup.timeout,
            }
        });
        check + lists.max().unwrap_or(Span::ZERO).max(self.bound)
    }

    fn rate_of(&self, setup: &Setup, operator: usize) -> Option<f64> {
        setup.operator_qps.filter(|_| operator.is_multiple_of(3))
    }
}

/// Questions about the targets of a kind that one list is asked: their addresses, and the texts of those that are listed.
fn asks(setup: &Setup, kind: Kind, targets: &TargetSet) -> f64 {
    let count = targets.count(kind) as f64;
    count * (1.0 + 1.0 / setup.listed_one_in as f64)
}

fn habit(setup: &Setup, rng: &mut StdRng) -> Habit {
    let roll: f64 = rng.random();
    let dead = setup.dead;
    let refusing = dead + setup.refusing;
    let limiting = refusing + setup.limiting;
    if roll < dead {
        Habit::Dead
    } else if roll < refusing {
        Habit::Refusing
    } else if roll < limiting {
        Habit::Limited {
            rate_qps: setup.limit_qps.unwrap_or_else(|| rng.random_range(50..500)),
            slips: setup.limit_qps.is_some() || rng.random_bool(0.5),
        }
    } else {
        Habit::Good
    }
}

/// 20 to 300 ms, most of it near: the square of an even spread.
fn rtt(rng: &mut StdRng) -> Span {
    let part: f64 = rng.random();
    Span::from_secs_f64(0.020 + 0.280 * part * part)
}
