//! Lists what policies allow and no function did, and fails if `infra/unused-actions.toml` does not
//! excuse it.
//!
//! ```sh
//! ./test    # records what functions do, and runs this
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::process::ExitCode;

use local::template::{COMPILED_IN, Template};
use local_aws::Effect;

/// The content of `infra/unused-actions.toml`.
#[derive(serde::Deserialize)]
struct AllowedUnusedList {
    excused: Vec<AllowedUnused>,
}

/// An action that may be allowed without any local test doing it.
#[derive(serde::Deserialize)]
struct AllowedUnused {
    action: String,
    /// The functions by their binaries; empty for all of them.
    #[serde(default)]
    functions: Vec<String>,
    /// Whether the tests do it in some runs and not in others, so that the excuse stays when they
    /// happen to have done it.
    #[serde(default)]
    by_chance: bool,
    reason: String,
}

fn main() -> ExitCode {
    let files: Vec<String> = std::env::args().skip(1).collect();
    assert!(!files.is_empty(), "which files were calls recorded in?");
    let done: BTreeSet<String> = files
        .iter()
        .flat_map(|path| {
            let text =
                std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{path}: {error}"));
            text.lines().map(str::to_owned).collect::<Vec<_>>()
        })
        .collect();
    let text = include_str!("../../unused-actions.toml");
    let excuses: AllowedUnusedList =
        toml::from_str(text).expect("infra/unused-actions.toml is well-formed");
    assert!(
        excuses
            .excused
            .iter()
            .all(|excused| !excused.reason.is_empty()),
        "each excuse has its reason"
    );
    let stack = Template::read(COMPILED_IN, &BTreeMap::new())
        .and_then(|template| template.stack())
        .expect("the template is ours");
    let mut unused = Vec::new();
    let mut needed = BTreeSet::new();
    for function in &stack.functions {
        let allowed = function
            .statements
            .iter()
            .filter(|statement| statement.effect == Effect::Allow);
        for action in allowed
            .flat_map(|statement| &statement.actions)
            .collect::<BTreeSet<_>>()
        {
            if done.contains(&format!("{} {action}", function.name)) {
                continue;
            }
            let excuse = excuses.excused.iter().position(|excused| {
                excused.action == *action
                    && (excused.functions.is_empty()
                        || excused.functions.contains(&function.binary))
            });
            match excuse {
                Some(position) => drop(needed.insert(position)),
                None => unused.push(format!("{} may {action} and never does", function.binary)),
            }
        }
    }
    let idle = excuses
        .excused
        .iter()
        .enumerate()
        .filter(|(position, excused)| !excused.by_chance && !needed.contains(position));
    unused.extend(idle.map(|(_, excused)| {
        format!(
            "infra/unused-actions.toml excuses {}, which needs no excuse",
            excused.action
        )
    }));
    unused.iter().for_each(|line| println!("{line}"));
    println!(
        "{} actions of {} functions were done",
        done.len(),
        stack.functions.len()
    );
    if unused.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
