//! Checks of the repository: its layers, its lint exceptions, the size of its files, and the names
//! in its template and its code.

pub mod folders;
pub mod manifest;
pub mod prose;
pub mod types;
pub mod walkthroughs;

use std::fs;
use std::path::{Path, PathBuf};

/// Returns the root of the repository.
#[must_use]
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .expect("the package is in tests/tidy")
}

/// Reads a text file of the repository, by its path from the root.
#[must_use]
pub fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Returns the paths of every Rust source file from the root.
#[must_use]
pub fn sources() -> Vec<PathBuf> {
    let mut found = Vec::new();
    for area in ["functions", "shared", "infra", "tests"] {
        add_sources(&root().join(area), &mut found);
    }
    found.sort();
    found
        .into_iter()
        .map(|path| {
            path.strip_prefix(root())
                .map(Path::to_path_buf)
                .unwrap_or(path)
        })
        .collect()
}

fn add_sources(folder: &Path, found: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_dir() {
            add_sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// Returns the packages of the workspace: the folder from the root, and the names under
/// `[dependencies]`.
#[must_use]
pub fn packages() -> Vec<(String, Vec<String>)> {
    let mut packages = Vec::new();
    for area in ["functions", "shared", "infra", "tests"] {
        let entries = fs::read_dir(root().join(area)).expect("the areas exist");
        for entry in entries
            .flatten()
            .filter(|entry| entry.path().join("Cargo.toml").exists())
        {
            let name = format!("{area}/{}", entry.file_name().to_string_lossy());
            let manifest = read(format!("{name}/Cargo.toml"));
            packages.push((name, manifest::dependencies(&manifest, "dependencies")));
        }
    }
    packages.sort();
    packages
}

/// Returns the paths of every page of documentation. Superseded decisions are left out, because
/// they describe the past.
#[must_use]
pub fn pages() -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = ["README.md", "CONTRIBUTING.md", "SECURITY.md"]
        .iter()
        .map(PathBuf::from)
        .collect();
    for folder in ["docs", "docs/destinations", "docs/decisions"] {
        let entries = fs::read_dir(root().join(folder)).expect("the documentation has its folders");
        let paths = entries
            .flatten()
            .map(|entry| Path::new(folder).join(entry.file_name()));
        found.extend(
            paths.filter(|path| path.extension().is_some_and(|extension| extension == "md")),
        );
    }
    found.retain(|path| !read(path).contains("uperseded by "));
    found.sort();
    found
}
