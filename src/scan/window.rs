//! The open tiles: a window that moves over the targets in input order.
//!
//! A tile opens when the first lane comes to it, and may then be worked on by all. A complete tile is handed out at once;
//! it stays until those before it are complete too, so that whoever wants input order gets it without any other memory.
//! Each worker has a window of its own over the one row of tiles: those of others it passes over.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use crate::dnsxl::{Cause, How, Observation, Reason};
use crate::dossier::{Finding, StageRecords, Tile};
use crate::plan::{Plan, Treatment};
use crate::targets::{Chunk, Kind, Target, special_use};

use super::claims::Claims;
use super::ticket::LaneIndex;

/// A tile with its targets.
#[derive(Debug)]
pub(super) struct OpenTile<'a> {
    pub(super) number: u32,
    pub(super) chunk: Chunk<'a>,
    pub(super) tile: Tile,
    /// It was complete and has been handed out, or is none of ours.
    pub(super) done: bool,
    /// No other worker has it.
    ours: bool,
    /// It is in the journal as it is.
    pub(super) kept: bool,
    /// What stages had found, by offset, in a tile that was recalled; else nothing.
    pub(super) recalled: Vec<(StageRecords, Vec<Finding>)>,
    /// The revisions of its dossiers, by offset, in a tile that was recalled; else nothing: all are the first.
    pub(super) revisions: Vec<u32>,
    /// Pairs (offset, column) that were taken back, with how they had been learnt; by offset.
    pub(super) taken_back: Vec<(usize, usize, How)>,
    /// Pairs (column, offset) of which one of two names is still out.
    pub(super) halves: HashMap<(usize, usize), Half>,
}

/// A pair that is asked by two names: what the names answered so far.
#[derive(Debug)]
pub(super) struct Half {
    pub(super) left: u8,
    /// What weighs most so far, and by which name it was learnt.
    pub(super) best: Option<(Observation, u8)>,
}

impl Half {
    /// What was heard so far is not believed any more.
    pub(super) fn doubt(&mut self) {
        if let Some((observation, _)) = &mut self.best {
            *observation = Observation::Unknown(Cause::ListUnhealthy);
        }
    }
}

impl OpenTile<'_> {
    pub(super) fn target(&self, offset: usize) -> Target {
        self.chunk.get(offset).expect("offsets are below the chunk's length")
    }

    /// Whether it is of interest to the lanes of a kind.
    pub(super) fn has(&self, kind: Kind) -> bool {
        self.tile.has(kind)
    }

    /// The pairs of a target that were taken back: columns, with how they had been learnt.
    pub(super) fn taken_back_of(&self, offset: usize) -> impl Iterator<Item = (usize, How)> + '_ {
        let first = self.taken_back.partition_point(|(of, ..)| *of < offset);
        let rest = self.taken_back[first..].iter();
        rest.take_while(move |(of, ..)| *of == offset)
            .map(|(_, column, how)| (*column, *how))
    }
}

/// The window.
#[derive(Debug)]
pub(super) struct Window<'a> {
    claims: Arc<Claims>,
    /// The number of the first tile held.
    first: u32,
    tiles: VecDeque<OpenTile<'a>>,
    /// No more tiles are opened.
    closed: bool,
    /// There was no room for the next tile, or it is not yet the turn of the oldest: maybe because of other workers.
    held_up: bool,
}

