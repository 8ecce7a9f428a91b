//! What receivers require of a webhook request, each accepted and refused.

use std::time::Duration;

use kit::sink::{Reply, Sink};
use kit::tls::Authority;
use serde_json::{Value, json};

use crate::stage;

const SOON: Duration = Duration::from_secs(10);

fn token(access_token: &str) -> Reply {
    let body = json!({"access_token": access_token, "token_type": "bearer", "expires_in": 3600});
    Reply::status(200)
        .header("content-type", "application/json")
        .body(body.to_string())
}

#[tokio::test]
async fn a_secret_address_and_secret_headers_arrive_and_show_nowhere() {
    let (acme, sink) = (stage::organization("Acme").await, Sink::start().await);
    let hook = sink.path("/services/T0/s3cret-path");
    let kinds = [
        json!({"kind": "secret_url", "url": hook.url()}),
        json!({"kind": "headers", "headers": {"x-team": "t3am-s3cret", "x-hook": "h00k-s3cret"}}),
    ];
    for credentials in kinds {
        hook.forget();
        let new = acme.destination().credentials(credentials.clone());
        let new = if credentials["kind"] == "headers" {
            new.webhook(&hook)
        } else {
            new.settings(json!({}))
        };
        let destination = new.create().await;
        let delivery = acme
            .send([&destination], json!(1))
            .await
            .delivery(0)
            .reaches("succeeded")
            .await;
        let request = hook.wait_for(1, SOON).await.pop().unwrap();
        let shown = format!("{} {delivery}", destination.read().await);
        if credentials["kind"] == "headers" {
            assert_eq!(
                (request.header("x-team"), request.header("x-hook")),
                (Some("t3am-s3cret"), Some("h00k-s3cret"))
            );
            assert!(
                !shown.contains("t3am") && !shown.contains("h00k"),
                "{shown}"
            );
        } else {
            assert!(
                !shown.contains("s3cret-path") && shown.contains("/…"),
                "{shown}"
            );
        }
    }
    let both = acme
        .destination()
        .webhook(&hook)
        .credentials(json!({"kind": "secret_url", "url": hook.url()}))
        .asks()
        .await;
    both.problem(422, "validation_failed");
    assert_eq!(both.mistakes(), ["/settings/url"]);
}

#[tokio::test]
async fn credentials_of_every_kind_that_a_receiver_refuses_are_an_authentication_failure() {
    let (acme, sink) = (stage::organization("Acme").await, Sink::start().await);
    let hook = sink.path("/hook");
    hook.answers([401]);
    sink.path("/token").replies([token("t0ken")]);
    let kinds = [
        json!({"kind": "none"}),
        json!({"kind": "headers", "headers": {"x-hook": "wrong"}}),
        json!({"kind": "api_key", "header": "x-key", "value": "wrong"}),
        json!({"kind": "bearer", "token": "wrong"}),
        json!({"kind": "basic", "username": "u", "password": "wrong"}),
        json!({"kind": "oauth2_client_credentials", "token_url": sink.path("/token").url(),
            "client_id": "app", "client_secret": "s"}),
        json!({"kind": "secret_url", "url": hook.url()}),
    ];
    for credentials in kinds {
        let new = |credentials: Value| {
            let new = acme.destination().credentials(credentials.clone());
            if credentials["kind"] == "secret_url" {
                new.settings(json!({}))
            } else {
                new.webhook(&hook)
            }
        };
        let problem = new(credentials.clone())
            .asks()
            .await
            .problem(422, "connection_check_failed");
        assert_eq!(
            stage::failed_step(&problem["check"]),
            "authenticate",
            "{credentials}: {problem}"
        );
        let destination = new(credentials.clone())
            .skip_check()
            .retries(0)
            .create()
            .await;
        let delivery = acme
            .send([&destination], json!(1))
            .await
            .delivery(0)
            .settles()
            .await;
        assert_eq!(
            (&delivery["status"], &delivery["reason"]),
            (&json!("failed"), &json!("authentication")),
            "{credentials}"
        );
    }
}

