//! Deliveries that come due, and deliveries whose task was lost.

use std::time::Duration;

use domain::Timestamp;
use domain::delivery::Delivery;
use domain::id::Id;
use store::{DUE_PARTITIONS, DueEntry};

use crate::fixture::Fixture;

const SECOND: Duration = Duration::from_secs(1);

async fn due(fixture: &Fixture, until: Timestamp) -> Vec<DueEntry> {
    let mut entries = Vec::new();
    for partition in 0..DUE_PARTITIONS {
        entries.extend(
            fixture
                .store
                .due(partition, until, None, 100)
                .await
                .unwrap()
                .items,
        );
    }
    entries
}

fn entry(delivery: &Delivery, due_at: Timestamp) -> DueEntry {
    DueEntry {
        organization: delivery.organization,
        delivery: delivery.id,
        due_at,
    }
}

#[tokio::test]
async fn a_short_wait_is_due_a_minute_after_its_task_and_a_long_one_at_its_time() {
    let fixture = Fixture::new();
    let delivery = fixture.committed().await;
    assert_eq!(due(&fixture, fixture.now().plus(SECOND * 86_400)).await, []);
    let short = fixture.fail(&delivery, SECOND * 60).await;
    let at = fixture.now().plus(SECOND * 120);
    assert_eq!(due(&fixture, at).await, [entry(&delivery, at)]);
    assert_eq!(
        due(&fixture, Timestamp::from_millis(at.as_millis() - 1)).await,
        []
    );
    let long = fixture.fail(&short, SECOND * 61).await;
    let at = fixture.now().plus(SECOND * 61);
    assert_eq!(due(&fixture, at).await, [entry(&delivery, at)]);
    fixture.succeed(&long).await;
    assert_eq!(due(&fixture, at).await, []);
}

#[tokio::test]
async fn a_redelivery_is_due_in_a_minute() {
    let fixture = Fixture::new();
    let delivery = fixture.committed().await;
    let succeeded = fixture.succeed(&delivery).await;
    let reopened = succeeded
        .clone()
        .reopen(domain::attempt::Trigger::Manual, true, fixture.now())
        .unwrap();
    assert!(
        fixture
            .store
            .transition(&succeeded, &reopened)
            .await
            .unwrap()
    );
    let at = fixture.now().plus(SECOND * 60);
    assert_eq!(due(&fixture, at).await, [entry(&delivery, at)]);
}

#[tokio::test]
async fn one_sweep_moves_it_on() {
    let fixture = Fixture::new();
    let delivery = fixture.committed().await;
    let before = fixture.fail(&delivery, SECOND * 90).await;
    let after = before.clone().supersede_tasks().unwrap();
    let later = fixture.now().plus(SECOND * 600);
    assert!(
        fixture
            .store
            .move_due(&before, &after, later)
            .await
            .unwrap()
    );
    assert!(
        !fixture
            .store
            .move_due(&before, &after, later)
            .await
            .unwrap()
    );
    assert_eq!(due(&fixture, later).await, [entry(&delivery, later)]);
    assert_eq!(fixture.current(&delivery).await, after);
}

#[tokio::test]
async fn a_delivery_whose_task_no_queue_accepted_stays_due_until_it_is_settled() {
    let fixture = Fixture::new();
    let delivery = fixture.committed().await;
    let at = fixture.now().plus(SECOND * 60);
    fixture.store.remember_due(&delivery, at).await.unwrap();
    assert_eq!(due(&fixture, at).await, [entry(&delivery, at)]);
    assert_eq!(fixture.current(&delivery).await, delivery);
    fixture.succeed(&delivery).await;
    fixture.store.remember_due(&delivery, at).await.unwrap();
    assert_eq!(due(&fixture, at).await, []);
}

#[tokio::test]
async fn the_walk_finds_all_that_is_unfinished_and_nothing_else() {
    let fixture = Fixture::new();
    let organization = fixture.ids.organization();
    let destination = fixture.ids.mint(organization, 1);
    let mut expected = Vec::new();
    for n in 0..40 {
        let delivery = fixture.committed_for(organization, destination).await;
        match n % 4 {
            0 => expected.push(fixture.fail(&delivery, SECOND).await),
            1 => expected.push(delivery),
            _ => drop(fixture.succeed(&delivery).await),
        }
    }
    let mut found = Vec::new();
    for shard in 0..4 {
        let mut after = None;
        loop {
            let step = fixture
                .store
                .unfinished(organization, shard, after, 2)
                .await
                .unwrap();
            assert!(
                step.items.len() <= 2
                    && step
                        .items
                        .iter()
                        .all(|delivery| delivery.id.message.ulid().shard() == shard)
            );
            found.extend(step.items);
            after = step.next;
            if after.is_none() {
                break;
            }
        }
    }
    found.sort_by_key(|delivery| delivery.id);
    expected.sort_by_key(|delivery| delivery.id);
    assert_eq!(found, expected);
}
