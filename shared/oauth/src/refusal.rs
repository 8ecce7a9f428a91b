//! Why a token was not issued.

use std::time::Duration;

use domain::Reason;
use domain::settle::Outcome;
use egress::FailureKind;

/// Why a token was not issued, and the outcome for the delivery that needs it. It never contains a
/// secret.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{detail}")]
pub struct Refusal {
    /// The outcome for the delivery.
    pub outcome: Outcome,
    /// A description for the destination's owner.
    pub detail: String,
}

impl Refusal {
    pub(crate) fn new(outcome: Outcome, detail: impl Into<String>) -> Self {
        Self {
            outcome,
            detail: detail.into(),
        }
    }

    /// The token URL is invalid, or its address is not permitted.
    pub(crate) fn address(refusal: &egress::Refusal) -> Self {
        let reason = if refusal.is_blocked_address() {
            Reason::BlockedAddress
        } else {
            Reason::Misconfigured
        };
        Self::new(
            Outcome::Reject(reason),
            format!("the token URL cannot be used: {refusal}"),
        )
    }

    /// The server asked for a pause that has not ended.
    pub(crate) fn paused(left: Duration) -> Self {
        let seconds = left.as_secs().max(1);
        let detail = format!(
            "the authorization server gave no token: it asked for a pause, which lasts another \
             {seconds} s"
        );
        Self::new(Outcome::Throttled(Reason::RateLimited, left), detail)
    }

    /// Another delivery is requesting the same token, and no answer arrived in time.
    pub(crate) fn slow() -> Self {
        Self::new(
            Outcome::Retry(Reason::Timeout),
            "the authorization server gave no token in time",
        )
    }

    /// The server did not answer.
    pub(crate) fn unanswered(failure: &egress::Failure) -> Self {
        let outcome = match failure.kind() {
            FailureKind::Dns => Outcome::Retry(Reason::Dns),
            FailureKind::Connect => Outcome::Retry(Reason::Connect),
            FailureKind::Tls => Outcome::Retry(Reason::Tls),
            FailureKind::Identity => Outcome::ClientError(Reason::Authentication),
            FailureKind::Timeout => Outcome::Retry(Reason::Timeout),
            FailureKind::Protocol => Outcome::Retry(Reason::Protocol),
            FailureKind::Blocked => Outcome::Reject(Reason::BlockedAddress),
        };
        Self::new(
            outcome,
            format!(
                "the authorization server gave no token: {}",
                failure.detail()
            ),
        )
    }
}
