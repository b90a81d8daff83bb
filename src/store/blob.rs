//! The octets of a closed tile, and the way back to its dossiers.
//!
//! * `targets`: stretches of targets that follow each other. `4`, first address (4 octets), how many less one; `6` or `7`
//!   (step 1, or one a /64), first address (16 octets), how many less one; `d`, length, name. Numbers are big-endian.
//! * `states`: one octet a pair, all targets of the first list, then of the next, as runs: the octet, then how many
//!   (LEB128). A list's targets stand kind by kind (IPv4, IPv6, domains), each kind in the order of `targets`: kinds that
//!   alternate do not cut the runs. An octet is what is known (`KNOWN`, five bits) and how (`HOWS`, three bits above). A
//!   clean /24 on 150 lists is three octets.
//! * `details`: JSON, if there are any: texts, each once; a row a listing that points to them; stage records and findings
//!   of single targets; stretches of targets that were revised.
//!
//! The order of the words in `CAUSES`, `REASONS` and `HOWS` is that of the file: they are only ever added to.

use std::collections::HashMap;
use std::net::{Ipv4Addr, Ipv6Addr};

use serde::{Deserialize, Serialize};

use crate::dnsxl::{Cause, How, ListIndex, Listing, Observation, Reason, ReturnCodes, Role, Tier};
use crate::dossier::{Dossier, Finding, Observed, is_explained, is_open};
use crate::stages::Stage;
use crate::targets::{CHUNK_TARGETS_MAX, Domain, Target, special_use};

use super::listed::block_of;

const CAUSES: [Cause; 8] = [
    Cause::Timeout,
    Cause::Servfail,
    Cause::Refused,
    Cause::InvalidAnswer,
    Cause::ListUnhealthy,
    Cause::ResolverBroken,
    Cause::OverBudget,
    Cause::Cancelled,
];
const REASONS: [Reason; 5] = [
    Reason::Unsupported,
    Reason::NoKey,
    Reason::Retired,
    Reason::Excluded,
    Reason::SpecialUse,
];
const HOWS: [How; 5] = [How::Asked, How::Folded, How::Pruned, How::Shared, How::Local];

const NOT_LISTED: u8 = 0;
const LISTED: u8 = 1;
const UNKNOWN: u8 = 2;
const NOT_ASKED: u8 = 16;
const HOW_SHIFT: u8 = 5;
const KNOWN_MASK: u8 = 0x1f;
const _: () = assert!(UNKNOWN as usize + CAUSES.len() <= NOT_ASKED as usize);
const _: () = assert!(NOT_ASKED as usize + REASONS.len() <= KNOWN_MASK as usize + 1 && HOWS.len() <= 8);

/// A closed tile as it is written down.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Blob {
    pub(super) number: u32,
    /// Pairs that are to be asked again, and targets whose stages were cut off.
    pub(super) open: u32,
    pub(super) targets: Vec<u8>,
    pub(super) states: Vec<u8>,
    pub(super) details: Option<Vec<u8>>,
    /// The blocks of the targets that are listed, each once.
    pub(super) blocks: Vec<i64>,
}

impl Blob {
    /// Memory that it holds, roughly.
    pub(super) fn octets(&self) -> usize {
        let details = self.details.as_ref().map_or(0, Vec::len);
        self.targets.len() + self.states.len() + details + self.blocks.len() * size_of::<i64>()
    }
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Details {
    texts: Vec<String>,
    listings: Vec<ListingDetails>,
    told: Vec<Told>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    revised: Vec<Revised>,
}

/// Column, offset, codes, meanings, role, tier, reason, TTL, whether the reason was cut off, whether it is partial.
#[derive(Debug, Serialize, Deserialize)]
struct ListingDetails(
    u16,
    u8,
    Vec<u32>,
    Vec<u32>,
    Role,
    Tier,
    Option<u32>,
    u32,
    #[serde(default)] bool,
    #[serde(default)] bool,
);

/// Offset, 1, stage records, findings.
#[derive(Debug, Serialize, Deserialize)]
struct Told(u8, u32, Vec<(String, serde_json::Value)>, Vec<Finding>);

/// First offset, last offset, revision.
#[derive(Debug, Serialize, Deserialize)]
struct Revised(u8, u8, u32);

/// Takes the dossiers of a tile, one after the other. Keeps its memory from tile to tile.
#[derive(Debug)]
pub(super) struct Encoder {
    columns: usize,
    /// Column by column, [`CHUNK_TARGETS_MAX`] octets each.
    states: Vec<u8>,
    len: usize,
    targets: Vec<Target>,
    details: Details,
    places: HashMap<String, u32>,
    blocks: Vec<i64>,
    open: u32,
}

impl Encoder {
    pub(super) fn new(columns: usize) -> Encoder {
        Encoder {
            columns,
            states: vec![0; columns * CHUNK_TARGETS_MAX],
            len: 0,
            targets: Vec::new(),
            details: Details::default(),
            places: HashMap::new(),
            blocks: Vec::new(),
            open: 0,
        }
    }

