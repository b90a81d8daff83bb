//! Standard output, whose errors say that it is.

use std::io::{self, Write};

/// Standard output.
pub(crate) fn stdout() -> impl Write {
    Stdout(io::stdout())
}

struct Stdout(io::Stdout);

/// The kind stays: a broken pipe is no error.
fn named<T>(result: io::Result<T>) -> io::Result<T> {
    result.map_err(|error| io::Error::new(error.kind(), format!("standard output cannot be written to: {error}")))
}

impl Write for Stdout {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        named(self.0.write(octets))
    }

    fn flush(&mut self) -> io::Result<()> {
        named(self.0.flush())
    }
}
