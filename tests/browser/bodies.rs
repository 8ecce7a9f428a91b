//! What arrived, as the page of a delivery shows it for each type of destination.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kit::postgres::Postgres;
use kit::sshd::{self, Sshd};
use kit::stack::{Destination, Organization};
use kit::tls::Authority;
use serde_json::{Value, json};

use crate::stage::{self, does, key};

/// A destination of a type, saved without a check.
async fn create(
    acme: &Organization,
    kind: &str,
    settings: Value,
    credentials: Value,
) -> Destination {
    acme.destination()
        .with("type", kind)
        .settings(settings)
        .credentials(credentials)
        .skip_check()
        .create()
        .await
}

/// Files of these directories on a server.
fn files(server: &Sshd, directory: &str) -> Value {
    json!({"host": "127.0.0.1", "port": server.port, "username": sshd::USERNAME,
        "host_keys": [server.host_key("ed25519")],
        "directory_template": directory, "filename_template": "{{ reference }}.csv"})
}

#[tokio::test]
async fn a_file_rows_and_a_mail_are_shown_as_they_were_sent_viewed_and_downloaded() {
    let acme = stage::organization("Acme").await;
    let server = Sshd::start().await;
    let password = json!({"kind": "password", "password": sshd::PASSWORD});
    let file = create(&acme, "sftp", files(&server, "in"), password.clone()).await;
    let large = create(&acme, "sftp", files(&server, "large"), password).await;

    let postgres = Postgres::start(&Authority::new(), &["localhost"]);
    postgres.sql(
        "postgres",
        "CREATE ROLE app LOGIN PASSWORD 'a-long-password'",
    );
    postgres.sql("postgres", "CREATE DATABASE app OWNER app");
    postgres.sql(
        "app",
        "CREATE TABLE orders (order_id text, amount numeric); ALTER TABLE orders OWNER TO app",
    );
    let settings = json!({"host": "localhost", "port": postgres.port, "database": "app",
        "tls": "require", "table": "orders", "mode": "rows"});
    let credentials = json!({"kind": "password", "username": "app", "password": "a-long-password"});
    let rows = create(&acme, "postgres", settings, credentials).await;

    let grants = json!({"grants": {"ses_identities": ["reports@acme.example"]}});
    stage::stack()
        .await
        .operator()
        .patch(&format!("/v1/organizations/{}", acme.id), grants)
        .await
        .ok(200);
    let settings = json!({"transport": "ses", "from": "reports@acme.example",
        "to": ["ada@globex.example"],
        "subject_template": "Report {{ reference }}", "text_template": "{{ payload.orders }} \
             orders came in.\n"});
    let mail = create(&acme, "email", settings, json!({"kind": "iam"})).await;

    let csv = "region,orders\nEMEA,412\nAMER,385\n";
    let long = format!("{}the end", "region,orders\n".repeat(12_000));
    let written = r#"[{"order_id":"A-1","amount":10.10},{"order_id":"A-2","amount":7}]"#;
    let of = |to: &Destination, member: &str, content: Value| {
        json!({"event_type": "report.ready", "reference": "sales-7", member: content,
        "destination_ids": [to.id]})
    };
    let text = |text: &str| json!({"base64": STANDARD.encode(text), "content_type": "text/csv"});
    for (to, body) in [
        (&file, of(&file, "content", text(csv)).to_string()),
        (&large, of(&large, "content", text(&long)).to_string()),
        (
            &rows,
            format!(
                r#"{{"event_type": "order.created", "payload": {written}, "destination_ids": ["{}"]}}"#,
                rows.id
            ),
        ),
        (
            &mail,
            of(&mail, "payload", json!({"orders": 42})).to_string(),
        ),
    ] {
        let delivery = acme.submit_text(&body).await.delivery(0).settles().await;
        assert_eq!(delivery["status"], "succeeded", "{}: {delivery}", to.id);
    }
    let knows = json!({
        "key": key(&acme),
        "file": {"destination": file.id, "name": "sales-7.csv", "content": csv},
        "large": {"destination": large.id, "bytes": long.len()},
        "rows": {"destination": rows.id, "columns": ["order_id", "amount"], "count": 2,
            "first": ["A-1", "10.10"], "content": written},
        "mail": {"destination": mail.id, "subject": "Report sales-7", "text": "42 orders came in."},
    });
    does("bodies", knows).await;
}
