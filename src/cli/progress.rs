//! How far a scan has come, on standard error when that is a terminal: one bar, one line of numbers, one of lists in
//! trouble. Lines are cut to the terminal's width, the most telling words first.

use std::collections::VecDeque;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use reputon::clock::Span;
use reputon::dnsxl::Catalogue;
use reputon::scan::{Progress, Slowest, Snapshot};

/// Lists in trouble that are named; of more, only the number is told.
const TROUBLES_SHOWN: usize = 3;

/// Steps of the bar.
const STEPS: u64 = 1_000;

/// Over how long the rate is taken: the last moments, not the whole run.
const RATE_SPAN: Span = Span::from_secs(2);

/// Before this, paces say nothing.
const PACE_SPAN: Span = Span::from_secs(1);

/// Draws on a terminal.
pub(crate) struct Bars<'a> {
    catalogue: &'a Catalogue,
    all: MultiProgress,
    passed: ProgressBar,
    numbers: ProgressBar,
    troubles: ProgressBar,
    /// Moments and packets sent by then, of the last [`RATE_SPAN`].
    sent: VecDeque<(Span, u64)>,
}

impl<'a> Bars<'a> {
    /// Bars on standard error; `catalogue` names the lists.
    pub(crate) fn new(catalogue: &'a Catalogue) -> Bars<'a> {
        let all = MultiProgress::with_draw_target(ProgressDrawTarget::stderr());
        let style = |template: &str| ProgressStyle::with_template(template).expect("a fixed template");
        let bar = |template: &str| all.add(ProgressBar::new(STEPS).with_style(style(template)));
        let passed = bar("{bar:20} {percent:>3}% {wide_msg}");
        let numbers = bar("{wide_msg}");
        let troubles = bar("{wide_msg}");
        Bars {
            catalogue,
            all,
            passed,
            numbers,
            troubles,
            sent: VecDeque::new(),
        }
    }

    /// Packets a second of late.
    fn rate(&mut self, snapshot: &Snapshot) -> f64 {
        while let Some(&(then, _)) = self.sent.front()
            && then + RATE_SPAN < snapshot.elapsed
        {
            self.sent.pop_front();
        }
        self.sent.push_back((snapshot.elapsed, snapshot.sent));
        let (then, sent) = self.sent[0];
        let seconds = snapshot.elapsed.as_secs_f64() - then.as_secs_f64();
        (snapshot.sent - sent) as f64 / seconds.max(0.1)
    }
}

impl Progress for Bars<'_> {
    fn show(&mut self, snapshot: &Snapshot) {
        if snapshot.last {
            let _ = self.all.clear(); // a terminal that is gone has nothing to clear
            return;
        }
        let rate = self.rate(snapshot);
        self.passed.set_position((snapshot.passed * STEPS as f64) as u64);
        self.passed.set_message(time_left(snapshot, self.catalogue));
        self.numbers.set_message(numbers(snapshot, rate));
        self.troubles.set_message(troubles(snapshot, self.catalogue));
    }
}

fn numbers(snapshot: &Snapshot, rate: f64) -> String {
    format!(
        "{} of {} targets done, {} listed, {} answers unknown; {rate:.0} queries/s, {} in flight",
        snapshot.targets_done, snapshot.targets, snapshot.targets_listed, snapshot.pairs_unknown, snapshot.in_flight,
    )
}

fn troubles(snapshot: &Snapshot, catalogue: &Catalogue) -> String {
    let mut named: Vec<&str> = Vec::new();
    for trouble in &snapshot.troubles {
        let id = catalogue.list(trouble.list).id.as_str();
        if !named.contains(&id) {
            named.push(id);
        }
    }
    let shown = named.iter().take(TROUBLES_SHOWN).copied();
    let shown = shown.collect::<Vec<_>>().join(", ");
    match named.len() {
        0 => String::new(),
        all @ 1..=TROUBLES_SHOWN => format!("{all} in trouble: {shown}"),
        all => format!("{all} in trouble: {shown}, …"),
    }
}

