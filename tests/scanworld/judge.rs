//! Holds every dossier against the truth: no false listing, no false clean, every pair once, in order.

use std::collections::{BTreeMap, HashSet};
use std::io;

use reputon::dnsxl::{Cause, Observation};
use reputon::dossier::Dossier;
use reputon::scan::{Order, Progress, Receiver, Snapshot, TILES_MAX};
use reputon::targets::{Target, TargetSet};

use super::truth::{LISTED, World, is_listed};

/// Takes a run's dossiers.
pub(crate) struct Judge {
    world: World,
    columns: usize,
    expected: Vec<Target>,
    /// Targets handed out as their tiles closed.
    closed: HashSet<Target>,
    /// Targets handed out in input order.
    in_order: usize,
    /// Most targets that were closed but held for those before them.
    pub(crate) held_most: usize,
    pub(crate) in_flight_most: u64,
    pub(crate) listed: u64,
    pub(crate) not_listed: u64,
    /// By list: unknown with their causes.
    pub(crate) unknown: BTreeMap<usize, BTreeMap<Cause, u64>>,
}

impl Judge {
    pub(crate) fn new(world: World, columns: usize, targets: &TargetSet) -> Judge {
        let expected = targets.chunks().flat_map(|chunk| chunk.iter().collect::<Vec<_>>());
        Judge {
            world,
            columns,
            expected: expected.collect(),
            closed: HashSet::new(),
            in_order: 0,
            held_most: 0,
            in_flight_most: 0,
            listed: 0,
            not_listed: 0,
            unknown: BTreeMap::new(),
        }
    }

    /// Every target came once in each order.
    pub(crate) fn finish(&self) {
        assert_eq!(self.closed.len(), self.expected.len(), "targets that never closed");
        assert_eq!(self.in_order, self.expected.len(), "targets missing in input order");
        assert!(
            self.held_most <= TILES_MAX * 256,
            "{} targets held: the window has a bound",
            self.held_most
        );
    }

    pub(crate) fn unknown_of(&self, list: usize) -> u64 {
        self.unknown.get(&list).map_or(0, |causes| causes.values().sum())
    }

    fn hold_to_truth(&mut self, dossier: &Dossier) {
        assert_eq!(dossier.observations.len(), self.columns, "one observation a list");
        let subject = subject_of(&dossier.target);
        for (list, observed) in dossier.observations.iter().enumerate() {
            let truth = is_listed(self.world, list, &subject);
            match &observed.observation {
                Observation::Listed(listing) => {
                    assert!(truth, "false listing of {:?} on l{list}", dossier.target);
                    assert_eq!(listing.codes.answers, [std::net::Ipv4Addr::from(LISTED)]);
                    self.listed += 1;
                }
                Observation::NotListed => {
                    assert!(!truth, "false clean: {:?} is listed on l{list}", dossier.target);
                    self.not_listed += 1;
                }
                Observation::Unknown(cause) => {
                    *self.unknown.entry(list).or_default().entry(*cause).or_default() += 1;
                }
                Observation::NotAsked(_) => (),
            }
        }
    }
}

impl Receiver for Judge {
    fn take(&mut self, dossier: &Dossier, order: Order) -> io::Result<()> {
        match order {
            Order::AsClosed => {
                assert!(
                    self.closed.insert(dossier.target.clone()),
                    "closed twice: {:?}",
                    dossier.target
                );
                self.held_most = self.held_most.max(self.closed.len() - self.in_order);
                self.hold_to_truth(dossier);
            }
            Order::Input => {
                assert_eq!(dossier.target, self.expected[self.in_order], "out of order");
                self.in_order += 1;
            }
        }
        Ok(())
    }

    fn revise(&mut self, before: &Dossier, after: &Dossier) -> io::Result<()> {
        unreachable!("nothing is pruned: {before:?}, {after:?}")
    }

    fn start_over(&mut self) -> io::Result<()> {
        unreachable!("nothing is revised")
    }

    fn wants_input_order(&self) -> bool {
        true
    }
}

/// Watches what is in flight.
#[derive(Default)]
pub(crate) struct Watch {
    pub(crate) in_flight_most: u64,
}

impl Progress for Watch {
    fn show(&mut self, snapshot: &Snapshot) {
        self.in_flight_most = self.in_flight_most.max(snapshot.in_flight);
    }
}

/// The labels by which a target is asked for, in wire form.
fn subject_of(target: &Target) -> Vec<u8> {
    let mut subject = Vec::new();
    let mut push = |label: &[u8]| {
        subject.push(label.len() as u8);
        subject.extend(label);
    };
    match target {
        Target::Ip4(address) => {
            let octets = address.octets();
            octets.iter().rev().for_each(|octet| push(octet.to_string().as_bytes()));
        }
        Target::Ip6(address) => {
            for octet in address.octets().iter().rev() {
                push(format!("{:x}", octet & 15).as_bytes());
                push(format!("{:x}", octet >> 4).as_bytes());
            }
        }
        Target::Domain(domain) => domain.as_str().split('.').for_each(|label| push(label.as_bytes())),
    }
    subject
}
