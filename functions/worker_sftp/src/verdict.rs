//! Maps errors of SSH and SFTP to the outcome of the attempt. Types and codes decide, never the
//! texts.

use domain::Reason;
use domain::attempt::bounded;
use domain::check::StepName;
use domain::settle::Outcome;
use russh_sftp::client::error::Error as SftpError;
use russh_sftp::protocol::StatusCode;
use tokio::time::Instant;
use worker::ConnectorError;

/// How many bytes of a server's message an attempt's detail repeats.
const MESSAGE_MAX_BYTES: usize = 300;

/// Maps an error of the SSH connection.
pub(crate) fn of_ssh(step: StepName, error: &russh::Error) -> ConnectorError {
    use russh::Error as E;
    let (reason, detail) = match error {
        E::ConnectionTimeout | E::KeepaliveTimeout | E::InactivityTimeout | E::Elapsed(_) => {
            (Reason::Timeout, "the server stopped answering")
        }
        E::Disconnect | E::HUP | E::SendError | E::RecvError => {
            (Reason::Protocol, "the server closed the connection")
        }
        E::IO(error) => return ConnectorError::network(error, "the connection was lost").at(step),
        E::NoCommonAlgo { .. } => (
            Reason::Protocol,
            "the server and Waybill have no cryptographic algorithm in common",
        ),
        E::Version => (Reason::Protocol, "the server does not speak SSH 2"),
        E::ChannelOpenFailure(_) | E::RequestDenied => (
            Reason::Protocol,
            "the server does not offer SFTP to this user",
        ),
        _ => (
            Reason::Protocol,
            "the server does not follow the SSH protocol",
        ),
    };
    ConnectorError::new(Outcome::Retry(reason), detail).at(step)
}

/// Maps an error that the server answered to a request, or that ended the session.
pub(crate) fn of_sftp(error: &SftpError, doing: &str) -> ConnectorError {
    let (outcome, why) = match error {
        SftpError::Status(status) => {
            let (outcome, why) = status_meaning(status.status_code);
            (outcome, with_message(why, &status.error_message))
        }
        SftpError::Timeout => (
            Outcome::Retry(Reason::Timeout),
            "the server stopped answering".to_owned(),
        ),
        SftpError::IO(_)
        | SftpError::Limited(_)
        | SftpError::UnexpectedPacket
        | SftpError::UnexpectedBehavior(_) => {
            let why = "the server closed the connection or does not follow the SFTP protocol";
            (Outcome::Retry(Reason::Protocol), why.to_owned())
        }
    };
    ConnectorError::new(outcome, format!("{doing}: {why}")).at(StepName::Write)
}

fn status_meaning(code: StatusCode) -> (Outcome, &'static str) {
    match code {
        StatusCode::PermissionDenied => (
            Outcome::ClientError(Reason::Authorization),
            "permission denied",
        ),
        StatusCode::NoSuchFile => (
            Outcome::ClientError(Reason::Rejected),
            "no such file or directory",
        ),
        StatusCode::OpUnsupported => (
            Outcome::Retry(Reason::Protocol),
            "the server does not support it",
        ),
        StatusCode::BadMessage | StatusCode::NoConnection | StatusCode::ConnectionLost => (
            Outcome::Retry(Reason::Protocol),
            "the server does not follow the SFTP protocol",
        ),
        // Version 3 has one code for a full disk, an exceeded quota and an invalid name.
        StatusCode::Failure | StatusCode::Eof | StatusCode::Ok => (
            Outcome::Retry(Reason::ServerError),
            "the server reports a failure",
        ),
    }
}

/// Appends the server's own message, because only the message names a full disk.
fn with_message(why: &str, message: &str) -> String {
    let message: String = message
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    let message = bounded(message.trim(), MESSAGE_MAX_BYTES);
    let repeats = ["", "failure", "permission denied", "no such file", why];
    if repeats
        .iter()
        .any(|text| message.eq_ignore_ascii_case(text))
    {
        why.to_owned()
    } else {
        format!("{why}: {message}")
    }
}

/// Runs `work` until the deadline. The error of a late step says what took too long.
pub(crate) async fn within<T>(
    deadline: Instant,
    step: StepName,
    work: impl Future<Output = Result<T, ConnectorError>>,
) -> Result<T, ConnectorError> {
    let late = match step {
        StepName::Resolve | StepName::Connect | StepName::Tls => {
            "connecting took longer than the attempt's time limit"
        }
        StepName::HostKey => {
            "the key exchange with the server took longer than the attempt's time limit"
        }
        StepName::Authenticate => "signing in took longer than the attempt's time limit",
        StepName::Authorize | StepName::Write => {
            "writing the file took longer than the attempt's time limit"
        }
    };
    worker::within(deadline, late, work)
        .await
        .map_err(|error| error.or_at(step))
}
