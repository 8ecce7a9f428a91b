//! What managers do with a destination that has to wait, and with messages that a destination never
//! got.

use kit::sink::Sink;
use serde_json::{Value, json};

use crate::stage::{self, does, key};

#[tokio::test]
async fn a_paused_destination_receives_its_waiting_deliveries_when_it_is_resumed() {
    let acme = stage::organization("Acme").await;
    let sink = Sink::start().await;
    let hook = sink.path("/hook");
    let destination = acme
        .destination()
        .with("name", "Warehouse")
        .webhook(&hook)
        .skip_check();
    let destination = destination.create().await;
    let knows = json!({"key": key(&acme), "destination": destination.id});
    does("pause", knows.clone()).await;
    for n in 0..3 {
        acme.send([&destination], json!({"n": n})).await;
    }
    does("resume", knows).await;
    assert_eq!(hook.count(), 3);
}

#[tokio::test]
async fn limits_and_a_fallback_are_set_in_the_form_and_what_waits_says_for_what() {
    let acme = stage::organization("Acme").await;
    let sink = Sink::start().await;
    let archive = acme
        .destination()
        .with("name", "Archive")
        .webhook(&sink.path("/archive"));
    let archive = archive.skip_check().create().await;
    let destination = acme
        .destination()
        .with("name", "Warehouse")
        .webhook(&sink.path("/hook"));
    let destination = destination.skip_check().create().await;
    let knows = json!({"key": key(&acme), "destination": destination.id});
    does("limits", knows.clone()).await;
    let read = destination.read().await;
    let limits = json!({"max_per_second": 0.1, "max_concurrent": null});
    assert_eq!(read["delivery_limits"], limits);
    assert_eq!(
        read["on_exhausted"],
        json!({"destination_ids": [archive.id]})
    );
    for n in 0..3 {
        acme.send([&destination], json!({"n": n})).await;
    }
    does("limited", knows).await;
    let read = destination.read().await;
    assert_eq!(
        (&read["delivery_limits"], &read["on_exhausted"]),
        (&Value::Null, &Value::Null)
    );
}

#[tokio::test]
async fn a_destination_is_backfilled_and_a_message_resent_with_the_count_first() {
    let acme = stage::organization("Acme").await;
    let sink = Sink::start().await;
    let (first, late) = (sink.path("/first"), sink.path("/late"));
    let old = acme
        .destination()
        .with("name", "Old")
        .webhook(&first)
        .skip_check()
        .create()
        .await;
    let mut messages = Vec::new();
    for n in 0..5 {
        messages.push(acme.send([&old], json!({"n": n})).await);
    }
    let new = acme
        .destination()
        .with("name", "New")
        .webhook(&late)
        .event_types(["report.*"]);
    let new = new.skip_check().create().await;
    let others = acme
        .destination()
        .with("name", "Audit")
        .webhook(&sink.path("/audit"));
    others.skip_check().create().await;
    let knows = json!({
        "key": key(&acme),
        "destination": new.id,
        "missed": 5,
        "message": messages[0].path().trim_start_matches("/v1"),
    });
    does("backfill", knows.clone()).await;
    assert_eq!(late.count(), 5);
    does("resend", knows).await;
    assert_eq!(sink.path("/audit").count(), 1);
}
