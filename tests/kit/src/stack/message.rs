//! A message that was accepted.

use std::time::Duration;

use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::{Answer, Caller, Delivery, delivery};

/// A message that was accepted.
#[derive(Clone)]
pub struct Message {
    /// The id of the message.
    pub id: String,
    /// The response to submitting the message.
    pub accepted: Value,
    caller: Caller,
}

impl Message {
    /// Creates a message of the response to a submission. Panics with the response if it is not a
    /// 202.
    #[track_caller]
    pub fn accepted(caller: Caller, answer: &Answer) -> Self {
        let accepted = answer.ok(202);
        Self::shown(caller, accepted)
    }

    /// Creates a message of its view in a response.
    pub fn shown(caller: Caller, accepted: Value) -> Self {
        Self {
            id: accepted["id"].as_str().expect("an id").to_owned(),
            accepted,
            caller,
        }
    }

    /// Returns the path of the message in the API.
    pub fn path(&self) -> String {
        format!("/v1/messages/{}", self.id)
    }

    /// Reads the current state of the message.
    pub async fn read(&self) -> Value {
        self.caller.get(&self.path()).await.ok(200)
    }

    /// Returns the delivery at this position.
    pub fn delivery(&self, position: usize) -> Delivery {
        let delivery = &self.accepted["deliveries"][position];
        let id = delivery["id"]
            .as_str()
            .unwrap_or_else(|| panic!("no delivery {position} in {}", self.accepted));
        Delivery::new(self.caller.clone(), id)
    }

    /// Waits until all deliveries of the message are finished.
    pub async fn settles(&self) -> Value {
        self.settles_within(delivery::SETTLE_MAX).await
    }

    /// Waits until all deliveries of the message are finished, within `limit`.
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
