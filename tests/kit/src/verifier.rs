//! Verifies signatures as receivers do, with the official Standard Webhooks libraries of other
//! languages.

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use serde::Serialize;
use std::{
    collections::BTreeMap,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// A language whose official library verifies signatures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verifier {
    /// The package `standardwebhooks` of PyPI.
    Python,
    /// The package `standardwebhooks` of npm.
    JavaScript,
}

/// A request to verify, with the receiver's secret.
#[derive(Debug, Clone, Serialize)]
pub struct Signed {
    /// The signing secret, `whsec_…`.
    pub secret: String,
    /// The headers of the request.
    pub headers: BTreeMap<String, String>,
    /// The body of the request in base64.
    pub body_base64: String,
}

impl Signed {
    /// Creates a request to verify.
    pub fn new<'a>(
        secret: &str,
        headers: impl IntoIterator<Item = (&'a str, &'a str)>,
        body: &[u8],
    ) -> Self {
        Self {
            secret: secret.to_owned(),
            headers: headers
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
            body_base64: BASE64.encode(body),
        }
    }

    /// Creates a request to verify from one that a sink received.
    pub fn received(secret: &str, request: &crate::sink::Received) -> Self {
        Self::new(
            secret,
            request
                .headers
                .iter()
                .map(|(name, value)| (name.as_str(), value.as_str())),
            &request.body,
        )
    }
}

impl Verifier {
    /// The languages of all verifiers.
    pub const ALL: [Self; 2] = [Self::Python, Self::JavaScript];

    /// Returns the library's result for each request: success, or the text of its error. Panics if
    /// the library is not installed.
    pub fn verdicts(self, requests: &[Signed]) -> Vec<Result<(), String>> {
        let mut input = Vec::new();
        for request in requests {
            serde_json::to_writer(&mut input, request).expect("text serialises");
            input.push(b'\n');
        }
        let output = self.run(input);
        let verdicts: Vec<_> = output
            .lines()
            .map(|line| {
                if line == "ok" {
                    Ok(())
                } else {
                    Err(line.trim_start_matches("error: ").to_owned())
                }
            })
            .collect();
        assert_eq!(
            verdicts.len(),
            requests.len(),
            "{self:?} answered: {output}"
        );
        verdicts
    }

    fn run(self, input: Vec<u8>) -> String {
        let mut child = self
            .command()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| {
                panic!("{self:?} does not start ({error}): run ./test, which installs it")
            });
        let mut stdin = child.stdin.take().expect("stdin is a pipe");
        let writer = std::thread::spawn(move || stdin.write_all(&input));
        let output = child.wait_with_output().expect("the verifier ends");
        assert!(
            output.status.success(),
            "{self:?} failed: run ./test, which installs the standardwebhooks libraries"
        );
        writer
            .join()
            .expect("the writer does not panic")
            .expect("the verifier reads all");
        String::from_utf8(output.stdout).expect("the verifier writes text")
    }

    fn command(self) -> Command {
        let kit = Path::new(env!("CARGO_MANIFEST_DIR"));
        let tools: PathBuf = kit.join("../../.test-tools");
        match self {
            Self::Python => {
                let mut command = Command::new(tools.join("venv/bin/python"));
                command.arg(kit.join("verifiers/verify.py"));
                command
            }
            Self::JavaScript => {
                let mut command = Command::new("node");
                command.arg(kit.join("verifiers/verify.mjs")).arg(tools);
                command
            }
        }
    }
}
