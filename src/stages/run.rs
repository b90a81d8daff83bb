//! All stages of one target: which ones apply to its kind, asked together, their records and findings in a fixed order.
//!
//! ```text
//! address → rdns, asn, abuse, smtp → domain of its name → mx, spf (does it let the address send?), dmarc   (findings with `via`)
//! domain  → mx → smtp of its exchangers; spf (is the policy sound?), dkim, dmarc, mta-sts, tls-rpt, bimi
//! ```
//!
//! What is found through the name of an address concerns a related domain, not the address: its findings carry `via`.
//! Whoever drives the future bounds its time; each stage bounds its questions.

use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;

use serde::Serialize;
use serde_json::Value;

use super::ask::together;
use super::finding::Finding;
use super::policies::{Kind, published};
use super::{abuse, asn, dkim, dmarc, mx, rdns, smtp, spf};
use crate::exchange::Resolver;
use crate::targets::Target;
use crate::wire::Name;

/// One stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Stage {
    /// The names of an address.
    Rdns,
    /// Who takes a domain's mail.
    Mx,
    /// Who may send for a domain.
    Spf,
    /// A domain's signing keys.
    Dkim,
    /// A domain's policy.
    Dmarc,
    /// A domain's TLS policy for incoming mail.
    MtaSts,
    /// Where reports about TLS go.
    TlsRpt,
    /// A domain's logo.
    Bimi,
    /// Who announces an address.
    Asn,
    /// Who takes complaints about an address.
    Abuse,
    /// What answers at port 25.
    Smtp,
}

impl Stage {
    /// All stages, in the order of records.
    pub const ALL: [Stage; 11] = [
        Stage::Rdns,
        Stage::Mx,
        Stage::Spf,
        Stage::Dkim,
        Stage::Dmarc,
        Stage::MtaSts,
        Stage::TlsRpt,
        Stage::Bimi,
        Stage::Asn,
        Stage::Abuse,
        Stage::Smtp,
    ];

    /// The stage's name on the command line and in records.
    pub fn as_str(self) -> &'static str {
        match self {
            Stage::Rdns => rdns::STAGE,
            Stage::Mx => mx::STAGE,
            Stage::Spf => spf::STAGE,
            Stage::Dkim => dkim::STAGE,
            Stage::Dmarc => dmarc::STAGE,
            Stage::MtaSts => Kind::MtaSts.stage(),
            Stage::TlsRpt => Kind::TlsRpt.stage(),
            Stage::Bimi => Kind::Bimi.stage(),
            Stage::Asn => asn::STAGE,
            Stage::Abuse => abuse::STAGE,
            Stage::Smtp => smtp::STAGE,
        }
    }
}

/// A choice of stages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Stages(u16);

/// A word that names no stage.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "\"{0}\" is not a stage; stages are rdns, mx, spf, dkim, dmarc, mta-sts, tls-rpt, bimi, asn, abuse, smtp, or all, none"
)]
pub struct UnknownStage(String);

impl Stages {
    /// No stage.
    pub const NONE: Stages = Stages(0);

    /// Every stage, smtp too.
    pub fn all() -> Stages {
        Stage::ALL.into_iter().fold(Stages::NONE, Stages::with)
    }

    /// The choice with one more.
    #[must_use]
    pub fn with(self, stage: Stage) -> Stages {
        Stages(self.0 | 1 << stage as u16)
    }

    /// The choice without one.
    #[must_use]
    pub fn without(self, stage: Stage) -> Stages {
        Stages(self.0 & !(1 << stage as u16))
    }

    /// Whether a stage is chosen.
    pub fn has(self, stage: Stage) -> bool {
        self.0 & 1 << stage as u16 != 0
    }

    /// Whether no stage is chosen.
    pub fn is_empty(self) -> bool {
        self == Stages::NONE
    }
}

impl Default for Stages {
    /// All that only ask the name system: all but smtp.
    fn default() -> Stages {
        Stages::all().without(Stage::Smtp)
    }
}

impl std::str::FromStr for Stages {
    type Err = UnknownStage;

    /// Reads names with commas between them; `all` (but smtp) and `none` are names too.
    fn from_str(text: &str) -> Result<Stages, UnknownStage> {
        text.split(',')
            .map(str::trim)
            .filter(|word| !word.is_empty())
            .try_fold(Stages::NONE, |stages, word| match word {
                "none" => Ok(stages),
                "all" | "default" => Ok(Stages(stages.0 | Stages::default().0)),
                _ => {
                    let stage = Stage::ALL.into_iter().find(|stage| stage.as_str() == word);
                    stage
                        .map(|stage| stages.with(stage))
                        .ok_or_else(|| UnknownStage(word.to_owned()))
                }
            })
    }
}

