//! Heat maps: the addresses of a /24, or the /24s of a /16, as 16 × 16 cells coloured by the hardest tier.
//!
//! Memory: an octet an address for at most [`BLOCKS_MAX`] /24s. Blocks that do not fit are counted, not kept.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use crate::dnsxl::Tier;
use crate::targets::Target;
use crate::verdict::{Judgement, Verdict};

/// /24s kept in memory: 4,096 (a /12) are a MiB.
const BLOCKS_MAX: usize = 4_096;

/// Maps drawn: a map is about 15 kB of page.
const MAPS_MAX: usize = 64;

/// What is known of an address, or of a /24 as a whole. Ordered: the later one decides for a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
enum Heat {
    #[default]
    Absent,
    Special,
    Clean,
    Unknown,
    C,
    B,
    A,
}

/// The heat of a run.
#[derive(Debug, Default)]
pub(super) struct HeatMaps {
    blocks: BTreeMap<[u8; 3], Box<[Heat; 256]>>,
    /// Listed addresses whose details the page shows; the page bounds them.
    shown: std::collections::BTreeSet<Ipv4Addr>,
}

/// A map as drawn.
#[derive(Debug)]
pub(super) struct Map {
    /// Its own place in the page.
    pub(super) id: String,
    pub(super) title: String,
    pub(super) rows: Vec<Vec<Cell>>,
}

/// A cell as drawn.
#[derive(Debug)]
pub(super) struct Cell {
    pub(super) class: &'static str,
    pub(super) sign: &'static str,
    pub(super) title: String,
    /// Where in the page the details are.
    pub(super) anchor: Option<String>,
}

impl HeatMaps {
    /// Takes a target in; `shown`: the page has its details.
    pub(super) fn add(&mut self, target: &Target, judgement: &Judgement, shown: bool) {
        let Target::Ip4(address) = *target else { return };
        let [a, b, c, d] = address.octets();
        if self.blocks.len() >= BLOCKS_MAX && !self.blocks.contains_key(&[a, b, c]) {
            return;
        }
        let block = self
            .blocks
            .entry([a, b, c])
            .or_insert_with(|| Box::new([Heat::Absent; 256]));
        block[usize::from(d)] = Heat::of(judgement);
        if shown {
            self.shown.insert(address);
        }
    }

    /// The maps to draw, and how many are left out: the /16s that hold several blocks, then the blocks. Where blocks are
    /// too many, those with listings are drawn.
    pub(super) fn draw(&self) -> (Vec<Map>, usize) {
        let few = self.blocks.len() <= MAPS_MAX;
        let wanted = |block: &[Heat; 256]| few || block.iter().any(|heat| *heat >= Heat::C);
        let drawn: Vec<[u8; 3]> = self
            .blocks
            .iter()
            .filter(|(_, block)| wanted(block))
            .map(|(at, _)| *at)
            .take(MAPS_MAX)
            .collect();
        let mut wide: BTreeMap<[u8; 2], [Heat; 256]> = BTreeMap::new();
        for ([a, b, c], block) in &self.blocks {
            let whole = block.iter().max().copied().unwrap_or_default();
            wide.entry([*a, *b]).or_insert([Heat::Absent; 256])[usize::from(*c)] = whole;
        }
        let several = |cells: &[Heat; 256]| cells.iter().filter(|heat| **heat != Heat::Absent).count() > 1;
        let wide = wide.iter().filter(|(_, cells)| several(cells)).take(MAPS_MAX);
        let mut maps: Vec<Map> = wide.map(|(at, cells)| draw_wide(*at, cells, &drawn)).collect();
        maps.extend(
            drawn
                .iter()
                .filter_map(|at| Some(self.draw_block(*at, self.blocks.get(at)?))),
        );
        (maps, self.blocks.len() - drawn.len())
    }

    fn draw_block(&self, [a, b, c]: [u8; 3], cells: &[Heat; 256]) -> Map {
        let listed = cells.iter().filter(|heat| **heat >= Heat::C).count();
        let rows = rows(cells, |d, heat| {
            let address = Ipv4Addr::new(a, b, c, d);
            let anchor = self.shown.contains(&address).then(|| format!("t-{address}"));
            heat.cell(address.to_string(), anchor)
        });
        Map {
            id: format!("m-{a}.{b}.{c}"),
            title: format!("{a}.{b}.{c}.0/24: {listed} listed"),
            rows,
        }
    }
}

