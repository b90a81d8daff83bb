//! How many questions the stages ask, before any is: what is usual, and the most that their bounds allow.
//!
//! What a stage asks depends on the answers: names lead to addresses, policies to further policies. So the most is far
//! from what is usual, and neither counts what is saved because another target asked the same. Aliases come on top: a
//! resolver that does not follow them is asked once more for each.

use super::run::{Stage, StageOptions, Stages};
use super::{asn, dkim, dmarc, mx, rdns, spf};
use crate::targets::Kind;

/// Questions for an address of a name: A and AAAA.
const FAMILIES: u64 = 2;

/// Questions of the stages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Expected {
    /// As many as are usual: an address has a name that has an address, a domain has plain policies.
    pub usual: u64,
    /// As many as there can be.
    pub most: u64,
}

/// What the chosen stages are expected to ask about `count` targets of a kind.
pub fn expected(which: Stages, options: &StageOptions, kind: Kind, count: u64) -> Expected {
    let mut one = Expected::default();
    let mut add = |stage: Stage, usual: u64, most: usize| {
        if which.has(stage) {
            one.usual += usual;
            one.most += most as u64; // hundreds
        }
    };
    let followed = |names: usize| 1 + FAMILIES as usize * names;
    match kind {
        Kind::Ip4 | Kind::Ip6 => {
            add(Stage::Rdns, 2, followed(rdns::NAMES_MAX));
            // One question serves a whole network, which is taken to be the usual case.
            add(Stage::Asn, 0, 1 + asn::NAMES_MAX);
            add(Stage::Abuse, 0, 1);
            // The domain of its name: many addresses share one.
            let related = options.related;
            add(Stage::Mx, 0, if related { followed(mx::EXCHANGERS_MAX) } else { 0 });
            add(Stage::Spf, 0, if related { spf::QUERIES_MAX } else { 0 });
            add(Stage::Dmarc, 0, if related { dmarc::QUESTIONS_MAX } else { 0 });
        }
        Kind::Domain => {
            let guessed = if options.dkim_guess { dkim::COMMON.len() } else { 0 };
            let selectors = guessed + options.dkim_selectors.len().min(dkim::GIVEN_MAX);
            add(Stage::Mx, 3, followed(mx::EXCHANGERS_MAX));
            add(Stage::Spf, 5, spf::QUERIES_MAX);
            add(Stage::Dkim, selectors as u64, selectors);
            add(Stage::Dmarc, 2, dmarc::QUESTIONS_MAX);
            add(Stage::MtaSts, 1, 1);
            add(Stage::TlsRpt, 1, 1);
            add(Stage::Bimi, 1, 1);
        }
    }
    Expected {
        usual: one.usual * count,
        most: one.most * count,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_chosen_is_asked_and_never_more_than_the_bounds() {
        let options = StageOptions::default();
        let of = |which: Stages, kind| expected(which, &options, kind, 10);
        assert_eq!(of(Stages::NONE, Kind::Ip4), Expected::default());
        let names = of(Stages::NONE.with(Stage::Rdns), Kind::Ip6);
        assert_eq!((names.usual, names.most), (20, 210));
        let all = of(Stages::default(), Kind::Domain);
        assert!(all.usual <= all.most);
        // What the stages' own test of chaos holds them to.
        assert!(all.most <= 10 * 300 && of(Stages::default(), Kind::Ip4).most <= 10 * 300);
    }

    #[test]
    fn given_selectors_are_asked_for_too_but_a_bounded_number() {
        let mut options = StageOptions::default();
        let which = Stages::NONE.with(Stage::Dkim);
        let before = expected(which, &options, Kind::Domain, 1).usual;
        options.dkim_selectors = vec!["own".to_owned()];
        assert_eq!(expected(which, &options, Kind::Domain, 1).usual, before + 1);
        options.dkim_selectors = vec!["own".to_owned(); 1_000];
        assert_eq!(
            expected(which, &options, Kind::Domain, 1).usual,
            before + dkim::GIVEN_MAX as u64
        );
    }
}
