//! E-mails from the operator's address are sent only to addresses whose owner confirmed them,
//! contain no text that a customer wrote as Waybill's own, and are limited in number.

use kit::mail_folder::mails;
use kit::sink::Sink;
use kit::stack::Stack;
use serde_json::{Value, json};

use crate::stage;

fn mails_to(stack: &Stack, address: &str) -> Vec<Value> {
    mails(&stack.data())
        .into_iter()
        .filter(|mail| mail["to"].as_str().is_some_and(|to| to.contains(address)))
        .collect()
}

fn emails(organization: &Value) -> (Vec<String>, Vec<String>) {
    let list = |name: &str| {
        let items = organization["settings"][name]
            .as_array()
            .unwrap_or_else(|| panic!("no {name} in {organization}"));
        items
            .iter()
            .map(|item| item.as_str().expect("text").to_owned())
            .collect()
    };
    (list("alert_emails"), list("unconfirmed_alert_emails"))
}

fn one(address: &str) -> Vec<String> {
    vec![address.to_owned()]
}

#[tokio::test]
async fn an_address_gets_alerts_once_its_reader_has_confirmed_it() {
    let (stack, sink) = (stage::launch().start().await, Sink::start().await);
    let acme = stack
        .organization("Acme <https://evil.example/login>")
        .await;
    let address = "ops@acme.example";
    let saved = acme
        .settings(json!({"alert_emails": [address]}))
        .await
        .ok(200);
    assert_eq!(emails(&saved), (vec![], one(address)));
    let destination = acme
        .destination()
        .webhook(&sink)
        .with("name", "Pay now: www.evil.example")
        .create()
        .await;
    acme.post(
        &format!("{}/disable", destination.path()),
        json!({"reason": "see https://evil.example"}),
    )
    .await
    .ok(200);
    acme.post(&format!("{}/enable", destination.path()), json!({}))
        .await
        .ok(200);

    let asked = mails_to(&stack, address);
    assert_eq!(asked.len(), 1, "the confirmation, and no alert: {asked:?}");
    let everything = asked[0].to_string();
    assert!(
        !asked[0]["subject"].as_str().unwrap().contains("Acme")
            && !everything.contains("evil.example"),
        "{everything}"
    );
    let link = stage::confirmation_links(&stack, address).remove(0);
    for _ in 0..3 {
        let page = stack.anonymous().get(&link).await;
        assert_eq!(
            (page.status, page.text().contains("<button")),
            (200, true),
            "looking confirms nothing"
        );
    }
    assert_eq!(
        emails(&acme.get("/v1/organization").await.ok(200)),
        (vec![], one(address))
    );
    let shown = format!(
        "{}{}",
        acme.list("/v1/messages?system=true").await.len(),
        acme.get("/v1/audit-events").await.text()
    );
    assert!(
        !shown.contains(link.rsplit('.').next().unwrap()),
        "the organization cannot read the link: {shown}"
    );

    assert_eq!(stage::presses(&stack, &link).await, 200);
    assert_eq!(
        emails(&acme.get("/v1/organization").await.ok(200)),
        (one(address), vec![])
    );
    assert_eq!(stage::presses(&stack, &link).await, 404);
    acme.post(
        &format!("{}/disable", destination.path()),
        json!({"reason": "see https://evil.example"}),
    )
    .await
    .ok(200);
    let alert = stage::until("the alert is mailed", async || {
        mails_to(&stack, address).into_iter().nth(1)
    })
    .await;
    assert_eq!(
        (&alert["subject"], &alert["to"]),
        (
            &json!("Waybill: a destination was disabled"),
            &json!(address)
        )
    );
    assert!(
        !alert["text"].as_str().unwrap().contains("evil.example")
            && !alert["html"].as_str().unwrap().contains("evil.example"),
        "{alert}"
    );
}

#[tokio::test]
async fn an_address_that_is_removed_and_added_again_is_confirmed_again() {
    let stack = stage::launch().start().await;
    let acme = stack.organization("Acme").await;
    let address = "ops@acme.example";
    acme.settings(json!({"alert_emails": [address]}))
        .await
        .ok(200);
    stage::confirms(&stack, address).await;
    acme.settings(json!({"alert_emails": []})).await.ok(200);
    let again = acme
        .settings(json!({"alert_emails": [address]}))
        .await
        .ok(200);
    assert_eq!(emails(&again), (vec![], one(address)));
    let links = stage::confirmation_links(&stack, address);
    assert_eq!(links.len(), 2);
    // Removed and added once more before anyone confirmed: the link in between is of no use
    // either.
    acme.settings(json!({"alert_emails": []})).await.ok(200);
    acme.settings(json!({"alert_emails": [address]}))
        .await
        .ok(200);
    for old in &links {
        assert_eq!(stage::presses(&stack, old).await, 404);
    }
    stage::confirms(&stack, address).await;
    assert_eq!(
        emails(&acme.get("/v1/organization").await.ok(200)),
        (one(address), vec![])
    );
}

