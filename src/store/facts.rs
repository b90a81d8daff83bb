//! What was known of a run's lists, as JSON: enough to judge and report its dossiers without the catalogue of that day.
//!
//! Codes and test entries are left out: what they mean is in the listings.

use serde::{Deserialize, Serialize};

use crate::dnsxl::{
    Catalogue, Confidence, List, ListIndex, NameForm, Operator, OperatorIndex, Retired, Role, Status, Terms,
    TestEntries, Tier, Use,
};
use crate::targets::Kind;

#[derive(Debug, Serialize, Deserialize)]
struct Facts {
    operators: Vec<OperatorFacts>,
    lists: Vec<ListFacts>,
    /// Lists of the catalogue that were known to be retired, whether the run had them or not.
    #[serde(default)]
    retired: Vec<String>,
}

#[derive(Debug, Serialize, Deserialize)]
struct OperatorFacts {
    id: String,
    name: String,
    home: Option<String>,
    checked: Option<String>,
    #[serde(rename = "use")]
    usage: Use,
    max_queries_per_day: Option<u64>,
    max_qps: Option<f64>,
    public_resolvers: Option<String>,
}

#[derive(Debug, Serialize, Deserialize)]
struct ListFacts {
    id: String,
    zone: String,
    query: Option<String>,
    operator: u16,
    kinds: Vec<Kind>,
    role: Role,
    tier: Tier,
    default: bool,
    tags: Vec<String>,
    covers: Vec<String>,
    about: Option<String>,
    remove: Option<String>,
    remove_how: Option<String>,
    lookup: Option<String>,
    txt: bool,
    ip6_unit: Option<u8>,
    name_form: NameForm,
    status: Status,
    retired: Option<(Option<String>, Option<String>, Confidence)>,
    sources: Vec<String>,
}

/// The facts of some lists of a catalogue, in this order.
pub fn write_facts(catalogue: &Catalogue, lists: impl Iterator<Item = ListIndex>) -> String {
    let retired = catalogue.lists().iter().filter(|list| list.status == Status::Retired);
    let retired = retired.map(|list| list.id.clone()).collect();
    compose(catalogue, lists, retired)
}

/// The same, where it is known already which lists were retired.
pub(super) fn compose(catalogue: &Catalogue, lists: impl Iterator<Item = ListIndex>, retired: Vec<String>) -> String {
    let mut facts = Facts {
        operators: Vec::new(),
        lists: Vec::new(),
        retired,
    };
    let mut seen: Vec<OperatorIndex> = Vec::new();
    for index in lists {
        let list = catalogue.list(index);
        let operator = match seen.iter().position(|one| *one == list.operator) {
            Some(place) => place,
            None => {
                seen.push(list.operator);
                facts.operators.push(operator_facts(catalogue.operator(list.operator)));
                seen.len() - 1
            }
        };
        facts.lists.push(list_facts(list, operator as u16)); // no more operators than lists
    }
    serde_json::to_string(&facts).expect("facts are plain JSON")
}

/// The catalogue that was written with [`write_facts`]: its lists in that order. None if the text makes no sense.
pub fn lists_of(text: &str) -> Option<Catalogue> {
    let facts: Facts = serde_json::from_str(text).ok()?;
    let count = facts.operators.len();
    // As many as a catalogue can have: places are 16 bits.
    if facts.lists.len() > usize::from(u16::MAX) || facts.lists.iter().any(|list| usize::from(list.operator) >= count) {
        return None;
    }
    let lists = facts.lists.into_iter().map(list_of).collect();
    Some(Catalogue::from_parts(
        lists,
        facts.operators.into_iter().map(operator_of).collect(),
    ))
}

/// The lists that the catalogue of [`write_facts`] knew to be retired.
pub(super) fn retired_of(text: &str) -> Vec<String> {
    serde_json::from_str(text).map_or_else(|_| Vec::new(), |facts: Facts| facts.retired)
}

fn operator_facts(operator: &Operator) -> OperatorFacts {
    OperatorFacts {
        id: operator.id.clone(),
        name: operator.name.clone(),
        home: operator.home.clone(),
        checked: operator.checked.clone(),
        usage: operator.terms.usage,
        max_queries_per_day: operator.terms.max_queries_per_day,
        max_qps: operator.terms.max_qps,
        public_resolvers: operator.terms.public_resolvers.clone(),
    }
}

fn operator_of(facts: OperatorFacts) -> Operator {
    Operator {
        id: facts.id,
        name: facts.name,
        home: facts.home,
        checked: facts.checked,
        terms: Terms {
            usage: facts.usage,
            max_queries_per_day: facts.max_queries_per_day,
            max_qps: facts.max_qps,
            public_resolvers: facts.public_resolvers,
        },
        refusal: Vec::new(),
    }
}

fn list_facts(list: &List, operator: u16) -> ListFacts {
    let retired = list.retired.as_ref();
    ListFacts {
        id: list.id.clone(),
        zone: list.zone.clone(),
        query: list.query.clone(),
        operator,
        kinds: list.kinds.clone(),
        role: list.role,
        tier: list.tier,
        default: list.default,
        tags: list.tags.clone(),
        covers: list.covers.clone(),
        about: list.about.clone(),
        remove: list.remove.clone(),
        remove_how: list.remove_how.clone(),
        lookup: list.lookup.clone(),
        txt: list.txt,
        ip6_unit: list.ip6_unit,
        name_form: list.name_form,
        status: list.status,
        retired: retired.map(|end| (end.since.clone(), end.how.clone(), end.confidence)),
        sources: list.sources.clone(),
    }
}

fn list_of(facts: ListFacts) -> List {
    List {
        id: facts.id,
        zone: facts.zone,
        query: facts.query,
        operator: OperatorIndex(facts.operator),
        kinds: facts.kinds,
        role: facts.role,
        tier: facts.tier,
        default: facts.default,
        tags: facts.tags,
        covers: facts.covers,
        about: facts.about,
        remove: facts.remove,
        remove_how: facts.remove_how,
        lookup: facts.lookup,
        codes: Default::default(),
        refusal: Vec::new(),
        txt: facts.txt,
        ip6_unit: facts.ip6_unit,
        name_form: facts.name_form,
        test: TestEntries::default(),
        status: facts.status,
        retired: facts
            .retired
            .map(|(since, how, confidence)| Retired { since, how, confidence }),
        sources: facts.sources,
    }
}
