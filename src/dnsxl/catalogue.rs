//! The lists and operators of a run, from the built-in files and the user's own.
//!
//! ```text
//! built-in texts ─┐                 (file.rs: one text → operator, lists, graves; mistakes with their lines)
//!                 ├→ merge.rs: the user's over the built-in, by id and by zone; graves; all checks → Catalogue
//! user's files ───┘
//! ```
//!
//! The graveyard is always known, even where no built-in list is wanted: a zone that is dead is dead in every file.

use std::fmt::Write;
use std::io::Read;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::file::FILE_OCTETS_MAX;
use super::list::{Grave, List, ListIndex, Operator, OperatorIndex};
use super::merge::merge;
use super::mistake::{CatalogueErrors, Mistake, Place, Warning};

/// The built-in files: name and text, sorted by name.
const BUILT_IN: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/built_in.rs"));

/// A catalogue that exists is a good one: ids and zones are unique, every code is inside 127/8, every list has its operator.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Catalogue {
    pub(super) lists: Vec<List>,
    pub(super) operators: Vec<Operator>,
    pub(super) graves: Vec<Grave>,
    pub(super) hash: String,
}

impl Catalogue {
    /// Reads the built-in files, if they are wanted, and then files or folders of `*.toml` files, which add to them or
    /// override them: a list by its id, an operator's terms where a file states any.
    ///
    /// # Errors
    /// Everything that is wrong in any of the files.
    pub fn load(built_in: bool, extra: &[PathBuf]) -> Result<(Catalogue, Vec<Warning>), CatalogueErrors> {
        let mut user = Vec::new();
        let mut mistakes = Vec::new();
        for path in extra {
            match read(path) {
                Ok(files) => user.extend(files),
                Err(mistake) => mistakes.push(mistake),
            }
        }
        if !mistakes.is_empty() {
            return Err(CatalogueErrors(mistakes));
        }
        let user: Vec<(&str, &str)> = user.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
        merge(BUILT_IN, built_in, &user)
    }

    /// Reads texts, each with the name of its file for errors, as if they were all there is.
    ///
    /// # Errors
    /// Everything that is wrong in any of the texts.
    pub fn parse(files: &[(&str, &str)]) -> Result<Catalogue, CatalogueErrors> {
        merge(files, true, &[]).map(|(catalogue, _)| catalogue)
    }

    /// A catalogue of these lists and operators, taken as they are: for tests and for callers that made sure themselves
    /// that every list's operator is there.
    pub fn from_parts(lists: Vec<List>, operators: Vec<Operator>) -> Catalogue {
        Catalogue {
            lists,
            operators,
            ..Catalogue::default()
        }
    }

    /// Reads one text as a user's file, with nothing built in but the knowledge of dead zones.
    ///
    /// # Errors
    /// Everything that is wrong in it.
    pub fn load_text(name: &str, text: &str) -> Result<(Catalogue, Vec<Warning>), CatalogueErrors> {
        merge(BUILT_IN, false, &[(name, text)])
    }

    /// The names and texts of the built-in files.
    pub fn built_in_files() -> &'static [(&'static str, &'static str)] {
        BUILT_IN
    }

    /// The lists, in the order of their indexes.
    pub fn lists(&self) -> &[List] {
        &self.lists
    }

    /// The lists with their indexes.
    pub fn indexed(&self) -> impl Iterator<Item = (ListIndex, &List)> {
        let index = |at| ListIndex(u16::try_from(at).expect("a catalogue has at most 65,535 lists"));
        self.lists.iter().enumerate().map(move |(at, list)| (index(at), list))
    }

    /// The operators, in the order of their indexes.
    pub fn operators(&self) -> &[Operator] {
        &self.operators
    }

    /// Zones that are known to be dead.
    pub fn graves(&self) -> &[Grave] {
        &self.graves
    }

    /// The list at an index of this catalogue.
    pub fn list(&self, index: ListIndex) -> &List {
        &self.lists[usize::from(index.0)]
    }

    /// The list with an id.
    pub fn by_id(&self, id: &str) -> Option<ListIndex> {
        self.indexed().find(|(_, list)| list.id == id).map(|(index, _)| index)
    }

    /// The operator at an index of this catalogue.
    pub fn operator(&self, index: OperatorIndex) -> &Operator {
        &self.operators[usize::from(index.0)]
    }

    /// Who runs a list.
    pub fn operator_of(&self, index: ListIndex) -> &Operator {
        self.operator(self.list(index).operator)
    }

    /// SHA-256 over the files' texts in their order, in hexadecimal: two runs with the same hash asked by the same rules.
    pub fn hash(&self) -> &str {
        &self.hash
    }
}

/// The hash of a catalogue's texts; lengths keep neighbours apart.
pub(super) fn hash<'a>(texts: impl Iterator<Item = &'a str>) -> String {
    let mut digest = Sha256::new();
    for text in texts {
        digest.update((text.len() as u64).to_be_bytes());
        digest.update(text);
    }
    digest.finalize().iter().fold(String::new(), |mut hex, octet| {
        write!(hex, "{octet:02x}").expect("writing to memory");
        hex
    })
}

/// The texts at a path: one file, or the `*.toml` files of a folder, sorted by name.
pub(super) fn read(path: &Path) -> Result<Vec<(String, String)>, Mistake> {
    let failed = |path: &Path, what: String, mend: &str| Mistake {
        place: Place {
            file: path.display().to_string(),
            line: 0,
        },
        key: String::new(),
        what,
        mend: mend.to_owned(),
    };
    let mut files = vec![path.to_owned()];
    if path.is_dir() {
        let entries =
            std::fs::read_dir(path).map_err(|error| failed(path, error.to_string(), "is the folder readable?"))?;
        files = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
        files.retain(|file| file.extension().is_some_and(|extension| extension == "toml"));
        files.sort();
        if files.is_empty() {
            return Err(failed(
                path,
                "holds no *.toml file".to_owned(),
                "name the folder of catalogue files",
            ));
        }
    }
    let mut texts = Vec::with_capacity(files.len());
    for file in files {
        // One octet more than is wanted: what has no end (a device) or a wrong size (a pipe) is not read to it.
        let mut octets = Vec::new();
        let read =
            std::fs::File::open(&file).and_then(|open| open.take(FILE_OCTETS_MAX as u64 + 1).read_to_end(&mut octets));
        let unread = |error: String| failed(&file, error, "name a catalogue file in UTF-8, or a folder of them");
        read.map_err(|error| unread(error.to_string()))?;
        if octets.len() > FILE_OCTETS_MAX {
            return Err(failed(&file, "larger than 4 MiB".to_owned(), "is it a catalogue file?"));
        }
        let text = String::from_utf8(octets).map_err(|_| unread("not UTF-8".to_owned()))?;
        texts.push((file.display().to_string(), text));
    }
    Ok(texts)
}

#[cfg(test)]
#[path = "catalogue_tests.rs"]
mod tests;
