//! Tests generated rows in every mode: they are stored as they were sent, or the delivery is
//! refused and nothing is written.

use std::cell::Cell;
use std::collections::BTreeMap;

use domain::Reason;
use domain::settings::database::Engine;
use domain::settle::Outcome;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Map, Value, json};

use crate::bench::{Bench, facts, reason};

/// The number of payloads for each engine. Each is delivered in every mode.
const CASES: u32 = 24;
const MODES: [&str; 3] = ["error", "ignore", "update"];

/// A stored row: its fields without nulls.
type Stored = BTreeMap<String, Value>;

/// Generates keys that are easily confused.
fn key() -> impl Strategy<Value = String> {
    const ALIKE: &[&str] = &[
        "a",
        "A",
        "á",
        "a ",
        "a\u{301}",
        "ss",
        "ß",
        "in_1AbC",
        "in_1aBc",
        "",
        " ",
        "\\N",
        "\t",
        "a\\",
        "\u{1F600}",
        "i",
        "İ",
        "ı",
    ];
    prop_oneof![3 => proptest::sample::select(ALIKE).prop_map(str::to_owned), 1 => "\\PC{0,12}"]
}

fn text() -> impl Strategy<Value = Value> {
    prop_oneof![
        2 => "\\PC{0,40}".prop_map(Value::from),
        1 => "[a\\\\\t\n\r'\"{},;\u{1F600}é ]{0,20}".prop_map(Value::from),
        1 => (1..6usize).prop_map(|n| json!("x".repeat(n * 20_000))),
    ]
}

fn number() -> impl Strategy<Value = Value> {
    const WIDE: &[&str] = &[
        "18446744073709551615",
        "12345678901234567.89",
        "0.000000000000000000000000000001",
        "-1e20",
        "10",
        "10.75",
        "-0.5",
    ];
    prop_oneof![
        any::<i64>().prop_map(Value::from),
        proptest::sample::select(WIDE).prop_map(|text| json!({"$number": text})),
    ]
}

/// Generates a field's value. The outer `None` leaves the field out.
fn field(value: impl Strategy<Value = Value> + 'static) -> impl Strategy<Value = Option<Value>> {
    prop_oneof![4 => value.prop_map(Some), 1 => Just(Some(Value::Null)), 1 => Just(None)]
}

fn document() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        any::<i32>().prop_map(Value::from),
        "\\PC{0,9}".prop_map(Value::from),
        any::<bool>().prop_map(Value::from)
    ];
    prop_oneof![
        proptest::collection::vec(leaf.clone(), 0..4).prop_map(Value::from),
        proptest::collection::btree_map("[a-e]", leaf, 0..4)
            .prop_map(|map| Value::Object(map.into_iter().collect())),
    ]
}

fn row() -> impl Strategy<Value = Map<String, Value>> {
    let fields = (
        key(),
        field(key().prop_map(Value::from)),
        field(text()),
        field(number()),
        field(any::<bool>().prop_map(Value::from)),
        field(document()),
    );
    fields.prop_map(|(id, email, t, n, b, j)| {
        let optional = [("email", email), ("t", t), ("n", n), ("b", b), ("j", j)];
        let optional = optional
            .into_iter()
            .filter_map(|(name, value)| value.map(|value| (name.to_owned(), value)));
        std::iter::once(("id".to_owned(), Value::from(id)))
            .chain(optional)
            .collect()
    })
}

/// Returns the row as JSON, keeping the digits of its numbers.
fn written(row: &Map<String, Value>) -> String {
    let members =
        row.iter().map(
            |(name, value)| match value.get("$number").and_then(Value::as_str) {
                Some(digits) => format!("{}:{digits}", json!(name)),
                None => format!("{}:{value}", json!(name)),
            },
        );
    format!("{{{}}}\n", members.collect::<Vec<_>>().join(","))
}

fn canonical(row: &Map<String, Value>) -> Stored {
    let value = |value: &Value| match value {
        Value::Number(number) => json!(decimal(&number.to_string())),
        Value::Object(object) if object.contains_key("$number") => {
            json!(decimal(object["$number"].as_str().unwrap_or_default()))
        }
        other => other.clone(),
    };
    row.iter()
        .filter(|(_, value)| !value.is_null())
        .map(|(name, found)| (name.clone(), value(found)))
        .collect()
}

/// Returns a number without an exponent and without insignificant zeros.
fn decimal(text: &str) -> String {
    let (mantissa, power) = text
        .split_once(['e', 'E'])
        .map_or((text, 0), |(mantissa, power)| {
            (mantissa, power.parse::<usize>().unwrap())
        });
    let whole = format!("{mantissa}{}", "0".repeat(power));
    if whole.contains('.') {
        whole.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        whole
    }
}

/// The expected result of writing rows into an empty table.
enum Expected {
    /// The table has these rows. With `may_refuse`, two rows had the same e-mail at some point, so
    /// a refusal is also correct.
    Table {
        table: BTreeMap<String, Stored>,
        may_refuse: bool,
    },
    /// Two rows conflict, so the delivery fails.
    Refused,
}

fn expected(rows: &[Map<String, Value>], mode: &str) -> Expected {
    let mut table: BTreeMap<String, Stored> = BTreeMap::new();
    let mut may_refuse = false;
    for row in rows {
        let id = row["id"].as_str().unwrap().to_owned();
        let stored = canonical(row);
        match (table.get_mut(&id), mode) {
            (None, _) => drop(table.insert(id, stored)),
            (Some(_), "error") => return Expected::Refused,
            (Some(_), "ignore") => {}
            (Some(there), _) => {
                for name in row.keys() {
                    match stored.get(name) {
                        Some(value) => drop(there.insert(name.clone(), value.clone())),
                        None => drop(there.remove(name)),
                    }
                }
            }
        }
        may_refuse |= shares_an_email(&table);
    }
    if shares_an_email(&table) {
        Expected::Refused
    } else {
        Expected::Table { table, may_refuse }
    }
}

