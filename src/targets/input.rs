//! Reads targets from arguments, files and standard input, one a line.
//!
//! What stands behind `#` is a comment; blank lines, blanks around a target, CRLF and a UTF-8 byte order mark are
//! tolerated. Every bad line is reported, not the first only: the user mends them in one go. Nothing is read twice, and
//! memory follows what is kept, not what is read: ten gigabytes of comments, doubles and neighbours are read to their end.
//! Devices do not end by themselves: `/dev/zero` is left for having no line ends, `/dev/urandom` for having no targets.

use std::fs::File;
use std::io::{self, BufRead, BufReader};

use super::build::{Builder, Full};
use super::error::{ParseError, Place, TargetError, TargetErrors, Why};
use super::parse::{Ip6Unit, parse};
use super::set::TargetSet;

/// Longest line that is looked at; of a longer one, only a comment may be beyond. The longest name has 253 characters
/// (a few times that in UTF-8, before it is mapped).
pub const LINE_OCTETS_MAX: usize = 4096;

/// Octets without a line end after which an input is no list of targets, and is left.
pub const LINE_READ_MAX: u64 = 1 << 26;

/// Bad lines after which an input is no list of targets, and is left.
pub const BAD_LINES_MAX: u64 = 10_000;

/// The byte order marks of UTF-16: editors on Windows write it.
const UTF16_MARKS: [&[u8]; 2] = [b"\xff\xfe", b"\xfe\xff"];

/// Whether a first line is of UTF-16, by its mark, or by the zero beside its first letter where others have left that out.
fn is_utf16(line: &[u8]) -> bool {
    UTF16_MARKS.iter().any(|mark| line.starts_with(mark)) || line.iter().take(2).any(|octet| *octet == 0)
}

/// How input is read.
#[derive(Debug, Clone, Copy, Default)]
pub struct ReadOptions {
    /// What IPv6 prefixes and ranges are cut into.
    pub ip6_unit: Ip6Unit,
}

impl TargetSet {
    /// Reads all targets. An argument is a target, `@FILE` for the lines of a file, or `-` for those of `stdin`.
    ///
    /// # Errors
    /// Everything that is wrong with any of it, each thing with its place. A set without targets is no error.
    pub fn read(
        arguments: &[String],
        stdin: &mut dyn BufRead,
        options: ReadOptions,
    ) -> Result<TargetSet, Box<TargetErrors>> {
        let mut reader = Reader {
            options,
            builder: Builder::new(),
            errors: TargetErrors::default(),
        };
        let mut stdin = Some(stdin);
        for (index, argument) in arguments.iter().enumerate() {
            if let Err(Left) = reader.argument(index + 1, argument, &mut stdin) {
                break;
            }
        }
        if !reader.errors.is_empty() {
            return Err(Box::new(reader.errors));
        }
        Ok(reader.builder.finish())
    }
}

/// Nothing more is read; the errors say why.
struct Left;

struct Reader {
    options: ReadOptions,
    builder: Builder,
    errors: TargetErrors,
}

impl Reader {
    fn argument(&mut self, number: usize, text: &str, stdin: &mut Option<&mut dyn BufRead>) -> Result<(), Left> {
        let place = || Place::Argument(number);
        if text == "-" {
            return match stdin.take() {
                Some(stdin) => self.source("<stdin>", stdin),
                None => {
                    self.error(place, text, Why::StdinTwice.into());
                    Ok(())
                }
            };
        }
        let Some(path) = text.strip_prefix('@') else {
            return self.target(place, text.trim());
        };
        if path.is_empty() {
            self.error(place, text, Why::NoFile.into());
            return Ok(());
        }
        match File::open(path) {
            Ok(file) => self.source(path, &mut BufReader::new(file)),
            Err(error) => {
                self.error(place, text, Why::Io(error.to_string()).into());
                Ok(())
            }
        }
    }

    /// Reads the lines of a file or of standard input.
    fn source(&mut self, name: &str, source: &mut dyn BufRead) -> Result<(), Left> {
        let mut line = Vec::new();
        for number in 1.. {
            let place = || Place::Line(name.to_owned(), number);
            line.clear();
            match read_line(source, &mut line, LINE_READ_MAX) {
                Ok(0) => break,
                Ok(LINE_READ_MAX) => return self.leave(place, "", Why::LineEndless),
                Ok(_) => (),
                Err(error) => {
                    self.error(place, "", Why::Io(error.to_string()).into());
                    break;
                }
            }
            if number == 1 && is_utf16(&line) {
                self.error(place, "", Why::Utf16.into());
                break;
            }
            if number == 1 && line.starts_with(b"\xef\xbb\xbf") {
                line.drain(..3);
            }
            self.line(place, &line)?;
            if self.errors.count() >= BAD_LINES_MAX {
                return self.leave(place, "", Why::BadLines);
            }
        }
        Ok(())
    }

