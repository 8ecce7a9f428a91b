//! Builds the record of an answer.

use domain::attempt::{BODY_KEPT_MAX_BYTES, HEADERS_KEPT_MAX, ResponseRecord, bounded};
use domain::receipt::Receipt;
use egress::{BODY_READ_BYTES_MAX, Response};
use http::{HeaderMap, HeaderValue, StatusCode};

use crate::decode;

/// The headers in which receivers put an identifier for the request; the first one present is
/// recorded.
const RECEIPT_HEADERS: [&str; 3] = ["request-id", "x-request-id", "location"];
/// How many bytes are read beyond what is kept, so that a secret across the cut is redacted as a
/// whole before the worker cuts the text.
const OVERLAP_BYTES: usize = 4096;

/// Reads the beginning of the answer within the attempt's deadline. The worker redacts it and cuts
/// it to the size that is kept.
pub(crate) async fn read(response: Response) -> ResponseRecord {
    let status = response.status.as_u16();
    let sent_headers = response.headers.clone();
    let headers = sent_headers
        .iter()
        .take(HEADERS_KEPT_MAX)
        .map(|(name, value)| (name.to_string(), text(value)));
    let headers = headers.collect();
    let text_bytes_max = BODY_KEPT_MAX_BYTES + OVERLAP_BYTES;
    let body = response
        .read(if decode::is_encoded(&sent_headers) {
            BODY_READ_BYTES_MAX
        } else {
            text_bytes_max
        })
        .await;
    let decoded = decode::decode(&sent_headers, &body.bytes, body.truncated);
    let cut = bounded(&decoded.text, text_bytes_max);
    let truncated = decoded.is_cut || cut.len() < decoded.text.len();
    ResponseRecord {
        status,
        headers,
        body: cut.to_owned(),
        truncated,
    }
}

/// Returns the receipt: the status, and the receiver's identifier for the request if it sent one.
pub(crate) fn receipt(status: StatusCode, headers: &HeaderMap) -> Receipt {
    let id = RECEIPT_HEADERS
        .iter()
        .find_map(|name| headers.get(*name))
        .map(text);
    Receipt::HttpResponse {
        id,
        status: status.as_u16(),
    }
}

fn text(value: &HeaderValue) -> String {
    String::from_utf8_lossy(value.as_bytes()).into_owned()
}
