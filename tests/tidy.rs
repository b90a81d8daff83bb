//! The house rules that a compiler does not hold: who may import whom, and where unsafe code, sockets, clocks and threads
//! may be. The rules read the source line by line, which the formatter makes sound: one item a line, a block ends where
//! its indentation does.
//!
//! Code under `#[cfg(test)]`, and files that only such code brings in, may open sockets, threads and clocks. It keeps to
//! the floors like all other code.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The floors, from the ground. A part imports from lines above its own only. `wire` has a line of its own because it
/// takes its sizes from `datagram`.
const FLOORS: &[&[&str]] = &[
    &["clock", "datagram"],
    &["wire"],
    &["exchange", "targets", "zone", "transport"],
    &["engine", "dnsxl", "stages"],
    &["dossier", "plan"],
    &["scan", "verdict", "store"],
    &["report", "lab"],
    &["lib"],
    &["cli"],
    &["main"],
];

/// Lines of a face at most: prose, private modules, re-exports.
const FACE_LINES_MAX: usize = 50;

/// Lines of a file at most. A file is one idea; a longer one has two.
const FILE_LINES_MAX: usize = 800;

/// A source file.
struct Source {
    /// Its path below the project, with `/`.
    path: String,
    text: String,
    /// Only tests bring it in.
    test_only: bool,
}

/// A line of code: comments and what stands in quotes are gone.
struct Line {
    number: usize,
    code: String,
    test: bool,
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
    let entries = fs::read_dir(folder).expect("the project can be read");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            walk(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// All files below `src`.
fn sources() -> Vec<Source> {
    let mut paths = Vec::new();
    walk(&root().join("src"), &mut paths);
    let mut sources: Vec<Source> = paths
        .into_iter()
        .map(|path| Source {
            text: fs::read_to_string(&path).expect("source is UTF-8"),
            path: relative(&path),
            test_only: false,
        })
        .collect();
    assert!(sources.len() > 20, "the rules must see the source");
    let tests: HashSet<String> = sources.iter().flat_map(test_files).collect();
    for source in &mut sources {
        source.test_only = tests.contains(&source.path);
    }
    sources
}

fn relative(path: &Path) -> String {
    let path = path.strip_prefix(root()).expect("below the project");
    path.to_str().expect("paths are UTF-8").replace('\\', "/")
}

/// The files that a source brings in under `#[cfg(test)]`: `mod name;`, with or without `#[path = "…"]`.
fn test_files(source: &Source) -> Vec<String> {
    let folder = source.path.rsplit_once('/').expect("src/…").0;
    let stem = source.path.trim_end_matches(".rs");
    let face = ["/mod", "/lib", "/main"].iter().any(|name| stem.ends_with(name));
    let mut files = Vec::new();
    let mut lines = source.text.lines();
    while let Some(line) = lines.next() {
        if line.trim() != "#[cfg(test)]" {
            continue;
        }
        let mut given = None;
        for line in lines.by_ref() {
            let line = line.trim();
            if let Some(path) = line.strip_prefix("#[path = \"") {
                given = path.strip_suffix("\"]");
            } else if !line.starts_with("#[") {
                let name = line.strip_suffix(';').and_then(|line| line.split("mod ").nth(1));
                if let Some(name) = name {
                    let beside = if face { folder } else { stem };
                    files.push(match given {
                        Some(path) => format!("{folder}/{path}"),
                        None => format!("{beside}/{name}.rs"),
                    });
                }
                break;
            }
        }
    }
    files
}

impl Source {
    /// The part of the house that it belongs to: the folder, or the file, right below `src`.
    fn part(&self) -> &str {
        let below = self.path.strip_prefix("src/").expect("below src");
        below.split(['/', '.']).next().expect("split gives at least one")
    }

    fn is_in(&self, places: &[&str]) -> bool {
        places.iter().any(|place| self.path.starts_with(place))
    }

    fn lines(&self) -> Vec<Line> {
        let mut lines = Vec::new();
        // The indentation of the test block that we are in, and whether its attribute has just been seen.
        let (mut block, mut marked) = (None, false);
        for (index, line) in self.text.lines().enumerate() {
            let indent = line.len() - line.trim_start().len();
            let test = self.test_only || block.is_some() || marked;
            if marked && !line.trim_start().starts_with("#[") {
                marked = false;
                if line.trim_end().ends_with('{') {
                    block = Some(indent);
                }
            } else if block == Some(indent) && line.trim_start().starts_with('}') {
                block = None;
            }
            marked |= line.trim() == "#[cfg(test)]";
            let (number, code) = (index + 1, code_of(line));
            match lines.last_mut() {
                // An import over several lines is read as one.
                Some(Line { code: begun, .. }) if names(begun, "use") && begun.trim_end().ends_with(['{', ',']) => {
                    begun.push_str(&code);
                }
                _ => lines.push(Line { number, code, test }),
            }
        }
        lines
    }
}

/// A line without comments and without what stands in quotes.
fn code_of(line: &str) -> String {
    let mut code = String::new();
    let mut quoted = false;
    let mut letters = line.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' if quoted => _ = letters.next(),
            '\'' if letters.peek() == Some(&'"') => _ = letters.next(), // the character '"'
            '"' => quoted = !quoted,
            '/' if !quoted && letters.peek() == Some(&'/') => break,
            _ if !quoted => code.push(letter),
            _ => (),
        }
    }
    code
}

