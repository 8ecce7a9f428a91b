//! Tests that rows are written exactly as they were sent, or that the row is named and nothing is
//! written.

use domain::Reason;
use domain::settings::database::Engine;
use serde_json::json;

use crate::bench::{Bench, delivered, facts, reason};

crate::for_each_engine! {
    a_conflict_with_another_unique_index_is_refused_with_its_row,
    a_row_with_none_of_the_mapped_fields_is_refused,
    rows_that_were_left_out_are_counted,
    a_field_that_is_left_out_gets_the_default,
    an_update_leaves_alone_what_a_row_leaves_out,
    a_later_row_may_bring_more_columns,
    a_field_that_is_there_twice_is_refused,
    numbers_are_never_rounded,
    a_table_is_made_that_keeps_every_number,
    a_table_is_made_for_values_of_several_types,
    keys_that_differ_in_case_accents_or_spaces_stay_apart,
    times_are_kept_or_refused,
    texts_are_never_cut_off,
    a_computed_column_takes_no_value,
    a_constraint_names_its_row_in_every_mode,
    a_quoted_empty_field_is_null_for_a_number,
    a_declared_charset_is_read,
    whole_numbers_are_taken_in_any_notation,
}

const JSON: &str = "application/json";
const LINES: &str = "application/x-ndjson";

/// Delivers, and expects a refusal that contains these words and writes nothing.
async fn refused(bench: &Bench, members: serde_json::Value, n: i64, payload: &str, words: &[&str]) {
    let before = bench.sql("SELECT count(*) FROM events");
    let attempted = bench
        .deliver(
            &bench.settings(members),
            &facts(n, LINES),
            payload.to_owned(),
        )
        .await;
    assert_eq!(
        reason(&attempted),
        Reason::Rejected,
        "{payload}: {}",
        attempted.detail
    );
    for word in words {
        assert!(
            attempted.detail.contains(word),
            "{word}: {}",
            attempted.detail
        );
    }
    assert_eq!(
        bench.sql("SELECT count(*) FROM events"),
        before,
        "{payload}"
    );
}

async fn a_conflict_with_another_unique_index_is_refused_with_its_row(bench: Bench) {
    bench.sql("CREATE TABLE events (id bigint PRIMARY KEY, email varchar(40) UNIQUE, n bigint)");
    bench.sql("INSERT INTO events VALUES (1, 'a@x', 1), (2, 'b@x', 2)");
    for (n, mode) in ["update", "ignore"].into_iter().enumerate() {
        let members = json!({"mode": "rows", "on_conflict": mode, "key_columns": ["id"]});
        let n = 10 * n as i64;
        let payload = "{\"id\":5,\"email\":\"e@x\",\"n\":5}\n{\"id\":3,\"email\":\"a@x\",\"n\":3}\n{\"id\":6,\"email\":\"f@x\",\"n\":6}";
        refused(&bench, members.clone(), n, payload, &["row 2"]).await;
        // Two rows of the payload conflict with each other.
        let payload = "{\"id\":5,\"email\":\"e@x\",\"n\":5}\n{\"id\":6,\"email\":\"e@x\",\"n\":6}";
        refused(&bench, members, n + 1, payload, &["row 2"]).await;
        assert_eq!(
            bench.sql("SELECT id, email, n FROM events ORDER BY id"),
            ["1|a@x|1", "2|b@x|2"]
        );
    }
}

async fn a_row_with_none_of_the_mapped_fields_is_refused(bench: Bench) {
    bench.sql("CREATE TABLE events (a bigint, b bigint)");
    let members = json!({"mode": "rows", "columns": {"x": "a", "y": "b"}});
    refused(&bench, members, 1, "{\"x\":1}\n{\"z\":2}", &["row 2"]).await;
    refused(
        &bench,
        json!({"mode": "rows"}),
        2,
        "{\"a\":1}\n{}",
        &["row 2"],
    )
    .await;
}

