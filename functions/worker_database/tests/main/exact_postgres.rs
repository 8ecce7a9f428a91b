//! Tests values that PostgreSQL would change and rows that it would drop silently.

use domain::Reason;
use serde_json::{Value, json};

use crate::bench::{Bench, delivered, facts, reason};

const LINES: &str = "application/x-ndjson";

#[tokio::test(flavor = "multi_thread")]
async fn no_value_is_read_as_another() {
    let bench = Bench::postgres();
    bench.sql(
        "CREATE DOMAIN document AS jsonb; CREATE DOMAIN cents AS numeric(8,2) CHECK (VALUE \
         >= 0); CREATE DOMAIN amount AS cents",
    );
    // The column's type, stored values with their notation, and refused values.
    type Case = (&'static str, Vec<(Value, &'static str)>, Vec<Value>);
    let cases: Vec<Case> = vec![
        (
            "int",
            vec![(json!(3.0), "3"), (json!("7"), "7")],
            vec![json!(1.5), json!("x"), json!(true), json!(3e10)],
        ),
        (
            "numeric(6,2)",
            vec![(json!(1.25), "1.25"), (json!("1.500"), "1.50")],
            vec![json!(1.255), json!(12345.5)],
        ),
        (
            "numeric",
            vec![(
                json!("12345678901234567890.123456789"),
                "12345678901234567890.123456789",
            )],
            vec![json!("x")],
        ),
        (
            "amount",
            vec![(json!(1.5), "1.50")],
            vec![json!(1.005), json!(-1)],
        ),
        ("money", vec![(json!(1.25), "$1.25")], vec![json!(1.255)]),
        ("real", vec![(json!(0.1), "0.1")], vec![json!(16777217)]),
        (
            "boolean",
            vec![(json!(true), "t"), (json!("no"), "f")],
            vec![json!("perhaps")],
        ),
        (
            "bit(3)",
            vec![(json!("101"), "101")],
            vec![json!(101), json!("10")],
        ),
        (
            "varchar(3)",
            vec![(json!("ab "), "ab ")],
            vec![json!("abc ")],
        ),
        ("char(3)", vec![(json!("abc"), "abc")], vec![json!("a ")]),
        (
            "name",
            vec![(json!("abc"), "abc")],
            vec![json!("x".repeat(64))],
        ),
        ("\"char\"", vec![(json!("a"), "a")], vec![json!("ab")]),
        (
            "bytea",
            vec![(json!("a\\b"), "\\x615c62"), (json!("\\x4142"), "\\x4142")],
            vec![],
        ),
        (
            "json",
            vec![(json!("text"), "\"text\""), (json!(1.50), "1.5")],
            vec![],
        ),
        (
            "document",
            vec![
                (json!("text"), "\"text\""),
                (json!({"a": [1]}), "{\"a\": [1]}"),
            ],
            vec![],
        ),
        (
            "text[]",
            vec![
                (json!(["a", "b,\"c", null]), "{a,\"b,\\\"c\",NULL}"),
                (json!([]), "{}"),
            ],
            vec![json!("x"), json!({"a": 1})],
        ),
        (
            "numeric(6,2)[]",
            vec![(json!([1, 2.5]), "{1.00,2.50}")],
            vec![json!([1.005])],
        ),
        (
            "jsonb[]",
            vec![(json!([{"a": 1}]), "{\"{\\\"a\\\": 1}\"}")],
            vec![],
        ),
        (
            "date",
            vec![(json!("2026-01-02"), "2026-01-02")],
            vec![
                json!("2026-01-02T03:04:05Z"),
                json!("today"),
                json!("31/12/26"),
            ],
        ),
        (
            "timestamp",
            vec![(json!("2026-01-02T03:04:05+02:00"), "2026-01-02 01:04:05")],
            vec![json!("now"), json!(1764000000)],
        ),
        (
            "timestamp(0)",
            vec![(json!("2026-01-02T03:04:05Z"), "2026-01-02 03:04:05")],
            vec![json!("2026-01-02T03:04:05.5Z")],
        ),
        (
            "time",
            vec![(json!("03:04:05"), "03:04:05")],
            vec![json!("03:04:05+02"), json!("2026-01-02T03:04:05")],
        ),
        (
            "interval",
            vec![
                (json!("1 day 02:00"), "1 day 02:00:00"),
                (json!("1.5 hours"), "01:30:00"),
                (json!("-1 2:00"), "-1 days +02:00:00"),
            ],
            vec![json!("0.1234567 seconds"), json!("0.1 year")],
        ),
        ("interval day to hour", vec![], vec![json!("1 day 02:30")]),
        (
            "tsrange",
            vec![(json!("[2026-01-02 03:00,)"), "[\"2026-01-02 03:00:00\",)")],
            vec![json!("[01/02/03,)")],
        ),
        (
            "numeric(4,1)[]",
            vec![(json!("[1.5, 2]"), "{1.5,2.0}")],
            vec![json!("{1.55}")],
        ),
        (
            "uuid",
            vec![(
                json!("A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11"),
                "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
            )],
            vec![json!("x")],
        ),
    ];
    let mut n = 0;
    for (sql_type, accepted, refused) in cases {
        bench.sql(&format!(
            "DROP TABLE IF EXISTS events; CREATE TABLE events (c {sql_type}, id int)"
        ));
        for (value, expected) in accepted {
            n += 1;
            delivered(
                &bench
                    .deliver(
                        &bench.settings(json!({"mode": "rows"})),
                        &facts(n, LINES),
                        json!({"c": value}).to_string(),
                    )
                    .await,
            );
            assert_eq!(
                bench.sql("SELECT c FROM events"),
                [expected],
                "{sql_type}: {value}"
            );
            bench.sql("DELETE FROM events");
        }
        for (value, mode) in refused
            .iter()
            .flat_map(|value| [(value, "error"), (value, "ignore")])
        {
            n += 1;
            let settings = bench.settings(json!({"mode": "rows", "on_conflict": mode}));
            let attempted = bench
                .deliver(&settings, &facts(n, LINES), json!({"c": value}).to_string())
                .await;
            assert_eq!(
                reason(&attempted),
                Reason::Rejected,
                "{sql_type} {value}: {}",
                attempted.detail
            );
            assert!(
                attempted.detail.contains("row 1, column c"),
                "{sql_type} {value}: {}",
                attempted.detail
            );
            assert_eq!(bench.sql("SELECT count(*) FROM events"), ["0"]);
        }
    }
}

