use std::time::Duration;

use domain::settings::database::{DatabaseSettings, Engine};
use domain::settle::Outcome;
use serde_json::json;
use worker::Attempted;

use crate::bench::{Bench, delivered, facts};
use crate::cut::{Cut, Wire};

crate::for_each_engine! {
    documents_are_there_once_wherever_the_wire_is_cut,
    rows_are_there_once_wherever_the_wire_is_cut,
    updated_rows_are_there_once_wherever_the_wire_is_cut,
    a_late_attempt_says_that_nothing_was_written_only_where_that_is_known,
    a_dropped_delivery_leaves_nothing_half_written,
    two_attempts_at_once_write_once,
    two_first_deliveries_at_once_are_both_written,
    a_repeat_of_rows_changes_nothing,
    attempts_one_after_another_need_one_session,
}

/// More messages than any delivery here has.
const MESSAGES_MAX: usize = 200;
/// How often all messages are tried until no answer to a commit is received.
const ROUNDS_MAX: usize = 5;
const ROWS: usize = 3 * 512 + 9;

async fn documents_are_there_once_wherever_the_wire_is_cut(bench: Bench) {
    let settings = bench.settings(json!({"create_table": true}));
    let facts_of = |n| facts(n, "application/json");
    delivered(&bench.deliver(&settings, &facts_of(0), "0").await);
    let count = |n: i64| {
        bench.sql(&format!(
            "SELECT count(*) FROM events WHERE delivery_id = '{}'",
            facts_of(n).delivery
        ))
    };
    everywhere(
        &bench,
        &settings,
        "application/json",
        |_| "1".to_owned(),
        |n, rows| assert_eq!(count(n), [rows.min(1).to_string()]),
    )
    .await;
}

async fn rows_are_there_once_wherever_the_wire_is_cut(bench: Bench) {
    bench.sql("CREATE TABLE events (delivery bigint, id bigint, label varchar(200))");
    let settings = bench.settings(json!({"mode": "rows"}));
    let count = |n: i64| bench.sql(&format!("SELECT count(*) FROM events WHERE delivery = {n}"));
    everywhere(&bench, &settings, "text/csv", csv, |n, rows| {
        assert_eq!(count(n), [rows.to_string()])
    })
    .await;
}

async fn updated_rows_are_there_once_wherever_the_wire_is_cut(bench: Bench) {
    bench.sql(
        "CREATE TABLE events (delivery bigint, id bigint, label varchar(200), PRIMARY KEY \
         (delivery, id))",
    );
    let settings = bench.settings(
        json!({"mode": "rows", "on_conflict": "update", "key_columns": ["delivery", "id"]}),
    );
    let count = |n: i64| bench.sql(&format!("SELECT count(*) FROM events WHERE delivery = {n}"));
    everywhere(&bench, &settings, "text/csv", csv, |n, rows| {
        assert_eq!(count(n), [rows.to_string()])
    })
    .await;
}

fn csv(n: i64) -> String {
    let label = "x".repeat(100);
    let rows: String = (0..ROWS).map(|id| format!("{n},{id},{label}\n")).collect();
    format!("delivery,id,label\n{rows}")
}

/// Cuts the connection before and after every message. A delivery that failed is repeated over a
/// connection that is not cut. `holds` receives the number of rows that the delivery may have.
async fn everywhere(
    bench: &Bench,
    settings: &DatabaseSettings,
    content_type: &str,
    payload: impl Fn(i64) -> String,
    holds: impl Fn(i64, usize),
) {
    let mut cuts = 0;
    for message in 1..MESSAGES_MAX {
        let mut is_through = false;
        for (n, cut) in [
            (2 * message, Cut::Before(message)),
            (2 * message + 1, Cut::After(message)),
        ] {
            let n = n as i64;
            let wire = Wire::to(bench.port(), cut).await;
            let over_wire = DatabaseSettings {
                port: Some(wire.port),
                ..settings.clone()
            };
            let facts = facts(n, content_type);
            let attempted = bench.deliver(&over_wire, &facts, payload(n)).await;
            match attempted.outcome {
                Outcome::Delivered(_) => is_through = true,
                Outcome::Retry(_) => cuts += 1,
                other => panic!("{cut:?}: {other:?}: {}", attempted.detail),
            }
            delivered(&bench.deliver(settings, &facts, payload(n)).await);
            holds(n, ROWS);
            is_through |= wire.sent() < message;
        }
        if is_through {
            assert!(cuts >= 16, "the wire was cut {cuts} times");
            println!("{content_type}: cut {cuts} times");
            return;
        }
    }
    panic!("a delivery has more than {MESSAGES_MAX} messages");
}