    /// Takes the next dossier.
    pub(super) fn add(&mut self, dossier: &Dossier) {
        assert!(self.len < CHUNK_TARGETS_MAX, "a tile has 256 targets at most");
        assert_eq!(dossier.observations.len(), self.columns, "one observation a list");
        let offset = self.len;
        let before = self.details.listings.len();
        for (column, observed) in dossier.observations.iter().enumerate() {
            self.states[column * CHUNK_TARGETS_MAX + offset] = state_of(observed);
            self.open += u32::from(is_open(&observed.observation));
            if let Observation::Listed(listing) = &observed.observation {
                self.add_listing(column as u16, listing); // fewer than 65,536 lists
            }
        }
        if self.details.listings.len() > before {
            self.blocks.push(block_of(&dossier.target));
        }
        self.open += u32::from(!is_explained(&dossier.findings));
        if dossier.revision != 1 {
            let offset = offset as u8;
            match self.details.revised.last_mut() {
                Some(Revised(_, last, revision)) if *last + 1 == offset && *revision == dossier.revision => {
                    *last = offset
                }
                _ => self.details.revised.push(Revised(offset, offset, dossier.revision)),
            }
        }
        if !dossier.stages.is_empty() || !dossier.findings.is_empty() {
            let stages = dossier
                .stages
                .iter()
                .map(|(name, value)| ((*name).to_owned(), value.clone()));
            let told = Told(offset as u8, 1, stages.collect(), dossier.findings.clone());
            self.details.told.push(told);
        }
        self.targets.push(dossier.target.clone());
        self.len += 1;
    }

    fn add_listing(&mut self, column: u16, listing: &Listing) {
        let meanings = listing.codes.meanings.iter().map(|text| self.place(text)).collect();
        let reason = listing.reason.as_deref().map(|text| self.place(text));
        self.details.listings.push(ListingDetails(
            column,
            self.len as u8,
            listing.codes.answers.iter().map(|code| code.to_bits()).collect(),
            meanings,
            listing.role,
            listing.tier,
            reason,
            listing.ttl,
            listing.reason_cut,
            listing.partial,
        ));
    }

    /// The place of a text among those of the tile.
    fn place(&mut self, text: &str) -> u32 {
        if let Some(place) = self.places.get(text) {
            return *place;
        }
        let place = self.details.texts.len() as u32; // a tile has fewer than 2^32 listings
        self.details.texts.push(text.to_owned());
        self.places.insert(text.to_owned(), place);
        place
    }

    /// The tile whose dossiers were added; the encoder is ready for the next one.
    pub(super) fn close(&mut self, number: u32) -> Blob {
        let details = std::mem::take(&mut self.details);
        self.blocks.sort_unstable();
        self.blocks.dedup();
        let any = !details.listings.is_empty() || !details.told.is_empty() || !details.revised.is_empty();
        let blob = Blob {
            number,
            open: std::mem::take(&mut self.open),
            targets: write_targets(&self.targets),
            states: self.write_states(),
            details: any.then(|| serde_json::to_vec(&details).expect("details are plain JSON")),
            blocks: std::mem::take(&mut self.blocks),
        };
        self.targets.clear();
        self.places.clear();
        self.len = 0;
        blob
    }

    fn write_states(&self) -> Vec<u8> {
        let mut octets = Vec::new();
        let mut run: Option<(u8, u64)> = None;
        let order = by_kind(&self.targets);
        for column in self.states.chunks_exact(CHUNK_TARGETS_MAX) {
            for state in order.iter().map(|&offset| &column[offset]) {
                match &mut run {
                    Some((last, count)) if last == state => *count += 1,
                    _ => {
                        if let Some((last, count)) = run.replace((*state, 1)) {
                            write_run(&mut octets, last, count);
                        }
                    }
                }
            }
        }
        if let Some((last, count)) = run {
            write_run(&mut octets, last, count);
        }
        octets
    }
}

/// The offsets of targets, kind by kind.
fn by_kind(targets: &[Target]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..targets.len()).collect();
    order.sort_by_key(|&offset| targets[offset].kind()); // stable
    order
}

