//! The attempts of a delivery: the first and the newest are kept, in order and once each.

use std::time::Duration;

use domain::attempt::Attempt;

use crate::fixture::Fixture;

#[tokio::test]
async fn attempts_are_listed_in_order_with_what_was_sent_and_answered() {
    let fixture = Fixture::new();
    let mut delivery = fixture.committed().await;
    let mut expected: Vec<Attempt> = Vec::new();
    assert_eq!(fixture.store.attempts(&delivery).await.unwrap(), (vec![], 0));
    for _ in 0..3 {
        delivery = fixture.fail(&delivery, Duration::from_secs(1)).await;
        expected.extend(delivery.last_attempt.clone());
    }
    delivery = fixture.succeed(&delivery).await;
    expected.extend(delivery.last_attempt.clone());
    assert_eq!(fixture.store.attempts(&fixture.stands(&delivery).await).await.unwrap(), (expected, 0));
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
    let loser = fixture.failed(&delivery, Duration::from_secs(1)).last_attempt.unwrap();
    let stands = fixture.succeed(&delivery).await;
    for _ in 0..2 {
        fixture.store.append_late_attempt(delivery.organization, delivery.id, loser.clone()).await.unwrap();
    }
    assert_eq!(fixture.stands(&delivery).await, stands);
    let expected = vec![loser, stands.last_attempt.clone().unwrap()];
    assert_eq!(fixture.store.attempts(&stands).await.unwrap(), (expected, 0));
}

#[tokio::test]
async fn a_settle_that_loses_leaves_no_attempt_twice() {
    let fixture = Fixture::new();
    let delivery = fixture.committed().await;
    let before = fixture.fail(&delivery, Duration::from_secs(1)).await;
    let superseded = before.clone().supersede_tasks().unwrap();
    assert!(fixture.store.transition(&before, &superseded).await.unwrap());
    let late = fixture.succeeded(&before);
    fixture.store.settle(&before, &late, "late").await.unwrap();
    let stands = fixture.succeed(&superseded).await;
    let numbers: Vec<u32> = fixture.store.attempts(&stands).await.unwrap().0.iter().map(|attempt| attempt.number).collect();
    assert_eq!(numbers, [1, 2]);
}
