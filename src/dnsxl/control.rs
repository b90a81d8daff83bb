//! Controls during a run: a list that was healthy is asked again, and what it said meanwhile stands or falls with it.
//!
//! A fresh canary is in no cache, stale or not (RFC 8767), so it shows what the servers say now. The positive test entry
//! shows it only once its TTL has run out since it was last asked; before that, do not count it.

use crate::targets::Kind;

use super::health::{CANARIES_DECISIVE, Fault, State, above, broken, defined, zone_gone};
use super::interpret::{Reader, Sight};
use super::list::Role;
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

/// Judges one control probe, `Positive` or `Canary`. `listed_before` counts the canaries of this same control that were
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
        (_, Some(_)) if reader.list.role == Role::Info && role == ProbeRole::Canary => Ok(Control::Good),
        (_, Some(_)) if kind == Kind::Domain || listed_before + 1 >= CANARIES_DECISIVE => {
            Err(Fault::new(State::ListsWorld, "random canaries have become listed"))
        }
        (_, Some(_)) => Ok(Control::Again),
    }
}
