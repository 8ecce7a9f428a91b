//! Checks a destination's connection by invoking the worker that delivers to it.

use std::time::Duration;

use aws_sdk_lambda::Client;
use aws_sdk_lambda::primitives::Blob;
use domain::check::{CheckReport, CheckRequest};
use domain::destination::Destination;
use domain::settings::PerLane;

/// The time limit of an invocation. The worker limits a check to 20 seconds.
const INVOCATION_MAX: Duration = Duration::from_secs(24);

/// Invokes the connection checks of the workers. Requests contain sealed credentials; neither
/// requests nor reports are logged.
#[derive(Clone, Debug)]
pub struct Checker {
    lambda: Client,
    workers: PerLane<String>,
}

/// The reason why a check could not be made. It says nothing about the destination.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// The request could not be serialized.
    #[error("the check could not be requested")]
    Request(#[source] serde_json::Error),
    /// The worker could not be invoked.
    #[error("the worker that checks could not be invoked")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The worker returned a function error.
    #[error("the worker that checks failed: {0}")]
    Failed(String),
    /// The report could not be parsed. The error contains only the position, because the message of
    /// the parser could quote the report.
    #[error("the check's report ends at column {0}")]
    Unreadable(usize),
}

impl Checker {
    /// Creates a checker that invokes these functions.
    #[must_use]
    pub fn new(lambda: Client, workers: PerLane<String>) -> Self {
        Self { lambda, workers }
    }

    /// Checks a destination. The report states whether a delivery can be made.
    pub async fn check(&self, destination: &Destination) -> Result<CheckReport, CheckError> {
        let function = self.workers.of(destination.kind().lane());
        let request = serde_json::to_vec(&CheckRequest {
            check: destination.clone(),
        })
        .map_err(CheckError::Request)?;
        let call = self
            .lambda
            .invoke()
            .function_name(function)
            .payload(Blob::new(request))
            .send();
        let answer = tokio::time::timeout(INVOCATION_MAX, call)
            .await
            .map_err(|late| CheckError::Unavailable(late.into()))?;
        let answer = answer.map_err(|error| CheckError::Unavailable(error.into()))?;
        if let Some(error) = answer.function_error() {
            return Err(CheckError::Failed(error.to_owned()));
        }
        let report = answer.payload().map(Blob::as_ref).unwrap_or_default();
        serde_json::from_slice(report).map_err(|error| CheckError::Unreadable(error.column()))
    }
}
