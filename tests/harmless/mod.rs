//! Whether an output of any form is harmless: nothing in it acts on a screen, in a spreadsheet, in a browser, or forges a
//! row, a field or a sample. Each form is read by a parser of its own.

#![allow(dead_code, unreachable_pub, reason = "each test file uses a part of this")]

#[cfg(feature = "parquet")]
use std::io::Write;

use serde_json::Value;

/// Whether a character could act on a screen: controls, those of direction, and what is not seen.
pub fn acts(letter: char) -> bool {
    letter.is_control()
        || matches!(letter, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}')
        || matches!(letter, '\u{feff}' | '\u{e0000}'..='\u{e0fff}')
}

/// An output as lines, in which nothing acts but their ends.
pub fn safe<'a>(what: &str, octets: &'a [u8]) -> &'a str {
    let text = std::str::from_utf8(octets).unwrap_or_else(|error| panic!("{what}: {error}"));
    if let Some(at) = text.find(|letter| letter != '\n' && acts(letter)) {
        panic!(
            "{what}: acts at {at}: {:?}",
            &text[text.floor_char_boundary(at.saturating_sub(60))..][..80.min(text.len() - at)]
        );
    }
    text
}

fn csv_is_safe(what: &str, text: &str) -> usize {
    let mut reader = csv::Reader::from_reader(text.as_bytes()); // every row as long as the first, or an error
    let rows: Vec<csv::StringRecord> = reader.records().map(|row| row.expect(what)).collect();
    for cell in rows.iter().flatten() {
        let starters = [
            '=', '+', '-', '@', '\t', '\r', '\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}',
        ];
        assert!(!cell.trim_start().starts_with(starters), "{what}: a formula: {cell}");
    }
    assert_eq!(text.lines().count(), rows.len() + 1, "{what}: a row forged");
    rows.len()
}

/// Tags, outside of quotes of attributes or not: what a browser could take for one.
fn html_is_safe(text: &str) {
    assert!(
        !text.contains("<img") && !text.contains("alert(1)</script>"),
        "a tag of a stranger"
    );
    assert!(
        !text.to_lowercase().contains("href=\"javascript:"),
        "a link of a stranger"
    );
    assert_eq!(text.matches("<script").count(), text.matches("</script").count());
    assert!(text.contains("default-src 'none'"), "a policy");
}

/// The exposition format: comments, or `name{label="value",…} number`.
fn prometheus_is_safe(text: &str) {
    for line in text.lines().filter(|line| !line.starts_with("# ")) {
        let (sample, number) = line.rsplit_once(' ').unwrap_or_else(|| panic!("{line}"));
        number.parse::<f64>().unwrap_or_else(|_| panic!("{line}"));
        let (name, labels) = sample.split_once('{').unwrap_or((sample, "}"));
        assert!(name.starts_with("reputon_") && !name.contains("evil"), "{line}");
        assert!(
            name.bytes()
                .all(|octet| octet.is_ascii_lowercase() || octet.is_ascii_digit() || octet == b'_'),
            "{line}"
        );
        let mut rest = labels;
        while rest != "}" {
            let (label, value) = rest.split_once("=\"").unwrap_or_else(|| panic!("{line}"));
            assert!(
                label.bytes().all(|octet| octet.is_ascii_lowercase() || octet == b'_'),
                "{line}"
            );
            let mut octets = value.bytes().enumerate();
            let end = loop {
                match octets.next().unwrap_or_else(|| panic!("{line}")) {
                    (_, b'\\') => assert!(
                        octets.next().is_some_and(|(_, next)| b"\\\"n".contains(&next)),
                        "{line}"
                    ),
                    (at, b'"') => break at,
                    _ => {}
                }
            };
            rest = value[end + 1..].trim_start_matches(',');
        }
    }
}

/// The form tells how it is read; what is written beside reports must be harmless lines.
pub fn is_safe(name: &str, octets: &[u8]) {
    if name.ends_with(".parquet") {
        return parquet_is_safe(octets);
    }
    let text = safe(name, octets);
    match name.rsplit('.').next().unwrap_or_default() {
        "csv" => _ = csv_is_safe(name, text),
        "json" => _ = serde_json::from_str::<Value>(text).unwrap_or_else(|error| panic!("{name}: {error}")),
        "jsonl" => {
            for line in text.lines() {
                serde_json::from_str::<Value>(line).unwrap_or_else(|error| panic!("{name}: {error}: {line}"));
            }
        }
        "html" => html_is_safe(text),
        "prom" => prometheus_is_safe(text),
        "md" => assert!(
            !text.contains("<script") && !text.contains("<img") && !text.contains("](javascript"),
            "{text}"
        ),
        _ => {}
    }
}

#[cfg(feature = "parquet")]
fn parquet_is_safe(octets: &[u8]) {
    use parquet::file::reader::{FileReader, SerializedFileReader};
    let mut file = tempfile::tempfile().expect("a temporary file");
    file.write_all(octets).expect("written");
    let reader = SerializedFileReader::new(file).expect("a good file");
    for row in reader.get_row_iter(None).expect("rows") {
        safe("parquet", row.expect("a row").to_string().as_bytes());
    }
}

#[cfg(not(feature = "parquet"))]
fn parquet_is_safe(_: &[u8]) {}
