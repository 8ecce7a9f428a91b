use domain::Reason;
use domain::settle::Outcome;
use serde_json::json;

use crate::bench::{Bench, delivered, facts, reason};

crate::for_each_engine! {
    an_array_lines_and_csv_become_rows,
    fields_go_to_their_columns,
    a_missing_table_is_made_for_rows_like_the_first,
    a_row_that_does_not_fit_is_named_and_nothing_is_written,
    conflicts_are_ignored_updated_or_refused,
    names_are_quoted,
    a_csv_without_a_header_is_refused,
    an_empty_payload_has_no_rows_and_is_delivered,
    many_rows_are_counted,
    json_columns_take_every_value,
}

const JSON: &str = "application/json";

async fn a_csv_without_a_header_is_refused(bench: Bench) {
    let settings = bench.settings(json!({"mode": "rows", "create_table": true}));
    let facts = facts(1, "text/csv; charset=utf-8; header=absent");
    let attempted = bench.deliver(&settings, &facts, "1,2\n3,4\n").await;
    assert_eq!(reason(&attempted), Reason::Rejected);
    assert!(
        attempted.detail.contains("header=absent"),
        "{}",
        attempted.detail
    );
}

async fn an_array_lines_and_csv_become_rows(bench: Bench) {
    bench.sql(
        "CREATE TABLE events (id bigint PRIMARY KEY, name text, price numeric(10,2), at \
         timestamp NULL, ok boolean)",
    );
    let settings = bench.settings(json!({"mode": "rows"}));
    let array = r#"[{"id": 1, "name": "tab\there, back\\slash, 'quote'\n\"é\"", "price": 1.5, "at": "2026-01-02T03:04:05Z", "ok": true},
        {"id": 2, "name": null, "price": "2.25"}]"#;
    let tracking = bench.deliver(&settings, &facts(1, JSON), array).await;
    assert_eq!(delivered(&tracking)["rows"], 2);
    let lines = "{\"id\":3,\"name\":\"c\"}\n{\"id\":4,\"name\":\"\"}\n";
    delivered(
        &bench
            .deliver(&settings, &facts(2, "application/x-ndjson"), lines)
            .await,
    );
    let csv = "id,name,price\r\n5,\"x, \"\"y\"\"\",7.00\r\n6,,\r\n";
    delivered(&bench.deliver(&settings, &facts(3, "text/csv"), csv).await);
    let found = bench.sql(
        "SELECT id, COALESCE(CONCAT('<', REPLACE(REPLACE(name, '\t', '[t]'), \
         '\n', '[n]'), '>'), 'null'), COALESCE(CAST(price AS CHAR(10)), 'null') FROM events ORDER \
         BY id",
    );
    let found: Vec<String> = found
        .into_iter()
        .map(|line| line.replace("\\\\", "\\").replace(' ', ""))
        .collect();
    let null_name = if bench.engine == domain::settings::database::Engine::Postgres {
        "2|<>|2.25"
    } else {
        "2|null|2.25"
    };
    assert_eq!(
        found,
        [
            "1|<tab[t]here,back\\slash,'quote'[n]\"é\">|1.50",
            null_name,
            "3|<c>|null",
            "4|<>|null",
            "5|<x,\"y\">|7.00",
            if null_name.contains("null") {
                "6|null|null"
            } else {
                "6|<>|null"
            }
        ]
    );
    assert!(bench.sql("SELECT at FROM events WHERE id = 1")[0].starts_with("2026-01-02 03:04:05"));
    assert_eq!(
        bench.sql("SELECT count(*) FROM events WHERE name IS NULL"),
        ["2"]
    );
    assert_eq!(
        bench.sql("SELECT count(*) FROM waybill_deliveries WHERE row_count = 2"),
        ["3"]
    );
}

