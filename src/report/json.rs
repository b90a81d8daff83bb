//! JSON: one object a line ([`JsonlSink`]), or one document `{"run":{…},"lists":[…],"targets":[…]}` ([`JsonSink`]).
//!
//! Of an audit the document has `"audit":{…}` before its targets; where an earlier run is compared with, `"changes":{…}`.
//!
//! The document opens with what is known last. So its targets wait in a spool, a temporary file that is copied behind the
//! head at the end; memory stays small whatever the number of targets.

use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};

use super::record::{RunRecord, TargetRecord, to_json};
use super::sink::{Judged, RunEnd, RunHead, Sink};

/// One JSON object for each target, a line each.
#[derive(Debug)]
pub struct JsonlSink<W: Write> {
    out: W,
}

impl<W: Write> JsonlSink<W> {
    /// A sink that writes to `out`; give it a buffer.
    pub fn new(out: W) -> JsonlSink<W> {
        JsonlSink { out }
    }
}

impl<W: Write> Sink for JsonlSink<W> {
    fn begin(&mut self, _: &RunHead) -> io::Result<()> {
        Ok(())
    }

    fn target(&mut self, judged: &Judged<'_>) -> io::Result<()> {
        let mut line = to_json(&TargetRecord(*judged));
        line.push('\n'); // one write a line: whoever reads along never sees half an object
        self.out.write_all(line.as_bytes())
    }

    fn finish(&mut self, _: &RunEnd<'_>) -> io::Result<()> {
        self.out.flush()
    }
}

/// One document, the run first.
#[derive(Debug)]
pub struct JsonSink<W: Write, S: Read + Write + Seek> {
    out: W,
    spool: BufWriter<S>,
    any: bool,
}

impl<W: Write, S: Read + Write + Seek> JsonSink<W, S> {
    /// A sink that writes to `out`. `spool` is an empty place for the targets until the end: a temporary file.
    pub fn new(out: W, spool: S) -> JsonSink<W, S> {
        JsonSink {
            out,
            spool: BufWriter::new(spool),
            any: false,
        }
    }
}

impl<W: Write, S: Read + Write + Seek> Sink for JsonSink<W, S> {
    fn begin(&mut self, _: &RunHead) -> io::Result<()> {
        Ok(())
    }

    fn target(&mut self, judged: &Judged<'_>) -> io::Result<()> {
        let separator = if std::mem::replace(&mut self.any, true) {
            ",\n"
        } else {
            "\n"
        };
        self.spool.write_all(separator.as_bytes())?;
        self.spool.write_all(to_json(&TargetRecord(*judged)).as_bytes())
    }

    fn finish(&mut self, end: &RunEnd<'_>) -> io::Result<()> {
        // What changed is told once, as `changes`: it is no fact of the run alone.
        let run = RunRecord {
            diff: None,
            ..end.run.clone()
        };
        writeln!(self.out, "{{\"run\":{},", to_json(&run))?;
        self.out.write_all(b"\"lists\":[")?;
        for (at, list) in end.lists.iter().enumerate() {
            let separator = if at == 0 { "\n" } else { ",\n" };
            write!(self.out, "{separator}{}", to_json(list))?;
        }
        self.out.write_all(b"\n],\n")?;
        if let Some(audit) = end.audit {
            writeln!(self.out, "\"audit\":{},", to_json(audit))?;
        }
        if let Some(changes) = end.changes {
            writeln!(self.out, "\"changes\":{},", to_json(changes))?;
        }
        self.out.write_all(b"\"targets\":[")?;
        self.spool.flush()?;
        let spool = self.spool.get_mut();
        spool.seek(SeekFrom::Start(0))?;
        io::copy(spool, &mut self.out)?;
        self.out.write_all(b"\n]}\n")?;
        self.out.flush()
    }
}
