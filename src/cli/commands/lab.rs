//! `reputon lab`: serves the embedded world on loopback until it is stopped.

use std::io::{self, Write};
use std::thread;
use std::time::Duration;

use reputon::dnsxl::{Catalogue, ListIndex, ProbeRole, Questions, Subject, probes};
use reputon::lab::{Face, Lab, LabOptions, ServedList};

use reputon::wire::Name;

use crate::cli::args::LabArgs;
use crate::cli::{build, signals};

/// How often a stop request is looked for.
const LOOK: Duration = Duration::from_millis(100);

/// Serves until SIGINT or SIGTERM, which is how it is meant to end.
pub(crate) fn run(args: &LabArgs, quiet: bool) -> anyhow::Result<u8> {
    let stop = signals::watch()?;
    let mut lists = Vec::new();
    if !args.lab_catalogue.is_empty() {
        let catalogue = build::catalogue(&args.catalogue, quiet)?;
        let keys = build::keys(&args.keys, &catalogue)?;
        let selected = catalogue.select(&args.lab_catalogue)?;
        lists = served(&catalogue, &selected, |list| {
            Questions::prepare(catalogue.list(list), keys.get(&catalogue.operator_of(list).id)).ok()
        });
    }
    let made_up = lists.len();
    let lab = Lab::start(LabOptions {
        bind: args.listen,
        lists,
        ..LabOptions::default()
    })?;
    let mut out = io::stdout().lock();
    for face in Face::ALL {
        writeln!(out, "{}\t{}", face.as_str(), lab.face(face))?;
    }
    out.flush()?;
    if !quiet {
        eprintln!(
            "reputon: serving the embedded world and {made_up} made-up lists; each line above is a way to ask it. \
             Stop with Ctrl-C"
        );
    }
    while stop.requested().is_none() {
        thread::sleep(LOOK);
    }
    Ok(0)
}

/// Lists of a catalogue as the lab can serve them in good health: their own test entries, and their own codes.
pub(crate) fn served(
    catalogue: &Catalogue,
    lists: &[ListIndex],
    questions: impl Fn(ListIndex) -> Option<Questions>,
) -> Vec<ServedList> {
    let mut rng = rand::rng();
    let mut served = Vec::new();
    for &index in lists {
        let list = catalogue.list(index);
        let Some(questions) = questions(index) else { continue };
        let mut one = ServedList::standard(questions.zone().clone(), &list.kinds, &[]);
        let codes = list.codes.entries.iter().filter(|code| code.listing);
        one.codes = codes.filter_map(|code| code.pattern.example()).collect();
        let code = list.test.code.or_else(|| one.codes.first().copied());
        let code = code.unwrap_or([127, 0, 0, 2].into());
        (one.listed, one.unlisted) = (Vec::new(), Vec::new());
        for &kind in &list.kinds {
            for probe in probes(list, kind, &mut rng) {
                match probe.role {
                    ProbeRole::Positive => one.listed.push((relative(&probe.subject), code)),
                    ProbeRole::Negative => one.unlisted.push(relative(&probe.subject)),
                    _ => (),
                }
            }
        }
        served.push(one);
    }
    served
}

fn relative(subject: &Subject) -> Name {
    match subject {
        Subject::Ip4(address) => Name::reversed_v4(*address),
        Subject::Ip6(address) => Name::reversed_v6(*address),
        Subject::Name(name) => name.to_lowercase(),
    }
}

#[cfg(test)]
mod tests {
    use reputon::targets::Kind;

    use super::*;

    #[test]
    fn every_default_list_can_be_rehearsed() {
        let (catalogue, _) = Catalogue::load(true, &[]).expect("the built-in catalogue is good");
        let lists = catalogue.select(&["default".to_owned()]).expect("there is a default");
        let served = served(&catalogue, &lists, |list| {
            Questions::prepare(catalogue.list(list), None).ok()
        });
        assert!(served.len() > 30);
        assert!(served.iter().any(|list| list.kinds.contains(&Kind::Domain)));
    }
}
