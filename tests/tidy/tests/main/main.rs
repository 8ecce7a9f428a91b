//! Checks of the repository.

#![allow(
    missing_docs,
    reason = "tests are named so that they read as what they hold"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use tidy::manifest::{dependencies, unused};
use tidy::{folders, packages, pages, prose, read, sources, types, walkthroughs};

mod allowed;

/// The layer of each package. A package may only use those of lower layers (docs/ARCHITECTURE.md,
/// The folders).
const LAYERS: &[(&str, u32)] = &[
    ("shared/coalesce", 0),
    ("shared/domain", 0),
    ("shared/signing", 0),
    ("shared/egress", 0),
    ("shared/template", 0),
    ("infra/local_aws", 0),
    ("infra/servers", 0),
    ("tests/kit", 1),
    ("tests/samples", 1),
    ("tests/tidy", 0),
    ("shared/telemetry", 1),
    ("shared/runtime", 2),
    ("shared/oauth", 1),
    ("shared/render", 1),
    ("shared/roles", 1),
    ("shared/store", 2),
    ("shared/queue", 2),
    ("shared/vault", 2),
    ("shared/access", 3),
    ("shared/dispatch", 3),
    ("shared/worker", 4),
    ("tests/connector_contract", 5),
    ("shared/operations", 4),
    ("shared/front", 5),
    ("functions/api", 6),
    ("functions/console", 6),
    ("functions/worker_webhook", 5),
    ("functions/worker_email", 5),
    ("functions/worker_storage", 5),
    ("functions/worker_database", 5),
    ("functions/worker_sftp", 5),
    ("functions/monitor", 5),
    ("functions/dead_letters", 5),
    ("functions/ingest", 6),
    ("functions/jobs", 5),
    ("infra/local", 7),
    ("tests/simulation", 8),
];

/// Packages that are not part of Waybill, so that their logs are not its own.
const OUTSIDE: &[&str] = &["connector_contract", "kit", "samples", "simulation", "tidy"];

#[test]
fn logs_know_which_crates_are_our_own() {
    let names = LAYERS
        .iter()
        .map(|(folder, _)| folder.rsplit('/').next().unwrap_or(folder))
        .filter(|name| !OUTSIDE.contains(name));
    // The binary of `infra/local` is a crate of its own.
    let expected: BTreeSet<&str> = names.chain(["waybill"]).collect();
    let text = read("shared/runtime/src/logs.rs");
    let (_, list) = text
        .split_once("pub const OWN_CRATES")
        .expect("the list is there");
    let (list, _) = list.split_once("];\n").expect("the list ends");
    let listed: BTreeSet<&str> = list.split('"').skip(1).step_by(2).collect();
    assert_eq!(listed, expected);
}

/// The most lines of a file. A longer one has more than one topic.
const LINES_MAX: usize = 850;

#[test]
fn dependencies_point_down() {
    let layers: BTreeMap<&str, u32> = LAYERS.iter().copied().collect();
    let by_name: BTreeMap<&str, u32> = LAYERS
        .iter()
        .map(|(folder, layer)| (folder.split('/').nth(1).unwrap_or(folder), *layer))
        .collect();
    for (folder, dependencies) in packages() {
        let layer = *layers.get(&*folder).unwrap_or_else(|| {
            panic!("{folder} has no layer: add it here and to docs/ARCHITECTURE.md")
        });
        for dependency in dependencies {
            let Some(below) = by_name.get(&*dependency) else {
                continue;
            };
            assert!(
                *below < layer,
                "{folder} (layer {layer}) must not use {dependency} (layer {below})"
            );
        }
    }
}

#[test]
fn every_package_is_in_the_architecture() {
    let page = read("docs/ARCHITECTURE.md");
    for (folder, _) in packages() {
        let area = folder.split('/').next().unwrap_or_default();
        assert!(
            page.contains(&format!("`{folder}`")) || page.contains(&format!("`{area}/*`")),
            "{folder} is missing in docs/ARCHITECTURE.md"
        );
    }
}

#[test]
fn every_lint_exception_has_a_reason() {
    for path in sources() {
        let text = read(&path);
        for (start, _) in text
            .match_indices("allow(")
            .chain(text.match_indices("expect("))
        {
            let is_attribute = text[..start].ends_with("#[") || text[..start].ends_with("#![");
            let end = text[start..]
                .find(")]")
                .map_or(text.len(), |length| start + length);
            assert!(
                !is_attribute || text[start..end].contains("reason"),
                "{}: {}",
                path.display(),
                &text[start..end]
            );
        }
    }
}

