//! An ordinary delivery and an ordinary destination, for the tests of every crate. A test changes
//! the members that it is about.

use std::collections::BTreeMap;

use domain::Timestamp;
use domain::attempt::Trigger;
use domain::delivery::{Delivery, NewDelivery};
use domain::destination::Destination;
use domain::event_type::EventType;
use domain::id::{DeliveryId, Ulid};
use domain::message::{MessageFacts, PayloadInfo};
use domain::retry::RetryPolicy;
use domain::settings::webhook::WebhookSettings;
use domain::settings::{DestinationType, Settings};

/// The time so many seconds after the samples were created.
#[must_use]
pub fn at(seconds: i64) -> Timestamp {
    Timestamp::from_millis(1_764_000_000_000 + seconds * 1000)
}

/// The id that every sample has, in every kind of id.
#[must_use]
pub fn id() -> Ulid {
    Ulid::first_at(at(0))
}

/// A message of the type `report.ready` with two bytes of JSON.
#[must_use]
#[expect(clippy::missing_panics_doc, reason = "the texts are valid")]
pub fn message() -> MessageFacts {
    MessageFacts {
        event_type: EventType::parse("report.ready").expect("it is an event type"),
        reference: None,
        metadata: BTreeMap::new(),
        payload: PayloadInfo {
            size_bytes: 2,
            content_type: "application/json".to_owned(),
            filename: None,
            sha256: None,
        },
        expires_at: None,
        trace: "0af7651916cd43dd8448eb211c80319c"
            .parse()
            .expect("it is a trace id"),
        test: false,
        status_callback: None,
    }
}

/// The first attempt of this message at a webhook, its only destination.
#[must_use]
pub fn new_delivery(message: MessageFacts) -> NewDelivery {
    NewDelivery {
        id: DeliveryId {
            message: id().into(),
            position: 0,
        },
        organization: id().into(),
        destination: id().into(),
        destination_type: DestinationType::Webhook,
        destination_disabled: false,
        message,
        fan_out: 1,
        trigger: Trigger::First,
        fallback_of: None,
        retention_days: 30,
        payload_retention_days: 30,
    }
}

/// The delivery of a [`message`], as it is accepted.
#[must_use]
pub fn delivery() -> Delivery {
    Delivery::accept(new_delivery(message()), at(0))
}

/// An enabled destination with these settings and a retry policy of its own.
#[must_use]
pub fn destination(settings: Settings) -> Destination {
    let destination = Destination::new(id().into(), id().into(), "a receiver", settings, at(0));
    Destination {
        retry_policy: Some(RetryPolicy::default()),
        ..destination
    }
}

/// A webhook at this URL.
#[must_use]
pub fn webhook(url: &str) -> Destination {
    destination(Settings::Webhook(WebhookSettings::new(url)))
}

/// The settings of a destination that is a webhook, to change them.
///
/// # Panics
///
/// If the destination is no webhook.
pub fn settings(destination: &mut Destination) -> &mut WebhookSettings {
    let Settings::Webhook(settings) = &mut destination.settings else {
        panic!("the destination is a webhook")
    };
    settings
}
