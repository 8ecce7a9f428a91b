//! The repository checks itself: its layers, its lint exceptions, the size of its files, what its template and its code call things.

use std::fs;
use std::path::{Path, PathBuf};

/// The repository's root.
#[must_use]
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the package stands in tests/tidy")
}

/// A text file of the repository, by its path from the root.
#[must_use]
pub fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Every Rust source file, by its path from the root.
#[must_use]
pub fn sources() -> Vec<PathBuf> {
    let mut found = Vec::new();
    for room in ["functions", "shared", "infra", "tests"] {
        walk(&root().join(room), &mut found);
    }
    found.sort();
    found.into_iter().map(|path| path.strip_prefix(root()).map(Path::to_path_buf).unwrap_or(path)).collect()
}

fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_dir() {
            walk(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The packages of the workspace: folder from the root, and the names under `[dependencies]`.
#[must_use]
pub fn packages() -> Vec<(String, Vec<String>)> {
    let mut packages = Vec::new();
    for room in ["functions", "shared", "infra", "tests"] {
        let entries = fs::read_dir(root().join(room)).expect("the rooms are there");
        for entry in entries.flatten().filter(|entry| entry.path().join("Cargo.toml").exists()) {
            let name = format!("{room}/{}", entry.file_name().to_string_lossy());
            let manifest = read(format!("{name}/Cargo.toml"));
            packages.push((name, dependencies(&manifest)));
        }
    }
    packages.sort();
    packages
}

fn dependencies(manifest: &str) -> Vec<String> {
    let section = manifest.split("\n[dependencies]\n").nth(1).unwrap_or_default();
    let section = section.split("\n[").next().unwrap_or_default();
    section.lines().filter_map(|line| line.split(['.', ' ', '=']).next()).filter(|name| !name.is_empty()).map(str::to_owned).collect()
}
