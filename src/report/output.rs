//! The files that a run writes: which format a path asks for, and how a file appears whole or not at all.
//!
//! A suffix names the format; a folder gets one file of every format that is built. Each file is written under a temporary
//! name beside its place and renamed at the end, so that nobody reads half a report and an interrupted run leaves the old
//! one. Everything that can go wrong with a path goes wrong in [`Outputs::open`], before the first query. A path that is
//! not a plain file (a named pipe, a device) is written to directly; at the end, if what is written may be revised.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use tempfile::{Builder, NamedTempFile};

use super::csv::{ListingsCsv, ListsCsv, TargetsCsv};
use super::escape::visible_octets;
use super::held::{HeldSink, Spool};
use super::html::HtmlSink;
use super::json::{JsonSink, JsonlSink};
use super::markdown::MarkdownSink;
#[cfg(feature = "parquet")]
use super::parquet::ParquetSink;
use super::prometheus::PrometheusSink;
use super::reputon::ReputonSink;
use super::sink::{Judged, RunEnd, RunHead, Sink};
use super::table::TableSink;

/// What a report may be written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// Listings, one row a pair.
    ListingsCsv,
    /// Targets, one row each.
    TargetsCsv,
    /// Lists, one row each.
    ListsCsv,
    /// One document.
    Json,
    /// One object a line.
    Jsonl,
    /// Markdown.
    Markdown,
    /// The Prometheus textfile format.
    Prometheus,
    /// One self-contained page.
    Html,
    /// RFC 7071 reputons.
    Reputons,
    /// Apache Parquet.
    Parquet,
    /// A table for a terminal; never a file's format.
    Table,
}

/// Suffixes and what they stand for; longer ones first where one ends with another.
const SUFFIXES: [(&str, Format); 10] = [
    (".targets.csv", Format::TargetsCsv),
    (".lists.csv", Format::ListsCsv),
    (".csv", Format::ListingsCsv),
    (".reputon.json", Format::Reputons),
    (".jsonl", Format::Jsonl),
    (".json", Format::Json),
    (".md", Format::Markdown),
    (".prom", Format::Prometheus),
    (".html", Format::Html),
    (".parquet", Format::Parquet),
];

/// The name, before the suffix, of the files in a folder.
const STEM: &str = "report";

/// How to write, beside where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Also rows of what is not listed (listings CSV, Parquet).
    pub all_rows: bool,
    /// Columns of a table.
    pub width: u16,
    /// Whether a table is in colour.
    pub colour: bool,
    /// Whether files may have to be written anew ([`Outputs::start_over`]).
    pub revisable: bool,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            all_rows: false,
            width: 80,
            colour: false,
            revisable: false,
        }
    }
}

/// Why a report cannot be written where it was wanted.
#[derive(Debug, thiserror::Error)]
pub enum OutputError {
    /// The suffix names no format.
    #[error("cannot tell the format of {}: name it by its suffix, one of {}", shown(.0), known())]
    UnknownSuffix(PathBuf),
    /// The format is known but this program was built without it.
    #[error("cannot write {path}: this build does not write {format:?}; choose another suffix", path = shown(.0), format = .1)]
    NotBuilt(PathBuf, Format),
    /// The same file twice.
    #[error("{} is named twice: leave one out", shown(.0))]
    Twice(PathBuf),
    /// A folder was named, by a final slash or for want of a suffix, and something else is there.
    #[error("cannot write {path}: no suffix, so that it would be a folder, and a file is there; name it by a suffix such as .csv, or name a folder", path = shown(.0))]
    NoFolder(PathBuf),
    /// The place cannot be written to.
    #[error("cannot write {path}: {error}; make its folder, or name a place you may write to", path = shown(.0), error = .1)]
    Unwritable(PathBuf, #[source] io::Error),
}

/// A file's name may hold anything.
fn shown(path: &Path) -> String {
    visible_octets(path.as_os_str().as_encoded_bytes())
}

fn known() -> String {
    SUFFIXES.map(|(suffix, _)| suffix).join(", ")
}

impl Format {
    /// The format that a file's name asks for.
    ///
    /// # Errors
    /// If its suffix is none of the known ones.
    pub fn of_path(path: &Path) -> Result<Format, OutputError> {
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .to_ascii_lowercase();
        let found = SUFFIXES.iter().find(|(suffix, _)| name.ends_with(suffix));
        let (_, format) = found.ok_or_else(|| OutputError::UnknownSuffix(path.to_owned()))?;
        Ok(*format)
    }

