//! The stages of a scan: every target of the open tiles is explained, a bounded number at a time, in input order.
//!
//! ```text
//! window ─▶ cursor ─▶ tasks (futures, [`EXPLAINING_MAX`]) ⇄ lookups ⇄ engine
//!                        └─▶ records and findings of a target ─▶ its dossier, when its tile closes
//! ```
//!
//! Bounds: [`EXPLAINING_MAX`] targets are under way, [`TILES_AHEAD`] tiles hold results, a target has [`PATIENCE`]:
//! what it asks after that ends as silent, which its stages report as not known. After a stop nothing more is asked; a
//! target that was not explained by then says so.

use std::collections::BTreeMap;
use std::io;
use std::rc::Rc;

use tokio::runtime::Handle;

use crate::clock::{Instant, Span};
use crate::dossier::{STAGES_CANCELLED, is_explained};
use crate::engine::{Engine, RouteOptions};
use crate::exchange::{LookupFuture, Outcome, Resolver, Route, Upstream};
use crate::plan::habits::EXPLAINING_MAX;
use crate::stages::smtp::Greeter;
use crate::stages::{Explained, Finding, Stage, StageOptions, Stages, explain, related, related_kinds};
use crate::targets::{Kind, Target, special_use};
use crate::wire::{Name, Rtype};

use super::driver::Driver;
use super::lookups::{Lookups, Ways};
use super::tasks::Tasks;
use super::window::{OpenTile, Window};

/// Tiles from the oldest on whose targets are explained: 4,096 targets of some 5 KB each.
const TILES_AHEAD: u32 = 16;

/// How long a target may ask questions. RFC 7208 §4.6.4 wants at least 20 seconds for its part.
pub(super) const PATIENCE: Span = Span::from_secs(60);

/// Rounds of polling in one turn of the worker, so that packets are not kept waiting.
const ROUNDS_MAX: usize = 4;

/// Looks names up for one target, until its time is over.
pub(super) struct Patient {
    pub(super) lookups: Rc<Lookups>,
    pub(super) until: Instant,
}

impl Resolver for Patient {
    fn lookup(&self, name: Name, rtype: Rtype) -> LookupFuture<'_> {
        match self.lookups.now() < self.until {
            true => self.lookups.lookup(name, rtype),
            false => Box::pin(std::future::ready(crate::exchange::Lookup::Silent)),
        }
    }
}

/// Opens the ways for lookups: the resolvers, and servers for single zones.
pub(super) fn open_ways(engine: &mut Engine, resolvers: &[Upstream], routed: &[(Name, Upstream)]) -> Ways {
    let mut zones: BTreeMap<String, (Name, Vec<Upstream>)> = BTreeMap::new();
    for (zone, upstream) in routed {
        let (_, upstreams) = zones.entry(zone.to_string()).or_insert((zone.clone(), Vec::new()));
        upstreams.push(*upstream);
    }
    let zones = zones.into_values();
    Ways {
        common: (!resolvers.is_empty()).then(|| open_general(engine, resolvers.to_vec())),
        zones: zones
            .map(|(zone, upstreams)| (zone, open_general(engine, upstreams)))
            .collect(),
    }
}

/// Opens a way to names of many zones.
fn open_general(engine: &mut Engine, upstreams: Vec<Upstream>) -> Route {
    let route = engine.add_route(RouteOptions {
        upstreams,
        zone_octets: usize::MAX,
        pace: None,
    });
    engine.generalise(route);
    route
}

/// The targets of one tile.
#[derive(Debug)]
struct Explaining {
    left: usize,
    explained: Vec<Option<Explained>>,
}

/// Explains targets. Without stages it does nothing, and every tile counts as explained.
pub(super) struct Explainer {
    which: Stages,
    options: Rc<StageOptions>,
    greeter: Rc<Greeter>,
    lookups: Rc<Lookups>,
    ways: Ways,
    tasks: Tasks<(u32, u8), (Target, Explained)>,
    tiles: BTreeMap<u32, Explaining>,
    /// The next target to begin with: tile and offset.
    cursor: (u32, usize),
    driver: Option<Driver>,
    stopped: bool,
    /// Names that targets were found to be related to, by tile and offset, until somebody takes them.
    found: Vec<((u32, u8), Vec<Target>)>,
}

