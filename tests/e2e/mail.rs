//! E-mail destinations with a real mail server.

use std::time::Duration;

use kit::scripted_mail::{Script, ScriptedMail};
use kit::sink::{Reply, Sink};
use kit::smtp::{MailServer, PASSWORD, TOKEN, USERNAME};
use kit::tls::Authority;
use serde_json::{Value, json};

use crate::stage;

const SOON: Duration = Duration::from_secs(10);

fn settings(server: &MailServer, security: &str) -> Value {
    json!({"transport": {"smtp": {"host": "localhost", "port": server.port, "security": security}},
        "from": "Acme reports <reports@acme.example>",
        "to": ["ada@customer.example"], "bcc": ["archive@acme.example"],
        "subject_template": "{{ event_type }}: {{ payload.n }}", "timeout_seconds": 5})
}

fn password() -> Value {
    json!({"kind": "smtp_password", "username": USERNAME, "password": PASSWORD})
}

#[tokio::test]
async fn a_mail_arrives_and_a_repeat_carries_the_same_message_id() {
    let server = MailServer::start("none", &Authority::new());
    let acme = stage::organization("Acme").await;
    let destination = acme
        .destination()
        .with("type", "email")
        .settings(settings(&server, "none"))
        .credentials(password())
        .create()
        .await;
    assert!(server.mails().is_empty(), "the check sends no mail");
    assert_eq!(destination.created["credentials"]["password"]["set"], true);

    let message = acme
        .send([&destination], json!({"n": 7, "note": "<b>markup</b>"}))
        .await;
    let delivery = message.delivery(0).reaches("succeeded").await;
    let mail = server.wait_for(1, SOON).await.remove(0);
    assert_eq!(
        (mail.from.as_str(), mail.to.len()),
        ("reports@acme.example", 2)
    );
    assert_eq!(mail.header("subject").as_deref(), Some("report.ready: 7"));
    assert!(
        mail.header("from")
            .unwrap()
            .contains("<reports@acme.example>"),
        "{:?}",
        mail.header("from")
    );
    assert_eq!(mail.header("bcc"), None, "recipients do not see each other");
    let id = format!("<{}@acme.example>", delivery["id"].as_str().unwrap());
    assert_eq!(mail.header("message-id"), Some(id));
    assert_eq!(
        (&delivery["tracking"]["kind"], &delivery["tracking"]["id"]),
        (&json!("smtp_message"), &json!("4F1B2C"))
    );

    let path = format!("{}/retry", message.delivery(0).path());
    acme.post(&path, json!({"force": true})).await.ok(202);
    let again = server.wait_for(2, SOON).await.remove(1);
    assert_eq!(again.header("message-id"), mail.header("message-id"));
}

#[tokio::test]
async fn the_check_names_the_step_that_fails() {
    let server = MailServer::start("none", &Authority::new());
    let acme = stage::organization("Acme").await;
    let wrong = json!({"kind": "smtp_password", "username": USERNAME, "password": "wrong"});
    let mut unknown_recipient = settings(&server, "none");
    unknown_recipient["to"] = json!(["reject@customer.example"]);
    let mut elsewhere = settings(&server, "none");
    elsewhere["transport"]["smtp"]["port"] = json!(1);
    let mut unknown = settings(&server, "none");
    unknown["transport"]["smtp"]["host"] = json!("nowhere.invalid");
    let cases = [
        (settings(&server, "none"), wrong.clone(), "authenticate"),
        (settings(&server, "starttls"), password(), "tls"),
        (unknown_recipient, password(), "authorize"),
        (elsewhere, password(), "connect"),
        (unknown, password(), "resolve"),
    ];
    for (settings, credentials, step) in cases {
        let answer = acme
            .destination()
            .with("type", "email")
            .settings(settings)
            .credentials(credentials)
            .asks()
            .await;
        let problem = answer.problem(422, "connection_check_failed");
        assert_eq!(stage::failed_step(&problem["check"]), step, "{problem}");
    }
    let refused = acme
        .destination()
        .with("type", "email")
        .settings(settings(&server, "none"))
        .credentials(wrong)
        .skip_check()
        .retries(0);
    let refused = refused.create().await;
    let delivery = acme
        .send([&refused], json!({"n": 1}))
        .await
        .delivery(0)
        .settles()
        .await;
    assert_eq!(
        (&delivery["status"], &delivery["reason"]),
        (&json!("failed"), &json!("authentication"))
    );
}

