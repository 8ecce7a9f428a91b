//! Template and code call the same variables the same.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use local::template::{COMPILED_IN, Template};

/// Read by the log subscriber, before any configuration.
const READ_BY_EVERY_MAIN: &str = "LOG_LEVEL";

#[test]
fn each_function_reads_what_the_template_gives_it() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    for function in Template::read(COMPILED_IN, &BTreeMap::new()).unwrap().stack().unwrap().functions {
        let Ok(config) = fs::read_to_string(root.join("functions").join(&function.binary).join("src/config.rs")) else { continue };
        let read: BTreeSet<_> = variables_in(&config).collect();
        let given: BTreeSet<_> = function.environment.keys().map(String::as_str).filter(|name| *name != READ_BY_EVERY_MAIN).collect();
        assert_eq!(given, read, "functions/{}/src/config.rs (right) and {} in template.yaml (left)", function.binary, function.logical_id);
    }
}

/// The names of environment variables among a source's string literals, its tests left out.
fn variables_in(source: &str) -> impl Iterator<Item = &str> {
    let code = source.split("#[cfg(test)]").next().unwrap_or_default();
    let is_variable = |text: &&str| text.contains('_') && text.chars().all(|c| c.is_ascii_uppercase() || c == '_');
    code.split('"').skip(1).step_by(2).filter(is_variable)
}
