//! `reputon audit`: a block before it is bought. A scan with other defaults, whose addresses are counted for a
//! recommendation; the adjoining /24s are a scan of their own, so that nothing of them gets into the block's numbers.

use std::io;
use std::net::Ipv4Addr;

use anyhow::bail;
use reputon::clock::Span;
use reputon::dnsxl::Catalogue;
use reputon::dossier::Dossier;
use reputon::scan::{Memory, Order, RealNetwork, Receiver, Scan, Stop};
use reputon::targets::{Kind, ReadOptions, Target, TargetSet};
use reputon::verdict::{Audit, Audited, Neighbours, Tallied};

use crate::cli::args::AuditArgs;
use crate::cli::commands::scan;
use crate::cli::ground::{Ground, scan_options, start_lab};
use crate::cli::keeping::{ledger, scratch};
use crate::cli::past::Memories;
use crate::cli::progress::Quiet;

/// Adjoining blocks that are asked about: of more, the user can name those that matter.
const NEIGHBOURS_MAX: usize = 16;

/// Audits.
pub(crate) fn run(args: &AuditArgs, quiet: bool) -> anyhow::Result<u8> {
    scan::scan(&args.scan, Some(args), quiet)
}

/// Refuses what has no neighbours and no density.
pub(crate) fn check(targets: &TargetSet) -> anyhow::Result<()> {
    if targets.count(Kind::Domain) > 0 {
        bail!("audit takes address blocks, and there are domains among the targets: `reputon scan` takes both");
    }
    Ok(())
}

/// Closes the audit of what was scanned, whose lists are those of `catalogue`, and asks about the neighbours if that is
/// wanted.
pub(crate) fn conclude(
    (args, ground): (&AuditArgs, &Ground),
    (counted, past): (Audit, Option<Memories>),
    (catalogue, tallied): (&Catalogue, &Tallied),
    stop: &Stop,
) -> anyhow::Result<Audited> {
    let mut audited = counted.finish(catalogue, args.scan.targets.targets.clone(), tallied);
    audited.history = past.and_then(Memories::finish);
    if args.neighbours && stop.requested().is_none() {
        let typed = adjoining(&ground.targets);
        if !typed.is_empty() {
            let read = TargetSet::read(&typed, &mut io::empty(), ReadOptions::default())?;
            let plan = ground.plan_for(&read);
            let lab = start_lab(&args.scan.lab, &plan)?;
            let options = scan_options(&args.scan, lab.as_ref())?;
            let mut network = RealNetwork::new(Span::from(args.scan.ask.timeout).times(2));
            let scan = Scan {
                plan: &plan,
                options: &options,
            };
            let mut counter = Counter(Neighbours::default());
            let mut ledger = ledger(&args.scan.keep.db, &args.scan.lab, true);
            let mut journal = scratch(&plan, &options, true);
            let memory = Memory {
                journal: &mut *journal,
                ledger: &mut *ledger,
            };
            scan.run_with(&mut network, rand::random(), (&mut counter, &mut Quiet), stop, memory)?;
            audited.neighbours = counter.0.finish();
        }
    }
    Ok(audited)
}

/// The /24s beside the blocks, and what is left of a /24 that a block is a part of; as targets.
fn adjoining(targets: &TargetSet) -> Vec<String> {
    let blocks = blocks(targets);
    let number = |address: Ipv4Addr| u32::from(address) >> 8;
    let whole = |block: u32| format!("{}/24", Ipv4Addr::from(block << 8));
    let mut typed = Vec::new();
    let taken = |block: u32| blocks.binary_search_by_key(&block, |(first, _)| number(*first)).is_ok();
    let mut beside: Vec<u32> = Vec::new();
    for (first, last) in &blocks {
        let block = number(*first);
        beside.extend(block.checked_sub(1).filter(|before| !taken(*before)));
        beside.extend(
            (block < u32::MAX >> 8)
                .then_some(block + 1)
                .filter(|after| !taken(*after)),
        );
        let (low, high) = (block << 8, block << 8 | 255);
        if u32::from(*first) > low {
            typed.push(format!(
                "{}-{}",
                Ipv4Addr::from(low),
                Ipv4Addr::from(u32::from(*first) - 1)
            ));
        }
        if u32::from(*last) < high {
            typed.push(format!(
                "{}-{}",
                Ipv4Addr::from(u32::from(*last) + 1),
                Ipv4Addr::from(high)
            ));
        }
    }
    beside.dedup();
    typed.extend(beside.into_iter().map(whole));
    typed.truncate(NEIGHBOURS_MAX);
    typed
}

/// The first and the last target of each /24, in order.
fn blocks(targets: &TargetSet) -> Vec<(Ipv4Addr, Ipv4Addr)> {
    let mut blocks: std::collections::BTreeMap<u32, (Ipv4Addr, Ipv4Addr)> = Default::default();
    for chunk in targets.chunks() {
        for target in chunk.iter() {
            let Target::Ip4(address) = target else { continue };
            let seen = blocks.entry(u32::from(address) >> 8).or_insert((address, address));
            *seen = (seen.0.min(address), seen.1.max(address));
        }
    }
    blocks.into_values().collect()
}

/// Counts the neighbours.
struct Counter(Neighbours);

impl Receiver for Counter {
    fn take(&mut self, dossier: &Dossier, order: Order) -> io::Result<()> {
        if order == Order::Input {
            self.0.add(dossier);
        }
        Ok(())
    }

    fn revise(&mut self, _: &Dossier, _: &Dossier) -> io::Result<()> {
        Ok(())
    }

    fn start_over(&mut self) -> io::Result<()> {
        self.0 = Neighbours::default();
        Ok(())
    }

    fn wants_input_order(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn beside(targets: &[&str]) -> Vec<String> {
        let typed: Vec<String> = targets.iter().map(|target| (*target).to_owned()).collect();
        let read = TargetSet::read(&typed, &mut io::empty(), ReadOptions::default()).expect("good targets");
        adjoining(&read)
    }

    #[test]
    fn neighbours_are_the_24s_beside_and_the_rest_of_a_partial_one() {
        assert_eq!(beside(&["198.51.100.0/24"]), ["198.51.99.0/24", "198.51.101.0/24"]);
        assert_eq!(beside(&["198.51.100.0/23"]), ["198.51.99.0/24", "198.51.102.0/24"]);
        assert_eq!(
            beside(&["198.51.100.64/26"]),
            [
                "198.51.100.0-198.51.100.63",
                "198.51.100.128-198.51.100.255",
                "198.51.99.0/24",
                "198.51.101.0/24"
            ]
        );
        assert_eq!(
            beside(&["198.51.100.0/24", "198.51.102.0/24"]).len(),
            3,
            "the one between is asked once"
        );
        assert_eq!(beside(&["255.255.255.0/24"]), ["255.255.254.0/24"]);
        assert_eq!(beside(&["2001:db8::/120"]), Vec::<String>::new());
    }
}
