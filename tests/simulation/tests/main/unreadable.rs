//! Items that cannot be read: the work on the others continues, whatever reads them.

use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use bytes::Bytes;
use domain::alert::AlertKind;
use domain::delivery::DeliveryStatus;
use domain::health::LastError;
use domain::id::{DeliveryId, Id as _};
use domain::organization::{FailurePolicy, Organization, OrganizationSettings};
use domain::{Reason, Timestamp};
use local_aws::{Call, Caller, Fault, Service};
use monitor::Reconcile;
use simulation::receiver::{Receiver, delivered};
use simulation::world::World;

use crate::in_simulated_time;

const MINUTE: Duration = Duration::from_secs(60);
/// More polls than the receives after which an unreadable task is a dead letter.
const POLLS_MAX: u32 = 30;

async fn world() -> World {
    Box::pin(World::create(1, Receiver::scripted(|_, _| delivered()))).await
}

/// Replaces an attribute of the item whose sort key contains `sort` by a value of another type.
async fn damage(world: &World, sort: &str, attribute: &str) {
    let client =
        aws_sdk_dynamodb::Client::new(&world.engines.sdk_config(Caller::unlimited("vandal")));
    let tables = client
        .list_tables()
        .send()
        .await
        .expect("the tables are listed")
        .table_names
        .unwrap_or_default();
    let scan = client
        .scan()
        .table_name(&tables[0])
        .send()
        .await
        .expect("the table is read")
        .items
        .unwrap_or_default();
    let is_meant = |value: Option<&AttributeValue>| {
        value
            .and_then(|value| value.as_s().ok())
            .is_some_and(|found| found.contains(sort))
    };
    let mut items = scan
        .into_iter()
        .filter(|item| is_meant(item.get("sk")) && item.contains_key(attribute));
    let mut item = items.next().expect("the item is there");
    assert!(items.next().is_none(), "only one item matches {sort}");
    item.insert(attribute.to_owned(), AttributeValue::Bool(true));
    client
        .put_item()
        .table_name(&tables[0])
        .set_item(Some(item))
        .send()
        .await
        .expect("the item is damaged");
}

/// Accepts this many messages whose tasks no queue accepts.
async fn accepted_without_tasks(world: &World, count: usize) -> Vec<DeliveryId> {
    world.engines.install_faults(|call: &Call| {
        if call.service == Service::Sqs {
            Fault::unavailable()
        } else {
            Fault::None
        }
    });
    let mut ids = Vec::new();
    for _ in 0..count {
        let submission = world.submission(1, Bytes::from_static(b"{}"));
        world
            .dispatcher
            .submit(&submission)
            .await
            .expect("it is accepted");
        ids.push(DeliveryId {
            message: submission.message,
            position: 0,
        });
    }
    world.engines.clear_faults();
    ids
}

async fn status(world: &World, id: DeliveryId) -> DeliveryStatus {
    world
        .store
        .delivery(world.organization.id, id)
        .await
        .expect("it can be read")
        .expect("it is there")
        .status()
}

async fn assert_delivered(world: &World, ids: &[DeliveryId]) {
    for id in ids {
        assert_eq!(status(world, *id).await, DeliveryStatus::Succeeded);
    }
}

#[test]
fn an_unreadable_delivery_does_not_stop_the_sweep_of_the_others() {
    in_simulated_time(async || {
        let world = world().await;
        let ids = accepted_without_tasks(&world, 30).await;
        for id in &ids[..10] {
            damage(&world, &id.message.ulid().to_string(), "e").await;
        }
        tokio::time::sleep(2 * MINUTE).await;
        world.monitor(None).await;
        while world.poll_worker().await > 0 {}
        assert_delivered(&world, &ids[10..]).await;
    });
}

#[test]
fn an_unreadable_delivery_does_not_stop_the_round_of_reconcile() {
    in_simulated_time(async || {
        let world = world().await;
        world.engines.install_faults(|call: &Call| {
            if call.service == Service::Sqs {
                Fault::HangBefore
            } else {
                Fault::None
            }
        });
        let mut ids = Vec::new();
        for _ in 0..4 {
            let submission = world.submission(1, Bytes::from_static(b"{}"));
            assert!(
                world
                    .invoke(world.dispatcher.submit(&submission))
                    .await
                    .is_none(),
                "it died"
            );
            ids.push(DeliveryId {
                message: submission.message,
                position: 0,
            });
        }
        world.engines.clear_faults();
        damage(&world, &ids[0].message.ulid().to_string(), "e").await;
        tokio::time::sleep(7 * 60 * MINUTE).await;
        world.monitor(Some(Reconcile::Hourly)).await;
        while world.poll_worker().await > 0 {}
        assert_delivered(&world, &ids[1..]).await;
    });
}

