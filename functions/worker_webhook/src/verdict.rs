//! What an answer means: the table of api.md (Deliveries). Decided by the status line and `Retry-After`, never by the body.

use std::time::{Duration, UNIX_EPOCH};

use domain::retry::LONGEST_WAIT;
use domain::settle::Outcome;
use domain::{Reason, Timestamp};
use http::header::RETRY_AFTER;
use http::{HeaderMap, StatusCode};

/// How an attempt failed whose answer has this status; `None` is success.
pub(crate) fn failure(status: StatusCode, retry_after: Option<Duration>) -> Option<Outcome> {
    let outcome = match (status.as_u16(), retry_after) {
        (200..=299, _) => return None,
        (300..=399, _) => Outcome::ClientError(Reason::Rejected),
        (401, _) => Outcome::ClientError(Reason::Authentication),
        (403, _) => Outcome::ClientError(Reason::Authorization),
        (408, _) => Outcome::Retry(Reason::Timeout),
        (410, _) => Outcome::Reject(Reason::Rejected),
        (425, _) => Outcome::Retry(Reason::ServerError),
        (429, after) => Outcome::Throttled(Reason::RateLimited, after.unwrap_or_default()),
        (400..=499, _) => Outcome::ClientError(Reason::Rejected),
        (503, Some(after)) => Outcome::Throttled(Reason::RateLimited, after),
        (500..=599, _) => Outcome::Retry(Reason::ServerError),
        // 1xx is no final answer, and nothing is above 599 (RFC 9110 §15).
        _ => Outcome::Retry(Reason::Protocol),
    };
    Some(outcome)
}

/// The wait that an answer asks for, in seconds or as a date (RFC 9110 §10.2.3); at most 12 h. `None` when it asks for none that we understand.
pub(crate) fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than fit are a very long wait.
        return Some(text.parse().map_or(LONGEST_WAIT, Duration::from_secs).min(LONGEST_WAIT));
    }
    let date = httpdate::parse_http_date(text).ok()?.duration_since(UNIX_EPOCH).ok()?;
    let date = Timestamp::from_millis(i64::try_from(date.as_millis()).unwrap_or(i64::MAX));
    Some(date.since(now).min(LONGEST_WAIT))
}

/// An answer in words.
pub(crate) fn told(status: StatusCode, outcome: &Outcome) -> String {
    let answered = format!("the receiver answered {status}");
    match outcome {
        Outcome::Throttled(_, after) if !after.is_zero() => format!("{answered} and asked for {} s of rest", after.as_secs()),
        Outcome::ClientError(Reason::Rejected) if status.is_redirection() => format!("{answered}; redirects are not followed"),
        _ => answered,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Outcome::{ClientError, Reject, Retry, Throttled};
    use Reason::{Authentication, Authorization, Protocol, RateLimited, Rejected, ServerError};

    const NOW: i64 = 784_111_777_000; // Sun, 06 Nov 1994 08:49:37 GMT

    fn asked(text: &str) -> Option<Duration> {
        let headers = [(RETRY_AFTER, text.parse().unwrap())].into_iter().collect();
        retry_after(&headers, Timestamp::from_millis(NOW))
    }

    #[test]
    fn the_status_line_decides() {
        let table: &[(&[u16], Option<Outcome>)] = &[
            (&[200, 201, 202, 204, 299], None),
            (&[300, 301, 302, 303, 304, 307, 308, 399], Some(ClientError(Rejected))),
            (&[401], Some(ClientError(Authentication))),
            (&[403], Some(ClientError(Authorization))),
            (&[400, 402, 404, 405, 407, 409, 411, 413, 415, 422, 451, 499], Some(ClientError(Rejected))),
            (&[408], Some(Retry(Reason::Timeout))),
            (&[410], Some(Reject(Rejected))),
            (&[425, 500, 501, 502, 503, 504, 599], Some(Retry(ServerError))),
            (&[429], Some(Throttled(RateLimited, Duration::ZERO))),
            (&[101, 600, 999], Some(Retry(Protocol))),
        ];
        for (statuses, expected) in table {
            for status in *statuses {
                assert_eq!(failure(StatusCode::from_u16(*status).unwrap(), None), *expected, "{status}");
            }
        }
    }

    #[test]
    fn retry_after_counts_for_429_and_503_alone() {
        let after = Duration::from_secs(30);
        for status in [200, 301, 400, 408, 410, 500, 502] {
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(failure(status, Some(after)), failure(status, None), "{status}");
        }
        for status in [429, 503] {
            assert_eq!(failure(StatusCode::from_u16(status).unwrap(), Some(after)), Some(Throttled(RateLimited, after)), "{status}");
        }
    }

    #[test]
    fn retry_after_is_honoured_in_seconds_and_as_a_date_to_12_hours() {
        assert_eq!(asked("0"), Some(Duration::ZERO));
        assert_eq!(asked(" 120 "), Some(Duration::from_secs(120)));
        for late in ["43201", "99999999999999999999999", "Mon, 07 Nov 1994 08:49:37 GMT"] {
            assert_eq!(asked(late), Some(LONGEST_WAIT), "{late}");
        }
        for soon in ["Sun, 06 Nov 1994 08:50:37 GMT", "Sunday, 06-Nov-94 08:50:37 GMT", "Sun Nov  6 08:50:37 1994"] {
            assert_eq!(asked(soon), Some(Duration::from_secs(60)), "{soon}");
        }
        assert_eq!(asked("Sun, 06 Nov 1994 08:00:00 GMT"), Some(Duration::ZERO));
        for nonsense in ["", "soon", "-1", "1.5", "1e3", "Sun, 06 Nov 1994"] {
            assert_eq!(asked(nonsense), None, "{nonsense}");
        }
        assert_eq!(retry_after(&HeaderMap::new(), Timestamp::from_millis(NOW)), None);
    }
}
