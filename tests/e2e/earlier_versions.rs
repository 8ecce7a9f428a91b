//! Data directories of earlier versions: today's process opens them, shows what they hold and
//! delivers what was waiting in them.
//!
//! `tests/fixtures/data_b96556c` was written by the binary of commit b96556c, which was killed
//! while work was queued and under way; its README says how. Links and sessions end with time, so
//! the process is given the time of that kill, or one much later.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::Method;
use kit::mail_folder::mails;
use kit::sink::{Received, Sink};
use kit::stack::{Caller, Organization, Stack};
use serde_json::{Value, json};
use sha2::Sha256;
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::stage;

/// The addresses of the receivers that the stored destinations name.
const UP: &str = "127.96.55.6:20561";
const DOWN: &str = "127.96.55.6:20562";
const SLOW: &str = "127.96.55.6:20563";
/// 40 messages were queued, most of them never attempted.
const UNDER_WAY: usize = 40;
const ALL_ARRIVE: Duration = Duration::from_secs(60);
const DAY_SECONDS: u64 = 24 * 3600;

/// One test at a time listens at the receivers' addresses.
static RECEIVERS: Mutex<()> = Mutex::const_new(());

/// What the process of b96556c had issued and shown.
struct Issued(Value);

impl Issued {
    fn read() -> Self {
        Self(serde_json::from_str(include_str!("../fixtures/data_b96556c/issued.json")).unwrap())
    }

    fn text(&self, pointer: &str) -> &str {
        self.0
            .pointer(pointer)
            .and_then(Value::as_str)
            .unwrap_or_else(|| panic!("no {pointer}"))
    }

    fn killed_at(&self) -> u64 {
        self.0["killed_at_unix_seconds"].as_u64().unwrap()
    }

    /// Today's process on a copy of the directory, so many days after the kill.
    async fn opened(&self, days_later: u64) -> Stack {
        let archive = PathBuf::from(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../tests/fixtures/data_b96556c/data.tar.gz"
        ));
        stage::launch()
            .at_time(self.killed_at() + days_later * DAY_SECONDS)
            .start_on(&archive)
            .await
    }

    fn acme(&self, stack: &Stack) -> Organization {
        Organization::existing(
            self.text("/organization_id"),
            stack.anonymous().with_key(self.text("/key")),
        )
    }

    /// The ids of the deliveries of a message, of which the fixture has one each.
    fn delivery(&self, pointer: &str, position: usize) -> String {
        format!(
            "{}_{position:02}",
            self.text(pointer).replacen("msg_", "dlv_", 1)
        )
    }

    fn under_way(&self) -> BTreeSet<String> {
        (0..UNDER_WAY)
            .map(|index| self.delivery(&format!("/messages/under_way/{index}"), 0))
            .collect()
    }
}

/// Responses may gain members within `/v1`; existing members do not change.
fn assert_contains(answer: &Value, expected: &Value, path: &str) {
    match (answer, expected) {
        (Value::Object(answer), Value::Object(expected)) => {
            for (name, expected) in expected {
                let value = answer
                    .get(name)
                    .unwrap_or_else(|| panic!("{path}/{name} is gone"));
                assert_contains(value, expected, &format!("{path}/{name}"));
            }
        }
        (Value::Array(answer), Value::Array(expected)) => {
            assert_eq!(answer.len(), expected.len(), "{path}");
            for (index, (answer, expected)) in answer.iter().zip(expected).enumerate() {
                assert_contains(answer, expected, &format!("{path}/{index}"));
            }
        }
        _ => assert_eq!(answer, expected, "{path}"),
    }
}

/// Removes the members that depend on the time or on the port of the process, and those that were
/// renamed.
fn comparable(mut shown: Value, api_url: &str) -> Value {
    fn walk(value: &mut Value, api_url: &str) {
        match value {
            Value::Object(members) => {
                members.remove("health");
                if let Some(key) = members.remove("host_key") {
                    members.insert("host_keys".to_owned(), json!([key]));
                }
                members.values_mut().for_each(|value| walk(value, api_url));
            }
            Value::Array(items) => items.iter_mut().for_each(|item| walk(item, api_url)),
            Value::String(text) => *text = text.replace(api_url, ""),
            _ => {}
        }
    }
    walk(&mut shown, api_url);
    shown
}

#[tokio::test]
async fn records_of_an_earlier_version_are_shown_as_that_version_showed_them() {
    let issued = Issued::read();
    let stack = issued.opened(0).await;
    let acme = issued.acme(&stack);
    let api_url = stack.local_json()["api_url"].as_str().unwrap().to_owned();
    for (path, expected) in issued.0["shown"].as_object().unwrap() {
        let answer = comparable(acme.get(path).await.ok(200), &api_url);
        assert_contains(
            &answer,
            &comparable(expected.clone(), issued.text("/api_url")),
            path,
        );
    }
    let messages = acme.list("/v1/messages?limit=100").await;
    assert_eq!(messages.len(), 5 + UNDER_WAY, "{messages:?}");
    assert!(!acme.audited("destination.created").await.is_empty());
    for name in ["sftp", "postgres"] {
        let position = if name == "sftp" { 1 } else { 2 };
        let delivery = acme
            .get(&format!(
                "/v1/deliveries/{}",
                issued.delivery("/messages/retrying", position)
            ))
            .await
            .ok(200);
        assert_eq!(
            (&delivery["status"], &delivery["attempt_count"]),
            (&json!("retrying"), &json!(1)),
            "{delivery}"
        );
    }
}

