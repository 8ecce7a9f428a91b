//! Maps a receiver's response to the outcome of the attempt. The status line and `Retry-After`
//! decide; the body does only for the services of a preset that report failures there.

use std::time::Duration;

use domain::attempt::bounded;
use domain::settings::webhook::Preset;
use domain::settle::Outcome;
use domain::{Reason, Timestamp};
use http::header::{DATE, RETRY_AFTER};
use http::{HeaderMap, StatusCode};

/// How many bytes of a failure that the body reports are repeated in the attempt's detail.
const REPORTED_MAX_BYTES: usize = 300;

/// Returns the failure that a status means, or `None` if the attempt succeeded.
pub(crate) fn failure(status: StatusCode, retry_after: Option<Duration>) -> Option<Outcome> {
    let outcome = match (status.as_u16(), retry_after) {
        (200..=299, _) => return None,
        (300..=399, _) => Outcome::ClientError(Reason::Rejected),
        (401, _) => Outcome::ClientError(Reason::Authentication),
        (403, _) => Outcome::ClientError(Reason::Authorization),
        (408, _) => Outcome::Retry(Reason::Timeout),
        (410, _) => Outcome::Gone(Reason::Rejected),
        (425, _) => Outcome::Retry(Reason::ServerError),
        (429, after) => Outcome::Throttled(Reason::RateLimited, after.unwrap_or_default()),
        (400..=499, _) => Outcome::ClientError(Reason::Rejected),
        (503, Some(after)) => Outcome::Throttled(Reason::RateLimited, after),
        (500..=599, _) => Outcome::Retry(Reason::ServerError),
        // 1xx is not a final answer, and statuses above 599 are not defined (RFC 9110 §15).
        _ => Outcome::Retry(Reason::Protocol),
    };
    Some(outcome)
}

/// The judgement of an answer: the failure, if there is one, and a sentence for the attempt's
/// detail.
#[derive(Debug)]
pub(crate) struct Verdict {
    pub(crate) failure: Option<Outcome>,
    pub(crate) detail: String,
}

/// Judges an answer by its status, its headers and, with a preset, the beginning of its body.
pub(crate) fn classify(
    preset: Option<Preset>,
    status: StatusCode,
    headers: &HeaderMap,
    body: &str,
    now: Timestamp,
) -> Verdict {
    let after = retry_after(headers, now);
    if let Some(outcome) = failure(status, after) {
        return Verdict {
            detail: describe(status, &outcome),
            failure: Some(outcome),
        };
    }
    match preset.and_then(|preset| crate::preset::failure(preset, body, after)) {
        None => Verdict {
            failure: None,
            detail: format!("the receiver answered {status}"),
        },
        Some(outcome) => {
            let reported = bounded(body.trim(), REPORTED_MAX_BYTES);
            let detail = format!(
                "the receiver answered {status} and reported a failure in the body: {reported}"
            );
            Verdict {
                failure: Some(outcome),
                detail,
            }
        }
    }
}

/// Returns the wait that an answer asks for, at most 12 h, or `None` if it asks for none or cannot
/// be parsed.
pub(crate) fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    domain::retry::retry_after(text(RETRY_AFTER)?, text(DATE), now)
}

/// Describes an answer in one sentence.
fn describe(status: StatusCode, outcome: &Outcome) -> String {
    let answered = format!("the receiver answered {status}");
    match outcome {
        Outcome::Throttled(_, after) if !after.is_zero() => {
            format!("{answered} and asked for {} s of rest", after.as_secs())
        }
        Outcome::ClientError(Reason::Rejected) if status.is_redirection() => {
            format!("{answered}; redirects are not followed")
        }
        _ => answered,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Outcome::{ClientError, Gone, Retry, Throttled};
    use Reason::{Authentication, Authorization, Protocol, RateLimited, Rejected, ServerError};

    #[test]
    fn the_status_line_decides() {
        let table: &[(&[u16], Option<Outcome>)] = &[
            (&[200, 201, 202, 204, 299], None),
            (
                &[300, 301, 302, 303, 304, 307, 308, 399],
                Some(ClientError(Rejected)),
            ),
            (&[401], Some(ClientError(Authentication))),
            (&[403], Some(ClientError(Authorization))),
            (
                &[400, 402, 404, 405, 407, 409, 411, 413, 415, 422, 451, 499],
                Some(ClientError(Rejected)),
            ),
            (&[408], Some(Retry(Reason::Timeout))),
            (&[410], Some(Gone(Rejected))),
            (
                &[425, 500, 501, 502, 503, 504, 599],
                Some(Retry(ServerError)),
            ),
            (&[429], Some(Throttled(RateLimited, Duration::ZERO))),
            (&[101, 600, 999], Some(Retry(Protocol))),
        ];
        for (statuses, expected) in table {
            for status in *statuses {
                assert_eq!(
                    failure(StatusCode::from_u16(*status).unwrap(), None),
                    *expected,
                    "{status}"
                );
            }
        }
    }

    #[test]
    fn retry_after_counts_for_429_and_503_alone() {
        let after = Duration::from_secs(30);
        for status in [200, 301, 400, 408, 410, 500, 502] {
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(
                failure(status, Some(after)),
                failure(status, None),
                "{status}"
            );
        }
        for status in [429, 503] {
            assert_eq!(
                failure(StatusCode::from_u16(status).unwrap(), Some(after)),
                Some(Throttled(RateLimited, after)),
                "{status}"
            );
        }
    }

    #[test]
    fn a_body_is_read_for_a_preset_alone_and_never_overrules_a_refusal() {
        let now = Timestamp::from_millis(0);
        let body = "Microsoft Teams endpoint returned HTTP error 429 with ContextId 1";
        let verdict_of = |preset, status| classify(preset, status, &HeaderMap::new(), body, now);
        assert_eq!(verdict_of(None, StatusCode::OK).failure, None);
        assert_eq!(
            verdict_of(Some(Preset::Slack), StatusCode::FORBIDDEN).failure,
            Some(ClientError(Authorization))
        );
        let failed = verdict_of(Some(Preset::Teams), StatusCode::OK);
        assert_eq!(failed.failure, Some(Throttled(RateLimited, Duration::ZERO)));
        assert!(
            failed.detail.contains("200 OK") && failed.detail.contains("HTTP error 429"),
            "{}",
            failed.detail
        );
    }
}