fn write_run(octets: &mut Vec<u8>, state: u8, mut count: u64) {
    octets.push(state);
    while count > 0x7f {
        octets.push(count as u8 | 0x80); // the low seven bits, and a mark that more follow
        count >>= 7;
    }
    octets.push(count as u8);
}

fn state_of(observed: &Observed) -> u8 {
    let known = match &observed.observation {
        Observation::NotListed => NOT_LISTED,
        Observation::Listed(_) => LISTED,
        Observation::Unknown(cause) => UNKNOWN + place_in(&CAUSES, cause),
        Observation::NotAsked(reason) => NOT_ASKED + place_in(&REASONS, reason),
    };
    place_in(&HOWS, &observed.how) << HOW_SHIFT | known
}

fn place_in<T: PartialEq>(words: &[T], word: &T) -> u8 {
    let place = words.iter().position(|other| other == word);
    place.expect("the table has every word") as u8
}

fn write_targets(targets: &[Target]) -> Vec<u8> {
    let mut octets = Vec::new();
    let mut rest = targets;
    while let Some(first) = rest.first() {
        let follows = |step: u128| {
            let all = rest.iter().enumerate();
            all.take_while(|&(at, target)| nth(first, step, at).as_ref() == Some(target))
                .count()
        };
        let count = match first {
            Target::Ip4(address) => {
                let count = follows(1);
                octets.push(b'4');
                octets.extend(address.octets());
                octets.push((count - 1) as u8); // 256 at most
                count
            }
            Target::Ip6(address) => {
                let (single, wide) = (follows(1), follows(1 << 64));
                let (tag, count) = if wide > single { (b'7', wide) } else { (b'6', single) };
                octets.push(tag);
                octets.extend(address.octets());
                octets.push((count - 1) as u8);
                count
            }
            Target::Domain(domain) => {
                octets.push(b'd');
                octets.push(domain.as_str().len() as u8); // a name has 253 octets at most
                octets.extend(domain.as_str().as_bytes());
                1
            }
        };
        rest = &rest[count..];
    }
    octets
}

/// The address `at` steps behind one, if there is such an address.
fn nth(first: &Target, step: u128, at: usize) -> Option<Target> {
    match first {
        Target::Ip4(address) => {
            let bits = address.to_bits().checked_add(u32::try_from(at).ok()?)?;
            Some(Target::Ip4(Ipv4Addr::from_bits(bits)))
        }
        Target::Ip6(address) => {
            let ahead = step.checked_mul(at as u128)?;
            Some(Target::Ip6(Ipv6Addr::from_bits(address.to_bits().checked_add(ahead)?)))
        }
        Target::Domain(_) => None,
    }
}

/// The targets of a tile; what is wrong if the octets make no sense.
pub(super) fn read_targets(mut octets: &[u8]) -> Result<Vec<Target>, String> {
    let mut targets = Vec::new();
    let cut = || "targets that are cut short".to_owned();
    while let Some((&tag, rest)) = octets.split_first() {
        let (first, step, count, rest) = match tag {
            b'4' => {
                let (address, rest) = rest.split_first_chunk::<4>().ok_or_else(cut)?;
                let (count, rest) = rest.split_first().ok_or_else(cut)?;
                (Target::Ip4(Ipv4Addr::from(*address)), 1, usize::from(*count) + 1, rest)
            }
            b'6' | b'7' => {
                let (address, rest) = rest.split_first_chunk::<16>().ok_or_else(cut)?;
                let (count, rest) = rest.split_first().ok_or_else(cut)?;
                let step = if tag == b'6' { 1 } else { 1 << 64 };
                (
                    Target::Ip6(Ipv6Addr::from(*address)),
                    step,
                    usize::from(*count) + 1,
                    rest,
                )
            }
            b'd' => {
                let (len, rest) = rest.split_first().ok_or_else(cut)?;
                let (name, rest) = rest.split_at_checked(usize::from(*len)).ok_or_else(cut)?;
                let name = std::str::from_utf8(name).ok().and_then(|name| Domain::new(name).ok());
                (Target::Domain(name.ok_or("a target that is no name")?), 1, 1, rest)
            }
            _ => return Err("targets of an unknown kind".into()),
        };
        if targets.len() + count > CHUNK_TARGETS_MAX {
            return Err("a tile of more than 256 targets".into());
        }
        if let Target::Domain(_) = first {
            targets.push(first);
        } else {
            let all = (0..count).map(|at| nth(&first, step, at).ok_or("an address behind the last one"));
            targets.extend(all.collect::<Result<Vec<_>, _>>()?);
        }
        octets = rest;
    }
    Ok(targets)
}