/// Whether `word` stands in the code as a whole path or word, not as a part of another.
fn names(code: &str, word: &str) -> bool {
    code.match_indices(word).any(|(at, _)| {
        let is_part = |letter: char| letter.is_alphanumeric() || letter == '_';
        !code[..at].chars().next_back().is_some_and(is_part)
            && !code[at + word.len()..].chars().next().is_some_and(is_part)
    })
}

/// Whether code imports or names one of `items` of the module `module`, alone or in a group.
fn takes(code: &str, module: &str, items: &[&str]) -> bool {
    if !names(code, module) {
        return false;
    }
    let behind = &code[code.find(module).expect("named") + module.len()..];
    behind.starts_with("::") && items.iter().any(|item| names(behind, item))
}

/// Fails with all complaints at once, each with its place.
fn hold(complaints: Vec<String>, mend: &str) {
    assert!(complaints.is_empty(), "{mend}\n  {}", complaints.join("\n  "));
}

/// The lines of all files outside `places` of which `bad` says so.
fn offences(places: &[&str], tests_too: bool, bad: impl Fn(&str) -> bool) -> Vec<String> {
    let mut found = Vec::new();
    for source in sources().iter().filter(|source| !source.is_in(places)) {
        for line in source.lines() {
            if (tests_too || !line.test) && bad(&line.code) {
                found.push(format!("{}:{}: {}", source.path, line.number, line.code.trim()));
            }
        }
    }
    found
}

fn floor_of(part: &str) -> Option<usize> {
    FLOORS.iter().position(|parts| parts.contains(&part))
}

/// The parts that a line of code names by `crate::`.
fn imports(code: &str) -> Vec<(&str, &str)> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        if code[..at].ends_with("(in ") || code[..at].ends_with('$') {
            continue; // pub(in crate::…) is a visibility, and a macro's $crate another matter
        }
        let path = &code[at + "crate::".len()..];
        let end = path.find(|letter: char| !letter.is_alphanumeric() && letter != '_');
        let (part, rest) = path.split_at(end.unwrap_or(path.len()));
        found.push((part, rest.trim_start_matches("::")));
    }
    found
}

#[test]
fn every_part_has_a_floor() {
    let complaints = sources()
        .iter()
        .filter(|source| floor_of(source.part()).is_none())
        .map(|source| source.path.clone())
        .collect();
    hold(
        complaints,
        "Give this part a line in FLOORS of tests/tidy.rs, and in the table of src/lib.rs:",
    );
}

