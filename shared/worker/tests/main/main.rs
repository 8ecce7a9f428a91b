//! Tests what a worker does with a task.

#![allow(
    clippy::unwrap_used,
    reason = "a test that panics has failed, which is what it is for"
)]
#![allow(
    missing_docs,
    reason = "tests are named so that they read as what they hold"
)]

mod config;

use std::time::Duration;

use domain::Reason;
use domain::attempt::Trigger;
use domain::delivery::{Delivery, SkipReason, State};
use domain::destination::{Destination, DestinationState, DisabledBy};
use domain::waiting::{Waiting, WaitingFor};
use queue::Task;
use samples::at;
use worker::{GiveUp, Next, plan};

fn delivery() -> Delivery {
    let state = State::Retrying {
        next_attempt_at: at(0),
        reason: Some(Reason::Timeout),
    };
    Delivery {
        generation: 2,
        attempts: 3,
        trigger: Trigger::Retry,
        state,
        ..samples::delivery()
    }
}

fn destination(state: DestinationState) -> Destination {
    Destination {
        state,
        ..samples::webhook("https://receiver.example/hook")
    }
}

fn task(generation: u32) -> Task {
    let Delivery {
        organization,
        id,
        destination,
        ..
    } = delivery();
    Task {
        organization,
        delivery: id,
        destination,
        generation,
        payload_item: false,
    }
}

fn next(receives: u32, delivery: &Delivery) -> Next {
    plan(
        &task(2),
        receives,
        Some(delivery),
        Some(&destination(DestinationState::Enabled)),
        false,
        at(100),
    )
}

#[test]
fn a_task_that_is_due_is_attempted() {
    assert_eq!(next(4, &delivery()), Next::Attempt(Duration::ZERO));
}

#[test]
fn a_late_duplicate_sends_nothing_once_its_delivery_is_finished_or_superseded() {
    let finished = Delivery {
        state: State::Succeeded {
            finished_at: at(1),
            receipt: None,
        },
        ..delivery()
    };
    assert_eq!(next(1, &finished), Next::Acknowledge);
    let superseded = Delivery {
        generation: 3,
        ..delivery()
    };
    assert_eq!(next(1, &superseded), Next::Acknowledge);
    assert_eq!(
        plan(&task(2), 1, None, None, false, at(100)),
        Next::Acknowledge
    );
}

#[test]
fn a_task_that_comes_early_goes_back_for_the_remainder() {
    let due = |next_attempt_at| Delivery {
        state: State::Retrying {
            next_attempt_at,
            reason: None,
        },
        ..delivery()
    };
    assert_eq!(next(1, &due(at(130))), Next::Hold(Duration::from_secs(30)));
    let soon = at(100).plus(Duration::from_millis(999));
    assert_eq!(
        next(1, &due(soon)),
        Next::Attempt(Duration::from_millis(999))
    );
    assert_eq!(
        next(1, &due(at(161))),
        Next::Acknowledge,
        "the due index has it"
    );
}

#[test]
fn a_delivery_that_another_worker_holds_waits_for_the_lease_to_end() {
    let held = delivery().start(at(110), at(50)).unwrap();
    assert_eq!(next(1, &held), Next::Hold(Duration::from_secs(11)));
    let let_go = delivery().start(at(99), at(50)).unwrap();
    assert_eq!(next(4, &let_go), Next::Attempt(Duration::ZERO));
}

#[test]
fn receives_that_attempts_do_not_explain_make_a_task_suspect_and_then_poison() {
    assert_eq!(next(8, &delivery()), Next::Attempt(Duration::ZERO));
    assert_eq!(next(9, &delivery()), Next::AttemptAlone);
    assert_eq!(next(12, &delivery()), Next::AttemptAlone);
    assert_eq!(
        next(13, &delivery()),
        Next::GiveUp(GiveUp::DeadLetter),
        "the tenth start after nine that it did not survive"
    );
}

