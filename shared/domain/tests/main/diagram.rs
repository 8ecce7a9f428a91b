//! Tests that the table of a delivery's transitions in `docs/ARCHITECTURE.md` matches the code.

use std::collections::BTreeSet;
use std::time::Duration;

use domain::Reason;
use domain::attempt::Trigger;
use domain::delivery::{Delivery, SkipReason, State, TransitionRefused};
use domain::retry::RetryPolicy;
use domain::settle::{AfterAttempt, Outcome, settle};
use domain::waiting::{Waiting, WaitingFor};
use proptest::prelude::*;

use crate::{apply, at, attempt, delivery, receipt};

const PAGE: &str = include_str!("../../../../docs/ARCHITECTURE.md");

/// A transition: the status before, its name in the table, and the status after.
type Edge = (String, String, String);

/// A transition, with its name in the table; `None` for transitions that do not change the status.
#[derive(Clone, Debug)]
enum Step {
    Start,
    Attempt(Outcome),
    LateSuccess,
    LateFailure,
    Skip(SkipReason),
    Expire,
    DeadLetter,
    Cancel,
    Reopen { force: bool },
    Wait,
    Release,
    Supersede,
    Abandon,
}

impl Step {
    fn all() -> Vec<Self> {
        let rest = [
            Self::Start,
            Self::LateSuccess,
            Self::LateFailure,
            Self::Skip(SkipReason::DestinationDisabled),
            Self::Skip(SkipReason::DestinationDeleted),
            Self::Expire,
            Self::DeadLetter,
            Self::Cancel,
            Self::Reopen { force: false },
            Self::Reopen { force: true },
            Self::Wait,
            Self::Release,
            Self::Supersede,
            Self::Abandon,
        ];
        outcomes()
            .map(Self::Attempt)
            .into_iter()
            .chain(rest)
            .collect()
    }

    fn name(&self) -> Option<&'static str> {
        match self {
            Self::Attempt(_) => Some("attempt"),
            Self::LateSuccess | Self::LateFailure => Some("late success"),
            Self::Skip(_) => Some("skip"),
            Self::Expire => Some("expiry"),
            Self::DeadLetter => Some("dead letter"),
            Self::Cancel => Some("cancel"),
            Self::Reopen { force: false } => Some("retry"),
            Self::Reopen { force: true } => Some("forced retry"),
            Self::Start | Self::Wait | Self::Release | Self::Supersede | Self::Abandon => None,
        }
    }

    fn take(&self, before: Delivery) -> Result<Delivery, TransitionRefused> {
        let now = at(60);
        let settled = |delivery: Delivery, after| {
            let record = attempt(&delivery, None, now);
            delivery.settle(record, after, now)
        };
        match self {
            Self::Start => before.start(at(90), now),
            // A worker attempts pending deliveries. Anything else that it settles is a late result.
            Self::Attempt(_) if before.status().is_finished() => {
                Err(TransitionRefused::AlreadyFinished(before.status()))
            }
            Self::Attempt(outcome) => {
                let settlement =
                    settle(&before, outcome.clone(), &RetryPolicy::default(), now, 0.5);
                Ok(apply(before, &settlement, now))
            }
            Self::LateSuccess | Self::LateFailure if !before.status().is_finished() => {
                Err(TransitionRefused::NotAttempting)
            }
            Self::LateSuccess => settled(before, AfterAttempt::Succeeded(receipt())),
            Self::LateFailure => settled(
                before,
                AfterAttempt::Failed {
                    reason: Reason::Timeout,
                    exhausted: false,
                },
            ),
            Self::Skip(reason) => before.skip(*reason, now),
            Self::Expire => before.expire(now),
            Self::DeadLetter => before.dead_letter(now),
            Self::Cancel => before.cancel(now),
            Self::Reopen { force } => before.reopen(Trigger::Manual, *force, now),
            Self::Wait => before.wait(Waiting {
                reason: WaitingFor::Rate,
                expected_at: Some(at(70)),
            }),
            Self::Release => before.release(),
            Self::Supersede => before.supersede_tasks(),
            Self::Abandon => before.abandon_attempt(),
        }
    }
}

#[test]
fn the_transitions_in_the_documentation_are_those_that_the_code_makes() {
    let (drawn, made) = (drawn(), made());
    assert!(drawn.len() > 10, "the table is read: {drawn:?}");
    assert_eq!(
        drawn.difference(&made).collect::<Vec<_>>(),
        Vec::<&Edge>::new(),
        "drawn, and not made"
    );
    assert_eq!(
        made.difference(&drawn).collect::<Vec<_>>(),
        Vec::<&Edge>::new(),
        "made, and not drawn"
    );
}