/// The states of a tile, column by column, `len` a column.
pub(super) fn read_states(mut octets: &[u8], total: usize) -> Result<Vec<u8>, String> {
    let mut states = Vec::with_capacity(total);
    while let Some((state, count)) = read_run(&mut octets)? {
        if count > total - states.len() {
            return Err("more states than pairs".into());
        }
        states.resize(states.len() + count, state);
    }
    match states.len() == total {
        true => Ok(states),
        false => Err("fewer states than pairs".into()),
    }
}

/// The next run of states: the octet, and how many.
fn read_run(octets: &mut &[u8]) -> Result<Option<(u8, usize)>, String> {
    let Some((&state, mut rest)) = octets.split_first() else {
        return Ok(None);
    };
    let (mut count, mut shift) = (0u64, 0);
    loop {
        let (&octet, behind) = rest.split_first().ok_or("states that are cut short")?;
        rest = behind;
        count |= u64::from(octet & 0x7f) << shift;
        shift += 7;
        if octet & 0x80 == 0 {
            break;
        }
        if shift > 28 {
            return Err("a run of states without end".into());
        }
    }
    *octets = rest;
    Ok(Some((state, usize::try_from(count).unwrap_or(usize::MAX))))
}

/// The blocks of a tile's targets that are listed, each once, whatever its lists are.
pub(super) fn read_blocks(targets: &[u8], mut states: &[u8]) -> Result<Vec<i64>, String> {
    let targets = read_targets(targets)?;
    let order = by_kind(&targets);
    let mut blocks = Vec::new();
    let mut pair = 0usize;
    while let Some((state, count)) = read_run(&mut states)? {
        if state & KNOWN_MASK == LISTED && !order.is_empty() {
            let places = (pair..).take(count.min(order.len()));
            blocks.extend(places.map(|pair| block_of(&targets[order[pair % order.len()]])));
        }
        pair = pair.checked_add(count).ok_or("more states than pairs")?;
    }
    blocks.sort_unstable();
    blocks.dedup();
    Ok(blocks)
}

/// The dossiers of a tile. `lists` are those of its columns. An error says what makes no sense.
pub(super) fn read_dossiers(
    (targets, states, details): (&[u8], &[u8], Option<&[u8]>),
    lists: &[ListIndex],
) -> Result<Vec<Dossier>, String> {
    let targets = read_targets(targets)?;
    let len = targets.len();
    let states = read_states(states, len * lists.len())?;
    let mut places = vec![0; len];
    for (place, offset) in by_kind(&targets).into_iter().enumerate() {
        places[offset] = place;
    }
    let details: Details = match details {
        Some(json) => serde_json::from_slice(json).map_err(|error| format!("details: {error}"))?,
        None => Details::default(),
    };
    let mut listings = HashMap::with_capacity(details.listings.len());
    for row in &details.listings {
        listings.insert(
            (usize::from(row.0), usize::from(row.1)),
            listing_of(row, &details.texts)?,
        );
    }
    let mut dossiers = Vec::with_capacity(len);
    for (offset, target) in targets.into_iter().enumerate() {
        let mut observations = Vec::with_capacity(lists.len());
        for (column, list) in lists.iter().enumerate() {
            let state = states[column * len + places[offset]];
            let observation = match state & KNOWN_MASK {
                NOT_LISTED => Observation::NotListed,
                LISTED => {
                    let listing = listings.remove(&(column, offset));
                    Observation::Listed(Box::new(listing.ok_or("a listing without its details")?))
                }
                known => unlisted(known).ok_or("an unknown state")?,
            };
            let how = HOWS.get(usize::from(state >> HOW_SHIFT)).ok_or("an unknown state")?;
            observations.push(Observed {
                list: *list,
                observation,
                how: *how,
            });
        }
        dossiers.push(Dossier {
            special_use: special_use(&target),
            target,
            observations,
            stages: Vec::new(),
            findings: Vec::new(),
            revision: 1,
        });
    }
    for Told(offset, _, stages, findings) in details.told {
        let dossier = dossiers.get_mut(usize::from(offset)).ok_or("details of no target")?;
        for (name, value) in stages {
            let name = Stage::ALL
                .iter()
                .map(|stage| stage.as_str())
                .find(|stage| *stage == name);
            dossier
                .stages
                .push((name.ok_or("a record of an unknown stage")?, value));
        }
        dossier.findings = findings;
    }
    for Revised(first, last, revision) in details.revised {
        let revised = dossiers.get_mut(usize::from(first)..=usize::from(last));
        for dossier in revised.ok_or("a revision of no target")? {
            dossier.revision = revision;
        }
    }
    Ok(dossiers)
}