impl Explainer {
    pub(super) fn new(which: Stages, options: &StageOptions) -> Explainer {
        Explainer {
            which,
            options: Rc::new(options.clone()),
            greeter: Rc::new(Greeter::new(options.smtp.clone())),
            lookups: Rc::default(),
            ways: Ways::default(),
            tasks: Tasks::new(EXPLAINING_MAX),
            tiles: BTreeMap::new(),
            cursor: (0, 0),
            driver: None,
            stopped: false,
            found: Vec::new(),
        }
    }

    /// Whether any stage is wanted.
    pub(super) fn is_wanted(&self) -> bool {
        !self.which.is_empty()
    }

    /// Makes it ready: says where names are asked, and starts what SMTP needs.
    ///
    /// # Errors
    /// If SMTP is wanted and its thread cannot be started.
    pub(super) fn open(&mut self, ways: Ways) -> io::Result<()> {
        self.ways = ways;
        self.driver = self.which.has(Stage::Smtp).then(Driver::start).transpose()?;
        Ok(())
    }

    /// How far it has come, as a share of all targets, and what that weighs beside a list: a stage asks about as much. None
    /// without stages.
    pub(super) fn share(&self, window: &Window<'_>, targets: f64) -> Option<(f64, f64)> {
        let stages = Stage::ALL.into_iter().filter(|stage| self.which.has(*stage)).count();
        let under_way = self.tasks.len() as f64 / targets;
        let share = (window.share_before(self.cursor) - under_way).max(0.0);
        (stages > 0).then_some((share, stages as f64))
    }

    /// Names without a way of their own are looked up through these resolvers.
    pub(super) fn resolve_through(&mut self, engine: &mut Engine, resolvers: &[Upstream]) {
        self.ways.common = (!resolvers.is_empty()).then(|| open_general(engine, resolvers.to_vec()));
    }

    /// Questions asked so far.
    pub(super) fn asked(&self) -> u64 {
        self.lookups.asked()
    }

    /// Goes on with what can go on: begins with targets, polls those that heard something, hands questions to the engine.
    pub(super) fn advance(&mut self, now: Instant, engine: &mut Engine, window: &mut Window<'_>) {
        if self.which.is_empty() || self.stopped {
            return;
        }
        self.lookups.set_now(now);
        let sockets = self.driver.as_ref().map(Driver::handle);
        let _guard = sockets.as_ref().map(Handle::enter);
        for _ in 0..ROUNDS_MAX {
            self.begin(now, window);
            let (tiles, found, options) = (&mut self.tiles, &mut self.found, &self.options);
            let polled = self.tasks.poll(|(tile, offset), (target, explained)| {
                if options.related {
                    let names = related(&target, &explained);
                    found.extend((!names.is_empty()).then_some(((tile, offset), names)));
                }
                let tile = tiles
                    .get_mut(&tile)
                    .expect("a tile is held while its targets are explained");
                tile.explained[usize::from(offset)] = Some(explained);
                tile.left -= 1;
            });
            let submitted = self.lookups.submit(engine, &self.ways);
            if polled + submitted == 0 {
                break;
            }
        }
    }

    /// Begins with targets, as far as there is room.
    fn begin(&mut self, now: Instant, window: &mut Window<'_>) {
        let end = window.end().min(window.first().saturating_add(TILES_AHEAD));
        while self.tasks.has_room() {
            let (number, offset) = self.cursor.max((window.first(), 0));
            if number >= end {
                return;
            }
            let open = window.get(number).expect("between first and end");
            if open.done {
                self.cursor = (number + 1, 0); // it was handed out before
                continue;
            }
            let len = open.chunk.len();
            let tile = self.tiles.entry(number).or_insert_with(|| Explaining {
                left: len,
                explained: vec![None; len],
            });
            if offset >= len {
                self.cursor = (number + 1, 0);
                continue;
            }
            self.cursor = (number, offset + 1);
            let target = open.target(offset);
            let told = open.recalled.get(offset).filter(|told| is_told(told));
            if told.is_some() || special_use(&target).is_some() {
                tile.explained[offset] = told.cloned();
                tile.left -= 1;
                continue;
            }
            let patient = Patient {
                lookups: Rc::clone(&self.lookups),
                until: now + PATIENCE,
            };
            let (which, options, greeter) = (self.which, Rc::clone(&self.options), Rc::clone(&self.greeter));
            let work = async move {
                let explained = explain((&patient, &greeter), &target, which, &options).await;
                (target, explained)
            };
            self.tasks.start((number, offset as u8), Box::pin(work)); // a tile has 256 targets at most
        }
    }