    fn line(&mut self, place: impl Fn() -> Place, line: &[u8]) -> Result<(), Left> {
        let comment = line.iter().position(|&octet| octet == b'#');
        let content = line[..comment.unwrap_or(line.len())].trim_ascii();
        if comment.is_none() && line.len() > LINE_OCTETS_MAX {
            self.error(place, &String::from_utf8_lossy(content), Why::LineLong.into());
            return Ok(());
        }
        match std::str::from_utf8(content).map(str::trim) {
            Ok("") => Ok(()),
            Ok(text) if text == "-" || text.starts_with('@') => {
                self.error(place, text, Why::Nested.into());
                Ok(())
            }
            Ok(text) => self.target(place, text),
            Err(_) => {
                self.error(place, &String::from_utf8_lossy(content), Why::NotUtf8.into());
                Ok(())
            }
        }
    }

    fn target(&mut self, place: impl Fn() -> Place, text: &str) -> Result<(), Left> {
        match parse(text, self.options.ip6_unit) {
            Ok(form) => match self.builder.add(&form) {
                Ok(()) => Ok(()),
                Err(Full) => self.leave(place, text, Why::Full),
            },
            Err(error) => {
                self.error(place, text, error);
                Ok(())
            }
        }
    }

    fn leave(&mut self, place: impl Fn() -> Place, text: &str, why: Why) -> Result<(), Left> {
        self.errors.left(TargetError {
            place: place(),
            text: text.to_owned(),
            error: why.into(),
        });
        Err(Left)
    }

    fn error(&mut self, place: impl Fn() -> Place, text: &str, error: ParseError) {
        self.errors.add(|| TargetError {
            place: place(),
            text: text.to_owned(),
            error,
        });
    }
}

