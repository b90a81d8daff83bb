//! The audit of a block before it is bought: what is listed where and how densely, whose names it carries, who announces
//! it, and a recommendation with its reasons.
//!
//! Fed dossiers in the order of the addresses, as [`Audit`]; closed with the run's tally into [`Audited`]. Memory: a few
//! counters a /24, at most [`BLOCKS_MAX`]; addresses of further blocks count in the totals alone.
//!
//! The recommendation, in this order:
//!
//! | recommendation | if |
//! |---|---|
//! | no verdict | under 90 % of what was planned is known, or a tier-A list could not be used |
//! | reject | an address is on a list of hijacked space (DROP), or over 5 % are on tier-A lists |
//! | caution | any is on a tier-A list, over 10 % on tier-B lists, or over 5 % carry a name of an earlier tenant |
//! | fair | none of these |
//!
//! Shares are of the addresses that could be asked about; what is unknown of an address is never counted as clean: it
//! lowers the coverage.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::dnsxl::{Catalogue, ListIndex, Listing, Observation, Role, Tier};
use crate::dossier::Dossier;
use crate::targets::Target;

use super::names::{NamedDomain, Names};
use super::past::History;
use super::tally::Tallied;

/// /24s with counters of their own: a /12.
pub(crate) const BLOCKS_MAX: usize = 4_096;

/// Origins that are told apart.
const ORIGINS_MAX: usize = 64;

/// Abuse contacts that are kept.
const CONTACTS_MAX: usize = 16;

/// Domains of names that are told.
const DOMAINS_SHOWN: usize = 20;

/// Lists that could not be used, of which the ids are told.
const LISTS_NAMED: usize = 8;

/// The least coverage that allows a recommendation.
const COVERAGE_MIN: f64 = 0.9;

/// Over this share of addresses on tier-A lists: reject.
const REJECT_A: f64 = 0.05;

/// Over this share of addresses on tier-B lists: caution.
const CAUTION_B: f64 = 0.10;

/// Over this share of addresses with a name of an earlier tenant: caution.
const CAUTION_NAMES: f64 = 0.05;

/// What to do about the block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Advice {
    /// Leave it.
    Reject,
    /// Have the seller clean it up first, or pay less.
    Caution,
    /// Nothing speaks against it.
    Fair,
    /// Too little is known.
    NoVerdict,
}

/// Addresses of a part of the block.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Density {
    /// Addresses that could be asked about: special-use ones are left out.
    pub addresses: u64,
    /// With a block-role listing of any tier.
    pub listed: u64,
    /// With one of tier A; an address may be on lists of several tiers.
    pub tier_a: u64,
    /// With one of tier B.
    pub tier_b: u64,
    /// With one of tier C.
    pub tier_c: u64,
    /// On an allow list.
    pub allowed: u64,
    /// Not listed, but of some list it is not known.
    pub unknown: u64,
}

impl Density {
    /// The share that is listed at all, from 0 to 1.
    pub fn share_listed(&self) -> f64 {
        share(self.listed, self.addresses)
    }
}

/// A /24 and its density.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockDensity {
    /// The block, as a prefix.
    pub block: String,
    /// How much of it is listed.
    #[serde(flatten)]
    pub density: Density,
}

/// Addresses in a row that are on a tier A or B list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// The first.
    pub first: IpAddr,
    /// The last.
    pub last: IpAddr,
    /// How many.
    pub addresses: u64,
}

/// Who announces a part of the block.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// The AS number.
    pub asn: u64,
    /// Its name.
    pub name: Option<String>,
    /// The most specific prefix of the first address of which it was learnt.
    pub prefix: Option<String>,
    /// Addresses of the block that it announces.
    pub addresses: u64,
}

/// A block beside the audited one, counted apart.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Neighbour {
    /// The block.
    pub block: String,
    /// How much of it is listed.
    #[serde(flatten)]
    pub density: Density,
}

