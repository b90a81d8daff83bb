//! Scans of the lab's lists through resolvers of the caller's: the command, and what comes out of it.

use std::net::SocketAddr;
use std::process::{Command, Output, Stdio};

use assert_cmd::cargo::CommandCargoExt;
use serde_json::Value;

/// A scan of these targets on the lab's lists, as JSON, at any rate; the folder has its catalogue.
pub fn command(resolvers: &[SocketAddr], targets: &[&str]) -> (Command, tempfile::TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("lab.toml");
    std::fs::write(&file, reputon::lab::CATALOGUE).expect("written");
    let mut command = Command::cargo_bin("reputon").expect("the binary is built");
    command
        .args(["scan", "--only-catalogue", "--stages", "none", "--rate", "0"])
        .args(["-f", "json", "--db", "none", "--config", "none", "--catalogue"])
        .arg(&file);
    for resolver in resolvers {
        command.args(["--resolver", &resolver.to_string()]);
    }
    command.args(targets).stdin(Stdio::null());
    (command, folder)
}

/// The report that a scan has written, and what it said.
pub fn report(output: &Output) -> (Value, String) {
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let report = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {said}"));
    (report, said)
}
