//! A small catalogue and dossiers for the tests of judging and reporting. Not a test itself.

use std::net::Ipv4Addr;

use crate::dnsxl::{
    Catalogue, List, ListIndex, Listing, NameForm, Observation, Operator, OperatorIndex, ReturnCodes, Role, Status,
    Terms, TestEntries, Tier, Use,
};
use crate::dossier::{Dossier, Observed};
use crate::targets::{Domain, Kind, Target};

/// id, operator, role, tier.
const LISTS: [(&str, u16, Role, Tier); 6] = [
    ("alpha-all", 0, Role::Block, Tier::A),
    ("alpha-part", 0, Role::Block, Tier::A),
    ("beta", 1, Role::Block, Tier::B),
    ("gamma", 2, Role::Block, Tier::C),
    ("delta-white", 3, Role::Allow, Tier::W),
    ("epsilon-geo", 4, Role::Info, Tier::C),
];

/// Six lists of five operators; `alpha-all` is a composite that covers `alpha-part` and needs a key.
pub(crate) fn catalogue() -> Catalogue {
    let operators = ["Alpha", "Beta", "Gamma, Inc.", "Delta", "Epsilon"].map(operator);
    Catalogue::from_parts(LISTS.iter().map(list).collect(), operators.into())
}

fn operator(name: &str) -> Operator {
    Operator {
        id: name
            .to_lowercase()
            .replace(|letter: char| !letter.is_alphanumeric(), ""),
        name: name.to_owned(),
        home: None,
        checked: None,
        terms: Terms {
            usage: Use::FreeNoncommercial,
            max_queries_per_day: Some(50_000),
            max_qps: Some(20.0),
            public_resolvers: None,
        },
        refusal: Vec::new(),
    }
}

fn list(&(id, operator, role, tier): &(&str, u16, Role, Tier)) -> List {
    let alpha = id == "alpha-all";
    List {
        id: id.to_owned(),
        zone: if alpha {
            "{key}.all.alpha.example".to_owned()
        } else {
            format!("{id}.example")
        },
        query: None,
        operator: OperatorIndex(operator),
        kinds: Kind::ALL.to_vec(),
        role,
        tier,
        default: true,
        tags: Vec::new(),
        covers: if alpha {
            vec!["alpha-part".to_owned()]
        } else {
            Vec::new()
        },
        about: None,
        remove: alpha.then(|| "https://alpha.example/remove?q={target}&x=1".to_owned()),
        remove_how: (id == "beta").then(|| "Expires 24 hours after the last message; nobody can hurry it.".to_owned()),
        lookup: None,
        codes: Default::default(),
        refusal: Vec::new(),
        txt: true,
        ip6_unit: None,
        name_form: NameForm::Full,
        test: TestEntries::default(),
        status: Status::Live,
        retired: None,
        sources: Vec::new(),
    }
}

/// The index of a list of the sample.
pub(crate) fn index(id: &str) -> ListIndex {
    let at = LISTS.iter().position(|list| list.0 == id).expect("an id of the sample");
    ListIndex(u16::try_from(at).expect("six lists"))
}

/// A target from plain text.
pub(crate) fn target(text: &str) -> Target {
    match text.parse() {
        Ok(std::net::IpAddr::V4(address)) => Target::Ip4(address),
        Ok(std::net::IpAddr::V6(address)) => Target::Ip6(address),
        Err(_) => Target::Domain(Domain::new(text).expect("a domain")),
    }
}

/// A listing with the code 127.0.0.2.
pub(crate) fn listed(role: Role, tier: Tier) -> Observation {
    listed_why(role, tier, None)
}

/// A listing with a TXT record.
pub(crate) fn listed_why(role: Role, tier: Tier, reason: Option<&str>) -> Observation {
    Observation::Listed(Box::new(Listing {
        codes: ReturnCodes::shared(vec![Ipv4Addr::new(127, 0, 0, 2)], vec!["sends spam".to_owned()]),
        role,
        tier,
        reason: reason.map(str::to_owned),
        ttl: 60,
        reason_cut: false,
        partial: false,
    }))
}

/// A dossier on all lists of the sample: not listed, but for what is given.
pub(crate) fn dossier(name: &str, seen: &[(&str, Observation)]) -> Dossier {
    let observed = LISTS.iter().map(|list| {
        let given = seen.iter().find(|(id, _)| *id == list.0);
        Observed {
            list: index(list.0),
            observation: given.map_or(Observation::NotListed, |(_, observation)| observation.clone()),
            how: if list.0 == "alpha-part" {
                crate::dnsxl::How::Folded
            } else {
                crate::dnsxl::How::Asked
            },
        }
    });
    Dossier {
        target: target(name),
        special_use: None,
        observations: observed.collect(),
        stages: Vec::new(),
        findings: Vec::new(),
        revision: 1,
    }
}
