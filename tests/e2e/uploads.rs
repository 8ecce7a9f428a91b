//! Files are uploaded by a link, delivered byte for byte, downloaded and erased.

use std::time::Duration;

use bytes::Bytes;
use http::Method;
use kit::fetch::{fetch, try_fetch};
use kit::sink::Sink;
use kit::stack::{Answer, Message};
use serde_json::{Value, json};

use crate::stage;

const SOON: Duration = Duration::from_secs(20);

fn noise(bytes: usize) -> Bytes {
    let mut state = 0x9e37_79b9_u32;
    let next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state as u8
    };
    std::iter::repeat_with(next)
        .take(bytes)
        .collect::<Vec<u8>>()
        .into()
}

/// Puts bytes to the link of an upload. Returns the status of the response, or 0 if the connection
/// was closed.
pub(crate) async fn put(upload: &Value, bytes: Bytes) -> u16 {
    // The client declares the length.
    let headers = upload["headers"]
        .as_object()
        .unwrap()
        .iter()
        .filter(|(name, _)| *name != "content-length");
    let headers: Vec<(&str, &str)> = headers
        .map(|(name, value)| (&**name, value.as_str().unwrap()))
        .collect();
    // A refusal may come before the bytes are through.
    let answer = try_fetch(
        Method::PUT,
        upload["url"].as_str().unwrap(),
        &headers,
        bytes,
    )
    .await;
    answer.map_or(0, |answer| answer.status)
}

async fn get(url: &str) -> Answer {
    fetch(Method::GET, url, &[], Bytes::new()).await
}

#[tokio::test]
async fn an_upload_is_delivered_as_it_was_put_and_can_be_used_again() {
    let (acme, sink) = (stage::organization("Acme").await, Sink::start().await);
    let destination = acme.destination().webhook(&sink).create().await;
    let bytes = noise(8 << 20);
    let announced =
        json!({"content_type": "text/csv", "filename": "täglich.csv", "size_bytes": bytes.len()});
    let upload = acme.post("/v1/uploads", announced).await.ok(201);
    assert_eq!(upload["method"], "PUT");
    let message = json!({"event_type": "report.ready", "upload_id": upload["id"],
        "destination_ids": [destination.id]});
    acme.post("/v1/messages", message.clone())
        .await
        .problem(409, "upload_incomplete");

    assert_ne!(
        put(&upload, bytes.slice(..1000)).await,
        200,
        "another length than announced"
    );
    assert_eq!(put(&upload, bytes.clone()).await, 200);
    assert_ne!(
        put(&upload, bytes.clone()).await,
        200,
        "what is there is not written over"
    );
    for expected in 1..=2 {
        let accepted = acme.submit(message.clone()).await;
        assert_eq!(accepted.accepted["payload_info"]["filename"], "täglich.csv");
        accepted.delivery(0).reaches("succeeded").await;
        let request = sink.wait_for(expected, SOON).await.pop().unwrap();
        assert_eq!(request.header("content-type"), Some("text/csv"));
        assert!(request.body == bytes, "the bytes arrive as they were put");
    }
}

#[tokio::test]
async fn an_upload_is_deleted_with_the_last_message_that_uses_it() {
    let stack = stage::launch().start().await;
    let (acme, sink) = (stack.organization("Acme").await, Sink::start().await);
    let destination = acme.destination().webhook(&sink).create().await;
    let upload = acme
        .post(
            "/v1/uploads",
            json!({"content_type": "text/plain", "size_bytes": 6}),
        )
        .await
        .ok(201);
    assert_eq!(put(&upload, Bytes::from_static(b"shared")).await, 200);
    let message = json!({"event_type": "a.b", "upload_id": upload["id"],
        "destination_ids": [destination.id]});
    let (first, second) = (
        acme.submit(message.clone()).await,
        acme.submit(message.clone()).await,
    );
    let payload_of = |message: &Message| format!("{}/payload", message.path());
    for _ in 0..2 {
        acme.delete(&payload_of(&first)).await.ok(204);
    }
    acme.get(&payload_of(&first))
        .await
        .problem(410, "payload_expired");
    assert_eq!(acme.get(&payload_of(&second)).await.text(), "shared");
    acme.submit(message.clone())
        .await
        .delivery(0)
        .reaches("succeeded")
        .await;

    let listed = acme.get("/v1/messages").await.ok(200);
    for message in listed["data"].as_array().unwrap() {
        acme.delete(&format!(
            "/v1/messages/{}/payload",
            message["id"].as_str().unwrap()
        ))
        .await
        .ok(204);
    }
    acme.post("/v1/messages", message)
        .await
        .problem(409, "upload_incomplete");
}

