//! The outermost layer of a front, which every request and response passes.

use std::panic::AssertUnwindSafe;

use axum::extract::{MatchedPath, Request};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt as _;
use http::header::CACHE_CONTROL;
use http::{HeaderName, HeaderValue, Method, StatusCode};
use operations::Refusal;
use telemetry::Span;
use telemetry::names::REQUEST;

use crate::facts::facts;
use crate::{Front, RequestFacts};

const REQUEST_ID: HeaderName = HeaderName::from_static("request-id");

/// A refusal on its way to the [`envelope`], which renders it.
#[derive(Debug)]
pub struct Refused(Refusal);

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        Self(refusal)
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let status =
            StatusCode::from_u16(self.0.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = status.into_response();
        response.extensions_mut().insert(self.0);
        response
    }
}

/// Runs a request and completes its response. `render_refusal` renders a refusal in the front's
/// format.
pub async fn envelope(
    front: &Front,
    mut request: Request,
    next: Next,
    render_refusal: impl FnOnce(Refusal, &RequestFacts, Response) -> Response,
) -> Response {
    let facts = facts(front, &request);
    let route = route(&request);
    let method = request.method().clone();
    let mut span = span(&facts, &request);
    request.extensions_mut().insert(facts.clone());
    let response = span
        .run(AssertUnwindSafe(next.run(request)).catch_unwind())
        .await;
    let mut response = response.unwrap_or_else(|_| {
        Refused::from(Refusal::internal("the handler panicked")).into_response()
    });
    if let Some(refusal) = response.extensions_mut().remove::<Refusal>() {
        log_refusal(&refusal, &facts, &route);
        response = render_refusal(refusal, &facts, response);
        if method == Method::HEAD {
            *response.body_mut() = axum::body::Body::empty();
        }
    }
    span.set(
        "http.response.status_code",
        i64::from(response.status().as_u16()),
    );
    if response.status().is_server_error() {
        span.fails("server_error");
    }
    tracing::info!(
        request_id = facts.id,
        route,
        status = response.status().as_u16(),
        "answered"
    );
    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::from_str(&facts.id) {
        headers.insert(REQUEST_ID, id);
    }
    headers
        .entry(CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    response
}

/// Starts the request's span. It has the route's pattern and not the path, which may contain what a
/// person typed.
fn span(facts: &RequestFacts, request: &Request) -> Span {
    let mut span = Span::start(REQUEST, &facts.cause);
    span.set("http.request.method", request.method().to_string());
    if let Some(route) = request.extensions().get::<MatchedPath>() {
        span.set("http.route", route.as_str().to_string());
    }
    span.set("waybill.request.id", facts.id.to_string());
    span
}

/// Returns the method and the route for the log. It never returns the path or the query: the path
/// of a link contains its secret, and the query of a sign-in contains the provider's code.
fn route(request: &Request) -> String {
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or("(no route)", MatchedPath::as_str);
    format!("{} {route}", request.method())
}

fn log_refusal(refusal: &Refusal, facts: &RequestFacts, route: &str) {
    let request_id = &*facts.id;
    match refusal.chain() {
        Some(chain) => tracing::error!(
            request_id,
            route,
            status = refusal.status(),
            error = chain,
            "failed"
        ),
        None => tracing::debug!(
            request_id,
            route,
            status = refusal.status(),
            code = refusal.code.as_str(),
            "refused"
        ),
    }
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::body::Body;
    use axum::extract::State;
    use axum::middleware::from_fn_with_state;
    use axum::routing::get;
    use http_body_util::BodyExt as _;
    use tower::ServiceExt as _;

    use super::*;
    use crate::state::tests::front;

    async fn crashing() -> Response {
        panic!("the secret is hunter2")
    }

    async fn handle(State(front): State<Front>, request: Request, next: Next) -> Response {
        envelope(&front, request, next, |refusal, _, _| {
            (StatusCode::INTERNAL_SERVER_ERROR, refusal.detail).into_response()
        })
        .await
    }

    #[tokio::test]
    async fn a_panic_is_a_500_without_internals() {
        let router = Router::new()
            .route("/", get(crashing))
            .layer(from_fn_with_state(front(None), handle));
        let response = router.oneshot(Request::new(Body::empty())).await.unwrap();
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert!(response.headers().contains_key(REQUEST_ID));
        let body = response.into_body().collect().await.unwrap().to_bytes();
        let text = String::from_utf8_lossy(&body);
        assert!(
            text.contains("request id") && !text.contains("hunter2"),
            "{text}"
        );
    }
}