#[tokio::test]
async fn keys_and_links_of_an_earlier_version_still_work() {
    let issued = Issued::read();
    let stack = issued.opened(0).await;
    let (acme, anonymous) = (issued.acme(&stack), stack.anonymous());
    anonymous
        .with_key(issued.text("/revoked_key"))
        .get("/v1/organization")
        .await
        .problem(401, "unauthenticated");
    anonymous
        .with_key(issued.text("/operator_key"))
        .get("/v1/organizations")
        .await
        .ok(200);

    let seen = issued.0["seen_on_first_pages"].as_array().unwrap();
    for (path, cursor) in issued.0["cursors"].as_object().unwrap() {
        let page = acme
            .get(&format!("{path}&cursor={}", cursor.as_str().unwrap()))
            .await
            .ok(200);
        let items = page["data"].as_array().unwrap();
        assert!(
            !items.is_empty() && items.iter().all(|item| !seen.contains(&item["id"])),
            "{path}: {page}"
        );
    }

    let again = acme
        .call(Method::POST, "/v1/messages")
        .header("idempotency-key", issued.text("/idempotent/key"));
    let again = again
        .json_text(issued.text("/idempotent/body").to_owned())
        .send()
        .await;
    assert_eq!(
        again.header("idempotent-replayed"),
        Some("true"),
        "{}",
        again.text()
    );
    assert_eq!(again.ok(202)["id"], issued.text("/messages/delivered"));

    let payload = anonymous.get(issued.text("/payload_link")).await;
    assert_eq!(payload.status, 200, "{}", payload.text());
    let rows: Value = serde_json::from_str(payload.text()).unwrap();
    assert_eq!(rows["rows"].as_array().unwrap().len(), 20_000);

    assert_eq!(
        shows_deliveries(&anonymous, issued.text("/session_cookie")).await,
        200
    );
    let link = issued.text("/portal_links/unopened");
    let opened = anonymous
        .call(Method::POST, link)
        .header("accept", "text/html")
        .send()
        .await;
    let cookie = opened
        .header("set-cookie")
        .and_then(|cookie| cookie.split(';').next())
        .expect("a session");
    assert_eq!(shows_deliveries(&anonymous, cookie).await, 200);
    let link = issued.text("/portal_links/opened");
    assert_eq!(
        anonymous
            .call(Method::POST, link)
            .header("accept", "text/html")
            .send()
            .await
            .status,
        404,
        "it opens once"
    );
}

/// The status of a page of the console for the bearer of a cookie; 303 leads to the sign-in.
async fn shows_deliveries(anonymous: &Caller, cookie: &str) -> u16 {
    anonymous
        .call(Method::GET, "/deliveries")
        .header("accept", "text/html")
        .header("cookie", cookie)
        .send()
        .await
        .status
}

#[tokio::test]
async fn deliveries_that_an_earlier_version_left_queued_and_retrying_are_delivered() {
    let _receivers = RECEIVERS.lock().await;
    let issued = Issued::read();
    let [up, down, slow] = receivers().await;
    let stack = issued.opened(0).await;
    let acme = issued.acme(&stack);
    assert_all_arrive(&issued, &acme, &slow).await;

    let retried = down.wait_for(1, ALL_ARRIVE).await.remove(0);
    assert_eq!(
        retried.header("webhook-id"),
        Some(issued.delivery("/messages/retrying", 0).as_str())
    );
    assert_ne!(retried.header("waybill-attempt"), Some("1"));
    assert_signed(&retried, issued.text("/signing_secrets/down"));
    assert_stays(
        &issued,
        &acme,
        [("skipped", "skipped", 0), ("cancelled", "cancelled", 1)],
    )
    .await;
    let job = stage::until("the job is finished", async || {
        let job = acme
            .get(&format!("/v1/jobs/{}", issued.text("/job_id")))
            .await
            .ok(200);
        (job["status"] == "finished").then_some(job)
    });
    assert_eq!(job.await["total"], 1);
    assert!(
        up.requests()
            .iter()
            .all(|request| request.path != "/disabled"),
        "nothing is sent to a disabled destination"
    );
    assert_delivers_with_stored_secrets(&issued, &stack, &acme, &up).await;
}

