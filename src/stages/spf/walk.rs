//! A walk over everything that a policy leads to, whoever sends: the facts that the lint judges.
//!
//! Terms are followed as a client would follow them that nothing matches: the worst case, which is what the limits of
//! RFC 7208 §4.6.4 are about. Domains with macros of the client or the sender cannot be followed; they count as one lookup.

use std::future::Future;
use std::pin::Pin;

use crate::exchange::Resolver;
use crate::wire::{Name, Rdata, Rtype};

use super::eval::MX_HOSTS_MAX;
use super::fetch::{Found, Policy, fetch, find};
use super::input::{name_of, policy_name};
use super::macros::MacroString;
use super::ranges::Ranges;
use super::record::{Directive, Mechanism, Qualifier, SpfRecord, SyntaxError};

/// Queries of one walk: with the lint's own one as many as the limits of RFC 7208 §4.6.4 allow a check, 134. Terms beyond
/// the tenth are followed as long as that lasts: an honest policy with too many of them is told how many there are.
const QUERIES_MAX: u32 = 133;

/// Includes and redirects within each other; eleven already break the limit of ten lookups.
const DEPTH_MAX: usize = 12;

/// What a walk found.
#[derive(Debug, Default)]
pub(super) struct Facts {
    /// The policies visited, the domain's own first.
    pub(super) visits: Vec<Visit>,
    /// Terms that cause lookups, those of included policies with them.
    pub(super) lookups: u32,
    /// Lookups that found nothing.
    pub(super) voids: Vec<Void>,
    /// `mx` terms with more hosts than allowed: domain, position, hosts.
    pub(super) crowded: Vec<(String, usize, usize)>,
    /// The IPv4 addresses that pass.
    pub(super) ip4: Ranges,
    /// False if a bound ended the walk: then the counts are lower bounds.
    pub(super) complete: bool,
}

/// A policy on the way.
#[derive(Debug)]
pub(super) struct Visit {
    /// Whose it is.
    pub(super) domain: String,
    /// The domain and position of the term that leads here; none for the domain's own.
    pub(super) from: Option<(String, usize)>,
    /// Whether a match there is a pass of the domain's own policy.
    pub(super) authorises: bool,
    /// What was found.
    pub(super) found: Visited,
}

/// What is published there.
#[derive(Debug)]
pub(super) enum Visited {
    /// A good record.
    Record(SpfRecord),
    /// A bad one: its octets, and why it is bad.
    Bad(Vec<u8>, SyntaxError),
    /// None.
    Missing,
    /// Several.
    Several(usize),
    /// It is not known, and why.
    Failed(String),
    /// It is being visited: a policy that leads to itself.
    Loop,
}

/// A lookup that found nothing.
#[derive(Debug)]
pub(super) struct Void {
    pub(super) domain: String,
    pub(super) position: usize,
    pub(super) name: Name,
}

/// Walks from the policy of `domain`.
pub(super) async fn walk(resolver: &dyn Resolver, domain: &str) -> Facts {
    let mut walk = Walk {
        resolver,
        path: Vec::new(),
        queries: 0,
        facts: Facts {
            complete: true,
            ..Facts::default()
        },
    };
    walk.visit(domain.to_owned(), None, true).await;
    walk.facts
}

struct Walk<'a> {
    resolver: &'a dyn Resolver,
    /// The domains being visited, in lower case.
    path: Vec<String>,
    queries: u32,
    facts: Facts,
}

type Visiting<'b> = Pin<Box<dyn Future<Output = ()> + 'b>>;

