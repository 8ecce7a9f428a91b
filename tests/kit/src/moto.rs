//! `moto`, an implementation of AWS's services that is not ours: what both it and our engines do, AWS does.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use aws_config::SdkConfig;

use crate::sdk;

/// The server's program: it ends when the pipe to its standard input closes, so it never outlives a test run, however that ends.
const SERVER: &str = include_str!("moto.py");

/// A running moto server; dropping it ends it.
#[derive(Debug)]
pub struct Moto {
    /// Where it listens, `http://127.0.0.1:<port>`, for all services.
    pub endpoint: String,
    process: Child,
}

impl Moto {
    /// Starts a server with nothing in it. Panics when the tools are not installed: a test that needs it has failed, not passed.
    pub fn start() -> Self {
        let python = python();
        assert!(python.exists(), "{} does not exist: run ./test once, which installs the test tools", python.display());
        let mut process = Command::new(&python)
            .args(["-c", SERVER])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot run {}: {error}", python.display()));
        let mut port = String::new();
        let stdout = process.stdout.take().expect("standard output is piped");
        BufReader::new(stdout).read_line(&mut port).expect("moto prints text");
        assert!(!port.is_empty(), "moto did not start: is 'moto[server]' in .test-tools/venv? run ./test, which installs it");
        Self { endpoint: format!("http://127.0.0.1:{}", port.trim()), process }
    }

    /// A configuration for any service's client.
    pub fn sdk_config(&self) -> SdkConfig {
        sdk::config(&self.endpoint)
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        // Both fail only when it has ended already.
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
