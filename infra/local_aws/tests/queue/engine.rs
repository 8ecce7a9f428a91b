//! What only the embedded engine guarantees: fast wake-ups, the service's own responses where
//! moto's differ, refusals at opening, and an orderly end.

use std::path::Path;
use std::time::Duration;

use aws_sdk_sqs::error::ProvideErrorMetadata as _;
use aws_sdk_sqs::types::Message;
use kit::contracts::queue::{Backend as _, QueueFixture, Shape};
use local_aws::sqs::{OpenError, QueueSpec, Redrive, Sqs};
use local_aws::{Mode, NowMs, Options};
use tokio::time::Instant;

use super::embedded::{self, Embedded};

/// Opens the queues alone, without the SDK.
fn queues(specs: &[QueueSpec], clock: NowMs, mode: Mode) -> Result<Sqs, OpenError> {
    Sqs::open(
        Path::new(":memory:"),
        specs,
        "000000000000",
        "us-east-1",
        clock,
        mode,
    )
}

async fn fixture() -> QueueFixture {
    Embedded::new(Mode::Thread).fixture(Shape::default()).await
}

async fn paused_fixture() -> QueueFixture {
    Embedded::new(Mode::Inline).fixture(Shape::default()).await
}

async fn send(fixture: &QueueFixture, body: &str) {
    fixture
        .client
        .send_message()
        .queue_url(&fixture.url)
        .message_body(body)
        .send()
        .await
        .unwrap();
}

async fn receive(fixture: &QueueFixture, visibility_seconds: i32) -> Vec<Message> {
    let receive = fixture
        .client
        .receive_message()
        .queue_url(&fixture.url)
        .max_number_of_messages(10)
        .visibility_timeout(visibility_seconds);
    receive.send().await.unwrap().messages.unwrap_or_default()
}