#[tokio::test]
async fn deliveries_of_an_earlier_version_are_delivered_a_year_later_and_its_links_have_ended() {
    let _receivers = RECEIVERS.lock().await;
    let issued = Issued::read();
    let [up, _, slow] = receivers().await;
    let stack = issued.opened(400).await;
    let (acme, anonymous) = (issued.acme(&stack), stack.anonymous());
    assert_all_arrive(&issued, &acme, &slow).await;
    assert_stays(
        &issued,
        &acme,
        [("skipped", "skipped", 0), ("cancelled", "cancelled", 1)],
    )
    .await;
    assert_delivers_with_stored_secrets(&issued, &stack, &acme, &up).await;

    let payload = anonymous.get(issued.text("/payload_link")).await;
    payload.problem(404, "not_found");
    assert_eq!(
        shows_deliveries(&anonymous, issued.text("/session_cookie")).await,
        303
    );
    let link = anonymous
        .call(Method::POST, issued.text("/portal_links/unopened"))
        .header("accept", "text/html")
        .send()
        .await;
    assert_eq!(link.status, 404, "{}", link.text());
}

async fn receivers() -> [Sink; 3] {
    let [up, down, slow] = [UP, DOWN, SLOW].map(|address| address.parse::<SocketAddr>().unwrap());
    [
        Sink::start_at(up).await,
        Sink::start_at(down).await,
        Sink::start_at(slow).await,
    ]
}

/// Each queued delivery arrives at the receiver under its own id.
async fn assert_all_arrive(issued: &Issued, acme: &Organization, slow: &Sink) {
    let (expected, deadline) = (issued.under_way(), Instant::now() + ALL_ARRIVE);
    for delivery in &expected {
        loop {
            let delivery = acme
                .get(&format!("/v1/deliveries/{delivery}"))
                .await
                .ok(200);
            if delivery["status"] == "succeeded" {
                break;
            }
            assert!(Instant::now() < deadline, "{delivery}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    let arrived: BTreeSet<String> = slow
        .requests()
        .iter()
        .map(|request| request.header("webhook-id").unwrap().to_owned())
        .collect();
    assert_eq!(arrived, expected);
}

/// What was finished keeps its status and its count of attempts.
async fn assert_stays<const N: usize>(
    issued: &Issued,
    acme: &Organization,
    finished: [(&str, &str, u64); N],
) {
    for (message, status, attempts) in finished {
        let path = format!(
            "/v1/deliveries/{}",
            issued.delivery(&format!("/messages/{message}"), 0)
        );
        let delivery = acme.get(&path).await.ok(200);
        assert_eq!(
            (&delivery["status"], &delivery["attempt_count"]),
            (&json!(status), &json!(attempts)),
            "{delivery}"
        );
    }
    let disabled = acme
        .get(&format!(
            "/v1/destinations/{}",
            issued.text("/destinations/disabled")
        ))
        .await
        .ok(200);
    assert_eq!(
        (&disabled["status"], &disabled["disabled"]["reason"]),
        (&json!("disabled"), &json!("Maintenance")),
        "{disabled}"
    );
}

/// The signature is that of the secret. The libraries that judge signatures elsewhere refuse the
/// time that this process was given.
fn assert_signed(request: &Received, secret: &str) {
    let header = |name| request.header(name).unwrap();
    let key = BASE64
        .decode(secret.strip_prefix("whsec_").unwrap())
        .unwrap();
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).unwrap();
    mac.update(format!("{}.{}.", header("webhook-id"), header("webhook-timestamp")).as_bytes());
    mac.update(&request.body);
    assert_eq!(
        header("webhook-signature"),
        format!("v1,{}", BASE64.encode(mac.finalize().into_bytes()))
    );
}

/// A new message goes to old destinations: credentials and signing secrets that were sealed then
/// are opened now.
async fn assert_delivers_with_stored_secrets(
    issued: &Issued,
    stack: &Stack,
    acme: &Organization,
    up: &Sink,
) {
    let names = ["up", "templated", "mailbox", "bucket"];
    let ids = names.map(|name| issued.text(&format!("/destinations/{name}")));
    let message = acme
        .submit(
            json!({"event_type": "order.paid", "payload": {"order": 7}, "destination_ids": ids}),
        )
        .await;
    assert_eq!(message.settles().await["status"], "succeeded");
    let requests = up.requests();
    let at = |path: &str| {
        requests
            .iter()
            .find(|request| request.path == path)
            .unwrap_or_else(|| panic!("nothing at {path}"))
    };
    assert_eq!(
        at("/up").header("authorization"),
        Some("Bearer the-receivers-token")
    );
    assert_eq!(at("/up").header("x-team"), Some("billing"));
    assert_eq!(at("/templated").json(), json!({"text": "Order 7"}));
    assert_signed(at("/up"), issued.text("/signing_secrets/up"));
    assert!(
        mails(&stack.data())
            .iter()
            .any(|mail| mail["subject"] == "Order 7")
    );
    let object = stack.data().join(format!(
        "s3/waybill-grantable-acme/in/{}.json",
        message.delivery(3).id
    ));
    assert_eq!(std::fs::read_to_string(object).unwrap(), r#"{"order":7}"#);
}