    /// Whether this build writes it.
    pub fn is_built(self) -> bool {
        cfg!(feature = "parquet") || self != Format::Parquet
    }

    /// A sink of this format. `spool` is a folder for temporary files; none: the system's.
    ///
    /// # Errors
    /// If the format is not built, or the spool cannot be made.
    pub fn sink<'w>(
        self,
        out: Box<dyn Write + Send + 'w>,
        spool: Option<&Path>,
        options: &Options,
    ) -> io::Result<Box<dyn Sink + Send + 'w>> {
        Ok(match self {
            Format::ListingsCsv => Box::new(ListingsCsv::new(out, options.all_rows)),
            Format::TargetsCsv => Box::new(TargetsCsv::new(out)),
            Format::ListsCsv => Box::new(ListsCsv::new(out)),
            Format::Json => Box::new(JsonSink::new(out, Spool::open(spool)?)),
            Format::Html => Box::new(HtmlSink::new(out, Spool::open(spool)?)),
            Format::Jsonl => Box::new(JsonlSink::new(out)),
            Format::Markdown => Box::new(MarkdownSink::new(out)),
            Format::Prometheus => Box::new(PrometheusSink::new(out)),
            Format::Reputons => Box::new(ReputonSink::new(out)),
            Format::Table => Box::new(TableSink::new(out, options.width, options.colour)),
            #[cfg(feature = "parquet")]
            Format::Parquet => Box::new(ParquetSink::new(out, Spool::open(spool)?, options.all_rows)?),
            #[cfg(not(feature = "parquet"))]
            other => {
                return Err(io::Error::new(
                    io::ErrorKind::Unsupported,
                    format!("{other:?} is not built"),
                ));
            }
        })
    }
}

/// All files of a run, as one sink.
#[derive(Default)]
pub struct Outputs {
    files: Vec<Output>,
    options: Options,
}

/// One file.
struct Output {
    /// Where the user wanted it.
    path: PathBuf,
    format: Format,
    sink: Box<dyn Sink + Send>,
    /// The file under its temporary name, and its place; none if it is written to directly.
    pending: Option<(NamedTempFile, PathBuf)>,
}

impl Outputs {
    /// Opens all outputs, in the order given.
    ///
    /// # Errors
    /// Names the first path that cannot be written, and what to do about it. Nothing is left behind.
    pub fn open(paths: &[PathBuf], options: &Options) -> Result<Outputs, OutputError> {
        let mut outputs = Outputs {
            files: Vec::new(),
            options: *options,
        };
        for path in paths {
            if path.is_dir() || path.as_os_str().to_string_lossy().ends_with('/') {
                let name = path.as_os_str().to_string_lossy();
                let file = Path::new(name.trim_end_matches('/'));
                if !name.trim_end_matches('/').is_empty() && file.exists() && !file.is_dir() {
                    return Err(OutputError::NoFolder(file.to_owned()));
                }
                fs::create_dir_all(path).map_err(|error| OutputError::Unwritable(path.clone(), error))?;
                for (suffix, format) in SUFFIXES.iter().filter(|(_, format)| format.is_built()) {
                    outputs.push(path.join(format!("{STEM}{suffix}")), *format, options)?;
                }
            } else {
                outputs.push(path.clone(), Format::of_path(path)?, options)?;
            }
        }
        Ok(outputs)
    }

    /// Forgets what was written to all files, and begins anew.
    ///
    /// # Errors
    /// If a file cannot be opened again, or is written to directly: unless they were opened as revisable.
    pub fn start_over(&mut self) -> io::Result<()> {
        for output in &mut self.files {
            if output.pending.is_none() && !self.options.revisable {
                return Err(output.named(io::ErrorKind::NotSeekable.into()));
            }
            let again = Output::open(&output.path, output.format, &self.options);
            *output = again.map_err(|error| output.named(error))?;
        }
        Ok(())
    }

    /// The paths, in order.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        self.files.iter().map(|output| output.path.as_path())
    }

    fn push(&mut self, path: PathBuf, format: Format, options: &Options) -> Result<(), OutputError> {
        if !format.is_built() {
            return Err(OutputError::NotBuilt(path, format));
        }
        if self.paths().any(|other| other == path) {
            return Err(OutputError::Twice(path));
        }
        match Output::open(&path, format, options) {
            Ok(output) => self.files.push(output),
            Err(error) => return Err(OutputError::Unwritable(path, error)),
        }
        Ok(())
    }
}

