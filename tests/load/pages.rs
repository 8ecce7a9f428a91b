//! Measures the console's lists when there is a lot to list: how long until a page's bytes are
//! there, and how many.

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use http::Method;
use kit::fetch::fetch;
use kit::stack::{Destination, Organization};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::percentile;

/// Destinations of a message: as many as it may name.
const FAN_OUT: usize = 100;
/// Messages of a request.
const BATCH: usize = 10;
/// How often each page is requested.
const REQUESTS_PER_PAGE: usize = 40;

/// Fills the table with `count` deliveries and looks at lists of them at `console_url`.
pub(crate) async fn measure(organization: &Organization, console_url: &str, count: usize) {
    let destinations = fill(organization, count).await;
    let ids = ids_of(&destinations);
    let form = format!("key={}", organization.plain_key());
    let signed_in = fetch(
        Method::POST,
        &format!("{console_url}/sign-in"),
        &[("content-type", "application/x-www-form-urlencoded")],
        form.into(),
    )
    .await;
    let cookie = signed_in
        .header("set-cookie")
        .and_then(|cookie| cookie.split(';').next())
        .expect("a session")
        .to_owned();
    let first = organization.get("/v1/deliveries?limit=1").await.ok(200)["data"][0].clone();
    let text = |name: &str| first[name].as_str().expect("text").to_owned();
    let pages = [
        "/".to_owned(),
        "/deliveries".to_owned(),
        "/deliveries?status=skipped".to_owned(),
        "/deliveries?status=failed".to_owned(),
        format!("/deliveries?destination_id={}", ids[FAN_OUT / 2]),
        format!(
            "/deliveries?destination_id={}&status=skipped&last=24h",
            ids[FAN_OUT / 2]
        ),
        format!("/deliveries/{}", text("id")),
        "/messages".to_owned(),
        format!("/messages/{}", text("message_id")),
        "/destinations".to_owned(),
        format!("/destinations/{}", ids[0]),
        "/audit".to_owned(),
    ];
    for page in pages {
        let mut took = Vec::new();
        let mut bytes = 0;
        for _ in 0..REQUESTS_PER_PAGE {
            let began = Instant::now();
            let answer = fetch(
                Method::GET,
                &format!("{console_url}{page}"),
                &[("cookie", &cookie), ("accept", "text/html")],
                Bytes::new(),
            )
            .await;
            took.push(began.elapsed());
            assert_eq!(answer.status, 200, "{page}");
            bytes = answer.body.len();
        }
        took.sort_unstable();
        let shown = page.replace(ids[FAN_OUT / 2], "…").replace(ids[0], "…");
        println!(
            "{shown:<62} p50 {:>8.1?} p95 {:>8.1?} {bytes:>7} bytes",
            percentile(&took, 50),
            percentile(&took, 95)
        );
    }
}

/// Fills the table with at least `count` deliveries, all skipped, and returns their destinations.
pub(crate) async fn fill(organization: &Organization, count: usize) -> Vec<Destination> {
    let began = Instant::now();
    let destinations: Vec<Destination> = stream::iter(0..FAN_OUT)
        .then(|n| disabled(organization, n))
        .collect()
        .await;
    let ids = ids_of(&destinations);
    let requests = count.div_ceil(FAN_OUT * BATCH);
    stream::iter(0..requests)
        .for_each_concurrent(4, |request| submit(organization, &ids, request))
        .await;
    println!(
        "{} deliveries are in the table after {:.1?}",
        requests * FAN_OUT * BATCH,
        began.elapsed()
    );
    destinations
}

fn ids_of(destinations: &[Destination]) -> Vec<&str> {
    destinations
        .iter()
        .map(|destination| &*destination.id)
        .collect()
}

/// A destination that nothing is sent to: each delivery is skipped as it is accepted.
async fn disabled(organization: &Organization, n: usize) -> Destination {
    let destination = organization
        .destination()
        .url("https://example.com/")
        .with("name", format!("Destination {n}"))
        .skip_check()
        .create()
        .await;
    organization
        .post(&format!("{}/disable", destination.path()), json!({}))
        .await
        .ok(200);
    destination
}

async fn submit(organization: &Organization, ids: &[&str], request: usize) {
    let message = |n: usize| {
        json!({"event_type": "load.page",
        "reference": format!("R-{request}-{n}"), "payload": {"n": n}, "destination_ids": ids})
    };
    let messages: Vec<Value> = (0..BATCH).map(message).collect();
    let answer = organization
        .post("/v1/messages/batch", json!({"messages": messages}))
        .await
        .ok(202);
    assert!(
        answer["results"]
            .as_array()
            .is_some_and(|results| results.iter().all(|result| result["status"] == 202)),
        "{answer}"
    );
}
