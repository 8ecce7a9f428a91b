//! The decisions about deliveries, as a table and as properties.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed, which is what it is for")]
#![allow(missing_docs, reason = "tests are named so that they read as what they hold")]

mod diagram;
mod model;
mod receipt;
mod settle;

use domain::attempt::{Attempt, Failure, Trigger};
use domain::delivery::{Delivery, NewDelivery};
use domain::event_type::EventType;
use domain::id::{DeliveryId, DestinationId, MessageId, OrganizationId, Ulid};
use domain::message::{MessageFacts, PayloadInfo};
use domain::receipt::Receipt;
use domain::settings::DestinationType;
use domain::settle::{AfterAttempt, Settlement};
use domain::{Reason, Timestamp};

pub fn at(seconds: i64) -> Timestamp {
    Timestamp::from_millis(1_764_000_000_000 + seconds * 1000)
}

pub fn delivery() -> Delivery {
    let ulid = Ulid::first_at(at(0));
    let payload = PayloadInfo { size_bytes: 2, content_type: "application/json".to_owned(), filename: None, sha256: None };
    let new = NewDelivery {
        id: DeliveryId { message: MessageId::from(ulid), position: 0 },
        organization: OrganizationId::from(ulid),
        destination: DestinationId::from(ulid),
        destination_type: DestinationType::Webhook,
        destination_disabled: false,
        message: MessageFacts {
            event_type: EventType::parse("report.ready").unwrap(),
            reference: None,
            metadata: std::collections::BTreeMap::new(),
            payload,
            expires_at: None,
            trace: "0af7651916cd43dd8448eb211c80319c".parse().unwrap(),
            test: false,
            status_callback: None,
        },
        fan_out: 1,
        trigger: Trigger::First,
        fallback_of: None,
        retention_days: 30,
        payload_retention_days: 30,
    };
    Delivery::accept(new, at(0))
}

pub fn receipt() -> Receipt {
    Receipt::HttpResponse { id: None, status: 200 }
}

pub fn attempt(delivery: &Delivery, failure: Option<Reason>, now: Timestamp) -> Attempt {
    Attempt {
        number: delivery.attempts + 1,
        trigger: delivery.trigger,
        started_at: now,
        duration_ms: 1,
        failure: failure.map(|reason| Failure { reason, detail: String::new() }),
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
    delivery.settle(record, settlement.after.clone(), now).unwrap()
}