/// What is known by a state that is no listing.
fn unlisted(known: u8) -> Option<Observation> {
    if known < NOT_ASKED {
        let cause = CAUSES.get(usize::from(known.checked_sub(UNKNOWN)?))?;
        return Some(Observation::Unknown(*cause));
    }
    let reason = REASONS.get(usize::from(known - NOT_ASKED))?;
    Some(Observation::NotAsked(*reason))
}

fn listing_of(row: &ListingDetails, texts: &[String]) -> Result<Listing, String> {
    let text = |place: &u32| texts.get(*place as usize).cloned().ok_or("a text that is not there");
    Ok(Listing {
        codes: ReturnCodes::shared(
            row.2.iter().map(|code| Ipv4Addr::from_bits(*code)).collect(),
            row.3.iter().map(text).collect::<Result<_, _>>()?,
        ),
        role: row.4,
        tier: row.5,
        reason: row.6.as_ref().map(text).transpose()?,
        ttl: row.7,
        reason_cut: row.8,
        partial: row.9,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_has_its_place() {
        for cause in Cause::ALL {
            assert!(CAUSES.contains(cause), "{cause}");
        }
        for reason in Reason::ALL {
            assert!(REASONS.contains(reason), "{reason}");
        }
        for how in How::ALL {
            assert!(HOWS.contains(how), "{how}");
        }
    }

    fn listing(reason: &str) -> Observation {
        Observation::Listed(Box::new(Listing {
            codes: ReturnCodes::shared(
                vec![[127, 0, 0, 2].into(), [127, 0, 0, 9].into()],
                vec!["spam".into(), "more \u{1b} spam".into()],
            ),
            role: Role::Block,
            tier: Tier::A,
            reason: Some(reason.into()),
            ttl: 60,
            reason_cut: false,
            partial: false,
        }))
    }

    fn dossiers(targets: Vec<Target>, lists: &[ListIndex]) -> Vec<Dossier> {
        let causes = CAUSES.map(Observation::Unknown);
        let reasons = REASONS.map(Observation::NotAsked);
        let plain = [Observation::NotListed, listing("one"), listing("two")];
        let all: Vec<Observation> = plain.into_iter().chain(causes).chain(reasons).collect();
        let dossier = |(at, target): (usize, Target)| Dossier {
            special_use: special_use(&target),
            observations: lists
                .iter()
                .enumerate()
                .map(|(column, list)| Observed {
                    list: *list,
                    observation: all[(at * 7 + column * 3) % all.len()].clone(),
                    how: HOWS[(at + column) % HOWS.len()],
                })
                .collect(),
            target,
            stages: match at % 5 {
                0 => vec![("rdns", serde_json::json!({"ptr": ["a\u{202e}b"], "ok": 0.1}))],
                _ => Vec::new(),
            },
            findings: match at % 3 {
                0 => vec![Finding::warning("spf", "spf_plus_all", "+all").mend("no")],
                _ => Vec::new(),
            },
            revision: 1 + u32::from([4, 5, 6, 9].contains(&at)) + u32::from(at == 6),
        };
        targets.into_iter().enumerate().map(dossier).collect()
    }

    fn targets(mix: &str) -> Vec<Target> {
        mix.split_whitespace()
            .map(|word| match word.parse() {
                Ok(std::net::IpAddr::V4(address)) => Target::Ip4(address),
                Ok(std::net::IpAddr::V6(address)) => Target::Ip6(address),
                Err(_) => Target::Domain(Domain::new(word).expect("a name")),
            })
            .collect()
    }

    #[test]
    fn dossiers_come_back_as_they_were() {
        let lists: Vec<ListIndex> = [4, 9, 2].map(ListIndex).into();
        let mut encoder = Encoder::new(lists.len());
        let block = (0..256)
            .map(|last| Target::Ip4([192, 0, 2, last as u8].into()))
            .collect();
        for targets in [
            block,
            targets("10.0.0.1 255.255.255.254 255.255.255.255 192.0.2.1 192.0.2.3"),
            targets("2001:db8::1 2001:db8::2 2001:db8:0:1:: 2001:db8:0:2:: 2001:db8:0:3::"),
            targets("example.org a.test xn--bcher-kva.example"),
            targets("a.test 192.0.2.1 b.test 2001:db8::1 192.0.2.2 c.test 2001:db8::2 192.0.2.3 192.0.2.4"),
        ] {
            let before = dossiers(targets, &lists);
            before.iter().for_each(|dossier| encoder.add(dossier));
            let blob = encoder.close(7);
            let open = before.iter().flat_map(|dossier| &dossier.observations);
            assert_eq!(
                blob.open as usize,
                open.filter(|observed| is_open(&observed.observation)).count()
            );
            let parts = (&blob.targets[..], &blob.states[..], blob.details.as_deref());
            assert_eq!(read_dossiers(parts, &lists).expect("sound"), before);
            assert_eq!(read_blocks(parts.0, parts.1).expect("sound"), blob.blocks);
        }
    }

    #[test]
    fn a_clean_block_is_a_few_octets() {
        let block = |last: usize| Target::Ip4([192, 0, 2, last as u8].into());
        let blob = clean(block, |_| Observation::NotListed);
        assert_eq!((blob.states.len(), blob.targets.len(), blob.details), (4, 6, None));
    }

    #[test]
    fn kinds_that_alternate_are_two_runs_a_list() {
        let targets = |at: usize| match at % 2 {
            0 => Target::Ip4([192, 0, 2, at as u8].into()),
            _ => Target::Domain(Domain::new(&format!("h{at}.test")).expect("a name")),
        };
        let blob = clean(targets, |target| match target {
            Target::Domain(_) => Observation::NotAsked(Reason::Unsupported),
            _ => Observation::NotListed,
        });
        assert_eq!(blob.states.len(), 150 * 2 * 3);
    }

    /// A full tile on 150 lists that all say the same of a target.
    fn clean(target: impl Fn(usize) -> Target, say: impl Fn(&Target) -> Observation) -> Blob {
        let lists: Vec<ListIndex> = (0..150).map(ListIndex).collect();
        let mut encoder = Encoder::new(lists.len());
        for target in (0..256).map(target) {
            let observed = |list: &ListIndex| Observed {
                list: *list,
                observation: say(&target),
                how: How::Asked,
            };
            encoder.add(&Dossier {
                special_use: None,
                observations: lists.iter().map(observed).collect(),
                target,
                stages: Vec::new(),
                findings: Vec::new(),
                revision: 1,
            });
        }
        encoder.close(0)
    }

    #[test]
    fn damaged_octets_are_told_and_never_read_beyond() {
        let lists: Vec<ListIndex> = [0, 1].map(ListIndex).into();
        let mut encoder = Encoder::new(2);
        let before = dossiers(targets("192.0.2.1 example.org 2001:db8::1 192.0.2.9"), &lists);
        before.iter().for_each(|dossier| encoder.add(dossier));
        let blob = encoder.close(0);
        for cut in 0..blob.targets.len() {
            let parts = (&blob.targets[..cut], &blob.states[..], blob.details.as_deref());
            assert!(read_dossiers(parts, &lists).is_err(), "targets cut at {cut}");
        }
        for cut in 0..blob.states.len() {
            let parts = (&blob.targets[..], &blob.states[..cut], blob.details.as_deref());
            assert!(read_dossiers(parts, &lists).is_err(), "states cut at {cut}");
        }
        for place in 0..blob.states.len() {
            for bit in 0..8 {
                let mut states = blob.states.clone();
                states[place] ^= 1 << bit;
                // It may come back as something else, or as an error; it must not panic.
                drop(read_dossiers((&blob.targets, &states, blob.details.as_deref()), &lists));
                drop(read_blocks(&blob.targets, &states));
            }
        }
        assert!(read_states(&[0, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f], 10).is_err());
    }
}
