//! The dependencies that a `Cargo.toml` declares, and those that the package's sources use.

use std::collections::{BTreeSet, HashSet};

/// Crates whose name in code differs from the name of their package.
const RENAMED: &[(&str, &str)] = &[("md-5", "md5"), ("dynoxide-rs", "dynoxide")];

/// Returns the names in a section of a manifest, such as `dependencies`.
#[must_use]
pub fn dependencies(manifest: &str, section: &str) -> Vec<String> {
    let body = manifest
        .split(&format!("\n[{section}]\n"))
        .nth(1)
        .unwrap_or_default();
    let body = body.split("\n[").next().unwrap_or_default();
    let name = |line: &str| line.split(['.', ' ', '=']).next().map(str::to_owned);
    body.lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(name)
        .filter(|name| !name.is_empty())
        .collect()
}

/// Returns the dependencies of a manifest that none of the package's sources mention.
#[must_use]
pub fn unused(manifest: &str, sources: &[String]) -> BTreeSet<String> {
    let declared = ["dependencies", "dev-dependencies", "build-dependencies"];
    let declared = declared
        .iter()
        .flat_map(|section| dependencies(manifest, section));
    let words: HashSet<&str> = sources.iter().flat_map(|source| words(source)).collect();
    declared
        .filter(|name| !words.contains(&*in_code(name)))
        .collect()
}

fn in_code(package: &str) -> String {
    let renamed = RENAMED.iter().find(|(name, _)| *name == package);
    renamed.map_or_else(|| package.replace('-', "_"), |(_, name)| (*name).to_owned())
}

/// Returns the words of a source without its comments.
fn words(source: &str) -> impl Iterator<Item = &str> {
    let code = source
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"));
    code.flat_map(|line| line.split(|c: char| !c.is_alphanumeric() && c != '_'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANIFEST: &str = "[package]\nname = \"p\"\n\n[dependencies]\nhex.workspace = true\nmd-5 \
         = { workspace = true }\n\n[dev-dependencies]\ntempfile.workspace = true\n";

    #[test]
    fn an_unused_dependency_is_found() {
        let used = "use md5::Md5;\n#[test]\nfn t() { tempfile::tempdir(); hex::encode(b\"\"); }\n";
        assert!(unused(MANIFEST, &[used.to_owned()]).is_empty());
        let planted = "// hex is only in a comment\nuse md5::Md5;\nlet hexagon = 6;\n";
        assert_eq!(
            unused(MANIFEST, &[planted.to_owned()]),
            BTreeSet::from(["hex".to_owned(), "tempfile".to_owned()])
        );
    }
}
