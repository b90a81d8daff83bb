//! Talk, on standard error. Where nobody hears it (the pipe is closed, the disk full), the run goes on: what it found is
//! worth more than a line about it.

use std::fmt;
use std::io::{self, Write};

/// `eprintln!`, but for what it does where the line cannot be written.
macro_rules! talk {
    ($($words:tt)*) => { $crate::cli::talk::say(format_args!($($words)*)) };
}

pub(crate) use talk;

/// Says a line, in one piece.
pub(crate) fn say(line: fmt::Arguments<'_>) {
    let _ = io::stderr().write_all(format!("{line}\n").as_bytes());
}
