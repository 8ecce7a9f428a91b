//! Calls that fail while deliveries are queued or ended without a worker: nothing waits longer than
//! it must, and no status update is lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bytes::Bytes;
use domain::delivery::{Delivery, DeliveryStatus};
use domain::organization::{Organization, OrganizationSettings};
use local_aws::{Call, Fault, Service};
use simulation::receiver::{Receiver, delivered};
use simulation::world::World;

use crate::in_simulated_time;

const MINUTE: Duration = Duration::from_secs(60);
/// More calls than ending a delivery makes.
const CALLS_MAX: u32 = 100;

/// Creates a world whose organization receives status updates, with a queued
/// delivery.
async fn listening() -> (World, Delivery) {
    let world = Box::pin(World::create(1, Receiver::scripted(|_, _| delivered()))).await;
    let settings = OrganizationSettings {
        status_destination_ids: vec![world.destinations[1]],
        ..OrganizationSettings::default()
    };
    let changed = Organization {
        settings,
        revision: world.organization.revision + 1,
        ..world.organization.clone()
    };
    let saved = world
        .store
        .update_organization(&changed, world.organization.revision, &world.event())
        .await;
    saved.expect("the organization is saved");
    let deliveries = world
        .dispatcher
        .submit(&world.submission(1, Bytes::from_static(b"{}")))
        .await
        .expect("it is accepted");
    (
        world,
        deliveries.into_iter().next().expect("it has a delivery"),
    )
}

/// Makes the call `number` and all later ones fail. Returns the count of calls.
fn fail_from(world: &World, number: u32) -> Arc<AtomicU32> {
    let calls = Arc::new(AtomicU32::new(0));
    let counter = Arc::clone(&calls);
    world.engines.install_faults(move |_| {
        match counter.fetch_add(1, Ordering::Relaxed) >= number {
            true => Fault::unavailable(),
            false => Fault::None,
        }
    });
    calls
}

#[test]
fn whatever_fails_a_cancelled_delivery_is_reported_as_cancelled_and_its_update_is_queued() {
    in_simulated_time(async || {
        let mut refused = 0;
        for number in 0..CALLS_MAX {
            let (world, delivery) = Box::pin(listening()).await;
            let calls = fail_from(&world, number);
            let cancelled = world.dispatcher.cancel(delivery.clone()).await;
            world.engines.clear_faults();
            let found = world
                .store
                .delivery(delivery.organization, delivery.id)
                .await
                .expect("the table answers")
                .expect("it is there");
            assert_eq!(
                cancelled.is_ok(),
                found.status() == DeliveryStatus::Cancelled,
                "calls fail from {number} on: {cancelled:?}"
            );
            if cancelled.is_ok() {
                tokio::time::sleep(MINUTE).await;
                assert_eq!(
                    world.poll_worker().await,
                    2,
                    "its own task, and the one that sends the update"
                );
                assert!(world.receiver.sent().is_empty());
            }
            refused += u32::from(cancelled.is_err());
            if calls.load(Ordering::Relaxed) <= number {
                assert!(
                    refused > 2,
                    "cancelling makes calls, of which each failed once: {refused}"
                );
                return;
            }
        }
        panic!("cancelling never ended");
    });
}

#[test]
fn a_due_delivery_that_no_queue_accepts_is_queued_by_the_next_sweep() {
    in_simulated_time(async || {
        let (world, delivery) = Box::pin(listening()).await;
        world
            .store
            .remember_due(&delivery, world.clock.now())
            .await
            .expect("the table answers");
        world.engines.install_faults(|call: &Call| {
            if call.operation.starts_with("SendMessage") {
                Fault::unavailable()
            } else {
                Fault::None
            }
        });
        world.monitor(None).await;
        world.engines.clear_faults();
        assert_eq!(
            world.poll_worker().await,
            1,
            "the first task, which the sweep has made stale"
        );
        assert!(world.receiver.sent().is_empty());
        tokio::time::sleep(MINUTE).await;
        world.monitor(None).await;
        while world.poll_worker().await > 0 {}
        assert_eq!(world.receiver.sent().len(), 1);
    });
}

#[test]
fn a_delivery_whose_claim_fails_does_not_hold_up_those_that_are_claimed() {
    in_simulated_time(async || {
        let world = Box::pin(World::create(1, Receiver::scripted(|_, _| delivered()))).await;
        world.engines.install_faults(|call: &Call| {
            if call.service == Service::Sqs {
                Fault::unavailable()
            } else {
                Fault::None
            }
        });
        const COUNT: usize = 8;
        for _ in 0..COUNT {
            world
                .dispatcher
                .submit(&world.submission(1, Bytes::from_static(b"{}")))
                .await
                .expect("it is accepted");
        }
        tokio::time::sleep(2 * MINUTE).await;
        let claims = Arc::new(AtomicU32::new(0));
        let counter = Arc::clone(&claims);
        // One claim is refused for good, as often as it is tried.
        let refused =
            local_aws::ServiceError::new(400, "ValidationException", "the item is too large");
        world
            .engines
            .install_faults(move |call| match call.operation.as_str() {
                "UpdateItem" if counter.fetch_add(1, Ordering::Relaxed) == 0 => {
                    Fault::Refuse(refused.clone())
                }
                _ => Fault::None,
            });
        world.monitor(None).await;
        world.engines.clear_faults();
        assert!(claims.load(Ordering::Relaxed) > 0, "a claim was refused");
        while world.poll_worker().await > 0 {}
        assert_eq!(
            world.receiver.sent().len(),
            COUNT - 1,
            "each of the others once"
        );
    });
}
