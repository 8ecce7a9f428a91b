//! Document mode for both engines: the whole payload is one value.

use bytes::Bytes;
use domain::Reason;
use domain::media_type::essence;
use domain::settle::Outcome;
use worker::{ConnectorError, Payload};

use crate::connector::Facts;
use crate::rows::{Cell, ColumnKind};

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

/// Returns a value of the row in a notation that its column stores exactly.
pub(crate) fn fit<'v>(
    column: &str,
    kind: &ColumnKind,
    value: Cell<'v>,
) -> Result<Cell<'v>, ConnectorError> {
    kind.fit(value, false).map_err(|fault| {
        ConnectorError::rejected(format!("the column {column} {fault}; nothing was written"))
    })
}

/// Returns when the message was created, without the digits of the second that the column does not
/// store. The server would round them.
pub(crate) fn created_at(kind: &ColumnKind, facts: &Facts) -> String {
    let created_at = facts.created_at.to_string();
    match kind {
        ColumnKind::Timestamp { digits, .. } => cut_second(&created_at, *digits),
        _ => created_at,
    }
}

/// Cuts the fraction of a second of an RFC 3339 time to this many digits.
fn cut_second(time: &str, digits: usize) -> String {
    match time.trim_end_matches('Z').split_once('.') {
        Some((seconds, fraction)) if digits > 0 => {
            format!("{seconds}.{}Z", &fraction[..digits.min(fraction.len())])
        }
        Some((seconds, _)) => format!("{seconds}Z"),
        None => time.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fraction_of_a_second_is_cut_and_not_rounded() {
        for (digits, expected) in [
            (0, "T16:00:00Z"),
            (1, "T16:00:00.9Z"),
            (6, "T16:00:00.987Z"),
        ] {
            assert_eq!(cut_second("T16:00:00.987Z", digits), expected);
        }
        assert_eq!(cut_second("T16:00:00Z", 3), "T16:00:00Z");
    }
}
