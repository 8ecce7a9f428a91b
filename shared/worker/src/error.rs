//! Why an attempt or a check ended early. The type distinguishes failures of Waybill, which use up
//! no retry, from failures of the destination, which are outcomes of the delivery.

use std::error::Error;
use std::sync::Arc;

use domain::Reason;
use domain::attempt::{DETAIL_MAX_BYTES, RequestRecord, bounded};
use domain::check::StepName;
use domain::settle::Outcome;
use egress::FailureKind;
use render::Fault;
use store::StoreError;
use vault::VaultError;

use crate::Attempted;

/// The text about a failure of Waybill for a destination's owner. Its causes are only logged.
const UNAVAILABLE: &str = "a service that Waybill depends on did not answer; try again";

/// A service that Waybill depends on (payload storage, key service, secret store, table) failed or
/// did not answer. The delivery waits and uses up no retry. The text and the causes are only
/// logged.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{problem}")]
pub struct Unavailable {
    problem: String,
    source: Option<Arc<dyn Error + Send + Sync>>,
}

impl Unavailable {
    /// Creates a failure without a source.
    pub fn new(problem: impl Into<String>) -> Self {
        Self {
            problem: problem.into(),
            source: None,
        }
    }

    /// Creates the failure of a service, with the service's error as its source.
    pub fn because(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        let problem = "a service that Waybill depends on failed".to_owned();
        Self {
            problem,
            source: Some(Arc::from(source.into())),
        }
    }
}

/// Why an attempt or a check ended early.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ConnectorError {
    /// A service that Waybill depends on failed.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
    /// The destination refused, failed or did not answer, or its settings, its credentials or the
    /// payload are invalid.
    #[error("{detail}")]
    Destination {
        /// The step of a check that failed, if it is not the step in progress.
        step: Option<StepName>,
        /// The effect on the delivery.
        outcome: Outcome,
        /// The reason for the destination's owner, without secrets.
        detail: String,
    },
}

impl ConnectorError {
    /// Creates a failure of the destination, with the reason for its owner.
    pub fn new(outcome: Outcome, detail: impl Into<String>) -> Self {
        let detail: String = detail.into();
        Self::Destination {
            step: None,
            outcome,
            detail: bounded(&detail, DETAIL_MAX_BYTES).to_owned(),
        }
    }

    /// Creates the failure of settings or credentials that can never work.
    pub fn misconfigured(detail: impl Into<String>) -> Self {
        Self::new(Outcome::Reject(Reason::Misconfigured), detail)
    }

    /// Creates the failure of credentials that cannot be used or that the destination rejects.
    pub fn unauthenticated(detail: impl Into<String>) -> Self {
        Self::new(Outcome::ClientError(Reason::Authentication), detail)
    }

    /// Creates the failure of a payload that this destination never accepts.
    pub fn rejected(detail: impl Into<String>) -> Self {
        Self::new(Outcome::Reject(Reason::Rejected), detail)
    }

    /// Creates the failure of a step that did not end in time.
    pub fn timed_out(detail: impl Into<String>) -> Self {
        Self::new(Outcome::Retry(Reason::Timeout), detail)
    }

