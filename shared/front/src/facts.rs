//! What is known about a request before it is authenticated.

use std::net::SocketAddr;

use access::Caller;
use axum::extract::{ConnectInfo, Request};
use http::HeaderName;
use http::header::HOST;
use operations::authorization::CALLBACK_PATH;
use operations::{CONFIRM_PATH, Context};
use telemetry::{TraceContext, propagation, trace_of, without_span};

use crate::Front;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// What is known about a request before it is authenticated.
#[derive(Clone, Debug)]
pub struct RequestFacts {
    /// The id of the request, in responses, logs and audit events.
    pub id: String,
    /// The address that the request came from.
    pub ip: Option<String>,
    /// The address of this Waybill for people, without a slash at the end.
    pub base_url: String,
    /// The trace that the request belongs to, and the sender's span.
    pub cause: TraceContext,
    /// Method, path and query as they were sent, which distinguish requests. Not for logs.
    pub line: String,
}

impl RequestFacts {
    /// Makes the context of a request by this caller.
    #[must_use]
    pub fn of(self, caller: Caller) -> Context {
        Context {
            caller,
            request_id: self.id,
            ip: self.ip,
            base_url: self.base_url,
            trace: trace_of(&self.cause),
            request_line: self.line,
            idempotency_key: None,
            routes: None,
            reserved: None,
        }
    }
}

/// The prefix of portal links' paths; the rest is the secret.
pub const PORTAL_PATH: &str = "/portal/";

pub(crate) fn facts(front: &Front, request: &Request) -> RequestFacts {
    let random = &front.platform().random;
    let id: String = hex::encode(random.bytes::<16>());
    let header = |name: &str| Some(request.headers().get(name)?.to_str().ok()?.to_owned());
    let path = match request.uri().path() {
        // The query contains a code that can be exchanged for a refresh token.
        CALLBACK_PATH => CALLBACK_PATH,
        // The rest of the path can be exchanged for a session.
        path if path.starts_with(PORTAL_PATH) => PORTAL_PATH,
        // The rest of the path confirms an address.
        path if path.starts_with(CONFIRM_PATH) => CONFIRM_PATH,
        _ => request
            .uri()
            .path_and_query()
            .map_or("/", |path| path.as_str()),
    };
    RequestFacts {
        id: format!("req_{id}"),
        ip: ip(request),
        base_url: base_url(front, request),
        cause: propagation::extract(header)
            .unwrap_or_else(|| without_span(propagation::new_trace())),
        line: format!("{} {path}", request.method()),
    }
}

/// Returns the address of the peer. Behind API Gateway it is the last one in the header, which the
/// gateway appended.
fn ip(request: &Request) -> Option<String> {
    if let Some(ConnectInfo(peer)) = request.extensions().get::<ConnectInfo<SocketAddr>>() {
        return Some(peer.ip().to_canonical().to_string());
    }
    let forwarded = request.headers().get(&FORWARDED_FOR)?.to_str().ok()?;
    let last = forwarded.rsplit(',').next()?.trim();
    last.parse::<std::net::IpAddr>()
        .ok()
        .map(|ip| ip.to_canonical().to_string())
}

/// Returns the address of Waybill for people: the configured one, or else that of this request.
fn base_url(front: &Front, request: &Request) -> String {
    if let Some(url) = &front.config().public_url {
        return url.clone();
    }
    let header = |name: &HeaderName| {
        request
            .headers()
            .get(name)
            .and_then(|value| value.to_str().ok())
    };
    let scheme = header(&FORWARDED_PROTO)
        .filter(|scheme| *scheme == "https")
        .unwrap_or("http");
    let is_host = |host: &&str| {
        !host.is_empty()
            && host
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"-.:[]".contains(&b))
    };
    let host = header(&HOST)
        .or_else(|| {
            request
                .uri()
                .authority()
                .map(|authority| authority.as_str())
        })
        .filter(is_host);
    format!("{scheme}://{}", host.unwrap_or("localhost"))
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;
    use crate::state::tests::front;

    #[test]
    fn links_begin_where_the_request_came_in_unless_configured() {
        let request = |headers: &[(&str, &str)]| {
            let mut request = Request::builder().uri("/v1/meta");
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            request.body(Body::empty()).unwrap()
        };
        assert_eq!(
            base_url(&front(None), &request(&[("host", "127.0.0.1:8080")])),
            "http://127.0.0.1:8080"
        );
        let gateway = request(&[
            ("host", "api.example.com"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-for", "10.0.0.1, 192.0.2.7"),
        ]);
        assert_eq!(base_url(&front(None), &gateway), "https://api.example.com");
        assert_eq!(
            base_url(&front(None), &request(&[("host", "evil\"><script>")])),
            "http://localhost"
        );
        assert_eq!(
            base_url(&front(Some("https://waybill.example")), &gateway),
            "https://waybill.example"
        );
        assert_eq!(
            ip(&gateway).as_deref(),
            Some("192.0.2.7"),
            "what the client wrote itself stands before"
        );
    }
}
