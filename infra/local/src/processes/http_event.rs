//! Translates HTTP requests to the events that API Gateway sends to a function, in payload format
//! 2.0 (API Gateway, Working with AWS Lambda proxy integrations for HTTP APIs).

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request};
use axum::response::{IntoResponse as _, Response};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::header::{COOKIE, HOST, SET_COOKIE};
use http::{HeaderName, HeaderValue, StatusCode};
use http_body_util::BodyExt as _;
use lambda_runtime::Context;
use serde::Deserialize;
use serde_json::{Value, json};

use super::pool::{Invocation, Pool};

/// The largest request body that API Gateway accepts.
const BODY_MAX_BYTES: usize = 10 * 1024 * 1024;

/// Creates a router that passes every request to a process.
pub(super) fn router(pool: Arc<Pool>) -> Router {
    Router::new().fallback(move |request: Request| {
        let pool = pool.clone();
        async move {
            answer(&pool, request)
                .await
                .unwrap_or_else(|error| broken(&*error))
        }
    })
}

fn broken(error: &dyn std::error::Error) -> Response {
    tracing::error!(
        error = error.to_string(),
        "a function failed to answer a request"
    );
    (
        StatusCode::INTERNAL_SERVER_ERROR,
        axum::Json(json!({"message": "Internal Server Error"})),
    )
        .into_response()
}

async fn answer(
    pool: &Pool,
    request: Request,
) -> Result<Response, Box<dyn std::error::Error + Send + Sync>> {
    let context = request
        .extensions()
        .get::<Context>()
        .cloned()
        .unwrap_or_default();
    let (parts, body) = request.into_parts();
    let body = http_body_util::Limited::new(body, BODY_MAX_BYTES)
        .collect()
        .await;
    let Ok(body) = body.map(http_body_util::Collected::to_bytes) else {
        return Ok((
            StatusCode::PAYLOAD_TOO_LARGE,
            axum::Json(json!({"message": "Request Too Long"})),
        )
            .into_response());
    };
    let payload = event(&parts, &body, &context.request_id).to_string().into();
    let Context {
        request_id: id,
        deadline: deadline_ms,
        invoked_function_arn: arn,
        ..
    } = context;
    let answered = pool
        .invoke(Invocation {
            id,
            deadline_ms,
            arn,
            payload,
        })
        .await?;
    response(serde_json::from_slice(&answered)?)
}

fn event(parts: &http::request::Parts, body: &Bytes, request_id: &str) -> Value {
    let path = parts.uri.path();
    let peer = parts
        .extensions
        .get::<ConnectInfo<SocketAddr>>()
        .map(|ConnectInfo(peer)| peer.ip().to_canonical().to_string());
    let peer = peer.unwrap_or_else(|| "127.0.0.1".to_owned());
    let mut headers: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in parts.headers.iter().filter(|(name, _)| **name != COOKIE) {
        // Repeated headers are joined, as the format requires.
        let text = String::from_utf8_lossy(value.as_bytes()).into_owned();
        headers
            .entry(name.as_str().to_owned())
            .and_modify(|own| *own = format!("{own},{text}"))
            .or_insert(text);
    }
    // The client's own claim comes first; API Gateway appends the address that it sees.
    let forwarded = headers
        .remove("x-forwarded-for")
        .map_or_else(|| peer.clone(), |claimed| format!("{claimed}, {peer}"));
    headers.insert("x-forwarded-for".to_owned(), forwarded);
    headers.insert("x-forwarded-proto".to_owned(), "http".to_owned());
    let cookies: Vec<String> = parts
        .headers
        .get_all(COOKIE)
        .iter()
        .flat_map(|value| {
            value
                .to_str()
                .unwrap_or_default()
                .split("; ")
                .map(str::to_owned)
        })
        .collect();
    let host = parts
        .headers
        .get(HOST)
        .and_then(|host| host.to_str().ok())
        .unwrap_or("localhost");
    let text = std::str::from_utf8(body).ok();
    json!({
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": parts.uri.query().unwrap_or_default(),
        "cookies": cookies,
        "headers": headers,
        "requestContext": {
            "accountId": crate::template::ACCOUNT,
            "apiId": "local",
            "domainName": host,
            "domainPrefix": "local",
            "http": {"method": parts.method.as_str(), "path": path, "protocol": "HTTP/1.1",
                "sourceIp": peer, "userAgent": headers.get("user-agent")},
            "requestId": request_id,
            "routeKey": "$default",
            "stage": "$default",
            "time": "01/Jan/2026:00:00:00 +0000",
            "timeEpoch": 0,
        },
        "body": text.map_or_else(|| STANDARD.encode(body), str::to_owned),
        "isBase64Encoded": text.is_none(),
    })
}

/// The response of a function.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answered {
    status_code: u16,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(default)]
    multi_value_headers: BTreeMap<String, Vec<String>>,
    #[serde(default)]
    cookies: Vec<String>,
    body: Option<String>,
    #[serde(default)]
    is_base64_encoded: bool,
}

fn response(answered: Answered) -> Result<Response, Box<dyn std::error::Error + Send + Sync>> {
    let body = answered.body.unwrap_or_default();
    let body = if answered.is_base64_encoded {
        STANDARD.decode(body)?
    } else {
        body.into_bytes()
    };
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = StatusCode::from_u16(answered.status_code)?;
    let headers = response.headers_mut();
    for (name, value) in answered.headers {
        headers.insert(
            HeaderName::from_bytes(name.as_bytes())?,
            HeaderValue::from_str(&value)?,
        );
    }
    for (name, values) in answered.multi_value_headers {
        let name = HeaderName::from_bytes(name.as_bytes())?;
        headers.remove(&name);
        for value in values {
            headers.append(name.clone(), HeaderValue::from_str(&value)?);
        }
    }
    for cookie in answered.cookies {
        headers.append(SET_COOKIE, HeaderValue::from_str(&cookie)?);
    }
    Ok(response)
}