#[tokio::test]
async fn a_token_is_asked_for_once_and_again_when_the_receiver_takes_it_no_longer() {
    // A token is kept in a process, and this one has no other work.
    let stack = stage::launch().start().await;
    let (acme, sink) = (stack.organization("Acme").await, Sink::start().await);
    let (hook, tokens) = (sink.path("/hook"), sink.path("/token"));
    tokens.replies([
        token("t0ken-1"),
        token("t0ken-2"),
        Reply::status(401).body(r#"{"error": "invalid_client"}"#),
    ]);
    hook.answers([200, 200, 401, 200]);
    let credentials = json!({"kind": "oauth2_client_credentials", "token_url": tokens.url(),
        "client_id": "app", "client_secret": "s3cret",
        "scope": "hooks", "audience": "receiver"});
    let destination = acme
        .destination()
        .webhook(&hook)
        .credentials(credentials)
        .create()
        .await;
    for n in 0..2 {
        let delivery = acme
            .send([&destination], json!(n))
            .await
            .delivery(0)
            .reaches("succeeded")
            .await;
        assert_eq!(delivery["attempt_count"], 1);
        assert!(!delivery.to_string().contains("t0ken"), "{delivery}");
    }
    let sent: Vec<String> = hook
        .requests()
        .iter()
        .map(|request| request.header("authorization").unwrap().to_owned())
        .collect();
    assert_eq!(sent, ["Bearer t0ken-1", "Bearer t0ken-1", "Bearer t0ken-2"]);
    let asked = tokens.requests().remove(0);
    for part in [
        "grant_type=client_credentials",
        "scope=hooks",
        "audience=receiver",
        "client_id=app",
    ] {
        assert!(
            asked.text().split('&').any(|found| found == part),
            "{part} in {}",
            asked.text()
        );
    }
    // Another client's secret never meets the token of the right one.
    let wrong = json!({"kind": "oauth2_client_credentials", "token_url": tokens.url(),
        "client_id": "app", "client_secret": "wrong"});
    let wrong = acme
        .destination()
        .webhook(&hook)
        .credentials(wrong)
        .skip_check()
        .retries(0)
        .create()
        .await;
    let delivery = acme
        .send([&wrong], json!(1))
        .await
        .delivery(0)
        .settles()
        .await;
    assert_eq!(
        (&delivery["reason"], hook.count()),
        (&json!("authentication"), 0),
        "{delivery}"
    );
    assert!(
        delivery.to_string().contains("invalid_client"),
        "{delivery}"
    );
}

#[tokio::test]
async fn a_receiver_behind_a_private_authority_gets_the_certificate_it_demands() {
    let authority = Authority::new();
    let (acme, sink) = (
        stage::organization("Acme").await,
        Sink::start_tls(authority.demanding_server(&["127.0.0.1"])).await,
    );
    let identity = |authority: &Authority| {
        let (certificate, key) = authority.client_certificate("acme");
        json!({"certificate_pem": certificate, "private_key_pem": key})
    };
    let trusting = |identity: Value| {
        json!({"kind": "none", "ca_pem": authority.certificate_pem(),
        "client_certificate": identity})
    };
    let destination = acme
        .destination()
        .webhook(&sink)
        .credentials(trusting(identity(&authority)))
        .create()
        .await;
    acme.send([&destination], json!(1))
        .await
        .delivery(0)
        .reaches("succeeded")
        .await;
    let shown = destination.read().await["credentials"].take();
    assert!(
        shown["client_certificate"]["certificate_pem"]["fingerprint"].is_string(),
        "{shown}"
    );
    assert!(shown["ca_pem"]["not_after"].is_string(), "{shown}");
    assert_eq!(shown["client_certificate"]["private_key_pem"]["set"], true);
    assert!(!shown.to_string().contains("BEGIN"), "{shown}");

    for credentials in [trusting(Value::Null), trusting(identity(&Authority::new()))] {
        let refused = acme
            .destination()
            .webhook(&sink)
            .credentials(credentials.clone());
        refused.asks().await.problem(422, "connection_check_failed");
        let refused = acme
            .destination()
            .webhook(&sink)
            .credentials(credentials)
            .skip_check()
            .retries(0)
            .create()
            .await;
        let delivery = acme
            .send([&refused], json!(1))
            .await
            .delivery(0)
            .settles()
            .await;
        assert_eq!(
            (&delivery["status"], &delivery["reason"]),
            (&json!("failed"), &json!("authentication")),
            "{delivery}"
        );
    }
    let stranger = json!({"kind": "none", "client_certificate": identity(&authority)});
    let problem = acme
        .destination()
        .webhook(&sink)
        .credentials(stranger)
        .asks()
        .await
        .problem(422, "connection_check_failed");
    assert_eq!(
        (stage::failed_step(&problem["check"]), sink.count()),
        ("tls", 0),
        "{problem}"
    );

    let mut broken = trusting(identity(&authority));
    broken["client_certificate"]["private_key_pem"] =
        identity(&Authority::new())["private_key_pem"].clone();
    broken["ca_pem"] = json!("no certificate");
    let answer = acme
        .destination()
        .webhook(&sink)
        .credentials(broken)
        .asks()
        .await;
    answer.problem(422, "validation_failed");
    assert!(!answer.text().contains("PRIVATE KEY"), "{}", answer.text());
    assert!(
        answer
            .mistakes()
            .contains(&"/credentials/ca_pem".to_owned()),
        "{:?}",
        answer.mistakes()
    );
}
