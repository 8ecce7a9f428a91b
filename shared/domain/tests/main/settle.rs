//! Tests of the table of outcomes.

use std::time::Duration;

use domain::Reason::{
    self, Authentication, BlockedAddress, Expired, Internal, PayloadTooLarge, RateLimited,
    Rejected, ServerError, Timeout,
};
use domain::delivery::{DeliveryStatus, State};
use domain::health::Streak;
use domain::retry::RetryPolicy;
use domain::settle::{AfterAttempt, Outcome, QueueAction, settle};

use crate::{apply, at, delivery, receipt};

#[test]
fn every_outcome_has_its_row() {
    use Streak::{Failure, Success, Unchanged};
    let strict = RetryPolicy {
        retry_client_errors: false,
        ..RetryPolicy::default()
    };
    let default = RetryPolicy::default();
    let rows: Vec<(
        Outcome,
        &RetryPolicy,
        DeliveryStatus,
        Option<Reason>,
        Streak,
    )> = vec![
        (
            Outcome::delivered(receipt()),
            &default,
            DeliveryStatus::Succeeded,
            None,
            Success,
        ),
        (
            Outcome::Retry(Timeout),
            &default,
            DeliveryStatus::Retrying,
            Some(Timeout),
            Failure,
        ),
        (
            Outcome::Retry(Internal),
            &default,
            DeliveryStatus::Retrying,
            Some(Internal),
            Unchanged,
        ),
        (
            Outcome::Throttled(RateLimited, Duration::ZERO),
            &default,
            DeliveryStatus::Retrying,
            Some(RateLimited),
            Unchanged,
        ),
        (
            Outcome::ClientError(Authentication),
            &default,
            DeliveryStatus::Retrying,
            Some(Authentication),
            Failure,
        ),
        (
            Outcome::ClientError(Authentication),
            &strict,
            DeliveryStatus::Failed,
            Some(Authentication),
            Failure,
        ),
        (
            Outcome::Reject(Rejected),
            &default,
            DeliveryStatus::Failed,
            Some(Rejected),
            Failure,
        ),
        (
            Outcome::Reject(BlockedAddress),
            &default,
            DeliveryStatus::Failed,
            Some(BlockedAddress),
            Failure,
        ),
        (
            Outcome::Reject(PayloadTooLarge),
            &default,
            DeliveryStatus::Failed,
            Some(PayloadTooLarge),
            Unchanged,
        ),
        (
            Outcome::Reject(Expired),
            &default,
            DeliveryStatus::Failed,
            Some(Expired),
            Unchanged,
        ),
    ];
    for (outcome, policy, status, reason, streak) in rows {
        let settled = settle(&delivery(), outcome.clone(), policy, at(1), 0.0);
        let state = apply(delivery(), &settled, at(1)).state;
        assert_eq!(
            (state.status(), state.reason(), settled.streak),
            (status, reason, streak),
            "{outcome:?}"
        );
        assert!(
            !state.is_exhausted(),
            "nothing here used up its retries: {outcome:?}"
        );
    }
}

#[test]
fn five_retries_wait_1_2_4_8_16_seconds_and_then_it_has_failed_and_is_exhausted() {
    let (mut delivery, mut now, policy) = (delivery(), at(0), RetryPolicy::default());
    let mut waits = Vec::new();
    loop {
        let settled = settle(&delivery, Outcome::Retry(ServerError), &policy, now, 0.0);
        delivery = apply(delivery, &settled, now);
        match settled.queue {
            QueueAction::Hold(until) => {
                waits.push(until.since(now).as_secs());
                now = until;
            }
            QueueAction::Acknowledge => break,
            QueueAction::LeaveToDueIndex(_) => panic!("these waits stay in the queue"),
        }
    }
    assert_eq!(waits, [1, 2, 4, 8, 16]);
    assert_eq!(
        delivery.state,
        State::Failed {
            finished_at: now,
            reason: ServerError,
            exhausted: true,
            attempt_until: None
        }
    );
    assert_eq!(delivery.attempts, 6);
}

#[test]
fn no_retries_means_one_attempt_and_exhausted() {
    let policy = RetryPolicy {
        max_retries: 0,
        ..RetryPolicy::default()
    };
    let settled = settle(&delivery(), Outcome::Retry(Timeout), &policy, at(0), 0.0);
    assert_eq!(
        settled.after,
        AfterAttempt::Failed {
            reason: Timeout,
            exhausted: true
        }
    );
}

#[test]
fn a_longer_retry_after_wins_to_twelve_hours_and_a_shorter_one_does_not() {
    let policy = RetryPolicy {
        initial_seconds: 10,
        ..RetryPolicy::default()
    };
    let wait = |asked: u64| {
        settle(
            &delivery(),
            Outcome::Throttled(RateLimited, Duration::from_secs(asked)),
            &policy,
            at(0),
            0.0,
        )
        .queue
    };
    assert_eq!(wait(3), QueueAction::Hold(at(10)));
    assert_eq!(wait(30), QueueAction::Hold(at(30)));
    assert_eq!(wait(61), QueueAction::LeaveToDueIndex(at(61)));
    assert_eq!(wait(1_000_000), QueueAction::LeaveToDueIndex(at(43_200)));
}

#[test]
fn a_retry_after_the_expiry_ends_the_delivery_and_the_attempt_counts() {
    let mut delivery = delivery();
    delivery.message.expires_at = Some(at(1));
    let settled = settle(
        &delivery,
        Outcome::Retry(Timeout),
        &RetryPolicy::default(),
        at(0),
        0.0,
    );
    assert_eq!(
        settled.after,
        AfterAttempt::Failed {
            reason: Expired,
            exhausted: false
        }
    );
    assert_eq!(settled.streak, Streak::Failure);
}

#[test]
fn a_test_gets_one_attempt_and_counts_nowhere() {
    let mut delivery = delivery();
    delivery.message.test = true;
    for outcome in [Outcome::Retry(Timeout), Outcome::delivered(receipt())] {
        let settled = settle(&delivery, outcome, &RetryPolicy::default(), at(0), 0.0);
        assert!(!matches!(settled.after, AfterAttempt::Retrying { .. }));
        assert_eq!(settled.streak, Streak::Unchanged);
    }
}