#[test]
fn a_disabled_or_deleted_destination_gets_nothing_but_a_test() {
    let with = |state, delivery: &Delivery| {
        plan(
            &task(2),
            1,
            Some(delivery),
            Some(&destination(state)),
            false,
            at(100),
        )
    };
    let disabled = DestinationState::Disabled {
        at: at(1),
        by: DisabledBy::User,
        reason: None,
    };
    let skipped = |reason| Next::GiveUp(GiveUp::Skip(reason));
    assert_eq!(
        with(disabled.clone(), &delivery()),
        skipped(SkipReason::DestinationDisabled)
    );
    assert_eq!(
        with(DestinationState::Deleted { at: at(1) }, &delivery()),
        skipped(SkipReason::DestinationDeleted)
    );
    let mut test = delivery();
    test.message.test = true;
    assert_eq!(with(disabled, &test), Next::Attempt(Duration::ZERO));
}

#[test]
fn an_expired_delivery_fails_and_a_suspended_organizations_waits_without_looking_like_trouble() {
    let mut expired = delivery();
    expired.message.expires_at = Some(at(100));
    assert_eq!(next(1, &expired), Next::GiveUp(GiveUp::Expire));
    let waiting = plan(
        &task(2),
        1,
        Some(&delivery()),
        Some(&destination(DestinationState::Enabled)),
        true,
        at(100),
    );
    assert!(matches!(waiting, Next::SendAgain(_)));
}

#[test]
fn due_deliveries_of_a_paused_destination_wait_and_a_test_is_sent() {
    let with = |until, delivery: &Delivery| {
        let paused = DestinationState::Paused {
            at: at(1),
            reason: None,
            until,
        };
        plan(
            &task(2),
            1,
            Some(delivery),
            Some(&destination(paused)),
            false,
            at(100),
        )
    };
    let waiting = |expected_at| Waiting {
        reason: WaitingFor::Pause,
        expected_at,
    };
    assert_eq!(with(None, &delivery()), Next::Wait(waiting(None)));
    assert_eq!(
        with(Some(at(101)), &delivery()),
        Next::Wait(waiting(Some(at(101))))
    );
    assert_eq!(
        with(Some(at(100)), &delivery()),
        Next::Attempt(Duration::ZERO),
        "the pause is over"
    );
    let waits = Delivery {
        waiting: Some(waiting(None)),
        ..delivery()
    };
    assert_eq!(
        with(None, &waits),
        Next::Acknowledge,
        "a duplicate of what waits already"
    );
    assert_eq!(next(1, &waits), Next::Attempt(Duration::ZERO), "resumed");
    let mut test = delivery();
    test.message.test = true;
    assert_eq!(with(None, &test), Next::Attempt(Duration::ZERO));
    let mut expired = delivery();
    expired.message.expires_at = Some(at(100));
    assert_eq!(with(None, &expired), Next::GiveUp(GiveUp::Expire));
}

#[test]
fn a_delivery_comes_back_at_its_turn() {
    let waits = |at| {
        let waiting = Waiting {
            reason: WaitingFor::Rate,
            expected_at: Some(at),
        };
        next(
            1,
            &Delivery {
                waiting: Some(waiting),
                ..delivery()
            },
        )
    };
    assert_eq!(
        waits(at(100).plus(Duration::from_millis(400))),
        Next::Attempt(Duration::from_millis(400))
    );
    assert_eq!(waits(at(130)), Next::Hold(Duration::from_secs(30)));
    assert_eq!(waits(at(161)), Next::Acknowledge, "the due index has it");
}

#[test]
fn a_delivery_that_waits_for_a_place_may_be_called_before_it_is_expected_to_start() {
    let waits = |seconds| {
        let waiting = Waiting {
            reason: WaitingFor::Concurrency,
            expected_at: Some(at(seconds)),
        };
        Delivery {
            waiting: Some(waiting),
            ..delivery()
        }
    };
    for seconds in [101, 130, 161] {
        assert_eq!(
            next(1, &waits(seconds)),
            Next::Attempt(Duration::ZERO),
            "{seconds}"
        );
    }
    let leased = waits(130).start(at(110), at(50)).unwrap();
    assert_eq!(
        next(1, &leased),
        Next::Hold(Duration::from_secs(11)),
        "a worker has it"
    );
}
