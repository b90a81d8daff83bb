//! One pair of target and list as a tidy row: what the listings CSV and Parquet hold.

use std::net::Ipv4Addr;

use crate::dnsxl::Observation;
use crate::dnsxl::fill_target;
use crate::dossier::Observed;

use super::sink::Judged;

/// A row. Text is as it came: whoever writes it escapes it for the form.
#[derive(Debug)]
pub(super) struct Pair<'a> {
    pub(super) target: String,
    pub(super) list: &'a str,
    pub(super) zone: &'a str,
    pub(super) operator: &'a str,
    /// The listing's where there is one, else the list's.
    pub(super) role: &'static str,
    pub(super) tier: &'static str,
    pub(super) observation: &'static str,
    /// Of what is unknown or was not asked.
    pub(super) cause: Option<&'static str>,
    /// None for what was not asked: it was not learnt in any way.
    pub(super) how: Option<&'static str>,
    pub(super) codes: Option<String>,
    pub(super) meanings: Option<String>,
    pub(super) reason: Option<&'a str>,
    pub(super) ttl: Option<u32>,
    pub(super) remove: Option<String>,
}

impl<'a> Pair<'a> {
    /// The row of a pair; none for what is not listed or was not asked, unless all rows are wanted.
    pub(super) fn of(judged: &Judged<'a>, observed: &'a Observed, all_rows: bool) -> Option<Pair<'a>> {
        let shown = all_rows || matches!(observed.observation, Observation::Listed(_) | Observation::Unknown(_));
        if !shown {
            return None; // by far the most: nothing is made for them
        }
        let list = judged.catalogue.list(observed.list);
        let mut pair = Pair {
            target: judged.dossier.target.to_string(),
            list: &list.id,
            zone: &list.zone,
            operator: &judged.catalogue.operator(list.operator).name,
            role: list.role.as_str(),
            tier: list.tier.as_str(),
            observation: observed.observation.as_str(),
            cause: None,
            how: Some(observed.how.as_str()),
            codes: None,
            meanings: None,
            reason: None,
            ttl: None,
            remove: None,
        };
        match &observed.observation {
            Observation::Listed(listing) => {
                (pair.role, pair.tier) = (listing.role.as_str(), listing.tier.as_str());
                let codes: Vec<String> = listing.codes.answers.iter().map(Ipv4Addr::to_string).collect();
                pair.codes = Some(codes.join(" "));
                pair.meanings = Some(listing.codes.meanings.join("; "));
                pair.reason = listing.reason.as_deref();
                pair.ttl = Some(listing.ttl);
                let page = list.remove.as_deref();
                pair.remove = page.map(|page| fill_target(page, &judged.dossier.target));
            }
            Observation::NotListed => {}
            Observation::Unknown(why) => pair.cause = Some(why.as_str()),
            Observation::NotAsked(why) => (pair.cause, pair.how) = (Some(why.as_str()), None),
        }
        Some(pair)
    }
}
