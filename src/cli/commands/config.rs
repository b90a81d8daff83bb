//! `reputon config show`: every option with its value and where that comes from; keys and webhooks masked. What it prints
//! is a configuration file again.

use std::io::Write;

use clap::{Arg, ArgAction, Command};
use reputon::dnsxl::Catalogue;
use reputon::report::{to_json, visible};
use serde_json::json;

use crate::cli::args::{ConfigShowArgs, command};
use crate::cli::config::{Config, settable, shown, usual_place, variable};
use crate::cli::options::TextChoice;
use crate::cli::stdout::stdout;
use crate::cli::values::Webhook;

/// What stands for a secret.
const MASK: &str = "********";

/// One option and where its value comes from.
struct Row {
    command: Option<String>,
    option: String,
    values: Vec<String>,
    /// Whether several may be given.
    many: bool,
    source: String,
}

/// Shows.
pub(crate) fn show(args: &ConfigShowArgs, config: &Config) -> anyhow::Result<u8> {
    let table = command();
    let rows = rows(&table, config);
    let keys = keys(config)?;
    let mut out = stdout();
    if args.format.format == Some(TextChoice::Json) {
        let options: Vec<serde_json::Value> = rows
            .iter()
            .map(
                |row| json!({"command": row.command, "option": row.option, "values": row.values, "source": row.source}),
            )
            .collect();
        let keys: Vec<serde_json::Value> = keys
            .iter()
            .map(|(operator, source)| json!({"operator": operator, "source": source}))
            .collect();
        let file = config.file.as_deref().map(shown);
        writeln!(
            out,
            "{}",
            to_json(&json!({"file": file, "options": options, "keys": keys}))
        )?;
        return Ok(0);
    }
    match (&config.file, usual_place()) {
        (Some(file), _) => writeln!(out, "# {}", shown(file))?,
        (None, Some(place)) => writeln!(out, "# no configuration file; it would be {}", shown(&place))?,
        (None, None) => writeln!(out, "# no configuration file")?,
    }
    let mut own = None;
    for row in &rows {
        if row.command != own {
            own = row.command.clone();
            writeln!(out, "\n[{}]", own.as_deref().unwrap_or_default())?;
        }
        writeln!(out, "{:<50} # {}", line(row), row.source)?;
    }
    if !keys.is_empty() {
        writeln!(out, "\n[keys]")?;
    }
    for (operator, source) in keys {
        writeln!(out, "{:<50} # {source}", format!("{operator} = \"{MASK}\""))?;
    }
    Ok(0)
}

/// A line of the file; an option without a value is commented out.
fn line(row: &Row) -> String {
    let quoted: Vec<String> = row.values.iter().map(|value| quoted(value)).collect();
    match (quoted.as_slice(), row.many) {
        ([], _) => format!("# {} =", row.option),
        ([one], false) => format!("{} = {one}", row.option),
        (all, _) => format!("{} = [{}]", row.option, all.join(", ")),
    }
}

/// A value as TOML: numbers and truth as they are, the rest in quotes.
fn quoted(value: &str) -> String {
    let plain = value == "true" || value == "false" || value.parse::<i64>().is_ok();
    match plain {
        true => value.to_owned(),
        false => format!("\"{}\"", visible(value).replace('\\', "\\\\").replace('"', "\\\"")),
    }
}

/// What holds for every command, then what a command has of its own.
fn rows(table: &Command, config: &Config) -> Vec<Row> {
    let mut seen: Vec<&str> = Vec::new();
    let mut rows: Vec<Row> = Vec::new();
    for arg in settable(table) {
        let long = arg.get_long().unwrap_or_default();
        if arg.is_hide_set() || seen.contains(&long) {
            continue;
        }
        seen.push(long);
        rows.push(row(arg, long, config));
    }
    rows.sort_by(|left, right| left.option.cmp(&right.option));
    for setting in config.settings.iter().filter(|setting| setting.command.is_some()) {
        rows.push(Row {
            command: setting.command.clone(),
            option: setting.option.clone(),
            many: setting.values.len() != 1,
            values: masked(&setting.option, &setting.values),
            source: format!(
                "{}:{}",
                config.file.as_deref().map(shown).unwrap_or_default(),
                setting.line
            ),
        });
    }
    rows
}

fn row(arg: &Arg, long: &str, config: &Config) -> Row {
    let general = config.settings.iter().rev();
    let mut general = general.filter(|setting| setting.command.is_none());
    let name = variable(long);
    let (values, source) = if let Some(value) = std::env::var_os(&name) {
        (
            vec![value.to_string_lossy().into_owned()],
            format!("environment {name}"),
        )
    } else if let Some(setting) = general.find(|setting| setting.option == long) {
        let file = config.file.as_deref().map(shown).unwrap_or_default();
        (setting.values.clone(), format!("{file}:{}", setting.line))
    } else {
        let defaults = arg.get_default_values().iter();
        let values: Vec<String> = defaults.map(|value| value.to_string_lossy().into_owned()).collect();
        let values = match (values.is_empty(), arg.get_action()) {
            (true, ArgAction::SetTrue) => vec!["false".into()],
            (true, ArgAction::Count) => vec!["0".into()],
            _ => values,
        };
        (values, "default".to_owned())
    };
    Row {
        command: None,
        option: long.to_owned(),
        values: masked(long, &values),
        many: matches!(arg.get_action(), ArgAction::Append),
        source,
    }
}

/// Values without what is secret in them.
fn masked(option: &str, values: &[String]) -> Vec<String> {
    let mask = |value: &String| match option {
        "notify" => value
            .parse::<Webhook>()
            .map_or_else(|_| MASK.to_owned(), |hook| hook.to_string()),
        _ => value.clone(),
    };
    values.iter().map(mask).collect()
}

/// Operators with a key, and where it comes from.
fn keys(config: &Config) -> anyhow::Result<Vec<(String, String)>> {
    let (catalogue, _) = Catalogue::load(true, &[])?;
    let file = config.file.as_deref().map(shown).unwrap_or_default();
    let mut keys: Vec<(String, String)> = Vec::new();
    for operator in catalogue.operators() {
        let name = variable(&format!("key-{}", operator.id));
        if std::env::var_os(&name).is_some() {
            keys.push((operator.id.clone(), format!("environment {name}")));
        }
    }
    for key in &config.keys {
        if !keys.iter().any(|(operator, _)| *operator == key.operator) {
            keys.push((key.operator.clone(), format!("{file}:{}", key.line)));
        }
    }
    Ok(keys)
}