impl Output {
    fn open(path: &Path, format: Format, options: &Options) -> io::Result<Output> {
        let folder = |path: &Path| match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
            _ => PathBuf::from("."),
        };
        // A link is followed: what it points to is replaced, not the link.
        let place = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let (sink, pending) = match fs::metadata(&place) {
            Ok(found) if !found.is_file() => {
                let out = Box::new(BufWriter::new(File::options().write(true).open(&place)?));
                let sink: Box<dyn Sink + Send> = match options.revisable {
                    true => Box::new(HeldSink::new(out, format, options)?),
                    false => format.sink(out, None, options)?,
                };
                (sink, None)
            }
            _ => {
                let temporary = temporary(&folder(&place))?;
                let out = Box::new(BufWriter::new(temporary.as_file().try_clone()?));
                let sink = format.sink(out, Some(&folder(&place)), options)?;
                (sink, Some((temporary, place)))
            }
        };
        Ok(Output {
            path: path.to_owned(),
            format,
            sink,
            pending,
        })
    }

    fn close(&mut self) -> io::Result<()> {
        let Some((temporary, place)) = self.pending.take() else {
            return Ok(());
        };
        temporary.as_file().sync_all()?;
        temporary.persist(place)?;
        Ok(())
    }

    /// An error of this file, with its path.
    fn named(&self, error: io::Error) -> io::Error {
        io::Error::new(error.kind(), format!("{}: {error}", shown(&self.path)))
    }
}

/// A temporary file that becomes an ordinary one: as readable as the umask lets it be.
fn temporary(folder: &Path) -> io::Result<NamedTempFile> {
    let mut builder = Builder::new();
    builder.prefix(".reputon-").suffix(".part");
    let mut options = File::options();
    options.read(true).write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o666);
    }
    // The user did not name the temporary file: an error is the system's own words, without it.
    let mut system = None;
    let made = builder.make_in(folder, |path| {
        let opened = options.open(path);
        system = opened.as_ref().err().and_then(io::Error::raw_os_error);
        opened
    });
    made.map_err(|error| system.map_or(error, io::Error::from_raw_os_error))
}

impl Sink for Outputs {
    fn begin(&mut self, head: &RunHead) -> io::Result<()> {
        self.files
            .iter_mut()
            .try_for_each(|output| output.sink.begin(head).map_err(|error| output.named(error)))
    }

    fn target(&mut self, judged: &Judged<'_>) -> io::Result<()> {
        self.files
            .iter_mut()
            .try_for_each(|output| output.sink.target(judged).map_err(|error| output.named(error)))
    }