/// What the stages need to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StageOptions {
    /// Selectors that the domain is known to sign with.
    pub dkim_selectors: Vec<String>,
    /// Whether common selectors are tried too.
    pub dkim_guess: bool,
    /// Whether the domain of an address's name is looked into.
    pub related: bool,
    /// How to connect to port 25.
    pub smtp: smtp::Options,
}

impl Default for StageOptions {
    fn default() -> StageOptions {
        StageOptions {
            dkim_selectors: Vec::new(),
            dkim_guess: true,
            related: true,
            smtp: smtp::Options::default(),
        }
    }
}

/// What the stages found: records under the stages' names, in the order of [`Stage::ALL`], and findings in that order.
pub type Explained = (Vec<(&'static str, Value)>, Vec<Finding>);

/// Asks all chosen stages that apply to a target.
/// `greeter` is one for all targets of a run.
pub async fn explain(
    (resolver, greeter): (&dyn Resolver, &smtp::Greeter),
    target: &Target,
    which: Stages,
    options: &StageOptions,
) -> Explained {
    let run = Run {
        resolver,
        greeter,
        which,
        options,
    };
    let mut parts = match target {
        Target::Domain(domain) => run.domain(domain.to_name(), None).await,
        Target::Ip4(_) | Target::Ip6(_) => match target.address() {
            Some(address) => run.address(address).await,
            None => Vec::new(),
        },
    };
    parts.sort_by_key(|part| part.stage);
    let mut explained: Explained = (Vec::new(), Vec::new());
    for part in parts {
        explained.0.push((part.stage.as_str(), part.record));
        explained.1.extend(part.findings);
    }
    explained
}

/// One stage's share.
struct Part {
    stage: Stage,
    record: Value,
    findings: Vec<Finding>,
}

/// Boxed, and made only for what is wanted: a target's future holds no room for stages that are not.
type PartsFuture<'a> = Pin<Box<dyn Future<Output = Vec<Part>> + 'a>>;

#[derive(Clone, Copy)]
struct Run<'a> {
    resolver: &'a dyn Resolver,
    greeter: &'a smtp::Greeter,
    which: Stages,
    options: &'a StageOptions,
}

impl<'a> Run<'a> {
    async fn address(self, address: IpAddr) -> Vec<Part> {
        let others = [
            self.part(Stage::Asn, || asn::asn(self.resolver, address)),
            self.part(Stage::Abuse, || abuse::abuse(self.resolver, address)),
        ];
        let mut others: Vec<PartsFuture<'a>> = others.into_iter().flatten().collect();
        let related_wanted = self.options.related && RELATED.iter().any(|stage| self.which.has(*stage));
        if !self.which.has(Stage::Rdns) && !self.which.has(Stage::Smtp) && !related_wanted {
            return all(others).await;
        }
        if others.is_empty() {
            return self.named(address, related_wanted).await;
        }
        others.push(Box::pin(self.named(address, related_wanted)));
        all(others).await
    }

    /// What needs the address's name: the related domain, and the name that a mail server should greet with.
    async fn named(self, address: IpAddr, related_wanted: bool) -> Vec<Part> {
        let (rdns, findings) = rdns::rdns(self.resolver, address).await;
        let mut further: Vec<PartsFuture<'_>> = Vec::new();
        if related_wanted && let Some(domain) = rdns.related_domain() {
            further.push(Box::pin(self.related(domain, address, rdns.name().cloned())));
        }
        let names = || (rdns.unknown.is_none()).then(|| rdns.all_names().cloned().collect::<Vec<Name>>());
        further.extend(self.part(Stage::Smtp, || {
            let names = names();
            async move { self.greeter.smtp(self.resolver, address, names.as_deref()).await }
        }));
        let mut parts = all(further).await;
        if self.which.has(Stage::Rdns) {
            parts.push(part(Stage::Rdns, &rdns, findings));
        }
        parts
    }

    async fn related(self, domain: Name, address: IpAddr, name: Option<Name>) -> Vec<Part> {
        let via = domain.to_string();
        let name = name.unwrap_or_else(|| domain.clone());
        let mut parts = self.domain(domain, Some((address, &name))).await;
        for finding in parts.iter_mut().flat_map(|part| &mut part.findings) {
            finding.via = Some(via.clone());
        }
        parts
    }

    /// The stages of a domain; those that make no sense for a related one only if it is the target itself. A related one
    /// comes with the address, and the name of it, that it is related through.
    async fn domain(self, domain: Name, address: Option<(IpAddr, &Name)>) -> Vec<Part> {
        let (resolver, options, domain) = (self.resolver, self.options, &domain);
        let mut parts: Vec<PartsFuture<'_>> = Vec::new();
        parts.extend(self.part(Stage::Dmarc, || dmarc::dmarc(resolver, domain)));
        if let Some((address, name)) = address {
            parts.extend(self.part(Stage::Spf, || spf::authorisation(resolver, domain, address, name)));
        } else {
            parts.extend(self.part(Stage::Spf, || spf::policy(resolver, domain)));
            parts.extend(self.part(Stage::Dkim, || {
                dkim::dkim(resolver, domain, &options.dkim_selectors, options.dkim_guess)
            }));
            for (stage, kind) in [
                (Stage::MtaSts, Kind::MtaSts),
                (Stage::TlsRpt, Kind::TlsRpt),
                (Stage::Bimi, Kind::Bimi),
            ] {
                parts.extend(self.part(stage, || published(resolver, domain, kind)));
            }
        }
        // What is related is not connected to: nobody asked for that.
        let greets = self.which.has(Stage::Smtp) && address.is_none();
        if self.which.has(Stage::Mx) || greets {
            parts.push(Box::pin(self.mail(domain, address.map(|(address, _)| address), greets)));
        }
        all(parts).await
    }

    /// Who takes the domain's mail, and what answers there.
    async fn mail(self, domain: &Name, address: Option<IpAddr>, greets: bool) -> Vec<Part> {
        let (mx, findings) = mx::mx(self.resolver, domain, address).await;
        let mut parts = Vec::new();
        if greets {
            let (exchangers, findings) = self.greeter.exchangers(self.resolver, &mx).await;
            parts.push(part(Stage::Smtp, &exchangers, findings));
        }
        if self.which.has(Stage::Mx) {
            parts.push(part(Stage::Mx, &mx, findings));
        }
        parts
    }

    /// A stage's future, if the stage is chosen.
    fn part<'f, T: Serialize, F: Future<Output = (T, Vec<Finding>)> + 'f>(
        self,
        stage: Stage,
        ask: impl FnOnce() -> F,
    ) -> Option<PartsFuture<'f>> {
        self.which.has(stage).then(|| -> PartsFuture<'f> {
            let found = ask();
            Box::pin(async move {
                let (record, findings) = found.await;
                vec![part(stage, &record, findings)]
            })
        })
    }
}

