//! Two hundred seeds with faults, and the test that a seed determines the run.

#![allow(
    missing_docs,
    reason = "tests are named so that they read as what they hold"
)]

mod ending;
mod failure_rate;
mod limits;
mod monitor;
mod reconcile;
mod recovery;
mod schedules;
mod unreadable;
mod worker;

use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use local_aws::Fault;
use simulation::receiver::Receiver;
use simulation::world::World;
use simulation::{Tally, run, traced};

const SEEDS: u64 = 200;

/// Runs a test on one thread, in time that advances only when everything waits.
fn in_simulated_time(test: impl AsyncFnOnce()) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .expect("the runtime starts");
    runtime.block_on(Box::pin(test()));
}

#[test]
fn whatever_crashes_every_accepted_delivery_is_finished_and_nothing_is_sent_that_should_not_be() {
    let next = AtomicU64::new(0);
    let totals = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    let mut total = Tally::default();
                    loop {
                        let seed = next.fetch_add(1, Ordering::Relaxed);
                        if seed >= SEEDS {
                            return total;
                        }
                        total.add(&run(seed));
                    }
                })
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().expect("no promise was broken"))
            .collect::<Vec<_>>()
    });
    let (deliveries, crashes): (usize, u32) = totals
        .iter()
        .fold((0, 0), |(d, c), t| (d + t.deliveries, c + t.crashes));
    println!("{SEEDS} seeds: {totals:?}");
    assert!(
        deliveries > 1000 && crashes > 50,
        "the simulation did something: {deliveries} deliveries, {crashes} crashes"
    );
    let (replays, backfills): (usize, usize) = totals
        .iter()
        .fold((0, 0), |(r, b), t| (r + t.replays, b + t.backfills));
    assert!(
        replays > 20 && backfills > 20,
        "jobs did something: {replays} replays, {backfills} backfills"
    );
}

#[test]
fn the_same_seed_runs_the_same_way() {
    for seed in [3, 1_000_003, 77] {
        let first = traced(seed);
        for _ in 0..2 {
            assert_same(seed, &first, &traced(seed));
        }
    }
}

/// Two runs on two threads at the same time share what a process shares.
#[test]
fn two_runs_of_a_seed_at_the_same_time_are_the_same() {
    for seed in [3, 1_000_003, 9_000_017] {
        let [first, second] = std::thread::scope(|scope| {
            let runs = [0, 1].map(|_| scope.spawn(move || traced(seed)));
            runs.map(|run| run.join().expect("no guarantee was broken"))
        });
        assert_same(seed, &first, &second);
    }
}

/// The SDK keeps its quota of retries for the whole process. Calls of another world that are
/// refused use up their own quota only.
#[test]
fn refused_calls_of_another_world_do_not_change_a_run() {
    let first = traced(1_000_003);
    refuse_calls_of_another_world();
    assert_same(1_000_003, &first, &traced(1_000_003));
}

/// Refuses more calls than the SDK has retries for.
fn refuse_calls_of_another_world() {
    in_simulated_time(async || {
        let world = World::create(1, Receiver::seeded(1)).await;
        world.engines.install_faults(|_| Fault::unavailable());
        for _ in 0..100 {
            let submission = world.submission(1, Bytes::from_static(b"{}"));
            let refused = world.dispatcher.submit(&submission).await;
            assert!(refused.is_err(), "the table refuses everything");
        }
    });
}

/// Panics if two runs of a seed differ. The message shows the first line that differs, after the
/// five lines before it.
fn assert_same(seed: u64, (tally, lines): &(Tally, Vec<String>), other: &(Tally, Vec<String>)) {
    let (other_tally, other_lines) = other;
    let count = lines.len().max(other_lines.len());
    let differs = (0..count).find(|number| lines.get(*number) != other_lines.get(*number));
    if let Some(number) = differs {
        let before = lines[number.saturating_sub(5)..number].join("\n");
        let end = "(the run has ended)".to_owned();
        panic!(
            "seed {seed}: two runs differ first at line {number}.\n{before}\n< {}\n> {}",
            lines.get(number).unwrap_or(&end),
            other_lines.get(number).unwrap_or(&end)
        );
    }
    assert_eq!(
        tally, other_tally,
        "seed {seed}: two runs with equal traces"
    );
    assert!(count > 200, "seed {seed}: the trace has only {count} lines");
}
