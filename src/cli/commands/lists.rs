//! `reputon lists`: the catalogue shown, linted and extended. Sends nothing; `lists check` stands beside it.

use std::io::{self, IsTerminal, Read, Write};
use std::path::Path;

use anyhow::{Context, bail};
use comfy_table::{Table, presets};
use reputon::dnsxl::{Catalogue, IMPORT_OCTETS_MAX, List, ListIndex, Status, import};
use reputon::report::{to_json, visible};
use serde_json::{Value, json};

use crate::cli::args::{FileArgs, FilesArgs, ListsArgs, ListsCommand, ListsLsArgs, ListsShowArgs};
use crate::cli::build;
use crate::cli::commands::lists_check;
use crate::cli::options::{ListsChoice, TextChoice};
use crate::cli::stdout::stdout;
use crate::cli::talk::talk;

/// Does what was asked of the catalogue.
pub(crate) fn run(args: &ListsArgs, quiet: bool) -> anyhow::Result<u8> {
    match &args.command {
        None => ls(&args.ls, quiet),
        Some(ListsCommand::Ls(args)) => ls(args, quiet),
        Some(ListsCommand::Show(args)) => show(args, quiet),
        Some(ListsCommand::Check(args)) => lists_check::run(args, quiet),
        Some(ListsCommand::Lint(args)) => lint(args),
        Some(ListsCommand::Import(args)) => import_file(args, quiet),
    }
}

fn ls(args: &ListsLsArgs, quiet: bool) -> anyhow::Result<u8> {
    let catalogue = build::catalogue(&args.catalogue, quiet)?;
    let selected = catalogue.select(&args.lists)?;
    let default = match io::stdout().is_terminal() {
        true => ListsChoice::Table,
        false => ListsChoice::Json,
    };
    let rows = selected.iter().map(|&list| row(&catalogue, list));
    let mut out = stdout();
    match args.format.format.unwrap_or(default) {
        ListsChoice::Json => writeln!(out, "{}", to_json(&Value::Array(rows.collect())))?,
        ListsChoice::Csv => {
            let mut csv = csv::Writer::from_writer(out);
            csv.write_record(COLUMNS)?;
            for row in rows {
                csv.write_record(COLUMNS.map(|column| text(&row[column])))?;
            }
            csv.flush()?;
        }
        ListsChoice::Table => {
            let mut table = Table::new();
            table.load_style(presets::NOTHING);
            table.set_header(COLUMNS);
            for row in rows {
                table.add_row(COLUMNS.map(|column| text(&row[column])));
            }
            writeln!(out, "{table}")?;
        }
    }
    if !quiet {
        talk!(
            "reputon: {} lists of {} in the catalogue, {} graves",
            selected.len(),
            catalogue.lists().len(),
            catalogue.graves().len()
        );
    }
    Ok(0)
}

/// The fields of a list in a line, in order.
const COLUMNS: [&str; 8] = ["id", "zone", "operator", "kinds", "role", "tier", "status", "default"];

fn row(catalogue: &Catalogue, index: ListIndex) -> Value {
    let list = catalogue.list(index);
    json!({
        "id": list.id,
        "zone": list.zone,
        "operator": catalogue.operator_of(index).name,
        "kinds": list.kinds.iter().map(|kind| kind.as_str()).collect::<Vec<_>>(),
        "role": list.role.as_str(),
        "tier": list.tier.as_str(),
        "status": status(list),
        "default": list.default,
    })
}

fn status(list: &List) -> &'static str {
    match list.status {
        Status::Live => "live",
        Status::Unverified => "unverified",
        Status::Retired => "retired",
    }
}

/// A JSON value in a cell.
fn text(value: &Value) -> String {
    match value {
        Value::String(text) => visible(text).into_owned(),
        Value::Array(values) => values.iter().map(text).collect::<Vec<_>>().join(" "),
        other => other.to_string(),
    }
}

fn show(args: &ListsShowArgs, quiet: bool) -> anyhow::Result<u8> {
    let catalogue = build::catalogue(&args.catalogue, quiet)?;
    let default = match io::stdout().is_terminal() {
        true => TextChoice::Table,
        false => TextChoice::Json,
    };
    let format = args.format.format.unwrap_or(default);
    let mut out = stdout();
    for id in &args.ids {
        let everything = match catalogue.by_id(id) {
            Some(list) => everything(&catalogue, list),
            None => found_otherwise(&catalogue, id)?,
        };
        match format {
            TextChoice::Json => writeln!(out, "{}", to_json(&everything))?,
            TextChoice::Table => {
                for (name, value) in everything.as_object().into_iter().flatten() {
                    write_field(&mut out, name, value)?;
                }
                writeln!(out)?;
            }
        }
    }
    Ok(0)
}

