//! Each function in processes of its own, started by the Lambda Runtime API from the binary that is
//! deployed, spoken to with the events of API Gateway, SQS and schedules, and reaching AWS over a
//! socket with its own credentials.
//!
//! The whole suite does so by one command:
//! `WAYBILL_TEST_PROCESSES=1 cargo test --workspace --test e2e`.

use std::time::Duration;

use kit::sink::Sink;
use kit::stack::Launch;
use kit::verifier::{Signed, Verifier};
use serde_json::json;

use crate::uploads::put;

#[tokio::test]
async fn the_deployed_functions_accept_check_deliver_retry_and_show() {
    let mut stack = Launch::of(env!("CARGO_BIN_EXE_waybill"))
        .arguments(["--processes"])
        .start()
        .await;
    let acme = stack.organization("Acme").await;
    let sink = Sink::start().await;
    let hook = sink.path("/hook");
    // The api invokes the worker's check; the worker opens what the api sealed.
    let destination = acme
        .destination()
        .webhook(&hook)
        .credentials(json!({"kind": "bearer", "token": "a-long-token"}));
    let destination = destination
        .settings(json!({"disable_on_gone": false}))
        .create()
        .await;
    assert!(
        destination.created["verified_at"].is_string(),
        "{}",
        destination.created
    );
    hook.forget();
    hook.answers([503, 200]);
    let message = acme.send([&destination], json!({"n": 1})).await;
    let delivery = message.delivery(0).reaches("succeeded").await;
    assert_eq!(
        delivery["attempt_count"], 2,
        "the monitor's or the queue's retry: {delivery}"
    );
    let requests = hook.requests();
    assert_eq!(
        requests[1].header("authorization"),
        Some("Bearer a-long-token")
    );
    assert_eq!(
        Verifier::Python.verdicts(&[Signed::received(destination.signing_secret(), &requests[1])]),
        [Ok(())]
    );

    // A longer wait leaves the queue: the monitor sends it by its schedule.
    hook.answers([503, 200]);
    let policy = json!({"max_retries": 1, "initial_seconds": 2});
    acme.patch(&destination.path(), json!({"retry_policy": policy}))
        .await
        .ok(200);
    acme.send([&destination], json!({"n": 2}))
        .await
        .delivery(0)
        .reaches("succeeded")
        .await;

    // A job, and the console.
    hook.answers([410, 200]);
    acme.send([&destination], json!({"n": 3}))
        .await
        .delivery(0)
        .reaches("failed")
        .await;
    let job = acme
        .post(
            "/v1/jobs",
            json!({"kind": "retry", "filter": {"status": ["failed"]}}),
        )
        .await
        .ok(202);
    let path = format!("/v1/jobs/{}", job["id"].as_str().unwrap());
    for _ in 0..100 {
        if acme.get(&path).await.ok(200)["status"] == "finished" {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(acme.get(&path).await.ok(200)["done"], 1);
    let page = stack.anonymous().get("/sign-in").await;
    assert!(
        page.status == 200 && page.text().contains("API key"),
        "{}",
        page.text()
    );
    // An upload goes to the objects' own listener, past the api.
    let big = "x".repeat(2_000_000);
    let upload =
        json!({"content_type": "text/plain", "filename": "big.txt", "size_bytes": big.len()});
    let upload = acme.post("/v1/uploads", upload).await.ok(201);
    assert_eq!(put(&upload, big.clone().into()).await, 200);
    hook.answers([200]);
    let file = json!({"event_type": "file.ready", "upload_id": upload["id"],
        "destination_ids": [destination.id]});
    acme.submit(file)
        .await
        .delivery(0)
        .reaches("succeeded")
        .await;
    assert_eq!(hook.requests().last().unwrap().body.len(), big.len());
    assert_eq!(stack.stop().await.0, Some(0), "{}", stack.log());
}