impl<'a> Window<'a> {
    /// A window over a row of tiles.
    pub(super) fn new(claims: Arc<Claims>) -> Window<'a> {
        Window {
            claims,
            first: 0,
            tiles: VecDeque::new(),
            closed: false,
            held_up: false,
        }
    }

    /// The number of the first tile that is held.
    pub(super) fn first(&self) -> u32 {
        self.first
    }

    /// The number behind the last tile that has been opened.
    pub(super) fn end(&self) -> u32 {
        self.first + self.tiles.len() as u32 // at most TILES_MAX more
    }

    /// The share of all targets that stands before a place (tile, step): from 0 to 1.
    pub(super) fn share_before(&self, (tile, step): (u32, usize)) -> f64 {
        let held = tile
            .checked_sub(self.first)
            .and_then(|place| self.tiles.get(place as usize));
        let within = held.map_or(0.0, |tile| step as f64 / tile.chunk.len().max(1) as f64);
        ((f64::from(tile.max(self.first)) + within) / f64::from(self.count().max(1))).min(1.0)
    }

    /// Whether a tile has been taken.
    pub(super) fn has_begun(&self) -> bool {
        self.end() > 0
    }

    /// How many tiles there are in all.
    pub(super) fn count(&self) -> u32 {
        self.claims.count()
    }

    /// Whether every tile has been opened, or no more will be.
    pub(super) fn all_opened(&self) -> bool {
        self.closed || self.claims.left() == 0
    }

    /// Whether no tile is held and none will be.
    pub(super) fn is_finished(&self) -> bool {
        self.tiles.is_empty() && self.all_opened()
    }

    /// Opens no more tiles.
    pub(super) fn close(&mut self) {
        self.closed = true;
    }

    /// Tiles that will never be opened, as the run was stopped: the first of them. They are nobody's then.
    pub(super) fn leave_rest(&mut self) -> u32 {
        self.claims.take_rest()
    }

    /// Whether another worker could not go on.
    pub(super) fn have_failed(&self) -> bool {
        self.claims.have_failed()
    }

    /// The first worker has given up a lane, which is the same for all.
    pub(super) fn give_up(&self, index: LaneIndex) {
        self.claims.give_up(index);
    }

    /// Whether the first worker has given up a lane.
    pub(super) fn is_given_up(&self, index: LaneIndex) -> bool {
        self.claims.is_given_up(index)
    }

    /// Another worker is waited for.
    pub(super) fn hold_up(&mut self) {
        self.held_up = true;
    }

    /// Whether it may be another worker that is waited for, since this was asked last.
    pub(super) fn was_held_up(&mut self) -> bool {
        std::mem::take(&mut self.held_up)
    }

    /// Takes the next tile, if there is one and there is room for it: it stands at the end of the window, and is to be opened.
    pub(super) fn take_next(&mut self, plan: &Plan<'a>) -> Option<u32> {
        if self.all_opened() {
            return None;
        }
        let Some(number) = self.claims.take() else {
            self.held_up = true;
            return None;
        };
        if self.tiles.is_empty() {
            self.first = number;
        }
        while self.end() < number {
            self.push_empty(plan, false);
        }
        Some(number)
    }

    /// Opens the tile that was taken. Pairs that are not to be asked, and those of data at hand, are settled; what else can be
    /// settled at once is `prepare`'s to do.
    pub(super) fn open(&mut self, plan: &Plan<'a>, prepare: impl FnOnce(&mut Tile)) -> Option<&mut OpenTile<'a>> {
        let chunk = plan.targets.chunk(u64::from(self.end()))?;
        let mut tile = opened(plan, &chunk);
        prepare(&mut tile);
        self.push(chunk, tile, (false, true));
        self.tiles.back_mut()
    }

    /// Passes over the tile that was taken: it was handed out before, and stays as it is. It takes room until it is popped, so
    /// that no more than fill the window are passed over at once.
    pub(super) fn pass_over(&mut self, plan: &Plan<'a>) {
        self.push_empty(plan, true);
    }

    fn push_empty(&mut self, plan: &Plan<'a>, ours: bool) {
        if let Some(chunk) = plan.targets.chunk(u64::from(self.end())) {
            self.push(chunk, Tile::new(0, &[]), (true, ours));
        }
    }

    fn push(&mut self, chunk: Chunk<'a>, tile: Tile, (done, ours): (bool, bool)) {
        self.tiles.push_back(OpenTile {
            number: self.end(),
            chunk,
            tile,
            done,
            ours,
            kept: false,
            recalled: Vec::new(),
            revisions: Vec::new(),
            taken_back: Vec::new(),
            halves: HashMap::new(),
        });
    }

    /// A tile that is held.
    pub(super) fn get(&mut self, number: u32) -> Option<&mut OpenTile<'a>> {
        let place = number.checked_sub(self.first)?;
        self.tiles.get_mut(place as usize)
    }

    /// All tiles with targets of a kind that are held and not done, with their numbers.
    pub(super) fn open_of(&mut self, kind: Kind) -> impl Iterator<Item = (u32, &mut OpenTile<'a>)> {
        let numbered = (self.first..).zip(&mut self.tiles);
        numbered.filter(move |(_, tile)| !tile.done && tile.has(kind))
    }

    /// Whether the oldest tile waits for nothing but confirmations.
    pub(super) fn oldest_is_settled(&self) -> bool {
        self.tiles
            .front()
            .is_some_and(|tile| !tile.done && tile.tile.is_settled())
    }

    /// Takes the oldest tile out if it has been handed out; in input order, if it is `ordered`, over all workers. It is to be
    /// [let go](Window::let_go).
    pub(super) fn pop_done(&mut self, ordered: bool) -> Option<OpenTile<'a>> {
        while !self.tiles.front()?.ours {
            self.tiles.pop_front();
            self.first += 1;
        }
        let number = self.first;
        if !self.tiles.front()?.done {
            return None;
        }
        if ordered && !self.claims.is_oldest(number) {
            self.held_up = true;
            return None;
        }
        self.first += 1;
        self.tiles.pop_front()
    }

    /// A tile is done with: there is room for another.
    pub(super) fn let_go(&mut self, number: u32) {
        self.claims.close(number);
    }
}

