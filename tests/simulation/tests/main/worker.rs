//! The behaviour of the functions in case of failures, on real engines in simulated time.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use domain::Reason;
use domain::delivery::{Delivery, DeliveryStatus, State};
use domain::id::DeliveryId;
use domain::settle::Outcome;
use domain::statistics::hour_of;
use local_aws::{Fault, Service};
use simulation::receiver::{Receiver, delivered};
use simulation::world::World;

use crate::in_simulated_time;

fn accepts(_: DeliveryId, _: u32) -> Outcome {
    delivered()
}

async fn submit(world: &World, fan_out: usize) -> Vec<Delivery> {
    world
        .dispatcher
        .submit(&world.submission(fan_out, Bytes::from_static(b"{}")))
        .await
        .expect("it is accepted")
}

async fn status(world: &World, delivery: &Delivery) -> DeliveryStatus {
    now(world, delivery).await.status()
}

async fn now(world: &World, delivery: &Delivery) -> Delivery {
    world
        .store
        .delivery(delivery.organization, delivery.id)
        .await
        .expect("the table answers")
        .expect("it is there")
}

#[test]
fn an_unreadable_task_goes_to_the_dead_letters_and_the_rest_of_its_batch_is_delivered() {
    in_simulated_time(async || {
        let world = World::create(1, Receiver::scripted(accepts)).await;
        world.plant("no task at all").await;
        let good = submit(&world, 3).await;
        while world.poll_worker().await > 0 {}
        for delivery in &good {
            assert_eq!(status(&world, delivery).await, DeliveryStatus::Succeeded);
        }
        assert_eq!(world.dead_letters().await, 1);
        world.poll_dead_letters().await;
        assert_eq!(
            world.dead_letters().await,
            1,
            "an unreadable item stays, so that people can look at it"
        );
    });
}

#[test]
fn a_delivery_that_kills_its_worker_is_dead_lettered_visibly_and_can_be_retried_while_others_are_delivered()
 {
    in_simulated_time(async || {
        let world = World::create(
            2,
            Receiver::scripted(|delivery, _| match delivery.position {
                1 => panic!("on purpose: a connector that kills its worker"),
                _ => delivered(),
            }),
        )
        .await;
        let deliveries = submit(&world, 3).await;
        for _ in 0..15 {
            while world.poll_worker().await > 0 {}
            tokio::time::sleep(Duration::from_secs(541)).await;
        }
        assert_eq!(
            status(&world, &deliveries[0]).await,
            DeliveryStatus::Succeeded
        );
        assert_eq!(
            status(&world, &deliveries[2]).await,
            DeliveryStatus::Succeeded
        );
        let poison = now(&world, &deliveries[1]).await;
        assert!(
            matches!(
                poison.state,
                State::Failed {
                    reason: Reason::DeadLettered,
                    exhausted: false,
                    ..
                }
            ),
            "{:?}",
            poison.state
        );
        let again = world
            .dispatcher
            .redeliver(poison, domain::attempt::Trigger::Manual, false)
            .await
            .expect("it can be retried");
        assert_eq!(again.status(), DeliveryStatus::Retrying);
    });
}

#[test]
fn a_late_duplicate_of_a_task_sends_nothing_once_its_delivery_is_finished() {
    in_simulated_time(async || {
        let world = World::create(3, Receiver::scripted(accepts)).await;
        let delivery = submit(&world, 1).await.remove(0);
        while world.poll_worker().await > 0 {}
        assert!(
            world
                .dispatcher
                .send(std::slice::from_ref(&delivery), world.clock.now())
                .await
                .is_empty()
        );
        assert_eq!(world.poll_worker().await, 1, "the duplicate was received");
        assert_eq!(world.receiver.sent().len(), 1);
        assert_eq!(world.poll_worker().await, 0, "and acknowledged");
    });
}

