//! Embeds the catalogue: writes `built_in.rs` with the name and text of every `lists/*.toml`, sorted by name.

use std::fmt::Write;
use std::path::{Path, PathBuf};

fn main() {
    let root = PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    let out = PathBuf::from(std::env::var_os("OUT_DIR").expect("cargo sets it"));
    println!("cargo::rerun-if-changed=lists");
    println!("cargo::rerun-if-changed=build.rs");
    let mut files: Vec<PathBuf> = match std::fs::read_dir(root.join("lists")) {
        Ok(entries) => entries.filter_map(|entry| Some(entry.ok()?.path())).collect(),
        Err(_) => Vec::new(), // a checkout without lists builds, with an empty catalogue
    };
    files.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    files.sort();
    let mut code = String::from("&[\n");
    for path in &files {
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .expect("file names are ASCII");
        writeln!(
            code,
            "    ({:?}, include_str!({:?})),",
            format!("lists/{name}"),
            display(path)
        )
        .expect("memory");
    }
    code.push_str("]\n");
    std::fs::write(out.join("built_in.rs"), code).expect("OUT_DIR can be written");
}

fn display(path: &Path) -> &str {
    path.to_str().expect("the checkout's path is UTF-8")
}
