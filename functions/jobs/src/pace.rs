//! Pace: a job adds work no faster than the workers take it.

use std::time::Duration;

use crate::Jobs;

/// Tasks that may wait in the workers' queues before a job adds more.
const WAITING_MAX: u64 = 100;
/// How often a job looks whether fewer wait.
const STEP: Duration = Duration::from_millis(100);
/// A job goes on after this long in any case: slowly, but it does.
const WAIT_MAX: Duration = Duration::from_secs(5);
/// After each piece of work a job rests as long as this many times the piece took: what one process does for it, it does less for others.
const REST: u32 = 2;
const REST_MAX: Duration = Duration::from_secs(1);

impl Jobs {
    /// Rests after a piece of work that took this long.
    pub(crate) async fn rest(&self, took: Duration) {
        tokio::time::sleep((took * REST).min(REST_MAX)).await;
    }

    /// Waits until the queues are short again.
    pub(crate) async fn pace(&self) {
        let mut waited = Duration::ZERO;
        while waited < WAIT_MAX && self.queues.waiting().await.is_none_or(|waiting| waiting > WAITING_MAX) {
            tokio::time::sleep(STEP).await;
            waited += STEP;
        }
    }
}
