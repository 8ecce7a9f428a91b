//! Why attempts fail, and the effect on the delivery. Types and codes decide; texts never do.

use std::time::Duration;

use domain::Reason;
use domain::attempt::bounded;
use domain::check::StepName;
use domain::settle::Outcome;
use egress::FailureKind;
use russh_sftp::client::error::Error as SftpError;
use russh_sftp::protocol::StatusCode;
use tokio::time::{Instant, timeout_at};
use worker::Unavailable;

/// How much of a server's message a failure repeats.
const MESSAGE_MAX_BYTES: usize = 300;

/// Why an attempt or a check ended early.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The destination refused, failed or did not answer.
    #[error("{detail}")]
    Theirs {
        /// The step of the connection check that it belongs to.
        step: StepName,
        /// The effect on the delivery.
        outcome: Outcome,
        /// The reason for the destination's owner, without secrets.
        detail: String,
    },
    /// A dependency of Waybill is not available. The delivery waits and uses up no retry.
    #[error(transparent)]
    Ours(#[from] Unavailable),
}

impl Failure {
    pub(crate) fn new(step: StepName, outcome: Outcome, detail: impl Into<String>) -> Self {
        Self::Theirs { step, outcome, detail: detail.into() }
    }

    /// The text for the destination's owner, without secrets and without Waybill's own causes.
    #[must_use]
    pub fn detail(&self) -> &str {
        match self {
            Self::Theirs { detail, .. } => detail,
            Self::Ours(_) => "Waybill could not read what it needs; try again",
        }
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

    /// The server answered a request with an error, or stopped answering.
    pub(crate) fn sftp(error: &SftpError, doing: &str) -> Self {
        let (outcome, why) = match error {
            SftpError::Status(status) => {
                let (outcome, why) = status_meaning(status.status_code);
                (outcome, with_message(why, &status.error_message))
            }
            SftpError::Timeout => (Outcome::Retry(Reason::Timeout), "the server went silent".to_owned()),
            SftpError::IO(_) | SftpError::Limited(_) | SftpError::UnexpectedPacket | SftpError::UnexpectedBehavior(_) => {
                let why = "the server closed the connection or does not follow the SFTP protocol";
                (Outcome::Retry(Reason::Protocol), why.to_owned())
            }
        };
        Self::new(StepName::Write, outcome, format!("{doing}: {why}"))
    }
}

fn status_meaning(code: StatusCode) -> (Outcome, &'static str) {
    match code {
        StatusCode::PermissionDenied => (Outcome::ClientError(Reason::Authorization), "permission denied"),
        StatusCode::NoSuchFile => (Outcome::ClientError(Reason::Rejected), "no such file or directory"),
        StatusCode::OpUnsupported => (Outcome::Retry(Reason::Protocol), "the server does not support it"),
        StatusCode::BadMessage | StatusCode::NoConnection | StatusCode::ConnectionLost => {
            (Outcome::Retry(Reason::Protocol), "the server does not follow the SFTP protocol")
        }
        // Version 3 has one code for a full disk, a quota and an invalid name.
        StatusCode::Failure | StatusCode::Eof | StatusCode::Ok => (Outcome::Retry(Reason::ServerError), "the server reports a failure"),
    }
}

/// Appends the server's own message, which is the only place where a full disk is named.
fn with_message(why: &str, message: &str) -> String {
    let message: String = message.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let message = bounded(message.trim(), MESSAGE_MAX_BYTES);
    let repeats = ["", "failure", "permission denied", "no such file", why];
    if repeats.iter().any(|text| message.eq_ignore_ascii_case(text)) { why.to_owned() } else { format!("{why}: {message}") }
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
