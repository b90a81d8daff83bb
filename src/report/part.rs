//! A part of a report that looks alike in every form for people: a title, a table, a note. Text in it is as it came:
//! whoever writes it escapes it for the form.

/// A table with a title.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) title: String,
    /// The heads of the columns; columns of numbers are marked.
    pub(super) columns: Vec<(&'static str, bool)>,
    pub(super) rows: Vec<Vec<String>>,
    /// What is to be said below it.
    pub(super) note: Option<String>,
}