#[tokio::test]
async fn a_server_that_is_busy_is_tried_again_and_one_that_refuses_is_not() {
    let server = MailServer::start("none", &Authority::new());
    let acme = stage::organization("Acme").await;
    for (local, reason, attempts) in [
        ("busy", "server_error", 2),
        ("reject", "rejected", 1),
        ("slow", "timeout", 2),
    ] {
        let mut settings = settings(&server, "none");
        settings["to"] = json!([format!("{local}@customer.example")]);
        settings["timeout_seconds"] = json!(1);
        let destination = acme
            .destination()
            .with("type", "email")
            .settings(settings)
            .credentials(password())
            .skip_check()
            .retries(1);
        let destination = destination.create().await;
        let delivery = acme
            .send([&destination], json!({"n": 1}))
            .await
            .delivery(0)
            .settles()
            .await;
        assert_eq!(
            (&delivery["reason"], &delivery["attempt_count"]),
            (&json!(reason), &json!(attempts)),
            "{local}: {delivery}"
        );
    }
    assert!(server.mails().is_empty());
}

/// RFC 6647: a server that does not know the sender yet defers its first messages.
#[tokio::test]
async fn a_server_that_greylists_gets_the_message_at_a_later_attempt_once() {
    let server = ScriptedMail::start(Script {
        deferred_recipients: 2,
        ..Script::default()
    })
    .await;
    let acme = stage::organization("Acme").await;
    let settings = json!({"transport": {"smtp": {"host": "127.0.0.1", "port": server.port,
        "security": "none"}},
        "from": "reports@acme.example", "to": ["ada@customer.example"]});
    let destination = acme
        .destination()
        .with("type", "email")
        .settings(settings)
        .credentials(password())
        .skip_check()
        .retries(3);
    let destination = destination.create().await;
    let delivery = acme
        .send([&destination], json!({"n": 1}))
        .await
        .delivery(0)
        .reaches("succeeded")
        .await;
    assert_eq!(
        (server.messages().len(), &delivery["attempt_count"]),
        (1, &json!(3)),
        "{delivery}"
    );
    let first = &delivery["attempts"][0];
    assert_eq!(first["reason"], "server_error", "{first}");
    assert!(
        first["detail"]
            .as_str()
            .unwrap_or_default()
            .contains("451 4.7.1 Greylisting"),
        "{first}"
    );
}

/// RFC 5321 §4.5.3.2.6: a server has ten minutes to confirm a message, however long the attempt may
/// otherwise take.
#[tokio::test]
async fn a_message_that_is_confirmed_late_arrives_once() {
    let acme = stage::organization("Acme").await;
    let late = async |seconds: u64| {
        let confirms_after = Some(Duration::from_secs(seconds));
        let server = ScriptedMail::start(Script {
            confirms_after,
            ..Script::default()
        })
        .await;
        let mut settings = json!({"transport": {"smtp": {"host": "127.0.0.1", "port": server.port,
            "security": "none"}},
            "from": "reports@acme.example", "to": ["ada@customer.example"]});
        settings["timeout_seconds"] = json!(2);
        let destination = acme
            .destination()
            .with("type", "email")
            .settings(settings)
            .credentials(password())
            .create()
            .await;
        let message = acme.send([&destination], json!({"n": seconds})).await;
        let deadline = tokio::time::Instant::now() + Duration::from_secs(seconds + 60);
        let delivery = loop {
            let delivery = message.delivery(0).read().await;
            assert!(delivery["attempt_count"].as_u64() <= Some(1), "{delivery}");
            if delivery["status"] == "succeeded" {
                break delivery;
            }
            assert!(tokio::time::Instant::now() < deadline, "{delivery}");
            tokio::time::sleep(Duration::from_millis(500)).await;
        };
        assert_eq!(
            (server.messages().len(), &delivery["attempt_count"]),
            (1, &json!(1)),
            "{seconds} s: {delivery}"
        );
    };
    tokio::join!(late(20), late(90));
}

