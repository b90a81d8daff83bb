//! Advice on a catalogue file that is good but could be better: what a careful author would not leave out.

use super::catalogue::Catalogue;
use super::list::{List, Status};
use super::mistake::{CatalogueErrors, Place, Warning};

impl Catalogue {
    /// Reads one file's text as a user's file alone and says what could be better. Warnings of dead zones come first.
    ///
    /// # Errors
    /// Everything that is wrong in it.
    pub fn lint(name: &str, text: &str) -> Result<Vec<Warning>, CatalogueErrors> {
        let (catalogue, mut warnings) = Catalogue::load_text(name, text)?;
        let mut advise = |text: String| {
            let place = Place {
                file: name.to_owned(),
                line: 0,
            };
            warnings.push(Warning { place, text });
        };
        for operator in &catalogue.operators {
            if operator.terms.max_qps.is_none() && operator.terms.max_queries_per_day.is_none() {
                advise(format!("operator {}: states no limits, so none are kept", operator.id));
            }
            if operator.checked.is_none() {
                advise(format!("operator {}: does not say when it was `checked`", operator.id));
            }
        }
        for list in catalogue.lists.iter().filter(|list| list.status != Status::Retired) {
            for text in advice(list) {
                advise(format!("list {}: {text}", list.id));
            }
        }
        Ok(warnings)
    }
}

fn advice(list: &List) -> Vec<&'static str> {
    let own_test = list.test.listed.as_deref() == Some("") && list.test.unlisted.as_deref() == Some("");
    let cases = [
        (
            list.codes.entries.is_empty(),
            "has no codes: any answer in 127.0.0.0/8 counts as a listing",
        ),
        (
            list.remove.is_none() && list.remove_how.is_none(),
            "does not say how to be removed",
        ),
        (list.sources.is_empty(), "names no sources"),
        (
            own_test,
            "has no test entries at all: its health is known by canaries alone",
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
        assert_eq!(advice.len(), 5, "{advice:?}");
        let whole = "[operator]\nid = \"o\"\nchecked = 2026-11-23\nterms = { max_qps = 5 }\n[[list]]\nid = \"a\"\nzone = \"a.example\"\n\
            kinds = [\"ip4\"]\nsources = [\"its page\"]\nremove_how = \"ask\"\n[list.codes]\n\"127.0.0.2\" = \"spam\"\n";
        assert_eq!(Catalogue::lint("x.toml", whole).expect("good"), []);
        assert!(Catalogue::lint("x.toml", "[operator").is_err());
    }
}
