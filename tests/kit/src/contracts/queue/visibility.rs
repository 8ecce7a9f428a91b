//! The visibility timeout, which is also Waybill's back-off.

use std::sync::Arc;

use super::fixture::{change, handle, pass, receives};
use super::{Backend, Shape};

pub(super) async fn a_message_returns_when_its_time_is_over(backend: Arc<impl Backend>) {
    let fixture = backend.plain().await;
    let id = fixture.send("back").await;
    fixture.receive_one_hiding(1).await;
    pass(1.1).await;
    assert_eq!(fixture.receive_one().await.message_id(), Some(id.as_str()));
}

pub(super) async fn the_queues_timeout_applies(backend: Arc<impl Backend>) {
    let fixture = backend
        .fixture(Shape {
            visibility_seconds: 1,
            ..Shape::default()
        })
        .await;
    fixture.send("back").await;
    fixture.receive_one().await;
    assert!(fixture.receive().await.is_empty());
    pass(1.1).await;
    fixture.receive_one().await;
}

pub(super) async fn zero_returns_it_at_once(backend: Arc<impl Backend>) {
    let fixture = backend.plain().await;
    fixture.send("back").await;
    fixture.hide(&fixture.receive_one().await, 0).await;
    pass(0.01).await;
    assert_eq!(receives(&fixture.receive_one().await), 2);
}

pub(super) async fn a_new_timeout_shortens(backend: Arc<impl Backend>) {
    let fixture = backend.plain().await;
    fixture.send("back").await;
    fixture
        .hide(&fixture.receive_one_hiding(600).await, 1)
        .await;
    assert!(fixture.receive().await.is_empty());
    pass(1.1).await;
    fixture.receive_one().await;
}

pub(super) async fn a_new_timeout_extends(backend: Arc<impl Backend>) {
    let fixture = backend.plain().await;
    fixture.send("held").await;
    fixture.hide(&fixture.receive_one_hiding(1).await, 30).await;
    pass(1.2).await;
    assert!(fixture.receive().await.is_empty());
}

pub(super) async fn backoff_by_visibility_counts_receives(backend: Arc<impl Backend>) {
    let fixture = backend.plain().await;
    fixture.send("retry").await;
    for attempt in 1..=3 {
        let message = fixture.receive_one().await;
        assert_eq!(receives(&message), attempt);
        fixture.hide(&message, 1).await;
        assert!(fixture.receive().await.is_empty());
        pass(1.1).await;
    }
}

pub(super) async fn a_batch_changes_each_and_fails_each(backend: Arc<impl Backend>) {
    let fixture = backend.plain().await;
    fixture.send("a").await;
    fixture.send("b").await;
    let messages = fixture.receive().await;
    let result = fixture
        .client
        .change_message_visibility_batch()
        .queue_url(&fixture.url)
        .entries(change("at-once", handle(&messages[0]), 0))
        .entries(change("unreadable", "not a handle", 0))
        .entries(change("too_long", handle(&messages[1]), 43_201))
        .send()
        .await
        .expect("a batch with bad entries is answered");
    assert_eq!(
        result
            .successful()
            .iter()
            .map(|entry| entry.id())
            .collect::<Vec<_>>(),
        ["at-once"]
    );
    let mut failed: Vec<_> = result
        .failed()
        .iter()
        .map(|entry| (entry.id(), entry.sender_fault()))
        .collect();
    failed.sort_unstable();
    assert_eq!(failed, [("too_long", true), ("unreadable", true)]);
    pass(0.01).await;
    assert_eq!(
        fixture.receive_one().await.message_id(),
        messages[0].message_id()
    );
}
