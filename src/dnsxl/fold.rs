//! What a composite zone's answer says of one of its parts (RFC 5782 §2.3: sublists told apart by code).

use super::codes::{Code, Meaning};
use super::list::{List, Role, Tier};
use super::observation::{Listing, Observation, ReturnCodes};

/// What is known of a target on `part`, from what is known of it on `composite`, which covers it.
///
/// None where the composite cannot tell: it has an entry, but no code of its own stands for the part, or there may be more to
/// the entry than its codes say. Then only the part itself can.
pub fn fold(composite: &List, part: &List, seen: &Observation) -> Option<Observation> {
    let listing = match seen {
        Observation::Listed(listing) => listing,
        Observation::NotListed | Observation::Unknown(_) => return Some(seen.clone()),
        Observation::NotAsked(_) => return None,
    };
    let stands_for = |code: &Code| code.listing && code.sublist.as_ref() == Some(&part.id);
    if !composite.codes.entries.iter().any(stands_for) {
        return None;
    }
    let mut codes = Vec::new();
    let mut meanings = Vec::new();
    let mut hardest: Option<(Role, Tier)> = None;
    for &address in &listing.codes.answers {
        let Meaning::Defined(entries) = composite.codes.interpret(address) else {
            continue;
        };
        let of_part: Vec<&Code> = entries.into_iter().filter(|code| stands_for(code)).collect();
        let weights = of_part
            .iter()
            .map(|code| (code.role.unwrap_or(part.role), code.tier.unwrap_or(part.tier)));
        let Some(weight) = weights.min() else { continue };
        hardest = Some(hardest.map_or(weight, |hardest| hardest.min(weight)));
        codes.push(address);
        meanings.push(
            of_part
                .iter()
                .map(|code| code.means.as_str())
                .collect::<Vec<_>>()
                .join("; "),
        );
    }
    Some(match hardest {
        None if listing.partial => return None,
        None => Observation::NotListed,
        Some((role, tier)) => Observation::Listed(Box::new(Listing {
            codes: ReturnCodes::shared(codes, meanings),
            role,
            tier,
            reason: listing.reason.clone(),
            ttl: listing.ttl,
            reason_cut: listing.reason_cut,
            partial: listing.partial,
        })),
    })
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::super::observation::Cause;
    use super::super::testing::coded;
    use super::*;

    fn seen(codes: &[u8]) -> Observation {
        Observation::Listed(Box::new(Listing {
            codes: ReturnCodes::shared(
                codes.iter().map(|last| Ipv4Addr::new(127, 0, 0, *last)).collect(),
                vec![String::new(); codes.len()],
            ),
            role: Role::Block,
            tier: Tier::A,
            reason: Some("why".into()),
            ttl: 60,
            reason_cut: false,
            partial: false,
        }))
    }

    #[test]
    fn codes_tell_the_parts_apart_and_what_cannot_be_told_is_left_to_the_part() {
        let mut zen = coded(
            "zen.example",
            &[("127.0.0.2", "sbl"), ("127.0.0.10-11", "pbl"), ("127.0.0.9", "drop")],
        );
        zen.codes.entries[0].sublist = Some("sbl".into());
        zen.codes.entries[1].sublist = Some("pbl".into());
        let part = |id: &str| {
            let mut part = coded("part.example", &[]);
            part.id = id.into();
            part.tier = Tier::C;
            part
        };
        let Some(Observation::Listed(pbl)) = fold(&zen, &part("pbl"), &seen(&[2, 10, 11])) else {
            panic!("listed")
        };
        assert_eq!(
            pbl.codes.answers,
            [Ipv4Addr::new(127, 0, 0, 10), Ipv4Addr::new(127, 0, 0, 11)]
        );
        assert_eq!((pbl.tier, pbl.reason.as_deref()), (Tier::C, Some("why")));
        assert_eq!(fold(&zen, &part("sbl"), &seen(&[10])), Some(Observation::NotListed));
        assert_eq!(fold(&zen, &part("css"), &seen(&[2])), None);
        // What may have more codes than are known clears no part, and lists those that it does list.
        let Observation::Listed(mut cut) = seen(&[10]) else {
            panic!("listed")
        };
        cut.partial = true;
        let cut = Observation::Listed(cut);
        assert_eq!(fold(&zen, &part("sbl"), &cut), None);
        assert!(matches!(fold(&zen, &part("pbl"), &cut), Some(Observation::Listed(_))));
        // Nothing on the composite is nothing on any part; what is unknown stays unknown.
        for same in [Observation::NotListed, Observation::Unknown(Cause::Timeout)] {
            assert_eq!(fold(&zen, &part("css"), &same), Some(same));
        }
    }
}
