//! Recovery of destinations that failures disabled: the whole schedule, and a monitor that is
//! killed at any step.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use bytes::Bytes;
use domain::alert::AlertKind;
use domain::check::{CheckReport, CheckStep, StepName};
use domain::delivery::DeliveryStatus;
use domain::destination::{Destination, DestinationState, DisabledBy};
use domain::health::LastError;
use domain::id::DeliveryId;
use domain::organization::{FailurePolicy, Organization, OrganizationSettings, OrganizationStatus};
use domain::recovery::Recovery;
use domain::settle::Outcome;
use domain::{Reason, Timestamp};
use local_aws::Fault;
use simulation::receiver::{Receiver, delivered};
use simulation::world::{CHECKS, World};
use store::{JobStatus, Saved};

use crate::in_simulated_time;

/// More calls than a run of the monitor makes here.
const CALLS_MAX: u32 = 400;

/// A world in which the receiver of the first destination can be broken and repaired.
struct Broken {
    world: World,
    works: Arc<AtomicBool>,
    checks: Arc<AtomicU32>,
}

fn policy(auto_recover: bool) -> FailurePolicy {
    FailurePolicy {
        alert_after_failures: 2,
        disable_after_failures: Some(3),
        disable_min_failing_seconds: 0,
        auto_recover,
        ..FailurePolicy::default()
    }
}

impl Broken {
    /// Creates one whose receiver does not work, and whose destination is enabled.
    async fn new(auto_recover: bool) -> Self {
        let (works, checks) = (
            Arc::new(AtomicBool::new(false)),
            Arc::new(AtomicU32::new(0)),
        );
        let takes = Arc::clone(&works);
        let world = World::create(
            1,
            Receiver::scripted(move |_, _| match takes.load(Ordering::Relaxed) {
                true => delivered(),
                false => Outcome::Reject(Reason::ServerError),
            }),
        )
        .await;
        let (passes, made) = (Arc::clone(&works), Arc::clone(&checks));
        world.engines.functions().register(CHECKS, move |_| {
            made.fetch_add(1, Ordering::Relaxed);
            let ok = Some(passes.load(Ordering::Relaxed));
            let report = CheckReport::of(vec![CheckStep {
                name: StepName::Write,
                ok,
                detail: "as the test has it".to_owned(),
                reason: None,
                duration_ms: 1,
            }]);
            Box::pin(async move {
                Ok(Bytes::from(
                    serde_json::to_vec(&report).expect("a report is JSON"),
                ))
            })
        });
        let broken = Self {
            world,
            works,
            checks,
        };
        broken
            .saves(|organization| organization.settings.failure_policy = policy(auto_recover))
            .await;
        broken
    }

    /// Creates one whose destination was disabled by three failures.
    async fn disabled(auto_recover: bool) -> Self {
        let broken = Self::new(auto_recover).await;
        for number in 0..3 {
            let error = LastError {
                reason: Reason::Timeout,
                detail: "no answer".to_owned(),
            };
            let (id, organization) = (broken.world.destinations[0], broken.world.organization.id);
            let counted = broken
                .world
                .store
                .count_failure(
                    id,
                    organization,
                    0,
                    &number.to_string(),
                    broken.world.clock.now(),
                    error,
                )
                .await;
            assert!(counted.expect("the table answers"));
        }
        broken.looks().await;
        assert!(!broken.destination().await.is_enabled());
        broken
    }

    async fn saves(&self, change: impl FnOnce(&mut Organization)) {
        let before = self
            .world
            .store
            .organization(self.world.organization.id)
            .await
            .expect("the table answers")
            .expect("it is there");
        let mut after = Organization {
            revision: before.revision + 1,
            ..before.clone()
        };
        change(&mut after);
        let saved = self
            .world
            .store
            .update_organization(&after, before.revision, &self.world.event())
            .await;
        assert_eq!(saved.expect("the table answers"), Saved::Done);
        self.world
            .store
            .watch_recoverable(&after)
            .await
            .expect("the table answers");
    }

    /// Changes the destination as a person does.
    async fn edits(&self, change: impl FnOnce(&mut Destination)) {
        let before = self.destination().await;
        let mut after = before.revised(before.updated_at);
        change(&mut after);
        let saved = self
            .world
            .store
            .save_destination(&after, before.revision(), &self.world.event())
            .await;
        assert_eq!(saved.expect("the table answers"), Saved::Done);
    }

    async fn looks(&self) {
        Box::pin(self.world.monitor(None)).await;
    }

    /// Lets time pass and runs the monitor at its end. Returns the number of checks.
    async fn checks_after(&self, seconds: u64) -> u32 {
        let before = self.checks.load(Ordering::Relaxed);
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        self.looks().await;
        self.checks.load(Ordering::Relaxed) - before
    }

