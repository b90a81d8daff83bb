//! As much of rspamd's configuration language (UCL) as its `rbl.conf` uses: sections, values, arrays, comments. For
//! [`import`](super::import) alone; macros, variables and includes are passed over as text.

use std::iter::Peekable;
use std::str::Chars;

/// Deepest nesting that is read: `rbl { rbls { name { returncodes { … } } } }` is 4, and the reader calls itself.
const DEPTH_MAX: usize = 16;

/// A section: its keys in the order of the file, each as often as it stands there.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Block(pub(super) Vec<Entry>);

/// A key and what stands behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) key: String,
    /// The line of the key, from 1.
    pub(super) line: usize,
    pub(super) value: Value,
}

/// What stands behind a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    /// A word, number or text.
    Text(String),
    /// Several of them.
    Array(Vec<String>),
    /// A section.
    Block(Block),
}

impl Block {
    pub(super) fn get(&self, key: &str) -> Option<&Value> {
        self.0.iter().find(|entry| entry.key == key).map(|entry| &entry.value)
    }

    pub(super) fn text(&self, key: &str) -> Option<&str> {
        match self.get(key)? {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(super) fn block(&self, key: &str) -> Option<&Block> {
        match self.get(key)? {
            Value::Block(block) => Some(block),
            _ => None,
        }
    }

    /// The texts behind a key, one or several.
    pub(super) fn texts(&self, key: &str) -> &[String] {
        match self.get(key) {
            Some(Value::Array(texts)) => texts,
            Some(Value::Text(text)) => std::slice::from_ref(text),
            _ => &[],
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Word(String),
    Mark(char),
}

/// Reads a text; what cannot be understood is passed over.
///
/// # Errors
/// If sections are nested too deeply.
pub(super) fn parse(text: &str) -> Result<Block, &'static str> {
    let mut tokens = tokens(text).into_iter().peekable();
    block(&mut tokens, DEPTH_MAX)
}

/// Tokens with their lines.
type Tokens = Peekable<std::vec::IntoIter<(Token, usize)>>;

fn next_mark(tokens: &mut Tokens, marks: &[char]) -> Option<char> {
    match tokens.peek() {
        Some((Token::Mark(mark), _)) if marks.contains(mark) => {
            let mark = *mark;
            tokens.next();
            Some(mark)
        }
        _ => None,
    }
}

fn next_word(tokens: &mut Tokens) -> Option<String> {
    match tokens.next_if(|(token, _)| matches!(token, Token::Word(_))) {
        Some((Token::Word(word), _)) => Some(word),
        _ => None,
    }
}

fn block(tokens: &mut Tokens, depth: usize) -> Result<Block, &'static str> {
    if depth == 0 {
        return Err("sections are nested too deeply");
    }
    let mut found = Block::default();
    while let Some((token, line)) = tokens.next() {
        let key = match token {
            Token::Mark('}') => break,
            Token::Mark(_) => continue,
            Token::Word(key) => key,
        };
        let mut add = |key, value| found.0.push(Entry { key, line, value });
        if next_mark(tokens, &['=', ':']).is_some() {
            match tokens.peek() {
                Some((Token::Mark('{'), _)) => {} // below, as without the sign
                Some((Token::Mark('['), _)) => {
                    add(key, Value::Array(array(tokens)));
                    continue;
                }
                _ => {
                    if let Some(text) = next_word(tokens) {
                        add(key, Value::Text(text));
                    }
                    continue;
                }
            }
        }
        // `name {`, and `section "name" {` too, of which the last word is the name.
        let mut name = key;
        while let Some(word) = next_word(tokens) {
            name = word;
        }
        if next_mark(tokens, &['{']).is_some() {
            add(name, Value::Block(block(tokens, depth - 1)?));
        }
    }
    Ok(found)
}

fn array(tokens: &mut Tokens) -> Vec<String> {
    let mut texts = Vec::new();
    for (token, _) in tokens {
        match token {
            Token::Mark(']') => break,
            Token::Mark(_) => {}
            Token::Word(text) => texts.push(text),
        }
    }
    texts
}

/// The characters of a text, with the line they are in.
struct Letters<'a> {
    chars: Peekable<Chars<'a>>,
    line: usize,
}

impl Iterator for Letters<'_> {
    type Item = char;

    fn next(&mut self) -> Option<char> {
        let char = self.chars.next();
        self.line += usize::from(char == Some('\n'));
        char
    }
}

impl Letters<'_> {
    fn next_if(&mut self, wanted: impl Fn(char) -> bool) -> Option<char> {
        let is_wanted = self.chars.peek().is_some_and(|char| wanted(*char));
        if is_wanted { self.next() } else { None }
    }
}

fn tokens(text: &str) -> Vec<(Token, usize)> {
    let mut tokens = Vec::new();
    let mut letters = Letters {
        chars: text.chars().peekable(),
        line: 1,
    };
    while let Some(&char) = letters.chars.peek() {
        let line = letters.line;
        match char {
            '#' => while letters.next_if(|char| char != '\n').is_some() {},
            '/' if letters.chars.clone().nth(1) == Some('*') => skip_comment(&mut letters),
            '"' | '\'' => tokens.push((Token::Word(quoted(&mut letters)), line)),
            '{' | '}' | '[' | ']' | '=' | ':' | ';' | ',' => {
                letters.next();
                tokens.push((Token::Mark(char), line));
            }
            char if char.is_whitespace() => {
                letters.next();
            }
            _ => tokens.push((Token::Word(word(&mut letters)), line)),
        }
    }
    tokens
}

fn skip_comment(letters: &mut Letters<'_>) {
    let mut last = ' ';
    for char in letters.skip(2) {
        if (last, char) == ('*', '/') {
            break;
        }
        last = char;
    }
}

fn quoted(letters: &mut Letters<'_>) -> String {
    let quote = letters.next();
    let mut text = String::new();
    while let Some(char) = letters.next().filter(|char| Some(*char) != quote) {
        match char {
            '\\' => text.extend(letters.next()),
            char => text.push(char),
        }
    }
    text
}

fn word(letters: &mut Letters<'_>) -> String {
    let mut text = String::new();
    let ends = |char: char| char.is_whitespace() || "{}[]=;,\"'".contains(char);
    while let Some(char) = letters.next_if(|char| !ends(char)) {
        text.push(char);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_values_and_arrays() {
        let text = "rbl { # all\n rbls { /* one } */ \"a\" { rbl = \"bl.example\"; checks = ['from', received]; ipv6 = true\n } } }";
        let block = parse(text).expect("shallow");
        let list = block
            .block("rbl")
            .and_then(|rbl| rbl.block("rbls"))
            .and_then(|rbls| rbls.block("a"));
        let list = list.expect("there");
        assert_eq!(list.text("rbl"), Some("bl.example"));
        assert_eq!(list.texts("checks"), ["from", "received"]);
        assert_eq!(list.text("ipv6"), Some("true"));
        assert_eq!(list.text("none"), None);
        let lines: Vec<usize> = list.0.iter().map(|entry| entry.line).collect();
        assert_eq!(lines, [2, 2, 2]);
    }

    #[test]
    fn what_is_broken_ends_and_what_is_too_deep_is_told() {
        for text in ["a {", "}}}", "a = ", "a = [b", "\"", "/*", "a \"b", "= = ;"] {
            parse(text).expect("shallow");
        }
        assert!(parse(&"a {".repeat(100_000)).is_err());
    }
}
