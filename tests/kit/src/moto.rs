//! `moto`, an independent implementation of AWS services: what both it and the embedded engines do,
//! AWS does.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use aws_config::SdkConfig;

use crate::sdk;

/// The server's program. It ends when the pipe to its standard input closes, so that it never
/// outlives a test run.
const SERVER: &str = include_str!("moto.py");

/// A running moto server. Dropping it ends it.
#[derive(Debug)]
pub struct Moto {
    /// The URL of the server for all services, `http://127.0.0.1:<port>`.
    pub endpoint: String,
    process: Child,
}

impl Moto {
    /// Starts an empty server. Panics if the tools are not installed, because a test that needs
    /// them must fail.
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
        let mut port = String::new();
        let stdout = process.stdout.take().expect("standard output is piped");
        BufReader::new(stdout)
            .read_line(&mut port)
            .expect("moto prints text");
        assert!(
            !port.is_empty(),
            "moto did not start: is 'moto[server]' in .test-tools/venv? run ./test, which \
             installs it"
        );
        Self {
            endpoint: format!("http://127.0.0.1:{}", port.trim()),
            process,
        }
    }

    /// Returns a configuration for any service's client.
    pub fn sdk_config(&self) -> SdkConfig {
        sdk::config(&self.endpoint)
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        // Both fail only if the process has already ended.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

pub(crate) fn python() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .expect("tests/kit is two folders below the workspace")
        .join(".test-tools/venv/bin/python3")
}
