//! Controls during a run: a list that was healthy is asked again, and what it said meanwhile stands or falls with it.
//!
//! A fresh canary is in no cache, stale or not (RFC 8767), so it shows what the servers say now. The positive test entry
//! shows it only once its TTL has run out since it was last asked; before that, do not count it. Where the list has shown
//! that it tells a name without records from none, its test entry's name is asked for another type each time, which no
//! cache has: a zone that is emptied denies it, whatever a cache says of its address.

use crate::targets::Kind;

use super::health::{CANARIES_DECISIVE, Fault, State, above, broken, defined, zone_gone};
use super::interpret::{Reader, Sight};
use super::probe::{ProbeReply, ProbeRole};

/// What a control says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Control {
    /// The list still works: what it said since the last good control is confirmed.
    Good,
    /// A random address is listed, which may be chance: ask another canary.
    Again,
    /// It does not work: what it said since the last good control is unknown.
    Failed(Fault),
}

/// Judges one control probe, `Positive`, `Presence` or `Canary`. `listed_before` counts the canaries of this same control that were
/// listed: with each [`Control::Again`] one more.
pub fn judge_control(
    reader: &Reader<'_>,
    kind: Kind,
    (role, reply): (ProbeRole, &ProbeReply),
    listed_before: usize,
) -> Control {
    match control(reader, kind, (role, reply), listed_before) {
        Ok(control) => control,
        Err(fault) => Control::Failed(fault),
    }
}

fn control(
    reader: &Reader<'_>,
    kind: Kind,
    (role, reply): (ProbeRole, &ProbeReply),
    listed_before: usize,
) -> Result<Control, Fault> {
    if role == ProbeRole::Presence {
        return presence(reader, reply);
    }
    broken(reader, role, reply)?;
    let listed = match reader.sight_of(reply) {
        Some(Sight::Codes(codes, _)) => Some(codes),
        _ => None,
    };
    match (role, listed) {
        (ProbeRole::Positive, Some(codes)) => defined(reader, reply, codes).map(|_| Control::Good),
        (ProbeRole::Positive, None) => Err(match above(reader, reply) {
            Some(owner) => zone_gone(&owner),
            None => Fault::new(State::NoTestPoint, "the test entry is no longer listed"),
        }),
        (_, None) => match above(reader, reply).filter(|owner| owner.label_count() <= 1) {
            Some(owner) => Err(zone_gone(&owner)),
            None => Ok(Control::Good),
        },
        (ProbeRole::Canary, Some(_)) if !reader.lists_canary(reply) => Ok(Control::Good),
        (_, Some(_)) if kind == Kind::Domain || listed_before + 1 >= CANARIES_DECISIVE => {
            Err(Fault::new(State::ListsWorld, "random canaries have become listed"))
        }
        (_, Some(_)) => Ok(Control::Again),
    }
}

/// That the test entry's name does not exist counts; that nobody answers a question for an odd type says nothing.
fn presence(reader: &Reader<'_>, reply: &ProbeReply) -> Result<Control, Fault> {
    match (reader.sight_of(reply), above(reader, reply)) {
        (Some(Sight::NxDomain), Some(owner)) => Err(zone_gone(&owner)),
        (Some(Sight::NxDomain), None) => Err(Fault::new(
            State::NoTestPoint,
            "the test entry no longer exists, though a cache still has its address",
        )),
        _ => Ok(Control::Good),
    }
}
