//! A sample run for the tests of the sinks, hostile text included. Not a test itself.

use std::io;

use serde_json::json;

use crate::dnsxl::{Cause, Observation, Reason, Role, Tier};
use crate::dossier::{Dossier, Finding, Severity};
use crate::verdict::{Judge, Weights, sample};

use super::record::{Health, ListRecord, RunRecord};
use super::sink::{Judged, RunEnd, RunHead, Sink};

pub(super) const HOSTILE: &str =
    "=HYPERLINK(\"http://evil.example\")\r\n192.0.2.9,forged\u{1b}[2J\u{202e}\u{2028}<script>";

pub(super) fn moment(second: i64) -> jiff::Timestamp {
    jiff::Timestamp::from_second(1_795_435_200 + second).expect("a moment of 2026")
}

pub(super) fn dossiers() -> Vec<Dossier> {
    let clean = sample::dossier("192.0.2.1", &[]);
    let mut listed = sample::dossier(
        "192.0.2.7",
        &[
            ("alpha-all", sample::listed_why(Role::Block, Tier::A, Some(HOSTILE))),
            ("beta", sample::listed(Role::Block, Tier::B)),
            ("gamma", Observation::Unknown(Cause::Timeout)),
            ("delta-white", sample::listed(Role::Allow, Tier::W)),
        ],
    );
    listed.stages = vec![
        ("rdns", json!({"ptr": ["mail.example.org", "@evil"], "iprev": "pass"})),
        ("spf", json!({"result": "pass"})),
    ];
    listed.findings = vec![Finding {
        stage: "spf".into(),
        severity: Severity::Warning,
        code: "spf_plus_all".into(),
        text: "anybody may send\u{1b}[31m".into(),
        mend: Some("end the record with -all".into()),
        via: None,
    }];
    let mut special = sample::dossier("10.0.0.1", &[]);
    special.special_use = Some("private");
    for observed in &mut special.observations {
        observed.observation = Observation::NotAsked(Reason::SpecialUse);
    }
    let mut revised = sample::dossier("2001:db8::1", &[("alpha-all", Observation::Unknown(Cause::Refused))]);
    revised.revision = 2;
    vec![clean, listed, special, revised]
}

pub(super) fn run_record() -> RunRecord {
    RunRecord {
        started: moment(0),
        finished: moment(90),
        version: "0.1.0".into(),
        catalogue: "c0ffee".into(),
        resolvers: vec!["127.0.0.1:53".into()],
        targets: 4,
        planned: 18,
        asked: 20,
        answered: 16,
        retried: 3,
        folded: 3,
        pruned: 0,
        unproved: 0,
        complete: 16.0 / 18.0,
        queries: [("alpha".to_owned(), 6), ("beta".to_owned(), 3)].into(),
        diff: None,
    }
}

pub(super) fn list_records() -> Vec<ListRecord> {
    let catalogue = sample::catalogue();
    let mut lists: Vec<ListRecord> = ["alpha-all", "beta", "gamma"]
        .iter()
        .map(|id| ListRecord::new(&catalogue, sample::index(id)))
        .collect();
    lists[0].health = Health::Healthy;
    (lists[0].asked, lists[0].listed) = (4, 1);
    lists[2].health = Health::Unhealthy;
    lists[2].cause = Some("lists_everything".into());
    lists
}

/// Feeds a whole run to a sink.
pub(super) fn feed(sink: &mut dyn Sink, dossiers: &[Dossier]) -> io::Result<()> {
    let catalogue = sample::catalogue();
    let judge = Judge::new(&catalogue, Weights::default());
    let started = moment(0);
    sink.begin(&RunHead { started })?;
    for dossier in dossiers {
        let judgement = judge.judge(dossier);
        sink.target(&Judged {
            catalogue: &catalogue,
            dossier,
            judgement: &judgement,
        })?;
    }
    sink.finish(&RunEnd {
        catalogue: &catalogue,
        run: &run_record(),
        lists: &list_records(),
        audit: None,
        changes: None,
    })
}