/// A new tile: what needs no question is settled, what another pair will tell waits for it, the rest is pending.
fn opened(plan: &Plan<'_>, chunk: &Chunk<'_>) -> Tile {
    let targets: Vec<Target> = chunk.iter().collect();
    let special: Vec<bool> = targets.iter().map(|target| special_use(target).is_some()).collect();
    let kinds: Vec<Kind> = targets.iter().map(Target::kind).collect();
    let any_special = special.contains(&true);
    let mut tile = Tile::new(plan.columns.len(), &kinds);
    for (column, facts) in plan.columns.iter().enumerate() {
        let treatments = Kind::ALL.map(|kind| plan.treatment(column, kind));
        let units = Kind::ALL.map(|kind| plan.unit(column, kind));
        let is_asked = |kind: &Kind| treatments[*kind as usize] == Treatment::Ask && units[*kind as usize].is_none();
        if !any_special && Kind::ALL.iter().filter(|kind| tile.has(**kind)).all(is_asked) {
            continue; // nearly always: all pairs are pending, as they are made
        }
        let mut asked = HashSet::new();
        for (offset, target) in targets.iter().enumerate() {
            let kind = kinds[offset] as usize;
            match treatments[kind] {
                _ if special[offset] => tile.exclude(column, offset, Reason::SpecialUse),
                Treatment::NotAsked(reason) => tile.exclude(column, offset, reason),
                Treatment::Fold(_) => tile.await_composite(column, offset),
                Treatment::Local => {
                    let observation = facts.local.expect("that is what `Local` says").observe(target);
                    tile.learn(column, offset, (observation, How::Local), None);
                }
                Treatment::Ask => {
                    // The first address of a unit is asked for all of them.
                    if units[kind].is_some_and(|unit| !asked.insert(unit_of(target, unit))) {
                        tile.await_unit(column, offset);
                    }
                }
            }
        }
    }
    tile
}

/// The unit that an IPv6 address is in: what is left of it without the bits that tell addresses of a unit apart.
pub(super) fn unit_of(target: &Target, unit: u8) -> u128 {
    match target {
        Target::Ip6(address) => address.to_bits().checked_shr(128 - u32::from(unit)).unwrap_or(0),
        Target::Ip4(_) | Target::Domain(_) => unreachable!("only IPv6 lists have units"),
    }
}
