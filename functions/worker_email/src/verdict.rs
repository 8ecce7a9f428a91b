//! The effect of a mail server's errors on the delivery.

use std::time::Duration;

use domain::Reason;
use domain::check::StepName;
use domain::settle::Outcome;
use mail_send::Error;
use worker::ConnectorError;

use crate::reply::{self, Reply};

/// The mail server, or the conversation with it, failed.
pub(crate) fn of_smtp(step: StepName, error: &Error) -> ConnectorError {
    match error {
        Error::UnexpectedReply(reply) | Error::AuthenticationFailed(reply) => of_reply(step, reply),
        Error::Timeout => ConnectorError::timed_out(LATE).at(step),
        Error::UnparseableReply => {
            let detail = "the mail server closed the connection or sent an invalid reply";
            ConnectorError::new(Outcome::Retry(Reason::Protocol), detail).at(step)
        }
        error => {
            let detail = "the connection to the mail server broke off";
            ConnectorError::network(error, detail).at(step)
        }
    }
}

/// When a message that may have been taken is sent again: at a mail server's pace (RFC 5321 §4.5.4.1).
const UNCONFIRMED_RETRY: Duration = Duration::from_secs(1800);

/// A server got the whole message, and what it did with it is not known. `what` is the sentence that says so.
pub(crate) fn unconfirmed(reason: Reason, what: &str) -> ConnectorError {
    let detail = format!(
        "{what}: the outcome is not known, and the message may have been delivered. A retry is made after {} minutes",
        UNCONFIRMED_RETRY.as_secs() / 60
    );
    ConnectorError::new(Outcome::Throttled(reason, UNCONFIRMED_RETRY), detail).at(StepName::Write)
}

/// The mail server did not answer by the deadline.
pub(crate) const LATE: &str = "the mail server did not answer in time";

/// The mail server refused.
pub(crate) fn of_reply(step: StepName, reply: &Reply) -> ConnectorError {
    let detail = format!("the mail server answered {}", reply::shown(reply));
    ConnectorError::new(reply::outcome(step, reply), detail).at(step)
}