/// A destination that has just worked fails and works within one batch, whose workers
/// read its health before.
#[test]
fn a_success_ends_the_streak_of_those_that_failed_in_the_same_batch() {
    in_simulated_time(async || {
        let doomed = Arc::new(Mutex::new(BTreeSet::<DeliveryId>::new()));
        let fails = Arc::clone(&doomed);
        let receiver = Receiver::scripted(move |delivery, _| {
            match fails.lock().expect("no task panics").contains(&delivery) {
                true => Outcome::Reject(Reason::Rejected),
                false => delivered(),
            }
        });
        let world = World::create(10, receiver).await;
        submit(&world, 1).await;
        world.poll_worker().await;
        for _ in 0..5 {
            let delivery = submit(&world, 1).await.remove(0);
            doomed.lock().expect("no task panics").insert(delivery.id);
        }
        submit(&world, 1).await;
        assert_eq!(world.poll_worker().await, 6, "one batch");
        let health = world
            .store
            .health(world.destinations[0])
            .await
            .expect("the table answers");
        assert_eq!(
            (health.consecutive_failures, health.first_failure_at),
            (0, None)
        );
        assert!(health.last_failure_at.is_some(), "they were counted");
    });
}

#[test]
fn a_shutdown_starts_no_attempt_returns_the_work_at_once_and_costs_no_retry() {
    in_simulated_time(async || {
        let world = World::create(4, Receiver::scripted(accepts)).await;
        let delivery = submit(&world, 1).await.remove(0);
        world.shut_down();
        assert_eq!(world.poll_worker().await, 1);
        assert!(world.receiver.sent().is_empty());
        assert_eq!(world.poll_worker().await, 1, "it is back at once");
        let unchanged = now(&world, &delivery).await;
        assert_eq!(
            (unchanged.status(), unchanged.attempts),
            (DeliveryStatus::Queued, 0)
        );
    });
}

/// Creates a world with a delivery whose connector panicked five times, so that its task is
/// suspected.
async fn suspected(seed: u64) -> (World, Delivery) {
    let panics = AtomicU32::new(5);
    let receiver = Receiver::scripted(move |_, _| {
        if panics.load(Ordering::Relaxed) == 0 {
            return delivered();
        }
        panics.fetch_sub(1, Ordering::Relaxed);
        panic!("on purpose: a connector that panics")
    });
    let world = World::create(seed, receiver).await;
    let suspect = submit(&world, 1).await.remove(0);
    for _ in 0..5 {
        assert_eq!(world.poll_worker().await, 1);
        tokio::time::sleep(Duration::from_secs(541)).await;
    }
    (world, suspect)
}

/// Delays the next record of an attempt.
fn delay_first_record(world: &World, delay: Duration) {
    let is_first = AtomicBool::new(true);
    world.engines.install_faults(move |call| {
        let records = matches!(&*call.operation, "BatchExecuteStatement" | "UpdateItem");
        match records && is_first.swap(false, Ordering::Relaxed) {
            true => Fault::Delay(delay),
            false => Fault::None,
        }
    });
}

/// Its worker has read it together with the tasks that are attempted first.
#[test]
fn a_suspected_delivery_that_is_cancelled_while_the_others_are_attempted_is_not_sent() {
    in_simulated_time(async || {
        let (world, suspect) = suspected(11).await;
        let other = submit(&world, 1).await.remove(0);
        delay_first_record(&world, Duration::from_secs(5));
        let cancel = async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            let cancelled = world.dispatcher.cancel(now(&world, &suspect).await).await;
            cancelled.expect("it is not finished");
        };
        let (count, ()) = tokio::join!(world.poll_worker(), cancel);
        assert_eq!(count, 2, "one batch");
        let sent = world.receiver.sent();
        let sent: Vec<_> = sent.iter().map(|request| request.delivery).collect();
        assert_eq!(sent, [other.id]);
    });
}

/// The attempts before it take so long that the suspected task cannot start within the invocation.
#[test]
fn a_suspected_delivery_that_is_too_late_is_not_given_up_untried() {
    in_simulated_time(async || {
        let (world, suspect) = suspected(12).await;
        for _ in 0..10 {
            submit(&world, 1).await;
            delay_first_record(&world, Duration::from_secs(80));
            world.poll_worker().await;
        }
        world.engines.clear_faults();
        while world.poll_worker().await > 0 {}
        assert_eq!(status(&world, &suspect).await, DeliveryStatus::Succeeded);
    });
}