/// The softer block lists that could not be used: they forbid no recommendation, and who decides is to know of them.
fn silent(catalogue: &Catalogue, tallied: &Tallied) -> Option<String> {
    let lacking = tallied.soft.iter().filter(|(_, known)| *known < COVERAGE_MIN);
    let ids: Vec<&str> = lacking.map(|(list, _)| catalogue.list(*list).id.as_str()).collect();
    let shown = ids[..ids.len().min(LISTS_NAMED)].join(", ");
    let more = match ids.len().saturating_sub(LISTS_NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    match ids.len() {
        0 => None,
        1 => Some(format!(
            "1 list could not be used, and whether it has the block is not known: {shown}"
        )),
        number => Some(format!(
            "{number} lists could not be used, and whether they have the block is not known: {shown}{more}"
        )),
    }
}

/// Counts a block, address by address.
#[derive(Debug, Default)]
pub struct Audit {
    all: Density,
    special: u64,
    blocks: BTreeMap<Ipv4Addr, Density>,
    drop: BTreeMap<ListIndex, u64>,
    run: Option<Run>,
    longest: Option<Run>,
    names: Names,
    origins: BTreeMap<u64, Origin>,
    unannounced: u64,
    contacts: BTreeSet<String>,
}

/// A finished audit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Audited {
    /// The blocks, as they were typed.
    pub blocks: Vec<String>,
    /// What to do.
    pub recommendation: Advice,
    /// Why, the weightiest first.
    pub reasons: Vec<String>,
    /// Of the planned pairs on lists healthy at the start, the share answered.
    pub coverage: f64,
    /// How much is listed in all.
    pub density: Density,
    /// Addresses of special-use space, which nobody was asked about.
    pub special_use: u64,
    /// Addresses on a list of hijacked space.
    pub drop: u64,
    /// The same by /24, in order.
    pub per_24: Vec<BlockDensity>,
    /// The longest run of addresses on tier A or B lists.
    pub longest_run: Option<Run>,
    /// What the names say; none if the `rdns` stage did not run.
    pub names: Option<Names>,
    /// The domains with the most names.
    pub domains: Vec<NamedDomain>,
    /// Addresses with a name of an earlier tenant.
    pub earlier_tenant: u64,
    /// Who announces it, the largest share first.
    pub origins: Vec<Origin>,
    /// Addresses that nobody announces.
    pub unannounced: u64,
    /// Who takes complaints.
    pub abuse_contacts: Vec<String>,
    /// The adjoining blocks, if they were asked about.
    pub neighbours: Vec<Neighbour>,
    /// What earlier runs saw, if there were any.
    pub history: Option<History>,
}

impl Audit {
    /// Counts an address. Feed addresses in ascending order: the longest run rests on it.
    pub fn add(&mut self, catalogue: &Catalogue, dossier: &Dossier) {
        if dossier.special_use.is_some() {
            self.special += 1;
            self.end_run();
            return;
        }
        let seen = Seen::of(dossier);
        seen.count(&mut self.all);
        if let Target::Ip4(address) = dossier.target {
            let [a, b, c, _] = address.octets();
            let block = Ipv4Addr::new(a, b, c, 0);
            if self.blocks.len() < BLOCKS_MAX || self.blocks.contains_key(&block) {
                seen.count(self.blocks.entry(block).or_default());
            }
        }
        for observed in &dossier.observations {
            if let Observation::Listed(listing) = &observed.observation
                && is_hijacked(catalogue, observed.list, listing)
            {
                *self.drop.entry(observed.list).or_default() += 1;
            }
        }
        self.extend_run(&dossier.target, seen.tiers[0] || seen.tiers[1]);
        self.names.add(dossier);
        self.announced(dossier);
    }

