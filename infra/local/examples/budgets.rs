//! Builds the functions as they are deployed, measures their sizes and cold starts, and fails if
//! one exceeds `infra/budgets.toml`.
//!
//! ```sh
//! cargo run --example budgets
//! ```
//!
//! The sizes are those of what `sam build` makes for the processor in template.yaml, which requires
//! cargo-lambda and that target (docs/deploying.md). The cold starts are those of binaries for this
//! machine. Each function is built from its own folder: in a workspace build, features that other
//! packages request would add megabytes.
//!
//! A cold start is the CPU time of all threads from the start of the process until it asks the
//! Runtime API for work. Each is the minimum of several, less that of a bare runtime.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use local::template::{COMPILED_IN, Template};
use tokio::net::TcpListener;
use tokio::sync::Notify;

/// How often each function is started. The minimum counts, because other work on the machine only
/// adds.
const STARTS: usize = 15;
const START_MAX: Duration = Duration::from_secs(20);

/// The content of `infra/budgets.toml`.
#[derive(serde::Deserialize)]
struct Budgets {
    megabytes: Megabytes,
    cold_start_cpu_ms: BTreeMap<String, f64>,
}

#[derive(serde::Deserialize)]
struct Megabytes {
    every_function: f64,
}

#[tokio::main]
async fn main() -> ExitCode {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let text = std::fs::read_to_string(root.join("infra/budgets.toml"))
        .expect("infra/budgets.toml can be read");
    let budgets: Budgets = toml::from_str(&text).expect("infra/budgets.toml is well-formed");
    let stack = Template::read(COMPILED_IN, &BTreeMap::new())
        .and_then(|template| template.stack())
        .expect("the template is ours");
    for function in &stack.functions {
        let folder = root.join("functions").join(&function.binary);
        build(
            &folder,
            &["lambda", "build", "--arm64", "--bin", &function.binary],
        );
        build(&folder, &["build", "--bin", &function.binary]);
    }
    build(
        &root.join("shared/runtime"),
        &["build", "--example", "bare"],
    );
    let own = std::env::current_exe().expect("this program has a path");
    let target = own.ancestors().nth(3).expect("the target folder");
    let (deployed, binaries) = (target.join("lambda"), target.join("release"));
    let bare = cold_start(&binaries.join("examples/bare"), &BTreeMap::new()).await;
    println!(
        "{:<16} {:>9} {:>9} {:>14}",
        "function", "MB", "zipped MB", "cold start ms"
    );
    println!(
        "{:<16} {:>9} {:>9} {:>14.1}",
        "(bare runtime)", "", "", bare
    );
    let mut over = Vec::new();
    for function in &stack.functions {
        let bootstrap = deployed.join(&function.binary).join("bootstrap");
        let size = megabytes(std::fs::metadata(&bootstrap).expect("it is there").len());
        let zipped = megabytes(zipped_bytes(&bootstrap));
        let beyond =
            cold_start(&binaries.join(&function.binary), &function.environment).await - bare;
        println!(
            "{:<16} {size:>9.2} {zipped:>9.2} {beyond:>+14.1}",
            function.binary
        );
        if size > budgets.megabytes.every_function {
            over.push(format!(
                "{} has {size:.2} MB, more than {}",
                function.binary, budgets.megabytes.every_function
            ));
        }
        if let Some(most) = budgets
            .cold_start_cpu_ms
            .get(&function.binary)
            .filter(|most| beyond > **most)
        {
            over.push(format!(
                "{} takes {beyond:.1} ms beyond a bare runtime, more than {most}",
                function.binary
            ));
        }
    }
    over.iter().for_each(|line| println!("over budget: {line}"));
    if over.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Builds the package in a folder with only the features that it requests itself.
fn build(folder: &Path, command: &[&str]) {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    let built = cargo
        .args(command)
        .arg("--release")
        .current_dir(folder)
        .status();
    assert!(
        built.expect("cargo runs").success(),
        "{} does not build",
        folder.display()
    );
}

#[expect(clippy::cast_precision_loss, reason = "shown with two decimals")]
fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

/// Returns the size of a file compressed with deflate, as in a zip file.
fn zipped_bytes(path: &Path) -> u64 {
    let output = Command::new("gzip")
        .args(["-9", "-c"])
        .arg(path)
        .output()
        .expect("gzip runs");
    output.stdout.len() as u64
}

/// Returns the CPU milliseconds until the first request for work: the minimum of several starts.
async fn cold_start(binary: &PathBuf, environment: &BTreeMap<String, String>) -> f64 {
    let mut least = f64::MAX;
    for _ in 0..STARTS {
        least = least.min(one_start(binary, environment).await);
    }
    least
}

async fn one_start(binary: &PathBuf, environment: &BTreeMap<String, String>) -> f64 {
    let asked = Arc::new(Notify::new());
    let listener = TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port is free");
    let address = listener.local_addr().expect("it has an address");
    // A request for work never gets a response.
    let wait = |State(asked): State<Arc<Notify>>| async move {
        asked.notify_one();
        std::future::pending::<()>().await;
    };
    let router = Router::new().fallback(wait).with_state(asked.clone());
    let serving = tokio::spawn(async move { drop(axum::serve(listener, router).await) });
    let mut child = Command::new(binary)
        .env_clear()
        .envs(environment)
        .envs([
            ("AWS_LAMBDA_FUNCTION_NAME", "f"),
            ("AWS_LAMBDA_FUNCTION_VERSION", "1"),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "512"),
        ])
        .envs([
            ("AWS_LAMBDA_LOG_GROUP_NAME", "g"),
            ("AWS_LAMBDA_LOG_STREAM_NAME", "s"),
            ("AWS_REGION", "us-east-1"),
        ])
        .envs([
            ("AWS_ACCESS_KEY_ID", "a"),
            ("AWS_SECRET_ACCESS_KEY", "b"),
            ("SSL_CERT_FILE", "/etc/ssl/certs/ca-certificates.crt"),
        ])
        .env("AWS_LAMBDA_RUNTIME_API", format!("http://{address}"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap_or_else(|error| panic!("{} does not start: {error}", binary.display()));
    let arrived = tokio::time::timeout(START_MAX, asked.notified()).await;
    let cpu = cpu_ms(child.id());
    drop(child.kill());
    drop(child.wait());
    serving.abort();
    assert!(arrived.is_ok(), "{} never asks for work", binary.display());
    cpu
}

/// Returns how long the threads of a process have run (proc(5), `schedstat`).
#[expect(clippy::cast_precision_loss, reason = "shown with one decimal")]
fn cpu_ms(process: u32) -> f64 {
    let threads = std::fs::read_dir(format!("/proc/{process}/task")).expect("the process is there");
    let ran = threads.filter_map(|thread| {
        std::fs::read_to_string(thread.ok()?.path().join("schedstat"))
            .ok()?
            .split(' ')
            .next()?
            .parse::<u64>()
            .ok()
    });
    ran.sum::<u64>() as f64 / 1e6
}
