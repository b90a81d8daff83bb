//! DKIM keys of a domain: the records at given selectors and at common ones, and whether receivers can use them.

mod key;
mod lookup;
mod selectors;

pub use key::{Key, KeyKind, State, read_key};
pub use lookup::{STAGE, Selector, dkim};
pub use selectors::{COMMON, GIVEN_MAX};
