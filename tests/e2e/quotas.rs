//! Quotas on the running process. A local process has none unless a parameter sets them.

use kit::sink::Sink;
use serde_json::{Value, json};

use crate::stage;

fn over(answer: &kit::stack::Answer, quota: &str) {
    let problem = answer.problem(429, "rate_limited");
    assert!(
        problem["detail"].as_str().unwrap().contains(quota),
        "{problem}"
    );
    let seconds: u32 = answer.header("retry-after").unwrap().parse().unwrap();
    assert!(seconds >= 1);
}

#[tokio::test]
async fn quotas_of_the_deployment_and_of_one_organization_hold() {
    let sink = Sink::start().await;
    let parameters = [
        "--parameter",
        "RateLimits=on",
        "--parameter",
        "DeliveriesPerSecond=1",
        "--parameter",
        "ChecksPerMinute=3",
    ];
    let stack = stage::launch().arguments(parameters).start().await;
    let acme = stack.organization("Acme").await;
    let quotas = acme.get("/v1/organization").await.ok(200)["quotas"].clone();
    assert_eq!(
        (
            &quotas["deliveries_per_second"],
            &quotas["requests_per_second"]
        ),
        (&json!(1), &json!(50))
    );

    let destination = acme.destination().webhook(&sink).create().await;
    let message = json!({"event_type": "a", "payload": 1, "destination_ids": [destination.id]});
    over(
        &acme
            .post(
                "/v1/messages/batch",
                json!({"messages": vec![message.clone(); 40]}),
            )
            .await,
        "deliveries_per_second",
    );
    let accepted = acme
        .post("/v1/messages/batch", json!({"messages": vec![message; 20]}))
        .await
        .ok(202);
    assert!(
        accepted["results"]
            .as_array()
            .unwrap()
            .iter()
            .all(|result| result["status"] == 202)
    );

    let path = format!("{}/check", destination.path());
    for _ in 0..2 {
        acme.post(&path, json!({})).await.ok(200);
    }
    over(&acme.post(&path, json!({})).await, "checks_per_minute");
    over(
        &acme.destination().webhook(&sink).asks().await,
        "checks_per_minute",
    );
    assert_eq!(
        acme.list("/v1/destinations").await.len(),
        1,
        "what was refused was not saved"
    );

    stack
        .operator()
        .patch(
            &format!("/v1/organizations/{}", acme.id),
            json!({"quotas": {"requests_per_second": 1}}),
        )
        .await
        .ok(200);
    let answers =
        futures_util::future::join_all((0..12).map(|_| acme.get("/v1/organization"))).await;
    let refused: Vec<_> = answers
        .iter()
        .filter(|answer| answer.status == 429)
        .collect();
    assert!(refused.len() >= 4, "{} of 12 were refused", refused.len());
    over(refused[0], "requests_per_second");
}

#[tokio::test]
async fn a_batch_of_more_than_a_thousand_deliveries_is_refused_and_one_of_a_thousand_is_answered() {
    let (acme, sink) = (stage::organization("Acme").await, Sink::start().await);
    let mut ids: Vec<String> = Vec::new();
    for _ in 0..11 {
        ids.push(
            acme.destination()
                .webhook(&sink)
                .skip_check()
                .create()
                .await
                .id
                .clone(),
        );
    }
    let of = |destinations: &[String]| {
        json!({"event_type": "a", "payload": 1,
        "destination_ids": destinations})
    };
    let mut messages = vec![of(&ids[..10]); 99];
    messages.push(of(&ids));
    acme.post("/v1/messages/batch", json!({"messages": messages}))
        .await
        .problem(422, "batch_too_large");
    assert!(acme.list("/v1/messages").await.is_empty());
    let answer = acme
        .post(
            "/v1/messages/batch",
            json!({"messages": vec![of(&ids[..10]); 100]}),
        )
        .await
        .ok(202);
    let results: Vec<&Value> = answer["results"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|result| result["status"] == 202)
        .collect();
    assert_eq!(results.len(), 100);
}
