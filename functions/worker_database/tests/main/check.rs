use domain::check::{CheckReport, StepName};
use domain::settings::database::Engine;
use kit::tls::Authority;
use serde_json::json;
use worker_database::Credentials;

use crate::bench::{AUTHORITY, Bench, NAME, OTHER_NAME, checked, delivered, facts, failed};

crate::for_each_engine! {
    every_step_is_taken,
    each_mistake_is_named_at_its_step,
    certificates_are_verified_as_far_as_asked,
    missing_write_permission_fails_the_authorize_step,
}

const STEPS: [StepName; 5] = [
    StepName::Resolve,
    StepName::Connect,
    StepName::Tls,
    StepName::Authenticate,
    StepName::Authorize,
];

fn names(report: &CheckReport) -> Vec<(StepName, Option<bool>)> {
    report
        .steps
        .iter()
        .map(|step| (step.name, step.ok))
        .collect()
}

async fn every_step_is_taken(bench: Bench) {
    let report = bench
        .check(
            &bench.settings(json!({"create_table": true})),
            &bench.password(),
        )
        .await;
    assert!(report.ok, "{report:?}");
    assert_eq!(names(&report), STEPS.map(|name| (name, Some(true))));
    assert_eq!(report.steps[0].detail, "db.example has 1 address");
    let name = &bench.name;
    let tables = format!(
        "SELECT count(*) FROM information_schema.tables WHERE table_name = 'events' AND \
         table_schema IN ('public', '{name}')"
    );
    assert_eq!(bench.sql(&tables), ["0"]);
}

async fn each_mistake_is_named_at_its_step(bench: Bench) {
    bench.sql("CREATE TABLE events (id bigint)");
    let free = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let rows = |members: serde_json::Value| {
        let mut all = json!({"mode": "rows"});
        all.as_object_mut()
            .unwrap()
            .extend(members.as_object().unwrap().clone());
        bench.settings(all)
    };
    let cases = [
        (
            rows(json!({"host": "nowhere.example"})),
            StepName::Resolve,
            "nowhere.example",
        ),
        (
            rows(json!({"host": "inner.example"})),
            StepName::Resolve,
            "inner.example",
        ),
        (
            rows(json!({"host": "10.0.0.1"})),
            StepName::Resolve,
            "10.0.0.1",
        ),
        (rows(json!({"port": free})), StepName::Connect, "refused"),
        (
            rows(json!({"database": "nonsuch"})),
            StepName::Authorize,
            "nonsuch",
        ),
        (
            rows(json!({"table": "nonsuch"})),
            StepName::Authorize,
            "nonsuch",
        ),
        (
            rows(json!({"columns": {"a": "nonsuch"}})),
            StepName::Authorize,
            "nonsuch",
        ),
        (
            rows(json!({"on_conflict": "update", "key_columns": ["id"]})),
            StepName::Authorize,
            "unique",
        ),
        (
            bench.settings(json!({})),
            StepName::Authorize,
            "delivery_id",
        ),
    ];
    for (settings, step, word) in cases {
        let report = bench.check(&settings, &bench.password()).await;
        let (failed_at, detail) = failed(&report);
        assert_eq!(failed_at, step, "{detail}");
        assert!(detail.contains(word), "{word}: {detail}");
        assert_eq!(report.steps.len(), STEPS.len(), "{report:?}");
    }
}