    async fn destination(&self) -> Destination {
        let found = self
            .world
            .store
            .destination(self.world.organization.id, self.world.destinations[0])
            .await;
        found.expect("the table answers").expect("it is there")
    }

    async fn recovery(&self) -> Option<Recovery> {
        self.world
            .store
            .health(self.world.destinations[0])
            .await
            .expect("the table answers")
            .recovery
    }

    async fn next_check_at(&self) -> Option<Timestamp> {
        self.recovery()
            .await
            .and_then(|recovery| recovery.next_check_at)
    }

    async fn alerts(&self) -> Vec<AlertKind> {
        let page = self
            .world
            .store
            .alerts_page(self.world.organization.id, None, 100)
            .await
            .expect("the table answers");
        page.items.iter().rev().map(|alert| alert.kind).collect()
    }

    /// Submits a message to the destination in its current state.
    async fn submits(&self) -> DeliveryId {
        let mut submission = self.world.submission(1, Bytes::from_static(b"{}"));
        submission.targets[0].enabled = self.destination().await.is_enabled();
        self.world
            .dispatcher
            .submit(&submission)
            .await
            .expect("it is accepted")
            .remove(0)
            .id
    }

    async fn status(&self, id: DeliveryId) -> DeliveryStatus {
        self.world
            .store
            .delivery(self.world.organization.id, id)
            .await
            .expect("the table answers")
            .expect("it is there")
            .status()
    }

    /// Processes the tasks of every queue.
    async fn works_through(&self) {
        tokio::time::sleep(Duration::from_secs(1)).await;
        while self.world.poll_jobs().await + self.world.poll_worker().await > 0 {}
    }

