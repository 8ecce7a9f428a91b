//! Destinations with limits: what their receiver gets while a thousand deliveries wait, in
//! simulated time and with calls that take time.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use dispatch::ReleaseLimits;
use domain::delivery::{Delivery, DeliveryStatus};
use domain::destination::{Destination, DestinationState};
use domain::id::{DeliveryId, DestinationId};
use domain::waiting::{DeliveryLimits, Waiting, WaitingFor};
use local_aws::{Call, Fault, Target};
use simulation::receiver::{Receiver, delivered};
use simulation::world::World;
use store::{Content, Saved};

use crate::in_simulated_time;

/// Batches that one process works on concurrently.
const BATCHES: usize = 20;
/// How long a poller waits after it received nothing.
const IDLE: Duration = Duration::from_millis(250);

/// Creates a world whose receiver takes this long for each request, and whose first destination has
/// these limits.
async fn limited(limits: DeliveryLimits, took: Duration) -> (World, DestinationId) {
    let world = World::create(1, Receiver::slow(took)).await;
    let id = world.destinations[0];
    change(&world, id, |destination| {
        destination.delivery_limits = Some(limits)
    })
    .await;
    (world, id)
}

async fn change(world: &World, id: DestinationId, change: impl FnOnce(&mut Destination)) {
    let before = world
        .store
        .destination(world.organization.id, id)
        .await
        .expect("the table answers")
        .expect("it is there");
    let mut after = before.revised(world.clock.now());
    change(&mut after);
    let saved = world
        .store
        .save_flow(&after, after.revision() - 1, &world.event())
        .await;
    assert_eq!(saved.expect("the table answers"), Saved::Done);
}

async fn submit(world: &World, count: usize) {
    for _ in 0..count {
        world
            .dispatcher
            .submit(&world.submission(1, Bytes::from_static(b"{}")))
            .await
            .expect("it is accepted");
    }
}

/// Makes every AWS call take up to this many milliseconds.
fn up_to(most_ms: u64) -> impl Fn(&Call) -> Fault + Send + Sync + 'static {
    let rng = Mutex::new(fastrand::Rng::with_seed(1));
    move |_| {
        let took = rng.lock().expect("no call panics").u64(1..=most_ms);
        Fault::Delay(Duration::from_millis(took))
    }
}

/// Runs the processes, and the monitor every minute, until everything has arrived or the time is
/// over.
async fn work(world: &World, processes: usize, messages: usize, most: Duration) {
    let until = tokio::time::Instant::now() + most;
    let is_over =
        || world.receiver.sent().len() >= messages || tokio::time::Instant::now() >= until;
    let pollers = (0..processes)
        .map(|_| world.process())
        .flat_map(|process| vec![process; BATCHES])
        .map(async |process| {
            while !is_over() {
                if world.poll(&process).await == 0 {
                    tokio::time::sleep(IDLE).await;
                }
            }
        });
    let monitor = async {
        while !is_over() {
            world.monitor(None).await;
            for _ in 0..60 {
                tokio::time::sleep(Duration::from_secs(u64::from(!is_over()))).await;
            }
        }
    };
    tokio::join!(futures_util::future::join_all(pollers), monitor);
}

/// Returns the most requests that began within a window.
fn most_within(starts: &[Duration], window: Duration) -> usize {
    let from = |first: &Duration| {
        starts
            .iter()
            .filter(|start| *start >= first && **start - *first < window)
            .count()
    };
    starts.iter().map(from).max().unwrap_or_default()
}

/// Runs a limit of ten per second with as many deliveries as a minute allows. Returns the requests
/// of the first minute and of the worst second.
async fn ten_a_second(
    processes: usize,
    calls: impl Fn(&Call) -> Fault + Send + Sync + 'static,
) -> (usize, usize) {
    let per_second = DeliveryLimits {
        max_per_second: Some(10.0),
        max_concurrent: None,
    };
    let (world, id) = limited(per_second, Duration::from_millis(20)).await;
    submit(&world, 640).await;
    world.engines.install_faults(calls);
    work(&world, processes, 640, Duration::from_secs(90)).await;
    let starts = world.receiver.starts(id);
    let minute = starts.iter().filter(|start| start.as_secs() < 60).count();
    let worst = most_within(&starts, Duration::from_secs(1));
    println!("{processes} processes: {minute} in the first minute, {worst} in the worst second");
    (minute, worst)
}

#[test]
fn a_limit_a_second_is_used_in_full_and_never_exceeded_by_more_than_one() {
    in_simulated_time(async || {
        let (minute, worst) = ten_a_second(1, up_to(100)).await;
        assert!((540..=660).contains(&minute), "{minute} in a minute");
        assert!(worst <= 11, "{worst} in a second");
    });
}

