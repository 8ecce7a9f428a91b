//! Tests PgBouncer in transaction mode, where a connection has prepared statements of other users.

use kit::pgbouncer::PgBouncer;
use serde_json::json;
use worker_database::Credentials;

use crate::bench::{AUTHORITY, Bench, NAME, POSTGRES, delivered, facts};

/// More names than this test program uses for statements.
const FOREIGN: usize = 3000;

#[tokio::test(flavor = "multi_thread")]
async fn prepared_statements_of_other_users_of_a_pooled_connection_do_not_interfere() {
    let bench = Bench::postgres();
    let name = bench.name.clone();
    let username = format!("{name}_pooled");
    bench.admin(&format!(
        "CREATE ROLE {username} SUPERUSER LOGIN PASSWORD 'pass'"
    ));
    bench.sql("CREATE TABLE events (id bigint PRIMARY KEY, n bigint)");
    let pool = PgBouncer::start(&AUTHORITY, &[NAME], &POSTGRES, &username, "pass");
    let foreign: String = (0..FOREIGN)
        .map(|n| format!("PREPARE s{n} AS SELECT 1;"))
        .collect();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), foreign).unwrap();
    let mut psql = pool.psql(&name, &username, "pass");
    let output = psql
        .args(["-q", "-v", "ON_ERROR_STOP=1", "-f"])
        .arg(file.path())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );

    let credentials = Credentials::Password {
        username,
        password: "pass".into(),
        ca_pem: None,
    };
    let rows: String = (1..=2500)
        .map(|id| format!("{{\"id\":{id},\"n\":{id}}}\n"))
        .collect();
    for (n, mode) in ["error", "ignore", "update"].into_iter().enumerate() {
        let key = if mode == "error" {
            json!([])
        } else {
            json!(["id"])
        };
        let settings = bench.settings(
            json!({"port": pool.port, "mode": "rows", "on_conflict": mode, "key_columns": key}),
        );
        let report = bench.check(&settings, &credentials).await;
        assert!(report.ok, "{report:?}");
        delivered(
            &bench
                .deliver_as(
                    &settings,
                    &credentials,
                    &facts(n as i64, "application/x-ndjson"),
                    rows.clone(),
                )
                .await,
        );
        assert_eq!(
            bench.sql("SELECT count(*), sum(n) FROM events"),
            ["2500|3126250"]
        );
        if mode == "error" {
            bench.sql("DELETE FROM events WHERE id > 100");
            bench.sql("INSERT INTO events SELECT id, id FROM generate_series(101, 2500) AS id");
        }
    }
    let settings =
        bench.settings(json!({"port": pool.port, "table": "documents", "create_table": true}));
    delivered(
        &bench
            .deliver_as(
                &settings,
                &credentials,
                &facts(20, "application/json"),
                "{}",
            )
            .await,
    );
}
