//! Loading the built-in catalogue: every run begins with it. What must hold: under 10 ms for all files, checks included.

use divan::Bencher;
use reputon::dnsxl::Catalogue;

fn main() {
    divan::main();
}

/// All built-in files read, merged and checked.
#[divan::bench]
fn load() -> Catalogue {
    Catalogue::load(true, &[]).expect("the built-in catalogue is good").0
}

/// The default selection of a loaded catalogue.
#[divan::bench]
fn select_default(bencher: Bencher<'_, '_>) {
    let (catalogue, _) = Catalogue::load(true, &[]).expect("the built-in catalogue is good");
    let selectors = ["default".to_owned()];
    bencher.bench(|| catalogue.select(&selectors).expect("there is a default"));
}