async fn rows_that_were_left_out_are_counted(bench: Bench) {
    bench.sql("CREATE TABLE events (id bigint PRIMARY KEY, n bigint)");
    bench.sql("INSERT INTO events VALUES (1, 0)");
    let settings =
        bench.settings(json!({"mode": "rows", "on_conflict": "ignore", "key_columns": ["id"]}));
    let attempted = bench
        .deliver(
            &settings,
            &facts(1, LINES),
            "{\"id\":1,\"n\":1}\n{\"id\":2,\"n\":2}\n{\"id\":2,\"n\":3}",
        )
        .await;
    let tracking = delivered(&attempted);
    assert_eq!(
        (&tracking["rows"], &tracking["rows_skipped"]),
        (&json!(1), &json!(2))
    );
    assert!(
        attempted.detail.contains("1 row was written")
            && attempted.detail.contains("2 rows were skipped"),
        "{}",
        attempted.detail
    );
    assert_eq!(
        bench.sql("SELECT id, n FROM events ORDER BY id"),
        ["1|0", "2|2"]
    );
    let again = bench
        .deliver(&settings, &facts(1, LINES), "{\"id\":1,\"n\":1}")
        .await;
    assert_eq!(delivered(&again)["rows"], 1);
}

async fn a_field_that_is_left_out_gets_the_default(bench: Bench) {
    bench.sql(
        "CREATE TABLE events (id bigint PRIMARY KEY, n bigint DEFAULT 7, label varchar(9) \
         DEFAULT 'none')",
    );
    for (n, mode) in ["error", "ignore", "update"].into_iter().enumerate() {
        let key = if mode == "error" {
            json!([])
        } else {
            json!(["id"])
        };
        let settings =
            bench.settings(json!({"mode": "rows", "on_conflict": mode, "key_columns": key}));
        let payload = "{\"id\":1,\"n\":1,\"label\":\"a\"}\n{\"id\":2,\"label\":\"b\"}\n{\"id\":3,\"n\":null}\n{\"id\":4}";
        assert_eq!(
            delivered(
                &bench
                    .deliver(&settings, &facts(n as i64, LINES), payload)
                    .await
            )["rows"],
            4
        );
        let rows = bench.sql("SELECT id, COALESCE(n, -1), label FROM events ORDER BY id");
        assert_eq!(rows, ["1|1|a", "2|7|b", "3|-1|none", "4|7|none"], "{mode}");
        bench.sql("DELETE FROM events");
    }
    // The mapping names a column that no row has.
    let settings = bench.settings(json!({"mode": "rows", "columns": {"id": "id", "x": "n"}}));
    delivered(
        &bench
            .deliver(&settings, &facts(9, LINES), "{\"id\":1}")
            .await,
    );
    assert_eq!(bench.sql("SELECT id, n FROM events"), ["1|7"]);
}

async fn an_update_leaves_alone_what_a_row_leaves_out(bench: Bench) {
    bench.sql("CREATE TABLE events (id bigint PRIMARY KEY, a bigint, b bigint)");
    bench.sql("INSERT INTO events VALUES (1, 1, 1)");
    let settings =
        bench.settings(json!({"mode": "rows", "on_conflict": "update", "key_columns": ["id"]}));
    let payload = "{\"id\":2,\"a\":2,\"b\":2}\n{\"id\":1,\"a\":5}\n{\"id\":2,\"b\":6}\n{\"id\":2,\"a\":7}\n{\"id\":1}";
    delivered(&bench.deliver(&settings, &facts(1, LINES), payload).await);
    assert_eq!(
        bench.sql("SELECT id, a, b FROM events ORDER BY id"),
        ["1|5|1", "2|7|6"]
    );
}

