//! What answers at port 25: the greeting, the reply to EHLO, whether STARTTLS is offered. No mail is sent.

mod dialogue;
mod greeting;

pub use dialogue::{Dialogue, Limits, Reply, Step, Trouble, converse};
pub use greeting::{Options, STAGE, Smtp, State, smtp};
