//! What every visitor can do: sign in, view, filter and share pages, on any screen and with any
//! input, without content from other servers.

use kit::sink::Sink;
use serde_json::json;

use crate::stage::{self, does, key};

#[tokio::test]
async fn a_deep_link_leads_to_signing_in_and_then_to_its_page() {
    let acme = stage::organization("Acme").await;
    let sink = Sink::start().await;
    let destination = acme
        .destination()
        .webhook(&sink.path("/hook"))
        .skip_check()
        .create()
        .await;
    let message = acme.send([&destination], json!(1)).await;
    let delivery = message.delivery(0).reaches("succeeded").await;
    let url = delivery["url"].as_str().unwrap();
    let link = url
        .strip_prefix(
            stage::stack().await.local_json()["console_url"]
                .as_str()
                .unwrap(),
        )
        .unwrap();
    does("sign_in", json!({"key": key(&acme), "link": link})).await;
}

#[tokio::test]
async fn a_list_is_narrowed_and_its_link_shared() {
    let acme = stage::organization("Acme").await;
    let viewer = acme.key("viewer").await;
    let sink = Sink::start().await;
    let (good, bad) = (sink.path("/good"), sink.path("/bad"));
    bad.answers([410; 3]);
    let stays = json!({"disable_on_gone": false});
    let good = acme
        .destination()
        .webhook(&good)
        .skip_check()
        .create()
        .await;
    let bad = acme
        .destination()
        .settings(stays)
        .webhook(&bad)
        .skip_check()
        .create()
        .await;
    for n in 0..3 {
        acme.send([&good, &bad], json!({"n": n}))
            .await
            .delivery(1)
            .reaches("failed")
            .await;
    }
    does(
        "filter",
        json!({"key": key(&acme), "viewer": viewer.caller.plain_key(),
        "destination": bad.id, "expected": 3}),
    )
    .await;
}

#[tokio::test]
async fn a_viewer_cannot_change_anything() {
    let acme = stage::organization("Acme").await;
    let viewer = acme.key("viewer").await;
    let sink = Sink::start().await;
    let hook = sink.path("/hook");
    let destination = acme
        .destination()
        .webhook(&hook)
        .skip_check()
        .create()
        .await;
    let message = acme.send([&destination], json!(1)).await;
    let delivery = message.delivery(0).reaches("succeeded").await;
    let knows = json!({"viewer": viewer.caller.plain_key(), "destination": destination.id,
        "delivery": delivery["id"], "message": message.id});
    does("viewer", knows).await;
    assert_eq!(hook.count(), 1, "nothing was sent again");
    assert!(
        acme.audited("forbidden").await.len() >= 5,
        "each refusal is recorded"
    );
}

#[tokio::test]
async fn every_page_suits_everybody() {
    let acme = stage::organization(
        "Acme, whose name is longer than what most headers of pages have room for",
    )
    .await;
    let sink = Sink::start().await;
    let hook = sink.path("/hook");
    hook.answers([503, 200, 410]);
    let long = "a-destination-with-a-name-that-has-no-place-to-break-and-goes-on-and-on-and-on";
    let destination = acme
        .destination()
        .with("name", long)
        .webhook(&hook)
        .skip_check()
        .create()
        .await;
    let message = acme
        .submit(json!({"event_type": "report.ready.for.somebody.who.waits",
        "reference": "R-".repeat(100), "payload": {"n": "x".repeat(500)},
        "destination_ids": [destination.id]}))
        .await;
    let delivery = message.delivery(0).reaches("succeeded").await;
    let failed = acme.send([&destination], json!(2)).await;
    let failed = failed.delivery(0).reaches("failed").await;
    let job = acme
        .post(
            "/v1/jobs",
            json!({"kind": "retry", "filter": {"status": ["failed"]}}),
        )
        .await
        .ok(202);
    let id = |value: &serde_json::Value| value["id"].as_str().unwrap().to_owned();
    let pages = [
        "/".to_owned(),
        "/destinations".to_owned(),
        "/destinations/new".to_owned(),
        "/destinations/new/webhook".to_owned(),
        "/destinations/new/email".to_owned(),
        format!("/destinations/{}", destination.id),
        format!("/destinations/{}/edit", destination.id),
        format!("/destinations/{}?tab=deliveries", destination.id),
        format!("/destinations/{}?tab=settings", destination.id),
        format!("/destinations/{}?tab=secrets", destination.id),
        format!("/destinations/{}/test", destination.id),
        format!("/destinations/{}/replay", destination.id),
        format!("/destinations/{}/rotate-secret", destination.id),
        "/destinations/new/s3".to_owned(),
        "/destinations/new/sftp".to_owned(),
        "/destinations/new/postgres".to_owned(),
        "/mailboxes/new".to_owned(),
        "/api-keys/new".to_owned(),
        "/organization/status-secret".to_owned(),
        "/deliveries?event_type=invoice.*".to_owned(),
        "/deliveries".to_owned(),
        "/deliveries/retry?status=failed".to_owned(),
        format!("/deliveries/{}", id(&delivery)),
        format!("/deliveries/{}", id(&failed)),
        format!("/deliveries/{}/trace", id(&delivery)),
        "/messages".to_owned(),
        format!("/messages/{}", message.id),
        "/alerts".to_owned(),
        "/jobs".to_owned(),
        format!("/jobs/{}", id(&job)),
        "/audit".to_owned(),
        "/api-keys".to_owned(),
        "/organization".to_owned(),
        "/no-such-page".to_owned(),
    ]
    .to_vec();
    does(
        "access",
        json!({"key": key(&acme), "pages": pages, "variants": variants()}),
    )
    .await;
}

