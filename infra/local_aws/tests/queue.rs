//! Queues: the contract on the embedded engine (on its thread, and inline with a paused clock) and
//! on moto, and then what only the engine guarantees.

mod durability;
mod embedded;
mod engine;
mod fairness;
mod moto;

use kit::contracts::queue;
use local_aws::Mode;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn contract_on_the_engine() {
    queue::check(embedded::Embedded::new(Mode::Thread)).await;
}

#[tokio::test(start_paused = true)]
async fn contract_on_the_inline_engine_under_a_paused_clock() {
    queue::check(embedded::Embedded::new(Mode::Inline)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn contract_on_moto() {
    queue::check(moto::MotoQueues::start()).await;
}
