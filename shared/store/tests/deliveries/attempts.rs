//! The attempts of a delivery: the first and the newest are kept, in order and once each.

use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use bytes::Bytes;
use domain::attempt::Attempt;
use domain::delivery::Delivery;
use domain::receipt::Receipt;
use store::{SentBody, Settled};

use crate::fixture::{Fixture, TABLE};

/// The response bodies that a delivery's history shows.
async fn bodies(fixture: &Fixture, delivery: &Delivery) -> Vec<String> {
    let (attempts, _) = fixture
        .store
        .attempts(&fixture.current(delivery).await)
        .await
        .unwrap();
    attempts
        .into_iter()
        .map(|attempt| attempt.response.unwrap().body)
        .collect()
}

/// How many items a partition of the table holds.
async fn items_in(fixture: &Fixture, partition: String) -> usize {
    let query = fixture
        .table
        .query()
        .table_name(TABLE)
        .key_condition_expression("pk = :pk");
    query
        .expression_attribute_values(":pk", AttributeValue::S(partition))
        .send()
        .await
        .unwrap()
        .items()
        .len()
}

fn body() -> SentBody {
    SentBody {
        bytes: Bytes::from_static(b"{\"text\":\"made of the payload\"}"),
        content_type: "application/json".to_owned(),
    }
}

#[tokio::test]
async fn attempts_are_listed_in_order_with_what_was_sent_and_answered() {
    let fixture = Fixture::new();
    let mut delivery = fixture.committed().await;
    let mut expected: Vec<Attempt> = Vec::new();
    assert_eq!(
        fixture.store.attempts(&delivery).await.unwrap(),
        (vec![], 0)
    );
    for _ in 0..3 {
        delivery = fixture.fail(&delivery, Duration::from_secs(1)).await;
        expected.extend(delivery.last_attempt.clone());
    }
    delivery = fixture.succeed(&delivery).await;
    expected.extend(delivery.last_attempt.clone());
    assert_eq!(
        fixture
            .store
            .attempts(&fixture.current(&delivery).await)
            .await
            .unwrap(),
        (expected, 0)
    );
}

#[tokio::test]
async fn the_first_and_the_newest_two_hundred_are_kept_and_the_rest_is_counted() {
    let fixture = Fixture::new();
    let mut delivery = fixture.committed().await;
    for _ in 0..210 {
        delivery = fixture.fail(&delivery, Duration::from_secs(1)).await;
    }
    let (attempts, omitted) = fixture.store.attempts(&delivery).await.unwrap();
    let numbers: Vec<u32> = attempts.iter().map(|attempt| attempt.number).collect();
    let expected: Vec<u32> = std::iter::once(1).chain(10..=210).collect();
    assert_eq!(numbers, expected);
    assert_eq!(omitted, 8);
}

#[tokio::test]
async fn an_attempt_that_lost_its_race_is_history_and_changes_nothing() {
    let fixture = Fixture::new();
    let delivery = fixture.committed().await;
    let loser = fixture
        .failed(&delivery, Duration::from_secs(1))
        .last_attempt
        .unwrap();
    let stands = fixture.succeed(&delivery).await;
    for _ in 0..2 {
        fixture
            .store
            .append_late_attempt(delivery.organization, delivery.id, loser.clone())
            .await
            .unwrap();
    }
    assert_eq!(fixture.current(&delivery).await, stands);
    let expected = vec![loser, stands.last_attempt.clone().unwrap()];
    assert_eq!(
        fixture.store.attempts(&stands).await.unwrap(),
        (expected, 0)
    );
}

