//! Counts, budgets and bounds of an estimate, by hand.

use rand::SeedableRng;
use rand::rngs::StdRng;

use super::super::plan::Keys;
use super::*;
use crate::dnsxl::Catalogue;
use crate::targets::{Ip6Unit, ReadOptions, TargetSet};

const FILE: &str = "[operator]\nid = \"op\"\nname = \"Op\"\n[operator.terms]\nuse = \"free\"\nmax_qps = 10\nmax_queries_per_day = 200\n\
    [[list]]\nid = \"whole\"\nzone = \"all.example\"\nkinds = [\"ip4\", \"ip6\"]\nrole = \"block\"\ntier = \"A\"\ntxt = false\ncovers = [\"part\"]\n\
    ip6_unit = 64\n[list.codes]\n\"127.0.0.2\" = { means = \"x\", sublist = \"part\" }\n\
    [[list]]\nid = \"part\"\nzone = \"part.example\"\nkinds = [\"ip4\", \"ip6\"]\nrole = \"block\"\ntier = \"A\"\ntxt = false\nip6_unit = 64\n\
    [list.codes]\n\"127.0.0.2\" = { means = \"x\" }\n\
    [[list]]\nid = \"names\"\nzone = \"names.example\"\nkinds = [\"domain\"]\nrole = \"block\"\ntier = \"A\"\nname_form = \"both\"\n\
    [list.codes]\n\"127.0.0.2\" = { means = \"x\" }\n";

/// At 1,000 a second over all lists, without health checks and stages.
fn paces() -> Paces {
    Paces {
        rate_qps: Some(1_000.0),
        skip_health: true,
        retries: 3,
        stages: Stages::NONE,
        ..Paces::default()
    }
}

fn estimate(targets: &[&str], paces: &Paces) -> Estimate {
    estimate_of(targets, paces, true)
}

fn estimate_of(targets: &[&str], paces: &Paces, folds: bool) -> Estimate {
    let catalogue = Catalogue::parse(&[("test.toml", FILE)]).expect("a good file");
    let typed: Vec<String> = targets.iter().map(|&target| target.to_owned()).collect();
    let read = ReadOptions {
        ip6_unit: match targets.contains(&"2001:db8::/55") {
            true => Ip6Unit::Prefix64,
            false => Ip6Unit::Address,
        },
    };
    let targets = TargetSet::read(&typed, &mut std::io::empty(), read).expect("good targets");
    let lists = catalogue.select(&["all".to_owned()]).expect("there are lists");
    let plan = Plan::new(&catalogue, &targets, &lists, &Keys::new());
    let plan = if folds { plan } else { plan.without_folding() };
    plan.estimate(paces, &mut StdRng::seed_from_u64(1))
}

#[test]
fn what_is_folded_shared_or_special_is_not_asked() {
    let found = estimate(&["192.0.2.0/25", "10.0.0.0/24", "2001:db8::/120"], &paces());
    assert_eq!(found.special_use, 256);
    assert_eq!(found.queries(), 128 + 1);
    assert_eq!(found.unsaved, 2 * (128 + 256));
    let ways: Vec<LearntBy> = found.rows.iter().map(|row| row.way).collect();
    let part = LearntBy::Folded(ListIndex(0));
    let none = LearntBy::NotAsked(Reason::Unsupported);
    assert_eq!(ways, [LearntBy::Asked, LearntBy::Asked, part, part, none, none]);
    let unfolded = estimate_of(&["192.0.2.0/25"], &paces(), false);
    assert_eq!(unfolded.queries(), 256);
}

#[test]
fn a_text_is_asked_for_each_listing_that_is_expected() {
    let names = estimate(&["mail.example.org", "example.net"], &paces());
    assert_eq!(names.queries_least(), 3, "one of them has two names");
    assert_eq!((names.queries(), names.queries_most()), (4, 6));
}

#[test]
fn the_slowest_rate_decides() {
    let found = estimate(&["192.0.2.0/25"], &paces());
    assert_eq!(found.bound, Bound::Operator(OperatorIndex(0)));
    assert!(
        (12.8..13.2).contains(&found.seconds),
        "128 queries, 10 a second: {}",
        found.seconds
    );
    assert_eq!(found.days, 1);
    assert_eq!(found.without.len(), 1, "nothing is left without it");
    let unbound = Paces {
        ignore_budgets: true,
        ..paces()
    };
    let found = estimate(&["192.0.2.0/25"], &unbound);
    assert!((0.0..1.0).contains(&found.seconds), "{}", found.seconds);
}

