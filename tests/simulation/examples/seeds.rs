//! Runs many seeds of the simulation on two threads, and prints those that break a guarantee.
//!
//! ```sh
//! cargo run --release -p simulation --example seeds -- 10000 [FIRST]
//! ```

use std::panic::catch_unwind;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use simulation::Tally;

/// Seeds that run concurrently.
const THREADS: usize = 2;
/// How many seeds run between two progress messages.
const PRINTED_EVERY: u64 = 50;

fn main() -> ExitCode {
    let mut numbers = std::env::args().skip(1).map(|text| text.parse::<u64>());
    let (Some(Ok(count)), first) = (numbers.next(), numbers.next()) else {
        eprintln!("usage: seeds COUNT [FIRST]");
        return ExitCode::from(2);
    };
    let first = first.and_then(Result::ok).unwrap_or(0);
    let (next, total, broken) = (
        AtomicU64::new(first),
        Mutex::new(Tally::default()),
        Mutex::new(Vec::new()),
    );
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= first + count {
                        return;
                    }
                    match catch_unwind(|| simulation::run(seed)) {
                        Ok(tally) => total
                            .lock()
                            .expect("no thread panics while it adds")
                            .add(&tally),
                        Err(_) => broken
                            .lock()
                            .expect("no thread panics while it adds")
                            .push(seed),
                    }
                    if (seed + 1 - first).is_multiple_of(PRINTED_EVERY) {
                        println!(
                            "about {} seeds: {:?}",
                            seed + 1 - first,
                            total.lock().expect("no thread panics while it adds")
                        );
                    }
                }
            });
        }
    });
    let broken = broken.into_inner().expect("no thread panics while it adds");
    println!(
        "{count} seeds from {first}: {:?}; broken promises: {} {broken:?}",
        total.into_inner().expect("no thread panics while it adds"),
        broken.len()
    );
    if broken.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
