//! Tests of the decisions about deliveries, as a table and as properties.

#![allow(
    clippy::unwrap_used,
    reason = "a test that panics has failed, which is what it is for"
)]
#![allow(
    missing_docs,
    reason = "tests are named so that they read as what they hold"
)]

mod diagram;
mod managed;
mod model;
mod receipt;
mod settle;

pub use samples::{at, delivery};

use domain::attempt::{Attempt, Failure};
use domain::delivery::Delivery;
use domain::receipt::Receipt;
use domain::settle::{AfterAttempt, Settlement};
use domain::{Reason, Timestamp};

pub fn receipt() -> Receipt {
    Receipt::HttpResponse {
        id: None,
        status: 200,
    }
}

pub fn attempt(delivery: &Delivery, failure: Option<Reason>, now: Timestamp) -> Attempt {
    Attempt {
        number: delivery.attempts + 1,
        trigger: delivery.trigger,
        started_at: now,
        duration_ms: 1,
        failure: failure.map(|reason| Failure {
            reason,
            detail: String::new(),
        }),
        request: None,
        response: None,
        trace_id: delivery.message.trace,
    }
}

pub fn apply(delivery: Delivery, settlement: &Settlement, now: Timestamp) -> Delivery {
    let failure = match settlement.after {
        AfterAttempt::Succeeded(_) => None,
        AfterAttempt::Retrying { reason, .. } | AfterAttempt::Failed { reason, .. } => Some(reason),
    };
    let record = attempt(&delivery, failure, now);
    delivery
        .settle(record, settlement.after.clone(), now)
        .unwrap()
}