/// A run keeps 20 back for controls, and stops when one more target may take eight: 173 of 200.
#[test]
fn a_daily_limit_cuts_the_run_and_what_earlier_runs_used_shortens_it() {
    let block = ["192.0.2.0/24", "198.51.100.0/24"];
    let found = estimate(&block, &paces());
    assert_eq!((found.queries(), found.today(), found.days), (512, 173, 3));
    assert!((17.2..17.8).contains(&found.seconds), "{}", found.seconds);
    let spent = |queries| Paces {
        spent: [(OperatorIndex(0), queries)].into(),
        ..paces()
    };
    let today = |queries| {
        let found = estimate(&block, &spent(queries));
        (found.today(), found.days)
    };
    assert_eq!(today(100), (73, 4));
    assert_eq!(today(190), (0, 4), "what is left does not even bear controls");
    assert_eq!(today(1_000), (0, 4));
}

#[test]
fn units_are_asked_once_in_a_tile_and_go_on_where_tiles_hold_nothing_else() {
    let asked = |targets: &[&str]| {
        let found = estimate(targets, &paces());
        let row = found.rows.iter().find(|row| row.kind == Kind::Ip6).expect("a row");
        assert_eq!(row.queries + row.shared, row.pairs);
        row.queries
    };
    assert_eq!(asked(&["2001:db8::/112"]), 1, "256 tiles of one unit");
    assert_eq!(asked(&["2001:db8::/55"]), 512, "one address of each unit");
    assert_eq!(asked(&["2001:db8::1", "2001:db8:0:1::1", "2001:db8::2"]), 2);
    // Two tiles; the second has nothing but a unit that is one of two in the first.
    let mut scattered: Vec<String> = (0..255).map(|number| format!("2001:db8::{:x}", 2 * number)).collect();
    scattered.extend((0..9).map(|number| format!("2001:db8:0:1::{:x}", 2 * number)));
    let scattered: Vec<&str> = scattered.iter().map(String::as_str).collect();
    assert_eq!(asked(&scattered), 3);
    // Addresses of another family between do not part them.
    assert_eq!(asked(&["2001:db8::/120", "192.0.2.0/24", "2001:db8::100/120"]), 1);
}

#[test]
fn only_lists_whose_servers_are_asked_can_be_pruned() {
    let prune = |ways: Ways| {
        let paces = Paces {
            prune: true,
            ways,
            ..paces()
        };
        estimate(&["192.0.2.0/24", "198.51.100.0/24"], &paces)
    };
    let through = prune(Ways::default());
    assert_eq!((through.prunable, through.seconds_least), (0, None));
    let routes = |zone: &str| Ways {
        routes: vec![(zone.parse().expect("a name"), ([192, 0, 2, 53], 53).into())],
        ..Ways::default()
    };
    // Of 512: four questions of a proof, two parents with two samples, and one of them in full.
    let routed = prune(routes("all.example"));
    assert_eq!(routed.prunable, 512 - 4 - 2 * 3 - 256);
    assert_eq!(routed.queries_least(), 4 + 2 * 3 + 256);
    assert_eq!(prune(routes("other.example")).prunable, 0);
    let direct = Ways {
        direct: true,
        ..Ways::default()
    };
    assert!(prune(direct).prunable > 0);
}

#[test]
fn related_names_have_a_bound_and_lists_that_nothing_else_is_asked_of_are_examined_for_them() {
    let paces = Paces {
        skip_health: false,
        stages: Stages::default(),
        ..paces()
    };
    let found = estimate(&["192.0.2.7"], &paces).related;
    // One list takes names: a question, a control of two for the listing, and an examination of five.
    assert_eq!((found.names_most, found.lists, found.queries_most), (1, 1, 1 + 2 + 5));
    let many = estimate(&["192.0.0.0/20"], &paces).related;
    assert_eq!((many.names_most, many.queries_most), (1_000, 3_000 + 5));
    let domains = estimate(&["a.example", "b.example"], &paces).related;
    assert_eq!((domains.names_most, domains.lists), (6, 1), "three addresses each");
    let without = Paces {
        stages: Stages::NONE,
        ..paces
    };
    assert_eq!(estimate(&["192.0.2.7"], &without).related, Related::default());
}
