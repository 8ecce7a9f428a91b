//! Property tests: no sequence of outcomes and manual actions loses a delivery, sends after its end
//! without a redelivery, or exceeds its retry budget.

use std::time::Duration;

use domain::Reason;
use domain::attempt::Trigger;
use domain::delivery::{State, TransitionRefused};
use domain::retry::RetryPolicy;
use domain::settle::{Outcome, QueueAction, settle};
use proptest::prelude::*;

use crate::{apply, at, delivery, receipt};

#[derive(Clone, Debug)]
enum Step {
    Attempt(Outcome),
    Redeliver { force: bool },
    Cancel,
    Supersede,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let outcome = prop_oneof![
        Just(Outcome::delivered(receipt())),
        Just(Outcome::Retry(Reason::Timeout)),
        Just(Outcome::ClientError(Reason::Rejected)),
        Just(Outcome::Reject(Reason::Rejected)),
        (0..100_000u64)
            .prop_map(|s| Outcome::Throttled(Reason::RateLimited, Duration::from_secs(s))),
    ];
    let step = prop_oneof![
        6 => outcome.prop_map(Step::Attempt),
        2 => any::<bool>().prop_map(|force| Step::Redeliver { force }),
        1 => Just(Step::Cancel),
        1 => Just(Step::Supersede),
    ];
    prop::collection::vec(step, 0..40)
}

proptest! {
    #[test]
    fn a_delivery_is_always_finished_or_scheduled(steps in steps(),
        max_retries in 0u32..4, chance in 0.0..1.0f64) {
        let policy = RetryPolicy { max_retries, ..RetryPolicy::default() };
        let (mut delivery, mut now, mut in_budget) = (delivery(), at(0), 0);
        for step in steps {
            let before = delivery.clone();
            match step {
                // A worker starts attempts only on unfinished deliveries.
                Step::Attempt(_) if delivery.status().is_finished() => continue,
                Step::Attempt(outcome) => {
                    let settled = settle(&delivery, outcome, &policy, now, chance);
                    delivery = apply(delivery, &settled, now);
                    in_budget += 1;
                    prop_assert!(in_budget <= max_retries + 1, "one attempt and {max_retries} \
                         retries a budget");
                    let back_at = match settled.queue {
                        QueueAction::Acknowledge => None,
                        QueueAction::Hold(until) | QueueAction::LeaveToDueIndex(until) => Some(until),
                    };
                    match &delivery.state {
                        State::Retrying { next_attempt_at, .. } => {
                            prop_assert_eq!(back_at, Some(*next_attempt_at));
                            prop_assert!(*next_attempt_at >= now.plus(Duration::from_secs(1)),
                                "never earlier than the back-off");
                            now = *next_attempt_at;
                        }
                        state => prop_assert!(back_at.is_none() && state.status().is_finished()),
                    }
                    prop_assert_eq!(delivery.generation, before.generation, "the task at hand \
                         keeps meaning the delivery");
                }
                Step::Redeliver { force } => match delivery.clone().reopen(Trigger::Manual, force,
                    now) {
                    Ok(after) => {
                        prop_assert!(after.generation > delivery.generation);
                        prop_assert_eq!(after.attempts, delivery.attempts, "attempt numbers go on");
                        delivery = after;
                        in_budget = 0;
                    }
                    Err(TransitionRefused::StillQueued) => prop_assert_eq!(&delivery.state,
                        &State::Queued),
                    Err(_) => {
                        let refused_rightly = !force && matches!(delivery.state,
                            State::Succeeded { .. });
                        prop_assert!(refused_rightly);
                    }
                },
                Step::Cancel => match delivery.clone().cancel(now) {
                    Ok(after) => delivery = after,
                    Err(_) => prop_assert!(delivery.status().is_finished()),
                },
                Step::Supersede if delivery.status().is_finished() => continue,
                Step::Supersede => {
                    delivery = delivery.supersede_tasks().unwrap();
                    prop_assert_eq!(&delivery.state, &before.state);
                }
            }
        }
    }
}