async fn a_later_row_may_bring_more_columns(bench: Bench) {
    bench.sql("CREATE TABLE events (id bigint PRIMARY KEY, a varchar(9), b varchar(9))");
    for (n, mode) in ["error", "ignore", "update"].into_iter().enumerate() {
        let key = if mode == "error" {
            json!([])
        } else {
            json!(["id"])
        };
        let settings =
            bench.settings(json!({"mode": "rows", "on_conflict": mode, "key_columns": key}));
        let payload = "{\"id\":1}\n{\"id\":2,\"a\":\"x\"}\n{\"b\":\"y\",\"id\":3}\n{\"id\":4}";
        delivered(
            &bench
                .deliver(&settings, &facts(n as i64, LINES), payload)
                .await,
        );
        let rows =
            bench.sql("SELECT id, COALESCE(a, '-'), COALESCE(b, '-') FROM events ORDER BY id");
        assert_eq!(rows, ["1|-|-", "2|x|-", "3|-|y", "4|-|-"], "{mode}");
        bench.sql("DELETE FROM events");
    }
    refused(
        &bench,
        json!({"mode": "rows"}),
        9,
        "{\"id\":1}\n{\"id\":2,\"c\":1}",
        &["row 2", "\"c\""],
    )
    .await;
}

async fn a_field_that_is_there_twice_is_refused(bench: Bench) {
    bench.sql("CREATE TABLE events (id bigint)");
    refused(
        &bench,
        json!({"mode": "rows"}),
        1,
        "{\"id\":1}\n{\"id\":2,\"id\":3}",
        &["row 2", "twice"],
    )
    .await;
}

async fn numbers_are_never_rounded(bench: Bench) {
    let double = if bench.engine == Engine::Postgres {
        "double precision"
    } else {
        "double"
    };
    bench.sql(&format!(
        "CREATE TABLE events (n bigint, p decimal(10,2), d {double}, r real)"
    ));
    let members = json!({"mode": "rows"});
    for (n, (column, value)) in [
        ("n", "1.5"),
        ("n", "9223372036854775808"),
        ("p", "1.005"),
        ("p", "\"1.005\""),
        ("p", "123456789.25"),
        ("d", "12345678901234567.89"),
        ("d", "1e400"),
    ]
    .into_iter()
    .enumerate()
    {
        let payload = format!("{{\"{column}\":1}}\n{{\"{column}\":{value}}}");
        refused(
            &bench,
            members.clone(),
            n as i64,
            &payload,
            &["row 2", &format!("column {column}")],
        )
        .await;
    }
    let exact =
        "{\"n\":-9223372036854775808,\"p\":12345678.9,\"d\":0.30000000000000004,\"r\":0.25}";
    delivered(
        &bench
            .deliver(&bench.settings(members), &facts(50, LINES), exact)
            .await,
    );
    assert_eq!(
        bench.sql("SELECT n, p, d, r FROM events"),
        ["-9223372036854775808|12345678.90|0.30000000000000004|0.25"]
    );
}

async fn a_table_is_made_that_keeps_every_number(bench: Bench) {
    let settings = bench.settings(json!({"mode": "rows", "create_table": true}));
    let payload = "{\"a\":10,\"b\":12345678901234567.89,\"c\":18446744073709551615,\"d\":null}\n{\"a\":10.75,\"b\":1,\"c\":0,\"d\":5}";
    delivered(&bench.deliver(&settings, &facts(1, LINES), payload).await);
    delivered(
        &bench
            .deliver(
                &settings,
                &facts(2, LINES),
                "{\"a\":0.125,\"b\":-1e-9,\"c\":1,\"d\":6.5}",
            )
            .await,
    );
    let sums = bench.sql(
        "SELECT SUM(a) = 20.875, SUM(b) = 12345678901234568.889999999, SUM(c) = \
         18446744073709551616 FROM events",
    );
    assert!(sums == ["t|t|t"] || sums == ["1|1|1"], "{sums:?}");
    assert_eq!(
        bench.sql("SELECT count(*) FROM events WHERE d IS NULL"),
        ["1"]
    );
    assert_eq!(
        bench.sql("SELECT count(*) FROM events WHERE d + 0 IN (5, 6.5)"),
        ["2"]
    );
}

