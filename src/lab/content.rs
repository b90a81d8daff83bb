//! What a zone holds: a list's data, records, or a list that is made up as it is asked.

use crate::wire::{Name, Rdata, Rtype};
use crate::zone::{Zone, ZoneQuery};

use super::records::RecordZone;
use super::served::Synthetic;

/// What a zone holds.
#[derive(Debug)]
pub(super) enum Content {
    /// Entries of a list.
    List(Zone),
    /// Records as they are.
    Records(RecordZone),
    /// A list without data of its own.
    Synthetic(Box<Synthetic>),
}

/// What was found at a name.
#[derive(Debug)]
pub(super) enum Looked {
    /// There is no such name.
    NxDomain,
    /// The name's records of the asked type; there may be none.
    Records(Vec<(u32, Rdata)>),
    /// The name is another name for this one.
    Alias(u32, Box<Name>),
    /// The zone was not told what it was asked for.
    Refused,
}

impl Content {
    /// Looks up a name relative to the zone, in lower case. Allocates nothing if there is nothing.
    pub(super) fn look_up(&self, relative: &[u8], rtype: Rtype, with_parents: bool) -> Looked {
        match self {
            Content::List(zone) => {
                let query = ZoneQuery::from_labels(relative);
                match zone.look_up(&query, rtype) {
                    None => Looked::Refused,
                    Some((true, records)) => Looked::Records(records),
                    Some((false, _)) if with_parents && zone.has_below(&query) => Looked::Records(Vec::new()),
                    Some((false, _)) => Looked::NxDomain,
                }
            }
            Content::Records(records) => records.look_up(relative, rtype),
            Content::Synthetic(list) => match list.look_up(relative, rtype) {
                Some(records) => Looked::Records(records),
                None => Looked::NxDomain,
            },
        }
    }

    /// Whether it is a list, whose names resolvers have been seen to spoil.
    pub(super) fn is_list(&self) -> bool {
        !matches!(self, Content::Records(_))
    }
}
