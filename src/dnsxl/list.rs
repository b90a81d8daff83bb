//! A list and its operator, as the catalogue knows them.

use std::net::Ipv4Addr;

use crate::targets::Kind;

use super::codes::{CodePattern, CodeTable};

/// A list, by its place in the [`Catalogue`](super::Catalogue).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ListIndex(pub u16);

/// An operator, by its place in the [`Catalogue`](super::Catalogue).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OperatorIndex(pub u16);

/// What an entry on a list says of its target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// It is bad.
    Block,
    /// It is neither: a fact.
    Info,
    /// It is good.
    Allow,
}

/// How hard a listing hits mail delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub enum Tier {
    /// Hard: large receivers reject by it.
    A,
    /// Minor: it counts in scores.
    B,
    /// Policy or informational.
    C,
    /// An allow list.
    W,
}

impl Role {
    /// The word of the records.
    pub fn as_str(self) -> &'static str {
        match self {
            Role::Block => "block",
            Role::Info => "info",
            Role::Allow => "allow",
        }
    }
}

impl Tier {
    /// The letter of the records.
    pub fn as_str(self) -> &'static str {
        match self {
            Tier::A => "A",
            Tier::B => "B",
            Tier::C => "C",
            Tier::W => "W",
        }
    }
}

/// On what terms an operator lets lists be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Use {
    /// By anybody.
    Free,
    /// By anybody who does not sell with it.
    FreeNoncommercial,
    /// After the asker's address was registered.
    Registration,
    /// With a key.
    Key,
    /// For money.
    Paid,
    /// The operator does not say.
    Unknown,
}

/// Who runs lists.
#[derive(Debug, Clone, PartialEq)]
pub struct Operator {
    /// Lower case, digits, dashes.
    pub id: String,
    /// The name to show.
    pub name: String,
    /// The home page.
    pub home: Option<String>,
    /// When the facts were last read, `YYYY-MM-DD`.
    pub checked: Option<String>,
    /// On what terms.
    pub terms: Terms,
    /// Patterns of answers that are never a listing but mean that the operator refuses the asker.
    pub refusal: Vec<CodePattern>,
}

/// An operator's terms. Limits are per source address.
#[derive(Debug, Clone, PartialEq)]
pub struct Terms {
    /// Who may ask.
    pub usage: Use,
    /// Queries in any 24 hours; none: no limit is known or wanted.
    pub max_queries_per_day: Option<u64>,
    /// Queries a second; none: no limit.
    pub max_qps: Option<f64>,
    /// What becomes of questions through public resolvers, in the operator's words (`refused`, `answered`, …).
    pub public_resolvers: Option<String>,
}

/// Which names of a domain a list wants to be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NameForm {
    /// The name as it is.
    #[default]
    Full,
    /// The registrable domain, by the public suffix list.
    Registrable,
    /// Both; an entry for either is a listing.
    Both,
}

/// Whether a list is known to be alive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// There is evidence that it is alive.
    #[default]
    Live,
    /// Nothing is known: never in a default selection.
    Unverified,
    /// It is gone: never asked.
    Retired,
}

/// A DNSxL.
#[derive(Debug, Clone, PartialEq)]
pub struct List {
    /// Lower case, digits, dashes; unique.
    pub id: String,
    /// The zone as written, with `{key}` where the operator's key goes.
    pub zone: String,
    /// The whole query name's form where it is not `{target}.ZONE`, with `{target}` and perhaps `{key}`.
    pub query: Option<String>,
    /// Who runs it.
    pub operator: OperatorIndex,
    /// Which kinds of targets it takes.
    pub kinds: Vec<Kind>,
    /// What an entry says, unless its code says otherwise.
    pub role: Role,
    /// How hard an entry hits, unless its code says otherwise.
    pub tier: Tier,
    /// Whether it belongs to the default selection.
    pub default: bool,
    /// Words to select it by.
    pub tags: Vec<String>,
    /// Ids of lists whose entries this one contains.
    pub covers: Vec<String>,
    /// What it lists, in a sentence.
    pub about: Option<String>,
    /// The page to ask for removal, with `{target}` where the target goes.
    pub remove: Option<String>,
    /// How removal works, in a sentence: who may ask, what it costs, when it expires.
    pub remove_how: Option<String>,
    /// The page that explains an entry, with `{target}`.
    pub lookup: Option<String>,
    /// What the answers mean.
    pub codes: CodeTable,
    /// The list's own refusal patterns, beside its operator's.
    pub refusal: Vec<CodePattern>,
    /// Whether entries have a TXT record (asked for each listing).
    pub txt: bool,
    /// The IPv6 prefix length that the list lists, if not single addresses.
    pub ip6_unit: Option<u8>,
    /// Which names of a domain to ask for.
    pub name_form: NameForm,
    /// Test entries that differ from RFC 5782 §5.
    pub test: TestEntries,
    /// Whether it is known to be alive.
    pub status: Status,
    /// When it ended, `YYYY-MM-DD` or less, and how.
    pub retired: Option<Retired>,
    /// Where the facts come from.
    pub sources: Vec<String>,
}

/// The end of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retired {
    /// `YYYY`, `YYYY-MM` or `YYYY-MM-DD`; none if nobody knows.
    pub since: Option<String>,
    /// What became of it.
    pub how: Option<String>,
    /// How sure that is: only high and medium confidence stop a list from being asked.
    pub confidence: Confidence,
}

/// A zone that is known to be dead.
#[derive(Debug, Clone, PartialEq)]
pub struct Grave {
    /// The zone.
    pub zone: String,
    /// When and how it ended, and how sure that is.
    pub retired: Retired,
    /// Where the facts come from.
    pub sources: Vec<String>,
}

/// How sure a fact is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Confidence {
    /// Presence in other people's lists only.
    Low,
    /// A curated review of the last three years.
    Medium,
    /// The operator's own words, a maintained filter's default, or a dated probe.
    High,
}

/// Test entries, where they differ from RFC 5782 §5 (`127.0.0.2` and `127.0.0.1`, `::FFFF:7F00:2` and `::FFFF:7F00:1`,
/// `TEST` and `INVALID`).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TestEntries {
    /// An address or name that must be listed; `Some("")` says that there is none.
    pub listed: Option<String>,
    /// An address or name that must not be; `Some("")` says that there is none.
    pub unlisted: Option<String>,
    /// The code that the test entry answers with, where it is not in the code table.
    pub code: Option<Ipv4Addr>,
}

impl List {
    /// Whether it takes targets of this kind.
    pub fn takes(&self, kind: Kind) -> bool {
        self.kinds.contains(&kind)
    }

    /// Whether its name needs the operator's key.
    pub fn needs_key(&self) -> bool {
        self.zone.contains("{key}") || self.query.as_deref().is_some_and(|query| query.contains("{key}"))
    }
}
