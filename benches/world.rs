//! A simulated world in virtual time: 300 lists on some 540 servers and two resolvers, 20 to 300 ms away, 1 % of packets lost,
//! 5 % of servers dead. How long whole scans take there, beside the lower bound: the largest, over the ways, of queries ÷
//! allowed rate and of queries × round trip ÷ window, plus one round trip. Examinations, controls, second tries, and the growth of
//! windows to servers that are not known yet are in the time and not in that bound; a second one has the least that checks,
//! examinations, controls, and the judgement of lists whose servers are all dead take, one after the other. Every dossier is held
//! against the truth meanwhile.
//!
//! `REPUTON_WORLD=PREFIX[,PREFIX…]` takes other ranges than the usual ones, `REPUTON_SEEDS=N` other than three seeds,
//! `REPUTON_WORLD_LISTS=1` tells of the lists that were ready last.

#![allow(clippy::print_stdout, reason = "the figures are what it is for")]

#[path = "../tests/scanworld/mod.rs"]
mod scanworld;

use scanworld::{Report, Setup, run};

/// Lists of the world, if `REPUTON_WORLD_SIZE` does not say.
const LISTS: usize = 300;

/// What every third operator allows where operators have rates, in packets a second.
const OPERATOR_QPS: f64 = 200.0;

/// The usual ranges.
const RANGES: &str = "198.18.0.0/24,198.18.0.0/20,198.18.0.0/18";

/// Lists told of.
const SLOWEST: usize = 12;

fn main() {
    let ranges = std::env::var("REPUTON_WORLD").unwrap_or_else(|_| RANGES.to_owned());
    let seeds = std::env::var("REPUTON_SEEDS").map_or(3, |seeds| seeds.parse().expect("REPUTON_SEEDS is a number"));
    let size = std::env::var("REPUTON_WORLD_SIZE").map_or(LISTS, |size| size.parse().expect("a number of lists"));
    let lists = std::env::var_os("REPUTON_WORLD_LISTS").is_some();
    println!("lists,range,operators_qps,seed,seconds,bound,ratio,bound_judged,ratio_judged,packets,pairs,unknown");
    for range in ranges.split(',') {
        for operator_qps in [None, Some(OPERATOR_QPS)] {
            for seed in 0..seeds {
                let report = run(&Setup::measured(size, &[range], operator_qps), seed);
                tell((size, range), operator_qps, seed, &report);
                if lists {
                    tell_lists(&report);
                }
            }
        }
    }
}

fn tell((size, range): (usize, &str), operator_qps: Option<f64>, seed: u64, report: &Report) {
    let (elapsed, bound) = (report.elapsed.as_secs_f64(), report.bound.as_secs_f64());
    let judged = report.bound_judged.as_secs_f64();
    println!(
        "{size},{range},{},{seed},{elapsed:.2},{bound:.2},{:.3},{judged:.2},{:.3},{},{},{}",
        operator_qps.map_or_else(|| "none".to_owned(), |qps| qps.to_string()),
        elapsed / bound,
        elapsed / judged,
        report.sent,
        report.run.planned,
        report.unknown
    );
}

/// The lists whose last packet left last.
fn tell_lists(report: &Report) {
    let mut marks: Vec<_> = report.marks.iter().enumerate().collect();
    marks.sort_by_key(|(_, (marks, _))| std::cmp::Reverse(marks.last));
    for (list, (marks, bound)) in marks.into_iter().take(SLOWEST) {
        println!(
            "  l{list}: bound {:.2} s, {} packets, first {:.2}, thousandth {:.2}, last {:.2}",
            bound.as_secs_f64(),
            marks.packets,
            marks.first.as_nanos() as f64 / 1e9,
            marks.thousandth.as_nanos() as f64 / 1e9,
            marks.last.as_nanos() as f64 / 1e9,
        );
    }
}
