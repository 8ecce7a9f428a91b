use domain::Reason;
use domain::check::StepName;
use domain::settings::database::Engine;
use kit::tls::Authority;
use serde_json::json;
use worker_database::Credentials;

use crate::bench::{AUTHORITY, Bench, NAME, PASSWORD, delivered, facts, failed, reason};

crate::for_each_engine! {
    a_password_is_taken_and_a_wrong_one_refused,
    a_connection_string_says_everything,
    a_client_certificate_is_taken_and_a_strangers_refused,
}

async fn a_password_is_taken_and_a_wrong_one_refused(bench: Bench) {
    let settings = bench.settings(json!({"create_table": true}));
    delivered(
        &bench
            .deliver(&settings, &facts(1, "application/json"), "1")
            .await,
    );
    for (username, password) in [
        (&*bench.name, "wrong"),
        ("nobody", PASSWORD),
        (&*bench.name, ""),
    ] {
        let wrong = Credentials::Password {
            username: username.into(),
            password: password.into(),
            ca_pem: None,
        };
        let refused = bench
            .deliver_as(&settings, &wrong, &facts(2, "application/json"), "1")
            .await;
        assert_eq!(
            reason(&refused),
            Reason::Authentication,
            "{}",
            refused.detail
        );
        assert_eq!(
            failed(&bench.check(&settings, &wrong).await).0,
            StepName::Authenticate
        );
    }
    if bench.engine == Engine::Postgres {
        bench.admin(&format!(
            "SET password_encryption = md5; ALTER ROLE {0} PASSWORD 'other'; GRANT by_md5 TO {0}",
            bench.name
        ));
        let md5 = Credentials::Password {
            username: bench.name.clone(),
            password: "other".into(),
            ca_pem: None,
        };
        delivered(
            &bench
                .deliver_as(&settings, &md5, &facts(3, "application/json"), "1")
                .await,
        );
        assert_eq!(
            reason(
                &bench
                    .deliver(&settings, &facts(4, "application/json"), "1")
                    .await
            ),
            Reason::Authentication
        );
    }
}

async fn a_connection_string_says_everything(bench: Bench) {
    bench
        .deliver(
            &bench.settings(json!({"create_table": true})),
            &facts(1, "application/json"),
            "1",
        )
        .await;
    let settings = bench.settings(json!({"host": null, "port": null, "database": null}));
    let encoded: String = PASSWORD
        .bytes()
        .map(|byte| format!("%{byte:02x}"))
        .collect();
    let (scheme, name, port) = (bench.engine.as_str(), &bench.name, bench.port());
    let with = |password: &str, options: &str| Credentials::ConnectionString {
        connection_string: format!("{scheme}://{name}:{password}@{NAME}:{port}/{name}{options}")
            .into(),
        ca_pem: None,
    };
    delivered(
        &bench
            .deliver_as(
                &settings,
                &with(&encoded, "?sslmode=require"),
                &facts(2, "application/json"),
                "2",
            )
            .await,
    );
    if bench.engine == Engine::Postgres {
        let bound = with(&encoded, "?sslmode=require&channel_binding=require");
        delivered(
            &bench
                .deliver_as(&settings, &bound, &facts(4, "application/json"), "4")
                .await,
        );
        bench.admin(&format!("GRANT by_clear_text TO {name}"));
        let unbound = bench
            .deliver_as(&settings, &bound, &facts(5, "application/json"), "5")
            .await;
        assert_eq!(
            reason(&unbound),
            Reason::Authentication,
            "{}",
            unbound.detail
        );
        bench.admin(&format!("REVOKE by_clear_text FROM {name}"));
    }
    let refused = bench
        .deliver_as(
            &settings,
            &with("wrong", ""),
            &facts(3, "application/json"),
            "3",
        )
        .await;
    assert_eq!(reason(&refused), Reason::Authentication);
    let unreadable = bench
        .deliver_as(
            &settings,
            &with("s3cret", "?sslmode=disable"),
            &facts(3, "application/json"),
            "3",
        )
        .await;
    assert_eq!(reason(&unreadable), Reason::Misconfigured);
}

