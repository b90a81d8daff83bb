//! Whether a list works, judged from what its probes brought: pure data in, a verdict out.
//!
//! ```text
//! probes → replies → judge ─┬─ Healthy
//!                           ├─ Doubtful → more canaries → judge again, with all the replies
//!                           └─ Unhealthy(state, why) → the cause of every observation of this list
//! ```
//!
//! A list is healthy if its positive test entry is listed with a defined code, its negative one is not listed or has other
//! codes (reputation zones know 127.0.0.1 too), its canaries are not all listed, and nothing is refused, parked, failed or
//! silent. The order of the checks is from what says most: a refusal explains everything below it.
//!
//! A canary that is listed convicts a name list at once. An address list may know a random address for good reasons
//! (a third of IPv4 space is on policy lists), so there all of eight must be listed; on lists of mere facts
//! (role `info`: countries, networks, grades) a listed canary means nothing, unless by a code of the block role.

use std::net::Ipv4Addr;

use crate::targets::Kind;
use crate::wire::{Answer, Name, Rcode};

use super::interpret::{Reader, Sight};
use super::list::{Role, Status};
use super::observation::{Cause, Observation};
use super::probe::{CANARIES, CANARIES_MORE, ProbeReply, ProbeRole, negative, positive};

/// Listed canaries in a row that convict an address list.
pub(super) const CANARIES_DECISIVE: usize = CANARIES + CANARIES_MORE;

/// Whether a list works.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Health {
    /// It does.
    Healthy,
    /// All canaries are listed, which may be chance: ask [`more_canaries`](super::more_canaries), then judge all replies.
    Doubtful,
    /// It does not.
    Unhealthy(Fault),
}

/// Why a list does not work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// In a word.
    pub state: State,
    /// In a sentence, safe to show: without keys, names from the network escaped.
    pub why: String,
}

macro_rules! states {
    ($($(#[$doc:meta])+ $variant:ident = $word:literal => $cause:ident),+ $(,)?) => {
        /// What is wrong with a list.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum State {
            $($(#[$doc])+ $variant),+
        }

        impl State {
            /// All of them.
            pub const ALL: &[State] = &[$(State::$variant),+];

            /// The word of the records.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(State::$variant => $word),+
                }
            }

            /// What observations of the list become.
            pub fn cause(self) -> Cause {
                match self {
                    $(State::$variant => Cause::$cause),+
                }
            }
        }
    };
}

states! {
    /// It is known to be retired.
    Retired = "retired" => ListUnhealthy,
    /// The server or the operator refuses us.
    Refused = "refused" => Refused,
    /// Nobody answers, or not every probe.
    Unreachable = "unreachable" => Timeout,
    /// Replies are cut short with nothing in them: the rate is limited.
    Cut = "cut_short" => Timeout,
    /// The server fails.
    Servfail = "servfail" => Servfail,
    /// It answers with addresses outside 127/8, or aliases that lead elsewhere.
    Parked = "parked" => ListUnhealthy,
    /// Replies have answers that cannot be read, or are for another name.
    Garbled = "garbled" => ListUnhealthy,
    /// The name of the zone itself does not exist.
    ZoneGone = "zone_gone" => ListUnhealthy,
    /// The positive test entry is not listed: the zone is empty, or the list answers nothing to strangers.
    NoTestPoint = "no_test_point" => ListUnhealthy,
    /// The positive test entry has a TXT record and no A record: a resolver takes out answers in 127/8.
    Stripped = "stripped" => ResolverBroken,
    /// Test entries of one label are listed, longer ones do not exist: a resolver minimises names.
    Minimised = "minimised" => ResolverBroken,
    /// The test entry answers with a code that the list does not define.
    UndefinedCode = "undefined_code" => ListUnhealthy,
    /// The negative test entry is listed, the positive one is not.
    Inverted = "inverted" => ListUnhealthy,
    /// It lists what cannot be listed.
    ListsWorld = "lists_world" => ListUnhealthy,
}

impl Fault {
    pub(super) fn new(state: State, why: impl Into<String>) -> Fault {
        Fault { state, why: why.into() }
    }

    /// What observations of the list become.
    pub fn cause(&self) -> Cause {
        self.state.cause()
    }
}

/// Judges a list from all replies to its probes of one kind so far.
pub fn judge(reader: &Reader<'_>, kind: Kind, replies: &[(ProbeRole, ProbeReply)]) -> Health {
    let examination = Examination { reader, kind, replies };
    match examination.run() {
        Ok(health) => health,
        Err(fault) => Health::Unhealthy(fault),
    }
}

struct Examination<'a> {
    reader: &'a Reader<'a>,
    kind: Kind,
    replies: &'a [(ProbeRole, ProbeReply)],
}

