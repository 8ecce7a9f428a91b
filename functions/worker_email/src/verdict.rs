//! The effect of a mail server's errors on the delivery.

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

/// The mail server did not answer by the deadline.
pub(crate) const LATE: &str = "the mail server did not answer in time";

/// The mail server refused.
pub(crate) fn of_reply(step: StepName, reply: &Reply) -> ConnectorError {
    let detail = format!("the mail server answered {}", reply::shown(reply));
    ConnectorError::new(reply::outcome(step, reply), detail).at(step)
}
