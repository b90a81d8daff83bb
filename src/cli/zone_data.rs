//! The files of `--zone-data`, read and judged before anything is sent.
//!
//! A file that cannot be evaluated is an error: what it says wrongly, or no more, would be a false clean. Single lines that
//! make no sense are left out with a warning, as rbldnsd does.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use anyhow::{Context, bail};
use jiff::Timestamp;
use rayon::ThreadPoolBuilder;
use rayon::prelude::*;
use reputon::dnsxl::{Catalogue, ListIndex};
use reputon::plan::LocalList;
use reputon::report::visible;
use reputon::zone::{Dataset, DatasetKind, Warnings};

use super::values::ZoneData;
use crate::cli::talk::talk;

/// Warnings that are shown of one file; the rest is a number.
const WARNINGS_SHOWN_MAX: usize = 5;

/// Loads all files, several at a time. Every list must be one of the run.
pub(crate) fn load(
    files: &[ZoneData],
    (catalogue, selected): (&Catalogue, &[ListIndex]),
    quiet: bool,
) -> anyhow::Result<BTreeMap<ListIndex, LocalList>> {
    let mut lists = Vec::with_capacity(files.len());
    for data in files {
        let named = selected.iter().find(|&&list| {
            let facts = catalogue.list(list);
            facts.id == data.list || facts.zone == data.list
        });
        let Some(&list) = named else {
            bail!(
                "--zone-data {}=…: no list of this run; `reputon lists` shows them, --lists selects them",
                visible(&data.list)
            );
        };
        lists.push(list);
    }
    let loaded = read(files);
    let mut datasets: BTreeMap<ListIndex, Vec<Dataset>> = BTreeMap::new();
    for ((list, data), dataset) in lists.into_iter().zip(files).zip(loaded) {
        let dataset = dataset.with_context(|| format!("--zone-data {}", visible(&data.list)))?;
        if !quiet {
            warn(&data.file, dataset.warnings());
        }
        datasets.entry(list).or_default().push(dataset);
    }
    let mut local = BTreeMap::new();
    for (list, datasets) in datasets {
        let facts = catalogue.list(list);
        let data = LocalList::new((facts, catalogue.operator(facts.operator)), datasets);
        if !facts.kinds.iter().any(|&kind| data.tells(kind)) {
            bail!(
                "--zone-data {}=…: the data has no entry of the kinds that the list takes ({}): it would clear everybody",
                facts.id,
                facts
                    .kinds
                    .iter()
                    .map(|kind| kind.as_str())
                    .collect::<Vec<_>>()
                    .join(", ")
            );
        }
        local.insert(list, data);
    }
    Ok(local)
}

/// Reads the files on all processors; one after the other where the system has no room for threads.
fn read(files: &[ZoneData]) -> Vec<anyhow::Result<Dataset>> {
    if files.len() > 1
        && let Ok(pool) = ThreadPoolBuilder::new().build()
    {
        return pool.install(|| files.par_iter().map(dataset).collect());
    }
    files.iter().map(dataset).collect()
}

fn dataset(data: &ZoneData) -> anyhow::Result<Dataset> {
    let (path, file) = (&data.file, data.file.display());
    let text = read_file(path).with_context(|| format!("{file}: cannot be read"))?;
    let format = data.format.unwrap_or_else(|| DatasetKind::guess(path, &text));
    let dataset = Dataset::parse(format, &file.to_string(), &text)?;
    if dataset.entries() == 0 {
        match dataset.warnings().kept.first() {
            Some(first) => bail!(
                "{first} (read as {}; name another format with {}=TYPE:FILE)",
                format.as_str(),
                data.list
            ),
            None => bail!("{file}: no entries: an empty list would clear everybody"),
        }
    }
    let now = Timestamp::now().as_second() as u64; // it is after 1970
    if dataset.expires().is_some_and(|end| end <= now) {
        bail!("{file}: the data has expired by its own $TIMESTAMP; get a newer copy");
    }
    if dataset.made().is_some_and(|made| made > now) {
        bail!(
            "{file}: the data is from the future by its own $TIMESTAMP; set this machine's clock, or get another copy"
        );
    }
    Ok(dataset)
}

/// The whole file, read once, for it may be a pipe. Not a device, which may have no end.
fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    let kind = fs::metadata(path)?.file_type();
    if kind.is_char_device() || kind.is_block_device() {
        return Err(io::Error::other("it is a device and no file"));
    }
    fs::read(path)
}

fn warn(path: &Path, warnings: &Warnings) {
    for warning in warnings.kept.iter().take(WARNINGS_SHOWN_MAX) {
        talk!("reputon: {}; the line is left out", visible(&warning.to_string()));
    }
    let more = warnings.count().saturating_sub(WARNINGS_SHOWN_MAX as u64);
    if more > 0 {
        talk!(
            "reputon: {}: {more} more lines are left out",
            visible(&path.display().to_string())
        );
    }
}