fn draw_wide([a, b]: [u8; 2], cells: &[Heat; 256], drawn: &[[u8; 3]]) -> Map {
    let listed = cells.iter().filter(|heat| **heat >= Heat::C).count();
    let rows = rows(cells, |c, heat| {
        let anchor = (heat >= Heat::C && drawn.contains(&[a, b, c])).then(|| format!("m-{a}.{b}.{c}"));
        heat.cell(format!("{a}.{b}.{c}.0/24"), anchor)
    });
    Map {
        id: format!("m-{a}.{b}"),
        title: format!("{a}.{b}.0.0/16 by /24: {listed} with listings"),
        rows,
    }
}

fn rows(cells: &[Heat; 256], draw: impl Fn(u8, Heat) -> Cell) -> Vec<Vec<Cell>> {
    let row = |row: u8| {
        (0..16)
            .map(|column| draw(row * 16 + column, cells[usize::from(row * 16 + column)]))
            .collect()
    };
    (0..16).map(row).collect()
}

impl Heat {
    fn of(judgement: &Judgement) -> Heat {
        match (judgement.hardest(), judgement.verdict) {
            (Some(Tier::A), _) => Heat::A,
            (Some(Tier::B), _) => Heat::B,
            (Some(Tier::C | Tier::W), _) => Heat::C,
            (None, Verdict::Clean) => Heat::Clean,
            (None, Verdict::SpecialUse) => Heat::Special,
            (None, Verdict::Unknown | Verdict::Listed) => Heat::Unknown,
        }
    }

    fn cell(self, what: String, anchor: Option<String>) -> Cell {
        let (class, sign, word) = match self {
            Heat::Absent => ("x", "", "not in this run"),
            Heat::Special => ("s", "–", "special use"),
            Heat::Clean => ("o", "·", "clean"),
            Heat::Unknown => ("u", "?", "unknown"),
            Heat::C => ("c", "C", "listed, tier C"),
            Heat::B => ("b", "B", "listed, tier B"),
            Heat::A => ("a", "A", "listed, tier A"),
        };
        Cell {
            class,
            sign,
            title: format!("{what} {word}"),
            anchor,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dnsxl::Role;
    use crate::verdict::{Judge, Weights, sample};

    fn add(maps: &mut HeatMaps, name: &str, listed: bool) {
        let entry = [("beta", sample::listed(Role::Block, Tier::B))];
        let dossier = sample::dossier(name, if listed { &entry } else { &[] });
        let judgement = Judge::new(&sample::catalogue(), Weights::default()).judge(&dossier);
        maps.add(&dossier.target, &judgement, listed);
    }

    #[test]
    fn cells_stand_where_their_addresses_are() {
        let mut maps = HeatMaps::default();
        add(&mut maps, "192.0.2.255", true);
        add(&mut maps, "192.0.2.17", false);
        add(&mut maps, "2001:db8::1", true);
        let (drawn, left) = maps.draw();
        assert_eq!((drawn.len(), left), (1, 0));
        assert_eq!(drawn[0].title, "192.0.2.0/24: 1 listed");
        let cell = &drawn[0].rows[15][15];
        assert_eq!(
            (cell.class, cell.sign, cell.title.as_str()),
            ("b", "B", "192.0.2.255 listed, tier B")
        );
        assert_eq!(cell.anchor.as_deref(), Some("t-192.0.2.255"));
        assert_eq!(drawn[0].rows[1][1].title, "192.0.2.17 clean");
        assert_eq!(drawn[0].rows[0][0].class, "x");
    }

    #[test]
    fn several_blocks_get_a_map_of_their_16_and_many_blocks_are_bounded() {
        let mut maps = HeatMaps::default();
        for block in 0..=255 {
            add(&mut maps, &format!("198.18.{block}.1"), block == 3);
        }
        let (drawn, left) = maps.draw();
        assert_eq!(drawn.len(), 2, "the /16, and the one block with a listing");
        assert_eq!(drawn[0].rows[0][3].title, "198.18.3.0/24 listed, tier B");
        assert_eq!(drawn[0].rows[0][3].anchor.as_deref(), Some(drawn[1].id.as_str()));
        assert_eq!(left, 255);
        for block in 0..=255 {
            add(&mut maps, &format!("198.19.{block}.1"), true);
        }
        assert_eq!(maps.draw().0.len(), 2 + MAPS_MAX);
    }
}