impl Walk<'_> {
    /// Boxed, so that visits may nest.
    fn visit(&mut self, domain: String, from: Option<(String, usize)>, authorises: bool) -> Visiting<'_> {
        Box::pin(self.visit_one(domain, from, authorises))
    }

    async fn visit_one(&mut self, domain: String, from: Option<(String, usize)>, authorises: bool) {
        if self.path.len() >= DEPTH_MAX {
            self.facts.complete = false;
            return;
        }
        let key = domain.to_ascii_lowercase();
        let found = match policy_name(&domain) {
            _ if self.path.contains(&key) => Visited::Loop,
            None => Visited::Missing,
            Some(_) if !self.may_ask() => return,
            Some(name) => match fetch(self.resolver, name).await {
                Policy::One(octets) => match SpfRecord::parse(&octets) {
                    Ok(record) => Visited::Record(record),
                    Err(error) => Visited::Bad(octets, error),
                },
                Policy::Missing => Visited::Missing,
                Policy::Several(count) => Visited::Several(count),
                Policy::Failed(why) => Visited::Failed(why),
            },
        };
        let record = match &found {
            Visited::Record(record) => Some(record.clone()),
            _ => None,
        };
        self.facts.visits.push(Visit {
            domain: domain.clone(),
            from,
            authorises,
            found,
        });
        if let Some(record) = record {
            self.path.push(key);
            self.follow(&record, &domain, authorises).await;
            self.path.pop();
        }
    }

    /// The terms of a record, up to an `all`.
    async fn follow(&mut self, record: &SpfRecord, domain: &str, authorises: bool) {
        let reached = record.all().map_or(record.directives.len(), |all| all + 1);
        for directive in &record.directives[..reached] {
            self.facts.lookups += u32::from(directive.mechanism.causes_lookup());
            let authorises = authorises && directive.qualifier == Qualifier::Pass;
            self.follow_directive(domain, directive, authorises).await;
        }
        if let (Some(redirect), None) = (&record.redirect, record.all()) {
            self.facts.lookups += 1;
            if let Some(target) = redirect.domain.fixed(domain) {
                let from = Some((domain.to_owned(), redirect.span.start));
                self.visit(target, from, authorises).await;
            }
        }
    }

    async fn follow_directive(&mut self, domain: &str, directive: &Directive, authorises: bool) {
        let position = directive.span.start;
        let target = |spec: &Option<MacroString>| match spec {
            Some(spec) => spec.fixed(domain),
            None => Some(domain.to_owned()),
        };
        match &directive.mechanism {
            Mechanism::Ip4(network, prefix) if authorises => self.facts.ip4.add(*network, *prefix),
            Mechanism::All if authorises => self.facts.ip4.add([0, 0, 0, 0].into(), 0),
            Mechanism::All | Mechanism::Ip4(..) | Mechanism::Ip6(..) | Mechanism::Ptr(_) => {}
            Mechanism::Include(spec) => {
                if let Some(target) = spec.fixed(domain) {
                    self.visit(target, Some((domain.to_owned(), position)), authorises)
                        .await;
                }
            }
            Mechanism::A(spec, prefix) => {
                if let Some(name) = target(spec).and_then(|target| name_of(&target)) {
                    let prefix = authorises.then_some(prefix.ip4);
                    self.addresses(domain, position, name, prefix).await;
                }
            }
            Mechanism::Mx(spec, prefix) => {
                if let Some(name) = target(spec).and_then(|target| name_of(&target)) {
                    let prefix = authorises.then_some(prefix.ip4);
                    self.exchangers(domain, position, name, prefix).await;
                }
            }
            Mechanism::Exists(spec) => {
                if let Some(name) = spec.fixed(domain).and_then(|target| name_of(&target)) {
                    self.addresses(domain, position, name, None).await;
                }
            }
        }
    }

    /// The addresses of a name. It is void if it has none of either family.
    async fn addresses(&mut self, domain: &str, position: usize, name: Name, prefix: Option<u8>) {
        let Some(found) = self.ask(name.clone(), Rtype::A).await else {
            return;
        };
        if let (Found::Records(data), Some(prefix)) = (&found, prefix) {
            for data in data {
                if let Rdata::A(address) = data {
                    self.facts.ip4.add(*address, prefix);
                }
            }
        }
        if found == Found::Void && self.ask(name.clone(), Rtype::AAAA).await == Some(Found::Void) {
            self.void(domain, position, name);
        }
    }

    /// The addresses of a name's mail exchangers.
    async fn exchangers(&mut self, domain: &str, position: usize, name: Name, prefix: Option<u8>) {
        let hosts = match self.ask(name.clone(), Rtype::MX).await {
            Some(Found::Records(data)) => data,
            Some(Found::Void) => return self.void(domain, position, name),
            Some(Found::Failed(_)) | None => return,
        };
        if hosts.len() > MX_HOSTS_MAX {
            self.facts.crowded.push((domain.to_owned(), position, hosts.len()));
            return;
        }
        for data in hosts {
            if let Rdata::Mx { exchange, .. } = data
                && !exchange.is_root()
            {
                self.addresses(domain, position, exchange, prefix).await;
            }
        }
    }

    async fn ask(&mut self, name: Name, rtype: Rtype) -> Option<Found> {
        match self.may_ask() {
            true => Some(find(self.resolver, name, rtype).await),
            false => None,
        }
    }

    /// Counts a query, or ends the walk.
    fn may_ask(&mut self) -> bool {
        let may = self.queries < QUERIES_MAX;
        self.queries += u32::from(may);
        self.facts.complete &= may;
        may
    }

    fn void(&mut self, domain: &str, position: usize, name: Name) {
        self.facts.voids.push(Void {
            domain: domain.to_owned(),
            position,
            name,
        });
    }
}
