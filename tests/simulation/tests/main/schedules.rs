//! Retry schedules over days: time advances by the waits, and the monitor queues each retry when it
//! is due.

use std::time::Duration;

use bytes::Bytes;
use domain::Reason;
use domain::delivery::{Delivery, State};
use domain::organization::{Organization, OrganizationSettings};
use domain::retry::{RetryPolicy, Schedule};
use domain::settle::Outcome;
use simulation::receiver::Receiver;
use simulation::world::World;

/// How late a retry may be when nothing else has to be done.
const LATE_MAX_SECONDS: i64 = 1;
/// How long before a retry is due the monitor starts to run; it runs twice in that time.
const LOOKED_BEFORE: Duration = Duration::from_secs(90);
/// More minutes than ten attempts take around their times.
const MINUTES_MAX: usize = 60;

async fn read(world: &World, delivery: &Delivery) -> Delivery {
    world
        .store
        .delivery(world.organization.id, delivery.id)
        .await
        .expect("the table answers")
        .expect("it is there")
}

/// Fails a delivery until it gives up. Returns the waits between its attempts in seconds.
async fn waits(world: &World) -> (Vec<i64>, Delivery) {
    let submission = world.submission(3, Bytes::from_static(b"{}"));
    let delivery = world
        .dispatcher
        .submit(&submission)
        .await
        .expect("it is accepted")
        .remove(2);
    for _ in 0..MINUTES_MAX {
        world.monitor(None).await;
        for _ in 0..60 {
            while world.poll_worker().await > 0 {}
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        let Some(next_attempt_at) = read(world, &delivery).await.state.next_attempt_at() else {
            break;
        };
        tokio::time::sleep(
            next_attempt_at
                .since(world.clock.now())
                .saturating_sub(LOOKED_BEFORE),
        )
        .await;
    }
    let delivery = read(world, &delivery).await;
    let (attempts, _) = world
        .store
        .attempts(&delivery)
        .await
        .expect("the table answers");
    let at = |number: usize| attempts[number].started_at.as_seconds();
    (
        (1..attempts.len())
            .map(|number| at(number) - at(number - 1))
            .collect(),
        delivery,
    )
}

#[test]
fn a_patient_schedule_of_the_organization_is_kept_to_its_last_retry_after_three_days() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .expect("the runtime starts");
    runtime.block_on(Box::pin(async {
        let world = World::create(
            1,
            Receiver::scripted(|_, _| Outcome::Retry(Reason::ServerError)),
        )
        .await;
        let destination = world.destinations[2];
        let mut inherits = world
            .store
            .destination(world.organization.id, destination)
            .await
            .expect("the table answers")
            .expect("it is there");
        inherits.retry_policy = None;
        inherits.managed_by = inherits.managed_by.next();
        world
            .store
            .save_destination(&inherits, inherits.revision() - 1, &world.event())
            .await
            .expect("the destination is saved");
        let patient = RetryPolicy {
            schedule: Some(Schedule::Patient),
            max_retries: 9,
            jitter: 0.0,
            ..RetryPolicy::default()
        };
        let settings = OrganizationSettings {
            retry_policy: Some(patient.clone()),
            ..world.organization.settings.clone()
        };
        let changed = Organization {
            settings,
            revision: world.organization.revision + 1,
            ..world.organization.clone()
        };
        world
            .store
            .update_organization(&changed, world.organization.revision, &world.event())
            .await
            .expect("the organization is saved");
        let (waits, delivery) = Box::pin(waits(&world)).await;
        assert!(
            matches!(
                delivery.state,
                State::Failed {
                    exhausted: true,
                    ..
                }
            ),
            "{:?}",
            delivery.state
        );
        let listed: Vec<i64> = (1..=9)
            .map(|k| i64::try_from(patient.wait_before(k, 0.0).as_secs()).unwrap_or_default())
            .collect();
        assert_eq!(waits.len(), listed.len(), "{waits:?}");
        for (wait, listed) in waits.iter().zip(&listed) {
            assert!(
                (*listed..=listed + LATE_MAX_SECONDS).contains(wait),
                "{waits:?} for {listed}"
            );
        }
    }));
}
