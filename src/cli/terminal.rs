//! What standard output is to whoever looks at it: how wide, and whether in colour.

use std::ffi::OsString;
use std::io::{self, IsTerminal};

use comfy_table::Table;

/// The width where nobody knows it: no terminal, and no `COLUMNS`.
const WIDTH_DEFAULT: u16 = 100;

/// Beyond this, the eye loses the line.
const WIDTH_MAX: u16 = 160;

/// Columns of a table on standard output: `COLUMNS`, or the terminal's.
pub(crate) fn width() -> u16 {
    width_of(std::env::var("COLUMNS").ok().as_deref(), Table::new().width())
}

fn width_of(columns: Option<&str>, terminal: Option<u16>) -> u16 {
    // A shell has `COLUMNS` and seldom exports it; a terminal that does not know its size says 0.
    let named = columns.and_then(|text| text.parse().ok()).filter(|width| *width > 0);
    let own = terminal.filter(|width| *width > 0).map(|width| width.min(WIDTH_MAX));
    named.or(own).unwrap_or(WIDTH_DEFAULT)
}

/// Whether standard output is to be in colour.
pub(crate) fn colour() -> bool {
    let variable = |name: &str| std::env::var_os(name);
    io::stdout().is_terminal() && colour_of(variable("NO_COLOR"), variable("TERM"))
}

/// `NO_COLOR` as <https://no-color.org> has it; a dumb terminal shows the codes themselves.
fn colour_of(no_color: Option<OsString>, term: Option<OsString>) -> bool {
    no_color.is_none_or(|value| value.is_empty()) && term.is_none_or(|value| value != "dumb")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_named_goes_before_the_terminals_own_width() {
        assert_eq!(width_of(Some("72"), Some(40)), 72);
        assert_eq!(width_of(None, Some(40)), 40);
        assert_eq!(width_of(Some(""), Some(500)), WIDTH_MAX);
        assert_eq!(width_of(Some("0"), Some(0)), WIDTH_DEFAULT);
        assert_eq!(width_of(None, None), WIDTH_DEFAULT);
    }

    #[test]
    fn no_colour_where_it_is_not_wanted_or_not_understood() {
        let text = |text: &str| Some(OsString::from(text));
        assert!(colour_of(None, None) && colour_of(text(""), text("xterm")));
        assert!(!colour_of(text("1"), text("xterm")) && !colour_of(None, text("dumb")));
    }
}