/// Amounts are stored as whole numbers of the smallest unit of the locale: cents in Germany, yen in
/// Japan.
#[tokio::test(flavor = "multi_thread")]
async fn the_locale_and_styles_of_a_database_change_no_value() {
    let bench = Bench::postgres();
    bench.sql("CREATE TABLE events (c money, many money[], i interval, d date)");
    let row = r#"{"c":12.50,"many":[-1.25],"i":"-1 2:00","d":"2026-01-02"}"#;
    let settings = bench.settings(json!({"mode": "rows"}));
    for (n, (name, value)) in [
        ("lc_monetary", "de_DE.UTF-8"),
        ("IntervalStyle", "sql_standard"),
        ("DateStyle", "SQL, DMY"),
        ("array_nulls", "off"),
    ]
    .into_iter()
    .enumerate()
    {
        bench.admin(&format!(
            "ALTER DATABASE {} SET {name} = '{value}'",
            bench.name
        ));
        delivered(&bench.deliver(&settings, &facts(n as i64, LINES), row).await);
        let stored = "SELECT c::numeric, many[1]::numeric, i = '-1 day 2 hours', d = '2026-01-02' \
                      FROM events";
        let select = format!("SET IntervalStyle = postgres; SET array_nulls = on; {stored}");
        assert_eq!(bench.sql(&select), ["12.50|-1.25|t|t"], "{name}");
        bench.sql("DELETE FROM events");
    }
    bench.admin(&format!(
        "ALTER DATABASE {} SET lc_monetary = 'ja_JP.UTF-8'",
        bench.name
    ));
    let attempted = bench.deliver(&settings, &facts(8, LINES), row).await;
    assert_eq!(reason(&attempted), Reason::Rejected, "{}", attempted.detail);
    delivered(
        &bench
            .deliver(&settings, &facts(9, LINES), r#"{"c":1250}"#)
            .await,
    );
    assert_eq!(bench.sql("SELECT c::numeric FROM events"), ["1250"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn members_that_an_object_has_twice_are_refused_where_one_would_be_lost() {
    let bench = Bench::postgres();
    bench.sql("CREATE TABLE events (b jsonb, j json)");
    let settings = bench.settings(json!({"mode": "rows"}));
    let attempted = bench
        .deliver(
            &settings,
            &facts(1, LINES),
            "{\"j\":{}}\n{\"b\":{\"a\":1,\"a\":2}}",
        )
        .await;
    assert_eq!(reason(&attempted), Reason::Rejected);
    assert!(
        attempted.detail.contains("row 2, column b"),
        "{}",
        attempted.detail
    );
    delivered(
        &bench
            .deliver(&settings, &facts(2, LINES), "{\"j\":{\"a\":1,\"a\":2}}")
            .await,
    );
    assert_eq!(bench.sql("SELECT j FROM events"), [r#"{"a":1,"a":2}"#]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_a_trigger_or_rule_drops_is_refused_with_its_number() {
    let bench = Bench::postgres();
    bench.sql(
        "CREATE TABLE events (id int PRIMARY KEY, n int); CREATE FUNCTION skip() RETURNS trigger LANGUAGE plpgsql AS \
         'BEGIN IF NEW.n < 0 THEN RETURN NULL; END IF; RETURN NEW; END'; \
         CREATE TRIGGER skip BEFORE INSERT OR UPDATE ON events FOR EACH ROW EXECUTE FUNCTION skip()",
    );
    for (n, mode) in ["error", "update"].into_iter().enumerate() {
        let key = if mode == "error" {
            json!([])
        } else {
            json!(["id"])
        };
        let settings =
            bench.settings(json!({"mode": "rows", "on_conflict": mode, "key_columns": key}));
        let attempted = bench
            .deliver(
                &settings,
                &facts(n as i64, LINES),
                "{\"id\":1,\"n\":1}\n{\"id\":2,\"n\":-1}",
            )
            .await;
        assert_eq!(reason(&attempted), Reason::Rejected, "{}", attempted.detail);
        assert!(attempted.detail.contains("row 2"), "{}", attempted.detail);
        assert_eq!(bench.sql("SELECT count(*) FROM events"), ["0"]);
    }
    bench.sql(
        "DROP TRIGGER skip ON events; CREATE RULE nothing AS ON INSERT TO events DO INSTEAD \
         NOTHING",
    );
    let attempted = bench
        .deliver(
            &bench.settings(json!({"mode": "rows"})),
            &facts(5, LINES),
            "{\"id\":1,\"n\":1}",
        )
        .await;
    assert_eq!(reason(&attempted), Reason::Rejected, "{}", attempted.detail);
}

#[tokio::test(flavor = "multi_thread")]
async fn constraints_that_are_checked_at_the_end_refuse_the_delivery() {
    let bench = Bench::postgres();
    bench.sql("CREATE TABLE owners (id int PRIMARY KEY)");
    bench.sql("CREATE TABLE events (owner int REFERENCES owners DEFERRABLE INITIALLY DEFERRED)");
    let attempted = bench
        .deliver(
            &bench.settings(json!({"mode": "rows"})),
            &facts(1, LINES),
            "{\"owner\":1}",
        )
        .await;
    assert_eq!(reason(&attempted), Reason::Rejected, "{}", attempted.detail);
    assert_eq!(bench.sql("SELECT count(*) FROM waybill_deliveries"), ["0"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_go_through_partitions_identities_and_case_blind_keys() {
    let bench = Bench::postgres();
    bench.sql(
        "CREATE TABLE events (id int, n int) PARTITION BY RANGE (id); CREATE TABLE first \
         PARTITION OF events FOR VALUES FROM (0) TO (10)",
    );
    let settings = bench.settings(json!({"mode": "rows"}));
    delivered(
        &bench
            .deliver(&settings, &facts(1, LINES), "{\"id\":1}")
            .await,
    );
    let attempted = bench
        .deliver(&settings, &facts(2, LINES), "{\"id\":2}\n{\"id\":12}")
        .await;
    assert_eq!(reason(&attempted), Reason::Rejected);
    assert!(attempted.detail.contains("row 2"), "{}", attempted.detail);

    bench.sql("CREATE TABLE numbered (id int GENERATED ALWAYS AS IDENTITY, n int)");
    let settings = bench.settings(json!({"mode": "rows", "table": "numbered"}));
    delivered(
        &bench
            .deliver(&settings, &facts(3, LINES), "{\"n\":1}")
            .await,
    );
    let attempted = bench
        .deliver(&settings, &facts(4, LINES), "{\"n\":1,\"id\":9}")
        .await;
    assert_eq!(reason(&attempted), Reason::Rejected);
    assert!(
        attempted.detail.contains("row 1, column id"),
        "{}",
        attempted.detail
    );

    bench.sql(
        "CREATE COLLATION blind (provider = icu, locale = 'und-u-ks-level2', deterministic \
         = false)",
    );
    bench.sql("CREATE TABLE people (name text COLLATE blind PRIMARY KEY, n int)");
    let settings = bench.settings(
        json!({"mode": "rows", "table": "people", "on_conflict": "update",
        "key_columns": ["name"]}),
    );
    delivered(
        &bench
            .deliver(
                &settings,
                &facts(5, LINES),
                "{\"name\":\"Bob\",\"n\":1}\n{\"name\":\"Bob\",\"n\":2}",
            )
            .await,
    );
    let attempted = bench
        .deliver(
            &settings,
            &facts(6, LINES),
            "{\"name\":\"Al\",\"n\":1}\n{\"name\":\"bob\",\"n\":3}",
        )
        .await;
    assert_eq!(reason(&attempted), Reason::Rejected, "{}", attempted.detail);
    assert!(attempted.detail.contains("row 2"), "{}", attempted.detail);
    assert_eq!(bench.sql("SELECT name, n FROM people"), ["Bob|2"]);
}
