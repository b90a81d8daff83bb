//! The DNS tree walk (RFC 9989 §4.10): which names above a domain have DMARC records, and so which is its
//! organisational domain (§4.10.2).
//!
//! From the domain upwards, one TXT question a step, at most [`QUERIES_MAX`]: a domain with eight labels or more jumps
//! to its last seven. A record with `psd=y` or `psd=n` ends the walk. Several records at one name count as none.

use super::record::{Psd, Record, Version, version};
use crate::exchange::Resolver;
use crate::stages::ask::{Known, texts};
use crate::wire::{Name, NameError};

/// Questions of one walk (RFC 9989 §4.10).
pub const QUERIES_MAX: usize = 8;

/// One name of the walk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The domain, without `_dmarc`.
    pub domain: Name,
    /// Its record, if it has exactly one.
    pub record: Option<Box<(Vec<u8>, Record)>>,
    /// How many records there are; over one, none counts.
    pub records: usize,
    /// Texts that were meant as records and are none.
    pub almost: Vec<Vec<u8>>,
    /// TXT records that could not be read.
    pub malformed: bool,
    /// Why it is not known what there is.
    pub unknown: Option<String>,
}

/// A walk that came to its end, or to a name that is not known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Walk {
    /// The steps, the domain itself first.
    pub steps: Vec<Step>,
}

/// Walks up from a domain.
pub async fn walk(resolver: &dyn Resolver, domain: &Name) -> Walk {
    let mut steps = Vec::new();
    for target in targets(domain) {
        let step = step(resolver, target).await;
        let ends = step.unknown.is_some() || step.record.as_ref().is_some_and(|record| record.1.psd != Psd::Unsaid);
        steps.push(step);
        if ends {
            break;
        }
    }
    Walk { steps }
}

/// The names of the walk, at most [`QUERIES_MAX`].
fn targets(domain: &Name) -> Vec<Name> {
    let mut targets = vec![domain.clone()];
    let mut next = domain.parent();
    while let Some(name) = next.filter(|name| !name.is_root()) {
        next = name.parent();
        if name.label_count() < QUERIES_MAX {
            targets.push(name);
        }
    }
    targets
}

/// `_dmarc.` before a domain.
pub(super) fn record_name(domain: &Name) -> Result<Name, NameError> {
    let mut name = Name::root();
    name.push(b"_dmarc")?;
    name.under(domain)
}

async fn step(resolver: &dyn Resolver, domain: Name) -> Step {
    let mut step = Step {
        domain,
        record: None,
        records: 0,
        almost: Vec::new(),
        malformed: false,
        unknown: None,
    };
    // A domain so long that `_dmarc` does not fit before it cannot have a record.
    let Ok(name) = record_name(&step.domain) else {
        return step;
    };
    match texts(resolver, name).await {
        Known::Some(found) => {
            step.malformed = found.malformed > 0 || found.cut;
            for text in found.texts {
                match version(&text) {
                    Version::Yes => {
                        step.records += 1;
                        let record = Record::parse(&text);
                        step.record = Some(Box::new((text, record)));
                    }
                    Version::Almost => step.almost.push(text),
                    Version::No => {}
                }
            }
            if step.records > 1 {
                step.record = None;
            }
        }
        Known::Nothing { .. } => {}
        Known::Unknown(why) => step.unknown = Some(why),
    }
    step
}

impl Walk {
    /// Whether some name of the walk is not known.
    pub fn unknown(&self) -> Option<&Step> {
        self.steps.iter().find(|step| step.unknown.is_some())
    }

    /// The organisational domain (RFC 9989 §4.10.2); none if the walk could not be ended.
    pub fn organizational_domain(&self) -> Option<Name> {
        if self.unknown().is_some() {
            return None;
        }
        let start = self.steps.first()?;
        let with_record = || self.steps.iter().filter_map(|step| Some((step, step.record.as_ref()?)));
        for (step, record) in with_record() {
            match record.1.psd {
                Psd::No => return Some(step.domain.clone()),
                Psd::Yes if step.domain != start.domain => return below(&start.domain, &step.domain),
                Psd::Yes | Psd::Unsaid => {}
            }
        }
        let highest = with_record().next_back().map_or(start, |(step, _)| step);
        Some(highest.domain.clone())
    }