    /// Takes the outcome of a question.
    pub(super) fn take(&mut self, now: Instant, number: u32, outcome: &Outcome) {
        self.lookups.set_now(now);
        self.lookups.take(number, outcome);
    }

    /// Kinds of names that targets of these kinds may be found to be related to.
    pub(super) fn related_kinds(&self, kinds: &[Kind]) -> Vec<Kind> {
        related_kinds(self.which, &self.options, kinds)
    }

    /// The names that targets were found to be related to since the last call.
    pub(super) fn take_found(&mut self) -> Vec<((u32, u8), Vec<Target>)> {
        std::mem::take(&mut self.found)
    }

    /// Adds to what was found of a target.
    pub(super) fn add(&mut self, (tile, offset): (u32, u8), findings: Vec<Finding>) {
        let tile = self.tiles.get_mut(&tile);
        if let Some(Some((_, all))) = tile.and_then(|tile| tile.explained.get_mut(usize::from(offset))) {
            all.extend(findings);
        }
    }

    /// Whether there is something to be done at once.
    pub(super) fn is_busy(&self) -> bool {
        !self.stopped && self.tasks.is_rung()
    }

    /// When there is something to be done by time.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.lookups.next_due().filter(|_| self.is_wanted())
    }

    /// Whether all targets of a tile are explained, as far as they will be.
    pub(super) fn is_explained(&self, number: u32) -> bool {
        self.which.is_empty() || self.stopped || self.tiles.get(&number).is_some_and(|tile| tile.left == 0)
    }

    /// What was found of a target. Taken out if `last`.
    pub(super) fn explained(&mut self, open: &OpenTile<'_>, offset: usize, last: bool) -> Explained {
        if self.which.is_empty() {
            return open.recalled.get(offset).cloned().unwrap_or_default();
        }
        if special_use(&open.target(offset)).is_some() {
            return Explained::default();
        }
        let tile = self.tiles.get_mut(&open.number);
        let explained = match (tile.and_then(|tile| tile.explained.get_mut(offset)), last) {
            (Some(slot), true) => slot.take(),
            (Some(slot), false) => slot.clone(),
            // A stop came before it was its turn.
            (None, _) => open.recalled.get(offset).filter(|told| is_told(told)).cloned(),
        };
        explained.unwrap_or_else(|| (Vec::new(), vec![cancelled()]))
    }

    /// All tiles come once more, with what was found of their targets.
    pub(super) fn begin_again(&mut self) {
        self.cursor = (0, 0);
    }

    /// A tile has left the window.
    pub(super) fn forget(&mut self, number: u32) {
        self.tiles.remove(&number);
    }

    /// Asks nothing more. What is not explained by now will not be.
    pub(super) fn stop(&mut self) {
        self.stopped = true;
        self.lookups.stop();
        let sockets = self.driver.as_ref().map(Driver::handle);
        let _guard = sockets.as_ref().map(Handle::enter); // sockets are closed there
        self.tasks.clear();
    }
}

/// Whether an earlier part of the run explained a target, as far as it was to be explained.
pub(super) fn is_told((_, findings): &Explained) -> bool {
    is_explained(findings)
}

pub(super) fn cancelled() -> Finding {
    let text = "the run was stopped before the target's own records were looked at";
    Finding::info("stages", STAGES_CANCELLED, text).mend("scan it again")
}
