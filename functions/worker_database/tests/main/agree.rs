//! Tests that the check and the delivery agree: what the check accepts is delivered, and what it
//! refuses is not.

use domain::settings::database::Engine;
use domain::settle::Outcome;
use kit::mariadb::MariaDb;
use serde_json::{Value, json};
use worker_database::Credentials;

use crate::bench::{AUTHORITY, Bench, NAME, facts};

const JSON: &str = "application/json";
const LEDGER: &str = "waybill_deliveries";

/// Creates a user that has only these rights.
fn user(bench: &Bench, grants: &[&str]) -> Credentials {
    use std::sync::atomic::{AtomicU32, Ordering};
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let name = format!("{}_u{}", bench.name, COUNT.fetch_add(1, Ordering::Relaxed));
    match bench.engine {
        Engine::Postgres => bench.admin(&format!("CREATE ROLE {name} LOGIN PASSWORD 'pass'")),
        Engine::Mysql => bench.admin(&format!(
            "CREATE USER {name} IDENTIFIED BY 'pass'; GRANT SELECT \
                 (created_at) ON {}.other TO {name}",
            bench.name
        )),
    };
    for grant in grants {
        bench.admin(&format!(
            "GRANT {} TO {name}",
            grant.replace("{db}", &bench.name)
        ));
    }
    Credentials::Password {
        username: name,
        password: "pass".into(),
        ca_pem: None,
    }
}

/// Checks and delivers, and expects the same result of both.
async fn agree(
    bench: &Bench,
    members: Value,
    credentials: &Credentials,
    payload: &str,
    passes: bool,
) {
    use std::sync::atomic::{AtomicI64, Ordering};
    static COUNT: AtomicI64 = AtomicI64::new(1);
    let settings = bench.settings(members.clone());
    let before = bench.admin("SELECT count(*) FROM events");
    let report = bench.check(&settings, credentials).await;
    assert_eq!(
        bench.admin("SELECT count(*) FROM events"),
        before,
        "the check leaves nothing behind: {members}"
    );
    let n = COUNT.fetch_add(1, Ordering::Relaxed);
    let attempted = bench
        .deliver_as(&settings, credentials, &facts(n, JSON), payload.to_owned())
        .await;
    let is_delivered = matches!(attempted.outcome, Outcome::Delivered(_));
    assert_eq!(
        (report.ok, is_delivered),
        (passes, passes),
        "{members}: {report:?}; {}",
        attempted.detail
    );
}

const DOCUMENTS: &str = "CREATE TABLE events (delivery_id varchar(64) PRIMARY KEY, message_id varchar(64), event_type varchar(99), \
     created_at timestamp NULL, content_type varchar(99), payload text)";