#[tokio::test]
async fn invalid_links_confirm_nothing() {
    let stack = stage::launch().start().await;
    let (acme, other) = (
        stack.organization("Acme").await,
        stack.organization("Other").await,
    );
    for organization in [&acme, &other] {
        organization
            .settings(json!({"alert_emails": ["ops@acme.example"]}))
            .await
            .ok(200);
    }
    let links = stage::confirmation_links(&stack, "ops@acme.example");
    let parts: Vec<Vec<&str>> = links
        .iter()
        .map(|link| link.splitn(3, '.').collect())
        .collect();
    let swapped = format!("{}.{}.{}", parts[0][0], parts[0][1], parts[1][2]);
    let forged = format!("{}.{}.{}", parts[0][0], parts[0][1], "A".repeat(43));
    for link in [
        swapped,
        forged,
        "/alert-emails/x".to_owned(),
        format!("{}.x.y", parts[0][0]),
    ] {
        assert_eq!(stack.anonymous().get(&link).await.status, 404);
        assert_eq!(stage::presses(&stack, &link).await, 404);
    }
    let unconfirmed = acme
        .patch(
            "/v1/organization",
            json!({"settings": {"unconfirmed_alert_emails": []}}),
        )
        .await;
    unconfirmed.problem(422, "read_only");
    assert_eq!(
        emails(&acme.get("/v1/organization").await.ok(200)),
        (vec![], one("ops@acme.example"))
    );
}

#[tokio::test]
async fn one_address_gets_few_mails_however_many_organizations_ask() {
    let (stack, sink) = (stage::launch().start().await, Sink::start().await);
    let victim = "victim@elsewhere.example";
    for n in 0..8 {
        let organization = stack.organization(&format!("Organization {n}")).await;
        organization
            .settings(json!({"alert_emails": [victim]}))
            .await
            .ok(200);
        organization
            .settings(json!({"alert_emails": [victim], "retention_days": 20}))
            .await
            .ok(200);
    }
    assert_eq!(
        mails_to(&stack, victim).len(),
        5,
        "confirmations an hour, of all organizations together"
    );

    let (acme, receiver) = (stack.organization("Acme").await, "ops@acme.example");
    acme.settings(json!({"alert_emails": [receiver, "second@acme.example"]}))
        .await
        .ok(200);
    stage::confirms(&stack, receiver).await;
    stage::confirms(&stack, "second@acme.example").await;
    let destination = acme.destination().webhook(&sink).create().await;
    for _ in 0..20 {
        for action in ["disable", "enable"] {
            acme.post(&format!("{}/{action}", destination.path()), json!({}))
                .await
                .ok(200);
        }
    }
    let alerts = || mails_to(&stack, receiver).len() - 1;
    stage::within(30, "the alerts are mailed", async || {
        (alerts() >= 20).then_some(())
    })
    .await;
    assert_eq!(alerts(), 20, "of 40");
    let to: Vec<Value> = mails(&stack.data())
        .iter()
        .map(|mail| mail["to"].clone())
        .collect();
    assert!(
        to.iter()
            .all(|to| to.as_str().is_some_and(|to| to.matches('@').count() == 1)),
        "one recipient a mail: {to:?}"
    );
}

#[tokio::test]
async fn an_organization_asks_few_strangers_for_confirmations() {
    let stack = stage::launch().start().await;
    let acme = stack.organization("Acme").await;
    let list = |round: usize| {
        (0..20)
            .map(|n| format!("stranger-{round}-{n}@elsewhere.example"))
            .collect::<Vec<_>>()
    };
    for round in 0..3 {
        acme.settings(json!({"alert_emails": list(round)}))
            .await
            .ok(200);
    }
    let refused = acme.settings(json!({"alert_emails": list(3)})).await;
    refused.problem(429, "rate_limited");
    assert_eq!(
        emails(&acme.get("/v1/organization").await.ok(200)).1,
        list(2),
        "nothing is half done"
    );
    assert_eq!(mails(&stack.data()).len(), 60);
}
