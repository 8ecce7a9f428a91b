//! A message that is received too often goes to the dead-letter queue.

use std::sync::Arc;

use aws_sdk_sqs::types::{Message, MessageAttributeValue, MessageSystemAttributeName};

use super::fixture::{QueueFixture, pass, system};
use super::{Backend, Shape};

const TWO: Shape = Shape {
    visibility_seconds: 30,
    delay_seconds: 0,
    wait_seconds: 0,
    max_receives: 2,
};

pub(super) async fn too_many_receives_move_it(backend: Arc<impl Backend>) {
    let fixture = backend.fixture(TWO).await;
    fixture.send("poison").await;
    exhaust(&fixture).await;
    assert!(
        fixture.receive().await.is_empty(),
        "the receive after the last allowed one moves it"
    );
    assert_eq!(
        fixture.dead_letters().receive_one().await.body(),
        Some("poison")
    );
    assert!(fixture.is_empty().await);
}

pub(super) async fn as_many_as_allowed_leave_it(backend: Arc<impl Backend>) {
    let fixture = backend.fixture(TWO).await;
    fixture.send("slow").await;
    exhaust(&fixture).await;
    assert!(fixture.dead_letters().is_empty().await);
}

/// `dead_letters` identifies the delivery by these.
pub(super) async fn its_identity_goes_with_it(backend: Arc<impl Backend>) {
    let fixture = backend.fixture(TWO).await;
    let parent = MessageAttributeValue::builder()
        .data_type("String")
        .string_value("00-ab-cd-01")
        .build()
        .expect("a type is set");
    let sent = fixture
        .sending("poison")
        .message_group_id("dst_1")
        .message_attributes("traceparent", parent.clone())
        .send()
        .await
        .expect("sends");
    let first = exhaust(&fixture).await;
    assert!(fixture.receive().await.is_empty());
    let dead = fixture.dead_letters().receive_one().await;
    assert_eq!(dead.message_id(), sent.message_id());
    assert_eq!(
        dead.message_attributes()
            .and_then(|all| all.get("traceparent")),
        Some(&parent)
    );
    for name in [
        MessageSystemAttributeName::MessageGroupId,
        MessageSystemAttributeName::SentTimestamp,
    ] {
        assert_eq!(system(&dead, name.clone()), system(&first, name));
    }
}

pub(super) async fn a_dead_letter_can_be_deleted(backend: Arc<impl Backend>) {
    let fixture = backend.fixture(TWO).await;
    fixture.send("poison").await;
    exhaust(&fixture).await;
    assert!(fixture.receive().await.is_empty());
    let dead_letters = fixture.dead_letters();
    dead_letters
        .delete(&dead_letters.receive_one_hiding(1).await)
        .await;
    pass(1.1).await;
    assert!(dead_letters.is_empty().await);
}

/// Receives a message as often as its queue allows and returns it each time.
async fn exhaust(fixture: &QueueFixture) -> Message {
    let mut last = None;
    for _ in 0..TWO.max_receives {
        let message = fixture.receive_one().await;
        fixture.hide(&message, 0).await;
        pass(0.01).await;
        last = Some(message);
    }
    last.expect("it was received")
}
