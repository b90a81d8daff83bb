//! Temporary files of reports: what is known only at the end comes first in some forms, and what was written may have to be
//! written anew.

use std::fs::File;
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::escape::visible_octets;
use super::output::{Format, Options};
use super::sink::{Judged, RunEnd, RunHead, Sink};

/// A temporary file whose errors say where it is, and what helps.
#[derive(Debug)]
pub(super) struct Spool {
    file: File,
    folder: PathBuf,
}

impl Spool {
    /// A file in a folder; none: the system's.
    pub(super) fn open(folder: Option<&Path>) -> io::Result<Spool> {
        let folder = folder.map_or_else(std::env::temp_dir, Path::to_owned);
        let file = named(tempfile::tempfile_in(&folder), &folder)?;
        Ok(Spool { file, folder })
    }

    /// The same file, at the same place in it.
    fn again(&self) -> io::Result<Spool> {
        Ok(Spool {
            file: self.file.try_clone()?,
            folder: self.folder.clone(),
        })
    }
}

fn named<T>(result: io::Result<T>, folder: &Path) -> io::Result<T> {
    result.map_err(|error| {
        let folder = visible_octets(folder.as_os_str().as_encoded_bytes());
        let text = format!("a temporary file in {folder}: {error}; make room there, or name another folder as TMPDIR");
        io::Error::new(error.kind(), text)
    })
}

impl Read for Spool {
    fn read(&mut self, octets: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(octets);
        named(read, &self.folder)
    }
}

impl Write for Spool {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        let written = self.file.write(octets);
        named(written, &self.folder)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Seek for Spool {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.file.seek(to)
    }
}

/// A report for a place from which nothing can be taken back, standard output or a pipe: it goes there when it is finished,
/// and may be written anew until then.
pub struct HeldSink<'w> {
    out: Box<dyn Write + Send + 'w>,
    format: Format,
    options: Options,
    held: Spool,
    sink: Box<dyn Sink + Send>,
}

impl<'w> HeldSink<'w> {
    /// A report of this format for `out`.
    ///
    /// # Errors
    /// If the format is not built, or there is no room for temporary files.
    pub fn new(out: Box<dyn Write + Send + 'w>, format: Format, options: &Options) -> io::Result<HeldSink<'w>> {
        let held = Spool::open(None)?;
        Ok(HeldSink {
            out,
            format,
            options: *options,
            sink: format.sink(Box::new(BufWriter::new(held.again()?)), None, options)?,
            held,
        })
    }

    /// Forgets what was written, and begins anew.
    ///
    /// # Errors
    /// As [`new`](HeldSink::new).
    pub fn start_over(&mut self) -> io::Result<()> {
        // Another file: what the old sink still has in its buffer goes into the old one.
        self.held = Spool::open(None)?;
        let out = Box::new(BufWriter::new(self.held.again()?));
        self.sink = self.format.sink(out, None, &self.options)?;
        Ok(())
    }
}

impl Sink for HeldSink<'_> {
    fn begin(&mut self, head: &RunHead) -> io::Result<()> {
        self.sink.begin(head)
    }

    fn target(&mut self, judged: &Judged<'_>) -> io::Result<()> {
        self.sink.target(judged)
    }

    fn finish(&mut self, end: &RunEnd<'_>) -> io::Result<()> {
        self.sink.finish(end)?;
        self.held.seek(SeekFrom::Start(0))?;
        io::copy(&mut self.held, &mut self.out)?;
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample::{dossiers, feed};
    use super::*;

    #[test]
    fn what_is_held_comes_out_at_the_end_and_as_it_was_written_last() {
        for format in [Format::ListingsCsv, Format::Json, Format::Jsonl, Format::Table] {
            let written = |times: usize| {
                let mut out = Vec::new();
                let mut sink = HeldSink::new(Box::new(&mut out), format, &Options::default()).expect("built");
                for _ in 1..times {
                    let all = dossiers();
                    feed(sink.sink.as_mut(), &all[1..]).expect("to a file");
                    sink.start_over().expect("another file");
                }
                feed(&mut sink, &dossiers()).expect("to memory");
                drop(sink);
                out
            };
            let mut plain = Vec::new();
            let mut sink = format
                .sink(Box::new(&mut plain), None, &Options::default())
                .expect("built");
            feed(sink.as_mut(), &dossiers()).expect("to memory");
            drop(sink);
            assert!(written(1) == plain && written(3) == plain, "{format:?}");
        }
    }
}
