//! The decisions about deliveries, as a table and as properties.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed, which is what it is for")]
#![allow(missing_docs, reason = "tests are named so that they read as what they hold")]

mod diagram;
mod model;
mod settle;

use domain::attempt::{Attempt, Failure, Trigger};
use domain::delivery::{Delivery, State};
use domain::event_type::EventType;
use domain::id::{DeliveryId, DestinationId, MessageId, OrganizationId, Ulid};
use domain::message::{MessageFacts, PayloadInfo};
use domain::settings::DestinationType;
use domain::settle::Settlement;
use domain::{Reason, Timestamp};

pub fn at(seconds: i64) -> Timestamp {
    Timestamp::from_millis(1_764_000_000_000 + seconds * 1000)
}

pub fn delivery() -> Delivery {
    let ulid = Ulid::first_at(at(0));
    let payload = PayloadInfo { size_bytes: 2, content_type: "application/json".to_owned(), filename: None, sha256: None };
    Delivery {
        id: DeliveryId { message: MessageId::from(ulid), position: 0 },
        organization: OrganizationId::from(ulid),
        destination: DestinationId::from(ulid),
        destination_type: DestinationType::Webhook,
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
        created_at: at(0),
        updated_at: at(0),
        generation: 0,
        attempts: 0,
        budget_start: 0,
        trigger: Trigger::First,
        lease_until: None,
        state: State::Queued,
        waiting: None,
        fallback_of: None,
        born_skipped: false,
        last_attempt: None,
        retention_days: 30,
        payload_retention_days: 30,
    }
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
    let record = attempt(&delivery, settlement.state.reason(), now);
    delivery.settled(record, settlement.state.clone(), now)
}
