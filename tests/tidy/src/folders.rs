//! The table of folders in `docs/ARCHITECTURE.md`.

use std::collections::{BTreeMap, BTreeSet};

/// Returns which packages each package may use according to the table: its folder, and the names in
/// the last column. Rows that name no packages are left out.
#[must_use]
pub fn may_use(page: &str) -> BTreeMap<String, BTreeSet<String>> {
    let row = |line: &str| {
        let cells: Vec<&str> = line
            .strip_prefix("| `")?
            .trim_end_matches(" |")
            .split(" | ")
            .collect();
        let [folder, .., used] = cells[..] else {
            return None;
        };
        let used = used
            .split(", ")
            .filter(|name| *name != "–")
            .map(str::to_owned)
            .collect();
        Some((folder.trim_end_matches('`').to_owned(), used))
    };
    page.lines().filter_map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_read() {
        let page = "| folder | what | may use |\n|---|---|---|\n| `shared/a` | x; y | – |\n| \
             `shared/b` | z | a, c |\n";
        let expected = [
            ("shared/a".to_owned(), BTreeSet::new()),
            (
                "shared/b".to_owned(),
                BTreeSet::from(["a".to_owned(), "c".to_owned()]),
            ),
        ];
        assert_eq!(may_use(page), BTreeMap::from(expected));
    }
}