#[test]
fn three_processes_share_a_limit_a_second() {
    in_simulated_time(async || {
        let (minute, worst) = ten_a_second(3, up_to(50)).await;
        assert!((540..=660).contains(&minute), "{minute} in a minute");
        assert!(worst <= 12, "{worst} in a second");
    });
}

/// Reading a task's records takes two seconds, so that its turn has always passed.
#[test]
fn workers_that_are_always_late_use_a_limit_a_second_in_full() {
    in_simulated_time(async || {
        for processes in [1, 3] {
            let slow = |call: &Call| match call.operation.as_str() {
                "BatchGetItem" => Fault::Delay(Duration::from_secs(2)),
                _ => Fault::None,
            };
            let (minute, worst) = ten_a_second(processes, slow).await;
            assert!((540..=660).contains(&minute), "{minute} in a minute");
            assert!(worst <= 12, "{worst} in a second");
        }
    });
}

#[test]
fn slots_do_not_lie_idle_while_deliveries_wait_for_one() {
    in_simulated_time(async || {
        let five = DeliveryLimits {
            max_per_second: None,
            max_concurrent: Some(5),
        };
        for (processes, took_ms, messages) in [(1, 200, 200), (3, 200, 200), (1, 2_000, 30)] {
            let (world, id) = limited(five, Duration::from_millis(took_ms)).await;
            submit(&world, messages).await;
            world.engines.install_faults(up_to(5));
            work(&world, processes, messages, Duration::from_secs(300)).await;
            let starts = world.receiver.starts(id);
            assert_eq!(starts.len(), messages, "each once");
            assert_eq!(
                world.receiver.most_at_once(id),
                5,
                "all slots are used, and no more"
            );
            let took = starts[messages - 1] + Duration::from_millis(took_ms);
            // An attempt also takes a slot, a lease and a settle.
            let ideal = Duration::from_millis((took_ms + 20) * messages as u64 / 5);
            println!(
                "{processes} processes, {messages} attempts of {took_ms} ms, five at once: \
                 {took:?}, ideally {ideal:?}"
            );
            assert!(took < ideal * 5 / 4, "{took:?} instead of {ideal:?}");
        }
    });
}

#[test]
fn an_attempt_that_panics_leaves_its_slot() {
    in_simulated_time(async || {
        let panics = AtomicBool::new(true);
        let receiver = Receiver::scripted(move |_, _| {
            let panics = panics.swap(false, Ordering::Relaxed);
            assert!(!panics, "on purpose: a connector that panics");
            delivered()
        });
        let world = World::create(1, receiver).await;
        let one = DeliveryLimits {
            max_per_second: None,
            max_concurrent: Some(1),
        };
        change(&world, world.destinations[0], |destination| {
            destination.delivery_limits = Some(one)
        })
        .await;
        submit(&world, 2).await;
        work(&world, 1, 1, Duration::from_secs(10)).await;
        assert_eq!(world.receiver.sent().len(), 1, "the other one has the slot");
    });
}

/// While attempts take long, many deliveries have had their turn and wait for a slot.
#[test]
fn a_receiver_that_recovers_gets_no_burst_of_what_waited_for_a_slot() {
    in_simulated_time(async || {
        let both = DeliveryLimits {
            max_per_second: Some(2.0),
            max_concurrent: Some(5),
        };
        for processes in [1, 3] {
            let (world, id) = limited(both, Duration::from_secs(10)).await;
            submit(&world, 100).await;
            world.engines.install_faults(up_to(20));
            let mend = async {
                tokio::time::sleep(Duration::from_secs(60)).await;
                world.receiver.mend(id);
                world.receiver.starts(id).len()
            };
            let ((), before) =
                tokio::join!(work(&world, processes, 100, Duration::from_secs(300)), mend);
            let starts = world.receiver.starts(id);
            assert_eq!(starts.len(), 100, "each once");
            assert!(
                (20..60).contains(&before),
                "{before} started within a minute"
            );
            assert!(world.receiver.most_at_once(id) <= 5);
            let worst = most_within(&starts[before..], Duration::from_secs(1));
            let took = starts[99] - starts[before];
            println!(
                "{processes} processes: {} after the recovery in {took:?}, {worst} in the worst \
                 second",
                100 - before
            );
            assert!(worst <= 4, "{worst} in a second");
            assert!(took < Duration::from_secs(90), "{took:?}");
        }
    });
}