/// The first attempt has no lease if it starts at once, and has one if it starts late. A repeated
/// submission enters the delivery in the due index in both cases, because its task may be lost.
#[test]
fn a_repeated_submission_makes_no_second_attempt_while_the_first_one_runs() {
    in_simulated_time(async || {
        for waited in [0, 30] {
            let world = World::create(13, Receiver::slow(Duration::from_secs(12))).await;
            let delivery = submit(&world, 1).await.remove(0);
            tokio::time::sleep(Duration::from_secs(waited)).await;
            let repeat = async {
                tokio::time::sleep(Duration::from_secs(2)).await;
                let current = now(&world, &delivery).await;
                world.dispatcher.remember_untouched(&[current]).await;
                world.monitor(None).await;
                world.poll_worker().await
            };
            let (first, again) = tokio::join!(world.poll_worker(), repeat);
            assert_eq!((first, again), (1, 0), "after {waited} s");
            let attempted = now(&world, &delivery).await;
            assert_eq!(
                (
                    attempted.status(),
                    attempted.attempts,
                    world.receiver.sent().len()
                ),
                (DeliveryStatus::Succeeded, 1, 1),
                "after {waited} s"
            );
        }
    });
}

#[test]
fn an_outage_of_the_table_longer_than_a_task_may_be_suspect_delays_deliveries_and_fails_none() {
    in_simulated_time(async || {
        let world = World::create(5, Receiver::scripted(accepts)).await;
        let delivery = submit(&world, 1).await.remove(0);
        world.engines.install_faults(|call| {
            if call.service == Service::DynamoDb {
                Fault::unavailable()
            } else {
                Fault::None
            }
        });
        for _ in 0..40 {
            world.poll_worker().await;
            tokio::time::sleep(Duration::from_secs(120)).await;
        }
        assert!(world.receiver.sent().is_empty());
        world.engines.clear_faults();
        for _ in 0..10 {
            world.poll_worker().await;
            tokio::time::sleep(Duration::from_secs(120)).await;
        }
        let delivered = now(&world, &delivery).await;
        assert_eq!(
            (delivered.status(), delivered.attempts),
            (DeliveryStatus::Succeeded, 1)
        );
    });
}

#[test]
fn an_unavailable_queue_delays_deliveries_and_a_lost_queue_loses_no_delivery() {
    in_simulated_time(async || {
        let world = World::create(6, Receiver::scripted(accepts)).await;
        world.engines.install_faults(|call| {
            let refused = call.service == Service::Sqs && call.operation.starts_with("SendMessage");
            if refused {
                Fault::unavailable()
            } else {
                Fault::None
            }
        });
        let delivery = submit(&world, 1).await.remove(0);
        assert_eq!(world.poll_worker().await, 0);
        world.engines.clear_faults();
        tokio::time::sleep(Duration::from_secs(61)).await;
        world.monitor(None).await;
        assert_eq!(
            world.poll_worker().await,
            1,
            "the due index brought it back"
        );
        assert_eq!(status(&world, &delivery).await, DeliveryStatus::Succeeded);
    });
}

#[test]
fn a_manual_retry_and_an_automatic_one_at_once_send_once() {
    in_simulated_time(async || {
        let world = World::create(
            7,
            Receiver::scripted(|_, attempt| match attempt {
                1 => Outcome::Retry(Reason::ServerError),
                _ => delivered(),
            }),
        )
        .await;
        let delivery = submit(&world, 1).await.remove(0);
        world.poll_worker().await;
        tokio::time::sleep(Duration::from_secs(2)).await;
        let retrying = now(&world, &delivery).await;
        let again = world
            .dispatcher
            .redeliver(retrying, domain::attempt::Trigger::Manual, false)
            .await
            .expect("it is reopened");
        tokio::join!(world.poll_worker(), world.poll_worker());
        while world.poll_worker().await > 0 {}
        assert_eq!(status(&world, &again).await, DeliveryStatus::Succeeded);
        assert_eq!(
            world.receiver.sent().len(),
            2,
            "the first attempt and one retry"
        );
    });
}

