//! The outermost layer: what every request gets and every answer has.

use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;

use axum::Json;
use axum::extract::{ConnectInfo, MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use domain::trace::{TraceContext, TraceId};
use futures_util::FutureExt as _;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HOST, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderName, HeaderValue, Method, StatusCode};
use operations::Refusal;
use operations::authorization::CALLBACK_PATH;
use operations::view::problem::Problem;

use telemetry::names::REQUEST;
use telemetry::{Kind, Parent, Span};

use crate::answer::Refused;
use crate::state::Api;

const REQUEST_ID: HeaderName = HeaderName::from_static("request-id");
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// What is known of a request before anybody has looked at who sent it.
#[derive(Clone, Debug)]
pub(crate) struct RequestFacts {
    pub(crate) id: String,
    pub(crate) ip: Option<String>,
    pub(crate) base_url: String,
    /// The trace it belongs to, and the sender's span.
    pub(crate) cause: TraceContext,
    pub(crate) line: String,
}

/// Runs a request and finishes its answer.
pub(crate) async fn envelope(State(api): State<Api>, mut request: Request, next: Next) -> Response {
    let facts = facts(&api, &request);
    let method = request.method().clone();
    let (id, line) = (facts.id.clone(), facts.line.clone());
    let mut span = span(&facts, &request);
    request.extensions_mut().insert(facts);
    let response = span.run(AssertUnwindSafe(next.run(request)).catch_unwind()).await;
    let mut response = response.unwrap_or_else(|_| Refused::from(Refusal::internal("the handler panicked")).into_response());
    if let Some(refusal) = response.extensions_mut().remove::<Refusal>() {
        log_refusal(&refusal, &id, &line);
        response = problem(refusal, &id, response);
        if method == Method::HEAD {
            *response.body_mut() = axum::body::Body::empty();
        }
    }
    span.set("http.response.status_code", i64::from(response.status().as_u16()));
    if response.status().is_server_error() {
        span.fails("server_error");
    }
    tracing::info!(request_id = id, request = line, status = response.status().as_u16(), "answered");
    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::from_str(&id) {
        headers.insert(REQUEST_ID, id);
    }
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

/// The request's span. Its route is the pattern and not the path: a path may carry what a person typed.
fn span(facts: &RequestFacts, request: &Request) -> Span {
    let mut span = Span::start(REQUEST, Kind::Server, Parent::Remote(facts.cause));
    span.set_id("http.request.method", request.method());
    if let Some(route) = request.extensions().get::<MatchedPath>() {
        span.set("http.route", route.as_str());
    }
    span.set("waybill.request.id", facts.id.as_str());
    span
}

/// A refusal as RFC 9457 wants it; headers that the answer already has stay.
fn problem(refusal: Refusal, request_id: &str, response: Response) -> Response {
    let (parts, _) = response.into_parts();
    let retry_after = refusal.extra.as_ref().and_then(|extra| extra.retry_after_seconds);
    let status = StatusCode::from_u16(refusal.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut answer = (status, Json(Problem::of(refusal, request_id.to_owned()))).into_response();
    for (name, value) in parts.headers {
        if let Some(name) = name.filter(|name| *name != http::header::CONTENT_LENGTH) {
            answer.headers_mut().insert(name, value);
        }
    }
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    if let Some(seconds) = retry_after {
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    if status == StatusCode::UNAUTHORIZED {
        headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    answer
}

fn log_refusal(refusal: &Refusal, request_id: &str, line: &str) {
    match refusal.chain() {
        Some(chain) => tracing::error!(request_id, request = line, status = refusal.status, error = chain, "failed"),
        None => tracing::debug!(request_id, request = line, status = refusal.status, code = refusal.code, "refused"),
    }
}

fn facts(api: &Api, request: &Request) -> RequestFacts {
    let random = &api.platform().random;
    let id: String = random.bytes::<16>().iter().map(|byte| format!("{byte:02x}")).collect();
    let header = |name: &HeaderName| request.headers().get(name).and_then(|value| value.to_str().ok());
    let w3c = header(&HeaderName::from_static("traceparent")).and_then(TraceContext::from_traceparent);
    let xray = || header(&HeaderName::from_static("x-amzn-trace-id")).and_then(TraceContext::from_xray);
    let new = || TraceContext { trace: TraceId::generate_at(api.platform().clock.now(), random), span: None };
    let path = match request.uri().path() {
        // A code is good for a refresh token: the line goes into the log.
        CALLBACK_PATH => CALLBACK_PATH,
        _ => request.uri().path_and_query().map_or("/", |path| path.as_str()),
    };
    RequestFacts {
        id: format!("req_{id}"),
        ip: ip(request),
        base_url: base_url(api, request),
        cause: w3c.or_else(xray).unwrap_or_else(new),
        line: format!("{} {path}", request.method()),
    }
}

/// The peer's address; behind API Gateway the one that it appended to the header, which is the last.
fn ip(request: &Request) -> Option<String> {
    if let Some(ConnectInfo(peer)) = request.extensions().get::<ConnectInfo<SocketAddr>>() {
        return Some(peer.ip().to_canonical().to_string());
    }
    let forwarded = request.headers().get(&FORWARDED_FOR)?.to_str().ok()?;
    let last = forwarded.rsplit(',').next()?.trim();
    last.parse::<std::net::IpAddr>().ok().map(|ip| ip.to_canonical().to_string())
}

/// Where people reach Waybill: as configured, else as this request did.
fn base_url(api: &Api, request: &Request) -> String {
    if let Some(url) = &api.config().public_url {
        return url.clone();
    }
    let header = |name: &HeaderName| request.headers().get(name).and_then(|value| value.to_str().ok());
    let scheme = header(&FORWARDED_PROTO).filter(|scheme| *scheme == "https").unwrap_or("http");
    let is_host = |host: &&str| !host.is_empty() && host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.:[]".contains(&b));
    let host = header(&HOST).or_else(|| request.uri().authority().map(|authority| authority.as_str())).filter(is_host);
    format!("{scheme}://{}", host.unwrap_or("localhost"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::Router;
    use axum::body::Body;
    use axum::middleware::from_fn_with_state;
    use axum::routing::get;
    use http_body_util::BodyExt as _;
    use tower::ServiceExt as _;

    fn api(public_url: Option<&str>) -> Api {
        let platform = runtime::Platform {
            aws: aws_config::SdkConfig::builder().build(),
            clock: domain::Clock::new(|| domain::Timestamp::from_millis(0)),
            random: domain::Random::new(|buffer| buffer.fill(7)),
            shutdown: tokio_util::sync::CancellationToken::new(),
        };
        let config = crate::Config {
            table_name: String::new(),
            bucket_name: String::new(),
            kms_key_id: String::new(),
            signing_keys_secret_arn: String::new(),
            queue_urls: domain::settings::PerLane::each(|_| String::new()),
            jobs_queue_url: String::new(),
            worker_functions: domain::settings::PerLane::each(|_| String::new()),
            public_url: public_url.map(str::to_owned),
            alert_from: None,
            egress: egress::Policy::public(),
            plain_http: false,
            rate_limits: false,
            function_timeout_seconds: 29,
        };
        Api::new(platform, config)
    }

    async fn crashing() -> Response {
        panic!("the secret is hunter2")
    }

    #[tokio::test]
    async fn a_panic_is_a_500_without_internals() {
        let router = Router::new().route("/", get(crashing)).layer(from_fn_with_state(api(None), envelope));
        let response = router.oneshot(Request::new(Body::empty())).await.unwrap();
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(response.headers()[CONTENT_TYPE], "application/problem+json");
        let body = response.into_body().collect().await.unwrap().to_bytes();
        let text = String::from_utf8_lossy(&body);
        assert!(text.contains("internal_error") && !text.contains("hunter2"), "{text}");
    }

    #[test]
    fn links_begin_where_the_request_came_in_unless_configured() {
        let request = |headers: &[(&str, &str)]| {
            let mut request = Request::builder().uri("/v1/meta");
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            request.body(Body::empty()).unwrap()
        };
        assert_eq!(base_url(&api(None), &request(&[("host", "127.0.0.1:8080")])), "http://127.0.0.1:8080");
        let gateway = request(&[("host", "api.example.com"), ("x-forwarded-proto", "https"), ("x-forwarded-for", "10.0.0.1, 192.0.2.7")]);
        assert_eq!(base_url(&api(None), &gateway), "https://api.example.com");
        assert_eq!(base_url(&api(None), &request(&[("host", "evil\"><script>")])), "http://localhost");
        assert_eq!(base_url(&api(Some("https://waybill.example")), &gateway), "https://waybill.example");
        assert_eq!(ip(&gateway).as_deref(), Some("192.0.2.7"), "what the client wrote itself stands before");
    }
}
