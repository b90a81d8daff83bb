//! The zones that are served, and the way from a name to the zone that it is in.

use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::wire::Name;
use crate::zone::ZoneSoa;

use super::conduct::{Conduct, Phase, conduct_at};
use super::content::Content;
use super::message::soa_record;
use super::records::made_up_soa;

/// A zone with its conduct and its counter.
#[derive(Debug)]
pub(super) struct Served {
    pub(super) origin: Name,
    pub(super) labels: usize,
    pub(super) content: Content,
    pub(super) phases: Vec<Phase>,
    /// The SOA record from its type on.
    pub(super) soa: Vec<u8>,
    /// How long each reply takes.
    pub(super) delay: Duration,
    /// How many of a thousand queries are lost.
    pub(super) loss_permille: u32,
    queries: AtomicU64,
}

impl Served {
    /// A zone that behaves as `phases` say, in their order; the first must be from 0.
    pub(super) fn new(origin: Name, content: Content, phases: Vec<Phase>) -> Served {
        let soa = match &content {
            Content::List(zone) => zone.soa().cloned(),
            _ => None,
        };
        Served {
            labels: origin.label_count(),
            origin: origin.to_lowercase(),
            content,
            phases,
            soa: soa_record(&soa.unwrap_or_else(made_up_soa)),
            delay: Duration::ZERO,
            loss_permille: 0,
            queries: AtomicU64::new(0),
        }
    }

    /// A zone with one conduct.
    pub(super) fn steady(origin: Name, content: Content, conduct: Conduct) -> Served {
        Served::new(origin, content, vec![Phase { from: 0, conduct }])
    }

    /// Counts a query; gives its number and the conduct that it meets.
    pub(super) fn meet(&self) -> (u64, &Conduct) {
        let count = self.queries.fetch_add(1, Ordering::Relaxed);
        (count, conduct_at(&self.phases, count))
    }

    /// Queries for names in this zone so far.
    pub(super) fn queries(&self) -> u64 {
        self.queries.load(Ordering::Relaxed)
    }
}

/// All zones.
#[derive(Debug)]
pub(super) struct World {
    zones: HashMap<Box<[u8]>, Served>,
    /// Most labels of a zone's name: longer suffixes need not be looked up.
    labels_max: usize,
    /// The root's SOA record from its type on.
    pub(super) root_soa: Vec<u8>,
    pub(super) queries: AtomicU64,
    pub(super) seed: u64,
}

impl World {
    /// A world of these zones; of two with one name the later one holds.
    pub(super) fn new(zones: Vec<Served>, seed: u64) -> World {
        let root = ZoneSoa {
            ttl: 86_400,
            minimum: 300,
            ..made_up_soa()
        };
        World {
            labels_max: zones.iter().map(|zone| zone.labels).max().unwrap_or(0),
            zones: zones.into_iter().map(|zone| (key(&zone.origin), zone)).collect(),
            root_soa: soa_record(&root),
            queries: AtomicU64::new(0),
            seed,
        }
    }

    /// The deepest zone that a name is in, by its longest suffix.
    ///
    /// `labels` is the name in lower case, in wire form without the root's octet, and `count` its number of labels.
    pub(super) fn find(&self, labels: &[u8], count: usize) -> Option<&Served> {
        let (mut rest, mut left) = (labels, count);
        loop {
            if left <= self.labels_max
                && let Some(zone) = self.zones.get(rest)
            {
                return Some(zone);
            }
            let &len = rest.first()?;
            rest = &rest[usize::from(len) + 1..];
            left -= 1;
        }
    }

    /// The zone of this name.
    pub(super) fn zone(&self, origin: &Name) -> Option<&Served> {
        self.zones.get(&key(&origin.to_lowercase()))
    }

    /// The same, to change it before the world is served.
    ///
    /// # Errors
    /// If there is none.
    pub(super) fn zone_mut(&mut self, origin: &Name) -> io::Result<&mut Served> {
        let missing = || io::Error::new(io::ErrorKind::NotFound, format!("the lab has no zone {origin}"));
        self.zones.get_mut(&key(&origin.to_lowercase())).ok_or_else(missing)
    }

    /// All zones.
    pub(super) fn zones(&self) -> impl Iterator<Item = &Served> {
        self.zones.values()
    }
}

fn key(origin: &Name) -> Box<[u8]> {
    let wire = origin.as_wire();
    wire[..wire.len() - 1].into()
}
