//! What survives the end of the process.

use std::path::Path;

use aws_sdk_sqs::types::{Message, MessageSystemAttributeName};
use kit::contracts::queue::Shape;
use local_aws::{Engines, OpenError, Options, Resources, sqs};
use tempfile::{TempDir, tempdir};

use super::embedded;

/// A message becomes a dead letter after two receives.
fn open(data: &Path) -> Engines {
    embedded::open(
        data,
        Shape {
            max_receives: 2,
            ..Shape::default()
        },
        Options::local(),
    )
}

async fn send(engines: &Engines, body: &str) -> String {
    let sent = embedded::client(engines)
        .send_message()
        .queue_url(engines.queue_url("work"))
        .message_body(body)
        .message_group_id("g")
        .send()
        .await;
    sent.unwrap().message_id.unwrap()
}

async fn receive(engines: &Engines, queue: &str) -> Vec<Message> {
    receive_within(engines, queue, 0).await
}

async fn receive_within(engines: &Engines, queue: &str, seconds: i32) -> Vec<Message> {
    let receive = embedded::client(engines)
        .receive_message()
        .queue_url(engines.queue_url(queue))
        .max_number_of_messages(10);
    let receive = receive.wait_time_seconds(seconds);
    receive
        .message_system_attribute_names(MessageSystemAttributeName::All)
        .send()
        .await
        .unwrap()
        .messages
        .unwrap_or_default()
}

fn receives(message: &Message) -> &str {
    &message.attributes().unwrap()[&MessageSystemAttributeName::ApproximateReceiveCount]
}

/// Copies what a killed process leaves: the queue file and its log as they are.
fn kill(data: &Path) -> TempDir {
    let left = tempdir().unwrap();
    for file in ["sqs.sqlite", "sqs.sqlite-wal"] {
        std::fs::copy(data.join(file), left.path().join(file)).unwrap();
    }
    left
}

#[tokio::test]
async fn messages_survive_a_clean_close() {
    let data = tempdir().unwrap();
    let engines = open(data.path());
    let id = send(&engines, "kept").await;
    engines.close().await;
    assert!(
        !data.path().join("sqs.sqlite-wal").exists(),
        "everything is in the file itself"
    );
    let messages = receive(&open(data.path()), "work").await;
    assert_eq!(messages[0].message_id(), Some(id.as_str()));
    assert_eq!(messages[0].body(), Some("kept"));
}

#[tokio::test]
async fn answered_requests_survive_a_killed_process() {
    let data = tempdir().unwrap();
    let engines = open(data.path());
    for number in 0..20 {
        send(&engines, &number.to_string()).await;
    }
    let deleted = receive(&engines, "work").await;
    for message in &deleted {
        let delete = embedded::client(&engines)
            .delete_message()
            .queue_url(engines.queue_url("work"));
        delete
            .set_receipt_handle(message.receipt_handle.clone())
            .send()
            .await
            .unwrap();
    }
    let left = kill(data.path());
    assert_eq!(
        receive(&open(left.path()), "work").await.len(),
        20 - deleted.len()
    );
}

#[tokio::test]
async fn messages_in_flight_are_visible_after_a_restart_and_keep_their_receive_counts() {
    let data = tempdir().unwrap();
    let engines = open(data.path());
    send(&engines, "in flight").await;
    assert_eq!(receives(&receive(&engines, "work").await[0]), "1");
    let left = kill(data.path());
    let after = open(left.path());
    assert_eq!(receives(&receive_within(&after, "work", 10).await[0]), "2");
    after.close().await;
    let last = open(left.path());
    assert!(
        receive_within(&last, "work", 2).await.is_empty(),
        "two receives were allowed"
    );
    let dead = receive(&last, "work-dead-letters").await;
    assert_eq!(
        dead[0].attributes().unwrap()[&MessageSystemAttributeName::DeadLetterQueueSourceArn],
        last.queue_arn("work")
    );
    last.close().await;
    assert_eq!(
        receive(&open(left.path()), "work-dead-letters").await.len(),
        1,
        "a dead letter stays where it is"
    );
}

#[tokio::test]
async fn a_delay_goes_on_after_a_restart() {
    let data = tempdir().unwrap();
    let engines = open(data.path());
    embedded::client(&engines)
        .send_message()
        .queue_url(engines.queue_url("work"))
        .message_body("x")
        .delay_seconds(600)
        .send()
        .await
        .unwrap();
    engines.close().await;
    assert!(receive(&open(data.path()), "work").await.is_empty());
}