#[test]
fn no_file_is_too_long() {
    for path in sources() {
        let lines = read(&path).lines().count();
        assert!(
            lines <= LINES_MAX,
            "{} has {lines} lines: find the second noun in it",
            path.display()
        );
    }
}

#[test]
fn no_module_has_a_meaningless_name() {
    for path in sources() {
        let stem = path
            .file_stem()
            .map(|stem| stem.to_string_lossy().into_owned())
            .unwrap_or_default();
        assert!(
            !["utils", "util", "common", "helpers", "helper", "misc"].contains(&&*stem),
            "{}: name what is in it",
            path.display()
        );
    }
}

#[test]
fn third_party_versions_are_in_the_root_manifest_only() {
    for (folder, _) in packages() {
        let manifest = read(format!("{folder}/Cargo.toml"));
        for line in manifest
            .lines()
            .filter(|line| line.starts_with("version") || line.contains("version = \""))
        {
            assert!(
                line == "version.workspace = true",
                "{folder}/Cargo.toml: {line}"
            );
        }
    }
}

#[test]
fn every_function_is_in_the_template() {
    let template = read("template.yaml");
    // A connector without a `main.rs` is a library that no function runs yet.
    let runs = |folder: &str| {
        folder.starts_with("functions/") && tidy::root().join(folder).join("src/main.rs").exists()
    };
    for (folder, _) in packages().into_iter().filter(|(folder, _)| runs(folder)) {
        let name = folder.trim_start_matches("functions/");
        assert!(
            template.contains(&format!("CodeUri: {folder}")),
            "{folder} is not in template.yaml"
        );
        assert!(
            template.contains(&format!("Binary: {name}")),
            "{folder} is not built by template.yaml"
        );
    }
}

/// A declared but unused dependency is compiled in vain.
#[test]
fn every_dependency_is_used() {
    for (folder, _) in packages() {
        let manifest = read(format!("{folder}/Cargo.toml"));
        let is_own = |path: &Path| path.starts_with(&folder);
        // Tests and examples may be elsewhere: `path = "../../tests/e2e/main.rs"`.
        let elsewhere = manifest.lines().filter_map(|line| {
            line.strip_prefix("path = \"")?
                .rsplit_once('/')
                .map(|(folder, _)| folder.to_owned())
        });
        let elsewhere: Vec<PathBuf> = elsewhere
            .filter_map(|path| tidy::root().join(&folder).join(path).canonicalize().ok())
            .collect();
        let is_declared = |path: &Path| {
            elsewhere
                .iter()
                .any(|folder| tidy::root().join(path).starts_with(folder))
        };
        let texts: Vec<String> = sources()
            .iter()
            .filter(|path| is_own(path) || is_declared(path))
            .map(read)
            .collect();
        let mut unused = unused(&manifest, &texts);
        unused.retain(|name| !allowed::UNUSED.contains(&(&*folder, &**name)));
        assert!(
            unused.is_empty(),
            "{folder}/Cargo.toml declares what its sources do not mention: {unused:?}"
        );
    }
}

#[test]
fn every_third_party_version_is_used() {
    let workspace = read("Cargo.toml");
    let mut declared: BTreeSet<String> = dependencies(&workspace, "workspace.dependencies")
        .into_iter()
        .collect();
    for (folder, _) in packages() {
        let manifest = read(format!("{folder}/Cargo.toml"));
        for section in ["dependencies", "dev-dependencies", "build-dependencies"] {
            let used = dependencies(&manifest, section);
            declared.retain(|name| !used.contains(name));
        }
    }
    assert!(
        declared.is_empty(),
        "Cargo.toml names versions that no package uses: {declared:?}"
    );
}

#[test]
fn the_architecture_says_what_each_shared_package_uses() {
    let table = folders::may_use(&read("docs/ARCHITECTURE.md"));
    let all = packages();
    let own: BTreeSet<&str> = all
        .iter()
        .filter_map(|(folder, _)| folder.split('/').nth(1))
        .collect();
    for (folder, dependencies) in all
        .iter()
        .filter(|(folder, _)| folder.starts_with("shared/"))
    {
        let used: BTreeSet<String> = dependencies
            .iter()
            .filter(|name| own.contains(&***name))
            .cloned()
            .collect();
        assert_eq!(
            table.get(folder),
            Some(&used),
            "{folder}: docs/ARCHITECTURE.md (left) and its Cargo.toml (right)"
        );
    }
}

