//! The outermost layer, which renders refusals as RFC 9457 problems.

use axum::Json;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use front::RequestFacts;
use http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};
use operations::Refusal;
use operations::view::problem::Problem;

use crate::Api;

/// Runs a request and completes its response.
pub(crate) async fn envelope(State(api): State<Api>, request: Request, next: Next) -> Response {
    front::envelope(&api, request, next, problem).await
}

/// Renders a refusal as a problem. Headers that the response already has are kept.
fn problem(refusal: Refusal, facts: &RequestFacts, response: Response) -> Response {
    let (parts, _) = response.into_parts();
    let retry_after = refusal
        .extra
        .as_ref()
        .and_then(|extra| extra.retry_after_seconds);
    let status =
        StatusCode::from_u16(refusal.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut answer = (status, Json(Problem::of(refusal, facts.id.clone()))).into_response();
    for (name, value) in parts.headers {
        if let Some(name) = name.filter(|name| *name != http::header::CONTENT_LENGTH) {
            answer.headers_mut().insert(name, value);
        }
    }
    let headers = answer.headers_mut();
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("application/problem+json"),
    );
    if let Some(seconds) = retry_after {
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    if status == StatusCode::UNAUTHORIZED {
        headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    answer
}
