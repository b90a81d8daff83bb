//! How far a scan has come, on standard error when that is a terminal: one bar, one line of numbers, one of trouble.

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use reputon::dnsxl::Catalogue;
use reputon::scan::{Progress, Snapshot};

/// Lists in trouble that are named; of more, only the number is told.
const TROUBLES_SHOWN: usize = 3;

/// Draws on a terminal.
pub(crate) struct Bars<'a> {
    catalogue: &'a Catalogue,
    all: MultiProgress,
    targets: ProgressBar,
    numbers: ProgressBar,
    troubles: ProgressBar,
}

impl<'a> Bars<'a> {
    /// Bars on standard error; `catalogue` names the lists.
    pub(crate) fn new(catalogue: &'a Catalogue) -> Bars<'a> {
        let all = MultiProgress::with_draw_target(ProgressDrawTarget::stderr());
        let style = |template: &str| ProgressStyle::with_template(template).expect("a fixed template");
        let bar = |template: &str| all.add(ProgressBar::new(0).with_style(style(template)));
        let targets = bar("{bar:30} {human_pos}/{human_len} targets, {percent}%");
        let numbers = bar("{msg}");
        let troubles = bar("{msg}");
        Bars {
            catalogue,
            all,
            targets,
            numbers,
            troubles,
        }
    }
}

impl Progress for Bars<'_> {
    fn show(&mut self, snapshot: &Snapshot) {
        if snapshot.last {
            let _ = self.all.clear(); // a terminal that is gone has nothing to clear
            return;
        }
        self.targets.set_length(snapshot.targets);
        self.targets.set_position(snapshot.targets_done);
        let seconds = snapshot.elapsed.as_secs_f64().max(0.001);
        let rate = snapshot.sent as f64 / seconds;
        self.numbers.set_message(format!(
            "{:.0} queries/s, {} in flight, {} listed, {} answers unknown, {}",
            rate,
            snapshot.in_flight,
            snapshot.targets_listed,
            snapshot.pairs_unknown,
            time_left(snapshot),
        ));
        let mut named: Vec<&str> = snapshot
            .troubles
            .iter()
            .map(|trouble| self.catalogue.list(trouble.list).id.as_str())
            .collect();
        named.dedup();
        let more = named.len().saturating_sub(TROUBLES_SHOWN);
        named.truncate(TROUBLES_SHOWN);
        self.troubles.set_message(match (named.is_empty(), more) {
            (true, _) => String::new(),
            (false, 0) => format!("trouble: {}", named.join(", ")),
            (false, more) => format!("trouble: {} and {more} more", named.join(", ")),
        });
    }
}

/// How long it will still take, by the pairs asked so far.
fn time_left(snapshot: &Snapshot) -> String {
    let done = snapshot.asked.saturating_sub(snapshot.in_flight) as f64;
    let seconds = snapshot.elapsed.as_secs_f64();
    if done < 100.0 || seconds < 1.0 {
        return "time left unknown".into();
    }
    let left = (snapshot.pairs as f64 - done).max(0.0) * seconds / done;
    match left as u64 {
        left @ 0..60 => format!("{left} s left"),
        left @ 60..3_600 => format!("{} min left", left.div_ceil(60)),
        left => format!("{} h {} min left", left / 3_600, left % 3_600 / 60),
    }
}

/// Shows nothing.
pub(crate) struct Quiet;

impl Progress for Quiet {
    fn show(&mut self, _: &Snapshot) {}
}
