//! Maps errors of a mail server to the outcome of the attempt.

use std::time::Duration;

use domain::Reason;
use domain::check::StepName;
use domain::settle::Outcome;
use mail_send::Error;
use worker::ConnectorError;

use crate::reply::{self, Reply};

/// Maps an error of the mail server or of the conversation with it.
pub(crate) fn of_smtp(step: StepName, error: &Error) -> ConnectorError {
    match error {
        Error::UnexpectedReply(reply) | Error::AuthenticationFailed(reply) => of_reply(step, reply),
        Error::Timeout => ConnectorError::timed_out(LATE).at(step),
        Error::UnparseableReply => {
            let detail = "the mail server closed the connection or sent an invalid reply";
            ConnectorError::new(Outcome::Retry(Reason::Protocol), detail).at(step)
        }
        error => {
            let detail = "the connection to the mail server was lost";
            ConnectorError::network(error, detail).at(step)
        }
    }
}

/// The wait before a message that may have been delivered is sent again. RFC 5321 §4.5.4.1
/// recommends it to mail servers.
const UNCONFIRMED_RETRY: Duration = Duration::from_secs(1800);

/// The outcome of a message that a server received but did not confirm. `what` is the sentence that
/// describes it.
pub(crate) fn unconfirmed(reason: Reason, what: &str) -> ConnectorError {
    let detail = format!(
        "{what}: the outcome is not known, and the message may have been delivered. Waybill sends \
         it again after {} minutes",
        UNCONFIRMED_RETRY.as_secs() / 60
    );
    ConnectorError::new(Outcome::Throttled(reason, UNCONFIRMED_RETRY), detail).at(StepName::Write)
}

/// The detail when the mail server did not answer by the deadline.
pub(crate) const LATE: &str = "the mail server did not answer in time";

/// Maps a reply with which the mail server refused a command.
pub(crate) fn of_reply(step: StepName, reply: &Reply) -> ConnectorError {
    let detail = format!("the mail server answered {}", reply::shown(reply));
    ConnectorError::new(reply::outcome(step, reply), detail).at(step)
}
