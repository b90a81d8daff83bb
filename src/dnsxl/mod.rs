//! Reading lists right: the catalogue, query names, return codes, interpretation, and the health of a list.
//! RFC 5782 is the ground; RFC 6471 §3.3 and refusal codes come before its §6, or parked zones would list everybody.

mod catalogue;
mod codes;
mod control;
mod fields;
mod file;
mod fold;
mod health;
mod import;
mod interpret;
mod key;
mod lint;
mod list;
mod merge;
mod mistake;
mod near;
mod observation;
mod probe;
mod query;
mod removal;
mod resolver;
mod section;
mod select;
#[cfg(test)]
mod testing;
mod ucl;

pub use catalogue::Catalogue;
pub use codes::{Code, CodeError, CodePattern, CodeTable, Meaning, is_code, is_refusal_space};
pub use control::{Control, judge_control};
pub use fold::fold;
pub use health::{Fault, Health, State, judge};
pub use import::{IMPORT_OCTETS_MAX, Imported, import};
pub use interpret::{Heard, REASON_OCTETS_MAX, Reader, reason, reason_of};
pub use key::{KEY_MARK, Key, KeyError};
pub use list::{
    Confidence, Grave, List, ListIndex, NameForm, Operator, OperatorIndex, Retired, Role, Status, Terms, TestEntries,
    Tier, Use,
};
pub use mistake::{CatalogueErrors, Mistake, Place, Warning};
pub use near::nearest;
pub use observation::{Cause, How, Listing, Observation, Reason, ReturnCodes};
pub use probe::{Probe, ProbeReply, ProbeRole, canary, code_entries, more_canaries};
pub use probe::{negative, positive, presence, probes};
pub use query::{Names, Questions, Subject};
pub use removal::{fill_target, removal};
pub use resolver::{Evidence, ResolverVerdict, resolver_verdict};
pub use select::SelectError;
