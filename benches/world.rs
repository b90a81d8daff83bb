//! A simulated world in virtual time: 300 lists on some 540 servers and two resolvers, 20 to 300 ms away, 1 % of packets lost,
//! 5 % of servers dead. How long whole scans take there, beside the lower bound: the largest, over the ways, of queries ÷
//! allowed rate and of queries × round trip ÷ window, plus one round trip. Examinations, controls, second tries, and the growth of
//! windows to servers that are not known yet are in the time and not in that bound; a second one has the least that checks,
//! examinations, controls, and the judgement of lists whose servers are all dead take, one after the other. Every dossier is held
//! against the truth meanwhile, and lists that had a good server and were given up are counted.
//!
//! `REPUTON_WORLD=PREFIX[,PREFIX…]` takes other ranges than the usual ones, `REPUTON_SEEDS=N` other than three seeds,
//! `REPUTON_WORLD_SIZE=N` other than 300 lists, `REPUTON_WORLD_LOSS=0.05` loses more packets (each way);
//! `REPUTON_WORLD_LISTS=1` tells where the time of the lists went that were ready last, and what each phase took over all: until
//! their first packet, their examination, questions for the first time, what was lost and texts, and the last control.

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
    let loss = std::env::var("REPUTON_WORLD_LOSS")
        .map(|loss| loss.parse().expect("a share"))
        .ok();
    let lists = std::env::var_os("REPUTON_WORLD_LISTS").is_some();
    println!(
        "lists,range,operators_qps,seed,seconds,bound,ratio,bound_judged,ratio_judged,packets,pairs,unknown,given_up"
    );
    for range in ranges.split(',') {
        for operator_qps in [None, Some(OPERATOR_QPS)] {
            for seed in 0..seeds {
                let mut setup = Setup::measured(size, &[range], operator_qps);
                setup.loss = loss.unwrap_or(setup.loss);
                let report = run(&setup, seed);
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
        "{size},{range},{},{seed},{elapsed:.2},{bound:.2},{:.3},{judged:.2},{:.3},{},{},{},{}",
        operator_qps.map_or_else(|| "none".to_owned(), |qps| qps.to_string()),
        elapsed / bound,
        elapsed / judged,
        report.sent,
        report.run.planned,
        report.unknown,
        report.given_up_for_nothing
    );
}

/// Where the time of the lists that were ready last went.
fn tell_lists(report: &Report) {
    let mut lists: Vec<_> = report.marks.iter().enumerate().collect();
    lists.sort_by_key(|(_, told)| std::cmp::Reverse(told.marks.last));
    for (list, told) in lists.into_iter().take(SLOWEST) {
        let seconds = |span: reputon::clock::Span| span.as_secs_f64();
        let (marks, trips) = (told.marks, told.trips.unwrap_or_default());
        println!(
            "  l{list}: bound {:.2}, ways {:.3} to {:.3}, {} lost, {} packets; began {:.2}, examined {:.2}, asked {:.2}, again {:.2}, \
             controlled {:.2}",
            seconds(told.bound),
            seconds(trips.1),
            seconds(trips.0),
            told.lost,
            marks.packets,
            seconds(marks.first.since(reputon::clock::Instant::ZERO)),
            seconds(marks.begun.since(marks.first)),
            seconds(marks.asked.since(marks.begun)),
            seconds(marks.again.since(marks.asked)),
            seconds(marks.last.since(marks.again)),
        );
    }
    tell_phases(report);
}

/// The phases of the lists that work: the mean, and what one in ten exceeds.
fn tell_phases(report: &Report) {
    let mut phases: [Vec<f64>; 5] = Default::default();
    for told in report.marks.iter().filter(|told| told.trips.is_some()) {
        let marks = told.marks;
        let moments = [
            reputon::clock::Instant::ZERO,
            marks.first,
            marks.begun,
            marks.asked,
            marks.again,
            marks.last,
        ];
        for (phase, pair) in phases.iter_mut().zip(moments.windows(2)) {
            phase.push(pair[1].since(pair[0]).as_secs_f64());
        }
    }
    let names = ["before", "examination", "first questions", "again and texts", "control"];
    for (name, mut phase) in names.into_iter().zip(phases) {
        phase.sort_by(f64::total_cmp);
        let mean = phase.iter().sum::<f64>() / phase.len().max(1) as f64;
        let tenth = phase.get(phase.len() * 9 / 10).copied().unwrap_or_default();
        println!(
            "  {name}: mean {mean:.2} s, one in ten above {tenth:.2} s, most {:.2} s",
            phase.last().copied().unwrap_or_default()
        );
    }
}
