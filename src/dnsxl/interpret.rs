//! From a reply to an observation. The order of the rules is the order of trust:
//!
//! 1. a refusal code in any record, REFUSED or NOTAUTH → `refused`
//! 2. an A record outside 127/8, or an alias that leads out of the list's zone → `invalid_answer` (RFC 6471 §3.3: parked)
//! 3. a defined listing code → `listed`, whatever stands beside it (all A records are read, RFC 5782 §2.3); with undefined
//!    codes beside it, or cut short, it is `partial`: nobody may conclude from it what the target is *not* listed for
//! 4. TC without a listing → `timeout`: servers that limit rates answer so, and it never means "not listed"
//! 5. codes that the table defines as no listing → `not_listed`; codes that it does not define, or records beside them that
//!    cannot be read → `invalid_answer`
//! 6. NXDOMAIN or NODATA → `not_listed`; an answer section of which nothing can be read → `invalid_answer`
//! 7. SERVFAIL and every other response code → `servfail`: the server did not answer the question

use std::net::Ipv4Addr;
use std::sync::Arc;

use crate::exchange::Reply;
use crate::wire::{Answer, Name, Rcode};

use super::codes::{Code, Meaning, is_code, is_refusal_space};
use super::list::{List, Operator, Role, Tier};
use super::observation::{Cause, Listing, Observation, ReturnCodes};

/// Longest reason that is kept, in octets of text: TXT records that say more are advertisements, and a dossier holds one
/// for each listing.
pub const REASON_OCTETS_MAX: usize = 1024;

/// What a listing on a list without a code table means.
const PLAIN_MEANING: &str = "listed";

/// A reply as far as it bears on a list.
#[derive(Debug, Clone, Copy)]
pub struct Heard<'a> {
    /// The response code.
    pub rcode: Rcode,
    /// The TC bit of the last word on it (after TCP, if that was tried).
    pub truncated: bool,
    /// Records in the answer section, as the header says.
    pub answers: u16,
    /// The decoded message; none if there was none to decode, or it could not be.
    pub answer: Option<&'a Answer>,
}

impl<'a> Heard<'a> {
    /// What a reply says, with its decoded message.
    pub fn of(reply: &Reply, answer: Option<&'a Answer>) -> Heard<'a> {
        Heard {
            rcode: reply.rcode,
            truncated: reply.truncated,
            answers: reply.answers,
            answer,
        }
    }
}

impl Heard<'_> {
    /// Whether there are records that cannot be read.
    fn is_damaged(&self) -> bool {
        self.answer.is_some_and(|answer| answer.malformed > 0)
    }
}

/// Whose rules a reply is read by.
#[derive(Debug, Clone, Copy)]
pub struct Reader<'a> {
    /// The list that was asked.
    pub list: &'a List,
    /// Who runs it.
    pub operator: &'a Operator,
    /// The list's zone behind any key ([`Questions::apex`](super::Questions::apex)).
    pub apex: &'a Name,
}

/// A reply, sorted: what both interpretation and health go by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Sight {
    /// REFUSED, NOTAUTH, or this refusal code.
    Refused(Option<Ipv4Addr>),
    /// An address outside 127/8.
    Foreign(Ipv4Addr),
    /// An alias that leads out of the zone.
    Away(Box<Name>),
    /// Answers inside 127/8, sorted, none twice, never empty. The second says whether the reply was cut short.
    Codes(Vec<Ipv4Addr>, bool),
    /// Cut short, with nothing in it.
    Cut,
    /// An answer section of which nothing can be read.
    Garbled,
    /// There is no such name.
    NxDomain,
    /// The name has no A record.
    NoData,
    /// The server failed, or answered with another response code.
    Failed(Rcode),
}

impl<'a> Reader<'a> {
    /// What a reply to an A question says of the target.
    pub fn interpret(&self, heard: Heard<'_>) -> Observation {
        let ttl = || heard.answer.and_then(Answer::ttl_min).unwrap_or(0);
        self.observation(self.sight(heard), (heard.is_damaged(), ttl))
    }