/// Reads a line with its end, of which it keeps [`LINE_OCTETS_MAX`] + 1 octets, and says how many octets it has: 0 at the
/// end of the source. It reads no more than `octets_max`.
fn read_line(source: &mut dyn BufRead, line: &mut Vec<u8>, octets_max: u64) -> io::Result<u64> {
    let mut octets = 0;
    while octets < octets_max {
        let ready = match source.fill_buf() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            ready => ready?,
        };
        let ready = &ready[..ready
            .len()
            .min(usize::try_from(octets_max - octets).unwrap_or(usize::MAX))];
        let end = ready.iter().position(|&octet| octet == b'\n');
        let used = end.map_or(ready.len(), |end| end + 1);
        let kept = end.unwrap_or(used).min(LINE_OCTETS_MAX + 1 - line.len());
        line.extend_from_slice(&ready[..kept]);
        source.consume(used);
        octets += used as u64;
        if end.is_some() || used == 0 {
            break;
        }
    }
    Ok(octets)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::super::error::ERRORS_SHOWN_MAX;
    use super::*;

    fn read(arguments: &[&str], stdin: &[u8]) -> Result<TargetSet, Box<TargetErrors>> {
        let arguments: Vec<String> = arguments.iter().map(|&argument| argument.to_owned()).collect();
        TargetSet::read(
            &arguments,
            &mut BufReader::with_capacity(7, stdin),
            ReadOptions::default(),
        )
    }

    fn all(set: &TargetSet) -> Vec<String> {
        set.chunks()
            .flat_map(|chunk| chunk.iter())
            .map(|target| target.to_string())
            .collect()
    }

    fn errors(arguments: &[&str], stdin: &[u8]) -> String {
        read(arguments, stdin).expect_err("bad input").to_string()
    }

    #[test]
    fn lines_may_have_comments_blanks_and_foreign_ends() {
        let text = "\u{feff}192.0.2.1\r\n\r\n# all of it\n  b.example # why\n\t\n192.0.2.2#x\n\u{a0}c.example\u{a0}";
        let set = read(&["-"], text.as_bytes()).expect("good input");
        assert_eq!(all(&set), ["192.0.2.1", "b.example", "192.0.2.2", "c.example"]);
    }

    #[test]
    fn arguments_files_and_standard_input_come_in_order() {
        let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
        file.write_all(b"file.example\n192.0.2.2").expect("written");
        let at_file = format!("@{}", file.path().display());
        let set = read(&["a.example", &at_file, "-", "z.example"], b"192.0.2.0/30\n").expect("good input");
        let expected = [
            "a.example",
            "file.example",
            "192.0.2.2",
            "192.0.2.0",
            "192.0.2.1",
            "192.0.2.3",
            "z.example",
        ];
        assert_eq!(all(&set), expected);
        assert_eq!(set.duplicates(), 1);
    }

    #[test]
    fn every_bad_line_is_told_with_its_place_and_mend() {
        let text = errors(
            &["192.0.2.7/24", "ok.example", "-", "-", "@", "@/nowhere/at all"],
            b"ok.example\na b\n\xff\n@x\n-\n",
        );
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines[0],
            "argument 1: 192.0.2.7/24: the address is not the first of the prefix; did you mean 192.0.2.0/24?"
        );
        assert_eq!(
            lines[1],
            "<stdin>:2: a b: a target has no blank inside; write one a line"
        );
        assert_eq!(lines[2], "<stdin>:3: \u{fffd}: not UTF-8");
        assert!(lines[3].starts_with("<stdin>:4: @x: a file cannot"));
        assert!(lines[4].starts_with("<stdin>:5: -: a file cannot"));
        assert_eq!(lines[5], "argument 4: -: standard input can be read once only");
        assert_eq!(lines[6], "argument 5: @: no file name behind @");
        assert!(lines[7].starts_with("argument 6: @/nowhere/at all: No such file"));
        assert_eq!(lines.len(), 8);
    }

    #[test]
    fn many_bad_lines_are_counted() {
        let text = errors(&["-"], &b"1.2.3\n".repeat(1000));
        assert_eq!(text.lines().count(), ERRORS_SHOWN_MAX + 1);
        assert!(text.ends_with("and 980 more"));
    }

    #[test]
    fn long_lines_are_bounded() {
        let comment = [b"a.example #".as_slice(), &[b'x'; 3 * LINE_OCTETS_MAX], b"\nb.example"].concat();
        assert_eq!(
            all(&read(&["-"], &comment).expect("a long comment")),
            ["a.example", "b.example"]
        );
        let long = [&[b'x'; 3 * LINE_OCTETS_MAX][..], b"\nb.example"].concat();
        let text = errors(&["-"], &long);
        assert!(
            text.starts_with("<stdin>:1: xxx") && text.ends_with("a line too long to be a target"),
            "{text}"
        );
    }

    #[test]
    fn a_source_without_end_is_left() {
        let mut line = Vec::new();
        let octets = read_line(&mut BufReader::new(io::repeat(0)), &mut line, 100_000).expect("zeros");
        assert_eq!((octets, line.len()), (100_000, LINE_OCTETS_MAX + 1));
    }

    #[test]
    fn what_is_no_list_of_targets_is_left_with_the_reason_last() {
        let text = errors(&["-"], &vec![0; LINE_READ_MAX as usize + 5]);
        assert_eq!(
            text,
            "<stdin>:1: no line end in 64 MiB: this is no list of targets; reading stops here"
        );
        let text = errors(&["-"], &b"?\n".repeat(BAD_LINES_MAX as usize + 5));
        assert_eq!(text.lines().count(), ERRORS_SHOWN_MAX + 2);
        assert!(
            text.ends_with(
                "and 9980 more\n<stdin>:10000: 10000 bad lines: this is no list of targets; reading stops here"
            ),
            "{text}"
        );
    }

    #[test]
    fn utf16_is_named_once() {
        for input in [
            &b"\xff\xfea\0.\0b\0\n\0c\0\n\0"[..],
            b"a\0.\0b\0\n\0c\0\n\0",
            b"\0a\0.\0b\0\n\0c\0\n",
        ] {
            assert_eq!(errors(&["-"], input), "<stdin>:1: UTF-16; save it as UTF-8");
        }
    }

    #[test]
    fn a_directory_is_an_error_and_nothing_is_an_empty_set() {
        assert!(errors(&["@/"], b"").contains("/:1: "));
        assert!(read(&["-"], b"# none\n").expect("no error").is_empty());
        assert_eq!(read(&[], b"").expect("no error").chunk_count(), 0);
    }

    proptest::proptest! {
        /// Whatever the octets: no panic, and either targets or errors.
        #[test]
        fn any_octets_are_read(octets in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
            match read(&["-"], &octets) {
                Ok(set) => proptest::prop_assert_eq!(set.chunks().map(|chunk| chunk.len() as u64).sum::<u64>(), set.len()),
                Err(errors) => proptest::prop_assert!(!errors.shown().is_empty()),
            }
        }

        /// Near-targets: what is accepted comes out again as itself; what is guessed is a target.
        #[test]
        fn near_targets_are_read(text in "[0-9a-f.:/@%*\\[\\]é_-]{0,24}") {
            match text.parse::<super::super::target::Target>() {
                Ok(target) => proptest::prop_assert_eq!(target.to_string().parse(), Ok(target)),
                Err(error) => if let Some(mend) = error.mend {
                    proptest::prop_assert!(mend.starts_with('@') || parse(&mend, Ip6Unit::Address).is_ok());
                },
            }
        }
    }
}
