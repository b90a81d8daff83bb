//! What answers at port 25: the greeting, the reply to EHLO, whether STARTTLS is offered. No mail is sent, and no address is
//! connected to twice in a run.

mod dialogue;
mod greeter;
mod greeting;

pub use dialogue::{Dialogue, Limits, Reply, Step, Trouble, converse};
pub use greeter::{CONNECTIONS_MAX, Exchangers, GREETED_MAX, Greeted, Greeter};
pub use greeting::{Options, STAGE, Smtp, State, smtp};
