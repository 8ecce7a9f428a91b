//! A receiver repeats what it was sent. No secret is readable in the history, at a check or in the
//! log.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::Method;
use kit::sink::Sink;
use kit::stack::{Organization, Stack};
use serde_json::{Value, json};

use crate::stage;

/// The log level at which the process logs everything.
const EVERYTHING: &str = "trace";

/// The credentials of a destination, the path of its address, and what a receiver sees of it that
/// is secret.
fn kinds(sink: &Sink) -> Vec<(&'static str, Value, String, String)> {
    let plain = |name: &str| format!("/{name}");
    let secret_path = "/services/T0AB12CD/B0EF34GH/kEyKeyKey9";
    let url = format!("http://{}{secret_path}", sink.address());
    vec![
        (
            "bearer",
            json!({"kind": "bearer", "token": "planted/bearer+tok\"en="}),
            plain("bearer"),
            "planted/bearer+tok\"en=".to_owned(),
        ),
        (
            "api_key",
            json!({"kind": "api_key", "header": "x-key", "value": "planted<api>key&1"}),
            plain("key"),
            "planted<api>key&1".to_owned(),
        ),
        (
            "basic",
            json!({"kind": "basic", "username": "u", "password": "planted'basic/pass"}),
            plain("basic"),
            "planted'basic/pass".to_owned(),
        ),
        (
            "headers",
            json!({"kind": "headers", "headers": {"x-a": "planted\\header;value"}}),
            plain("headers"),
            "planted\\header;value".to_owned(),
        ),
        (
            "secret_url",
            json!({"kind": "secret_url", "url": url}),
            secret_path.to_owned(),
            secret_path[1..].to_owned(),
        ),
    ]
}

fn forms(secret: &str) -> Vec<String> {
    let escaped = json!(secret).to_string();
    let percent: String = secret.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let html = secret
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('"', "&quot;")
        .replace('\'', "&#39;")
        .replace('/', "&#x2F;");
    vec![
        secret.to_owned(),
        escaped.trim_matches('"').replace('/', "\\/"),
        percent,
        html,
        STANDARD.encode(secret),
        URL_SAFE_NO_PAD.encode(format!("user:{secret}")),
    ]
}

/// Sends to a receiver that echoes `form` everywhere, in successes and failures. Returns what can
/// be read of it.
async fn echoed(
    acme: &Organization,
    sink: &Sink,
    credentials: &Value,
    path: &str,
    form: &str,
) -> String {
    let receiver = sink.path(path);
    receiver.forget();
    let described = acme.destination().retries(0).skip_check();
    let described = if credentials["kind"] == "secret_url" {
        described.settings(json!({}))
    } else {
        described.webhook(&receiver)
    };
    let destination = described.credentials(credentials.clone()).create().await;
    let mut read = String::new();
    for status in [200, 302, 404] {
        let headers = [("location", form), ("x-echo", form), ("request-id", form)];
        receiver.answers_with(status, &headers, format!("<pre>Cannot POST {form}</pre>"));
        let delivery = acme
            .send([&destination], json!(1))
            .await
            .delivery(0)
            .settles()
            .await;
        assert_eq!(
            delivery["attempts"][0]["response"]["status"], status,
            "{delivery}"
        );
        assert!(
            delivery["attempts"][0]["response"]["body"]
                .as_str()
                .is_some_and(|body| body.contains("[redacted]")),
            "{delivery}"
        );
        read.push_str(&delivery.to_string());
    }
    read.push_str(
        &destination
            .action("check", json!({}))
            .await
            .ok(200)
            .to_string(),
    );
    read.push_str(&destination.health().await.to_string());
    destination.action("disable", json!({})).await.ok(200);
    read
}

/// Eight characters in a row of a secret, as they are or in base64, are too many.
#[track_caller]
fn assert_unreadable(secret: &str, text: &str, what: &str) {
    // The path of a secret address begins with an ordinary word.
    for part in secret
        .trim_start_matches("services/")
        .as_bytes()
        .windows(8)
        .filter_map(|part| std::str::from_utf8(part).ok())
    {
        assert!(
            !text.contains(part),
            "{what}: {part:?} of {secret:?} can be read"
        );
    }
    for form in forms(secret) {
        assert!(
            !text.contains(&form),
            "{what}: {form:?} of {secret:?} can be read"
        );
    }
}

#[tokio::test]
async fn secrets_that_a_receiver_echoes_are_readable_neither_in_the_history_nor_in_the_log() {
    let mut stack = stage::launch()
        .environment("LOG_LEVEL", EVERYTHING)
        .start()
        .await;
    let (acme, sink) = (stack.organization("Acme").await, Sink::start().await);
    let mut secrets = Vec::new();
    for (kind, credentials, path, secret) in kinds(&sink) {
        for form in forms(&secret) {
            let read = echoed(&acme, &sink, &credentials, &path, &form).await;
            assert_unreadable(&secret, &read, &format!("{kind} as {form}"));
        }
        secrets.push(secret);
    }
    let tokens = links(&stack, &acme, &sink).await;
    assert_eq!(stack.stop().await.0, Some(0));
    let log = stack.log();
    assert!(
        log.contains("/portal/{token}") && log.contains("/v1/messages"),
        "routes are logged"
    );
    for secret in &secrets {
        assert_unreadable(secret, &log, "the log");
    }
    for token in tokens {
        assert!(!log.contains(&token), "{token} is in the log");
    }
}

/// Follows links and signs in; answers what was secret in addresses and cookies.
async fn links(stack: &Stack, acme: &Organization, sink: &Sink) -> Vec<String> {
    let anonymous = stack.anonymous();
    let destination = acme
        .destination()
        .webhook(&sink.path("/links"))
        .create()
        .await;
    let message = acme.send([&destination], json!(1)).await;
    let link = acme
        .get(&format!("{}/payload?link=true", message.path()))
        .await
        .ok(200);
    let last = |url: &Value| {
        url.as_str()
            .expect("a url")
            .rsplit('/')
            .next()
            .expect("a token")
            .to_owned()
    };
    let payload = last(&link["url"]);
    anonymous.get(&format!("/d/{payload}")).await;
    let portal = last(
        &acme
            .post("/v1/portal-links", json!({"role": "viewer"}))
            .await
            .ok(201)["url"],
    );
    anonymous.get(&format!("/portal/{portal}")).await;
    let opened = anonymous
        .call(Method::POST, &format!("/portal/{portal}"))
        .send()
        .await;
    let cookie = opened
        .header("set-cookie")
        .expect("a session")
        .split(['=', ';'])
        .nth(1)
        .expect("a value")
        .to_owned();
    anonymous
        .get("/oidc/callback?code=planted-oidc-code&state=planted-oidc-state")
        .await;
    anonymous
        .get("/v1/oauth2/callback?code=planted-oauth-code&state=planted-oauth-state")
        .await;
    anonymous
        .get("/no/such/page/planted-path?planted-query=1")
        .await;
    acme.get("/v1/messages?reference=planted-reference")
        .await
        .ok(200);
    let planted = [
        "planted-oidc-code",
        "planted-oauth-code",
        "planted-path",
        "planted-query",
        "planted-reference",
    ]
    .map(str::to_owned);
    [payload, portal, cookie]
        .into_iter()
        .chain(planted)
        .collect()
}
