//! Builds the request of one attempt: its headers, in their order, and its signature.

use domain::Timestamp;
use domain::attempt::{HEADER_KEPT_MAX_BYTES, RequestRecord, bounded};
use domain::delivery::FallbackOf;
use domain::settings::webhook::WebhookSettings;
use egress::{Request, Target};
use http::header::{CONTENT_TYPE, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use render::webhook::WebhookBody;
use sha2::{Digest as _, Sha256};
use store::SentBody;
use tokio::time::Instant;

use crate::secrets::Secrets;
use worker::ConnectorError;

const OWN_USER_AGENT: &str = concat!("Waybill/", env!("CARGO_PKG_VERSION"));

/// The data about a delivery that goes into the headers of its request.
#[derive(Debug)]
pub(crate) struct Envelope<'e> {
    /// The delivery's id, which is the same on every attempt.
    pub(crate) id: &'e str,
    /// The id of the delivery's message.
    pub(crate) message_id: &'e str,
    /// The event type of the message.
    pub(crate) event_type: &'e str,
    /// The number of the attempt, from 1.
    pub(crate) attempt: u32,
    /// The `traceparent` header (W3C Trace Context).
    pub(crate) traceparent: &'e str,
    /// The time of the attempt, which is part of the signed content.
    pub(crate) at: Timestamp,
    /// The failed delivery that this one is a fallback for.
    pub(crate) fallback_of: Option<FallbackOf>,
}

/// Builds the request. If a header name occurs more than once, the last one counts:
/// custom headers replace `content-type` and `user-agent`, the
/// credentials' headers replace custom ones, and Waybill's other headers replace both.
pub(crate) fn compose(
    settings: &WebhookSettings,
    target: Target,
    secrets: &Secrets,
    envelope: &Envelope<'_>,
    body: WebhookBody,
    deadline: Instant,
) -> Result<Request, ConnectorError> {
    let WebhookBody {
        bytes: body,
        content_type,
    } = body;
    let mut headers = HeaderMap::with_capacity(16 + settings.headers.len());
    put(&mut headers, CONTENT_TYPE, &content_type)?;
    put(
        &mut headers,
        USER_AGENT,
        settings.user_agent.as_deref().unwrap_or(OWN_USER_AGENT),
    )?;
    for (name, value) in &settings.headers {
        let parsed = HeaderName::from_bytes(name.as_bytes()).map_err(|_| unusable(name))?;
        put(&mut headers, parsed, value)?;
    }
    for (name, value) in &secrets.headers {
        headers.insert(name, value.clone());
    }
    let seconds = envelope.at.as_seconds();
    put(
        &mut headers,
        HeaderName::from_static("idempotency-key"),
        envelope.id,
    )?;
    put(
        &mut headers,
        HeaderName::from_static("webhook-id"),
        envelope.id,
    )?;
    put(
        &mut headers,
        HeaderName::from_static("webhook-timestamp"),
        &seconds.to_string(),
    )?;
    if !secrets.keys.is_empty() {
        let signature = signing::sign(&secrets.keys, envelope.id, seconds, &body);
        put(
            &mut headers,
            HeaderName::from_static("webhook-signature"),
            &signature,
        )?;
    }
    put(
        &mut headers,
        HeaderName::from_static("waybill-timestamp"),
        &envelope.at.to_string(),
    )?;
    put(
        &mut headers,
        HeaderName::from_static("waybill-message-id"),
        envelope.message_id,
    )?;
    put(
        &mut headers,
        HeaderName::from_static("waybill-event-type"),
        envelope.event_type,
    )?;
    put(
        &mut headers,
        HeaderName::from_static("waybill-attempt"),
        &envelope.attempt.to_string(),
    )?;
    if let Some(FallbackOf { delivery, reason }) = envelope.fallback_of {
        put(
            &mut headers,
            HeaderName::from_static("waybill-failed-delivery"),
            &delivery.to_string(),
        )?;
        put(
            &mut headers,
            HeaderName::from_static("waybill-failed-reason"),
            reason.as_str(),
        )?;
    }
    put(
        &mut headers,
        HeaderName::from_static("traceparent"),
        envelope.traceparent,
    )?;
    let method = Method::from_bytes(settings.method.as_str().as_bytes())
        .map_err(|_| ConnectorError::misconfigured("the method is not valid in HTTP"))?;
    Ok(Request {
        method,
        target,
        headers,
        body,
        deadline,
    })
}

fn put(headers: &mut HeaderMap, name: HeaderName, value: &str) -> Result<(), ConnectorError> {
    let value = HeaderValue::from_str(value).map_err(|_| unusable(name.as_str()))?;
    headers.insert(name, value);
    Ok(())
}

fn unusable(name: &str) -> ConnectorError {
    ConnectorError::misconfigured(format!(
        "the header {name} cannot be sent: its name or value is not valid in HTTP"
    ))
}

/// Returns the record of a request: credentials are redacted and long headers are cut. `shown` is
/// the body if it is not the payload.
pub(crate) fn record(
    request: &Request,
    is_secret_url: bool,
    shown: Option<&SentBody>,
) -> RequestRecord {
    let body = shown.map_or(&request.body, |shown| &shown.bytes);
    let url = request.target.url();
    let url = match is_secret_url {
        true => format!("{}/…", url.origin().ascii_serialization()),
        false => url.to_string(),
    };
    let header = |(name, value): (&HeaderName, &HeaderValue)| {
        let value = if value.is_sensitive() {
            "[redacted]".into()
        } else {
            String::from_utf8_lossy(value.as_bytes())
        };
        (
            name.to_string(),
            bounded(&value, HEADER_KEPT_MAX_BYTES).to_owned(),
        )
    };
    RequestRecord {
        method: request.method.to_string(),
        url,
        headers: request.headers.iter().map(header).collect(),
        size_bytes: body.len() as u64,
        body_sha256: hex::encode(Sha256::digest(body)),
    }
}