async fn a_client_certificate_is_taken_and_a_strangers_refused(bench: Bench) {
    let settings = bench.settings(json!({"create_table": true}));
    match bench.engine {
        Engine::Postgres => bench.admin(&format!("GRANT by_certificate TO {}", bench.name)),
        Engine::Mysql => bench.admin(&format!(
            "ALTER USER {0} IDENTIFIED BY '' REQUIRE SUBJECT '/CN={0}'",
            bench.name
        )),
    };
    let signed_by = |authority: &Authority, name: &str| {
        let (certificate_pem, key) = authority.client_certificate(name);
        Credentials::ClientCertificate {
            username: bench.name.clone(),
            certificate_pem,
            private_key_pem: key.into(),
            ca_pem: None,
        }
    };
    let good = signed_by(&AUTHORITY, &bench.name);
    delivered(
        &bench
            .deliver_as(&settings, &good, &facts(1, "application/json"), "1")
            .await,
    );
    assert!(bench.check(&settings, &good).await.ok);
    let strangers = [
        signed_by(&Authority::new(), &bench.name),
        signed_by(&AUTHORITY, "somebody"),
        bench.password(),
    ];
    for wrong in strangers {
        let refused = bench
            .deliver_as(&settings, &wrong, &facts(2, "application/json"), "1")
            .await;
        assert_eq!(
            reason(&refused),
            Reason::Authentication,
            "{}",
            refused.detail
        );
        assert_eq!(
            failed(&bench.check(&settings, &wrong).await).0,
            StepName::Authenticate
        );
    }
}

/// Tests MariaDB's own password authentication.
#[tokio::test(flavor = "multi_thread")]
async fn mariadbs_ed25519_authentication_is_supported() {
    let bench = Bench::mysql();
    bench.admin("INSTALL SONAME 'auth_ed25519'");
    bench.admin(&format!(
        "ALTER USER {} IDENTIFIED VIA ed25519 USING PASSWORD('other')",
        bench.name
    ));
    let settings = bench.settings(json!({"create_table": true}));
    let good = Credentials::Password {
        username: bench.name.clone(),
        password: "other".into(),
        ca_pem: None,
    };
    delivered(
        &bench
            .deliver_as(&settings, &good, &facts(1, "application/json"), "1")
            .await,
    );
    assert_eq!(
        reason(
            &bench
                .deliver(&settings, &facts(2, "application/json"), "1")
                .await
        ),
        Reason::Authentication
    );
}

/// RDS receives its tokens as PostgreSQL's clear-text passwords, within TLS.
#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_taken_by_a_server_that_reads_it_as_it_is() {
    let bench = Bench::postgres();
    let key = aws_credential_types::Credentials::from_keys("AKIDEXAMPLE", "wJalrXUtnFEMI", None);
    let host = "db1.abc123.eu-central-1.rds.amazonaws.com";
    let now = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_764_000_000);
    let token = worker_database::iam::token(key, host, 5432, &bench.name, now).unwrap();
    let text = secrecy::ExposeSecret::expose_secret(&token).to_owned();
    bench.admin(&format!(
        "SET password_encryption = md5; GRANT by_clear_text TO {0}; ALTER ROLE \
         {0} PASSWORD '{text}'",
        bench.name
    ));
    let settings = bench.settings(json!({"create_table": true}));
    let good = Credentials::Iam {
        username: bench.name.clone(),
        token,
        ca_pem: None,
    };
    delivered(
        &bench
            .deliver_as(&settings, &good, &facts(1, "application/json"), "1")
            .await,
    );
    let old = Credentials::Iam {
        username: bench.name.clone(),
        token: format!("{text}0").into(),
        ca_pem: None,
    };
    assert_eq!(
        reason(
            &bench
                .deliver_as(&settings, &old, &facts(2, "application/json"), "1")
                .await
        ),
        Reason::Authentication
    );
    assert!(
        text.starts_with(&format!(
            "{host}:5432/?Action=connect&DBUser={}&X-Amz-",
            bench.name
        )),
        "{text}"
    );
    for part in [
        "X-Amz-Expires=900",
        "X-Amz-Credential=AKIDEXAMPLE%2F20251124%2Feu-central-1%2Frds-db%2Faws4_request",
        "X-Amz-Signature=",
    ] {
        assert!(text.contains(part), "{text}");
    }
}
