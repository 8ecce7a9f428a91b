//! A delivery in progress.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::{Answer, Caller};

/// The default retries take 31 s and a little.
pub(super) const SETTLE_MAX: Duration = Duration::from_secs(60);
pub(super) const POLL: Duration = Duration::from_millis(50);
const FINISHED: [&str; 4] = ["succeeded", "failed", "skipped", "cancelled"];

/// A delivery of one message to one destination.
#[derive(Clone)]
pub struct Delivery {
    /// The id of the delivery.
    pub id: String,
    caller: Caller,
}

impl Delivery {
    pub(super) fn new(caller: Caller, id: &str) -> Self {
        Self {
            id: id.to_owned(),
            caller,
        }
    }

    /// Returns the path of the delivery in the API.
    pub fn path(&self) -> String {
        format!("/v1/deliveries/{}", self.id)
    }

    /// Reads the current state of the delivery.
    pub async fn read(&self) -> Value {
        self.caller.get(&self.path()).await.ok(200)
    }

    /// Waits until the delivery is finished, and returns it.
    pub async fn settles(&self) -> Value {
        self.becomes("finished", |delivery| {
            FINISHED.iter().any(|status| delivery["status"] == *status)
        })
        .await
    }

    /// Waits until the delivery has this status, and returns it.
    pub async fn reaches(&self, status: &str) -> Value {
        self.becomes(status, |delivery| delivery["status"] == status)
            .await
    }

    /// Waits until this many attempts are recorded, and returns the delivery.
    pub async fn attempts(&self, count: u64) -> Value {
        self.becomes("that often attempted", |delivery| {
            delivery["attempt_count"].as_u64() >= Some(count)
        })
        .await
    }

    /// Requests another attempt now.
    pub async fn retry(&self) -> Answer {
        self.caller
            .post(&format!("{}/retry", self.path()), json!({}))
            .await
    }

    /// Cancels the delivery and returns the response.
    pub async fn cancel(&self) -> Answer {
        self.caller
            .post(&format!("{}/cancel", self.path()), json!({}))
            .await
    }

    async fn becomes(&self, what: &str, is: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + SETTLE_MAX;
        loop {
            let delivery = self.read().await;
            if is(&delivery) {
                return delivery;
            }
            assert!(
                Instant::now() < deadline,
                "after {SETTLE_MAX:?} not {what}: {delivery}"
            );
            sleep(POLL).await;
        }
    }
}