async fn a_table_is_made_for_values_of_several_types(bench: Bench) {
    let settings = bench.settings(json!({"mode": "rows", "create_table": true}));
    let payload = "{\"a\":null,\"b\":\"x\",\"c\":1,\"d\":true}\n{\"a\":5,\"b\":7,\"c\":\"y\",\"d\":1.50}\n{\"a\":6,\"b\":false,\"c\":null,\"e\":\"late\"}";
    delivered(&bench.deliver(&settings, &facts(1, LINES), payload).await);
    let rows = bench.sql(
        "SELECT COALESCE(b, '-'), COALESCE(c, '-'), COALESCE(d, '-'), COALESCE(e, '-') \
             FROM events ORDER BY COALESCE(a, 0)",
    );
    assert_eq!(rows, ["x|1|true|-", "7|y|1.50|-", "false|-|-|late"]);
}

async fn keys_that_differ_in_case_accents_or_spaces_stay_apart(bench: Bench) {
    let keys = [
        "in_1AbC", "in_1aBc", "é", "e", "e ", "É", "e\u{301}", "ß", "ss", "",
    ];
    let payload: String = keys
        .iter()
        .enumerate()
        .map(|(n, key)| format!("{}\n", json!({"id": key, "n": n})))
        .collect();
    for (n, mode) in ["error", "ignore", "update"].into_iter().enumerate() {
        let settings = bench.settings(json!({"mode": "rows", "create_table": true,
            "on_conflict": mode, "key_columns": ["id"]}));
        delivered(
            &bench
                .deliver(&settings, &facts(n as i64, LINES), payload.clone())
                .await,
        );
        assert_eq!(
            bench.sql("SELECT count(*) FROM events"),
            [keys.len().to_string()],
            "{mode}"
        );
        bench.sql("DELETE FROM events");
    }
    if bench.engine == Engine::Mysql {
        // A user's table may treat such keys as equal. The second row is then refused, and does not
        // overwrite the first.
        bench.sql(
            "DROP TABLE events; CREATE TABLE events (id varchar(20) COLLATE \
             utf8mb4_general_ci PRIMARY KEY, n int)",
        );
        for (n, mode) in ["ignore", "update"].into_iter().enumerate() {
            let members = json!({"mode": "rows", "on_conflict": mode, "key_columns": ["id"]});
            for (m, other) in ["in_1aBc", "ín_1AbC", "in_1AbC "].into_iter().enumerate() {
                let payload = format!(
                    "{{\"id\":\"in_1AbC\",\"n\":1}}\n{}",
                    json!({"id": other, "n": 2})
                );
                refused(
                    &bench,
                    members.clone(),
                    10 + 10 * n as i64 + m as i64,
                    &payload,
                    &["row 2"],
                )
                .await;
            }
        }
    }
}

async fn times_are_kept_or_refused(bench: Bench) {
    let (zoned, bare) = if bench.engine == Engine::Postgres {
        ("timestamptz", "timestamp")
    } else {
        ("timestamp(6) NULL", "datetime(6)")
    };
    bench.sql(&format!(
        "CREATE TABLE events (z {zoned}, b {bare}, d date)"
    ));
    let settings = bench.settings(json!({"mode": "rows"}));
    let payload = "{\"z\":\"2026-01-02T03:04:05.123456+02:00\",\"b\":\"2026-01-02T03:04:05+02:00\",\"d\":\"2026-01-02\"}\n\
        {\"z\":\"2026-01-02 03:04:05\",\"b\":\"2026-01-02T03:04:05.5Z\",\"d\":\"2026-01-02T00:00:00Z\"}";
    delivered(&bench.deliver(&settings, &facts(1, LINES), payload).await);
    let show = if bench.engine == Engine::Postgres {
        "SELECT (z AT TIME ZONE 'UTC')::text, b::text, d FROM events ORDER BY z"
    } else {
        "SET time_zone = '+00:00'; SELECT TRIM(TRAILING '.' FROM TRIM(TRAILING '0' FROM z)), \
         TRIM(TRAILING '.000000' FROM b), d FROM events ORDER BY z"
    };
    let rows = bench.sql(show);
    assert_eq!(rows.len(), 2);
    assert!(
        rows[0].starts_with("2026-01-02 01:04:05.123456|2026-01-02 01:04:05"),
        "{rows:?}"
    );
    assert!(
        rows[1].contains("|2026-01-02 03:04:05.5") && rows[1].ends_with("|2026-01-02"),
        "{rows:?}"
    );
    for (n, (column, value)) in [
        ("z", "2026-01-02T03:04:05.1234567Z"),
        ("b", "2026-01-02T03:04:05.1234567Z"),
        ("b", "now"),
        ("z", "2016-12-31T23:59:60Z"),
        ("d", "2026-01-02T03:04:05Z"),
        ("d", "2026-02-30"),
    ]
    .into_iter()
    .enumerate()
    {
        let payload = format!(
            "{{\"{column}\":null,\"d\":\"2026-01-01\"}}\n{}",
            json!({column: value})
        );
        let payload = payload.replace("\"d\":null,", "");
        refused(
            &bench,
            json!({"mode": "rows"}),
            10 + n as i64,
            &payload,
            &["row 2"],
        )
        .await;
    }
}

