//! `reputon lab`: serves the embedded world on loopback until it is stopped.

use std::io::Write;
use std::thread;
use std::time::Duration;

use reputon::dnsxl::Questions;
use reputon::lab::{Face, Lab, LabOptions, ServedList, rehearse};

use crate::cli::args::LabArgs;
use crate::cli::stdout::stdout;
use crate::cli::talk::talk;
use crate::cli::{build, signals};

/// How often a stop request is looked for.
const LOOK: Duration = Duration::from_millis(100);

/// Serves until SIGINT or SIGTERM, which is how it is meant to end.
pub(crate) fn run(args: &LabArgs, quiet: bool) -> anyhow::Result<u8> {
    let stop = signals::watch()?;
    let lists = lists(args, quiet)?;
    let made_up = lists.len();
    let lab = Lab::start(LabOptions {
        bind: args.listen,
        lists,
        ..LabOptions::default()
    })?;
    let mut out = stdout();
    for face in Face::ALL {
        writeln!(out, "{}\t{}", face.as_str(), lab.face(face))?;
    }
    out.flush()?;
    if !quiet {
        talk!(
            "reputon: serving the embedded world and {made_up} made-up lists; each line above is a way to ask it. \
             Stop with Ctrl-C"
        );
    }
    while stop.requested().is_none() {
        thread::sleep(LOOK);
    }
    Ok(0)
}

/// The made-up lists: those of the catalogue that were selected; of files that were named, all.
fn lists(args: &LabArgs, quiet: bool) -> anyhow::Result<Vec<ServedList>> {
    let selectors = match (args.lab_catalogue.is_empty(), args.catalogue.catalogue.is_empty()) {
        (false, _) => args.lab_catalogue.as_slice(),
        (true, false) => &["all".to_owned()],
        (true, true) => return Ok(Vec::new()),
    };
    let catalogue = match args.lab_catalogue.is_empty() {
        true => build::catalogue_of_files(&args.catalogue.catalogue, quiet)?,
        false => build::catalogue(&args.catalogue, quiet)?,
    };
    let mut keys = build::keys(&args.keys, &catalogue)?;
    build::add_rehearsal_keys(&mut keys, &catalogue);
    let selected = catalogue.select(selectors)?;
    let served = selected.into_iter().filter_map(|list| {
        let key = keys.get(&catalogue.operator_of(list).id);
        let questions = Questions::prepare(catalogue.list(list), key).ok()?;
        Some(rehearse(catalogue.list(list), &questions))
    });
    Ok(served.collect())
}
