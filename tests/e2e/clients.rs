//! Clients that are generated from the OpenAPI document work without changes, and the document
//! states what the API enforces.

use std::path::{Path, PathBuf};
use std::process::Command;

use kit::sink::Sink;
use kit::stack::Organization;

use crate::stage;

fn tools() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.test-tools")
}

/// The sources of the clients.
fn sources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/clients")
}

/// Runs a program and returns its output. Panics with the output if the program fails.
async fn run(mut command: Command) -> String {
    tokio::task::spawn_blocking(move || {
        let output = command.output().unwrap_or_else(|error| {
            panic!("{command:?} does not start ({error}): run ./test, which installs it")
        });
        let text = [output.stdout, output.stderr]
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .concat();
        assert!(output.status.success(), "{command:?}\n{text}");
        text
    })
    .await
    .expect("the program runs")
}

fn node(module: &str) -> Command {
    let mut command = Command::new("node");
    command.arg(tools().join("node_modules").join(module));
    command
}

/// Writes the document that the running process serves into a folder of its own.
async fn document() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let path = folder.path().join("openapi.json");
    let served = stage::stack()
        .await
        .anonymous()
        .get("/v1/openapi.json")
        .await;
    assert_eq!(served.status, 200);
    std::fs::write(&path, &served.body).expect("the document is written");
    (folder, path)
}

/// Creates the environment of a client: the address of Waybill, a key, and a receiver that refuses
/// only the first delivery.
async fn given<'a>(
    command: &'a mut Command,
    organization: &Organization,
    sink: &Sink,
) -> &'a mut Command {
    sink.answers([500, 204]);
    let local = stage::stack().await.local_json();
    command
        .env(
            "WAYBILL_URL",
            local["api_url"].as_str().expect("an address"),
        )
        .env("WAYBILL_KEY", organization.plain_key())
        .env("RECEIVER_URL", sink.url())
        .env(
            "SERVICE_ACCOUNT_PRIVATE_KEY",
            kit::gcs::stranger()["private_key"].as_str().expect("a key"),
        )
}

#[tokio::test]
async fn the_generated_python_client_creates_delivers_retries_and_rotates() {
    let (organization, sink) = (stage::organization("Python").await, Sink::start().await);
    let (folder, document) = document().await;
    let python = tools().join("clients/bin");
    let mut generate = Command::new(python.join("openapi-python-client"));
    generate.current_dir(folder.path()).args([
        "generate",
        "--meta",
        "none",
        "--output-path",
        "waybill_client",
    ]);
    generate
        .arg("--path")
        .arg(&document)
        .arg("--config")
        .arg(sources().join("python.yaml"));
    let said = run(generate).await;
    for complaint in ["WARNING", "Unable to", "omitted"] {
        assert!(!said.contains(complaint), "{said}");
    }
    let mut flow = Command::new(python.join("python"));
    flow.arg(sources().join("flow.py"))
        .env("PYTHONPATH", folder.path());
    given(&mut flow, &organization, &sink).await;
    assert!(run(flow).await.ends_with("complete\n"));
}

#[tokio::test]
async fn the_generated_typescript_client_compiles_strictly_and_creates_delivers_retries_and_rotates()
 {
    let (organization, sink) = (stage::organization("TypeScript").await, Sink::start().await);
    let (folder, document) = document().await;
    std::fs::write(folder.path().join("package.json"), r#"{"type": "module"}"#)
        .expect("a file is written");
    for name in ["flow.ts", "tsconfig.json"] {
        std::fs::copy(sources().join(name), folder.path().join(name)).expect("a file is copied");
    }
    let modules = tools()
        .join("node_modules")
        .canonicalize()
        .expect("./test installs the modules");
    std::os::unix::fs::symlink(modules, folder.path().join("node_modules"))
        .expect("a link is made");
    let mut generate = node("openapi-typescript/bin/cli.js");
    generate
        .arg(&document)
        .args(["--default-non-nullable", "false", "--output"])
        .arg(folder.path().join("schema.d.ts"));
    run(generate).await;
    let mut compile = node("typescript/bin/tsc");
    compile.arg("--project").arg(folder.path());
    run(compile).await;
    let mut flow = Command::new("node");
    flow.arg(folder.path().join("out/flow.js"));
    given(&mut flow, &organization, &sink).await;
    assert!(run(flow).await.ends_with("complete\n"));
}

#[tokio::test]
async fn the_document_passes_redocly_without_an_error_or_a_warning() {
    let (_folder, document) = document().await;
    let mut lint = node("@redocly/cli/bin/cli.js");
    lint.env("REDOCLY_TELEMETRY", "off")
        .env("REDOCLY_SUPPRESS_UPDATE_NOTICE", "true");
    lint.arg("lint")
        .arg("--format")
        .arg("json")
        .arg("--config")
        .arg(sources().join("redocly.yaml"))
        .arg(&document);
    let said = run(lint).await;
    let from = said.find("{\n").expect("an answer in JSON");
    let report = serde_json::Deserializer::from_str(&said[from..])
        .into_iter::<serde_json::Value>()
        .next()
        .expect("a report");
    let report = report.expect("the report is JSON");
    assert_eq!(
        (&report["totals"]["errors"], &report["totals"]["warnings"]),
        (&0.into(), &0.into()),
        "{report:#}"
    );
}

/// What the document's schemas refuse, the API refuses; what it refuses for a reason that a schema
/// can state, the schemas refuse.
#[tokio::test]
async fn the_document_and_the_reader_agree_on_what_is_accepted() {
    let organization = stage::organization("Agreement").await;
    let sink = Sink::start().await;
    let (_folder, document) = document().await;
    let mut agree = Command::new(tools().join("clients/bin/python"));
    agree.arg(sources().join("agreement.py")).arg(&document);
    given(&mut agree, &organization, &sink).await;
    let said = run(agree).await;
    assert!(said.contains("documents agree"), "{said}");
    println!("{said}");
}