impl Examination<'_> {
    fn run(&self) -> Result<Health, Fault> {
        if self.reader.list.status == Status::Retired {
            return Err(Fault::new(
                State::Retired,
                "the catalogue says that the list is retired",
            ));
        }
        self.reject_missing()?;
        self.reject_broken()?;
        let positive = self.positive()?;
        let canary_from_above = self.of(ProbeRole::Canary).find_map(|reply| above(self.reader, reply));
        if let (None, Some(owner)) = (&positive, canary_from_above)
            && owner.label_count() <= 1
        {
            return Err(zone_gone(&owner));
        }
        self.negative(positive.as_deref())?;
        self.canaries()
    }

    /// Replies to A questions that play a part, in the order in which they came.
    fn of(&self, role: ProbeRole) -> impl Iterator<Item = &ProbeReply> {
        let of_role = self.replies.iter().filter(move |(other, _)| *other == role);
        of_role.map(|(_, reply)| reply)
    }

    /// Health needs evidence: a probe that was never answered, because it was never asked, proves nothing.
    fn reject_missing(&self) -> Result<(), Fault> {
        let list = self.reader.list;
        for (role, needed) in [
            (ProbeRole::Positive, positive(list, self.kind).is_some()),
            (ProbeRole::Negative, negative(list, self.kind).is_some()),
            (ProbeRole::Canary, true),
        ] {
            if needed && self.of(role).next().is_none() {
                return Err(Fault::new(State::Unreachable, "not every probe has been asked"));
            }
        }
        Ok(())
    }

    /// Faults that any of the decisive probes can show, worst explanation first.
    fn reject_broken(&self) -> Result<(), Fault> {
        let decisive = self.replies.iter().filter(|(role, _)| {
            !matches!(
                role,
                ProbeRole::Text | ProbeRole::Short | ProbeRole::Presence | ProbeRole::Code(_)
            )
        });
        let faults = decisive.filter_map(|(role, reply)| broken(self.reader, *role, reply).err());
        match faults.min_by_key(|fault| gravity(fault.state)) {
            Some(fault) => Err(fault),
            None => Ok(()),
        }
    }

    /// The codes of the positive test entry; none if the list has no such entry.
    fn positive(&self) -> Result<Option<Vec<Ipv4Addr>>, Fault> {
        let Some(reply) = self.of(ProbeRole::Positive).next() else {
            return Ok(None);
        };
        match self.reader.sight_of(reply) {
            Some(Sight::Codes(codes, _)) => defined(self.reader, reply, codes).map(Some),
            _ => Err(self.positive_lost(reply)),
        }
    }

    /// Why the positive test entry is not listed.
    fn positive_lost(&self, reply: &ProbeReply) -> Fault {
        if let Some(owner) = above(self.reader, reply) {
            return zone_gone(&owner);
        }
        let listed = |role| {
            let sights = self.of(role).map(|reply| self.reader.sight_of(reply));
            sights.flatten().any(|sight| matches!(sight, Sight::Codes(..)))
        };
        if listed(ProbeRole::Negative) {
            return Fault::new(
                State::Inverted,
                "the entry that must not be listed is, the one that must be is not",
            );
        }
        let nodata = self.reader.sight_of(reply) == Some(Sight::NoData);
        if nodata && self.of(ProbeRole::Text).any(has_text) {
            return Fault::new(
                State::Stripped,
                "the test entry has a TXT record, but its A record was taken out on the way",
            );
        }
        if listed(ProbeRole::Short) {
            return Fault::new(
                State::Minimised,
                "TEST is listed, but the longer test name is said not to exist",
            );
        }
        Fault::new(
            State::NoTestPoint,
            "the entry that must be listed is not: an empty zone, or no answers for us",
        )
    }

    /// The negative test entry must not be listed as the positive one is.
    fn negative(&self, positive: Option<&[Ipv4Addr]>) -> Result<(), Fault> {
        for reply in self.of(ProbeRole::Negative) {
            let Some(Sight::Codes(codes, _)) = self.reader.sight_of(reply) else {
                continue;
            };
            if positive.is_none_or(|positive| positive == codes) {
                let why = format!("the entry that must not be listed answers {}", shown(&codes));
                return Err(Fault::new(State::ListsWorld, why));
            }
        }
        Ok(())
    }

    fn canaries(&self) -> Result<Health, Fault> {
        let replies = self.of(ProbeRole::Canary);
        let (listed, clean): (Vec<_>, Vec<_>) = replies.partition(|reply| self.reader.lists_canary(reply));
        let convicts = match self.kind {
            Kind::Domain => !listed.is_empty(),
            Kind::Ip4 | Kind::Ip6 => listed.len() >= CANARIES_DECISIVE && clean.is_empty(),
        };
        if convicts {
            let why = format!(
                "{} random names or addresses out of {} are listed",
                listed.len(),
                listed.len() + clean.len()
            );
            return Err(Fault::new(State::ListsWorld, why));
        }
        Ok(match !listed.is_empty() && clean.is_empty() {
            true => Health::Doubtful,
            false => Health::Healthy,
        })
    }
}

