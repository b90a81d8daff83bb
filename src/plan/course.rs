//! The course of a run in time: many flows of queries that share rates, each taking as much as is its share and its own way
//! bears, until the last one is through.
//!
//! Rates are shared as the engine shares them: paths take turns, so that whoever wants less than its share leaves the rest
//! to the others (max-min fairness). What changes only when a flow ends is computed from end to end: as many steps as flows.

/// Rates closer to each other than this share are the same.
const SAME: f64 = 1e-9;

/// Queries that go one way.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Flow {
    pub(super) queries: f64,
    /// Turns that it gets where others get one.
    pub(super) weight: f64,
    /// Queries a second that its own way bears.
    pub(super) most_qps: f64,
    /// The limits that it shares with others, by index, and which part of its queries falls under each.
    pub(super) limits: Vec<(usize, f64)>,
}

/// How a flow came to its end.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Ended {
    /// When.
    pub(super) seconds: f64,
    /// The limit that held it longest; none: its own way.
    pub(super) held_by: Option<usize>,
}

/// Lets all flows run to their ends under limits in queries a second.
pub(super) fn run(flows: &[Flow], limits: &[f64]) -> Vec<Ended> {
    let mut left: Vec<f64> = flows.iter().map(|flow| flow.queries).collect();
    let mut ended = vec![
        Ended {
            seconds: 0.0,
            held_by: None
        };
        flows.len()
    ];
    // By flow: how long each limit held it, its own way last.
    let mut held = vec![vec![0.0; limits.len() + 1]; flows.len()];
    let mut now = 0.0;
    loop {
        let active: Vec<usize> = (0..flows.len()).filter(|&flow| left[flow] > 0.0).collect();
        if active.is_empty() {
            break;
        }
        let shares = share(flows, limits, &active);
        let step = active.iter().zip(&shares).map(|(&flow, (rate, _))| left[flow] / rate);
        let step = step.fold(f64::INFINITY, f64::min);
        if !step.is_finite() {
            break; // a limit of nothing: what is left never ends
        }
        now += step;
        for (&flow, (rate, by)) in active.iter().zip(&shares) {
            held[flow][by.unwrap_or(limits.len())] += step;
            left[flow] -= rate * step;
            if left[flow] <= flows[flow].queries * SAME {
                left[flow] = 0.0;
                ended[flow].seconds = now;
            }
        }
    }
    for (ended, held) in ended.iter_mut().zip(held) {
        let longest = (0..held.len()).max_by(|&a, &b| held[a].total_cmp(&held[b]));
        ended.held_by = longest.filter(|&limit| limit < limits.len());
    }
    ended
}

/// The rate of each active flow, and the limit that sets it: all rise together until something holds them.
fn share(flows: &[Flow], limits: &[f64], active: &[usize]) -> Vec<(f64, Option<usize>)> {
    let mut shares: Vec<Option<(f64, Option<usize>)>> = vec![None; active.len()];
    let mut free = limits.to_vec();
    let mut level = 0.0;
    while shares.iter().any(Option::is_none) {
        let mut wanting = vec![0.0; limits.len()];
        let rising: Vec<usize> = (0..active.len()).filter(|&place| shares[place].is_none()).collect();
        for &place in &rising {
            let flow = &flows[active[place]];
            flow.limits
                .iter()
                .for_each(|&(limit, part)| wanting[limit] += flow.weight * part);
        }
        // How far all may rise: until a limit is full, or a way is.
        let full = |limit: usize| {
            if wanting[limit] > 0.0 {
                free[limit] / wanting[limit]
            } else {
                f64::INFINITY
            }
        };
        let own = |place: usize| flows[active[place]].most_qps / flows[active[place]].weight - level;
        let by_limit = (0..limits.len()).map(full).fold(f64::INFINITY, f64::min);
        let by_way = rising.iter().map(|&place| own(place)).fold(f64::INFINITY, f64::min);
        let rise = by_limit.min(by_way).max(0.0);
        let bar = rise * (1.0 + SAME) + f64::MIN_POSITIVE;
        let filled: Vec<bool> = (0..limits.len()).map(|limit| full(limit) <= bar).collect();
        let owns: Vec<bool> = rising.iter().map(|&place| own(place) <= bar).collect();
        level += rise;
        for (free, wanting) in free.iter_mut().zip(&wanting) {
            *free = (*free - rise * wanting).max(0.0);
        }
        for (&place, own) in rising.iter().zip(owns) {
            let flow = &flows[active[place]];
            let by = flow.limits.iter().map(|&(limit, _)| limit).find(|&limit| filled[limit]);
            if by.is_some() || own {
                shares[place] = Some((level * flow.weight, by));
            }
        }
    }
    shares
        .into_iter()
        .map(|share| share.expect("each was held by something"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flow(queries: f64, most_qps: f64, limits: &[usize]) -> Flow {
        Flow {
            queries,
            weight: 1.0,
            most_qps,
            limits: limits.iter().map(|&limit| (limit, 1.0)).collect(),
        }
    }

    fn seconds(flows: &[Flow], limits: &[f64]) -> Vec<f64> {
        run(flows, limits)
            .iter()
            .map(|ended| (ended.seconds * 1e6).round() / 1e6)
            .collect()
    }

    #[test]
    fn one_flow_takes_what_its_way_and_its_limits_let_it() {
        assert_eq!(seconds(&[flow(100.0, 10.0, &[])], &[]), [10.0]);
        let found = run(&[flow(100.0, 10.0, &[0])], &[4.0]);
        assert_eq!((found[0].seconds, found[0].held_by), (25.0, Some(0)));
        assert_eq!(run(&[flow(100.0, 10.0, &[0])], &[40.0])[0].held_by, None);
        assert_eq!(seconds(&[flow(0.0, 10.0, &[])], &[]), [0.0]);
    }

    #[test]
    fn a_rate_is_shared_until_one_is_through() {
        // 5 a second each; then the longer one has all ten.
        assert_eq!(
            seconds(&[flow(50.0, 1e9, &[0]), flow(100.0, 1e9, &[0])], &[10.0]),
            [10.0, 15.0]
        );
    }

    #[test]
    fn what_one_leaves_the_others_take() {
        // The first is held to 2 by its own limit, so that the second has 8.
        let flows = [flow(20.0, 1e9, &[0, 1]), flow(80.0, 1e9, &[0])];
        let found = run(&flows, &[10.0, 2.0]);
        assert_eq!(seconds(&flows, &[10.0, 2.0]), [10.0, 10.0]);
        assert_eq!((found[0].held_by, found[1].held_by), (Some(1), Some(0)));
    }

    /// A rate for all that many share starves a long one that would need half of it: the sum over the rate is not the whole.
    #[test]
    fn a_long_flow_among_many_ends_later_than_the_sum_says() {
        let mut flows = vec![flow(100.0, 1e9, &[0]); 9];
        flows.push(flow(400.0, 50.0, &[0]));
        let found = seconds(&flows, &[100.0]);
        // Ten a second each for ten seconds; then 300 at 50.
        assert_eq!((found[0], found[9]), (10.0, 16.0));
    }

    #[test]
    fn a_limit_of_nothing_ends() {
        assert_eq!(seconds(&[flow(1.0, 1.0, &[0])], &[0.0]), [0.0]);
    }
}