#[tokio::test]
async fn a_message_that_may_have_arrived_is_sent_again_at_a_mail_servers_pace() {
    let server = MailServer::start("none", &Authority::new());
    let acme = stage::organization("Acme").await;
    let mut settings = settings(&server, "none");
    settings["to"] = json!(["drop@customer.example"]);
    let destination = acme
        .destination()
        .with("type", "email")
        .settings(settings)
        .credentials(password())
        .skip_check()
        .create()
        .await;
    let delivery = acme
        .send([&destination], json!({"n": 1}))
        .await
        .delivery(0)
        .reaches("retrying")
        .await;
    let detail = delivery["attempts"][0]["detail"]
        .as_str()
        .unwrap_or_default();
    assert!(detail.contains("the outcome is not known"), "{delivery}");
    let minutes = |name: &str| {
        let time = delivery[name].as_str().unwrap_or_default();
        let number = |digits: &str| digits.parse::<i64>().unwrap();
        number(&time[11..13]) * 60 + number(&time[14..16])
    };
    let wait = (minutes("next_attempt_at") - minutes("created_at")).rem_euclid(24 * 60);
    assert!((29..=60).contains(&wait), "{wait} minutes: {delivery}");
}

/// OAuth 2, and connections that are encrypted from the first byte and after STARTTLS.
#[tokio::test]
async fn mailboxes_are_signed_into_with_tokens_over_tls() {
    let authority = Authority::new();
    let folder = tempfile::tempdir().unwrap();
    let bundle = folder.path().join("roots.pem");
    std::fs::write(&bundle, authority.certificate_pem()).unwrap();
    let stack = stage::launch()
        .environment("SSL_CERT_FILE", &bundle.display().to_string())
        .start()
        .await;
    let acme = stack.organization("Acme").await;
    let tokens = Sink::start().await;
    let granted = json!({"access_token": TOKEN, "token_type": "bearer", "expires_in": 3600,
        "refresh_token": "rotated-refresh-token"});
    let grant = || {
        Reply::status(200)
            .header("content-type", "application/json")
            .body(granted.to_string())
    };
    tokens.replies([grant(), grant(), grant(), grant(), grant(), grant()]);
    let client = |kind: &str| {
        json!({"kind": kind, "token_url": tokens.url(), "client_id": "app",
        "client_secret": "s3cret-of-the-app", "username": "ada@acme.example"})
    };
    let mut refresh = client("oauth2_refresh_token");
    refresh["refresh_token"] = json!("first-refresh-token");
    for security in ["starttls", "tls"] {
        let server = MailServer::start(security, &authority);
        for credentials in [
            password(),
            client("oauth2_client_credentials"),
            refresh.clone(),
        ] {
            let before = server.mails().len();
            let destination = acme
                .destination()
                .with("type", "email")
                .settings(settings(&server, security))
                .credentials(credentials.clone());
            let destination = destination.create().await;
            acme.send([&destination], json!({"n": 1}))
                .await
                .delivery(0)
                .reaches("succeeded")
                .await;
            let mail = server.wait_for(before + 1, SOON).await.pop().unwrap();
            assert!(mail.tls, "{security} {credentials}");
        }
    }
    let refreshed = tokens
        .requests()
        .iter()
        .filter(|request| request.text().contains("grant_type=refresh_token"))
        .count();
    assert!(refreshed >= 1, "{refreshed}");
    // A certificate that nobody we trust has signed ends the check at tls.
    let other = MailServer::start("tls", &Authority::new());
    let answer = acme
        .destination()
        .with("type", "email")
        .settings(settings(&other, "tls"))
        .credentials(password())
        .asks()
        .await;
    let problem = answer.problem(422, "connection_check_failed");
    assert_eq!(stage::failed_step(&problem["check"]), "tls", "{problem}");
}

