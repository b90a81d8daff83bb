//! Whether an address is one of a set of targets, whatever the order and the form in which the set names them.

use super::set::TargetSet;
use super::target::Target;

/// The addresses of a set of targets. Domains are not looked for.
#[derive(Debug)]
pub struct Cover {
    /// First and last, in order; neither do they overlap.
    stretches: Vec<(u128, u128)>,
}

impl Cover {
    /// The addresses of a set: a stretch for each run of neighbours.
    pub fn of(targets: &TargetSet) -> Cover {
        let mut stretches: Vec<(u128, u128)> = Vec::new();
        for number in targets
            .chunks()
            .flat_map(|chunk| chunk.iter().filter_map(|one| number(&one)))
        {
            match stretches.last_mut() {
                Some((_, last)) if last.checked_add(1) == Some(number) => *last = number,
                _ => stretches.push((number, number)),
            }
        }
        stretches.sort_unstable();
        Cover { stretches }
    }

    /// Whether a target is among them.
    pub fn contains(&self, target: &Target) -> bool {
        let Some(number) = number(target) else { return false };
        let behind = self.stretches.partition_point(|(first, _)| *first <= number);
        behind > 0 && number <= self.stretches[behind - 1].1
    }
}

/// IPv4 addresses as those of `::ffff:0:0/96`, where no address of the other kind is looked up.
fn number(target: &Target) -> Option<u128> {
    match target {
        Target::Ip4(address) => Some(address.to_ipv6_mapped().to_bits()),
        Target::Ip6(address) => Some(address.to_bits()),
        Target::Domain(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::super::input::ReadOptions;
    use super::*;

    #[test]
    fn what_is_named_is_covered_and_nothing_beside_it() {
        let typed = [
            "192.0.2.64/26",
            "192.0.2.3",
            "192.0.2.2",
            "2001:db8::/120",
            "example.org",
        ]
        .map(str::to_owned);
        let set = TargetSet::read(&typed, &mut io::empty(), ReadOptions::default()).expect("good targets");
        let cover = Cover::of(&set);
        let covers = |text: &str| cover.contains(&text.parse().expect("a target"));
        for inside in ["192.0.2.64", "192.0.2.127", "192.0.2.3", "192.0.2.2", "2001:db8::ff"] {
            assert!(covers(inside), "{inside}");
        }
        for outside in [
            "192.0.2.63",
            "192.0.2.128",
            "192.0.2.1",
            "192.0.2.4",
            "2001:db8::100",
            "example.org",
        ] {
            assert!(!covers(outside), "{outside}");
        }
    }
}