    /// Lets three messages fail, which disables the destination, and three more be skipped.
    async fn misses_six(&self) -> Vec<DeliveryId> {
        let mut missed = Vec::new();
        for _ in 0..3 {
            missed.push(self.submits().await);
            while self.world.poll_worker().await > 0 {}
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        self.looks().await;
        assert!(!self.destination().await.is_enabled());
        for _ in 0..3 {
            missed.push(self.submits().await);
        }
        for (position, id) in missed.iter().enumerate() {
            let expected = if position < 3 {
                DeliveryStatus::Failed
            } else {
                DeliveryStatus::Skipped
            };
            assert_eq!(self.status(*id).await, expected, "{position}");
        }
        missed
    }

    /// Checks that everything that was missed arrived exactly once.
    async fn has_everything_once(&self, missed: &[DeliveryId], when: &str) {
        let sent = self.world.receiver.sent();
        for id in missed {
            assert_eq!(self.status(*id).await, DeliveryStatus::Succeeded, "{when}");
            let arrived = sent
                .iter()
                .filter(|request| request.delivery == *id && request.accepted)
                .count();
            assert_eq!(arrived, 1, "{when}");
        }
        let jobs = self
            .world
            .store
            .jobs_page(self.world.organization.id, None, 10)
            .await
            .expect("the table answers")
            .items;
        assert_eq!(
            jobs.iter().map(|job| job.status).collect::<Vec<_>>(),
            [JobStatus::Finished],
            "{when}"
        );
        assert_eq!(
            self.alerts().await,
            [AlertKind::Disabled, AlertKind::Enabled],
            "{when}"
        );
    }
}

#[test]
fn what_is_skipped_while_a_destination_is_being_enabled_is_replayed_too() {
    in_simulated_time(async || {
        let broken = Broken::new(true).await;
        let mut missed = broken.misses_six().await;
        broken.works.store(true, Ordering::Relaxed);
        tokio::time::sleep(Duration::from_secs(61)).await;
        broken
            .world
            .engines
            .install_faults(|_| Fault::Delay(Duration::from_millis(100)));
        let submits = async {
            while !broken.destination().await.is_enabled() {
                missed.push(broken.submits().await);
            }
        };
        tokio::join!(broken.looks(), submits);
        broken.world.engines.clear_faults();
        assert!(missed.len() > 8, "{}", missed.len());
        broken.works_through().await;
        broken.has_everything_once(&missed, "afterwards").await;
    });
}

#[test]
fn a_disabled_destination_is_checked_after_1_5_15_and_60_minutes_then_hourly_for_a_week_and_then_no_more()
 {
    in_simulated_time(async || {
        let broken = Broken::disabled(true).await;
        let began_at = broken
            .recovery()
            .await
            .expect("it is being recovered")
            .began_at;
        let mut minutes = Vec::new();
        while let Some(next) = broken.next_check_at().await {
            let wait = next.since(broken.world.clock.now()).as_secs();
            assert_eq!(
                broken.checks_after(wait.saturating_sub(1)).await,
                0,
                "before its time"
            );
            assert_eq!(broken.checks_after(2).await, 1);
            minutes.push(next.since(began_at).as_secs() / 60);
        }
        assert_eq!(minutes[..7], [1, 5, 15, 60, 120, 180, 240]);
        assert_eq!((minutes.len(), minutes.last()), (171, Some(&(7 * 24 * 60))));
        for _ in 0..3 {
            assert_eq!(broken.checks_after(3600).await, 0, "the week is over");
        }
        let destination = broken.destination().await;
        assert!(
            matches!(
                destination.state,
                DestinationState::Disabled {
                    by: DisabledBy::Failures,
                    ..
                }
            ),
            "{:?}",
            destination.state
        );
        assert_eq!(
            destination.revision(),
            2,
            "checks change nothing that a person edits"
        );
    });
}

#[test]
fn a_check_that_passes_enables_the_destination_and_brings_everything_it_missed_once() {
    in_simulated_time(async || {
        let broken = Broken::new(true).await;
        let missed = broken.misses_six().await;
        assert_eq!(broken.checks_after(61).await, 1);
        assert!(!broken.destination().await.is_enabled(), "the check failed");
        broken.works.store(true, Ordering::Relaxed);
        assert_eq!(
            broken.checks_after(60).await,
            0,
            "the next one is due five minutes after the beginning"
        );
        assert_eq!(broken.checks_after(240).await, 1);
        let destination = broken.destination().await;
        assert!(destination.is_enabled() && destination.verified_at.is_some());
        broken.works_through().await;
        broken
            .has_everything_once(&missed, "after the second check")
            .await;
        assert_eq!(broken.checks_after(7200).await, 0);

        broken.works.store(false, Ordering::Relaxed);
        for _ in 0..3 {
            broken.submits().await;
            while broken.world.poll_worker().await > 0 {}
        }
        broken.looks().await;
        let again = broken
            .recovery()
            .await
            .expect("it is being recovered again");
        assert!(!broken.destination().await.is_enabled() && again.enabled.is_none());
        assert_eq!(
            broken.checks_after(61).await,
            1,
            "it worked in between: the schedule begins anew"
        );
    });
}

/// Kills a monitor at its call `number` that is not a query of an index, before or after the call
/// is executed. Returns whether the run got that far.
async fn killed_at(world: &World, number: u32, after: bool) -> bool {
    let calls = Arc::new(AtomicU32::new(0));
    let counter = Arc::clone(&calls);
    world
        .engines
        .install_faults(move |call| match call.operation.as_str() {
            "Query" => Fault::None,
            _ if counter.fetch_add(1, Ordering::Relaxed) != number => Fault::None,
            _ if after => Fault::HangAfter,
            _ => Fault::HangBefore,
        });
    Box::pin(world.monitor(None)).await;
    world.engines.clear_faults();
    calls.load(Ordering::Relaxed) > number
}

#[test]
fn wherever_a_monitor_dies_the_destination_is_enabled_once_and_everything_arrives_once() {
    in_simulated_time(async || {
        let mut steps = 0;
        'calls: for number in 0..CALLS_MAX {
            for after in [false, true] {
                let broken = Box::pin(Broken::new(true)).await;
                let missed = broken.misses_six().await;
                broken.works.store(true, Ordering::Relaxed);
                tokio::time::sleep(Duration::from_secs(61)).await;
                if !killed_at(&broken.world, number, after).await {
                    steps = number;
                    break 'calls;
                }
                for _ in 0..3 {
                    tokio::join!(
                        Box::pin(broken.world.monitor(None)),
                        Box::pin(broken.world.monitor(None))
                    );
                    tokio::time::sleep(Duration::from_secs(60)).await;
                }
                broken.works_through().await;
                broken
                    .has_everything_once(
                        &missed,
                        &format!("killed at call {number}, after: {after}"),
                    )
                    .await;
            }
        }
        println!("a monitor was killed before and after each of its {steps} calls");
        assert!(steps > 10, "it was killed somewhere");
    });
}

#[test]
fn a_person_who_enables_the_destination_ends_its_recovery() {
    in_simulated_time(async || {
        let broken = Broken::disabled(true).await;
        let before = broken.destination().await;
        let enabled = Destination {
            state: DestinationState::Enabled,
            ..before.revised(before.updated_at)
        };
        let alert = domain::alert::Alert {
            id: broken.world.ids.mint(before.organization_id, 1),
            organization_id: before.organization_id,
            destination_id: before.id,
            kind: AlertKind::Enabled,
            occurred_at: broken.world.clock.now(),
            data: serde_json::Value::Null,
            message: None,
        };
        let saved = broken
            .world
            .store
            .switch_destination(&enabled, before.revision(), &broken.world.event(), &alert)
            .await;
        assert_eq!(saved.expect("the table answers"), Saved::Done);
        assert_eq!(
            (broken.recovery().await, broken.checks_after(3600).await),
            (None, 0)
        );
    });
}

