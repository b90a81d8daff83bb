//! Heat maps: the addresses of a /24 as 16 × 16 cells in order, those of a larger block, up to a /16, along a Hilbert
//! curve, which keeps neighbours together. Each is an SVG with one path a colour, so that 65,536 cells are seven elements.
//!
//! Memory: an octet an address for at most [`BLOCKS_MAX`] /24s. Blocks that do not fit are counted, not kept. What the
//! cells are is written beside the paths too, run by run (`o12Ao243`: twelve clean, one of tier A, 243 clean), for the
//! page's script to tell the address under the pointer.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::Ipv4Addr;

use crate::dnsxl::Tier;
use crate::targets::Target;
use crate::verdict::{Judgement, Verdict};

/// /24s kept in memory: 4,096 (a /12) are a MiB.
const BLOCKS_MAX: usize = 4_096;

/// Maps of /24s drawn: a /16's worth. A map is 0.3 to 6 kB of page.
const MAPS_MAX: usize = 256;

/// Maps of larger blocks drawn. One of a /16 is 5 kB if little is listed, and 900 kB at the worst.
const OVERVIEWS_MAX: usize = 4;

/// What is known of an address. Ordered: the later one is drawn above.
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
    left_out: u64,
}

/// A map, ready to be drawn.
#[derive(Debug)]
pub(super) struct Map {
    /// The block as a prefix: its title.
    pub(super) block: String,
    /// Its first address.
    pub(super) base: Ipv4Addr,
    /// Cells a side.
    pub(super) side: u32,
    /// How the cells lie: `hilbert` or `rows`.
    pub(super) order: &'static str,
    pub(super) listed: usize,
    pub(super) addresses: usize,
    /// The class and the path of each colour.
    pub(super) paths: Vec<(&'static str, String)>,
    /// The cells, run by run.
    pub(super) cells: String,
}

/// The maps of a page.
#[derive(Debug)]
pub(super) struct Drawn {
    /// Blocks larger than a /24.
    pub(super) overviews: Vec<Map>,
    /// /24s.
    pub(super) blocks: Vec<Map>,
    /// /24s that are not drawn.
    pub(super) left: u64,
}

impl HeatMaps {
    /// Takes a target in.
    pub(super) fn add(&mut self, target: &Target, judgement: &Judgement) {
        let Target::Ip4(address) = *target else { return };
        let [a, b, c, d] = address.octets();
        if self.blocks.len() >= BLOCKS_MAX && !self.blocks.contains_key(&[a, b, c]) {
            self.left_out += u64::from(d == 0); // once a block, for those that come whole
            return;
        }
        let block = self
            .blocks
            .entry([a, b, c])
            .or_insert_with(|| Box::new([Heat::Absent; 256]));
        block[usize::from(d)] = Heat::of(judgement);
    }

    /// The /24s of the run, the first few: what was looked at.
    pub(super) fn names(&self, most: usize) -> Vec<String> {
        let blocks = self.blocks.keys().take(most);
        blocks.map(|[a, b, c]| format!("{a}.{b}.{c}.0/24")).collect()
    }

    /// How many /24s there are.
    pub(super) fn block_count(&self) -> usize {
        self.blocks.len()
    }

    /// Draws. Where the /24s are too many, those with listings are drawn.
    pub(super) fn draw(&self) -> Drawn {
        let few = self.blocks.len() <= MAPS_MAX;
        let wanted = |block: &[Heat; 256]| few || block.iter().any(|heat| *heat >= Heat::C);
        let blocks: Vec<Map> = self
            .blocks
            .iter()
            .filter(|(_, block)| wanted(block))
            .take(MAPS_MAX)
            .map(|([a, b, c], block)| draw(Ipv4Addr::new(*a, *b, *c, 0), 24, block.as_slice()))
            .collect();
        Drawn {
            overviews: self.overviews(),
            left: (self.blocks.len() - blocks.len()) as u64 + self.left_out,
            blocks,
        }
    }

