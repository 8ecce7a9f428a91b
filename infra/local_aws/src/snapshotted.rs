//! KMS and Secrets Manager. `winterbaume` holds them in memory, and every change is saved to a
//! file.

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

use crate::arn::Arns;
use crate::{OpenError, ServiceError};

/// The services that are stored this way.
pub(crate) enum SnapshotService {
    Kms(KmsService),
    Secrets(SecretsManagerService),
}

impl SnapshotService {
    /// Returns the first label of the host, and the prefix of `x-amz-target`.
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

    async fn restore(
        &self,
        account: &str,
        region: &str,
        bytes: &[u8],
    ) -> Result<(), StateViewError> {
        match self {
            Self::Kms(service) => {
                service
                    .restore(account, region, serde_json::from_slice(bytes)?)
                    .await
            }
            Self::Secrets(service) => {
                service
                    .restore(account, region, serde_json::from_slice(bytes)?)
                    .await
            }
        }
    }
}

/// An in-memory service with the file that it is restored from.
pub(crate) struct Snapshotted {
    service: SnapshotService,
    file: PathBuf,
    arns: Arns,
    /// Snapshots are written one at a time, so that the last one is the newest.
    writing: tokio::sync::Mutex<()>,
}

impl Snapshotted {
    /// Opens the service with the content of the file.
    pub(crate) fn open(
        service: SnapshotService,
        file: PathBuf,
        arns: Arns,
    ) -> Result<Self, OpenError> {
        let this = Self {
            service,
            file,
            arns,
            writing: tokio::sync::Mutex::new(()),
        };
        match std::fs::read(&this.file) {
            Ok(bytes) => {
                at_once(
                    this.service
                        .restore(this.account(), &this.arns.region, &bytes),
                )
                .map_err(|error| this.unreadable(error))?;
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(this.unreadable(error)),
        }
        Ok(this)
    }

    /// Handles a call and returns status and body in the service's wire format.
    pub(crate) async fn call(&self, operation: &str, body: Bytes) -> (u16, Bytes) {
        let answer = self.service.handle(self.request(operation, body)).await;
        if matches!(answer.status, 200)
            && changes(operation)
            && let Err(error) = self.save().await
        {
            tracing::error!(file = %self.file.display(), %error, "failed to write a snapshot");
            let message = format!("the change could not be saved: {error}");
            let body = serde_json::json!({"__type": "InternalServiceError", "message": message});
            return (500, body.to_string().into());
        }
        (answer.status, answer.body)
    }

    /// Makes a call while the engines open, when nothing else uses the service.
    pub(crate) fn ask(&self, operation: &str, request: &Value) -> Result<Value, ServiceError> {
        let (status, body) = at_once(self.call(operation, request.to_string().into()));
        let answer: Value = serde_json::from_slice(&body).unwrap_or_default();
        if status == 200 {
            return Ok(answer);
        }
        let text = |member: &str| answer[member].as_str().unwrap_or_default().to_owned();
        Err(ServiceError::new(
            status,
            text("__type"),
            text("message") + &text("Message"),
        ))
    }

    fn account(&self) -> &str {
        // winterbaume has one account per process and stores state by account.
        winterbaume_core::default_account_id()
    }

    fn request(&self, operation: &str, body: Bytes) -> MockRequest {
        let (host, target_prefix) = self.service.names();
        let mut headers = HeaderMap::new();
        if let Ok(target) = HeaderValue::from_str(&format!("{target_prefix}.{operation}")) {
            headers.insert("x-amz-target", target);
        }
        let uri = format!("https://{host}.{}.amazonaws.com/", self.arns.region);
        MockRequest {
            method: "POST".into(),
            uri,
            headers,
            body,
        }
    }

    async fn save(&self) -> io::Result<()> {
        let _one_at_a_time = self.writing.lock().await;
        let snapshot = self
            .service
            .snapshot(self.account(), &self.arns.region)
            .await?;
        replace(&self.file, &snapshot)
    }

    fn unreadable(&self, error: impl std::error::Error + Send + Sync + 'static) -> OpenError {
        OpenError::Snapshot {
            file: self.file.clone(),
            source: Box::new(error),
        }
    }
}

/// Whether an operation changes what must be saved. Reads and KMS computations do not.
fn changes(operation: &str) -> bool {
    const UNCHANGING: [&str; 11] = [
        "Get",
        "List",
        "Describe",
        "BatchGet",
        "Validate",
        "Decrypt",
        "Encrypt",
        "ReEncrypt",
        "Generate",
        "Sign",
        "Verify",
    ];
    !UNCHANGING
        .iter()
        .any(|prefix| operation.starts_with(prefix))
}

/// Writes a file atomically, readable for its owner only.
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

/// Runs a future that never waits, because the service's locks are free while the engines open. It
/// is unconstrained, because within a task tokio's locks would yield after a hundred of them.
fn at_once<T>(future: impl Future<Output = T>) -> T {
    tokio::task::unconstrained(future)
        .now_or_never()
        .expect("nothing else holds the service's locks while it opens")
}
