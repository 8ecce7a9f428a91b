//! A message that was accepted.

use std::time::Duration;

use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::{Answer, Caller, Delivery, delivery};

/// An accepted message.
#[derive(Clone)]
pub struct Message {
    /// Its id.
    pub id: String,
    /// What submitting it answered.
    pub accepted: Value,
    caller: Caller,
}

impl Message {
    /// Of an answer to a submission. Panics, showing the answer, when it is no 202.
    #[track_caller]
    pub fn accepted(caller: Caller, answer: &Answer) -> Self {
        let accepted = answer.ok(202);
        Self::shown(caller, accepted)
    }

    /// Of a message as answers show it.
    pub fn shown(caller: Caller, accepted: Value) -> Self {
        Self { id: accepted["id"].as_str().expect("an id").to_owned(), accepted, caller }
    }

    /// Its path in the API.
    pub fn path(&self) -> String {
        format!("/v1/messages/{}", self.id)
    }

    /// What it is now.
    pub async fn read(&self) -> Value {
        self.caller.get(&self.path()).await.ok(200)
    }

    /// Its delivery to the destination at this position.
    pub fn delivery(&self, position: usize) -> Delivery {
        let delivery = &self.accepted["deliveries"][position];
        let id = delivery["id"].as_str().unwrap_or_else(|| panic!("no delivery {position} in {}", self.accepted));
        Delivery::new(self.caller.clone(), id)
    }

    /// Waits until all its deliveries are finished.
    pub async fn settles(&self) -> Value {
        self.settles_within(delivery::SETTLE_MAX).await
    }

    /// The same, in so much time.
    pub async fn settles_within(&self, limit: Duration) -> Value {
        let deadline = Instant::now() + limit;
        loop {
            let message = self.read().await;
            if message["status"] != "pending" {
                return message;
            }
            assert!(Instant::now() < deadline, "after {limit:?} still {message}");
            sleep(delivery::POLL).await;
        }
    }
}
