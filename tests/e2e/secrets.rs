//! Secrets can be written and never read.

use std::fs;
use std::path::{Path, PathBuf};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use kit::sink::Sink;
use kit::stack::Organization;
use serde_json::{Value, json};

use crate::stage;

const TOKEN: &str = "planted-bearer-token-0123456789";
const API_KEY: &str = "planted-api-key-value-0123456789";
const PASSWORD: &str = "planted-basic-password-0123456789";
const USERNAME: &str = "planted-user";
/// The log level at which a process logs everything.
const EVERYTHING: &str = "trace";

/// Creates a destination of each kind, each with a failed delivery that logs as much as possible.
async fn plant(acme: &Organization, sink: &Sink) -> Vec<String> {
    let own = format!(
        "whsec_{}",
        BASE64.encode("planted-signing-secret-0123456789")
    );
    let credentials = [
        json!({"kind": "bearer", "token": TOKEN}),
        json!({"kind": "api_key", "header": "x-api-key", "value": API_KEY}),
        json!({"kind": "basic", "username": USERNAME, "password": PASSWORD}),
    ];
    let mut secrets = vec![own.clone(), "planted-signing-secret-0123456789".to_owned()];
    for (position, credentials) in credentials.into_iter().enumerate() {
        let receiver = sink.path(&format!("/{position}"));
        let described = acme
            .destination()
            .webhook(&receiver)
            .credentials(credentials)
            .retries(0);
        let described = if position == 0 {
            described.with("signing_secret", own.as_str())
        } else {
            described
        };
        let destination = described.create().await;
        secrets.extend(
            destination.created["signing_secret"]
                .as_str()
                .map(str::to_owned),
        );
        let rotated = destination.action("rotate-secret", json!({})).await.ok(200);
        secrets.push(rotated["signing_secret"].as_str().unwrap().to_owned());
        receiver.answers([500]);
        acme.send([&destination], json!(1)).await.settles().await;
        destination.action("check", json!({})).await.ok(200);
        destination.change(json!({"name": "Renamed"})).await;
    }
    let bare: Vec<String> = secrets
        .iter()
        .filter_map(|secret| secret.strip_prefix("whsec_").map(str::to_owned))
        .collect();
    secrets.extend(bare);
    secrets.extend([TOKEN, API_KEY, PASSWORD].map(str::to_owned));
    secrets.push(BASE64.encode(format!("{USERNAME}:{PASSWORD}")));
    for role in ["manager", "viewer"] {
        secrets.push(acme.key(role).await.caller.plain_key()[31..].to_owned());
    }
    secrets.push(acme.plain_key()[31..].to_owned());
    secrets
}

/// Everything that can be read.
async fn reads(acme: &Organization) -> Vec<String> {
    let mut texts = Vec::new();
    for route in [
        "/v1/destinations?include=health",
        "/v1/messages",
        "/v1/deliveries",
        "/v1/api-keys",
        "/v1/audit-events",
    ] {
        for item in acme.list(route).await {
            texts.push(item.to_string());
            if let (Some(id), "/v1/deliveries" | "/v1/messages") = (item["id"].as_str(), route) {
                texts.push(acme.get(&format!("{route}/{id}")).await.ok(200).to_string());
            }
        }
    }
    for path in ["/v1/organization", "/v1/openapi.json", "/v1/meta"] {
        texts.push(acme.get(path).await.ok(200).to_string());
    }
    texts
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path))
        } else {
            found.push(path)
        }
    }
    found
}

fn contains(bytes: &[u8], secret: &str) -> bool {
    bytes
        .windows(secret.len())
        .any(|window| window == secret.as_bytes())
}

/// Secrets are in no response, in no log line and in no file.
#[tokio::test]
async fn no_secret_appears_in_any_read_in_the_log_or_in_the_data_directory() {
    let mut stack = stage::launch()
        .environment("LOG_LEVEL", EVERYTHING)
        .start()
        .await;
    let (acme, sink) = (stack.organization("Acme").await, Sink::start().await);
    let secrets = plant(&acme, &sink).await;
    assert!(secrets.len() >= 14, "{}", secrets.len());
    let reads = reads(&acme).await;
    assert_eq!(stack.stop().await.0, Some(0));
    let log = stack.log();
    for secret in &secrets {
        assert!(
            reads.iter().all(|text| !text.contains(secret.as_str())),
            "{secret} can be read"
        );
        assert!(!log.contains(secret.as_str()), "{secret} is in the log");
    }
    let files = files(&stack.data());
    assert!(
        files
            .iter()
            .any(|file| fs::metadata(file).unwrap().len() > 10_000),
        "the data is where it is looked for: {files:?}"
    );
    for file in files {
        let bytes = fs::read(&file).unwrap();
        for secret in &secrets {
            assert!(
                !contains(&bytes, secret),
                "{secret} is in {}",
                file.display()
            );
        }
    }
}

/// Payloads are not logged.
#[tokio::test]
async fn payloads_are_not_logged() {
    let mut stack = stage::launch()
        .environment("LOG_LEVEL", EVERYTHING)
        .start()
        .await;
    let (acme, sink) = (stack.organization("Acme").await, Sink::start().await);
    let destination = acme.destination().webhook(&sink).retries(0).create().await;
    sink.answers_with(500, &[], "planted-response-body");
    acme.send([&destination], json!({"private": "planted-payload-text"}))
        .await
        .settles()
        .await;
    assert_eq!(stack.stop().await.0, Some(0));
    let log = stack.log();
    assert!(!log.contains("planted-payload-text") && !log.contains("planted-response-body"));
}

/// A refusal never quotes a secret.
#[tokio::test]
async fn a_refusal_does_not_repeat_a_secret() {
    let (acme, sink) = (stage::organization("Acme").await, Sink::start().await);
    let refused = [
        json!({"kind": "bearer", "token": TOKEN, "extra": 1}),
        json!({"kind": "basic", "password": PASSWORD}),
        json!({"kind": "api_key", "header": "bad header", "value": API_KEY}),
        json!({"kind": "bearer", "token": format!("{TOKEN}\u{7f}\n")}),
    ];
    for credentials in refused {
        let answer = acme
            .destination()
            .webhook(&sink)
            .credentials(credentials)
            .asks()
            .await;
        answer.problem(422, "validation_failed");
        for secret in [TOKEN, PASSWORD, API_KEY] {
            assert!(!answer.text().contains(secret), "{}", answer.text());
        }
    }
    let events = Value::Array(acme.list("/v1/audit-events").await).to_string();
    assert!(!events.contains("planted"), "{events}");
}
