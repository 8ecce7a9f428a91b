//! What it means for a delivery that a server did not answer.

use domain::Reason;
use domain::settle::Outcome;
use egress::FailureKind;

/// What it means for a delivery that a server did not answer: the table of api.md (Deliveries).
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