#[tokio::test]
async fn a_newer_file_is_refused_and_left_alone() {
    let data = tempdir().unwrap();
    let file = data.path().join("sqs.sqlite");
    let newer = rusqlite::Connection::open(&file).unwrap();
    newer.pragma_update(None, "user_version", 99).unwrap();
    drop(newer);
    let before = std::fs::read(&file).unwrap();
    let refused = Engines::open(data.path(), &Resources::empty(), Options::local());
    assert!(matches!(
        refused,
        Err(OpenError::Sqs(sqs::OpenError::Newer { found: 99, .. }))
    ));
    assert_eq!(std::fs::read(&file).unwrap(), before);
}

/// A call that could not be written is refused, and has no effect.
#[tokio::test]
async fn a_failing_file_neither_loses_nor_adds_messages() {
    let data = tempdir().unwrap();
    let engines = open(data.path());
    send(&engines, "before").await;
    let saboteur = rusqlite::Connection::open(data.path().join("sqs.sqlite")).unwrap();
    saboteur
        .execute_batch("ALTER TABLE content RENAME TO hidden")
        .unwrap();
    let request = format!(
        r#"{{"QueueUrl":"{}","MessageBody":"lost"}}"#,
        engines.queue_url("work")
    );
    let refused = engines
        .sqs()
        .call("SendMessage", request.as_bytes())
        .await
        .unwrap_err();
    assert_eq!(
        (refused.status, refused.code.as_str()),
        (500, "com.amazon.coral.service#InternalFailure")
    );
    saboteur
        .execute_batch("ALTER TABLE hidden RENAME TO content")
        .unwrap();
    send(&engines, "after").await;
    let messages = receive(&engines, "work").await;
    assert_eq!(
        messages
            .iter()
            .filter_map(Message::body)
            .collect::<Vec<_>>(),
        ["before", "after"]
    );
}

/// A message that was in flight when a process died waits, is received alone, and is no longer
/// suspect once its receiver returned it.
#[tokio::test]
async fn after_a_crash_what_was_in_flight_is_handed_out_apart_from_the_rest() {
    let data = tempdir().unwrap();
    let engines = open(data.path());
    send(&engines, "one").await;
    send(&engines, "two").await;
    assert_eq!(receive(&engines, "work").await.len(), 2);
    send(&engines, "fresh").await;
    let left = kill(data.path());
    let after = open(left.path());
    assert_eq!(after.sqs().interrupted().await.unwrap(), ["one", "two"]);
    let mut bodies = Vec::new();
    for _ in 0..3 {
        let messages = receive_within(&after, "work", 10).await;
        assert_eq!(messages.len(), 1, "{messages:?}");
        bodies.push(messages[0].body().unwrap().to_owned());
        let put_back = embedded::client(&after)
            .change_message_visibility()
            .queue_url(after.queue_url("work"))
            .visibility_timeout(600);
        put_back
            .set_receipt_handle(messages[0].receipt_handle.clone())
            .send()
            .await
            .unwrap();
    }
    assert_eq!(bodies, ["fresh", "one", "two"]);
    assert!(after.sqs().interrupted().await.unwrap().is_empty());
}

/// The first version of the file remains readable.
#[tokio::test]
async fn a_file_of_the_first_version_is_taken_over_with_its_messages() {
    let data = tempdir().unwrap();
    let old = rusqlite::Connection::open(data.path().join("sqs.sqlite")).unwrap();
    old.execute_batch(VERSION_1).unwrap();
    drop(old);
    let messages = receive(&open(data.path()), "work").await;
    assert_eq!(messages[0].body(), Some("of yesterday"));
    assert_eq!(receives(&messages[0]), "2");
}

/// The file as the first version wrote it.
const VERSION_1: &str = "
    CREATE TABLE queue (row INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT;
    CREATE TABLE message (key INTEGER PRIMARY KEY, queue INTEGER NOT NULL REFERENCES queue (row), source INTEGER REFERENCES queue (row),
        group_id TEXT, sent_at_ms INTEGER NOT NULL, visible_at_ms INTEGER NOT NULL, receives INTEGER NOT NULL DEFAULT 0,
        first_received_at_ms INTEGER) STRICT;
    CREATE TABLE content (key INTEGER PRIMARY KEY, body TEXT NOT NULL, attributes TEXT, trace_header TEXT) STRICT;
    INSERT INTO queue VALUES (1, 'work'), (2, 'work-dead-letters');
    INSERT INTO message VALUES (7, 1, NULL, 'g', unixepoch() * 1000, 0, 1, 1);
    INSERT INTO content VALUES (7, 'of yesterday', NULL, NULL);
    PRAGMA user_version = 1;";