    /// Finishes every file, whatever becomes of the others, and puts it in its place; the first error is told.
    fn finish(&mut self, end: &RunEnd<'_>) -> io::Result<()> {
        let mut result = Ok(());
        for output in &mut self.files {
            let finished = output.sink.finish(end).and_then(|()| output.close());
            result = result.and(finished.map_err(|error| output.named(error)));
        }
        result
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample::{dossiers, feed};
    use super::*;

    #[test]
    fn files_appear_at_the_end_and_a_folder_gets_the_set() {
        let device = open_error("/dev/full/").to_string();
        assert!(device.starts_with("cannot write /dev/full: no suffix, "), "{device}");
        let folder = tempfile::tempdir().expect("a place for temporary files");
        let (one, set) = (folder.path().join("one.jsonl"), folder.path().join("set"));
        std::fs::create_dir(&set).expect("an empty folder");
        std::fs::write(&one, "old").expect("writable");
        let names = |place: &std::path::Path| -> Vec<String> {
            let entries = std::fs::read_dir(place).expect("readable");
            let mut names: Vec<String> = entries
                .map(|entry| entry.expect("readable").file_name().to_string_lossy().into_owned())
                .collect();
            names.sort();
            names
        };
        let mut outputs = Outputs::open(&[one.clone(), set.clone()], &Options::default()).expect("writable");
        assert_eq!(std::fs::read_to_string(&one).expect("there"), "old");
        feed(&mut outputs, &dossiers()).expect("writable");
        let text = std::fs::read_to_string(&one).expect("there");
        let mut expected = Vec::new();
        feed(&mut JsonlSink::new(&mut expected), &dossiers()).expect("to memory");
        assert_eq!(text.as_bytes(), expected);
        assert_eq!(names(folder.path()), ["one.jsonl", "set"], "no temporary file is left");
        for wanted in [
            "report.csv",
            "report.targets.csv",
            "report.lists.csv",
            "report.json",
            "report.jsonl",
        ] {
            assert!(names(&set).contains(&wanted.to_owned()), "{wanted}");
        }
    }

    #[test]
    fn outputs_that_are_dropped_leave_the_old_file() {
        let folder = tempfile::tempdir().expect("a place for temporary files");
        let path = folder.path().join("one.csv");
        std::fs::write(&path, "old").expect("writable");
        drop(Outputs::open(std::slice::from_ref(&path), &Options::default()).expect("writable"));
        assert_eq!(std::fs::read_to_string(&path).expect("there"), "old");
        assert_eq!(std::fs::read_dir(folder.path()).expect("readable").count(), 1);
    }

    #[test]
    fn what_is_written_anew_is_what_the_files_have() {
        let folder = tempfile::tempdir().expect("a place for temporary files");
        let options = Options {
            revisable: true,
            ..Options::default()
        };
        let (path, null) = (folder.path().join("one.jsonl"), PathBuf::from("/dev/null"));
        std::os::unix::fs::symlink(&null, folder.path().join("null.csv")).expect("writable");
        let paths = [path.clone(), folder.path().join("null.csv")];
        let mut outputs = Outputs::open(&paths, &options).expect("writable");
        let all = dossiers();
        for output in &mut outputs.files {
            feed(output.sink.as_mut(), &all[1..]).expect("writable");
        }
        outputs.start_over().expect("they are opened again");
        feed(&mut outputs, &all).expect("writable");
        let mut expected = Vec::new();
        feed(&mut JsonlSink::new(&mut expected), &all).expect("to memory");
        assert_eq!(std::fs::read(&path).expect("there"), expected);
        drop(outputs);
        assert_eq!(std::fs::read_dir(folder.path()).expect("readable").count(), 2);
    }

    fn open_error(path: &str) -> OutputError {
        let opened = Outputs::open(&[PathBuf::from(path)], &Options::default());
        opened.err().expect("it cannot be written")
    }

    #[test]
    fn bad_paths_are_found_before_the_run_and_name_the_mend() {
        insta::assert_snapshot!(open_error("report.xlsx"), @r"cannot tell the format of report.xlsx: name it by its suffix, one of .targets.csv, .lists.csv, .csv, .reputon.json, .jsonl, .json, .md, .prom, .html, .parquet");
        #[cfg(not(feature = "parquet"))]
        insta::assert_snapshot!(open_error("report.parquet"), @r"cannot write report.parquet: this build does not write Parquet; choose another suffix");
        let hostile = open_error("a\u{1b}[2J.exe").to_string();
        assert!(
            hostile.starts_with("cannot tell the format of a\\x1b[2J.exe: "),
            "{hostile}"
        );
        let missing = open_error("/no-such-folder/report.csv").to_string();
        assert!(
            missing.starts_with("cannot write /no-such-folder/report.csv: "),
            "{missing}"
        );
        assert!(
            missing.ends_with("(os error 2); make its folder, or name a place you may write to"),
            "{missing}"
        );
        assert!(!missing.contains(".part"), "{missing}");
        let folder = tempfile::tempdir().expect("a place for temporary files");
        let path = folder.path().join("x.csv");
        let twice = Outputs::open(&[path.clone(), path], &Options::default());
        assert!(matches!(twice.err(), Some(OutputError::Twice(_))));
    }

    #[cfg(unix)]
    #[test]
    fn a_pipe_is_written_to_and_a_link_is_followed() {
        use std::os::unix::fs::symlink;
        let folder = tempfile::tempdir().expect("a place for temporary files");
        let (real, link) = (folder.path().join("real.csv"), folder.path().join("link.csv"));
        std::fs::write(&real, "old").expect("writable");
        symlink(&real, &link).expect("writable");
        let null = folder.path().join("null.jsonl");
        symlink("/dev/null", &null).expect("writable");
        let mut outputs = Outputs::open(&[link.clone(), null.clone()], &Options::default()).expect("writable");
        feed(&mut outputs, &dossiers()).expect("writable");
        assert!(std::fs::symlink_metadata(&link).expect("there").is_symlink());
        assert!(
            std::fs::read_to_string(&real)
                .expect("there")
                .starts_with("target,list,")
        );
        assert!(
            !std::fs::metadata("/dev/null").expect("there").is_file(),
            "the device is still a device"
        );
    }

    #[test]
    fn every_suffix_is_told_from_the_others() {
        for (suffix, format) in SUFFIXES {
            let path = PathBuf::from(format!("/some.where/Name.V2{}", suffix.to_uppercase()));
            assert_eq!(Format::of_path(&path).expect("known"), format);
        }
        assert!(Format::of_path(Path::new("csv")).is_err());
    }
}
