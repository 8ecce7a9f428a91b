//! What a record is likely to say, known before it is read: the dictionary it is packed against.
//!
//! First what requests and answers say in general (`dictionary_v1.txt`), then what this attempt's say if it went as most do. zstd points
//! into it instead of repeating it. All of it follows from what the delivery keeps for ever, the attempt's number and its start; a
//! prediction that is off costs some bytes and nothing else.

use std::sync::LazyLock;
use std::time::{Duration, UNIX_EPOCH};

use domain::Timestamp;
use domain::delivery::Delivery;

use super::bytes::Writer;

/// The lines of `dictionary_v1.txt` in a record's own form: header names and values, each with a zero at its end.
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

/// What version 1 of the format knows of the record of attempt `number` of `delivery`, started at `started_at`.
pub(super) fn dictionary(delivery: &Delivery, number: u32, started_at: Timestamp) -> Vec<u8> {
    let mut expected = Writer::default();
    // The answer first: what stands closest to the record is pointed at in the fewest bits, and the request comes first in a record.
    expected.text("date").text(&http_date(started_at));
    let id = delivery.id.to_string();
    let seconds = started_at.as_seconds().to_string();
    let request = [
        ("content-type", delivery.message.payload.content_type.as_str()),
        // Part of the format: it stays as it is whatever Waybill's version becomes.
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

/// `Mon, 24 Nov 2025 16:00:00 GMT` (RFC 9110 §5.6.7).
fn http_date(time: Timestamp) -> String {
    let since_epoch = Duration::from_millis(u64::try_from(time.as_millis()).unwrap_or_default());
    httpdate::fmt_http_date(UNIX_EPOCH + since_epoch)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_as_http_writes_them() {
        assert_eq!(http_date(Timestamp::from_millis(1_764_000_000_120)), "Mon, 24 Nov 2025 16:00:00 GMT");
        assert_eq!(http_date(Timestamp::from_millis(784_111_777_000)), "Sun, 06 Nov 1994 08:49:37 GMT");
    }
}