#[test]
fn imports_go_down_only() {
    let mut complaints = Vec::new();
    for source in sources() {
        for line in source.lines() {
            for (part, _) in imports(&line.code) {
                let (own, other) = (floor_of(source.part()), floor_of(part));
                if part != source.part() && other >= own || other.is_none() {
                    let place = format!("{}:{}", source.path, line.number);
                    complaints.push(format!("{place}: {} imports `{part}`", source.part()));
                }
            }
        }
    }
    hold(
        complaints,
        "A part imports from lower floors only. Move what both need into a small file below both, or pass it as an \
         argument; name parts one by one, not as `crate::{…}`:",
    );
}

/// A folder's own files know each other by file (`super::file::Item`, or `crate::folder::file::Item` from folders within
/// it); what goes through the folder's face makes its files one knot.
#[test]
fn nobody_imports_through_the_own_face() {
    let mut complaints = Vec::new();
    for source in sources() {
        for line in source.lines() {
            for (part, rest) in imports(&line.code) {
                let by_file = rest.starts_with(|letter: char| letter.is_lowercase());
                if part == source.part() && !by_file && part != "cli" {
                    complaints.push(format!("{}:{}: {}", source.path, line.number, line.code.trim()));
                }
            }
        }
    }
    hold(
        complaints,
        "Import from the sibling's file (`super::file::Item`), not through your own mod.rs:",
    );
}

#[test]
fn unsafe_code_is_in_one_file() {
    let places = ["src/transport/batch.rs"];
    let complaints = offences(&places, true, |code| {
        names(code, "unsafe") || names(code, "unsafe_code")
    });
    hold(
        complaints,
        "Unsafe code is in src/transport/batch.rs alone. Find a safe way, or put it there with a SAFETY note:",
    );
}

#[test]
fn sockets_are_opened_in_few_places() {
    let places = ["src/transport/", "src/lab/", "src/stages/smtp"];
    let complaints = offences(&places, false, |code| {
        takes(code, "std::net", &["UdpSocket", "TcpStream", "TcpListener"])
            || names(code, "socket2")
            || names(code, "tokio::net")
    });
    hold(
        complaints,
        "Only transport, lab and the SMTP stage open sockets. Ask through the engine or a Resolver instead:",
    );
}

#[test]
fn r22_time_is_an_argument() {
    // The lab serves in real time, on threads of its own: nothing that is simulated goes through it.
    let complaints = offences(&["src/clock.rs", "src/lab/"], false, |code| {
        takes(code, "std::time", &["Instant", "SystemTime"])
    });
    hold(
        complaints,
        "Only src/clock.rs reads the machine's clock. Take a clock::Instant as an argument, or a Clock:",
    );
}

#[test]
fn r22_the_date_is_read_in_few_places() {
    let places = ["src/scan/", "src/store/", "src/cli/"];
    let complaints = offences(&places, false, |code| {
        takes(code, "Timestamp", &["now"]) || takes(code, "Zoned", &["now"])
    });
    hold(
        complaints,
        "Only scan, store and cli read the date. Take a jiff::Timestamp as an argument:",
    );
}

#[test]
fn threads_are_started_in_few_places() {
    let places = ["src/transport/", "src/scan/", "src/lab/", "src/cli/"];
    let complaints = offences(&places, false, |code| {
        takes(code, "std", &["thread"]) || takes(code, "thread", &["spawn", "Builder", "scope"])
    });
    hold(
        complaints,
        "Only transport, scan, lab and cli start threads. Let the caller bring them:",
    );
}

#[test]
fn every_file_says_what_it_is_for() {
    let complaints = sources()
        .iter()
        .filter(|source| !source.text.starts_with("//! "))
        .map(|source| source.path.clone())
        .collect();
    hold(
        complaints,
        "Open the file with a //! line: what it is for, what not, which RFC:",
    );
}

#[test]
fn faces_are_short() {
    let complaints = sources()
        .iter()
        .filter(|source| source.path.ends_with("/mod.rs") && source.text.lines().count() > FACE_LINES_MAX)
        .map(|source| format!("{}: {} lines", source.path, source.text.lines().count()))
        .collect();
    hold(
        complaints,
        "A mod.rs is a face of 50 lines at most. Move code into a file with a name:",
    );
}