#[tokio::test]
async fn an_upload_with_a_hash_takes_those_bytes_alone() {
    let acme = stage::organization("Acme").await;
    // sha256("hello")
    let hash = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
    let upload = acme
        .post(
            "/v1/uploads",
            json!({"content_type": "text/plain", "size_bytes": 5, "sha256": hash}),
        )
        .await
        .ok(201);
    assert_ne!(put(&upload, Bytes::from_static(b"hellO")).await, 200);
    assert_eq!(put(&upload, Bytes::from_static(b"hello")).await, 200);
}

#[tokio::test]
async fn mistakes_in_an_upload_are_named_and_anothers_does_not_exist() {
    let (acme, other) = (
        stage::organization("Acme").await,
        stage::organization("Other").await,
    );
    let answer = acme
        .post(
            "/v1/uploads",
            json!({"content_type": "csv", "size_bytes": 5_368_709_121_u64, "sha256": "x"}),
        )
        .await;
    answer.problem(422, "validation_failed");
    let mut mistakes = answer.mistakes();
    mistakes.sort();
    assert_eq!(mistakes, ["/content_type", "/sha256", "/size_bytes"]);
    let sink = Sink::start().await;
    let destination = other.destination().webhook(&sink).create().await;
    let upload = acme
        .post(
            "/v1/uploads",
            json!({"content_type": "text/plain", "size_bytes": 1}),
        )
        .await
        .ok(201);
    let foreign = json!({"event_type": "a.b", "upload_id": upload["id"],
        "destination_ids": [destination.id]});
    let answer = other.post("/v1/messages", foreign).await;
    answer.problem(404, "not_found");
    let both = json!({"event_type": "a.b", "upload_id": upload["id"], "payload": 1,
        "destination_ids": [destination.id]});
    let answer = other.post("/v1/messages", both).await;
    answer.problem(422, "validation_failed");
    let source = json!({"event_type": "a.b",
        "source": {"s3": {"bucket": "somebody-elses", "key": "k"}},
        "destination_ids": [destination.id]});
    let answer = other.post("/v1/messages", source).await;
    assert_eq!(answer.mistakes(), ["/source/s3/bucket"]);
}

#[tokio::test]
async fn a_source_in_a_granted_bucket_is_delivered_and_the_services_own_is_never_granted() {
    let stack = stage::launch().start().await;
    let acme = stack.organization("Acme").await;
    let sink = Sink::start().await;
    let destination = acme.destination().webhook(&sink).create().await;
    let folder = stack.data().join("s3/waybill-grantable-acme/exports");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("day.csv"), "a,b\n1,2\n").unwrap();
    let source = |bucket: &str, key: &str| {
        json!({"event_type": "export.done", "source": {"s3": {"bucket": bucket, "key": key}},
        "destination_ids": [destination.id]})
    };
    let path = format!("/v1/organizations/{}", acme.id);
    let grants = json!({"grants": {"buckets": ["waybill-grantable-acme"]}});
    stack.operator().patch(&path, grants).await.ok(200);
    let message = acme
        .submit(source("waybill-grantable-acme", "exports/day.csv"))
        .await;
    assert_eq!(message.accepted["payload_info"]["filename"], "day.csv");
    message.delivery(0).reaches("succeeded").await;
    assert_eq!(sink.wait_for(1, SOON).await[0].text(), "a,b\n1,2\n");
    let missing = acme
        .post(
            "/v1/messages",
            source("waybill-grantable-acme", "exports/gone.csv"),
        )
        .await;
    assert_eq!(missing.mistakes(), ["/source/s3/key"]);
    let own = acme
        .post("/v1/messages", source("waybill-payloads", "x"))
        .await;
    assert_eq!(own.mistakes(), ["/source/s3/bucket"]);
}

/// A grant is verified at every use: a message that was accepted under a withdrawn grant is neither
/// delivered nor shown.
#[tokio::test]
async fn a_grant_that_is_withdrawn_ends_what_was_accepted_under_it() {
    let stack = stage::launch().start().await;
    let acme = stack.organization("Acme").await;
    let sink = Sink::start().await;
    sink.answers([503, 200]);
    // Long enough for the grant to be withdrawn before the retry.
    let later = json!({"initial_seconds": 5});
    let destination = acme
        .destination()
        .with("retry_policy", later)
        .webhook(&sink)
        .skip_check()
        .create()
        .await;
    let folder = stack.data().join("s3/waybill-grantable-acme");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("day.csv"), "a,b\n1,2\n").unwrap();
    let path = format!("/v1/organizations/{}", acme.id);
    stack
        .operator()
        .patch(
            &path,
            json!({"grants": {"buckets": ["waybill-grantable-acme"]}}),
        )
        .await
        .ok(200);
    let source = json!({"s3": {"bucket": "waybill-grantable-acme", "key": "day.csv"}});
    let message = acme
        .submit(json!({"event_type": "a.b", "source": source, "destination_ids": [destination.id]}))
        .await;
    let payload = format!(
        "/v1/messages/{}/payload",
        message.accepted["id"].as_str().unwrap()
    );
    message.delivery(0).reaches("retrying").await;
    acme.get(&payload).await;
    stack
        .operator()
        .patch(&path, json!({"grants": {"buckets": []}}))
        .await
        .ok(200);
    let delivery = message.delivery(0).settles().await;
    assert_eq!(
        (&delivery["status"], &delivery["reason"]),
        (&json!("failed"), &json!("misconfigured")),
        "{delivery}"
    );
    assert_eq!(sink.count(), 1);
    acme.get(&payload).await.problem(403, "forbidden");
}

