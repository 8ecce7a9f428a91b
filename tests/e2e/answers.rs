//! The response of a receiver can be read in the history of its delivery.

use kit::sink::{Reply, Sink};
use serde_json::{Value, json};

use crate::stage;

#[tokio::test]
async fn an_encoded_answer_is_decoded_and_one_that_cannot_be_is_called_compressed() {
    let (acme, sink) = (stage::organization("Acme").await, Sink::start().await);
    let destination = acme.destination().webhook(&sink).retries(0).create().await;
    let reply = |coding: &str, media_type: &str, body: &[u8]| {
        let reply = Reply::status(404)
            .header("content-type", media_type)
            .body(body.to_vec());
        if coding.is_empty() {
            reply
        } else {
            reply.header("content-encoding", coding)
        }
    };
    let gzipped = gzip(br#"{"error":"no such hook"}"#);
    let cases = [
        (
            reply("gzip", "application/json", &gzipped),
            r#"{"error":"no such hook"}"#,
        ),
        (
            reply("", "text/plain; charset=iso-8859-1", b"ung\xfcltig"),
            "ungültig",
        ),
        (
            reply("", "text/plain; charset=\"shift_jis\"", b"\x96\xb3\x8c\xf8"),
            "無効",
        ),
        (
            reply("br", "text/plain", b"\x0b\x02\x80hello\x03"),
            "[compressed with br, 9 bytes; it cannot be shown]",
        ),
        (
            reply("gzip", "text/plain", b"plain after all"),
            "[compressed with gzip, 15 bytes; it cannot be shown]",
        ),
        (
            reply("", "text/plain", "wie gehabt: ü".as_bytes()),
            "wie gehabt: ü",
        ),
    ];
    for (reply, expected) in cases {
        sink.replies([reply]);
        let delivery = acme
            .send([&destination], json!(1))
            .await
            .delivery(0)
            .settles()
            .await;
        let response = &delivery["attempts"][0]["response"];
        assert_eq!(
            (&response["status"], &response["body"]),
            (&json!(404), &json!(expected)),
            "{response}"
        );
        assert_eq!(delivery["reason"], "rejected");
    }
}

/// A response of some kilobytes that decompresses to 32 MB of zeros: the status line decides the
/// attempt, and the history keeps 4 KiB.
#[tokio::test]
async fn a_decompression_bomb_costs_a_bounded_amount() {
    let (acme, sink) = (stage::organization("Acme").await, Sink::start().await);
    let destination = acme.destination().webhook(&sink).create().await;
    sink.replies([Reply::status(200)
        .header("content-encoding", "gzip")
        .body(gzip(&vec![b'0'; 32 << 20]))]);
    let delivery = acme
        .send([&destination], json!(1))
        .await
        .delivery(0)
        .reaches("succeeded")
        .await;
    let response = &delivery["attempts"][0]["response"];
    assert_eq!(
        (
            response["body"].as_str().map(str::len),
            &response["truncated"]
        ),
        (Some(4096), &Value::Bool(true))
    );
}

/// The wait is correct although the clock of the server is an hour fast or slow.
#[tokio::test]
async fn a_retry_after_date_is_read_against_the_answers_own_date() {
    let (acme, sink) = (stage::organization("Acme").await, Sink::start().await);
    for hours in [-1, 1] {
        let destination = acme.destination().webhook(&sink).retries(1).create().await;
        let throttled = Reply::status(429)
            .header("date", &date(hours * 3600))
            .header("retry-after", &date(hours * 3600 + 3));
        sink.replies([throttled, Reply::status(200)]);
        let delivery = acme
            .send([&destination], json!(1))
            .await
            .delivery(0)
            .reaches("succeeded")
            .await;
        let at = |n: usize| {
            delivery["attempts"][n]["started_at"]
                .as_str()
                .unwrap()
                .parse::<jiff::Timestamp>()
                .unwrap()
        };
        let waited = at(1).duration_since(at(0)).as_secs_f64();
        assert!((2.9..8.0).contains(&waited), "{hours} h: {waited} s");
    }
}

/// Returns the time in this many seconds as an HTTP date.
#[expect(
    clippy::disallowed_methods,
    reason = "a receiver is outside of Waybill and has a clock of its own"
)]
fn date(seconds: i64) -> String {
    let now = jiff::Timestamp::try_from(std::time::SystemTime::now())
        .expect("a date that can be written");
    (now + jiff::SignedDuration::from_secs(seconds))
        .strftime("%a, %d %b %Y %H:%M:%S GMT")
        .to_string()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write as _;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).expect("memory takes all");
    encoder.finish().expect("memory takes all")
}
