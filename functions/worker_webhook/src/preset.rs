//! Judges answers of services that answer 200 and report the failure in the body.

use std::time::Duration;

use domain::Reason;
use domain::settings::webhook::Preset;
use domain::settle::Outcome;
use http::StatusCode;
use serde_json::Value;

use crate::verdict;

/// Returns the failure that an answer with a 2xx status reports, or `None` if the attempt
/// succeeded. `body` is the beginning of the answer's body.
pub(crate) fn failure(
    preset: Preset,
    body: &str,
    retry_after: Option<Duration>,
) -> Option<Outcome> {
    let body = body.trim();
    match preset {
        Preset::Slack => slack(body, retry_after),
        Preset::Teams => teams(body, retry_after),
        // Discord answers 204, or 200 with the message.
        Preset::Discord => None,
        Preset::Pagerduty => pagerduty(body),
    }
}

/// Slack answers `ok` to incoming webhooks and `{"ok": true}` elsewhere; on failure, an error code
/// takes its place. Compatible services answer with an empty body or `{"success": true}`.
fn slack(body: &str, retry_after: Option<Duration>) -> Option<Outcome> {
    if body.is_empty() || body.eq_ignore_ascii_case("ok") {
        return None;
    }
    let answer: Value = serde_json::from_str(body).unwrap_or_default();
    if answer["ok"] == true || answer["success"] == true {
        return None;
    }
    let error = answer["error"].as_str().unwrap_or(body);
    let is_code = error.len() <= 64
        && error
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    Some(match error {
        "rate_limited" | "ratelimited" => {
            Outcome::Throttled(Reason::RateLimited, retry_after.unwrap_or_default())
        }
        "invalid_token" | "invalid_auth" | "not_authed" | "token_revoked" | "token_expired"
        | "account_inactive" | "no_service" => Outcome::ClientError(Reason::Authentication),
        "action_prohibited"
        | "no_permission"
        | "access_denied"
        | "posting_to_general_channel_denied" => Outcome::ClientError(Reason::Authorization),
        "internal_error"
        | "fatal_error"
        | "server_error"
        | "service_unavailable"
        | "request_timeout"
        | "rollup_error" => Outcome::Retry(Reason::ServerError),
        _ if is_code => Outcome::ClientError(Reason::Rejected),
        _ => Outcome::Retry(Reason::Protocol),
    })
}

/// A Teams connector answers 200 with `1`, a workflow 202 without a body. A connector that could
/// not post answers 200 with a sentence that ends in `…returned HTTP error 429 with ContextId …`.
fn teams(body: &str, retry_after: Option<Duration>) -> Option<Outcome> {
    let lower = body.to_ascii_lowercase();
    let code = lower
        .split("http error ")
        .nth(1)
        .and_then(|rest| rest.get(..3))
        .and_then(|digits| digits.parse().ok());
    match code.and_then(|code: u16| StatusCode::from_u16(code).ok()) {
        Some(status) => {
            Some(verdict::failure(status, retry_after).unwrap_or(Outcome::Retry(Reason::Protocol)))
        }
        None if lower.contains("delivery failed") || lower.contains("http error") => {
            Some(Outcome::Retry(Reason::ServerError))
        }
        None => None,
    }
}

/// PagerDuty answers 202 with `{"status": "success"}`.
fn pagerduty(body: &str) -> Option<Outcome> {
    let answer: Value = serde_json::from_str(body).unwrap_or_default();
    let status = answer["status"].as_str()?;
    (status != "success").then_some(Outcome::ClientError(Reason::Rejected))
}

#[cfg(test)]
mod tests {
    use Outcome::{ClientError, Retry, Throttled};
    use Reason::{Authentication, Authorization, Protocol, RateLimited, Rejected, ServerError};

    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn slack_reports_failures_in_the_body() {
        let table = [
            ("ok", None),
            ("", None),
            (r#"{"ok": true}"#, None),
            (r#"{"success":true}"#, None),
            ("invalid_payload", Some(ClientError(Rejected))),
            ("channel_is_archived", Some(ClientError(Rejected))),
            ("no_service", Some(ClientError(Authentication))),
            ("action_prohibited", Some(ClientError(Authorization))),
            ("rollup_error", Some(Retry(ServerError))),
            (
                r#"{"ok":false,"error":"invalid_auth"}"#,
                Some(ClientError(Authentication)),
            ),
            (
                r#"{"ok":false,"error":"ratelimited"}"#,
                Some(Throttled(RateLimited, MINUTE)),
            ),
            (r#"{"ok":false}"#, Some(Retry(Protocol))),
            ("<html>Sign in</html>", Some(Retry(Protocol))),
        ];
        for (body, expected) in table {
            assert_eq!(
                failure(Preset::Slack, body, Some(MINUTE)),
                expected,
                "{body}"
            );
        }
    }

    #[test]
    fn teams_reports_the_status_it_got_in_the_body() {
        let sentence = |code: &str| {
            format!(
                "Webhook message delivery failed with error: Microsoft Teams endpoint returned HTTP error {code} with ContextId \
                 tcid=0,server=DB3PEPF00000012,cv=1."
            )
        };
        assert_eq!(
            failure(Preset::Teams, &sentence("429"), Some(MINUTE)),
            Some(Throttled(RateLimited, MINUTE))
        );
        assert_eq!(
            failure(Preset::Teams, &sentence("429"), None),
            Some(Throttled(RateLimited, Duration::ZERO))
        );
        assert_eq!(
            failure(Preset::Teams, &sentence("502"), None),
            Some(Retry(ServerError))
        );
        assert_eq!(
            failure(Preset::Teams, &sentence("403"), None),
            Some(ClientError(Authorization))
        );
        assert_eq!(
            failure(Preset::Teams, &sentence("413"), None),
            Some(ClientError(Rejected))
        );
        assert_eq!(
            failure(Preset::Teams, &sentence("200"), None),
            Some(Retry(Protocol))
        );
        assert_eq!(
            failure(Preset::Teams, "Webhook message delivery failed", None),
            Some(Retry(ServerError))
        );
        for body in ["1", "", "{}", " 1\n"] {
            assert_eq!(failure(Preset::Teams, body, None), None, "{body}");
        }
    }

    #[test]
    fn pagerduty_says_success_and_discord_says_nothing() {
        assert_eq!(
            failure(
                Preset::Pagerduty,
                r#"{"status":"success","message":"Event processed","dedup_key":"k"}"#,
                None
            ),
            None
        );
        assert_eq!(
            failure(Preset::Pagerduty, r#"{"status":"invalid event"}"#, None),
            Some(ClientError(Rejected))
        );
        assert_eq!(failure(Preset::Pagerduty, "", None), None);
        assert_eq!(failure(Preset::Discord, r#"{"id":"1"}"#, None), None);
    }
}