fn rows(on_conflict: &str) -> Value {
    let key = if on_conflict == "error" {
        json!([])
    } else {
        json!(["id"])
    };
    json!({"mode": "rows", "on_conflict": on_conflict, "key_columns": key})
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_policies_are_tried() {
    let bench = Bench::postgres();
    bench.sql(
        "CREATE TABLE events (id int PRIMARY KEY, n int); ALTER TABLE events ENABLE ROW \
         LEVEL SECURITY",
    );
    let ledger = "CREATE ON SCHEMA public";
    let writer = user(&bench, &["INSERT, SELECT, UPDATE ON events", ledger]);
    for mode in ["error", "ignore", "update"] {
        let payload = r#"{"id": 1, "n": 1}"#;
        // Without a policy, no row is accepted, which only a row shows. The check warns about it.
        bench.sql(
            "DROP POLICY IF EXISTS all_rows ON events; CREATE POLICY all_rows ON events \
             USING (true) WITH CHECK (true)",
        );
        agree(&bench, rows(mode), &writer, payload, true).await;
        bench.admin("DELETE FROM events");
    }
    let report = bench.check(&bench.settings(rows("error")), &writer).await;
    assert!(
        report.steps.last().unwrap().detail.contains("policies"),
        "{report:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_insert_only_is_enough_for_documents_and_rows() {
    let bench = Bench::postgres();
    bench.sql(&format!(
        "{DOCUMENTS}; ALTER TABLE events ENABLE ROW LEVEL SECURITY; CREATE POLICY add ON events \
         FOR INSERT WITH CHECK (true)"
    ));
    let writer = user(&bench, &["INSERT ON events"]);
    agree(&bench, json!({}), &writer, "{}", true).await;
    let settings = bench.settings(json!({}));
    for expected in ["1 row", "an earlier attempt"] {
        let again = bench
            .deliver_as(&settings, &writer, &facts(900, JSON), "{}")
            .await;
        assert!(again.detail.contains(expected), "{}", again.detail);
    }
    bench.sql(
        "DROP POLICY add ON events; CREATE POLICY none ON events FOR INSERT WITH CHECK (false)",
    );
    agree(&bench, json!({}), &writer, "{}", false).await;
    let reader = user(&bench, &["SELECT ON events"]);
    agree(&bench, json!({}), &reader, "{}", false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_views_and_users_without_temporary_tables_are_served() {
    let bench = Bench::postgres();
    bench.sql(
        "CREATE TABLE base (id int PRIMARY KEY, n int); CREATE VIEW events AS SELECT id, n \
         FROM base",
    );
    for mode in ["error", "ignore", "update"] {
        agree(
            &bench,
            rows(mode),
            &bench.password(),
            r#"[{"id": 1, "n": 1}, {"id": 2, "n": 2}]"#,
            true,
        )
        .await;
        bench.sql("DELETE FROM base");
    }
    bench.sql(
        "DROP VIEW events; CREATE VIEW events AS SELECT id, count(*) AS n FROM base GROUP BY id",
    );
    agree(
        &bench,
        rows("error"),
        &bench.password(),
        r#"{"id": 1, "n": 1}"#,
        false,
    )
    .await;

    bench.sql("DROP VIEW events; ALTER TABLE base RENAME TO events");
    bench.admin(&format!(
        "REVOKE TEMP ON DATABASE {} FROM PUBLIC",
        bench.name
    ));
    let writer = user(
        &bench,
        &[
            "INSERT, SELECT, UPDATE ON events",
            &format!("SELECT, INSERT, UPDATE ON {LEDGER}"),
        ],
    );
    for mode in ["error", "ignore", "update"] {
        let again = if mode == "error" {
            ""
        } else {
            r#", {"id": 2, "n": 3}"#
        };
        agree(
            &bench,
            rows(mode),
            &writer,
            &format!(r#"[{{"id": 1, "n": 1}}, {{"id": 2, "n": 2}}{again}]"#),
            true,
        )
        .await;
        bench.sql("DELETE FROM events");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_rights_on_the_table_of_deliveries_are_tried() {
    let bench = Bench::postgres();
    bench.sql("CREATE TABLE events (id int PRIMARY KEY, n int)");
    let insert = "INSERT ON events";
    let writer = user(&bench, &[insert]);
    agree(
        &bench,
        rows("error"),
        &writer,
        r#"{"id": 1, "n": 1}"#,
        false,
    )
    .await;
    let owner = user(&bench, &[insert, "CREATE ON SCHEMA public"]);
    agree(&bench, rows("error"), &owner, r#"{"id": 2, "n": 1}"#, true).await;
    let half = user(&bench, &[insert, &format!("INSERT ON {LEDGER}")]);
    agree(&bench, rows("error"), &half, r#"{"id": 3, "n": 1}"#, false).await;
    let whole = user(
        &bench,
        &[insert, &format!("SELECT, INSERT, UPDATE ON {LEDGER}")],
    );
    agree(&bench, rows("error"), &whole, r#"{"id": 4, "n": 1}"#, true).await;
    agree(
        &bench,
        rows("update"),
        &whole,
        r#"{"id": 4, "n": 1}"#,
        false,
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_could_not_be_created_fails_the_check() {
    for bench in [Bench::postgres(), Bench::mysql()] {
        bench.sql("CREATE TABLE events (id int); CREATE TABLE other (created_at date)");
        let unprivileged = user(&bench, &[]);
        for mode in ["rows", "document"] {
            agree(
                &bench,
                json!({"mode": mode, "table": "fresh", "create_table": true}),
                &unprivileged,
                r#"[{"id": 1}]"#,
                false,
            )
            .await;
            agree(
                &bench,
                json!({"mode": mode, "table": format!("fresh_{mode}"), "create_table": true}),
                &bench.password(),
                r#"[{"id": 1}]"#,
                true,
            )
            .await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_only_reads_fails_the_check() {
    let bench = Bench::postgres();
    bench.sql("CREATE TABLE events (id int PRIMARY KEY, n int)");
    agree(
        &bench,
        rows("error"),
        &bench.password(),
        r#"{"id": 1, "n": 1}"#,
        true,
    )
    .await;
    bench.admin(&format!(
        "ALTER DATABASE {} SET default_transaction_read_only = on",
        bench.name
    ));
    agree(
        &bench,
        rows("error"),
        &bench.password(),
        r#"{"id": 2, "n": 1}"#,
        false,
    )
    .await;
    agree(
        &bench,
        json!({"create_table": true, "table": "documents"}),
        &bench.password(),
        "{}",
        false,
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mysql_that_only_reads_fails_the_check() {
    let bench = Bench::mysql();
    let server = MariaDb::start(&AUTHORITY, &[NAME]);
    let name = &bench.name;
    let grant = format!("CREATE USER writer IDENTIFIED BY 'pass'; GRANT ALL ON {name}.* TO writer");
    server.sql(
        "mysql",
        &format!("CREATE DATABASE {name}; {grant}; CREATE TABLE {name}.events (id int)"),
    );
    let writer = Credentials::Password {
        username: "writer".into(),
        password: "pass".into(),
        ca_pem: None,
    };
    let settings = bench.settings(json!({"mode": "rows", "port": server.port}));
    for (n, is_read_only) in [(1, false), (2, true)] {
        server.sql("mysql", &format!("SET GLOBAL read_only = {is_read_only}"));
        let report = bench.check(&settings, &writer).await;
        let attempted = bench
            .deliver_as(&settings, &writer, &facts(n, JSON), r#"{"id": 1}"#)
            .await;
        let is_delivered = matches!(attempted.outcome, Outcome::Delivered(_));
        assert_eq!(
            (report.ok, is_delivered),
            (!is_read_only, !is_read_only),
            "{report:?}; {}",
            attempted.detail
        );
    }
    let fresh =
        bench.settings(json!({"table": "fresh", "create_table": true, "port": server.port}));
    assert!(!bench.check(&fresh, &writer).await.ok);
}

#[tokio::test(flavor = "multi_thread")]
async fn mysql_rights_are_tried() {
    let bench = Bench::mysql();
    bench.sql(
        "CREATE TABLE events (id int PRIMARY KEY, n int); CREATE TABLE other (created_at date)",
    );
    let insert = "INSERT ON {db}.events";
    let payload = |id: u32| format!("{{\"id\": {id}, \"n\": 1}}");
    agree(
        &bench,
        rows("error"),
        &user(&bench, &[insert]),
        &payload(1),
        false,
    )
    .await;
    agree(
        &bench,
        rows("error"),
        &user(
            &bench,
            &[
                insert,
                &format!("CREATE, SELECT, INSERT, UPDATE ON {{db}}.{LEDGER}"),
            ],
        ),
        &payload(2),
        true,
    )
    .await;
    let half = user(
        &bench,
        &[insert, &format!("SELECT, INSERT ON {{db}}.{LEDGER}")],
    );
    agree(&bench, rows("error"), &half, &payload(3), false).await;
    let ledger = format!("SELECT, INSERT, UPDATE ON {{db}}.{LEDGER}");
    let only = user(&bench, &[insert, &ledger]);
    for mode in ["ignore", "update"] {
        agree(&bench, rows(mode), &only, &payload(4), false).await;
    }
    let whole = user(&bench, &["INSERT, SELECT, UPDATE ON {db}.events", &ledger]);
    for mode in ["ignore", "update"] {
        agree(&bench, rows(mode), &whole, &payload(5), true).await;
    }
    bench.sql("DROP TABLE events");
    bench.sql(DOCUMENTS);
    let documents = user(&bench, &["INSERT ON {db}.events"]);
    agree(&bench, json!({}), &documents, "{}", true).await;
    agree(
        &bench,
        json!({}),
        &user(&bench, &["SELECT ON {db}.events"]),
        "{}",
        false,
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sample_that_a_constraint_refuses_is_no_reason_to_refuse_the_destination() {
    for bench in [Bench::postgres(), Bench::mysql()] {
        bench.sql(&DOCUMENTS.replace(
            "event_type varchar(99)",
            "event_type varchar(99) CHECK (event_type LIKE 'report.%')",
        ));
        agree(&bench, json!({}), &bench.password(), "{}", true).await;
        bench.sql("DELETE FROM events; ALTER TABLE events ADD COLUMN customer int NOT NULL");
        agree(&bench, json!({}), &bench.password(), "{}", false).await;
    }
}
