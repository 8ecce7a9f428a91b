//! Receiving messages and waiting for them.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_sqs::types::{Message, MessageSystemAttributeName};
use tokio::time::Instant;

use super::fixture::{QueueFixture, pass, receives, system};
use super::{Backend, Shape};

pub(super) async fn a_received_message_is_hidden(backend: Arc<impl Backend>) {
    let fixture = backend.plain().await;
    fixture.send("one").await;
    fixture.receive_one().await;
    assert!(fixture.receive().await.is_empty());
}

pub(super) async fn at_most_as_many_as_asked(backend: Arc<impl Backend>) {
    let fixture = backend.plain().await;
    for number in 0..12 {
        fixture.send(&number.to_string()).await;
    }
    let three = fixture
        .client
        .receive_message()
        .queue_url(&fixture.url)
        .max_number_of_messages(3)
        .send()
        .await
        .expect("receives")
        .messages
        .unwrap_or_default();
    assert_eq!(three.len(), 3);
    assert!(fixture.receive().await.len() <= 10);
}

pub(super) async fn one_unless_asked(backend: Arc<impl Backend>) {
    let fixture = backend.plain().await;
    fixture.send("one").await;
    fixture.send("two").await;
    assert_eq!(
        fixture
            .client
            .receive_message()
            .queue_url(&fixture.url)
            .send()
            .await
            .expect("receives")
            .messages()
            .len(),
        1
    );
}

pub(super) async fn receives_are_counted(backend: Arc<impl Backend>) {
    let fixture = backend.plain().await;
    fixture.send("again").await;
    let first = fixture.receive_one_hiding(1).await;
    pass(1.1).await;
    let second = fixture.receive_one().await;
    assert_eq!((receives(&first), receives(&second)), (1, 2));
    assert_ne!(first.receipt_handle(), second.receipt_handle());
    for name in [
        MessageSystemAttributeName::SentTimestamp,
        MessageSystemAttributeName::ApproximateFirstReceiveTimestamp,
    ] {
        let time = system(&first, name.clone())
            .expect("has the time")
            .to_owned();
        assert_eq!(time.len(), 13, "{name} is in milliseconds: {time}");
        assert_eq!(
            system(&second, name.clone()),
            Some(time.as_str()),
            "{name} stays"
        );
    }
}

pub(super) async fn an_empty_queue_answers_at_once(backend: Arc<impl Backend>) {
    let fixture = backend.plain().await;
    let (messages, waited) = poll(&fixture, Some(0)).await;
    assert!(messages.is_empty());
    assert!(waited < Duration::from_millis(900), "waited {waited:?}");
}

pub(super) async fn a_long_poll_ends_when_a_message_comes(backend: Arc<impl Backend>) {
    let fixture = backend.plain().await;
    let (polled, ()) = tokio::join!(poll(&fixture, Some(10)), async {
        pass(0.3).await;
        fixture.send("here").await;
    });
    assert_eq!(polled.0.len(), 1);
    assert!(polled.1 < Duration::from_secs(3), "waited {:?}", polled.1);
}

pub(super) async fn a_long_poll_ends_when_a_message_becomes_visible(backend: Arc<impl Backend>) {
    let fixture = backend.plain().await;
    fixture.send("back").await;
    fixture.receive_one_hiding(1).await;
    let (messages, waited) = poll(&fixture, Some(10)).await;
    assert_eq!(messages.len(), 1);
    assert!(
        (Duration::from_millis(700)..Duration::from_secs(4)).contains(&waited),
        "waited {waited:?}"
    );
}

pub(super) async fn a_long_poll_waits_its_time(backend: Arc<impl Backend>) {
    let fixture = backend.plain().await;
    let (messages, waited) = poll(&fixture, Some(1)).await;
    assert!(messages.is_empty());
    assert!(
        (Duration::from_millis(900)..Duration::from_secs(4)).contains(&waited),
        "waited {waited:?}"
    );
}

pub(super) async fn the_queues_wait_applies(backend: Arc<impl Backend>) {
    let fixture = backend
        .fixture(Shape {
            wait_seconds: 1,
            ..Shape::default()
        })
        .await;
    let (messages, waited) = poll(&fixture, None).await;
    assert!(messages.is_empty());
    assert!(waited >= Duration::from_millis(900), "waited {waited:?}");
}

pub(super) async fn two_receivers_share_no_message(backend: Arc<impl Backend>) {
    let fixture = backend.plain().await;
    let sent: BTreeSet<_> = (0..30).map(|number| number.to_string()).collect();
    for body in &sent {
        fixture.send(body).await;
    }
    let (left, right) = tokio::join!(drain(&fixture), drain(&fixture));
    assert_eq!(
        left.len() + right.len(),
        sent.len(),
        "no message was received twice"
    );
    assert_eq!(left.into_iter().chain(right).collect::<BTreeSet<_>>(), sent);
}

async fn poll(fixture: &QueueFixture, wait_seconds: Option<i32>) -> (Vec<Message>, Duration) {
    let start = Instant::now();
    let polled = fixture
        .client
        .receive_message()
        .queue_url(&fixture.url)
        .set_wait_time_seconds(wait_seconds)
        .send()
        .await
        .expect("receives");
    (polled.messages.unwrap_or_default(), start.elapsed())
}

async fn drain(fixture: &QueueFixture) -> Vec<String> {
    let mut all = Vec::new();
    loop {
        let messages = fixture.receive().await;
        if messages.is_empty() {
            return all;
        }
        all.extend(messages.into_iter().filter_map(|message| message.body));
    }
}
