//! An independent S3 implementation that requires credentials: moto with IAM enabled.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use aws_config::SdkConfig;
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use serde::Deserialize;

use crate::sdk;

/// The server's program. It ends when the pipe to its standard input closes, so that it never
/// outlives a test run.
const SERVER: &str = include_str!("iam_s3.py");

/// The text of the stored secret.
pub const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// A running server. Dropping it ends it.
#[derive(Debug)]
pub struct IamS3 {
    /// The URL of the server: S3, STS, IAM and Secrets Manager.
    pub endpoint: String,
    /// The bucket of the server. There is a second one named `versioned`.
    pub bucket: String,
    /// A role that `function` may assume, only with the external id.
    pub role_arn: String,
    /// The external id of the roles.
    pub external_id: String,
    /// A secret whose text is [`SECRET`].
    pub secret_arn: String,
    /// A role that `function` may assume with the external id, and that may only read secrets.
    pub secret_role_arn: String,
    keys: BTreeMap<String, (String, String)>,
    process: Child,
}

#[derive(Deserialize)]
struct Started {
    port: u16,
    bucket: String,
    keys: BTreeMap<String, (String, String)>,
    role_arn: String,
    external_id: String,
    secret_arn: String,
    secret_role_arn: String,
}

impl IamS3 {
    /// Starts a server with two empty buckets. Panics if the tools are not installed, because a
    /// test that needs them must fail.
    pub fn start() -> Self {
        let python = python();
        assert!(
            python.exists(),
            "{} does not exist: run ./test once, which installs the test tools",
            python.display()
        );
        let mut process = Command::new(&python)
            .args(["-c", SERVER])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot run {}: {error}", python.display()));
        let mut line = String::new();
        BufReader::new(process.stdout.take().expect("standard output is piped"))
            .read_line(&mut line)
            .expect("moto prints text");
        assert!(
            !line.is_empty(),
            "moto did not start: is 'moto[server]' in .test-tools/venv? run ./test, which \
             installs it"
        );
        let started: Started = serde_json::from_str(&line).expect("the program prints JSON");
        let Started {
            port,
            bucket,
            keys,
            role_arn,
            external_id,
            secret_arn,
            secret_role_arn,
        } = started;
        let endpoint = format!("http://127.0.0.1:{port}");
        Self {
            endpoint,
            bucket,
            role_arn,
            external_id,
            secret_arn,
            secret_role_arn,
            keys,
            process,
        }
    }

    /// Returns access key id and secret of `function` (everything, and may assume roles), `writer`
    /// (everything in the bucket), `put_only` (only writing) or `reader` (only reading).
    pub fn key(&self, who: &str) -> (&str, &str) {
        let (id, secret) = &self.keys[who];
        (id, secret)
    }

    /// Returns a configuration for any service's client with one of these keys.
    pub fn sdk_config(&self, who: &str) -> SdkConfig {
        let (id, secret) = self.key(who);
        let credentials = SharedCredentialsProvider::new(Credentials::from_keys(id, secret, None));
        sdk::config(&self.endpoint)
            .into_builder()
            .credentials_provider(credentials)
            .build()
    }
}

impl Drop for IamS3 {
    fn drop(&mut self) {
        // Both fail only if the process has already ended.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

fn python() -> PathBuf {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .expect("tests/kit is two folders below the workspace");
    workspace.join(".test-tools/venv/bin/python3")
}