/// Windows in which pages are looked at: light and dark, on a desk, on a phone, and at twice the
/// size of text.
fn variants() -> serde_json::Value {
    json!([{}, {"dark": true}, {"width": 375}, {"width": 375, "dark": true}, {"width": 640}])
}

#[tokio::test]
async fn the_reference_of_the_api_suits_everybody_and_sends_requests_that_people_try() {
    let acme = stage::organization("Acme").await;
    let sink = Sink::start().await;
    let destination = acme
        .destination()
        .webhook(&sink.path("/hook"))
        .skip_check()
        .create()
        .await;
    does(
        "docs",
        json!({"variants": variants(), "key": key(&acme), "destination": destination.id}),
    )
    .await;
}

#[tokio::test]
async fn content_from_outside_is_shown_as_text() {
    let planted = |place: &str| {
        format!(
            "<b data-planted='{place}'>{place}</b><img src=x \
             onerror=\"document.body.dataset.planted=1\"><script>x</script>"
        )
    };
    let acme = stage::organization(&planted("organization")).await;
    let sink = Sink::start().await;
    let hook = sink.path("/hook");
    hook.answers_with(
        410,
        &[("x-planted", "<b data-planted=header>header</b>")],
        planted("response"),
    );
    let destination = acme
        .destination()
        .with("name", planted("name"))
        .with("description", planted("description"));
    let destination = destination
        .settings(
            json!({"disable_on_gone": false, "headers": {"X-Own": planted("own")},
            "body_template": planted("body"), "content_type": "text/html"}),
        )
        .webhook(&hook)
        .retries(0)
        .skip_check()
        .create()
        .await;
    let message = json!({"event_type": "report.ready", "reference": planted("reference"),
        "metadata": {"<b data-planted=key>": planted("metadata")},
        "payload": {"<b data-planted=member>": planted("payload")},
        "destination_ids": [destination.id]});
    let message = acme.submit(message).await;
    let delivery = message.delivery(0).reaches("failed").await;
    let file = json!({"event_type": "file.ready",
        "content": {"base64": "PGI+", "content_type": "text/html",
            "filename": "<b data-planted=file>.html"}, "destination_ids": [destination.id]});
    let file = acme.submit(file).await;
    acme.post(
        &format!("{}/disable", destination.path()),
        json!({"reason": planted("reason")}),
    )
    .await
    .ok(200);
    acme.post(
        "/v1/api-keys",
        json!({"name": planted("key"), "role": "viewer"}),
    )
    .await
    .ok(201);
    let delivery = format!("/deliveries/{}", delivery["id"].as_str().unwrap());
    let at = format!("/destinations/{}", destination.id);
    let settings = format!("{at}?tab=settings");
    let of_message = format!("/messages/{}", message.id);
    let of_file = format!("/messages/{}", file.id);
    let pages = json!([
        "/",
        "/destinations",
        at,
        format!("{at}/edit"),
        "/deliveries",
        "/deliveries?reference=%3Cb%20data-planted%3E&event_type=%3Cb",
        delivery,
        format!("{delivery}/trace"),
        "/messages",
        of_message,
        of_file,
        "/alerts",
        "/audit",
        "/audit?action=%3Cb%20data-planted%3E",
        "/api-keys",
        "/organization",
        "/%3Cb%20data-planted%3E",
        "/sign-in?next=/%22%3E%3Cb%20data-planted%3E",
    ]);
    let shown = json!({
        at: ["<b data-planted='name'>", "<b data-planted='reason'>"],
        settings: ["<b data-planted='description'>", "<b data-planted='own'>"],
        delivery: ["<b data-planted='response'>", "<b data-planted='body'>",
            "<b data-planted=header>", "<b data-planted='payload'>", "<b data-planted='metadata'>"],
        of_message: ["<b data-planted='reference'>", "<b data-planted=key>"],
        of_file: ["<b data-planted=file>"],
        "/api-keys": ["<b data-planted='key'>"],
    });
    does(
        "escape",
        json!({"key": key(&acme), "pages": pages, "shown": shown}),
    )
    .await;
}
