//! Failures for lack of rights, whose owner needs to know what the rights are for.

use domain::Reason;
use domain::settle::Outcome;
use worker::ConnectorError;

/// A failure for lack of rights with what they are needed for; any other failure as it is.
pub(crate) fn needed_for(error: ConnectorError, what: &str) -> ConnectorError {
    match error.outcome() {
        Some(Outcome::ClientError(Reason::Authorization)) => error.with_detail(|detail| format!("{what}: {detail}")),
        _ => error,
    }
}

/// Whether a row is refused for its content.
pub(crate) fn is_rejected(error: &ConnectorError) -> bool {
    error.outcome() == Some(&Outcome::ClientError(Reason::Rejected))
}
