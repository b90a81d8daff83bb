//! The function `check_host()` of RFC 7208 §4: one record after another, one term after another, until one decides.
//!
//! ```text
//! check_host ─→ Check::policy(domain) ─→ fetch, parse ─→ directives in order ─→ matched: its qualifier
//!                 ↑ include (boxed)                       none matched: redirect (a loop, not a recursion), or neutral
//! ```
//!
//! A [`Stop`] ends everything at once, however deep in includes: "temperror" and "permerror" belong to the topmost check
//! (§5, §5.2). An include or redirect counts as a term, so that depth and loops end with the ten terms of §4.6.4.

use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;

use crate::exchange::Resolver;
use crate::stages::escape::{escape, quote};
use crate::wire::{Name, Rdata, Rtype};

use super::fetch::{Found, Policy, fetch, find, texts};
use super::input::{Sender, SpfInput, name_of, policy_name};
use super::limits::{At, Stop, Used};
use super::macros::{MacroString, MacroValues, Place};
use super::outcome::{SpfResult, Verdict};
use super::record::{Directive, DualPrefix, Mechanism, Modifier, SpfRecord};

/// Hosts of one `mx` (RFC 7208 §4.6.4: more are "permerror").
pub(super) const MX_HOSTS_MAX: usize = 10;

/// Names of the client that are looked at (RFC 7208 §4.6.4: the others are ignored).
const PTR_NAMES_MAX: usize = 10;

/// Characters of a record or an explanation that are kept: all of any honest one.
pub(super) const SHOWN_CHARS_MAX: usize = 4_096;

/// Asks whether the client may use the sender's domain (RFC 7208 §4). Never fails: what goes wrong is in the result.
pub async fn check_host(resolver: &dyn Resolver, input: &SpfInput) -> SpfResult {
    let sender = input.sender();
    let mut check = Check {
        resolver,
        input,
        sender: &sender,
        ip: input.ip.to_canonical(),
        used: Used::default(),
        client: None,
        record: None,
    };
    let ended = check.policy(sender.domain.clone()).await;
    let mut result = SpfResult {
        result: Verdict::None,
        mechanism: None,
        explanation: None,
        lookups: 0,
        void_lookups: 0,
        identity: sender.identity,
        domain: quote(sender.domain.as_bytes()),
        record: check.record.take(),
        problem: None,
    };
    match ended {
        Ok(decision) => {
            result.result = decision.verdict;
            result.mechanism = decision.mechanism;
            if let (Verdict::Fail, Some(exp)) = (decision.verdict, &decision.exp) {
                result.explanation = check.explain(exp, &decision.domain).await;
            }
        }
        Err(stop) => {
            result.result = stop.verdict;
            result.problem = Some(stop.problem);
        }
    }
    result.lookups = check.used.lookups;
    result.void_lookups = check.used.voids;
    result
}

/// One check under way.
struct Check<'a> {
    resolver: &'a dyn Resolver,
    input: &'a SpfInput,
    sender: &'a Sender,
    /// Never an IPv4-mapped IPv6 address.
    ip: IpAddr,
    used: Used,
    /// What is known of the client's names, once they have been looked up.
    client: Option<Client>,
    /// The first record, escaped.
    record: Option<String>,
}

/// The client's names (§5.5).
struct Client {
    /// Those that lead back to its address.
    validated: Vec<Name>,
    /// It has no reverse name at all.
    void: bool,
}

/// How the evaluation of a domain's policy ended.
struct Decision {
    verdict: Verdict,
    mechanism: Option<String>,
    /// The explanation of the record that decided, and that record's domain.
    exp: Option<Modifier>,
    domain: String,
}

/// What a policy evaluates to, as a future that the policy of another domain can wait for.
type Evaluation<'b> = Pin<Box<dyn Future<Output = Result<Decision, Stop>> + 'b>>;