    /// Creates the failure of a connection. The types of the error and its causes determine the
    /// outcome. TLS and I/O errors are recognised; every other error is a failure of the protocol.
    pub fn network(error: &(dyn Error + 'static), detail: impl Into<String>) -> Self {
        Self::unanswered(
            egress::failure_kind(error).unwrap_or(FailureKind::Protocol),
            detail,
        )
    }

    fn unanswered(kind: FailureKind, detail: impl Into<String>) -> Self {
        let error = Self::new(unanswered(kind), detail);
        match kind {
            FailureKind::Dns | FailureKind::Blocked => error.at(StepName::Resolve),
            FailureKind::Tls => error.at(StepName::Tls),
            FailureKind::Identity => error.at(StepName::Authenticate),
            FailureKind::Connect | FailureKind::Timeout | FailureKind::Protocol => error,
        }
    }

    /// Returns the same failure for this step of a check.
    #[must_use]
    pub fn at(self, step: StepName) -> Self {
        match self {
            Self::Destination {
                outcome, detail, ..
            } => Self::Destination {
                step: Some(step),
                outcome,
                detail,
            },
            ours @ Self::Unavailable(_) => ours,
        }
    }

    /// Returns the same failure for this step, unless it already names a step.
    #[must_use]
    pub fn or_at(self, step: StepName) -> Self {
        match self.step() {
            None => self.at(step),
            Some(_) => self,
        }
    }

    /// Returns the same failure with another text for the destination's owner.
    #[must_use]
    pub fn with_detail(self, detail: impl FnOnce(&str) -> String) -> Self {
        match self {
            Self::Destination {
                step,
                outcome,
                detail: before,
            } => {
                let detail = detail(&before);
                Self::Destination {
                    step,
                    outcome,
                    detail: bounded(&detail, DETAIL_MAX_BYTES).to_owned(),
                }
            }
            ours @ Self::Unavailable(_) => ours,
        }
    }

    /// Returns the step of a check that failed, if it is not the step in progress.
    #[must_use]
    pub fn step(&self) -> Option<StepName> {
        match self {
            Self::Destination { step, .. } => *step,
            Self::Unavailable(_) => None,
        }
    }

    /// Returns the effect on the delivery, or `None` for a failure of Waybill.
    #[must_use]
    pub fn outcome(&self) -> Option<&Outcome> {
        match self {
            Self::Destination { outcome, .. } => Some(outcome),
            Self::Unavailable(_) => None,
        }
    }

    /// Returns the reason for the destination's owner.
    #[must_use]
    pub fn detail(&self) -> &str {
        match self {
            Self::Destination { detail, .. } => detail,
            Self::Unavailable(_) => UNAVAILABLE,
        }
    }

    /// Returns the failed attempt, with the record of its request if one was sent. A failure of
    /// Waybill is not an attempt.
    pub fn into_attempted(self, request: Option<RequestRecord>) -> Result<Attempted, Unavailable> {
        match self {
            Self::Destination {
                outcome, detail, ..
            } => Ok(Attempted {
                request,
                ..Attempted::unsent(outcome, detail)
            }),
            Self::Unavailable(unavailable) => Err(unavailable),
        }
    }
}

/// Returns the outcome of an attempt whose server did not answer.
#[must_use]
pub fn unanswered(kind: FailureKind) -> Outcome {
    match kind {
        FailureKind::Dns => Outcome::Retry(Reason::Dns),
        FailureKind::Connect => Outcome::Retry(Reason::Connect),
        FailureKind::Tls => Outcome::Retry(Reason::Tls),
        FailureKind::Identity => Outcome::ClientError(Reason::Authentication),
        FailureKind::Timeout => Outcome::Retry(Reason::Timeout),
        FailureKind::Protocol => Outcome::Retry(Reason::Protocol),
        FailureKind::Blocked => Outcome::Reject(Reason::BlockedAddress),
    }
}

impl From<egress::Failure> for ConnectorError {
    fn from(failure: egress::Failure) -> Self {
        Self::unanswered(failure.kind(), failure.detail())
    }
}

impl From<StoreError> for ConnectorError {
    fn from(error: StoreError) -> Self {
        Unavailable::because(error).into()
    }
}

impl From<Fault> for ConnectorError {
    fn from(fault: Fault) -> Self {
        let detail = fault.to_string();
        if fault.is_ours {
            Unavailable::new(detail).into()
        } else {
            Self::misconfigured(detail)
        }
    }
}

impl From<VaultError> for ConnectorError {
    fn from(error: VaultError) -> Self {
        match error {
            VaultError::Unavailable { .. } | VaultError::NoKey => {
                Unavailable::because(error).into()
            }
            VaultError::Refused { .. }
            | VaultError::RoleRefused { .. }
            | VaultError::RoleMayNotRead { .. }
            | VaultError::Missing { .. } => Self::misconfigured(error.to_string()),
            VaultError::Corrupt(_) => {
                tracing::error!(
                    error = %domain::chain(&error),
                    "a stored secret is damaged or belongs to another record"
                );
                Self::new(
                    Outcome::Retry(Reason::Internal),
                    format!("{error}; it has to be set again"),
                )
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn a_network_failure_is_mapped_by_its_type() {
        let outcome =
            |error: &(dyn Error + 'static)| ConnectorError::network(error, "x").outcome().cloned();
        for (kind, reason) in [
            (io::ErrorKind::ConnectionRefused, Reason::Connect),
            (io::ErrorKind::HostUnreachable, Reason::Connect),
            (io::ErrorKind::NetworkUnreachable, Reason::Connect),
            (io::ErrorKind::TimedOut, Reason::Timeout),
            (io::ErrorKind::ConnectionReset, Reason::Protocol),
            (io::ErrorKind::UnexpectedEof, Reason::Protocol),
            (io::ErrorKind::InvalidData, Reason::Protocol),
        ] {
            assert_eq!(
                outcome(&io::Error::from(kind)),
                Some(Outcome::Retry(reason)),
                "{kind:?}"
            );
        }
    }

    #[test]
    fn a_failure_of_waybill_is_no_attempt_and_keeps_its_causes_from_people() {
        let error = ConnectorError::from(Unavailable::new("10.0.0.7: refused"));
        assert_eq!((error.outcome(), error.detail()), (None, UNAVAILABLE));
        assert!(error.at(StepName::Write).into_attempted(None).is_err());
    }

    #[test]
    fn an_explicit_step_is_kept() {
        let error = ConnectorError::misconfigured("x");
        assert_eq!(
            error.clone().or_at(StepName::Write).step(),
            Some(StepName::Write)
        );
        assert_eq!(
            error.at(StepName::Tls).or_at(StepName::Write).step(),
            Some(StepName::Tls)
        );
    }
}
