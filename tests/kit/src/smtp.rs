//! A real mail server (aiosmtpd) that requires authentication and stores e-mails.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use serde_json::Value;
use tempfile::TempDir;

use crate::moto::python;
use crate::tls::Authority;

/// The program of the server.
const SERVER: &str = include_str!("smtp.py");
/// The user name that the server accepts.
pub const USERNAME: &str = "mailer";
/// The password that the server accepts.
pub const PASSWORD: &str = "right horse battery";
/// The token that the server accepts for any user.
pub const TOKEN: &str = "good-token";

/// A running server. Dropping it ends it. A recipient named `reject`, `busy`, `slow` or `drop` is
/// treated accordingly; e-mails to any other are accepted.
#[derive(Debug)]
pub struct MailServer {
    /// The port of the server on 127.0.0.1.
    pub port: u16,
    mails: Arc<Mutex<Vec<Mail>>>,
    process: Child,
    _folder: TempDir,
}

/// An e-mail that was accepted.
#[derive(Debug, Clone)]
pub struct Mail {
    /// The sender in the envelope.
    pub from: String,
    /// The recipients in the envelope.
    pub to: Vec<String>,
    /// Whether the connection was encrypted.
    pub tls: bool,
    /// The complete text of the message.
    pub text: String,
}

impl MailServer {
    /// Starts a server without TLS, with STARTTLS, or with TLS from the first byte: `none`,
    /// `starttls`, `tls`. Its certificate is valid for `localhost`.
    pub fn start(security: &str, authority: &Authority) -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let (certificate, key) = authority.certificate(&["localhost", "127.0.0.1"]);
        let write = |name: &str, text: String| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).expect("a temporary file");
            path
        };
        let (certificate, key) = (write("cert.pem", certificate), write("key.pem", key));
        let python = python();
        assert!(
            python.exists(),
            "{} does not exist: run ./test once, which installs the test tools",
            python.display()
        );
        let mut process = Command::new(&python)
            .args(["-c", SERVER, security])
            .args([certificate, key])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot run {}: {error}", python.display()));
        let mut lines =
            BufReader::new(process.stdout.take().expect("standard output is piped")).lines();
        let port = lines
            .next()
            .and_then(Result::ok)
            .and_then(|line| line.parse().ok());
        let port = port.expect(
            "the mail server says where it listens: is aiosmtpd in \
             .test-tools/venv? run ./test, which installs it",
        );
        let mails: Arc<Mutex<Vec<Mail>>> = Arc::default();
        let received = Arc::clone(&mails);
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let mail: Value = serde_json::from_str(&line).expect("a line of JSON");
                received
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push(Mail::of(&mail));
            }
        });
        Self {
            port,
            mails,
            process,
            _folder: folder,
        }
    }

    /// Returns the e-mails so far.
    pub fn mails(&self) -> Vec<Mail> {
        self.mails
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Waits until this many e-mails have arrived and returns them. Panics if they do not arrive in
    /// time.
    pub async fn wait_for(&self, mails: usize, timeout: Duration) -> Vec<Mail> {
        let arrived = async {
            while self.mails().len() < mails {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let come = tokio::time::timeout(timeout, arrived).await.is_ok();
        assert!(come, "{} of {mails} mails came", self.mails().len());
        self.mails()
    }
}

impl Mail {
    fn of(json: &Value) -> Self {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let bytes = BASE64.decode(text(&json["mail"])).unwrap_or_default();
        Self {
            from: text(&json["from"]),
            to: json["to"]
                .as_array()
                .into_iter()
                .flatten()
                .map(text)
                .collect(),
            tls: json["tls"] == true,
            text: String::from_utf8_lossy(&bytes).into_owned(),
        }
    }

    /// Returns the value of a header, unfolded.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<String> {
        let head = self
            .text
            .split("\r\n\r\n")
            .next()?
            .replace("\r\n ", " ")
            .replace("\r\n\t", " ");
        let prefix = format!("{}:", name.to_lowercase());
        let line = head
            .split("\r\n")
            .find(|line| line.to_lowercase().starts_with(&prefix))?;
        Some(line[prefix.len()..].trim().to_owned())
    }
}

impl Drop for MailServer {
    fn drop(&mut self) {
        // Both fail only if the process has already ended.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}
