//! What goes wrong on the way to a file, and what it means for the delivery. Told by types and codes, never by texts.

use std::time::Duration;

use domain::Reason;
use domain::check::StepName;
use domain::settle::Outcome;
use egress::FailureKind;
use russh_sftp::client::error::Error as SftpError;
use russh_sftp::protocol::StatusCode;
use tokio::time::{Instant, timeout_at};

/// Something went wrong.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{detail}")]
pub struct Failure {
    /// At which step of the way.
    pub step: StepName,
    /// What it means for the delivery.
    pub outcome: Outcome,
    /// In words, for the destination's owner; no secrets.
    pub detail: String,
}

impl Failure {
    pub(crate) fn new(step: StepName, outcome: Outcome, detail: impl Into<String>) -> Self {
        Self { step, outcome, detail: detail.into() }
    }

    /// What the egress guard says.
    pub(crate) fn egress(failure: &egress::Failure) -> Self {
        let (step, outcome) = match failure.kind() {
            FailureKind::Dns => (StepName::Resolve, Outcome::Retry(Reason::Dns)),
            FailureKind::Blocked => (StepName::Resolve, Outcome::Reject(Reason::BlockedAddress)),
            FailureKind::Timeout => (StepName::Connect, Outcome::Retry(Reason::Timeout)),
            FailureKind::Connect => (StepName::Connect, Outcome::Retry(Reason::Connect)),
            FailureKind::Tls | FailureKind::Identity | FailureKind::Protocol => (StepName::Connect, Outcome::Retry(Reason::Protocol)),
        };
        Self::new(step, outcome, failure.detail())
    }

    /// The connection does not work out as SSH.
    pub(crate) fn ssh(step: StepName, error: &russh::Error) -> Self {
        use russh::Error as E;
        let (reason, detail) = match error {
            E::ConnectionTimeout | E::KeepaliveTimeout | E::InactivityTimeout | E::Elapsed(_) => {
                (Reason::Timeout, "the server went silent")
            }
            E::Disconnect | E::HUP | E::SendError | E::RecvError => (Reason::Protocol, "the server closed the connection"),
            E::IO(_) => (Reason::Protocol, "the connection broke"),
            E::NoCommonAlgo { .. } => (Reason::Protocol, "the server and Waybill have no cryptographic algorithm in common"),
            E::Version => (Reason::Protocol, "the server does not speak SSH 2"),
            E::ChannelOpenFailure(_) | E::RequestDenied => (Reason::Protocol, "the server does not offer SFTP to this user"),
            _ => (Reason::Protocol, "the server does not follow the SSH protocol"),
        };
        Self::new(step, Outcome::Retry(reason), detail)
    }

    /// The server refuses what is done to `subject`, or stops answering.
    pub(crate) fn sftp(error: &SftpError, doing: &str) -> Self {
        let (outcome, why) = match error {
            SftpError::Status(status) => match status.status_code {
                StatusCode::PermissionDenied => (Outcome::ClientError(Reason::Authorization), "permission denied"),
                StatusCode::NoSuchFile => (Outcome::ClientError(Reason::Rejected), "no such file or directory"),
                StatusCode::OpUnsupported => (Outcome::Retry(Reason::Protocol), "the server does not support it"),
                StatusCode::BadMessage | StatusCode::NoConnection | StatusCode::ConnectionLost => {
                    (Outcome::Retry(Reason::Protocol), "the server does not follow the SFTP protocol")
                }
                // A full disk, a quota, a name the file system does not take: version 3 has one code for all.
                StatusCode::Failure | StatusCode::Eof | StatusCode::Ok => {
                    (Outcome::Retry(Reason::ServerError), "the server reports a failure")
                }
            },
            SftpError::Timeout => (Outcome::Retry(Reason::Timeout), "the server went silent"),
            SftpError::IO(_) | SftpError::Limited(_) | SftpError::UnexpectedPacket | SftpError::UnexpectedBehavior(_) => {
                (Outcome::Retry(Reason::Protocol), "the server closed the connection or does not follow the SFTP protocol")
            }
        };
        Self::new(StepName::Write, outcome, format!("{doing}: {why}"))
    }
}

/// `work`, as long as there is time.
pub(crate) async fn within<T>(deadline: Instant, step: StepName, work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let late = |_| {
        let doing = match step {
            StepName::Resolve | StepName::Connect | StepName::Tls => "connecting",
            StepName::HostKey => "agreeing on keys with the server",
            StepName::Authenticate => "signing in",
            StepName::Authorize | StepName::Write => "writing the file",
        };
        Failure::new(step, Outcome::Retry(Reason::Timeout), format!("{doing} took longer than the attempt may"))
    };
    timeout_at(deadline, work).await.map_err(late)?
}

/// Whole milliseconds.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
