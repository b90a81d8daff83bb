//! A catalogue's list as the lab serves it: in good health, with the test entries, codes and name form that the catalogue
//! gives it. What passes here fails in the world for the world's reasons.

use std::net::Ipv4Addr;

use crate::dnsxl::{List, ProbeRole, Questions, Subject, code_entries, negative, positive};
use crate::wire::Name;

use super::served::ServedList;

/// What an entry answers on a list without codes (RFC 5782 §2.1).
const STANDARD: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

/// The list with its own test entries, and one for each exact code; its other entries go through its codes in turn.
pub fn rehearse(list: &List, questions: &Questions) -> ServedList {
    let entries = list.codes.entries.iter().filter(|code| code.listing);
    let codes: Vec<Ipv4Addr> = entries.filter_map(|code| code.pattern.example()).collect();
    let mut served = ServedList {
        zone: questions.zone().clone(),
        prefix: questions.prefix().clone(),
        kinds: list.kinds.clone(),
        listed: Vec::new(),
        unlisted: Vec::new(),
        codes,
    };
    for &kind in &list.kinds {
        if let Some(subject) = positive(list, kind) {
            let code = test_code(list, &subject, &served.codes);
            served.listed.push((relative(&subject), code));
        }
        served
            .unlisted
            .extend(negative(list, kind).map(|subject| relative(&subject)));
        for entry in code_entries(list, kind) {
            if let ProbeRole::Code(code) = entry.role {
                served.listed.push((relative(&entry.subject), code));
            }
        }
    }
    served
}

/// What the positive test entry answers: what the catalogue says, else the code that is written like it, else the first.
fn test_code(list: &List, subject: &Subject, codes: &[Ipv4Addr]) -> Ipv4Addr {
    let like = match subject {
        Subject::Ip4(address) => Some(*address),
        Subject::Ip6(address) => address.to_ipv4_mapped(),
        Subject::Name(_) => None,
    };
    let like = like.filter(|code| codes.contains(code));
    let code = list.test.code.or(like).or(codes.first().copied());
    code.unwrap_or(STANDARD)
}

fn relative(subject: &Subject) -> Name {
    match subject {
        Subject::Ip4(address) => Name::reversed_v4(*address),
        Subject::Ip6(address) => Name::reversed_v6(*address),
        Subject::Name(name) => name.to_lowercase(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dnsxl::{Catalogue, Key};

    #[test]
    fn every_built_in_list_that_can_be_asked_can_be_rehearsed() {
        let (catalogue, _) = Catalogue::load(true, &[]).expect("the built-in catalogue is good");
        let key = Key::new("rehearsal").expect("a key");
        let mut served = 0;
        for list in catalogue.lists() {
            let Ok(questions) = Questions::prepare(list, Some(&key)) else {
                continue;
            };
            let one = rehearse(list, &questions);
            served += 1;
            for (name, code) in &one.listed {
                assert!(!one.unlisted.contains(name), "{}: {name} is both", list.id);
                assert_eq!(code.octets()[0], 127, "{}", list.id);
            }
        }
        assert!(served > 300, "{served}");
    }

    #[test]
    fn a_key_before_the_target_is_the_lists_prefix() {
        let (catalogue, _) = Catalogue::load(true, &[]).expect("the built-in catalogue is good");
        let list = catalogue.list(catalogue.by_id("httpbl").expect("there"));
        let key = Key::new("rehearsal").expect("a key");
        let served = rehearse(list, &Questions::prepare(list, Some(&key)).expect("it has a key"));
        assert_eq!(served.prefix.to_string(), "rehearsal");
        assert_eq!(served.zone.to_string(), "dnsbl.httpbl.org");
        assert_eq!(served.listed[0].0.to_string(), "5.1.1.127");
    }
}