/// A tenant cannot use a role of the deployment's account, in any partition.
#[tokio::test]
async fn roles_of_our_own_account_and_what_is_no_role_are_refused_wherever_a_role_is_named() {
    let acme = stage::organization("Acme").await;
    let sink = Sink::start().await;
    let destination = acme.destination().webhook(&sink).create().await;
    let s3 = json!({"type": "s3", "name": "a", "settings": {"bucket": "reports"}});
    let email = json!({"type": "email", "name": "a",
        "settings": {"transport": "ses", "from": "a@b.example", "to": ["c@d.example"]}});
    for role in [
        "arn:aws:iam::000000000000:role/Admin",
        "arn:aws:iam::000000000000:role/path/to/waybill-ApiRole",
        "arn:aws-cn:iam::000000000000:role/Admin",
        "arn:aws-us-gov:iam::000000000000:role/Admin",
        "arn:aws:iam::*:role/Admin",
        "arn:aws:iam::123456789012:role/*",
        "arn:aws:iam::123456789012:user/somebody",
        "arn:aws:sts::123456789012:assumed-role/a/b",
        "arn:aws:iam::123456789012:role/a b and more",
    ] {
        for body in [&s3, &email] {
            let mut body = body.clone();
            body["credentials"] = json!({"kind": "iam_role", "role_arn": role});
            for path in [
                "/v1/destinations",
                "/v1/destinations?skip_check=true",
                "/v1/destinations/check",
            ] {
                let answer = acme.post(path, body.clone()).await;
                answer.problem(422, "validation_failed");
                assert_eq!(
                    answer.mistakes(),
                    ["/credentials/role_arn"],
                    "{path} {role}"
                );
            }
        }
        let arn = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:signing";
        let secret = json!({"secret_arn": arn, "role_arn": role});
        let hook = json!({"type": "webhook", "name": "h", "settings": {"url": sink.url()},
            "signing_secret": secret});
        let answer = acme.post("/v1/destinations?skip_check=true", hook).await;
        answer.problem(422, "validation_failed");
        assert_eq!(answer.mistakes(), ["/signing_secret/role_arn"], "{role}");
        let source = json!({"s3": {"bucket": "reports", "key": "k", "role_arn": role}});
        let answer = acme
            .post(
                "/v1/messages",
                json!({"event_type": "a.b", "source": source, "destination_ids": [destination.id]}),
            )
            .await;
        answer.problem(422, "validation_failed");
        assert_eq!(answer.mistakes(), ["/source/s3/role_arn"], "{role}");
    }
    let foreign = "arn:aws:iam::123456789012:role/reports";
    let own_bucket = json!({"s3": {"bucket": "waybill-payloads", "key": "k", "role_arn": foreign}});
    let answer = acme
        .post(
            "/v1/messages",
            json!({"event_type": "a.b", "source": own_bucket, "destination_ids": [destination.id]}),
        )
        .await;
    answer.problem(422, "validation_failed");
    assert_eq!(answer.mistakes(), ["/source/s3/bucket"]);
    // Nor is a bucket named by anything but its name.
    for bucket in [
        "arn:aws:s3:::waybill-payloads",
        "arn:aws:s3:us-east-1:000000000000:accesspoint/payloads",
        "waybill-payloads/a",
        "A-B",
    ] {
        let source = json!({"s3": {"bucket": bucket, "key": "k", "role_arn": foreign}});
        let answer = acme
            .post(
                "/v1/messages",
                json!({"event_type": "a.b", "source": source, "destination_ids": [destination.id]}),
            )
            .await;
        answer.problem(422, "validation_failed");
        assert_eq!(answer.mistakes(), ["/source/s3/bucket"], "{bucket}");
    }
    let mut body = s3.clone();
    body["credentials"] = json!({"kind": "iam_role", "role_arn": foreign});
    acme.post("/v1/destinations?skip_check=true", body)
        .await
        .ok(201);
}