    /// What an entry at hand says of its target, by the same rules: all its codes, and how long it may be kept, in seconds.
    pub fn interpret_entry(&self, codes: Vec<Ipv4Addr>, ttl: u32) -> Observation {
        let sight = match self.screened(codes) {
            Ok(codes) if codes.is_empty() => Sight::NoData,
            Ok(codes) => Sight::Codes(codes, false),
            Err(sight) => sight,
        };
        self.observation(sight, (false, || ttl))
    }

    fn observation(&self, sight: Sight, (damaged, ttl): (bool, impl FnOnce() -> u32)) -> Observation {
        let (codes, cut) = match sight {
            Sight::Refused(_) => return Observation::Unknown(Cause::Refused),
            Sight::Foreign(_) | Sight::Away(_) | Sight::Garbled => return Observation::Unknown(Cause::InvalidAnswer),
            Sight::Cut => return Observation::Unknown(Cause::Timeout),
            Sight::Failed(_) => return Observation::Unknown(Cause::Servfail),
            Sight::NxDomain | Sight::NoData => return Observation::NotListed,
            Sight::Codes(codes, cut) => (codes, cut),
        };
        let mut read = self.read(&codes);
        // What cannot be read may have been any code.
        read.undefined |= damaged;
        if !read.codes.answers.is_empty() {
            return Observation::Listed(Box::new(read.listing(ttl(), cut)));
        }
        match (cut, read.undefined) {
            (true, _) => Observation::Unknown(Cause::Timeout),
            (false, true) => Observation::Unknown(Cause::InvalidAnswer),
            (false, false) => Observation::NotListed,
        }
    }

    /// Whether an answer is a refusal, by the list's or its operator's patterns or by custom.
    pub fn is_refusal(&self, address: Ipv4Addr) -> bool {
        let mut patterns = self.list.refusal.iter().chain(&self.operator.refusal);
        is_refusal_space(address) || patterns.any(|pattern| pattern.matches(address))
    }

    /// Sorts a reply.
    pub(super) fn sight(&self, heard: Heard<'_>) -> Sight {
        match heard.rcode {
            Rcode::NOERROR | Rcode::NXDOMAIN => {}
            Rcode::REFUSED | Rcode::NOTAUTH => return Sight::Refused(None),
            other => return Sight::Failed(other),
        }
        let addresses = heard.answer.map(|answer| answer.addresses_v4().collect());
        let codes = match self.screened(addresses.unwrap_or_default()) {
            Ok(codes) => codes,
            Err(sight) => return sight,
        };
        let mut aliases = heard.answer.map_or(&[][..], |answer| &answer.aliases).iter();
        if let Some(alias) = aliases.find(|alias| !alias.is_under(self.apex)) {
            return Sight::Away(Box::new(alias.clone()));
        }
        match codes.is_empty() {
            true => without_addresses(heard),
            // A name that does not exist has no addresses: who says both cannot be believed.
            false if heard.rcode == Rcode::NXDOMAIN => Sight::Garbled,
            false => Sight::Codes(codes, heard.truncated),
        }
    }

    /// The codes sorted, none twice, if none is a refusal, or foreign.
    fn screened(&self, mut codes: Vec<Ipv4Addr>) -> Result<Vec<Ipv4Addr>, Sight> {
        codes.sort_unstable();
        codes.dedup();
        if let Some(&code) = codes.iter().find(|&&code| self.is_refusal(code)) {
            return Err(Sight::Refused(Some(code)));
        }
        if let Some(&address) = codes.iter().find(|&&code| !is_code(code)) {
            return Err(Sight::Foreign(address));
        }
        Ok(codes)
    }

    /// Puts the codes through the table.
    fn read(&self, codes: &[Ipv4Addr]) -> Read {
        let mut read = Read {
            codes: ReturnCodes::default(),
            hardest: (Role::Allow, Tier::W),
            undefined: false,
        };
        for &code in codes {
            let (meaning, weight) = match self.list.codes.interpret(code) {
                Meaning::Undefined => {
                    read.undefined = true;
                    continue;
                }
                Meaning::Plain => (PLAIN_MEANING.to_owned(), (self.list.role, self.list.tier)),
                Meaning::Defined(entries) => match self.weigh(&entries) {
                    Some(weighed) => weighed,
                    None => continue,
                },
            };
            read.hardest = match read.codes.answers.is_empty() {
                true => weight,
                false => read.hardest.min(weight),
            };
            read.codes.answers.push(code);
            read.codes.meanings.push(meaning);
        }
        read
    }

