//! KMS and Secrets Manager: `winterbaume` keeps them in memory; what changes goes to a file.

use std::future::Future;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use futures_util::FutureExt;
use http::{HeaderMap, HeaderValue};
use serde_json::Value;
use winterbaume_core::{MockRequest, MockResponse, MockService, StateViewError, StatefulService};
use winterbaume_kms::KmsService;
use winterbaume_secretsmanager::SecretsManagerService;

use crate::arn::Place;
use crate::{OpenError, ServiceError};

/// The services kept this way.
pub(crate) enum Kept {
    Kms(KmsService),
    Secrets(SecretsManagerService),
}

impl Kept {
    /// The host's first label and what `x-amz-target` starts with.
    fn names(&self) -> (&'static str, &'static str) {
        match self {
            Self::Kms(_) => ("kms", "TrentService"),
            Self::Secrets(_) => ("secretsmanager", "secretsmanager"),
        }
    }

    async fn handle(&self, request: MockRequest) -> MockResponse {
        match self {
            Self::Kms(service) => service.handle(request).await,
            Self::Secrets(service) => service.handle(request).await,
        }
    }

    async fn snapshot(&self, account: &str, region: &str) -> serde_json::Result<Vec<u8>> {
        match self {
            Self::Kms(service) => serde_json::to_vec(&service.snapshot(account, region).await),
            Self::Secrets(service) => serde_json::to_vec(&service.snapshot(account, region).await),
        }
    }

    async fn restore(&self, account: &str, region: &str, bytes: &[u8]) -> Result<(), StateViewError> {
        match self {
            Self::Kms(service) => service.restore(account, region, serde_json::from_slice(bytes)?).await,
            Self::Secrets(service) => service.restore(account, region, serde_json::from_slice(bytes)?).await,
        }
    }
}

/// An in-memory service and the file it comes back from.
pub(crate) struct Snapshotted {
    service: Kept,
    file: PathBuf,
    place: Place,
    /// Snapshots are written one at a time, so that the last one written is the newest.
    writing: tokio::sync::Mutex<()>,
}

impl Snapshotted {
    /// Opens the service with what the file holds.
    pub(crate) fn open(service: Kept, file: PathBuf, place: Place) -> Result<Self, OpenError> {
        let this = Self { service, file, place, writing: tokio::sync::Mutex::new(()) };
        match std::fs::read(&this.file) {
            Ok(bytes) => {
                at_once(this.service.restore(this.account(), &this.place.region, &bytes)).map_err(|error| this.unreadable(error))?;
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(this.unreadable(error)),
        }
        Ok(this)
    }

    /// Answers one call: its status and body, both in the service's wire form.
    pub(crate) async fn call(&self, operation: &str, body: Bytes) -> (u16, Bytes) {
        let answer = self.service.handle(self.request(operation, body)).await;
        if matches!(answer.status, 200)
            && changes(operation)
            && let Err(error) = self.save().await
        {
            tracing::error!(file = %self.file.display(), %error, "a snapshot could not be written");
            let message = format!("the change could not be kept: {error}");
            let body = serde_json::json!({"__type": "InternalServiceError", "message": message});
            return (500, body.to_string().into());
        }
        (answer.status, answer.body)
    }

    /// A call while the engines open, when nothing else uses the service.
    pub(crate) fn ask(&self, operation: &str, request: &Value) -> Result<Value, ServiceError> {
        let (status, body) = at_once(self.call(operation, request.to_string().into()));
        let answer: Value = serde_json::from_slice(&body).unwrap_or_default();
        if status == 200 {
            return Ok(answer);
        }
        let text = |member: &str| answer[member].as_str().unwrap_or_default().to_owned();
        Err(ServiceError::new(status, text("__type"), text("message") + &text("Message")))
    }

    fn account(&self) -> &str {
        // winterbaume has one account for the process, and keeps state by it.
        winterbaume_core::default_account_id()
    }

    fn request(&self, operation: &str, body: Bytes) -> MockRequest {
        let (host, target_prefix) = self.service.names();
        let mut headers = HeaderMap::new();
        if let Ok(target) = HeaderValue::from_str(&format!("{target_prefix}.{operation}")) {
            headers.insert("x-amz-target", target);
        }
        let uri = format!("https://{host}.{}.amazonaws.com/", self.place.region);
        MockRequest { method: "POST".into(), uri, headers, body }
    }

    async fn save(&self) -> io::Result<()> {
        let _one_at_a_time = self.writing.lock().await;
        let snapshot = self.service.snapshot(self.account(), &self.place.region).await?;
        replace(&self.file, &snapshot)
    }

    fn unreadable(&self, error: impl std::error::Error + Send + Sync + 'static) -> OpenError {
        OpenError::Snapshot { file: self.file.clone(), source: Box::new(error) }
    }
}

/// Reading needs no snapshot, and neither does what KMS computes.
fn changes(operation: &str) -> bool {
    const UNCHANGING: [&str; 11] =
        ["Get", "List", "Describe", "BatchGet", "Validate", "Decrypt", "Encrypt", "ReEncrypt", "Generate", "Sign", "Verify"];
    !UNCHANGING.iter().any(|prefix| operation.starts_with(prefix))
}

/// Writes a file that only its owner reads, whole or not at all.
fn replace(file: &Path, bytes: &[u8]) -> io::Result<()> {
    let new = file.with_extension("new");
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut writer = options.open(&new)?;
    writer.write_all(bytes)?;
    writer.sync_all()?;
    std::fs::rename(new, file)
}

/// Runs a future that has nothing to wait for: the service's locks are free while the engines open. Unconstrained, because within a task
/// tokio's locks would make it wait its turn after a hundred of them.
fn at_once<T>(future: impl Future<Output = T>) -> T {
    tokio::task::unconstrained(future).now_or_never().expect("nothing else holds the service's locks while it opens")
}
