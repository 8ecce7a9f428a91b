//! Document mode for both engines: the whole payload is one value.

use bytes::Bytes;
use domain::Reason;
use domain::media_type::essence;
use domain::settle::Outcome;
use worker::{ConnectorError, Payload};

/// The largest document. A value is sent as a whole, and neither engine accepts much more
/// (PostgreSQL 1 GB less its encoding, MySQL its `max_allowed_packet`, 64 MiB by default). Rows
/// mode has no such limit.
pub(crate) const DOCUMENT_BYTES_MAX: u64 = 64 << 20;

/// Reads the payload as one value.
pub(crate) async fn collect(payload: Payload) -> Result<Bytes, ConnectorError> {
    let size_bytes = payload.size_bytes();
    if size_bytes > DOCUMENT_BYTES_MAX {
        let detail = format!(
            "the payload has {size_bytes} bytes; one row may have at most {DOCUMENT_BYTES_MAX}"
        );
        return Err(ConnectorError::new(
            Outcome::Reject(Reason::PayloadTooLarge),
            detail,
        ));
    }
    Ok(payload.collect().await?)
}

/// Whether a content type is a single JSON value.
pub(crate) fn is_json(content_type: &str) -> bool {
    let essence = essence(content_type);
    matches!(&*essence, "application/json" | "text/json") || essence.ends_with("+json")
}
