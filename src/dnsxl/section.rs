//! Reading TOML tables with a place for every complaint: the tool under [`file`](super::file).
//!
//! A [`Section`] hands out its values by key and type, notes what is wrong in its [`Source`], and at the end complains of
//! the keys that nobody asked for. Nothing here stops at the first mistake.

use std::cell::{Cell, RefCell};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::mistake::{Mistake, Place};
use super::near::did_you_mean;

/// A text that is being read, and what is wrong in it so far.
pub(super) struct Source<'a> {
    pub(super) name: &'a str,
    pub(super) text: &'a str,
    pub(super) mistakes: RefCell<Vec<Mistake>>,
    /// An offset and its line: the last that was asked for. Nearly all are asked for in the order of the text.
    counted: Cell<(usize, usize)>,
}

impl<'a> Source<'a> {
    pub(super) fn new(name: &'a str, text: &'a str) -> Source<'a> {
        Source {
            name,
            text,
            mistakes: RefCell::default(),
            counted: Cell::new((0, 1)),
        }
    }

    /// The line of an offset.
    pub(super) fn place(&self, offset: usize) -> Place {
        let offset = offset.min(self.text.len());
        let (from, line) = match self.counted.get() {
            counted if counted.0 <= offset => counted,
            _ => (0, 1),
        };
        let between = &self.text.as_bytes()[from..offset];
        let line = line + between.iter().filter(|&&octet| octet == b'\n').count();
        self.counted.set((offset, line));
        Place {
            file: self.name.to_owned(),
            line,
        }
    }

    /// Notes something wrong.
    pub(super) fn complain(&self, offset: usize, key: String, what: impl Into<String>, mend: impl Into<String>) {
        self.mistakes.borrow_mut().push(Mistake {
            place: self.place(offset),
            key,
            what: what.into(),
            mend: mend.into(),
        });
    }
}

/// A table of a file.
pub(super) struct Section<'s> {
    source: &'s Source<'s>,
    table: &'s DeTable<'s>,
    /// What stands before a key in complaints: `list`, `operator.terms`; empty at the top.
    path: String,
    /// Where the table begins.
    start: usize,
    /// The keys that were asked for.
    known: RefCell<Vec<&'static str>>,
}

/// A value and where it stands.
#[derive(Debug, Clone)]
pub(super) struct At<T> {
    pub(super) value: T,
    pub(super) offset: usize,
}

