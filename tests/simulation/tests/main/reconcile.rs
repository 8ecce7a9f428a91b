//! The hourly reconcile, cut off at any call: the next run continues, and nothing stays lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bytes::Bytes;
use domain::delivery::DeliveryStatus;
use domain::id::DeliveryId;
use local_aws::{Call, Fault, Service};
use monitor::Reconcile;
use simulation::receiver::{Receiver, delivered};
use simulation::world::World;

use crate::in_simulated_time;

const HOUR: Duration = Duration::from_secs(3600);
/// More calls than a run makes here.
const CALLS_MAX: u32 = 200;

/// Creates a world with deliveries whose submitter died between the commit and the queue, seven
/// hours ago.
async fn bereft(seed: u64) -> (World, Vec<DeliveryId>) {
    let world = Box::pin(World::create(seed, Receiver::scripted(|_, _| delivered()))).await;
    let sends = |call: &Call| call.service == Service::Sqs;
    world.engines.install_faults(move |call| {
        if sends(call) {
            Fault::HangBefore
        } else {
            Fault::None
        }
    });
    let mut lost = Vec::new();
    for _ in 0..4 {
        let submission = world.submission(1, Bytes::from_static(b"{}"));
        assert!(
            world
                .invoke(world.dispatcher.submit(&submission))
                .await
                .is_none(),
            "it died"
        );
        lost.push(DeliveryId {
            message: submission.message,
            position: 0,
        });
    }
    world.engines.clear_faults();
    tokio::time::sleep(7 * HOUR).await;
    (world, lost)
}

#[test]
fn wherever_reconcile_is_cut_off_the_next_one_finds_what_is_lost() {
    in_simulated_time(async || {
        let mut calls_made = 0;
        for number in 0..CALLS_MAX {
            let (world, lost) = Box::pin(bereft(u64::from(number))).await;
            let calls = Arc::new(AtomicU32::new(0));
            let counter = Arc::clone(&calls);
            world.engines.install_faults(move |_| {
                match counter.fetch_add(1, Ordering::Relaxed) == number {
                    true => Fault::HangAfter,
                    false => Fault::None,
                }
            });
            world.monitor(Some(Reconcile::Hourly)).await;
            world.engines.clear_faults();
            tokio::time::sleep(HOUR).await;
            world.monitor(Some(Reconcile::Hourly)).await;
            // A delivery that was claimed and not queued is due ten minutes later.
            world.monitor(None).await;
            while world.poll_worker().await > 0 {}
            for id in lost {
                let delivery = world
                    .store
                    .delivery(world.organization.id, id)
                    .await
                    .expect("the table answers")
                    .expect("it is there");
                assert_eq!(
                    delivery.status(),
                    DeliveryStatus::Succeeded,
                    "cut off at call {number}"
                );
            }
            assert_eq!(
                world.receiver.sent().len(),
                4,
                "each once; cut off at call {number}"
            );
            if calls.load(Ordering::Relaxed) <= number {
                calls_made = number;
                break;
            }
        }
        println!("reconcile was cut off after each of its {calls_made} calls");
        assert!(calls_made > 10, "it was cut off somewhere");
    });
}

#[test]
fn a_round_looks_at_nothing_that_an_earlier_one_had_its_turn_with() {
    in_simulated_time(async || {
        let (world, lost) = bereft(1).await;
        const DELIVERED: usize = 60;
        for _ in 0..DELIVERED {
            world
                .dispatcher
                .submit(&world.submission(1, Bytes::from(vec![b'x'; 800])))
                .await
                .expect("it is accepted");
        }
        while world.poll_worker().await > 0 {}
        let mut read = Vec::new();
        for wait in [Duration::ZERO, HOUR, 40 * HOUR, HOUR] {
            tokio::time::sleep(wait).await;
            let calls = world.engines.record();
            world.monitor(Some(Reconcile::Hourly)).await;
            while world.poll_worker().await > 0 {}
            let walked = |call: &Call| {
                call.operation == "Query"
                    && call.consumed.iter().any(|consumed| consumed.read > 0.0)
            };
            let calls = calls.take();
            read.push(
                calls
                    .iter()
                    .filter(|call| walked(call))
                    .map(Call::read_units)
                    .sum::<f64>(),
            );
        }
        assert_eq!(world.receiver.sent().len(), DELIVERED + lost.len());
        assert!(
            read[2] >= read[1] && read[3] < read[2],
            "the fourth round has nothing to read but that there is nothing: {read:?}"
        );
        // It still finds what is lost later.
        let submission = world.submission(1, Bytes::from_static(b"{}"));
        world.engines.install_faults(|call| {
            if call.service == Service::Sqs {
                Fault::HangBefore
            } else {
                Fault::None
            }
        });
        assert!(
            world
                .invoke(world.dispatcher.submit(&submission))
                .await
                .is_none(),
            "it died"
        );
        world.engines.clear_faults();
        tokio::time::sleep(7 * HOUR).await;
        world.monitor(Some(Reconcile::Hourly)).await;
        while world.poll_worker().await > 0 {}
        assert_eq!(world.receiver.sent().len(), DELIVERED + lost.len() + 1);
    });
}
