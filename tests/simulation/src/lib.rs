//! A seeded simulation of the whole path from submit to settle, with crashes and refusals at every AWS call.
//!
//! The code is the production code, from the functions' handlers down to the SDK. Below it stand the embedded engines, **inline**, and a hook
//! on their connector that may refuse a call, delay it, or never answer it, before or after it did its work; an invocation that hangs is
//! dropped when its time is up, as Lambda does. The **receiver** plays the destination. Time is paused and moves only by what is waited for,
//! so that a seed always runs the same way.
//!
//! The **world** takes steps: clients submit and repeat, workers poll, monitors sweep, people retry and cancel, hours pass. Then all faults
//! end, the world is let run dry, and the **verdict** is read: every accepted delivery is finished, nothing was sent that should not have been.

mod faults;
pub mod receiver;
mod steps;
mod trace;
mod verdict;
pub mod world;

pub use verdict::Tally;

/// Runs one seed; panics, naming the seed, when a promise was broken.
#[must_use]
pub fn run(seed: u64) -> Tally {
    traced(seed).0
}

/// The same, with the trace of all that happened: every call to AWS, every fault, every request to the receiver.
#[must_use]
pub fn traced(seed: u64) -> (Tally, Vec<String>) {
    // The SDK draws the jitter of its retries from this thread's generator.
    fastrand::seed(seed);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().expect("the runtime starts");
    runtime.block_on(steps::live_through(seed))
}
