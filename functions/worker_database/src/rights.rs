//! Failures caused by missing rights, with the purpose of the rights.

use domain::Reason;
use domain::settle::Outcome;
use worker::ConnectorError;

/// Adds to a failure caused by missing rights what they are needed for. Returns other failures
/// unchanged.
pub(crate) fn needed_for(error: ConnectorError, what: &str) -> ConnectorError {
    match error.outcome() {
        Some(Outcome::ClientError(Reason::Authorization)) => {
            error.with_detail(|detail| format!("{what}: {detail}"))
        }
        _ => error,
    }
}

/// Whether a row is refused for its content.
pub(crate) fn is_rejected(error: &ConnectorError) -> bool {
    error.outcome() == Some(&Outcome::ClientError(Reason::Rejected))
}
