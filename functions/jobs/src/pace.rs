//! Paces a job, so that it adds work no faster than the workers process it.

use std::time::Duration;

use crate::Jobs;

/// How many tasks may wait in the workers' queues before a job pauses.
const WAITING_MAX: u64 = 100;
/// How often a paused job checks the queues again.
const STEP: Duration = Duration::from_millis(100);
/// The longest pause. After it the job continues, whatever the queues hold.
const WAIT_MAX: Duration = Duration::from_secs(5);
/// After each piece of work a job rests this many times as long as the piece took, so that other
/// work gets its share of the process.
const PAUSE_FACTOR: u32 = 2;
const PAUSE_MAX: Duration = Duration::from_secs(1);

impl Jobs {
    /// Rests after a piece of work that took `took`.
    pub(crate) async fn pause_after(&self, took: Duration) {
        tokio::time::sleep((took * PAUSE_FACTOR).min(PAUSE_MAX)).await;
    }

    /// Waits until the queues are short again.
    pub(crate) async fn pace(&self) {
        let mut waited = Duration::ZERO;
        while waited < WAIT_MAX
            && self
                .queues
                .waiting()
                .await
                .is_none_or(|waiting| waiting > WAITING_MAX)
        {
            tokio::time::sleep(STEP).await;
            waited += STEP;
        }
    }
}
