//! The smaller policies that a domain publishes in one TXT record each: MTA-STS (RFC 8461), TLS reporting (RFC 8460),
//! BIMI. Only the record is looked at; the policy file, the reports and the logo behind it are HTTPS's business.
//!
//! Each has a version tag that must come first; several records of that version at one name count as none.

use serde::Serialize;

use super::ask::{Known, Texts, texts};
use super::escape::quote;
use super::finding::Finding;
use super::taglist::{TagList, faults_in_words};
use crate::exchange::Resolver;
use crate::wire::Name;

/// Longest `id=` of an MTA-STS record (RFC 8461 §3.1).
const STS_ID_OCTETS_MAX: usize = 32;

/// One of the policies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Which exchangers must offer TLS with a good certificate.
    MtaSts,
    /// Where reports about failed TLS go.
    TlsRpt,
    /// Which logo stands for the domain.
    Bimi,
}

/// What a domain publishes of one kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Published {
    /// The name that was asked.
    pub name: String,
    /// What is there.
    pub found: Found,
    /// The record, escaped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub record: Option<String>,
    /// What is wrong with it, or why it is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// What is at a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Found {
    /// A good record.
    Valid,
    /// A record that nobody can use.
    Invalid,
    /// Nothing.
    None,
    /// It is not known.
    Unknown,
}

impl Kind {
    /// The stage's name in records and findings.
    pub fn stage(self) -> &'static str {
        match self {
            Kind::MtaSts => "mta-sts",
            Kind::TlsRpt => "tls-rpt",
            Kind::Bimi => "bimi",
        }
    }

    fn prefix(self) -> &'static str {
        match self {
            Kind::MtaSts => "_mta-sts",
            Kind::TlsRpt => "_smtp._tls",
            Kind::Bimi => "default._bimi",
        }
    }

    fn version(self) -> &'static [u8] {
        match self {
            Kind::MtaSts => b"STSv1",
            Kind::TlsRpt => b"TLSRPTv1",
            Kind::Bimi => b"BIMI1",
        }
    }

    /// The word in codes of findings.
    fn word(self) -> &'static str {
        match self {
            Kind::MtaSts => "mta_sts",
            Kind::TlsRpt => "tls_rpt",
            Kind::Bimi => "bimi",
        }
    }

    fn code(self, what: &str) -> String {
        format!("{}_{what}", self.word())
    }
}

/// Asks for a domain's record of one kind.
pub async fn published(resolver: &dyn Resolver, domain: &Name, kind: Kind) -> (Published, Vec<Finding>) {
    let prefix: Name = kind.prefix().parse().expect("the prefixes are good names");
    let Ok(name) = prefix.under(domain) else {
        let published = Published::new(domain, Found::None, None);
        return (published, Vec::new());
    };
    match texts(resolver, name.clone()).await {
        Known::Some(found) => judge(kind, &name, &found),
        Known::Nothing { .. } => (Published::new(&name, Found::None, None), missing(kind, domain)),
        Known::Unknown(why) => {
            let text = format!("what is at {name} is not known: {why}");
            let finding = Finding::info(kind.stage(), &kind.code("unknown"), text).mend("try again later");
            (Published::new(&name, Found::Unknown, Some(why)), vec![finding])
        }
    }
}

impl Published {
    fn new(name: &Name, found: Found, reason: Option<String>) -> Published {
        Published {
            name: name.to_string(),
            found,
            record: None,
            reason,
        }
    }
}

/// Only MTA-STS and TLS reporting are worth a word when they are not there: a logo is for those who want one.
fn missing(kind: Kind, domain: &Name) -> Vec<Finding> {
    let mend = match kind {
        Kind::MtaSts => "publish an MTA-STS policy, so that mail to the domain cannot be read on its way",
        Kind::TlsRpt => "publish v=TLSRPTv1; rua=mailto:… to hear of failed TLS",
        Kind::Bimi => return Vec::new(),
    };
    let text = format!("{domain} has no {} record", kind.stage());
    vec![Finding::info(kind.stage(), &kind.code("missing"), text).mend(mend)]
}

fn judge(kind: Kind, name: &Name, found: &Texts) -> (Published, Vec<Finding>) {
    let ours: Vec<&Vec<u8>> = found.texts.iter().filter(|text| begins(kind, text)).collect();
    let verdict = match ours.as_slice() {
        [] if found.texts.is_empty() || found.cut => Err("the record could not be read".to_owned()),
        [] => Err(format!("it does not begin with v={};", quote(kind.version()))),
        [text] => check(kind, text),
        several => Err(format!(
            "there are {} records, and several count as none",
            several.len()
        )),
    };
    let text = ours.first().copied().or(found.texts.first());
    let mut published = Published::new(name, Found::Valid, None);
    published.record = text.map(|text| quote(text));
    let Err(reason) = verdict else {
        return (published, Vec::new());
    };
    published.found = if text.is_none() { Found::Unknown } else { Found::Invalid };
    let shown = published.record.as_deref().unwrap_or_default();
    let sentence = format!("nobody can use the record at {name}: {reason}; it is \"{shown}\"");
    published.reason = Some(reason);
    let finding =
        Finding::warning(kind.stage(), &kind.code("invalid"), sentence).mend("correct the record, or remove it");
    (published, vec![finding])
}