#[test]
fn no_public_type_has_the_name_of_another() {
    let shipped = |path: &&PathBuf| {
        !path.starts_with("tests") && path.components().any(|part| part.as_os_str() == "src")
    };
    let files: Vec<(String, String)> = sources()
        .iter()
        .filter(shipped)
        .map(|path| (path.display().to_string(), read(path)))
        .collect();
    let twice = types::defined_twice(&files);
    let allowed: BTreeSet<&str> = allowed::NAMES_OF_SEVERAL_TYPES.iter().copied().collect();
    for (name, files) in &twice {
        assert!(
            allowed.contains(&**name),
            "{name} names several types: {files:?}"
        );
    }
    for name in allowed {
        assert!(
            twice.contains_key(name),
            "{name} is one type now: remove it from the list of exceptions"
        );
    }
}

/// A limit that stands in a schema by itself can differ from the one that the reader has.
#[test]
fn no_limit_or_default_is_in_an_attribute_or_in_the_overlay() {
    const ATTRIBUTES: &[&str] = &[
        "minimum = ",
        "maximum = ",
        "min_length = ",
        "max_length = ",
        "min_items = ",
        "max_items = ",
    ];
    let is_number = |text: &str| {
        text.trim_start()
            .starts_with(|first: char| first.is_ascii_digit())
    };
    let mut found = Vec::new();
    for path in sources()
        .into_iter()
        .filter(|path| !path.starts_with("tests"))
    {
        for line in read(&path)
            .lines()
            .filter(|line| line.trim_start().starts_with("#[schema("))
        {
            let is_limit = ATTRIBUTES.iter().any(|attribute| line.contains(attribute));
            if is_limit
                || line
                    .split_once("default = ")
                    .is_some_and(|(_, value)| is_number(value))
            {
                found.push(format!("{}: {}", path.display(), line.trim()));
            }
        }
    }
    const KEYWORDS: &[&str] = &[
        "minimum",
        "maximum",
        "minLength",
        "maxLength",
        "minItems",
        "maxItems",
        "minProperties",
        "maxProperties",
    ];
    for line in read(Path::new("functions/api/src/openapi/overlay.json")).lines() {
        let limit = line
            .trim_start()
            .split_once(": ")
            .filter(|(_, value)| is_number(value));
        if limit.is_some_and(|(name, _)| KEYWORDS.contains(&name.trim_matches('"'))) {
            found.push(format!("overlay.json: {}", line.trim()));
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}

/// Returns the lines of shipped code under `folders` that contain one of `texts`: without tests and
/// comments.
fn shipped_lines_with(folders: &[&str], texts: &[&str]) -> Vec<(PathBuf, String)> {
    let is_test = |path: &Path| {
        path.components().any(|part| part.as_os_str() == "tests") || path.ends_with("tests.rs")
    };
    let paths = sources()
        .into_iter()
        .filter(|path| folders.iter().any(|folder| path.starts_with(folder)) && !is_test(path));
    paths
        .flat_map(|path| {
            let source = types::shipped(&read(&path)).to_owned();
            let lines = source
                .lines()
                .map(str::trim)
                .filter(|line| !line.starts_with("//"))
                .filter(|line| texts.iter().any(|text| line.contains(text)))
                .map(|line| (path.clone(), line.to_owned()));
            lines.collect::<Vec<_>>()
        })
        .collect()
}

/// Errors and states are enums: nothing recognizes them by a text, a number or a sentence.
#[test]
fn no_code_status_or_sentence_is_compared() {
    let texts = [".code == \"", ".status ==", "detail.contains"];
    let found = shipped_lines_with(&["functions", "shared", "infra"], &texts);
    assert!(found.is_empty(), "{found:#?}");
}

/// Operations know no types of HTTP. Requests are read at the edges of a process: what the API, the
/// console and the event bus receive.
#[test]
fn operations_know_no_http_and_nothing_is_serialized_to_call_them() {
    let http = ["http::", "axum", "StatusCode", "HeaderMap", "hyper"];
    let found = shipped_lines_with(&["shared/operations"], &http);
    assert!(found.is_empty(), "{found:#?}");
    let files = |texts: &[&str]| -> BTreeSet<String> {
        shipped_lines_with(&["functions", "infra", "shared"], texts)
            .into_iter()
            .map(|(path, _)| path.display().to_string())
            .collect()
    };
    let expected = |paths: &[&str]| paths.iter().map(|path| (*path).to_owned()).collect();
    assert_eq!(
        files(&["Body::new("]),
        expected(&["functions/api/src/extract.rs"])
    );
    assert_eq!(
        files(&["Query::parse("]),
        expected(&[
            "functions/api/src/extract.rs",
            "functions/api/src/idempotency.rs",
            "functions/api/src/routes/authorizations.rs",
            "functions/console/src/visitor.rs",
        ])
    );
}

/// The idempotency layer replays a stored response before the operation is called, so a route names
/// the permission that its operation requires.
#[test]
fn a_route_replays_responses_to_callers_whom_its_operation_admits() {
    let without_spaces = |path: &Path| read(path).split_whitespace().collect::<String>();
    let of = |folder: &str| -> Vec<PathBuf> {
        let all = sources().into_iter();
        all.filter(|path| path.starts_with(folder)).collect()
    };
    let operations: String = of("shared/operations/src")
        .iter()
        .map(|path| without_spaces(path))
        .collect();
    let until = |text: &str, end: char| text.split(end).next().unwrap_or_default().to_owned();
    let mut compared = 0;
    for path in of("functions/api/src/routes") {
        let file = without_spaces(&path);
        let manage = file.contains("letmanage=Permission::ManageDestinations;");
        let calls = file.split("post_once(api,").skip(1);
        assert_eq!(
            calls.clone().count(),
            file.matches("post_once(").count(),
            "{path:?}"
        );
        compared += calls.clone().count();
        for call in calls {
            let arguments = until(call, ')');
            let (permission, handler) = arguments.split_once(',').unwrap();
            let permission = match permission.strip_prefix("Permission::") {
                Some(name) => name,
                None if manage && permission == "manage" => "ManageDestinations",
                None => panic!("{arguments}: a permission that this test does not know"),
            };
            let handler = handler.trim_end_matches(',');
            let (_, body) = file.split_once(&format!("fn{handler}(")).unwrap();
            let operation = until(body.split_once("operations.").unwrap().1, '(');
            let (_, body) = operations
                .split_once(&format!("pubasyncfn{operation}("))
                .unwrap();
            let required = body.split_once("Permission::").unwrap().1;
            let is_same = required.starts_with(&format!("{permission},"))
                || required.starts_with(&format!("{permission})"));
            assert!(
                is_same,
                "{operation} requires another permission than {handler}"
            );
        }
    }
    assert!(compared > 0, "the routes are found");
}

#[test]
fn the_documentation_uses_plain_words() {
    let found = pages().into_iter().flat_map(|path| {
        let turns = prose::phrases_to_replace(&read(&path));
        turns.into_iter().map(move |(line, turn, instead)| {
            format!("{}:{line}: \"{turn}\"; write {instead}", path.display())
        })
    });
    let found: Vec<String> = found.collect();
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn each_step_of_the_walkthroughs_is_where_the_page_says_and_is_named_by_an_earlier_one() {
    let page = read("docs/ARCHITECTURE.md");
    let walkthroughs = walkthroughs::walkthroughs(&page);
    assert_eq!(
        walkthroughs.iter().map(Vec::len).collect::<Vec<_>>(),
        [16, 8, 3],
        "the walkthroughs are read"
    );
    let [route, console, setting] = &walkthroughs[..] else {
        panic!("three walkthroughs")
    };
    for step in walkthroughs.iter().flatten() {
        let text = read(step.file);
        let is_function = ["(", "<"]
            .iter()
            .any(|next| text.contains(&format!("fn {}{next}", step.name)));
        let is_text = step.name.contains([' ', ':']) && text.contains(step.name);
        assert!(is_function || is_text, "{step:?}");
    }
    for walkthrough in [route, console] {
        for (position, step) in walkthrough
            .iter()
            .enumerate()
            .skip(1)
            .filter(|(_, step)| !step.is_started_elsewhere())
        {
            let is_named = walkthrough[..position]
                .iter()
                .any(|earlier| read(earlier.file).contains(step.name));
            assert!(is_named, "no earlier step names {step:?}");
        }
    }
    let files: BTreeSet<&str> = setting.iter().map(|step| step.file).collect();
    assert_eq!(files.len(), 2, "a setting is two files: {files:?}");
}
