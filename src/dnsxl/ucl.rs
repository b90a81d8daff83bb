//! As much of rspamd's configuration language (UCL) as its `rbl.conf` uses: sections, values, arrays, comments. For
//! [`import`](super::import) alone; macros, variables and includes are passed over as text.

use std::iter::Peekable;
use std::str::Chars;

/// Deepest nesting that is read: `rbl { rbls { name { returncodes { … } } } }` is 4, and the reader calls itself.
const DEPTH_MAX: usize = 16;

/// A section: its keys in the order of the file, each as often as it stands there.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Block(pub(super) Vec<(String, Value)>);

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
        self.0.iter().find(|(own, _)| own == key).map(|(_, value)| value)
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

type Tokens = Peekable<std::vec::IntoIter<Token>>;

fn block(tokens: &mut Tokens, depth: usize) -> Result<Block, &'static str> {
    if depth == 0 {
        return Err("sections are nested too deeply");
    }
    let mut found = Block::default();
    while let Some(token) = tokens.next() {
        let key = match token {
            Token::Mark('}') => break,
            Token::Mark(_) => continue,
            Token::Word(key) => key,
        };
        if tokens
            .next_if(|token| matches!(token, Token::Mark('=' | ':')))
            .is_some()
        {
            let value = match tokens.peek() {
                Some(Token::Mark('{')) => None,
                Some(Token::Mark('[')) => Some(Value::Array(array(tokens))),
                Some(Token::Word(_)) => match tokens.next() {
                    Some(Token::Word(text)) => Some(Value::Text(text)),
                    _ => continue,
                },
                _ => continue,
            };
            if let Some(value) = value {
                found.0.push((key, value));
                continue;
            }
        }
        // `name {`, and `section "name" {` too, of which the last word is the name.
        let mut name = key;
        while let Some(Token::Word(word)) = tokens.next_if(|token| matches!(token, Token::Word(_))) {
            name = word;
        }
        if tokens.next_if_eq(&Token::Mark('{')).is_some() {
            found.0.push((name, Value::Block(block(tokens, depth - 1)?)));
        }
    }
    Ok(found)
}

fn array(tokens: &mut Tokens) -> Vec<String> {
    let mut texts = Vec::new();
    for token in tokens {
        match token {
            Token::Mark(']') => break,
            Token::Mark(_) => {}
            Token::Word(text) => texts.push(text),
        }
    }
    texts
}

fn tokens(text: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut chars = text.chars().peekable();
    while let Some(&char) = chars.peek() {
        match char {
            '#' => skip_line(&mut chars),
            '/' if chars.clone().nth(1) == Some('*') => skip_comment(&mut chars),
            '"' | '\'' => tokens.push(Token::Word(quoted(&mut chars))),
            '{' | '}' | '[' | ']' | '=' | ':' | ';' | ',' => {
                chars.next();
                tokens.push(Token::Mark(char));
            }
            char if char.is_whitespace() => {
                chars.next();
            }
            _ => tokens.push(Token::Word(word(&mut chars))),
        }
    }
    tokens
}

fn skip_line(chars: &mut Peekable<Chars<'_>>) {
    while chars.next_if(|char| *char != '\n').is_some() {}
}

fn skip_comment(chars: &mut Peekable<Chars<'_>>) {
    let mut last = ' ';
    for char in chars.skip(2) {
        if (last, char) == ('*', '/') {
            break;
        }
        last = char;
    }
}

fn quoted(chars: &mut Peekable<Chars<'_>>) -> String {
    let quote = chars.next();
    let mut text = String::new();
    while let Some(char) = chars.next().filter(|char| Some(*char) != quote) {
        match char {
            '\\' => text.extend(chars.next()),
            char => text.push(char),
        }
    }
    text
}

fn word(chars: &mut Peekable<Chars<'_>>) -> String {
    let mut text = String::new();
    let ends = |char: char| char.is_whitespace() || "{}[]=;,\"'".contains(char);
    while let Some(char) = chars.next_if(|char| !ends(*char)) {
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
    }

    #[test]
    fn what_is_broken_ends_and_what_is_too_deep_is_told() {
        for text in ["a {", "}}}", "a = ", "a = [b", "\"", "/*", "a \"b", "= = ;"] {
            parse(text).expect("shallow");
        }
        assert!(parse(&"a {".repeat(100_000)).is_err());
    }
}