fn write_field(out: &mut impl Write, name: &str, value: &Value) -> io::Result<()> {
    match value {
        Value::Null => Ok(()),
        Value::Object(fields) => fields
            .iter()
            .try_for_each(|(inner, value)| write_field(out, &format!("{name} {inner}"), value)),
        Value::Array(values) if values.is_empty() => Ok(()),
        value => writeln!(out, "{name:<22} {}", text(value)),
    }
}

/// A list by its zone, a grave, or an error that names what is near.
fn found_otherwise(catalogue: &Catalogue, word: &str) -> anyhow::Result<Value> {
    if let Some(grave) = catalogue
        .graves()
        .iter()
        .find(|grave| grave.zone.eq_ignore_ascii_case(word))
    {
        return Ok(json!({
            "zone": grave.zone,
            "status": "retired",
            "since": grave.retired.since,
            "how": grave.retired.how,
            "confidence": grave.retired.confidence,
        }));
    }
    match catalogue.select(&[word.to_owned()])?.as_slice() {
        [list] => Ok(everything(catalogue, *list)),
        several => bail!(
            "{word:?} is {} lists: show one of them by its id ({}, …)",
            several.len(),
            several.first().map_or("none", |list| catalogue.list(*list).id.as_str())
        ),
    }
}

fn everything(catalogue: &Catalogue, index: ListIndex) -> Value {
    let list = catalogue.list(index);
    let operator = catalogue.operator_of(index);
    let codes = list.codes.entries.iter().map(|code| {
        let role = code.role.unwrap_or(list.role).as_str();
        let tier = code.tier.unwrap_or(list.tier).as_str();
        let word = if code.listing {
            format!("{role} {tier}")
        } else {
            "not a listing".to_owned()
        };
        (code.pattern.to_string(), json!(format!("{} ({word})", code.means)))
    });
    let refusal = list.refusal.iter().chain(&operator.refusal).map(ToString::to_string);
    let covered_by = catalogue.lists().iter().filter(|other| other.covers.contains(&list.id));
    json!({
        "id": list.id,
        "zone": list.zone,
        "query": list.query,
        "about": list.about,
        "operator": operator.name,
        "home": operator.home,
        "kinds": list.kinds.iter().map(|kind| kind.as_str()).collect::<Vec<_>>(),
        "role": list.role.as_str(),
        "tier": list.tier.as_str(),
        "status": status(list),
        "default": list.default,
        "tags": list.tags,
        "covers": list.covers,
        "covered by": covered_by.map(|other| other.id.clone()).collect::<Vec<_>>(),
        "codes": codes.collect::<serde_json::Map<_, _>>(),
        "refusal": refusal.collect::<Vec<_>>(),
        "terms": {
            "use": operator.terms.usage,
            "queries a day": operator.terms.max_queries_per_day,
            "queries a second": operator.terms.max_qps,
            "public resolvers": operator.terms.public_resolvers,
        },
        "needs key": list.needs_key(),
        "test": {
            "listed": list.test.listed,
            "unlisted": list.test.unlisted,
            "code": list.test.code,
        },
        "removal": list.remove,
        "how to be removed": list.remove_how,
        "lookup": list.lookup,
        "retired": list.retired.as_ref().map(|end| json!({
            "since": end.since,
            "how": end.how,
            "confidence": end.confidence,
        })),
        "checked": operator.checked,
        "sources": list.sources,
    })
}

fn lint(args: &FilesArgs) -> anyhow::Result<u8> {
    for warning in Catalogue::lint_files(&args.files)? {
        talk!("reputon: {}", visible(&warning.to_string()));
    }
    Ok(0)
}

fn import_file(args: &FileArgs, quiet: bool) -> anyhow::Result<u8> {
    let name = args.file.display().to_string();
    let text = read(&args.file)?;
    let imported = import(&visible(&name), &text).map_err(|mistake| anyhow::anyhow!("{mistake}"))?;
    stdout().write_all(imported.toml.as_bytes())?;
    if !quiet {
        for skipped in &imported.skipped {
            talk!("reputon: {skipped}");
        }
        talk!("reputon: {} lists, {} left out", imported.lists, imported.skipped.len());
    }
    Ok(0)
}

fn read(path: &Path) -> anyhow::Result<String> {
    let mut octets = Vec::new();
    std::fs::File::open(path)
        // One octet more than `import` takes: what has no end is not read to it.
        .and_then(|file| file.take(IMPORT_OCTETS_MAX as u64 + 1).read_to_end(&mut octets))
        .with_context(|| format!("{}: cannot be read", path.display()))?;
    Ok(String::from_utf8_lossy(&octets).into_owned())
}