async fn texts_are_never_cut_off(bench: Bench) {
    let unicode = if bench.engine == Engine::Mysql {
        " CHARACTER SET utf8mb4"
    } else {
        ""
    };
    bench.sql(&format!(
        "CREATE TABLE events (v varchar(3), c char(3)){unicode}"
    ));
    for (n, (column, value)) in [("v", "abcd"), ("v", "abc "), ("c", "a "), ("c", "abcd")]
        .into_iter()
        .enumerate()
    {
        let payload = format!("{{\"v\":\"x\",\"c\":\"y\"}}\n{}", json!({column: value}));
        refused(
            &bench,
            json!({"mode": "rows"}),
            n as i64,
            &payload,
            &["row 2", &format!("column {column}")],
        )
        .await;
    }
    let settings = bench.settings(json!({"mode": "rows"}));
    delivered(
        &bench
            .deliver(
                &settings,
                &facts(20, LINES),
                json!({"v": "é 中", "c": "abc"}).to_string(),
            )
            .await,
    );
    assert_eq!(bench.sql("SELECT v, c FROM events"), ["é 中|abc"]);
}

async fn a_computed_column_takes_no_value(bench: Bench) {
    bench.sql("CREATE TABLE events (id bigint, twice bigint GENERATED ALWAYS AS (id * 2) STORED)");
    for (n, mode) in ["error", "ignore"].into_iter().enumerate() {
        let members = json!({"mode": "rows", "on_conflict": mode});
        refused(
            &bench,
            members,
            n as i64,
            "{\"id\":1}\n{\"id\":2,\"twice\":4}",
            &["row 2", "column twice"],
        )
        .await;
    }
    let settings = bench.settings(json!({"mode": "rows"}));
    delivered(
        &bench
            .deliver(&settings, &facts(9, LINES), "{\"id\":4}")
            .await,
    );
    assert_eq!(bench.sql("SELECT id, twice FROM events"), ["4|8"]);
}

async fn a_constraint_names_its_row_in_every_mode(bench: Bench) {
    bench.sql("CREATE TABLE owners (id bigint PRIMARY KEY); INSERT INTO owners VALUES (1)");
    bench.sql(
        "CREATE TABLE events (id bigint PRIMARY KEY, n bigint CHECK (n > 0), owner bigint, \
         FOREIGN KEY (owner) REFERENCES owners (id))",
    );
    for (m, mode) in ["error", "ignore", "update"].into_iter().enumerate() {
        let key = if mode == "error" {
            json!([])
        } else {
            json!(["id"])
        };
        let members = json!({"mode": "rows", "on_conflict": mode, "key_columns": key});
        for (n, bad) in [
            json!({"id": 700, "n": 0, "owner": 1}),
            json!({"id": 700, "n": 1, "owner": 2}),
        ]
        .into_iter()
        .enumerate()
        {
            let mut rows: Vec<String> = (1..=1500)
                .map(|id| json!({"id": id, "n": id, "owner": 1}).to_string())
                .collect();
            rows[699] = bad.to_string();
            // PostgreSQL checks references at the end of a COPY and does not report the row.
            let words: &[&str] = if bench.engine == Engine::Postgres && mode == "error" && n == 1 {
                &["events"]
            } else {
                &["row 700"]
            };
            refused(
                &bench,
                members.clone(),
                10 * m as i64 + n as i64,
                &rows.join("\n"),
                words,
            )
            .await;
        }
    }
}

