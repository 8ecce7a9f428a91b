use domain::Reason;
use serde_json::json;

use crate::bench::{Bench, delivered, facts, reason};

crate::for_each_engine! {
    a_message_becomes_a_row,
    a_repeat_changes_nothing,
    any_bytes_of_any_size_are_taken,
    a_table_that_is_not_there_is_misconfigured,
    a_table_without_a_unique_delivery_is_misconfigured,
}

async fn a_message_becomes_a_row(bench: Bench) {
    let settings = bench.settings(json!({"create_table": true}));
    let facts = facts(1, "application/json");
    let payload = r#"{"b": 1.50,  "a": "é"}"#;
    let attempted = bench.deliver(&settings, &facts, payload).await;
    let tracking = delivered(&attempted);
    assert_eq!(
        (&tracking["kind"], &tracking["table"], &tracking["rows"]),
        (&json!("database_rows"), &json!("events"), &json!(1))
    );
    let rows =
        bench.sql("SELECT delivery_id, message_id, event_type, content_type, payload FROM events");
    let expected = format!(
        "{}|{}|report.ready|application/json|{payload}",
        facts.delivery, facts.delivery.message
    );
    assert_eq!(rows, [expected]);
    assert!(bench.sql("SELECT created_at FROM events")[0].starts_with("2025-11-24 16:00:00.12"));
    assert_eq!(attempted.request.unwrap().method, "INSERT");
}

async fn a_repeat_changes_nothing(bench: Bench) {
    let settings = bench.settings(json!({"create_table": true}));
    let facts = facts(1, "application/json");
    delivered(&bench.deliver(&settings, &facts, "1").await);
    let again = bench.deliver(&settings, &facts, "2").await;
    delivered(&again);
    assert!(
        again.detail.contains("an earlier attempt"),
        "{}",
        again.detail
    );
    assert_eq!(bench.sql("SELECT payload FROM events"), ["1"]);
}

async fn any_bytes_of_any_size_are_taken(bench: Bench) {
    let settings = bench.settings(json!({"create_table": true}));
    let bytes: Vec<u8> = (0..8 << 20).map(|n: u32| (n * 7 + n / 256) as u8).collect();
    for (n, size) in [0, 1024, 8 << 20].into_iter().enumerate() {
        let facts = facts(n as i64, "application/octet-stream");
        delivered(
            &bench
                .deliver(&settings, &facts, bytes[..size].to_vec())
                .await,
        );
        let sum = bench.sql(&format!(
            "SELECT length(payload), md5(payload) FROM events WHERE delivery_id = '{}'",
            facts.delivery
        ));
        let expected = bench.sql(&format!("SELECT {size}, '{}'", md5(&bytes[..size])));
        assert_eq!(sum, expected);
    }
    let facts = facts(9, "application/octet-stream");
    let large = bench
        .deliver(&settings, &facts, vec![0; (64 << 20) + 1])
        .await;
    assert_eq!(reason(&large), Reason::PayloadTooLarge);
}

/// Hashes with the tool that every machine with a shell has.
fn md5(bytes: &[u8]) -> String {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), bytes).unwrap();
    let output = std::process::Command::new("md5sum")
        .arg(file.path())
        .output()
        .unwrap();
    String::from_utf8(output.stdout)
        .unwrap()
        .split(' ')
        .next()
        .unwrap()
        .to_owned()
}

async fn a_table_that_is_not_there_is_misconfigured(bench: Bench) {
    let attempted = bench
        .deliver(
            &bench.settings(json!({})),
            &facts(1, "application/json"),
            "1",
        )
        .await;
    assert_eq!(reason(&attempted), Reason::Misconfigured);
    assert!(attempted.detail.contains("events"));
}

async fn a_table_without_a_unique_delivery_is_misconfigured(bench: Bench) {
    bench.sql(
        "CREATE TABLE events (delivery_id varchar(64), message_id text, event_type text, \
         created_at timestamp, content_type text, payload text)",
    );
    let attempted = bench
        .deliver(
            &bench.settings(json!({})),
            &facts(1, "application/json"),
            "1",
        )
        .await;
    assert_eq!(reason(&attempted), Reason::Misconfigured);
    assert_eq!(bench.sql("SELECT count(*) FROM events"), ["0"]);
}