    /// The joined meaning and the hardest role and tier of the entries that are listings; none if none is.
    fn weigh(&self, entries: &[&Code]) -> Option<(String, (Role, Tier))> {
        let listings = || entries.iter().filter(|code| code.listing);
        let hardest = listings().map(|code| self.weight(code)).min()?;
        let meanings: Vec<&str> = listings().map(|code| code.means.as_str()).collect();
        Some((meanings.join("; "), hardest))
    }

    /// The role and tier of one code. A code with a role of its own and no tier does not take the list's tier, which was
    /// given for another role.
    fn weight(&self, code: &Code) -> (Role, Tier) {
        let role = code.role.unwrap_or(self.list.role);
        let tier = match (code.tier, role) {
            (Some(tier), _) => tier,
            (None, role) if role == self.list.role => self.list.tier,
            (None, Role::Block) => Tier::B,
            (None, Role::Info) => Tier::C,
            (None, Role::Allow) => Tier::W,
        };
        (role, tier)
    }
}

/// A positive or negative reply without A records.
fn without_addresses(heard: Heard<'_>) -> Sight {
    let aliased = heard.answer.is_some_and(|answer| !answer.aliases.is_empty());
    let ended = heard.answer.is_some_and(|answer| answer.soa.is_some()) && !heard.is_damaged();
    if heard.truncated {
        Sight::Cut
    } else if heard.rcode == Rcode::NXDOMAIN {
        Sight::NxDomain
    } else if heard.answers == 0 || (aliased && ended) {
        Sight::NoData
    } else {
        // Records that are not for this name, cannot be read, or an alias that nobody followed to its end.
        Sight::Garbled
    }
}

/// The codes of one reply, read.
struct Read {
    codes: ReturnCodes,
    hardest: (Role, Tier),
    undefined: bool,
}

impl Read {
    fn listing(self, ttl: u32, cut: bool) -> Listing {
        Listing {
            partial: cut || self.undefined,
            codes: Arc::new(self.codes),
            role: self.hardest.0,
            tier: self.hardest.1,
            reason: None,
            ttl,
            reason_cut: false,
        }
    }
}

/// The reason in the TXT records of an entry (RFC 5782 §2.1), several joined with a line break; none if they are empty.
///
/// Valid UTF-8 stays as it is; other octets become `\xNN`, as does a backslash before an `x`, so that nothing is lost.
/// Controls stay in: whoever shows it escapes them. Cut at [`REASON_OCTETS_MAX`], then with `…` at its end.
pub fn reason(answer: &Answer) -> Option<String> {
    reason_of(answer.texts())
}

/// The same of texts that stand in no records.
pub fn reason_of(texts: impl IntoIterator<Item = Vec<u8>>) -> Option<String> {
    let texts = texts.into_iter().filter(|octets| !octets.is_empty());
    let joined = texts.map(legible).reduce(|mut text, next| {
        text.push('\n');
        text.push_str(&next);
        text
    });
    let mut text = joined?;
    if text.len() > REASON_OCTETS_MAX {
        text.truncate(text.floor_char_boundary(REASON_OCTETS_MAX));
        text.push('…');
    }
    Some(text)
}

/// Octets as text in which none of them is lost. Nearly always they are text as they come.
fn legible(octets: Vec<u8>) -> String {
    let octets = match octets.contains(&b'\\') {
        true => octets,
        false => match String::from_utf8(octets) {
            Ok(text) => return text,
            Err(error) => error.into_bytes(),
        },
    };
    let mut text = String::with_capacity(octets.len());
    for chunk in octets.utf8_chunks() {
        text.push_str(&chunk.valid().replace("\\x", "\\x5cx"));
        for octet in chunk.invalid() {
            text.push_str(&format!("\\x{octet:02x}"));
        }
    }
    text
}

#[cfg(test)]
#[path = "interpret_tests.rs"]
mod tests;
