//! Changes of deliveries without an attempt.

use std::time::Duration;

use domain::Reason;
use domain::delivery::{Delivery, Pending, SkipReason, State};

use crate::fixture::Fixture;

#[tokio::test]
async fn of_two_changes_one_wins() {
    let fixture = Fixture::new();
    let before = fixture.committed().await;
    let cancelled = before.clone().cancel(fixture.now()).unwrap();
    let skipped = before
        .clone()
        .skip(SkipReason::DestinationDisabled, fixture.now())
        .unwrap();
    assert!(fixture.store.transition(&before, &cancelled).await.unwrap());
    assert!(!fixture.store.transition(&before, &skipped).await.unwrap());
    assert_eq!(fixture.current(&before).await, cancelled);
}

#[tokio::test]
async fn every_state_reads_back_as_it_was_written() {
    let fixture = Fixture::new();
    let now = fixture.now();
    let (lease_until, attempt_until) = (
        now.plus(Duration::from_secs(30)),
        Some(now.plus(Duration::from_secs(30))),
    );
    let retrying = Pending::Retrying {
        next_attempt_at: now,
        reason: Some(Reason::Dns),
    };
    let states = [
        State::Queued,
        State::Attempting {
            pending: Pending::Queued,
            lease_until,
        },
        State::Retrying {
            next_attempt_at: now,
            reason: None,
        },
        State::Retrying {
            next_attempt_at: now,
            reason: Some(Reason::Dns),
        },
        State::Attempting {
            pending: retrying,
            lease_until,
        },
        State::Succeeded {
            finished_at: now,
            receipt: None,
        },
        State::Failed {
            finished_at: now,
            reason: Reason::ServerError,
            exhausted: true,
            attempt_until: None,
        },
        State::Failed {
            finished_at: now,
            reason: Reason::Expired,
            exhausted: false,
            attempt_until,
        },
        State::Skipped {
            finished_at: now,
            reason: SkipReason::DestinationDeleted,
            attempt_until,
        },
        State::Cancelled {
            finished_at: now,
            attempt_until,
        },
    ];
    for state in states {
        let before = fixture.committed().await;
        let after = Delivery {
            state,
            generation: 1,
            updated_at: fixture.now().plus(Duration::from_secs(3)),
            ..before.clone()
        };
        assert!(fixture.store.transition(&before, &after).await.unwrap());
        assert_eq!(fixture.current(&before).await, after);
    }
}

#[tokio::test]
async fn only_what_is_finished_expires() {
    let fixture = Fixture::new();
    let (waiting, finished) = (fixture.committed().await, fixture.committed().await);
    fixture.succeed(&finished).await;
    fixture.advance(Duration::from_secs(30 * 86_400));
    assert_eq!(fixture.current(&waiting).await, waiting);
    assert_eq!(
        fixture
            .store
            .delivery(finished.organization, finished.id)
            .await
            .unwrap(),
        None
    );
    assert_eq!(
        fixture
            .store
            .message(finished.organization, finished.id.message)
            .await
            .unwrap(),
        None
    );
    assert_eq!(fixture.store.payload(&finished).await.unwrap(), None);
    let page = fixture
        .store
        .deliveries_page(finished.organization, 4, &Default::default(), None, 25)
        .await
        .unwrap();
    assert_eq!(page.items, []);
}

#[tokio::test]
async fn redelivering_ends_the_expiry() {
    let fixture = Fixture::new();
    let delivery = fixture.committed().await;
    let succeeded = fixture.succeed(&delivery).await;
    let reopened = succeeded
        .clone()
        .reopen(domain::attempt::Trigger::Replay, true, fixture.now())
        .unwrap();
    assert!(
        fixture
            .store
            .transition(&succeeded, &reopened)
            .await
            .unwrap()
    );
    fixture.advance(Duration::from_secs(30 * 86_400));
    assert_eq!(fixture.current(&delivery).await, reopened);
}

#[tokio::test]
async fn a_change_does_not_take_a_lease_from_a_worker_that_came_in_between() {
    let fixture = Fixture::new();
    let delivery = fixture.committed().await;
    let before = fixture.fail(&delivery, Duration::from_secs(90)).await;
    let until = fixture.now().plus(Duration::from_secs(30));
    fixture
        .store
        .lease(&before, fixture.now(), until)
        .await
        .unwrap();
    let after = before.clone().supersede_tasks().unwrap();
    assert!(
        !fixture
            .store
            .move_due(&before, &after, until)
            .await
            .unwrap()
    );
    assert!(!fixture.store.transition(&before, &after).await.unwrap());
    let leased = fixture.current(&delivery).await;
    assert_eq!(leased, before.start(until, fixture.now()).unwrap());
    assert!(
        fixture
            .store
            .transition(&leased, &leased.clone().cancel(fixture.now()).unwrap())
            .await
            .unwrap()
    );
}

#[tokio::test]
async fn throttling_and_outages_are_retryable_and_refusals_are_not() {
    let fixture = Fixture::new();
    let delivery = fixture.committed().await;
    let denied = local_aws::Fault::Refuse(local_aws::ServiceError::new(
        400,
        "AccessDeniedException",
        "no",
    ));
    for (fault, later) in [
        (local_aws::Fault::throttled(), true),
        (local_aws::Fault::unavailable(), true),
        (denied, false),
    ] {
        fixture.engines.install_faults(move |_| fault.clone());
        let error = fixture
            .store
            .delivery(delivery.organization, delivery.id)
            .await
            .unwrap_err();
        assert_eq!(error.is_unavailable(), later, "{error}");
    }
}
