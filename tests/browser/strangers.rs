//! Access to pages: those of other organizations, those of an operator, and those that a portal
//! link opens.

use kit::sink::Sink;
use serde_json::json;

use crate::stage::{self, does, key};

#[tokio::test]
async fn another_organizations_link_leads_nowhere_and_is_recorded() {
    let (acme, eve) = (
        stage::organization("Acme").await,
        stage::organization("Eve").await,
    );
    let sink = Sink::start().await;
    let destination = acme
        .destination()
        .webhook(&sink.path("/hook"))
        .skip_check()
        .create()
        .await;
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
async fn a_portal_link_signs_a_person_in_once() {
    let acme = stage::organization("Acme").await;
    let asked =
        json!({"role": "viewer", "subject": {"id": "u-7", "name": "Ann"}, "path": "/deliveries"});
    let link = acme.post("/v1/portal-links", asked).await.ok(201);
    does("portal", json!({"link": link["url"]})).await;
}

#[tokio::test]
async fn an_operator_sees_the_worst_organization_first() {
    let (failing, healthy) = (
        stage::organization("Failing GmbH").await,
        stage::organization("Healthy Ltd").await,
    );
    let sink = Sink::start().await;
    let bad = sink.path("/bad");
    bad.answers([500; 5]);
    let destination = failing
        .destination()
        .webhook(&bad)
        .retries(0)
        .skip_check()
        .create()
        .await;
    let mut failed = None;
    for n in 0..5 {
        let message = failing.send([&destination], json!({"n": n})).await;
        let delivery = message.delivery(0).reaches("failed").await;
        failed = Some((
            message.id.clone(),
            delivery["id"].as_str().unwrap().to_owned(),
        ));
    }
    let (message, delivery) = failed.unwrap();
    let other = stage::organization("Other failing SA").await;
    let also_bad = sink.path("/also-bad");
    also_bad.answers([500]);
    let of_other = other
        .destination()
        .webhook(&also_bad)
        .retries(0)
        .skip_check()
        .create()
        .await;
    other
        .send([&of_other], json!({}))
        .await
        .delivery(0)
        .reaches("failed")
        .await;
    healthy
        .destination()
        .webhook(&sink.path("/good"))
        .skip_check()
        .create()
        .await;
    let pages = [
        format!("/destinations/{}", destination.id),
        format!("/messages/{message}"),
        format!("/deliveries/{delivery}/trace"),
        format!("/deliveries/{delivery}"),
    ];
    let operator = stage::stack().await.operator();
    // The alert follows the fifth failure.
    stage::until("the alert is listed", async || {
        let alerts = operator
            .list(&format!("/v1/alerts?organization_id={}", failing.id))
            .await;
        (!alerts.is_empty()).then_some(())
    })
    .await;
    let knows = json!({
        "key": operator.plain_key(), "link": "/messages", "failing": "Failing GmbH",
        "other": "Other failing SA",
        "healthy": "Healthy Ltd", "organization": failing.id, "pages": pages,
    });
    does("operator", knows).await;
}

#[tokio::test]
async fn a_local_process_shows_operators_the_mail_that_it_keeps() {
    let acme = stage::organization("Postbox").await;
    let address = "oncall@postbox.example";
    acme.patch(
        "/v1/organization",
        json!({"settings": {"alert_emails": [address]}}),
    )
    .await
    .ok(200);
    let operator = stage::stack().await.operator();
    does(
        "inbox",
        json!({"key": stage::key(&acme), "operator": operator.plain_key(), "address": address}),
    )
    .await;
    let settings = acme.get("/v1/organization").await.ok(200);
    assert_eq!(
        settings["settings"]["alert_emails"],
        json!([address]),
        "confirmed by the link in the mail"
    );
}
