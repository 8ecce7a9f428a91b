//! Settles: one wins, and the others learn its outcome.

use std::time::Duration;

use domain::attempt::Trigger;
use domain::delivery::{Delivery, DeliveryStatus};
use store::Settled;

use crate::fixture::Fixture;

fn redelivered(delivery: &Delivery, fixture: &Fixture) -> Delivery {
    delivery
        .clone()
        .reopen(Trigger::Manual, true, fixture.now())
        .unwrap()
}

#[tokio::test]
async fn a_settled_delivery_is_not_settled_again() {
    let fixture = Fixture::new();
    let delivery = fixture.committed().await;
    let retrying = fixture.fail(&delivery, Duration::from_secs(1)).await;
    assert_eq!(fixture.current(&delivery).await, retrying);
    let succeeded = fixture.succeed(&retrying).await;
    assert_eq!(fixture.current(&delivery).await, succeeded);
}

#[tokio::test]
async fn a_settle_that_was_made_already_is_done() {
    let fixture = Fixture::new();
    let before = fixture.committed().await;
    let after = fixture.succeeded(&before);
    for _ in 0..2 {
        assert_eq!(
            fixture.store.settle(&before, &after, "one").await.unwrap(),
            Settled::Done
        );
    }
    assert_eq!(
        fixture
            .store
            .settle(&before, &after, "other")
            .await
            .unwrap(),
        Settled::Lost(Box::new(after))
    );
}

#[tokio::test]
async fn a_settle_that_loses_returns_the_current_delivery() {
    let fixture = Fixture::new();
    let delivery = fixture.committed().await;
    let retrying = fixture.fail(&delivery, Duration::from_secs(1)).await;
    let reopened = redelivered(&retrying, &fixture);
    assert!(
        fixture
            .store
            .transition(&retrying, &reopened)
            .await
            .unwrap()
    );
    let late = fixture.succeeded(&retrying);
    assert_eq!(
        fixture
            .store
            .settle(&retrying, &late, "late")
            .await
            .unwrap(),
        Settled::Lost(Box::new(reopened.clone()))
    );
    assert_eq!(fixture.current(&delivery).await, reopened);
}

#[tokio::test]
async fn a_late_success_is_applied_to_the_current_delivery() {
    let fixture = Fixture::new();
    let delivery = fixture.committed().await;
    let cancelled = delivery.clone().cancel(fixture.now()).unwrap();
    assert!(
        fixture
            .store
            .transition(&delivery, &cancelled)
            .await
            .unwrap()
    );
    let after = fixture.succeeded(&delivery);
    let receipt = after.state.receipt().unwrap();
    let attempt = after.last_attempt.clone().unwrap();
    for _ in 0..2 {
        let late = fixture.store.apply_late_success(
            delivery.organization,
            delivery.id,
            attempt.clone(),
            receipt,
            fixture.now(),
        );
        late.await.unwrap();
    }
    let stands = fixture.current(&delivery).await;
    assert_eq!(stands.state, after.state);
    assert_eq!(
        fixture.store.attempts(&stands).await.unwrap(),
        (vec![attempt], 0)
    );
}

#[tokio::test]
async fn only_one_worker_holds_a_lease() {
    let fixture = Fixture::new();
    let delivery = fixture.committed().await;
    let retrying = fixture.fail(&delivery, Duration::from_secs(1)).await;
    let (now, until) = (fixture.now(), fixture.now().plus(Duration::from_secs(30)));
    assert_eq!(
        fixture.store.lease(&retrying, now, until).await.unwrap(),
        store::Leased::Yes
    );
    assert_eq!(
        fixture.store.lease(&retrying, now, until).await.unwrap(),
        store::Leased::Lost
    );
    assert!(fixture.current(&delivery).await.in_flight(now));
    assert_eq!(
        fixture
            .store
            .lease(&retrying, until, until.plus(Duration::from_secs(30)))
            .await
            .unwrap(),
        store::Leased::Yes
    );
    let settled = fixture.succeed(&retrying).await;
    assert_eq!(
        (
            settled.status(),
            fixture.current(&delivery).await.state.attempt_until()
        ),
        (DeliveryStatus::Succeeded, None)
    );
}
