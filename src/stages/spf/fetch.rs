//! Looking up what a policy needs: its one record (RFC 7208 §4.4, §4.5), and records of a name as found, void or failed.

use crate::exchange::{Lookup, Resolver};
use crate::wire::{Name, Rdata, Rtype};

use super::parse::is_spf;

/// What a lookup means to a policy (RFC 7208 §5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Found {
    /// Records of the type, one at least.
    Records(Vec<Rdata>),
    /// None: NXDOMAIN, or an answer without records of the type. A "void lookup" (§4.6.4).
    Void,
    /// It is not known; the text says why.
    Failed(String),
}

/// What a domain publishes (RFC 7208 §4.5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Policy {
    /// One record.
    One(Vec<u8>),
    /// No record.
    Missing,
    /// Several records: "permerror".
    Several(usize),
    /// It is not known; the text says why.
    Failed(String),
}

/// Looks up records of one type.
pub(super) async fn find(resolver: &dyn Resolver, name: Name, rtype: Rtype) -> Found {
    let what = format!("{rtype} of {name}");
    match resolver.lookup(name, rtype).await {
        Lookup::Found(answer) => {
            let data = answer.records.iter().map(|record| &record.data);
            let data: Vec<Rdata> = data.filter(|data| data.rtype() == rtype).cloned().collect();
            match data.is_empty() {
                // Records that could not be read are a broken answer, not an empty one.
                true if answer.malformed > 0 => Found::Failed(format!("{what}: malformed answer")),
                true => Found::Void,
                false => Found::Records(data),
            }
        }
        Lookup::NoData | Lookup::NxDomain => Found::Void,
        Lookup::Failed(rcode) => Found::Failed(format!("{what}: {rcode}")),
        Lookup::Silent => Found::Failed(format!("{what}: no answer")),
    }
}

/// Looks up a domain's policy. Texts that are no policies are none of our business (§4.5).
pub(super) async fn fetch(resolver: &dyn Resolver, name: Name) -> Policy {
    let mut policies = match texts(resolver, name).await {
        Ok(texts) => texts,
        Err(why) => return Policy::Failed(why),
    };
    policies.retain(|text| is_spf(text));
    match (policies.pop(), policies.len()) {
        (None, _) => Policy::Missing,
        (Some(policy), 0) => Policy::One(policy),
        (Some(_), others) => Policy::Several(others + 1),
    }
}

/// The texts of a name, each one's strings joined without a space (§3.3); empty if there are none.
pub(super) async fn texts(resolver: &dyn Resolver, name: Name) -> Result<Vec<Vec<u8>>, String> {
    match find(resolver, name, Rtype::TXT).await {
        Found::Records(data) => Ok(data.iter().filter_map(joined).collect()),
        Found::Void => Ok(Vec::new()),
        Found::Failed(why) => Err(why),
    }
}

fn joined(data: &Rdata) -> Option<Vec<u8>> {
    match data {
        Rdata::Txt(strings) => Some(strings.concat()),
        _ => None,
    }
}