#[tokio::test]
async fn a_settle_that_loses_leaves_no_attempt_twice() {
    let fixture = Fixture::new();
    let delivery = fixture.committed().await;
    let before = fixture.fail(&delivery, Duration::from_secs(1)).await;
    let superseded = before.clone().supersede_tasks().unwrap();
    assert!(
        fixture
            .store
            .transition(&before, &superseded)
            .await
            .unwrap()
    );
    let late = fixture.succeeded(&before);
    fixture.store.settle(&before, &late, "late").await.unwrap();
    let stands = fixture.succeed(&superseded).await;
    let numbers: Vec<u32> = fixture
        .store
        .attempts(&stands)
        .await
        .unwrap()
        .0
        .iter()
        .map(|attempt| attempt.number)
        .collect();
    assert_eq!(numbers, [1, 2]);
}

#[tokio::test]
async fn an_attempt_of_a_delivery_that_was_cancelled_meanwhile_is_shown() {
    let fixture = Fixture::new();
    let delivery = fixture.committed().await;
    let late = fixture
        .failed(&delivery, Duration::from_secs(1))
        .last_attempt
        .unwrap();
    let cancelled = delivery.clone().cancel(fixture.now()).unwrap();
    assert!(
        fixture
            .store
            .transition(&delivery, &cancelled)
            .await
            .unwrap()
    );
    fixture
        .store
        .append_late_attempt(delivery.organization, delivery.id, late.clone())
        .await
        .unwrap();
    assert_eq!(
        fixture
            .store
            .attempts(&fixture.current(&delivery).await)
            .await
            .unwrap(),
        (vec![late], 0)
    );
}

#[tokio::test]
async fn erasing_a_payload_erases_the_answers_of_all_attempts_and_keeps_the_attempts() {
    let fixture = Fixture::new();
    let mut delivery = fixture.committed().await;
    // Late attempts with the number of the last attempt, of an earlier one, and of none.
    let mut late = Vec::new();
    for _ in 0..3 {
        late.push(
            fixture
                .failed(&delivery, Duration::from_secs(1))
                .last_attempt
                .unwrap(),
        );
        delivery = fixture.fail(&delivery, Duration::from_secs(1)).await;
    }
    late.push(
        fixture
            .failed(&delivery, Duration::from_secs(1))
            .last_attempt
            .unwrap(),
    );
    let cancelled = delivery.clone().cancel(fixture.now()).unwrap();
    assert!(
        fixture
            .store
            .transition(&delivery, &cancelled)
            .await
            .unwrap()
    );
    for attempt in late {
        fixture
            .store
            .append_late_attempt(delivery.organization, delivery.id, attempt)
            .await
            .unwrap();
    }
    let starts = async || {
        let (attempts, omitted) = fixture
            .store
            .attempts(&fixture.current(&delivery).await)
            .await
            .unwrap();
        assert_eq!(omitted, 0);
        attempts
            .iter()
            .map(|attempt| (attempt.number, attempt.started_at))
            .collect::<Vec<_>>()
    };
    let before = starts().await;
    assert_eq!(before.len(), 7);
    assert!(
        bodies(&fixture, &delivery)
            .await
            .iter()
            .all(|body| !body.is_empty())
    );
    fixture.store.erase_payload(&cancelled).await.unwrap();
    assert_eq!(starts().await, before);
    assert_eq!(bodies(&fixture, &delivery).await, [""; 7]);
}

#[tokio::test]
async fn an_attempt_that_ends_after_its_payload_was_erased_records_none_of_it() {
    let fixture = Fixture::new();
    let first = fixture.committed().await;
    let before = fixture.fail(&first, Duration::from_secs(1)).await;
    let (failed, succeeded) = (
        fixture.failed(&before, Duration::from_secs(1)),
        fixture.succeeded(&before),
    );
    let cancelled = before.clone().cancel(fixture.now()).unwrap();
    assert!(fixture.store.transition(&before, &cancelled).await.unwrap());
    fixture.store.erase_payload(&cancelled).await.unwrap();
    // What a worker does whose attempt ends now: its settle archives the attempt that it read.
    fixture.store.keep_body(&before, &body()).await.unwrap();
    assert!(matches!(
        fixture
            .store
            .settle(&before, &failed, "token")
            .await
            .unwrap(),
        Settled::Lost(_)
    ));
    fixture
        .store
        .append_late_attempt(before.organization, before.id, failed.last_attempt.unwrap())
        .await
        .unwrap();
    assert_eq!(bodies(&fixture, &before).await, ["", ""]);
    let receipt = Receipt::HttpResponse {
        id: None,
        status: 200,
    };
    let attempt = succeeded.last_attempt.unwrap();
    for _ in 0..2 {
        fixture
            .store
            .apply_late_success(
                before.organization,
                before.id,
                attempt.clone(),
                &receipt,
                fixture.now(),
            )
            .await
            .unwrap();
    }
    assert_eq!(bodies(&fixture, &before).await, [""; 3]);
    assert_eq!(fixture.store.sent_body(&before).await.unwrap(), None);
}