fn shares_an_email(table: &BTreeMap<String, Stored>) -> bool {
    let mut emails: Vec<&str> = table
        .values()
        .filter_map(|row| row.get("email")?.as_str())
        .collect();
    let count = emails.len();
    emails.sort_unstable();
    emails.dedup();
    emails.len() < count
}

/// Reads the table, with each text in hexadecimal digits.
fn found(bench: &Bench) -> BTreeMap<String, Stored> {
    let hex = |column: &str| match bench.engine {
        Engine::Postgres => {
            format!("COALESCE(encode(convert_to({column}::text, 'UTF8'), 'hex'), 'null')")
        }
        Engine::Mysql => format!("COALESCE(HEX({column}), 'null')"),
    };
    let columns = ["id", "email", "t", "j"].map(hex).join(", ");
    let lines = bench.sql(&format!(
        "SELECT {columns}, COALESCE(CAST(n AS char(80)), 'null'), \
             COALESCE(CAST(b AS char(5)), 'null') FROM events"
    ));
    let row = |line: String| {
        let parts: Vec<&str> = line.split('|').map(str::trim).collect();
        let [id, email, t, j, n, b] = parts.as_slice() else {
            panic!("{line}")
        };
        let mut row = Stored::new();
        for (name, digits) in [("id", id), ("email", email), ("t", t)] {
            row.extend(unhex(digits).map(|text| (name.to_owned(), Value::from(text))));
        }
        row.extend(unhex(j).map(|text| ("j".to_owned(), serde_json::from_str(&text).unwrap())));
        row.extend((*n != "null").then(|| ("n".to_owned(), Value::from(decimal(n)))));
        row.extend((*b != "null").then(|| {
            (
                "b".to_owned(),
                Value::from(matches!(*b, "1" | "true" | "t")),
            )
        }));
        row
    };
    lines
        .into_iter()
        .map(row)
        .map(|row| (row["id"].as_str().unwrap().to_owned(), row))
        .collect()
}

fn unhex(digits: &str) -> Option<String> {
    if digits == "null" {
        return None;
    }
    let bytes = (0..digits.len() / 2)
        .map(|at| u8::from_str_radix(&digits[2 * at..2 * at + 2], 16).unwrap());
    Some(String::from_utf8(bytes.collect()).unwrap())
}

fn table(engine: Engine) -> &'static str {
    match engine {
        Engine::Postgres => {
            "CREATE TABLE events (id text PRIMARY KEY, email text UNIQUE, t text, n numeric, b \
             boolean, j jsonb)"
        }
        Engine::Mysql => {
            "CREATE TABLE events (id varchar(60) COLLATE utf8mb4_nopad_bin PRIMARY KEY, email varchar(60) COLLATE utf8mb4_nopad_bin UNIQUE, \
             t longtext, n decimal(65,30), b boolean, j json) CHARACTER SET utf8mb4"
        }
    }
}

fn run(bench: Bench) {
    let runtime = tokio::runtime::Handle::current();
    let mut runner = TestRunner::new(Config {
        cases: CASES,
        failure_persistence: None,
        ..Config::default()
    });
    let n = Cell::new(0);
    bench.sql(table(bench.engine));
    let (compared, refused) = (Cell::new(0), Cell::new(0));
    let tested = runner.run(&proptest::collection::vec(row(), 1..12), |rows| {
        let payload: String = rows.iter().map(written).collect();
        for mode in MODES {
            n.set(n.get() + 1);
            bench.sql("DELETE FROM events");
            let key = if mode == "error" {
                json!([])
            } else {
                json!(["id"])
            };
            let settings =
                bench.settings(json!({"mode": "rows", "on_conflict": mode, "key_columns": key}));
            let attempted = runtime.block_on(bench.deliver(
                &settings,
                &facts(n.get(), "application/x-ndjson"),
                payload.clone(),
            ));
            let there = found(&bench);
            match (expected(&rows, mode), &attempted.outcome) {
                (Expected::Table { table, .. }, Outcome::Delivered(_)) => {
                    compared.set(compared.get() + 1);
                    prop_assert_eq!(there, table, "{}: {}", mode, payload);
                }
                (Expected::Refused, Outcome::Delivered(_)) => {
                    prop_assert!(false, "{}: was not refused: {}", mode, payload)
                }
                (expected, _) => {
                    refused.set(refused.get() + 1);
                    let is_right = !matches!(
                        expected,
                        Expected::Table {
                            may_refuse: false,
                            ..
                        }
                    );
                    prop_assert!(
                        is_right,
                        "{}: was refused: {}: {}",
                        mode,
                        attempted.detail,
                        payload
                    );
                    prop_assert_eq!(reason(&attempted), Reason::Rejected);
                    prop_assert!(attempted.detail.contains("row "), "{}", attempted.detail);
                    prop_assert!(there.is_empty());
                }
            }
        }
        Ok(())
    });
    tested.unwrap_or_else(|failure| panic!("{failure}"));
    println!(
        "{}: {} deliveries compared, {} refused",
        bench.name,
        compared.get(),
        refused.get()
    );
    assert!(compared.get() > 0 && refused.get() > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_stores_the_values_that_were_sent() {
    let bench = Bench::postgres();
    tokio::task::spawn_blocking(move || run(bench))
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn mysql_stores_the_values_that_were_sent() {
    let bench = Bench::mysql();
    tokio::task::spawn_blocking(move || run(bench))
        .await
        .unwrap();
}