/// A refusal by the authorization server and one by the mail server are both failures of the
/// credentials.
#[tokio::test]
async fn a_token_that_is_refused_is_told_as_that() {
    let server = MailServer::start("none", &Authority::new());
    let acme = stage::organization("Acme").await;
    let tokens = Sink::start().await;
    let answer = |status, body: Value| {
        Reply::status(status)
            .header("content-type", "application/json")
            .body(body.to_string())
    };
    for kind in ["oauth2_client_credentials", "oauth2_refresh_token"] {
        for (case, refused) in [
            (
                "invalid_client",
                answer(401, json!({"error": "invalid_client"})),
            ),
            (
                "invalid_grant",
                answer(400, json!({"error": "invalid_grant"})),
            ),
            (
                "another",
                answer(
                    200,
                    json!({"access_token": "bad-token", "token_type": "bearer",
                        "expires_in": 3600}),
                ),
            ),
        ] {
            let mut credentials = json!({"kind": kind,
                "token_url": tokens.path(&format!("/{case}")).url(), "client_id": kind,
                "client_secret": "s3cret-of-the-app", "username": "ada@acme.example"});
            if kind == "oauth2_refresh_token" {
                credentials["refresh_token"] = json!("first-refresh-token");
            }
            tokens
                .path(&format!("/{case}"))
                .replies(std::iter::repeat_n(refused, 6));
            let mailbox = || {
                acme.destination()
                    .with("type", "email")
                    .settings(settings(&server, "none"))
                    .credentials(credentials.clone())
            };
            let problem = mailbox()
                .asks()
                .await
                .problem(422, "connection_check_failed");
            assert_eq!(
                stage::failed_step(&problem["check"]),
                "authenticate",
                "{kind} {case}: {problem}"
            );
            let destination = mailbox().skip_check().retries(0).create().await;
            let delivery = acme
                .send([&destination], json!({"n": 1}))
                .await
                .delivery(0)
                .settles()
                .await;
            assert_eq!(
                (&delivery["status"], &delivery["reason"]),
                (&json!("failed"), &json!("authentication")),
                "{kind} {case}: {delivery}"
            );
            assert!(!delivery.to_string().contains("s3cret"), "{delivery}");
        }
    }
    assert!(server.mails().is_empty());
}

#[tokio::test]
async fn nothing_that_customers_write_ends_a_header() {
    let server = MailServer::start("none", &Authority::new());
    let acme = stage::organization("Acme").await;
    let destination = acme
        .destination()
        .with("type", "email")
        .settings(settings(&server, "none"))
        .credentials(password())
        .create()
        .await;
    let body = json!({"event_type": "report.ready", "destination_ids": [destination.id],
        "payload": {"n": "x\r\nBcc: thief@evil.example\r\n\r\nbody"}});
    acme.submit(body)
        .await
        .delivery(0)
        .reaches("succeeded")
        .await;
    let mail = server.wait_for(1, SOON).await.remove(0);
    assert_eq!(mail.header("bcc"), None, "{}", mail.text);
    assert!(
        mail.to
            .iter()
            .all(|recipient| recipient != "thief@evil.example")
    );
}

#[tokio::test]
async fn every_mistake_in_a_mailbox_is_named_at_once() {
    let acme = stage::organization("Acme").await;
    let settings = json!({"transport": {"smtp": {"port": 0}}, "from": "nobody", "to": [],
        "subject_template": "{{ nope }}"});
    let answer = acme
        .destination()
        .with("type", "email")
        .settings(settings)
        .credentials(json!({"kind": "smtp_password", "username": "u"}))
        .asks()
        .await;
    answer.problem(422, "validation_failed");
    let mut mistakes = answer.mistakes();
    mistakes.sort();
    assert_eq!(
        mistakes,
        [
            "/credentials/password",
            "/settings/from",
            "/settings/to",
            "/settings/transport/smtp/host",
            "/settings/transport/smtp/port"
        ]
    );
    let ses = json!({"transport": "ses", "from": "a@b.example", "to": ["c@d.example"]});
    let answer = acme
        .destination()
        .with("type", "email")
        .settings(ses)
        .credentials(json!({"kind": "iam"}))
        .asks()
        .await;
    let problem = answer.problem(422, "connection_check_failed");
    assert!(problem.to_string().contains("not granted"), "{problem}");
}
