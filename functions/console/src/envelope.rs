//! The outermost layer: adds the security headers to every response and renders refusals.

use askama::Template;
use axum::Json;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{Html, IntoResponse as _, Response};
use front::{Front, RequestFacts};
use http::header::{
    ACCEPT, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, RETRY_AFTER,
    STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderName, HeaderValue, StatusCode};
use operations::view::problem::Problem;
use operations::{Refusal, RefusalCode};

use crate::answer::{HX_REQUEST, see_other};
use crate::show::{self, Page};
use crate::visitor::Visitor;

/// The content security policy. It allows only the console's own files and no inline script, so
/// that foreign content could not run even if it were not escaped.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; \
                      base-uri 'none'; frame-ancestors 'none'";

#[derive(Template)]
#[template(path = "refused.html")]
struct RefusedPage<'a> {
    page: Page<'a>,
    title: &'static str,
    refusal: &'a Refusal,
    request_id: &'a str,
}

/// Runs a request and completes its response.
pub(crate) async fn envelope(State(front): State<Front>, request: Request, next: Next) -> Response {
    let html = wants_html(&request);
    let secure = front
        .config()
        .public_url
        .as_deref()
        .is_some_and(|url| url.starts_with("https:"));
    let mut response = front::envelope(&front, request, next, |refusal, facts, response| {
        render_refusal(&refusal, facts, response, html)
    })
    .await;
    let headers = response.headers_mut();
    headers
        .entry(CONTENT_SECURITY_POLICY)
        .or_insert(HeaderValue::from_static(POLICY));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    headers.insert(
        HeaderName::from_static("cross-origin-opener-policy"),
        HeaderValue::from_static("same-origin"),
    );
    headers.insert(
        HeaderName::from_static("permissions-policy"),
        HeaderValue::from_static("camera=(), geolocation=(), microphone=()"),
    );
    if secure {
        headers.insert(
            STRICT_TRANSPORT_SECURITY,
            HeaderValue::from_static("max-age=31536000"),
        );
    }
    response
}

/// Whether the request comes from a browser or from htmx.
fn wants_html(request: &Request) -> bool {
    let accept = request
        .headers()
        .get(ACCEPT)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    accept.contains("text/html") || request.headers().contains_key(HX_REQUEST)
}

/// Renders a refusal: as a page for browsers, and as a problem (RFC 9457) for programs, whose
/// requests arrive here if their path is not one of the API.
fn render_refusal(
    refusal: &Refusal,
    facts: &RequestFacts,
    mut response: Response,
    html: bool,
) -> Response {
    let visitor = response.extensions_mut().remove::<Visitor>();
    if let (Some(visitor), RefusalCode::OrganizationRequired) = (&visitor, refusal.code) {
        return see_other(&visitor.choose_organization());
    }
    let status =
        StatusCode::from_u16(refusal.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let retry_after = refusal
        .extra
        .as_ref()
        .and_then(|extra| extra.retry_after_seconds);
    let mut answer = if html {
        let page = Page::of(visitor.as_ref(), "");
        let body = RefusedPage {
            page,
            title: title(refusal.status()),
            refusal,
            request_id: &facts.id,
        }
        .render();
        (
            status,
            Html(body.unwrap_or_else(|_| refusal.detail.clone())),
        )
            .into_response()
    } else {
        let problem = Json(Problem::of(refusal.clone(), facts.id.clone()));
        (
            status,
            [(CONTENT_TYPE, "application/problem+json")],
            problem,
        )
            .into_response()
    };
    if let Some(seconds) = retry_after {
        answer
            .headers_mut()
            .insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    answer
}

fn title(status: u16) -> &'static str {
    match status {
        403 => "You do not have permission",
        404 => "Not found",
        409 | 412 => "This cannot be done now",
        410 => "No longer kept",
        400 | 422 => "The request cannot be processed",
        429 => "Too many requests",
        _ => "Something went wrong",
    }
}
