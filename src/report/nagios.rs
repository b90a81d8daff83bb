//! The one line of a Nagios plugin, with performance data behind a bar.

use crate::verdict::Tallied;

use super::summary::several;

/// The line for a finished run; `min_coverage` is a share from 0 to 1. The status is [`Tallied::nagios_status`].
///
/// It holds numbers only: nothing from the network gets into it.
pub fn nagios_line(run: &Tallied, min_coverage: f64) -> String {
    let [a, b, c, other] = run.hit;
    let (listed, percent, wanted) = (a + b + c + other, 100.0 * run.coverage, 100.0 * min_coverage);
    let status = run.nagios_status(min_coverage).as_str();
    let unusable = run.hard.iter().filter(|(_, share)| *share < min_coverage).count();
    let hard = if unusable > 0 {
        format!(", {} not usable", several(unusable as u64, "tier-A list"))
    } else {
        String::new()
    };
    let missed = match run.unreached {
        0 => String::new(),
        unreached => format!(", {} not reached", several(unreached, "target")),
    };
    format!(
        "REPUTON {status} - {listed} of {} targets listed (A {a}, B {b}, C {}){missed}, coverage {percent:.1} %{hard} \
         | listed={listed};0;;0;{} tier_a={a};;0;0 tier_b={b};;0;0 tier_c={};0;;0 coverage={percent:.1}%;{wanted:.1}:;50:;0;100",
        run.targets,
        c + other,
        run.targets,
        c + other,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dnsxl::ListIndex;

    #[test]
    fn the_line_opens_with_the_status_and_has_one_bar() {
        let mut run = Tallied {
            targets: 256,
            unreached: 0,
            hit: [1, 0, 2, 0],
            planned: 1000,
            answered: 990,
            coverage: 0.99,
            hard: vec![(ListIndex(0), 1.0)],
            soft: Vec::new(),
        };
        insta::assert_snapshot!(nagios_line(&run, 0.9), @r"REPUTON CRITICAL - 3 of 256 targets listed (A 1, B 0, C 2), coverage 99.0 % | listed=3;0;;0;256 tier_a=1;;0;0 tier_b=0;;0;0 tier_c=2;0;;0 coverage=99.0%;90.0:;50:;0;100");
        run.hit = [0; 4];
        run.hard[0].1 = 0.2;
        run.unreached = 4;
        insta::assert_snapshot!(nagios_line(&run, 0.9), @r"REPUTON WARNING - 0 of 256 targets listed (A 0, B 0, C 0), 4 targets not reached, coverage 99.0 %, 1 tier-A list not usable | listed=0;0;;0;256 tier_a=0;;0;0 tier_b=0;;0;0 tier_c=0;0;;0 coverage=99.0%;90.0:;50:;0;100");
    }
}
