//! Deleting a message acknowledges it.

use std::sync::Arc;

use super::Backend;
use super::fixture::{bodies, deletion, handle, pass};

pub(super) async fn a_deleted_message_never_returns(backend: Arc<impl Backend>) {
    let fixture = backend.plain().await;
    fixture.send("done").await;
    fixture.delete(&fixture.receive_one_hiding(1).await).await;
    pass(1.1).await;
    assert!(fixture.is_empty().await);
}

pub(super) async fn deleting_twice_is_fine(backend: Arc<impl Backend>) {
    let fixture = backend.plain().await;
    fixture.send("done").await;
    let message = fixture.receive_one().await;
    fixture.delete(&message).await;
    fixture.delete(&message).await;
}

/// A worker that exceeded its visibility timeout may still acknowledge, as long as the message was
/// not received again.
pub(super) async fn a_late_delete_counts(backend: Arc<impl Backend>) {
    let fixture = backend.plain().await;
    fixture.send("late").await;
    let message = fixture.receive_one_hiding(1).await;
    pass(1.1).await;
    fixture.delete(&message).await;
    assert!(fixture.is_empty().await);
}

pub(super) async fn a_batch_deletes_each_and_fails_each(backend: Arc<impl Backend>) {
    let fixture = backend.plain().await;
    for body in ["a", "b", "c"] {
        fixture.send(body).await;
    }
    let messages = fixture.receive_hiding(1).await;
    let remaining = messages
        .iter()
        .find(|message| message.body() == Some("c"))
        .expect("c was received");
    let mut batch = fixture
        .client
        .delete_message_batch()
        .queue_url(&fixture.url)
        .entries(deletion("bad", "not a handle"));
    for message in messages.iter().filter(|message| *message != remaining) {
        batch = batch.entries(deletion(
            message.body().expect("has a body"),
            handle(message),
        ));
    }
    let result = batch
        .send()
        .await
        .expect("a batch with a bad entry is answered");
    let mut successful: Vec<_> = result.successful().iter().map(|entry| entry.id()).collect();
    successful.sort_unstable();
    assert_eq!(successful, ["a", "b"]);
    let [failed] = result.failed() else {
        panic!("one entry failed: {result:?}")
    };
    assert_eq!(
        (failed.id(), failed.code(), failed.sender_fault()),
        ("bad", "ReceiptHandleIsInvalid", true)
    );
    pass(1.1).await;
    assert_eq!(bodies(&fixture.receive().await), ["c"]);
}

pub(super) async fn purging_empties(backend: Arc<impl Backend>) {
    let fixture = backend.plain().await;
    fixture.send("a").await;
    fixture.send("b").await;
    fixture
        .client
        .purge_queue()
        .queue_url(&fixture.url)
        .send()
        .await
        .expect("purges");
    assert!(fixture.is_empty().await);
}
