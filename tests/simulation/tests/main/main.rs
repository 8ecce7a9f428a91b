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

use simulation::{Tally, run, traced};

const SEEDS: u64 = 200;

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
        let first = run(seed);
        assert_eq!(first, run(seed), "seed {seed}");
        assert_eq!(first, run(seed), "seed {seed}");
    }
}

/// Verifies the test above, and finds the cause if it fails: two runs on two threads at the same
/// time, whose calls are compared one by one.
#[test]
fn two_runs_of_a_seed_make_the_same_calls_with_the_same_faults_at_the_same_times() {
    for seed in [3, 1_000_003, 9_000_017] {
        let runs = std::thread::scope(|scope| {
            let runs = [0, 1].map(|_| scope.spawn(move || traced(seed)));
            runs.map(|run| run.join().expect("no promise was broken"))
        });
        let [(_, first), (_, second)] = &runs;
        assert!(first.len() > 200, "seed {seed}: {} lines", first.len());
        for (number, (one, other)) in first.iter().zip(second).enumerate() {
            assert_eq!(
                one,
                other,
                "seed {seed}: the runs differ first at line {number}, after\n{}",
                first[..number].join("\n")
            );
        }
        assert_eq!(
            first.len(),
            second.len(),
            "seed {seed}: one run goes on after the other's end"
        );
    }
}
