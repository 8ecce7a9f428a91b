//! Interprets the replies of mail servers (RFC 5321 §4.2, RFC 3463).

use domain::Reason;
use domain::check::StepName;
use domain::settle::Outcome;
use smtp_proto::Response;

/// A reply of a mail server.
pub(crate) type Reply = Response<String>;

/// Whether a reply is positive (2yz).
pub(crate) fn is_positive(reply: &Reply) -> bool {
    (200..300).contains(&reply.code)
}

/// Returns the outcome of a refusal. The enhanced status code decides if the server sends one,
/// because codes such as 552 have several meanings.
pub(crate) fn outcome(step: StepName, reply: &Reply) -> Outcome {
    match (step, reply.code, reply.esc) {
        (_, 400..=499, _) => Outcome::Retry(Reason::ServerError),
        (StepName::Authenticate, 500..=599, _) => Outcome::ClientError(Reason::Authentication),
        (_, 530 | 534 | 535 | 538, _) => Outcome::ClientError(Reason::Authentication),
        (_, 500..=599, [5, 7, 8 | 9 | 11 | 14]) => Outcome::ClientError(Reason::Authentication),
        // After MAIL or RCPT, these credentials may not use the sender or recipient. After DATA,
        // the policy concerns the content.
        (StepName::Authorize, 500..=599, [5, 7, _]) => Outcome::Reject(Reason::Authorization),
        (_, 500..=599, [5, 2 | 3, _]) if is_too_large(reply.esc) => {
            Outcome::Reject(Reason::PayloadTooLarge)
        }
        // Without an enhanced code, 552 means a full mailbox after RCPT and a message that is too
        // large after DATA.
        (StepName::Write, 552, [0, 0, 0]) => Outcome::Reject(Reason::PayloadTooLarge),
        (_, 500..=599, _) => Outcome::Reject(Reason::Rejected),
        _ => Outcome::Retry(Reason::Protocol),
    }
}

/// X.2.3: the message is larger than the mailbox accepts. X.3.4: it is larger than the system
/// accepts.
fn is_too_large([_, subject, detail]: [u8; 3]) -> bool {
    matches!((subject, detail), (2, 3) | (3, 4))
}

/// Formats a reply in one line without control characters.
pub(crate) fn shown(reply: &Reply) -> String {
    let Response { code, esc, message } = reply;
    let enhanced = if *esc == [0; 3] {
        String::new()
    } else {
        format!(" {}.{}.{}", esc[0], esc[1], esc[2])
    };
    let message: String = message
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(300)
        .collect();
    format!("{code}{enhanced} {message}").trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_enhanced_status_code_decides_what_a_refusal_means() {
        use Outcome::{ClientError, Reject, Retry};
        use StepName::{Authenticate, Authorize, Write};
        for (step, code, esc, expected) in [
            (Authorize, 552, [5, 2, 2], Reject(Reason::Rejected)),
            (Write, 552, [5, 2, 2], Reject(Reason::Rejected)),
            (Write, 552, [5, 3, 1], Reject(Reason::Rejected)),
            (Write, 552, [5, 7, 0], Reject(Reason::Rejected)),
            (Authorize, 552, [0, 0, 0], Reject(Reason::Rejected)),
            (Write, 552, [0, 0, 0], Reject(Reason::PayloadTooLarge)),
            (Write, 552, [5, 3, 4], Reject(Reason::PayloadTooLarge)),
            (Authorize, 552, [5, 3, 4], Reject(Reason::PayloadTooLarge)),
            (Write, 554, [5, 2, 3], Reject(Reason::PayloadTooLarge)),
            (Authorize, 550, [5, 2, 3], Reject(Reason::PayloadTooLarge)),
            (Authorize, 452, [4, 2, 2], Retry(Reason::ServerError)),
            (Write, 452, [4, 3, 1], Retry(Reason::ServerError)),
            (Authorize, 421, [4, 7, 0], Retry(Reason::ServerError)),
            (Authorize, 550, [5, 1, 1], Reject(Reason::Rejected)),
            (Authorize, 550, [0, 0, 0], Reject(Reason::Rejected)),
            (Authorize, 550, [5, 7, 1], Reject(Reason::Authorization)),
            (Write, 550, [5, 7, 1], Reject(Reason::Rejected)),
            (
                Authorize,
                530,
                [5, 7, 0],
                ClientError(Reason::Authentication),
            ),
            (
                Authorize,
                550,
                [5, 7, 8],
                ClientError(Reason::Authentication),
            ),
            (
                Authenticate,
                535,
                [5, 7, 8],
                ClientError(Reason::Authentication),
            ),
            (Authenticate, 454, [4, 7, 0], Retry(Reason::ServerError)),
            (Write, 220, [0, 0, 0], Retry(Reason::Protocol)),
        ] {
            let reply = Reply {
                code,
                esc,
                message: String::new(),
            };
            assert_eq!(outcome(step, &reply), expected, "{step:?} {code} {esc:?}");
        }
    }

    #[test]
    fn a_reply_is_shown_in_one_line() {
        let reply = Reply {
            code: 550,
            esc: [5, 1, 1],
            message: "no such\nmailbox".to_owned(),
        };
        assert_eq!(shown(&reply), "550 5.1.1 no such mailbox");
    }
}