async fn a_late_attempt_says_that_nothing_was_written_only_where_that_is_known(bench: Bench) {
    bench.sql("CREATE TABLE events (delivery bigint, id bigint, label varchar(200))");
    let rows = bench.settings(json!({"mode": "rows"}));
    let documents = bench.settings(json!({"table": "documents", "create_table": true}));
    let of_rows = |n: i64| format!("SELECT count(*) FROM events WHERE delivery = {n}");
    let of_documents = |n: i64| {
        format!(
            "SELECT count(*) FROM documents WHERE delivery_id = '{}'",
            facts(n, "text/csv").delivery
        )
    };
    silent_everywhere(&bench, &rows, of_rows).await;
    silent_everywhere(&bench, &documents, of_documents).await;
}

/// Lets the server act on every message of a delivery in turn, without an answer before the
/// deadline or before the connection is cut.
async fn silent_everywhere(
    bench: &Bench,
    settings: &DatabaseSettings,
    count: impl Fn(i64) -> String,
) {
    // The first delivery creates tables that later ones find.
    delivered(&bench.deliver(settings, &facts(0, "text/csv"), csv(0)).await);
    let attempt = async |n: i64, cut| {
        let wire = Wire::to(bench.port(), cut).await;
        let over_wire = DatabaseSettings {
            port: Some(wire.port),
            timeout_seconds: 3,
            ..settings.clone()
        };
        (
            bench
                .deliver(&over_wire, &facts(n, "text/csv"), csv(n))
                .await,
            wire.sent(),
        )
    };
    // Returns whether the rows were written although the attempt received no answer.
    let is_withheld = async |n: i64, cut: Cut, attempted: &Attempted| {
        if let Outcome::Delivered(_) = attempted.outcome {
            return false;
        }
        assert!(
            matches!(attempted.outcome, Outcome::Retry(_)),
            "{cut:?}: {attempted:?}"
        );
        let is_written = bench.sql(&count(n)) != ["0"];
        let says_nothing = attempted.detail.contains("nothing was written");
        let says_unknown = attempted.detail.contains("may have been written");
        assert!(
            !(says_nothing && says_unknown),
            "{cut:?}: {}",
            attempted.detail
        );
        assert!(
            !is_written || says_unknown,
            "{cut:?}: written, but the detail is: {}",
            attempted.detail
        );
        delivered(&bench.deliver(settings, &facts(n, "text/csv"), csv(n)).await);
        is_written
    };
    let (whole, messages) = attempt(1, Cut::Before(MESSAGES_MAX)).await;
    delivered(&whole);
    let mut withheld = 0;
    let mut numbers = 2_i64..;
    // A busy machine may read two messages as one, so the commit is not the same message each time:
    // the messages are tried in turn, again if necessary, until no answer to a commit is received.
    for _ in 0..ROUNDS_MAX {
        for message in 1..MESSAGES_MAX {
            let (n, cut) = (numbers.next().unwrap(), Cut::After(message));
            let attempted = attempt(n, cut).await.0;
            withheld += usize::from(is_withheld(n, cut, &attempted).await);
            if let Outcome::Delivered(_) = attempted.outcome {
                break;
            }
        }
        if withheld > 0 {
            break;
        }
    }
    // At the same time, because each takes until its deadline. They wait for each other's locks, so
    // not all reach the commit.
    let silent = numbers.zip(1..=messages + 5).map(async |(n, message)| {
        let cut = Cut::Silent(message);
        (n, cut, attempt(n, cut).await.0)
    });
    for (n, cut, attempted) in futures_util::future::join_all(silent).await {
        withheld += usize::from(is_withheld(n, cut, &attempted).await);
    }
    assert!(withheld > 0, "no answer to a commit was withheld");
}

