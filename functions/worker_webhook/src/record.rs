//! What is kept of an answer: bounded, as text, and without the credentials that some receivers send back.

use domain::attempt::{BODY_KEPT_MAX_BYTES, HEADER_KEPT_MAX_BYTES, HEADERS_KEPT_MAX, ResponseRecord, bounded};
use egress::{BODY_READ_BYTES_MAX, Response};
use http::{HeaderMap, StatusCode};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};

use crate::decode;

/// A secret shorter than this would blank out ordinary words.
const SCRUBBED_CHARS_MIN: usize = 4;
/// Where a receiver says what it calls the request, the first one that is there.
const RECEIPT_HEADERS: [&str; 3] = ["request-id", "x-request-id", "location"];

/// Reads the answer's beginning, within the attempt's deadline, and keeps what people may see of it.
pub(crate) async fn read(response: Response, confidential: &[SecretString]) -> ResponseRecord {
    let status = response.status.as_u16();
    let sent_headers = response.headers.clone();
    let headers = headers(&response.headers, confidential);
    // A secret that the cut would go through is read to its end, so that it is found; what may be the beginning of another one is dropped.
    let longest = confidential.iter().map(|secret| secret.expose_secret().len()).max().unwrap_or(0);
    let read_bytes_max = if decode::is_encoded(&sent_headers) { BODY_READ_BYTES_MAX } else { BODY_KEPT_MAX_BYTES + longest };
    let body = response.read(read_bytes_max).await;
    let decoded = decode::decode(&sent_headers, &body.bytes, body.truncated);
    let text = scrubbed(&decoded.text, confidential);
    let certain = if decoded.is_cut { text.len().saturating_sub(longest) } else { text.len() };
    let kept = bounded(&text, certain.min(BODY_KEPT_MAX_BYTES));
    let truncated = decoded.is_cut || kept.len() < text.len();
    ResponseRecord { status, headers, body: kept.to_owned(), truncated }
}

fn headers(headers: &HeaderMap, confidential: &[SecretString]) -> Vec<(String, String)> {
    let kept = headers.iter().take(HEADERS_KEPT_MAX);
    kept.map(|(name, value)| (name.to_string(), text(value.as_bytes(), confidential))).collect()
}

/// What leads back to the delivery on the receiver's side.
pub(crate) fn tracking(status: StatusCode, headers: &HeaderMap, confidential: &[SecretString]) -> Value {
    let id = RECEIPT_HEADERS.iter().find_map(|name| headers.get(*name)).map(|value| text(value.as_bytes(), confidential));
    json!({"kind": "http_response", "id": id, "url": null, "status": status.as_u16()})
}

fn text(value: &[u8], confidential: &[SecretString]) -> String {
    bounded(&scrubbed(&String::from_utf8_lossy(value), confidential), HEADER_KEPT_MAX_BYTES).to_owned()
}

fn scrubbed(text: &str, confidential: &[SecretString]) -> String {
    let secrets = confidential.iter().map(|secret| secret.expose_secret()).filter(|secret| secret.len() >= SCRUBBED_CHARS_MIN);
    secrets.fold(text.to_owned(), |text, secret| text.replace(secret, "[redacted]"))
}