#[test]
fn files_are_one_idea() {
    let complaints = sources()
        .iter()
        .filter(|source| source.text.lines().count() > FILE_LINES_MAX)
        .map(|source| format!("{}: {} lines", source.path, source.text.lines().count()))
        .collect();
    hold(complaints, "Over 800 lines are two ideas. Split the file by noun:");
}

#[test]
fn no_folder_has_the_name_that_tools_ignore() {
    assert!(
        !root().join("src/target").exists(),
        "tools take src/target for build output and skip it. Call it src/targets"
    );
}

#[test]
fn the_front_pages_name_no_absolute_paths() {
    let mut complaints = Vec::new();
    for page in ["README.md", "src/lib.rs"] {
        // The README may not be written yet; a page that is not there names nothing.
        let text = fs::read_to_string(root().join(page)).unwrap_or_default();
        for (index, line) in text.lines().enumerate() {
            let homes = ["/home/", "/root/", "/tmp/", "/Users/", "/usr/", "/opt/", "C:\\"];
            let own = |word: &str| homes.iter().any(|home| word.starts_with(home));
            let mut words = line.split(|letter: char| letter.is_whitespace() || "`'\"()<>[]=,".contains(letter));
            if words.any(own) {
                complaints.push(format!("{page}:{}: {}", index + 1, line.trim()));
            }
        }
    }
    hold(
        complaints,
        "Say where things are relative to the project, not on one machine:",
    );
}

/// The rules see what they are to see.
mod the_rules_themselves {
    use super::*;

    fn source(text: &str) -> Source {
        Source {
            path: "src/engine/core.rs".into(),
            text: text.into(),
            test_only: false,
        }
    }

    #[test]
    fn comments_and_quotes_are_not_code() {
        assert_eq!(code_of("let a = 1; // unsafe"), "let a = 1; ");
        assert_eq!(code_of("let a = \"// unsafe \\\" \" + b;"), "let a =  + b;");
        assert_eq!(code_of("if c == '\"' { unsafe"), "if c == ' { unsafe");
        assert!(!names("is_unsafe(x)", "unsafe") && names("unsafe { x }", "unsafe"));
    }

    #[test]
    fn groups_and_paths_are_seen() {
        let items = ["UdpSocket"];
        assert!(takes("use std::net::UdpSocket;", "std::net", &items));
        assert!(takes("use std::net::{IpAddr, UdpSocket};", "std::net", &items));
        assert!(!takes("use std::net::IpAddr;", "std::net", &items));
        assert!(takes("let now = std::time::Instant::now();", "std::time", &["Instant"]));
        assert!(!takes("use std::time::Duration;", "std::time", &["Instant"]));
        let lines = source("use std::net::{\n    IpAddr,\n    UdpSocket,\n};\nfn f() {}").lines();
        assert!(takes(&lines[0].code, "std::net", &items));
        assert_eq!(imports("use crate::wire::Name;"), [("wire", "Name;")]);
        assert_eq!(imports("pub(in crate::stages) fn x()"), []);
        assert_eq!(imports("use crate::{wire, zone};"), [("", "{wire, zone};")]);
    }

    #[test]
    fn test_blocks_end_where_their_indentation_does() {
        let text = "a\n#[cfg(test)]\nmod tests {\n    fn f() {\n    }\n}\nb\n#[cfg(test)]\nfn g() {\n}\nc";
        let marks: Vec<bool> = source(text).lines().iter().map(|line| line.test).collect();
        let expected = [false, false, true, true, true, true, false, false, true, true, false];
        assert_eq!(marks, expected);
    }

    #[test]
    fn files_of_tests_are_found() {
        let text =
            "#[cfg(test)]\n#[path = \"core_tests.rs\"]\nmod tests;\n#[cfg(test)]\npub(crate) mod sample;\nmod a;";
        let files = test_files(&source(text));
        assert_eq!(files, ["src/engine/core_tests.rs", "src/engine/core/sample.rs"]);
        let face = Source {
            path: "src/engine/mod.rs".into(),
            ..source(text)
        };
        assert_eq!(test_files(&face)[1], "src/engine/sample.rs");
    }
}