fn begins(kind: Kind, text: &[u8]) -> bool {
    let list = TagList::parse(text);
    list.tags
        .first()
        .is_some_and(|tag| tag.name == "v" && tag.at == 0 && tag.value == kind.version())
}

fn check(kind: Kind, text: &[u8]) -> Result<(), String> {
    let list = TagList::parse(text);
    if let Some(faults) = faults_in_words(&list.faults) {
        return Err(faults);
    }
    match kind {
        Kind::MtaSts => {
            let id = list.value("id").ok_or("there is no id= tag")?;
            let good = !id.is_empty() && id.len() <= STS_ID_OCTETS_MAX && id.iter().all(u8::is_ascii_alphanumeric);
            good.then_some(()).ok_or_else(|| {
                format!(
                    "id= is \"{}\": not 1 to {STS_ID_OCTETS_MAX} letters and digits",
                    quote(id)
                )
            })
        }
        Kind::TlsRpt => uris(&list, "rua", &["mailto:", "https://"], false),
        Kind::Bimi => uris(&list, "l", &["https://"], true),
    }
}

/// A comma-separated list of URIs with one of these beginnings.
fn uris(list: &TagList, tag: &str, schemes: &[&str], may_be_empty: bool) -> Result<(), String> {
    let value = list.value(tag).ok_or_else(|| format!("there is no {tag}= tag"))?;
    if value.is_empty() && may_be_empty {
        return Ok(()); // an empty l= declines to take part
    }
    let good = |uri: &[u8]| {
        let uri = super::taglist::trim(uri).to_ascii_lowercase();
        schemes
            .iter()
            .any(|scheme| uri.len() > scheme.len() && uri.starts_with(scheme.as_bytes()))
    };
    match value.split(|&octet| octet == b',').find(|uri| !good(uri)) {
        Some(bad) => Err(format!(
            "{tag}= has \"{}\", which does not begin with {}",
            quote(bad),
            schemes.join(" or ")
        )),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stages::testing::{World, codes, name};
    use crate::wire::Rtype;

    async fn run(world: &World, kind: Kind) -> (Found, Vec<String>) {
        let (published, findings) = published(world, &name("example.org"), kind).await;
        (
            published.found,
            codes(&findings).iter().map(|&code| code.to_owned()).collect(),
        )
    }

    #[tokio::test]
    async fn good_records_are_valid() {
        let world = World::new()
            .txt("_mta-sts.example.org", "v=STSv1; id=20260101T000000;")
            .txt(
                "_smtp._tls.example.org",
                "v=TLSRPTv1; rua=mailto:a@example.org,https://example.org/r",
            )
            .txt(
                "default._bimi.example.org",
                "v=BIMI1; l=https://example.org/logo.svg; a=",
            );
        for kind in [Kind::MtaSts, Kind::TlsRpt, Kind::Bimi] {
            assert_eq!(run(&world, kind).await, (Found::Valid, vec![]), "{kind:?}");
        }
    }

    #[tokio::test]
    async fn bad_ones_are_invalid_and_never_absent() {
        for (kind, name, text) in [
            (Kind::MtaSts, "_mta-sts.example.org", "v=STSv1; id="),
            (Kind::MtaSts, "_mta-sts.example.org", "v=STSv1"),
            (Kind::MtaSts, "_mta-sts.example.org", "STSv1"),
            (Kind::TlsRpt, "_smtp._tls.example.org", "v=TLSRPTv1; rua=a@example.org"),
            (
                Kind::TlsRpt,
                "_smtp._tls.example.org",
                "v=TLSRPTv1;; rua=mailto:a@example.org",
            ),
            (
                Kind::Bimi,
                "default._bimi.example.org",
                "v=BIMI1; l=http://example.org/x",
            ),
        ] {
            let (found, codes) = run(&World::new().txt(name, text), kind).await;
            assert_eq!((found, codes), (Found::Invalid, vec![kind.code("invalid")]), "{text}");
        }
        let twice = World::new()
            .txt("_mta-sts.example.org", "v=STSv1; id=1")
            .txt("_mta-sts.example.org", "v=STSv1; id=2");
        assert_eq!(run(&twice, Kind::MtaSts).await.0, Found::Invalid);
        let unreadable = World::new().malformed("_mta-sts.example.org", Rtype::TXT);
        assert_eq!(run(&unreadable, Kind::MtaSts).await.0, Found::Unknown);
    }

    #[tokio::test]
    async fn absence_and_failure_stay_apart() {
        assert_eq!(
            run(&World::new(), Kind::MtaSts).await,
            (Found::None, vec!["mta_sts_missing".to_owned()])
        );
        assert_eq!(run(&World::new(), Kind::Bimi).await, (Found::None, vec![]));
        let world = World::new().silent("_smtp._tls.example.org", Rtype::TXT);
        assert_eq!(
            run(&world, Kind::TlsRpt).await,
            (Found::Unknown, vec!["tls_rpt_unknown".to_owned()])
        );
    }
}