async fn certificates_are_verified_as_far_as_asked(bench: Bench) {
    let settings = |host: &str, tls: &str| {
        bench.settings(json!({"host": host, "tls": tls, "create_table": true}))
    };
    let stranger = Bench::connector(vec![]);
    let password = bench.password();
    let with_ca = |pem: String| Credentials::Password {
        username: bench.name.clone(),
        password: crate::bench::PASSWORD.into(),
        ca_pem: Some(pem),
    };
    for (host, tls, ok) in [
        (NAME, "verify_full", true),
        (OTHER_NAME, "verify_full", false),
        ("127.0.0.1", "verify_full", false),
        (OTHER_NAME, "verify_ca", true),
        ("127.0.0.1", "verify_ca", true),
        (OTHER_NAME, "require", true),
    ] {
        let report = bench.check(&settings(host, tls), &password).await;
        assert_eq!(report.ok, ok, "{host} {tls}: {report:?}");
        assert!(ok || failed(&report).0 == StepName::Tls, "{report:?}");
        let detail = &report.steps[2].detail;
        let expected = match tls {
            _ if !ok => "",
            "verify_full" => "is valid for db.example",
            "verify_ca" => "its name is not verified",
            _ => "the certificate is not verified",
        };
        assert!(detail.contains(expected), "{tls}: {detail}");
    }
    for tls in ["verify_full", "verify_ca"] {
        let report = checked(&stranger, bench.engine, &settings(NAME, tls), &password).await;
        assert_eq!(failed(&report).0, StepName::Tls, "{report:?}");
        let report = bench
            .check(
                &settings(NAME, tls),
                &with_ca(Authority::new().certificate_pem()),
            )
            .await;
        assert_eq!(failed(&report).0, StepName::Tls, "{report:?}");
        let report = checked(
            &stranger,
            bench.engine,
            &settings(NAME, tls),
            &with_ca(AUTHORITY.certificate_pem()),
        )
        .await;
        assert!(report.ok, "{report:?}");
    }
    assert!(
        checked(
            &stranger,
            bench.engine,
            &settings(NAME, "require"),
            &password
        )
        .await
        .ok
    );
}

async fn missing_write_permission_fails_the_authorize_step(bench: Bench) {
    bench.sql("CREATE TABLE events (id bigint, other bigint)");
    let reader = format!("{}_reader", bench.name);
    match bench.engine {
        Engine::Postgres => bench.admin(&format!(
            "CREATE ROLE {reader} LOGIN PASSWORD 'pass'; GRANT SELECT ON events TO {reader}"
        )),
        Engine::Mysql => bench.admin(&format!(
            "CREATE USER {reader} IDENTIFIED BY 'pass'; GRANT SELECT ON {}.events TO {reader}",
            bench.name
        )),
    };
    let credentials = Credentials::Password {
        username: reader.clone(),
        password: "pass".into(),
        ca_pem: None,
    };
    let settings = bench.settings(json!({"mode": "rows"}));
    let report = bench.check(&settings, &credentials).await;
    assert_eq!(failed(&report).0, StepName::Authorize, "{report:?}");
    let attempted = bench
        .deliver_as(
            &settings,
            &credentials,
            &facts(1, "application/json"),
            r#"{"id": 1}"#,
        )
        .await;
    assert_eq!(
        crate::bench::reason(&attempted),
        domain::Reason::Authorization,
        "{}",
        attempted.detail
    );
    // The rights that rows require: INSERT on the table, and access to the ledger.
    match bench.engine {
        Engine::Postgres => bench.admin(&format!(
            "CREATE TABLE waybill_deliveries (delivery_id text PRIMARY KEY, row_count bigint NOT NULL DEFAULT 0, transaction_id text NOT NULL); \
             GRANT INSERT ON events TO {reader}; GRANT SELECT, INSERT, UPDATE ON waybill_deliveries TO {reader}"
        )),
        Engine::Mysql => bench.admin(&format!(
            "CREATE TABLE waybill_deliveries (delivery_id varchar(64) PRIMARY KEY, row_count bigint NOT NULL DEFAULT 0); \
             GRANT INSERT ON events TO {reader}; GRANT SELECT, INSERT, UPDATE ON waybill_deliveries TO {reader}"
        )),
    };
    assert!(bench.check(&settings, &credentials).await.ok);
    delivered(
        &bench
            .deliver_as(
                &settings,
                &credentials,
                &facts(1, "application/json"),
                r#"{"id": 1}"#,
            )
            .await,
    );
}