/// Waits for all of them at once.
async fn all(parts: Vec<PartsFuture<'_>>) -> Vec<Part> {
    together(parts).await.into_iter().flatten().collect()
}

/// The stages that look into the domain of an address's name.
const RELATED: [Stage; 3] = [Stage::Mx, Stage::Spf, Stage::Dmarc];

fn part(stage: Stage, record: &impl Serialize, findings: Vec<Finding>) -> Part {
    Part {
        stage,
        record: serde_json::to_value(record).expect("records have text keys and plain values"),
        findings,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stages::testing::{Chaos, World, ip};
    use crate::targets::Domain;
    use proptest::strategy::Strategy;

    fn world() -> World {
        World::new()
            .ptr("192.0.2.7", "mail.example.org")
            .a("mail.example.org", "192.0.2.7")
            .mx("example.org", 10, "mail.example.org")
            .txt(
                "2.0.192.origin.asn.cymru.com",
                "64496 | 192.0.2.0/24 | US | arin | 2009-01-01",
            )
            .txt("0.2.0.192.abuse-contacts.abusix.zone", "abuse@example.net")
    }

    fn keys(explained: &Explained) -> Vec<&'static str> {
        explained.0.iter().map(|(key, _)| *key).collect()
    }

    async fn address(world: &World, which: Stages) -> Explained {
        let IpAddr::V4(address) = ip("192.0.2.7") else {
            panic!("an IPv4 address")
        };
        let greeter = smtp::Greeter::new(smtp::Options::default());
        explain(
            (world, &greeter),
            &Target::Ip4(address),
            which,
            &StageOptions::default(),
        )
        .await
    }

    async fn domain(world: &World, which: Stages) -> Explained {
        let target = Target::Domain(Domain::new("example.org").expect("a domain"));
        let greeter = smtp::Greeter::new(smtp::Options::default());
        explain((world, &greeter), &target, which, &StageOptions::default()).await
    }

    #[tokio::test]
    async fn an_address_brings_its_domain_along() {
        let explained = address(&world(), Stages::default()).await;
        assert_eq!(keys(&explained), ["rdns", "mx", "spf", "dmarc", "asn", "abuse"]);
        assert_eq!(explained.0[1].1["includes_target"], true);
        let about_domain = explained.1.iter().filter(|finding| finding.stage == "dmarc");
        assert!(about_domain.clone().count() > 0);
        assert!(
            about_domain
                .clone()
                .all(|finding| finding.via.as_deref() == Some("example.org"))
        );
        assert!(
            explained
                .1
                .iter()
                .filter(|finding| finding.stage == "rdns")
                .all(|finding| finding.via.is_none())
        );
    }

    #[tokio::test]
    async fn a_domain_has_its_own_stages() {
        let explained = domain(&world(), Stages::default()).await;
        assert_eq!(
            keys(&explained),
            ["mx", "spf", "dkim", "dmarc", "mta-sts", "tls-rpt", "bimi"]
        );
        assert!(explained.1.iter().all(|finding| finding.via.is_none()));
    }

    #[tokio::test]
    async fn only_chosen_stages_ask() {
        let world = world();
        assert_eq!(address(&world, Stages::NONE).await, (vec![], vec![]));
        assert_eq!(domain(&world, Stages::NONE).await, (vec![], vec![]));
        assert!(world.asked().is_empty());
        let explained = address(&world, "asn".parse().expect("a stage")).await;
        assert_eq!(keys(&explained), ["asn"]);
        assert!(world.asked().iter().all(|asked| asked.contains("cymru")));
    }

    #[tokio::test]
    async fn an_empty_world_gives_records_of_every_stage() {
        let explained = address(&World::new(), Stages::default()).await;
        assert_eq!(keys(&explained), ["rdns", "asn", "abuse"]);
        let explained = domain(&World::new(), Stages::default()).await;
        assert_eq!(explained.0.len(), 7);
        assert!(explained.1.iter().all(|finding| !finding.text.is_empty()));
    }

    /// Whatever the name system answers: no stage panics, asks without bound, or lets a control character through.
    #[test]
    fn chaos_is_survived_within_bounds() {
        /// Far above what the bounds of all stages add up to, far below "for ever".
        const QUESTIONS_MAX: usize = 300;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .expect("a runtime");
        let texts = proptest::prop_oneof![
            proptest::collection::vec(0u8.., 0..300),
            proptest::string::string_regex("(v=(DMARC1|DKIM1|STSv1|BIMI1|TLSRPTv1))?(; ?[a-z]{1,4}=[ -~]{0,40}){0,6}")
                .expect("a good pattern")
                .prop_map(String::into_bytes),
            proptest::string::string_regex("[0-9 ]{0,12}\\|[0-9./ ]{0,20}\\|.{0,9}")
                .expect("a good pattern")
                .prop_map(String::into_bytes),
        ];
        let octets = proptest::collection::vec(texts, 1..12);
        proptest::proptest!(|(octets in octets, start: usize, v4: u32, v6: u128)| {
            let targets = [
                Target::Ip4(v4.into()),
                Target::Ip6(v6.into()),
                Target::Domain(Domain::new("a.b.example.org").expect("a domain")),
            ];
            for target in targets {
                let chaos = Chaos::new(octets.clone(), start);
                let greeter = smtp::Greeter::new(smtp::Options::default());
                let options = StageOptions::default();
                let asking = explain((&chaos, &greeter), &target, Stages::default(), &options);
                let (records, findings) = runtime.block_on(asking);
                proptest::prop_assert!(chaos.asked.get() <= QUESTIONS_MAX, "{} questions", chaos.asked.get());
                let texts = findings.iter().flat_map(|finding| [Some(&finding.text), finding.mend.as_ref(), finding.via.as_ref()]);
                for text in texts.flatten() {
                    proptest::prop_assert!(!text.chars().any(char::is_control), "{text:?}");
                    proptest::prop_assert!(text.len() < 8_000, "{} octets", text.len());
                }
                for (_, record) in &records {
                    proptest::prop_assert!(!has_control(record), "{record}");
                }
            }
        });
    }

    fn has_control(value: &Value) -> bool {
        match value {
            Value::String(text) => text.chars().any(char::is_control),
            Value::Array(values) => values.iter().any(has_control),
            Value::Object(fields) => fields.values().any(has_control),
            _ => false,
        }
    }

    #[test]
    fn choices_are_read_and_mistakes_named() {
        let stages: Stages = "rdns, mta-sts,smtp".parse().expect("stages");
        assert!(
            stages.has(Stage::Rdns) && stages.has(Stage::MtaSts) && stages.has(Stage::Smtp) && !stages.has(Stage::Mx)
        );
        assert_eq!("none".parse(), Ok(Stages::NONE));
        assert!(!"all".parse::<Stages>().expect("stages").has(Stage::Smtp));
        let error = "rdns,ptr".parse::<Stages>().expect_err("not a stage");
        assert!(error.to_string().contains("\"ptr\""));
    }
}
