//! The names of public types.

use std::collections::{BTreeMap, BTreeSet};

/// Returns a source without its module of tests.
#[must_use]
pub fn shipped(source: &str) -> &str {
    source
        .split("\n#[cfg(test)]\nmod tests {")
        .next()
        .unwrap_or_default()
}

/// Returns the public types that a source defines.
#[must_use]
pub fn public_types(source: &str) -> BTreeSet<String> {
    let name = |line: &str| {
        let rest = line.trim_start().strip_prefix("pub ")?;
        let rest = ["struct ", "enum ", "trait ", "type ", "union "]
            .iter()
            .find_map(|kind| rest.strip_prefix(kind))?;
        rest.split(|c: char| !c.is_alphanumeric() && c != '_')
            .next()
            .filter(|name| !name.is_empty())
            .map(str::to_owned)
    };
    shipped(source).lines().filter_map(name).collect()
}

/// Returns the names that several of these files define, each with its files.
#[must_use]
pub fn defined_twice(files: &[(String, String)]) -> BTreeMap<String, BTreeSet<String>> {
    let mut by_name: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (path, source) in files {
        for name in public_types(source) {
            by_name.entry(name).or_default().insert(path.clone());
        }
    }
    by_name.retain(|_, files| files.len() > 1);
    by_name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_two_files_define_is_found() {
        let file = |path: &str, source: &str| (path.to_owned(), source.to_owned());
        let one = file("a.rs", "pub struct Page<T> {\n}\n    pub enum Mode {}\n");
        let other = file("b.rs", "pub(crate) struct Mode;\npub type Page = u8;\n");
        let twice = defined_twice(&[one, other]);
        assert_eq!(twice.keys().collect::<Vec<_>>(), ["Page"]);
        assert_eq!(twice["Page"].len(), 2);
    }
}