    fn extend_run(&mut self, target: &Target, hard: bool) {
        let address = match target {
            Target::Ip4(address) => IpAddr::V4(*address),
            Target::Ip6(address) => IpAddr::V6(*address),
            Target::Domain(_) => return,
        };
        if !hard {
            return self.end_run();
        }
        match &mut self.run {
            Some(run) if next(run.last) == Some(address) => {
                run.last = address;
                run.addresses += 1;
            }
            _ => {
                self.end_run();
                self.run = Some(Run {
                    first: address,
                    last: address,
                    addresses: 1,
                });
            }
        }
    }

    fn end_run(&mut self) {
        let longer = |run: &Run| self.longest.is_none_or(|longest| run.addresses > longest.addresses);
        if let Some(run) = self.run.take().filter(longer) {
            self.longest = Some(run);
        }
    }

    fn announced(&mut self, dossier: &Dossier) {
        let record = |stage: &str| dossier.stages.iter().rev().find(|(name, _)| *name == stage);
        if let Some((_, asn)) = record("asn") {
            match asn.get("asn").and_then(Value::as_u64) {
                Some(number) => self.origin(number, asn),
                None if asn.get("unknown").is_none() => self.unannounced += 1,
                None => {}
            }
        }
        if let Some((_, abuse)) = record("abuse") {
            let contacts = abuse.get("contacts").and_then(Value::as_array).into_iter().flatten();
            for contact in contacts.filter_map(Value::as_str) {
                if self.contacts.len() < CONTACTS_MAX {
                    self.contacts.insert(contact.to_owned());
                }
            }
        }
    }

    fn origin(&mut self, number: u64, record: &Value) {
        if !self.origins.contains_key(&number) && self.origins.len() >= ORIGINS_MAX {
            return;
        }
        let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
        let prefix = record.get("prefixes").and_then(|prefixes| prefixes.get(0));
        let origin = self.origins.entry(number).or_insert_with(|| Origin {
            asn: number,
            name: text(record.get("name")),
            prefix: text(prefix.and_then(|prefix| prefix.get("prefix"))),
            addresses: 0,
        });
        origin.addresses += 1;
    }

    /// Closes the audit of `blocks`: the recommendation, by what was counted and by the tally of the same run.
    pub fn finish(mut self, catalogue: &Catalogue, blocks: Vec<String>, tallied: &Tallied) -> Audited {
        self.end_run();
        let (recommendation, reasons) = self.advise(catalogue, tallied);
        let mut origins: Vec<Origin> = std::mem::take(&mut self.origins).into_values().collect();
        origins.sort_by_key(|origin| std::cmp::Reverse(origin.addresses)); // stable: then by number
        Audited {
            blocks,
            recommendation,
            reasons,
            coverage: tallied.coverage,
            density: self.all,
            special_use: self.special,
            drop: self.drop.values().max().copied().unwrap_or_default(),
            per_24: self
                .blocks
                .iter()
                .map(|(block, density)| BlockDensity {
                    block: format!("{block}/24"),
                    density: *density,
                })
                .collect(),
            longest_run: self.longest,
            domains: self.names.domains(DOMAINS_SHOWN),
            earlier_tenant: self.names.left_behind(),
            names: (self.names.addresses > 0).then_some(self.names),
            origins,
            unannounced: self.unannounced,
            abuse_contacts: self.contacts.into_iter().collect(),
            neighbours: Vec::new(),
            history: None,
        }
    }

