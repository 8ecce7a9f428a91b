//! Amazon's own DynamoDB Local, in memory.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_dynamodb::Client;
use servers::program::free_port;

use crate::sdk;

/// Runs the server until standard input closes, so that it never outlives a test run, however that
/// ends.
const UNTIL_INPUT_ENDS: &str = r#""$@" & cat; kill $!; wait"#;
/// A Java program starts slowly on a busy machine.
const START_SECONDS: u64 = 60;

/// A running, empty server. Dropping it ends it.
#[derive(Debug)]
pub struct DynamoDbLocal {
    endpoint: String,
    process: Child,
}

impl DynamoDbLocal {
    /// Starts a server and waits until it responds. Panics if the tools are not installed, because
    /// a test that needs them must fail.
    pub async fn start() -> Self {
        let folder = folder();
        let jar = folder.join("DynamoDBLocal.jar");
        assert!(
            jar.exists(),
            "{} does not exist: run ./test once, which installs the test tools",
            jar.display()
        );
        let port = free_port();
        let process = Command::new("sh")
            .args([
                "-c",
                UNTIL_INPUT_ENDS,
                "sh",
                "java",
                "-Djava.library.path=DynamoDBLocal_lib",
                "-jar",
                "DynamoDBLocal.jar",
            ])
            .args([
                "-inMemory",
                "-sharedDb",
                "-disableTelemetry",
                "-port",
                &port.to_string(),
            ])
            .current_dir(&folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("sh can be started");
        let this = Self {
            endpoint: format!("http://127.0.0.1:{port}"),
            process,
        };
        this.answers().await;
        this
    }

    /// Returns a configuration for a client.
    pub fn sdk_config(&self) -> SdkConfig {
        sdk::config(&self.endpoint)
    }

    async fn answers(&self) {
        let client = Client::new(&self.sdk_config());
        let asked = async {
            while client.list_tables().send().await.is_err() {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        let answered = tokio::time::timeout(Duration::from_secs(START_SECONDS), asked).await;
        assert!(
            answered.is_ok(),
            "DynamoDB Local does not answer after {START_SECONDS} s: is Java 17 installed? ./test \
             says what it needs"
        );
    }
}

impl Drop for DynamoDbLocal {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        // Fails only if the process has already ended.
        drop(self.process.wait());
    }
}

fn folder() -> PathBuf {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .expect("tests/kit is two folders below the workspace");
    workspace.join(".test-tools/node_modules/amplify-dynamodb-simulator/emulator")
}