/// How long it will still take, by the slowest list or the stages, or what has to be waited for before that can be said.
fn time_left(snapshot: &Snapshot, catalogue: &Catalogue) -> String {
    let id = match snapshot.slowest {
        Some(Slowest::List(list)) => catalogue.list(list).id.as_str(),
        Some(Slowest::Stages) => "names and policies",
        None => "",
    };
    if snapshot.elapsed < PACE_SPAN {
        return "time left unknown".to_owned();
    }
    let Some(left) = snapshot.left else {
        return format!("time left unknown: waiting for {id}");
    };
    // Whole seconds are cut off below: what is left of the last one is no time.
    match left.as_secs_f64() as u64 {
        0 => "finishing".to_owned(),
        left @ 1..60 => format!("about {left} s left ({id})"),
        left @ 60..3_600 => format!("about {} min left ({id})", left.div_ceil(60)),
        left => format!("about {} h {} min left ({id})", left / 3_600, left % 3_600 / 60),
    }
}

/// Shows nothing.
pub(crate) struct Quiet;

impl Progress for Quiet {
    fn show(&mut self, _: &Snapshot) {}
}

#[cfg(test)]
mod tests {
    use reputon::dnsxl::ListIndex;
    use reputon::scan::Trouble;

    use super::*;

    fn snapshot() -> Snapshot {
        Snapshot {
            elapsed: Span::from_secs(10),
            targets: 256,
            targets_done: 3,
            targets_listed: 1,
            passed: 0.5,
            left: Some(Span::from_secs(90)),
            slowest: Some(Slowest::List(ListIndex(1))),
            pairs_unknown: 7,
            asked: 1_000,
            in_flight: 12,
            sent: 1_100,
            troubles: Vec::new(),
            last: false,
        }
    }

    #[test]
    fn the_time_left_is_the_slowest_lists_and_unknown_until_paces_are() {
        let (catalogue, _) = Catalogue::load(true, &[]).expect("the built-in catalogue is good");
        let slow = catalogue.list(ListIndex(1)).id.clone();
        let left = |seconds| Snapshot {
            left: Some(Span::from_secs(seconds)),
            ..snapshot()
        };
        for (seconds, told) in [
            (0, "finishing".to_owned()),
            (59, format!("about 59 s left ({slow})")),
            (90, format!("about 2 min left ({slow})")),
            (7_260, format!("about 2 h 1 min left ({slow})")),
        ] {
            assert_eq!(time_left(&left(seconds), &catalogue), told);
        }
        let none = Snapshot {
            left: None,
            ..snapshot()
        };
        assert_eq!(
            time_left(&none, &catalogue),
            format!("time left unknown: waiting for {slow}")
        );
        let stages = Snapshot {
            slowest: Some(Slowest::Stages),
            ..snapshot()
        };
        assert_eq!(time_left(&stages, &catalogue), "about 2 min left (names and policies)");
        let early = Snapshot {
            elapsed: Span::from_millis(200),
            ..snapshot()
        };
        assert_eq!(time_left(&early, &catalogue), "time left unknown");
    }

    #[test]
    fn lists_in_trouble_are_named_once_and_counted() {
        let (catalogue, _) = Catalogue::load(true, &[]).expect("the built-in catalogue is good");
        let trouble = |list| Trouble {
            list: ListIndex(list),
            why: "silent".to_owned(),
        };
        let with = |lists: &[u16]| {
            let snapshot = Snapshot {
                troubles: lists.iter().copied().map(trouble).collect(),
                ..snapshot()
            };
            troubles(&snapshot, &catalogue)
        };
        let id = |list: u16| catalogue.list(ListIndex(list)).id.clone();
        assert_eq!(with(&[]), "");
        assert_eq!(with(&[4, 4]), format!("1 in trouble: {}", id(4)));
        assert_eq!(
            with(&[0, 1, 2, 3, 1]),
            format!("4 in trouble: {}, {}, {}, …", id(0), id(1), id(2))
        );
    }
}
