//! The dictionary that a record is compressed against: what the record is likely to contain.
//!
//! It begins with what requests and responses usually contain (`dictionary_v1.txt`) and ends with
//! what this attempt's contain if it went as most do. It depends only on attributes of the delivery
//! that never change, the attempt's number and its start. A wrong prediction costs some bytes and
//! nothing else.

use std::sync::LazyLock;
use std::time::{Duration, UNIX_EPOCH};

use domain::Timestamp;
use domain::delivery::Delivery;

use super::bytes::Writer;

/// The lines of `dictionary_v1.txt` in the format of a record: header names and values, each with a
/// terminating zero.
static USUAL: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut usual = Writer::default();
    for line in include_str!("dictionary_v1.txt").lines() {
        match line.split_once(": ") {
            Some((name, value)) => usual.text(name).text(value),
            None => usual.text(line),
        };
    }
    usual.into_bytes()
});

/// Returns the dictionary of version 1 for attempt `number` of `delivery`, started at `started_at`.
pub(super) fn dictionary(delivery: &Delivery, number: u32, started_at: Timestamp) -> Vec<u8> {
    let mut expected = Writer::default();
    // The response comes first: what is closest to the record is referenced in the fewest bits, and
    // a record begins with the request.
    expected.text("date").text(&http_date(started_at));
    let id = delivery.id.to_string();
    let seconds = started_at.as_seconds().to_string();
    let request = [
        (
            "content-type",
            delivery.message.payload.content_type.as_str(),
        ),
        // Part of the format: it does not follow Waybill's version.
        ("user-agent", "Waybill/0.1"),
        ("idempotency-key", &id),
        ("webhook-id", &id),
        ("webhook-timestamp", &seconds),
        ("webhook-signature", "v1,"),
        ("waybill-timestamp", &seconds),
        ("waybill-message-id", &delivery.id.message.to_string()),
        ("waybill-delivery-id", &id),
        ("waybill-event-type", delivery.message.event_type.as_str()),
        ("waybill-attempt", &number.to_string()),
        ("traceparent", &format!("00-{}-", delivery.message.trace)),
    ];
    for (name, value) in request {
        expected.text(name).text(value);
    }
    [USUAL.as_slice(), &expected.into_bytes()].concat()
}

/// Formats a date as `Mon, 24 Nov 2025 16:00:00 GMT` (RFC 9110 §5.6.7).
fn http_date(time: Timestamp) -> String {
    let since_epoch = Duration::from_millis(u64::try_from(time.as_millis()).unwrap_or_default());
    httpdate::fmt_http_date(UNIX_EPOCH + since_epoch)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_as_http_writes_them() {
        assert_eq!(
            http_date(Timestamp::from_millis(1_764_000_000_120)),
            "Mon, 24 Nov 2025 16:00:00 GMT"
        );
        assert_eq!(
            http_date(Timestamp::from_millis(784_111_777_000)),
            "Sun, 06 Nov 1994 08:49:37 GMT"
        );
    }
}
