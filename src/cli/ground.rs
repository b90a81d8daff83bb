//! What a scan stands on: catalogue, keys, targets and the lists of the run, read from what was typed. `scan`, `audit`
//! and `plan` share it.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal};
use std::num::NonZero;

use anyhow::{Context, bail};
use reputon::clock::Span;
use reputon::dnsxl::{Catalogue, ListIndex};
use reputon::lab::{Lab, rehearse};
use reputon::plan::{Keys, LocalList, Plan};
use reputon::scan::{ScanOptions, Workers};
use reputon::targets::{Ip6Unit, ReadOptions, TargetSet};

use super::args::ScanArgs;
use super::options::{LabOptions, ListOptions, PaceOptions, PathOptions, SavingOptions, TargetOptions};
use super::{build, room, zone_data};

/// The lists of a run.
#[derive(Debug)]
pub(crate) struct Lists {
    pub(crate) catalogue: Catalogue,
    pub(crate) selected: Vec<ListIndex>,
    pub(crate) keys: Keys,
}

impl Lists {
    /// Reads the catalogue and the keys; nothing is sent.
    pub(crate) fn read(lists: &ListOptions, lab: &LabOptions, quiet: bool) -> anyhow::Result<Lists> {
        let catalogue = match lab.lab {
            true => build::lab_catalogue()?,
            false => build::catalogue(&lists.catalogue, quiet)?,
        };
        let rehearsed = !lab.lab_catalogue.is_empty();
        let selectors = if rehearsed { &lab.lab_catalogue } else { &lists.lists };
        let selected = catalogue.select(selectors)?;
        let mut keys = build::keys(&lists.keys, &catalogue)?;
        if rehearsed {
            build::add_rehearsal_keys(&mut keys, &catalogue);
        }
        Ok(Lists {
            catalogue,
            selected,
            keys,
        })
    }

    /// The plan to ask them about targets.
    pub(crate) fn plan<'a>(&'a self, targets: &'a TargetSet) -> Plan<'a> {
        Plan::new(&self.catalogue, targets, &self.selected, &self.keys)
    }
}

/// The parts that a plan is made of.
#[derive(Debug)]
pub(crate) struct Ground {
    pub(crate) catalogue: Catalogue,
    pub(crate) targets: TargetSet,
    /// Of all targets, those of other shares too.
    pub(crate) fingerprint: String,
    pub(crate) selected: Vec<ListIndex>,
    pub(crate) keys: Keys,
    /// Lists that are evaluated from data on disk.
    pub(crate) local: BTreeMap<ListIndex, LocalList>,
    folds: bool,
}

impl Ground {
    /// Reads everything that was named; nothing is sent.
    pub(crate) fn read(
        targets_typed: &TargetOptions,
        (lists, savings): (&ListOptions, &SavingOptions),
        lab: &LabOptions,
        quiet: bool,
    ) -> anyhow::Result<Ground> {
        let targets = targets(targets_typed)?;
        let fingerprint = targets.fingerprint();
        let targets = match savings.shard {
            Some(shard) => targets.shard(shard.number, shard.of),
            None => targets,
        };
        let Lists {
            catalogue,
            selected,
            keys,
        } = Lists::read(lists, lab, quiet)?;
        let local = zone_data::load(&savings.known.zone_data, (&catalogue, &selected), quiet)?;
        Ok(Ground {
            catalogue,
            targets,
            fingerprint,
            selected,
            keys,
            local,
            folds: !savings.known.no_fold,
        })
    }

    /// The plan on this ground.
    pub(crate) fn plan(&self) -> Plan<'_> {
        self.plan_for(&self.targets)
    }

    /// The same plan for other targets.
    pub(crate) fn plan_for<'a>(&'a self, targets: &'a TargetSet) -> Plan<'a> {
        let plan = Plan::new(&self.catalogue, targets, &self.selected, &self.keys).with_local(&self.local);
        match self.folds {
            true => plan,
            false => plan.without_folding(),
        }
    }
}

/// Reads the targets: the arguments, or standard input where there are none.
fn targets(options: &TargetOptions) -> anyhow::Result<TargetSet> {
    let stdin = io::stdin();
    let mut arguments = options.targets.clone();
    if arguments.is_empty() {
        if stdin.is_terminal() {
            bail!("no targets: name addresses, prefixes or domains, @FILE, or - for standard input");
        }
        arguments.push("-".into());
    }
    let read = ReadOptions {
        ip6_unit: match options.ip6_unit {
            Some(_) => Ip6Unit::Prefix64,
            None => Ip6Unit::Address,
        },
    };
    let targets = TargetSet::read(&arguments, &mut stdin.lock(), read)?;
    if targets.is_empty() {
        bail!("no targets: the input has none but blank lines and comments");
    }
    Ok(targets)
}

/// Starts the embedded world, if the run is a rehearsal.
pub(crate) fn start_lab(options: &LabOptions, plan: &Plan<'_>) -> anyhow::Result<Option<Lab>> {
    let lists = match (options.lab, options.lab_catalogue.is_empty()) {
        (false, true) => return Ok(None),
        (true, _) => Vec::new(),
        (false, false) => {
            let columns = plan.columns.iter();
            let served = columns.filter_map(|column| {
                let questions = column.questions.as_ref().ok()?;
                Some(rehearse(plan.catalogue.list(column.list), questions))
            });
            served.collect()
        }
    };
    let lab = Lab::start(reputon::lab::LabOptions {
        lists,
        ..Default::default()
    });
    Ok(Some(lab.context("the embedded world cannot start")?))
}

/// Pruning needs servers that can be believed. A rehearsal leaves servers aside, and with them what needs them.
pub(crate) fn check_pruning((pace, path): (&PaceOptions, &PathOptions), rehearsal: bool) -> anyhow::Result<()> {
    if pace.prune && !rehearsal && !path.direct && path.route.is_empty() {
        bail!(
            "--prune believes the lists' own servers only, and all questions would go through a resolver: add --direct, or \
             --route ZONE=ADDR:PORT, or leave --prune out"
        );
    }
    Ok(())
}

/// How to scan, by what was typed. A lab that was started is the only server.
pub(crate) fn scan_options(args: &ScanArgs, lab: Option<&Lab>) -> anyhow::Result<ScanOptions> {
    check_pruning((&args.pace, &args.path), lab.is_some())?;
    let cores = match room::is_limited() {
        true => NonZero::<usize>::MIN,
        false => std::thread::available_parallelism().unwrap_or(NonZero::<usize>::MIN),
    };
    Ok(ScanOptions {
        resolvers: match lab {
            Some(lab) => vec![lab.addr()],
            None => build::resolvers(&args.path)?,
        },
        routes: build::routes(&args.path, lab.is_some())?,
        direct: args.path.direct && lab.is_none(),
        prune: args.pace.prune,
        // The lab is on this machine, and nobody's guest.
        rate_qps: (args.pace.rate > 0 && lab.is_none()).then_some(f64::from(args.pace.rate)),
        window_max: args.pace.window.map(u32::from),
        timeout: args.ask.timeout.into(),
        retries: args.ask.retries,
        workers: args.pace.workers.map_or(Workers::Within(cores), Workers::Exactly),
        trains: !args.pace.no_gso,
        ignore_budgets: args.pace.ignore_budgets || lab.is_some(),
        skip_health: args.pace.skip_health,
        seed: args.pace.seed.unwrap_or_else(rand::random),
        max_time: args.pace.max_time.map(Span::from),
        stages: build::stages(&args.stages),
        stage_options: build::stage_options(&args.stages),
    })
}