    fn advise(&self, catalogue: &Catalogue, tallied: &Tallied) -> (Advice, Vec<String>) {
        let found = self.found(catalogue);
        let worst = found
            .iter()
            .map(|(advice, _)| *advice)
            .min_by_key(|advice| *advice as u8);
        let mut reasons: Vec<String> = Vec::new();
        if tallied.coverage < COVERAGE_MIN {
            let percent = 100.0 * tallied.coverage;
            reasons.push(format!(
                "only {percent:.1} % of what was planned is known; 90 % are needed"
            ));
        }
        for (list, known) in tallied.hard.iter().filter(|(_, known)| *known < COVERAGE_MIN) {
            let (id, percent) = (&catalogue.list(*list).id, 100.0 * known);
            reasons.push(format!("{id}, a tier-A list, could not be used ({percent:.0} % known)"));
        }
        if self.all.addresses == 0 {
            reasons.push("there is no address that lists could be asked about".into());
        }
        let lacking = !reasons.is_empty();
        reasons.extend(found.into_iter().map(|(_, reason)| reason));
        let advice = match (lacking, worst) {
            (true, _) => Advice::NoVerdict,
            (false, Some(advice)) => advice,
            (false, None) => {
                reasons.push(match self.all.listed {
                    0 => "no address is on any block list that was asked".into(),
                    listed => format!(
                        "{} on tier B or C lists alone, and no more than is usual",
                        of(listed, self.all.addresses)
                    ),
                });
                Advice::Fair
            }
        };
        reasons.extend(silent(catalogue, tallied));
        (advice, reasons)
    }

    /// What speaks against the block, the weightiest first.
    fn found(&self, catalogue: &Catalogue) -> Vec<(Advice, String)> {
        let all = self.all;
        let mut found = Vec::new();
        for (list, addresses) in &self.drop {
            let id = &catalogue.list(*list).id;
            found.push((
                Advice::Reject,
                format!(
                    "{} listed as hijacked or criminal space by {id}",
                    of(*addresses, all.addresses)
                ),
            ));
        }
        if share(all.tier_a, all.addresses) > REJECT_A {
            let reason = format!("{} on tier-A lists: over 5 %", of(all.tier_a, all.addresses));
            found.push((Advice::Reject, reason));
        } else if all.tier_a > 0 {
            let reason = format!(
                "{} on tier-A lists, by which large receivers reject",
                of(all.tier_a, all.addresses)
            );
            found.push((Advice::Caution, reason));
        }
        if share(all.tier_b, all.addresses) > CAUTION_B {
            let reason = format!("{} on tier-B lists: over 10 %", of(all.tier_b, all.addresses));
            found.push((Advice::Caution, reason));
        }
        let left = self.names.left_behind();
        if share(left, all.addresses) > CAUTION_NAMES {
            let reason = format!(
                "{} still with a name of an earlier tenant: over 5 %",
                of(left, all.addresses)
            );
            found.push((Advice::Caution, reason));
        }
        found
    }
}

/// A block of neighbours, counted.
#[derive(Debug, Clone, Default)]
pub struct Neighbours(BTreeMap<Ipv4Addr, Density>);

impl Neighbours {
    /// Counts an address; what is no IPv4 address has no /24.
    pub fn add(&mut self, dossier: &Dossier) {
        let Target::Ip4(address) = dossier.target else { return };
        if dossier.special_use.is_some() {
            return;
        }
        let [a, b, c, _] = address.octets();
        Seen::of(dossier).count(self.0.entry(Ipv4Addr::new(a, b, c, 0)).or_default());
    }

    /// The blocks, in order.
    pub fn finish(self) -> Vec<Neighbour> {
        let blocks = self.0.into_iter().map(|(block, density)| Neighbour {
            block: format!("{block}/24"),
            density,
        });
        blocks.collect()
    }
}

/// What the lists say of one address.
#[derive(Debug, Default)]
struct Seen {
    /// On a list of tier A, B, C.
    tiers: [bool; 3],
    allowed: bool,
    unknown: bool,
}

impl Seen {
    fn of(dossier: &Dossier) -> Seen {
        let mut seen = Seen::default();
        for observed in &dossier.observations {
            match &observed.observation {
                Observation::Listed(listing) if listing.role == Role::Block => {
                    seen.tiers[(listing.tier as usize).min(2)] = true; // W does not block; whoever says so means little
                }
                Observation::Listed(listing) => seen.allowed |= listing.role == Role::Allow,
                Observation::Unknown(_) => seen.unknown = true,
                Observation::NotListed | Observation::NotAsked(_) => {}
            }
        }
        seen
    }