/// S3 copies objects from Waybill's bucket to a granted one: with metadata, once, and never over
/// another object.
#[tokio::test]
async fn an_object_goes_to_a_granted_bucket_without_being_carried() {
    let stack = stage::launch().start().await;
    let acme = stack.organization("Acme").await;
    let folder = stack.data().join("s3/waybill-grantable-acme");
    std::fs::create_dir_all(&folder).unwrap();
    let grants = json!({"grants": {"buckets": ["waybill-grantable-acme"]}});
    stack
        .operator()
        .patch(&format!("/v1/organizations/{}", acme.id), grants)
        .await
        .ok(200);
    let settings = json!({"bucket": "waybill-grantable-acme", "key_template": "in/{{ filename }}"});
    let bucket = acme
        .destination()
        .with("type", "s3")
        .settings(settings)
        .credentials(json!({"kind": "iam"}))
        .retries(0)
        .create()
        .await;

    let bytes = noise(20 << 20);
    let name = "tägliche Zahlen + 1.csv";
    let send = async |bytes: Bytes| {
        let announced =
            json!({"content_type": "text/csv", "filename": name, "size_bytes": bytes.len()});
        let upload = acme.post("/v1/uploads", announced).await.ok(201);
        assert_eq!(put(&upload, bytes).await, 200);
        acme.submit(
            json!({"event_type": "report.ready", "upload_id": upload["id"],
            "destination_ids": [bucket.id]}),
        )
        .await
    };
    let message = send(bytes.clone()).await;
    let delivery = message.delivery(0);
    let done = delivery.reaches("succeeded").await;
    assert!(
        done["attempts"][0]["request"]["headers"]
            .to_string()
            .contains("x-amz-copy-source"),
        "{done}"
    );
    assert!(std::fs::read(folder.join("in").join(name)).unwrap() == bytes);
    acme.post(
        &format!("{}/retry", delivery.path()),
        json!({"force": true}),
    )
    .await
    .ok(202);
    delivery.attempts(2).await;
    delivery.reaches("succeeded").await;

    let refused = send(noise(3 << 20))
        .await
        .delivery(0)
        .reaches("failed")
        .await;
    assert_eq!(refused["reason"], "rejected", "{refused}");
    assert!(
        std::fs::read(folder.join("in").join(name)).unwrap() == bytes,
        "what is there stays"
    );
}

#[tokio::test]
async fn a_payload_is_downloaded_linked_and_erased() {
    let (acme, sink) = (stage::organization("Acme").await, Sink::start().await);
    let destination = acme.destination().webhook(&sink).create().await;
    sink.answers_with(200, &[], "echo: secret-of-the-payload");
    let message = acme
        .send([&destination], json!({"text": "secret-of-the-payload"}))
        .await;
    message.delivery(0).reaches("succeeded").await;
    let path = format!("{}/payload", message.path());
    let link = acme.get(&format!("{path}?link=true")).await.ok(200);
    let linked = get(link["url"].as_str().unwrap()).await;
    assert_eq!(linked.status, 200);
    assert!(
        linked
            .header("content-disposition")
            .unwrap()
            .starts_with("attachment")
    );
    assert_eq!(linked.text(), r#"{"text":"secret-of-the-payload"}"#);
    let forged = link["url"].as_str().unwrap().replace("/d/", "/d/x");
    assert_eq!(get(&forged).await.status, 404);

    acme.delete(&path).await.ok(204);
    acme.get(&path).await.problem(410, "payload_expired");
    let shown = message.delivery(0).read().await.to_string();
    assert!(!shown.contains("secret-of-the-payload"), "{shown}");
    let retry = acme
        .post(
            &format!("{}/retry", message.delivery(0).path()),
            json!({"force": true}),
        )
        .await;
    retry.problem(409, "payload_expired");

    // A large one is an object of its own, reached by a redirect.
    let upload = acme
        .post(
            "/v1/uploads",
            json!({"content_type": "text/plain", "size_bytes": 2_000_000}),
        )
        .await
        .ok(201);
    assert_eq!(put(&upload, Bytes::from(vec![b'x'; 2_000_000])).await, 200);
    let large = acme
        .submit(json!({"event_type": "a.b", "upload_id": upload["id"],
        "destination_ids": [destination.id]}))
        .await;
    let answer = acme.get(&format!("{}/payload", large.path())).await;
    assert_eq!(answer.status, 303);
    let followed = get(answer.header("location").unwrap()).await;
    assert_eq!((followed.status, followed.body.len()), (200, 2_000_000));
}
