//! The connection check of a destination, made by the worker that delivers to it.

use std::time::Duration;

use aws_sdk_lambda::Client;
use aws_sdk_lambda::primitives::Blob;
use domain::check::{CheckReport, CheckRequest};
use domain::destination::Destination;
use domain::settings::PerLane;

/// The worker bounds a check to 20 s; this is how long the invocation is waited for.
const INVOCATION_MAX: Duration = Duration::from_secs(24);

/// Invokes the workers' checks. Requests hold sealed credentials; neither they nor reports are logged.
#[derive(Clone, Debug)]
pub struct Checker {
    lambda: Client,
    workers: PerLane<String>,
}

/// A check that could not be made. It says nothing about the destination.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// The request could not be written.
    #[error("the check could not be requested")]
    Request(#[source] serde_json::Error),
    /// The worker could not be invoked.
    #[error("the worker that checks could not be invoked")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The worker failed.
    #[error("the worker that checks failed: {0}")]
    Failed(String),
    /// The report could not be read. It could quote what it was made from, so that only its position is named.
    #[error("the check's report ends at column {0}")]
    Unreadable(usize),
}

impl Checker {
    /// Checks made by these functions.
    #[must_use]
    pub fn new(lambda: Client, workers: PerLane<String>) -> Self {
        Self { lambda, workers }
    }

    /// Has the worker check a destination; the report says whether a delivery can be made.
    pub async fn check(&self, destination: &Destination) -> Result<CheckReport, CheckError> {
        let function = self.workers.of(destination.kind().lane());
        let request = serde_json::to_vec(&CheckRequest { check: destination.clone() }).map_err(CheckError::Request)?;
        let call = self.lambda.invoke().function_name(function).payload(Blob::new(request)).send();
        let answer = tokio::time::timeout(INVOCATION_MAX, call).await.map_err(|late| CheckError::Unavailable(late.into()))?;
        let answer = answer.map_err(|error| CheckError::Unavailable(error.into()))?;
        if let Some(error) = answer.function_error() {
            return Err(CheckError::Failed(error.to_owned()));
        }
        let report = answer.payload().map(Blob::as_ref).unwrap_or_default();
        serde_json::from_slice(report).map_err(|error| CheckError::Unreadable(error.column()))
    }
}