    fn count(&self, density: &mut Density) {
        let listed = self.tiers.contains(&true);
        density.addresses += 1;
        density.listed += u64::from(listed);
        density.tier_a += u64::from(self.tiers[Tier::A as usize]);
        density.tier_b += u64::from(self.tiers[Tier::B as usize]);
        density.tier_c += u64::from(self.tiers[Tier::C as usize]);
        density.allowed += u64::from(self.allowed);
        density.unknown += u64::from(self.unknown && !listed);
    }
}

/// Whether an entry says that the address space itself is in wrong hands: the list is tagged so, or the code means DROP.
/// A hijacked *machine* is another matter.
fn is_hijacked(catalogue: &Catalogue, list: ListIndex, listing: &Listing) -> bool {
    let words = ["drop", "hijacked-space"];
    let tagged = catalogue
        .list(list)
        .tags
        .iter()
        .any(|tag| words.contains(&tag.as_str()));
    let means_drop = |meaning: &String| {
        meaning
            .split(|letter: char| !letter.is_alphanumeric())
            .any(|word| word == "DROP")
    };
    listing.role == Role::Block && (tagged || listing.codes.meanings.iter().any(means_drop))
}

fn next(address: IpAddr) -> Option<IpAddr> {
    match address {
        IpAddr::V4(address) => u32::from(address).checked_add(1).map(|next| IpAddr::V4(next.into())),
        IpAddr::V6(address) => u128::from(address).checked_add(1).map(|next| IpAddr::V6(next.into())),
    }
}

fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// `3 of 256 addresses (1.2 %) are`.
fn of(part: u64, whole: u64) -> String {
    let verb = if part == 1 { "is" } else { "are" };
    format!(
        "{part} of {whole} addresses ({:.1} %) {verb}",
        100.0 * share(part, whole)
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::sample;
    use super::super::tally::Tally;
    use super::*;
    use crate::dnsxl::{Cause, ReturnCodes};

    const A: (&str, Role, Tier) = ("alpha-all", Role::Block, Tier::A);
    const B: (&str, Role, Tier) = ("beta", Role::Block, Tier::B);

    fn dossier(at: u32, entries: &[(&str, Role, Tier)]) -> Dossier {
        let seen: Vec<(&str, Observation)> = entries
            .iter()
            .map(|(id, role, tier)| (*id, sample::listed(*role, *tier)))
            .collect();
        sample::dossier(&Ipv4Addr::from(0xc633_6400 + at).to_string(), &seen)
    }

    fn audited(dossiers: &[Dossier]) -> Audited {
        let catalogue = sample::catalogue();
        let (mut audit, mut tally) = (Audit::default(), Tally::new());
        for dossier in dossiers {
            audit.add(&catalogue, dossier);
            tally.add(dossier);
        }
        audit.finish(
            &catalogue,
            vec!["198.51.100.0/24".into()],
            &tally.finish(&catalogue, |_| true),
        )
    }

    /// 256 addresses, of which those in `hit` have these entries.
    fn block(hit: std::ops::Range<u32>, entries: &[(&str, Role, Tier)]) -> Audited {
        let dossiers: Vec<Dossier> = (0..256)
            .map(|at| dossier(at, if hit.contains(&at) { entries } else { &[] }))
            .collect();
        audited(&dossiers)
    }

    #[test]
    fn the_rules_hold_at_their_edges() {
        assert_eq!(block(0..0, &[]).recommendation, Advice::Fair);
        assert_eq!(block(7..8, &[A]).recommendation, Advice::Caution);
        assert_eq!(block(0..12, &[A]).recommendation, Advice::Caution); // 4.7 %
        assert_eq!(block(0..13, &[A]).recommendation, Advice::Reject); // 5.1 %
        assert_eq!(block(0..25, &[B]).recommendation, Advice::Fair); // 9.8 %
        assert_eq!(block(0..26, &[B]).recommendation, Advice::Caution); // 10.2 %
        let policy = block(0..256, &[("gamma", Role::Block, Tier::C)]);
        assert_eq!(policy.recommendation, Advice::Fair, "{:?}", policy.reasons);
        assert_eq!(policy.density.tier_c, 256);
    }

    #[test]
    fn one_address_of_hijacked_space_is_enough() {
        let mut dossiers: Vec<Dossier> = (0..256).map(|at| dossier(at, &[])).collect();
        dossiers[9] = dossier(9, &[A]);
        let Observation::Listed(listing) = &mut dossiers[9].observations[0].observation else {
            panic!("listed")
        };
        listing.codes = ReturnCodes::shared(vec![[127, 0, 0, 9].into()], vec!["DROP: do not route".into()]);
        let found = audited(&dossiers);
        assert_eq!((found.recommendation, found.drop), (Advice::Reject, 1));
        assert!(found.reasons[0].contains("hijacked"), "{:?}", found.reasons);
        let Observation::Listed(listing) = &mut dossiers[9].observations[0].observation else {
            panic!("listed")
        };
        listing.codes = ReturnCodes::shared(
            vec![[127, 0, 0, 9].into()],
            vec!["XBL: infected or hijacked machine".into()],
        );
        assert_eq!(audited(&dossiers).recommendation, Advice::Caution);
    }

    #[test]
    fn too_little_known_is_no_verdict_and_says_what_was_found() {
        let mut dossiers: Vec<Dossier> = (0..256).map(|at| dossier(at, &[])).collect();
        for dossier in &mut dossiers {
            dossier.observations[0].observation = Observation::Unknown(Cause::Refused);
        }
        dossiers[1] = dossier(1, &[A]);
        let found = audited(&dossiers);
        assert_eq!(found.recommendation, Advice::NoVerdict);
        assert!(
            found.reasons.iter().any(|reason| reason.contains("alpha-all")),
            "{:?}",
            found.reasons
        );
        assert!(
            found.reasons.last().expect("some").contains("tier-A"),
            "{:?}",
            found.reasons
        );
        assert_eq!(found.density.unknown, 255);
        assert_eq!(audited(&[]).recommendation, Advice::NoVerdict);
    }

    #[test]
    fn names_of_an_earlier_tenant_are_a_reason() {
        let named = |at: u32, iprev: &str, domain: &str| {
            let mut dossier = dossier(at, &[]);
            let record = json!({"iprev": iprev, "domain": domain, "names": [{"name": domain, "class": "static"}]});
            dossier.stages = vec![
                ("rdns", record),
                ("asn", json!({"asn": 64500, "name": "LAB", "prefixes": []})),
            ];
            dossier
        };
        let dossiers: Vec<Dossier> = (0..100)
            .map(|at| {
                if at < 6 {
                    named(at, "fail", "old.example")
                } else {
                    named(at, "pass", "new.example")
                }
            })
            .collect();
        let found = audited(&dossiers);
        assert_eq!((found.recommendation, found.earlier_tenant), (Advice::Caution, 6));
        assert_eq!((found.origins[0].asn, found.origins[0].addresses), (64500, 100));
    }

    #[test]
    fn the_longest_run_goes_over_the_edge_of_a_24() {
        let hit = [1, 2, 254, 255, 256, 257, 300];
        let dossiers: Vec<Dossier> = (0..512)
            .map(|at| dossier(at, if hit.contains(&at) { &[B] } else { &[] }))
            .collect();
        let found = audited(&dossiers);
        let run = found.longest_run.expect("there is one");
        assert_eq!((run.first.to_string().as_str(), run.addresses), ("198.51.100.254", 4));
        assert_eq!(found.per_24.len(), 2);
        assert_eq!((found.per_24[0].density.listed, found.per_24[1].density.listed), (4, 3));
    }
}