impl<'s> Section<'s> {
    pub(super) fn new(source: &'s Source<'s>, table: &'s DeTable<'s>, path: &str, start: usize) -> Section<'s> {
        Section {
            source,
            table,
            path: path.to_owned(),
            start,
            known: RefCell::new(Vec::new()),
        }
    }

    /// Where the table begins.
    pub(super) fn start(&self) -> usize {
        self.start
    }

    pub(super) fn source(&self) -> &'s Source<'s> {
        self.source
    }

    /// A key with what stands before it.
    pub(super) fn path_of(&self, key: &str) -> String {
        match self.path.is_empty() {
            true => key.to_owned(),
            false => format!("{}.{key}", self.path),
        }
    }

    /// Notes something wrong with a key of this table.
    pub(super) fn complain(&self, offset: usize, key: &str, what: impl Into<String>, mend: impl Into<String>) {
        self.source.complain(offset, self.path_of(key), what, mend);
    }

    /// Notes that a key is not there.
    pub(super) fn missing(&self, key: &str, mend: &str) {
        self.complain(self.start, key, "missing", mend);
    }

    /// Whether something is wrong with a key of this table already.
    pub(super) fn is_complained_of(&self, key: &str) -> bool {
        let path = self.path_of(key);
        let (mistakes, line) = (self.source.mistakes.borrow(), self.source.place(self.start).line);
        mistakes
            .iter()
            .any(|mistake| mistake.key == path && mistake.place.line >= line)
    }

    fn raw(&self, key: &'static str) -> Option<&'s Spanned<DeValue<'s>>> {
        self.known.borrow_mut().push(key);
        self.table.get(key)
    }

    /// A value of one type; complains of another type.
    fn typed<T>(
        &self,
        key: &'static str,
        wanted: &str,
        take: impl FnOnce(&'s DeValue<'s>) -> Option<T>,
    ) -> Option<At<T>> {
        let spanned = self.raw(key)?;
        let offset = spanned.span().start;
        let taken = take(spanned.get_ref());
        if taken.is_none() {
            let what = format!("is a TOML {}", spanned.get_ref().type_str());
            self.complain(offset, key, what, format!("write {wanted}"));
        }
        taken.map(|value| At { value, offset })
    }

    pub(super) fn text(&self, key: &'static str) -> Option<At<String>> {
        self.typed(key, "a text in quotes", |value| value.as_str().map(str::to_owned))
    }

    /// A text that must be there and not be empty.
    pub(super) fn required(&self, key: &'static str, mend: &str) -> Option<At<String>> {
        if !self.table.contains_key(key) {
            self.known.borrow_mut().push(key);
            self.missing(key, mend);
            return None;
        }
        let text = self.text(key)?;
        if text.value.is_empty() {
            self.complain(text.offset, key, "is empty", mend);
            return None;
        }
        Some(text)
    }

    pub(super) fn flag(&self, key: &'static str) -> Option<At<bool>> {
        self.typed(key, "true or false, without quotes", DeValue::as_bool)
    }

    /// A whole number from 1 to `max`.
    pub(super) fn count(&self, key: &'static str, max: u64) -> Option<At<u64>> {
        let wanted = format!("a whole number from 1 to {max}, without quotes");
        self.typed(key, &wanted, |value| {
            let digits = value.as_integer()?;
            let number = u64::from_str_radix(digits.as_str(), digits.radix()).ok()?;
            (1..=max).contains(&number).then_some(number)
        })
    }

    /// A number above zero, with or without a fraction.
    pub(super) fn rate(&self, key: &'static str) -> Option<At<f64>> {
        self.typed(key, "a number above 0, without quotes", |value| {
            let digits = match (value.as_integer(), value.as_float()) {
                (Some(integer), _) if integer.radix() == 10 => integer.as_str(),
                (_, Some(float)) => float.as_str(),
                _ => return None,
            };
            digits.parse().ok().filter(|rate: &f64| rate.is_finite() && *rate > 0.0)
        })
    }

    /// A date, as TOML's own or in quotes: `2024-06-05`, and where less is known `2024-06` or `2024`.
    pub(super) fn date(&self, key: &'static str) -> Option<At<String>> {
        self.typed(
            key,
            "a date such as 2024-06-05, or \"2024-06\", or \"2024\"",
            |value| match value {
                DeValue::Datetime(date) if date.time.is_none() => Some(date.to_string()),
                DeValue::Integer(year) => Some(year.as_str().to_owned()).filter(|year| is_date(year)),
                DeValue::String(text) => Some(text.to_string()).filter(|text| is_date(text)),
                _ => None,
            },
        )
    }

    /// One of some words.
    pub(super) fn choice<T: Copy>(&self, key: &'static str, words: &[(&'static str, T)]) -> Option<T> {
        let text = self.text(key)?;
        self.chosen(key, &text, words)
    }

    fn chosen<T: Copy>(&self, key: &str, text: &At<String>, words: &[(&'static str, T)]) -> Option<T> {
        let chosen = words.iter().find(|(word, _)| *word == text.value);
        if chosen.is_none() {
            let all: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            let mend = format!("write one of {}", all.join(", "));
            let mend = did_you_mean(&text.value, all.iter().copied(), &mend);
            self.complain(text.offset, key, format!("{:?} is not known", text.value), mend);
        }
        chosen.map(|(_, value)| *value)
    }

    /// An array of texts; those that are no texts are complained of and left out.
    pub(super) fn texts(&self, key: &'static str) -> Vec<At<String>> {
        let Some(array) = self.typed(key, "an array of texts: [\"…\", \"…\"]", DeValue::as_array) else {
            return Vec::new();
        };
        let mut texts = Vec::new();
        for item in array.value.iter() {
            let offset = item.span().start;
            match item.get_ref().as_str() {
                Some(text) => texts.push(At {
                    value: text.to_owned(),
                    offset,
                }),
                None => self.complain(
                    offset,
                    key,
                    format!("holds a TOML {}", item.get_ref().type_str()),
                    "write texts in quotes",
                ),
            }
        }
        texts
    }

    /// An array of some words.
    pub(super) fn choices<T: Copy>(&self, key: &'static str, words: &[(&'static str, T)]) -> Vec<T> {
        let texts = self.texts(key);
        texts.iter().filter_map(|text| self.chosen(key, text, words)).collect()
    }

    /// A table below this one.
    pub(super) fn section(&self, key: &'static str) -> Option<Section<'s>> {
        let table = self.typed(key, &format!("a table: [{}]", self.path_of(key)), DeValue::as_table)?;
        Some(Section::new(self.source, table.value, &self.path_of(key), table.offset))
    }

    /// An array of tables below this one.
    pub(super) fn sections(&self, key: &'static str) -> Vec<Section<'s>> {
        let Some(array) = self.typed(key, &format!("tables: [[{}]]", self.path_of(key)), DeValue::as_array) else {
            return Vec::new();
        };
        let mut sections = Vec::new();
        for item in array.value.iter() {
            let start = item.span().start;
            match item.get_ref().as_table() {
                Some(table) => sections.push(Section::new(self.source, table, &self.path_of(key), start)),
                None => self.complain(start, key, "is not a table", format!("write [[{}]]", self.path_of(key))),
            }
        }
        sections
    }

    /// The entries of a table whose keys are free, in the order of the file.
    pub(super) fn entries(&self) -> Vec<(At<String>, &'s Spanned<DeValue<'s>>)> {
        let mut entries: Vec<_> = self.table.iter().map(|(key, value)| (named(key), value)).collect();
        entries.sort_by_key(|(key, _)| key.offset);
        entries
    }

    /// Complains of every key that was not asked for.
    pub(super) fn finish(&self) {
        let known = self.known.borrow();
        let all_known = |key: &Spanned<std::borrow::Cow<'_, str>>| known.contains(&key.get_ref().as_ref());
        if self.table.iter().all(|(key, _)| all_known(key)) {
            return; // nearly always, and without a copy
        }
        for (key, _) in self.entries() {
            if known.contains(&key.value.as_str()) {
                continue;
            }
            let otherwise = format!("take it out; known here: {}", known.join(", "));
            let mend = did_you_mean(&key.value, known.iter().copied(), &otherwise);
            self.complain(key.offset, &key.value, "unknown key", mend);
        }
    }
}

fn named(key: &Spanned<std::borrow::Cow<'_, str>>) -> At<String> {
    At {
        value: key.get_ref().to_string(),
        offset: key.span().start,
    }
}

/// `YYYY`, `YYYY-MM` or `YYYY-MM-DD`, each a real one.
fn is_date(text: &str) -> bool {
    let whole = match text.len() {
        4 => format!("{text}-01-01"),
        7 => format!("{text}-01"),
        10 => text.to_owned(),
        _ => return false,
    };
    whole.parse::<jiff::civil::Date>().is_ok()
}
