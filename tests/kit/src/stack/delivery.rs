//! A delivery on its way.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::{Answer, Caller};

/// The default retries take 31 s and a little.
pub(super) const SETTLE_MAX: Duration = Duration::from_secs(60);
pub(super) const POLL: Duration = Duration::from_millis(50);
const FINISHED: [&str; 4] = ["succeeded", "failed", "skipped", "cancelled"];

/// One message's way to one destination.
#[derive(Clone)]
pub struct Delivery {
    /// Its id.
    pub id: String,
    caller: Caller,
}

impl Delivery {
    pub(super) fn new(caller: Caller, id: &str) -> Self {
        Self { id: id.to_owned(), caller }
    }

    /// Its path in the API.
    pub fn path(&self) -> String {
        format!("/v1/deliveries/{}", self.id)
    }

    /// What it is now.
    pub async fn read(&self) -> Value {
        self.caller.get(&self.path()).await.ok(200)
    }

    /// Waits until it is finished, and returns it.
    pub async fn settles(&self) -> Value {
        self.becomes("finished", |delivery| FINISHED.iter().any(|status| delivery["status"] == *status)).await
    }

    /// Waits until it has this status, and returns it.
    pub async fn reaches(&self, status: &str) -> Value {
        self.becomes(status, |delivery| delivery["status"] == status).await
    }

    /// Waits until so many attempts are recorded, and returns it.
    pub async fn attempts(&self, count: u64) -> Value {
        self.becomes("that often attempted", |delivery| delivery["attempt_count"].as_u64() >= Some(count)).await
    }

    /// Asks for another attempt now.
    pub async fn retry(&self) -> Answer {
        self.caller.post(&format!("{}/retry", self.path()), json!({})).await
    }

    /// Asks for no further attempt.
    pub async fn cancel(&self) -> Answer {
        self.caller.post(&format!("{}/cancel", self.path()), json!({})).await
    }

    async fn becomes(&self, what: &str, is: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + SETTLE_MAX;
        loop {
            let delivery = self.read().await;
            if is(&delivery) {
                return delivery;
            }
            assert!(Instant::now() < deadline, "after {SETTLE_MAX:?} not {what}: {delivery}");
            sleep(POLL).await;
        }
    }
}
