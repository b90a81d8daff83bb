//! How far a scan says it has come, against how far it has: in the embedded world, at a rate that makes it last a few seconds.

use reputon::clock::Span;
use reputon::dnsxl::Catalogue;
use reputon::lab::{CATALOGUE, Lab, LabOptions};
use reputon::plan::{Keys, Plan};
use reputon::scan::{Progress, RealNetwork, Scan, ScanOptions, Slowest, Snapshot, Stop};
use reputon::stages::Stages;
use reputon::targets::{ReadOptions, TargetSet};

#[derive(Default)]
struct Watch(Vec<Snapshot>);

impl Progress for Watch {
    fn show(&mut self, snapshot: &Snapshot) {
        self.0.push(snapshot.clone());
    }
}

/// The lists are asked long before the targets' own records are looked at: the run is not done while those are.
#[test]
fn the_stages_are_work_to_be_done_too() {
    let catalogue = Catalogue::parse(&[("lab.toml", CATALOGUE)]).expect("the lab's own");
    let lists = catalogue.select(&["lab-zen".to_owned()]).expect("it is there");
    let domains = (0..384).map(|number| format!("d{number}.example-shop.test"));
    let typed: Vec<String> = ["203.0.113.0/24".to_owned()].into_iter().chain(domains).collect();
    let targets = TargetSet::read(&typed, &mut std::io::empty(), ReadOptions::default()).expect("good targets");
    let lab = Lab::start(LabOptions::default()).expect("loopback");
    let plan = Plan::new(&catalogue, &targets, &lists, &Keys::new());
    let options = ScanOptions {
        resolvers: vec![lab.addr()],
        rate_qps: Some(6_000.0),
        ignore_budgets: true,
        stages: Stages::default(),
        ..ScanOptions::default()
    };
    let scan = Scan {
        plan: &plan,
        options: &options,
    };
    let mut watch = Watch::default();
    let mut network = RealNetwork::new(Span::from_secs(6));
    let report = scan.run(&mut network, [1; 32], (&mut (), &mut watch), &Stop::default());
    report.expect("it runs");
    let last = watch.0.last().expect("a last one");
    assert!(last.last && last.targets_done == last.targets, "{last:?}");
    for snapshot in watch.0.iter().filter(|snapshot| snapshot.passed > 0.99) {
        assert!(snapshot.targets_done * 2 > snapshot.targets, "{snapshot:?}");
    }
    let told: Vec<_> = watch.0.iter().filter_map(|snapshot| snapshot.slowest).collect();
    assert!(
        told.contains(&Slowest::Stages),
        "the stages were never the slowest: {told:?}"
    );
}