#[test]
fn an_unreadable_delivery_does_not_empty_the_list_of_the_others() {
    in_simulated_time(async || {
        let world = world().await;
        let ids = accepted_without_tasks(&world, 3).await;
        damage(&world, &ids[1].message.ulid().to_string(), "e").await;
        let shards = world.organization.shards;
        let filter = store::DeliveryFilter::default();
        let page = world
            .store
            .deliveries_page(world.organization.id, shards, &filter, None, 10)
            .await
            .expect("a page");
        let listed: Vec<DeliveryId> = page.items.iter().map(|delivery| delivery.id).collect();
        assert_eq!(listed, [ids[2], ids[0]]);
    });
}

#[test]
fn an_unreadable_alert_does_not_stop_the_watch_of_destinations() {
    in_simulated_time(async || {
        let world = world().await;
        let failure_policy = FailurePolicy {
            alert_after_failures: 2,
            ..FailurePolicy::default()
        };
        let settings = OrganizationSettings {
            failure_policy,
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
        fail_twice(&world, 0).await;
        // The bus hangs, so the alert is written and not announced.
        world.engines.install_faults(|call: &Call| {
            if call.operation == "PutEvents" {
                Fault::HangBefore
            } else {
                Fault::None
            }
        });
        world.monitor(None).await;
        world.engines.clear_faults();
        damage(&world, "alr_", "doc").await;
        fail_twice(&world, 1).await;
        world.monitor(None).await;
        let page = world
            .store
            .alerts_page(world.organization.id, None, 10)
            .await
            .expect("the alerts are listed");
        let alerts: Vec<_> = page
            .items
            .iter()
            .map(|alert| (alert.kind, alert.destination_id))
            .collect();
        assert_eq!(alerts, [(AlertKind::Failing, world.destinations[1])]);
    });
}

async fn fail_twice(world: &World, destination: usize) {
    for number in 0..2 {
        let error = LastError {
            reason: Reason::Timeout,
            detail: "no answer".to_owned(),
        };
        let (destination, organization, now): (_, _, Timestamp) = (
            world.destinations[destination],
            world.organization.id,
            world.clock.now(),
        );
        let token = format!("{destination}/{number}");
        let counted = world
            .store
            .count_failure(destination, organization, 0, &token, now, error)
            .await;
        assert!(counted.expect("the table answers"));
    }
}

/// Polls until the worker has moved a task to the dead-letter queue.
async fn poll_until_dead_letter(world: &World) {
    for _ in 0..POLLS_MAX {
        if world.dead_letters().await > 0 {
            return;
        }
        tokio::time::sleep(16 * MINUTE).await;
        world.poll_worker().await;
    }
    panic!("no task became a dead letter");
}

#[test]
fn an_unreadable_delivery_does_not_hold_up_its_batch_and_becomes_a_dead_letter() {
    in_simulated_time(async || {
        let world = world().await;
        let mut ids = Vec::new();
        for _ in 0..4 {
            let submission = world.submission(1, Bytes::from_static(b"{}"));
            world
                .dispatcher
                .submit(&submission)
                .await
                .expect("it is accepted");
            ids.push(DeliveryId {
                message: submission.message,
                position: 0,
            });
        }
        damage(&world, &ids[2].message.ulid().to_string(), "e").await;
        world.poll_worker().await;
        assert_delivered(&world, &[ids[0], ids[1], ids[3]]).await;
        poll_until_dead_letter(&world).await;
        assert_eq!(world.receiver.sent().len(), 3, "each of the others once");
        world.poll_dead_letters().await;
        assert_eq!(
            world.dead_letters().await,
            1,
            "the letter stays, because its delivery cannot be ended"
        );
    });
}

#[test]
fn an_unreadable_destination_fails_only_its_own_deliveries_in_the_end() {
    in_simulated_time(async || {
        let world = world().await;
        let submission = world.submission(2, Bytes::from_static(b"{}"));
        world
            .dispatcher
            .submit(&submission)
            .await
            .expect("it is accepted");
        let [good, bad] = [0, 1].map(|position| DeliveryId {
            message: submission.message,
            position,
        });
        damage(&world, &world.destinations[1].to_string(), "doc").await;
        world.poll_worker().await;
        assert_eq!(status(&world, good).await, DeliveryStatus::Succeeded);
        assert_eq!(
            status(&world, bad).await,
            DeliveryStatus::Queued,
            "it can be repaired"
        );
        poll_until_dead_letter(&world).await;
        world.poll_dead_letters().await;
        assert_eq!(status(&world, bad).await, DeliveryStatus::Failed);
    });
}