async fn a_quoted_empty_field_is_null_for_a_number(bench: Bench) {
    bench.sql("CREATE TABLE events (id bigint, p decimal(10,2), d date, t varchar(9))");
    let settings = bench.settings(json!({"mode": "rows"}));
    delivered(
        &bench
            .deliver(
                &settings,
                &facts(1, "text/csv"),
                "id,p,d,t\n\"1\",\"\",\"\",\"\"\n\"2\",\"1.50\",\"2026-01-02\",\"x\"\n",
            )
            .await,
    );
    let rows = bench
        .sql("SELECT id, COALESCE(p, -1), d IS NULL, COALESCE(t, 'null') FROM events ORDER BY id");
    let yes_no = if bench.engine == Engine::Postgres {
        ["t", "f"]
    } else {
        ["1", "0"]
    };
    assert_eq!(rows[1], format!("2|1.50|{}|x", yes_no[1]));
    assert!(rows[0].ends_with(&format!("|{}|", yes_no[0])), "{rows:?}");
    refused(
        &bench,
        json!({"mode": "rows"}),
        2,
        "{\"id\":1}\n{\"id\":\"\"}",
        &["row 2"],
    )
    .await;
}

async fn a_declared_charset_is_read(bench: Bench) {
    let unicode = if bench.engine == Engine::Mysql {
        " CHARACTER SET utf8mb4"
    } else {
        ""
    };
    bench.sql(&format!(
        "CREATE TABLE events (id bigint, t varchar(20)){unicode}"
    ));
    let settings = bench.settings(json!({"mode": "rows"}));
    let latin = b"id,t\n1,\"caf\xe9, M\xfcller\"\n".to_vec();
    delivered(
        &bench
            .deliver(
                &settings,
                &facts(1, "text/csv; charset=iso-8859-1"),
                latin.clone(),
            )
            .await,
    );
    let wide: Vec<u8> = "id,t\n2,中é\n"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    delivered(
        &bench
            .deliver(&settings, &facts(2, "text/csv; Charset=\"UTF-16LE\""), wide)
            .await,
    );
    delivered(
        &bench
            .deliver(
                &settings,
                &facts(3, "text/csv; charset=us-ascii"),
                "id,t\n3,é\n",
            )
            .await,
    );
    assert_eq!(
        bench.sql("SELECT id, t FROM events ORDER BY id"),
        ["1|café, Müller", "2|中é", "3|é"]
    );
    for (n, content_type) in [
        "text/csv",
        "text/csv; charset=utf-8",
        "text/csv; charset=klingon",
    ]
    .into_iter()
    .enumerate()
    {
        let attempted = bench
            .deliver(
                &settings,
                &facts(10 + n as i64, content_type),
                latin.clone(),
            )
            .await;
        assert_eq!(
            reason(&attempted),
            Reason::Rejected,
            "{content_type}: {}",
            attempted.detail
        );
    }
}

async fn whole_numbers_are_taken_in_any_notation(bench: Bench) {
    bench.sql("CREATE TABLE events (id bigint)");
    let settings = bench.settings(json!({"mode": "rows"}));
    delivered(
        &bench
            .deliver(
                &settings,
                &facts(1, JSON),
                r#"[{"id": 3.0}, {"id": 1e3}, {"id": "5.00"}, {"id": -12.50e2}]"#,
            )
            .await,
    );
    assert_eq!(
        bench.sql("SELECT id FROM events ORDER BY id"),
        ["-1250", "3", "5", "1000"]
    );
}
