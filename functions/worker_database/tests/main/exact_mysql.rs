//! Tests values that MySQL would change silently.

use domain::Reason;
use serde_json::{Value, json};

use crate::bench::{Bench, delivered, facts, reason};

const LINES: &str = "application/x-ndjson";

async fn stored(bench: &Bench, n: i64, row: Value, select: &str) -> Vec<String> {
    bench.sql("DELETE FROM events");
    delivered(
        &bench
            .deliver(
                &bench.settings(json!({"mode": "rows"})),
                &facts(n, LINES),
                row.to_string(),
            )
            .await,
    );
    bench.sql(&format!("SELECT {select} FROM events"))
}

async fn is_refused(bench: &Bench, n: i64, row: Value) {
    bench.sql("DELETE FROM events");
    let attempted = bench
        .deliver(
            &bench.settings(json!({"mode": "rows"})),
            &facts(n, LINES),
            row.to_string(),
        )
        .await;
    assert_eq!(
        reason(&attempted),
        Reason::Rejected,
        "{row}: {}",
        attempted.detail
    );
    assert!(
        attempted.detail.contains("row 1, column c"),
        "{row}: {}",
        attempted.detail
    );
    assert_eq!(bench.sql("SELECT count(*) FROM events"), ["0"], "{row}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_value_is_read_as_another() {
    let bench = Bench::mysql();
    // The column's type, stored values with their notation, and refused values.
    type Case = (
        &'static str,
        &'static str,
        Vec<(Value, &'static str)>,
        Vec<Value>,
    );
    let cases: Vec<Case> = vec![
        (
            "bit(8)",
            "c + 0",
            vec![(json!(5), "5"), (json!(true), "1"), (json!("255"), "255")],
            vec![json!(256), json!("a"), json!(1.5), json!(-1)],
        ),
        (
            "enum('false','true','1')",
            "c",
            vec![(json!(true), "true"), (json!(1), "1")],
            vec![json!(2), json!("TRUE"), json!("x"), json!("")],
        ),
        (
            "set('p','q')",
            "c",
            vec![(json!("p,q"), "p,q"), (json!(["q"]), "q"), (json!(""), "")],
            vec![json!(3), json!("P"), json!(["r"])],
        ),
        (
            "int",
            "c",
            vec![(json!(0), "0"), (json!("7"), "7"), (json!(2.0), "2")],
            vec![json!(1.5), json!("1x"), json!(3e10), json!({"a": 1})],
        ),
        (
            "int unsigned",
            "c",
            vec![(json!(4294967295u32), "4294967295")],
            vec![json!(-1), json!(4294967296u64)],
        ),
        (
            "tinyint(1)",
            "c",
            vec![(json!(true), "1"), (json!("false"), "0"), (json!(5), "5")],
            vec![json!("yes"), json!(300)],
        ),
        (
            "bigint unsigned",
            "c",
            vec![(json!(u64::MAX), "18446744073709551615")],
            vec![],
        ),
        (
            "decimal(6,2)",
            "c",
            vec![(json!(1.25), "1.25"), (json!("1.500"), "1.50")],
            vec![json!(1.255), json!(12345.5), json!("x")],
        ),
        (
            "float",
            "c",
            vec![(json!(0.5), "0.5")],
            vec![json!(16777217), json!(0.123456789)],
        ),
        (
            "float(7,2)",
            "c",
            vec![(json!(0.25), "0.25")],
            vec![json!(0.255)],
        ),
        (
            "year",
            "c",
            vec![(json!(1995), "1995"), (json!("2026"), "2026")],
            vec![json!(95), json!("5"), json!(1800)],
        ),
        (
            "date",
            "c",
            vec![(json!("2026-01-02"), "2026-01-02")],
            vec![
                json!("0000-00-00"),
                json!("2026-00-01"),
                json!("26-01-02"),
                json!(20260102),
            ],
        ),
        (
            "datetime",
            "c",
            vec![(json!("2026-01-02T03:04:05Z"), "2026-01-02 03:04:05")],
            vec![json!("2026-01-02T03:04:05.5Z"), json!(20260102030405u64)],
        ),
        (
            "timestamp null",
            "c",
            vec![(json!("1990-01-02T03:04:05Z"), "1990-01-02 03:04:05")],
            vec![json!("1960-01-02T03:04:05Z"), json!("2300-01-01T00:00:00Z")],
        ),
        (
            "timestamp not null default current_timestamp",
            "c",
            vec![],
            vec![Value::Null],
        ),
        (
            "time",
            "c",
            vec![
                (json!("11:12:13"), "11:12:13"),
                (json!("-100:00:00"), "-100:00:00"),
            ],
            vec![json!("1112"), json!(1112), json!("11:12:13.5")],
        ),
        (
            "char(5)",
            "c",
            vec![(json!("ab"), "ab")],
            vec![json!("ab "), json!("abcdef")],
        ),
        (
            "varchar(3)",
            "c",
            vec![(json!("ab "), "ab ")],
            vec![json!("abc "), json!("abcd")],
        ),
        (
            "binary(4)",
            "c",
            vec![(json!("abcd"), "abcd")],
            vec![json!("ab"), json!("abcde")],
        ),
        (
            "varbinary(3)",
            "c",
            vec![(json!("ab "), "ab ")],
            vec![json!("abc "), json!("abcd")],
        ),
        (
            "varchar(9) character set latin1",
            "c",
            vec![(json!("café"), "café")],
            vec![json!("中")],
        ),
        (
            "tinytext",
            "c",
            vec![(json!(true), "true"), (json!(1.50), "1.5")],
            vec![json!(format!("{}    ", "x".repeat(255)))],
        ),
        ("json", "c", vec![(json!({"a": 1}), "{\"a\":1}")], vec![]),
    ];
    let mut n = 0;
    for (sql_type, select, accepted, refused) in cases {
        bench.sql(&format!(
            "DROP TABLE IF EXISTS events; CREATE TABLE events (c {sql_type})"
        ));
        for (value, expected) in accepted {
            n += 1;
            assert_eq!(
                stored(&bench, n, json!({"c": value}), select).await,
                [expected],
                "{sql_type}: {value}"
            );
        }
        for value in refused {
            n += 1;
            is_refused(&bench, n, json!({"c": value})).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn zero_is_an_id_like_any_other() {
    let bench = Bench::mysql();
    bench.sql("CREATE TABLE events (id int AUTO_INCREMENT PRIMARY KEY, n int)");
    assert_eq!(
        stored(&bench, 1, json!({"id": 0, "n": 1}), "id, n").await,
        ["0|1"]
    );
    assert_eq!(stored(&bench, 2, json!({"n": 1}), "n").await, ["1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_without_a_partition_is_rejected_with_its_number() {
    let bench = Bench::mysql();
    bench.sql(
        "CREATE TABLE events (c int) PARTITION BY RANGE (c) (PARTITION p VALUES LESS THAN (10))",
    );
    let settings = bench.settings(json!({"mode": "rows"}));
    let attempted = bench
        .deliver(&settings, &facts(1, LINES), "{\"c\":1}\n{\"c\":10}")
        .await;
    assert_eq!(reason(&attempted), Reason::Rejected, "{}", attempted.detail);
    assert!(attempted.detail.contains("row 2"), "{}", attempted.detail);
}

#[tokio::test(flavor = "multi_thread")]
async fn versioned_tables_and_backticked_names_take_rows() {
    let bench = Bench::mysql();
    bench.sql("CREATE TABLE `odd.name` (id int PRIMARY KEY, n int) WITH SYSTEM VERSIONING");
    let table = format!("`{}`.`odd.name`", bench.name);
    let settings = bench.settings(
        json!({"mode": "rows", "table": table, "on_conflict": "update", "key_columns": ["id"]}),
    );
    delivered(
        &bench
            .deliver(&settings, &facts(1, LINES), "{\"id\":1,\"n\":1}")
            .await,
    );
    delivered(
        &bench
            .deliver(&settings, &facts(2, LINES), "{\"id\":1,\"n\":2}")
            .await,
    );
    assert_eq!(bench.sql("SELECT id, n FROM `odd.name`"), ["1|2"]);
    assert_eq!(
        bench.sql("SELECT count(*) FROM `odd.name` FOR SYSTEM_TIME ALL"),
        ["2"]
    );
}