impl<'a> Check<'a> {
    /// Boxed, so that an include can wait for it.
    fn policy(&mut self, domain: String) -> Evaluation<'_> {
        Box::pin(self.evaluate(domain))
    }

    /// The policy of `domain`, and of those it redirects to.
    async fn evaluate(&mut self, mut domain: String) -> Result<Decision, Stop> {
        let mut redirected = false;
        loop {
            let Some(record) = self.fetch(&domain).await? else {
                return match redirected {
                    true => Err(Stop::new(
                        Verdict::Permerror,
                        format!("a redirect to {}, which has no record", quote(domain.as_bytes())),
                        &domain,
                        None,
                    )),
                    false => Ok(Decision::without_record(domain)),
                };
            };
            let at = At { domain: &domain };
            for directive in &record.directives {
                if self.matches(&at, directive).await? {
                    let mechanism = Some(record.text_of(&directive.span).to_owned());
                    return Ok(Decision {
                        verdict: directive.qualifier.into(),
                        mechanism,
                        exp: record.exp.clone(),
                        domain,
                    });
                }
            }
            let Some(redirect) = &record.redirect else {
                return Ok(Decision {
                    verdict: Verdict::Neutral,
                    mechanism: None,
                    exp: None,
                    domain,
                });
            };
            self.used.count_lookup(&at, redirect.span.start)?;
            let next = self.expand(&redirect.domain, &domain).await;
            domain = next;
            redirected = true;
        }
    }

    /// The record of a domain; none if it has none, or cannot have one (§4.3, §4.5).
    async fn fetch(&mut self, domain: &str) -> Result<Option<SpfRecord>, Stop> {
        let Some(name) = policy_name(domain) else {
            return Ok(None);
        };
        let first = self.used.queries == 0;
        self.used.count_query(domain)?;
        let octets = match fetch(self.resolver, name).await {
            Policy::One(octets) => octets,
            Policy::Missing => return Ok(None),
            Policy::Several(count) => {
                let text = format!("{count} records with version spf1, where one is allowed");
                return Err(Stop::new(Verdict::Permerror, text, domain, None));
            }
            Policy::Failed(why) => return Err(Stop::new(Verdict::Temperror, why, domain, None)),
        };
        if first {
            self.record = Some(escape(&octets, SHOWN_CHARS_MAX));
        }
        SpfRecord::parse(&octets).map(Some).map_err(|error| {
            let position = Some(error.position);
            Stop::new(Verdict::Permerror, error.to_string(), domain, position)
        })
    }

    /// Whether a directive matches the client.
    async fn matches(&mut self, at: &At<'_>, directive: &Directive) -> Result<bool, Stop> {
        let position = directive.span.start;
        if directive.mechanism.causes_lookup() {
            self.used.count_lookup(at, position)?;
        }
        let target = match directive.mechanism.domain() {
            Some(domain) => self.expand(domain, at.domain).await,
            None => at.domain.to_owned(),
        };
        match &directive.mechanism {
            Mechanism::All => Ok(true),
            Mechanism::Ip4(network, prefix) => Ok(within(self.ip, IpAddr::V4(*network), *prefix)),
            Mechanism::Ip6(network, prefix) => Ok(within(self.ip, IpAddr::V6(*network), *prefix)),
            Mechanism::Include(_) => self.include(at, position, target).await,
            Mechanism::A(_, prefix) => match name_of(&target) {
                Some(name) => self.address_matches(at, position, name, *prefix).await,
                None => Ok(false), // no name to look up: as if it did not exist (§4.8)
            },
            Mechanism::Mx(_, prefix) => self.mx_matches(at, position, &target, *prefix).await,
            Mechanism::Ptr(_) => self.ptr_matches(at, position, &target).await,
            Mechanism::Exists(_) => match name_of(&target) {
                Some(name) => Ok(!self.look_up(at, position, name, Rtype::A).await?.is_empty()),
                None => Ok(false),
            },
        }
    }

    /// §5.2: whether the policy of another domain passes.
    async fn include(&mut self, at: &At<'_>, position: usize, target: String) -> Result<bool, Stop> {
        let shown = quote(target.as_bytes());
        let decision = self.policy(target).await?;
        match decision.verdict {
            Verdict::Pass => Ok(true),
            Verdict::None => Err(at.permerror(format!("an include of {shown}, which has no record"), position)),
            _ => Ok(false),
        }
    }

    /// §5.3: whether an address of `name` is the client's.
    async fn address_matches(
        &mut self,
        at: &At<'_>,
        position: usize,
        name: Name,
        prefix: DualPrefix,
    ) -> Result<bool, Stop> {
        let rtype = self.address_type();
        let data = self.look_up(at, position, name, rtype).await?;
        Ok(data.iter().any(|data| self.is_client(data, prefix)))
    }

    /// §5.4: whether an address of a mail exchanger is the client's. A domain without MX records has none (no implicit MX).
    async fn mx_matches(
        &mut self,
        at: &At<'_>,
        position: usize,
        target: &str,
        prefix: DualPrefix,
    ) -> Result<bool, Stop> {
        let Some(name) = name_of(target) else {
            return Ok(false);
        };
        let hosts: Vec<Name> = self
            .look_up(at, position, name, Rtype::MX)
            .await?
            .into_iter()
            .filter_map(|data| match data {
                Rdata::Mx { exchange, .. } => Some(exchange),
                _ => None,
            })
            .collect();
        if hosts.len() > MX_HOSTS_MAX {
            let text = format!("{} MX records, where {MX_HOSTS_MAX} are allowed", hosts.len());
            return Err(at.permerror(text, position));
        }
        // The root is a null MX (RFC 7505): no host at all.
        for host in hosts.into_iter().filter(|host| !host.is_root()) {
            if self.address_matches(at, position, host, prefix).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// §5.5: whether a validated name of the client is the target or below it.
    async fn ptr_matches(&mut self, at: &At<'_>, position: usize, target: &str) -> Result<bool, Stop> {
        if self.client().await.void {
            self.used.count_void(at, position, &Name::reverse(self.ip))?;
        }
        let Some(target) = name_of(target) else {
            return Ok(false);
        };
        let client = self.client().await;
        Ok(client.validated.iter().any(|name| name.is_under(&target)))
    }

    /// The client's names, looked up once. Errors are no names (§5.5), and what its names lead to never counts as void: the
    /// publisher of the policy cannot help it.
    async fn client(&mut self) -> &Client {
        let client = match self.client.take() {
            Some(client) => client,
            None => self.look_up_client().await,
        };
        self.client.insert(client)
    }

    async fn look_up_client(&mut self) -> Client {
        let mut client = Client {
            validated: Vec::new(),
            void: false,
        };
        self.used.queries += 1;
        let names = match find(self.resolver, Name::reverse(self.ip), Rtype::PTR).await {
            Found::Records(data) => data,
            Found::Void => {
                client.void = true;
                return client;
            }
            Found::Failed(_) => return client,
        };
        for data in names.into_iter().take(PTR_NAMES_MAX) {
            let Rdata::Ptr(name) = data else { continue };
            self.used.queries += 1;
            if let Found::Records(data) = find(self.resolver, name.clone(), self.address_type()).await
                && data.iter().any(|data| self.is_client(data, DualPrefix::FULL))
            {
                client.validated.push(name);
            }
        }
        client
    }

    /// `%{p}` (§7.3): the domain itself if it is a validated name, else a name below it, else any, else `unknown`.
    async fn validated_name(&mut self, domain: &str) -> String {
        let names = &self.client().await.validated;
        let domain = name_of(domain);
        let best = names.iter().min_by_key(|name| match &domain {
            Some(domain) if *name == domain => 0,
            Some(domain) if name.is_under(domain) => 1,
            _ => 2,
        });
        best.map_or_else(|| "unknown".to_owned(), Name::to_string)
    }

    /// Expands a domain in the record of `domain`.
    async fn expand(&mut self, text: &MacroString, domain: &str) -> String {
        let validated = match text.uses_p() {
            true => self.validated_name(domain).await,
            false => String::new(),
        };
        text.expand_domain(&self.values(domain, &validated))
    }

    /// §6.2: the explanation, or none if there is anything wrong with it.
    async fn explain(&mut self, exp: &Modifier, domain: &str) -> Option<String> {
        let name = name_of(&self.expand(&exp.domain, domain).await)?;
        let texts = texts(self.resolver, name).await.ok()?;
        let [text] = texts.as_slice() else { return None };
        let text = MacroString::parse(text, Place::Explanation).ok()?;
        let validated = match text.uses_p() {
            true => self.validated_name(domain).await,
            false => String::new(),
        };
        let text = text.expand_explanation(&self.values(domain, &validated));
        Some(escape(text.as_bytes(), SHOWN_CHARS_MAX))
    }

    fn values<'v>(&'v self, domain: &'v str, validated: &'v str) -> MacroValues<'v> {
        MacroValues {
            sender: &self.sender.whole,
            local: &self.sender.local,
            origin: &self.sender.domain,
            domain,
            ip: self.ip,
            validated,
            helo: self.input.helo(),
            receiver: self.input.receiver.as_deref().unwrap_or("unknown"),
            timestamp: self.input.timestamp,
        }
    }

    /// Records for a term: empty if there are none (counted as void), an end if it is not known (§5).
    async fn look_up(&mut self, at: &At<'_>, position: usize, name: Name, rtype: Rtype) -> Result<Vec<Rdata>, Stop> {
        self.used.count_query(at.domain)?;
        match find(self.resolver, name.clone(), rtype).await {
            Found::Records(data) => Ok(data),
            Found::Void => {
                self.used.count_void(at, position, &name)?;
                Ok(Vec::new())
            }
            Found::Failed(why) => Err(at.temperror(why, position)),
        }
    }

    /// The type of the client's address.
    fn address_type(&self) -> Rtype {
        match self.ip {
            IpAddr::V4(_) => Rtype::A,
            IpAddr::V6(_) => Rtype::AAAA,
        }
    }

    /// Whether the client is within the prefix of an address record.
    fn is_client(&self, data: &Rdata, prefix: DualPrefix) -> bool {
        match data {
            Rdata::A(address) => within(self.ip, IpAddr::V4(*address), prefix.ip4),
            Rdata::Aaaa(address) => within(self.ip, IpAddr::V6(*address), prefix.ip6),
            _ => false,
        }
    }
}

impl Decision {
    fn without_record(domain: String) -> Decision {
        Decision {
            verdict: Verdict::None,
            mechanism: None,
            exp: None,
            domain,
        }
    }
}

/// Whether the first `prefix` bits are the same. Families never mix: IPv4-mapped networks match nobody (§5).
fn within(ip: IpAddr, network: IpAddr, prefix: u8) -> bool {
    match (ip, network) {
        (IpAddr::V4(ip), IpAddr::V4(network)) => {
            let differing = u32::from(ip) ^ u32::from(network);
            differing.leading_zeros() >= u32::from(prefix)
        }
        (IpAddr::V6(ip), IpAddr::V6(network)) => {
            let differing = u128::from(ip) ^ u128::from(network);
            differing.leading_zeros() >= u32::from(prefix)
        }
        _ => false,
    }
}
