//! The template and the code use the same variables.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use domain::settings::Lane;
use local::template::{COMPILED_IN, Template};

/// Variables that every main reads before its configuration, for the log subscriber and the
/// telemetry.
const READ_BY_EVERY_MAIN: [&str; 4] = [
    "LOG_LEVEL",
    "WAYBILL_METRICS",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTLP_HEADERS_SECRET_ARN",
];

/// Variables that only a local process sets. No deployed function may have them.
const GIVEN_LOCALLY: [&str; 1] = ["MAIL_FOLDER"];

#[test]
fn each_function_reads_what_the_template_gives_it() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let every_worker = fs::read_to_string(root.join("shared/worker/src/config.rs")).unwrap();
    let every_front = fs::read_to_string(root.join("shared/front/src/config.rs")).unwrap();
    for function in Template::read(COMPILED_IN, &BTreeMap::new())
        .unwrap()
        .stack()
        .unwrap()
        .functions
    {
        let own = fs::read_to_string(
            root.join("functions")
                .join(&function.binary)
                .join("src/config.rs"),
        )
        .unwrap_or_default();
        let shared = match &*function.binary {
            "api" | "console" | "ingest" => every_front.as_str(),
            worker if worker.starts_with("worker_") => every_worker.as_str(),
            _ => "",
        };
        let read = variables_in(&own).chain(variables_in(shared));
        let read: BTreeSet<_> = read
            .filter(|name| !GIVEN_LOCALLY.contains(&name.as_str()))
            .collect();
        let given: BTreeSet<_> = function
            .environment
            .keys()
            .filter(|name| !READ_BY_EVERY_MAIN.contains(&name.as_str()))
            .cloned()
            .collect();
        assert_eq!(
            given, read,
            "functions/{}/src/config.rs (right) and {} in template.yaml (left)",
            function.binary, function.logical_id
        );
    }
}

/// The memory of a worker's process apart from its attempts: code, connections, the batch itself,
/// the allocator's reserve.
const PROCESS_ITSELF_MIB: u32 = 112;

/// Three quarters of a worker's memory are enough for its attempts and the process
/// itself.
#[test]
fn each_workers_memory_follows_from_what_its_attempts_may_hold() {
    let functions = Template::read(COMPILED_IN, &BTreeMap::new())
        .unwrap()
        .stack()
        .unwrap()
        .functions;
    let workers: Vec<_> = functions
        .iter()
        .filter(|function| function.binary.starts_with("worker_"))
        .collect();
    assert_eq!(workers.len(), Lane::ALL.len());
    for worker in workers {
        let budget_mib: u32 = worker.environment["MEMORY_BUDGET_MIB"].parse().unwrap();
        let (needed, usable) = (budget_mib + PROCESS_ITSELF_MIB, worker.memory_mb * 3 / 4);
        assert!(
            needed <= usable,
            "{}: {needed} MiB needed, {usable} MiB of {} usable",
            worker.logical_id,
            worker.memory_mb
        );
    }
}

/// Returns the names of environment variables among a source's string literals, without its tests.
/// A name with a `*` stands for one of each lane.
fn variables_in(source: &str) -> impl Iterator<Item = String> {
    let code = source.split("#[cfg(test)]").next().unwrap_or_default();
    let is_variable = |text: &&str| {
        text.contains('_')
            && text
                .chars()
                .all(|c| c.is_ascii_uppercase() || c == '_' || c == '*')
    };
    let lanes = |text: &str| match text.contains('*') {
        true => Lane::ALL
            .map(|lane| text.replace('*', lane.in_environment()))
            .to_vec(),
        false => vec![text.to_owned()],
    };
    code.split('"')
        .skip(1)
        .step_by(2)
        .filter(is_variable)
        .flat_map(lanes)
}