async fn a_dropped_delivery_leaves_nothing_half_written(bench: Bench) {
    bench.sql("CREATE TABLE events (delivery bigint, id bigint, label varchar(200))");
    let settings = bench.settings(json!({"mode": "rows"}));
    for n in 0..25 {
        let facts = facts(n, "text/csv");
        let within = Duration::from_millis(4 * n.unsigned_abs());
        let finished = tokio::time::timeout(within, bench.deliver(&settings, &facts, csv(n)))
            .await
            .is_ok();
        let there: usize = bench.sql(&format!("SELECT count(*) FROM events WHERE delivery = {n}"))
            [0]
        .parse()
        .unwrap();
        assert!(there == ROWS || (there == 0 && !finished), "{there}");
        delivered(&bench.deliver(&settings, &facts, csv(n)).await);
        assert_eq!(
            bench.sql(&format!("SELECT count(*) FROM events WHERE delivery = {n}")),
            [ROWS.to_string()]
        );
    }
}

async fn two_attempts_at_once_write_once(bench: Bench) {
    bench.sql("CREATE TABLE events (delivery bigint, id bigint, label varchar(200))");
    let settings = bench.settings(json!({"mode": "rows"}));
    delivered(
        &bench
            .deliver(&settings, &facts(0, "text/csv"), csv(0))
            .await,
    );
    let facts = facts(1, "text/csv");
    let (one, other) = tokio::join!(
        bench.deliver(&settings, &facts, csv(1)),
        bench.deliver(&settings, &facts, csv(1))
    );
    delivered(&one);
    delivered(&other);
    assert_eq!(
        bench.sql("SELECT count(*) FROM events WHERE delivery = 1"),
        [ROWS.to_string()]
    );
}

async fn two_first_deliveries_at_once_are_both_written(bench: Bench) {
    let settings = bench.settings(json!({"mode": "rows", "create_table": true}));
    let (one, other) = (facts(1, "text/csv"), facts(2, "text/csv"));
    let (one, other) = tokio::join!(
        bench.deliver(&settings, &one, csv(1)),
        bench.deliver(&settings, &other, csv(2))
    );
    delivered(&one);
    delivered(&other);
    assert_eq!(
        bench.sql("SELECT count(*) FROM events"),
        [(2 * ROWS).to_string()]
    );
}

async fn a_repeat_of_rows_changes_nothing(bench: Bench) {
    bench.sql("CREATE TABLE events (id bigint)");
    let settings = bench.settings(json!({"mode": "rows"}));
    let facts = facts(1, "application/json");
    delivered(
        &bench
            .deliver(&settings, &facts, r#"[{"id": 1}, {"id": 2}]"#)
            .await,
    );
    let again = bench
        .deliver(&settings, &facts, r#"[{"id": 1}, {"id": 2}]"#)
        .await;
    assert_eq!(delivered(&again)["rows"], 2);
    assert!(again.detail.contains("an earlier attempt"));
    assert_eq!(bench.sql("SELECT id FROM events ORDER BY id"), ["1", "2"]);
}

/// Tests a server that accepts one session of the user, which counts until it has ended there.
async fn attempts_one_after_another_need_one_session(bench: Bench) {
    let settings = bench.settings(json!({"create_table": true}));
    delivered(
        &bench
            .deliver(&settings, &facts(0, "application/json"), "0")
            .await,
    );
    bench.admin(&match bench.engine {
        Engine::Postgres => format!("ALTER ROLE {} CONNECTION LIMIT 1", bench.name),
        Engine::Mysql => format!("ALTER USER {} WITH MAX_USER_CONNECTIONS 1", bench.name),
    });
    for n in 1..=40 {
        let attempted = bench
            .deliver(&settings, &facts(n, "application/json"), "1")
            .await;
        delivered(&attempted);
        // A refused attempt ends its session, too.
        let refused = bench.settings(json!({"table": "missing"}));
        let attempted = bench
            .deliver(&refused, &facts(n, "application/json"), "1")
            .await;
        assert!(attempted.detail.contains("missing"), "{}", attempted.detail);
    }
    assert!(bench.check(&settings, &bench.password()).await.ok);
}