/// Takes the median of five measurements, because other tests run at the same time.
#[tokio::test]
async fn a_long_poll_wakes_within_50_ms() {
    let fixture = fixture().await;
    let mut woke_after = Vec::new();
    for _ in 0..5 {
        let poll = fixture
            .client
            .receive_message()
            .queue_url(&fixture.url)
            .wait_time_seconds(10)
            .send();
        let (polled, sent_at) = tokio::join!(poll, async {
            tokio::time::sleep(Duration::from_millis(30)).await;
            send(&fixture, "x").await;
            Instant::now()
        });
        assert_eq!(polled.unwrap().messages().len(), 1);
        woke_after.push(sent_at.elapsed());
    }
    woke_after.sort_unstable();
    assert!(
        woke_after[2] < Duration::from_millis(50),
        "woke after {woke_after:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn every_waiting_receiver_gets_one_of_a_batch() {
    let fixture = paused_fixture().await;
    let polls: Vec<_> = (0..5)
        .map(|_| {
            tokio::spawn(
                fixture
                    .client
                    .receive_message()
                    .queue_url(&fixture.url)
                    .wait_time_seconds(20)
                    .send(),
            )
        })
        .collect();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let start = Instant::now();
    for body in ["1", "2", "3", "4", "5"] {
        send(&fixture, body).await;
    }
    for poll in polls {
        assert_eq!(poll.await.unwrap().unwrap().messages().len(), 1);
    }
    assert!(start.elapsed() < Duration::from_secs(1));
}

/// A poll that sleeps until a message becomes visible is woken for one that does so earlier.
#[tokio::test(start_paused = true)]
async fn a_long_poll_notices_an_earlier_message() {
    let fixture = paused_fixture().await;
    fixture
        .client
        .send_message()
        .queue_url(&fixture.url)
        .message_body("late")
        .delay_seconds(15)
        .send()
        .await
        .unwrap();
    let start = Instant::now();
    let poll = fixture
        .client
        .receive_message()
        .queue_url(&fixture.url)
        .wait_time_seconds(20)
        .send();
    let (polled, ()) = tokio::join!(poll, async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        fixture
            .client
            .send_message()
            .queue_url(&fixture.url)
            .message_body("early")
            .delay_seconds(2)
            .send()
            .await
            .unwrap();
    });
    assert_eq!(polled.unwrap().messages()[0].body(), Some("early"));
    assert_eq!(start.elapsed().as_secs(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_stale_receipt_deletes_nothing_and_hides_nothing() {
    let fixture = paused_fixture().await;
    send(&fixture, "twice").await;
    let stale = receive(&fixture, 1).await.remove(0).receipt_handle.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(receive(&fixture, 1).await.len(), 1);
    fixture
        .client
        .delete_message()
        .queue_url(&fixture.url)
        .receipt_handle(&stale)
        .send()
        .await
        .unwrap();
    let hidden = fixture
        .client
        .change_message_visibility()
        .queue_url(&fixture.url)
        .receipt_handle(&stale)
        .visibility_timeout(60)
        .send()
        .await;
    assert_eq!(
        hidden.unwrap_err().into_service_error().code(),
        Some("InvalidParameterValue")
    );
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(receive(&fixture, 1).await.len(), 1, "it is still there");
}

#[tokio::test(start_paused = true)]
async fn a_message_that_is_visible_again_cannot_be_hidden() {
    let fixture = paused_fixture().await;
    send(&fixture, "back").await;
    let handle = receive(&fixture, 1).await.remove(0).receipt_handle.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let hidden = fixture
        .client
        .change_message_visibility()
        .queue_url(&fixture.url)
        .receipt_handle(handle)
        .visibility_timeout(60)
        .send()
        .await;
    assert!(
        hidden
            .unwrap_err()
            .into_service_error()
            .is_message_not_inflight()
    );
}

#[tokio::test(start_paused = true)]
async fn a_message_is_hidden_for_twelve_hours_in_all() {
    let fixture = paused_fixture().await;
    send(&fixture, "held").await;
    let handle = receive(&fixture, 43_200)
        .await
        .remove(0)
        .receipt_handle
        .unwrap();
    tokio::time::sleep(Duration::from_secs(60)).await;
    let change = fixture
        .client
        .change_message_visibility()
        .queue_url(&fixture.url)
        .receipt_handle(handle);
    assert!(
        change
            .clone()
            .visibility_timeout(43_140)
            .send()
            .await
            .is_ok()
    );
    let beyond = change
        .visibility_timeout(43_141)
        .send()
        .await
        .unwrap_err()
        .into_service_error();
    assert_eq!(beyond.code(), Some("InvalidParameterValue"));
}

#[tokio::test(start_paused = true)]
async fn a_message_is_removed_after_its_retention() {
    let fixture = paused_fixture().await;
    send(&fixture, "old").await;
    tokio::time::sleep(Duration::from_secs(1_209_600)).await;
    assert!(receive(&fixture, 0).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_oldest_messages_age_is_known() {
    let sqs = queues(
        &embedded::specs(Shape::default()),
        embedded::tokio_clock(),
        Mode::Inline,
    )
    .unwrap();
    assert_eq!(sqs.oldest_message_age_ms("work").await.unwrap(), None);
    let send = format!(
        r#"{{"QueueUrl":"{}","MessageBody":"x"}}"#,
        sqs.queue_url("work").unwrap()
    );
    sqs.call("SendMessage", send.as_bytes()).await.unwrap();
    tokio::time::sleep(Duration::from_secs(90)).await;
    assert_eq!(
        sqs.oldest_message_age_ms("work").await.unwrap(),
        Some(90_000)
    );
    assert!(sqs.oldest_message_age_ms("nowhere").await.is_err());
}

#[tokio::test]
async fn characters_outside_xml_are_refused() {
    let fixture = fixture().await;
    let refused = fixture
        .client
        .send_message()
        .queue_url(&fixture.url)
        .message_body("bell \u{7}")
        .send()
        .await;
    assert!(
        refused
            .unwrap_err()
            .into_service_error()
            .is_invalid_message_contents()
    );
}

#[tokio::test]
async fn invalid_requests_are_refused() {
    let sqs = queues(
        &embedded::specs(Shape::default()),
        Options::local().now,
        Mode::Thread,
    )
    .unwrap();
    let unreadable = sqs.call("SendMessage", b"not json").await.unwrap_err();
    assert_eq!(
        (unreadable.status, unreadable.code.as_str()),
        (400, "com.amazon.coral.service#SerializationException")
    );
    let unknown = sqs.call("CreateQueue", b"{}").await.unwrap_err();
    assert_eq!(
        unknown.code,
        "com.amazon.coral.service#UnknownOperationException"
    );
    let elsewhere = br#"{"QueueUrl":"https://sqs.us-east-1.amazonaws.com/111111111111/work","MessageBody":"x"}"#;
    assert_eq!(
        sqs.call("SendMessage", elsewhere).await.unwrap_err().code,
        "com.amazonaws.sqs#QueueDoesNotExist"
    );
    let gateway = br#"{"QueueUrl":"http://127.0.0.1:4566/000000000000/work","MessageBody":"x"}"#;
    assert!(sqs.call("SendMessage", gateway).await.is_ok());
}

#[tokio::test]
async fn a_redrive_to_nowhere_is_refused_at_opening() {
    let [mut work, _] = embedded::specs(Shape::default());
    work.redrive = Some(Redrive {
        dead_letter_queue: "missing".to_owned(),
        max_receive_count: 3,
    });
    let opened = |specs: &[QueueSpec]| queues(specs, Options::local().now, Mode::Inline);
    let refused = opened(&[work.clone()]).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "queue work sends dead letters to missing, which does not exist"
    );
    work.redrive = None;
    assert!(matches!(
        opened(&[work.clone(), work]),
        Err(OpenError::DuplicateQueue { .. })
    ));
}

#[tokio::test]
async fn closing_ends_long_polls_and_refuses_later_calls() {
    for mode in [Mode::Thread, Mode::Inline] {
        let sqs = queues(
            &embedded::specs(Shape::default()),
            Options::local().now,
            mode,
        )
        .unwrap();
        let body = format!(
            r#"{{"QueueUrl":"{}","WaitTimeSeconds":20}}"#,
            sqs.queue_url("work").unwrap()
        );
        let poll = tokio::spawn({
            let sqs = sqs.clone();
            async move { sqs.call("ReceiveMessage", body.as_bytes()).await }
        });
        tokio::time::sleep(Duration::from_millis(50)).await;
        let start = Instant::now();
        sqs.close().await.unwrap();
        sqs.close().await.unwrap();
        assert_eq!(poll.await.unwrap().unwrap_err().status, 503);
        assert!(start.elapsed() < Duration::from_secs(2));
    }
}
