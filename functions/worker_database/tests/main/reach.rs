use std::time::Duration;

use domain::Reason;
use domain::settings::database::Engine;
use domain::settle::Outcome;
use futures_util::stream;
use serde_json::json;
use tokio::time::Instant;
use worker::{ConnectorError, Payload, Unavailable};

use crate::bench::{Bench, facts, reason};

crate::for_each_engine! {
    a_blocked_address_is_never_reached,
    a_lock_that_does_not_come_is_a_timeout_within_the_budget,
    something_else_on_the_port_is_no_database,
    a_payload_that_cannot_be_read_is_a_failure_of_waybill,
}

async fn a_blocked_address_is_never_reached(bench: Bench) {
    for host in [
        "inner.example",
        "10.0.0.1",
        "169.254.169.254",
        "0x0a.1",
        "::ffff:10.0.0.1",
        "127.0.0.2",
    ] {
        let attempted = bench
            .deliver(
                &bench.settings(json!({"host": host})),
                &facts(1, "application/json"),
                "1",
            )
            .await;
        assert!(
            matches!(attempted.outcome, Outcome::Reject(Reason::BlockedAddress)),
            "{host}: {}",
            attempted.detail
        );
    }
}

async fn a_lock_that_does_not_come_is_a_timeout_within_the_budget(bench: Bench) {
    bench.sql("CREATE TABLE events (id bigint)");
    let settings = bench.settings(json!({"mode": "rows", "timeout_seconds": 2}));
    let lock = match bench.engine {
        Engine::Postgres => "BEGIN; LOCK TABLE events IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(5)",
        Engine::Mysql => "LOCK TABLES events WRITE; SELECT SLEEP(5)",
    };
    let bench = std::sync::Arc::new(bench);
    let holder = std::sync::Arc::clone(&bench);
    let holding = tokio::task::spawn_blocking(move || holder.sql(lock));
    tokio::time::sleep(Duration::from_millis(500)).await;
    let started = Instant::now();
    let attempted = bench
        .deliver(&settings, &facts(1, "application/json"), r#"{"id": 1}"#)
        .await;
    let took = started.elapsed();
    drop(holding.await);
    assert_eq!(reason(&attempted), Reason::Timeout, "{}", attempted.detail);
    assert!(took < Duration::from_millis(2500), "{took:?}");
    assert_eq!(bench.sql("SELECT count(*) FROM events"), ["0"]);
}

async fn something_else_on_the_port_is_no_database(bench: Bench) {
    let sink = kit::sink::Sink::start().await;
    let settings = bench.settings(json!({"port": sink.address().port(), "timeout_seconds": 3}));
    let attempted = bench
        .deliver(&settings, &facts(1, "application/json"), "1")
        .await;
    assert!(
        matches!(attempted.outcome, Outcome::Retry(_)),
        "{}",
        attempted.detail
    );
}

async fn a_payload_that_cannot_be_read_is_a_failure_of_waybill(bench: Bench) {
    bench.sql("CREATE TABLE events (id bigint)");
    let settings = bench.settings(json!({"mode": "rows"}));
    let chunks = [
        Ok("{\"id\": 1}\n{\"id\": 2}\n".into()),
        Err(Unavailable::new("the bucket does not answer")),
    ];
    let payload = Payload::streamed(1000, stream::iter(chunks));
    let deadline = Instant::now() + Duration::from_secs(10);
    let facts = facts(1, "application/x-ndjson");
    let result = bench
        .connector
        .deliver(
            bench.engine,
            &settings,
            &bench.password(),
            &facts,
            payload,
            deadline,
        )
        .await;
    assert!(
        matches!(result, Err(ConnectorError::Unavailable(_))),
        "{result:?}"
    );
    assert_eq!(bench.sql("SELECT count(*) FROM events"), ["0"]);
}
