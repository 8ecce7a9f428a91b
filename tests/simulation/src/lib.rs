//! A seeded simulation of the whole path from submit to settle, with crashes and refusals at every
//! AWS call.
//!
//! The code is the production code, from the functions' handlers down to the SDK. It runs on inline
//! embedded engines with a hook that may refuse a call, delay it, or never respond to it, before or
//! after the call is executed. An invocation that hangs is dropped at its timeout, as on Lambda.
//! The receiver acts as the destination. Time is paused and advances only when something waits, so
//! that a seed always runs the same way.
//!
//! The world takes steps: clients send requests to the API and repeat them, workers poll, monitors
//! sweep, people retry and cancel, hours pass. Then all faults end, all remaining work is done, and the verdict is checked:
//! every accepted delivery is finished, and nothing was sent that should not have been.

mod faults;
pub mod receiver;
mod steps;
mod trace;
mod verdict;
pub mod world;

pub use verdict::Tally;

/// Runs one seed. Panics with the seed if a guarantee was broken.
#[must_use]
pub fn run(seed: u64) -> Tally {
    traced(seed).0
}

/// Runs one seed and returns the trace of everything that happened: every AWS call, every fault,
/// and every request to the receiver.
#[must_use]
pub fn traced(seed: u64) -> (Tally, Vec<String>) {
    // The SDK takes the jitter of its retries from this thread's generator.
    fastrand::seed(seed);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .expect("the runtime starts");
    runtime.block_on(steps::live_through(seed))
}