#[test]
fn a_change_that_is_made_while_a_check_runs_is_kept() {
    in_simulated_time(async || {
        let broken = Broken::disabled(true).await;
        let (store, id, organization) = (
            broken.world.store.clone(),
            broken.world.destinations[0],
            broken.world.organization.id,
        );
        let event = broken.world.event();
        broken.world.engines.functions().register(CHECKS, move |_| {
            let (store, event) = (store.clone(), event.clone());
            Box::pin(async move {
                let before = store
                    .destination(organization, id)
                    .await
                    .expect("the table answers")
                    .expect("it is there");
                let after = Destination {
                    name: "Edited".to_owned(),
                    ..before.revised(before.updated_at)
                };
                let saved = store
                    .save_destination(&after, before.revision(), &event)
                    .await;
                assert_eq!(saved.expect("the table answers"), Saved::Done);
                Ok(Bytes::from(
                    serde_json::to_vec(&CheckReport::of(Vec::new())).expect("a report is JSON"),
                ))
            })
        });
        broken.checks_after(61).await;
        let destination = broken.destination().await;
        assert_eq!(
            (destination.is_enabled(), &*destination.name),
            (false, "Edited")
        );
    });
}

#[test]
fn deleted_destinations_suspended_organizations_and_what_people_disabled_are_not_checked() {
    in_simulated_time(async || {
        let broken = Broken::disabled(true).await;
        broken
            .saves(|organization| organization.status = OrganizationStatus::Suspended)
            .await;
        assert_eq!(broken.checks_after(3600).await, 0);
        broken
            .saves(|organization| organization.status = OrganizationStatus::Active)
            .await;
        assert_eq!(broken.checks_after(1).await, 1, "the check was due");
        let now = broken.world.clock.now();
        broken
            .edits(|destination| destination.state = DestinationState::Deleted { at: now })
            .await;
        assert_eq!(broken.checks_after(7200).await, 0);

        for by in [DisabledBy::User, DisabledBy::Receiver] {
            let stopped = Broken::new(true).await;
            let at = stopped.world.clock.now();
            stopped
                .edits(|destination| {
                    destination.state = DestinationState::Disabled {
                        at,
                        by,
                        reason: None,
                    }
                })
                .await;
            stopped
                .world
                .store
                .watch_destination(&stopped.destination().await)
                .await
                .expect("the table answers");
            assert_eq!(
                (
                    stopped.checks_after(1).await,
                    stopped.checks_after(3600).await,
                    stopped.recovery().await
                ),
                (0, 0, None),
                "{by:?}"
            );
        }
    });
}

#[test]
fn a_recovery_begins_when_it_is_switched_on_and_ends_when_it_is_switched_off() {
    in_simulated_time(async || {
        let broken = Broken::disabled(false).await;
        assert_eq!(
            (broken.checks_after(7200).await, broken.recovery().await),
            (0, None)
        );
        broken
            .edits(|destination| destination.failure_policy = Some(policy(true)))
            .await;
        assert_eq!(
            (
                broken.checks_after(1).await,
                broken.next_check_at().await.is_some()
            ),
            (0, true),
            "it begins"
        );
        assert_eq!(broken.checks_after(61).await, 1);
        broken
            .edits(|destination| destination.failure_policy = Some(policy(false)))
            .await;
        assert_eq!(
            (broken.checks_after(3600).await, broken.recovery().await),
            (0, None),
            "it ends"
        );
        broken
            .edits(|destination| destination.failure_policy = None)
            .await;
        assert_eq!(broken.checks_after(3600).await, 0);
        broken
            .saves(|organization| {
                organization.settings = OrganizationSettings {
                    failure_policy: policy(true),
                    ..organization.settings.clone()
                }
            })
            .await;
        broken.looks().await;
        assert_eq!(
            broken.checks_after(61).await,
            1,
            "the organization switched it on"
        );
    });
}

#[test]
fn a_check_that_cannot_be_made_is_made_again_and_says_nothing_about_the_destination() {
    in_simulated_time(async || {
        let broken = Broken::disabled(true).await;
        broken.world.engines.functions().clear();
        let due = broken.next_check_at().await.expect("it is being recovered");
        assert_eq!(broken.checks_after(61).await, 0);
        let again = broken.next_check_at().await.expect("it is being recovered");
        assert!(
            again > due && again.since(due) <= Duration::from_secs(63),
            "{due} and {again}"
        );
        assert!(!broken.destination().await.is_enabled());
    });
}
