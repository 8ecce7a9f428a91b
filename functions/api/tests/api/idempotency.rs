//! `Idempotency-Key`.

use std::sync::atomic::Ordering;

use serde_json::{Value, json};

use crate::fixture::{Deployment, refused, webhook};

#[tokio::test]
async fn the_same_request_again_is_answered_as_the_first_time_without_its_secrets() {
    let deployment = Deployment::new().await;
    let admin = deployment.admin();
    let first = admin.post_once("/v1/destinations", "k", webhook("a")).await;
    let again = admin.post_once("/v1/destinations", "k", webhook("a")).await;
    assert_eq!((first.status, again.status), (201, 201));
    assert_eq!(
        (
            first.header("idempotent-replayed"),
            again.header("idempotent-replayed")
        ),
        (None, Some("true"))
    );
    assert_eq!(first.header("location"), again.header("location"));
    let (mut expected, again) = (first.json(), again.json());
    expected["signing_secret"] = Value::Null;
    assert_eq!(again, expected);
    assert_eq!(
        admin.get("/v1/destinations").await.json()["data"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

#[tokio::test]
async fn another_request_with_the_same_key_is_refused() {
    let deployment = Deployment::new().await;
    let admin = deployment.admin();
    admin.post_once("/v1/destinations", "k", webhook("a")).await;
    let other = admin.post_once("/v1/destinations", "k", webhook("b")).await;
    insta::assert_json_snapshot!("idempotency_key_reused", other.problem());
    assert_eq!(
        admin
            .post_once("/v1/destinations?skip_check=true", "k", webhook("a"))
            .await
            .code(),
        "idempotency_key_reused"
    );
    assert_eq!(
        admin
            .post_once(
                "/v1/messages",
                "k",
                json!({"event_type": "a", "payload": 1})
            )
            .await
            .code(),
        "idempotency_key_reused"
    );
}

#[tokio::test]
async fn other_than_2xx_frees_the_key() {
    let deployment = Deployment::new().await;
    let admin = deployment.admin();
    assert_eq!(
        admin
            .post_once("/v1/destinations", "k", json!({}))
            .await
            .status,
        422
    );
    assert_eq!(
        admin
            .post_once("/v1/destinations", "k", webhook("a"))
            .await
            .status,
        201
    );
    assert_eq!(
        admin
            .post_once("/v1/messages", "m", json!({"event_type": "a"}))
            .await
            .status,
        422
    );
    assert_eq!(
        admin
            .post_once(
                "/v1/messages",
                "m",
                json!({"event_type": "b", "payload": 1})
            )
            .await
            .code(),
        "no_destinations"
    );
}

#[tokio::test]
async fn an_invalid_idempotency_key_is_400_after_the_earlier_checks() {
    let deployment = Deployment::new().await;
    let admin = deployment.admin();
    for bad in ["", &"k".repeat(256)] {
        assert_eq!(
            admin
                .post_once("/v1/destinations", bad, webhook("a"))
                .await
                .refusal(),
            refused(400, "malformed_request", &[])
        );
    }
    assert_eq!(
        admin
            .post_once("/v1/destinations/dst_x/test", "", json!({}))
            .await
            .status,
        404,
        "404 comes before 400"
    );
}

#[tokio::test]
async fn a_response_is_replayed_only_to_its_own_caller() {
    let deployment = Deployment::new().await;
    let first = deployment
        .admin()
        .post_once("/v1/api-keys", "k", json!({"name": "a", "role": "viewer"}))
        .await;
    assert_eq!(first.status, 201);
    let viewer = deployment.role("viewer").await;
    assert_eq!(
        viewer
            .post_once("/v1/api-keys", "k", json!({"name": "a", "role": "viewer"}))
            .await
            .refusal(),
        refused(403, "forbidden", &[])
    );
}

#[tokio::test]
async fn a_submission_is_replayed_as_it_was_accepted() {
    let deployment = Deployment::new().await;
    let admin = deployment.admin();
    let destination = admin.destination("a").await["id"].clone();
    let body = json!({"event_type": "a", "payload": {"n": 1}, "destination_ids": [destination],
        "expires_at": "2025-11-24T16:00:10Z"});
    let first = admin.post_once("/v1/messages", "k", body.clone()).await;
    assert_eq!(
        (first.status, first.header("idempotent-replayed")),
        (202, None)
    );
    let delivery = first.json()["deliveries"][0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    admin
        .post(&format!("/v1/deliveries/{delivery}/cancel"), json!({}))
        .await;
    admin
        .delete(&format!(
            "/v1/destinations/{}",
            destination.as_str().unwrap()
        ))
        .await;
    deployment
        .now_ms
        .fetch_add(60_000, std::sync::atomic::Ordering::Relaxed);
    let again = admin.post_once("/v1/messages", "k", body).await;
    assert_eq!(
        (again.status, again.header("idempotent-replayed")),
        (202, Some("true"))
    );
    assert_eq!(
        again.json(),
        first.json(),
        "as the first time, whatever has happened since"
    );
    assert_eq!(
        admin.get("/v1/messages").await.json()["data"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

#[tokio::test]
async fn a_key_adds_one_write_to_a_submission() {
    let deployment = Deployment::new().await;
    let admin = deployment.admin();
    let destination = admin.destination("a").await["id"].clone();
    let body = json!({"event_type": "a", "payload": 1, "destination_ids": [destination]});
    let writes = async |key: Option<&str>| {
        let recorder = deployment.engines.record();
        let answer = match key {
            Some(key) => admin.post_once("/v1/messages", key, body.clone()).await,
            None => admin.post("/v1/messages", body.clone()).await,
        };
        assert_eq!(answer.status, 202);
        recorder
            .calls()
            .iter()
            .filter(|call| call.operation == "PutItem")
            .count()
    };
    assert_eq!(
        (
            writes(None).await,
            writes(Some("k")).await,
            writes(Some("k")).await
        ),
        (1, 2, 0)
    );
}

/// The claim of a batch has a lease. A repeat after its end answers from the messages that were
/// committed, as an earlier one does.
#[tokio::test]
async fn a_batch_is_replayed_after_the_lease_of_its_claim_too() {
    let deployment = Deployment::new().await;
    let admin = deployment.admin();
    let destination = admin.destination("a").await;
    let message = json!({"event_type": "a", "payload": 1, "destination_ids": [destination["id"]]});
    let body = json!({"messages": [message, message]});
    let first = admin
        .post_once("/v1/messages/batch", "k", body.clone())
        .await;
    assert_eq!(first.status, 202, "{first:?}");
    deployment.now_ms.fetch_add(3_600_000, Ordering::Relaxed);
    let sends = deployment.engines.record();
    let again = admin.post_once("/v1/messages/batch", "k", body).await;
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    assert_eq!(again.json(), first.json());
    let sent = sends.take();
    assert!(
        sent.iter()
            .all(|call| !call.operation.starts_with("SendMessage")),
        "no task is sent again: {sent:?}"
    );
}

#[tokio::test]
async fn a_batch_is_replayed_message_by_message() {
    let deployment = Deployment::new().await;
    let admin = deployment.admin();
    let destination = admin.destination("a").await["id"].clone();
    let good = json!({"event_type": "a", "payload": 1, "destination_ids": [destination]});
    let mut keyed = good.clone();
    keyed["idempotency_key"] = "own".into();
    let unknown = json!({"event_type": "a", "payload": 1,
        "destination_ids": ["dst_01kavd83802s63efghp3q1cpj4"]});
    let body = json!({"messages": [good, keyed, {"event_type": "b", "payload": 1}, unknown, {}]});
    let first = admin
        .post_once("/v1/messages/batch", "k", body.clone())
        .await;
    let statuses = |answer: &Value| {
        answer["results"]
            .as_array()
            .unwrap()
            .iter()
            .map(|r| r["status"].clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(statuses(&first.json()), [202, 202, 422, 404, 422]);
    // The message would be accepted now, but was refused when it was first sent.
    admin
        .patch(
            "/v1/organization",
            json!({"settings": {"default_destination_ids": [destination]}}),
        )
        .await;
    let again = admin.post_once("/v1/messages/batch", "k", body).await;
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    let without_ids = |mut answer: Value| {
        for result in answer["results"].as_array_mut().unwrap() {
            if let Some(error) = result.get_mut("error") {
                error["request_id"].take();
            }
        }
        answer
    };
    assert_eq!(without_ids(again.json()), without_ids(first.json()));
    assert_eq!(
        admin.get("/v1/messages").await.json()["data"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
    let own = admin
        .post("/v1/messages/batch", json!({"messages": [keyed]}))
        .await
        .json();
    assert_eq!(
        own["results"][0]["message"]["id"],
        first.json()["results"][1]["message"]["id"]
    );
}

/// The destination was paused when the message was accepted, and another one is paused since.
#[tokio::test]
async fn a_repeat_shows_the_pauses_of_the_first_response() {
    let deployment = Deployment::new().await;
    let admin = deployment.admin();
    let (paused, other) = (admin.destination("a").await, admin.destination("b").await);
    let switch = async |destination: &Value, action: &str| {
        let id = destination["id"].as_str().unwrap();
        let path = format!("/v1/destinations/{id}/{action}");
        let switched = admin.post(&path, json!({})).await;
        assert_eq!(switched.status, 200, "{switched:?}");
    };
    let message = json!({"event_type": "a", "payload": 1,
        "destination_ids": [paused["id"], other["id"]]});
    let batch = json!({"messages": [message]});
    switch(&paused, "pause").await;
    let first = admin.post_once("/v1/messages", "k", message.clone()).await;
    let first_batch = admin
        .post_once("/v1/messages/batch", "b", batch.clone())
        .await;
    let waiting_for = |message: &Value| {
        let deliveries = message["deliveries"].as_array().unwrap().iter();
        deliveries
            .map(|delivery| delivery["waiting_for"].clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(waiting_for(&first.json()), [json!("pause"), Value::Null]);
    switch(&paused, "resume").await;
    switch(&other, "pause").await;
    let again = admin.post_once("/v1/messages", "k", message).await;
    assert_eq!(again.json(), first.json());
    let again = admin.post_once("/v1/messages/batch", "b", batch).await;
    assert_eq!(again.json(), first_batch.json());
}

#[tokio::test]
async fn a_repeat_does_not_show_deliveries_that_were_added_since() {
    let deployment = Deployment::new().await;
    let admin = deployment.admin();
    let (destination, other) = (admin.destination("a").await, admin.destination("b").await);
    let message = json!({"event_type": "a", "payload": 1, "destination_ids": [destination["id"]]});
    let batch = json!({"messages": [message]});
    let first = admin.post_once("/v1/messages", "k", message.clone()).await;
    let first_batch = admin
        .post_once("/v1/messages/batch", "b", batch.clone())
        .await;
    for message in [&first.json(), &first_batch.json()["results"][0]["message"]] {
        let path = format!(
            "/v1/messages/{}/deliveries",
            message["id"].as_str().unwrap()
        );
        let body = json!({"destination_ids": [other["id"]]});
        let added = admin.post(&path, body).await;
        assert_eq!(added.json()["deliveries"].as_array().unwrap().len(), 2);
    }
    let again = admin.post_once("/v1/messages", "k", message).await;
    assert_eq!(again.json(), first.json());
    let again = admin.post_once("/v1/messages/batch", "b", batch).await;
    assert_eq!(again.json(), first_batch.json());
}

#[tokio::test]
async fn two_concurrent_requests_with_one_key_execute_once() {
    let deployment = Deployment::new().await;
    let admin = deployment.admin();
    let (one, two) = tokio::join!(
        admin.post_once("/v1/destinations", "k", webhook("a")),
        admin.post_once("/v1/destinations", "k", webhook("a"))
    );
    assert_eq!((one.status, two.status), (201, 201));
    assert_eq!(one.json()["id"], two.json()["id"]);
    assert_eq!(
        admin.get("/v1/destinations").await.json()["data"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

#[tokio::test]
async fn a_create_that_broke_off_after_its_write_is_not_made_twice() {
    let deployment = Deployment::new().await;
    let admin = deployment.admin();
    deployment.engines.install_faults(|call| {
        // The destination is written, but not that the request has finished.
        if call.operation == "UpdateItem" {
            local_aws::Fault::throttled()
        } else {
            local_aws::Fault::None
        }
    });
    let first = admin.post_once("/v1/destinations", "k", webhook("a")).await;
    deployment.engines.clear_faults();
    assert_eq!(first.status, 201);
    // The lease of the claim ends.
    deployment
        .now_ms
        .fetch_add(40_000, std::sync::atomic::Ordering::Relaxed);
    let again = admin.post_once("/v1/destinations", "k", webhook("a")).await;
    assert_eq!(
        (again.status, &again.json()["id"]),
        (201, &first.json()["id"])
    );
    assert_eq!(
        admin.get("/v1/destinations").await.json()["data"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

#[tokio::test]
async fn a_submission_that_broke_off_is_taken_over_at_once() {
    let deployment = Deployment::new().await;
    let admin = deployment.admin();
    let destination = admin.destination("a").await["id"].clone();
    let body = json!({"event_type": "a", "payload": 1, "destination_ids": [destination]});
    let writes = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let seen = writes.clone();
    deployment.engines.install_faults(move |call| {
        // The claim succeeds and the commit fails.
        let refused = call.operation == "PutItem"
            && seen.fetch_add(1, std::sync::atomic::Ordering::Relaxed) > 0;
        if refused {
            local_aws::Fault::throttled()
        } else {
            local_aws::Fault::None
        }
    });
    let broken = admin.post_once("/v1/messages", "k", body.clone()).await;
    assert_eq!(
        (broken.status, broken.code()),
        (503, "unavailable".to_owned())
    );
    deployment.engines.clear_faults();
    assert_eq!(admin.get("/v1/messages").await.json()["data"], json!([]));
    let again = admin.post_once("/v1/messages", "k", body.clone()).await;
    assert_eq!(
        (again.status, again.header("idempotent-replayed")),
        (202, None)
    );
    let replayed = admin.post_once("/v1/messages", "k", body).await;
    assert_eq!(replayed.json(), again.json());
    assert_eq!(
        admin.get("/v1/messages").await.json()["data"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

#[tokio::test]
async fn a_job_that_was_stored_by_a_request_that_failed_is_not_made_twice() {
    let deployment = Deployment::new().await;
    let admin = deployment.admin();
    let body = json!({"kind": "retry", "filter": {}});
    let claimed = std::sync::atomic::AtomicBool::new(false);
    deployment.engines.install_faults(move |call| {
        // The job is stored, but its task is refused, and that is not stored.
        let refused = call.service == local_aws::Service::Sqs
            || (call.operation == "PutItem"
                && claimed.swap(true, std::sync::atomic::Ordering::Relaxed));
        if refused {
            local_aws::Fault::throttled()
        } else {
            local_aws::Fault::None
        }
    });
    let failed = admin.post_once("/v1/jobs", "k", body.clone()).await;
    assert_eq!(failed.status, 503, "{failed:?}");
    deployment.engines.clear_faults();
    let again = admin.post_once("/v1/jobs", "k", body).await;
    assert_eq!(again.status, 202, "{again:?}");
    let jobs = admin.get("/v1/jobs").await.json()["data"].clone();
    assert_eq!(jobs.as_array().unwrap().len(), 1, "{jobs}");
    assert_eq!(jobs[0]["id"], again.json()["id"]);
}

#[tokio::test]
async fn a_job_whose_task_was_refused_is_started_by_a_repeat() {
    let deployment = Deployment::new().await;
    let admin = deployment.admin();
    let body = json!({"kind": "retry", "filter": {}});
    deployment.engines.install_faults(|call| {
        if call.service == local_aws::Service::Sqs {
            local_aws::Fault::throttled()
        } else {
            local_aws::Fault::None
        }
    });
    let failed = admin.post_once("/v1/jobs", "k", body.clone()).await;
    assert_eq!(failed.status, 503, "{failed:?}");
    deployment.engines.clear_faults();
    let again = admin.post_once("/v1/jobs", "k", body).await;
    assert_eq!(
        (again.status, &again.json()["status"]),
        (202, &json!("queued")),
        "{again:?}"
    );
}

/// The first request fails at any one of its calls.
#[tokio::test]
async fn enabling_with_a_replay_that_failed_part_of_the_way_is_completed_by_a_repeat() {
    let deployment = Deployment::new().await;
    let admin = deployment.admin();
    let destination = admin.destination("a").await;
    let path = format!("/v1/destinations/{}", destination["id"].as_str().unwrap());
    for succeeding in 0.. {
        let disabled = admin.post(&format!("{path}/disable"), json!({})).await;
        assert_eq!(disabled.status, 200, "{disabled:?}");
        let calls = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let counted = std::sync::Arc::clone(&calls);
        deployment.engines.install_faults(move |_| {
            match counted.fetch_add(1, std::sync::atomic::Ordering::Relaxed) {
                before if before < succeeding => local_aws::Fault::None,
                // An error that the SDK does not retry.
                _ => local_aws::Fault::Refuse(local_aws::ServiceError::new(
                    400,
                    "ValidationException",
                    "refused on purpose",
                )),
            }
        });
        let enable_path = format!("{path}/enable");
        let enable = || admin.post(&enable_path, json!({"replay_since": "disabled_at"}));
        let first = enable().await;
        deployment.engines.clear_faults();
        if first.status != 200 {
            let again = enable().await;
            assert_eq!(again.status, 200, "{again:?}");
        }
        assert_eq!(admin.get(&path).await.json()["status"], "enabled");
        let jobs = admin.get("/v1/jobs?limit=100").await.json()["data"].clone();
        assert_eq!(
            jobs.as_array().unwrap().len(),
            succeeding + 1,
            "{succeeding} calls succeeded: {first:?}"
        );
        let job = jobs[0]["id"].as_str().unwrap();
        let cancelled = admin
            .post(&format!("/v1/jobs/{job}/cancel"), json!({}))
            .await;
        assert_eq!(cancelled.status, 200, "{cancelled:?}");
        if calls.load(std::sync::atomic::Ordering::Relaxed) <= succeeding {
            break;
        }
    }
}

#[tokio::test]
async fn a_repeat_of_an_interrupted_enabling_returns_the_replay_that_was_stored() {
    let deployment = Deployment::new().await;
    let admin = deployment.admin();
    let destination = admin.destination("a").await;
    let path = format!("/v1/destinations/{}", destination["id"].as_str().unwrap());
    let disabled = admin.post(&format!("{path}/disable"), json!({})).await;
    assert_eq!(disabled.status, 200, "{disabled:?}");
    let enabled = std::sync::atomic::AtomicBool::new(false);
    deployment.engines.install_faults(move |call| {
        // The destination is enabled and the job is stored, but then the table cannot be read.
        let was_enabled = match call.operation.as_str() {
            "TransactWriteItems" => enabled.swap(true, std::sync::atomic::Ordering::Relaxed),
            "UpdateItem" => false,
            _ => enabled.load(std::sync::atomic::Ordering::Relaxed),
        };
        if was_enabled {
            local_aws::Fault::throttled()
        } else {
            local_aws::Fault::None
        }
    });
    let (enable, body) = (
        format!("{path}/enable"),
        json!({"replay_since": "disabled_at"}),
    );
    let failed = admin.post_once(&enable, "k", body.clone()).await;
    assert_eq!(failed.status, 503, "{failed:?}");
    deployment.engines.clear_faults();
    let again = admin.post_once(&enable, "k", body).await;
    assert_eq!(again.status, 200, "{again:?}");
    let jobs = admin.get("/v1/jobs").await.json()["data"].clone();
    assert_eq!(jobs.as_array().unwrap().len(), 1, "{jobs}");
    assert_eq!(jobs[0]["id"], again.json()["job"]["id"]);
}