#[tokio::test]
async fn an_erased_organization_leaves_no_attempt_and_no_body_of_a_delivery() {
    let fixture = Fixture::new();
    let organization = fixture.organization().await.id;
    let delivery = fixture
        .committed_for(organization, fixture.ids.mint(organization, 1))
        .await;
    let failed = fixture.failed(&delivery, Duration::from_secs(1));
    let cancelled = delivery.clone().cancel(fixture.now()).unwrap();
    assert!(
        fixture
            .store
            .transition(&delivery, &cancelled)
            .await
            .unwrap()
    );
    fixture
        .store
        .append_late_attempt(
            organization,
            delivery.id,
            failed.last_attempt.clone().unwrap(),
        )
        .await
        .unwrap();
    fixture.store.keep_body(&delivery, &body()).await.unwrap();
    let left = async || {
        items_in(&fixture, format!("ATT#{}", delivery.id)).await
            + items_in(&fixture, format!("BODY#{}", delivery.id)).await
    };
    assert_eq!(left().await, 2);
    for shard in 0..4 {
        fixture
            .store
            .erase_deliveries(organization, shard)
            .await
            .unwrap();
    }
    assert_eq!(left().await, 0);
    // An attempt that still runs leaves nothing when it ends.
    fixture.store.keep_body(&failed, &body()).await.unwrap();
    let second = fixture.failed(&failed, Duration::from_secs(1));
    assert!(matches!(
        fixture
            .store
            .settle(&failed, &second, "token")
            .await
            .unwrap(),
        Settled::Lost(_)
    ));
    fixture
        .store
        .append_late_attempt(organization, delivery.id, second.last_attempt.unwrap())
        .await
        .unwrap();
    assert_eq!(left().await, 0);
}

#[tokio::test]
async fn a_large_body_of_an_attempt_that_ends_after_its_delivery_was_erased_is_deleted() {
    let fixture = Fixture::new();
    let organization = fixture.organization().await.id;
    let delivery = fixture
        .committed_for(organization, fixture.ids.mint(organization, 1))
        .await;
    for shard in 0..4 {
        fixture
            .store
            .erase_deliveries(organization, shard)
            .await
            .unwrap();
    }
    let large = SentBody {
        bytes: Bytes::from(vec![b'a'; 300_000]),
        ..body()
    };
    fixture.store.keep_body(&delivery, &large).await.unwrap();
    let stored = fixture.store.sent_body(&delivery).await.unwrap().unwrap();
    let store::Content::Object(location) = stored.content else {
        panic!("the body is no object");
    };
    let object = async || {
        fixture
            .store
            .read_entire_object(&location, 300_000)
            .await
            .unwrap()
    };
    assert!(object().await.is_some());
    let failed = fixture.failed(&delivery, Duration::from_secs(1));
    assert!(matches!(
        fixture
            .store
            .settle(&delivery, &failed, "token")
            .await
            .unwrap(),
        Settled::Lost(_)
    ));
    assert_eq!(object().await, None);
    assert_eq!(items_in(&fixture, format!("BODY#{}", delivery.id)).await, 0);
}