    /// The smallest block of even length around the /24s of each /16 that has several.
    fn overviews(&self) -> Vec<Map> {
        let mut by_16: BTreeMap<[u8; 2], Vec<u8>> = BTreeMap::new();
        for [a, b, c] in self.blocks.keys() {
            by_16.entry([*a, *b]).or_default().push(*c);
        }
        let several = by_16.into_iter().filter(|(_, thirds)| thirds.len() > 1);
        several
            .take(OVERVIEWS_MAX)
            .map(|([a, b], thirds)| {
                let (low, high) = (thirds[0], thirds[thirds.len() - 1]);
                let length = [22, 20, 18, 16]
                    .into_iter()
                    .find(|length| low.checked_shr(24 - length) == high.checked_shr(24 - length))
                    .unwrap_or(16);
                let first = low & 0xff_u8.checked_shl(24 - length).unwrap_or(0);
                let cells: Vec<Heat> = (0..1_usize << (24 - length))
                    .flat_map(|at| {
                        let third = first + at as u8; // at most 255: the block is within the /16
                        self.blocks
                            .get(&[a, b, third])
                            .map_or([Heat::Absent; 256], |block| **block)
                    })
                    .collect();
                draw(Ipv4Addr::new(a, b, first, 0), length as u8, &cells)
            })
            .collect()
    }
}

/// Draws a block of `1 << (32 - length)` cells.
fn draw(base: Ipv4Addr, length: u8, cells: &[Heat]) -> Map {
    let side = 1_u32 << ((32 - length) / 2);
    let rows = length == 24;
    let mut grid = vec![Heat::Absent; cells.len()];
    for (at, heat) in cells.iter().enumerate() {
        let place = if rows { at } else { place(side, at as u32) };
        grid[place] = *heat;
    }
    let drawn = [Heat::Special, Heat::Clean, Heat::Unknown, Heat::C, Heat::B, Heat::A];
    let paths = drawn
        .into_iter()
        .map(|heat| (heat.class(), path(&grid, side as usize, heat)))
        .filter(|(_, path)| !path.is_empty());
    Map {
        block: format!("{base}/{length}"),
        base,
        side,
        order: if rows { "rows" } else { "hilbert" },
        listed: cells.iter().filter(|heat| **heat >= Heat::C).count(),
        addresses: cells.iter().filter(|heat| **heat != Heat::Absent).count(),
        paths: paths.collect(),
        cells: run_lengths(cells),
    }
}

/// The cells of one colour as a path: a rectangle for each stretch of a row. Cells of tiers B and C are a little smaller
/// in a /24, so that tiers can be told apart without their colours.
fn path(grid: &[Heat], side: usize, wanted: Heat) -> String {
    let mut path = String::new();
    for (y, row) in grid.chunks(side).enumerate() {
        let mut x = 0;
        while x < side {
            let length = row[x..].iter().take_while(|heat| **heat == wanted).count();
            let inset = match (wanted, side) {
                (Heat::B, 16) => 14,
                (Heat::C, 16) => 26,
                _ => 0,
            };
            if length > 0 && inset > 0 {
                for x in x..x + length {
                    let size = 100 - 2 * inset;
                    write!(path, "M{x}.{inset} {y}.{inset}h.{size}v.{size}h-.{size}z").expect("to memory");
                }
            } else if length > 0 {
                write!(path, "M{x} {y}h{length}v1h-{length}z").expect("to memory");
            }
            x += length.max(1);
        }
    }
    path
}

/// Where the cell of an address lies in a square of `side` cells: the Hilbert curve's point at `at`, as `y * side + x`.
fn place(side: u32, at: u32) -> usize {
    let (mut x, mut y, mut rest) = (0, 0, at);
    let mut size = 1;
    while size < side {
        let (right, down) = (1 & (rest / 2), 1 & (rest ^ (rest / 2)));
        if down == 0 {
            if right == 1 {
                (x, y) = (size - 1 - x, size - 1 - y);
            }
            (x, y) = (y, x);
        }
        x += size * right;
        y += size * down;
        rest /= 4;
        size *= 2;
    }
    (y * side + x) as usize
}

fn run_lengths(cells: &[Heat]) -> String {
    let mut text = String::new();
    let mut rest = cells;
    while let Some(first) = rest.first() {
        let length = rest.iter().take_while(|heat| *heat == first).count();
        text.push_str(first.class());
        if length > 1 {
            write!(text, "{length}").expect("to memory");
        }
        rest = &rest[length..];
    }
    text
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

    fn class(self) -> &'static str {
        match self {
            Heat::Absent => "x",
            Heat::Special => "s",
            Heat::Clean => "o",
            Heat::Unknown => "u",
            Heat::C => "c",
            Heat::B => "b",
            Heat::A => "a",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dnsxl::Role;
    use crate::verdict::{Judge, Weights, sample};

    fn add(maps: &mut HeatMaps, name: &str, tier: Option<Tier>) {
        let entry: Vec<_> = tier
            .map(|tier| ("beta", sample::listed(Role::Block, tier)))
            .into_iter()
            .collect();
        let dossier = sample::dossier(name, &entry);
        let judgement = Judge::new(&sample::catalogue(), Weights::default()).judge(&dossier);
        maps.add(&dossier.target, &judgement);
    }

    #[test]
    fn cells_of_a_24_stand_where_their_addresses_are() {
        let mut maps = HeatMaps::default();
        add(&mut maps, "192.0.2.255", Some(Tier::A));
        add(&mut maps, "192.0.2.17", None);
        add(&mut maps, "192.0.2.18", None);
        add(&mut maps, "192.0.2.2", Some(Tier::B));
        add(&mut maps, "2001:db8::1", Some(Tier::A));
        let drawn = maps.draw();
        assert_eq!((drawn.overviews.len(), drawn.blocks.len(), drawn.left), (0, 1, 0));
        let map = &drawn.blocks[0];
        assert_eq!((map.block.as_str(), map.side, map.order), ("192.0.2.0/24", 16, "rows"));
        assert_eq!((map.listed, map.addresses), (2, 4));
        assert_eq!(map.cells, "x2bx14o2x236a");
        assert_eq!(
            map.paths,
            [
                ("o", "M1 1h2v1h-2z".to_owned()),
                ("b", "M2.14 0.14h.72v.72h-.72z".to_owned()),
                ("a", "M15 15h1v1h-1z".to_owned()),
            ]
        );
    }

    #[test]
    fn the_curve_visits_each_cell_once_and_steps_to_a_neighbour() {
        for side in [2_u32, 16, 32, 256] {
            let mut seen = vec![false; (side * side) as usize];
            let mut last: Option<(u32, u32)> = None;
            for at in 0..side * side {
                let place = place(side, at);
                assert!(!std::mem::replace(&mut seen[place], true));
                let here = (place as u32 % side, place as u32 / side);
                if let Some((x, y)) = last {
                    assert_eq!(here.0.abs_diff(x) + here.1.abs_diff(y), 1, "side {side}, cell {at}");
                }
                last = Some(here);
            }
        }
    }

    #[test]
    fn a_24_is_a_square_of_the_curve() {
        let places: Vec<usize> = (256..512).map(|at| place(256, at)).collect();
        let (xs, ys): (Vec<usize>, Vec<usize>) = places.iter().map(|place| (place % 256, place / 256)).unzip();
        let span = |values: &[usize]| values.iter().max().expect("some") - values.iter().min().expect("some");
        assert_eq!((span(&xs), span(&ys)), (15, 15));
    }

    #[test]
    fn larger_blocks_get_an_overview_and_many_blocks_are_bounded() {
        let mut maps = HeatMaps::default();
        for third in [4, 7] {
            add(&mut maps, &format!("198.18.{third}.1"), None);
        }
        assert_eq!(maps.draw().overviews[0].block, "198.18.4.0/22");
        for third in 0..=255 {
            add(&mut maps, &format!("198.18.{third}.1"), (third == 3).then_some(Tier::B));
        }
        let drawn = maps.draw();
        assert_eq!(
            (drawn.overviews[0].block.as_str(), drawn.overviews[0].side),
            ("198.18.0.0/16", 256)
        );
        assert_eq!((drawn.blocks.len(), drawn.left), (256, 0));
        add(&mut maps, "198.19.0.1", None);
        let drawn = maps.draw();
        assert_eq!(
            (drawn.blocks.len(), drawn.left),
            (1, 256),
            "only the one with a listing"
        );
    }
}
