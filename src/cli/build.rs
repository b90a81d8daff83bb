//! From what was typed to the parts that do the work. Every error says what was typed and how to mend it.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::{Context, bail};
use reputon::dnsxl::{Catalogue, Key};
use reputon::lab::{CATALOGUE, CATALOGUE_BAD};
use reputon::plan::Keys;
use reputon::stages::{self, Stage, Stages};
use reputon::wire::Name;

use super::options::{CatalogueOptions, KeyOptions, PathOptions, StageOptions};
use super::server::Server;
use crate::cli::talk::talk;

/// Where the system names its resolvers.
const RESOLV_CONF: &str = "/etc/resolv.conf";

/// The prefix of environment variables that hold keys.
const KEY_PREFIX: &str = "REPUTON_KEY_";

/// The key of operators that are rehearsed without one.
pub(crate) const REHEARSAL_KEY: &str = "rehearsal";

/// The resolvers that were named, or else the system's.
pub(crate) fn resolvers(options: &PathOptions) -> anyhow::Result<Vec<SocketAddr>> {
    if !options.resolver.is_empty() {
        let servers = options.resolver.iter().map(Server::find);
        return servers.collect::<Result<_, _>>().context("--resolver");
    }
    let mend = "name a resolver with --resolver";
    let text = std::fs::read(RESOLV_CONF).with_context(|| format!("{RESOLV_CONF}: cannot be read; {mend}"))?;
    let config = resolv_conf::Config::parse(text).with_context(|| format!("{RESOLV_CONF}: not understood; {mend}"))?;
    let servers = config.get_nameservers_or_local();
    let servers = servers.iter().map(|server| Server::of_system(server).find());
    servers
        .collect::<Result<_, _>>()
        .with_context(|| format!("{RESOLV_CONF}: mend it, or {mend}"))
}

/// The servers that were named for single zones; none in a rehearsal: those of the configuration file are outside.
pub(crate) fn routes(options: &PathOptions, rehearsal: bool) -> anyhow::Result<Vec<(Name, SocketAddr)>> {
    let routes = options.route.iter().filter(|_| !rehearsal);
    let found = routes.map(|route| Ok((route.zone.clone(), route.server.find()?)));
    found.collect::<anyhow::Result<_>>().context("--route")
}

/// The catalogue; what is worth a warning is said.
pub(crate) fn catalogue(options: &CatalogueOptions, quiet: bool) -> anyhow::Result<Catalogue> {
    load(!options.only_catalogue, &options.catalogue, quiet)
}

/// Everybody that a key can be for: the built-in catalogue and the files, whatever a run leaves out.
pub(crate) fn every_operator(options: &CatalogueOptions) -> anyhow::Result<Catalogue> {
    Ok(Catalogue::load(true, &options.catalogue)?.0)
}

/// The lists of these files alone; what is worth a warning is said.
pub(crate) fn catalogue_of_files(files: &[PathBuf], quiet: bool) -> anyhow::Result<Catalogue> {
    load(false, files, quiet)
}

fn load(built_in: bool, files: &[PathBuf], quiet: bool) -> anyhow::Result<Catalogue> {
    let (catalogue, warnings) = Catalogue::load(built_in, files)?;
    if !quiet {
        for warning in warnings {
            talk!("reputon: {warning}");
        }
    }
    Ok(catalogue)
}

/// The catalogue of the embedded world: its own lists, good and bad.
pub(crate) fn lab_catalogue() -> anyhow::Result<Catalogue> {
    Ok(Catalogue::parse(&[
        ("lab.toml", CATALOGUE),
        ("lab-bad.toml", CATALOGUE_BAD),
    ])?)
}

/// A key for each operator that has none: nothing leaves the machine in a rehearsal, so that any key does.
pub(crate) fn add_rehearsal_keys(keys: &mut Keys, catalogue: &Catalogue) {
    for operator in catalogue.operators() {
        let key = Key::new(REHEARSAL_KEY).expect("a plain word");
        keys.entry(operator.id.clone()).or_insert(key);
    }
}

/// Keys by operator: from the configuration file, then from the environment, then from the command line.
pub(crate) fn keys(options: &KeyOptions, catalogue: &Catalogue) -> anyhow::Result<Keys> {
    let mut keys = Keys::new();
    // The file holds keys of operators that this run's catalogue may not know.
    for key in &options.config_key {
        keys.insert(key.operator.clone(), Key::new(key.key.reveal())?);
    }
    for operator in catalogue.operators() {
        let variable = format!("{KEY_PREFIX}{}", operator.id.to_uppercase().replace('-', "_"));
        if let Some(text) = std::env::var_os(&variable) {
            let key = text.to_str().and_then(|text| Key::new(text).ok());
            let key = key.with_context(|| format!("{variable}: not a key: letters, digits, dashes, underscores"))?;
            keys.insert(operator.id.clone(), key);
        }
    }
    for typed in &options.key {
        if !catalogue
            .operators()
            .iter()
            .any(|operator| operator.id == typed.operator)
        {
            bail!(
                "--key {}=…: no such operator; `reputon lists` shows them",
                typed.operator
            );
        }
        let key = Key::new(typed.key.reveal()).with_context(|| format!("--key {}=…", typed.operator))?;
        keys.insert(typed.operator.clone(), key);
    }
    Ok(keys)
}

/// The stages that were chosen.
pub(crate) fn stages(options: &StageOptions) -> Stages {
    match options.smtp {
        true => options.stages.0.with(Stage::Smtp),
        false => options.stages.0,
    }
}

/// What the stages are told.
pub(crate) fn stage_options(options: &StageOptions) -> stages::StageOptions {
    stages::StageOptions {
        dkim_selectors: options.dkim_selector.clone(),
        ..stages::StageOptions::default()
    }
}