    /// The step of a domain, if it was asked for.
    pub fn at(&self, domain: &Name) -> Option<&Step> {
        self.steps.iter().find(|step| step.domain == *domain)
    }

    /// The step of a public suffix domain above the start, if there is one.
    pub fn public_suffix(&self) -> Option<&Step> {
        let psd = |step: &&Step| step.record.as_ref().is_some_and(|record| record.1.psd == Psd::Yes);
        self.steps.iter().skip(1).find(psd)
    }
}

/// The name one label below `ancestor` on the way to `domain`.
fn below(domain: &Name, ancestor: &Name) -> Option<Name> {
    let mut name = domain.clone();
    while name.label_count() > ancestor.label_count() + 1 {
        name = name.parent()?;
    }
    Some(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stages::testing::{World, name};
    use crate::wire::Rtype;

    fn domains(text: &str) -> Vec<String> {
        targets(&name(text)).iter().map(Name::to_string).collect()
    }

    #[test]
    fn the_walk_goes_up_label_by_label_and_jumps_from_eight_on() {
        assert_eq!(
            domains("a.mail.example.com"),
            ["a.mail.example.com", "mail.example.com", "example.com", "com"]
        );
        assert_eq!(domains("com"), ["com"]);
        // RFC 9989 §4.10: a domain of many labels is followed by its last seven.
        let long = domains("a.b.c.d.e.f.g.h.i.j.mail.example.com");
        assert_eq!(long.len(), QUERIES_MAX);
        assert_eq!(
            (long[1].as_str(), long[7].as_str()),
            ("g.h.i.j.mail.example.com", "com")
        );
        assert_eq!(domains("1.2.3.4.5.6.7.8").len(), QUERIES_MAX);
        assert_eq!(domains("2.3.4.5.6.7.8").len(), 7);
    }

    async fn organizational(world: &World, domain: &str) -> Option<String> {
        walk(world, &name(domain))
            .await
            .organizational_domain()
            .map(|domain| domain.to_string())
    }

    #[tokio::test]
    async fn the_organisational_domain_is_the_highest_with_a_record_unless_psd_says_otherwise() {
        let world = World::new()
            .txt("_dmarc.example.com", "v=DMARC1; p=none")
            .txt("_dmarc.mail.example.com", "v=DMARC1; p=none");
        assert_eq!(
            organizational(&world, "a.mail.example.com").await.as_deref(),
            Some("example.com")
        );
        let world = world.txt("_dmarc.com", "v=DMARC1; psd=y");
        assert_eq!(
            organizational(&world, "a.mail.example.com").await.as_deref(),
            Some("example.com")
        );
        let world = World::new()
            .txt("_dmarc.mail.example.com", "v=DMARC1; psd=n")
            .txt("_dmarc.example.com", "v=DMARC1");
        assert_eq!(
            organizational(&world, "a.mail.example.com").await.as_deref(),
            Some("mail.example.com")
        );
        assert_eq!(world.asked().len(), 2, "psd=n ends the walk");
        let world = World::new().txt("_dmarc.gov", "v=DMARC1; psd=y");
        assert_eq!(
            organizational(&world, "a.example.gov").await.as_deref(),
            Some("example.gov")
        );
        assert_eq!(organizational(&world, "gov").await.as_deref(), Some("gov"));
        assert_eq!(
            organizational(&World::new(), "a.example.com").await.as_deref(),
            Some("a.example.com")
        );
    }

    #[tokio::test]
    async fn several_records_are_none_and_a_failure_leaves_it_open() {
        let world = World::new()
            .txt("_dmarc.mail.example.com", "v=DMARC1; psd=n")
            .txt("_dmarc.mail.example.com", "v=DMARC1; p=none")
            .txt("_dmarc.example.com", "v=DMARC1");
        assert_eq!(
            organizational(&world, "mail.example.com").await.as_deref(),
            Some("example.com")
        );
        let world = World::new()
            .txt("_dmarc.mail.example.com", "v=DMARC1")
            .fail("_dmarc.example.com", Rtype::TXT);
        assert_eq!(organizational(&world, "mail.example.com").await, None);
    }
}
