//! Concurrent requests share calls. Each has its own outcome and costs no more than alone.

use bytes::Bytes;
use domain::delivery::Delivery;
use futures_util::future::join_all;
use local_aws::{Call, Fault};
use store::{Content, Settled};

use super::words::PAYLOAD;
use crate::fixture::Fixture;

const MESSAGES: usize = 40;

/// Messages to one destination each, not yet committed.
fn messages(fixture: &Fixture) -> Vec<Vec<Delivery>> {
    let organization = fixture.ids.organization();
    let destination = fixture.ids.mint(organization, 1);
    (0..MESSAGES)
        .map(|_| fixture.message_to(organization, &[destination]))
        .collect()
}

async fn commit_all(fixture: &Fixture, messages: &[Vec<Delivery>]) {
    let payload = Content::Bytes(Bytes::from_static(PAYLOAD));
    let commits = messages
        .iter()
        .map(|deliveries| fixture.store.commit(deliveries, &payload));
    for outcome in join_all(commits).await {
        outcome.unwrap();
    }
}

fn is_shared(call: &Call) -> bool {
    call.operation == "BatchExecuteStatement"
}

#[tokio::test]
async fn messages_at_the_same_time_share_calls_and_cost_as_much_as_alone() {
    let fixture = Fixture::new();
    let recorder = fixture.engines.record();
    let messages = messages(&fixture);
    commit_all(&fixture, &messages).await;
    let calls = recorder.take();
    assert!(
        calls.len() <= MESSAGES / 2 && calls.iter().any(is_shared),
        "{} calls for {MESSAGES} commits",
        calls.len()
    );
    let settles = messages
        .iter()
        .map(|deliveries| fixture.succeed(&deliveries[0]));
    let settled = join_all(settles).await;
    let all = [calls, recorder.take()].concat();
    let units: f64 = all.iter().map(Call::write_units).sum();
    assert_eq!(units, MESSAGES as f64 * 3.0);
    for delivery in settled {
        assert_eq!(fixture.current(&delivery).await, delivery);
    }
}

#[tokio::test]
async fn of_two_settles_in_one_call_one_succeeds_and_the_other_returns_the_current_delivery() {
    let fixture = Fixture::new();
    let messages = messages(&fixture);
    commit_all(&fixture, &messages).await;
    let pairs = messages.iter().map(async |deliveries| {
        let before = &deliveries[0];
        let after = fixture.succeeded(before);
        tokio::join!(
            fixture.store.settle(before, &after, "one"),
            fixture.store.settle(before, &after, "two")
        )
    });
    for (one, two) in join_all(pairs).await {
        let outcomes = [one.unwrap(), two.unwrap()];
        assert_eq!(
            outcomes
                .iter()
                .filter(|outcome| **outcome == Settled::Done)
                .count(),
            1,
            "{outcomes:?}"
        );
    }
}

#[tokio::test]
async fn a_request_that_a_shared_call_did_not_execute_is_made_alone() {
    let fixture = Fixture::new();
    fixture.engines.install_faults(|call| {
        if call.operation.starts_with("Batch") {
            Fault::Partly
        } else {
            Fault::None
        }
    });
    let messages = messages(&fixture);
    commit_all(&fixture, &messages).await;
    let committed = join_all(
        messages
            .iter()
            .map(|deliveries| fixture.current(&deliveries[0])),
    )
    .await;
    for (stands, deliveries) in committed.iter().zip(&messages) {
        assert_eq!(stands, &deliveries[0]);
    }
    let settled = join_all(committed.iter().map(|delivery| fixture.succeed(delivery))).await;
    for delivery in settled {
        assert_eq!(fixture.current(&delivery).await, delivery);
    }
}

#[tokio::test]
async fn a_shared_call_that_fails_fails_for_each_and_can_be_repeated() {
    let fixture = Fixture::new();
    let messages = messages(&fixture);
    let payload = Content::Bytes(Bytes::from_static(PAYLOAD));
    fixture.engines.install_faults(|_| Fault::unavailable());
    let commits = messages
        .iter()
        .map(|deliveries| fixture.store.commit(deliveries, &payload));
    for outcome in join_all(commits).await {
        assert!(outcome.is_err_and(|error| error.is_unavailable()));
    }
    fixture.engines.clear_faults();
    commit_all(&fixture, &messages).await;
    for deliveries in &messages {
        assert_eq!(fixture.current(&deliveries[0]).await, deliveries[0]);
    }
}

#[tokio::test]
async fn a_shared_call_that_is_refused_leaves_each_to_its_own_call() {
    let fixture = Fixture::new();
    let refused =
        local_aws::ServiceError::new(400, "AccessDeniedException", "no statements for you");
    fixture.engines.install_faults(move |call| {
        if is_shared(call) {
            Fault::Refuse(refused.clone())
        } else {
            Fault::None
        }
    });
    let messages = messages(&fixture);
    commit_all(&fixture, &messages).await;
    for deliveries in &messages {
        assert_eq!(fixture.current(&deliveries[0]).await, deliveries[0]);
    }
}