async fn fields_go_to_their_columns(bench: Bench) {
    bench.sql("CREATE TABLE events (number bigint, label varchar(20))");
    let settings =
        bench.settings(json!({"mode": "rows", "columns": {"id": "number", "the name": "label"}}));
    delivered(
        &bench
            .deliver(
                &settings,
                &facts(1, JSON),
                r#"[{"the name": "a", "id": 1, "other": {"x": []}}]"#,
            )
            .await,
    );
    assert_eq!(bench.sql("SELECT number, label FROM events"), ["1|a"]);
    let settings = bench.settings(json!({"mode": "rows", "columns": {"id": "nowhere"}}));
    let attempted = bench
        .deliver(&settings, &facts(2, JSON), r#"[{"id": 1}]"#)
        .await;
    assert_eq!(reason(&attempted), Reason::Misconfigured);
    assert!(attempted.detail.contains("nowhere"), "{}", attempted.detail);
}

async fn a_missing_table_is_made_for_rows_like_the_first(bench: Bench) {
    let settings = bench.settings(json!({"mode": "rows", "create_table": true,
        "on_conflict": "update", "key_columns": ["id"]}));
    let first = r#"[{"id": "a", "n": 1, "ok": false, "more": {"x": 1}}]"#;
    delivered(&bench.deliver(&settings, &facts(1, JSON), first).await);
    let second = r#"[{"id": "a", "n": 2, "ok": true, "more": [1]}, {"id": "b", "n": 3, "ok": true, "more": "text"}]"#;
    delivered(&bench.deliver(&settings, &facts(2, JSON), second).await);
    assert_eq!(
        bench.sql("SELECT id, CAST(n AS decimal(9)) FROM events ORDER BY id"),
        ["a|2", "b|3"]
    );
}

async fn a_row_that_does_not_fit_is_named_and_nothing_is_written(bench: Bench) {
    bench.sql("CREATE TABLE events (id bigint PRIMARY KEY, label varchar(5) NOT NULL)");
    let rows = |bad: &str| {
        let mut rows: Vec<String> = (1..=1500)
            .map(|id| format!("{{\"id\": {id}, \"label\": \"x\"}}"))
            .collect();
        rows[1199] = bad.to_owned();
        format!("[{}]", rows.join(","))
    };
    let bad = [
        (r#"{"id": 1200, "label": "too long"}"#, Some("label")),
        (r#"{"id": "no number", "label": "x"}"#, Some("id")),
        (r#"{"id": 1200, "label": null}"#, Some("label")),
        (r#"{"id": 7, "label": "x"}"#, None),
        (r#"{"id": 1200, "label": "x", "other": 1}"#, Some("other")),
        (r#"{"id": 1200, "label": x}"#, None),
    ];
    for on_conflict in ["error", "update"] {
        let key = if on_conflict == "update" {
            json!(["id"])
        } else {
            json!([])
        };
        let settings =
            bench.settings(json!({"mode": "rows", "on_conflict": on_conflict, "key_columns": key}));
        for (n, (row, column)) in bad.iter().enumerate() {
            if on_conflict == "update" && row.contains("\"id\": 7") {
                continue;
            }
            let attempted = bench
                .deliver(&settings, &facts(n as i64, JSON), rows(row))
                .await;
            assert_eq!(
                reason(&attempted),
                Reason::Rejected,
                "{row}: {}",
                attempted.detail
            );
            assert!(
                attempted.detail.contains("row 1200"),
                "{row}: {}",
                attempted.detail
            );
            if let Some(column) = column {
                assert!(
                    attempted.detail.contains(column),
                    "{row}: {}",
                    attempted.detail
                );
            }
            assert_eq!(bench.sql("SELECT count(*) FROM events"), ["0"]);
            assert_eq!(bench.sql("SELECT count(*) FROM waybill_deliveries"), ["0"]);
        }
    }
    let none = bench
        .deliver(
            &bench.settings(json!({"mode": "rows"})),
            &facts(50, "application/pdf"),
            "%PDF",
        )
        .await;
    assert!(
        matches!(none.outcome, Outcome::Reject(Reason::Rejected)),
        "{}",
        none.detail
    );
}

async fn conflicts_are_ignored_updated_or_refused(bench: Bench) {
    bench.sql("CREATE TABLE events (id bigint PRIMARY KEY, label varchar(20))");
    bench.sql("INSERT INTO events VALUES (1, 'old')");
    let payload =
        r#"[{"id": 1, "label": "new"}, {"id": 2, "label": "first"}, {"id": 2, "label": "second"}]"#;
    let settings = |on_conflict| {
        bench.settings(json!({"mode": "rows", "on_conflict": on_conflict, "key_columns": ["id"]}))
    };
    let refused = bench
        .deliver(&settings("error"), &facts(1, JSON), payload)
        .await;
    assert!(
        matches!(refused.outcome, Outcome::ClientError(Reason::Rejected)),
        "{}",
        refused.detail
    );
    assert!(refused.detail.contains("row 1"), "{}", refused.detail);
    delivered(
        &bench
            .deliver(&settings("ignore"), &facts(2, JSON), payload)
            .await,
    );
    assert_eq!(
        bench.sql("SELECT id, label FROM events ORDER BY id"),
        ["1|old", "2|first"]
    );
    delivered(
        &bench
            .deliver(&settings("update"), &facts(3, JSON), payload)
            .await,
    );
    assert_eq!(
        bench.sql("SELECT id, label FROM events ORDER BY id"),
        ["1|new", "2|second"]
    );
}

async fn names_are_quoted(bench: Bench) {
    let quote = if bench.engine == domain::settings::database::Engine::Postgres {
        '"'
    } else {
        '`'
    };
    bench.sql(&format!(
        "CREATE TABLE {quote}select; drop table x --{quote} ({quote}from{quote} \
         bigint, {quote}A b{quote} bigint)"
    ));
    let settings = bench.settings(json!({"mode": "rows", "table": "select; drop table x --"}));
    delivered(
        &bench
            .deliver(&settings, &facts(1, JSON), r#"{"from": 1, "A b": 2}"#)
            .await,
    );
    assert_eq!(
        bench.sql(&format!(
            "SELECT {quote}from{quote}, {quote}A b{quote} FROM \
         {quote}select; drop table x --{quote}"
        )),
        ["1|2"]
    );
}

async fn an_empty_payload_has_no_rows_and_is_delivered(bench: Bench) {
    bench.sql("CREATE TABLE events (id bigint)");
    let settings = bench.settings(json!({"mode": "rows"}));
    for (n, payload) in ["", "[]", " \n"].into_iter().enumerate() {
        assert_eq!(
            delivered(
                &bench
                    .deliver(&settings, &facts(n as i64, JSON), payload)
                    .await
            )["rows"],
            0
        );
    }
    assert_eq!(
        delivered(
            &bench
                .deliver(&settings, &facts(9, "text/csv"), "id\n")
                .await
        )["rows"],
        0
    );
    assert_eq!(bench.sql("SELECT count(*) FROM events"), ["0"]);
}

async fn many_rows_are_counted(bench: Bench) {
    bench.sql("CREATE TABLE events (id bigint, label varchar(300))");
    let label = "x".repeat(190);
    let payload: String = (0..40_000)
        .map(|id| format!("{{\"id\":{id},\"label\":\"{label}\"}}\n"))
        .collect();
    assert!(payload.len() >= 8 << 20);
    let settings = bench.settings(json!({"mode": "rows"}));
    assert_eq!(
        delivered(
            &bench
                .deliver(&settings, &facts(1, "application/x-ndjson"), payload)
                .await
        )["rows"],
        40_000
    );
    assert_eq!(
        bench.sql("SELECT count(*), min(id), max(id) FROM events"),
        ["40000|0|39999"]
    );
}

async fn json_columns_take_every_value(bench: Bench) {
    bench.sql("CREATE TABLE events (id bigint, doc json)");
    let settings = bench.settings(json!({"mode": "rows"}));
    let payload = [
        r#"{"id": 1, "doc": {"a": [1, "b"]}}"#,
        r#"{"id": 2, "doc": 1.5}"#,
        r#"{"id": 3, "doc": "text"}"#,
        r#"{"id": 4, "doc": null}"#,
    ];
    delivered(
        &bench
            .deliver(&settings, &facts(1, JSON), payload.join("\n"))
            .await,
    );
    assert_eq!(
        bench.sql("SELECT doc FROM events WHERE doc IS NOT NULL ORDER BY id"),
        [r#"{"a": [1, "b"]}"#, "1.5", "\"text\""]
    );
    assert_eq!(bench.sql("SELECT id FROM events WHERE doc IS NULL"), ["4"]);
}