#[test]
fn the_calls_of_a_delivery_are_printed_and_limited() {
    in_simulated_time(async || {
        let world = World::create(8, Receiver::scripted(accepts)).await;
        // The first success of a destination is recorded in its health, at most once a minute,
        // which is not part of the steady state.
        submit(&world, 3).await;
        while world.poll_worker().await > 0 {}
        for (name, messages) in [("single", 1), ("batch of 100", 100)] {
            let calls = world.engines.record();
            for _ in 0..messages {
                submit(&world, 1).await;
            }
            let mut batches = 0;
            while world.poll_worker().await > 0 {
                batches += 1;
            }
            let calls: Vec<_> = calls
                .take()
                .into_iter()
                .filter(|call| call.caller == "functions")
                .collect();
            let units: f64 = calls.iter().map(local_aws::Call::write_units).sum();
            let each = |count: f64| count / f64::from(messages);
            println!(
                "{name}: {:.2} AWS calls and {:.2} write units a delivery",
                each(calls.len() as f64),
                each(units)
            );
            // The statistics cost one unit for each destination and batch. Of full batches that
            // follow one another, three are counted together after the first.
            let statistics = 1 + (batches - 1) / 3;
            assert_eq!(
                units,
                f64::from(3 * messages + statistics),
                "{name}: {messages} deliveries in {batches} batches"
            );
        }
    });
}

#[test]
fn attempts_of_full_batches_are_all_counted_after_a_second() {
    in_simulated_time(async || {
        let world = World::create(10, Receiver::scripted(accepts)).await;
        for _ in 0..50 {
            submit(&world, 1).await;
        }
        while world.poll_worker().await > 0 {}
        assert_eq!(counted(&world).await, 40, "the last full batch is carried");
        tokio::time::sleep(Duration::from_millis(1100)).await;
        assert_eq!(counted(&world).await, 50);
    });
}

#[test]
fn attempts_that_are_carried_are_counted_before_an_orderly_process_ends() {
    in_simulated_time(async || {
        let world = World::create(10, Receiver::scripted(accepts)).await;
        for _ in 0..20 {
            submit(&world, 1).await;
        }
        while world.poll_worker().await > 0 {}
        assert_eq!(counted(&world).await, 10, "the last full batch is carried");
        world.shut_down();
        world.background_work().await;
        assert_eq!(counted(&world).await, 20);
    });
}

/// Returns how many attempts the statistics of the first destination have.
async fn counted(world: &World) -> u64 {
    let now = world.clock.now();
    let (since, until) = (hour_of(now), now.plus(Duration::from_millis(1)));
    let hours = world
        .store
        .statistics(world.destinations[0], since, until)
        .await
        .expect("the table answers");
    hours.iter().map(|(_, tally)| tally.succeeded).sum()
}

#[test]
fn the_calls_of_a_failed_attempt_are_printed_and_limited() {
    in_simulated_time(async || {
        let world = World::create(
            9,
            Receiver::scripted(|_, _| Outcome::Retry(Reason::Timeout)),
        )
        .await;
        submit(&world, 1).await;
        // The item, due, both attention indexes and the operators' index of trouble; the streak and
        // its index; the statistics. A retry: its lease; the attempt before it, now an item of its
        // own; the item, and in due one place for another; the streak, whose place in its index
        // stays; the statistics.
        for (name, most) in [("the first", 8.0), ("another", 7.0)] {
            let calls = world.engines.record();
            while world.poll_worker().await == 0 {
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            let calls: Vec<_> = calls
                .take()
                .into_iter()
                .filter(|call| call.caller == "functions")
                .collect();
            let units: f64 = calls.iter().map(local_aws::Call::write_units).sum();
            let each: Vec<_> = calls
                .iter()
                .map(|call| (call.operation.as_str(), call.write_units()))
                .filter(|(_, units)| *units > 0.0)
                .collect();
            println!(
                "{name} failed attempt: {} AWS calls and {units} write units: {each:?}",
                calls.len()
            );
            assert_eq!(units, most, "{name}: {each:?}");
        }
    });
}
