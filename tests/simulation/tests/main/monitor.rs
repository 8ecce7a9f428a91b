//! The monitor, killed between any two steps and run twice concurrently: one disabling, one alert,
//! nothing missed.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use bytes::Bytes;
use domain::Reason;
use domain::alert::AlertKind;
use domain::delivery::DeliveryStatus;
use domain::destination::DestinationState;
use domain::health::LastError;
use domain::organization::{FailurePolicy, Organization, OrganizationSettings};
use local_aws::Fault;
use simulation::receiver::{Receiver, delivered};
use simulation::world::World;

use crate::in_simulated_time;

/// More calls than a run of the monitor makes here.
const CALLS_MAX: u32 = 400;

/// Creates a world whose first destination has `failures` failures and a waiting delivery, and
/// whose second destination gets alerts.
async fn failing(seed: u64, failures: u32) -> World {
    let world = World::create(seed, Receiver::scripted(|_, _| delivered())).await;
    let settings = OrganizationSettings {
        alert_destination_ids: vec![world.destinations[1]],
        failure_policy: FailurePolicy {
            alert_after_failures: 2,
            disable_after_failures: Some(3),
            disable_min_failing_seconds: 0,
            ..FailurePolicy::default()
        },
        ..OrganizationSettings::default()
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
    for number in 0..failures {
        let error = LastError {
            reason: Reason::Timeout,
            detail: "no answer".to_owned(),
        };
        let (destination, organization) = (world.destinations[0], world.organization.id);
        let counted = world
            .store
            .count_failure(
                destination,
                organization,
                0,
                &number.to_string(),
                world.clock.now(),
                error,
            )
            .await;
        assert!(counted.expect("the table answers"));
    }
    world
}

async fn alerts(world: &World) -> Vec<AlertKind> {
    let page = world
        .store
        .alerts_page(world.organization.id, None, 100)
        .await
        .expect("the table answers");
    assert!(
        page.items.iter().all(|alert| alert.message.is_some()),
        "every alert is announced"
    );
    page.items.iter().map(|alert| alert.kind).collect()
}

/// Returns the number of messages that are announcements.
async fn announcements(world: &World) -> usize {
    let filter = store::MessageFilter {
        system: true,
        ..store::MessageFilter::default()
    };
    let page = world
        .store
        .messages_page(
            world.organization.id,
            world.organization.shards,
            &filter,
            None,
            100,
        )
        .await;
    let messages = page.expect("the table answers").items;
    messages
        .iter()
        .filter(|deliveries| deliveries[0].message.event_type.is_reserved())
        .count()
}

/// Returns the ids of the alerts on the event bus.
fn on_the_bus(world: &World) -> BTreeSet<String> {
    let events = world.engines.events().into_iter();
    let alerts = events.filter(|event| {
        event["detail-type"]
            .as_str()
            .is_some_and(|kind| kind.starts_with("Destination "))
    });
    alerts
        .map(|event| event["detail"]["id"].to_string())
        .collect()
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
            _ => about(counter.fetch_add(1, Ordering::Relaxed), number, after),
        });
    Box::pin(world.monitor(None)).await;
    world.engines.clear_faults();
    calls.load(Ordering::Relaxed) > number
}

fn about(call: u32, number: u32, after: bool) -> Fault {
    match call == number {
        true if after => Fault::HangAfter,
        true => Fault::HangBefore,
        false => Fault::None,
    }
}

#[test]
fn wherever_a_monitor_dies_one_alert_is_sent_and_one_destination_is_disabled() {
    in_simulated_time(async || {
        for (failures, kind) in [(2, AlertKind::Failing), (3, AlertKind::Disabled)] {
            let mut steps = 0;
            for number in 0..CALLS_MAX {
                for after in [false, true] {
                    let world = Box::pin(failing(u64::from(number), failures)).await;
                    if !killed_at(&world, number, after).await {
                        steps = number;
                        break;
                    }
                    tokio::join!(Box::pin(world.monitor(None)), Box::pin(world.monitor(None)));
                    Box::pin(world.monitor(None)).await;
                    assert_eq!(
                        alerts(&world).await,
                        [kind],
                        "killed at call {number}, after: {after}"
                    );
                    assert_eq!(
                        announcements(&world).await,
                        1,
                        "killed at call {number}, after: {after}"
                    );
                    assert_eq!(
                        on_the_bus(&world).len(),
                        1,
                        "killed at call {number}, after: {after}"
                    );
                    let destination = world
                        .store
                        .destination(world.organization.id, world.destinations[0])
                        .await;
                    let state = destination
                        .expect("the table answers")
                        .expect("it is there")
                        .state;
                    assert_eq!(
                        matches!(state, DestinationState::Disabled { .. }),
                        kind == AlertKind::Disabled
                    );
                }
                if steps > 0 {
                    break;
                }
            }
            println!("{kind:?}: a monitor was killed before and after each of its {steps} calls");
            assert!(steps > 5, "it was killed somewhere");
        }
    });
}

#[test]
fn two_monitors_at_once_disable_once_and_skip_everything_that_waits() {
    in_simulated_time(async || {
        let world = Box::pin(failing(1, 3)).await;
        let mut waiting = Vec::new();
        for _ in 0..120 {
            let delivery = world
                .dispatcher
                .submit(&world.submission(1, Bytes::from_static(b"{}")))
                .await
                .expect("it is accepted")
                .remove(0);
            let cancelled = world
                .dispatcher
                .cancel(delivery)
                .await
                .expect("it is cancelled");
            waiting.push(
                world
                    .dispatcher
                    .redeliver(cancelled, domain::attempt::Trigger::Manual, false)
                    .await
                    .expect("it is reopened")
                    .id,
            );
        }
        tokio::join!(Box::pin(world.monitor(None)), Box::pin(world.monitor(None)));
        Box::pin(world.monitor(None)).await;
        assert_eq!(alerts(&world).await, [AlertKind::Disabled]);
        for id in waiting {
            let delivery = world
                .store
                .delivery(world.organization.id, id)
                .await
                .expect("the table answers")
                .expect("it is there");
            assert_eq!(
                (delivery.status(), delivery.state.reason()),
                (DeliveryStatus::Skipped, Some(Reason::DestinationDisabled))
            );
        }
    });
}
