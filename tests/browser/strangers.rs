//! Whose pages they are: other organizations', an operator's, those that a link lets somebody into (R6.4, R6.5).

use kit::sink::Sink;
use serde_json::json;

use crate::stage::{self, does, key};

#[tokio::test]
async fn another_organizations_link_leads_nowhere_and_is_recorded() {
    let (acme, eve) = (stage::organization("Acme").await, stage::organization("Eve").await);
    let sink = Sink::start().await;
    let destination = acme.destination().webhook(&sink.path("/hook")).skip_check().create().await;
    let message = acme.send([&destination], json!(1)).await;
    let delivery = message.delivery(0).reaches("succeeded").await;
    let never = "00000000000000000000000000";
    let paths = json!([
        format!("/deliveries/{}", delivery["id"].as_str().unwrap()),
        format!("/deliveries/{}/trace", delivery["id"].as_str().unwrap()),
        format!("/destinations/{}", destination.id),
        format!("/destinations/{}/edit", destination.id),
        format!("/messages/{}", message.id),
        format!("/organizations/{}", acme.id),
        format!("/?organization_id={}", acme.id),
        format!("/deliveries/dlv_{never}_00"),
        format!("/destinations/dst_{never}"),
    ]);
    does("strangers", json!({"key": key(&eve), "paths": paths})).await;
    assert!(eve.audited("cross_organization_access_denied").await.len() >= 6);
}

#[tokio::test]
async fn a_portal_link_lets_a_person_in_once() {
    let acme = stage::organization("Acme").await;
    let asked = json!({"role": "viewer", "subject": {"id": "u-7", "name": "Ann"}, "path": "/deliveries"});
    let link = acme.post("/v1/portal-links", asked).await.ok(201);
    does("portal", json!({"link": link["url"]})).await;
}

#[tokio::test]
async fn an_operator_sees_the_worst_organization_first() {
    let (failing, healthy) = (stage::organization("Failing GmbH").await, stage::organization("Healthy Ltd").await);
    let sink = Sink::start().await;
    let bad = sink.path("/bad");
    bad.answers([500; 5]);
    let destination = failing.destination().webhook(&bad).retries(0).skip_check().create().await;
    for n in 0..5 {
        failing.send([&destination], json!({"n": n})).await.delivery(0).reaches("failed").await;
    }
    healthy.destination().webhook(&sink.path("/good")).skip_check().create().await;
    let knows = json!({"key": stage::stack().await.operator().plain_key(), "link": "/deliveries", "failing": "Failing GmbH", "healthy": "Healthy Ltd", "organization": failing.id});
    does("operator", knows).await;
}
