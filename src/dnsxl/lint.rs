//! Advice on a catalogue file that is good but could be better: what a careful author would not leave out.

use std::path::PathBuf;

use super::catalogue::{Catalogue, read};
use super::file::{OperatorEntry, parse};
use super::list::{List, Role, Status};
use super::mistake::{CatalogueErrors, Place, Warning};

impl Catalogue {
    /// Reads files, and folders of them, and says what could be better. A folder's files are held against each other too.
    ///
    /// # Errors
    /// Everything that is wrong in any of them.
    pub fn lint_files(paths: &[PathBuf]) -> Result<Vec<Warning>, CatalogueErrors> {
        let (mut warnings, mut mistakes) = (Vec::new(), Vec::new());
        for path in paths {
            let before = mistakes.len();
            let files = read(path).unwrap_or_else(|mistake| {
                mistakes.push(mistake);
                Vec::new()
            });
            for (name, text) in &files {
                match Catalogue::lint(name, text) {
                    Ok(found) => warnings.extend(found),
                    Err(CatalogueErrors(found)) => mistakes.extend(found),
                }
            }
            if mistakes.len() == before
                && files.len() > 1
                && let Err(CatalogueErrors(found)) = Catalogue::load(false, std::slice::from_ref(path))
            {
                mistakes.extend(found);
            }
        }
        match mistakes.is_empty() {
            true => Ok(warnings),
            false => Err(CatalogueErrors(mistakes)),
        }
    }

    /// Reads one file's text as a user's file alone and says what could be better. Warnings of dead zones come first.
    ///
    /// # Errors
    /// Everything that is wrong in it.
    pub fn lint(name: &str, text: &str) -> Result<Vec<Warning>, CatalogueErrors> {
        let (catalogue, mut warnings) = Catalogue::load_text(name, text)?;
        let content = parse(name, text).map_err(CatalogueErrors)?;
        let mut advise = |place: &Place, text: String| {
            let place = place.clone();
            warnings.push(Warning { place, text });
        };
        if let Some((OperatorEntry { operator, .. }, place)) = &content.operator {
            if operator.terms.max_qps.is_none() && operator.terms.max_queries_per_day.is_none() {
                advise(
                    place,
                    format!("operator {}: states no limits, so none are kept", operator.id),
                );
            }
            if operator.checked.is_none() {
                advise(
                    place,
                    format!("operator {}: does not say when it was `checked`", operator.id),
                );
            }
        }
        // Of a list that nobody has seen alive, little is known, and it says so.
        let live = catalogue.lists.iter().filter(|list| list.status == Status::Live);
        for list in live {
            let place = content.lists.iter().find(|(own, _)| own.id == list.id);
            let advice = advice(list).join("; ");
            if let (Some((_, place)), false) = (place, advice.is_empty()) {
                advise(place, format!("list {}: {advice}", list.id));
            }
        }
        Ok(warnings)
    }
}

fn advice(list: &List) -> Vec<&'static str> {
    let own_test = list.test.listed.as_deref() == Some("") && list.test.unlisted.as_deref() == Some("");
    let block = list.role == Role::Block;
    let cases = [
        (
            list.codes.entries.is_empty() && block,
            "has no codes, so that any answer in 127.0.0.0/8 counts as a listing",
        ),
        (
            list.remove.is_none() && list.remove_how.is_none() && block,
            "does not say how to be removed",
        ),
        (list.sources.is_empty(), "names no sources"),
        (
            own_test && block,
            "has no test entries, so that its health is known by canaries alone",
        ),
    ];
    cases
        .into_iter()
        .filter(|(bad, _)| *bad)
        .map(|(_, text)| text)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_file_leaves_out_is_told_and_a_whole_one_is_left_alone() {
        let bare = "[operator]\nid = \"o\"\n[[list]]\nid = \"a\"\nzone = \"a.example\"\nkinds = [\"ip4\"]\n";
        let advice = Catalogue::lint("x.toml", bare).expect("good");
        let places: Vec<usize> = advice.iter().map(|warning| warning.place.line).collect();
        assert_eq!(places, [1, 1, 3], "{advice:?}");
        assert_eq!(advice[2].text.split("; ").count(), 3, "{advice:?}");
        let whole = "[operator]\nid = \"o\"\nchecked = 2026-11-23\nterms = { max_qps = 5 }\n[[list]]\nid = \"a\"\nzone = \"a.example\"\n\
            kinds = [\"ip4\"]\nsources = [\"its page\"]\nremove_how = \"ask\"\n[list.codes]\n\"127.0.0.2\" = \"spam\"\n";
        assert_eq!(Catalogue::lint("x.toml", whole).expect("good"), []);
        assert!(Catalogue::lint("x.toml", "[operator").is_err());
    }

    #[test]
    fn a_folders_files_are_held_against_each_other_and_all_mistakes_told() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).expect("a file");
        let list = |id: &str| {
            format!("[operator]\nid = \"{id}\"\n[[list]]\nid = \"{id}\"\nzone = \"a.example\"\nkinds = [\"ip4\"]\n")
        };
        file("a.toml", &list("a"));
        file("b.toml", &list("b"));
        let errors =
            Catalogue::lint_files(&[folder.path().to_owned(), "/nosuch.toml".into()]).expect_err("a zone twice");
        let text = errors.to_string();
        assert!(text.contains("b.toml:") && text.contains("a.example"), "{text}");
        assert!(text.contains("/nosuch.toml"), "{text}");
        std::fs::remove_file(folder.path().join("b.toml")).expect("it is there");
        assert!(Catalogue::lint_files(&[folder.path().to_owned()]).is_ok());
    }
}