proptest! {
    #[test]
    fn no_sequence_of_transitions_leaves_the_table(steps in prop::collection::vec(prop::sample::select(Step::all()), 0..40)) {
        let drawn = drawn();
        let mut delivery = delivery();
        for step in steps {
            let from = delivery.status();
            let Ok(after) = step.take(delivery.clone()) else { continue };
            match step.name() {
                Some(by) => prop_assert!(drawn.contains(&edge(&delivery, by, &after)), "{step:?} \
                     from {from:?} to {:?}", after.state),
                None => prop_assert!(after.status() == from && !from.is_finished(), "{step:?} \
                     from {from:?} to {:?}", after.state),
            }
            let is_leased = matches!(after.state, State::Attempting { .. });
            prop_assert!(!is_leased || !after.status().is_finished());
            let has_succeeded = matches!(after.state, State::Succeeded { .. });
            prop_assert!(!has_succeeded || after.state.attempt_until().is_none());
            prop_assert!(after.waiting.is_none() || !after.status().is_finished(),
                "what is finished waits for nothing");
            delivery = after;
        }
    }
}

#[test]
fn a_lease_refuses_another_attempt_until_it_is_over_and_outlives_a_cancel() {
    let held = delivery().start(at(90), at(60)).unwrap();
    assert!(held.in_flight(at(89)) && !held.in_flight(at(90)));
    assert_eq!(
        held.clone().start(at(99), at(89)),
        Err(TransitionRefused::Leased { until: at(90) })
    );
    assert!(held.clone().start(at(99), at(90)).is_ok());
    let cancelled = held.cancel(at(70)).unwrap();
    assert!(
        !cancelled.in_flight(at(70)),
        "a finished delivery is not under attempt"
    );
    assert_eq!(
        cancelled.state.attempt_until(),
        Some(at(90)),
        "the attempt may still succeed"
    );
    assert_eq!(
        cancelled
            .reopen(Trigger::Manual, false, at(80))
            .unwrap()
            .state
            .attempt_until(),
        Some(at(90)),
        "the retry starts after that attempt"
    );
}

#[test]
fn a_retry_of_a_delivery_under_attempt_keeps_the_lease() {
    let retrying = State::Retrying {
        next_attempt_at: at(50),
        reason: Some(Reason::Timeout),
    };
    let held = Delivery {
        state: retrying,
        ..delivery()
    }
    .start(at(90), at(60))
    .unwrap();
    let reopened = held.reopen(Trigger::Manual, false, at(61)).unwrap();
    assert!(reopened.in_flight(at(61)));
    assert_eq!(reopened.state.next_attempt_at(), Some(at(61)));
}

#[test]
fn a_failure_that_comes_late_is_refused_and_a_success_is_not() {
    let cancelled = delivery().cancel(at(1)).unwrap();
    assert!(Step::LateFailure.take(cancelled.clone()).is_err());
    let arrived = Step::LateSuccess.take(cancelled).unwrap();
    assert_eq!(
        arrived.state,
        State::Succeeded {
            finished_at: at(60),
            receipt: Some(receipt())
        }
    );
    assert!(
        Step::LateSuccess.take(arrived).is_err(),
        "it has succeeded once"
    );
}

fn drawn() -> BTreeSet<Edge> {
    let (_, section) = PAGE.split_once("## A delivery's states").unwrap();
    let (section, _) = section.split_once("\n## ").unwrap();
    let rows = section
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.strip_suffix("` |"));
    let edges = rows.flat_map(|row| {
        let (from, rest) = row.split_once("` | ").unwrap();
        let (by, to) = rest.split_once(" | `").unwrap();
        to.split("`, `")
            .map(|to| (from.to_owned(), by.to_owned(), to.to_owned()))
            .collect::<Vec<_>>()
    });
    edges.collect()
}

fn edge(before: &Delivery, by: &str, after: &Delivery) -> Edge {
    (
        before.status().as_str().to_owned(),
        by.to_owned(),
        after.status().as_str().to_owned(),
    )
}

fn made() -> BTreeSet<Edge> {
    let (now, attempt_until) = (at(60), None);
    let states = [
        State::Queued,
        State::Retrying {
            next_attempt_at: now,
            reason: Some(Reason::Timeout),
        },
        State::Succeeded {
            finished_at: now,
            receipt: None,
        },
        State::Failed {
            finished_at: now,
            reason: Reason::Rejected,
            exhausted: false,
            attempt_until,
        },
        State::Skipped {
            finished_at: now,
            reason: SkipReason::DestinationDisabled,
            attempt_until,
        },
        State::Cancelled {
            finished_at: now,
            attempt_until,
        },
    ];
    let mut edges = BTreeSet::new();
    for before in states.map(|state| Delivery {
        state,
        ..delivery()
    }) {
        for step in Step::all() {
            if let (Some(by), Ok(after)) = (step.name(), step.take(before.clone())) {
                edges.insert(edge(&before, by, &after));
            }
        }
    }
    edges
}

fn outcomes() -> [Outcome; 6] {
    [
        Outcome::delivered(receipt()),
        Outcome::Retry(Reason::ServerError),
        Outcome::Throttled(Reason::RateLimited, Duration::from_secs(9)),
        Outcome::ClientError(Reason::Authentication),
        Outcome::Reject(Reason::Rejected),
        Outcome::Gone(Reason::Rejected),
    ]
}
