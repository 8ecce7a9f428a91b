//! Runs a task in a browser: Debian's Chromium, driven by a Playwright script.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

/// Runs a JavaScript module with the values that it needs: addresses, keys, names. Panics with what
/// the page showed if the task fails. Returns the task's result.
pub async fn does(task: impl AsRef<Path>, knows: Value) -> Value {
    let task = task.as_ref().to_owned();
    tokio::task::spawn_blocking(move || run(&task, &knows))
        .await
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))
}

fn run(task: &Path, knows: &Value) -> Value {
    let tools: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.test-tools");
    let mut child = Command::new("node")
        .arg(task)
        .env("TEST_TOOLS", tools)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| {
            panic!("node does not start ({error}): run ./test, which installs it")
        });
    let mut input = child.stdin.take().expect("stdin is a pipe");
    input
        .write_all(knows.to_string().as_bytes())
        .expect("the task reads");
    drop(input);
    let output = child.wait_with_output().expect("the task ends");
    let (said, complaint) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(
        output.status.success(),
        "{}: {complaint}",
        task.file_name().unwrap_or_default().display()
    );
    serde_json::from_str(said.lines().last().unwrap_or("null"))
        .unwrap_or_else(|_| panic!("the task said no JSON: {said}"))
}