impl Reader<'_> {
    /// Whether a reply to a [presence](super::ProbeRole::Presence) probe says that the name is there, without such a record.
    pub fn shows_presence(&self, reply: &ProbeReply) -> bool {
        self.sight_of(reply) == Some(Sight::NoData)
    }

    /// Whether a canary is listed in a way that nobody should be by chance.
    pub(super) fn lists_canary(&self, reply: &ProbeReply) -> bool {
        if self.list.role != Role::Info {
            return matches!(self.sight_of(reply), Some(Sight::Codes(..)));
        }
        let known = reply.heard().map(|heard| self.interpret(heard));
        matches!(known, Some(Observation::Listed(listing)) if listing.role == Role::Block)
    }

    /// A probe's reply, sorted; none for silence.
    pub(super) fn sight_of(&self, reply: &ProbeReply) -> Option<Sight> {
        reply.heard().map(|heard| self.sight(heard))
    }
}

/// Rejects a reply that no healthy list gives to any probe.
pub(super) fn broken(reader: &Reader<'_>, role: ProbeRole, reply: &ProbeReply) -> Result<(), Fault> {
    let what = match role {
        ProbeRole::Positive | ProbeRole::Text | ProbeRole::Short | ProbeRole::Presence => "the test entry",
        ProbeRole::Negative => "the negative test entry",
        ProbeRole::Canary => "a random canary",
        ProbeRole::Code(_) => "the test entry of a code",
    };
    let (state, why) = match reader.sight_of(reply) {
        None => (State::Unreachable, format!("no answer for {what}")),
        Some(Sight::Refused(None)) => (State::Refused, "the server refuses to answer".to_owned()),
        Some(Sight::Refused(Some(code))) => (State::Refused, format!("{what} answers the refusal code {code}")),
        Some(Sight::Foreign(address)) => (State::Parked, format!("{what} answers {address}, outside 127.0.0.0/8")),
        Some(Sight::Away(alias)) => (
            State::Parked,
            format!("{what} is an alias that leads to {}", tail(&alias)),
        ),
        Some(Sight::Failed(rcode)) => (State::Servfail, format!("{what} answers {rcode}")),
        Some(Sight::Cut) => (State::Cut, format!("the answer for {what} is cut short and empty")),
        Some(Sight::Garbled) => (State::Garbled, format!("the answer for {what} cannot be read")),
        Some(Sight::Codes(..) | Sight::NxDomain | Sight::NoData) => return Ok(()),
    };
    Err(Fault::new(state, why))
}

/// The codes of a positive test entry, if one of them is a defined listing or the list's own test code.
pub(super) fn defined(reader: &Reader<'_>, reply: &ProbeReply, codes: Vec<Ipv4Addr>) -> Result<Vec<Ipv4Addr>, Fault> {
    let listed = reply
        .heard()
        .is_some_and(|heard| matches!(reader.interpret(heard), Observation::Listed(_)));
    if listed || reader.list.test.code.is_some_and(|code| codes.contains(&code)) {
        return Ok(codes);
    }
    let why = format!(
        "the test entry answers {}, which the list does not define",
        shown(&codes)
    );
    Err(Fault::new(State::UndefinedCode, why))
}

/// The zone above the list's that says that a name does not exist (RFC 2308 §2.1), if it is one above.
pub(super) fn above(reader: &Reader<'_>, reply: &ProbeReply) -> Option<Name> {
    let heard = reply.heard().filter(|heard| heard.rcode == Rcode::NXDOMAIN)?;
    let (owner, _, _) = heard.answer?.soa.as_deref()?;
    let above = reader.apex.is_under(owner) && reader.apex != owner;
    above.then(|| owner.clone())
}

pub(super) fn zone_gone(owner: &Name) -> Fault {
    let why = format!("the zone does not exist: {} says so", owner.to_lowercase());
    Fault::new(State::ZoneGone, why)
}

/// Which of several faults is told: the one that explains the others.
fn gravity(state: State) -> u8 {
    match state {
        State::Refused => 0,
        State::Parked => 1,
        State::Cut => 2,
        State::Servfail => 3,
        State::Unreachable => 4,
        _ => 5,
    }
}

/// Whether a reply to the TXT question of a test entry brought an entry's text. Parked zones answer every name with an SPF
/// record, which is none.
pub(super) fn has_text(reply: &ProbeReply) -> bool {
    let answer = reply.heard().and_then(|heard| heard.answer);
    answer.is_some_and(|answer: &Answer| answer.texts().any(|text| !text.starts_with(b"v=spf1")))
}

/// The last two labels of a name: a wildcard alias may quote the question, and the question may hold a key.
fn tail(name: &Name) -> String {
    let mut tail = name.clone();
    while tail.label_count() > 2 {
        let Some(parent) = tail.parent() else { break };
        tail = parent;
    }
    tail.to_string()
}

fn shown(codes: &[Ipv4Addr]) -> String {
    let shown: Vec<String> = codes.iter().map(Ipv4Addr::to_string).collect();
    shown.join(", ")
}

#[cfg(test)]
#[path = "health_tests.rs"]
mod tests;