#[test]
fn a_backlog_larger_than_one_run_of_the_monitor_releases_drains_oldest_first() {
    in_simulated_time(async || {
        let (world, id) = limited(DeliveryLimits::default(), Duration::from_millis(1)).await;
        let paused = DestinationState::Paused {
            at: world.clock.now(),
            reason: None,
            until: None,
        };
        change(&world, id, |destination| destination.state = paused).await;
        let first = world
            .dispatcher
            .submit(&world.submission(1, Bytes::from_static(b"{}")))
            .await
            .expect("it is accepted")
            .remove(0);
        while world.poll_worker().await > 0 {}
        for _ in 1..5_200 {
            let id = DeliveryId {
                message: world
                    .ids
                    .mint(world.organization.id, world.organization.shards),
                position: 0,
            };
            let pause = Waiting {
                reason: WaitingFor::Pause,
                expected_at: None,
            };
            let waits = Delivery {
                id,
                ..first.clone()
            }
            .wait(pause)
            .expect("it is queued");
            world
                .store
                .commit(&[waits], &Content::Bytes(Bytes::from_static(b"{}")))
                .await
                .expect("the table answers");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert!(world.receiver.sent().is_empty());
        change(&world, id, |destination| {
            destination.state = DestinationState::Enabled
        })
        .await;
        let destination = world
            .store
            .destination(world.organization.id, id)
            .await
            .expect("the table answers")
            .expect("it is there");
        // The request to resume releases the first deliveries.
        let release_limits = ReleaseLimits {
            at_most: 100,
            within: Duration::from_secs(10),
        };
        world
            .dispatcher
            .release_paused(&destination, (2, None), world.clock.now(), release_limits)
            .await
            .expect("the table answers");
        for run in 1..=3 {
            world.monitor(None).await;
            while world.poll_worker().await > 0 {}
            println!(
                "{} sent after {run} runs of the monitor",
                world.receiver.sent().len()
            );
            tokio::time::sleep(Duration::from_secs(60)).await;
        }
        let sent = world.receiver.sent();
        assert_eq!(sent.len(), 5_200, "each once");
        let ids: Vec<_> = sent
            .iter()
            .map(|request| request.delivery.message)
            .collect();
        let late = ids.windows(2).filter(|pair| pair[0] > pair[1]).count();
        assert!(
            ids[..1_000].iter().max() < ids[4_200..].iter().min(),
            "oldest first"
        );
        println!("{late} of 5,200 were sent after a newer one");
        let last = world
            .store
            .delivery(world.organization.id, sent[5_199].delivery)
            .await
            .expect("the table answers")
            .expect("it is there");
        assert_eq!(last.status(), DeliveryStatus::Succeeded);
    });
}

#[test]
fn deliveries_behind_a_long_backlog_of_retries_are_released_and_an_attempt_in_flight_is_not() {
    in_simulated_time(async || {
        let (world, id) = limited(DeliveryLimits::default(), Duration::from_millis(1)).await;
        let now = world.clock.now();
        let pause = Waiting {
            reason: WaitingFor::Pause,
            expected_at: None,
        };
        let payload = Content::Bytes(Bytes::from_static(b"{}"));
        let submission = world.submission(1, Bytes::from_static(b"{}"));
        let first = world
            .dispatcher
            .submit(&submission)
            .await
            .expect("it is accepted")
            .remove(0);
        let open = |after: &dyn Fn(Delivery) -> Delivery| {
            let message = world
                .ids
                .mint(world.organization.id, world.organization.shards);
            after(Delivery {
                id: DeliveryId {
                    message,
                    position: 0,
                },
                ..first.clone()
            })
        };
        let commit = async |delivery: &Delivery| {
            world
                .store
                .commit(std::slice::from_ref(delivery), &payload)
                .await
                .expect("the table answers");
            tokio::time::sleep(Duration::from_millis(1)).await;
        };
        let in_flight = open(&|queued| {
            let waits = queued.wait(pause).expect("it is queued");
            waits
                .start(now.plus(Duration::from_secs(900)), now)
                .expect("no attempt runs")
        });
        commit(&in_flight).await;
        for _ in 0..300 {
            let later = Waiting {
                reason: WaitingFor::Rate,
                expected_at: Some(now.plus(Duration::from_secs(24 * 3600))),
            };
            commit(&open(&|queued| queued.wait(later).expect("it is queued"))).await;
        }
        let last = open(&|queued| queued.wait(pause).expect("it is queued"));
        commit(&last).await;
        change(&world, id, |destination| {
            destination.state = DestinationState::Enabled
        })
        .await;
        // One run reads only some of the pages.
        world.engines.install_faults(|call: &Call| {
            let is_open_index = |target: &Target| target.resource.contains("attention_dst");
            match call.targets.iter().any(is_open_index) {
                true => Fault::Delay(Duration::from_secs(12)),
                false => Fault::None,
            }
        });
        for _ in 0..4 {
            world.monitor(None).await;
            tokio::time::sleep(Duration::from_secs(60)).await;
        }
        let stands = async |delivery: &Delivery| {
            world
                .store
                .delivery(world.organization.id, delivery.id)
                .await
                .expect("the table answers")
                .expect("it is there")
        };
        assert_eq!(stands(&last).await.waiting, None, "it is released");
        assert_eq!(stands(&in_flight).await.state, in_flight.state);
    });
}
