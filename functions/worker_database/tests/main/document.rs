use domain::{Reason, Timestamp};
use serde_json::json;

use crate::bench::{Bench, delivered, facts, reason};

crate::for_each_engine! {
    a_message_becomes_a_row,
    a_repeat_changes_nothing,
    a_payload_that_its_column_would_change_is_refused,
    the_time_of_a_message_is_cut_to_the_columns_digits,
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

async fn a_payload_that_its_column_would_change_is_refused(bench: Bench) {
    let cases = [
        ("varchar(3)", "1   "),
        ("char(5)", "12 "),
        ("decimal(4,1)", "1.55"),
        ("date", "\"2026-01-02T03:04:05Z\""),
    ];
    for (n, (payload_type, payload)) in cases.into_iter().enumerate() {
        bench.sql(&format!(
            "DROP TABLE IF EXISTS events; CREATE TABLE events (delivery_id varchar(64) PRIMARY KEY, \
             message_id varchar(64), event_type varchar(255), created_at timestamp(0) NULL, \
             content_type varchar(255), payload {payload_type})"
        ));
        let settings = bench.settings(json!({}));
        let facts = facts(n as i64, "application/json");
        let attempted = bench.deliver(&settings, &facts, payload).await;
        assert_eq!(
            reason(&attempted),
            Reason::Rejected,
            "{payload_type}: {}",
            attempted.detail
        );
        assert!(
            attempted.detail.contains("column payload"),
            "{}",
            attempted.detail
        );
        assert_eq!(bench.sql("SELECT count(*) FROM events"), ["0"]);
    }
}

/// The server would round it, possibly to a time that has not come.
async fn the_time_of_a_message_is_cut_to_the_columns_digits(bench: Bench) {
    bench.sql(
        "CREATE TABLE events (delivery_id varchar(64) PRIMARY KEY, message_id varchar(64), \
         event_type varchar(255), created_at timestamp(0) NULL, content_type varchar(255), \
         payload text)",
    );
    let mut facts = facts(1, "application/json");
    facts.created_at = Timestamp::from_millis(1_764_000_000_987);
    let settings = bench.settings(json!({}));
    delivered(&bench.deliver(&settings, &facts, "1").await);
    assert_eq!(
        bench.sql("SELECT created_at FROM events"),
        ["2025-11-24 16:00:00"]
    );
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

/// Only this test's user is affected.
#[tokio::test(flavor = "multi_thread")]
async fn a_row_is_stored_although_the_server_turns_autocommit_off() {
    let bench = Bench::mysql();
    bench.admin(&format!(
        "SET GLOBAL init_connect = 'SET autocommit = IF(USER() LIKE ''{}@%'', 0, 1)'",
        bench.name
    ));
    let settings = bench.settings(json!({"create_table": true}));
    delivered(
        &bench
            .deliver(&settings, &facts(1, "application/json"), "1")
            .await,
    );
    assert_eq!(bench.sql("SELECT count(*) FROM events"), ["1"]);
    let rows = bench.settings(json!({"create_table": true, "mode": "rows", "table": "t"}));
    delivered(
        &bench
            .deliver(&rows, &facts(2, "application/json"), r#"[{"a":1}]"#)
            .await,
    );
    assert_eq!(bench.sql("SELECT count(*) FROM t"), ["1"]);
}
